#!/usr/bin/env bash
# What analysers say of the sources; the last line counts their findings, none of which is expected.
#
#	gcc -fanalyzer, clang-tidy, cppcheck	src/*.c
#	and shellcheck							the shell scripts
#
# Findings that were looked at and are no faults stand in test/lint.allowed, each with its reason; one
# that no longer occurs is to be taken out again, and is a finding itself.
set -euo pipefail

cd "$(dirname "$0")/.."
# the caller of private_server.sh says where the checkout is
# shellcheck disable=SC2034
source=$PWD
. test/private_server.sh

# Checks of clang-tidy that are left out:
#	easily-swappable-parameters	a matter of taste: the server's own functions take four integers, too
#	narrowing-conversions		the server's interfaces mix int, int32 and Size; a datum ends at 1 GB. What does not
#								fit is tested for where it comes in; test-sanitize sees what overflows
#	implicit-widening			products of small constants, and of months
#	insecureAPI.Deprecated...	asks for memcpy_s and so on, which the C library does not have
#	Padding						a matter of size, which is measured
#	FloatLoopCounter, flp30-c	counters of whole numbers below 2^53, which are exact
checks='-*,bugprone-*,clang-analyzer-*,cert-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions
	,-bugprone-implicit-widening-of-multiplication-result,-clang-analyzer-security.FloatLoopCounter,-cert-flp30-c
	,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-clang-analyzer-optin.performance.Padding'

# Each analyser prints FILE:LINE:COLUMN: KIND: MESSAGE [CHECK]

run_gcc() {
	local file
	for file in src/*.c; do
		gcc "${compiled[@]}" -O2 -fanalyzer -S -o /dev/null "$file" || echo "$file:1:1: error: gcc failed [gcc]"
	done
}

run_clang_tidy() {
	clang-tidy --quiet --checks="${checks//[$'\n\t']/}" src/*.c -- "${compiled[@]}"
}

# The server's headers would take it ten minutes.  It is told what it needs to know of their macros.
run_cppcheck() {
	cppcheck --quiet --enable=warning,portability,performance --max-configs=1 --language=c --std=c11 \
		--template='{file}:{line}:{column}: {severity}: {message} [{id}]' -Isrc -DRFM_VERSION='""' \
		-DHAVE_INT128 -DPG_VERSION_NUM=180000 -DPG_MODULE_MAGIC_EXT\(...\)= -Dpg_noreturn='__attribute__((noreturn))' \
		-DPG_FUNCTION_INFO_V1\(f\)='extern int f##_info' -DPG_FUNCTION_ARGS='FunctionCallInfo fcinfo' \
		-DFLEXIBLE_ARRAY_MEMBER= -Dpg_attribute_packed\(\)= src/*.c
}

run_shellcheck() {
	git ls-files -z --cached --others --exclude-standard '*.sh' '.ci/run' 'test/fresh_psql' |
		xargs -0 shellcheck --external-sources --source-path=SCRIPTDIR --severity=warning --format=gcc
}

install_packages lint
compiled=(-std=gnu11 -fwrapv -fno-strict-aliasing -ffp-contract=off -Wall -Wextra -D_GNU_SOURCE -DRFM_VERSION='""'
	-isystem "$(postgres_path includedir-server)")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

findings=0
for tool in gcc clang_tidy cppcheck shellcheck; do
	status=0
	"run_$tool" >"$log" 2>&1 || status=$?
	# Prints what is not allowed; cppcheck and gcc say by their status only that they could not run.
	awk -v tool="$tool" -v status="$status" -v root="$source/" '
		FILENAME == ARGV[1] {
			if (NF > 2 && $1 == tool)
				allowed[$2, $3] = 1
			next
		}
		/^[^ ]+:[0-9]+:[0-9]+: [a-z]+: .*\[[^\[\]]+\]$/ && !/: note: / {
			if (index($0, root) == 1)
				$0 = substr($0, length(root) + 1)
			file = $1
			sub(/:.*/, "", file)
			check = $NF
			gsub(/[\[\]]/, "", check)
			seen[file, check] = 1
			if (!((file, check) in allowed) && !said[$0]++) {
				print
				findings++
			}
			next
		}
		/: (fatal )?error: / {
			print
			findings++
		}
		END {
			for (one in allowed)
				if (!(one in seen)) {
					split(one, part, SUBSEP)
					print "test/lint.allowed:1:1: warning: " tool " no longer finds " part[2] " in " part[1]
					findings++
				}
			if (status > 1 || (status && tool != "shellcheck" && tool != "clang_tidy")) {
				print tool ": exit status " status
				findings++
			}
			exit findings > 250 ? 250 : findings
		}' test/lint.allowed "$log" || findings=$((findings + $?))
	echo "$tool: done"
done

echo "$findings findings in $(cat src/*.c src/*.h | wc -l) lines of C and $(git ls-files '*.sh' | wc -l) shell scripts"
[ "$findings" = 0 ]
