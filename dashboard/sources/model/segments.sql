-- One row per segment.
-- A row of NULLs where the view has none: an empty source would not exist for the pages.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT *
           FROM segments) AS v ON true
