package sender

import (
	"context"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// Amend makes durable what has become of a dead letter that was replayed: closed says how it ended, and is empty where it
// stays open, with the letter's Reason. It comes after the rows of what was submitted as Deferred before it, and settles
// one part of the receipt. Like Bury it waits for room.
func (d *Dispatcher) Amend(letter mapping.DeadLetter, closed string, receipt *cdc.Receipt) {
	d.keep(Record{Op: Amend, DeadLetter: &letter, Closed: closed}, receipt)
}

// Recorded waits until everything is durable that has come of deliveries so far. The error is the context's.
func (d *Dispatcher) Recorded(ctx context.Context) error {
	written := make(chan struct{})
	d.mu.Lock()
	d.record(Record{Op: Pass, settle: func() { close(written) }})
	d.mu.Unlock()
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Overtaken says whether a later event of the same instance is under way to the subscription in memory. What is in the
// store it does not know.
func (d *Dispatcher) Overtaken(to *subscriptions.Subscription, ev *mapping.Event) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.subs[to.Key]
	if s == nil || !s.ordered {
		return false
	}
	l := s.lanes[orderingKey(ev, true)]
	if l == nil {
		return false
	}
	later := func(dl *delivery) bool {
		e := dl.event
		return e.Resource == ev.Resource && e.Instance == ev.Instance && e.Position.Compare(ev.Position) > 0
	}
	for dl := l.current; dl != nil; dl = dl.follower() {
		if later(dl) {
			return true
		}
	}
	for _, dl := range l.queue {
		if later(dl) {
			return true
		}
	}
	return false
}
