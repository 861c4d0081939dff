package sender_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// patience is how long what has to come may take on a machine that has much else to do.
const patience = 2 * time.Minute

// testSecret signs in tests.
const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// local allows what tests send to.
var local = sender.Guard{AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// newEvent makes event n of a contact; positions grow with n.
func newEvent(n int, contact string) *mapping.Event {
	return &mapping.Event{
		ID: fmt.Sprintf("evt_%d", n), Type: "contact.update", Resource: "contact", Instance: contact,
		Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(n) * 256, Ordinal: 1},
		Time:     time.Date(2026, 11, 22, 1, 0, 0, 123456000, time.UTC),
		Data:     fmt.Appendf(nil, `{"id":%q,"n":%d}`, contact, n),
	}
}

// newSubscription makes an active one of an account.
func newSubscription(key int64, target string) *subscriptions.Subscription {
	return &subscriptions.Subscription{
		Key: key, ID: fmt.Sprintf("sub_%d", key), Version: 1, Account: "1", Events: []string{"*"},
		TargetURL: secret.String(target), Secrets: []subscriptions.SigningSecret{{Secret: testSecret}}, State: subscriptions.Active,
	}
}

// testConfig retries soon and often.
func testConfig() sender.Config {
	return sender.Config{
		MaxInFlight: 32, PerSubscription: 8, Hold: time.Hour, Memory: 1 << 20, Timeout: 10 * time.Second,
		Retries:  []time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond},
		Ordering: subscriptions.OrderingResource, Admin: local, Accounts: local, UserAgent: "rowhook/test",
	}
}

// running is a Dispatcher that runs.
type running struct {
	*sender.Dispatcher
	stop func()
}

// run starts a Dispatcher; it is stopped at the end of the test, or by stop.
func run(t testing.TB, cfg sender.Config, store sender.Store) *running {
	d := sender.New(cfg, store)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return &running{d, stop}
}

// submit submits one event and returns its receipt.
func (r *running) submit(t testing.TB, ev *mapping.Event, to ...*subscriptions.Subscription) *cdc.Receipt {
	t.Helper()
	receipt := cdc.NewReceipt(len(to))
	if err := r.Submit(t.Context(), []sender.Job{{Event: ev, To: to}}, receipt); err != nil {
		t.Fatal(err)
	}
	return receipt
}

// settled waits for receipts.
func settled(t testing.TB, receipts ...*cdc.Receipt) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for i, r := range receipts {
		select {
		case <-r.Settled():
		case <-deadline:
			t.Fatalf("receipt %d of %d is not settled", i+1, len(receipts))
		}
	}
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		<-tick.C
	}
}

// idle waits until nothing is left to do, and checks that nothing is held.
func (r *running) idle(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("at the end: %+v %s", r.Counts(), r.WriteError())
		}
	})
	eventually(t, "nothing is left to do", func() bool {
		c := r.Counts()
		return c.InFlight == 0 && c.InMemory == 0 && c.Unwritten == 0 && c.StoredRows == 0
	})
	if c := r.Counts(); c != (sender.Counts{}) {
		t.Errorf("idle with %+v", c)
	}
}

// faulty is a store that fails as it is told.
type faulty struct {
	sender.Store

	mu sync.Mutex
	// refuse is how many writes fail, lose how many are made and reported as failed. dead lets nothing through any more.
	refuse, lose int
	dead         bool
	// gate, when set, holds up writes until it is closed.
	gate chan struct{}
}

type faultError string

func (e faultError) Error() string { return string(e) }

func (f *faulty) set(change func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faulty) Write(ctx context.Context, records []sender.Record) error {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.dead:
		return faultError("dead")
	case f.refuse > 0:
		f.refuse--
		return faultError("refused")
	case f.lose > 0:
		f.lose--
		if err := f.Store.Write(ctx, records); err != nil {
			return err
		}
		return faultError("the answer was lost")
	}
	return f.Store.Write(ctx, records)
}

func (f *faulty) Due(ctx context.Context, subscription int64, look sender.Look) ([]sender.Due, time.Time, error) {
	f.mu.Lock()
	dead := f.dead
	f.mu.Unlock()
	if dead {
		return nil, time.Time{}, faultError("dead")
	}
	return f.Store.Due(ctx, subscription, look)
}

func (f *faulty) Behind(ctx context.Context, subscription int64, keys []int64, after []cdc.Position, look sender.Look) ([]sender.Due, bool, error) {
	f.mu.Lock()
	dead := f.dead
	f.mu.Unlock()
	if dead {
		return nil, false, faultError("dead")
	}
	return f.Store.Behind(ctx, subscription, keys, after, look)
}

func isNotOwner(err error) bool { return errors.Is(err, sender.ErrNotOwner) }
