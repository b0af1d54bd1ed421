-- The seven tables of thelook, empty; read by thelook.sql and load.sql.

create table users (id int, first_name text, last_name text, email text, age int, gender text, state text,
	street_address text, postal_code text, city text, country text, latitude float8, longitude float8,
	traffic_source text, created_at timestamp);
create table orders (order_id int, user_id int, status text, gender text, created_at timestamp,
	returned_at timestamp, shipped_at timestamp, delivered_at timestamp, num_of_item int);
create table order_items (id int, order_id int, user_id int, product_id int, inventory_item_id int, status text,
	created_at timestamp, shipped_at timestamp, delivered_at timestamp, returned_at timestamp, sale_price float8);
create table products (id int, cost float8, category text, name text, brand text, retail_price float8,
	department text, sku text, distribution_center_id text);
create table events (id int, user_id int, sequence_number int, session_id text, created_at timestamp,
	ip_address text, city text, state text, postal_code text, browser text, traffic_source text, uri text,
	event_type text);
create table inventory_items (id int, product_id int, created_at timestamp, sold_at timestamp, cost float8,
	product_category text, product_name text, product_brand text, product_retail_price float8,
	product_department text, product_sku text, product_distribution_center_id text);
create table distribution_centers (id int, name text, latitude float8, longitude float8);

comment on table users is 'People who signed up (timestamps of all seven tables are UTC)';
comment on table orders is 'Orders with their status and the dates it passed through';
comment on table order_items is 'Items sold, one row per piece; status and shipping dates are those of the order';
comment on table products is 'The catalogue: category, brand, price and cost';
comment on table events is 'Page views by session; user_id is NULL for visitors who never logged in';
comment on table inventory_items is 'Pieces in stock; sold_at is NULL while a piece is unsold';
comment on table distribution_centers is 'Warehouses';
