-- One row per number of days back, segment then and segment now. Only the owner of the model may call the function, which reads
-- the order lines: for others a row of NULLs.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT p.days_back, m.*
           FROM (VALUES (30), (90), (365)) AS p(days_back)
           CROSS JOIN overview AS o
           CROSS JOIN settings AS s
           CROSS JOIN LATERAL XMLTABLE('/table/row'
               PASSING CASE WHEN (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'settings'::regclass)
                            THEN query_to_xml(format('SELECT * FROM segment_migration(%L)',
                                o.as_of AT TIME ZONE coalesce(s.time_zone, 'UTC') - make_interval(days => p.days_back)),
                                false, false, '') END
               COLUMNS source text, source_rank integer, target text, target_rank integer, customers bigint, revenue numeric) AS m) AS v ON true
