-- The views that answer questions, in plain SQL from their definitions, and the statistics they need, from textbooks: part of
-- reference.sql, which calls reference.compute_questions after it has computed the customers.

CREATE AGGREGATE reference.product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '1');

-- The quantile of the normal distribution for 95 percent.
CREATE FUNCTION reference.z() RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1.959963984540054::float8';

-- Wilson 1927, from his quadratic: (rate - p)^2 = z^2 p (1 - p) / n.
CREATE FUNCTION reference.wilson(successes float8, n float8, sign int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT (2 * successes + z * z + sign * z * sqrt(z * z + 4 * successes * (1 - successes / n))) / (2 * (n + z * z))
    FROM (SELECT reference.z() AS z) x WHERE n > 0
$$;

-- The probability that Student's t with df degrees of freedom is within -t and t: the finite series of Abramowitz and
-- Stegun, 26.7.3 and 26.7.4.
CREATE FUNCTION reference.student(t float8, df int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    angle  float8 := atan(t / sqrt(df));
    square float8 := df / (df + t * t);       -- cos(angle)^2
    term   float8 := CASE WHEN df % 2 = 0 THEN 1 ELSE sqrt(square) END;
    total  float8 := CASE WHEN df = 1 THEN 0 ELSE term END;
BEGIN
    FOR i IN 1 .. df / 2 - 1 LOOP
        term := term * square * CASE WHEN df % 2 = 0 THEN (2 * i - 1) / (2.0 * i)::float8 ELSE (2 * i) / (2 * i + 1.0)::float8 END;
        total := total + term;
    END LOOP;
    RETURN CASE WHEN df % 2 = 0 THEN sin(angle) * total ELSE 2 / pi() * (angle + sin(angle) * total) END;
END $$;

-- Its quantile for 95 percent, by halving.
CREATE FUNCTION reference.student_quantile(df int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    low  float8 := 1;
    high float8 := 13;
BEGIN
    FOR i IN 1 .. 52 LOOP
        IF reference.student((low + high) / 2, df) < 0.95 THEN low := (low + high) / 2; ELSE high := (low + high) / 2; END IF;
    END LOOP;
    RETURN (low + high) / 2;
END $$;

-- The probability that chi-square with df degrees of freedom is greater than x: 1 - P(df/2, x/2), by the series of the
-- incomplete gamma function (Abramowitz and Stegun 6.5.29).
CREATE FUNCTION reference.chi_square(x float8, df int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    a     float8 := df / 2.0;
    gamma float8 := CASE WHEN df % 2 = 0 THEN 1 ELSE sqrt(pi()) END;       -- of a + 1
    term  float8 := 1;
    total float8 := 1;
BEGIN
    FOR i IN 0 .. (df + 1) / 2 - 1 LOOP
        gamma := gamma * CASE WHEN df % 2 = 0 THEN i + 1 ELSE i + 0.5 END;
    END LOOP;
    FOR i IN 1 .. 2000 LOOP
        term := term * (x / 2) / (a + i);
        total := total + term;
        EXIT WHEN term < total * 1e-17;
    END LOOP;
    RETURN CASE WHEN x > 600 THEN 0 ELSE greatest(0, 1 - power(x / 2, a) * exp(-x / 2) / gamma * total) END;
END $$;

-- Kaplan and Meier 1958 for groups of customers: a row for each day of a group on which something happened. Greenwood's
-- variance, bounds on the scale log(-log).
CREATE TYPE reference.step AS (name text, days int, at_risk bigint, events bigint, censored bigint, rate float8, low float8, high float8);
CREATE FUNCTION reference.kaplan_meier(watched regclass) RETURNS SETOF reference.step LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH counted AS (
            SELECT name, days, count(*) FILTER (WHERE event) AS events, count(*) FILTER (WHERE NOT event) AS censored FROM %s GROUP BY name, days),
        risk AS (SELECT c.*, (SELECT sum(l.events + l.censored)::bigint FROM counted l WHERE l.name = c.name AND l.days >= c.days) AS n FROM counted c),
        survival AS (
            SELECT r.*, (SELECT reference.product(1 - p.events::float8 / p.n) FROM risk p WHERE p.name = r.name AND p.days <= r.days) AS s,
                   (SELECT sum(p.events / (p.n * nullif(p.n - p.events, 0))::float8) FROM risk p WHERE p.name = r.name AND p.days <= r.days) AS v
            FROM risk r),
        margins AS (SELECT v.*, CASE WHEN s > 0 AND s < 1 THEN reference.z() * sqrt(v) / abs(ln(s)) END AS w FROM survival v)
        SELECT name, days, n, events, censored, 1 - s, 1 - power(s, exp(-w)), 1 - power(s, exp(w)) FROM margins', watched);
END $$;

CREATE FUNCTION reference.activity_level(sessions bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN sessions = 0 THEN '0' WHEN sessions = 1 THEN '1' WHEN sessions IN (2, 3) THEN '2-3' WHEN sessions IN (4, 5) THEN '4-5'
                WHEN sessions > 5 THEN '6+' END
$$;

CREATE FUNCTION reference.compute_questions(tz text, as_of timestamptz) RETURNS void
    LANGUAGE plpgsql SET client_min_messages = warning SET search_path = pg_catalog SET jit = off SET extra_float_digits = 1 AS $$
BEGIN
    -- the customers with all that the questions ask
    EXECUTE format('CREATE TABLE reference.scored AS
        SELECT c.customer_id, c.channel, c.orders, c.revenue, c.segment, c.segment_rank, c.sessions_after_purchase, c.return_sessions,
               l.stage, l.m_min > 1 AS is_high, b.first_date, b.second_date, b.as_of_date, b.first_order_revenue,
               b.first_date - (timezone(%L, c.signed_up_at))::date AS days_to_first, b.second_date - b.first_date AS days_to_second,
               c.first_category, g.brand AS first_brand, g.name AS first_product
        FROM reference.customers c JOIN reference.segment_list l ON l.segment = c.segment
        JOIN reference.buyers b ON b.customer_id = c.customer_id
        LEFT JOIN reference.products g ON g.product_id::text COLLATE "C" = c.first_product_id::text COLLATE "C"', tz);

    CREATE TABLE reference.promising_activity AS
        WITH level(activity_order, activity_level) AS (VALUES (1, '0'), (2, '1'), (3, '2-3'), (4, '4-5'), (5, '6+')),
        promising AS (
            SELECT s.*, reference.activity_level(return_sessions) AS own, reference.activity_level(sessions_after_purchase) AS published
            FROM reference.scored s WHERE stage = 'promising'),
        cells AS (
            SELECT l.segment, l.segment_rank, v.activity_order, v.activity_level,
                   (SELECT count(*) FROM promising p WHERE p.segment = l.segment AND p.own = v.activity_level) AS customers,
                   (SELECT count(*) FROM promising p WHERE p.segment = l.segment AND p.own IS NOT NULL) AS of_segment,
                   (SELECT sum(revenue) / nullif(count(*), 0) FROM promising p WHERE p.segment = l.segment AND p.own = v.activity_level) AS average_revenue,
                   (SELECT sum(revenue) / nullif(count(*), 0) FROM promising p WHERE p.segment = l.segment AND p.own = '0') AS of_level_0,
                   (SELECT sum(as_of_date - first_date)::numeric / nullif(count(*), 0) FROM promising p
                    WHERE p.segment = l.segment AND p.own = v.activity_level) AS average_days_since_first_order,
                   (SELECT count(*) FROM promising p WHERE p.segment = l.segment AND p.published = v.activity_level) AS published_customers,
                   (SELECT sum(revenue) / nullif(count(*), 0) FROM promising p
                    WHERE p.segment = l.segment AND p.published = v.activity_level) AS published_average_revenue
            FROM reference.segment_list l CROSS JOIN level v WHERE l.stage = 'promising')
        SELECT segment, segment_rank, activity_order, activity_level, customers, (customers::numeric / nullif(of_segment, 0))::float8 AS customer_share,
               average_revenue, average_revenue / nullif(of_level_0, 0) AS revenue_ratio, average_days_since_first_order,
               published_customers, published_average_revenue
        FROM cells;

    CREATE TEMP TABLE gateway AS
        SELECT v.level || ' ' || v.name AS name, days_to_second IS NOT NULL AS event, coalesce(days_to_second, as_of_date - first_date) AS days,
               v.level, v.name AS item, stage, revenue, revenue - first_order_revenue AS later
        FROM reference.scored CROSS JOIN LATERAL (VALUES ('category', first_category), ('brand', first_brand), ('product', first_product)) v(level, name)
        WHERE v.name IS NOT NULL;
    DELETE FROM gateway WHERE level <> 'category' AND name IN (SELECT name FROM gateway GROUP BY name HAVING count(*) < 30);
    CREATE INDEX ON gateway (name, days);
    CREATE TABLE reference.gateway_products AS
        WITH counted AS (
            SELECT name, min(level) AS level, min(item) AS item, count(*) AS customers, count(*) FILTER (WHERE stage = 'vip') AS vips,
                   count(*) FILTER (WHERE stage IN ('vip', 'promising')) AS active, count(*) FILTER (WHERE stage = 'promising') AS promising,
                   sum(revenue) FILTER (WHERE stage = 'vip') AS vip_revenue, sum(revenue) AS revenue, sum(later) AS later,
                   sum(later * later) AS later_squared
            FROM gateway GROUP BY name),
        spread AS (
            SELECT c.*, later / customers AS mean,
                   CASE WHEN customers > 1 THEN reference.student_quantile(customers::int - 1)
                        * sqrt(((later_squared - later * later / customers) / (customers - 1) / customers)::float8) END AS half
            FROM counted c),
        second AS (
            -- the last step up to day 365, if somebody was watched that long or all had ordered again
            SELECT DISTINCT ON (k.name) k.* FROM reference.kaplan_meier('gateway') k
            WHERE k.days <= 365 AND (k.rate = 1 OR (SELECT max(g.days) FROM gateway g WHERE g.name = k.name) >= 365) ORDER BY k.name, k.days DESC)
        SELECT s.level, s.item AS name, customers, vips AS vip_customers, promising AS promising_customers,
               (vips::numeric / customers)::float8 AS vip_share, reference.wilson(vips, customers, -1) AS vip_share_low,
               reference.wilson(vips, customers, 1) AS vip_share_high, (vips::numeric / nullif(active, 0))::float8 AS maturity_rate,
               reference.wilson(vips, active, -1) AS maturity_rate_low, reference.wilson(vips, active, 1) AS maturity_rate_high,
               vip_revenue / nullif(vips, 0) AS average_vip_revenue, revenue / customers AS average_revenue,
               -- nobody repurchased: a rate of 0 for those watched, also before the first step
               coalesce(k.rate, CASE WHEN (SELECT max(g.days) FROM gateway g WHERE g.name = s.name) >= 365 THEN 0 END) AS second_order_365_rate,
               k.low AS second_order_365_rate_low, k.high AS second_order_365_rate_high,
               mean AS revenue_after_first_order, mean - half AS revenue_after_first_order_low, mean + half AS revenue_after_first_order_high
        FROM spread s LEFT JOIN second k ON k.name = s.name;
    DROP TABLE gateway;

    CREATE TABLE reference.gateway_moments AS
        SELECT first_category AS category, count(*) AS customers, sum(revenue) / count(*) AS average_revenue,
               (sum(revenue * revenue) - sum(revenue) * sum(revenue) / count(*)) / nullif(count(*) - 1, 0) AS variance_revenue,
               sum(revenue - first_order_revenue) / count(*) AS revenue_after_first_order,
               (sum((revenue - first_order_revenue) * (revenue - first_order_revenue)) - sum(revenue - first_order_revenue) * sum(revenue - first_order_revenue) / count(*))
                   / nullif(count(*) - 1, 0) AS variance_after_first_order
        FROM reference.scored WHERE first_category IS NOT NULL GROUP BY first_category;

    -- the two-row table of vip and promising by channel, cell by cell: (observed - expected)^2 / expected
    CREATE TABLE reference.channel_maturity AS
        WITH counted AS (
            SELECT channel, count(*) AS customers, count(*) FILTER (WHERE stage = 'vip') AS vips,
                   count(*) FILTER (WHERE stage = 'promising' AND is_high) AS high, count(*) FILTER (WHERE stage = 'promising' AND NOT is_high) AS low,
                   count(*) FILTER (WHERE stage IN ('vip', 'promising')) AS active, sum(revenue) FILTER (WHERE stage = 'vip') AS vip_revenue
            FROM reference.scored GROUP BY channel),
        cells AS (
            SELECT observed::float8, c.active * total / (SELECT sum(active) FROM counted)::float8 AS expected
            FROM counted c CROSS JOIN LATERAL (VALUES (vips, (SELECT sum(vips) FROM counted)), (high + low, (SELECT sum(high + low) FROM counted)))
                x(observed, total)
            WHERE c.active > 0),
        test AS (SELECT CASE WHEN count(*) >= 4 AND min(expected) >= 5 - 1e-9
                             THEN reference.chi_square(sum((observed - expected) ^ 2 / nullif(expected, 0)), count(*)::int / 2 - 1) END AS p_value FROM cells)
        SELECT channel, customers, vips AS vip_customers, high AS promising_high, low AS promising_low, active AS active_customers,
               (vips::numeric / nullif(active, 0))::float8 AS maturity_rate, reference.wilson(vips, active, -1) AS maturity_rate_low,
               reference.wilson(vips, active, 1) AS maturity_rate_high, vip_revenue / nullif(vips, 0) AS average_vip_revenue, p_value
        FROM counted, test;

    CREATE TABLE reference.repurchase_timing AS
        WITH bucket(bucket_order, bucket, above, upto, speed_class) AS (VALUES
            (1, '<= 7 days', -1, 7, 'quick'), (2, '<= 14 days', 7, 14, 'quick'), (3, '<= 30 days', 14, 30, 'quick'),
            (4, '<= 60 days', 30, 60, 'medium'), (5, '<= 90 days', 60, 90, 'slow'), (6, '> 90 days', 90, 2000000, 'slow'))
        SELECT l.segment, l.segment_rank, b.bucket_order, b.bucket, count(c.segment) AS customers,
               (count(c.segment)::numeric / nullif((SELECT count(o.days_to_second) FROM reference.scored o WHERE o.segment = l.segment), 0))::float8 AS customer_share,
               sum(c.days_to_second)::numeric / nullif(count(c.segment), 0) AS average_days, sum(c.revenue) / nullif(count(c.segment), 0) AS average_revenue,
               b.speed_class
        FROM reference.segment_list l CROSS JOIN bucket b
        LEFT JOIN reference.scored c ON c.segment = l.segment AND c.days_to_second > b.above AND c.days_to_second <= b.upto
        GROUP BY l.segment, l.segment_rank, b.bucket_order, b.bucket, b.speed_class;

    CREATE TEMP TABLE watched AS
        SELECT '' AS name, coalesce(second_date, as_of_date) - first_date AS days, second_date IS NOT NULL AS event FROM reference.buyers;
    CREATE TEMP TABLE steps AS SELECT * FROM reference.kaplan_meier('watched');
    CREATE TABLE reference.repurchase_curve AS
        SELECT days AS days_since_first_order, at_risk AS customers_at_risk, events AS repurchased, censored,
               rate AS cumulative_repurchase_rate, low AS cumulative_repurchase_rate_low, high AS cumulative_repurchase_rate_high
        FROM steps WHERE at_risk >= 30;

    CREATE TABLE reference.first_purchase_timing AS
        WITH bucket(bucket_order, bucket, above, upto) AS (VALUES
            (1, 'before sign-up', -2000000, -1), (2, 'same day', -1, 0), (3, '1-7 days', 0, 7), (4, '8-30 days', 7, 30),
            (5, '31-90 days', 30, 90), (6, '91-365 days', 90, 365), (7, '> 365 days', 365, 2000000))
        SELECT b.bucket_order, b.bucket, count(c.segment) AS customers,
               (count(*) FILTER (WHERE c.orders > 1)::numeric / nullif(count(c.segment), 0))::float8 AS repurchase_rate,
               sum(c.revenue) / nullif(count(c.segment), 0) AS average_revenue,
               (count(*) FILTER (WHERE c.stage = 'vip')::numeric / nullif(count(c.segment), 0))::float8 AS vip_share
        FROM bucket b LEFT JOIN reference.scored c ON c.days_to_first > b.above AND c.days_to_first <= b.upto
        GROUP BY b.bucket_order, b.bucket;

    -- months numbered from the year 0; what a customer was credited before his first order belongs to its month
    EXECUTE format('CREATE TABLE reference.cohort_retention AS
        WITH numbered AS (
            SELECT l.customer_id, l.amount, date_part(''year'', l.local) * 12 + date_part(''month'', l.local) AS month,
                   date_part(''year'', b.first_date) * 12 + date_part(''month'', b.first_date) AS cohort
            FROM (SELECT *, timezone(%1$L, ordered_at) AS local FROM reference.lines) l JOIN reference.buyers b ON b.customer_id = l.customer_id),
        cohorts AS (
            SELECT date_part(''year'', first_date) * 12 + date_part(''month'', first_date) AS cohort,
                   min(date_trunc(''month'', first_date)) AS begins, count(*) AS customers
            FROM reference.buyers GROUP BY 1),
        -- the last month of which a moment is before as_of
        last AS (SELECT date_part(''year'', x.at) * 12 + date_part(''month'', x.at) AS month
                 FROM (SELECT timezone(%1$L, %2$L::timestamptz) - interval ''1 microsecond'' AS at) x)
        SELECT c.begins::date AS cohort_month, n AS months_since, c.customers AS cohort_customers,
               count(DISTINCT l.customer_id) FILTER (WHERE l.amount >= 0) AS active_customers,
               (count(DISTINCT l.customer_id) FILTER (WHERE l.amount >= 0)::numeric / c.customers)::float8 AS retention_rate,
               coalesce(sum(l.amount), 0) AS revenue, c.begins + (n + 1) * interval ''1 month'' <= timezone(%1$L, %2$L::timestamptz) AS is_complete
        FROM cohorts c CROSS JOIN last CROSS JOIN LATERAL generate_series(0, (last.month - c.cohort)::int) n
        LEFT JOIN numbered l ON l.cohort = c.cohort AND greatest(l.month, l.cohort) = c.cohort + n
        GROUP BY c.begins, c.customers, n', tz, as_of);

    CREATE TABLE reference.action_plan AS
        SELECT s.segment, s.segment_rank, s.stage, t.goal, t.action, t.timing, s.customers, s.revenue
        FROM reference.segments s LEFT JOIN rfm.default_action_texts() t ON t.segment = s.segment;

    -- the campaigns as the model starts with them
    CREATE TABLE reference.roi AS
        WITH margin AS (SELECT coalesce(margin_rate, 1) AS rate FROM reference.overview),
        baseline AS (
            SELECT CASE WHEN (SELECT max(days) FROM watched) >= 90 THEN coalesce((SELECT rate FROM steps WHERE days <= 90 ORDER BY days DESC LIMIT 1), 0)
                        WHEN (SELECT max(rate) FROM steps) = 1 THEN 1 ELSE 0 END AS rate),
        audience AS (
            SELECT 1 AS number, customer_id, revenue, orders FROM reference.scored WHERE stage = 'promising' AND is_high AND return_sessions = 0
            UNION ALL SELECT 2, customer_id, revenue, orders FROM reference.scored WHERE stage = 'promising' AND NOT is_high AND return_sessions = 0
            UNION ALL SELECT 3, customer_id, revenue, orders FROM reference.scored WHERE second_date IS NULL AND first_date > as_of_date - 90
            UNION ALL SELECT 4, customer_id, revenue, orders FROM reference.scored WHERE segment = 'Need Attention'
            UNION ALL SELECT 5, customer_id, revenue, orders FROM reference.scored WHERE segment = 'At Risk'
            UNION ALL SELECT 6, customer_id, revenue, orders FROM reference.scored WHERE segment = 'Hibernating'),
        planned AS (
            SELECT d.number, d.name, d.response, d.conversion, CASE WHEN d.number = 3 THEN (SELECT rate FROM baseline) ELSE 0 END AS baseline,
                   (SELECT count(*) FROM audience a WHERE a.number = d.number) AS customers,
                   (SELECT count(*) FROM audience a WHERE a.number = d.number
                    AND NOT EXISTS (SELECT FROM audience e WHERE e.customer_id = a.customer_id AND e.number < a.number)) AS own,
                   CASE WHEN d.number = 1 THEN (SELECT sum(revenue) / nullif(count(*), 0) FROM reference.scored
                                                WHERE stage = 'promising' AND is_high AND return_sessions BETWEEN 2 AND 3)
                        WHEN d.number = 2 THEN (SELECT sum(revenue) / nullif(count(*), 0) FROM reference.scored
                                                WHERE stage = 'promising' AND NOT is_high AND return_sessions BETWEEN 2 AND 3)
                        ELSE (SELECT sum(revenue) / sum(orders) FROM audience a WHERE a.number = d.number) END AS value
            FROM (VALUES (1, '1-A wake Promising High Value', 0.30, 0.50), (2, '1-B wake Promising Low Value', 0.20, 0.35),
                         (3, '2 second order within 90 days', 1, 0.50), (4, '3 win back Need Attention', 0.10, 1),
                         (5, '3 win back At Risk', 0.05, 1), (6, '3 win back Hibernating', 0.02, 1)) d(number, name, response, conversion)),
        -- each campaign for its whole audience, and for those whom no earlier one addresses
        weighed AS (
            SELECT p.number, p.name, p.response, p.conversion, p.baseline, x.whole, x.audience, m.rate AS margin,
                   CASE WHEN p.value < 0 THEN 0 ELSE p.value END AS value, x.audience * p.response AS responders, x.audience * p.response * p.conversion AS buyers,
                   x.audience * p.response * (p.conversion - p.baseline::text::numeric) AS added
            FROM planned p CROSS JOIN margin m CROSS JOIN LATERAL (VALUES (true, p.customers), (false, p.own)) x(whole, audience)),
        earned AS (
            SELECT w.*, added * value AS added_revenue, margin::text::numeric * added * value AS gross,
                   0.15 * buyers * value + 0.05 * added * value AS cost,
                   -- net profit is linear in the conversion rate
                   margin - 0.05 - 0.15 AS slope
            FROM weighed w),
        rounded AS (
            SELECT e.*, CASE WHEN value IS NOT NULL THEN round(responders, 4) END AS r_responders, CASE WHEN value IS NOT NULL THEN round(buyers, 4) END AS r_buyers,
                   CASE WHEN value IS NOT NULL THEN round(added, 4) END AS r_added,
                   round(added_revenue, 4) AS r_revenue, round(gross, 4) AS r_gross, round(cost, 4) AS r_cost,
                   round(gross, 4) - round(cost, 4) AS r_net
            FROM earned e)
        SELECT number AS campaign_order, name AS campaign, audience, response::float8 AS response_rate, conversion::float8 AS conversion_rate,
               baseline::float8 AS baseline_rate, value AS order_value, margin AS margin_rate, r_responders AS responders, r_buyers AS buyers,
               r_added AS added_buyers, r_revenue AS added_revenue, r_gross AS gross_profit, r_cost AS cost, r_net AS net_profit,
               CASE WHEN cost > 0 THEN (100 * (gross - cost) / cost)::float8 END AS roi_percent,
               CASE WHEN cost > 0 THEN (100 * added_revenue / cost)::float8 END AS roas_percent,
               CASE WHEN slope <> 0 AND audience > 0 AND value > 0 AND (margin - 0.05) * baseline / slope BETWEEN 0 AND 1
                    THEN (margin - 0.05) * baseline / slope END AS break_even_conversion,
               NULL::numeric AS net_profit_p05, NULL::numeric AS net_profit_p50, NULL::numeric AS net_profit_p95, NULL::float8 AS probability_of_profit
        FROM rounded WHERE whole
        UNION ALL
        SELECT NULL, 'Total', sum(audience)::bigint, NULL, NULL, NULL, NULL, NULL, sum(r_responders), sum(r_buyers), sum(r_added), sum(r_revenue),
               sum(r_gross), sum(r_cost), sum(r_net), (100 * sum(r_net) / nullif(sum(r_cost), 0))::float8,
               (100 * sum(r_revenue) / nullif(sum(r_cost), 0))::float8, NULL, NULL, NULL, NULL, NULL
        FROM rounded WHERE NOT whole;
    DROP TABLE watched, steps;
END $$;
