-- 68_sharded: order lines that are foreign tables, or partitions that are.
--
-- postgres_fdw ships an aggregate with its GROUP BY when nothing in it needs this server: extensions of the server name
-- this one, times are constants or parameters, texts come from foreign columns; of a partitioned table, when the partition
-- key is the customer and enable_partitionwise_aggregate is on. Then one row per customer crosses the network, and the rest
-- of the build is as always. The planner decides: is_shipped asks it.

CREATE FUNCTION rfm.foreign_lines(settings rfm.settings) RETURNS oid[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(
        WITH RECURSIVE family(relation) AS (
            SELECT b.source FROM rfm.sources_below('order_lines', settings.order_lines, NULL) b WHERE b.kind IN ('p', 'f')
            UNION
            SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.relation)
        SELECT f.relation FROM family f JOIN pg_class c ON c.oid = f.relation WHERE c.relkind = 'f' ORDER BY 1);
END $$;
COMMENT ON FUNCTION rfm.foreign_lines(rfm.settings) IS 'Internal. The foreign tables below the order lines, through views and partitions.';

CREATE FUNCTION rfm.is_sharded(settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.foreign_lines(settings) <> '{}';
END $$;
COMMENT ON FUNCTION rfm.is_sharded(rfm.settings) IS 'Internal. Whether order lines are in foreign tables.';

-- Bare columns, since a cast to another collation stays at home; only where a column takes ids for equal that differ in their
-- bytes it must be. The moments are parameters, also where they are now().
CREATE FUNCTION rfm.sharded_groups_query(settings rfm.settings, as_of text, products text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    customer text := CASE WHEN EXISTS (SELECT FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
                                       WHERE a.attrelid = s.order_lines AND a.attname = 'customer_id' AND NOT c.collisdeterministic)
                          THEN rfm.id_column(s.order_lines, 'customer_id') ELSE 'x.customer_id' END;
    product  text := CASE WHEN rfm.column_type(s.order_lines, 'product_id') IS NULL THEN 'NULL::bigint' ELSE 'x.product_id' END;
    id_type  text := CASE rfm.id_type(s.order_lines, 'product_id') WHEN 'text' THEN 'text' WHEN 'uuid' THEN 'uuid' ELSE 'bigint' END;
    moment   text := format('(SELECT %s)', as_of);
    since    text := format('(SELECT %s)', rfm.window_start_sql(s, as_of));
    zone     text := format('%L::bytea', s.time_zone);
    voided   text := CASE rfm.column_type(s.order_lines, 'voided_at')::text WHEN 'timestamp with time zone' THEN 'x.voided_at::timestamptz'
                          ELSE format('rfm.instant(x.voided_at::timestamp, %s)', zone) END;
BEGIN
    RETURN format('SELECT %s AS customer_id, rfm.summary(rfm.profile(x.order_id, x.ordered_at, x.amount, %s, %s, %s, %s)) AS profile,'
        ' rfm.ledger(x.ordered_at, x.amount, %s, %3$s, %4$s, %5$s) AS ledger, %7$s AS voided_at FROM %8$s x%9$s GROUP BY 1',
        customer, product, since, moment, zone,
        CASE WHEN s.products IS NULL OR rfm.column_type(s.products, 'cost') IS NULL THEN 'NULL::numeric'
             -- of the collation that any column has its way with
             ELSE format('rfm.cost_of(%1$s::%2$s, (SELECT array_agg(%3$s ORDER BY c.product_id) FROM %4$s c WHERE c.cost IS NOT NULL),'
                      ' (SELECT array_agg(c.cost ORDER BY c.product_id) FROM %4$s c WHERE c.cost IS NOT NULL))', product, id_type,
                  CASE id_type WHEN 'text' THEN 'c.product_id COLLATE "default"' ELSE format('c.product_id::%s', id_type) END, products) END,
        CASE WHEN rfm.column_type(s.order_lines, 'voided_at') IS NULL THEN 'NULL::timestamptz'
             ELSE format('min(%1$s) FILTER (WHERE %1$s >= %2$s AND isfinite(%1$s))', voided, moment) END,
        s.order_lines,
        rfm.where_sql(nullif(replace(rfm.counted_sql(s, moment), rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), voided), 'true'),
            'x.customer_id IS NOT NULL', 'x.order_id IS NOT NULL', 'x.ordered_at IS NOT NULL', 'x.amount IS NOT NULL'));
END $$;
COMMENT ON FUNCTION rfm.sharded_groups_query(rfm.settings, text, text) IS
    'Internal. SQL of the summary of the profile, the ledger and the next voided line by customer, in a form that postgres_fdw ships. as_of, products: SQL.';

-- Lines without customer come as they are: they are no group that a server could know alone.
CREATE FUNCTION rfm.sharded_rows_query(settings rfm.settings, as_of text, products text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    columns  text := rfm.profile_columns(s);
    id_type  text := rfm.id_type(s.order_lines, 'customer_id');
BEGIN
    RETURN format(
        'SELECT %1$s AS customer_id, t.first_order_at, t.first_order_until, rfm.local_date(t.first_order_at, %3$L) AS first_order_date,'
        ' t.second_order_at, rfm.local_date(t.second_order_at, %3$L) AS second_order_date,'
        ' t.last_order_at, rfm.local_date(t.last_order_at, %3$L) AS last_order_date, (g.profile).orders, (g.profile).lines,'
        ' (g.profile).revenue, (g.profile).first_order_revenue, (g.profile).first_product_id::%9$s AS first_product_id,'
        ' g.ledger, least(rfm.next_line_at(g.ledger), g.voided_at) AS next_change_at'
        -- OFFSET keeps the condition from becoming a HAVING that would stay here
        ' FROM (%2$s OFFSET 0) g, LATERAL (SELECT rfm.instant((g.profile).first_order_at) AS first_order_at,'
        ' rfm.instant((g.profile).first_order_until) AS first_order_until, rfm.instant((g.profile).second_order_at) AS second_order_at,'
        ' rfm.instant((g.profile).last_order_at) AS last_order_at) t WHERE (g.profile).orders IS NOT NULL'
        ' UNION ALL (SELECT u.* FROM (SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount, l.product_id, %5$s, %6$s, %3$L,'
        ' NULL, NULL, NULL::numeric, l.voided_at) AS profiles FROM (%7$s) l) g,'
        ' LATERAL rfm.unpack(g.profiles, NULL, %3$L) AS u(customer_id %8$s, %4$s, ledger rfm.ledger, next_change_at timestamptz) LIMIT 1)',
        CASE id_type WHEN 'text' THEN 'g.customer_id::text COLLATE "C"' ELSE format('g.customer_id::%s', id_type) END,
        rfm.sharded_groups_query(s, as_of, products), s.time_zone, columns, rfm.window_start_sql(s, as_of), as_of,
        rfm.valid_lines_query(s, as_of, 'x.customer_id IS NULL'), id_type, rfm.id_type(s.order_lines, 'product_id'));
END $$;
COMMENT ON FUNCTION rfm.sharded_rows_query(rfm.settings, text, text) IS
    'Internal. SQL of the profiles of sharded lines with ledger and next_change_at, as the lines alone give them.';

-- The planner takes the partitions at their word, and so would a refresh, which writes what differs.
CREATE FUNCTION rfm.refuse_twins(twins bigint) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF twins > 0 THEN
        RAISE EXCEPTION '% customers have lines on more than one shard', twins USING ERRCODE = 'cardinality_violation',
            HINT = 'A customer must be on the shard of his hash: "Sharded PostgreSQL" in the README tells how to find those who are not.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rfm.refuse_twins(bigint) IS 'Internal. Refuses customers who came from several shards; NULL when there are none.';

CREATE FUNCTION rfm.sharded_query(model text, settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- before anything else is asked of them
    RETURN (SELECT format('WITH shard_rows AS MATERIALIZED (%s), p AS (SELECT r.* FROM shard_rows r WHERE (SELECT rfm.refuse_twins('
                'count(t.customer_id) - count(DISTINCT t.customer_id)) FROM shard_rows t) IS NULL) SELECT q.*, NULL::bigint AS next_hash FROM (%s) q',
                q.profile_rows, q.profiles)
            FROM rfm.all_profiles_query(model, settings, true) q);
END $$;
COMMENT ON FUNCTION rfm.sharded_query(text, rfm.settings) IS 'Internal. SQL of all profiles of a model of sharded lines, as pass_query gives those of others.';

-- Where only some of the foreign tables ship, those lines alone come here that must.
CREATE FUNCTION rfm.shipping(settings rfm.settings, OUT scans int, OUT shipped int)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_partitionwise_aggregate = on AS $$
DECLARE
    line text;
BEGIN
    scans := 0;
    shipped := 0;
    IF rfm.is_sharded(settings) THEN
        FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || rfm.sharded_groups_query(settings, rfm.as_of_sql(settings),
                format('(SELECT NULL::%s AS product_id, NULL::numeric AS cost)', rfm.id_type(settings.products, 'product_id'))) LOOP
            scans := scans + (line ~ 'Foreign Scan')::int;
            shipped := shipped + (line ~ E'^ *Remote SQL: SELECT .*\\mrfm\\.profile\\(.* GROUP BY ')::int;
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.shipping(rfm.settings) IS
    'Internal. How many foreign tables the planner would read for the profiles, and how many of them aggregate on their own server.';

CREATE FUNCTION rfm.is_shipped(settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT s.shipped > 0 FROM rfm.shipping(settings) s);
END $$;
COMMENT ON FUNCTION rfm.is_shipped(rfm.settings) IS
    'Internal. Whether order lines are aggregated on the servers that hold them; otherwise they are fetched, each once.';

-- Why the aggregation stays here, and what to do: what the catalogue tells, or else the rest.
CREATE FUNCTION rfm.shipping_obstacle(settings rfm.settings, OUT problem text, OUT hint text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    SELECT x.problem, x.hint INTO problem, hint
    FROM unnest(rfm.foreign_lines(s)) f JOIN pg_foreign_table t ON t.ftrelid = f JOIN pg_foreign_server v ON v.oid = t.ftserver
    JOIN pg_foreign_data_wrapper w ON w.oid = v.srvfdw
    CROSS JOIN LATERAL (SELECT o.option_value FROM pg_options_to_table(v.srvoptions) o WHERE o.option_name = 'extensions'
                        UNION ALL SELECT NULL ORDER BY 1 LIMIT 1) e(extensions)
    CROSS JOIN LATERAL (VALUES
        (1, w.fdwname <> 'postgres_fdw', format('%s is a table of %s', f::regclass, w.fdwname), 'Only postgres_fdw can aggregate on the other side.'),
        (2, coalesce('rfm_segments' <> ALL (regexp_split_to_array(btrim(e.extensions), E'\\s*,\\s*')), true),
            format('server %I does not name the extension', v.srvname),
            format('With rfm_segments in that database, too: ALTER SERVER %I OPTIONS (%s extensions %L).', v.srvname,
                   CASE WHEN e.extensions IS NULL THEN 'ADD' ELSE 'SET' END, concat_ws(',', e.extensions, 'rfm_segments')))) x(place, applies, problem, hint)
    WHERE x.applies ORDER BY x.place, v.srvname, f LIMIT 1;
    IF problem IS NULL AND rfm.column_type(s.order_lines, 'status') NOT IN ('text'::regtype, 'varchar') THEN
        problem := format('status has type %s', rfm.column_type(s.order_lines, 'status'));
        hint := 'Let a view on the other side cast it to text, and read that.';
    END IF;
    IF problem IS NULL THEN
        problem := 'the planner finds no way, or none that pays';
        hint := 'The customer must be the partition key, alone, and views between may rename, not compute. See "Sharded PostgreSQL" in the README.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.shipping_obstacle(rfm.settings) IS 'Internal. Why sharded lines are not aggregated where they are, and what to do.';

CREATE FUNCTION rfm.report_shards(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n        int := cardinality(rfm.foreign_lines(settings));
    found    record;
    obstacle record;
BEGIN
    IF n > 0 THEN
        found := rfm.shipping(settings);
        IF found.shipped > 0 AND found.shipped = found.scans THEN
            RAISE NOTICE 'the lines are in % foreign %: they are aggregated there, one row per customer comes here', n,
                CASE n WHEN 1 THEN 'table' ELSE 'tables' END;
        ELSE
            obstacle := rfm.shipping_obstacle(settings);
            RAISE NOTICE 'the lines are in % foreign %, of which % aggregate on their own server: %', n,
                CASE n WHEN 1 THEN 'table' ELSE 'tables' END, found.shipped, obstacle.problem USING HINT = obstacle.hint;
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_shards(rfm.settings) IS 'Internal. Tells by NOTICE that order lines are sharded, and whether the servers that hold them aggregate them.';
