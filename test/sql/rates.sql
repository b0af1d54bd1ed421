-- Honest rates: intervals and tests against published values, Kaplan-Meier against its definition.
-- A query that compares returns no rows when all is well.
SET extra_float_digits = 0;

-- Wilson: R. G. Newcombe, Two-sided confidence intervals for the single proportion,
-- Statistics in Medicine 17 (1998) 857-872, table I, method 3
SELECT successes, trials, round(low::numeric, 4) AS low, round(high::numeric, 4) AS high
FROM (VALUES (81, 263), (15, 148), (0, 20), (1, 29)) v (successes, trials), rfm.wilson_interval(successes, trials);
-- and at 90 and 99 %; nothing tried; nothing known
SELECT round(low::numeric, 6) AS low, round(high::numeric, 6) AS high FROM unnest('{0.9,0.99}'::float8[]) c, rfm.wilson_interval(3, 10, c);
SELECT (rfm.wilson_interval(0, 0)).*;
SELECT * FROM rfm.wilson_interval(NULL, 1);
SELECT * FROM rfm.wilson_interval(5, 5);
-- its definition: both bounds are the rates p whose distance to the observed rate is z standard errors;
-- turned around it is the interval of the failures
SELECT k, n, c, w.*
FROM unnest('{1,2,7,100,12345,1000000007}'::bigint[]) n, unnest('{0,1,2,7,50,9999,500000003}'::bigint[]) k,
    (VALUES (0.5, 0.674489750196082), (0.9, 1.644853626951473), (0.95, 1.959963984540054), (0.99, 2.575829303548901), (0.999, 3.290526731491926)) v (c, z),
    LATERAL (SELECT k::float8 / n AS p) p, rfm.wilson_interval(least(k, n), n, c) w, rfm.wilson_interval(n - least(k, n), n, c) f
WHERE k <= n AND NOT coalesce(
    w.low >= 0 AND w.low <= p AND w.high >= p AND w.high <= 1 AND abs(w.low + f.high - 1) < 1e-14 AND abs(w.high + f.low - 1) < 1e-14 AND
    (k = 0 AND w.low = 0 OR abs((p - w.low) / sqrt(w.low * (1 - w.low) / n) / z - 1) < 1e-6) AND
    (k = n AND w.high = 1 OR abs((w.high - p) / sqrt(w.high * (1 - w.high) / n) / z - 1) < 1e-6), false);
SELECT rfm.wilson_interval(-1, 2);
SELECT rfm.wilson_interval(-2, -1);
SELECT rfm.wilson_interval(3, 2);
SELECT rfm.wilson_interval(1, 2, 0);
SELECT rfm.wilson_interval(1, 2, 1);
SELECT rfm.wilson_interval(1, 2, 95);
SELECT rfm.wilson_interval(1, 2, 'NaN');

-- chi-square: the table of percentage points in every textbook (Pearson and Hartley, Biometrika Tables for Statisticians, table 8)
SELECT statistic, df, round(rfm.chi_square_p_value(statistic, df)::numeric, 5) AS p_value
FROM (VALUES (3.841, 1), (10.828, 1), (0.000157, 1), (5.991, 2), (9.210, 2), (7.815, 3), (9.488, 4), (18.307, 10), (23.209, 10), (2.558, 10),
             (43.773, 30), (79.490, 50), (124.342, 100), (77.929, 100)) v (statistic, df);
-- with even df it is a sum of Poisson terms; near, far, zero, endless
SELECT x, df, p, poisson
FROM unnest('{0.001,0.5,1,2,5,10,19.9,20.1,40,100,300,700}'::float8[]) x, unnest('{2,4,10,20,38}'::int[]) df,
    LATERAL (SELECT rfm.chi_square_p_value(x, df) AS p) p,
    LATERAL (SELECT sum(exp(-x / 2 + i * ln(x / 2) - f)) AS poisson
             FROM generate_series(0, df / 2 - 1) i, LATERAL (SELECT coalesce(sum(ln(j::float8)), 0) AS f FROM generate_series(1, i) j) f) s
WHERE abs(p - poisson) > 1e-12 * poisson;
SELECT rfm.chi_square_p_value(0, 3) AS zero, rfm.chi_square_p_value('infinity', 3) AS endless, rfm.chi_square_p_value(1e6, 3) AS far,
       round(rfm.chi_square_p_value(2147483647, 2147483647)::numeric, 8) AS large, rfm.chi_square_p_value(NULL, 1) AS "null";
SELECT rfm.chi_square_p_value(-1, 1);
SELECT rfm.chi_square_p_value('NaN', 1);
SELECT rfm.chi_square_p_value(1, 0);

-- Welch: Student's sleep data (The Probable Error of a Mean, 1908) as t.test of R has it as its example: -3.3654832 to 0.2054832, df 17.776
CREATE TEMP TABLE sleep AS
SELECT i > 10 AS second, extra
FROM unnest('{0.7,-1.6,-0.2,-1.2,-0.1,3.4,3.7,0.8,0,2,1.9,0.8,1.1,0.1,-0.1,4.4,5.5,1.6,4.6,3.4}'::numeric[]) WITH ORDINALITY u (extra, i);
SELECT difference, round(low::numeric, 7) AS low, round(high::numeric, 7) AS high, round(df::numeric, 3) AS df
FROM (SELECT count(extra) FILTER (WHERE NOT second) AS n_a, avg(extra) FILTER (WHERE NOT second) AS mean_a, var_samp(extra) FILTER (WHERE NOT second) AS variance_a,
             count(extra) FILTER (WHERE second) AS n_b, avg(extra) FILTER (WHERE second) AS mean_b, var_samp(extra) FILTER (WHERE second) AS variance_b FROM sleep) s,
    rfm.welch_interval(n_a, mean_a, variance_a, n_b, mean_b, variance_b);
-- Student's t: percentage points from every textbook's table (Pearson and Hartley, table 12), and where it becomes the normal distribution
SELECT df, round(high::numeric, 3) AS "97.5 %", round((rfm.welch_interval(n, 0, n, 2, 0, 0, 0.99)).high::numeric, 3) AS "99.5 %"
FROM unnest('{2,3,4,5,6,11,21,31,61,121,1000000000}'::bigint[]) n, rfm.welch_interval(n, 0, n, 2, 0, 0);
SELECT n, round(high::numeric, 9) AS "97.5 %" FROM unnest('{10000000,10000002,1000000000000000,9007199254740992,9223372036854775807}'::bigint[]) n, rfm.mean_interval(n, 0, n);
-- turned around; one customer; nobody; no variance; NULLs
SELECT a.difference = -b.difference AND greatest(abs(a.low + b.high), abs(a.high + b.low), abs(a.df - b.df)) < 1e-12 AS turned
FROM rfm.welch_interval(7, 1.5, 3, 40, 2, 11) a, rfm.welch_interval(40, 2, 11, 7, 1.5, 3) b;
SELECT v.*, w.* FROM (VALUES (1, 5, NULL, 9, 3, 1), (0, NULL, NULL, 9, 3, 1), (9, 5, 0, 9, 3, 0), (9, 5, 1, NULL, 3, 1), (9, 5, NULL, 9, 3, 1), (9, 5, 0, 9, 3, 1)) v (n_a, mean_a, variance_a, n_b, mean_b, variance_b),
    rfm.welch_interval(n_a, mean_a, variance_a, n_b, mean_b, variance_b) w;
SELECT * FROM rfm.welch_interval(9, 5, 1, 9, 3, 1, NULL);
SELECT rfm.welch_interval(-1, 5, 1, 9, 3, 1);
SELECT rfm.welch_interval(9, 5, -1, 9, 3, 1);
SELECT rfm.welch_interval(9, 'NaN', 1, 9, 3, 1);
SELECT rfm.welch_interval(9, 5, 1, 9, 3, 'infinity');
SELECT rfm.welch_interval(9, 5, 1, 9, 3, 1, 95);

-- Kaplan-Meier: weeks of remission of leukemia under 6-mercaptopurine (Freireich et al., Blood 21, 1963), with S(t), its
-- standard error and the log-log bounds as in Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, and
-- the manuals of the statistics packages: .857 (.620 to .952), .807 (.563 to .923), .753 (.503 to .889), .690 (.432 to .849),
-- .627 (.368 to .805), .538 (.268 to .747), .448 (.188 to .680)
CREATE TEMP TABLE remission AS
SELECT abs(w) AS days, w > 0 AS event FROM unnest('{6,6,6,-6,7,-9,10,-10,-11,13,16,-17,-19,-20,22,23,-25,-32,-32,-34,-35}'::int[]) w;
SELECT rfm.kaplan_meier(days, event) FROM remission;
SELECT days, at_risk, events, censored, round(1 - rate::numeric, 4) AS s, round(1 - high::numeric, 4) AS s_low, round(1 - low::numeric, 4) AS s_high
FROM (SELECT rfm.kaplan_meier(days, event) AS survival FROM remission) r, rfm.kaplan_meier_curve(survival, 1);
-- at a day: before the first event, on it, between, on the last, after it
SELECT at_days, round(rate::numeric, 4) AS rate, round(low::numeric, 4) AS low, round(high::numeric, 4) AS high, at_risk
FROM (SELECT rfm.kaplan_meier(days, event) AS survival FROM remission) r, unnest('{0,5,6,8,9,23,24,35,36}'::int[]) at_days, rfm.kaplan_meier_rate(survival, at_days);
SELECT round(low::numeric, 4) AS low, round(high::numeric, 4) AS high
FROM (SELECT rfm.kaplan_meier(days, event) AS survival FROM remission) r, rfm.kaplan_meier_rate(survival, 10, 0.8);
-- everyone had it; nobody had it; one customer; at day 0; nothing
SELECT survival, at_days, r.* FROM unnest('{"1:2:0 3:4:0","5:0:3","4:1:0","0:1:1"}'::rfm.survival[]) survival, unnest('{0,1,3,4,5,6}'::int[]) at_days, rfm.kaplan_meier_rate(survival, at_days) r;
SELECT rfm.kaplan_meier(NULL, true) AS "null", rfm.kaplan_meier(1, NULL) AS "null too", rfm.kaplan_meier(1, true) FILTER (WHERE false) AS none, rfm.kaplan_meier(NULL::rfm.survival) AS no_survival;
SELECT * FROM rfm.kaplan_meier_rate(NULL, 1);
SELECT * FROM rfm.kaplan_meier_curve(NULL);
SELECT days, at_risk FROM rfm.kaplan_meier_curve('1:1:1 2:3:0 5:0:29 7:1:0');
SELECT days, at_risk FROM rfm.kaplan_meier_curve('1:1:1 2:3:0 5:0:29 7:1:0', 33);

-- random customers against the definition in plain SQL, at every day, by group
CREATE TABLE watched AS
SELECT i % 5 AS grp, CASE WHEN i % 101 > 0 THEN days END AS days, CASE WHEN i % 103 > 0 THEN h % 3 = 0 END AS event
FROM generate_series(1, 20000) i, LATERAL (SELECT hashint8extended(i, 1) AS h) x,
    LATERAL (SELECT (abs(hashint8extended(i, 2) % (CASE i % 5 WHEN 0 THEN 3 WHEN 1 THEN 40 WHEN 2 THEN 400 WHEN 3 THEN 5000 ELSE 2000000000 END)))::int AS days) y;
CREATE TEMP TABLE defined AS
WITH daily AS (
    SELECT grp, days, count(*) FILTER (WHERE event) AS events, count(*) FILTER (WHERE NOT event) AS censored
    FROM watched WHERE days IS NOT NULL AND event IS NOT NULL GROUP BY grp, days),
risk AS (SELECT *, sum(events + censored) OVER (PARTITION BY grp ORDER BY days DESC) AS at_risk FROM daily),
estimate AS (
    SELECT *, exp(greatest(sum(CASE WHEN events < at_risk THEN ln(1 - events / at_risk) ELSE -1000 END) OVER w, -690))::float8 AS s,
           sum(CASE WHEN events < at_risk THEN events / (at_risk * (at_risk - events)) END) OVER w::float8 AS variance
    FROM risk WINDOW w AS (PARTITION BY grp ORDER BY days))
SELECT grp, days, at_risk, events, censored, 1 - s AS rate, s > 1e-200 AND s < 1 - 1e-12 AS bounded,
       CASE WHEN s > 1e-200 AND s < 1 - 1e-12 THEN 1 - s ^ exp(1.959963984540054 * sqrt(variance) / ln(s)) END AS low,
       CASE WHEN s > 1e-200 AND s < 1 - 1e-12 THEN 1 - s ^ exp(-1.959963984540054 * sqrt(variance) / ln(s)) END AS high
FROM estimate;
SELECT count(*) AS rows, count(*) FILTER (WHERE coalesce(
           d.at_risk = c.at_risk AND d.events = c.events AND d.censored = c.censored AND abs(d.rate - c.rate) < 1e-9 AND
           (bounded AND abs(d.low - c.low) < 1e-9 AND abs(d.high - c.high) < 1e-9 OR NOT bounded AND c.low IS NULL AND c.high IS NULL), false)) AS equal
FROM defined d FULL JOIN (
    SELECT grp, c.* FROM (SELECT grp, rfm.kaplan_meier(days, event) AS survival FROM watched GROUP BY grp) g, rfm.kaplan_meier_curve(survival, 0) c) c USING (grp, days);
SELECT count(*) AS rows, count(*) FILTER (WHERE r.rate IS DISTINCT FROM c.rate OR r.low IS DISTINCT FROM c.low OR r.high IS DISTINCT FROM c.high OR r.at_risk <> c.at_risk) AS different
FROM (SELECT grp, rfm.kaplan_meier(days, event) AS survival FROM watched WHERE grp < 3 GROUP BY grp) g, rfm.kaplan_meier_curve(survival, 0) c, rfm.kaplan_meier_rate(survival, days) r;
-- nobody censored: the rate is the share, exactly, and its bounds contain it
SELECT at_days, rate, share FROM (SELECT rfm.kaplan_meier(i % 50, true) AS survival FROM generate_series(0, 999) i) s, generate_series(0, 48) at_days,
    rfm.kaplan_meier_rate(survival, at_days) r, LATERAL (SELECT 1 - (49 - at_days) * 20 / 1000::float8 AS share) x
WHERE NOT (rate = share AND low < rate AND rate < high);

-- whatever the order; merged from parts; running; many groups; one group of many days
SELECT rfm.kaplan_meier(days, event)::text = rfm.kaplan_meier(days, event ORDER BY days DESC, event)::text AS same,
       rfm.kaplan_meier(days, event)::text = (SELECT rfm.kaplan_meier(survival)::text FROM (SELECT rfm.kaplan_meier(days, event) AS survival FROM watched GROUP BY grp, days % 7) p) AS merged
FROM watched;
SELECT i, rfm.kaplan_meier(i, i % 2 = 0) OVER (ORDER BY i) AS running, rfm.kaplan_meier(i, i % 2 = 0) OVER (ORDER BY i ROWS 1 PRECEDING) AS moving FROM generate_series(1, 6) i;
SELECT count(*) AS groups, sum(at_risk) AS customers FROM (SELECT rfm.kaplan_meier(i % 1000, true) AS survival FROM generate_series(1, 100000) i GROUP BY i % 30000) g, rfm.kaplan_meier_rate(survival, 0);
SELECT (rfm.kaplan_meier_rate(rfm.kaplan_meier(i, true), 99999)).* FROM generate_series(0, 199999) i;

-- a parallel plan gives the identical answer
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT rfm.kaplan_meier(days, event) FROM watched;
DO $$
DECLARE
    question text := 'SELECT string_agg(q::text, chr(10) ORDER BY grp) FROM (SELECT grp, rfm.kaplan_meier(days, event)::text FROM watched GROUP BY ROLLUP (grp)) q';
    parallel text;
    serial text;
BEGIN
    EXECUTE question INTO parallel;
    SET LOCAL max_parallel_workers_per_gather = 0;
    EXECUTE question INTO serial;
    RAISE INFO 'identical: %', parallel = serial;
END $$;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- stored, also where it is compressed; as text and binary; from text that is none
CREATE TEMP TABLE stored AS SELECT grp, rfm.kaplan_meier(days, event) AS survival FROM watched GROUP BY grp;
INSERT INTO stored VALUES (9, '1:2:3');
\copy stored TO PROGRAM 'cat >"$PG_ABS_BUILDDIR/results/survival.copy"' (FORMAT binary)
CREATE TEMP TABLE copied (LIKE stored);
\copy copied FROM PROGRAM 'cat "$PG_ABS_BUILDDIR/results/survival.copy"' (FORMAT binary)
SELECT count(*) AS copied FROM copied c JOIN stored s USING (grp) WHERE c.survival::text = s.survival::text;
SELECT count(*) AS rows, count(*) FILTER (WHERE survival::text::rfm.survival::text <> survival::text) AS text, count(*) FILTER (WHERE convert_from(rfm.survival_send(survival), 'UTF8') <> survival::text) AS "binary" FROM stored;
SELECT at_risk FROM stored, rfm.kaplan_meier_rate(survival, 0) ORDER BY grp;
SELECT s FROM unnest('{"1:2:3","0:0:1 2147483647:9007199254740991:0"}'::rfm.survival[]) s;
CREATE FUNCTION pg_temp.refused(t text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (t::rfm.survival)::text;
EXCEPTION WHEN invalid_binary_representation THEN
    RETURN NULL;
END $$;
SELECT t FROM unnest(ARRAY['', ' ', '1', '1:2', '1:2:', '1:2:3 ', ' 1:2:3', '1:2:3:4', '1:2:3  2:3:4', '01:2:3', '1:02:3', '-1:2:3', '1:-2:3', '1:0:0', '2:1:1 1:1:1', '1:1:1 1:1:1', '1:1:1,2:1:1', 'a', '1:1:1 b',
        '2147483648:1:1', '1:9007199254740993:0', '1:9007199254740992:1', '1:99999999999999999999:1', '1:9007199254740992:0 2:1:0', '+1:1:1', '1: 1:1']) t WHERE pg_temp.refused(t) IS NOT NULL;
SELECT 'x'::rfm.survival;
SELECT rfm.kaplan_meier(s) FROM unnest('{"1:9007199254740992:0","2:1:0"}'::rfm.survival[]) s;
SELECT rfm.kaplan_meier(-1, true);
SELECT rfm.kaplan_meier_add(NULL, 1, true);
SELECT rfm.kaplan_meier_rate('1:1:1', -1);
SELECT rfm.kaplan_meier_rate('1:1:1', 1, 2);
SELECT * FROM rfm.kaplan_meier_curve('1:1:1', 1, 0);
DROP TABLE watched;
