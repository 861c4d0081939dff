package sender_test

import (
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestPausedSendsNothing: what is submitted and what is asked for again is taken, stored, and sent when the pause is over, in order; a
// connection that is made anew meanwhile does not end it.
func TestPausedSendsNothing(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Times(1, hooktest.Always(hooktest.Answer{Until: release}), hooktest.Always(hooktest.OK())))
	s := newSubscription(1, r.URL("/"))
	s.Delivery.MaxInFlight = 1
	d := run(t, testConfig(), store)
	done := newEvent(1, "a")
	receipts := []*cdc.Receipt{d.submit(t, done, s), d.submit(t, newEvent(2, "a"), s), d.submit(t, newEvent(3, "b"), s)}
	r.Wait(t, 1, patience)
	since := time.Now()
	d.Pause(since)
	receipts = append(receipts, d.submit(t, newEvent(4, "a"), s), d.submit(t, newEvent(5, "c"), s))
	close(release)
	// The log is acknowledged: nothing of it is in memory alone.
	settled(t, receipts...)
	if err := d.Resend(t.Context(), []sender.Job{{Event: done, To: []*subscriptions.Subscription{s}, Stored: true, Replay: true}}); err != nil {
		t.Errorf("what is asked for again is refused: %v", err)
	}
	for _, same := range []bool{true, false} {
		d.Suspend()
		if err := d.Resume(t.Context(), same, knows(s)); err != nil {
			t.Fatal(err)
		}
	}
	d.Pause(since) // said again, it changes nothing
	wantIDs(t, r.Requests(), "evt_1")
	if c := d.Counts(); c.StoredRows != 5 || c.InMemory != 0 || c.InFlight != 0 {
		t.Errorf("paused with %+v, want 5 rows", c)
	}
	d.Pause(time.Time{})
	d.idle(t)
	last := map[string]string{}
	for _, q := range r.Requests()[1:] {
		if before := last[q.Instance()]; before > q.ID && q.ID != "evt_1" {
			t.Errorf("%s after %s", q.ID, before)
		}
		last[q.Instance()] = q.ID
	}
	if got := ids(r.Requests()); len(got) != 6 {
		t.Errorf("got %v, want each once, and the one that was asked for again", got)
	}
}

// TestAPauseDoesNotCountAgainstTheTarget: one that failed for a moment before a long pause is not disabled by its first failure after it.
func TestAPauseDoesNotCountAgainstTheTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		since, from, want time.Duration
	}{
		{"failing before it", -50 * time.Hour, -48 * time.Hour, -2 * time.Hour},
		{"since a request that was under way", -47 * time.Hour, -48 * time.Hour, 0},
		{"not failing", 0, -48 * time.Hour, 0},
	} {
		now := time.Now()
		tr := sender.Trouble{}
		if c.since != 0 {
			tr.Since = now.Add(c.since)
		}
		tr.LeaveOut(now.Add(c.from), now)
		switch {
		case c.since == 0 && !tr.Since.IsZero():
			t.Errorf("%s: it fails since %v", c.name, tr.Since)
		case c.since != 0 && !tr.Since.Equal(now.Add(c.want)):
			t.Errorf("%s: it fails since %v, want %v", c.name, tr.Since.Sub(now), c.want)
		}
	}
}
