-- ledger: what a customer's lines brought by month; cohorts and margin_rate, sums of ledgers.  A
-- query that compares returns no rows when all is well.
SET timezone = 'Pacific/Auckland';	-- the session's time zone has no influence
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

-- Lines of every sort: month ends by the hour, long ago and far ahead, NULLs, zeros, refunds; customers
-- with one line and with hundreds.
CREATE TABLE ledger_lines AS
SELECT CASE b % 5 WHEN 0 THEN b / 5 % 6 ELSE b / 5 % 900 END AS customer,
	CASE WHEN a % 50 > 0 THEN CASE d % 4
		WHEN 0 THEN timestamp '2024-02-29 20:00' + d / 4 % 8 * interval '1 hour'
		WHEN 1 THEN timestamp '2023-10-27' + d / 4 % 24 * interval '29 days 1 hour'
		WHEN 2 THEN timestamp '1969-12-31 18:00' + d / 4 % 600 * interval '1 month'
		ELSE timestamp '2024-01-01' - d / 4 % 3 * interval '1 microsecond' END END AS at,
	CASE WHEN a / 50 % 50 > 0 THEN (ARRAY[0, 9.99, 10, -9.99, e % 1000000 / 100.0, e / 100000000.0, e / 1000.0, -(e % 3000000) / 100.0, e % 1000 + 0.00005])[1 + e / 7 % 9] END::numeric AS amount,
	CASE WHEN f % 3 > 0 THEN f / 3 % 100000 / 777.0 END::numeric AS cost
FROM generate_series(1, 6000) i,
	LATERAL (SELECT pg_temp.hash(i, 1) AS a, pg_temp.hash(i, 2) AS b, pg_temp.hash(i, 4) AS d, pg_temp.hash(i, 5) AS e, pg_temp.hash(i, 6) AS f) h
UNION ALL VALUES (1, timestamp 'infinity', 1::numeric, 1::numeric), (2000, 'infinity', 1, 1), (2001, NULL, 1, 1), (2002, '2024-01-01', NULL, 1),
	(2003, '2024-02-01', -5, 1), (2004, '2500-01-01', 5, 1), (2004, '2400-01-01', -5, 1), (2004, 'infinity', 5, 1);

-- The customers of whom plain SQL says something else, or whose text does not read back.
CREATE FUNCTION pg_temp.differences(amount text, at text, zone text, window_start timestamptz, as_of timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format('CREATE TEMPORARY TABLE typed AS SELECT customer, at::%1$s AS at, CASE WHEN %2$L LIKE ''int_''
		THEN round(amount %% 32768)::%2$s ELSE amount::%2$s END AS amount, cost FROM ledger_lines', at, amount);
	EXECUTE format('
		WITH line AS MATERIALIZED (
			SELECT customer, instant AS at, round(amount::text::numeric, 4) AS amount, round(cost, 4) AS cost, instant < $2 AS valid, coalesce(instant >= $1, true) AS w
			FROM typed, LATERAL (SELECT %1$s AS instant) x WHERE at IS NOT NULL AND amount IS NOT NULL),
		months AS (
			SELECT customer, array_agg((month, purchased, revenue)::text ORDER BY month) AS months
			FROM (SELECT customer, date_trunc(''month'', at AT TIME ZONE %2$L)::date AS month, bool_or(amount >= 0) AS purchased, sum(amount) AS revenue
				FROM line WHERE valid GROUP BY 1, 2) x GROUP BY 1),
		totals AS (
			SELECT customer, min(at) FILTER (WHERE NOT valid AND at < ''infinity'') AS next, min(at) FILTER (WHERE valid AND w) AS window,
				(sum(amount - cost) FILTER (WHERE valid AND w AND amount >= 0 AND cost IS NOT NULL)
					/ nullif(sum(amount) FILTER (WHERE valid AND w AND amount >= 0 AND cost IS NOT NULL), 0))::float8 AS margin
			FROM line GROUP BY 1),
		expected AS (
			SELECT customer, next, "window", margin, months FROM totals LEFT JOIN months USING (customer) WHERE next IS NOT NULL OR months IS NOT NULL),
		ledgers AS MATERIALIZED (
			SELECT customer, rfm.ledger(at, amount, cost, $1, $2, %2$L) AS ledger FROM typed GROUP BY 1),
		actual AS (
			SELECT customer, rfm.next_line_at(ledger), rfm.window_line_at(ledger), (SELECT rfm.margin_rate(l) FROM (SELECT ledger AS l OFFSET 0) x),
				(SELECT array_agg((u.month, u.purchased, u.revenue)::text) FROM rfm.unpack(ledger) u)
			FROM ledgers WHERE ledger IS NOT NULL)
		SELECT (SELECT count(*) FROM ((TABLE expected EXCEPT ALL TABLE actual) UNION ALL (TABLE actual EXCEPT ALL TABLE expected)) x)
			+ (SELECT count(*) FROM ledgers WHERE ledger::text::rfm.ledger::text <> ledger::text OR rfm.ledger_final(ledger)::text <> ledger::text)',
		CASE at WHEN 'timestamptz' THEN 'at' ELSE format('at::timestamp AT TIME ZONE %L', zone) END, zone)
	INTO result USING window_start, as_of;
	DROP TABLE typed;
	RETURN result;
END $$;
SELECT * FROM (VALUES
	('numeric', 'timestamptz', 'UTC', NULL, '2024-06-01 00:00+00'),
	('float8', 'timestamp', 'Europe/Berlin', '2023-11-01 00:00+00', '2024-03-01 00:00+00'),
	('float4', 'timestamp', 'America/New_York', '2024-01-01 05:00+00', '2024-02-29 23:00+00'),
	('int8', 'date', 'Asia/Kathmandu', NULL, '2020-01-01 00:00+00'),
	('int4', 'timestamptz', 'Pacific/Apia', '2020-01-01 00:00+00', 'infinity'),
	('int2', 'date', 'UTC', '2030-01-01 00:00+00', '2024-02-29 00:00+00'),
	('numeric', 'timestamp', 'Antarctica/Troll', '1960-01-01 00:00+00', '1965-01-01 00:00+00')) v (amount, at, zone, window_start, as_of)
WHERE pg_temp.differences(amount, at, zone, window_start::timestamptz, as_of::timestamptz) > 0;

-- A reading aid.
SELECT ledger, pg_column_size(ledger) AS bytes, rfm.next_line_at(ledger), rfm.window_line_at(ledger), u.*
FROM (SELECT n, rfm.ledger(at, amount, cost, '2024-01-15', '2024-06-01', 'UTC') AS ledger
	FROM (VALUES (1, timestamptz '2024-01-10 10:00+00', 29.99, 12.5), (2, '2024-01-20 10:00+00', 29.99, 12.5), (3, '2024-01-20 10:00+00', 29.99, NULL),
		(4, '2024-01-10 10:00+00', 10, 4), (4, '2024-01-31 23:59+00', -4, 1), (4, '2024-03-01 00:00+00', 20.00005, 7.99995), (4, '2024-06-01 00:00+00', 'NaN', 'NaN'), (4, '2024-05-31 23:59:59.999999+00', -3, 1),
		(5, '2024-07-01 00:00+00', 1, 1), (6, '0044-03-15 00:00+00 BC', 1, NULL), (6, '4714-11-24 00:00+00 BC', 0, NULL)) v (n, at, amount, cost) GROUP BY 1) x
	LEFT JOIN LATERAL rfm.unpack(ledger) u ON true ORDER BY n, month;

-- nothing gives NULL
SELECT rfm.ledger(at, 1, 1, NULL, as_of, NULL), rfm.cohorts('2024-01-01', NULL), rfm.margin_rate(NULL) FROM (VALUES (NULL::timestamptz, NULL::timestamptz), ('infinity', 'infinity'), ('infinity', now())) v (at, as_of);
SELECT rfm.ledger(now(), 1, 1, NULL, NULL, NULL), rfm.cohorts(date '2024-01-01', '1 - - - -'), rfm.margin_rate('1 - - - -') WHERE false;
SELECT rfm.ledger(now(), 1, 1, NULL, NULL, NULL) IS NULL AS ledger, rfm.cohorts(date '2024-01-01', '1 - - - -'), rfm.margin_rate('1 - - - -'), rfm.margin_rate('1 - - 0.0000 5.0000');
-- in the ledger, an amount at or after as_of is not read
SELECT rfm.ledger(timestamptz '2024-06-01', 'NaN'::numeric, 'NaN', NULL, '2024-01-01', NULL);
-- a time zone for each row
SELECT rfm.ledger(timestamp '2024-01-01 01:00', 1, NULL, '2024-01-01', '2024-01-01 12:00+00', zone) FROM unnest('{UTC,Asia/Tokyo,America/New_York,Pacific/Honolulu}'::text[]) zone;
SELECT rfm.ledger(timestamptz '2024-01-01 01:00+00', 1, NULL, NULL, NULL, zone) FROM unnest('{UTC,Asia/Tokyo,America/New_York,NULL}'::text[]) zone;
-- a cost that does not count is not read
SELECT rfm.ledger(at, amount, 'NaN', '2024-01-01', '2024-06-01', 'UTC') FROM (VALUES (1, timestamptz '2023-12-31'), (-1, '2024-01-02'), (1, '2024-06-01')) v (amount, at);

-- sums beyond bigint, in any order
SELECT sign, rotation, u.*
FROM unnest('{1,-1}'::int[]) sign, generate_series(0, 2) rotation,
	LATERAL (SELECT rfm.ledger(timestamp 'epoch', sign * 922337203685477.5807 * (ARRAY[1, 1, -1])[(i + rotation) % 3 + 1], NULL, NULL, NULL, NULL ORDER BY i) AS ledger FROM generate_series(0, 2) i) x,
	rfm.unpack(ledger) u WHERE u.revenue <> sign * 922337203685477.5807;
SELECT sign, ledger, margin, c.* FROM unnest('{1,-1}'::int[]) sign,
	LATERAL (SELECT rfm.ledger(timestamp 'epoch' + i * interval '0', sign * 922337203685477.5807, -922337203685477.5807, NULL, NULL, NULL) AS ledger FROM generate_series(1, 1000) i) x,
	LATERAL (SELECT rfm.margin_rate(l) AS margin, rfm.cohorts('epoch', l) AS cohorts FROM (SELECT ledger AS l FROM generate_series(1, 1000)) z) y, rfm.unpack(cohorts) c;

-- many months
SELECT n, u.* FROM unnest('{1,4,5,8,9,5000}'::int[]) n, LATERAL (SELECT rfm.ledger(timestamp '0001-01-31' + i * 7919::bigint % n * interval '1 month', i % 5, 1, NULL, NULL, NULL) AS ledger FROM generate_series(1, 3 * n) i) x,
	LATERAL (SELECT count(*) AS months, count(DISTINCT month) AS distinct_months, sum(revenue) AS revenue, bool_and(purchased) AS purchased, array_agg(month) = array_agg(month ORDER BY month) AS ascending FROM rfm.unpack(ledger)) u
WHERE (u.months, u.distinct_months, u.revenue, u.purchased, u.ascending, ledger::text::rfm.ledger::text = ledger::text) IS DISTINCT FROM (n, n, (SELECT sum(i % 5) FROM generate_series(1, 3 * n) i), true, true, true);

-- the same value in any order of rows, in parallel, spilled, and as a window function
CREATE VIEW ledger_texts AS SELECT customer, rfm.ledger(at, amount, cost, timestamp '2020-01-01' AT TIME ZONE 'UTC', '2024-02-29 23:00+00', 'Europe/Berlin')::text AS ledger FROM ledger_lines GROUP BY 1;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE ledger_stored AS SELECT customer, rfm.ledger(at, amount, cost, timestamp '2020-01-01' AT TIME ZONE 'UTC', '2024-02-29 23:00+00', 'Europe/Berlin') AS ledger FROM ledger_lines GROUP BY 1;
SELECT customer, ledger::text FROM ledger_stored EXCEPT ALL
SELECT customer, rfm.ledger(at, amount, cost, timestamp '2020-01-01' AT TIME ZONE 'UTC', '2024-02-29 23:00+00', 'Europe/Berlin' ORDER BY amount, at DESC)::text FROM ledger_lines GROUP BY 1;
SET work_mem = '64kB';
SET enable_sort = off;
SELECT customer, ledger::text FROM ledger_stored EXCEPT ALL TABLE ledger_texts;
RESET work_mem;
RESET enable_sort;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS
	'BEGIN RETURN QUERY EXECUTE ''EXPLAIN (COSTS OFF) '' || query; END';
SET max_parallel_workers_per_gather = 4;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) > 0 AS partial FROM pg_temp.plan('TABLE ledger_texts') line WHERE line ~ 'Partial .*Aggregate';
CREATE TEMPORARY TABLE parallel AS TABLE ledger_texts;
SELECT customer, ledger::text FROM ledger_stored EXCEPT ALL TABLE parallel;
SET parallel_leader_participation = off;
CREATE TEMPORARY TABLE workers AS TABLE ledger_texts;
SELECT customer, ledger::text FROM ledger_stored EXCEPT ALL TABLE workers;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;
SELECT customer, at FROM (
	SELECT customer, at, rfm.ledger(at, amount, cost, NULL, NULL, NULL) OVER (w ROWS UNBOUNDED PRECEDING) AS running,
		rfm.ledger(at, amount, cost, NULL, NULL, NULL) OVER (w ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS moving, array_agg(l) OVER (w ROWS UNBOUNDED PRECEDING) AS rows
	FROM ledger_lines l WHERE customer BETWEEN 6 AND 40 WINDOW w AS (PARTITION BY customer ORDER BY at, amount, cost)) x,
	LATERAL (SELECT rfm.ledger(at, amount, cost, NULL, NULL, NULL) AS running, rfm.ledger(at, amount, cost, NULL, NULL, NULL) FILTER (WHERE n > cardinality(rows) - 4) AS moving
		FROM unnest(rows) WITH ORDINALITY r (customer, at, amount, cost, n)) y
WHERE (x.running::text, x.moving::text) IS DISTINCT FROM (y.running::text, y.moving::text);

-- ledger_combine: any grouping, any order, NULL for no lines; states as they are, without the last step
CREATE AGGREGATE ledger_raw(timestamp, numeric, numeric, timestamptz, timestamptz, text) (SFUNC = rfm.ledger_accum, STYPE = rfm.ledger);
SELECT customer FROM ledger_stored s JOIN (
	SELECT customer, ledger_raw(at, amount, cost, w, '2024-02-29 23:00+00', 'Europe/Berlin') AS raw,
		ledger_raw(at, amount, cost, w, '2024-02-29 23:00+00', 'Europe/Berlin') FILTER (WHERE amount < 5) AS a,
		rfm.ledger(at, amount, cost, w, '2024-02-29 23:00+00', 'Europe/Berlin') FILTER (WHERE amount >= 5 AND at < '2024-01-01') AS b,
		ledger_raw(at, amount, cost, w, '2024-02-29 23:00+00', 'Europe/Berlin') FILTER (WHERE amount >= 5 AND at >= '2024-01-01') AS c
	FROM ledger_lines, LATERAL (SELECT timestamp '2020-01-01' AT TIME ZONE 'UTC' AS w) w GROUP BY 1) parts USING (customer)
WHERE ledger::text IS DISTINCT FROM rfm.ledger_combine(rfm.ledger_combine(a, b), c)::text
	OR ledger::text IS DISTINCT FROM rfm.ledger_combine(a, rfm.ledger_combine(b, c))::text
	OR ledger::text IS DISTINCT FROM rfm.ledger_combine(rfm.ledger_combine(c, a), b)::text
	OR ledger::text IS DISTINCT FROM rfm.ledger_combine(NULL, raw)::text
	OR ledger::text IS DISTINCT FROM rfm.ledger_final(rfm.ledger_combine(raw, NULL))::text
	OR rfm.next_line_at(ledger) IS DISTINCT FROM rfm.next_line_at(raw) OR rfm.window_line_at(ledger) IS DISTINCT FROM rfm.window_line_at(raw)
	OR (SELECT array_agg(u) FROM rfm.unpack(ledger) u) IS DISTINCT FROM (SELECT array_agg(u) FROM rfm.unpack(raw) u)
	OR pg_column_size(rfm.ledger_final(raw)) > pg_column_size(ledger) + 3;
SELECT rfm.ledger_combine(NULL, NULL), rfm.ledger_final(NULL);

-- cohorts and margin_rate against plain SQL, in any order and in parallel
CREATE TABLE ledger_customers AS
SELECT customer, ledger, CASE WHEN customer % 11 > 0 THEN (SELECT min(month) + customer % 28 FROM rfm.unpack(ledger) WHERE purchased) END AS first_order_date FROM ledger_stored;
INSERT INTO ledger_customers SELECT n, NULL, '2024-01-01' FROM generate_series(3000, 3010) n;
CREATE VIEW ledger_expected AS
SELECT date_trunc('month', first_order_date::timestamp)::date AS cohort_month, u.month, count(*) FILTER (WHERE purchased) AS active_customers, sum(u.revenue) AS revenue
FROM ledger_customers, rfm.unpack(ledger) u WHERE first_order_date IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;
CREATE TABLE ledger_sums AS SELECT rfm.cohorts(first_order_date, ledger) AS cohorts, rfm.margin_rate(ledger) FROM ledger_customers;
SELECT array_agg(u::text) = (SELECT array_agg(e::text) FROM ledger_expected e) AS equal, count(*) > 500 AS many FROM ledger_sums, rfm.unpack(cohorts) u;
SELECT margin_rate, (sum(amount - cost) / sum(amount))::float8 AS expected FROM ledger_sums, (SELECT round(amount, 4) AS amount, round(cost, 4) AS cost FROM ledger_lines
	WHERE amount >= 0 AND cost IS NOT NULL AND at AT TIME ZONE 'Europe/Berlin' >= '2020-01-01 00:00+00' AND at AT TIME ZONE 'Europe/Berlin' < '2024-02-29 23:00+00') l GROUP BY 1;
SELECT count(*) FROM ledger_sums s, (SELECT rfm.cohorts(first_order_date, ledger ORDER BY customer % 7, customer DESC) AS cohorts, rfm.margin_rate(ledger ORDER BY customer % 7) FROM ledger_customers) o
WHERE rfm.cohorts_send(s.cohorts) <> rfm.cohorts_send(o.cohorts) OR s.margin_rate <> o.margin_rate;
SET max_parallel_workers_per_gather = 4;
SELECT count(*) > 0 AS partial FROM pg_temp.plan('SELECT rfm.cohorts(first_order_date, ledger), rfm.margin_rate(ledger) FROM ledger_customers') line WHERE line ~ 'Partial Aggregate';
CREATE TEMPORARY TABLE parallel_sums AS SELECT rfm.cohorts(first_order_date, ledger) AS cohorts, rfm.margin_rate(ledger) FROM ledger_customers;
SELECT count(*) FROM ledger_sums s, parallel_sums o WHERE s.cohorts::text <> o.cohorts::text OR s.margin_rate <> o.margin_rate;
-- states beside others, whose bytes do not stand at multiples of eight; workers without a row
SELECT g, cohorts FROM (SELECT customer % 9 AS g, rfm.margin_rate(ledger) AS margin, rfm.cohorts(first_order_date, ledger) AS cohorts, rfm.margin_rate(ledger) AS again FROM ledger_customers GROUP BY 1) x,
	LATERAL (SELECT sum(revenue) AS revenue, sum(active_customers) AS active FROM rfm.unpack(cohorts)) a,
	LATERAL (SELECT sum(revenue) AS revenue, count(*) FILTER (WHERE purchased) AS active FROM ledger_customers, rfm.unpack(ledger) u WHERE customer % 9 = g AND first_order_date IS NOT NULL) b
WHERE (a.revenue, a.active, margin) IS DISTINCT FROM (b.revenue, b.active, again);
SELECT rfm.cohorts(first_order_date, ledger), rfm.margin_rate(ledger) FROM ledger_customers WHERE customer < 0;
SET max_parallel_workers_per_gather = 0;

-- both types: text and binary, back and forth
CREATE TABLE ledger_copied (LIKE ledger_stored);
CREATE TABLE ledger_sums_copied (LIKE ledger_sums);
\copy ledger_stored TO 'results/ledger.data' (FORMAT binary)
\copy ledger_copied FROM 'results/ledger.data' (FORMAT binary)
\copy ledger_sums TO 'results/cohorts.data' (FORMAT binary)
\copy ledger_sums_copied FROM 'results/cohorts.data' (FORMAT binary)
SELECT customer, ledger::text FROM ledger_stored EXCEPT ALL SELECT customer, ledger::text FROM ledger_copied;
SELECT cohorts::text, margin_rate FROM ledger_sums EXCEPT ALL SELECT cohorts::text, margin_rate FROM ledger_sums_copied;
SELECT cohorts::text::rfm.cohorts::text = cohorts::text AS same FROM ledger_sums;
SELECT rfm.cohorts(date, ledger::rfm.ledger) AS example FROM (VALUES ('2024-01-31'::date, '1 - - - - 2024-01 p 10.0000 2024-03 a -2.5000'), ('2024-01-01', '1 - - - - 2024-01 p 0.0001 2024-02 p 0.0000'),
	('0044-03-15 BC', '1 - - - - -0043-03 p 1.0000'), ('5874897-12-31', '1 - - - - 5874897-12 p 1.0000')) v (date, ledger);
SELECT u.* FROM rfm.unpack('1 -4713-11 -4713-11 1 0.0000 -0043-03 0000-12 1 1.0000 5874898-06 5874898-06 9223372036854775807 -132922799578491587290380706028034.4575'::rfm.cohorts) u;

-- hostile texts: every prefix, every character replaced, removed or doubled.  Each is an error or prints as given.
CREATE FUNCTION pg_temp.reread(value text, type text) RETURNS text LANGUAGE plpgsql AS
	'BEGIN IF type = ''ledger'' THEN RETURN value::rfm.ledger; END IF; RETURN value::rfm.cohorts; EXCEPTION WHEN OTHERS THEN RETURN NULL; END';
WITH example (t, type) AS (VALUES
	('1 757000000000000 -790000000000000 29.9900 -0.0001 -0044-12 p 10.0000 2024-01 a -2.5000', 'ledger'), ('1 - - - -', 'ledger'), ('1 2024-01 2024-03 12 -1234.5000 2024-02 2024-02 1 0.0000', 'cohorts')),
mutation AS MATERIALIZED (
	SELECT left(t, n) AS m, type FROM example, generate_series(0, length(t) - 1) n
	UNION ALL
	SELECT overlay(t PLACING c FROM n FOR w), type FROM example, generate_series(1, length(t)) n, generate_series(0, 1) w, unnest('{"",0,1,5,9,-,+," ","  ",:,p,a,P,.,..,é,00,99999999999999999999," -"}'::text[]) c
	UNION ALL SELECT t || c, type FROM example, unnest('{" ",0," 0"," -",.}'::text[]) c)
SELECT m, reread FROM mutation, pg_temp.reread(m, type) AS reread WHERE reread <> m;
SELECT t, pg_temp.refusal(format('SELECT %L::rfm.%s', t, type)) FROM (VALUES ('', 'ledger'), ('2 - - - -', 'ledger'), ('1 - - - - 2024-02 p 1.0000 2024-01 p 1.0000', 'ledger'), ('1 - - - - 2024-01 p 1.0000 2024-01 p 1.0000', 'ledger'),
	('1 - - - - 2024-13 p 1.0000', 'ledger'), ('1 - - - - 2024-01 p 3961408125713216879677197.5168', 'ledger'), ('1 9223372036854775807 - - -', 'ledger'), ('1 - - - - 9999999-01 p 1.0000', 'ledger'),
	('', 'cohorts'), ('2', 'cohorts'), ('1 2024-01 2024-02 -1 0.0000', 'cohorts'), ('1 2024-01 2024-02 9223372036854775808 0.0000', 'cohorts'), ('1 2024-02 2024-02 1 0.0000 2024-01 2024-02 1 0.0000', 'cohorts'),
	('1 2024-01 2024-01 1 132922799578491587290380706028034.4576', 'cohorts')) v (t, type);
SELECT '1 - - 3961408125713216879677197.5167 -3961408125713216879677197.5167 2024-01 p 3961408125713216879677197.5167'::rfm.ledger, '1'::rfm.cohorts;

-- refused calls
SELECT pg_temp.refusal('SELECT ' || call) FROM (VALUES
	('rfm.ledger(1, 1, 1, NULL, NULL, NULL)'), ('rfm.ledger(NULL, 1, 1, NULL, NULL, NULL)'), ('rfm.ledger(now(), ''1'', 1, NULL, NULL, NULL)'), ('rfm.ledger(now(), ''1''::money, 1, NULL, NULL, NULL)'),
	('rfm.ledger(now(), ''NaN''::float8, 1, NULL, NULL, NULL)'), ('rfm.ledger(now(), 1, ''NaN'', NULL, NULL, NULL)'), ('rfm.ledger(now(), 1, ''infinity'', NULL, NULL, NULL)'), ('rfm.ledger(now(), 1e30, 1, NULL, NULL, NULL)'), ('rfm.ledger(now(), 1, 1e30, NULL, NULL, NULL)'),
	('rfm.ledger(timestamptz ''infinity'', 1, 1, NULL, NULL, NULL)'), ('rfm.ledger(date ''-infinity'', 1, 1, NULL, now(), NULL)'),
	('rfm.ledger(now(), 1, 1, NULL, NULL, ''Mars'')'), ('rfm.ledger(timestamptz ''2024-01-01'', 1, 1, timestamptz ''2024-01-01'' + i * interval ''1 s'', NULL, NULL) FROM generate_series(1, 2) i'),
	('rfm.ledger_accum(NULL, now(), 1, 1, NULL, NULL, NULL)'), ('rfm.cohorts(''infinity'', ''1 - - - -'')')) v (call);
SET max_parallel_workers_per_gather = 4;
SELECT pg_temp.refusal('SELECT rfm.ledger(at, amount, cost, at AT TIME ZONE ''UTC'', NULL, NULL) FROM ledger_lines WHERE isfinite(at)');

DROP VIEW ledger_texts, ledger_expected;
DROP AGGREGATE ledger_raw(timestamp, numeric, numeric, timestamptz, timestamptz, text);
DROP TABLE ledger_lines, ledger_stored, ledger_customers, ledger_sums, ledger_copied, ledger_sums_copied;
