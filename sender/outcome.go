package sender

import (
	"context"
	"time"
)

// attempt makes one attempt and lets its outcome take effect.
func (d *Dispatcher) attempt(dl *delivery) {
	d.mu.Lock()
	s := dl.lane.sub
	d.prepare(s)
	t, broken, sub, ctx := s.target, s.broken, s.sub, s.ctx
	if dl.fallback != nil {
		if sub.FallbackURL == "" {
			dl.leaveFallback()
		} else {
			f := d.prepareFallback(s)
			t, broken = f.target, f.broken
		}
	}
	a := attempt{event: dl.event, number: dl.attempts + 1, retryReason: dl.retryReason, timeout: s.timeout, replay: dl.replay, fallback: dl.fallback}
	if dl.batched && (broken != nil || t.batch) {
		a.join(dl)
	}
	if dl.rendered > 0 {
		a.composed = func(size int) { d.composed(dl, size) }
	}
	d.mu.Unlock()

	report := Report{Event: a.event, Messages: a.messages, Subscription: sub, Attempt: a.number, Replay: a.replay}
	var traced func(Report)
	if d.cfg.Trace != nil && ctx.Err() == nil {
		a.traceparent, traced = d.cfg.Trace(report)
	}
	var out Outcome
	switch {
	case ctx.Err() != nil:
		out = Outcome{Started: time.Now(), Verdict: Interrupted}
	case broken == nil && dl.with != nil && !t.batch:
		out = Outcome{Started: time.Now(), Verdict: Interrupted} // changed since they were taken: each has a request of its own now
	case broken != nil:
		out = Outcome{Started: time.Now()}.failed(ReasonConfiguration, broken)
	default:
		if dl.body != nil && dl.body.shared && t.shape == nil && !t.mayOmit(dl.event) {
			out, _ = t.send(ctx, a, dl.body.textOf(dl.event))
		} else {
			out = t.deliver(ctx, a)
		}
	}

	report.Outcome = out
	d.mu.Lock()
	d.charge(dl, 0)
	out.Fallback = a.fallback != nil
	next, tell := d.ended(dl, &out)
	report.Outcome.Verdict, report.Outcome.Fallback = out.Verdict, out.Fallback // that of an old event is none that waits
	report.FallsBack = !out.Fallback && dl.fallback != nil
	if out.Verdict == Retry && next.IsZero() && s.silent() {
		report.Dropped = s.dropped
	}
	failures := 0
	if (out.Verdict == Retry || out.Verdict == Wait) && !next.IsZero() {
		failures = s.failures.add(time.Now())
	}
	if tell != nil {
		d.attempts.Go(func() { tell(d.sendCtx) })
	}
	d.mu.Unlock()
	report.Next = next
	d.tell(report, failures)
	if traced != nil {
		traced(report)
	}
}

// tell tells of an attempt; failures are those of its subscription that are told of with it.
func (d *Dispatcher) tell(r Report, failures int) {
	level := levelOf(r.Outcome.Verdict, r.Next.IsZero() || r.FallsBack, failures)
	if ctx := context.Background(); d.cfg.Log.Enabled(ctx, level) {
		attrs := []any{"event", r.Event.ID, "type", r.Event.Type, "position", r.Event.Position.String(),
			"subscription", r.Subscription.ID, "attempt", r.Attempt, "outcome", r.Outcome}
		if r.Replay {
			attrs = append(attrs, "replay", true)
		}
		if !r.Next.IsZero() {
			attrs = append(attrs, "next", r.Next.UTC().Format(time.RFC3339))
		}
		if failures > 1 {
			attrs = append(attrs, "and_others", failures-1)
		}
		if r.Messages != nil {
			attrs = append(attrs, "messages", len(r.Messages))
		}
		d.cfg.Log.Log(ctx, level, attemptMessage(&r), attrs...)
	}
	if d.cfg.OnAttempt != nil {
		d.cfg.OnAttempt(r)
	}
}

func attemptMessage(r *Report) string {
	switch v := r.Outcome.Verdict; {
	case v == Delivered:
		return "delivered"
	case v == Gone:
		return "target is gone: the subscription is deleted"
	case v == Interrupted:
		return "attempt cut short by our own stop"
	case v == Drop:
		return "delivery dropped: the target wants no more attempts of it"
	case v == Split:
		return "the target takes no batch of this size: it is sent again in smaller ones"
	case v == Wait && r.Outcome.Reason == ReasonProxy:
		return "the egress proxy cannot be used: the subscription waits"
	case v == Wait:
		return "the target asks for time: its subscription waits"
	case r.Dropped != 0:
		return "attempt failed: nothing is sent to the subscription any more"
	case r.FallsBack:
		return "attempt failed: the schedule is over, the fallback is next"
	case r.Next.IsZero():
		return "delivery failed: the schedule is over"
	}
	return "attempt failed"
}

// ended lets an outcome take effect, and returns when the next attempt is due, and how to tell the owner of what it means for the
// subscription, nil when there is nothing to tell. It is called with the mutex held.
func (d *Dispatcher) ended(dl *delivery, out *Outcome) (next time.Time, tell func(context.Context)) {
	s := dl.lane.sub
	for m := dl; m != nil; m = m.with {
		m.running = false
	}
	s.inFlight--
	d.inFlight--
	probe := d.probed(s)
	if s.removed {
		for m := dl; m != nil; m = m.with {
			m.lane.current = nil
			d.settle(m)
		}
		d.dropRemoved(s)
		return time.Time{}, nil
	}
	d.makeReady(s)
	defer d.shed()
	now := time.Now()
	if out.Verdict != Interrupted {
		s.answered(out.Duration)
	}
	if s.open {
		s.probeAt = now // another failure has the next attempt wait, nothing else: see failed
		d.enter(s)
		wake(d.wakeFetcher)
	}
	if out.Fallback && (out.Verdict == Gone || out.Verdict == Wait && out.Reason != ReasonProxy) {
		out.Verdict = Retry // it speaks for itself, not for the target
	}
	if out.Verdict == Wait && s.silent() {
		out.Verdict = Retry // nobody is asked again: it was the last one
	}
	if out.Verdict == Wait && now.Sub(dl.oldest()) > patience {
		out.Verdict = Retry // it has been asked to wait for days: the schedule goes on, and ends
		if at := now.Add(out.After); at.After(s.pausedUntil) {
			defer d.pause(s, at)
		}
	}
	if s.tooLarge(dl, out) {
		out.Verdict = Split
	}
	switch out.Verdict {
	case Delivered:
		s.moved = now
		if !out.Fallback {
			d.takes(s.key)
			s.widen(now)
			d.succeeds(s)
			s.batch.took()
		}
		d.succeeded++
		for m := dl; m != nil; m = m.with {
			m.attempts++
			d.finish(m, StatusDelivered, out)
		}
		return time.Time{}, nil
	case Interrupted, Split:
		for m := dl; m != nil; m = m.with {
			d.postpone(m, now, nil)
		}
		return time.Time{}, nil
	case Wait:
		next = now.Add(out.After)
		for m := dl; m != nil; m = m.with {
			d.postpone(m, next, out.of(m))
		}
		d.pause(s, next)
		if out.Reason == ReasonProxy {
			return next, nil // the target has done nothing
		}
		return next, d.dies(s, d.fails(s.key, now, out), now, out)
	case Drop:
		for m := dl; m != nil; m = m.with {
			m.attempts++
			d.finish(m, StatusDropped, out.of(m))
		}
		return time.Time{}, nil
	case Gone:
		// Nothing is settled before the subscription is deleted: if we die before, all of it is still there.
		first := !s.held
		for m := dl; m != nil; m = m.with {
			d.postpone(m, now, nil)
		}
		d.hold(s)
		switch {
		case !first:
		case d.cfg.OnGone == nil:
			d.removed[s.key] = true
			d.remove(s)
		default:
			sub := s.sub
			tell = func(ctx context.Context) { d.cfg.OnGone(ctx, sub) }
		}
		return time.Time{}, tell
	}
	if out.Fallback {
		return d.missed(dl, out, now), nil
	}
	defer d.failed(s, out, probe)
	if out.Duration > slowFailure || out.Reason == ReasonTimeout {
		s.narrow()
	}
	var again schedule
	silent := s.silent()
	for m := dl; m != nil; m = m.with {
		m.attempts++
		m.retryReason = out.Reason
		if silent {
			d.tellDropped(s.dropped)
			d.finish(m, StatusDropped, out.of(m))
			continue
		}
		delay, more := again.after(s.retries, m.attempts-m.before)
		at := now.Add(delay)
		if !more {
			at, more = d.fallsBack(m, out, now)
		}
		if more {
			d.postpone(m, at, out.of(m))
		} else {
			d.finish(m, StatusFailed, out.of(m))
		}
		if more && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if silent {
		return time.Time{}, nil
	}
	return next, d.dies(s, d.fails(s.key, now, out), now, out)
}

// finish records the end of a delivery and lets the next of its lane start.
func (d *Dispatcher) finish(dl *delivery, status Status, out *Outcome) {
	l := dl.lane
	d.fold(dl)
	r := Record{Op: Finish, Event: dl.event, Subscription: l.sub.key, Key: l.key, Stored: dl.stored, Status: status,
		Attempts: dl.attempts, RetryReason: dl.retryReason, Outcome: out, Replay: dl.replay, Gap: dl.gap(), delivery: dl}
	if status == StatusDropped {
		r.Dropped = l.sub.dropped
	}
	d.record(r)
	l.current = nil
	switch f := dl.follower(); {
	case f != nil:
		l.current, f.trails = f, dl.trails
	case len(l.queue) == 0:
		d.forget(l)
	case d.halted(), l.rows > 0:
		d.storeQueue(l)
	default:
		l.current = l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		d.enqueue(l.sub, &l.sub.fresh, l.current)
	}
}

// postpone writes the delivery as due at the time, and with it all that waits behind it.
func (d *Dispatcher) postpone(dl *delivery, at time.Time, out *Outcome) {
	l := dl.lane
	l.current = nil
	if f := dl.follower(); f != nil {
		l.current, f.trails = f, true
	}
	if dl.stored {
		d.record(Record{Op: Reschedule, Event: dl.event, Row: dl.row(), Subscription: l.sub.key, Key: l.key, Stored: true, Behind: dl.trails,
			Attempts: dl.attempts, DueAt: at, RetryReason: dl.retryReason, Outcome: out, Replay: dl.replay, Fallback: dl.fallback, delivery: dl})
		d.forget(l)
		return
	}
	d.deferred(dl, at, out)
	if l.current == nil {
		d.storeQueue(l)
	}
}
