# A private PostgreSQL server with the extension, for the tests and the demo: sourced, not run.
#
# Everything lives in one directory: the server's data, its Unix socket, the build and the installed
# extension.  Nothing is installed into the system's directories and no other server is touched.
# The server never runs as root; its clients run as the caller, so that only the caller needs to
# be able to read the checkout.
#
#	install_packages test|sanitize|valgrind|lint|demo	what is missing, by apt
#	create_private_directory NAME	sets $directory
#	build_extension [MAKE ARGUMENT ...]
#	start_server [SETTING ...]		and points every client at it; lines of postgresql.conf
#	remove_private_directory		ends the server, too
#
# The caller sets $source, the checkout; $extra_source, if the build has one more file in C; and
# $postgres, if the server is started by another command.
#
# shellcheck shell=bash disable=SC2012,SC2086,SC2154

unset MAKEFLAGS MFLAGS MAKELEVEL
export LC_ALL=C.UTF-8
umask 022

die() {
	echo "rfm_segments: $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "this needs root, and there is no sudo: $*" >&2
		return 1
	fi
}

# The server runs as the caller or, when that is root, as postgres.
if [ "$(id -u)" != 0 ]; then
	as_server_user=()
else
	as_server_user=(runuser -u postgres --)
fi

# Runs a command as the server's user.
as_server() (
	cd /
	"${as_server_user[@]}" "$@"
)

# Runs a command quietly; shows what it said when it fails.
quietly() {
	local output
	output=$("$@" 2>&1) || {
		printf '%s\n' "$output" >&2
		return 1
	}
}

# ---------- packages ----------

apt_get() {
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 "$@"
}

# Chooses PG_CONFIG: the caller's, or pg_config when extensions can be built for what it names, or
# the newest server's, or that of the version apt would install.
choose_postgres() {
	local major
	[ -z "${PG_CONFIG:-}" ] || return 0
	PG_CONFIG=$(command -v pg_config) && [ -f "$("$PG_CONFIG" --pgxs)" ] && return
	major=$(ls -v /usr/lib/postgresql/*/bin/postgres 2>/dev/null | tail -n 1 | cut -d / -f 5) || :
	[ -n "$major" ] ||
		major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p') || :
	PG_CONFIG=${major:+/usr/lib/postgresql/$major/bin/pg_config}
}

postgres_path() {
	"$PG_CONFIG" "--$1" 2>/dev/null
}

postgres_major() {
	if [ -x "$(command -v "$PG_CONFIG")" ]; then
		postgres_path version
	else
		echo "$PG_CONFIG"
	fi | sed 's/^[^0-9]*\([0-9]*\).*/\1/'
}

# Lists the packages that are missing for the purpose.
missing_packages() {
	local purpose=$1 major extensions
	major=$(postgres_major)
	extensions=$(postgres_path sharedir)/extension
	command -v make >/dev/null || echo make
	command -v gcc >/dev/null || echo gcc
	[ -f /usr/include/stdio.h ] || echo libc6-dev
	[ -x "$(postgres_path bindir)/postgres" ] || echo "postgresql-$major"
	[ -f "$(postgres_path pgxs)" ] || echo "postgresql-server-dev-$major"
	case $purpose in
		test | sanitize | valgrind)
			command -v pg_prove >/dev/null || echo libtap-parser-sourcehandler-pgtap-perl
			[ -f "$extensions/pgtap.control" ] || echo "postgresql-$major-pgtap"
			[ -f "$extensions/plpgsql_check.control" ] || echo "postgresql-$major-plpgsql-check"
			;;
	esac
	case $purpose in
		test)
			command -v node >/dev/null || echo nodejs
			command -v npm >/dev/null || echo npm
			command -v chromium >/dev/null || echo chromium
			command -v javac >/dev/null || echo default-jdk-headless
			[ -f /usr/share/java/postgresql.jar ] || echo libpostgresql-jdbc-java
			# without it, which not every version has, its test is skipped
			[ -f "$extensions/pg_cron.control" ] || case $PG_CONFIG in
				/usr/bin/* | /usr/lib/postgresql/*)
					! apt-cache show "postgresql-$major-cron" >/dev/null 2>&1 || echo "postgresql-$major-cron"
					;;
			esac
			;;
		valgrind)
			command -v valgrind >/dev/null || echo valgrind
			;;
		lint)
			command -v cppcheck >/dev/null || echo cppcheck
			command -v clang-tidy >/dev/null || echo clang-tidy
			command -v shellcheck >/dev/null || echo shellcheck
			;;
	esac
}

# Installs packages.  Debian makes and starts a cluster with the first server package: not this time.
install_without_cluster() (
	conf=/etc/postgresql-common/createcluster.d/rfm_segments.conf
	trap 'as_root rm -f "$conf"; as_root rmdir --ignore-fail-on-non-empty "${conf%/*}"' EXIT
	trap 'exit 1' INT TERM HUP
	as_root mkdir -p "${conf%/*}"
	echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
	apt_get install --no-install-recommends "$@"
)

# Installs what is missing for the purpose.
install_packages() {
	local packages
	choose_postgres
	[ -n "$PG_CONFIG" ] && packages=$(missing_packages "$1") && [ -z "$packages" ] && return
	command -v apt-get >/dev/null ||
		die "please install ${packages:-PostgreSQL and its development files}"
	apt_get update || die "apt-get update failed"
	choose_postgres
	[ -n "$PG_CONFIG" ] || die "apt offers no PostgreSQL"
	packages=$(missing_packages "$1" | tr '\n' ' ')
	case $PG_CONFIG in
		/usr/bin/* | /usr/lib/postgresql/*) ;;
		*) die "please install for the PostgreSQL of $PG_CONFIG: $packages" ;;
	esac
	echo "Installing $packages"
	install_without_cluster $packages || die "apt-get could not install $packages"
}

# ---------- the directory ----------

# Makes a directory that only the server's user (and root) can enter, with a path short enough for a socket.
create_private_directory() {
	local parent=${TMPDIR:-/tmp}
	[ ${#parent} -lt 70 ] && as_server test -w "$parent" || parent=/tmp
	directory=$(as_server mktemp -d "$parent/rfm_$1.XXXXXX")
}

# Ends the server and removes its directory.
remove_private_directory() {
	[ -d "${directory:-}" ] || return 0
	[ ! -f "$directory/pg_config" ] || PG_CONFIG=$(cat "$directory/pg_config")
	! as_server test -f "$directory/data/postmaster.pid" ||
		as_server "$(postgres_path bindir)/pg_ctl" -D "$directory/data" -m immediate -w stop >/dev/null || :
	[ ! -f "$directory/installed_in_system" ] || make_in_system uninstall || :
	rm -rf "$directory"
}

# ---------- the extension ----------

# Builds a copy of the sources and installs it below the directory.
build_extension() {
	local build=$directory/build
	mkdir "$build"
	(cd "$source" && cp -R Makefile rfm_segments.control src sql test expected "$build")
	[ -z "${extra_source:-}" ] || cp "$source/$extra_source" "$build/src"
	find "$build" -name '*.[od]' -delete -o -name '*.bc' -delete
	quietly make -C "$build" -j "$(nproc)" PG_CONFIG="$PG_CONFIG" "$@" &&
		quietly make -C "$build" install DESTDIR="$directory/installed" PG_CONFIG="$PG_CONFIG" "$@"
}

# ---------- the server ----------

# Whether this PostgreSQL knows a setting.
knows_setting() {
	as_server "$(postgres_path bindir)/postgres" -D "$directory/data" -C "$1" >/dev/null 2>&1
}

# The settings by which the server finds the extension below the directory: PostgreSQL 18 has them,
# Debian adds one to earlier versions.
extension_settings() {
	local root=$directory/installed
	if knows_setting extension_control_path; then
		echo "extension_control_path = '$root$(postgres_path sharedir):\$system'"
		echo "dynamic_library_path = '$root$(postgres_path pkglibdir):\$libdir'"
	elif knows_setting extension_destdir; then
		echo "extension_destdir = '$root'"
	else
		return 1
	fi
}

make_in_system() {
	local as_installer=
	[ -w "$(postgres_path pkglibdir)" ] || as_installer=as_root
	quietly $as_installer make -C "$directory/build" "$1" PG_CONFIG="$PG_CONFIG"
}

# For a server without such a setting: the extension is installed in the system until the end.
install_in_system() {
	[ -f "$(postgres_path sharedir)/extension/rfm_segments.control" ] || touch "$directory/installed_in_system"
	make_in_system install
}

# Starts the server and points all clients at it, as superuser postgres.
start_server() {
	local bindir name
	bindir=$(postgres_path bindir)
	echo "$PG_CONFIG" >"$directory/pg_config"
	quietly as_server "$bindir/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
	cat >>"$directory/data/postgresql.conf" <<-SETTINGS
		listen_addresses = ''
		unix_socket_directories = '$directory'
		unix_socket_permissions = 0700
		fsync = off
		full_page_writes = off
		synchronous_commit = off
		max_worker_processes = 16
		timezone = 'UTC'
		log_timezone = 'UTC'
	SETTINGS
	[ $# = 0 ] || printf '%s\n' "$@" >>"$directory/data/postgresql.conf"
	(extension_settings) >>"$directory/data/postgresql.conf" || install_in_system
	quietly as_server "$bindir/pg_ctl" -D "$directory/data" -l "$directory/data/log" ${postgres:+-p "$postgres"} -w start || {
		cat "$directory/data/log" >&2
		return 1
	}
	for name in ${!PG*}; do
		[ "$name" = PG_CONFIG ] || unset "$name"
	done
	export PGHOST=$directory PGUSER=postgres PGCLIENTENCODING=UTF8 PATH=$bindir:$PATH
}
