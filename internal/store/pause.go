package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pause is that somebody has said that nothing is to be sent.
type Pause struct {
	Since time.Time
	// Reason is in the words of who said it, By the name of the token.
	Reason, By string
}

// Pause returns the pause, nil when there is none.
func (s *Store) Pause(ctx context.Context) (*Pause, error) {
	p := &Pause{}
	err := s.pool.QueryRow(ctx, `SELECT since, reason, said_by FROM pause`).Scan(&p.Since, &p.Reason, &p.By)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read whether rowhook is paused: %w", err)
	}
	p.Since = p.Since.UTC()
	return p, nil
}

// SetPause makes a pause that begins now, or gives the one that there is another reason, unless that is empty.
func (s *Store) SetPause(ctx context.Context, reason, by string) (*Pause, error) {
	p := &Pause{}
	err := s.pool.QueryRow(ctx, `
		INSERT INTO pause AS p (reason, said_by) VALUES ($1, $2)
		ON CONFLICT (one) DO UPDATE SET
			reason = CASE WHEN excluded.reason = '' THEN p.reason ELSE excluded.reason END,
			said_by = CASE WHEN excluded.reason = '' THEN p.said_by ELSE excluded.said_by END
		RETURNING since, reason, said_by`, reason, by).Scan(&p.Since, &p.Reason, &p.By)
	if err != nil {
		return nil, fmt.Errorf("pause: %w", err)
	}
	p.Since = p.Since.UTC()
	return p, nil
}

// EndPause ends the pause and returns it, nil when there was none.
func (s *Store) EndPause(ctx context.Context) (*Pause, error) {
	p := &Pause{}
	err := s.pool.QueryRow(ctx, `DELETE FROM pause RETURNING since, reason, said_by`).Scan(&p.Since, &p.Reason, &p.By)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("end the pause: %w", err)
	}
	p.Since = p.Since.UTC()
	return p, nil
}
