-- name: Days from sign-up to the first order
-- description: Customers, and the share of them who ordered again. Who bought earlier had more time to order again;
--   that alone raises the rate.
-- display: combo
-- percent: Ordered again
-- settings: {"graph.dimensions": ["Days to the first order"], "graph.metrics": ["Customers", "Ordered again"],
--   "graph.x_axis.scale": "ordinal",
--   "series_settings": {"Customers": {"display": "bar"}, "Ordered again": {"display": "line", "axis": "right"}}}
-- size: 12x7
SELECT bucket AS "Days to the first order", customers AS "Customers",
       round(repurchase_rate::numeric, 4) AS "Ordered again"
FROM :"model".first_purchase_timing
ORDER BY bucket_order;
