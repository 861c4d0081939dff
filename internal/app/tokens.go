package app

import (
	"context"
	"crypto/sha256"

	"github.com/rowhook/rowhook/subscriptions"
)

// madeTokens are those of the store as the API sees them.
type madeTokens struct{ app *App }

func (t madeTokens) CreateToken(ctx context.Context, made *subscriptions.Token, hash [sha256.Size]byte) error {
	st, err := t.app.openStore()
	if err != nil {
		return err
	}
	return st.CreateToken(ctx, made, hash)
}

func (t madeTokens) FindToken(ctx context.Context, hash [sha256.Size]byte) (*subscriptions.Token, error) {
	st, err := t.app.openStore()
	if err != nil {
		return nil, err
	}
	return st.FindToken(ctx, hash)
}

func (t madeTokens) ListTokens(ctx context.Context, after string, limit int) ([]*subscriptions.Token, bool, error) {
	st, err := t.app.openStore()
	if err != nil {
		return nil, false, err
	}
	return st.ListTokens(ctx, after, limit)
}

func (t madeTokens) DeleteToken(ctx context.Context, id string) error {
	st, err := t.app.openStore()
	if err != nil {
		return err
	}
	return st.DeleteToken(ctx, id)
}
