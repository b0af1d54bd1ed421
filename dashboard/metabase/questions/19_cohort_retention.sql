-- name: Who comes back, month by month
-- description: The share of the customers with their first order in a month who bought again so many months later. The
--   last 18 months; a month that is not over is left out.
-- display: table
-- percent: Bought again
-- settings: {"table.pivot": true, "table.pivot_column": "Months later", "table.cell_column": "Bought again",
--   "table.column_formatting": [{"type": "range", "columns": ["Bought again"], "colors": ["#ffffff", "#509ee3"],
--     "min_type": null, "max_type": null}]}
-- size: 24x11
SELECT to_char(cohort_month, 'YYYY-MM') AS "First order", months_since AS "Months later",
       round(retention_rate::numeric, 4) AS "Bought again"
FROM :"model".cohort_retention
WHERE is_complete AND months_since BETWEEN 1 AND 12
  AND cohort_month > (SELECT max(cohort_month) FROM :"model".cohort_retention) - interval '19 months'
ORDER BY cohort_month, months_since;
