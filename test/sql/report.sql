-- What create_model says about what it was given: each status with its share, lines of nobody, the
-- dates, and what will be missing or hard to read.
SET datestyle = ISO;
SET timezone = 'Asia/Tokyo';		-- of the session: it must not matter
\set VERBOSITY default
CREATE SCHEMA report;

CREATE TABLE report.lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric, status text, product_id int);
CREATE TABLE report.accounts (customer_id int, channel text);
CREATE TABLE report.products (product_id int, category text);
CREATE TABLE report.visits (customer_id int, session_id int, visited_at timestamptz);

-- No lines at all.
SELECT rfm.create_model('report_none', 'report.lines', 'report.accounts', 'report.products', 'report.visits');
SELECT customers, revenue, repurchase_rate FROM report_none.overview;

-- Statuses by their number, the excluded ones, no status, and lines of nobody.
INSERT INTO report.lines
	SELECT CASE WHEN i % 7 = 0 THEN NULL ELSE i % 10 END, i, '2024-01-01 12:00Z'::timestamptz + i * interval '1 day', i,
		CASE WHEN i <= 60 THEN 'Complete' WHEN i <= 80 THEN 'Shipped' WHEN i <= 90 THEN 'Returned' WHEN i <= 97 THEN NULL ELSE 'it''s lost' END, 1
	FROM generate_series(1, 99) i;
SELECT rfm.create_model('report_some', 'report.lines', 'report.accounts', 'report.products', 'report.visits', as_of => '2024-04-15');
SELECT unassigned_revenue FROM report_some.overview;

-- The lines from as_of on do not count; dates are those of the time zone of the model.
SELECT rfm.create_model('report_zone', 'report.lines', 'report.accounts', 'report.products', 'report.visits',
	as_of => '2024-02-01', time_zone => 'Pacific/Kiritimati');

-- None of the excluded statuses occurs; nothing is excluded; there is no status.
SELECT rfm.create_model('report_odd', 'report.lines', 'report.accounts', 'report.products', 'report.visits',
	as_of => '2024-04-15', excluded_statuses => '{cancelled,returned}');
SELECT rfm.create_model('report_all', 'report.lines', 'report.accounts', 'report.products', 'report.visits',
	as_of => '2024-04-15', excluded_statuses => '{}');
CREATE VIEW report.plain AS SELECT customer_id, order_id, ordered_at, amount FROM report.lines WHERE customer_id IS NOT NULL;
SELECT rfm.create_model('report_plain', 'report.plain', as_of => '2024-04-15');

-- A static export: 90 days are recent enough, 91 are not.
SELECT rfm.create_model('report_90', 'report.plain', 'report.accounts', as_of => '2024-07-08');
SELECT rfm.create_model('report_91', 'report.plain', 'report.accounts', as_of => '2024-07-09');

-- Rules and levels that do not go together.
SELECT rfm.create_model('report_fractions', 'report.plain', as_of => '2024-04-15', frequency_fractions => '{0.2,0.4,0.6,0.8}');
SELECT rfm.create_model('report_levels', 'report.plain', as_of => '2024-04-15', monetary_cutoffs => '{100,200}');
SELECT rfm.create_model('report_classic', 'report.plain', as_of => '2024-04-15', rules => 'classic');
SELECT rfm.create_model('report_quintiles', 'report.plain', as_of => '2024-04-15', rules => 'classic',
	recency_fractions => '{0.2,0.4,0.6,0.8}', frequency_fractions => '{0.2,0.4,0.6,0.8}', monetary_fractions => '{0.2,0.4,0.6,0.8}');

-- What has been said is about a new model; a refresh is silent, unless the newest purchase is old.
CALL rfm.refresh('report_odd');
CALL rfm.refresh('report_91');

-- New settings are told what they do to the rules.
SELECT rfm.configure_model('report_odd', frequency_cutoffs => '{1,2,3,4}');
SELECT rfm.configure_model('report_odd', unset => '{frequency_cutoffs}');

SET client_min_messages = warning;
SELECT count(rfm.drop_model(model)) FROM rfm.models WHERE model LIKE 'report\_%';
DROP SCHEMA report CASCADE;
