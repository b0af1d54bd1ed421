-- name: Do some channels bring better customers?
-- description: The share of VIP in the VIP and promising customers of a channel, with its 95 % interval. From a p-value
--   of 0.05 on, the channels do not differ more than by chance.
-- display: table
-- percent: VIP of active, At least, At most
-- size: 12x7
SELECT channel AS "Channel", customers AS "Customers", active_customers AS "Active", vip_customers AS "VIP",
       round(maturity_rate::numeric, 4) AS "VIP of active", round(maturity_rate_low::numeric, 4) AS "At least",
       round(maturity_rate_high::numeric, 4) AS "At most", round(p_value::numeric, 3) AS "p-value"
FROM :"model".channel_maturity
ORDER BY active_customers DESC, channel;
