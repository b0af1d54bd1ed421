-- What stands in the catalogs: every object of the extension and of a model is commented, marked as
-- it must be, and cannot be led astray by a search_path; the views a BI tool reads are plain.
\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE SCHEMA s;
CREATE TABLE s.lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric, status text, product_id int);
CREATE TABLE s.accounts (customer_id int, channel text, signed_up_at date, country text, age smallint, mood interval);
CREATE TABLE s.products (product_id int, category text);
CREATE TABLE s.visits (customer_id int, session_id text, visited_at timestamptz);
INSERT INTO s.lines
	SELECT i % 10, i, '2024-01-01'::timestamptz + i * interval '1 hour', i, 'Complete', i % 3 FROM generate_series(1, 50) i;
SELECT rfm.create_model('model_' || kind, 's.lines', 's.accounts', 's.products', 's.visits', storage => kind,
	dimensions => '{country,age,mood}')
FROM unnest('{table,materialized,view}'::text[]) kind;
CREATE SCHEMA thelook
	CREATE TABLE order_items (id int, order_id int, user_id int, product_id int, status text, created_at timestamptz, sale_price float8)
	CREATE TABLE users (id int, traffic_source text, created_at timestamptz, age int, gender text, country text, state text, city text)
	CREATE TABLE products (id int, category text, brand text, name text, cost float8)
	CREATE TABLE events (id int, user_id int, session_id text, created_at timestamptz);
SELECT rfm.create_thelook_model('thelook_model', 'thelook');
SELECT rfm.track_changes('model_table', 's.lines', 'customer_id');

-- What belongs to the extension, and the relations of the models.
CREATE TEMP VIEW member AS
	SELECT classid, objid FROM pg_depend
	WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
	  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'rfm_segments')
	  -- PostgreSQL 17 counts the row types of views, too
	  AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_class c WHERE c.reltype = objid AND c.relkind <> 'c'));
CREATE TEMP VIEW function AS
	SELECT p.*, l.lanname, p.oid::regprocedure::text AS name FROM pg_proc p
	JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid JOIN pg_language l ON l.oid = p.prolang;
CREATE TEMP VIEW model_relation AS
	SELECT c.*, n.nspname, c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE (n.nspname LIKE 'model\_%' OR n.nspname = 'thelook_model') AND c.relkind IN ('r', 'v', 'm');
-- The views for everyone; what else a model has is commented Internal or edited by its owner.
CREATE TEMP VIEW public_view AS
	SELECT * FROM model_relation WHERE relkind = 'v' AND obj_description(oid, 'pg_class') NOT LIKE 'Internal.%';

SELECT no_plan();

-- names

SELECT set_eq(
	$$SELECT proname::text FROM function WHERE obj_description(oid, 'pg_proc') NOT LIKE 'Internal.%'
	    AND proname !~ '_(in|out|recv|send|add|accum|combine|final|serialize|deserialize)$'$$,
	$$SELECT unnest('{activity_level,check_model,check_rules,chi_square_p_value,cohorts,compile_rules,configure_model,create_model,
	  create_thelook_model,default_action_texts,default_campaigns,default_rules,drop_model,frequency_score,grant_read,kaplan_meier,
	  kaplan_meier_curve,kaplan_meier_rate,ledger,local_date,margin_rate,mean_interval,monetary_bucket,monetary_score,money,
	  next_line_at,percentile_cutoffs,profile,profile_all,recency_score,refresh,revoke_read,rfm_score,roi_simulate,rule_segments,
	  schedule,segment_of,segment_rank,segment_stage,track_changes,unpack,unschedule,untrack_changes,version,visit_boundaries,
	  visits_all,welch_interval,wilson_interval,window_line_at}'::text[])$$,
	'the public functions');
SELECT is_empty(
	$$SELECT name FROM function WHERE pronamespace <> 'rfm'::regnamespace
	  UNION ALL SELECT oid::regtype::text FROM pg_type JOIN member ON classid = 'pg_type'::regclass AND objid = oid
	  WHERE typnamespace <> 'rfm'::regnamespace$$,
	'all of the extension is in schema rfm');
SELECT is_empty(
	$$SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
	  WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = 'rfm'::regnamespace AND d.classid <> 'pg_extension'::regclass
	    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = d.classid AND m.objid = d.objid)
	    AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype IN ('i', 'a'))$$,
	'nothing else is in schema rfm');
SELECT set_eq(
	$$SELECT objid::regtype::text FROM member JOIN pg_type t ON t.oid = objid
	  WHERE classid = 'pg_type'::regclass AND typname NOT LIKE '\_%'$$,
	$$SELECT unnest('{rfm.action_text,rfm.aggregate_state,rfm.campaign,rfm.cohorts,rfm.finding,rfm.gateway_row,rfm.ledger,rfm.profile_set,rfm.profile_state,rfm.profile_summary,rfm.rules,
	  rfm.segment_rule,rfm.settings,rfm.survival,rfm.tally_row,rfm.visit_boundaries,rfm.visit_set}'::text[])$$,
	'the types');
SELECT results_eq(
	$$SELECT objid::regclass::text, relkind FROM member JOIN pg_class c ON c.oid = objid WHERE classid = 'pg_class'::regclass ORDER BY 1$$,
	$$VALUES ('rfm.models', 'v'::"char")$$,
	'the only relation of the extension is the list of models');
SELECT set_eq(
	format('SELECT relname::text FROM public_view WHERE nspname = %L', 'model_' || kind),
	$$SELECT unnest('{action_plan,channel_maturity,churn_risk,cohort_retention,customers,first_purchase_timing,gateway_moments,gateway_products,overview,pareto,
	  promising_activity,repurchase_curve,repurchase_timing,roi,score_cells,segment_breakdown,segments}'::text[])$$
	|| CASE kind WHEN 'table' THEN $$ UNION SELECT 'segment_history'$$ ELSE '' END,
	'the views for everyone, storage ' || kind)
FROM unnest('{table,materialized,view}'::text[]) kind;
SELECT is_empty(
	$$SELECT a.name, a.attname FROM (SELECT v.relname AS name, v.nspname, a.attname, a.attnum, a.atttypid FROM public_view v
	  JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0 WHERE v.nspname LIKE 'model\_%' AND v.relname <> 'segment_history') a
	  GROUP BY a.name, a.attname HAVING count(DISTINCT (a.attnum, a.atttypid)) <> 1 OR count(*) <> 3$$,
	'views have the same columns whatever the storage');

-- the functions of a model; those that record changes are tested in tracking.sql
CREATE TEMP VIEW model_function AS
	SELECT p.*, n.nspname, l.lanname, p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
	WHERE (n.nspname LIKE 'model\_%' OR n.nspname = 'thelook_model') AND p.prorettype <> 'trigger'::regtype;
SELECT set_eq(
	format('SELECT format(''%%s(%%s)'', proname, oidvectortypes(proargtypes)) FROM model_function WHERE nspname = %L', 'model_' || kind),
	$$SELECT unnest(ARRAY['gateway_lift(text, text)', 'roi_sensitivity(text)', 'customers_at(timestamp without time zone)',
	  'segment_migration(timestamp without time zone, timestamp without time zone)', 'explain_customer(integer)'])$$,
	'the functions of a model, storage ' || kind)
FROM unnest('{table,materialized,view}'::text[]) kind;
SELECT is_empty($$SELECT name FROM model_function WHERE prosecdef OR provolatile <> 's' OR lanname <> 'plpgsql' OR NOT proconfig @> '{"search_path=pg_catalog, pg_temp"}'$$,
	'... are stable, of their caller, and pin their search_path');

-- comments

CREATE TEMP VIEW commented AS
	SELECT pg_describe_object(classid, objid, 0) AS object, obj_description(objid, classid::regclass::text::name) AS comment
	FROM member WHERE classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
	UNION ALL
	SELECT objid::regtype::text, obj_description(objid, 'pg_type') FROM member JOIN pg_type t ON t.oid = objid
	WHERE classid = 'pg_type'::regclass AND typelem = 0
	UNION ALL
	SELECT pg_describe_object('pg_class'::regclass, c.oid, a.attnum), col_description(c.oid, a.attnum)
	FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	UNION ALL
	SELECT objid::regtype || '.' || attname, col_description(typrelid, attnum) FROM member
	JOIN pg_type t ON classid = 'pg_type'::regclass AND t.oid = objid JOIN pg_attribute a ON attrelid = typrelid AND attnum > 0
	UNION ALL
	SELECT name, obj_description(oid, 'pg_proc') FROM model_function
	UNION ALL
	SELECT name, obj_description(oid, 'pg_class') FROM model_relation
	UNION ALL
	SELECT name || '.' || attname, col_description(c.oid, a.attnum) FROM model_relation c
	JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE obj_description(c.oid, 'pg_class') NOT LIKE 'Internal.%'
	UNION ALL
	SELECT nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname LIKE 'model\_%' OR nspname = 'rfm'
	UNION ALL
	SELECT extname, obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'rfm_segments';
SELECT is_empty($$SELECT object FROM commented WHERE coalesce(comment, '') = ''$$, 'everything has a comment');
SELECT is_empty($$SELECT object, comment FROM commented WHERE comment !~ '([.]|Example: (SELECT|CALL) .*;)$' AND object <> 'rfm_segments'$$,
	'comments are sentences');
SELECT is_empty($$SELECT object, comment FROM commented WHERE comment ~* '\m(todo|fixme|xxx|tbd)\M'$$, 'no comment is unfinished');

-- Every public function shows how to call it, and the calls that need no model run.
CREATE TEMP VIEW example AS
	SELECT proname, min(substring(obj_description(oid, 'pg_proc') FROM ' Example: (.*;)$')) AS call FROM (
		SELECT oid, proname FROM function WHERE obj_description(oid, 'pg_proc') NOT LIKE 'Internal.%'
		  AND proname !~ '_(in|out|recv|send|add|accum|combine|final|serialize|deserialize)$'
		UNION ALL
		SELECT oid, proname FROM model_function) f
	GROUP BY proname;
SELECT is_empty('SELECT proname FROM example WHERE call IS NULL', 'every public function has an example');
SELECT lives_ok(substring(obj_description(oid, 'pg_proc') FROM ' Example: (.*;)$'), 'the example of ' || name)
FROM function
WHERE obj_description(oid, 'pg_proc') ~ ' Example: ' AND obj_description(oid, 'pg_proc') !~ ' Example: .*shop';

-- marks

SELECT is_empty(
	$$SELECT name FROM function WHERE lanname = 'c' AND prokind <> 'p' AND proname NOT IN ('as_owner', 'rows_as_owner', 'rule_contents', 'count_visits') AND (provolatile <> 'i' OR proparallel <> 's')$$,
	'functions in C are immutable and parallel safe');
SELECT results_eq($$SELECT name FROM function WHERE prokind = 'p'$$, $$VALUES ('rfm.refresh(text,boolean,boolean)')$$,
	'the only procedure is refresh');
SELECT is((SELECT proconfig FROM function WHERE prokind = 'p'), NULL, 'which can commit, having no SET clause');
SELECT is_empty($$SELECT name FROM function WHERE prosecdef$$, 'nothing is security definer');
SELECT is_empty(
	$$SELECT f.name FROM pg_aggregate a JOIN function f ON f.oid = a.aggfnoid
	  WHERE a.aggcombinefn = 0 OR f.proparallel <> 's'
	     OR a.aggtranstype = 'internal'::regtype AND (a.aggserialfn = 0 OR a.aggdeserialfn = 0)$$,
	'aggregates are parallel');
SELECT is_empty(
	$$SELECT t.oid::regprocedure FROM pg_aggregate a JOIN function f ON f.oid = a.aggfnoid JOIN pg_proc t ON t.oid = a.aggtransfn
	  WHERE t.proisstrict$$,
	'transition functions are not strict');
SELECT is_empty(
	$$SELECT name, proacl FROM function WHERE proacl IS NOT NULL$$,
	'everyone may call every function');
SELECT is_empty(
	$$SELECT t.oid::regtype FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	  WHERE t.typtype = 'b' AND t.typelem = 0 AND (t.typreceive = 0 OR t.typsend = 0)$$,
	'types have binary input and output');
SELECT results_eq($$SELECT typstorage FROM pg_type WHERE oid = 'rfm.rules'::regtype$$, $$VALUES ('p'::"char")$$,
	'compiled rules are stored plain');

-- search_path: what is parsed when it is called pins it, what is parsed when it is made has no text

SELECT is_empty(
	$$SELECT name FROM function WHERE lanname = 'plpgsql' AND NOT coalesce(proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'$$,
	'functions in PL/pgSQL pin their search_path');
SELECT is_empty($$SELECT name FROM function WHERE lanname = 'sql' AND prosqlbody IS NULL$$, 'functions in SQL are parsed when made');
SELECT is_empty($$SELECT name, lanname FROM function WHERE lanname NOT IN ('c', 'sql', 'plpgsql', 'internal')$$, 'no other language');
SELECT is_empty(
	$$SELECT f.name FROM function f WHERE f.proargdefaults IS NOT NULL AND pg_get_expr(f.proargdefaults, 0) ~ '\('$$,
	'defaults of arguments call nothing');

-- PL/pgSQL
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'plpgsql_check') AS checkable \gset
\if :checkable
SELECT is_empty(
	$$SELECT f.name, c FROM (SELECT name, oid, proname, lanname, prorettype FROM function UNION ALL SELECT name, oid, proname, lanname, prorettype FROM model_function) f,
	  LATERAL plpgsql_check_function(f.oid, fatal_errors := false, extra_warnings := true,
	  performance_warnings := false) c
	  WHERE f.lanname = 'plpgsql' AND f.prorettype <> 'trigger'::regtype
	    -- reads the one row of a table OF rfm.settings, whose name it is given
	    AND f.name <> 'rfm.model_settings(text)'
	    -- call pg_cron, which is not here
	    AND f.name NOT IN ('rfm.schedule(text,text)', 'rfm.remove_jobs(text,bigint)')
	    -- call Citus, which is not here, or know the type of what they are given only when they are called
	    AND f.name NOT IN ('rfm.citus_tables(regclass)', 'rfm.distribute_table(text,text,rfm.settings)', 'rfm.rows_of(anyelement,text)')$$,
	'plpgsql_check finds nothing');
\else
SELECT skip('plpgsql_check is not installed', 1);
\endif

-- views for BI tools

SELECT is_empty(
	$$SELECT v.name, a.attname, format_type(a.atttypid, a.atttypmod) FROM public_view v
	  JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0
	  WHERE a.atttypid <> ALL ('{text,int2,int4,int8,numeric,float8,date,timestamp,timestamptz,uuid,bool}'::regtype[])
	     OR a.atttypmod <> -1$$,
	'columns have plain types');
SELECT is_empty(
	$$SELECT v.name, a.attname FROM public_view v JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0
	  -- and bounds of averages, percents, probabilities and the conversion at which a campaign pays
	  WHERE (a.attname ~ '(_(share|rate)|_low|_high|_percent)$' AND a.attname !~ '^promising_' OR a.attname IN ('p_value', 'probability_of_profit', 'break_even_conversion'))
	     <> (a.atttypid = 'float8'::regtype)$$,
	'shares, rates and bounds, and only they, are double precision');
SELECT is_empty(
	$$SELECT v.name, a.attname FROM public_view v JOIN pg_attribute a ON a.attrelid = v.oid AND a.attname ~ '_(low|high)$' AND a.attnum > 0
	  WHERE a.attname NOT IN ('promising_high', 'promising_low')
	    AND NOT EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = v.oid AND o.attname = regexp_replace(a.attname, '_(low|high)$', ''))$$,
	'bounds are named after what they bound');
SELECT is_empty(
	$$SELECT v.name, a.attname FROM public_view v JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0
	  WHERE a.attname LIKE '%\_at' AND a.atttypid <> 'timestamptz'::regtype
	     OR a.attname IN ('customers', 'orders', 'lines') AND a.atttypid <> 'int8'::regtype
	     OR a.attname ~ 'revenue$' AND a.atttypid <> 'numeric'::regtype
	     OR a.attname IN ('r', 'f', 'm', 'rfm_score', 'segment_rank') AND a.atttypid <> 'int2'::regtype$$,
	'a name has one type in all views');
SELECT is_empty(
	$$SELECT name, reloptions FROM model_relation WHERE reloptions IS NOT NULL AND relkind = 'v'$$,
	'views run with the rights of their owner');
SELECT results_eq(
	$$SELECT m.name, i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
	  FROM model_relation m LEFT JOIN pg_index i ON i.indrelid = m.oid WHERE m.relkind = 'm' ORDER BY 1$$,
	$$VALUES ('model_materialized.profiles', true), ('model_materialized.snapshot', true)$$,
	'materialised views have the unique index that CONCURRENTLY asks for');

SELECT * FROM finish();
