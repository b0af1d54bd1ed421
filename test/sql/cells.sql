-- cell_sums and percent_sums: what they add up in one go must be what plain SQL gets from rows. A query that compares
-- returns no rows when all is well.
SET timezone = 'Pacific/Auckland';

CREATE FUNCTION pg_temp.hash(i bigint, seed bigint) RETURNS int LANGUAGE sql AS
	'SELECT (hashint8extended(i, seed) & 2147483647)::int';

-- Some customers have only refunds, only lines before the window, or more money than units in a bigint.
CREATE TABLE cells_lines AS
	SELECT CASE WHEN i % 97 = 0 THEN NULL ELSE 1 + pg_temp.hash(i, 1) % (1 + pg_temp.hash(i, 2) % 700) END AS customer, pg_temp.hash(i, 3) % 2500 AS "order",
		timestamptz '2024-01-01' - pg_temp.hash(i, 4) % 1000 * interval '25 hours' AS at,
		CASE WHEN i <= 12 THEN (CASE WHEN i % 4 = 0 THEN -1 ELSE 1 END) * 900000000000000
			ELSE (pg_temp.hash(i, 5) % 100000 - 10000) / 7.0 END AS amount
	FROM generate_series(1, 5000) i;
UPDATE cells_lines SET customer = 3 WHERE amount > 1e14;
UPDATE cells_lines SET customer = 5 WHERE amount < -1e14;

CREATE TABLE cells_settings (setting text, zone text, window_start timestamptz, rc numeric[], rf numeric[], fc numeric[], ff numeric[], mc numeric[], mf numeric[]);
INSERT INTO cells_settings VALUES
	('default', 'UTC', NULL, '{90,180,365,545}', NULL, '{0,1,2,3}', NULL, NULL, '{0.25,0.5,0.75,0.95}'),
	('fixed', 'Asia/Kolkata', NULL, '{0.5,30}', NULL, '{2}', NULL, '{-5,0.00005,1234.56785,1e16,1e20}', NULL),
	('percentiles', 'America/New_York', NULL, NULL, '{0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8}', NULL, '{0.5,0.9}', NULL, '{0,1}'),
	('window', 'Pacific/Auckland', '2023-06-01', NULL, '{0.333,0.667}', '{1,4}', NULL, NULL, '{0.5}'),
	('empty window', 'UTC', '2030-01-01', NULL, '{0.5}', NULL, '{0.5}', NULL, '{0.5}'),
	('empty fixed', 'UTC', '2030-01-01', '{1}', NULL, '{1}', NULL, '{1}', NULL);

CREATE VIEW cells_sets AS
	SELECT s.*, date '2024-01-02' AS as_of_date, (SELECT rfm.profile_all(l.customer, l."order", l.at, l.amount, NULL::int, s.window_start) FROM cells_lines l) AS profiles
	FROM cells_settings s;
CREATE VIEW cells_expected AS
	WITH profiles AS MATERIALIZED (
		SELECT s.setting, s.rc, s.rf, s.fc, s.ff, s.mc, s.mf, as_of_date - u.last_order_date AS recency_days, u.orders, u.revenue
		FROM cells_sets s, LATERAL rfm.unpack(s.profiles, s.zone) AS u(customer_id int, last_order_date date, orders bigint, revenue numeric)
		WHERE u.orders > 0),
	cuts AS (
		SELECT setting, rfm.percentile_cutoffs(recency_days, rf) FILTER (WHERE rf IS NOT NULL) AS recency,
			(SELECT array_agg(floor(x) + 1 ORDER BY x) FROM unnest(rfm.percentile_cutoffs(orders, ff) FILTER (WHERE ff IS NOT NULL)) x) AS frequency,
			rfm.percentile_cutoffs(revenue, mf) FILTER (WHERE mf IS NOT NULL) AS monetary
		FROM profiles GROUP BY setting)
	SELECT setting, rfm.rfm_score(recency_days, orders, revenue, coalesce(mc, monetary), coalesce(rc, recency), coalesce(fc, frequency)) AS rfm_score,
		count(*) AS customers, sum(recency_days) AS recency_days, sum(orders)::bigint AS orders, sum(revenue) AS revenue
	FROM profiles JOIN cuts USING (setting) GROUP BY 1, 2;
CREATE TABLE cells_found AS
	SELECT s.setting, c.* FROM cells_sets s, LATERAL rfm.cell_sums(s.profiles, as_of_date, zone, rc, rf, fc, ff, mc, mf) c;

SELECT setting, count(*) > 1 AS several, sum(customers) > 100 AS many, max(revenue) > 1e15 AS rich FROM cells_found GROUP BY setting ORDER BY setting;
TABLE cells_found EXCEPT ALL TABLE cells_expected;
TABLE cells_expected EXCEPT ALL TABLE cells_found;

-- a set that was stored is flat
CREATE TABLE cells_flat AS SELECT * FROM cells_sets;
SELECT s.setting, c.* FROM cells_flat s, LATERAL rfm.cell_sums(s.profiles, as_of_date, zone, rc, rf, fc, ff, mc, mf) c EXCEPT ALL TABLE cells_expected;

-- nothing in, nothing out; no cut points are an error
SELECT * FROM rfm.cell_sums(NULL, date '2024-01-02', 'UTC', '{1}', NULL, '{1}', NULL, '{1}', NULL);
SELECT * FROM rfm.cell_sums((SELECT rfm.profile_all(1, 1, now(), 1)), date '2024-01-02', 'UTC', NULL, NULL, '{1}', NULL, '{1}', NULL);

-- percent_sums
SELECT rfm.percent_sums(NULL), rfm.percent_sums(i) FILTER (WHERE i > 1) FROM generate_series(1, 1) i;
WITH given AS (
	SELECT n, kind, CASE kind WHEN 'units' THEN pg_temp.hash(i, n) % 5000 / 100.0 - 20 WHEN 'ties' THEN pg_temp.hash(i, n) % 3 ELSE pg_temp.hash(i, n) % 50 * 1e16 + 0.12345 END AS value
	FROM unnest(ARRAY[1, 2, 99, 100, 101, 250, 1234]) n, unnest('{units,ties,numeric}'::text[]) kind, generate_series(1, n) i),
ranked AS (SELECT *, (row_number() OVER (PARTITION BY n, kind ORDER BY value DESC) - 1) * 100 / n + 1 AS percent FROM given),
expected AS (SELECT n, kind, percent, sum(value) AS value FROM ranked GROUP BY 1, 2, 3),
found AS (
	SELECT n, kind, u.percent, u.value FROM (SELECT n, kind, rfm.percent_sums(value) AS sums FROM given GROUP BY 1, 2) x, unnest(sums) WITH ORDINALITY u(value, percent)
	WHERE u.value IS NOT NULL)
SELECT * FROM expected e FULL JOIN found f USING (n, kind, percent) WHERE e.value IS DISTINCT FROM f.value;

DROP TABLE cells_found, cells_flat;
DROP VIEW cells_expected, cells_sets;
DROP TABLE cells_lines, cells_settings;
