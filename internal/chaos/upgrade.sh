#!/usr/bin/env bash
# Builds rowhook as it was at FROM, and lets it and the present one take turns under load.
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"

# Without a release: the first commit that runs on a later one's store.
from=${FROM:-$(git describe --tags --match 'v[0-9]*' --abbrev=0 2>/dev/null || git log --format=%H --diff-filter=A -- internal/store/usable.go | tail -n 1)}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/source"
git archive "$from" | tar -x -C "$dir/source"
(cd "$dir/source" && go build -trimpath -buildvcs=false -ldflags "-X main.version=$from" -o "$dir/rowhook" ./cmd/rowhook)
rm -rf "$dir/source"
echo "from $from"
UPGRADE_PREVIOUS=$dir/rowhook go test -count=1 -timeout 1h -v -run '^TestUpgrade$' ./internal/chaos
