package sender

import "time"

// slowStep is the least time between two doublings of the window of a target that is begun with slowly.
const slowStep = 100 * time.Millisecond

// slowStart lets a target with a backlog find its feet: after its circuit was open, after it asked for time, and where the
// backlog is from before a start or an enabling. One request is made at a time, then two, and so on: the window doubles
// with as many deliveries as it has room for, and not faster than slowStep.
type slowStart struct {
	slow bool
	// taken are the deliveries since the window grew.
	taken int
	grown time.Time
}

// startSlowly begins with one request at a time.
func (s *subscription) startSlowly() {
	s.window, s.slowStart = 1, slowStart{slow: true}
}

// widenSlowly counts a delivery to a target that is begun with slowly.
func (s *subscription) widenSlowly(now time.Time) {
	if s.taken++; s.taken < s.window || now.Sub(s.grown) < slowStep {
		return
	}
	s.window, s.taken, s.grown = min(2*s.window, s.slots), 0, now
	if s.window == s.slots {
		s.slow, s.pause = false, 0
	}
}

// mayBegin says whether an attempt may begin, for all that its own target has to say.
func (s *subscription) mayBegin(now time.Time) bool {
	switch {
	case s.pauses(now), s.limit.waits(now):
		return false
	case s.open:
		return s.inFlight == 0 && !now.Before(s.probeAt)
	}
	return s.inFlight < s.window
}

// from is when an attempt may begin next, as far as that is a matter of time.
func (s *subscription) from() time.Time {
	at := s.pausedUntil
	if s.open && at.Before(s.probeAt) {
		at = s.probeAt
	}
	if l := s.limit.from(); at.Before(l) {
		at = l
	}
	return at
}

// lookAt is when its rows are to be looked for: not before one may be tried.
func (s *subscription) lookAt() time.Time {
	at := s.nextDue
	if from := s.from(); at.Before(from) {
		at = from
	}
	if begin := s.gathersUntil(); at.Before(begin) {
		at = begin
	}
	return at
}

// wanted is how many rows are held ready in memory at least, and ahead how many at most.
func (s *subscription) wanted() int {
	if s.open {
		return probeRows
	}
	n := s.slots
	if s.limit.isSet() {
		n = max(1, s.limit.ahead(s.slots)/2)
	}
	if s.batch != nil {
		n = max(n, s.batch.Max)
	}
	return n
}

func (s *subscription) ahead() int {
	if s.open {
		return probeRows
	}
	return s.limit.ahead(s.slots + fetchMore)
}

// wakeLater lets a subscription go on when its time has come, where something of it waits in memory.
func (d *Dispatcher) wakeLater(s *subscription, now time.Time) {
	at := s.from()
	if !at.After(now) || s.fresh.len()+s.due.len() == 0 {
		return
	}
	if least := now.Add(limitStep); at.Before(least) {
		at = least
	}
	if s.wakeAt.After(now) && !at.Before(s.wakeAt) {
		return // it is asked again then
	}
	s.wakeAt = at
	time.AfterFunc(at.Sub(now), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.subs[s.key] == s && s.wakeAt.Equal(at) {
			s.wakeAt = time.Time{}
			d.makeReady(s)
			d.launch(d.schedule())
		}
	})
}
