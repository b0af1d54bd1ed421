-- 66_tracking: which customers changed since the last refresh.
--
-- A refresh that wants to recompute only what changed must know of every change. Statement triggers on the tables record
-- the customers of each statement in changes, a table of the model that is only appended to: no key, no index, so that
-- writers never wait for each other or for a refresh. Whatever no trigger sees is found by contract_state, which looks at
-- the way from the contract relations down to the tables: it gives the reason for which a refresh cannot trust changes,
-- and a fingerprint that differs when rows may have changed without a statement.

-- the way down

CREATE FUNCTION rfm.rule_contents(rule pg_node_tree, OUT relations oid[], OUT functions oid[], OUT unstable text[])
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rule_contents';
COMMENT ON FUNCTION rfm.rule_contents(pg_node_tree) IS
    'Internal. What the rule of a view reads and calls, and what makes its rows depend on the moment, the session or rows of other customers.';

-- A statement aimed at a table fires the triggers of that table only, whatever partitions it reaches.
CREATE FUNCTION rfm.partition_family(relation oid) RETURNS SETOF oid
    LANGUAGE plpgsql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE family(member) AS (
        SELECT relation
        UNION
        SELECT n.member FROM family f JOIN pg_class c ON c.oid = f.member,
            LATERAL (SELECT i.inhparent AS member FROM pg_inherits i WHERE c.relispartition AND i.inhrelid = f.member
                     UNION ALL
                     SELECT i.inhrelid FROM pg_inherits i WHERE c.relkind = 'p' AND i.inhparent = f.member) n)
    SELECT f.member FROM family f;
END $$;
COMMENT ON FUNCTION rfm.partition_family(oid) IS
    'Internal. A table, the partitioned tables above it and all partitions below them: every table a statement that reaches it can be aimed at.';

CREATE FUNCTION rfm.partition_root(relation oid) RETURNS oid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT f FROM rfm.partition_family(relation) f JOIN pg_class c ON c.oid = f WHERE NOT c.relispartition);
END $$;
COMMENT ON FUNCTION rfm.partition_root(oid) IS 'Internal. The partitioned table at the top of a partition; any other table itself.';

CREATE FUNCTION rfm.is_system_relation(relation oid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT c.relnamespace OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog'::regnamespace, 'information_schema'::regnamespace,
                                                                    'pg_toast'::regnamespace]::pg_catalog.oid[])
            FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) relation);
COMMENT ON FUNCTION rfm.is_system_relation(oid) IS 'Internal. Whether a relation belongs to the server.';

-- Through views, step by step. reader: as whom a relation is read, which decides about row-level security: the owner of
-- the view above it, or else the owner of the model.
CREATE FUNCTION rfm.sources_below(contract text, relation oid, owner oid) RETURNS TABLE (contract_relation text, source oid, kind "char", reader oid)
    LANGUAGE plpgsql STABLE ROWS 4 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE below(source, reader) AS (
        SELECT sources_below.relation, owner
        UNION
        SELECT u.relation,
               CASE WHEN EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_invoker' AND o.option_value::boolean)
                    THEN owner ELSE c.relowner END
        FROM below b JOIN pg_class c ON c.oid = b.source AND c.relkind = 'v' AND NOT rfm.is_system_relation(c.oid)
        JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
        CROSS JOIN LATERAL rfm.rule_contents(r.ev_action) i CROSS JOIN LATERAL unnest(i.relations) u(relation)
        WHERE u.relation <> c.oid)
    SELECT contract, b.source, k.relkind, b.reader FROM below b LEFT JOIN pg_class k ON k.oid = b.source;
END $$;
COMMENT ON FUNCTION rfm.sources_below(text, oid, oid) IS 'Internal. A relation with every view and table below it, and as whom each is read.';

CREATE FUNCTION rfm.contract_sources(model text, settings rfm.settings) RETURNS TABLE (contract text, relation oid, kind "char", reader oid)
    LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s     rfm.settings := settings;
    owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = rfm.model_relation(model, 'settings'));
BEGIN
    RETURN QUERY
    SELECT b.* FROM (VALUES ('order_lines', s.order_lines), ('accounts', s.accounts), ('products', s.products), ('visits', s.visits)) c(contract, relation)
    CROSS JOIN LATERAL rfm.sources_below(c.contract, c.relation, owner) b WHERE c.relation IS NOT NULL;
END $$;
COMMENT ON FUNCTION rfm.contract_sources(text, rfm.settings) IS
    'Internal. The contract relations of a model with every view and table below them, and as whom each is read.';

-- Of the functions that come with the server and are not immutable those are harmless that only convert what they are given.
CREATE FUNCTION rfm.unstable_functions(functions oid[]) RETURNS TABLE (name text, own boolean)
    LANGUAGE plpgsql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT CASE WHEN p.pronamespace = 'pg_catalog'::regnamespace THEN p.proname || '()' ELSE p.oid::regprocedure::text END,
           p.pronamespace <> 'pg_catalog'::regnamespace
    FROM unnest(functions) f JOIN pg_proc p ON p.oid = f
    WHERE CASE
        WHEN p.pronamespace <> 'pg_catalog'::regnamespace THEN p.provolatile <> 'i' OR EXISTS (
            SELECT FROM pg_aggregate a JOIN pg_proc t ON t.oid IN (a.aggtransfn, a.aggfinalfn) WHERE a.aggfnoid = p.oid AND t.provolatile <> 'i')
        WHEN p.provolatile = 's' THEN NOT (
            p.proname IN ('date_trunc', 'date_part', 'extract', 'to_char', 'to_date', 'to_timestamp', 'to_number', 'timezone', 'concat',
                          'concat_ws', 'format', 'array_to_string', 'to_json', 'to_jsonb', 'json_build_object', 'json_build_array',
                          'jsonb_build_object', 'jsonb_build_array', 'make_timestamptz', 'generate_series')
            OR EXISTS (SELECT FROM pg_cast c WHERE c.castfunc = p.oid)
            OR EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid)
            OR EXISTS (SELECT FROM pg_type t WHERE t.typinput = p.oid OR t.typoutput = p.oid))
            -- names of objects, and the offset of today
            OR p.prorettype::regtype::text ~ '^reg' OR p.proname ~ '^reg.*out$' OR p.oid = 'timetz(time)'::regprocedure
        ELSE p.provolatile = 'v' END
    ORDER BY 1;
END $$;
COMMENT ON FUNCTION rfm.unstable_functions(oid[]) IS
    'Internal. Those of some functions whose results may differ without a change of their arguments; own: not of the server.';

-- Why the triggers of a table would not see every change of its rows, or NULL. What cannot be a table with triggers comes first.
CREATE FUNCTION rfm.untrackable(relation oid, OUT problem text, OUT code text, OUT hint text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT (CASE WHEN m.member <> relation AND c.relispartition THEN 'partition ' ELSE '' END || m.member::regclass) || ' ' || x.problem, x.code, x.hint
    INTO problem, code, hint
    FROM (SELECT f AS member FROM rfm.partition_family(relation) f) m JOIN pg_class c ON c.oid = m.member
    CROSS JOIN LATERAL (VALUES
        (0, EXISTS (SELECT FROM rfm.citus_tables(m.member::regclass)), 'is a table of Citus', 'feature_not_supported',
            'Citus allows no triggers on it, and a refresh computes all customers, on the workers: CALL rfm.refresh, or schedule it with rfm.schedule.'),
        (1, rfm.is_system_relation(c.oid), 'is a system relation', 'wrong_object_type', 'Its rows change without a statement.'),
        (2, c.relkind = 'v', 'is a view', 'wrong_object_type', 'Triggers see the statements on the tables below it.'),
        (3, c.relkind = 'm', 'is a materialized view', 'wrong_object_type',
            'Its REFRESH fires no trigger. Read a plain view with the same query instead, and track the tables below it.'),
        (4, c.relkind = 'f', 'is a foreign table', 'wrong_object_type', 'Its rows change on the other side, where no trigger is. A model that reads it is rebuilt in full.'),
        (5, c.relkind NOT IN ('r', 'p', 'v', 'm', 'f'), 'is not a table', 'wrong_object_type', 'Name a table.'),
        (6, c.relpersistence = 't', 'is a temporary table', 'wrong_object_type', 'A model outlives the session: keep the rows in a permanent table.'),
        (7, c.relpersistence = 'u' AND c.relkind IN ('r', 'p'), 'is an unlogged table', 'feature_not_supported',
            'A crash empties it without a statement. ALTER TABLE ... SET LOGGED keeps its rows.'),
        (8, c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid), 'has inheritance children', 'feature_not_supported',
            'Statements on the children do not fire its triggers. Use declarative partitions instead.'),
        (9, NOT c.relispartition AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid), 'inherits from another table', 'feature_not_supported',
            'Statements on the parent do not fire its triggers. Use declarative partitions instead.'),
        (10, EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid), 'is the target of a subscription', 'feature_not_supported',
            'Logical replication fires no statement triggers. A model that reads it is rebuilt in full.')
    ) x(place, applies, problem, code, hint)
    WHERE x.applies
    ORDER BY m.member <> relation, x.place, m.member::regclass::text COLLATE "C" LIMIT 1;
END $$;
COMMENT ON FUNCTION rfm.untrackable(oid) IS
    'Internal. Why triggers on a relation would not see every change of its rows, with SQLSTATE and hint; NULL when they would.';

-- what is recorded

CREATE FUNCTION rfm.recorder(model text, tracked_id int) RETURNS regprocedure
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN to_regprocedure(format('%I.%I()', model, 'record_changes_' || tracked_id));
END $$;
COMMENT ON FUNCTION rfm.recorder(text, int) IS 'Internal. The trigger function that records the changes of a tracked relation; NULL when there is none.';

-- A trigger that somebody else made may lack transition tables, and then a view of the session would take their place and
-- run with the rights of the owner. A session with a relation of these names is rare: for it everything counts as changed.
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

-- A statement on up to a thousand rows costs one row, with every id it met, some perhaps twice: finding the distinct ones
-- would cost the writer more than the rest. Greater ones cost one for each thousand customers; texts can be long, so that
-- their bytes count. A column that was renamed or changed its type must not stop those who write to its table: then
-- everything counts as changed.
CREATE FUNCTION rfm.recorder_body(model text, relation regclass, customer_column name, id_type text) RETURNS text
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
COMMENT ON FUNCTION rfm.recorder_body(text, regclass, name, text) IS 'Internal. The body of the trigger function that records the changes of a tracked relation.';

CREATE FUNCTION rfm.record_ids_sql(changes text, quick boolean, part text, all_ids text, distinct_ids text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN quick THEN format($body$
        ids := ARRAY(%1$s LIMIT 1001);
        IF ids = '{}' THEN
            RETURN NULL;
        ELSIF cardinality(ids) <= 1000 THEN
            INSERT INTO %2$s VALUES (TG_RELID, false, ids);
            RETURN NULL;
        END IF;$body$, all_ids, changes) ELSE '' END || format($body$
        INSERT INTO %1$s SELECT TG_RELID, false, array_agg(p.id)
            FROM (SELECT u.id, %2$s AS part FROM (%3$s) u) p GROUP BY p.part;$body$, changes, part, distinct_ids);
END $$;
COMMENT ON FUNCTION rfm.record_ids_sql(text, boolean, text, text, text) IS
    'Internal. PL/pgSQL that records ids in the table changes; quick: tries first whether they fit into one row.';

-- Which triggers a tracked table and its partitions need: made by track_changes, looked for by every refresh.
CREATE FUNCTION rfm.tracking_triggers(relation oid, recorder oid)
    RETURNS TABLE (member oid, event text, state "char", trigger_oid oid)
    LANGUAGE plpgsql STABLE ROWS 4 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT f, e.event, t.tgenabled, t.oid
    FROM rfm.partition_family(relation) f
    CROSS JOIN (VALUES ('INSERT', 4), ('DELETE', 8), ('UPDATE', 16), ('TRUNCATE', 32)) e(event, type)
    LEFT JOIN pg_trigger t ON t.tgrelid = f AND t.tgfoid = recorder AND t.tgtype = e.type;
END $$;
COMMENT ON FUNCTION rfm.tracking_triggers(oid, oid) IS
    'Internal. The triggers that a tracked table and its partitions must have, and which of them there are.';

-- track_changes and untrack_changes

CREATE FUNCTION rfm.drop_recorder(model text, tracked_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
    -- takes the triggers along, also from tables of others
    EXECUTE format('DROP FUNCTION IF EXISTS %I.%I() CASCADE', model, 'record_changes_' || tracked_id);
    EXECUTE format('DELETE FROM %I.tracked t WHERE t.tracked_id = $1', model) USING tracked_id;
END $$;
COMMENT ON FUNCTION rfm.drop_recorder(text, int) IS 'Internal. Removes the triggers on a tracked relation and the function that they call.';

CREATE FUNCTION rfm.drop_tracking(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id int;
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NOT NULL THEN
        FOR id IN EXECUTE format('SELECT t.tracked_id FROM %I.tracked t', model) LOOP
            PERFORM rfm.drop_recorder(model, id);
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.drop_tracking(text) IS 'Internal. Removes every trigger of a model from the tables it reads.';

-- When the ids of customers have become of another type no trigger can go on as it was: all of them go.
CREATE FUNCTION rfm.make_tracking(model text, settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id_type text := rfm.id_type(settings.order_lines, 'customer_id');
    gone    text;
    c       record;
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NULL THEN
        EXECUTE format('CREATE TABLE %I.tracked (tracked_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,'
            ' relation regclass NOT NULL UNIQUE, customer_column name)', model);
    ELSE
        -- one after the other
        EXECUTE format('LOCK TABLE %I.tracked IN SHARE ROW EXCLUSIVE MODE', model);
    END IF;
    IF rfm.column_type(rfm.model_relation(model, 'changes'), 'customer_ids') <> (id_type || '[]')::regtype THEN
        EXECUTE format('SELECT string_agg(t.relation::text, '', '' ORDER BY t.tracked_id) FROM %I.tracked t', model) INTO gone;
        RAISE NOTICE 'the ids of customers are of type % now: changes of % are no longer tracked', id_type, gone
            USING HINT = 'Call rfm.track_changes for each of them again.';
        PERFORM rfm.drop_tracking(model);
        EXECUTE format('DROP TABLE %I.changes', model);
    END IF;
    IF rfm.model_relation(model, 'changes') IS NULL THEN
        EXECUTE format('CREATE TABLE %I.changes (relation oid NOT NULL, everything boolean NOT NULL, customer_ids %s[])', model, id_type);
        -- compressing would take the writer's time
        EXECUTE format('ALTER TABLE %I.changes ALTER customer_ids SET STORAGE EXTERNAL', model);
    END IF;
    FOR c IN SELECT * FROM rfm.view_comments() d WHERE d.relation IN ('tracked', 'changes') LOOP
        EXECUTE CASE WHEN c.column_name IS NULL THEN format('COMMENT ON TABLE %I.%I IS %L', model, c.relation, c.comment)
                     ELSE format('COMMENT ON COLUMN %I.%I.%I IS %L', model, c.relation, c.column_name, c.comment) END;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.make_tracking(text, rfm.settings) IS 'Internal. Makes the tables of a model that tell what is tracked and what changed.';

CREATE FUNCTION rfm.check_tracking(model text, settings rfm.settings, relation regclass, customer_column name) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner   name := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = rfm.model_relation(model, 'settings'));
    class   pg_class := (SELECT c FROM pg_class c WHERE c.oid = relation);
    root    regclass := rfm.partition_root(relation);
    id_type regtype := rfm.column_type(settings.order_lines, 'customer_id');
    actual  regtype := rfm.column_type(relation, customer_column::text);
    problem text;
    code    text;
    hint    text;
    tables  text;
    grants  text;
BEGIN
    IF settings.storage <> 'table' THEN
        RAISE EXCEPTION 'model "%" has storage %', model, settings.storage USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Only storage table is refreshed by what changed: SELECT rfm.configure_model(%L, storage => ''table''); CALL rfm.refresh(%1$L).', model);
    END IF;
    IF class.oid IS NULL THEN
        RAISE EXCEPTION 'relation % does not exist', coalesce(relation::text, 'NULL') USING ERRCODE = 'undefined_table',
            HINT = 'Name a table that the model reads.';
    END IF;
    IF class.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = model)
            AND relation NOT IN (SELECT x.relation FROM rfm.contract_sources(model, settings) x) THEN
        RAISE EXCEPTION '% belongs to the model itself', relation USING ERRCODE = 'wrong_object_type',
            HINT = 'Track the tables that its order lines, accounts, products and visits come from.';
    END IF;
    SELECT u.problem, u.code, u.hint INTO problem, code, hint FROM rfm.untrackable(relation) u;
    IF problem IS NOT NULL THEN
        IF class.relkind = 'v' AND NOT rfm.is_system_relation(relation) THEN
            SELECT string_agg(DISTINCT rfm.partition_root(x.source)::regclass::text, ', ') INTO tables
            FROM rfm.sources_below('', relation, class.relowner) x WHERE x.kind IN ('r', 'p');
            hint := concat_ws(' ', hint, 'Track ' || tables || ' instead.');
        END IF;
        RAISE EXCEPTION 'changes of % cannot be tracked: %', relation, problem USING ERRCODE = code, HINT = hint;
    END IF;
    IF relation <> root THEN
        RAISE EXCEPTION 'changes of % cannot be tracked: it is a partition', relation USING ERRCODE = 'wrong_object_type',
            HINT = format('Track %s: that includes its partitions.', root);
    END IF;
    IF NOT EXISTS (SELECT FROM rfm.contract_sources(model, settings) x WHERE rfm.partition_root(x.relation) = check_tracking.relation) THEN
        RAISE EXCEPTION 'model "%" does not read %', model, relation USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Nothing would ever change: track the tables that its order lines, accounts, products and visits come from.';
    END IF;

    IF customer_column IS NOT NULL THEN
        IF actual IS NULL THEN
            RAISE EXCEPTION 'relation % has no column %', relation, quote_ident(customer_column) USING ERRCODE = 'undefined_column',
                HINT = 'Name the column that holds the customer, or NULL: then every change means a full rebuild.';
        END IF;
        IF actual NOT IN ('int2'::regtype, 'int4', 'int8', 'uuid', 'text', 'varchar')
                OR (SELECT t.typcategory FROM pg_type t WHERE t.oid = actual) <> (SELECT t.typcategory FROM pg_type t WHERE t.oid = id_type) THEN
            RAISE EXCEPTION 'column % of relation % has type %, but customer_id of % has type %',
                quote_ident(customer_column), relation, actual, settings.order_lines, id_type USING ERRCODE = 'datatype_mismatch',
                HINT = 'Name the column that holds the customer, or NULL: then every change means a full rebuild.';
        END IF;
        IF EXISTS (SELECT FROM rfm.contract_sources(model, settings) x WHERE x.contract = 'products' AND rfm.partition_root(x.relation) = check_tracking.relation) THEN
            RAISE EXCEPTION '% feeds the products of model "%", which are of all customers', relation, model
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass NULL as customer_column: then every change means a full rebuild.';
        END IF;
    END IF;

    SELECT string_agg(DISTINCT g.command, '; ') INTO grants
    FROM rfm.partition_family(relation) f JOIN pg_class c ON c.oid = f JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (VALUES
        (has_table_privilege(owner, f, 'TRIGGER'), format('GRANT TRIGGER ON %s TO %I', f::regclass, owner)),
        (has_schema_privilege(owner, n.oid, 'USAGE'), format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, owner))) g(has, command)
    WHERE NOT g.has;
    IF grants IS NOT NULL THEN
        RAISE EXCEPTION '%, who owns model "%", may not put triggers on %', quote_ident(owner), model, relation
            USING ERRCODE = 'insufficient_privilege', HINT = grants || '.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_tracking(text, rfm.settings, regclass, name) IS
    'Internal. Refuses a relation whose changes a model cannot track, saying why and what to do.';

CREATE FUNCTION rfm.make_recorder(model text, tracked_id int, body text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L',
        model, 'record_changes_' || tracked_id, body);
END $$;
COMMENT ON FUNCTION rfm.make_recorder(text, int, text) IS 'Internal. Makes a function that records changes, or gives it another body.';

-- Those of 1.0.0 had no guard. Triggers stay, and what was recorded; one that is out of date otherwise is left to track_changes.
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

CREATE FUNCTION rfm.add_tracking(model text, relation regclass, customer_column name) RETURNS void
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
COMMENT ON FUNCTION rfm.add_tracking(text, regclass, name) IS 'Internal. Puts triggers on a table that record its changes for a model, or those that it lacks.';

CREATE FUNCTION rfm.remove_tracking(model text, relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id int;
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NOT NULL THEN
        EXECUTE format('SELECT t.tracked_id FROM %I.tracked t WHERE t.relation = $1', model) INTO id USING relation;
    END IF;
    IF id IS NULL THEN
        RAISE EXCEPTION 'changes of % are not tracked for model "%"', coalesce(relation::text, 'NULL'), model USING ERRCODE = 'undefined_object',
            HINT = format('The table %I.tracked, if there is one, lists what is tracked.', model);
    END IF;
    PERFORM rfm.drop_recorder(model, id);
END $$;
COMMENT ON FUNCTION rfm.remove_tracking(text, regclass) IS 'Internal. Removes the triggers by which the changes of a table are recorded for a model.';

CREATE FUNCTION rfm.track_changes(model text, relation regclass, customer_column name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.as_owner(model, 'SELECT rfm.add_tracking($1, $3[1]::oid::regclass, $3[2]::name)', NULL,
                         ARRAY[relation::oid::text, customer_column::text]);
END $$;
COMMENT ON FUNCTION rfm.track_changes(text, regclass, name) IS
    'Puts triggers on a table that a model reads, and on its partitions, so that a refresh recomputes only the customers that changed. customer_column holds the customer of a row; NULL: any change means a full rebuild. The owner of the model needs the right TRIGGER on the table. Call it again when a partition was added, or to name another column. Refused, with the reason, where triggers would not see every change. Example: SELECT rfm.track_changes(''shop'', ''orders'', ''customer_id'');';

CREATE FUNCTION rfm.untrack_changes(model text, relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.as_owner(model, 'SELECT rfm.remove_tracking($1, $3[1]::oid::regclass)', NULL, ARRAY[relation::oid::text]);
END $$;
COMMENT ON FUNCTION rfm.untrack_changes(text, regclass) IS
    'Removes from a table the triggers that track_changes put there. Every refresh is a full rebuild then. Example: SELECT rfm.untrack_changes(''shop'', ''orders'');';

-- whether a refresh can rely on what is recorded

CREATE FUNCTION rfm.contract_state(model text, settings rfm.settings) RETURNS TABLE (reason text, fingerprint text, account_relations oid[])
    LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    id_type text := rfm.id_type(settings.order_lines, 'customer_id');
    changes regclass := rfm.model_relation(model, 'changes');
    -- what is tracked
    ids     int[];
    tracked oid[];
    columns name[];
    -- what the first look finds for the second
    tables  oid[];
    facts   text[];
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NOT NULL THEN
        EXECUTE format('SELECT array_agg(t.tracked_id), array_agg(t.relation::oid), array_agg(t.customer_column) FROM %I.tracked t', model)
            INTO ids, tracked, columns;
    END IF;

    WITH source AS MATERIALIZED (
        SELECT x.*, x.kind = 'v' AND NOT rfm.is_system_relation(x.relation) AS is_view,
               CASE WHEN x.kind = 'v' THEN x.relation ELSE rfm.partition_root(x.relation) END AS root
        FROM rfm.contract_sources(model, settings) x),
    view AS MATERIALIZED (
        SELECT v.relation, md5(r.ev_action::text) AS rule, i.functions, i.unstable
        FROM (SELECT DISTINCT x.relation FROM source x WHERE x.is_view) v
        JOIN pg_rewrite r ON r.ev_class = v.relation AND r.rulename = '_RETURN' CROSS JOIN LATERAL rfm.rule_contents(r.ev_action) i),
    base AS MATERIALIZED (
        SELECT x.root AS relation, bool_or(x.contract = 'products') AS products FROM source x WHERE NOT x.is_view GROUP BY x.root),
    member AS MATERIALIZED (
        SELECT b.relation AS root, f AS relation FROM base b CROSS JOIN LATERAL rfm.partition_family(b.relation) f),
    tracking AS MATERIALIZED (
        SELECT t.*, rfm.recorder(model, t.tracked_id)::oid AS recorder
        FROM unnest(ids, tracked, columns) t(tracked_id, relation, customer_column) JOIN base b USING (relation)),
    tracker AS MATERIALIZED (
        SELECT t.tracked_id, t.relation AS root, t.customer_column, w.*
        FROM tracking t CROSS JOIN LATERAL rfm.tracking_triggers(t.relation, t.recorder) w),
    security AS MATERIALIZED (
        SELECT DISTINCT m.relation, x.reader,
               c.relrowsecurity AND NOT a.rolsuper AND NOT a.rolbypassrls
               AND (c.relforcerowsecurity OR NOT pg_has_role(x.reader, c.relowner, 'USAGE')) AS applies
        FROM source x JOIN member m USING (root) JOIN pg_class c ON c.oid = m.relation JOIN pg_roles a ON a.oid = x.reader),
    obstacle AS (
        SELECT 1 AS place, format('view %s %s, so that a row depends on more than the rows of its customer', v.relation::regclass, u) AS reason
        FROM view v CROSS JOIN LATERAL unnest(v.unstable) u
        UNION ALL
        SELECT 1, format('view %s calls %s, %s', v.relation::regclass, u.name,
                         CASE WHEN u.own THEN 'which is not IMMUTABLE' ELSE 'so that its rows change without a statement' END)
        FROM view v CROSS JOIN LATERAL rfm.unstable_functions(v.functions) u
        UNION ALL
        SELECT 2, u.problem FROM base b CROSS JOIN LATERAL rfm.untrackable(b.relation) u WHERE u.problem IS NOT NULL
        UNION ALL
        SELECT 3, format('row-level security of %s applies to %I, who reads it', y.relation::regclass, pg_get_userbyid(y.reader))
        FROM security y WHERE y.applies
        UNION ALL
        SELECT 4, format('%s is not tracked: SELECT rfm.track_changes(%L, %L, %s)', b.relation::regclass, model, b.relation::regclass::text,
                         CASE WHEN b.products THEN 'NULL' ELSE '''...''' END)
        FROM base b WHERE NOT EXISTS (SELECT FROM tracking t WHERE t.relation = b.relation)
        UNION ALL
        SELECT 5, format('%s feeds products, yet is tracked by customer: SELECT rfm.track_changes(%L, %L, NULL)',
                         t.relation::regclass, model, t.relation::regclass::text)
        FROM base b JOIN tracking t USING (relation) WHERE b.products AND t.customer_column IS NOT NULL
        UNION ALL
        SELECT 6, format('column %I of %s is gone: SELECT rfm.track_changes(%L, %L, ''...'')', t.customer_column, t.relation::regclass, model, t.relation::regclass::text)
        FROM tracking t WHERE t.customer_column IS NOT NULL AND rfm.column_type(t.relation, t.customer_column::text) IS NULL
        UNION ALL
        SELECT 7, format('the triggers on %s are out of date: SELECT rfm.track_changes(%L, %L, %L)', t.relation::regclass, model, t.relation::regclass::text, t.customer_column)
        FROM tracking t LEFT JOIN pg_proc p ON p.oid = t.recorder
        WHERE p.prosrc IS DISTINCT FROM rfm.recorder_body(model, t.relation, t.customer_column, id_type)
           OR rfm.column_type(changes, 'customer_ids') IS DISTINCT FROM (id_type || '[]')::regtype
        UNION ALL
        SELECT 8, format('%s%s is not tracked: SELECT rfm.track_changes(%L, %L, %L)', CASE WHEN w.member <> w.root THEN 'partition ' END,
                         w.member::regclass, model, w.root::regclass::text, w.customer_column)
        FROM tracker w WHERE w.trigger_oid IS NULL
        UNION ALL
        SELECT 9, format('a trigger of rfm.track_changes on %s is disabled: SELECT rfm.track_changes(%L, %L, %L)',
                         w.member::regclass, model, w.root::regclass::text, w.customer_column)
        FROM tracker w WHERE w.state IN ('D', 'R'))
    SELECT (SELECT o.reason FROM obstacle o ORDER BY o.place, o.reason COLLATE "C" LIMIT 1),
           ARRAY(SELECT DISTINCT m.relation FROM source x JOIN member m USING (root) WHERE x.contract = 'accounts' ORDER BY 1),
           ARRAY(SELECT m.relation FROM member m),
           ARRAY(
               SELECT concat_ws(' ', 'contract', x.contract, x.relation, x.reader, x.kind) FROM source x
               UNION ALL
               SELECT concat_ws(' ', 'view', v.relation, v.rule) FROM view v
               UNION ALL
               SELECT concat_ws(' ', 'function', p.oid, p.xmin) FROM pg_proc p
               WHERE p.oid IN (SELECT unnest(v.functions) FROM view v UNION ALL SELECT t.recorder FROM tracking t)
                 AND p.pronamespace <> 'pg_catalog'::regnamespace
               UNION ALL
               SELECT concat_ws(' ', 'security', y.relation, y.reader, y.applies) FROM security y
               UNION ALL
               SELECT concat_ws(' ', 'tracked', t.tracked_id, t.relation, quote_nullable(t.customer_column), t.recorder) FROM tracking t
               UNION ALL
               SELECT concat_ws(' ', 'trigger', w.member, w.event, w.trigger_oid, g.xmin) FROM tracker w LEFT JOIN pg_trigger g ON g.oid = w.trigger_oid
               UNION ALL
               -- under another name for a while, nothing was recorded
               SELECT concat_ws(' ', 'model', n.oid, n.xmin) FROM pg_namespace n WHERE n.nspname = model)
    INTO reason, account_relations, tables, facts;

    SELECT facts || array_agg(f.fact) INTO facts FROM (
        SELECT concat_ws(' ', 'table', c.oid, c.relfilenode, c.relkind, c.relpersistence, c.relowner, c.relrowsecurity, c.relforcerowsecurity) AS fact
        FROM pg_class c WHERE c.oid = ANY (tables)
        UNION ALL
        SELECT concat_ws(' ', 'partition', i.inhrelid, i.inhparent, i.inhdetachpending) FROM pg_inherits i WHERE i.inhrelid = ANY (tables)
        UNION ALL
        SELECT concat_ws(' ', 'policy', p.oid, p.xmin) FROM pg_policy p WHERE p.polrelid = ANY (tables)
        UNION ALL
        SELECT concat_ws(' ', 'column', a.attrelid, a.attnum, a.atttypid, a.attisdropped, quote_ident(a.attname)) FROM pg_attribute a
        WHERE a.attrelid = ANY (tables) AND a.attnum > 0
        UNION ALL
        SELECT DISTINCT concat_ws(' ', 'label', e.oid, quote_ident(e.enumlabel)) FROM pg_attribute a JOIN pg_enum e ON e.enumtypid = a.atttypid
        WHERE a.attrelid = ANY (tables)) f;
    -- with the reason: while one stood in the way, changes may have gone unrecorded
    fingerprint := md5((SELECT string_agg(f, E'\n' ORDER BY f COLLATE "C") FROM unnest(facts || coalesce(reason, '')) f));
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.contract_state(text, rfm.settings) IS
    'Internal. Why a refresh of a model cannot rely on recorded changes (NULL: it can), a fingerprint that differs when rows may have changed without being recorded, and the tables that feed the accounts.';
