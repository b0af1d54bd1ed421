-- One row per bucket of days from sign-up to the first order.
-- Read as XML, because a model without the relations for it does not have this view; then, or when it is empty, a row of NULLs.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN XMLTABLE('/table/row'
    PASSING CASE WHEN to_regclass('first_purchase_timing') IS NOT NULL THEN query_to_xml('SELECT * FROM first_purchase_timing', false, false, '') END
    COLUMNS bucket_order smallint, bucket text, customers bigint, repurchase_rate double precision,
            average_revenue numeric, vip_share double precision) AS v ON true
