-- 85_refresh: making the views of a model, filling its stored layers, and the refresh that does both again.

-- views

CREATE FUNCTION rfm.comment_model(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c record;
BEGIN
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', model, 'Customer segments of the model ' || quote_ident(model)
        || ', made by the extension rfm_segments. Start with the views overview, segments and customers.');
    FOR c IN
        SELECT k.relname, k.relkind, d.column_name, d.comment
        FROM pg_class k
        JOIN (SELECT * FROM rfm.view_comments()
              UNION ALL
              SELECT 'settings', a.attname, col_description('rfm.settings'::regclass, a.attnum)
              FROM pg_attribute a WHERE a.attrelid = 'rfm.settings'::regclass AND a.attnum > 0 AND NOT a.attisdropped
              UNION ALL
              SELECT 'campaigns', a.attname, col_description('rfm.campaign'::regclass, a.attnum)
              FROM pg_attribute a WHERE a.attrelid = 'rfm.campaign'::regclass AND a.attnum > 0 AND NOT a.attisdropped
              UNION ALL
              SELECT 'action_texts', a.attname, col_description('rfm.action_text'::regclass, a.attnum)
              FROM pg_attribute a WHERE a.attrelid = 'rfm.action_text'::regclass AND a.attnum > 0 AND NOT a.attisdropped
              UNION ALL
              SELECT 'customers', u.dimension, 'Dimension of the model: this column of its accounts. NULL: unknown.'
              FROM unnest((rfm.resolve_settings(rfm.model_settings(model))).dimensions) u(dimension)) d ON d.relation = k.relname
        WHERE k.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = model) AND k.relkind IN ('r', 'v', 'm')
          AND (d.column_name IS NULL OR rfm.column_type(k.oid::regclass, d.column_name) IS NOT NULL)
    LOOP
        EXECUTE CASE WHEN c.column_name IS NULL
            THEN format('COMMENT ON %s %I.%I IS %L', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                        model, c.relname, c.comment)
            ELSE format('COMMENT ON COLUMN %I.%I.%I IS %L', model, c.relname, c.column_name, c.comment) END;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.comment_model(text) IS 'Internal. Puts the comments on the relations and columns of a model.';

CREATE FUNCTION rfm.relation_columns(relation regclass) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s %s', a.attname, a.atttypid, a.attcollation), ', ' ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid OPERATOR(pg_catalog.=) relation AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped);
COMMENT ON FUNCTION rfm.relation_columns(regclass) IS 'Internal. The columns of a relation with their types, to compare.';

CREATE FUNCTION rfm.model_relation(model text, name text) RETURNS regclass
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.to_regclass(pg_catalog.format('%I.%I', model, name));
COMMENT ON FUNCTION rfm.model_relation(text, text) IS 'Internal. A relation of a model; NULL when there is none of that name.';

CREATE FUNCTION rfm.drop_relation(relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation IS NOT NULL THEN
        EXECUTE format('DROP %s %s', CASE (SELECT relkind FROM pg_class WHERE oid = relation)
            WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, relation);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.drop_relation(regclass) IS 'Internal. Drops a relation of whatever kind; nothing for NULL.';

CREATE FUNCTION rfm.make_segment_changes(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF rfm.model_relation(model, 'segment_changes') IS NULL THEN
        EXECUTE format('CREATE TABLE %1$I.segment_changes AS SELECT %2$s FROM %1$I.scored WITH NO DATA', model,
                       rfm.history_columns('segment_since', 'as_of'));
        EXECUTE format('CREATE INDEX segment_changes_key ON %I.segment_changes (customer_id)', model);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.make_segment_changes(text) IS 'Internal. Makes the table of the segments that ended, where there is none.';

-- Makes one relation, or replaces a view in place. Stored layers are made empty; of a table that is there only the columns
-- that changed are made again.
CREATE FUNCTION rfm.make_relation(model text, storage text, name text, query text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass := rfm.model_relation(model, name);
BEGIN
    IF name NOT IN ('profiles', 'snapshot', 'stored_summaries') THEN
        IF name = 'segment_history' THEN
            PERFORM rfm.make_segment_changes(model);
        END IF;
        EXECUTE format('CREATE OR REPLACE VIEW %I.%I AS %s', model, name, query);
    ELSIF relation IS NULL THEN
        EXECUTE format('CREATE %s %I.%I AS %s WITH NO DATA',
                       CASE storage WHEN 'table' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END, model, name, query);
        -- a table is indexed when it is filled
        IF storage <> 'table' OR name = 'snapshot' THEN
            EXECUTE format('CREATE UNIQUE INDEX %I ON %I.%I (%s)', name || '_key', model, name,
                           CASE name WHEN 'profiles' THEN 'customer_id' ELSE 'as_of' END);
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.make_relation(text, text, text, text) IS 'Internal. Makes one relation of a model, or replaces a view in place.';

-- What a refresh of the tables needs beside them: the profiles and the snapshot as they were before it, and what it was
-- built from.
CREATE FUNCTION rfm.make_refresh_tables(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.drop_relation(rfm.model_relation(model, 'replaced_profiles'));
    PERFORM rfm.drop_relation(rfm.model_relation(model, 'replaced_snapshot'));
    IF rfm.is_distributed(rfm.model_settings(model)) THEN
        IF rfm.relation_columns(rfm.model_relation(model, 'next_profiles')) IS DISTINCT FROM rfm.relation_columns(rfm.model_relation(model, 'profiles')) THEN
            PERFORM rfm.drop_relation(rfm.model_relation(model, 'next_profiles'));
            EXECUTE format('CREATE TABLE %1$I.next_profiles (LIKE %1$I.profiles)', model);
            PERFORM rfm.distribute_table(model, 'next_profiles', rfm.model_settings(model));
        END IF;
    ELSE
        EXECUTE format('CREATE TABLE %1$I.replaced_profiles (LIKE %1$I.profiles)', model);
    END IF;
    EXECUTE format('CREATE TABLE %1$I.replaced_snapshot (LIKE %1$I.snapshot)', model);
    IF rfm.model_relation(model, 'last_build') IS NULL THEN
        EXECUTE format('CREATE TABLE %I.last_build (as_of timestamptz NOT NULL, window_start timestamptz, contract text)', model);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.make_refresh_tables(text) IS 'Internal. Makes the tables that a refresh of a model with storage table writes beside profiles and snapshot.';

-- Makes a table fit for the rows of a relation: columns that went away or changed their type are made again, empty.
CREATE FUNCTION rfm.align_columns(target regclass, source regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('ALTER TABLE %s DROP COLUMN %I', target, t.attname)
        FROM pg_attribute t LEFT JOIN pg_attribute s ON s.attrelid = source AND s.attname = t.attname AND NOT s.attisdropped
        WHERE t.attrelid = target AND t.attnum > 0 AND NOT t.attisdropped
          AND (s.atttypid, s.atttypmod, s.attcollation) IS DISTINCT FROM (t.atttypid, t.atttypmod, t.attcollation)
    LOOP
        EXECUTE command;
    END LOOP;
    FOR command IN
        SELECT format('ALTER TABLE %s ADD COLUMN %I %s%s', target, s.attname, format_type(s.atttypid, s.atttypmod),
                      (SELECT format(' COLLATE %I.%I', n.nspname, c.collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
                       WHERE c.oid = s.attcollation))
        FROM pg_attribute s LEFT JOIN pg_attribute t ON t.attrelid = target AND t.attname = s.attname AND NOT t.attisdropped
        WHERE s.attrelid = source AND s.attnum > 0 AND NOT s.attisdropped AND t.attname IS NULL
        ORDER BY s.attnum
    LOOP
        EXECUTE command;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.align_columns(regclass, regclass) IS 'Internal. Gives a table the columns of another relation; those it has of the same type keep their values.';

CREATE FUNCTION rfm.make_relations(model text, settings rfm.settings, grouped boolean, names text[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- views are of the coordinator only
    before text := rfm.propagate_ddl(settings, 'off');
    v      record;
BEGIN
    FOR v IN SELECT * FROM rfm.view_queries(model, settings, grouped) LOOP
        IF names IS NULL OR v.name = ANY (names) THEN
            -- each table before the views on it, which Citus would take for its own
            IF v.name = 'segment_history' THEN
                PERFORM rfm.make_segment_changes(model);
                PERFORM rfm.distribute_table(model, 'segment_changes', settings);
            END IF;
            PERFORM rfm.make_relation(model, settings.storage, v.name, v.query);
            IF settings.storage = 'table' AND v.name IN ('profiles', 'snapshot') THEN
                PERFORM rfm.distribute_table(model, v.name, settings);
            END IF;
        END IF;
    END LOOP;
    PERFORM rfm.propagate_ddl(settings, before);
END $$;
COMMENT ON FUNCTION rfm.make_relations(text, rfm.settings, boolean, text[]) IS
    'Internal. Makes or replaces the relations of a model, or those named, in the order of the data flow.';

CREATE FUNCTION rfm.view_grants(model text) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grants text[];
BEGIN
    EXECUTE format('SELECT array_agg(format(''GRANT %%s ON %%s TO %%s%%s'', g.privilege_type, c.oid::regclass,'
        ' CASE WHEN g.grantee = 0 THEN ''PUBLIC'' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,'
        ' CASE WHEN g.is_grantable THEN '' WITH GRANT OPTION'' END))'
        ' FROM %I.compiled_views v JOIN pg_class c ON c.oid = rfm.model_relation($1, v.name), aclexplode(c.relacl) g'
        ' WHERE v.position >= 0 AND g.grantee <> c.relowner', model) INTO grants USING model;
    RETURN coalesce(grants, '{}');
END $$;
COMMENT ON FUNCTION rfm.view_grants(text) IS 'Internal. The commands that grant again what is granted on the views of a model.';

-- The version of the extension that made them stands beside the SQL of the views.
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

-- What a later version changes in the tables of a model, other than by its types, belongs here, too.
CREATE FUNCTION rfm.complete_model(model text, settings rfm.settings, grouped boolean, readers text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text;
BEGIN
    before := rfm.propagate_ddl(settings, 'off');
    PERFORM rfm.make_functions(model, settings, grouped);
    PERFORM rfm.propagate_ddl(settings, before);
    PERFORM rfm.update_recorders(model, settings);
    PERFORM rfm.grant_reading(model, readers);
    PERFORM rfm.comment_model(model);
    EXECUTE format('DELETE FROM %I.compiled_views WHERE position = -2', model);
    EXECUTE format('INSERT INTO %I.compiled_views SELECT extname, -2, extversion FROM pg_extension WHERE extname = ''rfm_segments''', model);
END $$;
COMMENT ON FUNCTION rfm.complete_model(text, rfm.settings, boolean, text[]) IS
    'Internal. Brings what goes with the views of a model up to date: functions, grants of its readers, comments.';

-- Brings the views of a model in line with its settings, rules, contract relations and the version of the extension. A
-- view whose SQL is unchanged is not touched, so that its readers need not wait; others are replaced in place, so that
-- grants and views of others on them survive; only where columns went away or changed their type they are dropped and
-- made again with their grants.
CREATE FUNCTION rfm.compile_model(model text) RETURNS text
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
    PERFORM rfm.check_distribution(s);
    live.storage := 'view';
    grouped := CASE WHEN rfm.is_shipped(s) THEN true WHEN s.storage = 'table' THEN false ELSE rfm.needs_grouping(model, s) END;

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
    IF rfm.is_distributed(s) AND rfm.model_relation(model, 'customers') IS NOT NULL THEN
        -- tables that Citus makes by several connections it may not read together in one transaction
        PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true);
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
COMMENT ON FUNCTION rfm.compile_model(text) IS
    'Internal. Brings the views of a model in line with its settings; says so when the profiles must all be computed again.';

-- On profiles and snapshot no view depends at the moment.
CREATE FUNCTION rfm.take_layers_away(model text, stays boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    profiles regclass := rfm.model_relation(model, 'profiles');
    source   regclass := rfm.model_relation(model, 'profiles_source');
BEGIN
    IF stays AND (SELECT p.atttypid = s.atttypid FROM pg_attribute p, pg_attribute s
                  WHERE p.attrelid = profiles AND p.attname = 'customer_id' AND s.attrelid = source AND s.attname = 'customer_id') THEN
        PERFORM rfm.align_columns(profiles, source);
        RETURN;
    END IF;
    PERFORM rfm.drop_relation(rfm.model_relation(model, 'snapshot'));
    PERFORM rfm.drop_relation(profiles);
    IF rfm.model_relation(model, 'last_build') IS NOT NULL THEN
        EXECUTE format('DELETE FROM %I.last_build', model);
    END IF;
    IF stays THEN
        -- the history is of customers with other ids
        PERFORM rfm.drop_relation(rfm.model_relation(model, 'segment_history'));
        PERFORM rfm.drop_relation(rfm.model_relation(model, 'segment_changes'));
    END IF;
END $$;
COMMENT ON FUNCTION rfm.take_layers_away(text, boolean) IS
    'Internal. Drops profiles and snapshot of a model or, where they stay and customers keep their type of id, gives them the columns that they will have.';

-- data

-- Writes the profiles that a query gives, where they differ from those stored that a condition chooses, and keeps what was
-- there before in replaced_profiles; a customer who was not there is kept as a row of NULLs. as_of is SQL.
CREATE FUNCTION rfm.write_profiles_query(model text, query text, condition text, as_of text, hash_from bigint) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    profiles regclass := rfm.model_relation(model, 'profiles');
    columns  text[] := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = profiles AND attnum > 0 AND NOT attisdropped
                             AND attname <> 'segment_since' ORDER BY attnum);
BEGIN
    RETURN format(
        'WITH diff AS MATERIALIZED ('
        ' SELECT o.old, o.old_id, n.* FROM (SELECT true AS is_new, q.* FROM (%1$s) q) n'
        ' FULL JOIN (SELECT p.ctid AS old, p.customer_id AS old_id, p.* FROM %2$s p WHERE %3$s) o ON o.customer_id = n.customer_id'
        ' WHERE n.is_new IS NULL OR o.old IS NULL OR (%4$s) IS DISTINCT FROM (%5$s)),'
        ' next AS (SELECT max(next_hash) AS hash_from FROM diff),'
        ' kept AS (INSERT INTO %9$I.replaced_profiles SELECT p.* FROM %2$s p JOIN diff d ON p.ctid = d.old, next'
        ' WHERE d.old_id IS NOT NULL AND (d.is_new OR next.hash_from IS NULL OR rfm.id_hash(d.old_id) < next.hash_from)),'
        ' gone AS (DELETE FROM %2$s p USING diff d, next WHERE p.ctid = d.old AND d.is_new IS NULL'
        ' AND (next.hash_from IS NULL OR d.old_id IS NULL OR rfm.id_hash(d.old_id) < next.hash_from) RETURNING p.customer_id),'
        ' changed AS (UPDATE %2$s p SET (%6$s) = (SELECT %7$s) FROM diff d WHERE p.ctid = d.old AND d.is_new RETURNING p.customer_id),'
        ' added AS (INSERT INTO %2$s (%6$s, segment_since) SELECT %7$s, CASE WHEN d.orders > 0 THEN %10$s END FROM diff d WHERE d.is_new AND d.old IS NULL'
        ' AND (d.customer_id IS NOT NULL OR %8$s = 0) RETURNING customer_id),'
        ' noted AS (INSERT INTO %9$I.replaced_profiles (customer_id) SELECT customer_id FROM added'
        ' WHERE customer_id IS NOT NULL AND EXISTS (SELECT FROM %9$I.last_build))'
        ' SELECT (SELECT count(customer_id) FROM gone) + (SELECT count(*) FROM changed) + (SELECT count(customer_id) FROM added) AS n,'
        ' next.hash_from FROM next',
        query, profiles, condition, rfm.compared_list(columns, 'n'), rfm.compared_list(columns, 'o'),
        (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c), (SELECT string_agg(format('d.%I', c), ', ') FROM unnest(columns) c),
        hash_from, model, as_of);
END $$;
COMMENT ON FUNCTION rfm.write_profiles_query(text, text, text, text, bigint) IS
    'Internal. SQL that writes profiles where they differ; its result: how many were written or removed, and where the next pass starts.';

CREATE FUNCTION rfm.compared_list(columns text[], relation text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT pg_catalog.string_agg(pg_catalog.format(CASE WHEN c OPERATOR(pg_catalog.=) 'ledger' THEN 'rfm.ledger_bytes(%I.%I)' ELSE '%I.%I' END, relation, c), ', ')
            FROM pg_catalog.unnest(columns) c);
COMMENT ON FUNCTION rfm.compared_list(text[], text) IS 'Internal. Columns of a relation in a form that has an operator of equality.';

-- Writes the profiles that a query gives into an empty table. Where the next pass starts is told by a setting of the
-- transaction, since rows that are inserted return what is stored only. as_of is SQL.
CREATE FUNCTION rfm.fill_profiles_query(model text, query text, as_of text, hash_from bigint) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    profiles regclass := rfm.model_relation(model, 'profiles');
    columns  text[] := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = profiles AND attnum > 0 AND NOT attisdropped
                             AND attname <> 'segment_since' ORDER BY attnum);
BEGIN
    RETURN format('INSERT INTO %s (%s, segment_since) SELECT %s, CASE WHEN d.orders > 0 THEN %s END FROM (%s) d'
        ' WHERE CASE WHEN d.customer_id IS NULL THEN set_config(''rfm.next_hash'', coalesce(d.next_hash::text, ''''), true) IS %s NULL ELSE true END',
        profiles, (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c), (SELECT string_agg(format('d.%I', c), ', ') FROM unnest(columns) c),
        -- the row is of the first pass, but all passes leave the setting
        as_of, query, CASE WHEN hash_from = 0 THEN 'NOT' END);
END $$;
COMMENT ON FUNCTION rfm.fill_profiles_query(text, text, text, bigint) IS
    'Internal. SQL that writes profiles into an empty table; leaves in the setting rfm.next_hash where the next pass starts.';

CREATE FUNCTION rfm.index_profiles(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE UNIQUE INDEX profiles_key ON %I.profiles (customer_id)', model);
    EXECUTE format('CREATE INDEX profiles_next_change ON %I.profiles (next_change_at) WHERE next_change_at IS NOT NULL', model);
    EXECUTE format('CREATE INDEX profiles_window_line ON %I.profiles (window_line_at) WHERE window_line_at IS NOT NULL', model);
END $$;
COMMENT ON FUNCTION rfm.index_profiles(text) IS 'Internal. Makes the indexes of the profiles of a model with storage table.';

-- Computes all profiles. Goes in passes where build_memory asks for it.
CREATE FUNCTION rfm.refresh_profiles(model text, settings rfm.settings, OUT changed bigint, OUT passes int)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    as_of     text := rfm.as_of_sql(settings);
    filled    boolean := rfm.model_relation(model, 'profiles_key') IS NOT NULL;
    shipped   boolean := rfm.is_shipped(settings);
    hash_from bigint := 0;
    next_hash bigint;
    query     text;
    written   bigint;
BEGIN
    changed := 0;
    passes := 0;
    LOOP
        passes := passes + 1;
        -- the row without customer_id belongs to the first pass; it tells where the next one starts
        query := CASE WHEN shipped THEN rfm.sharded_query(model, settings) ELSE rfm.pass_query(model, settings, hash_from) END;
        IF filled THEN
            EXECUTE rfm.write_profiles_query(model, query,
                CASE WHEN hash_from = 0 THEN 'true' ELSE format('p.customer_id IS NOT NULL AND rfm.id_hash(p.customer_id) >= %s', hash_from) END,
                as_of, hash_from)
                INTO written, next_hash;
        ELSE
            EXECUTE rfm.fill_profiles_query(model, query, as_of, hash_from);
            GET DIAGNOSTICS written = ROW_COUNT;
            written := written - CASE WHEN hash_from = 0 THEN 1 ELSE 0 END;
            next_hash := nullif(current_setting('rfm.next_hash'), '')::bigint;
        END IF;
        changed := changed + written;
        EXIT WHEN next_hash IS NULL;
        IF next_hash <= hash_from THEN
            RAISE EXCEPTION 'the pass from hash % on ended at %', hash_from, next_hash USING ERRCODE = 'internal_error';
        END IF;
        hash_from := next_hash;
        PERFORM rfm.report_stage(model, 'profiles', (5 + 70 * hash_from / 4294967296.0)::int);
    END LOOP;
    IF NOT filled THEN
        PERFORM rfm.index_profiles(model);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.refresh_profiles(text, rfm.settings) IS
    'Internal. Brings all stored profiles of a model with storage table up to date; the number of rows written or removed, and in how many passes.';

-- Computes the profiles of some customers, read through the indexes of the relations.
CREATE FUNCTION rfm.refresh_some_profiles(model text, settings rfm.settings, customer_ids text[], with_nobody boolean) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    EXECUTE rfm.write_profiles_query(model,
        format('SELECT c.*, NULL::bigint AS next_hash FROM (%s) c WHERE c.customer_id IS NOT NULL OR $2', rfm.some_profiles_query(settings)),
        format('p.customer_id = ANY ($1::%s[]) OR (p.customer_id IS NULL AND $2)', rfm.id_type(settings.order_lines, 'customer_id')),
        rfm.as_of_sql(settings), 0)
        INTO changed USING customer_ids, with_nobody;
    RETURN changed;
END $$;
COMMENT ON FUNCTION rfm.refresh_some_profiles(text, rfm.settings, text[], boolean) IS
    'Internal. Brings the stored profiles of some customers and, if with_nobody, of lines without customer up to date; the number of rows written or removed.';

-- Without statistics the planner takes small tables for large ones and compiles what takes a millisecond.
CREATE FUNCTION rfm.analyze_stored(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{profiles,snapshot,campaigns,action_texts,segment_rules}'::text[] LOOP
        -- those of Citus are left to autovacuum on the workers
        IF (SELECT reltuples <= 0 FROM pg_class WHERE oid = rfm.model_relation(model, name))
            AND NOT EXISTS (SELECT FROM rfm.citus_tables(rfm.model_relation(model, name))) THEN
            EXECUTE format('ANALYZE %I.%I', model, name);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.analyze_stored(text) IS 'Internal. Analyses the tables of a model that have no statistics yet.';

-- INSERT would read the profiles without parallel workers; the text is exact in every session.
CREATE FUNCTION rfm.fill_row(model text, name text, query text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET datestyle = 'ISO' SET array_nulls = on AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT q::text FROM (%s) q', query) INTO result;
    EXECUTE format('INSERT INTO %1$I.%2$I SELECT (x.result).* FROM (SELECT $1::%1$I.%2$I AS result OFFSET 0) x', model, name) USING result;
END $$;
COMMENT ON FUNCTION rfm.fill_row(text, text, text) IS 'Internal. Fills an empty table of a model with the one row of a query.';

-- A join with the snapshot would have no parallel workers, and cut points that are constants are read once.
CREATE FUNCTION rfm.constant_row(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET datestyle = 'ISO' SET array_nulls = on AS $$
DECLARE
    columns text;
BEGIN
    EXECUTE (SELECT format('SELECT concat_ws('', '', %s) FROM (SELECT) one LEFT JOIN %s ON true',
                string_agg(format('format(''%%L::%s AS %I'', %2$I)', format_type(atttypid, atttypmod), attname), ', ' ORDER BY attnum), relation)
             FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped) INTO columns;
    RETURN format('(SELECT %s)', columns);
END $$;
COMMENT ON FUNCTION rfm.constant_row(regclass) IS 'Internal. SQL of the one row of a table, written out; of NULLs where the table is empty.';

CREATE FUNCTION rfm.refresh_snapshot(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    query text;
BEGIN
    EXECUTE format('WITH old AS (DELETE FROM %1$I.snapshot RETURNING *) INSERT INTO %1$I.replaced_snapshot SELECT * FROM old', model);
    EXECUTE format('SELECT query FROM %I.compiled_views WHERE name = ''snapshot''', model) INTO query;
    PERFORM rfm.fill_row(model, 'snapshot', query);
    PERFORM rfm.analyze_stored(model);
END $$;
COMMENT ON FUNCTION rfm.refresh_snapshot(text) IS 'Internal. Writes the snapshot row of a model with storage table; the one before is kept in replaced_snapshot.';

-- Where no customer changed nor any score, what is summed up of them stays. A scan of many customers for a few that changed
-- is left to those who read.
CREATE FUNCTION rfm.refresh_summaries(model text, settings rfm.settings, changed bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    many boolean;
    stay boolean;
BEGIN
    EXECUTE format('SELECT customers > 100000 FROM %I.snapshot', model) INTO many;
    IF changed = 0 THEN
        EXECUTE format('UPDATE %1$I.stored_summaries SET (as_of, refreshed_at, registered, unassigned_revenue, margin_rate) ='
            ' (SELECT n.as_of, n.refreshed_at, n.registered, n.unassigned_revenue, n.margin_rate)'
            ' FROM %1$I.snapshot n, %1$I.replaced_snapshot o WHERE o.rules::text = n.rules::text'
            ' AND (o.as_of_date, o.recency_cutoffs, o.frequency_cutoffs, o.monetary_cutoffs)'
            ' IS NOT DISTINCT FROM (n.as_of_date, n.recency_cutoffs, n.frequency_cutoffs, n.monetary_cutoffs)'
            ' RETURNING true', model) INTO stay;
    END IF;
    IF stay IS NULL THEN
        EXECUTE format('DELETE FROM %I.stored_summaries', model);
        IF changed IS NULL OR NOT many THEN
            PERFORM rfm.fill_row(model, 'stored_summaries', rfm.summaries_query(settings, format('(%s) s', rfm.scored_query(model, settings,
                format('%I.profiles', model), rfm.constant_row(rfm.model_relation(model, 'snapshot')))), true));
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.refresh_summaries(text, rfm.settings, bigint) IS
    'Internal. Writes the summaries of a model with storage table, or takes them away. changed: the profiles that changed; NULL when all may have.';

-- history

CREATE FUNCTION rfm.history_columns(valid_from text, valid_to text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('customer_id, segment, segment_rank, r, f, m, rfm_score, recency_days, orders, revenue, %s AS valid_from, %s AS valid_to',
                             valid_from, valid_to);
COMMENT ON FUNCTION rfm.history_columns(text, text) IS 'Internal. SQL of the columns of segment_history.';

-- Compares segments before and after: of the customers whose profiles were replaced, and of the others whose level moved
-- with the day or the cut points, or of all where the rules did. A segment that ended is written down with its last values;
-- the one that began is dated in profiles.
CREATE FUNCTION rfm.refresh_history(model text, settings rfm.settings, old_as_of timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    customer text := rfm.id_type(settings.order_lines, 'customer_id');
    before   text := rfm.constant_row(rfm.model_relation(model, 'replaced_snapshot'));
    old      text := rfm.scored_query(model, settings, format('%I.replaced_profiles', model), before);
    stayed   text := rfm.scored_query(model, settings, format('(SELECT p.* FROM %1$I.profiles p WHERE p.customer_id = ANY ($2::%2$s[]) AND NOT EXISTS'
        ' (SELECT FROM %1$I.replaced_profiles r WHERE r.customer_id = p.customer_id))', model, customer), before);
    new      text := rfm.scored_query(model, settings, format('%I.profiles', model), rfm.constant_row(rfm.model_relation(model, 'snapshot')));
    as_of    timestamptz;
    query    text;
    moved    text[];
    erased   text[];
BEGIN
    -- with the cut points written out, so that parallel workers can look for those who moved
    EXECUTE format('SELECT n.as_of, concat_ws('' OR '', CASE WHEN o.rules::text <> n.rules::text THEN ''true'' END,'
        ' CASE WHEN (o.as_of_date, o.recency_cutoffs) IS DISTINCT FROM (n.as_of_date, n.recency_cutoffs) THEN'
        ' format(''rfm.recency_score(%%L::date - last_order_date, %%L::numeric[]) <> rfm.recency_score(%%L::date - last_order_date, %%L::numeric[])'','
        ' o.as_of_date::text, o.recency_cutoffs, n.as_of_date::text, n.recency_cutoffs) END,'
        ' CASE WHEN o.frequency_cutoffs IS DISTINCT FROM n.frequency_cutoffs THEN'
        ' format(''rfm.frequency_score(orders, %%L::numeric[]) <> rfm.frequency_score(orders, %%L::numeric[])'', o.frequency_cutoffs, n.frequency_cutoffs) END,'
        ' CASE WHEN cardinality(o.monetary_cutoffs) IS DISTINCT FROM cardinality(n.monetary_cutoffs) THEN ''true'''
        -- between where a cut point was and where it is
        ' ELSE (SELECT string_agg(format(''revenue >= %%s AND revenue < %%s'', least(a, b), greatest(a, b)), '' OR '')'
        ' FROM unnest(o.monetary_cutoffs, n.monetary_cutoffs) u(a, b) WHERE a <> b) END)'
        ' FROM %1$I.snapshot n, %1$I.replaced_snapshot o', model) INTO as_of, query;
    IF query <> '' THEN
        EXECUTE format('SELECT array_agg(customer_id::text) FROM %I.profiles WHERE orders > 0 AND (%s)', model, query) INTO moved;
    END IF;
    IF as_of < old_as_of THEN
        -- the clock was set back, and with it the history
        EXECUTE format('DELETE FROM %I.segment_changes WHERE valid_from >= $1', model) USING as_of;
        EXECUTE format('UPDATE %I.segment_changes SET valid_to = $1 WHERE valid_to > $1', model) USING as_of;
        EXECUTE format('UPDATE %I.profiles SET segment_since = $1 WHERE segment_since > $1', model) USING as_of;
        EXECUTE format('UPDATE %I.replaced_profiles SET segment_since = $1 WHERE segment_since > $1', model) USING as_of;
    END IF;

    EXECUTE format('WITH ended AS ('
        ' SELECT o.*, n.segment AS new_segment, n.id IS NOT NULL AS stays'
        ' FROM (SELECT customer_id AS id, CASE WHEN orders > 0 THEN segment END AS old_segment, %2$s FROM (%3$s UNION ALL %4$s) q) o'
        ' LEFT JOIN (SELECT customer_id AS id, CASE WHEN orders > 0 THEN segment END AS segment FROM (%5$s) q) n USING (id)'
        ' WHERE o.old_segment IS DISTINCT FROM n.segment),'
        ' written AS (INSERT INTO %1$I.segment_changes SELECT customer_id, segment, segment_rank, r, f, m, rfm_score, recency_days, orders, revenue,'
        ' valid_from, valid_to FROM ended WHERE old_segment IS NOT NULL AND valid_from < valid_to)'
        ' UPDATE %1$I.profiles p SET segment_since = CASE WHEN e.new_segment IS NOT NULL THEN $1 END FROM ended e'
        ' WHERE e.stays AND p.customer_id = e.id AND p.segment_since IS DISTINCT FROM (CASE WHEN e.new_segment IS NOT NULL THEN $1 END)',
        model, rfm.history_columns('segment_since', '$1'), old, stayed, new)
        USING as_of, moved;

    EXECUTE format('SELECT array_agg(r.customer_id::text) FROM %1$I.replaced_profiles r WHERE NOT EXISTS'
        ' (SELECT FROM %1$I.profiles p WHERE p.customer_id = r.customer_id)', model) INTO erased;
    IF erased IS NOT NULL THEN
        -- who has no line left at all has no history left
        EXECUTE format('DELETE FROM %1$I.segment_changes c WHERE c.customer_id = ANY ($1::%2$s[]) AND c.customer_id NOT IN (%3$s)',
            model, rfm.id_type(settings.order_lines, 'customer_id'), rfm.with_lines_query(settings)) USING erased;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.refresh_history(text, rfm.settings, timestamptz) IS 'Internal. Writes down the segments that ended with this refresh.';

-- the refresh of tables

-- What changed since the last build, and why all must be built again if so. Takes the recorded changes.
CREATE FUNCTION rfm.take_changes(model text, settings rfm.settings, full_reason text,
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
COMMENT ON FUNCTION rfm.take_changes(text, rfm.settings, text) IS
    'Internal. The customers whose profiles must be computed again; or, as reason, why all of them. Takes the recorded changes away.';

-- What the refresh of a large model sorts and hashes beside its profiles is small against these: it may take an eighth.
CREATE FUNCTION rfm.refresh_tables(model text, refresh_id bigint, full_rebuild boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '4MB' AS $$
DECLARE
    s        rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    todo     record;
    old      timestamptz;
    changed  bigint := 0;
    passes   int;
    compiled text;
BEGIN
    PERFORM set_config('work_mem', greatest(pg_size_bytes(s.build_memory) / 8192, 64)::text, true);
    IF rfm.is_distributed(s) THEN
        PERFORM rfm.refresh_distributed(model, refresh_id);
        RETURN;
    END IF;
    PERFORM rfm.report_stage(model, 'profiles', 5);
    EXECUTE format('SELECT reason FROM %I.refresh_log l WHERE l.refresh_id = $1', model) INTO compiled USING refresh_id;
    EXECUTE format('DELETE FROM %I.replaced_profiles', model);
    EXECUTE format('DELETE FROM %I.replaced_snapshot', model);
    EXECUTE format('SELECT as_of FROM %I.last_build', model) INTO old;
    todo := rfm.take_changes(model, s, CASE WHEN full_rebuild THEN 'asked for' ELSE compiled END);
    IF todo.reason IS NOT NULL THEN
        SELECT p.changed, p.passes INTO changed, passes FROM rfm.refresh_profiles(model, s) p;
    ELSE
        IF todo.with_nobody OR todo.customer_ids <> '{}' THEN
            changed := rfm.refresh_some_profiles(model, s, todo.customer_ids, todo.with_nobody);
        END IF;
        EXECUTE format('UPDATE %I.profiles SET as_of = %s, registered = %s WHERE customer_id IS NULL', model, rfm.as_of_sql(s),
            CASE WHEN todo.accounts_changed OR todo.with_nobody THEN rfm.registered_sql(s) ELSE 'registered' END);
    END IF;
    EXECUTE format('DELETE FROM %I.last_build', model);
    EXECUTE format('INSERT INTO %1$I.last_build VALUES (%2$s, %3$s, $1)', model, rfm.as_of_sql(s),
        rfm.window_start_sql(s, rfm.as_of_sql(s))) USING todo.contract;
    PERFORM rfm.log_stage(model, refresh_id, 'profiles');

    PERFORM rfm.report_stage(model, 'snapshot', 75);
    PERFORM rfm.refresh_snapshot(model);
    PERFORM rfm.log_stage(model, refresh_id, 'snapshot');

    PERFORM rfm.report_stage(model, 'summaries', 85);
    PERFORM rfm.refresh_summaries(model, s, CASE WHEN todo.reason IS NULL THEN changed END);
    PERFORM rfm.log_stage(model, refresh_id, 'summaries');

    IF old IS NOT NULL THEN
        PERFORM rfm.report_stage(model, 'history', 90);
        PERFORM rfm.refresh_history(model, s, old);
        PERFORM rfm.log_stage(model, refresh_id, 'history');
    END IF;
    EXECUTE format('UPDATE %I.refresh_log l SET mode = $2, reason = $3, changed = $4, passes = $5 WHERE l.refresh_id = $1', model)
        USING refresh_id, CASE WHEN todo.reason IS NULL THEN 'incremental' ELSE 'full' END,
              coalesce(todo.reason, 'customers that changed or came due: ' || cardinality(todo.customer_ids)), changed, passes;
END $$;
COMMENT ON FUNCTION rfm.refresh_tables(text, bigint, boolean) IS
    'Internal. Brings the stored layers of a model with storage table up to date.';

-- The first build of a model, by its maker.
CREATE FUNCTION rfm.build_model(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_partitionwise_aggregate = on AS $$
DECLARE
    s          rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    refresh_id bigint := rfm.log_start(model, 'the model was created');
BEGIN
    IF s.storage = 'table' THEN
        PERFORM rfm.refresh_tables(model, refresh_id, false);
    ELSIF s.storage = 'materialized' THEN
        EXECUTE format('REFRESH MATERIALIZED VIEW %I.profiles', model);
        PERFORM rfm.log_stage(model, refresh_id, 'profiles');
        EXECUTE format('REFRESH MATERIALIZED VIEW %I.snapshot', model);
        PERFORM rfm.log_stage(model, refresh_id, 'snapshot');
    END IF;
    PERFORM rfm.analyze_stored(model);
    PERFORM rfm.log_end(model, refresh_id, NULL);
END $$;
COMMENT ON FUNCTION rfm.build_model(text) IS 'Internal. Fills the stored layers of a new model.';

CREATE FUNCTION rfm.report_age(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    days int;
BEGIN
    EXECUTE format('SELECT as_of_date - last_order_date FROM %I.snapshot', model) INTO days;
    IF days > 90 THEN
        RAISE NOTICE 'the newest purchase is % days older than as_of: by then everyone hibernates', days
            USING HINT = 'Is the load of the order lines still running? For a static export set as_of with rfm.configure_model.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_age(text) IS 'Internal. Tells by NOTICE when the newest purchase is over 90 days older than as_of.';

-- log

-- Other sessions see the stage in pg_stat_activity. Who waits is told when it takes more than a moment.
CREATE FUNCTION rfm.report_stage(model text, stage text, percent int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('application_name', left(format('rfm_segments %s %s %% of %s', stage, percent, model), 63), true);
    IF clock_timestamp() > now() + interval '2 seconds' THEN
        RAISE NOTICE '% %% of model "%": %', percent, model, stage;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_stage(text, text, int) IS 'Internal. Shows how far a refresh has come.';

-- A refresh whose session is gone, or has gone on to another statement, has ended, too.
CREATE FUNCTION rfm.log_start(model text, reason text) RETURNS bigint
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
COMMENT ON FUNCTION rfm.log_start(text, text) IS 'Internal. Opens a row in refresh_log; its number.';

CREATE FUNCTION rfm.log_stage(model text, refresh_id bigint, stage text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('UPDATE %I.refresh_log l SET %I = extract(epoch FROM clock_timestamp() - started_at)::float8 - coalesce(wait_seconds, 0)'
        ' - coalesce(views_seconds, 0) - coalesce(profiles_seconds, 0) - coalesce(snapshot_seconds, 0) - coalesce(summaries_seconds, 0) - coalesce(history_seconds, 0)'
        ' WHERE l.refresh_id = $1', model, stage || '_seconds') USING refresh_id;
END $$;
COMMENT ON FUNCTION rfm.log_stage(text, bigint, text) IS 'Internal. Writes down in refresh_log how long a stage took that just ended.';

CREATE FUNCTION rfm.log_end(model text, refresh_id bigint, error text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settings text;
BEGIN
    BEGIN
        EXECUTE format('SELECT jsonb_strip_nulls(to_jsonb(rfm.resolve_settings(s)))::text FROM %I.settings s', model) INTO settings;
    EXCEPTION WHEN OTHERS THEN
        -- settings that cannot be used may be why the refresh failed: as they stand
        EXECUTE format('SELECT jsonb_strip_nulls(to_jsonb(s))::text FROM %I.settings s', model) INTO settings;
    END;
    EXECUTE format('UPDATE %I.refresh_log l SET finished_at = clock_timestamp(), error = $2, settings = $3,'
        ' rules = (SELECT jsonb_agg(to_jsonb(r) ORDER BY rule_order)::text FROM %1$I.segment_rules r)'
        ' WHERE l.refresh_id = $1', model) USING refresh_id, error, settings;
    IF error IS NULL AND rfm.model_relation(model, 'snapshot') IS NOT NULL THEN
        EXECUTE format('UPDATE %1$I.refresh_log l SET customers = s.customers, as_of = s.as_of, recency_cutoffs = s.recency_cutoffs::text,'
            ' frequency_cutoffs = s.frequency_cutoffs::text, monetary_cutoffs = s.monetary_cutoffs::text'
            ' FROM %2$s s WHERE l.refresh_id = $1', model, rfm.constant_row(rfm.model_relation(model, 'snapshot'))) USING refresh_id;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.log_end(text, bigint, text) IS 'Internal. Closes a row in refresh_log.';

-- refresh

CREATE FUNCTION rfm.refresh_views(model text, refresh_id bigint) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reason  text;
    storage text;
BEGIN
    PERFORM rfm.log_stage(model, refresh_id, 'wait');
    PERFORM rfm.report_stage(model, 'views', 0);
    reason := rfm.compile_model(model);
    storage := (rfm.resolve_settings(rfm.model_settings(model))).storage;
    IF storage <> 'table' THEN
        reason := coalesce(reason, 'storage is ' || storage);
        IF rfm.model_relation(model, 'changes') IS NOT NULL THEN
            EXECUTE format('DELETE FROM %I.changes', model);
        END IF;
    END IF;
    EXECUTE format('UPDATE %I.refresh_log l SET reason = $2 WHERE l.refresh_id = $1', model) USING refresh_id, reason;
    PERFORM rfm.log_stage(model, refresh_id, 'views');
    RETURN storage;
END $$;
COMMENT ON FUNCTION rfm.refresh_views(text, bigint) IS 'Internal. The first stage of a refresh; the storage of the model.';

CREATE FUNCTION rfm.read_relations(model text) RETURNS text
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
COMMENT ON FUNCTION rfm.read_relations(text) IS 'Internal. The numbers of the tables and views that a refresh of a model reads.';

CREATE PROCEDURE rfm.refresh(model text, full_rebuild boolean DEFAULT false, wait boolean DEFAULT true)
    LANGUAGE c AS 'MODULE_PATHNAME', 'rfm_refresh';
COMMENT ON PROCEDURE rfm.refresh(text, boolean, boolean) IS
    'Brings a model up to date: its views in line with settings, rules and contract relations, its stored layers with the data. After rfm.track_changes only the customers that changed are computed again; full_rebuild computes all. Readers see the old snapshot or the new one and are not blocked. Runs with the rights of the owner of the model. Called outside a transaction it logs and commits by itself. A second call waits, or with wait => false returns at once. How it went stands in refresh_log of the model. Example: CALL rfm.refresh(''shop'');';
