package store

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
)

func TestDeliveryStats(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x, other := subscribe(t, s, ""), subscribe(t, s, "")
	now := day.Add(3 * time.Hour)
	var records []sender.Record
	for i := range 300 {
		// One in 36 seconds, from midnight on: those from 200 on are of the last hour.
		r := delivered(event(i+1, day.Add(time.Duration(i)*36*time.Second)), x.Key, int64(i), false)
		if i%10 == 0 {
			r.Status, r.Outcome.Status, r.Outcome.Verdict = sender.StatusFailed, 500, sender.Retry
		}
		if i%10 == 5 {
			r.Status, r.Outcome, r.Dropped = sender.StatusDropped, nil, sender.DropShadow
		}
		records = append(records, r)
	}
	write(t, s, records...)
	write(t, s, delivered(event(400, now), other.Key, 1, false))
	for i, key := range []int64{7, 7, 8} {
		write(t, s, deferred(event(500+i, now.Add(time.Duration(i)*time.Second)), x.Key, key, now.Add(time.Duration(10-i)*time.Minute)))
	}
	both, err := s.DeliveryStats(t.Context(), []int64{other.Key, x.Key}, now, now.Add(-time.Hour), now.Add(-24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if w := both[0].Windows[0]; w.Delivered != 1 || w.Failed != 0 || both[0].Waiting != 0 {
		t.Errorf("the other one: %+v", both[0])
	}
	got := both[1]
	hour, whole := got.Windows[0], got.Windows[1]
	if hour.Delivered != 80 || hour.Failed != 10 || hour.Dropped != 10 || !hour.Complete || !hour.CountedSince.Equal(now.Add(-time.Hour)) {
		t.Errorf("the last hour: %+v", hour)
	}
	if whole.Delivered != 240 || whole.Failed != 30 || whole.Dropped != 30 || !whole.Complete {
		t.Errorf("the last day: %+v", whole)
	}
	if got.Waiting != 3 || got.Keys != 2 || got.AtLeast || !got.Oldest.Equal(now) || !got.NextAttempt.Equal(now.Add(8*time.Minute)) {
		t.Errorf("what waits: %+v", got)
	}
	if !got.PausedUntil.IsZero() || !got.FailingSince.IsZero() {
		t.Errorf("it is not failing: %+v", got)
	}
	exec(t, conn, `INSERT INTO failing (subscription, since, last_at, last_status, last_reason) VALUES ($1, $2, $2, 503, 'status')`, x.Key, now)
	exec(t, conn, `INSERT INTO paused SELECT key, version, $2 FROM subscription WHERE key = $1`, x.Key, now.Add(time.Minute))
	if both, err = s.DeliveryStats(t.Context(), []int64{x.Key}, now); err != nil {
		t.Fatal(err)
	}
	if got = both[0]; !got.FailingSince.Equal(now) || got.LastStatus != 503 || got.LastReason != "status" || !got.PausedUntil.Equal(now.Add(time.Minute)) {
		t.Errorf("failing and paused: %+v %v", got, err)
	}
	// What is read is bounded, and says so.
	if err := s.looking(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		both, err = deliveryStats(ctx, tx, []int64{x.Key}, now, []time.Time{now.Add(-time.Hour), now.Add(-24 * time.Hour)}, statsBounds{rows: 2, due: 2})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	got = both[0]
	if w := got.Windows[1]; w.Complete || w.Delivered == 0 || w.Delivered >= 240 || !w.CountedSince.After(now.Add(-24*time.Hour)) {
		t.Errorf("bounded: %+v", w)
	}
	if got.Waiting != 2 || !got.AtLeast {
		t.Errorf("bounded: %+v", got)
	}
	// One with nothing.
	if both, err = s.DeliveryStats(t.Context(), []int64{subscribe(t, s, "").Key}, now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got = both[0]; got.Windows[0].Delivered != 0 || !got.Windows[0].Complete || got.Waiting != 0 || !got.Oldest.IsZero() {
		t.Errorf("nothing: %+v %v", got, err)
	}
}
