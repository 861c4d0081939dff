package sender

import (
	"context"
	"time"
)

const (
	// markEvery is how often it is written which targets have begun or ended to take nothing. What a crash forgets is less than
	// that: a target that fails now and then costs one row in that time, whatever comes.
	markEvery = 10 * time.Second
	// lastEvery is the least time between two writes that say nothing new but when a target failed last.
	lastEvery = time.Minute
)

// Dead tells of a target that has taken nothing for so long that its subscription is to be disabled.
type Dead struct {
	// Since is when the first of the attempts failed with no success since; Last is how the last one ended.
	Since time.Time
	Last  Outcome
}

// Failure is how an attempt ended that a target did not take.
type Failure struct {
	// Status is that of the answer, 0 where there was none; Reason is the typed reason, At when the attempt began.
	Status int
	Reason string
	At     time.Time
}

// Trouble is what is known of a target that takes nothing.
type Trouble struct {
	// Since is when the first of the attempts failed with no success since, zero where the target takes something, or has been
	// given another chance. Last is the last of them; its At is zero where that is not known.
	Since time.Time
	Last  Failure
	// Told is the Since of what others were told of and whose end they are to be told of, zero where there is nothing.
	Told time.Time
}

// over says that there is nothing to be kept.
func (t *Trouble) over() bool { return t.Since.IsZero() && t.Told.IsZero() }

// Tell is what others are to be told of a target.
type Tell uint8

// What there is to be told: nothing, that it has taken nothing for Config.TellAfter, and that it takes something again after
// that was told, or that its subscription was disabled.
const (
	TellNothing Tell = iota
	TellFailing
	TellRecovered
)

// trouble is what is known of a target, and what the store knows of that.
type trouble struct{ now, marked Trouble }

// fails notes that an attempt has failed, and returns since when all have. Where nothing was tried for half of the time after which
// a subscription is disabled, what was before does not count: two failures that lie days apart say little. It is called with the
// mutex held.
func (d *Dispatcher) fails(key int64, now time.Time, out *Outcome) time.Time {
	t := d.troubled[key]
	if t == nil {
		t = &trouble{}
		d.troubled[key] = t
	}
	if last := t.now.Last.At; t.now.Since.IsZero() || d.cfg.DisableAfter > 0 && !last.IsZero() && now.Sub(last) > d.cfg.DisableAfter/2 {
		t.now.Since = now
	}
	t.now.Last = Failure{Status: out.Status, Reason: out.Reason, At: out.Started}
	long := now.Sub(t.now.Since)
	disabled := d.cfg.DisableAfter > 0 && long >= d.cfg.DisableAfter // that is told instead
	if after := d.cfg.TellAfter; after > 0 && t.now.Told.IsZero() && long >= after && !disabled {
		t.now.Told = t.now.Since
		d.tellOf(key, t, TellFailing)
	}
	return t.now.Since
}

// takes notes that a target takes something. It is called with the mutex held.
func (d *Dispatcher) takes(key int64) {
	t := d.troubled[key]
	if t == nil {
		return
	}
	told := t.now.Told
	if t.now = (Trouble{}); !told.IsZero() {
		d.record(Record{Op: Mark, Subscription: key, Trouble: &Trouble{Told: told}, Tell: TellRecovered})
		t.marked = Trouble{}
	}
	if t.marked.over() {
		delete(d.troubled, key)
	}
}

// forgive gives a target all the time again. That it takes something is told when it does. It is called with the mutex held.
func (d *Dispatcher) forgive(key int64) {
	if t := d.troubled[key]; t != nil {
		if t.now.Told.IsZero() {
			t.now.Told = t.now.Since
		}
		t.now.Since, t.now.Last = time.Time{}, Failure{}
	}
}

// forgetTrouble keeps nothing of the target of a subscription that is gone, and tells nobody. It is called with the mutex held.
func (d *Dispatcher) forgetTrouble(key int64) {
	if t := d.troubled[key]; t != nil {
		if t.now = (Trouble{}); t.marked.over() {
			delete(d.troubled, key)
		}
	}
}

// tellOf records what is known of a target, with what others are to be told. It is called with the mutex held.
func (d *Dispatcher) tellOf(key int64, t *trouble, what Tell) {
	t.marked = t.now
	marked := t.now
	d.record(Record{Op: Mark, Subscription: key, Trouble: &marked, Tell: what})
}

// mark records what the store does not know yet. It is called with the mutex held.
func (d *Dispatcher) mark() {
	for key, t := range d.troubled {
		if !t.unmarked() {
			continue
		}
		d.tellOf(key, t, TellNothing)
		if t.now.over() {
			delete(d.troubled, key)
		}
	}
}

// unmarked says whether the store is to be told. That a target fails as it did is told now and then: many may fail all the time.
func (t *trouble) unmarked() bool {
	now, marked := &t.now, &t.marked
	if !now.Since.Equal(marked.Since) || !now.Told.Equal(marked.Told) {
		return true
	}
	if now.Last.Status != marked.Last.Status || now.Last.Reason != marked.Last.Reason {
		return true
	}
	return now.Last.At.Sub(marked.Last.At) >= lastEvery
}

// dies says whether the subscription is to be disabled, after an attempt that failed; it is held then, and what is returned tells of
// it. It is called with the mutex held.
func (d *Dispatcher) dies(s *subscription, since, now time.Time, out *Outcome) func(context.Context) {
	if d.cfg.DisableAfter <= 0 || now.Sub(since) < d.cfg.DisableAfter || s.held || d.halted() || d.cfg.OnDead == nil {
		return nil
	}
	d.hold(s)
	d.forgive(s.key) // enabled again, it has all the time again
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
