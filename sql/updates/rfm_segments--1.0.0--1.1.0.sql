/*
 * rfm_segments 1.0.0 to 1.1.0.
 *
 * What a part in sql/ changes since 1.0.0 is repeated here, in the order of the parts: CREATE OR REPLACE for what is
 * there, CREATE for what is new, DROP for what is gone, ALTER TYPE ... CASCADE for the types of the tables of models,
 * and COMMENT.  Signatures stay: a function with other arguments is a new one.  test/shell/upgrade.sh compares the
 * result with a fresh installation and names what is missing here.
 *
 * This script runs with the rights of a superuser when the extension is trusted, and must therefore not touch what is in
 * models, which belong to others: rfm.complete_model does so, in the first refresh of each model after the update, with
 * the rights of its owner.  The library keeps every C function that an earlier version names.
 *
 * With a release, this script is finished and the install script is copied to test/released/; the next change begins
 * sql/updates/rfm_segments--1.1.0--1.2.0.sql.
 */

\echo Use "ALTER EXTENSION rfm_segments UPDATE TO '1.1.0'" to load this file. \quit

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
COMMENT ON FUNCTION rfm.drop_objects(text) IS 'Internal. Drops a schema with what a model made in it; refused while it holds anything else.';

-- 85_refresh: the first refresh after an update brings functions and comments of a model up to date, too

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
BEGIN
    PERFORM rfm.make_functions(model, settings, grouped);
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
COMMENT ON FUNCTION rfm.compile_model(text) IS
    'Internal. Brings the views of a model in line with its settings; says so when the profiles must all be computed again.';

-- 90_grants: the first refresh after an update is no full rebuild because grants were repeated

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
        FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
            IF EXISTS (SELECT FROM unnest(roles) r WHERE NOT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) g
                    WHERE p.oid = routine AND r = CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END)) THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', routine, grantees);
            END IF;
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.grant_reading(text, text[]) IS 'Internal. Grants what readers of a model need.';
