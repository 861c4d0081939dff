package sender_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestSilent: what a shadow or a feed matches is recorded as dropped, at once and without a request or a slot, beside others
// that get the same events.
func TestSilent(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.OK()))
	store := newMemory()
	cfg := testConfig()
	cfg.MaxInFlight = 1
	var dropped [3]atomic.Int32
	cfg.OnDropped = func(reason sender.DropReason) { dropped[reason].Add(1) }
	d := run(t, cfg, store.open())
	shadow, feed, real := newSubscription(1, r.URL("/shadow")), newSubscription(2, ""), newSubscription(3, r.URL("/real"))
	shadow.State = subscriptions.Shadow
	// What it matched as a shadow stays unsent when its lease is over; what an active one matched is owed to it.
	ended, owed := newSubscription(4, r.URL("/ended")), newSubscription(5, r.URL("/owed"))
	ended.State, ended.Before, owed.State = subscriptions.Expired, subscriptions.Shadow, subscriptions.Expired
	var receipts []*cdc.Receipt
	for i := range 20 {
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i%3)), shadow, feed, real, ended, owed))
	}
	settled(t, receipts...)
	d.idle(t)
	for i := range 20 {
		ev := newEvent(i+1, fmt.Sprint(i%3))
		for key, want := range map[int64]finished{
			1: {sender.StatusDropped, 0}, 2: {sender.StatusDropped, 0}, 3: {sender.StatusDelivered, 1}, 4: {sender.StatusDropped, 0}, 5: {sender.StatusDelivered, 1},
		} {
			if got := store.finished[pair{key, ev.Position}]; got != want {
				t.Errorf("event %d, subscription %d: %+v, want %+v", i+1, key, got, want)
			}
		}
		if store.events[ev.Position] == nil {
			t.Errorf("event %d is not stored", i+1)
		}
	}
	if a, b := dropped[sender.DropShadow].Load(), dropped[sender.DropFeed].Load(); a != 40 || b != 20 {
		t.Errorf("told of %d and %d, want 40 and 20", a, b)
	}
	for path, q := range hooktest.ByPath(r.Requests()) {
		if path != "/real" && path != "/owed" {
			t.Errorf("%d requests to %s", len(q), path)
		}
	}
}

// TestBecomesAShadow while a request hangs, more waits behind it, and rows wait for a retry an hour from now: nothing is
// sent any more, and all of it is dropped. When it is active again what comes then is sent.
func TestBecomesAShadow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Always(hooktest.OK()))
	r.Handle("/", hooktest.ForInstance("contact/fails", hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.Answer{Until: release, Status: 500})))
	store := newMemory()
	cfg := testConfig()
	cfg.Retries = []time.Duration{time.Hour}
	d := run(t, cfg, store.open())
	s := newSubscription(1, r.URL("/"))
	failed := d.submit(t, newEvent(1, "fails"), s)
	settled(t, failed, d.submit(t, newEvent(2, "fails"), s)) // one is due in an hour, and one waits for it
	eventually(t, "two rows wait", func() bool { return d.Counts().StoredRows == 2 })
	var receipts []*cdc.Receipt
	for i := 3; i < 40; i++ {
		receipts = append(receipts, d.submit(t, newEvent(i, fmt.Sprint("hangs", i%20)), s))
	}
	eventually(t, "some hang", func() bool { return d.Counts().InFlight > 1 })
	before := len(r.Requests())

	shadow := s.Clone()
	shadow.Version, shadow.State = 2, subscriptions.Shadow
	d.Update(shadow)
	eventually(t, "what does not run is dropped", func() bool {
		c := d.Counts()
		return c.StoredRows == 0 && c.InMemory == c.InFlight
	})
	running := d.Counts().InFlight
	receipts = append(receipts, d.submit(t, newEvent(50, "hangs3"), shadow))
	close(release)
	settled(t, receipts...)
	d.idle(t)
	if n := len(r.Requests()); n > before+running {
		t.Errorf("%d requests were made when it was a shadow", n-before)
	}
	for p, f := range store.finished {
		if f.status != sender.StatusDropped {
			t.Errorf("%v: %+v, want dropped", p, f)
		}
	}
	if n := len(store.finished); n != 40 {
		t.Errorf("%d are recorded, want 40", n)
	}

	again := s.Clone()
	again.Version = 3
	d.Update(again)
	r.Handle("/", hooktest.Always(hooktest.OK()))
	r.Forget()
	settled(t, d.submit(t, newEvent(60, "fails"), again))
	d.idle(t)
	if q := r.Requests(); len(q) != 1 {
		t.Errorf("%d requests when it is active again, want 1", len(q))
	}
}

// TestTakesOverRowsOfAShadow: what another process has left as due is dropped by the next one, in Postgres too.
func TestTakesOverRowsOfAShadow(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]keepers{"Memory": &memoryKeepers{memory: newMemory()}, "Postgres": newPostgresKeepers(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
			cfg := testConfig()
			cfg.Retries = []time.Duration{time.Hour}
			s := newSubscription(k.subscription(), r.URL("/"))
			first := k.open()
			first.own()
			d := run(t, cfg, first)
			var events []pair
			var receipts []*cdc.Receipt
			for i := 1; i <= 300; i++ {
				ev := newEvent(i, fmt.Sprint(i%150))
				events = append(events, pair{s.Key, ev.Position})
				receipts = append(receipts, d.submit(t, ev, s))
			}
			settled(t, receipts...)
			d.stop()
			tried := len(r.Requests())

			shadow := s.Clone()
			shadow.Version, shadow.State = 2, subscriptions.Shadow
			next := k.open()
			next.own()
			d = run(t, cfg, next)
			if err := d.Resume(t.Context(), false, func(int64) *subscriptions.Subscription { return shadow }); err != nil {
				t.Fatal(err)
			}
			d.idle(t)
			for _, p := range events {
				if got, ok := next.outcome(p); !ok || got.status != sender.StatusDropped {
					t.Fatalf("%v: %+v %v, want dropped", p, got, ok)
				}
			}
			if n := len(r.Requests()); n != tried {
				t.Errorf("%d requests to a shadow", n-tried)
			}
		})
	}
}
