package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// feedModel is what a feed is to show: deliveries of one subscription by their positions.
type feedModel struct {
	events  []*mapping.Event
	pending map[cdc.Position]bool
	missed  map[cdc.Position]bool
}

// lives through the ends of deliveries in a random order: some are retried for a while, some fail, some wait. Each write
// holds what ended at the time, of commits up to a minute apart, as the dispatcher's do.
func liveFeed(t *testing.T, s *Store, r *rand.Rand, subscription int64, n int, from time.Time) *feedModel {
	t.Helper()
	m := &feedModel{pending: map[cdc.Position]bool{}, missed: map[cdc.Position]bool{}}
	var late []*mapping.Event
	var batch []sender.Record
	flush := func() {
		// Two writes, so that an outcome row of those that are late stands beside one of those that are not.
		slices.SortFunc(batch, func(a, b sender.Record) int { return int(a.Subscription - b.Subscription) })
		write(t, s, batch...)
		batch = nil
	}
	finish := func(ev *mapping.Event, stored bool) {
		rec := delivered(ev, subscription, int64(r.IntN(5)), stored)
		switch r.IntN(6) {
		case 0:
			rec.Status, m.missed[ev.Position] = sender.StatusFailed, true
			rec.Outcome = &sender.Outcome{Verdict: sender.Retry, Reason: "timeout", Started: ev.Time}
		case 1:
			rec.Status, rec.Dropped, rec.Outcome = sender.StatusDropped, sender.DropShadow, nil
			m.missed[ev.Position] = true
		case 2:
			rec.Status, rec.Outcome = sender.StatusDropped, nil // the target wanted no more attempts
		case 3:
			m.missed[ev.Position] = true
			rec.Outcome = &sender.Outcome{Verdict: sender.Delivered, Fallback: true, Status: 200}
		}
		batch = append(batch, rec)
	}
	for i := 1; i <= n; i++ {
		ev := event(i, from.Add(time.Duration(i)*60*time.Millisecond))
		ev.Type = []string{"contact.update", "contact.create", "deal.update"}[i%3]
		ev.Resource = ev.Type[:len(ev.Type)-len(".update")]
		ev.Instance = fmt.Sprint(i % 7)
		if ev.Type == "contact.create" {
			ev.Audience, ev.Account, ev.Accounted = mapping.ToAccount, "7", true
		}
		m.events = append(m.events, ev)
		switch r.IntN(8) {
		case 0:
			batch = append(batch, deferred(ev, subscription, int64(i), from))
			if r.IntN(2) == 0 {
				late = append(late, ev)
			}
			m.pending[ev.Position], m.missed[ev.Position] = true, true
		default:
			finish(ev, false)
		}
		// Somebody else's stand between them.
		batch = append(batch, delivered(event(1_000_000+i, ev.Time), subscription+1, 1, false))
		if r.IntN(10) == 0 || i == n {
			flush()
			for len(late) > 0 && r.IntN(3) > 0 {
				ev := late[0]
				late = late[1:]
				delete(m.pending, ev.Position)
				delete(m.missed, ev.Position)
				finish(ev, true)
				batch[len(batch)-1].Key = int64(slices.IndexFunc(m.events, func(e *mapping.Event) bool { return e == ev }) + 1)
				if r.IntN(2) == 0 {
					flush()
				}
			}
		}
	}
	if len(batch) > 0 {
		flush()
	}
	return m
}

// wanted are the ids that a query is to find, in its order.
func (m *feedModel) wanted(q FeedQuery) (ids []string) {
	for _, ev := range m.events {
		sel := q.Select
		switch {
		case ev.Position.Compare(q.Settled) > 0,
			!q.Descending && ev.Position.Compare(q.From) <= 0,
			q.Descending && !q.From.IsZero() && ev.Position.Compare(q.From) >= 0,
			q.Missed && !m.missed[ev.Position],
			len(sel.Types)+len(sel.Resources) > 0 && !slices.Contains(sel.Types, ev.Type) && !slices.Contains(sel.Resources, ev.Resource),
			sel.Instance != "" && ev.Instance != sel.Instance,
			!sel.Since.IsZero() && ev.Time.Before(sel.Since):
			continue
		}
		ids = append(ids, ev.ID)
	}
	if q.Descending {
		slices.Reverse(ids)
	}
	return ids
}

func feedSeed(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	if text := os.Getenv("ROWHOOK_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("ROWHOOK_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// TestFeedShowsEachDeliveryInItsPlace reads feeds of deliveries that ended in any order, with pages of any size, in both
// directions, up to any watermark: all that is wanted, nothing twice, in the order of the positions.
func TestFeedShowsEachDeliveryInItsPlace(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	r := feedSeed(t)
	// Over midnight: of two partitions.
	key := subscribe(t, s, "").Key
	m := liveFeed(t, s, r, key, 900, day.Add(24*time.Hour-30*time.Second))
	newest := m.events[len(m.events)-1].Position
	for i := range 40 {
		q := FeedQuery{Subscription: key, Limit: []int{1, 7, 50, 300, 1000}[r.IntN(5)], Bytes: []int64{1 << 20, 30}[r.IntN(2)], Settled: newest,
			Descending: i%2 == 0, Missed: r.IntN(3) == 0}
		if r.IntN(2) == 0 {
			q.Settled = m.events[r.IntN(len(m.events))].Position
		}
		if r.IntN(2) == 0 {
			q.From = m.events[r.IntN(len(m.events))].Position
		}
		switch r.IntN(4) {
		case 0:
			q.Select.Types = []string{"contact.create"}
		case 1:
			q.Select.Resources, q.Select.Instance = []string{"contact"}, "3"
		}
		if q.Limit == 1 || q.Bytes == 30 {
			// As many reads as events: the end of the feed will do.
			if q.From = m.events[len(m.events)-60].Position; q.Descending {
				q.From = m.events[60].Position
			}
		}
		want := m.wanted(q)
		got, pages := readFeed(t, s, q)
		if !slices.Equal(got, want) {
			t.Fatalf("%+v in %d pages: %d, want %d: %s", q, pages, len(got), len(want), firstDifference(got, want))
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("at %d: got %s, want %s", i, got[i], want[i])
		}
	}
	return fmt.Sprintf("the first %d are the same", min(len(got), len(want)))
}

// readFeed reads all pages.
func readFeed(t *testing.T, s *Store, q FeedQuery) (ids []string, pages int) {
	t.Helper()
	for {
		pages++
		p, err := s.Feed(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range p.Events {
			ids = append(ids, ev.ID)
			if ev.Type == "contact.create" != (ev.Audience == mapping.ToAccount && ev.Account == "7") {
				t.Errorf("%s is for %s %q", ev.ID, ev.Audience, ev.Account)
			}
		}
		if len(p.Events) > q.Limit {
			t.Fatalf("a page of %d, and at most %d are wanted", len(p.Events), q.Limit)
		}
		if !p.More {
			return ids, pages
		}
		q.From = p.Next
	}
}

// TestFeedOfAReaderThatGoesAlong: a reader with a cursor, who asks again and again while deliveries end late, sees each once, in
// order, as long as it is shown nothing that is not settled.
func TestFeedOfAReaderThatGoesAlong(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	r := feedSeed(t)
	var got, want []string
	var cursor cdc.Position
	var unsettled []*mapping.Event
	for n := 1; n <= 400; {
		for range 1 + r.IntN(20) {
			ev := event(n, day.Add(time.Duration(n)*time.Second))
			unsettled, want = append(unsettled, ev), append(want, ev.ID)
			n++
		}
		// What is settled is durable, in whatever order it became so.
		k := r.IntN(len(unsettled) + 1)
		r.Shuffle(k, func(i, j int) { unsettled[i], unsettled[j] = unsettled[j], unsettled[i] })
		for _, ev := range unsettled[:k] {
			write(t, s, delivered(ev, 5, 1, false))
		}
		unsettled = unsettled[k:]
		settled := cdc.Position{Epoch: 1, Commit: cdc.LSN(n) * 200}.Before()
		if len(unsettled) > 0 {
			first := slices.MinFunc(unsettled, func(a, b *mapping.Event) int { return a.Position.Compare(b.Position) })
			settled = cdc.Position{Epoch: 1, Commit: first.Position.Commit}.Before()
		}
		p, err := s.Feed(context.Background(), FeedQuery{Subscription: 5, From: cursor, Settled: settled, Limit: 1 + r.IntN(30), Bytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range p.Events {
			got = append(got, ev.ID)
		}
		cursor = p.Next
	}
	for _, ev := range unsettled {
		write(t, s, delivered(ev, 5, 1, false))
	}
	rest, _ := readFeed(t, s, FeedQuery{Subscription: 5, From: cursor, Settled: cdc.Position{Epoch: 2}, Limit: 100, Bytes: 1 << 20})
	if got = append(got, rest...); !slices.Equal(got, want) {
		t.Errorf("got %d, want %d: %s", len(got), len(want), firstDifference(got, want))
	}
}

// TestDroppedPositions: what was dropped is known afterwards, as far as it went.
func TestDroppedPositions(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	if p, err := s.Dropped(context.Background()); err != nil || !p.IsZero() {
		t.Fatal(p, err)
	}
	old, kept := event(7, day), event(8, day.Add(48*time.Hour))
	write(t, s, delivered(event(6, day), 5, 1, false), delivered(old, 5, 1, false))
	write(t, s, delivered(kept, 5, 1, false))
	if _, err := s.Expire(context.Background(), day.Add(30*time.Hour)); err != nil {
		t.Fatal(err)
	}
	p, err := s.Dropped(context.Background())
	if err != nil || p != old.Position {
		t.Errorf("dropped up to %v (%v), want %v", p, err, old.Position)
	}
	first, at, err := s.Oldest(context.Background())
	if err != nil || first != kept.Position || !at.Equal(kept.Time) {
		t.Errorf("the oldest is %v %v (%v)", first, at, err)
	}
}

func TestPositionBefore(t *testing.T) {
	t.Parallel()
	for p, want := range map[cdc.Position]cdc.Position{
		{}: {},
		{Epoch: 1, Commit: 2, Ordinal: 3, Sub: 4}: {Epoch: 1, Commit: 2, Ordinal: 3, Sub: 3},
		{Epoch: 1, Commit: 2}:                     {Epoch: 1, Commit: 1, Ordinal: 1<<32 - 1, Sub: 1<<32 - 1},
		{Epoch: 1}:                                {Commit: 1<<64 - 1, Ordinal: 1<<32 - 1, Sub: 1<<32 - 1},
	} {
		if got := p.Before(); got != want {
			t.Errorf("%v: %v, want %v", p, got, want)
		}
	}
}

// TestEventsAreThoseThatACallerMaySee: of what is stored, each account has its own, and the admin all but what is for an account
// alone; by type, instance and time, in both directions.
func TestEventsAreThoseThatACallerMaySee(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	r := feedSeed(t)
	var all []*mapping.Event
	var batch []sender.Record
	for i := 1; i <= 400; i++ {
		ev := event(i, day.Add(20*time.Hour+time.Duration(i)*time.Minute))
		ev.Position.Epoch = uint32(1 + i/300)
		ev.Instance = fmt.Sprint(i % 3)
		if i%5 > 0 {
			ev.Account, ev.Accounted = fmt.Sprint(i%5-2), true // -1 to 2; 0 is a customer like any other
		}
		switch r.IntN(6) {
		case 0:
			if ev.Accounted {
				ev.Audience = mapping.ToAccount
			}
		case 1:
			ev.Audience, ev.Account, ev.Accounted = mapping.ToAdmin, "", false
		case 2:
			ev.Type = "contact.truncate"
		case 3:
			ev.Account = ""
		}
		all = append(all, ev)
		batch = append(batch, delivered(ev, 5, 1, false))
	}
	write(t, s, batch...)
	for range 40 {
		// What is found does not depend on how far a look goes.
		s.eventScan = []int64{1, 7, 50, defaultEventScan}[r.IntN(4)]
		s.instanceTime = []time.Duration{0, time.Hour}[r.IntN(2)]
		q := EventsQuery{Limit: 1 + r.IntN(200), Bytes: 1 << 20, Settled: all[len(all)-1-r.IntN(20)].Position, Descending: r.IntN(2) == 0}
		if r.IntN(3) > 0 {
			account := []string{"1", "2", "-1", "", "9"}[r.IntN(5)]
			q.Account = &account
		}
		if r.IntN(2) == 0 {
			q.Select.Since = all[r.IntN(len(all))].Time
		}
		if r.IntN(2) == 0 {
			q.Select.Until = all[r.IntN(len(all))].Time
		}
		if r.IntN(3) == 0 {
			q.Select.Types = []string{"contact.update", "contact.create"}
		}
		if r.IntN(3) == 0 {
			q.Select.Instance = "2"
		}
		var want []string
		for _, ev := range all {
			mine := ev.Audience != mapping.ToAccount
			if a := q.Account; a != nil {
				mine = ev.Audience != mapping.ToAdmin && ev.Accounted && ev.Account == *a && *a != "" && ev.Type != "contact.truncate"
			}
			switch sel := q.Select; {
			case !mine, ev.Position.Compare(q.Settled) > 0, len(sel.Types) > 0 && !slices.Contains(sel.Types, ev.Type), sel.Instance != "" && ev.Instance != sel.Instance,
				!sel.Since.IsZero() && ev.Time.Before(sel.Since), !sel.Until.IsZero() && ev.Time.After(sel.Until):
				continue
			}
			want = append(want, ev.ID)
		}
		if q.Descending {
			slices.Reverse(want)
		}
		var got []string
		asked := q
		for {
			p, err := s.Events(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range p.Events {
				got = append(got, ev.ID)
			}
			if p.LookedBack.IsZero() == p.More {
				t.Fatalf("%+v: looked back to %v", q, p)
			}
			if n := len(p.Events); q.Descending && p.More && n > 0 && p.LookedBack.After(p.Events[n-1].Time) {
				t.Fatalf("%+v: looked back to %s, and shows one of %s", q, p.LookedBack, p.Events[n-1].Time)
			}
			if q.From = p.Next; !p.More {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: %d, want %d: %s", asked, len(got), len(want), firstDifference(got, want))
		}
	}
}

// TestFeedFindsWhatEndedLate: a delivery that ended together with much later ones stands in a row behind theirs.
func TestFeedFindsWhatEndedLate(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	var want []string
	var late []sender.Record
	for i := 1; i <= 3*feedRows; i++ {
		ev := event(i, day.Add(time.Duration(i)*100*time.Millisecond))
		want = append(want, ev.ID)
		if i%30 == 10 {
			late = append(late, delivered(ev, 5, 1, false))
			continue
		}
		write(t, s, delivered(ev, 5, 1, false))
	}
	write(t, s, late...)
	q := FeedQuery{Subscription: 5, Settled: event(3*feedRows, day).Position, Limit: 7, Bytes: 1 << 20}
	if got, _ := readFeed(t, s, q); !slices.Equal(got, want) {
		t.Errorf("got %d, want %d: %s", len(got), len(want), firstDifference(got, want))
	}
	q.Descending = true
	slices.Reverse(want)
	if got, _ := readFeed(t, s, q); !slices.Equal(got, want) {
		t.Errorf("newest first: got %d, want %d: %s", len(got), len(want), firstDifference(got, want))
	}
}

// TestMissedIsWhatWasNeverDelivered: also when it was sent again.
func TestMissedIsWhatWasNeverDelivered(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x := subscribe(t, s, "")
	failed := &sender.Outcome{Verdict: sender.Retry, Reason: "timeout", Started: day}
	for i := 1; i <= 6; i++ {
		r := delivered(event(i, day.Add(time.Duration(i)*time.Second)), x.Key, int64(i), false)
		if i > 1 {
			r.Status, r.Outcome = sender.StatusFailed, failed
		}
		write(t, s, r)
	}
	// The first had been delivered before, the third is delivered now, the fourth fails again, the fifth waits, and the sixth
	// is taken by the fallback.
	for i, status := range map[int]sender.Status{1: sender.StatusFailed, 3: sender.StatusDelivered, 4: sender.StatusFailed, 5: 0, 6: sender.StatusDelivered} {
		ev := event(i, day.Add(time.Duration(i)*time.Second))
		write(t, s, sender.Record{Op: sender.Defer, Event: ev, Subscription: x.Key, Key: int64(i), DueAt: day, Replay: true, Attempts: 1, Before: 1})
		if r := delivered(ev, x.Key, int64(i), true); status != 0 {
			if r.Replay, r.Status, r.Outcome.Fallback = true, status, i == 6; status == sender.StatusFailed {
				r.Outcome = failed
			}
			write(t, s, r)
		}
	}
	q := FeedQuery{Subscription: x.Key, Settled: event(9, day).Position, Missed: true, Limit: 10, Bytes: 1 << 20}
	want := []string{"evt_2", "evt_4", "evt_5", "evt_6"}
	for range 2 {
		if got, _ := readFeed(t, s, q); !slices.Equal(got, want) {
			t.Errorf("missed, descending %v: %v, want %v", q.Descending, got, want)
		}
		q.Descending = true
		slices.Reverse(want)
	}
}
