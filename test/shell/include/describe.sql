-- Prints what is in schema rfm, or in the schemas that are models with -v models=1: every definition, comment and grant, and
-- no number of an object, so that two databases can be compared. One line each: kind, name, definition.
SET search_path = pg_catalog;
\if :{?models}
SELECT array_agg(n.oid) AS schemas FROM rfm.models m JOIN pg_namespace n ON n.nspname = m.model \gset
\else
SELECT array_agg(n.oid) AS schemas FROM pg_namespace n WHERE n.nspname = 'rfm' \gset
\endif

SELECT 'member', pg_describe_object(classid, objid, objsubid) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE e.extname = 'rfm_segments' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND 'rfm'::regnamespace = ANY (:'schemas'::oid[])
UNION ALL
SELECT 'schema', to_jsonb(x)::text FROM (
	SELECT nspname, nspacl, obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE oid = ANY (:'schemas'::oid[])) x
UNION ALL
SELECT 'function ' || p.oid::regprocedure, to_jsonb(x)::text
FROM pg_proc p LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid CROSS JOIN LATERAL (
	SELECT CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) END AS definition,
		pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
		p.prokind, p.provolatile, p.proparallel, p.proisstrict, p.proretset, p.procost, p.prorows, p.proacl,
		obj_description(p.oid, 'pg_proc') AS comment,
		to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype,aggsortop}'::text[] AS aggregate,
		a.aggtranstype::regtype, a.aggmtranstype::regtype, a.aggsortop::regoperator) x
WHERE p.pronamespace = ANY (:'schemas'::oid[])
UNION ALL
SELECT 'type ' || t.oid::regtype, (to_jsonb(t) - '{oid,typnamespace,typowner,typrelid,typelem,typarray,typbasetype}'::text[]
	|| jsonb_build_object('element', t.typelem::regtype, 'base', t.typbasetype::regtype, 'comment', obj_description(t.oid, 'pg_type')))::text
FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typnamespace = ANY (:'schemas'::oid[]) AND coalesce(c.relkind = 'c', true) AND t.typelem = 0
UNION ALL
SELECT 'operator ' || o.oid::regoperator, to_jsonb(x)::text FROM pg_operator o CROSS JOIN LATERAL (
	SELECT o.oprcode, o.oprrest, o.oprjoin, o.oprresult::regtype, o.oprcom::regoperator, o.oprnegate::regoperator,
		o.oprcanmerge, o.oprcanhash, obj_description(o.oid, 'pg_operator') AS comment) x
WHERE o.oprnamespace = ANY (:'schemas'::oid[])
UNION ALL
SELECT 'cast ' || c.castsource::regtype || ' to ' || c.casttarget::regtype,
	concat_ws(' ', c.castfunc::regprocedure, c.castcontext, c.castmethod, obj_description(c.oid, 'pg_cast'))
FROM pg_cast c JOIN pg_type t ON t.oid IN (c.castsource, c.casttarget) WHERE t.typnamespace = ANY (:'schemas'::oid[])
UNION ALL
SELECT 'operator class ' || o.opcname, to_jsonb(x)::text FROM pg_opclass o CROSS JOIN LATERAL (
	SELECT o.opcmethod, o.opcintype::regtype, o.opcdefault, obj_description(o.oid, 'pg_opclass') AS comment,
		(SELECT jsonb_agg(concat_ws(' ', m.amopstrategy, m.amopopr::regoperator) ORDER BY m.amopstrategy) FROM pg_amop m WHERE m.amopfamily = o.opcfamily) AS operators,
		(SELECT jsonb_agg(concat_ws(' ', m.amprocnum, m.amproc::regprocedure) ORDER BY m.amprocnum) FROM pg_amproc m WHERE m.amprocfamily = o.opcfamily) AS functions) x
WHERE o.opcnamespace = ANY (:'schemas'::oid[])
UNION ALL
SELECT 'relation ' || c.oid::regclass, to_jsonb(x)::text FROM pg_class c CROSS JOIN LATERAL (
	SELECT c.relkind, c.relpersistence, c.reloptions, c.reloftype::regtype, c.relacl, obj_description(c.oid, 'pg_class') AS comment,
		CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition,
		(SELECT jsonb_agg(pg_get_indexdef(i.indexrelid) ORDER BY pg_get_indexdef(i.indexrelid)) FROM pg_index i WHERE i.indrelid = c.oid) AS indexes,
		(SELECT jsonb_agg(concat_ws(' ', k.conname, pg_get_constraintdef(k.oid)) ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid) AS constraints,
		(SELECT jsonb_agg(pg_get_triggerdef(t.oid) ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS triggers) x
WHERE c.relnamespace = ANY (:'schemas'::oid[]) AND c.relkind NOT IN ('i', 't')
UNION ALL
SELECT 'column ' || c.oid::regclass || '.' || a.attname, to_jsonb(x)::text
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum CROSS JOIN LATERAL (
	SELECT format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, a.attstorage, a.attidentity, a.attcollation::regcollation, a.attacl,
		pg_get_expr(d.adbin, d.adrelid) AS default, col_description(c.oid, a.attnum) AS comment) x
WHERE c.relnamespace = ANY (:'schemas'::oid[]) AND c.relkind NOT IN ('i', 't') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1, 2;
