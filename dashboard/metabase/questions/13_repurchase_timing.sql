-- name: Days from the first to the second order
-- description: Of the customers who have a second order. How many of all come back tells the next question.
-- display: bar
-- settings: {"graph.dimensions": ["Days to the second order"], "graph.metrics": ["Customers"],
--   "graph.x_axis.scale": "ordinal", "graph.show_values": true}
-- size: 12x7
SELECT bucket AS "Days to the second order", sum(customers) AS "Customers"
FROM :"model".repurchase_timing
GROUP BY bucket_order, bucket
ORDER BY bucket_order;
