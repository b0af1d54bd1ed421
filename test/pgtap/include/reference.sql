-- The definitions a second time: every view of a model in plain SQL, written from the definitions alone and without a
-- single function of the extension. Slow and simple; the tests compare row for row.
--
--     reference.compute(settings, rules)         fills the schema reference: customers, overview, segments, ...
--     reference.difference(model, view)          how a view of the model differs from it; NULL when it does not
--     reference.compare(models, name)            every view as a test, named after name; views that the model must leave out, too
--     reference.create_model(model, settings)    rfm.create_model with the same settings
--
-- settings is a jsonb object with the names of rfm.create_model's arguments; rules names a set in reference.rule_sets.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE SCHEMA reference;

CREATE TYPE reference.settings AS (
    order_lines regclass, accounts regclass, products regclass, visits regclass, storage text, as_of timestamp, time_zone text,
    lookback interval, excluded_statuses text[], dimensions text[], rules text, build_memory text,
    recency_cutoffs numeric[], recency_fractions numeric[], frequency_cutoffs numeric[], frequency_fractions numeric[],
    monetary_cutoffs numeric[], monetary_fractions numeric[]);

CREATE TABLE reference.rule_sets (
    rules text, rule_order int, segment text, stage text,
    r_min int, r_max int, f_min int, f_max int, m_min int, m_max int, PRIMARY KEY (rules, rule_order));
INSERT INTO reference.rule_sets VALUES
    ('lifecycle', 1, 'VIP Champions', 'vip', 4, 5, 4, 5, 4, 5),
    ('lifecycle', 2, 'Loyal High Value', 'loyal', 3, 5, 4, 5, 3, 5),
    ('lifecycle', 3, 'Loyal Low Value', 'loyal', 3, 5, 4, 5, 1, 2),
    ('lifecycle', 4, 'Promising High Value', 'promising', 4, 5, 3, 3, 3, 5),
    ('lifecycle', 5, 'Promising Low Value', 'promising', 4, 5, 3, 3, 1, 2),
    ('lifecycle', 6, 'Need Attention', 'attention', 1, 2, 4, 5, 3, 5),
    ('lifecycle', 7, 'At Risk', 'risk', 3, 3, 3, 3, 1, 5),
    ('lifecycle', 8, 'Hibernating', 'risk', 1, 2, 1, 3, 1, 5),
    ('classic', 1, 'Champions', 'vip', 5, 5, 5, 5, 5, 5),
    ('classic', 2, 'Potential Loyalist', 'loyal', 3, 5, 3, 5, 2, 5),
    ('classic', 3, 'Loyal Customers', 'loyal', 2, 4, 2, 4, 2, 4),
    ('classic', 4, 'Promising', 'promising', 3, 4, 1, 3, 3, 5),
    ('classic', 5, 'New Customers', 'promising', 4, 5, 1, 3, 1, 5),
    ('classic', 6, 'Can''t Lose Them', 'attention', 1, 2, 3, 4, 4, 5),
    ('classic', 7, 'At Risk', 'risk', 1, 2, 2, 5, 4, 5),
    ('classic', 8, 'Need Attention', 'attention', 1, 3, 3, 5, 3, 5),
    ('classic', 9, 'About To Sleep', 'risk', 2, 3, 1, 3, 1, 4),
    ('classic', 10, 'Lost', 'risk', 1, 1, 1, 5, 1, 5);

-- A column of relation x as SQL: text bytewise, and NULL for a column that is not there.
CREATE FUNCTION reference.col(relation regclass, name text, missing text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT CASE WHEN t.typcategory IN ('S', 'E', 'A') THEN format('x.%I::text COLLATE "C"', name) ELSE format('x.%I', name) END
                     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                     WHERE a.attrelid = relation AND a.attname = name AND a.attnum > 0 AND NOT a.attisdropped), missing)
$$;

-- A time of relation x as timestamptz.
CREATE FUNCTION reference.instant(relation regclass, name text, time_zone text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT CASE WHEN a.atttypid = 'timestamptz'::regtype THEN format('x.%I', name)
                                 ELSE format('(x.%I::timestamp AT TIME ZONE %L)', name, time_zone) END
                     FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = name AND NOT a.attisdropped), 'NULL::timestamptz')
$$;

-- The percentile by linear interpolation between the sorted values (type 7), exactly; NULL without values.
CREATE FUNCTION reference.percentile(sorted numeric[], fraction numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT below + part * (coalesce(above, below) - below)
    FROM (SELECT sorted[floor(h)::int + 1] AS below, sorted[floor(h)::int + 2] AS above, h - floor(h) AS part
          FROM (SELECT fraction * (cardinality(sorted) - 1) AS h) AS place) AS neighbours
$$;

CREATE FUNCTION reference.cuts(cutoffs numeric[], fractions numeric[], sorted numeric[]) RETURNS numeric[] LANGUAGE sql AS $$
    SELECT CASE WHEN fractions IS NULL THEN cutoffs
                WHEN coalesce(cardinality(sorted), 0) = 0 THEN NULL
                ELSE (SELECT array_agg(reference.percentile(sorted, fraction) ORDER BY i) FROM unnest(fractions) WITH ORDINALITY u(fraction, i)) END
$$;

CREATE FUNCTION reference.views() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT '{customers,overview,segments,segment_breakdown,score_cells,pareto,churn_risk,promising_activity,gateway_products,gateway_moments,channel_maturity,repurchase_timing,repurchase_curve,first_purchase_timing,cohort_retention,action_plan,roi}'::text[]
$$;
CREATE TABLE reference.left_out (name text);              -- views that the model computed last must not have

\ir questions.sql

CREATE FUNCTION reference.compute(settings jsonb, rules text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET client_min_messages = warning SET search_path = pg_catalog SET jit = off SET extra_float_digits = 1 AS $$
DECLARE
    s             reference.settings := jsonb_populate_record(NULL::reference.settings, settings);
    tz            text := coalesce(s.time_zone, 'UTC');
    excluded      text[] := coalesce(s.excluded_statuses, '{Cancelled,Returned}');
    as_of         timestamptz := s.as_of AT TIME ZONE tz;
    window_start  timestamptz := coalesce((s.as_of - s.lookback) AT TIME ZONE tz, '-infinity');
    dimensions    text[] := coalesce(s.dimensions, '{}');
    customer_dims text;
    account_dims  text;
    breakdown     text;
    levels        int[];
    t             text;
BEGIN
    rules := coalesce(rules, s.rules, 'lifecycle');
    IF s.recency_fractions IS NULL THEN s.recency_cutoffs := coalesce(s.recency_cutoffs, '{90,180,365,545}'); END IF;
    IF s.frequency_fractions IS NULL THEN s.frequency_cutoffs := coalesce(s.frequency_cutoffs, '{0,1,2,3}'); END IF;
    IF s.monetary_cutoffs IS NULL THEN s.monetary_fractions := coalesce(s.monetary_fractions, '{0.25,0.50,0.75,0.95}'); END IF;
    levels := ARRAY[1 + cardinality(coalesce(s.recency_cutoffs, s.recency_fractions)),
                    1 + cardinality(coalesce(s.frequency_cutoffs, s.frequency_fractions)),
                    1 + cardinality(coalesce(s.monetary_cutoffs, s.monetary_fractions))];
    SELECT coalesce(string_agg(format(', a.%I', d), '' ORDER BY i), ''),
           coalesce(string_agg(format(', %s AS %I', reference.col(s.accounts, d, NULL), d), '' ORDER BY i), ''),
           concat_ws(', ', CASE WHEN s.accounts IS NOT NULL THEN '(''channel'', c.channel)' END,
                     CASE WHEN s.products IS NOT NULL THEN '(''first_category'', c.first_category)' END,
                     string_agg(format(CASE (SELECT atttypid FROM pg_attribute WHERE attrelid = s.accounts AND attname = d) WHEN 'timestamptz'::regtype THEN '(%1$L, (c.%1$I AT TIME ZONE %2$L)::text)'
                                                           WHEN 'float8'::regtype THEN '(%1$L, c.%1$I::numeric::text)'
                                                           ELSE '(%1$L, c.%1$I::text)' END, d, tz), ', ' ORDER BY i))
        INTO customer_dims, account_dims, breakdown FROM unnest(dimensions) WITH ORDINALITY u(d, i);
    FOREACH t IN ARRAY '{lines,orders,accounts,products,segment_list,totals,first_products,base,cut_points,customers,segments,churn_risk,overview,segment_breakdown,score_cells,pareto,visits,buyers,scored}'::text[] || reference.views() LOOP
        EXECUTE 'DROP TABLE IF EXISTS reference.' || t;
    END LOOP;

    -- valid lines, those without customer too
    EXECUTE format('CREATE TABLE reference.lines AS
        SELECT %1$s AS customer_id, %2$s AS order_id, %3$s AS product_id, %4$s AS ordered_at, round(x.amount::text::numeric, 4) AS amount,
               %4$s >= %5$L::timestamptz AS in_window
        FROM %6$s x
        WHERE x.order_id IS NOT NULL AND x.ordered_at IS NOT NULL AND x.amount IS NOT NULL AND %4$s < %7$L::timestamptz
          AND CASE WHEN %10$s IS NULL THEN NOT coalesce(%8$s::text COLLATE "C" = ANY (%9$L::text[]), false) ELSE %10$s >= %7$L::timestamptz END',
        reference.col(s.order_lines, 'customer_id', NULL), reference.col(s.order_lines, 'order_id', NULL),
        reference.col(s.order_lines, 'product_id', 'NULL::bigint'), reference.instant(s.order_lines, 'ordered_at', tz),
        window_start, s.order_lines, as_of, reference.col(s.order_lines, 'status', 'NULL'), excluded,
        reference.instant(s.order_lines, 'voided_at', tz));

    -- every order of every customer, numbered
    CREATE TABLE reference.orders AS
        SELECT customer_id, order_id, min(ordered_at) AS placed_at,
               row_number() OVER (PARTITION BY customer_id ORDER BY min(ordered_at), order_id) AS number
        FROM reference.lines WHERE customer_id IS NOT NULL AND amount >= 0 GROUP BY customer_id, order_id;

    IF s.accounts IS NULL THEN
        CREATE TABLE reference.accounts AS
            SELECT NULL::text AS account_id, NULL::text AS channel, NULL::timestamptz AS signed_up_at WHERE false;
    ELSE
        EXECUTE format('CREATE TABLE reference.accounts AS
            SELECT * FROM (SELECT a.*, row_number() OVER (PARTITION BY account_id ORDER BY channel, signed_up_at%s) AS number
                           FROM (SELECT %s AS account_id, %s AS channel, %s AS signed_up_at%s FROM %s x) a) a
            WHERE account_id IS NOT NULL AND number = 1', customer_dims, reference.col(s.accounts, 'customer_id', NULL),
            reference.col(s.accounts, 'channel', 'NULL::text') || '::text', reference.instant(s.accounts, 'signed_up_at', tz),
            account_dims, s.accounts);
    END IF;
    IF s.products IS NULL THEN
        CREATE TABLE reference.products AS SELECT NULL::text AS product_id, NULL::text AS category, NULL::text AS brand,
            NULL::text AS name, NULL::numeric AS cost WHERE false;
    ELSE
        EXECUTE format('CREATE TABLE reference.products AS
            SELECT * FROM (SELECT g.*, row_number() OVER (PARTITION BY product_id ORDER BY category, brand, name, cost) AS number
                           FROM (SELECT %s AS product_id, %s::text COLLATE "C" AS category, %s::text COLLATE "C" AS brand,
                                        %s::text COLLATE "C" AS name, round(%s::text::numeric, 4) AS cost FROM %s x) g) g
            WHERE product_id IS NOT NULL AND number = 1', reference.col(s.products, 'product_id', NULL),
            reference.col(s.products, 'category', NULL), reference.col(s.products, 'brand', 'NULL'),
            reference.col(s.products, 'name', 'NULL'), reference.col(s.products, 'cost', 'NULL'), s.products);
    END IF;

    IF s.visits IS NULL THEN
        CREATE TABLE reference.visits AS
            SELECT NULL::text AS customer_id, NULL::text AS session_id, NULL::timestamptz AS visited_at WHERE false;
    ELSE
        EXECUTE format('CREATE TABLE reference.visits AS
            SELECT %s::text COLLATE "C" AS customer_id, %s::text COLLATE "C" AS session_id, %s AS visited_at FROM %s x',
            reference.col(s.visits, 'customer_id', NULL), reference.col(s.visits, 'session_id', NULL),
            reference.instant(s.visits, 'visited_at', tz), s.visits);
    END IF;

    CREATE INDEX ON reference.visits (customer_id);
    ANALYZE reference.lines, reference.orders, reference.accounts, reference.products, reference.visits;

    -- all who ever bought, with the local dates of the first two orders, what of the window belongs to the first, and the sessions
    EXECUTE format('CREATE TABLE reference.buyers AS
        SELECT o1.customer_id, o1.placed_at AS first_order_at, (timezone(%1$L, o1.placed_at))::date AS first_date,
               (timezone(%1$L, o2.placed_at))::date AS second_date, (timezone(%1$L, %2$L::timestamptz))::date AS as_of_date,
               first.revenue AS first_order_revenue,
               CASE WHEN %3$s THEN (SELECT count(DISTINCT v.session_id) FROM reference.visits v
                   WHERE v.customer_id = o1.customer_id::text COLLATE "C" AND v.visited_at > o1.placed_at AND v.visited_at < %2$L) END AS sessions_after_purchase,
               CASE WHEN %3$s THEN (SELECT count(DISTINCT v.session_id) FROM reference.visits v
                   WHERE v.customer_id = o1.customer_id::text COLLATE "C" AND v.visited_at > first.until AND v.visited_at < %2$L) END AS return_sessions
        FROM reference.orders o1
        LEFT JOIN reference.orders o2 ON o2.customer_id = o1.customer_id AND o2.number = 2
        JOIN (SELECT customer_id, order_id, max(ordered_at) FILTER (WHERE amount >= 0) AS until,
                     coalesce(sum(amount) FILTER (WHERE in_window), 0) AS revenue
              FROM reference.lines GROUP BY customer_id, order_id) first
            ON first.customer_id = o1.customer_id AND first.order_id = o1.order_id
        WHERE o1.number = 1', tz, as_of, (s.visits IS NOT NULL)::text);

    CREATE TABLE reference.segment_list AS
        SELECT x.segment, row_number() OVER (ORDER BY x.place) AS segment_rank, x.stage, x.m_min
        FROM (SELECT r.segment, min(r.rule_order) AS place, min(r.stage) AS stage, min(r.m_min) AS m_min
              FROM reference.rule_sets r WHERE r.rules = compute.rules GROUP BY r.segment
              UNION ALL
              SELECT 'Others', NULL, 'other', NULL
              WHERE NOT EXISTS (SELECT FROM reference.rule_sets r WHERE r.rules = compute.rules AND r.segment = 'Others')) x;

    -- the customers before scores
    CREATE TABLE reference.totals AS
        SELECT customer_id, count(DISTINCT order_id) FILTER (WHERE amount >= 0) AS orders, count(*) FILTER (WHERE amount >= 0) AS lines,
               sum(amount) AS revenue, max(ordered_at) FILTER (WHERE amount >= 0) AS last_order_at
        FROM reference.lines WHERE in_window AND customer_id IS NOT NULL GROUP BY customer_id;
    CREATE TABLE reference.first_products AS
        SELECT customer_id, product_id
        FROM (SELECT l.customer_id, l.product_id,
                     row_number() OVER (PARTITION BY l.customer_id ORDER BY l.amount DESC, l.product_id) AS place
              FROM reference.lines l JOIN reference.orders o ON o.customer_id = l.customer_id AND o.order_id = l.order_id
              WHERE o.number = 1 AND l.amount >= 0) x
        WHERE place = 1;
    ANALYZE reference.totals, reference.first_products;
    EXECUTE format('CREATE TABLE reference.base AS
        SELECT w.customer_id, a.channel, a.signed_up_at, o1.placed_at AS first_order_at, o2.placed_at AS second_order_at,
               w.last_order_at, w.orders, w.lines, w.revenue, p.product_id AS first_product_id, g.category AS first_category,
               (timezone(%L, %L::timestamptz))::date - (timezone(%1$L, w.last_order_at))::date AS recency_days%3$s
        FROM reference.totals w
        JOIN reference.orders o1 ON o1.customer_id = w.customer_id AND o1.number = 1
        LEFT JOIN reference.orders o2 ON o2.customer_id = w.customer_id AND o2.number = 2
        JOIN reference.first_products p ON p.customer_id = w.customer_id
        LEFT JOIN reference.accounts a ON a.account_id%4$s = w.customer_id%4$s
        LEFT JOIN reference.products g ON g.product_id%5$s = p.product_id%5$s
        WHERE w.orders > 0', tz, as_of, customer_dims,
        CASE WHEN s.accounts IS NULL THEN '::text' ELSE '' END, CASE WHEN s.products IS NULL THEN '::text' ELSE '' END);

    ANALYZE reference.base;

    CREATE TABLE reference.cut_points AS
        SELECT reference.cuts(s.recency_cutoffs, s.recency_fractions, array_agg(recency_days::numeric ORDER BY recency_days)) AS recency,
               (SELECT array_agg(CASE WHEN s.frequency_fractions IS NULL THEN cut ELSE floor(cut) + 1 END ORDER BY i)
                FROM unnest(reference.cuts(s.frequency_cutoffs, s.frequency_fractions,
                                           (SELECT array_agg(orders::numeric ORDER BY orders) FROM reference.base))) WITH ORDINALITY u(cut, i)) AS frequency,
               reference.cuts(s.monetary_cutoffs, s.monetary_fractions, array_agg(revenue ORDER BY revenue)) AS monetary
        FROM reference.base;

    EXECUTE format('CREATE TABLE reference.customers AS
        WITH scored AS (
            SELECT b.*, (%s - (SELECT count(*) FROM unnest(c.recency) cut WHERE cut < b.recency_days))::int AS r,
                   (1 + (SELECT count(*) FROM unnest(c.frequency) cut WHERE cut <= b.orders))::int AS f,
                   (1 + (SELECT count(*) FROM unnest(c.monetary) cut WHERE cut <= b.revenue))::int AS m
            FROM reference.base b, reference.cut_points c)
        SELECT a.customer_id, a.channel, a.signed_up_at, a.first_order_at, a.second_order_at, a.last_order_at, a.orders, a.lines,
               a.revenue, a.revenue / a.orders AS average_order_value, a.first_product_id, a.first_category, a.recency_days,
               a.r, a.f, a.m, a.r * 100 + a.f * 10 + a.m AS rfm_score, l.segment, l.segment_rank, v.sessions_after_purchase,
               v.return_sessions, reference.activity_level(v.return_sessions) AS activity_level%s
        FROM scored a JOIN reference.buyers v ON v.customer_id = a.customer_id
        JOIN reference.segment_list l ON l.segment = coalesce(
            (SELECT r.segment FROM reference.rule_sets r
             WHERE r.rules = %L AND a.r BETWEEN r.r_min AND r.r_max AND a.f BETWEEN r.f_min AND r.f_max AND a.m BETWEEN r.m_min AND r.m_max
             ORDER BY r.rule_order LIMIT 1), ''Others'')', levels[1], customer_dims, rules);

    CREATE TABLE reference.segments AS
        SELECT l.segment, l.segment_rank, l.stage, count(c.segment) AS customers,
               (count(c.segment)::numeric / nullif((SELECT count(*) FROM reference.customers), 0))::float8 AS customer_share,
               coalesce(sum(c.revenue), 0) AS revenue,
               (coalesce(sum(c.revenue), 0) / nullif((SELECT sum(revenue) FROM reference.customers), 0))::float8 AS revenue_share,
               sum(c.revenue) / nullif(count(c.segment), 0) AS average_revenue,
               sum(c.recency_days)::numeric / nullif(count(c.segment), 0) AS average_recency_days,
               sum(c.orders)::numeric / nullif(count(c.segment), 0) AS average_orders,
               sum(c.r)::numeric / nullif(count(c.segment), 0) AS average_r,
               sum(c.f)::numeric / nullif(count(c.segment), 0) AS average_f,
               sum(c.m)::numeric / nullif(count(c.segment), 0) AS average_m
        FROM reference.segment_list l LEFT JOIN reference.customers c ON c.segment = l.segment
        GROUP BY l.segment, l.segment_rank, l.stage;

    CREATE TABLE reference.churn_risk AS
        SELECT segment, segment_rank, CASE stage WHEN 'attention' THEN 'attention' WHEN 'risk' THEN 'churn risk' WHEN 'other' THEN 'other'
                                      ELSE 'growth' END AS risk_group, customers, customer_share, revenue, revenue_share
        FROM reference.segments;

    EXECUTE format('CREATE TABLE reference.overview AS
        SELECT %L::timestamptz AS as_of,
               CASE WHEN %s THEN (SELECT count(*) FROM reference.accounts) END AS registered,
               count(*) AS customers,
               CASE WHEN %2$s THEN (SELECT count(*) FROM reference.accounts a
                                    WHERE NOT EXISTS (SELECT FROM reference.orders o WHERE o.customer_id::text = a.account_id::text)) END AS prospects,
               coalesce(sum(c.orders), 0)::bigint AS orders, coalesce(sum(c.revenue), 0) AS revenue,
               (SELECT coalesce(sum(amount), 0) FROM reference.lines WHERE customer_id IS NULL AND in_window) AS unassigned_revenue,
               sum(c.revenue) / nullif(count(*), 0) AS average_revenue, sum(c.orders)::numeric / nullif(count(*), 0) AS average_orders,
               (count(*) FILTER (WHERE c.orders >= 2)::numeric / nullif(count(*), 0))::float8 AS repurchase_rate,
               (count(*) FILTER (WHERE l.stage = ''vip'')::numeric / nullif(count(*), 0))::float8 AS vip_share,
               (count(*) FILTER (WHERE l.stage = ''risk'')::numeric / nullif(count(*), 0))::float8 AS churn_risk_share,
               (coalesce(sum(c.revenue) FILTER (WHERE l.stage = ''risk''), 0) / nullif(sum(c.revenue), 0))::float8 AS churn_risk_revenue_share,
               ((SELECT sum(revenue) FROM (SELECT revenue FROM reference.customers ORDER BY revenue DESC
                                           LIMIT (SELECT ceil(count(*) * 0.2) FROM reference.customers)) richest)
                / nullif(sum(c.revenue), 0))::float8 AS top20_revenue_share,
               (SELECT (sum(l.amount - g.cost) / nullif(sum(l.amount), 0))::float8 FROM reference.lines l
                JOIN reference.products g ON g.product_id%s = l.product_id%3$s
                WHERE l.in_window AND l.customer_id IS NOT NULL AND l.amount >= 0 AND g.cost IS NOT NULL) AS margin_rate
        FROM reference.customers c LEFT JOIN reference.segment_list l USING (segment)', as_of, (s.accounts IS NOT NULL)::text,
        CASE WHEN s.products IS NULL THEN '::text' ELSE '' END);

    EXECUTE format('CREATE TABLE reference.segment_breakdown AS
        WITH counted AS (
            SELECT c.segment, c.segment_rank, d.dimension, d.value, count(*) AS customers, sum(c.revenue) AS revenue
            FROM reference.customers c, LATERAL (VALUES %s) d(dimension, value) WHERE d.dimension IS NOT NULL GROUP BY 1, 2, 3, 4)
        SELECT segment, segment_rank, dimension, value, customers,
               (customers / (SELECT sum(o.customers) FROM counted o
                             WHERE o.dimension = c.dimension AND o.value IS NOT DISTINCT FROM c.value))::float8 AS customer_share,
               revenue, revenue / customers AS average_revenue
        FROM counted c', coalesce(nullif(breakdown, ''), '(NULL::text, NULL::text)'));

    EXECUTE format('CREATE TABLE reference.score_cells AS
        SELECT a.r, b.f, d.m, coalesce((SELECT s.segment FROM reference.rule_sets s
                                        WHERE s.rules = %L AND a.r BETWEEN s.r_min AND s.r_max AND b.f BETWEEN s.f_min AND s.f_max
                                          AND d.m BETWEEN s.m_min AND s.m_max ORDER BY s.rule_order LIMIT 1), ''Others'') AS segment,
               count(c.r) AS customers, coalesce(sum(c.revenue), 0) AS revenue
        FROM generate_series(1, %s) a(r) CROSS JOIN generate_series(1, %s) b(f) CROSS JOIN generate_series(1, %s) d(m)
        LEFT JOIN reference.customers c ON (c.r, c.f, c.m) = (a.r, b.f, d.m)
        GROUP BY a.r, b.f, d.m', rules, levels[1], levels[2], levels[3]);

    -- of n customers the first ceil(n * p / 100) are in the first p percent
    CREATE TABLE reference.pareto AS
        WITH places AS (SELECT row_number() OVER richest AS place, sum(revenue) OVER richest AS upto
                        FROM reference.customers WINDOW richest AS (ORDER BY revenue DESC ROWS UNBOUNDED PRECEDING)),
             shares AS (SELECT p, ceil((SELECT count(*) FROM places) * p / 100.0) AS customers FROM generate_series(0, 100) p),
             summed AS (SELECT h.p, h.customers, coalesce(x.upto, 0) AS revenue FROM shares h LEFT JOIN places x ON x.place = h.customers)
        SELECT b.p AS customer_percentile, b.customers - a.customers AS customers, b.revenue - a.revenue AS revenue,
               ((b.revenue - a.revenue) / nullif(total.revenue, 0))::float8 AS revenue_share,
               (b.revenue / nullif(total.revenue, 0))::float8 AS cumulative_revenue_share
        FROM summed a JOIN summed b ON b.p = a.p + 1 JOIN summed total ON total.p = 100;

    PERFORM reference.compute_questions(tz, as_of);
    TRUNCATE reference.left_out;
    INSERT INTO reference.left_out
    SELECT 'promising_activity' WHERE s.visits IS NULL UNION ALL SELECT unnest('{gateway_products,gateway_moments}'::text[]) WHERE s.products IS NULL
    UNION ALL SELECT unnest('{channel_maturity,first_purchase_timing}'::text[]) WHERE s.accounts IS NULL;
END $$;

-- How a view of a model differs from the reference, every row once and every column but the clock and the notes; NULL when
-- it does not. Counts, money and shares must be the same to the last digit, bounds and estimates to nine decimals (of money to seven).
CREATE FUNCTION reference.difference(model text, view_name text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog SET jit = off AS $$
DECLARE
    columns text := (SELECT string_agg(format(CASE WHEN attname ~ '(revenue.*_(low|high)|^variance_.*)$' THEN 'round(%1$I::numeric, 7) AS %1$I'
                                                   WHEN attname ~ '(_low|_high|cumulative_repurchase_rate|order_365_rate|p_value|baseline_rate|conversion|percent)$'
                                                   AND atttypid = 'float8'::regtype THEN 'round(%1$I::numeric, 9) AS %1$I' ELSE '%I' END, attname),
                                       ', ' ORDER BY attnum)
                     FROM pg_attribute WHERE attrelid = to_regclass(format('%I.%I', model, view_name)) AND attnum > 0
                       AND attname <> ALL ('{refreshed_at,note}'));
    result  text;
BEGIN
    IF columns IS NULL OR view_name IN (SELECT name FROM reference.left_out) THEN
        RETURN CASE WHEN columns IS NOT NULL THEN 'there must be no ' || view_name
                    WHEN view_name NOT IN (SELECT name FROM reference.left_out) THEN 'there is no ' || view_name END;
    END IF;
    EXECUTE format('WITH mine AS (SELECT %1$s FROM %2$I.%3$I), yours AS (SELECT %1$s FROM reference.%3$I),
        extra AS (SELECT * FROM mine EXCEPT ALL SELECT * FROM yours), missing AS (SELECT * FROM yours EXCEPT ALL SELECT * FROM mine)
        SELECT CASE WHEN a + b > 0 THEN format(''%%s rows too many, such as %%s; %%s rows missing, such as %%s'', a,
            (SELECT min(e::text) FROM extra e), b, (SELECT min(m::text) FROM missing m)) END
        FROM (SELECT (SELECT count(*) FROM extra) AS a, (SELECT count(*) FROM missing) AS b) counted', columns, model, view_name) INTO result;
    RETURN result;
END $$;

CREATE FUNCTION reference.compare(models text[], name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    v text;
BEGIN
    FOREACH v IN ARRAY reference.views() LOOP
        RETURN NEXT is((SELECT string_agg(m || ': ' || reference.difference(m, v), E'\n') FROM unnest(models) m), NULL, name || ': ' || v);
    END LOOP;
END $$;

-- rfm.create_model (or configure_model) with the settings of a jsonb object as named arguments.
CREATE FUNCTION reference.call(routine text, model text, settings jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT rfm.%I(%L%s)', routine, model,
        (SELECT string_agg(format(', %I => %L', key, CASE WHEN jsonb_typeof(value) = 'array'
             THEN (SELECT coalesce(array_agg(e), '{}')::text FROM jsonb_array_elements_text(value) e) ELSE value #>> '{}' END), '')
         FROM jsonb_each(settings)));
END $$;
CREATE FUNCTION reference.create_model(model text, settings jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT reference.call('create_model', model, settings)
$$;
