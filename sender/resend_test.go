package sender_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// headOf is what a replay needs to know of an event.
func headOf(ev *mapping.Event) *mapping.Event {
	return &mapping.Event{Position: ev.Position, Time: ev.Time, Resource: ev.Resource, Instance: ev.Instance}
}

func again(ev *mapping.Event, attempts int, to ...*subscriptions.Subscription) sender.Job {
	return sender.Job{Event: headOf(ev), To: to, Replay: true, Attempts: attempts}
}

// TestResent: what is sent again is the same event, marked, with attempts that go on from those before, the whole schedule,
// and an end of its own.
func TestResent(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Sequence(hooktest.OK(), hooktest.Status(500), hooktest.OK()))
	s, shadow := newSubscription(1, r.URL("/")), newSubscription(2, r.URL("/"))
	shadow.State = subscriptions.Shadow
	d := run(t, testConfig(), store)
	ev := newEvent(1, "a")
	settled(t, d.submit(t, ev, s))
	if err := d.Resend(t.Context(), []sender.Job{again(ev, 1, s), {Event: headOf(ev)}, again(ev, 1, shadow)}); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	requests := r.Wait(t, 3, patience)
	wantIDs(t, requests, "evt_1", "evt_1", "evt_1")
	for i, want := range []struct{ replay, attempt, reason string }{{"", "1", ""}, {"1", "2", ""}, {"1", "3", "http_status"}} {
		h := requests[i].Header
		if h.Get("Webhook-Replay") != want.replay || h.Get("Webhook-Attempt") != want.attempt || h.Get("Webhook-Retry-Reason") != want.reason {
			t.Errorf("request %d: %v", i, h)
		}
		if string(requests[i].Body) != string(requests[0].Body) {
			t.Errorf("request %d: %s", i, requests[i].Body)
		}
	}
	if got := store.resent(pair{1, ev.Position}); !slices.Equal(got, []finished{{sender.StatusDelivered, 3}}) {
		t.Errorf("resent %v", got)
	}
	if f, _ := store.outcome(pair{1, ev.Position}); f != (finished{sender.StatusDelivered, 1}) {
		t.Errorf("what became of it the first time is %v", f)
	}
	if got := store.resent(pair{2, ev.Position}); got != nil {
		t.Errorf("resent to a shadow: %v", got)
	}
}

// TestResentHasTheWholeSchedule: whatever was tried before.
func TestResentHasTheWholeSchedule(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	s := newSubscription(1, r.URL("/"))
	d := run(t, testConfig(), store)
	ev := newEvent(1, "a")
	settled(t, d.submit(t, ev, s))
	d.idle(t)
	tries := len(testConfig().Retries) + 1
	if err := d.Resend(t.Context(), []sender.Job{again(ev, tries, s)}); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	if got := store.resent(pair{1, ev.Position}); !slices.Equal(got, []finished{{sender.StatusFailed, 2 * tries}}) {
		t.Errorf("resent %v after %d attempts", got, tries)
	}
}

// TestResentStandsInItsPlace: behind what is under way of its instance, before what waits, whatever the order of asking; and
// what is under way itself is not sent twice.
func TestResentStandsInItsPlace(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Sequence(hooktest.OK(), hooktest.OK(), hooktest.Answer{Until: release, Status: 500}, hooktest.OK()))
	s := newSubscription(1, r.URL("/"))
	d := run(t, testConfig(), store)
	one, two, five := newEvent(1, "a"), newEvent(2, "a"), newEvent(5, "a")
	settled(t, d.submit(t, one, s), d.submit(t, two, s))
	d.idle(t)
	receipt := d.submit(t, five, s)
	r.Wait(t, 3, patience)
	waiting := d.submit(t, newEvent(6, "a"), s)
	for _, j := range []sender.Job{again(two, 1, s), again(one, 1, s), again(five, 0, s)} {
		if err := d.Resend(t.Context(), []sender.Job{j}); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	settled(t, receipt, waiting)
	d.idle(t)
	wantIDs(t, r.Requests(), "evt_1", "evt_2", "evt_5", "evt_1", "evt_2", "evt_5", "evt_6")
	if got := store.resent(pair{1, five.Position}); got != nil {
		t.Errorf("what was under way was sent again: %v", got)
	}
}

// TestResendIsRefused: by a process that does not send, and one whose store is another's now.
func TestResendIsRefused(t *testing.T) {
	t.Parallel()
	memory := newMemory()
	mine := memory.open()
	mine.own()
	s, ev := newSubscription(1, "http://127.0.0.1:1/"), newEvent(1, "a")
	d := run(t, testConfig(), mine)
	d.Suspend()
	if err := d.Resend(t.Context(), []sender.Job{again(ev, 1, s)}); !errors.Is(err, sender.ErrSuspended) {
		t.Errorf("suspended: %v", err)
	}
	if err := d.Resume(t.Context(), true, func(int64) *subscriptions.Subscription { return s }); err != nil {
		t.Fatal(err)
	}
	memory.open().own()
	if err := d.Resend(t.Context(), []sender.Job{again(ev, 1, s)}); !errors.Is(err, sender.ErrNotOwner) {
		t.Errorf("not the owner: %v", err)
	}
	if memory.waits(pair{1, ev.Position}) {
		t.Error("there is a row of it")
	}
	// What waits for the store waits no longer than its caller.
	stuck := &faulty{Store: newMemory().open(), gate: make(chan struct{})}
	other := run(t, testConfig(), stuck)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- other.Resend(ctx, []sender.Job{again(ev, 1, s)}) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	close(stuck.gate)
	other.Remove(1)
	if err := other.Resend(t.Context(), []sender.Job{again(newEvent(2, "a"), 1, s)}); err != nil {
		t.Errorf("removed: %v", err)
	}
}
