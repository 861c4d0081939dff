package sender

import (
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// limitBurst is how much of a rate may come at once: what it is worth in this time, and one request at the least. Up to
	// 10/s no second has more than the rate.
	limitBurst = 100 * time.Millisecond
	// limitStep is the least time that is waited for a limit. At higher rates several requests are begun together, instead of
	// a timer for each.
	limitStep = 5 * time.Millisecond
	// limitAhead is for how long a limited target's rows are read ahead: more would lie in memory.
	limitAhead = time.Second
)

// limit bounds the requests that are begun in a time, by one time stamp (the generic cell rate algorithm): next is when the
// next one would be begun if all had been spaced evenly, and one may be begun so much earlier as slack says.
type limit struct {
	interval, slack time.Duration
	next            time.Time
}

// set makes the rate the limit's. What has been begun still counts, as it would at that rate: after one in an hour nobody waits for the
// rest of it when there may be ten in a second.
func (l *limit) set(r subscriptions.Rate, now time.Time) {
	l.interval, l.slack = r.Interval(), 0
	if l.interval == 0 {
		return
	}
	l.slack = max(limitBurst/l.interval-1, 0) * l.interval
	if most := now.Add(l.slack + l.interval); l.next.After(most) {
		l.next = most
	}
}

// isSet says that there is a limit.
func (l *limit) isSet() bool { return l.interval > 0 }

// from is when the next request may begin, zero where there is no limit.
func (l *limit) from() time.Time {
	if l.interval == 0 || l.next.IsZero() {
		return time.Time{}
	}
	return l.next.Add(-l.slack)
}

// waits says that no request may begin now.
func (l *limit) waits(now time.Time) bool { return l.interval > 0 && now.Before(l.from()) }

// begun counts a request.
func (l *limit) begun(now time.Time) {
	if l.interval == 0 {
		return
	}
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(l.interval)
}

// start lets only one request begin now, and the next after an interval: nothing is known of what was begun before.
func (l *limit) start(now time.Time) {
	if l.slack > 0 {
		l.next = now.Add(l.slack)
	}
}

// ahead is how many rows are to be read for it at once, most where there is no limit.
func (l *limit) ahead(most int) int {
	if l.interval == 0 {
		return most
	}
	return min(most, max(1, int(limitAhead/l.interval)))
}

// takes is how long so many requests take to be begun.
func (l *limit) takes(n int) time.Duration { return time.Duration(n) * l.interval }

// requestsWaiting is about how many requests are to be begun for what waits in memory.
func (s *subscription) requestsWaiting() int {
	if s.batch != nil {
		return s.waiting/s.batch.Max - s.inFlight
	}
	return s.waiting - s.inFlight
}

// spend keeps what a subscription has used of its limit when its state is forgotten.
func (d *Dispatcher) spend(s *subscription, now time.Time) {
	if s.limit.isSet() && s.limit.next.After(now) {
		d.spent[s.key] = s.limit.next
	}
}

// forgetSpent drops some of what is over.
func (d *Dispatcher) forgetSpent(now time.Time) {
	looks := dropLooks
	for key, next := range d.spent {
		if !next.After(now) {
			delete(d.spent, key)
		}
		if looks--; looks == 0 {
			return
		}
	}
}
