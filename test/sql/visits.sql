-- visits_all: sessions after the first order, against count(DISTINCT session).  A query that
-- compares returns no rows when all is well.
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

-- The n-th id of a type, as text: extremes, empty, common prefixes, long enough to be stored out of line.
CREATE FUNCTION pg_temp.id(n int, type text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN type LIKE 'int_' THEN
			CASE n
				WHEN 1 THEN CASE type WHEN 'int2' THEN '-32768' WHEN 'int4' THEN '-2147483648' ELSE '-9223372036854775808' END
				WHEN 2 THEN CASE type WHEN 'int2' THEN '32767' WHEN 'int4' THEN '2147483647' ELSE '9223372036854775807' END
				ELSE CASE type WHEN 'int2' THEN n - 100 WHEN 'int4' THEN n * 65536 - 10000000 ELSE (n - 100) * 4294967296 END::text
			END
		WHEN type = 'uuid' THEN CASE n WHEN 1 THEN '00000000-0000-0000-0000-000000000000' ELSE md5(n::text) END
		WHEN n = 1 THEN ''
		WHEN n = 2 THEN ' '
		WHEN n % 40 = 3 THEN repeat('ab', 2000) || n
		WHEN n % 40 = 4 THEN (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 100) i)
		WHEN n % 40 = 5 THEN repeat('x', n)
		ELSE (ARRAY['https://shop/session/0000000', 'ßtraße→', 'Z', 'z', '-'])[n % 5 + 1] || n
	END
$$;

-- First orders of one moment, of an hour and of days; customers without one; -infinity and infinity.
CREATE TABLE visit_customers AS
SELECT n AS customer,
	CASE WHEN n % 20 > 0 THEN CASE n WHEN 1 THEN '-infinity' WHEN 2 THEN '-infinity' WHEN 3 THEN 'infinity' ELSE at END END AS first_order_at,
	CASE WHEN n % 21 > 0 THEN CASE n WHEN 1 THEN '-infinity' WHEN 2 THEN 'infinity' WHEN 3 THEN 'infinity' ELSE at + n % 4 * interval '1 hour' * (n % 30) END END AS first_order_until
FROM generate_series(1, 700) n, LATERAL (SELECT timestamptz '2023-10-27 21:00+00' + pg_temp.hash(n, 0) % 96 * interval '1 hour' AS at) x;
-- Customers with many visits and few; sessions of one customer and of many; NULLs; times on the hour, so that many tie with a boundary.
CREATE TABLE visits AS
SELECT CASE WHEN a % 40 > 0 THEN CASE b % 4 WHEN 0 THEN b / 4 % 8 ELSE b / 4 % 900 END + 1 END AS customer,
	CASE WHEN a / 40 % 40 > 0 THEN CASE c % 3 WHEN 0 THEN c / 3 % 10 ELSE c / 3 % 4000 END + 1 END AS session,
	CASE WHEN a / 1600 % 40 > 0 THEN timestamp '2023-10-27 12:00' + d % 160 * interval '1 hour' END AS at
FROM generate_series(1, 12000) i,
	LATERAL (SELECT pg_temp.hash(i, 1) AS a, pg_temp.hash(i, 2) AS b, pg_temp.hash(i, 3) AS c, pg_temp.hash(i, 4) AS d) h;

CREATE TABLE visit_ids AS
SELECT n, type, pg_temp.id(n, type) AS id FROM generate_series(1, 4001) n, unnest('{int2,int4,int8,uuid,text,varchar}'::text[]) type;
ANALYZE visits, visit_customers, visit_ids;

-- The rows in which visits_all and SQL differ.
CREATE FUNCTION pg_temp.differences(customer text, session text, at text, zone text, as_of timestamptz)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format('CREATE TABLE visits_typed AS
		SELECT c.id::%1$s AS customer, s.id::%2$s AS session, at::%3$s AS at
		FROM visits LEFT JOIN visit_ids c ON c.n = customer AND c.type = %1$L LEFT JOIN visit_ids s ON s.n = session AND s.type = %2$L', customer, session, at);
	EXECUTE format('CREATE TABLE visit_customers_typed AS
		SELECT id::%1$s AS customer, first_order_at, first_order_until FROM visit_customers JOIN visit_ids ON n = customer AND type = %1$L', customer);
	EXECUTE format('
		WITH expected AS (
			SELECT b.customer, count(DISTINCT session) FILTER (WHERE instant > first_order_at AND (instant < $1) IS NOT FALSE),
				count(DISTINCT session) FILTER (WHERE instant > first_order_until AND (instant < $1) IS NOT FALSE), min(instant) FILTER (WHERE instant >= $1 AND session IS NOT NULL)
			FROM visit_customers_typed b LEFT JOIN (
				SELECT *, CASE WHEN %1$L = ''timestamptz'' THEN at::timestamptz ELSE at::timestamp AT TIME ZONE coalesce(%2$L, ''UTC'') END AS instant FROM visits_typed) v
				ON v.customer = b.customer
			WHERE first_order_at IS NOT NULL AND first_order_until IS NOT NULL
			GROUP BY 1),
		actual AS (
			SELECT u.* FROM (SELECT rfm.visits_all(customer, session, at, (SELECT rfm.visit_boundaries(customer, first_order_at, first_order_until) FROM visit_customers_typed), $1, %2$L) AS visits FROM visits_typed) x,
				rfm.unpack(visits) AS u (customer_id %3$s, sessions_after_purchase bigint, return_sessions bigint, next_visit_at timestamptz))
		SELECT count(*) FROM ((TABLE expected EXCEPT ALL TABLE actual) UNION ALL (TABLE actual EXCEPT ALL TABLE expected)) x',
		at, zone, customer)
	INTO result USING as_of;
	DROP TABLE visits_typed, visit_customers_typed;
	RETURN result;
END $$;

SET max_parallel_workers_per_gather = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TEMPORARY TABLE cases (customer text, session text, at text, zone text, as_of timestamptz);
INSERT INTO cases VALUES
	('int2', 'int8', 'timestamptz', 'UTC', NULL),
	('int4', 'text', 'timestamp', NULL, '2023-10-30 10:00+00'),
	('int4', 'int2', 'timestamp', 'Europe/Berlin', '2023-10-31 23:00+00'),
	('int8', 'uuid', 'date', 'America/New_York', NULL),
	('int8', 'int4', 'date', NULL, 'infinity'),
	('uuid', 'uuid', 'timestamptz', 'Asia/Kathmandu', '2023-11-01 00:00+00'),
	('text', 'varchar', 'timestamp', 'Pacific/Apia', '2023-11-01 00:00+00'),
	('varchar', 'int4', 'date', 'Europe/Berlin', '2023-10-30 10:00+00'),
	('text', 'text', 'timestamptz', NULL, '-infinity');
SELECT * FROM (SELECT *, pg_temp.differences(customer, session, at, zone, as_of) AS differences FROM cases) x WHERE differences > 0;
SET max_parallel_workers_per_gather = 4;
SELECT * FROM (SELECT *, pg_temp.differences(customer, session, at, zone, as_of) AS differences FROM cases) x WHERE differences > 0;
SET parallel_leader_participation = off;
SELECT * FROM (SELECT *, pg_temp.differences(customer, session, at, zone, as_of) AS differences FROM cases WHERE session = 'uuid') x WHERE differences > 0;
RESET parallel_leader_participation;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS
	'BEGIN RETURN QUERY EXECUTE ''EXPLAIN (COSTS OFF) '' || query; END';
SELECT count(*) FILTER (WHERE line ~ 'Partial Aggregate') AS partial
FROM pg_temp.plan('SELECT rfm.visits_all(customer, session, at, (SELECT rfm.visit_boundaries(customer, first_order_at, first_order_until) FROM visit_customers), NULL, NULL) FROM visits') line;
-- states beside others, whose bytes do not stand at multiples of eight
SELECT g, p, q FROM (
	SELECT session > 2000 AS g, rfm.visits_all(customer, session, at, (SELECT rfm.visit_boundaries(customer, first_order_at, first_order_until) FROM visit_customers), NULL, NULL) AS a,
		rfm.visits_all(customer::text, session::text, at, (SELECT rfm.visit_boundaries(customer::text, first_order_at, first_order_until) FROM visit_customers), NULL, NULL) AS b FROM visits GROUP BY 1) x,
	LATERAL (SELECT sum(sessions_after_purchase) AS sessions, sum(return_sessions) AS return_sessions FROM rfm.unpack(a) AS u (sessions_after_purchase bigint, return_sessions bigint)) p,
	LATERAL (SELECT sum(sessions_after_purchase) AS sessions, sum(return_sessions) AS return_sessions FROM rfm.unpack(b) AS u (sessions_after_purchase bigint, return_sessions bigint)) q,
	LATERAL (SELECT count(DISTINCT (customer, session)) FILTER (WHERE at AT TIME ZONE 'UTC' > first_order_at) AS sessions,
		count(DISTINCT (customer, session)) FILTER (WHERE at AT TIME ZONE 'UTC' > first_order_until) AS return_sessions
		FROM visits JOIN visit_customers USING (customer) WHERE (session > 2000) = g AND first_order_at IS NOT NULL AND first_order_until IS NOT NULL) r
WHERE (p.sessions, p.return_sessions, q.sessions, q.return_sessions) IS DISTINCT FROM (r.sessions, r.return_sessions, r.sessions, r.return_sessions);
-- workers without a row
SELECT u.* FROM (SELECT rfm.visits_all(customer, session, at, (SELECT rfm.visit_boundaries(customer, '2023-01-01', '2023-01-01') FROM visit_customers WHERE customer = 5), NULL, NULL) AS visits
		FROM visits WHERE customer = 5 AND at = (SELECT min(at) FROM visits WHERE customer = 5)) x,
	rfm.unpack(visits) AS u (customer_id int, sessions_after_purchase bigint, return_sessions bigint);
SELECT rfm.visits_all(customer, session, at, (SELECT rfm.visit_boundaries(customer, first_order_at, first_order_until) FROM visit_customers WHERE customer < 0), NULL, NULL) FROM visits;
SELECT rfm.visits_all(customer, session, at, (SELECT rfm.visit_boundaries(customer, first_order_at, first_order_until) FROM visit_customers), NULL, NULL) FROM visits WHERE customer < 0;
SET max_parallel_workers_per_gather = 0;

-- the boundary itself: a visit at it does not count, one a microsecond later does; one at as_of is the next visit
SELECT as_of, u.* FROM unnest('{2024-01-02 10:00+00,2024-01-05+00,infinity,NULL}'::timestamptz[]) as_of, LATERAL (
	SELECT rfm.visits_all(1, session, at, (SELECT rfm.visit_boundaries(1, '2024-01-01 10:00+00', '2024-01-02 10:00+00')), as_of, NULL) AS visits
	FROM (VALUES ('a', timestamptz '2024-01-01 09:00+00'), ('b', '2024-01-01 10:00+00'), ('c', '2024-01-01 10:00:00.000001+00'), ('c', '2024-01-01 11:00+00'),
		('d', '2024-01-02 10:00+00'), ('e', '2024-01-02 10:00:00.000001+00'), ('a', '2024-01-03 10:00+00'), ('f', '2024-01-05+00')) v (session, at)) x,
	rfm.unpack(visits) AS u (customer_id int, sessions_after_purchase bigint, return_sessions bigint, next_visit_at timestamptz);
-- the next visit of some of the customers, in whatever order; not at infinity, without a session or of others
SELECT u.* FROM (SELECT rfm.visits_all(c, s, at, (SELECT rfm.visit_boundaries(c, '2024-01-01', '2024-01-01') FROM generate_series(1, 5) c), '2024-01-05', NULL) AS visits
	FROM (VALUES (1, 1, timestamptz '2024-01-07'), (1, 2, '2024-01-06'), (1, 3, '2024-01-08'), (2, 1, '2024-01-02'), (2, 1, 'infinity'), (3, NULL, '2024-01-06'), (5, 2, '2024-01-04'), (5, 2, '2024-01-05'), (6, 1, '2024-01-05')) v (c, s, at)) x,
	rfm.unpack(visits) AS u (next_visit_at timestamptz, customer_id int, return_sessions bigint) ORDER BY 2;
SELECT u.* FROM (SELECT rfm.visits_all(1, 1, at, (SELECT rfm.visit_boundaries(1, '2024-01-01', '2024-01-01')), '-infinity', NULL) AS visits FROM unnest('{-infinity,infinity}'::timestamptz[]) at) x,
	rfm.unpack(visits) AS u (customer_id int, next_visit_at timestamptz);

-- a time zone for each row
SELECT u.* FROM (SELECT rfm.visits_all(1, zone, at, (SELECT rfm.visit_boundaries(1, '2024-01-01 12:00+00', '2024-01-02 00:00+00')), '2024-01-02 12:00+00', zone) AS visits
	FROM unnest('{Asia/Tokyo,UTC,NULL,America/New_York,Pacific/Honolulu}'::text[]) zone, unnest('{2024-01-01 16:00,2024-01-02}'::timestamp[]) at) x,
	rfm.unpack(visits) AS u (customer_id int, sessions_after_purchase bigint, return_sessions bigint);

-- a session of several customers counts for each, whatever the columns asked for
SELECT u.* FROM (SELECT rfm.visits_all(c, 'shared'::text, timestamp '2024-01-02', b.boundaries, NULL, NULL) FILTER (WHERE c > 1) AS visits
	FROM (SELECT rfm.visit_boundaries(c, '2024-01-01', '2024-01-01') AS boundaries, count(*) AS n FROM generate_series(2, 5) c) b, LATERAL generate_series(1, b.n::int) c) x,
	rfm.unpack(visits) AS u (return_sessions bigint, customer_id int) ORDER BY 2;
SELECT u.* FROM (SELECT rfm.visits_all(c, c, date '2024-01-02', (SELECT rfm.visit_boundaries(c, '2024-01-01', '2024-01-01') FROM generate_series(2, 5) c), NULL, NULL) AS visits FROM generate_series(1, 4) c) x,
	rfm.unpack(visits) AS u (sessions_after_purchase bigint) ORDER BY 1;

-- no rows, only NULLs, no boundaries
SELECT case_, visits, u.* FROM (
	SELECT 1 AS case_, rfm.visits_all(1, 'a'::text, now(), (SELECT rfm.visit_boundaries(1, now(), now())), NULL, NULL) AS visits WHERE false
	UNION ALL SELECT 2, rfm.visits_all(c, s, at, (SELECT rfm.visit_boundaries(1, now(), now())), NULL, NULL)
		FROM (VALUES (NULL, 'a', timestamptz 'infinity'), (1, NULL, 'infinity'), (1, 'a', NULL)) v (c, s, at)
	UNION ALL SELECT 3, rfm.visits_all(1, 'a'::text, now(), (SELECT rfm.visit_boundaries(1, now(), now()) WHERE false), NULL, NULL)
	UNION ALL SELECT 4, rfm.visits_all(1, 'a'::text, now(), (SELECT rfm.visit_boundaries(c, a, u) FROM (VALUES (1, now(), NULL), (1, NULL, now()), (NULL, now(), now())) v (c, a, u)), NULL, NULL)) x
	LEFT JOIN LATERAL rfm.unpack(visits) AS u (customer_id int, sessions_after_purchase bigint, return_sessions bigint) ON true ORDER BY 1;

-- ids that differ with equal hashes
CREATE TABLE visit_twins AS
SELECT min(id) AS a, max(id) AS b FROM (SELECT 'session ' || i AS id FROM generate_series(1, 300000) i) x GROUP BY rfm.id_hash(id) HAVING count(*) > 1;
SELECT count(*) > 0 AS some FROM visit_twins;
SELECT t.*, u.* FROM visit_twins t, LATERAL (
	SELECT rfm.visits_all(c, s, timestamptz '2024-01-01' + n * interval '1 h', (SELECT rfm.visit_boundaries(c, at, at) FROM (VALUES (t.a, timestamptz '2024-01-01'), ('other', '2024-01-01')) v (c, at)), NULL, NULL) AS visits
	FROM unnest(ARRAY[t.a, t.b, t.b]) c, unnest(ARRAY[t.a, t.b, t.b]) s, generate_series(0, 3) n) x,
	LATERAL (SELECT array_agg(u ORDER BY customer_id) AS counts FROM rfm.unpack(visits) AS u (customer_id text, sessions_after_purchase bigint, return_sessions bigint)) u
WHERE counts::text IS DISTINCT FROM ARRAY[ROW('other'::text, 0, 0), ROW(t.a, 2, 2)]::text;
SELECT t.*, u.* FROM visit_twins t, LATERAL (
	SELECT rfm.visits_all(c, s, timestamptz '2024-01-01' + n * interval '1 h', (SELECT rfm.visit_boundaries(c, '2024-01-01', '2024-01-01 01:00') FROM unnest(ARRAY[t.a, t.b]) c), NULL, NULL) AS visits
	FROM unnest(ARRAY[t.a, t.b]) c, unnest(ARRAY[t.a, t.b, t.b]) s, generate_series(0, 1 + (c = t.a)::int) n) x,
	LATERAL (SELECT array_agg(u ORDER BY customer_id) AS counts FROM rfm.unpack(visits) AS u (customer_id text, sessions_after_purchase bigint, return_sessions bigint)) u
WHERE counts::text IS DISTINCT FROM ARRAY[ROW(t.a, 2, 2), ROW(t.b, 2, 0)]::text;

SELECT t.*, u.* FROM visit_twins t, LATERAL (
	SELECT rfm.visits_all(c, 1, at, (SELECT rfm.visit_boundaries(c, '2024-01-01', '2024-01-01') FROM unnest(ARRAY[t.a, t.b]) c), '2024-02-01', NULL) AS visits
	FROM (VALUES (t.b, timestamptz '2024-02-02'), (t.a, '2024-02-03')) v (c, at)) x,
	LATERAL (SELECT array_agg(u ORDER BY customer_id) AS next FROM rfm.unpack(visits) AS u (customer_id text, next_visit_at timestamptz)) u
WHERE next::text IS DISTINCT FROM ARRAY[ROW(t.a, timestamptz '2024-02-03'), ROW(t.b, timestamptz '2024-02-02')]::text;

-- many sessions: the table grows; workers that saw the same sessions
CREATE TABLE visits_many AS
SELECT i % 3 AS customer, i % 150000 AS session, timestamptz '2024-01-01' + (i / 150000) * interval '1 h' AS at FROM generate_series(0, 599999) i;
CREATE VIEW visits_counted AS
SELECT u.* FROM (SELECT rfm.visits_all(customer, session, at, (SELECT rfm.visit_boundaries(c, '2024-01-01 00:30', '2024-01-01 02:30') FROM generate_series(0, 2) c), NULL, NULL) AS visits FROM visits_many WHERE session > 9 OR at < '2024-01-01 02:30') x,
	rfm.unpack(visits) AS u (customer_id int, sessions_after_purchase bigint, return_sessions bigint);
SELECT * FROM visits_counted ORDER BY 1;
SET max_parallel_workers_per_gather = 4;
SELECT * FROM visits_counted ORDER BY 1;

-- each worker computes the boundaries on its own, in an order of its own, and so slowly that none is done before all have begun
CREATE FUNCTION visit_worker(pause float8) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS 'BEGIN PERFORM pg_sleep(pause); RETURN pg_backend_pid(); END';
ALTER TABLE visit_customers SET (parallel_workers = 0);
CREATE VIEW visits_shuffled AS
SELECT rfm.visits_all(customer::text, session, at, b.boundaries, '2023-11-02 00:00+00', NULL) AS visits
FROM visits JOIN (
	SELECT customer > 0 AS known, rfm.visit_boundaries(customer::text, first_order_at, first_order_until ORDER BY hashint8extended(customer, visit_worker(0.0002))) AS boundaries
	FROM visit_customers WHERE customer > 3 GROUP BY 1) b ON (visits.customer > 0) = known;
SELECT count(*) FILTER (WHERE line ~ 'Partial Aggregate') AS partial, count(*) FILTER (WHERE line ~ 'InitPlan') AS once FROM pg_temp.plan('TABLE visits_shuffled') line;
CREATE VIEW visits_expected AS
SELECT b.customer::text, count(DISTINCT session) FILTER (WHERE instant > first_order_at AND instant < '2023-11-02 00:00+00') AS sessions,
	count(DISTINCT session) FILTER (WHERE instant > first_order_until AND instant < '2023-11-02 00:00+00') AS return_sessions,
	min(instant) FILTER (WHERE instant >= '2023-11-02 00:00+00' AND session IS NOT NULL) AS next_visit_at
FROM visit_customers b LEFT JOIN (SELECT *, at AT TIME ZONE 'UTC' AS instant FROM visits) v USING (customer) WHERE b.customer > 3 AND first_order_at IS NOT NULL AND first_order_until IS NOT NULL GROUP BY 1;
TABLE visits_expected EXCEPT ALL
SELECT u.* FROM visits_shuffled, rfm.unpack(visits) AS u (customer_id text, sessions_after_purchase bigint, return_sessions bigint, next_visit_at timestamptz);
SET max_parallel_workers_per_gather = 0;

-- both types flat: in a table, in every row, in a variable, sorted
CREATE TABLE visit_boundaries_stored AS
SELECT rfm.visit_boundaries(customer::text, first_order_at, first_order_until) AS boundaries FROM visit_customers WHERE customer > 3;
SELECT boundaries, encode(rfm.visit_boundaries_send(boundaries), 'escape') FROM visit_boundaries_stored;
CREATE TABLE visits_stored AS
SELECT n, rfm.visits_all(customer::text, session::text, at, CASE n WHEN 1 THEN boundaries WHEN 2 THEN (SELECT boundaries FROM visit_boundaries_stored) END, '2023-11-02 00:00+00', NULL) AS visits FROM visits, visit_boundaries_stored, generate_series(1, 2) n GROUP BY n;
DO $$
DECLARE
	kept rfm.visit_boundaries;
	counted rfm.visit_set;
BEGIN
	SELECT rfm.visit_boundaries(customer::text, first_order_at, first_order_until) INTO kept FROM visit_customers WHERE customer > 3;
	SELECT rfm.visits_all(customer::text, session, at, kept, '2023-11-02 00:00+00', NULL) INTO counted FROM visits;
	INSERT INTO visits_stored VALUES (3, counted);
END $$;
INSERT INTO visits_stored SELECT 4, rfm.visits_all(customer::text, session, at, (SELECT boundaries FROM visit_boundaries_stored), '2023-11-02 00:00+00', NULL) FROM visits;
SELECT n, visits, encode(rfm.visit_set_send(visits), 'escape') = visits::text AS same, e.differences FROM visits_stored,
	LATERAL (SELECT count(*) AS differences FROM (TABLE visits_expected EXCEPT ALL SELECT u.* FROM rfm.unpack(visits) AS u (customer_id text, sessions_after_purchase bigint, return_sessions bigint, next_visit_at timestamptz)) x) e ORDER BY 1;
SELECT * FROM visits_expected WHERE customer::int BETWEEN 4 AND 60 EXCEPT ALL
SELECT customer_id::text, sessions_after_purchase, return_sessions, next_visit_at FROM (
	SELECT rfm.visits_all(customer, session, at, boundaries, '2023-11-02 00:00+00', NULL) AS visits
	FROM (SELECT * FROM visits, (SELECT rfm.visit_boundaries(customer, first_order_at, first_order_until) AS boundaries FROM visit_customers WHERE customer BETWEEN 4 AND 60) b ORDER BY session, at) x) x,
	rfm.unpack(visits) AS u (customer_id int, sessions_after_purchase bigint, return_sessions bigint, next_visit_at timestamptz);

-- refused calls
CREATE FUNCTION pg_temp.boundaries(at timestamptz) RETURNS rfm.visit_boundaries LANGUAGE sql AS 'SELECT rfm.visit_boundaries(1, at, at)';
SELECT pg_temp.refusal('SELECT ' || call) FROM (VALUES
	('rfm.visit_boundaries(1.5, now(), now())'), ('rfm.visit_boundaries(''a'', now(), now())'), ('rfm.visit_boundaries(1::float8, now(), now()) WHERE false'),
	('rfm.visit_boundaries(1, ''2024-01-02'', ''2024-01-01'')'),
	('rfm.visit_boundaries(1, now(), now()) OVER ()'), ('''x''::rfm.visit_boundaries'), ('''x''::rfm.visit_set')) v (call);
SELECT pg_temp.refusal('SELECT ' || call) FROM (VALUES
	('rfm.visits_all(1.5, 1, now(), pg_temp.boundaries(now()), NULL, NULL)'), ('rfm.visits_all(1, 1.5, now(), pg_temp.boundaries(now()), NULL, NULL)'),
	('rfm.visits_all(1, ''a'', now(), pg_temp.boundaries(now()), NULL, NULL)'), ('rfm.visits_all(1, 1, time ''10:00'', pg_temp.boundaries(now()), NULL, NULL)'),
	('rfm.visits_all(1, 1, 20240101, pg_temp.boundaries(now()), NULL, NULL) WHERE false'),
	('rfm.visits_all(1::bigint, 1, now(), pg_temp.boundaries(now()), NULL, NULL)'), ('rfm.visits_all(''1''::varchar, 1, now(), pg_temp.boundaries(now()), NULL, NULL)'),
	('rfm.visits_all(1, 1, timestamptz ''infinity'', pg_temp.boundaries(now()), NULL, NULL)'), ('rfm.visits_all(1, 1, date ''-infinity'', pg_temp.boundaries(now()), now(), NULL)'),
	('rfm.visits_all(2, 1, timestamp ''-infinity'', pg_temp.boundaries(now()), ''infinity'', NULL)'), ('rfm.visits_all(1, 1, date ''5874897-12-31'', pg_temp.boundaries(now()), NULL, NULL)'),
	('rfm.visits_all(1, 1, timestamp ''2024-01-01'', pg_temp.boundaries(now()), NULL, ''Mars'')'),
	('rfm.visits_all(1, 1, now(), NULL, NULL, NULL)'), ('rfm.visits_all(1, i, now(), pg_temp.boundaries(now() + i * interval ''1 s''), NULL, NULL) FROM generate_series(1, 2) i'),
	('rfm.visits_all(1, i, now(), CASE WHEN i < 9 THEN pg_temp.boundaries(now()) END, NULL, NULL) FROM generate_series(1, 9) i'),
	('rfm.visits_all(1, 1, now(), (SELECT rfm.visit_boundaries(c, now(), now()) FROM unnest(''{5,-7,5}''::int[]) c), NULL, NULL)'),
	('rfm.visits_all(''1''::text, 1, now(), (SELECT rfm.visit_boundaries(c, now(), now()) FROM unnest(''{some one,b,some one}''::text[]) c), NULL, NULL)'),
	('rfm.visits_all(gen_random_uuid(), 1, now(), (SELECT rfm.visit_boundaries(c, now(), now()) FROM unnest(''{5ca1ab1e-0000-0000-0000-000000000000,5ca1ab1e-0000-0000-0000-000000000000}''::uuid[]) c), NULL, NULL)'),
	('rfm.visits_all(1, 1, now(), pg_temp.boundaries(now()), NULL, NULL) OVER ()'), ('rfm.unpack(rfm.visits_all(1, 1, now(), pg_temp.boundaries(now()), NULL, NULL))')) v (call);
-- an infinite time from as_of on is no visit
SELECT u.* FROM (SELECT rfm.visits_all(1, 1, at, pg_temp.boundaries('2024-01-01'), 'infinity', NULL) AS visits FROM unnest('{infinity,2024-01-02}'::date[]) at) x, rfm.unpack(visits) AS u (return_sessions bigint);
SELECT pg_temp.refusal('SELECT * FROM rfm.unpack((SELECT rfm.visits_all(1::int2, 1, now(), (SELECT rfm.visit_boundaries(1::int2, now(), now())), NULL, NULL))) AS u (' || columns || ')')
FROM unnest('{customer_id int,customer_id float8,sessions_after_purchase int,return_sessions numeric,sessions bigint,next_visit_at timestamp,next_visit_at timestamptz(3)}'::text[]) columns;
SET max_parallel_workers_per_gather = 4;
SELECT pg_temp.refusal('SELECT rfm.visits_all(customer, session, at, (SELECT rfm.visit_boundaries(c % 5, now(), now()) FROM generate_series(1, 6) c), NULL, NULL) FROM visits');
CREATE FUNCTION visit_boundaries_of_worker() RETURNS rfm.visit_boundaries LANGUAGE plpgsql PARALLEL SAFE AS
	'BEGIN RETURN (SELECT rfm.visit_boundaries(1, to_timestamp(visit_worker(0)), ''infinity'')); END';
SELECT pg_temp.refusal('SELECT rfm.visits_all(customer, session, at, visit_boundaries_of_worker(), NULL, NULL) FROM visits');
-- a query that gives something else
SELECT pg_temp.refusal(format('SELECT rfm.count_visits(rfm.visit_boundaries(1, now(), now()), %L)', q)) FROM (VALUES ('SELECT 1'), ('SELECT'), ('SELECT NULL::text'), ('SELECT 1 WHERE false')) v (q);

DROP VIEW visits_counted, visits_shuffled, visits_expected;
DROP TABLE visit_customers, visits, visit_ids, visit_twins, visits_many, visit_boundaries_stored, visits_stored;
DROP FUNCTION visit_boundaries_of_worker, visit_worker(float8);
