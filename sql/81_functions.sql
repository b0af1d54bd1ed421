-- 81_functions: the functions that a model has in its schema.

CREATE FUNCTION rfm.model_functions(model text, settings rfm.settings, grouped boolean)
    RETURNS TABLE (name text, types text, arguments text, result text, body text, comment text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM rfm.campaign_functions(model, settings);
    RETURN QUERY SELECT * FROM rfm.time_functions(model, settings, grouped);
    RETURN QUERY SELECT * FROM rfm.explain_functions(model, settings, grouped);
END $$;
COMMENT ON FUNCTION rfm.model_functions(text, rfm.settings, boolean) IS
    'Internal. The functions of a model: the types that tell them apart, arguments, result, body in PL/pgSQL and comment.';

CREATE FUNCTION rfm.own_functions(model text) RETURNS regprocedure[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ARRAY(SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
                 WHERE n.nspname OPERATOR(pg_catalog.=) model::pg_catalog.name
                   AND (pg_catalog.format('%s(%s)', p.proname, pg_catalog.oidvectortypes(p.proargtypes)) OPERATOR(pg_catalog.=) ANY (ARRAY[
                       'gateway_lift(text, text)', 'roi_sensitivity(text)', 'customers_at(timestamp without time zone)',
                       'segment_migration(timestamp without time zone, timestamp without time zone)', 'explain_customer(smallint)',
                       'explain_customer(integer)', 'explain_customer(bigint)', 'explain_customer(uuid)', 'explain_customer(text)'])
                        OR p.proname OPERATOR(pg_catalog.~) '^record_changes_[0-9]+$' AND p.pronargs OPERATOR(pg_catalog.=) 0
                        AND p.prorettype OPERATOR(pg_catalog.=) 'pg_catalog.trigger'::pg_catalog.regtype::pg_catalog.oid)
                 ORDER BY p.proname, p.oid);
COMMENT ON FUNCTION rfm.own_functions(text) IS 'Internal. The functions that a model made.';

CREATE FUNCTION rfm.function_grants(routine regprocedure) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', routine) || array_agg(format('GRANT EXECUTE ON FUNCTION %s TO %s%s', routine,
                CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END))
            FROM pg_proc p, aclexplode(p.proacl) g WHERE p.oid = routine HAVING count(*) > 0);
END $$;
COMMENT ON FUNCTION rfm.function_grants(regprocedure) IS
    'Internal. The commands that grant again what is granted on a function; NULL when its grants are as they were made.';

-- Makes or replaces the functions of a model. One that stays keeps its grants; one whose columns change is made anew, with
-- its grants; one that the settings no longer call for goes. grouped: as for the views; NULL: to be found out.
CREATE FUNCTION rfm.make_functions(model text, settings rfm.settings, grouped boolean DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    f        record;
    made     oid[] := ARRAY[]::oid[];
    routine  regprocedure;
    name     text;
    creation text;
    command  text;
    grants   text[];
BEGIN
    FOR f IN SELECT * FROM rfm.model_functions(model, settings,
                CASE WHEN settings.storage = 'view' OR rfm.is_sharded(settings) THEN coalesce(grouped, rfm.needs_grouping(model, settings)) END) LOOP
        name := format('%I.%I(%s)', model, f.name, f.types);
        creation := format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE plpgsql STABLE'
            ' SET search_path = pg_catalog, pg_temp SET jit = off AS %L', model, f.name, f.arguments, f.result, f.body);
        BEGIN
            EXECUTE creation;
        EXCEPTION WHEN invalid_function_definition THEN
            grants := rfm.function_grants(name::regprocedure);
            EXECUTE format('DROP FUNCTION %s', name);
            EXECUTE creation;
            FOREACH command IN ARRAY coalesce(grants, '{}') LOOP
                EXECUTE command;
            END LOOP;
        END;
        EXECUTE format('COMMENT ON FUNCTION %s IS %L', name, f.comment);
        made := made || name::regprocedure::oid;
    END LOOP;
    FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
        -- those of track_changes come and go with it
        IF routine::oid <> ALL (made) AND (SELECT prorettype <> 'trigger'::regtype FROM pg_proc WHERE oid = routine) THEN
            EXECUTE format('DROP FUNCTION %s', routine);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.make_functions(text, rfm.settings, boolean) IS 'Internal. Makes or replaces the functions of a model.';
