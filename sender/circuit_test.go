package sender_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestAFailingTargetIsTriedNowAndThen: events for a target that fails all the time are stored without an attempt for each,
// few attempts are made at their expense, and all is delivered, in order, as soon as it answers.
func TestAFailingTargetIsTriedNowAndThen(t *testing.T) {
	t.Parallel()
	const keys, rounds = 500, 3
	r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	cfg := testConfig()
	log := &lines{}
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
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
	if c := d.Counts(); c.CircuitsOpen+c.CircuitsHalfOpen != 1 {
		t.Errorf("its circuit is not open: %+v", c)
	}
	r.HandleAll(hooktest.Always(hooktest.OK()))
	d.idle(t)
	if opened, closed := log.count("circuit open:"), log.count("circuit closed:"); opened != 1 || closed != 1 {
		t.Errorf("told %d times that it is open and %d times that it is closed, want once", opened, closed)
	}
	delivered := hooktest.Delivered(r.Requests())
	if len(delivered) != keys*rounds {
		t.Errorf("%d events were delivered, want %d", len(delivered), keys*rounds)
	}
	if err := hooktest.CheckOrder(delivered); err != nil {
		t.Error(err)
	}
}

// TestRefusedEventsHoldNothingBack: a target that does not take some events, many in a row, gets all others as ever.
func TestRefusedEventsHoldNothingBack(t *testing.T) {
	t.Parallel()
	const refused, all = 400, 450
	r := hooktest.New(t, func(q hooktest.Request) hooktest.Answer {
		if n, _ := strconv.Atoi(strings.TrimPrefix(q.ID, "evt_")); n <= refused {
			return hooktest.Status(422)
		}
		return hooktest.OK()
	})
	log := &lines{}
	cfg := testConfig()
	cfg.Log, cfg.Retries, cfg.Memory = slog.New(slog.NewTextHandler(log, nil)), nil, 16<<20
	d := run(t, cfg, newMemory().open())
	sub := newSubscription(1, r.URL("/"))
	for i := range all {
		d.submit(t, newEvent(i+1, fmt.Sprint(i)), sub)
	}
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.Delivered(q)) == all-refused })
	d.idle(t)
	if n := log.count("circuit open:"); n != 0 {
		t.Errorf("its circuit was opened %d times", n)
	}
}

// TestABacklogIsBegunSlowly, with one request, where it is from before a start, an enabling, or an outage that another process
// has seen.
func TestABacklogIsBegunSlowly(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"enabled", "started", "failing"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := hooktest.New(t, hooktest.Always(hooktest.OK()))
			data := newMemory()
			sub, other := newSubscription(1, r.URL("/backlog")), newSubscription(2, r.URL("/other"))
			known := map[int64]*subscriptions.Subscription{1: sub, 2: other}
			resume := func(d *running) {
				t.Helper()
				if err := d.Resume(t.Context(), false, func(key int64) *subscriptions.Subscription { return known[key] }); err != nil {
					t.Fatal(err)
				}
			}
			d := run(t, testConfig(), data.open())
			resume(d)
			off := sub.Clone()
			off.Version, off.State = 2, subscriptions.Disabled
			d.submit(t, newEvent(1, "a"), off)
			const events = 100
			for i := range events - 1 {
				settled(t, d.submit(t, newEvent(i+2, fmt.Sprint(i)), off))
			}
			on := sub.Clone()
			on.Version = 3
			known[1] = on
			r.Handle("/backlog", hooktest.Always(hooktest.Hang()))
			if how == "enabled" {
				d.Update(on)
			} else {
				d.Drain(0)
				d.stop()
				if how == "failing" {
					data.failing[1] = sender.Trouble{Since: time.Now().Add(-time.Hour)}
				}
				d = run(t, testConfig(), data.open())
				resume(d)
			}
			r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/backlog"]) > 0 })
			for i := range 50 {
				d.submit(t, newEvent(1000+i, fmt.Sprint(i)), other)
			}
			r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/other"]) == 50 })
			if n := len(hooktest.ByPath(r.Requests())["/backlog"]); n != 1 {
				t.Errorf("%d requests at once, want one", n)
			}
			if open := d.Counts().CircuitsHalfOpen; open != 0 && how != "failing" || open != 1 && how == "failing" {
				t.Errorf("%d circuits are half-open", open)
			}
			r.Handle("/backlog", hooktest.Always(hooktest.OK()))
			r.Release()
			r.WaitFor(t, func(q []hooktest.Request) bool {
				return len(hooktest.Delivered(hooktest.ByPath(q)["/backlog"])) >= events
			})
			d.idle(t)
		})
	}
}
