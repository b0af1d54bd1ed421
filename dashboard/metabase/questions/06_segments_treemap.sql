-- name: Customers by segment
-- description: Each rectangle is a segment, as large as the number of its customers.
-- display: treemap
-- display before 63: row
-- settings: {"treemap.grouping": "Segment", "treemap.value": "Customers",
--   "graph.dimensions": ["Segment"], "graph.metrics": ["Customers"]}
-- size: 12x8
SELECT segment AS "Segment", customers AS "Customers"
FROM :"model".segments
WHERE customers > 0
ORDER BY customers DESC, segment_rank;
