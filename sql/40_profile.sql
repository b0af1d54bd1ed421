-- 40_profile: what the lines say about each customer.

CREATE FUNCTION rfm.money(amount numeric) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_money_numeric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.money(numeric) IS
    'An amount as this extension reads it: rounded to 4 decimals, half away from zero. NULL for NULL; NaN, infinity and amounts beyond ±922337203685477 are errors. Example: SELECT rfm.money(9.99995);';
CREATE FUNCTION rfm.money(amount bigint) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_money_int8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.money(bigint) IS
    'An amount as this extension reads it. NULL for NULL; amounts beyond ±922337203685477 are errors.';
CREATE FUNCTION rfm.money(amount double precision) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_money_float8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.money(double precision) IS
    'An amount as this extension reads it: its shortest round-trip decimal, rounded to 4 decimals, half away from zero. NULL for NULL; NaN, infinity and amounts beyond ±922337203685477 are errors.';
CREATE FUNCTION rfm.money(amount real) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_money_float4' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.money(real) IS
    'An amount as this extension reads it: its shortest round-trip decimal, rounded to 4 decimals, half away from zero. NULL for NULL; NaN, infinity and amounts beyond ±922337203685477 are errors.';

CREATE FUNCTION rfm.id_hash(id "any") RETURNS bigint
    AS 'MODULE_PATHNAME', 'rfm_id_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.id_hash("any") IS 'Internal. The hash, 0 to 4294967295, by which profile_all divides customers into passes. NULL for NULL; a type that is no id is an error.';

CREATE FUNCTION rfm.local_date(at timestamptz, time_zone text) RETURNS date
    AS 'MODULE_PATHNAME', 'rfm_local_date' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.local_date(timestamptz, text) IS
    'The date of an instant in a time zone. NULL for NULL; an unknown time zone is an error. Example: SELECT rfm.local_date(now(), ''Europe/Berlin'');';

CREATE FUNCTION rfm.instant(local timestamp, time_zone bytea) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'rfm_instant' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.instant(timestamp, bytea) IS
    'Internal. AT TIME ZONE for queries that postgres_fdw is to ship: it leaves at home what has a text, and with it a collation, that comes from no foreign column.';

CREATE FUNCTION rfm.instant(microseconds bigint) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'rfm_instant_int8' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.instant(bigint) IS 'Internal. The instant so many microseconds after 2000-01-01 in UTC, as a profile_summary has it.';

-- profile: the aggregate over one customer

CREATE TYPE rfm.profile_state;
CREATE FUNCTION rfm.profile_state_in(cstring) RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.profile_state_out(rfm.profile_state) RETURNS cstring
    AS 'MODULE_PATHNAME', 'rfm_profile_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.profile_state_recv(internal) RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.profile_state_send(rfm.profile_state) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_profile_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE rfm.profile_state (
    INPUT = rfm.profile_state_in, OUTPUT = rfm.profile_state_out,
    RECEIVE = rfm.profile_state_recv, SEND = rfm.profile_state_send,
    ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE rfm.profile_state IS
    'The orders of one customer, made by profile and read by unpack. Equal lines have equal text, in whatever order they came.';
COMMENT ON FUNCTION rfm.profile_state_in(cstring) IS 'Reads the text form of a profile_state; anything else is an error.';
COMMENT ON FUNCTION rfm.profile_state_out(rfm.profile_state) IS 'The text form of a profile_state, exact.';
COMMENT ON FUNCTION rfm.profile_state_recv(internal) IS 'Reads the binary form of a profile_state, which is its text form.';
COMMENT ON FUNCTION rfm.profile_state_send(rfm.profile_state) IS 'The binary form of a profile_state, which is its text form.';

CREATE FUNCTION rfm.profile_combine(rfm.profile_state, rfm.profile_state) RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_combine(rfm.profile_state, rfm.profile_state) IS
    'The profile of two disjoint sets of lines of one customer. NULL stands for no lines; different id types or windows are an error.';
CREATE FUNCTION rfm.profile_final(rfm.profile_state) RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_final(rfm.profile_state) IS 'A compact copy of a profile_state; the last step of profile.';

CREATE FUNCTION rfm.profile_accum(rfm.profile_state, order_id "any", ordered_at "any", amount "any") RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_accum(rfm.profile_state, order_id "any", ordered_at "any", amount "any", product_id "any") RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_accum(rfm.profile_state, order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz) RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_accum(rfm.profile_state, order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone text) RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_accum(rfm.profile_state, "any", "any", "any") IS 'Adds a line; a step of profile.';
COMMENT ON FUNCTION rfm.profile_accum(rfm.profile_state, "any", "any", "any", "any") IS 'Adds a line; a step of profile.';
COMMENT ON FUNCTION rfm.profile_accum(rfm.profile_state, "any", "any", "any", "any", timestamptz) IS 'Adds a line; a step of profile.';
COMMENT ON FUNCTION rfm.profile_accum(rfm.profile_state, "any", "any", "any", "any", timestamptz, timestamptz, text) IS 'Adds a line; a step of profile.';

CREATE AGGREGATE rfm.profile(order_id "any", ordered_at "any", amount "any") (
    SFUNC = rfm.profile_accum, STYPE = rfm.profile_state, SSPACE = 256,
    FINALFUNC = rfm.profile_final, COMBINEFUNC = rfm.profile_combine, PARALLEL = SAFE);
CREATE AGGREGATE rfm.profile(order_id "any", ordered_at "any", amount "any", product_id "any") (
    SFUNC = rfm.profile_accum, STYPE = rfm.profile_state, SSPACE = 256,
    FINALFUNC = rfm.profile_final, COMBINEFUNC = rfm.profile_combine, PARALLEL = SAFE);
CREATE AGGREGATE rfm.profile(order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz) (
    SFUNC = rfm.profile_accum, STYPE = rfm.profile_state, SSPACE = 256,
    FINALFUNC = rfm.profile_final, COMBINEFUNC = rfm.profile_combine, PARALLEL = SAFE);
CREATE AGGREGATE rfm.profile(order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone text) (
    SFUNC = rfm.profile_accum, STYPE = rfm.profile_state, SSPACE = 256,
    FINALFUNC = rfm.profile_final, COMBINEFUNC = rfm.profile_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.profile("any", "any", "any") IS
    'The orders of one customer from his lines (GROUP BY customer_id): ids smallint, integer, bigint, uuid, text or varchar; ordered_at timestamptz, or timestamp or date in UTC; amount numeric, an integer type or a float. Lines with a NULL are left out; no lines give NULL. Read it with unpack. Example: SELECT rfm.profile(order_id, ordered_at, amount) FROM (VALUES (1, now(), 9.90)) l(order_id, ordered_at, amount);';
COMMENT ON AGGREGATE rfm.profile("any", "any", "any", "any") IS
    'As profile(order_id, ordered_at, amount); the product of the greatest purchase line of the first order becomes first_product_id. A NULL product is no product.';
COMMENT ON AGGREGATE rfm.profile("any", "any", "any", "any", timestamptz) IS
    'As profile(order_id, ordered_at, amount, product_id), with a window: orders, lines, revenue and last order count only lines from window_start on (NULL: all); first and second order count all lines.';
COMMENT ON AGGREGATE rfm.profile("any", "any", "any", "any", timestamptz, timestamptz, text) IS
    'As profile(order_id, ordered_at, amount, product_id, window_start); lines at or after as_of (NULL: none) count in nothing, but a customer who has only such lines has a profile without orders, and timestamp and date are read in time_zone (NULL: UTC).';

-- The same with the name of the time zone as bytes: postgres_fdw ships no call with a text that comes from no foreign column.
CREATE FUNCTION rfm.profile_accum(rfm.profile_state, order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone bytea) RETURNS rfm.profile_state
    AS 'MODULE_PATHNAME', 'rfm_profile_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_accum(rfm.profile_state, "any", "any", "any", "any", timestamptz, timestamptz, bytea) IS 'Adds a line; a step of profile.';
CREATE AGGREGATE rfm.profile(order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone bytea) (
    SFUNC = rfm.profile_accum, STYPE = rfm.profile_state, SSPACE = 256,
    FINALFUNC = rfm.profile_final, COMBINEFUNC = rfm.profile_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.profile("any", "any", "any", "any", timestamptz, timestamptz, bytea) IS
    'As profile with a time_zone of type text, for queries over foreign tables: postgres_fdw ships this one, GROUP BY and all. Example: SELECT rfm.profile(1, now(), 9.90, 7, NULL, now(), ''UTC''::bytea);';

CREATE FUNCTION rfm.unpack(profile rfm.profile_state, time_zone text DEFAULT 'UTC') RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'rfm_profile_unpack' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION rfm.unpack(rfm.profile_state, text) IS
    'A profile as a row. The column definition list names the columns wanted: first_order_id, first_product_id (of the lines'' own types), first_order_at, first_order_until (its last line), second_order_at, last_order_at timestamptz, first_order_date, second_order_date, last_order_date date (in time_zone), orders, lines bigint, revenue, first_order_revenue numeric. Example: SELECT * FROM rfm.unpack((SELECT rfm.profile(1, now(), 9.90))) AS p(orders bigint, revenue numeric);';

-- What goes from server to server of a profile: the orders stay where they are.
CREATE TYPE rfm.profile_summary AS (first_order_at bigint, first_order_until bigint, second_order_at bigint,
    last_order_at bigint, orders bigint, lines bigint, revenue numeric, first_order_revenue numeric, first_product_id text);
COMMENT ON TYPE rfm.profile_summary IS
    'Internal. A profile as one small value: what unpack tells of it, without dates. Times are microseconds since 2000-01-01 in UTC, half as long as text; the id of the product is one.';
COMMENT ON COLUMN rfm.profile_summary.first_order_at IS 'First purchase line of the first order. NULL: no order.';
COMMENT ON COLUMN rfm.profile_summary.first_order_until IS 'Last purchase line of the first order. NULL: no order.';
COMMENT ON COLUMN rfm.profile_summary.second_order_at IS 'First purchase line of the second order. NULL: there is none.';
COMMENT ON COLUMN rfm.profile_summary.last_order_at IS 'Last purchase line. NULL: no order in the window.';
COMMENT ON COLUMN rfm.profile_summary.orders IS 'Orders in the window.';
COMMENT ON COLUMN rfm.profile_summary.lines IS 'Purchase lines in the window.';
COMMENT ON COLUMN rfm.profile_summary.revenue IS 'Money of the window.';
COMMENT ON COLUMN rfm.profile_summary.first_order_revenue IS 'Money of the first order. NULL: no order.';
COMMENT ON COLUMN rfm.profile_summary.first_product_id IS 'Product of the first order, as text. NULL: none.';
CREATE FUNCTION rfm.summary(profile rfm.profile_state) RETURNS rfm.profile_summary
    AS 'MODULE_PATHNAME', 'rfm_profile_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.summary(rfm.profile_state) IS 'Internal. What is known of a profile but its single orders. NULL for NULL.';

-- profile_all: the aggregate over all customers

CREATE TYPE rfm.profile_set;
CREATE FUNCTION rfm.profile_set_in(cstring) RETURNS rfm.profile_set
    AS 'MODULE_PATHNAME', 'rfm_profile_set_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.profile_set_out(rfm.profile_set) RETURNS cstring
    AS 'MODULE_PATHNAME', 'rfm_profile_set_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.profile_set_recv(internal) RETURNS rfm.profile_set
    AS 'MODULE_PATHNAME', 'rfm_profile_set_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.profile_set_send(rfm.profile_set) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_profile_set_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE rfm.profile_set (
    INPUT = rfm.profile_set_in, OUTPUT = rfm.profile_set_out,
    RECEIVE = rfm.profile_set_recv, SEND = rfm.profile_set_send,
    ALIGNMENT = double, STORAGE = external);
COMMENT ON TYPE rfm.profile_set IS
    'The orders of many customers, made by profile_all and read by unpack within the same query. It cannot be read from text.';
COMMENT ON FUNCTION rfm.profile_set_in(cstring) IS 'Always an error: a profile_set comes from profile_all only.';
COMMENT ON FUNCTION rfm.profile_set_out(rfm.profile_set) IS 'Says how much a profile_set holds.';
COMMENT ON FUNCTION rfm.profile_set_recv(internal) IS 'Always an error: a profile_set comes from profile_all only.';
COMMENT ON FUNCTION rfm.profile_set_send(rfm.profile_set) IS 'Says how much a profile_set holds.';

CREATE FUNCTION rfm.profile_all_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_profile_all_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_all_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_profile_all_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.profile_all_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_profile_all_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_all_combine(internal, internal) IS 'Joins the states of two workers; a step of profile_all.';
COMMENT ON FUNCTION rfm.profile_all_serialize(internal) IS 'Sends a state from a worker; a step of profile_all.';
COMMENT ON FUNCTION rfm.profile_all_deserialize(bytea, internal) IS 'Receives a state from a worker; a step of profile_all.';

CREATE FUNCTION rfm.profile_all_accum(internal, customer_id "any", order_id "any", ordered_at "any", amount "any") RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_profile_all_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_all_final(internal, customer_id "any", order_id "any", ordered_at "any", amount "any") RETURNS rfm.profile_set
    AS 'MODULE_PATHNAME', 'rfm_profile_all_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_all_accum(internal, "any", "any", "any", "any") IS 'Adds a line; a step of profile_all.';
COMMENT ON FUNCTION rfm.profile_all_final(internal, "any", "any", "any", "any") IS 'The last step of profile_all.';
CREATE AGGREGATE rfm.profile_all(customer_id "any", order_id "any", ordered_at "any", amount "any") (
    SFUNC = rfm.profile_all_accum, STYPE = internal, SSPACE = 1048576,
    FINALFUNC = rfm.profile_all_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE,
    COMBINEFUNC = rfm.profile_all_combine, SERIALFUNC = rfm.profile_all_serialize,
    DESERIALFUNC = rfm.profile_all_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.profile_all("any", "any", "any", "any") IS
    'The orders of all customers in one pass over lines in any order: as profile, grouped by customer_id inside. Lines without customer are summed up in a row of their own. Read it with unpack. Example: SELECT rfm.profile_all(customer_id, order_id, ordered_at, amount) FROM (VALUES (7, 1, now(), 9.90)) l(customer_id, order_id, ordered_at, amount);';

CREATE FUNCTION rfm.profile_all_accum(internal, customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any") RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_profile_all_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_all_final(internal, customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any") RETURNS rfm.profile_set
    AS 'MODULE_PATHNAME', 'rfm_profile_all_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_all_accum(internal, "any", "any", "any", "any", "any") IS 'Adds a line; a step of profile_all.';
COMMENT ON FUNCTION rfm.profile_all_final(internal, "any", "any", "any", "any", "any") IS 'The last step of profile_all.';
CREATE AGGREGATE rfm.profile_all(customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any") (
    SFUNC = rfm.profile_all_accum, STYPE = internal, SSPACE = 1048576,
    FINALFUNC = rfm.profile_all_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE,
    COMBINEFUNC = rfm.profile_all_combine, SERIALFUNC = rfm.profile_all_serialize,
    DESERIALFUNC = rfm.profile_all_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.profile_all("any", "any", "any", "any", "any") IS
    'As profile_all(customer_id, order_id, ordered_at, amount); the product of the greatest purchase line of the first order becomes first_product_id.';

CREATE FUNCTION rfm.profile_all_accum(internal, customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_profile_all_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_all_final(internal, customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz) RETURNS rfm.profile_set
    AS 'MODULE_PATHNAME', 'rfm_profile_all_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_all_accum(internal, "any", "any", "any", "any", "any", timestamptz) IS 'Adds a line; a step of profile_all.';
COMMENT ON FUNCTION rfm.profile_all_final(internal, "any", "any", "any", "any", "any", timestamptz) IS 'The last step of profile_all.';
CREATE AGGREGATE rfm.profile_all(customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz) (
    SFUNC = rfm.profile_all_accum, STYPE = internal, SSPACE = 1048576,
    FINALFUNC = rfm.profile_all_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE,
    COMBINEFUNC = rfm.profile_all_combine, SERIALFUNC = rfm.profile_all_serialize,
    DESERIALFUNC = rfm.profile_all_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.profile_all("any", "any", "any", "any", "any", timestamptz) IS
    'As profile_all(customer_id, order_id, ordered_at, amount, product_id), with a window: orders, lines, revenue and last order count only lines from window_start on (NULL: all); first and second order count all lines.';

CREATE FUNCTION rfm.profile_all_accum(internal, customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone text, build_memory bigint, hash_from bigint) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_profile_all_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_all_final(internal, customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone text, build_memory bigint, hash_from bigint) RETURNS rfm.profile_set
    AS 'MODULE_PATHNAME', 'rfm_profile_all_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_all_accum(internal, "any", "any", "any", "any", "any", timestamptz, timestamptz, text, bigint, bigint) IS 'Adds a line; a step of profile_all.';
COMMENT ON FUNCTION rfm.profile_all_final(internal, "any", "any", "any", "any", "any", timestamptz, timestamptz, text, bigint, bigint) IS 'The last step of profile_all.';
CREATE AGGREGATE rfm.profile_all(customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone text, build_memory bigint, hash_from bigint) (
    SFUNC = rfm.profile_all_accum, STYPE = internal, SSPACE = 1048576,
    FINALFUNC = rfm.profile_all_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE,
    COMBINEFUNC = rfm.profile_all_combine, SERIALFUNC = rfm.profile_all_serialize,
    DESERIALFUNC = rfm.profile_all_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.profile_all("any", "any", "any", "any", "any", timestamptz, timestamptz, text, bigint, bigint) IS
    'As profile_all(customer_id, order_id, ordered_at, amount, product_id, window_start); lines at or after as_of (NULL: none) count in nothing, but a customer who has only such lines has a row without orders, and timestamp and date are read in time_zone (NULL: UTC). It takes at most build_memory bytes (NULL: any number; at least 1 MB) for customers with a hash from hash_from on (NULL: 0); what did not fit is the next pass, from next_hash of unpack on.';

CREATE FUNCTION rfm.unpack_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_unpack_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.unpack_support(internal) IS 'Internal. Tells the planner how many rows unpack will give: as many as the aggregate below meets customers.';
CREATE FUNCTION rfm.profile_all_accum(internal, customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone text, build_memory bigint, hash_from bigint, cost "any", voided_at timestamptz) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_profile_all_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.profile_all_final(internal, customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone text, build_memory bigint, hash_from bigint, cost "any", voided_at timestamptz) RETURNS rfm.profile_set
    AS 'MODULE_PATHNAME', 'rfm_profile_all_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.profile_all_accum(internal, "any", "any", "any", "any", "any", timestamptz, timestamptz, text, bigint, bigint, "any", timestamptz) IS 'Adds a line; a step of profile_all.';
COMMENT ON FUNCTION rfm.profile_all_final(internal, "any", "any", "any", "any", "any", timestamptz, timestamptz, text, bigint, bigint, "any", timestamptz) IS 'The last step of profile_all.';
CREATE AGGREGATE rfm.profile_all(customer_id "any", order_id "any", ordered_at "any", amount "any", product_id "any", window_start timestamptz, as_of timestamptz, time_zone text, build_memory bigint, hash_from bigint, cost "any", voided_at timestamptz) (
    SFUNC = rfm.profile_all_accum, STYPE = internal, SSPACE = 1048576,
    FINALFUNC = rfm.profile_all_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE,
    COMBINEFUNC = rfm.profile_all_combine, SERIALFUNC = rfm.profile_all_serialize,
    DESERIALFUNC = rfm.profile_all_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.profile_all("any", "any", "any", "any", "any", timestamptz, timestamptz, text, bigint, bigint, "any", timestamptz) IS
    'As profile_all(customer_id, order_id, ordered_at, amount, product_id, window_start, as_of, time_zone, build_memory, hash_from), with the ledger of each customer, some 72 bytes more: cost of a line numeric, an integer type or a float (NULL: not known); voided_at when it stops to count (NULL: never), of which only instants from as_of on matter.';

CREATE FUNCTION rfm.unpack(profiles rfm.profile_set, time_zone text DEFAULT 'UTC') RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'rfm_profile_set_unpack' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    ROWS 100000 SUPPORT rfm.unpack_support;
COMMENT ON FUNCTION rfm.unpack(rfm.profile_set, text) IS
    'The profiles as rows, the first of them, without customer_id, for the lines without customer. The column definition list names the columns wanted: customer_id, first_order_id, first_product_id (of the lines'' own types), first_order_at, first_order_until (its last line), second_order_at, last_order_at timestamptz, first_order_date, second_order_date, last_order_date date (in time_zone), orders, lines bigint, revenue, first_order_revenue numeric, and in the first row next_hash bigint (where the next pass starts, NULL after the last). Example: SELECT * FROM rfm.unpack((SELECT rfm.profile_all(7, 1, now(), 9.90))) AS p(customer_id integer, orders bigint, revenue numeric);';
