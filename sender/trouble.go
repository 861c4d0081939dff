package sender

import (
	"context"
	"time"
)

// markEvery is how often it is written which targets have begun or ended to take nothing. What a crash forgets is less than
// that: a target that fails now and then costs one row in that time, whatever comes.
const markEvery = 10 * time.Second

// Dead tells of a target that has taken nothing for so long that its subscription is to be disabled.
type Dead struct {
	// Since is when the first of the attempts failed with no success since; Last is how the last one ended.
	Since time.Time
	Last  Outcome
}

// trouble is since when a target has taken nothing, and what the store knows of that.
type trouble struct {
	since, told time.Time
}

// fails notes that an attempt has failed, and returns since when all have. It is called with the mutex held.
func (d *Dispatcher) fails(key int64, now time.Time) time.Time {
	t := d.troubled[key]
	if t == nil {
		t = &trouble{}
		d.troubled[key] = t
	}
	if t.since.IsZero() {
		t.since = now
	}
	return t.since
}

// takes notes that a target takes something, or is given another chance. It is called with the mutex held.
func (d *Dispatcher) takes(key int64) {
	if t := d.troubled[key]; t != nil {
		if t.since = (time.Time{}); t.told.IsZero() {
			delete(d.troubled, key)
		}
	}
}

// mark records what the store does not know yet. It is called with the mutex held.
func (d *Dispatcher) mark() {
	for key, t := range d.troubled {
		if t.since.Equal(t.told) {
			continue
		}
		t.told = t.since
		d.record(Record{Op: Mark, Subscription: key, Since: t.since})
		if t.since.IsZero() {
			delete(d.troubled, key)
		}
	}
}

// dies says whether the subscription is to be disabled, after an attempt that failed; it is held then, and what is returned tells of
// it. It is called with the mutex held.
func (d *Dispatcher) dies(s *subscription, since, now time.Time, out *Outcome) func(context.Context) {
	if d.cfg.DisableAfter <= 0 || now.Sub(since) < d.cfg.DisableAfter || s.held || d.halted() || d.cfg.OnDead == nil {
		return nil
	}
	d.hold(s)
	d.takes(s.key) // enabled again, it has all the time again
	sub, dead := s.sub, Dead{Since: since, Last: *out}
	return func(ctx context.Context) { d.cfg.OnDead(ctx, sub, dead) }
}

// Expired says that so many rows of a subscription that is held are not in the store any more, and nobody has finished them.
func (d *Dispatcher) Expired(key int64, rows int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.subs[key]
	if s == nil || s.removed || !s.whole {
		return
	}
	if s.rows = max(s.rows-rows, 0); s.rows == 0 {
		delete(d.stored, key)
		s.nextDue = time.Time{}
		d.agenda.remove(s)
		s.whole = false
	}
}
