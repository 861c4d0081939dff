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

// nulInstance is an instance that no store takes.
const nulInstance = "5\x00"

// TestARefusedRecordHoldsUpNothing sends events that the store refuses among others: to targets that take them, that
// fail, and that hang beyond Hold.
func TestARefusedRecordHoldsUpNothing(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]hooktest.Script{
		"Delivered": hooktest.Always(hooktest.OK()),
		"Fails": hooktest.PerID(func() hooktest.Script {
			return hooktest.Times(1, hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.OK()))
		}),
		"Slow": hooktest.Always(hooktest.OK().After(100 * time.Millisecond)),
	} {
		for kind, open := range map[string]func(testing.TB) keepers{
			"Memory":   func(testing.TB) keepers { return &memoryKeepers{memory: newMemory()} },
			"Postgres": func(t testing.TB) keepers { return newPostgresKeepers(t) },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				k := open(t)
				st := k.open()
				r := hooktest.New(t, script)
				var refused atomic.Int64
				cfg := testConfig()
				cfg.Hold = 20 * time.Millisecond
				cfg.OnRefused = func() { refused.Add(1) }
				d := run(t, cfg, st)
				sub := newSubscription(k.subscription(), r.URL("/"))
				const events = 60
				bad := func(n int) bool { return n%10 == 3 }
				var receipts []*cdc.Receipt
				for n := 1; n <= events; n++ {
					instance := fmt.Sprint(n % 7)
					if bad(n) {
						instance = nulInstance
					}
					receipts = append(receipts, d.submit(t, newEvent(n, instance), sub))
				}
				settled(t, receipts...)
				d.idle(t)
				for n := 1; n <= events; n++ {
					ev := newEvent(n, "")
					if k.buried(ev.Position) != bad(n) {
						t.Errorf("event %d: a dead letter is %v", n, !bad(n))
					}
					if f, ok := st.outcome(pair{sub.Key, ev.Position}); !bad(n) && (!ok || f.status != sender.StatusDelivered) {
						t.Errorf("event %d: %v %v", n, f, ok)
					}
				}
				if got := refused.Load(); got < events/10 {
					t.Errorf("%d refusals were told", got)
				}
				if err := hooktest.CheckOrder(r.Requests()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestARefusedRowOfARunningAttempt: its key goes on with what was stored behind it, after its end and not before.
func TestARefusedRowOfARunningAttempt(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
	var refused atomic.Int64
	cfg := testConfig()
	cfg.Hold, cfg.Ordering, cfg.Timeout = 20*time.Millisecond, subscriptions.OrderingResource, time.Minute
	cfg.OnRefused = func() { refused.Add(1) }
	d := run(t, cfg, store)
	sub := newSubscription(1, r.URL("/"))
	first := d.submit(t, newEvent(1, nulInstance), sub)
	r.Wait(t, 1, patience)
	settled(t, first)
	eventually(t, "its row is refused", func() bool { return refused.Load() == 1 })
	for n := 2; n <= 4; n++ {
		// Of the same key. The store takes none of them: each is over when it has been sent, or refused.
		d.submit(t, newEvent(n, nulInstance), sub)
	}
	d.submit(t, newEvent(5, "other"), sub)
	eventually(t, "the other key is stored", func() bool { return d.Counts().StoredRows > 0 })
	r.HandleAll(hooktest.Always(hooktest.OK()))
	r.Release()
	d.idle(t)
	if !store.recorded(pair{1, newEvent(5, "").Position}) {
		t.Error("the other key did not go on")
	}
}
