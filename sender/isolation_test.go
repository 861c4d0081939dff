package sender_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestOneTargetDelaysNoOther: of ten targets one hangs and one fails, slots are few, and the others get everything while
// neither of the two gets anywhere.
func TestOneTargetDelaysNoOther(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t)
	r.Handle("/0", hooktest.Always(hooktest.Hang()))
	r.Handle("/1", hooktest.Always(hooktest.Status(500)))
	cfg := testConfig()
	cfg.MaxInFlight, cfg.PerSubscription, cfg.Memory, cfg.Timeout, cfg.Hold = 6, 4, 64<<10, time.Minute, 200*time.Millisecond
	cfg.Retries = []time.Duration{time.Hour}
	d := run(t, cfg, store)
	var subs []*subscriptions.Subscription
	for i := range 10 {
		subs = append(subs, newSubscription(int64(i+1), r.URL(fmt.Sprint("/", i))))
	}
	const events = 300
	var receipts []*cdc.Receipt
	for i := range events {
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i%20)), subs...))
	}
	r.WaitFor(t, func(all []hooktest.Request) bool {
		n := 0
		for path, of := range hooktest.ByPath(all) {
			if path != "/0" && path != "/1" && len(of) == events {
				n++
			}
		}
		return n == 8
	})
	// The stream is not held back either, and the hanging ones still hang.
	settled(t, receipts...)
	if n := len(hooktest.ByPath(r.Requests())["/0"]); n == 0 || n > 4 {
		t.Errorf("%d requests hang, want 1 to 4", n)
	}
	if err := hooktest.CheckOrder(r.Requests()); err != nil {
		t.Error(err)
	}
	// One of the others that had to wait longer than hold comes back.
	eventually(t, "only the two go through the store", func() bool {
		c := d.Counts()
		return c.StoredSubscriptions == 2 && c.InMemory == 0
	})
	r.Release()
}

// TestMisbehavingReceiversDelayNoOther: of all receivers but one, each does something that it should not, while slots are few. The
// one gets everything, and no slot is kept.
func TestMisbehavingReceiversDelayNoOther(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	urls, ca := sender.RudeTargets(t)
	cfg := testConfig()
	cfg.MaxInFlight, cfg.PerSubscription, cfg.Hold = 32, 4, 200*time.Millisecond
	cfg.Egress.CA = ca
	d := run(t, cfg, newMemory().open())
	all := []*subscriptions.Subscription{newSubscription(1, r.URL("/"))}
	short := subscriptions.Duration(200 * time.Millisecond)
	for i, u := range urls {
		s := newSubscription(int64(i+2), u)
		s.Delivery.Timeout, s.Delivery.Retries = &short, &subscriptions.Retries{IsCount: true}
		all = append(all, s)
	}
	const events = 2
	var receipts []*cdc.Receipt
	for i := range events {
		receipts = append(receipts, d.submit(t, newEvent(i+1, "a"), all...))
	}
	r.Wait(t, events, time.Minute)
	if err := hooktest.CheckOrder(r.Requests()); err != nil {
		t.Error(err)
	}
	settled(t, receipts...)
	eventually(t, "all slots are given back", func() bool {
		c := d.Counts() // one has asked for time, for its rows
		return c.InFlight == 0 && c.InMemory == 0 && c.Bytes == 0 && c.StoredSubscriptions <= 1
	})
}

// TestBudgetIsNotOneTargets: a target that takes nothing fills the memory, and is sent through the store for it.
func TestBudgetIsNotOneTargets(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t)
	r.Handle("/hangs", hooktest.Always(hooktest.Hang()))
	cfg := testConfig()
	cfg.Memory, cfg.Hold, cfg.Timeout = 32<<10, time.Hour, time.Hour
	d := run(t, cfg, store)
	hangs, good := newSubscription(1, r.URL("/hangs")), newSubscription(2, r.URL("/good"))
	var last *cdc.Receipt
	for i := range 200 {
		d.submit(t, newEvent(2*i+1, fmt.Sprint(i)), hangs)
		last = d.submit(t, newEvent(2*i+2, fmt.Sprint(i)), good)
	}
	settled(t, last)
	if !d.Whole(1) || d.Whole(2) {
		t.Errorf("whole: %v, %v", d.Whole(1), d.Whole(2))
	}
	r.HandleAll(hooktest.Always(hooktest.OK()))
	r.Handle("/hangs", nil)
	r.Release()
	d.idle(t)
	if n := len(hooktest.ByPath(r.Requests())["/hangs"]); n != 200 {
		t.Errorf("%d requests", n)
	}
}

// TestRunLeavesNoGoroutine is not parallel: it counts.
func TestRunLeavesNoGoroutine(t *testing.T) {
	for i, drain := range []bool{true, false} {
		store := newMemory().open()
		r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
		d := run(t, testConfig(), store)
		for n := range 50 {
			d.submit(t, newEvent(100*i+n+1, fmt.Sprint(n)), newSubscription(1, r.URL("/")), newSubscription(2, r.URL("/")))
		}
		r.Wait(t, 1, patience)
		if drain {
			d.Drain(10 * time.Millisecond)
			d.Drain(0)
		}
		d.stop()
		if c := d.Counts(); c.InFlight != 0 || c.InMemory != 0 || c.Bytes != 0 {
			t.Errorf("left: %+v", c)
		}
		eventually(t, "no goroutine is left", func() bool { return !strings.Contains(stacks(), "rowhook/sender.(*") })
		r.Close()
	}
	d := sender.New(testConfig(), newMemory().open())
	d.Drain(time.Second) // before Run
}

// stacks are those of all goroutines.
func stacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}
