package store

import (
	"context"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
)

// TestANewDayDoesNotWaitForABackup: pg_dump holds a weak lock on every table for as long as it runs, over midnight too.
func TestANewDayDoesNotWaitForABackup(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	write(t, s, delivered(event(1, day), x.Key, 1, false))
	exec(t, conn, `BEGIN`)
	exec(t, conn, `LOCK TABLE event, delivery, attempt IN ACCESS SHARE MODE`)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	next := event(2, day.AddDate(0, 0, 1))
	if err := s.Write(ctx, []sender.Record{delivered(next, x.Key, 2, false)}); err != nil {
		t.Fatalf("the first event of a day: %v", err)
	}
	exec(t, conn, `COMMIT`)
	// The day is as good as any other.
	write(t, open(t, db), delivered(event(3, day.AddDate(0, 0, 1)), x.Key, 3, false))
	if n := value[int](t, conn, `SELECT count(*) FROM event_20261123`); n != 2 {
		t.Errorf("%d events on the day", n)
	}
	if _, err := s.Expire(t.Context(), day.AddDate(0, 0, 3)); err != nil {
		t.Error(err)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM event`); n != 0 {
		t.Errorf("%d events are left", n)
	}
}
