package store

import (
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
)

// TestWhatIsWrittenBesideARepetitionIsKept: a connection to the source that was lost brings deliveries again that are under
// way, so that one of them may be finished twice. What is finished together with the second time is not lost with it.
func TestWhatIsWrittenBesideARepetitionIsKept(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	// Of one transaction, for two instances; the first one's target is slow, and then says no.
	slow, quick := event(1, day), event(1, day)
	quick.ID, quick.Instance, quick.Position.Ordinal = "evt_2", "2", 2
	failed := delivered(slow, x.Key, 1, false)
	failed.Status = sender.StatusFailed
	write(t, s, delivered(quick, x.Key, 2, false))
	write(t, s, failed, delivered(quick, x.Key, 2, false))
	found, _, err := s.Recorded(t.Context(), []Delivery{{x.Key, slow}, {x.Key, quick}})
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range []Delivery{{x.Key, slow}, {x.Key, quick}} {
		if !found[Pair{x.Key, ev.Event.Position}] {
			t.Errorf("%s is not recorded", ev.Event.Position)
		}
	}
	if n := value[int](t, conn, `SELECT count(*) FROM delivery WHERE status = 2`); n != 1 {
		t.Errorf("%d failed deliveries are shown, want 1", n)
	}
	// The same again, because the answer was lost, adds nothing.
	before := value[int](t, conn, `SELECT count(*) FROM delivery`)
	write(t, s, failed, delivered(quick, x.Key, 2, false))
	if n := value[int](t, conn, `SELECT count(*) FROM delivery`); n != before {
		t.Errorf("%d deliveries after the second time, want %d", n, before)
	}
}

// TestNoTwoRowsHaveTheSameNewest: who reads rows goes on behind the newest of the last one, and would pass over what else there is.
func TestNoTwoRowsHaveTheSameNewest(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	first, other, twice := event(1, day), event(2, day.Add(time.Second)), event(3, day.Add(2*time.Second))
	write(t, s, delivered(first, 5, 1, false), delivered(twice, 5, 1, false))
	// It ends once more, with what was not known to have ended.
	again := delivered(twice, 5, 1, false)
	again.InsertEvent = false
	write(t, s, delivered(other, 5, 1, false), again)
	if n := value[int](t, conn, `SELECT count(*) FROM delivery`); n != 3 {
		t.Errorf("%d deliveries are recorded, want 3", n)
	}
	var got []cdc.Position
	for q := (Span{Subscription: 5, To: lastPosition, Rows: 1}); ; {
		page, err := s.Sent(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page.Sent {
			got = append(got, x.Position)
		}
		if q.Read = page.Read; page.Ends {
			break
		}
	}
	slices.SortFunc(got, cdc.Position.Compare)
	if want := []cdc.Position{first.Position, other.Position, twice.Position}; !slices.Equal(got, want) {
		t.Errorf("read row by row: %v, want %v", got, want)
	}
}
