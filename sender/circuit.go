package sender

import (
	"math/rand/v2"
	"time"
)

// A circuit breaker keeps a target in trouble from an attempt for each event, which would cost it, and us, a request each.
// Closed, attempts are made as slots allow. It opens after openAfter failures with no delivery between them: everything
// goes through the store, and one attempt is made at a time (half-open), after pauses that grow. A delivery closes it, and
// the target is begun with slowly: see slowStart.

const (
	// openAfter is how many attempts must fail, with no delivery between them, for a circuit to open; openAgainAfter while a
	// target is begun with slowly.
	openAfter      = 32
	openAgainAfter = 8
	// probePause is the least time from the end of one attempt to the beginning of the next while a circuit is open, and the
	// first; it doubles with each failure, as far as blame allows. probeRows is how many rows are read for it, not before:
	// many that fail must not fill the memory of what is read.
	probePause = 50 * time.Millisecond
	probeRows  = 1
	// fallbackPause is the longest of a subscription with a fallback.
	fallbackPause = time.Second
	// probeShare is what each open circuit adds to the pause of all, when they are many: together they get 500 attempts a
	// second, however many they are.
	probeShare = 2 * time.Millisecond
	// eventShare is how many refusals of single events count as one failure of the target.
	eventShare = 16
)

// blame is what a failure speaks of.
type blame uint8

const (
	// blameEvent: the target answers, and does not take this event: 400, 422. The next one may be taken, so it is not waited
	// for long; a target that takes none of many is in trouble all the same.
	blameEvent blame = iota
	// blameEither: 500 may be an application that is down as well as one that stumbles over an event.
	blameEither
	// blameTarget: no answer, or one that does not depend on the event.
	blameTarget
)

// blameOf is what a failed attempt speaks of.
func blameOf(out *Outcome) blame {
	switch {
	case out.Reason == ReasonConfiguration, out.Reason == ReasonProxy:
		return blameEither // nothing was sent to it
	case out.Reason != ReasonHTTPStatus:
		return blameTarget
	}
	switch out.Status {
	case 500, 501:
		return blameEither
	case 401, 402, 403, 404, 405, 407, 408, 421, 425, 426, 429:
		return blameTarget // who asks, where, how and when: not what for
	}
	if out.Status >= 400 && out.Status < 500 {
		return blameEvent
	}
	return blameTarget
}

// weight is how much of a failure it counts for, in parts of eventShare.
func (b blame) weight() int {
	if b == blameEvent {
		return 1
	}
	return eventShare
}

// longest is the longest pause between two attempts while a circuit is open.
func (b blame) longest() time.Duration {
	switch b {
	case blameEvent:
		return probePause
	case blameEither:
		return time.Second
	}
	return 30 * time.Second
}

// circuit is the state of a breaker. It is guarded by the dispatcher's mutex.
type circuit struct {
	// strain weighs the failures since the last delivery.
	strain int
	// open says that one attempt is made at a time, not before probeAt; probing that it is under way.
	open, probing bool
	probeAt       time.Time
	// pause was the last one. It is kept until its target has been begun with: one that fails again goes on where it was.
	pause    time.Duration
	openedAt time.Time
}

// failed counts a failed attempt, after its delivery was dealt with. Probe says that it was one of an open circuit. It is
// called with the mutex held.
func (d *Dispatcher) failed(s *subscription, out *Outcome, probe bool) {
	if s.removed {
		return
	}
	b := blameOf(out)
	s.strain += b.weight()
	most := openAfter
	if s.slow {
		most = openAgainAfter
	}
	if !s.open && s.strain < most*eventShare {
		return
	}
	if d.halted() {
		s.probeAt = time.Time{} // it goes on as soon as anything does
		d.enter(s)
		return
	}
	now := time.Now()
	if !s.open {
		d.opens(s, now)
		d.tellCircuit(&d.opened, "circuit open: the target takes nothing, its events wait in the store, and one at a time is tried", s, out)
	}
	if probe || s.pause == 0 {
		s.pause = min(max(2*s.pause, probePause), b.longest())
		if s.sub.FallbackURL != "" {
			s.pause = min(s.pause, fallbackPause) // somebody waits for what fails for good
		}
	}
	s.probeAt = now.Add(jittered(max(s.pause, time.Duration(d.open)*probeShare)))
	d.storeWhole(s)
	d.enter(s)
}

// opens opens a circuit.
func (d *Dispatcher) opens(s *subscription, now time.Time) {
	s.open, s.openedAt = true, now
	d.open++
	d.dropRead(s) // it would wait in memory, one pause for each
}

// succeeds counts a delivery, and closes the circuit.
func (d *Dispatcher) succeeds(s *subscription) {
	s.strain = 0
	if !s.open {
		return
	}
	at := s.openedAt
	d.closes(s)
	s.startSlowly()
	d.enter(s)
	wake(d.wakeFetcher)
	d.tellCircuit(&d.closed, "circuit closed: the target takes events again, it is begun with slowly", s, nil, "open_for", time.Since(at).Round(time.Millisecond))
}

// closes takes a circuit out of the number of those that are open.
func (d *Dispatcher) closes(s *subscription) {
	d.probed(s)
	if s.open {
		s.open = false
		d.open--
	}
}

// probes says that the attempt of an open circuit begins. Its end says when the next one is made.
func (d *Dispatcher) probes(s *subscription, now time.Time) {
	s.probing, s.probeAt = true, now.Add(s.timeout)
	d.probing++
	d.enter(s)
}

// probed says that it has ended, and whether there was one.
func (d *Dispatcher) probed(s *subscription) bool {
	was := s.probing
	if was {
		s.probing = false
		d.probing--
	}
	return was
}

// jittered is the duration ±20 %: many that wait for the same must not come back at once.
func jittered(t time.Duration) time.Duration { return t - t/5 + rand.N(2*(t/5)+1) }

// tellCircuit tells of a circuit that opens or closes, of several at once where they are many.
func (d *Dispatcher) tellCircuit(t *tally, text string, s *subscription, out *Outcome, more ...any) {
	n := t.add(time.Now())
	if n == 0 {
		return
	}
	attrs := append([]any{"subscription", s.id}, more...)
	if out != nil {
		attrs = append(attrs, "outcome", *out)
	}
	if n > 1 {
		attrs = append(attrs, "and_others", n-1)
	}
	d.cfg.Log.Info(text, attrs...)
}
