package sender_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// pair names a delivery.
type pair struct {
	subscription int64
	position     cdc.Position
}

// finished is what a store says of a delivery that has ended.
type finished struct {
	status   sender.Status
	attempts int
}

// memory keeps what a store keeps, for several processes: each has a memoryStore.
type memory struct {
	mu       sync.Mutex
	owner    *memoryStore
	events   map[cdc.Position]*mapping.Event
	due      []*dueRow
	finished map[pair]finished
	resends  map[pair][]finished
	letters  map[cdc.Position]bool
	failing  map[int64]sender.Trouble
	tells    []told
	paused   map[int64]sender.Paused
}

type dueRow struct {
	pair
	key      int64
	at       time.Time
	never    bool
	attempts int
	reason   string
	replay   bool
	before   int
	fallback *sender.Fallback
}

func newMemory() *memory {
	return &memory{events: map[cdc.Position]*mapping.Event{}, finished: map[pair]finished{}, resends: map[pair][]finished{}, letters: map[cdc.Position]bool{}, failing: map[int64]sender.Trouble{}, paused: map[int64]sender.Paused{}}
}

// memoryStore is a sender.Store in memory that keeps its promises.
type memoryStore struct{ *memory }

// told is what others were to be told of a target, and of what time.
type told struct {
	subscription int64
	what         sender.Tell
	since        int64
}

func (m *memory) open() *memoryStore { return &memoryStore{m} }

// own makes the store's process the one that may write.
func (s *memoryStore) own() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner = s
}

func (s *memoryStore) Write(_ context.Context, records []sender.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner != nil && s.owner != s {
		return sender.ErrNotOwner
	}
	for i := range records {
		if refusable(&records[i]) {
			return &sender.RefusedError{Reason: "a NUL"}
		}
	}
	now := time.Now()
	for i := range records {
		r := &records[i]
		switch {
		case r.Op == sender.Mark:
			delete(s.failing, r.Subscription)
			since := r.Trouble.Since
			switch {
			case r.Tell == sender.TellRecovered:
				since = r.Trouble.Told
			case !r.Trouble.Since.IsZero() || !r.Trouble.Told.IsZero():
				s.failing[r.Subscription] = *r.Trouble
			}
			if x := (told{r.Subscription, r.Tell, since.UnixMicro()}); r.Tell != sender.TellNothing && !slices.Contains(s.tells, x) {
				s.tells = append(s.tells, x)
			}
		case r.Op == sender.Pause:
			s.paused[r.Subscription] = sender.Paused{Version: r.Version, Until: r.DueAt}
		case r.Op == sender.Bury:
			s.letters[r.DeadLetter.Position] = true
		case r.InsertEvent && s.events[r.Event.Position] == nil:
			ev := *r.Event
			s.events[ev.Position] = &ev
		}
	}
	first := map[[2]int64]bool{}
	for i := range records {
		if r := &records[i]; r.Op == sender.Defer {
			k := [2]int64{r.Subscription, r.Key}
			isFirst := !first[k] && s.head(r.Subscription, r.Key) == nil
			first[k] = true
			p := pair{r.Subscription, r.Event.Position}
			if h := s.head(r.Subscription, r.Key); r.Replay && h != nil && !h.never && h.position.Compare(p.position) > 0 {
				h.never = true
			}
			if s.find(p) == nil {
				s.due = append(s.due, &dueRow{pair: p, key: r.Key, at: r.DueAt, never: !isFirst, attempts: r.Attempts, reason: r.RetryReason,
					replay: r.Replay, before: r.Before, fallback: r.Fallback})
			}
			if h := s.head(r.Subscription, r.Key); r.Replay && h != nil && h.never {
				h.at, h.never = now, false
			}
		}
	}
	for i := range records {
		switch r := &records[i]; r.Op {
		case sender.Finish:
			s.finish(r, r.Event.Position)
		case sender.Fold:
			for _, row := range r.Rows {
				s.finish(r, row.Position)
			}
		}
	}
	gaps := map[[2]int64]time.Duration{}
	for i := range records {
		if r := &records[i]; (r.Op == sender.Finish || r.Op == sender.Fold) && r.Stored {
			k := [2]int64{r.Subscription, r.Key}
			gaps[k] = max(gaps[k], r.Gap)
		}
	}
	for k, gap := range gaps {
		if h := s.head(k[0], k[1]); h != nil && h.never {
			h.at, h.never = now, false
			if ev := s.events[h.position]; ev != nil && gap > 0 {
				if h.at = ev.Time.Add(gap); h.at.Before(now) {
					h.at = now
				} else if h.at.After(now.Add(gap)) {
					h.at = now.Add(gap)
				}
			}
		}
	}
	for i := range records {
		r := &records[i]
		if r.Op != sender.Reschedule {
			continue
		}
		at := r.Event.Position
		if r.Row != nil {
			at = r.Row.Position
		}
		if d := s.find(pair{r.Subscription, at}); d != nil {
			d.at, d.never, d.attempts, d.reason = r.DueAt, r.Behind || s.head(r.Subscription, r.Key) != d, r.Attempts, r.RetryReason
			d.fallback = r.Fallback
		}
	}
	return nil
}

// finish ends a delivery.
func (s *memoryStore) finish(r *sender.Record, at cdc.Position) {
	p := pair{r.Subscription, at}
	if _, ok := s.finished[p]; !r.Replay && !ok {
		s.finished[p] = finished{r.Status, r.Attempts}
	}
	if d := s.find(p); r.Replay && d != nil && d.replay {
		s.resends[p] = append(s.resends[p], finished{r.Status, r.Attempts})
	}
	if r.Stored {
		s.due = slices.DeleteFunc(s.due, func(d *dueRow) bool { return d.pair == p })
	}
}

// refusable says whether a record holds what no Postgres takes.
func refusable(r *sender.Record) bool {
	nul := func(s string) bool { return strings.Contains(s, "\x00") }
	return r.Op == sender.Bury && nul(r.DeadLetter.Instance) || r.InsertEvent && nul(r.Event.Instance) ||
		r.Outcome != nil && r.Outcome.Verdict != sender.Delivered && nul(r.Outcome.Detail)
}

func (m *memory) find(p pair) *dueRow {
	for _, d := range m.due {
		if d.pair == p {
			return d
		}
	}
	return nil
}

// head is the oldest row of the key.
func (m *memory) head(subscription, key int64) *dueRow {
	var head *dueRow
	for _, d := range m.due {
		if d.subscription == subscription && d.key == key && (head == nil || d.position.Compare(head.position) < 0) {
			head = d
		}
	}
	return head
}

func (s *memoryStore) Due(_ context.Context, subscription int64, look sender.Look) ([]sender.Due, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []*dueRow
	var next time.Time
	for _, d := range s.due {
		switch {
		case d.subscription != subscription || d.never:
		case d.at.After(look.Now):
			if next.IsZero() || d.at.Before(next) {
				next = d.at
			}
		case !slices.Contains(look.Skip, d.key):
			rows = append(rows, d)
		}
	}
	slices.SortFunc(rows, func(a, b *dueRow) int { return cmp.Or(a.at.Compare(b.at), a.position.Compare(b.position)) })
	if look.PerKey > 1 {
		rows = s.withBehind(rows, look.PerKey)
	}
	if len(rows) >= look.Rows {
		rows, next = rows[:look.Rows], look.Now
	}
	var out []sender.Due
	var bytes int64
	for _, d := range rows {
		ev := s.events[d.position]
		if ev == nil {
			out = append(out, sender.Due{Event: &mapping.Event{Position: d.position}, Key: d.key, Attempts: d.attempts, Lost: true})
			continue
		}
		if bytes > 0 && bytes >= look.Bytes {
			return out, look.Now, nil
		}
		bytes += int64(ev.Size())
		out = append(out, sender.Due{Event: ev, Key: d.key, Attempts: d.attempts, RetryReason: d.reason, Replay: d.replay, Before: d.before, Fallback: d.fallback, At: d.at})
	}
	return out, next, nil
}

// withBehind puts behind each row what waits behind it.
func (s *memoryStore) withBehind(heads []*dueRow, most int) []*dueRow {
	var all []*dueRow
	for _, h := range heads {
		var of []*dueRow
		for _, d := range s.due {
			if d.subscription == h.subscription && d.key == h.key {
				of = append(of, d)
			}
		}
		slices.SortFunc(of, func(a, b *dueRow) int { return a.position.Compare(b.position) })
		all = append(all, of[:min(len(of), most)]...)
	}
	return all
}

func (s *memoryStore) Behind(_ context.Context, subscription int64, keys []int64, after []cdc.Position, look sender.Look) ([]sender.Due, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []*dueRow
	for _, d := range s.due {
		if i := slices.Index(keys, d.key); d.subscription == subscription && i >= 0 && d.position.Compare(after[i]) > 0 {
			rows = append(rows, d)
		}
	}
	slices.SortFunc(rows, func(a, b *dueRow) int { return cmp.Or(cmp.Compare(a.key, b.key), a.position.Compare(b.position)) })
	more := len(rows) >= look.Rows
	rows = rows[:min(len(rows), look.Rows)]
	var out []sender.Due
	var bytes int64
	for _, d := range rows {
		ev := s.events[d.position]
		if ev == nil {
			out = append(out, sender.Due{Event: &mapping.Event{Position: d.position}, Key: d.key, Lost: true})
			continue
		}
		if bytes > 0 && bytes >= look.Bytes {
			return out, true, nil
		}
		bytes += int64(len(ev.Previous))
		small := *ev
		small.Data, small.Context = nil, nil
		out = append(out, sender.Due{Event: &small, Key: d.key, Replay: d.replay})
	}
	return out, more, nil
}

func (s *memoryStore) Whole(_ context.Context, rows []sender.Row, most int64) ([]*mapping.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*mapping.Event
	var bytes int64
	for _, row := range rows {
		ev := s.events[row.Position]
		if ev == nil {
			continue
		}
		if bytes > 0 && bytes >= most {
			break
		}
		bytes += int64(ev.Size())
		out = append(out, ev)
	}
	return out, nil
}

func (s *memoryStore) Backlogs(_ context.Context, maxKeys int) ([]sender.Backlog, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[int64]*sender.Backlog{}
	for _, d := range s.due {
		b := found[d.subscription]
		if b == nil {
			b = &sender.Backlog{Subscription: d.subscription, Keys: map[int64]int{}}
			found[d.subscription] = b
		}
		b.Rows++
		b.Keys[d.key]++
	}
	var out []sender.Backlog
	for _, b := range slices.SortedFunc(maps.Values(found), func(a, b *sender.Backlog) int { return cmp.Compare(len(a.Keys), len(b.Keys)) }) {
		if maxKeys -= len(b.Keys); maxKeys < 0 {
			b.Keys = nil
		}
		out = append(out, *b)
	}
	return out, nil
}

func (s *memoryStore) Failing(context.Context) (map[int64]sender.Trouble, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.failing), nil
}

func (s *memoryStore) Paused(context.Context) (map[int64]sender.Paused, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.paused), nil
}

// recorded says whether the delivery is in the store, finished or due, and hasEvent whether the event is.
func (m *memory) has(subscription int64, ev *mapping.Event) bool {
	return m.recorded(pair{subscription, ev.Position})
}

func (m *memory) recorded(p pair) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.finished[p]
	return ok || m.find(p) != nil
}

// waits says whether the delivery has a due row.
func (m *memory) waits(p pair) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(p) != nil
}

// resent returns how it ended each time that it was sent again.
func (m *memory) resent(p pair) []finished {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.resends[p])
}

func (m *memory) hasEvent(p cdc.Position) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.events[p] != nil
}

func (m *memory) outcome(p pair) (finished, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.finished[p]
	return f, ok
}
