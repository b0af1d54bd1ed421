-- gateway: what one pass says of the customers of each name must be what plain SQL and kaplan_meier say, to the last digit,
-- in the same order whatever the plan; wrong calls and foreign bytes end in an error.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

SELECT no_plan();

CREATE SCHEMA t;
CREATE FUNCTION t.hash(i bigint, seed bigint) RETURNS int LANGUAGE sql IMMUTABLE AS
	'SELECT (hashint8extended(i, seed) & 2147483647)::int';

-- Customers with ties, NULLs, extremes, negative and huge money, and names some empty, long, rare or not ASCII.
CREATE FUNCTION t.customers(n int) RETURNS TABLE (i int, name text, stage text, revenue numeric, revenue_after numeric, days int, event boolean)
	LANGUAGE sql AS $$
	SELECT i,
		CASE t.hash(i, 1) % 12 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'é' WHEN 3 THEN 'z' WHEN 4 THEN 'Z' WHEN 5 THEN '日本'
			WHEN 6 THEN repeat('long', 5000) WHEN 7 THEN 'zz' ELSE 'name ' || t.hash(i, 1) % (n / 5 + 1) END,
		(ARRAY['vip', 'promising', 'vipp', 'VIP', 'promisinh', '', NULL])[1 + t.hash(i, 2) % 7],
		CASE t.hash(i, 3) % 10 WHEN 0 THEN NULL WHEN 1 THEN -12.345 WHEN 2 THEN 3961408125713216879677197.5 WHEN 3 THEN -922337203685477.58085
			WHEN 4 THEN 0.00005 WHEN 5 THEN -0.00005 ELSE (t.hash(i, 3) % 1000000) / 10000.0 END,
		CASE t.hash(i, 4) % 10 WHEN 0 THEN NULL WHEN 1 THEN -1844674407370955.1616 WHEN 2 THEN 1844674407370955.1615 WHEN 3 THEN -3e24
			ELSE (t.hash(i, 4) % 2000000) / 10000.0 - 100 END,
		CASE t.hash(i, 5) % 8 WHEN 0 THEN NULL WHEN 1 THEN 2147483647 WHEN 2 THEN 0 ELSE t.hash(i, 5) % 30 END,
		CASE t.hash(i, 6) % 8 WHEN 0 THEN NULL ELSE t.hash(i, 6) % 2 = 0 END
	FROM generate_series(1, n) i $$;

-- The rows of a result as text.
CREATE FUNCTION t.lines(result rfm.gateway_row[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws('|', u.name, u.customers, u.vip_customers, u.promising_customers, coalesce(u.vip_revenue::text, 'none'), u.revenue,
		u.revenue_squares, u.revenue_after, u.revenue_after_squares, coalesce(u.rate::text, 'none'), coalesce(u.rate_low::text, 'none'), coalesce(u.rate_high::text, 'none')), E'\n' ORDER BY n)
	FROM unnest(result) WITH ORDINALITY
		u(name, customers, vip_customers, promising_customers, vip_revenue, revenue, revenue_squares, revenue_after, revenue_after_squares, rate, rate_low, rate_high, n) $$;

-- What plain SQL says of a table of such customers.
CREATE FUNCTION t.expected(customers regclass, minimum bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result rfm.gateway_row[];
BEGIN
	EXECUTE format($q$
		SELECT array_agg(ROW(x.name, x.customers, x.vips, x.promising, x.vip_revenue, x.revenue, x.squares, x.after, x.after_squares,
				k.rate, k.low, k.high)::rfm.gateway_row ORDER BY name COLLATE "C")
		FROM (SELECT name, count(*) AS customers, count(*) FILTER (WHERE stage = 'vip') AS vips, count(*) FILTER (WHERE stage = 'promising') AS promising,
				sum(r) FILTER (WHERE stage = 'vip') AS vip_revenue, sum(r) AS revenue, sum(r * r) AS squares, sum(a) AS after, sum(a * a) AS after_squares,
				rfm.kaplan_meier(days, event) AS survival
			FROM (SELECT *, round(coalesce(revenue, 0), 4) AS r, round(coalesce(revenue_after, 0), 4) AS a FROM %s) c
			WHERE name IS NOT NULL GROUP BY name HAVING count(*) >= $1) x LEFT JOIN LATERAL rfm.kaplan_meier_rate(x.survival, 365) k ON true $q$, customers) INTO result USING minimum;
	RETURN t.lines(result);
END $$;

CREATE TABLE t.none AS SELECT * FROM t.customers(0);
CREATE TABLE t.one AS SELECT * FROM t.customers(1);
CREATE TABLE t.few AS SELECT * FROM t.customers(60);
CREATE TABLE t.many AS SELECT * FROM t.customers(8000);
ALTER TABLE t.many SET (parallel_workers = 3);
SET max_parallel_workers_per_gather = 0;

SELECT is(rfm.gateway(name, stage, revenue, revenue_after, days, event, 1), NULL, 'no customers: NULL') FROM t.none;
SELECT is(t.lines(rfm.gateway(name, stage, revenue, revenue_after, days, event, 1)), t.expected('t.one', 1), 'one customer') FROM t.one;
SELECT is(t.lines(rfm.gateway(name, stage, revenue, revenue_after, days, event, 1)), t.expected('t.few', 1), 'few customers') FROM t.few;
SELECT is(t.lines(rfm.gateway(name, stage, revenue, revenue_after, days, event, minimum)), t.expected('t.many', coalesce(minimum, 1)),
	'many customers, at least ' || coalesce(minimum::text, 'NULL') || ' of a name')
FROM t.many, unnest(ARRAY[NULL, -5, 0, 1, 2, 8, 600]) minimum GROUP BY minimum;
SELECT is(rfm.gateway(name, stage, revenue, revenue_after, days, event, 100000), NULL, 'no name has so many: NULL') FROM t.many;
SELECT ok(bool_or(vip_revenue IS NULL) AND bool_or(revenue < 0) AND bool_or(revenue > 1e25) AND bool_or(revenue_squares > 1e50) AND bool_or(name = '')
	AND bool_or(rate IS NULL) AND bool_or(rate_low IS NULL AND rate = 0) AND bool_or(rate_low < rate_high) AND count(*) > 100, 'among them are the cases that matter')
FROM (SELECT (unnest(rfm.gateway(name, stage, revenue, revenue_after, days, event, 1))).* FROM t.many) x;
SELECT is(t.lines(rfm.gateway(name, stage, revenue, revenue_after, days, event, 1)), t.expected('t.many', 1), 'in another order')
FROM (SELECT * FROM t.many ORDER BY t.hash(i, 99)) x;
SELECT is(rfm.gateway(NULL, 'vip', 1, 1, 1, true, 1), NULL, 'no names: NULL');
SELECT is(rfm.gateway('a', NULL, NULL, NULL, NULL, true, NULL)::text, '{"(a,1,0,0,,0.0000,0.00000000,0.0000,0.00000000,,,)"}', 'all else NULL');
SELECT is(rfm.gateway('a', NULL, 4294967296.0001, -0.0001, 1, true, 1)::text,
	'{"(a,1,0,0,,4294967296.0001,18446744073710410609.45920001,-0.0001,0.00000001,1,,)"}', 'a square by hand');

-- the square of the greatest sum of money, many times over, and a wide sum that was many narrow ones
SELECT results_eq('SELECT (rfm.gateway(''a'', NULL, r, -r, NULL, NULL, 1))[1].revenue_squares, (rfm.gateway(''a'', NULL, r, -r, NULL, NULL, 1))[1].revenue_after_squares
		FROM (VALUES (3961408125713216879677197.5167)) v(r), generate_series(1, 1000)',
	'SELECT 1000 * r * r, 1000 * r * r FROM (VALUES (3961408125713216879677197.5167)) v(r)', 'great squares');

-- several groups, and as a window function: a state lives on after its result was taken
SELECT is_empty($$
	SELECT x.stage FROM (SELECT stage, rfm.gateway(name, stage, revenue, revenue_after, days, event, 1) AS rows FROM t.many GROUP BY stage) x
	JOIN (SELECT stage, count(name) AS customers, count(DISTINCT name) AS names FROM t.many GROUP BY stage) y ON x.stage IS NOT DISTINCT FROM y.stage
	WHERE array_length(x.rows, 1) IS DISTINCT FROM y.names OR (SELECT sum(customers) FROM unnest(x.rows)) <> y.customers$$, 'with GROUP BY');
SELECT results_eq($$SELECT rfm.gateway('n' || i / 2, NULL, i, i, i, true, 2) OVER (ORDER BY i)::text FROM generate_series(1, 5) i$$,
	$$VALUES (NULL), (NULL), ('{"(n1,2,0,0,,5.0000,13.00000000,5.0000,13.00000000,1,,)"}'),
		('{"(n1,2,0,0,,5.0000,13.00000000,5.0000,13.00000000,1,,)"}'),
		('{"(n1,2,0,0,,5.0000,13.00000000,5.0000,13.00000000,1,,)","(n2,2,0,0,,9.0000,41.00000000,9.0000,41.00000000,1,,)"}')$$,
	'as a window function');

-- many names: the index grows, and every one is found again
SELECT is((SELECT string_agg(DISTINCT concat(u.customers, ' ', u.rate), ' ') FROM unnest(rows) u), '3 1', 'many names')
FROM (SELECT rfm.gateway('name ' || i % 100000, 'vip', 1, 1, 1, true, 3) AS rows FROM generate_series(1, 300000) i) x;

-- in parallel
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 3;
CREATE FUNCTION t.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || query; END $$;
SELECT ok(bool_or(p ~ 'Finalize') AND bool_or(p ~ 'Workers Planned: 3'), 'the plan is parallel')
FROM t.plan('SELECT rfm.gateway(name, stage, revenue, revenue_after, days, event, 1) FROM t.many') p;
SELECT is(t.lines((SELECT rfm.gateway(name, stage, revenue, revenue_after, days, event, 2) FROM t.many)), t.expected('t.many', 2), 'workers say the same');
SET parallel_leader_participation = off;
SELECT is(t.lines((SELECT rfm.gateway(name, stage, revenue, revenue_after, days, event, 2) FROM t.many)), t.expected('t.many', 2), 'without their leader, too');
SELECT is((SELECT rfm.gateway(name, stage, revenue, revenue_after, days, event, 2) FILTER (WHERE i < 0) FROM t.many), NULL, 'workers without customers');
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;

-- what is refused
CREATE FUNCTION t.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM || '.', CASE WHEN hint = '' THEN 'without hint' END);
END $$;
SELECT is(t.refusal('SELECT rfm.gateway(''a'', NULL, ' || arguments || ') FROM generate_series(1, 2) i'), message, arguments)
FROM (VALUES ('''NaN'', 1, 1, true, 1', '22003 an amount is NaN or infinite.'), ('1, ''Infinity'', 1, true, 1', '22003 an amount is NaN or infinite.'),
	('4e24, 1, 1, true, 1', '22003 an amount is out of range.'), ('1, -4e24, 1, true, 1', '22003 an amount is out of range.'),
	('1, 1, -1, true, 1', '22003 the number of days is negative: -1.'), ('1, 1, 1, true, i', '22023 minimum changes between rows.')) v(arguments, message);

-- States that a worker might send and did not: every byte changed and every length. C functions take what the server would
-- hand over as internal.
SELECT probin AS module FROM pg_proc WHERE oid = 'rfm.version'::regproc \gset
CREATE FUNCTION t.deserialize(bytea) RETURNS bigint AS :'module', 'rfm_gateway_deserialize' LANGUAGE C STRICT;
CREATE FUNCTION t.combine(bigint, bigint) RETURNS bigint AS :'module', 'rfm_gateway_combine' LANGUAGE C;
CREATE FUNCTION t.final(bigint) RETURNS rfm.gateway_row[] AS :'module', 'rfm_gateway_final' LANGUAGE C;
CREATE AGGREGATE t.combined(bigint) (SFUNC = t.combine, STYPE = bigint, FINALFUNC = t.final);
CREATE FUNCTION t.accum(internal, text, text, numeric, numeric, int, boolean, bigint) RETURNS internal AS :'module', 'rfm_gateway_accum' LANGUAGE C;
CREATE FUNCTION t.serialize(internal) RETURNS bytea AS :'module', 'rfm_gateway_serialize' LANGUAGE C STRICT;
CREATE AGGREGATE t.state(text, text, numeric, numeric, int, boolean, bigint) (SFUNC = t.accum, STYPE = internal, FINALFUNC = t.serialize);
CREATE FUNCTION t.read(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	SELECT sum(length(u.name) + u.revenue + u.revenue_squares) INTO n FROM unnest(t.final(t.deserialize(bytes))) u;
	SELECT sum(length(u.name)) INTO n FROM unnest((SELECT t.combined(t.deserialize(b)) FROM unnest(ARRAY[bytes, bytes]) b)) u;
	RETURN 'read';
EXCEPTION WHEN invalid_binary_representation THEN
	RETURN 'refused';
WHEN character_not_in_repertoire OR numeric_value_out_of_range THEN
	RETURN 'read';
END $$;
CREATE TABLE t.bytes AS SELECT t.state('name ' || i / 2, 'vip', i, -i, i, i = 1, 1) AS bytes FROM generate_series(1, 3) i;
SELECT is((SELECT t.final(t.deserialize(bytes))::text FROM t.bytes), (SELECT rfm.gateway('name ' || i / 2, 'vip', i, -i, i, i = 1, 1)::text
	FROM generate_series(1, 3) i), 'bytes of a state');
SELECT is(t.lines(t.combined(t.deserialize(bytes))), t.expected('t.many', 2), 'three states put together')
FROM (SELECT t.state(name, stage, revenue, revenue_after, days, event, 2) AS bytes FROM t.many GROUP BY t.hash(i, 98) % 3) x;
SELECT set_eq($$SELECT t.read(substr(bytes, 1, n)) FROM t.bytes, generate_series(0, length(bytes) - 1) n$$, $$VALUES ('refused')$$, 'cut off');
SELECT is(t.read(bytes || '\x00'), 'refused', 'too long') FROM t.bytes;
SELECT set_eq($$SELECT t.read(set_byte(bytes, n, (get_byte(bytes, n) + x) % 256)) FROM t.bytes, generate_series(0, length(bytes) - 1) n,
	unnest(ARRAY[1, 127, 128, 255]) x$$, $$VALUES ('read'), ('refused')$$, 'changed: refused or read, and nothing else happens');
SELECT is(t.read(set_byte(bytes, 47, 127)), 'refused', 'more customers than can be added up') FROM t.bytes;
SELECT is(t.read(set_byte(bytes, length(bytes) - 16, x)), y, 'the last name with ' || x || ' bytes') FROM t.bytes, (VALUES (5, 'read'), (6, 'read'), (13, 'refused')) v(x, y);
SELECT is(t.read(set_byte(bytes, length(bytes) - 12, x)), y, 'a name with byte ' || x) FROM t.bytes, (VALUES (66, 'read'), (255, 'refused'), (0, 'refused')) v(x, y);
SELECT is(t.refusal('SELECT t.combined(t.deserialize(x)) FROM t.bytes, unnest(ARRAY[bytes, set_byte(bytes, 0, 7)]) x'), '22023 minimum changes between rows.',
	'states with different minimums');

SELECT * FROM finish();
