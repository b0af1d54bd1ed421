-- One row per day since the first order.
-- A row of NULLs where the view has none: an empty source would not exist for the pages.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT *
           FROM repurchase_curve) AS v ON true
