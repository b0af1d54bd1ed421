-- The segments straight from the order lines: one pass over them, then over the customers, then over the cells of scores.
-- Orders are told apart by grouping twice, which needs no sort; money is summed as whole numbers of 1/10000.
WITH orders AS (
    SELECT user_id, order_id, sum(round(sale_price * 10000)::BIGINT)::BIGINT AS amount, max(created_at) AS last_at
    FROM order_items
    WHERE status NOT IN ('Cancelled', 'Returned') AND created_at < '2024-01-21' AND user_id IS NOT NULL
    GROUP BY user_id, order_id),
customers AS MATERIALIZED (
    SELECT count(*) AS orders, sum(amount)::BIGINT AS amount, date '2024-01-21' - max(last_at)::date AS days
    FROM orders GROUP BY user_id),
cuts AS (
    SELECT cut[1] AS c1, cut[2] AS c2, cut[3] AS c3, cut[4] AS c4
    FROM (SELECT quantile_cont(amount::DOUBLE, [0.25, 0.5, 0.75, 0.95]) AS cut FROM customers) p),
cells AS (
    SELECT CASE WHEN days <= 90 THEN 5 WHEN days <= 180 THEN 4 WHEN days <= 365 THEN 3 WHEN days <= 545 THEN 2 ELSE 1 END AS r,
           CASE WHEN orders >= 3 THEN 5 WHEN orders = 2 THEN 4 ELSE 3 END AS f,
           CASE WHEN amount < c1 THEN 1 WHEN amount < c2 THEN 2 WHEN amount < c3 THEN 3 WHEN amount < c4 THEN 4 ELSE 5 END AS m,
           count(*) AS n, sum(amount) AS amount, sum(days) AS days, sum(orders) AS orders
    FROM customers, cuts GROUP BY 1, 2, 3),
list(segment, segment_rank, stage) AS (VALUES
    ('VIP Champions', 1, 'vip'), ('Loyal High Value', 2, 'loyal'), ('Loyal Low Value', 3, 'loyal'), ('Promising High Value', 4, 'promising'),
    ('Promising Low Value', 5, 'promising'), ('Need Attention', 6, 'attention'), ('At Risk', 7, 'risk'), ('Hibernating', 8, 'risk'), ('Others', 9, 'other')),
grouped AS (
    SELECT CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 1 WHEN r >= 3 AND f >= 4 AND m >= 3 THEN 2 WHEN r >= 3 AND f >= 4 THEN 3
                WHEN r >= 4 AND f = 3 AND m >= 3 THEN 4 WHEN r >= 4 AND f = 3 THEN 5 WHEN r <= 2 AND f >= 4 AND m >= 3 THEN 6
                WHEN r = 3 AND f = 3 THEN 7 WHEN r <= 2 AND f = 3 THEN 8 ELSE 9 END AS segment_rank,
           sum(n) AS customers, sum(amount) * 0.0001 AS revenue, sum(days) AS days, sum(orders) AS orders,
           sum(r * n) AS r, sum(f * n) AS f, sum(m * n) AS m
    FROM cells GROUP BY 1)
SELECT l.segment, l.segment_rank, l.stage, coalesce(g.customers, 0) AS customers,
       (coalesce(g.customers, 0) / sum(g.customers) OVER ())::DOUBLE AS customer_share,
       coalesce(g.revenue, 0) AS revenue, (coalesce(g.revenue, 0) / sum(g.revenue) OVER ())::DOUBLE AS revenue_share,
       g.revenue / g.customers AS average_revenue, g.days / g.customers AS average_recency_days, g.orders / g.customers AS average_orders,
       g.r / g.customers AS average_r, g.f / g.customers AS average_f, g.m / g.customers AS average_m
FROM list l LEFT JOIN grouped g USING (segment_rank);
