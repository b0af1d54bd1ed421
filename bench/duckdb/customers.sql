-- The customers with everything, stored.  The steps on the way are temporary.

-- name: margin
-- What is of all lines together.
CREATE TEMP TABLE margin AS
SELECT sum(amount) FILTER (WHERE user_id IS NULL) AS unassigned, sum(amount) FILTER (WHERE user_id IS NOT NULL AND cost IS NOT NULL) AS amount,
       sum(round(cost * 10000)::BIGINT) FILTER (WHERE user_id IS NOT NULL) AS cost
FROM (SELECT l.user_id, round(l.sale_price * 10000)::BIGINT AS amount, p.cost
      FROM order_items l LEFT JOIN products p ON p.id = l.product_id
      WHERE l.status NOT IN ('Cancelled', 'Returned') AND l.created_at < '2024-01-21') x;

-- name: buyers
-- The greatest line of an order and its product are one number: prices are far below 400,000.
CREATE TEMP TABLE buyers AS
WITH lines AS (
    SELECT user_id, order_id, product_id, created_at, round(sale_price * 10000)::BIGINT AS amount
    FROM order_items WHERE status NOT IN ('Cancelled', 'Returned') AND created_at < '2024-01-21' AND user_id IS NOT NULL),
orders AS (
    SELECT user_id, order_id, min(created_at) AS first_at, max(created_at) AS last_at, count(*) AS lines, sum(amount)::BIGINT AS amount,
           max(amount * 2147483648 + (2147483647 - product_id)) AS greatest
    FROM lines GROUP BY user_id, order_id),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY first_at, order_id) AS n FROM orders)
SELECT user_id, count(*) AS orders, sum(lines)::BIGINT AS lines, sum(amount)::BIGINT AS amount,
       min(first_at) AS first_order_at, max(last_at) FILTER (WHERE n = 1) AS first_order_until,
       min(first_at) FILTER (WHERE n = 2) AS second_order_at, max(last_at) AS last_order_at,
       max(amount) FILTER (WHERE n = 1) AS first_order_amount,
       2147483647 - max(greatest) FILTER (WHERE n = 1) % 2147483648 AS first_product_id
FROM numbered GROUP BY user_id;

-- name: sessions
-- A session was after a moment when its last visit was.
CREATE TEMP TABLE sessions AS
SELECT user_id, count(*) AS sessions_after_purchase, count(*) FILTER (WHERE last_at > first_order_until) AS return_sessions
FROM (SELECT e.user_id, max(e.created_at) AS last_at, b.first_order_until
      FROM events e JOIN buyers b ON b.user_id = e.user_id
      WHERE e.created_at > b.first_order_at AND e.created_at < '2024-01-21'
      GROUP BY e.user_id, e.session_id, b.first_order_until) s
GROUP BY user_id;

-- name: customers
CREATE TABLE customers AS
WITH cuts AS (
    SELECT cut[1] AS c1, cut[2] AS c2, cut[3] AS c3, cut[4] AS c4
    FROM (SELECT quantile_cont(amount::DOUBLE, [0.25, 0.5, 0.75, 0.95]) AS cut
          FROM buyers) p),
scored AS (
    SELECT b.*, date '2024-01-21' - b.last_order_at::date AS recency_days,
           CASE WHEN b.last_order_at >= date '2024-01-21' - 90 THEN 5 WHEN b.last_order_at >= date '2024-01-21' - 180 THEN 4
                WHEN b.last_order_at >= date '2024-01-21' - 365 THEN 3 WHEN b.last_order_at >= date '2024-01-21' - 545 THEN 2 ELSE 1 END AS r,
           CASE WHEN b.orders >= 3 THEN 5 WHEN b.orders = 2 THEN 4 ELSE 3 END AS f,
           CASE WHEN b.amount < c1 THEN 1 WHEN b.amount < c2 THEN 2 WHEN b.amount < c3 THEN 3 WHEN b.amount < c4 THEN 4 ELSE 5 END AS m
    FROM buyers b, cuts),
ranked AS (
    SELECT *, CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 1 WHEN r >= 3 AND f >= 4 AND m >= 3 THEN 2 WHEN r >= 3 AND f >= 4 THEN 3
                   WHEN r >= 4 AND f = 3 AND m >= 3 THEN 4 WHEN r >= 4 AND f = 3 THEN 5 WHEN r <= 2 AND f >= 4 AND m >= 3 THEN 6
                   WHEN r = 3 AND f = 3 THEN 7 WHEN r <= 2 AND f = 3 THEN 8 ELSE 9 END AS segment_rank
    FROM scored)
SELECT c.user_id AS customer_id, u.traffic_source AS channel, u.created_at AS signed_up_at, u.id IS NOT NULL AS has_account,
       c.first_order_at, c.first_order_until, c.second_order_at, c.last_order_at, c.orders, c.lines, (c.amount * 0.0001)::DECIMAL(18,4) AS revenue,
       (c.amount * 0.0001)::DECIMAL(18,4) / c.orders AS average_order_value, (c.first_order_amount * 0.0001)::DECIMAL(18,4) AS first_order_revenue,
       c.first_product_id, p.category AS first_category, p.brand AS first_brand, p.name AS first_product, c.recency_days,
       c.r::SMALLINT AS r, c.f::SMALLINT AS f, c.m::SMALLINT AS m, (c.r * 100 + c.f * 10 + c.m)::SMALLINT AS rfm_score,
       ['VIP Champions', 'Loyal High Value', 'Loyal Low Value', 'Promising High Value', 'Promising Low Value', 'Need Attention', 'At Risk', 'Hibernating', 'Others'][c.segment_rank] AS segment,
       c.segment_rank::SMALLINT AS segment_rank, ['vip', 'loyal', 'loyal', 'promising', 'promising', 'attention', 'risk', 'risk', 'other'][c.segment_rank] AS stage,
       coalesce(s.sessions_after_purchase, 0) AS sessions_after_purchase, coalesce(s.return_sessions, 0) AS return_sessions,
       CASE WHEN coalesce(s.return_sessions, 0) <= 1 THEN coalesce(s.return_sessions, 0)::text WHEN s.return_sessions <= 3 THEN '2-3'
            WHEN s.return_sessions <= 5 THEN '4-5' ELSE '6+' END AS activity_level,
       u.country, u.gender
FROM ranked c
LEFT JOIN users u ON u.id = c.user_id
LEFT JOIN products p ON p.id = c.first_product_id
LEFT JOIN sessions s ON s.user_id = c.user_id;
