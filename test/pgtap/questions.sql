-- The questions: what must be true of their answers whatever the data, what the campaigns say when they are edited, models
-- with nothing in them, and effects: one that is there is found, one that is not is not. That every view equals its
-- definition is tested in analyses, storages and thelook.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
\set scale 0.02
\i :source/demo/thelook.sql
\ir include/reference.sql
SET client_min_messages = error;

SELECT no_plan();

CREATE FUNCTION reference.dice(n int, VARIADIC what text[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || left(md5(array_to_string(what, '/')), 8))::bit(32)::bigint % n)::int
$$;

-- invariants, on the demo's data

SELECT rfm.create_thelook_model('demo', current_schema()::text, as_of => '2024-01-21');
CREATE TEMP TABLE total AS SELECT count(*) AS customers, sum(revenue) AS revenue, count(second_order_at) AS repurchased FROM demo.customers;
SELECT results_eq('SELECT sum(customers), sum(revenue) FROM demo.segments', 'SELECT customers::numeric, revenue FROM total', 'segments sum to customers and revenue');
SELECT results_eq('SELECT sum(customers), sum(revenue) FROM demo.action_plan', 'SELECT customers::numeric, revenue FROM total', 'the action plan, too');
SELECT results_eq('SELECT sum(customers), sum(vip_customers), sum(promising_high + promising_low) FROM demo.channel_maturity',
    $$SELECT customers::numeric, (SELECT sum(customers) FROM demo.segments WHERE stage = 'vip'), (SELECT sum(customers) FROM demo.segments WHERE stage = 'promising') FROM total$$,
    'channels sum to customers and to the segments');
SELECT results_eq('SELECT sum(customers) FROM demo.repurchase_timing', 'SELECT repurchased::numeric FROM total', 'timing buckets sum to customers with a second order');
SELECT results_eq('SELECT sum(customers) FROM demo.first_purchase_timing', 'SELECT count(signed_up_at)::numeric FROM demo.customers', 'sign-up buckets sum to customers who signed up');
SELECT results_eq('SELECT sum(customers), sum(published_customers) FROM demo.promising_activity',
    $$SELECT sum(customers), sum(customers) FROM demo.segments WHERE stage = 'promising'$$, 'activity levels sum to the promising, on both bases');
SELECT results_eq($$SELECT sum(customers) FROM demo.gateway_products WHERE level = 'category'$$,
    'SELECT count(first_category)::numeric FROM demo.customers', 'categories sum to customers with a first category');
SELECT results_eq('SELECT sum(cohort_customers), sum(revenue) FROM (SELECT cohort_customers * (months_since = 0)::int AS cohort_customers, revenue FROM demo.cohort_retention) c',
    'SELECT customers::numeric, revenue FROM total', 'cohorts sum to customers and revenue');
SELECT is_empty('SELECT * FROM demo.cohort_retention WHERE (months_since = 0 AND active_customers <> cohort_customers) OR active_customers > cohort_customers',
    'in month 0 the whole cohort is active, never more');
SELECT results_eq('SELECT count(*), bool_and(cohort_month + (months_since + 1) * interval ''1 month'' > ''2024-01-21'') FROM demo.cohort_retention WHERE NOT is_complete',
    'SELECT count(DISTINCT cohort_month), true FROM demo.cohort_retention', 'one month of each cohort is incomplete: the last');
SELECT is_empty($$SELECT * FROM (SELECT cumulative_repurchase_rate AS rate, lag(cumulative_repurchase_rate) OVER w AS before, customers_at_risk AS n,
        lag(customers_at_risk - repurchased - censored) OVER w AS left_before, cumulative_repurchase_rate_low AS low, cumulative_repurchase_rate_high AS high
    FROM demo.repurchase_curve WINDOW w AS (ORDER BY days_since_first_order)) c WHERE rate < before OR n <> left_before OR rate NOT BETWEEN low AND high$$,
    'the curve rises, loses nobody, and is within its bounds');
SELECT is_empty($$SELECT * FROM demo.gateway_products WHERE vip_share NOT BETWEEN vip_share_low AND vip_share_high OR maturity_rate NOT BETWEEN maturity_rate_low AND maturity_rate_high
    OR second_order_365_rate NOT BETWEEN second_order_365_rate_low AND second_order_365_rate_high
    OR revenue_after_first_order NOT BETWEEN revenue_after_first_order_low::numeric AND revenue_after_first_order_high::numeric
    OR level <> 'category' AND customers < 30$$, 'gateways are within their bounds, and no brand or product has fewer than 30 customers');

-- the dashboard's claim: more sessions, more revenue; it is the basket that makes the sessions
CREATE TEMP TABLE ratio AS
    SELECT avg(revenue) FILTER (WHERE return_sessions > 0) / avg(revenue) FILTER (WHERE return_sessions = 0) AS own,
           avg(revenue) FILTER (WHERE sessions_after_purchase > 1) / avg(revenue) FILTER (WHERE sessions_after_purchase <= 1) AS published
    FROM demo.customers WHERE segment LIKE 'Promising%';
SELECT cmp_ok(published, '>', 1.5, 'counted as published, who comes back is worth far more') FROM ratio;
SELECT cmp_ok(own, '<', 1.3, '... and with return sessions he is not') FROM ratio;

-- gateway_lift

SELECT min(name) AS a, max(name) AS b FROM demo.gateway_products WHERE level = 'category' AND customers >= 10 \gset
SELECT rfm.configure_model('demo', lookback => '3 years');
CALL rfm.refresh('demo');
SELECT reference.compute(jsonb_build_object('order_lines', 'demo.order_lines', 'accounts', 'demo.accounts', 'products', 'demo.products', 'visits', 'demo.visits',
    'as_of', '2024-01-21', 'lookback', '3 years')) IS NULL AS computed \gset
-- Welch 1947: the quantile lies between those of the whole degrees of freedom around Satterthwaite's
CREATE TEMP TABLE welch AS
    WITH x AS (SELECT first_category AS category, x.* FROM reference.scored, LATERAL (VALUES ('average revenue', revenue),
                   ('revenue after the first order', revenue - first_order_revenue)) x(measure, value)),
    g AS (SELECT category, measure, count(*) AS n, sum(value) / count(*) AS mean,
                 ((sum(value * value) - sum(value) * sum(value) / count(*)) / (count(*) - 1))::float8 / count(*) AS v FROM x
          WHERE category IN (:'a', :'b') GROUP BY category, measure)
    SELECT measure, a.n AS n_a, b.n AS n_b, a.mean AS mean_a, b.mean AS mean_b, sqrt(a.v + b.v) AS error,
           (a.v + b.v) ^ 2 / (a.v ^ 2 / (a.n - 1) + b.v ^ 2 / (b.n - 1)) AS df
    FROM g a JOIN g b USING (measure) WHERE a.category = :'a' AND b.category = :'b';
SELECT results_eq(format('SELECT measure, customers_a, customers_b, average_a, average_b, round(difference::numeric, 9) FROM demo.gateway_lift(%L, %L) ORDER BY measure', :'a', :'b'),
    'SELECT measure, n_a, n_b, mean_a, mean_b, round((mean_a - mean_b)::float8::numeric, 9) FROM welch ORDER BY measure', 'gateway_lift: populations, averages and difference');
SELECT is_empty(format('SELECT w, l FROM demo.gateway_lift(%L, %L) l JOIN welch w USING (measure)
    WHERE NOT ((l.difference_high - l.difference) / w.error BETWEEN reference.student_quantile(ceil(df)::int) - 1e-9 AND reference.student_quantile(floor(df)::int) + 1e-9)
       OR abs(l.difference_high + l.difference_low - 2 * l.difference) > 1e-9', :'a', :'b'), '... and its interval');
SELECT isnt_empty(format('SELECT FROM demo.gateway_lift(%L, %L)', :'a', :'b'), '... of both measures');
SELECT throws_ok('SELECT * FROM demo.gateway_lift(''nothing'', ''such'')', 'P0002', NULL, '... an unknown category is refused');
-- cohorts are of all time, so is their revenue; the customers are not
SELECT is((SELECT sum(revenue) FROM demo.cohort_retention), (SELECT sum(amount) FROM reference.lines WHERE customer_id IS NOT NULL), 'a lookback leaves the cohorts whole');
SELECT rfm.configure_model('demo', unset => '{lookback}');
CALL rfm.refresh('demo');

-- campaigns: edited, they show at once

SELECT is((SELECT sum(audience) FROM demo.roi WHERE campaign_order IS NULL), (SELECT count(*)::numeric FROM demo.customers c WHERE segment IN ('Need Attention', 'At Risk', 'Hibernating')
    OR segment LIKE 'Promising%' AND return_sessions = 0 OR second_order_at IS NULL AND first_order_at >= timestamptz '2024-01-21 00:00Z' - interval '89 days'),
    'the total counts every customer once');
SELECT is_empty($$SELECT campaign, note FROM demo.roi WHERE campaign_order IS NOT NULL AND coalesce(note ~ 'by construction', false)
    <> (baseline_rate = 0 AND roi_percent IS NOT NULL)$$, 'where ROI is a matter of construction the row says so');
UPDATE demo.campaigns SET margin_rate = 1 WHERE campaign_order = 4;
SELECT results_eq('SELECT roi_percent, roas_percent, note ~ ''^ROI is 400 %'', net_profit_p50 FROM demo.roi WHERE campaign_order = 4',
    'VALUES (400::float8, 500::float8, true, NULL::numeric)', 'the published 400 % is an identity, and said to be one');
UPDATE demo.campaigns SET audience_of = 'given', audience = 1000, order_value = 80, response_rate = 0.2, conversion_rate = 0.5, baseline_rate = 0.1, margin_rate = 0.5,
    contact_cost = 0.5, fixed_cost = 100, response_n = 400, conversion_n = 80 WHERE campaign_order = 4;
-- 200 responders, 100 buyers, 80 added, 6400 added revenue, 3200 gross; 0.15 * 8000 + 0.05 * 6400 + 500 + 100 = 2120 cost;
-- it breaks even where 200 * 80 * (0.45 * (c - 0.1) - 0.15 * c) = 600, that is at c = (0.0375 + 0.045) / 0.3
SELECT results_eq('SELECT responders, buyers, added_buyers, added_revenue, gross_profit, cost, net_profit, round(break_even_conversion::numeric, 9), note FROM demo.roi WHERE campaign_order = 4',
    'VALUES (200::numeric, 100::numeric, 80::numeric, 6400::numeric, 3200::numeric, 2120::numeric, 1080::numeric, 0.275::numeric, NULL)', 'a campaign worked by hand');
SELECT ok(net_profit_p05 < net_profit_p50 AND net_profit_p50 < net_profit_p95 AND abs(net_profit_p50 - 1080) < 150 AND probability_of_profit BETWEEN 0.9 AND 1,
    'with the sizes of the samples it has an interval around what is expected') FROM demo.roi WHERE campaign_order = 4;
SELECT isnt_empty('SELECT * FROM demo.roi_sensitivity((SELECT campaign FROM demo.campaigns WHERE campaign_order = 4))', 'roi_sensitivity answers');
UPDATE products SET cost = 100 * cost;
CALL rfm.refresh('demo');
SELECT ok(margin_rate < -1, 'costs in another unit give a margin below -1') FROM demo.overview;
SELECT set_eq('SELECT campaign_order, net_profit, note ~ ''correct the costs'' FROM demo.roi WHERE campaign_order > 2',
    'VALUES (3, NULL, true), (4, 1080, NULL), (5, NULL, true), (6, NULL, true)', '... with which roi weighs no campaign, and says so; one with its own margin it does');
SELECT is(cost, NULL, '... nor all of them together') FROM demo.roi WHERE campaign_order IS NULL;
SELECT is((SELECT count(net_profit)::int FROM demo.roi_sensitivity(c.campaign)), CASE c.campaign_order WHEN 3 THEN 0 ELSE 400 END,
          '... and roi_sensitivity has figures where roi has, campaign ' || c.campaign_order) FROM demo.campaigns c WHERE c.campaign_order IN (3, 4);
UPDATE products SET cost = cost / 100;
CALL rfm.refresh('demo');
SELECT throws_ok('UPDATE demo.campaigns SET response_rate = 1.2 WHERE campaign_order = 1', '23514', NULL, 'a rate above 1 is refused');
BEGIN;
UPDATE demo.campaigns SET segment = 'Nobody' WHERE campaign_order = 5;
UPDATE demo.campaigns SET audience = 0 WHERE campaign_order = 1;
SELECT results_eq('SELECT note FROM demo.roi WHERE campaign_order IN (1, 5) ORDER BY campaign_order', ARRAY[
    'It addresses nobody: no customer is inactive promising high, or the model has no visits to tell',
    'It addresses nobody: no customer is in the segment Nobody'], 'a campaign without audience says so');
UPDATE demo.campaigns SET audience = 10 WHERE campaign_order = 5;
SELECT results_eq('SELECT note FROM demo.roi WHERE campaign_order = 5',
    ARRAY['Nobody to take an order value from: set order_value in campaigns'], 'and one without order value, too');
ROLLBACK;
DELETE FROM demo.campaigns;
SELECT results_eq('SELECT campaign, audience FROM demo.roi', 'VALUES (''Total'', NULL::bigint)', 'without campaigns there is a total of none');
UPDATE demo.action_texts SET action = 'Call them' WHERE segment = 'At Risk';
DELETE FROM demo.action_texts WHERE segment = 'Hibernating';
SELECT results_eq($$SELECT segment, action FROM demo.action_plan WHERE segment IN ('At Risk', 'Hibernating') ORDER BY 1$$,
    $$VALUES ('At Risk', 'Call them'), ('Hibernating', NULL)$$, 'texts are edited with plain SQL');
CREATE TEMP TABLE before AS SELECT segment, action FROM demo.action_plan;
CALL rfm.refresh('demo', full_rebuild => true);
SELECT bag_eq('SELECT segment, action FROM demo.action_plan', 'TABLE before', 'a refresh leaves them alone');

-- nothing in it: every view answers, every ratio without a denominator is NULL

CREATE SCHEMA nothing;
CREATE TABLE nothing.lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric, product_id int);
CREATE TABLE nothing.accounts (customer_id int, channel text, signed_up_at timestamptz, country text);
CREATE TABLE nothing.products (product_id int, category text, brand text, name text, cost numeric);
CREATE TABLE nothing.visits (customer_id int, session_id uuid, visited_at timestamptz);
SELECT rfm.create_model('empty_' || kind, 'nothing.lines', 'nothing.accounts', 'nothing.products', 'nothing.visits', storage => kind, dimensions => '{country}'),
       rfm.create_model('bare_' || kind, 'nothing.lines', storage => kind)
FROM unnest('{table,materialized,view}'::text[]) kind;
CREATE FUNCTION reference.rows(model text) RETURNS TABLE (name text, n bigint, numbers text) LANGUAGE plpgsql AS $$
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = model::regnamespace AND relkind = 'v' AND relname = ANY (reference.views()) ORDER BY 1 LOOP
        -- the ratios that are not NULL
        EXECUTE format($q$SELECT (SELECT count(*) FROM %1$I.%2$I), (SELECT string_agg(DISTINCT e.key, ',') FROM %1$I.%2$I x, jsonb_each(to_jsonb(x)) e
            WHERE e.key ~ '(_share|_rate|_low|_high|^average_.*|_percent|p_value)$'
              AND e.key !~ '^(promising_(low|high)|(response|conversion|baseline|margin)_rate)$' AND e.value <> 'null')$q$, model, name) INTO n, numbers;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT results_eq(format('SELECT * FROM reference.rows(%L)', 'empty_' || kind),
    $$VALUES ('action_plan', 9::bigint, NULL), ('channel_maturity', 0, NULL), ('churn_risk', 9, NULL), ('cohort_retention', 0, NULL), ('customers', 0, NULL),
    ('first_purchase_timing', 7, NULL), ('gateway_moments', 0, NULL), ('gateway_products', 0, NULL), ('overview', 1, NULL), ('pareto', 100, NULL), ('promising_activity', 10, NULL),
    ('repurchase_curve', 0, NULL), ('repurchase_timing', 54, NULL), ('roi', 7, NULL), ('score_cells', 125, NULL), ('segment_breakdown', 0, NULL), ('segments', 9, NULL)$$,
    'an empty model answers every view, storage ' || kind)
FROM unnest('{table,materialized,view}'::text[]) kind;
SELECT results_eq(format('SELECT name, n FROM reference.rows(%L)', 'bare_' || kind),
    $$VALUES ('action_plan', 9::bigint), ('churn_risk', 9), ('cohort_retention', 0), ('customers', 0), ('overview', 1), ('pareto', 100),
    ('repurchase_curve', 0), ('repurchase_timing', 54), ('roi', 7), ('score_cells', 125), ('segment_breakdown', 0), ('segments', 9)$$,
    '... and so does one of lines alone, storage ' || kind)
FROM unnest('{table,materialized,view}'::text[]) kind;

-- effects

CREATE SCHEMA lab;
CREATE TABLE lab.lines (customer_id int, order_id int, ordered_at date, amount numeric, product_id int);
CREATE TABLE lab.accounts (customer_id int, channel text);
CREATE TABLE lab.products (product_id int, category text);
INSERT INTO lab.products SELECT i, 'category ' || i FROM generate_series(1, 3) i;
-- 800 customers, half of them 170 days old, half 400. Each will order again with a probability (in percent), on any of the
-- days 1 to 300 alike, for 1 to 100 each time; more often from channel 1 and in category 1 by as much as is given.
CREATE FUNCTION lab.fill(seed int, channel_effect int, category_effect int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE lab.lines, lab.accounts;
    CREATE TEMP TABLE drawn AS
        SELECT i, channel, product, CASE WHEN i % 2 = 0 THEN 170 ELSE 400 END AS age,
               reference.dice(100, s, 'again', t) < 40 + CASE channel WHEN 1 THEN channel_effect ELSE 0 END + CASE product WHEN 1 THEN category_effect ELSE 0 END AS again,
               1 + reference.dice(300, s, 'delay', t) AS delay, 1 + reference.dice(100, s, 'first', t) AS first_amount, 1 + reference.dice(100, s, 'second', t) AS second_amount
        FROM (SELECT i, seed::text AS s, i::text AS t, 1 + reference.dice(4, seed::text, 'channel', i::text) AS channel,
                     1 + reference.dice(3, seed::text, 'product', i::text) AS product FROM generate_series(1, 800) i) d;
    INSERT INTO lab.accounts SELECT i, 'channel ' || channel FROM drawn;
    INSERT INTO lab.lines SELECT i, i, date '2024-01-01' - age, first_amount, product FROM drawn
        UNION ALL SELECT i, 100000 + i, date '2024-01-01' - age + delay, second_amount, product FROM drawn WHERE again AND delay < age;
    DROP TABLE drawn;
END $$;
SELECT rfm.create_model('found', 'lab.lines', 'lab.accounts', 'lab.products', storage => 'view', as_of => '2024-01-01', monetary_cutoffs => '{0.1,0.2,0.3,0.4}');

SELECT lab.fill(1, 40, 0) IS NULL AS filled \gset
SELECT cmp_ok((SELECT max(p_value) FROM found.channel_maturity), '<', 0.001::float8, 'a channel effect is found');
SELECT is((SELECT channel FROM found.channel_maturity ORDER BY maturity_rate DESC LIMIT 1), 'channel 1', '... in the channel where it is');
SELECT ok((SELECT min(maturity_rate_low) FROM found.channel_maturity WHERE channel = 'channel 1') > (SELECT max(maturity_rate_high) FROM found.channel_maturity WHERE channel <> 'channel 1'),
    '... and its bounds are apart from those of the others');
SELECT lab.fill(2, 0, 40) IS NULL AS filled \gset
SELECT ok((SELECT second_order_365_rate_low FROM found.gateway_products WHERE name = 'category 1')
    > (SELECT max(second_order_365_rate_high) FROM found.gateway_products WHERE level = 'category' AND name <> 'category 1'), 'a category effect is found, in the rate');
SELECT ok((SELECT revenue_after_first_order_low FROM found.gateway_products WHERE name = 'category 1')
    > (SELECT max(revenue_after_first_order_high) FROM found.gateway_products WHERE level = 'category' AND name <> 'category 1'), '... and in the revenue after the first order');
SELECT cmp_ok((SELECT max(p_value) FROM found.channel_maturity), '>', 0.01::float8, '... and is not taken for one of the channels');

-- none: 40 times
CREATE TEMP TABLE trial (seed int, p_value float8, rates bigint, rates_missed bigint, averages_missed bigint, lifts_missed bigint, lifts bigint);
DO $$
DECLARE
    seed int;
BEGIN
    FOR seed IN 101 .. 140 LOOP
        PERFORM lab.fill(seed, 0, 0);
        INSERT INTO trial
            SELECT seed, (SELECT max(p_value) FROM found.channel_maturity), count(*),
                   count(*) FILTER (WHERE 0.4 NOT BETWEEN second_order_365_rate_low AND second_order_365_rate_high),
                   -- of 50.5 each on average, from those whose day has come
                   count(*) FILTER (WHERE 50.5 * 0.4 * (1 + 169 / 300.0) / 2 NOT BETWEEN revenue_after_first_order_low AND revenue_after_first_order_high),
                   (SELECT count(*) FILTER (WHERE 0 NOT BETWEEN difference_low AND difference_high) FROM found.gateway_lift('category 1', 'category 2')),
                   (SELECT count(difference_low) FROM found.gateway_lift('category 1', 'category 2'))
            FROM found.gateway_products WHERE level = 'category';
    END LOOP;
END $$;
SELECT is(count(p_value), 40::bigint, 'forty shops without an effect') FROM trial;
SELECT cmp_ok(count(*) FILTER (WHERE p_value < 0.05), '<=', 5::bigint, 'without an effect between channels few are called significant') FROM trial;
SELECT ok(avg(p_value) BETWEEN 0.35 AND 0.65, 'p-values are spread evenly') FROM trial;
SELECT cmp_ok(sum(rates_missed), '<=', 12::numeric, 'of 120 bounds of a rate few miss the true rate') FROM trial;
SELECT cmp_ok(sum(averages_missed), '<=', 12::numeric, 'of 120 bounds of an average few miss the true average') FROM trial;

SELECT is(sum(rates), 120::numeric, '... of three categories each') FROM trial;
SELECT is(sum(lifts), 80::numeric, '... and two lifts') FROM trial;
SELECT cmp_ok(sum(lifts_missed), '<=', 10::numeric, 'of 80 lifts without a cause few are called significant') FROM trial;

SELECT * FROM finish();
