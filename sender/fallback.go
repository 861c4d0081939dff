package sender

import (
	"time"

	"github.com/rowhook/rowhook/cdc"
)

// fallbackRetries are the waits between the attempts at a fallback. Only tests change them.
var fallbackRetries = []time.Duration{time.Minute, 5 * time.Minute}

// fallbackPatience is how long a fallback is left alone at most that asks for time.
const fallbackPatience = time.Hour

// Fallback says that a delivery goes to its subscription's fallback, since the schedule of its target is over: how the last attempt
// there has ended.
type Fallback struct {
	// Reason is the typed reason; Status that of the answer, 0 where there was none.
	Reason string
	Status int
	// After is the number of that attempt.
	After int
	// Position is that of the event. What is merged with a later one is for the target again.
	Position cdc.Position
}

// alike says whether deliveries may go in one request, for what its headers say of all of them.
func (dl *delivery) alike(other *delivery) bool {
	if dl.replay != other.replay || dl.event.Backfilled() != other.event.Backfilled() || (dl.fallback == nil) != (other.fallback == nil) {
		return false
	}
	return dl.fallback == nil || dl.fallback.Reason == other.fallback.Reason && dl.fallback.Status == other.fallback.Status
}

// fallbackTarget is a subscription's fallback, ready for use; broken is why it cannot be used.
type fallbackTarget struct {
	target *target
	broken error
}

// prepareFallback makes the fallback of a subscription when it is needed first. It is called with the mutex held.
func (d *Dispatcher) prepareFallback(s *subscription) *fallbackTarget {
	if s.fallback == nil {
		a := &fallbackTarget{}
		a.target, a.broken = newTargetAt("fallback_url", s.sub.AtFallback(), d.clientOf(s.sub), d.cfg.envelope())
		s.fallback = a
	}
	return s.fallback
}

// leaveFallback lets a delivery go to the target again, once, whose subscription has no fallback any more. It is called with the mutex
// held.
func (dl *delivery) leaveFallback() {
	for m := dl; m != nil; m = m.with {
		m.fallback = nil
	}
}

// fallsBack lets a delivery go to the fallback, where its subscription has one, and returns when. While a circuit is open rows are
// tried one by one, the one first that has been due longest: that one.
func (d *Dispatcher) fallsBack(dl *delivery, out *Outcome, now time.Time) (at time.Time, ok bool) {
	s := dl.lane.sub
	if s.sub.FallbackURL == "" {
		return now, false
	}
	dl.fallback = &Fallback{Reason: out.Reason, Status: out.Status, After: dl.attempts, Position: dl.event.Position}
	if at = now; s.open && dl.event.Time.Before(now) {
		at = dl.event.Time
	}
	return at, true
}

// missed lets a failed attempt at the fallback take effect, and returns when the next one is due. It says nothing of the target: neither
// its circuit, nor since when it has taken nothing. It is called with the mutex held.
func (d *Dispatcher) missed(dl *delivery, out *Outcome, now time.Time) (next time.Time) {
	s := dl.lane.sub
	if out.Duration > slowFailure || out.Reason == ReasonTimeout {
		s.narrow()
	}
	if s.open {
		s.probeAt = now.Add(jittered(s.pause))
		d.enter(s)
	}
	var again schedule
	for m := dl; m != nil; m = m.with {
		m.attempts++
		m.retryReason = out.Reason
		if s.silent() {
			d.tellDropped(s.dropped)
			d.finish(m, StatusDropped, out.of(m))
			continue
		}
		delay, more := again.after(fallbackRetries, m.attempts-m.fallback.After)
		if !more {
			d.finish(m, StatusFailed, out.of(m))
			continue
		}
		at := now.Add(max(delay, min(out.After, fallbackPatience)))
		d.postpone(m, at, out.of(m))
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}
