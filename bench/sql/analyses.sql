-- Every analysis from the stored customers.  The cohorts read the lines, too.  Left out, in favour of these queries: the texts
-- of action_plan, Student's bounds in gateway_products.

-- name: overview
WITH c AS (
    SELECT count(*) AS customers, count(*) FILTER (WHERE has_account) AS with_account, sum(orders)::bigint AS orders, sum(revenue) AS revenue,
           count(*) FILTER (WHERE orders >= 2) AS repurchased, count(*) FILTER (WHERE stage = 'vip') AS vips,
           count(*) FILTER (WHERE stage = 'risk') AS at_risk, sum(revenue) FILTER (WHERE stage = 'risk') AS revenue_at_risk
    FROM customers),
u AS (SELECT count(*) AS registered FROM users)
SELECT timestamptz '2024-01-21 00:00+00' AS as_of, u.registered, c.customers, u.registered - c.with_account AS prospects, c.orders, c.revenue,
       coalesce(m.unassigned, 0) * 0.0001 AS unassigned_revenue,
       c.revenue / c.customers AS average_revenue, c.orders::numeric / c.customers AS average_orders,
       c.repurchased::float8 / c.customers AS repurchase_rate, c.vips::float8 / c.customers AS vip_share,
       c.at_risk::float8 / c.customers AS churn_risk_share, (c.revenue_at_risk / c.revenue)::float8 AS churn_risk_revenue_share,
       ((SELECT sum(revenue) FROM (SELECT revenue FROM customers ORDER BY revenue DESC LIMIT (SELECT (count(*) + 4) / 5 FROM customers)) t)
        / c.revenue)::float8 AS top20_revenue_share,
       ((m.amount - m.cost) / m.amount)::float8 AS margin_rate
FROM c, u, margin m;

-- name: segments
WITH list(segment, segment_rank, stage) AS (VALUES
    ('VIP Champions', 1, 'vip'), ('Loyal High Value', 2, 'loyal'), ('Loyal Low Value', 3, 'loyal'), ('Promising High Value', 4, 'promising'),
    ('Promising Low Value', 5, 'promising'), ('Need Attention', 6, 'attention'), ('At Risk', 7, 'risk'), ('Hibernating', 8, 'risk'), ('Others', 9, 'other')),
grouped AS (
    SELECT segment_rank, count(*) AS customers, sum(revenue) AS revenue, avg(recency_days) AS average_recency_days, avg(orders) AS average_orders,
           avg(r) AS average_r, avg(f) AS average_f, avg(m) AS average_m
    FROM customers GROUP BY segment_rank)
SELECT l.segment, l.segment_rank, l.stage, coalesce(g.customers, 0) AS customers,
       (coalesce(g.customers, 0) / sum(g.customers) OVER ())::float8 AS customer_share,
       coalesce(g.revenue, 0) AS revenue, (coalesce(g.revenue, 0) / sum(g.revenue) OVER ())::float8 AS revenue_share,
       g.revenue / g.customers AS average_revenue, g.average_recency_days, g.average_orders, g.average_r, g.average_f, g.average_m
FROM list l LEFT JOIN grouped g USING (segment_rank);

-- name: churn_risk
WITH list(segment, segment_rank, risk_group) AS (VALUES
    ('VIP Champions', 1, 'growth'), ('Loyal High Value', 2, 'growth'), ('Loyal Low Value', 3, 'growth'), ('Promising High Value', 4, 'growth'),
    ('Promising Low Value', 5, 'growth'), ('Need Attention', 6, 'attention'), ('At Risk', 7, 'churn risk'), ('Hibernating', 8, 'churn risk'), ('Others', 9, 'other')),
grouped AS (SELECT segment_rank, count(*) AS customers, sum(revenue) AS revenue FROM customers GROUP BY segment_rank)
SELECT l.segment, l.segment_rank, l.risk_group, coalesce(g.customers, 0) AS customers,
       (coalesce(g.customers, 0) / sum(g.customers) OVER ())::float8 AS customer_share,
       coalesce(g.revenue, 0) AS revenue, (coalesce(g.revenue, 0) / sum(g.revenue) OVER ())::float8 AS revenue_share
FROM list l LEFT JOIN grouped g USING (segment_rank);

-- name: action_plan
WITH list(segment, segment_rank, stage) AS (VALUES
    ('VIP Champions', 1, 'vip'), ('Loyal High Value', 2, 'loyal'), ('Loyal Low Value', 3, 'loyal'), ('Promising High Value', 4, 'promising'),
    ('Promising Low Value', 5, 'promising'), ('Need Attention', 6, 'attention'), ('At Risk', 7, 'risk'), ('Hibernating', 8, 'risk'), ('Others', 9, 'other')),
grouped AS (SELECT segment_rank, count(*) AS customers, sum(revenue) AS revenue FROM customers GROUP BY segment_rank)
SELECT l.segment, l.segment_rank, l.stage, coalesce(g.customers, 0) AS customers, coalesce(g.revenue, 0) AS revenue
FROM list l LEFT JOIN grouped g USING (segment_rank);

-- name: segment_breakdown
WITH grouped AS (
    SELECT segment, segment_rank, CASE WHEN GROUPING(channel) = 0 THEN 'channel' WHEN GROUPING(first_category) = 0 THEN 'first_category'
                                       WHEN GROUPING(country) = 0 THEN 'country' ELSE 'gender' END AS dimension,
           CASE WHEN GROUPING(channel) = 0 THEN channel WHEN GROUPING(first_category) = 0 THEN first_category
                WHEN GROUPING(country) = 0 THEN country ELSE gender END AS value,
           count(*) AS customers, sum(revenue) AS revenue
    FROM customers
    GROUP BY GROUPING SETS ((segment, segment_rank, channel), (segment, segment_rank, first_category), (segment, segment_rank, country), (segment, segment_rank, gender)))
SELECT segment, segment_rank, dimension, value, customers,
       (customers / sum(customers) OVER (PARTITION BY dimension, value))::float8 AS customer_share, revenue, revenue / customers AS average_revenue
FROM grouped;

-- name: score_cells
WITH grouped AS (SELECT rfm_score, count(*) AS customers, sum(revenue) AS revenue FROM customers GROUP BY rfm_score)
SELECT r, f, m, CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'VIP Champions' WHEN r >= 3 AND f >= 4 AND m >= 3 THEN 'Loyal High Value'
                     WHEN r >= 3 AND f >= 4 THEN 'Loyal Low Value' WHEN r >= 4 AND f = 3 AND m >= 3 THEN 'Promising High Value'
                     WHEN r >= 4 AND f = 3 THEN 'Promising Low Value' WHEN r <= 2 AND f >= 4 AND m >= 3 THEN 'Need Attention'
                     WHEN r = 3 AND f = 3 THEN 'At Risk' WHEN r <= 2 AND f <= 3 THEN 'Hibernating' ELSE 'Others' END AS segment,
       coalesce(g.customers, 0) AS customers, coalesce(g.revenue, 0) AS revenue
FROM generate_series(1, 5) a(r) CROSS JOIN generate_series(1, 5) b(f) CROSS JOIN generate_series(1, 5) c(m)
LEFT JOIN grouped g ON g.rfm_score = r * 100 + f * 10 + m;

-- name: pareto
WITH places AS (
    SELECT revenue, row_number() OVER (ORDER BY revenue DESC) AS place, count(*) OVER () AS n FROM customers),
grouped AS (
    SELECT (place - 1) * 100 / n + 1 AS customer_percentile, count(*) AS customers, sum(revenue) AS revenue FROM places GROUP BY 1)
SELECT p AS customer_percentile, coalesce(g.customers, 0) AS customers, coalesce(g.revenue, 0) AS revenue,
       (coalesce(g.revenue, 0) / sum(g.revenue) OVER ())::float8 AS revenue_share,
       (sum(g.revenue) OVER (ORDER BY p) / sum(g.revenue) OVER ())::float8 AS cumulative_revenue_share
FROM generate_series(1, 100) x(p) LEFT JOIN grouped g ON g.customer_percentile = p;

-- name: promising_activity
WITH c AS (
    SELECT segment_rank, activity_level, CASE WHEN sessions_after_purchase <= 1 THEN sessions_after_purchase::text WHEN sessions_after_purchase <= 3 THEN '2-3'
                                              WHEN sessions_after_purchase <= 5 THEN '4-5' ELSE '6+' END AS published_level,
           count(*) AS n, sum(revenue) AS revenue, sum(date '2024-01-21' - first_order_at::date) AS days
    FROM customers WHERE stage = 'promising' GROUP BY 1, 2, 3),
own AS (SELECT segment_rank, activity_level, sum(n) AS customers, sum(revenue) / sum(n) AS average_revenue, sum(days) / sum(n) AS average_days
        FROM c GROUP BY 1, 2),
published AS (SELECT segment_rank, published_level AS activity_level, sum(n) AS customers, sum(revenue) / sum(n) AS average_revenue FROM c GROUP BY 1, 2)
SELECT l.segment, l.segment_rank, a.activity_order, a.activity_level, coalesce(o.customers, 0) AS customers,
       (coalesce(o.customers, 0) / sum(o.customers) OVER (PARTITION BY l.segment_rank))::float8 AS customer_share, o.average_revenue,
       o.average_revenue / first_value(o.average_revenue) OVER (PARTITION BY l.segment_rank ORDER BY a.activity_order) AS revenue_ratio,
       o.average_days AS average_days_since_first_order, coalesce(p.customers, 0) AS published_customers, p.average_revenue AS published_average_revenue
FROM (VALUES ('Promising High Value', 4), ('Promising Low Value', 5)) l(segment, segment_rank)
CROSS JOIN (VALUES (1, '0'), (2, '1'), (3, '2-3'), (4, '4-5'), (5, '6+')) a(activity_order, activity_level)
LEFT JOIN own o ON o.segment_rank = l.segment_rank AND o.activity_level = a.activity_level
LEFT JOIN published p ON p.segment_rank = l.segment_rank AND p.activity_level = a.activity_level;

-- name: gateway_products
-- The names first, brands and products from 30 customers on; then, only for these, the customers of each day.
WITH base AS NOT MATERIALIZED (
    SELECT first_category, first_brand, first_product, stage, revenue, revenue - first_order_revenue AS later,
           coalesce(second_order_at::date, date '2024-01-21') - first_order_at::date AS days, second_order_at
    FROM customers),
names AS MATERIALIZED (
    SELECT 'category' AS level, first_category AS name, count(*) AS customers, count(*) FILTER (WHERE stage = 'vip') AS vips,
           count(*) FILTER (WHERE stage = 'promising') AS promising, sum(revenue) FILTER (WHERE stage = 'vip') AS vip_revenue,
           sum(revenue) AS revenue, sum(later) AS later, max(days) AS watched
    FROM base WHERE first_category IS NOT NULL GROUP BY first_category
    UNION ALL
    SELECT 'brand', first_brand, count(*), count(*) FILTER (WHERE stage = 'vip'), count(*) FILTER (WHERE stage = 'promising'),
           sum(revenue) FILTER (WHERE stage = 'vip'), sum(revenue), sum(later), max(days)
    FROM base WHERE first_brand IS NOT NULL GROUP BY first_brand HAVING count(*) >= 30
    UNION ALL
    SELECT 'product', first_product, count(*), count(*) FILTER (WHERE stage = 'vip'), count(*) FILTER (WHERE stage = 'promising'),
           sum(revenue) FILTER (WHERE stage = 'vip'), sum(revenue), sum(later), max(days)
    FROM base WHERE first_product IS NOT NULL GROUP BY first_product HAVING count(*) >= 30),
cells AS (
    SELECT 'category' AS level, first_category AS name, days, count(*) AS customers, count(second_order_at) AS events
    FROM base WHERE first_category IS NOT NULL GROUP BY first_category, days
    UNION ALL
    SELECT 'brand', first_brand, days, count(*), count(second_order_at)
    FROM base WHERE first_brand IN (SELECT name FROM names WHERE level = 'brand') GROUP BY first_brand, days
    UNION ALL
    SELECT 'product', first_product, days, count(*), count(second_order_at)
    FROM base WHERE first_product IN (SELECT name FROM names WHERE level = 'product') GROUP BY first_product, days),
risk AS (
    SELECT level, name, days, events::float8 AS e, (sum(customers) OVER (PARTITION BY level, name ORDER BY days DESC))::float8 AS n FROM cells),
survival AS (
    SELECT level, name, CASE WHEN bool_or(e = n) THEN 0 ELSE exp(sum(CASE WHEN e < n THEN ln(1 - e / n) END)) END AS s,
           sum(CASE WHEN e < n THEN e / (n * (n - e)) END) AS v
    FROM risk WHERE days <= 365 AND e > 0 GROUP BY level, name),
rates AS (
    SELECT n.*, s.s, s.v, CASE WHEN n.watched >= 365 OR s.s = 0 THEN 1 - coalesce(s.s, 1) END AS rate,
           CASE WHEN s.s > 0 AND s.s < 1 THEN 1.959963984540054 * sqrt(s.v) / abs(ln(s.s)) END AS w,
           vips::float8 AS k, customers::float8 AS c, (vips + promising)::float8 AS a, 1.959963984540054::float8 AS z
    FROM names n LEFT JOIN survival s USING (level, name))
SELECT level, name, customers, vips AS vip_customers, promising AS promising_customers, k / c AS vip_share,
       (2 * k + z * z - z * sqrt(z * z + 4 * k * (1 - k / c))) / (2 * (c + z * z)) AS vip_share_low,
       (2 * k + z * z + z * sqrt(z * z + 4 * k * (1 - k / c))) / (2 * (c + z * z)) AS vip_share_high,
       k / nullif(a, 0) AS maturity_rate,
       (2 * k + z * z - z * sqrt(z * z + 4 * k * (1 - k / nullif(a, 0)))) / (2 * (a + z * z)) AS maturity_rate_low,
       (2 * k + z * z + z * sqrt(z * z + 4 * k * (1 - k / nullif(a, 0)))) / (2 * (a + z * z)) AS maturity_rate_high,
       vip_revenue / nullif(vips, 0) AS average_vip_revenue, revenue / customers AS average_revenue,
       rate AS second_order_365_rate,
       CASE WHEN rate IS NOT NULL THEN 1 - power(s, exp(-w)) END AS second_order_365_rate_low,
       CASE WHEN rate IS NOT NULL THEN 1 - power(s, exp(w)) END AS second_order_365_rate_high,
       later / customers AS revenue_after_first_order
FROM rates;

-- name: channel_maturity
WITH grouped AS (
    SELECT channel, count(*) AS customers, count(*) FILTER (WHERE stage = 'vip') AS vip_customers,
           count(*) FILTER (WHERE segment_rank = 4) AS promising_high, count(*) FILTER (WHERE segment_rank = 5) AS promising_low,
           sum(revenue) FILTER (WHERE stage = 'vip') AS vip_revenue
    FROM customers GROUP BY channel),
active AS (
    SELECT *, vip_customers::float8 AS k, (vip_customers + promising_high + promising_low)::float8 AS a, 1.959963984540054::float8 AS z FROM grouped),
tested AS (
    -- five channels: four degrees of freedom, of which the p-value is exp(-x/2) (1 + x/2)
    SELECT sum((k - a * rate) * (k - a * rate) / (a * rate * (1 - rate))) AS x, min(a * least(rate, 1 - rate)) AS least_expected
    FROM active, (SELECT sum(k) / sum(a) AS rate FROM active) t)
SELECT channel, customers, vip_customers, promising_high, promising_low, vip_customers + promising_high + promising_low AS active_customers,
       k / nullif(a, 0) AS maturity_rate,
       (2 * k + z * z - z * sqrt(z * z + 4 * k * (1 - k / nullif(a, 0)))) / (2 * (a + z * z)) AS maturity_rate_low,
       (2 * k + z * z + z * sqrt(z * z + 4 * k * (1 - k / nullif(a, 0)))) / (2 * (a + z * z)) AS maturity_rate_high,
       vip_revenue / nullif(vip_customers, 0) AS average_vip_revenue,
       CASE WHEN least_expected >= 5 THEN exp(-x / 2) * (1 + x / 2) END AS p_value
FROM active, tested;

-- name: repurchase_timing
WITH grouped AS (
    SELECT segment_rank, CASE WHEN days <= 7 THEN 1 WHEN days <= 14 THEN 2 WHEN days <= 30 THEN 3 WHEN days <= 60 THEN 4 WHEN days <= 90 THEN 5 ELSE 6 END AS bucket_order,
           count(*) AS customers, avg(days) AS average_days, sum(revenue) AS revenue
    FROM (SELECT segment_rank, second_order_at::date - first_order_at::date AS days, revenue FROM customers WHERE second_order_at IS NOT NULL) c
    GROUP BY 1, 2)
SELECT l.segment, l.segment_rank, b.bucket_order, b.bucket, coalesce(g.customers, 0) AS customers,
       (coalesce(g.customers, 0) / sum(g.customers) OVER (PARTITION BY l.segment_rank))::float8 AS customer_share,
       g.average_days, g.revenue / g.customers AS average_revenue, b.speed_class
FROM (VALUES ('VIP Champions', 1), ('Loyal High Value', 2), ('Loyal Low Value', 3), ('Promising High Value', 4), ('Promising Low Value', 5),
             ('Need Attention', 6), ('At Risk', 7), ('Hibernating', 8), ('Others', 9)) l(segment, segment_rank)
CROSS JOIN (VALUES (1, '<= 7 days', 'quick'), (2, '<= 14 days', 'quick'), (3, '<= 30 days', 'quick'), (4, '<= 60 days', 'medium'),
                   (5, '<= 90 days', 'slow'), (6, '> 90 days', 'slow')) b(bucket_order, bucket, speed_class)
LEFT JOIN grouped g ON g.segment_rank = l.segment_rank AND g.bucket_order = b.bucket_order;

-- name: repurchase_curve
WITH days AS (
    SELECT coalesce(second_order_at::date, date '2024-01-21') - first_order_at::date AS days, count(*) AS customers, count(second_order_at) AS events
    FROM customers GROUP BY 1),
risk AS (SELECT days, events, customers - events AS censored, (sum(customers) OVER (ORDER BY days DESC))::bigint AS n FROM days),
survival AS (
    SELECT *, exp(sum(CASE WHEN events < n THEN ln(1 - events::float8 / n) END) OVER (ORDER BY days)) AS s,
           sum(CASE WHEN events < n THEN events::float8 / (n::float8 * (n - events)) END) OVER (ORDER BY days) AS v
    FROM risk WHERE n >= 30),
margins AS (SELECT *, CASE WHEN s < 1 THEN 1.959963984540054 * sqrt(v) / abs(ln(s)) END AS w FROM survival)
SELECT days AS days_since_first_order, n AS customers_at_risk, events AS repurchased, censored, 1 - s AS cumulative_repurchase_rate,
       1 - power(s, exp(-w)) AS cumulative_repurchase_rate_low, 1 - power(s, exp(w)) AS cumulative_repurchase_rate_high
FROM margins;

-- name: first_purchase_timing
WITH grouped AS (
    SELECT CASE WHEN days < 0 THEN 1 WHEN days = 0 THEN 2 WHEN days <= 7 THEN 3 WHEN days <= 30 THEN 4 WHEN days <= 90 THEN 5 WHEN days <= 365 THEN 6 ELSE 7 END AS bucket_order,
           count(*) AS customers, count(*) FILTER (WHERE orders >= 2) AS repurchased, sum(revenue) AS revenue, count(*) FILTER (WHERE stage = 'vip') AS vips
    FROM (SELECT orders, revenue, stage, first_order_at::date - signed_up_at::date AS days FROM customers WHERE signed_up_at IS NOT NULL) c
    GROUP BY 1)
SELECT b.bucket_order, b.bucket, coalesce(g.customers, 0) AS customers, g.repurchased::float8 / g.customers AS repurchase_rate,
       g.revenue / g.customers AS average_revenue, g.vips::float8 / g.customers AS vip_share
FROM (VALUES (1, 'before sign-up'), (2, 'same day'), (3, '1-7 days'), (4, '8-30 days'), (5, '31-90 days'), (6, '91-365 days'), (7, '> 365 days')) b(bucket_order, bucket)
LEFT JOIN grouped g ON g.bucket_order = b.bucket_order;

-- name: cohort_retention
WITH active AS (
    SELECT cohort, month, count(*) AS customers, sum(amount) * 0.0001 AS revenue
    FROM (SELECT c.customer_id, date_trunc('month', c.first_order_at) AS cohort, date_trunc('month', l.created_at) AS month,
                 sum(round(l.sale_price * 10000)::bigint) AS amount
          FROM order_items l JOIN customers c ON c.customer_id = l.user_id
          WHERE l.status NOT IN ('Cancelled', 'Returned') AND l.created_at < '2024-01-21'
          GROUP BY 1, 2, 3) x
    GROUP BY cohort, month),
sizes AS (SELECT date_trunc('month', first_order_at) AS cohort, count(*) AS customers FROM customers GROUP BY 1),
grid AS (
    SELECT s.cohort, s.customers, m.month,
           ((extract(year FROM m.month) - extract(year FROM s.cohort)) * 12 + extract(month FROM m.month) - extract(month FROM s.cohort))::int AS months_since
    FROM sizes s, LATERAL generate_series(s.cohort, timestamp '2024-01-20 23:59', interval '1 month') m(month))
SELECT g.cohort::date AS cohort_month, g.months_since, g.customers AS cohort_customers, coalesce(a.customers, 0) AS active_customers,
       coalesce(a.customers, 0)::float8 / g.customers AS retention_rate, coalesce(a.revenue, 0) AS revenue,
       g.month + interval '1 month' <= timestamp '2024-01-21' AS is_complete
FROM grid g LEFT JOIN active a ON a.cohort = g.cohort AND a.month = g.month;

-- name: roi
-- A customer belongs to at most two campaigns: that of one order, and one by segment.
WITH c AS (
    SELECT segment_rank, return_sessions = 0 AS inactive, return_sessions BETWEEN 2 AND 3 AS peer,
           second_order_at IS NULL AND first_order_at >= date '2024-01-21' - 89 AS recent,
           count(*) AS customers, sum(revenue) AS revenue, sum(orders) AS orders
    FROM customers GROUP BY 1, 2, 3, 4),
days AS (
    SELECT coalesce(second_order_at::date, date '2024-01-21') - first_order_at::date AS days, count(*) AS customers, count(second_order_at) AS events
    FROM customers GROUP BY 1),
baseline AS (
    SELECT 1 - exp(sum(ln(1 - events::float8 / n))) AS rate
    FROM (SELECT days, events, sum(customers) OVER (ORDER BY days DESC) AS n FROM days) r WHERE days <= 90),
margin_rate AS (SELECT ((amount - cost) / amount)::float8 AS rate FROM margin),
campaigns(campaign_order, campaign, segment_rank, response, conversion) AS (VALUES
    (1, '1-A wake Promising High Value', 4, 0.30::float8, 0.50::float8), (2, '1-B wake Promising Low Value', 5, 0.20, 0.35),
    (3, '2 second order within 90 days', NULL, 1, 0.50), (4, '3 win back Need Attention', 6, 0.10, 1),
    (5, '3 win back At Risk', 7, 0.05, 1), (6, '3 win back Hibernating', 8, 0.02, 1)),
counted AS (
    SELECT p.campaign_order, p.campaign, p.response, p.conversion, CASE WHEN p.campaign_order = 3 THEN b.rate ELSE 0 END AS baseline, g.rate AS margin,
           sum(c.customers) FILTER (WHERE member) AS audience,
           sum(c.customers) FILTER (WHERE member AND NOT (p.campaign_order = 3 AND inactive AND c.segment_rank IN (4, 5)) AND NOT (p.campaign_order > 3 AND recent)) AS own,
           (CASE WHEN p.campaign_order <= 2 THEN sum(c.revenue) FILTER (WHERE c.segment_rank = p.segment_rank AND peer) / sum(c.customers) FILTER (WHERE c.segment_rank = p.segment_rank AND peer)
                 ELSE sum(c.revenue) FILTER (WHERE member) / sum(c.orders) FILTER (WHERE member) END)::float8 AS order_value
    FROM campaigns p CROSS JOIN c CROSS JOIN baseline b CROSS JOIN margin_rate g,
    LATERAL (SELECT CASE WHEN p.campaign_order <= 2 THEN c.segment_rank = p.segment_rank AND inactive WHEN p.campaign_order = 3 THEN recent
                         ELSE c.segment_rank = p.segment_rank END AS member) m
    GROUP BY p.campaign_order, p.campaign, p.response, p.conversion, b.rate, g.rate),
weighed AS (
    SELECT campaign_order, campaign, whole, audience, response, conversion, baseline, margin, order_value, audience * response AS responders,
           audience * response * conversion AS buyers, audience * response * (conversion - baseline) AS added
    FROM (SELECT x.*, true AS whole FROM (SELECT campaign_order, campaign, audience, response, conversion, baseline, margin, order_value FROM counted) x
          UNION ALL
          SELECT x.*, false FROM (SELECT campaign_order, campaign, own, response, conversion, baseline, margin, order_value FROM counted) x) y),
earned AS (
    SELECT *, added * order_value AS added_revenue, margin * added * order_value AS gross, 0.15 * buyers * order_value + 0.05 * added * order_value AS cost
    FROM weighed),
rounded AS (
    SELECT *, round(gross::numeric, 4) - round(cost::numeric, 4) AS net FROM earned)
SELECT campaign_order, campaign, audience, response AS response_rate, conversion AS conversion_rate, baseline AS baseline_rate, order_value, margin AS margin_rate,
       round(responders::numeric, 4) AS responders, round(buyers::numeric, 4) AS buyers, round(added::numeric, 4) AS added_buyers,
       round(added_revenue::numeric, 4) AS added_revenue, round(gross::numeric, 4) AS gross_profit, round(cost::numeric, 4) AS cost, net AS net_profit,
       100 * (gross - cost) / cost AS roi_percent, 100 * added_revenue / cost AS roas_percent
FROM rounded WHERE whole
UNION ALL
SELECT NULL, 'Total', sum(audience), NULL, NULL, NULL, NULL, NULL, sum(round(responders::numeric, 4)), sum(round(buyers::numeric, 4)), sum(round(added::numeric, 4)),
       sum(round(added_revenue::numeric, 4)), sum(round(gross::numeric, 4)), sum(round(cost::numeric, 4)), sum(net),
       (100 * sum(net) / sum(round(cost::numeric, 4)))::float8, (100 * sum(round(added_revenue::numeric, 4)) / sum(round(cost::numeric, 4)))::float8
FROM rounded WHERE NOT whole;
