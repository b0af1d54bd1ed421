-- Every view equals its definition in plain SQL (include/reference.sql), on made-up shops that differ in everything a shop
-- can differ in. The data is random-looking, but a hash: the same on every machine.

\set ON_ERROR_STOP on
\ir include/reference.sql

-- A number from 0 to n - 1, the same for the same arguments.
CREATE FUNCTION reference.dice(n int, VARIADIC what text[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || left(md5(array_to_string(what, '/')), 8))::bit(32)::bigint % n)::int
$$;

-- A collation to which A and a are equal: ids and statuses are compared bytewise all the same.
CREATE COLLATION reference.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE reference.mood AS ENUM ('sad', 'Happy', 'content');

CREATE TABLE reference.shops (
    shop         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL,
    customers    int NOT NULL DEFAULT 200,
    customer_id  text NOT NULL DEFAULT 'int',            -- types of the columns; NULL: there is no such column
    order_id     text NOT NULL DEFAULT 'bigint',
    product_id   text DEFAULT 'int',
    ordered_at   text NOT NULL DEFAULT 'timestamptz',
    amount       text NOT NULL DEFAULT 'numeric',
    status       text DEFAULT 'text',
    account_id   text,                                   -- NULL: as in the lines
    accounts     boolean NOT NULL DEFAULT true,
    products     boolean NOT NULL DEFAULT true,
    visits       boolean NOT NULL DEFAULT true,
    settings     jsonb NOT NULL DEFAULT '{}');           -- of the model, beside its relations

INSERT INTO reference.shops (name, customers, customer_id, order_id, product_id, ordered_at, amount, status, account_id, settings) VALUES
    ('defaults', 400, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL, '{}'),
    ('bigint ids, float8, timestamp', 300, 'bigint', 'bigint', 'bigint', 'timestamp', 'float8', 'varchar', NULL, '{}'),
    ('text ids, Berlin', 300, 'text', 'text', 'text', 'timestamp', 'numeric(12,2)', 'text', NULL, '{"time_zone": "Europe/Berlin"}'),
    ('uuid ids, New York', 300, 'uuid', 'uuid', 'uuid', 'timestamptz', 'numeric', 'text', NULL, '{"time_zone": "America/New_York"}'),
    ('dates, Berlin, whole money', 200, 'smallint', 'int', 'smallint', 'date', 'int', 'text', 'bigint', '{"time_zone": "Europe/Berlin"}'),
    ('dates, New York, lookback', 200, 'varchar', 'varchar', 'varchar', 'date', 'bigint', 'varchar', 'text',
     '{"time_zone": "America/New_York", "lookback": "1 year"}'),
    ('float4, lookback over a DST change', 200, 'int', 'uuid', 'text', 'timestamp', 'float4', 'text', NULL,
     '{"time_zone": "Europe/Berlin", "lookback": "5 months 1 day", "as_of": "2024-03-31 03:00"}'),
    ('text that a language sorts otherwise', 200, 'text COLLATE "und-x-icu"', 'text COLLATE "und-x-icu"', 'text COLLATE "und-x-icu"',
     'timestamptz', 'numeric', 'text COLLATE "und-x-icu"', NULL, '{"lookback": "300 days"}'),
    ('text that a collation takes for equal', 200, 'text COLLATE reference.loose', 'text COLLATE reference.loose',
     'text COLLATE reference.loose', 'timestamptz', 'numeric', 'text COLLATE reference.loose', NULL, '{}'),
    ('an enum as status', 100, 'int', 'text', 'int', 'timestamptz', 'smallint', 'reference.mood', 'smallint', '{"excluded_statuses": ["sad"]}'),
    ('nothing excluded', 150, 'bigint', 'int', 'int', 'timestamp', 'numeric', 'text', 'int', '{"excluded_statuses": []}'),
    ('odd statuses', 150, 'int', 'int', 'int', 'timestamptz', 'float8', 'text', NULL,
     '{"excluded_statuses": ["", "it''s, \"odd\"", "returned"], "time_zone": "Asia/Kathmandu"}'),
    ('quintiles, classic', 400, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL,
     '{"rules": "classic", "recency_fractions": [0.2,0.4,0.6,0.8], "frequency_fractions": [0.2,0.4,0.6,0.8], "monetary_fractions": [0.2,0.4,0.6,0.8]}'),
    ('percentiles with odd digits', 97, 'text', 'int', 'int', 'timestamp', 'numeric', 'text', NULL,
     '{"recency_fractions": [0.123456789,0.5,0.87654321], "frequency_fractions": [0.3333333,0.66667], "monetary_fractions": [0.0101,0.111111111,0.98765]}'),
    ('percentiles 0 and 1', 60, 'int', 'int', 'int', 'date', 'float4', 'text', NULL,
     '{"recency_fractions": [0,1], "frequency_fractions": [0,1], "monetary_fractions": [0,1]}'),
    ('two levels', 150, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL,
     '{"recency_cutoffs": [100], "frequency_cutoffs": [1], "monetary_cutoffs": [20]}'),
    ('nine levels, fixed', 300, 'bigint', 'int', 'int', 'timestamptz', 'float8', 'text', NULL,
     '{"recency_cutoffs": [0,10,30,60,90.5,180,365,700], "frequency_cutoffs": [0,1,2,3,4,5,6,7], "monetary_cutoffs": [-10,0,10,19.99,20,50.00005,100,1000]}'),
    ('nine levels, percentiles', 300, 'int', 'bigint', 'int', 'timestamptz', 'numeric', 'text', NULL,
     '{"rules": "classic", "recency_fractions": [0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8], "frequency_fractions": [0.1,0.3,0.5,0.6,0.7,0.8,0.9,0.95], "monetary_fractions": [0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.99]}'),
    ('three, four and six levels', 250, 'int', 'bigint', 'int', 'timestamptz', 'int', 'text', NULL,
     '{"recency_cutoffs": [30,200], "frequency_fractions": [0.5,0.75,0.9], "monetary_cutoffs": [0,5,10,20,40], "lookback": "2 years"}'),
    ('fractional cuts', 250, 'uuid', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL,
     '{"recency_cutoffs": [0.5,179.99,180.01], "frequency_cutoffs": [0.5,1,1.5,2.0], "monetary_cutoffs": [0.00005,33.33335,33.3334,66.6667]}'),
    ('rules of its own', 300, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL, '{}'),
    ('no rules', 100, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL, '{}'),
    ('dimensions of many types', 250, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL,
     '{"dimensions": ["country", "age", "is_vip", "height", "born", "seen", "score", "mood", "tags", "Mixed, \"Case", "code"]}'),
    ('one customer', 1, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL, '{"dimensions": ["country"]}'),
    ('two customers, percentiles', 2, 'text', 'text', 'text', 'timestamp', 'numeric', 'text', NULL,
     '{"recency_fractions": [0.5], "frequency_fractions": [0.5], "monetary_fractions": [0.5]}'),
    ('customers, but long before', 40, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL,
     '{"lookback": "2 days", "as_of": "2025-06-01", "dimensions": ["country"]}'),
    ('customers, but all to come', 40, 'int', 'int', 'int', 'timestamptz', 'numeric', 'text', NULL,
     '{"as_of": "2001-01-01", "recency_fractions": [0.5], "frequency_fractions": [0.5]}'),
    ('an empty table', 0, 'uuid', 'text', 'text', 'timestamptz', 'numeric', 'text', NULL, '{"dimensions": ["country"]}');
INSERT INTO reference.shops (name, status, product_id, products, accounts, visits, settings) VALUES
    ('no accounts', 'text', 'int', true, false, true, '{}'),
    ('no products', 'text', 'int', false, true, true, '{"dimensions": ["age"]}'),
    ('no product_id', 'text', NULL, false, true, true, '{}'),
    ('no visits', 'text', 'int', true, true, false, '{}'),
    ('no status', NULL, 'int', true, true, true, '{}'),
    ('as of a first of the month, at noon', 'text', 'int', true, true, true, '{"as_of": "2024-02-01 12:00"}'),
    ('as of a first of the month, at midnight', 'text', 'int', true, true, true, '{"as_of": "2024-02-01", "lookback": "60 days"}'),
    ('lines alone', NULL, NULL, false, false, false, '{"recency_fractions": [0.25,0.5,0.75], "lookback": "18 months"}'),
    ('lines alone, none of them', NULL, NULL, false, false, false, '{"recency_fractions": [0.25,0.5,0.75], "as_of": "1999-01-01"}');

INSERT INTO reference.rule_sets VALUES
    ('rules of its own', 7, 'Best', 'vip', 5, 5, 4, 9, 4, 9),
    ('rules of its own', 2, 'Gone "quietly", it''s', 'risk', 1, 2, 1, 5, 1, 3),
    ('rules of its own', 30, 'Others', 'attention', 3, 3, 3, 4, 1, 5),
    ('rules of its own', 9, 'Fine', 'loyal', 4, 5, 3, 5, 2, 5),
    ('rules of its own', 31, 'Never', 'promising', 5, 5, 5, 5, 5, 5),
    ('rules of its own', 12, 'Best', 'vip', 4, 4, 3, 3, 1, 1);

-- The ids of a type: small numbers made into something that such a column might hold.
CREATE FUNCTION reference.id(type text, what text, number text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format(CASE WHEN type LIKE 'bigint%' THEN '(%2$s + 5000000000)'
                       WHEN type LIKE 'uuid%' THEN 'md5(%1$L || %2$s)::uuid'
                       WHEN type LIKE 'text%' OR type LIKE 'varchar%' THEN
                           '((ARRAY[''a'',''A'',''Z'',''_'',''é'',''ab'',''B-'',''''])[1 + %2$s %% 8] || %2$s / 2)'
                       ELSE '%2$s' END || '::%3$s', what, number, type)
$$;

-- Makes the relations of a shop in the schema shop.
CREATE FUNCTION reference.open_shop(shop reference.shops) RETURNS void
    LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
    lines int := 6 * shop.customers + shop.customers % 7;
BEGIN
    DROP SCHEMA IF EXISTS shop CASCADE;
    CREATE SCHEMA shop;
    CREATE TABLE shop.drawn AS
        SELECT i::int AS line, customer,
               CASE reference.dice(40, s, 'order', i) WHEN 0 THEN NULL WHEN 1 THEN reference.dice(20, s, 'shared', i)
                   ELSE 100 + customer * 8 + reference.dice(1 + customer % 7, s, 'basket', i) END AS order_number,
               -- few moments, so that there are ties; the hours around a DST change; the future; as_of itself and its neighbours
               CASE WHEN reference.dice(50, s, 'no time', i) = 0 THEN NULL
                    WHEN kind < 50 THEN timestamp '2024-03-31 12:00' - reference.dice(800, s, 'day', i) * interval '1 day'
                        - (ARRAY['0 h', '0 h', '12 h', '13 h', '11 h 59 min 59.999999 s', '36 h'])[1 + reference.dice(6, s, 'hour', i)]::interval
                    WHEN kind < 70 THEN timestamp '2023-01-01' + reference.dice(16, s, 'month', i) * interval '1 month'
                    WHEN kind < 80 THEN timestamp '2023-10-29 00:00' + reference.dice(10, s, 'autumn', i) * interval '30 min'
                    WHEN kind < 88 THEN timestamp '2023-03-26 00:00' + reference.dice(10, s, 'spring', i) * interval '30 min'
                    WHEN kind < 92 THEN timestamp '2024-03-31 12:00' + (reference.dice(5, s, 'edge', i) - 2) * interval '1 microsecond'
                    WHEN kind < 96 THEN timestamp '2024-03-31 00:00' + reference.dice(12, s, 'last day', i) * interval '1 hour'
                    ELSE timestamp '2024-04-01' + reference.dice(500, s, 'future', i) * interval '1 day' END AS moment,
               CASE WHEN reference.dice(50, s, 'no amount', i) = 0 THEN NULL
                    WHEN customer % 17 = 3 THEN -reference.dice(50, s, 'credit', i)
                    ELSE (ARRAY[0, 10, 10, 20, 20, 19.99, 33.33335, 0.00005, 0.00004, 66.66665, 120, 5, -10, -20, -0.00005, -500])
                         [1 + reference.dice(16, s, 'amount', i)] END::numeric AS amount,
               (ARRAY['Complete', 'Shipped', 'Shipped', 'Processing', 'Cancelled', 'Returned', 'returned', 'RETURNED', '', 'it''s, "odd"', NULL, NULL])
                   [1 + reference.dice(12, s, 'status', i)] AS status,
               nullif(reference.dice(13, s, 'product', i), 0) AS product
        FROM (SELECT i::text AS i, shop.shop::text AS s, reference.dice(100, shop.shop::text, 'kind', i::text) AS kind,
                     CASE WHEN reference.dice(30, shop.shop::text, 'guest', i::text) = 0 THEN NULL
                          ELSE 1 + reference.dice(shop.customers, shop.shop::text, 'customer', i::text)
                                 * reference.dice(shop.customers, shop.shop::text, 'again', i::text) / shop.customers END AS customer
              FROM generate_series(1, lines) i) drawn;
    EXECUTE format('CREATE TABLE shop.order_lines AS SELECT %s AS customer_id, %s AS order_id,
                           %s AS ordered_at, amount::%s AS amount%s%s, line AS extra FROM shop.drawn',
        reference.id(shop.customer_id, 'customer', 'customer'), reference.id(shop.order_id, 'order', 'order_number'),
        CASE shop.ordered_at WHEN 'timestamptz' THEN 'moment AT TIME ZONE ''UTC''' ELSE 'moment::' || shop.ordered_at END, shop.amount,
        CASE WHEN shop.status = 'reference.mood' THEN ', (ARRAY[''sad'', ''Happy'', ''content'', NULL])[1 + line::int % 4]::reference.mood AS status'
             WHEN shop.status IS NOT NULL THEN format(', status::%s AS status', shop.status) ELSE '' END,
        CASE WHEN shop.product_id IS NOT NULL THEN format(', %s AS product_id', reference.id(shop.product_id, 'product', 'product')) ELSE '' END);

    -- every fifth account twice, some without a purchase, some customers without one
    IF shop.accounts THEN
        EXECUTE format('CREATE TABLE shop.accounts AS SELECT %s AS customer_id,
                (ARRAY[''web'', ''Web'', ''shop'', NULL, ''é''])[1 + reference.dice(5, s, ''channel'', i)] AS channel,
                timestamp ''2022-01-01'' + reference.dice(400, s, ''signed up'', i) * interval ''1 day'' AS signed_up_at,
                (ARRAY[''Peru'', ''peru'', ''Åland'', ''Zaire'', NULL])[1 + reference.dice(5, s, ''country'', i)] COLLATE "und-x-icu" AS country,
                nullif(reference.dice(5, s, ''age'', i), 0) AS age, reference.dice(2, s, ''vip'', i) = 1 AS is_vip,
                reference.dice(3, s, ''height'', i)::numeric / 4 AS height, date ''1980-01-01'' + reference.dice(3, s, ''born'', i) AS born,
                timestamptz ''2020-01-01 00:00Z'' + reference.dice(3, s, ''seen'', i) * interval ''1 hour'' AS seen,
                reference.dice(3, s, ''score'', i) / 3::float8 AS score,
                (ARRAY[''sad'', ''Happy'', NULL])[1 + reference.dice(3, s, ''mood'', i)]::reference.mood AS mood,
                ARRAY[''x'', reference.dice(2, s, ''tag'', i)::text] AS tags, reference.dice(2, s, ''mixed'', i)::text AS "Mixed, ""Case",
                repeat(''c'', reference.dice(3, s, ''code'', i))::varchar(5) AS code
            FROM (SELECT number, %L || copy AS s, number::text AS i, NULLIF(number, 5) AS id
                  FROM generate_series(2, %s) number, generate_series(1, 2) copy WHERE copy = 1 OR number %% 5 = 0) drawn',
            reference.id(coalesce(shop.account_id, shop.customer_id), 'customer', 'id'), shop.shop, shop.customers + shop.customers / 4);
    END IF;
    IF shop.products THEN
        EXECUTE format('CREATE TABLE shop.products AS SELECT %s AS product_id,
                (ARRAY[''Tops'', ''tops'', ''Ärmel'', NULL])[1 + reference.dice(4, %L, ''category'', number::text, copy::text)] COLLATE "und-x-icu" AS category,
                (ARRAY[''Über'', ''uber'', NULL])[1 + reference.dice(3, %2$L, ''brand'', number::text, copy::text)] AS brand,
                ''product '' || number %% 4 AS name, nullif(copy * 1.50005, 3.0001) AS cost
            FROM (SELECT NULLIF(number, 4) AS id, number, copy FROM generate_series(1, 9) number, generate_series(1, 3) copy
                  WHERE copy = 1 OR number %% 3 = 0) drawn', reference.id(shop.product_id, 'product', 'id'), shop.shop);
    END IF;

    -- sessions of several visits, some at the very moments of the lines, some of two customers
    IF shop.visits THEN
        EXECUTE format('CREATE TABLE shop.visits AS SELECT %s AS customer_id, %s AS session_id, %s AS visited_at
            FROM (SELECT customer, nullif(reference.dice(4 + 2 * %s, s, ''session'', i, copy::text), 1) AS session,
                         moment + (ARRAY[''0'', ''1 us'', ''-1 us'', ''3 h'', ''2 days'', ''40 days'', ''-1 day''])[1 + reference.dice(7, s, ''visit'', i, copy::text)]::interval AS moment
                  FROM (SELECT *, line::text AS i, %L AS s FROM shop.drawn) d, generate_series(1, 3) copy) drawn',
            reference.id(shop.customer_id, 'customer', 'customer'), reference.id(shop.order_id, 'session', 'session'),
            CASE shop.ordered_at WHEN 'timestamptz' THEN 'moment AT TIME ZONE ''UTC''' ELSE 'moment::' || shop.ordered_at END,
            shop.customers, shop.shop);
    END IF;
END $$;

-- One shop: its model in the three storages against the reference.
CREATE FUNCTION reference.test_shop(shop reference.shops) RETURNS SETOF text
    LANGUAGE plpgsql SET client_min_messages = error SET jit = off AS $$
DECLARE
    settings jsonb := '{"as_of": "2024-03-31 12:00", "order_lines": "shop.order_lines"}'
        || CASE WHEN shop.accounts THEN '{"accounts": "shop.accounts"}'::jsonb ELSE '{}' END
        || CASE WHEN shop.products THEN '{"products": "shop.products"}'::jsonb ELSE '{}' END
        || CASE WHEN shop.visits THEN '{"visits": "shop.visits"}'::jsonb ELSE '{}' END || shop.settings;
    rules    text := CASE WHEN shop.name IN ('rules of its own', 'no rules') THEN shop.name END;
    storage  text;
BEGIN
    PERFORM reference.open_shop(shop);
    FOREACH storage IN ARRAY '{table,materialized,view}'::text[] LOOP
        EXECUTE format('DROP SCHEMA IF EXISTS in_%s CASCADE', storage);
        PERFORM reference.create_model('in_' || storage, settings || jsonb_build_object('storage', storage));
        IF rules IS NOT NULL THEN
            EXECUTE format('DELETE FROM in_%s.segment_rules', storage);
            EXECUTE format('INSERT INTO in_%s.segment_rules SELECT rule_order, segment, stage, r_min, r_max, f_min, f_max, m_min, m_max
                            FROM reference.rule_sets WHERE rules = $1', storage) USING rules;
            CALL rfm.refresh('in_' || storage);
        END IF;
    END LOOP;
    PERFORM reference.compute(settings, rules);
    RETURN QUERY SELECT * FROM reference.compare('{in_table,in_materialized,in_view}', shop.name);
END $$;

SELECT plan(cardinality(reference.views()) * count(*)::int) FROM reference.shops;
-- a statement each: models are many relations to lock
SELECT format('SELECT reference.test_shop(s) FROM reference.shops s WHERE s.shop = %s', shop) FROM reference.shops ORDER BY shop \gexec
SELECT * FROM finish();
