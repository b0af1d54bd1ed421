#!/usr/bin/env bash
# pg_upgrade from PostgreSQL 15 to 17, with models in place: every view answers as before, is refreshed, and changes are
# still tracked. Needs the servers and development files of both versions; says SKIP where they are not.
#
#	bash test/pg_upgrade.sh		FROM and TO are other versions
#
# Debian has one version in each release: make test-upgrade makes a system that has both, and calls this in it. The extension
# is installed for both as long as the test runs, since pg_upgrade starts servers with settings of its own.
#
# shellcheck disable=SC2016,SC2154
set -euo pipefail

cd "$(dirname "$0")/.."
source=$PWD
include=$source/test/shell/include
. test/private_server.sh
. "$include/tap.sh"

from=${FROM:-15} to=${TO:-17}
for version in "$from" "$to"; do
	config=/usr/lib/postgresql/$version/bin/pg_config
	if ! [ -x "/usr/lib/postgresql/$version/bin/pg_upgrade" ] || ! [ -f "$("$config" --pgxs 2>/dev/null)" ]; then
		echo "SKIP pg_upgrade $from to $to: postgresql-$version and postgresql-server-dev-$version are not installed"
		exit
	fi
	if [ -f "$("$config" --sharedir)/extension/rfm_segments.control" ]; then
		die "rfm_segments is installed for PostgreSQL $version already: this test installs and uninstalls it"
	fi
done

# Runs a program of one of the versions as the server's user: VERSION PROGRAM [ARGUMENT ...]
program() {
	as_server "/usr/lib/postgresql/$1/bin/$2" "${@:3}"
}

install() {
	local version
	for version in "$from" "$to"; do
		quietly as_root make -C "$directory/build$version" "$1" PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" || return
	done
}

finish() {
	local version
	for version in "$from" "$to"; do
		! as_server test -f "$directory/data$version/postmaster.pid" ||
			program "$version" pg_ctl -D "$directory/data$version" -m immediate -w stop >/dev/null || :
	done
	install uninstall || :
	rm -rf "$directory"
}

start() {
	quietly program "$1" pg_ctl -D "$directory/data$1" -l "$directory/log$1" -w start
}

stop() {
	quietly program "$1" pg_ctl -D "$directory/data$1" -w stop
}

answers() {
	sql -f "$include/answers.sql"
}

describe() {
	# PostgreSQL 16 writes views with fewer qualified names, 17 has one privilege more, which owners have
	sql -v models=1 -f "$include/describe.sql" | sed -E '/^relation /s/"definition": "([^"\\]|\\.)*"//; s/"([a-z_]+=arwdDxt)m/"\1/g'
}

refresh_all() {
	sql <<-'SQL'
		SET client_min_messages = error;
		SELECT format('CALL rfm.refresh(%L)', model) FROM rfm.models ORDER BY 1 \gexec
	SQL
}

same() {
	is "$1" "$(diff "$2" "$3" | cut -c 1-2000 | head -n 40)" ''
}

create_private_directory upgrade
trap finish EXIT
trap 'exit 1' INT TERM HUP
for version in "$from" "$to"; do
	mkdir "$directory/build$version"
	cp -R Makefile rfm_segments.control src sql test expected "$directory/build$version"
	find "$directory/build$version" -name '*.[od]' -delete -o -name '*.bc' -delete
	quietly make -C "$directory/build$version" -j "$(nproc)" PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" COPT=-Werror
	quietly program "$version" initdb -D "$directory/data$version" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
	printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$directory'" "timezone = 'UTC'" >>"$directory/data$version/postgresql.conf"
done
install install
for name in ${!PG*}; do
	unset "$name"
done
export PGHOST=$directory PGUSER=postgres PGCLIENTENCODING=UTF8 PGDATABASE=upgrade PATH=/usr/lib/postgresql/$to/bin:$PATH

start "$from"
sql -d postgres -c 'CREATE ROLE upgrade_owner LOGIN' -c 'CREATE ROLE upgrade_reader LOGIN' -c 'CREATE DATABASE upgrade OWNER upgrade_owner'
sql -U upgrade_owner -c 'CREATE EXTENSION rfm_segments'
sql -U upgrade_owner -f "$include/models.sql" >/dev/null
# changes that no refresh has seen yet
sql -U upgrade_owner -c "DELETE FROM base.lines WHERE customer_id = 'c4'"
answers >"$directory/answers"
describe >"$directory/described"
is "the models have answers" "$(wc -l <"$directory/answers")" '[0-9][0-9][0-9]*'
stop "$from"

# It writes into the directory that it is started in.
pg_upgrade() {
	as_server bash -c 'cd "$1" && shift && "$@"' - "$directory" "/usr/lib/postgresql/$to/bin/pg_upgrade" -U postgres -s "$directory" \
		-b "/usr/lib/postgresql/$from/bin" -B "/usr/lib/postgresql/$to/bin" -d "$directory/data$from" -D "$directory/data$to" "$@" 2>&1 || :
}
is "pg_upgrade --check" "$(pg_upgrade --check)" '*Clusters are compatible*'
is "pg_upgrade" "$(pg_upgrade)" '*Upgrade Complete*'

start "$to"
is "the server is of the new version" "$(sql -c 'SHOW server_version')" "$to*"
answers >"$directory/answers_upgraded"
same "every view as before" "$directory/answers_upgraded" "$directory/answers"
describe >"$directory/described_upgraded"
same "columns, functions, comments and grants, too" "$directory/described_upgraded" "$directory/described"
PGUSER=upgrade_owner refresh_all
is "the first refresh is a full one" "$(sql -c 'SELECT mode, error FROM "in table".refresh_log ORDER BY refresh_id DESC LIMIT 1')" 'full|'
answers >"$directory/answers_refreshed"
is "and sees what was changed before the upgrade" "$(sql -c "SELECT count(*) FROM \"in table\".customers WHERE customer_id = 'c4'")" 0
sql -U upgrade_owner -c "UPDATE base.lines SET amount = amount + 1 WHERE customer_id = 'c9'"
PGUSER=upgrade_owner refresh_all
is "the next one costs the customer who changed" \
	"$(sql -c 'SELECT mode, reason, changed, error FROM "in table".refresh_log ORDER BY refresh_id DESC LIMIT 1')" 'incremental|customers that changed or came due: 1|1|'
answers >"$directory/answers_incremental"
sql -U upgrade_owner -c 'SET client_min_messages = error' -c "CALL rfm.refresh('in table', full_rebuild => true)"
answers >"$directory/answers_full"
same "and the answers are those of a full rebuild" "$directory/answers_incremental" "$directory/answers_full"
done_testing
echo "$((tests - failures)) passed, $failures failed"
[ "$failures" = 0 ]
