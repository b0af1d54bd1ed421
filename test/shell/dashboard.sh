#!/usr/bin/env bash
# The dashboard: what dashboard.sh says, what a reader of a model sees, and three models built and looked at in a browser:
# a shop with everything, order lines of one customer with nothing else, no lines at all. What is looked for is in test/browser.
#
# Where npm's registry cannot be reached, there is nothing to build with: those tests are skipped.
set -euo pipefail

. "$RFM_SOURCE_DIR/test/shell/include/tap.sh"

export PGDATABASE=dashboard_test
directory=$(mktemp -d)
dashboard=$directory/dashboard

finish() {
	end_jobs
	rm -rf "$directory"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# Runs a script that prints TAP without numbers, for number_lines: NAME [ARGUMENT ...]
run_script() {
	local status=0
	timeout 1200 node "$dashboard/test/$1.mjs" "${@:2}" </dev/null 2>&1 || status=$?
	[ "$status" = 0 ] && echo "ok - $1 came to its end" || echo "not ok - $1 came to its end"
}

# Numbers the lines that a script printed.
number_lines() {
	local line
	while IFS= read -r line; do
		case $line in
			ok\ * | not\ ok\ *)
				tests=$((tests + 1))
				echo "${line/ok -/ok $tests -}"
				;;
			*) printf '# %s\n' "${line#\# }" ;;
		esac
	done
}

# What dashboard.sh says when it will not build.
refusal() {
	bash "$dashboard/dashboard.sh" "$@" 2>&1 || :
}

free_port() {
	node -e "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })"
}

# A copy, as if it had just been checked out.
tar -C "$RFM_SOURCE_DIR" --exclude=dashboard/node_modules --exclude=dashboard/.evidence --exclude=dashboard/build \
	-c dashboard test/private_server.sh | tar -C "$directory" -x
cp -R "$RFM_SOURCE_DIR/test/browser" "$dashboard/test"

# ---------- the models ----------

few='Few "lines"'
createdb "$PGDATABASE"
psql -Xq -v ON_ERROR_STOP=1 -v scale=0.05 -v as_of=2024-01-21 -f "$RFM_SOURCE_DIR/demo/thelook.sql" >/dev/null
sql -v few="$few" <<-'SQL'
	SET client_min_messages = error;
	CREATE EXTENSION rfm_segments;
	SELECT rfm.create_thelook_model('shop', 'public', as_of => '2024-01-21');
	CREATE TABLE few_lines (customer_id int, order_id int, ordered_at timestamptz, amount numeric);
	INSERT INTO few_lines VALUES (1, 1, '2023-11-05Z', 20), (1, 2, '2023-12-24Z', 35.50);
	SELECT rfm.create_model(:'few', 'public.few_lines', as_of => '2024-01-21');
	CREATE TABLE no_lines (LIKE few_lines);
	SELECT rfm.create_model('empty', 'public.no_lines', as_of => '2024-01-21');
	CREATE ROLE dashboard_reader LOGIN;
	CREATE ROLE dashboard_stranger LOGIN;
	SELECT rfm.grant_read('shop', 'dashboard_reader'), rfm.grant_read(:'few', 'dashboard_reader');
SQL

# ---------- before anything is built ----------

is 'no demo and no connection' "$(env -u PGHOST -u PGUSER -u PGDATABASE bash "$dashboard/dashboard.sh" build 2>&1 || :)" \
	"rfm_segments: no demo is running: run 'make demo', or name your database with PGHOST, PGDATABASE and PGUSER"
is 'no server there' "$(PGHOST=$directory refusal build)" '*No such file or directory*PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD name the database'
is 'no extension there' "$(PGDATABASE=template1 refusal build)" '*database "template1" does not have the extension rfm_segments*'
is 'no such model' "$(MODEL=nowhere refusal build)" "*there is no model \"nowhere\" in database \"$PGDATABASE\": MODEL=NAME chooses one of Few \"lines\", empty, shop"
is 'a model of others' "$(PGUSER=dashboard_stranger refusal build)" \
	'*role "dashboard_stranger" may not read model "shop": its owner can say SELECT rfm.grant_read('\''shop'\'', '\''dashboard_stranger'\'')'
printf '[%s]\nhost=%s\ndbname=nothing\n' first /nowhere shop "$PGHOST" >"$directory/service.conf"
is 'a service of libpq' "$(PGSERVICEFILE=$directory/service.conf PGSERVICE=shop refusal build)" '*database "nothing" does not exist*'
is 'which there is not' "$(PGSERVICEFILE=$directory/service.conf PGSERVICE=second refusal build)" '*there is no service "second" in *'
port=$(free_port)
node -e "require('node:net').createServer().listen($port, '127.0.0.1', () => console.log('listens'))" >"$directory/listener" &
until [ -s "$directory/listener" ]; do sleep 0.1; done
is 'a port that is in use, before anything is built' "$(PORT=$port refusal start)" "rfm_segments: port $port is in use: PORT=NUMBER chooses another one"
end_jobs
is 'nothing built yet' "$(PORT=$port refusal serve)" "rfm_segments: nothing has been built yet: run 'make dashboard'"
is 'nothing was written' "$(cd "$dashboard" && ls -d node_modules .evidence build 2>/dev/null || :)" ''

# ---------- what a reader sees ----------

# The answer of a source of the dashboard, for a role and a model.
answer() {
	PGUSER=$1 PGOPTIONS="-c search_path=$2 -c timezone=UTC" psql -XAt -v ON_ERROR_STOP=1 -f "$3" 2>&1 || :
}

for file in "$dashboard"/sources/model/*.sql; do
	name=$(basename "$file" .sql)
	owner=$(answer postgres shop "$file")
	is "$name: rows for the owner" "$(sed 's/|//g' <<<"$owner" | sed -n '/[^[:space:]]/{p;q}')" '?*'
	if [ "$name" = segment_migration ]; then
		is "$name: none for a reader" "$(answer dashboard_reader shop "$file" | tr -d '|\n')" ''
	else
		is "$name: the same for a reader" "$(answer dashboard_reader shop "$file")" "$owner"
	fi
done

# ---------- the texts ----------

number_lines < <(run_script strings "$dashboard")

# ---------- the pages ----------

export npm_config_cache=$directory/npm npm_config_update_notifier=false npm_config_include=dev
if ! npm ping --fetch-retries=0 --fetch-timeout=30000 >/dev/null 2>&1; then
	echo "ok $((tests += 1)) # SKIP npm's registry cannot be reached"
	done_testing
	exit
fi

# Writes the rows of the views of a model, and of what else the dashboard reads: MODEL DIRECTORY
expect() {
	local view file
	for view in $(sql -v model="$1" <<<"SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = :'model' AND c.relkind = 'v' AND c.relname NOT IN ('customers', 'segment_history')
				AND obj_description(c.oid, 'pg_class') NOT LIKE 'Internal.%'"); do
		sql -v model="$1" -v view="$view" <<<"SELECT coalesce(json_agg(v), '[]') FROM :\"model\".:\"view\" AS v" >"$2/$view.json"
	done
	for file in "$dashboard"/sources/model/*.sql; do
		view=$(basename "$file" .sql)
		[ -f "$2/$view.json" ] || { cat <(echo 'SELECT json_agg(v) FROM (') "$file" <(echo ') AS v') |
			PGOPTIONS="-c search_path=$(sed 's/[ \\]/\\&/g' <<<"$3")" sql >"$2/$view.json"; }
	done
}

# Builds the pages of a model into a place of their own: MODEL ROLE KIND
build() {
	local site=$directory/$3
	mkdir -p "$site/dashboard" "$site/expected"
	expect "$1" "$site/expected" "$(sql -v model="$1" <<<"SELECT quote_ident(:'model')")"
	MODEL=$1 PGUSER=$2 bash "$dashboard/dashboard.sh" build >"$site/log" 2>&1 || sed 's/^/# /' "$site/log"
	is "$3: the site is built" "$(tail -n 1 "$site/log")" 'The site is in dashboard/build.'
	mv "$dashboard/build" "$site/dashboard"
	cp "$dashboard/dashboard.sh" "$site/dashboard"
	ln -s "$dashboard/node_modules" "$site/dashboard"
	ln -s "$directory/test" "$site"
	is "$3: from aggregates" "$(grep -rlF segment_rank "$site/dashboard/build/data" | head -n 1)" '*.parquet'
	is "$3: no row of a customer in it" "$(grep -rlE 'customer_id|first_order_at|last_order_at' "$site/dashboard/build" \
		--include='*.parquet' --include='*.json' --include='*.arrow' || :)" ''
}

# Serves what was built and looks at it, as a job of its own: MODEL KIND
look_at() {
	local port server site=$directory/$2
	trap end_jobs EXIT
	trap 'exit 1' TERM
	port=$(free_port)
	PORT=$port bash "$site/dashboard/dashboard.sh" serve >"$site/served" 2>&1 &
	server=$!
	until grep -qF "http://127.0.0.1:$port/" "$site/served"; do
		kill -0 "$server" 2>/dev/null || {
			cat "$site/served"
			return 1
		}
		sleep 0.1
	done
	run_script pages "http://127.0.0.1:$port" "$site/expected" "$1" "$2" &
	wait "$!"
	kill "$server"
	wait "$server" || :
	(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && echo "not ok - $2: the server ends" || echo "ok - $2: the server ends"
}

# the browsers wait more than they work: the next model is built meanwhile
build shop postgres full
look_at shop full >"$directory/full/tap" 2>&1 &
build "$few" dashboard_reader few
look_at "$few" few >"$directory/few/tap" 2>&1 &
build empty postgres empty
look_at empty empty >"$directory/empty/tap" 2>&1 &
wait
for kind in full few empty; do
	number_lines <"$directory/$kind/tap"
	is "$kind: looked at" "$(tail -n 1 "$directory/$kind/tap")" "ok - $kind: the server ends"
done
done_testing
