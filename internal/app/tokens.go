package app

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/subscriptions"
)

// madeTokens are those of the store as the API sees them: unavailable until it is open.
type madeTokens struct{ app *App }

func (t madeTokens) open() (*store.Store, error) {
	if st := t.app.store.Load(); st != nil {
		return st, nil
	}
	return nil, fmt.Errorf("the store is not open yet: %w", subscriptions.ErrUnavailable)
}

func (t madeTokens) CreateToken(ctx context.Context, made *subscriptions.Token, hash [sha256.Size]byte) error {
	st, err := t.open()
	if err != nil {
		return err
	}
	return st.CreateToken(ctx, made, hash)
}

func (t madeTokens) FindToken(ctx context.Context, hash [sha256.Size]byte) (*subscriptions.Token, error) {
	st, err := t.open()
	if err != nil {
		return nil, err
	}
	return st.FindToken(ctx, hash)
}

func (t madeTokens) ListTokens(ctx context.Context, after string, limit int) ([]*subscriptions.Token, bool, error) {
	st, err := t.open()
	if err != nil {
		return nil, false, err
	}
	return st.ListTokens(ctx, after, limit)
}

func (t madeTokens) DeleteToken(ctx context.Context, id string) error {
	st, err := t.open()
	if err != nil {
		return err
	}
	return st.DeleteToken(ctx, id)
}
