#!/usr/bin/env bash
# ALTER EXTENSION rfm_segments UPDATE, from every released version, with models in place: the extension is then what a fresh
# installation makes, models answer as before, also after their next refresh, and are then what this version makes.
#
# test/released/ holds the install scripts of the releases. Each is installed beside this version and run with the library of this
# version, which must have every C function that it names. All of it by a role without superuser rights.
#
# Whoever changes sql/: repeat the change in the update script of the coming version, sql/updates/rfm_segments--OLD--NEW.sql; its
# comment says how. What was forgotten appears here as a difference between '<' updated and '>' fresh. With a release:
# cp rfm_segments--VERSION.sql test/released/, nothing else; this test then begins from there, too.
#
# shellcheck disable=SC2016,SC2154
set -euo pipefail

released=$RFM_SOURCE_DIR/test/released
include=$RFM_SOURCE_DIR/test/shell/include
. "$include/tap.sh"

directory=$(mktemp -d)
export PGDATABASE=postgres

finish() {
	local database
	end_jobs
	for database in $(sql -d postgres -c "SELECT datname FROM pg_database WHERE datname LIKE 'upgrade%'"); do
		dropdb --force "$database"
	done
	sql -d postgres -c 'DROP ROLE IF EXISTS upgrade_owner' -c 'DROP ROLE IF EXISTS upgrade_reader'
	rm -rf "$directory"
}
trap finish EXIT

# Tells what differs: DESCRIPTION FILE FILE
same() {
	is "$1" "$(diff "$2" "$3" | cut -c 1-2000 | head -n 40)" ''
}

describe() {
	sql -f "$include/describe.sql" "$@"
}

answers() {
	sql -f "$include/answers.sql"
}

# What is granted, and what users edit.
kept() {
	sql <<-'SQL'
		SELECT n.nspname, c.relname, c.relkind, c.relowner::regrole, c.relacl,
			(SELECT string_agg(concat(attname, attacl), ',' ORDER BY attname) FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN rfm.models m ON m.model = n.nspname ORDER BY 1, 2;
		SELECT p.oid::regprocedure, p.proowner::regrole, p.proacl FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			JOIN rfm.models m ON m.model = n.nspname WHERE NOT p.prosecdef ORDER BY 1;
		SELECT nspname, nspowner::regrole, nspacl FROM pg_namespace JOIN rfm.models ON model = nspname ORDER BY 1;
		SELECT format('SELECT to_jsonb(t) FROM %I.%I t ORDER BY to_jsonb(t)::text', model, name)
			FROM rfm.models, unnest('{settings,segment_rules,action_texts,campaigns}'::text[]) name ORDER BY 1 \gexec
	SQL
}

refresh_all() {
	sql <<-'SQL'
		SET client_min_messages = error;
		SET ROLE upgrade_owner;
		SELECT format('CALL rfm.refresh(%L)', model) FROM rfm.models ORDER BY 1 \gexec
	SQL
}

make_database() {
	createdb -T template0 -O upgrade_owner "$1"
	export PGDATABASE=$1
	sql -U upgrade_owner -c "CREATE EXTENSION rfm_segments ${2:+VERSION '$2'}"
}

# What a version before that one would have made: other SQL, functions and comments, and no word of who made them.
age_models() {
	sql <<-'SQL'
		SET ROLE upgrade_owner;
		SELECT format('DELETE FROM %I.compiled_views WHERE position < -1', model) FROM rfm.models \gexec
		SELECT format('UPDATE %I.compiled_views SET query = query || '' '' WHERE name = ''segments''', model) FROM rfm.models WHERE model <> 'live' \gexec
		SELECT format('CREATE OR REPLACE VIEW %I.segments AS SELECT * FROM (%s) other', model,
			rtrim(pg_get_viewdef(format('%I.segments', model)::regclass), ';')) FROM rfm.models WHERE model <> 'live' \gexec
		SELECT format('COMMENT ON VIEW %I.overview IS ''of another version''', model) FROM rfm.models \gexec
		SELECT format('COMMENT ON COLUMN %I.customers.r IS ''of another version''', model) FROM rfm.models \gexec
		SELECT replace(pg_get_functiondef(format('%I.customers_at', model)::regproc), 'BEGIN', E'BEGIN\n -- of another version') FROM rfm.models \gexec
		SELECT format('COMMENT ON FUNCTION %I.customers_at IS ''of another version''', model) FROM rfm.models \gexec
	SQL
}

current=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$RFM_SOURCE_DIR/rfm_segments.control")
extensions=$PGHOST/installed$("$PG_CONFIG" --sharedir)/extension
versions=()
for script in "$released"/rfm_segments--*.sql; do
	version=${script##*--}
	version=${version%.sql}
	[ "$version" = "$current" ] || versions+=("$version")
	[ -f "$extensions/rfm_segments--$version.sql" ] || cp "$script" "$extensions/"
done
# not every list of extensions shows those of a private directory
createdb -T template0 upgrade_probe
if ! sql -d upgrade_probe -c "CREATE EXTENSION rfm_segments VERSION '${versions[0]}'" 2>"$directory/said"; then
	grep -q 'has no installation script' "$directory/said" || cat "$directory/said" >&2
	echo "1..0 # SKIP this server finds extensions in its own directory only"
	exit
fi
sql -c 'CREATE ROLE upgrade_owner LOGIN' -c 'CREATE ROLE upgrade_reader LOGIN'

make_database upgrade_fresh
sql -U upgrade_owner -f "$include/models.sql" >/dev/null
describe >"$directory/fresh"
describe -v models=1 >"$directory/fresh_models"
is 'the catalogue of a fresh installation' "$(wc -l <"$directory/fresh")" '[0-9][0-9][0-9]*'

for version in "${versions[@]}"; do
	from="from $version"
	make_database "upgrade_$version" "$version"
	sql -U upgrade_owner -f "$include/models.sql" >/dev/null
	answers >"$directory/answers"
	kept >"$directory/kept"
	is "$from: the models have answers" "$(wc -l <"$directory/answers")" '[0-9][0-9][0-9]*'
	age_models

	# a reader of some models and a refresh of others, in transactions that stay open: the update waits for neither
	coproc reader { exec psql -XqAt -U upgrade_reader 2>&1; }
	coproc_reader=$reader_PID
	exec {to_reader}>&"${reader[1]}" {from_reader}<&"${reader[0]}"
	echo 'BEGIN; SELECT count(*) > 0 FROM "in table".customers, "in table".segments, "Materialized".roi; SELECT 1;' >&"$to_reader"
	read -r said <&"$from_reader"
	is "$from: someone reads" "$said" t
	read -r said <&"$from_reader"
	mkfifo "$directory/refresher"
	psql -XqAt -U upgrade_owner <"$directory/refresher" >"$directory/refreshed" 2>&1 &
	refresher=$!
	exec {to_refresher}>"$directory/refresher"
	echo "SET client_min_messages = error; BEGIN; CALL rfm.refresh('live'); CALL rfm.refresh('shop'); SELECT 'held';" >&"$to_refresher"
	until_true "SELECT count(*) = 2 FROM pg_locks WHERE mode = 'ShareUpdateExclusiveLock' AND granted
		AND relation IN ('live.settings'::regclass, 'shop.settings'::regclass)"
	is "$from: update by an owner who is no superuser" \
		"$(sql -U upgrade_owner -c "SET lock_timeout = '60s'" -c 'ALTER EXTENSION rfm_segments UPDATE' 2>&1)" ''
	echo 'COMMIT;' >&"$to_refresher"
	exec {to_refresher}>&-
	wait "$refresher"
	is "$from: the refresh ends well" "$(cat "$directory/refreshed")" held
	echo 'SELECT count(*) > 0 FROM "in table".customers; COMMIT; \q' >&"$to_reader"
	read -r said <&"$from_reader"
	is "$from: and the reader reads on" "$said" t
	exec {to_reader}>&- {from_reader}<&-
	wait "$coproc_reader" || :
	rm "$directory/refresher"

	is "$from: the version" "$(sql -c "SELECT extversion FROM pg_extension WHERE extname = 'rfm_segments'")" "$current"
	describe >"$directory/updated"
	same "$from: the extension is as after a fresh installation" "$directory/updated" "$directory/fresh"
	answers >"$directory/answers_updated"
	same "$from: every view as before" "$directory/answers_updated" "$directory/answers"

	refresh_all
	answers >"$directory/answers_refreshed"
	kept >"$directory/kept_refreshed"
	describe -v models=1 >"$directory/updated_models"
	same "$from: every view as before, after a refresh" "$directory/answers_refreshed" "$directory/answers"
	same "$from: settings, rules, texts, campaigns, owners and grants are kept" "$directory/kept_refreshed" "$directory/kept"
	same "$from: models are as those that this version makes" "$directory/updated_models" "$directory/fresh_models"
	is "$from: what records changes is its owner's alone" "$(sql <<-'SQL'
		SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN rfm.models m ON m.model = n.nspname,
			aclexplode(p.proacl) g WHERE p.prosecdef AND g.grantee <> p.proowner;
	SQL
	)" ''
	# 1.0.0 had granted it to readers, and taking that away looks like another function
	is "$from: changes are still tracked" \
		"$(sql -c 'SELECT mode, reason, error FROM "in table".refresh_log ORDER BY refresh_id DESC LIMIT 1')" \
		'full|tracking is new, or a relation, view or trigger below the model was changed|'
	is "$from: a second refresh makes nothing anew" "$(sql <<-'SQL'
		CREATE TEMP TABLE before AS SELECT p.oid, p.xmin::text AS made FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN rfm.models m ON m.model = n.nspname;
		SET client_min_messages = error;
		SELECT format('CALL rfm.refresh(%L)', model) FROM rfm.models \gexec
		SELECT count(*) FROM before b LEFT JOIN pg_proc p ON p.oid = b.oid WHERE p.xmin::text IS DISTINCT FROM b.made;
	SQL
	)" 0
	sql -U upgrade_owner -c "DELETE FROM base.lines WHERE customer_id = 'c4'" -c "UPDATE base.accounts SET channel = 'new' WHERE customer_id = 'c3'"
	refresh_all
	answers >"$directory/answers_incremental"
	is "$from: a changed line costs its customer" \
		"$(sql -c 'SELECT mode, reason, changed, error FROM "in table".refresh_log ORDER BY refresh_id DESC LIMIT 1')" 'incremental|customers that changed or came due: 2|2|'
	sql -U upgrade_owner -c 'SET client_min_messages = error' -c "CALL rfm.refresh('in table', full_rebuild => true)"
	answers >"$directory/answers_full"
	same "$from: and the answers are those of a full rebuild" "$directory/answers_incremental" "$directory/answers_full"
	is "$from: they are others" "$(diff -q "$directory/answers_full" "$directory/answers")" '*differ'

	pg_dump -Fc -f "$directory/dump" "upgrade_$version"
	createdb -T template0 upgrade_restored
	is "$from: a dump of it restores" "$(pg_restore --exit-on-error -d upgrade_restored "$directory/dump" 2>&1)" ''
	PGDATABASE=upgrade_restored answers >"$directory/answers_restored"
	same "$from: with every view" "$directory/answers_restored" "$directory/answers_full"
	dropdb upgrade_restored

	is "$from: with models it is not dropped" "$(sql -U upgrade_owner -c 'DROP EXTENSION rfm_segments' 2>&1)" 'ERROR:  cannot drop extension*'
	sql -U upgrade_owner -c 'SET client_min_messages = error' -c 'SELECT rfm.drop_model(model) FROM rfm.models' >/dev/null
	is "$from: without them it is" "$(sql -U upgrade_owner -c 'DROP EXTENSION rfm_segments' 2>&1)" ''
	is "$from: and leaves nothing behind" "$(sql -c "SELECT count(*) FROM pg_proc p WHERE p.probin LIKE '%rfm_segments%' OR p.proname LIKE 'record_changes%'")" 0
done
done_testing
