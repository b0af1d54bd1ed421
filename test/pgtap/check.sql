-- check_model and check_rules: every finding comes when its cause is planted, with the right count and example, and is not
-- there otherwise; lines, orders, customers and money by reason sum up to those of all lines.
\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE TABLE lines (customer_id int, order_id text, ordered_at timestamptz, amount float8, status text, product_id int);
CREATE TABLE accounts (customer_id int, channel text);
CREATE TABLE products (product_id int, category text);
-- 40 customers, of each frequency, over two years; some lines cancelled, some returned
INSERT INTO lines
	SELECT i % 40 + 1, 'o' || i % 40 + 1 || '-' || i / 40 % (1 + i % 4), timestamptz '2024-01-01Z' - (i * 37 % 700) * interval '1 day', i % 97 + 0.25,
	       CASE WHEN i % 11 = 0 THEN 'Cancelled' WHEN i % 13 = 0 THEN 'Returned' ELSE 'Complete' END, i % 5
	FROM generate_series(1, 400) i;
INSERT INTO accounts SELECT i, 'web' FROM generate_series(1, 45) i;
INSERT INTO products SELECT i, 'c' || i FROM generate_series(0, 4) i;
SELECT rfm.create_model('m', 'lines', 'accounts', 'products', as_of => '2024-01-15');
SELECT rfm.create_model('live', 'lines', 'accounts', 'products', as_of => '2024-01-15', storage => 'view');
SELECT rfm.create_model('mat', 'lines', 'accounts', 'products', as_of => '2024-01-15', storage => 'materialized');

-- What check_model or check_rules finds after some commands, which are then undone, and does not find without them; without
-- the figures by reason.
CREATE FUNCTION found(function text, model text, VARIADIC commands text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	command text;
	query text := format('SELECT format(''%%s: %%s [%%s, %%s]'', severity, finding, count, example) FROM rfm.%I(%L)'
		' WHERE finding !~ ''^(in the segments|in their revenue only|left out|reconciled|rules cover)'' OR severity <> ''note''', function, model);
	before text[];
	after text[];
BEGIN
	EXECUTE 'SELECT coalesce(array_agg(q), ''{}'') FROM (' || query || ') q(q)' INTO before;
	BEGIN
		FOREACH command IN ARRAY commands LOOP
			EXECUTE command;
		END LOOP;
		EXECUTE 'SELECT coalesce(array_agg(q), ''{}'') FROM (' || query || ') q(q)' INTO after;
		RAISE SQLSTATE 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		NULL;
	END;
	RETURN QUERY SELECT a FROM unnest(after) WITH ORDINALITY u(a, i) WHERE a <> ALL (before) ORDER BY i;
END $$;
CREATE FUNCTION finds(description text, model text, expected text[], VARIADIC commands text[]) RETURNS text LANGUAGE sql AS $$
	SELECT is(ARRAY(SELECT * FROM found('check_model', model, VARIADIC commands)), expected, description)
$$;
CREATE FUNCTION finds_rules(description text, model text, expected text[], VARIADIC commands text[]) RETURNS text LANGUAGE sql AS $$
	SELECT is(ARRAY(SELECT * FROM found('check_rules', model, VARIADIC commands)), expected, description)
$$;

SELECT no_plan();

SELECT is_empty(format('SELECT * FROM rfm.check_model(%L) WHERE severity <> ''note''', model), 'a healthy model has notes only: ' || model) FROM rfm.models;
SELECT is_empty(format('SELECT * FROM rfm.check_rules(%L) WHERE severity <> ''note''', model), 'and so have its rules: ' || model) FROM rfm.models;
SELECT isnt_empty(format('SELECT * FROM rfm.check_model(%L) WHERE finding LIKE ''reconciled, all lines: lines 400, %%''', model), 'it is reconciled: ' || model) FROM rfm.models;
SELECT is_empty(format('SELECT * FROM rfm.check_model(%L) WHERE num_nulls(severity, finding, count, what_to_do) > 0', model), 'every finding says what to do') FROM rfm.models;
SELECT results_eq('SELECT severity FROM (SELECT * FROM rfm.check_model(''m'') UNION ALL SELECT * FROM rfm.check_rules(''m'')) f GROUP BY 1', $$VALUES ('note')$$, 'notes');

-- the lines, one reason each; the rows of a live model change with them

CREATE VIEW figures AS
	SELECT m.model, f.finding, substring(f.finding FROM '^(.*): lines') AS reason,
	       substring(f.finding FROM 'lines (\d+)')::numeric AS lines, substring(f.finding FROM 'orders (\d+)')::numeric AS orders,
	       substring(f.finding FROM 'customers (\d+), amount')::numeric AS customers, substring(f.finding FROM 'amount (.*)$')::numeric AS amount
	FROM (VALUES ('live')) m(model), LATERAL rfm.check_model(m.model) f;
-- The row of a reason after a line was added, in the order of precedence: every line here is also in each reason that follows.
CREATE FUNCTION reason_of(line text, setup text DEFAULT 'SELECT') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	EXECUTE setup;
	CREATE TEMP TABLE was AS SELECT reason, lines FROM figures;
	EXECUTE 'INSERT INTO lines VALUES ' || line;
	SELECT string_agg(f.reason || ' +' || f.lines - coalesce(w.lines, 0), ', ' ORDER BY f.reason) INTO found
	FROM figures f LEFT JOIN was w USING (reason) WHERE f.lines <> coalesce(w.lines, 0) AND reason NOT LIKE 'reconciled%';
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN found;
END $$;
SELECT is(reason_of($$(1, 'x', '2024-01-02Z', 5, 'Complete', 1)$$), 'in the segments +1', 'a purchase');
SELECT is(reason_of($$(1, 'x', '2024-01-02Z', 5, NULL, 1)$$), 'in the segments +1', 'without status');
SELECT is(reason_of($$(1, 'x', '2024-01-02Z', -5, 'Complete', 1)$$), 'in their revenue only, refunds +1', 'a refund');
SELECT is(reason_of($$(77, 'x', '2024-01-02Z', -5, 'Complete', 1)$$), 'left out, customers with refunds only +1', 'a refund of nobody');
SELECT is(reason_of($$(NULL, 'x', NULL, NULL, 'Returned', 1)$$), 'left out, without customer_id +1', 'no customer');
SELECT is(reason_of($$(1, NULL, '2024-01-02Z', 5, 'Returned', 1)$$), 'left out, without order_id, ordered_at or amount +1', 'no order');
SELECT is(reason_of($$(1, 'x', NULL, 5, 'Returned', 1)$$), 'left out, without order_id, ordered_at or amount +1', 'no time');
SELECT is(reason_of($$(1, 'x', '2024-01-02Z', NULL, 'Returned', 1)$$), 'left out, without order_id, ordered_at or amount +1', 'no amount');
SELECT is(reason_of($$(1, 'x', '2999-01-01Z', 5, 'Returned', 1)$$), 'left out, status ''Returned'' +1', 'an excluded status');
SELECT is(reason_of($$(1, 'x', '2024-01-15Z', 5, 'Complete', 1)$$), 'left out, at or after as_of +1', 'at as_of');
SELECT is(reason_of($$(1, 'x', '2999-01-01Z', 5, 'Complete', 1)$$), 'left out, in the future +1', 'in the future');
SELECT is(reason_of($$(88, 'x', '2023-01-01Z', 5, 'Complete', 1), (88, 'y', '2024-01-02Z', -5, 'Complete', 1)$$,
	$$SELECT rfm.configure_model('live', lookback => '3 months'); CALL rfm.refresh('live')$$),
	'left out, before the window +1, left out, no purchase in the window +1', 'before the window, and a refund within it');

-- the sums, on shops of all kinds: the reasons sum up to all lines, and those in the segments are the model's
CREATE FUNCTION dice(n int, VARIADIC what text[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$
	SELECT (('x' || left(md5(array_to_string(what, '/')), 8))::bit(32)::bigint % n)::int
$$;
CREATE SCHEMA random;
CREATE TABLE random.lines AS
	SELECT CASE WHEN dice(20, 'nobody', i::text) > 0 THEN md5(dice(300, 'c', i::text)::text)::uuid END AS customer_id,
	       CASE WHEN dice(50, 'none', i::text) > 0 THEN dice(900, 'o', i::text) END AS order_id,
	       CASE WHEN dice(60, 'never', i::text) > 0 THEN timestamp '2024-03-01' - dice(900, 'at', i::text) * interval '17 hours' END AS ordered_at,
	       CASE WHEN dice(70, 'free', i::text) > 0 THEN (dice(30000, 'amount', i::text) - 12000) / 300.0 END AS amount,
	       (ARRAY['Complete', 'Cancelled', 'cancelled', ' Returned', 'Returned', NULL])[1 + dice(6, 'status', i::text)] AS status
	FROM generate_series(1, 2999) i;
INSERT INTO random.lines SELECT customer_id, 1, '2023-10-10 12:00', 5, 'Complete' FROM random.lines WHERE customer_id IS NOT NULL LIMIT 1; -- where the window starts
SELECT rfm.create_model('random_' || storage || n, 'random.lines', storage => storage, as_of => '2024-01-10 12:00', time_zone => 'Asia/Tokyo',
	lookback => CASE n WHEN 2 THEN interval '3 months' WHEN 3 THEN interval '20 days' END)
FROM unnest('{table,materialized,view}'::text[]) storage, generate_series(1, 3) n;
CREATE TABLE sums AS
	SELECT m.model, f.severity, substring(f.finding FROM '^(.*): lines') AS reason, substring(f.finding FROM 'lines (\d+)')::numeric AS lines,
	       substring(f.finding FROM 'orders (\d+)')::numeric AS orders, substring(f.finding FROM 'customers (\d+), amount')::numeric AS customers,
	       substring(f.finding FROM 'amount (.*)$')::numeric AS amount
	FROM rfm.models m, LATERAL rfm.check_model(m.model) f WHERE m.model LIKE 'random%' AND f.finding ~ ': lines ';
SELECT set_eq(
	$$SELECT model, sum(lines) AS lines, sum(orders) AS orders, sum(customers) AS customers, sum(amount) AS amount FROM sums WHERE reason <> 'reconciled, all lines' GROUP BY model$$,
	$$SELECT model, (SELECT count(*) FROM random.lines)::numeric AS lines,
	         (SELECT count(*) FROM (SELECT DISTINCT customer_id, order_id FROM random.lines WHERE order_id IS NOT NULL) o)::numeric AS orders,
	         (SELECT count(DISTINCT customer_id) FROM random.lines)::numeric AS customers, (SELECT sum(round(amount, 4)) FROM random.lines) AS amount
	  FROM rfm.models WHERE model LIKE 'random%'$$, 'the reasons sum up to all lines, orders, customers and money');
SELECT set_eq($$SELECT model, lines, orders, customers, amount FROM sums WHERE reason = 'reconciled, all lines'$$,
	$$SELECT model, sum(lines) AS lines, sum(orders) AS orders, sum(customers) AS customers, sum(amount) AS amount FROM sums WHERE reason <> 'reconciled, all lines' GROUP BY model$$,
	'which is what is reconciled');
SELECT is_empty($$SELECT * FROM sums WHERE severity = 'error'$$, 'without error');
SELECT is(
	(SELECT jsonb_agg(ARRAY[lines, orders, customers]) FROM sums WHERE model = mo.model AND reason = 'in the segments'),
	(xpath('/row/x/text()', query_to_xml(format('SELECT jsonb_build_array(jsonb_build_array(sum(lines), sum(orders), count(*))) AS x FROM %I.customers', mo.model), false, true, '')))[1]::text::jsonb,
	'those in the segments are the customers: ' || mo.model)
FROM rfm.models mo WHERE mo.model LIKE 'random%';
SELECT is(
	(SELECT sum(amount) FROM sums WHERE model = mo.model AND reason LIKE 'in %'),
	(xpath('/row/x/text()', query_to_xml(format('SELECT revenue AS x FROM %I.overview', mo.model), false, true, '')))[1]::text::numeric,
	'and their money is the revenue: ' || mo.model)
FROM rfm.models mo WHERE mo.model LIKE 'random%';
-- each reason, written down once more
CREATE VIEW random.valid AS SELECT *, ordered_at AT TIME ZONE 'Asia/Tokyo' AS at, round(amount, 4) >= 0 AS purchase,
	ordered_at < '2024-01-10 12:00' AS valid, ordered_at >= '2023-10-10 12:00' AS inside FROM random.lines
	WHERE customer_id IS NOT NULL AND order_id IS NOT NULL AND ordered_at IS NOT NULL AND amount IS NOT NULL
	  AND (status IS NULL OR status NOT IN ('Cancelled', 'Returned'));
SELECT set_eq($$SELECT reason, lines, amount FROM sums WHERE model = 'random_table2' AND reason <> 'reconciled, all lines'$$, $$
	SELECT 'left out, without customer_id' AS reason, count(*)::numeric AS lines, sum(round(amount, 4)) AS amount FROM random.lines WHERE customer_id IS NULL
	UNION ALL SELECT 'left out, without order_id, ordered_at or amount', count(*), sum(round(amount, 4)) FROM random.lines
		WHERE customer_id IS NOT NULL AND num_nulls(order_id, ordered_at, amount) > 0
	UNION ALL SELECT format('left out, status %L', status), count(*), sum(round(amount, 4)) FROM random.lines
		WHERE num_nulls(customer_id, order_id, ordered_at, amount) = 0 AND status IN ('Cancelled', 'Returned') GROUP BY status
	UNION ALL SELECT 'left out, at or after as_of', count(*), sum(round(amount, 4)) FROM random.valid WHERE NOT valid
	UNION ALL SELECT 'left out, before the window', count(*), sum(round(amount, 4)) FROM random.valid WHERE valid AND NOT inside
	UNION ALL SELECT 'in the segments', count(*), sum(round(amount, 4)) FROM random.valid WHERE valid AND inside AND purchase
	UNION ALL SELECT CASE WHEN EXISTS (SELECT FROM random.valid p WHERE p.customer_id = v.customer_id AND p.purchase AND p.valid AND p.inside) THEN 'in their revenue only, refunds'
	                      WHEN EXISTS (SELECT FROM random.valid p WHERE p.customer_id = v.customer_id AND p.purchase AND p.valid) THEN 'left out, no purchase in the window'
	                      ELSE 'left out, customers with refunds only' END, count(*), sum(round(amount, 4))
		FROM random.valid v WHERE valid AND inside AND NOT purchase GROUP BY 1$$, 'each reason is what it says');
SELECT ok(count(*) >= 9, 'and all of them occur') FROM sums WHERE model = 'random_table2';

-- lines that were voided: from then on they do not count, until then they did, whatever their status says
CREATE TABLE voided_lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric, status text, voided_at timestamp);
INSERT INTO voided_lines VALUES (1, 1, '2024-01-01Z', 1, 'Complete', NULL), (1, 2, '2024-01-01Z', 2, 'Complete', '2024-01-09'),
	(1, 3, '2024-01-01Z', 4, 'Complete', '2024-01-10'), (2, 4, '2024-01-01Z', 8, 'Returned', '2024-01-10'), (2, 5, '2024-01-01Z', 16, 'Returned', NULL),
	(2, 6, '2024-01-01Z', 32, 'Returned', '2024-01-09 23:59:59'), (NULL, 7, '2024-01-01Z', 64, 'Returned', '2024-01-09');
CREATE FUNCTION reconciled(settings rfm.settings) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN EXECUTE rfm.reconciliation_query(settings) USING timestamptz '2024-01-10Z', timestamptz '-infinity', now() LOOP
		RETURN NEXT r.reason || ': ' || r.amount;
	END LOOP;
END $$;
SELECT results_eq($$SELECT * FROM reconciled((SELECT rfm.resolve_settings(jsonb_populate_record(NULL::rfm.settings, '{"order_lines": "public.voided_lines"}'))))$$,
	$$VALUES ('12: 13.0000'), ('5: 16.0000'), ('4: 34.0000'), ('2: 64.0000')$$, 'voided lines');
SELECT count(*) > 0 AS reads_voided FROM pg_proc WHERE pronamespace = 'rfm'::regnamespace AND prosrc LIKE '%voided_at%' AND proname IN ('valid_lines_query', 'counted_sql') \gset
\if :reads_voided
SELECT rfm.create_model('voided_' || storage, 'voided_lines', as_of => '2024-01-10', storage => storage) FROM unnest('{table,materialized,view}'::text[]) storage;
SELECT is_empty(format('SELECT * FROM rfm.check_model(%L) WHERE severity = ''error''', model), 'the model agrees: ' || model)
FROM rfm.models WHERE model LIKE 'voided%';
\endif

-- what is planted is found

SELECT finds('no order_id', 'live', ARRAY['warning: left out, without order_id, ordered_at or amount: lines 2, orders 0, customers 0, amount 8 [2, customer_id 3]'],
	$$INSERT INTO lines VALUES (3, NULL, '2024-01-02Z', 4, NULL, 1), (3, NULL, '2024-01-02Z', 4, NULL, 1)$$);
SELECT finds('refunds only', 'live', ARRAY['warning: left out, customers with refunds only: lines 3, orders 2, customers 2, amount -7 [3, customer_id 42]'],
	$$INSERT INTO lines VALUES (42, 'a', '2024-01-02Z', -4, NULL, 1), (43, 'b', '2024-01-02Z', -1, NULL, 1), (43, 'b', '2024-01-02Z', -2, NULL, 1)$$);
SELECT finds('lines in the future', 'live', ARRAY['warning: left out, in the future: lines 1, orders 1, customers 0, amount 4 [1, order_id f]'],
	$$INSERT INTO lines VALUES (3, 'f', now() + interval '1 minute', 4, NULL, 1)$$);
SELECT finds('duplicate accounts', 'live', ARRAY['warning: customer_id occurs several times in public.accounts [2, customer_id 1]'],
	$$INSERT INTO accounts VALUES (1, 'a'), (1, 'b'), (3, 'web')$$);
SELECT finds('duplicate products', 'live', ARRAY['warning: product_id occurs several times in public.products [1, product_id 4]'], $$INSERT INTO products VALUES (4, 'x')$$);
SELECT finds('unknown customers', 'live', ARRAY['warning: customer_id of the lines is not in public.accounts [2, customer_id 2]'], 'DELETE FROM accounts WHERE customer_id IN (2, 20)');
SELECT finds('unknown products', 'live', ARRAY['warning: product_id of the lines is not in public.products [1, product_id 3]'], 'DELETE FROM products WHERE product_id = 3');
SELECT finds('orders of two customers', 'live', ARRAY['warning: orders of several customers [1, order_id two]'],
	$$INSERT INTO lines VALUES (1, 'two', '2024-01-02Z', 4, NULL, 1), (2, 'two', '2024-01-02Z', 4, NULL, 1), (2, 'two', '2024-01-02Z', 4, NULL, 1), (NULL, 'one', '2024-01-02Z', 4, NULL, 1), (5, 'one', '2024-01-02Z', 4, NULL, 1)$$);
SELECT finds('amounts that are none', 'm', ARRAY[
	'error: amount not finite or out of range, or ordered_at infinite: lines 4, orders 4, customers 1, amount 1 [4, order_id n1]'],
	$$INSERT INTO lines VALUES (42, 'n1', '2024-01-02Z', 'NaN', NULL, 1), (1, 'n2', '2024-01-02Z', '-Infinity', NULL, 1), (1, 'n3', '2024-01-02Z', 1e300, NULL, 1), (1, 'n4', '-infinity', 1, NULL, 1)$$);
SELECT finds('in a live model, too', 'live', ARRAY['error: amount not finite or out of range, or ordered_at infinite: lines 1, orders 1, customers 0, amount 0 [1, order_id n]'],
	$$INSERT INTO lines VALUES (1, 'n', '2024-01-02Z', 'NaN', NULL, 1)$$);
SELECT finds('no customers', 'live', ARRAY['warning: no customer has a purchase in the window [0, ]'], $$UPDATE lines SET status = 'Returned' WHERE status <> 'Cancelled'$$);
SELECT finds('in lines that do not count they do not matter', 'live', '{}', $$INSERT INTO lines VALUES (1, 'n', '2024-01-02Z', 'NaN', 'Returned', 1)$$);

SELECT finds('statuses that no line has', 'live', ARRAY['note: excluded statuses that no line has: ''Returned'' [1, Returned]'],
	$$UPDATE lines SET status = 'Cancelled' WHERE status = 'Returned'$$);
SELECT finds('none of them', 'live', ARRAY['warning: excluded statuses that no line has: ''Cancelled'', ''Returned'' [2, Cancelled]', 'note: recency scores that no customer has [3, score 1]'],
	$$UPDATE lines SET status = 'Complete' WHERE status IN ('Cancelled', 'Returned')$$);
SELECT finds('statuses that differ in case, treated otherwise', 'live',
	ARRAY['warning: statuses that differ in case or blanks only: '' cancelled'' (counted, lines 1), ''Cancelled'' (excluded, lines 36) [37,  cancelled]'],
	$$INSERT INTO lines VALUES (1, 'x', '2024-01-02Z', 1, ' cancelled', 1)$$);
SELECT finds('treated alike', 'live',
	ARRAY['note: statuses that differ in case or blanks only: ''Open'' (counted, lines 2), ''open'' (counted, lines 1) [3, Open]'],
	$$INSERT INTO lines VALUES (1, 'x', '2024-01-02Z', 1, 'open', 1), (1, 'x', '2024-01-02Z', 1, 'Open', 1), (1, 'x', '2024-01-02Z', 1, 'Open', 1)$$);

SELECT finds('equal cut points', 'm', ARRAY['warning: cut points of monetary that are equal [3, cut point 7]', 'warning: all customers have one monetary score [4, score 1]'],
	$$UPDATE lines SET amount = CASE WHEN order_id = 'o' || customer_id || '-0' AND ctid = (SELECT min(ctid) FROM lines l WHERE l.customer_id = lines.customer_id AND l.order_id = lines.order_id AND coalesce(l.status, '') NOT IN ('Cancelled', 'Returned')) THEN 7 ELSE 0 END$$,
	$$CALL rfm.refresh('m')$$);
SELECT finds('levels without customers', 'live', ARRAY['note: monetary scores that no customer has [1, score 3]'],
	$$SELECT rfm.configure_model('live', monetary_cutoffs => '{400,1e9}')$$, $$CALL rfm.refresh('live')$$);
SELECT finds('days from the newest purchase to as_of', 'm', ARRAY['warning: days from the newest purchase to as_of: by then everyone hibernates [92, ]', 'note: recency scores that no customer has [3, score 1]'],
	$$DELETE FROM lines WHERE ordered_at > '2023-10-01Z'$$, $$UPDATE lines SET ordered_at = '2023-10-15Z' WHERE ordered_at = (SELECT max(ordered_at) FROM lines)$$, $$CALL rfm.refresh('m')$$);

-- what is stored, and what has changed since
SELECT finds('changed lines', model, ARRAY[format(
	'warning: customers whose lines have changed since the last refresh; the snapshot shows: lines %s, orders %s, customers %s, amount %s [2, customer_id 42]', lines, orders, customers, amount)],
	$$INSERT INTO lines VALUES (42, 'a', '2024-01-02Z', 4, NULL, 1)$$, $$UPDATE lines SET amount = amount + 1 WHERE customer_id = 7 AND status = 'Complete'$$)
FROM (VALUES ('m'), ('mat')) v(model), (SELECT sum(lines) AS lines, sum(orders) AS orders, count(*) AS customers, trim_scale(sum(revenue)) AS amount FROM m.customers) s;
SELECT finds('changes that cancel out', 'm', ARRAY[(SELECT format(
	'warning: customers whose lines have changed since the last refresh; the snapshot shows: lines %s, orders %s, customers %s, amount %s [2, customer_id 7]',
	sum(lines), sum(orders), count(*), trim_scale(sum(revenue))) FROM m.customers)],
	$$UPDATE lines SET amount = amount + 1 WHERE ctid = (SELECT min(ctid) FROM lines WHERE customer_id = 7 AND status = 'Complete')$$,
	$$UPDATE lines SET amount = amount - 1 WHERE ctid = (SELECT min(ctid) FROM lines WHERE customer_id = 9 AND status = 'Complete')$$);
SELECT finds('after a refresh they are in', 'm', '{}', $$UPDATE lines SET amount = amount + 1 WHERE customer_id = 7$$, $$CALL rfm.refresh('m')$$);
SELECT finds('settings not yet in force', model, ARRAY['note: changed settings, or contract relations, are not yet in force [1, ]'],
	format($$SELECT rfm.configure_model(%L, lookback => '1 year')$$, model)) FROM (VALUES ('m'), ('mat'), ('live')) v(model);
-- a stored row that no line explains is a change, too; a view that miscounts is an error
SELECT finds('a model that miscounts', 'live', ARRAY['error: the model does not reconcile with the lines: lines 0, orders 0, customers 0, amount 40 more than counted here [0, ]'],
	$$CREATE TABLE copy AS TABLE live.customers$$, $$CREATE OR REPLACE VIEW live.customers AS SELECT customer_id, channel, signed_up_at, first_order_at, second_order_at, last_order_at,
	  orders, lines, revenue + 1 AS revenue, average_order_value, first_product_id, first_category, recency_days, r, f, m, rfm_score, segment, segment_rank,
	  sessions_after_purchase, return_sessions, activity_level FROM copy$$);
SELECT finds('a stored model that miscounts', 'm', ARRAY[(SELECT 'error: the model does not reconcile with the lines: lines 0, orders 0, customers 0, amount '
	|| sum(lines) || ' more than counted here [0, ]' FROM m.customers)],
	$$ALTER FUNCTION rfm.profiles_at_query(text, rfm.settings, timestamptz) RENAME TO profiles_at_query_before$$,
	$$CREATE FUNCTION rfm.profiles_at_query(model text, settings rfm.settings, as_of timestamptz) RETURNS text LANGUAGE sql AS $f$
	  SELECT 'SELECT customer_id, first_order_at, second_order_at, last_order_at, orders, lines, revenue + lines AS revenue, first_product_id FROM ('
	         || rfm.profiles_at_query_before(model, settings, as_of) || ') q' $f$ $$);

-- the log
SELECT finds('a refresh that failed', 'm', ARRAY[(SELECT format('error: the last refresh failed [1, refresh_id %s]', max(refresh_id) + 1) FROM m.refresh_log)],
	$$INSERT INTO m.refresh_log (refresh_id, started_at, finished_at, mode, error) OVERRIDING SYSTEM VALUE SELECT max(refresh_id) + 1, now(), now(), 'full', 'out of luck' FROM m.refresh_log$$);
SELECT finds('one that never ended', 'm', ARRAY[(SELECT format('warning: the last refresh never ended [1, refresh_id %s]', max(refresh_id) + 1) FROM m.refresh_log)],
	$$INSERT INTO m.refresh_log (refresh_id, started_at, mode) OVERRIDING SYSTEM VALUE SELECT max(refresh_id) + 1, now(), 'full' FROM m.refresh_log$$);
SELECT finds('one that runs', 'm', ARRAY[(SELECT format('note: a refresh is running [1, refresh_id %s]', max(refresh_id) + 1) FROM m.refresh_log)],
	$$INSERT INTO m.refresh_log (refresh_id, started_at, mode) OVERRIDING SYSTEM VALUE SELECT max(refresh_id) + 1, now(), 'full' FROM m.refresh_log$$,
	$$LOCK TABLE m.settings IN SHARE UPDATE EXCLUSIVE MODE$$);
SELECT finds('one that is overdue', 'm', ARRAY['warning: no refresh for 5.0 hours; usual are 1.0 [5, ' || now() - interval '5 hours' || ']'],
	$$DELETE FROM m.refresh_log$$, $$INSERT INTO m.refresh_log (started_at, finished_at, mode) SELECT t, t, 'full' FROM generate_series(now() - interval '12 hours', now() - interval '5 hours', '1 hour') t$$);
SELECT finds('one that is not', 'm', '{}', $$DELETE FROM m.refresh_log$$,
	$$INSERT INTO m.refresh_log (started_at, finished_at, mode) SELECT t, t, 'full' FROM generate_series(now() - interval '12 hours', now() - interval '2 hours', '1 hour') t$$);
SELECT finds('a snapshot that is old', 'm', ARRAY['warning: the snapshot is days old [3, ' || now() - interval '3 days' || ']'],
	$$UPDATE lines SET ordered_at = ordered_at + (now() - interval '4 days' - (SELECT max(ordered_at) FROM lines))$$,
	$$SELECT rfm.configure_model('m', unset => '{as_of}')$$, $$CALL rfm.refresh('m')$$, $$UPDATE m.profiles SET as_of = now() - interval '3 days' WHERE customer_id IS NULL$$,
	$$UPDATE m.snapshot SET as_of = now() - interval '3 days', as_of_date = as_of_date - 3$$);

-- rules

SELECT is((SELECT array_agg(f) FROM found('check_rules', 'm', $$INSERT INTO m.segment_rules VALUES (70, 'At Risk', 'attention', 3, 3, 1, 2, 1, 5)$$) f WHERE f LIKE 'error%'),
	ARRAY['error: segment ''At Risk'' has several stages: attention, risk [2, rule_order 7]'], 'two stages of one segment');
SELECT finds_rules('a rule that is hidden; it changes nothing that a refresh would bring into force', 'm', ARRAY[
	'warning: rule 70 (At Risk) never fires: rules 7 take all its cells [5, rfm_score 331]',
	'note: rule 70 (At Risk) leaves cells to rule 7 (At Risk), which comes first [5, rfm_score 335]'],
	$$INSERT INTO m.segment_rules VALUES (70, 'At Risk', 'risk', 3, 3, 3, 3, 1, 5)$$);
SELECT finds_rules('a rule outside of the levels', 'm', ARRAY[
	'warning: rule 70 (Beyond) never fires: it lies outside of the 5 recency, 5 frequency and 5 monetary levels [0, ]',
	'warning: segments without a text in action_texts [1, Beyond]', 'note: changed rules, or numbers of levels, are not yet in force [1, ]'],
	$$INSERT INTO m.segment_rules VALUES (70, 'Beyond', 'other', 6, 9, 1, 9, 1, 9)$$);
SELECT finds_rules('rules wait for a refresh: ' || model, model, ARRAY['note: changed rules, or numbers of levels, are not yet in force [1, ]'],
	format($$UPDATE %I.segment_rules SET stage = 'other' WHERE rule_order = 7$$, model)) FROM (VALUES ('m'), ('mat'), ('live')) v(model);
SELECT finds_rules('and no longer after it: ' || model, model, '{}',
	format($$UPDATE %I.segment_rules SET stage = 'other' WHERE rule_order = 7$$, model), format('CALL rfm.refresh(%L)', model)) FROM (VALUES ('m'), ('mat'), ('live')) v(model);
SELECT finds_rules('cells without a rule', 'm', ARRAY['note: changed rules, or numbers of levels, are not yet in force [1, ]', 'note: cells that no rule covers: Others [43, rfm_score 525]'],
	$$DELETE FROM m.segment_rules WHERE rule_order = 7$$);
SELECT finds_rules('segments without a text', 'm', ARRAY['warning: segments without a text in action_texts [2, At Risk]'],
	$$DELETE FROM m.action_texts WHERE segment IN ('At Risk', 'Others')$$);
SELECT ok(count(*) = 1, 'lifecycle with other cut points')
FROM found('check_rules', 'm', $$SELECT rfm.configure_model('m', frequency_cutoffs => '{0,1,2,5}')$$) f WHERE f LIKE 'warning: the lifecycle rules are written for fixed%';
SELECT ok(count(*) = 0, 'unless they were adapted')
FROM found('check_rules', 'm', $$SELECT rfm.configure_model('m', frequency_cutoffs => '{0,1,2,5}')$$, 'DELETE FROM m.segment_rules WHERE rule_order = 8') f WHERE f LIKE 'warning: the lifecycle%';
SELECT ok(count(*) = 1, 'classic without quintiles')
FROM found('check_rules', 'm', $$SELECT rfm.configure_model('m', rules => 'classic')$$) f WHERE f LIKE 'warning: the classic rules are written for quintiles%';

-- a cell is in exactly one of: covered, not covered
SELECT is((SELECT sum(count) FROM rfm.check_rules('m') WHERE finding LIKE 'rules cover%' OR finding LIKE 'cells that no rule%'), 125::numeric, 'every cell is covered or not');

-- who may ask
CREATE ROLE check_stranger;
SET ROLE check_stranger;
SELECT throws_ok($$SELECT * FROM rfm.check_model('m')$$, '42501', 'must be owner of model "m"');
SELECT throws_ok($$SELECT * FROM rfm.check_rules('m')$$, '42501', 'must be owner of model "m"');
RESET ROLE;
DROP ROLE check_stranger;
SELECT throws_ok($$SELECT * FROM rfm.check_model('none')$$, '3F000', 'model "none" does not exist');

SELECT * FROM finish();
