-- name: What campaigns bring
-- description: Response and conversion are assumptions of the table campaigns. Without its sample sizes there is no
--   interval of the profit. In the total each customer counts once.
-- display: table
-- percent: Break-even conversion
-- size: 24x7
SELECT campaign AS "Campaign", audience AS "Audience", round(added_buyers) AS "Added buyers",
       round(added_revenue) AS "Added revenue", round(cost) AS "Cost", round(net_profit) AS "Profit",
       round(net_profit_p05) AS "Profit, 5th percentile", round(net_profit_p95) AS "Profit, 95th percentile",
       round(roi_percent::numeric) AS "ROI %", round(break_even_conversion::numeric, 4) AS "Break-even conversion",
       note AS "Note"
FROM :"model".roi
ORDER BY campaign_order NULLS LAST;
