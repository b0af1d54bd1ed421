-- What a fault must not change: included by tests of faults, after churn.sql.

-- All that a model shows, and its stored profiles.
CREATE FUNCTION shown(model text) RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(relation || line, chr(10) ORDER BY relation, line COLLATE "C")) FROM everything(model) $$;

-- The tables of the user.
CREATE FUNCTION base_tables() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(line, chr(10) ORDER BY line COLLATE "C"))
	FROM (SELECT x::text FROM items x UNION ALL SELECT x::text FROM users x UNION ALL SELECT x::text FROM products x UNION ALL SELECT x::text FROM events x) t(line) $$;

-- Schemas, relations (temporary ones, too), functions, types and triggers that are not the system's.
CREATE FUNCTION objects() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT name FROM (
		SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
		UNION ALL SELECT format('relation %s.%s %s', nspname, relname, relkind) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
			WHERE nspname !~ '^pg_toast' AND nspname NOT IN ('pg_catalog', 'information_schema')
		UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc WHERE oid > 16383
		UNION ALL SELECT 'type ' || typname FROM pg_type WHERE oid > 16383 AND typnamespace::regnamespace::text !~ '^pg_toast'
		UNION ALL SELECT format('trigger %s on %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal) o(name)
	ORDER BY name COLLATE "C" $$;

-- Whether a model shows one snapshot, that of the last refresh that succeeded.
CREATE FUNCTION consistent(model text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	answer boolean;
BEGIN
	EXECUTE format('SELECT o.customers = (SELECT count(*) FROM %1$I.customers) AND o.customers = (SELECT sum(customers) FROM %1$I.segments)
		AND o.revenue = (SELECT sum(revenue) FROM %1$I.customers) AND o.revenue = (SELECT sum(revenue) FROM %1$I.segments)
		AND o.as_of = (SELECT as_of FROM %1$I.refresh_log WHERE finished_at IS NOT NULL AND error IS NULL ORDER BY refresh_id DESC LIMIT 1)
		FROM %1$I.overview o', model) INTO answer;
	RETURN answer;
END $$;

-- What the log says of refreshes after a certain one: errors, 'running' or 'ok'.
CREATE FUNCTION logged(model text, since bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT string_agg(coalesce(error, CASE WHEN finished_at IS NULL THEN ''running'' ELSE ''ok'' END), '', '' ORDER BY refresh_id)'
		' FROM %I.refresh_log WHERE refresh_id > $1', model) INTO answer USING since;
	RETURN coalesce(answer, 'nothing');
END $$;
