-- name: Who is about to leave
-- description: Attention: once good, now quiet. Churn risk: one order, long ago.
-- display: bar
-- percent: Customers, Revenue
-- settings: {"graph.dimensions": ["Group"], "graph.metrics": ["Customers", "Revenue"]}
-- size: 12x7
SELECT risk_group AS "Group", round(sum(customer_share)::numeric, 4) AS "Customers",
       round(sum(revenue_share)::numeric, 4) AS "Revenue"
FROM :"model".churn_risk
GROUP BY risk_group
ORDER BY min(segment_rank);
