package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

func bury(l *mapping.DeadLetter) sender.Record { return sender.Record{Op: sender.Bury, DeadLetter: l} }

func amend(l *DeadLetter, closed, reason string) sender.Record {
	x := l.DeadLetter
	x.Reason = reason
	return sender.Record{Op: sender.Amend, DeadLetter: &x, Closed: closed}
}

// TestDeadLetters: what is kept comes back, in pages and by filter; a replay that is asked for stays so until it has
// ended; what was decided is not decided again; closed ones expire, open ones never.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	text := "a\"b"
	var records []sender.Record
	for n := range 5 {
		l := letter(n + 1)
		l.Resource = []string{"contact", "deal"}[n%2]
		l.Reason = fmt.Sprint("Reason ", n+1)
		l.EventID, l.Type, l.Undecided = fmt.Sprint("evt_", n+1), l.Resource+".update", n == 0
		if l.Key = nil; n == 3 {
			l.Key = []string{}
		}
		if n == 0 {
			l.Key = []string{"id", "x,y"}
		}
		l.Known = map[string]*string{"id": &text, "gone": nil}
		l.Audience, l.Account, l.Context = mapping.Audience(n%3), fmt.Sprint("account ", n), []byte(`{"source":"app"}`)
		records = append(records, bury(l))
	}
	write(t, s, records...)
	write(t, s, records...) // what was read again
	find := func(q DeadLetters) []int {
		t.Helper()
		if q.Limit == 0 {
			q.Limit = 10
		}
		page, _, err := s.ListDeadLetters(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var out []int
		for _, l := range page {
			for n := range 5 {
				if l.Position == letter(n+1).Position {
					out = append(out, n+1)
				}
			}
		}
		return out
	}
	page, more, err := s.ListDeadLetters(t.Context(), DeadLetters{Limit: 2})
	if err != nil || !more || len(page) != 2 || page[0].Position != letter(5).Position {
		t.Fatalf("the first page is %v, more %v: %v", page, more, err)
	}
	if got := find(DeadLetters{Limit: 2, Before: &page[1].Position}); !slices.Equal(got, []int{3, 2}) {
		t.Errorf("the second page is %v", got)
	}
	for _, c := range []struct {
		q    DeadLetters
		want []int
	}{
		{DeadLetters{Resource: "deal"}, []int{4, 2}},
		{DeadLetters{Reason: "reason 3"}, []int{3}},
		{DeadLetters{Reason: "%"}, nil},
		{DeadLetters{Open: true}, []int{5, 4, 3, 2, 1}},
		{DeadLetters{Closed: true}, nil},
		{DeadLetters{Positions: []cdc.Position{letter(2).Position, letter(9).Position}}, []int{2}},
	} {
		if got := find(c.q); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.q, got, c.want)
		}
	}
	one, err := s.DeadLetter(t.Context(), letter(1).Position)
	if err != nil || one.EventID != "evt_1" || one.Type != "contact.update" || !one.Undecided || one.Op != cdc.Update || !one.Time.Equal(day) ||
		!slices.Equal(one.Key, []string{"id", "x,y"}) || len(one.Known) != 2 || *one.Known["id"] != text || one.Known["gone"] != nil || one.Tries != 0 {
		t.Errorf("the first is %+v, %v", one, err)
	}

	two, err := s.DeadLetter(t.Context(), letter(2).Position)
	if err != nil || two.Audience != mapping.ToAccount || two.Account != "account 1" || string(two.Context) != `{"source":"app"}` {
		t.Errorf("the second is %+v, %v", two, err)
	}
	for n, unusable := range map[int]bool{2: false, 4: true} {
		if l, err := s.DeadLetter(t.Context(), letter(n).Position); err != nil || len(l.Key) > 0 || (l.Key != nil) != unusable {
			t.Errorf("%d has the key %#v, %v", n, l.Key, err)
		}
	}

	// Asked for, in the order of the log; twice is once.
	for range 2 {
		if n, err := s.RequestReplay(t.Context(), DeadLetters{Resource: "contact"}); err != nil || n != 3 {
			t.Errorf("%d are asked for: %v", n, err)
		}
	}
	asked, err := s.RequestedLetters(t.Context(), cdc.Position{}, 2)
	if err != nil || len(asked) != 2 || asked[0].Position != letter(1).Position || asked[1].Position != letter(3).Position {
		t.Fatalf("asked for: %v, %v", asked, err)
	}
	if rest, err := s.RequestedLetters(t.Context(), asked[1].Position, 2); err != nil || len(rest) != 1 {
		t.Errorf("behind: %v, %v", rest, err)
	}
	// One fails again, one is discarded while it is replayed, and the record that closed one is written twice.
	if err := s.Discard(t.Context(), letter(5).Position, "ops"); err != nil {
		t.Fatal(err)
	}
	five, _ := s.DeadLetter(t.Context(), letter(5).Position)
	for range 2 {
		write(t, s, amend(asked[0], "", "still"), amend(asked[1], Replayed, ""), amend(five, Replayed, ""))
	}
	for n, want := range map[int]string{1: "still 1 ", 3: "Reason 3 1 replayed", 5: "Reason 5 0 discarded"} {
		l, err := s.DeadLetter(t.Context(), letter(n).Position)
		if err != nil || fmt.Sprint(l.Reason, " ", l.Tries, " ", l.ClosedReason) != want || !l.RequestedAt.IsZero() || l.ClosedAt.IsZero() != (n == 1) {
			t.Errorf("%d is %+v, want %q: %v", n, l, want, err)
		}
	}
	if five, _ = s.DeadLetter(t.Context(), letter(5).Position); five.ClosedBy != "ops" || five.Known != nil {
		t.Errorf("the discarded one is %+v", five)
	}
	if err := s.Discard(t.Context(), letter(5).Position, "ops"); !errors.Is(err, ErrClosed) {
		t.Errorf("discarded twice: %v", err)
	}
	if err := s.Discard(t.Context(), letter(9).Position, "ops"); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("discarded what is not there: %v", err)
	}
	// An event that was made and that the store refuses is open again, before its closing can be written; another one is not
	// touched.
	if n, err := s.RequestReplay(t.Context(), DeadLetters{Resource: "deal"}); err != nil || n != 2 {
		t.Fatalf("%d are asked for: %v", n, err)
	}
	two, _ = s.DeadLetter(t.Context(), letter(2).Position)
	refused := *letter(2)
	refused.Resource, refused.Reason, refused.Refused = "deal", "refused", true
	write(t, s, bury(&refused), amend(two, Replayed, ""))
	if two, _ = s.DeadLetter(t.Context(), letter(2).Position); !two.ClosedAt.IsZero() || two.Reason != "refused" || two.Tries != 1 {
		t.Errorf("refused: %+v", two)
	}
	if counts, err := s.CountDeadLetters(t.Context(), DeadLetters{Open: true}); err != nil || counts["contact"] != 1 || counts["deal"] != 2 {
		t.Errorf("open are %v, %v", counts, err)
	}
	for _, c := range []struct {
		before time.Time
		left   []int
	}{{time.Now().Add(-time.Hour), []int{5, 4, 3, 2, 1}}, {time.Now().Add(time.Hour), []int{4, 2, 1}}} {
		if _, err := s.Expire(t.Context(), c.before); err != nil {
			t.Fatal(err)
		}
		if got := find(DeadLetters{}); !slices.Equal(got, c.left) {
			t.Errorf("what closed before %s has expired: %v are left, want %v", c.before, got, c.left)
		}
	}
}

// TestOvertaken: a later event counts for those subscriptions that it went to, and is on its way to.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	sent, due, other := subscribe(t, s, ""), subscribe(t, s, ""), subscribe(t, s, "")
	later, earlier, elsewhere := event(5, day), event(1, day), event(6, day)
	later.Instance, earlier.Instance, elsewhere.Instance = "x", "x", "y"
	write(t, s, delivered(later, sent.Key, 1, false), delivered(earlier, other.Key, 1, false), delivered(elsewhere, other.Key, 1, false))
	waits := sender.Record{Op: sender.Defer, Event: later, Subscription: due.Key, DueAt: day.Add(time.Hour)}
	waits.Key, _ = sender.OrderingKeys(later)
	write(t, s, waits)
	late := event(3, day)
	late.Instance = "x"
	got, err := s.Overtaken(t.Context(), []Delivery{{sent.Key, late}, {due.Key, late}, {other.Key, late}})
	if err != nil || len(got) != 2 || !got[Pair{sent.Key, late.Position}] || !got[Pair{due.Key, late.Position}] {
		t.Errorf("overtaken are %v, %v", got, err)
	}
}
