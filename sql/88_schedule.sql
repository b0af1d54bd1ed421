-- 88_schedule: a refresh at fixed times, by pg_cron. pg_cron is not required: what needs it is dynamic SQL.

CREATE FUNCTION rfm.refresh_command(model text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('CALL rfm.refresh(%L)', model);
COMMENT ON FUNCTION rfm.refresh_command(text) IS
    'Internal. The command that refreshes a model; a bare CALL, because only then a background worker lets it commit.';

-- pg_cron keeps names of 63 bytes, for the jobs of all databases.
CREATE FUNCTION rfm.job_name(model text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := format('rfm_segments: %I.%I', current_database(), model);
BEGIN
    RETURN CASE WHEN octet_length(name) <= 63 THEN name ELSE 'rfm_segments: ' || md5(name) END;
END $$;
COMMENT ON FUNCTION rfm.job_name(text) IS 'Internal. The name of the job of pg_cron that refreshes a model.';

-- Refuses, saying what to do, where the caller cannot use pg_cron in this database.
CREATE FUNCTION rfm.require_pg_cron(model text, cron text) RETURNS void
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
COMMENT ON FUNCTION rfm.require_pg_cron(text, text) IS
    'Internal. Refuses where the caller cannot use pg_cron in this database, and says what to do instead. cron NULL: a job is to be removed.';

-- The jobs that the caller sees: his own, or those of everyone for a superuser.
CREATE FUNCTION rfm.remove_jobs(model text, except_job bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    EXECUTE 'SELECT count(cron.unschedule(j.jobid)) FROM (SELECT jobid FROM cron.job WHERE jobname::text = $1 AND database = current_database()'
        ' AND jobid IS DISTINCT FROM $2 OFFSET 0) j' INTO removed USING rfm.job_name(model), except_job;
    RETURN removed;
END $$;
COMMENT ON FUNCTION rfm.remove_jobs(text, bigint) IS 'Internal. Removes the jobs of pg_cron that refresh a model, but for one; their number.';

CREATE FUNCTION rfm.schedule(model text, cron text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    job bigint;
BEGIN
    PERFORM rfm.require_model(model);
    IF cron IS NULL THEN
        RAISE EXCEPTION 'cron must not be NULL' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'For example ''*/15 * * * *'' for every quarter of an hour; rfm.unschedule ends it.';
    END IF;
    PERFORM rfm.require_pg_cron(model, cron);
    IF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'role "%" cannot log in, as a job of it would have to', current_user USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Schedule it as a role that can log in and is a member of this one.';
    END IF;
    BEGIN
        EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job USING rfm.job_name(model), cron, rfm.refresh_command(model);
    EXCEPTION WHEN invalid_parameter_value THEN
        RAISE EXCEPTION '%', SQLERRM USING ERRCODE = SQLSTATE,
            HINT = 'Minute, hour, day of month, month, day of week, for example ''*/15 * * * *''; pg_cron 1.5 also takes ''30 seconds''.';
    END;
    PERFORM rfm.remove_jobs(model, job);
    IF (SELECT m.storage = 'view' FROM rfm.models m WHERE m.model = schedule.model) THEN
        RAISE NOTICE 'model "%" is always live: a refresh only brings changed settings and rules into force', model;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.schedule(text, text) IS
    'Refreshes a model at fixed times, through pg_cron: minute, hour, day of month, month, day of week, in the time zone of pg_cron (GMT unless set otherwise). The job runs as the caller, who needs USAGE on schema cron; it replaces the one before. Without pg_cron the error says what to do instead. Runs are in cron.job_run_details and in refresh_log of the model. Example: SELECT rfm.schedule(''shop'', ''*/15 * * * *'');';

CREATE FUNCTION rfm.unschedule(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.require_model(model);
    PERFORM rfm.require_pg_cron(model, NULL);
    IF rfm.remove_jobs(model) = 0 THEN
        RAISE NOTICE 'no job of yours refreshes model "%"', model
            USING HINT = 'The job of another role can be removed by this role or by a superuser.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.unschedule(text) IS 'Ends what rfm.schedule began: the caller''s job of pg_cron that refreshes a model, for a superuser everyone''s. Example: SELECT rfm.unschedule(''shop'');';

-- After a model was dropped: nothing here may hold that up.
CREATE FUNCTION rfm.forget_jobs(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') AND has_schema_privilege('cron', 'USAGE') THEN
        PERFORM rfm.remove_jobs(model);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'the job "%" of pg_cron may remain: %', rfm.job_name(model), SQLERRM
        USING HINT = format('SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = %L;', rfm.job_name(model));
END $$;
COMMENT ON FUNCTION rfm.forget_jobs(text) IS 'Internal. Removes the jobs of a model that is no more; a NOTICE when it cannot.';
