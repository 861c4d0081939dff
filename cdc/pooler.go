package cdc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// PoolerMend is the next step where a connection pooler stands before Postgres.
const PoolerMend = "this looks like a connection pooler: give the direct, unpooled address of Postgres in database.url, and in database.read_url and store.url where they are set"

// RefusePooler returns an Error of class Refused unless the settings are in force with which a connection was opened. Postgres
// puts them in force, or refuses the connection; a pooler may be told to leave them out (ignore_startup_parameters), and
// whatever relies on them, such as time limits and search_path, then goes wrong without a word.
func RefusePooler(ctx context.Context, conn *pgx.Conn) error {
	c := conn.Config()
	asked := maps.Clone(c.RuntimeParams)
	// Poolers keep these up themselves. They say nothing.
	for _, name := range []string{"application_name", "client_encoding", "timezone", "datestyle", "standard_conforming_strings", "options", "replication"} {
		maps.DeleteFunc(asked, func(key, _ string) bool { return strings.EqualFold(key, name) })
	}
	// The simple protocol: a statement that is prepared by name may be gone at its first use. Settings that are not shown there,
	// such as role and those with a dot, are not asked about.
	rows, err := conn.Query(ctx, `select lower(name) from pg_catalog.pg_settings where source not in ('client', 'session')`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	others, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	maps.DeleteFunc(asked, func(key, _ string) bool { return !slices.Contains(others, strings.ToLower(key)) })
	if len(asked) == 0 {
		return nil
	}
	return &Error{Class: Refused, What: fmt.Sprintf("connect at %s:%d/%s: these settings, with which the connection was opened, are not in force: %s",
		c.Host, c.Port, c.Database, strings.Join(slices.Sorted(maps.Keys(asked)), ", ")), Mend: PoolerMend}
}
