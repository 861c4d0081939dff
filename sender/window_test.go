package sender_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestATargetThatAnswersNobodyLeavesItsSlots: it gets few slots before its first delivery, and all of them after it. That
// it has failed at once before costs it none.
func TestATargetThatAnswersNobodyLeavesItsSlots(t *testing.T) {
	t.Parallel()
	const failures = 20
	r := hooktest.New(t)
	r.Handle("/hangs", hooktest.Always(hooktest.Hang()))
	r.Handle("/fails", hooktest.Times(failures, hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.Hang())))
	r.Handle("/heals", hooktest.Times(failures, hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.OK())))
	cfg := testConfig()
	cfg.MaxInFlight, cfg.PerSubscription, cfg.Timeout = 256, 32, time.Minute
	cfg.Retries = []time.Duration{time.Hour}
	d := run(t, cfg, newMemory().open())
	paths := []string{"/hangs", "/fails", "/heals"}
	var subs []*subscriptions.Subscription
	for i, path := range paths {
		subs = append(subs, newSubscription(int64(i+1), r.URL(path)))
	}
	const events = 200
	for i := range events {
		d.submit(t, newEvent(i+1, fmt.Sprint(i)), subs...)
	}
	want := map[string]int{"/hangs": 8, "/fails": failures + 8, "/heals": events}
	arrived := func(q []hooktest.Request) bool {
		got := hooktest.ByPath(q)
		for path, n := range want {
			if len(got[path]) < n {
				return false
			}
		}
		return true
	}
	r.WaitFor(t, arrived)
	// More would be under way by now: /heals needed many more rounds.
	eventually(t, "8 requests to each hang", func() bool { return d.Counts().InFlight == 8+8 })
	r.HandleAll(hooktest.Always(hooktest.Hang()))
	r.Handle("/heals", nil)
	for i := range events {
		d.submit(t, newEvent(events+i+1, fmt.Sprint(events+i)), subs[2])
	}
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/heals"]) == events+32 })
	r.HandleAll(hooktest.Always(hooktest.OK()))
	for _, path := range paths {
		r.Handle(path, nil)
	}
	r.Release()
}
