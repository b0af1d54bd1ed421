-- grant_read and revoke_read: a reader reads all that is public and nothing below it, also after refreshes that replace
-- views, make new ones or change the storage.
\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE ROLE read_owner;
CREATE ROLE "Read; ""er""";
CREATE ROLE read_member IN ROLE "Read; ""er""";
CREATE ROLE read_other;
SELECT format('GRANT CREATE ON DATABASE %I TO read_owner', current_database()) \gexec

CREATE SCHEMA base AUTHORIZATION read_owner;
SET ROLE read_owner;
CREATE TABLE base.lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric, status text, product_id int);
CREATE TABLE base.accounts (customer_id int, channel text, signed_up_at date, country text);
CREATE TABLE base.products (product_id int, category text, cost numeric);
CREATE TABLE base.visits (customer_id int, session_id int, visited_at timestamptz);
INSERT INTO base.lines SELECT i % 60, i, '2024-01-01Z'::timestamptz + i * interval '1 hour', i, 'Complete', i % 3 FROM generate_series(1, 200) i;
INSERT INTO base.accounts SELECT i, 'web', '2023-01-01', 'Peru' FROM generate_series(1, 60) i;
INSERT INTO base.products SELECT i, 'c' || i, 1 FROM generate_series(0, 2) i;
SELECT rfm.create_model('The "Shop"', 'base.lines', 'base.accounts', as_of => '2024-02-01');
SELECT rfm.create_model('other', 'base.lines', as_of => '2024-02-01');
RESET ROLE;

-- What a role may read of a model, and what it may not: every relation is tried.
CREATE FUNCTION public.tries(reader name, model text DEFAULT 'The "Shop"') RETURNS TABLE (relation text, result text)
	LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT c.oid::regclass AS name, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE (n.nspname = model OR n.nspname = 'base') AND c.relkind IN ('r', 'v', 'm')
	LOOP
		relation := r.relname;
		BEGIN
			EXECUTE format('SET LOCAL ROLE %I', reader);
			EXECUTE format('SELECT count(t::text) FROM %s t', r.name);
			result := 'read';
		EXCEPTION WHEN OTHERS THEN
			result := SQLSTATE;
		END;
		RESET ROLE;
		RETURN NEXT;
	END LOOP;
END $$;
-- What is public, written down once more.
CREATE FUNCTION public.should_read() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT unnest('{action_plan,action_texts,campaigns,channel_maturity,churn_risk,cohort_retention,customers,first_purchase_timing,gateway_moments,
	  gateway_products,overview,pareto,promising_activity,refresh_log,repurchase_curve,repurchase_timing,roi,score_cells,segment_breakdown,
	  segment_history,segment_rules,segments,settings}'::text[])
	INTERSECT
	SELECT relname::text FROM pg_class WHERE relnamespace = '"The ""Shop"""'::regnamespace
$$;
CREATE FUNCTION public.reads(what text, reader name) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT set_eq(format('SELECT relation FROM tries(%L) WHERE result = ''read''', reader), 'SELECT * FROM should_read()', what || ': reads what is public');
	RETURN NEXT is_empty(format('SELECT * FROM tries(%L) WHERE result NOT IN (''read'', ''42501'')', reader), what || ': is refused the rest');
	RETURN NEXT is_empty(format($q$SELECT * FROM tries(%L, 'other') WHERE result = 'read'$q$, reader), what || ': nor reads another model');
END $$;
CREATE FUNCTION public.reads_nothing(what text, reader name) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT is_empty(format('SELECT * FROM tries(%L) WHERE result <> ''42501''', reader), what || ': reads nothing');
$$;
-- SELECT, EXECUTE and USAGE, to whom, of a model.
CREATE VIEW public.grants AS
	SELECT c.relname::text AS object, g.privilege_type, g.grantee FROM pg_class c, aclexplode(c.relacl) g
	WHERE c.relnamespace = '"The ""Shop"""'::regnamespace AND g.grantee <> c.relowner
	UNION ALL SELECT 'schema', g.privilege_type, g.grantee FROM pg_namespace n, aclexplode(n.nspacl) g
	WHERE n.nspname = 'The "Shop"' AND g.grantee <> n.nspowner
	UNION ALL SELECT p.proname::text, g.privilege_type, g.grantee FROM pg_proc p, aclexplode(p.proacl) g
	WHERE p.pronamespace = '"The ""Shop"""'::regnamespace AND g.grantee NOT IN (0, p.proowner);
CREATE FUNCTION public.warnings(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' / ', SQLSTATE, SQLERRM, CASE WHEN hint = '' THEN 'no hint' ELSE 'hint' END);
END $$;

SELECT no_plan();

SELECT isnt_empty('SELECT * FROM should_read()', 'something is public');
SELECT set_eq($$SELECT DISTINCT relation FROM tries('read_owner') EXCEPT SELECT * FROM should_read()$$,
	$$SELECT relname::text FROM pg_class WHERE relnamespace IN ('"The ""Shop"""'::regnamespace, 'base'::regnamespace) AND relkind IN ('r', 'v', 'm')
	    AND (relnamespace = 'base'::regnamespace OR obj_description(oid, 'pg_class') LIKE 'Internal.%')$$, 'what is not is internal or a base table');
SELECT reads_nothing('a stranger', 'read_other');

-- grant
SET ROLE read_owner;
SELECT rfm.grant_read('The "Shop"', 'Read; "er"');
RESET ROLE;
SELECT reads('granted', 'Read; "er"');
SELECT reads('a member of the role', 'read_member');
SELECT reads_nothing('nobody else', 'read_other');
SELECT set_eq('SELECT DISTINCT privilege_type, grantee FROM grants',
	$$SELECT p, '"Read; ""er"""'::regrole FROM unnest('{SELECT,USAGE,EXECUTE}'::text[]) p$$, 'only what reading takes is granted');
SELECT set_eq('SELECT DISTINCT object FROM grants EXCEPT SELECT * FROM should_read()', $$SELECT 'schema' UNION SELECT proname::text
	FROM unnest(rfm.own_functions('The "Shop"')) f JOIN pg_proc ON pg_proc.oid = f$$, 'on the schema, on what is public and on the functions');
CREATE TEMP TABLE before AS TABLE grants;
SELECT rfm.grant_read('The "Shop"', 'Read; "er"');
SELECT bag_eq('TABLE grants', 'TABLE before', 'once more changes nothing, nor does a superuser grant otherwise than the owner');

-- refreshes: replaced, dropped and new views, other storages
SET ROLE read_owner;
CALL rfm.refresh('The "Shop"');
SELECT rfm.configure_model('The "Shop"', dimensions => '{country}');
CALL rfm.refresh('The "Shop"');
RESET ROLE;
SELECT reads('new columns', 'Read; "er"');
SET ROLE read_owner;
SELECT rfm.configure_model('The "Shop"', dimensions => '{}');
CALL rfm.refresh('The "Shop"');
RESET ROLE;
SELECT reads('columns less', 'Read; "er"');
SELECT hasnt_view('The "Shop"', 'gateway_products', 'a view that is not there yet');
UPDATE "The ""Shop""".settings SET products = 'base.products', visits = 'base.visits';
SET ROLE read_owner;
CALL rfm.refresh('The "Shop"');
RESET ROLE;
SELECT has_view('The "Shop"', 'gateway_products', 'there it is');
SELECT reads('new views', 'Read; "er"');
SELECT ok(EXISTS (SELECT FROM grants WHERE object = 'gateway_lift'), 'new functions');
SET ROLE read_member;
SELECT isnt_empty($$SELECT * FROM "The ""Shop""".gateway_lift('c1', 'c2')$$, 'which answer');
SELECT isnt_empty($$SELECT * FROM "The ""Shop""".roi_sensitivity('3 win back At Risk')$$, 'as the others do');
RESET ROLE;
SELECT rfm.configure_model('The "Shop"', storage => 'materialized');
CALL rfm.refresh('The "Shop"');
SELECT reads('storage materialized', 'Read; "er"');
SELECT rfm.configure_model('The "Shop"', storage => 'view', lookback => '1 year');
CALL rfm.refresh('The "Shop"');
SELECT reads('storage view', 'Read; "er"');
SELECT rfm.configure_model('The "Shop"', storage => 'table', dimensions => '{country}');
CALL rfm.refresh('The "Shop"');
SELECT reads('storage table again', 'Read; "er"');
SELECT set_eq('SELECT DISTINCT privilege_type, grantee FROM grants', 'SELECT DISTINCT privilege_type, grantee FROM before', 'still, only what reading takes');

-- who was granted some views only does not get new ones
UPDATE "The ""Shop""".settings SET visits = NULL;
CALL rfm.refresh('The "Shop"');
GRANT USAGE ON SCHEMA "The ""Shop""" TO read_other;
GRANT SELECT ON "The ""Shop""".overview, "The ""Shop""".segments TO read_other;
UPDATE "The ""Shop""".settings SET visits = 'base.visits';
CALL rfm.refresh('The "Shop"');
SELECT set_eq($$SELECT relation FROM tries('read_other') WHERE result = 'read'$$, '{overview,segments}'::text[], 'who was granted two views has two');
SELECT reads('and who was granted all', 'Read; "er"');
REVOKE ALL ON ALL TABLES IN SCHEMA "The ""Shop""" FROM read_other;
REVOKE ALL ON SCHEMA "The ""Shop""" FROM read_other;

-- revoke
SET ROLE read_owner;
SELECT rfm.revoke_read('The "Shop"', 'Read; "er"');
RESET ROLE;
SELECT reads_nothing('revoked', 'Read; "er"');
SELECT is_empty('TABLE grants', 'nothing is left');
SELECT rfm.configure_model('The "Shop"', dimensions => '{}');
CALL rfm.refresh('The "Shop"');
SELECT is_empty('TABLE grants', 'nor comes back');

-- everyone
SELECT rfm.grant_read('The "Shop"', 'public');
SELECT reads('public', 'read_other');
SELECT rfm.configure_model('The "Shop"', dimensions => '{country}');
CALL rfm.refresh('The "Shop"');
SELECT reads('public, after a refresh', 'read_other');
SELECT rfm.revoke_read('The "Shop"', 'public');
SELECT reads_nothing('public, revoked', 'read_other');
SET ROLE read_owner;
SELECT isnt_empty('SELECT * FROM "The ""Shop""".customers', 'the owner reads, whatever was revoked');

-- errors
SELECT is(warnings($$SELECT rfm.grant_read('none', 'read_other')$$), '3F000 / model "none" does not exist / hint');
SELECT is(warnings($$SELECT rfm.grant_read(NULL, 'read_other')$$), '3F000 / model "<NULL>" does not exist / hint');
SELECT is(warnings($$SELECT rfm.grant_read('other', 'nobody at all')$$), '42704 / role "nobody at all" does not exist / hint');
SELECT is(warnings($$SELECT rfm.grant_read('other', NULL)$$), '22004 / role must not be NULL / hint');
SELECT is(warnings($$SELECT rfm.grant_read('other', 'read_owner')$$), '0LP01 / role "read_owner" owns model "other" and may read it anyway / hint');
SELECT is(warnings($$SELECT rfm.revoke_read('other', 'read_owner')$$), '0LP01 / role "read_owner" owns model "other" and may read it anyway / hint');
SET ROLE read_other;
SELECT is(warnings($$SELECT rfm.grant_read('other', 'read_other')$$), '42501 / must be owner of model "other" / hint');
SELECT is(warnings($$SELECT rfm.revoke_read('other', 'read_other')$$), '42501 / must be owner of model "other" / hint');
RESET ROLE;

-- where functions are not for everyone, grant_read says what is missing; what it says is enough
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA rfm FROM PUBLIC;
REVOKE USAGE ON SCHEMA rfm FROM PUBLIC;
GRANT USAGE ON SCHEMA rfm TO read_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rfm TO read_owner;
SELECT rfm.grant_read('The "Shop"', 'read_other');
SELECT isnt_empty($$SELECT * FROM tries('read_other') WHERE relation = 'customers' AND result = '42501'$$, 'functions are not for everyone');
GRANT USAGE ON SCHEMA rfm TO read_other;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rfm TO read_other;
SELECT reads('granted what the warning says', 'read_other');
SET ROLE read_other;
SELECT isnt_empty($$SELECT * FROM "The ""Shop""".roi_sensitivity('3 win back At Risk')$$, 'functions, too');
RESET ROLE;

SELECT * FROM finish();
DROP VIEW public.grants;
SELECT rfm.drop_model('The "Shop"');
SELECT rfm.drop_model('other');
DROP OWNED BY read_owner, "Read; ""er""", read_member, read_other CASCADE;
DROP ROLE read_owner, "Read; ""er""", read_member, read_other;
