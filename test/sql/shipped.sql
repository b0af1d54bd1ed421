-- What goes to other servers and comes back: time zones as bytes, costs as arrays, summaries of profiles.  A query that
-- compares returns no rows when all is well.
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
	RETURN format('%s: %s (%s)', SQLSTATE, SQLERRM, hint);
END $$;
CREATE TABLE shipped_lines AS
	SELECT i % 97 AS customer_id, i % 411 AS order_id, timestamp '2024-03-31 01:30' + (i % 300 - 150) * interval '7 hours 13 minutes 0.000001 seconds' AS ordered_at,
		(i * 37 % 2003 - 200) / 100.0 AS amount, nullif(i % 23, 0) AS product_id, nullif(i % 23, 0) / 3.0 AS cost
	FROM generate_series(1, 3000) i;

-- a zone in bytes is the same zone, and a literal is a text
SELECT customer_id FROM shipped_lines GROUP BY 1 HAVING
	rfm.profile(order_id, ordered_at, amount, product_id, '2024-03-01', '2024-04-20', 'Europe/Berlin'::bytea)::text
		<> rfm.profile(order_id, ordered_at, amount, product_id, '2024-03-01', '2024-04-20', 'Europe/Berlin')::text
	OR rfm.ledger(ordered_at, amount, cost, '2024-03-01', '2024-04-20', 'Europe/Berlin'::bytea)::text
		<> rfm.ledger(ordered_at, amount, cost, '2024-03-01', '2024-04-20', 'Europe/Berlin')::text;
SELECT DISTINCT t FROM (SELECT ordered_at AS t FROM shipped_lines UNION ALL SELECT date '2024-10-27' + i * interval '30 minutes' FROM generate_series(0, 10) i
	UNION ALL SELECT unnest('{infinity,-infinity,4713-01-01 BC}'::timestamp[])) x
WHERE rfm.instant(t, 'Europe/Berlin'::bytea) IS DISTINCT FROM t AT TIME ZONE 'Europe/Berlin' OR rfm.instant(t, 'UTC') IS DISTINCT FROM t AT TIME ZONE 'UTC';
SELECT rfm.instant(NULL::timestamp, 'UTC'), rfm.instant(now()::timestamp, NULL), pg_temp.refusal($$SELECT rfm.instant(timestamp '2024-01-01', 'Mars')$$);
SELECT rfm.instant(0) = '2000-01-01 00:00+00', rfm.instant(-9223372036854775808), rfm.instant(9223372036854775807), pg_temp.refusal('SELECT rfm.instant(9223372036854775806)');

-- a summary is what unpack tells, whatever the ids
CREATE FUNCTION pg_temp.differing(order_id text, product_id text, id_type text, since text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM (SELECT rfm.profile(%s, ordered_at, amount, %s, %s, NULL, ''UTC'') AS p FROM shipped_lines GROUP BY customer_id) g,'
		' LATERAL rfm.unpack(p) AS u(first_order_at timestamptz, first_order_until timestamptz, second_order_at timestamptz, last_order_at timestamptz,'
		' orders bigint, lines bigint, revenue numeric, first_order_revenue numeric, first_product_id %4$s), LATERAL rfm.summary(p) s'
		' WHERE (rfm.instant(s.first_order_at), rfm.instant(s.first_order_until), rfm.instant(s.second_order_at), rfm.instant(s.last_order_at), s.orders,'
		' s.lines, s.revenue, s.first_order_revenue, s.first_product_id::%4$s) IS DISTINCT FROM (u.first_order_at, u.first_order_until, u.second_order_at,'
		' u.last_order_at, u.orders, u.lines, u.revenue, u.first_order_revenue, u.first_product_id)', order_id, product_id, since, id_type) INTO n;
	RETURN n;
END $$;
SELECT x.t, since, n
FROM unnest('{smallint,integer,bigint,uuid,text}'::text[], '{product_id::smallint,product_id,product_id::bigint,md5(product_id::text)::uuid,product_id::text}'::text[]) x(t, product),
	unnest('{"NULL",timestamptz ''2024-04-30'',timestamptz ''2030-01-01''}'::text[]) since,
	pg_temp.differing(CASE x.t WHEN 'text' THEN 'order_id::text' ELSE 'order_id' END, x.product, x.t, since) n WHERE n > 0;
SELECT (rfm.summary(rfm.profile(7, timestamptz '2024-01-02 03:04:05.678901+00', -1, 9))).*;
SELECT rfm.summary(rfm.profile(o, timestamptz '2024-01-02 03:04:05.678901+00' + o * interval '1 day', o, 'p"' || o)) FROM generate_series(1, 3) o;
SELECT rfm.summary(NULL) IS NULL;

-- costs
SELECT id, rfm.cost_of(id, '{-9223372036854775808,-1,2,30}', '{1,2.50,NULL,4}') FROM unnest('{-9223372036854775808,-2,-1,0,2,3,30,31,NULL}'::bigint[]) id;
SELECT id, rfm.cost_of(id, ARRAY['', 'B', 'a', 'aa', 'ä'], '{1,2,3,4,5}') FROM unnest(ARRAY['', 'A', 'B', 'a', 'aa', 'aaa', 'ä', 'z']) id;
SELECT count(*), count(*) FILTER (WHERE rfm.cost_of(y.id, ids, costs) = y.i)
FROM (SELECT array_agg(id ORDER BY id) AS ids, array_agg(i ORDER BY id) AS costs FROM (SELECT md5(i::text)::uuid AS id, i::numeric FROM generate_series(1, 1000) i) x) a,
	LATERAL (SELECT md5(i::text)::uuid AS id, i FROM generate_series(1, 1000) i) y;
SELECT rfm.cost_of(1, '{}', '{}'), rfm.cost_of(1, NULL, '{1}'), rfm.cost_of(1, '{1}', NULL);
-- other arrays from row to row
SELECT rfm.cost_of(id, ids, costs) FROM (VALUES (1, '{1}'::bigint[], '{1}'::numeric[]), (1, '{1,2}', '{7,8}'), (2, '{1,2}', '{7,8}'), (2, '{1,2}', '{7,9}'), (2, '{1,3}', '{7,9}')) v (id, ids, costs);
SELECT pg_temp.refusal('SELECT rfm.cost_of(' || call || ')') FROM (VALUES ('1, ''{1,2}'', ''{1}'''), ('1, ''{2,1}'', ''{1,2}'''), ('1, ''{1,1}'', ''{1,2}'''),
	('1, ''{1,NULL}'', ''{1,2}'''), ('''a''::text, ''{a,B}'', ''{1,2}''')) v (call);

DROP TABLE shipped_lines;
