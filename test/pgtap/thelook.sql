-- Every view of a model of thelook equals its definition in plain SQL, in the three storages:
--
--     on the demo's own data, psql -v scale=0.02
--     on tables that are there already, psql -v loaded=1 -v as_of=2024-01-21

\set ON_ERROR_STOP on
\ir include/reference.sql
\if :{?scale} \else \set scale 0.02 \endif
\if :{?as_of} \else \set as_of 2024-01-21 \endif

SELECT plan(2 + cardinality(reference.views()));

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
SELECT reference.compute(jsonb_build_object('order_lines', 'thelook.order_lines', 'accounts', 'thelook.accounts', 'products', 'thelook.products', 'visits', 'thelook.visits',
    'as_of', :'as_of', 'dimensions', '["country", "gender"]'::jsonb)) IS NULL AS computed \gset

SELECT cmp_ok((SELECT count(*) FROM reference.customers), '>', 500::bigint, 'there are customers');
SELECT cmp_ok((SELECT count(*) FROM reference.segments WHERE customers > 0), '>=', 8::bigint, 'in every segment but Others');
SELECT reference.compare('{in_table,in_materialized,in_view}', 'thelook');
SELECT * FROM finish();
