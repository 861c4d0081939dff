package sender_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestMeasureIsolation compares what healthy targets get beside healthy ones with what they get beside hanging and
// failing ones, in alternation, with a real store. It asserts nothing: `make isolation` prints it.
func TestMeasureIsolation(t *testing.T) {
	if os.Getenv("ROWHOOK_ISOLATION") == "" {
		t.Skip("a measurement of minutes: make isolation")
	}
	for _, c := range []struct {
		name             string
		targets, hanging int
		failing          int
		rate             int           // events in a second, each to all targets; 0 is as many as are taken
		answer           time.Duration // what a healthy one takes
	}{
		{"one of ten hangs, one fails, steady", 10, 1, 1, 60, 0},
		{"twenty of thirty hang, steady", 30, 20, 0, 40, 100 * time.Millisecond},
		{"one of ten hangs, one fails, all out", 10, 1, 1, 0, 0},
		{"twenty of thirty hang, all out", 30, 20, 0, 0, 0},
	} {
		if f := os.Getenv("ROWHOOK_ISOLATION"); f != "1" && !strings.Contains(c.name, f) {
			continue
		}
		sick := c.hanging + c.failing
		var healthy, beside []measured
		for range 2 {
			healthy = append(healthy, isolate(t, c.targets, 0, 0, sick, c.rate, c.answer))
			beside = append(beside, isolate(t, c.targets, c.hanging, c.failing, sick, c.rate, c.answer))
		}
		a, b := sum(healthy), sum(beside)
		t.Logf("%-38s all healthy  %6.0f/s  p50 %8s  p99 %8s", c.name, a.rate(), a.at(0.5), a.at(0.99))
		t.Logf("%-38s beside them  %6.0f/s  p50 %8s  p99 %8s", "", b.rate(), b.at(0.5), b.at(0.99))
		t.Logf("%-38s ratio        %6.2f    p50 %8.2f  p99 %8.2f", "", b.rate()/a.rate(),
			float64(a.at(0.5))/float64(b.at(0.5)), float64(a.at(0.99))/float64(b.at(0.99)))
	}
}

// measured is what the healthy targets got.
type measured struct {
	latencies []time.Duration
	took      time.Duration
}

func sum(all []measured) (m measured) {
	for _, x := range all {
		m.latencies, m.took = append(m.latencies, x.latencies...), m.took+x.took
	}
	slices.Sort(m.latencies)
	return m
}

func (m measured) rate() float64 { return float64(len(m.latencies)) / m.took.Seconds() }

func (m measured) at(q float64) time.Duration {
	if len(m.latencies) == 0 {
		return 0
	}
	return m.latencies[int(q*float64(len(m.latencies)-1))].Round(10 * time.Microsecond)
}

// isolateFor is how long a run takes: twice what the hanging ones need to be sent through the store.
const isolateFor = 12 * time.Second

// isolate sends to targets, of which the first ones hang or fail, and measures those beyond the first skip.
func isolate(t *testing.T, targets, hanging, failing, skip, rate int, answer time.Duration) measured {
	var mu sync.Mutex
	var out measured
	var measuring atomic.Bool
	release := make(chan struct{})
	begun := time.Now()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n, _ := strconv.Atoi(r.URL.Path[1:])
		switch {
		case n < hanging:
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case n < hanging+failing:
			w.WriteHeader(http.StatusInternalServerError)
		case n >= skip && measuring.Load():
			arrived := time.Since(begun)
			if answer > 0 {
				tm := time.NewTimer(answer)
				defer tm.Stop()
				<-tm.C
			}
			var at int64
			if _, rest, ok := strings.Cut(string(body), `"at":`); ok {
				_, _ = fmt.Sscan(rest[:strings.IndexByte(rest, '}')], &at)
			}
			mu.Lock()
			out.latencies = append(out.latencies, arrived-time.Duration(at))
			mu.Unlock()
		}
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	defer close(release)

	k := newPostgresKeepers(t)
	cfg := testConfig()
	cfg.MaxInFlight, cfg.PerSubscription, cfg.Memory, cfg.Hold, cfg.Timeout = 512, 64, 16<<20, 5*time.Second, 15*time.Second
	cfg.Retries = []time.Duration{5 * time.Second, 5 * time.Minute, time.Hour}
	d := run(t, cfg, k.open())
	defer d.stop()
	var subs []*subscriptions.Subscription
	for i := range targets {
		subs = append(subs, newSubscription(k.subscription(), fmt.Sprintf("http://%s/%d", l.Addr(), i)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), isolateFor)
	defer cancel()
	measuring.Store(true)
	for n := 1; ctx.Err() == nil; n++ {
		if rate > 0 {
			if pause := time.Duration(n)*time.Second/time.Duration(rate) - time.Since(begun); pause > 0 {
				tm := time.NewTimer(pause)
				select {
				case <-tm.C:
				case <-ctx.Done():
				}
			}
		}
		ev := newEvent(n, fmt.Sprint(n%5000))
		ev.Time = time.Now().UTC()
		ev.Data = fmt.Appendf(nil, `{"id":%d,"text":%q,"at":%d}`, n, strings.Repeat("x", 300), time.Since(begun).Nanoseconds())
		if err := d.Submit(ctx, []sender.Job{{Event: ev, To: subs}}, cdc.NewReceipt(len(subs))); err != nil {
			break
		}
	}
	measuring.Store(false)
	mu.Lock()
	defer mu.Unlock()
	out.took = time.Since(begun)
	return out
}
