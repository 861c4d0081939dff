package store

import (
	"context"
	"fmt"
	"time"
)

// EndSession lets nobody in any more by a session of the console, at every process that shares the store. It is kept until the time, when
// its cookies are worth nothing by themselves.
func (s *Store) EndSession(ctx context.Context, id [16]byte, until time.Time) error {
	if _, err := s.pool.Exec(ctx, `INSERT INTO ended_session (id, ends_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, id[:], until); err != nil {
		return unavailable(fmt.Errorf("end a session: %w", err))
	}
	return nil
}

// SessionEnded says whether EndSession was told of the session.
func (s *Store) SessionEnded(ctx context.Context, id [16]byte) (ended bool, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ended_session WHERE id = $1)`, id[:]).Scan(&ended); err != nil {
		return false, unavailable(fmt.Errorf("look for a session that was ended: %w", err))
	}
	return ended, nil
}
