package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ExpireKept removes what waits for disabled subscriptions and was committed before the time, and gives up what had failed for good
// before they were disabled, but for those that have been disabled
// since: they have all the time from then on. It returns how much it removed of whom, and tells them in disabled. What is left of an
// ordering key begins with its oldest row again.
func (s *Store) ExpireKept(ctx context.Context, before time.Time) (map[int64]int, error) {
	removed := map[int64]int{}
	if err := s.expireFailed(ctx, before); err != nil {
		return removed, fmt.Errorf("count what failed and is not kept any more: %w", err)
	}
	for {
		n, err := s.expireKept(ctx, before, removed)
		if err != nil {
			return removed, fmt.Errorf("remove what was kept for too long: %w", err)
		}
		if n < sweepRows {
			return removed, nil
		}
	}
}

// missedSQL adds to what a disabled subscription has missed.
const missedSQL = `
	UPDATE subscription SET disabled = disabled || jsonb_build_object('missed', jsonb_build_object(
		'count', coalesce((disabled->'missed'->>'count')::bigint, 0) + $2,
		'until', to_jsonb(greatest((disabled->'missed'->>'until')::timestamptz, $3::timestamptz)),
		'position', greatest(disabled->'missed'->>'position', encode($4::bytea, 'hex'))))
	WHERE key = $1 AND state = 'disabled'`

func (s *Store) expireKept(ctx context.Context, before time.Time, removed map[int64]int) (n int, err error) {
	type of struct {
		keys     []int64
		until    time.Time
		position []byte
		n        int
	}
	gone := map[int64]*of{}
	err = s.transact(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			DELETE FROM due WHERE ctid = ANY (ARRAY(
				SELECT d.ctid FROM due d JOIN subscription s ON s.key = d.subscription
				WHERE s.state = 'disabled' AND s.deleted_at IS NULL AND (s.disabled->>'since')::timestamptz < $1 AND d.committed_at < $1
				ORDER BY d.committed_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED))
			RETURNING subscription, key, committed_at, position`, before, sweepRows)
		if err != nil {
			return err
		}
		var sub, key int64
		var at time.Time
		var position []byte
		_, err = pgx.ForEachRow(rows, []any{&sub, &key, &at, &position}, func() error {
			x := gone[sub]
			if x == nil {
				x = &of{}
				gone[sub] = x
			}
			x.keys, x.n, n = append(x.keys, key), x.n+1, n+1
			if at.After(x.until) {
				x.until = at
			}
			if bytes.Compare(position, x.position) > 0 {
				x.position = bytes.Clone(position)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for sub, x := range gone {
			if _, err := tx.Exec(ctx, indexesOnly); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `
				UPDATE due d SET due_at = $3 FROM (
					SELECT k.key, (SELECT x.position FROM due x WHERE x.subscription = $1 AND x.key = k.key ORDER BY x.position LIMIT 1) AS position
					FROM (SELECT DISTINCT unnest($2::bigint[]) AS key) k) h
				WHERE d.subscription = $1 AND d.key = h.key AND d.position = h.position AND d.due_at = 'infinity'`, sub, x.keys, time.Now().UTC()); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, missedSQL, sub, x.n, x.until.UTC(), x.position); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for sub, x := range gone {
		removed[sub] += x.n
	}
	return n, nil
}
