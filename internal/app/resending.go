package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// resendEvery is how often it is looked for subscriptions that were enabled; resendSubscriptions is how many are read together, and
	// resendRows how many rows of outcomes of one: each has up to 60 deliveries, of which resendJobs are held in memory until they have
	// their rows.
	resendEvery         = time.Second
	resendSubscriptions = 16
	resendRows          = 50
	resendJobs          = 500
)

// resendLoop lets what has failed for good be due again for subscriptions that were enabled, and tells them of what is not kept any more.
// Until that is done, the dispatcher sends them nothing. What is to be done is in the store: after a crash whoever reads the slot does it.
func (a *App) resendLoop(ctx context.Context, r *resender) {
	tick := time.NewTicker(resendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for more := true; more && ctx.Err() == nil; {
			if src := a.source.Load(); src == nil || !src.Attended() || a.lineage() == "" {
				break // it is another process' to do
			}
			var err error
			if more, err = a.resendEnabled(ctx, r); err != nil {
				more = false
				if ctx.Err() == nil && !errors.Is(err, sender.ErrSuspended) && !errors.Is(err, sender.ErrNotOwner) {
					a.log.Warn("what failed before a subscription was enabled cannot be sent again yet: nothing is sent to it", "error", err)
				}
			}
		}
	}
}

// lineage is what ids of events begin with; empty where it is not known yet.
func (a *App) lineage() string {
	if m := a.mapper.Load(); m != nil {
		return m.Lineage()
	}
	return ""
}

// resendEnabled does it for some, and says whether there may be more. One of which it cannot be done holds up no other.
func (a *App) resendEnabled(ctx context.Context, r *resender) (more bool, err error) {
	found, err := r.store.ToResend(ctx, resendSubscriptions)
	if err != nil {
		return false, err
	}
	var failed []error
	for _, x := range found {
		if err := a.resendTo(ctx, r, x); err != nil {
			failed = append(failed, fmt.Errorf("subscription %s: %w", x.ID, err))
			if ctx.Err() != nil || errors.Is(err, sender.ErrSuspended) || errors.Is(err, sender.ErrNotOwner) {
				break
			}
		}
	}
	return len(found) == resendSubscriptions, errors.Join(failed...)
}

// resendTo does it for one.
func (a *App) resendTo(ctx context.Context, r *resender, x *subscriptions.Subscription) error {
	again, lost := 0, store.Gap{From: x.ResendSince}
	err := r.store.FailedSince(ctx, x.Key, x.ResendSince, resendRows, func(failed []store.Sent, heads []*mapping.Event) error {
		var jobs []sender.Job
		for i, ev := range heads {
			if ev == nil {
				lost.Missed.Count++
				lost.Missed.Position = failed[i].Position.String()
				continue
			}
			jobs = append(jobs, sender.Job{Event: ev, To: []*subscriptions.Subscription{x}, Stored: true, Replay: true, Attempts: failed[i].Attempts})
		}
		for len(jobs) > 0 {
			page := jobs[:min(len(jobs), resendJobs)]
			jobs = jobs[len(page):]
			n, err := r.resend(ctx, page)
			if again += n; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	gaps, err := r.store.GapsOf(ctx, x.Key)
	if err != nil {
		return err
	}
	told := gaps
	if lost.Missed.Count > 0 {
		lost.Missed.Until = x.ResendSince
		told = append(told, lost)
	}
	for _, g := range told {
		if err := a.tellGap(ctx, r, x, g); err != nil {
			return err
		}
	}
	if err := r.store.Resent(ctx, x, gaps); err != nil {
		return err
	}
	if again > 0 || len(told) > 0 {
		a.log.Info("a subscription goes on: what had failed is sent again first", "subscription", x.ID, "again", again, "gaps", len(told))
	}
	return nil
}

// missedReason is the reason of a rowhook.gap for what was kept for too long.
const missedReason = "retention"

// tellGap lets a subscription be told of events that are never sent, before all that waits for it. The notice stands right behind the last
// of them: no commit is there.
func (a *App) tellGap(ctx context.Context, r *resender, x *subscriptions.Subscription, g store.Gap) error {
	at, err := cdc.ParsePosition(g.Missed.Position)
	if err != nil {
		at = cdc.Position{} // it is not known where: before all
	}
	at = cdc.Position{Epoch: at.Epoch, Commit: at.Commit + 1, Sub: uint32(x.Key)}
	data, err := json.Marshal(gapData{Reason: missedReason, From: timeOrNil(g.From), To: timeOrNil(g.Missed.Until), Count: &g.Missed.Count})
	if err != nil {
		panic(err) // times and texts always encode
	}
	ev := mapping.NewNotice(a.lineage(), gapName, at, g.Missed.Until, data)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.dispatcher.Recorded(ctx); err != nil {
		return err
	}
	recorded, _, err := r.store.Recorded(ctx, []store.Delivery{{Subscription: x.Key, Event: ev}})
	if err != nil || recorded[store.Pair{Subscription: x.Key, Position: ev.Position}] {
		return err
	}
	if err := r.store.PutEvent(ctx, ev); err != nil {
		return err
	}
	return r.dispatcher.Notify(ctx, ev, x)
}
