#!/usr/bin/env bash
# kill -9 of the backend that refreshes, and of the whole server, in the middle: the snapshot before it stays, no
# change is lost, and the next refresh is right.  Likewise when a model is made or dropped, and when a refresh is
# cancelled or times out.  All of it at random moments, while others write.  A killed backend takes the whole server
# with it, so that this test has a server of its own.  SEED=n repeats the choices, though not the moments.
#
# shellcheck disable=SC2154
set -euo pipefail

seed=${SEED:-$((RANDOM % 10000))}
backends=12 servers=5 models=4 cancels=12
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
}
trap finish EXIT
create_private_directory crash
ln -s "$tests_server/build" "$tests_server/installed" "$directory"
start_server "synchronous_commit = on"
export PGDATABASE=crash_test
createdb crash_test
sql -c "CREATE EXTENSION rfm_segments" -f "$include/churn.sql" >/dev/null
sql -c "SET client_min_messages = error" -c "SELECT make_shop('lookback => NULL')" >/dev/null

up() {
	until sql -c 'SELECT' 2>/dev/null; do
		sleep 0.05
	done
}

crashes() {
	grep -c 'all server processes terminated' "$directory/data/log" || :
}

# Starts SQL in the background, in a session that stays, and waits a random part of the time that it takes, in
# milliseconds.  Sets $backend.
start() {
	local took=$1
	shift
	: >"$directory/said"
	psql -XqAt -c 'SELECT pg_backend_pid()' -c 'SET client_min_messages = error' "$@" -c 'SELECT pg_sleep(60)' >"$directory/said" 2>&1 &
	until [ -s "$directory/said" ]; do
		sleep 0.005
	done
	read -r backend <"$directory/said"
	moment=$((RANDOM % took))
	sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
}

kill_backend() {
	local before
	before=$(crashes)
	kill -9 "$backend"
	while [ "$(crashes)" = "$before" ]; do
		sleep 0.02
	done
	up
	wait || :
}

kill_server() {
	kill -9 "$(head -n 1 "$directory/data/postmaster.pid")"
	wait || :
	# until the last process has noticed
	until as_server pg_ctl -D "$directory/data" -l "$directory/data/log" -w start >/dev/null 2>&1; do
		sleep 0.05
	done
	up
}

# Milliseconds that SQL takes.
duration() {
	local start=${EPOCHREALTIME/./}
	sql -c 'SET client_min_messages = error' "$@" >/dev/null
	echo $(((${EPOCHREALTIME/./} - start) / 1000))
}

write() {
	sql -c "CALL churn($((RANDOM % 1000)) / 1000.0, $1)" >/dev/null 2>&1
}

# What a reader must see at any time: t.  The snapshot is that of the last refresh that succeeded.
consistent="SELECT o.customers = (SELECT count(*) FROM shop.customers) AND o.customers = (SELECT sum(customers) FROM shop.segments)
	AND o.revenue = (SELECT sum(revenue) FROM shop.customers) AND o.revenue = (SELECT sum(revenue) FROM shop.segments)
	AND o.as_of = (SELECT as_of FROM shop.refresh_log WHERE finished_at IS NOT NULL AND error IS NULL ORDER BY refresh_id DESC LIMIT 1)
	FROM shop.overview o"
refresh="CALL rfm.refresh('shop')"
running="SELECT count(*) FROM shop.refresh_log WHERE finished_at IS NULL AND error IS NULL"

# After a refresh was stopped: DESCRIPTION.  Its row in the log, if it came that far, is closed by the next one.
check() {
	local open dead
	open=$(sql -c "$running")
	dead=$(sql -c "SELECT count(*) FROM shop.refresh_log WHERE error = 'ended with its session'")
	is "$1: readers see one snapshot, that of the last refresh that succeeded" "$(sql -c "$consistent")" t
	is "$1: no change is lost" "$(sql -f "$include/differences.sql")" ''
	write 10
	sql -c 'SET client_min_messages = error' -c "$refresh"
	is "$1: the next refresh is right, and the log says what became of the other" \
		"$(sql -c "$consistent" -c "$running" -c "SELECT count(*) - $dead FROM shop.refresh_log WHERE error = 'ended with its session'" | tr '\n' ' ')" "t 0 $open "
	stopped=$((stopped + open))
}

write 50
sql -c "$refresh"
write 50
took=$(duration -c "$refresh")
stopped=0
for ((i = 1; i <= backends + servers; i++)); do
	write 20
	write 60 &
	full=$([ $((RANDOM % 3)) = 0 ] && echo true || echo false)
	start "$took" -c "CALL rfm.refresh('shop', full_rebuild => $full)"
	if [ $i -le $backends ]; then
		kill_backend
		check "backend killed after $moment ms"
	else
		kill_server
		check "server killed after $moment ms"
	fi
done
is 'some of them died in the middle' "$((stopped > 0))" 1
echo "# a refresh takes $took ms; $stopped of $((backends + servers)) died in the middle"

stopped=0
for ((i = 1; i <= cancels; i++)); do
	write 20
	if [ $((i % 2)) = 0 ]; then
		start "$took" -c "$refresh"
		sql -c "SELECT pg_cancel_backend($backend)" >/dev/null
		sleep 0.05
		sql -c "SELECT pg_terminate_backend($backend, 5000)" >/dev/null 2>&1
		how="cancelled after $moment ms"
	else
		moment=$((1 + RANDOM % took))
		PGOPTIONS="-c statement_timeout=$moment -c client_min_messages=error" sql -c "$refresh" >/dev/null 2>&1 || :
		how="timed out after $moment ms"
	fi
	wait || :
	check "$how"
done
is 'what was cancelled says so' "$(sql -c "SELECT count(*) > 0 FROM shop.refresh_log WHERE error LIKE 'canceling statement due to %'")" t
is 'the history has no gap and no overlap' "$(sql -f "$include/history.sql")" ''
is 'some refreshes were incremental' "$(sql -c "SELECT count(*) FILTER (WHERE mode = 'incremental') > 0 FROM shop.refresh_log")" t

# ---------- a model is made, or dropped ----------

create="SELECT rfm.create_model('other', 'lines', 'accounts', 'goods', 'visits')"
track="SELECT rfm.track_changes('other', t::regclass, c) FROM (VALUES ('items', 'user_id'), ('users', 'id')) x(t, c)"
drop="SELECT rfm.drop_model('other')"
left="SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'other'), (SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text = 'other'),
	(SELECT count(*) FROM pg_trigger WHERE tgfoid::regproc::text LIKE 'other.%'), (SELECT count(*) FROM pg_depend d
	WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid NOT IN (SELECT oid FROM pg_namespace))"
took=$(duration -c "$create")
drop_took=$(duration -c "$drop")
for ((i = 1; i <= models; i++)); do
	start "$took" -c "BEGIN" -c "$create" -c "$track"
	kill_backend
	is "backend killed $moment ms into create_model: nothing is left" "$(sql -c "$left")" '0|0|0|0'
	sql -c 'SET client_min_messages = error' -c "$create" -c "$track" >/dev/null
	before=$(sql -c "$left")
	start "$drop_took" -c "$drop"
	kill_backend
	after=$(sql -c "$left")
	if [ "$after" = "$before" ]; then
		is "backend killed $moment ms into drop_model: the model is whole" "$(sql -c 'SET client_min_messages = error' -c "CALL rfm.refresh('other')" -c "$drop" -c "$left")" '*0|0|0|0'
	else
		is "backend killed $moment ms into drop_model: it is gone" "$after" '0|0|0|0'
	fi
done

done_testing
