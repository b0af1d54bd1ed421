-- Row-level security on the tables below a model: what is stored holds what the owner of the model may see, whoever
-- refreshes or reads; a live model applies the policies that are the owner's, with current_user being the reader.
\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE ROLE rls_keeper;
CREATE ROLE rls_owner;
CREATE ROLE rls_reader;
SELECT format('GRANT CREATE ON DATABASE %I TO rls_keeper, rls_owner', current_database()) \gexec
SET ROLE rls_keeper;
CREATE SCHEMA base;
GRANT USAGE ON SCHEMA base TO rls_owner;
-- each customer is of one seller
CREATE TABLE base.lines (customer_id text, order_id int, ordered_at timestamptz, amount numeric, seller name);
INSERT INTO base.lines SELECT 'of ' || s, row_number() OVER (), '2024-01-01Z', 5, s FROM unnest('{rls_keeper,rls_owner,rls_reader,nobody}'::text[]) s;
ALTER TABLE base.lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON base.lines USING (seller = current_user);
GRANT SELECT, TRIGGER ON base.lines TO rls_owner;
SET ROLE rls_owner;
SELECT rfm.create_model(storage || '_of_owner', 'base.lines', as_of => '2024-02-01', storage => storage) FROM unnest('{table,materialized,view}'::text[]) storage;
SELECT rfm.grant_read(storage || '_of_owner', 'rls_reader') FROM unnest('{table,materialized,view}'::text[]) storage;
SET ROLE rls_keeper;
SELECT rfm.create_model(storage || '_of_keeper', 'base.lines', as_of => '2024-02-01', storage => storage) FROM unnest('{table,materialized,view}'::text[]) storage;
RESET ROLE;

-- The customers that a role sees in a model.
CREATE FUNCTION public.sees(who name, model text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', who);
	EXECUTE format('SELECT string_agg(substr(customer_id, 4), '','' ORDER BY customer_id) FROM %I.customers', model) INTO answer;
	RESET ROLE;
	RETURN answer;
END $$;
CREATE FUNCTION public.refresh_all(kind text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	FOR name IN SELECT m.model FROM rfm.models m WHERE m.model LIKE '%' || kind LOOP
		CALL rfm.refresh(name);
	END LOOP;
END $$;
SELECT no_plan();

-- the owner of the model is not that of the table
SELECT is(sees('rls_owner', model), 'rls_owner', model || ': the owner sees his rows')
FROM unnest('{table_of_owner,materialized_of_owner,view_of_owner}'::text[]) model;
SELECT is(sees('rls_reader', 'table_of_owner'), 'rls_owner', 'table: a reader sees what the owner saw');
SELECT is(sees('rls_reader', 'materialized_of_owner'), 'rls_owner', 'materialized: a reader sees what the owner saw');
SELECT is(sees('rls_reader', 'view_of_owner'), 'rls_reader', 'view: current_user in a policy is the reader');
SELECT is(sees('postgres', 'view_of_owner'), NULL, 'a superuser, too: the policies are those that apply to the owner');
-- whoever calls
SELECT refresh_all('owner');
SELECT is(sees('rls_reader', 'table_of_owner'), 'rls_owner', 'table: a superuser who refreshes adds no rows');
SELECT is(sees('rls_reader', 'materialized_of_owner'), 'rls_owner', 'materialized: nor here');
SELECT results_eq(format('SELECT customer_id FROM %I.customers_at(''2024-01-15'')', model), $$VALUES ('of rls_owner')$$, model || ': customers_at reads as the owner')
FROM unnest('{table_of_owner,materialized_of_owner,view_of_owner}'::text[]) model;
SELECT throws_ok(format('SELECT * FROM %I.explain_customer(''of nobody'')', model), 'P0002', NULL, model || ': explain_customer reads as the owner')
FROM unnest('{table_of_owner,materialized_of_owner,view_of_owner}'::text[]) model;
SELECT results_eq(format($$SELECT count FROM rfm.check_model(%L) WHERE finding LIKE 'in the segments%%'$$, model), 'VALUES (1::bigint)', model || ': check_model reads as the owner')
FROM unnest('{table_of_owner,materialized_of_owner}'::text[]) model;

-- the owner of the table: no policy holds for him, unless it is forced
SELECT is(sees('rls_keeper', model), 'nobody,rls_keeper,rls_owner,rls_reader', model || ': the owner of the table sees all rows')
FROM unnest('{table_of_keeper,materialized_of_keeper,view_of_keeper}'::text[]) model;
SET ROLE rls_keeper;
SELECT rfm.grant_read('view_of_keeper', 'rls_reader');
RESET ROLE;
SELECT is(sees('rls_reader', 'view_of_keeper'), 'nobody,rls_keeper,rls_owner,rls_reader', 'view: and so does his reader');
ALTER TABLE base.lines FORCE ROW LEVEL SECURITY;
SELECT is(sees('rls_keeper', 'table_of_keeper'), 'nobody,rls_keeper,rls_owner,rls_reader', 'FORCE ROW LEVEL SECURITY: what is stored stays until the refresh');
SELECT refresh_all('keeper');
SELECT is(sees('rls_keeper', model), 'rls_keeper', model || ': FORCE ROW LEVEL SECURITY')
FROM unnest('{table_of_keeper,materialized_of_keeper,view_of_keeper}'::text[]) model;
SELECT is(sees('rls_reader', 'view_of_keeper'), 'rls_reader', 'view: for the reader as well');
-- no policy at all: no row
DROP POLICY own ON base.lines;
SELECT refresh_all('keeper');
SELECT is(sees('rls_keeper', model), NULL, model || ': without a policy there is no row')
FROM unnest('{table_of_keeper,materialized_of_keeper,view_of_keeper}'::text[]) model;
-- a policy for the owner alone, who is not the reader
CREATE POLICY named ON base.lines TO rls_owner USING (seller <> 'nobody');
SELECT refresh_all('owner');
SELECT is(sees('rls_reader', model), 'rls_keeper,rls_owner,rls_reader', model || ': a policy for the owner holds for his readers')
FROM unnest('{table_of_owner,materialized_of_owner,view_of_owner}'::text[]) model;

-- BYPASSRLS of the owner counts, that of others does not
ALTER ROLE rls_reader BYPASSRLS;
SELECT is(sees('rls_reader', model), 'rls_keeper,rls_owner,rls_reader', model || ': BYPASSRLS of a reader changes nothing')
FROM unnest('{table_of_owner,materialized_of_owner,view_of_owner}'::text[]) model;
ALTER ROLE rls_reader NOBYPASSRLS;
ALTER ROLE rls_owner BYPASSRLS;
SELECT refresh_all('owner');
SELECT is(sees('rls_reader', model), 'nobody,rls_keeper,rls_owner,rls_reader', model || ': BYPASSRLS of the owner opens all to his readers')
FROM unnest('{table_of_owner,materialized_of_owner,view_of_owner}'::text[]) model;
ALTER ROLE rls_owner NOBYPASSRLS;
SELECT refresh_all('owner');
SELECT is(sees('rls_reader', model), 'rls_keeper,rls_owner,rls_reader', model || ': without it they are as before')
FROM unnest('{table_of_owner,materialized_of_owner,view_of_owner}'::text[]) model;

-- row_security = off asks for an error instead of rows that are left out: the snapshot stays
SET row_security = off;
SELECT throws_ok(format('CALL rfm.refresh(%L)', model), '42501', NULL, model || ': row_security = off stops a refresh')
FROM unnest('{table_of_owner,materialized_of_owner}'::text[]) model;
SELECT throws_ok('SELECT * FROM view_of_owner.customers', '42501', NULL, 'and readers of a live model');
SELECT is(sees('rls_reader', model), 'rls_keeper,rls_owner,rls_reader', model || ': what is stored is there')
FROM unnest('{table_of_owner,materialized_of_owner}'::text[]) model;
RESET row_security;

-- changes are not tracked where policies hold: a policy may let other rows through without any statement
SET ROLE rls_owner;
SELECT rfm.track_changes('table_of_owner', 'base.lines', 'customer_id');
CALL rfm.refresh('table_of_owner');
CALL rfm.refresh('table_of_owner');
RESET ROLE;
SELECT results_eq('SELECT mode, reason FROM table_of_owner.refresh_log ORDER BY refresh_id DESC LIMIT 1',
	$$VALUES ('full', 'row-level security of base.lines applies to rls_owner, who reads it')$$, 'a refresh under policies reads all');

-- policies on the model itself, by its owner: views show what he may see
SET ROLE rls_owner;
ALTER TABLE table_of_owner.campaigns ENABLE ROW LEVEL SECURITY;
RESET ROLE;
SET ROLE rls_reader;
SELECT is_empty('TABLE table_of_owner.campaigns', 'policies on the editable tables are the owner''s to make');
RESET ROLE;

SELECT * FROM finish();
DROP OWNED BY rls_keeper, rls_owner, rls_reader CASCADE;
DROP ROLE rls_keeper, rls_owner, rls_reader;
