-- name: Revenue by recency and money
-- description: R is the recency score, the highest bought lately; M the monetary score, the highest spent most.
-- display: table
-- settings: {"table.pivot": true, "table.pivot_column": "Money", "table.cell_column": "Revenue",
--   "table.column_formatting": [{"type": "range", "columns": ["Revenue"], "colors": ["#ffffff", "#509ee3"],
--     "min_type": null, "max_type": null}]}
-- size: 12x8
SELECT 'R ' || r AS "Recency", 'M ' || m AS "Money", round(sum(revenue)) AS "Revenue"
FROM :"model".score_cells
GROUP BY r, m
ORDER BY r DESC, m;
