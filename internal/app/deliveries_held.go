package app

import (
	"context"
	"errors"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/subscriptions"
)

// Held implements api.Deliveries.
func (d deliveries) Held(ctx context.Context, s *subscriptions.Subscription, after api.HeldCursor, limit int) ([]client.HeldKey, *api.HeldCursor, error) {
	st, err := d.app.openStore()
	if err != nil {
		return nil, nil, err
	}
	page, next, err := st.ListHeld(ctx, s.Key, store.HeldCursor(after), limit)
	if err != nil {
		return nil, nil, err
	}
	shown := make([]client.HeldKey, len(page))
	for i, h := range page {
		shown[i] = client.HeldKey{Resource: h.Oldest.Event.Resource, Waiting: h.Waiting, AtLeast: h.AtLeast, Oldest: shownDelivery(s.ID, h.Oldest), NextAttempt: timeOrNil(h.Oldest.NextAttempt)}
		if h.Oldest.Event.ID != "" {
			shown[i].ResourceID = &h.Oldest.Event.Instance
		}
	}
	return shown, (*api.HeldCursor)(next), nil
}

// OfEvent implements api.Deliveries.
func (d deliveries) OfEvent(ctx context.Context, scope subscriptions.Scope, q api.EventDeliveryQuery) ([]client.LoggedDelivery, string, error) {
	st, err := d.app.openStore()
	if err != nil {
		return nil, "", err
	}
	of := store.EventDeliveriesQuery{Position: q.Position, ID: q.EventID, Limit: q.Limit}
	if q.After != nil {
		of.After = q.After.Key
	}
	if !scope.Admin {
		of.Account = &scope.Account
	}
	page, next, err := st.EventDeliveries(ctx, of)
	if errors.Is(err, store.ErrNoEvent) {
		return nil, "", api.NotFound(err.Error())
	}
	if err != nil {
		return nil, "", err
	}
	shown := make([]client.LoggedDelivery, len(page))
	for i, x := range page {
		shown[i] = shownDelivery(x.Subscription, x.Logged)
	}
	return shown, next, nil
}
