-- A shop whose data change at random, and a model of it: included by tests that compare an incremental refresh with
-- a full rebuild.
SET client_min_messages = warning;
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY, order_id int, user_id int, product_id int, status text, created_at timestamptz,
	voided_at timestamptz, price numeric);
CREATE INDEX ON items (user_id);
CREATE TABLE users (id int, source text, created_at timestamptz, country text);
CREATE INDEX ON users (id);
CREATE TABLE products (id int, category text, brand text, name text, cost numeric);
CREATE TABLE events (user_id int, session_id text, created_at timestamptz);
CREATE INDEX ON events (user_id);
CREATE VIEW lines AS SELECT user_id AS customer_id, order_id, created_at AS ordered_at, price AS amount, status, product_id, voided_at FROM items;
CREATE VIEW accounts AS SELECT id AS customer_id, source AS channel, created_at AS signed_up_at, country FROM users;
CREATE VIEW goods AS SELECT id AS product_id, category, brand, name, cost FROM products;
CREATE VIEW visits AS SELECT user_id AS customer_id, session_id, created_at AS visited_at FROM events;

-- A moment: mostly of the last two years, sometimes about to come, or about to leave the window of a year.
CREATE FUNCTION moment() RETURNS timestamptz LANGUAGE sql AS $$
	SELECT CASE WHEN random() < 0.8 THEN now() - random() * interval '2 years'
		WHEN random() < 0.5 THEN now() + (random() * 20 - 5) * interval '1 second'
		ELSE now() - interval '1 year' + (random() * 20 - 5) * interval '1 second' END $$;

CREATE FUNCTION customer() RETURNS int LANGUAGE sql AS $$ SELECT CASE WHEN random() < 0.03 THEN NULL ELSE (random() ^ 2 * 400)::int END $$;

CREATE FUNCTION add_lines(n int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO items (order_id, user_id, product_id, status, created_at, voided_at, price)
	SELECT CASE WHEN random() < 0.02 THEN NULL ELSE o.order_id END, o.user_id, (random() * 30)::int,
		(ARRAY['Complete', 'Shipped', 'Cancelled', 'Returned', NULL])[1 + floor(random() * 5)::int],
		o.at + floor(random() * 3) * interval '1 hour', CASE WHEN random() < 0.05 THEN moment() END,
		CASE WHEN random() < 0.02 THEN NULL WHEN random() < 0.1 THEN -round((random() * 40)::numeric, 2) ELSE round((random() * 100)::numeric, 2) END
	FROM (SELECT (random() * 1e9)::int AS order_id, customer() AS user_id, moment() AS at FROM generate_series(1, n)) o
	CROSS JOIN generate_series(1, 1 + floor(random() * 3)::int) $$;

-- One change of a random kind.
CREATE FUNCTION change() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c int := customer();
	k float8 := random();
BEGIN
	CASE floor(random() * 16)
		WHEN 0, 1, 2 THEN PERFORM add_lines(1 + floor(random() * 5)::int);
		WHEN 3 THEN UPDATE items SET price = price + 1 WHERE user_id = c;
		WHEN 4 THEN UPDATE items SET user_id = customer() WHERE id IN (SELECT id FROM items WHERE user_id = c LIMIT 2);
		WHEN 5 THEN UPDATE items SET status = 'Cancelled' WHERE user_id = c AND random() < 0.5;
		WHEN 6 THEN UPDATE items SET status = 'Complete' WHERE user_id = c;
		WHEN 7 THEN DELETE FROM items WHERE id IN (SELECT id FROM items WHERE user_id = c LIMIT 1);
		WHEN 8 THEN DELETE FROM items WHERE user_id = c;
		WHEN 9 THEN UPDATE items SET voided_at = CASE WHEN voided_at IS NULL THEN moment() END WHERE user_id = c;
		WHEN 10 THEN INSERT INTO users VALUES ((random() * 500)::int, (ARRAY['Search', 'Email', NULL])[1 + floor(random() * 3)::int], moment(), chr(65 + (random() * 5)::int));
		WHEN 11 THEN DELETE FROM users WHERE id = c AND random() < 0.5;
		WHEN 12 THEN UPDATE users SET source = 'Ads', id = CASE WHEN random() < 0.2 THEN customer() ELSE id END WHERE id = c;
		WHEN 13 THEN INSERT INTO events SELECT customer(), (random() * 100)::int::text, moment() FROM generate_series(1, 5);
		WHEN 14 THEN DELETE FROM events WHERE user_id = c AND random() < 0.5;
		ELSE
			IF k < 0.9 THEN
				UPDATE items SET created_at = moment(), order_id = (random() * 1e9)::int WHERE user_id = c;
			ELSIF k < 0.95 THEN
				UPDATE products SET cost = round((random() * 30)::numeric, 2), category = chr(65 + (random() * 4)::int) WHERE id = (random() * 30)::int;
			ELSE
				TRUNCATE events;
			END IF;
	END CASE;
END $$;

-- Many of them, each a transaction; some are taken back.
CREATE PROCEDURE churn(seed float8, steps int) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setseed(seed);
	FOR i IN 1 .. steps LOOP
		BEGIN
			PERFORM change();
		EXCEPTION WHEN deadlock_detected THEN
			NULL;
		END;
		IF random() < 0.1 THEN
			ROLLBACK;
		ELSE
			COMMIT;
		END IF;
	END LOOP;
END $$;

-- The model shop, tracked; setup: more arguments of create_model.
CREATE FUNCTION make_shop(setup text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT rfm.create_model(''shop'', ''lines'', ''accounts'', ''goods'', ''visits'', dimensions => ''{country}'', %s)', setup);
	PERFORM rfm.track_changes('shop', t::regclass, c)
	FROM (VALUES ('items', 'user_id'), ('users', 'id'), ('events', 'user_id'), ('products', NULL)) x(t, c);
END $$;

-- What a refresh computes of the whole model, as text.
CREATE FUNCTION everything(model text) RETURNS TABLE (relation text, line text) LANGUAGE plpgsql AS $$
DECLARE
	r text;
BEGIN
	FOREACH r IN ARRAY '{profiles,customers,overview,segments,segment_breakdown,score_cells,pareto,churn_risk,promising_activity,gateway_products,channel_maturity,repurchase_timing,repurchase_curve,first_purchase_timing,cohort_retention,action_plan,roi}'::text[] LOOP
		RETURN QUERY EXECUTE format('SELECT %L, (to_jsonb(t) - ''segment_since'' - ''refreshed_at'' %s)::text FROM %I.%I t', r,
			CASE WHEN r = 'profiles' THEN '|| jsonb_build_object(''ledger'', t.ledger::text)' ELSE '' END, model, r);
	END LOOP;
END $$;

INSERT INTO users SELECT i, (ARRAY['Search', 'Email', NULL])[1 + i % 3], now() - i * interval '1 day', chr(65 + i % 5) FROM generate_series(1, 300) i;
INSERT INTO products SELECT i, chr(65 + i % 4), 'b' || i % 7, 'p' || i, CASE WHEN i % 5 > 0 THEN i END FROM generate_series(1, 25) i;
INSERT INTO events SELECT (random() * 400)::int, (random() * 100)::int::text, moment() FROM generate_series(1, 3000);
SELECT add_lines(600);
ANALYZE;
