package sender

import (
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// mergedMax is how many rows are read to be merged in one look, more or less: what is remembered of each is small, but not nothing.
const mergedMax = 1 << 16

// rowSize is what a merged row takes in memory, in bytes.
const rowSize = 64

// Row names a delivery of a subscription by its event's place.
type Row struct {
	Position cdc.Position
	Time     time.Time
}

func rowOf(ev *mapping.Event) Row { return Row{ev.Position, ev.Time} }

// change is what an event says of an instance that has a state; 0 for any other event.
type change uint8

const (
	created change = iota + 1
	updated
	deleted
)

// changeOf is what an event says. What an application names itself, and what rowhook says of itself, is no change: it tells of
// a moment, and the next one does not make it void. Nor is a row that a backfill tells of: it was there before.
func changeOf(ev *mapping.Event) change {
	if ev.Instance == "" || ev.Resource == mapping.NoticeResource || ev.Backfilled() {
		return 0
	}
	name, ok := strings.CutPrefix(ev.Type, ev.Resource)
	if !ok {
		return 0
	}
	switch name {
	case ".create":
		return created
	case ".update":
		return updated
	case ".delete":
		return deleted
	}
	return 0
}

// run is what stands in a row of an ordering key and may be merged: changes of one instance with nothing else between them, the
// oldest row of the key first.
type run struct {
	head *Due
	// rows are those before the last one, with the oldest one.
	rows []Row
	last *mapping.Event
	// first and latest are the first and the last change; some is set for each that is among them.
	first, latest change
	some          [deleted + 1]bool
	// previous is what the updates have changed, as it was before the first of them that did; unknown that one does not tell.
	previous members
	unknown  bool
	// over says that something else comes next.
	over bool
	// heard says that the target may have been sent some of it before.
	heard bool
	// left says that there was no room for what stands behind the head.
	left bool
}

func newRun(head *Due, heard bool, nested nesting) *run {
	r := &run{head: head, first: changeOf(head.Event), heard: heard || head.Attempts > 0}
	r.note(head.Event, nested)
	return r
}

// nesting says whether the member at the path of a resource's data is an object of members of its own, not one value.
type nesting func(resource string, path []string) bool

// add takes the next row of the key, if it is one more of the run; else the run is over.
func (r *run) add(x *Due, nested nesting) {
	ev := x.Event
	if r.over || x.Lost || x.Replay || changeOf(ev) == 0 || !sameInstance(r.last, ev) {
		r.over = true
		return
	}
	r.rows = append(r.rows, rowOf(r.last))
	r.note(ev, nested)
}

func sameInstance(a, b *mapping.Event) bool {
	return a.Resource == b.Resource && a.Instance == b.Instance && (a.Account == b.Account || !a.Accounted || !b.Accounted)
}

func (r *run) note(ev *mapping.Event, nested nesting) {
	r.last, r.latest = ev, changeOf(ev)
	r.some[r.latest] = true
	if r.latest != updated || r.unknown {
		return
	}
	older, ok := membersOf(ev.Previous)
	if !ok {
		r.unknown, r.previous = true, nil
		return
	}
	r.previous = r.previous.with(older, nil, func(path []string) bool { return nested != nil && nested(ev.Resource, path) })
}

// void says that the run comes to nothing whatever its data are: the target never hears of the instance.
func (r *run) void() bool { return r.first == created && r.latest == deleted && !r.heard }

// message is what is sent of the run, given its last event whole: nil when nothing of it is left to tell. A run of one event is
// that event.
func (r *run) message(last *mapping.Event, m *merging) *mapping.Event {
	if len(r.rows) == 0 {
		return last
	}
	ev := *last
	switch {
	case r.void():
		return nil
	case r.latest == deleted:
		return &ev
	case r.first == created:
		ev.Type, ev.Previous = ev.Resource+".create", nil
		return &ev
	case !r.some[updated] && !m.takes(ev.Resource+".update"):
		return &ev // it was deleted and is there again, and nobody asked for updates
	}
	ev.Type, ev.Previous = ev.Resource+".update", nil
	if r.some[created] || r.some[deleted] || r.unknown {
		return &ev
	}
	data, ok := membersOf(ev.Data)
	left := r.previous
	if ok {
		left = left.without(data, nil, func(path []string) bool { return m.nested != nil && m.nested(ev.Resource, path) })
	}
	if ok && len(left) == 0 && !r.heard && m.told != nil && m.told(ev.Resource) {
		return nil
	}
	if len(left) > 0 {
		ev.Previous = left.append(nil)
	}
	return &ev
}

// takesType says whether a subscription gets events of a type.
func takesType(s *subscriptions.Subscription) func(string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(subscriptions.Wanting(name), func(pattern string) bool { return slices.Contains(s.Events, pattern) })
	}
}
