package sender

import (
	"context"
	"time"
)

const (
	// fetchMore is how many due deliveries are read beyond the slots, so that they do not wait for the store.
	fetchMore = 64
	// fetchPause is between looks into a store that does not answer; fetchTimeout bounds a look.
	fetchPause   = time.Second
	fetchTimeout = 30 * time.Second
	// fetchIdle is the longest time without a look, should a wake-up be lost.
	fetchIdle = 30 * time.Second
)

// farFuture is later than all that is due: what is to be dropped is not waited for.
var farFuture = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// fetchLoop reads deliveries from the store when they are due. Those under way and waiting are few: the rest costs
// nothing but its row.
func (d *Dispatcher) fetchLoop(ctx context.Context) {
	for ctx.Err() == nil {
		s, look, wait := d.toFetch(time.Now())
		if s == nil {
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-d.wakeFetcher:
			case <-t.C:
			}
			t.Stop()
			continue
		}
		fctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		due, next, err := d.look(fctx, s, look)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				d.cfg.Log.Warn("due deliveries cannot be read", "subscription", s.id, "error", err)
			}
			t := time.NewTimer(fetchPause)
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			t.Stop()
			due, next = nil, look.Now
		}
		d.fetched(s, look, due, next)
	}
}

// look reads what is due, and merges what waits behind it where that is wanted.
func (d *Dispatcher) look(ctx context.Context, s *subscription, look Look) ([]Due, time.Time, error) {
	due, next, err := d.store.Due(ctx, s.key, look)
	if err != nil || len(due) == 0 {
		return due, next, err
	}
	m := d.merging(s)
	if m == nil || look.PerKey > 1 { // changed since it was looked for
		return due, next, nil
	}
	due, more, err := d.merge(ctx, m, look, due)
	if more {
		next = look.Now
	}
	return due, next, err
}

// toFetch picks the subscription that has been due longest and has room, or says how long there is none.
func (d *Dispatcher) toFetch(now time.Time) (*subscription, Look, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wait := fetchIdle
	room := d.read.limit - d.read.used
	if room <= 0 {
		d.hurry()
		d.launch(d.schedule())
	}
	if d.halted() || room <= 0 {
		return nil, Look{}, wait
	}
	if len(d.agenda) == 0 {
		return nil, Look{}, wait
	}
	best := d.agenda[0]
	if at := best.lookAt(); at.After(now) {
		return nil, Look{}, min(wait, at.Sub(now))
	}
	look := Look{Now: now, Rows: max(1, best.ahead()-best.due.len()), Bytes: room/2 + 1, Skip: make([]int64, 0, len(best.busy))}
	for key := range best.busy {
		look.Skip = append(look.Skip, key)
	}
	if g := best.batch; g != nil && !best.silent() {
		if best.debounce <= 0 { // else what is behind a row is merged into it
			look.PerKey = g.Max
		}
		look.Rows = max(look.Rows, g.Max)
		if !best.open {
			look.Rows = max(look.Rows, 2*g.Max-best.due.len())
		}
	}
	if best.silent() {
		look.Now = farFuture
	}
	d.fetching = true
	best.nextDue, best.looking = time.Time{}, true
	d.enter(best)
	return best, look, 0
}

// fetched puts deliveries that were read to work.
func (d *Dispatcher) fetched(s *subscription, look Look, due []Due, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fetching, s.looking = false, false
	if s.removed {
		return
	}
	if s.silent() != look.Now.Equal(farFuture) {
		d.lookSoon(s, time.Now()) // it was changed meanwhile: what was read is not due, or not all of it was
		return
	}
	if !next.IsZero() {
		if s.silent() {
			next = time.Now()
		}
		d.lookSoon(s, next)
	}
	if s.held || d.halted() || s.pauses(time.Now()) {
		if len(due) > 0 {
			d.lookSoon(s, time.Now())
		}
		return
	}
	now := time.Now()
	var last *delivery
	for i := range due {
		x := &due[i]
		if i > 0 && due[i-1].Key == x.Key {
			last = d.readBehind(last, x)
			continue
		}
		last = nil
		l := s.lanes[x.Key]
		if _, busy := s.busy[x.Key]; busy || l != nil && l.current != nil {
			continue // not skipped as it should be; the record of its end has the fetcher look again
		}
		if l == nil {
			l = &lane{sub: s, key: x.Key}
			s.keep(l)
		}
		dl := &delivery{event: x.Event, lane: l, attempts: x.Attempts, retryReason: x.RetryReason, stored: true, replay: x.Replay, before: x.Before, fallback: x.Fallback, submitted: now,
			price: int64(x.Event.Size()) + eventOverhead + deliveryOverhead, merged: x.merged}
		if dl.merged != nil {
			dl.price += rowSize * int64(len(dl.merged.rows))
		}
		s.markBusy(x.Key)
		s.replays = s.replays || x.Replay
		if x.Lost {
			d.lost(dl)
			continue
		}
		d.read.take(dl.price)
		if s.silent() {
			d.drop(dl, s.dropped)
			d.forget(l)
			continue
		}
		if dl.merged != nil && dl.merged.nothing {
			d.fold(dl)
			d.drop(dl, DropDebounced)
			d.forget(l)
			continue
		}
		l.current = dl
		d.enqueue(s, &s.due, dl)
		last = dl
	}
	if s.batch != nil {
		s.batch.short = 0
		d.makeReady(s)
	}
	d.enter(s) // it may have enough now
	d.launch(d.schedule())
}

// readBehind lets a row wait behind the one of its key that was read before it, for the same request. Where that is not sent, or
// the event is gone, it is read again when it is the oldest; nil is returned then.
func (d *Dispatcher) readBehind(before *delivery, x *Due) *delivery {
	if before == nil || x.Lost {
		return nil
	}
	dl := &delivery{event: x.Event, lane: before.lane, attempts: x.Attempts, retryReason: x.RetryReason, stored: true, replay: x.Replay,
		before: x.Before, fallback: x.Fallback, submitted: before.submitted,
		price: int64(x.Event.Size()) + eventOverhead + deliveryOverhead}
	dl.lane.sub.replays = dl.lane.sub.replays || x.Replay
	d.read.take(dl.price)
	before.with = dl
	return dl
}

// lost ends a delivery whose event is not in the store any more.
func (d *Dispatcher) lost(dl *delivery) {
	dl.price = 0
	dl.retryReason = ReasonExpired
	d.cfg.Log.Error("a delivery failed: its event is not in the store any more", "subscription", dl.lane.sub.id,
		"position", dl.event.Position.String())
	d.finish(dl, StatusFailed, nil)
}
