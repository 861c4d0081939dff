package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestExpireKept: what waits for a disabled subscription goes when it is older than the retention, counted from when it was disabled;
// the rest begins with its oldest row, and the partitions can be dropped.
func TestExpireKept(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	dead, active, fresh := subscribe(t, s, ""), subscribe(t, s, ""), subscribe(t, s, "")
	old, young := day.Add(-48*time.Hour), day
	disable := func(x *subscriptions.Subscription, at time.Time) {
		t.Helper()
		if _, err := s.Update(t.Context(), subscriptions.Scope{Admin: true}, x.ID, func(x *subscriptions.Subscription) error {
			x.DisableDead(at.Add(-time.Hour), subscriptions.LastAnswer{Reason: "timeout", At: at}, at)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	disable(dead, day.Add(-72*time.Hour))
	disable(fresh, day.Add(time.Hour))
	var records []sender.Record
	for _, x := range []*subscriptions.Subscription{dead, active, fresh} {
		for i := range 6 {
			at := old
			if i >= 4 {
				at = young
			}
			records = append(records, deferred(event(int(x.Key)*100+i, at), x.Key, int64(i%2), at))
		}
	}
	write(t, s, records...)
	removed, err := s.ExpireKept(t.Context(), day.Add(-24*time.Hour))
	if err != nil || fmt.Sprint(removed) != fmt.Sprint(map[int64]int{dead.Key: 4}) {
		t.Errorf("removed %v, %v", removed, err)
	}
	left := func(x *subscriptions.Subscription) int {
		return value[int](t, conn, fmt.Sprintf(`SELECT count(*) FROM due WHERE subscription = %d`, x.Key))
	}
	if left(dead) != 2 || left(active) != 6 || left(fresh) != 6 {
		t.Errorf("left are %d, %d and %d", left(dead), left(active), left(fresh))
	}
	due, _, err := s.Due(t.Context(), dead.Key, sender.Look{Now: time.Now(), Rows: 10, Bytes: 1 << 20})
	if err != nil || len(due) != 2 {
		t.Errorf("%d are due, want the oldest of each key: %v", len(due), err)
	}
	x, err := s.Get(t.Context(), subscriptions.Scope{Admin: true}, dead.ID)
	if err != nil {
		t.Fatal(err)
	}
	if m := x.Disabled.Missed; m == nil || m.Count != 4 || !m.Until.Equal(old) || x.Disabled.LastAnswer == nil {
		t.Errorf("told: %+v %+v", x.Disabled, m)
	}
	if again, err := s.ExpireKept(t.Context(), day.Add(-24*time.Hour)); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
}
