package sender_test

import (
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestDeferredStandsInItsPlace: what is submitted to go through the store comes behind what is under way of its instance,
// and before what is submitted after it; its letter is closed when its row is there.
func TestDeferredStandsInItsPlace(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Sequence(hooktest.Answer{Until: release, Status: 200}, hooktest.OK()))
	s := newSubscription(1, r.URL("/"))
	d := run(t, testConfig(), store)
	receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), s)}
	r.Wait(t, 1, patience)
	deferred := cdc.NewReceipt(2)
	job := sender.Job{Event: newEvent(3, "a"), To: []*subscriptions.Subscription{s}, Deferred: true}
	if err := d.Submit(t.Context(), []sender.Job{job}, deferred); err != nil {
		t.Fatal(err)
	}
	d.Amend(mapping.DeadLetter{Resource: "contact", Position: job.Event.Position}, "replayed", deferred)
	settled(t, deferred) // it waits for no target
	if got := dueIDs(t, store, 1); len(got) == 0 {
		t.Error("there is no row of it")
	}
	receipts = append(receipts, d.submit(t, newEvent(5, "a"), s))
	if err := d.Recorded(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(release)
	settled(t, receipts...)
	d.idle(t)
	wantIDs(t, r.Requests(), "evt_1", "evt_3", "evt_5")
}

// TestOvertaken: what is later, of the same instance and for the same subscription, and in memory.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Always(hooktest.Answer{Until: release, Status: 200}))
	s, other, loose := newSubscription(1, r.URL("/")), newSubscription(2, r.URL("/")), newSubscription(3, r.URL("/"))
	loose.Delivery.Ordering = subscriptions.OrderingNone
	d := run(t, testConfig(), newMemory().open())
	receipts := []*cdc.Receipt{d.submit(t, newEvent(5, "a"), s, loose), d.submit(t, newEvent(7, "a"), s), d.submit(t, newEvent(9, "b"), s)}
	r.Wait(t, 3, patience)
	for _, c := range []struct {
		to   *subscriptions.Subscription
		n    int
		want bool
	}{{s, 3, true}, {s, 6, true}, {s, 8, false}, {other, 3, false}, {loose, 3, false}} {
		if got := d.Overtaken(c.to, newEvent(c.n, "a")); got != c.want {
			t.Errorf("event %d for %s: overtaken is %v", c.n, c.to.ID, got)
		}
	}
	close(release)
	settled(t, receipts...)
	d.idle(t)
}
