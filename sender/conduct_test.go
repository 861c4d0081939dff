package sender_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestAFailingTargetThatDropsIsNotSlow: a target that fails all the time, and then answers that it does not want what it is
// given, is not kept waiting one timeout for each delivery.
func TestAFailingTargetThatDropsIsNotSlow(t *testing.T) {
	t.Parallel()
	const events = 200
	r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	cfg := testConfig()
	cfg.Timeout = 10 * time.Second
	cfg.Retries = slices.Repeat([]time.Duration{time.Millisecond}, 100)
	d := run(t, cfg, newMemory().open())
	sub := newSubscription(1, r.URL("/"))
	for i := range events {
		d.submit(t, newEvent(i+1, fmt.Sprint(i)), sub)
	}
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(q) >= 45 })
	eventually(t, "nothing waits in memory", func() bool { return d.Counts().StoredRows == events })
	begun := time.Now()
	from := len(r.Requests())
	r.HandleAll(hooktest.Always(hooktest.Status(406).With("Webhook-Delivery", "drop")))
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(q) >= from+40 })
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("40 deliveries were dropped in %s", took)
	}
}

// TestAShadowDoesNotWaitForItsTarget: the answer to a request that was under way when it became one cannot keep what is stored.
func TestAShadowDoesNotWaitForItsTarget(t *testing.T) {
	t.Parallel()
	begun, answer := make(chan struct{}), make(chan struct{})
	r := hooktest.New(t, func(hooktest.Request) hooktest.Answer {
		close(begun)
		<-answer
		return hooktest.RetryAfter(503, "86400")
	})
	store := newMemory()
	d := run(t, testConfig(), store.open())
	sub := newSubscription(1, r.URL("/"))
	ev := newEvent(1, "a")
	ev.Time = time.Now()
	receipt := d.submit(t, ev, sub)
	<-begun
	shadow := *sub
	shadow.Version, shadow.State = 2, subscriptions.Shadow
	d.Update(&shadow)
	close(answer)
	settled(t, receipt)
	d.idle(t)
	if f, _ := store.outcome(pair{1, ev.Position}); f.status != sender.StatusDropped {
		t.Errorf("it ended as %v", f)
	}
}

// syncBuffer is a log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestTheEndOfAnOldEventIsTold: that a delivery has failed for good is logged, whatever its last answer asked for.
func TestTheEndOfAnOldEventIsTold(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.RetryAfter(429, "1")))
	cfg := testConfig()
	cfg.Retries = nil
	var log syncBuffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	reports := make(chan sender.Report, 10)
	cfg.OnAttempt = func(r sender.Report) { reports <- r }
	d := run(t, cfg, newMemory().open())
	ev := newEvent(1, "a")
	ev.Time = time.Now().Add(-6 * 24 * time.Hour)
	settled(t, d.submit(t, ev, newSubscription(1, r.URL("/"))))
	d.idle(t)
	if got := <-reports; got.Outcome.Verdict != sender.Retry || !got.Next.IsZero() {
		t.Errorf("reported as %d, next at %s", got.Outcome.Verdict, got.Next)
	}
	if !strings.Contains(log.String(), "evt_1") {
		t.Errorf("nobody was told that it failed: %q", log.String())
	}
}

// silent is a server that reads a little, and never answers.
func silent(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.ReadFull(c, make([]byte, 16)) }()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

// TestShapedBodiesAreBounded: what is rendered for each attempt is memory too. It is not parallel: it measures the process.
func TestShapedBodiesAreBounded(t *testing.T) {
	const subs, size, memory = 128, 1 << 20, 4 << 20
	for _, request := range []*subscriptions.Request{nil, {Format: "thin"}, {Format: "representation"}, {Encoding: "form"}} {
		t.Run(fmt.Sprintf("%+v", request), func(t *testing.T) {
			cfg := testConfig()
			cfg.MaxInFlight, cfg.Memory, cfg.Timeout = 512, memory, 20*time.Second
			d := run(t, cfg, newMemory().open())
			url := silent(t)
			ev := newEvent(1, "a")
			ev.Data = []byte(`{"lines":[` + strings.TrimSuffix(strings.Repeat(`{"product":{"category":{"description":"é"}}},`, size/46), ",") + `]}`)
			var to []*subscriptions.Subscription
			for i := range subs {
				s := newSubscription(int64(i+1), url)
				s.Request = request
				to = append(to, s)
			}
			runtime.GC()
			var before, m runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := d.Submit(t.Context(), []sender.Job{{Event: ev, To: to}}, cdc.NewReceipt(subs)); err != nil {
				t.Fatal(err)
			}
			var most uint64
			until := time.Now().Add(2 * time.Second)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for time.Now().Before(until) {
				<-tick.C
				runtime.ReadMemStats(&m)
				if m.HeapAlloc > before.HeapAlloc {
					most = max(most, m.HeapAlloc-before.HeapAlloc)
				}
			}
			t.Logf("%d requests under way, %d MiB", d.Counts().InFlight, most>>20)
			if most > 16*memory {
				t.Errorf("%d MiB for one event of 1 MiB, with limits.memory of %d MiB", most>>20, memory>>20)
			}
		})
	}
}
