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

-- 40_profile: what postgres_fdw ships

CREATE FUNCTION rfm.instant(local timestamp, time_zone bytea) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'rfm_instant' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.instant(timestamp, bytea) IS
    'Internal. AT TIME ZONE for queries that postgres_fdw is to ship: it leaves at home what has a text, and with it a collation, that comes from no foreign column.';

CREATE FUNCTION rfm.instant(microseconds bigint) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'rfm_instant_int8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.instant(bigint) IS 'Internal. The instant so many microseconds after 2000-01-01 in UTC, as a profile_summary has it.';

-- The same with the name of the time zone as bytes: postgres_fdw ships no call with a text that comes from no foreign column.
CREATE FUNCTION rfm.profile_accum(rfm.profile_state, order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone bytea) RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_accum(rfm.profile_state, "any", "any", "any", "any", timestamptz, timestamptz, bytea) IS 'Adds a line; a step of profile.';
CREATE AGGREGATE rfm.profile(order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone bytea) (
    SFUNC = rfm.profile_accum, STYPE = rfm.profile_state, SSPACE = 256,
    FINALFUNC = rfm.profile_final, COMBINEFUNC = rfm.profile_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.profile("any", "any", "any", "any", timestamptz, timestamptz, bytea) IS
    'As profile with a time_zone of type text, for queries over foreign tables: postgres_fdw ships this one, GROUP BY and all. Example: SELECT rfm.profile(1, now(), 9.90, 7, NULL, now(), ''UTC''::bytea);';

-- What goes from server to server of a profile: the orders stay where they are.
CREATE TYPE rfm.profile_summary AS (first_order_at bigint, first_order_until bigint, second_order_at bigint,
    last_order_at bigint, orders bigint, lines bigint, revenue numeric, first_order_revenue numeric, first_product_id text);
COMMENT ON TYPE rfm.profile_summary IS
    'Internal. A profile as one small value: what unpack tells of it, without dates. Times are microseconds since 2000-01-01 in UTC, half as long as text; the id of the product is one.';
COMMENT ON COLUMN rfm.profile_summary.first_order_at IS 'First purchase line of the first order. NULL: no order.';
COMMENT ON COLUMN rfm.profile_summary.first_order_until IS 'Last purchase line of the first order. NULL: no order.';
COMMENT ON COLUMN rfm.profile_summary.second_order_at IS 'First purchase line of the second order. NULL: there is none.';
COMMENT ON COLUMN rfm.profile_summary.last_order_at IS 'Last purchase line. NULL: no order in the window.';
COMMENT ON COLUMN rfm.profile_summary.orders IS 'Orders in the window.';
COMMENT ON COLUMN rfm.profile_summary.lines IS 'Purchase lines in the window.';
COMMENT ON COLUMN rfm.profile_summary.revenue IS 'Money of the window.';
COMMENT ON COLUMN rfm.profile_summary.first_order_revenue IS 'Money of the first order. NULL: no order.';
COMMENT ON COLUMN rfm.profile_summary.first_product_id IS 'Product of the first order, as text. NULL: none.';
CREATE FUNCTION rfm.summary(profile rfm.profile_state) RETURNS rfm.profile_summary
    AS 'MODULE_PATHNAME', 'rfm_profile_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.summary(rfm.profile_state) IS 'Internal. What is known of a profile but its single orders. NULL for NULL.';

-- 44_aggregate_state: aggregates that are computed on several machines have a type for their states

CREATE TYPE rfm.aggregate_state;
CREATE FUNCTION rfm.aggregate_state_in(cstring) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_in';
CREATE FUNCTION rfm.aggregate_state_out(rfm.aggregate_state) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_out';
CREATE FUNCTION rfm.aggregate_state_recv(internal) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_recv';
CREATE FUNCTION rfm.aggregate_state_send(rfm.aggregate_state) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_send';
CREATE TYPE rfm.aggregate_state (
    INPUT = rfm.aggregate_state_in, OUTPUT = rfm.aggregate_state_out,
    RECEIVE = rfm.aggregate_state_recv, SEND = rfm.aggregate_state_send,
    INTERNALLENGTH = VARIABLE, STORAGE = extended);
COMMENT ON TYPE rfm.aggregate_state IS
'Internal. The rows that tally (of an array), gateway, cohorts or margin_rate have met so far, as they travel from one machine to another; not made to be kept: another version may not read it. As text, hexadecimal digits.';
COMMENT ON FUNCTION rfm.aggregate_state_in(cstring) IS 'Reads the text form of a state; anything else is an error.';
COMMENT ON FUNCTION rfm.aggregate_state_out(rfm.aggregate_state) IS 'The text form of a state, exact: its bytes in hexadecimal digits.';
COMMENT ON FUNCTION rfm.aggregate_state_recv(internal) IS 'Reads the binary form of a state; anything else is an error.';
COMMENT ON FUNCTION rfm.aggregate_state_send(rfm.aggregate_state) IS 'The binary form of a state, exact: its bytes.';

CREATE FUNCTION rfm.aggregate_state_combine(state rfm.aggregate_state, other rfm.aggregate_state) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_combine';
COMMENT ON FUNCTION rfm.aggregate_state_combine(rfm.aggregate_state, rfm.aggregate_state) IS
'Internal. The state of two disjoint sets of rows of one aggregate; a step of tally, gateway, cohorts and margin_rate. NULL stands for no rows; states of two aggregates are an error.';

-- 46_ledger: what postgres_fdw ships

-- The same with the name of the time zone as bytes, as for profile.
CREATE FUNCTION rfm.ledger_accum(rfm.ledger, ordered_at "any", amount "any", cost numeric, window_start timestamptz, as_of timestamptz, time_zone bytea) RETURNS rfm.ledger
    AS 'MODULE_PATHNAME', 'rfm_ledger_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.ledger_accum(rfm.ledger, "any", "any", numeric, timestamptz, timestamptz, bytea) IS 'Adds a line; a step of ledger.';
CREATE AGGREGATE rfm.ledger(ordered_at "any", amount "any", cost numeric, window_start timestamptz, as_of timestamptz, time_zone bytea) (
    SFUNC = rfm.ledger_accum, STYPE = rfm.ledger, SSPACE = 128,
    FINALFUNC = rfm.ledger_final, COMBINEFUNC = rfm.ledger_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.ledger("any", "any", numeric, timestamptz, timestamptz, bytea) IS
    'As ledger with a time_zone of type text, for queries over foreign tables: postgres_fdw ships this one, GROUP BY and all. Example: SELECT rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC''::bytea);';

-- Costs as arguments, where lines are aggregated far from the products.
CREATE FUNCTION rfm.cost_of(product_id bigint, product_ids bigint[], costs numeric[]) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_cost_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cost_of(product_id uuid, product_ids uuid[], costs numeric[]) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_cost_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cost_of(product_id text, product_ids text[], costs numeric[]) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_cost_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.cost_of(bigint, bigint[], numeric[]) IS
    'Internal. The cost of a product: what stands in costs where it stands in product_ids, which ascend. NULL for a product that is not there.';
COMMENT ON FUNCTION rfm.cost_of(uuid, uuid[], numeric[]) IS
    'Internal. The cost of a product: what stands in costs where it stands in product_ids, which ascend. NULL for a product that is not there.';
COMMENT ON FUNCTION rfm.cost_of(text, text[], numeric[]) IS
    'Internal. The cost of a product: what stands in costs where it stands in product_ids, which ascend by their bytes. NULL for a product that is not there.';

-- 46_ledger: cohorts and margin_rate with that type

CREATE FUNCTION rfm.cohorts_accum(rfm.aggregate_state, first_order_date date, ledger rfm.ledger) RETURNS rfm.aggregate_state
    AS 'MODULE_PATHNAME', 'rfm_cohorts_state_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_final(rfm.aggregate_state) RETURNS rfm.cohorts
    AS 'MODULE_PATHNAME', 'rfm_cohorts_state_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.cohorts_accum(rfm.aggregate_state, date, rfm.ledger) IS 'Adds a customer; a step of cohorts.';
COMMENT ON FUNCTION rfm.cohorts_final(rfm.aggregate_state) IS 'The last step of cohorts.';

CREATE OR REPLACE AGGREGATE rfm.cohorts(first_order_date date, ledger rfm.ledger) (
    SFUNC = rfm.cohorts_accum, STYPE = rfm.aggregate_state, SSPACE = 65536, FINALFUNC = rfm.cohorts_final,
    COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
DROP FUNCTION rfm.cohorts_accum(internal, date, rfm.ledger), rfm.cohorts_combine(internal, internal), rfm.cohorts_serialize(internal),
    rfm.cohorts_deserialize(bytea, internal), rfm.cohorts_final(internal);

CREATE FUNCTION rfm.margin_rate_accum(rfm.aggregate_state, ledger rfm.ledger) RETURNS rfm.aggregate_state
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_state_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.margin_rate_final(rfm.aggregate_state) RETURNS double precision
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_state_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.margin_rate_accum(rfm.aggregate_state, rfm.ledger) IS 'Adds a ledger; a step of margin_rate.';
COMMENT ON FUNCTION rfm.margin_rate_final(rfm.aggregate_state) IS 'The last step of margin_rate.';

CREATE OR REPLACE AGGREGATE rfm.margin_rate(ledger rfm.ledger) (
    SFUNC = rfm.margin_rate_accum, STYPE = rfm.aggregate_state, SSPACE = 256, FINALFUNC = rfm.margin_rate_final,
    COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
DROP FUNCTION rfm.margin_rate_accum(internal, rfm.ledger), rfm.margin_rate_combine(internal, internal), rfm.margin_rate_serialize(internal),
    rfm.margin_rate_deserialize(bytea, internal), rfm.margin_rate_final(internal);

-- 49_tally: of an array, with that type

CREATE FUNCTION rfm.tally_accum(state rfm.aggregate_state, segment_rank smallint, orders bigint, revenue numeric, days integer, "values" text[]) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_state_accum';
CREATE FUNCTION rfm.tally_final(state rfm.aggregate_state) RETURNS rfm.tally_row[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_state_final';
COMMENT ON FUNCTION rfm.tally_accum(rfm.aggregate_state, smallint, bigint, numeric, integer, text[]) IS 'Internal. Transition function of tally of an array.';
COMMENT ON FUNCTION rfm.tally_final(rfm.aggregate_state) IS 'Internal. Final function of tally of an array.';

CREATE AGGREGATE rfm.tally(segment_rank smallint, orders bigint, revenue numeric, days integer, "values" text[]) (
    SFUNC = rfm.tally_accum, STYPE = rfm.aggregate_state, SSPACE = 4096,
    FINALFUNC = rfm.tally_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rfm.tally(smallint, bigint, numeric, integer, text[]) IS
'Internal. What tally gives for the elements of the array as values: 1 to 32 of them, as many in all rows, NULL among them; a NULL array is an error unless segment_rank is NULL. Where an aggregate is computed on several machines, this one can be.';

-- 52_gateway: with that type

CREATE FUNCTION rfm.gateway_accum(state rfm.aggregate_state, name text, stage text, revenue numeric, revenue_after numeric, days integer, event boolean, minimum bigint) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_state_accum';
CREATE FUNCTION rfm.gateway_final(state rfm.aggregate_state) RETURNS rfm.gateway_row[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_state_final';
COMMENT ON FUNCTION rfm.gateway_accum(rfm.aggregate_state, text, text, numeric, numeric, integer, boolean, bigint) IS 'Internal. Transition function of gateway.';
COMMENT ON FUNCTION rfm.gateway_final(rfm.aggregate_state) IS 'Internal. Final function of gateway.';

CREATE OR REPLACE AGGREGATE rfm.gateway(name text, stage text, revenue numeric, revenue_after numeric, days integer, event boolean, minimum bigint) (
    SFUNC = rfm.gateway_accum, STYPE = rfm.aggregate_state, SSPACE = 65536,
    FINALFUNC = rfm.gateway_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE
);
DROP FUNCTION rfm.gateway_accum(internal, text, text, numeric, numeric, integer, boolean, bigint), rfm.gateway_combine(internal, internal),
    rfm.gateway_serialize(internal), rfm.gateway_deserialize(bytea, internal), rfm.gateway_final(internal);

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

-- 60_model: a new model tells of sharded lines

CREATE OR REPLACE FUNCTION rfm.make_model(model text, settings rfm.settings) RETURNS void
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

-- 60_model: a new model is told that its relations are distributed as it needs them

CREATE OR REPLACE FUNCTION rfm.change_settings(model text, change rfm.settings, unset text[]) RETURNS void
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

-- 65_contract: profiles of lines that are aggregated elsewhere

CREATE OR REPLACE FUNCTION rfm.profiles_query(settings rfm.settings, as_of text, lines text, accounts text, products text, ids text DEFAULT NULL) RETURNS text
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

CREATE OR REPLACE FUNCTION rfm.all_profiles_query(model text, settings rfm.settings, grouped boolean, hash_from bigint DEFAULT NULL, as_of text DEFAULT NULL,
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

-- 65_contract: of distributed lines the column of the customer stays as it is

CREATE OR REPLACE FUNCTION rfm.id_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- text ids compare by bytes, whatever the database's collation; Citus knows the column by which it distributes only as it is
    RETURN CASE WHEN rfm.column_type(relation, column_name) IS NULL THEN 'NULL::bigint'
        WHEN column_name = 'customer_id' AND EXISTS (SELECT FROM rfm.citus_tables(relation)) THEN 'x.customer_id'
        ELSE format(CASE rfm.id_type(relation, column_name) WHEN 'text' THEN 'x.%I::text COLLATE "C"' ELSE 'x.%I::%s' END,
                    column_name, rfm.id_type(relation, column_name)) END;
END $$;

CREATE OR REPLACE FUNCTION rfm.registered_sql(settings rfm.settings, is_unique boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.accounts IS NULL THEN 'NULL::bigint'
        ELSE format('(SELECT count(*) FROM (SELECT FROM %s x WHERE x.customer_id IS NOT NULL%s) u)', settings.accounts,
                    CASE WHEN NOT is_unique THEN ' GROUP BY ' || rfm.id_column(settings.accounts, 'customer_id') END) END;
END $$;

CREATE OR REPLACE FUNCTION rfm.needs_grouping(model text, settings rfm.settings) RETURNS boolean
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

CREATE OR REPLACE FUNCTION rfm.report_lines(settings rfm.settings) RETURNS void
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

-- 66_tracking: Citus allows no triggers

CREATE OR REPLACE FUNCTION rfm.untrackable(relation oid, OUT problem text, OUT code text, OUT hint text)
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

-- 67_distributed: models of order lines that Citus has distributed

--
-- Everything of a customer is computed where his lines are: the profiles are a distributed table beside the lines, and a
-- refresh writes them by one INSERT ... SELECT that the workers run whole. What is of the model as a whole, a row each, is
-- on the coordinator: the snapshot and the summaries, which the analyses read. Cut points and rules travel to the workers
-- as constants, and so does as_of. Of the customers only counts and sums come back.

-- which relations are
CREATE FUNCTION rfm.citus_tables(relation regclass) RETURNS TABLE (citus_table regclass, is_distributed boolean)
    LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
        RETURN QUERY EXECUTE 'SELECT b.source::regclass, d.partmethod = ''h'' FROM rfm.sources_below(NULL, $1, 0) b'
            ' JOIN pg_dist_partition d ON d.logicalrelid = b.source ORDER BY d.partmethod <> ''h'', b.source' USING relation;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.citus_tables(regclass) IS
    'Internal. The tables of Citus that a relation is or reads, through views, too, and whether they are distributed; reference tables are not. No rows without Citus.';

CREATE FUNCTION rfm.distributed_table(relation regclass) RETURNS regclass
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT t.citus_table FROM rfm.citus_tables(relation) t WHERE t.is_distributed LIMIT 1);
END $$;
COMMENT ON FUNCTION rfm.distributed_table(regclass) IS
    'Internal. The distributed table of Citus that a relation is or reads, through views, too; NULL when there is none.';

CREATE FUNCTION rfm.is_distributed(settings rfm.settings) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN rfm.distributed_table((settings).order_lines) IS NOT NULL;
COMMENT ON FUNCTION rfm.is_distributed(rfm.settings) IS 'Internal. Whether the order lines of a model are distributed by Citus.';

-- Citus says so in its plan: nothing is added to what the workers do, and nothing is sent to them.
CREATE FUNCTION rfm.runs_on_workers(query text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    local   text := current_setting('citus.enable_local_execution');
    line    text;
    result  boolean;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        result := coalesce(result, line ~ 'Custom Scan \(Citus Adaptive\)') AND line !~ 'Distributed Subplan';
    END LOOP;
    -- EXPLAIN turned it off until the end of the transaction
    PERFORM set_config('citus.enable_local_execution', local, true);
    RETURN result;
EXCEPTION
    WHEN feature_not_supported THEN
        RETURN false;
    WHEN internal_error THEN
        -- Citus explains nothing after it has written on the coordinator itself
        IF SQLERRM !~ 'local execution' THEN
            RAISE;
        END IF;
        RETURN NULL;
END $$;
COMMENT ON FUNCTION rfm.runs_on_workers(text) IS 'Internal. Whether Citus runs a query whole on the workers; NULL where it cannot tell in this transaction.';

CREATE FUNCTION rfm.check_distribution(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s      rfm.settings := settings;
    lines  regclass := rfm.distributed_table(s.order_lines);
    other  record;
BEGIN
    IF lines IS NULL THEN
        FOR other IN SELECT c.role, c.relation, rfm.distributed_table(c.relation) AS citus_table
                FROM (VALUES ('accounts', s.accounts), ('products', s.products), ('visits', s.visits)) c(role, relation) LOOP
            IF other.citus_table IS NOT NULL THEN
                RAISE EXCEPTION '%: % is distributed, but the order lines are not', other.role, other.citus_table USING ERRCODE = 'feature_not_supported',
                    HINT = format('Distribute the order lines, too, by their customer, or SELECT undistribute_table(%L).', other.citus_table);
            END IF;
        END LOOP;
        RETURN;
    END IF;
    IF s.storage = 'materialized' THEN
        RAISE EXCEPTION 'storage materialized is not possible with distributed order lines' USING ERRCODE = 'feature_not_supported',
            HINT = 'A materialized view is on the coordinator only: use storage => ''table'', which keeps the profiles beside the lines.';
    ELSIF s.storage = 'view' AND s.as_of IS NULL THEN
        RAISE EXCEPTION 'storage view needs an as_of with distributed order lines' USING ERRCODE = 'feature_not_supported',
            HINT = 'The moment of the query is another on each worker: set as_of, or use storage => ''table''.';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
               WHERE a.attrelid = s.order_lines AND a.attname = 'customer_id' AND NOT c.collisdeterministic) THEN
        RAISE EXCEPTION 'customer_id of % takes different texts for equal', s.order_lines USING ERRCODE = 'feature_not_supported',
            HINT = 'Distribute the lines by a column with a deterministic collation.';
    END IF;
    IF NOT rfm.runs_on_workers(format('SELECT x.customer_id, count(*) FROM %s x GROUP BY x.customer_id', s.order_lines)) THEN
        RAISE EXCEPTION 'the order lines of % are not distributed by customer', lines USING ERRCODE = 'feature_not_supported',
            HINT = format('SELECT alter_distributed_table(%L, distribution_column => ...) with the column of the customer; in a view, customer_id must be this column as it is.', lines);
    END IF;
    SELECT c.role, b.source INTO other
    FROM (VALUES ('order_lines', s.order_lines), ('accounts', s.accounts), ('products', s.products), ('visits', s.visits)) c(role, relation)
    CROSS JOIN LATERAL rfm.sources_below(NULL, c.relation, 0) b
    WHERE b.kind <> 'v' AND NOT rfm.is_system_relation(b.source) AND NOT EXISTS (SELECT FROM rfm.citus_tables(b.source::regclass)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '%: % is on the coordinator only, but the order lines are distributed', other.role, other.source::regclass USING ERRCODE = 'feature_not_supported',
            HINT = CASE other.role WHEN 'products' THEN format('SELECT create_reference_table(%L);', other.source::regclass)
                ELSE format('SELECT create_distributed_table(%L, ..., colocate_with => %L) with the column of the customer, or create_reference_table for a small table.', other.source::regclass, lines) END;
    END IF;
    FOR other IN SELECT c.role, c.relation FROM (VALUES ('accounts', s.accounts), ('visits', s.visits)) c(role, relation)
            WHERE c.relation IS NOT NULL LOOP
        IF NOT rfm.runs_on_workers(format('SELECT l.customer_id, count(*) FROM %s l JOIN %s x ON x.customer_id = l.customer_id GROUP BY l.customer_id',
                s.order_lines, other.relation)) THEN
            RAISE EXCEPTION '%: % is not distributed as the order lines are', other.role, other.relation USING ERRCODE = 'feature_not_supported',
                HINT = format('SELECT create_distributed_table(..., colocate_with => %L) with the column of the customer, or create_reference_table for a small table.', lines);
        END IF;
    END LOOP;
    IF s.products IS NOT NULL AND NOT rfm.runs_on_workers(format(
            'SELECT l.customer_id, count(*) FROM %s l JOIN %s x ON x.product_id = l.product_id GROUP BY l.customer_id', s.order_lines, s.products)) THEN
        RAISE EXCEPTION 'products: % is not on every worker', s.products USING ERRCODE = 'feature_not_supported',
            HINT = 'SELECT create_reference_table(...) puts the table below it there.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_distribution(rfm.settings) IS
    'Internal. Refuses relations that are distributed by Citus in another way than a model needs, with what to do about it.';

-- What is made on the coordinator, Citus repeats on the workers or not.
CREATE FUNCTION rfm.propagate_ddl(settings rfm.settings, value text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text;
BEGIN
    IF value IS NOT NULL AND rfm.is_distributed(settings) THEN
        before := current_setting('citus.enable_ddl_propagation');
        PERFORM set_config('citus.enable_ddl_propagation', value, true);
    END IF;
    RETURN before;
END $$;
COMMENT ON FUNCTION rfm.propagate_ddl(rfm.settings, text) IS
    'Internal. Has Citus repeat on the workers what is made (on) or not (off), until the end of the transaction; returns what it was, NULL for a model that is not distributed.';

-- Puts a table of a model where distributed order lines need it: one row per customer beside the lines, the snapshot on every
-- worker. One that is there already stays.
CREATE FUNCTION rfm.distribute_table(model text, name text, settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass := rfm.model_relation(model, name);
    lines    regclass := rfm.distributed_table(settings.order_lines);
    before   text;
BEGIN
    IF lines IS NOT NULL AND NOT EXISTS (SELECT FROM rfm.citus_tables(relation)) THEN
        before := rfm.propagate_ddl(settings, 'on');
        -- without an identity of its rows Citus moves a shard only while nobody writes
        EXECUTE format(CASE WHEN name IN ('snapshot', 'segment_changes') THEN 'ALTER TABLE %2$I.%3$I REPLICA IDENTITY FULL'
            ELSE 'ALTER TABLE %2$I.%3$I ADD CONSTRAINT %1$I PRIMARY KEY (customer_id)' END, name || '_key', model, name);
        IF name = 'snapshot' THEN
            EXECUTE 'SELECT create_reference_table($1)' USING relation;
        ELSE
            EXECUTE 'SELECT create_distributed_table($1, ''customer_id'', colocate_with => $2)' USING relation, lines::text;
        END IF;
        PERFORM rfm.propagate_ddl(settings, before);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.distribute_table(text, text, rfm.settings) IS
    'Internal. Distributes a new table of a model beside distributed order lines, or puts it on every worker; nothing where the lines are not distributed.';

-- how they are read
CREATE FUNCTION rfm.instant_sql(at timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format('%L::timestamptz', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
END $$;
COMMENT ON FUNCTION rfm.instant_sql(timestamptz) IS 'Internal. SQL of a moment, the same in every session.';

CREATE FUNCTION rfm.bytewise_sql(settings rfm.settings, id text) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE WHEN rfm.is_distributed(settings) AND rfm.id_type((settings).order_lines, 'customer_id') OPERATOR(pg_catalog.=) 'text'
                -- a varchar that is merely cast loses that on the way to the workers
                THEN pg_catalog.format('(%s || '''') COLLATE "C"', id) ELSE id END;
COMMENT ON FUNCTION rfm.bytewise_sql(rfm.settings, text) IS 'Internal. SQL of a customer_id that is stored as the distributed lines have it, as views show it: text bytewise.';

-- The profiles of all customers but for their sessions, in the columns of profiles_query. Every join is one that the
-- workers do by themselves. as_of: SQL of a constant.
CREATE FUNCTION rfm.distributed_profiles_query(settings rfm.settings, as_of text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    has_cost boolean := s.products IS NOT NULL AND rfm.column_type(s.products, 'cost') IS NOT NULL;
BEGIN
    RETURN format('SELECT g.customer_id, u.*, NULL::timestamptz AS as_of, NULL::bigint AS registered, g.ledger, NULL::timestamptz AS next_change_at,'
        ' NULL::timestamptz AS window_line_at, NULL::timestamptz AS segment_since, %s, %s,'
        ' CASE WHEN u.first_order_at IS NOT NULL THEN %s END AS sessions_after_purchase, CASE WHEN u.first_order_at IS NOT NULL THEN %3$s END AS return_sessions%s'
        ' FROM (SELECT l.customer_id, rfm.profile(l.order_id, l.ordered_at, l.amount, l.product_id, %5$s, %6$s, %7$L) AS profile,'
        ' rfm.ledger(l.ordered_at, l.amount, %8$s, %5$s, %6$s, %7$L) FILTER (WHERE l.order_id IS NOT NULL) AS ledger'
        ' FROM (%9$s) l%10$s WHERE l.customer_id IS NOT NULL GROUP BY l.customer_id) g'
        ' CROSS JOIN LATERAL rfm.unpack(g.profile, %7$L) AS u(%11$s)%12$s%13$s',
        CASE WHEN s.accounts IS NULL THEN 'NULL::text AS channel, NULL::timestamptz AS signed_up_at, false AS has_account'
             ELSE 'a.channel, a.signed_up_at, a.customer_id IS NOT NULL AS has_account' END,
        CASE WHEN s.products IS NULL THEN 'NULL::text AS first_category, NULL::text AS first_brand, NULL::text AS first_product'
             ELSE 'h.category AS first_category, h.brand AS first_brand, h.name AS first_product' END,
        CASE WHEN s.visits IS NULL THEN 'NULL::bigint' ELSE '0::bigint' END,
        (SELECT string_agg(format(', a.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)),
        rfm.window_start_sql(s, as_of), as_of, s.time_zone, CASE WHEN has_cost THEN 'c.cost' ELSE 'NULL::numeric' END,
        rfm.valid_lines_query(s, as_of),
        CASE WHEN has_cost THEN format(' LEFT JOIN (%s) c ON c.product_id = l.product_id', rfm.unique_products_query(s)) END,
        rfm.profile_columns(s),
        CASE WHEN s.accounts IS NOT NULL THEN format(' LEFT JOIN (%s) a ON a.customer_id = g.customer_id', rfm.unique_accounts_query(s)) END,
        CASE WHEN s.products IS NOT NULL THEN format(' LEFT JOIN (%s) h ON h.product_id = u.first_product_id', rfm.unique_products_query(s)) END);
END $$;
COMMENT ON FUNCTION rfm.distributed_profiles_query(rfm.settings, text) IS
    'Internal. SQL of the profiles of all customers with distributed order lines, without their sessions.';

-- profiles: SQL of a relation with customer_id, first_order_at and first_order_until.
CREATE FUNCTION rfm.distributed_visits_query(settings rfm.settings, as_of text, profiles text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s  rfm.settings := settings;
    at text := rfm.instant_column(s.visits, 'visited_at', s.time_zone);
BEGIN
    RETURN format('SELECT x.customer_id, count(DISTINCT %s) AS sessions_after_purchase,'
        ' count(DISTINCT %1$s) FILTER (WHERE %2$s > p.first_order_until) AS return_sessions'
        ' FROM %3$s x JOIN %4$s p ON p.customer_id = x.customer_id WHERE %2$s > p.first_order_at AND %2$s < %5$s GROUP BY x.customer_id',
        rfm.id_column(s.visits, 'session_id'), at, s.visits, profiles, as_of);
END $$;
COMMENT ON FUNCTION rfm.distributed_visits_query(rfm.settings, text, text) IS
    'Internal. SQL of the sessions after the first order of those customers who have any, with distributed order lines.';

-- Over these as p, the sessions, and the row of the model as a whole, in the columns of profiles_query: for what is
-- computed once and not stored. A row per customer comes to the coordinator.
CREATE FUNCTION rfm.gathered_profiles_query(settings rfm.settings, as_of text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    counted text[] := ARRAY(SELECT split_part(c, ' ', 1) FROM unnest(string_to_array(rfm.profile_columns(s), ', ')) WITH ORDINALITY u(c, i) ORDER BY i);
    added   text[] := '{channel,signed_up_at,has_account,first_category,first_brand,first_product}'::text[];
BEGIN
    RETURN format('SELECT p.customer_id, %1$s, p.as_of, p.registered, p.ledger, p.next_change_at, p.window_line_at, p.segment_since, %2$s, %3$s%4$s FROM p%5$s'
        ' UNION ALL SELECT NULL, %6$s, %7$s, %8$s, %9$s',
        (SELECT string_agg(format('p.%I', c), ', ') FROM unnest(counted) c), (SELECT string_agg(format('p.%I', c), ', ') FROM unnest(added) c),
        CASE WHEN s.visits IS NULL THEN 'p.sessions_after_purchase, p.return_sessions'
             ELSE 'coalesce(v.sessions_after_purchase, p.sessions_after_purchase) AS sessions_after_purchase, coalesce(v.return_sessions, p.return_sessions) AS return_sessions' END,
        (SELECT string_agg(format(', p.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)),
        CASE WHEN s.visits IS NOT NULL THEN format(' LEFT JOIN (%s) v ON v.customer_id = p.customer_id', rfm.distributed_visits_query(s, as_of, 'p')) END,
        (SELECT string_agg(CASE c WHEN 'revenue' THEN '0.0000' ELSE 'NULL' END, ', ') FROM unnest(counted) c), as_of, rfm.registered_sql(s),
        array_to_string(array_fill('NULL'::text, ARRAY[4 + 6 + 2 + cardinality(s.dimensions)]), ', '));
END $$;
COMMENT ON FUNCTION rfm.gathered_profiles_query(rfm.settings, text) IS
    'Internal. SQL of the profiles p of distributed order lines with their sessions, and the row of the model as a whole.';

-- Citus takes a query apart as soon as it holds anything distributed, and ends the server over some lateral joins. A view
-- that many others read is therefore planned by itself.
CREATE FUNCTION rfm.rows_of(row_type anyelement, query text) RETURNS SETOF anyelement
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE query;
END $$;
COMMENT ON FUNCTION rfm.rows_of(anyelement, text) IS 'Internal. The rows of a query, of the type of the first argument, with the rights of the caller.';

CREATE FUNCTION rfm.apart_sql(model text, name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('rfm.rows_of(NULL::%1$I.%2$I, %3$L)', model, name, pg_catalog.format('SELECT * FROM %I.%I', model, name));
COMMENT ON FUNCTION rfm.apart_sql(text, text) IS 'Internal. SQL of a relation of a model that is planned by itself.';

-- exact places in the order of all customers

-- Each pass counts the values between bounds, on the workers, and puts the bounds of the next one between those between
-- which a wanted place is. What comes back of each shard is no more than a count, the least and the greatest value between
-- two bounds, of four thousand. Numbers whose units do not fit in bigint are searched in narrower steps, since PostgreSQL
-- looks through an array of numeric one by one.
CREATE FUNCTION rfm.values_at(query text, places bigint[]) RETURNS numeric[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lows    numeric[];
    highs   numeric[];
    type    text;
    steps   int;
    bounds  numeric[];
    results numeric[];
BEGIN
    EXECUTE format('SELECT ARRAY[min(value)], ARRAY[max(value)], CASE WHEN max(abs(value)) < 9000000000000000000 THEN ''bigint'' ELSE ''numeric'' END FROM (%s) x', query)
        INTO lows, highs, type;
    IF lows[1] IS NULL THEN
        RETURN NULL;
    END IF;
    WHILE lows <> '{}' LOOP
        steps := greatest(2, CASE type WHEN 'bigint' THEN 4096 ELSE 64 END / cardinality(lows));
        bounds := ARRAY(SELECT DISTINCT u.low + div((u.high + 1 - u.low) * i, steps) AS bound
                        FROM unnest(lows, highs) u(low, high), generate_series(0, steps) i ORDER BY bound);
        EXECUTE format(
            'WITH counted AS MATERIALIZED ('
            ' SELECT width_bucket(x.value::%1$s, %2$L::%1$s[]) AS bucket, count(*) AS n, min(x.value) AS low, max(x.value) AS high FROM (%3$s) x GROUP BY 1),'
            ' placed AS (SELECT low, high, sum(n) OVER w AS until, sum(n) OVER w - n AS since FROM counted WINDOW w AS (ORDER BY bucket)),'
            ' found AS (SELECT w.i, coalesce(w.value, CASE WHEN p.low = p.high THEN p.low END) AS value, p.low, p.high'
            ' FROM unnest($1, $2) WITH ORDINALITY w(place, value, i) JOIN placed p ON w.place > p.since AND w.place <= p.until),'
            ' several AS (SELECT DISTINCT low, high FROM found WHERE value IS NULL)'
            ' SELECT (SELECT array_agg(value ORDER BY i) FROM found), ARRAY(SELECT low FROM several ORDER BY low), ARRAY(SELECT high FROM several ORDER BY low)',
            type, bounds, query) INTO results, lows, highs USING places, results;
    END LOOP;
    RETURN results;
END $$;
COMMENT ON FUNCTION rfm.values_at(text, bigint[]) IS
    'Internal. The values that stand at places, counted from 1, in the ascending order of the whole numbers value of a query over distributed tables; NULL without values.';

-- Type 7, as percentile_cutoffs: the places between which each percentile of n values is, all the lower ones first.
CREATE FUNCTION rfm.percentile_places(fractions numeric[], n bigint) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT floor((n - 1) * f)::bigint + 1 FROM unnest(fractions) WITH ORDINALITY u(f, i) ORDER BY i)
        || ARRAY(SELECT least(floor((n - 1) * f)::bigint + 2, n) FROM unnest(fractions) WITH ORDINALITY u(f, i) ORDER BY i);
END $$;
COMMENT ON FUNCTION rfm.percentile_places(numeric[], bigint) IS 'Internal. The places of the values between which percentiles of n values are.';

-- ends: what stands at these places; unit: what one of them is worth.
CREATE FUNCTION rfm.percentiles_of(ends numeric[], fractions numeric[], unit numeric, n bigint) RETURNS numeric[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF n > 0 THEN
        RETURN ARRAY(SELECT trim_scale((ends[i] + (ends[i + cardinality(fractions)] - ends[i]) * ((n - 1) * f - floor((n - 1) * f))) * unit)
                     FROM unnest(fractions) WITH ORDINALITY u(f, i) ORDER BY i);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rfm.percentiles_of(numeric[], numeric[], numeric, bigint) IS
    'Internal. The exact percentiles of n whole numbers, times unit, from what stands at percentile_places; NULL without values.';

-- As percent_sums: the last place of each percent from the richest, counted from the poorest, and that of the richest.
CREATE FUNCTION rfm.percent_places(n bigint) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT n + 1 - (p * n + 99) / 100 FROM generate_series(1, 100) p ORDER BY p) || n;
END $$;
COMMENT ON FUNCTION rfm.percent_places(bigint) IS 'Internal. The places in ascending order where each percent of n values ends, the greatest first, and that of the greatest.';

-- ends: what stands at these places; what is above them is summed up on the workers.
CREATE FUNCTION rfm.distributed_percent_sums(query text, n bigint, ends numeric[]) RETURNS numeric[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    places bigint[] := ARRAY(SELECT (p * n + 99) / 100 FROM generate_series(1, 100) p ORDER BY p);
    totals numeric[];
BEGIN
    IF n = 0 THEN
        RETURN NULL;
    END IF;
    EXECUTE format(
        'WITH counted AS MATERIALIZED (SELECT width_bucket(x.value::%1$s, %2$L::%1$s[]) AS bucket, count(*) AS n, sum(x.value) AS total FROM (%3$s) x GROUP BY 1)'
        ' SELECT ARRAY(SELECT coalesce(sum(c.total), 0) + (u.place - coalesce(sum(c.n), 0)) * u.value'
        ' FROM unnest($1, $2) WITH ORDINALITY u(place, value, p) LEFT JOIN counted c ON c.bucket > width_bucket(u.value, %2$L::numeric[])'
        ' GROUP BY u.p, u.place, u.value ORDER BY u.p)',
        CASE WHEN greatest(abs(ends[100]), abs(ends[101])) < 9000000000000000000 THEN 'bigint' ELSE 'numeric' END,
        -- a stretch of its own for each of the ends
        ARRAY(SELECT DISTINCT v + i FROM unnest(ends) v, generate_series(0, 1) i ORDER BY 1), query)
        INTO totals USING places, ends[:100];
    RETURN ARRAY(SELECT CASE WHEN places[p] > coalesce(places[p - 1], 0) THEN round((totals[p] - coalesce(totals[p - 1], 0)) / 10000, 4) END
                 FROM generate_series(1, 100) p ORDER BY p);
END $$;
COMMENT ON FUNCTION rfm.distributed_percent_sums(text, bigint, numeric[]) IS
    'Internal. The sums of the first, second ... hundredth percent of the n amounts, in units of 0.0001, value of a query over distributed tables, the greatest first; NULL without values.';

-- 68_sharded: order lines that are foreign tables, or partitions that are.
--
-- postgres_fdw ships an aggregate with its GROUP BY when nothing in it needs this server: extensions of the server name
-- this one, times are constants or parameters, texts come from foreign columns; of a partitioned table, when the partition
-- key is the customer and enable_partitionwise_aggregate is on. Then one row per customer crosses the network, and the rest
-- of the build is as always. The planner decides: is_shipped asks it.

CREATE FUNCTION rfm.foreign_lines(settings rfm.settings) RETURNS oid[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(
        WITH RECURSIVE family(relation) AS (
            SELECT b.source FROM rfm.sources_below('order_lines', settings.order_lines, NULL) b WHERE b.kind IN ('p', 'f')
            UNION
            SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.relation)
        SELECT f.relation FROM family f JOIN pg_class c ON c.oid = f.relation WHERE c.relkind = 'f' ORDER BY 1);
END $$;
COMMENT ON FUNCTION rfm.foreign_lines(rfm.settings) IS 'Internal. The foreign tables below the order lines, through views and partitions.';

CREATE FUNCTION rfm.is_sharded(settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.foreign_lines(settings) <> '{}';
END $$;
COMMENT ON FUNCTION rfm.is_sharded(rfm.settings) IS 'Internal. Whether order lines are in foreign tables.';

-- Bare columns, since a cast to another collation stays at home; only where a column takes ids for equal that differ in their
-- bytes it must be. The moments are parameters, also where they are now().
CREATE FUNCTION rfm.sharded_groups_query(settings rfm.settings, as_of text, products text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    customer text := CASE WHEN EXISTS (SELECT FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
                                       WHERE a.attrelid = s.order_lines AND a.attname = 'customer_id' AND NOT c.collisdeterministic)
                          THEN rfm.id_column(s.order_lines, 'customer_id') ELSE 'x.customer_id' END;
    product  text := CASE WHEN rfm.column_type(s.order_lines, 'product_id') IS NULL THEN 'NULL::bigint' ELSE 'x.product_id' END;
    id_type  text := CASE rfm.id_type(s.order_lines, 'product_id') WHEN 'text' THEN 'text' WHEN 'uuid' THEN 'uuid' ELSE 'bigint' END;
    moment   text := format('(SELECT %s)', as_of);
    since    text := format('(SELECT %s)', rfm.window_start_sql(s, as_of));
    zone     text := format('%L::bytea', s.time_zone);
    voided   text := CASE rfm.column_type(s.order_lines, 'voided_at')::text WHEN 'timestamp with time zone' THEN 'x.voided_at::timestamptz'
                          ELSE format('rfm.instant(x.voided_at::timestamp, %s)', zone) END;
BEGIN
    RETURN format('SELECT %s AS customer_id, rfm.summary(rfm.profile(x.order_id, x.ordered_at, x.amount, %s, %s, %s, %s)) AS profile,'
        ' rfm.ledger(x.ordered_at, x.amount, %s, %3$s, %4$s, %5$s) AS ledger, %7$s AS voided_at FROM %8$s x%9$s GROUP BY 1',
        customer, product, since, moment, zone,
        CASE WHEN s.products IS NULL OR rfm.column_type(s.products, 'cost') IS NULL THEN 'NULL::numeric'
             -- of the collation that any column has its way with
             ELSE format('rfm.cost_of(%1$s::%2$s, (SELECT array_agg(%3$s ORDER BY c.product_id) FROM %4$s c WHERE c.cost IS NOT NULL),'
                      ' (SELECT array_agg(c.cost ORDER BY c.product_id) FROM %4$s c WHERE c.cost IS NOT NULL))', product, id_type,
                  CASE id_type WHEN 'text' THEN 'c.product_id COLLATE "default"' ELSE format('c.product_id::%s', id_type) END, products) END,
        CASE WHEN rfm.column_type(s.order_lines, 'voided_at') IS NULL THEN 'NULL::timestamptz'
             ELSE format('min(%1$s) FILTER (WHERE %1$s >= %2$s AND isfinite(%1$s))', voided, moment) END,
        s.order_lines,
        rfm.where_sql(nullif(replace(rfm.counted_sql(s, moment), rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), voided), 'true'),
            'x.customer_id IS NOT NULL', 'x.order_id IS NOT NULL', 'x.ordered_at IS NOT NULL', 'x.amount IS NOT NULL'));
END $$;
COMMENT ON FUNCTION rfm.sharded_groups_query(rfm.settings, text, text) IS
    'Internal. SQL of the summary of the profile, the ledger and the next voided line by customer, in a form that postgres_fdw ships. as_of, products: SQL.';

-- Lines without customer come as they are: they are no group that a server could know alone.
CREATE FUNCTION rfm.sharded_rows_query(settings rfm.settings, as_of text, products text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    columns  text := rfm.profile_columns(s);
    id_type  text := rfm.id_type(s.order_lines, 'customer_id');
BEGIN
    RETURN format(
        'SELECT %1$s AS customer_id, t.first_order_at, t.first_order_until, rfm.local_date(t.first_order_at, %3$L) AS first_order_date,'
        ' t.second_order_at, rfm.local_date(t.second_order_at, %3$L) AS second_order_date,'
        ' t.last_order_at, rfm.local_date(t.last_order_at, %3$L) AS last_order_date, (g.profile).orders, (g.profile).lines,'
        ' (g.profile).revenue, (g.profile).first_order_revenue, (g.profile).first_product_id::%9$s AS first_product_id,'
        ' g.ledger, least(rfm.next_line_at(g.ledger), g.voided_at) AS next_change_at'
        -- OFFSET keeps the condition from becoming a HAVING that would stay here
        ' FROM (%2$s OFFSET 0) g, LATERAL (SELECT rfm.instant((g.profile).first_order_at) AS first_order_at,'
        ' rfm.instant((g.profile).first_order_until) AS first_order_until, rfm.instant((g.profile).second_order_at) AS second_order_at,'
        ' rfm.instant((g.profile).last_order_at) AS last_order_at) t WHERE (g.profile).orders IS NOT NULL'
        ' UNION ALL (SELECT u.* FROM (SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount, l.product_id, %5$s, %6$s, %3$L,'
        ' NULL, NULL, NULL::numeric, l.voided_at) AS profiles FROM (%7$s) l) g,'
        ' LATERAL rfm.unpack(g.profiles, NULL, %3$L) AS u(customer_id %8$s, %4$s, ledger rfm.ledger, next_change_at timestamptz) LIMIT 1)',
        CASE id_type WHEN 'text' THEN 'g.customer_id::text COLLATE "C"' ELSE format('g.customer_id::%s', id_type) END,
        rfm.sharded_groups_query(s, as_of, products), s.time_zone, columns, rfm.window_start_sql(s, as_of), as_of,
        rfm.valid_lines_query(s, as_of, 'x.customer_id IS NULL'), id_type, rfm.id_type(s.order_lines, 'product_id'));
END $$;
COMMENT ON FUNCTION rfm.sharded_rows_query(rfm.settings, text, text) IS
    'Internal. SQL of the profiles of sharded lines with ledger and next_change_at, as the lines alone give them.';

-- The planner takes the partitions at their word, and so would a refresh, which writes what differs.
CREATE FUNCTION rfm.refuse_twins(twins bigint) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF twins > 0 THEN
        RAISE EXCEPTION '% customers have lines on more than one shard', twins USING ERRCODE = 'cardinality_violation',
            HINT = 'A customer must be on the shard of his hash: "Sharded PostgreSQL" in the README tells how to find those who are not.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rfm.refuse_twins(bigint) IS 'Internal. Refuses customers who came from several shards; NULL when there are none.';

CREATE FUNCTION rfm.sharded_query(model text, settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- before anything else is asked of them
    RETURN (SELECT format('WITH shard_rows AS MATERIALIZED (%s), p AS (SELECT r.* FROM shard_rows r WHERE (SELECT rfm.refuse_twins('
                'count(t.customer_id) - count(DISTINCT t.customer_id)) FROM shard_rows t) IS NULL) SELECT q.*, NULL::bigint AS next_hash FROM (%s) q',
                q.profile_rows, q.profiles)
            FROM rfm.all_profiles_query(model, settings, true) q);
END $$;
COMMENT ON FUNCTION rfm.sharded_query(text, rfm.settings) IS 'Internal. SQL of all profiles of a model of sharded lines, as pass_query gives those of others.';

-- Where only some of the foreign tables ship, those lines alone come here that must.
CREATE FUNCTION rfm.shipping(settings rfm.settings, OUT scans int, OUT shipped int)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_partitionwise_aggregate = on AS $$
DECLARE
    line text;
BEGIN
    scans := 0;
    shipped := 0;
    IF rfm.is_sharded(settings) THEN
        FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || rfm.sharded_groups_query(settings, rfm.as_of_sql(settings),
                format('(SELECT NULL::%s AS product_id, NULL::numeric AS cost)', rfm.id_type(settings.products, 'product_id'))) LOOP
            scans := scans + (line ~ 'Foreign Scan')::int;
            shipped := shipped + (line ~ E'^ *Remote SQL: SELECT .*\\mrfm\\.profile\\(.* GROUP BY ')::int;
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.shipping(rfm.settings) IS
    'Internal. How many foreign tables the planner would read for the profiles, and how many of them aggregate on their own server.';

CREATE FUNCTION rfm.is_shipped(settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT s.shipped > 0 FROM rfm.shipping(settings) s);
END $$;
COMMENT ON FUNCTION rfm.is_shipped(rfm.settings) IS
    'Internal. Whether order lines are aggregated on the servers that hold them; otherwise they are fetched, each once.';

-- Why the aggregation stays here, and what to do: what the catalogue tells, or else the rest.
CREATE FUNCTION rfm.shipping_obstacle(settings rfm.settings, OUT problem text, OUT hint text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    SELECT x.problem, x.hint INTO problem, hint
    FROM unnest(rfm.foreign_lines(s)) f JOIN pg_foreign_table t ON t.ftrelid = f JOIN pg_foreign_server v ON v.oid = t.ftserver
    JOIN pg_foreign_data_wrapper w ON w.oid = v.srvfdw
    CROSS JOIN LATERAL (SELECT o.option_value FROM pg_options_to_table(v.srvoptions) o WHERE o.option_name = 'extensions'
                        UNION ALL SELECT NULL ORDER BY 1 LIMIT 1) e(extensions)
    CROSS JOIN LATERAL (VALUES
        (1, w.fdwname <> 'postgres_fdw', format('%s is a table of %s', f::regclass, w.fdwname), 'Only postgres_fdw can aggregate on the other side.'),
        (2, coalesce('rfm_segments' <> ALL (regexp_split_to_array(btrim(e.extensions), E'\\s*,\\s*')), true),
            format('server %I does not name the extension', v.srvname),
            format('With rfm_segments in that database, too: ALTER SERVER %I OPTIONS (%s extensions %L).', v.srvname,
                   CASE WHEN e.extensions IS NULL THEN 'ADD' ELSE 'SET' END, concat_ws(',', e.extensions, 'rfm_segments')))) x(place, applies, problem, hint)
    WHERE x.applies ORDER BY x.place, v.srvname, f LIMIT 1;
    IF problem IS NULL AND rfm.column_type(s.order_lines, 'status') NOT IN ('text'::regtype, 'varchar') THEN
        problem := format('status has type %s', rfm.column_type(s.order_lines, 'status'));
        hint := 'Let a view on the other side cast it to text, and read that.';
    END IF;
    IF problem IS NULL THEN
        problem := 'the planner finds no way, or none that pays';
        hint := 'The customer must be the partition key, alone, and views between may rename, not compute. See "Sharded PostgreSQL" in the README.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.shipping_obstacle(rfm.settings) IS 'Internal. Why sharded lines are not aggregated where they are, and what to do.';

CREATE FUNCTION rfm.report_shards(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n        int := cardinality(rfm.foreign_lines(settings));
    found    record;
    obstacle record;
BEGIN
    IF n > 0 THEN
        found := rfm.shipping(settings);
        IF found.shipped > 0 AND found.shipped = found.scans THEN
            RAISE NOTICE 'the lines are in % foreign %: they are aggregated there, one row per customer comes here', n,
                CASE n WHEN 1 THEN 'table' ELSE 'tables' END;
        ELSE
            obstacle := rfm.shipping_obstacle(settings);
            RAISE NOTICE 'the lines are in % foreign %, of which % aggregate on their own server: %', n,
                CASE n WHEN 1 THEN 'table' ELSE 'tables' END, found.shipped, obstacle.problem USING HINT = obstacle.hint;
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_shards(rfm.settings) IS 'Internal. Tells by NOTICE that order lines are sharded, and whether the servers that hold them aggregate them.';

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

-- 70_analyses: sums that the workers of Citus make

CREATE OR REPLACE FUNCTION rfm.snapshot_query(settings rfm.settings, profiles text, rules_sql text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN rfm.snapshot_row_query(s, rules_sql, format(
        'SELECT max(h.as_of) AS as_of, rfm.local_date(max(h.as_of), %L) AS as_of_date, max(h.registered) AS registered,'
        ' sum(h.revenue) FILTER (WHERE h.customer_id IS NULL) AS unassigned_revenue,'
        ' count(*) FILTER (WHERE h.orders > 0) AS customers, max(h.last_order_date) AS last_order_date,'
        ' rfm.margin_rate(h.ledger) FILTER (WHERE h.customer_id IS NOT NULL) AS margin_rate,'
        ' rfm.cohorts(h.first_order_date, h.ledger) FILTER (WHERE h.customer_id IS NOT NULL) AS cohorts%s%s%s FROM %s h',
        s.time_zone,
        CASE WHEN s.recency_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(date ''2000-01-01'' - h.last_order_date, %s)'
            ' FILTER (WHERE h.orders > 0) AS recency', rfm.array_sql(s.recency_fractions)) END,
        CASE WHEN s.frequency_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(h.orders, %s)'
            ' FILTER (WHERE h.orders > 0) AS frequency', rfm.array_sql(s.frequency_fractions)) END,
        CASE WHEN s.monetary_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(h.revenue, %s)'
            ' FILTER (WHERE h.orders > 0) AS monetary', rfm.array_sql(s.monetary_fractions)) END,
        profiles));
END $$;

-- What was counted of the profiles, c, in the columns of the snapshot.
CREATE FUNCTION rfm.snapshot_row_query(settings rfm.settings, rules_sql text, counted text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format(
        'SELECT c.as_of, c.as_of_date, now() AS refreshed_at, c.registered, c.unassigned_revenue,'
        ' %s AS recency_cutoffs, %s AS frequency_cutoffs, %s AS monetary_cutoffs, %s AS rules, c.margin_rate, c.cohorts, c.customers, c.last_order_date'
        ' FROM (%s) c',
        CASE WHEN s.recency_fractions IS NULL THEN rfm.array_sql(s.recency_cutoffs)
             ELSE '(SELECT array_agg(u.days + (c.as_of_date - date ''2000-01-01'') ORDER BY u.i) FROM unnest(c.recency) WITH ORDINALITY u(days, i))' END,
        CASE WHEN s.frequency_fractions IS NULL THEN rfm.array_sql(s.frequency_cutoffs)
             ELSE '(SELECT array_agg(floor(u.orders) + 1 ORDER BY u.i) FROM unnest(c.frequency) WITH ORDINALITY u(orders, i))' END,
        CASE WHEN s.monetary_fractions IS NULL THEN rfm.array_sql(s.monetary_cutoffs) ELSE 'c.monetary' END,
        rules_sql, counted);
END $$;
COMMENT ON FUNCTION rfm.snapshot_row_query(rfm.settings, text, text) IS 'Internal. SQL of the one row of the snapshot from what was counted of the profiles, a query of one row.';

-- One row: all that the analyses need of the customers, from one scan of them. scored: SQL of a relation. Columns that
-- nobody asks for cost nothing. once: what is asked for several times of a customer is computed once, which is best where
-- all columns are asked for; without it parallel workers may help to read a view. The type of the OFFSET lets the planner
-- see before planning that it is 0. Who has no rank is in no tally.
CREATE FUNCTION rfm.summaries_query(settings rfm.settings, scored text, once boolean, distributed boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    -- Citus has no way to tell an aggregate the types of any arguments
    list      text := CASE WHEN distributed THEN 'ARRAY[' ELSE '' END;
    list_end  text := CASE WHEN distributed THEN ']::text[]' ELSE '' END;
    breakdown text := (SELECT string_agg(b.value, ', ' ORDER BY b.number) FROM rfm.breakdown_values(settings) b);
    gateway   text := CASE WHEN settings.products IS NULL THEN 'NULL::rfm.gateway_row[]' ELSE
        'rfm.gateway(c.%s, c.stage, c.revenue, c.revenue_after_first_order, c.days_watched, c.has_second_order, %s) FILTER (WHERE c.orders > 0)' END;
BEGIN
    RETURN format($q$
        SELECT max(c.as_of) FILTER (WHERE c.customer_id IS NULL) AS as_of,
               max(c.refreshed_at) FILTER (WHERE c.customer_id IS NULL) AS refreshed_at,
               max(c.registered) FILTER (WHERE c.customer_id IS NULL) AS registered,
               max(c.unassigned_revenue) FILTER (WHERE c.customer_id IS NULL) AS unassigned_revenue,
               max(c.margin_rate) FILTER (WHERE c.customer_id IS NULL) AS margin_rate,
               count(*) FILTER (WHERE c.has_account AND c.first_order_date IS NOT NULL) AS buyers,
               count(*) FILTER (WHERE c.orders > 0) AS customers,
               %10$s AS percents,
               rfm.kaplan_meier(c.days_watched, c.has_second_order) FILTER (WHERE c.first_order_date IS NOT NULL) AS survival,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.recency_days, %8$sc.rfm_score%9$s) AS cells,
               %2$s AS breakdown,
               -- no return session (1) or two or three (2), and a first and only order not older than 90 days (4)
               rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL,
                         %8$sCASE WHEN c.return_sessions = 0 THEN 1 WHEN c.return_sessions IN (2, 3) THEN 2 ELSE 0 END
                         + CASE WHEN NOT c.has_second_order AND c.days_watched < 90 THEN 4 ELSE 0 END%9$s) AS audiences,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.as_of_date - c.first_order_date,
                         %8$sCASE WHEN c.return_sessions <= 1 THEN c.return_sessions WHEN c.return_sessions <= 3 THEN 2
                              WHEN c.return_sessions <= 5 THEN 3 WHEN c.return_sessions > 5 THEN 4 END,
                         CASE WHEN c.sessions_after_purchase <= 1 THEN c.sessions_after_purchase WHEN c.sessions_after_purchase <= 3 THEN 2
                              WHEN c.sessions_after_purchase <= 5 THEN 3 WHEN c.sessions_after_purchase > 5 THEN 4 END%9$s) AS activity,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.days_watched,
                         %8$sCASE WHEN c.days_watched <= 7 THEN 1 WHEN c.days_watched <= 14 THEN 2 WHEN c.days_watched <= 30 THEN 3
                              WHEN c.days_watched <= 60 THEN 4 WHEN c.days_watched <= 90 THEN 5 ELSE 6 END%9$s)
                   FILTER (WHERE c.has_second_order) AS repurchases,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL,
                         %8$sCASE WHEN c.days_to_first_order < 0 THEN 1 WHEN c.days_to_first_order = 0 THEN 2 WHEN c.days_to_first_order <= 7 THEN 3
                              WHEN c.days_to_first_order <= 30 THEN 4 WHEN c.days_to_first_order <= 90 THEN 5 WHEN c.days_to_first_order <= 365 THEN 6 ELSE 7 END%9$s)
                   FILTER (WHERE c.signed_up_at IS NOT NULL) AS first_purchases,
               %3$s AS categories, %4$s AS brands, %5$s AS products
        FROM (SELECT *, CASE WHEN orders > 0 THEN segment_rank END AS tallied_rank, second_order_date IS NOT NULL AS has_second_order,
                     coalesce(second_order_date, as_of_date) - first_order_date AS days_watched, revenue - first_order_revenue AS revenue_after_first_order,
                     first_order_date - rfm.local_date(signed_up_at, %6$L) AS days_to_first_order
              FROM %1$s%7$s) c $q$,
        scored, coalesce('rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL, ' || list || breakdown || list_end || ')', 'NULL::rfm.tally_row[]'),
        format(gateway, 'first_category', 1), format(gateway, 'first_brand', 30), format(gateway, 'first_product', 30), s.time_zone,
        CASE WHEN once THEN ' OFFSET bigint ''0''' END, list, list_end,
        CASE WHEN distributed THEN 'NULL::numeric[]' ELSE 'rfm.percent_sums(c.revenue) FILTER (WHERE c.orders > 0)' END);
END $$;
COMMENT ON FUNCTION rfm.summaries_query(rfm.settings, text, boolean, boolean) IS 'Internal. SQL of the one row of summaries over profiles with scores. distributed: of sums that the workers of Citus make, without the percents.';

CREATE OR REPLACE FUNCTION rfm.view_queries(model text, settings rfm.settings, grouped boolean) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    live      boolean := s.storage = 'view';
    distributed boolean := rfm.is_distributed(s);
    rules     text := CASE WHEN live THEN format('%L::rfm.rules', rfm.rules_in_force(model, s)) END;
BEGIN
    name := 'valid_lines';
    query := rfm.valid_lines_query(s, rfm.as_of_sql(s));
    RETURN NEXT;

    IF s.accounts IS NOT NULL THEN
        name := 'unique_accounts';
        query := rfm.unique_accounts_query(s);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'unique_products';
        query := rfm.unique_products_query(s);
        RETURN NEXT;
    END IF;

    name := 'profiles_source';
    query := (SELECT format('WITH p AS (%s) %s', q.profile_rows, q.profiles) FROM rfm.all_profiles_query(model, s, grouped) q);
    RETURN NEXT;

    IF NOT live THEN
        name := 'profiles';
        query := format('SELECT * FROM %I.profiles_source', model);
        RETURN NEXT;

        name := 'snapshot';
        query := rfm.snapshot_query(s, format('%I.profiles', model), rfm.rules_sql(model, s));
        RETURN NEXT;
    END IF;

    name := 'segment_list';
    query := format('SELECT x.segment, x.segment_rank, x.stage, x.m_min, x.m_max FROM %s',
        CASE WHEN live THEN format('rfm.rule_segments(%s) x', rules)
             ELSE format('%I.snapshot s, LATERAL rfm.rule_segments(s.rules) x', model) END);
    RETURN NEXT;

    IF live AND distributed THEN
        name := 'scored_source';
        query := rfm.live_scored_query(model, s, grouped, rules);
        RETURN NEXT;
    END IF;

    name := 'scored';
    query := CASE WHEN live AND distributed THEN 'SELECT * FROM ' || rfm.apart_sql(model, 'scored_source')
                  WHEN live THEN rfm.live_scored_query(model, s, grouped, rules)
                  -- Citus has workers of its own, and reads the snapshot once for all columns
                  ELSE rfm.scored_query(model, s, format('%I.profiles', model), CASE WHEN distributed THEN format('%I.snapshot', model) END) END;
    RETURN NEXT;

    -- those of a large model that was refreshed incrementally are not stored
    IF s.storage = 'table' THEN
        name := 'stored_summaries';
        query := rfm.summaries_query(s, format('%I.scored', model), true);
        RETURN NEXT;
    END IF;

    name := 'summaries';
    query := rfm.summaries_query(s, format('%I.scored', model), live);
    IF s.storage = 'table' THEN
        query := format(CASE WHEN distributed THEN 'SELECT * FROM %1$I.stored_summaries'
            ELSE 'SELECT * FROM %1$I.stored_summaries UNION ALL SELECT * FROM (%2$s) l WHERE NOT EXISTS (SELECT FROM %1$I.stored_summaries)' END, model, query);
    END IF;
    RETURN NEXT;

    name := 'cell_sums';
    query := rfm.cell_sums_query(model, s, grouped, rules);
    RETURN NEXT;

    IF s.storage = 'table' THEN
        name := 'segment_history';
        query := format('SELECT %4$s AS %2$s FROM %1$I.segment_changes UNION ALL SELECT %4$s AS %3$s FROM %1$I.scored WHERE orders > 0', model,
                        rfm.history_columns('valid_from', 'valid_to'), rfm.history_columns('segment_since', 'NULL::timestamptz'), rfm.bytewise_sql(s, 'customer_id'));
        RETURN NEXT;
    END IF;

    RETURN QUERY SELECT * FROM rfm.analysis_queries(model, s, rules);
    RETURN QUERY SELECT * FROM rfm.campaign_queries(model);
END $$;

CREATE OR REPLACE FUNCTION rfm.customers_query(settings rfm.settings, scored text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format($q$
        SELECT %3$s AS customer_id, channel, signed_up_at, first_order_at, second_order_at, last_order_at, orders, lines, revenue,
               revenue / orders AS average_order_value, first_product_id, first_category, recency_days, r, f, m, rfm_score,
               segment, segment_rank, sessions_after_purchase, return_sessions,
               rfm.activity_level(return_sessions) AS activity_level%2$s
        FROM %1$s
        WHERE orders > 0 $q$, scored,
        (SELECT string_agg(format(', %I', d), '' ORDER BY i) FROM unnest(settings.dimensions) WITH ORDINALITY u(d, i)),
        rfm.bytewise_sql(settings, 'customer_id'));
END $$;

CREATE OR REPLACE FUNCTION rfm.analysis_queries(model text, settings rfm.settings, rules text) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    live      boolean := s.storage = 'view';
    levels    int[] := rfm.levels(s);
    breakdown text := (SELECT string_agg(format('(%s, %L)', b.number, b.dimension), ', ' ORDER BY b.number) FROM rfm.breakdown_values(settings) b);
BEGIN
    name := 'customers';
    query := rfm.customers_query(s, format('%I.scored', model));
    RETURN NEXT;

    name := 'overview';
    query := format($q$
        WITH s AS MATERIALIZED (
            SELECT as_of, refreshed_at, registered, customers, buyers, unassigned_revenue, margin_rate, cells, percents FROM %1$I.summaries),
        -- by itself: a lateral sub-select joined with a distributed table is more than Citus can plan
        t AS (
            SELECT sum(c.customers) AS customers, sum(c.orders) AS orders, sum(c.revenue) AS revenue, sum(c.repurchased) AS repurchased,
                   sum(c.customers) FILTER (WHERE l.stage = 'vip') AS vips, sum(c.customers) FILTER (WHERE l.stage = 'risk') AS at_risk,
                   sum(c.revenue) FILTER (WHERE l.stage = 'risk') AS revenue_at_risk
            FROM s CROSS JOIN LATERAL unnest(s.cells) c JOIN %1$I.segment_list l USING (segment_rank)),
        p AS (SELECT sum(x) AS top20 FROM s CROSS JOIN LATERAL unnest(s.percents[:20]) x)
        SELECT s.as_of, s.refreshed_at, s.registered, s.customers, s.registered - s.buyers AS prospects,
               coalesce(t.orders, 0)::bigint AS orders, coalesce(t.revenue, 0) AS revenue, coalesce(s.unassigned_revenue, 0) AS unassigned_revenue,
               t.revenue / t.customers AS average_revenue, t.orders / t.customers AS average_orders,
               (t.repurchased / t.customers)::float8 AS repurchase_rate,
               (coalesce(t.vips, 0) / t.customers)::float8 AS vip_share,
               (coalesce(t.at_risk, 0) / t.customers)::float8 AS churn_risk_share,
               (coalesce(t.revenue_at_risk, 0) / nullif(t.revenue, 0))::float8 AS churn_risk_revenue_share,
               (p.top20 / nullif(t.revenue, 0))::float8 AS top20_revenue_share,
               s.margin_rate
        FROM s CROSS JOIN t CROSS JOIN p $q$, model);
    RETURN NEXT;

    name := 'segments';
    query := format($q$
        WITH grouped AS (
            SELECT segment_rank, sum(customers)::bigint AS customers, sum(revenue) AS revenue, sum(revenue) / sum(customers) AS average_revenue,
                   sum(recency_days) / sum(customers) AS average_recency_days, sum(orders) / sum(customers) AS average_orders,
                   sum(rfm_score / 100 * customers) / sum(customers) AS average_r,
                   sum(rfm_score / 10 %% 10 * customers) / sum(customers) AS average_f,
                   sum(rfm_score %% 10 * customers) / sum(customers) AS average_m
            FROM %1$I.cell_sums GROUP BY segment_rank)
        SELECT l.segment, l.segment_rank, l.stage, coalesce(g.customers, 0) AS customers,
               (coalesce(g.customers, 0) / nullif(sum(g.customers) OVER (), 0))::float8 AS customer_share,
               coalesce(g.revenue, 0) AS revenue,
               (coalesce(g.revenue, 0) / nullif(sum(g.revenue) OVER (), 0))::float8 AS revenue_share,
               g.average_revenue, g.average_recency_days, g.average_orders, g.average_r, g.average_f, g.average_m
        FROM %1$I.segment_list l LEFT JOIN grouped g USING (segment_rank)
        ORDER BY l.segment_rank $q$, model);
    RETURN NEXT;

    name := 'segment_breakdown';
    query := format($q$
        SELECT l.segment, t.segment_rank, d.dimension, t.value COLLATE "C" AS value, t.customers,
               (t.customers / sum(t.customers) OVER (PARTITION BY t.dimension, t.value COLLATE "C"))::float8 AS customer_share,
               t.revenue, t.revenue / t.customers AS average_revenue
        FROM %1$I.summaries s
        CROSS JOIN LATERAL unnest(s.breakdown) t
        JOIN (VALUES %2$s) d(number, dimension) ON d.number = t.dimension
        JOIN %1$I.segment_list l USING (segment_rank) $q$, model, coalesce(breakdown, '(0, ''none'')'));
    RETURN NEXT;

    name := 'score_cells';
    query := format($q$
        SELECT r::smallint AS r, f::smallint AS f, m::smallint AS m, rfm.segment_of(r * 100 + f * 10 + m, s.rules) AS segment,
               coalesce(g.customers, 0) AS customers, coalesce(g.revenue, 0) AS revenue
        FROM %2$s s CROSS JOIN generate_series(1, %3$s) r CROSS JOIN generate_series(1, %4$s) f CROSS JOIN generate_series(1, %5$s) m
        LEFT JOIN %1$I.cell_sums g ON g.rfm_score = r * 100 + f * 10 + m
        ORDER BY r, f, m $q$, model,
        CASE WHEN live THEN format('(SELECT %s AS rules)', rules) ELSE format('%I.snapshot', model) END,
        levels[1], levels[2], levels[3]);
    RETURN NEXT;

    name := 'pareto';
    query := format($q$
        WITH grouped AS (
            SELECT p, (p * s.customers + 99) / 100 - ((p - 1) * s.customers + 99) / 100 AS customers, s.percents[p] AS revenue
            FROM %1$I.summaries s, generate_series(1, 100) p)
        SELECT p::int AS customer_percentile, customers, coalesce(revenue, 0) AS revenue,
               (coalesce(revenue, 0) / nullif(sum(revenue) OVER (), 0))::float8 AS revenue_share,
               (coalesce(sum(revenue) OVER (ORDER BY p), 0) / nullif(sum(revenue) OVER (), 0))::float8 AS cumulative_revenue_share
        FROM grouped
        ORDER BY p $q$, model);
    RETURN NEXT;

    name := 'churn_risk';
    query := format($q$
        SELECT segment, segment_rank,
               CASE WHEN stage IN ('vip', 'loyal', 'promising') THEN 'growth' WHEN stage = 'attention' THEN 'attention'
                    WHEN stage = 'risk' THEN 'churn risk' ELSE 'other' END AS risk_group,
               customers, customer_share, revenue, revenue_share
        FROM %1$I.segments
        ORDER BY segment_rank $q$, model);
    RETURN NEXT;
    IF s.visits IS NOT NULL THEN
        name := 'promising_activity';
        query := format($q$
            WITH c AS MATERIALIZED (
                SELECT t.dimension, t.segment_rank, t.value::int + 1 AS activity_order, t.customers, t.revenue / t.customers AS average_revenue,
                       t.days / t.customers::numeric AS average_days
                FROM %1$I.summaries s, LATERAL unnest(s.activity) t)
            SELECT l.segment, l.segment_rank, a.activity_order::smallint AS activity_order, a.activity_level,
                   coalesce(o.customers, 0) AS customers,
                   (coalesce(o.customers, 0) / nullif(sum(o.customers) OVER w, 0))::float8 AS customer_share,
                   o.average_revenue,
                   o.average_revenue / nullif(first_value(o.average_revenue) OVER (w ORDER BY a.activity_order), 0) AS revenue_ratio,
                   o.average_days AS average_days_since_first_order,
                   coalesce(p.customers, 0) AS published_customers, p.average_revenue AS published_average_revenue
            FROM %1$I.segment_list l
            CROSS JOIN (VALUES (1, '0'), (2, '1'), (3, '2-3'), (4, '4-5'), (5, '6+')) a(activity_order, activity_level)
            LEFT JOIN c o ON o.dimension = 1 AND o.segment_rank = l.segment_rank AND o.activity_order = a.activity_order
            LEFT JOIN c p ON p.dimension = 2 AND p.segment_rank = l.segment_rank AND p.activity_order = a.activity_order
            WHERE l.stage = 'promising'
            WINDOW w AS (PARTITION BY l.segment_rank)
            ORDER BY l.segment_rank, a.activity_order $q$, model);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'gateway_products';
        query := format($q$
            SELECT x.level, g.name COLLATE "C" AS name, g.customers, g.vip_customers, g.promising_customers,
                   (g.vip_customers::numeric / g.customers)::float8 AS vip_share, v.low AS vip_share_low, v.high AS vip_share_high,
                   (g.vip_customers::numeric / nullif(g.vip_customers + g.promising_customers, 0))::float8 AS maturity_rate,
                   m.low AS maturity_rate_low, m.high AS maturity_rate_high,
                   g.vip_revenue / g.vip_customers AS average_vip_revenue, g.revenue / g.customers AS average_revenue,
                   g.rate AS second_order_365_rate, g.rate_low AS second_order_365_rate_low, g.rate_high AS second_order_365_rate_high,
                   g.revenue_after / g.customers AS revenue_after_first_order,
                   w.low AS revenue_after_first_order_low, w.high AS revenue_after_first_order_high
            FROM %1$I.summaries s
            CROSS JOIN LATERAL (VALUES ('category', s.categories), ('brand', s.brands), ('product', s.products)) x(level, rows)
            CROSS JOIN LATERAL unnest(x.rows) g
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.customers) v
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.vip_customers + g.promising_customers) m
            CROSS JOIN LATERAL rfm.mean_interval(g.customers, (g.revenue_after / g.customers)::float8,
                rfm.sample_variance(g.customers, g.revenue_after, g.revenue_after_squares)::float8) w
            ORDER BY x.level <> 'category', x.level, g.customers DESC, g.name COLLATE "C" $q$, model);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'gateway_moments';
        query := format($q$
            SELECT g.name COLLATE "C" AS category, g.customers,
                   g.revenue / g.customers AS average_revenue,
                   rfm.sample_variance(g.customers, g.revenue, g.revenue_squares) AS variance_revenue,
                   g.revenue_after / g.customers AS revenue_after_first_order,
                   rfm.sample_variance(g.customers, g.revenue_after, g.revenue_after_squares) AS variance_after_first_order
            FROM %1$I.summaries s, LATERAL unnest(s.categories) g $q$, model);
        RETURN NEXT;
    END IF;

    IF s.accounts IS NOT NULL THEN
        name := 'channel_maturity';
        query := format($q$
            WITH grouped AS (
                SELECT t.value COLLATE "C" AS channel, sum(t.customers)::bigint AS customers,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'vip'), 0)::bigint AS vip_customers,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'promising' AND l.m_min > 1), 0)::bigint AS promising_high,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'promising' AND l.m_min = 1), 0)::bigint AS promising_low,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage IN ('vip', 'promising')), 0)::bigint AS active_customers,
                       sum(t.revenue) FILTER (WHERE l.stage = 'vip') / sum(t.customers) FILTER (WHERE l.stage = 'vip') AS average_vip_revenue
                FROM %1$I.summaries s CROSS JOIN LATERAL unnest(s.breakdown) t JOIN %1$I.segment_list l USING (segment_rank)
                WHERE t.dimension = 1
                GROUP BY t.value COLLATE "C"),
            totals AS (SELECT sum(vip_customers) AS vip, sum(active_customers) AS active FROM grouped),
            tested AS (
                -- in each channel two cells, vip and promising, against what one common rate would give
                SELECT count(*) AS channels,
                       min(g.active_customers * least(t.vip, t.active - t.vip) / t.active) AS least_expected,
                       sum((g.vip_customers * t.active - g.active_customers * t.vip) * (g.vip_customers * t.active - g.active_customers * t.vip)
                           / nullif(g.active_customers * t.vip * (t.active - t.vip), 0)) AS statistic
                FROM grouped g, totals t WHERE g.active_customers > 0)
            SELECT g.channel, g.customers, g.vip_customers, g.promising_high, g.promising_low, g.active_customers,
                   (g.vip_customers::numeric / nullif(g.active_customers, 0))::float8 AS maturity_rate,
                   w.low AS maturity_rate_low, w.high AS maturity_rate_high, g.average_vip_revenue,
                   CASE WHEN t.channels > 1 AND t.least_expected >= 5
                        THEN rfm.chi_square_p_value(t.statistic::float8, t.channels::int - 1) END AS p_value
            FROM grouped g CROSS JOIN tested t
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.active_customers) w
            ORDER BY maturity_rate DESC NULLS LAST, g.channel $q$, model);
        RETURN NEXT;
    END IF;

    name := 'repurchase_timing';
    query := format($q$
        WITH grouped AS (
            SELECT t.segment_rank, t.value::int AS bucket_order, t.customers, t.days / t.customers::numeric AS average_days,
                   t.revenue / t.customers AS average_revenue
            FROM %1$I.summaries s, LATERAL unnest(s.repurchases) t)
        SELECT l.segment, l.segment_rank, b.bucket_order::smallint AS bucket_order, b.bucket, coalesce(g.customers, 0) AS customers,
               (coalesce(g.customers, 0) / nullif(sum(g.customers) OVER (PARTITION BY l.segment_rank), 0))::float8 AS customer_share,
               g.average_days, g.average_revenue,
               CASE WHEN b.bucket_order <= 3 THEN 'quick' WHEN b.bucket_order = 4 THEN 'medium' ELSE 'slow' END AS speed_class
        FROM %1$I.segment_list l
        CROSS JOIN (VALUES (1, '<= 7 days'), (2, '<= 14 days'), (3, '<= 30 days'), (4, '<= 60 days'), (5, '<= 90 days'), (6, '> 90 days'))
            b(bucket_order, bucket)
        LEFT JOIN grouped g USING (segment_rank, bucket_order)
        ORDER BY l.segment_rank, b.bucket_order $q$, model);
    RETURN NEXT;

    name := 'repurchase_curve';
    query := format($q$
        SELECT c.days AS days_since_first_order, c.at_risk AS customers_at_risk, c.events AS repurchased, c.censored,
               c.rate AS cumulative_repurchase_rate, c.low AS cumulative_repurchase_rate_low, c.high AS cumulative_repurchase_rate_high
        FROM %1$I.summaries s CROSS JOIN LATERAL rfm.kaplan_meier_curve(s.survival, 30) c $q$, model);
    RETURN NEXT;

    IF s.accounts IS NOT NULL THEN
        name := 'first_purchase_timing';
        query := format($q$
            WITH grouped AS (
                SELECT t.value::int AS bucket_order, sum(t.customers)::bigint AS customers, sum(t.repurchased) AS repurchased,
                       sum(t.revenue) / sum(t.customers) AS average_revenue,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'vip'), 0) AS vip_customers
                FROM %1$I.summaries s CROSS JOIN LATERAL unnest(s.first_purchases) t JOIN %1$I.segment_list l USING (segment_rank)
                GROUP BY t.value)
            SELECT b.bucket_order::smallint AS bucket_order, b.bucket, coalesce(g.customers, 0) AS customers,
                   (g.repurchased / g.customers)::float8 AS repurchase_rate, g.average_revenue,
                   (g.vip_customers / g.customers)::float8 AS vip_share
            FROM (VALUES (1, 'before sign-up'), (2, 'same day'), (3, '1-7 days'), (4, '8-30 days'), (5, '31-90 days'), (6, '91-365 days'),
                         (7, '> 365 days')) b(bucket_order, bucket)
            LEFT JOIN grouped g USING (bucket_order)
            ORDER BY b.bucket_order $q$, model);
        RETURN NEXT;
    END IF;

    name := 'cohort_retention';
    query := format($q$
        WITH c AS MATERIALIZED (
            SELECT a.cohort_month, a.month, a.active_customers, a.revenue, p.as_of_date,
                   rfm.local_date(p.as_of - interval '1 microsecond', %2$L) AS last_date
            FROM %1$s p CROSS JOIN LATERAL rfm.unpack(p.cohorts) a),
        -- in the month of the first order everyone bought
        sizes AS (
            SELECT cohort_month, as_of_date, rfm.months_between(cohort_month, last_date) AS months, active_customers AS cohort_customers
            FROM c WHERE month = cohort_month),
        active AS (
            SELECT cohort_month, greatest(0, rfm.months_between(cohort_month, month)) AS months_since,
                   sum(active_customers)::bigint AS active_customers, sum(revenue) AS revenue
            FROM c GROUP BY 1, 2)
        SELECT s.cohort_month, n AS months_since, s.cohort_customers, coalesce(a.active_customers, 0) AS active_customers,
               (coalesce(a.active_customers, 0)::numeric / s.cohort_customers)::float8 AS retention_rate,
               coalesce(a.revenue, 0) AS revenue, rfm.months_between(s.cohort_month, s.as_of_date) > n AS is_complete
        FROM sizes s
        CROSS JOIN LATERAL generate_series(0, s.months) n
        LEFT JOIN active a ON a.cohort_month = s.cohort_month AND a.months_since = n
        ORDER BY s.cohort_month, n $q$,
        format(CASE WHEN live THEN '(SELECT * FROM %I.scored WHERE customer_id IS NULL)' ELSE '%I.snapshot' END, model), s.time_zone);
    RETURN NEXT;
END $$;

CREATE OR REPLACE FUNCTION rfm.view_comments() RETURNS TABLE (relation text, column_name text, comment text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
    ('settings', NULL, 'The settings of this model, one row; NULL stands for the default. Change them with rfm.configure_model; they take effect at the next refresh.'),
    ('segment_rules', NULL, 'The segment rules of this model: the first rule, by rule_order, that holds a customer''s scores names his segment. Edit them; they take effect at the next refresh.'),
    ('segment_rules', 'rule_order', 'Place in the order in which the rules are tried; unique.'),
    ('segment_rules', 'segment', 'Name of the segment, 1 to 63 bytes. Several rules may share it.'),
    ('segment_rules', 'stage', 'What the segment is to the analyses: vip, loyal, promising, attention, risk or other. One per segment.'),
    ('segment_rules', 'r_min', 'Smallest recency score, 1 to 9.'),
    ('segment_rules', 'r_max', 'Greatest recency score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('segment_rules', 'f_min', 'Smallest frequency score, 1 to 9.'),
    ('segment_rules', 'f_max', 'Greatest frequency score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('segment_rules', 'm_min', 'Smallest monetary score, 1 to 9.'),
    ('segment_rules', 'm_max', 'Greatest monetary score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('refresh_log', NULL, 'The refreshes of this model, one row each.'),
    ('refresh_log', 'refresh_id', 'Number of the refresh, ascending.'),
    ('refresh_log', 'started_at', 'When it started.'),
    ('refresh_log', 'finished_at', 'When it ended, well or not. NULL: it runs, or its session died.'),
    ('refresh_log', 'pid', 'Process that ran it.'),
    ('refresh_log', 'mode', 'full (all profiles computed) or incremental (only those of customers who changed).'),
    ('refresh_log', 'reason', 'Why it ran in this mode. NULL: it did not come that far.'),
    ('refresh_log', 'customers', 'Customers afterwards; NULL with storage view.'),
    ('refresh_log', 'changed', 'Profiles written or removed; NULL unless storage is table.'),
    ('refresh_log', 'passes', 'Passes over the order lines that a full refresh of storage table took to keep to build_memory; NULL otherwise.'),
    ('refresh_log', 'as_of', 'Moment the snapshot stands for; NULL with storage view.'),
    ('refresh_log', 'wait_seconds', 'Seconds until it had the lock of the model.'),
    ('refresh_log', 'views_seconds', 'Seconds to bring the views in line with the settings.'),
    ('refresh_log', 'profiles_seconds', 'Seconds to compute and write the profiles.'),
    ('refresh_log', 'snapshot_seconds', 'Seconds to compute the cut points and what else is of the model as a whole.'),
    ('refresh_log', 'summaries_seconds', 'Seconds to sum up the customers for the analyses.'),
    ('refresh_log', 'history_seconds', 'Seconds to compare the segments with those before.'),
    ('refresh_log', 'recency_cutoffs', 'Cut points of recency in force, as text. NULL with storage view.'),
    ('refresh_log', 'frequency_cutoffs', 'Cut points of the number of orders in force, as text. NULL with storage view.'),
    ('refresh_log', 'monetary_cutoffs', 'Cut points of revenue in force, as text. NULL with storage view.'),
    ('refresh_log', 'settings', 'The settings in force, as JSON text.'),
    ('refresh_log', 'rules', 'The segment rules in force, as JSON text.'),
    ('refresh_log', 'error', 'What went wrong; NULL when nothing did. The old snapshot then stays.'),
    ('segment_history', NULL, 'Which segment each customer was in and when, as the refreshes saw it. One row per customer and uninterrupted stay. The values are those at the end of the stay, or now.'),
    ('segment_history', 'customer_id', 'The customer, as in the order lines.'),
    ('segment_history', 'segment', 'Name of the segment.'),
    ('segment_history', 'segment_rank', 'Place of the segment among the rules then, from 1.'),
    ('segment_history', 'r', 'Recency score, 1 is long ago, the highest recent.'),
    ('segment_history', 'f', 'Frequency score, 1 is seldom, the highest often.'),
    ('segment_history', 'm', 'Monetary score, 1 is little, the highest much.'),
    ('segment_history', 'rfm_score', 'The three scores as digits, for example 543.'),
    ('segment_history', 'recency_days', 'Days from the last purchase to the end of the stay.'),
    ('segment_history', 'orders', 'Distinct orders with a purchase in the window.'),
    ('segment_history', 'revenue', 'Revenue in the window. Money of the order lines.'),
    ('segment_history', 'valid_from', 'as_of of the refresh that saw the customer in this segment first.'),
    ('segment_history', 'valid_to', 'as_of of the refresh that no longer saw him in it. NULL: he is in it.'),
    ('segment_changes', NULL, 'Internal. The stays in a segment that have ended.'),
    ('last_build', NULL, 'Internal. One row: what the stored profiles were built from.'),
    ('next_profiles', NULL, 'Internal. With distributed order lines: where a refresh computes the profiles. Empty between refreshes.'),
    ('replaced_profiles', NULL, 'Internal. The profiles that the last refresh replaced, as they were before it; without values: customers who were not there.'),
    ('replaced_snapshot', NULL, 'Internal. The snapshot before the last refresh.'),
    ('tracked', NULL, 'Internal. The tables whose changes are recorded, one row each, by rfm.track_changes.'),
    ('tracked', 'tracked_id', 'Number in the name of the function record_changes_N that their triggers call.'),
    ('tracked', 'relation', 'The table, with its partitions.'),
    ('tracked', 'customer_column', 'Column that holds the customer. NULL: any change means a full rebuild.'),
    ('changes', NULL, 'Internal. What changed since the last refresh: a row or a few for each statement on a tracked table.'),
    ('changes', 'relation', 'OID of the table or partition that the statement was aimed at.'),
    ('changes', 'everything', 'Whether every customer may have changed.'),
    ('changes', 'customer_ids', 'The customers that changed, some perhaps twice; NULL among them stands for lines without customer.'),
    ('order_lines', NULL, 'Internal. The order lines of thelook, with the columns that a model reads.'),
    ('accounts', NULL, 'Internal. The accounts of thelook, with the columns that a model reads.'),
    ('products', NULL, 'Internal. The products of thelook, with the columns that a model reads.'),
    ('visits', NULL, 'Internal. The visits of thelook, with the columns that a model reads.'),
    ('compiled_views', NULL, 'Internal. The SQL that the views of this model were made of.'),
    ('valid_lines', NULL, 'Internal. The order lines without excluded statuses.'),
    ('unique_accounts', NULL, 'Internal. The accounts, one row per customer_id.'),
    ('unique_products', NULL, 'Internal. The products, one row per product_id.'),
    ('profiles_source', NULL, 'Internal. The profiles as they are now; the row without customer_id sums up lines without customer.'),
    ('profiles', NULL, 'Internal. The profiles as of the last refresh; the row without customer_id sums up lines without customer.'),
    ('snapshot', NULL, 'Internal. One row: as of when, the cut points and the rules in force.'),
    ('segment_list', NULL, 'Internal. The segments of the rules in force.'),
    ('summaries', NULL, 'Internal. One row: all that the analyses need of the customers.'),
    ('stored_summaries', NULL, 'Internal. The summaries as of the last refresh, or no row: then they are computed when they are read.'),
    ('cell_sums', NULL, 'Internal. The customers by score: their number and the sums of what they have. One row per score that occurs.'),
    ('scored_source', NULL, 'Internal. What scored reads, with storage view and distributed order lines.'),
    ('scored', NULL, 'Internal. The profiles with their scores, also of those without a purchase in the window.'),

    ('customers', NULL, 'The customers: everyone with a purchase in the window, with scores and segment. One row per customer.'),
    ('customers', 'customer_id', 'The customer, as in the order lines.'),
    ('customers', 'channel', 'Channel the account came from. NULL: unknown, or the model has no accounts.'),
    ('customers', 'signed_up_at', 'When the account was made. NULL: unknown, or the model has no accounts.'),
    ('customers', 'first_order_at', 'First purchase line of the first order, of all time.'),
    ('customers', 'second_order_at', 'First purchase line of the second order, of all time. NULL: there is none.'),
    ('customers', 'last_order_at', 'Last purchase line in the window.'),
    ('customers', 'orders', 'Distinct orders with a purchase in the window.'),
    ('customers', 'lines', 'Purchase lines in the window.'),
    ('customers', 'revenue', 'Sum of the amounts in the window, refunds subtracted; may be negative. Money of the order lines.'),
    ('customers', 'average_order_value', 'revenue divided by orders. Money of the order lines.'),
    ('customers', 'first_product_id', 'Product of the greatest purchase line of the first order. NULL: unknown.'),
    ('customers', 'first_category', 'Category of first_product_id. NULL: unknown, or the model has no products.'),
    ('customers', 'recency_days', 'Days from the local date of last_order_at to that of as_of.'),
    ('customers', 'r', 'Recency score, from 1 (long ago) to 5 (recent); other levels by the settings, up to 9.'),
    ('customers', 'f', 'Frequency score, from 1 to 5 (often): by default 3 is one order, 4 two, 5 more.'),
    ('customers', 'm', 'Monetary score, from 1 to 5 (much): by default 5 is the richest 5 percent.'),
    ('customers', 'rfm_score', 'The three scores r, f and m as digits, for example 543.'),
    ('customers', 'segment', 'Segment by the rules in force.'),
    ('customers', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('customers', 'sessions_after_purchase', 'Distinct sessions with a visit after the first purchase line: the published count, which mostly measures the size of the first basket. NULL: the model has no visits.'),
    ('customers', 'return_sessions', 'Distinct sessions with a visit after the last line of the first order. NULL: the model has no visits.'),
    ('customers', 'activity_level', 'return_sessions in groups: 0, 1, 2-3, 4-5, 6+. NULL: the model has no visits.'),

    ('overview', NULL, 'The key figures of the model, one row.'),
    ('overview', 'as_of', 'Moment the figures stand for.'),
    ('overview', 'refreshed_at', 'When they were computed.'),
    ('overview', 'registered', 'Accounts. NULL: the model has no accounts.'),
    ('overview', 'customers', 'Customers with a purchase in the window.'),
    ('overview', 'prospects', 'Accounts that never bought. NULL: the model has no accounts.'),
    ('overview', 'orders', 'Orders of the customers in the window.'),
    ('overview', 'revenue', 'Revenue of the customers in the window, refunds subtracted. Money of the order lines.'),
    ('overview', 'unassigned_revenue', 'Revenue of lines without customer, in no other figure. Money of the order lines.'),
    ('overview', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('overview', 'average_orders', 'Orders per customer. NULL: no customers.'),
    ('overview', 'repurchase_rate', 'Customers with at least two orders in the window, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'vip_share', 'Customers in segments of stage vip, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'churn_risk_share', 'Customers in segments of stage risk, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'churn_risk_revenue_share', 'Revenue of customers in segments of stage risk, as a share 0-1 of all, outside where refunds exceed purchases. NULL: no revenue.'),
    ('overview', 'top20_revenue_share', 'Revenue of the richest 20 percent of the customers (rounded up), as a share of all; above 1 where other customers have negative revenue. NULL: no revenue.'),
    ('overview', 'margin_rate', 'What is left of the revenue of purchase lines with a known product cost after that cost, as a share of it; negative where costs exceed revenue. NULL: no such lines.'),

    ('segments', NULL, 'The segments of the rules in force, empty ones too. One row per segment.'),
    ('segments', 'segment', 'Name of the segment.'),
    ('segments', 'segment_rank', 'Place among the rules, from 1.'),
    ('segments', 'stage', 'What the segment is: vip, loyal, promising, attention, risk or other.'),
    ('segments', 'customers', 'Customers in the segment.'),
    ('segments', 'customer_share', 'Share 0-1 of all customers. NULL: no customers.'),
    ('segments', 'revenue', 'Revenue of the segment. Money of the order lines.'),
    ('segments', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),
    ('segments', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('segments', 'average_recency_days', 'Average days since the last purchase. NULL: no customers.'),
    ('segments', 'average_orders', 'Average number of orders. NULL: no customers.'),
    ('segments', 'average_r', 'Average recency score. NULL: no customers.'),
    ('segments', 'average_f', 'Average frequency score. NULL: no customers.'),
    ('segments', 'average_m', 'Average monetary score. NULL: no customers.'),

    ('segment_breakdown', NULL, 'The segments by channel, first category and the dimensions of the model. One row per segment, dimension and value that occur together.'),
    ('segment_breakdown', 'segment', 'Name of the segment.'),
    ('segment_breakdown', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('segment_breakdown', 'dimension', 'channel, first_category, or a dimension of the settings.'),
    ('segment_breakdown', 'value', 'Value of the dimension, as text. NULL: unknown.'),
    ('segment_breakdown', 'customers', 'Customers of the segment with this value.'),
    ('segment_breakdown', 'customer_share', 'Share 0-1 of all customers with this value.'),
    ('segment_breakdown', 'revenue', 'Their revenue. Money of the order lines.'),
    ('segment_breakdown', 'average_revenue', 'Their revenue per customer. Money of the order lines.'),

    ('score_cells', NULL, 'The cube of scores, every cell, empty ones too. One row per r, f and m.'),
    ('score_cells', 'r', 'Recency score, 1 is long ago, the highest recent.'),
    ('score_cells', 'f', 'Frequency score, 1 is seldom, the highest often.'),
    ('score_cells', 'm', 'Monetary score, 1 is little, the highest much.'),
    ('score_cells', 'segment', 'Segment of the cell by the rules in force.'),
    ('score_cells', 'customers', 'Customers in the cell.'),
    ('score_cells', 'revenue', 'Their revenue. Money of the order lines.'),

    ('pareto', NULL, 'How revenue gathers among the richest customers. One row per percent of the customers, richest first.'),
    ('pareto', 'customer_percentile', 'Percent of the customers, from 1 (the richest) to 100; the first p hold the richest p percent, rounded up.'),
    ('pareto', 'customers', 'Customers of this percent.'),
    ('pareto', 'revenue', 'Their revenue. Money of the order lines.'),
    ('pareto', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),
    ('pareto', 'cumulative_revenue_share', 'Share of all revenue up to this percent; above 1 on the way where customers have negative revenue. NULL: no revenue.'),

    ('churn_risk', NULL, 'The segments by what threatens them. One row per segment.'),
    ('churn_risk', 'segment', 'Name of the segment.'),
    ('churn_risk', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('churn_risk', 'risk_group', 'growth (stages vip, loyal, promising), attention, churn risk (stage risk) or other.'),
    ('churn_risk', 'customers', 'Customers in the segment.'),
    ('churn_risk', 'customer_share', 'Share 0-1 of all customers. NULL: no customers.'),
    ('churn_risk', 'revenue', 'Revenue of the segment. Money of the order lines.'),
    ('churn_risk', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),

    ('promising_activity', NULL, 'Are promising customers who come back worth more? One row per promising segment and activity level. The columns without prefix count sessions after the last line of the first order; published_* counts sessions after its first line, as the published dashboard did: a basket of several lines logs a session per line, so that its count grows with the basket, and with it the revenue.'),
    ('promising_activity', 'segment', 'Name of the segment.'),
    ('promising_activity', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('promising_activity', 'activity_order', 'Place of the level, 1 to 5.'),
    ('promising_activity', 'activity_level', 'Sessions: 0, 1, 2-3, 4-5, 6+.'),
    ('promising_activity', 'customers', 'Customers with so many return sessions.'),
    ('promising_activity', 'customer_share', 'Share 0-1 of the segment. NULL: the segment is empty.'),
    ('promising_activity', 'average_revenue', 'Their revenue per customer. Money of the order lines. NULL: no customers.'),
    ('promising_activity', 'revenue_ratio', 'average_revenue divided by that of level 0. NULL: one of the two is missing.'),
    ('promising_activity', 'average_days_since_first_order', 'Days from the first order to as_of: who had more time had more sessions. NULL: no customers.'),
    ('promising_activity', 'published_customers', 'Customers with so many sessions after the first purchase line.'),
    ('promising_activity', 'published_average_revenue', 'Their revenue per customer. Money of the order lines. NULL: no customers.'),

    ('gateway_products', NULL, 'Which first purchase makes good customers? One row per category, brand or product of the first order; brands and products from 30 customers on. VIP needs a high amount, so that an expensive first basket makes VIPs by definition: the rate of second orders and the revenue after the first order are free of that.'),
    ('gateway_products', 'level', 'category, brand or product.'),
    ('gateway_products', 'name', 'Its name.'),
    ('gateway_products', 'customers', 'Customers whose first order it stands for.'),
    ('gateway_products', 'vip_customers', 'Of them in segments of stage vip.'),
    ('gateway_products', 'promising_customers', 'Of them in segments of stage promising.'),
    ('gateway_products', 'vip_share', 'Share 0-1 of vip_customers in customers.'),
    ('gateway_products', 'vip_share_low', 'Lower 95 percent bound (Wilson).'),
    ('gateway_products', 'vip_share_high', 'Upper 95 percent bound (Wilson).'),
    ('gateway_products', 'maturity_rate', 'vip_customers divided by vip_customers and promising_customers, 0-1. NULL: there are none.'),
    ('gateway_products', 'maturity_rate_low', 'Lower 95 percent bound (Wilson). NULL: there are none.'),
    ('gateway_products', 'maturity_rate_high', 'Upper 95 percent bound (Wilson). NULL: there are none.'),
    ('gateway_products', 'average_vip_revenue', 'Revenue per customer of vip_customers. Money of the order lines. NULL: there are none.'),
    ('gateway_products', 'average_revenue', 'Revenue per customer. Money of the order lines.'),
    ('gateway_products', 'second_order_365_rate', 'Share 0-1 with a second order within 365 days (Kaplan-Meier, so that young customers do not look unfaithful). NULL: nobody was watched that long.'),
    ('gateway_products', 'second_order_365_rate_low', 'Lower 95 percent bound (log-log). NULL: undefined.'),
    ('gateway_products', 'second_order_365_rate_high', 'Upper 95 percent bound (log-log). NULL: undefined.'),
    ('gateway_products', 'revenue_after_first_order', 'Revenue per customer without the lines of the first order. Money of the order lines.'),
    ('gateway_products', 'revenue_after_first_order_low', 'Lower 95 percent bound (Student). Money of the order lines. NULL: fewer than two customers.'),
    ('gateway_products', 'revenue_after_first_order_high', 'Upper 95 percent bound (Student). Money of the order lines. NULL: fewer than two customers.'),

    ('gateway_moments', NULL, 'What gateway_lift compares: counts, averages and variances by category of the first order. One row per category.'),
    ('gateway_moments', 'category', 'Category of the first order.'),
    ('gateway_moments', 'customers', 'Customers whose first order it stands for.'),
    ('gateway_moments', 'average_revenue', 'Revenue per customer. Money of the order lines.'),
    ('gateway_moments', 'variance_revenue', 'Sample variance of the revenue. NULL: fewer than two customers.'),
    ('gateway_moments', 'revenue_after_first_order', 'Revenue per customer without the lines of the first order. Money of the order lines.'),
    ('gateway_moments', 'variance_after_first_order', 'Sample variance of the revenue without the lines of the first order. NULL: fewer than two customers.'),

    ('channel_maturity', NULL, 'Do channels bring customers who become VIP? One row per channel.'),
    ('channel_maturity', 'channel', 'Channel of the account. NULL: unknown.'),
    ('channel_maturity', 'customers', 'Customers from this channel.'),
    ('channel_maturity', 'vip_customers', 'Of them in segments of stage vip.'),
    ('channel_maturity', 'promising_high', 'Of them in promising segments whose rule asks for a monetary score above 1.'),
    ('channel_maturity', 'promising_low', 'Of them in the other promising segments.'),
    ('channel_maturity', 'active_customers', 'vip_customers, promising_high and promising_low together.'),
    ('channel_maturity', 'maturity_rate', 'vip_customers divided by active_customers, 0-1. NULL: there are none.'),
    ('channel_maturity', 'maturity_rate_low', 'Lower 95 percent bound (Wilson). NULL: there are none.'),
    ('channel_maturity', 'maturity_rate_high', 'Upper 95 percent bound (Wilson). NULL: there are none.'),
    ('channel_maturity', 'average_vip_revenue', 'Revenue per customer of vip_customers. Money of the order lines. NULL: there are none.'),
    ('channel_maturity', 'p_value', 'How often chance alone would make the rates of all channels differ as much (chi-square), the same in every row; below 0.05 they differ. NULL: fewer than two channels with active customers, or an expected count below 5.'),

    ('repurchase_timing', NULL, 'How long do customers take to the second order? One row per segment and bucket, of customers who have one: to see how many ever do, read repurchase_curve.'),
    ('repurchase_timing', 'segment', 'Name of the segment.'),
    ('repurchase_timing', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('repurchase_timing', 'bucket_order', 'Place of the bucket, 1 to 6.'),
    ('repurchase_timing', 'bucket', 'Days from the first to the second order; each bucket begins where the one before ends.'),
    ('repurchase_timing', 'customers', 'Customers of the segment in the bucket.'),
    ('repurchase_timing', 'customer_share', 'Share 0-1 of those of the segment with a second order. NULL: there are none.'),
    ('repurchase_timing', 'average_days', 'Average days from the first to the second order. NULL: no customers.'),
    ('repurchase_timing', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('repurchase_timing', 'speed_class', 'quick (up to 30 days), medium (31 to 60) or slow.'),

    ('repurchase_curve', NULL, 'How many of all first-time buyers have ordered again after so many days (Kaplan-Meier; who has not yet counts up to as_of)? One row per day on which something happened, while at least 30 are at risk.'),
    ('repurchase_curve', 'days_since_first_order', 'Days since the first order.'),
    ('repurchase_curve', 'customers_at_risk', 'Customers without a second order at the start of the day, watched at least that long.'),
    ('repurchase_curve', 'repurchased', 'Customers with their second order on this day.'),
    ('repurchase_curve', 'censored', 'Customers without a second order whose watch ends on this day.'),
    ('repurchase_curve', 'cumulative_repurchase_rate', 'Share 0-1 with a second order up to this day.'),
    ('repurchase_curve', 'cumulative_repurchase_rate_low', 'Lower 95 percent bound (log-log). NULL: undefined.'),
    ('repurchase_curve', 'cumulative_repurchase_rate_high', 'Upper 95 percent bound (log-log). NULL: undefined.'),

    ('first_purchase_timing', NULL, 'How long after sign-up was the first order, and what became of the customers? One row per bucket; customers without a sign-up time are in none.'),
    ('first_purchase_timing', 'bucket_order', 'Place of the bucket, 1 to 7.'),
    ('first_purchase_timing', 'bucket', 'Days from sign-up to the first order.'),
    ('first_purchase_timing', 'customers', 'Customers in the bucket.'),
    ('first_purchase_timing', 'repurchase_rate', 'Share 0-1 with at least two orders in the window. NULL: no customers.'),
    ('first_purchase_timing', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('first_purchase_timing', 'vip_share', 'Share 0-1 in segments of stage vip. NULL: no customers.'),

    ('cohort_retention', NULL, 'Which customers come back, month by month? One row per month of first order and month since, of all time.'),
    ('cohort_retention', 'cohort_month', 'First day of the month of the first order.'),
    ('cohort_retention', 'months_since', 'Months since, from 0.'),
    ('cohort_retention', 'cohort_customers', 'Customers with their first order in cohort_month.'),
    ('cohort_retention', 'active_customers', 'Of them with a purchase in this month.'),
    ('cohort_retention', 'retention_rate', 'active_customers divided by cohort_customers, 0-1; 1 in month 0.'),
    ('cohort_retention', 'revenue', 'Their revenue in this month, refunds subtracted. Money of the order lines.'),
    ('cohort_retention', 'is_complete', 'Whether the month had ended at as_of.'),

    ('action_texts', NULL, 'What to do for the customers of each segment; edit and extend it, action_plan shows it at once.'),
    ('action_plan', NULL, 'Who, what and when: one row per segment of the rules in force.'),
    ('action_plan', 'segment', 'Name of the segment.'),
    ('action_plan', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('action_plan', 'stage', 'What the segment is: vip, loyal, promising, attention, risk or other.'),
    ('action_plan', 'goal', 'What the customers shall do. NULL: action_texts has no row for the segment.'),
    ('action_plan', 'action', 'What to do for it.'),
    ('action_plan', 'timing', 'When, after which trigger.'),
    ('action_plan', 'customers', 'Customers it addresses.'),
    ('action_plan', 'revenue', 'Their revenue so far. Money of the order lines.'),

    ('campaigns', NULL, 'The campaigns to be weighed, one row each: parameters only, audience and order value come from the model. Edit them; roi shows them at once.'),
    ('roi', NULL, 'What the campaigns bring and cost: one row per campaign, then a total in which each customer counts once, for the first campaign that addresses him. Shifting the budget between channels is no campaign here: read p_value in channel_maturity first.'),
    ('roi', 'campaign_order', 'Place of the campaign. NULL: the total.'),
    ('roi', 'campaign', 'Name of the campaign, or Total.'),
    ('roi', 'audience', 'Customers addressed.'),
    ('roi', 'response_rate', 'Share 0-1 of the audience that responds.'),
    ('roi', 'conversion_rate', 'Share 0-1 of those who respond that buys.'),
    ('roi', 'baseline_rate', 'Share 0-1 of those who respond that would have bought anyway.'),
    ('roi', 'order_value', 'What a buyer spends. Money of the order lines. NULL: nobody to take it from; then note says why, and what follows is NULL.'),
    ('roi', 'margin_rate', 'Margin as a share of revenue, -1 to 1.'),
    ('roi', 'responders', 'Customers who respond, expected.'),
    ('roi', 'buyers', 'Customers who buy, expected.'),
    ('roi', 'added_buyers', 'Customers who would not have bought otherwise, expected; negative where fewer buy than anyway.'),
    ('roi', 'added_revenue', 'Revenue from added_buyers. Money of the order lines.'),
    ('roi', 'gross_profit', 'margin_rate of added_revenue. Money of the order lines.'),
    ('roi', 'cost', 'Incentives for all buyers, operation, contacts and fixed cost. Money of the order lines.'),
    ('roi', 'net_profit', 'gross_profit without cost. Money of the order lines.'),
    ('roi', 'roi_percent', '100 times net_profit divided by cost. NULL: no cost.'),
    ('roi', 'roas_percent', '100 times added_revenue divided by cost. NULL: no cost.'),
    ('roi', 'break_even_conversion', 'Conversion rate 0-1 with a net_profit of 0. NULL: there is none from 0 to 1, or any would do.'),
    ('roi', 'net_profit_p05', 'Net profit that is missed in 5 percent of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'net_profit_p50', 'Median net profit of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'net_profit_p95', 'Net profit that is exceeded in 5 percent of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'probability_of_profit', 'Share 0-1 of the simulated runs with a profit. NULL: the rates are assumptions.'),
    ('roi', 'note', 'What to know before believing the row. NULL: nothing special.'))
    AS c(relation, column_name, comment);
END;

-- 70_analyses: what a refresh that began before the update may still call

CREATE OR REPLACE FUNCTION rfm.summaries_query(settings rfm.settings, scored text, once boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.summaries_query(settings, scored, once, false);
END $$;

-- 81_functions, 82_time: of sharded lines, the query by customer

CREATE OR REPLACE FUNCTION rfm.make_functions(model text, settings rfm.settings, grouped boolean DEFAULT NULL) RETURNS void
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

CREATE OR REPLACE FUNCTION rfm.query_choice(model text, settings rfm.settings, grouped boolean, one_pass text, by_customer text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.storage <> 'view' AND grouped IS NOT TRUE THEN
        format('CASE WHEN (SELECT c.reltuples * 160 > %s FROM pg_class c WHERE c.oid = rfm.model_relation(%L, ''profiles'')) THEN %L ELSE %L END',
               pg_size_bytes(settings.build_memory), model, by_customer, one_pass)
        ELSE quote_literal(CASE WHEN grouped THEN by_customer ELSE one_pass END) END;
END $$;

-- 84_explain: of distributed lines

CREATE OR REPLACE FUNCTION rfm.explain_query(model text, settings rfm.settings, grouped boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    live    boolean := s.storage = 'view';
    id      text := format('$1::%s', rfm.id_type(s.order_lines, 'customer_id'));
    ids     text := format('ARRAY[%s]', id);
    levels  int[] := rfm.levels(s);
    rules   text := CASE WHEN live THEN format('%L::rfm.rules', rfm.rules_in_force(model, s)) END;
    rows    text;
    source  text;
    lines   text;
    facts   text;
BEGIN
    IF live THEN
        IF rfm.is_distributed(s) THEN
            source := rfm.apart_sql(model, 'profiles_source');
        ELSE
            SELECT q.profile_rows, format('(%s)', q.profiles) INTO rows, source FROM rfm.all_profiles_query(model, s, grouped) q;
        END IF;
    ELSE
        source := format('%I.profiles', model);
    END IF;
    lines := format($q$
        -- as check_model has it; a line that is left out may have any amount
        SELECT x.*, CASE
                   WHEN x.order_id IS NULL THEN 'without order_id'
                   WHEN x.ordered_at IS NULL THEN 'without ordered_at'
                   WHEN NOT x.has_amount THEN 'without amount'
                   WHEN NOT x.counted THEN CASE WHEN x.voided_at IS NULL THEN format('status %%L', x.status) ELSE 'voided before as_of' END
                   WHEN x.ordered_at >= x.as_of THEN 'at or after as_of'
                   WHEN x.ordered_at < x.window_start THEN 'before the window'
                   WHEN x.amount < 0 THEN 'in revenue only' END AS reason
        FROM (SELECT %1$s::text AS order_id, %2$s AS ordered_at, x.amount IS NOT NULL AS has_amount,
                     CASE WHEN abs(x.amount::numeric) <= 922337203685476 THEN rfm.money(x.amount) END AS amount, %3$s AS status,
                     %4$s::text AS product_id, %5$s AS voided_at, %6$s AS counted, s.as_of, %7$s AS window_start
              FROM %8$s x CROSS JOIN s WHERE %9$s) x $q$,
        rfm.id_column(s.order_lines, 'order_id'), rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone),
        rfm.text_column(s.order_lines, 'status'), rfm.id_column(s.order_lines, 'product_id'),
        rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), rfm.counted_sql(s, 's.as_of'), rfm.window_start_sql(s, 's.as_of'),
        s.order_lines, rfm.ids_sql(s.order_lines, 'customer_id', ids));

    facts := format($q$
        %1$s
        s AS MATERIALIZED (
            SELECT x.as_of, x.as_of_date, x.refreshed_at, x.recency_cutoffs, x.frequency_cutoffs, x.monetary_cutoffs, x.rules,
                   x.as_of_date - rfm.local_date(x.as_of - interval '1 microsecond', %2$L) AS order_days
            FROM %3$s x),
        p1 AS MATERIALIZED (
            SELECT x.channel, x.signed_up_at, x.first_order_at, x.second_order_at, x.last_order_at, x.last_order_date,
                   coalesce(x.orders, 0) AS orders, coalesce(x.lines, 0) AS lines, coalesce(x.revenue, 0) AS revenue, x.segment_since
            FROM %4$s x WHERE x.customer_id = %5$s),
        a AS (%6$s),
        l AS MATERIALIZED (%7$s),
        -- what the lines say now
        n AS (
            SELECT count(*) AS all_lines, count(DISTINCT order_id) FILTER (WHERE reason IS NULL) AS orders,
                   count(*) FILTER (WHERE reason IS NULL) AS lines,
                   coalesce(sum(amount) FILTER (WHERE reason IS NULL OR reason = 'in revenue only'), 0) AS revenue,
                   min(ordered_at) FILTER (WHERE reason IS NULL OR reason = 'before the window' AND amount >= 0) AS first_order_at,
                   max(ordered_at) FILTER (WHERE reason IS NULL) AS last_order_at,
                   min(ordered_at) FILTER (WHERE reason IS NULL OR reason = 'in revenue only') AS window_line_at
            FROM l),
        r AS (
            SELECT reason, count(*) AS lines, coalesce(sum(amount), 0) AS money,
                   row_number() OVER (ORDER BY reason = 'in revenue only', reason = 'before the window', reason COLLATE "C") AS place
            FROM l WHERE reason IS NOT NULL GROUP BY reason),
        -- he, known to the lines, the accounts or the model
        c AS MATERIALIZED (
            SELECT s.*, n.all_lines, n.orders AS orders_now, n.lines AS lines_now, n.revenue AS revenue_now, n.first_order_at AS first_order_now,
                   n.last_order_at AS last_order_now, n.window_line_at, coalesce(p1.orders, 0) AS orders, coalesce(p1.lines, 0) AS lines,
                   coalesce(p1.revenue, 0) AS revenue, p1.first_order_at, p1.second_order_at, p1.last_order_at, p1.last_order_date, p1.segment_since,
                   coalesce(p1.channel, a.channel) AS channel, coalesce(p1.signed_up_at, a.signed_up_at) AS signed_up_at
            FROM s CROSS JOIN n LEFT JOIN p1 ON true LEFT JOIN a ON true
            WHERE n.all_lines > 0 OR p1.orders IS NOT NULL OR a.customer_id IS NOT NULL),
        -- scored, when he is a customer
        k AS MATERIALIZED (
            SELECT c.*, c.as_of_date - c.last_order_date AS days, rfm.recency_score(c.as_of_date - c.last_order_date, c.recency_cutoffs) AS r,
                   rfm.frequency_score(c.orders, c.frequency_cutoffs) AS f, rfm.monetary_score(c.revenue, c.monetary_cutoffs) AS m
            FROM c WHERE c.orders > 0),
        g AS MATERIALIZED (
            SELECT k.*, rfm.segment_of(x.cell, k.rules) AS segment, rfm.segment_rank(x.cell, k.rules) AS segment_rank,
                   rfm.segment_stage(x.cell, k.rules) AS stage, x.cell
            FROM k CROSS JOIN LATERAL (SELECT k.r * 100 + k.f * 10 + k.m AS cell) x),
        t AS (
            SELECT t.*, x.fits,
                   min(t.rule_order) FILTER (WHERE x.fits) OVER () AS fired
            FROM g CROSS JOIN %8$I.segment_rules t CROSS JOIN LATERAL (
                SELECT g.r BETWEEN t.r_min AND t.r_max AND g.f BETWEEN t.f_min AND t.f_max AND g.m BETWEEN t.m_min AND t.m_max AS fits) x),
        edited AS (
            SELECT count(*) AS cells FROM s CROSS JOIN generate_series(1, %9$s) r CROSS JOIN generate_series(1, %10$s) f CROSS JOIN generate_series(1, %11$s) m
            WHERE rfm.segment_of(r * 100 + f * 10 + m, s.rules) <> coalesce((SELECT t.segment FROM %8$I.segment_rules t
                WHERE r BETWEEN t.r_min AND t.r_max AND f BETWEEN t.f_min AND t.f_max AND m BETWEEN t.m_min AND t.m_max
                ORDER BY t.rule_order LIMIT 1), 'Others')),
        b AS (
            SELECT row_number() OVER (ORDER BY x.further_orders, x.amount, x.better_rank) AS place, x.* FROM (
                SELECT x.* FROM c LEFT JOIN g ON true CROSS JOIN LATERAL rfm.better_segments(c.orders, c.revenue, c.order_days, g.segment_rank,
                    c.recency_cutoffs, c.frequency_cutoffs, c.monetary_cutoffs, c.rules) x) x),
        w AS (
            SELECT x.days, x.segment, g.last_order_date + x.days AS date, rfm.leaves_window(g.window_line_at, %12$L::interval, %2$L) AS line_leaves,
                   rfm.leaves_window(g.last_order_at, %12$L::interval, %2$L) AS last_leaves
            FROM g CROSS JOIN LATERAL rfm.worse_segment(g.days, g.f, g.m, g.recency_cutoffs, g.rules) x) $q$,
        CASE WHEN rows IS NOT NULL THEN format('p AS MATERIALIZED (%s),', rows) END, s.time_zone,
        CASE WHEN live THEN format('(%s)', rfm.snapshot_query(s, source, rules)) ELSE format('%I.snapshot', model) END,
        source, id,
        CASE WHEN s.accounts IS NULL THEN format('SELECT %s AS customer_id, NULL::text AS channel, NULL::timestamptz AS signed_up_at WHERE false', id)
             ELSE format('SELECT x.customer_id, x.channel, x.signed_up_at FROM (%s) x', rfm.unique_accounts_query(s, ids)) END,
        lines, model, levels[1], levels[2], levels[3], s.lookback);

    RETURN format('WITH %1$s', facts) || format($q$,
        o(topic_order, item_order, topic, item, value, explanation) AS (
            SELECT 1, 1::bigint, 'customer', 'customer_id', $1, 'Who is explained.' FROM c
            UNION ALL
            SELECT 1, 2, 'customer', 'is_customer', CASE WHEN c.orders > 0 THEN 'yes' ELSE 'no' END,
                   CASE WHEN c.orders > 0 THEN 'Has a purchase in the window.'
                        WHEN c.orders_now > 0 THEN 'His purchases came after the refresh.'
                        WHEN c.all_lines = 0 THEN 'There is an account, but no order line.'
                        WHEN (SELECT bool_and(reason = 'in revenue only') FROM r) THEN 'There are only refunds and credits, no purchase.'
                        ELSE (SELECT format('None of %%s counts as a purchase: %%s.', rfm.count_text(c.all_lines, 'line', 'lines'),
                                            string_agg(r.lines || ' ' || r.reason, ', ' ORDER BY r.place)) FROM r) END
            FROM c
            UNION ALL
            SELECT 1, 3, 'customer', 'as_of', rfm.local_text(as_of, %1$L), %2$s FROM c
            UNION ALL
            SELECT 1, 4, 'customer', 'changed', 'yes',
                   format('Since the refresh his lines have changed: they now give %%s, %%s and revenue %%s, the last purchase at %%s. CALL rfm.refresh(%%L) takes them in.',
                          rfm.count_text(orders_now, 'order', 'orders'), rfm.count_text(lines_now, 'purchase line', 'purchase lines'), trim_scale(revenue_now),
                          coalesce(rfm.local_text(last_order_now, %1$L), 'no time'), %3$L)
            FROM c WHERE %4$s AND (orders, lines, revenue, last_order_at, first_order_at)
                                  IS DISTINCT FROM (orders_now, lines_now, revenue_now, last_order_now, first_order_now)
            UNION ALL
            SELECT 1, x.place, 'customer', x.item, x.value, x.explanation
            FROM c CROSS JOIN LATERAL (VALUES
                (5, 'channel', channel, 'Channel of the account.'),
                (6, 'signed_up_at', rfm.local_text(signed_up_at, %1$L), 'Sign-up of the account.'),
                (7, 'first_order_at', rfm.local_text(first_order_at, %1$L), 'First line of the first order of all time.'),
                (8, 'second_order_at', rfm.local_text(second_order_at, %1$L), 'First line of the second order of all time.'),
                (9, 'last_order_at', rfm.local_text(last_order_at, %1$L), 'Last purchase in the window.'),
                (10, 'segment_since', rfm.local_text(segment_since, %1$L), 'In the segment since.')) x(place, item, value, explanation)
            WHERE x.value IS NOT NULL
            UNION ALL
            SELECT 2, x.place, 'value', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'recency_days', days::text, format('From %%s, the date of the last purchase, to %%s.', to_char(last_order_date, 'YYYY-MM-DD'), to_char(as_of_date, 'YYYY-MM-DD'))),
                (2, 'orders', orders::text, format('Different orders in the window, with %%s.', rfm.count_text(lines, 'purchase line', 'purchase lines'))),
                (3, 'revenue', trim_scale(revenue)::text, 'Sum of the amounts in the window, refunds subtracted.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 3, x.place, 'score', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'r', r::text, format('%%s level %%s of %5$s; cut points %%s.', rfm.recency_range(r, recency_cutoffs), r, rfm.numbers_text(recency_cutoffs))),
                (2, 'f', f::text, format('%%s level %%s of %6$s; cut points %%s.', rfm.frequency_range(f, frequency_cutoffs), f, rfm.numbers_text(frequency_cutoffs))),
                (3, 'm', m::text, format('%%s level %%s of %7$s; cut points %%s.', rfm.monetary_range(m, monetary_cutoffs), m, rfm.numbers_text(monetary_cutoffs))),
                (4, 'rfm_score', cell::text, 'The three scores.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 4, 0, 'rule', 'edited', 'yes', format('The rules were edited and are shown as edited; they are in force after the next refresh. The segment above all is by those of before: %%s.', g.segment)
            FROM g CROSS JOIN edited WHERE edited.cells > 0
            UNION ALL
            SELECT 4, t.rule_order, 'rule', t.rule_order || ' ' || t.segment,
                   CASE WHEN NOT t.fits THEN 'no' WHEN t.rule_order = t.fired THEN 'fired' ELSE 'hidden' END,
                   CASE WHEN NOT t.fits THEN concat_ws('; ', rfm.needs_text('r', g.r, t.r_min, t.r_max), rfm.needs_text('f', g.f, t.f_min, t.f_max),
                                                       rfm.needs_text('m', g.m, t.m_min, t.m_max)) || '.'
                        WHEN t.rule_order = t.fired THEN format('The first that holds the scores: r from %%s to %%s, f from %%s to %%s, m from %%s to %%s.',
                                                                t.r_min, t.r_max, t.f_min, t.f_max, t.m_min, t.m_max)
                        ELSE format('Holds the scores, too, but rule %%s comes first.', t.fired) END
            FROM t CROSS JOIN g
            UNION ALL
            SELECT 4, 32768, 'rule', 'Others', 'fired', 'No rule holds the scores.' FROM g WHERE NOT EXISTS (SELECT FROM t WHERE t.fits)
            UNION ALL
            SELECT 5, x.place, 'segment', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'segment', segment, 'By the rules in force.'), (2, 'segment_rank', segment_rank::text, 'Place of the segment among the rules, from 1.'),
                (3, 'stage', stage, 'What the segment is to the analyses.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 6, x.place, 'next segment', x.item, x.value, x.explanation
            FROM c CROSS JOIN b CROSS JOIN LATERAL (VALUES
                (1, 'segment', b.segment, format('The nearest%%s: takes %%s now, when recency_days becomes %%s, while the cut points stay.',
                    CASE WHEN c.orders > 0 THEN ' of a better rank' END, rfm.further_text(b.further_orders, b.amount), c.order_days)),
                (2, 'segment_rank', b.better_rank::text, 'Its rank.'),
                (3, 'orders', b.further_orders::text, 'Further orders it takes.'),
                (4, 'amount', b.amount::text, 'The least they must come to; 0: any amount.')) x(place, item, value, explanation)
            WHERE b.place = 1
            UNION ALL
            SELECT 6, 1, 'next segment', 'segment', NULL, CASE WHEN g.segment_rank = 1 THEN 'There is none better.'
                       ELSE 'No order now leads to a better segment, while the cut points stay.' END
            FROM g WHERE NOT EXISTS (SELECT FROM b)
            UNION ALL
            SELECT 7, b.place, 'other better segment', b.segment, b.further_orders || ', ' || b.amount,
                   format('Takes %%s.', rfm.further_text(b.further_orders, b.amount))
            FROM b WHERE b.place > 1
            UNION ALL
            SELECT 8, x.place, 'waiting', x.item, x.value, x.explanation
            FROM g CROSS JOIN w CROSS JOIN LATERAL (VALUES
                (1, 'segment', CASE WHEN w.last_leaves <= w.date THEN NULL ELSE w.segment END,
                    CASE WHEN w.segment IS NULL OR w.last_leaves <= w.date THEN 'Waiting alone leads to no segment of a worse rank%8$s.'
                         ELSE format('Without a further order in %%s from %%s on, when recency_days is %%s%8$s.', w.segment, to_char(w.date, 'YYYY-MM-DD'), w.days) END),
                (2, 'date', CASE WHEN w.last_leaves <= w.date THEN NULL ELSE to_char(w.date, 'YYYY-MM-DD') END, 'The date of that.'),
                (3, 'line leaves window', to_char(w.line_leaves, 'YYYY-MM-DD'), 'From this date on his oldest line in the window is before it: revenue, and perhaps orders, change.'),
                (4, 'last purchase leaves window', to_char(w.last_leaves, 'YYYY-MM-DD'), 'From this date on, without a further order, he is no customer.')) x(place, item, value, explanation)
            WHERE x.place = 1 OR x.value IS NOT NULL
            UNION ALL
            SELECT 9, 2 * r.place + x.place, 'left out', x.item, x.value, x.explanation
            FROM r CROSS JOIN c CROSS JOIN LATERAL (VALUES
                (0, r.reason || ': lines', r.lines::text,
                    CASE WHEN r.reason LIKE 'status %%' THEN 'The status is among excluded_statuses.'
                         WHEN r.reason = 'voided before as_of' THEN 'Their voided_at takes them out.'
                         WHEN r.reason LIKE 'without %%' THEN 'Lines with a NULL do not count.'
                         WHEN r.reason = 'at or after as_of' THEN 'They count from their date on.'
                         WHEN r.reason = 'before the window' THEN format('Ordered before the window, which starts at %%s: they count for the dates of the first two orders only.', rfm.local_text(%9$s, %1$L))
                         ELSE 'Refunds and credits: no order, line or date comes from them.' END),
                (1, r.reason || ': money', trim_scale(r.money)::text, 'Sum of their amounts.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 10, x.place, 'left out line', coalesce(x.order_id, 'without order_id'), trim_scale(x.amount)::text, concat_ws('; ', x.reason,
                       'ordered ' || rfm.local_text(x.ordered_at, %1$L), 'status ' || CASE WHEN x.reason NOT LIKE 'status %%' THEN x.status END,
                       'voided ' || rfm.local_text(x.voided_at, %1$L), 'product ' || x.product_id) || '.'
            FROM (SELECT l.*, row_number() OVER (ORDER BY r.place, l.ordered_at DESC NULLS LAST, l.order_id, l.amount, l.product_id) AS place
                  FROM l JOIN r USING (reason)) x
            WHERE x.place <= 20
            UNION ALL
            SELECT 11, 1, 'left out line', 'more', (sum(r.lines) - 20)::text, 'Lines left out that are not listed.' FROM r HAVING sum(r.lines) > 20)
        SELECT row_number() OVER (ORDER BY topic_order, item_order)::int AS step, topic, item, value, explanation
        FROM o ORDER BY 1 $q$,
        s.time_zone,
        CASE WHEN live THEN quote_literal('Computed now.')
             ELSE format($t$'As the views of the model show it, since the refresh at ' || rfm.local_text(refreshed_at, %L) || '.'$t$, s.time_zone) END,
        model, (NOT live)::text, levels[1], levels[2], levels[3],
        concat(CASE WHEN s.recency_fractions IS NOT NULL THEN ', while the cut points of recency stay (they are percentiles, and move with the other customers)' END,
               CASE WHEN s.lookback IS NOT NULL THEN ', while orders and revenue stay' END),
        rfm.window_start_sql(s, 'c.as_of'));
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

CREATE OR REPLACE FUNCTION rfm.refresh_profiles(model text, settings rfm.settings, OUT changed bigint, OUT passes int)
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

CREATE OR REPLACE FUNCTION rfm.build_model(model text) RETURNS void
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

-- 85_refresh: tables of distributed models

CREATE OR REPLACE FUNCTION rfm.make_refresh_tables(model text) RETURNS void
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

CREATE OR REPLACE FUNCTION rfm.make_relations(model text, settings rfm.settings, grouped boolean, names text[] DEFAULT NULL) RETURNS void
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

CREATE OR REPLACE FUNCTION rfm.analyze_stored(model text) RETURNS void
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

CREATE OR REPLACE FUNCTION rfm.refresh_tables(model text, refresh_id bigint, full_rebuild boolean) RETURNS void
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

CREATE OR REPLACE FUNCTION rfm.log_end(model text, refresh_id bigint, error text) RETURNS void
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

-- 85_refresh: the table of the segments that ended, made before the view on it

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

CREATE OR REPLACE FUNCTION rfm.make_relation(model text, storage text, name text, query text) RETURNS void
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

-- 86_check: distributed lines are reconciled where they are

CREATE OR REPLACE FUNCTION rfm.reconciliation_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    excluded text := CASE WHEN rfm.column_type(s.order_lines, 'status') IS NULL OR s.excluded_statuses = '{}' THEN 'false'
        ELSE format('coalesce(x.status::text COLLATE "C" = ANY (%L::text[]), false)', s.excluded_statuses) END;
    voided   text := 'false';
BEGIN
    -- the moment from which a line no longer counts, and until which it did, whatever its status says
    IF rfm.column_type(s.order_lines, 'voided_at') IS NOT NULL THEN
        voided := format('coalesce(%s < $1, false)', rfm.instant_column(s.order_lines, 'voided_at', s.time_zone));
        excluded := format('(x.voided_at IS NULL AND %s)', excluded);
    END IF;
    -- OFFSET 0: what is computed of a line is computed once; of distributed lines it would bring them here
    RETURN format($q$
        WITH l AS (
            SELECT x.customer_id, x.order_id, x.money,
                   CASE WHEN NOT x.is_complete OR x.is_voided OR x.is_excluded OR x.is_sound THEN
                       CASE WHEN x.customer_id IS NULL THEN 2
                            WHEN NOT x.is_complete THEN 3
                            WHEN x.is_voided THEN 4
                            WHEN x.is_excluded THEN 5
                            WHEN x.at >= $1 THEN CASE WHEN x.at >= $3 THEN 6 ELSE 7 END
                            WHEN x.at < $2 THEN 8
                            WHEN x.money < 0 THEN 11 ELSE 12 END
                   ELSE 1 END AS reason, CASE WHEN x.is_excluded THEN x.status END AS status
            FROM (SELECT %1$s AS customer_id, %2$s AS order_id, %3$s AS at, %4$s AS status, 
                         %8$s AND x.ordered_at <> '-infinity' AS is_sound, CASE WHEN %8$s THEN rfm.money(x.amount) END AS money,
                         x.order_id IS NOT NULL AND x.ordered_at IS NOT NULL AND x.amount IS NOT NULL AS is_complete,
                         %5$s AS is_voided, %6$s AS is_excluded
                  FROM %7$s x%9$s) x%9$s),
        g AS (
            SELECT customer_id, order_id, reason, CASE WHEN reason = 5 THEN status END AS status,
                   count(*) AS lines, sum(money) AS money, bool_or(reason = 8 AND money >= 0) AS buys_before
            FROM l GROUP BY 1, 2, 3, 4),
        c AS (
            SELECT g.*, bool_or(reason = 12) OVER w AS buys, bool_or(buys_before) OVER w AS bought
            FROM g WINDOW w AS (PARTITION BY customer_id)),
        k AS (
            SELECT customer_id, order_id, status, lines, money,
                   CASE WHEN reason < 11 OR buys THEN reason WHEN bought THEN 10 ELSE 9 END AS reason
            FROM c),
        n AS (
            SELECT k.*,
                   order_id IS NOT NULL AND row_number() OVER (PARTITION BY customer_id, order_id ORDER BY reason DESC, status) = 1 AS is_order,
                   customer_id IS NOT NULL AND row_number() OVER (PARTITION BY customer_id ORDER BY reason DESC, status, order_id) = 1 AS is_customer
            FROM k)
        SELECT reason, status, sum(lines)::bigint AS lines, count(*) FILTER (WHERE is_order) AS orders,
               count(*) FILTER (WHERE is_customer) AS customers, coalesce(sum(money), 0) AS amount,
               min(order_id::text COLLATE "C") AS an_order, min(customer_id::text COLLATE "C") AS a_customer
        FROM n GROUP BY reason, status ORDER BY reason DESC, status$q$,
        rfm.id_column(s.order_lines, 'customer_id'), rfm.id_column(s.order_lines, 'order_id'),
        rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone), rfm.text_column(s.order_lines, 'status'),
        voided, excluded, s.order_lines, 'abs(x.amount::numeric) <= 922337203685476',
        CASE WHEN NOT rfm.is_distributed(s) THEN ' OFFSET 0' END);
END $$;

-- 87_refresh_distributed: the refresh of a model whose order lines are distributed by Citus

--
-- All profiles are computed into next_profiles, beside those in force; from them come the cut points; then what differs is
-- written into profiles. Each step is one statement that every worker does for its own customers.

-- What stands at places in the order of the customers by revenue, in units of 0.0001: one search for the cut points and for
-- the percents of pareto, since each reads all profiles several times.
CREATE FUNCTION rfm.distributed_revenues(model text, settings rfm.settings, customers bigint) RETURNS numeric[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.values_at(format('SELECT trunc(revenue * 10000) AS value FROM %I.next_profiles WHERE orders > 0', model),
        rfm.percent_places(customers) || rfm.percentile_places(settings.monetary_fractions, customers));
END $$;
COMMENT ON FUNCTION rfm.distributed_revenues(text, rfm.settings, bigint) IS
    'Internal. The revenues at percent_places, then at percentile_places, of the distributed profiles that were just computed.';

-- SQL of the snapshot of distributed profiles, a relation whose percentiles were looked for before.
CREATE FUNCTION rfm.distributed_snapshot_query(model text, settings rfm.settings, as_of text, customers bigint, revenues numeric[]) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    profiles  text := format('%I.next_profiles', model);
    cuts      text := '';
BEGIN
    IF s.recency_fractions IS NOT NULL THEN
        cuts := cuts || format(', %L::numeric[] AS recency', rfm.percentiles_of(
            rfm.values_at(format('SELECT date ''2000-01-01'' - last_order_date AS value FROM %s WHERE orders > 0', profiles),
                rfm.percentile_places(s.recency_fractions, customers)), s.recency_fractions, 1, customers));
    END IF;
    IF s.frequency_fractions IS NOT NULL THEN
        cuts := cuts || format(', %L::numeric[] AS frequency', rfm.percentiles_of(
            rfm.values_at(format('SELECT orders AS value FROM %s WHERE orders > 0', profiles),
                rfm.percentile_places(s.frequency_fractions, customers)), s.frequency_fractions, 1, customers));
    END IF;
    IF s.monetary_fractions IS NOT NULL THEN
        cuts := cuts || format(', %L::numeric[] AS monetary', rfm.percentiles_of(revenues[102:], s.monetary_fractions, 0.0001, customers));
    END IF;
    RETURN rfm.snapshot_row_query(s, rfm.rules_sql(model, s), format(
        'SELECT %1$s AS as_of, rfm.local_date(%1$s, %2$L) AS as_of_date, %3$s AS registered, 0.0000 AS unassigned_revenue, h.*%4$s'
        ' FROM (SELECT count(*) FILTER (WHERE h.orders > 0) AS customers, max(h.last_order_date) AS last_order_date,'
        ' rfm.margin_rate(h.ledger) AS margin_rate, rfm.cohorts(h.first_order_date, h.ledger) AS cohorts FROM %5$s h) h',
        as_of, s.time_zone, rfm.registered_sql(s), cuts, profiles));
END $$;
COMMENT ON FUNCTION rfm.distributed_snapshot_query(text, rfm.settings, text, bigint, numeric[]) IS 'Internal. SQL of the one row of the snapshot over the distributed profiles that were just computed.';

-- The segment of a row of profiles by a snapshot, both SQL of relations; NULL for who is no customer.
CREATE FUNCTION rfm.segment_sql(profile text, snapshot text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('CASE WHEN %1$s.orders > 0 THEN rfm.segment_of(rfm.rfm_score(%2$s.as_of_date - %1$s.last_order_date, %1$s.orders, %1$s.revenue,'
        ' %2$s.monetary_cutoffs, %2$s.recency_cutoffs, %2$s.frequency_cutoffs), %2$s.rules) END', profile, snapshot);
COMMENT ON FUNCTION rfm.segment_sql(text, text) IS 'Internal. SQL of the segment of a profile by a snapshot; NULL for who is no customer.';

-- Writes down the segments that end, while profiles and snapshot are still those of before, and the new ones are beside them.
CREATE FUNCTION rfm.write_distributed_history(model text, settings rfm.settings, as_of text, set_back boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text := rfm.constant_row(rfm.model_relation(model, 'replaced_snapshot'));
    after  text := rfm.constant_row(rfm.model_relation(model, 'snapshot'));
BEGIN
    IF set_back THEN
        -- the clock was set back, and with it the history
        EXECUTE format('DELETE FROM %I.segment_changes WHERE valid_from >= %s', model, as_of);
        EXECUTE format('UPDATE %1$I.segment_changes SET valid_to = %2$s WHERE valid_to > %2$s', model, as_of);
        EXECUTE format('UPDATE %1$I.profiles SET segment_since = %2$s WHERE segment_since > %2$s', model, as_of);
    END IF;
    EXECUTE format('INSERT INTO %1$I.segment_changes SELECT q.customer_id, segment, segment_rank, r, f, m, rfm_score, recency_days, q.orders, q.revenue, q.segment_since, %2$s'
        ' FROM (%3$s) q LEFT JOIN %1$I.next_profiles n ON n.customer_id = q.customer_id CROSS JOIN %4$s s'
        ' WHERE q.orders > 0 AND q.segment_since < %2$s AND q.segment IS DISTINCT FROM %5$s',
        model, as_of, rfm.scored_query(model, settings, format('%I.profiles', model), before), after, rfm.segment_sql('n', 's'));
END $$;
COMMENT ON FUNCTION rfm.write_distributed_history(text, rfm.settings, text, boolean) IS 'Internal. Writes down the segments of distributed profiles that end with this refresh.';

-- Writes what differs, and tells how many that were. A customer begins in his segment when he comes to it.
CREATE FUNCTION rfm.write_distributed_profiles(model text, settings rfm.settings, as_of text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before  text := rfm.constant_row(rfm.model_relation(model, 'replaced_snapshot'));
    after   text := rfm.constant_row(rfm.model_relation(model, 'snapshot'));
    columns text[] := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = rfm.model_relation(model, 'profiles') AND attnum > 0
                            AND NOT attisdropped AND attname NOT IN ('customer_id', 'segment_since') ORDER BY attnum);
    changed bigint;
    n       bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$I.profiles p WHERE NOT EXISTS (SELECT 1 FROM %1$I.next_profiles n WHERE n.customer_id = p.customer_id)', model);
    GET DIAGNOSTICS changed = ROW_COUNT;
    EXECUTE format('UPDATE %1$I.profiles p SET %2$s, segment_since = %3$s FROM %1$I.next_profiles n CROSS JOIN %4$s a CROSS JOIN %5$s b'
        ' WHERE p.customer_id = n.customer_id AND (%6$s, p.segment_since) IS DISTINCT FROM (%7$s, %3$s)',
        model, (SELECT string_agg(format('%1$I = n.%1$I', c), ', ') FROM unnest(columns) c),
        format('CASE WHEN n.orders > 0 THEN CASE WHEN (%s) = (%s) THEN p.segment_since ELSE %s END END', rfm.segment_sql('n', 'a'), rfm.segment_sql('p', 'b'), as_of),
        after, before, rfm.compared_list(columns, 'p'), rfm.compared_list(columns, 'n'));
    GET DIAGNOSTICS n = ROW_COUNT;
    changed := changed + n;
    EXECUTE format('INSERT INTO %1$I.profiles (customer_id, %2$s, segment_since) SELECT n.customer_id, %3$s, CASE WHEN n.orders > 0 THEN %4$s END'
        ' FROM %1$I.next_profiles n WHERE NOT EXISTS (SELECT 1 FROM %1$I.profiles p WHERE p.customer_id = n.customer_id)',
        model, (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c), (SELECT string_agg(format('n.%I', c), ', ') FROM unnest(columns) c), as_of);
    GET DIAGNOSTICS n = ROW_COUNT;
    -- who has no line left at all has no history left
    EXECUTE format('DELETE FROM %1$I.segment_changes c WHERE NOT EXISTS (SELECT 1 FROM %1$I.profiles p WHERE p.customer_id = c.customer_id)'
        ' AND NOT EXISTS (SELECT 1 FROM %2$s x WHERE x.customer_id = c.customer_id)', model, settings.order_lines);
    RETURN changed + n;
END $$;
COMMENT ON FUNCTION rfm.write_distributed_profiles(text, rfm.settings, text) IS
    'Internal. Brings the distributed profiles in force in line with those just computed; the number of rows written or removed.';

-- The workers sum up; the percents of pareto need an order of all customers: revenues is what was found in it.
CREATE FUNCTION rfm.write_distributed_summaries(model text, settings rfm.settings, customers bigint, revenues numeric[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    snapshot  text := rfm.constant_row(rfm.model_relation(model, 'snapshot'));
BEGIN
    EXECUTE format('DELETE FROM %I.stored_summaries', model);
    PERFORM rfm.fill_row(model, 'stored_summaries', rfm.summaries_query(settings, format('(%s) s', rfm.scored_query(model, settings,
        format('%I.profiles', model), snapshot)), false, true));
    EXECUTE format('UPDATE %1$I.stored_summaries SET (as_of, refreshed_at, registered, unassigned_revenue, margin_rate, percents) ='
        ' (SELECT n.as_of, n.refreshed_at, n.registered, n.unassigned_revenue, n.margin_rate, $1 FROM %2$s n)', model, snapshot)
        USING rfm.distributed_percent_sums(format('SELECT trunc(revenue * 10000) AS value FROM %I.profiles WHERE orders > 0', model), customers, revenues[:101]);
END $$;
COMMENT ON FUNCTION rfm.write_distributed_summaries(text, rfm.settings, bigint, numeric[]) IS 'Internal. Writes the summaries of a distributed model.';

-- Deleted rows would lie there until they are vacuumed, and each is written to the WAL. But a refresh does not wait for a
-- backup that holds on to the table.
CREATE FUNCTION rfm.empty_next_profiles(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    BEGIN
        EXECUTE format('LOCK TABLE %I.next_profiles IN ACCESS EXCLUSIVE MODE NOWAIT', model);
        EXECUTE format('TRUNCATE %I.next_profiles', model);
    EXCEPTION WHEN lock_not_available THEN
        EXECUTE format('DELETE FROM %I.next_profiles', model);
    END;
END $$;
COMMENT ON FUNCTION rfm.empty_next_profiles(text) IS 'Internal. Empties the table in which a refresh computes the distributed profiles.';

CREATE FUNCTION rfm.refresh_distributed(model text, refresh_id bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    moment  timestamptz;
    as_of   text;
    query   text;
    back    boolean;
    changed bigint;
    customers bigint;
    revenues  numeric[];
    columns text := (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                     WHERE attrelid = rfm.model_relation(model, 'profiles') AND attnum > 0 AND NOT attisdropped);
BEGIN
    EXECUTE 'SELECT ' || rfm.as_of_sql(s) INTO moment;
    as_of := rfm.instant_sql(moment);
    EXECUTE format('SELECT $1 < as_of FROM %I.last_build', model) INTO back USING moment;

    PERFORM rfm.report_stage(model, 'profiles', 5);
    EXECUTE format('DELETE FROM %I.next_profiles', model);
    EXECUTE format('INSERT INTO %1$I.next_profiles (%2$s) SELECT %2$s FROM (%3$s) q', model, columns, rfm.distributed_profiles_query(s, as_of));
    IF s.visits IS NOT NULL THEN
        EXECUTE format('UPDATE %1$I.next_profiles n SET sessions_after_purchase = v.sessions_after_purchase, return_sessions = v.return_sessions'
            ' FROM (%2$s) v WHERE v.customer_id = n.customer_id', model, rfm.distributed_visits_query(s, as_of, format('%I.next_profiles', model)));
    END IF;
    PERFORM rfm.log_stage(model, refresh_id, 'profiles');

    PERFORM rfm.report_stage(model, 'snapshot', 60);
    EXECUTE format('DELETE FROM %I.replaced_snapshot', model);
    EXECUTE format('SELECT count(*) FROM %I.next_profiles WHERE orders > 0', model) INTO customers;
    revenues := rfm.distributed_revenues(model, s, customers);
    query := rfm.distributed_snapshot_query(model, s, as_of, customers, revenues);
    EXECUTE format('INSERT INTO %1$I.replaced_snapshot SELECT * FROM %1$I.snapshot', model);
    EXECUTE format('DELETE FROM %I.snapshot', model);
    PERFORM rfm.fill_row(model, 'snapshot', query);
    PERFORM rfm.log_stage(model, refresh_id, 'snapshot');

    PERFORM rfm.report_stage(model, 'history', 75);
    IF back IS NOT NULL THEN
        PERFORM rfm.write_distributed_history(model, s, as_of, back);
    END IF;
    changed := rfm.write_distributed_profiles(model, s, as_of);
    PERFORM rfm.empty_next_profiles(model);
    EXECUTE format('DELETE FROM %I.last_build', model);
    EXECUTE format('INSERT INTO %I.last_build (as_of, window_start) VALUES ($1, %s)', model, rfm.window_start_sql(s, as_of)) USING moment;
    PERFORM rfm.log_stage(model, refresh_id, 'history');

    PERFORM rfm.report_stage(model, 'summaries', 90);
    PERFORM rfm.write_distributed_summaries(model, s, customers, revenues);
    PERFORM rfm.log_stage(model, refresh_id, 'summaries');
    EXECUTE format('UPDATE %I.refresh_log l SET mode = ''full'', reason = coalesce(l.reason, ''the order lines are distributed''), changed = $2, passes = 1 WHERE l.refresh_id = $1', model)
        USING refresh_id, changed;
END $$;
COMMENT ON FUNCTION rfm.refresh_distributed(text, bigint) IS 'Internal. Brings the stored layers of a model with distributed order lines up to date.';

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

-- 90_grants: what readers of a distributed model need on the workers

-- On the workers of Citus the reader reads by himself, not through the owner of the view.
CREATE FUNCTION rfm.readable_relations(model text) RETURNS regclass[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN rfm.public_relations(model) OPERATOR(pg_catalog.||) ARRAY(
        SELECT r FROM pg_catalog.unnest(ARRAY[rfm.model_relation(model, 'profiles'), rfm.model_relation(model, 'snapshot'),
                                              rfm.model_relation(model, 'segment_changes'), rfm.model_relation(model, 'scored_source')]) r
        WHERE EXISTS (SELECT FROM rfm.citus_tables(r)));
COMMENT ON FUNCTION rfm.readable_relations(text) IS 'Internal. The relations of a model that its readers need SELECT on: those they see and, where Citus has distributed them, the tables below.';

CREATE OR REPLACE FUNCTION rfm.revoke_reading(model text, reader text) RETURNS void
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
