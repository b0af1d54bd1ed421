#!/usr/bin/env bash
# The demo: a generated shop, its model, and a walk through the results, in a private server that
# stays until `make demo-stop`.
#
#	make demo				a shop of 10,000 customers
#	make demo SCALE=1		of 100,000
#	make demo-stop
#
# shellcheck disable=SC2119
set -euo pipefail

cd "$(dirname "$0")/.."
source=$PWD
. test/private_server.sh

running=$source/.demo # a link to the server's directory
as_of=2024-01-21

stop() {
	local directory
	[ -L "$running" ] || return 0
	directory=$(readlink "$running")
	[ ! -d "$directory" ] || [ -w "$directory" ] ||
		die "the demo belongs to $(stat -c %U "$directory"): stop it as this user, or with sudo"
	remove_private_directory
	rm "$running"
}

start() {
	echo "Preparing ..."
	stop
	install_packages demo
	create_private_directory demo
	trap remove_private_directory EXIT
	trap 'exit 1' INT TERM HUP
	build_extension
	start_server
	createdb thelook
	export PGDATABASE=thelook
	ln -s "$directory" "$running"
	echo "Generating a shop ..."
	psql -Xq -v ON_ERROR_STOP=1 -v scale="${SCALE:-0.1}" -v as_of="$as_of" -f demo/thelook.sql | fold -s -w 99
	echo "Creating its model ..."
	psql -Xq -v ON_ERROR_STOP=1 -v as_of="$as_of" <<-'SQL'
		CREATE EXTENSION rfm_segments;
		SELECT rfm.create_thelook_model('shop', 'public', as_of => :'as_of') \g /dev/null
	SQL
	psql -Xq -v ON_ERROR_STOP=1 -P pager=off -f demo/walkthrough.sql
	trap - EXIT
	cat <<-TEXT

		To look around:

		    psql -h $directory -U postgres thelook

		In a browser, as charts and tables:

		    make dashboard

		The server runs until 'make demo-stop'.

	TEXT
}

case ${1:-} in
	start) start ;;
	stop) stop ;;
	*) die "usage: demo/demo.sh start | stop" ;;
esac
