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
