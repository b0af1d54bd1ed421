-- The attacker's side: strangers, readers, hostile owners and hostile names, each tried on all functions that the catalog
-- lists, so that a new one is tried, too. access.sql, read.sql and tracking.sql hold what is told there already.
\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE ROLE sec_owner;
CREATE ROLE sec_reader;
CREATE ROLE sec_stranger;
CREATE ROLE sec_mallory;
SELECT format('GRANT CREATE ON DATABASE %I TO sec_owner, sec_mallory', current_database()) \gexec
CREATE TABLE public.canary (a text);
INSERT INTO public.canary VALUES ('alive');
CREATE SCHEMA base AUTHORIZATION sec_owner;
SET ROLE sec_owner;
-- an id, an order and an account that nobody but the owner may see
CREATE TABLE base.lines (customer_id text, order_id text, ordered_at timestamptz, amount numeric, status text, product_id int);
CREATE TABLE base.accounts (customer_id text, channel text, signed_up_at date, country text);
CREATE TABLE base.products (product_id int, category text, brand text, name text, cost numeric);
CREATE TABLE base.visits (customer_id text, session_id int, visited_at timestamptz);
INSERT INTO base.lines SELECT 'SECRET-' || i % 40, 'HIDDEN-' || i, '2023-01-01Z'::timestamptz + i * interval '1 day', i, 'Complete', i % 3 FROM generate_series(1, 300) i;
INSERT INTO base.lines VALUES ('SECRET-refunds', 'HIDDEN-refund', '2023-05-01', -7, 'Complete', 1), ('SECRET-old', 'HIDDEN-old', '2020-05-01', 7, 'Complete', 1);
INSERT INTO base.accounts SELECT 'SECRET-' || i, 'web', '2022-01-01', 'Peru' FROM generate_series(0, 50) i;
INSERT INTO base.products SELECT i, 'c' || i, 'b', 'n', 1 FROM generate_series(0, 2) i;
INSERT INTO base.visits SELECT 'SECRET-' || i % 40, i, '2023-09-01' FROM generate_series(1, 60) i;
\set relations '\'base.lines\', \'base.accounts\', \'base.products\', \'base.visits\', as_of => \'2023-12-01\', lookback => \'2 years\', dimensions => \'{country}\''
SELECT rfm.create_model('shop', :relations);
SELECT rfm.create_model('live', :relations, storage => 'view');
SELECT rfm.create_model('matviews', :relations, storage => 'materialized');
SELECT rfm.track_changes('shop', 'base.lines', 'customer_id');
RESET ROLE;

-- What an attempt comes to: SQLSTATE, or done; and all that it gave, its messages included.
CREATE FUNCTION public.attempt(command text, OUT state text, OUT told text) LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
	row_text text;
BEGIN
	state := 'done';
	told := '';
	BEGIN
		IF command LIKE 'SELECT %' THEN
			FOR row_text IN EXECUTE format('SELECT q::text FROM (%s) q', command) LOOP
				told := told || coalesce(row_text, '');
			END LOOP;
		ELSE
			EXECUTE command;
		END IF;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		state := SQLSTATE;
		told := concat_ws(' ', SQLERRM, detail, hint);
	END;
END $$;

-- A call of each function in a schema that SQL can call. Parameters have the value that samples gives to their name, else
-- NULL; one that is tried has another.
CREATE FUNCTION public.calls(schema_name text, samples jsonb, tried text DEFAULT NULL, value text DEFAULT NULL)
	RETURNS TABLE (routine text, is_internal boolean, command text) LANGUAGE sql AS $$
	SELECT format('%s.%s', p.proname, a.types), coalesce(obj_description(p.oid, 'pg_proc') LIKE 'Internal.%', false),
	       format(CASE WHEN p.prokind = 'p' THEN 'CALL %I.%I(%s)'
	                   WHEN p.prorettype = 'record'::regtype AND coalesce(NOT '{o,t,b}' && p.proargmodes, true) THEN 'SELECT * FROM %I.%I(%s) AS x(a text)'
	                   ELSE 'SELECT %I.%I(%s)' END, schema_name, p.proname, a.list)
	FROM pg_proc p CROSS JOIN LATERAL (
		SELECT string_agg(CASE WHEN p.provariadic <> 0 AND i = p.pronargs THEN 'VARIADIC ' ELSE '' END
			|| CASE WHEN p.proargnames[i] = tried AND t = 'text[]'::regtype THEN format('ARRAY[%L]::text[]', value)
			        WHEN p.proargnames[i] = tried THEN format('%L::%s', value, t::regtype)
			        ELSE format('%L::%s', samples ->> p.proargnames[i], t::regtype) END, ', ' ORDER BY i), string_agg(t::regtype::text, ',' ORDER BY i)
		FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u(t, i)) a(list, types)
	WHERE p.pronamespace = schema_name::regnamespace AND p.prokind IN ('f', 'p')
	  AND NOT EXISTS (SELECT FROM pg_type t WHERE t.oid = ANY (p.proargtypes::oid[] || p.prorettype) AND t.typtype = 'p' AND t.typname NOT IN ('void', 'record'))
	  AND (tried IS NULL OR tried = ANY (p.proargnames[1:p.pronargs]))
$$;
CREATE FUNCTION public.state() RETURNS text LANGUAGE sql AS $$
	SELECT md5(concat((SELECT string_agg(concat(c.oid, c.relname, c.relowner, c.relacl, c.reloptions, c.relfilenode), ',' ORDER BY c.oid) FROM pg_class c
	                   WHERE c.relnamespace IN ('shop'::regnamespace, 'live'::regnamespace, 'matviews'::regnamespace, 'base'::regnamespace)),
	                  (SELECT string_agg(concat(p.oid, p.xmin, p.proacl), ',' ORDER BY p.oid) FROM pg_proc p
	                   WHERE p.pronamespace IN ('shop'::regnamespace, 'live'::regnamespace, 'matviews'::regnamespace)),
	                  (SELECT string_agg(l::text, ',' ORDER BY l::text) FROM shop.refresh_log l), (SELECT string_agg(l::text, ',') FROM shop.settings l)))
$$;

SELECT no_plan();

-- ---------- what stands in the catalogs

CREATE TEMP VIEW extension_function AS
	SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'rfm_segments';
SELECT is_empty('SELECT oid::regprocedure FROM extension_function WHERE prosecdef OR proleakproof', 'no function of the extension has rights of its own, none claims to be leakproof');
SELECT is_empty('SELECT oid::regprocedure FROM extension_function p WHERE proacl IS NOT NULL', 'everyone may call them, with his own rights');
SELECT results_eq($$SELECT pg_get_userbyid(nspowner), rolsuper, has_schema_privilege('sec_stranger', 'rfm', 'CREATE'), has_schema_privilege('sec_stranger', 'rfm', 'USAGE')
	FROM pg_namespace JOIN pg_roles r ON r.oid = nspowner WHERE nspname = 'rfm'$$, $$VALUES ('postgres'::name, true, false, true)$$, 'schema rfm belongs to a superuser, and nobody else makes things in it');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace IN ('shop'::regnamespace, 'live'::regnamespace, 'matviews'::regnamespace)
	AND prosecdef AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee <> proowner))$$, 'what has the rights of the owner of a model is called by nobody else');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace IN ('shop'::regnamespace, 'live'::regnamespace, 'matviews'::regnamespace)
	AND a.grantee <> c.relowner$$, 'nobody may read a new model');
SELECT is_empty($$SELECT n.nspname FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname IN ('shop', 'live', 'matviews') AND a.grantee <> n.nspowner$$, 'nor look into it');

-- ---------- a stranger calls everything

\set samples '{"relation": "base.lines", "role": "sec_reader", "reader": "sec_reader", "names": "{}", "cron": "* * * * *", "name": "customers", "query": "SELECT 1", "command": "SELECT 1", "customer_ids": "{SECRET-1}", "refresh_id": "1", "error": "x", "reason": "x", "stage": "views", "roles": "{sec_reader}", "as_of": "2023-12-01", "rules": "lifecycle", "tracked_id": "1"}'
SELECT state() AS before \gset
SET ROLE sec_stranger;
CREATE TEMP TABLE stranger AS SELECT c.routine, model, c.command, a.* FROM unnest('{shop,live,matviews}'::text[]) model, calls('rfm', :'samples', 'model', model) c, attempt(c.command) a;
CREATE TEMP TABLE stranger_own AS SELECT c.routine, c.command, a.* FROM unnest('{shop,live,matviews}'::text[]) s,
	calls(s, '{"as_of": "2023-11-01", "from_as_of": "2023-10-01", "customer_id": "SECRET-1", "category_a": "c1", "category_b": "c2", "campaign": "3 win back At Risk"}') c, attempt(c.command) a;
RESET ROLE;
SELECT cmp_ok((SELECT count(*)::int FROM stranger), '>=', 150, 'a stranger tries all functions that name a model');
SELECT cmp_ok((SELECT count(*)::int FROM stranger_own), '>=', 12, 'and those of the models');
SELECT is_empty($$SELECT routine, told FROM stranger WHERE told ~ 'SECRET-[0-9]|HIDDEN|SECRET-r|SECRET-o' AND told !~ 'customer_ids'$$, 'he sees no customer');
SELECT is_empty($$SELECT routine, state, told FROM stranger_own WHERE state <> '42501'$$, 'those of the models refuse him');
SELECT is_empty($$SELECT routine, told FROM stranger WHERE state LIKE 'XX%'$$, 'nor an internal error');
SELECT is(state(), :'before', 'and nothing was changed');

-- ---------- a reader

SET ROLE sec_owner;
SELECT rfm.grant_read(model, 'sec_reader') FROM unnest('{shop,live,matviews}'::text[]) model;
RESET ROLE;
SELECT format('GRANT CREATE ON DATABASE %I TO sec_reader', current_database()) \gexec
SELECT state() AS before \gset
SET ROLE sec_reader;
CREATE SCHEMA den;
-- Where a transition table should be there is a view of his.
CREATE FUNCTION den.attack() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	GRANT SELECT ON base.lines TO sec_reader;
	RETURN 'SECRET-1';
END $$;
CREATE TEMP TABLE bait (customer_id text);
CREATE TEMP VIEW changed_rows AS SELECT den.attack() AS customer_id;
GRANT SELECT ON changed_rows TO PUBLIC;
GRANT USAGE ON SCHEMA den TO PUBLIC;
SELECT is((SELECT state FROM attempt('CREATE TRIGGER attack AFTER INSERT ON pg_temp.bait FOR EACH ROW EXECUTE FUNCTION shop.record_changes_1()')), '42501',
	'a reader puts no trigger function of the model on a table of his');
INSERT INTO bait VALUES ('SECRET-1');
RESET ROLE;
SELECT is(has_table_privilege('sec_reader', 'base.lines', 'SELECT'), false, 'and so gets no rights of the owner');
-- The owner grants too much: then he does, but what the function reads is the transition tables of a statement or nothing.
SET ROLE sec_owner;
SELECT rfm.track_changes('shop', 'base.accounts', 'customer_id');
SELECT rfm.track_changes('shop', 'base.products', NULL);
SELECT rfm.track_changes('shop', 'base.visits', 'customer_id');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA shop TO sec_reader;
CALL rfm.refresh('shop');
RESET ROLE;
SET ROLE sec_reader;
CREATE TRIGGER attack_row AFTER INSERT ON pg_temp.bait FOR EACH ROW EXECUTE FUNCTION shop.record_changes_1();
CREATE TRIGGER attack_statement AFTER INSERT ON pg_temp.bait FOR EACH STATEMENT EXECUTE FUNCTION shop.record_changes_1();
CREATE TEMP VIEW old_rows AS TABLE pg_temp.changed_rows;
CREATE TRIGGER attack_update AFTER UPDATE ON pg_temp.bait REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION shop.record_changes_1();
INSERT INTO bait VALUES ('SECRET-2');
UPDATE bait SET customer_id = customer_id;
DROP VIEW old_rows, changed_rows;
CREATE TEMP VIEW old_rows AS SELECT den.attack() AS customer_id;
UPDATE bait SET customer_id = customer_id;
DROP VIEW old_rows;
SELECT throws_ok('INSERT INTO pg_temp.bait VALUES (''SECRET-2'')', '42P01', 'relation "changed_rows" does not exist', 'no transition table and nothing in its place');
DROP TRIGGER attack_row ON pg_temp.bait;
DROP TRIGGER attack_statement ON pg_temp.bait;
CREATE TRIGGER attack_insert AFTER INSERT ON pg_temp.bait REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION shop.record_changes_1();
INSERT INTO bait SELECT 'SECRET-' || i FROM generate_series(1, 40) i;
RESET ROLE;
SELECT is(has_table_privilege('sec_reader', 'base.lines', 'SELECT'), false, 'a reader who may call it gets no rights of the owner either');
SELECT results_eq('SELECT everything, cardinality(customer_ids) FROM shop.changes', 'VALUES (true, NULL::int), (true, NULL), (true, NULL), (true, NULL), (false, 40)', 'he fills the list of changes');
SET ROLE sec_owner;
UPDATE base.lines SET amount = amount WHERE order_id = 'HIDDEN-1';
CALL rfm.refresh('shop');
RESET ROLE;
SELECT results_eq('SELECT mode, reason FROM shop.refresh_log ORDER BY refresh_id DESC LIMIT 1', $$VALUES ('incremental', 'customers that changed or came due: 1')$$,
	'and a refresh takes no notice of what no tracked table did');
SELECT is_empty('TABLE shop.changes', 'but of the space');
DROP TABLE pg_temp.bait;
REVOKE EXECUTE ON FUNCTION shop.record_changes_1(), shop.record_changes_2(), shop.record_changes_3(), shop.record_changes_4() FROM sec_reader;
SELECT state() AS before \gset
-- what he may do with what he reads
SET ROLE sec_reader;
CREATE TEMP TABLE tried AS
	SELECT c.oid::regclass AS relation, x.command, a.* FROM pg_class c
	CROSS JOIN LATERAL (VALUES ('INSERT INTO %s DEFAULT VALUES'), ('DELETE FROM %s'), ('TRUNCATE %s'), ('LOCK TABLE %s IN ROW SHARE MODE'),
		('LOCK TABLE %s IN EXCLUSIVE MODE'), ('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE'), ('COMMENT ON TABLE %s IS NULL'),
		('CREATE TRIGGER t AFTER INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()'), ('SELECT 1 FROM %s FOR UPDATE'),
		('ALTER TABLE %s RENAME TO taken'), ('ANALYZE %s'), ('REFRESH MATERIALIZED VIEW %s'), ('DROP TABLE %s'), ('DROP VIEW %s')) x(command)
	CROSS JOIN LATERAL attempt(format(x.command, c.oid::regclass)) a
	WHERE c.relnamespace IN ('shop'::regnamespace, 'live'::regnamespace, 'matviews'::regnamespace) AND c.relkind IN ('r', 'v', 'm');
RESET ROLE;
SELECT cmp_ok((SELECT count(*)::int FROM tried), '>', 1000, 'he tries to write and to lock all relations');
SELECT is_empty($$SELECT relation, command FROM tried WHERE state = 'done' AND command NOT LIKE 'ANALYZE%'$$, 'he cannot');
SELECT is_empty($$SELECT a FROM attempt('SET ROLE sec_reader; CREATE TABLE shop.mine ()') a WHERE state <> '42501'$$, 'nor make anything in the schema of a model');
SELECT is(state(), :'before', 'and nothing was changed');

-- Who may not see single customers, by the README: not by any view or function left to him, nor by a function of his own
-- that the planner calls where the rows are still those of customers.
SET ROLE sec_owner;
REVOKE SELECT ON shop.customers, shop.segment_history FROM sec_reader;
REVOKE SELECT ON live.customers FROM sec_reader;
REVOKE SELECT ON matviews.customers FROM sec_reader;
SELECT rfm.configure_model(model, dimensions => '{}') FROM unnest('{shop,live,matviews}'::text[]) model;
CALL rfm.refresh('shop');
CALL rfm.refresh('live');
CALL rfm.refresh('matviews');
RESET ROLE;
SET ROLE sec_reader;
CREATE TEMP TABLE leaked (seen text);
CREATE FUNCTION den.leak(value anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.000001 AS 'BEGIN INSERT INTO pg_temp.leaked VALUES (value::text); RETURN true; END';
-- and one that the planner may move
CREATE FUNCTION den.look(value anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 0.000001 AS $$
BEGIN
	IF value::text ~ 'SECRET|HIDDEN' THEN
		RAISE EXCEPTION 'seen: %', value;
	END IF;
	RETURN true;
END $$;
CREATE TEMP TABLE seen AS
	SELECT a.attrelid::regclass AS relation, a.attname, t.* FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	CROSS JOIN LATERAL attempt(format('SELECT * FROM %s x WHERE den.leak(x.%I) AND den.look(x.%2$I)', c.oid::regclass, a.attname)) t
	WHERE c.relnamespace IN ('shop'::regnamespace, 'live'::regnamespace, 'matviews'::regnamespace) AND c.relkind IN ('r', 'v') AND a.attnum > 0
	  AND has_table_privilege(c.oid, 'SELECT');
CREATE TEMP TABLE called AS SELECT c.command, a.* FROM unnest('{shop,live,matviews}'::text[]) s,
	calls(s, '{"as_of": "2023-11-01", "from_as_of": "2023-10-01", "customer_id": "SECRET-1", "category_a": "c1", "category_b": "c2", "campaign": "3 win back At Risk"}') c, attempt(c.command) a;
RESET ROLE;
SELECT cmp_ok((SELECT count(*)::int FROM seen WHERE state = 'done'), '>', 300, 'a reader of sums looks at all columns');
SELECT is_empty($$SELECT relation, attname, state, told FROM seen WHERE state <> 'done'$$, 'all that are left to him');
SELECT is_empty($$SELECT DISTINCT relation FROM seen WHERE told ~ 'SECRET|HIDDEN'$$, 'and sees no customer');
SELECT cmp_ok((SELECT count(*) FROM leaked), '>', 1000::bigint, 'a function of his sees values');
SELECT is_empty($$SELECT DISTINCT seen FROM leaked WHERE seen ~ 'SECRET|HIDDEN'$$, 'of no single customer');
SELECT is_empty($$SELECT command FROM called WHERE state NOT IN ('done', '42501') OR told ~ 'SECRET-[02-9]|HIDDEN'$$, 'nor do the functions of the models tell');
SELECT is_empty($$SELECT relation FROM (SELECT c.oid::regclass AS relation FROM pg_class c WHERE c.relnamespace IN ('shop'::regnamespace, 'live'::regnamespace, 'matviews'::regnamespace)
	AND c.relname IN ('customers', 'segment_history', 'profiles', 'scored', 'valid_lines') AND has_any_column_privilege('sec_reader', c.oid, 'SELECT')) x$$, 'a refresh gives nothing back');
-- Who sees single customers may see, by such a function, those whom the view leaves out, too: it is no security barrier.
GRANT SELECT ON shop.customers TO sec_reader;
SET ROLE sec_reader;
CREATE FUNCTION den.look_for(value text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 0.000001 AS $$
BEGIN
	IF value IN ('SECRET-old', 'SECRET-refunds') THEN
		RAISE EXCEPTION 'seen: %', value;
	END IF;
	RETURN true;
END $$;
SELECT throws_like('SELECT * FROM shop.customers c WHERE den.look_for(c.customer_id)', 'seen: SECRET-%', 'a reader of customers may find out who has lines, but no purchase in the window');
RESET ROLE;
SELECT is_empty($$SELECT customer_id FROM shop.customers WHERE customer_id IN ('SECRET-old', 'SECRET-refunds')$$, 'whom the view does not show');

-- ---------- names and texts

CREATE TABLE public.hostile (i int GENERATED ALWAYS AS IDENTITY, name text);
INSERT INTO public.hostile (name) VALUES
	('"; DROP TABLE public.canary; --'), ('$$ $q$ $b$ $body$; DROP TABLE public.canary; --'), ('\''; DROP TABLE public.canary; --'),
	('%s %I %L %1$s %n %% \1\0\\ {a,"b NULL}'), (E'new\nline\r\t\x01\x1b[2J Größe ''€" 😀'), ('s.as_of SCORE :x $1 ? */ /* --'), (repeat('é', 31) || '"');
-- All that can be named at once: a model with relations, columns, statuses, segments, campaigns, readers of this name.
CREATE FUNCTION public.name_all(hostile text, storage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	source text := 's' || left(hostile, 30);
	lines regclass;
	relation text;
	command text;
	answer text;
BEGIN
	EXECUTE format('CREATE SCHEMA %I', source);
	EXECUTE format('CREATE TABLE %I.%I (%2$I text, order_id text, ordered_at timestamptz, amount numeric, status text, product_id text)', source, hostile);
	EXECUTE format('INSERT INTO %I.%I SELECT CASE WHEN i < 3 THEN $1 ELSE $1 || i END, $1 || i, timestamptz ''2023-01-01Z'' + i * interval ''1 day'', i,'
		' CASE i %% 3 WHEN 0 THEN $1 WHEN 1 THEN ''ok'' END, $1 FROM generate_series(1, 20) i', source, hostile) USING hostile;
	EXECUTE format('CREATE VIEW %I.lines AS SELECT %I AS customer_id, order_id, ordered_at, amount, status, product_id FROM %1$I.%2$I', source, hostile);
	EXECUTE format('CREATE VIEW %I."lines %2$s" AS TABLE %1$I.lines', source, replace(left(hostile, 25), '"', '""'));
	EXECUTE format('CREATE VIEW %I.accounts AS SELECT DISTINCT %I AS customer_id, %3$L AS channel, NULL::date AS signed_up_at, %3$L AS %2$I FROM %1$I.%2$I', source, hostile, hostile);
	EXECUTE format('CREATE VIEW %I.products AS SELECT %L AS product_id, %2$L AS category, %2$L AS brand, %2$L AS name, 1 AS cost', source, hostile);
	EXECUTE format('CREATE VIEW %I.visits AS SELECT %I AS customer_id, order_id AS session_id, ordered_at + interval ''1 day'' AS visited_at FROM %1$I.%2$I', source, hostile);
	PERFORM rfm.create_model(hostile, format('%I.%I', source, 'lines ' || left(hostile, 25))::regclass, format('%I.accounts', source)::regclass, format('%I.products', source)::regclass,
		format('%I.visits', source)::regclass, as_of => '2023-02-01', dimensions => ARRAY[hostile], excluded_statuses => ARRAY[hostile], storage => storage);
	IF storage = 'table' THEN
		PERFORM rfm.track_changes(hostile, format('%I.%I', source, hostile)::regclass, hostile::name);
		EXECUTE format('UPDATE %I.%I SET amount = amount + 1 WHERE %2$I = $1', source, hostile) USING hostile;
	END IF;
	EXECUTE format('UPDATE %I.segment_rules SET segment = segment || $1, stage = ''loyal'' WHERE rule_order = 2', hostile) USING left(hostile, 20);
	EXECUTE format('UPDATE %I.action_texts SET goal = $1, action = $1', hostile) USING hostile;
	EXECUTE format('UPDATE %I.campaigns SET campaign = $1, segment = $1 WHERE campaign_order = 4', hostile) USING hostile;
	EXECUTE format('CREATE ROLE %I', left(hostile, 25) || ' sec');
	PERFORM rfm.grant_read(hostile, left(hostile, 25) || ' sec');
	EXECUTE format('CALL rfm.refresh(%L)', hostile);
	PERFORM rfm.configure_model(hostile, lookback => '1 year', dimensions => '{}', recency_fractions => '{0.5}');
	PERFORM rfm.configure_model(hostile, unset => '{lookback,recency_fractions}', dimensions => ARRAY[hostile]);
	EXECUTE format('CALL rfm.refresh(%L, true)', hostile);
	PERFORM rfm.check_model(hostile), rfm.check_rules(hostile);
	EXECUTE format('SELECT string_agg(e::text, '''') FROM %I.explain_customer($1) e', hostile) INTO answer USING hostile;
	EXECUTE format('SELECT string_agg(e::text, '''') FROM %I.customers_at(''2023-01-15'') e', hostile) INTO answer;
	EXECUTE format('SELECT string_agg(e::text, '''') FROM %I.segment_migration(''2023-01-15'') e', hostile) INTO answer;
	EXECUTE format('SELECT string_agg(e::text, '''') FROM %I.gateway_lift($1, $1) e', hostile) INTO answer USING hostile;
	EXECUTE format('SELECT string_agg(e::text, '''') FROM %I.roi_sensitivity($1) e', hostile) INTO answer USING hostile;
	FOR relation IN SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = hostile AND c.relkind = 'v' LOOP
		EXECUTE format('SELECT string_agg(v::text, '''') FROM %s v', relation) INTO answer;
	END LOOP;
	EXECUTE format('SELECT concat_ws('' '', count(*), count(DISTINCT c.%I), max(c.first_category) = $1, max(c.first_order_at)) FROM %1$I.customers c', hostile) INTO answer USING hostile;
	PERFORM rfm.revoke_read(hostile, left(hostile, 25) || ' sec');
	EXECUTE format('ALTER SCHEMA %I RENAME TO renamed', hostile);
	EXECUTE format('ALTER SCHEMA renamed RENAME TO %I', hostile);
	PERFORM rfm.drop_model(hostile);
	EXECUTE format('DROP ROLE %I', left(hostile, 25) || ' sec');
	RETURN answer;
END $$;
SELECT is(name_all(name, (ARRAY['table', 'view', 'materialized'])[i % 3 + 1]), '13 1 t 2023-01-21 00:00:00+00', format('everything is called %s', regexp_replace(name, '[^ -~]', '?', 'g')))
FROM public.hostile;
SELECT is((SELECT string_agg(a, ',') FROM public.canary), 'alive', 'nothing was injected');

-- Every parameter of text of every function: with hostile texts it may fail, but with one error for all of them. Another one
-- for each means that the text was read as SQL; that is left to internal functions whose parameter is SQL.
SELECT (to_jsonb(r) || jsonb_build_object('settings', r::text, 'model', 'shop', 'relation', 'base.lines', 'source_schema', 'base', 'arguments', '{}')) AS samples
FROM shop.settings s, rfm.resolve_settings(s::rfm.settings) r \gset
CREATE TEMP TABLE texted AS
	SELECT h.name AS hostile, p.name AS parameter, c.routine, c.is_internal, c.command, a.* FROM public.hostile h
	CROSS JOIN (SELECT DISTINCT p.proargnames[i] AS name FROM pg_proc p, unnest(p.proargtypes::oid[]) WITH ORDINALITY u(t, i)
	            WHERE p.pronamespace = 'rfm'::regnamespace AND t IN ('text'::regtype, 'text[]'::regtype, 'name'::regtype) AND p.proargnames[i] IS NOT NULL) p
	CROSS JOIN LATERAL calls('rfm', :'samples', p.name, h.name) c
	CROSS JOIN LATERAL attempt(c.command) a WHERE h.i <= 3;
SELECT cmp_ok((SELECT count(*)::int FROM texted), '>', 800, 'hostile texts for every parameter');
SELECT is_empty($$SELECT routine, parameter, state, told FROM texted WHERE state = '42601' AND NOT is_internal$$, 'no broken SQL');
SELECT set_eq($$SELECT routine || '.' || parameter FROM texted WHERE state = '42601' GROUP BY 1 HAVING count(DISTINCT told) > 1$$,
	$$SELECT unnest('{"as_owner.text,text,rfm.settings,text[].command","distributed_percent_sums.text,bigint,numeric[].query","fill_row.text,text,text.query","rows_as_owner.text,text,text[].query","values_at.text,bigint[].query","write_distributed_history.text,rfm.settings,text,boolean.as_of"}'::text[])$$, 'but for what is SQL');
SELECT is_empty($$SELECT routine, parameter, state, told FROM texted WHERE state LIKE 'XX%'$$, 'nor an internal error');
SELECT is((SELECT string_agg(a, ',') FROM public.canary), 'alive', 'nothing was injected');
SELECT throws_ok($$SELECT * FROM rfm.rows_as_owner('shop', 'SELECT ''x''::text', VARIADIC NULL) AS x(a text)$$, '22004', NULL, 'NULL instead of arguments');
SELECT throws_ok($$SELECT * FROM rfm.rows_as_owner('shop', NULL) AS x(a text)$$, '22004', NULL, 'or of a query');


-- ---------- a hostile owner, and a superuser who deals with his model

SET ROLE sec_mallory;
CREATE SCHEMA lair;
CREATE TABLE lair.log (as_whom name, what text);
GRANT USAGE ON SCHEMA lair TO PUBLIC;
GRANT ALL ON lair.log TO PUBLIC;
CREATE FUNCTION lair.attack(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO lair.log VALUES (current_user, what);
	IF has_table_privilege('public.canary', 'INSERT') THEN
		INSERT INTO public.canary VALUES (what);
	END IF;
	RETURN true;
END $$;
-- a domain that checks, an operator, a cast and an index that compute, a type of text that is none
CREATE DOMAIN lair.id AS int CHECK (lair.attack('domain'));
CREATE TYPE lair.pair AS (a int);
CREATE FUNCTION lair.to_int(lair.pair) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM lair.attack(''cast''); RETURN $1.a; END';
CREATE CAST (lair.pair AS int) WITH FUNCTION lair.to_int(lair.pair) AS IMPLICIT;
CREATE FUNCTION lair.plus(int, lair.pair) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM lair.attack(''operator''); RETURN $1; END';
CREATE OPERATOR lair.+ (FUNCTION = lair.plus, LEFTARG = int, RIGHTARG = lair.pair);
CREATE FUNCTION lair.indexed(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION lair.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM lair.attack(''trigger on '' || TG_TABLE_NAME); RETURN coalesce(NEW, OLD); END';
CREATE TABLE lair.lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric, status text, product_id int);
INSERT INTO lair.lines SELECT i % 9, i, '2023-01-01'::timestamptz + i * interval '1 day', i, 'Complete', i % 3 FROM generate_series(1, 30) i;
CREATE VIEW lair.order_lines AS SELECT customer_id OPERATOR(lair.+) ROW(1)::lair.pair AS customer_id, order_id::lair.id AS order_id, ordered_at,
	amount + (ROW(0)::lair.pair)::int AS amount, status FROM lair.lines WHERE lair.attack('view');
SELECT rfm.create_model('den_' || storage, 'lair.order_lines', as_of => '2023-12-01', storage => storage) FROM unnest('{table,materialized,view}'::text[]) storage;
SELECT rfm.track_changes('den_table', 'lair.lines', 'customer_id');
CREATE INDEX ON den_table.profiles (lair.indexed(orders::int));
CREATE INDEX ON den_materialized.profiles (lair.indexed(orders::int));
CREATE OR REPLACE FUNCTION lair.indexed(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM lair.attack(''index''); RETURN $1; END';
SELECT format('CREATE TRIGGER fires BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION lair.fires()', oid::regclass)
FROM pg_class WHERE relnamespace IN ('den_table'::regnamespace, 'den_materialized'::regnamespace, 'den_view'::regnamespace) AND relkind = 'r' \gexec
-- default values, and rules that answer with something else
ALTER TABLE den_table.refresh_log ADD COLUMN note boolean DEFAULT lair.attack('default');
CREATE RULE spies AS ON UPDATE TO den_table.settings DO ALSO SELECT lair.attack('rule');
CREATE RULE spies AS ON DELETE TO den_view.segment_rules DO ALSO SELECT lair.attack('rule');
RESET ROLE;
TRUNCATE lair.log;
CREATE TEMP TABLE dealt AS
	SELECT m.model, c.command, a.* FROM unnest('{den_table,den_materialized,den_view}'::text[]) m(model)
	CROSS JOIN LATERAL unnest(ARRAY['SELECT rfm.check_model(%L)', 'SELECT rfm.check_rules(%L)', 'CALL rfm.refresh(%L)', 'CALL rfm.refresh(%L, true)',
		'SELECT rfm.configure_model(%L, lookback => ''2 years'', rules => ''classic'')', 'CALL rfm.refresh(%L)', 'SELECT rfm.track_changes(%L, ''lair.lines'', ''customer_id'')',
		'SELECT rfm.track_changes(%L, ''lair.lines'', NULL)', 'CALL rfm.refresh(%L)', 'SELECT rfm.untrack_changes(%L, ''lair.lines'')', 'SELECT rfm.grant_read(%L, ''sec_reader'')',
		'SELECT rfm.revoke_read(%L, ''sec_reader'')', 'SELECT rfm.schedule(%L, ''* * * * *'')', 'SELECT rfm.unschedule(%L)', 'SELECT * FROM rfm.models',
		'SELECT * FROM %I.explain_customer(2)', 'SELECT count(*) FROM %I.customers_at(''2023-06-01'')', 'SELECT * FROM %I.segment_migration(''2023-06-01'')',
		'INSERT INTO lair.lines VALUES (1, 100, ''2023-03-03'', 1)', 'DROP EXTENSION rfm_segments', 'ALTER EXTENSION rfm_segments UPDATE', 'SELECT rfm.drop_model(%L)']) WITH ORDINALITY c(command, i)
	CROSS JOIN LATERAL attempt(format(c.command, m.model)) a;
SELECT set_eq('SELECT DISTINCT as_whom FROM lair.log', '{sec_mallory}'::name[], 'whatever of his a superuser sets off runs as him');
SELECT set_eq($$SELECT DISTINCT split_part(what, ' ', 1) FROM lair.log$$, '{view,domain,operator,cast,index,trigger,default,rule}'::text[], 'and all of it was set off');
SELECT results_eq('SELECT a FROM public.canary', $$VALUES ('alive')$$, 'to no effect');
SELECT is_empty($$SELECT model, command, state, told FROM dealt WHERE state NOT IN ('done', '42704', '2BP01', '55000')$$, 'though the calls did what they should');
-- The line: who reads a view of his runs the functions in it as himself; with storage view those of the contract views, too.
SET ROLE sec_mallory;
SELECT rfm.create_model('den_line', 'lair.order_lines', as_of => '2023-12-01', storage => 'view');
SELECT rfm.grant_read('den_line', 'public');
RESET ROLE;
TRUNCATE lair.log;
BEGIN;
SELECT isnt_empty('SELECT * FROM den_line.overview', 'a superuser reads a view of mallory');
SELECT set_has('SELECT as_whom FROM lair.log', $$VALUES ('postgres'::name)$$, 'and runs the functions in it as himself, as in any view of hers');
ROLLBACK;
-- Who makes a model of his own on her views runs them as himself, and so does who writes to a table with her triggers.
TRUNCATE lair.log;
BEGIN;
SELECT rfm.create_model('gullible', 'lair.order_lines', as_of => '2023-12-01');
SELECT results_eq('SELECT DISTINCT as_whom FROM lair.log', $$VALUES ('postgres'::name)$$, 'a superuser makes a model on a view of mallory');
ROLLBACK;
SET ROLE sec_mallory;
SELECT rfm.create_model('den_trigger', 'lair.lines', as_of => '2023-12-01');
SELECT rfm.track_changes('den_trigger', 'lair.lines', 'customer_id');
CREATE OR REPLACE FUNCTION den_trigger.record_changes_1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM lair.attack(''writer''); RETURN NULL; END';
RESET ROLE;
BEGIN;
INSERT INTO lair.lines VALUES (1, 101, '2023-03-03', 1);
SELECT results_eq($$SELECT as_whom FROM lair.log WHERE what = 'writer'$$, $$VALUES ('postgres'::name)$$, 'the right TRIGGER is that to act as who writes');
ROLLBACK;

-- ---------- sessions with hostile settings, and with temporary relations and types that shadow ours

CREATE SCHEMA dims;
CREATE TABLE dims.accounts (customer_id text, channel text, signed_up_at date, f4 float4, f8 float8, span interval, at timestamptz, day date, bytes bytea, range numrange, times tstzrange, list text[]);
INSERT INTO dims.accounts SELECT 'SECRET-' || i, 'web', '2022-01-01', i / 7.0, i / 3.0, make_interval(months => -i, days => i, secs => i / 7.0), '2023-01-01Z'::timestamptz + i * interval '1.7 hours',
	'2023-02-03', decode(lpad(to_hex(i), 4, '0'), 'hex') || '\x5c00'::bytea, numrange(i, i + 1.5), tstzrange('2023-01-01Z', '2023-01-01Z'::timestamptz + i * interval '7 hours'), ARRAY[NULL, 'NULL', 'a\b', i::text] FROM generate_series(1, 30) i;
\set settings 'as_of => \'2023-12-01 12:00\', time_zone => \'America/New_York\', lookback => \'1 year 2 months 3 days\', dimensions => \'{f4,f8,at,day,span,bytes,range,times,list}\', excluded_statuses => ARRAY[E\'a\\\\b\', \'NULL\']'
SELECT rfm.create_model('plain_' || storage, 'base.lines', 'dims.accounts', 'base.products', 'base.visits', storage => storage, :settings) FROM unnest('{table,materialized,view}'::text[]) storage;
-- What a session reads of a model, copied in that session.
CREATE FUNCTION public.copy(model text, target text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	name pg_catalog.text;
BEGIN
	EXECUTE format('CREATE SCHEMA %I', target);
	FOREACH name IN ARRAY '{customers,overview,segments,segment_breakdown,score_cells,pareto,gateway_products,channel_maturity,cohort_retention,action_plan,roi,promising_activity,repurchase_curve}'::pg_catalog.text[] LOOP
		EXECUTE format('CREATE TABLE %I.%I AS TABLE %I.%2$I', target, name, model);
	END LOOP;
	EXECUTE format('CREATE TABLE %I.at AS SELECT * FROM %I.customers_at(timestamp ''2023-06-01 00:00'')', target, model);
	EXECUTE format('CREATE TABLE %I.migration AS SELECT * FROM %I.segment_migration(timestamp ''2023-06-01 00:00'')', target, model);
	EXECUTE format('CREATE TABLE %I.explained AS SELECT step, topic, item, value, regexp_replace(explanation, ''the refresh at .*'', '''') AS explanation'
		' FROM %I.explain_customer(''SECRET-7'')', target, model);
	EXECUTE format('CREATE TABLE %I.checked AS SELECT severity, count, example FROM rfm.check_model(%L)', target, model);
	EXECUTE format('CREATE TABLE %I.rules AS SELECT * FROM rfm.check_rules(%L)', target, model);
	EXECUTE format('CREATE TABLE %I.compiled AS SELECT name, position, replace(query, %L, ''MODEL'') AS query FROM %I.compiled_views', target, model, model);
END $$;
SELECT copy('plain_' || storage, 'p_' || storage) FROM unnest('{table,materialized,view}'::text[]) storage;
CREATE TYPE pg_temp.numeric AS ENUM ('trap');
CREATE TYPE pg_temp.text AS ENUM ('trap');
CREATE TYPE pg_temp.name AS ENUM ('trap');
CREATE TYPE pg_temp.regclass AS ENUM ('trap');
CREATE TEMP TABLE pg_class (oid oid, trap int);
CREATE TEMP TABLE pg_namespace (oid oid, trap int);
CREATE TEMP TABLE settings (trap int);
CREATE TEMP TABLE profiles (trap int);
CREATE TEMP TABLE snapshot (trap int);
CREATE TEMP TABLE segment_rules (trap int);
CREATE TEMP TABLE models (trap int);
CREATE TEMP TABLE l (trap int);
CREATE TEMP TABLE p (trap int);
CREATE TEMP TABLE s (trap int);
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET backslash_quote = off;
SET array_nulls = off;
SET quote_all_identifiers = on;
SET transform_null_equals = on;
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'sql_standard';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET timezone = 'Asia/Kathmandu';
SET check_function_bodies = off;
SET default_transaction_isolation = 'serializable';
SET default_toast_compression = 'pglz';
SET search_path = pg_temp, public, pg_catalog;
SELECT pg_catalog.count(rfm.create_model('hostile_' OPERATOR(pg_catalog.||) storage, 'base.lines', 'dims.accounts', 'base.products', 'base.visits', storage => storage, :settings))
FROM pg_catalog.unnest('{table,materialized,view}'::pg_catalog.text[]) storage \gset
CALL rfm.refresh('hostile_table', true);
CALL rfm.refresh('hostile_materialized');
CALL rfm.refresh('hostile_view');
CALL rfm.refresh('plain_table', true);
CALL rfm.refresh('plain_materialized');
CALL rfm.refresh('plain_view');
SELECT pg_catalog.count(public.copy('hostile_' OPERATOR(pg_catalog.||) storage, 'h_' OPERATOR(pg_catalog.||) storage)),
	pg_catalog.count(public.copy('plain_' OPERATOR(pg_catalog.||) storage, 'r_' OPERATOR(pg_catalog.||) storage))
FROM pg_catalog.unnest('{table,materialized,view}'::pg_catalog.text[]) storage \gset
RESET ALL;
SET client_min_messages = error;
DROP TABLE pg_temp.pg_class, pg_temp.pg_namespace, pg_temp.settings, pg_temp.profiles, pg_temp.snapshot, pg_temp.segment_rules, pg_temp.models, pg_temp.l, pg_temp.p, pg_temp.s;
DROP TYPE pg_temp.numeric, pg_temp.text, pg_temp.name, pg_temp.regclass;
SELECT bag_eq(
	format('SELECT %s FROM %I.%I', c.list, h.prefix || storage, relname), format('SELECT %s FROM %I.%I', c.list, 'p_' || storage, relname),
	format('%s.%s: %s', storage, relname, h.told))
FROM unnest('{table,materialized,view}'::text[]) storage CROSS JOIN (VALUES ('h_', 'made'), ('r_', 'refreshed and read')) h(prefix, told)
CROSS JOIN LATERAL (SELECT oid, relname FROM pg_class WHERE relnamespace = ('p_' || storage)::regnamespace AND relkind = 'r') r
CROSS JOIN LATERAL (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS list FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0 AND attname <> 'refreshed_at') c;

-- ---------- locks on what the owner of a model may not read

CREATE SCHEMA hidden;
CREATE TABLE hidden.lines (LIKE lair.lines);
SELECT 'hidden.lines'::regclass::oid AS hidden \gset
SET ROLE sec_mallory;
SELECT rfm.create_model('den_locks', 'lair.lines', as_of => '2023-12-01');
CREATE FUNCTION lair.spy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'relation' AND relation = (SELECT s.order_lines::oid FROM den_locks.settings s) AND pid = pg_backend_pid()) THEN
		RAISE EXCEPTION 'the lock is held';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER spy BEFORE UPDATE ON den_locks.refresh_log FOR EACH ROW EXECUTE FUNCTION lair.spy();
SELECT throws_ok('CALL rfm.refresh(''den_locks'')', 'P0001', 'the lock is held', 'a refresh locks what it reads');
UPDATE den_locks.settings SET order_lines = :hidden::regclass;
SELECT throws_ok('CALL rfm.refresh(''den_locks'')', '42501', NULL, 'but nothing that the owner may not read');
RESET ROLE;

-- ---------- NULL wherever it can be passed

SELECT is_empty($$SELECT c.model, c.routine, c.state, c.told FROM (SELECT m.model, k.routine, a.* FROM rfm.models m CROSS JOIN LATERAL calls('rfm', jsonb_build_object('model', m.model)) k
	CROSS JOIN LATERAL attempt(k.command) a WHERE k.routine !~ '^drop_' AND m.model LIKE 'plain%') c WHERE c.state LIKE 'XX%'$$, 'no function ends in an internal error');

-- ---------- event triggers of others: an audit, and one that hands over to a group all that is made

CREATE ROLE sec_group;
GRANT sec_group TO sec_owner;
SELECT format('GRANT CREATE ON DATABASE %I TO sec_group', current_database()) \gexec
GRANT USAGE ON SCHEMA base TO sec_group;
GRANT SELECT, TRIGGER ON base.lines TO sec_group;
CREATE TABLE public.audit (event text, tag text, object text);
CREATE FUNCTION public.audit() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	IF TG_EVENT = 'sql_drop' THEN
		INSERT INTO public.audit SELECT TG_EVENT, TG_TAG, object_identity FROM pg_event_trigger_dropped_objects();
	ELSE
		INSERT INTO public.audit SELECT TG_EVENT, TG_TAG, object_identity FROM pg_event_trigger_ddl_commands();
	END IF;
END $$;
CREATE FUNCTION public.hand_over() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
	made record;
BEGIN
	FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() c WHERE c.command_tag ~ '^CREATE (SCHEMA|TABLE|VIEW|MATERIALIZED VIEW|FUNCTION)' AND c.schema_name IS DISTINCT FROM 'pg_temp' LOOP
		EXECUTE format('ALTER %s %s OWNER TO sec_group', made.object_type, made.object_identity);
	END LOOP;
END $$;
CREATE EVENT TRIGGER audit_end ON ddl_command_end EXECUTE FUNCTION public.audit();
CREATE EVENT TRIGGER audit_drop ON sql_drop EXECUTE FUNCTION public.audit();
CREATE EVENT TRIGGER hand_over ON ddl_command_end EXECUTE FUNCTION public.hand_over();
ALTER EVENT TRIGGER hand_over DISABLE;
CREATE TEMP TABLE watched AS SELECT ''::text AS command, ''::text AS state, ''::text AS told LIMIT 0;
GRANT ALL ON watched TO sec_owner;
CREATE FUNCTION public.watch() RETURNS void LANGUAGE sql AS $$
	INSERT INTO watched SELECT c.command, a.* FROM unnest('{table,materialized,view}'::text[]) storage
	CROSS JOIN LATERAL unnest(ARRAY['SELECT rfm.create_model(%1$L, ''base.lines'', storage => %2$L)', 'SELECT rfm.track_changes(%1$L, ''base.lines'', ''customer_id'')',
		'CALL rfm.refresh(%1$L)', 'SELECT rfm.configure_model(%1$L, rules => ''classic'')', 'CALL rfm.refresh(%1$L, true)', 'SELECT rfm.grant_read(%1$L, ''sec_reader'')',
		'SELECT rfm.check_model(%1$L)', 'SELECT rfm.drop_model(%1$L)']) WITH ORDINALITY c(command, i)
	CROSS JOIN LATERAL attempt(format(c.command, 'watched_' || storage, storage)) a WHERE storage = 'table' OR c.command !~ 'track_changes' $$;
SET ROLE sec_owner;
SELECT watch();
RESET ROLE;
SELECT set_has('SELECT DISTINCT event, object FROM audit', $$SELECT event, 'watched_' || storage || '.customers' FROM unnest('{ddl_command_end,sql_drop}'::text[]) event, unnest('{table,materialized,view}'::text[]) storage$$,
	'an audit sees what is made and dropped');
ALTER EVENT TRIGGER hand_over ENABLE;
SET ROLE sec_owner;
SELECT watch();
RESET ROLE;
SELECT is_empty('SELECT * FROM watched WHERE state <> ''done''', 'and no call fails by them');
SELECT is((SELECT count(*)::int FROM watched), 44, 'of those that make and drop');
DROP EVENT TRIGGER hand_over;
-- One that goes by the search_path of the session stops what is made, and nothing is left.
CREATE OR REPLACE FUNCTION public.audit() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO audit VALUES (TG_EVENT, TG_TAG);
END $$;
GRANT INSERT ON public.audit TO PUBLIC;
SET ROLE sec_owner;
SELECT throws_ok('SELECT rfm.create_model(''watched'', ''base.lines'')', '42P01', 'relation "audit" does not exist', 'a trigger that relies on the search_path of the session is told so');
RESET ROLE;
DROP EVENT TRIGGER audit_end;
DROP EVENT TRIGGER audit_drop;
SELECT is_empty($$SELECT nspname FROM pg_namespace WHERE nspname LIKE 'watched%'$$, 'and nothing is left');

-- ---------- the schema of the extension

SELECT rfm.drop_model(model) FROM rfm.models;
DROP EXTENSION rfm_segments CASCADE;
DROP SCHEMA rfm;
SET ROLE sec_mallory;
CREATE SCHEMA rfm;
-- fits better than where_sql(VARIADIC text[])
CREATE FUNCTION rfm.where_sql(text, text) RETURNS text LANGUAGE sql AS 'SELECT ''''';
CREATE FUNCTION rfm.equal(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''mallory ran''; END';
CREATE OPERATOR rfm.= (FUNCTION = rfm.equal, LEFTARG = oid, RIGHTARG = regclass);
GRANT ALL ON SCHEMA rfm TO sec_reader, PUBLIC;
RESET ROLE;
SELECT throws_like('CREATE EXTENSION rfm_segments', 'schema rfm holds objects of others: %rfm.where_sql(text,text)%', 'a schema rfm that somebody prepared is refused');
SET ROLE sec_mallory;
DROP OPERATOR rfm.= (oid, regclass);
DROP FUNCTION rfm.equal(oid, regclass), rfm.where_sql(text, text);
RESET ROLE;
CREATE EXTENSION rfm_segments;
SELECT results_eq($$SELECT pg_get_userbyid(nspowner), nspacl::text FROM pg_namespace WHERE nspname = 'rfm'$$, $$VALUES ('postgres'::name, '{postgres=UC/postgres,=U/postgres}')$$,
	'an empty one is taken from him, and from whom he let in');
DROP EXTENSION rfm_segments;
DROP SCHEMA rfm;
-- the extension is trusted: mallory may create it
SET ROLE sec_mallory;
CREATE EXTENSION rfm_segments;
SELECT throws_ok('CREATE FUNCTION rfm.where_sql(text, text) RETURNS text LANGUAGE sql AS ''SELECT ''''''''''', '42501', NULL, 'who creates the extension without being superuser adds nothing to it');
SELECT rfm.create_model('den_own', 'lair.lines', as_of => '2023-12-01');
SELECT rfm.drop_model('den_own');
SELECT lives_ok('DROP EXTENSION rfm_segments', 'and drops it');
RESET ROLE;

SELECT * FROM finish();
DROP OWNED BY sec_owner, sec_reader, sec_stranger, sec_mallory, sec_group CASCADE;
DROP ROLE sec_owner, sec_reader, sec_stranger, sec_mallory, sec_group;
