-- 86_check: what is wrong with the data or the rules of a model. Reads the user's relations, as 65_contract does.
--
-- A finding is a row. Its severity is error (the model is wrong or cannot be refreshed), warning (somebody should look) or
-- note (as it should be, or worth knowing); a healthy model has notes only.

CREATE TYPE rfm.finding AS (severity text, finding text, count bigint, example text, what_to_do text);
COMMENT ON TYPE rfm.finding IS 'What check_model or check_rules found; a row of their answers.';
COMMENT ON COLUMN rfm.finding.severity IS 'error: the model is wrong or cannot be refreshed; warning: somebody should look; note: as it should be, or worth knowing.';
COMMENT ON COLUMN rfm.finding.finding IS 'What was found.';
COMMENT ON COLUMN rfm.finding.count IS 'How many: lines, ids, rules or cells, as finding says.';
COMMENT ON COLUMN rfm.finding.example IS 'One of them, by its id. NULL: there is none to show.';
COMMENT ON COLUMN rfm.finding.what_to_do IS 'What to do, one sentence.';

-- Every order line in the one reason why it counts or not, the first that holds; and its order and customer in the reason
-- of that line of theirs which comes closest to counting. $1: as_of, $2: start of the window, $3: now.
CREATE FUNCTION rfm.reconciliation_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    excluded text := CASE WHEN rfm.column_type(s.order_lines, 'status') IS NULL OR s.excluded_statuses = '{}' THEN 'false'
        ELSE format('coalesce(x.status::text COLLATE "C" = ANY (%L::text[]), false)', s.excluded_statuses) END;
    voided   text := 'false';
BEGIN
    -- the moment from which a line no longer counts, and until which it did, whatever its status says
    IF rfm.column_type(s.order_lines, 'voided_at') IS NOT NULL THEN
        voided := format('coalesce(%s < $1, false)', rfm.instant_column(s.order_lines, 'voided_at', s.time_zone));
        excluded := format('(x.voided_at IS NULL AND %s)', excluded);
    END IF;
    -- OFFSET 0: what is computed of a line is computed once; of distributed lines it would bring them here
    RETURN format($q$
        WITH l AS (
            SELECT x.customer_id, x.order_id, x.money,
                   CASE WHEN NOT x.is_complete OR x.is_voided OR x.is_excluded OR x.is_sound THEN
                       CASE WHEN x.customer_id IS NULL THEN 2
                            WHEN NOT x.is_complete THEN 3
                            WHEN x.is_voided THEN 4
                            WHEN x.is_excluded THEN 5
                            WHEN x.at >= $1 THEN CASE WHEN x.at >= $3 THEN 6 ELSE 7 END
                            WHEN x.at < $2 THEN 8
                            WHEN x.money < 0 THEN 11 ELSE 12 END
                   ELSE 1 END AS reason, CASE WHEN x.is_excluded THEN x.status END AS status
            FROM (SELECT %1$s AS customer_id, %2$s AS order_id, %3$s AS at, %4$s AS status, 
                         %8$s AND x.ordered_at <> '-infinity' AS is_sound, CASE WHEN %8$s THEN rfm.money(x.amount) END AS money,
                         x.order_id IS NOT NULL AND x.ordered_at IS NOT NULL AND x.amount IS NOT NULL AS is_complete,
                         %5$s AS is_voided, %6$s AS is_excluded
                  FROM %7$s x%9$s) x%9$s),
        g AS (
            SELECT customer_id, order_id, reason, CASE WHEN reason = 5 THEN status END AS status,
                   count(*) AS lines, sum(money) AS money, bool_or(reason = 8 AND money >= 0) AS buys_before
            FROM l GROUP BY 1, 2, 3, 4),
        c AS (
            SELECT g.*, bool_or(reason = 12) OVER w AS buys, bool_or(buys_before) OVER w AS bought
            FROM g WINDOW w AS (PARTITION BY customer_id)),
        k AS (
            SELECT customer_id, order_id, status, lines, money,
                   CASE WHEN reason < 11 OR buys THEN reason WHEN bought THEN 10 ELSE 9 END AS reason
            FROM c),
        n AS (
            SELECT k.*,
                   order_id IS NOT NULL AND row_number() OVER (PARTITION BY customer_id, order_id ORDER BY reason DESC, status) = 1 AS is_order,
                   customer_id IS NOT NULL AND row_number() OVER (PARTITION BY customer_id ORDER BY reason DESC, status, order_id) = 1 AS is_customer
            FROM k)
        SELECT reason, status, sum(lines)::bigint AS lines, count(*) FILTER (WHERE is_order) AS orders,
               count(*) FILTER (WHERE is_customer) AS customers, coalesce(sum(money), 0) AS amount,
               min(order_id::text COLLATE "C") AS an_order, min(customer_id::text COLLATE "C") AS a_customer
        FROM n GROUP BY reason, status ORDER BY reason DESC, status$q$,
        rfm.id_column(s.order_lines, 'customer_id'), rfm.id_column(s.order_lines, 'order_id'),
        rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone), rfm.text_column(s.order_lines, 'status'),
        voided, excluded, s.order_lines, 'abs(x.amount::numeric) <= 922337203685476',
        CASE WHEN NOT rfm.is_distributed(s) THEN ' OFFSET 0' END);
END $$;
COMMENT ON FUNCTION rfm.reconciliation_query(rfm.settings) IS
    'Internal. SQL of lines, orders, customers and money by the reason why they count or not, from the order lines alone.';

-- What no longer is as the settings, the rules aside, would make it.
CREATE FUNCTION rfm.settings_pending(model text, settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    pending boolean;
BEGIN
    s.storage := 'table';
    EXECUTE format('SELECT count(*) < 2 FROM (SELECT * FROM rfm.view_queries($1, $2, false) UNION SELECT * FROM rfm.view_queries($1, $2, true)) q'
        ' JOIN %I.compiled_views v ON v.name::text = q.name AND v.query = q.query WHERE q.name IN (''valid_lines'', ''profiles_source'')', model)
        INTO pending USING model, s;
    RETURN pending;
END $$;
COMMENT ON FUNCTION rfm.settings_pending(text, rfm.settings) IS 'Internal. Whether settings wait for the next refresh that change who is a customer.';

-- What the model itself makes of the lines, at the moment of its snapshot.
CREATE FUNCTION rfm.profiles_at_query(model text, settings rfm.settings, as_of timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    same_time boolean;
BEGIN
    s.as_of := as_of AT TIME ZONE s.time_zone;
    EXECUTE 'SELECT $1 = ' || rfm.as_of_sql(s) INTO same_time USING as_of;
    RETURN CASE WHEN same_time THEN (rfm.all_profiles_query(model, s, rfm.needs_grouping(model, s), NULL, format('%L::timestamptz', as_of))).profile_rows END;
END $$;
COMMENT ON FUNCTION rfm.profiles_at_query(text, rfm.settings, timestamptz) IS
    'Internal. SQL of the profiles at a moment, as the lines alone give them; NULL for a moment within the hour that local clocks have twice.';

-- Findings about duplicate ids in a relation.
CREATE FUNCTION rfm.duplicate_findings(relation regclass, id text) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT ''warning'', %L, count(*), %L || min(d.id::text COLLATE "C"),'
            ' ''Make the id unique; until then the smallest row, by all columns, is taken.'''
            ' FROM (SELECT %s AS id FROM %s x GROUP BY 1 HAVING count(*) > 1) d WHERE d.id IS NOT NULL HAVING count(*) > 0',
            format('%s occurs several times in %s', id, relation), id || ' ', rfm.id_column(relation, id), relation);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.duplicate_findings(regclass, text) IS 'Internal. The finding that an id occurs several times.';

-- Findings about lines whose id is not in a relation.
CREATE FUNCTION rfm.unknown_findings(order_lines regclass, id text, relation regclass, consequence text)
    RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT ''warning'', %L, count(*), %L || min(u.id::text COLLATE "C"), %L'
            ' FROM (SELECT DISTINCT %s AS id FROM %s x) u WHERE u.id IS NOT NULL'
            ' AND NOT EXISTS (SELECT FROM (SELECT %s AS id FROM %s x) k WHERE k.id = u.id) HAVING count(*) > 0',
            format('%s of the lines is not in %s', id, relation), id || ' ', consequence,
            rfm.id_column(order_lines, id), order_lines, rfm.id_column(relation, id), relation);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.unknown_findings(regclass, text, regclass, text) IS 'Internal. The finding that lines name an id that a relation does not have.';

-- Findings about the statuses of the lines.
CREATE FUNCTION rfm.status_findings(settings rfm.settings) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    IF rfm.column_type(s.order_lines, 'status') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format($q$
        WITH t AS MATERIALIZED (
            SELECT u.status, count(*) AS lines, coalesce(u.status = ANY ($1), false) AS is_excluded
            FROM (SELECT %s AS status FROM %s x) u WHERE u.status IS NOT NULL GROUP BY u.status),
        absent AS (
            SELECT e.status, bool_and(false) FROM unnest($1) e(status) WHERE NOT EXISTS (SELECT FROM t WHERE t.status = e.status COLLATE "C")
            GROUP BY e.status)
        SELECT CASE WHEN EXISTS (SELECT FROM t WHERE is_excluded) THEN 'note' ELSE 'warning' END,
               'excluded statuses that no line has: ' || string_agg(quote_literal(a.status), ', ' ORDER BY a.status COLLATE "C"), count(*),
               min(a.status COLLATE "C"), 'Compare excluded_statuses with the statuses of the lines.'
        FROM absent a WHERE EXISTS (SELECT FROM t) HAVING count(*) > 0
        UNION ALL
        SELECT CASE WHEN bool_and(is_excluded) OR NOT bool_or(is_excluded) THEN 'note' ELSE 'warning' END,
               'statuses that differ in case or blanks only: ' || string_agg(
                   format('%%L (%%s, lines %%s)', status, CASE WHEN is_excluded THEN 'excluded' ELSE 'counted' END, lines), ', ' ORDER BY status),
               sum(lines)::bigint, min(status),
               CASE WHEN bool_and(is_excluded) OR NOT bool_or(is_excluded) THEN 'Nothing, as long as they are treated alike.'
                    ELSE 'Write them alike in a view, or name all of them in excluded_statuses.' END
        FROM t GROUP BY lower(btrim(status)) HAVING count(*) > 1$q$,
        rfm.text_column(s.order_lines, 'status'), s.order_lines) USING s.excluded_statuses;
END $$;
COMMENT ON FUNCTION rfm.status_findings(rfm.settings) IS 'Internal. Findings about the statuses of the lines.';

-- Findings about the scores: cut points that coincide, levels that nobody has.
CREATE FUNCTION rfm.axis_findings(model text) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- all three axes at once, so that a live model is computed once
    axes jsonb;
BEGIN
    IF rfm.model_relation(model, 'snapshot') IS NOT NULL THEN
        RETURN QUERY EXECUTE format($q$
            SELECT 'warning', format('cut points of %%s that are equal', v.axis), cardinality(v.cuts) - count(DISTINCT u.cut),
                   'cut point ' || trim_scale(min(u.cut) FILTER (WHERE u.again)),
                   format('So many customers are alike that %%s has fewer levels: set %%1$s_cutoffs, or fewer %%1$s_fractions.', v.axis)
            FROM %1$I.snapshot s
            CROSS JOIN LATERAL (VALUES (1, 'recency', s.recency_cutoffs::numeric[]), (2, 'frequency', s.frequency_cutoffs::numeric[]),
                                       (3, 'monetary', s.monetary_cutoffs::numeric[])) v(i, axis, cuts)
            CROSS JOIN LATERAL (SELECT c, c = lag(c) OVER (ORDER BY c) FROM unnest(v.cuts) c) u(cut, again)
            GROUP BY v.i, v.axis, v.cuts HAVING bool_or(u.again) ORDER BY v.i$q$, model);
    END IF;
    EXECUTE format($q$
        SELECT jsonb_agg(to_jsonb(a)) FROM (
            SELECT v.i, v.axis, v.score, sum(c.customers) AS customers
            FROM (SELECT r, f, m, sum(customers) AS customers FROM %1$I.score_cells GROUP BY r, f, m) c
            CROSS JOIN LATERAL (VALUES (1, 'recency', c.r), (2, 'frequency', c.f), (3, 'monetary', c.m)) v(i, axis, score)
            GROUP BY v.i, v.axis, v.score) a$q$, model) INTO axes;
    RETURN QUERY
    SELECT CASE WHEN sum(a.customers) > 1 AND count(*) FILTER (WHERE a.customers > 0) = 1 THEN 'warning' ELSE 'note' END,
           CASE WHEN sum(a.customers) > 1 AND count(*) FILTER (WHERE a.customers > 0) = 1 THEN format('all customers have one %s score', a.axis)
                ELSE format('%s scores that no customer has', a.axis) END,
           count(*) FILTER (WHERE a.customers = 0), 'score ' || min(a.score) FILTER (WHERE a.customers = 0),
           format('Set %s_cutoffs or %1$s_fractions so that they divide the customers, unless this is meant.', a.axis)
    FROM jsonb_to_recordset(axes) a(i int, axis text, score int, customers bigint)
    GROUP BY a.i, a.axis HAVING count(*) FILTER (WHERE a.customers = 0) > 0 AND sum(a.customers) > 0 ORDER BY a.i;
END $$;
COMMENT ON FUNCTION rfm.axis_findings(text) IS 'Internal. Findings about levels of the scores that nobody has.';

-- Findings about the last refreshes of a stored model.
CREATE FUNCTION rfm.age_findings(model text, settings rfm.settings, as_of timestamptz) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH g AS (
            SELECT started_at, finished_at, started_at - lag(started_at) OVER (ORDER BY refresh_id) AS gap
            FROM %1$I.refresh_log WHERE finished_at IS NOT NULL AND error IS NULL ORDER BY refresh_id DESC LIMIT 20),
        h AS (
            SELECT max(finished_at) AS finished_at, percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) AS gap, count(gap) AS gaps FROM g)
        SELECT CASE WHEN l.error IS NOT NULL THEN 'error' WHEN l.running THEN 'note' ELSE 'warning' END,
               CASE WHEN l.error IS NOT NULL THEN 'the last refresh failed'
                    WHEN l.running THEN 'a refresh is running' ELSE 'the last refresh never ended' END,
               1::bigint, 'refresh_id ' || l.refresh_id,
               CASE WHEN l.error IS NOT NULL THEN 'Read error in refresh_log, correct the cause and refresh.'
                    WHEN l.running THEN 'Wait for it.' ELSE 'The server or the session died: refresh again, the old snapshot is whole.' END
        FROM (SELECT r.*, EXISTS (SELECT FROM pg_locks k WHERE k.relation = %2$s AND k.mode = 'ShareUpdateExclusiveLock' AND k.granted
                                  AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) AS running
              FROM %1$I.refresh_log r ORDER BY refresh_id DESC LIMIT 1) l WHERE l.error IS NOT NULL OR l.finished_at IS NULL
        UNION ALL
        SELECT 'warning', format('no refresh for %%s hours; usual are %%s', round(extract(epoch FROM $1 - h.finished_at) / 3600, 1),
                                 round(extract(epoch FROM h.gap)::numeric / 3600, 1)),
               floor(extract(epoch FROM $1 - h.finished_at) / 3600)::bigint, h.finished_at::text, 'Look whether what refreshes the model still runs.'
        FROM h WHERE h.gaps >= 3 AND $1 - h.finished_at > greatest(3 * h.gap, interval '1 hour')$q$, model, rfm.model_relation(model, 'settings')::oid) USING now();
    IF settings.as_of IS NULL AND now() - as_of > interval '1 day' THEN
        RETURN QUERY SELECT 'warning', 'the snapshot is days old', floor(extract(epoch FROM now() - as_of) / 86400)::bigint, as_of::text,
            'Refresh the model, or schedule it with rfm.schedule.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.age_findings(text, rfm.settings, timestamptz) IS 'Internal. Findings about the last refreshes of a stored model.';

CREATE FUNCTION rfm.model_findings(model text) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    s         rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    f         rfm.finding;
    stored    boolean := rfm.model_relation(model, 'profiles') IS NOT NULL;
    pending   boolean;
    -- of the lines of one reason
    reason    int;
    status    text;
    lines     numeric;
    orders    numeric;
    customers numeric;
    amount    numeric;
    an_order  text;
    customer  text;
    as_of     timestamptz;
    since     timestamptz;
    profiles  text;
    broken    boolean := false;
    -- lines, orders, customers and money: of all lines; of those that count; as the model computes them; as it shows them
    total     numeric[] := array_fill(0::numeric, '{4}');
    plain     numeric[] := array_fill(0::numeric, '{4}');
    fresh     numeric[];
    shown     numeric[];
    changed   bigint := 0;
    one       text;
BEGIN
    PERFORM rfm.check_contract(s);
    pending := rfm.settings_pending(model, s);
    IF stored THEN
        EXECUTE format('SELECT as_of FROM %I.snapshot', model) INTO as_of;
    END IF;
    IF as_of IS NULL THEN
        EXECUTE 'SELECT ' || rfm.as_of_sql(s) INTO as_of;
    END IF;
    since := coalesce((as_of AT TIME ZONE s.time_zone - s.lookback) AT TIME ZONE s.time_zone, '-infinity');

    -- money, lines, orders and customers by reason
    FOR reason, status, lines, orders, customers, amount, an_order, customer IN EXECUTE rfm.reconciliation_query(s) USING as_of, since, now() LOOP
        total := ARRAY[total[1] + lines, total[2] + orders, total[3] + customers, total[4] + amount];
        IF reason >= 11 THEN
            plain := ARRAY[plain[1] + CASE reason WHEN 12 THEN lines ELSE 0 END, plain[2] + CASE reason WHEN 12 THEN orders ELSE 0 END,
                           plain[3] + customers, plain[4] + amount];
        END IF;
        broken := broken OR reason = 1;
        f.severity := CASE WHEN reason = 1 THEN 'error' WHEN reason IN (3, 6, 9) THEN 'warning' ELSE 'note' END;
        f.finding := format('%s: lines %s, orders %s, customers %s, amount %s', CASE reason
            WHEN 12 THEN 'in the segments'
            WHEN 11 THEN 'in their revenue only, refunds'
            WHEN 10 THEN 'left out, no purchase in the window'
            WHEN 9 THEN 'left out, customers with refunds only'
            WHEN 8 THEN 'left out, before the window'
            WHEN 7 THEN 'left out, at or after as_of'
            WHEN 6 THEN 'left out, in the future'
            WHEN 5 THEN format('left out, status %L', status)
            WHEN 4 THEN 'left out, voided before as_of'
            WHEN 3 THEN 'left out, without order_id, ordered_at or amount'
            WHEN 2 THEN 'left out, without customer_id'
            ELSE 'amount not finite or out of range, or ordered_at infinite' END,
            lines, orders, customers, trim_scale(amount));
        f.count := lines::bigint;
        f.example := CASE WHEN reason IN (9, 10) OR an_order IS NULL THEN 'customer_id ' || customer ELSE 'order_id ' || an_order END;
        f.what_to_do := CASE reason
            WHEN 12 THEN 'Nothing: these are the customers.'
            WHEN 11 THEN 'Nothing: a refund lowers the revenue and is no order.'
            WHEN 10 THEN 'Nothing: they bought before the window; lookback sets its length.'
            WHEN 9 THEN 'Look for their purchases: without one they are no customers.'
            WHEN 8 THEN 'Nothing: lookback leaves older lines out.'
            WHEN 7 THEN CASE WHEN s.as_of IS NULL THEN 'Nothing: the next refresh counts them.' ELSE 'Set a later as_of if they shall count.' END
            WHEN 6 THEN 'Correct their dates, or wait: they count from their date on.'
            WHEN 5 THEN 'Nothing, if this status shall not count; excluded_statuses sets it.'
            WHEN 4 THEN 'Nothing: voided_at takes them out.'
            WHEN 3 THEN 'Complete them, or leave them out in the view of the order lines.'
            WHEN 2 THEN 'Give them a customer, or accept that their money belongs to nobody.'
            ELSE 'Correct these lines: until then a refresh fails.' END;
        RETURN NEXT f;
    END LOOP;

    RETURN QUERY SELECT 'warning', 'no customer has a purchase in the window', 0::bigint, NULL::text,
        'Compare as_of, lookback, time_zone and excluded_statuses with the lines.' WHERE plain[3] = 0 AND total[1] > 0;

    IF pending THEN
        RETURN QUERY SELECT 'note', 'changed settings, or contract relations, are not yet in force', 1::bigint, NULL::text,
            'Refresh the model; only then is it compared with the lines.';
    ELSIF NOT broken THEN
        IF stored THEN
            profiles := rfm.profiles_at_query(model, s, as_of);
            IF profiles IS NOT NULL THEN
                EXECUTE format($q$
                    SELECT ARRAY[coalesce(sum(f.lines), 0), coalesce(sum(f.orders), 0), count(*) FILTER (WHERE f.orders > 0),
                                 coalesce(sum(f.revenue) FILTER (WHERE f.orders > 0), 0)],
                           count(*) FILTER (WHERE d.differs), min(coalesce(f.customer_id, p.customer_id)::text COLLATE "C") FILTER (WHERE d.differs)
                    FROM (SELECT * FROM (%1$s) q WHERE q.customer_id IS NOT NULL) f
                    FULL JOIN (SELECT * FROM %2$I.profiles p WHERE p.customer_id IS NOT NULL) p ON p.customer_id = f.customer_id
                    CROSS JOIN LATERAL (SELECT (f.customer_id, f.first_order_at, f.second_order_at, f.last_order_at, f.orders, f.lines, f.revenue, f.first_product_id)
                        IS DISTINCT FROM (p.customer_id, p.first_order_at, p.second_order_at, p.last_order_at, p.orders, p.lines, p.revenue, p.first_product_id)) d(differs)
                    $q$, profiles, model) INTO fresh, changed, one;
            END IF;
            EXECUTE format('SELECT ARRAY[coalesce(sum(lines), 0), coalesce(sum(orders), 0), count(*), coalesce(sum(revenue), 0)]'
                ' FROM %I.profiles WHERE customer_id IS NOT NULL AND orders > 0', model) INTO shown;
        ELSE
            EXECUTE format('SELECT ARRAY[coalesce(sum(lines), 0), coalesce(sum(orders), 0), count(*), coalesce(sum(revenue), 0)]'
                ' FROM %I.customers', model) INTO shown;
        END IF;
        fresh := coalesce(fresh, shown);
        IF fresh <> plain THEN
            RETURN QUERY SELECT 'error', format('the model does not reconcile with the lines: lines %s, orders %s, customers %s, amount %s more than counted here',
                    fresh[1] - plain[1], fresh[2] - plain[2], fresh[3] - plain[3], trim_scale(fresh[4] - plain[4])),
                (fresh[1] - plain[1])::bigint, NULL::text, 'CALL rfm.refresh(model, full_rebuild => true); if it stays, report it as an error of rfm_segments.';
        ELSIF changed > 0 THEN
            RETURN QUERY SELECT 'warning', format('customers whose lines have changed since the last refresh; the snapshot shows: lines %s, orders %s, customers %s, amount %s',
                shown[1], shown[2], shown[3], trim_scale(shown[4])), changed, 'customer_id ' || one, 'Refresh the model.';
        ELSE
            RETURN QUERY SELECT 'note', format('reconciled, all lines: lines %s, orders %s, customers %s, amount %s',
                total[1], total[2], total[3], trim_scale(total[4])), total[1]::bigint, NULL::text, 'Nothing: every line is accounted for.';
        END IF;
    END IF;

    -- ids
    RETURN QUERY EXECUTE format('SELECT ''warning'', ''orders of several customers'', count(*), ''order_id '' || min(o.id::text COLLATE "C"),'
        ' ''Make order_id unique, for example by a prefix for each shop: until then such an order counts once for each customer.'''
        ' FROM (SELECT x.id FROM (SELECT %s AS id, %s AS customer_id FROM %s x WHERE x.customer_id IS NOT NULL AND x.order_id IS NOT NULL GROUP BY 1, 2) x'
        ' GROUP BY x.id HAVING count(*) > 1) o HAVING count(*) > 0',
        rfm.id_column(s.order_lines, 'order_id'), rfm.id_column(s.order_lines, 'customer_id'), s.order_lines);
    RETURN QUERY SELECT * FROM rfm.duplicate_findings(s.accounts, 'customer_id');
    RETURN QUERY SELECT * FROM rfm.duplicate_findings(s.products, 'product_id');
    RETURN QUERY SELECT * FROM rfm.unknown_findings(s.order_lines, 'customer_id', s.accounts, 'Add the accounts: such a customer has no channel and no dimensions.');
    RETURN QUERY SELECT * FROM rfm.unknown_findings(s.order_lines, 'product_id', s.products, 'Add the products: such a line has no category and no cost.');
    RETURN QUERY SELECT * FROM rfm.status_findings(s);

    -- scores
    IF stored OR NOT broken THEN
        EXECUTE format('SELECT (s.as_of AT TIME ZONE %L)::date - max(c.last_order_at AT TIME ZONE %1$L)::date FROM %2$I.overview s, %2$I.customers c GROUP BY s.as_of',
            s.time_zone, model) INTO changed;
        IF changed > 90 THEN
            RETURN QUERY SELECT 'warning', 'days from the newest purchase to as_of: by then everyone hibernates', changed, NULL::text,
                'Look whether the load of the order lines still runs; for a static export set as_of.';
        END IF;
        RETURN QUERY SELECT * FROM rfm.axis_findings(model);
    END IF;
    IF stored THEN
        RETURN QUERY SELECT * FROM rfm.age_findings(model, s, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.model_findings(text) IS 'Internal. What check_model finds, in a fixed order.';

CREATE FUNCTION rfm.rule_findings(model text) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    levels  int[] := rfm.levels(s);
    -- every rule with every cell of its box, and whether an earlier rule takes it
    cells   text;
    rules   rfm.rules;
    pending boolean;
    edited  boolean;
BEGIN
    RETURN QUERY EXECUTE format('SELECT ''error'', format(''segment %%L has several stages: %%s'', t.segment, string_agg(DISTINCT t.stage, '', '')),'
        ' count(*), ''rule_order '' || min(t.rule_order), ''Give its rules one stage: until then a refresh fails.'''
        ' FROM %I.segment_rules t GROUP BY t.segment HAVING count(DISTINCT t.stage) > 1 ORDER BY min(t.rule_order)', model);
    IF NOT FOUND THEN
        BEGIN
            rules := rfm.rules_in_force(model, s);
        EXCEPTION WHEN data_exception OR program_limit_exceeded OR invalid_parameter_value THEN
            RETURN QUERY SELECT 'error', 'the rules cannot be used: ' || SQLERRM, 1::bigint, NULL::text, 'Correct them: until then a refresh fails.';
        END;
    END IF;

    cells := format('WITH cell AS (SELECT r, f, m, 100 * r + 10 * f + m AS code FROM generate_series(1, %2$s) r, generate_series(1, %3$s) f, generate_series(1, %4$s) m),'
        ' hit AS MATERIALIZED (SELECT t.rule_order, t.segment, c.code, first_value(t.rule_order) OVER w AS first_rule,'
        ' first_value(t.segment) OVER w AS first_segment FROM cell c JOIN %1$I.segment_rules t'
        ' ON c.r BETWEEN t.r_min AND t.r_max AND c.f BETWEEN t.f_min AND t.f_max AND c.m BETWEEN t.m_min AND t.m_max'
        ' WINDOW w AS (PARTITION BY c.code ORDER BY t.rule_order))', model, levels[1], levels[2], levels[3]);
    RETURN QUERY EXECUTE cells || format($q$
        SELECT 'warning', CASE WHEN h.cells IS NULL
                   THEN format('rule %%s (%%s) never fires: it lies outside of the %%s recency, %%s frequency and %%s monetary levels', t.rule_order, t.segment, %2$s, %3$s, %4$s)
                   ELSE format('rule %%s (%%s) never fires: rules %%s take all its cells', t.rule_order, t.segment, h.hiders) END,
               coalesce(h.cells, 0), 'rfm_score ' || h.code, 'Move it before these rules, change its scores or delete it.'
        FROM %1$I.segment_rules t
        LEFT JOIN (SELECT rule_order, count(*) AS cells, count(*) FILTER (WHERE first_rule = rule_order) AS own, min(code) AS code,
                          string_agg(DISTINCT first_rule::text, ', ') AS hiders FROM hit GROUP BY rule_order) h USING (rule_order)
        WHERE coalesce(h.own, 0) = 0 ORDER BY t.rule_order$q$, model, levels[1], levels[2], levels[3]);
    RETURN QUERY EXECUTE format('SELECT ''warning'', ''segments without a text in action_texts'', count(*), min(t.segment COLLATE "C"),'
        ' ''Insert one: action_plan says nothing about them.'''
        ' FROM (SELECT segment FROM %1$I.segment_rules UNION SELECT ''Others'') t'
        ' WHERE NOT EXISTS (SELECT FROM %1$I.action_texts a WHERE a.segment = t.segment) HAVING count(*) > 0', model);
    EXECUTE format('SELECT EXISTS ((TABLE %1$I.segment_rules EXCEPT SELECT * FROM rfm.default_rules($1)) UNION ALL'
        ' (SELECT * FROM rfm.default_rules($1) EXCEPT TABLE %1$I.segment_rules))', model) INTO edited USING s.rules;
    RETURN QUERY SELECT 'warning', 'the lifecycle rules are written for fixed cut points: f = 3 no longer means one order', 1::bigint, NULL::text,
        'Adapt segment_rules to the cut points, or use rules => ''classic''.'
        WHERE NOT edited AND s.rules = 'lifecycle' AND (s.recency_fractions IS NOT NULL OR s.frequency_fractions IS NOT NULL
              OR s.frequency_cutoffs <> '{0,1,2,3}'::numeric[]);
    RETURN QUERY SELECT 'warning', 'the classic rules are written for quintiles', 1::bigint, NULL::text,
        'Set recency_fractions, frequency_fractions and monetary_fractions to {0.2,0.4,0.6,0.8}, or adapt segment_rules.'
        WHERE NOT edited AND s.rules = 'classic' AND (s.recency_fractions IS NULL OR s.frequency_fractions IS NULL
              OR s.monetary_fractions IS DISTINCT FROM '{0.2,0.4,0.6,0.8}'::numeric[]);

    IF rules IS NOT NULL THEN
        IF rfm.model_relation(model, 'snapshot') IS NOT NULL THEN
            EXECUTE format('SELECT s.rules::text IS DISTINCT FROM $1::text FROM %I.snapshot s', model) INTO pending USING rules;
        ELSE
            EXECUTE format('SELECT strpos(v.query, quote_literal($1::text)) = 0 FROM %I.compiled_views v WHERE v.name = ''segment_list''', model)
                INTO pending USING rules;
        END IF;
        RETURN QUERY SELECT 'note', 'changed rules, or numbers of levels, are not yet in force', 1::bigint, NULL::text, 'Refresh the model.' WHERE pending;
    END IF;
    RETURN QUERY EXECUTE cells || $q$
        SELECT 'note', 'cells that no rule covers: Others', count(*), 'rfm_score ' || max(c.code), 'Add a rule if they shall have a segment of their own.'
        FROM cell c WHERE NOT EXISTS (SELECT FROM hit h WHERE h.code = c.code) HAVING count(*) > 0$q$;
    RETURN QUERY EXECUTE cells || $q$
        SELECT 'note', format('rule %s (%s) leaves cells to rule %s (%s), which comes first', h.rule_order, h.segment, h.first_rule, h.first_segment),
               count(*), 'rfm_score ' || max(h.code), 'Nothing, if the first shall win.'
        FROM hit h WHERE h.first_rule <> h.rule_order GROUP BY h.rule_order, h.segment, h.first_rule, h.first_segment ORDER BY h.rule_order, h.first_rule$q$;
    RETURN QUERY EXECUTE cells || $q$
        SELECT 'note', format('rules cover %s of %s cells', count(DISTINCT h.code), (SELECT count(*) FROM cell)), count(DISTINCT h.code), NULL::text,
               'Nothing: cells without a rule are Others.' FROM hit h$q$;
END $$;
COMMENT ON FUNCTION rfm.rule_findings(text) IS 'Internal. What check_rules finds, in a fixed order.';

CREATE FUNCTION rfm.check_model(model text) RETURNS TABLE (severity text, finding text, count bigint, example text, what_to_do text)
    LANGUAGE sql
BEGIN ATOMIC
    SELECT f.* FROM rfm.rows_as_owner(model, 'SELECT f.severity, f.finding, f.count, f.example, f.what_to_do'
        ' FROM rfm.model_findings($1) WITH ORDINALITY f(severity, finding, count, example, what_to_do, i)'
        ' ORDER BY array_position(''{error,warning,note}'', f.severity), f.i', model)
        AS f(severity text, finding text, count bigint, example text, what_to_do text);
END;
COMMENT ON FUNCTION rfm.check_model(text) IS
    'Compares a model with its order lines and looks for what is wrong with the data. One row per finding: severity (error, warning or note), how many, an example (an id) and what to do. Lines, orders, customers and money are shown by the one reason why they count or not, and sum up to those of all lines. A healthy model has notes only. Example: SELECT * FROM rfm.check_model(''shop'');';

CREATE FUNCTION rfm.check_rules(model text) RETURNS TABLE (severity text, finding text, count bigint, example text, what_to_do text)
    LANGUAGE sql
BEGIN ATOMIC
    SELECT f.* FROM rfm.rows_as_owner(model, 'SELECT f.severity, f.finding, f.count, f.example, f.what_to_do'
        ' FROM rfm.rule_findings($1) WITH ORDINALITY f(severity, finding, count, example, what_to_do, i)'
        ' ORDER BY array_position(''{error,warning,note}'', f.severity), f.i', model)
        AS f(severity text, finding text, count bigint, example text, what_to_do text);
END;
COMMENT ON FUNCTION rfm.check_rules(text) IS
    'Looks at the segment rules of a model over every cell of scores: cells without rule, rules that others hide, rules that never fire, rules that cannot be used or are not yet in force. One row per finding: severity (error, warning or note), how many, an example and what to do. Example: SELECT * FROM rfm.check_rules(''shop'');';
