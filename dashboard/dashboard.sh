#!/usr/bin/env bash
# The dashboard: pages about one model, built from its aggregates with Evidence and shown by a local web server.
#
#	make dashboard							of the running demo, at http://127.0.0.1:3000
#	make dashboard MODEL=shop PORT=3000		these are the defaults
#	make dashboard PGHOST=db PGDATABASE=sales PGUSER=reader		of another database; PGSERVICE and PGPASSWORD do, too
#	bash dashboard/dashboard.sh build		only builds dashboard/build, which any web server can publish
#	bash dashboard/dashboard.sh serve		only shows what was built last
#
# Written are node_modules, .evidence and build, all here.
#
# shellcheck disable=SC2030,SC2031,SC2154
set -euo pipefail

cd "$(dirname "$0")/.."
source=$PWD
. test/private_server.sh
cd dashboard

model=${MODEL:-shop} port=${PORT:-3000} running=$source/.demo
export TZ=UTC

# ---------- packages ----------

# Lists the Debian packages that are missing.
missing_tools() {
	command -v node >/dev/null || echo nodejs
	command -v npm >/dev/null || echo npm
	command -v psql >/dev/null || echo postgresql-client
}

install_tools() {
	local packages
	packages=$(missing_tools | tr '\n' ' ')
	if [ -n "$packages" ]; then
		command -v apt-get >/dev/null || die "please install $packages"
		echo "Installing $packages"
		apt_get update || die "apt-get update failed"
		# shellcheck disable=SC2086
		apt_get install --no-install-recommends $packages || die "apt-get could not install $packages"
	fi
	node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' ||
		die "node $(node --version) is too old: the dashboard needs 18 or later"
}

# Installs Evidence and what it needs, in the versions of the lockfile; not by npm ci: it asks for the optional packages of
# all platforms.
install_modules() {
	[ ! node_modules/.package-lock.json -nt package-lock.json ] || return 0
	echo "Installing Evidence: a minute or two, 600 MB in dashboard/node_modules ..."
	quietly npm install --omit=dev --no-save --no-audit --no-fund </dev/null || die "npm could not install Evidence"
	touch node_modules/.package-lock.json
}

# ---------- the model ----------

# Evidence's driver knows the variables of libpq, but no service files: puts the service's settings into variables.
resolve_service() {
	local file name value
	for file in "${PGSERVICEFILE:-$HOME/.pg_service.conf}" "${PGSYSCONFDIR:-/etc/postgresql-common}/pg_service.conf"; do
		[ -f "$file" ] && grep -qxF "[$PGSERVICE]" "$file" || continue
		while IFS='=' read -r name value; do
			case $name in
				dbname) export PGDATABASE=$value ;;
				host | port | user | password | options | sslmode | sslrootcert | passfile) export "PG${name^^}=$value" ;;
			esac
		done < <(awk -v section="[$PGSERVICE]" '/^\[/ { inside = $0 == section; next } inside' "$file")
		unset PGSERVICE
		return
	done
	die "there is no service \"$PGSERVICE\" in ${PGSERVICEFILE:-$HOME/.pg_service.conf}"
}

# Points psql and Evidence to the database: the one that the caller's variables name, or the demo's.
choose_database() {
	local name
	export PGCLIENTENCODING=UTF8 PGAPPNAME=rfm_segments
	for name in PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGSERVICE; do
		[ -z "${!name:-}" ] || {
			[ -z "${PGSERVICE:-}" ] || resolve_service
			return 0
		}
	done
	[ -L "$running" ] && [ -d "$running" ] ||
		die "no demo is running: run 'make demo', or name your database with PGHOST, PGDATABASE and PGUSER"
	[ -r "$running/" ] ||
		die "the demo belongs to $(stat -L -c %U "$running"): build the dashboard as the user who started it, or with sudo"
	PGHOST=$(readlink "$running")
	export PGHOST PGUSER=postgres PGDATABASE=thelook
}

# Says what the check found: eight lines, the last of which is ready, or what is wrong.
ask_model() {
	psql -XqAt -v ON_ERROR_STOP=1 -v model="$model" <<-'SQL'
		\echo :HOST
		\echo :PORT
		\echo :USER
		\echo :DBNAME
		SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();
		SELECT quote_ident(:'model');
		SELECT to_regclass('rfm.models') IS NULL AS missing \gset
		\if :missing
			\echo
			\echo missing
			\quit
		\endif
		SELECT string_agg(model, ', ' ORDER BY model) FROM rfm.models;
		SELECT CASE WHEN NOT EXISTS (SELECT FROM rfm.models AS m WHERE m.model = :'model') THEN 'unknown'
		            WHEN NOT has_schema_privilege(:'model', 'USAGE') OR NOT EXISTS (
		                SELECT FROM pg_class AS c
		                WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = :'model') AND c.relname = 'overview'
		                    AND has_table_privilege(c.oid, 'SELECT')) THEN 'unreadable'
		            ELSE 'ready' END;
	SQL
}

# Makes sure that the model is there and readable, and tells Evidence where.
check_model() {
	local answer
	mapfile -t answer < <(ask_model)
	[ ${#answer[@]} = 8 ] ||
		die "the model could not be looked up: see above; PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD name the database"
	case ${answer[7]} in
		missing) die "database \"${answer[3]}\" does not have the extension rfm_segments: PGDATABASE names another one" ;;
		unknown)
			if [ -n "${answer[6]}" ]; then
				die "there is no model \"$model\" in database \"${answer[3]}\": MODEL=NAME chooses one of ${answer[6]}"
			else
				die "there is no model in database \"${answer[3]}\" yet: rfm.create_model makes one"
			fi
			;;
		unreadable)
			die "role \"${answer[2]}\" may not read model \"$model\": its owner can say SELECT rfm.grant_read('${model//\'/\'\'}', '${answer[2]//\'/\'\'}')"
			;;
	esac
	export PGHOST=${answer[0]} PGPORT=${answer[1]} PGUSER=${answer[2]} PGDATABASE=${answer[3]}
	unset "${!EVIDENCE_SOURCE__@}"
	export EVIDENCE_SOURCE__model__schema=${answer[5]}
	encrypt_as "${answer[4]}"
}

# The driver's sslmode means other things than libpq's: what psql did is done again. Encrypted, t or f.
encrypt_as() {
	case $1,${PGSSLMODE:-} in
		f,*) export PGSSLMODE=disable ;;
		t,verify-*)
			export PGSSLMODE=verify-full
			certificates=${PGSSLROOTCERT:-$HOME/.postgresql/root.crt}
			;;
		*) export PGSSLMODE=no-verify ;;
	esac
}

# ---------- build and serve ----------

evidence() {
	[ ! -f "${certificates:-}" ] || local -x NODE_EXTRA_CA_CERTS=$certificates
	quietly timeout --foreground "$1" node_modules/.bin/evidence "${@:2}" </dev/null
}

build() {
	install_tools
	choose_database
	check_model
	install_modules
	echo "Reading model \"$model\" ..."
	rm -rf .evidence/template/static/data build
	evidence 10m sources --strict || die "the views of model \"$model\" could not be read"
	echo "Building the pages: a minute or two ..."
	evidence 30m build:strict || die "the pages could not be built"
}

listens() {
	(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

require_free_port() {
	[[ $port =~ ^[0-9]{1,5}$ ]] || die "PORT is a number"
	! listens || die "port $port is in use: PORT=NUMBER chooses another one"
}

serve() {
	[ -f build/index.html ] || die "nothing has been built yet: run 'make dashboard'"
	node_modules/.bin/vite preview --outDir build --port "$port" --strictPort --host 127.0.0.1 </dev/null >/dev/null &
	server=$!
	trap 'kill "$server" 2>/dev/null && wait "$server" || :' EXIT
	trap 'exit 0' INT TERM HUP
	until listens; do
		kill -0 "$server" 2>/dev/null || die "the web server could not be started"
		sleep 0.2
	done
	cat <<-TEXT

		    http://127.0.0.1:$port/

		It shows the model as it was now: after a refresh, run this again. Ctrl-C ends it.

	TEXT
	wait "$server"
}

case ${1:-} in
	start)
		require_free_port
		build
		serve
		;;
	build)
		build
		echo "The site is in dashboard/build."
		;;
	serve)
		require_free_port
		serve
		;;
	*) die "usage: dashboard/dashboard.sh start | build | serve" ;;
esac
