-- aggregate_state: the states of tally (of an array), gateway, cohorts and margin_rate as they travel between machines: each
-- part of the rows gives a state, its text is read elsewhere, put together with others and finished.  A query that compares
-- returns no rows when all is well.
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;

CREATE FUNCTION pg_temp.hash(i bigint, seed bigint) RETURNS int LANGUAGE sql AS
	'SELECT (hashint8extended(i, seed) & 2147483647)::int';

-- What a statement that must fail says.
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM || '.', nullif(hint, ''));
END $$;

-- Customers: among them some who are left out, NULLs, negative and huge money, names and values that are empty or long.
CREATE TABLE state_rows AS
SELECT i, CASE WHEN a % 11 > 0 THEN a % 6 END::smallint AS rank, b % 5 AS orders, CASE b % 7 WHEN 0 THEN NULL WHEN 1 THEN -9.99 WHEN 2 THEN 1e24 ELSE b / 77.0 END AS revenue,
	CASE WHEN a % 3 > 0 THEN a % 700 END AS days, (ARRAY['vip', 'promising', 'loyal', NULL])[1 + b % 4] AS stage, a % 2 = 0 AS event,
	CASE WHEN c % 9 > 0 THEN CASE c % 90 WHEN 1 THEN '' WHEN 2 THEN repeat('long', 3000) ELSE 'é ' || c % 80 END END AS name,
	ARRAY[(ARRAY['web', 'shop', NULL])[1 + c % 3], 'v' || c % 200] AS values,
	CASE WHEN a % 13 > 0 THEN date '2020-01-01' + c % 1000 END AS date, CASE WHEN a % 17 > 0 THEN l.ledger END AS ledger
FROM generate_series(1, 3000) i, LATERAL (SELECT pg_temp.hash(i, 1) AS a, pg_temp.hash(i, 2) AS b, pg_temp.hash(i, 3) AS c) h,
	LATERAL (SELECT rfm.ledger('2020-01-01'::timestamptz + h.c % 2000 * interval '1 day' + k * interval '35 days', h.b % 5000 - k * 100, h.a % 99, NULL, NULL, 'UTC') AS ledger
		FROM generate_series(0, h.a % 4) k) l;
ALTER TABLE state_rows SET (parallel_workers = 3);

-- what a worker does, and what a coordinator does
CREATE AGGREGATE state_of_tally(smallint, bigint, numeric, int, text[]) (SFUNC = rfm.tally_accum, STYPE = rfm.aggregate_state, COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
CREATE AGGREGATE state_of_gateway(text, text, numeric, numeric, int, boolean, bigint) (SFUNC = rfm.gateway_accum, STYPE = rfm.aggregate_state, COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
CREATE AGGREGATE state_of_cohorts(date, rfm.ledger) (SFUNC = rfm.cohorts_accum, STYPE = rfm.aggregate_state, COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
CREATE AGGREGATE state_of_margin_rate(rfm.ledger) (SFUNC = rfm.margin_rate_accum, STYPE = rfm.aggregate_state, COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
CREATE AGGREGATE put_together(rfm.aggregate_state) (SFUNC = rfm.aggregate_state_combine, STYPE = rfm.aggregate_state, COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
CREATE AGGREGATE tally_of_states(rfm.aggregate_state) (SFUNC = rfm.aggregate_state_combine, STYPE = rfm.aggregate_state, FINALFUNC = rfm.tally_final);
CREATE AGGREGATE gateway_of_states(rfm.aggregate_state) (SFUNC = rfm.aggregate_state_combine, STYPE = rfm.aggregate_state, FINALFUNC = rfm.gateway_final);
CREATE AGGREGATE cohorts_of_states(rfm.aggregate_state) (SFUNC = rfm.aggregate_state_combine, STYPE = rfm.aggregate_state, FINALFUNC = rfm.cohorts_final);
CREATE AGGREGATE margin_rate_of_states(rfm.aggregate_state) (SFUNC = rfm.aggregate_state_combine, STYPE = rfm.aggregate_state, FINALFUNC = rfm.margin_rate_final);

CREATE VIEW state_whole AS
SELECT rfm.tally(rank, orders, revenue, days, values)::text AS tally, rfm.gateway(name, stage, revenue, orders, days, event, 2)::text AS gateway,
	rfm.cohorts(date, ledger)::text AS cohorts, rfm.margin_rate(ledger)::text AS margin_rate FROM state_rows;
CREATE TABLE state_expected AS TABLE state_whole;
SELECT length(tally) > 10000 AS tally, length(gateway) > 5000 AS gateway, length(cohorts) > 10000 AS cohorts, margin_rate IS NOT NULL AS margin_rate,
	tally = (SELECT rfm.tally(rank, orders, revenue, days, values[1]::text, values[2]::text)::text FROM state_rows) AS same_as_list FROM state_expected;

-- random parts, some of them without rows: the states of each, as text, read back and put together
CREATE TABLE state_parts AS
SELECT parts, part, t.* FROM unnest('{1,2,9,400}'::int[]) parts, generate_series(0, parts + 2) part, LATERAL (
	SELECT state_of_tally(rank, orders, revenue, days, values) AS tally, state_of_gateway(name, stage, revenue, orders, days, event, 2) AS gateway,
		state_of_cohorts(date, ledger) AS cohorts, state_of_margin_rate(ledger) AS margin_rate FROM state_rows WHERE pg_temp.hash(i, parts) % parts = part) t;
CREATE VIEW state_texts AS
SELECT parts, part, tally::text::rfm.aggregate_state AS tally, gateway::text::rfm.aggregate_state AS gateway, cohorts::text::rfm.aggregate_state AS cohorts,
	margin_rate::text::rfm.aggregate_state AS margin_rate FROM state_parts;
SELECT count(*) AS parts, count(tally) AS tally, count(gateway) AS gateway, count(cohorts) AS cohorts, count(margin_rate) AS margin_rate FROM state_parts;
SELECT parts FROM (
	SELECT parts, tally_of_states(tally)::text AS tally, gateway_of_states(gateway)::text AS gateway, cohorts_of_states(cohorts)::text AS cohorts, margin_rate_of_states(margin_rate)::text AS margin_rate
	FROM state_texts GROUP BY 1) x, state_expected e WHERE (x.tally, x.gateway, x.cohorts, x.margin_rate) IS DISTINCT FROM (e.tally, e.gateway, e.cohorts, e.margin_rate);
-- in another order, and by way of other states
SELECT parts FROM (
	SELECT parts, tally_of_states(tally ORDER BY part DESC)::text AS tally, gateway_of_states(gateway ORDER BY part DESC)::text AS gateway,
		cohorts_of_states(cohorts ORDER BY part DESC)::text AS cohorts, margin_rate_of_states(margin_rate ORDER BY part DESC)::text AS margin_rate
	FROM (SELECT parts, part % 4 AS part, put_together(tally) AS tally, put_together(gateway) AS gateway, put_together(cohorts) AS cohorts, put_together(margin_rate) AS margin_rate
		FROM state_texts GROUP BY 1, 2) p GROUP BY 1) x, state_expected e WHERE (x.tally, x.gateway, x.cohorts, x.margin_rate) IS DISTINCT FROM (e.tally, e.gateway, e.cohorts, e.margin_rate);
-- a part that is finished by itself is the aggregate of its rows
SELECT part FROM state_texts, LATERAL (SELECT rfm.tally(rank, orders, revenue, days, values)::text AS t, rfm.gateway(name, stage, revenue, orders, days, event, 2)::text AS g, rfm.cohorts(date, ledger)::text AS c, rfm.margin_rate(ledger) AS m
	FROM state_rows WHERE pg_temp.hash(i, parts) % parts = part) x
WHERE parts = 9 AND (rfm.tally_final(tally)::text, rfm.gateway_final(gateway)::text, rfm.cohorts_final(cohorts)::text, rfm.margin_rate_final(margin_rate)) IS DISTINCT FROM (t, g, c, m);

-- text and binary, back and forth
SELECT parts, part FROM state_parts s JOIN state_texts t USING (parts, part)
WHERE (s.tally::text, s.gateway::text, s.cohorts::text, s.margin_rate::text) IS DISTINCT FROM (t.tally::text, t.gateway::text, t.cohorts::text, t.margin_rate::text);
CREATE TABLE state_copied (LIKE state_parts);
\copy state_parts TO 'results/states.data' (FORMAT binary)
\copy state_copied FROM 'results/states.data' (FORMAT binary)
SELECT parts, part FROM state_parts s JOIN state_copied t USING (parts, part)
WHERE (s.tally::text, s.gateway::text, s.cohorts::text, s.margin_rate::text) IS DISTINCT FROM (t.tally::text, t.gateway::text, t.cohorts::text, t.margin_rate::text);
SELECT count(*) FROM state_copied;
SELECT part FROM state_parts WHERE rfm.aggregate_state_send(gateway)::text <> '\x' || gateway::text;
SELECT left(state_of_tally(1::smallint, 1, 1, 1, ARRAY[NULL])::text, 2) AS tally, left(state_of_gateway(NULL, NULL, 1, 1, 1, true, 1)::text, 2) AS gateway, left(state_of_cohorts(NULL, NULL)::text, 2) AS cohorts, left(state_of_margin_rate(NULL)::text, 2) AS margin_rate,
	state_of_tally(NULL, 1, 1, 1, NULL) AS nobody;

-- in groups that are hashed, sorted, and of several sets; as a window function, whose states live on after each row's was taken
CREATE VIEW state_groups AS
SELECT stage, event, state_of_tally(rank, orders, revenue, days, values)::text AS tally, state_of_gateway(name, stage, revenue, orders, days, event, 2)::text AS gateway,
	state_of_cohorts(date, ledger)::text AS cohorts, state_of_margin_rate(ledger)::text AS margin_rate FROM state_rows GROUP BY GROUPING SETS ((stage), (event));
CREATE TABLE state_grouped AS TABLE state_groups;
SET enable_hashagg = off;
SELECT stage, event FROM (SELECT stage, event, rfm.tally_final(tally::rfm.aggregate_state)::text, rfm.gateway_final(gateway::rfm.aggregate_state)::text, rfm.cohorts_final(cohorts::rfm.aggregate_state)::text, margin_rate FROM state_grouped) x
EXCEPT ALL
SELECT stage, event FROM (SELECT stage, event, rfm.tally_final(tally::rfm.aggregate_state)::text, rfm.gateway_final(gateway::rfm.aggregate_state)::text, rfm.cohorts_final(cohorts::rfm.aggregate_state)::text, margin_rate FROM state_groups) x;
RESET enable_hashagg;
SELECT i FROM (
	SELECT i, state_of_tally(rank, orders, revenue, days, values) OVER w AS tally, state_of_gateway(name, stage, revenue, orders, days, event, 2) OVER w AS gateway, state_of_cohorts(date, ledger) OVER w AS cohorts,
		state_of_margin_rate(ledger) OVER w AS margin_rate FROM state_rows WHERE i <= 60 WINDOW w AS (ORDER BY i)) x,
	LATERAL (SELECT rfm.tally(rank, orders, revenue, days, values)::text AS t, rfm.gateway(name, stage, revenue, orders, days, event, 2)::text AS g, rfm.cohorts(date, ledger)::text AS c, rfm.margin_rate(ledger) AS m FROM state_rows r WHERE r.i <= x.i) y
WHERE (rfm.tally_final(tally)::text, rfm.gateway_final(gateway)::text, rfm.cohorts_final(cohorts)::text, rfm.margin_rate_final(margin_rate)) IS DISTINCT FROM (t, g, c, m);
-- each group has a state, and none of them a memory context of its own: that would take minutes
SET statement_timeout = '60s';
SET work_mem = '1GB';
SELECT count(m), sum(m) FROM (SELECT rfm.margin_rate('1 - - 10.0000 5.0000') AS m FROM generate_series(1, 300000) i GROUP BY i) x;
RESET statement_timeout;
RESET work_mem;

-- a state that was there before: flat, and not the aggregate's own
SELECT state_of_margin_rate('1 - - 10.0000 5.0000') AS begun FROM generate_series(1, 2) \gset
CREATE AGGREGATE continued(rfm.ledger) (SFUNC = rfm.margin_rate_accum, STYPE = rfm.aggregate_state, FINALFUNC = rfm.margin_rate_final, INITCOND = :'begun');
CREATE AGGREGATE continued_states(rfm.aggregate_state) (SFUNC = rfm.aggregate_state_combine, STYPE = rfm.aggregate_state, FINALFUNC = rfm.margin_rate_final, INITCOND = :'begun');
SELECT continued('1 - - 10.0000 2.0000'), (SELECT continued('1 - - 10.0000 2.0000') FROM generate_series(1, 2)) AS twice, (SELECT continued(NULL) WHERE false) AS nothing,
	(SELECT continued_states(s) FROM unnest(ARRAY[:'begun', NULL, :'begun']::rfm.aggregate_state[]) s) AS states, (SELECT continued_states(NULL)) AS no_state, rfm.margin_rate_final(:'begun');
SELECT state_of_tally(rank, orders, revenue, days, values) AS begun_tally, state_of_gateway(name, stage, revenue, orders, days, event, 2) AS begun_gateway, state_of_cohorts(date, ledger) AS begun_cohorts FROM state_rows WHERE i <= 1000 \gset
CREATE AGGREGATE continued_tally(smallint, bigint, numeric, int, text[]) (SFUNC = rfm.tally_accum, STYPE = rfm.aggregate_state, FINALFUNC = rfm.tally_final, INITCOND = :'begun_tally');
CREATE AGGREGATE continued_gateway(text, text, numeric, numeric, int, boolean, bigint) (SFUNC = rfm.gateway_accum, STYPE = rfm.aggregate_state, FINALFUNC = rfm.gateway_final, INITCOND = :'begun_gateway');
CREATE AGGREGATE continued_cohorts(date, rfm.ledger) (SFUNC = rfm.cohorts_accum, STYPE = rfm.aggregate_state, FINALFUNC = rfm.cohorts_final, INITCOND = :'begun_cohorts');
SELECT e.* FROM state_expected e, (SELECT continued_tally(rank, orders, revenue, days, values)::text AS tally, continued_gateway(name, stage, revenue, orders, days, event, 2)::text AS gateway, continued_cohorts(date, ledger)::text AS cohorts FROM state_rows WHERE i > 1000) x
WHERE (x.tally, x.gateway, x.cohorts) IS DISTINCT FROM (e.tally, e.gateway, e.cohorts);

-- in parallel
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS
	'BEGIN RETURN QUERY EXECUTE ''EXPLAIN (COSTS OFF) '' || query; END';
SET max_parallel_workers_per_gather = 3;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) > 0 AS partial FROM pg_temp.plan('TABLE state_whole') line WHERE line ~ 'Partial Aggregate';
SELECT * FROM state_whole EXCEPT ALL TABLE state_expected;
SELECT e.* FROM state_expected e, (SELECT rfm.tally_final(state_of_tally(rank, orders, revenue, days, values))::text AS tally, rfm.gateway_final(state_of_gateway(name, stage, revenue, orders, days, event, 2))::text AS gateway,
	rfm.cohorts_final(state_of_cohorts(date, ledger))::text AS cohorts, rfm.margin_rate_final(state_of_margin_rate(ledger))::text AS margin_rate FROM state_rows) x
WHERE (x.tally, x.gateway, x.cohorts, x.margin_rate) IS DISTINCT FROM (e.tally, e.gateway, e.cohorts, e.margin_rate);
SET parallel_leader_participation = off;
SELECT * FROM state_whole EXCEPT ALL TABLE state_expected;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;
RESET min_parallel_table_scan_size;

-- nothing, and who calls the steps outside of an aggregate
SELECT rfm.aggregate_state_combine(NULL, NULL), rfm.tally_final(NULL::rfm.aggregate_state), rfm.gateway_final(NULL), rfm.cohorts_final(NULL), rfm.margin_rate_final(NULL), put_together(NULL) AS together;
SELECT tally, gateway, cohorts, margin_rate FROM state_whole, LATERAL (SELECT rfm.tally(rank, orders, revenue, days, values) AS t FROM state_rows WHERE false) x WHERE t IS NOT NULL;
CREATE TABLE state_examples AS
SELECT kind, state::text FROM (
	SELECT state_of_tally(i::smallint, i, i, i, ARRAY['value ' || i, NULL]) AS tally, state_of_gateway('name ' || i / 2, 'vip', i, -i, i, i = 1, 1) AS gateway,
		state_of_cohorts(date '2024-01-31', '1 - - - - 2024-01 p 10.0000 2024-03 a -2.5000') AS cohorts, state_of_margin_rate('1 - - 10.0000 5.0000') AS margin_rate FROM generate_series(1, 3) i) x,
	LATERAL (VALUES ('tally', tally), ('gateway', gateway), ('cohorts', cohorts), ('margin_rate', margin_rate)) v (kind, state);
SELECT kind, call, pg_temp.refusal(format('SELECT ' || call, state)) FROM state_examples,
	unnest('{"rfm.aggregate_state_combine(%1$L, %1$L)","rfm.margin_rate_accum(%1$L, NULL)","rfm.gateway_accum(NULL, ''a'', NULL, 1, 1, 1, true, 1)"}'::text[]) call WHERE kind = 'margin_rate' OR call LIKE '%combine%';

-- states of another aggregate
SELECT a.kind, b.kind AS other, pg_temp.refusal(format('SELECT rfm.%s_final(%L::rfm.aggregate_state)', b.kind, a.state)) AS final,
	pg_temp.refusal(format('SELECT put_together(s) FROM unnest(ARRAY[%L, %L]::rfm.aggregate_state[]) s', a.state, b.state)) AS combine
FROM state_examples a, state_examples b ORDER BY 1, 2;
CREATE AGGREGATE mixed(date, rfm.ledger) (SFUNC = rfm.cohorts_accum, STYPE = rfm.aggregate_state, INITCOND = :'begun');
SELECT pg_temp.refusal('SELECT mixed(NULL, NULL)');

-- hostile texts: every beginning and every changed byte.  Each is an error, or is read and does no harm.
SELECT t, pg_temp.refusal(format('SELECT %L::rfm.aggregate_state', t)) FROM unnest('{"",0,00,05,ff,04,040,"04 ",\\x04,0G}'::text[]) t;
SELECT kind, pg_temp.refusal(format('SELECT %L::rfm.aggregate_state', text)) FROM state_examples, LATERAL (VALUES (upper(state)), (state || '00'), (state || ' '), (left(state, -1))) v (text);
CREATE FUNCTION pg_temp.outcome(kind text, state text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	read rfm.aggregate_state;
BEGIN
	read := state;
	IF read::text <> state THEN
		RETURN 'changed';
	END IF;
	EXECUTE format('SELECT rfm.%s_final($1)::text', kind) USING read;
	EXECUTE format('SELECT %s_of_states($1)::text FROM generate_series(1, 2)', kind) USING read;
	RETURN 'read';
EXCEPTION WHEN invalid_binary_representation OR numeric_value_out_of_range OR invalid_parameter_value THEN
	RETURN 'refused';
END $$;
SELECT kind, pg_temp.outcome(kind, left(state, n)) AS outcome, count(*) FROM state_examples, generate_series(0, length(state) - 1) n GROUP BY 1, 2 ORDER BY 1, 2;
SELECT DISTINCT kind, pg_temp.outcome(kind, encode(set_byte(bytes, n, (get_byte(bytes, n) + x) % 256), 'hex')) AS outcome
FROM state_examples, decode(state, 'hex') bytes, generate_series(0, length(bytes) - 1) n, unnest(ARRAY[1, 127, 128, 255]) x ORDER BY 1, 2;
-- text in another encoding does not get in with a state
SELECT kind, pg_temp.outcome(kind, replace(state, encode('name 1', 'hex'), encode('\x6e616d65ff31', 'hex'))), pg_temp.outcome(kind, replace(state, encode('value 1', 'hex'), encode('\x76616c75650031', 'hex'))) FROM state_examples;

DROP VIEW state_whole, state_texts, state_groups;
DROP TABLE state_rows, state_expected, state_parts, state_copied, state_grouped, state_examples;
DROP AGGREGATE state_of_tally(smallint, bigint, numeric, int, text[]), state_of_gateway(text, text, numeric, numeric, int, boolean, bigint), state_of_cohorts(date, rfm.ledger), state_of_margin_rate(rfm.ledger),
	put_together(rfm.aggregate_state), tally_of_states(rfm.aggregate_state), gateway_of_states(rfm.aggregate_state), cohorts_of_states(rfm.aggregate_state), margin_rate_of_states(rfm.aggregate_state),
	continued(rfm.ledger), continued_states(rfm.aggregate_state), continued_tally(smallint, bigint, numeric, int, text[]), continued_gateway(text, text, numeric, numeric, int, boolean, bigint), continued_cohorts(date, rfm.ledger), mixed(date, rfm.ledger);
