package sender

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

func internalConfig() Config {
	return Config{MaxInFlight: 32, PerSubscription: 8, Hold: time.Hour, Memory: 1 << 20, Timeout: 3 * time.Second,
		Retries: []time.Duration{time.Hour}, Ordering: subscriptions.OrderingResource, Admin: loopback, Accounts: loopback, UserAgent: "rowhook/test"}
}

func internalSubscription(key int64, url string) *subscriptions.Subscription {
	return &subscriptions.Subscription{Key: key, ID: fmt.Sprint("sub_", key), Version: 1, Account: "1", TargetURL: secret.String(url),
		Secrets: signing(specSecret), State: subscriptions.Active}
}

// TestRemoveCutsWhatHasJustBegun: of a subscription whose first request was taken from the queue and is not made yet,
// nothing is sent once it is removed.
func TestRemoveCutsWhatHasJustBegun(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
	d := New(internalConfig(), nil)
	sub := internalSubscription(1, r.URL("/"))
	// As Submit does, but that its goroutines come late.
	d.mu.Lock()
	receipt := cdc.NewReceipt(1)
	ev := testEvent()
	d.submit(&delivery{event: ev, body: &body{deliveries: 1}, receipt: receipt, submitted: time.Now()}, sub, time.Now())
	start := d.schedule()
	d.mu.Unlock()
	if len(start) != 1 {
		t.Fatalf("%d attempts begin, want 1", len(start))
	}
	removed := make(chan struct{})
	go func() { d.Remove(1); close(removed) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		d.mu.Lock()
		gone := d.subs[1].removed
		d.mu.Unlock()
		if gone {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("Remove does not begin")
		}
	}
	begun := time.Now()
	d.launch(start)
	<-removed
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("Remove waited %s for a request that began after it", took)
	}
	if n := len(r.Requests()); n != 0 {
		t.Errorf("%d requests were sent to a removed subscription", n)
	}
}

// TestWhatIsForgottenIsNotLookedInto: a look that failed, or came late, must not leave a subscription that has nothing any
// more in the agenda when it is forgotten: it would be looked into beside its successor, and its rows be sent twice.
func TestWhatIsForgottenIsNotLookedInto(t *testing.T) {
	t.Parallel()
	d := New(internalConfig(), nil)
	sub := internalSubscription(1, "http://127.0.0.1:1/")
	d.mu.Lock()
	s := d.subscription(sub)
	d.lookSoon(s, time.Now()) // the record of a row was written
	d.mu.Unlock()
	looked, look, _ := d.toFetch(time.Now())
	if looked != s {
		t.Fatal("it is not looked into")
	}
	// Its only row is finished while the look is under way; the store does not answer the look.
	d.fetched(s, Look{}, nil, look.Now)
	d.mu.Lock()
	d.dropIdle(s)
	next := d.subscription(sub)
	d.lookSoon(next, time.Now())
	d.mu.Unlock()
	for {
		got, _, _ := d.toFetch(time.Now())
		if got == nil {
			break
		}
		if got != next {
			t.Error("a forgotten subscription is looked into")
		}
		d.fetched(got, Look{}, nil, time.Time{})
	}
}

// TestWhatHasEnoughIsNotLookedInto: a subscription that has just got all rows that are wanted is not looked into again for
// want of the few that have begun meanwhile.
func TestWhatHasEnoughIsNotLookedInto(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
	d := New(internalConfig(), nil)
	d.mu.Lock()
	s := d.subscription(internalSubscription(1, r.URL("/")))
	s.rows, s.whole = 1000, true
	d.stored[1] = s
	d.lookSoon(s, time.Now())
	d.mu.Unlock()
	_, look, _ := d.toFetch(time.Now())
	var due []Due
	for i := range look.Rows {
		due = append(due, Due{Event: &mapping.Event{ID: fmt.Sprint(i), Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(i + 1)}}, Key: int64(i)})
	}
	d.fetched(s, Look{}, due, look.Now)
	if got, again, _ := d.toFetch(time.Now()); got != nil {
		t.Errorf("with %d rows ready it is looked into for %d more", s.due.len(), again.Rows)
	}
	d.cutShort()
	d.attempts.Wait()
}

// BenchmarkDropMany with 100,000 subscriptions that all have a row: none can be forgotten.
func BenchmarkDropMany(b *testing.B) {
	d := New(internalConfig(), nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	sub := internalSubscription(1, "http://127.0.0.1:1/")
	for i := range int64(100_000) {
		s := d.subscription(sub)
		delete(d.subs, 1)
		s.key = i
		d.subs[i] = s
		d.stored[i] = s
		s.rows = 1
		s.keep(&lane{sub: s, key: i, rows: 1})
		d.lookSoon(s, time.Now())
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	perSub := float64(after.HeapAlloc-before.HeapAlloc) / 100_000
	b.ResetTimer()
	for b.Loop() {
		d.dropMany()
	}
	b.ReportMetric(perSub, "B/sub")
}

// TestStateOfSubscriptionsWithRows measures what is remembered of subscriptions that have one row each and were sent to once.
func TestStateOfSubscriptionsWithRows(t *testing.T) {
	const many = 20_000
	d := New(internalConfig(), nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range int64(many) {
		s := d.subscription(internalSubscription(i, fmt.Sprintf("https://hooks.customer-%d.example/rowhook/incoming", i)))
		d.prepare(s) // its first attempt
		d.stored[i] = s
		s.rows = 1
		s.keep(&lane{sub: s, key: i, rows: 1})
		d.lookSoon(s, time.Now())
	}
	for range 5 * many / dropLooks {
		d.dropMany() // they are chosen at random
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	perSub := int64(after.HeapAlloc-before.HeapAlloc) / many
	runtime.KeepAlive(d)
	t.Logf("%d bytes for each", perSub)
	if told := d.StateSize() / many; perSub > 2*told {
		t.Errorf("each takes %d bytes, the collector is told of %d", perSub, told)
	}
}

// TestABrokenRequestIsRepeatedOnce, also when its host comes to speak HTTP/2 in between.
func TestABrokenRequestIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	var h2 atomic.Bool
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if requests.Add(1) > 1 {
			h2.Store(true)
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Connection", "close")
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	both := s.TLS.Clone()
	one := s.TLS.Clone()
	one.NextProtos = []string{"http/1.1"}
	s.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if h2.Load() {
			return both, nil
		}
		return one, nil
	}
	tg := testTarget(t, loopback, s.URL)
	tg.client.small.TLS = &tls.Config{InsecureSkipVerify: true}
	tg.client.transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	if out := tg.once(t.Context(), time.Minute); out.Verdict != Delivered {
		t.Fatalf("got %+v", out) // its protocol is known now
	}
	if out := tg.once(t.Context(), time.Minute); out.Verdict != Retry || requests.Load() != 3 {
		t.Errorf("got %+v, and the target saw the event %d times, want 2", out, requests.Load()-1)
	}
}

// TestSheddingOneByOneIsNotSlow: with many subscriptions that have one key each, more keys than are remembered do not cost
// a look at all of them each.
func TestSheddingOneByOneIsNotSlow(t *testing.T) {
	const many, more = 100_000, 2000
	d := New(internalConfig(), nil)
	sub := internalSubscription(0, "http://127.0.0.1:1/")
	add := func(i int64) {
		s := &subscription{key: i, sub: sub}
		d.subs[i], d.stored[i] = s, s
		s.rows, s.keys = 1, 1
		s.keep(&lane{sub: s, key: i, rows: 1})
		d.storedKeys++
	}
	for i := range int64(many) {
		add(i)
	}
	begun := time.Now()
	for i := range int64(more) {
		add(many + i)
		d.shed()
		if d.storedKeys > d.keysMax {
			t.Fatal("too many keys are remembered")
		}
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("%d more took %s, %s each, with the dispatcher locked", more, took, took/more)
	}
}
