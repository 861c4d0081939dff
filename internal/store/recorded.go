package store

import (
	"context"
	"fmt"

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
