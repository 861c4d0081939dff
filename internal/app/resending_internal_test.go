package app

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestEnabledAndKilled: who takes over after a kill between the change that enables a subscription and what it gets first sends it
// nothing before that, and then all, in order.
func TestEnabledAndKilled(t *testing.T) {
	t.Parallel()
	r := newResender(t)
	a := &App{log: slog.New(slog.DiscardHandler)}
	target := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	none := subscriptions.Retries{IsCount: true}
	s := &subscriptions.Subscription{ID: subscriptions.NewID(), Admin: true, Events: []string{"*"}, TargetURL: secret.String(target.URL("/")),
		Delivery: subscriptions.DeliveryOptions{Retries: &none},
		Secrets:  []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}, State: subscriptions.Active}
	if err := r.store.Create(t.Context(), s, 0); err != nil {
		t.Fatal(err)
	}
	submit := func(to *subscriptions.Subscription, from, n int) {
		t.Helper()
		receipt := cdc.NewReceipt(n)
		var jobs []sender.Job
		for i := from; i < from+n; i++ {
			jobs = append(jobs, sender.Job{To: []*subscriptions.Subscription{to}, Event: &mapping.Event{ID: fmt.Sprint("evt_", i), Type: "contact.update",
				Resource: "contact", Instance: fmt.Sprint(i % 3), Data: []byte(`{}`), Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(i), Ordinal: 1},
				Time: time.Now().UTC().Truncate(time.Microsecond)}})
		}
		if err := r.dispatcher.Submit(t.Context(), jobs, receipt); err != nil {
			t.Fatal(err)
		}
		<-receipt.Settled()
	}
	update := func(change func(*subscriptions.Subscription) error) *subscriptions.Subscription {
		t.Helper()
		now, err := r.store.Update(t.Context(), subscriptions.Scope{Admin: true}, s.ID, change)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	begun := time.Now().Add(-time.Second)
	submit(s, 1, 30) // they fail for good
	if err := r.dispatcher.Recorded(t.Context()); err != nil {
		t.Fatal(err)
	}
	dead := update(func(x *subscriptions.Subscription) error {
		x.DisableDead(begun, subscriptions.LastAnswer{Reason: "http_status", At: time.Now()}, time.Now())
		return nil
	})
	r.dispatcher.Update(dead)
	submit(dead, 31, 9) // they are kept
	enabled := update(func(x *subscriptions.Subscription) error { return x.Enable(time.Now()) })
	if !enabled.ResendSince.Equal(*dead.Disabled.FailingSince) {
		t.Fatalf("resent since %s", enabled.ResendSince)
	}
	// Killed; what the next process knows is what the store holds.
	target.HandleAll(hooktest.Always(hooktest.OK()))
	n := len(target.Requests())
	known := func(int64) *subscriptions.Subscription {
		x, err := r.store.Get(context.Background(), subscriptions.Scope{Admin: true}, s.ID)
		if err != nil {
			return nil
		}
		return x
	}
	if err := r.dispatcher.Resume(t.Context(), false, known); err != nil {
		t.Fatal(err)
	}
	submit(known(0), 40, 3) // settled: it is stored, as it would not be if the subscription were not held
	if now := len(target.Requests()); now != n {
		t.Errorf("%d requests before what failed is due again", now-n)
	}
	for range 2 { // the second has nothing to do
		if more, err := a.resendEnabled(t.Context(), r); err != nil || more {
			t.Fatal(more, err)
		}
	}
	now := known(0)
	if !now.ResendSince.IsZero() || now.Version != enabled.Version+1 {
		t.Errorf("after that: since %s, version %d", now.ResendSince, now.Version)
	}
	r.dispatcher.Update(now)
	target.WaitFor(t, func(q []hooktest.Request) bool { return len(q) == n+42 })
	got := target.Requests()[n:]
	last := map[string]string{}
	for i, q := range got {
		at, of := q.Header.Get("Webhook-Position"), fmt.Sprint(position(t, q)%3)
		if at <= last[of] {
			t.Errorf("request %d: %s comes after %s", i, at, last[of])
		}
		last[of] = at
		if again := q.Header.Get("Webhook-Replay") == "1"; again != (position(t, q) <= 30) {
			t.Errorf("request %d: sent again %v: %s", i, again, at)
		}
	}
}

// TestEnablingWaitsForNoOther: where what one subscription gets first cannot be read, the others go on.
func TestEnablingWaitsForNoOther(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	r := newResenderAt(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	a := &App{log: slog.New(slog.DiscardHandler)}
	target := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	none := subscriptions.Retries{IsCount: true}
	begun := time.Now().Add(-time.Second)
	var ids []string
	for range 2 {
		s := &subscriptions.Subscription{ID: subscriptions.NewID(), Admin: true, Events: []string{"*"}, TargetURL: secret.String(target.URL("/")),
			Delivery: subscriptions.DeliveryOptions{Retries: &none},
			Secrets:  []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}, State: subscriptions.Active}
		if err := r.store.Create(t.Context(), s, 0); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
		receipt := cdc.NewReceipt(1)
		n := len(ids)
		job := sender.Job{To: []*subscriptions.Subscription{s}, Event: &mapping.Event{ID: fmt.Sprint("evt_", n), Type: "contact.update", Resource: "contact",
			Instance: "1", Data: []byte(`{}`), Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(n), Ordinal: 1}, Time: time.Now().UTC().Truncate(time.Microsecond)}}
		if err := r.dispatcher.Submit(t.Context(), []sender.Job{job}, receipt); err != nil {
			t.Fatal(err)
		}
		<-receipt.Settled()
		for _, change := range []func(*subscriptions.Subscription) error{
			func(x *subscriptions.Subscription) error {
				x.DisableDead(begun, subscriptions.LastAnswer{Reason: "http_status", At: time.Now()}, time.Now())
				return nil
			},
			func(x *subscriptions.Subscription) error { return x.Enable(time.Now()) },
		} {
			if _, err := r.store.Update(t.Context(), subscriptions.Scope{Admin: true}, s.ID, change); err != nil {
				t.Fatal(err)
			}
		}
		if n == 1 {
			if err := r.dispatcher.Recorded(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), `update rowhook.outcome set newest = '\x01', oldest = ''`); err != nil {
				t.Fatal(err)
			}
		}
	}
	if more, err := a.resendEnabled(t.Context(), r); err == nil || more {
		t.Fatal("what cannot be read was read", more)
	}
	for i, id := range ids {
		x, err := r.store.Get(t.Context(), subscriptions.Scope{Admin: true}, id)
		if err != nil {
			t.Fatal(err)
		}
		if waits := !x.ResendSince.IsZero(); waits != (i == 0) {
			t.Errorf("subscription %d still waits: %v", i, waits)
		}
	}
}

func position(t *testing.T, q hooktest.Request) uint64 {
	t.Helper()
	p, err := cdc.ParsePosition(q.Header.Get("Webhook-Position"))
	if err != nil {
		t.Fatal(err)
	}
	return uint64(p.Commit)
}
