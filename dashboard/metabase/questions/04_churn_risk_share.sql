-- name: Churn risk
-- description: The share of the customers at churn risk: one order, long ago.
-- display: scalar
-- percent: Churn risk
-- size: 6x3
SELECT round(churn_risk_share::numeric, 4) AS "Churn risk"
FROM :"model".overview;
