package app

import (
	"context"
	"time"

	"github.com/rowhook/rowhook/internal/store"
)

const (
	// leaseEvery is how often subscriptions are looked for whose lease is over; leaseGrace is how long it has been over then:
	// a commit takes its time, by the server's clock, a moment before it is in the log.
	leaseEvery = 2 * time.Second
	leaseGrace = 2 * time.Second
)

// leaseLoop says of subscriptions whose lease is over that they are expired. Nothing depends on when, or on which process does it:
// what matches is decided by the times of the commits.
func (a *App) leaseLoop(ctx context.Context, st *store.Store) {
	next := time.NewTicker(leaseEvery)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		n, err := st.ExpireLeases(ctx, leaseGrace)
		if n > 0 {
			a.log.Info("leases of subscriptions are over", "subscriptions", n)
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("subscriptions whose lease is over cannot be marked", "error", err)
		}
	}
}

// removeExpired deletes the subscriptions whose lease was over before the time.
func (a *App) removeExpired(ctx context.Context, st *store.Store, before time.Time) {
	n, err := st.RemoveExpired(ctx, before)
	if n > 0 {
		a.log.Info("expired subscriptions removed: they are older than the retention", "subscriptions", n)
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("expired subscriptions cannot be removed", "error", err)
	}
}
