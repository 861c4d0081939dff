package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
)

// LoadCheckpoint implements cdc.Checkpoints.
func (s *Store) LoadCheckpoint(ctx context.Context, slot string) (cdc.Checkpoint, bool, error) {
	c := cdc.Checkpoint{Slot: slot}
	var lsn, reach string
	var epoch int64
	var settled *time.Time
	err := s.pool.QueryRow(ctx, `
		SELECT system_id, database_oid, timeline, environment, epoch, lsn::text, coalesce(reach, '0/0')::text, settled_at, tables, missed
		FROM checkpoint WHERE slot = $1`, slot).
		Scan(&c.SystemID, &c.DatabaseOID, &c.Timeline, &c.Environment, &epoch, &lsn, &reach, &settled, &c.Tables, &c.Missed)
	if errors.Is(err, pgx.ErrNoRows) {
		return cdc.Checkpoint{}, false, nil
	}
	if err != nil {
		return cdc.Checkpoint{}, false, unavailable(fmt.Errorf("load checkpoint: %w", err))
	}
	c.Epoch = uint32(epoch)
	if settled != nil {
		c.SettledAt = settled.UTC()
	}
	if c.LSN, err = pglogrepl.ParseLSN(lsn); err != nil {
		return cdc.Checkpoint{}, false, fmt.Errorf("load checkpoint: %w", err)
	}
	if c.Reach, err = pglogrepl.ParseLSN(reach); err != nil {
		return cdc.Checkpoint{}, false, fmt.Errorf("load checkpoint: %w", err)
	}
	return c, true, nil
}

// SaveCheckpoint implements cdc.Checkpoints. The first checkpoint of a slot begins an epoch after those that the store
// knows, so that positions are never used twice. When another process has taken over since Own it is not saved: what is
// settled here is not settled there.
func (s *Store) SaveCheckpoint(ctx context.Context, c cdc.Checkpoint) error {
	slot, owner := s.owned()
	if slot != c.Slot {
		owner = ""
	}
	tag, err := s.pool.Exec(ctx, `
		UPDATE checkpoint SET system_id = $2, database_oid = $3, timeline = $4, environment = $5, epoch = greatest(epoch, $6),
			lsn = greatest(lsn, $7::text::pg_lsn), reach = $9::text::pg_lsn, settled_at = $10, updated_at = now()
		WHERE slot = $1 AND ($8 = '' OR owner = $8)`,
		c.Slot, c.SystemID, c.DatabaseOID, c.Timeline, c.Environment, int64(c.Epoch), c.LSN.String(), owner,
		c.Reach.String(), timeOrNull(c.SettledAt))
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	if owner != "" {
		return fmt.Errorf("save checkpoint: %w", sender.ErrNotOwner)
	}
	return s.firstCheckpoint(ctx, c)
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC()
}

// firstCheckpoint begins an epoch. Positions of the log may be lower in it than before, as those of another cluster are:
// subscriptions that were made before it must not wait until the log has grown so far.
func (s *Store) firstCheckpoint(ctx context.Context, c cdc.Checkpoint) error {
	newest, err := s.Horizon(ctx)
	if err != nil {
		return fmt.Errorf("save the first checkpoint: %w", err)
	}
	err = s.transact(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO checkpoint (slot, system_id, database_oid, timeline, environment, epoch, lsn, reach, settled_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7::text::pg_lsn, $8::text::pg_lsn, $9) ON CONFLICT (slot) DO NOTHING`,
			c.Slot, c.SystemID, c.DatabaseOID, c.Timeline, c.Environment, int64(max(c.Epoch, newest.Epoch+1)), c.LSN.String(),
			c.Reach.String(), timeOrNull(c.SettledAt))
		if err != nil {
			return err
		}
		if err := forgetSuperseded(ctx, tx); err != nil {
			return err
		}
		return lowerSince(ctx, tx, c.LSN)
	})
	if err != nil {
		return fmt.Errorf("save the first checkpoint: %w", err)
	}
	return nil
}

// lowerSince lets subscriptions match from a position on that is lower than those at which they were made.
func lowerSince(ctx context.Context, tx pgx.Tx, from cdc.LSN) error {
	_, err := tx.Exec(ctx, `UPDATE subscription SET since = $1::text::pg_lsn WHERE since > $1::text::pg_lsn`, from.String())
	return err
}

// SavePublished implements cdc.Checkpoints. It is fenced as SaveCheckpoint is.
func (s *Store) SavePublished(ctx context.Context, slot string, tables []cdc.Published, missed *cdc.Missed) error {
	if tables == nil {
		tables = []cdc.Published{}
	}
	owned, owner := s.owned()
	if owned != slot {
		owner = ""
	}
	tag, err := s.pool.Exec(ctx, `UPDATE checkpoint SET tables = $2, missed = $3 WHERE slot = $1 AND ($4 = '' OR owner = $4)`, slot, tables, missed, owner)
	if err == nil && tag.RowsAffected() == 0 && owner != "" {
		err = sender.ErrNotOwner
	}
	if err != nil {
		return fmt.Errorf("save which tables are published: %w", err)
	}
	return nil
}

// Own notes that this process reads the slot now, and says whether it was the last one to do so: then nobody else has
// sent anything in between. From then on the process that was the last one writes nothing any more: its Write returns
// sender.ErrNotOwner.
func (s *Store) Own(ctx context.Context, slot, owner string) (same bool, err error) {
	var last *string
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if err := s.fence(ctx, tx, slot); err != nil {
			return err
		}
		// A later release may have changed the store while this one stood by.
		state, err := readSchemaState(ctx, tx)
		if err == nil {
			err = state.refusal(newestMigration())
		}
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			UPDATE checkpoint c SET owner = $2 FROM (SELECT slot, owner FROM checkpoint WHERE slot = $1 FOR UPDATE) o
			WHERE c.slot = o.slot RETURNING o.owner`, slot, owner).Scan(&last)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return true, nil // a temporary slot has no checkpoint, and no other process
	}
	if err != nil {
		return false, fmt.Errorf("note who reads the slot: %w", err)
	}
	s.mu.Lock()
	s.slot, s.owner = slot, owner
	s.mu.Unlock()
	return last != nil && *last == owner, nil
}

func (s *Store) owned() (slot, owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slot, s.owner
}

// Horizon is the position of the newest event or dead letter in the store: what comes after it is new. Zero when there
// is none.
func (s *Store) Horizon(ctx context.Context) (cdc.Position, error) {
	var p []byte
	err := s.pool.QueryRow(ctx, `
		SELECT position FROM (
			(SELECT position FROM event ORDER BY position DESC LIMIT 1)
			UNION ALL (SELECT position FROM dead_letter ORDER BY position DESC LIMIT 1)) p
		ORDER BY position DESC LIMIT 1`).Scan(&p)
	if errors.Is(err, pgx.ErrNoRows) {
		return cdc.Position{}, nil
	}
	if err != nil {
		return cdc.Position{}, fmt.Errorf("read the newest position: %w", err)
	}
	return cdc.PositionFromBytes(p)
}
