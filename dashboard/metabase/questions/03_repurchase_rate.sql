-- name: Repurchase rate
-- description: The share of the customers who ordered at least twice.
-- display: scalar
-- percent: Repurchase rate
-- size: 6x3
SELECT round(repurchase_rate::numeric, 4) AS "Repurchase rate"
FROM :"model".overview;
