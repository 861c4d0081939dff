package sender_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestAFailingTargetIsTriedNowAndThen: events for a target that fails all the time are stored without an attempt for each,
// few attempts are made at their expense, and all is delivered, in order, as soon as it answers.
func TestAFailingTargetIsTriedNowAndThen(t *testing.T) {
	t.Parallel()
	const keys, rounds = 500, 3
	r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	cfg := testConfig()
	cfg.Memory, cfg.Retries = 16<<20, []time.Duration{100 * time.Millisecond, 100 * time.Millisecond, time.Second, time.Hour}
	d := run(t, cfg, newMemory().open())
	sub := newSubscription(1, r.URL("/"))
	begun := time.Now()
	for i := range keys * rounds {
		d.submit(t, newEvent(i+1, fmt.Sprint(i%keys)), sub)
	}
	eventually(t, "nothing waits in memory", func() bool { return d.Counts().StoredRows == keys*rounds })
	// 32 in a row, those that were under way then, and no more than 20 a second.
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(q) >= 45 })
	if n, most := len(r.Requests()), 32+8+int(time.Since(begun)/(50*time.Millisecond))+1; n > most {
		t.Errorf("%d requests to a target that fails, want %d at most", n, most)
	}
	r.HandleAll(hooktest.Always(hooktest.OK()))
	eventually(t, "all is delivered", func() bool { c := d.Counts(); return c.StoredRows == 0 && c.InMemory == 0 })
	delivered := hooktest.Delivered(r.Requests())
	if len(delivered) != keys*rounds {
		t.Errorf("%d events were delivered, want %d", len(delivered), keys*rounds)
	}
	if err := hooktest.CheckOrder(delivered); err != nil {
		t.Error(err)
	}
}
