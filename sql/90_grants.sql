-- 90_grants: who may call what. Functions run with the rights of their caller, so that everyone may call them.

CREATE FUNCTION rfm.version() RETURNS text
    AS 'MODULE_PATHNAME', 'rfm_version' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.version() IS 'The version of the loaded library, for example 1.0.0. Example: SELECT rfm.version();';

-- readers of a model

-- The one place that says what is public: what has a comment in view_comments that does not call it internal.
CREATE FUNCTION rfm.public_relations(model text) RETURNS regclass[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ARRAY(SELECT c.oid::regclass
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
                 JOIN rfm.view_comments() d ON d.relation OPERATOR(pg_catalog.=) c.relname::pg_catalog.text
                 WHERE n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) model
                   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,p}'::"char"[])
                   AND d.column_name IS NULL AND d.comment OPERATOR(pg_catalog.!~~) 'Internal.%'
                 ORDER BY c.relname);
COMMENT ON FUNCTION rfm.public_relations(text) IS 'Internal. The relations of a model that its readers see.';

CREATE FUNCTION rfm.readers(model text) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ARRAY(SELECT CASE g.grantee WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(g.grantee)::pg_catalog.text END
                 FROM pg_catalog.pg_class c, LATERAL pg_catalog.aclexplode(c.relacl) g
                 WHERE c.oid OPERATOR(pg_catalog.=) ANY (rfm.public_relations(model)::oid[])
                   AND c.relkind OPERATOR(pg_catalog.=) 'v' AND g.privilege_type OPERATOR(pg_catalog.=) 'SELECT' AND g.grantee OPERATOR(pg_catalog.<>) c.relowner
                 GROUP BY g.grantee
                 HAVING pg_catalog.count(DISTINCT c.oid) OPERATOR(pg_catalog.=) (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class v
                     WHERE v.oid OPERATOR(pg_catalog.=) ANY (rfm.public_relations(model)::oid[]) AND v.relkind OPERATOR(pg_catalog.=) 'v')
                 ORDER BY 1);
COMMENT ON FUNCTION rfm.readers(text) IS
    'Internal. The roles to which every view that readers see of a model is granted; public stands for everyone. Such a role gets what a refresh adds.';

-- On the workers of Citus the reader reads by himself, not through the owner of the view.
CREATE FUNCTION rfm.readable_relations(model text) RETURNS regclass[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN rfm.public_relations(model) OPERATOR(pg_catalog.||) ARRAY(
        SELECT r FROM pg_catalog.unnest(ARRAY[rfm.model_relation(model, 'profiles'), rfm.model_relation(model, 'snapshot'),
                                              rfm.model_relation(model, 'segment_changes'), rfm.model_relation(model, 'scored_source')]) r
        WHERE EXISTS (SELECT FROM rfm.citus_tables(r)));
COMMENT ON FUNCTION rfm.readable_relations(text) IS 'Internal. The relations of a model that its readers need SELECT on: those they see and, where Citus has distributed them, the tables below.';

CREATE FUNCTION rfm.grant_reading(model text, roles text[]) RETURNS void
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
        FOREACH relation IN ARRAY rfm.readable_relations(model) LOOP
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
COMMENT ON FUNCTION rfm.grant_reading(text, text[]) IS 'Internal. Grants what readers of a model need.';

CREATE FUNCTION rfm.revoke_reading(model text, reader text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
    routine  regprocedure;
    grantee  text := CASE reader WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(reader) END;
BEGIN
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM %s', model, grantee);
    FOREACH relation IN ARRAY rfm.readable_relations(model) LOOP
        EXECUTE format('REVOKE SELECT ON %s FROM %s', relation, grantee);
    END LOOP;
    -- everyone may call functions, and reads nothing by that
    IF reader <> 'public' THEN
        FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM %s', routine, grantee);
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.revoke_reading(text, text) IS 'Internal. Takes back what grant_reading granted.';

CREATE FUNCTION rfm.require_reader(model text, reader text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.require_model(model);
    IF reader IS NULL THEN
        RAISE EXCEPTION 'role must not be NULL' USING ERRCODE = 'null_value_not_allowed', HINT = 'Name a role, or public for everyone.';
    END IF;
    IF reader <> 'public' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
        RAISE EXCEPTION 'role "%" does not exist', reader USING ERRCODE = 'undefined_object',
            HINT = 'Give its name as pg_roles shows it, or public for everyone.';
    END IF;
    IF EXISTS (SELECT FROM rfm.models m WHERE m.model = require_reader.model AND m.owner = reader) THEN
        RAISE EXCEPTION 'role "%" owns model "%" and may read it anyway', reader, model USING ERRCODE = 'invalid_grant_operation',
            HINT = 'Name the role that your BI tool logs in with.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.require_reader(text, text) IS 'Internal. Refuses a role that cannot be made a reader of a model, and who may not say so.';

CREATE FUNCTION rfm.grant_read(model text, role text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.require_reader(model, role);
    PERFORM rfm.as_owner(model, 'SELECT rfm.grant_reading($1, $3)', NULL, ARRAY[role]);
    -- everyone has these unless somebody took them away
    IF NOT has_schema_privilege(role, 'rfm', 'USAGE') OR EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = 'rfm' AND p.prokind <> 'p' AND NOT has_function_privilege(role, p.oid, 'EXECUTE')) THEN
        RAISE WARNING 'role "%" may not call the functions that views and functions of model "%" use', role, model
            USING HINT = format('As a superuser: GRANT USAGE ON SCHEMA rfm TO %1$s; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rfm TO %1$s;',
                                CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.grant_read(text, text) IS
    'Lets a role, public for everyone, read a model and nothing below it: its views, campaigns, texts, rules, settings and log, and its functions. Relations that a later refresh makes are granted to it, too. Example: SELECT rfm.grant_read(''shop'', ''dashboards'');';

CREATE FUNCTION rfm.revoke_read(model text, role text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.require_reader(model, role);
    PERFORM rfm.as_owner(model, 'SELECT rfm.revoke_reading($1, $3[1])', NULL, ARRAY[role]);
    IF has_schema_privilege(role, model, 'USAGE') AND has_table_privilege(role, rfm.model_relation(model, 'overview'), 'SELECT') THEN
        RAISE NOTICE 'role "%" still reads model "%"', role, model
            USING HINT = 'It is a superuser, a member of a role that reads it, or everyone does: rfm.revoke_read from that role or from public.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.revoke_read(text, text) IS 'Takes back what rfm.grant_read granted. Example: SELECT rfm.revoke_read(''shop'', ''dashboards'');';

COMMENT ON SCHEMA rfm IS 'The extension rfm_segments: customer segments from order lines. rfm.create_model makes a model, rfm.models lists them.';

GRANT USAGE ON SCHEMA rfm TO PUBLIC;
GRANT SELECT ON rfm.models TO PUBLIC;
