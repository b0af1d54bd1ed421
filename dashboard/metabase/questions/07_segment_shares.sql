-- name: Customers and revenue by segment
-- description: Where the bar of the revenue is the longer one, few customers bring much.
-- display: row
-- percent: Customers, Revenue
-- settings: {"graph.dimensions": ["Segment"], "graph.metrics": ["Customers", "Revenue"]}
-- size: 12x8
SELECT segment AS "Segment", round(customer_share::numeric, 4) AS "Customers",
       round(revenue_share::numeric, 4) AS "Revenue"
FROM :"model".segments
ORDER BY segment_rank;
