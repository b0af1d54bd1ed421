-- 70_analyses: the views of a model, in the order of the data flow, each reading the ones before.

CREATE FUNCTION rfm.own_columns() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{customer_id,channel,signed_up_at,first_order_at,second_order_at,last_order_at,orders,lines,revenue,average_order_value,first_product_id,first_category,recency_days,r,f,m,rfm_score,segment,segment_rank,sessions_after_purchase,return_sessions,activity_level,has_account,first_order_until,first_order_date,second_order_date,first_brand,first_product,margin_rate,cohorts,ledger,next_change_at,window_line_at,segment_since,last_order_date,first_order_revenue,as_of,as_of_date,refreshed_at,registered,unassigned_revenue,recency_cutoffs,frequency_cutoffs,monetary_cutoffs,rules,stage,old,is_new,next_hash,ctid,tallied_rank,has_second_order,days_watched,revenue_after_first_order,days_to_first_order,xmin,xmax,cmin,cmax,tableoid}'::text[];
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
    RETURN rfm.snapshot_row_query(s, rules_sql, format(
        'SELECT max(h.as_of) AS as_of, rfm.local_date(max(h.as_of), %L) AS as_of_date, max(h.registered) AS registered,'
        ' sum(h.revenue) FILTER (WHERE h.customer_id IS NULL) AS unassigned_revenue,'
        ' count(*) FILTER (WHERE h.orders > 0) AS customers, max(h.last_order_date) AS last_order_date,'
        ' rfm.margin_rate(h.ledger) FILTER (WHERE h.customer_id IS NOT NULL) AS margin_rate,'
        ' rfm.cohorts(h.first_order_date, h.ledger) FILTER (WHERE h.customer_id IS NOT NULL) AS cohorts%s%s%s FROM %s h',
        s.time_zone,
        CASE WHEN s.recency_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(date ''2000-01-01'' - h.last_order_date, %s)'
            ' FILTER (WHERE h.orders > 0) AS recency', rfm.array_sql(s.recency_fractions)) END,
        CASE WHEN s.frequency_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(h.orders, %s)'
            ' FILTER (WHERE h.orders > 0) AS frequency', rfm.array_sql(s.frequency_fractions)) END,
        CASE WHEN s.monetary_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(h.revenue, %s)'
            ' FILTER (WHERE h.orders > 0) AS monetary', rfm.array_sql(s.monetary_fractions)) END,
        profiles));
END $$;
COMMENT ON FUNCTION rfm.snapshot_query(rfm.settings, text, text) IS 'Internal. SQL of the one row of the snapshot over a relation of profiles.';

-- What was counted of the profiles, c, in the columns of the snapshot.
CREATE FUNCTION rfm.snapshot_row_query(settings rfm.settings, rules_sql text, counted text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format(
        'SELECT c.as_of, c.as_of_date, now() AS refreshed_at, c.registered, c.unassigned_revenue,'
        ' %s AS recency_cutoffs, %s AS frequency_cutoffs, %s AS monetary_cutoffs, %s AS rules, c.margin_rate, c.cohorts, c.customers, c.last_order_date'
        ' FROM (%s) c',
        CASE WHEN s.recency_fractions IS NULL THEN rfm.array_sql(s.recency_cutoffs)
             ELSE '(SELECT array_agg(u.days + (c.as_of_date - date ''2000-01-01'') ORDER BY u.i) FROM unnest(c.recency) WITH ORDINALITY u(days, i))' END,
        CASE WHEN s.frequency_fractions IS NULL THEN rfm.array_sql(s.frequency_cutoffs)
             ELSE '(SELECT array_agg(floor(u.orders) + 1 ORDER BY u.i) FROM unnest(c.frequency) WITH ORDINALITY u(orders, i))' END,
        CASE WHEN s.monetary_fractions IS NULL THEN rfm.array_sql(s.monetary_cutoffs) ELSE 'c.monetary' END,
        rules_sql, counted);
END $$;
COMMENT ON FUNCTION rfm.snapshot_row_query(rfm.settings, text, text) IS 'Internal. SQL of the one row of the snapshot from what was counted of the profiles, a query of one row.';

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

-- profiles, snapshot: SQL of relations. A view reads the columns of the stored snapshot one by one (snapshot: NULL), as
-- parameters: a join with it would have no parallel workers.
CREATE FUNCTION rfm.scored_query(model text, settings rfm.settings, profiles text, snapshot text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text := 'p.customer_id, p.channel, p.signed_up_at, p.has_account, p.first_order_at, p.first_order_until,'
        ' p.first_order_date, p.second_order_at, p.second_order_date, p.last_order_at, p.orders, p.lines, p.revenue,'
        ' p.first_order_revenue, p.first_product_id, p.first_category, p.first_brand, p.first_product, p.sessions_after_purchase,'
        ' p.return_sessions, s.as_of_date - p.last_order_date AS recency_days,'
        ' rfm.recency_score(s.as_of_date - p.last_order_date, s.recency_cutoffs) AS r,'
        ' rfm.frequency_score(p.orders, s.frequency_cutoffs) AS f,'
        ' rfm.monetary_score(p.revenue, s.monetary_cutoffs) AS m,'
        ' SCORE AS rfm_score,'
        ' rfm.segment_of(SCORE, s.rules) AS segment,'
        ' rfm.segment_rank(SCORE, s.rules) AS segment_rank,'
        ' rfm.segment_stage(SCORE, s.rules) AS stage,'
        ' s.margin_rate, CASE WHEN p.customer_id IS NULL THEN s.cohorts END AS cohorts, p.segment_since,'
        ' s.as_of, s.as_of_date, s.refreshed_at, s.registered, s.unassigned_revenue';
BEGIN
    columns := replace(columns, 'SCORE',
        'rfm.rfm_score(s.as_of_date - p.last_order_date, p.orders, p.revenue, s.monetary_cutoffs, s.recency_cutoffs, s.frequency_cutoffs)');
    IF snapshot IS NULL THEN
        columns := regexp_replace(columns, E'\\ms\\.(\\w+)', format(E'(SELECT s.\\1 FROM %s s)', replace(quote_ident(model), E'\\', E'\\\\') || '.snapshot'), 'g');
    END IF;
    RETURN format('SELECT %s%s FROM %s p%s', columns,
        (SELECT string_agg(format(', p.%I', d), '' ORDER BY i) FROM unnest(settings.dimensions) WITH ORDINALITY u(d, i)),
        profiles, ' CROSS JOIN ' || snapshot || ' s');
END $$;
COMMENT ON FUNCTION rfm.scored_query(text, rfm.settings, text, text) IS 'Internal. SQL of the profiles with their scores and the snapshot.';

-- The same from the lines, read once. rules: SQL of the rules; as_of: SQL of another moment than that of the settings.
CREATE FUNCTION rfm.live_scored_query(model text, settings rfm.settings, grouped boolean, rules text, as_of text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q record := rfm.all_profiles_query(model, settings, grouped, NULL, as_of);
BEGIN
    RETURN format('WITH p AS MATERIALIZED (%s), s AS (%s) %s', q.profile_rows,
        rfm.snapshot_query(settings, format('(%s)', q.profiles), rules), rfm.scored_query(model, settings, format('(%s)', q.profiles), 's'));
END $$;
COMMENT ON FUNCTION rfm.live_scored_query(text, rfm.settings, boolean, text, text) IS
    'Internal. SQL of the profiles with their scores as the lines give them now.';

-- SQL of what segment_breakdown breaks the segments down by, each with its name, in the order of their numbers.
CREATE FUNCTION rfm.breakdown_values(settings rfm.settings) RETURNS TABLE (number int, dimension text, value text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT row_number() OVER (ORDER BY i)::int, b.dimension, b.value
    FROM (SELECT -1, 'channel', 'c.channel' WHERE settings.accounts IS NOT NULL
          UNION ALL
          SELECT 0, 'first_category', 'c.first_category' WHERE settings.products IS NOT NULL
          UNION ALL
          SELECT u.i, u.d, rfm.dimension_text(settings.accounts, u.d, settings.time_zone)
          FROM unnest(settings.dimensions) WITH ORDINALITY u(d, i)) b(i, dimension, value);
END $$;
COMMENT ON FUNCTION rfm.breakdown_values(rfm.settings) IS 'Internal. The dimensions of segment_breakdown, with SQL of their values in a relation c.';

-- One row: all that the analyses need of the customers, from one scan of them. scored: SQL of a relation. Columns that
-- nobody asks for cost nothing. once: what is asked for several times of a customer is computed once, which is best where
-- all columns are asked for; without it parallel workers may help to read a view. The type of the OFFSET lets the planner
-- see before planning that it is 0. Who has no rank is in no tally.
CREATE FUNCTION rfm.summaries_query(settings rfm.settings, scored text, once boolean, distributed boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    -- Citus has no way to tell an aggregate the types of any arguments
    list      text := CASE WHEN distributed THEN 'ARRAY[' ELSE '' END;
    list_end  text := CASE WHEN distributed THEN ']::text[]' ELSE '' END;
    breakdown text := (SELECT string_agg(b.value, ', ' ORDER BY b.number) FROM rfm.breakdown_values(settings) b);
    gateway   text := CASE WHEN settings.products IS NULL THEN 'NULL::rfm.gateway_row[]' ELSE
        'rfm.gateway(c.%s, c.stage, c.revenue, c.revenue_after_first_order, c.days_watched, c.has_second_order, %s) FILTER (WHERE c.orders > 0)' END;
BEGIN
    RETURN format($q$
        SELECT max(c.as_of) FILTER (WHERE c.customer_id IS NULL) AS as_of,
               max(c.refreshed_at) FILTER (WHERE c.customer_id IS NULL) AS refreshed_at,
               max(c.registered) FILTER (WHERE c.customer_id IS NULL) AS registered,
               max(c.unassigned_revenue) FILTER (WHERE c.customer_id IS NULL) AS unassigned_revenue,
               max(c.margin_rate) FILTER (WHERE c.customer_id IS NULL) AS margin_rate,
               count(*) FILTER (WHERE c.has_account AND c.first_order_date IS NOT NULL) AS buyers,
               count(*) FILTER (WHERE c.orders > 0) AS customers,
               %10$s AS percents,
               rfm.kaplan_meier(c.days_watched, c.has_second_order) FILTER (WHERE c.first_order_date IS NOT NULL) AS survival,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.recency_days, %8$sc.rfm_score%9$s) AS cells,
               %2$s AS breakdown,
               -- no return session (1) or two or three (2), and a first and only order not older than 90 days (4)
               rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL,
                         %8$sCASE WHEN c.return_sessions = 0 THEN 1 WHEN c.return_sessions IN (2, 3) THEN 2 ELSE 0 END
                         + CASE WHEN NOT c.has_second_order AND c.days_watched < 90 THEN 4 ELSE 0 END%9$s) AS audiences,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.as_of_date - c.first_order_date,
                         %8$sCASE WHEN c.return_sessions <= 1 THEN c.return_sessions WHEN c.return_sessions <= 3 THEN 2
                              WHEN c.return_sessions <= 5 THEN 3 WHEN c.return_sessions > 5 THEN 4 END,
                         CASE WHEN c.sessions_after_purchase <= 1 THEN c.sessions_after_purchase WHEN c.sessions_after_purchase <= 3 THEN 2
                              WHEN c.sessions_after_purchase <= 5 THEN 3 WHEN c.sessions_after_purchase > 5 THEN 4 END%9$s) AS activity,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.days_watched,
                         %8$sCASE WHEN c.days_watched <= 7 THEN 1 WHEN c.days_watched <= 14 THEN 2 WHEN c.days_watched <= 30 THEN 3
                              WHEN c.days_watched <= 60 THEN 4 WHEN c.days_watched <= 90 THEN 5 ELSE 6 END%9$s)
                   FILTER (WHERE c.has_second_order) AS repurchases,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL,
                         %8$sCASE WHEN c.days_to_first_order < 0 THEN 1 WHEN c.days_to_first_order = 0 THEN 2 WHEN c.days_to_first_order <= 7 THEN 3
                              WHEN c.days_to_first_order <= 30 THEN 4 WHEN c.days_to_first_order <= 90 THEN 5 WHEN c.days_to_first_order <= 365 THEN 6 ELSE 7 END%9$s)
                   FILTER (WHERE c.signed_up_at IS NOT NULL) AS first_purchases,
               %3$s AS categories, %4$s AS brands, %5$s AS products
        FROM (SELECT *, CASE WHEN orders > 0 THEN segment_rank END AS tallied_rank, second_order_date IS NOT NULL AS has_second_order,
                     coalesce(second_order_date, as_of_date) - first_order_date AS days_watched, revenue - first_order_revenue AS revenue_after_first_order,
                     first_order_date - rfm.local_date(signed_up_at, %6$L) AS days_to_first_order
              FROM %1$s%7$s) c $q$,
        scored, coalesce('rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL, ' || list || breakdown || list_end || ')', 'NULL::rfm.tally_row[]'),
        format(gateway, 'first_category', 1), format(gateway, 'first_brand', 30), format(gateway, 'first_product', 30), s.time_zone,
        CASE WHEN once THEN ' OFFSET bigint ''0''' END, list, list_end,
        CASE WHEN distributed THEN 'NULL::numeric[]' ELSE 'rfm.percent_sums(c.revenue) FILTER (WHERE c.orders > 0)' END);
END $$;
COMMENT ON FUNCTION rfm.summaries_query(rfm.settings, text, boolean, boolean) IS 'Internal. SQL of the one row of summaries over profiles with scores. distributed: of sums that the workers of Citus make, without the percents.';

CREATE FUNCTION rfm.summaries_query(settings rfm.settings, scored text, once boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.summaries_query(settings, scored, once, false);
END $$;
COMMENT ON FUNCTION rfm.summaries_query(rfm.settings, text, boolean) IS 'Internal. SQL of the one row of summaries over profiles with scores.';

-- What needs no more of the customers than sums by score reads these. Live, the one pass over the lines answers them from
-- memory: no row per customer is made. rules: SQL of the rules, for storage view.
CREATE FUNCTION rfm.cell_sums_query(model text, settings rfm.settings, grouped boolean, rules text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s     rfm.settings := settings;
    as_of text := rfm.as_of_sql(s);
BEGIN
    RETURN format('SELECT c.rfm_score, rfm.segment_rank(c.rfm_score, %s) AS segment_rank, c.customers, c.recency_days, c.orders, c.revenue FROM %s',
        coalesce(rules, 's.rules'),
        CASE WHEN s.storage = 'view' AND NOT grouped THEN format(
            '(SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount, NULL::bigint, %1$s, %2$s, %3$L, NULL, NULL) AS profiles'
            ' FROM %4$I.valid_lines l) g, LATERAL rfm.cell_sums(g.profiles, rfm.local_date(%2$s, %3$L), %3$L,'
            ' %5$s, %6$s, %7$s, %8$s, %9$s, %10$s) c',
            rfm.window_start_sql(s, as_of), as_of, s.time_zone, model,
            rfm.array_sql(s.recency_cutoffs), rfm.array_sql(s.recency_fractions), rfm.array_sql(s.frequency_cutoffs),
            rfm.array_sql(s.frequency_fractions), rfm.array_sql(s.monetary_cutoffs), rfm.array_sql(s.monetary_fractions))
        ELSE format('(SELECT c.value::smallint AS rfm_score, c.customers, c.days AS recency_days, c.orders, c.revenue'
            ' FROM %1$I.summaries, LATERAL unnest(cells) c) c%2$s', model,
            CASE WHEN rules IS NULL THEN format(', %I.snapshot s', model) END) END);
END $$;
COMMENT ON FUNCTION rfm.cell_sums_query(text, rfm.settings, boolean, text) IS 'Internal. SQL of the view cell_sums.';

-- Every relation of a model that has a query, in the order in which they are made. Storage view computes in scored what
-- the other storages have in profiles and snapshot: the lines once, and of accounts and products only what is asked for.
CREATE FUNCTION rfm.view_queries(model text, settings rfm.settings, grouped boolean) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    live      boolean := s.storage = 'view';
    distributed boolean := rfm.is_distributed(s);
    rules     text := CASE WHEN live THEN format('%L::rfm.rules', rfm.rules_in_force(model, s)) END;
BEGIN
    name := 'valid_lines';
    query := rfm.valid_lines_query(s, rfm.as_of_sql(s));
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
    query := (SELECT format('WITH p AS (%s) %s', q.profile_rows, q.profiles) FROM rfm.all_profiles_query(model, s, grouped) q);
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

    IF live AND distributed THEN
        name := 'scored_source';
        query := rfm.live_scored_query(model, s, grouped, rules);
        RETURN NEXT;
    END IF;

    name := 'scored';
    query := CASE WHEN live AND distributed THEN 'SELECT * FROM ' || rfm.apart_sql(model, 'scored_source')
                  WHEN live THEN rfm.live_scored_query(model, s, grouped, rules)
                  -- Citus has workers of its own, and reads the snapshot once for all columns
                  ELSE rfm.scored_query(model, s, format('%I.profiles', model), CASE WHEN distributed THEN format('%I.snapshot', model) END) END;
    RETURN NEXT;

    -- those of a large model that was refreshed incrementally are not stored
    IF s.storage = 'table' THEN
        name := 'stored_summaries';
        query := rfm.summaries_query(s, format('%I.scored', model), true);
        RETURN NEXT;
    END IF;

    name := 'summaries';
    query := rfm.summaries_query(s, format('%I.scored', model), live);
    IF s.storage = 'table' THEN
        query := format(CASE WHEN distributed THEN 'SELECT * FROM %1$I.stored_summaries'
            ELSE 'SELECT * FROM %1$I.stored_summaries UNION ALL SELECT * FROM (%2$s) l WHERE NOT EXISTS (SELECT FROM %1$I.stored_summaries)' END, model, query);
    END IF;
    RETURN NEXT;

    name := 'cell_sums';
    query := rfm.cell_sums_query(model, s, grouped, rules);
    RETURN NEXT;

    IF s.storage = 'table' THEN
        name := 'segment_history';
        query := format('SELECT %4$s AS %2$s FROM %1$I.segment_changes UNION ALL SELECT %4$s AS %3$s FROM %1$I.scored WHERE orders > 0', model,
                        rfm.history_columns('valid_from', 'valid_to'), rfm.history_columns('segment_since', 'NULL::timestamptz'), rfm.bytewise_sql(s, 'customer_id'));
        RETURN NEXT;
    END IF;

    RETURN QUERY SELECT * FROM rfm.analysis_queries(model, s, rules);
    RETURN QUERY SELECT * FROM rfm.campaign_queries(model);
END $$;
COMMENT ON FUNCTION rfm.view_queries(text, rfm.settings, boolean) IS 'Internal. The views of a model in the order in which they are made, with their SQL.';

CREATE FUNCTION rfm.activity_level(return_sessions bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN return_sessions OPERATOR(pg_catalog.<=) 1 THEN return_sessions::text
                WHEN return_sessions OPERATOR(pg_catalog.<=) 3 THEN '2-3'
                WHEN return_sessions OPERATOR(pg_catalog.<=) 5 THEN '4-5'
                WHEN return_sessions OPERATOR(pg_catalog.>) 5 THEN '6+' END;
COMMENT ON FUNCTION rfm.activity_level(bigint) IS 'A number of sessions in groups: 0, 1, 2-3, 4-5, 6+. NULL for NULL. Example: SELECT rfm.activity_level(3);';

CREATE FUNCTION rfm.months_between(earlier date, later date) RETURNS int
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (pg_catalog.date_part('year', later) OPERATOR(pg_catalog.-) pg_catalog.date_part('year', earlier))::int OPERATOR(pg_catalog.*) 12
           OPERATOR(pg_catalog.+) (pg_catalog.date_part('month', later) OPERATOR(pg_catalog.-) pg_catalog.date_part('month', earlier))::int;
COMMENT ON FUNCTION rfm.months_between(date, date) IS 'Internal. The number of calendar months between the months of two dates. NULL for NULL.';

CREATE FUNCTION rfm.sample_variance(n bigint, total numeric, total_squares numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN n OPERATOR(pg_catalog.>) 1
                THEN GREATEST(0::numeric, (n::numeric OPERATOR(pg_catalog.*) total_squares) OPERATOR(pg_catalog.-) (total OPERATOR(pg_catalog.*) total))
                     OPERATOR(pg_catalog./) (n::numeric OPERATOR(pg_catalog.*) (n OPERATOR(pg_catalog.-) 1)::numeric) END;
COMMENT ON FUNCTION rfm.sample_variance(bigint, numeric, numeric) IS 'Internal. The sample variance of n numbers from their sum and the sum of their squares. NULL with fewer than two.';

CREATE FUNCTION rfm.customers_query(settings rfm.settings, scored text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format($q$
        SELECT %3$s AS customer_id, channel, signed_up_at, first_order_at, second_order_at, last_order_at, orders, lines, revenue,
               revenue / orders AS average_order_value, first_product_id, first_category, recency_days, r, f, m, rfm_score,
               segment, segment_rank, sessions_after_purchase, return_sessions,
               rfm.activity_level(return_sessions) AS activity_level%2$s
        FROM %1$s
        WHERE orders > 0 $q$, scored,
        (SELECT string_agg(format(', %I', d), '' ORDER BY i) FROM unnest(settings.dimensions) WITH ORDINALITY u(d, i)),
        rfm.bytewise_sql(settings, 'customer_id'));
END $$;
COMMENT ON FUNCTION rfm.customers_query(rfm.settings, text) IS 'Internal. SQL of the view customers over a relation of profiles with scores.';

-- The views that answer questions, one each, over the layers. rules: SQL of the rules, for storage view.
CREATE FUNCTION rfm.analysis_queries(model text, settings rfm.settings, rules text) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    live      boolean := s.storage = 'view';
    levels    int[] := rfm.levels(s);
    breakdown text := (SELECT string_agg(format('(%s, %L)', b.number, b.dimension), ', ' ORDER BY b.number) FROM rfm.breakdown_values(settings) b);
BEGIN
    name := 'customers';
    query := rfm.customers_query(s, format('%I.scored', model));
    RETURN NEXT;

    name := 'overview';
    query := format($q$
        WITH s AS MATERIALIZED (
            SELECT as_of, refreshed_at, registered, customers, buyers, unassigned_revenue, margin_rate, cells, percents FROM %1$I.summaries),
        -- by itself: a lateral sub-select joined with a distributed table is more than Citus can plan
        t AS (
            SELECT sum(c.customers) AS customers, sum(c.orders) AS orders, sum(c.revenue) AS revenue, sum(c.repurchased) AS repurchased,
                   sum(c.customers) FILTER (WHERE l.stage = 'vip') AS vips, sum(c.customers) FILTER (WHERE l.stage = 'risk') AS at_risk,
                   sum(c.revenue) FILTER (WHERE l.stage = 'risk') AS revenue_at_risk
            FROM s CROSS JOIN LATERAL unnest(s.cells) c JOIN %1$I.segment_list l USING (segment_rank)),
        p AS (SELECT sum(x) AS top20 FROM s CROSS JOIN LATERAL unnest(s.percents[:20]) x)
        SELECT s.as_of, s.refreshed_at, s.registered, s.customers, s.registered - s.buyers AS prospects,
               coalesce(t.orders, 0)::bigint AS orders, coalesce(t.revenue, 0) AS revenue, coalesce(s.unassigned_revenue, 0) AS unassigned_revenue,
               t.revenue / t.customers AS average_revenue, t.orders / t.customers AS average_orders,
               (t.repurchased / t.customers)::float8 AS repurchase_rate,
               (coalesce(t.vips, 0) / t.customers)::float8 AS vip_share,
               (coalesce(t.at_risk, 0) / t.customers)::float8 AS churn_risk_share,
               (coalesce(t.revenue_at_risk, 0) / nullif(t.revenue, 0))::float8 AS churn_risk_revenue_share,
               (p.top20 / nullif(t.revenue, 0))::float8 AS top20_revenue_share,
               s.margin_rate
        FROM s CROSS JOIN t CROSS JOIN p $q$, model);
    RETURN NEXT;

    name := 'segments';
    query := format($q$
        WITH grouped AS (
            SELECT segment_rank, sum(customers)::bigint AS customers, sum(revenue) AS revenue, sum(revenue) / sum(customers) AS average_revenue,
                   sum(recency_days) / sum(customers) AS average_recency_days, sum(orders) / sum(customers) AS average_orders,
                   sum(rfm_score / 100 * customers) / sum(customers) AS average_r,
                   sum(rfm_score / 10 %% 10 * customers) / sum(customers) AS average_f,
                   sum(rfm_score %% 10 * customers) / sum(customers) AS average_m
            FROM %1$I.cell_sums GROUP BY segment_rank)
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
        SELECT l.segment, t.segment_rank, d.dimension, t.value COLLATE "C" AS value, t.customers,
               (t.customers / sum(t.customers) OVER (PARTITION BY t.dimension, t.value COLLATE "C"))::float8 AS customer_share,
               t.revenue, t.revenue / t.customers AS average_revenue
        FROM %1$I.summaries s
        CROSS JOIN LATERAL unnest(s.breakdown) t
        JOIN (VALUES %2$s) d(number, dimension) ON d.number = t.dimension
        JOIN %1$I.segment_list l USING (segment_rank) $q$, model, coalesce(breakdown, '(0, ''none'')'));
    RETURN NEXT;

    name := 'score_cells';
    query := format($q$
        SELECT r::smallint AS r, f::smallint AS f, m::smallint AS m, rfm.segment_of(r * 100 + f * 10 + m, s.rules) AS segment,
               coalesce(g.customers, 0) AS customers, coalesce(g.revenue, 0) AS revenue
        FROM %2$s s CROSS JOIN generate_series(1, %3$s) r CROSS JOIN generate_series(1, %4$s) f CROSS JOIN generate_series(1, %5$s) m
        LEFT JOIN %1$I.cell_sums g ON g.rfm_score = r * 100 + f * 10 + m
        ORDER BY r, f, m $q$, model,
        CASE WHEN live THEN format('(SELECT %s AS rules)', rules) ELSE format('%I.snapshot', model) END,
        levels[1], levels[2], levels[3]);
    RETURN NEXT;

    name := 'pareto';
    query := format($q$
        WITH grouped AS (
            SELECT p, (p * s.customers + 99) / 100 - ((p - 1) * s.customers + 99) / 100 AS customers, s.percents[p] AS revenue
            FROM %1$I.summaries s, generate_series(1, 100) p)
        SELECT p::int AS customer_percentile, customers, coalesce(revenue, 0) AS revenue,
               (coalesce(revenue, 0) / nullif(sum(revenue) OVER (), 0))::float8 AS revenue_share,
               (coalesce(sum(revenue) OVER (ORDER BY p), 0) / nullif(sum(revenue) OVER (), 0))::float8 AS cumulative_revenue_share
        FROM grouped
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
    IF s.visits IS NOT NULL THEN
        name := 'promising_activity';
        query := format($q$
            WITH c AS MATERIALIZED (
                SELECT t.dimension, t.segment_rank, t.value::int + 1 AS activity_order, t.customers, t.revenue / t.customers AS average_revenue,
                       t.days / t.customers::numeric AS average_days
                FROM %1$I.summaries s, LATERAL unnest(s.activity) t)
            SELECT l.segment, l.segment_rank, a.activity_order::smallint AS activity_order, a.activity_level,
                   coalesce(o.customers, 0) AS customers,
                   (coalesce(o.customers, 0) / nullif(sum(o.customers) OVER w, 0))::float8 AS customer_share,
                   o.average_revenue,
                   o.average_revenue / nullif(first_value(o.average_revenue) OVER (w ORDER BY a.activity_order), 0) AS revenue_ratio,
                   o.average_days AS average_days_since_first_order,
                   coalesce(p.customers, 0) AS published_customers, p.average_revenue AS published_average_revenue
            FROM %1$I.segment_list l
            CROSS JOIN (VALUES (1, '0'), (2, '1'), (3, '2-3'), (4, '4-5'), (5, '6+')) a(activity_order, activity_level)
            LEFT JOIN c o ON o.dimension = 1 AND o.segment_rank = l.segment_rank AND o.activity_order = a.activity_order
            LEFT JOIN c p ON p.dimension = 2 AND p.segment_rank = l.segment_rank AND p.activity_order = a.activity_order
            WHERE l.stage = 'promising'
            WINDOW w AS (PARTITION BY l.segment_rank)
            ORDER BY l.segment_rank, a.activity_order $q$, model);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'gateway_products';
        query := format($q$
            SELECT x.level, g.name COLLATE "C" AS name, g.customers, g.vip_customers, g.promising_customers,
                   (g.vip_customers::numeric / g.customers)::float8 AS vip_share, v.low AS vip_share_low, v.high AS vip_share_high,
                   (g.vip_customers::numeric / nullif(g.vip_customers + g.promising_customers, 0))::float8 AS maturity_rate,
                   m.low AS maturity_rate_low, m.high AS maturity_rate_high,
                   g.vip_revenue / g.vip_customers AS average_vip_revenue, g.revenue / g.customers AS average_revenue,
                   g.rate AS second_order_365_rate, g.rate_low AS second_order_365_rate_low, g.rate_high AS second_order_365_rate_high,
                   g.revenue_after / g.customers AS revenue_after_first_order,
                   w.low AS revenue_after_first_order_low, w.high AS revenue_after_first_order_high
            FROM %1$I.summaries s
            CROSS JOIN LATERAL (VALUES ('category', s.categories), ('brand', s.brands), ('product', s.products)) x(level, rows)
            CROSS JOIN LATERAL unnest(x.rows) g
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.customers) v
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.vip_customers + g.promising_customers) m
            CROSS JOIN LATERAL rfm.mean_interval(g.customers, (g.revenue_after / g.customers)::float8,
                rfm.sample_variance(g.customers, g.revenue_after, g.revenue_after_squares)::float8) w
            ORDER BY x.level <> 'category', x.level, g.customers DESC, g.name COLLATE "C" $q$, model);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'gateway_moments';
        query := format($q$
            SELECT g.name COLLATE "C" AS category, g.customers,
                   g.revenue / g.customers AS average_revenue,
                   rfm.sample_variance(g.customers, g.revenue, g.revenue_squares) AS variance_revenue,
                   g.revenue_after / g.customers AS revenue_after_first_order,
                   rfm.sample_variance(g.customers, g.revenue_after, g.revenue_after_squares) AS variance_after_first_order
            FROM %1$I.summaries s, LATERAL unnest(s.categories) g $q$, model);
        RETURN NEXT;
    END IF;

    IF s.accounts IS NOT NULL THEN
        name := 'channel_maturity';
        query := format($q$
            WITH grouped AS (
                SELECT t.value COLLATE "C" AS channel, sum(t.customers)::bigint AS customers,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'vip'), 0)::bigint AS vip_customers,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'promising' AND l.m_min > 1), 0)::bigint AS promising_high,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'promising' AND l.m_min = 1), 0)::bigint AS promising_low,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage IN ('vip', 'promising')), 0)::bigint AS active_customers,
                       sum(t.revenue) FILTER (WHERE l.stage = 'vip') / sum(t.customers) FILTER (WHERE l.stage = 'vip') AS average_vip_revenue
                FROM %1$I.summaries s CROSS JOIN LATERAL unnest(s.breakdown) t JOIN %1$I.segment_list l USING (segment_rank)
                WHERE t.dimension = 1
                GROUP BY t.value COLLATE "C"),
            totals AS (SELECT sum(vip_customers) AS vip, sum(active_customers) AS active FROM grouped),
            tested AS (
                -- in each channel two cells, vip and promising, against what one common rate would give
                SELECT count(*) AS channels,
                       min(g.active_customers * least(t.vip, t.active - t.vip) / t.active) AS least_expected,
                       sum((g.vip_customers * t.active - g.active_customers * t.vip) * (g.vip_customers * t.active - g.active_customers * t.vip)
                           / nullif(g.active_customers * t.vip * (t.active - t.vip), 0)) AS statistic
                FROM grouped g, totals t WHERE g.active_customers > 0)
            SELECT g.channel, g.customers, g.vip_customers, g.promising_high, g.promising_low, g.active_customers,
                   (g.vip_customers::numeric / nullif(g.active_customers, 0))::float8 AS maturity_rate,
                   w.low AS maturity_rate_low, w.high AS maturity_rate_high, g.average_vip_revenue,
                   CASE WHEN t.channels > 1 AND t.least_expected >= 5
                        THEN rfm.chi_square_p_value(t.statistic::float8, t.channels::int - 1) END AS p_value
            FROM grouped g CROSS JOIN tested t
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.active_customers) w
            ORDER BY maturity_rate DESC NULLS LAST, g.channel $q$, model);
        RETURN NEXT;
    END IF;

    name := 'repurchase_timing';
    query := format($q$
        WITH grouped AS (
            SELECT t.segment_rank, t.value::int AS bucket_order, t.customers, t.days / t.customers::numeric AS average_days,
                   t.revenue / t.customers AS average_revenue
            FROM %1$I.summaries s, LATERAL unnest(s.repurchases) t)
        SELECT l.segment, l.segment_rank, b.bucket_order::smallint AS bucket_order, b.bucket, coalesce(g.customers, 0) AS customers,
               (coalesce(g.customers, 0) / nullif(sum(g.customers) OVER (PARTITION BY l.segment_rank), 0))::float8 AS customer_share,
               g.average_days, g.average_revenue,
               CASE WHEN b.bucket_order <= 3 THEN 'quick' WHEN b.bucket_order = 4 THEN 'medium' ELSE 'slow' END AS speed_class
        FROM %1$I.segment_list l
        CROSS JOIN (VALUES (1, '<= 7 days'), (2, '<= 14 days'), (3, '<= 30 days'), (4, '<= 60 days'), (5, '<= 90 days'), (6, '> 90 days'))
            b(bucket_order, bucket)
        LEFT JOIN grouped g USING (segment_rank, bucket_order)
        ORDER BY l.segment_rank, b.bucket_order $q$, model);
    RETURN NEXT;

    name := 'repurchase_curve';
    query := format($q$
        SELECT c.days AS days_since_first_order, c.at_risk AS customers_at_risk, c.events AS repurchased, c.censored,
               c.rate AS cumulative_repurchase_rate, c.low AS cumulative_repurchase_rate_low, c.high AS cumulative_repurchase_rate_high
        FROM %1$I.summaries s CROSS JOIN LATERAL rfm.kaplan_meier_curve(s.survival, 30) c $q$, model);
    RETURN NEXT;

    IF s.accounts IS NOT NULL THEN
        name := 'first_purchase_timing';
        query := format($q$
            WITH grouped AS (
                SELECT t.value::int AS bucket_order, sum(t.customers)::bigint AS customers, sum(t.repurchased) AS repurchased,
                       sum(t.revenue) / sum(t.customers) AS average_revenue,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'vip'), 0) AS vip_customers
                FROM %1$I.summaries s CROSS JOIN LATERAL unnest(s.first_purchases) t JOIN %1$I.segment_list l USING (segment_rank)
                GROUP BY t.value)
            SELECT b.bucket_order::smallint AS bucket_order, b.bucket, coalesce(g.customers, 0) AS customers,
                   (g.repurchased / g.customers)::float8 AS repurchase_rate, g.average_revenue,
                   (g.vip_customers / g.customers)::float8 AS vip_share
            FROM (VALUES (1, 'before sign-up'), (2, 'same day'), (3, '1-7 days'), (4, '8-30 days'), (5, '31-90 days'), (6, '91-365 days'),
                         (7, '> 365 days')) b(bucket_order, bucket)
            LEFT JOIN grouped g USING (bucket_order)
            ORDER BY b.bucket_order $q$, model);
        RETURN NEXT;
    END IF;

    name := 'cohort_retention';
    query := format($q$
        WITH c AS MATERIALIZED (
            SELECT a.cohort_month, a.month, a.active_customers, a.revenue, p.as_of_date,
                   rfm.local_date(p.as_of - interval '1 microsecond', %2$L) AS last_date
            FROM %1$s p CROSS JOIN LATERAL rfm.unpack(p.cohorts) a),
        -- in the month of the first order everyone bought
        sizes AS (
            SELECT cohort_month, as_of_date, rfm.months_between(cohort_month, last_date) AS months, active_customers AS cohort_customers
            FROM c WHERE month = cohort_month),
        active AS (
            SELECT cohort_month, greatest(0, rfm.months_between(cohort_month, month)) AS months_since,
                   sum(active_customers)::bigint AS active_customers, sum(revenue) AS revenue
            FROM c GROUP BY 1, 2)
        SELECT s.cohort_month, n AS months_since, s.cohort_customers, coalesce(a.active_customers, 0) AS active_customers,
               (coalesce(a.active_customers, 0)::numeric / s.cohort_customers)::float8 AS retention_rate,
               coalesce(a.revenue, 0) AS revenue, rfm.months_between(s.cohort_month, s.as_of_date) > n AS is_complete
        FROM sizes s
        CROSS JOIN LATERAL generate_series(0, s.months) n
        LEFT JOIN active a ON a.cohort_month = s.cohort_month AND a.months_since = n
        ORDER BY s.cohort_month, n $q$,
        format(CASE WHEN live THEN '(SELECT * FROM %I.scored WHERE customer_id IS NULL)' ELSE '%I.snapshot' END, model), s.time_zone);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.analysis_queries(text, rfm.settings, text) IS 'Internal. The views of a model that answer questions, with their SQL.';

-- Comments: relation, column (NULL: the relation itself), text. The dimensions are added by comment_model.
CREATE FUNCTION rfm.view_comments() RETURNS TABLE (relation text, column_name text, comment text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
    ('settings', NULL, 'The settings of this model, one row; NULL stands for the default. Change them with rfm.configure_model; they take effect at the next refresh.'),
    ('segment_rules', NULL, 'The segment rules of this model: the first rule, by rule_order, that holds a customer''s scores names his segment. Edit them; they take effect at the next refresh.'),
    ('segment_rules', 'rule_order', 'Place in the order in which the rules are tried; unique.'),
    ('segment_rules', 'segment', 'Name of the segment, 1 to 63 bytes. Several rules may share it.'),
    ('segment_rules', 'stage', 'What the segment is to the analyses: vip, loyal, promising, attention, risk or other. One per segment.'),
    ('segment_rules', 'r_min', 'Smallest recency score, 1 to 9.'),
    ('segment_rules', 'r_max', 'Greatest recency score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('segment_rules', 'f_min', 'Smallest frequency score, 1 to 9.'),
    ('segment_rules', 'f_max', 'Greatest frequency score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('segment_rules', 'm_min', 'Smallest monetary score, 1 to 9.'),
    ('segment_rules', 'm_max', 'Greatest monetary score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('refresh_log', NULL, 'The refreshes of this model, one row each.'),
    ('refresh_log', 'refresh_id', 'Number of the refresh, ascending.'),
    ('refresh_log', 'started_at', 'When it started.'),
    ('refresh_log', 'finished_at', 'When it ended, well or not. NULL: it runs, or its session died.'),
    ('refresh_log', 'pid', 'Process that ran it.'),
    ('refresh_log', 'mode', 'full (all profiles computed) or incremental (only those of customers who changed).'),
    ('refresh_log', 'reason', 'Why it ran in this mode. NULL: it did not come that far.'),
    ('refresh_log', 'customers', 'Customers afterwards; NULL with storage view.'),
    ('refresh_log', 'changed', 'Profiles written or removed; NULL unless storage is table.'),
    ('refresh_log', 'passes', 'Passes over the order lines that a full refresh of storage table took to keep to build_memory; NULL otherwise.'),
    ('refresh_log', 'as_of', 'Moment the snapshot stands for; NULL with storage view.'),
    ('refresh_log', 'wait_seconds', 'Seconds until it had the lock of the model.'),
    ('refresh_log', 'views_seconds', 'Seconds to bring the views in line with the settings.'),
    ('refresh_log', 'profiles_seconds', 'Seconds to compute and write the profiles.'),
    ('refresh_log', 'snapshot_seconds', 'Seconds to compute the cut points and what else is of the model as a whole.'),
    ('refresh_log', 'summaries_seconds', 'Seconds to sum up the customers for the analyses.'),
    ('refresh_log', 'history_seconds', 'Seconds to compare the segments with those before.'),
    ('refresh_log', 'recency_cutoffs', 'Cut points of recency in force, as text. NULL with storage view.'),
    ('refresh_log', 'frequency_cutoffs', 'Cut points of the number of orders in force, as text. NULL with storage view.'),
    ('refresh_log', 'monetary_cutoffs', 'Cut points of revenue in force, as text. NULL with storage view.'),
    ('refresh_log', 'settings', 'The settings in force, as JSON text.'),
    ('refresh_log', 'rules', 'The segment rules in force, as JSON text.'),
    ('refresh_log', 'error', 'What went wrong; NULL when nothing did. The old snapshot then stays.'),
    ('segment_history', NULL, 'Which segment each customer was in and when, as the refreshes saw it. One row per customer and uninterrupted stay. The values are those at the end of the stay, or now.'),
    ('segment_history', 'customer_id', 'The customer, as in the order lines.'),
    ('segment_history', 'segment', 'Name of the segment.'),
    ('segment_history', 'segment_rank', 'Place of the segment among the rules then, from 1.'),
    ('segment_history', 'r', 'Recency score, 1 is long ago, the highest recent.'),
    ('segment_history', 'f', 'Frequency score, 1 is seldom, the highest often.'),
    ('segment_history', 'm', 'Monetary score, 1 is little, the highest much.'),
    ('segment_history', 'rfm_score', 'The three scores as digits, for example 543.'),
    ('segment_history', 'recency_days', 'Days from the last purchase to the end of the stay.'),
    ('segment_history', 'orders', 'Distinct orders with a purchase in the window.'),
    ('segment_history', 'revenue', 'Revenue in the window. Money of the order lines.'),
    ('segment_history', 'valid_from', 'as_of of the refresh that saw the customer in this segment first.'),
    ('segment_history', 'valid_to', 'as_of of the refresh that no longer saw him in it. NULL: he is in it.'),
    ('segment_changes', NULL, 'Internal. The stays in a segment that have ended.'),
    ('last_build', NULL, 'Internal. One row: what the stored profiles were built from.'),
    ('next_profiles', NULL, 'Internal. With distributed order lines: where a refresh computes the profiles. Empty between refreshes.'),
    ('replaced_profiles', NULL, 'Internal. The profiles that the last refresh replaced, as they were before it; without values: customers who were not there.'),
    ('replaced_snapshot', NULL, 'Internal. The snapshot before the last refresh.'),
    ('tracked', NULL, 'Internal. The tables whose changes are recorded, one row each, by rfm.track_changes.'),
    ('tracked', 'tracked_id', 'Number in the name of the function record_changes_N that their triggers call.'),
    ('tracked', 'relation', 'The table, with its partitions.'),
    ('tracked', 'customer_column', 'Column that holds the customer. NULL: any change means a full rebuild.'),
    ('changes', NULL, 'Internal. What changed since the last refresh: a row or a few for each statement on a tracked table.'),
    ('changes', 'relation', 'OID of the table or partition that the statement was aimed at.'),
    ('changes', 'everything', 'Whether every customer may have changed.'),
    ('changes', 'customer_ids', 'The customers that changed, some perhaps twice; NULL among them stands for lines without customer.'),
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
    ('summaries', NULL, 'Internal. One row: all that the analyses need of the customers.'),
    ('stored_summaries', NULL, 'Internal. The summaries as of the last refresh, or no row: then they are computed when they are read.'),
    ('cell_sums', NULL, 'Internal. The customers by score: their number and the sums of what they have. One row per score that occurs.'),
    ('scored_source', NULL, 'Internal. What scored reads, with storage view and distributed order lines.'),
    ('scored', NULL, 'Internal. The profiles with their scores, also of those without a purchase in the window.'),

    ('customers', NULL, 'The customers: everyone with a purchase in the window, with scores and segment. One row per customer.'),
    ('customers', 'customer_id', 'The customer, as in the order lines.'),
    ('customers', 'channel', 'Channel the account came from. NULL: unknown, or the model has no accounts.'),
    ('customers', 'signed_up_at', 'When the account was made. NULL: unknown, or the model has no accounts.'),
    ('customers', 'first_order_at', 'First purchase line of the first order, of all time.'),
    ('customers', 'second_order_at', 'First purchase line of the second order, of all time. NULL: there is none.'),
    ('customers', 'last_order_at', 'Last purchase line in the window.'),
    ('customers', 'orders', 'Distinct orders with a purchase in the window.'),
    ('customers', 'lines', 'Purchase lines in the window.'),
    ('customers', 'revenue', 'Sum of the amounts in the window, refunds subtracted; may be negative. Money of the order lines.'),
    ('customers', 'average_order_value', 'revenue divided by orders. Money of the order lines.'),
    ('customers', 'first_product_id', 'Product of the greatest purchase line of the first order. NULL: unknown.'),
    ('customers', 'first_category', 'Category of first_product_id. NULL: unknown, or the model has no products.'),
    ('customers', 'recency_days', 'Days from the local date of last_order_at to that of as_of.'),
    ('customers', 'r', 'Recency score, from 1 (long ago) to 5 (recent); other levels by the settings, up to 9.'),
    ('customers', 'f', 'Frequency score, from 1 to 5 (often): by default 3 is one order, 4 two, 5 more.'),
    ('customers', 'm', 'Monetary score, from 1 to 5 (much): by default 5 is the richest 5 percent.'),
    ('customers', 'rfm_score', 'The three scores r, f and m as digits, for example 543.'),
    ('customers', 'segment', 'Segment by the rules in force.'),
    ('customers', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('customers', 'sessions_after_purchase', 'Distinct sessions with a visit after the first purchase line: the published count, which mostly measures the size of the first basket. NULL: the model has no visits.'),
    ('customers', 'return_sessions', 'Distinct sessions with a visit after the last line of the first order. NULL: the model has no visits.'),
    ('customers', 'activity_level', 'return_sessions in groups: 0, 1, 2-3, 4-5, 6+. NULL: the model has no visits.'),

    ('overview', NULL, 'The key figures of the model, one row.'),
    ('overview', 'as_of', 'Moment the figures stand for.'),
    ('overview', 'refreshed_at', 'When they were computed.'),
    ('overview', 'registered', 'Accounts. NULL: the model has no accounts.'),
    ('overview', 'customers', 'Customers with a purchase in the window.'),
    ('overview', 'prospects', 'Accounts that never bought. NULL: the model has no accounts.'),
    ('overview', 'orders', 'Orders of the customers in the window.'),
    ('overview', 'revenue', 'Revenue of the customers in the window, refunds subtracted. Money of the order lines.'),
    ('overview', 'unassigned_revenue', 'Revenue of lines without customer, in no other figure. Money of the order lines.'),
    ('overview', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('overview', 'average_orders', 'Orders per customer. NULL: no customers.'),
    ('overview', 'repurchase_rate', 'Customers with at least two orders in the window, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'vip_share', 'Customers in segments of stage vip, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'churn_risk_share', 'Customers in segments of stage risk, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'churn_risk_revenue_share', 'Revenue of customers in segments of stage risk, as a share 0-1 of all, outside where refunds exceed purchases. NULL: no revenue.'),
    ('overview', 'top20_revenue_share', 'Revenue of the richest 20 percent of the customers (rounded up), as a share of all; above 1 where other customers have negative revenue. NULL: no revenue.'),
    ('overview', 'margin_rate', 'What is left of the revenue of purchase lines with a known product cost after that cost, as a share of it; negative where costs exceed revenue. NULL: no such lines.'),

    ('segments', NULL, 'The segments of the rules in force, empty ones too. One row per segment.'),
    ('segments', 'segment', 'Name of the segment.'),
    ('segments', 'segment_rank', 'Place among the rules, from 1.'),
    ('segments', 'stage', 'What the segment is: vip, loyal, promising, attention, risk or other.'),
    ('segments', 'customers', 'Customers in the segment.'),
    ('segments', 'customer_share', 'Share 0-1 of all customers. NULL: no customers.'),
    ('segments', 'revenue', 'Revenue of the segment. Money of the order lines.'),
    ('segments', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),
    ('segments', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
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
    ('segment_breakdown', 'average_revenue', 'Their revenue per customer. Money of the order lines.'),

    ('score_cells', NULL, 'The cube of scores, every cell, empty ones too. One row per r, f and m.'),
    ('score_cells', 'r', 'Recency score, 1 is long ago, the highest recent.'),
    ('score_cells', 'f', 'Frequency score, 1 is seldom, the highest often.'),
    ('score_cells', 'm', 'Monetary score, 1 is little, the highest much.'),
    ('score_cells', 'segment', 'Segment of the cell by the rules in force.'),
    ('score_cells', 'customers', 'Customers in the cell.'),
    ('score_cells', 'revenue', 'Their revenue. Money of the order lines.'),

    ('pareto', NULL, 'How revenue gathers among the richest customers. One row per percent of the customers, richest first.'),
    ('pareto', 'customer_percentile', 'Percent of the customers, from 1 (the richest) to 100; the first p hold the richest p percent, rounded up.'),
    ('pareto', 'customers', 'Customers of this percent.'),
    ('pareto', 'revenue', 'Their revenue. Money of the order lines.'),
    ('pareto', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),
    ('pareto', 'cumulative_revenue_share', 'Share of all revenue up to this percent; above 1 on the way where customers have negative revenue. NULL: no revenue.'),

    ('churn_risk', NULL, 'The segments by what threatens them. One row per segment.'),
    ('churn_risk', 'segment', 'Name of the segment.'),
    ('churn_risk', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('churn_risk', 'risk_group', 'growth (stages vip, loyal, promising), attention, churn risk (stage risk) or other.'),
    ('churn_risk', 'customers', 'Customers in the segment.'),
    ('churn_risk', 'customer_share', 'Share 0-1 of all customers. NULL: no customers.'),
    ('churn_risk', 'revenue', 'Revenue of the segment. Money of the order lines.'),
    ('churn_risk', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),

    ('promising_activity', NULL, 'Are promising customers who come back worth more? One row per promising segment and activity level. The columns without prefix count sessions after the last line of the first order; published_* counts sessions after its first line, as the published dashboard did: a basket of several lines logs a session per line, so that its count grows with the basket, and with it the revenue.'),
    ('promising_activity', 'segment', 'Name of the segment.'),
    ('promising_activity', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('promising_activity', 'activity_order', 'Place of the level, 1 to 5.'),
    ('promising_activity', 'activity_level', 'Sessions: 0, 1, 2-3, 4-5, 6+.'),
    ('promising_activity', 'customers', 'Customers with so many return sessions.'),
    ('promising_activity', 'customer_share', 'Share 0-1 of the segment. NULL: the segment is empty.'),
    ('promising_activity', 'average_revenue', 'Their revenue per customer. Money of the order lines. NULL: no customers.'),
    ('promising_activity', 'revenue_ratio', 'average_revenue divided by that of level 0. NULL: one of the two is missing.'),
    ('promising_activity', 'average_days_since_first_order', 'Days from the first order to as_of: who had more time had more sessions. NULL: no customers.'),
    ('promising_activity', 'published_customers', 'Customers with so many sessions after the first purchase line.'),
    ('promising_activity', 'published_average_revenue', 'Their revenue per customer. Money of the order lines. NULL: no customers.'),

    ('gateway_products', NULL, 'Which first purchase makes good customers? One row per category, brand or product of the first order; brands and products from 30 customers on. VIP needs a high amount, so that an expensive first basket makes VIPs by definition: the rate of second orders and the revenue after the first order are free of that.'),
    ('gateway_products', 'level', 'category, brand or product.'),
    ('gateway_products', 'name', 'Its name.'),
    ('gateway_products', 'customers', 'Customers whose first order it stands for.'),
    ('gateway_products', 'vip_customers', 'Of them in segments of stage vip.'),
    ('gateway_products', 'promising_customers', 'Of them in segments of stage promising.'),
    ('gateway_products', 'vip_share', 'Share 0-1 of vip_customers in customers.'),
    ('gateway_products', 'vip_share_low', 'Lower 95 percent bound (Wilson).'),
    ('gateway_products', 'vip_share_high', 'Upper 95 percent bound (Wilson).'),
    ('gateway_products', 'maturity_rate', 'vip_customers divided by vip_customers and promising_customers, 0-1. NULL: there are none.'),
    ('gateway_products', 'maturity_rate_low', 'Lower 95 percent bound (Wilson). NULL: there are none.'),
    ('gateway_products', 'maturity_rate_high', 'Upper 95 percent bound (Wilson). NULL: there are none.'),
    ('gateway_products', 'average_vip_revenue', 'Revenue per customer of vip_customers. Money of the order lines. NULL: there are none.'),
    ('gateway_products', 'average_revenue', 'Revenue per customer. Money of the order lines.'),
    ('gateway_products', 'second_order_365_rate', 'Share 0-1 with a second order within 365 days (Kaplan-Meier, so that young customers do not look unfaithful). NULL: nobody was watched that long.'),
    ('gateway_products', 'second_order_365_rate_low', 'Lower 95 percent bound (log-log). NULL: undefined.'),
    ('gateway_products', 'second_order_365_rate_high', 'Upper 95 percent bound (log-log). NULL: undefined.'),
    ('gateway_products', 'revenue_after_first_order', 'Revenue per customer without the lines of the first order. Money of the order lines.'),
    ('gateway_products', 'revenue_after_first_order_low', 'Lower 95 percent bound (Student). Money of the order lines. NULL: fewer than two customers.'),
    ('gateway_products', 'revenue_after_first_order_high', 'Upper 95 percent bound (Student). Money of the order lines. NULL: fewer than two customers.'),

    ('gateway_moments', NULL, 'What gateway_lift compares: counts, averages and variances by category of the first order. One row per category.'),
    ('gateway_moments', 'category', 'Category of the first order.'),
    ('gateway_moments', 'customers', 'Customers whose first order it stands for.'),
    ('gateway_moments', 'average_revenue', 'Revenue per customer. Money of the order lines.'),
    ('gateway_moments', 'variance_revenue', 'Sample variance of the revenue. NULL: fewer than two customers.'),
    ('gateway_moments', 'revenue_after_first_order', 'Revenue per customer without the lines of the first order. Money of the order lines.'),
    ('gateway_moments', 'variance_after_first_order', 'Sample variance of the revenue without the lines of the first order. NULL: fewer than two customers.'),

    ('channel_maturity', NULL, 'Do channels bring customers who become VIP? One row per channel.'),
    ('channel_maturity', 'channel', 'Channel of the account. NULL: unknown.'),
    ('channel_maturity', 'customers', 'Customers from this channel.'),
    ('channel_maturity', 'vip_customers', 'Of them in segments of stage vip.'),
    ('channel_maturity', 'promising_high', 'Of them in promising segments whose rule asks for a monetary score above 1.'),
    ('channel_maturity', 'promising_low', 'Of them in the other promising segments.'),
    ('channel_maturity', 'active_customers', 'vip_customers, promising_high and promising_low together.'),
    ('channel_maturity', 'maturity_rate', 'vip_customers divided by active_customers, 0-1. NULL: there are none.'),
    ('channel_maturity', 'maturity_rate_low', 'Lower 95 percent bound (Wilson). NULL: there are none.'),
    ('channel_maturity', 'maturity_rate_high', 'Upper 95 percent bound (Wilson). NULL: there are none.'),
    ('channel_maturity', 'average_vip_revenue', 'Revenue per customer of vip_customers. Money of the order lines. NULL: there are none.'),
    ('channel_maturity', 'p_value', 'How often chance alone would make the rates of all channels differ as much (chi-square), the same in every row; below 0.05 they differ. NULL: fewer than two channels with active customers, or an expected count below 5.'),

    ('repurchase_timing', NULL, 'How long do customers take to the second order? One row per segment and bucket, of customers who have one: to see how many ever do, read repurchase_curve.'),
    ('repurchase_timing', 'segment', 'Name of the segment.'),
    ('repurchase_timing', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('repurchase_timing', 'bucket_order', 'Place of the bucket, 1 to 6.'),
    ('repurchase_timing', 'bucket', 'Days from the first to the second order; each bucket begins where the one before ends.'),
    ('repurchase_timing', 'customers', 'Customers of the segment in the bucket.'),
    ('repurchase_timing', 'customer_share', 'Share 0-1 of those of the segment with a second order. NULL: there are none.'),
    ('repurchase_timing', 'average_days', 'Average days from the first to the second order. NULL: no customers.'),
    ('repurchase_timing', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('repurchase_timing', 'speed_class', 'quick (up to 30 days), medium (31 to 60) or slow.'),

    ('repurchase_curve', NULL, 'How many of all first-time buyers have ordered again after so many days (Kaplan-Meier; who has not yet counts up to as_of)? One row per day on which something happened, while at least 30 are at risk.'),
    ('repurchase_curve', 'days_since_first_order', 'Days since the first order.'),
    ('repurchase_curve', 'customers_at_risk', 'Customers without a second order at the start of the day, watched at least that long.'),
    ('repurchase_curve', 'repurchased', 'Customers with their second order on this day.'),
    ('repurchase_curve', 'censored', 'Customers without a second order whose watch ends on this day.'),
    ('repurchase_curve', 'cumulative_repurchase_rate', 'Share 0-1 with a second order up to this day.'),
    ('repurchase_curve', 'cumulative_repurchase_rate_low', 'Lower 95 percent bound (log-log). NULL: undefined.'),
    ('repurchase_curve', 'cumulative_repurchase_rate_high', 'Upper 95 percent bound (log-log). NULL: undefined.'),

    ('first_purchase_timing', NULL, 'How long after sign-up was the first order, and what became of the customers? One row per bucket; customers without a sign-up time are in none.'),
    ('first_purchase_timing', 'bucket_order', 'Place of the bucket, 1 to 7.'),
    ('first_purchase_timing', 'bucket', 'Days from sign-up to the first order.'),
    ('first_purchase_timing', 'customers', 'Customers in the bucket.'),
    ('first_purchase_timing', 'repurchase_rate', 'Share 0-1 with at least two orders in the window. NULL: no customers.'),
    ('first_purchase_timing', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('first_purchase_timing', 'vip_share', 'Share 0-1 in segments of stage vip. NULL: no customers.'),

    ('cohort_retention', NULL, 'Which customers come back, month by month? One row per month of first order and month since, of all time.'),
    ('cohort_retention', 'cohort_month', 'First day of the month of the first order.'),
    ('cohort_retention', 'months_since', 'Months since, from 0.'),
    ('cohort_retention', 'cohort_customers', 'Customers with their first order in cohort_month.'),
    ('cohort_retention', 'active_customers', 'Of them with a purchase in this month.'),
    ('cohort_retention', 'retention_rate', 'active_customers divided by cohort_customers, 0-1; 1 in month 0.'),
    ('cohort_retention', 'revenue', 'Their revenue in this month, refunds subtracted. Money of the order lines.'),
    ('cohort_retention', 'is_complete', 'Whether the month had ended at as_of.'),

    ('action_texts', NULL, 'What to do for the customers of each segment; edit and extend it, action_plan shows it at once.'),
    ('action_plan', NULL, 'Who, what and when: one row per segment of the rules in force.'),
    ('action_plan', 'segment', 'Name of the segment.'),
    ('action_plan', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('action_plan', 'stage', 'What the segment is: vip, loyal, promising, attention, risk or other.'),
    ('action_plan', 'goal', 'What the customers shall do. NULL: action_texts has no row for the segment.'),
    ('action_plan', 'action', 'What to do for it.'),
    ('action_plan', 'timing', 'When, after which trigger.'),
    ('action_plan', 'customers', 'Customers it addresses.'),
    ('action_plan', 'revenue', 'Their revenue so far. Money of the order lines.'),

    ('campaigns', NULL, 'The campaigns to be weighed, one row each: parameters only, audience and order value come from the model. Edit them; roi shows them at once.'),
    ('roi', NULL, 'What the campaigns bring and cost: one row per campaign, then a total in which each customer counts once, for the first campaign that addresses him. Shifting the budget between channels is no campaign here: read p_value in channel_maturity first.'),
    ('roi', 'campaign_order', 'Place of the campaign. NULL: the total.'),
    ('roi', 'campaign', 'Name of the campaign, or Total.'),
    ('roi', 'audience', 'Customers addressed.'),
    ('roi', 'response_rate', 'Share 0-1 of the audience that responds.'),
    ('roi', 'conversion_rate', 'Share 0-1 of those who respond that buys.'),
    ('roi', 'baseline_rate', 'Share 0-1 of those who respond that would have bought anyway.'),
    ('roi', 'order_value', 'What a buyer spends. Money of the order lines. NULL: nobody to take it from; then note says why, and what follows is NULL.'),
    ('roi', 'margin_rate', 'Margin as a share of revenue, -1 to 1.'),
    ('roi', 'responders', 'Customers who respond, expected.'),
    ('roi', 'buyers', 'Customers who buy, expected.'),
    ('roi', 'added_buyers', 'Customers who would not have bought otherwise, expected; negative where fewer buy than anyway.'),
    ('roi', 'added_revenue', 'Revenue from added_buyers. Money of the order lines.'),
    ('roi', 'gross_profit', 'margin_rate of added_revenue. Money of the order lines.'),
    ('roi', 'cost', 'Incentives for all buyers, operation, contacts and fixed cost. Money of the order lines.'),
    ('roi', 'net_profit', 'gross_profit without cost. Money of the order lines.'),
    ('roi', 'roi_percent', '100 times net_profit divided by cost. NULL: no cost.'),
    ('roi', 'roas_percent', '100 times added_revenue divided by cost. NULL: no cost.'),
    ('roi', 'break_even_conversion', 'Conversion rate 0-1 with a net_profit of 0. NULL: there is none from 0 to 1, or any would do.'),
    ('roi', 'net_profit_p05', 'Net profit that is missed in 5 percent of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'net_profit_p50', 'Median net profit of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'net_profit_p95', 'Net profit that is exceeded in 5 percent of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'probability_of_profit', 'Share 0-1 of the simulated runs with a profit. NULL: the rates are assumptions.'),
    ('roi', 'note', 'What to know before believing the row. NULL: nothing special.'))
    AS c(relation, column_name, comment);
END;
COMMENT ON FUNCTION rfm.view_comments() IS 'Internal. The comments on the relations and columns of a model.';
