package sender

import "github.com/rowhook/rowhook/subscriptions"

// DropReason says why a delivery was dropped: it was matched, and it was not sent for itself. The numbers are the store's.
type DropReason uint8

// The reasons.
const (
	// DropShadow is that the subscription is a shadow, DropFeed that it has no target.
	DropShadow DropReason = 1
	DropFeed   DropReason = 2
	// DropDebounced is that a later event of the instance has taken its place, or has made it void.
	DropDebounced DropReason = 3
)

// String is the reason as the API, the store's view and the metrics show it.
func (r DropReason) String() string {
	switch r {
	case DropShadow:
		return "shadow"
	case DropFeed:
		return "feed"
	case DropDebounced:
		return "debounced"
	}
	return ""
}

// dropReasonOf is why nothing is sent to a subscription; 0 where it is sent to.
func dropReasonOf(to *subscriptions.Subscription) DropReason {
	switch why, _ := to.Silent(); why {
	case "shadow":
		return DropShadow
	case "feed":
		return DropFeed
	}
	return 0
}

// silent says that everything of a subscription is dropped. While it is held it is kept instead: it is not known then
// what it will be.
func (s *subscription) silent() bool { return s.dropped != 0 && !s.held }

// drop ends a delivery without an attempt. It is recorded like any other end, and costs neither a slot nor a row. There is
// no order to be kept among those that nobody gets.
func (d *Dispatcher) drop(dl *delivery, why DropReason) {
	l := dl.lane
	d.tellDropped(why)
	d.record(Record{Op: Finish, Event: dl.event, Subscription: l.sub.key, Key: l.key, Stored: dl.stored, Status: StatusDropped,
		Dropped: why, Attempts: dl.attempts, RetryReason: dl.retryReason, Replay: dl.replay, Gap: dl.gap(), delivery: dl})
}

// dropWaiting drops all that does not run. What runs ends as it would; what is in the store is read, to be dropped.
func (d *Dispatcher) dropWaiting(s *subscription) {
	for _, l := range s.lanes {
		queue := l.queue
		l.queue = nil
		if c := l.current; c != nil && !c.running {
			l.current = nil
			d.unread(c)
			d.drop(c, s.dropped)
		}
		for _, dl := range queue {
			d.drop(dl, s.dropped)
		}
		d.forget(l)
	}
	s.fresh, s.due = fifo[*delivery]{}, fifo[*delivery]{}
}

func (d *Dispatcher) tellDropped(why DropReason) {
	if d.cfg.OnDropped != nil {
		d.cfg.OnDropped(why)
	}
}
