-- Cut points from percentiles: the aggregate, in one process or several, and the window function.

-- type 7 in decimal, worked out the slow way: sort, look up both neighbours, interpolate
CREATE FUNCTION pg_temp.sorted_cutoffs(vals numeric[], fractions numeric[]) RETURNS numeric[] LANGUAGE sql AS $$
    SELECT array_agg(trim_scale(sorted[below + 1] + (position - below) * (sorted[least(below + 2, n)] - sorted[below + 1])) ORDER BY f)
    FROM (SELECT array_agg(v ORDER BY v) AS sorted, count(*) AS n FROM unnest(vals) v WHERE v IS NOT NULL) s,
         unnest(fractions) f, LATERAL (SELECT (n - 1) * f AS position, floor((n - 1) * f)::int AS below) p
    WHERE n > 0
$$;

-- the types, the default fractions, one value, none, NULLs, ties
SELECT rfm.percentile_cutoffs(i) AS int, rfm.percentile_cutoffs(i::bigint) AS big, rfm.percentile_cutoffs(i::numeric) AS dec,
       rfm.percentile_cutoffs(i::float8) AS flt, rfm.percentile_cutoffs(i::smallint) AS small, pg_typeof(rfm.percentile_cutoffs(1.5))
FROM generate_series(1, 11) i;
SELECT rfm.percentile_cutoffs(i, '{0,0.1,0.5,1}') AS four, rfm.percentile_cutoffs(i, '{0.5}') AS median, rfm.percentile_cutoffs(i * 1.0, '{0.125,0.3333333333333333333333333}') AS exact
FROM generate_series(1, 10) i;
SELECT rfm.percentile_cutoffs(7) AS one, rfm.percentile_cutoffs(NULL::integer) AS nothing, rfm.percentile_cutoffs(1.50) FILTER (WHERE false) AS none;
SELECT rfm.percentile_cutoffs(1) FROM generate_series(1, 0);
SELECT rfm.percentile_cutoffs(v) AS "nulls", rfm.percentile_cutoffs(v, '{0.5,1}') AS "nulls too" FROM unnest('{NULL,3,NULL,1,2,NULL}'::integer[]) v;
SELECT rfm.percentile_cutoffs(19.90) AS equal, rfm.percentile_cutoffs(least(i, 3)) AS ties FROM generate_series(1, 1000) i;

-- a float counts as its shortest round-trip decimal, and -0 is 0
SELECT rfm.percentile_cutoffs(v, '{0,0.5,1}') FROM unnest('{16.989999771118164,0.1,-0,0,-1e-20,1e22,0.30000000000000004}'::float8[]) v;

-- random data of every kind against the slow way
CREATE TEMP TABLE sample AS
SELECT kind, i, CASE kind
           WHEN 'whole' THEN h % 1000000
           WHEN 'halves' THEN (h % 100000) / 2.0
           WHEN 'money' THEN (h % 10000000) / 100.0
           WHEN 'negative' THEN (h % 200001 - 100000) / 10000.0
           WHEN 'ties' THEN h % 5
           WHEN 'equal' THEN 42.4200
           WHEN 'skewed' THEN CASE WHEN h % 1000 = 0 THEN 1e13 + h ELSE h % 100 END
           WHEN '5 decimals' THEN (h % 10000000) / 100000.0
           WHEN 'one of 5 decimals' THEN CASE i WHEN 1234 THEN 50.00005 ELSE h % 100 END
           WHEN '18 digits apart' THEN 1 + (h % 1000) * 1e-18
           WHEN 'huge' THEN (h % 1000) * 1e200 + i
           WHEN 'tiny' THEN h * 1e-300
           WHEN 'exponential' THEN 10::numeric ^ (h % 60 - 30)
           WHEN 'ends of int64' THEN CASE h % 4 WHEN 0 THEN 922337203685477.5807 WHEN 1 THEN -922337203685477.5807 WHEN 2 THEN 922337203685477.5808 ELSE 0 END
           WHEN 'int64 units' THEN ((h - 2147483648) * 4294967295 + h) / 10000.0
       END AS value
FROM unnest('{whole,halves,money,negative,ties,equal,skewed,5 decimals,one of 5 decimals,18 digits apart,huge,tiny,exponential,ends of int64,int64 units}'::text[]) kind,
     generate_series(1, 3000) i, LATERAL (SELECT hashint4(i + 77)::bigint + 2147483648 AS h) x;
SELECT kind, rfm.percentile_cutoffs(value, '{0,0.001,0.25,0.4999,0.5,0.75,0.95,1}') =
             pg_temp.sorted_cutoffs(array_agg(value), '{0,0.001,0.25,0.4999,0.5,0.75,0.95,1}') AS exact
FROM sample GROUP BY kind ORDER BY kind COLLATE "C";
SELECT count(*) AS groups, count(*) FILTER (WHERE cuts IS DISTINCT FROM slow) AS wrong
FROM (SELECT rfm.percentile_cutoffs(value) AS cuts, pg_temp.sorted_cutoffs(array_agg(value), '{0.25,0.50,0.75,0.95}') AS slow
      FROM sample GROUP BY kind, i % 200) g;
SELECT count(*) AS sizes, count(*) FILTER (WHERE cuts IS DISTINCT FROM slow) AS wrong
FROM generate_series(250, 265) n, LATERAL (
    SELECT rfm.percentile_cutoffs(value) AS cuts, pg_temp.sorted_cutoffs(array_agg(value), '{0.25,0.50,0.75,0.95}') AS slow
    FROM sample WHERE kind = 'money' AND i <= n) g;
-- bigint to both ends, floats
SELECT rfm.percentile_cutoffs(v, '{0,0.3,0.7,1}') = pg_temp.sorted_cutoffs(array_agg(v::numeric), '{0,0.3,0.7,1}') AS exact
FROM (SELECT (h << 32) # h FROM sample, LATERAL (SELECT hashint4(i)::bigint AS h) x WHERE kind = 'whole'
      UNION ALL VALUES (9223372036854775807), (-9223372036854775808)) x (v);
SELECT rfm.percentile_cutoffs(v, '{0,0.3,0.7,1}') = pg_temp.sorted_cutoffs(array_agg(v::text::numeric), '{0,0.3,0.7,1}') AS exact
FROM (SELECT value::float8 / 7 - 1000 FROM sample WHERE kind = 'money') x (v);

-- percentile_cont agrees wherever floats are exact
SELECT kind, rfm.percentile_cutoffs(value)::float8[] = percentile_cont(ARRAY[0.25, 0.5, 0.75, 0.95]) WITHIN GROUP (ORDER BY value::float8) AS same
FROM (SELECT kind, value FROM sample WHERE kind IN ('whole', 'ties', 'equal') UNION ALL
      SELECT kind, value FROM sample WHERE kind = 'halves' AND i <= 2001) s GROUP BY kind ORDER BY kind COLLATE "C";

-- whatever the order of rows; together with DISTINCT, ORDER BY and as a running aggregate
SELECT rfm.percentile_cutoffs(value ORDER BY value) = rfm.percentile_cutoffs(value ORDER BY i DESC) AS same,
       rfm.percentile_cutoffs(DISTINCT value) = (SELECT pg_temp.sorted_cutoffs(array_agg(DISTINCT value), '{0.25,0.50,0.75,0.95}') FROM sample WHERE kind = 'one of 5 decimals') AS "distinct"
FROM sample WHERE kind = 'one of 5 decimals';
SELECT i, rfm.percentile_cutoffs(i, '{0,0.5,1}') OVER (ORDER BY i) AS running, rfm.percentile_cutoffs(i / 100000.0, '{0,0.5,1}') OVER (ORDER BY i ROWS 1 PRECEDING) AS moving
FROM generate_series(1, 5) i;

-- a parallel plan gives the identical answer
CREATE TABLE parallel_sample AS SELECT * FROM sample;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT rfm.percentile_cutoffs(value) FROM parallel_sample;
DO $$
DECLARE
    question text := 'SELECT kind, rfm.percentile_cutoffs(value, ''{0.1,0.2,0.9}'')::text, rfm.percentile_cutoffs(i)::text, rfm.percentile_cutoffs(value::float8)::text FROM parallel_sample GROUP BY kind
                      UNION ALL SELECT NULL, rfm.percentile_cutoffs(value, ''{0.1,0.2,0.9}'')::text, rfm.percentile_cutoffs(i)::text, rfm.percentile_cutoffs(value::float8)::text FROM parallel_sample
                      UNION ALL SELECT ''none'', rfm.percentile_cutoffs(NULL::numeric, ''{0.1,0.2,0.9}'')::text, rfm.percentile_cutoffs(NULL::int)::text, rfm.percentile_cutoffs(value::float8) FILTER (WHERE false)::text FROM parallel_sample';
    parallel text;
    serial text;
BEGIN
    EXECUTE 'SELECT string_agg(q::text, chr(10) ORDER BY q::text COLLATE "C") FROM (' || question || ') q' INTO parallel;
    SET LOCAL max_parallel_workers_per_gather = 0;
    EXECUTE 'SELECT string_agg(q::text, chr(10) ORDER BY q::text COLLATE "C") FROM (' || question || ') q' INTO serial;
    RAISE INFO 'identical: %', parallel = serial;
END $$;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE parallel_sample;

-- monetary_bucket is the two-step query in one
SELECT amount, rfm.monetary_bucket(amount) OVER () AS bucket, rfm.monetary_bucket(amount, '{0.5}') OVER (ORDER BY amount DESC) AS half
FROM unnest('{10,20,20,30,NULL,40,1000}'::integer[]) amount ORDER BY amount;
SELECT count(*) AS rows, count(*) FILTER (WHERE dec IS DISTINCT FROM rfm.monetary_score(value, cuts)) AS wrong,
       count(*) FILTER (WHERE own IS DISTINCT FROM rfm.monetary_score(value, own_cuts)) AS wrong_own,
       count(*) FILTER (WHERE flt IS DISTINCT FROM rfm.monetary_score(value::float8, flt_cuts)) AS wrong_float,
       count(*) FILTER (WHERE int IS DISTINCT FROM rfm.monetary_score(i, int_cuts)) AS wrong_int,
       count(*) FILTER (WHERE big IS DISTINCT FROM int) AS wrong_big
FROM (SELECT kind, i, value, rfm.monetary_bucket(value) OVER w AS dec, rfm.monetary_bucket(value, '{0.2,0.4,0.6,0.8,0.9}') OVER (w ORDER BY i) AS own,
             rfm.monetary_bucket(value::float8) OVER w AS flt, rfm.monetary_bucket(i) OVER w AS int, rfm.monetary_bucket(i::bigint) OVER w AS big
      FROM (SELECT kind, i, CASE WHEN i % 7 > 0 THEN value END AS value FROM sample) s WINDOW w AS (PARTITION BY kind)) b
JOIN (SELECT kind, rfm.percentile_cutoffs(value) AS cuts, rfm.percentile_cutoffs(value, '{0.2,0.4,0.6,0.8,0.9}') AS own_cuts, rfm.percentile_cutoffs(value::float8) AS flt_cuts, rfm.percentile_cutoffs(i) AS int_cuts
      FROM (SELECT kind, i, CASE WHEN i % 7 > 0 THEN value END AS value FROM sample) s GROUP BY kind) c USING (kind);
SELECT rfm.monetary_bucket(NULL::numeric) OVER () AS "null", rfm.monetary_bucket(5) OVER () AS one;

-- errors
SELECT rfm.percentile_cutoffs('NaN'::numeric);
SELECT rfm.percentile_cutoffs(v) FROM unnest('{1.00001,infinity}'::numeric[]) v;
SELECT rfm.percentile_cutoffs('NaN'::float8);
SELECT rfm.percentile_cutoffs('-infinity'::float8);
SELECT rfm.percentile_cutoffs(1, NULL);
SELECT rfm.percentile_cutoffs(1, '{}');
SELECT rfm.percentile_cutoffs(1, '{0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9}');
SELECT rfm.percentile_cutoffs(1, '{25,50}');
SELECT rfm.percentile_cutoffs(1, '{-0.1}');
SELECT rfm.percentile_cutoffs(1, '{0.5,0.5}');
SELECT rfm.percentile_cutoffs(1, '{0.5,NULL}');
SELECT rfm.percentile_cutoffs(1, '{NaN}');
SELECT rfm.percentile_cutoffs(i, ARRAY[i / 10.0]) FROM generate_series(1, 2) i;
SELECT rfm.monetary_bucket(1);
SELECT rfm.monetary_bucket(1, NULL) OVER ();
SELECT rfm.monetary_bucket(1, '{2}') OVER ();
SELECT rfm.monetary_bucket(i, ARRAY[i / 10.0]) OVER () FROM generate_series(1, 2) i;
SELECT rfm.monetary_bucket('NaN'::numeric) OVER ();
SELECT rfm.monetary_bucket('infinity'::float8) OVER ();
