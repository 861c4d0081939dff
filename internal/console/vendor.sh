#!/usr/bin/env bash
# Fetches the npm packages of site/vendor/versions.txt from the registry, and compares their files with those that are here.
# With "write" as its argument it puts the files here, and prints the lines for versions.txt.
set -euo pipefail
cd "$(dirname "$0")/site/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

while read -r name version licence file sum; do
	case $name in '' | '#'*) continue ;; esac
	if [ ! -d "$work/$name" ]; then
		(cd "$work" && npm pack --silent "$name@$version" >/dev/null && mkdir "$name" && tar xzf "$name-$version.tgz" -C "$name" --strip-components=1)
	fi
	here=$name@$version/$(basename "$file")
	got=$(sha256sum "$work/$name/$file" | cut -d' ' -f1)
	if [ "${1:-}" = write ]; then
		mkdir -p "$name@$version"
		cp "$work/$name/$file" "$here"
		chmod 644 "$here"
		echo "$name $version $licence $file $got"
	elif [ "$got" != "$sum" ] || ! cmp -s "$work/$name/$file" "$here"; then
		echo "$here is not what $name@$version has: $got" >&2
		exit 1
	else
		echo "$here: as published"
	fi
done <versions.txt
