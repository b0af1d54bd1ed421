-- 67_distributed: models of order lines that Citus has distributed over several servers by customer.
--
-- Everything of a customer is computed where his lines are: the profiles are a distributed table beside the lines, and a
-- refresh writes them by one INSERT ... SELECT that the workers run whole. What is of the model as a whole, a row each, is
-- on the coordinator: the snapshot and the summaries, which the analyses read. Cut points and rules travel to the workers
-- as constants, and so does as_of. Of the customers only counts and sums come back.

-- which relations are

CREATE FUNCTION rfm.citus_tables(relation regclass) RETURNS TABLE (citus_table regclass, is_distributed boolean)
    LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
        RETURN QUERY EXECUTE 'SELECT b.source::regclass, d.partmethod = ''h'' FROM rfm.sources_below(NULL, $1, 0) b'
            ' JOIN pg_dist_partition d ON d.logicalrelid = b.source ORDER BY d.partmethod <> ''h'', b.source' USING relation;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.citus_tables(regclass) IS
    'Internal. The tables of Citus that a relation is or reads, through views, too, and whether they are distributed; reference tables are not. No rows without Citus.';

CREATE FUNCTION rfm.distributed_table(relation regclass) RETURNS regclass
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT t.citus_table FROM rfm.citus_tables(relation) t WHERE t.is_distributed LIMIT 1);
END $$;
COMMENT ON FUNCTION rfm.distributed_table(regclass) IS
    'Internal. The distributed table of Citus that a relation is or reads, through views, too; NULL when there is none.';

CREATE FUNCTION rfm.is_distributed(settings rfm.settings) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN rfm.distributed_table((settings).order_lines) IS NOT NULL;
COMMENT ON FUNCTION rfm.is_distributed(rfm.settings) IS 'Internal. Whether the order lines of a model are distributed by Citus.';

-- Citus says so in its plan: nothing is added to what the workers do, and nothing is sent to them.
CREATE FUNCTION rfm.runs_on_workers(query text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    local   text := current_setting('citus.enable_local_execution');
    line    text;
    result  boolean;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        result := coalesce(result, line ~ 'Custom Scan \(Citus Adaptive\)') AND line !~ 'Distributed Subplan';
    END LOOP;
    -- EXPLAIN turned it off until the end of the transaction
    PERFORM set_config('citus.enable_local_execution', local, true);
    RETURN result;
EXCEPTION
    WHEN feature_not_supported THEN
        RETURN false;
    WHEN internal_error THEN
        -- Citus explains nothing after it has written on the coordinator itself
        IF SQLERRM !~ 'local execution' THEN
            RAISE;
        END IF;
        RETURN NULL;
END $$;
COMMENT ON FUNCTION rfm.runs_on_workers(text) IS 'Internal. Whether Citus runs a query whole on the workers; NULL where it cannot tell in this transaction.';

CREATE FUNCTION rfm.check_distribution(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s      rfm.settings := settings;
    lines  regclass := rfm.distributed_table(s.order_lines);
    other  record;
BEGIN
    IF lines IS NULL THEN
        FOR other IN SELECT c.role, c.relation, rfm.distributed_table(c.relation) AS citus_table
                FROM (VALUES ('accounts', s.accounts), ('products', s.products), ('visits', s.visits)) c(role, relation) LOOP
            IF other.citus_table IS NOT NULL THEN
                RAISE EXCEPTION '%: % is distributed, but the order lines are not', other.role, other.citus_table USING ERRCODE = 'feature_not_supported',
                    HINT = format('Distribute the order lines, too, by their customer, or SELECT undistribute_table(%L).', other.citus_table);
            END IF;
        END LOOP;
        RETURN;
    END IF;
    IF s.storage = 'materialized' THEN
        RAISE EXCEPTION 'storage materialized is not possible with distributed order lines' USING ERRCODE = 'feature_not_supported',
            HINT = 'A materialized view is on the coordinator only: use storage => ''table'', which keeps the profiles beside the lines.';
    ELSIF s.storage = 'view' AND s.as_of IS NULL THEN
        RAISE EXCEPTION 'storage view needs an as_of with distributed order lines' USING ERRCODE = 'feature_not_supported',
            HINT = 'The moment of the query is another on each worker: set as_of, or use storage => ''table''.';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
               WHERE a.attrelid = s.order_lines AND a.attname = 'customer_id' AND NOT c.collisdeterministic) THEN
        RAISE EXCEPTION 'customer_id of % takes different texts for equal', s.order_lines USING ERRCODE = 'feature_not_supported',
            HINT = 'Distribute the lines by a column with a deterministic collation.';
    END IF;
    IF NOT rfm.runs_on_workers(format('SELECT x.customer_id, count(*) FROM %s x GROUP BY x.customer_id', s.order_lines)) THEN
        RAISE EXCEPTION 'the order lines of % are not distributed by customer', lines USING ERRCODE = 'feature_not_supported',
            HINT = format('SELECT alter_distributed_table(%L, distribution_column => ...) with the column of the customer; in a view, customer_id must be this column as it is.', lines);
    END IF;
    SELECT c.role, b.source INTO other
    FROM (VALUES ('order_lines', s.order_lines), ('accounts', s.accounts), ('products', s.products), ('visits', s.visits)) c(role, relation)
    CROSS JOIN LATERAL rfm.sources_below(NULL, c.relation, 0) b
    WHERE b.kind <> 'v' AND NOT rfm.is_system_relation(b.source) AND NOT EXISTS (SELECT FROM rfm.citus_tables(b.source::regclass)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '%: % is on the coordinator only, but the order lines are distributed', other.role, other.source::regclass USING ERRCODE = 'feature_not_supported',
            HINT = CASE other.role WHEN 'products' THEN format('SELECT create_reference_table(%L);', other.source::regclass)
                ELSE format('SELECT create_distributed_table(%L, ..., colocate_with => %L) with the column of the customer, or create_reference_table for a small table.', other.source::regclass, lines) END;
    END IF;
    FOR other IN SELECT c.role, c.relation FROM (VALUES ('accounts', s.accounts), ('visits', s.visits)) c(role, relation)
            WHERE c.relation IS NOT NULL LOOP
        IF NOT rfm.runs_on_workers(format('SELECT l.customer_id, count(*) FROM %s l JOIN %s x ON x.customer_id = l.customer_id GROUP BY l.customer_id',
                s.order_lines, other.relation)) THEN
            RAISE EXCEPTION '%: % is not distributed as the order lines are', other.role, other.relation USING ERRCODE = 'feature_not_supported',
                HINT = format('SELECT create_distributed_table(..., colocate_with => %L) with the column of the customer, or create_reference_table for a small table.', lines);
        END IF;
    END LOOP;
    IF s.products IS NOT NULL AND NOT rfm.runs_on_workers(format(
            'SELECT l.customer_id, count(*) FROM %s l JOIN %s x ON x.product_id = l.product_id GROUP BY l.customer_id', s.order_lines, s.products)) THEN
        RAISE EXCEPTION 'products: % is not on every worker', s.products USING ERRCODE = 'feature_not_supported',
            HINT = 'SELECT create_reference_table(...) puts the table below it there.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_distribution(rfm.settings) IS
    'Internal. Refuses relations that are distributed by Citus in another way than a model needs, with what to do about it.';

-- What is made on the coordinator, Citus repeats on the workers or not.
CREATE FUNCTION rfm.propagate_ddl(settings rfm.settings, value text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text;
BEGIN
    IF value IS NOT NULL AND rfm.is_distributed(settings) THEN
        before := current_setting('citus.enable_ddl_propagation');
        PERFORM set_config('citus.enable_ddl_propagation', value, true);
    END IF;
    RETURN before;
END $$;
COMMENT ON FUNCTION rfm.propagate_ddl(rfm.settings, text) IS
    'Internal. Has Citus repeat on the workers what is made (on) or not (off), until the end of the transaction; returns what it was, NULL for a model that is not distributed.';

-- Puts a table of a model where distributed order lines need it: one row per customer beside the lines, the snapshot on every
-- worker. One that is there already stays.
CREATE FUNCTION rfm.distribute_table(model text, name text, settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass := rfm.model_relation(model, name);
    lines    regclass := rfm.distributed_table(settings.order_lines);
    before   text;
BEGIN
    IF lines IS NOT NULL AND NOT EXISTS (SELECT FROM rfm.citus_tables(relation)) THEN
        before := rfm.propagate_ddl(settings, 'on');
        -- without an identity of its rows Citus moves a shard only while nobody writes
        EXECUTE format(CASE WHEN name IN ('snapshot', 'segment_changes') THEN 'ALTER TABLE %2$I.%3$I REPLICA IDENTITY FULL'
            ELSE 'ALTER TABLE %2$I.%3$I ADD CONSTRAINT %1$I PRIMARY KEY (customer_id)' END, name || '_key', model, name);
        IF name = 'snapshot' THEN
            EXECUTE 'SELECT create_reference_table($1)' USING relation;
        ELSE
            EXECUTE 'SELECT create_distributed_table($1, ''customer_id'', colocate_with => $2)' USING relation, lines::text;
        END IF;
        PERFORM rfm.propagate_ddl(settings, before);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.distribute_table(text, text, rfm.settings) IS
    'Internal. Distributes a new table of a model beside distributed order lines, or puts it on every worker; nothing where the lines are not distributed.';

-- how they are read

CREATE FUNCTION rfm.instant_sql(at timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format('%L::timestamptz', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
END $$;
COMMENT ON FUNCTION rfm.instant_sql(timestamptz) IS 'Internal. SQL of a moment, the same in every session.';

CREATE FUNCTION rfm.bytewise_sql(settings rfm.settings, id text) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE WHEN rfm.is_distributed(settings) AND rfm.id_type((settings).order_lines, 'customer_id') OPERATOR(pg_catalog.=) 'text'
                -- a varchar that is merely cast loses that on the way to the workers
                THEN pg_catalog.format('(%s || '''') COLLATE "C"', id) ELSE id END;
COMMENT ON FUNCTION rfm.bytewise_sql(rfm.settings, text) IS 'Internal. SQL of a customer_id that is stored as the distributed lines have it, as views show it: text bytewise.';

-- The profiles of all customers but for their sessions, in the columns of profiles_query. Every join is one that the
-- workers do by themselves. as_of: SQL of a constant.
CREATE FUNCTION rfm.distributed_profiles_query(settings rfm.settings, as_of text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    has_cost boolean := s.products IS NOT NULL AND rfm.column_type(s.products, 'cost') IS NOT NULL;
BEGIN
    RETURN format('SELECT g.customer_id, u.*, NULL::timestamptz AS as_of, NULL::bigint AS registered, g.ledger, NULL::timestamptz AS next_change_at,'
        ' NULL::timestamptz AS window_line_at, NULL::timestamptz AS segment_since, %s, %s,'
        ' CASE WHEN u.first_order_at IS NOT NULL THEN %s END AS sessions_after_purchase, CASE WHEN u.first_order_at IS NOT NULL THEN %3$s END AS return_sessions%s'
        ' FROM (SELECT l.customer_id, rfm.profile(l.order_id, l.ordered_at, l.amount, l.product_id, %5$s, %6$s, %7$L) AS profile,'
        ' rfm.ledger(l.ordered_at, l.amount, %8$s, %5$s, %6$s, %7$L) FILTER (WHERE l.order_id IS NOT NULL) AS ledger'
        ' FROM (%9$s) l%10$s WHERE l.customer_id IS NOT NULL GROUP BY l.customer_id) g'
        ' CROSS JOIN LATERAL rfm.unpack(g.profile, %7$L) AS u(%11$s)%12$s%13$s',
        CASE WHEN s.accounts IS NULL THEN 'NULL::text AS channel, NULL::timestamptz AS signed_up_at, false AS has_account'
             ELSE 'a.channel, a.signed_up_at, a.customer_id IS NOT NULL AS has_account' END,
        CASE WHEN s.products IS NULL THEN 'NULL::text AS first_category, NULL::text AS first_brand, NULL::text AS first_product'
             ELSE 'h.category AS first_category, h.brand AS first_brand, h.name AS first_product' END,
        CASE WHEN s.visits IS NULL THEN 'NULL::bigint' ELSE '0::bigint' END,
        (SELECT string_agg(format(', a.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)),
        rfm.window_start_sql(s, as_of), as_of, s.time_zone, CASE WHEN has_cost THEN 'c.cost' ELSE 'NULL::numeric' END,
        rfm.valid_lines_query(s, as_of),
        CASE WHEN has_cost THEN format(' LEFT JOIN (%s) c ON c.product_id = l.product_id', rfm.unique_products_query(s)) END,
        rfm.profile_columns(s),
        CASE WHEN s.accounts IS NOT NULL THEN format(' LEFT JOIN (%s) a ON a.customer_id = g.customer_id', rfm.unique_accounts_query(s)) END,
        CASE WHEN s.products IS NOT NULL THEN format(' LEFT JOIN (%s) h ON h.product_id = u.first_product_id', rfm.unique_products_query(s)) END);
END $$;
COMMENT ON FUNCTION rfm.distributed_profiles_query(rfm.settings, text) IS
    'Internal. SQL of the profiles of all customers with distributed order lines, without their sessions.';

-- profiles: SQL of a relation with customer_id, first_order_at and first_order_until.
CREATE FUNCTION rfm.distributed_visits_query(settings rfm.settings, as_of text, profiles text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s  rfm.settings := settings;
    at text := rfm.instant_column(s.visits, 'visited_at', s.time_zone);
BEGIN
    RETURN format('SELECT x.customer_id, count(DISTINCT %s) AS sessions_after_purchase,'
        ' count(DISTINCT %1$s) FILTER (WHERE %2$s > p.first_order_until) AS return_sessions'
        ' FROM %3$s x JOIN %4$s p ON p.customer_id = x.customer_id WHERE %2$s > p.first_order_at AND %2$s < %5$s GROUP BY x.customer_id',
        rfm.id_column(s.visits, 'session_id'), at, s.visits, profiles, as_of);
END $$;
COMMENT ON FUNCTION rfm.distributed_visits_query(rfm.settings, text, text) IS
    'Internal. SQL of the sessions after the first order of those customers who have any, with distributed order lines.';

-- Over these as p, the sessions, and the row of the model as a whole, in the columns of profiles_query: for what is
-- computed once and not stored. A row per customer comes to the coordinator.
CREATE FUNCTION rfm.gathered_profiles_query(settings rfm.settings, as_of text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    counted text[] := ARRAY(SELECT split_part(c, ' ', 1) FROM unnest(string_to_array(rfm.profile_columns(s), ', ')) WITH ORDINALITY u(c, i) ORDER BY i);
    added   text[] := '{channel,signed_up_at,has_account,first_category,first_brand,first_product}'::text[];
BEGIN
    RETURN format('SELECT p.customer_id, %1$s, p.as_of, p.registered, p.ledger, p.next_change_at, p.window_line_at, p.segment_since, %2$s, %3$s%4$s FROM p%5$s'
        ' UNION ALL SELECT NULL, %6$s, %7$s, %8$s, %9$s',
        (SELECT string_agg(format('p.%I', c), ', ') FROM unnest(counted) c), (SELECT string_agg(format('p.%I', c), ', ') FROM unnest(added) c),
        CASE WHEN s.visits IS NULL THEN 'p.sessions_after_purchase, p.return_sessions'
             ELSE 'coalesce(v.sessions_after_purchase, p.sessions_after_purchase) AS sessions_after_purchase, coalesce(v.return_sessions, p.return_sessions) AS return_sessions' END,
        (SELECT string_agg(format(', p.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)),
        CASE WHEN s.visits IS NOT NULL THEN format(' LEFT JOIN (%s) v ON v.customer_id = p.customer_id', rfm.distributed_visits_query(s, as_of, 'p')) END,
        (SELECT string_agg(CASE c WHEN 'revenue' THEN '0.0000' ELSE 'NULL' END, ', ') FROM unnest(counted) c), as_of, rfm.registered_sql(s),
        array_to_string(array_fill('NULL'::text, ARRAY[4 + 6 + 2 + cardinality(s.dimensions)]), ', '));
END $$;
COMMENT ON FUNCTION rfm.gathered_profiles_query(rfm.settings, text) IS
    'Internal. SQL of the profiles p of distributed order lines with their sessions, and the row of the model as a whole.';

-- Citus takes a query apart as soon as it holds anything distributed, and ends the server over some lateral joins. A view
-- that many others read is therefore planned by itself.
CREATE FUNCTION rfm.rows_of(row_type anyelement, query text) RETURNS SETOF anyelement
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE query;
END $$;
COMMENT ON FUNCTION rfm.rows_of(anyelement, text) IS 'Internal. The rows of a query, of the type of the first argument, with the rights of the caller.';

CREATE FUNCTION rfm.apart_sql(model text, name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('rfm.rows_of(NULL::%1$I.%2$I, %3$L)', model, name, pg_catalog.format('SELECT * FROM %I.%I', model, name));
COMMENT ON FUNCTION rfm.apart_sql(text, text) IS 'Internal. SQL of a relation of a model that is planned by itself.';

-- exact places in the order of all customers

-- Each pass counts the values between bounds, on the workers, and puts the bounds of the next one between those between
-- which a wanted place is. What comes back of each shard is no more than a count, the least and the greatest value between
-- two bounds, of four thousand. Numbers whose units do not fit in bigint are searched in narrower steps, since PostgreSQL
-- looks through an array of numeric one by one.
CREATE FUNCTION rfm.values_at(query text, places bigint[]) RETURNS numeric[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lows    numeric[];
    highs   numeric[];
    type    text;
    steps   int;
    bounds  numeric[];
    results numeric[];
BEGIN
    EXECUTE format('SELECT ARRAY[min(value)], ARRAY[max(value)], CASE WHEN max(abs(value)) < 9000000000000000000 THEN ''bigint'' ELSE ''numeric'' END FROM (%s) x', query)
        INTO lows, highs, type;
    IF lows[1] IS NULL THEN
        RETURN NULL;
    END IF;
    WHILE lows <> '{}' LOOP
        steps := greatest(2, CASE type WHEN 'bigint' THEN 4096 ELSE 64 END / cardinality(lows));
        bounds := ARRAY(SELECT DISTINCT u.low + div((u.high + 1 - u.low) * i, steps) AS bound
                        FROM unnest(lows, highs) u(low, high), generate_series(0, steps) i ORDER BY bound);
        EXECUTE format(
            'WITH counted AS MATERIALIZED ('
            ' SELECT width_bucket(x.value::%1$s, %2$L::%1$s[]) AS bucket, count(*) AS n, min(x.value) AS low, max(x.value) AS high FROM (%3$s) x GROUP BY 1),'
            ' placed AS (SELECT low, high, sum(n) OVER w AS until, sum(n) OVER w - n AS since FROM counted WINDOW w AS (ORDER BY bucket)),'
            ' found AS (SELECT w.i, coalesce(w.value, CASE WHEN p.low = p.high THEN p.low END) AS value, p.low, p.high'
            ' FROM unnest($1, $2) WITH ORDINALITY w(place, value, i) JOIN placed p ON w.place > p.since AND w.place <= p.until),'
            ' several AS (SELECT DISTINCT low, high FROM found WHERE value IS NULL)'
            ' SELECT (SELECT array_agg(value ORDER BY i) FROM found), ARRAY(SELECT low FROM several ORDER BY low), ARRAY(SELECT high FROM several ORDER BY low)',
            type, bounds, query) INTO results, lows, highs USING places, results;
    END LOOP;
    RETURN results;
END $$;
COMMENT ON FUNCTION rfm.values_at(text, bigint[]) IS
    'Internal. The values that stand at places, counted from 1, in the ascending order of the whole numbers value of a query over distributed tables; NULL without values.';

-- Type 7, as percentile_cutoffs: the places between which each percentile of n values is, all the lower ones first.
CREATE FUNCTION rfm.percentile_places(fractions numeric[], n bigint) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT floor((n - 1) * f)::bigint + 1 FROM unnest(fractions) WITH ORDINALITY u(f, i) ORDER BY i)
        || ARRAY(SELECT least(floor((n - 1) * f)::bigint + 2, n) FROM unnest(fractions) WITH ORDINALITY u(f, i) ORDER BY i);
END $$;
COMMENT ON FUNCTION rfm.percentile_places(numeric[], bigint) IS 'Internal. The places of the values between which percentiles of n values are.';

-- ends: what stands at these places; unit: what one of them is worth.
CREATE FUNCTION rfm.percentiles_of(ends numeric[], fractions numeric[], unit numeric, n bigint) RETURNS numeric[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF n > 0 THEN
        RETURN ARRAY(SELECT trim_scale((ends[i] + (ends[i + cardinality(fractions)] - ends[i]) * ((n - 1) * f - floor((n - 1) * f))) * unit)
                     FROM unnest(fractions) WITH ORDINALITY u(f, i) ORDER BY i);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rfm.percentiles_of(numeric[], numeric[], numeric, bigint) IS
    'Internal. The exact percentiles of n whole numbers, times unit, from what stands at percentile_places; NULL without values.';

-- As percent_sums: the last place of each percent from the richest, counted from the poorest, and that of the richest.
CREATE FUNCTION rfm.percent_places(n bigint) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT n + 1 - (p * n + 99) / 100 FROM generate_series(1, 100) p ORDER BY p) || n;
END $$;
COMMENT ON FUNCTION rfm.percent_places(bigint) IS 'Internal. The places in ascending order where each percent of n values ends, the greatest first, and that of the greatest.';

-- ends: what stands at these places; what is above them is summed up on the workers.
CREATE FUNCTION rfm.distributed_percent_sums(query text, n bigint, ends numeric[]) RETURNS numeric[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    places bigint[] := ARRAY(SELECT (p * n + 99) / 100 FROM generate_series(1, 100) p ORDER BY p);
    totals numeric[];
BEGIN
    IF n = 0 THEN
        RETURN NULL;
    END IF;
    EXECUTE format(
        'WITH counted AS MATERIALIZED (SELECT width_bucket(x.value::%1$s, %2$L::%1$s[]) AS bucket, count(*) AS n, sum(x.value) AS total FROM (%3$s) x GROUP BY 1)'
        ' SELECT ARRAY(SELECT coalesce(sum(c.total), 0) + (u.place - coalesce(sum(c.n), 0)) * u.value'
        ' FROM unnest($1, $2) WITH ORDINALITY u(place, value, p) LEFT JOIN counted c ON c.bucket > width_bucket(u.value, %2$L::numeric[])'
        ' GROUP BY u.p, u.place, u.value ORDER BY u.p)',
        CASE WHEN greatest(abs(ends[100]), abs(ends[101])) < 9000000000000000000 THEN 'bigint' ELSE 'numeric' END,
        -- a stretch of its own for each of the ends
        ARRAY(SELECT DISTINCT v + i FROM unnest(ends) v, generate_series(0, 1) i ORDER BY 1), query)
        INTO totals USING places, ends[:100];
    RETURN ARRAY(SELECT CASE WHEN places[p] > coalesce(places[p - 1], 0) THEN round((totals[p] - coalesce(totals[p - 1], 0)) / 10000, 4) END
                 FROM generate_series(1, 100) p ORDER BY p);
END $$;
COMMENT ON FUNCTION rfm.distributed_percent_sums(text, bigint, numeric[]) IS
    'Internal. The sums of the first, second ... hundredth percent of the n amounts, in units of 0.0001, value of a query over distributed tables, the greatest first; NULL without values.';
