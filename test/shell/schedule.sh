#!/usr/bin/env bash
# schedule and unschedule: pg_cron really refreshes, in two servers of its own, through connections and in background
# workers; and what is said where there is no pg_cron. A scheduler of someone else's refreshes materialized views.
#
# shellcheck disable=SC2030,SC2031,SC2086,SC2154
set -euo pipefail

source=$RFM_SOURCE_DIR
. "$source/test/private_server.sh"
. "$source/test/shell/include/tap.sh"

main=$PGHOST
servers=()

# Ends the servers that were started.
finish() {
	local server
	for server in "${servers[@]}"; do
		(directory=$server && remove_private_directory)
	done
	psql -XqAt -h "$main" -U postgres postgres -c 'DROP DATABASE IF EXISTS schedule_test' -c 'DROP ROLE IF EXISTS schedule_owner' || :
}
trap finish EXIT

# A database with lines of three customers, and a role without superuser rights that may make models.
make_shop() {
	createdb -T template0 "$1"
	sql -d "$1" <<-'SQL'
		SET client_min_messages = error;
		CREATE EXTENSION rfm_segments;
		SELECT 'CREATE ROLE schedule_owner LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'schedule_owner') \gexec
		SELECT format('GRANT CREATE ON DATABASE %I TO schedule_owner', current_database()) \gexec
		CREATE TABLE lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric);
		INSERT INTO lines SELECT i, i, '2024-01-01Z', i FROM generate_series(1, 3) i;
		GRANT SELECT ON lines TO schedule_owner;
	SQL
}

# Everything that everyone reads in a model, but not when it was computed.
answers() {
	sql <<-SQL
		SELECT format('SELECT %L, (to_jsonb(v) - ''refreshed_at'')::text COLLATE "C" FROM %I.%I v ORDER BY 2', c.relname, n.nspname, c.relname)
		FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
		WHERE n.nspname = '$1' AND c.relkind = 'v' AND obj_description(c.oid, 'pg_class') NOT LIKE 'Internal.%' ORDER BY c.relname \gexec
	SQL
}

# ---------- without pg_cron ----------

make_shop schedule_test
export PGDATABASE=schedule_test PGUSER=schedule_owner
# a name that a shell and a crontab might misread
sql -c 'SET client_min_messages = error' -c "SELECT rfm.create_model('It''s 100 \"%\" OK', 'public.lines', as_of => '2024-02-01')" \
	-c "SELECT rfm.create_model('by_others', 'public.lines', as_of => '2024-02-01', storage => 'materialized')"
error=$(sql -v VERBOSITY=verbose -c "SELECT rfm.schedule('It''s 100 \"%\" OK', '5 * * * *')" 2>&1 || :)
is 'without pg_cron: an error' "$error" 'ERROR:  42704: pg_cron is not installed in database "schedule_test"*HINT:*crontab*systemd*'
is 'with the line of a crontab' "$error" $'*:\n'"5 \* \* \* \* psql -X -d 'schedule_test' -c 'CALL rfm.refresh('\\\\''It'\\\\'''\\\\''s 100 \"\\\\%\" OK'\\\\'')'"$'\n*'
systemd=$(sed -n "s/^systemd-run --user --on-calendar='[^']*' //p" <<<"$error")
sql -d schedule_test -U postgres -c "INSERT INTO lines VALUES (4, 4, '2024-01-02Z', 4)"
(eval "$systemd") || :
is 'and of a systemd timer, which refreshes when it runs' "$(sql -c "SELECT customers FROM \"It's 100 \"\"%\"\" OK\".overview")" 4
is 'unschedule says the same' "$(sql -c "SELECT rfm.unschedule('by_others')" 2>&1 || :)" 'ERROR:  pg_cron is not installed in database "schedule_test"*'
is 'a model that is none' "$(sql -c "SELECT rfm.schedule('none', '5 * * * *')" 2>&1 || :)" 'ERROR:  model "none" does not exist*'

# ---------- refreshed by someone else's scheduler ----------

sql -U postgres -c "INSERT INTO lines SELECT i, i, '2024-01-05Z', 7 * i FROM generate_series(5, 40) i"
sql -c BEGIN -c 'REFRESH MATERIALIZED VIEW CONCURRENTLY by_others.profiles' -c 'REFRESH MATERIALIZED VIEW CONCURRENTLY by_others.snapshot' -c COMMIT
theirs=$(answers by_others)
is 'REFRESH MATERIALIZED VIEW CONCURRENTLY of profiles, then snapshot: the new lines are in' "$(sql -c 'SELECT customers FROM by_others.overview')" 40
sql -c "CALL rfm.refresh('by_others')"
is 'and every view is as after CALL refresh' "$theirs" "$(answers by_others)"
is 'which is an answer' "$(wc -l <<<"$theirs" | sed 's/ //g')" '[1-9][0-9][0-9]*'

# ---------- with pg_cron ----------

unset PGDATABASE
export PGUSER=postgres
if [ ! -f "$(postgres_path sharedir)/extension/pg_cron.control" ]; then
	echo "ok $((tests += 1)) # SKIP pg_cron is not installed: Debian's package is postgresql-$(postgres_major)-cron"
	done_testing
	exit
fi

# Starts a server with pg_cron: HOW it runs jobs; sets $directory.
start_cron_server() {
	create_private_directory cron
	servers+=("$directory")
	ln -s "$main/installed" "$directory/installed"
	ln -s "$main/build" "$directory/build"
	start_server "shared_preload_libraries = 'pg_cron'" "cron.database_name = 'shop'" "cron.host = '$directory'" \
		"cron.use_background_workers = $([ "$1" = connections ] && echo off || echo on)"
	make_shop shop
	make_shop elsewhere
}

as_owner() {
	sql -U schedule_owner -d shop "$@"
}

for how in connections workers; do
	start_cron_server $how
	declare "$how=$directory"
	is "$how: pg_cron is there, but not created" "$(sql -d shop -c "SELECT rfm.create_model('m', 'lines', as_of => '2024-02-01')" \
		-c "SELECT rfm.schedule('m', '* * * * *')" 2>&1 || :)" '*ERROR:  pg_cron is not created in database "shop"*HINT:*CREATE EXTENSION pg_cron*'
	sql -d shop -c 'CREATE EXTENSION pg_cron' -c "SELECT rfm.drop_model('m')"
	as_owner -c 'SET client_min_messages = error' -c "SELECT rfm.create_model('It''s \"Mine\"', 'lines', as_of => '2024-02-01')" \
		-c "SELECT rfm.create_model('Views', 'lines', as_of => '2024-02-01', storage => 'materialized')" \
		-c "SELECT rfm.create_model('idle', 'lines', as_of => '2024-02-01')" \
		-c "SELECT rfm.create_model('live', 'lines', as_of => '2024-02-01', storage => 'view')"
	is "$how: who may not use pg_cron" "$(as_owner -c "SELECT rfm.schedule('Views', '* * * * *')" 2>&1 || :)" \
		'ERROR:  role "schedule_owner" may not use pg_cron*GRANT USAGE ON SCHEMA cron TO schedule_owner;*'
	sql -d shop -c 'GRANT USAGE ON SCHEMA cron TO schedule_owner' -c 'REVOKE EXECUTE ON FUNCTION cron.schedule(text, text, text) FROM PUBLIC'
	is "$how: nor call its function" "$(as_owner -c "SELECT rfm.schedule('Views', '* * * * *')" 2>&1 || :)" \
		'ERROR:  role "schedule_owner" may not use pg_cron*GRANT EXECUTE ON FUNCTION cron.schedule(text,text,text) TO schedule_owner;*'
	sql -d shop -c 'GRANT EXECUTE ON FUNCTION cron.schedule(text, text, text) TO PUBLIC'
	is "$how: an expression that is none" "$(as_owner -c "SELECT rfm.schedule('Views', 'every day')" 2>&1 || :)" \
		'ERROR:  invalid schedule: every day*HINT:  Minute, hour, *'
	is "$how: NULL" "$(as_owner -c "SELECT rfm.schedule('Views', NULL)" 2>&1 || :)" 'ERROR:  cron must not be NULL*'
	is "$how: a role that cannot log in" "$(sql -d shop -c 'CREATE ROLE group_owner' -c 'GRANT schedule_owner TO group_owner' -c 'GRANT USAGE ON SCHEMA cron TO group_owner' \
		-c 'SET ROLE group_owner' -c "SELECT rfm.schedule('Views', '* * * * *')" 2>&1 || :)" 'ERROR:  role "group_owner" cannot log in*'
	is "$how: not the owner" "$(sql -d shop -c 'CREATE ROLE stranger' -c 'SET ROLE stranger' -c "SELECT rfm.schedule('Views', '* * * * *')" 2>&1 || :)" \
		'ERROR:  must be owner of model "Views"*'
	is "$how: a live model" "$(as_owner -c "SELECT rfm.schedule('live', '0 0 1 1 *')" 2>&1)" '*NOTICE:  model "live" is always live*'

	# in another database: the command in the hint, as it stands
	sql -U schedule_owner -d elsewhere -c 'SET client_min_messages = error' -c "SELECT rfm.create_model('o''elsewhere', 'lines', as_of => '2024-02-01')"
	error=$(sql -U postgres -d elsewhere -c 'SET ROLE schedule_owner' -c "SELECT rfm.schedule('o''elsewhere', '* * * * *')" 2>&1 || :)
	is "$how: in another database, without the right to see the setting" "$error" 'ERROR:  pg_cron is not installed in database "elsewhere"*crontab*'
	sql -d elsewhere -c 'GRANT pg_read_all_settings TO schedule_owner'
	error=$(sql -U schedule_owner -d elsewhere -c "SELECT rfm.schedule('o''elsewhere', '* * * * *')" 2>&1 || :)
	is "$how: in another database, with it" "$error" 'ERROR:  pg_cron is in database "shop", not in this one*HINT:*schedule_in_database*'
	error=${error#*superuser: }
	sql -d shop -c "${error%%$'\n'*}" >/dev/null

	# once a minute; again: the job is replaced
	as_owner -c "SELECT rfm.schedule('It''s \"Mine\"', '0 5 * * *')" -c "SELECT rfm.schedule('It''s \"Mine\"', '* * * * *')" \
		-c "SELECT rfm.schedule('Views', '* * * * *')" -c "SELECT rfm.schedule('idle', '* * * * *')" -c "SELECT rfm.unschedule('idle')"
	is "$how: one job per model, with a bare CALL" \
		"$(sql -d shop -c "SELECT schedule, command, database, username FROM cron.job ORDER BY command COLLATE \"C\"")" \
		$'* * * * *|CALL rfm.refresh(\'It\'\'s "Mine"\')|shop|schedule_owner\n* * * * *|CALL rfm.refresh(\'Views\')|shop|schedule_owner\n0 0 1 1 *|CALL rfm.refresh(\'live\')|shop|schedule_owner\n* * * * *|CALL rfm.refresh(\'o\'\'elsewhere\')|elsewhere|schedule_owner'
	long=${how:0:1}$(printf '%059d' 0)
	as_owner -c 'SET client_min_messages = error' -c "SELECT rfm.create_model('${long}1', 'lines', as_of => '2024-02-01')" \
		-c "SELECT rfm.create_model('${long}2', 'lines', as_of => '2024-02-01')" -c "SELECT rfm.schedule('${long}1', '0 0 1 1 *')" \
		-c "SELECT rfm.schedule('${long}2', '0 0 1 1 *')" -c "SELECT rfm.unschedule('${long}1')"
	is "$how: long names are told apart" "$(as_owner -c "SELECT command FROM cron.job WHERE command LIKE '%0000%'")" "CALL rfm.refresh('${long}2')"
	as_owner -c "SELECT rfm.unschedule('${long}2')" >/dev/null
	is "$how: what is not scheduled cannot be unscheduled" "$(as_owner -c "SELECT rfm.unschedule('idle')" 2>&1)" '*NOTICE:  no job of yours refreshes model "idle"*'
	for database in shop elsewhere; do
		sql -d $database -c "INSERT INTO lines VALUES (9, 9, '2024-01-03Z', 9)"
	done
done

# Both servers within the same minute.
for how in connections workers; do
	export PGHOST=${!how}
	for ((i = 0; i < 750; i++)); do
		[ "$(sql -d shop -c "SELECT count(DISTINCT command) FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')")" -lt 3 ] || break
		sleep 0.1
	done
	is "$how: the jobs ran" "$(sql -d shop -c "SELECT command, username, status FROM cron.job_run_details GROUP BY command, username, status ORDER BY command COLLATE \"C\"")" \
		$'CALL rfm.refresh(\'It\'\'s "Mine"\')|schedule_owner|succeeded\nCALL rfm.refresh(\'Views\')|schedule_owner|succeeded\nCALL rfm.refresh(\'o\'\'elsewhere\')|schedule_owner|succeeded'
	for model in 'shop "It'"'"'s ""Mine"""' 'shop "Views"' "elsewhere \"o'elsewhere\""; do
		database=${model%% *} model=${model#* }
		is "$how: $model has the new line, and the log says how" "$(sql -d $database -c "SELECT customers FROM $model.overview" \
			-c "SELECT mode, error IS NULL, customers FROM $model.refresh_log WHERE finished_at IS NOT NULL ORDER BY refresh_id OFFSET 1 LIMIT 1")" \
			$'4\n'"[fi]*|t|4"
	done
	is "$how: what was unscheduled did not run" "$(sql -d shop -c 'SELECT count(*) FROM idle.refresh_log')" 1

	# a superuser removes and replaces jobs of everyone
	sql -d shop -c "SELECT rfm.schedule('Views', '1 * * * *')"
	is "$how: a superuser takes over" "$(sql -d shop -c "SELECT username FROM cron.job WHERE command LIKE '%Views%'")" postgres
	is "$how: whose job the owner does not see" "$(as_owner -c "SELECT rfm.unschedule('Views')" 2>&1)" '*NOTICE:  no job of yours*HINT:*superuser*'
	is "$how: and unschedules" "$(sql -d shop -c "SELECT rfm.unschedule('Views')" 2>&1)" ''
	as_owner -c "SELECT rfm.drop_model('It''s \"Mine\"')" -c "SELECT rfm.drop_model('Views')" >/dev/null
	is "$how: drop_model ends the schedule" "$(sql -d shop -c "SELECT command FROM cron.job WHERE database = 'shop'")" "CALL rfm.refresh('live')"
	sql -d shop -c 'REVOKE SELECT ON cron.job FROM PUBLIC'
	is "$how: where it cannot, it says so, and drops the model" "$(as_owner -c "SELECT rfm.drop_model('live')" -c 'SELECT count(*) FROM rfm.models' 2>&1)" \
		'*NOTICE:  the job "rfm_segments: shop.live" of pg_cron may remain: permission denied*HINT:*3'
done

done_testing
