-- name: Which first purchase makes good customers?
-- description: By category of the first product, with 95 % intervals. Where intervals overlap much, the order of the
--   categories may be chance. VIP needs a high amount, which an expensive first basket brings along; second order and
--   revenue after the first are free of that.
-- display: table
-- percent: VIP, Second order in a year, Second order at least, Second order at most
-- settings: {"table.column_formatting": [{"type": "range", "columns": ["Second order in a year"],
--   "colors": ["#ffffff", "#84bb4c"], "min_type": null, "max_type": null}]}
-- size: 24x9
SELECT name AS "First category", customers AS "Customers", round(vip_share::numeric, 4) AS "VIP",
       round(second_order_365_rate::numeric, 4) AS "Second order in a year",
       round(second_order_365_rate_low::numeric, 4) AS "Second order at least",
       round(second_order_365_rate_high::numeric, 4) AS "Second order at most",
       round(revenue_after_first_order, 2) AS "Revenue after the first order",
       round(revenue_after_first_order_low::numeric, 2) AS "Revenue at least",
       round(revenue_after_first_order_high::numeric, 2) AS "Revenue at most"
FROM :"model".gateway_products
WHERE level = 'category'
ORDER BY customers DESC, name;
