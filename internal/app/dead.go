package app

import (
	"context"
	"errors"
	"time"

	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// disableAfter is how long a target may take nothing.
const disableAfter = 5 * 24 * time.Hour

// tellAfter is how long a target may take nothing before the admin's subscriptions are told.
const tellAfter = time.Hour

// errChanged says that a subscription is not the one any more that was to be disabled.
var errChanged = errors.New("the subscription was changed")

// dead disables a subscription whose target has taken nothing for days. Until it is done, the dispatcher sends it nothing. One that
// was changed meanwhile gets another chance: with the change the dispatcher goes on.
func (a *App) dead(ctx context.Context, s *subscriptions.Subscription, d sender.Dead) {
	last := subscriptions.LastAnswer{Reason: d.Last.Reason, At: d.Last.Started}
	if d.Last.Status != 0 {
		last.Status = &d.Last.Status
	}
	pause := 100 * time.Millisecond
	for {
		_, err := a.store.Load().Update(ctx, subscriptions.Scope{Admin: true}, s.ID, func(now *subscriptions.Subscription) error {
			if now.Version != s.Version {
				return errChanged
			}
			now.DisableDead(d.Since, last, time.Now())
			return nil
		})
		switch {
		case err == nil:
			a.metrics.disabledTotal.Inc()
			a.log.Warn("subscription disabled: its target has taken nothing for days; what is committed meanwhile is kept for the retention",
				"subscription", s.ID, "since", d.Since.UTC().Format(time.RFC3339), "last", d.Last)
			return
		case errors.Is(err, errChanged), errors.Is(err, subscriptions.ErrNotFound):
			return
		}
		a.log.Warn("a subscription whose target is dead cannot be disabled yet", "subscription", s.ID, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
}

// removeKept removes what was kept for disabled subscriptions, and is older than the time.
func (a *App) removeKept(ctx context.Context, st *store.Store, before time.Time) {
	removed, err := st.ExpireKept(ctx, before)
	for key, n := range removed {
		a.dispatcher.Load().Expired(key, n)
		a.log.Warn("events that were kept for a disabled subscription are older than the retention: they are never sent", "key", key, "events", n)
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("what is kept for disabled subscriptions cannot be removed", "error", err)
	}
}
