package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// Sent is a delivery that has ended, as it ended last: what was sent again may have ended otherwise than the first time.
type Sent struct {
	Position cdc.Position
	Status   sender.Status
	Dropped  sender.DropReason
	// Attempts counts all that were made.
	Attempts int
	// Near is when it was committed, or an event that it was written with: on the same day, most often within a minute.
	Near time.Time
	// finished is when it ended last.
	finished time.Time
}

// Span asks for the deliveries of a subscription, by its Key, whose events have positions From to To, both of them included.
type Span struct {
	Subscription int64
	From, To     cdc.Position
	// Read is where a look ended, zero for the first one; Until, where it is not zero, is one beyond which none goes: without it the last
	// look goes through all that was written since, see SentUntil. Rows bounds what it reads: each has up to 60 deliveries.
	Read, Until cdc.Position
	Rows        int
}

// SentPage is what a look has found, in the order of the positions.
type SentPage struct {
	Sent []Sent
	// Read is where the look ended, and Through the Near of what it read last. Deliveries that were written together are read together: what the next
	// look finds can stand before that, most often for less than a minute.
	Read    cdc.Position
	Through time.Time
	// Ends says that there is nothing more.
	Ends bool
}

// Sent returns deliveries of the span that have ended.
func (s *Store) Sent(ctx context.Context, q Span) (page SentPage, err error) {
	from := q.From
	if q.Read.Compare(from) > 0 {
		from = q.Read
	}
	until := q.Until
	if until.IsZero() {
		until = lastPosition
	}
	rows, err := s.pool.Query(ctx, `
		SELECT newest, committed_at, finished_at, packed FROM outcome
		WHERE subscription = $1 AND newest >= $2 AND newest <> $3 AND oldest <= $4 AND newest <= $6
		ORDER BY newest LIMIT $5`, q.Subscription, bytesOf(from), bytesOf(q.Read), bytesOf(q.To), q.Rows, bytesOf(until))
	if err != nil {
		return page, fmt.Errorf("read deliveries: %w", err)
	}
	var out []Sent
	var newest, packed []byte
	var committed, finished time.Time
	n := 0
	_, err = pgx.ForEachRow(rows, []any{&newest, &committed, &finished, &packed}, func() error {
		n++
		for ; len(packed) >= packedSize; packed = packed[packedSize:] {
			x, err := unpack(packed)
			if err != nil {
				return err
			}
			if x.Position.Compare(q.From) >= 0 && x.Position.Compare(q.To) <= 0 {
				x.Near, x.finished = committed.UTC(), finished
				out = append(out, x)
			}
		}
		return nil
	})
	if err != nil {
		return page, fmt.Errorf("read deliveries: %w", err)
	}
	slices.SortFunc(out, func(a, b Sent) int { return a.Position.Compare(b.Position) })
	out = slices.CompactFunc(out, func(a, b Sent) bool { return a.Position == b.Position })
	if err := s.lastResent(ctx, q.Subscription, out); err != nil {
		return page, err
	}
	page = SentPage{Sent: out, Read: q.Read, Through: committed.UTC(), Ends: n < q.Rows}
	if n > 0 {
		page.Read, err = cdc.PositionFromBytes(newest)
	}
	return page, err
}

// SentUntil is the Until of looks for deliveries up to a position: rows whose newest one is behind it have none of them, since those of a
// row are of one minute of commits. It is zero where nothing was committed so much later.
func (s *Store) SentUntil(ctx context.Context, to cdc.Position) (until cdc.Position, err error) {
	err = s.transact(ctx, func(tx pgx.Tx) error {
		at, ok, err := committedUpTo(ctx, tx, to)
		if err != nil || !ok {
			return err
		}
		behind, err := positionSince(ctx, tx, at.Add(feedSlack))
		if err != nil || behind == nil {
			return err
		}
		until, err = cdc.PositionFromBytes(behind)
		return err
	})
	if err != nil {
		return until, fmt.Errorf("look for how far deliveries are to be read: %w", err)
	}
	return until, nil
}

// unpack reads what appendPacked has written, but for the times.
func unpack(packed []byte) (x Sent, err error) {
	x.Attempts = int(binary.BigEndian.Uint16(packed[cdc.PositionSize+6:]))
	x.Status, x.Dropped, _ = statusOf(packed[packedSize-1])
	x.Position, err = cdc.PositionFromBytes(packed[:cdc.PositionSize])
	return x, err
}

// lastResent puts in how those ended that were sent again.
func (s *Store) lastResent(ctx context.Context, subscription int64, sent []Sent) error {
	if len(sent) == 0 {
		return nil
	}
	rows, err := s.pool.Query(ctx, `
		SELECT DISTINCT ON (position) position, status, dropped, attempts, finished_at FROM resent
		WHERE subscription = $1 AND position BETWEEN $2 AND $3 ORDER BY position, finished_at DESC`,
		subscription, bytesOf(sent[0].Position), bytesOf(sent[len(sent)-1].Position))
	if err != nil {
		return fmt.Errorf("read what was sent again: %w", err)
	}
	var position []byte
	var status, dropped, attempts int16
	var finished time.Time
	_, err = pgx.ForEachRow(rows, []any{&position, &status, &dropped, &attempts, &finished}, func() error {
		p, err := cdc.PositionFromBytes(position)
		if err != nil {
			return err
		}
		if i, ok := slices.BinarySearchFunc(sent, p, func(x Sent, p cdc.Position) int { return x.Position.Compare(p) }); ok {
			sent[i].Status, sent[i].Dropped, sent[i].Attempts = sender.Status(status), sender.DropReason(dropped), int(attempts)
			sent[i].finished = finished
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what was sent again: %w", err)
	}
	return nil
}

// Heads returns the events of deliveries without what is sent of them: Data, Previous and Context. What is not in the
// store any more is nil.
func (s *Store) Heads(ctx context.Context, sent []Sent) ([]*mapping.Event, error) {
	heads := make([]*mapping.Event, len(sent))
	positions, days := make([][]byte, len(sent)), make([]time.Time, len(sent))
	for i, x := range sent {
		positions[i], days[i] = bytesOf(x.Position), dayOf(x.Near)
	}
	// One by one, by index, whatever the planner thinks of their number (OFFSET 0).
	rows, err := s.pool.Query(ctx, `
		SELECT w.n, e.committed_at, e.id, e.type, e.resource, e.instance, e.account
		FROM unnest($1::bytea[], $2::timestamptz[]) WITH ORDINALITY AS w(position, day, n)
		CROSS JOIN LATERAL (
			SELECT committed_at, id, type, resource, instance, account FROM event
			WHERE position = w.position AND committed_at >= w.day AND committed_at < w.day + interval '24 hours' LIMIT 1 OFFSET 0) e`, positions, days)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	var n int
	var at time.Time
	var id, kind, resource, instance string
	var account *string
	_, err = pgx.ForEachRow(rows, []any{&n, &at, &id, &kind, &resource, &instance, &account}, func() error {
		ev := &mapping.Event{ID: id, Type: kind, Resource: resource, Instance: instance, Position: sent[n-1].Position, Time: at.UTC()}
		if account != nil {
			ev.Account, ev.Accounted = *account, true
		}
		heads[n-1] = ev
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return heads, nil
}

// Waiting returns which of the deliveries have a due row.
func (s *Store) Waiting(ctx context.Context, asked []Delivery) (map[Pair]bool, error) {
	subs, positions := make([]int64, len(asked)), make([][]byte, len(asked))
	ordered, loose := make([]int64, len(asked)), make([]int64, len(asked))
	for i, d := range asked {
		subs[i], positions[i] = d.Subscription, bytesOf(d.Event.Position)
		ordered[i], loose[i] = sender.OrderingKeys(d.Event)
	}
	rows, err := s.pool.Query(ctx, `
		SELECT w.subscription, w.position
		FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[]) AS w(subscription, position, ordered, loose)
		CROSS JOIN LATERAL (
			SELECT FROM due WHERE subscription = w.subscription AND key IN (w.ordered, w.loose) AND position = w.position
			LIMIT 1 OFFSET 0) u`, subs, positions, ordered, loose)
	if err != nil {
		return nil, fmt.Errorf("look for what waits: %w", err)
	}
	found := map[Pair]bool{}
	var sub int64
	var position []byte
	_, err = pgx.ForEachRow(rows, []any{&sub, &position}, func() error {
		p, err := cdc.PositionFromBytes(position)
		found[Pair{sub, p}] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for what waits: %w", err)
	}
	return found, nil
}

// Gone returns which of the subscriptions, by Key, are not there, or deleted.
func (s *Store) Gone(ctx context.Context, keys []int64) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT k FROM unnest($1::bigint[]) AS k
		WHERE NOT EXISTS (SELECT FROM subscription s WHERE s.key = k AND s.deleted_at IS NULL)`, keys)
	if err != nil {
		return nil, fmt.Errorf("look for deleted subscriptions: %w", err)
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look for deleted subscriptions: %w", err)
	}
	return gone, nil
}
