#!/bin/bash
# Changes rows for as long as it runs: the file's statements, one transaction each, one per second.
set -uo pipefail
while true; do
	while IFS= read -r statement; do
		case $statement in '' | --*) continue ;; esac
		psql --quiet --no-psqlrc --command "$statement" || true # the database may be restarting
		sleep "${PAUSE:-1}"
	done <"$1"
done
