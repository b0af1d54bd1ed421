-- 84_explain: why a customer is where he is, and what would move him.

-- what a level of an axis means; the cut points are those of the score functions

CREATE FUNCTION rfm.whole_range(lowest numeric, highest numeric, one text, many text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN lowest IS NULL THEN format('Up to %s %s', highest, CASE highest WHEN 1 THEN one || ' is' ELSE many || ' are' END)
                WHEN highest IS NULL THEN format('%s %s and more are', lowest, CASE lowest WHEN 1 THEN one ELSE many END)
                WHEN lowest < highest THEN format('%s to %s %s are', lowest, highest, many)
                ELSE format('%s %s', lowest, CASE lowest WHEN 1 THEN one || ' is' ELSE many || ' are' END) END;
END $$;
COMMENT ON FUNCTION rfm.whole_range(numeric, numeric, text, text) IS 'Internal. A range of whole numbers of something, open where NULL, with its verb.';

CREATE FUNCTION rfm.recency_range(level integer, cutoffs numeric[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- the subscripts 0 and cardinality + 1 give NULL
    RETURN rfm.whole_range(floor(cutoffs[cardinality(cutoffs) - level + 1]) + 1, floor(cutoffs[cardinality(cutoffs) - level + 2]), 'day', 'days');
END $$;
COMMENT ON FUNCTION rfm.recency_range(integer, numeric[]) IS 'Internal. The days of a level of recency, to put before "level".';

CREATE FUNCTION rfm.frequency_range(level integer, cutoffs numeric[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.whole_range(ceil(cutoffs[level - 1]), ceil(cutoffs[level]) - 1, 'order', 'orders');
END $$;
COMMENT ON FUNCTION rfm.frequency_range(integer, numeric[]) IS 'Internal. The numbers of orders of a level of frequency, to put before "level".';

CREATE FUNCTION rfm.monetary_range(level integer, cutoffs numeric[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lowest numeric := trim_scale(cutoffs[level - 1]);
    below  numeric := trim_scale(cutoffs[level]);
BEGIN
    RETURN CASE WHEN lowest IS NULL THEN format('Revenue below %s is', below)
                WHEN below IS NULL THEN format('Revenue from %s on is', lowest)
                ELSE format('Revenue from %s to below %s is', lowest, below) END;
END $$;
COMMENT ON FUNCTION rfm.monetary_range(integer, numeric[]) IS 'Internal. The revenue of a level of monetary, to put before "level".';

CREATE FUNCTION rfm.numbers_text(numbers numeric[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT pg_catalog.string_agg(pg_catalog.trim_scale(u.n)::text, ', ' ORDER BY u.i) FROM pg_catalog.unnest(numbers) WITH ORDINALITY u(n, i));
COMMENT ON FUNCTION rfm.numbers_text(numeric[]) IS 'Internal. Numbers as a list, without trailing zeros.';

CREATE FUNCTION rfm.needs_text(name text, score integer, lowest integer, highest integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN score OPERATOR(pg_catalog.<) lowest OR score OPERATOR(pg_catalog.>) highest THEN
        pg_catalog.concat(name, ' = ', score, ', needs ', lowest, CASE WHEN highest OPERATOR(pg_catalog.>) lowest THEN pg_catalog.concat(' to ', highest) END) END;
COMMENT ON FUNCTION rfm.needs_text(text, integer, integer, integer) IS 'Internal. Says that a score is not in its range; NULL when it is.';

CREATE FUNCTION rfm.count_text(n bigint, one text, many text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.concat(n, ' ', CASE WHEN n OPERATOR(pg_catalog.=) 1 THEN one ELSE many END);
COMMENT ON FUNCTION rfm.count_text(bigint, text, text) IS 'Internal. A number with its noun.';

CREATE FUNCTION rfm.further_text(orders bigint, amount numeric) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.count_text(orders, 'further order', 'further orders')
        || CASE WHEN amount = 0 THEN ' of any amount' WHEN orders = 1 THEN format(' of at least %s', amount)
                ELSE format(' of together at least %s', amount) END;
END $$;
COMMENT ON FUNCTION rfm.further_text(bigint, numeric) IS 'Internal. So many further orders that come to so much.';

CREATE FUNCTION rfm.local_text(at timestamptz, time_zone text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN isfinite(at) THEN rtrim(rtrim(to_char(at AT TIME ZONE time_zone, 'YYYY-MM-DD HH24:MI:SS.US'), '0'), '.') ELSE at::text END;
END $$;
COMMENT ON FUNCTION rfm.local_text(timestamptz, text) IS 'Internal. A time as local text, the same in every session.';

-- what would move a customer

-- Every cell of the cube that further orders reach: at least one order, of any amount, placed at recency order_days. Fewest
-- orders first, then the least amount.
CREATE FUNCTION rfm.better_segments(orders bigint, revenue numeric, order_days integer, segment_rank integer,
        recency_cutoffs numeric[], frequency_cutoffs numeric[], monetary_cutoffs numeric[], rules rfm.rules)
    RETURNS TABLE (segment text, better_rank smallint, further_orders bigint, amount numeric)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH f AS (
        SELECT i AS score, greatest(orders + 1, ceil(frequency_cutoffs[i - 1])) AS total
        FROM generate_series(1, cardinality(frequency_cutoffs) + 1) i),
    m AS (
        -- amounts have four decimals
        SELECT i AS score, greatest(revenue, ceil(monetary_cutoffs[i - 1] * 10000) / 10000) AS total
        FROM generate_series(1, cardinality(monetary_cutoffs) + 1) i),
    cells AS (
        SELECT rfm.recency_score(order_days, recency_cutoffs) * 100 + f.score * 10 + m.score AS cell,
               f.total::bigint - orders AS further_orders, m.total - revenue AS amount
        FROM f CROSS JOIN m
        WHERE f.total < 1000000000 AND rfm.frequency_score(f.total::bigint, frequency_cutoffs) = f.score
          AND rfm.monetary_score(m.total, monetary_cutoffs) = m.score),
    cheapest AS (
        SELECT DISTINCT ON (rfm.segment_rank(c.cell, rules)) rfm.segment_of(c.cell, rules) AS segment,
               rfm.segment_rank(c.cell, rules) AS better_rank, c.further_orders, c.amount
        FROM cells c
        WHERE better_segments.segment_rank IS NULL OR rfm.segment_rank(c.cell, rules) < better_segments.segment_rank
        ORDER BY rfm.segment_rank(c.cell, rules), c.further_orders, c.amount)
    SELECT c.segment, c.better_rank, c.further_orders, trim_scale(c.amount) FROM cheapest c
    ORDER BY c.further_orders, c.amount, c.better_rank;
END $$;
COMMENT ON FUNCTION rfm.better_segments(bigint, numeric, integer, integer, numeric[], numeric[], numeric[], rfm.rules) IS
    'Internal. The segments of a better rank (all for a rank of NULL) that a customer of so many orders and so much revenue reaches by ordering now, at recency order_days: the fewest further orders and the least they must come to, by the cut points given, the cheapest first.';

CREATE FUNCTION rfm.worse_segment(recency_days integer, f integer, m integer, recency_cutoffs numeric[], rules rfm.rules,
        OUT days integer, OUT segment text, OUT segment_rank smallint)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT d.days, rfm.segment_of(d.cell, rules), rfm.segment_rank(d.cell, rules) INTO days, segment, segment_rank
    FROM (SELECT c.days::int AS days, rfm.recency_score(c.days::int, recency_cutoffs) * 100 + worse_segment.f * 10 + worse_segment.m AS cell
          FROM (SELECT floor(u.cut) + 1 AS days FROM unnest(recency_cutoffs) u(cut) WHERE u.cut < 1000000) c
          WHERE c.days > worse_segment.recency_days) d
    WHERE rfm.segment_rank(d.cell, rules)
          > rfm.segment_rank(rfm.recency_score(worse_segment.recency_days, recency_cutoffs) * 100 + worse_segment.f * 10 + worse_segment.m, rules)
    ORDER BY d.days LIMIT 1;
END $$;
COMMENT ON FUNCTION rfm.worse_segment(integer, integer, integer, numeric[], rfm.rules) IS
    'Internal. The first recency in days at which waiting alone takes a customer to a segment of a worse rank; NULL when it does not.';

CREATE FUNCTION rfm.leaves_window(at timestamptz, lookback interval, time_zone text) RETURNS date
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day date := (at AT TIME ZONE time_zone + lookback)::date - 7;
BEGIN
    -- adding months and subtracting them differ by a few days
    WHILE (day::timestamp - lookback) AT TIME ZONE time_zone <= at LOOP
        day := day + 1;
    END LOOP;
    RETURN day;
END $$;
COMMENT ON FUNCTION rfm.leaves_window(timestamptz, interval, text) IS
    'Internal. The first local date at whose start a line of this time is before the window; NULL without lookback.';

-- SQL of what explain_customer says of the customer in $1. Values, cut points and rules are those in force; the lines are
-- read as they are now, through the index on their customer.
CREATE FUNCTION rfm.explain_query(model text, settings rfm.settings, grouped boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    live    boolean := s.storage = 'view';
    id      text := format('$1::%s', rfm.id_type(s.order_lines, 'customer_id'));
    ids     text := format('ARRAY[%s]', id);
    levels  int[] := rfm.levels(s);
    rules   text := CASE WHEN live THEN format('%L::rfm.rules', rfm.rules_in_force(model, s)) END;
    rows    text;
    source  text;
    lines   text;
    facts   text;
BEGIN
    IF live THEN
        IF rfm.is_distributed(s) THEN
            source := rfm.apart_sql(model, 'profiles_source');
        ELSE
            SELECT q.profile_rows, format('(%s)', q.profiles) INTO rows, source FROM rfm.all_profiles_query(model, s, grouped) q;
        END IF;
    ELSE
        source := format('%I.profiles', model);
    END IF;
    lines := format($q$
        -- as check_model has it; a line that is left out may have any amount
        SELECT x.*, CASE
                   WHEN x.order_id IS NULL THEN 'without order_id'
                   WHEN x.ordered_at IS NULL THEN 'without ordered_at'
                   WHEN NOT x.has_amount THEN 'without amount'
                   WHEN NOT x.counted THEN CASE WHEN x.voided_at IS NULL THEN format('status %%L', x.status) ELSE 'voided before as_of' END
                   WHEN x.ordered_at >= x.as_of THEN 'at or after as_of'
                   WHEN x.ordered_at < x.window_start THEN 'before the window'
                   WHEN x.amount < 0 THEN 'in revenue only' END AS reason
        FROM (SELECT %1$s::text AS order_id, %2$s AS ordered_at, x.amount IS NOT NULL AS has_amount,
                     CASE WHEN abs(x.amount::numeric) <= 922337203685476 THEN rfm.money(x.amount) END AS amount, %3$s AS status,
                     %4$s::text AS product_id, %5$s AS voided_at, %6$s AS counted, s.as_of, %7$s AS window_start
              FROM %8$s x CROSS JOIN s WHERE %9$s) x $q$,
        rfm.id_column(s.order_lines, 'order_id'), rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone),
        rfm.text_column(s.order_lines, 'status'), rfm.id_column(s.order_lines, 'product_id'),
        rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), rfm.counted_sql(s, 's.as_of'), rfm.window_start_sql(s, 's.as_of'),
        s.order_lines, rfm.ids_sql(s.order_lines, 'customer_id', ids));

    facts := format($q$
        %1$s
        s AS MATERIALIZED (
            SELECT x.as_of, x.as_of_date, x.refreshed_at, x.recency_cutoffs, x.frequency_cutoffs, x.monetary_cutoffs, x.rules,
                   x.as_of_date - rfm.local_date(x.as_of - interval '1 microsecond', %2$L) AS order_days
            FROM %3$s x),
        p1 AS MATERIALIZED (
            SELECT x.channel, x.signed_up_at, x.first_order_at, x.second_order_at, x.last_order_at, x.last_order_date,
                   coalesce(x.orders, 0) AS orders, coalesce(x.lines, 0) AS lines, coalesce(x.revenue, 0) AS revenue, x.segment_since
            FROM %4$s x WHERE x.customer_id = %5$s),
        a AS (%6$s),
        l AS MATERIALIZED (%7$s),
        -- what the lines say now
        n AS (
            SELECT count(*) AS all_lines, count(DISTINCT order_id) FILTER (WHERE reason IS NULL) AS orders,
                   count(*) FILTER (WHERE reason IS NULL) AS lines,
                   coalesce(sum(amount) FILTER (WHERE reason IS NULL OR reason = 'in revenue only'), 0) AS revenue,
                   min(ordered_at) FILTER (WHERE reason IS NULL OR reason = 'before the window' AND amount >= 0) AS first_order_at,
                   max(ordered_at) FILTER (WHERE reason IS NULL) AS last_order_at,
                   min(ordered_at) FILTER (WHERE reason IS NULL OR reason = 'in revenue only') AS window_line_at
            FROM l),
        r AS (
            SELECT reason, count(*) AS lines, coalesce(sum(amount), 0) AS money,
                   row_number() OVER (ORDER BY reason = 'in revenue only', reason = 'before the window', reason COLLATE "C") AS place
            FROM l WHERE reason IS NOT NULL GROUP BY reason),
        -- he, known to the lines, the accounts or the model
        c AS MATERIALIZED (
            SELECT s.*, n.all_lines, n.orders AS orders_now, n.lines AS lines_now, n.revenue AS revenue_now, n.first_order_at AS first_order_now,
                   n.last_order_at AS last_order_now, n.window_line_at, coalesce(p1.orders, 0) AS orders, coalesce(p1.lines, 0) AS lines,
                   coalesce(p1.revenue, 0) AS revenue, p1.first_order_at, p1.second_order_at, p1.last_order_at, p1.last_order_date, p1.segment_since,
                   coalesce(p1.channel, a.channel) AS channel, coalesce(p1.signed_up_at, a.signed_up_at) AS signed_up_at
            FROM s CROSS JOIN n LEFT JOIN p1 ON true LEFT JOIN a ON true
            WHERE n.all_lines > 0 OR p1.orders IS NOT NULL OR a.customer_id IS NOT NULL),
        -- scored, when he is a customer
        k AS MATERIALIZED (
            SELECT c.*, c.as_of_date - c.last_order_date AS days, rfm.recency_score(c.as_of_date - c.last_order_date, c.recency_cutoffs) AS r,
                   rfm.frequency_score(c.orders, c.frequency_cutoffs) AS f, rfm.monetary_score(c.revenue, c.monetary_cutoffs) AS m
            FROM c WHERE c.orders > 0),
        g AS MATERIALIZED (
            SELECT k.*, rfm.segment_of(x.cell, k.rules) AS segment, rfm.segment_rank(x.cell, k.rules) AS segment_rank,
                   rfm.segment_stage(x.cell, k.rules) AS stage, x.cell
            FROM k CROSS JOIN LATERAL (SELECT k.r * 100 + k.f * 10 + k.m AS cell) x),
        t AS (
            SELECT t.*, x.fits,
                   min(t.rule_order) FILTER (WHERE x.fits) OVER () AS fired
            FROM g CROSS JOIN %8$I.segment_rules t CROSS JOIN LATERAL (
                SELECT g.r BETWEEN t.r_min AND t.r_max AND g.f BETWEEN t.f_min AND t.f_max AND g.m BETWEEN t.m_min AND t.m_max AS fits) x),
        edited AS (
            SELECT count(*) AS cells FROM s CROSS JOIN generate_series(1, %9$s) r CROSS JOIN generate_series(1, %10$s) f CROSS JOIN generate_series(1, %11$s) m
            WHERE rfm.segment_of(r * 100 + f * 10 + m, s.rules) <> coalesce((SELECT t.segment FROM %8$I.segment_rules t
                WHERE r BETWEEN t.r_min AND t.r_max AND f BETWEEN t.f_min AND t.f_max AND m BETWEEN t.m_min AND t.m_max
                ORDER BY t.rule_order LIMIT 1), 'Others')),
        b AS (
            SELECT row_number() OVER (ORDER BY x.further_orders, x.amount, x.better_rank) AS place, x.* FROM (
                SELECT x.* FROM c LEFT JOIN g ON true CROSS JOIN LATERAL rfm.better_segments(c.orders, c.revenue, c.order_days, g.segment_rank,
                    c.recency_cutoffs, c.frequency_cutoffs, c.monetary_cutoffs, c.rules) x) x),
        w AS (
            SELECT x.days, x.segment, g.last_order_date + x.days AS date, rfm.leaves_window(g.window_line_at, %12$L::interval, %2$L) AS line_leaves,
                   rfm.leaves_window(g.last_order_at, %12$L::interval, %2$L) AS last_leaves
            FROM g CROSS JOIN LATERAL rfm.worse_segment(g.days, g.f, g.m, g.recency_cutoffs, g.rules) x) $q$,
        CASE WHEN rows IS NOT NULL THEN format('p AS MATERIALIZED (%s),', rows) END, s.time_zone,
        CASE WHEN live THEN format('(%s)', rfm.snapshot_query(s, source, rules)) ELSE format('%I.snapshot', model) END,
        source, id,
        CASE WHEN s.accounts IS NULL THEN format('SELECT %s AS customer_id, NULL::text AS channel, NULL::timestamptz AS signed_up_at WHERE false', id)
             ELSE format('SELECT x.customer_id, x.channel, x.signed_up_at FROM (%s) x', rfm.unique_accounts_query(s, ids)) END,
        lines, model, levels[1], levels[2], levels[3], s.lookback);

    RETURN format('WITH %1$s', facts) || format($q$,
        o(topic_order, item_order, topic, item, value, explanation) AS (
            SELECT 1, 1::bigint, 'customer', 'customer_id', $1, 'Who is explained.' FROM c
            UNION ALL
            SELECT 1, 2, 'customer', 'is_customer', CASE WHEN c.orders > 0 THEN 'yes' ELSE 'no' END,
                   CASE WHEN c.orders > 0 THEN 'Has a purchase in the window.'
                        WHEN c.orders_now > 0 THEN 'His purchases came after the refresh.'
                        WHEN c.all_lines = 0 THEN 'There is an account, but no order line.'
                        WHEN (SELECT bool_and(reason = 'in revenue only') FROM r) THEN 'There are only refunds and credits, no purchase.'
                        ELSE (SELECT format('None of %%s counts as a purchase: %%s.', rfm.count_text(c.all_lines, 'line', 'lines'),
                                            string_agg(r.lines || ' ' || r.reason, ', ' ORDER BY r.place)) FROM r) END
            FROM c
            UNION ALL
            SELECT 1, 3, 'customer', 'as_of', rfm.local_text(as_of, %1$L), %2$s FROM c
            UNION ALL
            SELECT 1, 4, 'customer', 'changed', 'yes',
                   format('Since the refresh his lines have changed: they now give %%s, %%s and revenue %%s, the last purchase at %%s. CALL rfm.refresh(%%L) takes them in.',
                          rfm.count_text(orders_now, 'order', 'orders'), rfm.count_text(lines_now, 'purchase line', 'purchase lines'), trim_scale(revenue_now),
                          coalesce(rfm.local_text(last_order_now, %1$L), 'no time'), %3$L)
            FROM c WHERE %4$s AND (orders, lines, revenue, last_order_at, first_order_at)
                                  IS DISTINCT FROM (orders_now, lines_now, revenue_now, last_order_now, first_order_now)
            UNION ALL
            SELECT 1, x.place, 'customer', x.item, x.value, x.explanation
            FROM c CROSS JOIN LATERAL (VALUES
                (5, 'channel', channel, 'Channel of the account.'),
                (6, 'signed_up_at', rfm.local_text(signed_up_at, %1$L), 'Sign-up of the account.'),
                (7, 'first_order_at', rfm.local_text(first_order_at, %1$L), 'First line of the first order of all time.'),
                (8, 'second_order_at', rfm.local_text(second_order_at, %1$L), 'First line of the second order of all time.'),
                (9, 'last_order_at', rfm.local_text(last_order_at, %1$L), 'Last purchase in the window.'),
                (10, 'segment_since', rfm.local_text(segment_since, %1$L), 'In the segment since.')) x(place, item, value, explanation)
            WHERE x.value IS NOT NULL
            UNION ALL
            SELECT 2, x.place, 'value', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'recency_days', days::text, format('From %%s, the date of the last purchase, to %%s.', to_char(last_order_date, 'YYYY-MM-DD'), to_char(as_of_date, 'YYYY-MM-DD'))),
                (2, 'orders', orders::text, format('Different orders in the window, with %%s.', rfm.count_text(lines, 'purchase line', 'purchase lines'))),
                (3, 'revenue', trim_scale(revenue)::text, 'Sum of the amounts in the window, refunds subtracted.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 3, x.place, 'score', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'r', r::text, format('%%s level %%s of %5$s; cut points %%s.', rfm.recency_range(r, recency_cutoffs), r, rfm.numbers_text(recency_cutoffs))),
                (2, 'f', f::text, format('%%s level %%s of %6$s; cut points %%s.', rfm.frequency_range(f, frequency_cutoffs), f, rfm.numbers_text(frequency_cutoffs))),
                (3, 'm', m::text, format('%%s level %%s of %7$s; cut points %%s.', rfm.monetary_range(m, monetary_cutoffs), m, rfm.numbers_text(monetary_cutoffs))),
                (4, 'rfm_score', cell::text, 'The three scores.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 4, 0, 'rule', 'edited', 'yes', format('The rules were edited and are shown as edited; they are in force after the next refresh. The segment above all is by those of before: %%s.', g.segment)
            FROM g CROSS JOIN edited WHERE edited.cells > 0
            UNION ALL
            SELECT 4, t.rule_order, 'rule', t.rule_order || ' ' || t.segment,
                   CASE WHEN NOT t.fits THEN 'no' WHEN t.rule_order = t.fired THEN 'fired' ELSE 'hidden' END,
                   CASE WHEN NOT t.fits THEN concat_ws('; ', rfm.needs_text('r', g.r, t.r_min, t.r_max), rfm.needs_text('f', g.f, t.f_min, t.f_max),
                                                       rfm.needs_text('m', g.m, t.m_min, t.m_max)) || '.'
                        WHEN t.rule_order = t.fired THEN format('The first that holds the scores: r from %%s to %%s, f from %%s to %%s, m from %%s to %%s.',
                                                                t.r_min, t.r_max, t.f_min, t.f_max, t.m_min, t.m_max)
                        ELSE format('Holds the scores, too, but rule %%s comes first.', t.fired) END
            FROM t CROSS JOIN g
            UNION ALL
            SELECT 4, 32768, 'rule', 'Others', 'fired', 'No rule holds the scores.' FROM g WHERE NOT EXISTS (SELECT FROM t WHERE t.fits)
            UNION ALL
            SELECT 5, x.place, 'segment', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'segment', segment, 'By the rules in force.'), (2, 'segment_rank', segment_rank::text, 'Place of the segment among the rules, from 1.'),
                (3, 'stage', stage, 'What the segment is to the analyses.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 6, x.place, 'next segment', x.item, x.value, x.explanation
            FROM c CROSS JOIN b CROSS JOIN LATERAL (VALUES
                (1, 'segment', b.segment, format('The nearest%%s: takes %%s now, when recency_days becomes %%s, while the cut points stay.',
                    CASE WHEN c.orders > 0 THEN ' of a better rank' END, rfm.further_text(b.further_orders, b.amount), c.order_days)),
                (2, 'segment_rank', b.better_rank::text, 'Its rank.'),
                (3, 'orders', b.further_orders::text, 'Further orders it takes.'),
                (4, 'amount', b.amount::text, 'The least they must come to; 0: any amount.')) x(place, item, value, explanation)
            WHERE b.place = 1
            UNION ALL
            SELECT 6, 1, 'next segment', 'segment', NULL, CASE WHEN g.segment_rank = 1 THEN 'There is none better.'
                       ELSE 'No order now leads to a better segment, while the cut points stay.' END
            FROM g WHERE NOT EXISTS (SELECT FROM b)
            UNION ALL
            SELECT 7, b.place, 'other better segment', b.segment, b.further_orders || ', ' || b.amount,
                   format('Takes %%s.', rfm.further_text(b.further_orders, b.amount))
            FROM b WHERE b.place > 1
            UNION ALL
            SELECT 8, x.place, 'waiting', x.item, x.value, x.explanation
            FROM g CROSS JOIN w CROSS JOIN LATERAL (VALUES
                (1, 'segment', CASE WHEN w.last_leaves <= w.date THEN NULL ELSE w.segment END,
                    CASE WHEN w.segment IS NULL OR w.last_leaves <= w.date THEN 'Waiting alone leads to no segment of a worse rank%8$s.'
                         ELSE format('Without a further order in %%s from %%s on, when recency_days is %%s%8$s.', w.segment, to_char(w.date, 'YYYY-MM-DD'), w.days) END),
                (2, 'date', CASE WHEN w.last_leaves <= w.date THEN NULL ELSE to_char(w.date, 'YYYY-MM-DD') END, 'The date of that.'),
                (3, 'line leaves window', to_char(w.line_leaves, 'YYYY-MM-DD'), 'From this date on his oldest line in the window is before it: revenue, and perhaps orders, change.'),
                (4, 'last purchase leaves window', to_char(w.last_leaves, 'YYYY-MM-DD'), 'From this date on, without a further order, he is no customer.')) x(place, item, value, explanation)
            WHERE x.place = 1 OR x.value IS NOT NULL
            UNION ALL
            SELECT 9, 2 * r.place + x.place, 'left out', x.item, x.value, x.explanation
            FROM r CROSS JOIN c CROSS JOIN LATERAL (VALUES
                (0, r.reason || ': lines', r.lines::text,
                    CASE WHEN r.reason LIKE 'status %%' THEN 'The status is among excluded_statuses.'
                         WHEN r.reason = 'voided before as_of' THEN 'Their voided_at takes them out.'
                         WHEN r.reason LIKE 'without %%' THEN 'Lines with a NULL do not count.'
                         WHEN r.reason = 'at or after as_of' THEN 'They count from their date on.'
                         WHEN r.reason = 'before the window' THEN format('Ordered before the window, which starts at %%s: they count for the dates of the first two orders only.', rfm.local_text(%9$s, %1$L))
                         ELSE 'Refunds and credits: no order, line or date comes from them.' END),
                (1, r.reason || ': money', trim_scale(r.money)::text, 'Sum of their amounts.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 10, x.place, 'left out line', coalesce(x.order_id, 'without order_id'), trim_scale(x.amount)::text, concat_ws('; ', x.reason,
                       'ordered ' || rfm.local_text(x.ordered_at, %1$L), 'status ' || CASE WHEN x.reason NOT LIKE 'status %%' THEN x.status END,
                       'voided ' || rfm.local_text(x.voided_at, %1$L), 'product ' || x.product_id) || '.'
            FROM (SELECT l.*, row_number() OVER (ORDER BY r.place, l.ordered_at DESC NULLS LAST, l.order_id, l.amount, l.product_id) AS place
                  FROM l JOIN r USING (reason)) x
            WHERE x.place <= 20
            UNION ALL
            SELECT 11, 1, 'left out line', 'more', (sum(r.lines) - 20)::text, 'Lines left out that are not listed.' FROM r HAVING sum(r.lines) > 20)
        SELECT row_number() OVER (ORDER BY topic_order, item_order)::int AS step, topic, item, value, explanation
        FROM o ORDER BY 1 $q$,
        s.time_zone,
        CASE WHEN live THEN quote_literal('Computed now.')
             ELSE format($t$'As the views of the model show it, since the refresh at ' || rfm.local_text(refreshed_at, %L) || '.'$t$, s.time_zone) END,
        model, (NOT live)::text, levels[1], levels[2], levels[3],
        concat(CASE WHEN s.recency_fractions IS NOT NULL THEN ', while the cut points of recency stay (they are percentiles, and move with the other customers)' END,
               CASE WHEN s.lookback IS NOT NULL THEN ', while orders and revenue stay' END),
        rfm.window_start_sql(s, 'c.as_of'));
END $$;
COMMENT ON FUNCTION rfm.explain_query(text, rfm.settings, boolean) IS 'Internal. SQL of what explain_customer says of the customer in $1.';

CREATE FUNCTION rfm.explain_functions(model text, settings rfm.settings, grouped boolean)
    RETURNS TABLE (name text, types text, arguments text, result text, body text, comment text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    name := 'explain_customer';
    types := rfm.id_type(settings.order_lines, 'customer_id');
    arguments := 'customer_id ' || types;
    result := 'TABLE (step integer, topic text, item text, value text, explanation text)';
    body := format($b$
        BEGIN
            IF customer_id IS NULL THEN
                RAISE EXCEPTION 'customer_id must not be NULL' USING ERRCODE = 'null_value_not_allowed',
                    HINT = format('SELECT customer_id FROM %%I.customers lists the customers.', %1$L);
            END IF;
            RETURN QUERY SELECT x.* FROM rfm.rows_as_owner(%1$L, %2$L, customer_id::text)
                AS x(step integer, topic text, item text, value text, explanation text);
            IF NOT FOUND THEN
                RAISE EXCEPTION 'no order line and no account has customer_id %%', quote_literal(customer_id) USING ERRCODE = 'no_data_found',
                    HINT = format('SELECT customer_id FROM %%I.customers lists the customers.', %1$L);
            END IF;
        END $b$, model, rfm.explain_query(model, settings, grouped));
    comment := 'Why a customer is in his segment, row by row: his raw values, the cut points they met, every rule with what it lacks (fired, no, or hidden behind the one that fired), what it takes to reach the next better segment, when waiting takes him to a worse one, and the lines that were left out, by reason, up to 20 of them singly. value is for programs (dates and times local to the model, ISO), explanation for people. Values, cut points and rules are those of the last refresh, with a row when his lines have changed since; with storage view those of now. Who is no customer is told why; an id without order line and account, and NULL, are errors. For the owner of the model only.'
        || format(' Example: SELECT * FROM %1$I.explain_customer((SELECT customer_id FROM %1$I.customers LIMIT 1));', model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.explain_functions(text, rfm.settings, boolean) IS 'Internal. The function explain_customer of a model.';
