package sender

import "time"

const (
	// idleKept is how many subscriptions are remembered that have nothing to be sent, with what was made for sending to
	// them.
	idleKept = 1024
	// dropTries is how many are looked at for each new one when there are more.
	dropTries = 4
	// dropLooks is how many are looked at by the clock, once: most may have something, and all others wait meanwhile.
	dropLooks = 4096
)

// isIdle says that nothing is known of a subscription that could not be worked out again. Only its window is lost.
func (s *subscription) isIdle() bool {
	return s.inFlight == 0 && len(s.lanes) == 0 && s.rows == 0 && len(s.busy) == 0 && !s.ready && !s.looking && !s.held && !s.removed && !s.pauses(time.Now()) &&
		s.fresh.len() == 0 && s.due.len() == 0
}

// dropSome forgets some idle subscriptions, chosen at random, when more are remembered than shall be.
func (d *Dispatcher) dropSome() {
	if len(d.subs) < idleKept {
		return
	}
	tries := dropTries
	for _, s := range d.subs {
		d.dropIdle(s)
		if tries--; tries == 0 {
			return
		}
	}
}

// dropMany forgets idle subscriptions until there are no more than shall be: what a burst has left.
func (d *Dispatcher) dropMany() {
	d.forgetSpent(time.Now())
	if len(d.subs) <= idleKept {
		return
	}
	looks := dropLooks
	for _, s := range d.subs {
		d.dropIdle(s)
		if looks--; looks == 0 || len(d.subs) <= idleKept {
			return
		}
	}
}

func (d *Dispatcher) dropIdle(s *subscription) {
	switch {
	case s.isIdle():
		s.cut()
		d.closes(s)
		d.spend(s, time.Now())
		d.agenda.remove(s) // a look that came late, or failed, may have entered it again
		delete(d.subs, s.key)
	case s.inFlight == 0 && s.fresh.len() == 0 && s.due.len() == 0 && !s.removed:
		// It waits for a time. What its next attempt needs is half of what it takes, and quickly made again.
		if s.cancel != nil {
			s.cancel()
		}
		s.ctx, s.cancel, s.target, s.broken, s.fallback = nil, nil, nil, nil, nil
	}
}
