/*
 * rfm_segments: the install script, in the order of the data flow.
 *
 * The Makefile joins the parts.  Each part may use what stands before it.
 *
 *	10_score		scores of one customer on one axis, and the three-digit code
 *	20_segment		rules, and the segment that a code falls into
 *	30_cutoffs		cut points from percentiles
 *	40_profile		order lines to customers: the aggregates
 *	44_aggregate_state	states of aggregates that several machines add up
 *	45_visits		sessions of customers after their first order
 *	46_ledger		months, margin and clock of a customer
 *	48_cells, 49_tally	sums by score and segment
 *	50_rates		intervals, tests and rates over time
 *	52_gateway		what became of who came by a product
 *	60_model		a model: its settings, creation, configuration and removal
 *	65_contract		the user's relations, checked, and how they are read
 *	66_tracking		which customers changed since the last refresh
 *	67_distributed	the same of lines that Citus has distributed
 *	68_sharded		and of lines in foreign tables
 *	70_analyses		the views of a model
 *	80_campaigns	actions, campaigns and their return
 *	81_functions, 82_time, 84_explain	the functions of a model
 *	85_refresh		how a model is brought up to date
 *	86_check		what is wrong with the data or the rules of a model
 *	87_refresh_distributed	the refresh where Citus has distributed the lines
 *	88_schedule		a refresh at fixed times
 *	90_grants		who may use what
 */

\echo Use "CREATE EXTENSION rfm_segments" to load this file. \quit

-- Whoever may create things in schema rfm could shadow what stands in it, and act with the rights of those who call it. A
-- schema that was there before must be empty; either belongs to who runs this script, a superuser.
SET LOCAL search_path = pg_catalog, pg_temp;
DO $$
DECLARE
    strangers text := (SELECT string_agg(pg_describe_object(d.classid, d.objid, 0), ', ') FROM pg_depend d
                       WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = 'rfm'::regnamespace AND d.classid <> 'pg_extension'::regclass);
    creator   text;
BEGIN
    IF strangers IS NOT NULL THEN
        RAISE EXCEPTION 'schema rfm holds objects of others: %', strangers USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Move or drop them: the schema is the extension''s own.';
    END IF;
    FOR creator IN
        SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
        FROM pg_namespace n, aclexplode(n.nspacl) g WHERE n.nspname = 'rfm' AND g.privilege_type = 'CREATE' AND g.grantee <> n.nspowner
    LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA rfm FROM %s CASCADE', creator);
    END LOOP;
END $$;
ALTER SCHEMA rfm OWNER TO CURRENT_USER;
