# Builds the extension and starts the server below a memory checker: sourced by test/run.sh, for
# make test-sanitize and make test-valgrind.
#
# The server is Debian's, without a checker in it.  Two things make up for that: memory_guard.c gives
# each chunk of memory that the extension sees to the checker, and the postmaster alone starts below
# the checker (pg_ctl -p), neither pg_ctl nor a shell or client does.  The JIT is left out: it
# would inline a second copy of the functions, which has no checks in it.
#
#	sanitize	AddressSanitizer and UndefinedBehaviorSanitizer, built into the extension
#	valgrind	memcheck; the reports that are the server's own are in valgrind.supp
#
# Any report fails the run.
#
# shellcheck shell=bash disable=SC2034,SC2086,SC2116,SC2154

# The calls of the extension's that memory_guard.c takes.
guarded='palloc palloc0 palloc_extended MemoryContextAlloc MemoryContextAllocZero
	MemoryContextAllocZeroAligned MemoryContextAllocExtended MemoryContextAllocHuge
	AllocSetContextCreateInternal pg_detoast_datum pg_detoast_datum_packed pg_detoast_datum_copy
	pg_detoast_datum_slice'

# Builds as the checker needs it.
checker_build_extension() {
	local options='-O1 -g -fno-omit-frame-pointer'
	# Signed integers wrap in the server's own build; here, that is a report.
	[ "$checker" != sanitize ] || options+=' -fsanitize=address,undefined,float-cast-overflow
		-fno-sanitize-recover=undefined,float-cast-overflow -fno-wrapv'
	extra_source=test/memory_guard.c
	# Without the system's CPPFLAGS: fortified calls of memcpy and so on would pass the checker by.
	build_extension with_llvm=no CPPFLAGS=-D_GNU_SOURCE COPT="$(echo $options)" \
		SHLIB_LINK="$(printf -- '-Wl,--wrap=%s ' $guarded)"
}

# Makes a library that has AddressSanitizer start before any other library: it starts with the first
# malloc.  In the server that would be one of libgpg-error's, which calls bindtextdomain when it is
# loaded; AddressSanitizer looks for a symbol that is not there, the message is translated, and gettext
# waits for a lock that it holds itself, for ever.
make_sanitizer_first() {
	gcc -O0 -shared -fPIC -Wl,-z,initfirst -x c -o "$1" - <<-'C'
		#include <stdlib.h>
		__attribute__((constructor)) static void first(void) { free(malloc(1)); }
	C
}

# Starts the server below the checker.
checker_start_server() {
	local reports=$directory/reports command
	as_server mkdir "$reports"
	cp "$source/test/valgrind.supp" "$directory"
	case $checker in
		sanitize)
			make_sanitizer_first "$directory/first.so"
			# libasan wants its addresses free, which a random layout may not leave.
			command="$(setarch -R true 2>/dev/null && echo setarch -R)
				env 'LD_PRELOAD=$(gcc -print-file-name=libasan.so) $directory/first.so'
				ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=0:quarantine_size_mb=16:malloc_context_size=8:log_path=$reports/asan
				UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1"
			;;
		valgrind)
			command="valgrind --quiet --trace-children=no --num-callers=40 --fullpath-after=$directory/build/
				--suppressions=$directory/valgrind.supp --gen-suppressions=all --log-file=$reports/memcheck.%p"
			;;
	esac
	cat >"$directory/postgres" <<-SCRIPT
		#!/bin/sh
		exec $(echo $command) "$(postgres_path bindir)/postgres" "\$@"
	SCRIPT
	chmod 755 "$directory/postgres"
	postgres=$directory/postgres
	# a statement may take so long that its tables would be analysed meanwhile, and the next one be planned otherwise
	start_server 'jit = off' 'autovacuum = off'
}

# Shows the reports, each of which is a failure more.  The server ends first, and with it the checker.
checker_finish() {
	local report
	[ ! -f "$directory/data/postmaster.pid" ] || [ -n "${KEEP:-}" ] ||
		as_server "$(postgres_path bindir)/pg_ctl" -D "$directory/data" -m fast -w stop >/dev/null || :
	# gcc's UndefinedBehaviorSanitizer writes to standard error only, which is the server's log.
	if [ "$checker" = sanitize ] && [ -f "$directory/data/log" ]; then
		grep -A 30 ': runtime error: ' "$directory/data/log" >"$directory/reports/undefined" || :
	fi
	for report in "$directory"/reports/*; do
		[ -s "$report" ] || continue
		cat "$report"
		failed=$((failed + 1)) remark=", with reports of $checker"
	done
}
