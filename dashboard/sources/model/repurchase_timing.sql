-- One row per segment and bucket of days to the second order.
-- A row of NULLs where the view has none: an empty source would not exist for the pages.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT *
           FROM repurchase_timing) AS v ON true
