package sender

import "time"

const (
	// failingAfter is how many attempts must fail, with no delivery between them, for a target to be failing.
	failingAfter = 32
	// probePause is the least time from the end of one attempt to a failing target to the beginning of the next; probeRows is
	// how many rows are read for it, not before: many that fail must not fill the memory of what is read.
	probePause = 50 * time.Millisecond
	probeRows  = 1
	// probeShare is what each failing target adds to the pause of all, when they are many: together they get 500 attempts a
	// second, however many they are.
	probeShare = 2 * time.Millisecond
)

// mayBegin says whether an attempt may begin, for all that its own target has to say.
func (s *subscription) mayBegin() bool {
	if s.pauses(time.Now()) {
		return false
	}
	if s.failing {
		return s.inFlight == 0 && !time.Now().Before(s.probeAt)
	}
	return s.inFlight < s.window
}

// wanted is how many rows are held ready in memory at least.
func (s *subscription) wanted() int {
	if s.failing {
		return 1
	}
	if s.batch != nil {
		return max(s.slots, s.batch.Max)
	}
	return s.slots
}

// lookAt is when its rows are to be looked for: those of a failing target, or of one that wants to be left alone, when one
// may be tried.
func (s *subscription) lookAt() time.Time {
	at := s.nextDue
	if s.failing && at.Before(s.probeAt) {
		at = s.probeAt
	}
	if at.Before(s.pausedUntil) {
		at = s.pausedUntil
	}
	if begin := s.gathersUntil(); at.Before(begin) {
		at = begin
	}
	return at
}

// failed counts a failed attempt, after its delivery was dealt with. A target that fails all the time is not worth an
// attempt for each event, and a dial and two writes with it: its events go to the store without one, and one after the
// other is tried now and then, until one is delivered. It is called with the mutex held.
func (d *Dispatcher) failed(s *subscription) {
	if s.inARow++; s.inARow < failingAfter || s.removed {
		return
	}
	if d.halted() {
		s.probeAt = time.Time{} // it goes on as soon as anything does
		d.enter(s)
		return
	}
	if !s.failing {
		s.failing = true
		d.failing++
		d.dropRead(s) // it would wait in memory, one pause for each
	}
	pause := max(probePause, time.Duration(d.failing)*probeShare)
	s.probeAt = time.Now().Add(pause)
	d.storeWhole(s)
	d.enter(s)
	time.AfterFunc(pause, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.subs[s.key] == s {
			d.makeReady(s)
			d.launch(d.schedule())
		}
	})
}

// succeeds ends that a target is failing.
func (d *Dispatcher) succeeds(s *subscription) {
	s.inARow = 0
	if s.failing {
		d.failsNoMore(s)
		d.enter(s)
		wake(d.wakeFetcher)
	}
}

// failsNoMore takes a subscription out of the number of those that are failing.
func (d *Dispatcher) failsNoMore(s *subscription) {
	if s.failing {
		s.failing = false
		d.failing--
	}
}
