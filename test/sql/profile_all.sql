-- profile_all: all customers in one pass.  It must agree with profile, which the test profile
-- proves against plain SQL.  A query that compares returns no rows when all is well.
SET timezone = 'Pacific/Auckland';
SET datestyle = ISO;

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

CREATE FUNCTION pg_temp.hash(i bigint, seed bigint) RETURNS int LANGUAGE sql AS
	'SELECT (hashint8extended(i, seed) & 2147483647)::int';

-- The n-th id of a type, as text.
CREATE FUNCTION pg_temp.id(n int, type text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN type LIKE 'int_' THEN
			CASE n
				WHEN 1 THEN CASE type WHEN 'int2' THEN '-32768' WHEN 'int4' THEN '-2147483648' ELSE '-9223372036854775808' END
				WHEN 2 THEN CASE type WHEN 'int2' THEN '32767' WHEN 'int4' THEN '2147483647' ELSE '9223372036854775807' END
				ELSE CASE type WHEN 'int2' THEN (n * 37 % 30000 - 100) WHEN 'int4' THEN n * 65536 - 10000000 ELSE (n - 100) * 4294967296 END::text
			END
		WHEN type = 'uuid' THEN CASE n WHEN 1 THEN '00000000-0000-0000-0000-000000000000' ELSE md5(n::text) END
		WHEN n = 1 THEN ''
		WHEN n = 2 THEN ' '
		WHEN n % 40 = 3 THEN repeat('ab', 2000) || n
		WHEN n % 40 = 4 THEN (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 100) i)
		ELSE (ARRAY['number ', 'ßtraße→', 'Z', 'z', '-'])[n % 5 + 1] || n
	END
$$;

-- Customers with 1, 2, ... 40 orders and more, all interleaved; NULLs, ties, refunds.
CREATE TABLE profile_all_lines AS
SELECT CASE WHEN a % 50 > 0 THEN CASE b % 6 WHEN 0 THEN b / 6 % 8 WHEN 1 THEN b / 6 % 50 ELSE b / 6 % 800 END END AS customer,
	CASE WHEN a / 50 % 60 > 0 THEN CASE WHEN c % 4 = 0 THEN c / 4 % 3 ELSE c % 400 END END AS "order",
	CASE WHEN a / 3000 % 60 > 0 THEN timestamp '2023-10-27 21:00' + CASE WHEN d % 3 > 0 THEN d % 60 * interval '1 hour' + d % 7 * interval '26 days' ELSE d % 4 * interval '1 day' END END AS at,
	CASE WHEN a / 180000 % 60 > 0 THEN (ARRAY[0, 9.99, 9.99, 10, -9.99, e % 1000000 / 100.0, e / 1000.0, -(e % 3000000) / 100.0])[1 + e / 7 % CASE WHEN b / 6 % 2 = 0 THEN 8 ELSE 5 END] END::numeric AS amount,
	CASE WHEN f % 9 > 0 THEN f / 9 % 60 END AS product
FROM generate_series(1, 6000) i,
	LATERAL (SELECT pg_temp.hash(i, 1) AS a, pg_temp.hash(i, 2) AS b, pg_temp.hash(i, 3) AS c, pg_temp.hash(i, 4) AS d,
		pg_temp.hash(i, 5) AS e, pg_temp.hash(i, 6) AS f) h;

-- The columns of unpack, for types of customer_id, order_id and product_id.
CREATE FUNCTION pg_temp.columns(id text[]) RETURNS text LANGUAGE sql AS $$
	SELECT format('first_order_id %s, first_order_at timestamptz, first_order_until timestamptz, first_order_revenue numeric,
		first_product_id %s, second_order_at timestamptz, last_order_at timestamptz, last_order_date date, orders bigint, lines bigint, revenue numeric', id[2], id[3]) $$;

-- The rows in which profile_all and profile differ; lines without customer are in the totals only.
CREATE FUNCTION pg_temp.differences(id text[], amount text, at text, zone text, window_start timestamptz, as_of timestamptz)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format('CREATE TABLE profile_all_typed AS
		SELECT pg_temp.id(customer, %1$L)::%1$s AS customer, pg_temp.id("order", %2$L)::%2$s AS "order", at::%4$s AS at,
			CASE WHEN %5$L LIKE ''int_'' THEN round(amount %% 32768)::%5$s ELSE amount::%5$s END AS amount, pg_temp.id(product, %3$L)::%3$s AS product
		FROM profile_all_lines', id[1], id[2], id[3], at, amount);
	EXECUTE format('
		WITH one AS MATERIALIZED (
			SELECT customer, rfm.profile("order", at, amount, product, $1, $2, %1$L) AS profile FROM profile_all_typed GROUP BY 1),
		expected AS (
			SELECT customer, u.* FROM one, rfm.unpack(profile, %1$L) AS u (%2$s) WHERE customer IS NOT NULL
			UNION ALL
			SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, coalesce(lines, 0), coalesce(revenue, 0)
			FROM (SELECT 1) z LEFT JOIN (one CROSS JOIN LATERAL rfm.unpack(profile, %1$L) AS u (lines bigint, revenue numeric)) ON customer IS NULL),
		actual AS (
			SELECT u.* FROM (SELECT rfm.profile_all(customer, "order", at, amount, product, $1, $2, %1$L, NULL, NULL) AS profiles FROM profile_all_typed) x,
				rfm.unpack(profiles, %1$L) AS u (customer_id %3$s, %2$s))
		SELECT count(*) FROM ((TABLE expected EXCEPT ALL TABLE actual) UNION ALL (TABLE actual EXCEPT ALL TABLE expected)) x',
		zone, pg_temp.columns(id), id[1])
	INTO result USING window_start, as_of;
	DROP TABLE profile_all_typed;
	RETURN result;
END $$;

SET max_parallel_workers_per_gather = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TEMPORARY TABLE cases (id text[], amount text, at text, zone text, window_start timestamptz, as_of timestamptz);
INSERT INTO cases VALUES
	('{int2,int4,int8}', 'numeric', 'timestamptz', 'UTC', NULL, NULL),
	('{int4,int2,uuid}', 'float8', 'timestamp', 'Europe/Berlin', '2023-11-01 00:00+00', NULL),
	('{int8,text,text}', 'float4', 'timestamp', 'America/New_York', '2023-10-29 01:00+00', '2024-03-01 00:00+00'),
	('{uuid,uuid,int4}', 'int8', 'date', 'Europe/Berlin', NULL, '2024-02-01 00:00+00'),
	('{text,int8,varchar}', 'int4', 'timestamptz', 'Asia/Kathmandu', '2023-12-01 00:00+00', '2024-01-05 00:00+00'),
	('{varchar,varchar,text}', 'int2', 'date', 'Pacific/Apia', '2023-10-29 10:00+00', '2023-10-30 10:00+00'),
	('{text,text,int2}', 'numeric', 'timestamp', 'UTC', '2030-01-01 00:00+00', NULL);
SELECT * FROM (SELECT *, pg_temp.differences(id, amount, at, zone, window_start, as_of) AS differences FROM cases) x WHERE differences > 0;
SET max_parallel_workers_per_gather = 4;
SELECT * FROM (SELECT *, pg_temp.differences(id, amount, at, zone, window_start, as_of) AS differences FROM cases) x WHERE differences > 0;
SET parallel_leader_participation = off;
SELECT * FROM (SELECT *, pg_temp.differences(id, amount, at, zone, window_start, as_of) AS differences FROM cases WHERE amount LIKE 'float_') x WHERE differences > 0;
RESET parallel_leader_participation;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS
	'BEGIN RETURN QUERY EXECUTE ''EXPLAIN (COSTS OFF) '' || query; END';
SELECT count(*) > 0 AS partial FROM pg_temp.plan('SELECT rfm.profile_all(customer, "order", at, amount, product) FROM profile_all_lines') line WHERE line ~ 'Partial Aggregate';
-- states beside others, whose bytes do not stand at multiples of eight
SELECT product, p.revenue, q.revenue FROM (
	SELECT product, rfm.profile_all(customer, "order", at, amount, product) AS a, rfm.profile_all(customer::text, "order"::text, at, amount, product::text) AS b FROM profile_all_lines GROUP BY 1) x,
	LATERAL (SELECT sum(revenue) AS revenue, sum(orders) AS orders FROM rfm.unpack(a) AS u (revenue numeric, orders bigint)) p,
	LATERAL (SELECT sum(revenue) AS revenue, sum(orders) AS orders FROM rfm.unpack(b) AS u (revenue numeric, orders bigint)) q,
	LATERAL (SELECT sum(amount) AS revenue, count(DISTINCT (customer, "order")) FILTER (WHERE amount >= 0 AND customer IS NOT NULL) AS orders
		FROM profile_all_lines l WHERE l.product IS NOT DISTINCT FROM x.product AND "order" IS NOT NULL AND at IS NOT NULL) r
WHERE (p.revenue, p.orders, q.revenue, q.orders) IS DISTINCT FROM (r.revenue, r.orders, r.revenue, r.orders);
-- what travels between processes: many lines, many orders, much money, refunds, no purchase, nothing but lines to come, months
CREATE TABLE profile_all_far AS
SELECT nullif(c, 0) AS customer, (c - 2) * 1000000000 + CASE c WHEN 1 THEN 1 WHEN 2 THEN i % 900 ELSE i % 3 END AS "order",
	timestamptz '2024-06-01' - i % 1300 * interval '23 hours' + CASE WHEN c = 4 THEN interval '2000 days' ELSE interval '0' END AS at,
	CASE WHEN c = 3 THEN -i WHEN i % 7 = 0 THEN -1.5 WHEN c = 1 AND i % 5 = 0 THEN 4e13 + i ELSE i % 40 END::numeric AS amount, i % 11 AS product
FROM generate_series(0, 4) c, generate_series(1, 6000) i;
CREATE FUNCTION pg_temp.far(type text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT u::text FROM (SELECT rfm.profile_all(customer::%1$s, "order"::%1$s, at, amount, product::%1$s,
			''2023-01-01'', ''2024-05-01'', ''Asia/Kathmandu'', NULL, NULL, amount / 3, at + interval ''1000 days'') AS profiles FROM profile_all_far) x,
		rfm.unpack(profiles) AS u (customer_id %1$s, first_order_id %1$s, first_product_id %1$s, first_order_at timestamptz, first_order_until timestamptz,
			second_order_at timestamptz, last_order_at timestamptz, orders bigint, lines bigint, revenue numeric, first_order_revenue numeric, next_change_at timestamptz, ledger rfm.ledger)', type);
END $$;
SET max_parallel_workers_per_gather = 0;
CREATE TEMPORARY TABLE far AS SELECT type, pg_temp.far(type) AS profile FROM unnest('{int,bigint,text}'::text[]) type;
SET max_parallel_workers_per_gather = 4;
SELECT count(*), count(DISTINCT profile), sum(length(profile)) > 5000 AS long FROM far;
(SELECT type, pg_temp.far(type) FROM unnest('{int,bigint,text}'::text[]) type EXCEPT ALL TABLE far)
UNION ALL (TABLE far EXCEPT ALL SELECT type, pg_temp.far(type) FROM unnest('{int,bigint,text}'::text[]) type);
DROP TABLE profile_all_far;
SET max_parallel_workers_per_gather = 0;

-- no rows, no valid line, no customer, one customer
SELECT case_, u.* FROM (
	SELECT 1 AS case_, rfm.profile_all(customer, "order", at, amount) AS profiles FROM profile_all_lines WHERE false
	UNION ALL SELECT 2, rfm.profile_all(customer, "order", at, amount) FROM profile_all_lines WHERE at IS NULL
	UNION ALL SELECT 3, rfm.profile_all(NULL::int, o, timestamp '2024-01-01', amount) FROM (VALUES (1, 9.99), (1, -3), (NULL, 7)) v (o, amount)
	UNION ALL SELECT 4, rfm.profile_all(5, o, timestamp '2024-01-01', amount) FROM (VALUES (1, 9.99), (1, -3), (2, 7)) v (o, amount)) x,
	rfm.unpack(profiles) AS u (customer_id int, orders bigint, lines bigint, revenue numeric, first_order_id int, first_product_id text, next_hash bigint);

-- lines at or after as_of: who has no other gets a row without orders, from profile, too; not for one at infinity or with a NULL, nor without customer
CREATE TABLE profile_all_next AS SELECT * FROM (VALUES (1, 1, timestamptz '2024-02-01', 5::numeric), (2, 1, '2024-02-02', 'NaN'), (2, 1, '2024-02-03', -5), (3, 1, 'infinity', 1), (4, NULL, '2024-02-01', 1), (5, 1, NULL, 1), (6, 1, '2024-02-01', NULL),
	(7, 2, '2024-03-01', 1), (7, 1, '2024-01-05', 5), (8, 1, '2024-01-05', 5), (8, 2, '2024-03-01', 1), (9, 1, '2024-01-05', -5), (9, 2, '2024-02-01', 1), (NULL, 1, '2024-02-01', 7), (NULL, 1, '2024-01-05', 2)) v (customer, o, at, amount);
SELECT u.* FROM (SELECT rfm.profile_all(customer, o, at, amount, 1, NULL, '2024-02-01', NULL, NULL, NULL) AS profiles FROM profile_all_next) x,
	rfm.unpack(profiles) AS u (customer_id int, orders bigint, lines bigint, revenue numeric, first_order_id int, first_order_at timestamptz, first_order_revenue numeric, first_product_id int, second_order_at timestamptz, last_order_at timestamptz) ORDER BY 1 NULLS FIRST;
SELECT customer, profile, u.* FROM (SELECT customer, rfm.profile(o, at, amount, 1, NULL, '2024-02-01', NULL) AS profile FROM profile_all_next WHERE customer IS NOT NULL GROUP BY 1) x,
	rfm.unpack(profile) AS u (orders bigint, lines bigint, revenue numeric, first_order_id int, first_order_at timestamptz, first_order_revenue numeric, first_product_id int, second_order_at timestamptz, last_order_at timestamptz) ORDER BY 1;

-- one customer of many, with orders at the border of the list and far beyond it
SELECT n, repeats, u.* FROM unnest('{1,2,15,16,17,18,19,100,40000}'::int[]) n, unnest('{1,3}'::int[]) repeats,
	LATERAL (SELECT rfm.profile_all(i % 3, i * 7919::bigint / 3 % n, timestamptz '2024-01-01' + i * 7919::bigint / 3 % n * interval '1 s', 1.5, i % 7, NULL) AS profiles FROM generate_series(0, n * repeats * 3 - 1) i) x,
	LATERAL (SELECT count(*) AS customers, sum(orders) AS orders, sum(lines) AS lines, sum(revenue) AS revenue
		FROM rfm.unpack(profiles) AS u (customer_id int, orders bigint, lines bigint, revenue numeric, second_order_at timestamptz)) u
WHERE (u.customers, u.orders, u.lines, u.revenue) IS DISTINCT FROM (4, n * 3, n * repeats * 3, n * repeats * 3 * 1.5);

-- sums beyond bigint
SELECT u.* FROM (SELECT rfm.profile_all(nullif(i % 3, 0), i, timestamp 'epoch', CASE i % 3 WHEN 1 THEN -1 ELSE 1 END * 922337203685477.5807) AS profiles FROM generate_series(1, 3000) i) x,
	rfm.unpack(profiles) AS u (customer_id int, lines bigint, revenue numeric) ORDER BY 1 NULLS FIRST;

-- passes under a tiny build_memory: together exactly the customers, each once, those without a line before as_of, too
CREATE TABLE profile_all_many AS
SELECT pg_temp.hash(i, 7) % 60000 AS customer, pg_temp.hash(i, 8) % 5 AS "order", timestamptz '2024-01-01' + pg_temp.hash(i, 9) % 300 * interval '1 h' AS at, pg_temp.hash(i, 10) % 900 / 10.0 AS amount
FROM generate_series(1, 120000) i
UNION ALL SELECT NULL, 1, '2024-01-01', 1 FROM generate_series(1, 10);
-- A worker that starts with the few lines may take more memory, and then gives up fewer customers than the rest.
CREATE TABLE profile_all_few AS SELECT * FROM profile_all_many WHERE customer < 5;
CREATE VIEW profile_all_skewed AS SELECT *, 1::bigint AS factor FROM profile_all_many UNION ALL SELECT *, 1000 FROM profile_all_few;
-- Goes through all passes and says what they found together; unassigned counts the lines without customer.
CREATE FUNCTION pg_temp.passes(build_memory bigint, type text) RETURNS TABLE (passes bigint, bounded boolean, disjoint boolean, equal boolean, unassigned bigint) LANGUAGE plpgsql AS $$
DECLARE
	next bigint := 0;
	previous bigint := -1;
BEGIN
	CREATE TEMPORARY TABLE found (pass bigint, customer_id text, first_order_id text, second_order_at timestamptz, orders bigint, lines bigint, revenue numeric, next_hash bigint);
	passes := 0;
	bounded := true;
	WHILE next IS NOT NULL AND next > previous LOOP
		previous := next;
		passes := passes + 1;
		-- INSERT would not be parallel
		EXECUTE format('CREATE TEMPORARY TABLE pass AS SELECT %4$s AS pass, u.* FROM
			(SELECT rfm.profile_all(customer::%1$s, "order"::%1$s, at, amount, 1, NULL, ''2024-01-06'', NULL, %2$s * factor, %3$s) AS profiles FROM profile_all_skewed) x,
			rfm.unpack(profiles) AS u (customer_id %1$s, first_order_id %1$s, second_order_at timestamptz, orders bigint, lines bigint, revenue numeric, next_hash bigint)',
			type, build_memory, next, passes);
		INSERT INTO found TABLE pass;
		DROP TABLE pass;
		bounded := bounded AND (SELECT count(*) * 88 < greatest(build_memory, 1048576) FROM found WHERE pass = passes);
		SELECT f.next_hash INTO STRICT next FROM found f WHERE pass = passes AND customer_id IS NULL;
	END LOOP;
	SELECT count(*) = count(DISTINCT customer_id) INTO disjoint FROM found WHERE customer_id IS NOT NULL;
	EXECUTE format('SELECT NOT EXISTS (SELECT customer_id, first_order_id, second_order_at, orders, lines, revenue FROM found WHERE customer_id IS NOT NULL EXCEPT ALL
		SELECT u.customer_id::text, u.first_order_id::text, second_order_at, orders, lines, revenue FROM (SELECT rfm.profile_all(customer::%1$s, "order"::%1$s, at, amount, 1, NULL, ''2024-01-06'', NULL, NULL, NULL) AS profiles FROM profile_all_skewed) x,
			rfm.unpack(profiles) AS u (customer_id %1$s, first_order_id %1$s, second_order_at timestamptz, orders bigint, lines bigint, revenue numeric))
		AND (SELECT count(DISTINCT customer) FROM profile_all_many) = (SELECT count(*) FROM found WHERE customer_id IS NOT NULL)', type) INTO equal;
	SELECT sum(lines) INTO unassigned FROM found WHERE customer_id IS NULL;
	DROP TABLE found;
	RETURN NEXT;
END $$;
SELECT type, build_memory, p.passes > 1 AS several, bounded, disjoint, equal, unassigned
FROM unnest('{int4,text}'::text[]) type, unnest('{1,3000000,1000000000}'::bigint[]) build_memory, LATERAL pg_temp.passes(build_memory, type) p;
SET max_parallel_workers_per_gather = 4;
SELECT type, build_memory, disjoint, equal, unassigned
FROM unnest('{int8,varchar}'::text[]) type, unnest('{1048576}'::bigint[]) build_memory, LATERAL pg_temp.passes(build_memory, type) p;
SET max_parallel_workers_per_gather = 0;

-- customers without an order, of whom one pass gives up some
SELECT count(*) > 5000 AS some, sum(orders) AS orders, sum(revenue) AS revenue, max(next_hash) IS NOT NULL AS several
FROM (SELECT rfm.profile_all(i, i::text, timestamptz '2024-01-01', 1, i::text, NULL, '2023-01-01', NULL, 1, 0) AS profiles FROM generate_series(1, 50000) i) x,
	rfm.unpack(profiles) AS u (customer_id int, orders bigint, revenue numeric, next_hash bigint);

-- profile_set flat: in a table, sorted, in a CTE, in a variable, through a scalar sub-select
CREATE TABLE profile_all_sets AS
SELECT "order" % 3 AS n, rfm.profile_all(customer::text, "order"::text, at, amount, product::text) AS profiles FROM profile_all_lines GROUP BY 1;
CREATE VIEW profile_all_rows AS
SELECT n, u.* FROM (SELECT * FROM profile_all_sets WHERE n IS NOT NULL) s, rfm.unpack(profiles) AS u (customer_id text, first_order_id text, first_product_id text, second_order_at timestamptz, orders bigint, lines bigint, revenue numeric);
SELECT count(*) > 1500 AS many FROM profile_all_rows;
WITH sets AS MATERIALIZED (SELECT "order" % 3 AS n, rfm.profile_all(customer::text, "order"::text, at, amount, product::text) AS profiles FROM profile_all_lines GROUP BY 1)
(SELECT n, u.* FROM (SELECT * FROM sets WHERE n IS NOT NULL ORDER BY n DESC) s, rfm.unpack(profiles) AS u (customer_id text, first_order_id text, first_product_id text, second_order_at timestamptz, orders bigint, lines bigint, revenue numeric))
EXCEPT ALL TABLE profile_all_rows;
TABLE profile_all_rows EXCEPT ALL
SELECT n, u.* FROM generate_series(0, 2) n, rfm.unpack((SELECT rfm.profile_all(customer::text, "order"::text, at, amount, product::text) FROM profile_all_lines WHERE "order" % 3 = n))
	AS u (customer_id text, first_order_id text, first_product_id text, second_order_at timestamptz, orders bigint, lines bigint, revenue numeric);
SELECT profiles, encode(rfm.profile_set_send(profiles), 'escape') FROM (SELECT rfm.profile_all(i, i % 2, now(), 1) AS profiles FROM generate_series(1, 5) i) x;

-- refused calls
SELECT pg_temp.refusal('SELECT ' || call) FROM (VALUES
	('rfm.profile_all(1.5, 1, now(), 1)'), ('rfm.profile_all(1::float8, 1, now(), 1)'), ('rfm.profile_all(''a'', 1, now(), 1)'), ('rfm.profile_all(1, 1.5, now(), 1)'), ('rfm.profile_all(1, 1, now(), 1, NULL)'),
	('rfm.profile_all(1, 1, time ''10:00'', 1)'), ('rfm.profile_all(1, 1, now(), ''1''::money)'), ('rfm.profile_all(1, 1, now(), ''NaN''::numeric)'), ('rfm.profile_all(NULL::int, 1, now(), 1e30)'),
	('rfm.profile_all(1, 1, timestamptz ''infinity'', 1)'), ('rfm.profile_all(1, 1, timestamp ''2024-01-01'', 1, 1, NULL, NULL, ''Mars'', NULL, NULL)'),
	('rfm.profile_all(1, 1, now(), 1, 1, NULL, NULL, NULL, 0, NULL)'), ('rfm.profile_all(1, 1, now(), 1, 1, NULL, NULL, NULL, -5, NULL)'),
	('rfm.profile_all(1, 1, now(), 1, 1, NULL, NULL, NULL, NULL, -1)'), ('rfm.profile_all(1, 1, now(), 1, 1, NULL, NULL, NULL, NULL, 4294967296)'),
	('rfm.profile_all(1, i, now(), 1, 1, NULL, NULL, NULL, 1, 0) FROM generate_series(1, 20000) i'),
	('rfm.profile_all(1, i, now(), 1, 1, timestamptz ''2024-01-01'' + i * interval ''1 s'') FROM generate_series(1, 2) i'),
	('rfm.profile_all(1, 1, now(), 1) OVER ()'), ('''x''::rfm.profile_set'), ('rfm.unpack(rfm.profile_all(1, 1, now(), 1))')) v (call);
SELECT pg_temp.refusal('SELECT * FROM rfm.unpack((SELECT rfm.profile_all(1, 1::bigint, now(), 1))) AS u (' || columns || ')') FROM unnest('{customer_id bigint,first_order_id int,customer_id float8,segment text,next_hash int}'::text[]) columns;
SET max_parallel_workers_per_gather = 4;
SELECT pg_temp.refusal('SELECT rfm.profile_all(customer, "order", at, amount, product, timestamptz ''2024-01-01'' + customer * interval ''1 s'') FROM profile_all_lines');

DROP VIEW profile_all_rows, profile_all_skewed;
DROP TABLE profile_all_next, profile_all_lines, profile_all_many, profile_all_few, profile_all_sets;

-- the planner expects as many rows as there are customers: by statistics, or else a row for every second line
CREATE FUNCTION pg_temp.planned(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan #>> '{0,Plan,Plan Rows}';
END $$;
CREATE TABLE profile_all_planned AS SELECT i % 500 AS customer, i AS "order" FROM generate_series(1, 5000) i;
ANALYZE profile_all_planned;
SELECT pg_temp.planned('SELECT u.* FROM (SELECT rfm.profile_all(customer, "order", now(), 1) AS profiles FROM profile_all_planned) s, rfm.unpack(profiles) AS u (customer_id int)') AS customers,
	pg_temp.planned('SELECT u.* FROM (SELECT rfm.profile_all(customer, "order", now(), 1) AS profiles FROM (SELECT max(customer) AS customer, "order" FROM profile_all_planned GROUP BY "order") x) s, rfm.unpack(profiles) AS u (customer_id int)') AS lines,
	pg_temp.planned('SELECT * FROM rfm.unpack((SELECT rfm.profile_all(customer, "order", now(), 1) FROM profile_all_planned)) AS u (customer_id int)') AS unknown;
DROP TABLE profile_all_planned;
