package sender_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestAFailingTargetIsNotForgotten, whatever happens to its subscription and to the connection while it fails.
func TestAFailingTargetIsNotForgotten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			var bad atomic.Bool
			bad.Store(true)
			r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
			cfg := testConfig()
			cfg.Memory, cfg.Hold = 16<<20, 30*time.Millisecond
			cfg.Retries = nil
			for range 60 {
				cfg.Retries = append(cfg.Retries, time.Duration(1+rnd.IntN(200))*time.Millisecond)
			}
			d := run(t, cfg, newMemory().open())
			subs := []*subscriptions.Subscription{newSubscription(1, r.URL("/1")), newSubscription(2, r.URL("/2")), newSubscription(3, r.URL("/3"))}
			n := 0
			connected := true
			for range 150 {
				switch rnd.IntN(10) {
				case 0:
					i := rnd.IntN(3)
					subs[i] = newerVersion(subs[i])
					subs[i].State = []subscriptions.State{subscriptions.Active, subscriptions.Disabled}[rnd.IntN(2)]
					d.Update(subs[i])
				case 1:
					d.Suspend()
					connected = false
				case 2:
					if err := d.Resume(t.Context(), rnd.IntN(2) == 0, knows(subs...)); err != nil {
						t.Fatal(err)
					}
					connected = true
				case 3:
					c := cfg
					c.PerSubscription = 1 + rnd.IntN(16)
					d.Reconfigure(c)
				case 4, 5:
					eventually(t, "what is under way ends", func() bool { return d.Counts().InFlight == 0 })
				default:
					if connected {
						for range 5 {
							n++
							d.submit(t, newEvent(n, fmt.Sprint(rnd.IntN(40))), subs...)
						}
					}
				}
			}
			for i := range subs {
				subs[i] = newerVersion(subs[i])
				subs[i].State = subscriptions.Active
				d.Update(subs[i])
			}
			if err := d.Resume(t.Context(), true, knows(subs...)); err != nil {
				t.Fatal(err)
			}
			r.HandleAll(hooktest.Always(hooktest.OK()))
			eventually(t, "all is delivered", func() bool { c := d.Counts(); return c.StoredRows == 0 && c.InMemory == 0 })
			delivered := hooktest.Delivered(r.Requests())
			if len(delivered) < 3*n {
				t.Errorf("%d were delivered, want %d", len(delivered), 3*n)
			}
			d.idle(t)
		})
	}
}

// TestManyFailingTargetsAreTriedSeldom: what targets that fail cost together does not grow with their number.
func TestManyFailingTargetsAreTriedSeldom(t *testing.T) {
	t.Parallel()
	// Together they get so many attempts a second, but for the jitter of their pauses.
	const targets, events, perSecond = 100, 20, 500 * 5 / 4
	var attempts atomic.Int64
	cfg := testConfig()
	cfg.MaxInFlight, cfg.Memory, cfg.Timeout = targets, 64<<20, time.Second
	cfg.Retries = slices.Repeat([]time.Duration{time.Millisecond}, 1000)
	cfg.OnAttempt = func(sender.Report) { attempts.Add(1) }
	var looks atomic.Int64
	d := run(t, cfg, &looked{Store: newMemory().open(), looks: &looks})
	for i := range events {
		for s := range targets {
			d.submit(t, newEvent(i*targets+s+1, fmt.Sprint(i)), newSubscription(int64(s+1), "http://127.0.0.1:1/"))
		}
	}
	eventually(t, "each has failed often enough", func() bool {
		c := d.Counts()
		return c.CircuitsOpen+c.CircuitsHalfOpen == targets && c.InMemory < targets
	})
	eventually(t, "little is held for targets that are not tried now", func() bool { return d.Counts().Bytes <= targets*1200 })
	begun, a, l := time.Now(), attempts.Load(), looks.Load()
	// However slow the machine is, so many attempts take so long at least: but for those that were under way by then, and for one
	// of each target, whose pause was made when fewer were open.
	eventually(t, "each is tried a few more times", func() bool { return attempts.Load()-a >= 4*targets })
	a, l = attempts.Load()-a, looks.Load()-l
	passed := time.Since(begun)
	t.Logf("%d attempts and %d looks in %s of %d targets that all fail", a, l, passed, targets)
	if most := int64(passed.Seconds()*perSecond) + 2*targets; a > most {
		t.Errorf("%d attempts in %s", a, passed)
	}
}

type looked struct {
	sender.Store
	looks *atomic.Int64
}

func (s *looked) Due(ctx context.Context, subscription int64, look sender.Look) ([]sender.Due, time.Time, error) {
	s.looks.Add(1)
	return s.Store.Due(ctx, subscription, look)
}
