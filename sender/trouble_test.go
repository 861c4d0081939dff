package sender_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// resume is what a process does that takes over.
func resume(t *testing.T, d *running, subs ...*subscriptions.Subscription) {
	t.Helper()
	err := d.Resume(t.Context(), false, func(key int64) *subscriptions.Subscription {
		for _, s := range subs {
			if s.Key == key {
				return s
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestADeadTargetIsToldOnce: a target that has taken nothing for so long is told of, and nothing is sent to it until its
// subscription is changed; all that was to be sent comes then, in order.
func TestADeadTargetIsToldOnce(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.Status(404)))
	cfg := testConfig()
	// On a machine that stalls between two failures they lie far apart: so there are many more.
	cfg.Retries = slices.Repeat([]time.Duration{50 * time.Millisecond}, 1000)
	cfg.DisableAfter = time.Second
	dead := make(chan sender.Dead, 10)
	cfg.OnDead = func(_ context.Context, s *subscriptions.Subscription, d sender.Dead) { dead <- d }
	d := run(t, cfg, newMemory().open())
	sub := newSubscription(1, r.URL("/"))
	begun := time.Now()
	d.submit(t, newEvent(1, "a"), sub)
	d.submit(t, newEvent(2, "a"), sub)
	var got sender.Dead
	select {
	case got = <-dead:
	case <-time.After(60 * time.Second):
		t.Fatal("it is not told of")
	}
	if got.Since.Before(begun) || time.Since(got.Since) < cfg.DisableAfter || got.Last.Status != 404 {
		t.Errorf("told: %+v", got)
	}
	n := len(r.Requests())
	settled(t, d.submit(t, newEvent(3, "b"), sub)) // it is stored
	eventually(t, "all is stored", func() bool { c := d.Counts(); return c.StoredRows == 3 && c.InFlight == 0 })
	if now := len(r.Requests()); now != n {
		t.Errorf("%d requests after it was told of", now-n)
	}
	r.HandleAll(hooktest.Always(hooktest.OK()))
	changed := *sub
	changed.Version++
	d.Update(&changed)
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.Delivered(q)) >= 1 })
	if len(dead) != 0 {
		t.Error("it is told of twice")
	}
}

// TestHowLongATargetTakesNothingIsKept: by a process that takes over, until the target takes something.
func TestHowLongATargetTakesNothingIsKept(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Sequence(hooktest.Status(500), hooktest.RetryAfter(429, "1"), hooktest.OK(), hooktest.Status(500)))
	store := newMemory()
	cfg := testConfig()
	cfg.DisableAfter = time.Hour
	cfg.Retries = nil
	told := 0
	cfg.OnDead = func(context.Context, *subscriptions.Subscription, sender.Dead) { told++ }
	sub := newSubscription(1, r.URL("/"))
	since := func() time.Time {
		all, err := store.open().Failing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all[1].Since
	}

	d := run(t, cfg, store.open())
	settled(t, d.submit(t, newEvent(1, "a"), sub)) // 500
	d.stop()
	first := since()
	if first.IsZero() {
		t.Fatal("nothing is kept of a target that fails")
	}

	d = run(t, cfg, store.open())
	resume(t, d, sub)
	late := newEvent(2, "a")
	late.Time = time.Now()
	settled(t, d.submit(t, late, sub)) // 429, then 200
	r.Wait(t, 3, patience)
	d.idle(t)
	d.stop()
	if !since().IsZero() {
		t.Error("a target that takes something is kept as failing")
	}

	store.failing[1] = sender.Trouble{Since: time.Now().Add(-2 * time.Hour)}
	d = run(t, cfg, store.open())
	resume(t, d, sub)
	settled(t, d.submit(t, newEvent(3, "a"), sub)) // 500
	eventually(t, "nothing runs", func() bool { c := d.Counts(); return c.InFlight == 0 && c.Unwritten == 0 })
	d.stop()
	if told != 1 {
		t.Errorf("told of %d times, want 1", told)
	}
	if !since().IsZero() {
		t.Error("once it is told of, the time begins anew")
	}
}

// TestOthersAreToldOnce: of a target that has taken nothing for a while, once, and once when it takes something again; also by the
// process that takes over, and after the subscription was disabled in between.
func TestOthersAreToldOnce(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.RetryAfter(429, "1")))
	store := newMemory()
	cfg := testConfig()
	cfg.TellAfter, cfg.DisableAfter = time.Hour, 10*time.Hour
	dead := make(chan sender.Dead, 10)
	cfg.OnDead = func(_ context.Context, _ *subscriptions.Subscription, d sender.Dead) { dead <- d }
	cfg.Retries = []time.Duration{50 * time.Millisecond, 50 * time.Millisecond, time.Hour}
	sub := newSubscription(1, r.URL("/"))
	failing := func() sender.Trouble {
		t.Helper()
		all, err := store.open().Failing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all[1]
	}
	tells := func() []told {
		store.mu.Lock()
		defer store.mu.Unlock()
		return slices.Clone(store.tells)
	}

	d := run(t, cfg, store.open())
	late := newEvent(1, "a")
	late.Time = time.Now()
	settled(t, d.submit(t, late, sub))
	d.stop()
	if got := failing(); got.Since.IsZero() || !got.Told.IsZero() || got.Last.Status != 429 || got.Last.Reason != sender.ReasonHTTPStatus || time.Since(got.Last.At) > time.Minute {
		t.Fatalf("after a failure: %+v", got)
	}
	if got := tells(); len(got) != 0 {
		t.Fatalf("told too early: %v", got)
	}

	// It has been so for two hours.
	since := time.Now().Add(-2 * time.Hour)
	store.failing[1] = sender.Trouble{Since: since, Last: sender.Failure{At: time.Now().Add(-time.Minute)}}
	d = run(t, cfg, store.open())
	resume(t, d, sub)
	eventually(t, "it is told of", func() bool { return len(tells()) == 1 })
	if got := failing(); !got.Told.Equal(since) {
		t.Errorf("once it is told of: %+v", got)
	}
	n := len(r.Requests())
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(q) > n }) // it fails again
	d.stop()

	// It has been so for eleven hours: it is disabled, and told of no more.
	since = time.Now().Add(-11 * time.Hour)
	store.failing[1] = sender.Trouble{Since: since, Last: sender.Failure{At: time.Now().Add(-time.Minute)}, Told: since}
	store.tells = []told{{1, sender.TellFailing, since.UnixMicro()}}
	d = run(t, cfg, store.open())
	resume(t, d, sub)
	select {
	case got := <-dead:
		if !got.Since.Equal(since) || got.Last.Status != 429 {
			t.Errorf("disabled for %+v", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("a target that asks for time for days is not given up")
	}
	d.stop()
	if got := failing(); !got.Since.IsZero() || !got.Told.Equal(since) {
		t.Errorf("while it is disabled: %+v", got)
	}

	// Enabled, it takes something.
	r.HandleAll(hooktest.Always(hooktest.OK()))
	d = run(t, cfg, store.open())
	resume(t, d, sub)
	eventually(t, "its recovery is told", func() bool { return len(tells()) == 2 })
	d.idle(t)
	d.stop()
	if got, want := tells()[1], (told{1, sender.TellRecovered, since.UnixMicro()}); got != want {
		t.Errorf("told %+v, want %+v", got, want)
	}
	if got := failing(); got != (sender.Trouble{}) {
		t.Errorf("after that: %+v", got)
	}
}

// TestFailuresThatLieFarApart: nothing was to be sent for a long time between them, so they say little. The first of the later ones is
// where the time begins.
func TestFailuresThatLieFarApart(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	store := newMemory()
	cfg := testConfig()
	cfg.DisableAfter, cfg.Retries = 10*time.Hour, nil
	cfg.OnDead = func(context.Context, *subscriptions.Subscription, sender.Dead) { t.Error("it is given up") }
	sub := newSubscription(1, r.URL("/"))
	store.failing[1] = sender.Trouble{Since: time.Now().Add(-30 * time.Hour), Last: sender.Failure{At: time.Now().Add(-8 * time.Hour)}}
	begun := time.Now()
	d := run(t, cfg, store.open())
	resume(t, d, sub)
	settled(t, d.submit(t, newEvent(1, "a"), sub))
	d.stop()
	all, err := store.open().Failing(t.Context())
	if err != nil || all[1].Since.Before(begun) {
		t.Errorf("got %+v, %v", all[1], err)
	}
}
