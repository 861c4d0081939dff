package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// PlaceOf returns the position from which on events were committed at the time or later, but for some seconds: commits are in the log
// nearly in the order of their times. Where there are none it is the last one that there can be.
func (s *Store) PlaceOf(ctx context.Context, t time.Time) (cdc.Position, error) {
	var position []byte
	err := s.transact(ctx, func(tx pgx.Tx) (err error) {
		position, err = positionSince(ctx, tx, t)
		return err
	})
	if err != nil {
		return cdc.Position{}, fmt.Errorf("look for the events of a time: %w", err)
	}
	if position == nil {
		position = bytes.Repeat([]byte{0xff}, cdc.PositionSize)
	}
	return cdc.PositionFromBytes(position)
}
