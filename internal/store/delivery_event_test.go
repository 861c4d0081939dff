package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

func TestEventDeliveries(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s := open(t, db)
	mine, others, admins, without, again := subscribe(t, s, "1"), subscribe(t, s, "2"), subscribe(t, s, ""), subscribe(t, s, ""), subscribe(t, s, "1")
	of := func(n int, account string) *mapping.Event {
		ev := event(n, day.Add(time.Duration(n)*time.Second))
		ev.Account, ev.Accounted = account, true
		return ev
	}
	// Event 2 is between two others in a row of outcome of whoever did not get it.
	var records []sender.Record
	for n := 1; n <= 3; n++ {
		ev := of(n, "1")
		ordered, _ := sender.OrderingKeys(ev)
		records = append(records, delivered(ev, mine.Key, ordered, false), delivered(ev, again.Key, ordered, true))
		records[len(records)-1].Stored = false
		if n != 2 {
			r := delivered(ev, without.Key, ordered, false)
			r.InsertEvent = false
			records = append(records, r)
		}
		records[len(records)-1].InsertEvent = false
	}
	write(t, s, records...)
	ordered, _ := sender.OrderingKeys(of(2, "1"))
	waits := deferred(of(2, "1"), admins.Key, ordered, day.Add(time.Hour))
	waits.InsertEvent = false
	write(t, s, waits)
	write(t, s, delivered(of(4, "2"), others.Key, 4, false))
	one, two := "1", "2"
	all := []string{mine.ID + " delivered", admins.ID + " pending", again.ID + " delivered"}
	for name, c := range map[string]struct {
		q    EventDeliveriesQuery
		want []string
		err  error
	}{
		"by position":        {EventDeliveriesQuery{Position: of(2, "1").Position}, all, nil},
		"by id":              {EventDeliveriesQuery{ID: "evt_2"}, all, nil},
		"an account":         {EventDeliveriesQuery{ID: "evt_2", Account: &one}, []string{all[0], all[2]}, nil},
		"another account":    {EventDeliveriesQuery{ID: "evt_2", Account: &two}, nil, ErrNoEvent},
		"by its position":    {EventDeliveriesQuery{Position: of(2, "1").Position, Account: &two}, nil, ErrNoEvent},
		"no event":           {EventDeliveriesQuery{ID: "evt_9"}, nil, ErrNoEvent},
		"no event there":     {EventDeliveriesQuery{Position: of(9, "1").Position}, nil, ErrNoEvent},
		"of another account": {EventDeliveriesQuery{ID: "evt_4"}, []string{others.ID + " delivered"}, nil},
	} {
		for _, limit := range []int{1, 2, 100} {
			var got []string
			for c.q.Limit, c.q.After = limit, 0; ; {
				page, next, err := s.EventDeliveries(t.Context(), c.q)
				if !errors.Is(err, c.err) {
					t.Fatalf("%s: %v", name, err)
				}
				for _, l := range page {
					got = append(got, l.Subscription+" "+l.Status.String())
					if l.Event.ID == "" || l.Event.Instance == "" {
						t.Errorf("%s: %+v", name, l.Event)
					}
				}
				if next == "" {
					break
				}
				for _, sub := range []int64{mine.Key, others.Key, admins.Key, without.Key, again.Key} {
					if id := map[int64]string{mine.Key: mine.ID, others.Key: others.ID, admins.Key: admins.ID, without.Key: without.ID, again.Key: again.ID}[sub]; id == next {
						c.q.After = sub
					}
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %d at a time:\n%q, want\n%q", name, limit, got, c.want)
			}
		}
	}
	// Few subscriptions are asked for a page: it may be empty, and leads on.
	if err := s.looking(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		q := EventDeliveriesQuery{ID: "evt_4", Limit: 10}
		ev, err := findEvent(ctx, tx, q)
		if err != nil {
			return err
		}
		page, next, err := deliveriesOf(ctx, tx, EventDeliveriesQuery{Limit: 10, After: others.Key}, ev, 1, 1)
		if len(page) != 0 || next != admins.ID {
			t.Errorf("bounded: %+v %s", page, next)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestHeld(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x, other := subscribe(t, s, ""), subscribe(t, s, "")
	n := 0
	add := func(sub int64, key int64, due time.Time) {
		n++
		write(t, s, deferred(event(n, day.Add(time.Duration(n)*time.Second)), sub, key, due))
	}
	// Keys 1 to 5, of which 3 and 4 are due at once, and the later ones of 2 wait.
	for key, minutes := range map[int64]int{1: 9, 2: 7, 3: 5, 4: 5, 5: 1} {
		add(x.Key, key, day.Add(time.Duration(minutes)*time.Minute))
	}
	add(x.Key, 2, day.Add(time.Minute))
	add(x.Key, 2, day.Add(time.Minute))
	add(other.Key, 6, day)
	for limit := 1; limit <= 6; limit++ {
		var got []string
		for after := (HeldCursor{}); ; {
			page, next, err := s.ListHeld(t.Context(), x.Key, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range page {
				got = append(got, fmt.Sprintf("%d: %d from %s", h.Key, h.Waiting, h.Oldest.NextAttempt.Format("4")))
				if h.AtLeast || h.Oldest.Event.ID == "" {
					t.Errorf("%+v %+v", h, h.Oldest.Event)
				}
			}
			if next == nil {
				break
			}
			after = *next
		}
		if want := []string{"5: 1 from 1", "3: 1 from 5", "4: 1 from 5", "2: 3 from 7", "1: 1 from 9"}; !slices.Equal(got, want) {
			t.Errorf("%d at a time: %q, want %q", limit, got, want)
		}
	}
}
