package store

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// Pair is a delivery by its subscription's Key and its event's position.
type Pair struct {
	Subscription int64
	Position     cdc.Position
}

// Recorded returns which of the deliveries are in the store, finished or due, and which of the events.
func (s *Store) Recorded(ctx context.Context, pairs []Pair) (deliveries map[Pair]bool, events map[cdc.Position]bool, err error) {
	subs, positions := make([]int64, len(pairs)), make([][]byte, len(pairs))
	for i, p := range pairs {
		subs[i], positions[i] = p.Subscription, bytesOf(p.Position)
	}
	deliveries, events = map[Pair]bool{}, map[cdc.Position]bool{}
	rows, err := s.pool.Query(ctx, `
		SELECT w.subscription, w.position, EXISTS (SELECT FROM event e WHERE e.position = w.position),
			EXISTS (SELECT FROM delivery d WHERE d.subscription = w.subscription AND d.position = w.position)
			OR EXISTS (SELECT FROM due d WHERE d.subscription = w.subscription AND d.position = w.position)
		FROM unnest($1::bigint[], $2::bytea[]) AS w(subscription, position)`, subs, positions)
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
	return deliveries, events, nil
}

// EventsOf returns the positions of the stored events that came of the changes, by their ids. A change is a position
// whose Sub does not matter.
func (s *Store) EventsOf(ctx context.Context, changes []cdc.Position) (map[string]cdc.Position, error) {
	low, high := make([][]byte, len(changes)), make([][]byte, len(changes))
	for i, p := range changes {
		p.Sub = 0
		low[i] = bytesOf(p)
		p.Sub = math.MaxUint32
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
