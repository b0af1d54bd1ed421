-- 87_refresh_distributed: the refresh of a model whose order lines are distributed by Citus.
--
-- All profiles are computed into next_profiles, beside those in force; from them come the cut points; then what differs is
-- written into profiles. Each step is one statement that every worker does for its own customers.

-- What stands at places in the order of the customers by revenue, in units of 0.0001: one search for the cut points and for
-- the percents of pareto, since each reads all profiles several times.
CREATE FUNCTION rfm.distributed_revenues(model text, settings rfm.settings, customers bigint) RETURNS numeric[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.values_at(format('SELECT trunc(revenue * 10000) AS value FROM %I.next_profiles WHERE orders > 0', model),
        rfm.percent_places(customers) || rfm.percentile_places(settings.monetary_fractions, customers));
END $$;
COMMENT ON FUNCTION rfm.distributed_revenues(text, rfm.settings, bigint) IS
    'Internal. The revenues at percent_places, then at percentile_places, of the distributed profiles that were just computed.';

-- SQL of the snapshot of distributed profiles, a relation whose percentiles were looked for before.
CREATE FUNCTION rfm.distributed_snapshot_query(model text, settings rfm.settings, as_of text, customers bigint, revenues numeric[]) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    profiles  text := format('%I.next_profiles', model);
    cuts      text := '';
BEGIN
    IF s.recency_fractions IS NOT NULL THEN
        cuts := cuts || format(', %L::numeric[] AS recency', rfm.percentiles_of(
            rfm.values_at(format('SELECT date ''2000-01-01'' - last_order_date AS value FROM %s WHERE orders > 0', profiles),
                rfm.percentile_places(s.recency_fractions, customers)), s.recency_fractions, 1, customers));
    END IF;
    IF s.frequency_fractions IS NOT NULL THEN
        cuts := cuts || format(', %L::numeric[] AS frequency', rfm.percentiles_of(
            rfm.values_at(format('SELECT orders AS value FROM %s WHERE orders > 0', profiles),
                rfm.percentile_places(s.frequency_fractions, customers)), s.frequency_fractions, 1, customers));
    END IF;
    IF s.monetary_fractions IS NOT NULL THEN
        cuts := cuts || format(', %L::numeric[] AS monetary', rfm.percentiles_of(revenues[102:], s.monetary_fractions, 0.0001, customers));
    END IF;
    RETURN rfm.snapshot_row_query(s, rfm.rules_sql(model, s), format(
        'SELECT %1$s AS as_of, rfm.local_date(%1$s, %2$L) AS as_of_date, %3$s AS registered, 0.0000 AS unassigned_revenue, h.*%4$s'
        ' FROM (SELECT count(*) FILTER (WHERE h.orders > 0) AS customers, max(h.last_order_date) AS last_order_date,'
        ' rfm.margin_rate(h.ledger) AS margin_rate, rfm.cohorts(h.first_order_date, h.ledger) AS cohorts FROM %5$s h) h',
        as_of, s.time_zone, rfm.registered_sql(s), cuts, profiles));
END $$;
COMMENT ON FUNCTION rfm.distributed_snapshot_query(text, rfm.settings, text, bigint, numeric[]) IS 'Internal. SQL of the one row of the snapshot over the distributed profiles that were just computed.';

-- The segment of a row of profiles by a snapshot, both SQL of relations; NULL for who is no customer.
CREATE FUNCTION rfm.segment_sql(profile text, snapshot text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('CASE WHEN %1$s.orders > 0 THEN rfm.segment_of(rfm.rfm_score(%2$s.as_of_date - %1$s.last_order_date, %1$s.orders, %1$s.revenue,'
        ' %2$s.monetary_cutoffs, %2$s.recency_cutoffs, %2$s.frequency_cutoffs), %2$s.rules) END', profile, snapshot);
COMMENT ON FUNCTION rfm.segment_sql(text, text) IS 'Internal. SQL of the segment of a profile by a snapshot; NULL for who is no customer.';

-- Writes down the segments that end, while profiles and snapshot are still those of before, and the new ones are beside them.
CREATE FUNCTION rfm.write_distributed_history(model text, settings rfm.settings, as_of text, set_back boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text := rfm.constant_row(rfm.model_relation(model, 'replaced_snapshot'));
    after  text := rfm.constant_row(rfm.model_relation(model, 'snapshot'));
BEGIN
    IF set_back THEN
        -- the clock was set back, and with it the history
        EXECUTE format('DELETE FROM %I.segment_changes WHERE valid_from >= %s', model, as_of);
        EXECUTE format('UPDATE %1$I.segment_changes SET valid_to = %2$s WHERE valid_to > %2$s', model, as_of);
        EXECUTE format('UPDATE %1$I.profiles SET segment_since = %2$s WHERE segment_since > %2$s', model, as_of);
    END IF;
    EXECUTE format('INSERT INTO %1$I.segment_changes SELECT q.customer_id, segment, segment_rank, r, f, m, rfm_score, recency_days, q.orders, q.revenue, q.segment_since, %2$s'
        ' FROM (%3$s) q LEFT JOIN %1$I.next_profiles n ON n.customer_id = q.customer_id CROSS JOIN %4$s s'
        ' WHERE q.orders > 0 AND q.segment_since < %2$s AND q.segment IS DISTINCT FROM %5$s',
        model, as_of, rfm.scored_query(model, settings, format('%I.profiles', model), before), after, rfm.segment_sql('n', 's'));
END $$;
COMMENT ON FUNCTION rfm.write_distributed_history(text, rfm.settings, text, boolean) IS 'Internal. Writes down the segments of distributed profiles that end with this refresh.';

-- Writes what differs, and tells how many that were. A customer begins in his segment when he comes to it.
CREATE FUNCTION rfm.write_distributed_profiles(model text, settings rfm.settings, as_of text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before  text := rfm.constant_row(rfm.model_relation(model, 'replaced_snapshot'));
    after   text := rfm.constant_row(rfm.model_relation(model, 'snapshot'));
    columns text[] := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = rfm.model_relation(model, 'profiles') AND attnum > 0
                            AND NOT attisdropped AND attname NOT IN ('customer_id', 'segment_since') ORDER BY attnum);
    changed bigint;
    n       bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$I.profiles p WHERE NOT EXISTS (SELECT 1 FROM %1$I.next_profiles n WHERE n.customer_id = p.customer_id)', model);
    GET DIAGNOSTICS changed = ROW_COUNT;
    EXECUTE format('UPDATE %1$I.profiles p SET %2$s, segment_since = %3$s FROM %1$I.next_profiles n CROSS JOIN %4$s a CROSS JOIN %5$s b'
        ' WHERE p.customer_id = n.customer_id AND (%6$s, p.segment_since) IS DISTINCT FROM (%7$s, %3$s)',
        model, (SELECT string_agg(format('%1$I = n.%1$I', c), ', ') FROM unnest(columns) c),
        format('CASE WHEN n.orders > 0 THEN CASE WHEN (%s) = (%s) THEN p.segment_since ELSE %s END END', rfm.segment_sql('n', 'a'), rfm.segment_sql('p', 'b'), as_of),
        after, before, rfm.compared_list(columns, 'p'), rfm.compared_list(columns, 'n'));
    GET DIAGNOSTICS n = ROW_COUNT;
    changed := changed + n;
    EXECUTE format('INSERT INTO %1$I.profiles (customer_id, %2$s, segment_since) SELECT n.customer_id, %3$s, CASE WHEN n.orders > 0 THEN %4$s END'
        ' FROM %1$I.next_profiles n WHERE NOT EXISTS (SELECT 1 FROM %1$I.profiles p WHERE p.customer_id = n.customer_id)',
        model, (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c), (SELECT string_agg(format('n.%I', c), ', ') FROM unnest(columns) c), as_of);
    GET DIAGNOSTICS n = ROW_COUNT;
    -- who has no line left at all has no history left
    EXECUTE format('DELETE FROM %1$I.segment_changes c WHERE NOT EXISTS (SELECT 1 FROM %1$I.profiles p WHERE p.customer_id = c.customer_id)'
        ' AND NOT EXISTS (SELECT 1 FROM %2$s x WHERE x.customer_id = c.customer_id)', model, settings.order_lines);
    RETURN changed + n;
END $$;
COMMENT ON FUNCTION rfm.write_distributed_profiles(text, rfm.settings, text) IS
    'Internal. Brings the distributed profiles in force in line with those just computed; the number of rows written or removed.';

-- The workers sum up; the percents of pareto need an order of all customers: revenues is what was found in it.
CREATE FUNCTION rfm.write_distributed_summaries(model text, settings rfm.settings, customers bigint, revenues numeric[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    snapshot  text := rfm.constant_row(rfm.model_relation(model, 'snapshot'));
BEGIN
    EXECUTE format('DELETE FROM %I.stored_summaries', model);
    PERFORM rfm.fill_row(model, 'stored_summaries', rfm.summaries_query(settings, format('(%s) s', rfm.scored_query(model, settings,
        format('%I.profiles', model), snapshot)), false, true));
    EXECUTE format('UPDATE %1$I.stored_summaries SET (as_of, refreshed_at, registered, unassigned_revenue, margin_rate, percents) ='
        ' (SELECT n.as_of, n.refreshed_at, n.registered, n.unassigned_revenue, n.margin_rate, $1 FROM %2$s n)', model, snapshot)
        USING rfm.distributed_percent_sums(format('SELECT trunc(revenue * 10000) AS value FROM %I.profiles WHERE orders > 0', model), customers, revenues[:101]);
END $$;
COMMENT ON FUNCTION rfm.write_distributed_summaries(text, rfm.settings, bigint, numeric[]) IS 'Internal. Writes the summaries of a distributed model.';

-- Deleted rows would lie there until they are vacuumed, and each is written to the WAL. But a refresh does not wait for a
-- backup that holds on to the table.
CREATE FUNCTION rfm.empty_next_profiles(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    BEGIN
        EXECUTE format('LOCK TABLE %I.next_profiles IN ACCESS EXCLUSIVE MODE NOWAIT', model);
        EXECUTE format('TRUNCATE %I.next_profiles', model);
    EXCEPTION WHEN lock_not_available THEN
        EXECUTE format('DELETE FROM %I.next_profiles', model);
    END;
END $$;
COMMENT ON FUNCTION rfm.empty_next_profiles(text) IS 'Internal. Empties the table in which a refresh computes the distributed profiles.';

CREATE FUNCTION rfm.refresh_distributed(model text, refresh_id bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    moment  timestamptz;
    as_of   text;
    query   text;
    back    boolean;
    changed bigint;
    customers bigint;
    revenues  numeric[];
    columns text := (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                     WHERE attrelid = rfm.model_relation(model, 'profiles') AND attnum > 0 AND NOT attisdropped);
BEGIN
    EXECUTE 'SELECT ' || rfm.as_of_sql(s) INTO moment;
    as_of := rfm.instant_sql(moment);
    EXECUTE format('SELECT $1 < as_of FROM %I.last_build', model) INTO back USING moment;

    PERFORM rfm.report_stage(model, 'profiles', 5);
    EXECUTE format('DELETE FROM %I.next_profiles', model);
    EXECUTE format('INSERT INTO %1$I.next_profiles (%2$s) SELECT %2$s FROM (%3$s) q', model, columns, rfm.distributed_profiles_query(s, as_of));
    IF s.visits IS NOT NULL THEN
        EXECUTE format('UPDATE %1$I.next_profiles n SET sessions_after_purchase = v.sessions_after_purchase, return_sessions = v.return_sessions'
            ' FROM (%2$s) v WHERE v.customer_id = n.customer_id', model, rfm.distributed_visits_query(s, as_of, format('%I.next_profiles', model)));
    END IF;
    PERFORM rfm.log_stage(model, refresh_id, 'profiles');

    PERFORM rfm.report_stage(model, 'snapshot', 60);
    EXECUTE format('DELETE FROM %I.replaced_snapshot', model);
    EXECUTE format('SELECT count(*) FROM %I.next_profiles WHERE orders > 0', model) INTO customers;
    revenues := rfm.distributed_revenues(model, s, customers);
    query := rfm.distributed_snapshot_query(model, s, as_of, customers, revenues);
    EXECUTE format('INSERT INTO %1$I.replaced_snapshot SELECT * FROM %1$I.snapshot', model);
    EXECUTE format('DELETE FROM %I.snapshot', model);
    PERFORM rfm.fill_row(model, 'snapshot', query);
    PERFORM rfm.log_stage(model, refresh_id, 'snapshot');

    PERFORM rfm.report_stage(model, 'history', 75);
    IF back IS NOT NULL THEN
        PERFORM rfm.write_distributed_history(model, s, as_of, back);
    END IF;
    changed := rfm.write_distributed_profiles(model, s, as_of);
    PERFORM rfm.empty_next_profiles(model);
    EXECUTE format('DELETE FROM %I.last_build', model);
    EXECUTE format('INSERT INTO %I.last_build (as_of, window_start) VALUES ($1, %s)', model, rfm.window_start_sql(s, as_of)) USING moment;
    PERFORM rfm.log_stage(model, refresh_id, 'history');

    PERFORM rfm.report_stage(model, 'summaries', 90);
    PERFORM rfm.write_distributed_summaries(model, s, customers, revenues);
    PERFORM rfm.log_stage(model, refresh_id, 'summaries');
    EXECUTE format('UPDATE %I.refresh_log l SET mode = ''full'', reason = coalesce(l.reason, ''the order lines are distributed''), changed = $2, passes = 1 WHERE l.refresh_id = $1', model)
        USING refresh_id, changed;
END $$;
COMMENT ON FUNCTION rfm.refresh_distributed(text, bigint) IS 'Internal. Brings the stored layers of a model with distributed order lines up to date.';
