-- profile: the orders of one customer.  A query that compares returns no rows when all is well.
SET timezone = 'Pacific/Auckland';	-- the session's time zone has no influence
SET datestyle = ISO;

CREATE DOMAIN profile_text AS text;
CREATE DOMAIN profile_bigint AS bigint CHECK (VALUE <> 5);

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

-- The n-th id of a type, as text: extremes, an empty string, several bytes per character, common
-- prefixes, and text that is toasted, compressed or not.
CREATE FUNCTION pg_temp.id(n int, type text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN type IN ('int2', 'int4', 'int8', 'profile_bigint') THEN
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

-- Lines of every sort: ties in time and amount, NULLs, zeros, refunds of all sizes, an order id that
-- several customers use; customers with one order and with many.
CREATE TABLE profile_lines AS
SELECT CASE WHEN a % 50 > 0 THEN CASE WHEN b % 3 = 0 THEN b / 3 % 12 ELSE b / 3 % 300 END END AS customer,
	CASE WHEN a / 50 % 60 > 0 THEN CASE WHEN c % 4 = 0 THEN c / 4 % 3 ELSE c % 250 END END AS "order",
	CASE WHEN a / 3000 % 60 > 0 THEN timestamp '2023-10-27 21:00' + CASE WHEN d % 3 > 0 THEN d % 60 * interval '1 hour' + d % 7 * interval '26 days' ELSE d % 4 * interval '1 day' END END AS at,
	CASE WHEN a / 180000 % 60 > 0 THEN
		(ARRAY[0, 9.99, 9.99, 10, -9.99, e % 1000000 / 100.0, e / 100000000.0, e / 1000.0, -(e % 3000000) / 100.0, e % 1000 + 0.00005])[1 + e / 7 % CASE WHEN b / 3 % 2 = 0 THEN 10 ELSE 5 END]
		END::numeric AS amount,
	CASE WHEN f % 9 > 0 THEN f / 9 % 60 END AS product
FROM generate_series(1, 3000) i,
	LATERAL (SELECT pg_temp.hash(i, 1) AS a, pg_temp.hash(i, 2) AS b, pg_temp.hash(i, 3) AS c, pg_temp.hash(i, 4) AS d,
		pg_temp.hash(i, 5) AS e, pg_temp.hash(i, 6) AS f) h
UNION ALL
SELECT 1000 + n, o, timestamp '2024-01-01' + o * interval '1 day', amount, o
FROM (VALUES
	(1, 1, -5), (1, 2, -6),						-- only refunds
	(2, 1, 10), (2, 1, -10),					-- a full refund
	(3, 1, 10), (3, 1, -30),					-- larger than the purchase
	(4, 1, 10), (4, 2, -3),						-- with an order id of its own
	(5, 1, -3), (5, 2, 10),						-- before the purchase
	(6, 1, -3), (6, 1, 0), (6, 1, 0),			-- money zero is a purchase
	(7, 1, NULL)) x (n, o, amount);				-- no valid line

-- The rows in which profile and plain SQL differ, for types of ids, amount and ordered_at.
CREATE FUNCTION pg_temp.differences(id text, amount text, at text, zone text, window_start timestamptz, as_of timestamptz)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	names CONSTANT text := 'first_order_id, first_order_at, first_order_until, first_order_revenue, first_product_id,
		second_order_at, last_order_at, last_order_date, orders, lines, revenue';
	c_collation text := CASE WHEN id LIKE '%text' OR id = 'varchar' THEN ' COLLATE "C"' ELSE '' END;
	result bigint;
BEGIN
	EXECUTE format('CREATE TEMPORARY TABLE typed AS
		SELECT customer, pg_temp.id("order", %1$L)::%1$s AS "order", at::%2$s AS at, CASE WHEN %3$L LIKE ''int_''
			THEN round(amount %% 32768)::%3$s ELSE amount::%3$s END AS amount, pg_temp.id(product, %1$L)::%1$s AS product
		FROM profile_lines', id, at, amount);
	EXECUTE format('
		WITH line AS MATERIALIZED (
			SELECT customer, "order", instant AS at, round(amount::text::numeric, 4) AS amount, product, coalesce(instant >= $1, true) AS w
			FROM typed, LATERAL (SELECT %4$s AS instant) x
			WHERE "order" IS NOT NULL AND at IS NOT NULL AND amount IS NOT NULL AND (instant < $2) IS NOT FALSE),
		known AS (
			SELECT DISTINCT customer FROM typed WHERE "order" IS NOT NULL AND at IS NOT NULL AND amount IS NOT NULL),
		"orders" AS (
			SELECT customer, "order", min(at) FILTER (WHERE amount >= 0) AS at, max(at) FILTER (WHERE amount >= 0) AS until,
				coalesce(sum(amount) FILTER (WHERE w), 0) AS revenue,
				(array_agg(product ORDER BY amount DESC, product %3$s) FILTER (WHERE amount >= 0))[1] AS product
			FROM line GROUP BY 1, 2 HAVING bool_or(amount >= 0)),
		ranked AS (SELECT *, row_number() OVER (PARTITION BY customer ORDER BY at, "order" %3$s) AS n FROM "orders"),
		totals AS (
			SELECT customer, max(at) FILTER (WHERE w AND amount >= 0) AS at, count(DISTINCT "order") FILTER (WHERE w AND amount >= 0) AS orders,
				count(*) FILTER (WHERE w AND amount >= 0) AS lines, coalesce(sum(amount) FILTER (WHERE w), 0) AS revenue
			FROM (SELECT k.customer, at, amount, "order", w FROM known k LEFT JOIN line l ON l.customer IS NOT DISTINCT FROM k.customer) x GROUP BY 1),
		expected AS (
			SELECT t.customer, a."order", a.at, a.until, a.revenue, a.product, b.at, t.at, (t.at AT TIME ZONE %5$L)::date, orders, lines, t.revenue
			FROM totals t
				LEFT JOIN ranked a ON a.customer IS NOT DISTINCT FROM t.customer AND a.n = 1
				LEFT JOIN ranked b ON b.customer IS NOT DISTINCT FROM t.customer AND b.n = 2),
		profiles AS MATERIALIZED (
			SELECT customer, rfm.profile("order", at, amount, product, $1, $2, %5$L) AS profile FROM typed GROUP BY 1),
		actual AS (
			SELECT customer, %6$s
			FROM profiles, rfm.unpack(profile, %5$L) AS (first_order_id %1$s, first_order_at timestamptz, first_order_until timestamptz,
				first_order_revenue numeric, first_product_id %1$s, second_order_at timestamptz, last_order_at timestamptz,
				last_order_date date, orders bigint, lines bigint, revenue numeric))
		SELECT count(*) FROM ((TABLE expected EXCEPT ALL TABLE actual) UNION ALL (TABLE actual EXCEPT ALL TABLE expected)) x',
		id, amount, c_collation, CASE at WHEN 'timestamptz' THEN 'at' ELSE format('at::timestamp AT TIME ZONE %L', zone) END, zone, names)
	INTO result USING window_start, as_of;
	DROP TABLE typed;
	RETURN result;
END $$;

SELECT * FROM (SELECT id, amount, at, zone, window_start, as_of, pg_temp.differences(id, amount, at, zone, window_start::timestamptz, as_of::timestamptz) AS differences
FROM (VALUES
	('int2', 'numeric', 'timestamptz', 'UTC', NULL, NULL),
	('int4', 'float8', 'timestamp', 'Europe/Berlin', '2023-11-01 00:00+00', NULL),
	('int8', 'float4', 'timestamp', 'America/New_York', '2023-10-29 01:00+00', '2024-03-01 00:00+00'),
	('uuid', 'int8', 'date', 'Europe/Berlin', NULL, '2024-02-01 00:00+00'),
	('text', 'int4', 'timestamptz', 'Asia/Kathmandu', '2023-12-01 00:00+00', '2024-01-05 00:00+00'),
	('varchar', 'int2', 'date', 'Pacific/Apia', '2023-10-29 10:00+00', '2023-10-30 10:00+00'),
	('profile_text', 'numeric', 'timestamp', 'Europe/Berlin', '2024-03-01 00:00+00', NULL),
	('profile_bigint', 'float8', 'timestamp', 'UTC', '2030-01-01 00:00+00', NULL)) v (id, amount, at, zone, window_start, as_of)) x
WHERE differences > 0;

-- A reading aid: the customers with refunds.
SELECT customer, u.*
FROM (SELECT customer, rfm.profile("order", at, amount, product) AS profile FROM profile_lines WHERE customer > 1000 GROUP BY 1) p
	LEFT JOIN LATERAL rfm.unpack(profile) AS u (orders bigint, lines bigint, revenue numeric, first_order_id int, first_order_revenue numeric, last_order_date date) ON true
ORDER BY 1;

-- local times: every quarter of an hour around the changes, missing and ambiguous ones too
SELECT zone, local, p.first_order_at, local AT TIME ZONE zone
FROM unnest('{Europe/Berlin,America/New_York,Asia/Kathmandu,Pacific/Apia,Antarctica/Troll,Africa/Casablanca,Etc/GMT+5,UTC,europe/berlin}'::text[]) zone,
	unnest('{2024-03-31,2024-10-27,2024-03-10,2024-11-03,2011-12-30,1900-01-01,2500-07-01,0044-03-15 BC}'::timestamp[]) day,
	generate_series(day - interval '26 hours', day + interval '26 hours', interval '15 minutes') local,
	LATERAL (SELECT rfm.profile(i, local, 1, i, NULL, NULL, zone) AS profile FROM generate_series(1, 1) i) x,
	rfm.unpack(profile, zone) AS p (first_order_at timestamptz, last_order_date date)
WHERE (p.first_order_at, p.last_order_date, rfm.local_date(p.first_order_at, zone)) IS DISTINCT FROM
	(local AT TIME ZONE zone, (local AT TIME ZONE zone AT TIME ZONE zone)::date, (local AT TIME ZONE zone AT TIME ZONE zone)::date);
SELECT rfm.local_date('infinity', 'UTC'), rfm.local_date('-infinity', 'Europe/Berlin'), rfm.local_date('2024-03-31 22:30+00', 'Europe/Berlin'), rfm.local_date(NULL, 'UTC');

-- sums beyond bigint on the way, in any order, and in the end
SELECT sign, rotation, u.revenue
FROM unnest('{1,-1}'::int[]) sign, generate_series(0, 2) rotation,
	LATERAL (SELECT rfm.profile(1, timestamp 'epoch', sign * 922337203685477.5807 * (ARRAY[1, 1, -1])[(i + rotation) % 3 + 1] ORDER BY i) AS profile FROM generate_series(0, 2) i) x,
	rfm.unpack(profile) AS u (revenue numeric)
WHERE u.revenue <> sign * 922337203685477.5807;
SELECT sign, u.*
FROM unnest('{1,-1}'::int[]) sign,
	LATERAL (SELECT rfm.profile(i % 3, timestamp 'epoch', sign * 922337203685477.5807) AS profile FROM generate_series(1, 1000) i) x,
	rfm.unpack(profile) AS u (orders bigint, revenue numeric);

-- many orders, interleaved; few, of many lines each
SELECT n, repeats, u.* FROM unnest('{1,2,3,15,16,17,18,100,40000}'::int[]) n, unnest('{1,3}'::int[]) repeats,
	LATERAL (SELECT rfm.profile(md5((i * 7919 % n)::text)::uuid, timestamptz '2024-01-01' + i % n * interval '1 s', i % 5, (i % 7)::text) AS profile FROM generate_series(0, n * repeats - 1) i) x,
	rfm.unpack(profile) AS u (orders bigint, lines bigint, revenue numeric)
WHERE (u.orders, u.lines, u.revenue) IS DISTINCT FROM (n, n * repeats, (SELECT sum(i % 5) FROM generate_series(0, n * repeats - 1) i));

-- the same value and text in any order of rows, in parallel, spilled, and as a window function
CREATE TABLE profile_large AS
SELECT pg_temp.hash(i, 7) % 250 AS customer, pg_temp.id(pg_temp.hash(i, 8) % 90, 'text') AS "order", timestamptz '2024-01-01' + pg_temp.hash(i, 9) % 300 * interval '1 h' AS at,
	pg_temp.hash(i, 10) % 900 / 7.0::float8 - 20 AS amount, pg_temp.id(pg_temp.hash(i, 11) % 50, 'text') AS product
FROM generate_series(1, 10000) i;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS
	'BEGIN RETURN QUERY EXECUTE ''EXPLAIN (COSTS OFF) '' || query; END';
CREATE VIEW profile_texts AS SELECT customer, rfm.profile("order", at, amount, product)::text AS profile FROM profile_large GROUP BY customer;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE profile_stored AS SELECT customer, rfm.profile("order", at, amount, product) AS profile FROM profile_large GROUP BY customer;
SELECT customer, profile::text FROM profile_stored EXCEPT ALL
SELECT customer, rfm.profile("order", at, amount, product ORDER BY amount, at DESC, product COLLATE "C")::text FROM profile_large GROUP BY 1;
SET work_mem = '64kB';
SET enable_sort = off;
SELECT customer, profile::text FROM profile_stored EXCEPT ALL TABLE profile_texts;
RESET work_mem;
RESET enable_sort;
SET max_parallel_workers_per_gather = 4;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) > 0 AS partial FROM pg_temp.plan('TABLE profile_texts') line WHERE line ~ 'Partial .*Aggregate';
CREATE TEMPORARY TABLE parallel AS TABLE profile_texts;
SELECT customer, profile::text FROM profile_stored EXCEPT ALL TABLE parallel;
SET parallel_leader_participation = off;
CREATE TEMPORARY TABLE workers AS TABLE profile_texts;
SELECT customer, profile::text FROM profile_stored EXCEPT ALL TABLE workers;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;
SELECT customer, at FROM (
	SELECT customer, at, rfm.profile("order", at, amount, product) OVER (w ROWS UNBOUNDED PRECEDING) AS running,
		rfm.profile("order", at, amount, product) OVER (w ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS moving,
		array_agg(l::profile_large) OVER (w ROWS UNBOUNDED PRECEDING) AS rows
	FROM profile_large l WHERE customer < 20 WINDOW w AS (PARTITION BY customer ORDER BY at, amount, "order" COLLATE "C", product COLLATE "C")) x,
	LATERAL (SELECT rfm.profile("order", at, amount, product) AS running,
			rfm.profile("order", at, amount, product) FILTER (WHERE n > cardinality(rows) - 4) AS moving
		FROM unnest(rows) WITH ORDINALITY r (customer, "order", at, amount, product, n)) y
WHERE x.running::text <> y.running::text OR x.moving::text <> y.moving::text;

RESET max_parallel_workers_per_gather;

-- profile_state: text and binary, back and forth
SELECT customer FROM profile_stored WHERE profile::text::rfm.profile_state::text <> profile::text;
CREATE TABLE profile_copied (LIKE profile_stored);
\copy profile_stored TO 'results/profile_state.data' (FORMAT binary)
\copy profile_copied FROM 'results/profile_state.data' (FORMAT binary)
SELECT customer, profile::text FROM profile_stored EXCEPT ALL SELECT customer, profile::text FROM profile_copied;
SELECT customer FROM profile_copied c JOIN profile_stored s USING (customer), rfm.unpack(c.profile) AS a (orders bigint, first_order_id text, first_product_id text, revenue numeric),
	rfm.unpack(s.profile) AS b (orders bigint, first_order_id text, first_product_id text, revenue numeric) WHERE a IS DISTINCT FROM b;
SELECT rfm.profile("order", at, amount, product)::text AS example FROM profile_lines WHERE customer = 1005;

-- profile_combine: any grouping, any order, NULL for no lines
SELECT customer FROM profile_stored s JOIN (
	SELECT customer, rfm.profile("order", at, amount, product) FILTER (WHERE amount < 10) AS a, rfm.profile("order", at, amount, product) FILTER (WHERE amount >= 10 AND at < '2024-01-08') AS b,
		rfm.profile("order", at, amount, product) FILTER (WHERE amount >= 10 AND at >= '2024-01-08') AS c
	FROM profile_large GROUP BY 1) parts USING (customer)
WHERE profile::text IS DISTINCT FROM rfm.profile_combine(rfm.profile_combine(a, b), c)::text OR
	profile::text IS DISTINCT FROM rfm.profile_combine(a, rfm.profile_combine(b, c))::text OR
	profile::text IS DISTINCT FROM rfm.profile_combine(rfm.profile_combine(c, a), b)::text OR
	profile::text IS DISTINCT FROM rfm.profile_combine(NULL, profile)::text OR
	profile::text IS DISTINCT FROM rfm.profile_final(rfm.profile_combine(profile, NULL))::text;
SELECT rfm.profile_combine(NULL, NULL), rfm.profile_final(NULL);

-- hostile texts: every prefix, every character replaced, removed or doubled.  Each is an error or prints as given.
CREATE FUNCTION pg_temp.reread(value text) RETURNS text LANGUAGE plpgsql AS
	'BEGIN RETURN value::rfm.profile_state; EXCEPTION WHEN OTHERS THEN RETURN NULL; END';
WITH example AS MATERIALIZED (
	SELECT rfm.profile("order", at, amount, product)::text AS t FROM profile_lines WHERE customer IN (1005, 1002)
	UNION ALL SELECT rfm.profile(substr(md5(i::text), 1, i), timestamp 'epoch', i - 1, md5(i::text)::uuid)::text FROM generate_series(0, 3) i),
mutation AS MATERIALIZED (
	SELECT left(t, n) AS m, true AS broken FROM example, generate_series(0, length(t) - 1) n
	UNION ALL
	SELECT overlay(t PLACING c FROM n), false FROM example, generate_series(1, length(t)) n, unnest('{"",0,1,5,9,-,+," ","  ",:,x,f,F,.,é,00,99999999999999999999}'::text[]) c
	UNION ALL
	SELECT overlay(t PLACING repeat(substr(t, n, 1), 2) FROM n FOR 1), false FROM example, generate_series(1, length(t)) n
	UNION ALL SELECT t || c, true FROM example, unnest('{" ",0," 0",":",-}'::text[]) c)
SELECT m, reread FROM mutation, pg_temp.reread(m) AS reread WHERE reread <> m;
SELECT pg_temp.refusal(format('SELECT %L::rfm.profile_state', t)) FROM (VALUES (''), ('1 2 0 0 0 0:0 4294967295'), ('1 2 0 0 0 0:0 71582788'), ('2 2 0 0 0 0:0 0'), ('1 5 0 0 0 0:0 1 xff 0 0 0 - 0:0'), ('1 5 0 0 0 0:0 1 x00 0 0 0 - 0:0')) v (t);

-- refused calls
SELECT pg_temp.refusal('SELECT ' || call) FROM (VALUES
	('rfm.profile(1.5, now(), 1)'), ('rfm.profile(1::float8, now(), 1)'), ('rfm.profile(''a''::char(3), now(), 1)'), ('rfm.profile(''a'', now(), 1)'),
	('rfm.profile(1, now(), 1, 1.5)'), ('rfm.profile(1, now(), 1, NULL)'),
	('rfm.profile(1, ''2024-01-01'', 1)'), ('rfm.profile(1, time ''10:00'', 1)'),
	('rfm.profile(1, now(), ''5'')'), ('rfm.profile(1, now(), ''5''::money)'), ('rfm.profile(1, now(), true)'),
	('rfm.profile(1, now(), ''NaN''::float8)'), ('rfm.profile(1, now(), ''Infinity''::numeric)'), ('rfm.profile(1, now(), 9223372036854775807)'), ('rfm.profile(1, now(), 1e30::float4)'),
	('rfm.profile(1, timestamptz ''infinity'', 1)'), ('rfm.profile(1, date ''-infinity'', 1)'), ('rfm.profile(1, timestamp ''-infinity'', 1)'),
	('rfm.profile(1, date ''584564-12-14'', 1)'), ('rfm.profile(1, timestamp ''294276-12-31 23:59'', 1, 1, NULL, NULL, ''America/New_York'')'),
	('rfm.profile(1, timestamp ''4714-11-24 00:00 BC'', 1, 1, NULL, NULL, ''Europe/Berlin'')'),
	('rfm.profile(1, date ''2024-01-01'', 1, 1, NULL, NULL, ''Europe/Berlim'')'), ('rfm.profile(1, date ''2024-01-01'', 1, 1, NULL, NULL, '''')'), ('rfm.local_date(now(), repeat(''x'', 300))'),
	('rfm.profile(i, now(), 1, 1, timestamptz ''2024-01-01'' + i * interval ''1 s'') FROM generate_series(1, 2) i'),
	('rfm.profile_accum(NULL, 1, now(), 1)'),
	('rfm.profile_combine((SELECT rfm.profile(1, now(), 1)), (SELECT rfm.profile(1::bigint, now(), 1)))'),
	('rfm.profile_combine((SELECT rfm.profile(1, now(), 1, 1, now())), (SELECT rfm.profile(1, now(), 1, 1)))'),
	('rfm.unpack((SELECT rfm.profile(1, now(), 1)))')) v (call);
-- an instant at or after as_of is left out before anything else is asked of it
SELECT rfm.profile(1, timestamptz 'infinity', 'NaN'::numeric, 1, NULL, '2024-01-01', NULL), rfm.profile(1, timestamptz 'infinity', 1, 1, NULL, 'infinity', NULL);
SELECT pg_temp.refusal('SELECT * FROM rfm.unpack((SELECT rfm.profile(1, timestamp ''2024-01-01'', 1, ''a''::text)), ' || call) FROM (VALUES
	('''Nowhere'') AS (orders bigint)'), ('''UTC'') AS (customers bigint)'), ('''UTC'') AS (orders int)'), ('''UTC'') AS (revenue numeric(10,2))'), ('''UTC'') AS (first_order_at timestamp)'),
	('''UTC'') AS (last_order_at timestamptz(0))'), ('''UTC'') AS (first_order_id bigint)'), ('''UTC'') AS (first_order_id float8)'), ('''UTC'') AS (first_product_id int)')) v (call);
SELECT * FROM rfm.unpack((SELECT rfm.profile(1, timestamp '2024-01-01', 1, 'a'::text))) AS (first_product_id varchar(9), orders bigint, customer_id text, next_hash bigint);

DROP VIEW profile_texts;
DROP TABLE profile_lines, profile_large, profile_stored, profile_copied;
DROP DOMAIN profile_text, profile_bigint;
