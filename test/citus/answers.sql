-- Prints every public view of every model, all rows in the order of their text, but not when it was computed. By columns: of a
-- row as a whole Citus loses the names.
SET timezone = 'UTC';
SELECT format('SELECT %L, jsonb_build_object(%s)::text COLLATE "C" FROM %I.%I v ORDER BY 2', n.nspname || '.' || c.relname,
	(SELECT string_agg(format('%L, v.%1$I', a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
	 WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attname <> 'refreshed_at'), n.nspname, c.relname)
FROM rfm.models m JOIN pg_namespace n ON n.nspname = m.model JOIN pg_class c ON c.relnamespace = n.oid
WHERE c.relkind = 'v' AND obj_description(c.oid, 'pg_class') NOT LIKE 'Internal.%'
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C" \gexec
