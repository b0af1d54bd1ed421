-- 44_aggregate_state: the states of aggregates that are computed on several machines.

CREATE TYPE rfm.aggregate_state;
CREATE FUNCTION rfm.aggregate_state_in(cstring) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_in';
CREATE FUNCTION rfm.aggregate_state_out(rfm.aggregate_state) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_out';
CREATE FUNCTION rfm.aggregate_state_recv(internal) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_recv';
CREATE FUNCTION rfm.aggregate_state_send(rfm.aggregate_state) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_send';
CREATE TYPE rfm.aggregate_state (
    INPUT = rfm.aggregate_state_in, OUTPUT = rfm.aggregate_state_out,
    RECEIVE = rfm.aggregate_state_recv, SEND = rfm.aggregate_state_send,
    INTERNALLENGTH = VARIABLE, STORAGE = extended);
COMMENT ON TYPE rfm.aggregate_state IS
'Internal. The rows that tally (of an array), gateway, cohorts or margin_rate have met so far, as they travel from one machine to another; not made to be kept: another version may not read it. As text, hexadecimal digits.';
COMMENT ON FUNCTION rfm.aggregate_state_in(cstring) IS 'Reads the text form of a state; anything else is an error.';
COMMENT ON FUNCTION rfm.aggregate_state_out(rfm.aggregate_state) IS 'The text form of a state, exact: its bytes in hexadecimal digits.';
COMMENT ON FUNCTION rfm.aggregate_state_recv(internal) IS 'Reads the binary form of a state; anything else is an error.';
COMMENT ON FUNCTION rfm.aggregate_state_send(rfm.aggregate_state) IS 'The binary form of a state, exact: its bytes.';

CREATE FUNCTION rfm.aggregate_state_combine(state rfm.aggregate_state, other rfm.aggregate_state) RETURNS rfm.aggregate_state
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_aggregate_state_combine';
COMMENT ON FUNCTION rfm.aggregate_state_combine(rfm.aggregate_state, rfm.aggregate_state) IS
'Internal. The state of two disjoint sets of rows of one aggregate; a step of tally, gateway, cohorts and margin_rate. NULL stands for no rows; states of two aggregates are an error.';
