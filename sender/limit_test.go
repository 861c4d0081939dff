package sender_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

func rate(t testing.TB, text string) subscriptions.Rate {
	t.Helper()
	r, err := subscriptions.ParseRate(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRateLimit: requests are begun no faster than the rate, retries among them, whether they come from memory or from the
// store, and by the config's rate where the subscription has none; what comes is in order, and nothing is lost.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		config string
		own    string
		hold   time.Duration
	}{
		{"FromMemory", "", "50/s", time.Hour},
		{"ThroughTheStore", "", "50/s", 100 * time.Millisecond},
		{"OfTheConfig", "50/s", "", time.Hour},
		{"OwnOverConfig", "1/h", "50/s", time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			r := hooktest.New(t, func(q hooktest.Request) hooktest.Answer {
				if q.Attempt == 1 && n.Add(1)%5 == 0 { // the next one succeeds: none may use up its schedule
					return hooktest.Status(500)
				}
				return hooktest.OK()
			})
			cfg := testConfig()
			cfg.Hold = c.hold
			if c.config != "" {
				cfg.RateLimit = rate(t, c.config)
			}
			d := run(t, cfg, newMemory().open())
			sub := newSubscription(1, r.URL("/"))
			if c.own != "" {
				sub.Delivery.RateLimit = rate(t, c.own)
			}
			const events = 60
			begun := time.Now()
			for i := range events {
				d.submit(t, newEvent(i+1, fmt.Sprint(i%7)), sub)
			}
			r.WaitFor(t, func(all []hooktest.Request) bool { return len(hooktest.Delivered(all)) == events })
			// An interval of 20 ms before each request but the first, and 5 at once at most after a pause.
			all := r.Requests()
			for i, q := range all {
				if least := time.Duration(i-4) * 20 * time.Millisecond; q.At.Sub(begun) < least {
					t.Fatalf("request %d came after %s, want %s at least", i+1, q.At.Sub(begun), least)
				}
			}
			d.idle(t)
			if err := hooktest.CheckOrder(hooktest.Delivered(all)); err != nil {
				t.Error(err)
			}
		})
	}
}

// looks counts the looks into the store for one subscription.
type looks struct {
	sender.Store
	of int64
	n  atomic.Int64
}

func (l *looks) Due(ctx context.Context, subscription int64, look sender.Look) ([]sender.Due, time.Time, error) {
	if subscription == l.of {
		l.n.Add(1)
	}
	return l.Store.Due(ctx, subscription, look)
}

// TestRateLimitCostsOthersNothing: what exceeds the rate by more than Hold is stored at once, in memory that is too small for
// it, its target gets what the rate says, and another one everything meanwhile. Its rows are not looked at before one may be
// sent.
func TestRateLimitCostsOthersNothing(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.OK()))
	store := &looks{Store: newMemory().open(), of: 1}
	cfg := testConfig()
	cfg.Memory, cfg.MaxInFlight = 64<<10, 4
	cfg.Hold = 30 * time.Minute
	d := run(t, cfg, store)
	limited, free := newSubscription(1, r.URL("/limited")), newSubscription(2, r.URL("/free"))
	limited.Delivery.RateLimit = rate(t, "1/h")
	const events = 400
	var receipts []*cdc.Receipt
	for i := range events {
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i%50)), limited, free))
	}
	settled(t, receipts...)
	r.WaitFor(t, func(all []hooktest.Request) bool { return len(hooktest.ByPath(all)["/free"]) == events })
	eventually(t, "the rest waits in the store", func() bool { c := d.Counts(); return c.StoredRows == events-1 && c.InMemory == 0 && c.Bytes == 0 })
	if n := len(hooktest.ByPath(r.Requests())["/limited"]); n != 1 {
		t.Errorf("%d requests in the first hour, want 1", n)
	}
	if n := store.n.Load(); n > 2 {
		t.Errorf("%d looks into the store, and nothing may be sent", n)
	}
	// A higher rate, or none, lets it catch up.
	faster := limited.Clone()
	faster.Version++
	faster.Delivery.RateLimit = subscriptions.Rate{}
	d.Update(faster)
	r.WaitFor(t, func(all []hooktest.Request) bool { return len(hooktest.ByPath(all)["/limited"]) == events })
	d.idle(t)
	if err := hooktest.CheckOrder(r.Requests()); err != nil {
		t.Error(err)
	}
}

// TestRateLimitIsChanged while something waits for it: a higher rate counts from then on, not when the old one would have let the next
// request through; also one of the config.
func TestRateLimitIsChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*sender.Config, *subscriptions.Subscription){
		"Higher": func(_ *sender.Config, s *subscriptions.Subscription) { s.Delivery.RateLimit = rate(t, "1000/s") },
		"None":   func(_ *sender.Config, s *subscriptions.Subscription) { s.Delivery.RateLimit = subscriptions.Rate{} },
		"Config": func(c *sender.Config, s *subscriptions.Subscription) {
			s.Delivery.RateLimit = subscriptions.Rate{}
			c.RateLimit = rate(t, "1000/s")
		},
	} {
		// At one a minute all that is submitted waits in memory, at one an hour in the store.
		for _, slow := range []string{"1/m", "1/h"} {
			t.Run(name+"/"+slow[2:], func(t *testing.T) {
				t.Parallel()
				r := hooktest.New(t, hooktest.Always(hooktest.OK()))
				cfg := testConfig()
				d := run(t, cfg, newMemory().open())
				sub := newSubscription(1, r.URL("/"))
				sub.Delivery.RateLimit = rate(t, slow)
				for i := range 20 {
					d.submit(t, newEvent(i+1, fmt.Sprint(i%7)), sub)
				}
				eventually(t, "one is sent, and the others wait", func() bool {
					c := d.Counts()
					return len(r.Requests()) == 1 && c.InFlight == 0 && c.Unwritten == 0
				})
				faster := sub.Clone()
				faster.Version++
				change(&cfg, faster)
				d.Reconfigure(cfg)
				d.Update(faster)
				d.idle(t)
				if n := len(r.Requests()); n != 20 {
					t.Errorf("%d requests, want 20", n)
				}
			})
		}
	}
}

// TestRateLimitIsNotForgotten with the state of a subscription that has nothing to be sent, nor by a connection that is lost.
func TestRateLimitIsNotForgotten(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.OK()))
	d := run(t, testConfig(), newMemory().open())
	limited := newSubscription(1, r.URL("/limited"))
	limited.Delivery.RateLimit = rate(t, "1/h")
	settled(t, d.submit(t, newEvent(1, "a"), limited))
	other := newSubscription(2, r.URL("/other"))
	subs := map[int64]*subscriptions.Subscription{1: limited, 2: other}
	eventually(t, "it is forgotten", func() bool { return d.DropIdle(1) })
	if err := d.Resume(t.Context(), false, func(key int64) *subscriptions.Subscription { return subs[key] }); err != nil {
		t.Fatal(err)
	}
	d.submit(t, newEvent(5000, "a"), limited)
	d.submit(t, newEvent(5001, "a"), other)
	r.WaitFor(t, func(all []hooktest.Request) bool { return len(hooktest.ByPath(all)["/other"]) == 1 })
	if n := len(hooktest.ByPath(r.Requests())["/limited"]); n != 1 {
		t.Errorf("%d requests in the first hour, want 1", n)
	}
}
