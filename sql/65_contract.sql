-- 65_contract: the relations a model reads. Nothing else touches them.

-- what the columns are

CREATE FUNCTION rfm.base_type(type oid) RETURNS regtype
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base oid := type;
    next oid;
BEGIN
    LOOP
        next := (SELECT typbasetype FROM pg_type WHERE oid = base AND typtype = 'd');
        EXIT WHEN next IS NULL;
        base := next;
    END LOOP;
    RETURN base;
END $$;
COMMENT ON FUNCTION rfm.base_type(oid) IS 'Internal. The type below a domain, or the type itself.';

CREATE FUNCTION rfm.column_type(relation regclass, column_name text) RETURNS regtype
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT rfm.base_type(a.atttypid) FROM pg_catalog.pg_attribute a
            WHERE a.attrelid OPERATOR(pg_catalog.=) relation AND a.attname OPERATOR(pg_catalog.=) column_name::pg_catalog.name
              AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped);
COMMENT ON FUNCTION rfm.column_type(regclass, text) IS 'Internal. The type of a column below domains; NULL when there is no such column.';

CREATE FUNCTION rfm.check_column(relation regclass, column_name text, kind text, optional boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actual     regtype := rfm.column_type(relation, column_name);
    expected text := CASE kind
        WHEN 'id' THEN 'smallint, integer, bigint, uuid, text or varchar'
        WHEN 'time' THEN 'timestamptz, timestamp or date'
        WHEN 'amount' THEN 'numeric, an integer type, real or double precision'
        WHEN 'text' THEN 'text, or a type that reads as text' END;
BEGIN
    IF actual IS NULL AND NOT optional THEN
        RAISE EXCEPTION 'relation % has no column %', relation, column_name USING ERRCODE = 'undefined_column',
            HINT = format('Expected is %s of type %s. Name a view that gives your columns the standard names: SELECT ... AS %1$s.',
                          column_name, expected);
    END IF;
    IF NOT (CASE kind
        WHEN 'id' THEN actual IN ('int2'::regtype, 'int4', 'int8', 'uuid', 'text', 'varchar')
        WHEN 'time' THEN actual IN ('timestamptz'::regtype, 'timestamp', 'date')
        WHEN 'amount' THEN actual IN ('numeric'::regtype, 'int2', 'int4', 'int8', 'float4', 'float8')
        WHEN 'text' THEN (SELECT typcategory IN ('S', 'E', 'N', 'B') FROM pg_type WHERE oid = actual) END) THEN
        RAISE EXCEPTION 'column % of relation % has type %', column_name, relation, actual USING ERRCODE = 'datatype_mismatch',
            HINT = format('Expected is %s. Cast it in a view.', expected);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_column(regclass, text, text, boolean) IS
    'Internal. Refuses a column of a contract relation that is missing or has the wrong type. Kinds: id, time, amount, text.';

CREATE FUNCTION rfm.check_same_id(relation regclass, column_name text, other regclass, other_column text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actual       regtype := rfm.column_type(relation, column_name);
    other_type regtype := rfm.column_type(other, other_column);
BEGIN
    -- integers of different width are one type to a join, and so are text and varchar
    IF (SELECT typcategory FROM pg_type WHERE oid = actual) <> (SELECT typcategory FROM pg_type WHERE oid = other_type) THEN
        RAISE EXCEPTION 'column % of relation % has type %, but % of % has type %',
            column_name, relation, actual, other_column, other, other_type USING ERRCODE = 'datatype_mismatch',
            HINT = 'An id must have one type in all relations: cast one of them in a view.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_same_id(regclass, text, regclass, text) IS 'Internal. Refuses two columns of one id with types that cannot be joined.';

CREATE FUNCTION rfm.check_relation(relation regclass, role text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class := (SELECT c FROM pg_class c WHERE c.oid = relation);
BEGIN
    IF class.oid IS NULL THEN
        RAISE EXCEPTION '%: relation with OID % does not exist', role, relation::oid USING ERRCODE = 'undefined_table',
            HINT = format('Set %s in the table settings of the model to a relation that exists, or drop the model.', role);
    ELSIF class.relkind NOT IN ('r', 'v', 'm', 'f', 'p') THEN
        RAISE EXCEPTION '%: % is not a table or view', role, relation USING ERRCODE = 'wrong_object_type',
            HINT = 'Name a table or a view.';
    ELSIF class.relpersistence = 't' THEN
        RAISE EXCEPTION '%: % is temporary', role, relation USING ERRCODE = 'wrong_object_type',
            HINT = 'A model outlives the session: name a permanent table or view.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_relation(regclass, text) IS 'Internal. Refuses what is no permanent table or view.';

CREATE FUNCTION rfm.check_contract(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    dimension text;
BEGIN
    PERFORM rfm.check_relation(s.order_lines, 'order_lines');
    PERFORM rfm.check_column(s.order_lines, 'customer_id', 'id');
    PERFORM rfm.check_column(s.order_lines, 'order_id', 'id');
    PERFORM rfm.check_column(s.order_lines, 'ordered_at', 'time');
    PERFORM rfm.check_column(s.order_lines, 'amount', 'amount');
    PERFORM rfm.check_column(s.order_lines, 'status', 'text', true);
    PERFORM rfm.check_column(s.order_lines, 'product_id', 'id', true);

    IF s.accounts IS NOT NULL THEN
        PERFORM rfm.check_relation(s.accounts, 'accounts');
        PERFORM rfm.check_column(s.accounts, 'customer_id', 'id');
        PERFORM rfm.check_column(s.accounts, 'channel', 'text', true);
        PERFORM rfm.check_column(s.accounts, 'signed_up_at', 'time', true);
        PERFORM rfm.check_same_id(s.accounts, 'customer_id', s.order_lines, 'customer_id');
    ELSIF s.dimensions <> '{}' THEN
        RAISE EXCEPTION 'dimensions are given without accounts' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Dimensions are columns of the relation accounts: name it, too.';
    END IF;
    FOREACH dimension IN ARRAY s.dimensions LOOP
        IF rfm.column_type(s.accounts, dimension) IS NULL THEN
            RAISE EXCEPTION 'relation % has no column %', s.accounts, quote_ident(dimension) USING ERRCODE = 'undefined_column',
                HINT = 'Dimensions are columns of the relation accounts.';
        END IF;
        IF dimension = ANY (rfm.own_columns()) THEN
            RAISE EXCEPTION 'a dimension cannot be called %', quote_ident(dimension) USING ERRCODE = 'duplicate_column',
                HINT = 'The view customers has a column of that name: give it another name in a view.';
        END IF;
    END LOOP;
    IF (SELECT count(DISTINCT d) <> count(*) FROM unnest(s.dimensions) d) THEN
        RAISE EXCEPTION 'a dimension is given twice: %', s.dimensions USING ERRCODE = 'duplicate_column',
            HINT = 'Name each once.';
    END IF;

    IF s.products IS NOT NULL THEN
        PERFORM rfm.check_relation(s.products, 'products');
        PERFORM rfm.check_column(s.products, 'product_id', 'id');
        PERFORM rfm.check_column(s.products, 'category', 'text');
        PERFORM rfm.check_column(s.products, 'brand', 'text', true);
        PERFORM rfm.check_column(s.products, 'name', 'text', true);
        PERFORM rfm.check_column(s.products, 'cost', 'amount', true);
        PERFORM rfm.check_column(s.order_lines, 'product_id', 'id');
        PERFORM rfm.check_same_id(s.products, 'product_id', s.order_lines, 'product_id');
    END IF;

    IF s.visits IS NOT NULL THEN
        PERFORM rfm.check_relation(s.visits, 'visits');
        PERFORM rfm.check_column(s.visits, 'customer_id', 'id');
        PERFORM rfm.check_column(s.visits, 'session_id', 'id');
        PERFORM rfm.check_column(s.visits, 'visited_at', 'time');
        PERFORM rfm.check_same_id(s.visits, 'customer_id', s.order_lines, 'customer_id');
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_contract(rfm.settings) IS
    'Internal. Refuses contract relations with missing or wrongly typed columns, naming relation, column and what was expected.';

-- how they are read

CREATE FUNCTION rfm.id_type(relation regclass, column_name text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE coalesce(rfm.column_type(relation, column_name)::text, 'bigint')
           WHEN 'character varying' THEN 'text' ELSE coalesce(rfm.column_type(relation, column_name)::text, 'bigint') END;
COMMENT ON FUNCTION rfm.id_type(regclass, text) IS 'Internal. The type in which an id column is read; bigint without it.';

CREATE FUNCTION rfm.id_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- text ids compare by bytes, whatever the database's collation
    RETURN CASE WHEN rfm.column_type(relation, column_name) IS NULL THEN 'NULL::bigint'
        ELSE format(CASE rfm.id_type(relation, column_name) WHEN 'text' THEN 'x.%I::text COLLATE "C"' ELSE 'x.%I::%s' END,
                    column_name, rfm.id_type(relation, column_name)) END;
END $$;
COMMENT ON FUNCTION rfm.id_column(regclass, text) IS 'Internal. SQL of an id column of relation x, below domains; NULL::bigint without it.';

CREATE FUNCTION rfm.text_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rfm.column_type(relation, column_name) IS NULL THEN 'NULL::text'
                ELSE format('x.%I::text COLLATE "C"', column_name) END;
END $$;
COMMENT ON FUNCTION rfm.text_column(regclass, text) IS 'Internal. SQL of a text column of relation x; NULL::text without it.';

CREATE FUNCTION rfm.instant_column(relation regclass, column_name text, time_zone text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE coalesce(rfm.column_type(relation, column_name)::text, '')
        WHEN '' THEN 'NULL::timestamptz'
        WHEN 'timestamp with time zone' THEN format('x.%I::timestamptz', column_name)
        ELSE format('(x.%I::timestamp AT TIME ZONE %L)', column_name, time_zone) END;
END $$;
COMMENT ON FUNCTION rfm.instant_column(regclass, text, text) IS
    'Internal. SQL of a time column of relation x as timestamptz; NULL::timestamptz without it.';

CREATE FUNCTION rfm.dimension_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actual regtype := rfm.column_type(relation, column_name);
BEGIN
    RETURN CASE WHEN actual IN ('int2'::regtype, 'int4', 'int8', 'numeric', 'float8', 'bool', 'date', 'timestamp', 'timestamptz', 'uuid')
                THEN format('x.%I::%s', column_name, actual)
                ELSE format('x.%I::text COLLATE "C"', column_name) END;
END $$;
COMMENT ON FUNCTION rfm.dimension_column(regclass, text) IS 'Internal. SQL of a dimension of relation x, as text unless its type is plain.';

CREATE FUNCTION rfm.dimension_text(relation regclass, column_name text, time_zone text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actual regtype := rfm.column_type(relation, column_name);
BEGIN
    -- the same text in sessions of every DateStyle, TimeZone and extra_float_digits
    RETURN format(CASE
        WHEN actual IN ('date'::regtype, 'timestamp') THEN 'replace(to_jsonb(c.%1$I) #>> ''{}'', ''T'', '' '')'
        WHEN actual = 'timestamptz'::regtype THEN 'replace(to_jsonb(c.%1$I AT TIME ZONE %2$L) #>> ''{}'', ''T'', '' '')'
        WHEN actual = 'float8'::regtype THEN 'c.%1$I::numeric::text'
        ELSE 'c.%1$I::text' END, column_name, time_zone);
END $$;
COMMENT ON FUNCTION rfm.dimension_text(regclass, text, text) IS 'Internal. SQL of a dimension of a relation c, whose type dimension_column chose, as text; times in the time zone.';

CREATE FUNCTION rfm.valid_lines_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format('SELECT %s AS customer_id, %s AS order_id, x.ordered_at, x.amount, %s AS product_id FROM %s x',
            rfm.id_column(s.order_lines, 'customer_id'), rfm.id_column(s.order_lines, 'order_id'),
            rfm.id_column(s.order_lines, 'product_id'), s.order_lines)
        || CASE WHEN rfm.column_type(s.order_lines, 'status') IS NOT NULL AND s.excluded_statuses <> '{}'
                THEN format(' WHERE x.status IS NULL OR x.status::text COLLATE "C" <> ALL (%L::text[])', s.excluded_statuses) ELSE '' END;
END $$;
COMMENT ON FUNCTION rfm.valid_lines_query(rfm.settings) IS
    'Internal. SQL of the view valid_lines: the order lines without excluded statuses; NULLs and as_of are left to the aggregates.';

CREATE FUNCTION rfm.unique_accounts_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s    rfm.settings := settings;
    dims text := (SELECT string_agg(format(', %s AS %I', rfm.dimension_column(s.accounts, d), d), '' ORDER BY i)
                  FROM unnest(s.dimensions) WITH ORDINALITY u(d, i));
BEGIN
    RETURN format('SELECT DISTINCT ON (1) %s AS customer_id, %s AS channel, %s AS signed_up_at%s FROM %s x'
            ' WHERE x.customer_id IS NOT NULL ORDER BY %s',
        rfm.id_column(s.accounts, 'customer_id'), rfm.text_column(s.accounts, 'channel'),
        rfm.instant_column(s.accounts, 'signed_up_at', s.time_zone), dims, s.accounts,
        (SELECT string_agg(i::text, ', ') FROM generate_series(1, 3 + cardinality(s.dimensions)) i));
END $$;
COMMENT ON FUNCTION rfm.unique_accounts_query(rfm.settings) IS
    'Internal. SQL of the view unique_accounts: one row per customer_id, the smallest by all columns.';

CREATE FUNCTION rfm.unique_products_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format('SELECT DISTINCT ON (1) %s AS product_id, %s AS category, %s AS brand, %s AS name, %s AS cost FROM %s x'
            ' WHERE x.product_id IS NOT NULL ORDER BY 1, 2, 3, 4, 5',
        rfm.id_column(s.products, 'product_id'), rfm.text_column(s.products, 'category'), rfm.text_column(s.products, 'brand'),
        rfm.text_column(s.products, 'name'),
        CASE WHEN rfm.column_type(s.products, 'cost') IS NULL THEN 'NULL::numeric' ELSE 'rfm.money(x.cost)' END, s.products);
END $$;
COMMENT ON FUNCTION rfm.unique_products_query(rfm.settings) IS
    'Internal. SQL of the view unique_products: one row per product_id, the smallest by all columns.';

CREATE FUNCTION rfm.as_of_sql(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.as_of IS NULL THEN 'now()'
        ELSE format('%L::timestamptz', to_char(settings.as_of AT TIME ZONE settings.time_zone AT TIME ZONE 'UTC',
                                               'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END;
END $$;
COMMENT ON FUNCTION rfm.as_of_sql(rfm.settings) IS 'Internal. SQL of as_of.';

CREATE FUNCTION rfm.window_start_sql(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
BEGIN
    -- by the local calendar, so that a month is a month in every session
    RETURN CASE WHEN settings.lookback IS NULL THEN 'NULL::timestamptz'
        ELSE format('(((%s AT TIME ZONE %2$L) - %3$L::interval) AT TIME ZONE %2$L)',
                    rfm.as_of_sql(settings), settings.time_zone, settings.lookback) END;
END $$;
COMMENT ON FUNCTION rfm.window_start_sql(rfm.settings) IS 'Internal. SQL of the start of the window; NULL without lookback.';

-- The profiles as the lines alone give them, with a row without customer_id.
-- grouped: by customer through profile, which spills to disk, instead of in one pass through profile_all.
-- hash_from: one pass of several from there on, within build_memory, with the column next_hash.
CREATE FUNCTION rfm.profile_rows_query(model text, settings rfm.settings, grouped boolean, hash_from bigint DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    columns text := format('first_order_at timestamptz, first_order_until timestamptz, first_order_date date,'
        ' second_order_at timestamptz, second_order_date date, last_order_at timestamptz, last_order_date date, orders bigint, lines bigint, revenue numeric,'
        ' first_order_revenue numeric, first_product_id %s', rfm.id_type(s.order_lines, 'product_id'));
    args    text := format('l.order_id, l.ordered_at, l.amount, l.product_id, %s, %s, %L',
        rfm.window_start_sql(s), rfm.as_of_sql(s), s.time_zone);
BEGIN
    IF grouped THEN
        RETURN format(
            'SELECT g.customer_id, u.* FROM (SELECT l.customer_id, rfm.profile(%1$s) AS profile FROM %2$I.valid_lines l'
            ' WHERE l.customer_id IS NOT NULL GROUP BY l.customer_id) g, LATERAL rfm.unpack(g.profile, %3$L) AS u(%4$s)'
            ' UNION ALL SELECT u.* FROM (SELECT rfm.profile_all(l.customer_id, %1$s, NULL, NULL) AS profiles'
            ' FROM %2$I.valid_lines l WHERE l.customer_id IS NULL) g,'
            ' LATERAL rfm.unpack(g.profiles, %3$L) AS u(customer_id %5$s, %4$s)',
            args, model, s.time_zone, columns, rfm.id_type(s.order_lines, 'customer_id'));
    END IF;
    RETURN format(
        'SELECT u.* FROM (SELECT rfm.profile_all(l.customer_id, %s, %s, %s) AS profiles FROM %I.valid_lines l) g,'
        ' LATERAL rfm.unpack(g.profiles, %L) AS u(customer_id %s, %s%s)',
        args, CASE WHEN hash_from IS NULL THEN 'NULL' ELSE pg_size_bytes(s.build_memory)::text END, coalesce(hash_from, 0),
        model, s.time_zone, rfm.id_type(s.order_lines, 'customer_id'), columns,
        CASE WHEN hash_from IS NOT NULL THEN ', next_hash bigint' END);
END $$;
COMMENT ON FUNCTION rfm.profile_rows_query(text, rfm.settings, boolean, bigint) IS 'Internal. SQL of the profiles as the lines alone give them.';

-- What valid_lines leaves to its readers: that nothing is missing and that the line lies before as_of.
CREATE FUNCTION rfm.valid_line_sql(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format('x.customer_id IS NOT NULL AND x.order_id IS NOT NULL AND x.amount IS NOT NULL AND %s < %s',
                  rfm.instant_column(settings.order_lines, 'ordered_at', settings.time_zone), rfm.as_of_sql(settings));
END $$;
COMMENT ON FUNCTION rfm.valid_line_sql(rfm.settings) IS 'Internal. SQL condition that line x is valid and has a customer.';

-- Of the purchase lines in the window with a known cost: what is left of revenue after cost.
CREATE FUNCTION rfm.margin_sql(model text, settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at_sql text := rfm.instant_column(settings.order_lines, 'ordered_at', settings.time_zone);
BEGIN
    IF settings.products IS NULL OR rfm.column_type(settings.products, 'cost') IS NULL THEN
        RETURN 'NULL::float8';
    END IF;
    RETURN format('(SELECT (sum(rfm.money(x.amount) - g.cost) / nullif(sum(rfm.money(x.amount)), 0))::float8 FROM %1$I.valid_lines x'
        ' JOIN %1$I.unique_products g ON g.product_id = x.product_id WHERE g.cost IS NOT NULL AND x.amount >= 0 AND %2$s%3$s)',
        model, rfm.valid_line_sql(settings),
        CASE WHEN settings.lookback IS NOT NULL THEN format(' AND %s >= %s', at_sql, rfm.window_start_sql(settings)) END);
END $$;
COMMENT ON FUNCTION rfm.margin_sql(text, rfm.settings) IS 'Internal. SQL of margin_rate; NULL without the cost of products.';

-- Customers active and revenue by month of first order and months since, as JSON; p holds the profiles.
CREATE FUNCTION rfm.cohorts_sql(model text, settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format('(SELECT jsonb_agg(to_jsonb(c) ORDER BY c.cohort_month, c.month) FROM (SELECT date_trunc(''month'', p.first_order_date::timestamp)::date AS cohort_month,'
        ' k.month, count(*) FILTER (WHERE k.purchases > 0) AS active_customers, sum(k.revenue) AS revenue'
        ' FROM (SELECT x.customer_id, date_trunc(''month'', rfm.local_date(%s, %L)::timestamp)::date AS month,'
        ' count(*) FILTER (WHERE x.amount >= 0) AS purchases, sum(rfm.money(x.amount)) AS revenue'
        ' FROM %I.valid_lines x WHERE %s GROUP BY 1, 2) k'
        ' JOIN p ON p.customer_id = k.customer_id AND p.first_order_date IS NOT NULL GROUP BY 1, 2) c)',
        rfm.instant_column(settings.order_lines, 'ordered_at', settings.time_zone), settings.time_zone, model,
        rfm.valid_line_sql(settings));
END $$;
COMMENT ON FUNCTION rfm.cohorts_sql(text, rfm.settings) IS 'Internal. SQL of the cohorts, month by month, as JSON.';

-- The rows of a relation p with what accounts, products and visits add. The row without customer_id holds what is of the
-- model as a whole: as of when, the accounts, the margin and the cohorts.
CREATE FUNCTION rfm.profiles_query(model text, settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    -- integers of different width meet as bigint
    visitor text := CASE rfm.id_type(s.visits, 'customer_id') WHEN rfm.id_type(s.order_lines, 'customer_id')
                    THEN rfm.id_type(s.visits, 'customer_id') ELSE 'bigint' END;
BEGIN
    RETURN format(
        'SELECT p.*, %s, %s, %s, CASE WHEN p.customer_id IS NULL THEN %s END AS as_of, %s,'
        ' CASE WHEN p.customer_id IS NULL THEN %s END AS margin_rate, CASE WHEN p.customer_id IS NULL THEN %s END AS cohorts%s FROM p',
        CASE WHEN s.accounts IS NULL THEN 'NULL::text AS channel, NULL::timestamptz AS signed_up_at, false AS has_account'
             ELSE 'a.channel, a.signed_up_at, a.customer_id IS NOT NULL AS has_account' END,
        CASE WHEN s.products IS NULL THEN 'NULL::text AS first_category, NULL::text AS first_brand, NULL::text AS first_product'
             ELSE 'g.category AS first_category, g.brand AS first_brand, g.name AS first_product' END,
        CASE WHEN s.visits IS NULL THEN 'NULL::bigint AS sessions_after_purchase, NULL::bigint AS return_sessions'
             ELSE 'CASE WHEN p.first_order_at IS NOT NULL THEN coalesce(v.sessions_after_purchase, 0) END AS sessions_after_purchase,'
                  ' CASE WHEN p.first_order_at IS NOT NULL THEN coalesce(v.return_sessions, 0) END AS return_sessions' END,
        rfm.as_of_sql(s),
        CASE WHEN s.accounts IS NULL THEN 'NULL::bigint AS registered'
             ELSE format('CASE WHEN p.customer_id IS NULL THEN (SELECT count(*) FROM (SELECT FROM %s x WHERE x.customer_id IS NOT NULL'
                         ' GROUP BY %s) u) END AS registered', s.accounts, rfm.id_column(s.accounts, 'customer_id')) END,
        rfm.margin_sql(model, s), rfm.cohorts_sql(model, s),
        (SELECT string_agg(format(', a.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)))
        || CASE WHEN s.accounts IS NOT NULL THEN format(' LEFT JOIN %I.unique_accounts a ON a.customer_id = p.customer_id', model) ELSE '' END
        || CASE WHEN s.products IS NOT NULL THEN format(' LEFT JOIN %I.unique_products g ON g.product_id = p.first_product_id', model) ELSE '' END
        -- grouped, so that the planner knows it unique and leaves it out where nobody asks
        || CASE WHEN s.visits IS NOT NULL THEN format(
            ' LEFT JOIN (SELECT u.customer_id, max(u.sessions_after_purchase) AS sessions_after_purchase,'
            ' max(u.return_sessions) AS return_sessions FROM (SELECT rfm.visits_all((%s)::%s, %s, x.visited_at,'
            ' (SELECT rfm.visit_boundaries(p.customer_id::%2$s, p.first_order_at, p.first_order_until) FROM p WHERE p.first_order_at IS NOT NULL),'
            ' %4$s, %5$L) AS visits FROM %6$s x) g, LATERAL rfm.unpack(g.visits) AS u(customer_id %2$s, sessions_after_purchase bigint,'
            ' return_sessions bigint) GROUP BY u.customer_id) v ON v.customer_id = p.customer_id',
            rfm.id_column(s.visits, 'customer_id'), visitor, rfm.id_column(s.visits, 'session_id'), rfm.as_of_sql(s), s.time_zone,
            s.visits) ELSE '' END;
END $$;
COMMENT ON FUNCTION rfm.profiles_query(text, rfm.settings) IS 'Internal. SQL of the profiles p with what accounts, products and visits add to them.';

-- What is stored tells how much memory one pass takes, about 160 bytes per profile; without it, the pass itself does.
CREATE FUNCTION rfm.needs_grouping(model text, settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    profiles float4 := (SELECT reltuples FROM pg_class WHERE oid = rfm.model_relation(model, 'profiles'));
    result   boolean;
BEGIN
    IF profiles > 0 THEN
        RETURN profiles * 160 > pg_size_bytes(s.build_memory);
    END IF;
    EXECUTE format('SELECT u.next_hash IS NOT NULL FROM (SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount,'
        ' l.product_id, %s, %s, %L, %s, 0) AS profiles FROM (%s) l) g,'
        ' LATERAL rfm.unpack(g.profiles) AS u(customer_id %s, next_hash bigint) WHERE u.customer_id IS NULL',
        rfm.window_start_sql(s), rfm.as_of_sql(s), s.time_zone, pg_size_bytes(s.build_memory), rfm.valid_lines_query(s),
        rfm.id_type(s.order_lines, 'customer_id')) INTO result;
    RETURN result;
END $$;
COMMENT ON FUNCTION rfm.needs_grouping(text, rfm.settings) IS
    'Internal. Whether one pass over the lines would exceed build_memory; storages that cannot go in passes then group instead.';

-- what is in them

CREATE FUNCTION rfm.report_lines(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s          rfm.settings := settings;
    has_status boolean := rfm.column_type(s.order_lines, 'status') IS NOT NULL;
    as_of      timestamptz;
    -- of the lines of one status
    status     text;
    lines      bigint;
    valid      bigint;
    nobodys    bigint;
    money      numeric;
    since      timestamptz;
    until      timestamptz;
    -- of all lines, and of those that count
    all_lines  bigint := 0;
    excluded   bigint := 0;
    counted    bigint := 0;
    missing    bigint := 0;
    lost       numeric := 0;
    oldest     timestamptz;
    newest     timestamptz;
BEGIN
    EXECUTE 'SELECT ' || rfm.as_of_sql(s) INTO as_of;
    FOR status, lines, valid, nobodys, money, since, until, all_lines IN EXECUTE format(
        'SELECT status, count(*), count(*) FILTER (WHERE valid), count(*) FILTER (WHERE valid AND customer_id IS NULL),'
        ' coalesce(sum(rfm.money(amount)) FILTER (WHERE valid AND customer_id IS NULL), 0),'
        ' min(at) FILTER (WHERE valid AND isfinite(at)), max(at) FILTER (WHERE valid AND isfinite(at) AND amount >= 0),'
        ' sum(count(*)) OVER ()'
        ' FROM (SELECT %1$s AS status, x.customer_id, x.amount, %2$s AS at,'
        ' x.order_id IS NOT NULL AND x.amount IS NOT NULL AND coalesce(%2$s < $1, false) AS valid FROM %3$s x) x'
        ' GROUP BY status ORDER BY count(*) DESC, status',
        rfm.text_column(s.order_lines, 'status'), rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone),
        s.order_lines) USING as_of
    LOOP
        IF has_status THEN
            RAISE NOTICE 'status %: % lines (%), %', coalesce(quote_literal(status), 'NULL'), lines,
                round(100.0 * lines / all_lines, 1) || ' %',
                CASE WHEN status = ANY (s.excluded_statuses) THEN 'excluded' ELSE 'counted' END;
        END IF;
        IF status = ANY (s.excluded_statuses) THEN
            excluded := excluded + lines;
        ELSE
            counted := counted + valid;
            missing := missing + nobodys;
            lost := lost + money;
            oldest := least(oldest, since);
            newest := greatest(newest, until);
        END IF;
    END LOOP;

    IF NOT has_status THEN
        RAISE NOTICE 'the lines have no status: all of them count';
    ELSIF excluded = 0 AND s.excluded_statuses <> '{}' AND all_lines > 0 THEN
        RAISE WARNING 'none of the excluded statuses % occurs', s.excluded_statuses
            USING HINT = 'Set excluded_statuses to your statuses of cancelled and returned lines, as they are written above.';
    END IF;
    IF missing > 0 THEN
        RAISE NOTICE '% of % counted lines have no customer: revenue % belongs to nobody', missing, counted, round(lost, 2);
    END IF;
    IF newest IS NULL THEN
        RAISE NOTICE 'there are no purchases yet';
    ELSE
        RAISE NOTICE 'lines from % to %', rfm.local_date(oldest, s.time_zone), rfm.local_date(newest, s.time_zone);
        IF rfm.local_date(as_of, s.time_zone) - rfm.local_date(newest, s.time_zone) > 90 THEN
            RAISE NOTICE 'the newest purchase is % days older than as_of: by then everyone hibernates',
                rfm.local_date(as_of, s.time_zone) - rfm.local_date(newest, s.time_zone)
                USING HINT = format('For a static export set as_of => %L.', (rfm.local_date(newest, s.time_zone) + 1)::text);
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_lines(rfm.settings) IS
    'Internal. Tells by NOTICE each status with its share, lines without customer, and the dates of the lines.';
