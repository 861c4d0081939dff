package sender_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestATargetMayAskForTime: a 429 with Retry-After lets the whole subscription wait that long, other keys too, and nobody
// else; no attempt is spent, and the order is kept.
func TestATargetMayAskForTime(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			r := hooktest.New(t, hooktest.Sequence(hooktest.RetryAfter(status, "1"), hooktest.OK()))
			other := hooktest.New(t, hooktest.Always(hooktest.OK()))
			cfg := testConfig()
			cfg.Retries = nil // an attempt that counts is the last one
			d := run(t, cfg, newMemory().open())
			sub, neighbour := newSubscription(1, r.URL("/")), newSubscription(2, other.URL("/"))
			sub.Delivery.MaxInFlight = 1
			const events = 40
			var receipts []*cdc.Receipt
			for i := range events {
				ev := newEvent(i+1, fmt.Sprint(i%7))
				ev.Time = time.Now()
				receipts = append(receipts, d.submit(t, ev, sub, neighbour))
			}
			settled(t, receipts...) // nobody waits for the second
			other.Wait(t, events, patience)
			all := r.Wait(t, events+1, patience)
			d.idle(t)
			if gap := all[1].At.Sub(all[0].At); gap < time.Second {
				t.Errorf("the next request came after %s, want a second at least", gap)
			}
			for _, q := range all {
				if q.Attempt != 1 {
					t.Errorf("%s is attempt %d: one was spent", q.ID, q.Attempt)
				}
			}
			if err := hooktest.CheckOrder(hooktest.Delivered(all)); err != nil {
				t.Error(err)
			}
			if n := len(hooktest.Delivered(all)); n != events {
				t.Errorf("%d were delivered, want %d", n, events)
			}
		})
	}
}

// TestAnOldEventIsNotWaitedFor: a target that asks for time for ever does not keep a delivery for ever.
func TestAnOldEventIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.RetryAfter(429, "1")))
	cfg := testConfig()
	cfg.Retries = cfg.Retries[:1]
	store := newMemory()
	d := run(t, cfg, store.open())
	ev := newEvent(1, "a")
	ev.Time = time.Now().Add(-6 * 24 * time.Hour)
	settled(t, d.submit(t, ev, newSubscription(1, r.URL("/"))))
	d.idle(t)
	all := r.Requests()
	if len(all) != 2 || all[1].Attempt != 2 || all[1].At.Sub(all[0].At) < time.Second {
		t.Errorf("%d requests: want two attempts, a second apart", len(all))
	}
	if f, _ := store.outcome(pair{1, ev.Position}); f != (finished{sender.StatusFailed, 2}) {
		t.Errorf("it ended as %v", f)
	}
}

// TestATargetMayDropADelivery: with the header that says so, whatever the status, no more attempts of it are made.
func TestATargetMayDropADelivery(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 404, 429, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			r := hooktest.New(t, hooktest.Sequence(hooktest.RetryAfter(status, "3600").With("webhook-delivery", " Drop"), hooktest.OK()))
			store := newMemory()
			d := run(t, testConfig(), store.open())
			sub := newSubscription(1, r.URL("/"))
			first, second := newEvent(1, "a"), newEvent(2, "a")
			settled(t, d.submit(t, first, sub), d.submit(t, second, sub))
			d.idle(t)
			if all := r.Requests(); len(all) != 2 || all[0].ID != "evt_1" || all[1].ID != "evt_2" {
				t.Errorf("%d requests, want one for each event", len(all))
			}
			want := sender.StatusDropped
			if status == 200 {
				want = sender.StatusDelivered
			}
			if f, _ := store.outcome(pair{1, first.Position}); f != (finished{want, 1}) {
				t.Errorf("it ended as %v, want %v", f, want)
			}
		})
	}
}

// TestAPauseEndsWithAChange: who changes the subscription need not wait for what the old target asked.
func TestAPauseEndsWithAChange(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Sequence(hooktest.RetryAfter(503, "86400"), hooktest.OK()))
	d := run(t, testConfig(), newMemory().open())
	sub := newSubscription(1, r.URL("/"))
	ev := newEvent(1, "a")
	ev.Time = time.Now()
	settled(t, d.submit(t, ev, sub))
	eventually(t, "it waits in the store", func() bool { c := d.Counts(); return c.StoredRows == 1 && c.InFlight == 0 })
	changed := *sub
	changed.Version++
	d.Update(&changed)
	second := newEvent(2, "b")
	settled(t, d.submit(t, second, &changed))
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(q) >= 2 })
	if q := r.Requests()[1]; q.ID != "evt_2" {
		t.Errorf("%s came next", q.ID)
	}
}

// TestAPauseSurvivesAKill: a process that takes over, after one that said nothing more, does not ask before; a change of the
// subscription ends the pause for it too. Why nothing comes is among the attempts.
func TestAPauseSurvivesAKill(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]keepers{"Memory": &memoryKeepers{memory: newMemory()}, "Postgres": newPostgresKeepers(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := hooktest.New(t, hooktest.Always(hooktest.OK()))
			r.Handle("/paused", hooktest.Always(hooktest.RetryAfter(429, "3600")))
			paused, other := newSubscription(k.subscription(), r.URL("/paused")), newSubscription(k.subscription(), r.URL("/other"))
			known := map[int64]*subscriptions.Subscription{paused.Key: paused, other.Key: other}
			begin := func() (*running, *faulty) {
				t.Helper()
				store := k.open()
				f := &faulty{Store: store}
				d := run(t, testConfig(), f)
				store.own()
				if err := d.Resume(t.Context(), false, func(key int64) *subscriptions.Subscription { return known[key] }); err != nil {
					t.Fatal(err)
				}
				return d, f
			}
			now := func(n int, contact string) *mapping.Event {
				ev := newEvent(n, contact)
				ev.Time = time.Now().UTC().Truncate(time.Microsecond)
				return ev
			}
			d, f := begin()
			settled(t, d.submit(t, now(1, "a"), paused))
			eventually(t, "the pause is written", func() bool { c := d.Counts(); return c.Paused == 1 && c.Unwritten == 0 && c.InFlight == 0 })
			f.set(func(f *faulty) { f.dead = true })
			d.stop()

			d, f = begin()
			if c := d.Counts(); c.Paused != 1 || c.StoredRows != 1 {
				t.Errorf("after a start: %+v", c)
			}
			settled(t, d.submit(t, now(2, "b"), paused))
			d.submit(t, now(3, "a"), other)
			r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/other"]) == 1 })
			if n := len(hooktest.ByPath(r.Requests())["/paused"]); n != 1 {
				t.Errorf("%d requests to a target that asked for an hour, want 1", n)
			}
			f.set(func(f *faulty) { f.dead = true })
			d.stop()

			r.Handle("/paused", nil)
			changed := paused.Clone()
			changed.Version++
			known[paused.Key] = changed
			d, _ = begin()
			r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/paused"]) > 1 })
			if c := d.Counts(); c.Paused != 0 {
				t.Errorf("after a change: %+v", c)
			}
		})
	}
}

// TestATargetMayAskForTimeBetweenConnections: one that does while nothing is begun lets nobody else wait afterwards.
func TestATargetMayAskForTimeBetweenConnections(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.RetryAfter(429, "3600").After(300*time.Millisecond)))
	other := hooktest.New(t, hooktest.Sequence(hooktest.Status(500), hooktest.OK()))
	cfg := testConfig()
	cfg.Retries = []time.Duration{time.Second}
	d := run(t, cfg, newMemory().open())
	sub, neighbour := newSubscription(1, r.URL("/")), newSubscription(2, other.URL("/"))
	sub.Delivery.MaxInFlight = 1
	subs := map[int64]*subscriptions.Subscription{1: sub, 2: neighbour}
	failing := d.submit(t, newEvent(1, "a"), neighbour)
	settled(t, failing)
	for i := range 2 {
		ev := newEvent(i+2, fmt.Sprint(i))
		ev.Time = time.Now()
		d.submit(t, ev, sub)
	}
	r.Wait(t, 1, patience)
	d.Suspend()
	eventually(t, "all is stored", func() bool { c := d.Counts(); return c.InFlight == 0 && c.Unwritten == 0 && c.InMemory == 0 })
	if err := d.Resume(t.Context(), true, func(key int64) *subscriptions.Subscription { return subs[key] }); err != nil {
		t.Fatal(err)
	}
	other.Wait(t, 2, patience)
}
