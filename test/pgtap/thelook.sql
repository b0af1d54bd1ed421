-- Every view of a model of thelook equals its definition in plain SQL, in the three storages:
--
--     on the demo's own data, psql -v scale=0.02
--     on tables that are there already, psql -v loaded=1 -v as_of=2024-01-21

\set ON_ERROR_STOP on
\ir include/reference.sql
\if :{?scale} \else \set scale 0.02 \endif
\if :{?as_of} \else \set as_of 2024-01-21 \endif

SELECT plan(8 + cardinality(reference.views()));

\if :{?loaded} \else
SET client_min_messages = warning;
\i :source/demo/thelook.sql
\endif

SET client_min_messages = error;
SELECT rfm.create_thelook_model('in_' || storage, current_schema()::text, storage => storage, as_of => :'as_of')
FROM unnest('{table,materialized,view}'::text[]) storage;

-- The contract relations, written down again.
CREATE SCHEMA thelook;
CREATE VIEW thelook.order_lines AS
    SELECT user_id AS customer_id, order_id, created_at AS ordered_at, sale_price AS amount, status, product_id FROM order_items;
CREATE VIEW thelook.accounts AS
    SELECT id AS customer_id, traffic_source AS channel, created_at AS signed_up_at, country, gender FROM users;
CREATE VIEW thelook.products AS SELECT id AS product_id, category, brand, name, cost FROM products;
CREATE VIEW thelook.visits AS SELECT user_id AS customer_id, session_id, created_at AS visited_at FROM events WHERE user_id IS NOT NULL;
CREATE FUNCTION reference.compute_thelook(as_of timestamp) RETURNS void LANGUAGE sql AS $$
    SELECT reference.compute(jsonb_build_object('order_lines', 'thelook.order_lines', 'accounts', 'thelook.accounts', 'products', 'thelook.products',
        'visits', 'thelook.visits', 'as_of', as_of, 'dimensions', '["country", "gender"]'::jsonb))
$$;
SELECT reference.compute_thelook(:'as_of') IS NULL AS computed \gset

SELECT cmp_ok((SELECT count(*) FROM reference.customers), '>', 500::bigint, 'there are customers');
SELECT cmp_ok((SELECT count(*) FROM reference.segments WHERE customers > 0), '>=', 8::bigint, 'in every segment but Others');
SELECT reference.compare('{in_table,in_materialized,in_view}', 'thelook');

-- as check_model sees them
CREATE TABLE thelook.findings AS
    SELECT m.model, f.*, substring(finding FROM ': lines (\d+)')::numeric AS lines, substring(finding FROM ' orders (\d+)')::numeric AS orders,
           substring(finding FROM ' customers (\d+)')::numeric AS customers, substring(finding FROM ' amount (.*)$')::numeric AS amount
    FROM rfm.models m, LATERAL rfm.check_model(m.model) f WHERE m.model LIKE 'in\_%';
SELECT is_empty('SELECT * FROM thelook.findings WHERE severity <> ''note''', 'thelook: check_model has notes only');
SELECT results_eq(
    $$SELECT model, sum(lines), sum(orders), sum(customers), sum(amount) FROM thelook.findings WHERE finding NOT LIKE 'reconciled%' GROUP BY model ORDER BY model$$,
    $$SELECT model, a.* FROM (SELECT count(*)::numeric, count(DISTINCT (order_id, customer_id))::numeric, count(DISTINCT customer_id)::numeric, sum(round(amount::numeric, 4))
      FROM thelook.order_lines) a, rfm.models WHERE model LIKE 'in\_%' ORDER BY model$$, 'thelook: every line, order, customer and amount has its reason');

-- and at other moments
CREATE FUNCTION reference.past(as_of timestamp) RETURNS SETOF text LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
    s text;
BEGIN
    PERFORM reference.compute_thelook(as_of);
    FOREACH s IN ARRAY '{in_table,in_view}'::text[] LOOP
        EXECUTE format('CREATE SCHEMA past CREATE VIEW customers AS SELECT * FROM %I.customers_at(%L)', s, as_of);
        RETURN NEXT is(reference.difference('past', 'customers'), NULL, format('the customers at %s, by %s', as_of, s));
        DROP SCHEMA past CASCADE;
    END LOOP;
END $$;
SELECT reference.past(:'as_of'::timestamp - ago) FROM unnest('{200 days 5 hours 7 minutes,2 years}'::interval[]) ago;
SELECT * FROM finish();
