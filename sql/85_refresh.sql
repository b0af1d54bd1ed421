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

-- Makes one relation, or replaces a view in place. Stored layers are made empty.
CREATE FUNCTION rfm.make_relation(model text, storage text, name text, query text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name NOT IN ('profiles', 'snapshot') THEN
        EXECUTE format('CREATE OR REPLACE VIEW %I.%I AS %s', model, name, query);
    ELSIF rfm.model_relation(model, name) IS NULL THEN
        EXECUTE format('CREATE %s %I.%I AS %s WITH NO DATA',
                       CASE storage WHEN 'table' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END, model, name, query);
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I.%I (%s)', name || '_key', model, name,
                       CASE name WHEN 'profiles' THEN 'customer_id' ELSE 'as_of' END);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.make_relation(text, text, text, text) IS 'Internal. Makes one relation of a model, or replaces a view in place.';

CREATE FUNCTION rfm.make_relations(model text, settings rfm.settings, grouped boolean, names text[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v record;
BEGIN
    FOR v IN SELECT * FROM rfm.view_queries(model, settings, grouped) LOOP
        IF names IS NULL OR v.name = ANY (names) THEN
            PERFORM rfm.make_relation(model, settings.storage, v.name, v.query);
        END IF;
    END LOOP;
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

-- Brings the views of a model in line with its settings, rules and contract relations. A view whose SQL is unchanged is
-- not touched, so that its readers need not wait; others are replaced in place, so that grants and views of others on them
-- survive; only where columns went away or changed their type they are dropped and made again with their grants.
CREATE FUNCTION rfm.compile_model(model text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    live    rfm.settings := s;
    kind    "char" := (SELECT relkind FROM pg_class WHERE oid = rfm.model_relation(model, 'profiles'));
    grouped boolean;
    changed text[];
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
        RETURN false;
    END IF;

    BEGIN
        -- what lies below the stored layers
        PERFORM rfm.make_relations(model, live, grouped, ARRAY(
            SELECT unnest(changed) INTERSECT SELECT unnest('{valid_lines,unique_accounts,unique_products,profiles_source}'::text[])));
        -- where the layers cannot stay, the views on them are live for a moment
        IF kind <> 'r' OR s.storage <> 'table' OR rfm.relation_columns(rfm.model_relation(model, 'profiles'))
                                               <> rfm.relation_columns(rfm.model_relation(model, 'profiles_source')) THEN
            PERFORM rfm.make_relations(model, live, grouped);
            PERFORM rfm.drop_relation(rfm.model_relation(model, 'snapshot'));
            PERFORM rfm.drop_relation(rfm.model_relation(model, 'profiles'));
            changed := NULL;
        END IF;
        PERFORM rfm.make_relations(model, s, grouped, changed);
    EXCEPTION WHEN invalid_table_definition THEN
        grants := rfm.view_grants(model);
        FOR name IN EXECUTE format('SELECT name FROM %I.compiled_views WHERE position >= 0 ORDER BY position DESC', model) LOOP
            PERFORM rfm.drop_relation(rfm.model_relation(model, name));
        END LOOP;
        PERFORM rfm.make_relations(model, s, grouped);
        FOREACH command IN ARRAY grants LOOP
            EXECUTE command;
        END LOOP;
    END;

    -- views that the settings no longer call for
    FOR name IN EXECUTE format('SELECT name FROM %I.compiled_views WHERE position >= 0 AND name NOT IN'
            ' (SELECT q.name FROM rfm.view_queries($1, $2, $3) q) ORDER BY position DESC', model) USING model, s, grouped LOOP
        PERFORM rfm.drop_relation(rfm.model_relation(model, name));
    END LOOP;
    EXECUTE format('DELETE FROM %I.compiled_views WHERE position >= 0', model);
    EXECUTE format('INSERT INTO %I.compiled_views SELECT q.name, q.position, q.query'
        ' FROM rfm.view_queries($1, $2, $3) WITH ORDINALITY q(name, query, position)', model) USING model, s, grouped;
    PERFORM rfm.make_functions(model, s);
    PERFORM rfm.comment_model(model);
    RETURN true;
END $$;
COMMENT ON FUNCTION rfm.compile_model(text) IS 'Internal. Brings the views of a model in line with its settings; false when they were.';

-- data

-- Computes the profiles and writes only the differences. Goes in passes where build_memory asks for it.
CREATE FUNCTION rfm.refresh_profiles(model text, settings rfm.settings) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    profiles  regclass := rfm.model_relation(model, 'profiles');
    columns   text := rfm.column_list(profiles, '%I');
    hash_from bigint := 0;
    next_hash bigint;
    written   bigint;
    changed   bigint := 0;
BEGIN
    LOOP
        -- the row without customer_id belongs to the first pass; it tells where the next one starts
        EXECUTE format(
            'WITH diff AS MATERIALIZED ('
            ' SELECT o.old, o.old_id, n.* FROM (SELECT true AS is_new, q.* FROM (%1$s) q) n'
            ' FULL JOIN (SELECT p.ctid AS old, p.customer_id AS old_id, p.* FROM %2$s p WHERE %3$s) o ON o.customer_id = n.customer_id'
            ' WHERE n.is_new IS NULL OR o.old IS NULL OR (%4$s) IS DISTINCT FROM (%5$s)),'
            ' next AS (SELECT max(next_hash) AS hash_from FROM diff),'
            ' gone AS (DELETE FROM %2$s p USING diff d, next WHERE p.ctid = d.old AND d.is_new IS NULL'
            ' AND (next.hash_from IS NULL OR d.old_id IS NULL OR rfm.id_hash(d.old_id) < next.hash_from) RETURNING p.customer_id),'
            ' changed AS (UPDATE %2$s p SET (%6$s) = (SELECT %7$s) FROM diff d WHERE p.ctid = d.old AND d.is_new RETURNING p.customer_id),'
            ' added AS (INSERT INTO %2$s (%6$s) SELECT %7$s FROM diff d WHERE d.is_new AND d.old IS NULL'
            ' AND (d.customer_id IS NOT NULL OR %8$s = 0) RETURNING customer_id)'
            ' SELECT next.hash_from, (SELECT count(customer_id) FROM gone) + (SELECT count(*) FROM changed)'
            ' + (SELECT count(customer_id) FROM added) AS n FROM next',
            format('WITH p AS (%s) %s', rfm.profile_rows_query(model, settings, false, hash_from), rfm.profiles_query(model, settings)), profiles,
            CASE WHEN hash_from = 0 THEN 'true' ELSE format('p.customer_id IS NOT NULL AND rfm.id_hash(p.customer_id) >= %s', hash_from) END,
            rfm.column_list(profiles, 'n.%I'), rfm.column_list(profiles, 'o.%I'), columns, rfm.column_list(profiles, 'd.%I'), hash_from)
            INTO next_hash, written;
        changed := changed + written;
        EXIT WHEN next_hash IS NULL;
        hash_from := next_hash;
    END LOOP;
    IF hash_from > 0 THEN
        -- the cohorts are of all passes, the first one knew its own only
        EXECUTE format('UPDATE %1$s h SET cohorts = n.cohorts FROM (WITH p AS (SELECT * FROM %1$s) SELECT %2$s AS cohorts) n'
            ' WHERE h.customer_id IS NULL', profiles, rfm.cohorts_sql(model, settings));
    END IF;
    RETURN changed;
END $$;
COMMENT ON FUNCTION rfm.refresh_profiles(text, rfm.settings) IS
    'Internal. Brings the stored profiles of a model with storage table up to date; the number of rows written or removed.';

-- Without statistics the planner takes small tables for large ones and compiles what takes a millisecond.
CREATE FUNCTION rfm.analyze_stored(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{profiles,snapshot,campaigns,action_texts,segment_rules}'::text[] LOOP
        IF (SELECT reltuples <= 0 FROM pg_class WHERE oid = rfm.model_relation(model, name)) THEN
            EXECUTE format('ANALYZE %I.%I', model, name);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.analyze_stored(text) IS 'Internal. Analyses the tables of a model that have no statistics yet.';

CREATE FUNCTION rfm.refresh_snapshot(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    query text;
BEGIN
    EXECUTE format('SELECT query FROM %I.compiled_views WHERE name = ''snapshot''', model) INTO query;
    EXECUTE format('DELETE FROM %I.snapshot', model);
    EXECUTE format('INSERT INTO %I.snapshot %s', model, query);
    PERFORM rfm.analyze_stored(model);
END $$;
COMMENT ON FUNCTION rfm.refresh_snapshot(text) IS 'Internal. Writes the snapshot row of a model with storage table.';

CREATE FUNCTION rfm.column_list(relation regclass, pattern text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT pg_catalog.string_agg(pg_catalog.format(pattern, a.attname), ', ' ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid OPERATOR(pg_catalog.=) relation AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped);
COMMENT ON FUNCTION rfm.column_list(regclass, text) IS 'Internal. The columns of a relation, each put into a format pattern such as n.%I.';

-- The first build of a model, by its maker.
CREATE FUNCTION rfm.build_model(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    refresh bigint := rfm.log_start(model, 'the model was created');
BEGIN
    IF s.storage = 'materialized' THEN
        EXECUTE format('REFRESH MATERIALIZED VIEW %I.profiles', model);
        EXECUTE format('REFRESH MATERIALIZED VIEW %I.snapshot', model);
        PERFORM rfm.analyze_stored(model);
        PERFORM rfm.log_end(model, refresh, NULL, NULL);
    ELSIF s.storage = 'table' THEN
        PERFORM rfm.log_end(model, refresh, rfm.refresh_tables(model), NULL);
    ELSE
        PERFORM rfm.analyze_stored(model);
        PERFORM rfm.log_end(model, refresh, NULL, NULL);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.build_model(text) IS 'Internal. Fills the stored layers of a new model.';

CREATE FUNCTION rfm.refresh_tables(model text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint := rfm.refresh_profiles(model, rfm.resolve_settings(rfm.model_settings(model)));
BEGIN
    PERFORM rfm.refresh_snapshot(model);
    RETURN changed;
END $$;
COMMENT ON FUNCTION rfm.refresh_tables(text) IS 'Internal. Brings the stored layers of a model with storage table up to date; the number of profiles written or removed.';

CREATE FUNCTION rfm.report_age(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    days int;
BEGIN
    EXECUTE format('SELECT s.as_of_date - max(p.last_order_date) FROM %1$I.snapshot s, %1$I.profiles p GROUP BY s.as_of_date', model)
        INTO days;
    IF days > 90 THEN
        RAISE NOTICE 'the newest purchase is % days older than as_of: by then everyone hibernates', days
            USING HINT = 'Is the load of the order lines still running? For a static export set as_of with rfm.configure_model.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_age(text) IS 'Internal. Tells by NOTICE when the newest purchase is over 90 days older than as_of.';

-- log

CREATE FUNCTION rfm.log_start(model text, reason text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    EXECUTE format('INSERT INTO %I.refresh_log (started_at, mode, reason) VALUES (clock_timestamp(), ''full'', $1) RETURNING refresh_id',
                   model) INTO id USING reason;
    RETURN id;
END $$;
COMMENT ON FUNCTION rfm.log_start(text, text) IS 'Internal. Opens a row in refresh_log; its number.';

CREATE FUNCTION rfm.log_end(model text, refresh bigint, changed bigint, error text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    customers bigint;
    as_of     timestamptz;
BEGIN
    IF error IS NULL AND rfm.model_relation(model, 'snapshot') IS NOT NULL THEN
        EXECUTE format('SELECT (SELECT count(*) FROM %1$I.profiles WHERE orders > 0), (SELECT as_of FROM %1$I.snapshot)', model)
            INTO customers, as_of;
    END IF;
    EXECUTE format('UPDATE %I.refresh_log SET finished_at = clock_timestamp(), customers = $2, changed = $3, as_of = $4, error = $5'
        ' WHERE refresh_id = $1', model) USING refresh, customers, changed, as_of, error;
END $$;
COMMENT ON FUNCTION rfm.log_end(text, bigint, bigint, text) IS 'Internal. Closes a row in refresh_log.';

-- refresh

CREATE PROCEDURE rfm.refresh(model text, full_rebuild boolean DEFAULT false, wait boolean DEFAULT true)
    LANGUAGE c AS 'MODULE_PATHNAME', 'rfm_refresh';
COMMENT ON PROCEDURE rfm.refresh(text, boolean, boolean) IS
    'Brings a model up to date: its views in line with settings, rules and contract relations, its stored layers with the data. Readers see the old snapshot or the new one and are not blocked. Runs with the rights of the owner of the model. Called outside a transaction it logs and commits by itself. A second call waits, or with wait => false returns at once.';
