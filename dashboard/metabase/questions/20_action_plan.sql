-- name: What to do, for whom, and when
-- description: The texts are rows of the table action_texts of the model: edit them there.
-- display: table
-- size: 24x8
SELECT segment AS "Segment", goal AS "Goal", action AS "Action", timing AS "When", customers AS "Customers",
       round(revenue) AS "Revenue"
FROM :"model".action_plan
WHERE customers > 0
ORDER BY segment_rank;
