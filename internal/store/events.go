package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// EventsQuery asks for a page of all stored events.
type EventsQuery struct {
	// From is where the page begins, without it. Zero is the oldest that is kept; with Descending, the newest.
	From       cdc.Position
	Descending bool
	// Settled is the last position that may be shown.
	Settled cdc.Position
	Select  EventSelect
	// Account has the events that its subscriptions may get; nil is the admin's.
	Account *string
	// Limit is the most events, and Bytes bounds their Size together: one is returned whatever its size.
	Limit int
	Bytes int64
}

// defaultEventScan is how many events one look goes through at most: some 20 ms, where they are in memory.
const defaultEventScan = 20_000

// eventsSQL tells which of so many events are wanted, until there are enough, and which was the last one, where it has come that far: what
// is not wanted stays in the database. For an account the wanted are those that may reach its subscriptions, see subscriptions.Index.Match.
//
// The window has the order that is asked for at the end: so the plan knows that it is there, and ends with the page.
var eventsSQL, eventsBackSQL = eventsIn(""), eventsIn(" DESC")

func eventsIn(direction string) string {
	return `SELECT position, committed_at, wanted, n FROM (
	SELECT position, committed_at, row_number() OVER (ORDER BY position` + direction + `) AS n, (type = ANY ($4) OR resource = ANY ($5) OR $4::text[] IS NULL) AND ($6 = '' OR instance = $6)
		AND ($7::timestamptz IS NULL OR committed_at >= $7) AND ($8::timestamptz IS NULL OR committed_at <= $8)
		AND CASE WHEN $9::text IS NULL THEN audience IS DISTINCT FROM 'account'
			ELSE coalesce(account, '') = $9 AND $9 <> '' AND audience IS DISTINCT FROM 'admin' AND type NOT LIKE '%.truncate' END AS wanted
	FROM (
		SELECT position, committed_at, type, resource, instance, account, audience FROM event
		WHERE position > $1 AND position <= $2 ORDER BY position` + direction + ` LIMIT $3) x) y
	WHERE wanted OR n = $3 ORDER BY position` + direction + ` LIMIT $10`
}

// Events reads a page of all events that are kept. It costs what it goes through; only one instance, from the newest on, has an index.
func (s *Store) Events(ctx context.Context, q EventsQuery) (page EventPage, err error) {
	from, upTo := q.From, q.Settled
	if q.Descending {
		from = cdc.Position{}
		if !q.From.IsZero() && q.From.Before().Compare(upTo) < 0 {
			upTo = q.From.Before()
		}
	}
	page.Next = q.From
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, inOrder); err != nil {
			return err
		}
		if t := q.Select.Since; !t.IsZero() {
			first, err := positionAt(ctx, tx, t.Add(-feedSlack), q.Settled)
			if err != nil {
				return err
			}
			if first = first.Before(); first.Compare(from) > 0 {
				from = first
			}
		}
		if t := q.Select.Until; !t.IsZero() {
			behind, err := positionAt(ctx, tx, t.Add(feedSlack), q.Settled)
			if err != nil {
				return err
			}
			if behind = behind.Before(); behind.Compare(upTo) < 0 {
				upTo = behind
			}
		}
		if upTo.Compare(from) <= 0 {
			if !q.Descending && q.Select.Until.IsZero() && q.Settled.Compare(page.Next) > 0 {
				page.Next = q.Settled
			}
			return nil
		}
		return s.eventsOf(ctx, tx, q, from, upTo, &page)
	})
	if err != nil {
		return EventPage{}, fmt.Errorf("read events: %w", err)
	}
	return page, nil
}

func (s *Store) eventsOf(ctx context.Context, tx pgx.Tx, q EventsQuery, from, upTo cdc.Position, page *EventPage) error {
	sql := eventsSQL
	if q.Descending {
		sql = eventsBackSQL
	}
	types, resources := q.Select.typesOrNull()
	rows, err := tx.Query(ctx, sql, bytesOf(from), bytesOf(upTo), s.eventScan, types, resources, q.Select.Instance,
		timeOrNull(q.Select.Since), timeOrNull(q.Select.Until), q.Account, q.Limit+1)
	if err != nil {
		return err
	}
	var found []candidate
	var position []byte
	var at time.Time
	var wanted bool
	var last cdc.Position
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&position, &at, &wanted, &n}, func() error {
		p, err := cdc.PositionFromBytes(position)
		if wanted {
			found = append(found, candidate{at: p, day: dayOf(at)})
		}
		last = p
		return err
	})
	if err != nil {
		return err
	}
	more := n == s.eventScan
	if q.Descending && q.Select.Instance != "" && more && len(found) <= q.Limit {
		indexed, err := indexedByInstance(ctx, tx)
		if err != nil {
			return err
		}
		if indexed {
			span := new(big.Int).Sub(place(bytesOf(upTo)), place(bytesOf(last)))
			rest, reached, back, err := s.findInstance(ctx, tx, &q, from, last, span.Add(span, big.NewInt(1)), q.Limit+1-len(found))
			if err != nil {
				return err
			}
			found, last, at, more = append(found, rest...), reached, back, !back.IsZero()
		}
	}
	events, cut, err := fetchEvents(ctx, tx, found, &EventSelect{}, q.Limit, q.Bytes)
	if err != nil {
		return err
	}
	page.Events = events
	switch {
	case cut:
		page.More, page.Next, page.LookedBack = true, events[len(events)-1].Position, events[len(events)-1].Time
	case more:
		page.More, page.Next, page.LookedBack = true, last, at.UTC()
	case q.Descending:
		if len(events) > 0 {
			page.Next = last
		}
	default:
		page.Next = upTo
	}
	return nil
}

// positionAt is a position before which everything was committed before the time, as far as clocks go on, and from which on it
// was not. Positions are looked for by halves: the log grows with time.
func positionAt(ctx context.Context, tx pgx.Tx, t time.Time, settled cdc.Position) (cdc.Position, error) {
	var first []byte
	var at time.Time
	err := tx.QueryRow(ctx, `SELECT position, committed_at FROM event ORDER BY position LIMIT 1`).Scan(&first, &at)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return settled, nil
	case err != nil:
		return settled, err
	case !at.Before(t):
		return cdc.PositionFromBytes(first)
	}
	low, high := place(first), place(bytesOf(settled))
	one := big.NewInt(1)
	high.Add(high, one)
	for low.Cmp(high) < 0 {
		mid := new(big.Int).Add(low, high)
		mid.Rsh(mid, 1)
		var found []byte
		err := tx.QueryRow(ctx, `SELECT position, committed_at FROM event WHERE position >= $1 ORDER BY position LIMIT 1`, positionOf(mid)).Scan(&found, &at)
		switch {
		case errors.Is(err, pgx.ErrNoRows) || err == nil && !at.Before(t):
			high = mid
		case err != nil:
			return settled, err
		default:
			low = place(found).Add(place(found), one)
		}
	}
	return cdc.PositionFromBytes(positionOf(low))
}

// placeSize is how much of a position says which transaction it is of: epoch and commit.
const placeSize = 12

func place(position []byte) *big.Int { return new(big.Int).SetBytes(position[:placeSize]) }

func positionOf(place *big.Int) []byte {
	var b [cdc.PositionSize]byte
	place.FillBytes(b[:placeSize])
	binary.BigEndian.PutUint64(b[placeSize:], 0)
	return b[:]
}
