package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
)

// Stats is how a subscription fares.
type Stats struct {
	// Windows are as they were asked for.
	Windows []Window
	// Waiting rows are stored to be sent, of Keys ordering keys; with AtLeast there are more.
	Waiting, Keys int
	AtLeast       bool
	// Oldest is the commit of the oldest of them, NextAttempt when the first one is sent. Zero where there is none.
	Oldest, NextAttempt time.Time
	// PausedUntil is until when the target has asked to be left alone; zero where it has not.
	PausedUntil time.Time
	// FailingSince is since when the target takes nothing, with how the last attempt ended: zero where that is not known.
	FailingSince, LastAt time.Time
	LastStatus           int
	LastReason           string
}

// Window counts the deliveries of events that were committed since a time, by how they ended the first time.
type Window struct {
	Since                      time.Time
	Delivered, Failed, Dropped int
	// Complete says that all were counted, else those since CountedSince.
	Complete     bool
	CountedSince time.Time
}

// statsBounds are how many rows of outcome, and of due, are looked at: some milliseconds each.
type statsBounds struct{ rows, due int }

var defaultStatsBounds = statsBounds{rows: 2000, due: 20_000}

const statsSQL = `SELECT newest, committed_at, packed FROM outcome WHERE subscription = $1 AND newest >= $2 ORDER BY newest DESC LIMIT $3`

// DeliveryStats tells how subscriptions fare, in their order. What it reads of each is bounded.
func (s *Store) DeliveryStats(ctx context.Context, subscriptions []int64, now time.Time, since ...time.Time) ([]*Stats, error) {
	var all []*Stats
	err := s.looking(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		all, err = deliveryStats(ctx, tx, subscriptions, now, since, defaultStatsBounds)
		return err
	})
	if err != nil {
		return nil, unavailable(fmt.Errorf("count deliveries: %w", err))
	}
	return all, nil
}

func deliveryStats(ctx context.Context, tx pgx.Tx, subscriptions []int64, now time.Time, since []time.Time, most statsBounds) ([]*Stats, error) {
	// Where the windows begin is looked for once: it is most of the work.
	from := make([][]byte, len(since))
	for i, t := range since {
		var err error
		if from[i], err = positionSince(ctx, tx, t); err != nil {
			return nil, err
		}
	}
	all := make([]*Stats, len(subscriptions))
	for i, subscription := range subscriptions {
		x := &Stats{}
		for _, t := range since {
			x.Windows = append(x.Windows, Window{Since: t, Complete: true, CountedSince: t})
		}
		if err := x.read(ctx, tx, subscription, now, from, most); err != nil {
			return nil, err
		}
		all[i] = x
	}
	return all, nil
}

func (x *Stats) read(ctx context.Context, tx pgx.Tx, subscription int64, now time.Time, from [][]byte, most statsBounds) error {
	var oldest []byte
	for _, at := range from {
		if at != nil && (oldest == nil || string(at) < string(oldest)) {
			oldest = at
		}
	}
	if oldest != nil {
		if err := x.count(ctx, tx, subscription, from, oldest, most.rows); err != nil {
			return err
		}
	}
	if err := tx.QueryRow(ctx, `SELECT count(*), count(DISTINCT key) FROM (SELECT key FROM due WHERE subscription = $1 ORDER BY key LIMIT $2) d`,
		subscription, most.due+1).Scan(&x.Waiting, &x.Keys); err != nil {
		return err
	}
	if x.Waiting > most.due {
		x.Waiting, x.AtLeast = most.due, true
	}
	var until, first, next, failing, last *time.Time
	var status *int
	var reason *string
	err := tx.QueryRow(ctx, `
		SELECT (SELECT committed_at FROM due WHERE subscription = $1 ORDER BY position LIMIT 1),
			(SELECT due_at FROM due WHERE subscription = $1 AND due_at < 'infinity' ORDER BY due_at LIMIT 1),
			(SELECT p.until FROM paused p JOIN subscription s ON s.key = p.subscription AND s.version = p.version WHERE p.subscription = $1 AND p.until > $2)`,
		subscription, now).Scan(&first, &next, &until)
	if err != nil {
		return err
	}
	err = tx.QueryRow(ctx, `SELECT since, last_at, last_status, last_reason FROM failing WHERE subscription = $1`, subscription).Scan(&failing, &last, &status, &reason)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	x.Oldest, x.NextAttempt, x.PausedUntil, x.FailingSince, x.LastAt = timeOf(first), timeOf(next), timeOf(until), timeOf(failing), timeOf(last)
	if status != nil {
		x.LastStatus = *status
	}
	if reason != nil {
		x.LastReason = *reason
	}
	return nil
}

// count goes through what has ended, newest first. A row has nothing that is newer than its newest: what was committed since a position is in
// rows that are not before it.
func (x *Stats) count(ctx context.Context, tx pgx.Tx, subscription int64, from [][]byte, oldest []byte, most int) error {
	rows, err := tx.Query(ctx, statsSQL, subscription, oldest, most)
	if err != nil {
		return err
	}
	var newest, packed []byte
	var committed time.Time
	n := 0
	_, err = pgx.ForEachRow(rows, []any{&newest, &committed, &packed}, func() error {
		n++
		for rest := packed; len(rest) >= packedSize; rest = rest[packedSize:] {
			status, _, _ := statusOf(rest[packedSize-1])
			for i := range x.Windows {
				if from[i] == nil || string(rest[:cdc.PositionSize]) < string(from[i]) {
					continue
				}
				switch w := &x.Windows[i]; status {
				case sender.StatusDelivered:
					w.Delivered++
				case sender.StatusFailed:
					w.Failed++
				case sender.StatusDropped:
					w.Dropped++
				}
			}
		}
		return nil
	})
	if err != nil || n < most {
		return err
	}
	for i := range x.Windows {
		if w := &x.Windows[i]; from[i] != nil && string(newest) > string(from[i]) {
			w.Complete, w.CountedSince = false, committed.UTC()
		}
	}
	return nil
}
