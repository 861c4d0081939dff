package pgtest

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Needs skips a test of what only newer versions of Postgres have: where the server at the URL is older than the major version.
func Needs(tb TB, url string, major int, what string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		tb.Fatalf("pgtest: ask the server for its version: %v", err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version int
	if err := conn.QueryRow(ctx, `select current_setting('server_version_num')::int / 10000`).Scan(&version); err != nil {
		tb.Fatalf("pgtest: ask the server for its version: %v", err)
		return
	}
	if version < major {
		tb.Skipf("Postgres %d has no %s: %d has", version, what, major)
	}
}
