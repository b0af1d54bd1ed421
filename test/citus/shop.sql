-- The rows of the tests with Citus: ties, NULLs, refunds, returned and voided lines, customers with one line, with refunds
-- only, with lines in the future only, accounts twice; no line without customer, which a distributed table cannot hold.
CREATE FUNCTION dice(n int, VARIADIC what text[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || left(md5(array_to_string(what, '/')), 8))::bit(32)::bigint % n)::int
$$;
CREATE TABLE lines AS
    SELECT i AS line, 1 + dice(700, 'customer', i::text) * dice(700, 'again', i::text) / 700 AS user_id, 'o' || dice(2500, 'order', i::text) AS order_id,
           timestamp '2024-01-01' - dice(900, 'day', i::text) * interval '1 day' + dice(20, 'hour', i::text) * interval '1 hour' AS ordered_at,
           ((dice(20000, 'amount', i::text) - 2000) / 100.0)::float8 AS amount,
           (ARRAY['Complete', 'Complete', 'Shipped', 'Returned', NULL])[1 + dice(5, 'status', i::text)] AS status,
           nullif(dice(60, 'product', i::text), 0) AS product_id,
           CASE WHEN dice(9, 'void', i::text) = 0 THEN timestamp '2024-01-01' - dice(300, 'voided', i::text) * interval '1 day' END AS voided_at
    FROM generate_series(1, 5000) i;
INSERT INTO lines SELECT -i, 1000 + i, CASE WHEN i <> 3 THEN 'x' || i END, CASE WHEN i <> 4 THEN timestamp '2023-11-05 12:00' END, CASE i WHEN 1 THEN -5 WHEN 2 THEN 5.00005 WHEN 5 THEN NULL ELSE i END
    FROM generate_series(1, 60) i;
-- orders of several lines, with visits at the time of each
INSERT INTO lines SELECT 20000 + line, user_id, order_id, ordered_at + interval '6 hours', amount + 1, status, product_id + 1, voided_at FROM lines WHERE line > 0 AND line % 3 = 0;
INSERT INTO lines SELECT -100 - i, 1100 + i, 'later', timestamp '2025-01-01', 10 FROM generate_series(1, 3) i;
CREATE TABLE accounts AS
    SELECT i AS id, (ARRAY['web', 'shop', 'Ärger', NULL])[1 + dice(4, 'channel', i::text)] AS channel, date '2021-01-01' + dice(300, 'signed up', i::text) AS signed_up_at,
           (ARRAY['Peru', 'Chad', NULL])[1 + dice(3, 'country', i::text)] AS country, dice(4, 'age', i::text) AS age, dice(5, 'score', i::text) / 3::float8 AS score
    FROM generate_series(1, 900) i;
INSERT INTO accounts SELECT id, 'twin', signed_up_at - 1, country, age, score FROM accounts WHERE id % 7 = 0;
CREATE TABLE products AS
    SELECT i AS product_id, 'category ' || dice(6, 'category', i::text) AS category, 'brand ' || dice(3, 'brand', i::text) AS brand, 'product ' || i AS name,
           CASE WHEN i % 11 > 0 THEN i / 3.0 END AS cost FROM generate_series(1, 57) i;
CREATE TABLE events AS
    SELECT user_id, 's' || dice(2000, 'session', line::text, copy::text) AS session_id, ordered_at + dice(5, 'visit', line::text, copy::text) * interval '12 hours' AS visited_at
    FROM lines, generate_series(1, 2) copy WHERE ordered_at IS NOT NULL;
CREATE VIEW order_lines AS SELECT user_id AS customer_id, order_id, ordered_at, amount, status, product_id FROM lines;
CREATE VIEW below AS SELECT user_id AS who, order_id, ordered_at AS at, amount, status, product_id, voided_at FROM lines WHERE line % 13 > 0;
CREATE VIEW voided_lines AS SELECT who AS customer_id, order_id, at AS ordered_at, amount, product_id, voided_at FROM below;
CREATE VIEW people AS SELECT id AS customer_id, channel, signed_up_at, country, age, score FROM accounts;
CREATE VIEW visits AS SELECT user_id AS customer_id, session_id, visited_at FROM events;

-- texts that differ in their case only, and money without cents
CREATE TABLE text_lines AS
    SELECT (CASE WHEN user_id % 2 = 0 THEN 'c' ELSE 'C' END || user_id / 2)::varchar(20) AS customer_id, line AS order_id, ordered_at::date AS ordered_at, round(amount)::int AS amount,
           'P' || product_id AS product_id FROM lines;
CREATE TABLE text_accounts AS SELECT DISTINCT customer_id, left(customer_id, 1) AS channel FROM text_lines WHERE order_id % 3 > 0;
CREATE TABLE text_products AS SELECT 'P' || i AS product_id, 'category ' || i % 4 AS category FROM generate_series(1, 40) i;
CREATE TABLE uuid_lines AS SELECT md5(user_id::text)::uuid AS customer_id, line::bigint AS order_id, ordered_at AT TIME ZONE 'UTC' AS ordered_at, amount::numeric AS amount FROM lines WHERE line % 3 = 0;
CREATE TABLE no_lines (customer_id bigint, order_id bigint, ordered_at timestamptz, amount numeric);
CREATE TABLE one_line (customer_id bigint, order_id bigint, ordered_at timestamptz, amount numeric);
INSERT INTO one_line VALUES (1, 1, '2023-12-01Z', 10);
-- sums that do not fit in eight bytes
CREATE TABLE huge_lines AS SELECT i % 50 AS customer_id, i AS order_id, timestamptz '2023-12-01Z' AS ordered_at, 900000000000000 - i % 50 AS amount FROM generate_series(1, 500) i;
