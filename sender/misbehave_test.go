package sender

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// rudeTarget is where a rude receiver is sent to.
func rudeTarget(t testing.TB, b *rude, e Egress) *target {
	t.Helper()
	c := newClient(loopback, "rowhook/test", 64).through(e)
	t.Cleanup(c.close)
	tg, err := newTarget(&subscriptions.Subscription{TargetURL: secret.String(b.listening(t)), Secrets: signing(specSecret)}, c, Envelope{})
	if err != nil {
		t.Fatal(err)
	}
	if !b.http2 {
		c.small.Learn(tg.endpoint)
	}
	return tg
}

// timeout is for an attempt: most end before, however slow the machine is.
func (b *rude) timeout() time.Duration {
	if slices.Contains(b.reasons, ReasonTimeout) {
		return 300 * time.Millisecond
	}
	return time.Minute
}

// attempt is one that sends a body of the size that it wants.
func (b *rude) attempt() attempt {
	ev := testEvent()
	if b.body > 0 {
		ev.Data = []byte(`"` + strings.Repeat("x", b.body) + `"`)
	}
	return attempt{event: ev, number: 1, timeout: b.timeout()}
}

// TestMisbehavingReceivers sends to receivers that do what receivers should not: each attempt ends in time, and with its reason.
// They wait, most of the time: so all of them at once.
func TestMisbehavingReceivers(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	var all sync.WaitGroup
	for name, b := range rudeness(t, authority) {
		all.Go(func() { misbehaves(t, name, b, rudeTarget(t, b, Egress{CA: authority.pem})) })
		if !b.http2 {
			large := rudeTarget(t, b, Egress{CA: authority.pem})
			large.endpoint = nil
			all.Go(func() { misbehaves(t, name+", net/http", b, large) })
		}
	}
	all.Wait()
}

func misbehaves(t *testing.T, name string, b *rude, tg *target) {
	// The second attempt meets what the first one has left behind.
	for range 2 {
		began := time.Now()
		out := tg.deliver(t.Context(), b.attempt())
		if took := time.Since(began); took > b.timeout()+answerTime+30*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
		if !slices.Contains(b.reasons, out.Reason) || out.Status != b.status && out.Status != 0 || out.Status == 0 && out.Verdict == Delivered ||
			(out.Verdict == Delivered) != (out.Reason == "") {
			t.Errorf("%s: got %+v, want %q", name, out, b.reasons)
		}
		if len(out.Answer) > answerKept || len(out.Detail) > detailMax {
			t.Errorf("%s: %d bytes of the answer are kept, %d of the detail", name, len(out.Answer), len(out.Detail))
		}
		if out.Status == 0 && out.Detail == "" {
			t.Errorf("%s: no detail", name)
		}
		if strings.ContainsFunc(out.Detail, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("%s: %q does what a terminal is told", name, out.Detail)
		}
	}
}

// TestMisbehavingReceiversTakeLittle has all that send as much as they can answer many attempts at once. It runs alone, so that what
// it sees is its own.
func TestMisbehavingReceiversTakeLittle(t *testing.T) {
	const (
		attempts = 2
		// each is what an attempt may take: the headers as they come and as they are kept, what HTTP/2 takes before it is read, and
		// as much again that is not collected yet.
		each = 512 << 10
	)
	authority := newAuthority(t)
	var all []func()
	for _, b := range rudeness(t, authority) {
		if !b.floods {
			continue
		}
		tg := rudeTarget(t, b, Egress{CA: authority.pem})
		for range attempts {
			all = append(all, func() { tg.deliver(t.Context(), b.attempt()) })
			if !b.http2 {
				large := *tg
				large.endpoint = nil
				all = append(all, func() { large.deliver(t.Context(), b.attempt()) })
			}
		}
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var running sync.WaitGroup
	for _, f := range all {
		running.Go(f)
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	most := before.HeapAlloc
	for done != nil {
		select {
		case <-done:
			done = nil
		case <-tick.C:
		}
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
	}
	took := int(most - before.HeapAlloc)
	t.Logf("%d attempts took %d KiB each", len(all), took/len(all)>>10)
	if took > len(all)*each {
		t.Errorf("%d attempts took %d KiB each", len(all), took/len(all)>>10)
	}
}
