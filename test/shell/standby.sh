#!/usr/bin/env bash
# A hot standby: it answers every view of every storage as the primary does, refuses a refresh and says why, follows a
# refresh on the primary, which spares its readers their snapshot, and refreshes once it is promoted.
#
# shellcheck disable=SC2030,SC2031,SC2154
set -euo pipefail

source=$RFM_SOURCE_DIR
include=$source/test/shell/include
tests_server=$PGHOST
. "$source/test/private_server.sh"
. "$include/tap.sh"

# The directory of the standby is inside that of the primary, and has a socket of its own.
finish() {
	end_jobs 2>/dev/null
	[ ! -f "$directory/standby/data/postmaster.pid" ] || as_server pg_ctl -D "$directory/standby/data" -m immediate stop >/dev/null || :
	remove_private_directory
}
trap finish EXIT
create_private_directory standby
ln -s "$tests_server/build" "$tests_server/installed" "$directory"
start_server "wal_level = replica" "autovacuum = off" "jit = off"
export PGDATABASE=standby_test PGOPTIONS='-c client_min_messages=error'
primary=$PGHOST standby=$directory/standby

on_standby() {
	PGHOST=$standby sql "$@"
}

# Waits until the standby has replayed what the primary has written.
caught_up() {
	local written
	written=$(sql -c 'SELECT pg_current_wal_flush_lsn()')
	PGHOST=$standby until_true "SELECT pg_last_wal_replay_lsn() >= '$written'"
}

createdb standby_test
sql -c "CREATE EXTENSION rfm_segments" -f "$include/churn.sql" >/dev/null
sql >/dev/null <<'SQL'
SELECT setseed(0.5), add_lines(1000);
INSERT INTO users SELECT i, 'Search', now() - interval '1 year', 'A' FROM generate_series(1, 400) i;
INSERT INTO products SELECT i, chr(65 + i % 5), 'brand', 'name', i FROM generate_series(1, 30) i;
INSERT INTO events SELECT i % 400, i % 1000, now() - i * interval '1 hour' FROM generate_series(1, 1000) i;
SELECT make_shop('as_of => ' || quote_literal(localtimestamp));
CALL rfm.refresh('shop');
SELECT rfm.create_model(s, 'lines', 'accounts', 'goods', 'visits', storage => s, dimensions => '{country}', as_of => localtimestamp)
FROM unnest('{materialized,view}'::text[]) s;
SQL
models="shop materialized view"

# Every view and function of a model, a hash for each; the refreshing goes on while nobody asks.
sql >/dev/null <<'SQL'
CREATE FUNCTION answers(model text) RETURNS TABLE (name text, rows bigint, hash text) LANGUAGE plpgsql AS $$
BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(model) AND relkind IN ('r', 'v', 'm') ORDER BY relname LOOP
		-- the time of the query, in a model that is live
		RETURN QUERY EXECUTE format('SELECT $1, count(*), md5(string_agg(line, '','' ORDER BY line COLLATE "C"))'
			' FROM (SELECT (to_jsonb(t) %s)::text AS line FROM %I.%I t) x', CASE WHEN model = 'view' THEN '- ''refreshed_at''' ELSE '' END
			|| CASE WHEN name IN ('profiles', 'profiles_source', 'replaced_profiles') THEN '- ''ledger''' ELSE '' END, model, name) USING name;
	END LOOP;
END $$;
CREATE FUNCTION asked(model text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	q text;
BEGIN
	FOREACH q IN ARRAY ARRAY[
		format('SELECT * FROM %I.customers_at((SELECT as_of AT TIME ZONE ''UTC'' FROM %1$I.overview) - interval ''90 days'') t', model),
		format('SELECT * FROM %I.segment_migration((SELECT as_of AT TIME ZONE ''UTC'' FROM %1$I.overview) - interval ''90 days'','
			' (SELECT as_of AT TIME ZONE ''UTC'' FROM %1$I.overview)) t', model),
		format('SELECT e.* FROM (SELECT customer_id FROM %I.customers ORDER BY 1 LIMIT 5) c, %1$I.explain_customer(c.customer_id) e', model),
		format('SELECT * FROM %I.gateway_lift(''A'', ''B'') t', model),
		format('SELECT severity, what_to_do FROM rfm.check_model(%L) t', model), format('SELECT * FROM rfm.check_rules(%L) t', model)] LOOP
		RETURN QUERY EXECUTE format('SELECT %L || md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C"), ''''))'
			' FROM (%s) t', left(q, 40), q);
	END LOOP;
END $$;
SQL

mkdir "$standby"
[ "$(id -u)" != 0 ] || chown postgres "$standby"
quietly as_server env PGHOST="$primary" PGUSER=postgres "$(command -v pg_basebackup)" -D "$standby/data" -R -X stream -c fast --no-sync
as_server tee -a "$standby/data/postgresql.conf" >/dev/null <<-SETTINGS
	unix_socket_directories = '$standby'
	max_standby_streaming_delay = -1
	hot_standby_feedback = on
	wal_receiver_status_interval = 1s
SETTINGS
quietly as_server pg_ctl -D "$standby/data" -l "$standby/log" -w start
is 'the standby is one' "$(on_standby -c 'SELECT pg_is_in_recovery()')" t

# ---------- it answers as the primary does ----------

# Compares views and functions of all models: DESCRIPTION.
compare() {
	local model
	caught_up
	for model in $models; do
		is "$1: $model answers with the same rows" "$(on_standby -c "SELECT * FROM answers('$model')" 2>&1)" "$(sql -c "SELECT * FROM answers('$model')")"
		is "$1: the functions of $model, too" "$(on_standby -c "SELECT * FROM asked('$model')" 2>&1)" "$(sql -c "SELECT * FROM asked('$model')")"
	done
}

compare 'a copy'
is 'there are rows' "$(on_standby -c "SELECT count(*) > 20 AND sum(rows) > 2000 FROM answers('shop')")" t
is 'no relation of a model is unlogged or temporary' "$(sql -c "SELECT relname FROM pg_class WHERE relpersistence <> 'p' AND relkind IN ('r', 'm', 'i', 'S')")" ''

for model in $models; do
	is "$model: a refresh on the standby says what to do" "$(on_standby -c "CALL rfm.refresh('$model')" 2>&1)" \
		"ERROR:  model \"$model\" cannot be refreshed on a standby server"$'\n''HINT:  Refresh it on the primary server: the standby follows.'
done
is 'other calls that write are refused by the server' "$(on_standby -c "SELECT rfm.create_model('other', 'lines')" 2>&1)" 'ERROR:  cannot execute * in a read-only transaction*'
is 'and so are changes of settings' "$(on_standby -c "SELECT rfm.configure_model('shop', lookback => '1 year')" 2>&1)" 'ERROR:  cannot execute * in a read-only transaction*'

# ---------- a refresh on the primary while somebody reads on the standby ----------

: >"$directory/read"
exec {reader}> >(PGHOST=$standby exec psql -XqAt >"$directory/read" 2>&1)
reader_pid=$!
read_all="SELECT md5(string_agg(a::text, '' ORDER BY m, name)) FROM unnest('{shop,materialized}'::text[]) m, answers(m) a;"
echo "BEGIN ISOLATION LEVEL REPEATABLE READ; $read_all SELECT 'read';" >&"$reader"
until grep -q '^read' "$directory/read"; do
	sleep 0.02
done
until_true "SELECT backend_xmin IS NOT NULL FROM pg_stat_replication"
sql -c "CALL churn(0.1, 50)" \
	-c "CALL rfm.refresh('shop')" -c "CALL churn(0.2, 50)" -c "CALL rfm.refresh('shop', full_rebuild => true)" -c "CALL rfm.refresh('materialized')" >/dev/null
caught_up
echo "$read_all SELECT 'again';" >&"$reader"
until grep -q 'again\|ERROR' "$directory/read"; do
	sleep 0.02
done
is 'a reader on the standby sees his snapshot while the primary refreshes' "$(sed -n 3p "$directory/read")" "$(sed -n 1p "$directory/read")"
is 'others see what is new' "$([ "$(on_standby -c "$read_all")" != "$(head -n 1 "$directory/read")" ] && echo new)" new
echo '\q' >&"$reader"
exec {reader}>&-
wait "$reader_pid" || :
sql -c "CALL rfm.refresh('view')"
compare 'after refreshes'

# ---------- promotion ----------

sql -c "CALL churn(0.3, 50)"
caught_up
as_server pg_ctl -D "$directory/data" -m immediate -w stop >/dev/null
quietly as_server pg_ctl -D "$standby/data" -w promote
export PGHOST=$standby
is 'promoted, the changes that were recorded are not lost' "$(sql -f "$include/differences.sql" 2>&1)" ''
for model in $models; do
	is "promoted, $model is refreshed" "$(sql -c "CALL churn(0.4, 20)" -c "CALL rfm.refresh('$model')" \
		-c "SELECT count(*) = (SELECT customers FROM $model.overview) FROM $model.customers" 2>&1)" t
done
is 'incrementally where it is tracked' "$(sql -c 'UPDATE items SET price = price + 1 WHERE user_id = 1' -c "CALL rfm.refresh('shop')" -c "SELECT mode FROM shop.refresh_log ORDER BY refresh_id DESC LIMIT 1")" incremental
is 'the log holds no refresh that runs' "$(sql -c "SELECT count(*) FROM shop.refresh_log WHERE finished_at IS NULL AND error IS NULL")" 0

done_testing
