-- The install script of rfm_segments 1.0.0, as it was released: never changed, not installed, read by test/shell/upgrade.sh
-- alone, which updates models that it made.

/*
 * rfm_segments: the install script, in the order of the data flow.
 *
 * The Makefile joins the parts.  Each part may use what stands before it.
 *
 *	10_score		scores of one customer on one axis, and the three-digit code
 *	20_segment		rules, and the segment that a code falls into
 *	30_cutoffs		cut points from percentiles
 *	40_profile		order lines to customers: the aggregates
 *	45_visits		sessions of customers after their first order
 *	50_rates		intervals, tests and rates over time
 *	60_model		a model: its settings, creation, configuration and removal
 *	65_contract		the user's relations, checked; the only part that reads them
 *	66_tracking		which customers changed since the last refresh
 *	70_analyses		the views of a model
 *	80_campaigns	actions, campaigns and their return
 *	85_refresh		how a model is brought up to date
 *	86_check		what is wrong with the data or the rules of a model
 *	88_schedule		a refresh at fixed times
 *	90_grants		who may use what
 */

\echo Use "CREATE EXTENSION rfm_segments" to load this file. \quit
-- 10_score: recency, frequency and monetary scores
--
-- A score is a level among the cut points of its axis: one to eight cut points give two to nine
-- levels, the highest is the best. Cut points compare exactly, whatever their scale.

CREATE FUNCTION rfm.recency_score(days integer, cutoffs numeric[] DEFAULT '{90,180,365,545}')
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_recency_score';

COMMENT ON FUNCTION rfm.recency_score(integer, numeric[]) IS
'Recency score: 5 when the days since the last purchase are at most the first cut point, 1 when they exceed the last. In general levels minus the number of cut points below days. NULL in, NULL out; negative days score highest. Example: SELECT rfm.recency_score(120);';

CREATE FUNCTION rfm.frequency_score(orders bigint, cutoffs numeric[] DEFAULT '{0,1,2,3}')
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_frequency_score';

COMMENT ON FUNCTION rfm.frequency_score(bigint, numeric[]) IS
'Frequency score: 1 plus the number of cut points at or below the number of orders; by default three orders or more score 5, two 4, one 3. NULL in, NULL out; a negative number is an error. Example: SELECT rfm.frequency_score(2);';

CREATE FUNCTION rfm.monetary_score(amount integer, cutoffs numeric[])
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_monetary_score_int4';

CREATE FUNCTION rfm.monetary_score(amount bigint, cutoffs numeric[])
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_monetary_score_int8';

CREATE FUNCTION rfm.monetary_score(amount numeric, cutoffs numeric[])
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_monetary_score_numeric';

CREATE FUNCTION rfm.monetary_score(amount double precision, cutoffs numeric[])
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_monetary_score_float8';

COMMENT ON FUNCTION rfm.monetary_score(integer, numeric[]) IS
'Monetary score: 1 plus the number of cut points at or below the amount, in the same currency. NULL in, NULL out.';
COMMENT ON FUNCTION rfm.monetary_score(bigint, numeric[]) IS
'Monetary score: 1 plus the number of cut points at or below the amount, in the same currency. NULL in, NULL out.';
COMMENT ON FUNCTION rfm.monetary_score(numeric, numeric[]) IS
'Monetary score: 1 plus the number of cut points at or below the amount, in the same currency. NULL in, NULL out; NaN and infinity are errors. Example: SELECT rfm.monetary_score(99.50, ''{50,100}'');';
COMMENT ON FUNCTION rfm.monetary_score(double precision, numeric[]) IS
'Monetary score: 1 plus the number of cut points at or below the amount, in the same currency; the amount counts as its shortest round-trip decimal. NULL in, NULL out; NaN and infinity are errors.';

CREATE FUNCTION rfm.rfm_score(recency_days integer, orders bigint, amount integer, monetary_cutoffs numeric[],
                              recency_cutoffs numeric[] DEFAULT '{90,180,365,545}',
                              frequency_cutoffs numeric[] DEFAULT '{0,1,2,3}')
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_rfm_score_int4';

CREATE FUNCTION rfm.rfm_score(recency_days integer, orders bigint, amount bigint, monetary_cutoffs numeric[],
                              recency_cutoffs numeric[] DEFAULT '{90,180,365,545}',
                              frequency_cutoffs numeric[] DEFAULT '{0,1,2,3}')
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_rfm_score_int8';

CREATE FUNCTION rfm.rfm_score(recency_days integer, orders bigint, amount numeric, monetary_cutoffs numeric[],
                              recency_cutoffs numeric[] DEFAULT '{90,180,365,545}',
                              frequency_cutoffs numeric[] DEFAULT '{0,1,2,3}')
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_rfm_score_numeric';

CREATE FUNCTION rfm.rfm_score(recency_days integer, orders bigint, amount double precision, monetary_cutoffs numeric[],
                              recency_cutoffs numeric[] DEFAULT '{90,180,365,545}',
                              frequency_cutoffs numeric[] DEFAULT '{0,1,2,3}')
    RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_rfm_score_float8';

COMMENT ON FUNCTION rfm.rfm_score(integer, bigint, integer, numeric[], numeric[], numeric[]) IS
'The recency, frequency and monetary scores as the digits of one number, for example 543. NULL in, NULL out; errors as in the three score functions.';
COMMENT ON FUNCTION rfm.rfm_score(integer, bigint, bigint, numeric[], numeric[], numeric[]) IS
'The recency, frequency and monetary scores as the digits of one number, for example 543. NULL in, NULL out; errors as in the three score functions.';
COMMENT ON FUNCTION rfm.rfm_score(integer, bigint, numeric, numeric[], numeric[], numeric[]) IS
'The recency, frequency and monetary scores as the digits of one number, for example 543. NULL in, NULL out; errors as in the three score functions. Example: SELECT rfm.rfm_score(30, 2, 250.00, ''{50,100,200,400}'');';
COMMENT ON FUNCTION rfm.rfm_score(integer, bigint, double precision, numeric[], numeric[], numeric[]) IS
'The recency, frequency and monetary scores as the digits of one number, for example 543. NULL in, NULL out; errors as in the three score functions.';
-- 20_segment: segment rules, and the segment a customer falls into
--
-- Rules are rows (rfm.segment_rule), tried in the order of rule_order; the first that holds all three
-- scores wins. Compiled (rfm.rules) they are one small value with the segment of every cell.

CREATE TYPE rfm.segment_rule AS (
    rule_order smallint,
    segment    text,
    stage      text,
    r_min      smallint,
    r_max      smallint,
    f_min      smallint,
    f_max      smallint,
    m_min      smallint,
    m_max      smallint
);

COMMENT ON TYPE rfm.segment_rule IS
'One segment rule: a box in the cube of scores. The first rule, by rule_order, that holds a customer''s scores names his segment; without one he is in ''Others''.';
COMMENT ON COLUMN rfm.segment_rule.rule_order IS 'Place in the order in which the rules are tried; unique.';
COMMENT ON COLUMN rfm.segment_rule.segment IS 'Name of the segment, 1 to 63 bytes. Several rules may share it.';
COMMENT ON COLUMN rfm.segment_rule.stage IS 'What the segment is to the analyses: vip, loyal, promising, attention, risk or other. One per segment.';
COMMENT ON COLUMN rfm.segment_rule.r_min IS 'Smallest recency score, 1 to 9.';
COMMENT ON COLUMN rfm.segment_rule.r_max IS 'Greatest recency score, 1 to 9; beyond the levels of the axis it means the highest.';
COMMENT ON COLUMN rfm.segment_rule.f_min IS 'Smallest frequency score, 1 to 9.';
COMMENT ON COLUMN rfm.segment_rule.f_max IS 'Greatest frequency score, 1 to 9; beyond the levels of the axis it means the highest.';
COMMENT ON COLUMN rfm.segment_rule.m_min IS 'Smallest monetary score, 1 to 9.';
COMMENT ON COLUMN rfm.segment_rule.m_max IS 'Greatest monetary score, 1 to 9; beyond the levels of the axis it means the highest.';

CREATE TYPE rfm.rules;

CREATE FUNCTION rfm.rules_in(cstring) RETURNS rfm.rules
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rules_in';
CREATE FUNCTION rfm.rules_out(rfm.rules) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rules_out';
CREATE FUNCTION rfm.rules_recv(internal) RETURNS rfm.rules
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rules_recv';
CREATE FUNCTION rfm.rules_send(rfm.rules) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rules_send';

COMMENT ON FUNCTION rfm.rules_in(cstring) IS 'Text input of type rfm.rules.';
COMMENT ON FUNCTION rfm.rules_out(rfm.rules) IS 'Text output of type rfm.rules.';
COMMENT ON FUNCTION rfm.rules_recv(internal) IS 'Binary input of type rfm.rules.';
COMMENT ON FUNCTION rfm.rules_send(rfm.rules) IS 'Binary output of type rfm.rules.';

CREATE TYPE rfm.rules (
    INPUT = rfm.rules_in,
    OUTPUT = rfm.rules_out,
    RECEIVE = rfm.rules_recv,
    SEND = rfm.rules_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = plain
);

COMMENT ON TYPE rfm.rules IS
'Compiled segment rules: the levels of the three axes, the segments by rank, and the segment of every cell. Made by rfm.compile_rules.';

CREATE FUNCTION rfm.default_rules(name text) RETURNS SETOF rfm.segment_rule
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10
    AS 'MODULE_PATHNAME', 'rfm_default_rules';

COMMENT ON FUNCTION rfm.default_rules(text) IS
'The segment rules that come with the extension, for five levels: ''lifecycle'' (nine segments with Others; f = 3 is one order) or ''classic'' (the ten of RFM literature, and Others). Stages of classic: Champions vip; Potential Loyalist and Loyal Customers loyal; Promising and New Customers promising; Can''t Lose Them and Need Attention attention; At Risk, About To Sleep and Lost risk. Another name is an error. Example: SELECT * FROM rfm.default_rules(''classic'');';

CREATE FUNCTION rfm.compile_rules(rules rfm.segment_rule[], r_levels integer DEFAULT 5, f_levels integer DEFAULT 5, m_levels integer DEFAULT 5)
    RETURNS rfm.rules
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'rfm_compile_rules';

COMMENT ON FUNCTION rfm.compile_rules(rfm.segment_rule[], integer, integer, integer) IS
'Compiles segment rules, given in any order, for axes of 2 to 9 levels. NULL or an empty array means no rules: everyone is in Others. An unknown stage, a range outside 1 to 9, a rule_order that occurs twice, two stages of one segment, a NULL or more than 99 segments are errors. Example: SELECT rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d));';

CREATE FUNCTION rfm.segment_of(rfm_score integer) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_of';
CREATE FUNCTION rfm.segment_of(r integer, f integer, m integer) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_of_scores';
CREATE FUNCTION rfm.segment_of(rfm_score integer, rules rfm.rules) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_of_rules';
CREATE FUNCTION rfm.segment_of(r integer, f integer, m integer, rules rfm.rules) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_of_scores_rules';

COMMENT ON FUNCTION rfm.segment_of(integer) IS
'The segment of a three-digit score such as 543, by the nine default segments (rules ''lifecycle''). NULL in, NULL out; a score outside 1 to 5 is an error. Example: SELECT rfm.segment_of(543);';
COMMENT ON FUNCTION rfm.segment_of(integer, integer, integer) IS
'The segment of a recency, frequency and monetary score, by the nine default segments (rules ''lifecycle''). NULL in, NULL out; a score outside 1 to 5 is an error. Example: SELECT rfm.segment_of(5, 4, 3);';
COMMENT ON FUNCTION rfm.segment_of(integer, rfm.rules) IS
'The segment of a three-digit score such as 543, by the rules given. NULL in, NULL out; a score outside the levels of the rules is an error. Example: SELECT rfm.segment_of(543, rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d)));';
COMMENT ON FUNCTION rfm.segment_of(integer, integer, integer, rfm.rules) IS
'The segment of a recency, frequency and monetary score, by the rules given. NULL in, NULL out; a score outside the levels of the rules is an error.';

CREATE FUNCTION rfm.segment_rank(rfm_score integer, rules rfm.rules) RETURNS smallint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_rank';
CREATE FUNCTION rfm.segment_stage(rfm_score integer, rules rfm.rules) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_segment_stage';

COMMENT ON FUNCTION rfm.segment_rank(integer, rfm.rules) IS
'The rank of a three-digit score''s segment: 1 for the segment of the first rule, and so on. NULL in, NULL out; a score outside the levels of the rules is an error. Example: SELECT rfm.segment_rank(543, rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d)));';
COMMENT ON FUNCTION rfm.segment_stage(integer, rfm.rules) IS
'The stage of a three-digit score''s segment: vip, loyal, promising, attention, risk or other. NULL in, NULL out; a score outside the levels of the rules is an error. Example: SELECT rfm.segment_stage(543, rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d)));';

CREATE FUNCTION rfm.rule_segments(rules rfm.rules, OUT segment text, OUT segment_rank smallint, OUT stage text, OUT m_min smallint, OUT m_max smallint)
    RETURNS SETOF record
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10
    AS 'MODULE_PATHNAME', 'rfm_rule_segments';

COMMENT ON FUNCTION rfm.rule_segments(rfm.rules) IS
'The segments of compiled rules, one row each, best first; m_min and m_max are the smallest and greatest monetary score in the segment''s rules, NULL for an Others that has no rule. Example: SELECT * FROM rfm.rule_segments(rfm.compile_rules((SELECT array_agg(d) FROM rfm.default_rules(''classic'') d)));';
-- 30_cutoffs: cut points from percentiles
--
-- percentile_cutoffs has a combine function and a serialized state: it runs in parallel. Its support
-- functions carry the name of what they do, percentile_*.

CREATE FUNCTION rfm.percentile_add(state internal, value integer) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_add_int4';
CREATE FUNCTION rfm.percentile_add(state internal, value integer, fractions numeric[]) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_add_int4';
CREATE FUNCTION rfm.percentile_add(state internal, value bigint) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_add_int8';
CREATE FUNCTION rfm.percentile_add(state internal, value bigint, fractions numeric[]) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_add_int8';
CREATE FUNCTION rfm.percentile_add(state internal, value numeric) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_add_numeric';
CREATE FUNCTION rfm.percentile_add(state internal, value numeric, fractions numeric[]) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_add_numeric';
CREATE FUNCTION rfm.percentile_add(state internal, value double precision) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_add_float8';
CREATE FUNCTION rfm.percentile_add(state internal, value double precision, fractions numeric[]) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_add_float8';

CREATE FUNCTION rfm.percentile_combine(state internal, other internal) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_combine';
CREATE FUNCTION rfm.percentile_serialize(state internal) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_serialize';
CREATE FUNCTION rfm.percentile_deserialize(bytes bytea, dummy internal) RETURNS internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_deserialize';
CREATE FUNCTION rfm.percentile_final(state internal) RETURNS numeric[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percentile_final';

COMMENT ON FUNCTION rfm.percentile_add(internal, integer) IS 'Transition function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_add(internal, integer, numeric[]) IS 'Transition function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_add(internal, bigint) IS 'Transition function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_add(internal, bigint, numeric[]) IS 'Transition function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_add(internal, numeric) IS 'Transition function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_add(internal, numeric, numeric[]) IS 'Transition function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_add(internal, double precision) IS 'Transition function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_add(internal, double precision, numeric[]) IS 'Transition function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_combine(internal, internal) IS 'Combine function of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_serialize(internal) IS 'Serialization of the state of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_deserialize(bytea, internal) IS 'Deserialization of the state of percentile_cutoffs.';
COMMENT ON FUNCTION rfm.percentile_final(internal) IS 'Final function of percentile_cutoffs.';

CREATE AGGREGATE rfm.percentile_cutoffs(value integer) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percentile_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);
CREATE AGGREGATE rfm.percentile_cutoffs(value integer, fractions numeric[]) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percentile_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);
CREATE AGGREGATE rfm.percentile_cutoffs(value bigint) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percentile_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);
CREATE AGGREGATE rfm.percentile_cutoffs(value bigint, fractions numeric[]) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percentile_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);
CREATE AGGREGATE rfm.percentile_cutoffs(value numeric) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percentile_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);
CREATE AGGREGATE rfm.percentile_cutoffs(value numeric, fractions numeric[]) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percentile_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);
CREATE AGGREGATE rfm.percentile_cutoffs(value double precision) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percentile_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);
CREATE AGGREGATE rfm.percentile_cutoffs(value double precision, fractions numeric[]) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percentile_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);

COMMENT ON AGGREGATE rfm.percentile_cutoffs(integer) IS
'Cut points at the fractions {0.25,0.50,0.75,0.95} of the values: exact percentiles (type 7, as percentile_cont), in decimal. NULLs are ignored, without values the result is NULL.';
COMMENT ON AGGREGATE rfm.percentile_cutoffs(integer, numeric[]) IS
'Cut points at the given fractions of the values, one to eight ascending numbers from 0 to 1, the same in all rows: exact percentiles (type 7, as percentile_cont), in decimal. NULLs are ignored, without values the result is NULL.';
COMMENT ON AGGREGATE rfm.percentile_cutoffs(bigint) IS
'Cut points at the fractions {0.25,0.50,0.75,0.95} of the values: exact percentiles (type 7, as percentile_cont), in decimal. NULLs are ignored, without values the result is NULL.';
COMMENT ON AGGREGATE rfm.percentile_cutoffs(bigint, numeric[]) IS
'Cut points at the given fractions of the values, one to eight ascending numbers from 0 to 1, the same in all rows: exact percentiles (type 7, as percentile_cont), in decimal. NULLs are ignored, without values the result is NULL.';
COMMENT ON AGGREGATE rfm.percentile_cutoffs(numeric) IS
'Cut points at the fractions {0.25,0.50,0.75,0.95} of the values: exact percentiles (type 7, as percentile_cont), in decimal. NULLs are ignored, without values the result is NULL; NaN and infinity are errors. Example: SELECT rfm.percentile_cutoffs(x) FROM generate_series(1, 100) x;';
COMMENT ON AGGREGATE rfm.percentile_cutoffs(numeric, numeric[]) IS
'Cut points at the given fractions of the values, one to eight ascending numbers from 0 to 1, the same in all rows: exact percentiles (type 7, as percentile_cont), in decimal. NULLs are ignored, without values the result is NULL; NaN and infinity are errors. Example: SELECT rfm.percentile_cutoffs(x, ''{0.5,0.9}'') FROM generate_series(1, 100) x;';
COMMENT ON AGGREGATE rfm.percentile_cutoffs(double precision) IS
'Cut points at the fractions {0.25,0.50,0.75,0.95} of the values: exact percentiles (type 7, as percentile_cont), in decimal. NULLs are ignored, without values the result is NULL; a value counts as its shortest round-trip decimal, NaN and infinity are errors.';
COMMENT ON AGGREGATE rfm.percentile_cutoffs(double precision, numeric[]) IS
'Cut points at the given fractions of the values, one to eight ascending numbers from 0 to 1, the same in all rows: exact percentiles (type 7, as percentile_cont), in decimal. NULLs are ignored, without values the result is NULL; a value counts as its shortest round-trip decimal, NaN and infinity are errors.';

CREATE FUNCTION rfm.percent_sums_final(state internal) RETURNS numeric[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_percent_sums_final';
COMMENT ON FUNCTION rfm.percent_sums_final(internal) IS 'Internal. Final function of percent_sums.';
CREATE AGGREGATE rfm.percent_sums(value numeric) (
    SFUNC = rfm.percentile_add, STYPE = internal, SSPACE = 256,
    FINALFUNC = rfm.percent_sums_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.percentile_combine, SERIALFUNC = rfm.percentile_serialize, DESERIALFUNC = rfm.percentile_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE rfm.percent_sums(numeric) IS
'Internal. The sums of the first, second ... hundredth percent of the values, the greatest first; the first p percent of n values are p * n / 100, rounded up. NULLs are ignored; a percent in which no value is has NULL, without values the result is NULL.';

CREATE FUNCTION rfm.monetary_bucket(amount integer, fractions numeric[] DEFAULT '{0.25,0.50,0.75,0.95}') RETURNS smallint
    LANGUAGE C IMMUTABLE PARALLEL SAFE WINDOW AS 'MODULE_PATHNAME', 'rfm_monetary_bucket_int4';
CREATE FUNCTION rfm.monetary_bucket(amount bigint, fractions numeric[] DEFAULT '{0.25,0.50,0.75,0.95}') RETURNS smallint
    LANGUAGE C IMMUTABLE PARALLEL SAFE WINDOW AS 'MODULE_PATHNAME', 'rfm_monetary_bucket_int8';
CREATE FUNCTION rfm.monetary_bucket(amount numeric, fractions numeric[] DEFAULT '{0.25,0.50,0.75,0.95}') RETURNS smallint
    LANGUAGE C IMMUTABLE PARALLEL SAFE WINDOW AS 'MODULE_PATHNAME', 'rfm_monetary_bucket_numeric';
CREATE FUNCTION rfm.monetary_bucket(amount double precision, fractions numeric[] DEFAULT '{0.25,0.50,0.75,0.95}') RETURNS smallint
    LANGUAGE C IMMUTABLE PARALLEL SAFE WINDOW AS 'MODULE_PATHNAME', 'rfm_monetary_bucket_float8';

COMMENT ON FUNCTION rfm.monetary_bucket(integer, numeric[]) IS
'Percentile bucket of the amount within its window partition: monetary_score(amount, percentile_cutoffs of the partition, fractions), whatever the order and frame of the window. NULL amounts have no bucket and do not count.';
COMMENT ON FUNCTION rfm.monetary_bucket(bigint, numeric[]) IS
'Percentile bucket of the amount within its window partition: monetary_score(amount, percentile_cutoffs of the partition, fractions), whatever the order and frame of the window. NULL amounts have no bucket and do not count.';
COMMENT ON FUNCTION rfm.monetary_bucket(numeric, numeric[]) IS
'Percentile bucket of the amount within its window partition: monetary_score(amount, percentile_cutoffs of the partition, fractions), whatever the order and frame of the window. NULL amounts have no bucket and do not count; NaN and infinity are errors. Example: SELECT x, rfm.monetary_bucket(x) OVER () FROM generate_series(1, 100) x;';
COMMENT ON FUNCTION rfm.monetary_bucket(double precision, numeric[]) IS
'Percentile bucket of the amount within its window partition: monetary_score(amount, percentile_cutoffs of the partition, fractions), whatever the order and frame of the window. NULL amounts have no bucket and do not count; an amount counts as its shortest round-trip decimal, NaN and infinity are errors.';
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

CREATE FUNCTION rfm.unpack(profile rfm.profile_state, time_zone text DEFAULT 'UTC') RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'rfm_profile_unpack' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION rfm.unpack(rfm.profile_state, text) IS
    'A profile as a row. The column definition list names the columns wanted: first_order_id, first_product_id (of the lines'' own types), first_order_at, first_order_until (its last line), second_order_at, last_order_at timestamptz, first_order_date, second_order_date, last_order_date date (in time_zone), orders, lines bigint, revenue, first_order_revenue numeric. Example: SELECT * FROM rfm.unpack((SELECT rfm.profile(1, now(), 9.90))) AS p(orders bigint, revenue numeric);';

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

CREATE FUNCTION rfm.cohorts_accum(internal, first_order_date date, ledger rfm.ledger) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_cohorts_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_cohorts_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_cohorts_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_cohorts_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.cohorts_final(internal) RETURNS rfm.cohorts
    AS 'MODULE_PATHNAME', 'rfm_cohorts_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.cohorts_accum(internal, date, rfm.ledger) IS 'Adds a customer; a step of cohorts.';
COMMENT ON FUNCTION rfm.cohorts_combine(internal, internal) IS 'Joins the states of two workers; a step of cohorts.';
COMMENT ON FUNCTION rfm.cohorts_serialize(internal) IS 'Sends a state from a worker; a step of cohorts.';
COMMENT ON FUNCTION rfm.cohorts_deserialize(bytea, internal) IS 'Receives a state from a worker; a step of cohorts.';
COMMENT ON FUNCTION rfm.cohorts_final(internal) IS 'The last step of cohorts.';

CREATE AGGREGATE rfm.cohorts(first_order_date date, ledger rfm.ledger) (
    SFUNC = rfm.cohorts_accum, STYPE = internal, SSPACE = 65536, FINALFUNC = rfm.cohorts_final,
    COMBINEFUNC = rfm.cohorts_combine, SERIALFUNC = rfm.cohorts_serialize,
    DESERIALFUNC = rfm.cohorts_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.cohorts(date, rfm.ledger) IS
    'The ledgers of many customers summed up by month of the first order and month. Customers with a NULL are left out; nothing gives NULL. Example: SELECT rfm.cohorts(current_date, l) FROM (SELECT rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC'') AS l) x;';
CREATE FUNCTION rfm.unpack(cohorts rfm.cohorts) RETURNS TABLE (cohort_month date, month date, active_customers bigint, revenue numeric)
    AS 'MODULE_PATHNAME', 'rfm_cohorts_unpack' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1000;
COMMENT ON FUNCTION rfm.unpack(rfm.cohorts) IS
    'Cohorts as rows, ascending: the month of the first order and the month, by their first days; the customers with a purchase line in it; and the sum of all amounts, refunds subtracted.';

-- margin_rate: ledgers as one figure

CREATE FUNCTION rfm.margin_rate_accum(internal, ledger rfm.ledger) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.margin_rate_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION rfm.margin_rate_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.margin_rate_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rfm.margin_rate_final(internal) RETURNS double precision
    AS 'MODULE_PATHNAME', 'rfm_margin_rate_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION rfm.margin_rate_accum(internal, rfm.ledger) IS 'Adds a ledger; a step of margin_rate.';
COMMENT ON FUNCTION rfm.margin_rate_combine(internal, internal) IS 'Joins the states of two workers; a step of margin_rate.';
COMMENT ON FUNCTION rfm.margin_rate_serialize(internal) IS 'Sends a state from a worker; a step of margin_rate.';
COMMENT ON FUNCTION rfm.margin_rate_deserialize(bytea, internal) IS 'Receives a state from a worker; a step of margin_rate.';
COMMENT ON FUNCTION rfm.margin_rate_final(internal) IS 'The last step of margin_rate.';

CREATE AGGREGATE rfm.margin_rate(ledger rfm.ledger) (
    SFUNC = rfm.margin_rate_accum, STYPE = internal, SSPACE = 64, FINALFUNC = rfm.margin_rate_final,
    COMBINEFUNC = rfm.margin_rate_combine, SERIALFUNC = rfm.margin_rate_serialize,
    DESERIALFUNC = rfm.margin_rate_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.margin_rate(rfm.ledger) IS
    'What the ledgers of many customers leave of revenue after cost, as a share of revenue, over the purchase lines in the window with a cost. NULL without revenue. Example: SELECT rfm.margin_rate(l) FROM (SELECT rfm.ledger(now(), 9.90, 4.00, NULL, NULL, ''UTC'') AS l) x;';
-- 48_cells: the customers by score, straight from their profiles.

CREATE FUNCTION rfm.cell_sums(profiles rfm.profile_set, as_of_date date, time_zone text,
        recency_cutoffs numeric[], recency_fractions numeric[], frequency_cutoffs numeric[], frequency_fractions numeric[],
        monetary_cutoffs numeric[], monetary_fractions numeric[],
        OUT rfm_score smallint, OUT customers bigint, OUT recency_days bigint, OUT orders bigint, OUT revenue numeric)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'rfm_cell_sums' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION rfm.cell_sums(rfm.profile_set, date, text, numeric[], numeric[], numeric[], numeric[], numeric[], numeric[]) IS
    'Internal. The customers with a purchase in the window by score: their number and the sums of recency_days, orders and revenue, a row for each cell of the cube that has any. Cut points of an axis are those given, or percentiles of the customers. No customers, no rows.';
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
-- 50_rates: honest rates and averages, and rates over time when not everyone was watched that long.

CREATE FUNCTION rfm.wilson_interval(successes bigint, trials bigint, confidence double precision DEFAULT 0.95,
                                    OUT low double precision, OUT high double precision)
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_wilson_interval';
COMMENT ON FUNCTION rfm.wilson_interval(bigint, bigint, double precision) IS
'Wilson''s score interval (1927) of a rate, without continuity correction: bounds from 0 to 1, between which the true rate lies with the given confidence, between 0 and 1. NULL in, NULL out, and NULL without trials; negative numbers, more successes than trials and other confidences are errors. Example: SELECT * FROM rfm.wilson_interval(8, 20);';

CREATE FUNCTION rfm.chi_square_p_value(statistic double precision, df integer) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_chi_square_p_value';
COMMENT ON FUNCTION rfm.chi_square_p_value(double precision, integer) IS
'The probability, 0 to 1, that a chi-square variable with df degrees of freedom is greater than the statistic: how often chance alone differs as much. NULL in, NULL out; a negative statistic, NaN, and df below 1 are errors. Example: SELECT rfm.chi_square_p_value(7.1, 4);';

CREATE FUNCTION rfm.welch_interval(n_a bigint, mean_a double precision, variance_a double precision,
                                   n_b bigint, mean_b double precision, variance_b double precision,
                                   confidence double precision DEFAULT 0.95,
                                   OUT difference double precision, OUT low double precision, OUT high double precision, OUT df double precision)
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_welch_interval';
COMMENT ON FUNCTION rfm.welch_interval(bigint, double precision, double precision, bigint, double precision, double precision, double precision) IS
'The difference mean_a - mean_b of two groups, in their unit, with Welch''s interval for unequal variances and its degrees of freedom. Give count(x), avg(x) and var_samp(x) of each group. All NULL when a count, a mean or the confidence is NULL or a group is empty; bounds and df NULL when a group has a single member or neither varies. Negative counts or variances, NaN, infinity, and a confidence outside 0 to 1 are errors. Example: SELECT * FROM rfm.welch_interval(120, 84.50, 900, 90, 78.10, 1600);';

CREATE FUNCTION rfm.mean_interval(n bigint, mean double precision, variance double precision, confidence double precision DEFAULT 0.95,
                                  OUT low double precision, OUT high double precision)
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_mean_interval';
COMMENT ON FUNCTION rfm.mean_interval(bigint, double precision, double precision, double precision) IS
'Student''s interval of an average, in its unit. Give count(x), avg(x) and var_samp(x). NULL with fewer than two members or a NULL; negative counts or variances, NaN, infinity, and a confidence outside 0 to 1 are errors. Example: SELECT * FROM rfm.mean_interval(120, 84.50, 900);';

-- survival: how long customers went without an event

CREATE TYPE rfm.survival;
CREATE FUNCTION rfm.survival_in(cstring) RETURNS rfm.survival
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_survival_in';
CREATE FUNCTION rfm.survival_out(rfm.survival) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_survival_out';
CREATE FUNCTION rfm.survival_recv(internal) RETURNS rfm.survival
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_survival_recv';
CREATE FUNCTION rfm.survival_send(rfm.survival) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_survival_send';
CREATE TYPE rfm.survival (
    INPUT = rfm.survival_in, OUTPUT = rfm.survival_out,
    RECEIVE = rfm.survival_recv, SEND = rfm.survival_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE rfm.survival IS
'Customers counted by days, made by kaplan_meier and read by kaplan_meier_rate and kaplan_meier_curve. As text, days:events:censored of each day, ascending; the same customers have the same text, in whatever order they came.';
COMMENT ON FUNCTION rfm.survival_in(cstring) IS 'Reads the text form of a survival; anything else is an error.';
COMMENT ON FUNCTION rfm.survival_out(rfm.survival) IS 'The text form of a survival, exact: days:events:censored of each day, ascending.';
COMMENT ON FUNCTION rfm.survival_recv(internal) IS 'Reads the binary form of a survival, which is its text form.';
COMMENT ON FUNCTION rfm.survival_send(rfm.survival) IS 'The binary form of a survival, which is its text form.';

CREATE FUNCTION rfm.kaplan_meier_add(rfm.survival, days integer, event boolean) RETURNS rfm.survival
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_kaplan_meier_add';
CREATE FUNCTION rfm.kaplan_meier_combine(rfm.survival, rfm.survival) RETURNS rfm.survival
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_kaplan_meier_combine';
CREATE FUNCTION rfm.kaplan_meier_final(rfm.survival) RETURNS rfm.survival
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_kaplan_meier_final';
COMMENT ON FUNCTION rfm.kaplan_meier_add(rfm.survival, integer, boolean) IS 'Adds a customer; a step of kaplan_meier.';
COMMENT ON FUNCTION rfm.kaplan_meier_combine(rfm.survival, rfm.survival) IS 'The survival of two disjoint sets of customers. NULL stands for none.';
COMMENT ON FUNCTION rfm.kaplan_meier_final(rfm.survival) IS 'A compact copy of a survival; the last step of kaplan_meier.';

CREATE AGGREGATE rfm.kaplan_meier(days integer, event boolean) (
    SFUNC = rfm.kaplan_meier_add, STYPE = rfm.survival, SSPACE = 128,
    FINALFUNC = rfm.kaplan_meier_final, COMBINEFUNC = rfm.kaplan_meier_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.kaplan_meier(integer, boolean) IS
'How long customers went without an event. For each, the days to the event and true, or the days that he was watched without one and false (censored). Customers with a NULL are left out, without customers the result is NULL; negative days are an error. Example: SELECT rfm.kaplan_meier(days, again) FROM (VALUES (5, true), (40, false)) v(days, again);';
CREATE AGGREGATE rfm.kaplan_meier(survival rfm.survival) (
    SFUNC = rfm.kaplan_meier_combine, STYPE = rfm.survival, SSPACE = 128,
    FINALFUNC = rfm.kaplan_meier_final, COMBINEFUNC = rfm.kaplan_meier_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE rfm.kaplan_meier(rfm.survival) IS
'The survival of several disjoint sets of customers, for example of a category from those of its products. NULLs are left out, without others the result is NULL.';

CREATE FUNCTION rfm.kaplan_meier_rate(survival rfm.survival, at_days integer, confidence double precision DEFAULT 0.95,
                                      OUT rate double precision, OUT low double precision, OUT high double precision, OUT at_risk bigint)
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_kaplan_meier_rate';
COMMENT ON FUNCTION rfm.kaplan_meier_rate(rfm.survival, integer, double precision) IS
'The share 0-1 of customers with an event within at_days, that day included, as Kaplan and Meier estimate it (1958; on one day events come before censoring); bounds by Greenwood''s variance on the log-log scale; and how many customers were watched without an event up to that day. The rate is NULL when nobody was watched that long, unless all had the event before; the bounds are NULL also before the first event and after all had it. NULL in, NULL out; negative days and a confidence outside 0 to 1 are errors. Example: SELECT * FROM rfm.kaplan_meier_rate((SELECT rfm.kaplan_meier(d, d < 50) FROM generate_series(1, 99) d), 30);';

CREATE FUNCTION rfm.kaplan_meier_curve(survival rfm.survival, min_at_risk bigint DEFAULT 30, confidence double precision DEFAULT 0.95,
                                       OUT days integer, OUT at_risk bigint, OUT events bigint, OUT censored bigint,
                                       OUT rate double precision, OUT low double precision, OUT high double precision)
    RETURNS SETOF record
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1000 AS 'MODULE_PATHNAME', 'rfm_kaplan_meier_curve';
COMMENT ON FUNCTION rfm.kaplan_meier_curve(rfm.survival, bigint, double precision) IS
'The rates of kaplan_meier_rate at every day with an event or a censored customer, ascending, while at least min_at_risk are at risk: the customers at risk at the start of the day, those with an event and those censored on it, the rate with that day included, and its bounds. No rows for NULL; a confidence outside 0 to 1 is an error. Example: SELECT * FROM rfm.kaplan_meier_curve((SELECT rfm.kaplan_meier(d, d < 50) FROM generate_series(1, 99) d));';
-- 52_gateway: what became of the customers who came by a product, brand or category.

CREATE TYPE rfm.gateway_row AS (
    name                  text,
    customers             bigint,
    vip_customers         bigint,
    promising_customers   bigint,
    vip_revenue           numeric,
    revenue               numeric,
    revenue_squares       numeric,
    revenue_after         numeric,
    revenue_after_squares numeric,
    rate                  double precision,
    rate_low              double precision,
    rate_high             double precision
);
COMMENT ON TYPE rfm.gateway_row IS 'Internal. The customers of one name; what gateway returns.';
COMMENT ON COLUMN rfm.gateway_row.name IS 'The name.';
COMMENT ON COLUMN rfm.gateway_row.customers IS 'Number of customers.';
COMMENT ON COLUMN rfm.gateway_row.vip_customers IS 'Of them those of stage vip.';
COMMENT ON COLUMN rfm.gateway_row.promising_customers IS 'Of them those of stage promising.';
COMMENT ON COLUMN rfm.gateway_row.vip_revenue IS 'Sum of the revenue of those of stage vip, scale 4. NULL: there are none.';
COMMENT ON COLUMN rfm.gateway_row.revenue IS 'Sum of their revenue, scale 4.';
COMMENT ON COLUMN rfm.gateway_row.revenue_squares IS 'Sum of the squares of their revenue, scale 8.';
COMMENT ON COLUMN rfm.gateway_row.revenue_after IS 'Sum of their revenue_after, scale 4.';
COMMENT ON COLUMN rfm.gateway_row.revenue_after_squares IS 'Sum of the squares of their revenue_after, scale 8.';
COMMENT ON COLUMN rfm.gateway_row.rate IS 'Share 0-1 with the event within 365 days (Kaplan-Meier). NULL: nobody was watched that long.';
COMMENT ON COLUMN rfm.gateway_row.rate_low IS 'Lower 95 percent bound (log-log). NULL: undefined.';
COMMENT ON COLUMN rfm.gateway_row.rate_high IS 'Upper 95 percent bound (log-log). NULL: undefined.';

CREATE FUNCTION rfm.gateway_accum(state internal, name text, stage text, revenue numeric, revenue_after numeric, days integer, event boolean, minimum bigint) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_accum';
CREATE FUNCTION rfm.gateway_combine(state internal, other internal) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_combine';
CREATE FUNCTION rfm.gateway_serialize(state internal) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_serialize';
CREATE FUNCTION rfm.gateway_deserialize(bytes bytea, dummy internal) RETURNS internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_deserialize';
CREATE FUNCTION rfm.gateway_final(state internal) RETURNS rfm.gateway_row[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_gateway_final';
COMMENT ON FUNCTION rfm.gateway_accum(internal, text, text, numeric, numeric, integer, boolean, bigint) IS 'Internal. Transition function of gateway.';
COMMENT ON FUNCTION rfm.gateway_combine(internal, internal) IS 'Internal. Combine function of gateway.';
COMMENT ON FUNCTION rfm.gateway_serialize(internal) IS 'Internal. Serialization of the state of gateway.';
COMMENT ON FUNCTION rfm.gateway_deserialize(bytea, internal) IS 'Internal. Deserialization of the state of gateway.';
COMMENT ON FUNCTION rfm.gateway_final(internal) IS 'Internal. Final function of gateway.';

CREATE AGGREGATE rfm.gateway(name text, stage text, revenue numeric, revenue_after numeric, days integer, event boolean, minimum bigint) (
    SFUNC = rfm.gateway_accum, STYPE = internal, SSPACE = 65536,
    FINALFUNC = rfm.gateway_final, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = rfm.gateway_combine, SERIALFUNC = rfm.gateway_serialize, DESERIALFUNC = rfm.gateway_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE rfm.gateway(text, text, numeric, numeric, integer, boolean, bigint) IS
'Internal. The customers, one row each, by name: their number, those of stage vip and promising, exact sums of money and of its squares, and the share of them with the event within 365 days. A row for every name with at least minimum customers (NULL: 1; the same in all rows), ordered by the bytes of the name. Customers with a NULL name are left out, those with NULL days or event are not in that share, NULL money counts as 0; without such names the result is NULL. Money is rounded to 4 decimals; NaN, infinity, negative days and sums that do not fit are errors.';
-- 60_model: a model is a schema; its settings, and the calls that make, change and drop it.

CREATE TYPE rfm.settings AS (
    order_lines         regclass,
    accounts            regclass,
    products            regclass,
    visits              regclass,
    storage             text,
    as_of               timestamp,
    time_zone           text,
    lookback            interval,
    excluded_statuses   text[],
    dimensions          text[],
    rules               text,
    build_memory        text,
    recency_cutoffs     numeric[],
    recency_fractions   numeric[],
    frequency_cutoffs   numeric[],
    frequency_fractions numeric[],
    monetary_cutoffs    numeric[],
    monetary_fractions  numeric[]
);
COMMENT ON TYPE rfm.settings IS 'The settings of a model, the one row of its table settings. NULL stands for the default.';
COMMENT ON COLUMN rfm.settings.order_lines IS 'Relation of the order lines: customer_id, order_id, ordered_at, amount [, status] [, product_id] [, voided_at].';
COMMENT ON COLUMN rfm.settings.accounts IS 'Relation of the accounts: customer_id [, channel] [, signed_up_at] [, the columns in dimensions]. NULL: none.';
COMMENT ON COLUMN rfm.settings.products IS 'Relation of the products: product_id, category [, brand] [, name] [, cost]. NULL: none.';
COMMENT ON COLUMN rfm.settings.visits IS 'Relation of the visits: customer_id, session_id, visited_at. NULL: none.';
COMMENT ON COLUMN rfm.settings.storage IS 'table (stored, a refresh writes the differences), materialized (materialised views) or view (always live). Default table.';
COMMENT ON COLUMN rfm.settings.as_of IS 'Local time up to which lines count. NULL: the moment of the refresh, or of the query with storage view.';
COMMENT ON COLUMN rfm.settings.time_zone IS 'Time zone of local dates, and of timestamp and date columns. Default UTC.';
COMMENT ON COLUMN rfm.settings.lookback IS 'Length of the window before as_of that scores and revenue count, 1 day to 1000 years. NULL: all time.';
COMMENT ON COLUMN rfm.settings.excluded_statuses IS 'Statuses of lines that do not count. Default {Cancelled,Returned}.';
COMMENT ON COLUMN rfm.settings.dimensions IS 'Columns of accounts that customers and segment_breakdown show. Default {}.';
COMMENT ON COLUMN rfm.settings.rules IS 'The segment rules that segment_rules was filled with: lifecycle or classic. Default lifecycle.';
COMMENT ON COLUMN rfm.settings.build_memory IS 'Memory that building the profiles may take, for example 512MB; at least 1MB. Default 1GB.';
COMMENT ON COLUMN rfm.settings.recency_cutoffs IS 'Fixed cut points of recency in days, strictly ascending. Default {90,180,365,545}.';
COMMENT ON COLUMN rfm.settings.recency_fractions IS 'Cut points of recency as percentiles of the customers, ascending shares. NULL: fixed ones.';
COMMENT ON COLUMN rfm.settings.frequency_cutoffs IS 'Fixed cut points of the number of orders, strictly ascending. Default {0,1,2,3}.';
COMMENT ON COLUMN rfm.settings.frequency_fractions IS 'Cut points of the number of orders as percentiles of the customers, ascending shares. NULL: fixed ones.';
COMMENT ON COLUMN rfm.settings.monetary_cutoffs IS 'Fixed cut points of revenue, strictly ascending. NULL: percentiles.';
COMMENT ON COLUMN rfm.settings.monetary_fractions IS 'Cut points of revenue as percentiles of the customers, ascending shares. Default {0.25,0.50,0.75,0.95}.';

CREATE VIEW rfm.models AS
    SELECT n.nspname::text AS model,
           pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
           CASE p.relkind WHEN 'r' THEN 'table' WHEN 'm' THEN 'materialized' ELSE 'view' END AS storage
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    LEFT JOIN pg_catalog.pg_class p ON p.relnamespace OPERATOR(pg_catalog.=) n.oid AND p.relname OPERATOR(pg_catalog.=) 'profiles'
    WHERE c.reloftype OPERATOR(pg_catalog.=) 'rfm.settings'::pg_catalog.regtype AND c.relname OPERATOR(pg_catalog.=) 'settings';
COMMENT ON VIEW rfm.models IS 'The models of this database, one row each.';
COMMENT ON COLUMN rfm.models.model IS 'Name of the model, which is its schema.';
COMMENT ON COLUMN rfm.models.owner IS 'Role that owns the model.';
COMMENT ON COLUMN rfm.models.storage IS 'table, materialized or view.';

-- settings

CREATE FUNCTION rfm.check_axis(axis text, cutoffs numeric[], fractions numeric[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    numbers numeric[] := coalesce(cutoffs, fractions);
    name    text := axis || CASE WHEN cutoffs IS NULL THEN '_fractions' ELSE '_cutoffs' END;
    problem text;
BEGIN
    IF cutoffs IS NOT NULL AND fractions IS NOT NULL THEN
        RAISE EXCEPTION '%_cutoffs and %_fractions are both given', axis, axis
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give fixed cut points or percentiles, not both.';
    END IF;
    IF numbers IS NULL THEN
        RETURN;
    END IF;
    problem := CASE
        WHEN array_ndims(numbers) IS DISTINCT FROM 1 OR cardinality(numbers) > 8 THEN 'must be a list of one to eight numbers'
        WHEN array_position(numbers, NULL) IS NOT NULL THEN 'must not contain NULL'
        WHEN EXISTS (SELECT FROM unnest(numbers) n WHERE n IN ('NaN', 'Infinity', '-Infinity')) THEN 'must be finite numbers'
        WHEN EXISTS (SELECT FROM unnest(numbers) WITH ORDINALITY a(n, i) JOIN unnest(numbers) WITH ORDINALITY b(n, i)
                     ON b.i = a.i + 1 WHERE b.n <= a.n) THEN 'must ascend strictly'
        WHEN cutoffs IS NULL AND EXISTS (SELECT FROM unnest(numbers) n WHERE n < 0 OR n > 1) THEN 'must lie between 0 and 1' END;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '% %: %', name, problem, numbers
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = CASE WHEN cutoffs IS NULL THEN 'For example {0.2,0.4,0.6,0.8} for five levels.'
                              ELSE 'For example {90,180,365,545} for five levels.' END;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_axis(text, numeric[], numeric[]) IS 'Internal. Refuses cut points or fractions of an axis that cannot be used.';

CREATE FUNCTION rfm.check_list(setting text, list text[], hint text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF array_ndims(list) > 1 THEN
        RAISE EXCEPTION '% must be a plain list: %', setting, list USING ERRCODE = 'array_subscript_error', HINT = hint;
    ELSIF array_position(list, NULL) IS NOT NULL THEN
        RAISE EXCEPTION '% must not contain NULL: %', setting, list USING ERRCODE = 'null_value_not_allowed', HINT = hint;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_list(text, text[], text) IS 'Internal. Refuses a list in the settings that is nested or holds NULL.';

CREATE FUNCTION rfm.resolve_settings(settings rfm.settings) RETURNS rfm.settings
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    s.storage := coalesce(s.storage, 'table');
    s.time_zone := coalesce(s.time_zone, 'UTC');
    s.excluded_statuses := coalesce(s.excluded_statuses, '{Cancelled,Returned}');
    s.dimensions := coalesce(s.dimensions, '{}');
    s.rules := coalesce(s.rules, 'lifecycle');
    s.build_memory := coalesce(s.build_memory, '1GB');

    IF s.order_lines IS NULL THEN
        RAISE EXCEPTION 'order_lines must be given' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name the table or view of your order lines, for example order_lines => ''public.order_lines''.';
    END IF;
    IF s.storage NOT IN ('table', 'materialized', 'view') THEN
        RAISE EXCEPTION 'storage "%" is not known', s.storage USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Storage is table, materialized or view.';
    END IF;
    PERFORM rfm.local_date(now(), s.time_zone);
    IF upper(s.time_zone) NOT IN ('UTC', 'GMT') AND EXISTS (SELECT FROM pg_timezone_abbrevs WHERE abbrev = upper(s.time_zone)) THEN
        RAISE EXCEPTION 'time zone "%" is an abbreviation', s.time_zone USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It means one offset all year to some functions and daylight saving to others: name a region, for example Europe/Berlin.';
    END IF;
    IF NOT isfinite(s.as_of) THEN
        RAISE EXCEPTION 'as_of must be finite' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave it out for the moment of the refresh.';
    END IF;
    IF s.lookback < interval '1 day' OR s.lookback > interval '1000 years' THEN
        RAISE EXCEPTION 'lookback must be 1 day to 1000 years, not %', s.lookback USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name the unit, for example lookback => ''2 years''; a number alone means seconds.';
    END IF;
    PERFORM rfm.check_list('excluded_statuses', s.excluded_statuses,
        'For example {Cancelled,Returned}; {} excludes none, and lines without status always count.');
    PERFORM rfm.check_list('dimensions', s.dimensions, 'For example {country,gender}, columns of the relation accounts.');
    IF s.rules NOT IN ('lifecycle', 'classic') THEN
        RAISE EXCEPTION 'rules "%" are not known', s.rules USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Start with lifecycle or classic, then edit the table segment_rules of the model.';
    END IF;
    BEGIN
        IF pg_size_bytes(s.build_memory) < pg_size_bytes('1MB') THEN
            RAISE invalid_parameter_value;
        END IF;
    EXCEPTION WHEN invalid_parameter_value OR numeric_value_out_of_range THEN
        RAISE EXCEPTION 'build_memory "%" is not a size of at least 1MB', s.build_memory
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example build_memory => ''512MB''.';
    END;
    PERFORM rfm.check_axis('recency', s.recency_cutoffs, s.recency_fractions);
    PERFORM rfm.check_axis('frequency', s.frequency_cutoffs, s.frequency_fractions);
    PERFORM rfm.check_axis('monetary', s.monetary_cutoffs, s.monetary_fractions);
    IF s.recency_fractions IS NULL THEN
        s.recency_cutoffs := coalesce(s.recency_cutoffs, '{90,180,365,545}');
    END IF;
    IF s.frequency_fractions IS NULL THEN
        s.frequency_cutoffs := coalesce(s.frequency_cutoffs, '{0,1,2,3}');
    END IF;
    IF s.monetary_cutoffs IS NULL THEN
        s.monetary_fractions := coalesce(s.monetary_fractions, '{0.25,0.50,0.75,0.95}');
    END IF;
    RETURN s;
END $$;
COMMENT ON FUNCTION rfm.resolve_settings(rfm.settings) IS 'Internal. The settings with defaults in place of NULL; settings that cannot be used are errors.';

CREATE FUNCTION rfm.require_model(model text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    model_owner name := (SELECT m.owner FROM rfm.models m WHERE m.model = require_model.model);
BEGIN
    IF model_owner IS NULL THEN
        RAISE EXCEPTION 'model "%" does not exist', model USING ERRCODE = 'invalid_schema_name',
            HINT = 'SELECT model FROM rfm.models lists the models; rfm.create_model makes one.';
    END IF;
    IF NOT pg_has_role(model_owner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of model "%"', model USING ERRCODE = 'insufficient_privilege',
            HINT = format('Ask %s, who owns it.', quote_ident(model_owner));
    END IF;
END $$;
COMMENT ON FUNCTION rfm.require_model(text) IS 'Internal. Refuses the name of a model that does not exist or that the caller does not own.';

CREATE FUNCTION rfm.model_settings(model text) RETURNS rfm.settings
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings;
    n bigint;
BEGIN
    PERFORM rfm.require_model(model);
    EXECUTE format('SELECT * FROM %I.settings', model) INTO s;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n = 0 THEN
        RAISE EXCEPTION 'model "%" has lost its settings', model USING ERRCODE = 'no_data_found',
            HINT = format('Insert a row into %I.settings; order_lines must be given, NULL stands for a default elsewhere.', model);
    END IF;
    RETURN s;
END $$;
COMMENT ON FUNCTION rfm.model_settings(text) IS 'Internal. The settings of a model as stored, NULL for defaults.';

-- making a model

CREATE FUNCTION rfm.check_model_name(model text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(model, '') = '' OR octet_length(model) > 63 THEN
        RAISE EXCEPTION 'a model needs a name of 1 to 63 bytes' USING ERRCODE = 'invalid_name',
            HINT = 'Choose a name such as shop; it becomes a schema.';
    END IF;
    IF strpos(lower(model), 'pg_') > 0 OR model IN ('rfm', 'public', 'information_schema') THEN
        RAISE EXCEPTION 'a model cannot be called "%"', model USING ERRCODE = 'reserved_name',
            HINT = 'Choose a name such as shop; BI tools hide schemas with pg_ in their name.';
    END IF;
    IF EXISTS (SELECT FROM rfm.models m WHERE m.model = check_model_name.model) THEN
        RAISE EXCEPTION 'model "%" already exists', model USING ERRCODE = 'duplicate_schema',
            HINT = 'Change it with rfm.configure_model, or drop it with rfm.drop_model first.';
    END IF;
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = model) THEN
        RAISE EXCEPTION 'schema "%" already exists', model USING ERRCODE = 'duplicate_schema',
            HINT = 'A model gets a schema of its own: choose another name.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_model_name(text) IS 'Internal. Refuses a name that a new model cannot have.';

CREATE FUNCTION rfm.fill_rules(model text, rules text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('DELETE FROM %I.segment_rules', model);
    EXECUTE format('INSERT INTO %I.segment_rules SELECT * FROM rfm.default_rules($1)', model) USING rules;
END $$;
COMMENT ON FUNCTION rfm.fill_rules(text, text) IS 'Internal. Fills segment_rules of a model with a set of rules.';

-- Everything of a model in its schema, which exists; the contract relations exist, too.
CREATE FUNCTION rfm.make_model(model text, settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET jit = off AS $$
DECLARE
    s    rfm.settings := rfm.resolve_settings(settings);
    hint text;
BEGIN
    PERFORM rfm.check_contract(s);
    EXECUTE format('CREATE TABLE %I.settings OF rfm.settings (order_lines WITH OPTIONS NOT NULL)', model);
    EXECUTE format('CREATE UNIQUE INDEX settings_one_row ON %I.settings ((true))', model);
    EXECUTE format('INSERT INTO %I.settings SELECT ($1).*', model) USING settings;
    EXECUTE format('CREATE TABLE %I.segment_rules OF rfm.segment_rule ('
        ' rule_order PRIMARY KEY, segment WITH OPTIONS NOT NULL, stage WITH OPTIONS NOT NULL,'
        ' r_min WITH OPTIONS NOT NULL, r_max WITH OPTIONS NOT NULL, f_min WITH OPTIONS NOT NULL, f_max WITH OPTIONS NOT NULL,'
        ' m_min WITH OPTIONS NOT NULL, m_max WITH OPTIONS NOT NULL,'
        ' CONSTRAINT "segment must have 1 to 63 bytes" CHECK (octet_length(segment) BETWEEN 1 AND 63),'
        ' CONSTRAINT "stage must be vip, loyal, promising, attention, risk or other"'
        ' CHECK (stage IN (''vip'', ''loyal'', ''promising'', ''attention'', ''risk'', ''other'')),'
        ' CONSTRAINT "r_min to r_max must be scores from 1 to 9" CHECK (1 <= r_min AND r_min <= r_max AND r_max <= 9),'
        ' CONSTRAINT "f_min to f_max must be scores from 1 to 9" CHECK (1 <= f_min AND f_min <= f_max AND f_max <= 9),'
        ' CONSTRAINT "m_min to m_max must be scores from 1 to 9" CHECK (1 <= m_min AND m_min <= m_max AND m_max <= 9))', model);
    PERFORM rfm.fill_rules(model, s.rules);
    EXECUTE format('CREATE TABLE %I.compiled_views (name name PRIMARY KEY, position int NOT NULL, query text NOT NULL)', model);
    EXECUTE format('CREATE TABLE %I.refresh_log (refresh_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,'
        ' started_at timestamptz NOT NULL, finished_at timestamptz, pid int, mode text NOT NULL, reason text,'
        ' customers bigint, changed bigint, passes int, as_of timestamptz, wait_seconds float8, views_seconds float8, profiles_seconds float8,'
        ' snapshot_seconds float8, summaries_seconds float8, history_seconds float8, recency_cutoffs text, frequency_cutoffs text, monetary_cutoffs text,'
        ' settings text, rules text, error text)', model);
    PERFORM rfm.make_campaigns(model);
    BEGIN
        PERFORM rfm.report_lines(s);
        PERFORM rfm.report_missing(s);
        PERFORM rfm.report_settings(s);
        PERFORM rfm.compile_model(model);
        PERFORM rfm.build_model(model);
    EXCEPTION WHEN OTHERS THEN
        -- an error of a relation that is read, not one of ours, which say what to do
        GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
        IF hint <> '' THEN
            RAISE;
        END IF;
        RAISE EXCEPTION 'model "%" could not be built: %', model, SQLERRM USING ERRCODE = SQLSTATE,
            HINT = format('It failed while reading %s: correct the cause there.',
                          concat_ws(', ', s.order_lines, s.accounts, s.products, s.visits));
    END;
END $$;
COMMENT ON FUNCTION rfm.make_model(text, rfm.settings) IS 'Internal. Makes everything of a model in its schema and builds it.';

CREATE FUNCTION rfm.report_missing(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF settings.accounts IS NULL THEN
        RAISE NOTICE 'without accounts there is no channel, no sign-up time, no dimension and no count of prospects; left out: channel_maturity, first_purchase_timing';
    END IF;
    IF settings.products IS NULL THEN
        RAISE NOTICE 'without products there is no first category and no margin; left out: gateway_products, gateway_moments';
    END IF;
    IF settings.visits IS NULL THEN
        RAISE NOTICE 'without visits there is no activity level, and no audience for the inactive; left out: promising_activity';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_missing(rfm.settings) IS 'Internal. Tells by NOTICE what a new model leaves out for want of a relation.';

CREATE FUNCTION rfm.report_settings(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF settings.rules = 'lifecycle' AND (settings.recency_fractions IS NOT NULL OR settings.frequency_fractions IS NOT NULL
            OR settings.frequency_cutoffs <> '{0,1,2,3}'::numeric[]) THEN
        RAISE NOTICE 'the lifecycle rules are written for fixed cut points: f = 3 no longer means one order'
            USING HINT = 'Adapt the table segment_rules of the model, or use rules => ''classic''.';
    END IF;
    IF settings.rules = 'classic' AND (settings.recency_fractions IS NULL OR settings.frequency_fractions IS NULL
            OR settings.monetary_fractions IS DISTINCT FROM '{0.2,0.4,0.6,0.8}'::numeric[]) THEN
        RAISE NOTICE 'the classic rules are written for quintiles'
            USING HINT = 'Set recency_fractions, frequency_fractions and monetary_fractions to {0.2,0.4,0.6,0.8}.';
    END IF;
    IF 5 <> ANY (rfm.levels(settings)) THEN
        RAISE NOTICE 'the rules that come with the extension are written for five levels on each axis'
            USING HINT = 'Adapt the table segment_rules of the model: scores that no rule covers are Others.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_settings(rfm.settings) IS 'Internal. Tells by NOTICE where the settings make the rules hard to read.';

CREATE FUNCTION rfm.levels(settings rfm.settings) RETURNS int[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[pg_catalog.cardinality(coalesce((settings).recency_cutoffs, (settings).recency_fractions)) OPERATOR(pg_catalog.+) 1,
                 pg_catalog.cardinality(coalesce((settings).frequency_cutoffs, (settings).frequency_fractions)) OPERATOR(pg_catalog.+) 1,
                 pg_catalog.cardinality(coalesce((settings).monetary_cutoffs, (settings).monetary_fractions)) OPERATOR(pg_catalog.+) 1];
COMMENT ON FUNCTION rfm.levels(rfm.settings) IS 'Internal. The numbers of levels of recency, frequency and monetary.';

CREATE FUNCTION rfm.create_model(model text, order_lines regclass, accounts regclass DEFAULT NULL,
        products regclass DEFAULT NULL, visits regclass DEFAULT NULL,
        storage text DEFAULT NULL, as_of timestamp DEFAULT NULL, time_zone text DEFAULT NULL,
        lookback interval DEFAULT NULL, excluded_statuses text[] DEFAULT NULL, dimensions text[] DEFAULT NULL,
        rules text DEFAULT NULL, build_memory text DEFAULT NULL,
        recency_cutoffs numeric[] DEFAULT NULL, recency_fractions numeric[] DEFAULT NULL,
        frequency_cutoffs numeric[] DEFAULT NULL, frequency_fractions numeric[] DEFAULT NULL,
        monetary_cutoffs numeric[] DEFAULT NULL, monetary_fractions numeric[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settings rfm.settings;
BEGIN
    PERFORM rfm.check_model_name(model);
    EXECUTE format('CREATE SCHEMA %I', model);
    settings := ROW(order_lines, accounts, products, visits, storage, as_of, time_zone, lookback,
        excluded_statuses, dimensions, rules, build_memory, recency_cutoffs, recency_fractions,
        frequency_cutoffs, frequency_fractions, monetary_cutoffs, monetary_fractions)::rfm.settings;
    PERFORM rfm.make_model(model, settings);
END $$;
COMMENT ON FUNCTION rfm.create_model(text, regclass, regclass, regclass, regclass, text, timestamp, text, interval, text[], text[], text, text, numeric[], numeric[], numeric[], numeric[], numeric[], numeric[]) IS
    'Makes a model: a schema of this name, owned by the caller, with the whole analysis of the order lines (customer_id, order_id, ordered_at, amount [, status] [, product_id] [, voided_at]). Reports by NOTICE what it found in them. Every other argument may be NULL for its default: \d+ rfm.settings tells the columns of the other relations, and each setting with its default. Whatever is wrong is an error, and nothing is left behind. Example: SELECT rfm.create_model(''shop'', ''my_order_lines'', accounts => ''my_accounts'', lookback => ''2 years'');';

CREATE FUNCTION rfm.create_thelook_model(model text, source_schema text DEFAULT 'public',
        storage text DEFAULT NULL, as_of timestamp DEFAULT NULL, time_zone text DEFAULT NULL,
        lookback interval DEFAULT NULL, excluded_statuses text[] DEFAULT NULL, dimensions text[] DEFAULT NULL,
        rules text DEFAULT NULL, build_memory text DEFAULT NULL,
        recency_cutoffs numeric[] DEFAULT NULL, recency_fractions numeric[] DEFAULT NULL,
        frequency_cutoffs numeric[] DEFAULT NULL, frequency_fractions numeric[] DEFAULT NULL,
        monetary_cutoffs numeric[] DEFAULT NULL, monetary_fractions numeric[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    missing  text;
    settings rfm.settings;
BEGIN
    source_schema := coalesce(source_schema, 'public');
    missing := (SELECT string_agg(t, ', ') FROM unnest('{order_items,users,products,events}'::text[]) t
                WHERE to_regclass(format('%I.%I', source_schema, t)) IS NULL);
    PERFORM rfm.check_model_name(model);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'schema "%" has no table %', source_schema, missing USING ERRCODE = 'undefined_table',
            HINT = 'Give the schema of the thelook tables as source_schema, or use rfm.create_model for other tables.';
    END IF;
    EXECUTE format('CREATE SCHEMA %I', model);
    BEGIN
        EXECUTE format('CREATE VIEW %I.order_lines AS SELECT user_id AS customer_id, order_id, created_at AS ordered_at,'
            ' sale_price AS amount, status, product_id FROM %I.order_items', model, source_schema);
        EXECUTE format('CREATE VIEW %I.accounts AS SELECT id AS customer_id, traffic_source AS channel, created_at AS signed_up_at,'
            ' age, gender, country, state, city FROM %I.users', model, source_schema);
        EXECUTE format('CREATE VIEW %I.products AS SELECT id AS product_id, category, brand, name, cost FROM %I.products',
            model, source_schema);
        EXECUTE format('CREATE VIEW %I.visits AS SELECT user_id AS customer_id, session_id, created_at AS visited_at'
            ' FROM %I.events WHERE user_id IS NOT NULL', model, source_schema);
    EXCEPTION WHEN undefined_column THEN
        RAISE EXCEPTION 'the tables of schema "%" are not those of thelook: %', source_schema, SQLERRM USING ERRCODE = 'undefined_column',
            HINT = 'Use rfm.create_model for other tables.';
    END;
    settings := ROW(format('%I.order_lines', model)::regclass, format('%I.accounts', model)::regclass,
        format('%I.products', model)::regclass, format('%I.visits', model)::regclass, storage, as_of, time_zone, lookback,
        excluded_statuses, coalesce(dimensions, '{country,gender}'), rules, build_memory, recency_cutoffs, recency_fractions,
        frequency_cutoffs, frequency_fractions, monetary_cutoffs, monetary_fractions)::rfm.settings;
    PERFORM rfm.make_model(model, settings);
    -- so that drop_model knows them
    EXECUTE format('INSERT INTO %I.compiled_views SELECT name, -1, ''contract view'''
        ' FROM unnest(''{order_lines,accounts,products,visits}''::name[]) name', model);
END $$;
COMMENT ON FUNCTION rfm.create_thelook_model(text, text, text, timestamp, text, interval, text[], text[], text, text, numeric[], numeric[], numeric[], numeric[], numeric[], numeric[]) IS
    'Makes a model of the thelook e-commerce tables (order_items, users, products, events) in source_schema: writes the four contract views into the schema of the model, then as create_model. Dimensions are {country,gender} by default. Example: SELECT rfm.create_thelook_model(''shop'', as_of => ''2024-01-21'');';

-- changing and dropping a model

-- What reads or writes the relations of a model may set off code of its owner, triggers for example: it has his rights only.
CREATE FUNCTION rfm.as_owner(model text, command text, settings rfm.settings DEFAULT NULL, names text[] DEFAULT NULL) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'rfm_as_owner';
COMMENT ON FUNCTION rfm.as_owner(text, text, rfm.settings, text[]) IS
    'Internal. Runs a command, with the other arguments as its $1 to $3, with the rights of the owner of the model, in a security-restricted operation. Who does not have these rights is refused.';

CREATE FUNCTION rfm.rows_as_owner(model text, query text, VARIADIC arguments text[] DEFAULT '{}') RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'rfm_rows_as_owner';
COMMENT ON FUNCTION rfm.rows_as_owner(text, text, text[]) IS
    'Internal. The rows of a query, with the arguments, as text, as its $1, $2 ..., computed with the rights of the owner of the model in a security-restricted operation. Who does not have these rights is refused.';

CREATE FUNCTION rfm.change_settings(model text, change rfm.settings, unset text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := rfm.model_settings(model);
    old       rfm.settings := s;
    old_rules text := coalesce(s.rules, 'lifecycle');
    new_rules text;
    edited    boolean;
    name      text;
BEGIN
    PERFORM rfm.check_axis('recency', change.recency_cutoffs, change.recency_fractions);
    PERFORM rfm.check_axis('frequency', change.frequency_cutoffs, change.frequency_fractions);
    PERFORM rfm.check_axis('monetary', change.monetary_cutoffs, change.monetary_fractions);
    FOREACH name IN ARRAY coalesce(unset, '{}') LOOP
        CASE name
            WHEN 'storage' THEN s.storage := NULL;
            WHEN 'as_of' THEN s.as_of := NULL;
            WHEN 'time_zone' THEN s.time_zone := NULL;
            WHEN 'lookback' THEN s.lookback := NULL;
            WHEN 'excluded_statuses' THEN s.excluded_statuses := NULL;
            WHEN 'dimensions' THEN s.dimensions := NULL;
            WHEN 'rules' THEN s.rules := NULL;
            WHEN 'build_memory' THEN s.build_memory := NULL;
            WHEN 'recency_cutoffs' THEN s.recency_cutoffs := NULL;
            WHEN 'recency_fractions' THEN s.recency_fractions := NULL;
            WHEN 'frequency_cutoffs' THEN s.frequency_cutoffs := NULL;
            WHEN 'frequency_fractions' THEN s.frequency_fractions := NULL;
            WHEN 'monetary_cutoffs' THEN s.monetary_cutoffs := NULL;
            WHEN 'monetary_fractions' THEN s.monetary_fractions := NULL;
            ELSE
                RAISE EXCEPTION 'setting "%" cannot be unset', name USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'These can: storage, as_of, time_zone, lookback, excluded_statuses, dimensions, rules, build_memory,'
                        ' and _cutoffs and _fractions of recency, frequency and monetary.';
        END CASE;
    END LOOP;
    s.storage := coalesce(change.storage, s.storage);
    s.as_of := coalesce(change.as_of, s.as_of);
    s.time_zone := coalesce(change.time_zone, s.time_zone);
    s.lookback := coalesce(change.lookback, s.lookback);
    s.excluded_statuses := coalesce(change.excluded_statuses, s.excluded_statuses);
    s.dimensions := coalesce(change.dimensions, s.dimensions);
    s.rules := coalesce(change.rules, s.rules);
    s.build_memory := coalesce(change.build_memory, s.build_memory);
    IF change.recency_cutoffs IS NOT NULL OR change.recency_fractions IS NOT NULL THEN
        s.recency_cutoffs := change.recency_cutoffs;
        s.recency_fractions := change.recency_fractions;
    END IF;
    IF change.frequency_cutoffs IS NOT NULL OR change.frequency_fractions IS NOT NULL THEN
        s.frequency_cutoffs := change.frequency_cutoffs;
        s.frequency_fractions := change.frequency_fractions;
    END IF;
    IF change.monetary_cutoffs IS NOT NULL OR change.monetary_fractions IS NOT NULL THEN
        s.monetary_cutoffs := change.monetary_cutoffs;
        s.monetary_fractions := change.monetary_fractions;
    END IF;
    PERFORM rfm.check_contract(rfm.resolve_settings(s));

    new_rules := coalesce(s.rules, 'lifecycle');
    IF new_rules <> old_rules THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %1$I.segment_rules) AND EXISTS ('
            ' (TABLE %1$I.segment_rules EXCEPT SELECT * FROM rfm.default_rules($1)) UNION ALL'
            ' (SELECT * FROM rfm.default_rules($1) EXCEPT TABLE %1$I.segment_rules))', model) INTO edited USING old_rules;
        IF edited THEN
            RAISE EXCEPTION 'the segment rules of model "%" were edited and would be lost', model
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('To give them up, first DELETE FROM %I.segment_rules.', model);
        END IF;
        PERFORM rfm.fill_rules(model, new_rules);
    END IF;
    PERFORM rfm.report_settings(rfm.resolve_settings(s));
    EXECUTE format('UPDATE %I.settings SET (storage, as_of, time_zone, lookback, excluded_statuses, dimensions, rules, build_memory,'
        ' recency_cutoffs, recency_fractions, frequency_cutoffs, frequency_fractions, monetary_cutoffs, monetary_fractions) ='
        ' (SELECT $1.storage, $1.as_of, $1.time_zone, $1.lookback, $1.excluded_statuses, $1.dimensions, $1.rules, $1.build_memory,'
        ' $1.recency_cutoffs, $1.recency_fractions, $1.frequency_cutoffs, $1.frequency_fractions, $1.monetary_cutoffs, $1.monetary_fractions)',
        model) USING s;
    IF s IS DISTINCT FROM old THEN
        RAISE NOTICE 'the settings of model "%" take effect at the next refresh', model USING HINT = format('CALL rfm.refresh(%L);', model);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.change_settings(text, rfm.settings, text[]) IS 'Internal. Writes the settings that are not NULL and takes those in unset back to their default.';

CREATE FUNCTION rfm.configure_model(model text,
        storage text DEFAULT NULL, as_of timestamp DEFAULT NULL, time_zone text DEFAULT NULL,
        lookback interval DEFAULT NULL, excluded_statuses text[] DEFAULT NULL, dimensions text[] DEFAULT NULL,
        rules text DEFAULT NULL, build_memory text DEFAULT NULL,
        recency_cutoffs numeric[] DEFAULT NULL, recency_fractions numeric[] DEFAULT NULL,
        frequency_cutoffs numeric[] DEFAULT NULL, frequency_fractions numeric[] DEFAULT NULL,
        monetary_cutoffs numeric[] DEFAULT NULL, monetary_fractions numeric[] DEFAULT NULL,
        unset text[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.as_owner(model, 'SELECT rfm.change_settings($1, $2, $3)', ROW(NULL, NULL, NULL, NULL, storage, as_of, time_zone, lookback,
        excluded_statuses, dimensions, rules, build_memory, recency_cutoffs, recency_fractions,
        frequency_cutoffs, frequency_fractions, monetary_cutoffs, monetary_fractions)::rfm.settings, unset);
END $$;
COMMENT ON FUNCTION rfm.configure_model(text, text, timestamp, text, interval, text[], text[], text, text, numeric[], numeric[], numeric[], numeric[], numeric[], numeric[], text[]) IS
    'Changes the settings named and leaves the others; those in unset go back to their default. Takes effect at the next refresh. Cut points take the place of percentiles of the same axis, and the other way round. New rules replace the old ones; rules that were edited are not given up. Example: SELECT rfm.configure_model(''shop'', lookback => ''2 years'', unset => ''{as_of}'');';

CREATE FUNCTION rfm.drop_objects(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    schema_oid oid;
    strangers  text;
    made       name[];
    name       name;
    kind       "char";
    routine    regprocedure;
BEGIN
    -- waits for a refresh before it takes anything that the refresh still needs
    EXECUTE format('LOCK TABLE %I.settings IN ACCESS EXCLUSIVE MODE', model);
    schema_oid := (SELECT oid FROM pg_namespace WHERE nspname = model);
    EXECUTE format('SELECT array_agg(name ORDER BY position DESC) FROM %I.compiled_views', model) INTO made;
    made := made || '{changes,tracked,segment_changes,last_build,replaced_profiles,replaced_snapshot,refresh_log,campaigns,action_texts,compiled_views,segment_rules,settings}';

    SELECT string_agg(o.description, E'\n' ORDER BY o.description COLLATE "C") INTO strangers
    FROM pg_depend d
    CROSS JOIN LATERAL pg_describe_object(d.classid, d.objid, 0) o(description)
    LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = schema_oid
      AND NOT (c.oid IS NOT NULL AND c.relname = ANY (made))
      AND NOT (d.classid = 'pg_proc'::regclass AND d.objid = ANY (rfm.own_functions(model)::oid[]))
      AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i');
    IF strangers IS NOT NULL THEN
        RAISE EXCEPTION 'schema "%" holds objects that do not belong to the model', model
            USING ERRCODE = 'dependent_objects_still_exist', DETAIL = strangers,
                  HINT = 'Move or drop them first.';
    END IF;
    PERFORM rfm.drop_tracking(model);
    FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
        EXECUTE format('DROP FUNCTION %s', routine);
    END LOOP;
    FOREACH name IN ARRAY made LOOP
        kind := (SELECT relkind FROM pg_class WHERE relnamespace = schema_oid AND relname = name);
        IF kind IS NOT NULL THEN
            EXECUTE format('DROP %s %I.%I', CASE kind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                           model, name);
        END IF;
    END LOOP;
    EXECUTE format('DROP SCHEMA %I', model);
END $$;
COMMENT ON FUNCTION rfm.drop_objects(text) IS 'Internal. Drops a schema with what a model made in it; refused while it holds anything else.';

CREATE FUNCTION rfm.drop_model(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.as_owner(model, 'SELECT rfm.drop_objects($1)');
    PERFORM rfm.forget_jobs(model);
END $$;
COMMENT ON FUNCTION rfm.drop_model(text) IS
    'Drops a model and its schema. Refused while the schema holds anything the model did not make, or anything elsewhere depends on the model. Ends what rfm.schedule began. Your own tables only lose the triggers of rfm.track_changes. Example: SELECT rfm.drop_model(''shop'');';
-- 65_contract: the relations a model reads. Nothing else touches them.

-- what the columns are

CREATE FUNCTION rfm.base_type(type oid) RETURNS regtype
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base oid := type;
    next oid;
BEGIN
    LOOP
        next := (SELECT typbasetype FROM pg_type WHERE oid = base AND typtype = 'd');
        EXIT WHEN next IS NULL;
        base := next;
    END LOOP;
    RETURN base;
END $$;
COMMENT ON FUNCTION rfm.base_type(oid) IS 'Internal. The type below a domain, or the type itself.';

CREATE FUNCTION rfm.column_type(relation regclass, column_name text) RETURNS regtype
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT rfm.base_type(a.atttypid) FROM pg_catalog.pg_attribute a
            WHERE a.attrelid OPERATOR(pg_catalog.=) relation AND a.attname OPERATOR(pg_catalog.=) column_name::pg_catalog.name
              AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped);
COMMENT ON FUNCTION rfm.column_type(regclass, text) IS 'Internal. The type of a column below domains; NULL when there is no such column.';

CREATE FUNCTION rfm.check_column(relation regclass, column_name text, kind text, optional boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actual     regtype := rfm.column_type(relation, column_name);
    expected text := CASE kind
        WHEN 'id' THEN 'smallint, integer, bigint, uuid, text or varchar'
        WHEN 'time' THEN 'timestamptz, timestamp or date'
        WHEN 'amount' THEN 'numeric, an integer type, real or double precision'
        WHEN 'text' THEN 'text, or a type that reads as text' END;
BEGIN
    IF actual IS NULL AND NOT optional THEN
        RAISE EXCEPTION 'relation % has no column %', relation, column_name USING ERRCODE = 'undefined_column',
            HINT = format('Expected is %s of type %s. Name a view that gives your columns the standard names: SELECT ... AS %1$s.',
                          column_name, expected);
    END IF;
    IF NOT (CASE kind
        WHEN 'id' THEN actual IN ('int2'::regtype, 'int4', 'int8', 'uuid', 'text', 'varchar')
        WHEN 'time' THEN actual IN ('timestamptz'::regtype, 'timestamp', 'date')
        WHEN 'amount' THEN actual IN ('numeric'::regtype, 'int2', 'int4', 'int8', 'float4', 'float8')
        WHEN 'text' THEN (SELECT typcategory IN ('S', 'E', 'N', 'B') FROM pg_type WHERE oid = actual) END) THEN
        RAISE EXCEPTION 'column % of relation % has type %', column_name, relation, actual USING ERRCODE = 'datatype_mismatch',
            HINT = format('Expected is %s. Cast it in a view.', expected);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_column(regclass, text, text, boolean) IS
    'Internal. Refuses a column of a contract relation that is missing or has the wrong type. Kinds: id, time, amount, text.';

CREATE FUNCTION rfm.check_same_id(relation regclass, column_name text, other regclass, other_column text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actual       regtype := rfm.column_type(relation, column_name);
    other_type regtype := rfm.column_type(other, other_column);
BEGIN
    -- integers of different width are one type to a join, and so are text and varchar
    IF (SELECT typcategory FROM pg_type WHERE oid = actual) <> (SELECT typcategory FROM pg_type WHERE oid = other_type) THEN
        RAISE EXCEPTION 'column % of relation % has type %, but % of % has type %',
            column_name, relation, actual, other_column, other, other_type USING ERRCODE = 'datatype_mismatch',
            HINT = 'An id must have one type in all relations: cast one of them in a view.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_same_id(regclass, text, regclass, text) IS 'Internal. Refuses two columns of one id with types that cannot be joined.';

CREATE FUNCTION rfm.check_relation(relation regclass, role text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class := (SELECT c FROM pg_class c WHERE c.oid = relation);
BEGIN
    IF class.oid IS NULL THEN
        RAISE EXCEPTION '%: relation with OID % does not exist', role, relation::oid USING ERRCODE = 'undefined_table',
            HINT = format('Set %s in the table settings of the model to a relation that exists, or drop the model.', role);
    ELSIF class.relkind NOT IN ('r', 'v', 'm', 'f', 'p') THEN
        RAISE EXCEPTION '%: % is not a table or view', role, relation USING ERRCODE = 'wrong_object_type',
            HINT = 'Name a table or a view.';
    ELSIF class.relpersistence = 't' THEN
        RAISE EXCEPTION '%: % is temporary', role, relation USING ERRCODE = 'wrong_object_type',
            HINT = 'A model outlives the session: name a permanent table or view.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_relation(regclass, text) IS 'Internal. Refuses what is no permanent table or view.';

CREATE FUNCTION rfm.check_contract(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    dimension text;
BEGIN
    PERFORM rfm.check_relation(s.order_lines, 'order_lines');
    PERFORM rfm.check_column(s.order_lines, 'customer_id', 'id');
    PERFORM rfm.check_column(s.order_lines, 'order_id', 'id');
    PERFORM rfm.check_column(s.order_lines, 'ordered_at', 'time');
    PERFORM rfm.check_column(s.order_lines, 'amount', 'amount');
    PERFORM rfm.check_column(s.order_lines, 'status', 'text', true);
    PERFORM rfm.check_column(s.order_lines, 'product_id', 'id', true);
    PERFORM rfm.check_column(s.order_lines, 'voided_at', 'time', true);

    IF s.accounts IS NOT NULL THEN
        PERFORM rfm.check_relation(s.accounts, 'accounts');
        PERFORM rfm.check_column(s.accounts, 'customer_id', 'id');
        PERFORM rfm.check_column(s.accounts, 'channel', 'text', true);
        PERFORM rfm.check_column(s.accounts, 'signed_up_at', 'time', true);
        PERFORM rfm.check_same_id(s.accounts, 'customer_id', s.order_lines, 'customer_id');
    ELSIF s.dimensions <> '{}' THEN
        RAISE EXCEPTION 'dimensions are given without accounts' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Dimensions are columns of the relation accounts: name it, too.';
    END IF;
    FOREACH dimension IN ARRAY s.dimensions LOOP
        IF rfm.column_type(s.accounts, dimension) IS NULL THEN
            RAISE EXCEPTION 'relation % has no column %', s.accounts, quote_ident(dimension) USING ERRCODE = 'undefined_column',
                HINT = 'Dimensions are columns of the relation accounts.';
        END IF;
        IF dimension = ANY (rfm.own_columns()) THEN
            RAISE EXCEPTION 'a dimension cannot be called %', quote_ident(dimension) USING ERRCODE = 'duplicate_column',
                HINT = 'The view customers has a column of that name: give it another name in a view.';
        END IF;
    END LOOP;
    IF (SELECT count(DISTINCT d) <> count(*) FROM unnest(s.dimensions) d) THEN
        RAISE EXCEPTION 'a dimension is given twice: %', s.dimensions USING ERRCODE = 'duplicate_column',
            HINT = 'Name each once.';
    END IF;

    IF s.products IS NOT NULL THEN
        PERFORM rfm.check_relation(s.products, 'products');
        PERFORM rfm.check_column(s.products, 'product_id', 'id');
        PERFORM rfm.check_column(s.products, 'category', 'text');
        PERFORM rfm.check_column(s.products, 'brand', 'text', true);
        PERFORM rfm.check_column(s.products, 'name', 'text', true);
        PERFORM rfm.check_column(s.products, 'cost', 'amount', true);
        PERFORM rfm.check_column(s.order_lines, 'product_id', 'id');
        PERFORM rfm.check_same_id(s.products, 'product_id', s.order_lines, 'product_id');
    END IF;

    IF s.visits IS NOT NULL THEN
        PERFORM rfm.check_relation(s.visits, 'visits');
        PERFORM rfm.check_column(s.visits, 'customer_id', 'id');
        PERFORM rfm.check_column(s.visits, 'session_id', 'id');
        PERFORM rfm.check_column(s.visits, 'visited_at', 'time');
        PERFORM rfm.check_same_id(s.visits, 'customer_id', s.order_lines, 'customer_id');
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_contract(rfm.settings) IS
    'Internal. Refuses contract relations with missing or wrongly typed columns, naming relation, column and what was expected.';

-- how they are read

CREATE FUNCTION rfm.id_type(relation regclass, column_name text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE coalesce(rfm.column_type(relation, column_name)::text, 'bigint')
           WHEN 'character varying' THEN 'text' ELSE coalesce(rfm.column_type(relation, column_name)::text, 'bigint') END;
COMMENT ON FUNCTION rfm.id_type(regclass, text) IS 'Internal. The type in which an id column is read; bigint without it.';

CREATE FUNCTION rfm.id_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- text ids compare by bytes, whatever the database's collation
    RETURN CASE WHEN rfm.column_type(relation, column_name) IS NULL THEN 'NULL::bigint'
        ELSE format(CASE rfm.id_type(relation, column_name) WHEN 'text' THEN 'x.%I::text COLLATE "C"' ELSE 'x.%I::%s' END,
                    column_name, rfm.id_type(relation, column_name)) END;
END $$;
COMMENT ON FUNCTION rfm.id_column(regclass, text) IS 'Internal. SQL of an id column of relation x, below domains; NULL::bigint without it.';

CREATE FUNCTION rfm.text_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rfm.column_type(relation, column_name) IS NULL THEN 'NULL::text'
                ELSE format('x.%I::text COLLATE "C"', column_name) END;
END $$;
COMMENT ON FUNCTION rfm.text_column(regclass, text) IS 'Internal. SQL of a text column of relation x; NULL::text without it.';

CREATE FUNCTION rfm.instant_column(relation regclass, column_name text, time_zone text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE coalesce(rfm.column_type(relation, column_name)::text, '')
        WHEN '' THEN 'NULL::timestamptz'
        WHEN 'timestamp with time zone' THEN format('x.%I::timestamptz', column_name)
        ELSE format('(x.%I::timestamp AT TIME ZONE %L)', column_name, time_zone) END;
END $$;
COMMENT ON FUNCTION rfm.instant_column(regclass, text, text) IS
    'Internal. SQL of a time column of relation x as timestamptz; NULL::timestamptz without it.';

CREATE FUNCTION rfm.dimension_column(relation regclass, column_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actual regtype := rfm.column_type(relation, column_name);
BEGIN
    RETURN format(CASE
        WHEN actual IN ('int2'::regtype, 'int4', 'int8', 'bool', 'uuid') THEN 'x.%1$I::%2$s'
        WHEN actual IN ('numeric'::regtype, 'float8') THEN 'CASE WHEN x.%1$I NOT IN (''NaN'', ''Infinity'', ''-Infinity'') THEN x.%1$I::%2$s END'
        WHEN actual IN ('date'::regtype, 'timestamp', 'timestamptz') THEN 'CASE WHEN isfinite(x.%1$I) THEN x.%1$I::%2$s END'
        ELSE 'x.%1$I::text COLLATE "C"' END, column_name, actual);
END $$;
COMMENT ON FUNCTION rfm.dimension_column(regclass, text) IS 'Internal. SQL of a dimension of relation x, as text unless its type is plain; NULL for NaN and infinity.';

CREATE FUNCTION rfm.dimension_text(relation regclass, column_name text, time_zone text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actual regtype := rfm.column_type(relation, column_name);
BEGIN
    -- the same text in sessions of every DateStyle, TimeZone and extra_float_digits
    RETURN format(CASE
        WHEN actual IN ('date'::regtype, 'timestamp') THEN 'replace(to_jsonb(c.%1$I) #>> ''{}'', ''T'', '' '')'
        WHEN actual = 'timestamptz'::regtype THEN 'replace(to_jsonb(c.%1$I AT TIME ZONE %2$L) #>> ''{}'', ''T'', '' '')'
        WHEN actual = 'float8'::regtype THEN 'c.%1$I::numeric::text'
        ELSE 'c.%1$I::text' END, column_name, time_zone);
END $$;
COMMENT ON FUNCTION rfm.dimension_text(regclass, text, text) IS 'Internal. SQL of a dimension of a relation c, whose type dimension_column chose, as text; times in the time zone.';

CREATE FUNCTION rfm.as_of_sql(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.as_of IS NULL THEN 'now()'
        ELSE format('%L::timestamptz', to_char(settings.as_of AT TIME ZONE settings.time_zone AT TIME ZONE 'UTC',
                                               'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END;
END $$;
COMMENT ON FUNCTION rfm.as_of_sql(rfm.settings) IS 'Internal. SQL of as_of.';

CREATE FUNCTION rfm.window_start_sql(settings rfm.settings, as_of text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
BEGIN
    -- by the local calendar, so that a month is a month in every session
    RETURN CASE WHEN settings.lookback IS NULL THEN 'NULL::timestamptz'
        ELSE format('(((%s AT TIME ZONE %2$L) - %3$L::interval) AT TIME ZONE %2$L)',
                    as_of, settings.time_zone, settings.lookback) END;
END $$;
COMMENT ON FUNCTION rfm.window_start_sql(rfm.settings, text) IS 'Internal. SQL of the start of the window before as_of, which is SQL, too; NULL without lookback.';

-- The queries below read all customers or, where ids is SQL of an array of ids, only these: compared with the bare column,
-- so that an index on it serves. as_of is SQL, and so are names of relations.

CREATE FUNCTION rfm.ids_sql(relation regclass, column_name text, ids text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- the collation of a column may take ids for equal that differ in their bytes
    RETURN format(CASE rfm.id_type(relation, column_name) WHEN 'text' THEN '(x.%1$I = ANY (%2$s) AND %3$s = ANY (%2$s))'
                  ELSE 'x.%1$I = ANY (%2$s)' END, column_name, ids, rfm.id_column(relation, column_name));
END $$;
COMMENT ON FUNCTION rfm.ids_sql(regclass, text, text) IS 'Internal. SQL condition that an id column of relation x is among ids, which is SQL of an array.';

CREATE FUNCTION rfm.where_sql(VARIADIC conditions text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(' WHERE ' OPERATOR(pg_catalog.||) nullif(pg_catalog.array_to_string(conditions, ' AND '), ''), '');
COMMENT ON FUNCTION rfm.where_sql(text[]) IS 'Internal. The WHERE clause of the conditions that are not NULL.';

CREATE FUNCTION rfm.status_counts_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'rfm_status_counts_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.status_counts_support(internal) IS 'Internal. Tells the planner how many lines status_counts will leave.';
CREATE FUNCTION rfm.status_counts(status text, excluded text[]) RETURNS boolean
    AS 'MODULE_PATHNAME', 'rfm_status_counts' LANGUAGE C IMMUTABLE PARALLEL SAFE SUPPORT rfm.status_counts_support;
COMMENT ON FUNCTION rfm.status_counts(text, text[]) IS
    'Internal. Whether a line counts by its status: it is none of the excluded, which are compared by bytes; NULL is none of them.';

CREATE FUNCTION rfm.counted_sql(settings rfm.settings, as_of text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s      rfm.settings := settings;
    status text := CASE WHEN rfm.column_type(s.order_lines, 'status') IS NOT NULL AND s.excluded_statuses <> '{}'
        THEN format('rfm.status_counts(x.status::text, %L::text[])', s.excluded_statuses) ELSE 'true' END;
BEGIN
    -- a line that was voided counted until then, whatever its status is today
    RETURN CASE WHEN rfm.column_type(s.order_lines, 'voided_at') IS NULL THEN status
        ELSE format('CASE WHEN x.voided_at IS NULL THEN %s ELSE %s >= %s END', status,
                    rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), as_of) END;
END $$;
COMMENT ON FUNCTION rfm.counted_sql(rfm.settings, text) IS
    'Internal. SQL condition that line x counts by its status and was not voided before as_of.';

CREATE FUNCTION rfm.valid_lines_query(settings rfm.settings, as_of text, filter text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format('SELECT %s AS customer_id, %s AS order_id, x.ordered_at, x.amount, %s AS product_id, %s AS voided_at FROM %s x%s',
        rfm.id_column(s.order_lines, 'customer_id'), rfm.id_column(s.order_lines, 'order_id'),
        rfm.id_column(s.order_lines, 'product_id'), rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), s.order_lines,
        rfm.where_sql(nullif(rfm.counted_sql(s, as_of), 'true'), filter));
END $$;
COMMENT ON FUNCTION rfm.valid_lines_query(rfm.settings, text, text) IS
    'Internal. SQL of the order lines that count by status and were not voided before as_of; NULLs and the time of the order are left to the aggregates. filter: a condition more.';

-- The planner leaves out an outer join to a relation whose column it knows to be unique, through views, too.
CREATE FUNCTION rfm.is_unique(relation regclass, column_name text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    line   text;
    result boolean := true;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT FROM (SELECT NULL::%s AS id OFFSET 0) u LEFT JOIN %s x ON x.%I = u.id',
            rfm.column_type(relation, column_name), relation, column_name) LOOP
        result := result AND line !~ 'Join|Loop';
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION rfm.is_unique(regclass, text) IS
    'Internal. Whether a unique index proves that a column holds no value twice; the lock that the planner takes keeps it so until the end of the transaction.';

-- is_unique: no id occurs twice, so that nothing has to be sorted.
CREATE FUNCTION rfm.unique_accounts_query(settings rfm.settings, ids text DEFAULT NULL, is_unique boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s    rfm.settings := settings;
    dims text := (SELECT string_agg(format(', %s AS %I', rfm.dimension_column(s.accounts, d), d), '' ORDER BY i)
                  FROM unnest(s.dimensions) WITH ORDINALITY u(d, i));
BEGIN
    RETURN format('SELECT %s%s AS customer_id, %s AS channel, %s AS signed_up_at%s FROM %s x%s%s', CASE WHEN NOT is_unique THEN 'DISTINCT ON (1) ' END,
        rfm.id_column(s.accounts, 'customer_id'), rfm.text_column(s.accounts, 'channel'),
        format('CASE WHEN isfinite(%1$s) THEN %1$s END', rfm.instant_column(s.accounts, 'signed_up_at', s.time_zone)), dims, s.accounts,
        rfm.where_sql('x.customer_id IS NOT NULL', CASE WHEN ids IS NOT NULL THEN rfm.ids_sql(s.accounts, 'customer_id', ids) END),
        CASE WHEN NOT is_unique THEN (SELECT ' ORDER BY ' || string_agg(i::text, ', ') FROM generate_series(1, 3 + cardinality(s.dimensions)) i) END);
END $$;
COMMENT ON FUNCTION rfm.unique_accounts_query(rfm.settings, text, boolean) IS
    'Internal. SQL of the accounts, one row per customer_id, the smallest by all columns.';

CREATE FUNCTION rfm.unique_products_query(settings rfm.settings, filter text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format('SELECT DISTINCT ON (1) %s AS product_id, %s AS category, %s AS brand, %s AS name, %s AS cost FROM %s x%s'
            ' ORDER BY 1, 2, 3, 4, 5',
        rfm.id_column(s.products, 'product_id'), rfm.text_column(s.products, 'category'), rfm.text_column(s.products, 'brand'),
        rfm.text_column(s.products, 'name'),
        CASE WHEN rfm.column_type(s.products, 'cost') IS NULL THEN 'NULL::numeric' ELSE 'rfm.money(x.cost)' END, s.products,
        rfm.where_sql('x.product_id IS NOT NULL', filter));
END $$;
COMMENT ON FUNCTION rfm.unique_products_query(rfm.settings, text) IS
    'Internal. SQL of the products, one row per product_id, the smallest by all columns.';

CREATE FUNCTION rfm.profile_columns(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format('first_order_at timestamptz, first_order_until timestamptz, first_order_date date,'
        ' second_order_at timestamptz, second_order_date date, last_order_at timestamptz, last_order_date date, orders bigint, lines bigint, revenue numeric,'
        ' first_order_revenue numeric, first_product_id %s', rfm.id_type(settings.order_lines, 'product_id'));
END $$;
COMMENT ON FUNCTION rfm.profile_columns(rfm.settings) IS 'Internal. What unpack gives for a customer, as a column definition list without customer_id.';

-- The profiles as the lines alone give them, with a row without customer_id. lines: SQL of a relation of valid lines.
-- grouped: by customer through profile, which spills to disk, instead of in one pass through profile_all.
-- hash_from: one pass of several from there on, within build_memory, with the column next_hash.
CREATE FUNCTION rfm.profile_rows_query(settings rfm.settings, lines text, as_of text, grouped boolean, hash_from bigint DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    columns text := rfm.profile_columns(s);
    args    text := format('l.order_id, l.ordered_at, l.amount, l.product_id, %s, %s, %L',
        rfm.window_start_sql(s, as_of), as_of, s.time_zone);
BEGIN
    IF grouped THEN
        RETURN format(
            'SELECT g.customer_id, u.* FROM (SELECT l.customer_id, rfm.profile(%1$s) AS profile FROM %2$s l'
            ' WHERE l.customer_id IS NOT NULL GROUP BY l.customer_id) g, LATERAL rfm.unpack(g.profile, %3$L) AS u(%4$s)'
            ' UNION ALL (SELECT u.* FROM (SELECT rfm.profile_all(l.customer_id, %1$s, NULL, NULL) AS profiles'
            ' FROM %2$s l WHERE l.customer_id IS NULL) g,'
            ' LATERAL rfm.unpack(g.profiles, %3$L) AS u(customer_id %5$s, %4$s) LIMIT 1)',
            args, lines, s.time_zone, columns, rfm.id_type(s.order_lines, 'customer_id'));
    END IF;
    RETURN format(
        'SELECT u.* FROM (SELECT rfm.profile_all(l.customer_id, %s, %s, %s) AS profiles FROM %s l) g,'
        ' LATERAL rfm.unpack(g.profiles, %L) AS u(customer_id %s, %s%s)',
        args, CASE WHEN hash_from IS NULL THEN 'NULL' ELSE pg_size_bytes(s.build_memory)::text END, coalesce(hash_from, 0),
        lines, s.time_zone, rfm.id_type(s.order_lines, 'customer_id'), columns,
        CASE WHEN hash_from IS NOT NULL THEN ', next_hash bigint' END);
END $$;
COMMENT ON FUNCTION rfm.profile_rows_query(rfm.settings, text, text, boolean, bigint) IS 'Internal. SQL of the profiles as the lines alone give them.';

-- The ledgers of all customers, or, if nobodys, the one of lines without customer. lines, products: SQL of relations.
CREATE FUNCTION rfm.ledgers_query(settings rfm.settings, as_of text, lines text, products text, nobodys boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    has_cost boolean := s.products IS NOT NULL AND rfm.column_type(s.products, 'cost') IS NOT NULL AND NOT nobodys;
BEGIN
    RETURN format('SELECT %s rfm.ledger(x.ordered_at, x.amount, %s, %s, %s, %L) AS ledger, %s AS voided_at FROM %s x%s'
        ' WHERE x.order_id IS NOT NULL AND x.amount IS NOT NULL AND x.customer_id IS %s',
        CASE WHEN NOT nobodys THEN 'x.customer_id,' END, CASE WHEN has_cost THEN 'c.cost' ELSE 'NULL::numeric' END,
        rfm.window_start_sql(s, as_of), as_of, s.time_zone,
        CASE WHEN rfm.column_type(s.order_lines, 'voided_at') IS NULL THEN 'NULL::timestamptz'
             ELSE format('min(x.voided_at) FILTER (WHERE x.voided_at >= %s AND isfinite(x.voided_at))', as_of) END,
        lines, CASE WHEN has_cost THEN format(' LEFT JOIN %s c ON c.product_id = x.product_id', products) END,
        CASE WHEN nobodys THEN 'NULL' ELSE 'NOT NULL GROUP BY x.customer_id' END);
END $$;
COMMENT ON FUNCTION rfm.ledgers_query(rfm.settings, text, text, text, boolean) IS 'Internal. SQL of the ledgers, and of when the next line is voided.';

-- A relation p of profiles with what accounts, products, visits and the ledgers add. The row without customer_id holds what
-- is of the model as a whole: as of when, and the number of accounts. lines, accounts, products: SQL of relations.
CREATE FUNCTION rfm.profiles_query(settings rfm.settings, as_of text, lines text, accounts text, products text, ids text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    -- integers of different width meet as bigint
    visitor  text := CASE rfm.id_type(s.visits, 'customer_id') WHEN rfm.id_type(s.order_lines, 'customer_id')
                     THEN rfm.id_type(s.visits, 'customer_id') ELSE 'bigint' END;
BEGIN
    RETURN format(
        -- first what every refresh reads of all of them
        'SELECT p.*, CASE WHEN p.customer_id IS NULL THEN %s END AS as_of, %s AS registered, coalesce(k.ledger, o.ledger) AS ledger,'
        ' least(rfm.next_line_at(coalesce(k.ledger, o.ledger)), k.voided_at, o.voided_at, %s) AS next_change_at,'
        ' %s AS window_line_at, NULL::timestamptz AS segment_since, %s, %s, %s%s FROM p',
        as_of,
        CASE WHEN s.accounts IS NULL OR ids IS NOT NULL THEN 'NULL::bigint'
             ELSE format('CASE WHEN p.customer_id IS NULL THEN %s END', rfm.registered_sql(s)) END,
        CASE WHEN s.visits IS NULL THEN 'NULL' ELSE 'v.next_visit_at' END,
        CASE WHEN s.lookback IS NULL THEN 'NULL::timestamptz' ELSE 'rfm.window_line_at(coalesce(k.ledger, o.ledger))' END,
        CASE WHEN s.accounts IS NULL THEN 'NULL::text AS channel, NULL::timestamptz AS signed_up_at, false AS has_account'
             ELSE 'a.channel, a.signed_up_at, a.customer_id IS NOT NULL AS has_account' END,
        CASE WHEN s.products IS NULL THEN 'NULL::text AS first_category, NULL::text AS first_brand, NULL::text AS first_product'
             ELSE 'g.category AS first_category, g.brand AS first_brand, g.name AS first_product' END,
        CASE WHEN s.visits IS NULL THEN 'NULL::bigint AS sessions_after_purchase, NULL::bigint AS return_sessions'
             ELSE 'CASE WHEN p.first_order_at IS NOT NULL THEN coalesce(v.sessions_after_purchase, 0) END AS sessions_after_purchase,'
                  ' CASE WHEN p.first_order_at IS NOT NULL THEN coalesce(v.return_sessions, 0) END AS return_sessions' END,
        (SELECT string_agg(format(', a.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)))
        || format(' LEFT JOIN (%s) k ON k.customer_id = p.customer_id LEFT JOIN (%s) o ON p.customer_id IS NULL',
            rfm.ledgers_query(s, as_of, lines, products, false), rfm.ledgers_query(s, as_of, lines, products, true))
        || CASE WHEN s.accounts IS NOT NULL THEN format(' LEFT JOIN %s a ON a.customer_id = p.customer_id', accounts) ELSE '' END
        || CASE WHEN s.products IS NOT NULL THEN format(' LEFT JOIN %s g ON g.product_id = p.first_product_id', products) ELSE '' END
        -- grouped, so that the planner knows it unique and leaves it out where nobody asks
        || CASE WHEN s.visits IS NOT NULL THEN format(
            ' LEFT JOIN (SELECT u.customer_id, max(u.sessions_after_purchase) AS sessions_after_purchase,'
            ' max(u.return_sessions) AS return_sessions, min(u.next_visit_at) AS next_visit_at'
            ' FROM (SELECT rfm.visits_all((%s)::%s, %s, x.visited_at,'
            ' (SELECT rfm.visit_boundaries(p.customer_id::%2$s, p.first_order_at, p.first_order_until) FROM p WHERE p.first_order_at IS NOT NULL),'
            ' %4$s, %5$L) AS visits FROM %6$s x%7$s) g, LATERAL rfm.unpack(g.visits) AS u(customer_id %2$s, sessions_after_purchase bigint,'
            ' return_sessions bigint, next_visit_at timestamptz) GROUP BY u.customer_id) v ON v.customer_id = p.customer_id',
            rfm.id_column(s.visits, 'customer_id'), visitor, rfm.id_column(s.visits, 'session_id'), as_of, s.time_zone, s.visits,
            CASE WHEN ids IS NOT NULL THEN rfm.where_sql(rfm.ids_sql(s.visits, 'customer_id', ids)) END) ELSE '' END;
END $$;
COMMENT ON FUNCTION rfm.profiles_query(rfm.settings, text, text, text, text, text) IS
    'Internal. SQL of the profiles p with what accounts, products, visits and the ledgers add to them.';

CREATE FUNCTION rfm.registered_sql(settings rfm.settings, is_unique boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.accounts IS NULL THEN 'NULL::bigint'
        ELSE format('(SELECT count(*) FROM (SELECT FROM %s x WHERE x.customer_id IS NOT NULL%s) u)', settings.accounts,
                    CASE WHEN NOT is_unique THEN ' GROUP BY ' || rfm.id_column(settings.accounts, 'customer_id') END) END;
END $$;
COMMENT ON FUNCTION rfm.registered_sql(rfm.settings, boolean) IS 'Internal. SQL of the number of accounts; NULL without accounts.';

-- All profiles. as_of: SQL of another moment than that of the settings.
CREATE FUNCTION rfm.all_profiles_query(model text, settings rfm.settings, grouped boolean, hash_from bigint DEFAULT NULL, as_of text DEFAULT NULL,
        OUT profile_rows text, OUT profiles text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at_sql text := coalesce(as_of, rfm.as_of_sql(settings));
    lines  text := CASE WHEN as_of IS NULL THEN format('%I.valid_lines', model) ELSE format('(%s)', rfm.valid_lines_query(settings, as_of)) END;
BEGIN
    profile_rows := rfm.profile_rows_query(settings, lines, at_sql, grouped, hash_from);
    profiles := rfm.profiles_query(settings, at_sql, lines, format('%I.unique_accounts', model), format('%I.unique_products', model));
END $$;
COMMENT ON FUNCTION rfm.all_profiles_query(text, rfm.settings, boolean, bigint, text) IS
    'Internal. SQL of all profiles of a model in two steps: as the lines alone give them, and, over these as p, with all that is added.';

-- All profiles in one pass of several over the lines, from hash_from on: the same rows as all_profiles_query gives, as fast
-- as can be. Ledgers come out of the pass itself, visits are counted by a query of their own, in which parallel workers help,
-- and both stand in the order of the profiles, so that only accounts and products are joined.
CREATE FUNCTION rfm.pass_query(model text, settings rfm.settings, hash_from bigint) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s           rfm.settings := settings;
    as_of       text := rfm.as_of_sql(s);
    customer    text := rfm.id_type(s.order_lines, 'customer_id');
    has_cost    boolean := s.products IS NOT NULL AND rfm.column_type(s.products, 'cost') IS NOT NULL;
    no_twins    boolean := s.accounts IS NOT NULL AND rfm.is_unique(s.accounts, 'customer_id');
BEGIN
    IF s.visits IS NOT NULL AND rfm.id_type(s.visits, 'customer_id') <> customer THEN
        RETURN (SELECT format('WITH p AS (%s) %s', q.profile_rows, q.profiles) FROM rfm.all_profiles_query(model, s, false, hash_from) q);
    END IF;
    RETURN format(
        'SELECT u.*, %s, %s, CASE WHEN u.customer_id IS NULL THEN %s END AS as_of, CASE WHEN u.customer_id IS NULL THEN %s END AS registered%s%18$s'
        ' FROM ((SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount, l.product_id, %6$s, %3$s, %7$L, %8$s, %9$s, %10$s, l.voided_at) AS profiles'
        ' FROM %11$I.valid_lines l%12$s) g CROSS JOIN LATERAL rfm.unpack(g.profiles, %13$s, %7$L) AS u(customer_id %14$s, %15$s, sessions_after_purchase bigint,'
        ' return_sessions bigint, ledger rfm.ledger, next_change_at timestamptz, next_hash bigint%19$s))%16$s%17$s',
        CASE WHEN s.accounts IS NULL THEN 'NULL::text AS channel, NULL::timestamptz AS signed_up_at, false AS has_account'
             ELSE 'a.channel, a.signed_up_at, a.customer_id IS NOT NULL AS has_account' END,
        CASE WHEN s.products IS NULL THEN 'NULL::text AS first_category, NULL::text AS first_brand, NULL::text AS first_product'
             ELSE 'h.category AS first_category, h.brand AS first_brand, h.name AS first_product' END,
        as_of, rfm.registered_sql(s, no_twins),
        (SELECT string_agg(format(', a.%I', d), '' ORDER BY i) FROM unnest(s.dimensions) WITH ORDINALITY u(d, i)),
        rfm.window_start_sql(s, as_of), s.time_zone, pg_size_bytes(s.build_memory), hash_from,
        CASE WHEN has_cost THEN 'c.cost' ELSE 'NULL::numeric' END, model,
        CASE WHEN has_cost THEN format(' LEFT JOIN %I.unique_products c ON c.product_id = l.product_id', model) END,
        CASE WHEN s.visits IS NULL THEN 'NULL' ELSE format('rfm.count_visits(rfm.visit_boundaries(g.profiles), %L)',
            format('SELECT rfm.visits_all(%s, %s, x.visited_at, $1, %s, %L) FROM %s x', rfm.id_column(s.visits, 'customer_id'),
                rfm.id_column(s.visits, 'session_id'), as_of, s.time_zone, s.visits)) END,
        customer, rfm.profile_columns(s),
        CASE WHEN s.accounts IS NOT NULL THEN format(' LEFT JOIN (%s) a ON a.customer_id = u.customer_id', rfm.unique_accounts_query(s, NULL, no_twins)) END,
        CASE WHEN s.products IS NOT NULL THEN format(' LEFT JOIN %I.unique_products h ON h.product_id = u.first_product_id', model) END,
        CASE WHEN s.lookback IS NULL THEN ', NULL::timestamptz AS window_line_at' END,
        CASE WHEN s.lookback IS NOT NULL THEN ', window_line_at timestamptz' END);
END $$;
COMMENT ON FUNCTION rfm.pass_query(text, rfm.settings, bigint) IS
    'Internal. SQL of all profiles of a model in one pass of several, with the column next_hash.';

-- The profiles of the customers in $1, an array of text, and of lines without customer if $2, from what is read of them
-- through the indexes of the relations: in full, as a query.
CREATE FUNCTION rfm.some_profiles_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s     rfm.settings := settings;
    as_of text := rfm.as_of_sql(s);
    ids   text := format('$1::%s[]', rfm.id_type(s.order_lines, 'customer_id'));
BEGIN
    RETURN format('WITH l AS MATERIALIZED (%s UNION ALL %s), %s p AS MATERIALIZED (%s) %s',
        rfm.valid_lines_query(s, as_of, rfm.ids_sql(s.order_lines, 'customer_id', ids)),
        rfm.valid_lines_query(s, as_of, 'x.customer_id IS NULL AND $2'),
        CASE WHEN s.products IS NOT NULL THEN format('c AS MATERIALIZED (%s),',
            rfm.unique_products_query(s, format('%s IN (SELECT l.product_id FROM l)', rfm.id_column(s.products, 'product_id')))) END,
        rfm.profile_rows_query(s, 'l', as_of, true),
        rfm.profiles_query(s, as_of, 'l',
            CASE WHEN s.accounts IS NOT NULL THEN format('(%s)', rfm.unique_accounts_query(s, ids)) END, 'c', ids));
END $$;
COMMENT ON FUNCTION rfm.some_profiles_query(rfm.settings) IS
    'Internal. SQL of the profiles of the customers in $1 and, if $2, of lines without customer.';

CREATE FUNCTION rfm.with_lines_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    customer text := rfm.id_type(settings.order_lines, 'customer_id');
BEGIN
    RETURN format('SELECT %s FROM %s x WHERE %s', rfm.id_column(settings.order_lines, 'customer_id'), settings.order_lines,
                  rfm.ids_sql(settings.order_lines, 'customer_id', format('$1::%s[]', customer)));
END $$;
COMMENT ON FUNCTION rfm.with_lines_query(rfm.settings) IS 'Internal. SQL of those of the customers in $1, an array of text, who have any line, valid or not.';

-- What is stored tells how much memory one pass takes, about 160 bytes per profile; without it, the pass itself does.
CREATE FUNCTION rfm.needs_grouping(model text, settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    profiles float4 := (SELECT reltuples FROM pg_class WHERE oid = rfm.model_relation(model, 'profiles'));
    result   boolean;
BEGIN
    IF profiles > 0 THEN
        RETURN profiles * 160 > pg_size_bytes(s.build_memory);
    END IF;
    EXECUTE format('SELECT u.next_hash IS NOT NULL FROM (SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount,'
        ' l.product_id, %s, %s, %L, %s, 0) AS profiles FROM (%s) l) g,'
        ' LATERAL rfm.unpack(g.profiles) AS u(customer_id %s, next_hash bigint) WHERE u.customer_id IS NULL',
        rfm.window_start_sql(s, rfm.as_of_sql(s)), rfm.as_of_sql(s), s.time_zone, pg_size_bytes(s.build_memory),
        rfm.valid_lines_query(s, rfm.as_of_sql(s)),
        rfm.id_type(s.order_lines, 'customer_id')) INTO result;
    RETURN result;
END $$;
COMMENT ON FUNCTION rfm.needs_grouping(text, rfm.settings) IS
    'Internal. Whether one pass over the lines would exceed build_memory; storages that cannot go in passes then group instead.';

-- what is in them

CREATE FUNCTION rfm.report_lines(settings rfm.settings) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s          rfm.settings := settings;
    has_status boolean := rfm.column_type(s.order_lines, 'status') IS NOT NULL;
    as_of      timestamptz;
    found      jsonb;
    line       record;
    -- of all lines, and of those that count
    all_lines  bigint := 0;
    excluded   bigint := 0;
    counted    bigint := 0;
    missing    bigint := 0;
    lost       numeric := 0;
    oldest     timestamptz;
    newest     timestamptz;
BEGIN
    EXECUTE 'SELECT ' || rfm.as_of_sql(s) INTO as_of;
    -- a row per status, by EXECUTE INTO: a loop over the query would have no parallel workers
    EXECUTE format(
        'SELECT jsonb_agg(to_jsonb(s) ORDER BY s.lines DESC, s.status) FROM ('
        'SELECT status, count(*) AS lines, count(*) FILTER (WHERE valid) AS valid,'
        ' count(*) FILTER (WHERE valid AND customer_id IS NULL) AS nobodys,'
        ' coalesce(sum(rfm.money(amount)) FILTER (WHERE valid AND customer_id IS NULL), 0) AS money,'
        ' min(at) FILTER (WHERE valid AND at > ''-infinity'') AS since, max(at) FILTER (WHERE valid AND at > ''-infinity'' AND amount >= 0) AS until'
        -- what is asked for several times of a line is computed once; OFFSET of this type does not keep workers away
        ' FROM (SELECT status, customer_id, amount, at, order_id IS NOT NULL AND amount IS NOT NULL AND at < $1 AND counts AS valid'
        ' FROM (SELECT %1$s AS status, x.customer_id, x.order_id, x.amount, %2$s AS at, %4$s AS counts FROM %3$s x OFFSET bigint ''0'') x OFFSET bigint ''0'') x'
        ' GROUP BY status) s',
        rfm.text_column(s.order_lines, 'status'), rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone),
        s.order_lines, rfm.counted_sql(s, '$1')) INTO found USING as_of;
    all_lines := coalesce((SELECT sum((l ->> 'lines')::bigint) FROM jsonb_array_elements(found) l), 0);
    FOR line IN SELECT * FROM jsonb_to_recordset(found)
            AS l(status text, lines bigint, valid bigint, nobodys bigint, money numeric, since timestamptz, until timestamptz)
    LOOP
        IF has_status THEN
            RAISE NOTICE 'status %: % lines (%), %', coalesce(quote_literal(line.status), 'NULL'), line.lines,
                round(100.0 * line.lines / all_lines, 1) || ' %',
                CASE WHEN line.status = ANY (s.excluded_statuses) THEN 'excluded' ELSE 'counted' END;
        END IF;
        IF line.status = ANY (s.excluded_statuses) THEN
            excluded := excluded + line.lines;
        END IF;
        counted := counted + line.valid;
        missing := missing + line.nobodys;
        lost := lost + line.money;
        oldest := least(oldest, line.since);
        newest := greatest(newest, line.until);
    END LOOP;

    IF NOT has_status THEN
        RAISE NOTICE 'the lines have no status: all of them count';
    ELSIF excluded = 0 AND s.excluded_statuses <> '{}' AND all_lines > 0 THEN
        RAISE WARNING 'none of the excluded statuses % occurs', s.excluded_statuses
            USING HINT = 'Set excluded_statuses to your statuses of cancelled and returned lines, as they are written above.';
    END IF;
    IF missing > 0 THEN
        RAISE NOTICE '% of % counted lines have no customer: revenue % belongs to nobody', missing, counted, round(lost, 2);
    END IF;
    IF newest IS NULL THEN
        RAISE NOTICE 'there are no purchases yet';
    ELSE
        RAISE NOTICE 'lines from % to %', rfm.local_date(oldest, s.time_zone), rfm.local_date(newest, s.time_zone);
        IF rfm.local_date(as_of, s.time_zone) - rfm.local_date(newest, s.time_zone) > 90 THEN
            RAISE NOTICE 'the newest purchase is % days older than as_of: by then everyone hibernates',
                rfm.local_date(as_of, s.time_zone) - rfm.local_date(newest, s.time_zone)
                USING HINT = format('For a static export set as_of => %L.', (rfm.local_date(newest, s.time_zone) + 1)::text);
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_lines(rfm.settings) IS
    'Internal. Tells by NOTICE each status with its share, lines without customer, and the dates of the lines.';
-- 66_tracking: which customers changed since the last refresh.
--
-- A refresh that wants to recompute only what changed must know of every change. Statement triggers on the tables record
-- the customers of each statement in changes, a table of the model that is only appended to: no key, no index, so that
-- writers never wait for each other or for a refresh. Whatever no trigger sees is found by contract_state, which looks at
-- the way from the contract relations down to the tables: it gives the reason for which a refresh cannot trust changes,
-- and a fingerprint that differs when rows may have changed without a statement.

-- the way down

CREATE FUNCTION rfm.rule_contents(rule pg_node_tree, OUT relations oid[], OUT functions oid[], OUT unstable text[])
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rfm_rule_contents';
COMMENT ON FUNCTION rfm.rule_contents(pg_node_tree) IS
    'Internal. What the rule of a view reads and calls, and what makes its rows depend on the moment, the session or rows of other customers.';

-- A statement aimed at a table fires the triggers of that table only, whatever partitions it reaches.
CREATE FUNCTION rfm.partition_family(relation oid) RETURNS SETOF oid
    LANGUAGE plpgsql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE family(member) AS (
        SELECT relation
        UNION
        SELECT n.member FROM family f JOIN pg_class c ON c.oid = f.member,
            LATERAL (SELECT i.inhparent AS member FROM pg_inherits i WHERE c.relispartition AND i.inhrelid = f.member
                     UNION ALL
                     SELECT i.inhrelid FROM pg_inherits i WHERE c.relkind = 'p' AND i.inhparent = f.member) n)
    SELECT f.member FROM family f;
END $$;
COMMENT ON FUNCTION rfm.partition_family(oid) IS
    'Internal. A table, the partitioned tables above it and all partitions below them: every table a statement that reaches it can be aimed at.';

CREATE FUNCTION rfm.partition_root(relation oid) RETURNS oid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT f FROM rfm.partition_family(relation) f JOIN pg_class c ON c.oid = f WHERE NOT c.relispartition);
END $$;
COMMENT ON FUNCTION rfm.partition_root(oid) IS 'Internal. The partitioned table at the top of a partition; any other table itself.';

CREATE FUNCTION rfm.is_system_relation(relation oid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT c.relnamespace OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog'::regnamespace, 'information_schema'::regnamespace,
                                                                    'pg_toast'::regnamespace]::pg_catalog.oid[])
            FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) relation);
COMMENT ON FUNCTION rfm.is_system_relation(oid) IS 'Internal. Whether a relation belongs to the server.';

-- Through views, step by step. reader: as whom a relation is read, which decides about row-level security: the owner of
-- the view above it, or else the owner of the model.
CREATE FUNCTION rfm.sources_below(contract text, relation oid, owner oid) RETURNS TABLE (contract_relation text, source oid, kind "char", reader oid)
    LANGUAGE plpgsql STABLE ROWS 4 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE below(source, reader) AS (
        SELECT sources_below.relation, owner
        UNION
        SELECT u.relation,
               CASE WHEN EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_invoker' AND o.option_value::boolean)
                    THEN owner ELSE c.relowner END
        FROM below b JOIN pg_class c ON c.oid = b.source AND c.relkind = 'v' AND NOT rfm.is_system_relation(c.oid)
        JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
        CROSS JOIN LATERAL rfm.rule_contents(r.ev_action) i CROSS JOIN LATERAL unnest(i.relations) u(relation)
        WHERE u.relation <> c.oid)
    SELECT contract, b.source, k.relkind, b.reader FROM below b LEFT JOIN pg_class k ON k.oid = b.source;
END $$;
COMMENT ON FUNCTION rfm.sources_below(text, oid, oid) IS 'Internal. A relation with every view and table below it, and as whom each is read.';

CREATE FUNCTION rfm.contract_sources(model text, settings rfm.settings) RETURNS TABLE (contract text, relation oid, kind "char", reader oid)
    LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s     rfm.settings := settings;
    owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = rfm.model_relation(model, 'settings'));
BEGIN
    RETURN QUERY
    SELECT b.* FROM (VALUES ('order_lines', s.order_lines), ('accounts', s.accounts), ('products', s.products), ('visits', s.visits)) c(contract, relation)
    CROSS JOIN LATERAL rfm.sources_below(c.contract, c.relation, owner) b WHERE c.relation IS NOT NULL;
END $$;
COMMENT ON FUNCTION rfm.contract_sources(text, rfm.settings) IS
    'Internal. The contract relations of a model with every view and table below them, and as whom each is read.';

-- Of the functions that come with the server and are not immutable those are harmless that only convert what they are given.
CREATE FUNCTION rfm.unstable_functions(functions oid[]) RETURNS TABLE (name text, own boolean)
    LANGUAGE plpgsql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT CASE WHEN p.pronamespace = 'pg_catalog'::regnamespace THEN p.proname || '()' ELSE p.oid::regprocedure::text END,
           p.pronamespace <> 'pg_catalog'::regnamespace
    FROM unnest(functions) f JOIN pg_proc p ON p.oid = f
    WHERE CASE
        WHEN p.pronamespace <> 'pg_catalog'::regnamespace THEN p.provolatile <> 'i' OR EXISTS (
            SELECT FROM pg_aggregate a JOIN pg_proc t ON t.oid IN (a.aggtransfn, a.aggfinalfn) WHERE a.aggfnoid = p.oid AND t.provolatile <> 'i')
        WHEN p.provolatile = 's' THEN NOT (
            p.proname IN ('date_trunc', 'date_part', 'extract', 'to_char', 'to_date', 'to_timestamp', 'to_number', 'timezone', 'concat',
                          'concat_ws', 'format', 'array_to_string', 'to_json', 'to_jsonb', 'json_build_object', 'json_build_array',
                          'jsonb_build_object', 'jsonb_build_array', 'make_timestamptz', 'generate_series')
            OR EXISTS (SELECT FROM pg_cast c WHERE c.castfunc = p.oid)
            OR EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid)
            OR EXISTS (SELECT FROM pg_type t WHERE t.typinput = p.oid OR t.typoutput = p.oid))
            -- names of objects, and the offset of today
            OR p.prorettype::regtype::text ~ '^reg' OR p.proname ~ '^reg.*out$' OR p.oid = 'timetz(time)'::regprocedure
        ELSE p.provolatile = 'v' END
    ORDER BY 1;
END $$;
COMMENT ON FUNCTION rfm.unstable_functions(oid[]) IS
    'Internal. Those of some functions whose results may differ without a change of their arguments; own: not of the server.';

-- Why the triggers of a table would not see every change of its rows, or NULL. What cannot be a table with triggers comes first.
CREATE FUNCTION rfm.untrackable(relation oid, OUT problem text, OUT code text, OUT hint text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT (CASE WHEN m.member <> relation AND c.relispartition THEN 'partition ' ELSE '' END || m.member::regclass) || ' ' || x.problem, x.code, x.hint
    INTO problem, code, hint
    FROM (SELECT f AS member FROM rfm.partition_family(relation) f) m JOIN pg_class c ON c.oid = m.member
    CROSS JOIN LATERAL (VALUES
        (1, rfm.is_system_relation(c.oid), 'is a system relation', 'wrong_object_type', 'Its rows change without a statement.'),
        (2, c.relkind = 'v', 'is a view', 'wrong_object_type', 'Triggers see the statements on the tables below it.'),
        (3, c.relkind = 'm', 'is a materialized view', 'wrong_object_type',
            'Its REFRESH fires no trigger. Read a plain view with the same query instead, and track the tables below it.'),
        (4, c.relkind = 'f', 'is a foreign table', 'wrong_object_type', 'Its rows change on the other side, where no trigger is. A model that reads it is rebuilt in full.'),
        (5, c.relkind NOT IN ('r', 'p', 'v', 'm', 'f'), 'is not a table', 'wrong_object_type', 'Name a table.'),
        (6, c.relpersistence = 't', 'is a temporary table', 'wrong_object_type', 'A model outlives the session: keep the rows in a permanent table.'),
        (7, c.relpersistence = 'u' AND c.relkind IN ('r', 'p'), 'is an unlogged table', 'feature_not_supported',
            'A crash empties it without a statement. ALTER TABLE ... SET LOGGED keeps its rows.'),
        (8, c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid), 'has inheritance children', 'feature_not_supported',
            'Statements on the children do not fire its triggers. Use declarative partitions instead.'),
        (9, NOT c.relispartition AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid), 'inherits from another table', 'feature_not_supported',
            'Statements on the parent do not fire its triggers. Use declarative partitions instead.'),
        (10, EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid), 'is the target of a subscription', 'feature_not_supported',
            'Logical replication fires no statement triggers. A model that reads it is rebuilt in full.')
    ) x(place, applies, problem, code, hint)
    WHERE x.applies
    ORDER BY m.member <> relation, x.place, m.member::regclass::text COLLATE "C" LIMIT 1;
END $$;
COMMENT ON FUNCTION rfm.untrackable(oid) IS
    'Internal. Why triggers on a relation would not see every change of its rows, with SQLSTATE and hint; NULL when they would.';

-- what is recorded

CREATE FUNCTION rfm.recorder(model text, tracked_id int) RETURNS regprocedure
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN to_regprocedure(format('%I.%I()', model, 'record_changes_' || tracked_id));
END $$;
COMMENT ON FUNCTION rfm.recorder(text, int) IS 'Internal. The trigger function that records the changes of a tracked relation; NULL when there is none.';

-- A statement on up to a thousand rows costs one row, with every id it met, some perhaps twice: finding the distinct ones
-- would cost the writer more than the rest. Greater ones cost one for each thousand customers; texts can be long, so that
-- their bytes count. A column that was renamed or changed its type must not stop those who write to its table: then
-- everything counts as changed.
CREATE FUNCTION rfm.recorder_body(model text, relation regclass, customer_column name, id_type text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changes text := format('%I.changes', model);
    actual  regtype := (SELECT a.atttypid FROM pg_attribute a
                        WHERE a.attrelid = relation AND a.attname = customer_column AND a.attnum > 0 AND NOT a.attisdropped);
    base    regtype := rfm.base_type(actual);
    id      text := format(CASE
        WHEN id_type = 'text' THEN 'r.%1$I::text COLLATE "C"'
        WHEN id_type = 'integer' AND base = 'bigint'::regtype THEN 'CASE WHEN r.%1$I BETWEEN -2147483648 AND 2147483647 THEN r.%1$I::integer END'
        WHEN id_type = 'smallint' AND base <> 'smallint'::regtype THEN 'CASE WHEN r.%1$I BETWEEN -32768 AND 32767 THEN r.%1$I::smallint END'
        ELSE 'r.%1$I::%2$s' END, coalesce(customer_column, ''), id_type);
    part    text := CASE id_type WHEN 'text' THEN 'sum(octet_length(u.id) + 8) OVER (ROWS UNBOUNDED PRECEDING) / 8000'
                                 ELSE '(row_number() OVER () - 1) / 1000' END;
    record  text;
BEGIN
    IF customer_column IS NULL THEN
        record := format($body$
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO %1$s VALUES (TG_RELID, true);
    ELSE
        INSERT INTO %1$s SELECT TG_RELID, true WHERE EXISTS (SELECT FROM changed_rows);
    END IF;$body$, changes);
    ELSE
        record := format($body$
    IF TG_OP = 'TRUNCATE' OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = TG_RELID AND a.attname = %2$L
                                         AND a.atttypid = %3$L::regtype) THEN
        INSERT INTO %1$s VALUES (TG_RELID, true);
    ELSIF TG_OP = 'UPDATE' THEN%4$s
    ELSE%5$s
    END IF;$body$, changes, customer_column, actual,
            rfm.record_ids_sql(changes, id_type <> 'text', part,
                format('SELECT %1$s AS id FROM old_rows r UNION ALL SELECT %1$s FROM changed_rows r', id),
                format('SELECT %1$s AS id FROM old_rows r UNION SELECT %1$s FROM changed_rows r', id)),
            rfm.record_ids_sql(changes, id_type <> 'text', part,
                format('SELECT %s AS id FROM changed_rows r', id),
                format('SELECT DISTINCT %s AS id FROM changed_rows r', id)));
    END IF;
    RETURN format($body$
#variable_conflict use_variable
DECLARE
    ids %2$s[];
BEGIN
    -- SECURITY DEFINER: who writes to the table needs no rights on the model, and runs nothing of its owner with his own.
    IF to_regclass(%1$L) IS NULL THEN
        RETURN NULL;
    END IF;%3$s
    RETURN NULL;
END $body$, changes, id_type, record);
END $$;
COMMENT ON FUNCTION rfm.recorder_body(text, regclass, name, text) IS 'Internal. The body of the trigger function that records the changes of a tracked relation.';

CREATE FUNCTION rfm.record_ids_sql(changes text, quick boolean, part text, all_ids text, distinct_ids text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN quick THEN format($body$
        ids := ARRAY(%1$s LIMIT 1001);
        IF ids = '{}' THEN
            RETURN NULL;
        ELSIF cardinality(ids) <= 1000 THEN
            INSERT INTO %2$s VALUES (TG_RELID, false, ids);
            RETURN NULL;
        END IF;$body$, all_ids, changes) ELSE '' END || format($body$
        INSERT INTO %1$s SELECT TG_RELID, false, array_agg(p.id)
            FROM (SELECT u.id, %2$s AS part FROM (%3$s) u) p GROUP BY p.part;$body$, changes, part, distinct_ids);
END $$;
COMMENT ON FUNCTION rfm.record_ids_sql(text, boolean, text, text, text) IS
    'Internal. PL/pgSQL that records ids in the table changes; quick: tries first whether they fit into one row.';

-- Which triggers a tracked table and its partitions need: made by track_changes, looked for by every refresh.
CREATE FUNCTION rfm.tracking_triggers(relation oid, recorder oid)
    RETURNS TABLE (member oid, event text, state "char", trigger_oid oid)
    LANGUAGE plpgsql STABLE ROWS 4 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT f, e.event, t.tgenabled, t.oid
    FROM rfm.partition_family(relation) f
    CROSS JOIN (VALUES ('INSERT', 4), ('DELETE', 8), ('UPDATE', 16), ('TRUNCATE', 32)) e(event, type)
    LEFT JOIN pg_trigger t ON t.tgrelid = f AND t.tgfoid = recorder AND t.tgtype = e.type;
END $$;
COMMENT ON FUNCTION rfm.tracking_triggers(oid, oid) IS
    'Internal. The triggers that a tracked table and its partitions must have, and which of them there are.';

-- track_changes and untrack_changes

CREATE FUNCTION rfm.drop_recorder(model text, tracked_id int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
    -- takes the triggers along, also from tables of others
    EXECUTE format('DROP FUNCTION IF EXISTS %I.%I() CASCADE', model, 'record_changes_' || tracked_id);
    EXECUTE format('DELETE FROM %I.tracked t WHERE t.tracked_id = $1', model) USING tracked_id;
END $$;
COMMENT ON FUNCTION rfm.drop_recorder(text, int) IS 'Internal. Removes the triggers on a tracked relation and the function that they call.';

CREATE FUNCTION rfm.drop_tracking(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id int;
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NOT NULL THEN
        FOR id IN EXECUTE format('SELECT t.tracked_id FROM %I.tracked t', model) LOOP
            PERFORM rfm.drop_recorder(model, id);
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.drop_tracking(text) IS 'Internal. Removes every trigger of a model from the tables it reads.';

-- When the ids of customers have become of another type no trigger can go on as it was: all of them go.
CREATE FUNCTION rfm.make_tracking(model text, settings rfm.settings) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id_type text := rfm.id_type(settings.order_lines, 'customer_id');
    gone    text;
    c       record;
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NULL THEN
        EXECUTE format('CREATE TABLE %I.tracked (tracked_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,'
            ' relation regclass NOT NULL UNIQUE, customer_column name)', model);
    ELSE
        -- one after the other
        EXECUTE format('LOCK TABLE %I.tracked IN SHARE ROW EXCLUSIVE MODE', model);
    END IF;
    IF rfm.column_type(rfm.model_relation(model, 'changes'), 'customer_ids') <> (id_type || '[]')::regtype THEN
        EXECUTE format('SELECT string_agg(t.relation::text, '', '' ORDER BY t.tracked_id) FROM %I.tracked t', model) INTO gone;
        RAISE NOTICE 'the ids of customers are of type % now: changes of % are no longer tracked', id_type, gone
            USING HINT = 'Call rfm.track_changes for each of them again.';
        PERFORM rfm.drop_tracking(model);
        EXECUTE format('DROP TABLE %I.changes', model);
    END IF;
    IF rfm.model_relation(model, 'changes') IS NULL THEN
        EXECUTE format('CREATE TABLE %I.changes (relation oid NOT NULL, everything boolean NOT NULL, customer_ids %s[])', model, id_type);
        -- compressing would take the writer's time
        EXECUTE format('ALTER TABLE %I.changes ALTER customer_ids SET STORAGE EXTERNAL', model);
    END IF;
    FOR c IN SELECT * FROM rfm.view_comments() d WHERE d.relation IN ('tracked', 'changes') LOOP
        EXECUTE CASE WHEN c.column_name IS NULL THEN format('COMMENT ON TABLE %I.%I IS %L', model, c.relation, c.comment)
                     ELSE format('COMMENT ON COLUMN %I.%I.%I IS %L', model, c.relation, c.column_name, c.comment) END;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.make_tracking(text, rfm.settings) IS 'Internal. Makes the tables of a model that tell what is tracked and what changed.';

CREATE FUNCTION rfm.check_tracking(model text, settings rfm.settings, relation regclass, customer_column name) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner   name := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = rfm.model_relation(model, 'settings'));
    class   pg_class := (SELECT c FROM pg_class c WHERE c.oid = relation);
    root    regclass := rfm.partition_root(relation);
    id_type regtype := rfm.column_type(settings.order_lines, 'customer_id');
    actual  regtype := rfm.column_type(relation, customer_column::text);
    problem text;
    code    text;
    hint    text;
    tables  text;
    grants  text;
BEGIN
    IF settings.storage <> 'table' THEN
        RAISE EXCEPTION 'model "%" has storage %', model, settings.storage USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Only storage table is refreshed by what changed: SELECT rfm.configure_model(%L, storage => ''table''); CALL rfm.refresh(%1$L).', model);
    END IF;
    IF class.oid IS NULL THEN
        RAISE EXCEPTION 'relation % does not exist', coalesce(relation::text, 'NULL') USING ERRCODE = 'undefined_table',
            HINT = 'Name a table that the model reads.';
    END IF;
    IF class.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = model)
            AND relation NOT IN (SELECT x.relation FROM rfm.contract_sources(model, settings) x) THEN
        RAISE EXCEPTION '% belongs to the model itself', relation USING ERRCODE = 'wrong_object_type',
            HINT = 'Track the tables that its order lines, accounts, products and visits come from.';
    END IF;
    SELECT u.problem, u.code, u.hint INTO problem, code, hint FROM rfm.untrackable(relation) u;
    IF problem IS NOT NULL THEN
        IF class.relkind = 'v' AND NOT rfm.is_system_relation(relation) THEN
            SELECT string_agg(DISTINCT rfm.partition_root(x.source)::regclass::text, ', ') INTO tables
            FROM rfm.sources_below('', relation, class.relowner) x WHERE x.kind IN ('r', 'p');
            hint := concat_ws(' ', hint, 'Track ' || tables || ' instead.');
        END IF;
        RAISE EXCEPTION 'changes of % cannot be tracked: %', relation, problem USING ERRCODE = code, HINT = hint;
    END IF;
    IF relation <> root THEN
        RAISE EXCEPTION 'changes of % cannot be tracked: it is a partition', relation USING ERRCODE = 'wrong_object_type',
            HINT = format('Track %s: that includes its partitions.', root);
    END IF;
    IF NOT EXISTS (SELECT FROM rfm.contract_sources(model, settings) x WHERE rfm.partition_root(x.relation) = check_tracking.relation) THEN
        RAISE EXCEPTION 'model "%" does not read %', model, relation USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Nothing would ever change: track the tables that its order lines, accounts, products and visits come from.';
    END IF;

    IF customer_column IS NOT NULL THEN
        IF actual IS NULL THEN
            RAISE EXCEPTION 'relation % has no column %', relation, quote_ident(customer_column) USING ERRCODE = 'undefined_column',
                HINT = 'Name the column that holds the customer, or NULL: then every change means a full rebuild.';
        END IF;
        IF actual NOT IN ('int2'::regtype, 'int4', 'int8', 'uuid', 'text', 'varchar')
                OR (SELECT t.typcategory FROM pg_type t WHERE t.oid = actual) <> (SELECT t.typcategory FROM pg_type t WHERE t.oid = id_type) THEN
            RAISE EXCEPTION 'column % of relation % has type %, but customer_id of % has type %',
                quote_ident(customer_column), relation, actual, settings.order_lines, id_type USING ERRCODE = 'datatype_mismatch',
                HINT = 'Name the column that holds the customer, or NULL: then every change means a full rebuild.';
        END IF;
        IF EXISTS (SELECT FROM rfm.contract_sources(model, settings) x WHERE x.contract = 'products' AND rfm.partition_root(x.relation) = check_tracking.relation) THEN
            RAISE EXCEPTION '% feeds the products of model "%", which are of all customers', relation, model
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass NULL as customer_column: then every change means a full rebuild.';
        END IF;
    END IF;

    SELECT string_agg(DISTINCT g.command, '; ') INTO grants
    FROM rfm.partition_family(relation) f JOIN pg_class c ON c.oid = f JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (VALUES
        (has_table_privilege(owner, f, 'TRIGGER'), format('GRANT TRIGGER ON %s TO %I', f::regclass, owner)),
        (has_schema_privilege(owner, n.oid, 'USAGE'), format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, owner))) g(has, command)
    WHERE NOT g.has;
    IF grants IS NOT NULL THEN
        RAISE EXCEPTION '%, who owns model "%", may not put triggers on %', quote_ident(owner), model, relation
            USING ERRCODE = 'insufficient_privilege', HINT = grants || '.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.check_tracking(text, rfm.settings, regclass, name) IS
    'Internal. Refuses a relation whose changes a model cannot track, saying why and what to do.';

CREATE FUNCTION rfm.add_tracking(model text, relation regclass, customer_column name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s          rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    owner      oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = rfm.model_relation(model, 'settings'));
    body       text;
    id         int;
    old_column name;
    name       text;
    t          record;
BEGIN
    PERFORM rfm.check_tracking(model, s, relation, customer_column);
    PERFORM rfm.make_tracking(model, s);
    -- what is left of tables that were dropped
    FOR id IN EXECUTE format('SELECT t.tracked_id FROM %I.tracked t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)', model) LOOP
        PERFORM rfm.drop_recorder(model, id);
    END LOOP;

    body := rfm.recorder_body(model, relation, customer_column, rfm.id_type(s.order_lines, 'customer_id'));
    EXECUTE format('SELECT t.tracked_id, t.customer_column FROM %I.tracked t WHERE t.relation = $1', model) INTO id, old_column USING relation;
    -- another function gets triggers of its own: making them waits for those who are writing through the old ones
    IF old_column IS DISTINCT FROM customer_column
            OR body IS DISTINCT FROM (SELECT p.prosrc FROM pg_proc p WHERE p.oid = rfm.recorder(model, id)) THEN
        IF id IS NOT NULL THEN
            PERFORM rfm.drop_recorder(model, id);
        END IF;
        EXECUTE format('INSERT INTO %I.tracked (relation, customer_column) VALUES ($1, $2) RETURNING tracked_id', model)
            INTO id USING relation, customer_column;
        name := format('%I.%I()', model, 'record_changes_' || id);
        EXECUTE format('CREATE FUNCTION %s RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L', name, body);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
        EXECUTE format('COMMENT ON FUNCTION %s IS %L', name, format(
            'Internal. Records which customers a statement on %s changed, with the rights of the owner of the model.', relation));
    END IF;

    FOR t IN
        SELECT x.*, pg_has_role(owner, c.relowner, 'USAGE') AS own
        FROM rfm.tracking_triggers(relation, rfm.recorder(model, id)) x JOIN pg_class c ON c.oid = x.member
        WHERE x.state IS NULL OR x.state IN ('D', 'R') ORDER BY x.member, x.event
    LOOP
        name := format('record_changes_%s_%s_%s', substr(md5(model), 1, 8), id, lower(t.event));
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION %s', name, t.event, t.member::regclass,
            CASE t.event WHEN 'INSERT' THEN 'REFERENCING NEW TABLE AS changed_rows' WHEN 'DELETE' THEN 'REFERENCING OLD TABLE AS changed_rows'
                         WHEN 'UPDATE' THEN 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows' ELSE '' END,
            rfm.recorder(model, id));
        IF t.own THEN
            -- so that session_replication_role = replica does not silence it
            EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', t.member::regclass, name);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.add_tracking(text, regclass, name) IS 'Internal. Puts triggers on a table that record its changes for a model, or those that it lacks.';

CREATE FUNCTION rfm.remove_tracking(model text, relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id int;
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NOT NULL THEN
        EXECUTE format('SELECT t.tracked_id FROM %I.tracked t WHERE t.relation = $1', model) INTO id USING relation;
    END IF;
    IF id IS NULL THEN
        RAISE EXCEPTION 'changes of % are not tracked for model "%"', coalesce(relation::text, 'NULL'), model USING ERRCODE = 'undefined_object',
            HINT = format('The table %I.tracked, if there is one, lists what is tracked.', model);
    END IF;
    PERFORM rfm.drop_recorder(model, id);
END $$;
COMMENT ON FUNCTION rfm.remove_tracking(text, regclass) IS 'Internal. Removes the triggers by which the changes of a table are recorded for a model.';

CREATE FUNCTION rfm.track_changes(model text, relation regclass, customer_column name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.as_owner(model, 'SELECT rfm.add_tracking($1, $3[1]::oid::regclass, $3[2]::name)', NULL,
                         ARRAY[relation::oid::text, customer_column::text]);
END $$;
COMMENT ON FUNCTION rfm.track_changes(text, regclass, name) IS
    'Puts triggers on a table that a model reads, and on its partitions, so that a refresh recomputes only the customers that changed. customer_column holds the customer of a row; NULL: any change means a full rebuild. The owner of the model needs the right TRIGGER on the table. Call it again when a partition was added, or to name another column. Refused, with the reason, where triggers would not see every change. Example: SELECT rfm.track_changes(''shop'', ''orders'', ''customer_id'');';

CREATE FUNCTION rfm.untrack_changes(model text, relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.as_owner(model, 'SELECT rfm.remove_tracking($1, $3[1]::oid::regclass)', NULL, ARRAY[relation::oid::text]);
END $$;
COMMENT ON FUNCTION rfm.untrack_changes(text, regclass) IS
    'Removes from a table the triggers that track_changes put there. Every refresh is a full rebuild then. Example: SELECT rfm.untrack_changes(''shop'', ''orders'');';

-- whether a refresh can rely on what is recorded

CREATE FUNCTION rfm.contract_state(model text, settings rfm.settings) RETURNS TABLE (reason text, fingerprint text, account_relations oid[])
    LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    id_type text := rfm.id_type(settings.order_lines, 'customer_id');
    changes regclass := rfm.model_relation(model, 'changes');
    -- what is tracked
    ids     int[];
    tracked oid[];
    columns name[];
    -- what the first look finds for the second
    tables  oid[];
    facts   text[];
BEGIN
    IF rfm.model_relation(model, 'tracked') IS NOT NULL THEN
        EXECUTE format('SELECT array_agg(t.tracked_id), array_agg(t.relation::oid), array_agg(t.customer_column) FROM %I.tracked t', model)
            INTO ids, tracked, columns;
    END IF;

    WITH source AS MATERIALIZED (
        SELECT x.*, x.kind = 'v' AND NOT rfm.is_system_relation(x.relation) AS is_view,
               CASE WHEN x.kind = 'v' THEN x.relation ELSE rfm.partition_root(x.relation) END AS root
        FROM rfm.contract_sources(model, settings) x),
    view AS MATERIALIZED (
        SELECT v.relation, md5(r.ev_action::text) AS rule, i.functions, i.unstable
        FROM (SELECT DISTINCT x.relation FROM source x WHERE x.is_view) v
        JOIN pg_rewrite r ON r.ev_class = v.relation AND r.rulename = '_RETURN' CROSS JOIN LATERAL rfm.rule_contents(r.ev_action) i),
    base AS MATERIALIZED (
        SELECT x.root AS relation, bool_or(x.contract = 'products') AS products FROM source x WHERE NOT x.is_view GROUP BY x.root),
    member AS MATERIALIZED (
        SELECT b.relation AS root, f AS relation FROM base b CROSS JOIN LATERAL rfm.partition_family(b.relation) f),
    tracking AS MATERIALIZED (
        SELECT t.*, rfm.recorder(model, t.tracked_id)::oid AS recorder
        FROM unnest(ids, tracked, columns) t(tracked_id, relation, customer_column) JOIN base b USING (relation)),
    tracker AS MATERIALIZED (
        SELECT t.tracked_id, t.relation AS root, t.customer_column, w.*
        FROM tracking t CROSS JOIN LATERAL rfm.tracking_triggers(t.relation, t.recorder) w),
    security AS MATERIALIZED (
        SELECT DISTINCT m.relation, x.reader,
               c.relrowsecurity AND NOT a.rolsuper AND NOT a.rolbypassrls
               AND (c.relforcerowsecurity OR NOT pg_has_role(x.reader, c.relowner, 'USAGE')) AS applies
        FROM source x JOIN member m USING (root) JOIN pg_class c ON c.oid = m.relation JOIN pg_roles a ON a.oid = x.reader),
    obstacle AS (
        SELECT 1 AS place, format('view %s %s, so that a row depends on more than the rows of its customer', v.relation::regclass, u) AS reason
        FROM view v CROSS JOIN LATERAL unnest(v.unstable) u
        UNION ALL
        SELECT 1, format('view %s calls %s, %s', v.relation::regclass, u.name,
                         CASE WHEN u.own THEN 'which is not IMMUTABLE' ELSE 'so that its rows change without a statement' END)
        FROM view v CROSS JOIN LATERAL rfm.unstable_functions(v.functions) u
        UNION ALL
        SELECT 2, u.problem FROM base b CROSS JOIN LATERAL rfm.untrackable(b.relation) u WHERE u.problem IS NOT NULL
        UNION ALL
        SELECT 3, format('row-level security of %s applies to %I, who reads it', y.relation::regclass, pg_get_userbyid(y.reader))
        FROM security y WHERE y.applies
        UNION ALL
        SELECT 4, format('%s is not tracked: SELECT rfm.track_changes(%L, %L, %s)', b.relation::regclass, model, b.relation::regclass::text,
                         CASE WHEN b.products THEN 'NULL' ELSE '''...''' END)
        FROM base b WHERE NOT EXISTS (SELECT FROM tracking t WHERE t.relation = b.relation)
        UNION ALL
        SELECT 5, format('%s feeds products, yet is tracked by customer: SELECT rfm.track_changes(%L, %L, NULL)',
                         t.relation::regclass, model, t.relation::regclass::text)
        FROM base b JOIN tracking t USING (relation) WHERE b.products AND t.customer_column IS NOT NULL
        UNION ALL
        SELECT 6, format('column %I of %s is gone: SELECT rfm.track_changes(%L, %L, ''...'')', t.customer_column, t.relation::regclass, model, t.relation::regclass::text)
        FROM tracking t WHERE t.customer_column IS NOT NULL AND rfm.column_type(t.relation, t.customer_column::text) IS NULL
        UNION ALL
        SELECT 7, format('the triggers on %s are out of date: SELECT rfm.track_changes(%L, %L, %L)', t.relation::regclass, model, t.relation::regclass::text, t.customer_column)
        FROM tracking t LEFT JOIN pg_proc p ON p.oid = t.recorder
        WHERE p.prosrc IS DISTINCT FROM rfm.recorder_body(model, t.relation, t.customer_column, id_type)
           OR rfm.column_type(changes, 'customer_ids') IS DISTINCT FROM (id_type || '[]')::regtype
        UNION ALL
        SELECT 8, format('%s%s is not tracked: SELECT rfm.track_changes(%L, %L, %L)', CASE WHEN w.member <> w.root THEN 'partition ' END,
                         w.member::regclass, model, w.root::regclass::text, w.customer_column)
        FROM tracker w WHERE w.trigger_oid IS NULL
        UNION ALL
        SELECT 9, format('a trigger of rfm.track_changes on %s is disabled: SELECT rfm.track_changes(%L, %L, %L)',
                         w.member::regclass, model, w.root::regclass::text, w.customer_column)
        FROM tracker w WHERE w.state IN ('D', 'R'))
    SELECT (SELECT o.reason FROM obstacle o ORDER BY o.place, o.reason COLLATE "C" LIMIT 1),
           ARRAY(SELECT DISTINCT m.relation FROM source x JOIN member m USING (root) WHERE x.contract = 'accounts' ORDER BY 1),
           ARRAY(SELECT m.relation FROM member m),
           ARRAY(
               SELECT concat_ws(' ', 'contract', x.contract, x.relation, x.reader, x.kind) FROM source x
               UNION ALL
               SELECT concat_ws(' ', 'view', v.relation, v.rule) FROM view v
               UNION ALL
               SELECT concat_ws(' ', 'function', p.oid, p.xmin) FROM pg_proc p
               WHERE p.oid IN (SELECT unnest(v.functions) FROM view v UNION ALL SELECT t.recorder FROM tracking t)
                 AND p.pronamespace <> 'pg_catalog'::regnamespace
               UNION ALL
               SELECT concat_ws(' ', 'security', y.relation, y.reader, y.applies) FROM security y
               UNION ALL
               SELECT concat_ws(' ', 'tracked', t.tracked_id, t.relation, quote_nullable(t.customer_column), t.recorder) FROM tracking t
               UNION ALL
               SELECT concat_ws(' ', 'trigger', w.member, w.event, w.trigger_oid, g.xmin) FROM tracker w LEFT JOIN pg_trigger g ON g.oid = w.trigger_oid
               UNION ALL
               -- under another name for a while, nothing was recorded
               SELECT concat_ws(' ', 'model', n.oid, n.xmin) FROM pg_namespace n WHERE n.nspname = model)
    INTO reason, account_relations, tables, facts;

    SELECT facts || array_agg(f.fact) INTO facts FROM (
        SELECT concat_ws(' ', 'table', c.oid, c.relfilenode, c.relkind, c.relpersistence, c.relowner, c.relrowsecurity, c.relforcerowsecurity) AS fact
        FROM pg_class c WHERE c.oid = ANY (tables)
        UNION ALL
        SELECT concat_ws(' ', 'partition', i.inhrelid, i.inhparent, i.inhdetachpending) FROM pg_inherits i WHERE i.inhrelid = ANY (tables)
        UNION ALL
        SELECT concat_ws(' ', 'policy', p.oid, p.xmin) FROM pg_policy p WHERE p.polrelid = ANY (tables)
        UNION ALL
        SELECT concat_ws(' ', 'column', a.attrelid, a.attnum, a.atttypid, a.attisdropped, quote_ident(a.attname)) FROM pg_attribute a
        WHERE a.attrelid = ANY (tables) AND a.attnum > 0
        UNION ALL
        SELECT DISTINCT concat_ws(' ', 'label', e.oid, quote_ident(e.enumlabel)) FROM pg_attribute a JOIN pg_enum e ON e.enumtypid = a.atttypid
        WHERE a.attrelid = ANY (tables)) f;
    -- with the reason: while one stood in the way, changes may have gone unrecorded
    fingerprint := md5((SELECT string_agg(f, E'\n' ORDER BY f COLLATE "C") FROM unnest(facts || coalesce(reason, '')) f));
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.contract_state(text, rfm.settings) IS
    'Internal. Why a refresh of a model cannot rely on recorded changes (NULL: it can), a fingerprint that differs when rows may have changed without being recorded, and the tables that feed the accounts.';
-- 70_analyses: the views of a model, in the order of the data flow, each reading the ones before.

CREATE FUNCTION rfm.own_columns() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{customer_id,channel,signed_up_at,first_order_at,second_order_at,last_order_at,orders,lines,revenue,average_order_value,first_product_id,first_category,recency_days,r,f,m,rfm_score,segment,segment_rank,sessions_after_purchase,return_sessions,activity_level,has_account,first_order_until,first_order_date,second_order_date,first_brand,first_product,margin_rate,cohorts,ledger,next_change_at,window_line_at,segment_since,last_order_date,first_order_revenue,as_of,as_of_date,refreshed_at,registered,unassigned_revenue,recency_cutoffs,frequency_cutoffs,monetary_cutoffs,rules,stage,old,is_new,next_hash,ctid,tallied_rank,has_second_order,days_watched,revenue_after_first_order,days_to_first_order,xmin,xmax,cmin,cmax,tableoid}'::text[];
COMMENT ON FUNCTION rfm.own_columns() IS 'Internal. Column names that a dimension cannot have.';

CREATE FUNCTION rfm.array_sql(numbers numeric[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('%L::numeric[]', numbers);
COMMENT ON FUNCTION rfm.array_sql(numeric[]) IS 'Internal. SQL of a numeric array.';

-- One row: as of when, the cut points and the rules, from one scan of the profiles. Recency is a difference to as_of, so
-- its percentiles are those of the day number of the last order, moved; frequency cuts lie just above the percentile.
CREATE FUNCTION rfm.snapshot_query(settings rfm.settings, profiles text, rules_sql text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    RETURN format(
        'SELECT c.as_of, c.as_of_date, now() AS refreshed_at, c.registered, c.unassigned_revenue,'
        ' %s AS recency_cutoffs, %s AS frequency_cutoffs, %s AS monetary_cutoffs, %s AS rules, c.margin_rate, c.cohorts, c.customers, c.last_order_date'
        ' FROM (SELECT max(h.as_of) AS as_of, rfm.local_date(max(h.as_of), %L) AS as_of_date, max(h.registered) AS registered,'
        ' sum(h.revenue) FILTER (WHERE h.customer_id IS NULL) AS unassigned_revenue,'
        ' count(*) FILTER (WHERE h.orders > 0) AS customers, max(h.last_order_date) AS last_order_date,'
        ' rfm.margin_rate(h.ledger) FILTER (WHERE h.customer_id IS NOT NULL) AS margin_rate,'
        ' rfm.cohorts(h.first_order_date, h.ledger) FILTER (WHERE h.customer_id IS NOT NULL) AS cohorts%s%s%s FROM %s h) c',
        CASE WHEN s.recency_fractions IS NULL THEN rfm.array_sql(s.recency_cutoffs)
             ELSE '(SELECT array_agg(u.days + (c.as_of_date - date ''2000-01-01'') ORDER BY u.i) FROM unnest(c.recency) WITH ORDINALITY u(days, i))' END,
        CASE WHEN s.frequency_fractions IS NULL THEN rfm.array_sql(s.frequency_cutoffs)
             ELSE '(SELECT array_agg(floor(u.orders) + 1 ORDER BY u.i) FROM unnest(c.frequency) WITH ORDINALITY u(orders, i))' END,
        CASE WHEN s.monetary_fractions IS NULL THEN rfm.array_sql(s.monetary_cutoffs) ELSE 'c.monetary' END,
        rules_sql, s.time_zone,
        CASE WHEN s.recency_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(date ''2000-01-01'' - h.last_order_date, %s)'
            ' FILTER (WHERE h.orders > 0) AS recency', rfm.array_sql(s.recency_fractions)) END,
        CASE WHEN s.frequency_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(h.orders, %s)'
            ' FILTER (WHERE h.orders > 0) AS frequency', rfm.array_sql(s.frequency_fractions)) END,
        CASE WHEN s.monetary_fractions IS NOT NULL THEN format(', rfm.percentile_cutoffs(h.revenue, %s)'
            ' FILTER (WHERE h.orders > 0) AS monetary', rfm.array_sql(s.monetary_fractions)) END,
        profiles);
END $$;
COMMENT ON FUNCTION rfm.snapshot_query(rfm.settings, text, text) IS 'Internal. SQL of the one row of the snapshot over a relation of profiles.';

CREATE FUNCTION rfm.rules_in_force(model text, settings rfm.settings) RETURNS rfm.rules
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result rfm.rules;
BEGIN
    EXECUTE 'SELECT ' || rfm.rules_sql(model, settings) INTO result;
    RETURN result;
END $$;
COMMENT ON FUNCTION rfm.rules_in_force(text, rfm.settings) IS 'Internal. The segment rules of a model as they are now, compiled.';

CREATE FUNCTION rfm.rules_sql(model text, settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    levels int[] := rfm.levels(settings);
BEGIN
    RETURN format('rfm.compile_rules((SELECT array_agg(ROW(t.rule_order, t.segment, t.stage, t.r_min, t.r_max, t.f_min, t.f_max,'
        ' t.m_min, t.m_max)::rfm.segment_rule) FROM %I.segment_rules t), %s, %s, %s)', model, levels[1], levels[2], levels[3]);
END $$;
COMMENT ON FUNCTION rfm.rules_sql(text, rfm.settings) IS 'Internal. SQL that compiles the segment rules of a model.';

-- profiles, snapshot: SQL of relations. A view reads the columns of the stored snapshot one by one (snapshot: NULL), as
-- parameters: a join with it would have no parallel workers.
CREATE FUNCTION rfm.scored_query(model text, settings rfm.settings, profiles text, snapshot text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text := 'p.customer_id, p.channel, p.signed_up_at, p.has_account, p.first_order_at, p.first_order_until,'
        ' p.first_order_date, p.second_order_at, p.second_order_date, p.last_order_at, p.orders, p.lines, p.revenue,'
        ' p.first_order_revenue, p.first_product_id, p.first_category, p.first_brand, p.first_product, p.sessions_after_purchase,'
        ' p.return_sessions, s.as_of_date - p.last_order_date AS recency_days,'
        ' rfm.recency_score(s.as_of_date - p.last_order_date, s.recency_cutoffs) AS r,'
        ' rfm.frequency_score(p.orders, s.frequency_cutoffs) AS f,'
        ' rfm.monetary_score(p.revenue, s.monetary_cutoffs) AS m,'
        ' SCORE AS rfm_score,'
        ' rfm.segment_of(SCORE, s.rules) AS segment,'
        ' rfm.segment_rank(SCORE, s.rules) AS segment_rank,'
        ' rfm.segment_stage(SCORE, s.rules) AS stage,'
        ' s.margin_rate, CASE WHEN p.customer_id IS NULL THEN s.cohorts END AS cohorts, p.segment_since,'
        ' s.as_of, s.as_of_date, s.refreshed_at, s.registered, s.unassigned_revenue';
BEGIN
    columns := replace(columns, 'SCORE',
        'rfm.rfm_score(s.as_of_date - p.last_order_date, p.orders, p.revenue, s.monetary_cutoffs, s.recency_cutoffs, s.frequency_cutoffs)');
    IF snapshot IS NULL THEN
        columns := regexp_replace(columns, '\ms\.(\w+)', format('(SELECT s.\1 FROM %s s)', replace(quote_ident(model), '\', '\\') || '.snapshot'), 'g');
    END IF;
    RETURN format('SELECT %s%s FROM %s p%s', columns,
        (SELECT string_agg(format(', p.%I', d), '' ORDER BY i) FROM unnest(settings.dimensions) WITH ORDINALITY u(d, i)),
        profiles, ' CROSS JOIN ' || snapshot || ' s');
END $$;
COMMENT ON FUNCTION rfm.scored_query(text, rfm.settings, text, text) IS 'Internal. SQL of the profiles with their scores and the snapshot.';

-- The same from the lines, read once. rules: SQL of the rules; as_of: SQL of another moment than that of the settings.
CREATE FUNCTION rfm.live_scored_query(model text, settings rfm.settings, grouped boolean, rules text, as_of text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q record := rfm.all_profiles_query(model, settings, grouped, NULL, as_of);
BEGIN
    RETURN format('WITH p AS MATERIALIZED (%s), s AS (%s) %s', q.profile_rows,
        rfm.snapshot_query(settings, format('(%s)', q.profiles), rules), rfm.scored_query(model, settings, format('(%s)', q.profiles), 's'));
END $$;
COMMENT ON FUNCTION rfm.live_scored_query(text, rfm.settings, boolean, text, text) IS
    'Internal. SQL of the profiles with their scores as the lines give them now.';

-- SQL of what segment_breakdown breaks the segments down by, each with its name, in the order of their numbers.
CREATE FUNCTION rfm.breakdown_values(settings rfm.settings) RETURNS TABLE (number int, dimension text, value text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT row_number() OVER (ORDER BY i)::int, b.dimension, b.value
    FROM (SELECT -1, 'channel', 'c.channel' WHERE settings.accounts IS NOT NULL
          UNION ALL
          SELECT 0, 'first_category', 'c.first_category' WHERE settings.products IS NOT NULL
          UNION ALL
          SELECT u.i, u.d, rfm.dimension_text(settings.accounts, u.d, settings.time_zone)
          FROM unnest(settings.dimensions) WITH ORDINALITY u(d, i)) b(i, dimension, value);
END $$;
COMMENT ON FUNCTION rfm.breakdown_values(rfm.settings) IS 'Internal. The dimensions of segment_breakdown, with SQL of their values in a relation c.';

-- One row: all that the analyses need of the customers, from one scan of them. scored: SQL of a relation. Columns that
-- nobody asks for cost nothing. once: what is asked for several times of a customer is computed once, which is best where
-- all columns are asked for; without it parallel workers may help to read a view. The type of the OFFSET lets the planner
-- see before planning that it is 0. Who has no rank is in no tally.
CREATE FUNCTION rfm.summaries_query(settings rfm.settings, scored text, once boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    breakdown text := (SELECT string_agg(b.value, ', ' ORDER BY b.number) FROM rfm.breakdown_values(settings) b);
    gateway   text := CASE WHEN settings.products IS NULL THEN 'NULL::rfm.gateway_row[]' ELSE
        'rfm.gateway(c.%s, c.stage, c.revenue, c.revenue_after_first_order, c.days_watched, c.has_second_order, %s) FILTER (WHERE c.orders > 0)' END;
BEGIN
    RETURN format($q$
        SELECT max(c.as_of) FILTER (WHERE c.customer_id IS NULL) AS as_of,
               max(c.refreshed_at) FILTER (WHERE c.customer_id IS NULL) AS refreshed_at,
               max(c.registered) FILTER (WHERE c.customer_id IS NULL) AS registered,
               max(c.unassigned_revenue) FILTER (WHERE c.customer_id IS NULL) AS unassigned_revenue,
               max(c.margin_rate) FILTER (WHERE c.customer_id IS NULL) AS margin_rate,
               count(*) FILTER (WHERE c.has_account AND c.first_order_date IS NOT NULL) AS buyers,
               count(*) FILTER (WHERE c.orders > 0) AS customers,
               rfm.percent_sums(c.revenue) FILTER (WHERE c.orders > 0) AS percents,
               rfm.kaplan_meier(c.days_watched, c.has_second_order) FILTER (WHERE c.first_order_date IS NOT NULL) AS survival,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.recency_days, c.rfm_score) AS cells,
               %2$s AS breakdown,
               -- no return session (1) or two or three (2), and a first and only order not older than 90 days (4)
               rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL,
                         CASE WHEN c.return_sessions = 0 THEN 1 WHEN c.return_sessions IN (2, 3) THEN 2 ELSE 0 END
                         + CASE WHEN NOT c.has_second_order AND c.days_watched < 90 THEN 4 ELSE 0 END) AS audiences,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.as_of_date - c.first_order_date,
                         CASE WHEN c.return_sessions <= 1 THEN c.return_sessions WHEN c.return_sessions <= 3 THEN 2
                              WHEN c.return_sessions <= 5 THEN 3 WHEN c.return_sessions > 5 THEN 4 END,
                         CASE WHEN c.sessions_after_purchase <= 1 THEN c.sessions_after_purchase WHEN c.sessions_after_purchase <= 3 THEN 2
                              WHEN c.sessions_after_purchase <= 5 THEN 3 WHEN c.sessions_after_purchase > 5 THEN 4 END) AS activity,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, c.days_watched,
                         CASE WHEN c.days_watched <= 7 THEN 1 WHEN c.days_watched <= 14 THEN 2 WHEN c.days_watched <= 30 THEN 3
                              WHEN c.days_watched <= 60 THEN 4 WHEN c.days_watched <= 90 THEN 5 ELSE 6 END)
                   FILTER (WHERE c.has_second_order) AS repurchases,
               rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL,
                         CASE WHEN c.days_to_first_order < 0 THEN 1 WHEN c.days_to_first_order = 0 THEN 2 WHEN c.days_to_first_order <= 7 THEN 3
                              WHEN c.days_to_first_order <= 30 THEN 4 WHEN c.days_to_first_order <= 90 THEN 5 WHEN c.days_to_first_order <= 365 THEN 6 ELSE 7 END)
                   FILTER (WHERE c.signed_up_at IS NOT NULL) AS first_purchases,
               %3$s AS categories, %4$s AS brands, %5$s AS products
        FROM (SELECT *, CASE WHEN orders > 0 THEN segment_rank END AS tallied_rank, second_order_date IS NOT NULL AS has_second_order,
                     coalesce(second_order_date, as_of_date) - first_order_date AS days_watched, revenue - first_order_revenue AS revenue_after_first_order,
                     first_order_date - rfm.local_date(signed_up_at, %6$L) AS days_to_first_order
              FROM %1$s%7$s) c $q$,
        scored, coalesce('rfm.tally(c.tallied_rank, c.orders, c.revenue, NULL, ' || breakdown || ')', 'NULL::rfm.tally_row[]'),
        format(gateway, 'first_category', 1), format(gateway, 'first_brand', 30), format(gateway, 'first_product', 30), s.time_zone,
        CASE WHEN once THEN ' OFFSET bigint ''0''' END);
END $$;
COMMENT ON FUNCTION rfm.summaries_query(rfm.settings, text, boolean) IS 'Internal. SQL of the one row of summaries over profiles with scores.';

-- What needs no more of the customers than sums by score reads these. Live, the one pass over the lines answers them from
-- memory: no row per customer is made. rules: SQL of the rules, for storage view.
CREATE FUNCTION rfm.cell_sums_query(model text, settings rfm.settings, grouped boolean, rules text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s     rfm.settings := settings;
    as_of text := rfm.as_of_sql(s);
BEGIN
    RETURN format('SELECT c.rfm_score, rfm.segment_rank(c.rfm_score, %s) AS segment_rank, c.customers, c.recency_days, c.orders, c.revenue FROM %s',
        coalesce(rules, 's.rules'),
        CASE WHEN s.storage = 'view' AND NOT grouped THEN format(
            '(SELECT rfm.profile_all(l.customer_id, l.order_id, l.ordered_at, l.amount, NULL::bigint, %1$s, %2$s, %3$L, NULL, NULL) AS profiles'
            ' FROM %4$I.valid_lines l) g, LATERAL rfm.cell_sums(g.profiles, rfm.local_date(%2$s, %3$L), %3$L,'
            ' %5$s, %6$s, %7$s, %8$s, %9$s, %10$s) c',
            rfm.window_start_sql(s, as_of), as_of, s.time_zone, model,
            rfm.array_sql(s.recency_cutoffs), rfm.array_sql(s.recency_fractions), rfm.array_sql(s.frequency_cutoffs),
            rfm.array_sql(s.frequency_fractions), rfm.array_sql(s.monetary_cutoffs), rfm.array_sql(s.monetary_fractions))
        ELSE format('(SELECT c.value::smallint AS rfm_score, c.customers, c.days AS recency_days, c.orders, c.revenue'
            ' FROM %1$I.summaries, LATERAL unnest(cells) c) c%2$s', model,
            CASE WHEN rules IS NULL THEN format(', %I.snapshot s', model) END) END);
END $$;
COMMENT ON FUNCTION rfm.cell_sums_query(text, rfm.settings, boolean, text) IS 'Internal. SQL of the view cell_sums.';

-- Every relation of a model that has a query, in the order in which they are made. Storage view computes in scored what
-- the other storages have in profiles and snapshot: the lines once, and of accounts and products only what is asked for.
CREATE FUNCTION rfm.view_queries(model text, settings rfm.settings, grouped boolean) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    live      boolean := s.storage = 'view';
    rules     text := CASE WHEN live THEN format('%L::rfm.rules', rfm.rules_in_force(model, s)) END;
BEGIN
    name := 'valid_lines';
    query := rfm.valid_lines_query(s, rfm.as_of_sql(s));
    RETURN NEXT;

    IF s.accounts IS NOT NULL THEN
        name := 'unique_accounts';
        query := rfm.unique_accounts_query(s);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'unique_products';
        query := rfm.unique_products_query(s);
        RETURN NEXT;
    END IF;

    name := 'profiles_source';
    query := (SELECT format('WITH p AS (%s) %s', q.profile_rows, q.profiles) FROM rfm.all_profiles_query(model, s, grouped) q);
    RETURN NEXT;

    IF NOT live THEN
        name := 'profiles';
        query := format('SELECT * FROM %I.profiles_source', model);
        RETURN NEXT;

        name := 'snapshot';
        query := rfm.snapshot_query(s, format('%I.profiles', model), rfm.rules_sql(model, s));
        RETURN NEXT;
    END IF;

    name := 'segment_list';
    query := format('SELECT x.segment, x.segment_rank, x.stage, x.m_min, x.m_max FROM %s',
        CASE WHEN live THEN format('rfm.rule_segments(%s) x', rules)
             ELSE format('%I.snapshot s, LATERAL rfm.rule_segments(s.rules) x', model) END);
    RETURN NEXT;

    name := 'scored';
    query := CASE WHEN live THEN rfm.live_scored_query(model, s, grouped, rules)
                  ELSE rfm.scored_query(model, s, format('%I.profiles', model), NULL) END;
    RETURN NEXT;

    -- those of a large model that was refreshed incrementally are not stored
    IF s.storage = 'table' THEN
        name := 'stored_summaries';
        query := rfm.summaries_query(s, format('%I.scored', model), true);
        RETURN NEXT;
    END IF;

    name := 'summaries';
    query := rfm.summaries_query(s, format('%I.scored', model), live);
    IF s.storage = 'table' THEN
        query := format('SELECT * FROM %1$I.stored_summaries UNION ALL SELECT * FROM (%2$s) l'
            ' WHERE NOT EXISTS (SELECT FROM %1$I.stored_summaries)', model, query);
    END IF;
    RETURN NEXT;

    name := 'cell_sums';
    query := rfm.cell_sums_query(model, s, grouped, rules);
    RETURN NEXT;

    IF s.storage = 'table' THEN
        name := 'segment_history';
        query := format('SELECT %2$s FROM %1$I.segment_changes UNION ALL SELECT %3$s FROM %1$I.scored WHERE orders > 0', model,
                        rfm.history_columns('valid_from', 'valid_to'), rfm.history_columns('segment_since', 'NULL::timestamptz'));
        RETURN NEXT;
    END IF;

    RETURN QUERY SELECT * FROM rfm.analysis_queries(model, s, rules);
    RETURN QUERY SELECT * FROM rfm.campaign_queries(model);
END $$;
COMMENT ON FUNCTION rfm.view_queries(text, rfm.settings, boolean) IS 'Internal. The views of a model in the order in which they are made, with their SQL.';

CREATE FUNCTION rfm.activity_level(return_sessions bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN return_sessions OPERATOR(pg_catalog.<=) 1 THEN return_sessions::text
                WHEN return_sessions OPERATOR(pg_catalog.<=) 3 THEN '2-3'
                WHEN return_sessions OPERATOR(pg_catalog.<=) 5 THEN '4-5'
                WHEN return_sessions OPERATOR(pg_catalog.>) 5 THEN '6+' END;
COMMENT ON FUNCTION rfm.activity_level(bigint) IS 'A number of sessions in groups: 0, 1, 2-3, 4-5, 6+. NULL for NULL. Example: SELECT rfm.activity_level(3);';

CREATE FUNCTION rfm.months_between(earlier date, later date) RETURNS int
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (pg_catalog.date_part('year', later) OPERATOR(pg_catalog.-) pg_catalog.date_part('year', earlier))::int OPERATOR(pg_catalog.*) 12
           OPERATOR(pg_catalog.+) (pg_catalog.date_part('month', later) OPERATOR(pg_catalog.-) pg_catalog.date_part('month', earlier))::int;
COMMENT ON FUNCTION rfm.months_between(date, date) IS 'Internal. The number of calendar months between the months of two dates. NULL for NULL.';

CREATE FUNCTION rfm.sample_variance(n bigint, total numeric, total_squares numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN n OPERATOR(pg_catalog.>) 1
                THEN GREATEST(0::numeric, (n::numeric OPERATOR(pg_catalog.*) total_squares) OPERATOR(pg_catalog.-) (total OPERATOR(pg_catalog.*) total))
                     OPERATOR(pg_catalog./) (n::numeric OPERATOR(pg_catalog.*) (n OPERATOR(pg_catalog.-) 1)::numeric) END;
COMMENT ON FUNCTION rfm.sample_variance(bigint, numeric, numeric) IS 'Internal. The sample variance of n numbers from their sum and the sum of their squares. NULL with fewer than two.';

CREATE FUNCTION rfm.customers_query(settings rfm.settings, scored text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format($q$
        SELECT customer_id, channel, signed_up_at, first_order_at, second_order_at, last_order_at, orders, lines, revenue,
               revenue / orders AS average_order_value, first_product_id, first_category, recency_days, r, f, m, rfm_score,
               segment, segment_rank, sessions_after_purchase, return_sessions,
               rfm.activity_level(return_sessions) AS activity_level%2$s
        FROM %1$s
        WHERE orders > 0 $q$, scored,
        (SELECT string_agg(format(', %I', d), '' ORDER BY i) FROM unnest(settings.dimensions) WITH ORDINALITY u(d, i)));
END $$;
COMMENT ON FUNCTION rfm.customers_query(rfm.settings, text) IS 'Internal. SQL of the view customers over a relation of profiles with scores.';

-- The views that answer questions, one each, over the layers. rules: SQL of the rules, for storage view.
CREATE FUNCTION rfm.analysis_queries(model text, settings rfm.settings, rules text) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    live      boolean := s.storage = 'view';
    levels    int[] := rfm.levels(s);
    breakdown text := (SELECT string_agg(format('(%s, %L)', b.number, b.dimension), ', ' ORDER BY b.number) FROM rfm.breakdown_values(settings) b);
BEGIN
    name := 'customers';
    query := rfm.customers_query(s, format('%I.scored', model));
    RETURN NEXT;

    name := 'overview';
    query := format($q$
        SELECT s.as_of, s.refreshed_at, s.registered, s.customers, s.registered - s.buyers AS prospects,
               coalesce(t.orders, 0)::bigint AS orders, coalesce(t.revenue, 0) AS revenue, coalesce(s.unassigned_revenue, 0) AS unassigned_revenue,
               t.revenue / t.customers AS average_revenue, t.orders / t.customers AS average_orders,
               (t.repurchased / t.customers)::float8 AS repurchase_rate,
               (coalesce(t.vips, 0) / t.customers)::float8 AS vip_share,
               (coalesce(t.at_risk, 0) / t.customers)::float8 AS churn_risk_share,
               (coalesce(t.revenue_at_risk, 0) / nullif(t.revenue, 0))::float8 AS churn_risk_revenue_share,
               ((SELECT sum(x) FROM unnest(s.percents[:20]) x) / nullif(t.revenue, 0))::float8 AS top20_revenue_share,
               s.margin_rate
        FROM %1$I.summaries s
        CROSS JOIN LATERAL (
            SELECT sum(c.customers) AS customers, sum(c.orders) AS orders, sum(c.revenue) AS revenue, sum(c.repurchased) AS repurchased,
                   sum(c.customers) FILTER (WHERE l.stage = 'vip') AS vips, sum(c.customers) FILTER (WHERE l.stage = 'risk') AS at_risk,
                   sum(c.revenue) FILTER (WHERE l.stage = 'risk') AS revenue_at_risk
            FROM unnest(s.cells) c JOIN %1$I.segment_list l USING (segment_rank)) t $q$, model);
    RETURN NEXT;

    name := 'segments';
    query := format($q$
        WITH grouped AS (
            SELECT segment_rank, sum(customers)::bigint AS customers, sum(revenue) AS revenue, sum(revenue) / sum(customers) AS average_revenue,
                   sum(recency_days) / sum(customers) AS average_recency_days, sum(orders) / sum(customers) AS average_orders,
                   sum(rfm_score / 100 * customers) / sum(customers) AS average_r,
                   sum(rfm_score / 10 %% 10 * customers) / sum(customers) AS average_f,
                   sum(rfm_score %% 10 * customers) / sum(customers) AS average_m
            FROM %1$I.cell_sums GROUP BY segment_rank)
        SELECT l.segment, l.segment_rank, l.stage, coalesce(g.customers, 0) AS customers,
               (coalesce(g.customers, 0) / nullif(sum(g.customers) OVER (), 0))::float8 AS customer_share,
               coalesce(g.revenue, 0) AS revenue,
               (coalesce(g.revenue, 0) / nullif(sum(g.revenue) OVER (), 0))::float8 AS revenue_share,
               g.average_revenue, g.average_recency_days, g.average_orders, g.average_r, g.average_f, g.average_m
        FROM %1$I.segment_list l LEFT JOIN grouped g USING (segment_rank)
        ORDER BY l.segment_rank $q$, model);
    RETURN NEXT;

    name := 'segment_breakdown';
    query := format($q$
        SELECT l.segment, t.segment_rank, d.dimension, t.value COLLATE "C" AS value, t.customers,
               (t.customers / sum(t.customers) OVER (PARTITION BY t.dimension, t.value COLLATE "C"))::float8 AS customer_share,
               t.revenue, t.revenue / t.customers AS average_revenue
        FROM %1$I.summaries s
        CROSS JOIN LATERAL unnest(s.breakdown) t
        JOIN (VALUES %2$s) d(number, dimension) ON d.number = t.dimension
        JOIN %1$I.segment_list l USING (segment_rank) $q$, model, coalesce(breakdown, '(0, ''none'')'));
    RETURN NEXT;

    name := 'score_cells';
    query := format($q$
        SELECT r::smallint AS r, f::smallint AS f, m::smallint AS m, rfm.segment_of(r * 100 + f * 10 + m, s.rules) AS segment,
               coalesce(g.customers, 0) AS customers, coalesce(g.revenue, 0) AS revenue
        FROM %2$s s CROSS JOIN generate_series(1, %3$s) r CROSS JOIN generate_series(1, %4$s) f CROSS JOIN generate_series(1, %5$s) m
        LEFT JOIN %1$I.cell_sums g ON g.rfm_score = r * 100 + f * 10 + m
        ORDER BY r, f, m $q$, model,
        CASE WHEN live THEN format('(SELECT %s AS rules)', rules) ELSE format('%I.snapshot', model) END,
        levels[1], levels[2], levels[3]);
    RETURN NEXT;

    name := 'pareto';
    query := format($q$
        WITH grouped AS (
            SELECT p, (p * s.customers + 99) / 100 - ((p - 1) * s.customers + 99) / 100 AS customers, s.percents[p] AS revenue
            FROM %1$I.summaries s, generate_series(1, 100) p)
        SELECT p::int AS customer_percentile, customers, coalesce(revenue, 0) AS revenue,
               (coalesce(revenue, 0) / nullif(sum(revenue) OVER (), 0))::float8 AS revenue_share,
               (coalesce(sum(revenue) OVER (ORDER BY p), 0) / nullif(sum(revenue) OVER (), 0))::float8 AS cumulative_revenue_share
        FROM grouped
        ORDER BY p $q$, model);
    RETURN NEXT;

    name := 'churn_risk';
    query := format($q$
        SELECT segment, segment_rank,
               CASE WHEN stage IN ('vip', 'loyal', 'promising') THEN 'growth' WHEN stage = 'attention' THEN 'attention'
                    WHEN stage = 'risk' THEN 'churn risk' ELSE 'other' END AS risk_group,
               customers, customer_share, revenue, revenue_share
        FROM %1$I.segments
        ORDER BY segment_rank $q$, model);
    RETURN NEXT;
    IF s.visits IS NOT NULL THEN
        name := 'promising_activity';
        query := format($q$
            WITH c AS MATERIALIZED (
                SELECT t.dimension, t.segment_rank, t.value::int + 1 AS activity_order, t.customers, t.revenue / t.customers AS average_revenue,
                       t.days / t.customers::numeric AS average_days
                FROM %1$I.summaries s, LATERAL unnest(s.activity) t)
            SELECT l.segment, l.segment_rank, a.activity_order::smallint AS activity_order, a.activity_level,
                   coalesce(o.customers, 0) AS customers,
                   (coalesce(o.customers, 0) / nullif(sum(o.customers) OVER w, 0))::float8 AS customer_share,
                   o.average_revenue,
                   o.average_revenue / nullif(first_value(o.average_revenue) OVER (w ORDER BY a.activity_order), 0) AS revenue_ratio,
                   o.average_days AS average_days_since_first_order,
                   coalesce(p.customers, 0) AS published_customers, p.average_revenue AS published_average_revenue
            FROM %1$I.segment_list l
            CROSS JOIN (VALUES (1, '0'), (2, '1'), (3, '2-3'), (4, '4-5'), (5, '6+')) a(activity_order, activity_level)
            LEFT JOIN c o ON o.dimension = 1 AND o.segment_rank = l.segment_rank AND o.activity_order = a.activity_order
            LEFT JOIN c p ON p.dimension = 2 AND p.segment_rank = l.segment_rank AND p.activity_order = a.activity_order
            WHERE l.stage = 'promising'
            WINDOW w AS (PARTITION BY l.segment_rank)
            ORDER BY l.segment_rank, a.activity_order $q$, model);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'gateway_products';
        query := format($q$
            SELECT x.level, g.name COLLATE "C" AS name, g.customers, g.vip_customers, g.promising_customers,
                   (g.vip_customers::numeric / g.customers)::float8 AS vip_share, v.low AS vip_share_low, v.high AS vip_share_high,
                   (g.vip_customers::numeric / nullif(g.vip_customers + g.promising_customers, 0))::float8 AS maturity_rate,
                   m.low AS maturity_rate_low, m.high AS maturity_rate_high,
                   g.vip_revenue / g.vip_customers AS average_vip_revenue, g.revenue / g.customers AS average_revenue,
                   g.rate AS second_order_365_rate, g.rate_low AS second_order_365_rate_low, g.rate_high AS second_order_365_rate_high,
                   g.revenue_after / g.customers AS revenue_after_first_order,
                   w.low AS revenue_after_first_order_low, w.high AS revenue_after_first_order_high
            FROM %1$I.summaries s
            CROSS JOIN LATERAL (VALUES ('category', s.categories), ('brand', s.brands), ('product', s.products)) x(level, rows)
            CROSS JOIN LATERAL unnest(x.rows) g
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.customers) v
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.vip_customers + g.promising_customers) m
            CROSS JOIN LATERAL rfm.mean_interval(g.customers, (g.revenue_after / g.customers)::float8,
                rfm.sample_variance(g.customers, g.revenue_after, g.revenue_after_squares)::float8) w
            ORDER BY x.level <> 'category', x.level, g.customers DESC, g.name COLLATE "C" $q$, model);
        RETURN NEXT;
    END IF;

    IF s.products IS NOT NULL THEN
        name := 'gateway_moments';
        query := format($q$
            SELECT g.name COLLATE "C" AS category, g.customers,
                   g.revenue / g.customers AS average_revenue,
                   rfm.sample_variance(g.customers, g.revenue, g.revenue_squares) AS variance_revenue,
                   g.revenue_after / g.customers AS revenue_after_first_order,
                   rfm.sample_variance(g.customers, g.revenue_after, g.revenue_after_squares) AS variance_after_first_order
            FROM %1$I.summaries s, LATERAL unnest(s.categories) g $q$, model);
        RETURN NEXT;
    END IF;

    IF s.accounts IS NOT NULL THEN
        name := 'channel_maturity';
        query := format($q$
            WITH grouped AS (
                SELECT t.value COLLATE "C" AS channel, sum(t.customers)::bigint AS customers,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'vip'), 0)::bigint AS vip_customers,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'promising' AND l.m_min > 1), 0)::bigint AS promising_high,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'promising' AND l.m_min = 1), 0)::bigint AS promising_low,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage IN ('vip', 'promising')), 0)::bigint AS active_customers,
                       sum(t.revenue) FILTER (WHERE l.stage = 'vip') / sum(t.customers) FILTER (WHERE l.stage = 'vip') AS average_vip_revenue
                FROM %1$I.summaries s CROSS JOIN LATERAL unnest(s.breakdown) t JOIN %1$I.segment_list l USING (segment_rank)
                WHERE t.dimension = 1
                GROUP BY t.value COLLATE "C"),
            totals AS (SELECT sum(vip_customers) AS vip, sum(active_customers) AS active FROM grouped),
            tested AS (
                -- in each channel two cells, vip and promising, against what one common rate would give
                SELECT count(*) AS channels,
                       min(g.active_customers * least(t.vip, t.active - t.vip) / t.active) AS least_expected,
                       sum((g.vip_customers * t.active - g.active_customers * t.vip) * (g.vip_customers * t.active - g.active_customers * t.vip)
                           / nullif(g.active_customers * t.vip * (t.active - t.vip), 0)) AS statistic
                FROM grouped g, totals t WHERE g.active_customers > 0)
            SELECT g.channel, g.customers, g.vip_customers, g.promising_high, g.promising_low, g.active_customers,
                   (g.vip_customers::numeric / nullif(g.active_customers, 0))::float8 AS maturity_rate,
                   w.low AS maturity_rate_low, w.high AS maturity_rate_high, g.average_vip_revenue,
                   CASE WHEN t.channels > 1 AND t.least_expected >= 5
                        THEN rfm.chi_square_p_value(t.statistic::float8, t.channels::int - 1) END AS p_value
            FROM grouped g CROSS JOIN tested t
            CROSS JOIN LATERAL rfm.wilson_interval(g.vip_customers, g.active_customers) w
            ORDER BY maturity_rate DESC NULLS LAST, g.channel $q$, model);
        RETURN NEXT;
    END IF;

    name := 'repurchase_timing';
    query := format($q$
        WITH grouped AS (
            SELECT t.segment_rank, t.value::int AS bucket_order, t.customers, t.days / t.customers::numeric AS average_days,
                   t.revenue / t.customers AS average_revenue
            FROM %1$I.summaries s, LATERAL unnest(s.repurchases) t)
        SELECT l.segment, l.segment_rank, b.bucket_order::smallint AS bucket_order, b.bucket, coalesce(g.customers, 0) AS customers,
               (coalesce(g.customers, 0) / nullif(sum(g.customers) OVER (PARTITION BY l.segment_rank), 0))::float8 AS customer_share,
               g.average_days, g.average_revenue,
               CASE WHEN b.bucket_order <= 3 THEN 'quick' WHEN b.bucket_order = 4 THEN 'medium' ELSE 'slow' END AS speed_class
        FROM %1$I.segment_list l
        CROSS JOIN (VALUES (1, '<= 7 days'), (2, '<= 14 days'), (3, '<= 30 days'), (4, '<= 60 days'), (5, '<= 90 days'), (6, '> 90 days'))
            b(bucket_order, bucket)
        LEFT JOIN grouped g USING (segment_rank, bucket_order)
        ORDER BY l.segment_rank, b.bucket_order $q$, model);
    RETURN NEXT;

    name := 'repurchase_curve';
    query := format($q$
        SELECT c.days AS days_since_first_order, c.at_risk AS customers_at_risk, c.events AS repurchased, c.censored,
               c.rate AS cumulative_repurchase_rate, c.low AS cumulative_repurchase_rate_low, c.high AS cumulative_repurchase_rate_high
        FROM %1$I.summaries s CROSS JOIN LATERAL rfm.kaplan_meier_curve(s.survival, 30) c $q$, model);
    RETURN NEXT;

    IF s.accounts IS NOT NULL THEN
        name := 'first_purchase_timing';
        query := format($q$
            WITH grouped AS (
                SELECT t.value::int AS bucket_order, sum(t.customers)::bigint AS customers, sum(t.repurchased) AS repurchased,
                       sum(t.revenue) / sum(t.customers) AS average_revenue,
                       coalesce(sum(t.customers) FILTER (WHERE l.stage = 'vip'), 0) AS vip_customers
                FROM %1$I.summaries s CROSS JOIN LATERAL unnest(s.first_purchases) t JOIN %1$I.segment_list l USING (segment_rank)
                GROUP BY t.value)
            SELECT b.bucket_order::smallint AS bucket_order, b.bucket, coalesce(g.customers, 0) AS customers,
                   (g.repurchased / g.customers)::float8 AS repurchase_rate, g.average_revenue,
                   (g.vip_customers / g.customers)::float8 AS vip_share
            FROM (VALUES (1, 'before sign-up'), (2, 'same day'), (3, '1-7 days'), (4, '8-30 days'), (5, '31-90 days'), (6, '91-365 days'),
                         (7, '> 365 days')) b(bucket_order, bucket)
            LEFT JOIN grouped g USING (bucket_order)
            ORDER BY b.bucket_order $q$, model);
        RETURN NEXT;
    END IF;

    name := 'cohort_retention';
    query := format($q$
        WITH c AS MATERIALIZED (
            SELECT a.cohort_month, a.month, a.active_customers, a.revenue, p.as_of_date,
                   rfm.local_date(p.as_of - interval '1 microsecond', %2$L) AS last_date
            FROM %1$s p CROSS JOIN LATERAL rfm.unpack(p.cohorts) a),
        -- in the month of the first order everyone bought
        sizes AS (
            SELECT cohort_month, as_of_date, rfm.months_between(cohort_month, last_date) AS months, active_customers AS cohort_customers
            FROM c WHERE month = cohort_month),
        active AS (
            SELECT cohort_month, greatest(0, rfm.months_between(cohort_month, month)) AS months_since,
                   sum(active_customers)::bigint AS active_customers, sum(revenue) AS revenue
            FROM c GROUP BY 1, 2)
        SELECT s.cohort_month, n AS months_since, s.cohort_customers, coalesce(a.active_customers, 0) AS active_customers,
               (coalesce(a.active_customers, 0)::numeric / s.cohort_customers)::float8 AS retention_rate,
               coalesce(a.revenue, 0) AS revenue, rfm.months_between(s.cohort_month, s.as_of_date) > n AS is_complete
        FROM sizes s
        CROSS JOIN LATERAL generate_series(0, s.months) n
        LEFT JOIN active a ON a.cohort_month = s.cohort_month AND a.months_since = n
        ORDER BY s.cohort_month, n $q$,
        format(CASE WHEN live THEN '(SELECT * FROM %I.scored WHERE customer_id IS NULL)' ELSE '%I.snapshot' END, model), s.time_zone);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.analysis_queries(text, rfm.settings, text) IS 'Internal. The views of a model that answer questions, with their SQL.';

-- Comments: relation, column (NULL: the relation itself), text. The dimensions are added by comment_model.
CREATE FUNCTION rfm.view_comments() RETURNS TABLE (relation text, column_name text, comment text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
    ('settings', NULL, 'The settings of this model, one row; NULL stands for the default. Change them with rfm.configure_model; they take effect at the next refresh.'),
    ('segment_rules', NULL, 'The segment rules of this model: the first rule, by rule_order, that holds a customer''s scores names his segment. Edit them; they take effect at the next refresh.'),
    ('segment_rules', 'rule_order', 'Place in the order in which the rules are tried; unique.'),
    ('segment_rules', 'segment', 'Name of the segment, 1 to 63 bytes. Several rules may share it.'),
    ('segment_rules', 'stage', 'What the segment is to the analyses: vip, loyal, promising, attention, risk or other. One per segment.'),
    ('segment_rules', 'r_min', 'Smallest recency score, 1 to 9.'),
    ('segment_rules', 'r_max', 'Greatest recency score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('segment_rules', 'f_min', 'Smallest frequency score, 1 to 9.'),
    ('segment_rules', 'f_max', 'Greatest frequency score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('segment_rules', 'm_min', 'Smallest monetary score, 1 to 9.'),
    ('segment_rules', 'm_max', 'Greatest monetary score, 1 to 9; beyond the levels of the axis it means the highest.'),
    ('refresh_log', NULL, 'The refreshes of this model, one row each.'),
    ('refresh_log', 'refresh_id', 'Number of the refresh, ascending.'),
    ('refresh_log', 'started_at', 'When it started.'),
    ('refresh_log', 'finished_at', 'When it ended, well or not. NULL: it runs, or its session died.'),
    ('refresh_log', 'pid', 'Process that ran it.'),
    ('refresh_log', 'mode', 'full (all profiles computed) or incremental (only those of customers who changed).'),
    ('refresh_log', 'reason', 'Why it ran in this mode. NULL: it did not come that far.'),
    ('refresh_log', 'customers', 'Customers afterwards; NULL with storage view.'),
    ('refresh_log', 'changed', 'Profiles written or removed; NULL unless storage is table.'),
    ('refresh_log', 'passes', 'Passes over the order lines that a full refresh of storage table took to keep to build_memory; NULL otherwise.'),
    ('refresh_log', 'as_of', 'Moment the snapshot stands for; NULL with storage view.'),
    ('refresh_log', 'wait_seconds', 'Seconds until it had the lock of the model.'),
    ('refresh_log', 'views_seconds', 'Seconds to bring the views in line with the settings.'),
    ('refresh_log', 'profiles_seconds', 'Seconds to compute and write the profiles.'),
    ('refresh_log', 'snapshot_seconds', 'Seconds to compute the cut points and what else is of the model as a whole.'),
    ('refresh_log', 'summaries_seconds', 'Seconds to sum up the customers for the analyses.'),
    ('refresh_log', 'history_seconds', 'Seconds to compare the segments with those before.'),
    ('refresh_log', 'recency_cutoffs', 'Cut points of recency in force, as text. NULL with storage view.'),
    ('refresh_log', 'frequency_cutoffs', 'Cut points of the number of orders in force, as text. NULL with storage view.'),
    ('refresh_log', 'monetary_cutoffs', 'Cut points of revenue in force, as text. NULL with storage view.'),
    ('refresh_log', 'settings', 'The settings in force, as JSON text.'),
    ('refresh_log', 'rules', 'The segment rules in force, as JSON text.'),
    ('refresh_log', 'error', 'What went wrong; NULL when nothing did. The old snapshot then stays.'),
    ('segment_history', NULL, 'Which segment each customer was in and when, as the refreshes saw it. One row per customer and uninterrupted stay. The values are those at the end of the stay, or now.'),
    ('segment_history', 'customer_id', 'The customer, as in the order lines.'),
    ('segment_history', 'segment', 'Name of the segment.'),
    ('segment_history', 'segment_rank', 'Place of the segment among the rules then, from 1.'),
    ('segment_history', 'r', 'Recency score, 1 is long ago, the highest recent.'),
    ('segment_history', 'f', 'Frequency score, 1 is seldom, the highest often.'),
    ('segment_history', 'm', 'Monetary score, 1 is little, the highest much.'),
    ('segment_history', 'rfm_score', 'The three scores as digits, for example 543.'),
    ('segment_history', 'recency_days', 'Days from the last purchase to the end of the stay.'),
    ('segment_history', 'orders', 'Distinct orders with a purchase in the window.'),
    ('segment_history', 'revenue', 'Revenue in the window. Money of the order lines.'),
    ('segment_history', 'valid_from', 'as_of of the refresh that saw the customer in this segment first.'),
    ('segment_history', 'valid_to', 'as_of of the refresh that no longer saw him in it. NULL: he is in it.'),
    ('segment_changes', NULL, 'Internal. The stays in a segment that have ended.'),
    ('last_build', NULL, 'Internal. One row: what the stored profiles were built from.'),
    ('replaced_profiles', NULL, 'Internal. The profiles that the last refresh replaced, as they were before it; without values: customers who were not there.'),
    ('replaced_snapshot', NULL, 'Internal. The snapshot before the last refresh.'),
    ('tracked', NULL, 'Internal. The tables whose changes are recorded, one row each, by rfm.track_changes.'),
    ('tracked', 'tracked_id', 'Number in the name of the function record_changes_N that their triggers call.'),
    ('tracked', 'relation', 'The table, with its partitions.'),
    ('tracked', 'customer_column', 'Column that holds the customer. NULL: any change means a full rebuild.'),
    ('changes', NULL, 'Internal. What changed since the last refresh: a row or a few for each statement on a tracked table.'),
    ('changes', 'relation', 'OID of the table or partition that the statement was aimed at.'),
    ('changes', 'everything', 'Whether every customer may have changed.'),
    ('changes', 'customer_ids', 'The customers that changed, some perhaps twice; NULL among them stands for lines without customer.'),
    ('order_lines', NULL, 'Internal. The order lines of thelook, with the columns that a model reads.'),
    ('accounts', NULL, 'Internal. The accounts of thelook, with the columns that a model reads.'),
    ('products', NULL, 'Internal. The products of thelook, with the columns that a model reads.'),
    ('visits', NULL, 'Internal. The visits of thelook, with the columns that a model reads.'),
    ('compiled_views', NULL, 'Internal. The SQL that the views of this model were made of.'),
    ('valid_lines', NULL, 'Internal. The order lines without excluded statuses.'),
    ('unique_accounts', NULL, 'Internal. The accounts, one row per customer_id.'),
    ('unique_products', NULL, 'Internal. The products, one row per product_id.'),
    ('profiles_source', NULL, 'Internal. The profiles as they are now; the row without customer_id sums up lines without customer.'),
    ('profiles', NULL, 'Internal. The profiles as of the last refresh; the row without customer_id sums up lines without customer.'),
    ('snapshot', NULL, 'Internal. One row: as of when, the cut points and the rules in force.'),
    ('segment_list', NULL, 'Internal. The segments of the rules in force.'),
    ('summaries', NULL, 'Internal. One row: all that the analyses need of the customers.'),
    ('stored_summaries', NULL, 'Internal. The summaries as of the last refresh, or no row: then they are computed when they are read.'),
    ('cell_sums', NULL, 'Internal. The customers by score: their number and the sums of what they have. One row per score that occurs.'),
    ('scored', NULL, 'Internal. The profiles with their scores, also of those without a purchase in the window.'),

    ('customers', NULL, 'The customers: everyone with a purchase in the window, with scores and segment. One row per customer.'),
    ('customers', 'customer_id', 'The customer, as in the order lines.'),
    ('customers', 'channel', 'Channel the account came from. NULL: unknown, or the model has no accounts.'),
    ('customers', 'signed_up_at', 'When the account was made. NULL: unknown, or the model has no accounts.'),
    ('customers', 'first_order_at', 'First purchase line of the first order, of all time.'),
    ('customers', 'second_order_at', 'First purchase line of the second order, of all time. NULL: there is none.'),
    ('customers', 'last_order_at', 'Last purchase line in the window.'),
    ('customers', 'orders', 'Distinct orders with a purchase in the window.'),
    ('customers', 'lines', 'Purchase lines in the window.'),
    ('customers', 'revenue', 'Sum of the amounts in the window, refunds subtracted; may be negative. Money of the order lines.'),
    ('customers', 'average_order_value', 'revenue divided by orders. Money of the order lines.'),
    ('customers', 'first_product_id', 'Product of the greatest purchase line of the first order. NULL: unknown.'),
    ('customers', 'first_category', 'Category of first_product_id. NULL: unknown, or the model has no products.'),
    ('customers', 'recency_days', 'Days from the local date of last_order_at to that of as_of.'),
    ('customers', 'r', 'Recency score, from 1 (long ago) to 5 (recent); other levels by the settings, up to 9.'),
    ('customers', 'f', 'Frequency score, from 1 to 5 (often): by default 3 is one order, 4 two, 5 more.'),
    ('customers', 'm', 'Monetary score, from 1 to 5 (much): by default 5 is the richest 5 percent.'),
    ('customers', 'rfm_score', 'The three scores r, f and m as digits, for example 543.'),
    ('customers', 'segment', 'Segment by the rules in force.'),
    ('customers', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('customers', 'sessions_after_purchase', 'Distinct sessions with a visit after the first purchase line: the published count, which mostly measures the size of the first basket. NULL: the model has no visits.'),
    ('customers', 'return_sessions', 'Distinct sessions with a visit after the last line of the first order. NULL: the model has no visits.'),
    ('customers', 'activity_level', 'return_sessions in groups: 0, 1, 2-3, 4-5, 6+. NULL: the model has no visits.'),

    ('overview', NULL, 'The key figures of the model, one row.'),
    ('overview', 'as_of', 'Moment the figures stand for.'),
    ('overview', 'refreshed_at', 'When they were computed.'),
    ('overview', 'registered', 'Accounts. NULL: the model has no accounts.'),
    ('overview', 'customers', 'Customers with a purchase in the window.'),
    ('overview', 'prospects', 'Accounts that never bought. NULL: the model has no accounts.'),
    ('overview', 'orders', 'Orders of the customers in the window.'),
    ('overview', 'revenue', 'Revenue of the customers in the window, refunds subtracted. Money of the order lines.'),
    ('overview', 'unassigned_revenue', 'Revenue of lines without customer, in no other figure. Money of the order lines.'),
    ('overview', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('overview', 'average_orders', 'Orders per customer. NULL: no customers.'),
    ('overview', 'repurchase_rate', 'Customers with at least two orders in the window, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'vip_share', 'Customers in segments of stage vip, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'churn_risk_share', 'Customers in segments of stage risk, as a share 0-1 of all. NULL: no customers.'),
    ('overview', 'churn_risk_revenue_share', 'Revenue of customers in segments of stage risk, as a share 0-1 of all, outside where refunds exceed purchases. NULL: no revenue.'),
    ('overview', 'top20_revenue_share', 'Revenue of the richest 20 percent of the customers (rounded up), as a share of all; above 1 where other customers have negative revenue. NULL: no revenue.'),
    ('overview', 'margin_rate', 'What is left of the revenue of purchase lines with a known product cost after that cost, as a share of it; negative where costs exceed revenue. NULL: no such lines.'),

    ('segments', NULL, 'The segments of the rules in force, empty ones too. One row per segment.'),
    ('segments', 'segment', 'Name of the segment.'),
    ('segments', 'segment_rank', 'Place among the rules, from 1.'),
    ('segments', 'stage', 'What the segment is: vip, loyal, promising, attention, risk or other.'),
    ('segments', 'customers', 'Customers in the segment.'),
    ('segments', 'customer_share', 'Share 0-1 of all customers. NULL: no customers.'),
    ('segments', 'revenue', 'Revenue of the segment. Money of the order lines.'),
    ('segments', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),
    ('segments', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('segments', 'average_recency_days', 'Average days since the last purchase. NULL: no customers.'),
    ('segments', 'average_orders', 'Average number of orders. NULL: no customers.'),
    ('segments', 'average_r', 'Average recency score. NULL: no customers.'),
    ('segments', 'average_f', 'Average frequency score. NULL: no customers.'),
    ('segments', 'average_m', 'Average monetary score. NULL: no customers.'),

    ('segment_breakdown', NULL, 'The segments by channel, first category and the dimensions of the model. One row per segment, dimension and value that occur together.'),
    ('segment_breakdown', 'segment', 'Name of the segment.'),
    ('segment_breakdown', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('segment_breakdown', 'dimension', 'channel, first_category, or a dimension of the settings.'),
    ('segment_breakdown', 'value', 'Value of the dimension, as text. NULL: unknown.'),
    ('segment_breakdown', 'customers', 'Customers of the segment with this value.'),
    ('segment_breakdown', 'customer_share', 'Share 0-1 of all customers with this value.'),
    ('segment_breakdown', 'revenue', 'Their revenue. Money of the order lines.'),
    ('segment_breakdown', 'average_revenue', 'Their revenue per customer. Money of the order lines.'),

    ('score_cells', NULL, 'The cube of scores, every cell, empty ones too. One row per r, f and m.'),
    ('score_cells', 'r', 'Recency score, 1 is long ago, the highest recent.'),
    ('score_cells', 'f', 'Frequency score, 1 is seldom, the highest often.'),
    ('score_cells', 'm', 'Monetary score, 1 is little, the highest much.'),
    ('score_cells', 'segment', 'Segment of the cell by the rules in force.'),
    ('score_cells', 'customers', 'Customers in the cell.'),
    ('score_cells', 'revenue', 'Their revenue. Money of the order lines.'),

    ('pareto', NULL, 'How revenue gathers among the richest customers. One row per percent of the customers, richest first.'),
    ('pareto', 'customer_percentile', 'Percent of the customers, from 1 (the richest) to 100; the first p hold the richest p percent, rounded up.'),
    ('pareto', 'customers', 'Customers of this percent.'),
    ('pareto', 'revenue', 'Their revenue. Money of the order lines.'),
    ('pareto', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),
    ('pareto', 'cumulative_revenue_share', 'Share of all revenue up to this percent; above 1 on the way where customers have negative revenue. NULL: no revenue.'),

    ('churn_risk', NULL, 'The segments by what threatens them. One row per segment.'),
    ('churn_risk', 'segment', 'Name of the segment.'),
    ('churn_risk', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('churn_risk', 'risk_group', 'growth (stages vip, loyal, promising), attention, churn risk (stage risk) or other.'),
    ('churn_risk', 'customers', 'Customers in the segment.'),
    ('churn_risk', 'customer_share', 'Share 0-1 of all customers. NULL: no customers.'),
    ('churn_risk', 'revenue', 'Revenue of the segment. Money of the order lines.'),
    ('churn_risk', 'revenue_share', 'Share 0-1 of all revenue, outside where refunds exceed purchases. NULL: no revenue.'),

    ('promising_activity', NULL, 'Are promising customers who come back worth more? One row per promising segment and activity level. The columns without prefix count sessions after the last line of the first order; published_* counts sessions after its first line, as the published dashboard did: a basket of several lines logs a session per line, so that its count grows with the basket, and with it the revenue.'),
    ('promising_activity', 'segment', 'Name of the segment.'),
    ('promising_activity', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('promising_activity', 'activity_order', 'Place of the level, 1 to 5.'),
    ('promising_activity', 'activity_level', 'Sessions: 0, 1, 2-3, 4-5, 6+.'),
    ('promising_activity', 'customers', 'Customers with so many return sessions.'),
    ('promising_activity', 'customer_share', 'Share 0-1 of the segment. NULL: the segment is empty.'),
    ('promising_activity', 'average_revenue', 'Their revenue per customer. Money of the order lines. NULL: no customers.'),
    ('promising_activity', 'revenue_ratio', 'average_revenue divided by that of level 0. NULL: one of the two is missing.'),
    ('promising_activity', 'average_days_since_first_order', 'Days from the first order to as_of: who had more time had more sessions. NULL: no customers.'),
    ('promising_activity', 'published_customers', 'Customers with so many sessions after the first purchase line.'),
    ('promising_activity', 'published_average_revenue', 'Their revenue per customer. Money of the order lines. NULL: no customers.'),

    ('gateway_products', NULL, 'Which first purchase makes good customers? One row per category, brand or product of the first order; brands and products from 30 customers on. VIP needs a high amount, so that an expensive first basket makes VIPs by definition: the rate of second orders and the revenue after the first order are free of that.'),
    ('gateway_products', 'level', 'category, brand or product.'),
    ('gateway_products', 'name', 'Its name.'),
    ('gateway_products', 'customers', 'Customers whose first order it stands for.'),
    ('gateway_products', 'vip_customers', 'Of them in segments of stage vip.'),
    ('gateway_products', 'promising_customers', 'Of them in segments of stage promising.'),
    ('gateway_products', 'vip_share', 'Share 0-1 of vip_customers in customers.'),
    ('gateway_products', 'vip_share_low', 'Lower 95 percent bound (Wilson).'),
    ('gateway_products', 'vip_share_high', 'Upper 95 percent bound (Wilson).'),
    ('gateway_products', 'maturity_rate', 'vip_customers divided by vip_customers and promising_customers, 0-1. NULL: there are none.'),
    ('gateway_products', 'maturity_rate_low', 'Lower 95 percent bound (Wilson). NULL: there are none.'),
    ('gateway_products', 'maturity_rate_high', 'Upper 95 percent bound (Wilson). NULL: there are none.'),
    ('gateway_products', 'average_vip_revenue', 'Revenue per customer of vip_customers. Money of the order lines. NULL: there are none.'),
    ('gateway_products', 'average_revenue', 'Revenue per customer. Money of the order lines.'),
    ('gateway_products', 'second_order_365_rate', 'Share 0-1 with a second order within 365 days (Kaplan-Meier, so that young customers do not look unfaithful). NULL: nobody was watched that long.'),
    ('gateway_products', 'second_order_365_rate_low', 'Lower 95 percent bound (log-log). NULL: undefined.'),
    ('gateway_products', 'second_order_365_rate_high', 'Upper 95 percent bound (log-log). NULL: undefined.'),
    ('gateway_products', 'revenue_after_first_order', 'Revenue per customer without the lines of the first order. Money of the order lines.'),
    ('gateway_products', 'revenue_after_first_order_low', 'Lower 95 percent bound (Student). Money of the order lines. NULL: fewer than two customers.'),
    ('gateway_products', 'revenue_after_first_order_high', 'Upper 95 percent bound (Student). Money of the order lines. NULL: fewer than two customers.'),

    ('gateway_moments', NULL, 'What gateway_lift compares: counts, averages and variances by category of the first order. One row per category.'),
    ('gateway_moments', 'category', 'Category of the first order.'),
    ('gateway_moments', 'customers', 'Customers whose first order it stands for.'),
    ('gateway_moments', 'average_revenue', 'Revenue per customer. Money of the order lines.'),
    ('gateway_moments', 'variance_revenue', 'Sample variance of the revenue. NULL: fewer than two customers.'),
    ('gateway_moments', 'revenue_after_first_order', 'Revenue per customer without the lines of the first order. Money of the order lines.'),
    ('gateway_moments', 'variance_after_first_order', 'Sample variance of the revenue without the lines of the first order. NULL: fewer than two customers.'),

    ('channel_maturity', NULL, 'Do channels bring customers who become VIP? One row per channel.'),
    ('channel_maturity', 'channel', 'Channel of the account. NULL: unknown.'),
    ('channel_maturity', 'customers', 'Customers from this channel.'),
    ('channel_maturity', 'vip_customers', 'Of them in segments of stage vip.'),
    ('channel_maturity', 'promising_high', 'Of them in promising segments whose rule asks for a monetary score above 1.'),
    ('channel_maturity', 'promising_low', 'Of them in the other promising segments.'),
    ('channel_maturity', 'active_customers', 'vip_customers, promising_high and promising_low together.'),
    ('channel_maturity', 'maturity_rate', 'vip_customers divided by active_customers, 0-1. NULL: there are none.'),
    ('channel_maturity', 'maturity_rate_low', 'Lower 95 percent bound (Wilson). NULL: there are none.'),
    ('channel_maturity', 'maturity_rate_high', 'Upper 95 percent bound (Wilson). NULL: there are none.'),
    ('channel_maturity', 'average_vip_revenue', 'Revenue per customer of vip_customers. Money of the order lines. NULL: there are none.'),
    ('channel_maturity', 'p_value', 'How often chance alone would make the rates of all channels differ as much (chi-square), the same in every row; below 0.05 they differ. NULL: fewer than two channels with active customers, or an expected count below 5.'),

    ('repurchase_timing', NULL, 'How long do customers take to the second order? One row per segment and bucket, of customers who have one: to see how many ever do, read repurchase_curve.'),
    ('repurchase_timing', 'segment', 'Name of the segment.'),
    ('repurchase_timing', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('repurchase_timing', 'bucket_order', 'Place of the bucket, 1 to 6.'),
    ('repurchase_timing', 'bucket', 'Days from the first to the second order; each bucket begins where the one before ends.'),
    ('repurchase_timing', 'customers', 'Customers of the segment in the bucket.'),
    ('repurchase_timing', 'customer_share', 'Share 0-1 of those of the segment with a second order. NULL: there are none.'),
    ('repurchase_timing', 'average_days', 'Average days from the first to the second order. NULL: no customers.'),
    ('repurchase_timing', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('repurchase_timing', 'speed_class', 'quick (up to 30 days), medium (31 to 60) or slow.'),

    ('repurchase_curve', NULL, 'How many of all first-time buyers have ordered again after so many days (Kaplan-Meier; who has not yet counts up to as_of)? One row per day on which something happened, while at least 30 are at risk.'),
    ('repurchase_curve', 'days_since_first_order', 'Days since the first order.'),
    ('repurchase_curve', 'customers_at_risk', 'Customers without a second order at the start of the day, watched at least that long.'),
    ('repurchase_curve', 'repurchased', 'Customers with their second order on this day.'),
    ('repurchase_curve', 'censored', 'Customers without a second order whose watch ends on this day.'),
    ('repurchase_curve', 'cumulative_repurchase_rate', 'Share 0-1 with a second order up to this day.'),
    ('repurchase_curve', 'cumulative_repurchase_rate_low', 'Lower 95 percent bound (log-log). NULL: undefined.'),
    ('repurchase_curve', 'cumulative_repurchase_rate_high', 'Upper 95 percent bound (log-log). NULL: undefined.'),

    ('first_purchase_timing', NULL, 'How long after sign-up was the first order, and what became of the customers? One row per bucket; customers without a sign-up time are in none.'),
    ('first_purchase_timing', 'bucket_order', 'Place of the bucket, 1 to 7.'),
    ('first_purchase_timing', 'bucket', 'Days from sign-up to the first order.'),
    ('first_purchase_timing', 'customers', 'Customers in the bucket.'),
    ('first_purchase_timing', 'repurchase_rate', 'Share 0-1 with at least two orders in the window. NULL: no customers.'),
    ('first_purchase_timing', 'average_revenue', 'Revenue per customer. Money of the order lines. NULL: no customers.'),
    ('first_purchase_timing', 'vip_share', 'Share 0-1 in segments of stage vip. NULL: no customers.'),

    ('cohort_retention', NULL, 'Which customers come back, month by month? One row per month of first order and month since, of all time.'),
    ('cohort_retention', 'cohort_month', 'First day of the month of the first order.'),
    ('cohort_retention', 'months_since', 'Months since, from 0.'),
    ('cohort_retention', 'cohort_customers', 'Customers with their first order in cohort_month.'),
    ('cohort_retention', 'active_customers', 'Of them with a purchase in this month.'),
    ('cohort_retention', 'retention_rate', 'active_customers divided by cohort_customers, 0-1; 1 in month 0.'),
    ('cohort_retention', 'revenue', 'Their revenue in this month, refunds subtracted. Money of the order lines.'),
    ('cohort_retention', 'is_complete', 'Whether the month had ended at as_of.'),

    ('action_texts', NULL, 'What to do for the customers of each segment; edit and extend it, action_plan shows it at once.'),
    ('action_plan', NULL, 'Who, what and when: one row per segment of the rules in force.'),
    ('action_plan', 'segment', 'Name of the segment.'),
    ('action_plan', 'segment_rank', 'Place of the segment among the rules, from 1.'),
    ('action_plan', 'stage', 'What the segment is: vip, loyal, promising, attention, risk or other.'),
    ('action_plan', 'goal', 'What the customers shall do. NULL: action_texts has no row for the segment.'),
    ('action_plan', 'action', 'What to do for it.'),
    ('action_plan', 'timing', 'When, after which trigger.'),
    ('action_plan', 'customers', 'Customers it addresses.'),
    ('action_plan', 'revenue', 'Their revenue so far. Money of the order lines.'),

    ('campaigns', NULL, 'The campaigns to be weighed, one row each: parameters only, audience and order value come from the model. Edit them; roi shows them at once.'),
    ('roi', NULL, 'What the campaigns bring and cost: one row per campaign, then a total in which each customer counts once, for the first campaign that addresses him. Shifting the budget between channels is no campaign here: read p_value in channel_maturity first.'),
    ('roi', 'campaign_order', 'Place of the campaign. NULL: the total.'),
    ('roi', 'campaign', 'Name of the campaign, or Total.'),
    ('roi', 'audience', 'Customers addressed.'),
    ('roi', 'response_rate', 'Share 0-1 of the audience that responds.'),
    ('roi', 'conversion_rate', 'Share 0-1 of those who respond that buys.'),
    ('roi', 'baseline_rate', 'Share 0-1 of those who respond that would have bought anyway.'),
    ('roi', 'order_value', 'What a buyer spends. Money of the order lines. NULL: nobody to take it from; then note says why, and what follows is NULL.'),
    ('roi', 'margin_rate', 'Margin as a share of revenue, -1 to 1.'),
    ('roi', 'responders', 'Customers who respond, expected.'),
    ('roi', 'buyers', 'Customers who buy, expected.'),
    ('roi', 'added_buyers', 'Customers who would not have bought otherwise, expected; negative where fewer buy than anyway.'),
    ('roi', 'added_revenue', 'Revenue from added_buyers. Money of the order lines.'),
    ('roi', 'gross_profit', 'margin_rate of added_revenue. Money of the order lines.'),
    ('roi', 'cost', 'Incentives for all buyers, operation, contacts and fixed cost. Money of the order lines.'),
    ('roi', 'net_profit', 'gross_profit without cost. Money of the order lines.'),
    ('roi', 'roi_percent', '100 times net_profit divided by cost. NULL: no cost.'),
    ('roi', 'roas_percent', '100 times added_revenue divided by cost. NULL: no cost.'),
    ('roi', 'break_even_conversion', 'Conversion rate 0-1 with a net_profit of 0. NULL: there is none from 0 to 1, or any would do.'),
    ('roi', 'net_profit_p05', 'Net profit that is missed in 5 percent of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'net_profit_p50', 'Median net profit of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'net_profit_p95', 'Net profit that is exceeded in 5 percent of the simulated runs. NULL: the rates are assumptions.'),
    ('roi', 'probability_of_profit', 'Share 0-1 of the simulated runs with a profit. NULL: the rates are assumptions.'),
    ('roi', 'note', 'What to know before believing the row. NULL: nothing special.'))
    AS c(relation, column_name, comment);
END;
COMMENT ON FUNCTION rfm.view_comments() IS 'Internal. The comments on the relations and columns of a model.';
-- 80_campaigns: what a campaign brings and costs.

CREATE FUNCTION rfm.roi_simulate(audience bigint, response_rate double precision, conversion_rate double precision, order_value numeric,
                                 incentive_rate double precision DEFAULT 0.15, operating_rate double precision DEFAULT 0.05,
                                 margin_rate double precision DEFAULT 1, baseline_rate double precision DEFAULT 0,
                                 contact_cost numeric DEFAULT 0, fixed_cost numeric DEFAULT 0,
                                 response_n bigint DEFAULT NULL, conversion_n bigint DEFAULT NULL,
                                 runs integer DEFAULT 10000, seed bigint DEFAULT 0,
                                 OUT responders numeric, OUT buyers numeric, OUT added_buyers numeric, OUT added_revenue numeric,
                                 OUT gross_profit numeric, OUT cost numeric, OUT net_profit numeric,
                                 OUT roi_percent double precision, OUT roas_percent double precision, OUT break_even_conversion double precision,
                                 OUT net_profit_p05 numeric, OUT net_profit_p50 numeric, OUT net_profit_p95 numeric,
                                 OUT probability_of_profit double precision)
    LANGUAGE C IMMUTABLE PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'rfm_roi_simulate';
COMMENT ON FUNCTION rfm.roi_simulate(bigint, double precision, double precision, numeric, double precision, double precision, double precision, double precision, numeric, numeric, bigint, bigint, integer, bigint) IS
'What a campaign brings and costs. Expected, in decimal, rounded to 4 decimals: responders = audience * response_rate; buyers = responders * conversion_rate; added_buyers = responders * (conversion_rate - baseline_rate); added_revenue = added_buyers * order_value; gross_profit = margin_rate * added_revenue; cost = incentive_rate * buyers * order_value + operating_rate * added_revenue + contact_cost * audience + fixed_cost; net_profit = gross_profit - cost. roi_percent = 100 * net_profit / cost and roas_percent = 100 * added_revenue / cost, NULL unless cost is above 0; with the default rates they are 400 and 500 whatever the response: an assumption, no finding. break_even_conversion is the conversion rate with a net_profit of 0, NULL if there is none from 0 to 1 or any would do.
With response_n or conversion_n, the numbers of customers that the rates were observed on, the campaign is run so many times: rates drawn from Beta(rate * n + 1/2, (1 - rate) * n + 1/2), a rate without n taken as certain, responders and buyers from binomials. net_profit_p05, p50 and p95 are percentiles (type 7) of the runs, probability_of_profit the share of runs with a net_profit above 0; NULL without either n. The same seed gives the same answer on every machine.
Rates are shares 0-1, margin_rate from -1 (sold below cost); money is in the currency of order_value, not negative; audience up to 2^53, runs 1 to 10000000, n at least 1. Anything else, and NaN, is an error. All NULL when an argument other than the two n is NULL. Example: SELECT * FROM rfm.roi_simulate(audience => 1000, response_rate => 0.1, conversion_rate => 0.3, order_value => 80);';

-- what to do for each segment

CREATE TYPE rfm.action_text AS (segment text, goal text, action text, timing text);
COMMENT ON TYPE rfm.action_text IS 'What to do for the customers of a segment; a row of the table action_texts of a model.';
COMMENT ON COLUMN rfm.action_text.segment IS 'Name of the segment.';
COMMENT ON COLUMN rfm.action_text.goal IS 'What the customers shall do.';
COMMENT ON COLUMN rfm.action_text.action IS 'What to do for it.';
COMMENT ON COLUMN rfm.action_text.timing IS 'When, after which trigger.';

CREATE FUNCTION rfm.default_action_texts() RETURNS SETOF rfm.action_text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT * FROM (VALUES
    ('VIP Champions', 'Keep them, and let them bring others', 'Early access, a personal contact, a reward for recommending; no discounts', 'Within 3 days of each order; a thank-you on every anniversary of the first order'),
    ('Loyal High Value', 'One order more within 90 days', 'Bundles and refills of what they buy; show what is missing to VIP', 'Day 14 and 45 after each order'),
    ('Loyal Low Value', 'A larger basket', 'Free shipping from a sum above their usual basket, sets instead of single pieces', 'At the next visit; day 21 after each order'),
    ('Promising High Value', 'The second order', 'Thank you, how-to-use, accessories for the first purchase, then an offer with an end date', 'Day 1, 3, 7, 14 and 30 after the first order'),
    ('Promising Low Value', 'The second order, at low cost', 'Automatic mail: best sellers of the first category, small voucher at the end', 'Day 3, 14 and 30 after the first order'),
    ('Need Attention', 'Win them back while they remember', 'A personal message naming what they bought, a strong offer for a short time', 'Now, then once more after 14 days; day 180 after the last order from now on'),
    ('At Risk', 'Any order before they are gone', 'Reminder with what is new since their order, one voucher', 'Day 180, 210 and 240 after the first order'),
    ('Hibernating', 'Find the few who still read', 'One cheap campaign a season; who does not open it leaves the list', 'Twice a year, before the season'),
    ('Champions', 'Keep them, and let them bring others', 'Early access, a personal contact, a reward for recommending; no discounts', 'Within 3 days of each order; a thank-you on every anniversary of the first order'),
    ('Potential Loyalist', 'A habit of ordering', 'Membership, bundles and refills of what they buy', 'Day 14 and 45 after each order'),
    ('Loyal Customers', 'A larger basket', 'Sets instead of single pieces, free shipping from a sum above their usual basket', 'Day 21 after each order'),
    ('Promising', 'The second order', 'Accessories for the first purchase, then an offer with an end date', 'Day 3, 7, 14 and 30 after the first order'),
    ('New Customers', 'A good start', 'Thank you, how-to-use, best sellers of the first category', 'Day 1, 3, 7, 14 and 30 after the first order'),
    ('Can''t Lose Them', 'Win them back at almost any price', 'A call or a letter, their former contact, a strong offer', 'Now, then once more after 14 days'),
    ('About To Sleep', 'Any order before they are gone', 'Reminder with what is new, one voucher', 'Now, then day 30'),
    ('Lost', 'Find the few who still read', 'One cheap campaign a season; who does not open it leaves the list', 'Twice a year, before the season'),
    ('Others', 'Know them', 'Nothing of their own; read their scores before you spend on them', 'At the next review of the rules'))
    AS t(segment, goal, action, timing);
END;
COMMENT ON FUNCTION rfm.default_action_texts() IS 'The texts that a new model starts with, for the segments of both sets of rules. Example: SELECT * FROM rfm.default_action_texts();';

-- campaigns

CREATE TYPE rfm.campaign AS (
    campaign_order  smallint,
    campaign        text,
    audience_of     text,
    segment         text,
    audience        bigint,
    order_value     numeric,
    response_rate   double precision,
    conversion_rate double precision,
    baseline_rate   double precision,
    incentive_rate  double precision,
    operating_rate  double precision,
    margin_rate     double precision,
    contact_cost    numeric,
    fixed_cost      numeric,
    response_n      bigint,
    conversion_n    bigint
);
COMMENT ON TYPE rfm.campaign IS 'A campaign and its parameters; a row of the table campaigns of a model.';
COMMENT ON COLUMN rfm.campaign.campaign_order IS 'Place of the campaign; in the total a customer counts for the first one that addresses him.';
COMMENT ON COLUMN rfm.campaign.campaign IS 'Its name.';
COMMENT ON COLUMN rfm.campaign.audience_of IS 'Whom it addresses: inactive promising high, inactive promising low (promising customers without return session), recent one-order (one order, younger than 90 days), segment (all of the column segment), or given (audience and order_value as given).';
COMMENT ON COLUMN rfm.campaign.segment IS 'Name of the segment, needed for audience_of segment.';
COMMENT ON COLUMN rfm.campaign.audience IS 'Customers addressed. NULL: counted in the model; needed for audience_of given.';
COMMENT ON COLUMN rfm.campaign.order_value IS 'What a buyer spends, money of the order lines. NULL: from the model, for inactive promising the average revenue of their peers with 2 or 3 return sessions, else the average order value of the audience.';
COMMENT ON COLUMN rfm.campaign.response_rate IS 'Share 0-1 of the audience that responds.';
COMMENT ON COLUMN rfm.campaign.conversion_rate IS 'Share 0-1 of those who respond that buys.';
COMMENT ON COLUMN rfm.campaign.baseline_rate IS 'Share 0-1 of those who respond that would have bought anyway. NULL: 0, for recent one-order the rate of second orders within 90 days.';
COMMENT ON COLUMN rfm.campaign.incentive_rate IS 'Discount as a share 0-1 of what every buyer spends. Default 0.15.';
COMMENT ON COLUMN rfm.campaign.operating_rate IS 'Operating cost as a share 0-1 of the added revenue. Default 0.05.';
COMMENT ON COLUMN rfm.campaign.margin_rate IS 'Margin as a share of revenue, -1 (sold below cost) to 1. NULL: that of the model, or 1 where product costs are not known.';
COMMENT ON COLUMN rfm.campaign.contact_cost IS 'Cost of addressing one customer, money of the order lines. Default 0.';
COMMENT ON COLUMN rfm.campaign.fixed_cost IS 'Cost of the campaign as such, money of the order lines. Default 0.';
COMMENT ON COLUMN rfm.campaign.response_n IS 'Number of customers response_rate was observed on. NULL: an assumption.';
COMMENT ON COLUMN rfm.campaign.conversion_n IS 'Number of customers conversion_rate was observed on. NULL: an assumption.';

CREATE FUNCTION rfm.default_campaigns() RETURNS SETOF rfm.campaign
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT o::smallint, c, a, s, NULL::bigint, NULL::numeric, r, v, NULL::float8, 0.15::float8, 0.05::float8, NULL::float8,
           0::numeric, 0::numeric, NULL::bigint, NULL::bigint
    FROM (VALUES
        (1, '1-A wake Promising High Value', 'inactive promising high', NULL, 0.30::float8, 0.50::float8),
        (2, '1-B wake Promising Low Value', 'inactive promising low', NULL, 0.20, 0.35),
        (3, '2 second order within 90 days', 'recent one-order', NULL, 1, 0.50),
        (4, '3 win back Need Attention', 'segment', 'Need Attention', 0.10, 1),
        (5, '3 win back At Risk', 'segment', 'At Risk', 0.05, 1),
        (6, '3 win back Hibernating', 'segment', 'Hibernating', 0.02, 1)) d(o, c, a, s, r, v);
END;
COMMENT ON FUNCTION rfm.default_campaigns() IS
    'The campaigns that a new model starts with: parameters only. Audiences, order values, baseline and margin are computed from the model. Example: SELECT * FROM rfm.default_campaigns();';

CREATE FUNCTION rfm.make_campaigns(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I.action_texts OF rfm.action_text (segment PRIMARY KEY)', model);
    EXECUTE format('INSERT INTO %I.action_texts SELECT * FROM rfm.default_action_texts()', model);
    EXECUTE format('CREATE TABLE %I.campaigns OF rfm.campaign (campaign_order PRIMARY KEY, campaign WITH OPTIONS NOT NULL UNIQUE,'
        ' audience_of WITH OPTIONS NOT NULL'
        ' CONSTRAINT "audience_of must be one of those in its comment" CHECK (audience_of IN (''inactive promising high'', ''inactive promising low'','
        ' ''recent one-order'', ''segment'', ''given'')),'
        ' response_rate WITH OPTIONS NOT NULL CONSTRAINT "response_rate must be a share from 0 to 1" CHECK (response_rate BETWEEN 0 AND 1),'
        ' conversion_rate WITH OPTIONS NOT NULL CONSTRAINT "conversion_rate must be a share from 0 to 1" CHECK (conversion_rate BETWEEN 0 AND 1),'
        ' baseline_rate WITH OPTIONS CONSTRAINT "baseline_rate must be a share from 0 to 1" CHECK (baseline_rate BETWEEN 0 AND 1),'
        ' incentive_rate WITH OPTIONS NOT NULL DEFAULT 0.15 CONSTRAINT "incentive_rate must be a share from 0 to 1" CHECK (incentive_rate BETWEEN 0 AND 1),'
        ' operating_rate WITH OPTIONS NOT NULL DEFAULT 0.05 CONSTRAINT "operating_rate must be a share from 0 to 1" CHECK (operating_rate BETWEEN 0 AND 1),'
        ' margin_rate WITH OPTIONS CONSTRAINT "margin_rate must be a share from -1 to 1" CHECK (margin_rate BETWEEN -1 AND 1),'
        ' contact_cost WITH OPTIONS NOT NULL DEFAULT 0 CONSTRAINT "contact_cost must not be negative" CHECK (contact_cost >= 0),'
        ' fixed_cost WITH OPTIONS NOT NULL DEFAULT 0 CONSTRAINT "fixed_cost must not be negative" CHECK (fixed_cost >= 0),'
        ' audience WITH OPTIONS CONSTRAINT "audience must not be negative" CHECK (audience >= 0),'
        ' order_value WITH OPTIONS CONSTRAINT "order_value must not be negative" CHECK (order_value >= 0),'
        ' response_n WITH OPTIONS CONSTRAINT "response_n must be positive" CHECK (response_n > 0),'
        ' conversion_n WITH OPTIONS CONSTRAINT "conversion_n must be positive" CHECK (conversion_n > 0),'
        ' CONSTRAINT "segment must be named for audience_of segment" CHECK (audience_of <> ''segment'' OR segment IS NOT NULL),'
        ' CONSTRAINT "audience and order_value are needed for audience_of given"'
        ' CHECK (audience_of <> ''given'' OR audience IS NOT NULL AND order_value IS NOT NULL))', model);
    EXECUTE format('INSERT INTO %I.campaigns SELECT * FROM rfm.default_campaigns()', model);
END $$;
COMMENT ON FUNCTION rfm.make_campaigns(text) IS 'Internal. Makes and fills the tables action_texts and campaigns of a model.';

CREATE FUNCTION rfm.campaign_queries(model text) RETURNS TABLE (name text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    name := 'action_plan';
    query := format($q$
        SELECT s.segment, s.segment_rank, s.stage, t.goal, t.action, t.timing, s.customers, s.revenue
        FROM %1$I.segments s LEFT JOIN %1$I.action_texts t USING (segment)
        ORDER BY s.segment_rank $q$, model);
    RETURN NEXT;

    name := 'roi';
    query := format($q$
        WITH model AS MATERIALIZED (SELECT margin_rate, survival, audiences FROM %1$I.summaries),
        -- whom a campaign addresses depends on no more than this of a customer
        cells AS (
            SELECT row_number() OVER () AS cell, a.customers, a.revenue, a.orders, a.value::int & 1 <> 0 AS is_idle,
                   a.value::int & 2 <> 0 AS is_back, a.value::int & 4 <> 0 AS is_recent, l.segment, l.stage, l.m_min > 1 AS is_high
            FROM model CROSS JOIN LATERAL unnest(audiences) a JOIN %1$I.segment_list l USING (segment_rank)),
        peers AS (
            SELECT is_high, greatest(0, sum(revenue) / sum(customers)) AS order_value FROM cells
            WHERE stage = 'promising' AND is_back GROUP BY is_high),
        members AS (
            SELECT p.campaign_order, c.customers, c.revenue, c.orders,
                   min(p.campaign_order) OVER (PARTITION BY c.cell) = p.campaign_order AS is_first
            FROM %1$I.campaigns p JOIN cells c ON CASE p.audience_of
                WHEN 'inactive promising high' THEN c.stage = 'promising' AND c.is_high AND c.is_idle
                WHEN 'inactive promising low' THEN c.stage = 'promising' AND NOT c.is_high AND c.is_idle
                WHEN 'recent one-order' THEN c.is_recent
                WHEN 'segment' THEN c.segment = p.segment ELSE false END),
        counted AS (
            SELECT campaign_order, sum(customers)::bigint AS audience, sum(customers) FILTER (WHERE is_first)::bigint AS first_audience,
                   greatest(0, sum(revenue) / sum(orders)) AS order_value
            FROM members GROUP BY campaign_order),
        parameters AS (
            SELECT p.campaign_order, p.campaign, CASE p.audience_of WHEN 'segment' THEN 'in the segment ' || p.segment ELSE p.audience_of END AS members,
                   coalesce(p.audience, c.audience, 0) AS audience,
                   coalesce(p.audience, c.first_audience, 0) AS first_audience,
                   p.response_rate, p.conversion_rate,
                   coalesce(p.baseline_rate, CASE WHEN p.audience_of = 'recent one-order' THEN k.rate END, 0) AS baseline_rate,
                   coalesce(p.order_value, CASE WHEN p.audience_of LIKE 'inactive promising %%' THEN v.order_value
                                                ELSE c.order_value END) AS order_value,
                   p.incentive_rate, p.operating_rate, coalesce(p.margin_rate, m.margin_rate, 1) AS margin_rate,
                   p.contact_cost, p.fixed_cost, p.response_n, p.conversion_n
            FROM %1$I.campaigns p
            CROSS JOIN model m
            LEFT JOIN LATERAL rfm.kaplan_meier_rate(m.survival, 90) k ON true
            LEFT JOIN counted c USING (campaign_order)
            LEFT JOIN peers v ON v.is_high = (p.audience_of = 'inactive promising high')),
        -- costs in another unit than the order lines give a margin that cannot be weighed
        weighed AS (
            SELECT p.*, p.margin_rate BETWEEN -1 AND 1 AS has_margin, bool_and(p.margin_rate BETWEEN -1 AND 1) OVER () AS all_have_margin
            FROM parameters p)
        SELECT p.campaign_order, p.campaign, p.audience, p.response_rate, p.conversion_rate, p.baseline_rate, p.order_value, p.margin_rate,
               r.responders, r.buyers, r.added_buyers, r.added_revenue, r.gross_profit, r.cost, r.net_profit, r.roi_percent, r.roas_percent,
               r.break_even_conversion, r.net_profit_p05, r.net_profit_p50, r.net_profit_p95, r.probability_of_profit,
               CASE WHEN NOT p.has_margin
                    THEN 'The margin of the model is not between -1 and 1: correct the costs of the products, or set margin_rate in campaigns'
                    WHEN p.baseline_rate = 0 AND p.contact_cost = 0 AND p.fixed_cost = 0 AND r.roi_percent IS NOT NULL
                    THEN 'ROI is ' || round(r.roi_percent::numeric) || ' %% by construction: margin, incentive and operating rate alone give it, whatever the response'
                    WHEN p.audience = 0 AND p.members <> 'given' THEN 'It addresses nobody: no customer is ' || p.members
                        || CASE WHEN p.members LIKE 'inactive %%' THEN ', or the model has no visits to tell' ELSE '' END
                    WHEN p.order_value IS NULL THEN 'Nobody to take an order value from: set order_value in campaigns' END AS note
        FROM weighed p
        CROSS JOIN LATERAL rfm.roi_simulate(p.audience, p.response_rate, p.conversion_rate, p.order_value, p.incentive_rate,
            p.operating_rate, CASE WHEN p.has_margin THEN p.margin_rate END, p.baseline_rate, p.contact_cost, p.fixed_cost, p.response_n, p.conversion_n) r
        UNION ALL
        SELECT NULL, 'Total', sum(p.first_audience)::bigint, NULL, NULL, NULL, NULL, NULL,
               sum(r.responders), sum(r.buyers), sum(r.added_buyers), sum(r.added_revenue), sum(r.gross_profit), sum(r.cost), sum(r.net_profit),
               (100 * sum(r.net_profit) / nullif(sum(r.cost), 0))::float8, (100 * sum(r.added_revenue) / nullif(sum(r.cost), 0))::float8,
               NULL, NULL, NULL, NULL, NULL, 'Each customer counts once, for the first campaign that addresses him'
        FROM weighed p
        CROSS JOIN LATERAL rfm.roi_simulate(p.first_audience, p.response_rate, p.conversion_rate, p.order_value, p.incentive_rate,
            p.operating_rate, CASE WHEN p.all_have_margin THEN p.margin_rate END, p.baseline_rate, p.contact_cost, p.fixed_cost) r
        ORDER BY 1 NULLS LAST $q$, model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.campaign_queries(text) IS 'Internal. The views action_plan and roi of a model, with their SQL.';

-- the functions of a model about them

CREATE FUNCTION rfm.campaign_functions(model text, settings rfm.settings)
    RETURNS TABLE (name text, types text, arguments text, result text, body text, comment text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF settings.products IS NOT NULL THEN
        name := 'gateway_lift';
        types := 'text, text';
        arguments := 'category_a text, category_b text';
        result := 'TABLE (measure text, population text, customers_a bigint, customers_b bigint, average_a numeric, average_b numeric,'
            ' difference double precision, difference_low double precision, difference_high double precision)';
        body := format($b$
            DECLARE
                missing text := (SELECT c FROM unnest(ARRAY[category_a, category_b]) c
                                 WHERE NOT EXISTS (SELECT FROM %1$I.gateway_moments g WHERE g.category = c) LIMIT 1);
            BEGIN
                IF missing IS NOT NULL OR category_a IS NULL OR category_b IS NULL THEN
                    RAISE EXCEPTION 'no customer has a first order of category %%', coalesce(quote_literal(missing), 'NULL')
                        USING ERRCODE = 'no_data_found', HINT = format('SELECT name FROM %%I.gateway_products WHERE level = ''category'' lists them.', %1$L);
                END IF;
                RETURN QUERY
                SELECT v.measure, 'customers with a purchase in the window, by category of the first order', a.customers, b.customers,
                       v.average_a, v.average_b, w.difference, w.low, w.high
                FROM %1$I.gateway_moments a
                CROSS JOIN %1$I.gateway_moments b
                CROSS JOIN LATERAL (VALUES
                    ('average revenue', a.average_revenue, a.variance_revenue, b.average_revenue, b.variance_revenue),
                    ('revenue after the first order', a.revenue_after_first_order, a.variance_after_first_order,
                     b.revenue_after_first_order, b.variance_after_first_order)) v(measure, average_a, variance_a, average_b, variance_b)
                CROSS JOIN LATERAL rfm.welch_interval(a.customers, v.average_a::float8, v.variance_a::float8,
                                                      b.customers, v.average_b::float8, v.variance_b::float8) w
                WHERE a.category = category_a AND b.category = category_b;
            END $b$, model);
        comment := 'How much more the customers of one first category are worth than those of another: average revenue, and revenue after the first order, which an expensive first basket does not raise by itself; difference with its 95 percent interval (Welch; NULL where a category has a single customer). An unknown category is an error.'
            || format(' Example: SELECT * FROM %I.gateway_lift(''Jeans'', ''Socks'');', model);
        RETURN NEXT;
    END IF;

    name := 'roi_sensitivity';
    types := 'text';
    arguments := 'campaign text';
    result := 'TABLE (response_rate double precision, conversion_rate double precision, buyers numeric, net_profit numeric, roi_percent double precision)';
    body := format($b$
        DECLARE
            c record;
        BEGIN
            SELECT r.audience, r.order_value, r.baseline_rate, r.margin_rate, p.incentive_rate, p.operating_rate, p.contact_cost, p.fixed_cost
            INTO c
            FROM %1$I.roi r JOIN %1$I.campaigns p USING (campaign_order)
            WHERE p.campaign = roi_sensitivity.campaign;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'there is no campaign %%', coalesce(quote_literal(campaign), 'NULL')
                    USING ERRCODE = 'no_data_found', HINT = format('SELECT campaign FROM %%I.campaigns lists them.', %1$L);
            END IF;
            RETURN QUERY
            SELECT (x / 20.0)::float8, (y / 20.0)::float8, s.buyers, s.net_profit, s.roi_percent
            FROM generate_series(1, 20) x CROSS JOIN generate_series(1, 20) y
            CROSS JOIN LATERAL rfm.roi_simulate(c.audience, (x / 20.0)::float8, (y / 20.0)::float8, c.order_value, c.incentive_rate,
                c.operating_rate, CASE WHEN c.margin_rate BETWEEN -1 AND 1 THEN c.margin_rate END, c.baseline_rate, c.contact_cost, c.fixed_cost) s
            ORDER BY x, y;
        END $b$, model);
    comment := 'A campaign at other rates: what it brings for every response and conversion rate from 0.05 to 1 in steps of 0.05, all else as in roi; for a heat map. NULL where roi has no figures. An unknown campaign is an error.'
        || format(' Example: SELECT * FROM %I.roi_sensitivity(''2 second order within 90 days'');', model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.campaign_functions(text, rfm.settings) IS 'Internal. The functions gateway_lift and roi_sensitivity of a model.';
-- 81_functions: the functions that a model has in its schema.

CREATE FUNCTION rfm.model_functions(model text, settings rfm.settings, grouped boolean)
    RETURNS TABLE (name text, types text, arguments text, result text, body text, comment text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM rfm.campaign_functions(model, settings);
    RETURN QUERY SELECT * FROM rfm.time_functions(model, settings, grouped);
    RETURN QUERY SELECT * FROM rfm.explain_functions(model, settings, grouped);
END $$;
COMMENT ON FUNCTION rfm.model_functions(text, rfm.settings, boolean) IS
    'Internal. The functions of a model: the types that tell them apart, arguments, result, body in PL/pgSQL and comment.';

CREATE FUNCTION rfm.own_functions(model text) RETURNS regprocedure[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ARRAY(SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
                 WHERE n.nspname OPERATOR(pg_catalog.=) model::pg_catalog.name
                   AND (pg_catalog.format('%s(%s)', p.proname, pg_catalog.oidvectortypes(p.proargtypes)) OPERATOR(pg_catalog.=) ANY (ARRAY[
                       'gateway_lift(text, text)', 'roi_sensitivity(text)', 'customers_at(timestamp without time zone)',
                       'segment_migration(timestamp without time zone, timestamp without time zone)', 'explain_customer(smallint)',
                       'explain_customer(integer)', 'explain_customer(bigint)', 'explain_customer(uuid)', 'explain_customer(text)'])
                        OR p.proname OPERATOR(pg_catalog.~) '^record_changes_[0-9]+$' AND p.pronargs OPERATOR(pg_catalog.=) 0
                        AND p.prorettype OPERATOR(pg_catalog.=) 'pg_catalog.trigger'::pg_catalog.regtype::pg_catalog.oid)
                 ORDER BY p.proname, p.oid);
COMMENT ON FUNCTION rfm.own_functions(text) IS 'Internal. The functions that a model made.';

CREATE FUNCTION rfm.function_grants(routine regprocedure) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', routine) || array_agg(format('GRANT EXECUTE ON FUNCTION %s TO %s%s', routine,
                CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END))
            FROM pg_proc p, aclexplode(p.proacl) g WHERE p.oid = routine HAVING count(*) > 0);
END $$;
COMMENT ON FUNCTION rfm.function_grants(regprocedure) IS
    'Internal. The commands that grant again what is granted on a function; NULL when its grants are as they were made.';

-- Makes or replaces the functions of a model. One that stays keeps its grants; one whose columns change is made anew, with
-- its grants; one that the settings no longer call for goes. grouped: as for the views; NULL: to be found out.
CREATE FUNCTION rfm.make_functions(model text, settings rfm.settings, grouped boolean DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    f        record;
    made     oid[] := ARRAY[]::oid[];
    routine  regprocedure;
    name     text;
    creation text;
    command  text;
    grants   text[];
BEGIN
    FOR f IN SELECT * FROM rfm.model_functions(model, settings,
                CASE WHEN settings.storage = 'view' THEN coalesce(grouped, rfm.needs_grouping(model, settings)) END) LOOP
        name := format('%I.%I(%s)', model, f.name, f.types);
        creation := format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE plpgsql STABLE'
            ' SET search_path = pg_catalog, pg_temp SET jit = off AS %L', model, f.name, f.arguments, f.result, f.body);
        BEGIN
            EXECUTE creation;
        EXCEPTION WHEN invalid_function_definition THEN
            grants := rfm.function_grants(name::regprocedure);
            EXECUTE format('DROP FUNCTION %s', name);
            EXECUTE creation;
            FOREACH command IN ARRAY coalesce(grants, '{}') LOOP
                EXECUTE command;
            END LOOP;
        END;
        EXECUTE format('COMMENT ON FUNCTION %s IS %L', name, f.comment);
        made := made || name::regprocedure::oid;
    END LOOP;
    FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
        -- those of track_changes come and go with it
        IF routine::oid <> ALL (made) AND (SELECT prorettype <> 'trigger'::regtype FROM pg_proc WHERE oid = routine) THEN
            EXECUTE format('DROP FUNCTION %s', routine);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.make_functions(text, rfm.settings, boolean) IS 'Internal. Makes or replaces the functions of a model.';
-- 82_time: the model at another moment.

CREATE FUNCTION rfm.moment(argument text, moment timestamp, time_zone text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF moment IS NULL THEN
        RAISE EXCEPTION '% must not be NULL', argument USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Give a local time of the model, for example ''2024-01-01''.';
    ELSIF NOT isfinite(moment) THEN
        RAISE EXCEPTION '% must be finite', argument USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give a local time of the model, for example ''2024-01-01''.';
    END IF;
    RETURN moment AT TIME ZONE time_zone AT TIME ZONE 'UTC';
END $$;
COMMENT ON FUNCTION rfm.moment(text, timestamp, text) IS
    'Internal. The time of an argument, local in the time zone, as text of a timestamp in UTC; refuses NULL and infinity.';

-- SQL of the view customers at the moment in a parameter such as $1, a text that rfm.moment made: from the lines, read once.
-- Cut points from percentiles are those of that moment, the rules those in force.
CREATE FUNCTION rfm.customers_at_query(model text, settings rfm.settings, grouped boolean, parameter text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.customers_query(settings, format('(%s) x', rfm.live_scored_query(model, settings, grouped,
        CASE WHEN settings.storage = 'view' THEN format('%L::rfm.rules', rfm.rules_in_force(model, settings))
             ELSE format('(SELECT i.rules FROM %I.snapshot i)', model) END,
        format('(%s::timestamp AT TIME ZONE ''UTC'')', parameter))));
END $$;
COMMENT ON FUNCTION rfm.customers_at_query(text, rfm.settings, boolean, text) IS 'Internal. SQL of the view customers at the moment in a parameter.';

CREATE FUNCTION rfm.migration_query(model text, settings rfm.settings, grouped boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format($q$
        SELECT coalesce(a.segment, 'New') AS source, a.segment_rank AS source_rank, coalesce(b.segment, 'Gone') AS target,
               b.segment_rank AS target_rank, count(*) AS customers, sum(coalesce(b.revenue, a.revenue)) AS revenue
        FROM (SELECT customer_id, segment, segment_rank, revenue FROM (%s) x) a
        FULL JOIN (SELECT customer_id, segment, segment_rank, revenue FROM (%s) x) b ON b.customer_id = a.customer_id
        GROUP BY a.segment, a.segment_rank, b.segment, b.segment_rank
        ORDER BY a.segment_rank, b.segment_rank $q$,
        rfm.customers_at_query(model, settings, grouped, '$1'), rfm.customers_at_query(model, settings, grouped, '$2'));
END $$;
COMMENT ON FUNCTION rfm.migration_query(text, rfm.settings, boolean) IS
    'Internal. SQL of the customers by their segments at the moments $1 and $2.';

-- Which of the two queries a function runs. What is stored tells how many customers there are when it is called; without it,
-- grouped was decided when the function was made.
CREATE FUNCTION rfm.query_choice(model text, settings rfm.settings, grouped boolean, one_pass text, by_customer text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN settings.storage <> 'view' THEN
        format('CASE WHEN (SELECT c.reltuples * 160 > %s FROM pg_class c WHERE c.oid = rfm.model_relation(%L, ''profiles'')) THEN %L ELSE %L END',
               pg_size_bytes(settings.build_memory), model, by_customer, one_pass)
        ELSE quote_literal(CASE WHEN grouped THEN by_customer ELSE one_pass END) END;
END $$;
COMMENT ON FUNCTION rfm.query_choice(text, rfm.settings, boolean, text, text) IS
    'Internal. SQL of the text of the query that a function of a model runs: in one pass over the lines, or by customer where that would exceed build_memory.';

CREATE FUNCTION rfm.time_functions(model text, settings rfm.settings, grouped boolean)
    RETURNS TABLE (name text, types text, arguments text, result text, body text, comment text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    -- the types are those of the view, which exists
    columns text := (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                     FROM pg_attribute a
                     WHERE a.attrelid = rfm.model_relation(model, 'customers') AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    name := 'customers_at';
    types := 'timestamp';
    arguments := 'as_of timestamp';
    result := format('TABLE (%s)', columns);
    body := format($b$
        DECLARE
            -- by itself: the context of its errors is not the long query below
            moment text := rfm.moment('as_of', as_of, %3$L);
        BEGIN
            RETURN QUERY SELECT * FROM rfm.rows_as_owner(%1$L, %2$s, moment) AS x(%4$s);
        END $b$, model,
        rfm.query_choice(model, s, grouped, rfm.customers_at_query(model, s, false, '$1'), rfm.customers_at_query(model, s, true, '$1')),
        s.time_zone, columns);
    comment := 'The view customers as it was, or will be without further lines, at another moment: a local time in the time zone of the model. Only lines, visits and the window before as_of count; cut points from percentiles are those of the customers then. Settings, rules, accounts, products and the lines themselves are those of today: a line that was cancelled or returned since is missing in the past, too, unless the order lines have a column voided_at that says when. Computed from the lines; for the owner of the model only. NULL or an infinite as_of is an error.'
        || format(' Example: SELECT * FROM %I.customers_at(''2024-01-01'');', model);
    RETURN NEXT;

    name := 'segment_migration';
    types := 'timestamp, timestamp';
    arguments := 'from_as_of timestamp, to_as_of timestamp DEFAULT NULL';
    result := 'TABLE (source text, source_rank smallint, target text, target_rank smallint, customers bigint, revenue numeric)';
    body := format($b$
        DECLARE
            from_moment text := rfm.moment('from_as_of', from_as_of, %3$L);
            to_moment   text := CASE WHEN to_as_of IS NULL THEN (SELECT x.as_of FROM rfm.rows_as_owner(%1$L, %4$L) AS x(as_of text))
                                     ELSE rfm.moment('to_as_of', to_as_of, %3$L) END;
        BEGIN
            IF from_moment::timestamp > to_moment::timestamp THEN
                RAISE EXCEPTION 'from_as_of is later than %%', CASE WHEN to_as_of IS NULL THEN 'as_of of the model' ELSE 'to_as_of' END
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the earlier moment first.';
            END IF;
            RETURN QUERY SELECT * FROM rfm.rows_as_owner(%1$L, %2$s, from_moment, to_moment)
                AS x(source text, source_rank smallint, target text, target_rank smallint, customers bigint, revenue numeric);
        END $b$, model,
        rfm.query_choice(model, s, grouped, rfm.migration_query(model, s, false), rfm.migration_query(model, s, true)), s.time_zone,
        format('SELECT (%s AT TIME ZONE ''UTC'')::text', CASE WHEN s.storage = 'view' THEN rfm.as_of_sql(s)
               ELSE format('(SELECT i.as_of FROM %I.snapshot i)', model) END));
    comment := 'How many customers went from one segment (source) to another (target) between two moments, both as customers_at shows them; for a Sankey diagram. Who was no customer at from_as_of comes from New, who is none at to_as_of (all his orders have left the window) is in Gone; their ranks are NULL. revenue is that at to_as_of, of those in Gone that at from_as_of. to_as_of NULL: as_of of the model. A from_as_of that is later than to_as_of, NULL or infinite is an error.'
        || format(' Example: SELECT * FROM %I.segment_migration(''2023-07-01'', ''2024-01-01'');', model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.time_functions(text, rfm.settings, boolean) IS 'Internal. The functions customers_at and segment_migration of a model.';
-- 84_explain: why a customer is where he is, and what would move him.

-- what a level of an axis means; the cut points are those of the score functions

CREATE FUNCTION rfm.whole_range(lowest numeric, highest numeric, one text, many text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN lowest IS NULL THEN format('Up to %s %s', highest, CASE highest WHEN 1 THEN one || ' is' ELSE many || ' are' END)
                WHEN highest IS NULL THEN format('%s %s and more are', lowest, CASE lowest WHEN 1 THEN one ELSE many END)
                WHEN lowest < highest THEN format('%s to %s %s are', lowest, highest, many)
                ELSE format('%s %s', lowest, CASE lowest WHEN 1 THEN one || ' is' ELSE many || ' are' END) END;
END $$;
COMMENT ON FUNCTION rfm.whole_range(numeric, numeric, text, text) IS 'Internal. A range of whole numbers of something, open where NULL, with its verb.';

CREATE FUNCTION rfm.recency_range(level integer, cutoffs numeric[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- the subscripts 0 and cardinality + 1 give NULL
    RETURN rfm.whole_range(floor(cutoffs[cardinality(cutoffs) - level + 1]) + 1, floor(cutoffs[cardinality(cutoffs) - level + 2]), 'day', 'days');
END $$;
COMMENT ON FUNCTION rfm.recency_range(integer, numeric[]) IS 'Internal. The days of a level of recency, to put before "level".';

CREATE FUNCTION rfm.frequency_range(level integer, cutoffs numeric[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.whole_range(ceil(cutoffs[level - 1]), ceil(cutoffs[level]) - 1, 'order', 'orders');
END $$;
COMMENT ON FUNCTION rfm.frequency_range(integer, numeric[]) IS 'Internal. The numbers of orders of a level of frequency, to put before "level".';

CREATE FUNCTION rfm.monetary_range(level integer, cutoffs numeric[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lowest numeric := trim_scale(cutoffs[level - 1]);
    below  numeric := trim_scale(cutoffs[level]);
BEGIN
    RETURN CASE WHEN lowest IS NULL THEN format('Revenue below %s is', below)
                WHEN below IS NULL THEN format('Revenue from %s on is', lowest)
                ELSE format('Revenue from %s to below %s is', lowest, below) END;
END $$;
COMMENT ON FUNCTION rfm.monetary_range(integer, numeric[]) IS 'Internal. The revenue of a level of monetary, to put before "level".';

CREATE FUNCTION rfm.numbers_text(numbers numeric[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT pg_catalog.string_agg(pg_catalog.trim_scale(u.n)::text, ', ' ORDER BY u.i) FROM pg_catalog.unnest(numbers) WITH ORDINALITY u(n, i));
COMMENT ON FUNCTION rfm.numbers_text(numeric[]) IS 'Internal. Numbers as a list, without trailing zeros.';

CREATE FUNCTION rfm.needs_text(name text, score integer, lowest integer, highest integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN score OPERATOR(pg_catalog.<) lowest OR score OPERATOR(pg_catalog.>) highest THEN
        pg_catalog.concat(name, ' = ', score, ', needs ', lowest, CASE WHEN highest OPERATOR(pg_catalog.>) lowest THEN pg_catalog.concat(' to ', highest) END) END;
COMMENT ON FUNCTION rfm.needs_text(text, integer, integer, integer) IS 'Internal. Says that a score is not in its range; NULL when it is.';

CREATE FUNCTION rfm.count_text(n bigint, one text, many text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.concat(n, ' ', CASE WHEN n OPERATOR(pg_catalog.=) 1 THEN one ELSE many END);
COMMENT ON FUNCTION rfm.count_text(bigint, text, text) IS 'Internal. A number with its noun.';

CREATE FUNCTION rfm.further_text(orders bigint, amount numeric) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rfm.count_text(orders, 'further order', 'further orders')
        || CASE WHEN amount = 0 THEN ' of any amount' WHEN orders = 1 THEN format(' of at least %s', amount)
                ELSE format(' of together at least %s', amount) END;
END $$;
COMMENT ON FUNCTION rfm.further_text(bigint, numeric) IS 'Internal. So many further orders that come to so much.';

CREATE FUNCTION rfm.local_text(at timestamptz, time_zone text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN isfinite(at) THEN rtrim(rtrim(to_char(at AT TIME ZONE time_zone, 'YYYY-MM-DD HH24:MI:SS.US'), '0'), '.') ELSE at::text END;
END $$;
COMMENT ON FUNCTION rfm.local_text(timestamptz, text) IS 'Internal. A time as local text, the same in every session.';

-- what would move a customer

-- Every cell of the cube that further orders reach: at least one order, of any amount, placed at recency order_days. Fewest
-- orders first, then the least amount.
CREATE FUNCTION rfm.better_segments(orders bigint, revenue numeric, order_days integer, segment_rank integer,
        recency_cutoffs numeric[], frequency_cutoffs numeric[], monetary_cutoffs numeric[], rules rfm.rules)
    RETURNS TABLE (segment text, better_rank smallint, further_orders bigint, amount numeric)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH f AS (
        SELECT i AS score, greatest(orders + 1, ceil(frequency_cutoffs[i - 1])) AS total
        FROM generate_series(1, cardinality(frequency_cutoffs) + 1) i),
    m AS (
        -- amounts have four decimals
        SELECT i AS score, greatest(revenue, ceil(monetary_cutoffs[i - 1] * 10000) / 10000) AS total
        FROM generate_series(1, cardinality(monetary_cutoffs) + 1) i),
    cells AS (
        SELECT rfm.recency_score(order_days, recency_cutoffs) * 100 + f.score * 10 + m.score AS cell,
               f.total::bigint - orders AS further_orders, m.total - revenue AS amount
        FROM f CROSS JOIN m
        WHERE f.total < 1000000000 AND rfm.frequency_score(f.total::bigint, frequency_cutoffs) = f.score
          AND rfm.monetary_score(m.total, monetary_cutoffs) = m.score),
    cheapest AS (
        SELECT DISTINCT ON (rfm.segment_rank(c.cell, rules)) rfm.segment_of(c.cell, rules) AS segment,
               rfm.segment_rank(c.cell, rules) AS better_rank, c.further_orders, c.amount
        FROM cells c
        WHERE better_segments.segment_rank IS NULL OR rfm.segment_rank(c.cell, rules) < better_segments.segment_rank
        ORDER BY rfm.segment_rank(c.cell, rules), c.further_orders, c.amount)
    SELECT c.segment, c.better_rank, c.further_orders, trim_scale(c.amount) FROM cheapest c
    ORDER BY c.further_orders, c.amount, c.better_rank;
END $$;
COMMENT ON FUNCTION rfm.better_segments(bigint, numeric, integer, integer, numeric[], numeric[], numeric[], rfm.rules) IS
    'Internal. The segments of a better rank (all for a rank of NULL) that a customer of so many orders and so much revenue reaches by ordering now, at recency order_days: the fewest further orders and the least they must come to, by the cut points given, the cheapest first.';

CREATE FUNCTION rfm.worse_segment(recency_days integer, f integer, m integer, recency_cutoffs numeric[], rules rfm.rules,
        OUT days integer, OUT segment text, OUT segment_rank smallint)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT d.days, rfm.segment_of(d.cell, rules), rfm.segment_rank(d.cell, rules) INTO days, segment, segment_rank
    FROM (SELECT c.days::int AS days, rfm.recency_score(c.days::int, recency_cutoffs) * 100 + worse_segment.f * 10 + worse_segment.m AS cell
          FROM (SELECT floor(u.cut) + 1 AS days FROM unnest(recency_cutoffs) u(cut) WHERE u.cut < 1000000) c
          WHERE c.days > worse_segment.recency_days) d
    WHERE rfm.segment_rank(d.cell, rules)
          > rfm.segment_rank(rfm.recency_score(worse_segment.recency_days, recency_cutoffs) * 100 + worse_segment.f * 10 + worse_segment.m, rules)
    ORDER BY d.days LIMIT 1;
END $$;
COMMENT ON FUNCTION rfm.worse_segment(integer, integer, integer, numeric[], rfm.rules) IS
    'Internal. The first recency in days at which waiting alone takes a customer to a segment of a worse rank; NULL when it does not.';

CREATE FUNCTION rfm.leaves_window(at timestamptz, lookback interval, time_zone text) RETURNS date
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day date := (at AT TIME ZONE time_zone + lookback)::date - 7;
BEGIN
    -- adding months and subtracting them differ by a few days
    WHILE (day::timestamp - lookback) AT TIME ZONE time_zone <= at LOOP
        day := day + 1;
    END LOOP;
    RETURN day;
END $$;
COMMENT ON FUNCTION rfm.leaves_window(timestamptz, interval, text) IS
    'Internal. The first local date at whose start a line of this time is before the window; NULL without lookback.';

-- SQL of what explain_customer says of the customer in $1. Values, cut points and rules are those in force; the lines are
-- read as they are now, through the index on their customer.
CREATE FUNCTION rfm.explain_query(model text, settings rfm.settings, grouped boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    live    boolean := s.storage = 'view';
    id      text := format('$1::%s', rfm.id_type(s.order_lines, 'customer_id'));
    ids     text := format('ARRAY[%s]', id);
    levels  int[] := rfm.levels(s);
    rules   text := CASE WHEN live THEN format('%L::rfm.rules', rfm.rules_in_force(model, s)) END;
    rows    text;
    source  text;
    lines   text;
    facts   text;
BEGIN
    IF live THEN
        SELECT q.profile_rows, format('(%s)', q.profiles) INTO rows, source FROM rfm.all_profiles_query(model, s, grouped) q;
    ELSE
        source := format('%I.profiles', model);
    END IF;
    lines := format($q$
        -- as check_model has it; a line that is left out may have any amount
        SELECT x.*, CASE
                   WHEN x.order_id IS NULL THEN 'without order_id'
                   WHEN x.ordered_at IS NULL THEN 'without ordered_at'
                   WHEN NOT x.has_amount THEN 'without amount'
                   WHEN NOT x.counted THEN CASE WHEN x.voided_at IS NULL THEN format('status %%L', x.status) ELSE 'voided before as_of' END
                   WHEN x.ordered_at >= x.as_of THEN 'at or after as_of'
                   WHEN x.ordered_at < x.window_start THEN 'before the window'
                   WHEN x.amount < 0 THEN 'in revenue only' END AS reason
        FROM (SELECT %1$s::text AS order_id, %2$s AS ordered_at, x.amount IS NOT NULL AS has_amount,
                     CASE WHEN abs(x.amount::numeric) <= 922337203685476 THEN rfm.money(x.amount) END AS amount, %3$s AS status,
                     %4$s::text AS product_id, %5$s AS voided_at, %6$s AS counted, s.as_of, %7$s AS window_start
              FROM %8$s x CROSS JOIN s WHERE %9$s) x $q$,
        rfm.id_column(s.order_lines, 'order_id'), rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone),
        rfm.text_column(s.order_lines, 'status'), rfm.id_column(s.order_lines, 'product_id'),
        rfm.instant_column(s.order_lines, 'voided_at', s.time_zone), rfm.counted_sql(s, 's.as_of'), rfm.window_start_sql(s, 's.as_of'),
        s.order_lines, rfm.ids_sql(s.order_lines, 'customer_id', ids));

    facts := format($q$
        %1$s
        s AS MATERIALIZED (
            SELECT x.as_of, x.as_of_date, x.refreshed_at, x.recency_cutoffs, x.frequency_cutoffs, x.monetary_cutoffs, x.rules,
                   x.as_of_date - rfm.local_date(x.as_of - interval '1 microsecond', %2$L) AS order_days
            FROM %3$s x),
        p1 AS MATERIALIZED (
            SELECT x.channel, x.signed_up_at, x.first_order_at, x.second_order_at, x.last_order_at, x.last_order_date,
                   coalesce(x.orders, 0) AS orders, coalesce(x.lines, 0) AS lines, coalesce(x.revenue, 0) AS revenue, x.segment_since
            FROM %4$s x WHERE x.customer_id = %5$s),
        a AS (%6$s),
        l AS MATERIALIZED (%7$s),
        -- what the lines say now
        n AS (
            SELECT count(*) AS all_lines, count(DISTINCT order_id) FILTER (WHERE reason IS NULL) AS orders,
                   count(*) FILTER (WHERE reason IS NULL) AS lines,
                   coalesce(sum(amount) FILTER (WHERE reason IS NULL OR reason = 'in revenue only'), 0) AS revenue,
                   min(ordered_at) FILTER (WHERE reason IS NULL OR reason = 'before the window' AND amount >= 0) AS first_order_at,
                   max(ordered_at) FILTER (WHERE reason IS NULL) AS last_order_at,
                   min(ordered_at) FILTER (WHERE reason IS NULL OR reason = 'in revenue only') AS window_line_at
            FROM l),
        r AS (
            SELECT reason, count(*) AS lines, coalesce(sum(amount), 0) AS money,
                   row_number() OVER (ORDER BY reason = 'in revenue only', reason = 'before the window', reason COLLATE "C") AS place
            FROM l WHERE reason IS NOT NULL GROUP BY reason),
        -- he, known to the lines, the accounts or the model
        c AS MATERIALIZED (
            SELECT s.*, n.all_lines, n.orders AS orders_now, n.lines AS lines_now, n.revenue AS revenue_now, n.first_order_at AS first_order_now,
                   n.last_order_at AS last_order_now, n.window_line_at, coalesce(p1.orders, 0) AS orders, coalesce(p1.lines, 0) AS lines,
                   coalesce(p1.revenue, 0) AS revenue, p1.first_order_at, p1.second_order_at, p1.last_order_at, p1.last_order_date, p1.segment_since,
                   coalesce(p1.channel, a.channel) AS channel, coalesce(p1.signed_up_at, a.signed_up_at) AS signed_up_at
            FROM s CROSS JOIN n LEFT JOIN p1 ON true LEFT JOIN a ON true
            WHERE n.all_lines > 0 OR p1.orders IS NOT NULL OR a.customer_id IS NOT NULL),
        -- scored, when he is a customer
        k AS MATERIALIZED (
            SELECT c.*, c.as_of_date - c.last_order_date AS days, rfm.recency_score(c.as_of_date - c.last_order_date, c.recency_cutoffs) AS r,
                   rfm.frequency_score(c.orders, c.frequency_cutoffs) AS f, rfm.monetary_score(c.revenue, c.monetary_cutoffs) AS m
            FROM c WHERE c.orders > 0),
        g AS MATERIALIZED (
            SELECT k.*, rfm.segment_of(x.cell, k.rules) AS segment, rfm.segment_rank(x.cell, k.rules) AS segment_rank,
                   rfm.segment_stage(x.cell, k.rules) AS stage, x.cell
            FROM k CROSS JOIN LATERAL (SELECT k.r * 100 + k.f * 10 + k.m AS cell) x),
        t AS (
            SELECT t.*, x.fits,
                   min(t.rule_order) FILTER (WHERE x.fits) OVER () AS fired
            FROM g CROSS JOIN %8$I.segment_rules t CROSS JOIN LATERAL (
                SELECT g.r BETWEEN t.r_min AND t.r_max AND g.f BETWEEN t.f_min AND t.f_max AND g.m BETWEEN t.m_min AND t.m_max AS fits) x),
        edited AS (
            SELECT count(*) AS cells FROM s CROSS JOIN generate_series(1, %9$s) r CROSS JOIN generate_series(1, %10$s) f CROSS JOIN generate_series(1, %11$s) m
            WHERE rfm.segment_of(r * 100 + f * 10 + m, s.rules) <> coalesce((SELECT t.segment FROM %8$I.segment_rules t
                WHERE r BETWEEN t.r_min AND t.r_max AND f BETWEEN t.f_min AND t.f_max AND m BETWEEN t.m_min AND t.m_max
                ORDER BY t.rule_order LIMIT 1), 'Others')),
        b AS (
            SELECT row_number() OVER (ORDER BY x.further_orders, x.amount, x.better_rank) AS place, x.* FROM (
                SELECT x.* FROM c LEFT JOIN g ON true CROSS JOIN LATERAL rfm.better_segments(c.orders, c.revenue, c.order_days, g.segment_rank,
                    c.recency_cutoffs, c.frequency_cutoffs, c.monetary_cutoffs, c.rules) x) x),
        w AS (
            SELECT x.days, x.segment, g.last_order_date + x.days AS date, rfm.leaves_window(g.window_line_at, %12$L::interval, %2$L) AS line_leaves,
                   rfm.leaves_window(g.last_order_at, %12$L::interval, %2$L) AS last_leaves
            FROM g CROSS JOIN LATERAL rfm.worse_segment(g.days, g.f, g.m, g.recency_cutoffs, g.rules) x) $q$,
        CASE WHEN live THEN format('p AS MATERIALIZED (%s),', rows) END, s.time_zone,
        CASE WHEN live THEN format('(%s)', rfm.snapshot_query(s, source, rules)) ELSE format('%I.snapshot', model) END,
        source, id,
        CASE WHEN s.accounts IS NULL THEN format('SELECT %s AS customer_id, NULL::text AS channel, NULL::timestamptz AS signed_up_at WHERE false', id)
             ELSE format('SELECT x.customer_id, x.channel, x.signed_up_at FROM (%s) x', rfm.unique_accounts_query(s, ids)) END,
        lines, model, levels[1], levels[2], levels[3], s.lookback);

    RETURN format('WITH %1$s', facts) || format($q$,
        o(topic_order, item_order, topic, item, value, explanation) AS (
            SELECT 1, 1::bigint, 'customer', 'customer_id', $1, 'Who is explained.' FROM c
            UNION ALL
            SELECT 1, 2, 'customer', 'is_customer', CASE WHEN c.orders > 0 THEN 'yes' ELSE 'no' END,
                   CASE WHEN c.orders > 0 THEN 'Has a purchase in the window.'
                        WHEN c.orders_now > 0 THEN 'His purchases came after the refresh.'
                        WHEN c.all_lines = 0 THEN 'There is an account, but no order line.'
                        WHEN (SELECT bool_and(reason = 'in revenue only') FROM r) THEN 'There are only refunds and credits, no purchase.'
                        ELSE (SELECT format('None of %%s counts as a purchase: %%s.', rfm.count_text(c.all_lines, 'line', 'lines'),
                                            string_agg(r.lines || ' ' || r.reason, ', ' ORDER BY r.place)) FROM r) END
            FROM c
            UNION ALL
            SELECT 1, 3, 'customer', 'as_of', rfm.local_text(as_of, %1$L), %2$s FROM c
            UNION ALL
            SELECT 1, 4, 'customer', 'changed', 'yes',
                   format('Since the refresh his lines have changed: they now give %%s, %%s and revenue %%s, the last purchase at %%s. CALL rfm.refresh(%%L) takes them in.',
                          rfm.count_text(orders_now, 'order', 'orders'), rfm.count_text(lines_now, 'purchase line', 'purchase lines'), trim_scale(revenue_now),
                          coalesce(rfm.local_text(last_order_now, %1$L), 'no time'), %3$L)
            FROM c WHERE %4$s AND (orders, lines, revenue, last_order_at, first_order_at)
                                  IS DISTINCT FROM (orders_now, lines_now, revenue_now, last_order_now, first_order_now)
            UNION ALL
            SELECT 1, x.place, 'customer', x.item, x.value, x.explanation
            FROM c CROSS JOIN LATERAL (VALUES
                (5, 'channel', channel, 'Channel of the account.'),
                (6, 'signed_up_at', rfm.local_text(signed_up_at, %1$L), 'Sign-up of the account.'),
                (7, 'first_order_at', rfm.local_text(first_order_at, %1$L), 'First line of the first order of all time.'),
                (8, 'second_order_at', rfm.local_text(second_order_at, %1$L), 'First line of the second order of all time.'),
                (9, 'last_order_at', rfm.local_text(last_order_at, %1$L), 'Last purchase in the window.'),
                (10, 'segment_since', rfm.local_text(segment_since, %1$L), 'In the segment since.')) x(place, item, value, explanation)
            WHERE x.value IS NOT NULL
            UNION ALL
            SELECT 2, x.place, 'value', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'recency_days', days::text, format('From %%s, the date of the last purchase, to %%s.', to_char(last_order_date, 'YYYY-MM-DD'), to_char(as_of_date, 'YYYY-MM-DD'))),
                (2, 'orders', orders::text, format('Different orders in the window, with %%s.', rfm.count_text(lines, 'purchase line', 'purchase lines'))),
                (3, 'revenue', trim_scale(revenue)::text, 'Sum of the amounts in the window, refunds subtracted.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 3, x.place, 'score', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'r', r::text, format('%%s level %%s of %5$s; cut points %%s.', rfm.recency_range(r, recency_cutoffs), r, rfm.numbers_text(recency_cutoffs))),
                (2, 'f', f::text, format('%%s level %%s of %6$s; cut points %%s.', rfm.frequency_range(f, frequency_cutoffs), f, rfm.numbers_text(frequency_cutoffs))),
                (3, 'm', m::text, format('%%s level %%s of %7$s; cut points %%s.', rfm.monetary_range(m, monetary_cutoffs), m, rfm.numbers_text(monetary_cutoffs))),
                (4, 'rfm_score', cell::text, 'The three scores.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 4, 0, 'rule', 'edited', 'yes', format('The rules were edited and are shown as edited; they are in force after the next refresh. The segment above all is by those of before: %%s.', g.segment)
            FROM g CROSS JOIN edited WHERE edited.cells > 0
            UNION ALL
            SELECT 4, t.rule_order, 'rule', t.rule_order || ' ' || t.segment,
                   CASE WHEN NOT t.fits THEN 'no' WHEN t.rule_order = t.fired THEN 'fired' ELSE 'hidden' END,
                   CASE WHEN NOT t.fits THEN concat_ws('; ', rfm.needs_text('r', g.r, t.r_min, t.r_max), rfm.needs_text('f', g.f, t.f_min, t.f_max),
                                                       rfm.needs_text('m', g.m, t.m_min, t.m_max)) || '.'
                        WHEN t.rule_order = t.fired THEN format('The first that holds the scores: r from %%s to %%s, f from %%s to %%s, m from %%s to %%s.',
                                                                t.r_min, t.r_max, t.f_min, t.f_max, t.m_min, t.m_max)
                        ELSE format('Holds the scores, too, but rule %%s comes first.', t.fired) END
            FROM t CROSS JOIN g
            UNION ALL
            SELECT 4, 32768, 'rule', 'Others', 'fired', 'No rule holds the scores.' FROM g WHERE NOT EXISTS (SELECT FROM t WHERE t.fits)
            UNION ALL
            SELECT 5, x.place, 'segment', x.item, x.value, x.explanation
            FROM g CROSS JOIN LATERAL (VALUES
                (1, 'segment', segment, 'By the rules in force.'), (2, 'segment_rank', segment_rank::text, 'Place of the segment among the rules, from 1.'),
                (3, 'stage', stage, 'What the segment is to the analyses.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 6, x.place, 'next segment', x.item, x.value, x.explanation
            FROM c CROSS JOIN b CROSS JOIN LATERAL (VALUES
                (1, 'segment', b.segment, format('The nearest%%s: takes %%s now, when recency_days becomes %%s, while the cut points stay.',
                    CASE WHEN c.orders > 0 THEN ' of a better rank' END, rfm.further_text(b.further_orders, b.amount), c.order_days)),
                (2, 'segment_rank', b.better_rank::text, 'Its rank.'),
                (3, 'orders', b.further_orders::text, 'Further orders it takes.'),
                (4, 'amount', b.amount::text, 'The least they must come to; 0: any amount.')) x(place, item, value, explanation)
            WHERE b.place = 1
            UNION ALL
            SELECT 6, 1, 'next segment', 'segment', NULL, CASE WHEN g.segment_rank = 1 THEN 'There is none better.'
                       ELSE 'No order now leads to a better segment, while the cut points stay.' END
            FROM g WHERE NOT EXISTS (SELECT FROM b)
            UNION ALL
            SELECT 7, b.place, 'other better segment', b.segment, b.further_orders || ', ' || b.amount,
                   format('Takes %%s.', rfm.further_text(b.further_orders, b.amount))
            FROM b WHERE b.place > 1
            UNION ALL
            SELECT 8, x.place, 'waiting', x.item, x.value, x.explanation
            FROM g CROSS JOIN w CROSS JOIN LATERAL (VALUES
                (1, 'segment', CASE WHEN w.last_leaves <= w.date THEN NULL ELSE w.segment END,
                    CASE WHEN w.segment IS NULL OR w.last_leaves <= w.date THEN 'Waiting alone leads to no segment of a worse rank%8$s.'
                         ELSE format('Without a further order in %%s from %%s on, when recency_days is %%s%8$s.', w.segment, to_char(w.date, 'YYYY-MM-DD'), w.days) END),
                (2, 'date', CASE WHEN w.last_leaves <= w.date THEN NULL ELSE to_char(w.date, 'YYYY-MM-DD') END, 'The date of that.'),
                (3, 'line leaves window', to_char(w.line_leaves, 'YYYY-MM-DD'), 'From this date on his oldest line in the window is before it: revenue, and perhaps orders, change.'),
                (4, 'last purchase leaves window', to_char(w.last_leaves, 'YYYY-MM-DD'), 'From this date on, without a further order, he is no customer.')) x(place, item, value, explanation)
            WHERE x.place = 1 OR x.value IS NOT NULL
            UNION ALL
            SELECT 9, 2 * r.place + x.place, 'left out', x.item, x.value, x.explanation
            FROM r CROSS JOIN c CROSS JOIN LATERAL (VALUES
                (0, r.reason || ': lines', r.lines::text,
                    CASE WHEN r.reason LIKE 'status %%' THEN 'The status is among excluded_statuses.'
                         WHEN r.reason = 'voided before as_of' THEN 'Their voided_at takes them out.'
                         WHEN r.reason LIKE 'without %%' THEN 'Lines with a NULL do not count.'
                         WHEN r.reason = 'at or after as_of' THEN 'They count from their date on.'
                         WHEN r.reason = 'before the window' THEN format('Ordered before the window, which starts at %%s: they count for the dates of the first two orders only.', rfm.local_text(%9$s, %1$L))
                         ELSE 'Refunds and credits: no order, line or date comes from them.' END),
                (1, r.reason || ': money', trim_scale(r.money)::text, 'Sum of their amounts.')) x(place, item, value, explanation)
            UNION ALL
            SELECT 10, x.place, 'left out line', coalesce(x.order_id, 'without order_id'), trim_scale(x.amount)::text, concat_ws('; ', x.reason,
                       'ordered ' || rfm.local_text(x.ordered_at, %1$L), 'status ' || CASE WHEN x.reason NOT LIKE 'status %%' THEN x.status END,
                       'voided ' || rfm.local_text(x.voided_at, %1$L), 'product ' || x.product_id) || '.'
            FROM (SELECT l.*, row_number() OVER (ORDER BY r.place, l.ordered_at DESC NULLS LAST, l.order_id, l.amount, l.product_id) AS place
                  FROM l JOIN r USING (reason)) x
            WHERE x.place <= 20
            UNION ALL
            SELECT 11, 1, 'left out line', 'more', (sum(r.lines) - 20)::text, 'Lines left out that are not listed.' FROM r HAVING sum(r.lines) > 20)
        SELECT row_number() OVER (ORDER BY topic_order, item_order)::int AS step, topic, item, value, explanation
        FROM o ORDER BY 1 $q$,
        s.time_zone,
        CASE WHEN live THEN quote_literal('Computed now.')
             ELSE format($t$'As the views of the model show it, since the refresh at ' || rfm.local_text(refreshed_at, %L) || '.'$t$, s.time_zone) END,
        model, (NOT live)::text, levels[1], levels[2], levels[3],
        concat(CASE WHEN s.recency_fractions IS NOT NULL THEN ', while the cut points of recency stay (they are percentiles, and move with the other customers)' END,
               CASE WHEN s.lookback IS NOT NULL THEN ', while orders and revenue stay' END),
        rfm.window_start_sql(s, 'c.as_of'));
END $$;
COMMENT ON FUNCTION rfm.explain_query(text, rfm.settings, boolean) IS 'Internal. SQL of what explain_customer says of the customer in $1.';

CREATE FUNCTION rfm.explain_functions(model text, settings rfm.settings, grouped boolean)
    RETURNS TABLE (name text, types text, arguments text, result text, body text, comment text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    name := 'explain_customer';
    types := rfm.id_type(settings.order_lines, 'customer_id');
    arguments := 'customer_id ' || types;
    result := 'TABLE (step integer, topic text, item text, value text, explanation text)';
    body := format($b$
        BEGIN
            IF customer_id IS NULL THEN
                RAISE EXCEPTION 'customer_id must not be NULL' USING ERRCODE = 'null_value_not_allowed',
                    HINT = format('SELECT customer_id FROM %%I.customers lists the customers.', %1$L);
            END IF;
            RETURN QUERY SELECT x.* FROM rfm.rows_as_owner(%1$L, %2$L, customer_id::text)
                AS x(step integer, topic text, item text, value text, explanation text);
            IF NOT FOUND THEN
                RAISE EXCEPTION 'no order line and no account has customer_id %%', quote_literal(customer_id) USING ERRCODE = 'no_data_found',
                    HINT = format('SELECT customer_id FROM %%I.customers lists the customers.', %1$L);
            END IF;
        END $b$, model, rfm.explain_query(model, settings, grouped));
    comment := 'Why a customer is in his segment, row by row: his raw values, the cut points they met, every rule with what it lacks (fired, no, or hidden behind the one that fired), what it takes to reach the next better segment, when waiting takes him to a worse one, and the lines that were left out, by reason, up to 20 of them singly. value is for programs (dates and times local to the model, ISO), explanation for people. Values, cut points and rules are those of the last refresh, with a row when his lines have changed since; with storage view those of now. Who is no customer is told why; an id without order line and account, and NULL, are errors. For the owner of the model only.'
        || format(' Example: SELECT * FROM %1$I.explain_customer((SELECT customer_id FROM %1$I.customers LIMIT 1));', model);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rfm.explain_functions(text, rfm.settings, boolean) IS 'Internal. The function explain_customer of a model.';
-- 85_refresh: making the views of a model, filling its stored layers, and the refresh that does both again.

-- views

CREATE FUNCTION rfm.comment_model(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c record;
BEGIN
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', model, 'Customer segments of the model ' || quote_ident(model)
        || ', made by the extension rfm_segments. Start with the views overview, segments and customers.');
    FOR c IN
        SELECT k.relname, k.relkind, d.column_name, d.comment
        FROM pg_class k
        JOIN (SELECT * FROM rfm.view_comments()
              UNION ALL
              SELECT 'settings', a.attname, col_description('rfm.settings'::regclass, a.attnum)
              FROM pg_attribute a WHERE a.attrelid = 'rfm.settings'::regclass AND a.attnum > 0 AND NOT a.attisdropped
              UNION ALL
              SELECT 'campaigns', a.attname, col_description('rfm.campaign'::regclass, a.attnum)
              FROM pg_attribute a WHERE a.attrelid = 'rfm.campaign'::regclass AND a.attnum > 0 AND NOT a.attisdropped
              UNION ALL
              SELECT 'action_texts', a.attname, col_description('rfm.action_text'::regclass, a.attnum)
              FROM pg_attribute a WHERE a.attrelid = 'rfm.action_text'::regclass AND a.attnum > 0 AND NOT a.attisdropped
              UNION ALL
              SELECT 'customers', u.dimension, 'Dimension of the model: this column of its accounts. NULL: unknown.'
              FROM unnest((rfm.resolve_settings(rfm.model_settings(model))).dimensions) u(dimension)) d ON d.relation = k.relname
        WHERE k.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = model) AND k.relkind IN ('r', 'v', 'm')
          AND (d.column_name IS NULL OR rfm.column_type(k.oid::regclass, d.column_name) IS NOT NULL)
    LOOP
        EXECUTE CASE WHEN c.column_name IS NULL
            THEN format('COMMENT ON %s %I.%I IS %L', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                        model, c.relname, c.comment)
            ELSE format('COMMENT ON COLUMN %I.%I.%I IS %L', model, c.relname, c.column_name, c.comment) END;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.comment_model(text) IS 'Internal. Puts the comments on the relations and columns of a model.';

CREATE FUNCTION rfm.relation_columns(relation regclass) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s %s', a.attname, a.atttypid, a.attcollation), ', ' ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid OPERATOR(pg_catalog.=) relation AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped);
COMMENT ON FUNCTION rfm.relation_columns(regclass) IS 'Internal. The columns of a relation with their types, to compare.';

CREATE FUNCTION rfm.model_relation(model text, name text) RETURNS regclass
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.to_regclass(pg_catalog.format('%I.%I', model, name));
COMMENT ON FUNCTION rfm.model_relation(text, text) IS 'Internal. A relation of a model; NULL when there is none of that name.';

CREATE FUNCTION rfm.drop_relation(relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation IS NOT NULL THEN
        EXECUTE format('DROP %s %s', CASE (SELECT relkind FROM pg_class WHERE oid = relation)
            WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, relation);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.drop_relation(regclass) IS 'Internal. Drops a relation of whatever kind; nothing for NULL.';

-- Makes one relation, or replaces a view in place. Stored layers are made empty; of a table that is there only the columns
-- that changed are made again.
CREATE FUNCTION rfm.make_relation(model text, storage text, name text, query text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass := rfm.model_relation(model, name);
BEGIN
    IF name NOT IN ('profiles', 'snapshot', 'stored_summaries') THEN
        IF name = 'segment_history' AND rfm.model_relation(model, 'segment_changes') IS NULL THEN
            EXECUTE format('CREATE TABLE %1$I.segment_changes AS SELECT %2$s FROM %1$I.scored WITH NO DATA', model,
                           rfm.history_columns('segment_since', 'as_of'));
            EXECUTE format('CREATE INDEX segment_changes_key ON %I.segment_changes (customer_id)', model);
        END IF;
        EXECUTE format('CREATE OR REPLACE VIEW %I.%I AS %s', model, name, query);
    ELSIF relation IS NULL THEN
        EXECUTE format('CREATE %s %I.%I AS %s WITH NO DATA',
                       CASE storage WHEN 'table' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END, model, name, query);
        -- a table is indexed when it is filled
        IF storage <> 'table' OR name = 'snapshot' THEN
            EXECUTE format('CREATE UNIQUE INDEX %I ON %I.%I (%s)', name || '_key', model, name,
                           CASE name WHEN 'profiles' THEN 'customer_id' ELSE 'as_of' END);
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.make_relation(text, text, text, text) IS 'Internal. Makes one relation of a model, or replaces a view in place.';

-- What a refresh of the tables needs beside them: the profiles and the snapshot as they were before it, and what it was
-- built from.
CREATE FUNCTION rfm.make_refresh_tables(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.drop_relation(rfm.model_relation(model, 'replaced_profiles'));
    PERFORM rfm.drop_relation(rfm.model_relation(model, 'replaced_snapshot'));
    EXECUTE format('CREATE TABLE %1$I.replaced_profiles (LIKE %1$I.profiles)', model);
    EXECUTE format('CREATE TABLE %1$I.replaced_snapshot (LIKE %1$I.snapshot)', model);
    IF rfm.model_relation(model, 'last_build') IS NULL THEN
        EXECUTE format('CREATE TABLE %I.last_build (as_of timestamptz NOT NULL, window_start timestamptz, contract text)', model);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.make_refresh_tables(text) IS 'Internal. Makes the tables that a refresh of a model with storage table writes beside profiles and snapshot.';

-- Makes a table fit for the rows of a relation: columns that went away or changed their type are made again, empty.
CREATE FUNCTION rfm.align_columns(target regclass, source regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('ALTER TABLE %s DROP COLUMN %I', target, t.attname)
        FROM pg_attribute t LEFT JOIN pg_attribute s ON s.attrelid = source AND s.attname = t.attname AND NOT s.attisdropped
        WHERE t.attrelid = target AND t.attnum > 0 AND NOT t.attisdropped
          AND (s.atttypid, s.atttypmod, s.attcollation) IS DISTINCT FROM (t.atttypid, t.atttypmod, t.attcollation)
    LOOP
        EXECUTE command;
    END LOOP;
    FOR command IN
        SELECT format('ALTER TABLE %s ADD COLUMN %I %s%s', target, s.attname, format_type(s.atttypid, s.atttypmod),
                      (SELECT format(' COLLATE %I.%I', n.nspname, c.collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
                       WHERE c.oid = s.attcollation))
        FROM pg_attribute s LEFT JOIN pg_attribute t ON t.attrelid = target AND t.attname = s.attname AND NOT t.attisdropped
        WHERE s.attrelid = source AND s.attnum > 0 AND NOT s.attisdropped AND t.attname IS NULL
        ORDER BY s.attnum
    LOOP
        EXECUTE command;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.align_columns(regclass, regclass) IS 'Internal. Gives a table the columns of another relation; those it has of the same type keep their values.';

CREATE FUNCTION rfm.make_relations(model text, settings rfm.settings, grouped boolean, names text[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v record;
BEGIN
    FOR v IN SELECT * FROM rfm.view_queries(model, settings, grouped) LOOP
        IF names IS NULL OR v.name = ANY (names) THEN
            PERFORM rfm.make_relation(model, settings.storage, v.name, v.query);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.make_relations(text, rfm.settings, boolean, text[]) IS
    'Internal. Makes or replaces the relations of a model, or those named, in the order of the data flow.';

CREATE FUNCTION rfm.view_grants(model text) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grants text[];
BEGIN
    EXECUTE format('SELECT array_agg(format(''GRANT %%s ON %%s TO %%s%%s'', g.privilege_type, c.oid::regclass,'
        ' CASE WHEN g.grantee = 0 THEN ''PUBLIC'' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,'
        ' CASE WHEN g.is_grantable THEN '' WITH GRANT OPTION'' END))'
        ' FROM %I.compiled_views v JOIN pg_class c ON c.oid = rfm.model_relation($1, v.name), aclexplode(c.relacl) g'
        ' WHERE v.position >= 0 AND g.grantee <> c.relowner', model) INTO grants USING model;
    RETURN coalesce(grants, '{}');
END $$;
COMMENT ON FUNCTION rfm.view_grants(text) IS 'Internal. The commands that grant again what is granted on the views of a model.';

-- Brings the views of a model in line with its settings, rules and contract relations. A view whose SQL is unchanged is
-- not touched, so that its readers need not wait; others are replaced in place, so that grants and views of others on them
-- survive; only where columns went away or changed their type they are dropped and made again with their grants.
CREATE FUNCTION rfm.compile_model(model text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    live    rfm.settings := s;
    readers text[] := rfm.readers(model);
    kind    "char" := (SELECT relkind FROM pg_class WHERE oid = rfm.model_relation(model, 'profiles'));
    stays   boolean := false;
    grouped boolean;
    changed text[];
    reason  text;
    grants  text[];
    command text;
    name    text;
BEGIN
    PERFORM rfm.check_contract(s);
    live.storage := 'view';
    grouped := s.storage <> 'table' AND rfm.needs_grouping(model, s);

    EXECUTE format('SELECT array_agg(coalesce(n.name, o.name)) FROM rfm.view_queries($1, $2, $3) n'
        ' FULL JOIN (SELECT name::text, query FROM %I.compiled_views WHERE position >= 0) o ON n.name = o.name'
        ' WHERE n.query IS DISTINCT FROM o.query OR rfm.model_relation($1, n.name) IS NULL', model)
        INTO changed USING model, s, grouped;
    IF changed IS NULL AND kind IS NOT DISTINCT FROM (CASE s.storage WHEN 'table' THEN 'r'::"char" WHEN 'materialized' THEN 'm' END) THEN
        RETURN NULL;
    END IF;
    IF changed && '{valid_lines,unique_accounts,unique_products,profiles_source}' THEN
        reason := 'the settings, or columns of the relations, changed';
    END IF;
    -- a table stays, with the history in it
    stays := coalesce(kind = 'r' AND s.storage = 'table', false);

    BEGIN
        -- what lies below the stored layers
        PERFORM rfm.make_relations(model, live, grouped, ARRAY(
            SELECT unnest(changed) INTERSECT SELECT unnest('{valid_lines,unique_accounts,unique_products,profiles_source}'::text[])));
        -- where the layers cannot stay as they are, the views on them are live for a moment
        IF kind IS NOT NULL AND (NOT stays OR rfm.relation_columns(rfm.model_relation(model, 'profiles')) <> rfm.relation_columns(rfm.model_relation(model, 'profiles_source'))) THEN
            PERFORM rfm.make_relations(model, live, grouped);
            PERFORM rfm.take_layers_away(model, stays);
            changed := NULL;
        END IF;
        PERFORM rfm.make_relations(model, s, grouped, changed);
    EXCEPTION WHEN invalid_table_definition THEN
        grants := rfm.view_grants(model);
        FOR name IN EXECUTE format('SELECT name FROM %I.compiled_views WHERE position >= 0 AND NOT ($1 AND name IN (''profiles'', ''snapshot''))'
                ' ORDER BY position DESC', model) USING stays LOOP
            PERFORM rfm.drop_relation(rfm.model_relation(model, name));
        END LOOP;
        PERFORM rfm.make_relations(model, live, grouped, '{valid_lines,unique_accounts,unique_products,profiles_source}');
        PERFORM rfm.take_layers_away(model, stays);
        PERFORM rfm.make_relations(model, s, grouped);
        FOREACH command IN ARRAY grants LOOP
            EXECUTE command;
        END LOOP;
    END;
    IF s.storage = 'table' THEN
        PERFORM rfm.make_refresh_tables(model);
    END IF;

    -- views that the settings no longer call for
    FOR name IN EXECUTE format('SELECT name FROM %I.compiled_views WHERE position >= 0 AND name NOT IN'
            ' (SELECT q.name FROM rfm.view_queries($1, $2, $3) q) ORDER BY position DESC', model) USING model, s, grouped LOOP
        PERFORM rfm.drop_relation(rfm.model_relation(model, name));
    END LOOP;
    EXECUTE format('DELETE FROM %I.compiled_views WHERE position >= 0', model);
    EXECUTE format('INSERT INTO %I.compiled_views SELECT q.name, q.position, q.query'
        ' FROM rfm.view_queries($1, $2, $3) WITH ORDINALITY q(name, query, position)', model) USING model, s, grouped;
    PERFORM rfm.make_functions(model, s, grouped);
    PERFORM rfm.grant_reading(model, readers);
    PERFORM rfm.comment_model(model);
    RETURN reason;
END $$;
COMMENT ON FUNCTION rfm.compile_model(text) IS
    'Internal. Brings the views of a model in line with its settings; says so when the profiles must all be computed again.';

-- On profiles and snapshot no view depends at the moment.
CREATE FUNCTION rfm.take_layers_away(model text, stays boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    profiles regclass := rfm.model_relation(model, 'profiles');
    source   regclass := rfm.model_relation(model, 'profiles_source');
BEGIN
    IF stays AND (SELECT p.atttypid = s.atttypid FROM pg_attribute p, pg_attribute s
                  WHERE p.attrelid = profiles AND p.attname = 'customer_id' AND s.attrelid = source AND s.attname = 'customer_id') THEN
        PERFORM rfm.align_columns(profiles, source);
        RETURN;
    END IF;
    PERFORM rfm.drop_relation(rfm.model_relation(model, 'snapshot'));
    PERFORM rfm.drop_relation(profiles);
    IF rfm.model_relation(model, 'last_build') IS NOT NULL THEN
        EXECUTE format('DELETE FROM %I.last_build', model);
    END IF;
    IF stays THEN
        -- the history is of customers with other ids
        PERFORM rfm.drop_relation(rfm.model_relation(model, 'segment_history'));
        PERFORM rfm.drop_relation(rfm.model_relation(model, 'segment_changes'));
    END IF;
END $$;
COMMENT ON FUNCTION rfm.take_layers_away(text, boolean) IS
    'Internal. Drops profiles and snapshot of a model or, where they stay and customers keep their type of id, gives them the columns that they will have.';

-- data

-- Writes the profiles that a query gives, where they differ from those stored that a condition chooses, and keeps what was
-- there before in replaced_profiles; a customer who was not there is kept as a row of NULLs. as_of is SQL.
CREATE FUNCTION rfm.write_profiles_query(model text, query text, condition text, as_of text, hash_from bigint) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    profiles regclass := rfm.model_relation(model, 'profiles');
    columns  text[] := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = profiles AND attnum > 0 AND NOT attisdropped
                             AND attname <> 'segment_since' ORDER BY attnum);
BEGIN
    RETURN format(
        'WITH diff AS MATERIALIZED ('
        ' SELECT o.old, o.old_id, n.* FROM (SELECT true AS is_new, q.* FROM (%1$s) q) n'
        ' FULL JOIN (SELECT p.ctid AS old, p.customer_id AS old_id, p.* FROM %2$s p WHERE %3$s) o ON o.customer_id = n.customer_id'
        ' WHERE n.is_new IS NULL OR o.old IS NULL OR (%4$s) IS DISTINCT FROM (%5$s)),'
        ' next AS (SELECT max(next_hash) AS hash_from FROM diff),'
        ' kept AS (INSERT INTO %9$I.replaced_profiles SELECT p.* FROM %2$s p JOIN diff d ON p.ctid = d.old, next'
        ' WHERE d.old_id IS NOT NULL AND (d.is_new OR next.hash_from IS NULL OR rfm.id_hash(d.old_id) < next.hash_from)),'
        ' gone AS (DELETE FROM %2$s p USING diff d, next WHERE p.ctid = d.old AND d.is_new IS NULL'
        ' AND (next.hash_from IS NULL OR d.old_id IS NULL OR rfm.id_hash(d.old_id) < next.hash_from) RETURNING p.customer_id),'
        ' changed AS (UPDATE %2$s p SET (%6$s) = (SELECT %7$s) FROM diff d WHERE p.ctid = d.old AND d.is_new RETURNING p.customer_id),'
        ' added AS (INSERT INTO %2$s (%6$s, segment_since) SELECT %7$s, CASE WHEN d.orders > 0 THEN %10$s END FROM diff d WHERE d.is_new AND d.old IS NULL'
        ' AND (d.customer_id IS NOT NULL OR %8$s = 0) RETURNING customer_id),'
        ' noted AS (INSERT INTO %9$I.replaced_profiles (customer_id) SELECT customer_id FROM added'
        ' WHERE customer_id IS NOT NULL AND EXISTS (SELECT FROM %9$I.last_build))'
        ' SELECT (SELECT count(customer_id) FROM gone) + (SELECT count(*) FROM changed) + (SELECT count(customer_id) FROM added) AS n,'
        ' next.hash_from FROM next',
        query, profiles, condition, rfm.compared_list(columns, 'n'), rfm.compared_list(columns, 'o'),
        (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c), (SELECT string_agg(format('d.%I', c), ', ') FROM unnest(columns) c),
        hash_from, model, as_of);
END $$;
COMMENT ON FUNCTION rfm.write_profiles_query(text, text, text, text, bigint) IS
    'Internal. SQL that writes profiles where they differ; its result: how many were written or removed, and where the next pass starts.';

CREATE FUNCTION rfm.compared_list(columns text[], relation text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT pg_catalog.string_agg(pg_catalog.format(CASE WHEN c OPERATOR(pg_catalog.=) 'ledger' THEN 'rfm.ledger_bytes(%I.%I)' ELSE '%I.%I' END, relation, c), ', ')
            FROM pg_catalog.unnest(columns) c);
COMMENT ON FUNCTION rfm.compared_list(text[], text) IS 'Internal. Columns of a relation in a form that has an operator of equality.';

-- Writes the profiles that a query gives into an empty table. Where the next pass starts is told by a setting of the
-- transaction, since rows that are inserted return what is stored only. as_of is SQL.
CREATE FUNCTION rfm.fill_profiles_query(model text, query text, as_of text, hash_from bigint) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    profiles regclass := rfm.model_relation(model, 'profiles');
    columns  text[] := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = profiles AND attnum > 0 AND NOT attisdropped
                             AND attname <> 'segment_since' ORDER BY attnum);
BEGIN
    RETURN format('INSERT INTO %s (%s, segment_since) SELECT %s, CASE WHEN d.orders > 0 THEN %s END FROM (%s) d'
        ' WHERE CASE WHEN d.customer_id IS NULL THEN set_config(''rfm.next_hash'', coalesce(d.next_hash::text, ''''), true) IS %s NULL ELSE true END',
        profiles, (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c), (SELECT string_agg(format('d.%I', c), ', ') FROM unnest(columns) c),
        -- the row is of the first pass, but all passes leave the setting
        as_of, query, CASE WHEN hash_from = 0 THEN 'NOT' END);
END $$;
COMMENT ON FUNCTION rfm.fill_profiles_query(text, text, text, bigint) IS
    'Internal. SQL that writes profiles into an empty table; leaves in the setting rfm.next_hash where the next pass starts.';

CREATE FUNCTION rfm.index_profiles(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE UNIQUE INDEX profiles_key ON %I.profiles (customer_id)', model);
    EXECUTE format('CREATE INDEX profiles_next_change ON %I.profiles (next_change_at) WHERE next_change_at IS NOT NULL', model);
    EXECUTE format('CREATE INDEX profiles_window_line ON %I.profiles (window_line_at) WHERE window_line_at IS NOT NULL', model);
END $$;
COMMENT ON FUNCTION rfm.index_profiles(text) IS 'Internal. Makes the indexes of the profiles of a model with storage table.';

-- Computes all profiles. Goes in passes where build_memory asks for it.
CREATE FUNCTION rfm.refresh_profiles(model text, settings rfm.settings, OUT changed bigint, OUT passes int)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    as_of     text := rfm.as_of_sql(settings);
    filled    boolean := rfm.model_relation(model, 'profiles_key') IS NOT NULL;
    hash_from bigint := 0;
    next_hash bigint;
    query     text;
    written   bigint;
BEGIN
    changed := 0;
    passes := 0;
    LOOP
        passes := passes + 1;
        -- the row without customer_id belongs to the first pass; it tells where the next one starts
        query := rfm.pass_query(model, settings, hash_from);
        IF filled THEN
            EXECUTE rfm.write_profiles_query(model, query,
                CASE WHEN hash_from = 0 THEN 'true' ELSE format('p.customer_id IS NOT NULL AND rfm.id_hash(p.customer_id) >= %s', hash_from) END,
                as_of, hash_from)
                INTO written, next_hash;
        ELSE
            EXECUTE rfm.fill_profiles_query(model, query, as_of, hash_from);
            GET DIAGNOSTICS written = ROW_COUNT;
            written := written - CASE WHEN hash_from = 0 THEN 1 ELSE 0 END;
            next_hash := nullif(current_setting('rfm.next_hash'), '')::bigint;
        END IF;
        changed := changed + written;
        EXIT WHEN next_hash IS NULL;
        IF next_hash <= hash_from THEN
            RAISE EXCEPTION 'the pass from hash % on ended at %', hash_from, next_hash USING ERRCODE = 'internal_error';
        END IF;
        hash_from := next_hash;
        PERFORM rfm.report_stage(model, 'profiles', (5 + 70 * hash_from / 4294967296.0)::int);
    END LOOP;
    IF NOT filled THEN
        PERFORM rfm.index_profiles(model);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.refresh_profiles(text, rfm.settings) IS
    'Internal. Brings all stored profiles of a model with storage table up to date; the number of rows written or removed, and in how many passes.';

-- Computes the profiles of some customers, read through the indexes of the relations.
CREATE FUNCTION rfm.refresh_some_profiles(model text, settings rfm.settings, customer_ids text[], with_nobody boolean) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    EXECUTE rfm.write_profiles_query(model,
        format('SELECT c.*, NULL::bigint AS next_hash FROM (%s) c WHERE c.customer_id IS NOT NULL OR $2', rfm.some_profiles_query(settings)),
        format('p.customer_id = ANY ($1::%s[]) OR (p.customer_id IS NULL AND $2)', rfm.id_type(settings.order_lines, 'customer_id')),
        rfm.as_of_sql(settings), 0)
        INTO changed USING customer_ids, with_nobody;
    RETURN changed;
END $$;
COMMENT ON FUNCTION rfm.refresh_some_profiles(text, rfm.settings, text[], boolean) IS
    'Internal. Brings the stored profiles of some customers and, if with_nobody, of lines without customer up to date; the number of rows written or removed.';

-- Without statistics the planner takes small tables for large ones and compiles what takes a millisecond.
CREATE FUNCTION rfm.analyze_stored(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{profiles,snapshot,campaigns,action_texts,segment_rules}'::text[] LOOP
        IF (SELECT reltuples <= 0 FROM pg_class WHERE oid = rfm.model_relation(model, name)) THEN
            EXECUTE format('ANALYZE %I.%I', model, name);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION rfm.analyze_stored(text) IS 'Internal. Analyses the tables of a model that have no statistics yet.';

-- INSERT would read the profiles without parallel workers; the text is exact in every session.
CREATE FUNCTION rfm.fill_row(model text, name text, query text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET datestyle = 'ISO' AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT q::text FROM (%s) q', query) INTO result;
    EXECUTE format('INSERT INTO %1$I.%2$I SELECT (x.result).* FROM (SELECT $1::%1$I.%2$I AS result OFFSET 0) x', model, name) USING result;
END $$;
COMMENT ON FUNCTION rfm.fill_row(text, text, text) IS 'Internal. Fills an empty table of a model with the one row of a query.';

-- A join with the snapshot would have no parallel workers, and cut points that are constants are read once.
CREATE FUNCTION rfm.constant_row(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET datestyle = 'ISO' AS $$
DECLARE
    columns text;
BEGIN
    EXECUTE (SELECT format('SELECT concat_ws('', '', %s) FROM (SELECT) one LEFT JOIN %s ON true',
                string_agg(format('format(''%%L::%s AS %I'', %2$I)', format_type(atttypid, atttypmod), attname), ', ' ORDER BY attnum), relation)
             FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped) INTO columns;
    RETURN format('(SELECT %s)', columns);
END $$;
COMMENT ON FUNCTION rfm.constant_row(regclass) IS 'Internal. SQL of the one row of a table, written out; of NULLs where the table is empty.';

CREATE FUNCTION rfm.refresh_snapshot(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    query text;
BEGIN
    EXECUTE format('WITH old AS (DELETE FROM %1$I.snapshot RETURNING *) INSERT INTO %1$I.replaced_snapshot SELECT * FROM old', model);
    EXECUTE format('SELECT query FROM %I.compiled_views WHERE name = ''snapshot''', model) INTO query;
    PERFORM rfm.fill_row(model, 'snapshot', query);
    PERFORM rfm.analyze_stored(model);
END $$;
COMMENT ON FUNCTION rfm.refresh_snapshot(text) IS 'Internal. Writes the snapshot row of a model with storage table; the one before is kept in replaced_snapshot.';

-- Where no customer changed nor any score, what is summed up of them stays. A scan of many customers for a few that changed
-- is left to those who read.
CREATE FUNCTION rfm.refresh_summaries(model text, settings rfm.settings, changed bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    many boolean;
    stay boolean;
BEGIN
    EXECUTE format('SELECT customers > 100000 FROM %I.snapshot', model) INTO many;
    IF changed = 0 THEN
        EXECUTE format('UPDATE %1$I.stored_summaries SET (as_of, refreshed_at, registered, unassigned_revenue, margin_rate) ='
            ' (SELECT n.as_of, n.refreshed_at, n.registered, n.unassigned_revenue, n.margin_rate)'
            ' FROM %1$I.snapshot n, %1$I.replaced_snapshot o WHERE o.rules::text = n.rules::text'
            ' AND (o.as_of_date, o.recency_cutoffs, o.frequency_cutoffs, o.monetary_cutoffs)'
            ' IS NOT DISTINCT FROM (n.as_of_date, n.recency_cutoffs, n.frequency_cutoffs, n.monetary_cutoffs)'
            ' RETURNING true', model) INTO stay;
    END IF;
    IF stay IS NULL THEN
        EXECUTE format('DELETE FROM %I.stored_summaries', model);
        IF changed IS NULL OR NOT many THEN
            PERFORM rfm.fill_row(model, 'stored_summaries', rfm.summaries_query(settings, format('(%s) s', rfm.scored_query(model, settings,
                format('%I.profiles', model), rfm.constant_row(rfm.model_relation(model, 'snapshot')))), true));
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.refresh_summaries(text, rfm.settings, bigint) IS
    'Internal. Writes the summaries of a model with storage table, or takes them away. changed: the profiles that changed; NULL when all may have.';

-- history

CREATE FUNCTION rfm.history_columns(valid_from text, valid_to text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('customer_id, segment, segment_rank, r, f, m, rfm_score, recency_days, orders, revenue, %s AS valid_from, %s AS valid_to',
                             valid_from, valid_to);
COMMENT ON FUNCTION rfm.history_columns(text, text) IS 'Internal. SQL of the columns of segment_history.';

-- Compares segments before and after: of the customers whose profiles were replaced, and of the others whose level moved
-- with the day or the cut points, or of all where the rules did. A segment that ended is written down with its last values;
-- the one that began is dated in profiles.
CREATE FUNCTION rfm.refresh_history(model text, settings rfm.settings, old_as_of timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    customer text := rfm.id_type(settings.order_lines, 'customer_id');
    before   text := rfm.constant_row(rfm.model_relation(model, 'replaced_snapshot'));
    old      text := rfm.scored_query(model, settings, format('%I.replaced_profiles', model), before);
    stayed   text := rfm.scored_query(model, settings, format('(SELECT p.* FROM %1$I.profiles p WHERE p.customer_id = ANY ($2::%2$s[]) AND NOT EXISTS'
        ' (SELECT FROM %1$I.replaced_profiles r WHERE r.customer_id = p.customer_id))', model, customer), before);
    new      text := rfm.scored_query(model, settings, format('%I.profiles', model), rfm.constant_row(rfm.model_relation(model, 'snapshot')));
    as_of    timestamptz;
    query    text;
    moved    text[];
    erased   text[];
BEGIN
    -- with the cut points written out, so that parallel workers can look for those who moved
    EXECUTE format('SELECT n.as_of, concat_ws('' OR '', CASE WHEN o.rules::text <> n.rules::text THEN ''true'' END,'
        ' CASE WHEN (o.as_of_date, o.recency_cutoffs) IS DISTINCT FROM (n.as_of_date, n.recency_cutoffs) THEN'
        ' format(''rfm.recency_score(%%L::date - last_order_date, %%L::numeric[]) <> rfm.recency_score(%%L::date - last_order_date, %%L::numeric[])'','
        ' o.as_of_date::text, o.recency_cutoffs, n.as_of_date::text, n.recency_cutoffs) END,'
        ' CASE WHEN o.frequency_cutoffs IS DISTINCT FROM n.frequency_cutoffs THEN'
        ' format(''rfm.frequency_score(orders, %%L::numeric[]) <> rfm.frequency_score(orders, %%L::numeric[])'', o.frequency_cutoffs, n.frequency_cutoffs) END,'
        ' CASE WHEN cardinality(o.monetary_cutoffs) IS DISTINCT FROM cardinality(n.monetary_cutoffs) THEN ''true'''
        -- between where a cut point was and where it is
        ' ELSE (SELECT string_agg(format(''revenue >= %%s AND revenue < %%s'', least(a, b), greatest(a, b)), '' OR '')'
        ' FROM unnest(o.monetary_cutoffs, n.monetary_cutoffs) u(a, b) WHERE a <> b) END)'
        ' FROM %1$I.snapshot n, %1$I.replaced_snapshot o', model) INTO as_of, query;
    IF query <> '' THEN
        EXECUTE format('SELECT array_agg(customer_id::text) FROM %I.profiles WHERE orders > 0 AND (%s)', model, query) INTO moved;
    END IF;
    IF as_of < old_as_of THEN
        -- the clock was set back, and with it the history
        EXECUTE format('DELETE FROM %I.segment_changes WHERE valid_from >= $1', model) USING as_of;
        EXECUTE format('UPDATE %I.segment_changes SET valid_to = $1 WHERE valid_to > $1', model) USING as_of;
        EXECUTE format('UPDATE %I.profiles SET segment_since = $1 WHERE segment_since > $1', model) USING as_of;
        EXECUTE format('UPDATE %I.replaced_profiles SET segment_since = $1 WHERE segment_since > $1', model) USING as_of;
    END IF;

    EXECUTE format('WITH ended AS ('
        ' SELECT o.*, n.segment AS new_segment, n.id IS NOT NULL AS stays'
        ' FROM (SELECT customer_id AS id, CASE WHEN orders > 0 THEN segment END AS old_segment, %2$s FROM (%3$s UNION ALL %4$s) q) o'
        ' LEFT JOIN (SELECT customer_id AS id, CASE WHEN orders > 0 THEN segment END AS segment FROM (%5$s) q) n USING (id)'
        ' WHERE o.old_segment IS DISTINCT FROM n.segment),'
        ' written AS (INSERT INTO %1$I.segment_changes SELECT customer_id, segment, segment_rank, r, f, m, rfm_score, recency_days, orders, revenue,'
        ' valid_from, valid_to FROM ended WHERE old_segment IS NOT NULL AND valid_from < valid_to)'
        ' UPDATE %1$I.profiles p SET segment_since = CASE WHEN e.new_segment IS NOT NULL THEN $1 END FROM ended e'
        ' WHERE e.stays AND p.customer_id = e.id AND p.segment_since IS DISTINCT FROM (CASE WHEN e.new_segment IS NOT NULL THEN $1 END)',
        model, rfm.history_columns('segment_since', '$1'), old, stayed, new)
        USING as_of, moved;

    EXECUTE format('SELECT array_agg(r.customer_id::text) FROM %1$I.replaced_profiles r WHERE NOT EXISTS'
        ' (SELECT FROM %1$I.profiles p WHERE p.customer_id = r.customer_id)', model) INTO erased;
    IF erased IS NOT NULL THEN
        -- who has no line left at all has no history left
        EXECUTE format('DELETE FROM %1$I.segment_changes c WHERE c.customer_id = ANY ($1::%2$s[]) AND c.customer_id NOT IN (%3$s)',
            model, rfm.id_type(settings.order_lines, 'customer_id'), rfm.with_lines_query(settings)) USING erased;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.refresh_history(text, rfm.settings, timestamptz) IS 'Internal. Writes down the segments that ended with this refresh.';

-- the refresh of tables

-- What changed since the last build, and why all must be built again if so. Takes the recorded changes.
CREATE FUNCTION rfm.take_changes(model text, settings rfm.settings, full_reason text,
        OUT reason text, OUT customer_ids text[], OUT with_nobody boolean, OUT accounts_changed boolean, OUT contract text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state         record;
    last_contract text;
    set_back      boolean;
    as_of         timestamptz;
    window_start  timestamptz;
    everything    text;
    due           text[];
    due_nobody    boolean;
    customers     bigint;
BEGIN
    EXECUTE format('SELECT %s, %s', rfm.as_of_sql(settings), rfm.window_start_sql(settings, rfm.as_of_sql(settings))) INTO as_of, window_start;
    EXECUTE format('SELECT contract, coalesce($1 < as_of OR $2 < window_start, false) FROM %I.last_build', model)
        INTO last_contract, set_back USING as_of, window_start;
    reason := coalesce(full_reason, CASE WHEN set_back IS NULL THEN 'nothing was stored yet' END);
    IF rfm.model_relation(model, 'changes') IS NULL THEN
        reason := coalesce(reason, 'changes are not tracked: see rfm.track_changes');
        RETURN;
    END IF;

    SELECT * FROM rfm.contract_state(model, settings) INTO state;
    contract := CASE WHEN state.reason IS NULL THEN state.fingerprint END;
    reason := coalesce(reason, state.reason);

    EXECUTE format('WITH taken AS (DELETE FROM %I.changes RETURNING *), ids AS ('
        ' SELECT DISTINCT u.id FROM taken t, unnest(t.customer_ids) u(id) WHERE $2)'
        ' SELECT (SELECT string_agg(DISTINCT relation::regclass::text, '', '') FROM taken t WHERE t.everything),'
        ' ARRAY(SELECT id::text FROM ids WHERE id IS NOT NULL), EXISTS (SELECT FROM ids WHERE id IS NULL),'
        ' (SELECT coalesce(bool_or(t.relation = ANY ($1)), false) FROM taken t)', model)
        INTO everything, customer_ids, with_nobody, accounts_changed USING state.account_relations, reason IS NULL;
    reason := coalesce(reason, everything || ' changed as a whole',
        CASE WHEN last_contract IS DISTINCT FROM contract THEN 'tracking is new, or a relation, view or trigger below the model was changed' END,
        CASE WHEN set_back THEN 'the clock went backward' END);
    IF reason IS NOT NULL THEN
        RETURN;
    END IF;

    EXECUTE format('SELECT array_agg(customer_id::text) FILTER (WHERE customer_id IS NOT NULL), coalesce(bool_or(customer_id IS NULL), false)'
        ' FROM %I.profiles WHERE next_change_at < $1 OR window_line_at < $2', model) INTO due, due_nobody USING as_of, window_start;
    IF due IS NOT NULL THEN
        customer_ids := ARRAY(SELECT unnest(customer_ids) UNION SELECT unnest(due));
    END IF;
    with_nobody := with_nobody OR due_nobody;
    EXECUTE format('SELECT customers FROM %I.snapshot', model) INTO customers;
    IF cardinality(customer_ids) > greatest(1000, customers / 5) THEN
        reason := format('%s customers changed, of %s', cardinality(customer_ids), customers);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.take_changes(text, rfm.settings, text) IS
    'Internal. The customers whose profiles must be computed again; or, as reason, why all of them. Takes the recorded changes away.';

-- What the refresh of a large model sorts and hashes beside its profiles is small against these: it may take an eighth.
CREATE FUNCTION rfm.refresh_tables(model text, refresh_id bigint, full_rebuild boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '4MB' AS $$
DECLARE
    s        rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    todo     record;
    old      timestamptz;
    changed  bigint := 0;
    passes   int;
    compiled text;
BEGIN
    PERFORM set_config('work_mem', greatest(pg_size_bytes(s.build_memory) / 8192, 64)::text, true);
    PERFORM rfm.report_stage(model, 'profiles', 5);
    EXECUTE format('SELECT reason FROM %I.refresh_log l WHERE l.refresh_id = $1', model) INTO compiled USING refresh_id;
    EXECUTE format('DELETE FROM %I.replaced_profiles', model);
    EXECUTE format('DELETE FROM %I.replaced_snapshot', model);
    EXECUTE format('SELECT as_of FROM %I.last_build', model) INTO old;
    todo := rfm.take_changes(model, s, CASE WHEN full_rebuild THEN 'asked for' ELSE compiled END);
    IF todo.reason IS NOT NULL THEN
        SELECT p.changed, p.passes INTO changed, passes FROM rfm.refresh_profiles(model, s) p;
    ELSE
        IF todo.with_nobody OR todo.customer_ids <> '{}' THEN
            changed := rfm.refresh_some_profiles(model, s, todo.customer_ids, todo.with_nobody);
        END IF;
        EXECUTE format('UPDATE %I.profiles SET as_of = %s, registered = %s WHERE customer_id IS NULL', model, rfm.as_of_sql(s),
            CASE WHEN todo.accounts_changed OR todo.with_nobody THEN rfm.registered_sql(s) ELSE 'registered' END);
    END IF;
    EXECUTE format('DELETE FROM %I.last_build', model);
    EXECUTE format('INSERT INTO %1$I.last_build VALUES (%2$s, %3$s, $1)', model, rfm.as_of_sql(s),
        rfm.window_start_sql(s, rfm.as_of_sql(s))) USING todo.contract;
    PERFORM rfm.log_stage(model, refresh_id, 'profiles');

    PERFORM rfm.report_stage(model, 'snapshot', 75);
    PERFORM rfm.refresh_snapshot(model);
    PERFORM rfm.log_stage(model, refresh_id, 'snapshot');

    PERFORM rfm.report_stage(model, 'summaries', 85);
    PERFORM rfm.refresh_summaries(model, s, CASE WHEN todo.reason IS NULL THEN changed END);
    PERFORM rfm.log_stage(model, refresh_id, 'summaries');

    IF old IS NOT NULL THEN
        PERFORM rfm.report_stage(model, 'history', 90);
        PERFORM rfm.refresh_history(model, s, old);
        PERFORM rfm.log_stage(model, refresh_id, 'history');
    END IF;
    EXECUTE format('UPDATE %I.refresh_log l SET mode = $2, reason = $3, changed = $4, passes = $5 WHERE l.refresh_id = $1', model)
        USING refresh_id, CASE WHEN todo.reason IS NULL THEN 'incremental' ELSE 'full' END,
              coalesce(todo.reason, 'customers that changed or came due: ' || cardinality(todo.customer_ids)), changed, passes;
END $$;
COMMENT ON FUNCTION rfm.refresh_tables(text, bigint, boolean) IS
    'Internal. Brings the stored layers of a model with storage table up to date.';

-- The first build of a model, by its maker.
CREATE FUNCTION rfm.build_model(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    s          rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    refresh_id bigint := rfm.log_start(model, 'the model was created');
BEGIN
    IF s.storage = 'table' THEN
        PERFORM rfm.refresh_tables(model, refresh_id, false);
    ELSIF s.storage = 'materialized' THEN
        EXECUTE format('REFRESH MATERIALIZED VIEW %I.profiles', model);
        PERFORM rfm.log_stage(model, refresh_id, 'profiles');
        EXECUTE format('REFRESH MATERIALIZED VIEW %I.snapshot', model);
        PERFORM rfm.log_stage(model, refresh_id, 'snapshot');
    END IF;
    PERFORM rfm.analyze_stored(model);
    PERFORM rfm.log_end(model, refresh_id, NULL);
END $$;
COMMENT ON FUNCTION rfm.build_model(text) IS 'Internal. Fills the stored layers of a new model.';

CREATE FUNCTION rfm.report_age(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    days int;
BEGIN
    EXECUTE format('SELECT as_of_date - last_order_date FROM %I.snapshot', model) INTO days;
    IF days > 90 THEN
        RAISE NOTICE 'the newest purchase is % days older than as_of: by then everyone hibernates', days
            USING HINT = 'Is the load of the order lines still running? For a static export set as_of with rfm.configure_model.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_age(text) IS 'Internal. Tells by NOTICE when the newest purchase is over 90 days older than as_of.';

-- log

-- Other sessions see the stage in pg_stat_activity. Who waits is told when it takes more than a moment.
CREATE FUNCTION rfm.report_stage(model text, stage text, percent int) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('application_name', left(format('rfm_segments %s %s %% of %s', stage, percent, model), 63), true);
    IF clock_timestamp() > now() + interval '2 seconds' THEN
        RAISE NOTICE '% %% of model "%": %', percent, model, stage;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.report_stage(text, text, int) IS 'Internal. Shows how far a refresh has come.';

-- A refresh whose session is gone has ended, too.
CREATE FUNCTION rfm.log_start(model text, reason text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    EXECUTE format('UPDATE %I.refresh_log SET error = ''ended with its session'' WHERE finished_at IS NULL AND error IS NULL'
        ' AND pid NOT IN (SELECT a.pid FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid())', model);
    EXECUTE format('INSERT INTO %I.refresh_log (started_at, pid, mode, reason) VALUES (clock_timestamp(), pg_backend_pid(), ''full'', $1)'
        ' RETURNING refresh_id', model) INTO id USING reason;
    RETURN id;
END $$;
COMMENT ON FUNCTION rfm.log_start(text, text) IS 'Internal. Opens a row in refresh_log; its number.';

CREATE FUNCTION rfm.log_stage(model text, refresh_id bigint, stage text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('UPDATE %I.refresh_log l SET %I = extract(epoch FROM clock_timestamp() - started_at)::float8 - coalesce(wait_seconds, 0)'
        ' - coalesce(views_seconds, 0) - coalesce(profiles_seconds, 0) - coalesce(snapshot_seconds, 0) - coalesce(summaries_seconds, 0) - coalesce(history_seconds, 0)'
        ' WHERE l.refresh_id = $1', model, stage || '_seconds') USING refresh_id;
END $$;
COMMENT ON FUNCTION rfm.log_stage(text, bigint, text) IS 'Internal. Writes down in refresh_log how long a stage took that just ended.';

CREATE FUNCTION rfm.log_end(model text, refresh_id bigint, error text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settings text;
BEGIN
    BEGIN
        EXECUTE format('SELECT jsonb_strip_nulls(to_jsonb(rfm.resolve_settings(s)))::text FROM %I.settings s', model) INTO settings;
    EXCEPTION WHEN OTHERS THEN
        -- settings that cannot be used may be why the refresh failed: as they stand
        EXECUTE format('SELECT jsonb_strip_nulls(to_jsonb(s))::text FROM %I.settings s', model) INTO settings;
    END;
    EXECUTE format('UPDATE %I.refresh_log l SET finished_at = clock_timestamp(), error = $2, settings = $3,'
        ' rules = (SELECT jsonb_agg(to_jsonb(r) ORDER BY rule_order)::text FROM %1$I.segment_rules r)'
        ' WHERE l.refresh_id = $1', model) USING refresh_id, error, settings;
    IF error IS NULL AND rfm.model_relation(model, 'snapshot') IS NOT NULL THEN
        EXECUTE format('UPDATE %1$I.refresh_log l SET customers = s.customers, as_of = s.as_of, recency_cutoffs = s.recency_cutoffs::text,'
            ' frequency_cutoffs = s.frequency_cutoffs::text, monetary_cutoffs = s.monetary_cutoffs::text'
            ' FROM %1$I.snapshot s WHERE l.refresh_id = $1', model) USING refresh_id;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.log_end(text, bigint, text) IS 'Internal. Closes a row in refresh_log.';

-- refresh

CREATE FUNCTION rfm.refresh_views(model text, refresh_id bigint) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reason  text;
    storage text;
BEGIN
    PERFORM rfm.log_stage(model, refresh_id, 'wait');
    PERFORM rfm.report_stage(model, 'views', 0);
    reason := rfm.compile_model(model);
    storage := (rfm.resolve_settings(rfm.model_settings(model))).storage;
    IF storage <> 'table' THEN
        reason := coalesce(reason, 'storage is ' || storage);
        IF rfm.model_relation(model, 'changes') IS NOT NULL THEN
            EXECUTE format('DELETE FROM %I.changes', model);
        END IF;
    END IF;
    EXECUTE format('UPDATE %I.refresh_log l SET reason = $2 WHERE l.refresh_id = $1', model) USING refresh_id, reason;
    PERFORM rfm.log_stage(model, refresh_id, 'views');
    RETURN storage;
END $$;
COMMENT ON FUNCTION rfm.refresh_views(text, bigint) IS 'Internal. The first stage of a refresh; the storage of the model.';

CREATE FUNCTION rfm.read_relations(model text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    numbers text;
BEGIN
    EXECUTE format('SELECT string_agg(DISTINCT f::text, '' '') FROM %I.settings s CROSS JOIN LATERAL rfm.contract_sources($1, s::rfm.settings) x'
        ' CROSS JOIN LATERAL rfm.partition_family(x.relation) f WHERE NOT rfm.is_system_relation(f)', model) INTO numbers USING model;
    RETURN numbers;
END $$;
COMMENT ON FUNCTION rfm.read_relations(text) IS 'Internal. The numbers of the tables and views that a refresh of a model reads.';

CREATE PROCEDURE rfm.refresh(model text, full_rebuild boolean DEFAULT false, wait boolean DEFAULT true)
    LANGUAGE c AS 'MODULE_PATHNAME', 'rfm_refresh';
COMMENT ON PROCEDURE rfm.refresh(text, boolean, boolean) IS
    'Brings a model up to date: its views in line with settings, rules and contract relations, its stored layers with the data. After rfm.track_changes only the customers that changed are computed again; full_rebuild computes all. Readers see the old snapshot or the new one and are not blocked. Runs with the rights of the owner of the model. Called outside a transaction it logs and commits by itself. A second call waits, or with wait => false returns at once. How it went stands in refresh_log of the model. Example: CALL rfm.refresh(''shop'');';
-- 86_check: what is wrong with the data or the rules of a model. Reads the user's relations, as 65_contract does.
--
-- A finding is a row. Its severity is error (the model is wrong or cannot be refreshed), warning (somebody should look) or
-- note (as it should be, or worth knowing); a healthy model has notes only.

CREATE TYPE rfm.finding AS (severity text, finding text, count bigint, example text, what_to_do text);
COMMENT ON TYPE rfm.finding IS 'What check_model or check_rules found; a row of their answers.';
COMMENT ON COLUMN rfm.finding.severity IS 'error: the model is wrong or cannot be refreshed; warning: somebody should look; note: as it should be, or worth knowing.';
COMMENT ON COLUMN rfm.finding.finding IS 'What was found.';
COMMENT ON COLUMN rfm.finding.count IS 'How many: lines, ids, rules or cells, as finding says.';
COMMENT ON COLUMN rfm.finding.example IS 'One of them, by its id. NULL: there is none to show.';
COMMENT ON COLUMN rfm.finding.what_to_do IS 'What to do, one sentence.';

-- Every order line in the one reason why it counts or not, the first that holds; and its order and customer in the reason
-- of that line of theirs which comes closest to counting. $1: as_of, $2: start of the window, $3: now.
CREATE FUNCTION rfm.reconciliation_query(settings rfm.settings) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s        rfm.settings := settings;
    excluded text := CASE WHEN rfm.column_type(s.order_lines, 'status') IS NULL OR s.excluded_statuses = '{}' THEN 'false'
        ELSE format('coalesce(x.status::text COLLATE "C" = ANY (%L::text[]), false)', s.excluded_statuses) END;
    voided   text := 'false';
BEGIN
    -- the moment from which a line no longer counts, and until which it did, whatever its status says
    IF rfm.column_type(s.order_lines, 'voided_at') IS NOT NULL THEN
        voided := format('coalesce(%s < $1, false)', rfm.instant_column(s.order_lines, 'voided_at', s.time_zone));
        excluded := format('(x.voided_at IS NULL AND %s)', excluded);
    END IF;
    -- OFFSET 0: what is computed of a line is computed once
    RETURN format($q$
        WITH l AS (
            SELECT x.customer_id, x.order_id, x.money,
                   CASE WHEN NOT x.is_complete OR x.is_voided OR x.is_excluded OR x.is_sound THEN
                       CASE WHEN x.customer_id IS NULL THEN 2
                            WHEN NOT x.is_complete THEN 3
                            WHEN x.is_voided THEN 4
                            WHEN x.is_excluded THEN 5
                            WHEN x.at >= $1 THEN CASE WHEN x.at >= $3 THEN 6 ELSE 7 END
                            WHEN x.at < $2 THEN 8
                            WHEN x.money < 0 THEN 11 ELSE 12 END
                   ELSE 1 END AS reason, CASE WHEN x.is_excluded THEN x.status END AS status
            FROM (SELECT %1$s AS customer_id, %2$s AS order_id, %3$s AS at, %4$s AS status, 
                         %8$s AND x.ordered_at <> '-infinity' AS is_sound, CASE WHEN %8$s THEN rfm.money(x.amount) END AS money,
                         x.order_id IS NOT NULL AND x.ordered_at IS NOT NULL AND x.amount IS NOT NULL AS is_complete,
                         %5$s AS is_voided, %6$s AS is_excluded
                  FROM %7$s x OFFSET 0) x OFFSET 0),
        g AS (
            SELECT customer_id, order_id, reason, CASE WHEN reason = 5 THEN status END AS status,
                   count(*) AS lines, sum(money) AS money, bool_or(reason = 8 AND money >= 0) AS buys_before
            FROM l GROUP BY 1, 2, 3, 4),
        c AS (
            SELECT g.*, bool_or(reason = 12) OVER w AS buys, bool_or(buys_before) OVER w AS bought
            FROM g WINDOW w AS (PARTITION BY customer_id)),
        k AS (
            SELECT customer_id, order_id, status, lines, money,
                   CASE WHEN reason < 11 OR buys THEN reason WHEN bought THEN 10 ELSE 9 END AS reason
            FROM c),
        n AS (
            SELECT k.*,
                   order_id IS NOT NULL AND row_number() OVER (PARTITION BY customer_id, order_id ORDER BY reason DESC, status) = 1 AS is_order,
                   customer_id IS NOT NULL AND row_number() OVER (PARTITION BY customer_id ORDER BY reason DESC, status, order_id) = 1 AS is_customer
            FROM k)
        SELECT reason, status, sum(lines)::bigint AS lines, count(*) FILTER (WHERE is_order) AS orders,
               count(*) FILTER (WHERE is_customer) AS customers, coalesce(sum(money), 0) AS amount,
               min(order_id::text COLLATE "C") AS an_order, min(customer_id::text COLLATE "C") AS a_customer
        FROM n GROUP BY reason, status ORDER BY reason DESC, status$q$,
        rfm.id_column(s.order_lines, 'customer_id'), rfm.id_column(s.order_lines, 'order_id'),
        rfm.instant_column(s.order_lines, 'ordered_at', s.time_zone), rfm.text_column(s.order_lines, 'status'),
        voided, excluded, s.order_lines, 'abs(x.amount::numeric) <= 922337203685476');
END $$;
COMMENT ON FUNCTION rfm.reconciliation_query(rfm.settings) IS
    'Internal. SQL of lines, orders, customers and money by the reason why they count or not, from the order lines alone.';

-- What no longer is as the settings, the rules aside, would make it.
CREATE FUNCTION rfm.settings_pending(model text, settings rfm.settings) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := settings;
    pending boolean;
BEGIN
    s.storage := 'table';
    EXECUTE format('SELECT count(*) < 2 FROM (SELECT * FROM rfm.view_queries($1, $2, false) UNION SELECT * FROM rfm.view_queries($1, $2, true)) q'
        ' JOIN %I.compiled_views v ON v.name::text = q.name AND v.query = q.query WHERE q.name IN (''valid_lines'', ''profiles_source'')', model)
        INTO pending USING model, s;
    RETURN pending;
END $$;
COMMENT ON FUNCTION rfm.settings_pending(text, rfm.settings) IS 'Internal. Whether settings wait for the next refresh that change who is a customer.';

-- What the model itself makes of the lines, at the moment of its snapshot.
CREATE FUNCTION rfm.profiles_at_query(model text, settings rfm.settings, as_of timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s         rfm.settings := settings;
    same_time boolean;
BEGIN
    s.as_of := as_of AT TIME ZONE s.time_zone;
    EXECUTE 'SELECT $1 = ' || rfm.as_of_sql(s) INTO same_time USING as_of;
    RETURN CASE WHEN same_time THEN (rfm.all_profiles_query(model, s, rfm.needs_grouping(model, s), NULL, format('%L::timestamptz', as_of))).profile_rows END;
END $$;
COMMENT ON FUNCTION rfm.profiles_at_query(text, rfm.settings, timestamptz) IS
    'Internal. SQL of the profiles at a moment, as the lines alone give them; NULL for a moment within the hour that local clocks have twice.';

-- Findings about duplicate ids in a relation.
CREATE FUNCTION rfm.duplicate_findings(relation regclass, id text) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT ''warning'', %L, count(*), %L || min(d.id::text COLLATE "C"),'
            ' ''Make the id unique; until then the smallest row, by all columns, is taken.'''
            ' FROM (SELECT %s AS id FROM %s x GROUP BY 1 HAVING count(*) > 1) d WHERE d.id IS NOT NULL HAVING count(*) > 0',
            format('%s occurs several times in %s', id, relation), id || ' ', rfm.id_column(relation, id), relation);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.duplicate_findings(regclass, text) IS 'Internal. The finding that an id occurs several times.';

-- Findings about lines whose id is not in a relation.
CREATE FUNCTION rfm.unknown_findings(order_lines regclass, id text, relation regclass, consequence text)
    RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT ''warning'', %L, count(*), %L || min(u.id::text COLLATE "C"), %L'
            ' FROM (SELECT DISTINCT %s AS id FROM %s x) u WHERE u.id IS NOT NULL'
            ' AND NOT EXISTS (SELECT FROM (SELECT %s AS id FROM %s x) k WHERE k.id = u.id) HAVING count(*) > 0',
            format('%s of the lines is not in %s', id, relation), id || ' ', consequence,
            rfm.id_column(order_lines, id), order_lines, rfm.id_column(relation, id), relation);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.unknown_findings(regclass, text, regclass, text) IS 'Internal. The finding that lines name an id that a relation does not have.';

-- Findings about the statuses of the lines.
CREATE FUNCTION rfm.status_findings(settings rfm.settings) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s rfm.settings := settings;
BEGIN
    IF rfm.column_type(s.order_lines, 'status') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format($q$
        WITH t AS MATERIALIZED (
            SELECT u.status, count(*) AS lines, coalesce(u.status = ANY ($1), false) AS is_excluded
            FROM (SELECT %s AS status FROM %s x) u WHERE u.status IS NOT NULL GROUP BY u.status),
        absent AS (
            SELECT e.status, bool_and(false) FROM unnest($1) e(status) WHERE NOT EXISTS (SELECT FROM t WHERE t.status = e.status COLLATE "C")
            GROUP BY e.status)
        SELECT CASE WHEN EXISTS (SELECT FROM t WHERE is_excluded) THEN 'note' ELSE 'warning' END,
               'excluded statuses that no line has: ' || string_agg(quote_literal(a.status), ', ' ORDER BY a.status COLLATE "C"), count(*),
               min(a.status COLLATE "C"), 'Compare excluded_statuses with the statuses of the lines.'
        FROM absent a WHERE EXISTS (SELECT FROM t) HAVING count(*) > 0
        UNION ALL
        SELECT CASE WHEN bool_and(is_excluded) OR NOT bool_or(is_excluded) THEN 'note' ELSE 'warning' END,
               'statuses that differ in case or blanks only: ' || string_agg(
                   format('%%L (%%s, lines %%s)', status, CASE WHEN is_excluded THEN 'excluded' ELSE 'counted' END, lines), ', ' ORDER BY status),
               sum(lines)::bigint, min(status),
               CASE WHEN bool_and(is_excluded) OR NOT bool_or(is_excluded) THEN 'Nothing, as long as they are treated alike.'
                    ELSE 'Write them alike in a view, or name all of them in excluded_statuses.' END
        FROM t GROUP BY lower(btrim(status)) HAVING count(*) > 1$q$,
        rfm.text_column(s.order_lines, 'status'), s.order_lines) USING s.excluded_statuses;
END $$;
COMMENT ON FUNCTION rfm.status_findings(rfm.settings) IS 'Internal. Findings about the statuses of the lines.';

-- Findings about the scores: cut points that coincide, levels that nobody has.
CREATE FUNCTION rfm.axis_findings(model text) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- all three axes at once, so that a live model is computed once
    axes jsonb;
BEGIN
    IF rfm.model_relation(model, 'snapshot') IS NOT NULL THEN
        RETURN QUERY EXECUTE format($q$
            SELECT 'warning', format('cut points of %%s that are equal', v.axis), cardinality(v.cuts) - count(DISTINCT u.cut),
                   'cut point ' || trim_scale(min(u.cut) FILTER (WHERE u.again)),
                   format('So many customers are alike that %%s has fewer levels: set %%1$s_cutoffs, or fewer %%1$s_fractions.', v.axis)
            FROM %1$I.snapshot s
            CROSS JOIN LATERAL (VALUES (1, 'recency', s.recency_cutoffs::numeric[]), (2, 'frequency', s.frequency_cutoffs::numeric[]),
                                       (3, 'monetary', s.monetary_cutoffs::numeric[])) v(i, axis, cuts)
            CROSS JOIN LATERAL (SELECT c, c = lag(c) OVER (ORDER BY c) FROM unnest(v.cuts) c) u(cut, again)
            GROUP BY v.i, v.axis, v.cuts HAVING bool_or(u.again) ORDER BY v.i$q$, model);
    END IF;
    EXECUTE format($q$
        SELECT jsonb_agg(to_jsonb(a)) FROM (
            SELECT v.i, v.axis, v.score, sum(c.customers) AS customers
            FROM (SELECT r, f, m, sum(customers) AS customers FROM %1$I.score_cells GROUP BY r, f, m) c
            CROSS JOIN LATERAL (VALUES (1, 'recency', c.r), (2, 'frequency', c.f), (3, 'monetary', c.m)) v(i, axis, score)
            GROUP BY v.i, v.axis, v.score) a$q$, model) INTO axes;
    RETURN QUERY
    SELECT CASE WHEN sum(a.customers) > 1 AND count(*) FILTER (WHERE a.customers > 0) = 1 THEN 'warning' ELSE 'note' END,
           CASE WHEN sum(a.customers) > 1 AND count(*) FILTER (WHERE a.customers > 0) = 1 THEN format('all customers have one %s score', a.axis)
                ELSE format('%s scores that no customer has', a.axis) END,
           count(*) FILTER (WHERE a.customers = 0), 'score ' || min(a.score) FILTER (WHERE a.customers = 0),
           format('Set %s_cutoffs or %1$s_fractions so that they divide the customers, unless this is meant.', a.axis)
    FROM jsonb_to_recordset(axes) a(i int, axis text, score int, customers bigint)
    GROUP BY a.i, a.axis HAVING count(*) FILTER (WHERE a.customers = 0) > 0 AND sum(a.customers) > 0 ORDER BY a.i;
END $$;
COMMENT ON FUNCTION rfm.axis_findings(text) IS 'Internal. Findings about levels of the scores that nobody has.';

-- Findings about the last refreshes of a stored model.
CREATE FUNCTION rfm.age_findings(model text, settings rfm.settings, as_of timestamptz) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH g AS (
            SELECT started_at, finished_at, started_at - lag(started_at) OVER (ORDER BY refresh_id) AS gap
            FROM %1$I.refresh_log WHERE finished_at IS NOT NULL AND error IS NULL ORDER BY refresh_id DESC LIMIT 20),
        h AS (
            SELECT max(finished_at) AS finished_at, percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) AS gap, count(gap) AS gaps FROM g)
        SELECT CASE WHEN l.error IS NOT NULL THEN 'error' WHEN l.running THEN 'note' ELSE 'warning' END,
               CASE WHEN l.error IS NOT NULL THEN 'the last refresh failed'
                    WHEN l.running THEN 'a refresh is running' ELSE 'the last refresh never ended' END,
               1::bigint, 'refresh_id ' || l.refresh_id,
               CASE WHEN l.error IS NOT NULL THEN 'Read error in refresh_log, correct the cause and refresh.'
                    WHEN l.running THEN 'Wait for it.' ELSE 'The server or the session died: refresh again, the old snapshot is whole.' END
        FROM (SELECT r.*, EXISTS (SELECT FROM pg_locks k WHERE k.relation = %2$s AND k.mode = 'ShareUpdateExclusiveLock' AND k.granted
                                  AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) AS running
              FROM %1$I.refresh_log r ORDER BY refresh_id DESC LIMIT 1) l WHERE l.error IS NOT NULL OR l.finished_at IS NULL
        UNION ALL
        SELECT 'warning', format('no refresh for %%s hours; usual are %%s', round(extract(epoch FROM $1 - h.finished_at) / 3600, 1),
                                 round(extract(epoch FROM h.gap)::numeric / 3600, 1)),
               floor(extract(epoch FROM $1 - h.finished_at) / 3600)::bigint, h.finished_at::text, 'Look whether what refreshes the model still runs.'
        FROM h WHERE h.gaps >= 3 AND $1 - h.finished_at > greatest(3 * h.gap, interval '1 hour')$q$, model, rfm.model_relation(model, 'settings')::oid) USING now();
    IF settings.as_of IS NULL AND now() - as_of > interval '1 day' THEN
        RETURN QUERY SELECT 'warning', 'the snapshot is days old', floor(extract(epoch FROM now() - as_of) / 86400)::bigint, as_of::text,
            'Refresh the model, or schedule it with rfm.schedule.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.age_findings(text, rfm.settings, timestamptz) IS 'Internal. Findings about the last refreshes of a stored model.';

CREATE FUNCTION rfm.model_findings(model text) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    s         rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    f         rfm.finding;
    stored    boolean := rfm.model_relation(model, 'profiles') IS NOT NULL;
    pending   boolean;
    -- of the lines of one reason
    reason    int;
    status    text;
    lines     numeric;
    orders    numeric;
    customers numeric;
    amount    numeric;
    an_order  text;
    customer  text;
    as_of     timestamptz;
    since     timestamptz;
    profiles  text;
    broken    boolean := false;
    -- lines, orders, customers and money: of all lines; of those that count; as the model computes them; as it shows them
    total     numeric[] := array_fill(0::numeric, '{4}');
    plain     numeric[] := array_fill(0::numeric, '{4}');
    fresh     numeric[];
    shown     numeric[];
    changed   bigint := 0;
    one       text;
BEGIN
    PERFORM rfm.check_contract(s);
    pending := rfm.settings_pending(model, s);
    IF stored THEN
        EXECUTE format('SELECT as_of FROM %I.snapshot', model) INTO as_of;
    END IF;
    IF as_of IS NULL THEN
        EXECUTE 'SELECT ' || rfm.as_of_sql(s) INTO as_of;
    END IF;
    since := coalesce((as_of AT TIME ZONE s.time_zone - s.lookback) AT TIME ZONE s.time_zone, '-infinity');

    -- money, lines, orders and customers by reason
    FOR reason, status, lines, orders, customers, amount, an_order, customer IN EXECUTE rfm.reconciliation_query(s) USING as_of, since, now() LOOP
        total := ARRAY[total[1] + lines, total[2] + orders, total[3] + customers, total[4] + amount];
        IF reason >= 11 THEN
            plain := ARRAY[plain[1] + CASE reason WHEN 12 THEN lines ELSE 0 END, plain[2] + CASE reason WHEN 12 THEN orders ELSE 0 END,
                           plain[3] + customers, plain[4] + amount];
        END IF;
        broken := broken OR reason = 1;
        f.severity := CASE WHEN reason = 1 THEN 'error' WHEN reason IN (3, 6, 9) THEN 'warning' ELSE 'note' END;
        f.finding := format('%s: lines %s, orders %s, customers %s, amount %s', CASE reason
            WHEN 12 THEN 'in the segments'
            WHEN 11 THEN 'in their revenue only, refunds'
            WHEN 10 THEN 'left out, no purchase in the window'
            WHEN 9 THEN 'left out, customers with refunds only'
            WHEN 8 THEN 'left out, before the window'
            WHEN 7 THEN 'left out, at or after as_of'
            WHEN 6 THEN 'left out, in the future'
            WHEN 5 THEN format('left out, status %L', status)
            WHEN 4 THEN 'left out, voided before as_of'
            WHEN 3 THEN 'left out, without order_id, ordered_at or amount'
            WHEN 2 THEN 'left out, without customer_id'
            ELSE 'amount not finite or out of range, or ordered_at infinite' END,
            lines, orders, customers, trim_scale(amount));
        f.count := lines::bigint;
        f.example := CASE WHEN reason IN (9, 10) OR an_order IS NULL THEN 'customer_id ' || customer ELSE 'order_id ' || an_order END;
        f.what_to_do := CASE reason
            WHEN 12 THEN 'Nothing: these are the customers.'
            WHEN 11 THEN 'Nothing: a refund lowers the revenue and is no order.'
            WHEN 10 THEN 'Nothing: they bought before the window; lookback sets its length.'
            WHEN 9 THEN 'Look for their purchases: without one they are no customers.'
            WHEN 8 THEN 'Nothing: lookback leaves older lines out.'
            WHEN 7 THEN CASE WHEN s.as_of IS NULL THEN 'Nothing: the next refresh counts them.' ELSE 'Set a later as_of if they shall count.' END
            WHEN 6 THEN 'Correct their dates, or wait: they count from their date on.'
            WHEN 5 THEN 'Nothing, if this status shall not count; excluded_statuses sets it.'
            WHEN 4 THEN 'Nothing: voided_at takes them out.'
            WHEN 3 THEN 'Complete them, or leave them out in the view of the order lines.'
            WHEN 2 THEN 'Give them a customer, or accept that their money belongs to nobody.'
            ELSE 'Correct these lines: until then a refresh fails.' END;
        RETURN NEXT f;
    END LOOP;

    RETURN QUERY SELECT 'warning', 'no customer has a purchase in the window', 0::bigint, NULL::text,
        'Compare as_of, lookback, time_zone and excluded_statuses with the lines.' WHERE plain[3] = 0 AND total[1] > 0;

    IF pending THEN
        RETURN QUERY SELECT 'note', 'changed settings, or contract relations, are not yet in force', 1::bigint, NULL::text,
            'Refresh the model; only then is it compared with the lines.';
    ELSIF NOT broken THEN
        IF stored THEN
            profiles := rfm.profiles_at_query(model, s, as_of);
            IF profiles IS NOT NULL THEN
                EXECUTE format($q$
                    SELECT ARRAY[coalesce(sum(f.lines), 0), coalesce(sum(f.orders), 0), count(*) FILTER (WHERE f.orders > 0),
                                 coalesce(sum(f.revenue) FILTER (WHERE f.orders > 0), 0)],
                           count(*) FILTER (WHERE d.differs), min(coalesce(f.customer_id, p.customer_id)::text COLLATE "C") FILTER (WHERE d.differs)
                    FROM (SELECT * FROM (%1$s) q WHERE q.customer_id IS NOT NULL) f
                    FULL JOIN (SELECT * FROM %2$I.profiles p WHERE p.customer_id IS NOT NULL) p ON p.customer_id = f.customer_id
                    CROSS JOIN LATERAL (SELECT (f.customer_id, f.first_order_at, f.second_order_at, f.last_order_at, f.orders, f.lines, f.revenue, f.first_product_id)
                        IS DISTINCT FROM (p.customer_id, p.first_order_at, p.second_order_at, p.last_order_at, p.orders, p.lines, p.revenue, p.first_product_id)) d(differs)
                    $q$, profiles, model) INTO fresh, changed, one;
            END IF;
            EXECUTE format('SELECT ARRAY[coalesce(sum(lines), 0), coalesce(sum(orders), 0), count(*), coalesce(sum(revenue), 0)]'
                ' FROM %I.profiles WHERE customer_id IS NOT NULL AND orders > 0', model) INTO shown;
        ELSE
            EXECUTE format('SELECT ARRAY[coalesce(sum(lines), 0), coalesce(sum(orders), 0), count(*), coalesce(sum(revenue), 0)]'
                ' FROM %I.customers', model) INTO shown;
        END IF;
        fresh := coalesce(fresh, shown);
        IF fresh <> plain THEN
            RETURN QUERY SELECT 'error', format('the model does not reconcile with the lines: lines %s, orders %s, customers %s, amount %s more than counted here',
                    fresh[1] - plain[1], fresh[2] - plain[2], fresh[3] - plain[3], trim_scale(fresh[4] - plain[4])),
                (fresh[1] - plain[1])::bigint, NULL::text, 'CALL rfm.refresh(model, full_rebuild => true); if it stays, report it as an error of rfm_segments.';
        ELSIF changed > 0 THEN
            RETURN QUERY SELECT 'warning', format('customers whose lines have changed since the last refresh; the snapshot shows: lines %s, orders %s, customers %s, amount %s',
                shown[1], shown[2], shown[3], trim_scale(shown[4])), changed, 'customer_id ' || one, 'Refresh the model.';
        ELSE
            RETURN QUERY SELECT 'note', format('reconciled, all lines: lines %s, orders %s, customers %s, amount %s',
                total[1], total[2], total[3], trim_scale(total[4])), total[1]::bigint, NULL::text, 'Nothing: every line is accounted for.';
        END IF;
    END IF;

    -- ids
    RETURN QUERY EXECUTE format('SELECT ''warning'', ''orders of several customers'', count(*), ''order_id '' || min(o.id::text COLLATE "C"),'
        ' ''Make order_id unique, for example by a prefix for each shop: until then such an order counts once for each customer.'''
        ' FROM (SELECT %s AS id FROM (SELECT %s AS customer_id, x.order_id FROM %s x WHERE x.customer_id IS NOT NULL AND x.order_id IS NOT NULL GROUP BY 1, 2) x'
        ' GROUP BY 1 HAVING count(*) > 1) o HAVING count(*) > 0',
        rfm.id_column(s.order_lines, 'order_id'), rfm.id_column(s.order_lines, 'customer_id'), s.order_lines);
    RETURN QUERY SELECT * FROM rfm.duplicate_findings(s.accounts, 'customer_id');
    RETURN QUERY SELECT * FROM rfm.duplicate_findings(s.products, 'product_id');
    RETURN QUERY SELECT * FROM rfm.unknown_findings(s.order_lines, 'customer_id', s.accounts, 'Add the accounts: such a customer has no channel and no dimensions.');
    RETURN QUERY SELECT * FROM rfm.unknown_findings(s.order_lines, 'product_id', s.products, 'Add the products: such a line has no category and no cost.');
    RETURN QUERY SELECT * FROM rfm.status_findings(s);

    -- scores
    IF stored OR NOT broken THEN
        EXECUTE format('SELECT (s.as_of AT TIME ZONE %L)::date - max(c.last_order_at AT TIME ZONE %1$L)::date FROM %2$I.overview s, %2$I.customers c GROUP BY s.as_of',
            s.time_zone, model) INTO changed;
        IF changed > 90 THEN
            RETURN QUERY SELECT 'warning', 'days from the newest purchase to as_of: by then everyone hibernates', changed, NULL::text,
                'Look whether the load of the order lines still runs; for a static export set as_of.';
        END IF;
        RETURN QUERY SELECT * FROM rfm.axis_findings(model);
    END IF;
    IF stored THEN
        RETURN QUERY SELECT * FROM rfm.age_findings(model, s, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.model_findings(text) IS 'Internal. What check_model finds, in a fixed order.';

CREATE FUNCTION rfm.rule_findings(model text) RETURNS SETOF rfm.finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
    levels  int[] := rfm.levels(s);
    -- every rule with every cell of its box, and whether an earlier rule takes it
    cells   text;
    rules   rfm.rules;
    pending boolean;
    edited  boolean;
BEGIN
    RETURN QUERY EXECUTE format('SELECT ''error'', format(''segment %%L has several stages: %%s'', t.segment, string_agg(DISTINCT t.stage, '', '')),'
        ' count(*), ''rule_order '' || min(t.rule_order), ''Give its rules one stage: until then a refresh fails.'''
        ' FROM %I.segment_rules t GROUP BY t.segment HAVING count(DISTINCT t.stage) > 1 ORDER BY min(t.rule_order)', model);
    IF NOT FOUND THEN
        BEGIN
            rules := rfm.rules_in_force(model, s);
        EXCEPTION WHEN data_exception OR program_limit_exceeded OR invalid_parameter_value THEN
            RETURN QUERY SELECT 'error', 'the rules cannot be used: ' || SQLERRM, 1::bigint, NULL::text, 'Correct them: until then a refresh fails.';
        END;
    END IF;

    cells := format('WITH cell AS (SELECT r, f, m, 100 * r + 10 * f + m AS code FROM generate_series(1, %2$s) r, generate_series(1, %3$s) f, generate_series(1, %4$s) m),'
        ' hit AS MATERIALIZED (SELECT t.rule_order, t.segment, c.code, first_value(t.rule_order) OVER w AS first_rule,'
        ' first_value(t.segment) OVER w AS first_segment FROM cell c JOIN %1$I.segment_rules t'
        ' ON c.r BETWEEN t.r_min AND t.r_max AND c.f BETWEEN t.f_min AND t.f_max AND c.m BETWEEN t.m_min AND t.m_max'
        ' WINDOW w AS (PARTITION BY c.code ORDER BY t.rule_order))', model, levels[1], levels[2], levels[3]);
    RETURN QUERY EXECUTE cells || format($q$
        SELECT 'warning', CASE WHEN h.cells IS NULL
                   THEN format('rule %%s (%%s) never fires: it lies outside of the %%s recency, %%s frequency and %%s monetary levels', t.rule_order, t.segment, %2$s, %3$s, %4$s)
                   ELSE format('rule %%s (%%s) never fires: rules %%s take all its cells', t.rule_order, t.segment, h.hiders) END,
               coalesce(h.cells, 0), 'rfm_score ' || h.code, 'Move it before these rules, change its scores or delete it.'
        FROM %1$I.segment_rules t
        LEFT JOIN (SELECT rule_order, count(*) AS cells, count(*) FILTER (WHERE first_rule = rule_order) AS own, min(code) AS code,
                          string_agg(DISTINCT first_rule::text, ', ') AS hiders FROM hit GROUP BY rule_order) h USING (rule_order)
        WHERE coalesce(h.own, 0) = 0 ORDER BY t.rule_order$q$, model, levels[1], levels[2], levels[3]);
    RETURN QUERY EXECUTE format('SELECT ''warning'', ''segments without a text in action_texts'', count(*), min(t.segment COLLATE "C"),'
        ' ''Insert one: action_plan says nothing about them.'''
        ' FROM (SELECT segment FROM %1$I.segment_rules UNION SELECT ''Others'') t'
        ' WHERE NOT EXISTS (SELECT FROM %1$I.action_texts a WHERE a.segment = t.segment) HAVING count(*) > 0', model);
    EXECUTE format('SELECT EXISTS ((TABLE %1$I.segment_rules EXCEPT SELECT * FROM rfm.default_rules($1)) UNION ALL'
        ' (SELECT * FROM rfm.default_rules($1) EXCEPT TABLE %1$I.segment_rules))', model) INTO edited USING s.rules;
    RETURN QUERY SELECT 'warning', 'the lifecycle rules are written for fixed cut points: f = 3 no longer means one order', 1::bigint, NULL::text,
        'Adapt segment_rules to the cut points, or use rules => ''classic''.'
        WHERE NOT edited AND s.rules = 'lifecycle' AND (s.recency_fractions IS NOT NULL OR s.frequency_fractions IS NOT NULL
              OR s.frequency_cutoffs <> '{0,1,2,3}'::numeric[]);
    RETURN QUERY SELECT 'warning', 'the classic rules are written for quintiles', 1::bigint, NULL::text,
        'Set recency_fractions, frequency_fractions and monetary_fractions to {0.2,0.4,0.6,0.8}, or adapt segment_rules.'
        WHERE NOT edited AND s.rules = 'classic' AND (s.recency_fractions IS NULL OR s.frequency_fractions IS NULL
              OR s.monetary_fractions IS DISTINCT FROM '{0.2,0.4,0.6,0.8}'::numeric[]);

    IF rules IS NOT NULL THEN
        IF rfm.model_relation(model, 'snapshot') IS NOT NULL THEN
            EXECUTE format('SELECT s.rules::text IS DISTINCT FROM $1::text FROM %I.snapshot s', model) INTO pending USING rules;
        ELSE
            EXECUTE format('SELECT strpos(v.query, quote_literal($1::text)) = 0 FROM %I.compiled_views v WHERE v.name = ''segment_list''', model)
                INTO pending USING rules;
        END IF;
        RETURN QUERY SELECT 'note', 'changed rules, or numbers of levels, are not yet in force', 1::bigint, NULL::text, 'Refresh the model.' WHERE pending;
    END IF;
    RETURN QUERY EXECUTE cells || $q$
        SELECT 'note', 'cells that no rule covers: Others', count(*), 'rfm_score ' || max(c.code), 'Add a rule if they shall have a segment of their own.'
        FROM cell c WHERE NOT EXISTS (SELECT FROM hit h WHERE h.code = c.code) HAVING count(*) > 0$q$;
    RETURN QUERY EXECUTE cells || $q$
        SELECT 'note', format('rule %s (%s) leaves cells to rule %s (%s), which comes first', h.rule_order, h.segment, h.first_rule, h.first_segment),
               count(*), 'rfm_score ' || max(h.code), 'Nothing, if the first shall win.'
        FROM hit h WHERE h.first_rule <> h.rule_order GROUP BY h.rule_order, h.segment, h.first_rule, h.first_segment ORDER BY h.rule_order, h.first_rule$q$;
    RETURN QUERY EXECUTE cells || $q$
        SELECT 'note', format('rules cover %s of %s cells', count(DISTINCT h.code), (SELECT count(*) FROM cell)), count(DISTINCT h.code), NULL::text,
               'Nothing: cells without a rule are Others.' FROM hit h$q$;
END $$;
COMMENT ON FUNCTION rfm.rule_findings(text) IS 'Internal. What check_rules finds, in a fixed order.';

CREATE FUNCTION rfm.check_model(model text) RETURNS TABLE (severity text, finding text, count bigint, example text, what_to_do text)
    LANGUAGE sql
BEGIN ATOMIC
    SELECT f.* FROM rfm.rows_as_owner(model, 'SELECT f.severity, f.finding, f.count, f.example, f.what_to_do'
        ' FROM rfm.model_findings($1) WITH ORDINALITY f(severity, finding, count, example, what_to_do, i)'
        ' ORDER BY array_position(''{error,warning,note}'', f.severity), f.i', model)
        AS f(severity text, finding text, count bigint, example text, what_to_do text);
END;
COMMENT ON FUNCTION rfm.check_model(text) IS
    'Compares a model with its order lines and looks for what is wrong with the data. One row per finding: severity (error, warning or note), how many, an example (an id) and what to do. Lines, orders, customers and money are shown by the one reason why they count or not, and sum up to those of all lines. A healthy model has notes only. Example: SELECT * FROM rfm.check_model(''shop'');';

CREATE FUNCTION rfm.check_rules(model text) RETURNS TABLE (severity text, finding text, count bigint, example text, what_to_do text)
    LANGUAGE sql
BEGIN ATOMIC
    SELECT f.* FROM rfm.rows_as_owner(model, 'SELECT f.severity, f.finding, f.count, f.example, f.what_to_do'
        ' FROM rfm.rule_findings($1) WITH ORDINALITY f(severity, finding, count, example, what_to_do, i)'
        ' ORDER BY array_position(''{error,warning,note}'', f.severity), f.i', model)
        AS f(severity text, finding text, count bigint, example text, what_to_do text);
END;
COMMENT ON FUNCTION rfm.check_rules(text) IS
    'Looks at the segment rules of a model over every cell of scores: cells without rule, rules that others hide, rules that never fire, rules that cannot be used or are not yet in force. One row per finding: severity (error, warning or note), how many, an example and what to do. Example: SELECT * FROM rfm.check_rules(''shop'');';
-- 88_schedule: a refresh at fixed times, by pg_cron. pg_cron is not required: what needs it is dynamic SQL.

CREATE FUNCTION rfm.refresh_command(model text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.format('CALL rfm.refresh(%L)', model);
COMMENT ON FUNCTION rfm.refresh_command(text) IS
    'Internal. The command that refreshes a model; a bare CALL, because only then a background worker lets it commit.';

-- pg_cron keeps names of 63 bytes, for the jobs of all databases.
CREATE FUNCTION rfm.job_name(model text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := format('rfm_segments: %I.%I', current_database(), model);
BEGIN
    RETURN CASE WHEN octet_length(name) <= 63 THEN name ELSE 'rfm_segments: ' || md5(name) END;
END $$;
COMMENT ON FUNCTION rfm.job_name(text) IS 'Internal. The name of the job of pg_cron that refreshes a model.';

-- Refuses, saying what to do, where the caller cannot use pg_cron in this database.
CREATE FUNCTION rfm.require_pg_cron(model text, cron text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- hidden from who may not read it
    cron_database text := (SELECT setting FROM pg_settings WHERE name = 'cron.database_name');
    shell_command text := format('psql -X -d %s -c %s',
        '''' || replace(current_database(), '''', '''\''''') || '''',
        '''' || replace(rfm.refresh_command(model), '''', '''\''''') || '''');
    problem       text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        IF cron_database = current_database() THEN
            RAISE EXCEPTION 'pg_cron is not created in database "%"', current_database() USING ERRCODE = 'undefined_object',
                HINT = format('As a superuser: CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO %I;', current_user);
        ELSIF EXISTS (SELECT FROM pg_database WHERE datname = cron_database) THEN
            RAISE EXCEPTION 'pg_cron is in database "%", not in this one', cron_database USING ERRCODE = 'undefined_object',
                HINT = format('In database "%s", as a superuser: ', cron_database)
                    || CASE WHEN cron IS NULL THEN format('SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = %L;', rfm.job_name(model))
                            ELSE format('SELECT cron.schedule_in_database(%L, %L, %L, %L, %L);', rfm.job_name(model), cron,
                                        rfm.refresh_command(model), current_database(), current_user) END;
        END IF;
        RAISE EXCEPTION 'pg_cron is not installed in database "%"', current_database() USING ERRCODE = 'undefined_object',
            HINT = E'Without it, schedule the refresh outside of the database, in a crontab or as a systemd timer:\n'
                || format(E'%s %s\n', coalesce(cron, '*/15 * * * *'), replace(shell_command, '%', '\%'))
                || format('systemd-run --user --on-calendar=''*:0/15'' %s', shell_command);
    END IF;

    problem := CASE
        WHEN NOT has_schema_privilege('cron', 'USAGE') THEN format('GRANT USAGE ON SCHEMA cron TO %I;', current_user)
        WHEN NOT has_table_privilege('cron.job', 'SELECT') THEN format('GRANT SELECT ON cron.job TO %I;', current_user)
        ELSE (SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I;', p.oid::regprocedure, current_user) FROM pg_proc p
              JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'cron' AND (p.proname, p.pronargs) IN (('schedule', 3), ('unschedule', 1))
                AND NOT has_function_privilege(p.oid, 'EXECUTE') LIMIT 1) END;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'role "%" may not use pg_cron', current_user USING ERRCODE = 'insufficient_privilege',
            HINT = 'As a superuser: ' || problem;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.require_pg_cron(text, text) IS
    'Internal. Refuses where the caller cannot use pg_cron in this database, and says what to do instead. cron NULL: a job is to be removed.';

-- The jobs that the caller sees: his own, or those of everyone for a superuser.
CREATE FUNCTION rfm.remove_jobs(model text, except_job bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    EXECUTE 'SELECT count(cron.unschedule(j.jobid)) FROM (SELECT jobid FROM cron.job WHERE jobname::text = $1 AND database = current_database()'
        ' AND jobid IS DISTINCT FROM $2 OFFSET 0) j' INTO removed USING rfm.job_name(model), except_job;
    RETURN removed;
END $$;
COMMENT ON FUNCTION rfm.remove_jobs(text, bigint) IS 'Internal. Removes the jobs of pg_cron that refresh a model, but for one; their number.';

CREATE FUNCTION rfm.schedule(model text, cron text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    job bigint;
BEGIN
    PERFORM rfm.require_model(model);
    IF cron IS NULL THEN
        RAISE EXCEPTION 'cron must not be NULL' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'For example ''*/15 * * * *'' for every quarter of an hour; rfm.unschedule ends it.';
    END IF;
    PERFORM rfm.require_pg_cron(model, cron);
    IF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'role "%" cannot log in, as a job of it would have to', current_user USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Schedule it as a role that can log in and is a member of this one.';
    END IF;
    BEGIN
        EXECUTE 'SELECT cron.schedule($1, $2, $3)' INTO job USING rfm.job_name(model), cron, rfm.refresh_command(model);
    EXCEPTION WHEN invalid_parameter_value THEN
        RAISE EXCEPTION '%', SQLERRM USING ERRCODE = SQLSTATE,
            HINT = 'Minute, hour, day of month, month, day of week, for example ''*/15 * * * *''; pg_cron 1.5 also takes ''30 seconds''.';
    END;
    PERFORM rfm.remove_jobs(model, job);
    IF (SELECT m.storage = 'view' FROM rfm.models m WHERE m.model = schedule.model) THEN
        RAISE NOTICE 'model "%" is always live: a refresh only brings changed settings and rules into force', model;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.schedule(text, text) IS
    'Refreshes a model at fixed times, through pg_cron: minute, hour, day of month, month, day of week, in the time zone of pg_cron (GMT unless set otherwise). The job runs as the caller, who needs USAGE on schema cron; it replaces the one before. Without pg_cron the error says what to do instead. Runs are in cron.job_run_details and in refresh_log of the model. Example: SELECT rfm.schedule(''shop'', ''*/15 * * * *'');';

CREATE FUNCTION rfm.unschedule(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.require_model(model);
    PERFORM rfm.require_pg_cron(model, NULL);
    IF rfm.remove_jobs(model) = 0 THEN
        RAISE NOTICE 'no job of yours refreshes model "%"', model
            USING HINT = 'The job of another role can be removed by this role or by a superuser.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.unschedule(text) IS 'Ends what rfm.schedule began: the caller''s job of pg_cron that refreshes a model, for a superuser everyone''s. Example: SELECT rfm.unschedule(''shop'');';

-- After a model was dropped: nothing here may hold that up.
CREATE FUNCTION rfm.forget_jobs(model text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') AND has_schema_privilege('cron', 'USAGE') THEN
        PERFORM rfm.remove_jobs(model);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'the job "%" of pg_cron may remain: %', rfm.job_name(model), SQLERRM
        USING HINT = format('SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = %L;', rfm.job_name(model));
END $$;
COMMENT ON FUNCTION rfm.forget_jobs(text) IS 'Internal. Removes the jobs of a model that is no more; a NOTICE when it cannot.';
-- 90_grants: who may call what. Functions run with the rights of their caller, so that everyone may call them.

CREATE FUNCTION rfm.version() RETURNS text
    AS 'MODULE_PATHNAME', 'rfm_version' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rfm.version() IS 'The version of the loaded library, for example 1.0.0. Example: SELECT rfm.version();';

-- readers of a model

-- The one place that says what is public: what has a comment in view_comments that does not call it internal.
CREATE FUNCTION rfm.public_relations(model text) RETURNS regclass[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ARRAY(SELECT c.oid::regclass
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
                 JOIN rfm.view_comments() d ON d.relation OPERATOR(pg_catalog.=) c.relname::pg_catalog.text
                 WHERE n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) model
                   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,p}'::"char"[])
                   AND d.column_name IS NULL AND d.comment OPERATOR(pg_catalog.!~~) 'Internal.%'
                 ORDER BY c.relname);
COMMENT ON FUNCTION rfm.public_relations(text) IS 'Internal. The relations of a model that its readers see.';

CREATE FUNCTION rfm.readers(model text) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ARRAY(SELECT CASE g.grantee WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(g.grantee)::pg_catalog.text END
                 FROM pg_catalog.pg_class c, LATERAL pg_catalog.aclexplode(c.relacl) g
                 WHERE c.oid OPERATOR(pg_catalog.=) ANY (rfm.public_relations(model)::oid[])
                   AND c.relkind OPERATOR(pg_catalog.=) 'v' AND g.privilege_type OPERATOR(pg_catalog.=) 'SELECT' AND g.grantee OPERATOR(pg_catalog.<>) c.relowner
                 GROUP BY g.grantee
                 HAVING pg_catalog.count(DISTINCT c.oid) OPERATOR(pg_catalog.=) (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class v
                     WHERE v.oid OPERATOR(pg_catalog.=) ANY (rfm.public_relations(model)::oid[]) AND v.relkind OPERATOR(pg_catalog.=) 'v')
                 ORDER BY 1);
COMMENT ON FUNCTION rfm.readers(text) IS
    'Internal. The roles to which every view that readers see of a model is granted; public stands for everyone. Such a role gets what a refresh adds.';

CREATE FUNCTION rfm.grant_reading(model text, roles text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
    routine  regprocedure;
    grantees text := (SELECT string_agg(CASE r WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(r) END, ', ') FROM unnest(roles) r);
BEGIN
    IF grantees IS NOT NULL THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', model, grantees);
        FOREACH relation IN ARRAY rfm.public_relations(model) LOOP
            EXECUTE format('GRANT SELECT ON %s TO %s', relation, grantees);
        END LOOP;
        FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', routine, grantees);
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.grant_reading(text, text[]) IS 'Internal. Grants what readers of a model need.';

CREATE FUNCTION rfm.revoke_reading(model text, reader text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
    routine  regprocedure;
    grantee  text := CASE reader WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(reader) END;
BEGIN
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM %s', model, grantee);
    FOREACH relation IN ARRAY rfm.public_relations(model) LOOP
        EXECUTE format('REVOKE SELECT ON %s FROM %s', relation, grantee);
    END LOOP;
    -- everyone may call functions, and reads nothing by that
    IF reader <> 'public' THEN
        FOREACH routine IN ARRAY rfm.own_functions(model) LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM %s', routine, grantee);
        END LOOP;
    END IF;
END $$;
COMMENT ON FUNCTION rfm.revoke_reading(text, text) IS 'Internal. Takes back what grant_reading granted.';

CREATE FUNCTION rfm.require_reader(model text, reader text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.require_model(model);
    IF reader IS NULL THEN
        RAISE EXCEPTION 'role must not be NULL' USING ERRCODE = 'null_value_not_allowed', HINT = 'Name a role, or public for everyone.';
    END IF;
    IF reader <> 'public' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
        RAISE EXCEPTION 'role "%" does not exist', reader USING ERRCODE = 'undefined_object',
            HINT = 'Give its name as pg_roles shows it, or public for everyone.';
    END IF;
    IF EXISTS (SELECT FROM rfm.models m WHERE m.model = require_reader.model AND m.owner = reader) THEN
        RAISE EXCEPTION 'role "%" owns model "%" and may read it anyway', reader, model USING ERRCODE = 'invalid_grant_operation',
            HINT = 'Name the role that your BI tool logs in with.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.require_reader(text, text) IS 'Internal. Refuses a role that cannot be made a reader of a model, and who may not say so.';

CREATE FUNCTION rfm.grant_read(model text, role text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.require_reader(model, role);
    PERFORM rfm.as_owner(model, 'SELECT rfm.grant_reading($1, $3)', NULL, ARRAY[role]);
    -- everyone has these unless somebody took them away
    IF NOT has_schema_privilege(role, 'rfm', 'USAGE') OR EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = 'rfm' AND p.prokind <> 'p' AND NOT has_function_privilege(role, p.oid, 'EXECUTE')) THEN
        RAISE WARNING 'role "%" may not call the functions that views and functions of model "%" use', role, model
            USING HINT = format('As a superuser: GRANT USAGE ON SCHEMA rfm TO %1$s; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rfm TO %1$s;',
                                CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END);
    END IF;
END $$;
COMMENT ON FUNCTION rfm.grant_read(text, text) IS
    'Lets a role, public for everyone, read a model and nothing below it: its views, campaigns, texts, rules, settings and log, and its functions. Relations that a later refresh makes are granted to it, too. Example: SELECT rfm.grant_read(''shop'', ''dashboards'');';

CREATE FUNCTION rfm.revoke_read(model text, role text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM rfm.require_reader(model, role);
    PERFORM rfm.as_owner(model, 'SELECT rfm.revoke_reading($1, $3[1])', NULL, ARRAY[role]);
    IF has_schema_privilege(role, model, 'USAGE') AND has_table_privilege(role, rfm.model_relation(model, 'overview'), 'SELECT') THEN
        RAISE NOTICE 'role "%" still reads model "%"', role, model
            USING HINT = 'It is a superuser, a member of a role that reads it, or everyone does: rfm.revoke_read from that role or from public.';
    END IF;
END $$;
COMMENT ON FUNCTION rfm.revoke_read(text, text) IS 'Takes back what rfm.grant_read granted. Example: SELECT rfm.revoke_read(''shop'', ''dashboards'');';

COMMENT ON SCHEMA rfm IS 'The extension rfm_segments: customer segments from order lines. rfm.create_model makes a model, rfm.models lists them.';

GRANT USAGE ON SCHEMA rfm TO PUBLIC;
GRANT SELECT ON rfm.models TO PUBLIC;
