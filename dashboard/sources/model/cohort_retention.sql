-- One row per month of first order and months since; months as text, free of time zones.
-- A row of NULLs where the view has none: an empty source would not exist for the pages.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT to_char(cohort_month, 'YYYY-MM') AS cohort_month, months_since, cohort_customers, active_customers, retention_rate, revenue, is_complete
           FROM cohort_retention) AS v ON true
