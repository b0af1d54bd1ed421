-- One row per segment: what to do.
-- A row of NULLs where the view has none: an empty source would not exist for the pages.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT *
           FROM action_plan) AS v ON true
