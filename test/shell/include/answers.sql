-- Prints every view of every model of a database, all rows in the order of their text, but not when it was computed.
SET timezone = 'UTC';
SELECT format('SELECT %L, (to_jsonb(v) - ''refreshed_at'')::text COLLATE "C" FROM %I.%I v ORDER BY 2',
	n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM rfm.models m JOIN pg_namespace n ON n.nspname = m.model JOIN pg_class c ON c.relnamespace = n.oid
WHERE c.relkind = 'v' AND obj_description(c.oid, 'pg_class') NOT LIKE 'Internal.%'
ORDER BY n.nspname, c.relname \gexec
