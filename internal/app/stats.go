package app

import (
	"context"
	"slices"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/subscriptions"
)

// Stats implements api.Deliveries.
func (d deliveries) Stats(ctx context.Context, of []*subscriptions.Subscription) ([]*client.SubscriptionStats, error) {
	st, err := d.app.openStore()
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	keys := make([]int64, len(of))
	for i, s := range of {
		keys[i] = s.Key
	}
	found, err := st.DeliveryStats(ctx, keys, now, now.Add(-time.Hour), now.Add(-24*time.Hour))
	if err != nil {
		return nil, err
	}
	all := make([]*client.SubscriptionStats, len(of))
	for i, s := range of {
		all[i] = statsOf(s, found[i], now)
	}
	return all, nil
}

func statsOf(s *subscriptions.Subscription, x *store.Stats, now time.Time) *client.SubscriptionStats {
	v := &client.SubscriptionStats{Subscription: s.ID, At: now, Hour: windowOf(now, x.Windows[0]), Day: windowOf(now, x.Windows[1]),
		Waiting:     client.WaitingDeliveries{Count: x.Waiting, AtLeast: x.AtLeast, Keys: x.Keys, OldestAt: orNil(x.Oldest), NextAttemptAt: orNil(notBefore(now, x.NextAttempt, x.PausedUntil))},
		PausedUntil: orNil(x.PausedUntil), FailingSince: orNil(x.FailingSince)}
	if !x.Oldest.IsZero() {
		age := max(0, now.Sub(x.Oldest).Seconds())
		v.Waiting.OldestAgeSeconds = &age
	}
	if !x.LastAt.IsZero() {
		v.LastError = &client.LastError{Reason: x.LastReason, At: x.LastAt}
		if x.LastStatus > 0 {
			v.LastError.Status = &x.LastStatus
		}
	}
	return v
}

func windowOf(now time.Time, w store.Window) client.DeliveryWindow {
	v := client.DeliveryWindow{Seconds: int(now.Sub(w.Since).Seconds()), Delivered: w.Delivered, Failed: w.Failed, Dropped: w.Dropped, Complete: w.Complete, CountedSince: w.CountedSince}
	if all := w.Delivered + w.Failed; all > 0 {
		rate := float64(w.Delivered) / float64(all)
		v.SuccessRate = &rate
	}
	return v
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// notBefore is when what is due at a time is tried at the earliest: what is overdue waits for its turn, and for the end of a pause.
// Where nothing is due it is zero.
func notBefore(now, due, paused time.Time) time.Time {
	if due.IsZero() {
		return due
	}
	return slices.MaxFunc([]time.Time{now, due, paused}, time.Time.Compare)
}
