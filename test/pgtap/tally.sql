-- tally: what one pass counts by several dimensions must be what plain SQL groups, to the last digit, in the same order
-- whatever the plan; wrong calls and foreign bytes end in an error.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

SELECT no_plan();

CREATE SCHEMA t;
CREATE FUNCTION t.hash(i bigint, seed bigint) RETURNS int LANGUAGE sql IMMUTABLE AS
	'SELECT (hashint8extended(i, seed) & 2147483647)::int';
CREATE DOMAIN t.code AS varchar(20);

-- Customers with ties, NULLs, extremes, negative and huge money, and values of every type, some empty, long or not ASCII.
CREATE FUNCTION t.customers(n int) RETURNS TABLE (i int, segment_rank smallint, orders bigint, revenue numeric, days int,
	a smallint, b int, c bigint, d uuid, e text, f t.code, g varchar) LANGUAGE sql AS $$
	SELECT i,
		CASE t.hash(i, 1) % 12 WHEN 0 THEN NULL WHEN 1 THEN 32767 WHEN 2 THEN -32768 ELSE t.hash(i, 1) % 5 END::smallint,
		CASE t.hash(i, 2) % 10 WHEN 0 THEN NULL WHEN 1 THEN 1000000000000 ELSE t.hash(i, 2) % 4 END,
		CASE t.hash(i, 3) % 10 WHEN 0 THEN NULL WHEN 1 THEN -12.345 WHEN 2 THEN 1e24 WHEN 3 THEN -922337203685477.58085
			WHEN 4 THEN 0.00005 WHEN 5 THEN -0.00005 ELSE (t.hash(i, 3) % 1000000) / 10000.0 END,
		CASE WHEN t.hash(i, 4) % 3 > 0 AND t.hash(i, 7) % 5 > 0 THEN t.hash(i, 4) % 2000 - 500 END,
		CASE t.hash(i, 5) % 7 WHEN 0 THEN NULL WHEN 1 THEN 32767 WHEN 2 THEN -32768 ELSE t.hash(i, 5) % 12 END::smallint,
		CASE t.hash(i, 6) % 7 WHEN 0 THEN NULL WHEN 1 THEN -2147483648 ELSE t.hash(i, 6) % 12 - 5 END::int,
		CASE t.hash(i, 7) % 5 WHEN 0 THEN NULL WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 4294967296 ELSE 0 END,
		CASE t.hash(i, 8) % 9 WHEN 0 THEN NULL ELSE md5((t.hash(i, 8) % 9)::text)::uuid END,
		CASE t.hash(i, 9) % 9 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'é' WHEN 3 THEN 'z' WHEN 4 THEN 'Z' WHEN 5 THEN '日本'
			WHEN 6 THEN repeat('long', 5000) WHEN 7 THEN 'zz' ELSE 'NULL' END,
		(ARRAY['web', 'shop', NULL])[1 + t.hash(i, 10) % 3],
		'name ' || i % (n / 2 + 1)
	FROM generate_series(1, n) i $$;

-- What plain SQL says of a table of such customers.
CREATE FUNCTION t.expected(customers regclass) RETURNS rfm.tally_row[] LANGUAGE plpgsql AS $$
DECLARE
	result rfm.tally_row[];
BEGIN
	EXECUTE format($q$
		SELECT array_agg(ROW(dimension, value, segment_rank, customers, repurchased, orders, revenue, days)::rfm.tally_row
			ORDER BY dimension, value COLLATE "C" NULLS LAST, segment_rank)
		FROM (SELECT dimension, value, segment_rank, count(*) AS customers, count(*) FILTER (WHERE orders >= 2) AS repurchased,
				coalesce(sum(orders), 0) AS orders, sum(round(coalesce(revenue, 0), 4)) AS revenue, sum(days) AS days
			FROM %s CROSS JOIN LATERAL (VALUES (1, a::text), (2, b::text), (3, c::text), (4, d::text), (5, e), (6, f::text), (7, g::text))
				v(dimension, value)
			WHERE segment_rank IS NOT NULL GROUP BY 1, 2, 3) x $q$, customers) INTO result;
	RETURN result;
END $$;

CREATE TABLE t.none AS SELECT * FROM t.customers(0);
CREATE TABLE t.one AS SELECT * FROM t.customers(1);
CREATE TABLE t.few AS SELECT * FROM t.customers(40);
CREATE TABLE t.many AS SELECT * FROM t.customers(6000);
ALTER TABLE t.many SET (parallel_workers = 3);
SET max_parallel_workers_per_gather = 0;

SELECT is(rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g)::text, t.expected('t.none')::text, 'no customers') FROM t.none;
SELECT is(rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g), NULL, 'no customers: NULL') FROM t.none;
SELECT is(rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g)::text, t.expected('t.one')::text, 'one customer') FROM t.one;
SELECT is(rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g)::text, t.expected('t.few')::text, 'few customers') FROM t.few;
SELECT is(rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g)::text, t.expected('t.many')::text, 'many customers') FROM t.many;
SELECT ok(bool_or(days IS NULL) AND bool_or(days < 0) AND bool_or(value IS NULL) AND bool_or(value = '') AND bool_or(revenue > 1e24)
	AND bool_or(revenue < 0) AND count(*) > 3000, 'among them are the cases that matter') FROM unnest(t.expected('t.many'));
SELECT is(rfm.tally(NULL, 1, 1, 1, 'a'::text), NULL, 'nobody has a segment: NULL');
SELECT is(rfm.tally(1::smallint, NULL, NULL, NULL, NULL::text)::text, '{"(1,,1,1,0,0,0.0000,)"}', 'all else NULL');
SELECT is((SELECT rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g)::text FROM (SELECT * FROM t.many ORDER BY t.hash(i, 99)) x),
	t.expected('t.many')::text, 'in another order');

-- an array of text: the same rows
CREATE FUNCTION t.as_array(customers regclass) RETURNS rfm.tally_row[] LANGUAGE plpgsql AS $$
DECLARE
	result rfm.tally_row[];
BEGIN
	EXECUTE format('SELECT rfm.tally(segment_rank, orders, revenue, days, ARRAY[a::text, b::text, c::text, d::text, e, f::text, g::text]) FROM %s', customers) INTO result;
	RETURN result;
END $$;
SELECT is(t.as_array(customers)::text, t.expected(customers)::text, customers || ' as an array of text')
FROM unnest('{t.none,t.one,t.few,t.many}'::regclass[]) customers;
SELECT is(rfm.tally(segment_rank, orders, revenue, days, ARRAY[a::text, b::text, c::text, d::text, e, f::text, g::text]), rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g),
	'with values of every type, in another order') FROM (SELECT * FROM t.many ORDER BY t.hash(i, 99)) x;
SELECT is(rfm.tally(1::smallint, i, i, i, x), rfm.tally(1::smallint, i, i, i, x[lower]::text, x[lower + 1]::text), 'an array that begins elsewhere, with ' || lower)
FROM (SELECT i, lower, CASE lower WHEN 1 THEN ARRAY['a', 'b' || i % 2] WHEN 0 THEN '[0:1]={a,NULL}' ELSE ('[-3:-2]={NULL,' || repeat('x', i * 3000) || '}')::text[] END AS x
	FROM generate_series(1, 5) i, unnest('{1,0,-3}'::int[]) lower) y GROUP BY lower;
CREATE TABLE t.arrays AS SELECT i, ARRAY[repeat('long', 1000 * i), 'short', NULL] AS x FROM generate_series(1, 9) i;
SELECT is(rfm.tally(1::smallint, i, i, i, x), rfm.tally(1::smallint, i, i, i, x[1]::text, x[2]::text, x[3]::text), 'arrays that are toasted') FROM t.arrays;
SELECT is(rfm.tally(NULL, 1, 1, 1, NULL::text[]), NULL, 'nobody has a segment, and nothing is read of him: NULL');
SELECT is(rfm.tally(nullif(i, 1)::smallint, i, i, i, CASE WHEN i > 1 THEN ARRAY['a'] END)::text, '{"(1,a,2,1,1,2,2.0000,2)"}', 'nor of one among others') FROM generate_series(1, 2) i;
SELECT is(rfm.tally(1::smallint, 1, 1, 1, VARIADIC ARRAY['a', 'b']), rfm.tally(1::smallint, 1, 1, 1, 'a'::text, 'b'::text), 'VARIADIC says nothing');

-- 32 values
SELECT 'i' || repeat(', i', 31) AS values \gset
SELECT is(array_length(rfm.tally(1::smallint, 1, 1, 1, :values), 1), 32 * 3, '32 values') FROM generate_series(1, 3) i;

-- several groups, a filter, and as a window function: a state lives on after its result was taken
SELECT is_empty($$
	SELECT x.a, y.n FROM (SELECT a, rfm.tally(segment_rank, orders, revenue, days, e) AS rows FROM t.many GROUP BY a) x
	JOIN (SELECT a, count(DISTINCT (segment_rank, e)) FILTER (WHERE segment_rank IS NOT NULL) AS n FROM t.many GROUP BY a) y
	ON x.a IS NOT DISTINCT FROM y.a
	WHERE array_length(x.rows, 1) IS DISTINCT FROM y.n OR (SELECT sum(customers) FROM unnest(x.rows)) <>
		(SELECT count(segment_rank) FROM t.many WHERE a IS NOT DISTINCT FROM x.a)$$, 'with GROUP BY');
SELECT results_eq('SELECT array_length(rfm.tally(1::smallint, 1, 1, 1, i / 2) OVER (ORDER BY i), 1) FROM generate_series(1, 5) i',
	'VALUES (1), (2), (2), (3), (3)', 'as a window function');

-- many values: the index grows, and every one is found again
SELECT is((SELECT array_agg(customers ORDER BY customers)::text FROM (SELECT DISTINCT customers FROM unnest(rows)) u), '{3}', 'many different values')
FROM (SELECT rfm.tally(1::smallint, 1, 1, 1, i % 100000) AS rows FROM generate_series(1, 300000) i) x;

-- in parallel
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 3;
CREATE FUNCTION t.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || query; END $$;
SELECT ok(bool_or(p ~ 'Finalize') AND bool_or(p ~ 'Workers Planned: 3'), 'the plan is parallel')
FROM t.plan('SELECT rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g) FROM t.many') p;
SELECT is(rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g)::text, t.expected('t.many')::text, 'workers say the same') FROM t.many;
SET parallel_leader_participation = off;
SELECT is(rfm.tally(segment_rank, orders, revenue, days, a, b, c, d, e, f, g)::text, t.expected('t.many')::text, 'without their leader, too') FROM t.many;
SELECT is(rfm.tally(segment_rank, orders, revenue, days, a) FILTER (WHERE i < 0), NULL, 'workers without customers') FROM t.many;
RESET parallel_leader_participation;
SELECT ok(bool_or(p ~ 'Finalize') AND bool_or(p ~ 'Workers Planned: 3'), 'the plan of an array is parallel')
FROM t.plan('SELECT rfm.tally(segment_rank, orders, revenue, days, ARRAY[e, f::text]) FROM t.many') p;
SELECT is(t.as_array('t.many')::text, t.expected('t.many')::text, 'and says the same');
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
SELECT is(t.refusal('SELECT rfm.tally(1::smallint, 1, 1, 1, ' || arguments || ')'), message, arguments)
FROM (VALUES ('VARIADIC ARRAY[1, 2]', '0A000 the values of tally cannot be a VARIADIC array.'),
	(repeat('1, ', 32) || '1', '54023 tally has 33 values, more than 32.'),
	('1, true', '42804 value 2 of tally has type boolean.'),
	('1.5', '42804 value 1 of tally has type numeric.'),
	('''x''', '42725 function rfm.tally(smallint, integer, integer, integer, unknown) is not unique.'),
	('date ''2024-01-01''', '42804 value 1 of tally has type date.'),
	('''x''::char(3)', '42804 value 1 of tally has type character.')) v(arguments, message);
SELECT is(t.refusal('SELECT rfm.tally(1::smallint, 1, 1, 1, ' || array_value || ') FROM generate_series(1, 2) i'), message, array_value)
FROM (VALUES ('NULL::text[]', '22023 the values of tally are no list.'), ('''{}''::text[]', '22023 the values of tally are no list.'),
	('ARRAY[ARRAY[''a'', ''b'']]', '22023 the values of tally are no list.'),
	('array_fill(''a''::text, ARRAY[33])', '54023 tally has 33 values, more than 32.'),
	('array_fill(''a''::text, ARRAY[i])', '22023 the number of values changes between rows, from 1 to 2.')) v(array_value, message);
SELECT is(array_length(rfm.tally(1::smallint, 1, 1, 1, array_fill('a'::text, ARRAY[32])), 1), 32, '32 values in an array');
SELECT is(t.refusal('SELECT rfm.tally(1::smallint, ' || arguments || ', NULL, i) FROM generate_series(1, 1) i'), message, arguments)
FROM (VALUES ('1, ''NaN''', '22003 an amount is NaN or infinite.'), ('1, ''-Infinity''', '22003 an amount is NaN or infinite.'),
	('1, 4e24', '22003 an amount is out of range.'), ('1, -4e24', '22003 an amount is out of range.'), ('1, 1e40', '22003 an amount is out of range.')) v(arguments, message);
SELECT is(rfm.tally(1::smallint, 1, amount, NULL, 1)::text, format('{"(1,1,1,1,0,1,%s,)"}', round(amount, 4)), amount || ' is not')
FROM (VALUES (3961408125713216879677197.5167), (-3961408125713216879677197.5167), (99999999999999999999.99995)) v(amount) GROUP BY amount;
SELECT is(t.refusal('SELECT rfm.tally(1::smallint, 9223372036854775807, 0, 0, 1) FROM generate_series(1, 2)'),
	'22003 the orders of a group are out of range.', 'too many orders');

-- States that a worker might send and did not: every byte changed and every length. C functions take what the server would
-- hand over as internal.
SELECT probin AS module FROM pg_proc WHERE oid = 'rfm.version'::regproc \gset
CREATE FUNCTION t.deserialize(bytea) RETURNS bigint AS :'module', 'rfm_tally_deserialize' LANGUAGE C STRICT;
CREATE FUNCTION t.combine(bigint, bigint) RETURNS bigint AS :'module', 'rfm_tally_combine' LANGUAGE C;
CREATE FUNCTION t.final(bigint) RETURNS rfm.tally_row[] AS :'module', 'rfm_tally_final' LANGUAGE C;
CREATE AGGREGATE t.combined(bigint) (SFUNC = t.combine, STYPE = bigint, FINALFUNC = t.final);
CREATE AGGREGATE t.state(smallint, bigint, numeric, int, VARIADIC "any") (SFUNC = rfm.tally_accum, STYPE = internal, FINALFUNC = rfm.tally_serialize);
CREATE FUNCTION t.read(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	SELECT sum(length(u.value)) INTO n FROM unnest(t.final(t.deserialize(bytes))) u;
	SELECT sum(length(u.value)) INTO n FROM unnest((SELECT t.combined(t.deserialize(b)) FROM unnest(ARRAY[bytes, bytes]) b)) u;
	RETURN 'read';
EXCEPTION WHEN invalid_binary_representation THEN
	RETURN 'refused';
WHEN character_not_in_repertoire OR numeric_value_out_of_range THEN
	RETURN 'read';
END $$;
CREATE TABLE t.bytes AS SELECT t.state(i::smallint, i, i, i, i, md5(i::text)::uuid, 'text ' || i) AS bytes FROM generate_series(1, 3) i;
SELECT is((SELECT t.final(t.deserialize(bytes))::text FROM t.bytes), (SELECT rfm.tally(i::smallint, i, i, i, i, md5(i::text)::uuid, 'text ' || i)::text
	FROM generate_series(1, 3) i), 'bytes of a state');
SELECT is(t.combined(t.deserialize(bytes))::text, t.expected('t.many')::text, 'three states put together')
FROM (SELECT t.state(segment_rank, orders, revenue, days, a, b, c, d, e, f, g) AS bytes FROM t.many GROUP BY t.hash(i, 98) % 3) x;
SELECT set_eq($$SELECT t.read(substr(bytes, 1, n)) FROM t.bytes, generate_series(0, length(bytes) - 1) n$$, $$VALUES ('refused')$$, 'cut off');
SELECT is(t.read(bytes || '\x00'), 'refused', 'too long') FROM t.bytes;
SELECT set_eq($$SELECT t.read(set_byte(bytes, n, (get_byte(bytes, n) + x) % 256)) FROM t.bytes, generate_series(0, length(bytes) - 1) n,
	unnest(ARRAY[1, 127, 128, 255]) x$$, $$VALUES ('read'), ('refused')$$, 'changed: refused or read, and nothing else happens');
SELECT is(t.read(set_byte(bytes, 16 + n, 200)), 'refused', 'type of a dimension') FROM t.bytes, unnest(ARRAY[0, 1, 2, 3, 31]) n;
SELECT is(t.read(set_byte(bytes, 48 + 58, x)), y, 'dimension ' || x || ' of a group') FROM t.bytes, (VALUES (0, 'read'), (3, 'refused')) v(x, y);
SELECT is(t.read(set_byte(bytes, 48 + n, 2)), 'refused', 'neither true nor false') FROM t.bytes, unnest(ARRAY[59, 60]) n;
SELECT is(t.refusal(format('SELECT t.combined(t.deserialize(bytes)) FROM (TABLE t.bytes UNION ALL SELECT t.state(1::smallint, 1, 1, 1, %s)) x', v)), message, 'states with other values: ' || v)
FROM (VALUES ('1, 1', '22023 the number of values changes between rows, from 3 to 2.'), ('1, 1, 1', '22P03 invalid value for type rfm.tally.')) v(v, message);

SELECT * FROM finish();
