#!/usr/bin/env bash
# Corrupt bytes, extreme arguments and failing allocations (test/fuzz): no crash, no hang, no read beyond
# a datum, and every error is one that a user can have deserved. A slice, the same each time; make fuzz
# goes on from a seed, $FUZZ_SEED, for $FUZZ_SECONDS.
#
# What reaches the functions in real life: text and binary input anything at all, from anyone; serialised
# states only what parallel workers of the same server wrote.
#
# shellcheck disable=SC2154
set -euo pipefail

export PGDATABASE=fuzz_test PGOPTIONS='-c client_min_messages=error -c statement_timeout=30s'

. "$RFM_SOURCE_DIR/test/shell/include/tap.sh"

seconds=${FUZZ_SECONDS:-0}
seed=${FUZZ_SEED:-$((seconds == 0 ? 1 : RANDOM))}
# cases in a statement, which takes less than five seconds and has thirty where the machine is busy
states_batch=2000 inputs_batch=2000 calls_batch=1500 allocations=60
[ "$seconds" = 0 ] || allocations=3000

# The modules stand where the server can read them: beside its socket.
modules=$(mktemp -d "$PGHOST/fuzz.XXXXXX")
trap 'rm -rf "$modules"' EXIT
chmod 755 "$modules"
cp "$RFM_SOURCE_DIR"/test/fuzz/{Makefile,*.c} "$modules"
make -s -C "$modules" PG_CONFIG="$PG_CONFIG" PRODUCT="$PGHOST/build" fuzz.so failing_allocations.so >"$modules/log" 2>&1 || {
	cat "$modules/log"
	exit 1
}
chmod 755 "$modules"/*.so

createdb -T rfm_template fuzz_test
sql -o /dev/null -v module="$modules/fuzz.so" -f "$RFM_SOURCE_DIR/test/fuzz/fuzz.sql"
createdb -T fuzz_test fuzz_starved
sql -o /dev/null -v starved="$modules/failing_allocations.so" -d fuzz_starved -f "$RFM_SOURCE_DIR/test/fuzz/starve.sql"

cases=0 accepted=0 refused=0

# Runs one statement of cases and adds them up: DESCRIPTION CASES CALL
run_cases() {
	local result
	result=$(sql -F ' ' -c "SELECT * FROM $3" 2>&1) || :
	# of the long run only what failed is a test
	if [ "$seconds" = 0 ] || [[ $result != "$2 "* ]]; then
		is "$1" "$result" "$2 *"
	fi
	[[ $result == "$2 "* ]] || return 0
	# shellcheck disable=SC2086
	set -- $result
	cases=$((cases + $1)) accepted=$((accepted + $2)) refused=$((refused + $3))
}

# A round over everything: from which case on.
run_round() {
	local first=$1 name
	while IFS= read -r name; do
		run_cases "states of $name" "$states_batch" "fuzz.states('$name', (SELECT states FROM fuzz.aggregates WHERE aggregate = '$name'::regprocedure),
			(SELECT query FROM fuzz.aggregates WHERE aggregate = '$name'::regprocedure), $((first * states_batch)), $states_batch, $seed)"
	done <<<"$aggregates"
	for name in $types; do
		run_cases "input of $name" "$inputs_batch" "fuzz.type('$name', (SELECT array_agg(convert_to(t, 'UTF8')) FROM fuzz.types, unnest(texts) t WHERE type = '$name'::regtype),
			(SELECT query FROM fuzz.types WHERE type = '$name'::regtype), $((first * inputs_batch)), $inputs_batch, $seed)"
	done
	run_cases "calls of functions" "$calls_batch" "fuzz.calls($((first * calls_batch)), $calls_batch, $seed)"
}

aggregates=$(sql -c 'SELECT aggregate FROM fuzz.aggregates ORDER BY 1')
types=$(sql -c 'SELECT type FROM fuzz.types ORDER BY 1')

# ---------- found once: each of these was a crash or a read beyond the datum ----------

# A state of an aggregate with its bytes from AT on replaced: AGGREGATE NUMBER AT BYTES
corrupt() {
	sql -c "SELECT fuzz.state(aggregate, overlay(states[$2] PLACING '\\x$4' FROM $3 + 1), query) FROM fuzz.aggregates
		WHERE aggregate::oid::regproc::text = 'rfm.$1'" 2>&1 || :
}

# The same cut off behind so many bytes: AGGREGATE NUMBER LENGTH
truncated() {
	sql -c "SELECT fuzz.state(aggregate, substr(states[$2], 1, $3), query) FROM fuzz.aggregates
		WHERE aggregate::oid::regproc::text = 'rfm.$1'" 2>&1 || :
}

invalid='ERROR:  invalid value for type rfm.*'
is "margin_rate: a state cut short" "$(truncated margin_rate 1 8)" "$invalid"
is "cohorts: half a cell" "$(truncated cohorts 1 50)" "$invalid"
is "visit_boundaries: a state cut short" "$(truncated visit_boundaries 1 100)" "$invalid"
is "visit_boundaries: an id outside the heap" "$(corrupt visit_boundaries 2 28 ffffff7f)" "$invalid"
is "visits_all: too many sessions" "$(corrupt visits_all 1 8 ffffffff)" "$invalid"
is "percentile_cutoffs: fractions of many dimensions" "$(corrupt percentile_cutoffs 2 20 ffffff7f)" "$invalid"
is "profile_all: a kind of ids that is none" "$(corrupt profile_all 3 16 ff)" "$invalid"
# the id of the first customer stands behind 84 bytes of headers and the bytes of the ids
at=$(sql -c "SELECT 84 + get_byte(states[3], 68) + 256 * get_byte(states[3], 69) FROM fuzz.aggregates WHERE aggregate::oid::regproc::text = 'rfm.profile_all'")
is "profile_all: an id outside the heap" "$(corrupt profile_all 3 "$at" ffffff7f)" "$invalid"
is "mean_interval: so many members that a recursion never ended" \
	"$(sql -c "SELECT high - 10 < 4 AND high - 10 > 3.9 FROM rfm.mean_interval(9007199254740992, 10, 4 * 9007199254740992)" 2>&1)" t

is "count_visits: a query that counts something else" "$(sql -c "SELECT rfm.count_visits(rfm.visit_boundaries(1, now(), now()), 'SELECT 1')" 2>&1 || :)" 'ERROR:  "SELECT 1" does not *'
is "rows_as_owner: no query" "$(sql -c "SELECT * FROM rfm.rows_as_owner('a', NULL) u(a int)" 2>&1 || :)" 'ERROR:  the query and *'
is "rows_as_owner: no array of arguments" "$(sql -c "SELECT * FROM rfm.rows_as_owner('a', 'SELECT 1', VARIADIC NULL) u(a int)" 2>&1 || :)" 'ERROR:  the query and *'

# ---------- cases ----------

if [ "$seconds" = 0 ]; then
	run_round 0
else
	echo "# FUZZ_SEED=$seed"
	failed_before=$tests round=0 until=$(($(date +%s) + seconds))
	while [ "$(date +%s)" -lt "$until" ] && [ "$tests" = "$failed_before" ]; do
		run_round $round
		round=$((round + 1))
	done
	is "$round rounds" "$cases" "*[1-9]*"
fi
echo "# $cases cases of seed $seed: $accepted accepted, $refused refused"

# ---------- out of memory ----------

failures=$(sql -d fuzz_starved -v most="$allocations" -F ' ' <<'SQL' 2>&1 || :
SET statement_timeout = 0;
SELECT count(*), min(failures), sum(failures) FROM (SELECT fuzz.starve(query, :most) AS failures FROM fuzz.starved ORDER BY name) f;
SQL
)
is "a clean error where memory is out, and the right answer after it" "$failures" "$(sql -d fuzz_starved -c 'SELECT count(*) FROM fuzz.starved') [1-9]*"
echo "# out of memory: statements, fewest and all allocations that failed: $failures"

done_testing
