-- A model in each storage, and one of thelook, of a role without superuser rights, upgrade_owner, who calls this; read by
-- upgrade_reader: rules and texts edited, a campaign, grants, changes tracked; nothing depends on the moment.
SET client_min_messages = error;
CREATE SCHEMA base;
CREATE TABLE base.lines (customer_id text, order_id int, ordered_at timestamp, amount float8, status text, product_id int);
CREATE TABLE base.accounts (customer_id varchar, channel text, signed_up_at date, "Pays" text, size real, age interval);
CREATE TABLE base.products (product_id int, category text);
CREATE TABLE base.visits (customer_id text, session_id int, visited_at timestamptz);
INSERT INTO base.lines
	SELECT 'c' || i * i % 83, i / 2, '2024-01-01'::timestamp - i * interval '9 hours', i * 1.07, CASE WHEN i % 9 = 0 THEN 'Returned' END, i % 7
	FROM generate_series(1, 2000) i;
INSERT INTO base.lines SELECT NULL, -i, '2023-12-01', 10, NULL, NULL FROM generate_series(1, 10) i;
INSERT INTO base.accounts SELECT 'c' || i, CASE WHEN i % 3 > 0 THEN 'ch' || i % 3 END, '2020-01-01'::date + i, 'Ö' || i % 4, i % 3 / 7.0, i % 4 * interval '1 month 2 days 03:04:05' FROM generate_series(1, 90) i;
INSERT INTO base.products SELECT i, 'cat ' || i FROM generate_series(0, 6) i;
INSERT INTO base.visits SELECT 'c' || i % 83, i / 3, '2023-06-01Z'::timestamptz + i * interval '5 hours' FROM generate_series(1, 900) i;
SELECT rfm.create_model('in table', 'base.lines', 'base.accounts', 'base.products', 'base.visits', as_of => '2024-01-15',
	time_zone => 'Europe/Berlin', dimensions => '{Pays}');
SELECT rfm.create_model('Materialized', 'base.lines', 'base.accounts', 'base.products', 'base.visits', as_of => '2024-01-15',
	storage => 'materialized', dimensions => '{size,age}', recency_fractions => '{0.3,0.6}');
SELECT rfm.create_model('live', 'base.lines', 'base.accounts', as_of => '2024-01-15', storage => 'view', lookback => '1 year', rules => 'classic');
CREATE SCHEMA look;
CREATE TABLE look.order_items (id int, order_id int, user_id int, product_id int, status text, created_at timestamptz, sale_price float8);
CREATE TABLE look.users (id int, traffic_source text, created_at timestamptz, age int, gender text, country text, state text, city text);
CREATE TABLE look.products (id int, category text, brand text, name text, cost float8);
CREATE TABLE look.events (id int, user_id int, session_id text, created_at timestamptz);
INSERT INTO look.order_items SELECT i, i / 2, i % 40, i % 5, 'Complete', '2024-01-01Z'::timestamptz - i * interval '1 day', i FROM generate_series(1, 300) i;
INSERT INTO look.users SELECT i, 'Search', '2020-01-01Z', 30, 'F', 'France', 'x', 'Paris' FROM generate_series(1, 50) i;
INSERT INTO look.products SELECT i, 'Jeans', 'b', 'n', 5 FROM generate_series(0, 4) i;
SELECT rfm.create_thelook_model('shop', 'look', as_of => '2024-01-15');

SELECT rfm.track_changes('in table', 'base.lines', 'customer_id');
SELECT rfm.track_changes('in table', 'base.accounts', 'customer_id');
SELECT rfm.track_changes('in table', 'base.products', NULL);
SELECT rfm.track_changes('in table', 'base.visits', 'customer_id');
UPDATE "in table".segment_rules SET segment = 'Ä "x" \ ''' WHERE rule_order = 1;
UPDATE "Materialized".action_texts SET action = 'Call them';
SELECT rfm.grant_read('in table', 'upgrade_reader');
SELECT rfm.grant_read('Materialized', 'upgrade_reader');
GRANT USAGE ON SCHEMA live TO upgrade_reader;
GRANT SELECT (customer_id, segment) ON live.customers TO upgrade_reader WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION live.customers_at FROM PUBLIC;
GRANT EXECUTE ON FUNCTION live.customers_at TO upgrade_reader WITH GRANT OPTION;
CALL rfm.refresh('in table');
CALL rfm.refresh('Materialized');
CALL rfm.refresh('live');
CALL rfm.refresh('shop');
-- a line that came late, so that there is history
DELETE FROM base.lines WHERE customer_id = 'c1' AND order_id % 2 = 0;
SELECT rfm.configure_model('in table', as_of => '2024-01-16');
CALL rfm.refresh('in table');
CALL rfm.refresh('Materialized');
