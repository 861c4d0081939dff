package sender

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// retryAfterMin and retryAfterMax bound how long a target may let its subscription wait.
	retryAfterMin = time.Second
	retryAfterMax = 24 * time.Hour
	// patience is how old an event may be whose target asks for more time: it is not waited for then, the attempt counts.
	patience = 5 * 24 * time.Hour
)

// retryAfter is how long a target asks to be left alone, in one of the forms of RFC 9110, section 10.2.3; false when it does
// not, or not in a way that can be read. A date counts from the answer's own Date, if it has one: what is asked for is a time to
// wait, and the target's clock may be wrong.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > int64(retryAfterMax/time.Second) {
			return retryAfterMax, true // more digits than a number has, too
		}
		return max(time.Duration(seconds)*time.Second, retryAfterMin), true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	if said, err := http.ParseTime(h.Get("Date")); err == nil {
		now = said
	}
	return min(max(at.Sub(now), retryAfterMin), retryAfterMax), true
}

// pauses says that nothing may be begun before the time, for the target's sake.
func (s *subscription) pauses(now time.Time) bool { return now.Before(s.pausedUntil) }

// pause lets the whole subscription wait until the time, as its target has asked: its events go to the store, and it is begun
// slowly afterwards. It is called with the mutex held.
func (d *Dispatcher) pause(s *subscription, until time.Time) {
	if until.After(s.pausedUntil) {
		s.pausedUntil = until
		// Whoever takes over must not ask before either.
		d.record(Record{Op: Pause, Subscription: s.key, Version: s.sub.Version, DueAt: until})
	}
	s.startSlowly()
	d.enter(s) // in its place, whatever else: the first of the agenda is the one that all others wait behind
	if d.halted() {
		return // all that waits is in the store, or on its way
	}
	d.dropRead(s)
	d.storeWhole(s)
	d.enter(s)
}

// takeOverPauses leaves those targets alone that asked for it, as long as nobody has changed their subscriptions.
func (d *Dispatcher) takeOverPauses(pauses map[int64]Paused, now time.Time, known func(key int64) *subscriptions.Subscription) {
	for key, p := range pauses {
		if !p.Until.After(now) || d.removed[key] {
			continue
		}
		if sub := known(key); sub != nil && sub.Version == p.Version {
			s := d.subscription(sub)
			s.pausedUntil = p.Until
			s.startSlowly()
			if !s.held && !s.silent() {
				d.storeWhole(s)
			}
			d.enter(s)
		}
	}
}
