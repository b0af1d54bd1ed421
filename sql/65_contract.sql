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
        WHEN 'text' THEN actual <> 'money'::regtype AND (SELECT typcategory IN ('S', 'E', 'N', 'B') FROM pg_type WHERE oid = actual) END) THEN
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
    PERFORM rfm.check_column(s.order_lines, 'voided_at', 'time', true);

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
        IF rfm.column_type(s.accounts, dimension) = 'money'::regtype THEN
            RAISE EXCEPTION 'dimension % has type money', quote_ident(dimension) USING ERRCODE = 'datatype_mismatch',
                HINT = 'What it reads as follows lc_monetary of the session. Cast it to numeric in a view.';
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
    -- text ids compare by bytes, whatever the database's collation; Citus knows the column by which it distributes only as it is
    RETURN CASE WHEN rfm.column_type(relation, column_name) IS NULL THEN 'NULL::bigint'
        WHEN column_name = 'customer_id' AND EXISTS (SELECT FROM rfm.citus_tables(relation)) THEN 'x.customer_id'
        ELSE format(CASE rfm.id_type(relation, column_name) WHEN 'text' THEN 'x.%I::text COLLATE "C"' ELSE 'x.%I::%s' END,
                    column_name, rfm.id_type(relation, column_name)) END;
END $$;
COMMENT ON FUNCTION rfm.id_column(regclass, text) IS 'Internal. SQL of an id column of relation x, below domains; NULL::bigint without it.';

-- An interval, a range of times or an array of such reads differently in sessions of other settings.
CREATE FUNCTION rfm.settled_text(value anyelement) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
    SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' SET lc_monetary = 'C' AS $$
BEGIN
    RETURN value::text;
END $$;
COMMENT ON FUNCTION rfm.settled_text(anyelement) IS 'Internal. A value as text, the same in sessions of all settings; times in UTC.';

CREATE FUNCTION rfm.text_sql(value text, type regtype) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format(CASE WHEN (SELECT t.typcategory IN ('S', 'E', 'B') FROM pg_type t WHERE t.oid = type)
                            OR type IN ('int2'::regtype, 'int4', 'int8', 'numeric', 'uuid', 'jsonb', 'json', 'inet', 'cidr')
                       THEN '%s::text' ELSE 'rfm.settled_text(%s)' END, value);
END $$;
COMMENT ON FUNCTION rfm.text_sql(text, regtype) IS 'Internal. SQL of a value, which is SQL of the type given, as text that does not follow the session.';

CREATE FUNCTION rfm.text_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rfm.column_type(relation, column_name) IS NULL THEN 'NULL::text'
                ELSE rfm.text_sql(format('x.%I', column_name), rfm.column_type(relation, column_name)) || ' COLLATE "C"' END;
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
    RETURN format(CASE
        WHEN actual IN ('int2'::regtype, 'int4', 'int8', 'bool', 'uuid') THEN 'x.%1$I::%2$s'
        WHEN actual IN ('numeric'::regtype, 'float8') THEN 'CASE WHEN x.%1$I NOT IN (''NaN'', ''Infinity'', ''-Infinity'') THEN x.%1$I::%2$s END'
        WHEN actual IN ('date'::regtype, 'timestamp', 'timestamptz') THEN 'CASE WHEN isfinite(x.%1$I) THEN x.%1$I::%2$s END'
        -- text since 1.0.0: a column of a view keeps its type
        WHEN actual = 'float4'::regtype THEN 'CASE WHEN x.%1$I NOT IN (''NaN'', ''Infinity'', ''-Infinity'') THEN %3$s END COLLATE "C"'
        ELSE '%3$s COLLATE "C"' END, column_name, actual, rfm.text_sql(format('x.%I', column_name), actual));
END $$;
COMMENT ON FUNCTION rfm.dimension_column(regclass, text) IS 'Internal. SQL of a dimension of relation x, as text unless its type is plain; NULL for NaN and infinity.';

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

CREATE FUNCTION rfm.as_of_sql(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.as_of IS NULL THEN 'now()'
        ELSE format('%L::timestamptz', to_char(settings.as_of AT TIME ZONE settings.time_zone AT TIME ZONE 'UTC',
                                               'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END;
END $$;
COMMENT ON FUNCTION rfm.as_of_sql(rfm.settings) IS 'Internal. SQL of as_of.';

CREATE FUNCTION rfm.window_start_sql(settings rfm.settings, as_of text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
BEGIN
    -- by the local calendar, so that a month is a month in every session
    RETURN CASE WHEN settings.lookback IS NULL THEN 'NULL::timestamptz'
        ELSE format('(((%s AT TIME ZONE %2$L) - %3$L::interval) AT TIME ZONE %2$L)',
                    as_of, settings.time_zone, settings.lookback) END;
END $$;
COMMENT ON FUNCTION rfm.window_start_sql(rfm.settings, text) IS 'Internal. SQL of the start of the window before as_of, which is SQL, too; NULL without lookback.';

-- The queries below read all customers or, where ids is SQL of an array of ids, only these: compared with the bare column,
-- so that an index on it serves. as_of is SQL, and so are names of relations.

CREATE FUNCTION rfm.ids_sql(relation regclass, column_name text, ids text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- the collation of a column may take ids for equal that differ in their bytes
    RETURN format(CASE rfm.id_type(relation, column_name) WHEN 'text' THEN '(x.%1$I = ANY (%2$s) AND %3$s = ANY (%2$s))'
                  ELSE 'x.%1$I = ANY (%2$s)' END, column_name, ids, rfm.id_column(relation, column_name));
END $$;
COMMENT ON FUNCTION rfm.ids_sql(regclass, text, text) IS 'Internal. SQL condition that an id column of relation x is among ids, which is SQL of an array.';

CREATE FUNCTION rfm.where_sql(VARIADIC conditions text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(' WHERE ' OPERATOR(pg_catalog.||) nullif(pg_catalog.array_to_string(conditions, ' AND '), ''), '');
COMMENT ON FUNCTION rfm.where_sql(text[]) IS 'Internal. The WHERE clause of the conditions that are not NULL.';

CREATE FUNCTION rfm.status_counts_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_status_counts_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.status_counts_support(internal) IS 'Internal. Tells the planner how many lines status_counts will leave.';
CREATE FUNCTION rfm.status_counts(status text, excluded text[]) RETURNS boolean
    AS 'MODULE_PATHNAME', 'rfm_status_counts' LANGUAGE C IMMUTABLE PARALLEL SAFE SUPPORT rfm.status_counts_support;
COMMENT ON FUNCTION rfm.status_counts(text, text[]) IS
    'Internal. Whether a line counts by its status: it is none of the excluded, which are compared by bytes; NULL is none of them.';

CREATE FUNCTION rfm.counted_sql(settings rfm.settings, as_of text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s      rfm.settings := settings;
    status text := CASE WHEN rfm.column_type(s.order_lines, 'status') IS NOT NULL AND s.excluded_statuses <> '{}'
        THEN format('rfm.status_counts(x.status::text, %L::text[])', s.excluded_statuses) ELSE 'true' END;
BEGIN
    -- a line that was voided counted until then, whatever its status is today
    RETURN CASE WHEN rfm.column_type(s.order_lines, 'voided_at') IS NULL THEN status
        ELSE format('CASE WHEN x.voided_at IS NULL THEN %s ELSE %s >= %s END', status,
                    rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), as_of) END;
END $$;
COMMENT ON FUNCTION rfm.counted_sql(rfm.settings, text) IS
    'Internal. SQL condition that line x counts by its status and was not voided before as_of.';

CREATE FUNCTION rfm.valid_lines_query(settings rfm.settings, as_of text, filter text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format('SELECT %s AS customer_id, %s AS order_id, x.ordered_at, x.amount, %s AS product_id, %s AS voided_at FROM %s x%s',
        rfm.id_column(s.order_lines, 'customer_id'), rfm.id_column(s.order_lines, 'order_id'),
        rfm.id_column(s.order_lines, 'product_id'), rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), s.order_lines,
        rfm.where_sql(nullif(rfm.counted_sql(s, as_of), 'true'), filter));
END $$;
COMMENT ON FUNCTION rfm.valid_lines_query(rfm.settings, text, text) IS
    'Internal. SQL of the order lines that count by status and were not voided before as_of; NULLs and the time of the order are left to the aggregates. filter: a condition more.';

-- The planner leaves out an outer join to a relation whose column it knows to be unique, through views, too.
CREATE FUNCTION rfm.is_unique(relation regclass, column_name text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    line   text;
    result boolean := true;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT FROM (SELECT NULL::%s AS id OFFSET 0) u LEFT JOIN %s x ON x.%I = u.id',
            rfm.column_type(relation, column_name), relation, column_name) LOOP
        result := result AND line !~ 'Join|Loop';
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION rfm.is_unique(regclass, text) IS
    'Internal. Whether a unique index proves that a column holds no value twice; the lock that the planner takes keeps it so until the end of the transaction.';

-- is_unique: no id occurs twice, so that nothing has to be sorted.
CREATE FUNCTION rfm.unique_accounts_query(settings rfm.settings, ids text DEFAULT NULL, is_unique boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s    rfm.settings := settings;
    dims text := (SELECT string_agg(format(', %s AS %I', rfm.dimension_column(s.accounts, d), d), '' ORDER BY i)
                  FROM unnest(s.dimensions) WITH ORDINALITY u(d, i));
BEGIN
    RETURN format('SELECT %s%s AS customer_id, %s AS channel, %s AS signed_up_at%s FROM %s x%s%s', CASE WHEN NOT is_unique THEN 'DISTINCT ON (1) ' END,
        rfm.id_column(s.accounts, 'customer_id'), rfm.text_column(s.accounts, 'channel'),
        format('CASE WHEN isfinite(%1$s) THEN %1$s END', rfm.instant_column(s.accounts, 'signed_up_at', s.time_zone)), dims, s.accounts,
        rfm.where_sql('x.customer_id IS NOT NULL', CASE WHEN ids IS NOT NULL THEN rfm.ids_sql(s.accounts, 'customer_id', ids) END),
        CASE WHEN NOT is_unique THEN (SELECT ' ORDER BY ' || string_agg(i::text, ', ') FROM generate_series(1, 3 + cardinality(s.dimensions)) i) END);
END $$;
COMMENT ON FUNCTION rfm.unique_accounts_query(rfm.settings, text, boolean) IS
    'Internal. SQL of the accounts, one row per customer_id, the smallest by all columns.';

CREATE FUNCTION rfm.unique_products_query(settings rfm.settings, filter text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format('SELECT DISTINCT ON (1) %s AS product_id, %s AS category, %s AS brand, %s AS name, %s AS cost FROM %s x%s'
            ' ORDER BY 1, 2, 3, 4, 5',
        rfm.id_column(s.products, 'product_id'), rfm.text_column(s.products, 'category'), rfm.text_column(s.products, 'brand'),
        rfm.text_column(s.products, 'name'),
        CASE WHEN rfm.column_type(s.products, 'cost') IS NULL THEN 'NULL::numeric' ELSE 'rfm.money(x.cost)' END, s.products,
        rfm.where_sql('x.product_id IS NOT NULL', filter));
END $$;
COMMENT ON FUNCTION rfm.unique_products_query(rfm.settings, text) IS
    'Internal. SQL of the products, one row per product_id, the smallest by all columns.';

CREATE FUNCTION rfm.profile_columns(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format('first_order_at timestamptz, first_order_until timestamptz, first_order_date date,'
        ' second_order_at timestamptz, second_order_date date, last_order_at timestamptz, last_order_date date, orders bigint, lines bigint, revenue numeric,'
        ' first_order_revenue numeric, first_product_id %s', rfm.id_type(settings.order_lines, 'product_id'));
END $$;
COMMENT ON FUNCTION rfm.profile_columns(rfm.settings) IS 'Internal. What unpack gives for a customer, as a column definition list without customer_id.';

-- The profiles as the lines alone give them, with a row without customer_id. lines: SQL of a relation of valid lines.
-- grouped: by customer through profile, which spills to disk, instead of in one pass through profile_all.
-- hash_from: one pass of several from there on, within build_memory, with the column next_hash.
CREATE FUNCTION rfm.profile_rows_query(settings rfm.settings, lines text, as_of text, grouped boolean, hash_from bigint DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    columns text := rfm.profile_columns(s);
    args    text := format('l.order_id, l.ordered_at, l.amount, l.product_id, %s, %s, %L',
        rfm.window_start_sql(s, as_of), as_of, s.time_zone);
BEGIN
    IF grouped THEN
        RETURN format(
            'SELECT g.customer_id, u.* FROM (SELECT l.customer_id, rfm.profile(%1$s) AS profile FROM %2$s l'
            ' WHERE l.customer_id IS NOT NULL GROUP BY l.customer_id) g, LATERAL rfm.unpack(g.profile, %3$L) AS u(%4$s)'
            ' UNION ALL (SELECT u.* FROM (SELECT rfm.profile_all(l.customer_id, %1$s, NULL, NULL) AS profiles'
            ' FROM %2$s l WHERE l.customer_id IS NULL) g,'
            ' LATERAL rfm.unpack(g.profiles, %3$L) AS u(customer_id %5$s, %4$s) LIMIT 1)',
            args, lines, s.time_zone, columns, rfm.id_type(s.order_lines, 'customer_id'));
    END IF;
    RETURN format(
        'SELECT u.* FROM (SELECT rfm.profile_all(l.customer_id, %s, %s, %s) AS profiles FROM %s l) g,'
        ' LATERAL rfm.unpack(g.profiles, %L) AS u(customer_id %s, %s%s)',
        args, CASE WHEN hash_from IS NULL THEN 'NULL' ELSE pg_size_bytes(s.build_memory)::text END, coalesce(hash_from, 0),
        lines, s.time_zone, rfm.id_type(s.order_lines, 'customer_id'), columns,
        CASE WHEN hash_from IS NOT NULL THEN ', next_hash bigint' END);
END $$;
COMMENT ON FUNCTION rfm.profile_rows_query(rfm.settings, text, text, boolean, bigint) IS 'Internal. SQL of the profiles as the lines alone give them.';

-- The ledgers of all customers, or, if nobodys, the one of lines without customer. lines, products: SQL of relations.
CREATE FUNCTION rfm.ledgers_query(settings rfm.settings, as_of text, lines text, products text, nobodys boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    has_cost boolean := s.products IS NOT NULL AND rfm.column_type(s.products, 'cost') IS NOT NULL AND NOT nobodys;
BEGIN
    RETURN format('SELECT %s rfm.ledger(x.ordered_at, x.amount, %s, %s, %s, %L) AS ledger, %s AS voided_at FROM %s x%s'
        ' WHERE x.order_id IS NOT NULL AND x.amount IS NOT NULL AND x.customer_id IS %s',
        CASE WHEN NOT nobodys THEN 'x.customer_id,' END, CASE WHEN has_cost THEN 'c.cost' ELSE 'NULL::numeric' END,
        rfm.window_start_sql(s, as_of), as_of, s.time_zone,
        CASE WHEN rfm.column_type(s.order_lines, 'voided_at') IS NULL THEN 'NULL::timestamptz'
             ELSE format('min(x.voided_at) FILTER (WHERE x.voided_at >= %s AND isfinite(x.voided_at))', as_of) END,
        lines, CASE WHEN has_cost THEN format(' LEFT JOIN %s c ON c.product_id = x.product_id', products) END,
        CASE WHEN nobodys THEN 'NULL' ELSE 'NOT NULL GROUP BY x.customer_id' END);
END $$;
COMMENT ON FUNCTION rfm.ledgers_query(rfm.settings, text, text, text, boolean) IS 'Internal. SQL of the ledgers, and of when the next line is voided.';

-- A relation p of profiles with what accounts, products, visits and the ledgers add. The row without customer_id holds what
-- is of the model as a whole: as of when, and the number of accounts. lines, accounts, products: SQL of relations; without
-- lines, p has ledger and next_change_at already.
CREATE FUNCTION rfm.profiles_query(settings rfm.settings, as_of text, lines text, accounts text, products text, ids text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    -- integers of different width meet as bigint
    visitor  text := CASE rfm.id_type(s.visits, 'customer_id') WHEN rfm.id_type(s.order_lines, 'customer_id')
                     THEN rfm.id_type(s.visits, 'customer_id') ELSE 'bigint' END;
BEGIN
    RETURN format(
        -- first what every refresh reads of all of them
        CASE WHEN lines IS NOT NULL THEN
            'SELECT p.*, CASE WHEN p.customer_id IS NULL THEN %s END AS as_of, %s AS registered, coalesce(k.ledger, o.ledger) AS ledger,'
            ' least(rfm.next_line_at(coalesce(k.ledger, o.ledger)), k.voided_at, o.voided_at, %s) AS next_change_at,'
        ELSE 'SELECT p.customer_id' || (SELECT string_agg(', p.' || split_part(c, ' ', 1), '' ORDER BY i)
                  FROM unnest(string_to_array(rfm.profile_columns(s), ', ')) WITH ORDINALITY u(c, i))
            || ', CASE WHEN p.customer_id IS NULL THEN %s END AS as_of, %s AS registered, p.ledger, least(p.next_change_at, %s) AS next_change_at,' END ||
        ' %s AS window_line_at, NULL::timestamptz AS segment_since, %s, %s, %s%s FROM p',
        as_of,
        CASE WHEN s.accounts IS NULL OR ids IS NOT NULL THEN 'NULL::bigint'
             ELSE format('CASE WHEN p.customer_id IS NULL THEN %s END', rfm.registered_sql(s)) END,
        CASE WHEN s.visits IS NULL THEN 'NULL' ELSE 'v.next_visit_at' END,
        CASE WHEN s.lookback IS NULL THEN 'NULL::timestamptz' WHEN lines IS NULL THEN 'rfm.window_line_at(p.ledger)'
             ELSE 'rfm.window_line_at(coalesce(k.ledger, o.ledger))' END,
        CASE WHEN s.accounts IS NULL THEN 'NULL::text AS channel, NULL::timestamptz AS signed_up_at, false AS has_account'
             ELSE 'a.channel, a.signed_up_at, a.customer_id IS NOT NULL AS has_account' END,
        CASE WHEN s.products IS NULL THEN 'NULL::text AS first_category, NULL::text AS first_brand, NULL::text AS first_product'
             ELSE 'g.category AS first_category, g.brand AS first_brand, g.name AS first_product' END,
        CASE WHEN s.visits IS NULL THEN 'NULL::bigint AS sessions_after_purchase, NULL::bigint AS return_sessions'
             ELSE 'CASE WHEN p.first_order_at IS NOT NULL THEN coalesce(v.sessions_after_purchase, 0) END AS sessions_after_purchase,'
                  ' CASE WHEN p.first_order_at IS NOT NULL THEN coalesce(v.return_sessions, 0) END AS return_sessions' END,
        (SELECT string_agg(format(', a.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)))
        || CASE WHEN lines IS NOT NULL THEN format(' LEFT JOIN (%s) k ON k.customer_id = p.customer_id LEFT JOIN (%s) o ON p.customer_id IS NULL',
            rfm.ledgers_query(s, as_of, lines, products, false), rfm.ledgers_query(s, as_of, lines, products, true)) ELSE '' END
        || CASE WHEN s.accounts IS NOT NULL THEN format(' LEFT JOIN %s a ON a.customer_id = p.customer_id', accounts) ELSE '' END
        || CASE WHEN s.products IS NOT NULL THEN format(' LEFT JOIN %s g ON g.product_id = p.first_product_id', products) ELSE '' END
        -- grouped, so that the planner knows it unique and leaves it out where nobody asks
        || CASE WHEN s.visits IS NOT NULL THEN format(
            ' LEFT JOIN (SELECT u.customer_id, max(u.sessions_after_purchase) AS sessions_after_purchase,'
            ' max(u.return_sessions) AS return_sessions, min(u.next_visit_at) AS next_visit_at'
            ' FROM (SELECT rfm.visits_all((%s)::%s, %s, x.visited_at,'
            ' (SELECT rfm.visit_boundaries(p.customer_id::%2$s, p.first_order_at, p.first_order_until) FROM p WHERE p.first_order_at IS NOT NULL),'
            ' %4$s, %5$L) AS visits FROM %6$s x%7$s) g, LATERAL rfm.unpack(g.visits) AS u(customer_id %2$s, sessions_after_purchase bigint,'
            ' return_sessions bigint, next_visit_at timestamptz) GROUP BY u.customer_id) v ON v.customer_id = p.customer_id',
            rfm.id_column(s.visits, 'customer_id'), visitor, rfm.id_column(s.visits, 'session_id'), as_of, s.time_zone, s.visits,
            CASE WHEN ids IS NOT NULL THEN rfm.where_sql(rfm.ids_sql(s.visits, 'customer_id', ids)) END) ELSE '' END;
END $$;
COMMENT ON FUNCTION rfm.profiles_query(rfm.settings, text, text, text, text, text) IS
    'Internal. SQL of the profiles p with what accounts, products, visits and the ledgers add to them.';

CREATE FUNCTION rfm.registered_sql(settings rfm.settings, is_unique boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.accounts IS NULL THEN 'NULL::bigint'
        ELSE format('(SELECT count(*) FROM (SELECT FROM %s x WHERE x.customer_id IS NOT NULL%s) u)', settings.accounts,
                    CASE WHEN NOT is_unique THEN ' GROUP BY ' || rfm.id_column(settings.accounts, 'customer_id') END) END;
END $$;
COMMENT ON FUNCTION rfm.registered_sql(rfm.settings, boolean) IS 'Internal. SQL of the number of accounts; NULL without accounts.';

-- All profiles. as_of: SQL of another moment than that of the settings.
CREATE FUNCTION rfm.all_profiles_query(model text, settings rfm.settings, grouped boolean, hash_from bigint DEFAULT NULL, as_of text DEFAULT NULL,
        OUT profile_rows text, OUT profiles text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at_sql text := coalesce(as_of, rfm.as_of_sql(settings));
    lines  text := CASE WHEN as_of IS NULL THEN format('%I.valid_lines', model) ELSE format('(%s)', rfm.valid_lines_query(settings, as_of)) END;
BEGIN
    IF rfm.is_distributed(settings) THEN
        profile_rows := rfm.distributed_profiles_query(settings, at_sql);
        profiles := rfm.gathered_profiles_query(settings, at_sql);
        RETURN;
    ELSIF grouped AND rfm.is_sharded(settings) THEN
        profile_rows := rfm.sharded_rows_query(settings, at_sql, format('%I.unique_products', model));
        lines := NULL;
    ELSE
        profile_rows := rfm.profile_rows_query(settings, lines, at_sql, grouped, hash_from);
    END IF;
    profiles := rfm.profiles_query(settings, at_sql, lines, format('%I.unique_accounts', model), format('%I.unique_products', model));
END $$;
COMMENT ON FUNCTION rfm.all_profiles_query(text, rfm.settings, boolean, bigint, text) IS
    'Internal. SQL of all profiles of a model in two steps: as the lines alone give them, and, over these as p, with all that is added.';

-- All profiles in one pass of several over the lines, from hash_from on: the same rows as all_profiles_query gives, as fast
-- as can be. Ledgers come out of the pass itself, visits are counted by a query of their own, in which parallel workers help,
-- and both stand in the order of the profiles, so that only accounts and products are joined.
CREATE FUNCTION rfm.pass_query(model text, settings rfm.settings, hash_from bigint) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s           rfm.settings := settings;
    as_of       text := rfm.as_of_sql(s);
    customer    text := rfm.id_type(s.order_lines, 'customer_id');
    has_cost    boolean := s.products IS NOT NULL AND rfm.column_type(s.products, 'cost') IS NOT NULL;
    no_twins    boolean := s.accounts IS NOT NULL AND rfm.is_unique(s.accounts, 'customer_id');
BEGIN
    IF s.visits IS NOT NULL AND rfm.id_type(s.visits, 'customer_id') <> customer THEN
        RETURN (SELECT format('WITH p AS (%s) %s', q.profile_rows, q.profiles) FROM rfm.all_profiles_query(model, s, false, hash_from) q);
    END IF;
    RETURN format(
        'SELECT u.*, %s, %s, CASE WHEN u.customer_id IS NULL THEN %s END AS as_of, CASE WHEN u.customer_id IS NULL THEN %s END AS registered%s%18$s'
        ' FROM ((SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount, l.product_id, %6$s, %3$s, %7$L, %8$s, %9$s, %10$s, l.voided_at) AS profiles'
        ' FROM %11$I.valid_lines l%12$s) g CROSS JOIN LATERAL rfm.unpack(g.profiles, %13$s, %7$L) AS u(customer_id %14$s, %15$s, sessions_after_purchase bigint,'
        ' return_sessions bigint, ledger rfm.ledger, next_change_at timestamptz, next_hash bigint%19$s))%16$s%17$s',
        CASE WHEN s.accounts IS NULL THEN 'NULL::text AS channel, NULL::timestamptz AS signed_up_at, false AS has_account'
             ELSE 'a.channel, a.signed_up_at, a.customer_id IS NOT NULL AS has_account' END,
        CASE WHEN s.products IS NULL THEN 'NULL::text AS first_category, NULL::text AS first_brand, NULL::text AS first_product'
             ELSE 'h.category AS first_category, h.brand AS first_brand, h.name AS first_product' END,
        as_of, rfm.registered_sql(s, no_twins),
        (SELECT string_agg(format(', a.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)),
        rfm.window_start_sql(s, as_of), s.time_zone, pg_size_bytes(s.build_memory), hash_from,
        CASE WHEN has_cost THEN 'c.cost' ELSE 'NULL::numeric' END, model,
        CASE WHEN has_cost THEN format(' LEFT JOIN %I.unique_products c ON c.product_id = l.product_id', model) END,
        CASE WHEN s.visits IS NULL THEN 'NULL' ELSE format('rfm.count_visits(rfm.visit_boundaries(g.profiles), %L)',
            format('SELECT rfm.visits_all(%s, %s, x.visited_at, $1, %s, %L) FROM %s x', rfm.id_column(s.visits, 'customer_id'),
                rfm.id_column(s.visits, 'session_id'), as_of, s.time_zone, s.visits)) END,
        customer, rfm.profile_columns(s),
        CASE WHEN s.accounts IS NOT NULL THEN format(' LEFT JOIN (%s) a ON a.customer_id = u.customer_id', rfm.unique_accounts_query(s, NULL, no_twins)) END,
        CASE WHEN s.products IS NOT NULL THEN format(' LEFT JOIN %I.unique_products h ON h.product_id = u.first_product_id', model) END,
        CASE WHEN s.lookback IS NULL THEN ', NULL::timestamptz AS window_line_at' END,
        CASE WHEN s.lookback IS NOT NULL THEN ', window_line_at timestamptz' END);
END $$;
COMMENT ON FUNCTION rfm.pass_query(text, rfm.settings, bigint) IS
    'Internal. SQL of all profiles of a model in one pass of several, with the column next_hash.';

-- The profiles of the customers in $1, an array of text, and of lines without customer if $2, from what is read of them
-- through the indexes of the relations: in full, as a query.
CREATE FUNCTION rfm.some_profiles_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s     rfm.settings := settings;
    as_of text := rfm.as_of_sql(s);
    ids   text := format('$1::%s[]', rfm.id_type(s.order_lines, 'customer_id'));
BEGIN
    RETURN format('WITH l AS MATERIALIZED (%s UNION ALL %s), %s p AS MATERIALIZED (%s) %s',
        rfm.valid_lines_query(s, as_of, rfm.ids_sql(s.order_lines, 'customer_id', ids)),
        rfm.valid_lines_query(s, as_of, 'x.customer_id IS NULL AND $2'),
        CASE WHEN s.products IS NOT NULL THEN format('c AS MATERIALIZED (%s),',
            rfm.unique_products_query(s, format('%s IN (SELECT l.product_id FROM l)', rfm.id_column(s.products, 'product_id')))) END,
        rfm.profile_rows_query(s, 'l', as_of, true),
        rfm.profiles_query(s, as_of, 'l',
            CASE WHEN s.accounts IS NOT NULL THEN format('(%s)', rfm.unique_accounts_query(s, ids)) END, 'c', ids));
END $$;
COMMENT ON FUNCTION rfm.some_profiles_query(rfm.settings) IS
    'Internal. SQL of the profiles of the customers in $1 and, if $2, of lines without customer.';

CREATE FUNCTION rfm.with_lines_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    customer text := rfm.id_type(settings.order_lines, 'customer_id');
BEGIN
    RETURN format('SELECT %s FROM %s x WHERE %s', rfm.id_column(settings.order_lines, 'customer_id'), settings.order_lines,
                  rfm.ids_sql(settings.order_lines, 'customer_id', format('$1::%s[]', customer)));
END $$;
COMMENT ON FUNCTION rfm.with_lines_query(rfm.settings) IS 'Internal. SQL of those of the customers in $1, an array of text, who have any line, valid or not.';

-- What is stored tells how much memory one pass takes, about 160 bytes per profile; without it, the pass itself does.
CREATE FUNCTION rfm.needs_grouping(model text, settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    profiles float4 := (SELECT reltuples FROM pg_class WHERE oid = rfm.model_relation(model, 'profiles'));
    result   boolean;
BEGIN
    IF rfm.is_distributed(s) THEN
        RETURN true;
    ELSIF profiles > 0 THEN
        RETURN profiles * 160 > pg_size_bytes(s.build_memory);
    END IF;
    EXECUTE format('SELECT u.next_hash IS NOT NULL FROM (SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount,'
        ' l.product_id, %s, %s, %L, %s, 0) AS profiles FROM (%s) l) g,'
        ' LATERAL rfm.unpack(g.profiles) AS u(customer_id %s, next_hash bigint) WHERE u.customer_id IS NULL',
        rfm.window_start_sql(s, rfm.as_of_sql(s)), rfm.as_of_sql(s), s.time_zone, pg_size_bytes(s.build_memory),
        rfm.valid_lines_query(s, rfm.as_of_sql(s)),
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
    distributed boolean := rfm.is_distributed(s);
    as_of      timestamptz;
    query      text;
    found      jsonb;
    name       text;
    line       record;
    -- of all lines, and of those that count
    all_lines  bigint;
    excluded   bigint := 0;
    counted    bigint;
    missing    bigint;
    lost       numeric;
    oldest     timestamptz;
    newest     timestamptz;
BEGIN
    EXECUTE 'SELECT ' || rfm.as_of_sql(s) INTO as_of;
    query := format('SELECT status, count(*) AS lines, count(*) FILTER (WHERE valid) AS valid,'
        ' count(*) FILTER (WHERE valid AND customer_id IS NULL) AS nobodys,'
        ' coalesce(sum(rfm.money(amount)) FILTER (WHERE valid AND customer_id IS NULL), 0) AS money,'
        ' min(at) FILTER (WHERE valid AND at > ''-infinity'') AS since, max(at) FILTER (WHERE valid AND at > ''-infinity'' AND amount >= 0) AS until'
        -- what is asked for several times of a line is computed once; OFFSET of this type does not keep workers away
        ' FROM (SELECT status, customer_id, amount, at, order_id IS NOT NULL AND amount IS NOT NULL AND at < $1 AND counts AS valid'
        ' FROM (SELECT %1$s AS status, x.customer_id, x.order_id, x.amount, %2$s AS at, %4$s AS counts FROM %3$s x%5$s) x%5$s) x'
        ' GROUP BY status',
        rfm.text_column(s.order_lines, 'status'), rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone),
        s.order_lines, rfm.counted_sql(s, '$1'),
        -- with it the lines would come from their workers
        CASE WHEN NOT distributed THEN ' OFFSET bigint ''0''' END);
    IF distributed THEN
        -- Citus would connect to the coordinator itself for more, and then make no table there in this transaction
        FOR name, all_lines, counted, missing, lost, oldest, newest IN EXECUTE query USING as_of LOOP
            found := coalesce(found, '[]') || jsonb_build_object('status', name, 'lines', all_lines, 'valid', counted, 'nobodys', missing,
                'money', lost, 'since', oldest, 'until', newest);
        END LOOP;
    ELSE
        -- by EXECUTE INTO: a loop over the query would have no parallel workers
        EXECUTE format('SELECT jsonb_agg(to_jsonb(s)) FROM (%s) s', query) INTO found USING as_of;
    END IF;
    counted := 0;
    missing := 0;
    lost := 0;
    oldest := NULL;
    newest := NULL;
    all_lines := coalesce((SELECT sum((l ->> 'lines')::bigint) FROM jsonb_array_elements(found) l), 0);
    FOR line IN SELECT * FROM jsonb_to_recordset(found)
            AS l(status text, lines bigint, valid bigint, nobodys bigint, money numeric, since timestamptz, until timestamptz)
            ORDER BY lines DESC, status COLLATE "C"
    LOOP
        IF has_status THEN
            RAISE NOTICE 'status %: % lines (%), %', coalesce(quote_literal(line.status), 'NULL'), line.lines,
                round(100.0 * line.lines / all_lines, 1) || ' %',
                CASE WHEN line.status = ANY (s.excluded_statuses) THEN 'excluded' ELSE 'counted' END;
        END IF;
        IF line.status = ANY (s.excluded_statuses) THEN
            excluded := excluded + line.lines;
        END IF;
        counted := counted + line.valid;
        missing := missing + line.nobodys;
        lost := lost + line.money;
        oldest := least(oldest, line.since);
        newest := greatest(newest, line.until);
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
