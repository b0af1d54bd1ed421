-- name: Are promising customers who come back worth more?
-- description: Average revenue by the number of sessions after the last line of the first order. Mind the few customers
--   of some bars.
-- display: bar
-- settings: {"graph.dimensions": ["Sessions after the first order", "Segment"],
--   "graph.metrics": ["Revenue per customer"], "graph.x_axis.scale": "ordinal"}
-- size: 12x7
SELECT activity_level AS "Sessions after the first order", segment AS "Segment",
       round(average_revenue, 2) AS "Revenue per customer", customers AS "Customers"
FROM :"model".promising_activity
WHERE customers > 0
ORDER BY activity_order, segment_rank;
