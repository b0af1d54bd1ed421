-- What a full rebuild of the model shop computes otherwise than an incremental refresh: nothing.  Leaves it as it was.
SET client_min_messages = warning;
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL rfm.refresh('shop');
CREATE TEMP TABLE incremental AS SELECT * FROM everything('shop');
CALL rfm.refresh('shop', full_rebuild => true);
CREATE TEMP TABLE full_rebuild AS SELECT * FROM everything('shop');
SELECT * FROM (
	(SELECT 'only incremental', * FROM (TABLE incremental EXCEPT ALL TABLE full_rebuild) x)
	UNION ALL (SELECT 'only full', * FROM (TABLE full_rebuild EXCEPT ALL TABLE incremental) x)) d
ORDER BY 2, 3 LIMIT 10;
ROLLBACK;
