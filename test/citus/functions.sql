-- Prints what the functions of the models answer.
SET timezone = 'UTC';
SELECT format('SELECT %L, (to_jsonb(v))::text COLLATE "C" FROM %s v ORDER BY 2', call, call)
FROM rfm.models m CROSS JOIN LATERAL (
	SELECT format('%I.customers_at(%L)', m.model, t) FROM unnest('{2022-06-01,2023-07-01}'::text[]) t
	UNION ALL SELECT format('%I.segment_migration(''2023-01-01'', ''2023-09-01'')', m.model)
	UNION ALL SELECT format('%I.segment_migration(''2023-09-01'')', m.model)
	UNION ALL SELECT format('%I.explain_customer(%s)', m.model, c) FROM unnest(CASE m.model WHEN 'texts' THEN '{''c3'',''C3'',''c10''}'
		WHEN 'uuids' THEN '{md5(''20'')::uuid}' WHEN 'huge' THEN '{1}' WHEN 'nobody' THEN '{}' WHEN 'somebody' THEN '{}' WHEN 'voided' THEN '{1,2,3,300}' ELSE '{1,2,3,300,1001,1003,1101}' END::text[]) c
	UNION ALL SELECT format('%I.roi_sensitivity(''2 second order within 90 days'')', m.model)
	UNION ALL SELECT format('%I.gateway_lift(''category 1'', ''category 2'')', m.model) WHERE m.model IN ('shop', 'texts', 'voided', 'Live')
	UNION ALL SELECT format('rfm.check_model(%L)', m.model)
	UNION ALL SELECT format('rfm.check_rules(%L)', m.model)) f(call)
ORDER BY call COLLATE "C" \gexec
