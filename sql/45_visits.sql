-- 45_visits: sessions of customers after their first order.

-- visit_boundaries: when the first orders began and ended

CREATE TYPE rfm.visit_boundaries;
CREATE FUNCTION rfm.visit_boundaries_in(cstring) RETURNS rfm.visit_boundaries
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.visit_boundaries_out(rfm.visit_boundaries) RETURNS cstring
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.visit_boundaries_recv(internal) RETURNS rfm.visit_boundaries
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.visit_boundaries_send(rfm.visit_boundaries) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE rfm.visit_boundaries (
    INPUT = rfm.visit_boundaries_in, OUTPUT = rfm.visit_boundaries_out,
    RECEIVE = rfm.visit_boundaries_recv, SEND = rfm.visit_boundaries_send,
    ALIGNMENT = double, STORAGE = external);
COMMENT ON TYPE rfm.visit_boundaries IS
    'When the first order of each customer began and ended, made by the aggregate visit_boundaries and read by visits_all. It cannot be read from text.';
COMMENT ON FUNCTION rfm.visit_boundaries_in(cstring) IS 'Always an error: visit_boundaries come from the aggregate of that name only.';
COMMENT ON FUNCTION rfm.visit_boundaries_out(rfm.visit_boundaries) IS 'Says how many customers the boundaries have.';
COMMENT ON FUNCTION rfm.visit_boundaries_recv(internal) IS 'Always an error: visit_boundaries come from the aggregate of that name only.';
COMMENT ON FUNCTION rfm.visit_boundaries_send(rfm.visit_boundaries) IS 'Says how many customers the boundaries have.';

CREATE FUNCTION rfm.visit_boundaries_accum(internal, customer_id "any", first_order_at timestamptz, first_order_until timestamptz) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.visit_boundaries_final(internal, customer_id "any", first_order_at timestamptz, first_order_until timestamptz) RETURNS rfm.visit_boundaries
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.visit_boundaries_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.visit_boundaries_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.visit_boundaries_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_visit_boundaries_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.visit_boundaries_accum(internal, "any", timestamptz, timestamptz) IS 'Adds a customer; a step of visit_boundaries.';
COMMENT ON FUNCTION rfm.visit_boundaries_final(internal, "any", timestamptz, timestamptz) IS 'The last step of visit_boundaries.';
COMMENT ON FUNCTION rfm.visit_boundaries_combine(internal, internal) IS 'Joins the states of two workers; a step of visit_boundaries.';
COMMENT ON FUNCTION rfm.visit_boundaries_serialize(internal) IS 'Sends a state from a worker; a step of visit_boundaries.';
COMMENT ON FUNCTION rfm.visit_boundaries_deserialize(bytea, internal) IS 'Receives a state from a worker; a step of visit_boundaries.';

CREATE AGGREGATE rfm.visit_boundaries(customer_id "any", first_order_at timestamptz, first_order_until timestamptz) (
    SFUNC = rfm.visit_boundaries_accum, STYPE = internal, SSPACE = 1048576,
    FINALFUNC = rfm.visit_boundaries_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE,
    COMBINEFUNC = rfm.visit_boundaries_combine, SERIALFUNC = rfm.visit_boundaries_serialize,
    DESERIALFUNC = rfm.visit_boundaries_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.visit_boundaries("any", timestamptz, timestamptz) IS
    'For visits_all: the first and the last line of the first order of each customer, one row per customer, as unpack of profiles gives them. Customers smallint, integer, bigint, uuid, text or varchar. Rows with a NULL are left out; no rows give no customers. first_order_until before first_order_at is an error, and so is, in visits_all, a customer who occurs twice. 24 bytes per customer and those of uuids and text; at most 1 GB. Example: SELECT rfm.visit_boundaries(customer_id, first_order_at, first_order_at) FROM shop.customers;';

-- visits_all: the aggregate over all visits

CREATE TYPE rfm.visit_set;
CREATE FUNCTION rfm.visit_set_in(cstring) RETURNS rfm.visit_set
    AS 'MODULE_PATHNAME', 'rfm_visit_set_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.visit_set_out(rfm.visit_set) RETURNS cstring
    AS 'MODULE_PATHNAME', 'rfm_visit_set_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.visit_set_recv(internal) RETURNS rfm.visit_set
    AS 'MODULE_PATHNAME', 'rfm_visit_set_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.visit_set_send(rfm.visit_set) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_visit_set_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE rfm.visit_set (
    INPUT = rfm.visit_set_in, OUTPUT = rfm.visit_set_out,
    RECEIVE = rfm.visit_set_recv, SEND = rfm.visit_set_send,
    ALIGNMENT = double, STORAGE = external);
COMMENT ON TYPE rfm.visit_set IS
    'The numbers of sessions of many customers, made by visits_all and read by unpack. It cannot be read from text.';
COMMENT ON FUNCTION rfm.visit_set_in(cstring) IS 'Always an error: a visit_set comes from visits_all only.';
COMMENT ON FUNCTION rfm.visit_set_out(rfm.visit_set) IS 'Says how much a visit_set holds.';
COMMENT ON FUNCTION rfm.visit_set_recv(internal) IS 'Always an error: a visit_set comes from visits_all only.';
COMMENT ON FUNCTION rfm.visit_set_send(rfm.visit_set) IS 'Says how much a visit_set holds.';

CREATE FUNCTION rfm.visits_all_accum(internal, customer_id "any", session_id "any", visited_at "any", boundaries rfm.visit_boundaries, as_of timestamptz, time_zone text) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_visits_all_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.visits_all_final(internal, customer_id "any", session_id "any", visited_at "any", boundaries rfm.visit_boundaries, as_of timestamptz, time_zone text) RETURNS rfm.visit_set
    AS 'MODULE_PATHNAME', 'rfm_visits_all_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.visits_all_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_visits_all_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.visits_all_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_visits_all_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.visits_all_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_visits_all_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.visits_all_accum(internal, "any", "any", "any", rfm.visit_boundaries, timestamptz, text) IS 'Adds a visit; a step of visits_all.';
COMMENT ON FUNCTION rfm.visits_all_final(internal, "any", "any", "any", rfm.visit_boundaries, timestamptz, text) IS 'The last step of visits_all.';
COMMENT ON FUNCTION rfm.visits_all_combine(internal, internal) IS 'Joins the states of two workers; a step of visits_all.';
COMMENT ON FUNCTION rfm.visits_all_serialize(internal) IS 'Sends a state from a worker; a step of visits_all.';
COMMENT ON FUNCTION rfm.visits_all_deserialize(bytea, internal) IS 'Receives a state from a worker; a step of visits_all.';

CREATE AGGREGATE rfm.visits_all(customer_id "any", session_id "any", visited_at "any", boundaries rfm.visit_boundaries, as_of timestamptz, time_zone text) (
    SFUNC = rfm.visits_all_accum, STYPE = internal, SSPACE = 1048576,
    FINALFUNC = rfm.visits_all_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE,
    COMBINEFUNC = rfm.visits_all_combine, SERIALFUNC = rfm.visits_all_serialize,
    DESERIALFUNC = rfm.visits_all_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.visits_all("any", "any", "any", rfm.visit_boundaries, timestamptz, text) IS
    'The distinct sessions of each customer with a visit after his first order, in one pass over visits in any order. Customers and sessions smallint, integer, bigint, uuid, text or varchar; visited_at timestamptz, or timestamp or date in time_zone (NULL: UTC). Visits with a NULL or of customers not in the boundaries are left out, and of those at or after as_of (NULL: none) only each customer''s earliest time is kept; a session counts for each of its customers. boundaries must be the same in all rows, best a scalar sub-select; NULL is an error, and so is an infinite time before as_of. Memory: 45 to 58 bytes per customer of the boundaries (8 more with a visit at or after as_of), and per session after the boundary 19 to 38 bytes (half as much again while the table grows) and those of a uuid (24) or text. Read it with unpack. Example: SELECT rfm.visits_all(customer_id, session_id, visited_at, (SELECT rfm.visit_boundaries(customer_id, first_order_at, first_order_at) FROM shop.customers), now(), ''UTC'') FROM shop.visits;';

CREATE FUNCTION rfm.unpack(visits rfm.visit_set) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'rfm_visit_set_unpack' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    ROWS 100000 SUPPORT rfm.unpack_support;
COMMENT ON FUNCTION rfm.unpack(rfm.visit_set) IS
    'The numbers of sessions as rows: one per customer of the boundaries, with zeros where he has none. No rows when visits_all was given no row at all. The column definition list names the columns wanted: customer_id (of the visits'' own type), sessions_after_purchase bigint (distinct sessions with a visit after first_order_at), return_sessions bigint (the same after first_order_until), next_visit_at timestamptz (his earliest visit at or after as_of, NULL without one; a visit at infinity is none).';

-- visits of the customers of profiles

CREATE FUNCTION rfm.visit_boundaries(profiles rfm.profile_set) RETURNS rfm.visit_boundaries
    AS 'MODULE_PATHNAME', 'rfm_profile_set_boundaries' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.visit_boundaries(rfm.profile_set) IS
    'For visits_all: the first and the last line of the first order of each customer, in the order of the profiles.';

CREATE FUNCTION rfm.unpack(profiles rfm.profile_set, visits rfm.visit_set, time_zone text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'rfm_profile_set_unpack_visits' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 100000;
COMMENT ON FUNCTION rfm.unpack(rfm.profile_set, rfm.visit_set, text) IS
    'As unpack(profiles, time_zone), with the visits that visits_all counted by visit_boundaries(profiles) (NULL: none). Further columns: sessions_after_purchase, return_sessions bigint; and of profiles with ledgers ledger rfm.ledger, window_line_at timestamptz (the first line to leave the window), next_change_at timestamptz (the next line, visit or voiding of a line at or after as_of).';

-- What writes plans its queries without parallel workers; a query that it runs by this may have them. It sees what the caller sees.
CREATE FUNCTION rfm.count_visits(boundaries rfm.visit_boundaries, query text) RETURNS rfm.visit_set
    AS 'MODULE_PATHNAME', 'rfm_count_visits' LANGUAGE C STABLE STRICT SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION rfm.count_visits(rfm.visit_boundaries, text) IS 'Internal. The visits that a query counts, whose $1 are the boundaries.';
