-- An incremental refresh, one kind of change after the other: what it computes is what a full rebuild computes, and
-- the history tells what was true before it. test/shell/incremental.sh does the same at random.
\set ON_ERROR_STOP on
SET client_min_messages = error;
\set churn :source/test/shell/include/churn.sql
\o /dev/null
\i :churn
SELECT setseed(0.5);
TRUNCATE items, events;
INSERT INTO items (order_id, user_id, product_id, status, created_at, price)
SELECT i, i % 60 + 1, i % 25 + 1, CASE i % 9 WHEN 0 THEN 'Cancelled' WHEN 1 THEN 'Returned' ELSE 'Complete' END, now() - i * interval '1 day', i FROM generate_series(1, 300) i;
SELECT make_shop($$lookback => '1 year'$$);
CALL rfm.refresh('shop');
\o

-- How the next refresh goes: its mode, and what of it a full rebuild computes otherwise.
CREATE FUNCTION pg_temp.goes() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	CALL rfm.refresh('shop');
	SELECT mode INTO result FROM shop.refresh_log ORDER BY refresh_id DESC LIMIT 1;
	CREATE TEMP TABLE incremental AS SELECT * FROM everything('shop');
	CALL rfm.refresh('shop', full_rebuild => true);
	SELECT concat_ws('; ', result, string_agg(d.relation || ' ' || d.line, '; ')) INTO result FROM (
		(TABLE incremental EXCEPT ALL SELECT * FROM everything('shop')) LIMIT 3) d;
	DROP TABLE incremental;
	RETURN result;
END $$;

SELECT plan(26);
SELECT is(pg_temp.goes(), 'incremental', 'nothing changed');
INSERT INTO items (order_id, user_id, product_id, created_at, price) VALUES (1001, 1, 1, now(), 5), (1002, 901, 2, now(), 7);
SELECT is(pg_temp.goes(), 'incremental', 'a line more, and a new customer');
UPDATE items SET user_id = 3 WHERE user_id = 2;
SELECT is(pg_temp.goes(), 'incremental', 'lines that change from one customer to another');
UPDATE items SET user_id = NULL WHERE user_id = 4;
SELECT is(pg_temp.goes(), 'incremental', 'lines that lose their customer');
UPDATE items SET price = price + 1, order_id = NULL WHERE user_id IS NULL;
SELECT is(pg_temp.goes(), 'incremental', 'lines without customer that change');
UPDATE items SET user_id = 4 WHERE user_id IS NULL;
SELECT is(pg_temp.goes(), 'incremental', 'lines that get a customer');
UPDATE items SET status = 'Cancelled' WHERE user_id = 5;
SELECT is(pg_temp.goes(), 'incremental', 'lines that are cancelled');
DELETE FROM items WHERE user_id IN (6, 901);
SELECT is(pg_temp.goes(), 'incremental', 'customers without lines, with account and without');

INSERT INTO users VALUES (902, 'Email', now() - interval '1 day', 'A');
SELECT is(pg_temp.goes(), 'incremental', 'an account of somebody who never ordered');
DELETE FROM users WHERE id IN (902, 7);
SELECT is(pg_temp.goes(), 'incremental', 'accounts that go');
UPDATE users SET id = 903, country = 'Z' WHERE id = 8;
SELECT is(pg_temp.goes(), 'incremental', 'an account that changes its customer');
INSERT INTO events VALUES (9, 'a', now() - interval '1 hour'), (9, 'b', now()), (NULL, 'c', now());
SELECT is(pg_temp.goes(), 'incremental', 'visits');
DELETE FROM events;
SELECT is(pg_temp.goes(), 'incremental', 'visits that are deleted');

-- the clock alone, each for a customer of his own
BEGIN;
INSERT INTO items (order_id, user_id, product_id, created_at, price) VALUES (1010, 10, 1, now() + interval '2 seconds', 5);
INSERT INTO items (order_id, user_id, product_id, created_at, price) VALUES (1011, NULL, 1, now() + interval '2 seconds', 5);
UPDATE items SET voided_at = now() + interval '2 seconds' WHERE user_id = 11;
INSERT INTO events VALUES (12, 'd', now() + interval '2 seconds');
INSERT INTO items (order_id, user_id, product_id, created_at, price) VALUES (1013, 13, 1, now() - interval '1 year' + interval '2 seconds', 5);
COMMIT;
SELECT is(pg_temp.goes(), 'incremental', 'lines and visits to come');
CREATE TABLE before AS SELECT customer_id, to_jsonb(p) - 'next_change_at' - 'window_line_at' - 'segment_since' AS profile FROM shop.profiles p;
SELECT pg_sleep(2.5) \g /dev/null
CALL rfm.refresh('shop');
SELECT is((SELECT array_agg(b.customer_id ORDER BY b.customer_id) FROM before b LEFT JOIN shop.profiles p USING (customer_id)
	WHERE b.customer_id > 0 AND to_jsonb(p) - 'next_change_at' - 'window_line_at' - 'segment_since' IS DISTINCT FROM b.profile), '{10,11,12,13}', 'they have come: a line, a void, a visit, the end of the window');
SELECT is((SELECT reason FROM shop.refresh_log ORDER BY refresh_id DESC LIMIT 1), 'customers that changed or came due: 4', 'nobody else was looked at');
SELECT is(pg_temp.goes(), 'incremental', 'and it is right');
DROP TABLE before;

-- history: the cut points move, and with them the segments of customers who did nothing
CREATE TABLE customers_before AS SELECT * FROM shop.customers;
UPDATE items SET price = price * 50 WHERE user_id BETWEEN 20 AND 40;
CALL rfm.refresh('shop');
SELECT cmp_ok((SELECT count(*) FROM shop.customers c JOIN customers_before b USING (customer_id) WHERE c.segment <> b.segment AND c.customer_id NOT BETWEEN 20 AND 40),
	'>', 0::bigint, 'segments of customers who did nothing change, too');
SELECT set_eq(
	'SELECT customer_id, segment, r, f, m, recency_days, orders, revenue FROM shop.segment_history WHERE valid_to = (SELECT as_of FROM shop.snapshot)',
	'SELECT b.customer_id, b.segment, b.r, b.f, b.m, b.recency_days, b.orders, b.revenue FROM customers_before b LEFT JOIN shop.customers c USING (customer_id)
	 WHERE b.segment IS DISTINCT FROM c.segment', 'the history holds what was shown before');
SELECT set_eq(
	'SELECT customer_id, segment FROM shop.segment_history WHERE valid_to IS NULL', 'SELECT customer_id, segment FROM shop.customers',
	'and what is shown now');

-- who has no line left leaves the history; who has only cancelled ones ends in it
SELECT min(customer_id) AS erased, max(customer_id) AS cancelled FROM shop.segment_history
WHERE valid_to IS NOT NULL AND customer_id IN (SELECT customer_id FROM shop.customers) \gset
DELETE FROM items WHERE user_id = :erased;
UPDATE items SET status = 'Cancelled', voided_at = NULL WHERE user_id = :cancelled;
CALL rfm.refresh('shop');
SELECT is((SELECT count(*) FROM shop.segment_history WHERE customer_id = :erased), 0::bigint, 'a customer without lines leaves the history');
SELECT ok((SELECT count(*) >= 2 AND bool_and(valid_to IS NOT NULL) FROM shop.segment_history WHERE customer_id = :cancelled),
	'one with cancelled lines only ends in it');

-- what means a full rebuild
UPDATE products SET cost = 1 WHERE id = 1;
SELECT is(pg_temp.goes(), 'full', 'products');
TRUNCATE events;
SELECT is(pg_temp.goes(), 'full', 'TRUNCATE');
CREATE OR REPLACE VIEW lines AS SELECT user_id AS customer_id, order_id, created_at AS ordered_at, price * 2 AS amount, status, product_id, voided_at FROM items;
SELECT is(pg_temp.goes(), 'full', 'another view');
UPDATE shop.last_build SET as_of = as_of + interval '1 hour';
SELECT is(pg_temp.goes(), 'full', 'a clock that went backward');
SELECT * FROM finish();
