package sender_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
)

// TestAStoreThatCameBackAndRefusesIsNotInTrouble: the trouble of a store that did not answer is over when it answers, also
// when its answer is that it refuses a record.
func TestAStoreThatCameBackAndRefusesIsNotInTrouble(t *testing.T) {
	t.Parallel()
	f := &faulty{Store: newMemory().open()}
	f.set(func(f *faulty) { f.refuse = 1 })
	r := hooktest.New(t, hooktest.Always(hooktest.OK()))
	d := run(t, testConfig(), f)
	sub := newSubscription(1, r.URL("/"))
	settled(t, d.submit(t, newEvent(1, nulInstance), sub))
	settled(t, d.submit(t, newEvent(2, "5"), sub))
	d.idle(t)
	if text := d.WriteError(); text != "" {
		t.Errorf("everything is stored, and still the store is said to be in trouble: %s", text)
	}
}

// refusing refuses records of one event, by its position.
type refusing struct {
	sender.Store
	mu sync.Mutex
	id string
}

func (s *refusing) Write(ctx context.Context, records []sender.Record) error {
	s.mu.Lock()
	id := s.id
	s.mu.Unlock()
	for i := range records {
		if ev := records[i].Event; ev != nil && records[i].InsertEvent && ev.ID == id {
			return &sender.RefusedError{Reason: "test"}
		}
	}
	return s.Store.Write(ctx, records)
}

// TestAKeyGoesOnAfterARefusedRetry: the row of an attempt that runs is refused, it fails, and its new row is refused too:
// what is stored behind it, of its key, is sent then.
func TestAKeyGoesOnAfterARefusedRetry(t *testing.T) {
	t.Parallel()
	store := &refusing{Store: newMemory().open(), id: "evt_1"}
	r := hooktest.New(t, hooktest.Times(1, hooktest.Always(hooktest.Hang()), hooktest.Always(hooktest.OK())))
	var refused atomic.Int64
	cfg := testConfig()
	cfg.Hold, cfg.Timeout = 20*time.Millisecond, 800*time.Millisecond
	cfg.OnRefused = func() { refused.Add(1) }
	d := run(t, cfg, store)
	sub := newSubscription(1, r.URL("/"))
	first := d.submit(t, newEvent(1, "a"), sub)
	second := d.submit(t, newEvent(2, "a"), sub)
	settled(t, first, second)
	eventually(t, "its row is refused", func() bool { return refused.Load() >= 1 })
	d.idle(t)
}
