-- 70_analyses: the views of a model, in the order of the data flow, each reading the ones before.

CREATE FUNCTION rfm.own_columns() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{customer_id,channel,signed_up_at,first_order_at,second_order_at,last_order_at,orders,lines,revenue,average_order_value,first_product_id,first_category,recency_days,r,f,m,rfm_score,segment,segment_rank,sessions_after_purchase,return_sessions,activity_level,has_account,first_order_until,last_order_date,first_order_revenue,as_of,as_of_date,refreshed_at,registered,unassigned_revenue,recency_cutoffs,frequency_cutoffs,monetary_cutoffs,rules,stage,old,is_new,next_hash,ctid,xmin,xmax,cmin,cmax,tableoid}'::text[];
COMMENT ON FUNCTION rfm.own_columns() IS 'Internal. Column names that a dimension cannot have.';

CREATE FUNCTION rfm.array_sql(numbers numeric[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('%L::numeric[]', numbers);
COMMENT ON FUNCTION rfm.array_sql(numeric[]) IS 'Internal. SQL of a numeric array.';

-- One row: as of when, the cut points and the rules, from one scan of the profiles. Recency is a difference to as_of, so
-- its percentiles are those of the day number of the last order, moved; frequency cuts lie just above the percentile.
CREATE FUNCTION rfm.snapshot_query(settings rfm.settings, profiles text, rules_sql text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format(
        'SELECT c.as_of, c.as_of_date, now() AS refreshed_at, c.registered, c.unassigned_revenue,'
        ' %s AS recency_cutoffs, %s AS frequency_cutoffs, %s AS monetary_cutoffs, %s AS rules'
        ' FROM (SELECT max(h.as_of) AS as_of, rfm.local_date(max(h.as_of), %L) AS as_of_date, max(h.registered) AS registered,'
        ' sum(h.revenue) FILTER (WHERE h.customer_id IS NULL) AS unassigned_revenue%s%s%s FROM %s h) c',
        CASE WHEN s.recency_fractions IS NULL THEN rfm.array_sql(s.recency_cutoffs)
             ELSE '(SELECT array_agg(u.days + (c.as_of_date - date ''2000-01-01'') ORDER BY u.i) FROM unnest(c.recency) WITH ORDINALITY u(days, i))' END,
        CASE WHEN s.frequency_fractions IS NULL THEN rfm.array_sql(s.frequency_cutoffs)
             ELSE '(SELECT array_agg(floor(u.orders) + 1 ORDER BY u.i) FROM unnest(c.frequency) WITH ORDINALITY u(orders, i))' END,
        CASE WHEN s.monetary_fractions IS NULL THEN rfm.array_sql(s.monetary_cutoffs) ELSE 'c.monetary' END,
        rules_sql, s.time_zone,
        CASE WHEN s.recency_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(date ''2000-01-01'' - h.last_order_date, %s)'
            ' FILTER (WHERE h.orders > 0) AS recency', rfm.array_sql(s.recency_fractions)) END,
        CASE WHEN s.frequency_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(h.orders, %s)'
            ' FILTER (WHERE h.orders > 0) AS frequency', rfm.array_sql(s.frequency_fractions)) END,
        CASE WHEN s.monetary_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(h.revenue, %s)'
            ' FILTER (WHERE h.orders > 0) AS monetary', rfm.array_sql(s.monetary_fractions)) END,
        profiles);
END $$;
COMMENT ON FUNCTION rfm.snapshot_query(rfm.settings, text, text) IS 'Internal. SQL of the one row of the snapshot over a relation of profiles.';

CREATE FUNCTION rfm.rules_in_force(model text, settings rfm.settings) RETURNS rfm.rules
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result rfm.rules;
BEGIN
    EXECUTE 'SELECT ' || rfm.rules_sql(model, settings) INTO result;
    RETURN result;
END $$;
COMMENT ON FUNCTION rfm.rules_in_force(text, rfm.settings) IS 'Internal. The segment rules of a model as they are now, compiled.';

CREATE FUNCTION rfm.rules_sql(model text, settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    levels int[] := rfm.levels(settings);
BEGIN
    RETURN format('rfm.compile_rules((SELECT array_agg(ROW(t.rule_order, t.segment, t.stage, t.r_min, t.r_max, t.f_min, t.f_max,'
        ' t.m_min, t.m_max)::rfm.segment_rule) FROM %I.segment_rules t), %s, %s, %s)', model, levels[1], levels[2], levels[3]);
END $$;
COMMENT ON FUNCTION rfm.rules_sql(text, rfm.settings) IS 'Internal. SQL that compiles the segment rules of a model.';

-- Every relation of a model that has a query, in the order in which they are made. Storage view computes in scored what
-- the other storages have in profiles and snapshot: the lines once, and of accounts and products only what is asked for.
CREATE FUNCTION rfm.view_queries(model text, settings rfm.settings, grouped boolean) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    live      boolean := s.storage = 'view';
    rules     text := CASE WHEN live THEN format('%L::rfm.rules', rfm.rules_in_force(model, s)) END;
    levels    int[] := rfm.levels(s);
    dims      text := coalesce((SELECT string_agg(format(', %I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)), '');
    breakdown text := concat_ws(', ',
        CASE WHEN s.accounts IS NOT NULL THEN '(''channel'', c.channel)' END,
        CASE WHEN s.products IS NOT NULL THEN '(''first_category'', c.first_category)' END,
        (SELECT string_agg(format('(%L, %s)', d, rfm.dimension_text(s.accounts, d, s.time_zone)), ', ' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)));
BEGIN
    name := 'valid_lines';
    query := rfm.valid_lines_query(s);
    RETURN NEXT;

    IF s.accounts IS NOT NULL THEN
        name := 'unique_accounts';
        query := rfm.unique_accounts_query(s);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'unique_products';
        query := rfm.unique_products_query(s);
        RETURN NEXT;
    END IF;

    name := 'profiles_source';
    query := rfm.profiles_query(model, s, format('(%s) p', rfm.profile_rows_query(model, s, grouped)));
    RETURN NEXT;

    IF NOT live THEN
        name := 'profiles';
        query := format('SELECT * FROM %I.profiles_source', model);
        RETURN NEXT;

        name := 'snapshot';
        query := rfm.snapshot_query(s, format('%I.profiles', model), rfm.rules_sql(model, s));
        RETURN NEXT;
    END IF;

    name := 'segment_list';
    query := format('SELECT x.segment, x.segment_rank, x.stage, x.m_min, x.m_max FROM %s',
        CASE WHEN live THEN format('rfm.rule_segments(%s) x', rules)
             ELSE format('%I.snapshot s, LATERAL rfm.rule_segments(s.rules) x', model) END);
    RETURN NEXT;

    name := 'scored';
    query := CASE WHEN live THEN format('WITH p AS MATERIALIZED (%s), s AS (%s) ', rfm.profile_rows_query(model, s, grouped),
                                        rfm.snapshot_query(s, format('(%s)', rfm.profiles_query(model, s, 'p')), rules)) ELSE '' END
        || format('SELECT p.customer_id, p.channel, p.signed_up_at, p.has_account, p.first_order_at, p.first_order_until,'
        ' p.second_order_at, p.last_order_at, p.orders, p.lines, p.revenue, p.first_order_revenue, p.first_product_id,'
        ' p.first_category, p.sessions_after_purchase, p.return_sessions, s.as_of_date - p.last_order_date AS recency_days,'
        ' rfm.recency_score(s.as_of_date - p.last_order_date, s.recency_cutoffs) AS r,'
        ' rfm.frequency_score(p.orders, s.frequency_cutoffs) AS f,'
        ' rfm.monetary_score(p.revenue, s.monetary_cutoffs) AS m,'
        ' rfm.rfm_score(%1$s) AS rfm_score,'
        ' rfm.segment_of(rfm.rfm_score(%1$s), s.rules) AS segment,'
        ' rfm.segment_rank(rfm.rfm_score(%1$s), s.rules) AS segment_rank,'
        ' rfm.segment_stage(rfm.rfm_score(%1$s), s.rules) AS stage,'
        ' s.as_of, s.refreshed_at, s.registered, s.unassigned_revenue%2$s FROM %3$s p CROSS JOIN %4$s s',
        's.as_of_date - p.last_order_date, p.orders, p.revenue, s.monetary_cutoffs, s.recency_cutoffs, s.frequency_cutoffs',
        (SELECT string_agg(format(', p.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)),
        CASE WHEN live THEN format('(%s)', rfm.profiles_query(model, s, 'p')) ELSE format('%I.profiles', model) END,
        CASE WHEN live THEN 's' ELSE format('%I.snapshot', model) END);
    RETURN NEXT;

    name := 'customers';
    query := format($q$
        SELECT customer_id, channel, signed_up_at, first_order_at, second_order_at, last_order_at, orders, lines, revenue,
               revenue / orders AS average_order_value, first_product_id, first_category, recency_days, r, f, m, rfm_score,
               segment, segment_rank, sessions_after_purchase, return_sessions,
               CASE WHEN return_sessions = 0 THEN '0' WHEN return_sessions = 1 THEN '1' WHEN return_sessions <= 3 THEN '2-3'
                    WHEN return_sessions <= 5 THEN '4-5' WHEN return_sessions > 5 THEN '6+' END AS activity_level%2$s
        FROM %1$I.scored
        WHERE orders > 0 $q$, model, dims);
    RETURN NEXT;

    name := 'overview';
    query := format($q$
        WITH ranked AS (
            SELECT orders, revenue, stage, has_account AND first_order_at IS NOT NULL AS has_bought,
                   as_of, refreshed_at, registered, unassigned_revenue, orders > 0 AS is_customer,
                   row_number() OVER (PARTITION BY orders > 0 ORDER BY revenue DESC) AS place,
                   count(*) OVER (PARTITION BY orders > 0) AS places
            FROM %1$I.scored),
        summed AS (
            SELECT max(as_of) AS as_of, max(refreshed_at) AS refreshed_at, max(registered) AS registered,
                   count(*) FILTER (WHERE is_customer) AS customers,
                   max(registered) - count(*) FILTER (WHERE has_bought) AS prospects,
                   coalesce(sum(orders) FILTER (WHERE is_customer), 0)::bigint AS orders,
                   coalesce(sum(revenue) FILTER (WHERE is_customer), 0) AS revenue,
                   coalesce(max(unassigned_revenue), 0) AS unassigned_revenue,
                   count(*) FILTER (WHERE is_customer AND orders >= 2) AS repurchased,
                   count(*) FILTER (WHERE is_customer AND stage = 'vip') AS vips,
                   count(*) FILTER (WHERE is_customer AND stage = 'risk') AS at_risk,
                   coalesce(sum(revenue) FILTER (WHERE is_customer AND stage = 'risk'), 0) AS revenue_at_risk,
                   sum(revenue) FILTER (WHERE is_customer AND place <= (places + 4) / 5) AS top20_revenue
            FROM ranked)
        SELECT as_of, refreshed_at, registered, customers, prospects, orders, revenue, unassigned_revenue,
               revenue / nullif(customers, 0) AS average_revenue,
               orders::numeric / nullif(customers, 0) AS average_orders,
               (repurchased::numeric / nullif(customers, 0))::float8 AS repurchase_rate,
               (vips::numeric / nullif(customers, 0))::float8 AS vip_share,
               (at_risk::numeric / nullif(customers, 0))::float8 AS churn_risk_share,
               (revenue_at_risk / nullif(revenue, 0))::float8 AS churn_risk_revenue_share,
               (top20_revenue / nullif(revenue, 0))::float8 AS top20_revenue_share,
               NULL::float8 AS margin_rate
        FROM summed $q$, model);
    RETURN NEXT;

    name := 'segments';
    query := format($q$
        WITH grouped AS (
            SELECT segment_rank, count(*) AS customers, sum(revenue) AS revenue, avg(revenue) AS average_revenue,
                   avg(recency_days) AS average_recency_days, avg(orders) AS average_orders,
                   avg(r) AS average_r, avg(f) AS average_f, avg(m) AS average_m
            FROM %1$I.customers GROUP BY segment_rank)
        SELECT l.segment, l.segment_rank, l.stage, coalesce(g.customers, 0) AS customers,
               (coalesce(g.customers, 0) / nullif(sum(g.customers) OVER (), 0))::float8 AS customer_share,
               coalesce(g.revenue, 0) AS revenue,
               (coalesce(g.revenue, 0) / nullif(sum(g.revenue) OVER (), 0))::float8 AS revenue_share,
               g.average_revenue, g.average_recency_days, g.average_orders, g.average_r, g.average_f, g.average_m
        FROM %1$I.segment_list l LEFT JOIN grouped g USING (segment_rank)
        ORDER BY l.segment_rank $q$, model);
    RETURN NEXT;

    name := 'segment_breakdown';
    query := format($q$
        SELECT c.segment, c.segment_rank, d.dimension, d.value, count(*) AS customers,
               (count(*) / sum(count(*)) OVER (PARTITION BY d.dimension, d.value))::float8 AS customer_share,
               sum(c.revenue) AS revenue, avg(c.revenue) AS average_revenue
        FROM %1$I.customers c CROSS JOIN LATERAL (%2$s) AS d(dimension, value)
        GROUP BY c.segment, c.segment_rank, d.dimension, d.value $q$, model,
        CASE WHEN breakdown = '' THEN 'SELECT NULL::text, NULL::text WHERE false' ELSE 'VALUES ' || breakdown END);
    RETURN NEXT;

    name := 'score_cells';
    query := format($q$
        WITH grouped AS (
            SELECT rfm_score, count(*) AS customers, sum(revenue) AS revenue FROM %1$I.customers GROUP BY rfm_score)
        SELECT r::smallint AS r, f::smallint AS f, m::smallint AS m, rfm.segment_of(r * 100 + f * 10 + m, s.rules) AS segment,
               coalesce(g.customers, 0) AS customers, coalesce(g.revenue, 0) AS revenue
        FROM %2$s s CROSS JOIN generate_series(1, %3$s) r CROSS JOIN generate_series(1, %4$s) f CROSS JOIN generate_series(1, %5$s) m
        LEFT JOIN grouped g ON g.rfm_score = r * 100 + f * 10 + m
        ORDER BY r, f, m $q$, model,
        CASE WHEN live THEN format('(SELECT %s AS rules)', rules) ELSE format('%I.snapshot', model) END,
        levels[1], levels[2], levels[3]);
    RETURN NEXT;

    name := 'pareto';
    query := format($q$
        WITH ranked AS (
            SELECT revenue, row_number() OVER (ORDER BY revenue DESC) AS place, count(*) OVER () AS places FROM %1$I.customers),
        grouped AS (
            SELECT (place - 1) * 100 / places + 1 AS customer_percentile, count(*) AS customers, sum(revenue) AS revenue
            FROM ranked GROUP BY 1)
        SELECT p::int AS customer_percentile, coalesce(g.customers, 0) AS customers, coalesce(g.revenue, 0) AS revenue,
               (coalesce(g.revenue, 0) / nullif(sum(g.revenue) OVER (), 0))::float8 AS revenue_share,
               (coalesce(sum(g.revenue) OVER (ORDER BY p), 0) / nullif(sum(g.revenue) OVER (), 0))::float8 AS cumulative_revenue_share
        FROM generate_series(1, 100) p LEFT JOIN grouped g ON g.customer_percentile = p
        ORDER BY p $q$, model);
    RETURN NEXT;

    name := 'churn_risk';
    query := format($q$
        SELECT segment, segment_rank,
               CASE WHEN stage IN ('vip', 'loyal', 'promising') THEN 'growth' WHEN stage = 'attention' THEN 'attention'
                    WHEN stage = 'risk' THEN 'churn risk' ELSE 'other' END AS risk_group,
               customers, customer_share, revenue, revenue_share
        FROM %1$I.segments
        ORDER BY segment_rank $q$, model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.view_queries(text, rfm.settings, boolean) IS 'Internal. The views of a model in the order in which they are made, with their SQL.';

-- Comments: relation, column (NULL: the relation itself), text. The dimensions are added by comment_model.
CREATE FUNCTION rfm.view_comments() RETURNS TABLE (relation text, column_name text, comment text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
    ('settings', NULL, 'The settings of this model, one row; NULL stands for the default. Change them with rfm.configure_model; they take effect at the next refresh.'),
    ('segment_rules', NULL, 'The segment rules of this model: the first rule, by rule_order, that holds a customer''s scores names his segment. Edit them; they take effect at the next refresh.'),
    ('segment_rules', 'rule_order', 'Place in the order in which the rules are tried.'),
    ('segment_rules', 'segment', 'Name of the segment, 1 to 63 bytes. Several rules may share it.'),
    ('segment_rules', 'stage', 'What the segment is to the analyses: vip, loyal, promising, attention, risk or other.'),
    ('segment_rules', 'r_min', 'Smallest recency score, 1 to 9.'),
    ('segment_rules', 'r_max', 'Greatest recency score, 1 to 9.'),
    ('segment_rules', 'f_min', 'Smallest frequency score, 1 to 9.'),
    ('segment_rules', 'f_max', 'Greatest frequency score, 1 to 9.'),
    ('segment_rules', 'm_min', 'Smallest monetary score, 1 to 9.'),
    ('segment_rules', 'm_max', 'Greatest monetary score, 1 to 9.'),
    ('refresh_log', NULL, 'The refreshes of this model, one row each.'),
    ('refresh_log', 'refresh_id', 'Number of the refresh, ascending.'),
    ('refresh_log', 'started_at', 'When it started.'),
    ('refresh_log', 'finished_at', 'When it ended, well or not; NULL while it runs, or when the server died.'),
    ('refresh_log', 'mode', 'full.'),
    ('refresh_log', 'reason', 'Why it ran in this mode.'),
    ('refresh_log', 'customers', 'Customers afterwards; NULL with storage view.'),
    ('refresh_log', 'changed', 'Profiles written or removed; NULL unless storage is table.'),
    ('refresh_log', 'as_of', 'Moment the snapshot stands for; NULL with storage view.'),
    ('refresh_log', 'error', 'What went wrong; NULL when nothing did. The old snapshot then stays.'),
    ('order_lines', NULL, 'Internal. The order lines of thelook, with the columns that a model reads.'),
    ('accounts', NULL, 'Internal. The accounts of thelook, with the columns that a model reads.'),
    ('products', NULL, 'Internal. The products of thelook, with the columns that a model reads.'),
    ('visits', NULL, 'Internal. The visits of thelook, with the columns that a model reads.'),
    ('compiled_views', NULL, 'Internal. The SQL that the views of this model were made of.'),
    ('valid_lines', NULL, 'Internal. The order lines without excluded statuses.'),
    ('unique_accounts', NULL, 'Internal. The accounts, one row per customer_id.'),
    ('unique_products', NULL, 'Internal. The products, one row per product_id.'),
    ('profiles_source', NULL, 'Internal. The profiles as they are now; the row without customer_id sums up lines without customer.'),
    ('profiles', NULL, 'Internal. The profiles as of the last refresh; the row without customer_id sums up lines without customer.'),
    ('snapshot', NULL, 'Internal. One row: as of when, the cut points and the rules in force.'),
    ('segment_list', NULL, 'Internal. The segments of the rules in force.'),
    ('scored', NULL, 'Internal. The profiles with their scores, also of those without a purchase in the window.'),

    ('customers', NULL, 'The customers: everyone with a purchase in the window, with scores and segment. One row per customer.'),
    ('customers', 'customer_id', 'The customer, as in the order lines.'),
    ('customers', 'channel', 'Channel the account came from. NULL: unknown, or the model has no accounts.'),
    ('customers', 'signed_up_at', 'When the account was made. NULL: unknown, or the model has no accounts.'),
    ('customers', 'first_order_at', 'First purchase line of the first order, of all time.'),
    ('customers', 'second_order_at', 'First purchase line of the second order, of all time. NULL: there is none.'),
    ('customers', 'last_order_at', 'Last purchase line.'),
    ('customers', 'orders', 'Distinct orders with a purchase in the window.'),
    ('customers', 'lines', 'Purchase lines in the window.'),
    ('customers', 'revenue', 'Sum of the amounts in the window, refunds subtracted; may be negative. Money of the order lines.'),
    ('customers', 'average_order_value', 'revenue divided by orders. Money of the order lines.'),
    ('customers', 'first_product_id', 'Product of the greatest purchase line of the first order. NULL: unknown.'),
    ('customers', 'first_category', 'Category of first_product_id. NULL: unknown, or the model has no products.'),
    ('customers', 'recency_days', 'Days from the local date of the last purchase to that of as_of.'),
    ('customers', 'r', 'Recency score, from 1 (long ago) to 5 (recent) by default.'),
    ('customers', 'f', 'Frequency score, from 1 to 5 by default; by default 3 is one order, 4 two, 5 more.'),
    ('customers', 'm', 'Monetary score, from 1 to 5 by default; 5 is the richest 5 percent.'),
    ('customers', 'rfm_score', 'The three scores as digits, for example 543.'),
    ('customers', 'segment', 'Segment by the rules in force.'),
    ('customers', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('customers', 'sessions_after_purchase', 'Distinct sessions with a visit after the first purchase line. NULL: not computed.'),
    ('customers', 'return_sessions', 'Distinct sessions with a visit after the last line of the first order. NULL: not computed.'),
    ('customers', 'activity_level', 'return_sessions in groups: 0, 1, 2-3, 4-5, 6+. NULL: not computed.'),

    ('overview', NULL, 'The key figures of the model, one row.'),
    ('overview', 'as_of', 'Moment the figures stand for.'),
    ('overview', 'refreshed_at', 'When they were computed.'),
    ('overview', 'registered', 'Accounts. NULL: the model has no accounts.'),
    ('overview', 'customers', 'Customers with a purchase in the window.'),
    ('overview', 'prospects', 'Accounts that never bought. NULL: the model has no accounts.'),
    ('overview', 'orders', 'Orders of the customers in the window.'),
    ('overview', 'revenue', 'Revenue of the customers in the window, refunds subtracted. Money of the order lines.'),
    ('overview', 'unassigned_revenue', 'Revenue of lines without customer, in no other figure. Money of the order lines.'),
    ('overview', 'average_revenue', 'Revenue per customer. NULL: no customers.'),
    ('overview', 'average_orders', 'Orders per customer. NULL: no customers.'),
    ('overview', 'repurchase_rate', 'Customers with at least two orders in the window, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'vip_share', 'Customers in segments of stage vip, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'churn_risk_share', 'Customers in segments of stage risk, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'churn_risk_revenue_share', 'Revenue of customers in segments of stage risk, as a share 0-1 of all. NULL: no revenue.'),
    ('overview', 'top20_revenue_share', 'Revenue of the richest 20 percent of the customers (rounded up), as a share 0-1 of all. NULL: no revenue.'),
    ('overview', 'margin_rate', 'Margin as a share 0-1 of revenue. NULL: not computed.'),

    ('segments', NULL, 'The segments of the rules in force, empty ones too. One row per segment.'),
    ('segments', 'segment', 'Name of the segment.'),
    ('segments', 'segment_rank', 'Place among the rules, from 1.'),
    ('segments', 'stage', 'What the segment is: vip, loyal, promising, attention, risk or other.'),
    ('segments', 'customers', 'Customers in the segment.'),
    ('segments', 'customer_share', 'Share 0-1 of all customers. NULL: no customers.'),
    ('segments', 'revenue', 'Revenue of the segment. Money of the order lines.'),
    ('segments', 'revenue_share', 'Share 0-1 of all revenue. NULL: no revenue.'),
    ('segments', 'average_revenue', 'Revenue per customer. NULL: no customers.'),
    ('segments', 'average_recency_days', 'Average days since the last purchase. NULL: no customers.'),
    ('segments', 'average_orders', 'Average number of orders. NULL: no customers.'),
    ('segments', 'average_r', 'Average recency score. NULL: no customers.'),
    ('segments', 'average_f', 'Average frequency score. NULL: no customers.'),
    ('segments', 'average_m', 'Average monetary score. NULL: no customers.'),

    ('segment_breakdown', NULL, 'The segments by channel, first category and the dimensions of the model. One row per segment, dimension and value that occur together.'),
    ('segment_breakdown', 'segment', 'Name of the segment.'),
    ('segment_breakdown', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('segment_breakdown', 'dimension', 'channel, first_category, or a dimension of the settings.'),
    ('segment_breakdown', 'value', 'Value of the dimension, as text. NULL: unknown.'),
    ('segment_breakdown', 'customers', 'Customers of the segment with this value.'),
    ('segment_breakdown', 'customer_share', 'Share 0-1 of all customers with this value.'),
    ('segment_breakdown', 'revenue', 'Their revenue. Money of the order lines.'),
    ('segment_breakdown', 'average_revenue', 'Their revenue per customer.'),

    ('score_cells', NULL, 'The cube of scores, every cell, empty ones too. One row per r, f and m.'),
    ('score_cells', 'r', 'Recency score.'),
    ('score_cells', 'f', 'Frequency score.'),
    ('score_cells', 'm', 'Monetary score.'),
    ('score_cells', 'segment', 'Segment of the cell by the rules in force.'),
    ('score_cells', 'customers', 'Customers in the cell.'),
    ('score_cells', 'revenue', 'Their revenue. Money of the order lines.'),

    ('pareto', NULL, 'How revenue gathers among the richest customers. One row per percent of the customers, richest first.'),
    ('pareto', 'customer_percentile', 'Percent of the customers, from 1 (the richest) to 100; the first p hold the richest p percent, rounded up.'),
    ('pareto', 'customers', 'Customers of this percent.'),
    ('pareto', 'revenue', 'Their revenue. Money of the order lines.'),
    ('pareto', 'revenue_share', 'Share 0-1 of all revenue. NULL: no revenue.'),
    ('pareto', 'cumulative_revenue_share', 'Share of all revenue up to this percent; above 1 on the way where customers have negative revenue. NULL: no revenue.'),

    ('churn_risk', NULL, 'The segments by what threatens them. One row per segment.'),
    ('churn_risk', 'segment', 'Name of the segment.'),
    ('churn_risk', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('churn_risk', 'risk_group', 'growth (stages vip, loyal, promising), attention, churn risk (stage risk) or other.'),
    ('churn_risk', 'customers', 'Customers in the segment.'),
    ('churn_risk', 'customer_share', 'Share 0-1 of all customers. NULL: no customers.'),
    ('churn_risk', 'revenue', 'Revenue of the segment. Money of the order lines.'),
    ('churn_risk', 'revenue_share', 'Share 0-1 of all revenue. NULL: no revenue.'))
    AS c(relation, column_name, comment);
END;
COMMENT ON FUNCTION rfm.view_comments() IS 'Internal. The comments on the relations and columns of a model.';
