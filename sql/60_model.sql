-- 60_model: a model is a schema; its settings, and the calls that make, change and drop it.

CREATE TYPE rfm.settings AS (
    order_lines         regclass,
    accounts            regclass,
    products            regclass,
    visits              regclass,
    storage             text,
    as_of               timestamp,
    time_zone           text,
    lookback            interval,
    excluded_statuses   text[],
    dimensions          text[],
    rules               text,
    build_memory        text,
    recency_cutoffs     numeric[],
    recency_fractions   numeric[],
    frequency_cutoffs   numeric[],
    frequency_fractions numeric[],
    monetary_cutoffs    numeric[],
    monetary_fractions  numeric[]
);
COMMENT ON TYPE rfm.settings IS 'The settings of a model, the one row of its table settings. NULL stands for the default.';
COMMENT ON COLUMN rfm.settings.order_lines IS 'Relation of the order lines: customer_id, order_id, ordered_at, amount [, status] [, product_id] [, voided_at].';
COMMENT ON COLUMN rfm.settings.accounts IS 'Relation of the accounts: customer_id [, channel] [, signed_up_at] [, the columns in dimensions]. NULL: none.';
COMMENT ON COLUMN rfm.settings.products IS 'Relation of the products: product_id, category [, brand] [, name] [, cost]. NULL: none.';
COMMENT ON COLUMN rfm.settings.visits IS 'Relation of the visits: customer_id, session_id, visited_at. NULL: none.';
COMMENT ON COLUMN rfm.settings.storage IS 'table (stored, a refresh writes the differences), materialized (materialised views) or view (always live). Default table.';
COMMENT ON COLUMN rfm.settings.as_of IS 'Local time up to which lines count. NULL: the moment of the refresh, or of the query with storage view.';
COMMENT ON COLUMN rfm.settings.time_zone IS 'Time zone of local dates, and of timestamp and date columns. Default UTC.';
COMMENT ON COLUMN rfm.settings.lookback IS 'Length of the window before as_of that scores and revenue count, 1 day to 1000 years. NULL: all time.';
COMMENT ON COLUMN rfm.settings.excluded_statuses IS 'Statuses of lines that do not count. Default {Cancelled,Returned}.';
COMMENT ON COLUMN rfm.settings.dimensions IS 'Columns of accounts that customers and segment_breakdown show. Default {}.';
COMMENT ON COLUMN rfm.settings.rules IS 'The segment rules that segment_rules was filled with: lifecycle or classic. Default lifecycle.';
COMMENT ON COLUMN rfm.settings.build_memory IS 'Memory that building the profiles may take, for example 512MB; at least 1MB. Default 1GB.';
COMMENT ON COLUMN rfm.settings.recency_cutoffs IS 'Fixed cut points of recency in days, strictly ascending. Default {90,180,365,545}.';
COMMENT ON COLUMN rfm.settings.recency_fractions IS 'Cut points of recency as percentiles of the customers, ascending shares. NULL: fixed ones.';
COMMENT ON COLUMN rfm.settings.frequency_cutoffs IS 'Fixed cut points of the number of orders, strictly ascending. Default {0,1,2,3}.';
COMMENT ON COLUMN rfm.settings.frequency_fractions IS 'Cut points of the number of orders as percentiles of the customers, ascending shares. NULL: fixed ones.';
COMMENT ON COLUMN rfm.settings.monetary_cutoffs IS 'Fixed cut points of revenue, strictly ascending. NULL: percentiles.';
COMMENT ON COLUMN rfm.settings.monetary_fractions IS 'Cut points of revenue as percentiles of the customers, ascending shares. Default {0.25,0.50,0.75,0.95}.';

CREATE VIEW rfm.models AS
    SELECT n.nspname::text AS model,
           pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
           CASE p.relkind WHEN 'r' THEN 'table' WHEN 'm' THEN 'materialized' ELSE 'view' END AS storage
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    LEFT JOIN pg_catalog.pg_class p ON p.relnamespace OPERATOR(pg_catalog.=) n.oid AND p.relname OPERATOR(pg_catalog.=) 'profiles'
    WHERE c.reloftype OPERATOR(pg_catalog.=) 'rfm.settings'::pg_catalog.regtype AND c.relname OPERATOR(pg_catalog.=) 'settings';
COMMENT ON VIEW rfm.models IS 'The models of this database, one row each.';
COMMENT ON COLUMN rfm.models.model IS 'Name of the model, which is its schema.';
COMMENT ON COLUMN rfm.models.owner IS 'Role that owns the model.';
COMMENT ON COLUMN rfm.models.storage IS 'table, materialized or view.';

-- settings

CREATE FUNCTION rfm.check_axis(axis text, cutoffs numeric[], fractions numeric[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    numbers numeric[] := coalesce(cutoffs, fractions);
    name    text := axis || CASE WHEN cutoffs IS NULL THEN '_fractions' ELSE '_cutoffs' END;
    problem text;
BEGIN
    IF cutoffs IS NOT NULL AND fractions IS NOT NULL THEN
        RAISE EXCEPTION '%_cutoffs and %_fractions are both given', axis, axis
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give fixed cut points or percentiles, not both.';
    END IF;
    IF numbers IS NULL THEN
        RETURN;
    END IF;
    problem := CASE
        WHEN array_ndims(numbers) IS DISTINCT FROM 1 OR cardinality(numbers) > 8 THEN 'must be a list of one to eight numbers'
        WHEN array_position(numbers, NULL) IS NOT NULL THEN 'must not contain NULL'
        WHEN EXISTS (SELECT FROM unnest(numbers) n WHERE n IN ('NaN', 'Infinity', '-Infinity')) THEN 'must be finite numbers'
        WHEN EXISTS (SELECT FROM unnest(numbers) WITH ORDINALITY a(n, i) JOIN unnest(numbers) WITH ORDINALITY b(n, i)
                     ON b.i = a.i + 1 WHERE b.n <= a.n) THEN 'must ascend strictly'
        WHEN cutoffs IS NULL AND EXISTS (SELECT FROM unnest(numbers) n WHERE n < 0 OR n > 1) THEN 'must lie between 0 and 1' END;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '% %: %', name, problem, numbers
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = CASE WHEN cutoffs IS NULL THEN 'For example {0.2,0.4,0.6,0.8} for five levels.'
                              ELSE 'For example {90,180,365,545} for five levels.' END;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_axis(text, numeric[], numeric[]) IS 'Internal. Refuses cut points or fractions of an axis that cannot be used.';

CREATE FUNCTION rfm.check_list(setting text, list text[], hint text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF array_ndims(list) > 1 THEN
        RAISE EXCEPTION '% must be a plain list: %', setting, list USING ERRCODE = 'array_subscript_error', HINT = hint;
    ELSIF array_position(list, NULL) IS NOT NULL THEN
        RAISE EXCEPTION '% must not contain NULL: %', setting, list USING ERRCODE = 'null_value_not_allowed', HINT = hint;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_list(text, text[], text) IS 'Internal. Refuses a list in the settings that is nested or holds NULL.';

CREATE FUNCTION rfm.resolve_settings(settings rfm.settings) RETURNS rfm.settings
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    s.storage := coalesce(s.storage, 'table');
    s.time_zone := coalesce(s.time_zone, 'UTC');
    s.excluded_statuses := coalesce(s.excluded_statuses, '{Cancelled,Returned}');
    s.dimensions := coalesce(s.dimensions, '{}');
    s.rules := coalesce(s.rules, 'lifecycle');
    s.build_memory := coalesce(s.build_memory, '1GB');

    IF s.order_lines IS NULL THEN
        RAISE EXCEPTION 'order_lines must be given' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name the table or view of your order lines, for example order_lines => ''public.order_lines''.';
    END IF;
    IF s.storage NOT IN ('table', 'materialized', 'view') THEN
        RAISE EXCEPTION 'storage "%" is not known', s.storage USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Storage is table, materialized or view.';
    END IF;
    PERFORM rfm.local_date(now(), s.time_zone);
    IF upper(s.time_zone) NOT IN ('UTC', 'GMT') AND EXISTS (SELECT FROM pg_timezone_abbrevs WHERE abbrev = upper(s.time_zone)) THEN
        RAISE EXCEPTION 'time zone "%" is an abbreviation', s.time_zone USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It means one offset all year to some functions and daylight saving to others: name a region, for example Europe/Berlin.';
    END IF;
    IF NOT isfinite(s.as_of) THEN
        RAISE EXCEPTION 'as_of must be finite' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave it out for the moment of the refresh.';
    END IF;
    IF s.lookback < interval '1 day' OR s.lookback > interval '1000 years' THEN
        RAISE EXCEPTION 'lookback must be 1 day to 1000 years, not %', s.lookback USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name the unit, for example lookback => ''2 years''; a number alone means seconds.';
    END IF;
    PERFORM rfm.check_list('excluded_statuses', s.excluded_statuses,
        'For example {Cancelled,Returned}; {} excludes none, and lines without status always count.');
    PERFORM rfm.check_list('dimensions', s.dimensions, 'For example {country,gender}, columns of the relation accounts.');
    IF s.rules NOT IN ('lifecycle', 'classic') THEN
        RAISE EXCEPTION 'rules "%" are not known', s.rules USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Start with lifecycle or classic, then edit the table segment_rules of the model.';
    END IF;
    BEGIN
        IF pg_size_bytes(s.build_memory) < pg_size_bytes('1MB') THEN
            RAISE invalid_parameter_value;
        END IF;
    EXCEPTION WHEN invalid_parameter_value OR numeric_value_out_of_range THEN
        RAISE EXCEPTION 'build_memory "%" is not a size of at least 1MB', s.build_memory
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example build_memory => ''512MB''.';
    END;
    PERFORM rfm.check_axis('recency', s.recency_cutoffs, s.recency_fractions);
    PERFORM rfm.check_axis('frequency', s.frequency_cutoffs, s.frequency_fractions);
    PERFORM rfm.check_axis('monetary', s.monetary_cutoffs, s.monetary_fractions);
    IF s.recency_fractions IS NULL THEN
        s.recency_cutoffs := coalesce(s.recency_cutoffs, '{90,180,365,545}');
    END IF;
    IF s.frequency_fractions IS NULL THEN
        s.frequency_cutoffs := coalesce(s.frequency_cutoffs, '{0,1,2,3}');
    END IF;
    IF s.monetary_cutoffs IS NULL THEN
        s.monetary_fractions := coalesce(s.monetary_fractions, '{0.25,0.50,0.75,0.95}');
    END IF;
    RETURN s;
END $$;
COMMENT ON FUNCTION rfm.resolve_settings(rfm.settings) IS 'Internal. The settings with defaults in place of NULL; settings that cannot be used are errors.';

CREATE FUNCTION rfm.require_model(model text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    model_owner name := (SELECT m.owner FROM rfm.models m WHERE m.model = require_model.model);
BEGIN
    IF model_owner IS NULL THEN
        RAISE EXCEPTION 'model "%" does not exist', model USING ERRCODE = 'invalid_schema_name',
            HINT = 'SELECT model FROM rfm.models lists the models; rfm.create_model makes one.';
    END IF;
    IF NOT pg_has_role(model_owner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of model "%"', model USING ERRCODE = 'insufficient_privilege',
            HINT = format('Ask %s, who owns it.', quote_ident(model_owner));
    END IF;
END $$;
COMMENT ON FUNCTION rfm.require_model(text) IS 'Internal. Refuses the name of a model that does not exist or that the caller does not own.';

CREATE FUNCTION rfm.model_settings(model text) RETURNS rfm.settings
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings;
    n bigint;
BEGIN
    PERFORM rfm.require_model(model);
    EXECUTE format('SELECT * FROM %I.settings', model) INTO s;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n = 0 THEN
        RAISE EXCEPTION 'model "%" has lost its settings', model USING ERRCODE = 'no_data_found',
            HINT = format('Insert a row into %I.settings; order_lines must be given, NULL stands for a default elsewhere.', model);
    END IF;
    RETURN s;
END $$;
COMMENT ON FUNCTION rfm.model_settings(text) IS 'Internal. The settings of a model as stored, NULL for defaults.';

-- making a model

CREATE FUNCTION rfm.check_model_name(model text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(model, '') = '' OR octet_length(model) > 63 THEN
        RAISE EXCEPTION 'a model needs a name of 1 to 63 bytes' USING ERRCODE = 'invalid_name',
            HINT = 'Choose a name such as shop; it becomes a schema.';
    END IF;
    IF strpos(lower(model), 'pg_') > 0 OR model IN ('rfm', 'public', 'information_schema') THEN
        RAISE EXCEPTION 'a model cannot be called "%"', model USING ERRCODE = 'reserved_name',
            HINT = 'Choose a name such as shop; BI tools hide schemas with pg_ in their name.';
    END IF;
    IF EXISTS (SELECT FROM rfm.models m WHERE m.model = check_model_name.model) THEN
        RAISE EXCEPTION 'model "%" already exists', model USING ERRCODE = 'duplicate_schema',
            HINT = 'Change it with rfm.configure_model, or drop it with rfm.drop_model first.';
    END IF;
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = model) THEN
        RAISE EXCEPTION 'schema "%" already exists', model USING ERRCODE = 'duplicate_schema',
            HINT = 'A model gets a schema of its own: choose another name.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_model_name(text) IS 'Internal. Refuses a name that a new model cannot have.';

CREATE FUNCTION rfm.fill_rules(model text, rules text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('DELETE FROM %I.segment_rules', model);
    EXECUTE format('INSERT INTO %I.segment_rules SELECT * FROM rfm.default_rules($1)', model) USING rules;
END $$;
COMMENT ON FUNCTION rfm.fill_rules(text, text) IS 'Internal. Fills segment_rules of a model with a set of rules.';

-- Everything of a model in its schema, which exists; the contract relations exist, too.
CREATE FUNCTION rfm.make_model(model text, settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET jit = off AS $$
DECLARE
    s    rfm.settings := rfm.resolve_settings(settings);
    hint text;
BEGIN
    PERFORM rfm.check_contract(s);
    PERFORM rfm.check_distribution(s);
    EXECUTE format('CREATE TABLE %I.settings OF rfm.settings (order_lines WITH OPTIONS NOT NULL)', model);
    EXECUTE format('CREATE UNIQUE INDEX settings_one_row ON %I.settings ((true))', model);
    EXECUTE format('INSERT INTO %I.settings SELECT ($1).*', model) USING settings;
    EXECUTE format('CREATE TABLE %I.segment_rules OF rfm.segment_rule ('
        ' rule_order PRIMARY KEY, segment WITH OPTIONS NOT NULL, stage WITH OPTIONS NOT NULL,'
        ' r_min WITH OPTIONS NOT NULL, r_max WITH OPTIONS NOT NULL, f_min WITH OPTIONS NOT NULL, f_max WITH OPTIONS NOT NULL,'
        ' m_min WITH OPTIONS NOT NULL, m_max WITH OPTIONS NOT NULL,'
        ' CONSTRAINT "segment must have 1 to 63 bytes" CHECK (octet_length(segment) BETWEEN 1 AND 63),'
        ' CONSTRAINT "stage must be vip, loyal, promising, attention, risk or other"'
        ' CHECK (stage IN (''vip'', ''loyal'', ''promising'', ''attention'', ''risk'', ''other'')),'
        ' CONSTRAINT "r_min to r_max must be scores from 1 to 9" CHECK (1 <= r_min AND r_min <= r_max AND r_max <= 9),'
        ' CONSTRAINT "f_min to f_max must be scores from 1 to 9" CHECK (1 <= f_min AND f_min <= f_max AND f_max <= 9),'
        ' CONSTRAINT "m_min to m_max must be scores from 1 to 9" CHECK (1 <= m_min AND m_min <= m_max AND m_max <= 9))', model);
    PERFORM rfm.fill_rules(model, s.rules);
    EXECUTE format('CREATE TABLE %I.compiled_views (name name PRIMARY KEY, position int NOT NULL, query text NOT NULL)', model);
    EXECUTE format('CREATE TABLE %I.refresh_log (refresh_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,'
        ' started_at timestamptz NOT NULL, finished_at timestamptz, pid int, mode text NOT NULL, reason text,'
        ' customers bigint, changed bigint, passes int, as_of timestamptz, wait_seconds float8, views_seconds float8, profiles_seconds float8,'
        ' snapshot_seconds float8, summaries_seconds float8, history_seconds float8, recency_cutoffs text, frequency_cutoffs text, monetary_cutoffs text,'
        ' settings text, rules text, error text)', model);
    PERFORM rfm.make_campaigns(model);
    BEGIN
        PERFORM rfm.report_lines(s);
        PERFORM rfm.report_missing(s);
        PERFORM rfm.report_shards(s);
        PERFORM rfm.report_settings(s);
        PERFORM rfm.compile_model(model);
        PERFORM rfm.build_model(model);
    EXCEPTION WHEN OTHERS THEN
        -- an error of a relation that is read, not one of ours, which say what to do
        GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
        IF hint <> '' THEN
            RAISE;
        END IF;
        RAISE EXCEPTION 'model "%" could not be built: %', model, SQLERRM USING ERRCODE = SQLSTATE,
            HINT = format('It failed while reading %s: correct the cause there.',
                          concat_ws(', ', s.order_lines, s.accounts, s.products, s.visits));
    END;
END $$;
COMMENT ON FUNCTION rfm.make_model(text, rfm.settings) IS 'Internal. Makes everything of a model in its schema and builds it.';

CREATE FUNCTION rfm.report_missing(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF settings.accounts IS NULL THEN
        RAISE NOTICE 'without accounts there is no channel, no sign-up time, no dimension and no count of prospects; left out: channel_maturity, first_purchase_timing';
    END IF;
    IF settings.products IS NULL THEN
        RAISE NOTICE 'without products there is no first category and no margin; left out: gateway_products, gateway_moments';
    END IF;
    IF settings.visits IS NULL THEN
        RAISE NOTICE 'without visits there is no activity level, and no audience for the inactive; left out: promising_activity';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_missing(rfm.settings) IS 'Internal. Tells by NOTICE what a new model leaves out for want of a relation.';

CREATE FUNCTION rfm.report_settings(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF settings.rules = 'lifecycle' AND (settings.recency_fractions IS NOT NULL OR settings.frequency_fractions IS NOT NULL
            OR settings.frequency_cutoffs <> '{0,1,2,3}'::numeric[]) THEN
        RAISE NOTICE 'the lifecycle rules are written for fixed cut points: f = 3 no longer means one order'
            USING HINT = 'Adapt the table segment_rules of the model, or use rules => ''classic''.';
    END IF;
    IF settings.rules = 'classic' AND (settings.recency_fractions IS NULL OR settings.frequency_fractions IS NULL
            OR settings.monetary_fractions IS DISTINCT FROM '{0.2,0.4,0.6,0.8}'::numeric[]) THEN
        RAISE NOTICE 'the classic rules are written for quintiles'
            USING HINT = 'Set recency_fractions, frequency_fractions and monetary_fractions to {0.2,0.4,0.6,0.8}.';
    END IF;
    IF 5 <> ANY (rfm.levels(settings)) THEN
        RAISE NOTICE 'the rules that come with the extension are written for five levels on each axis'
            USING HINT = 'Adapt the table segment_rules of the model: scores that no rule covers are Others.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_settings(rfm.settings) IS 'Internal. Tells by NOTICE where the settings make the rules hard to read.';

CREATE FUNCTION rfm.levels(settings rfm.settings) RETURNS int[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[pg_catalog.cardinality(coalesce((settings).recency_cutoffs, (settings).recency_fractions)) OPERATOR(pg_catalog.+) 1,
                 pg_catalog.cardinality(coalesce((settings).frequency_cutoffs, (settings).frequency_fractions)) OPERATOR(pg_catalog.+) 1,
                 pg_catalog.cardinality(coalesce((settings).monetary_cutoffs, (settings).monetary_fractions)) OPERATOR(pg_catalog.+) 1];
COMMENT ON FUNCTION rfm.levels(rfm.settings) IS 'Internal. The numbers of levels of recency, frequency and monetary.';

CREATE FUNCTION rfm.create_model(model text, order_lines regclass, accounts regclass DEFAULT NULL,
        products regclass DEFAULT NULL, visits regclass DEFAULT NULL,
        storage text DEFAULT NULL, as_of timestamp DEFAULT NULL, time_zone text DEFAULT NULL,
        lookback interval DEFAULT NULL, excluded_statuses text[] DEFAULT NULL, dimensions text[] DEFAULT NULL,
        rules text DEFAULT NULL, build_memory text DEFAULT NULL,
        recency_cutoffs numeric[] DEFAULT NULL, recency_fractions numeric[] DEFAULT NULL,
        frequency_cutoffs numeric[] DEFAULT NULL, frequency_fractions numeric[] DEFAULT NULL,
        monetary_cutoffs numeric[] DEFAULT NULL, monetary_fractions numeric[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settings rfm.settings;
BEGIN
    PERFORM rfm.check_model_name(model);
    EXECUTE format('CREATE SCHEMA %I', model);
    settings := ROW(order_lines, accounts, products, visits, storage, as_of, time_zone, lookback,
        excluded_statuses, dimensions, rules, build_memory, recency_cutoffs, recency_fractions,
        frequency_cutoffs, frequency_fractions, monetary_cutoffs, monetary_fractions)::rfm.settings;
    PERFORM rfm.make_model(model, settings);
END $$;
COMMENT ON FUNCTION rfm.create_model(text, regclass, regclass, regclass, regclass, text, timestamp, text, interval, text[], text[], text, text, numeric[], numeric[], numeric[], numeric[], numeric[], numeric[]) IS
    'Makes a model: a schema of this name, owned by the caller, with the whole analysis of the order lines (customer_id, order_id, ordered_at, amount [, status] [, product_id] [, voided_at]). Reports by NOTICE what it found in them. Every other argument may be NULL for its default: \d+ rfm.settings tells the columns of the other relations, and each setting with its default. Whatever is wrong is an error, and nothing is left behind. Example: SELECT rfm.create_model(''shop'', ''my_order_lines'', accounts => ''my_accounts'', lookback => ''2 years'');';

CREATE FUNCTION rfm.create_thelook_model(model text, source_schema text DEFAULT 'public',
        storage text DEFAULT NULL, as_of timestamp DEFAULT NULL, time_zone text DEFAULT NULL,
        lookback interval DEFAULT NULL, excluded_statuses text[] DEFAULT NULL, dimensions text[] DEFAULT NULL,
        rules text DEFAULT NULL, build_memory text DEFAULT NULL,
        recency_cutoffs numeric[] DEFAULT NULL, recency_fractions numeric[] DEFAULT NULL,
        frequency_cutoffs numeric[] DEFAULT NULL, frequency_fractions numeric[] DEFAULT NULL,
        monetary_cutoffs numeric[] DEFAULT NULL, monetary_fractions numeric[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    missing  text;
    settings rfm.settings;
BEGIN
    source_schema := coalesce(source_schema, 'public');
    missing := (SELECT string_agg(t, ', ') FROM unnest('{order_items,users,products,events}'::text[]) t
                WHERE to_regclass(format('%I.%I', source_schema, t)) IS NULL);
    PERFORM rfm.check_model_name(model);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'schema "%" has no table %', source_schema, missing USING ERRCODE = 'undefined_table',
            HINT = 'Give the schema of the thelook tables as source_schema, or use rfm.create_model for other tables.';
    END IF;
    EXECUTE format('CREATE SCHEMA %I', model);
    BEGIN
        EXECUTE format('CREATE VIEW %I.order_lines AS SELECT user_id AS customer_id, order_id, created_at AS ordered_at,'
            ' sale_price AS amount, status, product_id FROM %I.order_items', model, source_schema);
        EXECUTE format('CREATE VIEW %I.accounts AS SELECT id AS customer_id, traffic_source AS channel, created_at AS signed_up_at,'
            ' age, gender, country, state, city FROM %I.users', model, source_schema);
        EXECUTE format('CREATE VIEW %I.products AS SELECT id AS product_id, category, brand, name, cost FROM %I.products',
            model, source_schema);
        EXECUTE format('CREATE VIEW %I.visits AS SELECT user_id AS customer_id, session_id, created_at AS visited_at'
            ' FROM %I.events WHERE user_id IS NOT NULL', model, source_schema);
    EXCEPTION WHEN undefined_column THEN
        RAISE EXCEPTION 'the tables of schema "%" are not those of thelook: %', source_schema, SQLERRM USING ERRCODE = 'undefined_column',
            HINT = 'Use rfm.create_model for other tables.';
    END;
    settings := ROW(format('%I.order_lines', model)::regclass, format('%I.accounts', model)::regclass,
        format('%I.products', model)::regclass, format('%I.visits', model)::regclass, storage, as_of, time_zone, lookback,
        excluded_statuses, coalesce(dimensions, '{country,gender}'), rules, build_memory, recency_cutoffs, recency_fractions,
        frequency_cutoffs, frequency_fractions, monetary_cutoffs, monetary_fractions)::rfm.settings;
    PERFORM rfm.make_model(model, settings);
    -- so that drop_model knows them
    EXECUTE format('INSERT INTO %I.compiled_views SELECT name, -1, ''contract view'''
        ' FROM unnest(''{order_lines,accounts,products,visits}''::name[]) name', model);
END $$;
COMMENT ON FUNCTION rfm.create_thelook_model(text, text, text, timestamp, text, interval, text[], text[], text, text, numeric[], numeric[], numeric[], numeric[], numeric[], numeric[]) IS
    'Makes a model of the thelook e-commerce tables (order_items, users, products, events) in source_schema: writes the four contract views into the schema of the model, then as create_model. Dimensions are {country,gender} by default. Example: SELECT rfm.create_thelook_model(''shop'', as_of => ''2024-01-21'');';

-- changing and dropping a model

-- What reads or writes the relations of a model may set off code of its owner, triggers for example: it has his rights only.
CREATE FUNCTION rfm.as_owner(model text, command text, settings rfm.settings DEFAULT NULL, names text[] DEFAULT NULL) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'rfm_as_owner';
COMMENT ON FUNCTION rfm.as_owner(text, text, rfm.settings, text[]) IS
    'Internal. Runs a command, with the other arguments as its $1 to $3, with the rights of the owner of the model, in a security-restricted operation. Who does not have these rights is refused.';

CREATE FUNCTION rfm.rows_as_owner(model text, query text, VARIADIC arguments text[] DEFAULT '{}') RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'rfm_rows_as_owner';
COMMENT ON FUNCTION rfm.rows_as_owner(text, text, text[]) IS
    'Internal. The rows of a query, with the arguments, as text, as its $1, $2 ..., computed with the rights of the owner of the model in a security-restricted operation. Who does not have these rights is refused.';

CREATE FUNCTION rfm.change_settings(model text, change rfm.settings, unset text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := rfm.model_settings(model);
    old       rfm.settings := s;
    old_rules text := coalesce(s.rules, 'lifecycle');
    new_rules text;
    edited    boolean;
    name      text;
BEGIN
    PERFORM rfm.check_axis('recency', change.recency_cutoffs, change.recency_fractions);
    PERFORM rfm.check_axis('frequency', change.frequency_cutoffs, change.frequency_fractions);
    PERFORM rfm.check_axis('monetary', change.monetary_cutoffs, change.monetary_fractions);
    FOREACH name IN ARRAY coalesce(unset, '{}') LOOP
        CASE name
            WHEN 'storage' THEN s.storage := NULL;
            WHEN 'as_of' THEN s.as_of := NULL;
            WHEN 'time_zone' THEN s.time_zone := NULL;
            WHEN 'lookback' THEN s.lookback := NULL;
            WHEN 'excluded_statuses' THEN s.excluded_statuses := NULL;
            WHEN 'dimensions' THEN s.dimensions := NULL;
            WHEN 'rules' THEN s.rules := NULL;
            WHEN 'build_memory' THEN s.build_memory := NULL;
            WHEN 'recency_cutoffs' THEN s.recency_cutoffs := NULL;
            WHEN 'recency_fractions' THEN s.recency_fractions := NULL;
            WHEN 'frequency_cutoffs' THEN s.frequency_cutoffs := NULL;
            WHEN 'frequency_fractions' THEN s.frequency_fractions := NULL;
            WHEN 'monetary_cutoffs' THEN s.monetary_cutoffs := NULL;
            WHEN 'monetary_fractions' THEN s.monetary_fractions := NULL;
            ELSE
                RAISE EXCEPTION 'setting "%" cannot be unset', name USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'These can: storage, as_of, time_zone, lookback, excluded_statuses, dimensions, rules, build_memory,'
                        ' and _cutoffs and _fractions of recency, frequency and monetary.';
        END CASE;
    END LOOP;
    s.storage := coalesce(change.storage, s.storage);
    s.as_of := coalesce(change.as_of, s.as_of);
    s.time_zone := coalesce(change.time_zone, s.time_zone);
    s.lookback := coalesce(change.lookback, s.lookback);
    s.excluded_statuses := coalesce(change.excluded_statuses, s.excluded_statuses);
    s.dimensions := coalesce(change.dimensions, s.dimensions);
    s.rules := coalesce(change.rules, s.rules);
    s.build_memory := coalesce(change.build_memory, s.build_memory);
    IF change.recency_cutoffs IS NOT NULL OR change.recency_fractions IS NOT NULL THEN
        s.recency_cutoffs := change.recency_cutoffs;
        s.recency_fractions := change.recency_fractions;
    END IF;
    IF change.frequency_cutoffs IS NOT NULL OR change.frequency_fractions IS NOT NULL THEN
        s.frequency_cutoffs := change.frequency_cutoffs;
        s.frequency_fractions := change.frequency_fractions;
    END IF;
    IF change.monetary_cutoffs IS NOT NULL OR change.monetary_fractions IS NOT NULL THEN
        s.monetary_cutoffs := change.monetary_cutoffs;
        s.monetary_fractions := change.monetary_fractions;
    END IF;
    PERFORM rfm.check_contract(rfm.resolve_settings(s));
    PERFORM rfm.check_distribution(rfm.resolve_settings(s));

    new_rules := coalesce(s.rules, 'lifecycle');
    IF new_rules <> old_rules THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$I.segment_rules) AND EXISTS ('
            ' (TABLE %1$I.segment_rules EXCEPT SELECT * FROM rfm.default_rules($1)) UNION ALL'
            ' (SELECT * FROM rfm.default_rules($1) EXCEPT TABLE %1$I.segment_rules))', model) INTO edited USING old_rules;
        IF edited THEN
            RAISE EXCEPTION 'the segment rules of model "%" were edited and would be lost', model
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('To give them up, first DELETE FROM %I.segment_rules.', model);
        END IF;
        PERFORM rfm.fill_rules(model, new_rules);
    END IF;
    PERFORM rfm.report_settings(rfm.resolve_settings(s));
    EXECUTE format('UPDATE %I.settings SET (storage, as_of, time_zone, lookback, excluded_statuses, dimensions, rules, build_memory,'
        ' recency_cutoffs, recency_fractions, frequency_cutoffs, frequency_fractions, monetary_cutoffs, monetary_fractions) ='
        ' (SELECT $1.storage, $1.as_of, $1.time_zone, $1.lookback, $1.excluded_statuses, $1.dimensions, $1.rules, $1.build_memory,'
        ' $1.recency_cutoffs, $1.recency_fractions, $1.frequency_cutoffs, $1.frequency_fractions, $1.monetary_cutoffs, $1.monetary_fractions)',
        model) USING s;
    IF s IS DISTINCT FROM old THEN
        RAISE NOTICE 'the settings of model "%" take effect at the next refresh', model USING HINT = format('CALL rfm.refresh(%L);', model);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.change_settings(text, rfm.settings, text[]) IS 'Internal. Writes the settings that are not NULL and takes those in unset back to their default.';

CREATE FUNCTION rfm.configure_model(model text,
        storage text DEFAULT NULL, as_of timestamp DEFAULT NULL, time_zone text DEFAULT NULL,
        lookback interval DEFAULT NULL, excluded_statuses text[] DEFAULT NULL, dimensions text[] DEFAULT NULL,
        rules text DEFAULT NULL, build_memory text DEFAULT NULL,
        recency_cutoffs numeric[] DEFAULT NULL, recency_fractions numeric[] DEFAULT NULL,
        frequency_cutoffs numeric[] DEFAULT NULL, frequency_fractions numeric[] DEFAULT NULL,
        monetary_cutoffs numeric[] DEFAULT NULL, monetary_fractions numeric[] DEFAULT NULL,
        unset text[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.as_owner(model, 'SELECT rfm.change_settings($1, $2, $3)', ROW(NULL, NULL, NULL, NULL, storage, as_of, time_zone, lookback,
        excluded_statuses, dimensions, rules, build_memory, recency_cutoffs, recency_fractions,
        frequency_cutoffs, frequency_fractions, monetary_cutoffs, monetary_fractions)::rfm.settings, unset);
END $$;
COMMENT ON FUNCTION rfm.configure_model(text, text, timestamp, text, interval, text[], text[], text, text, numeric[], numeric[], numeric[], numeric[], numeric[], numeric[], text[]) IS
    'Changes the settings named and leaves the others; those in unset go back to their default. Takes effect at the next refresh. Cut points take the place of percentiles of the same axis, and the other way round. New rules replace the old ones; rules that were edited are not given up. Example: SELECT rfm.configure_model(''shop'', lookback => ''2 years'', unset => ''{as_of}'');';

CREATE FUNCTION rfm.drop_objects(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    schema_oid oid;
    strangers  text;
    made       name[];
    name       name;
    kind       "char";
    routine    regprocedure;
BEGIN
    -- waits for a refresh before it takes anything that the refresh still needs
    EXECUTE format('LOCK TABLE %I.settings IN ACCESS EXCLUSIVE MODE', model);
    schema_oid := (SELECT oid FROM pg_namespace WHERE nspname = model);
    EXECUTE format('SELECT array_agg(name ORDER BY position DESC) FROM %I.compiled_views WHERE position >= -1', model) INTO made;
    made := made || '{changes,tracked,segment_changes,last_build,next_profiles,replaced_profiles,replaced_snapshot,refresh_log,campaigns,action_texts,compiled_views,segment_rules,settings}';

    SELECT string_agg(o.description, E'\n' ORDER BY o.description COLLATE "C") INTO strangers
    FROM pg_depend d
    CROSS JOIN LATERAL pg_describe_object(d.classid, d.objid, 0) o(description)
    LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = schema_oid
      AND NOT (c.oid IS NOT NULL AND c.relname = ANY (made))
      AND NOT (d.classid = 'pg_proc'::regclass AND d.objid = ANY (rfm.own_functions(model)::oid[]))
      AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i');
    IF strangers IS NOT NULL THEN
        RAISE EXCEPTION 'schema "%" holds objects that do not belong to the model', model
            USING ERRCODE = 'dependent_objects_still_exist', DETAIL = strangers,
                  HINT = 'Move or drop them first.';
    END IF;
    PERFORM rfm.drop_tracking(model);
    FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
        EXECUTE format('DROP FUNCTION %s', routine);
    END LOOP;
    FOREACH name IN ARRAY made LOOP
        kind := (SELECT relkind FROM pg_class WHERE relnamespace = schema_oid AND relname = name);
        IF kind IS NOT NULL THEN
            EXECUTE format('DROP %s %I.%I', CASE kind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                           model, name);
        END IF;
    END LOOP;
    EXECUTE format('DROP SCHEMA %I', model);
END $$;
COMMENT ON FUNCTION rfm.drop_objects(text) IS 'Internal. Drops a schema with what a model made in it; refused while it holds anything else.';

CREATE FUNCTION rfm.drop_model(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.as_owner(model, 'SELECT rfm.drop_objects($1)');
    PERFORM rfm.forget_jobs(model);
END $$;
COMMENT ON FUNCTION rfm.drop_model(text) IS
    'Drops a model and its schema. Refused while the schema holds anything the model did not make, or anything elsewhere depends on the model. Ends what rfm.schedule began. Your own tables only lose the triggers of rfm.track_changes. Example: SELECT rfm.drop_model(''shop'');';
