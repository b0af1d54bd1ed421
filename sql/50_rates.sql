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
