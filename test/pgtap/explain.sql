-- explain_customer: every kind of row on customers made by hand; then every number for every customer of a random shop, against
-- plain SQL, against the model after the orders it asks for, and against the model at the date it names.

\set ON_ERROR_STOP on
SET client_min_messages = error;
SELECT no_plan();

CREATE SCHEMA test;
CREATE FUNCTION test.dice(n int, VARIADIC what text[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || left(md5(array_to_string(what, '/')), 8))::bit(32)::bigint % n)::int
$$;
-- The values, or the explanations, of a topic's items, as one line.
CREATE FUNCTION test.rows(model text, customer text, topic text, what text DEFAULT 'value') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT string_agg(item || '': '' || coalesce(%I, ''-''), E''\n'' ORDER BY step) FROM %I.explain_customer(%L) WHERE topic = %L', what, model, customer, topic)
        INTO result;
    RETURN result;
END $$;

-- by hand, in Berlin

CREATE TABLE hand (customer_id text, order_id int, ordered_at timestamptz, amount numeric, status text, product_id int, voided_at timestamp);
INSERT INTO hand VALUES
    ('anna', 1, '2022-01-10 12:00+01', 100, 'Complete', 7, NULL), ('anna', 1, '2022-01-10 12:05+01', 50.5, NULL, 8, NULL),
    ('anna', 2, '2023-06-01 00:30+02', 20, 'Complete', NULL, NULL), ('anna', 2, '2023-06-03 10:00+02', -5.25, 'Complete', NULL, NULL),
    ('anna', 3, '2023-06-02 10:00+02', 11, 'Returned', 9, NULL), ('anna', 4, '2023-06-02 11:00+02', 12, 'Cancelled', 9, NULL),
    ('anna', 5, '2023-06-02 12:00+02', 13, 'Returned', NULL, '2023-07-01 10:00'), ('anna', NULL, '2023-06-02 13:00+02', 14, NULL, NULL, NULL),
    ('anna', 6, NULL, 15, NULL, NULL, NULL), ('anna', 7, '2023-06-02 15:00+02', NULL, NULL, NULL, NULL), ('anna', 8, '2024-01-01 12:00+01', 17, NULL, NULL, NULL),
    ('anna', 9, '2020-05-05 10:00+02', 18, NULL, NULL, NULL), ('anna', 10, '2023-05-01 10:00+02', 1, 'Returned', NULL, '2024-05-01'),
    ('anna', 11, '2023-05-01 10:00+02', 'NaN', 'Returned', NULL, NULL), ('anna', 12, '2023-05-01 09:00+02', 1e40, 'Returned', NULL, NULL),
    ('refund only', 20, '2023-05-05 10:00+02', -3, NULL, NULL, NULL), ('excluded', 21, '2023-05-05 10:00+02', 3, 'Returned', NULL, NULL),
    ('excluded', 21, '2023-05-05 11:00+02', 3, 'Returned', NULL, NULL), ('future', 22, '2024-05-05 10:00+02', 3, NULL, NULL, NULL),
    ('long ago', 23, '2020-02-29 10:00+01', 3, NULL, NULL, NULL), ('mixed', 24, '2020-02-29 10:00+01', 3, NULL, NULL, NULL), ('mixed', 24, '2023-05-05 10:00+02', 3, 'Cancelled', NULL, NULL),
    ('bert', 30, '2023-12-31 12:00+01', 60, NULL, NULL, NULL), ('O''Neil "%s"', 31, '2023-12-31 12:00+01', 60, NULL, NULL, NULL),
    (NULL, 40, '2023-12-31 12:00+01', 60, NULL, NULL, NULL);
INSERT INTO hand SELECT 'many', i, timestamptz '2023-01-01 12:00+01' + i * interval '1 day', 10 + i, CASE WHEN i > 1 THEN 'Returned' END, NULL, NULL FROM generate_series(1, 31) i;
CREATE TABLE people AS SELECT unnest('{anna,window shopper}'::text[]) AS customer_id, 'web'::text AS channel, timestamp '2021-12-31 23:30' AS signed_up_at;
SELECT rfm.create_model('hand_' || s, 'hand', 'people', storage => s, time_zone => 'Europe/Berlin', as_of => '2024-01-01 12:00', lookback => '3 years',
    monetary_cutoffs => '{25.5,60,170,500}') FROM unnest('{table,materialized,view}'::text[]) s;

SELECT is(test.rows('hand_' || s, 'anna', 'customer'), $$customer_id: anna
is_customer: yes
as_of: 2024-01-01 12:00:00
channel: web
signed_up_at: 2021-12-31 23:30:00
first_order_at: 2020-05-05 10:00:00
second_order_at: 2022-01-10 12:00:00
last_order_at: 2023-06-01 00:30:00$$ || CASE s WHEN 'table' THEN E'\nsegment_since: 2024-01-01 12:00:00' ELSE '' END, 'who, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;
SELECT is(test.rows('hand_' || s, 'anna', 'value'), $$recency_days: 214
orders: 3
revenue: 166.25$$, 'raw values, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;
SELECT is(test.rows('hand_' || s, 'anna', 'value', 'explanation'), $$recency_days: From 2023-06-01, the date of the last purchase, to 2024-01-01.
orders: Different orders in the window, with 4 purchase lines.
revenue: Sum of the amounts in the window, refunds subtracted.$$, '... explained, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;
SELECT is(test.rows('hand_table', 'anna', 'score', 'explanation'), $$r: 181 to 365 days are level 3 of 5; cut points 90, 180, 365, 545.
f: 3 orders and more are level 5 of 5; cut points 0, 1, 2, 3.
m: Revenue from 60 to below 170 is level 3 of 5; cut points 25.5, 60, 170, 500.
rfm_score: The three scores.$$, 'cut points met');
SELECT is(test.rows('hand_table', 'anna', 'rule'), $$1 VIP Champions: no
2 Loyal High Value: fired
3 Loyal Low Value: no
4 Promising High Value: no
5 Promising Low Value: no
6 Need Attention: no
7 At Risk: no
8 Hibernating: no$$, 'the rules');
SELECT is(test.rows('hand_table', 'anna', 'rule', 'explanation'), $$1 VIP Champions: r = 3, needs 4 to 5; m = 3, needs 4 to 5.
2 Loyal High Value: The first that holds the scores: r from 3 to 5, f from 4 to 5, m from 3 to 5.
3 Loyal Low Value: m = 3, needs 1 to 2.
4 Promising High Value: r = 3, needs 4 to 5; f = 5, needs 3.
5 Promising Low Value: r = 3, needs 4 to 5; f = 5, needs 3; m = 3, needs 1 to 2.
6 Need Attention: r = 3, needs 1 to 2.
7 At Risk: f = 5, needs 3.
8 Hibernating: r = 3, needs 1 to 2; f = 5, needs 1 to 3.$$, '... explained');
SELECT is(test.rows('hand_table', 'anna', 'segment'), E'segment: Loyal High Value\nsegment_rank: 2\nstage: loyal', 'the segment');
SELECT is(test.rows('hand_table', 'anna', 'next segment'), E'segment: VIP Champions\nsegment_rank: 1\norders: 1\namount: 3.75', 'the next better segment');
SELECT is(test.rows('hand_table', 'anna', 'waiting'), $$segment: Need Attention
date: 2024-06-01
line leaves window: 2025-01-11
last purchase leaves window: 2026-06-02$$, 'what waiting does');
SELECT is(test.rows('hand_' || s, 'anna', 'left out'), $$at or after as_of: lines: 1
at or after as_of: money: 17
status 'Cancelled': lines: 1
status 'Cancelled': money: 12
status 'Returned': lines: 3
status 'Returned': money: 11
voided before as_of: lines: 1
voided before as_of: money: 13
without amount: lines: 1
without amount: money: 0
without order_id: lines: 1
without order_id: money: 14
without ordered_at: lines: 1
without ordered_at: money: 15
before the window: lines: 1
before the window: money: 18
in revenue only: lines: 1
in revenue only: money: -5.25$$, 'what was left out, storage ' || s) FROM unnest('{table,materialized,view}'::text[]) s;
SELECT is(test.rows('hand_view', 'anna', 'left out line', 'explanation'), $$8: at or after as_of; ordered 2024-01-01 12:00:00.
4: status 'Cancelled'; ordered 2023-06-02 11:00:00; product 9.
3: status 'Returned'; ordered 2023-06-02 10:00:00; product 9.
11: status 'Returned'; ordered 2023-05-01 10:00:00.
12: status 'Returned'; ordered 2023-05-01 09:00:00.
5: voided before as_of; ordered 2023-06-02 12:00:00; status Returned; voided 2023-07-01 10:00:00.
7: without amount; ordered 2023-06-02 15:00:00.
without order_id: without order_id; ordered 2023-06-02 13:00:00.
6: without ordered_at.
9: before the window; ordered 2020-05-05 10:00:00.
2: in revenue only; ordered 2023-06-03 10:00:00; status Complete.$$, '... line by line');
SELECT is(test.rows('hand_view', 'many', 'left out'), E'status ''Returned'': lines: 30\nstatus ''Returned'': money: 795', 'many lines left out are counted');
SELECT is((SELECT count(*) FROM hand_table.explain_customer('many') WHERE topic = 'left out line'), 21::bigint, '... and not all listed');
SELECT is((SELECT value FROM hand_table.explain_customer('many') WHERE topic = 'left out line' AND item = 'more'), '10', '... but the rest counted');
SELECT is(rfm.local_text(t, 'Europe/Berlin'), told, 'a time: ' || told) FROM (VALUES ('2024-01-01 11:00Z'::timestamptz, '2024-01-01 12:00:00'),
    ('2024-01-01 11:00:00.5Z', '2024-01-01 12:00:00.5'), ('2024-07-01 10:20:30.000001Z', '2024-07-01 12:20:30.000001'), ('-infinity', '-infinity')) t(t, told);
SELECT is(test.rows('hand_table', 'O''Neil "%s"', 'value'), E'recency_days: 1\norders: 1\nrevenue: 60', 'an id of any kind');
SELECT is(test.rows('hand_table', 'bert', 'next segment'), E'segment: Loyal High Value\nsegment_rank: 2\norders: 1\namount: 0', 'a second order of any amount');
SELECT is(test.rows('hand_table', 'bert', 'other better segment'), 'VIP Champions: 1, 110', '... or a large one');
SELECT is(test.rows('hand_table', 'bert', 'score', 'explanation'), $$r: Up to 90 days are level 5 of 5; cut points 90, 180, 365, 545.
f: 1 order is level 3 of 5; cut points 0, 1, 2, 3.
m: Revenue from 60 to below 170 is level 3 of 5; cut points 25.5, 60, 170, 500.
rfm_score: The three scores.$$, 'levels of one, and without end');

-- who is no customer
SELECT is(test.rows('hand_' || s, who, 'customer', 'explanation') ~ ('is_customer: ' || why || E'\n'), true, s || ': ' || who)
FROM unnest('{table,materialized,view}'::text[]) s, (VALUES
    ('refund only', 'There are only refunds and credits, no purchase\.'), ('excluded', 'None of 2 lines counts as a purchase: 2 status ''Returned''\.'),
    ('future', 'None of 1 line counts as a purchase: 1 at or after as_of\.'), ('long ago', 'None of 1 line counts as a purchase: 1 before the window\.'),
    ('mixed', 'None of 2 lines counts as a purchase: 1 status ''Cancelled'', 1 before the window\.'),
    ('window shopper', 'There is an account, but no order line\.')) w(who, why);
SELECT is((SELECT string_agg(DISTINCT topic, ', ') FROM hand_table.explain_customer('window shopper')), 'customer, next segment, other better segment', 'there is little to say');
SELECT is(test.rows('hand_table', 'window shopper', 'next segment'), E'segment: Promising Low Value\nsegment_rank: 5\norders: 1\namount: 0', 'but what an order would do');
SELECT is(test.rows('hand_table', 'refund only', 'other better segment') LIKE 'Promising High Value: 1, 63%', true, '... a refund counts against it');
SELECT throws_ok('SELECT * FROM hand_table.explain_customer(''nobody'')', 'P0002', 'no order line and no account has customer_id ''nobody''', 'an unknown id');
SELECT throws_ok('SELECT * FROM hand_view.explain_customer(NULL)', '22004', 'customer_id must not be NULL', 'no id');

-- changes after the refresh
SELECT is_empty($$SELECT FROM hand_table.explain_customer('bert') WHERE item = 'changed'$$, 'nothing has changed');
INSERT INTO hand VALUES ('bert', 33, '2023-12-30 12:00+01', 6.5, NULL, NULL, NULL), ('new', 34, '2023-12-31 00:00+01', 1, NULL, NULL, NULL);
SELECT is((SELECT explanation FROM hand_table.explain_customer('bert') WHERE item = 'changed'),
    'Since the refresh his lines have changed: they now give 2 orders, 2 purchase lines and revenue 66.5, the last purchase at 2023-12-31 12:00:00. CALL rfm.refresh(''hand_table'') takes them in.',
    'lines that came after the refresh');
SELECT is(test.rows('hand_materialized', 'bert', 'value'), E'recency_days: 1\norders: 1\nrevenue: 60', '... change no value of a stored model');
SELECT is(test.rows('hand_view', 'bert', 'value'), E'recency_days: 1\norders: 2\nrevenue: 66.5', '... but of a live one');
SELECT is_empty($$SELECT FROM hand_view.explain_customer('bert') WHERE item = 'changed'$$, '... which never differs');
SELECT is((SELECT explanation FROM hand_table.explain_customer('new') WHERE item = 'is_customer'), 'His purchases came after the refresh.', 'a customer to be');
DELETE FROM hand WHERE customer_id = 'bert';
SELECT is((SELECT value FROM hand_table.explain_customer('bert') WHERE item = 'changed'), 'yes', 'lines that went');
SELECT throws_ok('SELECT * FROM hand_view.explain_customer(''bert'')', 'P0002', NULL, '... all of them');

-- edited rules
INSERT INTO hand_table.segment_rules VALUES (0, 'Anyone', 'other', 1, 5, 1, 5, 1, 5);
SELECT is(test.rows('hand_table', 'anna', 'rule') LIKE E'edited: yes\n0 Anyone: fired\n1 VIP Champions: no\n2 Loyal High Value: hidden\n3 %', true, 'rules that are not yet in force');
SELECT is(test.rows('hand_table', 'anna', 'segment'), E'segment: Loyal High Value\nsegment_rank: 2\nstage: loyal', '... change no segment');
CALL rfm.refresh('hand_table');
SELECT is(test.rows('hand_table', 'anna', 'segment') || test.rows('hand_table', 'anna', 'next segment', 'explanation'), E'segment: Anyone\nsegment_rank: 1\nstage: othersegment: There is none better.', '... until the refresh');
SELECT is_empty($$SELECT FROM hand_table.explain_customer('anna') WHERE item = 'edited'$$, '... when they are in force');
DELETE FROM hand_table.segment_rules WHERE rule_order IN (0, 2);
CALL rfm.refresh('hand_table');
SELECT is(test.rows('hand_table', 'anna', 'rule') LIKE E'1 %8 Hibernating: no\nOthers: fired', true, 'Others');

-- odd cut points and rules
SELECT rfm.create_model('odd', 'hand', time_zone => 'Europe/Berlin', as_of => '2024-01-01 12:00', recency_cutoffs => '{-1.5,10.5}', frequency_cutoffs => '{0.2,0.5,2.5}', monetary_cutoffs => '{100.00005}');
SELECT is(test.rows('odd', 'anna', 'score', 'explanation'), $$r: 11 days and more are level 1 of 3; cut points -1.5, 10.5.
f: 3 orders and more are level 4 of 4; cut points 0.2, 0.5, 2.5.
m: Revenue from 100.00005 on is level 2 of 2; cut points 100.00005.
rfm_score: The three scores.$$, 'cut points that no whole number meets');
SELECT set_eq($$SELECT segment, further_orders, amount FROM rfm.better_segments(1, 20, 0, NULL, '{10}', '{0.2,0.5,2.5}', '{100.00004}',
    rfm.compile_rules(ARRAY[ROW(1, 'never', 'vip', 1, 9, 2, 2, 1, 9)::rfm.segment_rule, ROW(2, 'rich', 'vip', 1, 9, 4, 9, 2, 9)::rfm.segment_rule,
                            ROW(3, 'loyal', 'loyal', 1, 9, 4, 9, 1, 9)::rfm.segment_rule, ROW(4, 'late', 'loyal', 1, 1, 1, 9, 1, 9)::rfm.segment_rule], 2, 4, 2))$$,
    $$VALUES ('rich', 2::bigint, 80.0001), ('loyal', 2, 0), ('Others', 1, 0)$$, 'cells that no order reaches are none');
SELECT is(rfm.leaves_window(at::timestamptz, '1 month', 'Europe/Berlin'), leaves::date, 'a line leaves the window: ' || at) FROM (VALUES
    ('2024-01-31 00:00+01', '2024-03-01'), ('2024-01-30 23:59+01', '2024-03-01'), ('2024-02-28 12:00+01', '2024-03-29'), ('2024-02-29 00:00+01', '2024-04-01'),
    ('2024-03-31 03:30+02', '2024-05-01'), ('2024-10-27 02:30+01', '2024-11-28')) l(at, leaves);

-- every customer of a random shop

CREATE TABLE shop AS
    SELECT 1 + test.dice(150, 'customer', i::text) * test.dice(150, 'again', i::text) / 150 AS customer_id,
           nullif(test.dice(500, 'order', i::text), 13) AS order_id,
           CASE WHEN i % 97 > 0 THEN timestamp '2024-01-01' - test.dice(700, 'day', i::text) * interval '1 day' + test.dice(20, 'hour', i::text) * interval '90 minutes' END AS ordered_at,
           CASE WHEN i % 89 > 0 THEN (test.dice(20000, 'amount', i::text) - 2000) / 100.0 END AS amount,
           (ARRAY['Complete', 'Complete', 'Shipped', 'Returned', NULL])[1 + test.dice(5, 'status', i::text)] AS status,
           CASE WHEN i % 7 = 0 THEN timestamptz '2024-01-01 00:00Z' - test.dice(900, 'voided', i::text) * interval '1 day' END AS voided_at
    FROM generate_series(1, 700) i;
SELECT rfm.create_model('shop_' || s, 'shop', storage => s, as_of => '2023-12-01 15:00', time_zone => 'Asia/Tokyo') FROM unnest('{table,view}'::text[]) s;
CREATE TABLE told AS
    SELECT 'table' AS storage, c.customer_id, x.* FROM (SELECT DISTINCT customer_id FROM shop) c, shop_table.explain_customer(c.customer_id) x
    UNION ALL SELECT 'view', c.customer_id, x.* FROM (SELECT DISTINCT customer_id FROM shop) c, shop_view.explain_customer(c.customer_id) x;
CREATE VIEW said AS SELECT * FROM told WHERE storage = 'table';
CREATE FUNCTION test.value(customer int, topic text, item text) RETURNS text LANGUAGE sql AS $$
    SELECT s.value FROM said s WHERE s.customer_id = $1 AND s.topic = $2 AND s.item = $3
$$;
SELECT cmp_ok((SELECT count(*) FROM shop_table.customers), '>', 80::bigint, 'many customers');
SELECT cmp_ok((SELECT count(DISTINCT segment) FROM shop_table.customers), '>=', 7::bigint, '... in most segments');
SELECT is_empty($$SELECT customer_id, topic, item, value FROM told WHERE storage = 'table' AND item <> 'segment_since' EXCEPT ALL
    SELECT customer_id, topic, item, value FROM told WHERE storage = 'view'$$, 'a live model says what a stored one does');
SELECT is_empty($$SELECT customer_id, topic, item, value FROM told WHERE storage = 'view' EXCEPT ALL
    SELECT customer_id, topic, item, value FROM told WHERE storage = 'table'$$, '... and nothing else');
SELECT is_empty($$SELECT item, explanation FROM told WHERE explanation IS NULL OR explanation !~ '[.]$' OR explanation ~ '%'$$, 'explanations are sentences');
SELECT is_empty($$SELECT customer_id FROM told GROUP BY storage, customer_id HAVING max(step) <> count(*) OR min(step) <> 1 OR count(DISTINCT step) <> count(*)$$,
    'steps are numbered from 1');
SELECT bag_eq($$SELECT customer_id FROM said WHERE item = 'is_customer' AND value = 'yes'$$, 'SELECT customer_id FROM shop_table.customers', 'who is a customer');
SELECT bag_eq($$SELECT customer_id, test.value(customer_id, 'value', 'recency_days')::int AS recency_days, test.value(customer_id, 'value', 'orders')::bigint AS orders,
        test.value(customer_id, 'value', 'revenue')::numeric AS revenue, test.value(customer_id, 'score', 'r')::smallint AS r, test.value(customer_id, 'score', 'f')::smallint AS f,
        test.value(customer_id, 'score', 'm')::smallint AS m, test.value(customer_id, 'score', 'rfm_score')::smallint AS rfm_score, test.value(customer_id, 'segment', 'segment') AS segment,
        test.value(customer_id, 'segment', 'segment_rank')::smallint AS segment_rank, test.value(customer_id, 'customer', 'first_order_at')::timestamp AS first_order_at,
        test.value(customer_id, 'customer', 'second_order_at')::timestamp AS second_order_at, test.value(customer_id, 'customer', 'last_order_at')::timestamp AS last_order_at
        FROM said WHERE item = 'is_customer' AND value = 'yes'$$,
    $$SELECT customer_id, recency_days, orders, revenue, r, f, m, rfm_score, segment, segment_rank, first_order_at AT TIME ZONE 'Asia/Tokyo' AS first_order_at,
        second_order_at AT TIME ZONE 'Asia/Tokyo' AS second_order_at, last_order_at AT TIME ZONE 'Asia/Tokyo' AS last_order_at FROM shop_table.customers$$, 'values, scores and segment are those of the view customers');

-- the ranges of the levels, for every number
CREATE FUNCTION test.in_range(n numeric, range text) RETURNS boolean LANGUAGE sql AS $$
    SELECT CASE WHEN range ~ '^Up to ' THEN n <= u.a[1] WHEN range ~ ' and more are$' THEN n >= u.a[1] WHEN range ~ '^[-0-9.]+ to ' THEN n BETWEEN u.a[1] AND u.a[2]
                WHEN range ~ '^Revenue below ' THEN n < u.a[1] WHEN range ~ '^Revenue from [-0-9.]+ on is$' THEN n >= u.a[1]
                WHEN range ~ '^Revenue from [-0-9.]+ to below ' THEN n >= u.a[1] AND n < u.a[2] ELSE n = u.a[1] END
    FROM (SELECT array_agg(m[1]::numeric) AS a FROM regexp_matches(range, '([-0-9.]+)', 'g') m) u
$$;
SELECT is_empty(format($$SELECT n, level, rfm.recency_range(level, c) FROM generate_series(-3, 20) n, generate_series(1, cardinality(%1$L::numeric[]) + 1) level, (SELECT %1$L::numeric[]) x(c)
    WHERE EXISTS (SELECT FROM generate_series(-3, 20) i WHERE rfm.recency_score(i, c) = level) AND test.in_range(n, rfm.recency_range(level, c)) <> (rfm.recency_score(n, c) = level)$$, cuts),
    'the days of a level, cut points ' || cuts) FROM unnest('{"{1,2,10}","{-1.5,3.5}","{0}","{5,5,7}"}'::text[]) cuts;
SELECT is_empty(format($$SELECT n, level, rfm.frequency_range(level, c) FROM generate_series(0, 20) n, generate_series(1, cardinality(%1$L::numeric[]) + 1) level, (SELECT %1$L::numeric[]) x(c)
    WHERE EXISTS (SELECT FROM generate_series(0, 20) i WHERE rfm.frequency_score(i, c) = level) AND test.in_range(n, rfm.frequency_range(level, c)) <> (rfm.frequency_score(n, c) = level)$$, cuts),
    'the orders of a level, cut points ' || cuts) FROM unnest('{"{0,1,2,3}","{1.5,3.5}","{2,2,4}"}'::text[]) cuts;
SELECT is_empty($$SELECT n, level, rfm.monetary_range(level, c) FROM (SELECT i / 4.0 FROM generate_series(-20, 60) i) i(n), generate_series(1, 5) level, (SELECT '{-2,0,2.5,2.5}'::numeric[]) x(c)
    WHERE test.in_range(n, rfm.monetary_range(level, c)) <> (rfm.monetary_score(n, c) = level)$$, 'the revenue of a level');
SELECT is_empty($$SELECT customer_id, item, explanation FROM said WHERE topic = 'score' AND item = 'm'
    AND NOT test.in_range(test.value(customer_id, 'value', 'revenue')::numeric, (regexp_match(explanation, '^(.* is) level'))[1])$$, 'the revenue is in its range');

-- the rules
SELECT bag_eq($$SELECT customer_id, item, value FROM said WHERE topic = 'rule'$$, $$
    WITH fits AS (SELECT c.customer_id, t.rule_order, t.segment, c.r >= t.r_min AND c.r <= t.r_max AND c.f >= t.f_min AND c.f <= t.f_max AND c.m >= t.m_min AND c.m <= t.m_max AS fits
                  FROM shop_table.customers c CROSS JOIN shop_table.segment_rules t)
    SELECT customer_id, rule_order || ' ' || segment AS item, CASE WHEN NOT fits THEN 'no'
        WHEN EXISTS (SELECT FROM fits o WHERE o.customer_id = f.customer_id AND o.fits AND o.rule_order < f.rule_order) THEN 'hidden' ELSE 'fired' END AS value FROM fits f
    UNION ALL SELECT customer_id, 'Others', 'fired' FROM shop_table.customers WHERE segment = 'Others'$$, 'which rule fired, which did not, which are hidden');
SELECT is_empty($$SELECT FROM said WHERE topic = 'rule' AND value = 'no' AND (explanation ~ 'r = ') <>
    (SELECT c.r NOT BETWEEN t.r_min AND t.r_max FROM shop_table.customers c, shop_table.segment_rules t WHERE c.customer_id = said.customer_id AND item = t.rule_order || ' ' || t.segment)$$,
    '... and what it lacks');

-- what was left out
SELECT bag_eq($$SELECT customer_id, item, value::numeric FROM said WHERE topic = 'left out'$$, $$
    WITH reasons AS (
        SELECT customer_id, amount, CASE
            WHEN order_id IS NULL THEN 'without order_id' WHEN ordered_at IS NULL THEN 'without ordered_at' WHEN amount IS NULL THEN 'without amount'
            WHEN voided_at IS NOT NULL AND voided_at < timestamptz '2023-12-01 15:00+09' THEN 'voided before as_of'
            WHEN voided_at IS NULL AND status IN ('Cancelled', 'Returned') THEN 'status ''' || status || ''''
            WHEN ordered_at >= '2023-12-01 15:00' THEN 'at or after as_of' WHEN amount < 0 THEN 'in revenue only' END AS reason
        FROM shop)
    SELECT customer_id, reason || ': lines' AS item, count(*)::numeric AS value FROM reasons WHERE reason IS NOT NULL GROUP BY customer_id, reason
    UNION ALL SELECT customer_id, reason || ': money', coalesce(sum(amount), 0) FROM reasons WHERE reason IS NOT NULL GROUP BY customer_id, reason$$,
    'what was left out, by reason');
SELECT is((SELECT sum(value::numeric) FROM said WHERE topic = 'value' AND item = 'revenue')
        + (SELECT sum(value::numeric) FROM said WHERE item LIKE '%: money' AND item NOT LIKE 'in revenue only%')
        + (SELECT coalesce(sum(value::numeric), 0) FROM said WHERE item LIKE 'in revenue only: money' AND customer_id NOT IN (SELECT customer_id FROM shop_table.customers)),
    (SELECT sum(amount) FROM shop), 'no money is lost: counted and left out are all of it');
SELECT is_empty($$SELECT customer_id FROM said GROUP BY customer_id HAVING least(20, coalesce(sum(value::int) FILTER (WHERE topic = 'left out' AND item LIKE '%: lines'), 0))
    <> count(*) FILTER (WHERE topic = 'left out line' AND item <> 'more')$$, 'all lines left out are listed, up to 20');

-- What one could do: in a copy of the lines that count, with the cut points held, everyone orders what he is told, a little
-- less, or fewer times.
CREATE TABLE still (customer_id int, order_id int, ordered_at timestamp, amount numeric);
INSERT INTO still SELECT customer_id, order_id, ordered_at, amount FROM shop
    WHERE ordered_at < '2023-12-01 15:00' AND CASE WHEN voided_at IS NULL THEN coalesce(status, '') <> 'Returned' ELSE voided_at >= '2023-12-01 15:00+09' END;
SELECT rfm.create_model('still', 'still', as_of => '2023-12-01 15:00', time_zone => 'Asia/Tokyo', storage => 'view',
    monetary_cutoffs => (SELECT array_agg(trim_scale(c)) FROM shop_table.snapshot, unnest(monetary_cutoffs) c));
SELECT bag_eq('SELECT customer_id, segment FROM still.customers', 'SELECT customer_id, segment FROM shop_table.customers', 'the copy is one');
CREATE TABLE now AS SELECT customer_id, segment_rank FROM still.customers;
CREATE TABLE advice AS SELECT customer_id, test.value(customer_id, 'next segment', 'segment') AS segment,
    test.value(customer_id, 'next segment', 'orders')::int AS orders, test.value(customer_id, 'next segment', 'amount')::numeric AS amount
    FROM said WHERE topic = 'next segment' AND item = 'segment' AND value IS NOT NULL;
SELECT cmp_ok((SELECT count(*) FROM advice WHERE amount > 0), '>', 10::bigint, 'many could reach more by spending');
CREATE PROCEDURE test.order_now(orders text, amount text) LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM still WHERE order_id > 100000;
    EXECUTE format('INSERT INTO still SELECT customer_id, 100000 + i, timestamp ''2023-12-01 15:00'' - i * interval ''1 second'', CASE i WHEN 1 THEN greatest(0, %2$s) ELSE 0 END
        FROM advice CROSS JOIN LATERAL generate_series(1, %1$s) i', orders, amount);
END $$;
CALL test.order_now('orders', 'amount');
SELECT bag_eq('SELECT customer_id, segment FROM still.customers JOIN advice USING (customer_id, segment)', 'SELECT customer_id, segment FROM advice', 'who follows the advice gets there');
CALL test.order_now('orders', 'amount - 0.0001');
SELECT is_empty('SELECT c.customer_id, c.segment, a.* FROM still.customers c JOIN advice a USING (customer_id) LEFT JOIN now n USING (customer_id)
    WHERE a.amount > 0 AND c.segment_rank < n.segment_rank', 'a little less is not enough');
CALL test.order_now('orders - 1', '1000000');
SELECT is_empty('SELECT c.customer_id, c.segment, a.* FROM still.customers c JOIN advice a USING (customer_id) JOIN now n USING (customer_id)
    WHERE a.orders > 1 AND c.segment_rank < n.segment_rank', 'fewer orders are not enough, whatever they come to');
CREATE TABLE follows AS TABLE advice;
DELETE FROM advice;
INSERT INTO advice SELECT customer_id FROM now WHERE customer_id NOT IN (SELECT customer_id FROM follows);
SELECT isnt_empty('TABLE advice', 'some get no advice');
CREATE FUNCTION test.tries() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    k int;
    a int;
BEGIN
    FOR k IN 1..3 LOOP
        FOREACH a IN ARRAY '{0,30,100,300,1000000}'::int[] LOOP
            CALL test.order_now(k::text, a::text);
            RETURN NEXT is_empty('SELECT customer_id FROM still.customers c JOIN advice USING (customer_id) JOIN now n USING (customer_id) WHERE c.segment_rank < n.segment_rank',
                format('... who could not rise by %s orders and %s', k, a));
        END LOOP;
    END LOOP;
END $$;
SELECT test.tries();
-- the others, one segment at a time
CREATE TABLE advised AS SELECT customer_id, item AS segment, split_part(value, ', ', 1)::int AS orders, split_part(value, ', ', 2)::numeric AS amount FROM said WHERE topic = 'other better segment';
CREATE FUNCTION test.others() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    s text;
BEGIN
    FOR s IN SELECT DISTINCT segment FROM advised LOOP
        DELETE FROM advice;
        INSERT INTO advice SELECT customer_id, segment, orders, amount FROM advised WHERE segment = s;
        CALL test.order_now('orders', 'amount');
        RETURN NEXT bag_eq('SELECT customer_id, segment FROM still.customers JOIN advice USING (customer_id, segment)', 'SELECT customer_id, segment FROM advice', 'who wants to be in ' || s || ' gets there');
    END LOOP;
END $$;
SELECT test.others();
DELETE FROM still WHERE order_id > 100000;

-- what waiting does: the segment on the date named, and the day before
CREATE TABLE waits AS SELECT customer_id, test.value(customer_id, 'waiting', 'segment') AS segment, test.value(customer_id, 'waiting', 'date')::date AS date
    FROM said WHERE topic = 'waiting' AND item = 'segment';
CREATE TABLE waited AS SELECT w.customer_id, w.segment AS told, w.date, c.segment, c.segment_rank, NULL::smallint AS rank_before, n.segment_rank AS rank_now
    FROM (SELECT DISTINCT date FROM waits WHERE date IS NOT NULL) d CROSS JOIN LATERAL still.customers_at(d.date) c
    JOIN waits w USING (customer_id) JOIN now n USING (customer_id) WHERE w.date = d.date;
UPDATE waited w SET rank_before = b.segment_rank FROM (SELECT DISTINCT date FROM waits WHERE date IS NOT NULL) d CROSS JOIN LATERAL still.customers_at(d.date - 1) b
    WHERE w.date = d.date AND w.customer_id = b.customer_id;
SELECT is((SELECT count(*) FROM waited), (SELECT count(*) FROM waits WHERE date IS NOT NULL), 'every date was tried');
SELECT cmp_ok((SELECT count(*) FROM waited), '>', 30::bigint, '... and there are many');
SELECT is_empty('SELECT * FROM waited WHERE told <> segment OR segment_rank <= rank_now', 'on the date he is where he was told to drop to');
SELECT is_empty('SELECT * FROM waited WHERE rank_before > rank_now OR rank_before IS NULL', '... and the day before he is not');
SELECT is_empty($$SELECT w.customer_id FROM unnest('{2024-03-01,2024-08-01,2025-03-01,2027-01-01}'::date[]) d CROSS JOIN LATERAL still.customers_at(d) c
    JOIN waits w USING (customer_id) JOIN now n USING (customer_id) WHERE w.date IS NULL AND c.segment_rank > n.segment_rank$$, 'who is told of no date does not drop');
SELECT rfm.create_model('window', 'still', as_of => '2023-12-01 15:00', time_zone => 'Asia/Tokyo', storage => 'view', lookback => '1 year 1 month');
CREATE TABLE leaves AS SELECT c.customer_id, max(x.value) FILTER (WHERE x.item LIKE 'last%')::date AS last, max(x.value) FILTER (WHERE x.item LIKE 'line%')::date AS line
    FROM (SELECT customer_id FROM "window".customers ORDER BY md5(customer_id::text) LIMIT 20) c, "window".explain_customer(c.customer_id) x WHERE x.topic = 'waiting' GROUP BY 1;
SELECT is((SELECT count(line) + count(last) FROM leaves), 40::bigint, 'with a lookback both dates are told');
SELECT is_empty('SELECT l.* FROM leaves l CROSS JOIN LATERAL "window".customers_at(l.last) c WHERE c.customer_id = l.customer_id', 'on the date his last purchase leaves the window he is no customer');
SELECT is_empty('SELECT l.* FROM leaves l WHERE NOT EXISTS (SELECT FROM "window".customers_at(l.last - 1) c WHERE c.customer_id = l.customer_id)', '... and the day before he is one');
SELECT is_empty('SELECT l.* FROM leaves l JOIN "window".customers n USING (customer_id) CROSS JOIN LATERAL "window".customers_at(l.line - 1) c
    WHERE c.customer_id = l.customer_id AND l.line > ''2023-12-02'' AND (c.orders, c.revenue) <> (n.orders, n.revenue)',
    'up to the day before a line leaves the window nothing changes');

-- cut points of recency that are percentiles move with everybody's days
SELECT rfm.create_model('moving', 'still', as_of => '2023-12-01 15:00', time_zone => 'Asia/Tokyo', recency_fractions => '{0.2,0.4,0.6,0.8}');
SELECT is_empty($$SELECT c.customer_id FROM (SELECT customer_id FROM moving.customers LIMIT 10) c, moving.explain_customer(c.customer_id) x
    WHERE topic = 'waiting' AND item = 'segment' AND explanation !~ 'while the cut points of recency stay \(they are percentiles'$$, 'percentiles of recency are said to move');
SELECT is_empty($$SELECT customer_id FROM moving.customers_at('2025-06-01') a JOIN moving.customers c USING (customer_id) WHERE a.r <> c.r AND c.recency_days > 0$$, '... and do');

-- ids of every kind, and a model without status, accounts and the like
CREATE TABLE ids AS SELECT 7::smallint AS a, 7::int AS b, 7::bigint AS c, md5('7')::uuid AS d, '7'::text AS e, '7'::varchar(9) AS f, now() - interval '5 days' AS at;
CREATE FUNCTION test.id(c text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('CREATE VIEW lines_%1$s AS SELECT %1$I AS customer_id, 1 AS order_id, at AS ordered_at, 5 AS amount FROM ids', c);
    PERFORM rfm.create_model('model_' || c, ('lines_' || c)::regclass);
    EXECUTE format('SELECT value FROM ids, model_%1$s.explain_customer(%1$I) WHERE item = ''revenue''', c) INTO result;
    PERFORM rfm.drop_model('model_' || c);
    RETURN result;
END $$;
SELECT is(test.id(c), '5', 'ids of column ' || c) FROM unnest('{a,b,c,d,e,f}'::text[]) c;

-- an id changes its type: so does the argument
CREATE TABLE changing AS SELECT 7 AS customer_id, 1 AS order_id, now() - interval '5 days' AS ordered_at, 5 AS amount;
SELECT rfm.create_model('changing', 'changing', storage => 'view');
SELECT rfm.create_model('changing_table', 'changing');
DO $$
BEGIN
    ALTER TABLE changing RENAME TO changing_lines;
    CREATE VIEW changing AS SELECT customer_id::text AS customer_id, order_id, ordered_at, amount FROM changing_lines;
    UPDATE changing.settings SET order_lines = 'changing';
    UPDATE changing_table.settings SET order_lines = 'changing';
END $$;
CALL rfm.refresh('changing');
CALL rfm.refresh('changing_table');
SELECT is((SELECT count(*) FROM changing.explain_customer('7'::text) WHERE item = 'revenue') + (SELECT count(*) FROM changing_table.explain_customer('7'::text) WHERE item = 'revenue'),
    2::bigint, 'explain_customer takes ids of their new type');
SELECT is((SELECT count(*) FROM pg_proc WHERE proname = 'explain_customer' AND pronamespace IN ('changing'::regnamespace, 'changing_table'::regnamespace)), 2::bigint, '... and only these');

-- sessions of any kind
CREATE TABLE here AS SELECT * FROM hand_view.explain_customer('anna');
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -15;
SET standard_conforming_strings = off;
SET quote_all_identifiers = on;
SET search_path = '';
CREATE TABLE public.there AS SELECT * FROM hand_view.explain_customer('anna');
RESET ALL;
SET client_min_messages = error;
SELECT bag_eq('TABLE here', 'TABLE there', 'the same in a session of another kind');

SELECT * FROM finish();
