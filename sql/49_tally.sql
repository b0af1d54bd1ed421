-- 49_tally: customers by several dimensions at once, one pass for all of them.

CREATE TYPE rfm.tally_row AS (
    dimension    smallint,
    value        text,
    segment_rank smallint,
    customers    bigint,
    repurchased  bigint,
    orders       bigint,
    revenue      numeric,
    days         bigint
);
COMMENT ON TYPE rfm.tally_row IS 'Internal. The customers of a segment with one value of a dimension; what tally returns.';
COMMENT ON COLUMN rfm.tally_row.dimension IS 'Place of the dimension among the values given to tally, from 1.';
COMMENT ON COLUMN rfm.tally_row.value IS 'Value of the dimension as text. NULL is a value like others.';
COMMENT ON COLUMN rfm.tally_row.segment_rank IS 'Place of the segment among the rules.';
COMMENT ON COLUMN rfm.tally_row.customers IS 'Number of customers.';
COMMENT ON COLUMN rfm.tally_row.repurchased IS 'Of them with at least two orders.';
COMMENT ON COLUMN rfm.tally_row.orders IS 'Sum of their orders.';
COMMENT ON COLUMN rfm.tally_row.revenue IS 'Sum of their revenue, scale 4.';
COMMENT ON COLUMN rfm.tally_row.days IS 'Sum of their days, of those who have any. NULL: none has.';

CREATE FUNCTION rfm.tally_accum(state internal, segment_rank smallint, orders bigint, revenue numeric, days integer, VARIADIC "values" "any") RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_accum';
CREATE FUNCTION rfm.tally_combine(state internal, other internal) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_combine';
CREATE FUNCTION rfm.tally_serialize(state internal) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_serialize';
CREATE FUNCTION rfm.tally_deserialize(bytes bytea, dummy internal) RETURNS internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_deserialize';
CREATE FUNCTION rfm.tally_final(state internal) RETURNS rfm.tally_row[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_final';
COMMENT ON FUNCTION rfm.tally_accum(internal, smallint, bigint, numeric, integer, VARIADIC "any") IS 'Internal. Transition function of tally.';
COMMENT ON FUNCTION rfm.tally_combine(internal, internal) IS 'Internal. Combine function of tally.';
COMMENT ON FUNCTION rfm.tally_serialize(internal) IS 'Internal. Serialization of the state of tally.';
COMMENT ON FUNCTION rfm.tally_deserialize(bytea, internal) IS 'Internal. Deserialization of the state of tally.';
COMMENT ON FUNCTION rfm.tally_final(internal) IS 'Internal. Final function of tally.';

CREATE AGGREGATE rfm.tally(segment_rank smallint, orders bigint, revenue numeric, days integer, VARIADIC "values" "any") (
    SFUNC = rfm.tally_accum, STYPE = internal, SSPACE = 4096,
    FINALFUNC = rfm.tally_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.tally_combine, SERIALFUNC = rfm.tally_serialize, DESERIALFUNC = rfm.tally_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE rfm.tally(smallint, bigint, numeric, integer, VARIADIC "any") IS
'Internal. The customers, one row each, by segment and the value of each of 1 to 32 dimensions: a row for every combination that occurs, ordered by dimension, value (by its bytes, NULL last) and segment. Values are smallint, integer, bigint, uuid, text or varchar; other types and a VARIADIC array are errors. Customers with a NULL segment_rank are left out, NULL orders and revenue count as 0, NULL days not at all; without customers the result is NULL. Revenue is rounded to 4 decimals; NaN, infinity, and sums that do not fit are errors.';

-- the same of an array of text, for several machines: it need not be told the types of its call
CREATE FUNCTION rfm.tally_accum(state rfm.aggregate_state, segment_rank smallint, orders bigint, revenue numeric, days integer, "values" text[]) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_state_accum';
CREATE FUNCTION rfm.tally_final(state rfm.aggregate_state) RETURNS rfm.tally_row[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_tally_state_final';
COMMENT ON FUNCTION rfm.tally_accum(rfm.aggregate_state, smallint, bigint, numeric, integer, text[]) IS 'Internal. Transition function of tally of an array.';
COMMENT ON FUNCTION rfm.tally_final(rfm.aggregate_state) IS 'Internal. Final function of tally of an array.';

CREATE AGGREGATE rfm.tally(segment_rank smallint, orders bigint, revenue numeric, days integer, "values" text[]) (
    SFUNC = rfm.tally_accum, STYPE = rfm.aggregate_state, SSPACE = 4096,
    FINALFUNC = rfm.tally_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.aggregate_state_combine, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rfm.tally(smallint, bigint, numeric, integer, text[]) IS
'Internal. What tally gives for the elements of the array as values: 1 to 32 of them, as many in all rows, NULL among them; a NULL array is an error unless segment_rank is NULL. Where an aggregate is computed on several machines, this one can be.';
