#!/usr/bin/env bash
# Faults in the middle: a full disk, timeouts, cancels, limits, readers that stay.  After each the last snapshot is there
# with the same rows, the next refresh is right, the tables of the user are what they were, nothing is left over, and the
# log tells what happened.  SEED=n repeats the choices, though not the moments; FAULTS=n multiplies their number.
#
# shellcheck disable=SC2154
set -euo pipefail

seed=${SEED:-$((RANDOM % 10000))} times=${FAULTS:-1}
echo "# SEED=$seed"
RANDOM=$seed

source=$RFM_SOURCE_DIR
include=$source/test/shell/include
tests_server=$PGHOST
. "$source/test/private_server.sh"
. "$include/tap.sh"

finish() {
	end_jobs 2>/dev/null
	remove_private_directory
	[ -z "${small:-}" ] || { umount "$small" && rmdir "$small"; }
}
trap finish EXIT
create_private_directory faults
ln -s "$tests_server/build" "$tests_server/installed" "$directory"
start_server "max_locks_per_transaction = 16" "max_worker_processes = 4" "max_wal_senders = 0" "autovacuum = off" "jit = off"
export PGDATABASE=faults_test PGOPTIONS='-c client_min_messages=error'

# A shop in the current database, with the model shop, tracked, and the model matview.
make_shop() {
	sql -c "CREATE EXTENSION rfm_segments" -f "$include/churn.sql" -f "$include/faults.sql" >/dev/null
	sql >/dev/null <<-SQL
		SELECT setseed($((RANDOM % 1000)) / 1000.0), add_lines($1);
		INSERT INTO users SELECT i, 'Search', now() - interval '1 year', 'A' FROM generate_series(1, 400) i;
		INSERT INTO products SELECT i, chr(65 + i % 5), 'brand', 'name', i FROM generate_series(1, 30) i;
		INSERT INTO events SELECT i % 400, i % 1000, now() - i * interval '1 hour' FROM generate_series(1, 1000) i;
		SELECT make_shop('lookback => NULL');
		SELECT rfm.create_model('matview', 'lines', 'accounts', 'goods', 'visits', storage => 'materialized');
		CALL rfm.refresh('shop');
	SQL
}

# ---------- what is done, and what must hold after it ----------

refresh="CALL rfm.refresh('shop')"
create="SELECT rfm.create_model('other', 'lines', 'accounts', 'goods', 'visits')"
declare -A action=(
	[incremental]=$refresh
	[full]="CALL rfm.refresh('shop', full_rebuild => true)"
	[materialized]="CALL rfm.refresh('matview')"
	[dimensions]=$refresh
	[storage]="CALL rfm.refresh('matview')"
	[configure]="SELECT rfm.configure_model('shop', rules => 'classic')"
	[create]=$create
	[drop]="SELECT rfm.drop_model('other')"
)
names=(incremental full materialized dimensions storage configure create drop)

state() {
	sql -c "SELECT shown('shop'), shown('matview')" -c "SELECT base_tables()" -c "TABLE shop.settings" -c "SELECT objects()" >"$directory/$1"
}

# Before an action: NAME.  Sets $model, whose log is asked, and $newest.
prepare() {
	local commands=(-c "CALL churn($((RANDOM % 1000)) / 1000.0, 10)")
	model=shop
	case $1 in
		materialized) model=matview ;;
		dimensions)
			commands+=(-c "SELECT rfm.configure_model('shop', dimensions => CASE WHEN dimensions = '{}' THEN '{country}' ELSE '{}' END::text[]) FROM shop.settings")
			;;
		storage)
			model=matview
			commands+=(-c "SELECT rfm.configure_model('matview', storage => CASE storage WHEN 'table' THEN 'materialized' ELSE 'table' END) FROM matview.settings")
			;;
		drop) commands+=(-c "$create" -c "SELECT rfm.track_changes('other', 'items', 'user_id')") ;;
	esac
	sql "${commands[@]}" >/dev/null
	state before
	newest=$(sql -c "SELECT coalesce(max(refresh_id), 0) FROM $model.refresh_log")
}

# Takes back what an action may have done: NAME.  Says what is wrong with it.
clear_away() {
	case $1 in
		configure) sql -c "SELECT rfm.configure_model('shop', unset => '{rules}')" ;;
		create | drop)
			sql -c "DO \$\$ BEGIN IF EXISTS (SELECT FROM rfm.models WHERE model = 'other') THEN
				CALL rfm.refresh('other'); PERFORM rfm.drop_model('other'); END IF; END \$\$" -c "SELECT o FROM objects() o WHERE o ~ 'other'"
			;;
	esac
}

# After an action: NAME DESCRIPTION [MESSAGE].  What it said is in the file said; without an error it came first.
check() {
	local name=$1 what=$2 said log
	said=$(sed -n 's/^.*\(ERROR\|FATAL\):  //p' "$directory/said" | head -n 1)
	tried=$((tried + 1))
	if [ -n "$said" ]; then
		struck=$((struck + 1))
		is "$what: it says why" "$said" "${3:-*}"
		state after
		is "$what: the rows of the last snapshot, the tables of the user, settings and objects are as before" \
			"$(diff "$directory/before" "$directory/after" | head -n 5)" ''
		log=$(sql -c "SELECT logged('$model', $newest)")
		# the row of a session that died, or for whose end the disk had no room left, is closed by the next refresh
		[[ $log != "$said" && ! ($log = running && $said = @(terminating|could not)*) ]] || log=nothing
		is "$what: the log tells" "$log" nothing
	fi
	is "$what: readers see one snapshot, and the tables of the user stay" "$(sql -c "SELECT consistent('shop'), consistent('matview')" -c 'SELECT base_tables()')" \
		"t|t"$'\n'"$(sed -n 2p "$directory/before")"
	is "$what: what it made or did not drop is whole" "$(clear_away "$name" 2>&1)" ''
	is "$what: the next refresh is right" "$(sql -c "CALL rfm.refresh('matview')" -c "$refresh" -f "$include/differences.sql" \
		-c "SELECT consistent('shop'), consistent('matview')" \
		-c "SELECT 'running' FROM (TABLE shop.refresh_log UNION ALL TABLE matview.refresh_log) l WHERE finished_at IS NULL AND error IS NULL" 2>&1)" 't|t'
}

# How often a kind of fault met something.
tell() {
	echo "# $1: $struck of $tried struck"
	all_struck=$((all_struck + struck)) tried=0 struck=0
}
all_struck=0 tried=0 struck=0

# Some actions at random: HOW_MANY for each of times.
some() {
	local i
	for ((i = 0; i < times; i++)); do
		shuf -n "$1" -e "${names[@]}" --random-source=<(yes "$RANDOM")
	done
}

# Milliseconds that SQL takes.
duration() {
	local start=${EPOCHREALTIME/./}
	sql -c "$1" >/dev/null
	echo $(((${EPOCHREALTIME/./} - start) / 1000))
}

createdb faults_test
make_shop 1000
declare -A took
for name in "${names[@]}"; do
	prepare "$name"
	took[$name]=$(duration "${action[$name]}")
	clear_away "$name" >/dev/null
done

# ---------- at a random moment: a timeout, a cancel, the end of the session ----------

for name in $(some 3); do
	prepare "$name"
	moment=$((1 + RANDOM % (took[$name] * 2 / 3 + 1)))
	PGOPTIONS="$PGOPTIONS -c statement_timeout=$moment" sql -c "${action[$name]}" >"$directory/said" 2>&1 || :
	check "$name" "$name, statement_timeout $moment ms" 'canceling statement due to statement timeout'
done
tell statement_timeout

for name in $(some 3); do
	prepare "$name"
	moment=$((1 + RANDOM % (took[$name] * 2 / 3 + 1)))
	: >"$directory/said"
	how=$([ $((RANDOM % 3)) = 0 ] && echo terminate || echo cancel)
	sql -c 'SELECT pg_backend_pid()' -c "${action[$name]}" >"$directory/said" 2>&1 &
	until [ -s "$directory/said" ]; do
		sleep 0.002
	done
	read -r backend <"$directory/said"
	sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
	sql -c "SELECT pg_${how}_backend($backend)" >/dev/null 2>&1
	wait || :
	check "$name" "$name, pg_${how}_backend after $moment ms" '@(canceling statement due to user request|terminating connection due to administrator command)'
done
tell cancel

# ---------- locks that others hold ----------

# Opens a session that takes SQL from a file descriptor: VARIABLE FILE.  Sets VARIABLE and VARIABLE_pid.
open_session() {
	: >"$directory/$2"
	eval "exec {$1}> >(exec psql -XqAt >\"\$directory/$2\" 2>&1); $1_pid=\$!"
}

# Ends a session: VARIABLE [LAST WORDS].
close_session() {
	local pid=$1_pid
	echo "${2:-\q}" >&"${!1}"
	eval "exec {$1}>&-"
	wait "${!pid}" || :
}

# Waits until a session has said something: FILE PATTERN.
until_said() {
	local i
	for ((i = 0; i < 6000; i++)); do
		! grep -q "$2" "$directory/$1" || return 0
		sleep 0.01
	done
	echo "# waited in vain for $2"
	return 1
}

# Holds what a command locks, in a session of its own, until release.
hold() {
	open_session holder held
	echo "BEGIN; $1; SELECT 'held';" >&"$holder"
	until_said held .
}

release() {
	close_session holder
}

relations=(items users lines accounts shop.settings shop.refresh_log shop.changes shop.profiles shop.snapshot shop.stored_summaries
	shop.customers shop.overview matview.customers matview.settings)
for name in $(some 5); do
	prepare "$name"
	relation=${relations[RANDOM % ${#relations[@]}]}
	hold "LOCK TABLE $relation IN ACCESS EXCLUSIVE MODE"
	PGOPTIONS="$PGOPTIONS -c lock_timeout=$((1 + RANDOM % 100))" sql -c "${action[$name]}" >"$directory/said" 2>&1 || :
	release
	check "$name" "$name while $relation is locked" '*canceling statement due to lock timeout'
done
tell lock_timeout
# few choices may all miss
[ "$times" = 1 ] || is 'some of them struck' "$((all_struck > times))" 1

# Between the two transactions of a refresh somebody else takes the lock of the model.
prepare incremental
hold 'LOCK TABLE shop.refresh_log IN ACCESS EXCLUSIVE MODE'
open_session refresher said
echo "SELECT 'pid', pg_backend_pid(); $refresh; SELECT 'ended';" >&"$refresher"
until_said said pid
backend=$(sed -n 's/^pid|//p' "$directory/said")
until_true "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'shop.refresh_log'::regclass AND NOT granted)"
open_session queue queue
echo 'BEGIN; LOCK TABLE shop.settings IN SHARE UPDATE EXCLUSIVE MODE;' >&"$queue"
until_true "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'shop.settings'::regclass AND NOT granted)"
release
until_true "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'shop.settings'::regclass AND NOT granted AND pid = $backend)"
sql -c "SELECT pg_cancel_backend($backend)" >/dev/null
until_said said ended
is 'the lock of the model taken meanwhile: the log tells, while the session stays' "$(sql -c "SELECT logged('shop', $newest)")" 'canceling statement due to user request'
close_session queue
check incremental 'the lock of the model taken meanwhile' 'canceling statement due to user request'
# a row that was left open by a session that has gone on to something else
sql -c "INSERT INTO shop.refresh_log (started_at, pid, mode) VALUES (clock_timestamp(), $backend, 'full')"
echo "SELECT 'gone on';" >&"$refresher"
until_said said 'gone on'
newest=$(sql -c "SELECT max(refresh_id) - 1 FROM shop.refresh_log" -c "$refresh")
is 'the next refresh closes the row of a session that does something else' "$(sql -c "SELECT logged('shop', $newest)")" 'ended with its session, ok'
close_session refresher

# ---------- transactions that stay open ----------

prepare incremental
PGOPTIONS="$PGOPTIONS -c idle_in_transaction_session_timeout=500" open_session idler said
echo "BEGIN; $refresh; SELECT 'ended', pg_backend_pid();" >&"$idler"
until_said said ended
until_true "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $(sed -n 's/^ended|//p' "$directory/said"))"
close_session idler 'SELECT;'
check incremental 'idle_in_transaction_session_timeout' 'terminating connection due to idle-in-transaction timeout'

# A reader who stays in his transaction sees his snapshot, and no refresh waits for him.
shown="SELECT shown('shop'), shown('matview');"
open_session reader read
echo "BEGIN ISOLATION LEVEL REPEATABLE READ; $shown SELECT 'read';" >&"$reader"
until_said read '^read'
for name in incremental full materialized incremental full materialized; do
	sql -c "CALL churn($((RANDOM % 1000)) / 1000.0, 10)"
	PGOPTIONS="$PGOPTIONS -c lock_timeout=10s" sql -c "${action[$name]}" >"$directory/said" 2>&1 || :
	is "$name beside a reader who stays: does not wait" "$(cat "$directory/said")" ''
done
is 'others see what is new' "$([ "$(sql -c "$shown")" != "$(head -n 1 "$directory/read")" ] && echo new)" new
echo "$shown SELECT 'again';" >&"$reader"
until_said read again
is 'a reader who stays sees his snapshot' "$(sed -n 3p "$directory/read")" "$(sed -n 1p "$directory/read")"
# which keeps old rows; when he is gone they go, and from then on nothing grows
close_session reader
size="SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace IN ('shop'::regnamespace, 'matview'::regnamespace)
	AND relkind IN ('r', 'm') AND relname NOT IN ('refresh_log', 'segment_changes')"
sizes=()
for ((i = 0; i < 6; i++)); do
	sql -c 'UPDATE items SET price = price + 1' -c "${action[full]}" -c "${action[materialized]}" -c VACUUM
	sizes+=("$(sql -c "$size")")
done
echo "# bytes after each full refresh and VACUUM: ${sizes[*]}"
is 'the tables of a model do not grow' "$((sizes[5] * 4 < sizes[1] * 5))" 1

# ---------- limits ----------

sql -c "CREATE TABLE many AS SELECT i AS customer_id, i AS order_id, now() - i * interval '1 minute' AS ordered_at, i AS amount FROM generate_series(1, 10000) i" \
	-c "SELECT rfm.create_model('many_' || s, 'many', storage => s, build_memory => '1MB') FROM unnest('{table,materialized}'::text[]) s" >/dev/null
# PostgreSQL 18 quotes the name
exceeds='temporary file size exceeds ?(")temp_file_limit?(") (64kB)'
for model in many_table many_materialized; do
	customers="SELECT md5(string_agg(c::text, '' ORDER BY customer_id)) FROM $model.customers c"
	sql -c "$customers" >"$directory/before"
	sql -c 'UPDATE many SET amount = amount + 1'
	PGOPTIONS="$PGOPTIONS -c temp_file_limit=64 -c work_mem=64" sql -c "CALL rfm.refresh('$model')" >"$directory/said" 2>&1 || :
	is "$model, temp_file_limit: it says why" "$(cat "$directory/said")" "ERROR:  $exceeds*"
	is "$model, temp_file_limit: the last snapshot is there, and the log tells" "$(sql -c "$customers" -c "SELECT logged('$model', 1)")" \
		"$(cat "$directory/before")"$'\n'"$exceeds"
	is "$model, temp_file_limit: the next refresh is right" "$(sql -c "CALL rfm.refresh('$model')" \
		-c "SELECT consistent('$model'), revenue = (SELECT sum(amount) FROM many) FROM $model.overview")" 't|t'
	sql -c "SELECT rfm.drop_model('$model')" >/dev/null
done
sql -c 'DROP TABLE many'

prepare incremental
sql -c "SELECT rfm.create_model('other_' || i, 'lines', 'accounts', 'goods', 'visits') FROM generate_series(1, 1000) i" >"$directory/said" 2>&1 || :
check incremental 'models without end in a transaction' 'out of shared memory'
is 'and the hint of the server' "$(grep -o 'max_locks_per_transaction' "$directory/said")" max_locks_per_transaction

# CREATE EXTENSION
prepare incremental
createdb empty_test
extension_took=$(PGDATABASE=empty_test duration 'CREATE EXTENSION rfm_segments; DROP EXTENSION rfm_segments; DROP SCHEMA rfm')
for ((i = 0; i < 3 * times; i++)); do
	moment=$((1 + RANDOM % extension_took))
	PGDATABASE=empty_test PGOPTIONS="$PGOPTIONS -c statement_timeout=$moment" sql -c 'CREATE EXTENSION rfm_segments' >"$directory/said" 2>&1 || :
	if [ -s "$directory/said" ]; then
		is "CREATE EXTENSION, statement_timeout $moment ms: nothing is left" "$(PGDATABASE=empty_test sql -c "SELECT nspname FROM pg_namespace WHERE nspname = 'rfm'
			UNION ALL SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' UNION ALL SELECT proname FROM pg_proc WHERE oid > 16383")" ''
	fi
	PGDATABASE=empty_test sql -c 'CREATE EXTENSION IF NOT EXISTS rfm_segments' -c "SELECT rfm.version()" -c 'DROP EXTENSION rfm_segments' -c 'DROP SCHEMA rfm' >"$directory/said" 2>&1 || :
	is "CREATE EXTENSION, statement_timeout $moment ms: again it works" "$(cat "$directory/said")" '[0-9]*.[0-9]*'
done
dropdb empty_test

# ---------- a full disk: a file system in memory ----------

tell 'others'
small=$directory.small disk_struck=$all_struck
mkdir "$small"
if ! mount -t tmpfs -o "size=96m,mode=0700,uid=$(as_server id -u)" tmpfs "$small" 2>"$directory/said"; then
	rmdir "$small"
	small=
	tests=$((tests + 1))
	echo "ok $tests - a full disk # SKIP $(head -n 1 "$directory/said")"
	done_testing
	exit
fi

# What is left on it, in kB.
free() {
	df --output=avail -k "$small" | tail -n 1
}

sql -c "CREATE TABLESPACE small LOCATION '$small'" -c 'CREATE DATABASE small_test TABLESPACE small'
export PGDATABASE=small_test
make_shop 1000
declare -A grew
for ((i = 0; i <= times; i++)); do
	for name in full materialized storage create; do
		prepare "$name"
		sql -c 'UPDATE items SET price = price + 1'
		state before
		before=$(free)
		if [ $i = 0 ]; then
			sql -c "${action[$name]}" >/dev/null
			grew[$name]=$((before - $(free)))
			clear_away "$name" >/dev/null
		else
			moment=$((RANDOM % (grew[$name] + 1)))
			as_server head -c $(((before - moment) * 1024)) /dev/zero >"$small/filler"
			sql -c "${action[$name]}" >"$directory/said" 2>&1 || :
			rm "$small/filler"
			check "$name" "$name with $moment kB left of ${grew[$name]}" 'could not @(extend|write)*@(No space left on device|wrote only *)*'
		fi
	done
done
tell 'a full disk'
[ "$times" = 1 ] || is 'the full disk struck' "$((disk_struck + times <= all_struck))" 1
is 'the server did not crash' "$(grep -c 'PANIC\|terminated by signal' "$directory/data/log" || :)" 0

done_testing
