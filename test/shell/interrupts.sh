#!/usr/bin/env bash
# Whatever takes long can be cancelled and terminated at any moment. Five seconds are allowed, to tell a
# hang from a busy machine; the longest that any took is printed. $INTERRUPTS_ROUNDS repeats it, at moments
# all over the time that each statement takes.
#
# shellcheck disable=SC2154
set -euo pipefail

directory=$(mktemp -d)
export PGDATABASE=interrupts_test PGOPTIONS='-c client_min_messages=error'

. "$RFM_SOURCE_DIR/test/shell/include/tap.sh"

finish() {
	end_jobs
	rm -rf "$directory"
}
trap finish EXIT

rounds=${INTERRUPTS_ROUNDS:-0}
allowed=5000 # ms

# Rows enough that nothing ends before it is interrupted; in rounds, few enough that it would end.
copies=1000
[ "$rounds" = 0 ] || copies=${INTERRUPTS_COPIES:-10}

createdb -T rfm_template "$PGDATABASE"
sql -o /dev/null <<SQL
CREATE UNLOGGED TABLE numbers AS SELECT i FROM generate_series(1, 200000) i;
CREATE TABLE order_lines AS SELECT i % 70000 AS customer_id, i AS order_id, '2024-01-01'::timestamptz + i * interval '3 minutes' AS ordered_at, i % 100 + 0.5 AS amount
	FROM generate_series(1, CASE WHEN $rounds = 0 THEN 300000 ELSE 600000 END) i;
CREATE TABLE accounts AS SELECT i AS customer_id, 'c' || i % 9 AS channel FROM generate_series(0, 69999) i;
VACUUM ANALYZE;
CREATE VIEW rows AS SELECT i + r * 200000 AS i FROM numbers, generate_series(0, $copies - 1) r;
SELECT rfm.create_model('shop', 'order_lines', 'accounts');
SQL

# What is interrupted: names, and for each a statement. (No array of rows as text: that loop is PostgreSQL's own and cannot be.)
declare -A statement=(
	[profile_all]="SELECT rfm.profile_all(i % 3000000, i, '2024-01-01'::timestamptz + i * interval '1 s', i) FROM rows"
	[profile_all_text]="SELECT rfm.profile_all('c' || i % 300000, i::text, '2024-01-01'::timestamptz, i, 'p'::text, NULL, NULL, 'UTC', 50000000, 0, 1, NULL) FROM rows"
	[profile]="SELECT length(rfm.profile((i * 7919::bigint) % 5000000, '2024-01-01'::timestamptz, i % 1000)::text) FROM rows"
	[percentile_cutoffs]="SELECT rfm.percentile_cutoffs(i * 1e-9) FROM rows"
	[percentile_cutoffs_float8]="SELECT rfm.percentile_cutoffs(sqrt(i)) FROM rows"
	[percent_sums]="SELECT rfm.percent_sums((i * 7919::bigint % 1000003)::numeric) FROM rows"
	[monetary_bucket]="SELECT count(b) FROM (SELECT rfm.monetary_bucket(i) OVER () AS b FROM rows) b"
	[visits_all]="SELECT rfm.visits_all('c' || i % 300000, 's' || i, '2025-01-01'::timestamptz, b, NULL, 'UTC') FROM (SELECT rfm.visit_boundaries('c' || i, '2024-01-01', '2024-01-02') AS b FROM numbers) b, rows"
	[tally]="SELECT cardinality(rfm.tally((i % 9)::smallint, 1, 1, 1, i, 'v' || i)) FROM rows"
	[gateway]="SELECT cardinality(rfm.gateway('p' || i % 1000000, 'vip', 1, 1, i % 900, i % 2 = 0, 1)) FROM rows"
	[kaplan_meier]="SELECT length(rfm.kaplan_meier((i * 7919::bigint % 10000000)::int, i % 2 = 0)::text) FROM rows"
	[roi_simulate]="SELECT rfm.roi_simulate(1000000, 0.1, 0.3, 80, response_n => 900, conversion_n => 500, runs => 10000000) FROM generate_series(1, $copies / 10)"
	[unpack]="SELECT sum(revenue) FROM (SELECT rfm.profile_all(i, i % 3, '2024-01-01'::timestamptz, i) AS p FROM numbers) p, generate_series(1, $copies) r, rfm.unpack(p, CASE r % 2 WHEN 0 THEN 'UTC' ELSE 'Europe/Berlin' END) u(customer_id int, revenue numeric, first_order_date date)"
	[ledger]="SELECT rfm.cohorts(date '2024-01-01', l) FROM (SELECT rfm.ledger('2000-01-01'::timestamptz + i % 3000000 * interval '31 days', 1, 1, NULL, NULL, 'UTC') AS l FROM rows) l"
	[cell_sums]="SELECT count(*) FROM (SELECT rfm.profile_all(i, i, '2024-01-01'::timestamptz, i) AS p FROM numbers) p, generate_series(1, $copies) r, rfm.cell_sums(p, date '2025-01-01' + r, 'Europe/Berlin', NULL, '{0.2,0.5}', NULL, '{0.5}', NULL, '{0.1,0.9}')"
	[refresh]="DO \$\$ BEGIN FOR i IN 1 .. $copies LOOP CALL rfm.refresh('shop', true); END LOOP; END \$\$"
)
names=$(printf '%s\n' "${!statement[@]}" | sort)
[ -z "${INTERRUPTS_ONLY:-}" ] || names=$INTERRUPTS_ONLY

victim="pg_stat_activity WHERE query LIKE '/* victim */%' AND state = 'active' AND datname = current_database() AND backend_type = 'client backend'"
worst=0 worst_name=nothing interrupted=0 ended=0

now() {
	echo $(($(date +%s%N) / 1000000))
}

# Starts a statement; sets $process.
start() {
	psql -Xq -o /dev/null -c "/* victim */ ${statement[$1]}" >"$directory/victim" 2>&1 &
	process=$!
}

# Starts a statement and some milliseconds later sends it a signal; sets $took and $said: NAME FUNCTION MOMENT
interrupt() {
	local from
	start "$1"
	until [ "$(sql -c "SELECT count(*) FROM $victim")" = 1 ] ||
		! kill -0 "$process" 2>/dev/null; do
		:
	done
	sleep "$(printf '%d.%03d' $(($3 / 1000)) $(($3 % 1000)))"
	from=$(now)
	sql -o /dev/null -c "SELECT $2(pid) FROM $victim"
	while kill -0 "$process" 2>/dev/null && [ $(($(now) - from)) -lt $((4 * allowed)) ]; do
		sleep 0.01
	done
	took=$(($(now) - from))
	kill "$process" 2>/dev/null || :
	wait "$process" || :
	said=$(cat "$directory/victim")
}

# The same as a test.
interrupt_in_time() {
	local description="$1: $2 after $3 ms" how=in\ time
	interrupt "$@"
	case $said in
		*'canceling statement due to user request'* | *'terminating connection due to administrator command'*) interrupted=$((interrupted + 1)) ;;
		'') ended=$((ended + 1)) how='in time, when it had ended' ;;
		*) how=$said ;;
	esac
	[ "$took" -le "$allowed" ] || how="$took ms"
	[ "$took" -le "$worst" ] || worst=$took worst_name=$description
	if [ "$rounds" = 0 ]; then
		is "$description" "$how" 'in time'
	elif [[ $how != in\ time* ]]; then
		is "$description" "$how" 'in time*'
	fi
}

signals=(pg_cancel_backend pg_terminate_backend)
if [ "$rounds" = 0 ]; then
	i=0
	for name in $names; do
		interrupt_in_time "$name" "${signals[i++ % 2]}" $((200 + RANDOM % 400))
	done
else
	for name in $names; do
		from=$(now)
		start "$name"
		wait "$process" || cat "$directory/victim"
		took_all=$(($(now) - from))
		echo "# $name: $took_all ms"
		for ((i = 0; i < rounds; i++)); do
			interrupt_in_time "$name" "${signals[i % 2]}" $((RANDOM * took_all / 32768))
		done
	done
	is "statements were interrupted" $((interrupted > 0)) 1
fi
is "the model is as it was" "$(sql -c "SELECT count(*) FROM shop.refresh_log WHERE NOT error IS NULL" 2>&1; sql -c "CALL rfm.refresh('shop')" -c "SELECT customers FROM shop.overview" 2>&1)" '*70000'
echo "# $interrupted interrupted, $ended ended before; the longest took $worst ms: $worst_name"
done_testing
