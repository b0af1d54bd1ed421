-- One row per number of days back, segment then and segment now. The function reads the order lines with the rights of the model's
-- owner, so that a reader may not call it: then a row of NULLs.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT p.days_back, m.*
           FROM (VALUES (30), (90), (365)) AS p(days_back)
           CROSS JOIN overview AS o
           CROSS JOIN settings AS s
           CROSS JOIN LATERAL XMLTABLE('/table/row'
               PASSING CASE WHEN (SELECT has_function_privilege(oid, 'EXECUTE') FROM pg_proc
                                  WHERE proname = 'segment_migration' AND pronamespace = quote_ident(current_schema())::regnamespace)
                            THEN query_to_xml(format('SELECT * FROM segment_migration(%L)',
                                o.as_of AT TIME ZONE coalesce(s.time_zone, 'UTC') - make_interval(days => p.days_back)),
                                false, false, '') END
               COLUMNS source text, source_rank integer, target text, target_rank integer, customers bigint, revenue numeric) AS m) AS v ON true
