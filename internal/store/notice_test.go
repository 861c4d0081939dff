package store

import (
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestNotices are written once, with what they tell of, have one place in the log each, in their order, and tell no secrets. What is
// known of the target is shown, makes no new version, and can be asked for in a list.
func TestNotices(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn, ctx := open(t, db), connect(t, db), t.Context()
	x := subscribe(t, s, "42")
	gone, well := subscribe(t, s, "42"), subscribe(t, s, "7")
	was, err := s.Update(ctx, adminScope, x.ID, func(x *subscriptions.Subscription) error {
		x.TargetURL, x.Name = "https://user:hunter2@hooks.example.com:8443/secret-path?token=t", "CRM"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	since := time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC)
	mark := func(key int64, tell sender.Tell) sender.Record {
		return sender.Record{Op: sender.Mark, Subscription: key, Tell: tell, Trouble: &sender.Trouble{Since: since, Told: since,
			Last: sender.Failure{Status: 503, Reason: "http_status", At: since.Add(time.Hour)}}}
	}
	for range 2 {
		write(t, s, mark(x.Key, sender.TellFailing), mark(gone.Key, sender.TellFailing), mark(77777, sender.TellFailing))
	}
	list := func(q subscriptions.Query) (ids string) {
		t.Helper()
		q.Scope, q.Limit = adminScope, 10
		page, _, err := s.List(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			ids += strings.NewReplacer(x.ID, "x", gone.ID, "gone", well.ID, "well").Replace(p.ID) + " "
		}
		return ids
	}
	seven := "7"
	if a, b, c := list(subscriptions.Query{Failing: true}), list(subscriptions.Query{Account: &seven}), list(subscriptions.Query{DisabledByRowhook: true}); a != "x gone " || b != "well " || c != "" {
		t.Errorf("failing are %s, of account 7 %s, disabled %s", a, b, c)
	}
	got, err := s.Get(ctx, adminScope, x.ID)
	if err != nil || got.Version != was.Version || got.Failing == nil || !got.Failing.Since.Equal(since) || got.Failing.Last == nil || *got.Failing.Last.Status != 503 {
		t.Errorf("shown: %+v, %v", got.Failing, err)
	}
	if err := s.Delete(ctx, adminScope, gone.ID, nil); err != nil {
		t.Fatal(err)
	}
	disabled := since.Add(5 * 24 * time.Hour)
	if _, err := s.Update(ctx, adminScope, x.ID, func(x *subscriptions.Subscription) error {
		x.DisableDead(since, subscriptions.LastAnswer{Reason: "timeout", At: disabled}, disabled)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if a, b, c := list(subscriptions.Query{DisabledByRowhook: true, DisabledAfter: disabled}), list(subscriptions.Query{DisabledByRowhook: true, DisabledBefore: disabled}),
		list(subscriptions.Query{Failing: true}); a != "x " || b != "" || c != "" {
		t.Errorf("disabled since then are %s, before %s, failing %s", a, b, c)
	}
	if n, err := s.PrepareNotices(ctx); err != nil || n != 2 {
		t.Fatalf("%d are ready, %v", n, err)
	}
	place := func(at cdc.LSN) (kinds string) {
		t.Helper()
		placed, err := s.PlaceNotices(ctx, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range placed {
			kinds += n.Kind + " "
			if n.Subscription != x.ID || !n.Since.Equal(since) || !strings.Contains(string(n.Data), `"account":"42","name":"CRM","target_host":"hooks.example.com",`) {
				t.Errorf("told: %+v %s", n, n.Data)
			}
			for _, secret := range []string{"hunter2", "user", "secret-path", "token", "8443", "whsec_"} {
				if strings.Contains(string(n.Data), secret) {
					t.Errorf("it tells %s: %s", secret, n.Data)
				}
			}
		}
		return kinds
	}
	if got := place(100); got != "failing disabled " {
		t.Errorf("told: %s", got)
	}
	write(t, s, mark(x.Key, sender.TellRecovered))
	write(t, s, mark(x.Key, sender.TellFailing)) // the same once more: the answer to the write was lost
	if n, err := s.PrepareNotices(ctx); err != nil || n != 1 {
		t.Fatalf("%d are ready, %v", n, err)
	}
	for range 2 {
		if a, b := place(100), place(200); a != "failing disabled " || b != "recovered " {
			t.Errorf("read again: %s, then %s", a, b)
		}
	}
	if err := s.Delete(ctx, adminScope, x.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expire(ctx, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := value[int](t, conn, `SELECT (SELECT count(*) FROM notice) + (SELECT count(*) FROM told) + (SELECT count(*) FROM failing)`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
