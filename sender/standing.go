package sender

import (
	"cmp"
	"slices"
	"time"
)

// Standing is how a subscription stands, for people.
type Standing struct {
	// Waiting are its deliveries that are not settled, in memory and in the store.
	Waiting int
	// Next is when the store is looked into for it; zero where that is not planned.
	Next time.Time
	// Circuit is open or half_open; empty where it is closed.
	Circuit string
}

// The states of a circuit that are no closed one.
const (
	CircuitOpen     = "open"
	CircuitHalfOpen = "half_open"
)

// Standings tells how the subscriptions with the keys stand. Those of which nothing waits, and nothing is remembered, are left out.
func (d *Dispatcher) Standings(keys []int64) map[int64]Standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[int64]Standing{}
	for _, key := range keys {
		s := d.subs[key]
		if s == nil {
			continue
		}
		st := Standing{Waiting: s.waiting + s.rows}
		if s.place > 0 {
			st.Next = s.lookAt()
		}
		switch {
		case s.open && s.probing:
			st.Circuit = CircuitHalfOpen
		case s.open:
			st.Circuit = CircuitOpen
		}
		out[key] = st
	}
	return out
}

// Next is when the store is looked into next; zero while nothing in it is to be sent.
func (d *Dispatcher) Next() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.agenda) == 0 {
		return time.Time{}
	}
	return d.agenda[0].lookAt()
}

// Laggard is a subscription that has deliveries in the store.
type Laggard struct {
	ID string
	// Waiting are its deliveries that are not settled, Took is how long its attempts have taken lately.
	Waiting int
	Took    time.Duration
	// Paused says that its target asked for time.
	Paused bool
}

// Laggards are the subscriptions with the most deliveries in the store, the most first.
func (d *Dispatcher) Laggards(limit int) []Laggard {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	var all []Laggard
	for _, s := range d.stored {
		if !s.held && s.dropped == 0 {
			all = append(all, Laggard{ID: s.id, Waiting: s.waiting + s.rows, Took: s.took, Paused: s.pauses(now)})
		}
	}
	slices.SortFunc(all, func(a, b Laggard) int { return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(a.ID, b.ID)) })
	return all[:min(limit, len(all))]
}
