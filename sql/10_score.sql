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
