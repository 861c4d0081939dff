package store

import (
	"context"
	"errors"
	"hash/fnv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A write holds the fence of its slot, shared, until it is committed, and who changes the owner holds it alone: he sees all
// that was written, and nothing is written afterwards by who was the owner before. An advisory lock leaves no trace in
// the log, as a row's would in each transaction.

func (s *Store) fenceKey(slot string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("rowhook fence\x00" + s.cfg.Schema + "\x00" + slot))
	return int64(h.Sum64())
}

// fence keeps writes out until the transaction ends.
func (s *Store) fence(ctx context.Context, tx pgx.Tx, slot string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, s.fenceKey(slot))
	return err
}

// notOwner is a setting that does not exist: asking for it ends the transaction within the batch, before its COMMIT.
const notOwner = "rowhook.not_owner"

// queueFence lets the transaction fail unless the slot is the owner's.
func (s *Store) queueFence(b *pgx.Batch, slot, owner string) {
	b.Queue(`SELECT pg_advisory_xact_lock_shared($1)`, s.fenceKey(slot))
	// A statement of its own: it sees what was committed before the lock was given.
	b.Queue(`SELECT CASE WHEN (SELECT owner FROM checkpoint WHERE slot = $1) IS DISTINCT FROM $2 THEN current_setting('`+notOwner+`') END`,
		slot, owner)
}

// isNotOwner says whether an error is the fence's.
func isNotOwner(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42704" && strings.Contains(pg.Message, notOwner)
}
