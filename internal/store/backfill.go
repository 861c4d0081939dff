package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// BackfillMark is the content of the message that marks a place in the source's log for a backfill. Its prefix is that of
// announcements; who does not know it takes it for the announcement of a deletion that was seen before.
type BackfillMark struct {
	Store   string `json:"store"`
	Deleted bool   `json:"deleted"`
	// Window names what the mark is for, Number which one of it it is.
	Window string `json:"backfill_window"`
	Number int    `json:"number"`
}

// Mark writes a mark into the source's log, and returns when it is committed.
func (s *Store) Mark(ctx context.Context, window string, number int) error {
	m := BackfillMark{Store: s.id, Deleted: true, Window: window, Number: number}
	var err error
	if s.source != nil {
		err = s.emit(ctx, nil, m)
	} else {
		err = s.transact(ctx, func(tx pgx.Tx) error { return s.emit(ctx, tx, m) })
	}
	if err != nil {
		return fmt.Errorf("mark a place in the source's log: %w", err)
	}
	return nil
}
