-- What the fuzzer needs in a database that has the extension: its functions, and something real to
-- start from. :module is the path of fuzz.so.

CREATE SCHEMA fuzz;

-- A model of one of the names that the calls try.
CREATE TABLE fuzz.order_lines AS SELECT i AS customer_id, i AS order_id, now() - interval '1 day' AS ordered_at, i AS amount FROM generate_series(1, 9) i;
SELECT rfm.create_model('a', 'fuzz.order_lines');

CREATE FUNCTION fuzz.states(aggregate regprocedure, states bytea[], query text, first bigint, cases bigint, seed bigint, OUT cases_run bigint, OUT accepted bigint, OUT refused bigint)
    AS :'module', 'fuzz_states' LANGUAGE c;
CREATE FUNCTION fuzz.state(aggregate regprocedure, state bytea, query text) RETURNS bytea
    AS :'module', 'fuzz_state' LANGUAGE c;
CREATE FUNCTION fuzz.type(type regtype, texts bytea[], query text, first bigint, cases bigint, seed bigint, OUT cases_run bigint, OUT accepted bigint, OUT refused bigint)
    AS :'module', 'fuzz_type' LANGUAGE c;
CREATE FUNCTION fuzz.calls(first bigint, cases bigint, seed bigint, OUT cases_run bigint, OUT accepted bigint, OUT refused bigint)
    AS :'module', 'fuzz_calls' LANGUAGE c;

-- The aggregates whose states travel, and what gives their bytes.
CREATE VIEW fuzz.travelling AS
SELECT p.oid, p.proname, p.pronargs, a.aggtransfn, a.aggcombinefn, a.aggtranstype::regtype AS state,
    CASE WHEN a.aggserialfn <> 0 THEN a.aggserialfn ELSE t.typsend::regproc END AS bytes
FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_type t ON t.oid = a.aggtranstype
WHERE p.pronamespace = 'rfm'::regnamespace AND (a.aggserialfn <> 0 OR t.oid = 'rfm.aggregate_state'::regtype);

-- For each of them one of the same name that returns the state's bytes.
SELECT format('CREATE AGGREGATE fuzz.%I(%s) (SFUNC = %s, STYPE = %s, FINALFUNC = %s)',
    proname, pg_get_function_arguments(oid), aggtransfn, state, bytes)
FROM fuzz.travelling
\gexec

-- The states, and a query that reads what the aggregate made of them. Overloads share their functions:
-- one of them stands for all.
CREATE TABLE fuzz.aggregates (aggregate regprocedure PRIMARY KEY, states bytea[], query text);

INSERT INTO fuzz.aggregates (aggregate)
SELECT DISTINCT ON (proname, state) oid FROM fuzz.travelling ORDER BY proname, state, pronargs DESC, oid;

-- name: of the aggregate, with its arguments where two of one name are in the list
CREATE FUNCTION fuzz.add(name text, state bytea, query text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    UPDATE fuzz.aggregates g SET states = coalesce(states, '{}') || state, query = coalesce($3, g.query)
    WHERE $1 IN ((SELECT proname FROM pg_proc WHERE oid = g.aggregate), g.aggregate::text)
$$;

SELECT fuzz.add(name, state) FROM (VALUES ('percentile_cutoffs'), ('percent_sums')) n(name), LATERAL (
    SELECT fuzz.percentile_cutoffs(i) FROM generate_series(1, 5) i
    UNION ALL SELECT fuzz.percentile_cutoffs(i, '{0.1,0.5,1}') FROM generate_series(1, 300) i
    UNION ALL SELECT fuzz.percentile_cutoffs(i / 8.0::float8) FROM generate_series(1, 40) i
    UNION ALL SELECT fuzz.percentile_cutoffs(i * 1.25) FROM generate_series(1, 40) i
    UNION ALL SELECT fuzz.percentile_cutoffs(i * 1e-9, '{0.25,0.5}') FROM generate_series(1, 30) i
    UNION ALL SELECT fuzz.percentile_cutoffs(i * 1e30) FROM generate_series(-9, 9) i) s(state);

SELECT fuzz.add('rfm.tally(smallint,bigint,numeric,integer,"any")', state, 'SELECT sum(customers), max(value), sum(revenue) FROM unnest($1)') FROM (
    SELECT fuzz.tally((i % 5)::smallint, i, i * 1.5, i, i % 7) FROM generate_series(1, 40) i
    UNION ALL SELECT fuzz.tally((i % 5)::smallint, i, i * 1.5, NULL, i::text, md5(i::text)::uuid, nullif(i % 3, 0)) FROM generate_series(1, 40) i
    UNION ALL SELECT fuzz.tally(1::smallint, 1, 1, 1, 'a'::text)) s(state);

SELECT fuzz.add('rfm.tally(smallint,bigint,numeric,integer,text[])', state, 'SELECT sum(customers), max(value), sum(revenue) FROM unnest($1)') FROM (
    SELECT fuzz.tally((i % 5)::smallint, i, i * 1.5, i, ARRAY['v' || i % 7]) FROM generate_series(1, 40) i
    UNION ALL SELECT fuzz.tally((i % 5)::smallint, i, i * 1.5, NULL, ARRAY[i::text, NULL, 'é']) FROM generate_series(1, 40) i) s(state);

SELECT fuzz.add('gateway', state, 'SELECT sum(customers), max(name), sum(revenue), max(rate) FROM unnest($1)') FROM (
    SELECT fuzz.gateway('p' || i % 7, CASE i % 3 WHEN 0 THEN 'vip' WHEN 1 THEN 'promising' END, i * 1.5, i, i % 400, i % 2 = 0, 1) FROM generate_series(1, 60) i
    UNION ALL SELECT fuzz.gateway('a', 'vip', 1, 1, 1, true, NULL)
    UNION ALL SELECT fuzz.gateway('b', NULL, NULL, NULL, NULL, NULL, 2)) s(state);

SELECT fuzz.add('visit_boundaries', state) FROM (
    SELECT fuzz.visit_boundaries(i, '2024-01-01'::timestamptz + i * interval '1 day', '2024-01-01'::timestamptz + i * interval '1 day') FROM generate_series(1, 20) i
    UNION ALL SELECT fuzz.visit_boundaries('c' || i, '2024-01-01'::timestamptz, '2024-01-03'::timestamptz) FROM generate_series(1, 20) i
    UNION ALL SELECT fuzz.visit_boundaries(md5(i::text)::uuid, '-infinity', 'infinity') FROM generate_series(1, 3) i) s(state);

SELECT fuzz.add('visits_all', state, 'SELECT count(*) FROM rfm.unpack($1) u(sessions_after_purchase bigint, return_sessions bigint)') FROM (
    SELECT fuzz.visits_all(i % 20, i, '2024-01-01'::timestamptz + i * interval '1 day', b, '2024-03-01', 'UTC') FROM generate_series(1, 90) i,
        (SELECT rfm.visit_boundaries(i, '2024-01-01'::timestamptz + i * interval '1 day', '2024-01-03'::timestamptz + i * interval '1 day') AS b FROM generate_series(1, 20) i) b
    UNION ALL SELECT fuzz.visits_all('c' || i % 20, 's' || i, '2024-01-01'::timestamptz + i * interval '1 day', b, NULL, 'UTC') FROM generate_series(1, 90) i,
        (SELECT rfm.visit_boundaries('c' || i, '2024-01-01'::timestamptz, '2024-01-03'::timestamptz) AS b FROM generate_series(1, 20) i) b
    UNION ALL SELECT fuzz.visits_all(md5('1')::uuid, md5(i::text)::uuid, date '2024-01-01' + i, b, NULL, NULL) FROM generate_series(1, 9) i,
        (SELECT rfm.visit_boundaries(md5(i::text)::uuid, '2024-01-01'::timestamptz, '2024-01-03'::timestamptz) AS b FROM generate_series(1, 3) i) b) s(state);

SELECT fuzz.add('cohorts', state, 'SELECT count(month), sum(revenue) FROM rfm.unpack($1)') FROM (
    SELECT fuzz.cohorts(date '2024-01-01' + i, l) FROM generate_series(1, 100) i,
        (SELECT rfm.ledger('2024-01-01'::timestamptz + i * interval '20 days', i, i, NULL, NULL, 'UTC') AS l FROM generate_series(1, 20) i) l
    UNION ALL SELECT fuzz.cohorts(date '2000-02-29', '1 - - - - -4713-11 p 0.0000 5874898-06 a -3961408125713216879677197.5167')) s(state);

SELECT fuzz.add('margin_rate', state) FROM (
    SELECT fuzz.margin_rate(l) FROM (SELECT rfm.ledger(now(), i, i / 2.0, NULL, NULL, 'UTC') AS l FROM generate_series(1, 5) i) l) s(state);

SELECT fuzz.add('profile_all', state, 'SELECT count(*), sum(revenue), sum(lines), sum(orders), max(first_order_until) FROM rfm.unpack($1) u(orders bigint, lines bigint, revenue numeric, first_order_at timestamptz, first_order_until timestamptz, ledger rfm.ledger)') FROM (
    SELECT fuzz.profile_all(i % 20, i % 70, '2024-01-01'::timestamptz + i * interval '1 day', i - 10) FROM generate_series(1, 200) i
    UNION ALL SELECT fuzz.profile_all(i % 3, i, '2024-01-01'::timestamptz + i * interval '1 day', i) FROM generate_series(1, 200) i
    UNION ALL SELECT fuzz.profile_all('c' || i % 20, 'o' || i % 70, '2024-01-01'::timestamptz + i * interval '1 day', i - 10, 'p' || i % 5) FROM generate_series(1, 200) i
    UNION ALL SELECT fuzz.profile_all(md5((i % 5)::text)::uuid, i::bigint, date '2024-01-01' + i, 1e9::float8, i::smallint, '2024-02-01', '2024-05-01', 'Europe/Berlin', 2000000, 0) FROM generate_series(1, 90) i
    UNION ALL SELECT fuzz.profile_all(i % 4, i::text, '2024-01-01'::timestamptz + i * interval '9 days', i, 'p' || i, '2024-02-01', '2026-01-01', 'UTC', NULL, NULL, i / 2.0, '2026-06-01') FROM generate_series(1, 90) i
    UNION ALL SELECT fuzz.profile_all(1, 1, now(), 1)) s(state);

-- A state put together with itself, and finished by the aggregate that is its own.
CREATE AGGREGATE fuzz.together(rfm.aggregate_state) (SFUNC = rfm.aggregate_state_combine, STYPE = rfm.aggregate_state);
CREATE FUNCTION fuzz.put_together(state rfm.aggregate_state) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    twice rfm.aggregate_state := (SELECT fuzz.together(state) FROM generate_series(1, 2));
BEGIN
    CASE get_byte(rfm.aggregate_state_send(state), 0)
        WHEN 1 THEN RETURN rfm.tally_final(twice);
        WHEN 2 THEN RETURN rfm.gateway_final(twice);
        WHEN 3 THEN RETURN rfm.cohorts_final(twice);
        WHEN 4 THEN RETURN rfm.margin_rate_final(twice);
    END CASE;
END $$;

-- Texts of every type that is not a row, and a query over their values.
CREATE TABLE fuzz.types (type regtype PRIMARY KEY, texts text[], query text);

INSERT INTO fuzz.types VALUES
    ('rfm.rules', ARRAY[rfm.compile_rules(NULL, 2, 2, 2)::text,
        rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules('lifecycle') d))::text,
        rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules('classic') d), 5, 5, 5)::text,
        rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules('classic') d), 9, 9, 9)::text,
        rfm.compile_rules(ARRAY[(1,'"Ää" ''','vip',1,9,1,9,1,9)]::rfm.segment_rule[], 2, 3, 9)::text],
        'SELECT count(*), max(rfm.segment_of(111, $1)), max(rfm.segment_rank(222, $1)), max(rfm.segment_stage(121, $1)) FROM rfm.rule_segments($1)'),
    ('rfm.survival', (SELECT array_agg(s) FROM (
        SELECT rfm.kaplan_meier(i % 37, i % 3 = 0)::text FROM generate_series(1, 100) i
        UNION ALL VALUES ('0:1:0'), ('5:1:2 2147483647:0:9007199254740980')) s(s)),
        'SELECT rfm.kaplan_meier_rate($1, 30), rfm.kaplan_meier_combine($1, $1), (SELECT count(*) FROM (SELECT * FROM rfm.kaplan_meier_curve($1, 0) LIMIT 50) c)'),
    ('rfm.ledger', (SELECT array_agg(s) FROM (
        SELECT rfm.ledger('2024-01-01'::timestamptz + i * interval '20 days', i - 5, i / 2.0, '2024-02-01', '2025-01-01', 'UTC')::text FROM generate_series(1, 50) i
        UNION ALL SELECT rfm.ledger(now(), 9.90, NULL, NULL, NULL, 'UTC')::text
        UNION ALL VALUES ('1 - - - -'), ('1 - - - - -4713-11 p 0.0000 5874898-06 a -3961408125713216879677197.5167')) s(s)),
        'SELECT rfm.ledger_combine($1, $1), rfm.next_line_at($1), rfm.window_line_at($1), rfm.margin_rate(l), rfm.cohorts(date ''2024-01-01'', l), (SELECT count(month) FROM rfm.unpack($1)) FROM (VALUES ($1), ($1)) v(l)'),
    ('rfm.cohorts', (SELECT array_agg(s) FROM (
        SELECT rfm.cohorts(date '2024-01-01' + i * 20, l)::text FROM generate_series(1, 3) i,
            (SELECT rfm.ledger('2024-01-01'::timestamptz + i * interval '20 days', i, i, NULL, NULL, 'UTC') AS l FROM generate_series(1, 5) i) l
        UNION ALL VALUES ('1'), ('1 -4713-11 5874898-06 9223372036854775807 -132922799578491587290380706028034.4575')) s(s)),
        'SELECT count(month), sum(revenue) FROM rfm.unpack($1)'),
    ('rfm.aggregate_state', (SELECT array_agg(encode(state, 'hex')) FROM fuzz.aggregates g, unnest(states) state
        WHERE g.aggregate IN (SELECT oid FROM fuzz.travelling t WHERE t.state = 'rfm.aggregate_state'::regtype)), 'SELECT fuzz.put_together($1)'),
    ('rfm.profile_state', (SELECT array_agg(s) FROM (
        SELECT rfm.profile(i % 7, '2024-01-01'::timestamptz + i * interval '1 day', i - 3)::text FROM generate_series(1, 20) i
        UNION ALL SELECT rfm.profile('o' || i, '2024-01-01'::timestamptz + i * interval '1 day', i - 3, 'p' || i, '2024-01-05')::text FROM generate_series(1, 9) i
        UNION ALL SELECT rfm.profile(md5(i::text)::uuid, '2024-01-01'::timestamptz, i * 1e9, i::bigint)::text FROM generate_series(1, 3) i) s(s)),
        'SELECT rfm.profile_combine($1, $1), rfm.profile_final($1), (SELECT count(*) FROM rfm.unpack($1, ''Europe/Berlin'') u(first_order_date date, second_order_at timestamptz, last_order_date date, orders bigint, lines bigint, revenue numeric, first_order_revenue numeric))'),
    ('rfm.profile_set', ARRAY['(1 customers, 0 further orders)'], NULL),
    ('rfm.visit_boundaries', ARRAY['(1 customers)'], NULL),
    ('rfm.visit_set', ARRAY['(1 customers, 1 sessions)'], NULL);
