package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// Notice is an event that is not made of a change, for some subscriptions, by their Key.
type Notice struct {
	Event *mapping.Event
	To    []int64
}

// ErrChanged says that the checkpoint is not what it was: somebody else was faster.
var ErrChanged = errors.New("the checkpoint has changed meanwhile: look again")

// Resume replaces the checkpoint old by next, and makes the notices due, all or nothing. Nobody owns the store
// afterwards: whoever reads the slot next takes over what is due, with the notices.
func (s *Store) Resume(ctx context.Context, old, next cdc.Checkpoint, notices []Notice) error {
	var records []sender.Record
	now := time.Now().UTC() // what is due is compared with this process' clock, not the server's
	for _, n := range notices {
		key, _ := sender.OrderingKeys(n.Event)
		for i, to := range n.To {
			records = append(records, sender.Record{Op: sender.Defer, Event: n.Event, InsertEvent: i == 0, Subscription: to,
				Key: key, DueAt: now})
		}
	}
	if err := s.ensurePartitions(ctx, records); err != nil {
		return err
	}
	err := s.transact(ctx, func(tx pgx.Tx) error {
		if err := s.fence(ctx, tx, old.Slot); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE checkpoint SET system_id = $4, database_oid = $5, timeline = $6, environment = $7, epoch = $8,
				lsn = $9::text::pg_lsn, reach = $10::text::pg_lsn, settled_at = $11, missed = $12, tables = $13, owner = NULL, updated_at = now()
			WHERE slot = $1 AND epoch = $2 AND lsn = $3::text::pg_lsn`,
			old.Slot, int64(old.Epoch), old.LSN.String(), next.SystemID, next.DatabaseOID, next.Timeline, next.Environment,
			int64(next.Epoch), next.LSN.String(), next.Reach.String(), timeOrNull(next.SettledAt), next.Missed, append([]cdc.Published{}, next.Tables...))
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return ErrChanged
		}
		if next.Epoch != old.Epoch {
			if err := lowerSince(ctx, tx, next.LSN); err != nil {
				return err
			}
			if err := forgetSuperseded(ctx, tx); err != nil {
				return err
			}
		}
		return s.writeNotices(ctx, tx, records)
	})
	if err != nil {
		return fmt.Errorf("go on: %w", err)
	}
	return nil
}

func (s *Store) writeNotices(ctx context.Context, tx pgx.Tx, records []sender.Record) error {
	if len(records) == 0 {
		return nil
	}
	r := collect(records, records[0].DueAt)
	b := &pgx.Batch{}
	r.queueEvents(b)
	r.queueDefers(b)
	return tx.SendBatch(ctx, b).Close()
}
