package sender

import "time"

const (
	// stalled is how long nothing may succeed before a subscription that fills the memory goes through the store.
	stalled = 250 * time.Millisecond
	// alive is how long ago a subscription may have succeeded last for others to be compared with it.
	alive = 4 * stalled
	// slower is how many times as long a target takes for a request, compared with that of the subscription that waits
	// least, to be what the others wait for. Where all take long because the machine is busy, nobody is.
	slower = 4
)

// relieve is called when the memory is full. A subscription must not keep the others from theirs: one that holds more than
// a quarter of the memory and gets nowhere goes through the store, and so does, one at a time, the one that holds most of
// those whose targets are slower than what they are sent while somebody else has next to nothing to do.
func (d *Dispatcher) relieve() {
	now := time.Now()
	if now.Sub(d.relieved) < stalled/4 {
		return // it is asked often, and there may be many
	}
	d.relieved = now
	d.hurry()
	var front *subscription
	var least time.Duration
	for _, s := range d.subs {
		if s.whole || s.held || s.removed {
			continue
		}
		if s.limit.waits(now) && s.lag(now) > stalled {
			d.storeWhole(s) // it has as much as it may send, and what waits waits in vain
			continue
		}
		if s.bytes > d.direct.limit/4 && now.Sub(s.moved) > stalled {
			d.storeWhole(s)
			continue
		}
		if s.took > 0 && now.Sub(s.moved) < alive {
			if lag := s.lag(now); front == nil || lag < least {
				front, least = s, lag
			}
		}
	}
	if front == nil {
		return
	}
	var most *subscription
	for _, s := range d.subs {
		if s.whole || s.held || s.removed || s.took <= slower*front.took || most != nil && s.bytes <= most.bytes {
			continue
		}
		if s.lag(now) > 2*least+2*stalled {
			most = s
		}
	}
	if most != nil {
		d.storeWhole(most)
	}
}

// lag is how long the oldest delivery has waited that may start, zero when none does.
func (s *subscription) lag(now time.Time) time.Duration {
	for s.fresh.len() > 0 {
		if dl := s.fresh.peek(); dl.lane.current == dl && !dl.running {
			return now.Sub(dl.submitted)
		}
		s.fresh.pop() // it was stored, or settled, while it waited
	}
	return 0
}

// answered notes how long a request took: an average of the last ones.
func (s *subscription) answered(took time.Duration) {
	if s.took == 0 {
		s.took = took
	}
	s.took += (took - s.took) / 8
}
