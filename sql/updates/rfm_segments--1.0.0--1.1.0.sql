/*
 * rfm_segments 1.0.0 to 1.1.0.
 *
 * What a part in sql/ changes since 1.0.0 is repeated here, in the order of the parts: CREATE OR REPLACE for what is
 * there, CREATE for what is new, DROP for what is gone, ALTER TYPE ... CASCADE for the types of the tables of models,
 * and COMMENT.  Signatures stay: a function with other arguments is a new one.  test/shell/upgrade.sh compares the
 * result with a fresh installation and names what is missing here.
 *
 * This script runs with the rights of a superuser when the extension is trusted, and must therefore not read what is in
 * models, which belong to others, nor call it: rfm.complete_model does so, in the first refresh of each model after the update, with
 * the rights of its owner.  The library keeps every C function that an earlier version names.
 *
 * With a release, this script is finished and the install script is copied to test/released/; the next change begins
 * sql/updates/rfm_segments--1.1.0--1.2.0.sql.
 */

\echo Use "ALTER EXTENSION rfm_segments UPDATE TO '1.1.0'" to load this file. \quit

-- 00_header: whoever may create things in schema rfm could shadow what stands in it

DO $$
DECLARE
    creator text;
BEGIN
    FOR creator IN
        SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
        FROM pg_namespace n, aclexplode(n.nspacl) g WHERE n.nspname = 'rfm' AND g.privilege_type = 'CREATE' AND g.grantee <> n.nspowner
    LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA rfm FROM %s CASCADE', creator);
    END LOOP;
END $$;

ALTER SCHEMA rfm OWNER TO CURRENT_USER;

-- 1.0.0 granted to readers what records changes with the rights of the owner: in a trigger on a table of his own a reader
-- could act as the owner. The next refresh of such a model is a full one.
DO $$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM %s CASCADE', p.oid::regprocedure,
                      CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
        FROM pg_class c JOIN pg_proc p ON p.pronamespace = c.relnamespace CROSS JOIN LATERAL aclexplode(p.proacl) g
        WHERE c.relname = 'settings' AND c.reloftype = 'rfm.settings'::regtype AND p.proname ~ '^record_changes_[0-9]+$'
            AND p.prorettype = 'trigger'::regtype AND p.prosecdef AND g.grantee <> p.proowner
    LOOP
        EXECUTE command;
    END LOOP;
END $$;

-- 60_model: the row of compiled_views that tells the version is no relation

CREATE OR REPLACE FUNCTION rfm.drop_objects(model text) RETURNS void
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
    made := made || '{changes,tracked,segment_changes,last_build,replaced_profiles,replaced_snapshot,refresh_log,campaigns,action_texts,compiled_views,segment_rules,settings}';

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

-- 65_contract: text that follows no session

CREATE OR REPLACE FUNCTION rfm.check_column(relation regclass, column_name text, kind text, optional boolean DEFAULT false) RETURNS void
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

CREATE OR REPLACE FUNCTION rfm.check_contract(settings rfm.settings) RETURNS void
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

CREATE OR REPLACE FUNCTION rfm.text_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rfm.column_type(relation, column_name) IS NULL THEN 'NULL::text'
                ELSE rfm.text_sql(format('x.%I', column_name), rfm.column_type(relation, column_name)) || ' COLLATE "C"' END;
END $$;

CREATE OR REPLACE FUNCTION rfm.dimension_column(relation regclass, column_name text) RETURNS text
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

CREATE OR REPLACE FUNCTION rfm.dimension_text(relation regclass, column_name text, time_zone text) RETURNS text
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

-- 66_tracking: what records changes reads transition tables or nothing

CREATE FUNCTION rfm.recorder_guard(changes text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format($body$
    IF to_regclass('pg_temp.changed_rows') IS NOT NULL OR to_regclass('pg_temp.old_rows') IS NOT NULL THEN
        INSERT INTO %s VALUES (TG_RELID, true);
        RETURN NULL;
    END IF;$body$, changes);
END $$;

COMMENT ON FUNCTION rfm.recorder_guard(text) IS
    'Internal. PL/pgSQL by which a function that records changes reads nothing that passes for its transition tables.';

CREATE OR REPLACE FUNCTION rfm.recorder_body(model text, relation regclass, customer_column name, id_type text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changes text := format('%I.changes', model);
    actual  regtype := (SELECT a.atttypid FROM pg_attribute a
                        WHERE a.attrelid = relation AND a.attname = customer_column AND a.attnum > 0 AND NOT a.attisdropped);
    base    regtype := rfm.base_type(actual);
    id      text := format(CASE
        WHEN id_type = 'text' THEN 'r.%1$I::text COLLATE "C"'
        WHEN id_type = 'integer' AND base = 'bigint'::regtype THEN 'CASE WHEN r.%1$I BETWEEN -2147483648 AND 2147483647 THEN r.%1$I::integer END'
        WHEN id_type = 'smallint' AND base <> 'smallint'::regtype THEN 'CASE WHEN r.%1$I BETWEEN -32768 AND 32767 THEN r.%1$I::smallint END'
        ELSE 'r.%1$I::%2$s' END, coalesce(customer_column, ''), id_type);
    part    text := CASE id_type WHEN 'text' THEN 'sum(octet_length(u.id) + 8) OVER (ROWS UNBOUNDED PRECEDING) / 8000'
                                 ELSE '(row_number() OVER () - 1) / 1000' END;
    record  text;
BEGIN
    IF customer_column IS NULL THEN
        record := format($body$
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO %1$s VALUES (TG_RELID, true);
    ELSE
        INSERT INTO %1$s SELECT TG_RELID, true WHERE EXISTS (SELECT FROM changed_rows);
    END IF;$body$, changes);
    ELSE
        record := format($body$
    IF TG_OP = 'TRUNCATE' OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = TG_RELID AND a.attname = %2$L
                                         AND a.atttypid = %3$L::regtype) THEN
        INSERT INTO %1$s VALUES (TG_RELID, true);
    ELSIF TG_OP = 'UPDATE' THEN%4$s
    ELSE%5$s
    END IF;$body$, changes, customer_column, actual,
            rfm.record_ids_sql(changes, id_type <> 'text', part,
                format('SELECT %1$s AS id FROM old_rows r UNION ALL SELECT %1$s FROM changed_rows r', id),
                format('SELECT %1$s AS id FROM old_rows r UNION SELECT %1$s FROM changed_rows r', id)),
            rfm.record_ids_sql(changes, id_type <> 'text', part,
                format('SELECT %s AS id FROM changed_rows r', id),
                format('SELECT DISTINCT %s AS id FROM changed_rows r', id)));
    END IF;
    RETURN format($body$
#variable_conflict use_variable
DECLARE
    ids %2$s[];
BEGIN
    -- SECURITY DEFINER: who writes to the table needs no rights on the model, and runs nothing of its owner with his own.
    IF to_regclass(%1$L) IS NULL THEN
        RETURN NULL;
    END IF;%4$s%3$s
    RETURN NULL;
END $body$, changes, id_type, record, rfm.recorder_guard(changes));
END $$;

CREATE FUNCTION rfm.make_recorder(model text, tracked_id int, body text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L',
        model, 'record_changes_' || tracked_id, body);
END $$;

COMMENT ON FUNCTION rfm.make_recorder(text, int, text) IS 'Internal. Makes a function that records changes, or gives it another body.';

CREATE FUNCTION rfm.update_recorders(model text, settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id_type         text := rfm.id_type(settings.order_lines, 'customer_id');
    id              int;
    relation        regclass;
    customer_column name;
    body            text;
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NULL THEN
        RETURN;
    END IF;
    FOR id, relation, customer_column IN EXECUTE format('SELECT t.tracked_id, t.relation, t.customer_column FROM %I.tracked t', model) LOOP
        body := rfm.recorder_body(model, relation, customer_column, id_type);
        IF EXISTS (SELECT FROM pg_proc p WHERE p.oid = rfm.recorder(model, id)
                   AND p.prosrc = replace(body, rfm.recorder_guard(format('%I.changes', model)), '')) THEN
            PERFORM rfm.make_recorder(model, id, body);
        END IF;
    END LOOP;
END $$;

COMMENT ON FUNCTION rfm.update_recorders(text, rfm.settings) IS
    'Internal. Gives the functions that record changes of a model, made by an earlier version, the body of this one.';

CREATE OR REPLACE FUNCTION rfm.add_tracking(model text, relation regclass, customer_column name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s          rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    owner      oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = rfm.model_relation(model, 'settings'));
    body       text;
    id         int;
    old_column name;
    name       text;
    t          record;
BEGIN
    PERFORM rfm.check_tracking(model, s, relation, customer_column);
    PERFORM rfm.make_tracking(model, s);
    -- what is left of tables that were dropped
    FOR id IN EXECUTE format('SELECT t.tracked_id FROM %I.tracked t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)', model) LOOP
        PERFORM rfm.drop_recorder(model, id);
    END LOOP;

    body := rfm.recorder_body(model, relation, customer_column, rfm.id_type(s.order_lines, 'customer_id'));
    EXECUTE format('SELECT t.tracked_id, t.customer_column FROM %I.tracked t WHERE t.relation = $1', model) INTO id, old_column USING relation;
    -- another function gets triggers of its own: making them waits for those who are writing through the old ones
    IF old_column IS DISTINCT FROM customer_column
            OR body IS DISTINCT FROM (SELECT p.prosrc FROM pg_proc p WHERE p.oid = rfm.recorder(model, id)) THEN
        IF id IS NOT NULL THEN
            PERFORM rfm.drop_recorder(model, id);
        END IF;
        EXECUTE format('INSERT INTO %I.tracked (relation, customer_column) VALUES ($1, $2) RETURNING tracked_id', model)
            INTO id USING relation, customer_column;
        PERFORM rfm.make_recorder(model, id, body);
        name := format('%I.%I()', model, 'record_changes_' || id);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
        EXECUTE format('COMMENT ON FUNCTION %s IS %L', name, format(
            'Internal. Records which customers a statement on %s changed, with the rights of the owner of the model.', relation));
    END IF;

    FOR t IN
        SELECT x.*, pg_has_role(owner, c.relowner, 'USAGE') AS own
        FROM rfm.tracking_triggers(relation, rfm.recorder(model, id)) x JOIN pg_class c ON c.oid = x.member
        WHERE x.state IS NULL OR x.state IN ('D', 'R') ORDER BY x.member, x.event
    LOOP
        name := format('record_changes_%s_%s_%s', substr(md5(model), 1, 8), id, lower(t.event));
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION %s', name, t.event, t.member::regclass,
            CASE t.event WHEN 'INSERT' THEN 'REFERENCING NEW TABLE AS changed_rows' WHEN 'DELETE' THEN 'REFERENCING OLD TABLE AS changed_rows'
                         WHEN 'UPDATE' THEN 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows' ELSE '' END,
            rfm.recorder(model, id));
        IF t.own THEN
            -- so that session_replication_role = replica does not silence it
            EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', t.member::regclass, name);
        END IF;
    END LOOP;
END $$;

-- 70_analyses: the same view in sessions with other settings

CREATE OR REPLACE FUNCTION rfm.scored_query(model text, settings rfm.settings, profiles text, snapshot text) RETURNS text
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

-- 85_refresh: the first refresh after an update brings functions, grants and comments of a model up to date

CREATE FUNCTION rfm.made_by_this_version(model text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    this boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.compiled_views v JOIN pg_extension e ON e.extname = v.name AND e.extversion = v.query'
        ' WHERE v.position = -2)', model) INTO this;
    RETURN this;
END $$;

COMMENT ON FUNCTION rfm.made_by_this_version(text) IS
    'Internal. Whether the functions and comments of a model were made by the version of the extension that is installed.';

CREATE FUNCTION rfm.complete_model(model text, settings rfm.settings, grouped boolean, readers text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.make_functions(model, settings, grouped);
    PERFORM rfm.update_recorders(model, settings);
    PERFORM rfm.grant_reading(model, readers);
    PERFORM rfm.comment_model(model);
    EXECUTE format('DELETE FROM %I.compiled_views WHERE position = -2', model);
    EXECUTE format('INSERT INTO %I.compiled_views SELECT extname, -2, extversion FROM pg_extension WHERE extname = ''rfm_segments''', model);
END $$;

COMMENT ON FUNCTION rfm.complete_model(text, rfm.settings, boolean, text[]) IS
    'Internal. Brings what goes with the views of a model up to date: functions, grants of its readers, comments.';

CREATE OR REPLACE FUNCTION rfm.compile_model(model text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    live    rfm.settings := s;
    readers text[] := rfm.readers(model);
    kind    "char" := (SELECT relkind FROM pg_class WHERE oid = rfm.model_relation(model, 'profiles'));
    stays   boolean := false;
    grouped boolean;
    changed text[];
    reason  text;
    grants  text[];
    command text;
    name    text;
BEGIN
    PERFORM rfm.check_contract(s);
    live.storage := 'view';
    grouped := s.storage <> 'table' AND rfm.needs_grouping(model, s);

    EXECUTE format('SELECT array_agg(coalesce(n.name, o.name)) FROM rfm.view_queries($1, $2, $3) n'
        ' FULL JOIN (SELECT name::text, query FROM %I.compiled_views WHERE position >= 0) o ON n.name = o.name'
        ' WHERE n.query IS DISTINCT FROM o.query OR rfm.model_relation($1, n.name) IS NULL', model)
        INTO changed USING model, s, grouped;
    IF changed IS NULL AND kind IS NOT DISTINCT FROM (CASE s.storage WHEN 'table' THEN 'r'::"char" WHEN 'materialized' THEN 'm' END) THEN
        IF NOT rfm.made_by_this_version(model) THEN
            PERFORM rfm.complete_model(model, s, grouped, readers);
        END IF;
        RETURN NULL;
    END IF;
    IF changed && '{valid_lines,unique_accounts,unique_products,profiles_source}' THEN
        reason := 'the settings, or columns of the relations, changed';
    END IF;
    -- a table stays, with the history in it
    stays := coalesce(kind = 'r' AND s.storage = 'table', false);

    BEGIN
        -- what lies below the stored layers
        PERFORM rfm.make_relations(model, live, grouped, ARRAY(
            SELECT unnest(changed) INTERSECT SELECT unnest('{valid_lines,unique_accounts,unique_products,profiles_source}'::text[])));
        -- where the layers cannot stay as they are, the views on them are live for a moment
        IF kind IS NOT NULL AND (NOT stays OR rfm.relation_columns(rfm.model_relation(model, 'profiles')) <> rfm.relation_columns(rfm.model_relation(model, 'profiles_source'))) THEN
            PERFORM rfm.make_relations(model, live, grouped);
            PERFORM rfm.take_layers_away(model, stays);
            changed := NULL;
        END IF;
        PERFORM rfm.make_relations(model, s, grouped, changed);
    EXCEPTION WHEN invalid_table_definition THEN
        grants := rfm.view_grants(model);
        FOR name IN EXECUTE format('SELECT name FROM %I.compiled_views WHERE position >= 0 AND NOT ($1 AND name IN (''profiles'', ''snapshot''))'
                ' ORDER BY position DESC', model) USING stays LOOP
            PERFORM rfm.drop_relation(rfm.model_relation(model, name));
        END LOOP;
        PERFORM rfm.make_relations(model, live, grouped, '{valid_lines,unique_accounts,unique_products,profiles_source}');
        PERFORM rfm.take_layers_away(model, stays);
        PERFORM rfm.make_relations(model, s, grouped);
        FOREACH command IN ARRAY grants LOOP
            EXECUTE command;
        END LOOP;
    END;
    IF s.storage = 'table' THEN
        PERFORM rfm.make_refresh_tables(model);
    END IF;

    -- views that the settings no longer call for
    FOR name IN EXECUTE format('SELECT name FROM %I.compiled_views WHERE position >= 0 AND name NOT IN'
            ' (SELECT q.name FROM rfm.view_queries($1, $2, $3) q) ORDER BY position DESC', model) USING model, s, grouped LOOP
        PERFORM rfm.drop_relation(rfm.model_relation(model, name));
    END LOOP;
    EXECUTE format('DELETE FROM %I.compiled_views WHERE position >= 0', model);
    EXECUTE format('INSERT INTO %I.compiled_views SELECT q.name, q.position, q.query'
        ' FROM rfm.view_queries($1, $2, $3) WITH ORDINALITY q(name, query, position)', model) USING model, s, grouped;
    PERFORM rfm.complete_model(model, s, grouped, readers);
    RETURN reason;
END $$;

CREATE OR REPLACE FUNCTION rfm.fill_row(model text, name text, query text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET datestyle = 'ISO' SET array_nulls = on AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT q::text FROM (%s) q', query) INTO result;
    EXECUTE format('INSERT INTO %1$I.%2$I SELECT (x.result).* FROM (SELECT $1::%1$I.%2$I AS result OFFSET 0) x', model, name) USING result;
END $$;

CREATE OR REPLACE FUNCTION rfm.constant_row(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET datestyle = 'ISO' SET array_nulls = on AS $$
DECLARE
    columns text;
BEGIN
    EXECUTE (SELECT format('SELECT concat_ws('', '', %s) FROM (SELECT) one LEFT JOIN %s ON true',
                string_agg(format('format(''%%L::%s AS %I'', %2$I)', format_type(atttypid, atttypmod), attname), ', ' ORDER BY attnum), relation)
             FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped) INTO columns;
    RETURN format('(SELECT %s)', columns);
END $$;

CREATE OR REPLACE FUNCTION rfm.log_start(model text, reason text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    EXECUTE format('UPDATE %I.refresh_log l SET error = ''ended with its session'' WHERE finished_at IS NULL AND error IS NULL'
        ' AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid AND a.pid <> pg_backend_pid()'
        -- what others do is hidden from who is neither superuser nor of their role
        ' AND (a.query_start IS NULL OR a.state = ''active'' AND a.query_start <= l.started_at))', model);
    EXECUTE format('INSERT INTO %I.refresh_log (started_at, pid, mode, reason) VALUES (clock_timestamp(), pg_backend_pid(), ''full'', $1)'
        ' RETURNING refresh_id', model) INTO id USING reason;
    RETURN id;
END $$;

CREATE OR REPLACE FUNCTION rfm.read_relations(model text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    numbers text;
BEGIN
    -- who may not read them may not lock them either: the refresh will fail
    EXECUTE format('SELECT CASE WHEN bool_and(has_any_column_privilege(x.reader, x.relation, ''SELECT'')) THEN string_agg(DISTINCT f::text, '' '') END'
        ' FROM %I.settings s CROSS JOIN LATERAL rfm.contract_sources($1, s::rfm.settings) x'
        ' CROSS JOIN LATERAL rfm.partition_family(x.relation) f WHERE NOT rfm.is_system_relation(f)', model) INTO numbers USING model;
    RETURN numbers;
END $$;

CREATE OR REPLACE FUNCTION rfm.take_changes(model text, settings rfm.settings, full_reason text,
        OUT reason text, OUT customer_ids text[], OUT with_nobody boolean, OUT accounts_changed boolean, OUT contract text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state         record;
    last_contract text;
    set_back      boolean;
    as_of         timestamptz;
    window_start  timestamptz;
    everything    text;
    due           text[];
    due_nobody    boolean;
    customers     bigint;
BEGIN
    EXECUTE format('SELECT %s, %s', rfm.as_of_sql(settings), rfm.window_start_sql(settings, rfm.as_of_sql(settings))) INTO as_of, window_start;
    EXECUTE format('SELECT contract, coalesce($1 < as_of OR $2 < window_start, false) FROM %I.last_build', model)
        INTO last_contract, set_back USING as_of, window_start;
    reason := coalesce(full_reason, CASE WHEN set_back IS NULL THEN 'nothing was stored yet' END);
    IF rfm.model_relation(model, 'changes') IS NULL THEN
        reason := coalesce(reason, 'changes are not tracked: see rfm.track_changes');
        RETURN;
    END IF;

    SELECT * FROM rfm.contract_state(model, settings) INTO state;
    contract := CASE WHEN state.reason IS NULL THEN state.fingerprint END;
    reason := coalesce(reason, state.reason);

    -- of tables that are not tracked somebody else has recorded something
    EXECUTE format('WITH gone AS (DELETE FROM %1$I.changes RETURNING *), taken AS ('
        ' SELECT g.* FROM gone g WHERE g.relation IN (SELECT f FROM %1$I.tracked t, rfm.partition_family(t.relation) f)), ids AS ('
        ' SELECT DISTINCT u.id FROM taken t, unnest(t.customer_ids) u(id) WHERE $2)'
        ' SELECT (SELECT string_agg(DISTINCT relation::regclass::text, '', '') FROM taken t WHERE t.everything),'
        ' ARRAY(SELECT id::text FROM ids WHERE id IS NOT NULL), EXISTS (SELECT FROM ids WHERE id IS NULL),'
        ' (SELECT coalesce(bool_or(t.relation = ANY ($1)), false) FROM taken t)', model)
        INTO everything, customer_ids, with_nobody, accounts_changed USING state.account_relations, reason IS NULL;
    reason := coalesce(reason, everything || ' changed as a whole',
        CASE WHEN last_contract IS DISTINCT FROM contract THEN 'tracking is new, or a relation, view or trigger below the model was changed' END,
        CASE WHEN set_back THEN 'the clock went backward' END);
    IF reason IS NOT NULL THEN
        RETURN;
    END IF;

    EXECUTE format('SELECT array_agg(customer_id::text) FILTER (WHERE customer_id IS NOT NULL), coalesce(bool_or(customer_id IS NULL), false)'
        ' FROM %I.profiles WHERE next_change_at < $1 OR window_line_at < $2', model) INTO due, due_nobody USING as_of, window_start;
    IF due IS NOT NULL THEN
        customer_ids := ARRAY(SELECT unnest(customer_ids) UNION SELECT unnest(due));
    END IF;
    with_nobody := with_nobody OR due_nobody;
    EXECUTE format('SELECT customers FROM %I.snapshot', model) INTO customers;
    IF cardinality(customer_ids) > greatest(1000, customers / 5) THEN
        reason := format('%s customers changed, of %s', cardinality(customer_ids), customers);
    END IF;
END $$;

-- 86_check: ids are compared by bytes, whatever their collation

CREATE OR REPLACE FUNCTION rfm.model_findings(model text) RETURNS SETOF rfm.finding
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

-- 88_schedule: the same hint in sessions with other settings

CREATE OR REPLACE FUNCTION rfm.require_pg_cron(model text, cron text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- hidden from who may not read it
    cron_database text := (SELECT setting FROM pg_settings WHERE name = 'cron.database_name');
    shell_command text := format('psql -X -d %s -c %s',
        '''' || replace(current_database(), '''', E'\'\\\'\'') || '''',
        '''' || replace(rfm.refresh_command(model), '''', E'\'\\\'\'') || '''');
    problem       text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        IF cron_database = current_database() THEN
            RAISE EXCEPTION 'pg_cron is not created in database "%"', current_database() USING ERRCODE = 'undefined_object',
                HINT = format('As a superuser: CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO %I;', current_user);
        ELSIF EXISTS (SELECT FROM pg_database WHERE datname = cron_database) THEN
            RAISE EXCEPTION 'pg_cron is in database "%", not in this one', cron_database USING ERRCODE = 'undefined_object',
                HINT = format('In database "%s", as a superuser: ', cron_database)
                    || CASE WHEN cron IS NULL THEN format('SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = %L;', rfm.job_name(model))
                            ELSE format('SELECT cron.schedule_in_database(%L, %L, %L, %L, %L);', rfm.job_name(model), cron,
                                        rfm.refresh_command(model), current_database(), current_user) END;
        END IF;
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database() USING ERRCODE = 'undefined_object',
            HINT = E'Without it, schedule the refresh outside of the database, in a crontab or as a systemd timer:\n'
                || format(E'%s %s\n', coalesce(cron, '*/15 * * * *'), replace(shell_command, '%', E'\\%'))
                || format('systemd-run --user --on-calendar=''*:0/15'' %s', shell_command);
    END IF;

    problem := CASE
        WHEN NOT has_schema_privilege('cron', 'USAGE') THEN format('GRANT USAGE ON SCHEMA cron TO %I;', current_user)
        WHEN NOT has_table_privilege('cron.job', 'SELECT') THEN format('GRANT SELECT ON cron.job TO %I;', current_user)
        ELSE (SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I;', p.oid::regprocedure, current_user) FROM pg_proc p
              JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'cron' AND (p.proname, p.pronargs) IN (('schedule', 3), ('unschedule', 1))
                AND NOT has_function_privilege(p.oid, 'EXECUTE') LIMIT 1) END;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'role "%" may not use pg_cron', current_user USING ERRCODE = 'insufficient_privilege',
            HINT = 'As a superuser: ' || problem;
    END IF;
END $$;

-- 90_grants: readers may not call what records changes, and a grant that is there is not repeated

CREATE OR REPLACE FUNCTION rfm.grant_reading(model text, roles text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
    routine  regprocedure;
    grantees text := (SELECT string_agg(CASE r WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(r) END, ', ') FROM unnest(roles) r);
BEGIN
    IF grantees IS NOT NULL THEN
        -- neither schema nor functions again, which would look like other ones to contract_state
        IF EXISTS (SELECT FROM unnest(roles) r WHERE NOT EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) g
                WHERE n.nspname = model AND g.privilege_type = 'USAGE'
                  AND r = CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END)) THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', model, grantees);
        END IF;
        FOREACH relation IN ARRAY rfm.public_relations(model) LOOP
            EXECUTE format('GRANT SELECT ON %s TO %s', relation, grantees);
        END LOOP;
        -- not what records changes: it has the rights of the owner, also in a trigger on a table of the reader
        FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
            IF EXISTS (SELECT FROM pg_proc p, unnest(roles) r WHERE p.oid = routine AND NOT p.prosecdef
                    AND NOT EXISTS (SELECT FROM aclexplode(p.proacl) g
                                    WHERE r = CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END)) THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', routine, grantees);
            END IF;
        END LOOP;
    END IF;
END $$;
