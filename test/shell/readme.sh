#!/usr/bin/env bash
# README.md: its SQL runs, top to bottom, and prints what is shown below it.
#
# Every ```sql block is a test. Where a ```text block follows it directly, the lines of that block
# must occur in what psql printed, in this order; NOTICEs among them, blanks at the ends of lines not.
#
#	test/shell/readme.sh --print	prints the blocks with their actual output instead
set -euo pipefail

export PGDATABASE=readme_test PGOPTIONS='-c timezone=UTC -c lc_messages=C -c client_min_messages=notice'
directory=$(mktemp -d)
trap 'rm -r "$directory"' EXIT

# Writes the SQL blocks to NNN.sql, named by their line, and what is shown below them to NNN.text.
awk -v directory="$directory" '
	/^```/ && inside {
		inside = 0
		next
	}
	/^```/ {
		inside = 1
		language = substr($0, 4)
		if (language == "sql") {
			name = sprintf("%s/%04d", directory, NR)
		} else if (language != "text") {
			name = ""
		}
		next
	}
	inside && name != "" { print > (name "." language) }
	!inside && NF { name = "" }' "$RFM_SOURCE_DIR/README.md"

# The lines of the first file that the second does not have in this order.
missing_lines() {
	awk '
		{ sub(/[ \t]+$/, "") }
		NR == FNR { expected[++n] = $0; next }
		found < n && $0 == expected[found + 1] { found++ }
		END { for (i = found + 1; i <= n; i++) print expected[i] }' "$1" "$2"
}

createdb "$PGDATABASE"
psql -Xq -v ON_ERROR_STOP=1 -v scale=0.1 -v as_of=2024-01-21 -f "$RFM_SOURCE_DIR/demo/thelook.sql" >"$directory/thelook" 2>&1 ||
	sed 's/^/# /' "$directory/thelook"

blocks=("$directory"/*.sql)
[ "${1:-}" = --print ] || echo "1..${#blocks[@]}"
number=0
for block in "${blocks[@]}"; do
	number=$((number + 1)) status=0
	line=$(basename "$block" .sql | sed 's/^0*//')
	# from standard input, so that messages do not name the file
	psql -Xq -v ON_ERROR_STOP=1 -P pager=off -P footer=off <"$block" >"$directory/output" 2>&1 || status=$?
	if [ "${1:-}" = --print ]; then
		printf '%s\n' "---- line $line" "$(cat "$block")" "----" "$(cat "$directory/output")"
		continue
	fi
	: >"$directory/missing"
	[ ! -f "${block%.sql}.text" ] || missing_lines "${block%.sql}.text" "$directory/output" >"$directory/missing"
	if [ "$status" = 0 ] && [ ! -s "$directory/missing" ]; then
		echo "ok $number - README.md line $line"
	else
		echo "not ok $number - README.md line $line"
		sed 's/^/# missing: /' "$directory/missing"
		sed 's/^/# psql: /' "$directory/output"
	fi
done
