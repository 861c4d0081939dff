package sender_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestNobodyWaitsForASlowTarget: it answers, all the time, and is slower than what it is sent. The memory is full of what
// waits for it, of each event only that, and the others have nothing to do.
func TestNobodyWaitsForASlowTarget(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	r.Handle("/slow", hooktest.Always(hooktest.OK().After(time.Second)))
	cfg := testConfig()
	cfg.Memory, cfg.MaxInFlight = 128<<10, 64
	d := run(t, cfg, newMemory().open())
	subs := []*subscriptions.Subscription{newSubscription(1, r.URL("/slow"))}
	for i := range 4 {
		subs = append(subs, newSubscription(int64(i+2), r.URL(fmt.Sprint("/", i))))
	}
	const events = 1000
	var receipts []*cdc.Receipt
	for i := range events {
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i)), subs...))
	}
	settled(t, receipts...)
	if !d.Whole(1) {
		t.Error("the slow one does not go through the store")
	}
	for i := range 4 {
		// One that waited longer than hold on a busy machine comes back.
		eventually(t, fmt.Sprintf("%d does not go through the store", i), func() bool { return !d.Whole(int64(i + 2)) })
	}
	if n := len(hooktest.ByPath(r.Requests())["/slow"]); n > events/2 {
		t.Errorf("the slow one has had %d requests when the others have all of theirs", n)
	}
	r.Handle("/slow", hooktest.Always(hooktest.OK()))
	d.idle(t)
	for path, of := range hooktest.ByPath(r.Requests()) {
		if len(of) != events {
			t.Errorf("%s has had %d requests", path, len(of))
		}
	}
}

// TestABusyMachineSpillsNothing: all targets take the same time, and one of them gets more than the others.
func TestABusyMachineSpillsNothing(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.OK().After(10*time.Millisecond)))
	cfg := testConfig()
	cfg.Memory = 64 << 10
	d := run(t, cfg, newMemory().open())
	much, little := newSubscription(1, r.URL("/much")), newSubscription(2, r.URL("/little"))
	var receipts []*cdc.Receipt
	for i := range 1000 {
		to := []*subscriptions.Subscription{much}
		if i%10 == 0 {
			to = append(to, little)
		}
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i)), to...))
		if d.Whole(1) || d.Whole(2) {
			t.Fatal("a target goes through the store that is as fast as the other")
		}
	}
	settled(t, receipts...)
}
