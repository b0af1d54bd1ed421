-- track_changes: what every kind of statement records, what is refused, when a refresh must not rely on it, and that
-- nothing is left behind. Writers have no right on the model and no trust in it, nor it in them.
\set ON_ERROR_STOP on
SET client_min_messages = error;

CREATE ROLE track_owner;
CREATE ROLE track_writer;
CREATE ROLE track_mallory;
SELECT format('GRANT CREATE ON DATABASE %I TO track_owner, track_mallory', current_database()) \gexec

-- What was recorded since the last call, for example "items 1 2 NULL", and forgets it.
CREATE FUNCTION pg_temp.recorded(model text DEFAULT 'shop') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('WITH gone AS (DELETE FROM %I.changes RETURNING *), said AS (
		SELECT DISTINCT relation::regclass::text AS relation, CASE WHEN everything THEN ''everything'' ELSE coalesce(id::text, ''NULL'') END AS what
		FROM gone LEFT JOIN LATERAL unnest(customer_ids) id ON true)
		SELECT string_agg(line, ''; '' ORDER BY line COLLATE "C") FROM (
			SELECT relation || '' '' || string_agg(what, '' '' ORDER BY what = ''NULL'', what COLLATE "C") AS line FROM said GROUP BY relation) l', model) INTO result;
	RETURN coalesce(result, 'nothing');
END $$;
CREATE FUNCTION pg_temp.refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(hint, ''));
END $$;
CREATE FUNCTION pg_temp.reason(model text DEFAULT 'shop') RETURNS text LANGUAGE sql AS
	'SELECT reason FROM rfm.contract_state(model, rfm.resolve_settings(rfm.model_settings(model)))';
CREATE FUNCTION pg_temp.fingerprint(model text DEFAULT 'shop') RETURNS text LANGUAGE sql AS
	'SELECT fingerprint FROM rfm.contract_state(model, rfm.resolve_settings(rfm.model_settings(model)))';
-- Whether the fingerprint is another one than at the last call.
CREATE TEMP TABLE last_fingerprint (fingerprint text);
INSERT INTO last_fingerprint VALUES ('');
CREATE FUNCTION pg_temp.differs(model text DEFAULT 'shop') RETURNS boolean LANGUAGE sql AS $$
	UPDATE last_fingerprint n SET fingerprint = pg_temp.fingerprint(model) FROM last_fingerprint o RETURNING n.fingerprint <> o.fingerprint $$;
CREATE FUNCTION pg_temp.triggers_left() RETURNS bigint LANGUAGE sql AS
	'SELECT count(*) FROM pg_trigger WHERE tgname LIKE ''record\_changes\_%''';

SELECT no_plan();

-- ---------- a shop: items of the owner of the model, users and products of somebody else, events in partitions

CREATE SCHEMA s AUTHORIZATION track_owner;
GRANT USAGE ON SCHEMA s TO PUBLIC;
SET search_path = s, public;
SET ROLE track_owner;
CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint, user_id bigint, product_id int, status text, created_at timestamptz, sale_price float8);
RESET ROLE;
CREATE TABLE users (id bigint PRIMARY KEY, channel text, country text);
CREATE TABLE products (id int PRIMARY KEY, category text);
CREATE TABLE events (id bigint, user_id int, session_id text, created_at date) PARTITION BY RANGE (created_at);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (user_id);
-- another order of columns
CREATE TABLE events_2024_rest (session_id text, created_at date, gone int, user_id int, id bigint);
ALTER TABLE events_2024_rest DROP COLUMN gone;
ALTER TABLE events_2024 ATTACH PARTITION events_2024_rest DEFAULT;
CREATE TABLE events_2024_one PARTITION OF events_2024 FOR VALUES IN (1);
GRANT SELECT ON users, products, events TO track_owner;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON items, users, products, events, events_2023, events_2024_rest TO track_writer;
CREATE VIEW lines AS SELECT user_id AS customer_id, order_id, created_at AS ordered_at, sale_price AS amount, status, product_id FROM items;
CREATE VIEW accounts AS SELECT id AS customer_id, channel, country FROM users;
CREATE VIEW goods AS SELECT id AS product_id, category FROM products;
CREATE VIEW visits AS SELECT user_id AS customer_id, session_id, created_at AS visited_at FROM events WHERE user_id IS NOT NULL;
GRANT SELECT ON lines, accounts, goods, visits TO track_owner;
INSERT INTO items VALUES (1, 1, 1, 1, 'Complete', '2024-01-01', 5);
SET ROLE track_owner;
SELECT rfm.create_model('shop', 's.lines', 's.accounts', 's.goods', 's.visits', as_of => '2024-06-01');

-- untracked: reasons one after the other

SELECT is(pg_temp.reason(), 's.events is not tracked: SELECT rfm.track_changes(''shop'', ''s.events'', ''...'')', 'nothing is tracked');
SELECT rfm.track_changes('shop', 's.items', 'user_id');
SELECT is(pg_temp.refusal($$SELECT rfm.track_changes('shop', 's.users', 'id')$$),
	E'42501 track_owner, who owns model "shop", may not put triggers on s.users\nGRANT TRIGGER ON s.users TO track_owner.', 'the right TRIGGER is missing');
SELECT is(pg_temp.refusal($$SELECT rfm.track_changes('shop', 's.events', 'user_id')$$),
	E'42501 track_owner, who owns model "shop", may not put triggers on s.events\nGRANT TRIGGER ON s.events TO track_owner; GRANT TRIGGER ON s.events_2023 TO track_owner;'
	' GRANT TRIGGER ON s.events_2024 TO track_owner; GRANT TRIGGER ON s.events_2024_one TO track_owner; GRANT TRIGGER ON s.events_2024_rest TO track_owner.', 'on partitions');
RESET ROLE;
GRANT TRIGGER ON users, products, events, events_2023, events_2024, events_2024_one, events_2024_rest TO track_owner;
REVOKE USAGE ON SCHEMA s FROM PUBLIC;
ALTER SCHEMA s OWNER TO postgres;
SELECT is(pg_temp.refusal($$SELECT rfm.track_changes('shop', 's.users', 'id')$$),
	E'42501 track_owner, who owns model "shop", may not put triggers on s.users\nGRANT USAGE ON SCHEMA s TO track_owner.', 'or USAGE on the schema');
GRANT USAGE ON SCHEMA s TO PUBLIC;
SET ROLE track_owner;
SELECT rfm.track_changes('shop', 's.users', 'id');
SELECT rfm.track_changes('shop', 's.events', 'user_id');
SELECT is(pg_temp.reason(), 's.products is not tracked: SELECT rfm.track_changes(''shop'', ''s.products'', NULL)', 'for products NULL is suggested');
SELECT rfm.track_changes('shop', 's.products', NULL);
SELECT is(pg_temp.reason(), NULL, 'all is tracked');
RESET ROLE;
SELECT is(pg_temp.reason(), NULL, 'whoever looks');
SELECT results_eq('SELECT tracked_id, relation, customer_column FROM shop.tracked ORDER BY 1',
	$$VALUES (1, 's.items'::regclass, 'user_id'::name), (2, 's.users', 'id'), (3, 's.events', 'user_id'), (4, 's.products', NULL)$$, 'what was asked for');
SELECT results_eq(
	$$SELECT tgrelid::regclass::text, string_agg(DISTINCT tgenabled::text, ''), count(*) FROM pg_trigger WHERE tgname LIKE 'record\_changes\_%' GROUP BY 1 ORDER BY 1$$,
	$$VALUES ('events', 'O', 4::bigint), ('events_2023', 'O', 4), ('events_2024', 'O', 4), ('events_2024_one', 'O', 4), ('events_2024_rest', 'O', 4), ('items', 'A', 4), ('products', 'O', 4), ('users', 'O', 4)$$,
	'four triggers on each table and partition, always on tables of the owner');
SELECT is((SELECT account_relations FROM rfm.contract_state('shop', rfm.resolve_settings(rfm.model_settings('shop')))), ARRAY['s.users'::regclass::oid], 'what feeds accounts');
SELECT is_empty($$SELECT name FROM (VALUES ('tracked'), ('changes')) n(name) WHERE obj_description(('shop.' || name)::regclass) NOT LIKE 'Internal.%'
	UNION ALL SELECT attname FROM pg_attribute WHERE attrelid IN ('shop.tracked'::regclass, 'shop.changes'::regclass) AND attnum > 0 AND col_description(attrelid, attnum) IS NULL
	UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'shop'::regnamespace AND proname LIKE 'record%' AND obj_description(oid) NOT LIKE 'Internal.%'$$, 'all is commented');
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'shop'::regnamespace AND proname LIKE 'record%'
	AND NOT (prosecdef AND proconfig = '{"search_path=pg_catalog, pg_temp"}' AND proowner = 'track_owner'::regrole
	         AND NOT EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))$$, 'the trigger functions run as the owner, with a pinned search_path, and nobody else may call them');
SELECT is_empty($$SELECT * FROM pg_index WHERE indrelid = 'shop.changes'::regclass$$, 'changes has no index');
SELECT pg_temp.differs() \gset

-- ---------- what statements record, by a writer without any right on the model

SET ROLE track_writer;
SELECT throws_ok('SELECT * FROM shop.changes', '42501', NULL, 'the writer has no right on the model');
INSERT INTO items VALUES (2, 2, 2, 1, 'Complete', '2024-01-02', 5);
RESET ROLE;
SELECT is(pg_temp.recorded(), 'items 2', 'INSERT of one row');
SET ROLE track_writer;
INSERT INTO items SELECT i, i, i % 5, 1, 'Complete', '2024-01-03', 5 FROM generate_series(3, 20) i;
RESET ROLE;
SELECT is(pg_temp.recorded(), 'items 0 1 2 3 4', 'of several');
SET ROLE track_writer;
INSERT INTO items VALUES (21, 21, NULL, 1, 'Complete', '2024-01-02', 5), (22, 22, 7, 1, 'Complete', '2024-01-02', 5);
RESET ROLE;
SELECT is(pg_temp.recorded(), 'items 7 NULL', 'lines without customer');
INSERT INTO items SELECT FROM generate_series(1, 0);
SELECT is(pg_temp.recorded(), 'nothing', 'of none');
SET ROLE track_writer;
INSERT INTO items VALUES (1, 1, 88, 1, 'Complete', '2024-01-02', 5), (23, 23, 9, 1, 'Complete', '2024-01-02', 5)
	ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id;
RESET ROLE;
SELECT is(pg_temp.recorded(), 'items 1 88 9', 'ON CONFLICT DO UPDATE');
INSERT INTO items VALUES (1, 1, 88, 1, 'Complete', '2024-01-02', 5) ON CONFLICT DO NOTHING;
SELECT is(pg_temp.recorded(), 'nothing', 'ON CONFLICT DO NOTHING');
SET ROLE track_writer;
UPDATE items SET user_id = 77 WHERE id = 23;
RESET ROLE;
SELECT is(pg_temp.recorded(), 'items 77 9', 'UPDATE of the customer: the old one and the new one');
UPDATE items SET status = 'Cancelled' WHERE id IN (23, 22, 21);
SELECT is(pg_temp.recorded(), 'items 7 77 NULL', 'UPDATE of something else');
UPDATE items SET status = 'x' WHERE false;
DELETE FROM items WHERE false;
SELECT is(pg_temp.recorded(), 'nothing', 'of no row');
SET ROLE track_writer;
DELETE FROM items WHERE id > 20;
RESET ROLE;
SELECT is(pg_temp.recorded(), 'items 7 77 NULL', 'DELETE');
COPY items FROM stdin;
31	31	501	1	Complete	2024-01-01	5
32	32	\N	1	Complete	2024-01-01	5
\.
SELECT is(pg_temp.recorded(), 'items 501 NULL', 'COPY');
MERGE INTO items t USING (VALUES (31, 600), (32, 601), (33, 602), (34, NULL)) v(id, user_id) ON t.id = v.id
	WHEN MATCHED AND v.id = 32 THEN DELETE
	WHEN MATCHED THEN UPDATE SET user_id = v.user_id
	WHEN NOT MATCHED THEN INSERT (id, user_id) VALUES (v.id, v.user_id);
SELECT is(pg_temp.recorded(), 'items 501 600 602 NULL', 'MERGE');
WITH d AS (DELETE FROM items WHERE id >= 33 RETURNING *) INSERT INTO items SELECT id + 10, order_id, 700 FROM d WHERE id = 33;
SELECT is(pg_temp.recorded(), 'items 602 700 NULL', 'WITH');
BEGIN;
INSERT INTO items VALUES (50, 50, 1000);
SAVEPOINT a;
INSERT INTO items VALUES (51, 51, 1001);
ROLLBACK TO a;
COMMIT;
SELECT is(pg_temp.recorded(), 'items 1000', 'ROLLBACK TO SAVEPOINT');
BEGIN;
INSERT INTO items VALUES (52, 52, 1002);
ROLLBACK;
SELECT is(pg_temp.recorded(), 'nothing', 'ROLLBACK');
SET session_replication_role = replica;
INSERT INTO items VALUES (53, 53, 1003);
RESET session_replication_role;
SELECT is(pg_temp.recorded(), 'items 1003', 'session_replication_role = replica, on a table of the owner');
SELECT is(pg_temp.differs(), false, 'none of this changes the fingerprint');

-- many at once
INSERT INTO items SELECT i, i, i % 5000 FROM generate_series(100001, 110000) i;
SELECT results_eq('SELECT count(*) >= 5 AND count(*) < 100, max(cardinality(customer_ids)) <= 1000, (SELECT count(DISTINCT id) FROM shop.changes, unnest(customer_ids) id) FROM shop.changes',
	'VALUES (true, true, 5000::bigint)', '10,000 rows of 5,000 customers take some rows of bounded size');
DELETE FROM shop.changes;
UPDATE items SET user_id = user_id + 100000 WHERE id > 100000;
SELECT results_eq('SELECT count(DISTINCT id), max(id), min(id), count(*) < 12000 FROM shop.changes, unnest(customer_ids) id', 'VALUES (10000::bigint, 104999::bigint, 0::bigint, true)', 'old and new customers of an UPDATE');
DELETE FROM shop.changes;
DELETE FROM items WHERE id > 100000;
SELECT results_eq('SELECT count(DISTINCT id) FROM shop.changes, unnest(customer_ids) id', 'VALUES (5000::bigint)', 'and of a DELETE');
DELETE FROM shop.changes;

-- other tables
INSERT INTO users SELECT i, 'web', 'DE' FROM generate_series(1, 5) i;
SELECT is(pg_temp.recorded(), 'users 1 2 3 4 5', 'accounts');
ALTER TABLE events_2023 ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
ALTER TABLE items ADD CONSTRAINT items_user FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE NOT VALID;
SELECT pg_temp.differs() \gset
INSERT INTO events_2023 VALUES (1, 5, 'a', '2023-02-02'), (2, 4, 'a', '2023-02-02');
INSERT INTO items VALUES (60, 60, 4), (61, 61, 4), (62, 62, 5);
SELECT is(pg_temp.recorded(), 'events_2023 4 5; items 4 5', 'a partition by its name');
DELETE FROM users WHERE id IN (4, 5);
SELECT is(pg_temp.recorded(), 'events_2023 4 5; items 4 5; users 4 5', 'ON DELETE CASCADE');
ALTER TABLE items DROP CONSTRAINT items_user;
ALTER TABLE events_2023 DROP CONSTRAINT events_2023_user_id_fkey;
INSERT INTO products VALUES (1, 'a'), (2, 'b');
UPDATE products SET category = 'c' WHERE id = 1;
SELECT is((SELECT count(*) FROM shop.changes), 2::bigint, 'one row a statement');
SELECT is(pg_temp.recorded(), 'products everything', 'without customer column everything counts as changed');
UPDATE products SET category = 'c' WHERE false;
DELETE FROM products WHERE false;
INSERT INTO products SELECT FROM generate_series(1, 0);
SELECT is(pg_temp.recorded(), 'nothing', 'but not by a statement without rows');
DELETE FROM products WHERE id = 1;
SELECT is(pg_temp.recorded(), 'products everything', 'DELETE there');
TRUNCATE products;
SELECT is(pg_temp.recorded(), 'products everything', 'TRUNCATE there');
SET ROLE track_writer;
TRUNCATE items;
RESET ROLE;
SELECT is(pg_temp.recorded(), 'items everything', 'TRUNCATE');

-- partitions
SELECT pg_temp.differs() \gset
INSERT INTO events VALUES (10, 1, 'x', '2023-05-05'), (11, 1, 'x', '2024-05-05'), (12, 2, 'x', '2024-05-05');
SELECT is(pg_temp.recorded(), 'events 1 2', 'INSERT through the parent');
INSERT INTO events_2024 VALUES (13, 1, 'x', '2024-05-05'), (14, 3, 'x', '2024-05-05');
SELECT is(pg_temp.recorded(), 'events_2024 1 3', 'through a partition that is partitioned');
INSERT INTO events_2024_rest VALUES ('x', '2024-05-05', 4, 15);
SELECT is(pg_temp.recorded(), 'events_2024_rest 4', 'into a leaf with columns in another order');
UPDATE events SET user_id = 1 WHERE id = 12;
SELECT is(pg_temp.recorded(), 'events 1 2', 'a row that moves between partitions');
UPDATE events_2024 SET user_id = 6 WHERE id = 13;
SELECT is(pg_temp.recorded(), 'events_2024 1 6', 'further down');
UPDATE events_2024_rest SET session_id = 'y' WHERE id = 14;
DELETE FROM events_2024_one WHERE id = 11;
SELECT is(pg_temp.recorded(), 'events_2024_one 1; events_2024_rest 3', 'UPDATE and DELETE of leaves');
COPY events FROM stdin;
20	31	x	2023-05-05
21	32	x	2024-05-05
\.
COPY events_2023 FROM stdin;
22	33	x	2023-05-05
\.
SELECT is(pg_temp.recorded(), 'events 31 32; events_2023 33', 'COPY into the parent and a leaf');
SELECT is(pg_temp.differs(), false, 'rows in partitions do not change the fingerprint');
TRUNCATE events_2023;
SELECT is(pg_temp.recorded(), 'events_2023 everything', 'TRUNCATE of a leaf');
TRUNCATE events;
SELECT is(pg_temp.recorded(), 'events everything; events_2023 everything; events_2024 everything; events_2024_one everything; events_2024_rest everything', 'TRUNCATE of all');
SELECT pg_temp.differs() \gset
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SELECT is(pg_temp.reason(), 'partition s.events_2025 is not tracked: SELECT rfm.track_changes(''shop'', ''s.events'', ''user_id'')', 'a new partition');
SELECT ok(pg_temp.differs(), 'shows in the fingerprint');
SELECT is(pg_temp.refusal($$SELECT rfm.track_changes('shop', 's.events', 'user_id')$$),
	E'42501 track_owner, who owns model "shop", may not put triggers on s.events\nGRANT TRIGGER ON s.events_2025 TO track_owner.', 'rights are checked for it, too');
GRANT TRIGGER ON events_2025 TO track_owner;
SELECT rfm.track_changes('shop', 's.events', 'user_id');
SELECT is(pg_temp.reason(), NULL, 'track_changes again adds what is missing');
SELECT is((SELECT count(*) FROM shop.tracked), 4::bigint, 'and nothing else');
SELECT ok(pg_temp.differs(), 'then the fingerprint is another one');
INSERT INTO events_2025 VALUES (1, 8, 'x', '2025-01-01');
SELECT is(pg_temp.recorded(), 'events_2025 8', 'it records');
SELECT rfm.track_changes('shop', 's.events', 'user_id');
SELECT is(pg_temp.differs(), false, 'track_changes once more changes nothing');
ALTER TABLE events DETACH PARTITION events_2025;
SELECT ok(pg_temp.differs() AND pg_temp.reason() IS NULL, 'DETACH PARTITION shows in the fingerprint');
ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SELECT ok(pg_temp.differs() AND pg_temp.reason() IS NULL, 'ATTACH PARTITION, too; its triggers were still there');

-- another column of the same table
SELECT rfm.track_changes('shop', 's.items', 'order_id');
SELECT ok(pg_temp.differs(), 'another column is another fingerprint');
INSERT INTO items VALUES (1, 4711, 1);
SELECT is(pg_temp.recorded(), 'items 4711', 'and is recorded instead');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 's.items'::regclass), 4::bigint, 'by four triggers');
SELECT rfm.track_changes('shop', 's.items', NULL);
UPDATE items SET order_id = 5;
SELECT is(pg_temp.recorded(), 'items everything', 'NULL, too');
SELECT rfm.track_changes('shop', 's.items', 'user_id');
SELECT is(pg_temp.reason(), NULL, 'back again');

-- what could stop those who write: it does not
SELECT pg_temp.differs() \gset
BEGIN;
ALTER TABLE items RENAME user_id TO buyer;
INSERT INTO items VALUES (900, 900, 900);
SELECT is(pg_temp.reason(), 'column user_id of s.items is gone: SELECT rfm.track_changes(''shop'', ''s.items'', ''...'')', 'a renamed column');
SELECT is(pg_temp.recorded(), 'items everything', 'everything counts as changed');
SELECT ok(pg_temp.differs(), 'in the fingerprint, too');
ROLLBACK;
BEGIN;
DROP VIEW lines CASCADE;
ALTER TABLE items ALTER user_id TYPE text;
INSERT INTO items VALUES (900, 900, 'nine');
SELECT is(pg_temp.recorded(), 'items everything', 'a column of another type');
ROLLBACK;
BEGIN;
ALTER SCHEMA shop RENAME TO shop2;
SELECT lives_ok('INSERT INTO items VALUES (901, 901, 901)', 'a model under another name');
SELECT alike(pg_temp.reason('shop2'), 'the triggers on s.% are out of date: SELECT rfm.track_changes(''shop2'', ''s.%'', %)', 'says so');
SELECT rfm.track_changes('shop2', 's.items', 'user_id');
INSERT INTO items VALUES (902, 902, 902);
SELECT is(pg_temp.recorded('shop2'), 'items 902', 'until it is told');
ROLLBACK;
BEGIN;
ALTER SCHEMA shop RENAME TO shop2;
INSERT INTO items VALUES (901, 901, 901);
ALTER SCHEMA shop2 RENAME TO shop;
SELECT is(pg_temp.recorded(), 'nothing', 'what was written in between is not recorded');
SELECT ok(pg_temp.differs() AND pg_temp.reason() IS NULL, 'but the fingerprint shows it');
ROLLBACK;

-- ---------- reasons and fingerprints

-- each case in a transaction of its own: what is done, and the reason then (NULL: the fingerprint alone tells)
CREATE FUNCTION s.stable_price(float8) RETURNS float8 LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION s.fixed_price(float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION s.all_items() RETURNS SETOF s.items LANGUAGE sql STABLE AS 'SELECT * FROM s.items';
CREATE FUNCTION s.step(float8, float8) RETURNS float8 LANGUAGE sql STABLE AS 'SELECT $1 + $2';
CREATE AGGREGATE s.total(float8) (SFUNC = s.step, STYPE = float8);
CREATE TYPE s.mood AS ENUM ('good', 'bad');
CREATE FUNCTION pg_temp.lines_view(columns text, source text DEFAULT 's.items') RETURNS text LANGUAGE sql AS $$
	SELECT 'CREATE OR REPLACE VIEW s.lines AS SELECT user_id AS customer_id, order_id, created_at AS ordered_at, ' || columns || ', status, product_id FROM ' || source $$;
CREATE TEMP TABLE cases (command text, reason text);
INSERT INTO cases VALUES
	(pg_temp.lines_view('sale_price * 2 AS amount'), NULL),
	(pg_temp.lines_view('(sale_price * extract(epoch FROM now()))::float8 AS amount'), 'view s.lines calls now(), so that its rows change without a statement'),
	(pg_temp.lines_view('sale_price * (CURRENT_DATE - date ''2000-01-01'') AS amount'), 'view s.lines calls CURRENT_DATE, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('sale_price AS amount', 's.items WHERE created_at < LOCALTIMESTAMP'), 'view s.lines calls LOCALTIMESTAMP, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('sale_price AS amount', 's.items WHERE status <> CURRENT_USER'), 'view s.lines calls CURRENT_USER, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('sale_price AS amount', 's.items WHERE age(created_at) > ''1 day'''), 'view s.lines calls age(), so that its rows change without a statement'),
	(pg_temp.lines_view('sale_price AS amount', 's.items WHERE created_at < statement_timestamp()'), 'view s.lines calls statement_timestamp(), so that its rows change without a statement'),
	(pg_temp.lines_view('sale_price AS amount', 's.items WHERE status = current_setting(''a.b'', true)'), 'view s.lines calls current_setting(), so that its rows change without a statement'),
	(pg_temp.lines_view('random() AS amount'), 'view s.lines calls random(), so that its rows change without a statement'),
	(pg_temp.lines_view('sale_price AS amount', 's.items WHERE tableoid::regclass::text <> ''x'''), 'view s.lines calls regclassout(), so that its rows change without a statement'),
	(pg_temp.lines_view('s.stable_price(sale_price) AS amount'), 'view s.lines calls s.stable_price(double precision), which is not IMMUTABLE'),
	(pg_temp.lines_view('(SELECT s.total(i.sale_price) FROM s.items i WHERE i.id = items.id) AS amount'), 'view s.lines calls s.total(double precision), which is not IMMUTABLE'),
	(pg_temp.lines_view('sale_price AS amount', 's.all_items()'), 'view s.lines calls s.all_items(), which is not IMMUTABLE'),
	(pg_temp.lines_view('s.fixed_price(sale_price) AS amount'), NULL),
	(pg_temp.lines_view('sale_price AS amount', '(SELECT * FROM s.items LIMIT 5) i'), 'view s.lines has LIMIT without ORDER BY, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('sale_price AS amount', '(SELECT * FROM s.items ORDER BY id LIMIT 5) i'), 'view s.lines has LIMIT, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('sale_price AS amount', '(SELECT DISTINCT ON (order_id) * FROM s.items) i'), 'view s.lines has DISTINCT ON without ORDER BY, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('sale_price AS amount', 's.items TABLESAMPLE SYSTEM (50)'), 'view s.lines has TABLESAMPLE, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('sale_price / (SELECT max(sale_price) FROM s.items) AS amount'), 'view s.lines has an aggregate over all rows, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('(SELECT sum(i.sale_price) FROM s.items i WHERE i.id = items.id) AS amount'), NULL),
	(pg_temp.lines_view('sale_price / sum(sale_price) OVER () AS amount'), 'view s.lines has a window over all rows, so that a row depends on more than the rows of its customer'),
	(pg_temp.lines_view('sale_price / sum(sale_price) OVER (PARTITION BY user_id) AS amount'), NULL),
	-- conversions
	(pg_temp.lines_view('to_char(date_trunc(''month'', created_at), ''YYYY'')::float8 + extract(epoch FROM created_at) + to_number(concat(status, ''1''), ''9'')::float8
		+ length(created_at::text) + length(created_at::date::text) AS amount', 's.items WHERE created_at > date ''2000-01-01'' AND created_at < timestamp ''2050-01-01'' AND created_at - interval ''1 day'' < ''2050-01-01'''), NULL),
	(pg_temp.lines_view('sale_price AS amount', 's.items WHERE id IN (SELECT reltuples FROM pg_class)'), 'pg_class is a system relation'),
	(pg_temp.lines_view('sale_price AS amount', 's.items WHERE status IN (SELECT usename FROM pg_stat_activity)'), 'pg_stat_activity is a system relation'),
	('CREATE MATERIALIZED VIEW s.m AS SELECT * FROM s.items; ' || pg_temp.lines_view('sale_price AS amount', 's.m'), 's.m is a materialized view'),
	('CREATE FOREIGN DATA WRAPPER f; CREATE SERVER f FOREIGN DATA WRAPPER f; CREATE FOREIGN TABLE s.f (id bigint, order_id bigint, user_id bigint, product_id int, status text, created_at timestamptz, sale_price float8) SERVER f; '
		|| pg_temp.lines_view('sale_price AS amount', 's.f'), 's.f is a foreign table'),
	('CREATE FOREIGN DATA WRAPPER f; CREATE SERVER f FOREIGN DATA WRAPPER f; CREATE FOREIGN TABLE s.events_2022 PARTITION OF s.events FOR VALUES FROM (''2022-01-01'') TO (''2023-01-01'') SERVER f',
		'partition s.events_2022 is a foreign table'),
	('CREATE TABLE s.items_child () INHERITS (s.items)', 's.items has inheritance children'),
	('CREATE TABLE s.parent (id bigint NOT NULL); ALTER TABLE s.items INHERIT s.parent', 's.items inherits from another table'),
	('ALTER TABLE s.items SET UNLOGGED', 's.items is an unlogged table'),
	('INSERT INTO pg_subscription_rel VALUES (1, ''s.items''::regclass, ''r'', NULL)', 's.items is the target of a subscription'),
	('INSERT INTO pg_subscription_rel VALUES (1, ''s.events_2023''::regclass, ''r'', NULL)', 'partition s.events_2023 is the target of a subscription'),
	('ALTER TABLE s.users ENABLE ROW LEVEL SECURITY; ALTER VIEW s.accounts OWNER TO track_owner', 'row-level security of s.users applies to track_owner, who reads it'),
	('ALTER TABLE s.users ENABLE ROW LEVEL SECURITY; ALTER VIEW s.accounts SET (security_invoker = on)', 'row-level security of s.users applies to track_owner, who reads it'),
	('ALTER TABLE s.users ENABLE ROW LEVEL SECURITY', NULL),
	('ALTER TABLE s.items ENABLE ROW LEVEL SECURITY; ALTER TABLE s.items FORCE ROW LEVEL SECURITY; ALTER VIEW s.lines OWNER TO track_owner', 'row-level security of s.items applies to track_owner, who reads it'),
	('CREATE POLICY p ON s.users USING (true)', NULL),
	(pg_temp.lines_view('sale_price AS amount', 's.items JOIN s.stock USING (id)'), 's.stock is not tracked: SELECT rfm.track_changes(''shop'', ''s.stock'', ''...'')'),
	('CREATE VIEW s.between AS SELECT * FROM s.stock; ' || pg_temp.lines_view('sale_price AS amount', 's.items JOIN s.between USING (id)'), 's.stock is not tracked: SELECT rfm.track_changes(''shop'', ''s.stock'', ''...'')'),
	('CREATE OR REPLACE VIEW s.goods AS SELECT id::int AS product_id, channel AS category FROM s.users', 's.users feeds products, yet is tracked by customer: SELECT rfm.track_changes(''shop'', ''s.users'', NULL)'),
	('ALTER TABLE s.users DISABLE TRIGGER USER', 'a trigger of rfm.track_changes on s.users is disabled: SELECT rfm.track_changes(''shop'', ''s.users'', ''id'')'),
	('ALTER TABLE s.events_2023 DISABLE TRIGGER USER', 'a trigger of rfm.track_changes on s.events_2023 is disabled: SELECT rfm.track_changes(''shop'', ''s.events'', ''user_id'')'),
	('ALTER TABLE s.users DISABLE TRIGGER USER; ALTER TABLE s.users ENABLE TRIGGER USER', NULL),
	('SELECT rfm.untrack_changes(''shop'', ''s.products'')', 's.products is not tracked: SELECT rfm.track_changes(''shop'', ''s.products'', NULL)'),
	('DO $d$BEGIN EXECUTE (SELECT format(''DROP TRIGGER %I ON s.products'', tgname) FROM pg_trigger WHERE tgrelid = ''s.products''::regclass LIMIT 1); END$d$', 's.products is not tracked: SELECT rfm.track_changes(''shop'', ''s.products'', NULL)'),
	('CREATE OR REPLACE FUNCTION shop.record_changes_2() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''', 'the triggers on s.users are out of date: SELECT rfm.track_changes(''shop'', ''s.users'', ''id'')'),
	('CLUSTER s.items USING items_pkey', NULL),
	('TRUNCATE s.items', NULL),
	('ALTER TABLE s.items ADD COLUMN extra int DEFAULT 3', NULL),
	('ALTER TYPE s.mood RENAME VALUE ''bad'' TO ''sad''', NULL),
	('CREATE OR REPLACE FUNCTION s.fixed_status(text) RETURNS text LANGUAGE sql IMMUTABLE AS ''SELECT $1 || 1''', NULL),
	('GRANT CREATE ON SCHEMA shop TO track_writer', NULL);
CREATE TABLE stock (id bigint);
-- one that uses a function and a type that change
ALTER TABLE users ADD COLUMN mood s.mood;
CREATE FUNCTION s.fixed_status(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE OR REPLACE VIEW accounts AS SELECT id AS customer_id, s.fixed_status(channel) AS channel, country FROM users;
SELECT is(pg_temp.reason(), NULL, 'before all these cases');
SELECT pg_temp.differs() \gset
CREATE FUNCTION pg_temp.try(command text, OUT reason text, OUT fingerprint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	reason := pg_temp.reason();
	fingerprint := pg_temp.fingerprint();
	RAISE EXCEPTION 'undo';
EXCEPTION WHEN OTHERS THEN
	IF SQLERRM <> 'undo' THEN
		reason := SQLERRM;
	END IF;
END $$;
ALTER VIEW lines OWNER TO postgres;
SELECT is(t.reason, c.reason, left(c.command, 150)) FROM cases c, pg_temp.try(c.command) t;
SELECT isnt(t.fingerprint, f.fingerprint, 'the fingerprint after ' || left(c.command, 120)) FROM cases c, pg_temp.try(c.command) t, last_fingerprint f;
SELECT is(t.fingerprint, f.fingerprint, 'the same fingerprint after ' || c.command) FROM last_fingerprint f,
	unnest(ARRAY['INSERT INTO s.items VALUES (1000, 1, 1)', 'UPDATE s.users SET channel = ''b''', 'DELETE FROM s.items', 'ANALYZE s.items', 'SELECT 1',
		'CREATE INDEX ON s.items (user_id)', 'GRANT SELECT ON s.items TO track_writer', 'ALTER TABLE s.stock ADD a int']) c(command), pg_temp.try(c.command) t;
SELECT is(pg_temp.differs(), false, 'the cases left nothing behind');

-- ---------- refusals

SET ROLE track_owner;
SELECT rfm.create_model('live', 's.lines', storage => 'view');
RESET ROLE;
ALTER TABLE items ADD COLUMN note char(3), ADD COLUMN price_id numeric, ADD COLUMN external uuid;
CREATE TABLE other (user_id bigint);
CREATE TEMP TABLE temporary (user_id bigint);
CREATE MATERIALIZED VIEW stored AS SELECT * FROM items;
CREATE VIEW joined AS SELECT l.*, e.session_id FROM lines l JOIN events_2024_one e ON e.user_id = l.customer_id;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE far (user_id bigint) SERVER nowhere;
CREATE UNLOGGED TABLE fleeting (user_id bigint);
CREATE TABLE parent (user_id bigint);
CREATE TABLE child () INHERITS (parent);
CREATE SEQUENCE counter;
SELECT is(pg_temp.refusal(format('SELECT rfm.track_changes(%s)', args)), message, args) FROM (VALUES
	($$'shop', 'joined', 'customer_id'$$, E'42809 changes of s.joined cannot be tracked: s.joined is a view\nTriggers see the statements on the tables below it. Track s.events, s.items instead.'),
	($$'shop', 'stored', 'user_id'$$, E'42809 changes of s.stored cannot be tracked: s.stored is a materialized view\nIts REFRESH fires no trigger. Read a plain view with the same query instead, and track the tables below it.'),
	($$'shop', 'far', 'user_id'$$, E'42809 changes of s.far cannot be tracked: s.far is a foreign table\nIts rows change on the other side, where no trigger is. A model that reads it is rebuilt in full.'),
	($$'shop', 'temporary', 'user_id'$$, E'42809 changes of temporary cannot be tracked: temporary is a temporary table\nA model outlives the session: keep the rows in a permanent table.'),
	($$'shop', 'fleeting', 'user_id'$$, E'0A000 changes of s.fleeting cannot be tracked: s.fleeting is an unlogged table\nA crash empties it without a statement. ALTER TABLE ... SET LOGGED keeps its rows.'),
	($$'shop', 'parent', 'user_id'$$, E'0A000 changes of s.parent cannot be tracked: s.parent has inheritance children\nStatements on the children do not fire its triggers. Use declarative partitions instead.'),
	($$'shop', 'child', 'user_id'$$, E'0A000 changes of s.child cannot be tracked: s.child inherits from another table\nStatements on the parent do not fire its triggers. Use declarative partitions instead.'),
	($$'shop', 'counter', 'user_id'$$, E'42809 changes of s.counter cannot be tracked: s.counter is not a table\nName a table.'),
	($$'shop', 'pg_class', 'oid'$$, E'42809 changes of pg_class cannot be tracked: pg_class is a system relation\nIts rows change without a statement.'),
	($$'shop', 'pg_stat_activity', 'oid'$$, E'42809 changes of pg_stat_activity cannot be tracked: pg_stat_activity is a system relation\nIts rows change without a statement.'),
	($$'shop', 'shop.profiles', 'customer_id'$$, E'42809 shop.profiles belongs to the model itself\nTrack the tables that its order lines, accounts, products and visits come from.'),
	($$'shop', 'shop.customers', 'customer_id'$$, E'42809 shop.customers belongs to the model itself\nTrack the tables that its order lines, accounts, products and visits come from.'),
	($$'shop', 'other', 'user_id'$$, E'22023 model "shop" does not read s.other\nNothing would ever change: track the tables that its order lines, accounts, products and visits come from.'),
	($$'shop', 'events_2024', 'user_id'$$, E'42809 changes of s.events_2024 cannot be tracked: it is a partition\nTrack s.events: that includes its partitions.'),
	($$'shop', 'items', 'nobody'$$, E'42703 relation s.items has no column nobody\nName the column that holds the customer, or NULL: then every change means a full rebuild.'),
	($$'shop', 'items', 'ctid'$$, E'42703 relation s.items has no column ctid\nName the column that holds the customer, or NULL: then every change means a full rebuild.'),
	($$'shop', 'items', 'status'$$, E'42804 column status of relation s.items has type text, but customer_id of s.lines has type bigint\nName the column that holds the customer, or NULL: then every change means a full rebuild.'),
	($$'shop', 'items', 'price_id'$$, E'42804 column price_id of relation s.items has type numeric, but customer_id of s.lines has type bigint\nName the column that holds the customer, or NULL: then every change means a full rebuild.'),
	($$'shop', 'items', 'external'$$, E'42804 column external of relation s.items has type uuid, but customer_id of s.lines has type bigint\nName the column that holds the customer, or NULL: then every change means a full rebuild.'),
	($$'shop', 'products', 'id'$$, E'22023 s.products feeds the products of model "shop", which are of all customers\nPass NULL as customer_column: then every change means a full rebuild.'),
	($$'live', 'items', 'user_id'$$, E'55000 model "live" has storage view\nOnly storage table is refreshed by what changed: SELECT rfm.configure_model(''live'', storage => ''table''); CALL rfm.refresh(''live'').'),
	($$'nothing', 'items', 'user_id'$$, E'3F000 model "nothing" does not exist\nSELECT model FROM rfm.models lists the models; rfm.create_model makes one.'),
	($$NULL, 'items', 'user_id'$$, E'22004 model must not be NULL\nSELECT model FROM rfm.models lists the models.'),
	($$'shop', NULL, 'user_id'$$, E'42P01 relation NULL does not exist\nName a table that the model reads.'),
	($$'shop', 4::oid::regclass, 'user_id'$$, E'42P01 relation 4 does not exist\nName a table that the model reads.')) r(args, message);
SELECT is(pg_temp.refusal($$SELECT rfm.untrack_changes('shop', 's.other')$$), E'42704 changes of s.other are not tracked for model "shop"\nThe table shop.tracked, if there is one, lists what is tracked.', 'untrack_changes of what is not tracked');
SELECT is(pg_temp.refusal($$SELECT rfm.untrack_changes('live', 's.items')$$), E'42704 changes of s.items are not tracked for model "live"\nThe table live.tracked, if there is one, lists what is tracked.', 'of a model that tracks nothing');
SET ROLE track_writer;
SELECT is(pg_temp.refusal($$SELECT rfm.track_changes('shop', 's.items', 'user_id')$$), E'42501 must be owner of model "shop"\nAsk track_owner, who owns it.', 'a stranger');
SELECT is(pg_temp.refusal($$SELECT rfm.untrack_changes('shop', 's.items')$$), E'42501 must be owner of model "shop"\nAsk track_owner, who owns it.', 'a stranger');
RESET ROLE;
SELECT is((SELECT count(*) FROM shop.tracked), 4::bigint, 'a refusal leaves nothing behind');
SELECT is(to_regclass('live.tracked'), NULL, 'nowhere');
DROP VIEW joined;
DROP MATERIALIZED VIEW stored;

-- ---------- two models on one table, names that need quotes, ids of text and uuid

CREATE SCHEMA "S ""x"".y";
GRANT USAGE ON SCHEMA "S ""x"".y" TO track_owner, track_writer;
SET search_path = "S ""x"".y", public;
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
-- every name that the trigger function uses itself, and one that would break out of it
CREATE TABLE "Lines; %s" ("customer""id" varchar(20), "ids" int, id int, r int, u int, p int, part int, tg_relid int, tg_op text, found boolean, changed_rows int, old_rows int,
	"order id" uuid, at date, amount numeric(10, 2), "$$; DROP" int);
CREATE VIEW "view %I" AS SELECT "customer""id" AS customer_id, "order id" AS order_id, at AS ordered_at, amount FROM "Lines; %s";
ALTER TABLE "Lines; %s" OWNER TO track_owner;
GRANT ALL ON "view %I", "Lines; %s" TO track_owner;
GRANT INSERT, UPDATE, DELETE, SELECT ON "Lines; %s" TO track_writer;
SET ROLE track_owner;
SELECT rfm.create_model('My "model" %s', '"view %I"');
SELECT rfm.create_model('my.other', '"view %I"');
SELECT rfm.track_changes(model, '"Lines; %s"', 'customer"id') FROM unnest('{"My \"model\" %s",my.other}'::text[]) model;
RESET ROLE;
SELECT is(pg_temp.reason('My "model" %s'), NULL, 'a model with a name that needs quotes tracks a table that does');
SET ROLE track_writer;
INSERT INTO "Lines; %s" ("customer""id", "order id", at, amount, ids, id, tg_relid, tg_op)
	VALUES ('a', md5('1')::uuid, '2024-01-01', 1, 1, 1, 1, 'x'), ('A', md5('2')::uuid, '2024-01-01', 1, 1, 1, 1, 'x'), ('it''s "q" {,} \ ', NULL, NULL, 1, 1, 1, 1, 'x'), (NULL, NULL, NULL, 1, 1, 1, 1, 'x'), ('NULL', NULL, NULL, 1, 1, 1, 1, 'x');
UPDATE "Lines; %s" SET "customer""id" = 'b' WHERE "customer""id" = 'a';
RESET ROLE;
SELECT bag_eq('SELECT DISTINCT id FROM "My ""model"" %s".changes, unnest(customer_ids) id', $$VALUES ('a'), ('A'), ('b'), (E'it\'s "q" {,} \\ '), (NULL), ('NULL')$$, 'ids of text');
SELECT bag_eq('SELECT relation, everything, id FROM "My ""model"" %s".changes, unnest(customer_ids) id', 'SELECT relation, everything, id FROM "my.other".changes, unnest(customer_ids) id', 'both models know');
DELETE FROM "my.other".changes;
INSERT INTO "Lines; %s" ("customer""id") SELECT 'customer ' || i FROM generate_series(1, 3000) i;
SELECT results_eq('SELECT count(DISTINCT id), count(*), max(pg_column_size(customer_ids)) < 20000 FROM "my.other".changes, unnest(customer_ids) id', 'VALUES (3000::bigint, 3000::bigint, true)', 'many texts');
DELETE FROM "my.other".changes;
SELECT is(pg_temp.refusal($$SELECT rfm.track_changes('my.other', '"Lines; %s"', 'order id')$$), E'42804 column "order id" of relation "S ""x"".y"."Lines; %s" has type uuid, but customer_id of "S ""x"".y"."view %I" has type character varying\n'
	'Name the column that holds the customer, or NULL: then every change means a full rebuild.', 'uuid is no text');
SELECT rfm.untrack_changes('my.other', '"Lines; %s"');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = '"Lines; %s"'::regclass), 4::bigint, 'untrack_changes leaves the triggers of the other model');
DELETE FROM "Lines; %s" WHERE "customer""id" = 'A';
SELECT is(pg_temp.recorded('my.other'), 'nothing', 'and records no more');
SELECT alike(pg_temp.reason('my.other'), E'"S ""x"".y"."Lines; %%s" is not tracked: SELECT rfm.track_changes(\'my.other\', \'"S ""x"".y"."Lines; %%s"\', \'...\')', 'the reason can be copied');
-- texts that a collation takes for equal, and very long ones
CREATE TABLE blind_lines (customer_id text COLLATE blind, order_id int, ordered_at date, amount int);
CREATE TABLE uuid_lines (customer_id uuid, order_id int, ordered_at date, amount int);
CREATE DOMAIN small AS int CHECK (value < 1000000);
CREATE TABLE int_base (customer_id bigint, order_id int, ordered_at date, amount int);
CREATE VIEW int_lines AS SELECT customer_id::small AS customer_id, order_id, ordered_at, amount FROM int_base WHERE customer_id < 1000000;
SELECT rfm.create_model('blind', 'blind_lines');
SELECT rfm.create_model('uuids', 'uuid_lines');
SELECT rfm.create_model('ints', 'int_lines');
SELECT rfm.track_changes('blind', 'blind_lines', 'customer_id');
SELECT rfm.track_changes('uuids', 'uuid_lines', 'customer_id');
SELECT rfm.track_changes('ints', 'int_base', 'customer_id');
INSERT INTO blind_lines SELECT c FROM unnest('{a,A,ä,b}'::text[]) c;
SELECT is(pg_temp.recorded('blind'), 'blind_lines A a b ä', 'ids that a collation takes for equal are two');
INSERT INTO blind_lines SELECT repeat(chr(65 + i % 26), 5000000) || i FROM generate_series(1, 30) i;
SELECT results_eq('SELECT count(*) >= 30, count(DISTINCT md5(id)) FROM blind.changes, unnest(customer_ids) id', 'VALUES (true, 30::bigint)', 'very long ids');
DELETE FROM blind.changes;
INSERT INTO uuid_lines VALUES (md5('1')::uuid), (NULL);
SELECT is(pg_temp.recorded('uuids'), format('uuid_lines %s NULL', md5('1')::uuid), 'ids of uuid');
INSERT INTO uuid_lines SELECT md5(i::text)::uuid FROM generate_series(1, 1000) i;
SELECT results_eq('SELECT count(*), count(DISTINCT id) FROM uuids.changes, unnest(customer_ids) id', 'VALUES (1000::bigint, 1000::bigint)', 'many');
INSERT INTO int_base VALUES (7), (10000000000);
SELECT is(pg_temp.recorded('ints'), 'int_base 7 NULL', 'an id that no customer can have does not stop its writer');
UPDATE int_base SET customer_id = 10000000001 WHERE customer_id > 7;
SELECT is(pg_temp.recorded('ints'), 'int_base NULL', 'nor that of an UPDATE');
-- the ids become of another type
CREATE OR REPLACE VIEW uuid_view AS SELECT customer_id::text AS customer_id, order_id, ordered_at, amount FROM uuid_lines;
UPDATE uuids.settings SET order_lines = 'uuid_view';
SELECT alike(pg_temp.reason('uuids'), 'the triggers on % are out of date%', 'ids of another type');
SELECT is(pg_temp.refusal($$SELECT rfm.track_changes('uuids', 'uuid_lines', 'customer_id')$$), E'42804 column customer_id of relation "S ""x"".y".uuid_lines has type uuid, but customer_id of "S ""x"".y".uuid_view has type text\n'
	'Name the column that holds the customer, or NULL: then every change means a full rebuild.', 'are refused where they do not fit');
SELECT rfm.track_changes('uuids', 'uuid_lines', NULL);
SELECT is(pg_temp.reason('uuids'), NULL, 'and possible where they need not');
SELECT col_type_is('uuids', 'changes', 'customer_ids', 'text[]', 'changes has the new type');
INSERT INTO uuid_lines VALUES (md5('1')::uuid);
SELECT is(pg_temp.recorded('uuids'), 'uuid_lines everything', 'it records');

-- ---------- a hostile writer, a hostile owner

CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO PUBLIC;
CREATE TABLE trap.changes (relation oid, everything boolean, customer_ids bigint[]);
CREATE TABLE trap.changed_rows (user_id bigint);
CREATE TABLE trap.pg_attribute (attrelid oid, attname name, atttypid oid);
CREATE TYPE trap.regtype AS ENUM ('trap');
CREATE TYPE trap.text AS ENUM ('trap');
CREATE FUNCTION trap.springs() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap was sprung''; END';
CREATE FUNCTION trap.to_regclass(pg_catalog.text) RETURNS regclass LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap was sprung''; END';
CREATE FUNCTION trap.cardinality(anyarray) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap was sprung''; END';
CREATE FUNCTION trap.row_number() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap was sprung''; END';
CREATE FUNCTION trap.equal(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap was sprung''; END';
CREATE FUNCTION trap.oids(oid, oid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap was sprung''; END';
CREATE FUNCTION trap.texts(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap was sprung''; END';
CREATE FUNCTION trap.ints(int, int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap was sprung''; END';
CREATE OPERATOR trap.= (FUNCTION = trap.equal, LEFTARG = anyelement, RIGHTARG = anyelement);
CREATE OPERATOR trap.= (FUNCTION = trap.oids, LEFTARG = oid, RIGHTARG = oid);
CREATE OPERATOR trap.= (FUNCTION = trap.texts, LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text);
CREATE OPERATOR trap.<= (FUNCTION = trap.ints, LEFTARG = int, RIGHTARG = int);
SELECT throws_ok('SET LOCAL search_path = trap, pg_catalog; SELECT to_regclass(''a''::pg_catalog.text)', 'P0001', 'the trap was sprung', 'the traps work');
SET ROLE track_writer;
SET search_path = trap, pg_catalog, s;
-- a table of his own, too
CREATE TEMP TABLE changes (relation oid, everything boolean, customer_ids pg_catalog.int8[]);
INSERT INTO s.items (id, user_id) SELECT i, i FROM generate_series(2001, 3000) i;
UPDATE s.items SET user_id = user_id + 1000 WHERE id OPERATOR(pg_catalog.>) 2000;
DELETE FROM s.items WHERE id OPERATOR(pg_catalog.>) 2001;
DELETE FROM s.items WHERE id OPERATOR(pg_catalog.>) 2000;
SELECT count(*) AS caught FROM pg_temp.changes \gset
DROP TABLE pg_temp.changes;
RESET ROLE;
SET search_path = s, public;
SELECT is(:caught, 0, 'a writer with a hostile search_path and a table of the same name writes where he should');
SELECT results_eq('SELECT count(DISTINCT id), min(id), max(id) FROM shop.changes, unnest(customer_ids) id', 'VALUES (2000::bigint, 2001::bigint, 4000::bigint)', 'and is recorded');
DELETE FROM shop.changes;
-- What is called as transition tables are is never read in their place.
CREATE TEMP VIEW old_rows AS SELECT (1 / (user_id - user_id)) AS user_id FROM s.items;
INSERT INTO items (id, user_id) VALUES (2001, 2001);
ALTER VIEW old_rows RENAME TO changed_rows;
UPDATE items SET user_id = 1 WHERE id = 2001;
INSERT INTO products VALUES (4711, 'a');
DELETE FROM products WHERE id = 4711;
DROP VIEW changed_rows;
SELECT is((SELECT count(*) FROM shop.changes), 4::bigint, 'relations of a session are not taken for transition tables');
SELECT is(pg_temp.recorded(), 'items everything; products everything', 'what is written then counts as a change of everything');
DELETE FROM items WHERE id = 2001;
DELETE FROM shop.changes;
-- the owner of a model gets nothing from the statements of a superuser
CREATE TABLE public.secret (a text);
SET ROLE track_mallory;
CREATE SCHEMA lair;
CREATE TABLE lair.lines (customer_id int, order_id int, ordered_at date, amount int);
CREATE TABLE lair.log (as_whom name);
GRANT INSERT ON lair.log TO PUBLIC;
SELECT rfm.create_model('lair_model', 'lair.lines');
SELECT rfm.track_changes('lair_model', 'lair.lines', 'customer_id');
CREATE FUNCTION lair.attack() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO lair.log VALUES (current_user);
	BEGIN
		INSERT INTO public.secret VALUES ('mallory was here');
	EXCEPTION WHEN insufficient_privilege THEN
		RETURN NEW;
	END;
	RETURN NEW;
END $$;
CREATE TRIGGER attack BEFORE INSERT ON lair_model.changes FOR EACH ROW EXECUTE FUNCTION lair.attack();
RESET ROLE;
INSERT INTO lair.lines VALUES (1, 1, '2024-01-01', 1);
SELECT results_eq('SELECT DISTINCT as_whom FROM lair.log', $$VALUES ('track_mallory'::name)$$, 'what the owner of a model puts on changes runs as him, whoever writes');
SELECT is_empty('TABLE public.secret', 'and achieves nothing');

-- a model that reads one partition only: a statement on the whole reaches it, too
CREATE VIEW leaf_lines AS SELECT user_id AS customer_id, id AS order_id, created_at AS ordered_at, 1 AS amount FROM events_2024_one;
SELECT rfm.create_model('leaf', 's.leaf_lines');
SELECT is(pg_temp.reason('leaf'), 's.events is not tracked: SELECT rfm.track_changes(''leaf'', ''s.events'', ''...'')', 'a partition is tracked with its parent');
SELECT rfm.track_changes('leaf', 's.events', 'user_id');
INSERT INTO events VALUES (100, 1, 'x', '2024-05-05');
SELECT is(pg_temp.recorded('leaf'), 'events 1', 'so that statements on the parent are recorded');
SELECT is(pg_temp.reason('leaf'), NULL, 'and all is tracked');
SELECT rfm.drop_model('leaf');
DELETE FROM shop.changes;

-- ---------- nothing is left behind

CREATE TABLE gone (customer_id bigint, order_id int, ordered_at date, amount int);
CREATE VIEW with_gone AS SELECT * FROM gone;
SELECT rfm.create_model('leaver', 'with_gone');
SELECT rfm.track_changes('leaver', 'gone', 'customer_id');
CREATE TABLE remains (LIKE gone);
CREATE OR REPLACE VIEW with_gone AS SELECT * FROM remains;
DROP TABLE gone;
SELECT is(pg_temp.reason('leaver'), 's.remains is not tracked: SELECT rfm.track_changes(''leaver'', ''s.remains'', ''...'')', 'a table that is gone');
SELECT rfm.track_changes('leaver', 'remains', 'customer_id');
SELECT is((SELECT count(*) FROM leaver.tracked), 1::bigint, 'its row goes with the next call');
SELECT is((SELECT count(*) FROM pg_proc WHERE pronamespace = 'leaver'::regnamespace AND proname LIKE 'record%'), 1::bigint, 'and its function');
SET ROLE track_owner;
BEGIN;
SELECT rfm.untrack_changes('shop', 's.users');
ROLLBACK;
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 's.users'::regclass), 4::bigint, 'ROLLBACK of untrack_changes');
SELECT rfm.untrack_changes('shop', 's.users');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 's.users'::regclass), 0::bigint, 'untrack_changes removes triggers from a table of somebody else');
SELECT is(to_regprocedure('shop.record_changes_2()'), NULL, 'and the function');
CREATE FUNCTION shop.record_changes_now() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT alike(pg_temp.refusal('SELECT rfm.drop_model(''shop'')'), '2BP01 schema "shop" holds objects that do not belong to the model%', 'a function that only looks like one of the model');
DROP FUNCTION shop.record_changes_now();
SELECT rfm.drop_model('shop');
SELECT rfm.drop_model('live');
RESET ROLE;
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 's'::regnamespace) AND tgname LIKE 'record%' AND tgrelid <> 'remains'::regclass), 0::bigint, 'drop_model leaves no trigger on any table');
SELECT rfm.drop_model(model) FROM rfm.models;
SELECT is(pg_temp.triggers_left(), 0::bigint, 'nor does it in schemas with strange names');
SELECT lives_ok('INSERT INTO s.items VALUES (-1)', 'and the tables are as before');

SELECT * FROM finish();
RESET search_path;
DROP OWNED BY track_owner, track_writer, track_mallory CASCADE;
DROP ROLE track_owner, track_writer, track_mallory;
