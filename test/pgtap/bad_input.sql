-- Every wrong call ends in one clear error that names the thing, with its SQLSTATE and a hint, and
-- leaves nothing half-made.
\set ON_ERROR_STOP on
SET client_min_messages = error;

-- What a statement that must fail says; the hint, which our own errors always have, must not be empty.
CREATE FUNCTION pg_temp.refused(statement text, state text, message text, has_hint boolean DEFAULT true, what text DEFAULT NULL)
	RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
	said text := 'not refused';
BEGIN
	BEGIN
		EXECUTE statement;
		RAISE SQLSTATE 'ZZ000';
	EXCEPTION
		WHEN SQLSTATE 'ZZ000' THEN
			NULL;
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
			said := concat(SQLSTATE, ' ', SQLERRM, CASE WHEN has_hint AND hint = '' THEN ' (without hint)' END);
	END;
	RETURN public.is(said, state || ' ' || message, coalesce(what, statement));
END $$;

-- The same for create_model with a relation of order lines, and with more arguments.
CREATE FUNCTION pg_temp.lines_refused(relation text, state text, message text, has_hint boolean DEFAULT true) RETURNS text
	LANGUAGE sql AS $$
	SELECT pg_temp.refused(format('SELECT rfm.create_model(''m'', %L)', relation), state, message, has_hint);
$$;
CREATE FUNCTION pg_temp.setting_refused(args text, state text, message text, has_hint boolean DEFAULT true) RETURNS text
	LANGUAGE sql AS $$
	SELECT pg_temp.refused(format('SELECT rfm.create_model(''m'', ''s.lines'', %s)', args), state, message, has_hint);
$$;

-- What there is: schemas, relations, functions, and the settings and rules of the model that stands.
CREATE FUNCTION pg_temp.state() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN md5(concat(
		(SELECT string_agg(nspname || coalesce(nspacl::text, ''), ',' ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_'),
		(SELECT string_agg(c.oid::text || c.relname || c.relfilenode, ',' ORDER BY c.oid) FROM pg_class c
		 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_'),
		(SELECT count(*) FROM pg_proc p WHERE p.pronamespace <> pg_my_temp_schema()), (SELECT count(*) FROM pg_trigger),
		(SELECT s::text FROM standing.settings s),
		(SELECT string_agg(r::text, ',' ORDER BY rule_order) FROM standing.segment_rules r),
		(SELECT string_agg(l::text, ',' ORDER BY refresh_id) FROM standing.refresh_log l)));
END $$;

CREATE SCHEMA s;
CREATE SCHEMA existing;
CREATE TABLE s.lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric, status text, product_id int);
INSERT INTO s.lines
	SELECT i % 10, i, '2024-01-01'::timestamptz + i * interval '1 hour', i, 'Complete', i % 3 FROM generate_series(1, 50) i;
CREATE TABLE s.accounts (customer_id int, channel text, signed_up_at date, country text, revenue int);
CREATE TABLE s.products (product_id int, category text);
CREATE TABLE s.visits (customer_id int, session_id text, visited_at timestamptz);
CREATE SEQUENCE s.numbers;
CREATE INDEX lines_order ON s.lines (order_id);
CREATE TYPE s.row AS (customer_id int, order_id int, ordered_at timestamptz, amount numeric);
CREATE TEMP TABLE passing AS TABLE s.lines;
CREATE TEMP VIEW passing_view AS TABLE s.lines;
SELECT rfm.create_model('standing', 's.lines', as_of => '2024-02-01');
SELECT pg_temp.state() AS state \gset

SELECT no_plan();

-- model names
SELECT pg_temp.refused(format('SELECT rfm.create_model(%L, ''s.lines'')', name), state, message)
FROM (VALUES
	(NULL, '42602', 'a model needs a name of 1 to 63 bytes'),
	('', '42602', 'a model needs a name of 1 to 63 bytes'),
	(repeat('x', 64), '42602', 'a model needs a name of 1 to 63 bytes'),
	(repeat('ü', 32), '42602', 'a model needs a name of 1 to 63 bytes'),
	('pg_shop', '42939', 'a model cannot be called "pg_shop"'),
	('my_PG_shop', '42939', 'a model cannot be called "my_PG_shop"'),
	('rfm', '42939', 'a model cannot be called "rfm"'),
	('public', '42939', 'a model cannot be called "public"'),
	('information_schema', '42939', 'a model cannot be called "information_schema"'),
	('standing', '42P06', 'model "standing" already exists'),
	('existing', '42P06', 'schema "existing" already exists')) v(name, state, message);

-- relations of order lines; what PostgreSQL itself refuses comes without a hint
SELECT pg_temp.lines_refused(NULL, '22004', 'order_lines must be given');
SELECT pg_temp.lines_refused('s.absent', '42P01', 'relation "s.absent" does not exist', false);
SELECT pg_temp.lines_refused('S.LINES; DROP TABLE s.lines', '42602', 'invalid name syntax', false);
SELECT pg_temp.lines_refused('4000000000', '42P01', 'order_lines: relation with OID 4000000000 does not exist');
SELECT pg_temp.lines_refused('s.numbers', '42809', 'order_lines: s.numbers is not a table or view');
SELECT pg_temp.lines_refused('s.lines_order', '42809', 'order_lines: s.lines_order is not a table or view');
SELECT pg_temp.lines_refused('s.row', '42809', 'order_lines: s."row" is not a table or view');
SELECT pg_temp.lines_refused('passing', '42809', 'order_lines: passing is temporary');
SELECT pg_temp.lines_refused('passing_view', '42809', 'order_lines: passing_view is temporary');

-- columns: missing ones, and wrong types
CREATE FUNCTION pg_temp.view_refused(columns text, state text, message text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('CREATE VIEW s.v AS SELECT %s FROM s.lines', columns);
	result := pg_temp.refused('SELECT rfm.create_model(''m'', ''s.v'')', state, message, true, 'lines with ' || columns);
	DROP VIEW s.v;
	RETURN result;
END $$;
SELECT pg_temp.view_refused(columns, state, message)
FROM (VALUES
	('order_id, ordered_at, amount', '42703', 'relation s.v has no column customer_id'),
	('customer_id AS "Customer_ID", order_id, ordered_at, amount', '42703', 'relation s.v has no column customer_id'),
	('customer_id, ordered_at, amount', '42703', 'relation s.v has no column order_id'),
	('customer_id, order_id, amount', '42703', 'relation s.v has no column ordered_at'),
	('customer_id, order_id, ordered_at', '42703', 'relation s.v has no column amount'),
	('customer_id::float8, order_id, ordered_at, amount', '42804', 'column customer_id of relation s.v has type double precision'),
	('customer_id, order_id::numeric, ordered_at, amount', '42804', 'column order_id of relation s.v has type numeric'),
	('customer_id, order_id, ordered_at::text, amount', '42804', 'column ordered_at of relation s.v has type text'),
	('customer_id, order_id, ordered_at::time, amount', '42804', 'column ordered_at of relation s.v has type time without time zone'),
	('customer_id, order_id, ordered_at, amount::money', '42804', 'column amount of relation s.v has type money'),
	('customer_id, order_id, ordered_at, amount::text', '42804', 'column amount of relation s.v has type text'),
	('customer_id, order_id, ordered_at, ARRAY[amount] AS amount', '42804', 'column amount of relation s.v has type numeric[]'),
	('customer_id, order_id, ordered_at, amount, ''{}''::jsonb AS status', '42804', 'column status of relation s.v has type jsonb'),
	('customer_id, order_id, ordered_at, amount, ''{}''::jsonb AS product_id', '42804', 'column product_id of relation s.v has type jsonb'),
	-- values that no one can add up or order
	('customer_id, order_id, ordered_at, ''NaN''::float8 AS amount', '22003', 'an amount is NaN or infinite'),
	('customer_id, order_id, ordered_at, ''NaN''::numeric AS amount', '22003', 'an amount is NaN or infinite'),
	('NULL::int AS customer_id, order_id, ordered_at, ''NaN''::numeric AS amount', '22003', 'an amount is NaN or infinite'),
	('customer_id, order_id, ordered_at, ''Infinity''::numeric AS amount', '22003', 'an amount is NaN or infinite'),
	('customer_id, order_id, ordered_at, ''-Infinity''::float4 AS amount', '22003', 'an amount is NaN or infinite'),
	('customer_id, order_id, ordered_at, 1e30 AS amount', '22003', 'an amount is out of range'),
	('customer_id, order_id, ordered_at, 1e300::float8 AS amount', '22003', 'an amount is out of range'),
	('customer_id, order_id, ordered_at, 9223372036854775807 AS amount', '22003', 'an amount is out of range'),
	('customer_id, order_id, ''-infinity''::timestamptz AS ordered_at, amount', '22008', 'ordered_at is infinite'),
	('customer_id, order_id, ''-infinity''::date AS ordered_at, amount', '22008', 'ordered_at is infinite'),
	('customer_id, order_id, ''5000000-01-01''::date AS ordered_at, amount', '22008',
		'model "m" could not be built: date out of range for timestamp'),
	-- a view that fails when it is read
	('customer_id, order_id, ordered_at, amount / (customer_id - 3) AS amount', '22012', 'model "m" could not be built: division by zero'),
	('customer_id, order_id, ordered_at, amount, (1 / (order_id - 7))::text AS status', '22012', 'model "m" could not be built: division by zero'))
	v(columns, state, message);

-- the other relations
CREATE VIEW s.text_lines AS SELECT customer_id::text, order_id, ordered_at, amount FROM s.lines;
CREATE VIEW s.lines_without_product AS SELECT customer_id, order_id, ordered_at, amount FROM s.lines;
CREATE VIEW s.text_accounts AS SELECT customer_id::text, channel FROM s.accounts;
CREATE VIEW s.uuid_accounts AS SELECT gen_random_uuid() AS customer_id, channel FROM s.accounts;
CREATE VIEW s.array_accounts AS SELECT customer_id, ARRAY[channel] AS channel FROM s.accounts;
CREATE VIEW s.failing_accounts AS SELECT customer_id, (1 / (customer_id - customer_id))::text AS channel FROM s.lines;
CREATE VIEW s.text_products AS SELECT product_id::text, category FROM s.products;
CREATE VIEW s.products_without_category AS SELECT product_id FROM s.products;
CREATE VIEW s.money_products AS SELECT product_id, category, 1::money AS cost FROM s.products;
CREATE VIEW s.money_accounts AS SELECT customer_id, 1::money AS cash FROM s.accounts;
CREATE VIEW s.money_channels AS SELECT customer_id, 1::money AS channel FROM s.accounts;
CREATE VIEW s.visits_without_session AS SELECT customer_id, visited_at FROM s.visits;
CREATE VIEW s.text_visits AS SELECT customer_id::text, session_id, visited_at FROM s.visits;
SELECT pg_temp.state() AS state \gset
SELECT pg_temp.setting_refused(args, state, message)
FROM (VALUES
	('accounts => ''s.numbers''', '42809', 'accounts: s.numbers is not a table or view'),
	('accounts => ''s.products''', '42703', 'relation s.products has no column customer_id'),
	('accounts => ''s.text_accounts''', '42804', 'column customer_id of relation s.text_accounts has type text, but customer_id of s.lines has type integer'),
	('accounts => ''s.uuid_accounts''', '42804', 'column customer_id of relation s.uuid_accounts has type uuid, but customer_id of s.lines has type integer'),
	('accounts => ''s.array_accounts''', '42804', 'column channel of relation s.array_accounts has type text[]'),
	('accounts => ''s.failing_accounts''', '22012', 'model "m" could not be built: division by zero'),
	('products => ''passing''', '42809', 'products: passing is temporary'),
	('products => ''s.products_without_category''', '42703', 'relation s.products_without_category has no column category'),
	('products => ''s.text_products''', '42804', 'column product_id of relation s.text_products has type text, but product_id of s.lines has type integer'),
	('products => ''s.money_products''', '42804', 'column cost of relation s.money_products has type money'),
	('accounts => ''s.money_accounts'', dimensions => ''{cash}''', '42804', 'dimension cash has type money'),
	('accounts => ''s.money_channels''', '42804', 'column channel of relation s.money_channels has type money'),
	('visits => ''s.visits_without_session''', '42703', 'relation s.visits_without_session has no column session_id'),
	('visits => ''s.text_visits''', '42804', 'column customer_id of relation s.text_visits has type text, but customer_id of s.lines has type integer'))
	v(args, state, message);
SELECT pg_temp.refused($$SELECT rfm.create_model('m', 's.text_lines', accounts => 's.accounts')$$,
	'42804', 'column customer_id of relation s.accounts has type integer, but customer_id of s.text_lines has type text');
SELECT pg_temp.refused($$SELECT rfm.create_model('m', 's.lines_without_product', products => 's.products')$$,
	'42703', 'relation s.lines_without_product has no column product_id');

-- settings
SELECT pg_temp.setting_refused(args, state, message)
FROM (VALUES
	('storage => ''tape''', '22023', 'storage "tape" is not known'),
	('storage => ''''', '22023', 'storage "" is not known'),
	('as_of => ''infinity''', '22023', 'as_of must be finite'),
	('as_of => ''-infinity''', '22023', 'as_of must be finite'),
	('time_zone => ''Mars/Phobos''', '22023', 'time zone "Mars/Phobos" is not known'),
	('time_zone => ''''', '22023', 'time zone "" is not known'),
	('lookback => ''0''', '22023', 'lookback must be 1 day to 1000 years, not 00:00:00'),
	('lookback => ''2''', '22023', 'lookback must be 1 day to 1000 years, not 00:00:02'),
	('lookback => ''-1 day''', '22023', 'lookback must be 1 day to 1000 years, not -1 days'),
	('lookback => ''1000000 years''', '22023', 'lookback must be 1 day to 1000 years, not 1000000 years'),
	('excluded_statuses => ''{Returned,NULL}''', '22004', 'excluded_statuses must not contain NULL: {Returned,NULL}'),
	('excluded_statuses => ''{{a},{b}}''', '2202E', 'excluded_statuses must be a plain list: {{a},{b}}'),
	('dimensions => ''{NULL}''', '22004', 'dimensions must not contain NULL: {NULL}'),
	('dimensions => ''{country}''', '22023', 'dimensions are given without accounts'),
	('accounts => ''s.accounts'', dimensions => ''{absent}''', '42703', 'relation s.accounts has no column absent'),
	('accounts => ''s.accounts'', dimensions => ''{Country}''', '42703', 'relation s.accounts has no column "Country"'),
	('accounts => ''s.accounts'', dimensions => ''{revenue}''', '42701', 'a dimension cannot be called revenue'),
	('accounts => ''s.accounts'', dimensions => ''{channel}''', '42701', 'a dimension cannot be called channel'),
	('accounts => ''s.accounts'', dimensions => ''{country,country}''', '42701', 'a dimension is given twice: {country,country}'),
	('accounts => ''s.accounts'', dimensions => ''{{country},{city}}''', '2202E', 'dimensions must be a plain list: {{country},{city}}'),
	('rules => ''best''', '22023', 'rules "best" are not known'),
	('build_memory => ''lots''', '22023', 'build_memory "lots" is not a size of at least 1MB'),
	('build_memory => ''1kB''', '22023', 'build_memory "1kB" is not a size of at least 1MB'),
	('build_memory => ''-1GB''', '22023', 'build_memory "-1GB" is not a size of at least 1MB'),
	('build_memory => ''''', '22023', 'build_memory "" is not a size of at least 1MB'),
	('build_memory => ''99999999999PB''', '22023', 'build_memory "99999999999PB" is not a size of at least 1MB'),
	('recency_cutoffs => ''{3,2}''', '22023', 'recency_cutoffs must ascend strictly: {3,2}'),
	('recency_cutoffs => ''{1,1}''', '22023', 'recency_cutoffs must ascend strictly: {1,1}'),
	('recency_cutoffs => ''{1,NULL}''', '22023', 'recency_cutoffs must not contain NULL: {1,NULL}'),
	('frequency_cutoffs => ''{}''', '22023', 'frequency_cutoffs must be a list of one to eight numbers: {}'),
	('frequency_cutoffs => ''{1,2,3,4,5,6,7,8,9}''', '22023', 'frequency_cutoffs must be a list of one to eight numbers: {1,2,3,4,5,6,7,8,9}'),
	('frequency_cutoffs => ''{{1,2}}''', '22023', 'frequency_cutoffs must be a list of one to eight numbers: {{1,2}}'),
	('monetary_cutoffs => ''{NaN}''', '22023', 'monetary_cutoffs must be finite numbers: {NaN}'),
	('monetary_cutoffs => ''{1,Infinity}''', '22023', 'monetary_cutoffs must be finite numbers: {1,Infinity}'),
	('monetary_fractions => ''{-0.1}''', '22023', 'monetary_fractions must lie between 0 and 1: {-0.1}'),
	('monetary_fractions => ''{0.5,1.1}''', '22023', 'monetary_fractions must lie between 0 and 1: {0.5,1.1}'),
	('monetary_fractions => ''{0.5,0.5}''', '22023', 'monetary_fractions must ascend strictly: {0.5,0.5}'),
	('recency_cutoffs => ''{1}'', recency_fractions => ''{0.5}''', '22023', 'recency_cutoffs and recency_fractions are both given'),
	('frequency_cutoffs => ''{1}'', frequency_fractions => ''{0.5}''', '22023', 'frequency_cutoffs and frequency_fractions are both given'),
	('monetary_cutoffs => ''{1}'', monetary_fractions => ''{0.5}''', '22023', 'monetary_cutoffs and monetary_fractions are both given'))
	v(args, state, message);
SELECT pg_temp.setting_refused('as_of => ''yesterdayish''', '22007', 'invalid input syntax for type timestamp: "yesterdayish"', false);

-- thelook
SELECT pg_temp.refused('SELECT rfm.create_thelook_model(''m'', ''nowhere'')', '42P01',
	'schema "nowhere" has no table order_items, users, products, events');
SELECT pg_temp.refused('SELECT rfm.create_thelook_model(''m'', NULL)', '42P01',
	'schema "public" has no table order_items, users, products, events');
BEGIN;
CREATE TABLE s.order_items (id int, order_id int, created_at timestamptz, sale_price float8, status text, product_id int);
CREATE TABLE s.users (id int);
CREATE TABLE s.events (id int);
SELECT pg_temp.refused('SELECT rfm.create_thelook_model(''m'', ''s'')', '42703',
	'the tables of schema "s" are not those of thelook: column "user_id" does not exist');
ROLLBACK;
SELECT pg_temp.refused('SELECT rfm.create_thelook_model(''standing'', ''s'')', '42P06', 'model "standing" already exists');

-- configure, drop, refresh
SELECT pg_temp.refused(format('SELECT rfm.configure_model(''standing'', %s)', args), state, message)
FROM (VALUES
	('storage => ''tape''', '22023', 'storage "tape" is not known'),
	('as_of => ''infinity''', '22023', 'as_of must be finite'),
	('time_zone => ''Mars''', '22023', 'time zone "Mars" is not known'),
	('lookback => ''-1 day''', '22023', 'lookback must be 1 day to 1000 years, not -1 days'),
	('dimensions => ''{country}''', '22023', 'dimensions are given without accounts'),
	('rules => ''best''', '22023', 'rules "best" are not known'),
	('build_memory => ''lots''', '22023', 'build_memory "lots" is not a size of at least 1MB'),
	('recency_cutoffs => ''{3,2}''', '22023', 'recency_cutoffs must ascend strictly: {3,2}'),
	('monetary_cutoffs => ''{1}'', monetary_fractions => ''{0.5}''', '22023', 'monetary_cutoffs and monetary_fractions are both given'),
	('unset => ''{nonsense}''', '22023', 'setting "nonsense" cannot be unset'),
	('unset => ''{order_lines}''', '22023', 'setting "order_lines" cannot be unset'),
	('unset => ''{NULL}''', '22023', 'setting "<NULL>" cannot be unset')) v(args, state, message);
SELECT pg_temp.refused(call, '3F000', message)
FROM (VALUES
	('SELECT rfm.configure_model(''absent'')', 'model "absent" does not exist'),
	('SELECT rfm.configure_model(''existing'')', 'model "existing" does not exist'),
	('SELECT rfm.drop_model(''absent'')', 'model "absent" does not exist'),
	('SELECT rfm.drop_model(''existing'')', 'model "existing" does not exist'),
	('CALL rfm.refresh(''absent'')', 'model "absent" does not exist'),
	('CALL rfm.refresh(''existing'')', 'model "existing" does not exist'),
	('CALL rfm.refresh(''Standing'')', 'model "Standing" does not exist')) v(call, message);
SELECT pg_temp.refused(call, '22004', 'model must not be NULL')
FROM unnest('{SELECT rfm.configure_model(NULL),SELECT rfm.drop_model(NULL),CALL rfm.refresh(NULL)}'::text[]) call;
SELECT is(pg_temp.state(), :'state', 'nothing of all this is left behind');

-- psql prints the context below the hint: it must not bury it under the SQL of the model
DO $$
DECLARE
	context text;
BEGIN
	PERFORM standing.customers_at(NULL);
EXCEPTION WHEN null_value_not_allowed THEN
	GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
	PERFORM set_config('bad_input.context', context, false);
END $$;
SELECT cmp_ok(length(current_setting('bad_input.context')), '<', 500, 'the context of an error is no page of SQL');

-- segment rules: constraints whose names say what is wrong, without hints of their own
CREATE FUNCTION pg_temp.rule_refused(assignment text, state text, message text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.refused('UPDATE standing.segment_rules SET ' || assignment, state, message, false);
$$;
SELECT pg_temp.rule_refused(assignment, '23514', format('new row for relation "segment_rules" violates check constraint "%s"', name))
FROM (VALUES
	('r_max = 10', 'r_min to r_max must be scores from 1 to 9'),
	('r_min = 0', 'r_min to r_max must be scores from 1 to 9'),
	('f_min = 5, f_max = 4', 'f_min to f_max must be scores from 1 to 9'),
	('m_min = -1', 'm_min to m_max must be scores from 1 to 9'),
	('stage = ''king''', 'stage must be vip, loyal, promising, attention, risk or other'),
	('segment = ''''', 'segment must have 1 to 63 bytes'),
	('segment = repeat(''ü'', 32)', 'segment must have 1 to 63 bytes')) v(assignment, name);
SELECT pg_temp.rule_refused('segment = NULL', '23502', 'null value in column "segment" of relation "segment_rules" violates not-null constraint');
SELECT pg_temp.rule_refused('r_min = NULL', '23502', 'null value in column "r_min" of relation "segment_rules" violates not-null constraint');
SELECT pg_temp.rule_refused('rule_order = 1', '23505', 'duplicate key value violates unique constraint "segment_rules_pkey"');
-- campaigns: the same
SELECT pg_temp.refused('UPDATE standing.campaigns SET ' || assignment, '23514',
	format('new row for relation "campaigns" violates check constraint "%s"', name), false)
FROM (VALUES
	('response_rate = 12', 'response_rate must be a share from 0 to 1'),
	('conversion_rate = -0.1', 'conversion_rate must be a share from 0 to 1'),
	('baseline_rate = ''NaN''', 'baseline_rate must be a share from 0 to 1'),
	('incentive_rate = 15', 'incentive_rate must be a share from 0 to 1'),
	('operating_rate = 5', 'operating_rate must be a share from 0 to 1'),
	('margin_rate = -2', 'margin_rate must be a share from -1 to 1'),
	('contact_cost = -1', 'contact_cost must not be negative'),
	('fixed_cost = -1', 'fixed_cost must not be negative'),
	('audience = -1', 'audience must not be negative'),
	('order_value = -1', 'order_value must not be negative'),
	('response_n = 0', 'response_n must be positive'),
	('conversion_n = 0', 'conversion_n must be positive'),
	('audience_of = ''vip''', 'audience_of must be one of those in its comment'),
	('audience_of = ''segment'', segment = NULL', 'segment must be named for audience_of segment'),
	('audience_of = ''given'', audience = 10', 'audience and order_value are needed for audience_of given')) v(assignment, name);
SELECT pg_temp.refused('INSERT INTO standing.settings TABLE standing.settings', '23505',
	'duplicate key value violates unique constraint "settings_one_row"', false);

-- rules that are rows, but make no sense together: known at the refresh
BEGIN;
UPDATE standing.segment_rules SET segment = 'Loyal High Value' WHERE rule_order = 1;
SELECT pg_temp.refused('CALL rfm.refresh(''standing'')', '22023', 'segment "Loyal High Value" has two stages, vip and loyal');
SELECT pg_temp.refused('SELECT rfm.configure_model(''standing'', rules => ''classic'')', '55000',
	'the segment rules of model "standing" were edited and would be lost');
ROLLBACK;

-- settings and relations that went away
BEGIN;
DELETE FROM standing.settings;
SELECT pg_temp.refused('CALL rfm.refresh(''standing'')', 'P0002', 'model "standing" has lost its settings');
ROLLBACK;
BEGIN;
ALTER TABLE s.lines RENAME COLUMN amount TO price;
SELECT pg_temp.refused('CALL rfm.refresh(''standing'')', '42703', 'relation s.lines has no column amount');
ROLLBACK;
BEGIN;
SELECT 's.lines'::regclass::oid AS lines \gset
DROP TABLE s.lines CASCADE;
SELECT pg_temp.refused('CALL rfm.refresh(''standing'')', '42P01',
	format('order_lines: relation with OID %s does not exist', :lines));
CREATE TABLE s.lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric, status text, product_id int);
INSERT INTO s.lines VALUES (1, 1, '2024-01-01', 5);
UPDATE standing.settings SET order_lines = 's.lines';
CALL rfm.refresh('standing');
SELECT results_eq('SELECT customers, revenue FROM standing.overview', 'SELECT 1::bigint, 5.0', 'a model whose relation was made again recovers');
ROLLBACK;
SELECT is(pg_temp.state(), :'state', 'and the model stands as before');

-- rights
CREATE ROLE bad_input_owner;
CREATE ROLE bad_input_other;
SELECT format('GRANT CREATE ON DATABASE %I TO bad_input_owner', current_database()) \gexec
GRANT USAGE ON SCHEMA s TO bad_input_owner, bad_input_other;
SELECT pg_temp.state() AS state \gset
SET ROLE bad_input_owner;
SELECT pg_temp.lines_refused('s.lines', '42501', 'model "m" could not be built: permission denied for table lines');
SELECT pg_temp.refused('SELECT rfm.configure_model(''standing'', storage => ''view'')', '42501', 'must be owner of model "standing"');
SELECT pg_temp.refused('SELECT rfm.drop_model(''standing'')', '42501', 'must be owner of model "standing"');
SELECT pg_temp.refused('CALL rfm.refresh(''standing'')', '42501', 'must be owner of model "standing"');
SET ROLE bad_input_other;
SELECT pg_temp.lines_refused('s.lines', '42501', format('permission denied for database %s', current_database()), false);
RESET ROLE;
SELECT is(pg_temp.state(), :'state', 'nothing of this is left behind either');

SELECT * FROM finish();
SELECT format('REVOKE ALL ON DATABASE %I FROM bad_input_owner', current_database()) \gexec
DROP OWNED BY bad_input_owner, bad_input_other;
DROP ROLE bad_input_owner, bad_input_other;
