-- One row per campaign, then the total.
-- A row of NULLs where the view has none: an empty source would not exist for the pages.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT *
           FROM roi) AS v ON true
