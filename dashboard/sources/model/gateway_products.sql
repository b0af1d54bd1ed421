-- One row per category, brand or product of the first purchase.
-- Read as XML, because a model without the relations for it does not have this view; then, or when it is empty, a row of NULLs.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN XMLTABLE('/table/row'
    PASSING CASE WHEN to_regclass('gateway_products') IS NOT NULL THEN query_to_xml('SELECT * FROM gateway_products', false, false, '') END
    COLUMNS level text, name text, customers bigint, vip_customers bigint,
            promising_customers bigint, vip_share double precision, vip_share_low double precision, vip_share_high double precision,
            maturity_rate double precision, maturity_rate_low double precision, maturity_rate_high double precision, average_vip_revenue numeric,
            average_revenue numeric, second_order_365_rate double precision, second_order_365_rate_low double precision, second_order_365_rate_high double precision,
            revenue_after_first_order numeric, revenue_after_first_order_low double precision, revenue_after_first_order_high double precision) AS v ON true
