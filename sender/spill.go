package sender

import (
	"cmp"
	"slices"
	"time"
)

const (
	// storedKeysMax is the most ordering keys with rows that are remembered one by one, of all subscriptions together.
	storedKeysMax = 100_000
)

// deferred records a due row and counts it.
func (d *Dispatcher) deferred(dl *delivery, at time.Time, out *Outcome) {
	l, s := dl.lane, dl.lane.sub
	dl.stored = true
	s.rows++
	if !s.whole {
		if l.rows++; l.rows == 1 {
			s.keys++
			d.storedKeys++
		}
		s.keep(l)
	}
	d.stored[s.key] = s
	s.replays = s.replays || dl.replay
	d.record(Record{Op: Defer, Event: dl.event, Subscription: s.key, Key: l.key, Attempts: dl.attempts, DueAt: at,
		RetryReason: dl.retryReason, Outcome: out, Replay: dl.replay, Before: dl.before, Fallback: dl.fallback, delivery: dl})
}

// storeQueue stores all that waits in a lane.
func (d *Dispatcher) storeQueue(l *lane) {
	queue := l.queue
	l.queue = nil
	for _, q := range queue {
		d.deferred(q, time.Now(), nil)
	}
	d.forget(l)
}

// storeLane turns a direct lane into a stored one. What runs goes first: its row is due, for whoever comes after us if we
// die, but busy here; the end of the attempt changes or removes it.
func (d *Dispatcher) storeLane(l *lane) {
	if c := l.current; c != nil && !c.stored {
		if c.running {
			l.sub.markBusy(l.key)
		} else {
			l.current = nil
		}
		d.deferred(c, time.Now(), nil)
		for f := c.follower(); f != nil; f = f.follower() {
			if !f.stored {
				d.deferred(f, time.Now(), nil)
			}
		}
	}
	d.storeQueue(l)
}

// storeWhole lets everything of a subscription go through the store until it has caught up.
func (d *Dispatcher) storeWhole(s *subscription) {
	if s.whole {
		return
	}
	for _, l := range s.lanes {
		d.storeLane(l)
	}
	s.whole = true
	d.storedKeys -= s.keys
	s.keys = 0
	for key, l := range s.lanes {
		// From now on rows are counted for the subscription only.
		l.rows = 0
		if l.current == nil {
			delete(s.lanes, key)
		}
	}
	// Everything in it has been stored: the bodies would be held for as long as the slots are taken.
	s.fresh = fifo[*delivery]{}
	switch {
	case s.held:
	case s.open: // that has been told
	case s.limit.waits(time.Now()):
		d.tellWhole(&d.slower, "a subscription gets more events than its rate limit lets through: they go through the store until it has caught up", s)
	default:
		d.tellWhole(&d.slower, "a target is slower than its events come: they go through the store until it has caught up", s)
	}
}

// storeWaiting stores all that waits in memory. What runs is left alone, and what waits behind it: its end decides, so
// that nothing is written before what comes first.
func (d *Dispatcher) storeWaiting() {
	now := time.Now()
	for _, s := range d.subs {
		d.dropRead(s)
		for _, l := range s.lanes {
			if c := l.current; c != nil && !c.running {
				l.current = nil
				d.deferred(c, now, nil)
				d.storeQueue(l)
			}
		}
		s.fresh = fifo[*delivery]{}
	}
	d.shed()
}

// dropRead forgets what was read from the store and does not run: its rows are still there.
func (d *Dispatcher) dropRead(s *subscription) {
	for key, l := range s.lanes {
		if c := l.current; c != nil && c.stored && !c.running {
			l.current = nil
			delete(s.busy, key)
			d.unread(c)
			d.settle(c)
			d.lookSoon(s, time.Now())
			d.forget(l)
		}
	}
	s.due = fifo[*delivery]{}
	d.enter(s)
}

// shed forgets the single keys of the subscriptions that have most of them, when there are too many in all. It makes room
// for some more: looking at all of them for each would take longer than all else.
func (d *Dispatcher) shed() {
	if d.storedKeys <= d.keysMax {
		return
	}
	byKeys := make([]*subscription, 0, len(d.stored))
	for _, s := range d.stored {
		if s.keys > 0 {
			byKeys = append(byKeys, s)
		}
	}
	slices.SortFunc(byKeys, func(a, b *subscription) int { return cmp.Compare(b.keys, a.keys) })
	for _, s := range byKeys {
		if d.storedKeys <= d.keysMax-d.keysMax/16 {
			return
		}
		d.storeWhole(s)
	}
}

// expire stores what has waited in memory for too long. One that waits for its key concerns its key; one that waits for
// a slot says that the target is too slow for what comes.
func (d *Dispatcher) expire(now time.Time) {
	for dl := d.ages.first; dl != nil && now.Sub(dl.submitted) > d.cfg.Hold; dl = d.ages.first {
		l := dl.lane
		if dl.running && !dl.rides {
			l.sub.narrow()
		}
		g := l.sub.batch
		if l.current == dl && !dl.running && (g == nil || !g.waits(now)) {
			d.storeWhole(l.sub)
		} else {
			d.storeLane(l)
			if g != nil {
				d.countAgain(l.sub)
			}
		}
		d.ages.remove(dl)
	}
	d.shed()
}
