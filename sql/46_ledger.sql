-- 46_ledger: what a customer's lines brought by month, and when the clock changes it.

CREATE TYPE rfm.ledger;
CREATE FUNCTION rfm.ledger_in(cstring) RETURNS rfm.ledger
    AS 'MODULE_PATHNAME', 'rfm_ledger_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.ledger_out(rfm.ledger) RETURNS cstring
    AS 'MODULE_PATHNAME', 'rfm_ledger_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.ledger_recv(internal) RETURNS rfm.ledger
    AS 'MODULE_PATHNAME', 'rfm_ledger_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.ledger_send(rfm.ledger) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_ledger_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
-- packed values are bytes; the states that travel between workers hold 8-byte words
CREATE TYPE rfm.ledger (
    INPUT = rfm.ledger_in, OUTPUT = rfm.ledger_out,
    RECEIVE = rfm.ledger_recv, SEND = rfm.ledger_send,
    ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE rfm.ledger IS
    'What the lines of one customer brought month by month, what of it is margin, and when the clock changes it; made by the aggregate of that name, some 20 bytes. Equal lines have equal text, in whatever order they came.';
COMMENT ON FUNCTION rfm.ledger_in(cstring) IS 'Reads the text form of a ledger; anything else is an error.';
COMMENT ON FUNCTION rfm.ledger_out(rfm.ledger) IS
    'The text form of a ledger, exact: 1, the earliest line in the window and the earliest one from as_of on (microseconds since 2000-01-01 in UTC), revenue and cost of the margin, then each month with p or, without a purchase line, a, and its revenue. What there is not is -.';
COMMENT ON FUNCTION rfm.ledger_recv(internal) IS 'Reads the binary form of a ledger, which is its text form.';
COMMENT ON FUNCTION rfm.ledger_send(rfm.ledger) IS 'The binary form of a ledger, which is its text form.';

CREATE FUNCTION rfm.ledger_accum(rfm.ledger, ordered_at "any", amount "any", cost numeric, window_start timestamptz, as_of timestamptz, time_zone text) RETURNS rfm.ledger
    AS 'MODULE_PATHNAME', 'rfm_ledger_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.ledger_combine(rfm.ledger, rfm.ledger) RETURNS rfm.ledger
    AS 'MODULE_PATHNAME', 'rfm_ledger_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.ledger_final(rfm.ledger) RETURNS rfm.ledger
    AS 'MODULE_PATHNAME', 'rfm_ledger_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.ledger_accum(rfm.ledger, "any", "any", numeric, timestamptz, timestamptz, text) IS 'Adds a line; a step of ledger.';
COMMENT ON FUNCTION rfm.ledger_combine(rfm.ledger, rfm.ledger) IS
    'The ledger of two disjoint sets of lines of one customer; a step of ledger. NULL stands for no lines; different windows are an error.';
COMMENT ON FUNCTION rfm.ledger_final(rfm.ledger) IS 'A ledger in the form in which it is stored; the last step of ledger.';

CREATE AGGREGATE rfm.ledger(ordered_at "any", amount "any", cost numeric, window_start timestamptz, as_of timestamptz, time_zone text) (
    SFUNC = rfm.ledger_accum, STYPE = rfm.ledger, SSPACE = 128,
    FINALFUNC = rfm.ledger_final, COMBINEFUNC = rfm.ledger_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.ledger("any", "any", numeric, timestamptz, timestamptz, text) IS
    'The ledger of one customer from his lines (GROUP BY customer_id): ordered_at timestamptz, or timestamp or date in time_zone (NULL: UTC); amount numeric, an integer type or a float. Lines with a NULL time or amount are left out, and of those at or after as_of (NULL: none) only the earliest time is kept; nothing gives NULL. Months are of the local date. The margin is of the purchase lines from window_start on (NULL: all) with a cost. Example: SELECT rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC'');';

-- The same with the name of the time zone as bytes, as for profile.
CREATE FUNCTION rfm.ledger_accum(rfm.ledger, ordered_at "any", amount "any", cost numeric, window_start timestamptz, as_of timestamptz, time_zone bytea) RETURNS rfm.ledger
    AS 'MODULE_PATHNAME', 'rfm_ledger_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.ledger_accum(rfm.ledger, "any", "any", numeric, timestamptz, timestamptz, bytea) IS 'Adds a line; a step of ledger.';
CREATE AGGREGATE rfm.ledger(ordered_at "any", amount "any", cost numeric, window_start timestamptz, as_of timestamptz, time_zone bytea) (
    SFUNC = rfm.ledger_accum, STYPE = rfm.ledger, SSPACE = 128,
    FINALFUNC = rfm.ledger_final, COMBINEFUNC = rfm.ledger_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.ledger("any", "any", numeric, timestamptz, timestamptz, bytea) IS
    'As ledger with a time_zone of type text, for queries over foreign tables: postgres_fdw ships this one, GROUP BY and all. Example: SELECT rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC''::bytea);';

-- Costs as arguments, where lines are aggregated far from the products.
CREATE FUNCTION rfm.cost_of(product_id bigint, product_ids bigint[], costs numeric[]) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_cost_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cost_of(product_id uuid, product_ids uuid[], costs numeric[]) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_cost_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cost_of(product_id text, product_ids text[], costs numeric[]) RETURNS numeric
    AS 'MODULE_PATHNAME', 'rfm_cost_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.cost_of(bigint, bigint[], numeric[]) IS
    'Internal. The cost of a product: what stands in costs where it stands in product_ids, which ascend. NULL for a product that is not there.';
COMMENT ON FUNCTION rfm.cost_of(uuid, uuid[], numeric[]) IS
    'Internal. The cost of a product: what stands in costs where it stands in product_ids, which ascend. NULL for a product that is not there.';
COMMENT ON FUNCTION rfm.cost_of(text, text[], numeric[]) IS
    'Internal. The cost of a product: what stands in costs where it stands in product_ids, which ascend by their bytes. NULL for a product that is not there.';

CREATE FUNCTION rfm.ledger_bytes(ledger rfm.ledger) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_ledger_bytes' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.ledger_bytes(rfm.ledger) IS 'Internal. The bytes of a stored ledger: ledgers of the same lines have the same.';
CREATE FUNCTION rfm.next_line_at(ledger rfm.ledger) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'rfm_ledger_next_line_at' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.next_line_at(rfm.ledger) IS
    'The earliest line at or after as_of, which the ledger does not count yet. NULL without one; a line at infinity is none. Example: SELECT rfm.next_line_at(rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC''));';
CREATE FUNCTION rfm.window_line_at(ledger rfm.ledger) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'rfm_ledger_window_line_at' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.window_line_at(rfm.ledger) IS
    'The earliest line in the window, the first one to leave it. NULL without one. Example: SELECT rfm.window_line_at(rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC''));';
CREATE FUNCTION rfm.unpack(ledger rfm.ledger) RETURNS TABLE (month date, purchased boolean, revenue numeric)
    AS 'MODULE_PATHNAME', 'rfm_ledger_unpack' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 2;
COMMENT ON FUNCTION rfm.unpack(rfm.ledger) IS
    'A ledger as rows: each month by its first day, ascending; whether a purchase line lies in it; and the sum of all its amounts, refunds subtracted.';

-- cohorts: ledgers by month of first order

CREATE TYPE rfm.cohorts;
CREATE FUNCTION rfm.cohorts_in(cstring) RETURNS rfm.cohorts
    AS 'MODULE_PATHNAME', 'rfm_cohorts_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_out(rfm.cohorts) RETURNS cstring
    AS 'MODULE_PATHNAME', 'rfm_cohorts_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_recv(internal) RETURNS rfm.cohorts
    AS 'MODULE_PATHNAME', 'rfm_cohorts_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_send(rfm.cohorts) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_cohorts_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE rfm.cohorts (
    INPUT = rfm.cohorts_in, OUTPUT = rfm.cohorts_out,
    RECEIVE = rfm.cohorts_recv, SEND = rfm.cohorts_send,
    ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE rfm.cohorts IS
    'Customers and revenue by month of first order and month, made by the aggregate of that name and read by unpack. Equal ledgers have equal text, in whatever order they came.';
COMMENT ON FUNCTION rfm.cohorts_in(cstring) IS 'Reads the text form of cohorts; anything else is an error.';
COMMENT ON FUNCTION rfm.cohorts_out(rfm.cohorts) IS
    'The text form of cohorts, exact: 1, then each month of first order with each month, the active customers and the revenue.';
COMMENT ON FUNCTION rfm.cohorts_recv(internal) IS 'Reads the binary form of cohorts, which is its text form.';
COMMENT ON FUNCTION rfm.cohorts_send(rfm.cohorts) IS 'The binary form of cohorts, which is its text form.';

CREATE FUNCTION rfm.cohorts_accum(rfm.aggregate_state, first_order_date date, ledger rfm.ledger) RETURNS rfm.aggregate_state
    AS 'MODULE_PATHNAME', 'rfm_cohorts_state_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_final(rfm.aggregate_state) RETURNS rfm.cohorts
    AS 'MODULE_PATHNAME', 'rfm_cohorts_state_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.cohorts_accum(rfm.aggregate_state, date, rfm.ledger) IS 'Adds a customer; a step of cohorts.';
COMMENT ON FUNCTION rfm.cohorts_final(rfm.aggregate_state) IS 'The last step of cohorts.';

CREATE AGGREGATE rfm.cohorts(first_order_date date, ledger rfm.ledger) (
    SFUNC = rfm.cohorts_accum, STYPE = rfm.aggregate_state, SSPACE = 65536, FINALFUNC = rfm.cohorts_final,
    COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.cohorts(date, rfm.ledger) IS
    'The ledgers of many customers summed up by month of the first order and month. Customers with a NULL are left out; nothing gives NULL. Example: SELECT rfm.cohorts(current_date, l) FROM (SELECT rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC'') AS l) x;';
CREATE FUNCTION rfm.unpack(cohorts rfm.cohorts) RETURNS TABLE (cohort_month date, month date, active_customers bigint, revenue numeric)
    AS 'MODULE_PATHNAME', 'rfm_cohorts_unpack' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1000;
COMMENT ON FUNCTION rfm.unpack(rfm.cohorts) IS
    'Cohorts as rows, ascending: the month of the first order and the month, by their first days; the customers with a purchase line in it; and the sum of all amounts, refunds subtracted.';

-- margin_rate: ledgers as one figure

CREATE FUNCTION rfm.margin_rate_accum(rfm.aggregate_state, ledger rfm.ledger) RETURNS rfm.aggregate_state
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_state_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.margin_rate_final(rfm.aggregate_state) RETURNS double precision
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_state_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.margin_rate_accum(rfm.aggregate_state, rfm.ledger) IS 'Adds a ledger; a step of margin_rate.';
COMMENT ON FUNCTION rfm.margin_rate_final(rfm.aggregate_state) IS 'The last step of margin_rate.';

CREATE AGGREGATE rfm.margin_rate(ledger rfm.ledger) (
    SFUNC = rfm.margin_rate_accum, STYPE = rfm.aggregate_state, SSPACE = 256, FINALFUNC = rfm.margin_rate_final,
    COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.margin_rate(rfm.ledger) IS
    'What the ledgers of many customers leave of revenue after cost, as a share of revenue, over the purchase lines in the window with a cost. NULL without revenue. Example: SELECT rfm.margin_rate(l) FROM (SELECT rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC'') AS l) x;';
