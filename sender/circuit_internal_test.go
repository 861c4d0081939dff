package sender

import (
	"net/http"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestBlame says of every status and reason what it speaks of.
func TestBlame(t *testing.T) {
	t.Parallel()
	target := map[int]bool{401: true, 402: true, 403: true, 404: true, 405: true, 407: true, 408: true, 421: true, 425: true, 426: true, 429: true}
	for status := 100; status < 600; status++ {
		if status >= 200 && status <= 299 || status == http.StatusGone {
			continue
		}
		want := blameTarget
		switch {
		case status == 500, status == 501:
			want = blameEither
		case status >= 400 && status < 500 && !target[status]:
			want = blameEvent
		}
		if got := blameOf(&Outcome{Status: status, Reason: ReasonHTTPStatus}); got != want {
			t.Errorf("%d: %d, want %d", status, got, want)
		}
	}
	for _, reason := range []string{ReasonTimeout, ReasonDNS, ReasonBlockedAddress, ReasonConnectionRefused, ReasonConnectionReset, ReasonTLS,
		ReasonInvalidResponse, ReasonConnection, ReasonOAuth2} {
		if got := blameOf(&Outcome{Reason: reason}); got != blameTarget {
			t.Errorf("%s: %d", reason, got)
		}
	}
	for _, reason := range []string{ReasonConfiguration, ReasonProxy} { // ours
		if got := blameOf(&Outcome{Reason: reason}); got != blameEither {
			t.Errorf("%s: %d", reason, got)
		}
	}
}

// quietDispatcher does nothing by itself: it is not running.
func quietDispatcher() (*Dispatcher, *subscription) {
	d := New(Config{MaxInFlight: 64, PerSubscription: 16, Memory: 1 << 20, Hold: time.Hour, Timeout: time.Minute}, nil)
	s := d.subscription(&subscriptions.Subscription{Key: 1, ID: "sub_1", Version: 1, Events: []string{"*"}, TargetURL: secret.String("https://example.com/"),
		State: subscriptions.Active})
	return d, s
}

var (
	away    = &Outcome{Verdict: Retry, Reason: ReasonConnectionRefused}
	stumble = &Outcome{Verdict: Retry, Reason: ReasonHTTPStatus, Status: 500}
	refusal = &Outcome{Verdict: Retry, Reason: ReasonHTTPStatus, Status: 422}
)

// TestCircuitOpens after so many failures with no delivery between them, and not before.
func TestCircuitOpens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		out  *Outcome
		n    int
	}{
		{"Away", away, 32}, {"Stumbles", stumble, 32}, {"RefusesEvents", refusal, 512},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, s := quietDispatcher()
			for range c.n - 1 {
				d.failed(s, c.out, false)
			}
			d.succeeds(s)
			for i := range c.n {
				if s.open {
					t.Fatalf("open after %d", i)
				}
				d.failed(s, c.out, false)
			}
			if got := d.Counts(); !s.open || !s.whole || got.CircuitsOpen != 1 {
				t.Errorf("not open after %d: %+v", c.n, got)
			}
		})
	}
}

// TestProbesAreMadeLessAndLess: the pause doubles with each one that fails, as far as its answer allows. What was under way
// when the circuit opened is none of them.
func TestProbesAreMadeLessAndLess(t *testing.T) {
	t.Parallel()
	d, s := quietDispatcher()
	for range 32 + 8 {
		d.failed(s, away, false)
	}
	want := func(pause time.Duration) {
		t.Helper()
		// ±20 %, and the time that has passed since.
		if in := time.Until(s.probeAt); s.pause != pause || in > pause+pause/5 {
			t.Errorf("the pause is %s, the next one in %s: want %s", s.pause, in, pause)
		}
	}
	probe := func(out *Outcome) {
		d.probes(s, time.Now())
		if c := d.Counts(); c.CircuitsHalfOpen != 1 || c.CircuitsOpen != 0 {
			t.Errorf("while it is tried: %+v", c)
		}
		d.failed(s, out, d.probed(s))
	}
	want(50 * time.Millisecond)
	for _, pause := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000} {
		probe(away)
		want(pause * time.Millisecond)
	}
	probe(refusal)
	want(50 * time.Millisecond)
	for _, pause := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		probe(stumble)
		want(pause * time.Millisecond)
	}
	begun := time.Now()
	probe(away)
	if !s.probeAt.After(begun) {
		t.Error("the next one may be made at once")
	}
}

// TestCircuitCloses with a delivery: the target is begun with slowly, and if it fails again before it has found its feet, it
// goes on where it was.
func TestCircuitCloses(t *testing.T) {
	t.Parallel()
	d, s := quietDispatcher()
	for range 32 {
		d.failed(s, away, false)
	}
	d.failed(s, away, true)
	d.failed(s, away, true)
	d.succeeds(s)
	if c := d.Counts(); s.open || c.CircuitsOpen+c.CircuitsHalfOpen != 0 || s.window != 1 {
		t.Fatalf("after a delivery: open %v, window %d, %+v", s.open, s.window, c)
	}
	for range 7 {
		d.failed(s, away, false)
	}
	if s.open {
		t.Fatal("open after 7 failures")
	}
	if d.failed(s, away, false); !s.open || s.pause != 200*time.Millisecond {
		t.Fatalf("after 8 failures: open %v, pause %s", s.open, s.pause)
	}
	d.succeeds(s)
	now := time.Now()
	for i := 0; s.slow; i++ {
		s.widen(now.Add(time.Duration(i) * time.Second))
	}
	d.succeeds(s)
	for range 31 {
		d.failed(s, away, false)
	}
	if s.open || s.pause != 0 {
		t.Errorf("it had found its feet: open %v, pause %s", s.open, s.pause)
	}
}

// TestSlowStart: the window doubles with as many deliveries as it has room for, and not faster than every 100 ms.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	_, s := quietDispatcher()
	s.startSlowly()
	begin := time.Unix(1_000_000, 0)
	var windows []int
	for i := range 60 { // one in 20 ms
		s.widen(begin.Add(time.Duration(i) * 20 * time.Millisecond))
		windows = append(windows, s.window)
	}
	// 2 with the first, 4 after 100 ms, 8 after 100 more, then by the number of deliveries: 16 after 8 of them.
	for i, want := range map[int]int{0: 2, 4: 2, 5: 4, 9: 4, 10: 8, 17: 8, 18: 16, 59: 16} {
		if windows[i] != want {
			t.Errorf("after %d deliveries the window is %d, want %d", i+1, windows[i], want)
		}
	}
	if s.slow {
		t.Error("it has all its slots, and is still begun with slowly")
	}
	// A failure that took long does not make it larger.
	s.startSlowly()
	if s.narrow(); s.window != 1 {
		t.Errorf("the window is %d", s.window)
	}
}

// TestManyCircuitsShareTheirAttempts: 500 in a second, however many they are.
func TestManyCircuitsShareTheirAttempts(t *testing.T) {
	t.Parallel()
	d, s := quietDispatcher()
	d.open = 1000
	s.open = true
	begun := time.Now()
	d.failed(s, &Outcome{Verdict: Retry, Reason: ReasonTimeout}, true)
	if least, most := s.probeAt.Sub(begun), time.Until(s.probeAt); least < 1600*time.Millisecond || most > 2400*time.Millisecond {
		t.Errorf("of 1,000 open circuits each is tried after %s, want 2 s, ±20 %%", least)
	}
}
