package sender

const (
	// idleKept is how many subscriptions are remembered that have nothing to be sent, with what was made for sending to
	// them.
	idleKept = 1024
	// dropTries is how many are looked at for each new one when there are more.
	dropTries = 4
)

// isIdle says that nothing is known of a subscription that could not be worked out again. Only its window is lost.
func (s *subscription) isIdle() bool {
	return s.inFlight == 0 && len(s.lanes) == 0 && s.rows == 0 && len(s.busy) == 0 && !s.ready && !s.looking && !s.held && !s.removed &&
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
	if len(d.subs) <= idleKept {
		return
	}
	for _, s := range d.subs {
		if d.dropIdle(s); len(d.subs) <= idleKept {
			return
		}
	}
}

func (d *Dispatcher) dropIdle(s *subscription) {
	if s.isIdle() {
		s.cut()
		delete(d.subs, s.key)
	}
}
