-- money: every amount in units of 1e-4, rounded half away from zero.
-- A query that compares returns no rows when all is well.

-- numerics: signs, long fractions, digits on either side of every base-10000 border
CREATE FUNCTION pg_temp.hash(i bigint, seed int) RETURNS bigint LANGUAGE sql AS
	'SELECT hashint8extended(i, seed)';
SELECT n, rfm.money(n), round(n, 4)
FROM (SELECT (pg_temp.hash(i, 1) % 1000000000000 * power(10::numeric, (pg_temp.hash(i, 2) % 24)::int))::numeric AS n
	FROM generate_series(1, 20000) i) x
WHERE abs(n) < 922337203685477 AND rfm.money(n)::text <> round(n, 4)::text;
SELECT n, rfm.money(n), round(n, 4)
FROM (SELECT (s || w || '.' || f)::numeric AS n
	FROM unnest('{"",-}'::text[]) s, unnest('{0,1,9,9999,10000,99999999,100000000,123400000000,922337203685476}'::text[]) w,
		unnest('{0,0000,00004,00005,00005000,000049999999999999999999999,00014,00015,4,99994,99995,9999,99989999,9999500000000000000000001,00000000000000000000000000000000000000000000000000000000000000001}'::text[]) f) x
WHERE rfm.money(n)::text <> round(n, 4)::text;
SELECT rfm.money('-0.00004'::numeric), rfm.money('1e-300'::numeric), rfm.money(0::numeric),
	rfm.money(922337203685477.5807), rfm.money(-922337203685477.5807), rfm.money(NULL::numeric);

-- float8: the shortest decimal, rounded
SELECT f, rfm.money(f), round(f::text::numeric, 4)
FROM generate_series(1, 10000) i,
	LATERAL (SELECT pg_temp.hash(i, 3) AS a, pg_temp.hash(i, 4) AS b) h,
	LATERAL (VALUES
		-- prices; half units and what lies next to them; many magnitudes; noise
		((a % 100000000)::float8 / 100),
		((a % 1000000000)::float8 / 10000 + 0.00005),
		(((a % 1000000000000) * 2 + 1)::float8 / 20000),
		(((a % 1000000000000) * 2 + 1)::float8 / 20000 * (1 + (b % 3) * 2.220446049250313e-16)),
		(a::float8 / 3 * power(10::float8, -5 - abs(b % 30))),
		((a % 1000)::float8 * 0.1 + (b % 1000)::float8 * 0.01)) v(f)
WHERE abs(f) < 922337203685477 AND rfm.money(f) <> round(f::text::numeric, 4);
SELECT f, rfm.money(f)
FROM unnest('{0,-0,0.00005,-0.00005,0.000049999999999999996,0.1,0.30000000000000004,1.00005,2.675,4.9e-324,2.2250738585072014e-308,99999999999.99995,-99999999999.99995,922337203685477.5}'::float8[]) f;

-- float4: as a person would read it
SELECT f, rfm.money(f), round(f::text::numeric, 4)
FROM generate_series(1, 5000) i, LATERAL (SELECT (pg_temp.hash(i, 5) % 10000000 * power(10::float8, (pg_temp.hash(i, 6) % 9)::int - 4))::float4 AS f) x
WHERE rfm.money(f) <> round(f::text::numeric, 4);
SELECT rfm.money(16777.21::float4), rfm.money(0.1::float4), rfm.money('-1e-40'::float4), rfm.money(9.2233e14::float4);

-- the same whatever the session prints floats with
SET extra_float_digits = -15;
SELECT rfm.money(0.30000000000000004::float8), rfm.money(1234567.12345::float8), rfm.money(16777.21::float4);
RESET extra_float_digits;

-- refused
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM || '.', hint);
END $$;
SELECT refusal, array_agg(amount ORDER BY amount COLLATE "C") AS amounts
FROM unnest('{''NaN''::numeric,''Infinity''::numeric,''-Infinity''::numeric,''NaN''::float8,''-Infinity''::float8,''Infinity''::float4,''NaN''::float4,922337203685477.58075,-922337203685477.5808,1e16,1e1000,1e300::float8,-922337203685478::float8,3e38::float4}'::text[]) amount,
	pg_temp.refusal(format('SELECT rfm.money(%s)', amount)) AS refusal
GROUP BY refusal ORDER BY refusal COLLATE "C";
