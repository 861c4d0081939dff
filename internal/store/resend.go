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
	"github.com/rowhook/rowhook/subscriptions"
)

// longest is how long before a target began to take nothing an event may have been committed that failed for good since: longer than
// most schedules are.
const longest = 3 * 24 * time.Hour

// lastPosition is behind all others.
var lastPosition = cdc.Position{Epoch: 1<<32 - 1, Commit: 1<<64 - 1, Ordinal: 1<<32 - 1, Sub: 1<<32 - 1}

// ToResend returns subscriptions that nothing is sent to before what has failed for good is due again: a few, the oldest first.
func (s *Store) ToResend(ctx context.Context, limit int) ([]*subscriptions.Subscription, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+subscriptionColumns+` FROM subscription WHERE resend_since IS NOT NULL AND deleted_at IS NULL
		ORDER BY key LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read what is to be sent again: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*subscriptions.Subscription, error) {
		x, _, err := s.scanSubscription(row)
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what is to be sent again: %w", err)
	}
	return found, nil
}

// FailedSince calls f with the deliveries of a subscription, by its Key, that have failed for good since the time, the first time or when
// they were sent again, in the order of their positions, and their events, nil for those that are not kept any more. Each call has those
// of so many rows.
func (s *Store) FailedSince(ctx context.Context, key int64, since time.Time, rows int, f func([]Sent, []*mapping.Event) error) error {
	q := Span{Subscription: key, To: lastPosition, Rows: rows}
	var oldest []byte
	err := s.pool.QueryRow(ctx, `
		SELECT oldest FROM (
			(SELECT oldest FROM outcome WHERE subscription = $1 AND finished_at >= $2 AND committed_at >= $2 - $3::interval ORDER BY oldest LIMIT 1)
			UNION ALL
			(SELECT position FROM resent WHERE subscription = $1 AND finished_at >= $2 AND status = $4 ORDER BY position LIMIT 1)) f
		ORDER BY oldest LIMIT 1`, key, since, longest, int16(sender.StatusFailed)).Scan(&oldest)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		q.From, err = cdc.PositionFromBytes(oldest)
	}
	if err != nil {
		return fmt.Errorf("look for what has failed: %w", err)
	}
	for {
		page, err := s.Sent(ctx, q)
		if err != nil {
			return err
		}
		failed := page.Sent[:0]
		for _, x := range page.Sent {
			if x.Status == sender.StatusFailed && !x.finished.Before(since) {
				failed = append(failed, x)
			}
		}
		if len(failed) > 0 {
			heads, err := s.Heads(ctx, failed)
			if err != nil {
				return err
			}
			if err := f(failed, heads); err != nil {
				return err
			}
		}
		if page.Ends {
			return nil
		}
		q.Read = page.Read
	}
}

// expireFailed counts what had failed for good before subscriptions were disabled, where that was before the time: it is kept no longer.
func (s *Store) expireFailed(ctx context.Context, before time.Time) error {
	rows, err := s.pool.Query(ctx, `
		SELECT key, (disabled->>'failing_since')::timestamptz FROM subscription
		WHERE state = 'disabled' AND deleted_at IS NULL AND (disabled->>'since')::timestamptz < $1 AND disabled ? 'failing_since'
			AND NOT disabled ? 'failed_missed'`, before)
	if err != nil {
		return err
	}
	since := map[int64]time.Time{}
	var key int64
	var at time.Time
	if _, err = pgx.ForEachRow(rows, []any{&key, &at}, func() error { since[key] = at; return nil }); err != nil {
		return err
	}
	for key, at := range since {
		n := 0
		var until time.Time
		var last cdc.Position
		err := s.FailedSince(ctx, key, at, 100, func(failed []Sent, heads []*mapping.Event) error {
			n += len(failed)
			last = failed[len(failed)-1].Position
			for _, ev := range heads {
				if ev != nil && ev.Time.After(until) {
					until = ev.Time
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = s.transact(ctx, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `UPDATE subscription SET disabled = disabled || '{"failed_missed": true}'
				WHERE key = $1 AND state = 'disabled' AND NOT disabled ? 'failed_missed'`, key)
			if err != nil || n == 0 || tag.RowsAffected() == 0 {
				return err
			}
			if until.IsZero() {
				until = at
			}
			_, err = tx.Exec(ctx, missedSQL, key, n, until.UTC(), bytesOf(last))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keptFrom is from when on partitions are kept though they are older than the retention: what failed for good before a subscription was
// disabled is kept as long as what comes after that. It is before where nothing is.
func (s *Store) keptFrom(ctx context.Context, before time.Time) (time.Time, error) {
	var from *time.Time
	err := s.pool.QueryRow(ctx, `
		SELECT min(since) FROM (
			SELECT (disabled->>'failing_since')::timestamptz AS since FROM subscription
			WHERE state = 'disabled' AND deleted_at IS NULL AND disabled ? 'failing_since' AND NOT disabled ? 'failed_missed'
			UNION ALL
			SELECT resend_since FROM subscription WHERE resend_since IS NOT NULL AND deleted_at IS NULL
			UNION ALL
			-- A gap stands where its last event stood, until it has a due row.
			SELECT (n.told->'missed'->>'until')::timestamptz FROM notice n WHERE n.kind = 'gap' AND n.data IS NULL) s`).Scan(&from)
	if err != nil {
		return before, fmt.Errorf("look for what is kept for disabled subscriptions: %w", err)
	}
	if from == nil || !from.Add(-longest).Before(before) {
		return before, nil
	}
	return from.Add(-longest), nil
}

// Gap is what a subscription has to be told of first: that so many events are never sent to it.
type Gap struct {
	id     int64
	From   time.Time
	Missed subscriptions.Missed
}

// GapsOf returns what a subscription, by its Key, has to be told of: what was kept for it for too long.
func (s *Store) GapsOf(ctx context.Context, key int64) ([]Gap, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, told FROM notice WHERE subscription = $1 AND kind = $2 AND data IS NULL ORDER BY id`, key, noticeGap)
	if err != nil {
		return nil, fmt.Errorf("read what a subscription has missed: %w", err)
	}
	var gaps []Gap
	var id int64
	var told noticed
	_, err = pgx.ForEachRow(rows, []any{&id, &told}, func() error {
		if told.Missed != nil && told.From != nil {
			gaps = append(gaps, Gap{id: id, From: told.From.UTC(), Missed: *told.Missed})
		}
		told = noticed{}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what a subscription has missed: %w", err)
	}
	return gaps, nil
}

// PutEvent makes an event durable that came of no change. It may be there already.
func (s *Store) PutEvent(ctx context.Context, ev *mapping.Event) error {
	if err := s.ensurePartitions(ctx, []sender.Record{{Event: ev}}); err != nil {
		return err
	}
	err := s.transact(ctx, func(tx pgx.Tx) error {
		r := rows{events: []*mapping.Event{ev}}
		b := &pgx.Batch{}
		r.queueEvents(b)
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		s.forgetPartitions([]sender.Record{{Event: ev}})
		return fmt.Errorf("write a notice: %w", err)
	}
	return nil
}

// Resent notes that all is due again that was to be sent first to a subscription, and that it has been told of the gaps. From then on
// it is sent to.
func (s *Store) Resent(ctx context.Context, x *subscriptions.Subscription, gaps []Gap) error {
	for _, g := range gaps {
		if _, err := s.pool.Exec(ctx, `UPDATE notice SET data = '' WHERE id = $1`, g.id); err != nil {
			return fmt.Errorf("note that a gap was told: %w", err)
		}
	}
	_, err := s.Update(ctx, subscriptions.Scope{Admin: true}, x.ID, func(now *subscriptions.Subscription) error {
		if !now.ResendSince.Equal(x.ResendSince) {
			return errStays // it was disabled and enabled again: there may be more
		}
		now.ResendSince = time.Time{}
		return nil
	})
	if errors.Is(err, errStays) || errors.Is(err, subscriptions.ErrNotFound) {
		return nil
	}
	return err
}
