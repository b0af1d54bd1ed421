-- roi_simulate: the formulas, the identities, and the draws against their exact distributions.
-- A query that compares returns no rows when all is well.
SET extra_float_digits = 0;
\x on
-- the defaults; with everything
SELECT * FROM rfm.roi_simulate(1000, 0.3, 0.5, 80);
SELECT * FROM rfm.roi_simulate(20000, 0.1, 0.25, 59.90, incentive_rate => 0.2, operating_rate => 0.1, margin_rate => 0.52, baseline_rate => 0.08, contact_cost => 0.02, fixed_cost => 150,
                               response_n => 500, conversion_n => 200, runs => 5000, seed => 42);
-- less conversion than would be without the campaign: everything added is negative, and a cost below 0 is no denominator
SELECT * FROM rfm.roi_simulate(1000, 0.5, 0.1, 100, baseline_rate => 0.2);
SELECT * FROM rfm.roi_simulate(1000, 0.5, 0.1, 100, incentive_rate => 0, baseline_rate => 0.2);
-- nobody to send it to
SELECT * FROM rfm.roi_simulate(0, 0.3, 0.5, 80, response_n => 10);
SELECT * FROM rfm.roi_simulate(0, 0.3, 0.5, 80, fixed_cost => 1, response_n => 10);
-- NULLs
SELECT * FROM rfm.roi_simulate(NULL, 0.3, 0.5, 80);
\x off
SELECT count(r) AS rows FROM (VALUES (rfm.roi_simulate(1, NULL, 0, 1)), (rfm.roi_simulate(1, 0, 0, NULL)), (rfm.roi_simulate(1, 0, 0, 1, margin_rate => NULL)), (rfm.roi_simulate(1, 0, 0, 1, runs => NULL)), (rfm.roi_simulate(1, 0, 0, 1, seed => NULL))) v (r);

-- random campaigns
CREATE TEMP TABLE campaign AS
SELECT i, 1 + abs(h[1] % 1000000) AS audience, abs(h[2] % 1001) / 1000.0 AS response, abs(h[3] % 1001) / 1000.0 AS conversion, abs(h[4] % 10000000) / 10000.0 AS order_value,
       abs(h[5] % 501) / 1000.0 AS incentive, abs(h[6] % 301) / 1000.0 AS operating, (h[7] % 1001) / 1000.0 AS margin, CASE WHEN i % 3 > 0 THEN abs(h[8] % 1001) / 1000.0 ELSE 0 END AS baseline,
       CASE WHEN i % 2 > 0 THEN abs(h[9] % 1001) / 1000.0 ELSE 0 END AS contact, CASE WHEN i % 5 > 0 THEN abs(h[10] % 1000001) / 100.0 ELSE 0 END AS fixed
FROM generate_series(1, 2000) i, LATERAL (SELECT array_agg(hashint8extended(i, j) ORDER BY j) AS h FROM generate_series(1, 10) j) x;
-- the identities of the defaults: a return of 400 % and 500 % whatever the rates
SELECT i, roi_percent, roas_percent FROM campaign, rfm.roi_simulate(audience, response, conversion, order_value)
WHERE CASE WHEN response * conversion * order_value > 0 THEN (roi_percent, roas_percent, break_even_conversion) IS DISTINCT FROM (400::float8, 500::float8, 0::float8)
           ELSE cost <> 0 OR num_nonnulls(roi_percent, roas_percent) > 0 END;
-- the formulas
SELECT i FROM campaign c,
    rfm.roi_simulate(audience, response, conversion, order_value, incentive, operating, margin, baseline, contact, fixed) s,
    LATERAL (SELECT audience * response AS responders) r,
    LATERAL (SELECT r.responders * conversion AS buyers, r.responders * (conversion - baseline) AS added_buyers) b,
    LATERAL (SELECT b.added_buyers * order_value AS added_revenue, margin * b.added_buyers * order_value AS gross_profit) g,
    LATERAL (SELECT incentive * b.buyers * order_value + operating * g.added_revenue + contact * audience + fixed AS cost) k
WHERE (s.responders, s.buyers, s.added_buyers, s.added_revenue, s.gross_profit, s.cost) IS DISTINCT FROM
      (round(r.responders, 4), round(b.buyers, 4), round(b.added_buyers, 4), round(g.added_revenue, 4), round(g.gross_profit, 4), round(k.cost, 4))
   OR s.net_profit <> s.gross_profit - s.cost
   OR (s.roi_percent IS NOT NULL) <> (k.cost > 0) OR (s.roas_percent IS NOT NULL) <> (k.cost > 0)
   OR k.cost > 0 AND (abs(s.roi_percent - 100 * (g.gross_profit - k.cost) / k.cost) > 1e-9 * abs(s.roi_percent) OR abs(s.roas_percent - 100 * g.added_revenue / k.cost) > 1e-9 * abs(s.roas_percent))
   OR num_nonnulls(s.net_profit_p05, s.net_profit_p50, s.net_profit_p95, s.probability_of_profit) > 0;
-- at the break-even conversion nothing is left; without one, net profit at both ends has the same sign
SELECT count(*) AS campaigns, count(s.break_even_conversion) AS "with one",
       count(*) FILTER (WHERE CASE WHEN s.break_even_conversion IS NULL THEN sign(none.net_profit) <> sign(every.net_profit)
                                   ELSE abs(e.net_profit) > 0.0001 + 1e-9 * abs(e.cost) OR s.break_even_conversion NOT BETWEEN 0 AND 1 END) AS wrong
FROM campaign, rfm.roi_simulate(audience, response, conversion, order_value, incentive, operating, margin, baseline, contact, fixed) s,
    rfm.roi_simulate(audience, response, coalesce(s.break_even_conversion, 0), order_value, incentive, operating, margin, baseline, contact, fixed) e,
    rfm.roi_simulate(audience, response, 0, order_value, incentive, operating, margin, baseline, contact, fixed) none,
    rfm.roi_simulate(audience, response, 1, order_value, incentive, operating, margin, baseline, contact, fixed) every
WHERE response * order_value > 0;
SELECT break_even_conversion FROM rfm.roi_simulate(1000, 0.2, 0.3, 100, fixed_cost => 1600);
SELECT break_even_conversion FROM rfm.roi_simulate(1000, 0.2, 0.3, 100, fixed_cost => 16000);
SELECT break_even_conversion FROM rfm.roi_simulate(1000, 0.2, 0.3, 100, fixed_cost => 16000.0001);
SELECT break_even_conversion FROM rfm.roi_simulate(1000, 0.2, 0.3, 100, margin_rate => 0.2);

-- the same seed, the same answer, also on other machines; other seeds, other answers close by
SELECT seed, net_profit_p05, net_profit_p50, net_profit_p95, probability_of_profit
FROM unnest('{0,1,-1,9223372036854775807,-9223372036854775808}'::bigint[]) seed,
    rfm.roi_simulate(5000, 0.04, 0.3, 45.50, baseline_rate => 0.05, fixed_cost => 1900, response_n => 300, conversion_n => 90, runs => 2000, seed => seed);
SELECT audience, response, n, net_profit_p05, net_profit_p50, net_profit_p95
FROM (VALUES (10, 0.5, 1), (100, 0.01, 5), (1000000, 0.999, 50), (9007199254740992, 0.5, 1000000000000), (9007199254740992, 1e-15, 9223372036854775807), (1, 0, 3), (1, 1, 3)) v (audience, response, n),
    rfm.roi_simulate(audience, response, 1, 1, 0, 0, response_n => n, runs => 1001);

-- percentiles are type 7: of 101 runs they are the 6th, 51st and 96th; of two they lie between; of one they are that
SELECT round(below.probability_of_profit * 101) AS "above p05", round(median.probability_of_profit * 101) AS "above p50", round(above.probability_of_profit * 101) AS "above p95"
FROM rfm.roi_simulate(1000000000, 0.3, 0.5, 1, 0, 0, response_n => 100, runs => 101) s,
    rfm.roi_simulate(1000000000, 0.3, 0.5, 1, 0, 0, fixed_cost => s.net_profit_p05, response_n => 100, runs => 101) below,
    rfm.roi_simulate(1000000000, 0.3, 0.5, 1, 0, 0, fixed_cost => s.net_profit_p50, response_n => 100, runs => 101) median,
    rfm.roi_simulate(1000000000, 0.3, 0.5, 1, 0, 0, fixed_cost => s.net_profit_p95, response_n => 100, runs => 101) above;
SELECT s.net_profit_p05 - (0.95 * low + 0.05 * high) AS p05, s.net_profit_p50 - (low + high) / 2 AS p50, s.net_profit_p95 - (0.05 * low + 0.95 * high) AS p95, high > low AS apart
FROM rfm.roi_simulate(1000000, 0.3, 0.5, 1, 0, 0, response_n => 100, runs => 2) s, LATERAL (SELECT (19 * s.net_profit_p05 - s.net_profit_p95) / 18 AS low, (19 * s.net_profit_p95 - s.net_profit_p05) / 18 AS high) e;
SELECT net_profit_p05 = net_profit_p50 AND net_profit_p50 = net_profit_p95 AS one FROM rfm.roi_simulate(1000000, 0.3, 0.5, 1, 0, 0, response_n => 100, runs => 1);
-- a net profit of 0 is none, whatever rounding does: 0.1 * 3 buyers cost 0.3; margin 0.2 is eaten by 0.15 and 0.05
SELECT probability_of_profit FROM rfm.roi_simulate(3, 1, 1, 0.1, 0, 0, fixed_cost => 0.3, response_n => 9223372036854775807, runs => 100);
SELECT probability_of_profit, net_profit_p95 FROM rfm.roi_simulate(1000, 0.5, 0.5, 99.99, margin_rate => 0.2, response_n => 10, runs => 100);

-- Distributions. With an order value and a margin of 1 and no cost but fixed_cost = k + 1/2, probability_of_profit is the share of runs
-- with more than k buyers. It must be within five standard errors of the exact probability.
CREATE TEMP TABLE log_factorial AS SELECT i AS n, sum(ln(greatest(i, 1)::float8)) OVER (ORDER BY i) AS l FROM generate_series(0, 3000) i;
ALTER TABLE log_factorial ADD PRIMARY KEY (n);
CREATE FUNCTION pg_temp.log_choose(n int, k int) RETURNS float8 LANGUAGE sql AS
    'SELECT (SELECT l FROM log_factorial f WHERE f.n = $1) - (SELECT l FROM log_factorial f WHERE f.n = $2) - (SELECT l FROM log_factorial f WHERE f.n = $1 - $2)';
-- log(Γ(a + n) / Γ(a))
CREATE FUNCTION pg_temp.log_rising(a float8, n int) RETURNS float8 LANGUAGE sql AS
    'SELECT coalesce(sum(ln(a + i)), 0) FROM generate_series(0, n - 1) i';
CREATE FUNCTION pg_temp.unlog(l float8) RETURNS float8 LANGUAGE sql AS
    'SELECT CASE WHEN l > -700 THEN exp(l) ELSE 0 END';
-- binomial: the rate as good as certain; inversion (n p < 10) and rejection, either side of 1/2
SELECT n, p, k, share, exact
FROM (VALUES (1, 0.3), (5, 0.5), (12, 0.02), (40, 0.2), (1000, 0.009), (1000, 0.995), (21, 0.5), (25, 0.45), (60, 0.3), (200, 0.8), (1000, 0.5), (3000, 0.0034), (3000, 0.31)) v (n, p),
    unnest('{-2.5,-1.5,-0.7,-0.2,0.2,0.7,1.5,2.5}'::float8[]) WITH ORDINALITY u (deviation, i),
    LATERAL (SELECT least(greatest(floor(n * p + deviation * sqrt(n * p * (1 - p))), 0), n - 1)::int AS k) k,
    LATERAL (SELECT sum(pg_temp.unlog(pg_temp.log_choose(n, j) + j * ln(p::float8) + (n - j) * ln(1 - p::float8))) AS exact FROM generate_series(k + 1, n) j) e,
    LATERAL (SELECT probability_of_profit AS share FROM rfm.roi_simulate(n, 1, p, 1, 0, 0, fixed_cost => k + 0.5, conversion_n => 9223372036854775807, runs => 20000, seed => n * 1000 + i)) s
WHERE abs(share - exact) > 5 * sqrt(exact * (1 - exact) / 20000) + 1e-9 OR share IS NULL;
-- beta-binomial: rates from Beta(rate n + 1/2, (1 - rate) n + 1/2)
SELECT n, p, sample, k, share, exact
FROM (VALUES (1, 0.3, 1), (10, 0.3, 5), (10, 0, 3), (10, 1, 2), (50, 0.1, 10), (50, 0.5, 1), (300, 0.02, 100), (300, 0.7, 40)) v (n, p, sample),
    unnest('{0.02,0.1,0.3,0.5,0.8,0.95}'::float8[]) WITH ORDINALITY u (fraction, i), LATERAL (SELECT floor(n * fraction)::int AS k, p * sample + 0.5 AS a, (1 - p) * sample + 0.5 AS b) k,
    LATERAL (SELECT sum(pg_temp.unlog(pg_temp.log_choose(n, j) + pg_temp.log_rising(a, j) + pg_temp.log_rising(b, n - j) - pg_temp.log_rising(a + b, n))) AS exact FROM generate_series(k + 1, n) j) e,
    LATERAL (SELECT probability_of_profit AS share FROM rfm.roi_simulate(n, p, 1, 1, 0, 0, fixed_cost => k + 0.5, response_n => sample, runs => 20000, seed => n * 1000 + i)) s
WHERE abs(share - exact) > 5 * sqrt(exact * (1 - exact) / 20000) + 1e-9 OR share IS NULL;
-- both stages, with a baseline: added buyers = buyers - responders / 4
WITH respond AS (SELECT r, pg_temp.unlog(pg_temp.log_choose(20, r) + pg_temp.log_rising(4.5, r) + pg_temp.log_rising(6.5, 20 - r) - pg_temp.log_rising(11, 20)) AS probability FROM generate_series(0, 20) r),
buy AS (SELECT r, b, probability * pg_temp.unlog(pg_temp.log_choose(r, b) + pg_temp.log_rising(3.5, b) + pg_temp.log_rising(5.5, r - b) - pg_temp.log_rising(9, r)) AS probability FROM respond, generate_series(0, r) b)
SELECT k, share, exact
FROM generate_series(0, 12) k, LATERAL (SELECT sum(probability) AS exact FROM buy WHERE b - r * 0.25 > k + 0.1) e,
    rfm.roi_simulate(20, 0.4, 0.375, 1, 0, 0, baseline_rate => 0.25, fixed_cost => k + 0.1, response_n => 10, conversion_n => 8, runs => 50000, seed => k) s,
    LATERAL (SELECT probability_of_profit AS share) p
WHERE abs(share - exact) > 5 * sqrt(exact * (1 - exact) / 50000) + 1e-9;
-- large samples: the beta distribution is all but normal; its median and its 90 % range within five standard errors
SELECT n, (net_profit_p50 / 1e12 - p) / sqrt(p * (1 - p) / n) BETWEEN -0.045 AND 0.045 AS centre, (net_profit_p95 - net_profit_p05) / 1e12 / sqrt(p * (1 - p) / n) BETWEEN 3.19 AND 3.39 AS spread
FROM (VALUES (10000, 0.3), (1000000, 0.5), (100000, 0.9)) v (n, p), rfm.roi_simulate(1000000000000, p, 1, 1, 0, 0, response_n => n, runs => 20000);

-- errors
SELECT rfm.roi_simulate(-1, 0.3, 0.5, 80);
SELECT rfm.roi_simulate(9007199254740993, 0.3, 0.5, 80);
SELECT rfm.roi_simulate(1, 30, 0.5, 80);
SELECT rfm.roi_simulate(1, 0.3, -0.5, 80);
SELECT rfm.roi_simulate(1, 'NaN', 0.5, 80);
SELECT rfm.roi_simulate(1, 0.3, 0.5, -80);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 'NaN');
SELECT rfm.roi_simulate(1, 0.3, 0.5, 'infinity');
SELECT rfm.roi_simulate(1, 0.3, 0.5, 1e15);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, incentive_rate => 1.5);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, operating_rate => -0.05);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, margin_rate => -1.5);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, baseline_rate => 'infinity');
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, contact_cost => -1);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, fixed_cost => 'NaN');
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, response_n => 0);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, conversion_n => -5);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, runs => 0);
SELECT rfm.roi_simulate(1, 0.3, 0.5, 80, runs => 10000001);
