package sender

import "time"

const (
	// windowBegin is how many requests are sent to a target of which nothing is known, windowMin to one that lets them
	// hang.
	windowBegin = 8
	windowMin   = 2
	// slowFailure is how long a failure may take that does not count against the target: slots are worth their time, and
	// one that answers at once, whatever it says, gives them back.
	slowFailure = time.Second
)

// widen and narrow move the window. Each delivery widens it; failures that took their time narrow it.
func (s *subscription) widen(now time.Time) {
	if s.slow {
		s.widenSlowly(now)
		return
	}
	s.window = min(2*s.window, s.slots)
}

func (s *subscription) narrow() { s.window = max(s.window/2, min(windowMin, s.slots, s.window)) }

// enqueue says that a delivery may start.
func (d *Dispatcher) enqueue(s *subscription, q *fifo[*delivery], dl *delivery) {
	q.push(dl)
	d.arrives(s, dl, false)
	d.makeReady(s)
}

func (d *Dispatcher) makeReady(s *subscription) {
	if !s.ready && s.fresh.len()+s.due.len() > 0 {
		s.ready = true
		d.ready.push(s)
	}
}

// schedule takes what may start now, and counts it in attempts: its callers must launch it, or send it themselves. Slots
// are shared so that some are always free: no subscription gets more than are left over, nor more than its window, so
// that hanging targets do not take them all. A success has its slot until it is written: what can come twice after a
// crash is never more than the slots, however slow the store is.
func (d *Dispatcher) schedule() []*delivery {
	if d.halted() || d.ready.len() == 0 || d.cfg.MayBegin != nil && !d.cfg.MayBegin() {
		return nil
	}
	var start []*delivery
	now := time.Now()
	for n := d.ready.len(); n > 0 && d.free() > 0; n-- {
		s := d.ready.pop()
		s.ready = false
		gathers := false
		for s.fresh.len()+s.due.len() > 0 && d.free() > 0 {
			if !s.mayBegin(now) || s.inFlight > 0 && s.inFlight >= d.free() {
				break
			}
			if gathers = s.batch != nil && !d.ripe(s, now); gathers {
				break
			}
			if !d.roomToRender(s) {
				break
			}
			dl := d.takeNext(s)
			if dl.lane.current != dl || dl.running || s.held || s.removed {
				// It was stored, or settled, while it waited.
				continue
			}
			dl.running = true
			if s.batch != nil {
				d.fill(s, dl)
			} else {
				d.unread(dl)
				d.charge(dl, s.renders(dl.event))
			}
			if s.limit.isSet() {
				s.limit.begun(now)
				d.enter(s)
			}
			if s.open {
				d.probes(s, now)
			}
			s.inFlight++
			d.inFlight++
			d.attempts.Add(1)
			start = append(start, dl)
		}
		switch {
		case !s.mayBegin(now):
			d.wakeLater(s, now)
		case !gathers:
			d.makeReady(s)
		}
	}
	if d.succeeded > 0 && d.free() <= 0 {
		wake(d.wakeRecorder) // what is wanted now are slots, not company for the records
	}
	return start
}

// free is how many more may be begun.
func (d *Dispatcher) free() int { return d.cfg.MaxInFlight - d.inFlight - d.succeeded }

// takeNext prefers what is fresh to what was read from the store.
func (d *Dispatcher) takeNext(s *subscription) *delivery {
	if s.fresh.len() > 0 {
		return s.fresh.pop()
	}
	dl := s.due.pop()
	if s.due.len() < s.wanted() {
		d.enter(s)
		wake(d.wakeFetcher)
	}
	return dl
}

// launch starts goroutines for what schedule returned.
func (d *Dispatcher) launch(start []*delivery) {
	for _, dl := range start {
		go d.work(dl)
	}
}

// work sends one delivery after another, as long as the end of one lets another start.
func (d *Dispatcher) work(dl *delivery) {
	for dl != nil {
		d.attempt(dl)
		next := d.next()
		d.attempts.Done()
		dl = next
	}
}

// next takes one delivery for the caller, and launches what else may start.
func (d *Dispatcher) next() *delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	start := d.schedule()
	if len(start) == 0 {
		return nil
	}
	d.launch(start[1:])
	return start[0]
}
