-- Loads a CSV export of thelook (BigQuery's public data set bigquery-public-data.thelook_ecommerce,
-- or a copy of it) into seven tables in the current schema:
--
--     psql -v dir=/path/to/csv -f demo/load.sql DATABASE
--
-- The directory holds users.csv, orders.csv, order_items.csv, products.csv, events.csv,
-- inventory_items.csv and distribution_centers.csv, each with a header line.  Columns are found by
-- name, in whatever order; columns the tables do not have (user_geom, distribution_center_geom) are
-- left out, missing ones are an error.  Timestamps may end in "UTC", "+00:00", "Z" or in no zone at
-- all; they are stored as UTC without zone.  Empty fields become NULL.  All or nothing.

\set ON_ERROR_STOP on
\set thelook_quiet :QUIET
\set QUIET on
\if :{?dir} \else
do $$ begin
	raise exception 'dir is not set' using errcode = '22023',
		hint = 'Say where the CSV files are: psql -v dir=/path/to/csv -f demo/load.sql DATABASE';
end $$;
\endif

begin;
set local client_encoding = 'UTF8';
set local client_min_messages = warning;
set local time zone 'UTC';
set local maintenance_work_mem = '128MB';

\ir tables.sql

create temp table thelook_header (line text) on commit drop;

-- Makes the table thelook_csv, all text, with the columns of the header line just read.
create procedure pg_temp.stage(relation regclass) language plpgsql as $$
declare
	names text[];
	missing text;
begin
	select array_agg(regexp_replace(lower(name collate "C"), '[^a-z0-9_]', '', 'g') order by n) into names
	from thelook_header, string_to_table(line, ',') with ordinality s(name, n);
	select string_agg(attname, ', ' order by attnum) into missing
	from pg_attribute where attrelid = relation and attnum > 0 and attname <> all (coalesce(names, '{}'));
	if missing is not null then
		raise exception '%.csv has no column %', relation, missing
			using errcode = 'undefined_column', hint = 'The first line must name the columns of the export.';
	end if;
	execute (select format('create temp table thelook_csv (%s) on commit drop',
						   string_agg(format('%I text', name), ', ' order by n))
		from unnest(names) with ordinality s(name, n));
	truncate thelook_header;
end $$;

-- Converts thelook_csv into the table.  Exports that passed through pandas write 17.0 for 17.
create procedure pg_temp.fill(relation regclass) language plpgsql as $$
begin
	execute (select format('insert into %s select %s from thelook_csv', relation, string_agg(
			case atttypid
				when 'timestamp'::regtype then format('nullif(%I, '''')::timestamptz at time zone ''UTC''', attname)
				when 'int'::regtype then format('nullif(%I, '''')::numeric::int', attname)
				else format('nullif(%I, '''')::%s', attname, atttypid::regtype)
			end, ', ' order by attnum))
		from pg_attribute where attrelid = relation and attnum > 0);
	drop table thelook_csv;
end $$;

\cd :dir
\copy thelook_header from program 'head -n 1 users.csv'
call pg_temp.stage('users');
\copy thelook_csv from 'users.csv' csv header
call pg_temp.fill('users');

\copy thelook_header from program 'head -n 1 orders.csv'
call pg_temp.stage('orders');
\copy thelook_csv from 'orders.csv' csv header
call pg_temp.fill('orders');

\copy thelook_header from program 'head -n 1 order_items.csv'
call pg_temp.stage('order_items');
\copy thelook_csv from 'order_items.csv' csv header
call pg_temp.fill('order_items');

\copy thelook_header from program 'head -n 1 products.csv'
call pg_temp.stage('products');
\copy thelook_csv from 'products.csv' csv header
call pg_temp.fill('products');

\copy thelook_header from program 'head -n 1 events.csv'
call pg_temp.stage('events');
\copy thelook_csv from 'events.csv' csv header
call pg_temp.fill('events');

\copy thelook_header from program 'head -n 1 inventory_items.csv'
call pg_temp.stage('inventory_items');
\copy thelook_csv from 'inventory_items.csv' csv header
call pg_temp.fill('inventory_items');

\copy thelook_header from program 'head -n 1 distribution_centers.csv'
call pg_temp.stage('distribution_centers');
\copy thelook_csv from 'distribution_centers.csv' csv header
call pg_temp.fill('distribution_centers');

drop procedure pg_temp.stage, pg_temp.fill;

alter table users add primary key (id);
alter table orders add primary key (order_id);
alter table order_items add primary key (id);
alter table products add primary key (id);
alter table events add primary key (id);
alter table inventory_items add primary key (id);
alter table distribution_centers add primary key (id);
create index on order_items (user_id);
create index on orders (user_id);
create index on events (user_id);
commit;

vacuum (analyze) users, orders, order_items, products, events, inventory_items, distribution_centers;

select (select count(*) from users) || ' users, ' || (select count(*) from orders) || ' orders, '
	|| (select count(*) from order_items) || ' order items, ' || (select count(*) from products) || ' products, '
	|| (select count(*) from inventory_items) || ' inventory items, ' || (select count(*) from events) || ' events, '
	|| (select count(*) from distribution_centers) || ' distribution centers, the newest order of '
	|| (select coalesce(to_char(max(created_at), 'YYYY-MM-DD'), 'never') from orders) as thelook_rows \gset
\echo :thelook_rows
\set QUIET :thelook_quiet
