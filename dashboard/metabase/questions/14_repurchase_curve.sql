-- name: How many first-time buyers order again
-- description: The share with a second order by day (Kaplan-Meier) with its 95 % interval, for two years. Who
--   has not yet ordered again counts for as long as he was watched.
-- display: line
-- percent: Ordered again, At least, At most
-- settings: {"graph.dimensions": ["Days since the first order"],
--   "graph.metrics": ["Ordered again", "At least", "At most"], "graph.x_axis.scale": "linear"}
-- size: 12x7
SELECT days_since_first_order AS "Days since the first order",
       round(cumulative_repurchase_rate::numeric, 4) AS "Ordered again",
       round(cumulative_repurchase_rate_low::numeric, 4) AS "At least",
       round(cumulative_repurchase_rate_high::numeric, 4) AS "At most"
FROM :"model".repurchase_curve
WHERE days_since_first_order <= 730
ORDER BY days_since_first_order;
