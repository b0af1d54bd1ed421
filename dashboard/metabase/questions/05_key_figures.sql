-- name: Key figures
-- description: The moment that the model judges by, when it was refreshed, and the figures of the whole shop.
-- display: table
-- percent: VIP, Revenue at churn risk, Revenue of the richest 20 %, Margin
-- size: 24x3
SELECT as_of AS "As of", refreshed_at AS "Refreshed at", registered AS "Registered", prospects AS "Never bought",
       orders AS "Orders", round(average_orders, 2) AS "Orders per customer",
       round(average_revenue, 2) AS "Revenue per customer", round(vip_share::numeric, 4) AS "VIP",
       round(churn_risk_revenue_share::numeric, 4) AS "Revenue at churn risk",
       round(top20_revenue_share::numeric, 4) AS "Revenue of the richest 20 %",
       round(margin_rate::numeric, 4) AS "Margin"
FROM :"model".overview;
