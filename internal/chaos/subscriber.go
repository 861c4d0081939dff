//go:build unix

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// subscriber keeps a copy of the items that it may see, by the rule that is documented: what has a smaller position than what it holds
// is left out. It accuses a sender that breaks a promise.
type subscriber struct {
	name, id string
	// account is whose items it gets, empty for all; kind is what its filter asks for, empty for none.
	account, kind string
	// batch, debounce, unordered and feed are how it gets them. fails says that its schedule is short, so that an outage loses events;
	// owned that its owner disables it; abandoned that rowhook does.
	batch, debounce, unordered, feed, fails, owned, abandoned bool
	// missing says that the owner has disabled it: it has to be told of all again. off that it is disabled now.
	missing, off bool
	// from, where it is not empty, is where the backfill began that tells of all.
	from string
	// life is which of rowhook's it is.
	life func() int

	mu sync.Mutex
	// mood is how it answers until a moment.
	mood  hooktest.Answer
	until time.Time

	copies map[int64]*itemCopy
	// arrived are the events that came, by position, those by touch by id: after a crash they can have another position. newest is the greatest position of an instance that came without being marked as a
	// replay, and cursor that of a feed.
	arrived map[string]*arrivedEvent
	newest  map[int64]string
	cursor  string
	got     counts
	wrong   []string
	wrongs  int
}

// counts are how much has come.
type counts struct{ events, again, replayed, backfilled int }

// itemCopy is what a subscriber holds; gone is that it was deleted.
type itemCopy struct {
	position string
	gone     bool
	item
}

// arrivedEvent is an event that came.
type arrivedEvent struct {
	id, kind string
	key      int64
	version  int64
	// touch says that another row has changed: it tells of the row as it is when it is read, which may be newer than its place.
	touch bool
	// position is the first that it had.
	position string
	// taken is in which life of rowhook it was taken last, 0 if it was not; retried is the highest number of an attempt in that life before
	// which rowhook, by its own word, has not seen an answer: the one before can be read after it.
	taken, retried int
}

// told is an event as it is sent.
type told struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Position string   `json:"position"`
	Backfill bool     `json:"backfill"`
	Partial  []string `json:"partial"`
	Data     item     `json:"data"`
}

// begin lets it hold nothing.
func (s *subscriber) begin() {
	s.copies, s.arrived, s.newest = map[int64]*itemCopy{}, map[string]*arrivedEvent{}, map[int64]string{}
}

func (s *subscriber) accuse(format string, args ...any) {
	if s.wrongs++; s.wrongs <= wrongsShown {
		s.wrong = append(s.wrong, s.name+": "+fmt.Sprintf(format, args...))
	}
}

// down lets it answer so for a while.
func (s *subscriber) down(a hooktest.Answer, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood, s.until = a, until
}

// answer is the receiver's script for its path.
func (s *subscriber) answer(q hooktest.Request) hooktest.Answer {
	if q.BodyErr != nil {
		return hooktest.Reset() // rowhook was killed while it sent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := hooktest.OK()
	if time.Now().Before(s.until) {
		a = s.mood
	}
	events, err := s.read(&q)
	if err != nil {
		s.accuse("%s: %v: %s", q, err, q.Body)
		return a
	}
	for i := range events {
		s.take(&events[i], q.Header.Get("Webhook-Replay") == "1", taken(a), &q)
	}
	return a
}

func (s *subscriber) read(q *hooktest.Request) (events []told, err error) {
	if !s.batch {
		var one told
		if err := json.Unmarshal(q.Body, &one); err != nil {
			return nil, err
		}
		if one.Backfill != (q.Header.Get("Webhook-Backfill") == "1") {
			err = errors.New("header and body differ on whether it is of a backfill")
		}
		one.ID = q.ID
		return []told{one}, err
	}
	if err := json.Unmarshal(q.Body, &events); err != nil {
		return nil, err
	}
	return events, nil
}

// take notes an event that came, whether it is marked as a replay, and, if the request is taken, applies it.
func (s *subscriber) take(m *told, replay, taken bool, q *hooktest.Request) {
	key := m.Data.ID
	operation := map[string]int64{"item.create": insert, "item.update": update, "item.delete": remove}[m.Type]
	if m.Type == "rowhook.gap" {
		s.accuse("it is told of a gap")
		return
	}
	if operation == 0 || m.ID == "" || key == 0 || len(m.Position) != 40 {
		s.accuse("nobody asked for %+v", *m)
		return
	}
	if operation != remove && s.account != "" && strconv.Itoa(m.Data.Account) != s.account {
		s.accuse("it gets %s %d, %s", m.Type, key, &m.Data)
	}
	if s.kind != "" && m.Data.Kind != s.kind {
		s.accuse("it gets %s %d of kind %s", m.Type, key, m.Data.Kind)
	}
	sub, err := strconv.ParseUint(m.Position[32:], 16, 32)
	if err != nil {
		s.accuse("position %s: %v", m.Position, err)
		return
	}
	touch := sub >= 1<<31 && !m.Backfill
	name := m.Position
	if touch {
		name = m.ID
	}
	e := s.arrived[name]
	version := 2 * m.Data.Seq
	if operation == remove {
		version++ // the row is what it was before
	}
	if e == nil {
		e = &arrivedEvent{id: m.ID, kind: m.Type, key: key, version: version, touch: touch, position: m.Position}
		s.arrived[name] = e
		s.got.events++
		if m.Backfill {
			s.got.backfilled++
		}
		if !replay && !s.unordered {
			// By touch an instance may be told of late: after a crash what is touched is looked for again, as it is by then.
			if m.Position < s.newest[key] && !touch {
				s.accuse("%s of %d at %s came first after %s", m.Type, key, m.Position, s.newest[key])
			}
			s.newest[key] = max(s.newest[key], m.Position)
		}
	} else {
		// What was gathered may be an update, and be sent again as what it was.
		if e.id != m.ID || e.kind != m.Type && !s.debounce || e.key != key || !e.touch && e.version != version {
			s.accuse("at %s are two events: %+v, and %s %s of %d, number %d", m.Position, *e, m.ID, m.Type, key, m.Data.Seq)
		}
		s.got.again++
		if replay {
			s.got.replayed++
		}
		if e.taken == s.life() && !replay && !s.batch && !s.feed && q != nil && q.RetryReason == "" && q.Attempt >= e.retried {
			s.accuse("%s of %d at %s came again in the same life of rowhook, and is not marked as a replay: %s", m.Type, key, m.Position, q)
		}
	}
	if e.touch {
		e.version = max(e.version, version)
	}
	if !taken {
		return
	}
	if life := s.life(); e.taken != life {
		e.taken, e.retried = life, 0
	}
	if q != nil && unanswered(q.RetryReason) {
		e.retried = max(e.retried, q.Attempt)
	}
	have := s.copies[key]
	if have == nil {
		have = &itemCopy{}
		s.copies[key] = have
	}
	if m.Position <= have.position {
		return
	}
	if slices.Contains(m.Partial, "group") {
		m.Data.Group = have.Group
	}
	have.position, have.gone, have.item = m.Position, operation == remove, m.Data
}

// follow takes a page of a feed.
func (s *subscriber) follow(events []json.RawMessage, cursor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.hears(events, false) {
		if m.Position <= s.cursor {
			s.accuse("%+v stands in the feed behind the cursor %s", m, s.cursor)
		}
	}
	if cursor < s.cursor {
		s.accuse("the cursor goes back from %s to %s", s.cursor, cursor)
	}
	s.cursor = cursor
}

// hears takes events of a feed, which a target did not take or are read there alone. It is called with the mutex held.
func (s *subscriber) hears(events []json.RawMessage, missed bool) (all []told) {
	for _, text := range events {
		var m told
		if err := json.Unmarshal(text, &m); err != nil {
			s.accuse("%v: %s", err, text)
			continue
		}
		s.take(&m, missed, true, nil)
		all = append(all, m)
	}
	return all
}

// sweep leaves out what a backfill that began at a position did not tell of: it was deleted while nobody told of it.
func (s *subscriber) sweep(from string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.copies {
		if c.position <= from {
			c.gone = true
		}
	}
}

// compare accuses where the copy is not what the table has, and where something older came behind something newer.
func (s *subscriber) compare(table map[int64]*item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, want := range table {
		switch have := s.copies[key]; {
		case have == nil:
			s.accuse("it does not have %d, %s", key, want)
		case have.gone:
			s.accuse("%d is deleted at %s, and the table has %s", key, have.position, want)
		case have.Seq != want.Seq || have.Account != want.Account || have.Kind != want.Kind || have.Group == nil || *have.Group != *want.Group:
			s.accuse("%d is %s at %s, and the table has %s", key, &have.item, have.position, want)
		}
	}
	for key, have := range s.copies {
		if table[key] == nil && !have.gone {
			s.accuse("it has %d, %s, at %s, which it may not see or is not there", key, &have.item, have.position)
		}
	}
	before := map[int64]int64{}
	for _, e := range slices.SortedFunc(maps.Values(s.arrived), func(a, b *arrivedEvent) int { return strings.Compare(a.position, b.position) }) {
		if e.version < before[e.key] {
			s.accuse("%s of %d at %s, number %d, stands behind number %d", e.kind, e.key, e.position, e.version/2, before[e.key]/2)
		}
		if !e.touch {
			before[e.key] = max(before[e.key], e.version)
		}
	}
}
