package sender_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestReconfigure changes the defaults and bounds under what waits and runs.
func TestReconfigure(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Always(hooktest.OK()))
	r.Handle("/slow", hooktest.Always(hooktest.Answer{Until: release}))
	cfg := testConfig()
	cfg.MaxInFlight = 1
	cfg.Retries = []time.Duration{time.Hour}
	d := run(t, cfg, newMemory().open())
	slow, other := newSubscription(1, r.URL("/slow")), newSubscription(2, r.URL("/"))
	receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), slow)}
	r.Wait(t, 1, patience)
	receipts = append(receipts, d.submit(t, newEvent(2, "b"), slow), d.submit(t, newEvent(3, "c"), other))

	// More slots, for what waits already.
	cfg.MaxInFlight = 8
	d.Reconfigure(cfg)
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/"]) == 1 })

	// A shorter hold, for what is under way: it is written as due, and its receipt is settled.
	cfg.Hold = 50 * time.Millisecond
	d.Reconfigure(cfg)
	settled(t, receipts...)
	close(release)
	d.idle(t)

	// Another guard: the connection that the old one allowed is not used.
	r.Forget()
	cfg.Accounts = sender.Guard{}
	d.Reconfigure(cfg)
	receipt := d.submit(t, newEvent(4, "d"), other)
	settled(t, receipt)
	eventually(t, "the attempt is refused", func() bool { return d.Counts().StoredRows == 1 && d.Counts().InFlight == 0 })
	if n := len(r.Requests()); n != 0 {
		t.Errorf("%d requests to what is not allowed", n)
	}
}

// TestReconfigureMakesRoom raises the memory under a Submit that waits for it.
func TestReconfigureMakesRoom(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Always(hooktest.Answer{Until: release}))
	cfg := testConfig()
	cfg.Memory = 1
	// A gate before the store: nothing can make room but the memory.
	store := &faulty{Store: newMemory().open(), gate: make(chan struct{})}
	d := run(t, cfg, store)
	s := newSubscription(1, r.URL("/"))
	receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), s)}
	second := make(chan *cdc.Receipt)
	go func() {
		receipt := cdc.NewReceipt(1)
		if err := d.Submit(t.Context(), []sender.Job{{Event: newEvent(2, "b"), To: []*subscriptions.Subscription{s}}}, receipt); err != nil {
			t.Error(err)
		}
		second <- receipt
	}()
	select {
	case <-second:
		t.Error("taken without room")
	case <-time.After(100 * time.Millisecond):
	}
	cfg.Memory = 1 << 20
	d.Reconfigure(cfg)
	receipts = append(receipts, <-second)
	close(release)
	close(store.gate)
	settled(t, receipts...)
	d.idle(t)
}

// TestReconfigureLeavesWhatIsGone keeps holding a subscription whose target said that it is gone, until it is deleted.
func TestReconfigureLeavesWhatIsGone(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.Status(410)))
	cfg := testConfig()
	told, deleted := make(chan string, 10), make(chan struct{})
	var d *running
	cfg.OnGone = func(_ context.Context, s *subscriptions.Subscription) {
		told <- s.ID
		<-deleted
		d.Remove(s.Key)
	}
	d = run(t, cfg, newMemory().open())
	s := newSubscription(1, r.URL("/"))
	settled(t, d.submit(t, newEvent(1, "a"), s))
	<-told
	cfg.Timeout = time.Second
	d.Reconfigure(cfg)
	for i := 2; i < 10; i++ {
		settled(t, d.submit(t, newEvent(i, fmt.Sprint(i)), s))
	}
	if n := len(r.Requests()); n != 1 {
		t.Errorf("%d requests to a target that is gone", n)
	}
	close(deleted)
	d.idle(t)
}
