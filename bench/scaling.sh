#!/usr/bin/env bash
# Measures a model on Citus, in servers of its own on this machine: what a refresh costs per line, customer and shard, and
# what crosses the network; see SCALING.md here.
#
#	bash bench/scaling.sh				ten minutes, 10 GB of disk, root (for a network of its own)
#	JOBS="costs" bash bench/scaling.sh		only some: costs shards spill
#	FACTOR=0.1 bash bench/scaling.sh		a tenth of the rows
#
# Prints tables. A coordinator and four workers share the cores: times of the clock mean little, CPU time is what counts.
#
# shellcheck disable=SC2034,SC2086,SC2154
set -euo pipefail

cd "$(dirname "$0")/.."
source=$PWD
. test/private_server.sh

nodes="coordinator worker1 worker2 worker3 worker4"

finish() {
	local node
	for node in $nodes; do
		[ ! -f "${directory:-}/$node/postmaster.pid" ] || as_server "$(postgres_path bindir)/pg_ctl" -D "$directory/$node" -m immediate stop >/dev/null || :
	done
	remove_private_directory
}

# Ports need not be free elsewhere: this network is ours alone.
make_node() {
	local port=$2
	quietly as_server "$(postgres_path bindir)/initdb" -D "$directory/$1" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
	cat >>"$directory/$1/postgresql.conf" <<-SETTINGS
		listen_addresses = '127.0.0.1'
		port = $port
		unix_socket_directories = '$directory'
		shared_preload_libraries = 'citus'
		wal_level = logical
		fsync = off
		shared_buffers = 512MB
		max_wal_size = 8GB
		checkpoint_timeout = 30min
		max_connections = 300
		max_prepared_transactions = 300
		max_worker_processes = 32
		max_parallel_workers_per_gather = 0
		autovacuum = off
		timezone = 'UTC'
		jit = off
		citus.enable_statistics_collection = off
		citus.node_conninfo = 'sslmode=disable'
		citus.max_cached_conns_per_worker = 64
	SETTINGS
	ln -sfn "$directory/$1" "$directory/data"
	(extension_settings) >>"$directory/$1/postgresql.conf" || install_in_system
	rm "$directory/data"
	quietly as_server "$(postgres_path bindir)/pg_ctl" -D "$directory/$1" -l "$directory/$1/log" -w start
}

choose_postgres
[ -x "$(postgres_path bindir)/postgres" ] || die "PG_CONFIG names no server"
if [ ! -f "$(postgres_path pkglibdir)/citus.so" ]; then
	echo "SKIP the PostgreSQL of $PG_CONFIG has no Citus: build it from its public source, or name another by PG_CONFIG"
	exit 0
fi
if [ -z "${RFM_OWN_NETWORK:-}" ]; then
	command -v ip >/dev/null || die "please install iproute2"
	[ "$(id -u)" = 0 ] || die "only root can make a network of its own, in which bytes are counted"
	RFM_OWN_NETWORK=yes exec unshare -n bash bench/scaling.sh
fi
ip link set lo up

trap finish EXIT
trap 'exit 1' INT TERM HUP
create_private_directory scaling
build_extension
cp bench/scaling.py "$directory"
chmod 644 "$directory/scaling.py"
for name in ${!PG*}; do
	[ "$name" = PG_CONFIG ] || unset "$name"
done
export PGHOST=$directory PGUSER=postgres PGPORT=7000 PGCLIENTENCODING=UTF8 PGOPTIONS='-c client_min_messages=error'
PATH=$(postgres_path bindir):$PATH
port=7000
for node in $nodes; do
	make_node $node $port
	port=$((port + 1))
done
/usr/bin/python3 bench/scaling.py measure "$directory" ${JOBS:-costs shards spill}
