package store

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// Pair is a delivery by its subscription's Key and its event's position.
type Pair struct {
	Subscription int64
	Position     cdc.Position
}

// Delivery is an event for a subscription, by its Key.
type Delivery struct {
	Subscription int64
	Event        *mapping.Event
}

// Recorded returns which of the deliveries are in the store, finished or due, and which of the events.
func (s *Store) Recorded(ctx context.Context, asked []Delivery) (deliveries map[Pair]bool, events map[cdc.Position]bool, err error) {
	deliveries, events = map[Pair]bool{}, map[cdc.Position]bool{}
	if len(asked) == 0 {
		return deliveries, events, nil
	}
	subs, positions := make([]int64, len(asked)), make([][]byte, len(asked))
	ordered, loose := make([]int64, len(asked)), make([]int64, len(asked))
	for i, d := range asked {
		subs[i], positions[i] = d.Subscription, bytesOf(d.Event.Position)
		ordered[i], loose[i] = sender.OrderingKeys(d.Event)
	}
	// One by one, by index, whatever the planner thinks of their number (OFFSET 0).
	rows, err := s.pool.Query(ctx, `
		SELECT w.subscription, w.position, e.found IS NOT NULL, u.found IS NOT NULL
		FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[]) AS w(subscription, position, ordered, loose)
		LEFT JOIN LATERAL (SELECT 1 AS found FROM event WHERE position = w.position LIMIT 1 OFFSET 0) e ON true
		LEFT JOIN LATERAL (
			SELECT 1 AS found FROM due WHERE subscription = w.subscription AND key IN (w.ordered, w.loose) AND position = w.position
			LIMIT 1 OFFSET 0) u ON true`, subs, positions, ordered, loose)
	if err != nil {
		return nil, nil, fmt.Errorf("look for what was recorded: %w", err)
	}
	var sub int64
	var position []byte
	var event, delivery bool
	_, err = pgx.ForEachRow(rows, []any{&sub, &position, &event, &delivery}, func() error {
		p, err := cdc.PositionFromBytes(position)
		if err != nil {
			return err
		}
		if event {
			events[p] = true
		}
		if delivery {
			deliveries[Pair{sub, p}] = true
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("look for what was recorded: %w", err)
	}
	// Last: what was due a moment ago, and is not any more, has been finished.
	if err := s.finished(ctx, asked, deliveries); err != nil {
		return nil, nil, err
	}
	return deliveries, events, nil
}

// EventsOf returns the positions of the stored events that came of the changes themselves, by their ids. A change is a
// position whose Sub does not matter.
func (s *Store) EventsOf(ctx context.Context, changes []cdc.Position) (map[string]cdc.Position, error) {
	low, high := make([][]byte, len(changes)), make([][]byte, len(changes))
	for i, p := range changes {
		p.Sub = 0
		low[i] = bytesOf(p)
		p.Sub = mapping.TouchedFrom - 1
		high[i] = bytesOf(p)
	}
	// One by one, by index, whatever the planner thinks of their number (OFFSET 0).
	rows, err := s.pool.Query(ctx, `
		SELECT e.id, e.position FROM unnest($1::bytea[], $2::bytea[]) AS w(low, high)
		CROSS JOIN LATERAL (SELECT id, position FROM event WHERE position BETWEEN w.low AND w.high OFFSET 0) e`, low, high)
	if err != nil {
		return nil, fmt.Errorf("look for recorded events: %w", err)
	}
	found := map[string]cdc.Position{}
	var id string
	var position []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &position}, func() error {
		p, err := cdc.PositionFromBytes(position)
		found[id] = p
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for recorded events: %w", err)
	}
	return found, nil
}

// Touched is an event that a touch made. Account is whose it is, empty for nobody's.
type Touched struct {
	Position cdc.Position
	Account  string
}

// TouchedOf returns what is stored of the events that touches made at a change, a position whose Sub does not matter:
// those that have the ids, the positions of the dead letters there of the resource's instances, and the highest Sub
// that is taken, zero where there is none.
func (s *Store) TouchedOf(ctx context.Context, change cdc.Position, resource string, ids, instances []string) (events map[string]Touched, buried map[string]cdc.Position, highest uint32, err error) {
	change.Sub = mapping.TouchedFrom
	low := bytesOf(change)
	change.Sub = math.MaxUint32
	high := bytesOf(change)
	events, buried = map[string]Touched{}, map[string]cdc.Position{}
	err = s.transact(ctx, func(tx pgx.Tx) error {
		// Of ten thousand ids each would be compared with each event.
		if _, err := tx.Exec(ctx, `SET LOCAL enable_nestloop = off`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			(SELECT 0, '', '', position FROM event WHERE position BETWEEN $1 AND $2 ORDER BY position DESC LIMIT 1)
			UNION ALL
			(SELECT 0, '', '', position FROM dead_letter WHERE position BETWEEN $1 AND $2 ORDER BY position DESC LIMIT 1)
			UNION ALL
			SELECT 1, id, coalesce(account, ''), position FROM (SELECT id, account, position FROM event WHERE position BETWEEN $1 AND $2 OFFSET 0) e
				JOIN unnest($3::text[]) AS w(id) USING (id)
			UNION ALL
			SELECT 2, instance, '', position FROM (SELECT resource, instance, position FROM dead_letter WHERE position BETWEEN $1 AND $2 OFFSET 0) d
				JOIN unnest($5::text[]) AS w(instance) USING (instance) WHERE resource = $4`, low, high, ids, resource, instances)
		if err != nil {
			return err
		}
		var what int
		var name, account string
		var position []byte
		_, err = pgx.ForEachRow(rows, []any{&what, &name, &account, &position}, func() error {
			p, err := cdc.PositionFromBytes(position)
			switch what {
			case 0:
				highest = max(highest, p.Sub)
			case 1:
				events[name] = Touched{p, account}
			case 2:
				buried[name] = p
			}
			return err
		})
		return err
	})
	if err != nil {
		return nil, nil, 0, fmt.Errorf("look for recorded touches: %w", err)
	}
	return events, buried, highest, nil
}
