package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/retention"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// ErrNoEvent says that there is no such event, or none that the account may see.
var ErrNoEvent = errors.New("there is no such event")

// EventDeliveriesQuery asks for what became of one event.
type EventDeliveriesQuery struct {
	// Position is where the event is. Zero: it has ID, and is looked for among the newest 100,000.
	Position cdc.Position
	ID       string
	// Account has the deliveries to its own subscriptions; nil is the admin's.
	Account *string
	// After is the Key of the last subscription of the page before.
	After int64
	Limit int
}

// EventDelivery is a delivery with its subscription's Key and ID.
type EventDelivery struct {
	Key          int64
	Subscription string
	*Logged
}

// eventIDScan is how many events are looked at for an id, of which there is no index. eventSubs is how many subscriptions are asked at
// once, eventSubsMost for one page.
const (
	eventIDScan              = 100_000
	eventSubs, eventSubsMost = 2000, 10_000
)

const eventSubsSQL = `
	WITH s AS MATERIALIZED (
		SELECT key, id FROM subscription
		WHERE deleted_at IS NULL AND ($1::text IS NULL OR account = $1) AND (account IS NULL OR account = $2) AND key > $3 ORDER BY key LIMIT $4)
	SELECT s.key, s.id,
		EXISTS (SELECT FROM due WHERE subscription = s.key AND key IN ($5, $6) AND position = $7)
		OR EXISTS (SELECT FROM (
			SELECT oldest FROM outcome WHERE subscription = s.key AND newest >= $7 AND newest < $8 AND committed_at >= $9 AND committed_at < $10 ORDER BY newest OFFSET 0) o
			WHERE oldest <= $7)
	FROM s ORDER BY s.key`

// EventDeliveries returns what became of an event, by subscription in the order they were made, and the ID of the subscription behind which the next page
// begins, empty at the end.
// There is no index of deliveries by event: each subscription that may have it is asked, so many for a page, which may be empty before the end.
// The error may be ErrNoEvent.
func (s *Store) EventDeliveries(ctx context.Context, q EventDeliveriesQuery) (page []EventDelivery, next string, err error) {
	err = s.looking(ctx, func(ctx context.Context, tx pgx.Tx) error {
		ev, err := findEvent(ctx, tx, q)
		if err != nil {
			return err
		}
		page, next, err = deliveriesOf(ctx, tx, q, ev, eventSubs, eventSubsMost)
		return err
	})
	switch {
	case errors.Is(err, ErrNoEvent):
		return nil, "", ErrNoEvent
	case err != nil:
		return nil, "", unavailable(fmt.Errorf("read what became of an event: %w", err))
	}
	return page, next, nil
}

// findEvent reads what there is to know of the event but what it says.
func findEvent(ctx context.Context, tx pgx.Tx, q EventDeliveriesQuery) (*mapping.Event, error) {
	at := bytesOf(q.Position)
	if q.Position.IsZero() {
		err := tx.QueryRow(ctx, `SELECT position FROM (SELECT position, id FROM event ORDER BY position DESC LIMIT $2) e WHERE id = $1 LIMIT 1`, q.ID, eventIDScan).Scan(&at)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ErrNoEvent
		}
		if err != nil {
			return nil, err
		}
	}
	ev := &mapping.Event{}
	var account *string
	var seen bool
	err := tx.QueryRow(ctx, `
		SELECT committed_at, id, type, resource, instance, account,
			$2::text IS NULL OR coalesce(account = $2, false) AND audience IS DISTINCT FROM 'admin' AND type NOT LIKE '%.truncate'
		FROM event WHERE position = $1 LIMIT 1`, at, q.Account).
		Scan(&ev.Time, &ev.ID, &ev.Type, &ev.Resource, &ev.Instance, &account, &seen)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !seen {
		return nil, ErrNoEvent
	}
	if err != nil {
		return nil, err
	}
	ev.Time = ev.Time.UTC()
	if account != nil {
		ev.Account, ev.Accounted = *account, true
	}
	ev.Position, err = cdc.PositionFromBytes(at)
	return ev, err
}

func deliveriesOf(ctx context.Context, tx pgx.Tx, q EventDeliveriesQuery, ev *mapping.Event, chunk, most int) (page []EventDelivery, next string, err error) {
	at := bytesOf(ev.Position)
	ahead, err := aheadOf(ctx, tx, at)
	if err != nil {
		return nil, "", err
	}
	ordered, loose := sender.OrderingKeys(ev)
	day := dayOf(ev.Time)
	var account *string
	if ev.Accounted {
		account = &ev.Account
	}
	type asked struct {
		EventDelivery
		has bool
	}
	after := q.After
	for read := 0; read < most; read += chunk {
		rows, err := tx.Query(ctx, eventSubsSQL, q.Account, account, after, chunk, ordered, loose, at, ahead, day, day.Add(retention.Partition))
		if err != nil {
			return nil, "", err
		}
		all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (x asked, err error) {
			err = row.Scan(&x.Key, &x.Subscription, &x.has)
			return x, err
		})
		if err != nil {
			return nil, "", err
		}
		for _, x := range all {
			if x.has {
				if x.Logged, err = lastOf(ctx, tx, x.Key, ev); err != nil {
					return nil, "", err
				}
			}
			if x.Logged == nil {
				continue
			}
			if len(page) == q.Limit {
				return page, page[len(page)-1].Subscription, nil
			}
			page = append(page, x.EventDelivery)
		}
		if len(all) < chunk {
			return page, "", nil
		}
		after, next = all[len(all)-1].Key, all[len(all)-1].Subscription
	}
	return page, next, nil
}

// lastOf is what the event's delivery has come to; nil where there is none.
func lastOf(ctx context.Context, tx pgx.Tx, subscription int64, ev *mapping.Event) (*Logged, error) {
	ends, err := endsOf(ctx, tx, subscription, ev)
	if err != nil {
		return nil, err
	}
	due, err := dueOf(ctx, tx, subscription, []*mapping.Event{ev})
	if err != nil {
		return nil, err
	}
	var l *Logged
	switch {
	case len(due) > 0:
		l = due[0]
	case len(ends) > 0:
		l = ends[len(ends)-1]
	default:
		return nil, nil
	}
	l.Event = ev
	return l, nil
}
