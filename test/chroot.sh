#!/usr/bin/env bash
# Proves a release on systems that have nothing yet: the last commit, in chroots made by debootstrap. Needs root or sudo, 6 GB of
# disk in $TMPDIR or /tmp for each of them, and Debian's mirror; no test is skipped for want of time.
#
#	make test-fresh		the README's commands on a fresh Debian 12, as root and as a user with sudo
#	make test-versions	make test on PostgreSQL 15, 17 and 18: Debian 12, 13 and unstable
#	make test-versions VERSIONS=17		one of them
#	make test-upgrade	pg_upgrade from PostgreSQL 15 to 17, with models: test/pg_upgrade.sh
#	make test-fresh MIRROR=http://...	another mirror than this machine's
#
# A mirror that cannot be reached is a SKIP, printed; anything else that fails is a failure. Each system runs in namespaces of its
# own: whatever it started ends with it, whatever it mounted goes with it.
#
# shellcheck disable=SC2154
set -euo pipefail

cd "$(dirname "$0")/.."
source=$PWD
. test/private_server.sh

# shellcheck disable=SC2016
mirror=${MIRROR:-$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' | awk '$1 == "Debian" { print $2; exit }')}
passed=0 failed=0 skipped=0

declare -A suite_of=([15]=bookworm [17]=trixie [18]=sid)

finish() {
	trap - EXIT
	[ -z "${root:-}" ] || as_root rm -rf --one-file-system "$root"
	echo "$passed passed, $failed failed, $skipped skipped"
	# in a trap, exit alone would be that of before
	if [ "$failed" = 0 ] && [ "$((passed + skipped))" != 0 ]; then
		exit 0
	fi
	exit 1
}

reachable() {
	local answer
	answer=$(mktemp)
	/usr/lib/apt/apt-helper -o Acquire::Retries=2 download-file "${mirror%/}/dists/$1/Release" "$answer" >/dev/null 2>&1
	local status=$?
	rm -f "$answer"
	return $status
}

# Makes a system of a suite in $root, with git, make, sudo and the last commit, and nothing else that a test needs. The packages'
# and npm's registries are asked as this machine asks them.
make_system() {
	root=$(as_root mktemp -d "${TMPDIR:-/tmp}/rfm_chroot.XXXXXX")
	as_root chmod 755 "$root"
	quietly as_root debootstrap --variant=minbase --include=ca-certificates,git,make,sudo "$1" "$root" "$mirror" || return
	echo 'Acquire::Check-Valid-Until "false";' | as_root tee "$root/etc/apt/apt.conf.d/90rfm" >/dev/null
	[ ! -f /etc/npmrc ] || as_root cp /etc/npmrc "$root/etc/npmrc"
	as_root cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
	as_root cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	as_root git -c safe.directory="$source" bundle create -q "$root/srv/rfm_segments.bundle" HEAD
	as_root chroot "$root" useradd --create-home --shell /bin/bash tester
	echo 'tester ALL=(ALL) NOPASSWD: ALL' | as_root tee "$root/etc/sudoers.d/tester" >/dev/null
}

# Runs a command in the system, as one of its users; the shell in between is the init that the orphans of a system need.
in_system() {
	# shellcheck disable=SC2016
	as_root unshare --mount --pid --fork --kill-child -- bash -c '
		mount -t proc proc "$1/proc" && mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm" && mount -t devpts devpts "$1/dev/pts" || exit
		chroot "$1" su - "$2" -c "$3" </dev/null
		exit $?' - "$root" "$1" "$2"
}

# Runs commands as a user of a new system and counts one test: SUITE USER COMMANDS
try() {
	local log what="$1, as $2" last
	if ! reachable "$1"; then
		echo "SKIP $what: $mirror cannot be reached"
		skipped=$((skipped + 1))
		return
	fi
	echo "$what ..."
	log=$(mktemp)
	if make_system "$1" && in_system "$2" "git clone -q /srv/rfm_segments.bundle rfm && cd rfm && $3" >"$log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		tail -n 200 "$log"
		echo "FAILED $what"
	fi
	last=$(grep -E '^[0-9]+ passed, ' "$log" | tail -n 1) || :
	echo "$what: ${last:-no test ran}"
	rm -f "$log"
	as_root rm -rf --one-file-system "$root"
	root=
}

[ -n "$mirror" ] || die "apt names no mirror of Debian: run apt-get update, or set MIRROR"
command -v debootstrap >/dev/null || {
	apt_get update || die "apt-get update failed"
	apt_get install --no-install-recommends debootstrap || die "apt-get could not install debootstrap"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

case ${1:-} in
	fresh)
		# what a reader does; the checkout stays clean, and there is no cluster that was not there before
		# shellcheck disable=SC2016
		commands='make demo && make demo-stop && make test && test -z "$(git status --porcelain)" && ! ls /etc/postgresql/*/* 2>/dev/null'
		try bookworm root "$commands"
		try bookworm tester "$commands"
		;;
	versions)
		for version in ${VERSIONS:-15 17 18}; do
			[ -n "${suite_of[$version]:-}" ] || die "VERSIONS are some of ${!suite_of[*]}"
			try "${suite_of[$version]}" root "make test && ls -d /usr/lib/postgresql/$version"
		done
		;;
	upgrade)
		# Debian 13 with the older server of Debian 12
		try trixie root "
			echo 'deb $mirror bookworm main' >/etc/apt/sources.list.d/bookworm.list
			printf '%s\\n' 'Package: *' 'Pin: release n=bookworm' 'Pin-Priority: 100' >/etc/apt/preferences.d/bookworm
			mkdir -p /etc/postgresql-common/createcluster.d
			echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/rfm_segments.conf
			apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends gcc libc6-dev \\
				postgresql-15 postgresql-server-dev-15 postgresql-17 postgresql-server-dev-17 && bash test/pg_upgrade.sh"
		;;
	*) die "usage: test/chroot.sh fresh | versions | upgrade" ;;
esac
