package sender_test

import (
	"context"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestAProxyThatIsAwayCostsNothing: no attempt is spent, no target counts as failing, and all of it comes, in order, when there is
// a way again.
func TestAProxyThatIsAwayCostsNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	r := hooktest.New(t)
	cfg := testConfig()
	cfg.Retries = nil
	cfg.Egress = sender.Egress{Proxy: secret.String("http://" + l.Addr().String())}
	cfg.DisableAfter = time.Nanosecond
	var waited, dead atomic.Int64
	cfg.OnDead = func(context.Context, *subscriptions.Subscription, sender.Dead) { dead.Add(1) }
	cfg.OnAttempt = func(rep sender.Report) {
		if rep.Outcome.Verdict == sender.Wait && rep.Outcome.Reason == sender.ReasonProxy && rep.Attempt == 1 {
			waited.Add(1)
		}
	}
	d := run(t, cfg, newMemory().open())
	sub := newSubscription(1, r.URL("/"))
	for n := 1; n <= 3; n++ {
		ev := newEvent(n, "a")
		ev.Time = time.Now()
		d.submit(t, ev, sub)
	}
	eventually(t, "it is tried again and again", func() bool { return waited.Load() >= 3 })
	if n := dead.Load(); n != 0 || r.Connections() != 0 {
		t.Errorf("told %d times that the target is dead; %d connections", n, r.Connections())
	}
	cfg.Egress = sender.Egress{}
	d.Reconfigure(cfg)
	var ids []string
	for _, q := range r.Wait(t, 3, patience) {
		if ids = append(ids, q.ID); q.Attempt != 1 {
			t.Errorf("%s is attempt %d", q.ID, q.Attempt)
		}
	}
	if !slices.Equal(ids, []string{"evt_1", "evt_2", "evt_3"}) {
		t.Errorf("got %v", ids)
	}
	d.idle(t)
}
