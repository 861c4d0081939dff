#!/bin/bash
# Makes rowhook's role, schema and publication when the database is made. The image runs it after the schema.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v password="$ROWHOOK_PASSWORD" --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" \
	--file "${ROLE_SQL:-/rowhook/role.sql}"
