package sender

import (
	"context"
	"log/slog"
	"time"
)

// attempt makes one attempt and lets its outcome take effect. It returns the buffer for the next one.
func (d *Dispatcher) attempt(dl *delivery, buf []byte) []byte {
	d.mu.Lock()
	s := dl.lane.sub
	t, broken, timeout, sub := s.target, s.broken, s.timeout, s.sub
	a := attempt{event: dl.event, number: dl.attempts + 1, retryReason: dl.retryReason, timeout: timeout}
	d.mu.Unlock()

	var out Outcome
	if broken != nil {
		out = Outcome{Started: time.Now()}.failed(ReasonConfiguration, broken)
	} else {
		buf = appendStandard(buf, dl.event)
		out = t.send(d.sendCtx, a, buf)
	}

	report := Report{Event: dl.event, Subscription: sub, Attempt: a.number, Outcome: out}
	d.mu.Lock()
	report.Next = d.ended(dl, &out)
	d.mu.Unlock()

	level := slog.LevelDebug
	if out.Verdict == Retry || out.Verdict == Gone {
		level = slog.LevelInfo
	}
	if d.cfg.Log.Enabled(context.Background(), level) {
		attrs := []any{"event", report.Event.ID, "type", report.Event.Type, "position", report.Event.Position.String(),
			"subscription", sub.ID, "attempt", a.number, "outcome", out}
		if !report.Next.IsZero() {
			attrs = append(attrs, "next", report.Next.UTC().Format(time.RFC3339))
		}
		d.cfg.Log.Log(context.Background(), level, attemptMessage(out.Verdict, report.Next), attrs...)
	}
	if d.cfg.OnAttempt != nil {
		d.cfg.OnAttempt(report)
	}
	if out.Verdict == Gone && d.cfg.OnGone != nil {
		d.cfg.OnGone(d.sendCtx, sub)
	}
	if cap(buf) > 1<<20 {
		return nil
	}
	return buf
}

func attemptMessage(v Verdict, next time.Time) string {
	switch {
	case v == Delivered:
		return "delivered"
	case v == Gone:
		return "target is gone: subscription deleted"
	case v == Interrupted:
		return "attempt cut short by our own stop"
	case next.IsZero():
		return "delivery failed: the schedule is over"
	}
	return "attempt failed"
}

// ended lets an outcome take effect, and returns when the next attempt is due. It is called with the mutex held.
func (d *Dispatcher) ended(dl *delivery, out *Outcome) time.Time {
	l, s := dl.lane, dl.lane.sub
	dl.running = false
	s.inFlight--
	d.inFlight--
	d.makeReady(s)
	if s.gone || out.Verdict == Gone {
		// Deleted, or about to be: what is not under way is settled, and rows go with the subscription.
		if out.Verdict == Gone {
			d.removed[s.sub.Key] = true
		}
		if !s.gone {
			d.gone(s)
		}
		l.current = nil
		d.settle(dl)
		d.forget(l)
		if s.inFlight == 0 && len(s.lanes) == 0 && s.rows == 0 {
			delete(d.subs, s.sub.Key)
		}
		return time.Time{}
	}
	now := time.Now()
	switch out.Verdict {
	case Delivered:
		s.lastDone = now
		dl.attempts++
		d.finish(dl, StatusDelivered, out)
		return time.Time{}
	case Interrupted:
		d.postpone(dl, now, nil)
		return time.Time{}
	}
	dl.attempts++
	dl.retryReason = out.Reason
	delay, more := nextDelay(s.retries, dl.attempts)
	if !more {
		d.finish(dl, StatusFailed, out)
		return time.Time{}
	}
	d.postpone(dl, now.Add(delay), out)
	return now.Add(delay)
}

// finish records the end of a delivery and lets the next of its lane start.
func (d *Dispatcher) finish(dl *delivery, status Status, out *Outcome) {
	l := dl.lane
	d.record(Record{Op: Finish, Event: dl.event, Subscription: l.sub.sub.Key, Key: l.key, Stored: dl.stored, Status: status,
		Attempts: dl.attempts, RetryReason: dl.retryReason, Outcome: out, delivery: dl})
	l.current = nil
	if len(l.queue) > 0 {
		l.current = l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		d.enqueue(l.sub, &l.sub.fresh, l.current)
		return
	}
	d.forget(l)
}

// postpone writes the delivery as due at the time, and with it all that waits behind it.
func (d *Dispatcher) postpone(dl *delivery, at time.Time, out *Outcome) {
	l := dl.lane
	l.current = nil
	if dl.stored {
		d.record(Record{Op: Reschedule, Event: dl.event, Subscription: l.sub.sub.Key, Key: l.key, Stored: true,
			Attempts: dl.attempts, DueAt: at, RetryReason: dl.retryReason, Outcome: out, delivery: dl})
		d.forget(l)
		return
	}
	d.deferred(dl, at, out)
	d.storeQueue(l)
}

// forget drops a lane that has nothing.
func (d *Dispatcher) forget(l *lane) {
	if l.current == nil && len(l.queue) == 0 && l.rows == 0 && l.sub.lanes[l.key] == l {
		delete(l.sub.lanes, l.key)
	}
}

// deferred records a due row and counts it.
func (d *Dispatcher) deferred(dl *delivery, at time.Time, out *Outcome) {
	l, s := dl.lane, dl.lane.sub
	dl.stored = true
	s.rows++
	if !s.whole {
		l.rows++
		s.lanes[l.key] = l
	}
	d.stored[s.sub.Key] = s
	d.record(Record{Op: Defer, Event: dl.event, Subscription: s.sub.Key, Key: l.key, Attempts: dl.attempts, DueAt: at,
		RetryReason: dl.retryReason, Outcome: out, delivery: dl})
}

// storeQueue stores all that waits in a lane.
func (d *Dispatcher) storeQueue(l *lane) {
	queue := l.queue
	l.queue = nil
	for _, q := range queue {
		d.deferred(q, time.Now(), nil)
	}
	d.forget(l)
}

// storeLane turns a direct lane into a stored one. What runs goes first, due after its end at the latest: if that comes,
// it changes or removes the row.
func (d *Dispatcher) storeLane(l *lane) {
	if c := l.current; c != nil && !c.stored {
		if c.running {
			d.deferred(c, time.Now().Add(l.sub.timeout+runningGrace), nil)
		} else {
			l.current = nil
			d.deferred(c, time.Now(), nil)
		}
	}
	d.storeQueue(l)
}

// runningGrace is added to the time at which a row of an attempt that still runs would be due.
const runningGrace = 30 * time.Second

// storeWhole lets everything of a subscription go through the store until it has caught up.
func (d *Dispatcher) storeWhole(s *subscription) {
	if s.whole {
		return
	}
	for _, l := range s.lanes {
		d.storeLane(l)
	}
	s.whole = true
	for key, l := range s.lanes {
		// From now on rows are counted for the subscription only.
		l.rows = 0
		if l.current == nil {
			delete(s.lanes, key)
		}
	}
	d.cfg.Log.Info("a target is slower than its events come: they go through the store until it has caught up", "subscription", s.sub.ID)
}

// stalled is how long nothing may succeed before a subscription that fills the memory goes through the store.
const stalled = 250 * time.Millisecond

// relieve is called when the memory is full: a subscription that holds more than a quarter of it, and gets nowhere, must
// not keep the others from theirs.
func (d *Dispatcher) relieve() {
	now := time.Now()
	for _, s := range d.subs {
		if !s.whole && s.bytes > d.budget.limit/4 && now.Sub(s.lastDone) > stalled {
			d.storeWhole(s)
		}
	}
}

// expire stores what has waited in memory for too long. One that waits for its key concerns its key; one that waits for
// a slot says that the target is too slow for what comes.
func (d *Dispatcher) expire(now time.Time) {
	for dl := d.ages.first; dl != nil && now.Sub(dl.submitted) > d.cfg.Hold; dl = d.ages.first {
		l := dl.lane
		switch {
		case dl.stored:
			d.ages.remove(dl)
		case l.current == dl && !dl.running:
			d.storeWhole(l.sub)
		default:
			d.storeLane(l)
		}
		if d.ages.first == dl {
			d.ages.remove(dl)
		}
	}
}
