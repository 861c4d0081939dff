package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// newResender is a resender on a real store, whose Dispatcher runs.
func newResender(t *testing.T) *resender {
	t.Helper()
	return newResenderAt(t, pgtest.Database(t))
}

// newResenderAt is one whose store is in the database.
func newResenderAt(t *testing.T, url string) *resender {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{URL: secret.String(url), Schema: "rowhook"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	local := sender.Guard{AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	d := sender.New(sender.Config{MaxInFlight: 8, PerSubscription: 8, Hold: time.Hour, Memory: 1 << 20, Timeout: 10 * time.Second,
		Admin: local, Accounts: local, Ordering: subscriptions.OrderingResource}, st)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx) })
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	return &resender{store: st, dispatcher: d}
}

// TestResend: what has ended is sent again, once however often it is asked for while it waits, and nothing is kept of a
// subscription that was deleted.
func TestResend(t *testing.T) {
	t.Parallel()
	r := newResender(t)
	target := hooktest.New(t, hooktest.Always(hooktest.OK()))
	s := &subscriptions.Subscription{ID: subscriptions.NewID(), Admin: true, Events: []string{"*"}, TargetURL: secret.String(target.URL("/")),
		Secrets: []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}, State: subscriptions.Active}
	if err := r.store.Create(t.Context(), s, 0); err != nil {
		t.Fatal(err)
	}
	event := func(n int) *mapping.Event {
		return &mapping.Event{ID: fmt.Sprintf("evt_%d", n), Type: "contact.update", Resource: "contact", Instance: "1", Data: []byte(`{}`),
			Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(n), Ordinal: 1}, Time: time.Now().UTC().Truncate(time.Microsecond)}
	}
	receipt := cdc.NewReceipt(2)
	live := []sender.Job{{Event: event(1), To: []*subscriptions.Subscription{s}}, {Event: event(2), To: []*subscriptions.Subscription{s}}}
	if err := r.dispatcher.Submit(t.Context(), live, receipt); err != nil {
		t.Fatal(err)
	}
	<-receipt.Settled()
	target.Wait(t, 2, 30*time.Second)

	release := make(chan struct{})
	target.HandleAll(hooktest.Sequence(hooktest.Answer{Until: release, Status: 200}, hooktest.OK()))
	page, err := r.store.Sent(t.Context(), store.Span{Subscription: s.Key, From: live[0].Event.Position, To: live[1].Event.Position, Rows: 10})
	if err != nil || len(page.Sent) != 2 || !page.Ends {
		t.Fatalf("sent: %v, %v", page, err)
	}
	heads, err := r.store.Heads(t.Context(), page.Sent)
	if err != nil {
		t.Fatal(err)
	}
	var jobs []sender.Job
	for i, ev := range heads {
		jobs = append(jobs, sender.Job{Event: ev, To: []*subscriptions.Subscription{s}, Replay: true, Attempts: page.Sent[i].Attempts})
	}
	jobs = append(jobs, jobs[0]) // once is enough
	for _, want := range []int{2, 0} {
		if n, err := r.resend(t.Context(), jobs); err != nil || n != want {
			t.Errorf("resent %d, want %d: %v", n, want, err)
		}
	}
	close(release)
	for i, got := range target.Wait(t, 4, 30*time.Second)[2:] {
		if h := got.Header; h.Get("Webhook-Replay") != "1" || h.Get("Webhook-Attempt") != "2" || got.ID != heads[i].ID {
			t.Errorf("request %d: %v", i, h)
		}
	}

	if err := r.store.Delete(t.Context(), subscriptions.Scope{Admin: true}, s.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.resend(t.Context(), jobs); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(30 * time.Second); r.dispatcher.Counts() != (sender.Counts{}); {
		if time.Now().After(deadline) {
			t.Fatalf("kept of a deleted one: %+v", r.dispatcher.Counts())
		}
		<-time.After(5 * time.Millisecond)
	}
	r.dispatcher.Suspend()
	if _, err := r.resend(t.Context(), jobs); !errors.Is(err, sender.ErrSuspended) {
		t.Errorf("suspended: %v", err)
	}
}

// TestResendTogether: what many ask for at once is done together, also where the one that does it is cancelled.
func TestResendTogether(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	r := newResenderAt(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	target := hooktest.New(t)
	s := &subscriptions.Subscription{ID: subscriptions.NewID(), Admin: true, Events: []string{"*"}, TargetURL: secret.String(target.URL("/")),
		Secrets: []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}, State: subscriptions.Active}
	if err := r.store.Create(t.Context(), s, 0); err != nil {
		t.Fatal(err)
	}
	const events = 8
	receipt := cdc.NewReceipt(events)
	var jobs []sender.Job
	for n := range events {
		jobs = append(jobs, sender.Job{Event: &mapping.Event{ID: fmt.Sprintf("evt_%d", n), Type: "contact.update", Resource: "contact", Instance: fmt.Sprint(n), Data: []byte(`{}`),
			Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(n + 1), Ordinal: 1}, Time: time.Now().UTC().Truncate(time.Microsecond)}, To: []*subscriptions.Subscription{s}})
	}
	if err := r.dispatcher.Submit(t.Context(), jobs, receipt); err != nil {
		t.Fatal(err)
	}
	<-receipt.Settled()
	target.Wait(t, events, 30*time.Second)
	if _, err := conn.Exec(t.Context(), `
		create sequence writes;
		create function counted() returns trigger language plpgsql as 'begin perform nextval(''public.writes''); return null; end';
		create trigger counted before insert on rowhook.due for each statement execute function counted()`); err != nil {
		t.Fatal(err)
	}

	// The first is held up in its write until the others have asked, and is cancelled then.
	hold, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hold.Exec(t.Context(), `lock table rowhook.due in share mode`); err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		jobs[i].Replay, jobs[i].Attempts = true, 1
	}
	asked := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; <-time.After(time.Millisecond) {
			r.asking.Lock()
			got := len(r.asked)
			r.asking.Unlock()
			if got == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d have asked, want %d", got, n)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := r.resend(ctx, jobs[:1])
		first <- err
	}()
	for deadline := time.Now().Add(30 * time.Second); r.mu.TryLock(); <-time.After(time.Millisecond) {
		r.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("the first does not begin")
		}
	}
	asked(0)
	var wg sync.WaitGroup
	var again atomic.Int64
	for i := range jobs {
		for range 2 {
			wg.Go(func() {
				n, err := r.resend(t.Context(), jobs[i:i+1])
				if err != nil {
					t.Error(err)
				}
				again.Add(int64(n))
			})
		}
	}
	asked(2 * events)
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled one: %v", err)
	}
	if err := hold.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	var writes int
	if err := conn.QueryRow(t.Context(), `select last_value from writes`).Scan(&writes); err != nil {
		t.Fatal(err)
	}
	// The first's row is written, whoever waits for it, and those of the others with it or together.
	if n := again.Load(); n < events-1 || n > events || writes > 3 {
		t.Errorf("%d are sent again by %d writes", n, writes)
	}
	target.Wait(t, 2*events, 30*time.Second)
}
