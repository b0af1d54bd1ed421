#!/usr/bin/env bash
# Every test, in a private server; the last line counts them.
#
#	make test				all
#	make test ONLY=score	those with this name; a pattern such as ONLY='profile*' does, too
#	make test KEEP=1		leaves the server running and says how to reach it
#	make test-sanitize		those of pg_regress and pgTAP below a memory checker: see checker.sh
#	make test-valgrind		those of pg_regress that test the C core
#
#	test/sql/*.sql				pg_regress, in one database that has the extension
#	test/isolation/specs/*.spec	the same, with several sessions
#	test/pgtap/*.sql			pgTAP, each in a database of its own; :source is the checkout
#	test/shell/*.sh				print TAP, too; $RFM_SOURCE_DIR is the checkout, the database
#								rfm_template has the extensions: createdb -T rfm_template NAME
#
# shellcheck disable=SC2046,SC2053,SC2086
set -euo pipefail

cd "$(dirname "$0")/.."
source=$PWD
. test/private_server.sh
checker=${1:-}
[ -z "$checker" ] || . test/checker.sh

passed=0 failed=0 skipped=0 remark='' step=''

# Ends whatever is left and says how it went.
finish() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP
	[ -z "$checker" ] || checker_finish
	if [ "$status" != 0 ]; then
		failed=$((failed + 1)) remark=${remark:-" ($step failed)"}
	elif [ $((passed + failed + skipped)) = 0 ]; then
		remark=" (no test ran)"
	fi
	if [ -n "${KEEP:-}" ] && [ -d "${directory:-}" ]; then
		echo "Kept: psql -h $directory -U postgres rfm_template"
		echo "To end it: ${as_server_user[*]} $(postgres_path bindir)/pg_ctl -D $directory/data stop && rm -r $directory"
	else
		remove_private_directory
	fi
	[ "$skipped" = 0 ] || remark=", $skipped skipped$remark"
	echo "$passed passed, $failed failed$remark"
	if [ "$failed" = 0 ] && [ "$passed" != 0 ]; then
		exit 0
	fi
	exit 1
}
trap finish EXIT
trap 'remark=" (interrupted)"; exit 1' INT TERM HUP

# Lists the files given that are there and that ONLY asks for.
chosen() {
	local file name
	for file; do
		name=${file##*/}
		[ -f "$file" ] && [[ ${name%.*} == ${ONLY:-*} ]] && echo "$file"
	done
	:
}

# Adds the counts of a runner; one that failed without saying where counts as a failure.
count() {
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
	[ "$1" = 0 ] || [ "$3" != 0 ] || failed=$((failed + 1))
}

# Runs tests through make installcheck: VARIABLE [FILE ...], the variable being REGRESS or ISOLATION.
run_regress() {
	local variable=$1 build=$directory/build log=$directory/$1.log status=0 counts
	shift
	[ $# -gt 0 ] || return 0
	make -s -C "$build" installcheck PG_CONFIG="$PG_CONFIG" REGRESS= ISOLATION= \
		"$variable=$(basename -a "${@%.*}" | tr '\n' ' ')" >"$log" 2>&1 || status=$?
	# PostgreSQL 16 and later print TAP.
	counts=$(awk '
		/^test .* \.\.\. ok / || /^ok / { passed++ }
		/^test .* \.\.\. FAILED/ || /^not ok / { failed++ }
		END { print passed + 0, failed + 0, 0 }' "$log")
	if [ "$counts" = "0 0 0" ]; then
		cat "$log"
	else
		grep -E '^(test|ok|not ok) ' "$log"
	fi
	count $status $counts
	if [ $status != 0 ] && [ -f "$build/regression.diffs" ]; then
		cat "$build/regression.diffs"
		cp -R "$build/results" "$build/regression.diffs" . && echo "What they printed is in results/."
	fi
}

# Runs tests that print TAP: FILE ... -- PROVE [OPTION ...]
run_tap() {
	local log=$directory/tap.log status=0 files=()
	while [ "$1" != -- ]; do
		files+=("$1")
		shift
	done
	shift
	[ ${#files[@]} -gt 0 ] || return 0
	"$@" --norc --jobs 2 --failures --comments --directives "${files[@]}" 2>&1 | tee "$log" || status=$?
	# A file that failed as a whole (no plan, an error) is one failure more.
	count $status $(awk '
		/^ok .*# *(SKIP|skip)/ { skipped++ }
		/\.\. skipped/ { whole_skipped++ }
		/\(Wstat: .*Failed: / {
			file = $1
			sub(/.*Failed: /, "")
			failed += $0 + 0
		}
		/^  (Non-zero exit status|Parse errors): / && !broken[file]++ { whole_failed++ }
		/^Files=/ { sub(/.*Tests=/, ""); tests = $0 + 0 }
		END { print tests - failed - skipped, failed + whole_failed, skipped + whole_skipped }' "$log")
}

step="installing packages"
install_packages "${checker:-test}"
step="making a directory"
create_private_directory "${checker:-test}"
step="the build"
${checker:+checker_}build_extension COPT=-Werror
step="starting the server"
${checker:+checker_}start_server
step="the template database"
createdb rfm_template
psql -XqAt -v ON_ERROR_STOP=1 rfm_template <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION rfm_segments;
CREATE EXTENSION pgtap;
SELECT 'CREATE EXTENSION plpgsql_check' FROM pg_available_extensions WHERE name = 'plpgsql_check' \gexec
SQL

step="a runner"
export PG_CONFIG RFM_SOURCE_DIR=$source
regress=(test/sql/*.sql)
# which prints what create_model says, and that says how far it is when it takes seconds
[ "$checker" != valgrind ] || regress=("${regress[@]%test/sql/report.sql}")
run_regress REGRESS $(chosen "${regress[@]}")
[ "$checker" = valgrind ] || {
	run_regress ISOLATION $(chosen test/isolation/specs/*.spec)
	run_tap $(chosen test/pgtap/*.sql) -- pg_prove --psql-bin test/fresh_psql
}
[ -n "$checker" ] || run_tap $(chosen test/shell/*.sh) -- prove --exec bash
