#!/usr/bin/env bash
# After any sequence of changes an incremental refresh gives what a full rebuild gives, row for row.
# Several sessions insert, change, cancel, void and delete at random while refreshes run; in the end
# both are computed in one transaction and compared.  SEED=n repeats a run.
set -euo pipefail

export PGDATABASE=incremental_test
seed=${SEED:-$((RANDOM % 10000))}
writers=3 steps=150 rounds=3
echo "# SEED=$seed"

include=$RFM_SOURCE_DIR/test/shell/include
. "$include/tap.sh"
trap end_jobs EXIT

createdb -T rfm_template incremental_test
sql -f "$include/churn.sql"

for setup in "lookback => NULL" "lookback => '1 year', time_zone => 'America/New_York', recency_fractions => '{0.2,0.4,0.6,0.8}'"; do
	sql -c "SET client_min_messages = error" -c "SELECT make_shop(\$\$$setup\$\$)" -c "CALL rfm.refresh('shop')" >/dev/null
	for ((round = 1; round <= rounds; round++)); do
		pids=()
		for ((writer = 0; writer < writers; writer++)); do
			sql -c "CALL churn((($seed + $round * 17 + $writer) % 1000) / 1000.0, $steps)" &
			pids+=($!)
		done
		while kill -0 "${pids[@]}" 2>/dev/null; do
			PGOPTIONS='-c client_min_messages=warning' sql -c "CALL rfm.refresh('shop')"
		done
		wait "${pids[@]}"
		# the second of these finds nothing more to do
		PGOPTIONS='-c client_min_messages=warning' sql -c "CALL rfm.refresh('shop')" -c "CALL rfm.refresh('shop')"
		is "$setup, round $round: an incremental refresh gives what a full rebuild gives" "$(sql -f "$include/differences.sql")" ''
		is "$setup, round $round: the history has no gap, no overlap, and ends in the present" "$(sql -f "$include/history.sql")" ''
	done
	modes=$(sql -c "SELECT string_agg(format('%s %s', n, mode), ', ' ORDER BY mode) FROM (SELECT mode, count(*) n FROM shop.refresh_log WHERE error IS NULL GROUP BY mode) m")
	echo "# $setup: $modes"
	is "$setup: some refreshes were incremental" "$(sql -c "SELECT count(*) FILTER (WHERE mode = 'incremental') >= $rounds FROM shop.refresh_log")" t
	is "$setup: no refresh failed" "$(sql -c "SELECT count(*) FROM shop.refresh_log WHERE error IS NOT NULL OR finished_at IS NULL")" 0
	sql -c "SET client_min_messages = error" -c "SELECT rfm.drop_model('shop')" >/dev/null
done

dropdb --force incremental_test
done_testing
