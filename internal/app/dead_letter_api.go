package app

import (
	"context"
	"errors"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/store"
)

// deadLetters are the store's as the API sees them.
type deadLetters struct{ app *App }

// List implements api.DeadLetters.
func (d deadLetters) List(ctx context.Context, q api.DeadLetterQuery) ([]client.DeadLetter, bool, error) {
	st, err := d.app.openStore()
	if err != nil {
		return nil, false, err
	}
	page, more, err := st.ListDeadLetters(ctx, store.DeadLetters{Resource: q.Resource, Reason: q.Reason, Open: q.State == client.DeadLetterOpen,
		Closed: q.State == client.DeadLetterClosed, Before: q.Before, Limit: q.Limit})
	shown := make([]client.DeadLetter, len(page))
	for i, l := range page {
		shown[i] = shownLetter(l)
	}
	return shown, more, err
}

// Get implements api.DeadLetters.
func (d deadLetters) Get(ctx context.Context, at cdc.Position) (client.DeadLetter, error) {
	st, err := d.app.openStore()
	if err != nil {
		return client.DeadLetter{}, err
	}
	l, err := st.DeadLetter(ctx, at)
	if err != nil {
		return client.DeadLetter{}, letterError(err)
	}
	return shownLetter(l), nil
}

// Replay implements api.DeadLetters.
func (d deadLetters) Replay(ctx context.Context, q api.DeadLetterReplay) (int, error) {
	st, err := d.app.openStore()
	if err != nil {
		return 0, err
	}
	selected := store.DeadLetters{Resource: q.Resource, Reason: q.Reason, Positions: q.Positions, Open: true}
	if !q.DryRun {
		return st.RequestReplay(ctx, selected)
	}
	counts, err := st.CountDeadLetters(ctx, selected)
	n := 0
	for _, c := range counts {
		n += c
	}
	return n, err
}

// Discard implements api.DeadLetters.
func (d deadLetters) Discard(ctx context.Context, at cdc.Position, by string) error {
	st, err := d.app.openStore()
	if err != nil {
		return err
	}
	if err := st.Discard(ctx, at, by); err != nil {
		return letterError(err)
	}
	d.app.log.Info("dead letter discarded", "dead_letter", at.String(), "by", by)
	return nil
}

func letterError(err error) error {
	switch {
	case errors.Is(err, store.ErrNoDeadLetter):
		return api.NotFound(err.Error())
	case errors.Is(err, store.ErrClosed):
		return api.Conflict(err.Error())
	}
	return err
}

// shownLetter is a dead letter as the API shows it: what the log told of its row is not for anybody's eyes.
func shownLetter(l *store.DeadLetter) client.DeadLetter {
	s := client.DeadLetter{ID: l.Position.String(), EventID: l.EventID, Type: l.Type, Resource: l.Resource, Instance: l.Instance, Op: l.Op.String(),
		Reason: l.Reason, State: client.DeadLetterOpen, Tries: l.Tries, CommittedAt: l.Time, CreatedAt: l.CreatedAt,
		RequestedAt: timeOrNil(l.RequestedAt), ClosedAt: timeOrNil(l.ClosedAt), ClosedReason: l.ClosedReason, ClosedBy: l.ClosedBy}
	if s.ClosedAt != nil {
		s.State = client.DeadLetterClosed
	}
	return s
}
