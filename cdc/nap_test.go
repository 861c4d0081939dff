package cdc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestNaps shows that the reader rests while it catches up, and loses nothing by it, and never when what comes is live.
func TestNaps(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	s, stop := f.run(rec)
	const live = 2 * napEvery
	late := false
	for n := range live {
		begun := time.Now()
		f.exec(`insert into t values ($1, 'live')`, n)
		rec.wait(t, n+1)
		// A machine that stood still made a backlog of it.
		late = late || time.Since(begun) > behindAfter
	}
	if got := s.napped.Load(); got != 0 && !late {
		t.Errorf("the reader rested %d times while what came was live", got)
	}
	stop()
	const waiting = 20 * napEvery
	f.exec(`create procedure fill(rows int) language plpgsql as $$
		begin for n in 1 .. rows loop insert into t values (1000000 + n, 'waits'); commit; end loop; end$$`)
	f.exec(`call fill($1::int)`, waiting)
	f.exec(`select pg_sleep($1)`, 2*behindAfter.Seconds())
	rec = newRecorder()
	s, _ = f.run(rec)
	// The last live one may come again: its commit had perhaps not been read when the source was stopped.
	got := rec.wait(t, waiting)
	if got = rec.wait(t, waiting+strings.Count(got[0], "live")); got[len(got)-1] != fmt.Sprintf("insert t %d waits", 1000000+waiting) {
		t.Errorf("%d changes came, the last one is %q", len(got), got[len(got)-1])
	}
	// A reader that is slower than the server rests for the first time when it has caught up.
	eventually(t, "the reader rests", func() bool { return s.napped.Load() > 0 })
}

func TestNapsAreForBacklogs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	tx := &Tx{Time: at}
	for _, c := range []struct {
		name     string
		messages int
		sent     time.Duration // after the commit
		due      bool
	}{
		{"live", 10 * napEvery, time.Millisecond, false},
		{"a slow commit", 10 * napEvery, behindAfter, false},
		{"a clock that was set back", 10 * napEvery, -time.Hour, false},
		{"few of a backlog", napEvery - 1, time.Hour, false},
		{"a backlog", napEvery, time.Hour, true},
	} {
		var n naps
		for range c.messages - 1 {
			n.message(at.Add(c.sent), tx)
		}
		n.message(at.Add(c.sent), nil) // the commit
		if n.due() != c.due {
			t.Errorf("%s: a rest is due: %v, want %v", c.name, n.due(), c.due)
		}
	}
	// With the first live transaction after a backlog it ends.
	n := naps{behind: true, since: napEvery}
	n.message(at.Add(time.Millisecond), tx)
	if n.due() {
		t.Error("a rest is due in a live transaction")
	}
}
