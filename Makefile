# rfm_segments: customer segments, computed inside PostgreSQL.
#
#   make && make install       builds and installs for the server that PG_CONFIG names
#   make installcheck          the regression tests, against an installed extension and a running server
#   make test [ONLY=NAME]      all tests, in a private server; installs the packages that are missing
#   make test-citus [PG_CONFIG=...]    models on Citus, on servers of their own; needs a PostgreSQL that has Citus
#   make test-load [SECONDS=180] [SCALE=0.1]    readers, writers and refreshes at once; latencies of every view
#   make fuzz [SECONDS=600] [SEED=1]    corrupt states, hostile input and extreme arguments, by chance
#   make test-sanitize         the SQL tests with AddressSanitizer and UndefinedBehaviorSanitizer
#   make test-valgrind         the tests of the C core under valgrind
#   make lint                  gcc -fanalyzer, clang-tidy, cppcheck and shellcheck
#   make test-fresh            for releases: the README's commands on a new Debian 12, as root and with sudo
#   make test-versions [VERSIONS=17]    for releases: make test on PostgreSQL 15, 17 and 18, each on a new Debian
#   make test-upgrade          for releases: pg_upgrade from PostgreSQL 15 to 17, on a new Debian
#   make demo [SCALE=0.1]      a walk through a generated shop, in a private server
#   make demo-stop             ends the demo and removes its server
#   make dashboard [MODEL=shop] [PORT=3000]    pages about a model, of the demo or where PGHOST and so on point
#   make bench [SCALE=10] [ROUNDS=3]    measurements beside hand-written SQL, DuckDB and pandas, in a private server
#   make dist                  the archive for PGXN, from the last commit

EXTENSION = rfm_segments
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
MODULE_big = $(EXTENSION)
PGFILEDESC = "rfm_segments - customer segments from order lines"
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA = $(sort $(wildcard sql/updates/*.sql))
EXTRA_CLEAN = $(OBJS:.o=.d) $(EXTENSION)-$(EXTVERSION).zip

# pg_regress finds test/sql/NAME.sql and expected/NAME.out.
REGRESS := $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=$(EXTENSION)
ISOLATION := $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=. --load-extension=$(EXTENSION)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

# These reach the bitcode for the JIT too: it must not round other than the module does.
PG_CPPFLAGS = -DRFM_VERSION='"$(EXTVERSION)"' -ffp-contract=off \
	-isystem $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)
PG_CFLAGS = -Wall -Wextra -MMD -MP

ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
else
all install uninstall installcheck clean:
	@echo "$(PG_CONFIG) names no PostgreSQL to build for: install its development files" \
		"(Debian: postgresql-server-dev-NN), or set PG_CONFIG." >&2; exit 1
endif

-include $(OBJS:.o=.d)

# Bitcode has no dependency files of its own.
$(OBJS:.o=.bc): %.bc: %.o
src/module.o: $(EXTENSION).control

# The install script is its parts, in the order of their numbers.
$(DATA_built): $(sort $(wildcard sql/[0-9][0-9]_*.sql)) $(EXTENSION).control
	cat $(filter %.sql,$^) > $@

.DELETE_ON_ERROR:
.PHONY: test test-citus test-load fuzz test-sanitize test-valgrind lint test-fresh test-versions test-upgrade demo demo-stop dashboard bench dist

test:
	@bash test/run.sh

test-citus:
	@bash test/citus.sh

test-load:
	@bash test/load.sh $(or $(SECONDS),180)

test-sanitize:
	@bash test/run.sh sanitize

test-valgrind:
	@bash test/run.sh valgrind

fuzz:
	@FUZZ_SECONDS=$(or $(SECONDS),600) FUZZ_SEED=$(SEED) ONLY=fuzz bash test/run.sh

lint:
	@bash test/lint.sh

test-fresh:
	@bash test/chroot.sh fresh

test-versions:
	@bash test/chroot.sh versions

test-upgrade:
	@bash test/chroot.sh upgrade

demo:
	@bash demo/demo.sh start

demo-stop:
	@bash demo/demo.sh stop

dashboard:
	@bash dashboard/dashboard.sh start

bench:
	@bash bench/bench.sh

dist:
	git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ -o $(EXTENSION)-$(EXTVERSION).zip HEAD
