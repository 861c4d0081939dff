package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestFilterErrors are added up until the filter is another one, and make no new version.
func TestFilterErrors(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, pgtest.Database(t))
	x, other := subscribe(t, s, "1"), subscribe(t, s, "1")
	set := func(filter string) *subscriptions.Subscription {
		t.Helper()
		got, err := s.Update(ctx, adminScope, x.ID, func(x *subscriptions.Subscription) error { x.Filter = filter; return nil })
		if err != nil || got.Filter != filter {
			t.Fatalf("%q: %v, %v", filter, got, err)
		}
		return got
	}
	was := set("data.a == 1")
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	failed := func(filter string, count int64) {
		t.Helper()
		if err := s.NoteFilterErrors(ctx, []*FilterFailure{
			{Key: x.Key, Filter: filter, Message: "no", EventID: "evt_1", EventType: "deal.won", At: at, Count: count},
			{Key: other.Key, Filter: filter, Message: "no", At: at, Count: count},
		}); err != nil {
			t.Fatal(err)
		}
	}
	get := func() *subscriptions.Subscription {
		t.Helper()
		got, err := s.Get(ctx, adminScope, x.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	failed("data.a == 1", 2)
	failed("data.a == 1", 3)
	failed("data.a == 2", 100)
	got := get()
	if e := got.FilterError; e == nil || e.Count != 5 || e.Message != "no" || e.EventID != "evt_1" || e.EventType != "deal.won" || !e.At.Equal(at) {
		t.Errorf("got %+v", e)
	}
	if got.Version != was.Version || !got.UpdatedAt.Equal(was.UpdatedAt) {
		t.Errorf("version %d, was %d", got.Version, was.Version)
	}
	if got, err := s.Get(ctx, adminScope, other.ID); err != nil || got.FilterError != nil {
		t.Errorf("one without a filter: %+v, %v", got.FilterError, err)
	}
	if got := set("data.a == 1"); got.FilterError == nil || get().FilterError == nil {
		t.Error("a change that leaves the filter clears what it failed on")
	}
	if set("data.a == 2"); get().FilterError != nil {
		t.Error("another filter has what the one before failed on")
	}
	var held string
	if err := s.Each(ctx, func(y *subscriptions.Subscription) { held += y.Filter }); err != nil || !strings.HasSuffix(held, "data.a == 2") {
		t.Errorf("Each tells %q, %v", held, err)
	}
	if err := s.Delete(ctx, adminScope, x.ID, nil); err != nil {
		t.Fatal(err)
	}
	var left bool
	if err := s.pool.QueryRow(ctx, `SELECT filter IS NOT NULL OR filter_error IS NOT NULL FROM subscription WHERE key = $1`, x.Key).Scan(&left); err != nil || left {
		t.Errorf("of a deleted one the filter is left: %v, %v", left, err)
	}
}
