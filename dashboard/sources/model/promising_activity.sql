-- One row per promising segment and activity level.
-- Read as XML, because a model without the relations for it does not have this view; then, or when it is empty, a row of NULLs.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN XMLTABLE('/table/row'
    PASSING CASE WHEN to_regclass('promising_activity') IS NOT NULL THEN query_to_xml('SELECT * FROM promising_activity', false, false, '') END
    COLUMNS segment text, segment_rank smallint, activity_order smallint, activity_level text,
            customers bigint, customer_share double precision, average_revenue numeric, revenue_ratio numeric,
            average_days_since_first_order numeric, published_customers bigint, published_average_revenue numeric) AS v ON true
