-- One row per channel.
-- Read as XML, because a model without the relations for it does not have this view; then, or when it is empty, a row of NULLs.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN XMLTABLE('/table/row'
    PASSING CASE WHEN to_regclass('channel_maturity') IS NOT NULL THEN query_to_xml('SELECT * FROM channel_maturity', false, false, '') END
    COLUMNS channel text, customers bigint, vip_customers bigint, promising_high bigint,
            promising_low bigint, active_customers bigint, maturity_rate double precision, maturity_rate_low double precision,
            maturity_rate_high double precision, average_vip_revenue numeric, p_value double precision) AS v ON true
