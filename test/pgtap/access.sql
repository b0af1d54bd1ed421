-- Who may do what, and as whom it runs: owners without superuser rights, readers, strangers; hostile
-- search_paths, hostile owners, and names that need quotes.
\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE ROLE access_owner;
CREATE ROLE access_reader;
CREATE ROLE access_other;
CREATE ROLE access_mallory;
SELECT format('GRANT CREATE ON DATABASE %I TO access_owner, access_mallory', current_database()) \gexec

-- Tables of a superuser, with names that need quotes wherever names can stand.
CREATE SCHEMA "Büro; DROP";
GRANT USAGE ON SCHEMA "Büro; DROP" TO access_owner;
CREATE TABLE "Büro; DROP"."order.lines ""x""" (
	customer_id text, order_id uuid, ordered_at timestamp, amount float8, status varchar(30), product_id bigint);
CREATE TABLE "Büro; DROP"."Select" (
	customer_id text, channel text, signed_up_at date, "Pays d'origine" text, "a ""b"" %s c" int, "Ünï" text);
CREATE TABLE "Büro; DROP"."from" (product_id int, category text, "name" text, cost numeric(10, 2));
CREATE TABLE "Büro; DROP"."$1" (customer_id text, session_id text, visited_at timestamptz);
INSERT INTO "Büro; DROP"."order.lines ""x"""
	SELECT chr(65 + i % 26), md5((i / 2)::text)::uuid, '2024-01-01'::timestamp - i * interval '7 hours', i * 1.25,
	       ('{Complete,O''Brien,"back\\slash","{braces}","com,ma","\"quoted\"","NULL","",Complete}'::text[])[i % 9 + 1], i % 5
	FROM generate_series(1, 500) i;
INSERT INTO "Büro; DROP"."Select"
	SELECT chr(64 + i), CASE i % 3 WHEN 0 THEN 'it''s' WHEN 1 THEN 'a\b' END, '2022-01-01'::date + i, 'Côte d''Ivoire ' || i % 2, i % 4, 'ß'
	FROM generate_series(1, 30) i;
INSERT INTO "Büro; DROP"."from" SELECT i, 'cat "' || i || '"', 'name', i FROM generate_series(0, 4) i;
GRANT SELECT ON ALL TABLES IN SCHEMA "Büro; DROP" TO access_owner;
CREATE FUNCTION pg_temp.tables() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN md5(concat((SELECT string_agg(t::text, ',' ORDER BY t::text) FROM "Büro; DROP"."order.lines ""x""" t),
		(SELECT string_agg(t::text, ',' ORDER BY t::text) FROM "Büro; DROP"."Select" t),
		(SELECT string_agg(t::text, ',' ORDER BY t::text) FROM "Büro; DROP"."from" t),
		(SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ',' ORDER BY d.objid) FROM pg_depend d
		 WHERE d.refobjid IN (SELECT oid FROM pg_class WHERE relnamespace = '"Büro; DROP"'::regnamespace))));
END $$;
SELECT pg_temp.tables() AS tables \gset

-- A schema that shadows what the extension might call by its bare name; all of it is a trap.
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE TABLE evil.lines (customer_id int);
CREATE TABLE evil.pg_class (oid oid, relname name);
CREATE TABLE evil.pg_namespace (oid oid, nspname name);
CREATE TABLE evil.pg_attribute (attrelid oid, attname name);
CREATE TABLE evil.pg_depend (classid oid);
CREATE TABLE evil.pg_locks (pid int);
CREATE TABLE evil.settings (a int);
CREATE TABLE evil.segment_rules (a int);
CREATE TABLE evil.profiles (a int);
CREATE TABLE evil.snapshot (a int);
CREATE TABLE evil.models (model text);
CREATE TYPE evil.regclass AS ENUM ('trap');
CREATE TYPE evil.text AS ENUM ('trap');
CREATE TYPE evil.numeric AS ENUM ('trap');
CREATE TYPE evil.timestamptz AS ENUM ('trap');
CREATE TYPE evil.float8 AS ENUM ('trap');
DO $$
DECLARE
	t text;
	o text;
	f record;
BEGIN
	FOR f IN SELECT DISTINCT p.proname, pg_get_function_identity_arguments(p.oid) AS args,
			format_type(p.prorettype, NULL) AS result, p.proretset
		FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a') AND p.provariadic = 0
		  AND p.proname IN ('count', 'sum', 'max', 'min', 'avg', 'now', 'format', 'concat', 'strpos', 'lower', 'octet_length',
			'quote_ident', 'quote_literal', 'to_regclass', 'cardinality', 'array_ndims', 'array_position', 'unnest', 'isfinite',
			'pg_size_bytes', 'pg_has_role', 'replace', 'round', 'floor', 'string_agg', 'array_agg', 'row_number', 'generate_series',
			'pg_get_userbyid', 'pg_describe_object', 'clock_timestamp', 'to_char', 'timezone', 'aclexplode', 'set_config', 'md5')
		  AND 'internal'::regtype <> ALL (p.proargtypes) AND 'anyelement'::regtype <> p.prorettype
		  AND 'record'::regtype <> p.prorettype AND p.prorettype::regtype::text !~ '^any'
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS ''BEGIN RAISE ''''evil ran''''; END''',
				f.proname, f.args, CASE WHEN f.proretset THEN 'SETOF' END, f.result);
		EXCEPTION WHEN OTHERS THEN		-- not every signature can be copied
			NULL;
		END;
	END LOOP;
	FOREACH t IN ARRAY '{text,name,oid,int2,int4,int8,numeric,float8,bool,date,timestamptz,"char"}'::text[] LOOP
		EXECUTE format('CREATE FUNCTION evil.trap(pg_catalog.%1$I, pg_catalog.%1$I) RETURNS boolean LANGUAGE plpgsql'
			' AS ''BEGIN RAISE ''''evil ran''''; END''', t);
		FOREACH o IN ARRAY '{=,<>,<,>,<=,>=,+,-,*,/,||}'::text[] LOOP
			EXECUTE format('CREATE OPERATOR evil.%1$s (FUNCTION = evil.trap, LEFTARG = pg_catalog.%2$I, RIGHTARG = pg_catalog.%2$I)', o, t);
		END LOOP;
	END LOOP;
END $$;

SELECT no_plan();
SELECT cmp_ok((SELECT count(*)::int FROM pg_proc WHERE pronamespace = 'evil'::regnamespace), '>', 120, 'the traps are set');
CREATE FUNCTION pg_temp.walk() RETURNS boolean LANGUAGE plpgsql SET search_path = evil, pg_catalog AS
	'BEGIN RETURN ''a''::pg_catalog.text = ''b''::pg_catalog.text; END';
SELECT throws_ok('SELECT pg_temp.walk()', 'P0001', 'evil ran', 'and work');

-- an owner without superuser rights, a hostile search_path, names that need quotes
SET ROLE access_owner;
SET search_path = evil, pg_catalog, public;
\set settings 'as_of => \'2024-01-01 12:00\', time_zone => \'America/New_York\', excluded_statuses => ARRAY[\'O\'\'Brien\', \'back\\slash\', \'{braces}\', \'com,ma\', \'"quoted"\', \'NULL\', \'\'], dimensions => ARRAY[\'Pays d\'\'origine\', \'a "b" %s c\', \'Ünï\']'
\set relations '\'"Büro; DROP"."order.lines ""x"""\', \'"Büro; DROP"."Select"\', \'"Büro; DROP"."from"\', \'"Büro; DROP"."$1"\''
SELECT rfm.create_model('My "table" Shöp; --', :relations, storage => 'table', :settings);
SELECT rfm.create_model('materialized', :relations, storage => 'materialized', :settings);
SELECT rfm.create_model('View', :relations, storage => 'view', :settings);
CALL rfm.refresh('My "table" Shöp; --');
CALL rfm.refresh('materialized');
CALL rfm.refresh('View', wait => false);
SELECT rfm.configure_model('View', lookback => '10 years');
CALL rfm.refresh('View');
CREATE TEMP TABLE seen_models AS TABLE rfm.models;
CREATE TEMP TABLE seen_table AS TABLE "My ""table"" Shöp; --".customers;
CREATE TEMP TABLE seen_view AS TABLE "View".customers;
CREATE TEMP TABLE seen_overview AS TABLE "View".overview;
CREATE TEMP TABLE seen_segments AS TABLE "View".segments;
CREATE TEMP TABLE seen_breakdown AS TABLE "View".segment_breakdown;
CREATE TEMP TABLE seen_cells AS TABLE "View".score_cells;
CREATE TEMP TABLE seen_pareto AS TABLE "View".pareto;
CREATE TEMP TABLE seen_churn AS TABLE "View".churn_risk;
RESET search_path;
RESET ROLE;
SELECT set_eq('SELECT * FROM seen_models', $$VALUES ('My "table" Shöp; --', 'access_owner', 'table'),
	('materialized', 'access_owner', 'materialized'), ('View', 'access_owner', 'view')$$, 'the models of an owner without superuser rights');
SELECT bag_eq('TABLE seen_table', 'TABLE seen_view', 'a search_path changes nothing: storage table = storage view');
SELECT bag_eq('TABLE seen_table', 'TABLE materialized.customers', 'storage table = storage materialized');
SELECT bag_eq('TABLE seen_breakdown', 'TABLE materialized.segment_breakdown', 'breakdown, read under either search_path');
SELECT bag_eq('TABLE seen_cells', 'TABLE "My ""table"" Shöp; --".score_cells', 'score_cells, read under either search_path');
SELECT bag_eq('TABLE seen_pareto', 'TABLE "My ""table"" Shöp; --".pareto', 'pareto, read under either search_path');
SELECT bag_eq('TABLE seen_churn', 'TABLE "My ""table"" Shöp; --".churn_risk', 'churn_risk, read under either search_path');
SELECT bag_eq(
	'SELECT customer_id, orders, lines, revenue, "Pays d''origine", "a ""b"" %s c", "Ünï" FROM seen_table',
	$$SELECT l.customer_id, count(DISTINCT order_id) AS orders, count(*) AS lines, sum(amount::numeric) AS revenue,
	         max("Pays d'origine") AS "Pays d'origine", max("a ""b"" %s c") AS "a ""b"" %s c", max("Ünï") AS "Ünï"
	  FROM "Büro; DROP"."order.lines ""x""" l LEFT JOIN "Büro; DROP"."Select" USING (customer_id)
	  WHERE status = 'Complete' GROUP BY l.customer_id$$,
	'statuses and columns with quotes, braces and backslashes');
SELECT set_eq('SELECT DISTINCT dimension FROM seen_breakdown',
	ARRAY['channel', 'first_category', 'Pays d''origine', 'a "b" %s c', 'Ünï'], 'the dimensions of the breakdown');
SELECT set_eq('SELECT DISTINCT owner FROM rfm.models', ARRAY['access_owner'], 'who calls is the owner');

-- segments with names that need quotes, in each storage
SET ROLE access_owner;
UPDATE "View".segment_rules SET segment = 'Ä "x" \ '' {,} %s NULL' WHERE rule_order = 1;
UPDATE materialized.segment_rules SET segment = 'Ä "x" \ '' {,} %s NULL' WHERE rule_order = 1;
CALL rfm.refresh('View');
CALL rfm.refresh('materialized');
SELECT results_eq('SELECT segment FROM "View".segments WHERE segment_rank = 1', $$VALUES ('Ä "x" \ '' {,} %s NULL')$$, 'a segment with quotes');
SELECT bag_eq('TABLE "View".segments', 'TABLE materialized.segments', 'in every storage');
RESET ROLE;

-- strangers
SET ROLE access_other;
SELECT throws_ok('CALL rfm.refresh(''View'')', '42501', 'must be owner of model "View"');
SELECT throws_ok('SELECT rfm.configure_model(''View'', lookback => ''1 year'')', '42501', 'must be owner of model "View"');
SELECT throws_ok('SELECT rfm.drop_model(''View'')', '42501', 'must be owner of model "View"');
SELECT throws_ok('SELECT * FROM "View".customers', '42501', 'permission denied for schema View');
RESET ROLE;

-- readers: SELECT on the views and USAGE on the schema is all they need, not even USAGE on schema rfm
REVOKE USAGE ON SCHEMA rfm FROM PUBLIC;
SET ROLE access_owner;
GRANT USAGE ON SCHEMA "View", materialized, "My ""table"" Shöp; --" TO access_reader;
SELECT format('GRANT SELECT ON %I.%I TO access_reader', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN seen_models m ON m.model = n.nspname
WHERE c.relkind = 'v' AND obj_description(c.oid, 'pg_class') NOT LIKE 'Internal.%' \gexec
RESET ROLE;
SET ROLE access_reader;
SET search_path = evil, pg_catalog, public;
CREATE TEMP TABLE read_customers AS TABLE "View".customers;
RESET search_path;
SELECT bag_eq('TABLE read_customers', 'TABLE "View".customers', 'a reader under a hostile search_path');
SELECT lives_ok(format('SELECT * FROM %I.%I', n.nspname, c.relname), format('a reader reads %I.%I', n.nspname, c.relname))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND has_table_privilege(c.oid, 'SELECT') AND n.nspname IN ('View', 'materialized', 'My "table" Shöp; --')
ORDER BY n.nspname, c.relname;
SELECT throws_ok('SELECT * FROM materialized.profiles', '42501', 'permission denied for materialized view profiles');
SELECT throws_ok('SELECT * FROM "Büro; DROP"."from"', '42501', 'permission denied for schema Büro; DROP');
RESET ROLE;
GRANT USAGE ON SCHEMA rfm TO PUBLIC;

-- who has the rights of the owner may refresh, and it runs as the owner
GRANT access_owner TO access_other;
SET ROLE access_other;
SELECT lives_ok('CALL rfm.refresh(''materialized'')', 'a member of the owning role refreshes');
RESET ROLE;
REVOKE access_owner FROM access_other;
-- the owner lost the right to read: whoever calls, the refresh fails
REVOKE SELECT ON "Büro; DROP"."order.lines ""x""" FROM access_owner;
SELECT throws_ok('CALL rfm.refresh(''materialized'')', '42501', NULL, 'a superuser does not lend the owner his rights');
GRANT SELECT ON "Büro; DROP"."order.lines ""x""" TO access_owner;

-- a hostile owner: whatever his view runs, runs as him, also when a superuser refreshes
CREATE TABLE public.secret (a text);
SET ROLE access_mallory;
CREATE SCHEMA lair;
CREATE TABLE lair.log (as_whom name, attempt text, error text);
CREATE TABLE lair.lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric);
INSERT INTO lair.lines VALUES (1, 1, '2024-01-01', 5), (2, 2, '2024-01-02', 6);
CREATE FUNCTION lair.attack() RETURNS numeric LANGUAGE plpgsql AS 'BEGIN RETURN 0; END';
CREATE VIEW lair.attacking_lines AS SELECT customer_id, order_id, ordered_at, amount + lair.attack() AS amount FROM lair.lines;
SELECT rfm.create_model('lair_' || kind, 'lair.attacking_lines', storage => kind, as_of => '2024-02-01') FROM unnest('{table,materialized}'::text[]) kind;
CREATE OR REPLACE FUNCTION lair.attack() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	attempt text;
BEGIN
	FOREACH attempt IN ARRAY ARRAY['INSERT INTO public.secret VALUES (''mallory was here'')', 'ALTER ROLE access_mallory SUPERUSER',
		'SET ROLE postgres', 'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT', 'RESET SESSION AUTHORIZATION', 'CREATE TEMP TABLE passing ()',
		'SELECT set_config(''session_authorization'', ''postgres'', false)', 'COPY (SELECT 1) TO PROGRAM ''true''']
	LOOP
		BEGIN
			EXECUTE attempt;
			INSERT INTO lair.log VALUES (current_user, attempt, 'done');
		EXCEPTION WHEN OTHERS THEN
			INSERT INTO lair.log VALUES (current_user, attempt, SQLERRM);
		END;
	END LOOP;
	RETURN 0;
END $$;
CREATE FUNCTION lair.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM lair.attack(); RETURN NEW; END';
-- his own tables are part of what a refresh touches
CREATE TRIGGER fires BEFORE INSERT OR UPDATE ON lair_table.refresh_log FOR EACH ROW EXECUTE FUNCTION lair.fires();
CREATE TRIGGER fires BEFORE INSERT OR UPDATE ON lair_table.profiles FOR EACH ROW EXECUTE FUNCTION lair.fires();
CREATE TRIGGER fires BEFORE INSERT OR UPDATE ON lair_table.snapshot FOR EACH ROW EXECUTE FUNCTION lair.fires();
CREATE TRIGGER fires BEFORE INSERT OR UPDATE ON lair_table.settings FOR EACH ROW EXECUTE FUNCTION lair.fires();
CREATE TRIGGER fires BEFORE INSERT OR UPDATE ON lair_table.segment_rules FOR EACH ROW EXECUTE FUNCTION lair.fires();
UPDATE lair.lines SET amount = amount + 1;
RESET ROLE;
CALL rfm.refresh('lair_table');
SELECT cmp_ok((SELECT count(*)::int FROM lair.log), '>=', 27, 'his code ran in his refresh');
CALL rfm.refresh('lair_materialized');
BEGIN;
CALL rfm.refresh('lair_table');
COMMIT;
CREATE TEMP TABLE attempts AS SELECT count(*) AS n FROM lair.log;
SELECT rfm.configure_model('lair_table', lookback => '1 year', rules => 'classic');
SELECT cmp_ok((SELECT count(*) FROM lair.log), '>', (SELECT n FROM attempts), 'and when the superuser configured his model');
SELECT set_eq('SELECT DISTINCT as_whom FROM lair.log', '{access_mallory}'::name[], 'as him');
SELECT is_empty('SELECT DISTINCT attempt FROM lair.log WHERE error = ''done'' AND attempt NOT LIKE ''RESET%'' AND attempt NOT LIKE ''SET%DEFAULT''',
	'and achieved nothing');
SELECT is_empty('TABLE public.secret', 'in particular wrote nowhere else');
SELECT is((SELECT rolsuper FROM pg_roles WHERE rolname = 'access_mallory'), false, 'nor became superuser');
SELECT is(current_user, session_user, 'and the caller is himself');
-- a trigger deferred to the commit would run as the caller: it is refused
SET ROLE access_mallory;
CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON lair_table.refresh_log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lair.fires();
RESET ROLE;
SELECT throws_ok('CALL rfm.refresh(''lair_table'')', '42501', 'cannot fire deferred trigger within security-restricted operation');
SELECT is_empty('TABLE public.secret', 'nor does a deferred trigger');
SET ROLE access_mallory;
DROP TRIGGER waits ON lair_table.refresh_log;
RESET ROLE;

-- the extension cannot go while models stand
SELECT throws_ok('DROP EXTENSION rfm_segments', '2BP01', NULL, 'DROP EXTENSION is refused while models stand');

-- drop_model
SET ROLE access_owner;
CREATE VIEW "View"."my own" AS SELECT 1 AS a;
CREATE FUNCTION "View"."of mine"() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION pg_temp.drop_error(model text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM rfm.drop_model(model);
	RETURN 'dropped';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint);
END $$;
SELECT is(pg_temp.drop_error('View'), E'2BP01 schema "View" holds objects that do not belong to the model\n'
	'function "View"."of mine"()\nview "View"."my own"\nMove or drop them first.', 'drop_model lists the objects that are not the model''s');
DROP VIEW "View"."my own";
DROP FUNCTION "View"."of mine"();
CREATE SCHEMA mine;
CREATE VIEW mine.best AS SELECT * FROM "View".customers WHERE segment_rank = 1;
SELECT alike(pg_temp.drop_error('View'), '2BP01 cannot drop view%view mine.best depends on view "View".customers%', 'and what depends on the model elsewhere');
SELECT isnt_empty('SELECT * FROM "View".customers', 'a refusal leaves the model whole');
DROP SCHEMA mine CASCADE;
SELECT is(pg_temp.drop_error('View'), 'dropped', 'without them it drops a model, storage view');
SELECT is(pg_temp.drop_error('materialized'), 'dropped', 'storage materialized');
SELECT is(pg_temp.drop_error('My "table" Shöp; --'), 'dropped', 'storage table');
RESET ROLE;
SELECT is_empty('SELECT nspname FROM pg_namespace WHERE nspname IN (SELECT model FROM seen_models)', 'their schemas are gone');
SELECT is(pg_temp.tables(), :'tables', 'the tables they read were never touched');
-- what drop_model reads may be his, too
SET ROLE access_mallory;
DROP TABLE lair_table.compiled_views;
CREATE VIEW lair_table.compiled_views AS SELECT 'snapshot'::name AS name, lair.attack() AS position;
RESET ROLE;
SELECT throws_ok('SELECT rfm.drop_model(''lair_table'')', '2BP01', NULL, 'a superuser does not drop what the model did not make');
SELECT is_empty('TABLE public.secret', 'nor lends his rights while he looks');
SELECT is_empty('SELECT FROM pg_roles WHERE rolname = ''access_mallory'' AND rolsuper', 'and mallory still is no superuser');
DROP SCHEMA lair_table CASCADE;
SELECT rfm.drop_model(model) FROM rfm.models;
SELECT lives_ok('DROP EXTENSION rfm_segments', 'without models the extension goes');

SELECT * FROM finish();
DROP OWNED BY access_owner, access_mallory, access_reader, access_other CASCADE;
DROP ROLE access_owner, access_mallory, access_reader, access_other;
