-- 82_time: the model at another moment.

CREATE FUNCTION rfm.moment(argument text, moment timestamp, time_zone text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF moment IS NULL THEN
        RAISE EXCEPTION '% must not be NULL', argument USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Give a local time of the model, for example ''2024-01-01''.';
    ELSIF NOT isfinite(moment) THEN
        RAISE EXCEPTION '% must be finite', argument USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give a local time of the model, for example ''2024-01-01''.';
    END IF;
    RETURN moment AT TIME ZONE time_zone AT TIME ZONE 'UTC';
END $$;
COMMENT ON FUNCTION rfm.moment(text, timestamp, text) IS
    'Internal. The time of an argument, local in the time zone, as text of a timestamp in UTC; refuses NULL and infinity.';

-- SQL of the view customers at the moment in a parameter such as $1, a text that rfm.moment made: from the lines, read once.
-- Cut points from percentiles are those of that moment, the rules those in force.
CREATE FUNCTION rfm.customers_at_query(model text, settings rfm.settings, grouped boolean, parameter text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.customers_query(settings, format('(%s) x', rfm.live_scored_query(model, settings, grouped,
        CASE WHEN settings.storage = 'view' THEN format('%L::rfm.rules', rfm.rules_in_force(model, settings))
             ELSE format('(SELECT i.rules FROM %I.snapshot i)', model) END,
        format('(%s::timestamp AT TIME ZONE ''UTC'')', parameter))));
END $$;
COMMENT ON FUNCTION rfm.customers_at_query(text, rfm.settings, boolean, text) IS 'Internal. SQL of the view customers at the moment in a parameter.';

CREATE FUNCTION rfm.migration_query(model text, settings rfm.settings, grouped boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format($q$
        SELECT coalesce(a.segment, 'New') AS source, a.segment_rank AS source_rank, coalesce(b.segment, 'Gone') AS target,
               b.segment_rank AS target_rank, count(*) AS customers, sum(coalesce(b.revenue, a.revenue)) AS revenue
        FROM (SELECT customer_id, segment, segment_rank, revenue FROM (%s) x) a
        FULL JOIN (SELECT customer_id, segment, segment_rank, revenue FROM (%s) x) b ON b.customer_id = a.customer_id
        GROUP BY a.segment, a.segment_rank, b.segment, b.segment_rank
        ORDER BY a.segment_rank, b.segment_rank $q$,
        rfm.customers_at_query(model, settings, grouped, '$1'), rfm.customers_at_query(model, settings, grouped, '$2'));
END $$;
COMMENT ON FUNCTION rfm.migration_query(text, rfm.settings, boolean) IS
    'Internal. SQL of the customers by their segments at the moments $1 and $2.';

-- Which of the two queries a function runs. What is stored tells how many customers there are when it is called; without it,
-- or where the aggregation is shipped to other servers, grouped was decided when the function was made.
CREATE FUNCTION rfm.query_choice(model text, settings rfm.settings, grouped boolean, one_pass text, by_customer text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.storage <> 'view' AND grouped IS NOT TRUE THEN
        format('CASE WHEN (SELECT c.reltuples * 160 > %s FROM pg_class c WHERE c.oid = rfm.model_relation(%L, ''profiles'')) THEN %L ELSE %L END',
               pg_size_bytes(settings.build_memory), model, by_customer, one_pass)
        ELSE quote_literal(CASE WHEN grouped THEN by_customer ELSE one_pass END) END;
END $$;
COMMENT ON FUNCTION rfm.query_choice(text, rfm.settings, boolean, text, text) IS
    'Internal. SQL of the text of the query that a function of a model runs: in one pass over the lines, or by customer where that would exceed build_memory.';

CREATE FUNCTION rfm.time_functions(model text, settings rfm.settings, grouped boolean)
    RETURNS TABLE (name text, types text, arguments text, result text, body text, comment text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    -- the types are those of the view, which exists
    columns text := (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                     FROM pg_attribute a
                     WHERE a.attrelid = rfm.model_relation(model, 'customers') AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    name := 'customers_at';
    types := 'timestamp';
    arguments := 'as_of timestamp';
    result := format('TABLE (%s)', columns);
    body := format($b$
        DECLARE
            -- by itself: the context of its errors is not the long query below
            moment text := rfm.moment('as_of', as_of, %3$L);
        BEGIN
            RETURN QUERY SELECT * FROM rfm.rows_as_owner(%1$L, %2$s, moment) AS x(%4$s);
        END $b$, model,
        rfm.query_choice(model, s, grouped, rfm.customers_at_query(model, s, false, '$1'), rfm.customers_at_query(model, s, true, '$1')),
        s.time_zone, columns);
    comment := 'The view customers as it was, or will be without further lines, at another moment: a local time in the time zone of the model. Only lines, visits and the window before as_of count; cut points from percentiles are those of the customers then. Settings, rules, accounts, products and the lines themselves are those of today: a line that was cancelled or returned since is missing in the past, too, unless the order lines have a column voided_at that says when. Computed from the lines; for the owner of the model only. NULL or an infinite as_of is an error.'
        || format(' Example: SELECT * FROM %I.customers_at(''2024-01-01'');', model);
    RETURN NEXT;

    name := 'segment_migration';
    types := 'timestamp, timestamp';
    arguments := 'from_as_of timestamp, to_as_of timestamp DEFAULT NULL';
    result := 'TABLE (source text, source_rank smallint, target text, target_rank smallint, customers bigint, revenue numeric)';
    body := format($b$
        DECLARE
            from_moment text := rfm.moment('from_as_of', from_as_of, %3$L);
            to_moment   text := CASE WHEN to_as_of IS NULL THEN (SELECT x.as_of FROM rfm.rows_as_owner(%1$L, %4$L) AS x(as_of text))
                                     ELSE rfm.moment('to_as_of', to_as_of, %3$L) END;
        BEGIN
            IF from_moment::timestamp > to_moment::timestamp THEN
                RAISE EXCEPTION 'from_as_of is later than %%', CASE WHEN to_as_of IS NULL THEN 'as_of of the model' ELSE 'to_as_of' END
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the earlier moment first.';
            END IF;
            RETURN QUERY SELECT * FROM rfm.rows_as_owner(%1$L, %2$s, from_moment, to_moment)
                AS x(source text, source_rank smallint, target text, target_rank smallint, customers bigint, revenue numeric);
        END $b$, model,
        rfm.query_choice(model, s, grouped, rfm.migration_query(model, s, false), rfm.migration_query(model, s, true)), s.time_zone,
        format('SELECT (%s AT TIME ZONE ''UTC'')::text', CASE WHEN s.storage = 'view' THEN rfm.as_of_sql(s)
               ELSE format('(SELECT i.as_of FROM %I.snapshot i)', model) END));
    comment := 'How many customers went from one segment (source) to another (target) between two moments, both as customers_at shows them; for a Sankey diagram. Who was no customer at from_as_of comes from New, who is none at to_as_of (all his orders have left the window) is in Gone; their ranks are NULL. revenue is that at to_as_of, of those in Gone that at from_as_of. to_as_of NULL: as_of of the model. A from_as_of that is later than to_as_of, NULL or infinite is an error.'
        || format(' Example: SELECT * FROM %I.segment_migration(''2023-07-01'', ''2024-01-01'');', model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.time_functions(text, rfm.settings, boolean) IS 'Internal. The functions customers_at and segment_migration of a model.';
