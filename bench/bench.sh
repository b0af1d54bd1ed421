#!/usr/bin/env bash
# Measures the extension beside hand-written SQL, DuckDB and pandas, in a private server; see README.md here.
#
#	make bench						thelook at scale 10, a million users: half an hour or more, 20 GB of disk, 16 GB of memory
#	make bench SCALE=1				a quick look
#	make bench ROUNDS=5				medians of five rounds instead of three
#	make bench GROWTH="1 10 30"		the scales at which growth is measured; by default SCALE and a tenth of it
#	make bench JOBS="segments"		only some: segments model percentiles scores reading growth incremental writer
#
# Writes RESULTS.md here, or the file that RESULTS names.
#
# shellcheck disable=SC2086,SC2119
set -euo pipefail

cd "$(dirname "$0")/.."
source=$PWD
. test/private_server.sh

scale=${SCALE:-10} rounds=${ROUNDS:-3} results=${RESULTS:-$source/bench/RESULTS.md}
case $scale$rounds in *[!0-9.]*) die "SCALE and ROUNDS are numbers" ;; esac
growth=${GROWTH:-$(awk -v s="$scale" 'BEGIN { printf "%g %g", s / 10, s }')}

install_contenders() {
	local packages=()
	[ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import pandas' 2>/dev/null || packages+=(python3-pandas)
	[ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import psycopg2' 2>/dev/null || packages+=(python3-psycopg2)
	command -v node >/dev/null || packages+=(nodejs)
	command -v npm >/dev/null || packages+=(npm)
	[ ${#packages[@]} = 0 ] || {
		echo "Installing ${packages[*]}"
		apt_get update || die "apt-get update failed"
		install_without_cluster "${packages[@]}" || die "apt-get could not install ${packages[*]}"
	}
	mkdir "$directory/duckdb"
	cp bench/package.json bench/package-lock.json bench/duckdb.mjs "$directory/duckdb"
	# not npm ci: it asks for the optional packages of all platforms
	(cd "$directory/duckdb" && quietly npm install --no-audit --no-fund --cache "$directory/npm") || die "npm could not install DuckDB"
}

# A quarter of the memory for shared_buffers; what else an administrator would set for such a database. Nothing is switched off.
settings() {
	local megabytes
	megabytes=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
	cat <<-SETTINGS
		shared_buffers = $((megabytes / 4))MB
		effective_cache_size = $((megabytes / 2))MB
		work_mem = 256MB
		maintenance_work_mem = 256MB
		max_parallel_workers_per_gather = 2
		max_wal_size = 8GB
		checkpoint_timeout = 30min
		random_page_cost = 1.1
		fsync = on
		full_page_writes = on
		synchronous_commit = on
	SETTINGS
}

# Makes the database NAME with thelook at a scale.
generate() {
	echo "Generating thelook at scale $2 ..."
	createdb "$1"
	psql -Xq -v ON_ERROR_STOP=1 -v scale="$2" -f demo/thelook.sql "$1"
	psql -Xq -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION rfm_segments' -c CHECKPOINT "$1"
}

echo "Preparing ..."
install_packages demo
create_private_directory bench
trap remove_private_directory EXIT
trap 'exit 1' INT TERM HUP
install_contenders
build_extension
start_server "$(settings)"
generate thelook "$scale"
for s in $growth; do
	[ "$s" = "$scale" ] || generate "thelook_$s" "$s"
done
/usr/bin/python3 bench/bench.py "$scale" "$rounds" "$directory" "$results" $growth
