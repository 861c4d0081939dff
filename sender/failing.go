package sender

import "time"

const (
	// failingAfter is how many attempts must fail, with no delivery between them, for a target to be failing.
	failingAfter = 32
	// probePause is the time from the end of one attempt to a failing target to the beginning of the next; probeRows is
	// how many rows are read for them together.
	probePause = 50 * time.Millisecond
	probeRows  = 4
)

// mayBegin says whether an attempt may begin, for all that its own target has to say.
func (s *subscription) mayBegin() bool {
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
	return s.slots
}

// failed counts a failed attempt, after its delivery was dealt with. A target that fails all the time is not worth an
// attempt for each event, and a dial and two writes with it: its events go to the store without one, and one after the
// other is tried now and then, until one is delivered. It is called with the mutex held.
func (d *Dispatcher) failed(s *subscription) {
	if s.inARow++; s.inARow < failingAfter || s.removed || d.halted() {
		return
	}
	s.failing = true
	s.probeAt = time.Now().Add(probePause)
	d.storeWhole(s)
	d.enter(s)
	time.AfterFunc(probePause, func() {
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
		s.failing = false
		d.enter(s)
		wake(d.wakeFetcher)
	}
}
