package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// HeldCursor is where a page of what is held ends.
type HeldCursor struct {
	Next time.Time
	Key  int64
}

// Held is an ordering key of which something is stored to be sent.
type Held struct {
	Key int64
	// Oldest is what is sent first, Waiting how many there are with it; with AtLeast there are more.
	Oldest  *Logged
	Waiting int
	AtLeast bool
}

// heldCounted is how many deliveries of a key are counted.
const heldCounted = 1000

// ListHeld returns the ordering keys of a subscription of which something waits, that with the soonest attempt first, and where the next
// page begins; nil at the end.
func (s *Store) ListHeld(ctx context.Context, subscription int64, after HeldCursor, limit int) (page []Held, next *HeldCursor, err error) {
	err = s.looking(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT d.key, d.position, d.committed_at, d.due_at, d.attempts, d.retry_reason, d.replay, d.fallback IS NOT NULL,
				(SELECT count(*) FROM (SELECT FROM due w WHERE w.subscription = $1 AND w.key = d.key LIMIT $5) x)
			FROM due d
			WHERE d.subscription = $1 AND d.due_at < 'infinity' AND d.due_at >= $2 AND (d.due_at > $2 OR d.key > $3) ORDER BY d.due_at, d.key LIMIT $4`,
			subscription, after.Next, after.Key, limit+1, heldCounted+1)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, scanHeld)
		if err != nil {
			return err
		}
		if len(page) > limit {
			page = page[:limit]
			last := page[limit-1]
			next = &HeldCursor{Next: last.Oldest.NextAttempt, Key: last.Key}
		}
		all := make([]*Logged, len(page))
		for i := range page {
			all[i] = page[i].Oldest
		}
		return describe(ctx, tx, all)
	})
	if err != nil {
		return nil, nil, unavailable(fmt.Errorf("read what is held: %w", err))
	}
	return page, next, nil
}

func scanHeld(row pgx.CollectableRow) (h Held, err error) {
	l := &Logged{Event: &mapping.Event{}}
	var position []byte
	var attempts int16
	if err := row.Scan(&h.Key, &position, &l.Event.Time, &l.NextAttempt, &attempts, &l.RetryReason, &l.Replay, &l.Fallback, &h.Waiting); err != nil {
		return h, err
	}
	if h.Waiting > heldCounted {
		h.Waiting, h.AtLeast = heldCounted, true
	}
	l.Attempts, l.Event.Time, l.NextAttempt, h.Oldest = int(attempts), l.Event.Time.UTC(), l.NextAttempt.UTC(), l
	l.Event.Position, err = cdc.PositionFromBytes(position)
	return h, err
}
