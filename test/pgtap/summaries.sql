-- What the analyses read: sums that a refresh stores, or, in a large model after an incremental refresh, what they compute
-- themselves. Both give the same rows, to the last digit.
\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE TABLE lines AS
	SELECT i % 100100 AS customer_id, i AS order_id, timestamp '2024-01-01' - (i % 700) * interval '1 day' AS ordered_at, (i % 977) / 7.0 AS amount, i % 50 AS product_id
	FROM generate_series(0, 130000) i;
CREATE INDEX ON lines (customer_id);
CREATE TABLE people AS SELECT i AS customer_id, (ARRAY['web', 'shop', NULL])[1 + i % 3] AS channel, date '2021-06-01' + i % 900 AS signed_up_at,
	(ARRAY['Peru', 'Chad'])[1 + i % 2] AS country FROM generate_series(0, 101000) i;
CREATE INDEX ON people (customer_id);
CREATE TABLE things AS SELECT i AS product_id, 'category ' || i % 5 AS category, 'brand ' || i % 9 AS brand, 'thing ' || i AS name FROM generate_series(0, 48) i;
CREATE INDEX ON things (product_id);
CREATE TABLE visitors AS SELECT customer_id, order_id % 3 AS session_id, ordered_at + interval '2 days' AS visited_at FROM lines WHERE order_id % 4 = 0;
CREATE INDEX ON visitors (customer_id);
CREATE TABLE few AS SELECT * FROM lines WHERE customer_id < 500;
CREATE INDEX ON few (customer_id);
ANALYZE lines, people, things, visitors, few;

-- Every analysis of a model as text, without the moment of the refresh.
CREATE FUNCTION analyses(model text) RETURNS TABLE (name text, line text) LANGUAGE plpgsql SET jit = off AS $$
BEGIN
	FOREACH name IN ARRAY '{overview,segments,segment_breakdown,score_cells,pareto,churn_risk,promising_activity,gateway_products,gateway_moments,channel_maturity,
			repurchase_timing,repurchase_curve,first_purchase_timing,cohort_retention,action_plan,roi}'::text[] LOOP
		FOR line IN EXECUTE format('SELECT (to_jsonb(x) - ''refreshed_at'')::text FROM %I.%I x', model, name) LOOP
			RETURN NEXT;
		END LOOP;
	END LOOP;
END $$;
CREATE FUNCTION differences(a regclass, b regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT string_agg(DISTINCT name, '', '') FROM ((TABLE %1$s EXCEPT ALL TABLE %2$s) UNION ALL (TABLE %2$s EXCEPT ALL TABLE %1$s)) d', a, b) INTO result;
	RETURN result;
END $$;
CREATE FUNCTION stored(model text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT l.mode || '', stored: '' || (SELECT count(*) FROM %1$I.stored_summaries) || '', of this snapshot: ''
		|| (SELECT count(*) FROM %1$I.stored_summaries JOIN %1$I.snapshot USING (as_of, refreshed_at))
		FROM %1$I.refresh_log l ORDER BY refresh_id DESC LIMIT 1', model) INTO result;
	RETURN result;
END $$;
\o /dev/null
SELECT rfm.create_model('large', 'lines', 'people', 'things', 'visitors', as_of => '2024-01-02', dimensions => '{country}');
SELECT rfm.create_model('small', 'few', 'people', 'things', 'visitors', as_of => '2024-01-02', dimensions => '{country}');
SELECT rfm.track_changes(model, relation, CASE WHEN relation <> 'things'::regclass THEN 'customer_id' END::name)
FROM (VALUES ('large', 'lines'::regclass), ('small', 'few')) m(model, mine), LATERAL (SELECT mine UNION ALL SELECT unnest('{people,things,visitors}'::regclass[])) r(relation);
CALL rfm.refresh('large');
CALL rfm.refresh('small');
CREATE TABLE first AS SELECT * FROM analyses('large');
\o

SELECT plan(16);
SELECT cmp_ok((SELECT customers FROM large.overview), '>', 100000::bigint, 'a large model');
SELECT is(stored('large'), 'full, stored: 1, of this snapshot: 1', 'a full refresh stores');
BEGIN;
DELETE FROM large.stored_summaries;
CREATE TABLE second AS SELECT * FROM analyses('large');
SELECT is(differences('first', 'second'), NULL, 'without what is stored the analyses say the same');
ROLLBACK;
SELECT cmp_ok((SELECT count(*) FROM first), '>', 1000::bigint, '... which is something');

CALL rfm.refresh('large');
SELECT is(stored('large'), 'incremental, stored: 1, of this snapshot: 1', 'where nothing changed, what is stored stays');
CREATE TABLE third AS SELECT * FROM analyses('large');
SELECT is(differences('first', 'third'), NULL, '... and is right');

INSERT INTO lines SELECT i * 1000, 200000 + i, timestamp '2023-12-31', 900, 3 FROM generate_series(0, 9) i;
CALL rfm.refresh('large');
SELECT is(stored('large'), 'incremental, stored: 0, of this snapshot: 0', 'after a few changes of many customers it is left to the readers');
CREATE TABLE fourth AS SELECT * FROM analyses('large');
SELECT matches(differences('first', 'fourth'), 'channel_maturity.*gateway_products.*overview.*pareto.*roi.*segment_breakdown', '... who see the changes');
CALL rfm.refresh('large');
SELECT is(stored('large'), 'incremental, stored: 0, of this snapshot: 0', '... after the next refresh, too');
CALL rfm.refresh('large', full_rebuild => true);
CREATE TABLE fifth AS SELECT * FROM analyses('large');
SELECT is(stored('large') || coalesce(differences('fourth', 'fifth'), ''), 'full, stored: 1, of this snapshot: 1', 'a full refresh stores the same again');

INSERT INTO few SELECT i, 200000 + i, timestamp '2023-12-31', 900, 3 FROM generate_series(0, 9) i;
CALL rfm.refresh('small');
SELECT is(stored('small'), 'incremental, stored: 1, of this snapshot: 1', 'those of few customers are always stored');
CREATE TABLE sixth AS SELECT * FROM analyses('small');
CALL rfm.refresh('small', full_rebuild => true);
CREATE TABLE seventh AS SELECT * FROM analyses('small');
SELECT is(differences('sixth', 'seventh'), NULL, '... and right');

-- a snapshot that somebody emptied
DELETE FROM small.snapshot;
SELECT lives_ok('CALL rfm.refresh(''small'')', 'a snapshot that is missing is made again');
CREATE VIEW ranked AS SELECT *, customer_id % 3 AS rank, 'x' AS days FROM people;
SELECT lives_ok('SELECT rfm.create_model(''ranked_model'', ''few'', ''ranked'', as_of => ''2024-01-02'', dimensions => ''{rank,days}'')', 'dimensions with names of columns that others have');

-- a reader of a large model has parallel workers
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || query; END $$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT matches((SELECT string_agg(p, E'\n') FROM plan_of('SELECT segment, count(*) FROM large.customers GROUP BY segment') p), 'Parallel Seq Scan on profiles', 'customers');
SELECT matches((SELECT string_agg(p, E'\n') FROM plan_of('SELECT * FROM large.gateway_products') p), 'Parallel Seq Scan on profiles', '... and what is not stored');
SELECT * FROM finish();
