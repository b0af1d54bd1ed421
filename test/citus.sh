#!/usr/bin/env bash
# Models on Citus: every answer is that of one machine, to the last digit, and what is per customer runs on the workers.
#
#	make test-citus [PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config] [KEEP=1]
#
# Starts a coordinator and two workers of their own on loopback, from a PostgreSQL that has Citus; a third worker joins
# later.  Beside the distributed database stands one without Citus, with the same rows: each statement runs in both, and
# what they answer is compared as text.  Nothing may be added up on the coordinator row by row: there
# citus.coordinator_aggregation_strategy is 'disabled'.  Prints TAP.
#
# shellcheck disable=SC2086,SC2154
set -euo pipefail

cd "$(dirname "$0")/.."
source=$PWD citus=$PWD/test/citus
. test/private_server.sh
. test/shell/include/tap.sh

nodes="coordinator worker1 worker2 worker3"
declare -A port

finish() {
	local status=$? node
	trap - EXIT
	if [ -n "${KEEP:-}" ] && [ -d "${directory:-}" ]; then
		echo "# kept: psql -h 127.0.0.1 -p ${port[coordinator]} -U postgres distributed (or single); then stop the servers below $directory"
		exit $status
	fi
	for node in $nodes; do
		[ ! -f "${directory:-}/$node/postmaster.pid" ] || as_server "$(postgres_path bindir)/pg_ctl" -D "$directory/$node" -m immediate stop >/dev/null || :
	done
	remove_private_directory
	[ "$status" = 0 ] || failures=$((failures + 1))
	echo "$((tests - failures > 0 ? tests - failures : 0)) passed, $failures failed"
	exit $status
}

# A port that nobody listens on.
free_port() {
	local candidate
	while :; do
		candidate=$((20000 + RANDOM % 20000))
		(: <"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || break
	done
	echo $candidate
}

start_node() {
	quietly as_server "$(postgres_path bindir)/pg_ctl" -D "$directory/$1" -l "$directory/$1/log" -w start || {
		tail -n 20 "$directory/$1/log"
		return 1
	}
}

make_node() {
	quietly as_server "$(postgres_path bindir)/initdb" -D "$directory/$1" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
	port[$1]=$(free_port)
	cat >>"$directory/$1/postgresql.conf" <<-SETTINGS
		listen_addresses = '127.0.0.1'
		port = ${port[$1]}
		unix_socket_directories = '$directory'
		shared_preload_libraries = 'citus'
		wal_level = logical
		fsync = off
		full_page_writes = off
		synchronous_commit = off
		max_connections = 200
		max_worker_processes = 32
		timezone = 'UTC'
		jit = off
		citus.shard_count = 8
		citus.enable_statistics_collection = off
		citus.node_conninfo = 'sslmode=disable'
		citus.max_cached_conns_per_worker = 2
	SETTINGS
	ln -sfn "$directory/$1" "$directory/data"
	(extension_settings) >>"$directory/$1/postgresql.conf" || install_in_system
	rm "$directory/data"
	start_node $1
	psql -Xq -p ${port[$1]} -d postgres -c "CREATE DATABASE distributed" -c '\c distributed' -c "CREATE EXTENSION citus"
}

# ---------- what the tests say ----------

on_single() {
	sql -d single "$@"
}
distributed() {
	sql -d distributed "$@"
}
both() {
	on_single "$@" >/dev/null
	distributed "$@" >/dev/null
}

# The error of a statement on Citus, with its hint, in one line.
refused() {
	distributed -c "$1" 2>&1 >/dev/null | grep -E '^(ERROR|HINT)|^psql:.*ERROR' | sed 's/^psql:[^ ]* //' | tr '\n' ' '
}

# Compares every public view, and what the functions of the models answer.
same() {
	local database
	for database in single distributed; do
		{ sql -d $database -f "$citus/answers.sql" -f "$citus/functions.sql" 2>&1 || echo "an error"; } |
			sed -E 's/since the refresh at [0-9: .-]+//' >"$directory/$database.out"
	done
	is "$1" "$(diff "$directory/single.out" "$directory/distributed.out" | head -n 10 | cut -c1-400)" ""
	is "$1: many answers, no error" "$(wc -l <"$directory/single.out"), $(grep -cE 'ERROR|an error' "$directory/single.out")" "[1-9][0-9][0-9]*, 0"
}

choose_postgres
[ -x "$(postgres_path bindir)/postgres" ] || die "PG_CONFIG names no server"
if [ ! -f "$(postgres_path pkglibdir)/citus.so" ]; then
	echo "1..0 # SKIP the PostgreSQL of $PG_CONFIG has no Citus: build it from its public source, or name another by PG_CONFIG"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

trap finish EXIT
trap 'exit 1' INT TERM HUP
create_private_directory citus
build_extension
for name in ${!PG*}; do
	[ "$name" = PG_CONFIG ] || unset "$name"
done
export PGHOST=127.0.0.1 PGUSER=postgres PGCLIENTENCODING=UTF8 PGOPTIONS='-c client_min_messages=error'
for node in coordinator worker1 worker2; do
	make_node $node
done
export PGPORT=${port[coordinator]}
createdb single
on_single -c "CREATE EXTENSION rfm_segments"
distributed >/dev/null <<-SQL
	SELECT citus_set_coordinator_host('127.0.0.1', ${port[coordinator]}), citus_add_node('127.0.0.1', ${port[worker1]}), citus_add_node('127.0.0.1', ${port[worker2]});
	CREATE EXTENSION rfm_segments;
	ALTER DATABASE distributed SET citus.coordinator_aggregation_strategy = 'disabled';
SQL

# ---------- the same rows in both ----------

both -f "$citus/shop.sql"
distributed -f "$citus/distribute.sql" >/dev/null
is "the lines are on two workers" "$(distributed -c "SELECT count(DISTINCT nodename || nodeport) FROM citus_shards WHERE table_name = 'lines'::regclass")" 2

both -f "$citus/models.sql"
same "as created"

# ---------- what runs where ----------

plan() {
	distributed -c "EXPLAIN (VERBOSE, COSTS OFF) $1" | sed -n '1,/->  Task/p'
}
profiles=$(distributed -c "SELECT rfm.distributed_profiles_query(rfm.resolve_settings(s), '''2024-01-02Z''::timestamptz') FROM shop.settings s")
columns=$(distributed -c "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'shop.next_profiles'::regclass AND attnum > 0 AND NOT attisdropped")
is "the profiles are computed and written by the workers" "$(plan "INSERT INTO shop.next_profiles ($columns) SELECT $columns FROM ($profiles) q")" \
	"*Custom Scan (Citus Adaptive)*Task Count: 8*"
is "and no row of them comes to the coordinator" "$(plan "INSERT INTO shop.next_profiles ($columns) SELECT $columns FROM ($profiles) q" | grep -c 'Subplan' || :)" 0
is "text ids, too" "$(distributed -c "SELECT rfm.runs_on_workers(rfm.distributed_profiles_query(rfm.resolve_settings(s), '''2024-01-02Z''::timestamptz')) FROM texts.settings s" 2>&1 | tail -n 1)" t
reconciliation=$(distributed -c "SELECT replace(replace(replace(rfm.reconciliation_query(rfm.resolve_settings(s)), '\$1', '''2024-01-02Z''::timestamptz'),
	'\$2', '''-infinity''::timestamptz'), '\$3', '''2024-01-02Z''::timestamptz') FROM shop.settings s")
is "the lines are reconciled by the workers" "$(plan "$reconciliation" | grep -c 'Task Count: 8'), $(plan "$reconciliation" | grep -c 'Subplan' || :)" "1, 0"
is "the sums of the analyses are made by the workers" "$(plan "SELECT rfm.tally(1::smallint, p.orders, p.revenue, 1, ARRAY['a']), rfm.gateway(p.first_category, 'vip', p.revenue, p.revenue, 1, true, 1),
	rfm.cohorts(p.first_order_date, p.ledger), rfm.margin_rate(p.ledger), rfm.kaplan_meier(1, true) FROM shop.profiles p" | grep -c 'coord_combine_agg' || :)" "[1-9]*"
is "a customer is looked for on one worker" "$(plan "SELECT * FROM shop.customers WHERE customer_id = 7" | grep -o 'Task Count: [0-9]*')" "Task Count: 1"
is "profiles lie beside the lines" "$(distributed -c "SELECT count(DISTINCT colocation_id) FROM citus_tables WHERE table_name IN ('lines'::regclass, 'shop.profiles'::regclass, 'shop.segment_changes'::regclass)")" 1

# what a reader may ask: each view beside the one that is distributed
is "every view can be joined with customers" "$(distributed -c "SELECT format('SELECT count(*) > 0 FROM %I.customers c, %I.%I v WHERE c.customer_id = 10;', model, model, relname)
	FROM unnest('{shop,Live}'::text[]) model JOIN pg_class ON oid = ANY (rfm.public_relations(model)::oid[])" | distributed 2>&1 | sort | uniq -c | tr -s ' ' | tr '\n' ';')" " [1-9][0-9] t;"

# ---------- changes ----------

both -f "$citus/changes.sql"
same "after changes of the lines and of the settings"

distributed -c "ALTER DATABASE distributed SET citus.coordinator_aggregation_strategy = 'row-gather'"
same "with the other strategy, too"
distributed -c "ALTER DATABASE distributed SET citus.coordinator_aggregation_strategy = 'disabled'"

# ---------- refusals ----------

is "storage materialized" "$(refused "SELECT rfm.create_model('no', 'order_lines', storage => 'materialized')")" "ERROR:*materialized*HINT:*storage => 'table'*"
is "storage view without as_of" "$(refused "SELECT rfm.create_model('no', 'order_lines', storage => 'view')")" "ERROR:*as_of*HINT:*set as_of*"
is "lines distributed by something else" "$(refused "SELECT rfm.create_model('no', 'by_order')")" "ERROR:*not distributed by customer*HINT:*alter_distributed_table*"
is "customer_id is not the column as it is" "$(refused "SELECT rfm.create_model('no', 'cast_lines')")" "ERROR:*not distributed by customer*HINT:*as it is*"
is "accounts that are elsewhere" "$(refused "SELECT rfm.create_model('no', 'order_lines', 'elsewhere')")" "ERROR:*accounts*HINT:*colocate_with*"
is "accounts that are local" "$(refused "SELECT rfm.create_model('no', 'order_lines', 'local_accounts')")" "ERROR:*accounts*HINT:*colocate_with*"
is "visits that are local" "$(refused "SELECT rfm.create_model('no', 'order_lines', NULL, NULL, 'local_visits')")" "ERROR:*visits*HINT:*colocate_with*"
is "products that are local" "$(refused "SELECT rfm.create_model('no', 'order_lines', NULL, 'local_products')")" "ERROR:*products*HINT:*create_reference_table*"
is "lines that are local, accounts that are not" "$(refused "SELECT rfm.create_model('no', 'local_lines', 'people')")" "ERROR:*accounts*HINT:*istribute*"
is "tracked changes" "$(refused "SELECT rfm.track_changes('shop', 'lines', 'user_id')")" "ERROR:*Citus*HINT:*refresh*"
is "a setting that is refused later" "$(refused "SELECT rfm.configure_model('shop', storage => 'materialized')")" "ERROR:*materialized*"
is "they leave nothing behind" "$(distributed -c "SELECT count(*) FROM rfm.models WHERE model = 'no'")" 0

# ---------- people ----------

distributed -c "CREATE ROLE clerk LOGIN" -c "SELECT rfm.grant_read('shop', 'clerk')" >/dev/null
is "a reader reads every view" "$(PGUSER=clerk distributed -c "SELECT format('SELECT count(*) >= 0 FROM shop.%I;', relname) FROM pg_class
	WHERE oid = ANY (rfm.public_relations('shop')::oid[]) AND relkind = 'v'" -c '' | PGUSER=clerk distributed 2>&1 | sort | uniq -c | tr -s ' ' | tr '\n' ';')" " [0-9]* t;"

distributed -c "SELECT rfm.grant_read('Live', 'clerk')" >/dev/null
is "of a live model, who may read the tables" "$(PGUSER=clerk refused 'SELECT count(*) FROM "Live".overview' | head -c 25) $(distributed -c 'GRANT SELECT ON lines, accounts, products, events TO clerk')\
$(PGUSER=clerk distributed -c 'SELECT count(*) FROM "Live".overview')" "ERROR:  permission denied*1"

# one who may do little makes a model of his own, and it stays his whoever refreshes it
distributed >/dev/null <<-SQL
	CREATE ROLE shopkeeper LOGIN;
	GRANT CREATE ON DATABASE distributed TO shopkeeper;
	GRANT CREATE ON SCHEMA public TO shopkeeper;
SQL
PGUSER=shopkeeper distributed >/dev/null <<-SQL
	CREATE TABLE "His Lines" ("Customer Id" uuid, order_id bigint, ordered_at timestamptz, amount numeric);
	SELECT create_distributed_table('"His Lines"', 'Customer Id');
	INSERT INTO "His Lines" SELECT md5(i::text)::uuid, i, '2023-12-01Z', i FROM generate_series(1, 50) i;
	CREATE VIEW "His View" AS SELECT "Customer Id" AS customer_id, order_id, ordered_at, amount FROM "His Lines";
	SELECT rfm.create_model('His Shop', '"His View"', as_of => '2024-01-02');
SQL
distributed -c "CALL rfm.refresh('His Shop')"
is "a role without superuser rights makes a model" "$(PGUSER=shopkeeper distributed -c 'SELECT customers, revenue FROM "His Shop".overview')" "50|1275.0000"
is "and drops it" "$(PGUSER=shopkeeper distributed -c "SELECT rfm.drop_model('His Shop')" -c "SELECT count(*) FROM rfm.models WHERE model = 'His Shop'" | tail -n 1)" 0

# what the README shows
readme=$(awk '/^## / { inside = $0 == "## Citus" } !inside { next } /^```text/ { show = 1; next } /^```/ { show = 0 } show' README.md)
is "the README is true" "$({ echo 'CREATE SCHEMA readme; SET search_path = readme, public;'; echo "$readme" | grep -v '^CREATE EXTENSION'; echo 'SELECT customers, orders FROM spread.overview;'; } |
	distributed | tail -n 1)" "100|1000"
distributed -c "SELECT rfm.drop_model('spread')" >/dev/null

# ---------- another node ----------

make_node worker3
distributed -c "SELECT citus_add_node('127.0.0.1', ${port[worker3]})" >/dev/null
# while others write; the tables of the models have what that takes
distributed -c "SELECT format('ALTER TABLE %s REPLICA IDENTITY FULL;', t.table_name) FROM citus_tables t JOIN pg_class c ON c.oid = t.table_name
	WHERE c.relnamespace::regnamespace::text NOT IN (SELECT quote_ident(model) FROM rfm.models)" | distributed
distributed -c "SELECT rebalance_table_shards()" >/dev/null
is "shards have moved to the third worker" "$(distributed -c "SELECT count(*) > 0 FROM citus_shards WHERE table_name = 'shop.profiles'::regclass AND nodeport = ${port[worker3]}")" t
same "after a worker was added and the shards were spread anew"
both -c "CALL rfm.refresh('shop')"
same "and after a refresh there"

# ---------- a worker that is down ----------

as_server "$(postgres_path bindir)/pg_ctl" -D "$directory/worker2" -m immediate -w stop >/dev/null
is "a refresh fails" "$(refused "CALL rfm.refresh('shop')")" "ERROR:*"
is "the analyses still answer" "$(distributed -c "SELECT customers FROM shop.overview")" "$(on_single -c "SELECT customers FROM shop.overview")"
is "the log says so" "$(distributed -c "SELECT error IS NOT NULL FROM shop.refresh_log ORDER BY refresh_id DESC LIMIT 1")" t
start_node worker2
distributed -c "DELETE FROM shop.refresh_log WHERE error IS NOT NULL" >/dev/null
until_answer() {
	local i
	for ((i = 0; i < 100; i++)); do
		! distributed -c "SELECT count(*) FROM shop.profiles" >/dev/null 2>&1 || return 0
		sleep 0.2
	done
}
until_answer
both -c "CALL rfm.refresh('shop')"
same "when it is back, and the model was refreshed"

# ---------- the end ----------

both -f "$citus/drop.sql"
is "nothing is left on the workers" "$(for node in worker1 worker2 worker3; do psql -XAtq -p ${port[$node]} -d distributed -c "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN ('shop', 'texts')"; done | tr '\n' ' ')" "0 0 0 "
done_testing
[ "$failures" = 0 ]
