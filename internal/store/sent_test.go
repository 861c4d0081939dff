package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/retention"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// TestSent: what has become of deliveries, as it ended last, page by page, and nothing of others.
func TestSent(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x, other := subscribe(t, s, "7"), subscribe(t, s, "")
	var events []*mapping.Event
	var records []sender.Record
	for i := range 150 {
		ev := event(i+1, day.AddDate(0, 0, i/100))
		ev.Account, ev.Accounted = "7", i%2 == 0
		events = append(events, ev)
		r := delivered(ev, x.Key, int64(i), false)
		if r.Attempts = i + 1; i%3 == 0 {
			r.Status = sender.StatusFailed
		}
		records = append(records, r)
	}
	slices.Reverse(records[:100]) // they end when they end
	records = append(records, delivered(event(77, day), other.Key, 1, false))
	records[len(records)-1].InsertEvent = false
	write(t, s, records...)

	all := func(from, to cdc.Position, rows int) (got []Sent, looks int) {
		t.Helper()
		q := Span{Subscription: x.Key, From: from, To: to, Rows: rows}
		for {
			page, err := s.Sent(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got, looks = append(got, page.Sent...), looks+1
			if page.Ends {
				return got, looks
			}
			q.Read = page.Read
		}
	}
	for _, rows := range []int{1, 2, 100} {
		got, looks := all(events[10].Position, events[120].Position, rows)
		if rows < 3 && looks < 2 {
			t.Errorf("%d rows at once: %d looks", rows, looks)
		}
		seen := map[cdc.Position]Sent{}
		for _, d := range got {
			seen[d.Position] = d
		}
		if len(got) != 111 || len(seen) != 111 {
			t.Errorf("%d rows at once: %d deliveries, %d different ones, want 111", rows, len(got), len(seen))
		}
		for i := 10; i <= 120; i++ {
			want := sender.StatusDelivered
			if i%3 == 0 {
				want = sender.StatusFailed
			}
			if d := seen[events[i].Position]; d.Status != want || d.Attempts != i+1 {
				t.Errorf("delivery %d: %+v", i+1, d)
			}
		}
	}

	// What was sent again is as it ended last.
	for i, status := range []sender.Status{sender.StatusFailed, sender.StatusDelivered} {
		again := sender.Record{Op: sender.Defer, Event: events[12], Subscription: x.Key, Key: 12, DueAt: day, Replay: true, Attempts: 13 + i, Before: 13 + i}
		end := delivered(events[12], x.Key, 12, true)
		end.Replay, end.Status, end.Attempts = true, status, 14+i
		write(t, s, again)
		write(t, s, end)
	}
	got, _ := all(events[12].Position, events[13].Position, 100)
	if len(got) != 2 || got[0].Status != sender.StatusDelivered || got[0].Attempts != 15 || got[1].Attempts != 14 {
		t.Errorf("sent again: %+v", got)
	}

	heads, err := s.Heads(t.Context(), append(got, Sent{Position: event(999, day).Position, Near: day}))
	if err != nil || len(heads) != 3 || heads[2] != nil {
		t.Fatalf("heads: %v, %v", heads, err)
	}
	for i, want := range events[12:14] {
		h := *heads[i]
		if h.ID != want.ID || h.Type != want.Type || h.Resource != want.Resource || h.Instance != want.Instance || h.Position != want.Position ||
			!h.Time.Equal(want.Time) || h.Accounted != want.Accounted || h.Account != "7" && h.Accounted || h.Data != nil {
			t.Errorf("head %+v", h)
		}
	}

	key, _ := sender.OrderingKeys(events[3])
	write(t, s, sender.Record{Op: sender.Defer, Event: events[3], Subscription: x.Key, Key: key, DueAt: day})
	waiting, err := s.Waiting(t.Context(), []Delivery{{x.Key, events[3]}, {other.Key, events[3]}, {x.Key, events[4]}})
	if err != nil || len(waiting) != 1 || !waiting[Pair{x.Key, events[3].Position}] {
		t.Errorf("waiting: %v, %v", waiting, err)
	}
	if err := s.Delete(t.Context(), adminScope, other.ID, nil); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Gone(t.Context(), []int64{x.Key, other.Key, 99}); err != nil || !slices.Equal(gone, []int64{other.Key, 99}) {
		t.Errorf("gone: %v, %v", gone, err)
	}
}

// TestResentExpires: with the day of its event.
func TestResentExpires(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	ev := event(1, day)
	again := sender.Record{Op: sender.Defer, Event: ev, Subscription: x.Key, Key: 1, DueAt: day, Replay: true, Attempts: 1, Before: 1}
	end := delivered(ev, x.Key, 1, true)
	end.Replay = true
	write(t, s, delivered(ev, x.Key, 1, false))
	write(t, s, again)
	if dropped, err := s.Expire(t.Context(), day.AddDate(0, 0, 2)); err != nil || len(dropped) != 0 {
		t.Errorf("dropped %v while one is to be sent again: %v", dropped, err)
	}
	write(t, s, end)
	if n := value[int](t, conn, `SELECT count(*) FROM resent`); n != 1 {
		t.Errorf("%d rows", n)
	}
	dropped, err := s.Expire(t.Context(), day.AddDate(0, 0, 2))
	if err != nil || !slices.Contains(dropped, fmt.Sprintf("resent_%s", day.Format(retention.Layout))) {
		t.Errorf("dropped %v: %v", dropped, err)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM resent`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// TestSentUntil: a look at a part of what is kept reads the rows that hold some of it, and little more.
func TestSentUntil(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn, r := open(t, db), connect(t, db), feedSeed(t)
	x := subscribe(t, s, "")
	var events []*mapping.Event
	var late []sender.Record
	for i := range 4000 { // 20 minutes, over midnight
		ev := event(i+1, day.Add(23*time.Hour+50*time.Minute+time.Duration(i)*300*time.Millisecond))
		events = append(events, ev)
		if late = append(late, delivered(ev, x.Key, 1, false)); i%50 == 49 || i == 3999 {
			// Some end later, together with what is committed then.
			r.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
			n := len(late)
			if i < 3999 {
				n -= 20
			}
			write(t, s, late[:n]...)
			late = late[n:]
		}
	}
	for _, i := range []int{0, 1, 1000, 1999, 2000, 2001, 3600, 3999} {
		to := events[i].Position
		until, err := s.SentUntil(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		if later := events[i].Time.Add(feedSlack).Before(events[3999].Time); later == until.IsZero() {
			t.Errorf("up to event %d: %s", i, until)
		}
		if until.IsZero() {
			continue
		}
		if n := value[int](t, conn, `SELECT count(*) FROM outcome WHERE oldest <= $1 AND newest > $2`, bytesOf(to), bytesOf(until)); n != 0 {
			t.Errorf("up to event %d: %d rows behind %s hold some", i, n, until)
		}
		if behind := uint64(until.Commit-to.Commit) / 200; behind > uint64(feedSlack/(300*time.Millisecond))+1 {
			t.Errorf("up to event %d: what was committed %d events later is read", i, behind)
		}
		page, err := s.Sent(t.Context(), Span{Subscription: x.Key, To: to, Until: until, Rows: 10_000})
		if err != nil || len(page.Sent) != i+1 || !page.Ends {
			t.Errorf("up to event %d: %d deliveries, %v", i, len(page.Sent), err)
		}
	}
}
