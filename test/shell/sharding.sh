#!/usr/bin/env bash
# Order lines on other servers, through postgres_fdw: a coordinator and two shards. Every view of every model is that of the
# same lines in one local table, to the last digit, in all storages and with all kinds of ids; the shards aggregate, and one
# row for each customer comes back; what cannot be shipped is said, and right all the same; a shard that is down, or dies,
# leaves the snapshot as it was.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
set -euo pipefail

source=$RFM_SOURCE_DIR
include=$source/test/shell/include
tests_server=$PGHOST
. "$source/test/private_server.sh"
. "$include/tap.sh"

[ -f "$("$PG_CONFIG" --pkglibdir)/postgres_fdw.so" ] || {
	echo "1..0 # SKIP this server has no postgres_fdw"
	exit
}

# The directories of the shards are inside that of the coordinator, and have sockets of their own.
finish() {
	local shard
	end_jobs 2>/dev/null
	for shard in a b; do
		[ ! -f "$directory/$shard/data/postmaster.pid" ] || shard_server "$shard" -m immediate stop || :
	done
	remove_private_directory
}
shard_server() {
	as_server pg_ctl -D "$directory/$1/data" -l "$directory/$1/data/log" -w "${@:2}" >/dev/null
}
trap finish EXIT
create_private_directory sharding
ln -s "$tests_server/build" "$tests_server/installed" "$directory"
start_server "jit = off"
coordinator=$directory
for shard in a b; do
	mkdir "$directory/$shard"
	[ "$(id -u)" != 0 ] || chown postgres "$directory/$shard"
	ln -s "$tests_server/build" "$tests_server/installed" "$directory/$shard"
	(
		directory=$coordinator/$shard
		start_server "jit = off" "log_statement = all" "synchronous_commit = on"
	)
done
export PGDATABASE=sharding_test

on_shard() {
	PGHOST=$coordinator/$1 sql "${@:2}"
}

# Models belong to somebody without any rights of a superuser.
owner() {
	sql -U sharding_owner "$@"
}

for shard in a b; do
	PGHOST=$coordinator/$shard createdb sharding_test
	on_shard "$shard" -c 'CREATE EXTENSION rfm_segments'
done
createdb sharding_test
sql -v a="$coordinator/a" -v b="$coordinator/b" <<'SQL'
CREATE EXTENSION rfm_segments;
CREATE EXTENSION postgres_fdw;
CREATE ROLE sharding_owner LOGIN;
GRANT CREATE ON DATABASE sharding_test TO sharding_owner;
GRANT CREATE ON SCHEMA public TO sharding_owner;
CREATE SERVER a FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host :'a', dbname 'sharding_test', extensions 'rfm_segments', use_remote_estimate 'true',
	async_capable 'true', fetch_size '10000', fdw_tuple_cost '0.2');
CREATE SERVER b FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host :'b', dbname 'sharding_test', extensions 'rfm_segments', use_remote_estimate 'true',
	async_capable 'true', fetch_size '10000', fdw_tuple_cost '0.2');
GRANT USAGE ON FOREIGN SERVER a, b TO sharding_owner;
CREATE USER MAPPING FOR sharding_owner SERVER a OPTIONS (user 'postgres', password_required 'false');
CREATE USER MAPPING FOR sharding_owner SERVER b OPTIONS (user 'postgres', password_required 'false');
SQL

# ---------- lines with ids of three kinds, in one table and on the shards ----------

# Makes local_KIND, and lines_KIND in two parts: KIND, then the types of customer, order, product, ordered_at, voided_at,
# amount and status.
make_lines() {
	local columns="customer_id $2, order_id $3, product_id $4, ordered_at $5, voided_at $6, amount $7, status $8"
	for shard in a b; do
		on_shard "$shard" -c "CREATE TABLE lines_$1 ($columns)"
	done
	owner <<-SQL
		CREATE TABLE local_$1 ($columns);
		CREATE TABLE lines_$1 ($columns) PARTITION BY HASH (customer_id);
		CREATE FOREIGN TABLE lines_$1_a PARTITION OF lines_$1 FOR VALUES WITH (MODULUS 2, REMAINDER 0) SERVER a OPTIONS (table_name 'lines_$1');
		CREATE FOREIGN TABLE lines_$1_b PARTITION OF lines_$1 FOR VALUES WITH (MODULUS 2, REMAINDER 1) SERVER b OPTIONS (table_name 'lines_$1');
	SQL
}
make_lines int int bigint int timestamptz timestamptz 'numeric(10,2)' text
make_lines uuid uuid uuid uuid timestamp timestamp float8 varchar
make_lines text text varchar 'text COLLATE "C"' date date bigint text
kinds='{int,uuid,text}'

seed=${SEED:-$(date +%N | sed 's/^0*//')}
echo "# seed $seed"
owner -v seed="$seed" <<'SQL'
SELECT setseed(:seed / 1e9) \g /dev/null
CREATE FUNCTION as_uuid(kind text, number int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(kind || number)::uuid $$;
CREATE FUNCTION as_text(kind text, number int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT (ARRAY[kind, upper(kind), kind || 'ä'])[1 + number % 3] || number $$;

-- Ties of time and amount, refunds, NULLs, guests, voided lines, customers of one line.
CREATE FUNCTION add_lines(from_line int, to_line int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE line AS
		SELECT i, CASE WHEN i % 41 > 0 THEN c END AS c, CASE WHEN i % 77 > 0 THEN o END AS o, CASE WHEN i % 31 > 0 THEN p END AS p,
			CASE WHEN i % 91 > 0 THEN at END AS at, CASE WHEN random() < 0.06 THEN at + (random() * 100)::int * interval '1 day' END AS voided,
			CASE WHEN i % 93 > 0 THEN a END AS a, (ARRAY['Complete', 'Cancelled', 'Returned', 'Shipped', NULL])[1 + floor(random() * 5)::int] AS status
		FROM (SELECT i, CASE WHEN i % 10 = 0 THEN 10000 + i ELSE 1 + (random() ^ 2 * 250)::int END AS c, (random() * 900)::int AS o,
				(random() * 29)::int AS p, timestamptz '2024-01-20 00:00+01' - (random() * 800)::int * interval '1 day' + (random() * 3)::int * interval '5 hours' AS at,
				CASE WHEN random() < 0.1 THEN -(random() * 40)::int ELSE (random() * 100)::int END AS a
			FROM generate_series(from_line, to_line) i) x;
	CREATE TEMP TABLE made_int AS SELECT c, o, p, at, voided, a + 0.25 AS a, status FROM line;
	CREATE TEMP TABLE made_uuid AS SELECT as_uuid('c', c) AS c, as_uuid('o', o) AS o, as_uuid('p', p) AS p, at AT TIME ZONE 'Europe/Berlin' AS at,
		voided AT TIME ZONE 'Europe/Berlin' AS voided, a / 3.0::float8 AS a, status FROM line;
	CREATE TEMP TABLE made_text AS SELECT as_text('c', c) AS c, as_text('o', o) AS o, as_text('p', p) AS p, at::date AS at, voided::date AS voided, a, status FROM line;
	INSERT INTO local_int TABLE made_int;
	INSERT INTO lines_int TABLE made_int;
	INSERT INTO local_uuid TABLE made_uuid;
	INSERT INTO lines_uuid TABLE made_uuid;
	INSERT INTO local_text TABLE made_text;
	INSERT INTO lines_text TABLE made_text;
	DROP TABLE line, made_int, made_uuid, made_text;
END $$;
SELECT add_lines(1, 2500) \g /dev/null

CREATE TABLE products_int AS SELECT i AS product_id, 'c' || i % 4 AS category, 'b' || i % 3 AS brand, 'n' || i AS name,
	CASE WHEN i % 5 > 0 THEN i / 3.0 END AS cost FROM generate_series(0, 25) i;
CREATE TABLE products_uuid AS SELECT as_uuid('p', product_id) AS product_id, category, brand, name, cost FROM products_int;
CREATE TABLE products_text AS SELECT as_text('p', product_id) AS product_id, category, brand, name, cost FROM products_int;
CREATE TABLE accounts_int AS SELECT i AS customer_id, (ARRAY['web', 'ad'])[1 + i % 2] AS channel, timestamptz '2021-06-01' + i * interval '1 day' AS signed_up_at,
	'k' || i % 3 AS country FROM generate_series(1, 300) i;
CREATE TABLE accounts_uuid AS SELECT as_uuid('c', customer_id) AS customer_id, channel, signed_up_at, country FROM accounts_int;
CREATE TABLE accounts_text AS SELECT as_text('c', customer_id) AS customer_id, channel, signed_up_at, country FROM accounts_int;
CREATE TABLE visits_int AS SELECT customer_id, 's' || order_id AS session_id, ordered_at + order_id % 90 * interval '1 day' AS visited_at FROM local_int;
CREATE TABLE visits_uuid AS SELECT as_uuid('c', customer_id) AS customer_id, session_id, visited_at FROM visits_int;
CREATE TABLE visits_text AS SELECT as_text('c', customer_id) AS customer_id, session_id, visited_at FROM visits_int;

CREATE FUNCTION make_model(model text, lines text, kind text, storage text) RETURNS void LANGUAGE sql AS $$
	SELECT rfm.create_model(model, lines::regclass, ('accounts_' || kind)::regclass, ('products_' || kind)::regclass, ('visits_' || kind)::regclass,
		storage => storage, as_of => '2024-01-10', time_zone => 'Europe/Berlin', dimensions => '{country}') $$;

-- Every view of a model, and its profiles, but the margin of nobody, which no view shows. Only tables have a history.
CREATE FUNCTION answers(model text) RETURNS TABLE (name text, hash text) LANGUAGE plpgsql AS $$
BEGIN
	FOR name IN SELECT relname FROM pg_class c WHERE relnamespace = to_regnamespace(model) AND relkind = 'v'
			AND obj_description(oid, 'pg_class') NOT LIKE 'Internal.%' LOOP
		RETURN QUERY EXECUTE format('SELECT $1, count(*) || md5(coalesce(string_agg(line, chr(10) ORDER BY line COLLATE "C"), ''''))'
			' FROM (SELECT (to_jsonb(t) - ''refreshed_at'')::text AS line FROM %I.%I t) x', model, name) USING name;
	END LOOP;
	RETURN QUERY EXECUTE format('SELECT ''profiles'', count(*) || md5(string_agg(line, chr(10) ORDER BY line COLLATE "C"))'
		' FROM (SELECT (to_jsonb(t) - ''ledger'' - ''segment_since'')::text || CASE WHEN customer_id IS NOT NULL THEN t.ledger::text ELSE ''-'' END AS line FROM %I.%I t) x', model,
		CASE WHEN to_regclass(format('%I.profiles', model)) IS NULL THEN 'profiles_source' ELSE 'profiles' END);
END $$;
CREATE FUNCTION differences(model text, other text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s: %s', model, name), ', ' ORDER BY name)
	FROM answers(model) a FULL JOIN answers(other) b USING (name)
	WHERE a.hash IS DISTINCT FROM b.hash AND (name <> 'segment_history' OR a.hash IS NOT NULL AND b.hash IS NOT NULL) $$;
SQL
for shard in a b; do
	on_shard "$shard" -c ANALYZE
done
owner -c ANALYZE 2>/dev/null

said=$(PGOPTIONS='-c client_min_messages=notice' owner -c "SELECT make_model('local_' || k, 'local_' || k, k, 'table') FROM unnest('$kinds'::text[]) k" 2>&1)
is 'nothing is said of shards where there are none' "$said" "$(grep -v 'foreign' <<<"$said")"
said=$(PGOPTIONS='-c client_min_messages=notice' owner -c "SELECT make_model('table_' || k, 'lines_' || k, k, 'table') FROM unnest('$kinds'::text[]) k" 2>&1)
is 'create_model tells that the shards aggregate' "$(grep -c 'NOTICE:  the lines are in 2 foreign tables: they are aggregated there, one row per customer comes here' <<<"$said")" 3
export PGOPTIONS='-c client_min_messages=error'
owner -c "SELECT make_model(s || '_' || k, 'lines_' || k, k, s) FROM unnest('{materialized,view}'::text[]) s, unnest('$kinds'::text[]) k" >/dev/null

# Compares all models with those of the local tables: DESCRIPTION.
compare() {
	is "$1: all views and profiles, to the last digit" "$(owner -c "SELECT differences(s || '_' || k, 'local_' || k)
		FROM unnest('{table,materialized,view}'::text[]) s, unnest('$kinds'::text[]) k" 2>&1 | grep -v '^$')" ''
}
refresh_all() {
	owner <<<"SELECT format('CALL rfm.refresh(%L)', model) FROM rfm.models \gexec" 2>&1
}
compare 'as created'
is 'there is something to compare' "$(owner -c "SELECT (SELECT count(*) FROM answers('table_text')) >= 19 AND (SELECT customers FROM table_int.overview) > 300
	AND (SELECT unassigned_revenue > 0 AND margin_rate > 0 FROM table_int.overview) AND EXISTS (SELECT FROM table_uuid.profiles WHERE next_change_at IS NOT NULL)")" t
is 'at another moment' "$(owner -c "SELECT count(*) FROM unnest('{table,materialized,view}'::text[]) s,
	LATERAL (SELECT * FROM rfm.rows_as_owner(s || '_text', format('SELECT md5(string_agg(c::text, '''' ORDER BY c::text COLLATE \"C\")) FROM %I.customers_at(''2023-05-01'') c', s || '_text')) x(a text)) a,
	LATERAL (SELECT * FROM rfm.rows_as_owner('local_text', 'SELECT md5(string_agg(c::text, '''' ORDER BY c::text COLLATE \"C\")) FROM local_text.customers_at(''2023-05-01'') c') x(b text)) b
	WHERE a = b")" 3

# ---------- what crosses the network ----------

# What a build of a model reads from the shards: the rows of aggregated scans, how many scans there are, those of other scans.
owner <<'SQL'
CREATE FUNCTION crossing(model text, OUT aggregated bigint, OUT scans int, OUT others bigint) LANGUAGE plpgsql SET enable_partitionwise_aggregate = on AS $$
DECLARE
	line    text;
	n       bigint;
	s       rfm.settings := rfm.resolve_settings(rfm.model_settings(model));
BEGIN
	aggregated := 0;
	scans := 0;
	others := 0;
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || rfm.sharded_query(model, s) LOOP
		n := coalesce(substring(line, 'Foreign Scan.*actual rows=(\d+)')::bigint, n);
		IF line ~ 'Remote SQL: SELECT [^,]*, rfm\.summary\(rfm\.profile\(.*, rfm\.ledger\(.* GROUP BY 1$' THEN
			aggregated := aggregated + n;
			scans := scans + 1;
		ELSIF line ~ 'Remote SQL:' THEN
			others := others + n;
		END IF;
	END LOOP;
END $$;
SQL
for kind in int uuid text; do
	is "$kind: each shard aggregates; a row for each customer comes back, and the lines without one" "$(owner -c "SELECT * FROM crossing('table_$kind')")" \
		"$(owner -c "SELECT count(DISTINCT customer_id) FILTER (WHERE customer_id IS NOT NULL) || '|2|' || count(*) FILTER (WHERE customer_id IS NULL)
			FROM (SELECT *, voided_at AS v FROM table_$kind.valid_lines) l WHERE customer_id IS NULL OR order_id IS NOT NULL AND ordered_at IS NOT NULL AND amount IS NOT NULL")"
done
is 'these are fewer than the lines' "$(owner -c "SELECT aggregated * 2 < (SELECT count(*) FROM table_int.valid_lines) FROM crossing('table_int')")" t

# What a statement makes the shards run: the queries without EXPLAIN, by whether they aggregate.
remote_queries() {
	local shard
	for shard in a b; do
		as_server sed -n 's/.*DECLARE c[0-9]* CURSOR FOR$/DECLARE/p; s/^\tSELECT //p' "$coordinator/$shard/data/log" | tail -n "+$((${lines_before[$shard]} + 1))" |
			sed -n "/^DECLARE/{n;s/.* GROUP BY 1$/$shard aggregates/;s/.*customer_id IS NULL.*/lines without customer/;p}"
	done | sort | uniq -c | sed 's/^ *//'
}
declare -A lines_before
mark_logs() {
	local shard
	for shard in a b; do
		lines_before[$shard]=$(as_server sed -n 's/.*DECLARE c[0-9]* CURSOR FOR$/DECLARE/p; s/^\tSELECT //p' "$coordinator/$shard/data/log" | wc -l)
	done
}
for storage in table materialized; do
	mark_logs
	owner -c "CALL rfm.refresh('${storage}_int')"
	is "$storage: a refresh reads the shards once, as aggregates" "$(remote_queries)" "1 a aggregates"$'\n'"1 b aggregates"$'\n'"1 lines without customer"
done
mark_logs
owner -c 'SET enable_partitionwise_aggregate = on' -c 'SELECT count(*) FROM view_int.customers' >/dev/null
is 'view: with enable_partitionwise_aggregate a reader does' "$(remote_queries)" "1 a aggregates"$'\n'"1 b aggregates"$'\n'"1 lines without customer"

owner -c "SELECT rfm.configure_model(s || '_int', lookback => '1 year') FROM unnest('{local,table,materialized,view}'::text[]) s" >/dev/null
owner -c "SELECT add_lines(2501, 2700)" >/dev/null
is 'refreshed' "$(refresh_all)" ''
compare 'with more lines, and a window'
is 'with a window the shards aggregate, too' "$(owner -c "SELECT scans FROM crossing('table_int')")" 2
owner -c "SELECT rfm.configure_model(s || '_uuid', unset => '{as_of}') FROM unnest('{local,table,materialized}'::text[]) s" >/dev/null
mark_logs
owner -c "CALL rfm.refresh('table_uuid')" -c "CALL rfm.refresh('materialized_uuid')"
# those whose last line was voided since are looked for
is 'as of now, too' "$(remote_queries | grep -v ' = ANY ')" "2 a aggregates"$'\n'"2 b aggregates"$'\n'"2 lines without customer"
owner -c "SELECT rfm.configure_model(s || '_uuid', as_of => '2024-01-10') FROM unnest('{local,table,materialized}'::text[]) s" >/dev/null
for shard in a b; do
	on_shard "$shard" -c "UPDATE lines_text SET amount = amount + 1 WHERE customer_id LIKE 'C%'" -c "DELETE FROM lines_text WHERE order_id LIKE '%7'"
done
owner -c "UPDATE local_text SET amount = amount + 1 WHERE customer_id LIKE 'C%'" -c "DELETE FROM local_text WHERE order_id LIKE '%7'"
is 'refreshed again' "$(refresh_all)" ''
compare 'after changes on the shards'
is 'the log of such a refresh' "$(owner -c 'SELECT mode, passes, changed > 0, error FROM table_text.refresh_log ORDER BY refresh_id DESC LIMIT 1')" 'full|1|t|'

# ---------- what is not shipped, and why ----------

# Says what create_model says of shards, and compares the model with that of the local lines: DESCRIPTION LINES EXPECTED
not_shipped() {
	local said
	said=$(PGOPTIONS='-c client_min_messages=notice' owner -c "SELECT make_model('other', '$2', 'int', 'table')" 2>&1 | grep -A 1 foreign || :)
	is "$1: create_model says so" "$said" "$3"
	owner -c "SELECT make_model('other_local', 'local_int', 'int', 'table')" >/dev/null
	is "$1: right all the same" "$(owner -c "SELECT differences('other', 'other_local')")" ''
	owner -c "SELECT rfm.drop_model(m) FROM unnest('{other,other_local}'::text[]) m" >/dev/null
}
sql -c "ALTER SERVER b OPTIONS (DROP extensions)"
not_shipped 'a server that does not know the extension' lines_int "*NOTICE:  the lines are in 2 foreign tables, of which 1 aggregate on their own server: server b does not name the extension
HINT:  With rfm_segments in that database, too: ALTER SERVER b OPTIONS (ADD extensions 'rfm_segments')."
sql -c "ALTER SERVER b OPTIONS (ADD extensions 'rfm_segments')"
owner -c "CREATE VIEW computed AS SELECT (customer_id + 0) AS customer_id, order_id, product_id, ordered_at, voided_at, amount, status FROM lines_int"
not_shipped 'a view that computes the customer' computed '*of which 0 aggregate on their own server: the planner finds no way, or none that pays
HINT:  The customer must be the partition key, alone, *'
owner -c "CREATE TYPE state AS ENUM ('Complete', 'Cancelled', 'Returned', 'Shipped')" \
	-c "CREATE VIEW with_enum AS SELECT customer_id, order_id, product_id, ordered_at, voided_at, amount, status::state AS status FROM lines_int"
not_shipped 'a status that is no text' with_enum '*of which 0 aggregate on their own server: status has type public.state
HINT:  Let a view on the other side cast it to text, and read that.'

is 'changes on the shards cannot be tracked' "$(owner -c "SELECT rfm.track_changes('table_int', 'lines_int', 'customer_id')" 2>&1)" \
	'ERROR:  changes of public.lines_int cannot be tracked: partition public.lines_int_a is a foreign table
HINT:  Its rows change on the other side, where no trigger is. A model that reads it is rebuilt in full.*'

# ---------- a shard that is down, dies or is slow ----------

on_shard a -c "CREATE TABLE strayed AS SELECT * FROM lines_int WHERE customer_id IS NOT NULL ORDER BY customer_id LIMIT 1"
on_shard b -c "INSERT INTO lines_int (customer_id, order_id, ordered_at, amount) VALUES ($(on_shard a -c 'SELECT customer_id FROM strayed'), 1, '2023-01-01', 1)"
is 'a customer on two shards is refused' "$(owner -c "CALL rfm.refresh('table_int')" 2>&1)" 'ERROR:  1 customers have lines on more than one shard
HINT:  A customer must be on the shard of his hash: *'
is 'and found as the README says' "$(owner -c "SELECT count(*) FROM (SELECT customer_id FROM lines_int_b OFFSET 0) l WHERE NOT satisfies_hash_partition('lines_int'::regclass, 2, 1, customer_id)")" 1
on_shard b -c "DELETE FROM lines_int WHERE customer_id = $(on_shard a -c 'SELECT customer_id FROM strayed')"

before=$(owner -c "SELECT md5(string_agg(a::text, '' ORDER BY a.name)) FROM answers('table_int') a")
stays() {
	is "$1: the snapshot is as it was" "$(owner -c "SELECT md5(string_agg(a::text, '' ORDER BY a.name)) FROM answers('table_int') a")" "$before"
}
last_log="SELECT error FROM table_int.refresh_log ORDER BY refresh_id DESC LIMIT 1"
owner -c "SELECT add_lines(2701, 2800)" >/dev/null
shard_server b -m immediate stop
is 'a shard that is down is an error' "$(owner -c "CALL rfm.refresh('table_int')" 2>&1)" 'ERROR:  could not connect to server "b"*'
is 'the log has it' "$(owner -c "$last_log")" 'could not connect to server "b"'
stays 'down'
is 'no model is made' "$(owner -c "SELECT make_model('other', 'lines_int', 'int', 'table')" 2>&1)" 'ERROR:  model "other" could not be built: could not connect to server "b"*'
is 'nor half of one' "$(owner -c "SELECT to_regnamespace('other')")" ''
shard_server b start

on_shard b <<'SQL'
ALTER TABLE lines_int RENAME TO quick_lines;
CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN true; END';
CREATE VIEW lines_int AS SELECT * FROM quick_lines WHERE slow(customer_id);
SQL
# Waits until the slow shard is asked for the aggregate.
shard_is_busy() {
	PGHOST=$coordinator/b until_true "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND state = 'active')"
}
owner -c "CALL rfm.refresh('table_int')" >"$directory/said" 2>&1 &
refresher=$!
shard_is_busy
sql -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'rfm_segments%'" >/dev/null
wait "$refresher" || :
is 'a refresh is cancelled while a shard computes' "$(cat "$directory/said")" 'ERROR:  canceling statement due to user request*'
is 'the log has that, too' "$(owner -c "$last_log")" 'canceling statement due to user request'
PGHOST=$coordinator/b until_true "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND state = 'active')"
is 'and the shard stops' $? 0
stays 'cancelled'

owner -c "CALL rfm.refresh('table_int')" >"$directory/said" 2>&1 &
refresher=$!
shard_is_busy
shard_server b -m immediate stop
wait "$refresher" || :
is 'a shard that dies is an error, and the first one is told' "$(grep ERROR "$directory/said")" 'ERROR:  *server*'
is 'not what it leads to' "$(grep -c 'abort cleanup' "$directory/said" || :)" 0
stays 'dead'
shard_server b start
on_shard b -c "DROP VIEW lines_int" -c "ALTER TABLE quick_lines RENAME TO lines_int"
is 'the next refresh is right' "$(refresh_all)" ''
is 'no refresh is left open' "$(owner -c "SELECT count(*) FROM table_int.refresh_log WHERE finished_at IS NULL AND error IS NULL")" 0
compare 'in the end'

# ---------- the README ----------

# The first or second block of its section.
readme_block() {
	awk -v number="$1" '/^## / { inside = $0 == "## Sharded PostgreSQL" } !inside { next }
		/^```text/ { n++; show = n == number; next } /^```/ { show = 0 } show' "$source/README.md"
}
for server in "$coordinator" "$coordinator/a" "$coordinator/b"; do
	PGHOST=$server createdb shop
done
for shard in a b; do
	readme_block 1 | PGHOST=$coordinator/$shard PGDATABASE=shop sql
done
export PGDATABASE=shop PGOPTIONS='-c client_min_messages=notice'
sql -c 'CREATE EXTENSION rfm_segments'
is 'what the README shows, it does' "$(readme_block 2 | sed "s|shard0.example|$coordinator/a|; s|shard1.example|$coordinator/b|; s|'model'|'postgres'|" | sql 2>&1)" \
	"*NOTICE:  $(sed -n 's/^.create_model. says .\(the lines .* here\).*/\1/p' "$source/README.md")*"
is 'with the customers of both shards' "$(sql -c 'SELECT customers, orders FROM sharded.overview')" '100|1000'
is 'and the check of where they are' "$(sed -n 's/^  `\(SELECT .*satisfies_hash_partition.*\)`.*/\1/p' "$source/README.md" | sql)" 0

done_testing
