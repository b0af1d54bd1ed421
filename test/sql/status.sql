-- status_counts: the same lines, and the same estimate of their number, as with <> ALL.
CREATE DOMAIN status_domain AS text;
CREATE TYPE status_mood AS ENUM ('sad', 'Sad', 'happy');
CREATE TABLE status_lines AS
	SELECT i, (ARRAY['Complete', 'Shipped', 'Cancelled', 'cancelled', 'Returned', 'Returned ', '', NULL, repeat('long', 5000)])[1 + i % 9] AS status,
		(ARRAY['sad', 'Sad', 'happy', NULL])[1 + i % 4]::status_mood AS mood
	FROM generate_series(1, 9000) i;
ANALYZE status_lines;
CREATE FUNCTION pg_temp.estimate(condition text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) SELECT FROM status_lines WHERE ' || condition INTO plan;
	RETURN plan #>> '{0,Plan,Plan Rows}';
END $$;

WITH v AS MATERIALIZED (
	SELECT excluded, pg_temp.estimate(format('rfm.status_counts(status, %L)', excluded)) = pg_temp.estimate(format('(status IS NULL OR status COLLATE "C" <> ALL (%L::text[]))', excluded)) AS same_estimate
	FROM (VALUES ('{}'::text[]), ('{Cancelled,Returned}'), ('{sad,""}'), (ARRAY[repeat('long', 5000)])) v (excluded))
SELECT left(excluded::text, 30) AS excluded, count(*) FILTER (WHERE rfm.status_counts(status, excluded)) AS counted,
	count(*) FILTER (WHERE rfm.status_counts(status, excluded) IS DISTINCT FROM (status IS NULL OR status COLLATE "C" <> ALL (excluded))) AS different,
	count(*) FILTER (WHERE rfm.status_counts(status::status_domain, excluded) IS DISTINCT FROM (status IS NULL OR status COLLATE "C" <> ALL (excluded))) AS different_domain,
	count(*) FILTER (WHERE rfm.status_counts(mood::text, excluded) IS DISTINCT FROM (mood IS NULL OR mood::text COLLATE "C" <> ALL (excluded))) AS different_enum,
	bool_and(same_estimate) AS same_estimate
FROM v, status_lines
WHERE length(excluded::text) < 100 OR i < 100 GROUP BY v.excluded ORDER BY length(v.excluded::text);

-- a constant list, read once
SELECT count(*) FROM status_lines WHERE rfm.status_counts(status, '{Cancelled,Returned}');
SELECT count(*) FROM status_lines WHERE rfm.status_counts(mood::text, ARRAY['sad']);
SELECT rfm.status_counts(NULL, '{a}'), rfm.status_counts('a', NULL), rfm.status_counts('a', '{a}'), rfm.status_counts('a', '{A,"a "}');

DROP TABLE status_lines;
DROP TYPE status_mood;
DROP DOMAIN status_domain;
