#!/usr/bin/env bash
# A shop at work: readers of every view of three models beside writers and refreshes.  There must be no error and no
# deadlock, one snapshot for each reader, memory and tables that do not grow, and in the end a model equal to a full
# rebuild, row for row.  Prints TAP, the latencies of each view, and the throughput.
#
#	make test-load [SECONDS=180] [SCALE=0.1]
#
# The models: shop, of thelook, tracked and refreshed incrementally every second and fully now and then; plain, of a small
# shop without tracking; matview, of the same, materialized.
#
# shellcheck disable=SC2154,SC2086
set -euo pipefail

seconds=${1:-180} scale=${SCALE:-0.1} readers=8
case $seconds$scale in *[!0-9.]*) echo "SECONDS and SCALE are numbers" >&2; exit 1 ;; esac
# What takes longer than its slice of make test is left to the long run: memory and tables that grow.
long=$([ "$seconds" -ge 60 ] && echo 1 || echo)

cd "$(dirname "$0")/.."
source=$PWD include=$PWD/test/shell/include tests_server=${RFM_SOURCE_DIR:+$PGHOST}
. test/private_server.sh
. test/shell/include/tap.sh

finish() {
	touch "$directory/stop" 2>/dev/null
	end_jobs 2>/dev/null
	remove_private_directory
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# In make test the build is there.
[ -n "$tests_server" ] || install_packages test
create_private_directory load
if [ -n "$tests_server" ]; then
	ln -s "$tests_server/build" "$tests_server/installed" "$directory"
else
	build_extension
fi
start_server "shared_buffers = 256MB" "max_wal_size = 4GB" "autovacuum_naptime = 1s" "autovacuum_vacuum_cost_delay = 0" \
	"deadlock_timeout = 100ms" "log_line_prefix = '%m %p %a '"
pgbench=$(command -v pgbench || :)
if [ -z "$pgbench" ]; then
	echo "1..0 # SKIP there is no pgbench"
	exit
fi
export PGDATABASE=load_test PGOPTIONS='-c client_min_messages=warning'
createdb load_test
sql -c 'CREATE SCHEMA thelook' -c 'CREATE EXTENSION rfm_segments' -f "$include/churn.sql"
PGOPTIONS="$PGOPTIONS -c search_path=thelook" sql -v QUIET=on -v scale="$scale" -v as_of="$(date -u +%F)" -f demo/thelook.sql >/dev/null
PGOPTIONS='-c client_min_messages=error' sql >/dev/null <<'SQL'
CREATE INDEX ON thelook.order_items (user_id);
CREATE INDEX ON thelook.order_items (id);
CREATE INDEX ON thelook.events (user_id);
CREATE INDEX ON thelook.users (id);
CREATE SEQUENCE thelook.new_id START 100000000;
SELECT rfm.create_thelook_model('shop', 'thelook');
SELECT rfm.track_changes('shop', t::regclass, c) FROM (VALUES ('thelook.order_items', 'user_id'), ('thelook.users', 'id'),
	('thelook.events', 'user_id'), ('thelook.products', NULL)) x(t, c);
SELECT add_lines(1000);
SELECT rfm.create_model(CASE s WHEN 'table' THEN 'plain' ELSE 'matview' END, 'lines', 'accounts', 'goods', 'visits', storage => s)
FROM unnest('{table,materialized}'::text[]) s;
CALL rfm.refresh('shop');
VACUUM ANALYZE;
SQL
users=$(sql -c 'SELECT max(id) FROM thelook.users')

# ---------- who reads and who writes ----------

# A script for each view, and one that fails where a reader sees two snapshots.
mkdir "$directory/readers" "$directory/log"
sql -c "SELECT format('%I.%I', n.nspname, c.relname) FROM rfm.models m JOIN pg_namespace n ON n.nspname = m.model JOIN pg_class c ON c.relnamespace = n.oid
	WHERE c.relkind = 'v' AND obj_description(c.oid, 'pg_class') IS NOT NULL
	AND c.relname NOT IN ('order_lines', 'accounts', 'products', 'visits', 'valid_lines', 'unique_accounts', 'unique_products', 'profiles_source') ORDER BY 1" >"$directory/views"
while read -r view; do
	echo "SELECT * FROM $view;" >"$directory/readers/$view"
done <"$directory/views"
for model in shop plain matview; do
	cat >"$directory/readers/$model.(consistent)" <<-SQL
		SELECT 1 / (o.customers = (SELECT count(*) FROM $model.customers) AND o.customers = (SELECT sum(customers) FROM $model.segments)
			AND o.revenue = (SELECT sum(revenue) FROM $model.segments) AND o.customers = (SELECT sum(customers) FROM $model.score_cells))::int FROM $model.overview o;
	SQL
done
printf '%s\n' "\\set user random(1, $users)" 'SELECT * FROM shop.customers WHERE customer_id = :user;' >"$directory/readers/shop.(customer)"

mkdir "$directory/writers"
cat >"$directory/writers/order" <<-SQL
	\\set user random(1, $users)
	\\set items random(1, 4)
	BEGIN;
	INSERT INTO thelook.order_items (id, order_id, user_id, product_id, status, created_at, sale_price)
		SELECT nextval('thelook.new_id'), currval('thelook.new_id') / 4, :user, (SELECT id FROM thelook.products OFFSET :user % 100 LIMIT 1), 'Processing', localtimestamp, 25
		FROM generate_series(1, :items);
	INSERT INTO thelook.events (id, user_id, session_id, created_at) VALUES (nextval('thelook.new_id'), :user, currval('thelook.new_id')::text, localtimestamp);
	END;
SQL
cat >"$directory/writers/status" <<-SQL
	\\set user random(1, $users)
	UPDATE thelook.order_items SET status = CASE WHEN random() < 0.3 THEN 'Cancelled' ELSE 'Complete' END WHERE user_id = :user;
SQL
cat >"$directory/writers/delete" <<-SQL
	\\set user random(1, $users)
	DELETE FROM thelook.order_items WHERE user_id = :user AND id > 100000000 AND created_at < localtimestamp - interval '10 seconds';
SQL
printf '%s\n' "\\set user random(1, $users)" 'UPDATE thelook.users SET traffic_source = (ARRAY['"'Search', 'Email', 'Display'"'])[1 + :user % 3] WHERE id = :user;' >"$directory/writers/account"

# Runs pgbench until the end: NAME CLIENTS SECONDS [OPTION ...], with the scripts in the directory NAME.
bench() {
	local name=$1 clients=$2 duration=$3 file scripts=()
	shift 3
	for file in "$directory/$name"/*; do
		scripts+=(-f "$file")
	done
	PGAPPNAME=$name "$pgbench" -n -c "$clients" -j 1 -T "$duration" -M prepared -l --log-prefix="$directory/log/$name" "$@" "${scripts[@]}" >"$directory/$name.said" 2>&1 ||
		touch "$directory/$name.failed"
}

# Calls SQL again and again, in one session: NAME PAUSE SQL.
again() {
	while [ ! -e "$directory/stop" ]; do
		echo "$3"
		sleep "$2"
	done | PGAPPNAME=$1 PGOPTIONS="$PGOPTIONS -c client_min_messages=error" psql -XqAt -v ON_ERROR_STOP=1 >"$directory/$1.said" 2>&1 || touch "$directory/$1.failed"
}

# Memory of their own of all backends that stay, in kB: PID NAME KB.
memory() {
	local pid name
	sql -F ' ' -c "SELECT pid, CASE WHEN application_name LIKE 'rfm_segments %' THEN 'refresh' ELSE application_name END FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()" |
		while read -r pid name; do
			echo "$pid $name $(awk '/^RssAnon:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)"
		done
}

# Bytes of the models beside what they are to keep, after VACUUM.
size() {
	sql -c VACUUM -c "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN rfm.models m ON m.model = c.relnamespace::regnamespace::text
		WHERE c.relkind IN ('r', 'm') AND c.relname NOT IN ('segment_changes', 'refresh_log')"
}

echo "# $readers readers of $(wc -l <"$directory/views") views, 2 writers, 3 models, $users users, $seconds seconds"
bench readers $readers "$seconds" &
bench writers 2 "$seconds" -R 40 &
again churn 0.2 'CALL churn(random(), 5);' &
again incremental 1 "CALL rfm.refresh('shop');" &
again full 7 "CALL rfm.refresh('shop', full_rebuild => true);" &
again plain 3 "CALL rfm.refresh('plain');" &
again matview 4 "CALL rfm.refresh('matview');" &

samples=3 sizes=()
for ((i = 1; i <= samples; i++)); do
	sleep $((seconds / (samples + 1)))
	memory | sort >"$directory/memory.$i"
	[ -z "$long" ] || sizes+=("$(size)")
done
touch "$directory/stop"
wait

# ---------- what came of it ----------

for name in readers writers churn incremental full plain matview; do
	is "$name: no error" "$([ ! -e "$directory/$name.failed" ] || tail -n 5 "$directory/$name.said")" ''
done
is 'the server reports no error and no deadlock' "$(grep -E 'ERROR|FATAL|PANIC|deadlock' "$directory/data/log" | grep -v 'canceling autovacuum task' | head -n 5 || :)" ''
is 'no transaction of pgbench failed' "$(grep -h 'number of failed transactions' "$directory"/*.said | grep -v ': 0 ' || :)" ''
is 'every view was read' "$(awk '{ print $4 }' "$directory"/log/readers.* | sort -u | wc -l)" "$(find "$directory/readers" -type f | wc -l)"
sql -c "SELECT format('# refreshes of %s: %s %s, %s s at most', m, n, mode, max) FROM (
	SELECT 'shop' AS m, mode, count(*) AS n, round(max(extract(epoch FROM finished_at - started_at)), 1) AS max FROM shop.refresh_log GROUP BY mode
	UNION ALL SELECT 'plain', mode, count(*), round(max(extract(epoch FROM finished_at - started_at)), 1) FROM plain.refresh_log GROUP BY mode
	UNION ALL SELECT 'matview', mode, count(*), round(max(extract(epoch FROM finished_at - started_at)), 1) FROM matview.refresh_log GROUP BY mode) r ORDER BY m, mode"
is 'some refreshes were incremental, some full' "$(sql -c "SELECT count(DISTINCT mode) FROM shop.refresh_log")" 2
is 'every refresh ended well' "$(sql -c "SELECT count(*) FROM (TABLE shop.refresh_log UNION ALL TABLE plain.refresh_log UNION ALL TABLE matview.refresh_log) l
	WHERE error IS NOT NULL OR finished_at IS NULL")" 0
is 'in the end an incremental refresh gives what a full rebuild gives' "$(sql -f "$include/differences.sql")" ''
is 'and the history has no gap and no overlap' "$(sql -f "$include/history.sql")" ''
is 'plain and matview agree' "$(PGOPTIONS='-c client_min_messages=error' sql <<-'SQL'
	SELECT rfm.configure_model(m, as_of => localtimestamp) FROM unnest('{plain,matview}'::text[]) m \g /dev/null
	UPDATE plain.settings SET as_of = (SELECT as_of FROM matview.settings);
	CALL rfm.refresh('plain');
	CALL rfm.refresh('matview');
	(SELECT * FROM everything('plain') EXCEPT ALL SELECT * FROM everything('matview')) UNION ALL
	(SELECT * FROM everything('matview') EXCEPT ALL SELECT * FROM everything('plain')) LIMIT 5;
SQL
)" ''

# Latencies of the readers, by script: ms.
latencies() {
	local i=0 file
	printf '# %-32s %8s %9s %9s %9s\n' view reads 'p50 ms' 'p95 ms' 'max ms'
	for file in "$directory"/readers/*; do
		awk -v i=$i '$4 == i { print $3 }' "$directory"/log/readers.* | sort -n | awk -v name="${file##*/}" '
			{ t[NR] = $1 / 1000 }
			END { printf "# %-32s %8d %9.1f %9.1f %9.1f\n", name, NR, t[int((NR + 1) / 2)], t[int(NR * 0.95 + 0.5)], t[NR] }'
		i=$((i + 1))
	done
}

if [ -n "$long" ]; then
	latencies
	for name in readers writers; do
		echo "# $name: $(grep '^tps' "$directory/$name.said")"
	done
	echo "# bytes of the models after VACUUM, at each third: ${sizes[*]}"
	# from the middle on, so that caches are full
	join "$directory/memory.2" "$directory/memory.3" >"$directory/memory"
	join "$directory/memory.1" "$directory/memory.2" | join - "$directory/memory.3" |
		awk '{ print "# memory of " $2 ", kB: " $3, $5, $7 }'
	is 'the memory of no backend grows' "$(awk '$5 > $3 * 1.2 + 4096' "$directory/memory")" ''
	is 'nor do the tables' "$((sizes[2] * 2 < sizes[0] * 3))" 1
fi
done_testing
