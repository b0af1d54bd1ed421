# What the tests in shell share: sourced, not run.  The caller sets PGDATABASE and ends with done_testing.
#
# shellcheck shell=bash

tests=0 failures=0

sql() {
	psql -XqAt -v ON_ERROR_STOP=1 "$@"
}

# Prints a TAP line: DESCRIPTION GOT EXPECTED; the latter is a pattern.
is() {
	tests=$((tests + 1))
	# shellcheck disable=SC2053
	if [[ $2 == $3 ]]; then
		echo "ok $tests - $1"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $1"
		printf 'got: %s\nexpected: %s\n' "$2" "$3" | sed 's/^/# /'
	fi
}

# Waits until a query says t.
until_true() {
	local i
	for ((i = 0; i < 300; i++)); do
		[ "$(sql -c "$1")" != t ] || return 0
		sleep 0.1
	done
	echo "# waited in vain for $1"
	return 1
}

end_jobs() {
	local job
	for job in $(jobs -p); do
		kill "$job" 2>/dev/null || :
	done
	wait || :
}

done_testing() {
	echo "1..$tests"
}
