package dev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// prefix begins the names of all that dev makes in a database: a schema and a publication of one name, and a slot that is
// gone with its connection.
const prefix = "rowhook_dev_"

// newName is a name of one run.
func newName() string { return prefix + strings.ToLower(rand.Text()[:8]) }

// lockKey is the key of the advisory lock that a run holds as long as it lives.
func lockKey(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return int64(h.Sum64())
}

// hold takes the lock of a run, for as long as the connection lasts.
func hold(ctx context.Context, conn *pgx.Conn, name string) error {
	_, err := conn.Exec(ctx, `select pg_advisory_lock($1)`, lockKey(name))
	return err
}

// sweep removes what runs have left that were killed, and names it. What a living run holds stays.
func sweep(ctx context.Context, conn *pgx.Conn) (removed []string, err error) {
	rows, err := conn.Query(ctx, `
		select nspname::text from pg_namespace where nspname ~ '^rowhook_dev_[a-z0-9]{8}$'
		union select pubname::text from pg_publication where pubname ~ '^rowhook_dev_[a-z0-9]{8}$' order by 1`)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, name := range names {
		var free bool
		if err := conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, lockKey(name)).Scan(&free); err != nil {
			return removed, err
		}
		if !free {
			continue
		}
		if err := remove(ctx, conn, name); err != nil {
			wrong = append(wrong, fmt.Errorf("remove %s, which a run that was killed has left: %w", name, err))
		} else {
			removed = append(removed, name)
		}
		if _, err := conn.Exec(ctx, `select pg_advisory_unlock($1)`, lockKey(name)); err != nil {
			return removed, err
		}
	}
	return removed, errors.Join(wrong...)
}

// remove drops all that a run has made.
func remove(ctx context.Context, conn *pgx.Conn, name string) error {
	for _, sql := range removal(name) {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func removal(name string) []string {
	return []string{
		"DROP PUBLICATION IF EXISTS " + cdc.QuoteIdent(name),
		"DROP SCHEMA IF EXISTS " + cdc.QuoteIdent(name) + " CASCADE",
	}
}

// removeTimeout bounds the removal at the end.
const removeTimeout = 10 * time.Second

// cleanUp removes what a run has made, over a connection of its own: the one that the run had may be gone.
func cleanUp(o Options, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	conn, err := connect(ctx, o)
	if err == nil {
		defer conn.Close(context.WithoutCancel(ctx))
		err = remove(ctx, conn, name)
	}
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n")
		return fmt.Errorf("what this run has made is still there: %s\n  hint: the next rowhook dev on this database removes it, or\n    %s;",
			why, strings.Join(removal(name), ";\n    "))
	}
	return nil
}
