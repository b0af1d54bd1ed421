-- name: Customers by dimension
-- description: The ten most frequent values of every dimension. Do not trust shares where customers are few.
-- display: table
-- percent: VIP, At risk
-- size: 24x9
SELECT dimension AS "Dimension", value AS "Value", customers AS "Customers", round(revenue) AS "Revenue",
       round(vip::numeric / nullif(customers, 0), 4) AS "VIP",
       round(risk::numeric / nullif(customers, 0), 4) AS "At risk"
FROM (SELECT b.dimension, b.value, sum(b.customers) AS customers, sum(b.revenue) AS revenue,
             coalesce(sum(b.customers) FILTER (WHERE s.stage = 'vip'), 0) AS vip,
             coalesce(sum(b.customers) FILTER (WHERE s.stage = 'risk'), 0) AS risk,
             row_number() OVER (PARTITION BY b.dimension ORDER BY sum(b.customers) DESC, b.value) AS place
      FROM :"model".segment_breakdown b JOIN :"model".segments s USING (segment_rank)
      GROUP BY b.dimension, b.value) x
WHERE place <= 10
ORDER BY dimension, place;
