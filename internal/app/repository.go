package app

import (
	"context"
	"fmt"

	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/subscriptions"
)

// openStore is the store as the API's parts find it: unavailable until it is open.
func (a *App) openStore() (*store.Store, error) {
	if st := a.store.Load(); st != nil {
		return st, nil
	}
	return nil, fmt.Errorf("the store is not open yet: %w", subscriptions.ErrUnavailable)
}

// repository are the store's subscriptions as the API sees them.
type repository struct{ app *App }

func (r repository) Create(ctx context.Context, s *subscriptions.Subscription, most int) error {
	st, err := r.app.openStore()
	if err != nil {
		return err
	}
	return st.Create(ctx, s, most)
}

func (r repository) CreateOnce(ctx context.Context, s *subscriptions.Subscription, most int, once subscriptions.Once) (*subscriptions.Subscription, bool, error) {
	st, err := r.app.openStore()
	if err != nil {
		return nil, false, err
	}
	return st.CreateOnce(ctx, s, most, once)
}

func (r repository) List(ctx context.Context, q subscriptions.Query) ([]*subscriptions.Subscription, bool, error) {
	st, err := r.app.openStore()
	if err != nil {
		return nil, false, err
	}
	return st.List(ctx, q)
}

func (r repository) Get(ctx context.Context, scope subscriptions.Scope, id string) (*subscriptions.Subscription, error) {
	st, err := r.app.openStore()
	if err != nil {
		return nil, err
	}
	return st.Get(ctx, scope, id)
}

func (r repository) Update(ctx context.Context, scope subscriptions.Scope, id string, change func(*subscriptions.Subscription) error) (*subscriptions.Subscription, error) {
	st, err := r.app.openStore()
	if err != nil {
		return nil, err
	}
	return st.Update(ctx, scope, id, change)
}

func (r repository) Delete(ctx context.Context, scope subscriptions.Scope, id string, when func(*subscriptions.Subscription) error) error {
	st, err := r.app.openStore()
	if err != nil {
		return err
	}
	return st.Delete(ctx, scope, id, when)
}

func (r repository) Lease(ctx context.Context, s *subscriptions.Subscription, most int, once *subscriptions.Once, renew func(*subscriptions.Subscription) error) (*subscriptions.Subscription, subscriptions.Made, error) {
	st, err := r.app.openStore()
	if err != nil {
		return nil, 0, err
	}
	return st.Lease(ctx, s, most, once, renew)
}

func (r repository) Import(ctx context.Context, s *subscriptions.Subscription, dry bool) (*subscriptions.Subscription, error) {
	st, err := r.app.openStore()
	if err != nil {
		return nil, err
	}
	return st.Import(ctx, s, dry)
}
