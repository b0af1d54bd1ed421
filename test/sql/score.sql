-- Scores: where a value stands among the cut points of its axis.

-- every boundary of the default cut points
SELECT string_agg(format('%s:%s', days, rfm.recency_score(days)), ' ' ORDER BY days) AS recency
FROM unnest('{-1,0,89,90,91,179,180,181,364,365,366,544,545,546,2147483647}'::integer[]) days;
SELECT string_agg(format('%s:%s', orders, rfm.frequency_score(orders)), ' ' ORDER BY orders) AS frequency
FROM unnest('{0,1,2,3,4,5,9223372036854775807}'::bigint[]) orders;
SELECT string_agg(format('%s:%s', amount, rfm.monetary_score(amount, '{10,20.5,20.5,99.99995}')), ' ' ORDER BY amount) AS monetary
FROM unnest('{-1,0,9.9999,9.99999,10,10.0001,20.49999,20.5,99.9999,99.99994,99.99995,99.99996,100}'::numeric[]) amount;

-- one to eight cut points: two to nine levels, lowest and highest
SELECT n + 1 AS levels,
       rfm.recency_score(100, cuts) AS oldest, rfm.recency_score(1, cuts) AS newest,
       rfm.frequency_score(0, cuts) AS fewest, rfm.frequency_score(8, cuts) AS most,
       rfm.monetary_score(0, cuts) AS poorest, rfm.monetary_score(8, cuts) AS richest
FROM generate_series(1, 8) n, LATERAL (SELECT array_agg(c::numeric) FROM generate_series(1, n) c) x (cuts);

-- literals, columns of any number type and count(*) just work
SELECT rfm.recency_score(90), rfm.recency_score(date '2024-01-21' - date '2023-01-01') AS dates, rfm.frequency_score(count(*)),
       rfm.monetary_score(100, '{1,100}') AS int, rfm.monetary_score(99.5, '{1,100}') AS dec, rfm.monetary_score(1e2::float8, '{1,100}') AS flt,
       rfm.monetary_score(100::smallint, '{1,100}') AS small, rfm.monetary_score(99.5::real, '{1,100}') AS real, rfm.monetary_score(sum(100), '{1,100}') AS big,
       pg_typeof(rfm.monetary_score(100, '{1,100}'))
FROM generate_series(1, 2);
SELECT rfm.rfm_score(90, 2, 100, '{10,20,30,40}'), rfm.rfm_score(91, 1, 9.99, '{10,20,30,40}') AS dec,
       rfm.rfm_score(600, 0, 25::float8, '{10,20,30,40}') AS flt, rfm.rfm_score(0, 3, 40::bigint, '{10,20,30,40}') AS big,
       rfm.rfm_score(8, 7, 6, monetary_cutoffs => '{5}', recency_cutoffs => '{7}', frequency_cutoffs => '{1,2,3,4,5,6,7,8}') AS own;

-- NULL in, NULL out
SELECT rfm.recency_score(NULL), rfm.recency_score(1, NULL), rfm.frequency_score(NULL), rfm.monetary_score(NULL::numeric, '{1}'),
       rfm.rfm_score(1, 1, NULL::integer, '{1}'), rfm.rfm_score(1, 1, 1, NULL);

-- rfm_score is the three scores side by side
SELECT count(*) AS wrong
FROM generate_series(-5, 600, 11) days, generate_series(0, 4) orders, generate_series(0, 100, 3) amount
WHERE rfm.rfm_score(days, orders, amount, '{10,50,90}') <>
      100 * rfm.recency_score(days) + 10 * rfm.frequency_score(orders) + rfm.monetary_score(amount, '{10,50,90}');

-- exact for every scale and size: against plain numeric comparison
CREATE TEMP TABLE number AS
SELECT sign * base + delta AS value
FROM unnest('{-1,1}'::numeric[]) sign,
     unnest('{0,1,99.9999,99.99995,922337203685477.5806,922337203685477.5807,922337203685477.58075,922337203685477.5808,922337203685477.5809,1e30,1e-30,1e200}'::numeric[]) base,
     unnest('{-0.0001,-0.00005,-0.00000001,0,1e-40,0.00000001,0.00005,0.0001}'::numeric[]) delta;
SELECT count(*) AS pairs,
       count(*) FILTER (WHERE rfm.monetary_score(a.value, ARRAY[c.value]) <> 1 + (c.value <= a.value)::int) AS wrong
FROM number a, number c;
WITH cut AS MATERIALIZED (
    SELECT array_agg(value ORDER BY value) AS cuts FROM (SELECT value, row_number() OVER (ORDER BY value) FROM number) n GROUP BY row_number / 8
)
SELECT count(*) AS wrong FROM number a, cut
WHERE rfm.monetary_score(a.value, cuts) <> 1 + (SELECT count(*) FROM unnest(cuts) c WHERE c <= a.value);
SELECT count(*) AS wrong FROM number c, unnest('{-9223372036854775808,-922337203685478,-922337203685477,-100,-1,0,1,99,100,922337203685477,922337203685478,9223372036854775807}'::bigint[]) a
WHERE rfm.monetary_score(a, ARRAY[c.value]) <> 1 + (c.value <= a)::int
   OR a >= 0 AND rfm.frequency_score(a, ARRAY[c.value]) <> 1 + (c.value <= a)::int;
SELECT count(*) AS wrong FROM number c, unnest('{-2147483648,-100,-1,0,1,99,100,101,2147483647}'::integer[]) a
WHERE rfm.monetary_score(a, ARRAY[c.value]) <> 1 + (c.value <= a)::int
   OR rfm.recency_score(a, ARRAY[c.value]) <> 2 - (c.value < a)::int;

-- a float counts as its shortest round-trip decimal
CREATE TEMP TABLE float AS
SELECT value FROM unnest('{0,-0,0.1,0.3,16.989999771118164,16.99,1e15,1e16,123456789012345.67,9.2e14,1e18,1e19,1e300,5e-324,-16.989999771118164,0.00005,0.00015,4.35,1.005}'::float8[]) value
UNION ALL SELECT 0.1::float8 + 0.2::float8
UNION ALL SELECT (i * 7919 % 100003) / 7.0::float8 FROM generate_series(1, 300) i
UNION ALL SELECT i / 10000.0::float8 + 0.00005::float8 FROM generate_series(1, 300) i;
SELECT count(*) AS wrong
FROM float, LATERAL (SELECT value::text::numeric) d (exact), unnest('{-1e-20,0,1e-20,1e-5}'::numeric[]) delta
WHERE rfm.monetary_score(value, ARRAY[exact + delta]) <> 1 + (delta <= 0)::int;
SELECT rfm.monetary_score(0.1::float8 + 0.2::float8, '{0.3,0.30000000000000003,0.30000000000000004,0.30000000000000005}');

-- cut points that come from elsewhere, and change from row to row
CREATE TEMP TABLE cut (id integer, cuts numeric[]);
INSERT INTO cut VALUES (1, '{10}'), (2, '{10,20}'), (3, '{20}'), (4, ARRAY[repeat('1', 3000)::numeric, repeat('2', 3000)::numeric, repeat('9', 9000)::numeric]);
SELECT a, string_agg(rfm.monetary_score(a, cuts)::text, ' ' ORDER BY id) AS scores,
       rfm.monetary_score(a, (SELECT cuts FROM cut WHERE id = 2)) AS sub_select
FROM cut, unnest('{5,15,25}'::numeric[]) a GROUP BY a ORDER BY a;
SELECT rfm.monetary_score(repeat('2', 3000)::numeric - d, cuts) FROM cut, unnest('{0,1e-30}'::numeric[]) d WHERE id = 4;
DO $$
DECLARE
    cuts numeric[] := '{1}';
    scores text := '';
BEGIN
    FOR i IN 1..4 LOOP
        BEGIN
            scores := scores || rfm.monetary_score(3, cuts);
        EXCEPTION WHEN invalid_parameter_value THEN
            scores := scores || '!';
        END;
        cuts := CASE i WHEN 1 THEN cuts || 2 WHEN 2 THEN cuts || 1 ELSE '{1,2,3}' END;
    END LOOP;
    RAISE INFO 'scores %', scores;
END $$;

-- errors
SELECT rfm.frequency_score(-1);
SELECT rfm.rfm_score(1, -1, 1, '{1}');
SELECT rfm.monetary_score('NaN'::numeric, '{1}');
SELECT rfm.monetary_score('infinity'::numeric, '{1}');
SELECT rfm.monetary_score('NaN'::float8, '{1}');
SELECT rfm.monetary_score('-infinity'::float8, '{1}');
SELECT rfm.monetary_score(1, '{}');
SELECT rfm.monetary_score(1, '{1,2,3,4,5,6,7,8,9}');
SELECT rfm.monetary_score(1, '{{1,2},{3,4}}');
SELECT rfm.monetary_score(1, '{1,NULL}');
SELECT rfm.monetary_score(1, '{1,NaN}');
SELECT rfm.monetary_score(1, '{1,infinity}');
SELECT rfm.recency_score(1, '{180,90}');

-- cut points that PL/pgSQL changes between two calls of one expression
CREATE FUNCTION scores_in_turn(cutoffs numeric[][]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	cuts   numeric[];
	result text := '';
BEGIN
	FOREACH cuts SLICE 1 IN ARRAY cutoffs LOOP
		result := result || rfm.monetary_score(50, cuts) || rfm.rfm_score(10, 2, 50::numeric, cuts) || ' '
			|| rfm.status_counts('Returned', CASE WHEN cuts[1] > 20 THEN '{Returned}' ELSE '{Lost}' END::text[]) || ' ';
	END LOOP;
	RETURN result;
END $$;
SELECT scores_in_turn('{{10,20},{60,70},{10,60}}');
DROP FUNCTION scores_in_turn;
