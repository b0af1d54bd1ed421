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

-- 60_model: a new model tells of sharded lines

CREATE OR REPLACE FUNCTION rfm.make_model(model text, settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET jit = off AS $$
DECLARE
    s    rfm.settings := rfm.resolve_settings(settings);
    hint text;
BEGIN
    PERFORM rfm.check_contract(s);
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
    IF grouped AND rfm.is_sharded(settings) THEN
        profile_rows := rfm.sharded_rows_query(settings, at_sql, format('%I.unique_products', model));
        lines := NULL;
    ELSE
        profile_rows := rfm.profile_rows_query(settings, lines, at_sql, grouped, hash_from);
    END IF;
    profiles := rfm.profiles_query(settings, at_sql, lines, format('%I.unique_accounts', model), format('%I.unique_products', model));
END $$;

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
