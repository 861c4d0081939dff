#!/bin/sh
# Subscribes the receiver to everything, once rowhook is ready, unless it is subscribed already.
set -eu
curl -fsS --retry 60 --retry-delay 1 --retry-all-errors "$ROWHOOK_URL/readyz" >/dev/null
if curl -fsS -H "Authorization: Bearer $ROWHOOK_TOKEN" "$ROWHOOK_URL/api/v1/subscription/" | grep -qF "\"$TARGET_URL\""; then
	echo "subscribed already"
	exit 0
fi
curl -fsS -H "Authorization: Bearer $ROWHOOK_TOKEN" -H 'Content-Type: application/json' \
	-d "{\"events\": [\"*\"], \"target_url\": \"$TARGET_URL\", \"secret\": \"$WEBHOOK_SECRET\"}" \
	"$ROWHOOK_URL/api/v1/subscription/"
