package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestJobs: one of a kind at a time, seen by its account only, done by the owner of the slot, kept for the retention.
func TestJobs(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x, other := subscribe(t, s, "7"), subscribe(t, s, "8")
	create := func(of *subscriptions.Subscription) (*Job, error) {
		j := &Job{Kind: "replay", Subscription: of.Key, SubscriptionID: of.ID, Parameters: json.RawMessage(`{"a": 1}`), RequestedBy: "ops"}
		return j, s.CreateJob(t.Context(), j)
	}
	made := func(of *subscriptions.Subscription) *Job {
		t.Helper()
		j, err := create(of)
		if err != nil || j.ID == "" || j.Key == 0 || j.State != JobQueued || j.CreatedAt.IsZero() {
			t.Fatalf("%+v, %v", j, err)
		}
		return j
	}
	first := made(x)
	if _, err := create(x); !errors.Is(err, ErrJobOpen) {
		t.Errorf("a second one beside it: %v", err)
	}
	of8 := made(other)
	for scope, want := range map[subscriptions.Scope]error{{Admin: true}: nil, {Account: "7"}: nil, {Account: "8"}: ErrNoJob, {}: ErrNoJob} {
		got, err := s.Job(t.Context(), scope, first.ID)
		if !errors.Is(err, want) || err == nil && (got.SubscriptionID != x.ID || string(got.Parameters) != `{"a": 1}` || got.Progress != nil || got.RequestedBy != "ops") {
			t.Errorf("%+v sees %+v, %v", scope, got, err)
		}
	}

	// Only the owner of the slot does them.
	second := open(t, db)
	if err := s.SaveCheckpoint(t.Context(), cdc.Checkpoint{Slot: "slot", Epoch: 1, LSN: 100}); err != nil {
		t.Fatal(err)
	}
	for i, process := range []*Store{s, second} {
		if _, err := process.Own(t.Context(), "slot", []string{"one", "two"}[i]); err != nil {
			t.Fatal(err)
		}
		if all, err := process.OpenJobs(t.Context(), nil, 10, 1); err != nil || len(all) != 2 || all[0].ID != first.ID {
			t.Errorf("the owner sees %v, %v", all, err)
		}
	}
	if all, err := s.OpenJobs(t.Context(), nil, 10, 1); !errors.Is(err, sender.ErrNotOwner) || len(all) != 0 {
		t.Errorf("who was the owner sees %v, %v", all, err)
	}
	if err := s.SaveJob(t.Context(), first); !errors.Is(err, sender.ErrNotOwner) {
		t.Errorf("who was the owner writes: %v", err)
	}
	if all, err := second.OpenJobs(t.Context(), []int64{first.Key}, 10, 1); err != nil || len(all) != 1 || all[0].ID != of8.ID {
		t.Errorf("but for the first one: %v, %v", all, err)
	}

	// What is written of one is there for whoever goes on, until it ends.
	first.State, first.Done, first.Progress = JobRunning, 7, json.RawMessage(`{"read": "x"}`)
	if err := second.SaveJob(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	got, err := s.OpenJob(t.Context(), x.Key, "replay")
	if err != nil || got.State != JobRunning || got.Done != 7 || string(got.Progress) != `{"read": "x"}` || got.StartedAt.IsZero() || !got.FinishedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	first.State = JobDone
	if err := second.SaveJob(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Job(t.Context(), adminScope, first.ID); err != nil || got.State != JobDone || got.FinishedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if err := second.SaveJob(t.Context(), first); !errors.Is(err, ErrJobEnded) {
		t.Errorf("written after its end: %v", err)
	}
	if err := s.CancelJob(t.Context(), first.Key); !errors.Is(err, ErrJobEnded) {
		t.Errorf("cancelled after its end: %v", err)
	}
	if err := s.CancelJob(t.Context(), 1<<40); !errors.Is(err, ErrNoJob) {
		t.Errorf("cancel none: %v", err)
	}
	next := made(x)
	for range 2 {
		if err := s.CancelJob(t.Context(), next.Key); err != nil {
			t.Errorf("cancel: %v", err)
		}
	}
	if open, err := s.JobOpen(t.Context(), next.Key); err != nil || open {
		t.Errorf("the cancelled one is open: %v, %v", open, err)
	}
	page, more, err := s.Jobs(t.Context(), x.Key, "", 1)
	if err != nil || !more || len(page) != 1 || page[0].ID != next.ID {
		t.Errorf("the newest: %v, %v, %v", page, more, err)
	}
	if page, more, err = s.Jobs(t.Context(), x.Key, next.ID, 1); err != nil || more || len(page) != 1 || page[0].ID != first.ID {
		t.Errorf("before it: %v, %v, %v", page, more, err)
	}
	if _, _, err = s.Jobs(t.Context(), other.Key, next.ID, 1); !errors.Is(err, ErrNoJob) {
		t.Errorf("before one of another subscription: %v", err)
	}

	// An account has its share, however many it has asked for.
	for range 3 {
		made(subscribe(t, s, "7"))
	}
	made(x)
	for perAccount, want := range map[int]int{1: 2, 3: 4, 9: 5} {
		if all, err := second.OpenJobs(t.Context(), nil, 9, perAccount); err != nil || len(all) != want {
			t.Errorf("%d of an account: %d, %v", perAccount, len(all), err)
		}
	}
	all, err := second.OpenJobs(t.Context(), nil, 9, 9)
	if err != nil {
		t.Fatal(err)
	}
	if all, err = second.OpenJobs(t.Context(), []int64{all[1].Key, all[2].Key}, 9, 3); err != nil || len(all) != 2 {
		t.Errorf("beside two that are running: %d, %v", len(all), err)
	}
	exec(t, conn, `UPDATE job SET state = 'cancelled', finished_at = now() WHERE finished_at IS NULL AND key <> $1`, of8.Key)

	// Those of a subscription that was deleted end, and are seen by nobody.
	if err := second.Delete(t.Context(), adminScope, other.ID, nil); err != nil {
		t.Fatal(err)
	}
	if all, err := second.OpenJobs(t.Context(), nil, 10, 1); err != nil || len(all) != 0 {
		t.Errorf("of a deleted one: %v, %v", all, err)
	}
	if state := value[string](t, conn, `SELECT state FROM job WHERE key = $1`, of8.Key); state != JobCancelled {
		t.Errorf("it is %s", state)
	}
	if _, err := s.Job(t.Context(), adminScope, of8.ID); !errors.Is(err, ErrNoJob) {
		t.Errorf("it is seen: %v", err)
	}
	if _, err := create(other); !errors.Is(err, subscriptions.ErrNotFound) {
		t.Errorf("made for a deleted one: %v", err)
	}

	exec(t, conn, `UPDATE job SET finished_at = '2026-01-01' WHERE key <> $1`, next.Key)
	if _, err := second.Expire(t.Context(), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM job`); n != 1 {
		t.Errorf("%d are kept", n)
	}
}

// TestPlaces: from a time to where its events begin, and what is the oldest one.
func TestPlaces(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	if p, at, err := s.Oldest(t.Context()); err != nil || !p.IsZero() || !at.IsZero() {
		t.Errorf("of nothing: %s %s, %v", p, at, err)
	}
	x := subscribe(t, s, "")
	var records []sender.Record
	for i := range 40 {
		records = append(records, delivered(event(i+1, day.Add(time.Duration(i)*time.Hour)), x.Key, 1, false))
	}
	write(t, s, records...)
	first := records[0].Event
	if p, at, err := s.Oldest(t.Context()); err != nil || p != first.Position || !at.Equal(first.Time) {
		t.Errorf("the oldest is %s of %s, %v", p, at, err)
	}
	for i, r := range records {
		for _, before := range []time.Duration{0, time.Minute} {
			p, err := s.PlaceOf(t.Context(), r.Event.Time.Add(-before))
			if err != nil || p.Compare(r.Event.Position) > 0 || i > 0 && p.Compare(records[i-1].Event.Position) <= 0 {
				t.Errorf("%d, %s before: %s, %v", i, before, p, err)
			}
		}
	}
	p, err := s.PlaceOf(t.Context(), day.AddDate(0, 0, 9))
	if err != nil || p.Compare(records[39].Event.Position) <= 0 {
		t.Errorf("after all of them: %s, %v", p, err)
	}
}

// TestEndedJobsAreBounded: who asks for job after job fills no disk.
func TestEndedJobsAreBounded(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x, other := subscribe(t, s, "7"), subscribe(t, s, "8")
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, of := range []*subscriptions.Subscription{x, other} {
		exec(`INSERT INTO rowhook.job (id, kind, subscription, parameters, state, finished_at)
			SELECT format('job_%s_%s', $1::bigint, n), 'replay', $1, '{}', 'done', now() FROM generate_series(1, $2::int) n`, of.Key, 2*keptJobs)
	}
	j := &Job{Kind: "replay", Subscription: x.Key, Parameters: json.RawMessage(`{}`)}
	if err := s.CreateJob(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	count := func(of *subscriptions.Subscription) (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM rowhook.job WHERE subscription = $1`, of.Key).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if a, b := count(x), count(other); a != keptJobs+1 || b != 2*keptJobs {
		t.Errorf("%d are kept with the new one, and %d of another subscription", a, b)
	}
	all, _, err := s.Jobs(t.Context(), x.Key, "", 2)
	if err != nil || len(all) != 2 || all[0].ID != j.ID || all[1].ID != fmt.Sprintf("job_%d_%d", x.Key, 2*keptJobs) {
		t.Errorf("the newest are %v, %v", all, err)
	}
}
