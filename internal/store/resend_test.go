package store

import (
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestWhatFailedIsKeptAsLongAsTheRest: of a subscription that rowhook has disabled, counted from then on. After that it is given up, and
// told of when it is enabled.
func TestWhatFailedIsKeptAsLongAsTheRest(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn, ctx := open(t, db), connect(t, db), t.Context()
	dead, other := subscribe(t, s, ""), subscribe(t, s, "")
	now := time.Now().UTC().Truncate(time.Microsecond)
	since, disabled := now.Add(-6*24*time.Hour), now.Add(-24*time.Hour)
	failed := func(n int, at time.Time, to int64) sender.Record {
		r := delivered(event(n, at), to, int64(n), false)
		r.Status, r.Attempts, r.Outcome = sender.StatusFailed, 3, &sender.Outcome{Verdict: sender.Retry, Status: 500, Reason: "http_status", Started: at}
		return r
	}
	// One had failed before, and failed again when it was sent again.
	write(t, s, failed(0, since.Add(-2*time.Hour), dead.Key))
	if _, err := conn.Exec(ctx, `UPDATE rowhook.outcome SET finished_at = $1`, since.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	write(t, s, failed(1, since, dead.Key), delivered(event(2, since.Add(time.Minute)), dead.Key, 2, false), failed(3, since.Add(time.Hour), dead.Key),
		failed(4, since.Add(time.Hour), other.Key))
	change := func(f func(x *subscriptions.Subscription) error) *subscriptions.Subscription {
		t.Helper()
		x, err := s.Update(ctx, adminScope, dead.ID, f)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	change(func(x *subscriptions.Subscription) error {
		x.DisableDead(since, subscriptions.LastAnswer{Reason: "timeout", At: disabled}, disabled)
		return nil
	})
	found := func(since time.Time) (commits []uint64) {
		t.Helper()
		err := s.FailedSince(ctx, dead.Key, since, 1, func(failed []Sent, heads []*mapping.Event) error {
			for i, x := range failed {
				if commits = append(commits, uint64(x.Position.Commit)); heads[i] == nil || x.Attempts != 3 {
					t.Errorf("%+v: %v", x, heads[i])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return commits
	}
	if a, b := found(since), found(now.Add(time.Hour)); !slices.Equal(a, []uint64{200, 600}) || b != nil {
		t.Errorf("failed since then %v, later %v", a, b)
	}
	if _, err := conn.Exec(ctx, `
		INSERT INTO rowhook.resent (subscription, position, committed_at, finished_at, duration_us, http_status, attempts, status, dropped)
		VALUES ($1, $2, $3, $4, 1, 500, 3, 2, 0)`, dead.Key, bytesOf(event(0, since).Position), since.Add(-2*time.Hour), since.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := found(since); !slices.Equal(got, []uint64{0, 200, 600}) {
		t.Errorf("with what failed when it was sent again: %v", got)
	}
	expire := func(before time.Time) (days, missed int) {
		t.Helper()
		if _, err := s.ExpireKept(ctx, before); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Expire(ctx, before); err != nil {
			t.Fatal(err)
		}
		x, err := s.Get(ctx, adminScope, dead.ID)
		if err != nil {
			t.Fatal(err)
		}
		if x.Disabled != nil && x.Disabled.Missed != nil {
			missed = x.Disabled.Missed.Count
		}
		return value[int](t, conn, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'rowhook.event'::regclass`), missed
	}
	// The retention is shorter than it was failing, and has not passed since it was disabled.
	if days, missed := expire(disabled.Add(-time.Hour)); days == 0 || missed != 0 {
		t.Errorf("%d days are kept, %d are missed", days, missed)
	}
	for range 2 { // counted once
		if days, missed := expire(now.Add(-time.Hour)); days != 0 || missed != 3 {
			t.Errorf("after the retention %d days are kept, %d are missed", days, missed)
		}
	}
	x, err := s.Get(ctx, adminScope, dead.ID)
	if err != nil {
		t.Fatal(err)
	}
	if m, last := x.Disabled.Missed, event(3, since).Position.String(); !m.Until.Equal(since.Add(time.Hour)) || m.Position != last || !x.Disabled.FailedMissed {
		t.Errorf("missed %+v, want up to %s", m, last)
	}
	enabled := change(func(x *subscriptions.Subscription) error { return x.Enable(now) })
	if !enabled.ResendSince.Equal(now) {
		t.Errorf("what is given up is sent again, since %s", enabled.ResendSince)
	}
	for _, want := range []int{1, 0} {
		gaps, err := s.GapsOf(ctx, dead.Key)
		if err != nil || len(gaps) != want {
			t.Fatalf("gaps %+v, %v, want %d", gaps, err, want)
		}
		if want == 1 && (!gaps[0].From.Equal(since) || gaps[0].Missed.Count != 3) {
			t.Errorf("gap %+v", gaps[0])
		}
		todo, err := s.ToResend(ctx, 10)
		if err != nil || len(todo) != want {
			t.Fatalf("to do %v, %v", todo, err)
		}
		if err := s.Resent(ctx, enabled, gaps); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEnabledByHandIsSentNothingAgain says since when what failed is to be sent again.
func TestEnabledByHandIsSentNothingAgain(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		stop func(*subscriptions.Subscription)
		want time.Time
	}{
		"by hand":    {func(x *subscriptions.Subscription) { x.Disable("admin", "", now) }, time.Time{}},
		"by rowhook": {func(x *subscriptions.Subscription) { x.DisableDead(day, subscriptions.LastAnswer{}, now) }, day},
		"no target": {func(x *subscriptions.Subscription) {
			x.TargetURL = ""
			x.DisableDead(day, subscriptions.LastAnswer{}, now)
		}, time.Time{}},
		"a shadow": {func(x *subscriptions.Subscription) {
			x.State = subscriptions.Shadow
			x.DisableDead(day, subscriptions.LastAnswer{}, now)
		}, time.Time{}},
		"not disabled": {func(x *subscriptions.Subscription) {}, time.Time{}},
	} {
		x := &subscriptions.Subscription{State: subscriptions.Active, TargetURL: "https://example.com/"}
		c.stop(x)
		if err := x.Enable(now); err != nil || !x.ResendSince.Equal(c.want) {
			t.Errorf("%s: %v, since %s", name, err, x.ResendSince)
		}
	}
}
