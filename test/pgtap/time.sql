-- The model at another moment: customers_at is what a model made as of then shows, and what a model knows that has only the
-- lines of before; segment_migration is the difference of two such moments. Against plain SQL, in every storage.

\set ON_ERROR_STOP on
\ir include/reference.sql

SELECT no_plan();

CREATE FUNCTION reference.dice(n int, VARIADIC what text[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || left(md5(array_to_string(what, '/')), 8))::bit(32)::bigint % n)::int
$$;

-- Ties of time and amount, NULLs everywhere, refunds, guests; some lines know when they were voided, others are cancelled only.
CREATE TABLE order_lines AS
    SELECT nullif(1 + reference.dice(220, 'customer', i::text) * reference.dice(220, 'again', i::text) / 220, 100) AS customer_id,
           nullif('o' || reference.dice(900, 'order', i::text), 'o13') AS order_id,
           CASE WHEN i % 97 > 0 THEN timestamp '2024-01-01' - reference.dice(900, 'day', i::text) * interval '1 day'
                                     + reference.dice(20, 'hour', i::text) * interval '90 minutes' END AS ordered_at,
           CASE WHEN i % 89 > 0 THEN ((reference.dice(20000, 'amount', i::text) - 2000) / 100.0)::float8 END AS amount,
           (ARRAY['Complete', 'Complete', 'Shipped', 'Returned', NULL])[1 + reference.dice(5, 'status', i::text)] AS status,
           nullif(reference.dice(30, 'product', i::text), 0) AS product_id,
           CASE WHEN i % 7 = 0 THEN timestamptz '2024-01-01 00:00Z' - reference.dice(900, 'voided', i::text) * interval '1 day' END AS voided_at
    FROM generate_series(1, 1500) i;
CREATE TABLE accounts AS
    SELECT i AS customer_id, (ARRAY['web', 'shop', NULL])[1 + reference.dice(3, 'channel', i::text)] AS channel,
           date '2021-01-01' + reference.dice(300, 'signed up', i::text) AS signed_up_at,
           (ARRAY['Peru', 'Chad', NULL])[1 + reference.dice(3, 'country', i::text)] AS country
    FROM generate_series(1, 250) i;
CREATE TABLE products AS
    SELECT i AS product_id, 'category ' || reference.dice(6, 'category', i::text) AS category, i / 3.0 AS cost FROM generate_series(1, 28) i;
CREATE TABLE visits AS
    SELECT customer_id, 's' || reference.dice(2000, 'session', ctid::text, copy::text) AS session_id,
           ordered_at + reference.dice(5, 'visit', ctid::text, copy::text) * interval '12 hours' AS visited_at
    FROM order_lines, generate_series(1, 2) copy;

-- Rows of one query that are not in the other, to the last digit; NULL when there are none.
CREATE FUNCTION reference.differing(query text, other text) RETURNS text LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('WITH x AS (SELECT x::text FROM (%s) x), y AS (SELECT x::text FROM (%s) x),
        a AS (TABLE x EXCEPT ALL TABLE y), b AS (TABLE y EXCEPT ALL TABLE x)
        SELECT format(''%%s rows only here, such as %%s; %%s only there, such as %%s'', (SELECT count(*) FROM a), (SELECT min(x) FROM a),
                      (SELECT count(*) FROM b), (SELECT min(x) FROM b)) WHERE EXISTS (TABLE a) OR EXISTS (TABLE b)', query, other) INTO result;
    RETURN result;
END $$;

-- The lines and visits as they were at a local moment.
CREATE FUNCTION reference.past(moment timestamptz, time_zone text) RETURNS void LANGUAGE plpgsql SET client_min_messages = error AS $$
BEGIN
    DROP SCHEMA IF EXISTS past CASCADE;
    CREATE SCHEMA past;
    CREATE TABLE past.order_lines AS
        SELECT customer_id, order_id, ordered_at, amount, product_id, CASE WHEN voided_at >= moment THEN 'Complete' ELSE status END AS status,
               CASE WHEN voided_at < moment THEN voided_at END AS voided_at
        FROM public.order_lines WHERE ordered_at AT TIME ZONE time_zone < moment;
    CREATE TABLE past.visits AS SELECT * FROM public.visits WHERE visited_at AT TIME ZONE time_zone < moment;
END $$;

CREATE TABLE reference.cases (name text, settings jsonb, moments timestamp[]);
INSERT INTO reference.cases VALUES
    ('as a model starts', '{}', '{2023-06-01, 2022-01-01 04:30, 2024-01-01 10:30, 1999-01-01, 2030-01-01}'),
    ('lookback and a time zone', '{"lookback": "7 months", "time_zone": "Europe/Berlin"}', '{2023-10-29 02:30, 2023-03-26 02:30, 2023-08-31}'),
    ('percentiles on every axis', '{"rules": "classic", "recency_fractions": [0.2,0.4,0.6,0.8], "frequency_fractions": [0.2,0.4,0.6,0.8],
        "monetary_fractions": [0.2,0.4,0.6,0.8], "time_zone": "Asia/Kathmandu", "lookback": "400 days"}', '{2023-02-28 12:34:56.789, 2022-06-01}'),
    ('other cut points and statuses', '{"monetary_cutoffs": [0,50,200], "recency_cutoffs": [30,60], "excluded_statuses": ["Shipped"]}', '{2023-09-01}');
UPDATE reference.cases SET settings = settings || '{"order_lines": "public.order_lines", "accounts": "public.accounts", "products": "public.products",
    "visits": "public.visits", "dimensions": ["country"]}';

SET client_min_messages = error;
CREATE FUNCTION reference.drop_models(VARIADIC models text[]) RETURNS void LANGUAGE sql AS $$ SELECT rfm.drop_model(m) FROM unnest(models) m $$;

-- One case: customers_at of a model of each storage, at each moment, three ways; then the migrations between the moments.
CREATE FUNCTION reference.check_case(name text, settings jsonb, moments timestamp[]) RETURNS SETOF text LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    tz      text := coalesce(settings ->> 'time_zone', 'UTC');
    at      timestamp;
    later   timestamp;
    storage text;
    n       bigint;
BEGIN
    FOREACH storage IN ARRAY '{table,materialized,view}'::text[] LOOP
        PERFORM reference.create_model('in_' || storage, settings || jsonb_build_object('storage', storage, 'as_of', '2024-01-02'));
    END LOOP;
    FOREACH at IN ARRAY moments LOOP
        PERFORM reference.compute(settings || jsonb_build_object('as_of', at));
        PERFORM reference.create_model('as_of_then', settings || jsonb_build_object('storage', 'view', 'as_of', at));
        PERFORM reference.past(at AT TIME ZONE tz, tz);
        PERFORM reference.create_model('of_before', settings || jsonb_build_object('as_of', at, 'order_lines', 'past.order_lines', 'visits', 'past.visits'));
        RETURN NEXT is((SELECT string_agg(concat(s, ': ', d), '; ') FROM unnest('{table,materialized,view}'::text[]) s,
                reference.differing(format('SELECT * FROM in_%s.customers_at(%L)', s, at), 'TABLE as_of_then.customers') d WHERE d IS NOT NULL), NULL,
            format('%s, at %s: customers_at is the view customers of a model as of then', name, at));
        RETURN NEXT is(reference.difference('as_of_then', 'customers'), NULL, '... which is right');
        RETURN NEXT is(reference.differing('TABLE as_of_then.customers', 'TABLE of_before.customers'), NULL,
            '... and that of a model with only the lines of before');
        PERFORM reference.drop_models('as_of_then', 'of_before');

        later := (SELECT min(m) FROM unnest(moments || timestamp '2024-01-02') m WHERE m > at);
        CONTINUE WHEN later IS NULL;
        EXECUTE format('CREATE TABLE reference.was AS SELECT * FROM in_view.customers_at(%L)', at);
        EXECUTE format('CREATE TABLE reference.became AS SELECT * FROM in_view.customers_at(%L)', later);
        FOREACH storage IN ARRAY '{table,materialized,view}'::text[] LOOP
            EXECUTE format('CREATE TABLE reference.moves AS SELECT * FROM in_%s.segment_migration(%L, %L)', storage, at, later);
            RETURN NEXT is(concat(
                reference.differing('SELECT source, source_rank, sum(customers) FROM reference.moves WHERE source_rank IS NOT NULL GROUP BY 1, 2',
                                    'SELECT segment, segment_rank, count(*)::numeric FROM reference.was GROUP BY 1, 2'),
                reference.differing('SELECT target, target_rank, sum(customers), sum(revenue) FROM reference.moves WHERE target_rank IS NOT NULL GROUP BY 1, 2',
                                    'SELECT segment, segment_rank, count(*)::numeric, sum(revenue) FROM reference.became GROUP BY 1, 2'),
                reference.differing('SELECT customers, revenue FROM reference.moves WHERE source = ''New'' AND source_rank IS NULL AND target = ''At Risk''',
                                    'SELECT count(*), sum(revenue) FROM reference.became b WHERE segment = ''At Risk'' AND NOT EXISTS
                                     (SELECT FROM reference.was a WHERE a.customer_id = b.customer_id) HAVING count(*) > 0'),
                reference.differing('SELECT source, customers, revenue FROM reference.moves WHERE target = ''Gone'' AND target_rank IS NULL',
                                    'SELECT segment, count(*), sum(revenue) FROM reference.was a WHERE NOT EXISTS
                                     (SELECT FROM reference.became b WHERE a.customer_id = b.customer_id) GROUP BY segment'),
                reference.differing('SELECT * FROM reference.moves WHERE source_rank IS NOT NULL AND target_rank IS NOT NULL',
                                    'SELECT a.segment, a.segment_rank, b.segment, b.segment_rank, count(*), sum(b.revenue)
                                     FROM reference.was a JOIN reference.became b USING (customer_id) GROUP BY 1, 2, 3, 4')), '',
                format('%s, storage %s: migration from %s to %s', name, storage, at, later));
            DROP TABLE reference.moves;
        END LOOP;
        DROP TABLE reference.was, reference.became;
    END LOOP;
    PERFORM reference.drop_models('in_table', 'in_materialized', 'in_view');
END $$;
SELECT reference.check_case(name, settings, moments) FROM reference.cases;

-- a column voided_at, in every view
SELECT reference.compute(settings || '{"as_of": "2023-06-01"}') FROM reference.cases WHERE name = 'as a model starts';
SELECT reference.create_model('voided_' || storage, settings || jsonb_build_object('as_of', '2023-06-01', 'storage', storage))
FROM reference.cases, unnest('{table,materialized,view}'::text[]) storage WHERE name = 'as a model starts';
SELECT reference.compare('{voided_table,voided_materialized,voided_view}', 'with voided_at');

-- what is asked for

SELECT reference.create_model('shop_' || storage, settings || jsonb_build_object('as_of', '2023-12-01', 'storage', storage, 'lookback', '1 year'))
FROM reference.cases, unnest('{table,materialized,view}'::text[]) storage WHERE name = 'as a model starts';
SELECT is_empty(format('SELECT * FROM %s.segment_migration(%L) EXCEPT ALL SELECT * FROM %1$s.segment_migration(%2$L, %3$L)', 'shop_' || s, '2023-01-01', '2023-12-01'),
    'without to_as_of a migration is up to as_of of the model, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;
SELECT isnt_empty($$SELECT FROM shop_table.segment_migration('2023-01-01')$$, '... and there is one');
SELECT is_empty($$SELECT FROM shop_table.segment_migration('2023-06-01', '2023-06-01') WHERE source <> target$$, 'from a moment to itself nobody moves');
SELECT cmp_ok((SELECT sum(customers) FROM shop_table.segment_migration('2022-06-01') WHERE target = 'Gone'), '>', 0::numeric, 'with a lookback some are gone');
SELECT throws_ok(format('SELECT * FROM shop_%s.%s', s, call), state, message, s || ': ' || call)
FROM unnest('{table,view}'::text[]) s, (VALUES
    ('customers_at(NULL)', '22004', 'as_of must not be NULL'),
    ('customers_at(''infinity'')', '22023', 'as_of must be finite'),
    ('customers_at(''-infinity'')', '22023', 'as_of must be finite'),
    ('segment_migration(NULL)', '22004', 'from_as_of must not be NULL'),
    ('segment_migration(''2023-01-01'', ''infinity'')', '22023', 'to_as_of must be finite'),
    ('segment_migration(''2023-01-02'', ''2023-01-01'')', '22023', 'from_as_of is later than to_as_of'),
    ('segment_migration(''2023-12-02'')', '22023', 'from_as_of is later than as_of of the model')) c(call, state, message);

-- a model that moves with the clock
SELECT reference.create_model('moving', '{"order_lines": "public.order_lines"}');
SELECT reference.create_model('moving_view', '{"order_lines": "public.order_lines", "storage": "view"}');
SELECT is(reference.differing('SELECT * FROM moving.segment_migration(''2023-01-01'')', 'SELECT * FROM moving_view.segment_migration(''2023-01-01'')'), NULL,
    'up to now is up to the last refresh');

-- columns, comments
SELECT is((SELECT pg_get_function_result(format('shop_%s.customers_at(timestamp)', s)::regprocedure)),
    (SELECT format('TABLE(%s)', string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)) FROM pg_attribute
     WHERE attrelid = format('shop_%s.customers', s)::regclass AND attnum > 0), 'the columns are those of customers, storage ' || s)
FROM unnest('{table,materialized,view}'::text[]) s;

-- sessions of any kind
CREATE TABLE here AS SELECT * FROM shop_view.customers_at('2023-02-03 04:05:06.789');
CREATE TABLE moved AS SELECT * FROM shop_view.segment_migration('2022-12-03 04:05:06');
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -15;
SET standard_conforming_strings = off;
SET quote_all_identifiers = on;
SET search_path = '';
CREATE TABLE public.there AS SELECT * FROM shop_view.customers_at('2023-02-03 04:05:06.789');
CREATE TABLE public.moved_there AS SELECT * FROM shop_view.segment_migration('2022-12-03 04:05:06');
RESET ALL;
SET client_min_messages = error;
SELECT is(reference.differing('TABLE here', 'TABLE there'), NULL, 'customers_at in a session of another kind');
SELECT is(reference.differing('TABLE moved', 'TABLE moved_there'), NULL, 'segment_migration in a session of another kind');

-- how it is computed

CREATE TEMP TABLE plan (line text);
CREATE FUNCTION reference.scans(query text, relation text) RETURNS bigint LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    line text;
BEGIN
    TRUNCATE plan;
    EXECUTE 'PREPARE explained(text, text) AS ' || query;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) EXECUTE explained(''2023-06-01'', ''2023-07-01'')' LOOP
        INSERT INTO plan VALUES (line);
    END LOOP;
    DEALLOCATE explained;
    RETURN (SELECT count(*) FROM plan WHERE plan.line LIKE '%Scan on ' || relation || ' %');
END $$;
SELECT is(reference.scans(rfm.customers_at_query('shop_' || s, rfm.resolve_settings(rfm.model_settings('shop_' || s)), false, '$1'), 'order_lines'), 1::bigint,
    'customers_at reads the lines once, storage ' || s) FROM unnest('{table,view}'::text[]) s;
SELECT is(reference.scans(rfm.migration_query('shop_table', rfm.resolve_settings(rfm.model_settings('shop_table')), false), 'order_lines'), 2::bigint,
    'segment_migration reads them twice');
SELECT is(reference.scans(rfm.migration_query('shop_table', rfm.resolve_settings(rfm.model_settings('shop_table')), false), 'visits'), 0::bigint,
    '... and no visits');

CREATE TABLE many_lines AS
    SELECT 'customer ' || reference.dice(12000, 'many', i::text) AS customer_id, reference.dice(20000, 'order', i::text) AS order_id,
           timestamptz '2024-01-01 00:00Z' - reference.dice(900, 'when', i::text) * interval '1 day' AS ordered_at,
           ((reference.dice(20000, 'money', i::text) - 1000) / 100.0) AS amount
    FROM generate_series(1, 30000) i;
ANALYZE many_lines;
SELECT rfm.create_model('small_' || s, 'many_lines', as_of => '2024-01-02', storage => s, build_memory => '1MB') FROM unnest('{table,materialized,view}'::text[]) s;
SELECT rfm.create_model('large_' || s, 'many_lines', as_of => '2024-01-02', storage => s) FROM unnest('{table,materialized,view}'::text[]) s;
CREATE FUNCTION reference.chosen(model text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    s      rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
BEGIN
    EXECUTE 'SELECT ' || rfm.query_choice(model, s, rfm.needs_grouping(model, s), 'one pass', 'by customer') INTO result;
    RETURN result;
END $$;
SELECT is(reference.chosen('small_' || s), 'by customer', 'where one pass would not do, by customer, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;
SELECT is(reference.chosen('large_' || s), 'one pass', 'else in one, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;
SELECT is(reference.differing(format('SELECT * FROM small_%s.customers_at(''2023-06-01'')', s), 'SELECT * FROM large_view.customers_at(''2023-06-01'')'), NULL,
    'the same rows, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;
SELECT is(reference.differing(format('SELECT * FROM small_%s.segment_migration(''2023-06-01'')', s), 'SELECT * FROM large_view.segment_migration(''2023-06-01'')'), NULL,
    'the same migration, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;

-- changing the model changes the functions, at the refresh

CREATE ROLE rfm_time_reader;
GRANT USAGE ON SCHEMA shop_table TO rfm_time_reader;
REVOKE ALL ON FUNCTION shop_table.customers_at FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop_table.customers_at TO rfm_time_reader WITH GRANT OPTION;
SELECT rfm.configure_model('shop_table', dimensions => '{}', lookback => '2 years');
SELECT is(reference.differing('SELECT * FROM shop_table.customers_at(''2023-06-01'')', 'SELECT * FROM shop_view.customers_at(''2023-06-01'')'), NULL,
    'another setting does nothing before the refresh');
CALL rfm.refresh('shop_table');
SELECT reference.create_model('other', settings || '{"as_of": "2023-06-01", "dimensions": [], "lookback": "2 years"}') FROM reference.cases WHERE name = 'as a model starts';
SELECT is(reference.differing('SELECT * FROM shop_table.customers_at(''2023-06-01'')', 'TABLE other.customers'), NULL, '... and something after it');
SELECT is(reference.differing('SELECT grantee::regrole, is_grantable FROM pg_proc, aclexplode(proacl) WHERE oid = ''shop_table.customers_at(timestamp)''::regprocedure AND grantee <> proowner',
    'SELECT ''rfm_time_reader''::regrole, true'), NULL, 'grants on a function survive a column less');
UPDATE shop_table.segment_rules SET m_min = 1 WHERE rule_order = 1;
SELECT is(reference.differing('SELECT * FROM shop_table.customers_at(''2023-06-01'')', 'TABLE other.customers'), NULL, 'edited rules do nothing before the refresh');
CALL rfm.refresh('shop_table');
SELECT isnt(reference.differing('SELECT * FROM shop_table.customers_at(''2023-06-01'')', 'TABLE other.customers'), NULL, '... and something after it');

-- who may

SET ROLE rfm_time_reader;
SELECT throws_ok('SELECT * FROM shop_table.customers_at(''2023-01-01'')', '42501', 'must be owner of model "shop_table"', 'customers_at is for the owner only');
SELECT throws_ok('SELECT * FROM shop_table.segment_migration(''2023-01-01'')', '42501', 'must be owner of model "shop_table"', 'segment_migration is for the owner only');
SELECT throws_ok('SELECT * FROM shop_table.explain_customer(1)', '42501', 'must be owner of model "shop_table"', 'explain_customer is for the owner only');
RESET ROLE;

CREATE ROLE rfm_time_mallory;
SELECT format('GRANT CREATE ON DATABASE %I TO rfm_time_mallory', current_database()) \gexec
CREATE TABLE secret (who text);
REVOKE ALL ON secret FROM PUBLIC;
SET ROLE rfm_time_mallory;
CREATE SCHEMA lair;
CREATE TABLE lair.log (as_whom name, did text);
CREATE FUNCTION lair.trap(amount int) RETURNS int LANGUAGE sql AS 'SELECT amount';
CREATE TABLE lair.lines AS SELECT 1 AS customer_id, 1 AS order_id, timestamp '2023-01-01' AS ordered_at, 5 AS amount;
CREATE VIEW lair.order_lines AS SELECT customer_id, order_id, ordered_at, lair.trap(amount) AS amount FROM lair.lines;
SELECT rfm.create_model('lair_' || s, 'lair.order_lines', storage => s) FROM unnest('{table,view}'::text[]) s;
CREATE OR REPLACE FUNCTION lair.trap(amount int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    attempt text;
BEGIN
    FOREACH attempt IN ARRAY ARRAY['INSERT INTO public.secret VALUES (''mallory was here'')', 'ALTER ROLE rfm_time_mallory SUPERUSER', 'SET ROLE postgres',
            'RESET SESSION AUTHORIZATION', 'CREATE TEMP TABLE passing ()'] LOOP
        BEGIN
            EXECUTE attempt;
            INSERT INTO lair.log VALUES (current_user, attempt);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    INSERT INTO lair.log VALUES (current_user, NULL);
    RETURN amount;
END $$;
RESET ROLE;
SELECT is((SELECT count(*) FROM lair_table.customers_at('2023-06-01')), 1::bigint, 'a superuser asks mallory''s model');
SELECT isnt_empty('SELECT FROM lair.log', '... which acts');
SELECT ok(n > 0, 'and again') FROM (SELECT (SELECT count(*) FROM lair_view.customers_at('2023-06-01')) + (SELECT count(*) FROM lair_table.segment_migration('2023-06-01'))
    + (SELECT count(*) FROM lair_view.segment_migration('2023-06-01')) + (SELECT count(*) FROM lair_table.explain_customer(1))
    + (SELECT count(*) FROM lair_view.explain_customer(1)) AS n) x;
SELECT is_empty('SELECT FROM lair.log WHERE as_whom <> ''rfm_time_mallory''', '... as mallory');
SELECT is_empty('SELECT * FROM lair.log WHERE did IS NOT NULL AND did NOT LIKE ''RESET%''', '... and did nothing that he may not');
SELECT is_empty('TABLE secret', '... nor secretly');
SELECT is_empty('SELECT FROM pg_roles WHERE rolname = ''rfm_time_mallory'' AND rolsuper', 'mallory is no superuser');

-- dropping a model takes its functions along, and only them
CREATE FUNCTION shop_view.customers_at(date) RETURNS int LANGUAGE sql RETURN 1;
SELECT throws_ok('SELECT rfm.drop_model(''shop_view'')', '2BP01', NULL, 'a function of the user''s own stands in the way of drop_model');
DROP FUNCTION shop_view.customers_at(date);
SELECT lives_ok('SELECT rfm.drop_model(''shop_view'')', 'a model goes with its functions');
SELECT is_empty('SELECT FROM pg_namespace WHERE nspname = ''shop_view''', '... all of it');

DROP OWNED BY rfm_time_mallory, rfm_time_reader CASCADE;
DROP ROLE rfm_time_mallory, rfm_time_reader;
SELECT * FROM finish();
