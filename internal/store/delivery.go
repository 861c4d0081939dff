package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/retention"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// ErrNoDelivery says that the log has no such delivery: there never was one, or the retention is over.
var ErrNoDelivery = errors.New("there is no such delivery")

// Logged is a delivery as the log has it.
type Logged struct {
	// Event is without data in a list. It has only its Position and Time where it is not stored any more.
	Event *mapping.Event
	// Status is zero while it is to be sent; Dropped is for sender.StatusDropped.
	Status  sender.Status
	Dropped sender.DropReason
	// Attempts counts those that have ended, and count.
	Attempts int
	// FinishedAt is when its end was written; zero while it is to be sent.
	FinishedAt time.Time
	// NextAttempt is when it is to be sent; zero where it waits for an earlier one of its instance, and of a finished one.
	NextAttempt time.Time
	// RetryReason is why the last attempt failed, of one that is to be sent. Replay says that it has ended before, and is to be sent
	// again.
	RetryReason string
	Replay      bool
	// Fallback says that it is, or was at its end, with the subscription's fallback.
	Fallback bool
	// HTTPStatus, Duration and Timings are those of the attempt by which it ended, zero without one. Timings are nil where there is
	// nothing to tell beyond the duration.
	HTTPStatus int
	Duration   time.Duration
	Timings    *sender.Timings
	// FirstReplay is the number of the first attempt to send it again, zero where that was not asked for. A list does not have it.
	FirstReplay int
}

// LoggedAttempt is an attempt that has ended. Of one that was delivered the beginning is reckoned from when its end was written.
type LoggedAttempt struct {
	// Number counts from 1. Uncounted says that the target asked for time: the next attempt has the same number.
	Number    int
	Uncounted bool
	Delivered bool
	// Fallback says that it was made at the subscription's fallback.
	Fallback bool
	Started  time.Time
	Duration time.Duration
	Timings  *sender.Timings
	Status   int
	Reason   string
	Detail   string
	Answer   []byte
}

// logTimeout bounds a look into the log, beside its bounds on rows.
const logTimeout = 10 * time.Second

// indexesInOrder is indexesOnly for those who read the beginning of an order: they must not read and sort all of it.
const indexesInOrder = indexesOnly + `, set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)`

// looking takes the one connection that looks into the log have: deliveries are written by the same few.
func (s *Store) looking(ctx context.Context, look func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	select {
	case s.logLook <- struct{}{}:
		defer func() { <-s.logLook }()
	case <-ctx.Done():
		return ctx.Err()
	}
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, indexesInOrder); err != nil {
			return err
		}
		return look(ctx, tx)
	})
}

// Delivery returns the delivery of the event at a position, with its event as far as that is at most most bytes, and its attempts in
// their order; or ErrNoDelivery.
func (s *Store) Delivery(ctx context.Context, subscription int64, at cdc.Position, most int) (l *Logged, attempts []LoggedAttempt, err error) {
	err = s.looking(ctx, func(ctx context.Context, tx pgx.Tx) error {
		ev, err := eventAt(ctx, tx, at, most)
		if err != nil {
			return err
		}
		if attempts, err = failedOf(ctx, tx, subscription, ev); err != nil {
			return err
		}
		ends, err := endsOf(ctx, tx, subscription, ev)
		if err != nil {
			return err
		}
		for _, end := range ends {
			l = end
			if end.Status == sender.StatusDelivered {
				attempts = append(attempts, LoggedAttempt{Number: end.Attempts, Delivered: true, Started: end.FinishedAt.Add(-end.Duration),
					Duration: end.Duration, Timings: end.Timings, Status: end.HTTPStatus, Fallback: end.Fallback})
			}
		}
		slices.SortFunc(attempts, func(a, b LoggedAttempt) int {
			return cmp.Or(cmp.Compare(a.Number, b.Number), a.Started.Compare(b.Started))
		})
		due, err := dueOf(ctx, tx, subscription, []*mapping.Event{ev})
		if len(due) > 0 {
			l = due[0]
		}
		if l != nil {
			if len(ends) > 1 || l.Replay && len(ends) > 0 {
				l.FirstReplay = ends[0].Attempts + 1
			}
			l.Event = ev
		} else if err == nil {
			err = ErrNoDelivery
		}
		return err
	})
	if errors.Is(err, ErrNoDelivery) {
		return nil, nil, ErrNoDelivery
	}
	if err != nil {
		return nil, nil, unavailable(fmt.Errorf("read the delivery log: %w", err))
	}
	return l, attempts, nil
}

// eventAt reads an event, without data where it is larger than most bytes.
func eventAt(ctx context.Context, tx pgx.Tx, at cdc.Position, most int) (*mapping.Event, error) {
	ev := &mapping.Event{Position: at}
	var account *string
	err := tx.QueryRow(ctx, `
		SELECT committed_at, id, type, resource, instance, account, CASE WHEN fits THEN data END, partial, CASE WHEN fits THEN previous END, context
		FROM (
			SELECT *, octet_length(data) + coalesce(octet_length(previous), 0) + coalesce(octet_length(context), 0) <= $2 AS fits
			FROM event WHERE position = $1 LIMIT 1) e`, bytesOf(at), most).
		Scan(&ev.Time, &ev.ID, &ev.Type, &ev.Resource, &ev.Instance, &account, &ev.Data, &ev.Partial, &ev.Previous, &ev.Context)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoDelivery
	}
	ev.Time = ev.Time.UTC()
	if account != nil {
		ev.Account, ev.Accounted = *account, true
	}
	return ev, err
}

// endsOf returns how the delivery of an event has ended, each time.
func endsOf(ctx context.Context, tx pgx.Tx, subscription int64, ev *mapping.Event) ([]*Logged, error) {
	day := dayOf(ev.Time)
	ahead, err := aheadOf(ctx, tx, bytesOf(ev.Position))
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT `+outcomeColumns+` FROM (
			SELECT `+outcomeColumns+`, oldest FROM outcome
			WHERE subscription = $1 AND newest >= $2 AND newest < $5 AND committed_at >= $3 AND committed_at < $4 ORDER BY newest OFFSET 0) o
		WHERE oldest <= $2`, subscription, bytesOf(ev.Position), day, day.Add(retention.Partition), ahead)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanOutcome)
	if err != nil {
		return nil, err
	}
	var ends []*Logged
	for i := range found {
		all, err := found[i].deliveries()
		if err != nil {
			return nil, err
		}
		for _, l := range all {
			if l.Event.Position == ev.Position {
				ends = append(ends, l)
			}
		}
	}
	rows, err = tx.Query(ctx, `
		SELECT `+resentColumns+` FROM resent WHERE subscription = $1 AND position = $2 AND committed_at = $3 ORDER BY finished_at`,
		subscription, bytesOf(ev.Position), ev.Time)
	if err != nil {
		return nil, err
	}
	var r resentRow
	_, err = pgx.ForEachRow(rows, r.into(), func() error {
		l := &Logged{}
		r.ends(l)
		ends = append(ends, l)
		return nil
	})
	return ends, err
}

// failedOf returns the failed attempts of a delivery.
func failedOf(ctx context.Context, tx pgx.Tx, subscription int64, ev *mapping.Event) ([]LoggedAttempt, error) {
	rows, err := tx.Query(ctx, `
		SELECT number, started_at, duration_us, http_status, reason, detail, answer, dns_us, connect_us, tls_us, first_byte_us, coalesce(fallback, false) FROM attempt
		WHERE subscription = $1 AND position = $2 AND committed_at = $3`, subscription, bytesOf(ev.Position), ev.Time)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a LoggedAttempt, err error) {
		var number, status int16
		var duration int32
		var dns, connect, tls, first *int32
		if err := row.Scan(&number, &a.Started, &duration, &status, &a.Reason, &a.Detail, &a.Answer, &dns, &connect, &tls, &first, &a.Fallback); err != nil {
			return a, err
		}
		if a.Number = int(number); a.Number < 0 {
			a.Number, a.Uncounted = -a.Number, true
		}
		a.Started, a.Duration, a.Status = a.Started.UTC(), micro(&duration), int(status)
		if dns != nil || connect != nil || tls != nil || first != nil {
			a.Timings = &sender.Timings{DNS: micro(dns), Connect: micro(connect), TLS: micro(tls), FirstByte: micro(first)}
		}
		return a, nil
	})
}

func micro(us *int32) time.Duration {
	if us == nil {
		return 0
	}
	return time.Duration(*us) * time.Microsecond
}
