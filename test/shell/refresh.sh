#!/usr/bin/env bash
# CALL refresh: its transactions, its locks, and what is left when it fails, is cancelled or dies.
# Contract views pass a gate, an advisory lock, so that a refresh can be held in the middle.
#
# shellcheck disable=SC2154
set -euo pipefail

directory=$(mktemp -d)
export PGDATABASE=refresh_test

. "$RFM_SOURCE_DIR/test/shell/include/tap.sh"

finish() {
	end_jobs
	rm -rf "$directory"
}
trap finish EXIT

# The gate: a session of its own holds it closed.
close_gate() {
	coproc gate { exec psql -XqAt; }
	echo 'SELECT pg_advisory_lock(1);' >&"${gate[1]}"
	until_true "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
}

open_gate() {
	echo '\q' >&"${gate[1]}"
	wait "$gate_PID" || :
}

# How many are waiting at the gate, and for the lock of a model.  Which process is at the gate: a refresh
# shows its stage as application_name.
process_at_gate="SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
at_gate="SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
for_model="SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT granted AND mode = 'ShareUpdateExclusiveLock'
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"

# Starts a refresh in the background: NAME MODEL [SETTING ...]; what it says is in the file NAME.
start_refresh() {
	local name=$1 model=$2
	shift 2
	PGOPTIONS="-c client_min_messages=warning $*" PGAPPNAME=$name psql -XqAt -v ON_ERROR_STOP=1 -c "CALL rfm.refresh('$model')" >"$directory/$name" 2>&1 &
	process=$!
}

# Waits for a background refresh; sets $ended to its exit status and what it said.
await() {
	local status=0
	wait "$1" || status=$?
	ended="$status $(cat "$directory/$2")"
}

customers() {
	sql -c "SELECT customers FROM $1.overview"
}

# The newest line of the log: how it ended.
logged() {
	sql -c "SELECT concat_ws(' ', CASE WHEN finished_at IS NULL THEN 'running' ELSE 'finished' END, customers, error)
		FROM $1.refresh_log ORDER BY refresh_id DESC LIMIT 1"
}

# One more customer.
add() {
	sql -c "INSERT INTO lines SELECT max(customer_id) + 1, max(customer_id) + 1, '2024-01-01Z', 1 FROM lines"
}

createdb -T template0 refresh_test
sql <<'SQL'
SET client_min_messages = error;
CREATE EXTENSION rfm_segments;
CREATE TABLE lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric);
INSERT INTO lines VALUES (1, 1, '2024-01-01Z', 10), (2, 2, '2024-01-02Z', 20);
CREATE FUNCTION gate() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_lock_shared(1);
	PERFORM pg_advisory_unlock_shared(1);
	RETURN 1;
END $$;
CREATE VIEW gated AS SELECT customer_id, order_id, ordered_at, amount FROM lines, (SELECT gate() OFFSET 0) g;
CREATE TABLE broken (divisor int);
INSERT INTO broken VALUES (1);
CREATE VIEW fragile AS SELECT customer_id, order_id, ordered_at, amount / (SELECT divisor FROM broken) AS amount FROM lines;
SELECT rfm.create_model('stored', 'gated', as_of => '2024-02-01');
SELECT rfm.create_model('materialized', 'gated', as_of => '2024-02-01', storage => 'materialized');
SELECT rfm.create_model('live', 'lines', as_of => '2024-02-01', storage => 'view');
SELECT rfm.create_model('fragile_table', 'fragile', as_of => '2024-02-01');
SELECT rfm.create_model('fragile_materialized', 'fragile', as_of => '2024-02-01', storage => 'materialized');
SELECT rfm.create_model('fragile_view', 'fragile', as_of => '2024-02-01', storage => 'view');
SQL

# ---------- transactions ----------

for model in stored materialized; do
	add
	sql -c "CALL rfm.refresh('$model')"
	is "$model: a refresh outside a transaction" "$(customers $model)" "$(sql -c 'SELECT count(*) FROM lines')"
	is "$model: is logged" "$(logged $model)" "finished $(customers $model)"

	before="$(customers $model) $(sql -c "SELECT count(*) FROM $model.refresh_log")"
	add
	is "$model: inside a transaction it works and rolls back" "$(sql <<-SQL
		BEGIN;
		CALL rfm.refresh('$model');
		SELECT customers FROM $model.overview;
		SELECT error IS NULL AND finished_at IS NOT NULL FROM $model.refresh_log ORDER BY refresh_id DESC LIMIT 1;
		ROLLBACK;
	SQL
	)" "$(sql -c 'SELECT count(*) FROM lines')"$'\nt'
	is "$model: and leaves nothing" "$(customers $model) $(sql -c "SELECT count(*) FROM $model.refresh_log")" "$before"

	sql -c "DO \$\$ BEGIN CALL rfm.refresh('$model'); END \$\$"
	is "$model: in a DO block" "$(customers $model) $(logged $model)" "$(sql -c "SELECT count(*) || ' finished ' || count(*) FROM lines")"
	add
	sql -c "DO \$\$ BEGIN BEGIN CALL rfm.refresh('$model'); EXCEPTION WHEN no_data_found THEN NULL; END; END \$\$"
	is "$model: in a block with an exception handler" "$(customers $model)" "$(sql -c 'SELECT count(*) FROM lines')"
	add
	sql -c "CREATE OR REPLACE FUNCTION f() RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN CALL rfm.refresh('$model'); END \$\$" -c 'SELECT f()'
	is "$model: in a function" "$(customers $model)" "$(sql -c 'SELECT count(*) FROM lines')"
	add
	sql -c "CREATE OR REPLACE PROCEDURE p() LANGUAGE plpgsql AS \$\$ BEGIN CALL rfm.refresh('$model'); END \$\$" -c 'CALL p()'
	is "$model: in a procedure" "$(customers $model)" "$(sql -c 'SELECT count(*) FROM lines')"
	add
	sql -c "SELECT 1; CALL rfm.refresh('$model')" >/dev/null
	is "$model: in a string of several statements" "$(customers $model)" "$(sql -c 'SELECT count(*) FROM lines')"
	add
	PGOPTIONS='-c default_transaction_isolation=serializable' sql -c "CALL rfm.refresh('$model')"
	is "$model: serializable" "$(customers $model)" "$(sql -c 'SELECT count(*) FROM lines')"
	is "$model: settings of the session survive" "$(sql -c 'SET search_path = public' -c 'SET jit = on' \
		-c "CALL rfm.refresh('$model')" -c 'SHOW search_path' -c 'SHOW jit' -c 'SHOW transaction_isolation' -c 'SELECT current_user = session_user')" \
		$'public\non\nread committed\nt'
done
sql -c "CALL rfm.refresh('live')"
is 'live: a refresh is logged' "$(logged live)" finished

# ---------- held in the middle ----------

for model in stored materialized; do
	sql -c "CALL rfm.refresh('$model')"
	old=$(customers $model)
	add
	close_gate
	start_refresh first $model
	first=$process
	until_true "SELECT ($at_gate) = 1"
	is "$model: while it runs the log says so" "$(logged $model)" running
	is "$model: and the process shows its stage" "$(sql -c "SELECT application_name FROM pg_stat_activity JOIN ($process_at_gate) p USING (pid)")" \
		"rfm_segments profiles *of $model"
	is "$model: readers are not blocked and see the old snapshot" \
		"$(PGOPTIONS='-c lock_timeout=200ms' sql -c "SELECT customers FROM $model.overview" -c "SELECT count(*) FROM $model.customers" \
			-c "SELECT sum(customers) FROM $model.segments" 2>&1)" "$old"$'\n'"$old"$'\n'"$old"
	is "$model: nor are writers" "$(PGOPTIONS='-c lock_timeout=200ms' sql -c 'UPDATE lines SET amount = amount WHERE customer_id = 1' 2>&1)" ''
	is "$model: without waiting, a NOTICE names the process" \
		"$(sql -c "CALL rfm.refresh('$model', wait => false)" 2>&1)" \
		"*NOTICE:  model \"$model\" is already being refreshed by process $(sql -c "$process_at_gate")"$'\n'*
	is "$model: other models are not held" "$(sql -c "CALL rfm.refresh('live', wait => false)" 2>&1)" ''
	start_refresh second $model
	second=$process
	until_true "SELECT ($for_model) = 1"
	is "$model: a second refresh waits for the first" "$(sql -c "$at_gate")" 1
	start_refresh third $model '-c statement_timeout=300ms'
	await $process third
	is "$model: a third gives up" "$ended" '1 *canceling statement due to statement timeout*'
	open_gate
	await $first first
	is "$model: the first succeeds" "$ended" '0 '
	await $second second
	is "$model: the second, too" "$ended" '0 '
	is "$model: and the new snapshot is there" "$(customers $model)" "$(sql -c 'SELECT count(*) FROM lines')"
	is "$model: nothing else was logged" "$(sql -c "SELECT count(*) FROM $model.refresh_log WHERE finished_at IS NULL OR error IS NOT NULL")" 0

	# new settings: only what they change is replaced under the readers (a materialised view has to be made again)
	if [ $model = stored ]; then
		close_gate
		sql -c "SET client_min_messages = warning" -c "SELECT rfm.configure_model('$model', as_of => '2024-02-02')" >/dev/null
		start_refresh first $model
		first=$process
		until_true "SELECT ($at_gate) = 1"
		is "$model: readers are not blocked by new settings either" \
			"$(PGOPTIONS='-c lock_timeout=200ms' sql -c "SELECT as_of::date FROM $model.overview" 2>&1)" 2024-02-01
		open_gate
		await $first first
		is "$model: which come into force" "$ended$(sql -c "SELECT as_of::date FROM $model.overview")" '0 2024-02-02'
		sql -c "SET client_min_messages = warning" -c "SELECT rfm.configure_model('$model', as_of => '2024-02-01')" -c "CALL rfm.refresh('$model')" >/dev/null
	fi

	# cancelled, timed out, ended
	for how in cancel timeout terminate; do
		old=$(customers $model)
		add
		close_gate
		start_refresh first $model "$([ $how != timeout ] || echo '-c statement_timeout=1s')"
		first=$process
		until_true "SELECT ($at_gate) = 1"
		case $how in
			timeout) error='canceling statement due to statement timeout' ;;
			cancel) error='canceling statement due to user request' ;;
			terminate) error='terminating connection due to administrator command' ;;
		esac
		[ $how = timeout ] || sql -c "SELECT pg_${how}_backend(pid) FROM ($process_at_gate) p" >/dev/null
		await $first first
		is "$model, $how: it says so" "$ended" "[12] *$error*"
		open_gate
		is "$model, $how: the old snapshot stays" "$(customers $model)" "$old"
		is "$model, $how: the log says why" "$(logged $model)" "$([ $how = terminate ] && echo running || echo "finished $error")"
		sql -c "CALL rfm.refresh('$model')"
		is "$model, $how: the next refresh succeeds" "$(customers $model) $(logged $model)" \
			"$(sql -c "SELECT count(*) || ' finished ' || count(*) FROM lines")"
	done
done

# who waits is told how far it is
close_gate
start_refresh first stored '-c client_min_messages=notice'
first=$process
until_true "SELECT ($at_gate) = 1"
sleep 2.1
open_gate
await $first first
is 'a refresh that takes more than a moment tells how far it is' "$ended" \
	'0 NOTICE:  75 % of model "stored": snapshot'$'\n''NOTICE:  85 % of model "stored": summaries'$'\n''NOTICE:  90 % of model "stored": history'

# ---------- errors ----------

for model in fragile_table fragile_materialized; do
	old=$(sql -c "SELECT to_jsonb(o) FROM $model.overview o")
	add
	sql -c 'UPDATE broken SET divisor = 0'
	is "$model: an error is raised, with the model" "$(sql -c "CALL rfm.refresh('$model')" 2>&1 || :)" \
		"ERROR:  division by zero*refresh of model \"$model\"*"
	is "$model: and logged" "$(logged $model)" 'finished division by zero'
	is "$model: the old snapshot stays" "$(sql -c "SELECT to_jsonb(o) FROM $model.overview o")" "$old"
	log=$(sql -c "SELECT count(*) FROM $model.refresh_log")
	is "$model: inside a transaction it is raised" "$(sql -c BEGIN -c "CALL rfm.refresh('$model')" 2>&1 || :)" '*division by zero*'
	is "$model: and nothing logged" "$(sql -c "SELECT count(*) FROM $model.refresh_log")" "$log"
	is "$model: an exception handler catches it" "$(sql -c "DO \$\$ BEGIN BEGIN CALL rfm.refresh('$model');
		EXCEPTION WHEN division_by_zero THEN RAISE NOTICE 'caught'; END; END \$\$" 2>&1)" '*caught*'
	sql -c 'UPDATE broken SET divisor = 1' -c "CALL rfm.refresh('$model')"
	is "$model: corrected, it succeeds" "$(customers $model)" "$(sql -c 'SELECT count(*) FROM lines')"

	# settings that cannot be used are not only why it fails, they are logged, too
	sql -c "UPDATE $model.settings SET storage = 'tape'" -c "CALL rfm.refresh('$model')" >/dev/null 2>&1 || :
	is "$model: settings that cannot be used are logged" "$(logged $model)" 'finished storage "tape" is not known'
	is "$model: as they stand" "$(sql -c "SELECT settings::json ->> 'storage' FROM $model.refresh_log ORDER BY refresh_id DESC LIMIT 1")" tape
	sql -c "UPDATE $model.settings SET storage = '${model#fragile_}'"

	# half of a refresh: settings that fail after the views were replaced
	sql -c "SET client_min_messages = warning" -c "SELECT rfm.configure_model('$model', as_of => '2023-12-01', recency_fractions => '{0.5}')" -c 'UPDATE broken SET divisor = 0' >/dev/null
	old=$(sql -c "SELECT to_jsonb(o) FROM $model.overview o")
	sql -c "CALL rfm.refresh('$model')" >/dev/null 2>&1 || :
	is "$model: views and data change together or not at all" "$(sql -c "SELECT to_jsonb(o) FROM $model.overview o")" "$old"
	sql -c "SET client_min_messages = warning" -c 'UPDATE broken SET divisor = 1' -c "SELECT rfm.configure_model('$model', as_of => '2024-02-01', unset => '{recency_fractions}')" \
		-c "CALL rfm.refresh('$model')" >/dev/null
done
sql -c 'UPDATE broken SET divisor = 0'
is 'fragile_view: a live model fails when it is read' "$(sql -c 'SELECT customers FROM fragile_view.overview' 2>&1 || :)" '*division by zero*'

dropdb --force refresh_test
done_testing
