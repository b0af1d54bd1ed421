-- The three storages give the same rows, to the last digit, and those of the reference: after changes of the data, after
-- every change of the settings, built in passes, in groups, in parallel and in sessions of any kind.

\set ON_ERROR_STOP on
\ir include/reference.sql

SELECT plan(67);

-- live models plan for more rows than there are, and would be compiled
SET jit = off;

CREATE FUNCTION reference.dice(n int, VARIADIC what text[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || left(md5(array_to_string(what, '/')), 8))::bit(32)::bigint % n)::int
$$;

CREATE TABLE order_lines AS
    SELECT i AS line, nullif(1 + reference.dice(500, 'customer', i::text) * reference.dice(500, 'again', i::text) / 500, 400) AS customer_id,
           'o' || reference.dice(1500, 'order', i::text) AS order_id,
           timestamp '2024-01-01' - reference.dice(900, 'day', i::text) * interval '1 day' + reference.dice(20, 'hour', i::text) * interval '1 hour' AS ordered_at,
           ((reference.dice(20000, 'amount', i::text) - 2000) / 100.0)::float8 AS amount,
           (ARRAY['Complete', 'Complete', 'Shipped', 'Returned', NULL])[1 + reference.dice(5, 'status', i::text)] AS status,
           nullif(reference.dice(30, 'product', i::text), 0) AS product_id
    FROM generate_series(1, 3000) i;
CREATE TABLE accounts AS
    SELECT i AS customer_id, (ARRAY['web', 'shop', NULL])[1 + reference.dice(3, 'channel', i::text)] AS channel,
           date '2021-01-01' + reference.dice(300, 'signed up', i::text) AS signed_up_at,
           (ARRAY['Peru', 'Chad', NULL])[1 + reference.dice(3, 'country', i::text)] AS country, reference.dice(4, 'age', i::text) AS age,
           timestamptz '2020-02-03 04:05:06.7+00' + reference.dice(3, 'seen', i::text) * interval '1 day' AS seen,
           date '1990-12-31' + reference.dice(3, 'born', i::text) AS born, reference.dice(3, 'score', i::text) / 3::float8 AS score
    FROM generate_series(1, 600) i;
CREATE TABLE products AS
    SELECT i AS product_id, 'category ' || reference.dice(6, 'category', i::text) AS category,
           'brand ' || reference.dice(3, 'brand', i::text) AS brand, 'product ' || i AS name, i / 3.0 AS cost FROM generate_series(1, 28) i;
CREATE TABLE visits AS
    SELECT customer_id, 's' || reference.dice(2000, 'session', line::text, copy::text) AS session_id,
           ordered_at + reference.dice(5, 'visit', line::text, copy::text) * interval '12 hours' AS visited_at
    FROM order_lines, generate_series(1, 2) copy;

CREATE TABLE reference.current (settings jsonb, rules text);
INSERT INTO reference.current VALUES
    ('{"order_lines": "public.order_lines", "accounts": "public.accounts", "products": "public.products", "visits": "public.visits", "as_of": "2024-01-02", "dimensions": ["country"]}', NULL);

-- What in one model is not, to the last digit, as in another.
CREATE FUNCTION reference.digits(model text, other text) RETURNS text LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    v      text;
    n      bigint;
    result text;
BEGIN
    FOREACH v IN ARRAY reference.views() LOOP
        CONTINUE WHEN to_regclass(format('%I.%I', model, v)) IS NULL;
        EXECUTE format('WITH x AS (SELECT %4$s FROM %1$I.%3$I x), y AS (SELECT %4$s FROM %2$I.%3$I x)
            SELECT count(*) FROM ((TABLE x EXCEPT ALL TABLE y) UNION ALL (TABLE y EXCEPT ALL TABLE x)) d',
            model, other, v, CASE v WHEN 'overview' THEN '(to_jsonb(x) - ''refreshed_at'')::text' ELSE 'x::text' END) INTO n;
        result := concat_ws('; ', result, CASE WHEN n > 0 THEN format('%s of %s and %s: %s rows', v, model, other, n) END);
    END LOOP;
    RETURN nullif(result, '');
END $$;

-- One test: the models have the rows of the reference, and the same digits.
CREATE FUNCTION reference.same(models text[], name text) RETURNS text LANGUAGE plpgsql SET jit = off AS $$
BEGIN
    PERFORM reference.compute(c.settings, c.rules) FROM reference.current c;
    RETURN is((SELECT string_agg(d, E'\n') FROM (
            SELECT reference.digits(models[1], m) FROM unnest(models[2:]) m
            UNION ALL SELECT m || '.' || v || ': ' || reference.difference(m, v) FROM unnest(models) m, unnest(reference.views()) v) x(d)),
        NULL, name);
END $$;
CREATE FUNCTION reference.same(name text) RETURNS text LANGUAGE sql AS $$
    SELECT reference.same('{in_table,in_materialized,in_view}', name)
$$;

SET client_min_messages = error;
SELECT reference.create_model('in_' || storage, settings || jsonb_build_object('storage', storage))
FROM reference.current, unnest('{table,materialized,view}'::text[]) storage;
SELECT reference.same('as created');

-- what a refresh writes

CREATE FUNCTION reference.last_changed(model text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format('SELECT changed FROM %I.refresh_log ORDER BY refresh_id DESC LIMIT 1', model) INTO result;
    RETURN result;
END $$;
CREATE TABLE reference.before AS SELECT ctid AS place, xmin::text AS writer, * FROM in_table.profiles;
-- How many stored profiles differ from those kept, and how many were written.
CREATE FUNCTION reference.differing() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM reference.before b FULL JOIN in_table.profiles p USING (customer_id)
    WHERE customer_id IS NOT NULL AND (to_jsonb(b) - 'place' - 'writer') IS DISTINCT FROM to_jsonb(p)
$$;
CREATE FUNCTION reference.written() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM reference.before b FULL JOIN (SELECT ctid AS place, xmin::text AS writer, customer_id FROM in_table.profiles) p USING (customer_id)
    WHERE customer_id IS NOT NULL AND (b.place, b.writer) IS DISTINCT FROM (p.place, p.writer)
$$;
CREATE PROCEDURE reference.keep() LANGUAGE plpgsql AS $$
BEGIN
    DROP TABLE reference.before;
    CREATE TABLE reference.before AS SELECT ctid AS place, xmin::text AS writer, * FROM in_table.profiles;
END $$;

SELECT is(reference.last_changed('in_table'), (SELECT count(customer_id) FROM in_table.profiles), 'the first build writes every profile');
SELECT is(reference.last_changed('in_view'), NULL, 'a live model writes none');
CALL rfm.refresh('in_table');
SELECT is(reference.last_changed('in_table'), 0::bigint, 'a refresh without changes writes nothing');
SELECT is(reference.written(), 0::bigint, '... not even the same again');

INSERT INTO order_lines VALUES (-1, 9001, 'new', '2023-12-01', 12.34, NULL, 3), (-2, 9002, 'new', '2023-12-01', 0, 'Complete', NULL),
    (-3, 1, 'new', '2023-12-31', 5, 'Complete', 1), (-4, 2, 'none', '2023-12-31', 5, 'Returned', 1), (-5, NULL, 'guest', '2023-12-31', 7.5, NULL, 1),
    (-6, 9003, 'later', '2024-01-02', 5, NULL, 1), (-7, 3, 'refund', '2023-11-11', -0.01, NULL, NULL);
CALL rfm.refresh('in_table');
CALL rfm.refresh('in_materialized');
CALL rfm.refresh('in_view');
SELECT is(reference.last_changed('in_table'), 5::bigint, 'new lines: two new customers, one to come, two changed ones; not the excluded, the guest');
SELECT is(reference.written(), 5::bigint, '... and only these were written');
SELECT reference.same('after an insert');

CALL reference.keep();
UPDATE order_lines SET amount = amount + 0.0001 WHERE customer_id = 4 AND amount > 1;
UPDATE order_lines SET status = 'Cancelled' WHERE customer_id = 5;
UPDATE order_lines SET ordered_at = ordered_at - interval '1 day' WHERE customer_id = 6;
UPDATE order_lines SET product_id = product_id % 28 + 1, order_id = 'x' || order_id WHERE customer_id IN (7, 8);
UPDATE order_lines SET customer_id = 9001 WHERE customer_id = 9002;
UPDATE order_lines SET amount = NULL WHERE customer_id = 10;
CALL rfm.refresh('in_table');
CALL rfm.refresh('in_materialized');
CALL rfm.refresh('in_view');
SELECT is(reference.last_changed('in_table'), reference.differing(), 'changed is the number of profiles that changed: updates');
SELECT cmp_ok(reference.differing(), '>=', 7::bigint, '... and some did');
SELECT is(reference.written(), reference.differing(), '... and only these were written');
SELECT reference.same('after updates');

CALL reference.keep();
DELETE FROM order_lines WHERE customer_id BETWEEN 20 AND 40 OR line % 97 = 0;
UPDATE accounts SET channel = 'fair' WHERE customer_id = 50;
DELETE FROM accounts WHERE customer_id = 60;
UPDATE products SET category = 'renamed' WHERE product_id = 11;
DELETE FROM products WHERE product_id = 12;
CALL rfm.refresh('in_table');
CALL rfm.refresh('in_materialized');
CALL rfm.refresh('in_view');
SELECT is(reference.last_changed('in_table'), reference.differing(), 'changed is the number of profiles that changed: deletes, accounts, products');
SELECT is(reference.written(), reference.differing(), '... and only these were written');
SELECT reference.same('after deletes');
SELECT reference.create_model('fresh', settings) FROM reference.current;
SELECT is_empty('(SELECT to_jsonb(p) || jsonb_build_object(''ledger'', p.ledger::text) - ''segment_since'' FROM fresh.profiles p EXCEPT ALL SELECT to_jsonb(p) || jsonb_build_object(''ledger'', p.ledger::text) - ''segment_since'' FROM in_table.profiles p) UNION ALL (SELECT to_jsonb(p) || jsonb_build_object(''ledger'', p.ledger::text) - ''segment_since'' FROM in_table.profiles p EXCEPT ALL SELECT to_jsonb(p) || jsonb_build_object(''ledger'', p.ledger::text) - ''segment_since'' FROM fresh.profiles p)',
    'the stored profiles are those of a model made from scratch');

-- by hand, as somebody's own scheduler does it

DELETE FROM order_lines WHERE customer_id BETWEEN 41 AND 45;
INSERT INTO order_lines SELECT line + 10000, customer_id + 10000, order_id, ordered_at, amount, status, product_id FROM order_lines WHERE line % 50 = 1;
SELECT isnt(reference.digits('in_view', 'in_materialized'), NULL, 'a live model follows the data at once, a stored one does not');
BEGIN;
REFRESH MATERIALIZED VIEW CONCURRENTLY in_materialized.profiles;
REFRESH MATERIALIZED VIEW CONCURRENTLY in_materialized.snapshot;
COMMIT;
SELECT reference.same('{in_materialized,in_view}', 'REFRESH MATERIALIZED VIEW CONCURRENTLY by hand');
REFRESH MATERIALIZED VIEW in_materialized.profiles;
REFRESH MATERIALIZED VIEW in_materialized.snapshot;
SELECT reference.same('{in_materialized,in_view}', 'REFRESH MATERIALIZED VIEW by hand');
BEGIN;
CALL rfm.refresh('in_table');
COMMIT;
SELECT reference.same('a refresh inside a transaction');
TRUNCATE reference.before;
CREATE TABLE reference.kept_lines AS TABLE order_lines;
TRUNCATE order_lines;
CALL rfm.refresh('in_table');
CALL rfm.refresh('in_materialized');
SELECT reference.same('after all lines went');
INSERT INTO order_lines TABLE reference.kept_lines;
CALL rfm.refresh('in_table');
CALL rfm.refresh('in_materialized');
SELECT reference.same('after they came back');

-- settings

CREATE ROLE rfm_storages_reader;
GRANT USAGE ON SCHEMA in_table, in_materialized, in_view TO rfm_storages_reader;
DO $$
DECLARE
    model text;
BEGIN
    FOREACH model IN ARRAY '{in_table,in_materialized,in_view}'::text[] LOOP
        EXECUTE format('GRANT SELECT ON %1$I.customers, %1$I.segments TO rfm_storages_reader', model);
        EXECUTE format('GRANT SELECT ON %1$I.overview TO rfm_storages_reader WITH GRANT OPTION', model);
        EXECUTE format('GRANT SELECT ON %I.pareto TO PUBLIC', model);
        EXECUTE format('CREATE VIEW %I AS SELECT segment, count(*), sum(revenue) FROM %I.customers GROUP BY 1', 'users_view_' || model, model);
    END LOOP;
END $$;
-- The grants as they are; NULL when they are as they were given.
CREATE FUNCTION reference.grants_lost() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s.%s of %s', privilege, v, m), ', ')
    FROM unnest('{in_table,in_materialized,in_view}'::text[]) m,
         (VALUES ('customers', 'SELECT'), ('segments', 'SELECT'), ('overview', 'SELECT WITH GRANT OPTION'), ('pareto', 'SELECT')) g(v, privilege)
    WHERE NOT has_table_privilege('rfm_storages_reader', format('%I.%I', m, v), privilege)
$$;
-- Configures the three models and the reference alike; answers what changed before the refresh, which is nothing.
CREATE FUNCTION reference.configure(changes jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    model  text;
    result text;
BEGIN
    FOREACH model IN ARRAY '{in_table,in_materialized,in_view}'::text[] LOOP
        PERFORM reference.call('configure_model', model, changes);
        result := concat_ws('; ', result, reference.digits('kept_' || model, model));
    END LOOP;
    UPDATE reference.current SET settings = (settings || changes)
        - coalesce((SELECT array_agg(u) FROM jsonb_array_elements_text(changes -> 'unset') u), '{}') - 'unset';
    RETURN result;
END $$;
-- Keeps the views of a model as tables.
CREATE PROCEDURE reference.keep_views() LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
    model text;
    v     text;
BEGIN
    FOREACH model IN ARRAY '{in_table,in_materialized,in_view}'::text[] LOOP
        EXECUTE format('DROP SCHEMA IF EXISTS kept_%s CASCADE', model);
        EXECUTE format('CREATE SCHEMA kept_%s', model);
        FOREACH v IN ARRAY reference.views() LOOP
            EXECUTE format('CREATE TABLE kept_%1$s.%2$I AS TABLE %1$I.%2$I', model, v);
        END LOOP;
    END LOOP;
END $$;

\set step 'CALL reference.keep_views(); SELECT is(reference.configure(:''changes''), '''', :''name'' || '': nothing before the refresh''); CALL rfm.refresh(''in_table''); CALL rfm.refresh(''in_materialized''); CALL rfm.refresh(''in_view''); SELECT reference.same(:''name'');'

\set name 'a lookback'
\set changes '{"lookback": "9 months"}'
:step
\set name 'no lookback, a time zone, another as_of'
\set changes '{"unset": ["lookback"], "time_zone": "Europe/Berlin", "as_of": "2023-10-29 02:30"}'
:step
\set name 'cut points'
\set changes '{"monetary_cutoffs": [10,100], "recency_fractions": [0.2,0.4,0.6,0.8,0.9]}'
:step
\set name 'default cut points'
\set changes '{"unset": ["monetary_cutoffs", "recency_fractions"], "as_of": "2024-01-02 00:00"}'
:step
\set name 'a dimension more'
\set changes '{"dimensions": ["country", "age"]}'
:step
SELECT is(reference.grants_lost(), NULL, 'grants survive a dimension more');
SELECT lives_ok('TABLE users_view_in_table; TABLE users_view_in_materialized; TABLE users_view_in_view', 'a user''s view survives a dimension more');
\set name 'other statuses'
\set changes '{"excluded_statuses": ["Shipped"]}'
:step

-- A dimension less takes columns from views: a user's view stands in the way, and is told so; nothing is half done.
CALL reference.keep_views();
SELECT is(reference.configure('{"dimensions": ["age"]}'), '', 'a dimension less: nothing before the refresh');
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
CALL rfm.refresh('in_table');
\set VERBOSITY default
\set refused :LAST_ERROR_SQLSTATE
\set ON_ERROR_STOP on
SELECT is(:'refused'::text, '2BP01', 'a dimension less is refused while a user''s view depends on customers');
SELECT is(reference.digits('kept_in_table', 'in_table'), NULL, '... and the model stays as it was');
SELECT isnt(error, NULL, '... and says so in its log') FROM in_table.refresh_log ORDER BY refresh_id DESC LIMIT 1;
DROP VIEW users_view_in_table, users_view_in_materialized, users_view_in_view;
CALL rfm.refresh('in_table');
CALL rfm.refresh('in_materialized');
CALL rfm.refresh('in_view');
SELECT reference.same('a dimension less');
SELECT is(reference.grants_lost(), NULL, 'grants survive a dimension less');

-- rules
INSERT INTO reference.rule_sets SELECT 'edited', rule_order, segment, stage, r_min, r_max, f_min, f_max, m_min, m_max
    FROM reference.rule_sets WHERE rules = 'lifecycle' AND segment <> 'At Risk';
UPDATE reference.rule_sets SET f_min = 3 WHERE rules = 'edited' AND rule_order = 1;
UPDATE reference.current SET rules = 'edited';
CALL reference.keep_views();
DO $$
DECLARE
    model text;
BEGIN
    FOREACH model IN ARRAY '{in_table,in_materialized,in_view}'::text[] LOOP
        EXECUTE format('DELETE FROM %I.segment_rules WHERE segment = ''At Risk''', model);
        EXECUTE format('UPDATE %I.segment_rules SET f_min = 3 WHERE rule_order = 1', model);
    END LOOP;
END $$;
SELECT is(concat_ws('; ', reference.digits('kept_in_table', 'in_table'), reference.digits('kept_in_materialized', 'in_materialized'),
                    reference.digits('kept_in_view', 'in_view')), '', 'edited rules: nothing before the refresh');
CALL rfm.refresh('in_table');
CALL rfm.refresh('in_materialized');
CALL rfm.refresh('in_view');
SELECT reference.same('edited rules');

-- storage, once around
\set name 'the storages change places'
CREATE VIEW users_view AS SELECT segment, count(*), sum(revenue) FROM in_table.customers GROUP BY 1;
CREATE TABLE users_rows AS TABLE users_view;
CREATE FUNCTION reference.move(to_storage text) RETURNS void LANGUAGE sql AS $$
    SELECT rfm.configure_model('in_table', storage => to_storage)
$$;
SELECT reference.move('materialized');
SELECT is((SELECT storage FROM rfm.models WHERE model = 'in_table'), 'table', 'another storage takes effect at the refresh');
CALL rfm.refresh('in_table');
SELECT is((SELECT storage FROM rfm.models WHERE model = 'in_table'), 'materialized', 'table to materialized');
SELECT reference.same('{in_table,in_view}', '... same rows');
SELECT reference.move('view');
CALL rfm.refresh('in_table');
SELECT is((SELECT storage FROM rfm.models WHERE model = 'in_table'), 'view', 'materialized to view');
SELECT reference.same('{in_table,in_materialized}', '... same rows');
SELECT reference.move('table');
CALL rfm.refresh('in_table');
SELECT is((SELECT storage FROM rfm.models WHERE model = 'in_table'), 'table', 'view to table');
SELECT reference.same('... same rows');
SELECT is(reference.grants_lost(), NULL, 'grants survive all that');
SELECT bag_eq('TABLE users_view', 'TABLE users_rows', 'a user''s view survives all that');

-- many customers in little memory
TRUNCATE reference.kept_lines;
CREATE TABLE many_lines AS
    SELECT 'customer ' || reference.dice(40000, 'many', i::text) AS customer_id, reference.dice(60000, 'order', i::text) AS order_id,
           timestamptz '2024-01-01 00:00Z' - reference.dice(900, 'when', i::text) * interval '1 day' AS ordered_at,
           ((reference.dice(20000, 'money', i::text) - 1000) / 100.0) AS amount
    FROM generate_series(1, 90000) i;
ANALYZE many_lines;
UPDATE reference.current SET rules = NULL, settings = '{"order_lines": "public.many_lines", "as_of": "2024-01-02", "lookback": "800 days"}';
SELECT reference.create_model('small_' || storage, settings || jsonb_build_object('storage', storage, 'build_memory', '1MB'))
FROM reference.current, unnest('{table,materialized,view}'::text[]) storage;
SELECT reference.create_model('large', settings) FROM reference.current;
SELECT cmp_ok((SELECT count(*) FROM large.customers), '>', 30000::bigint, 'many customers');
SELECT reference.same('{large,small_table,small_materialized,small_view}', 'in passes and in groups as in one pass');
SELECT results_eq($$SELECT name, bool_or(query LIKE '%rfm.profile(%') FROM (
        SELECT 'small_materialized' AS name, query FROM small_materialized.compiled_views UNION ALL SELECT 'small_view', query FROM small_view.compiled_views
        UNION ALL SELECT 'large', query FROM large.compiled_views) q GROUP BY name ORDER BY name$$,
    $$VALUES ('large', false), ('small_materialized', true), ('small_view', true)$$, 'where one pass would not do, it is in groups');
DELETE FROM many_lines WHERE customer_id LIKE '%7';
UPDATE many_lines SET amount = amount + 1 WHERE order_id % 1000 = 0;
INSERT INTO many_lines SELECT 'new ' || i, i, '2023-05-05', i FROM generate_series(1, 5000) i;
CALL rfm.refresh('small_table');
CALL rfm.refresh('small_materialized');
CALL rfm.refresh('large');
SELECT reference.same('{large,small_table,small_materialized,small_view}', '... after changes, too');
SELECT is(reference.last_changed('small_table'), reference.last_changed('large'), '... and the passes together write what one writes');
SELECT results_eq('(SELECT passes > 3 FROM small_table.refresh_log) UNION ALL SELECT passes = 1 FROM large.refresh_log UNION ALL SELECT passes IS NULL FROM small_materialized.refresh_log',
    'SELECT true FROM generate_series(1, 6)', '... of which the log has the number');
SELECT is_empty('(SELECT to_jsonb(p) || jsonb_build_object(''ledger'', p.ledger::text) - ''segment_since'' FROM large.profiles p EXCEPT ALL SELECT to_jsonb(p) || jsonb_build_object(''ledger'', p.ledger::text) - ''segment_since'' FROM small_table.profiles p) UNION ALL (SELECT to_jsonb(p) || jsonb_build_object(''ledger'', p.ledger::text) - ''segment_since'' FROM small_table.profiles p EXCEPT ALL SELECT to_jsonb(p) || jsonb_build_object(''ledger'', p.ledger::text) - ''segment_since'' FROM large.profiles p)',
    '... the same profiles');

-- in parallel
ALTER TABLE many_lines SET (parallel_workers = 3);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 3;
SELECT reference.create_model('parallel_' || storage, settings || jsonb_build_object('storage', storage))
FROM reference.current, unnest('{table,materialized,view}'::text[]) storage;
CREATE TEMP TABLE plan (line text);
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN EXPLAIN (COSTS OFF) SELECT * FROM parallel_view.customers LOOP
        INSERT INTO plan VALUES (line);
    END LOOP;
END $$;
SELECT isnt_empty($$SELECT FROM plan WHERE line LIKE '%Partial Aggregate%'$$, 'forced, the lines are read in parallel');
SELECT is(concat_ws('; ', reference.digits('large', 'parallel_view'), reference.digits('large', 'parallel_table'), reference.digits('large', 'parallel_materialized')),
    '', 'parallel as serial');
CREATE TEMP TABLE forced AS SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT is(concat_ws('; ', reference.digits('large', 'parallel_view'), reference.digits('parallel_table', 'small_view')), '', '... everything in a worker');
RESET ALL;
SET client_min_messages = error;

-- sessions of any kind
UPDATE reference.current SET settings = '{"order_lines": "public.order_lines", "accounts": "public.accounts", "products": "public.products", "visits": "public.visits", "as_of": "2023-10-29 02:30",
    "time_zone": "Europe/Berlin", "lookback": "1 year 1 mon 1 day 1 hour", "dimensions": ["country", "seen", "born", "score", "age"]}';
SELECT reference.create_model('plain_' || storage, settings || jsonb_build_object('storage', storage))
FROM reference.current, unnest('{table,materialized,view}'::text[]) storage;
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET standard_conforming_strings = off;
SET backslash_quote = on;
SET quote_all_identifiers = on;
SET transform_null_equals = on;
SET enable_hashagg = off;
SET search_path = 'public';
SELECT reference.create_model('odd_' || storage, settings || jsonb_build_object('storage', storage))
FROM reference.current, unnest('{table,materialized,view}'::text[]) storage;
CALL rfm.refresh('plain_table');
SELECT is(reference.last_changed('plain_table'), 0::bigint, 'a refresh in a session of another kind finds nothing changed');
CALL rfm.refresh('plain_materialized');
CALL rfm.refresh('plain_view');
CREATE TABLE read_here AS SELECT segment, dimension, value, customers FROM odd_view.segment_breakdown;
RESET ALL;
SET client_min_messages = error;
SELECT is((SELECT string_agg(reference.digits('plain_table', m), '; ')
           FROM unnest('{plain_materialized,plain_view,odd_table,odd_materialized,odd_view}'::text[]) m WHERE reference.digits('plain_table', m) <> ''),
    NULL, 'models made in a session of another kind are the same');
SELECT bag_eq('TABLE read_here', 'SELECT segment, dimension, value, customers FROM plain_view.segment_breakdown', '... and read there, too');
SELECT reference.same('{plain_table,plain_view}', '... and right');

DROP OWNED BY rfm_storages_reader;
DROP ROLE rfm_storages_reader;
SELECT * FROM finish();
