-- name: How much the richest customers bring
-- description: The share of the richest customers in the revenue: at 20, that of the richest 20 percent.
-- display: area
-- percent: Share of revenue
-- settings: {"graph.dimensions": ["Percent of the customers, richest first"], "graph.metrics": ["Share of revenue"],
--   "graph.x_axis.scale": "linear", "graph.y_axis.auto_range": false, "graph.y_axis.min": 0, "graph.y_axis.max": 1}
-- size: 12x8
SELECT customer_percentile AS "Percent of the customers, richest first",
       round(cumulative_revenue_share::numeric, 4) AS "Share of revenue"
FROM :"model".pareto
ORDER BY customer_percentile;
