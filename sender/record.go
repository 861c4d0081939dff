package sender

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// gather is how long records wait for company; enough ends the wait; recordsMax is how many are written together.
	gather     = 20 * time.Millisecond
	enough     = 500
	recordsMax = 1000
	// writePauseMin and writePauseMax bound the waits between tries of a store that does not take them; writeTimeout
	// bounds a try.
	writePauseMin = 100 * time.Millisecond
	writePauseMax = 5 * time.Second
	writeTimeout  = 30 * time.Second
	// recordsKept is how large a buffer for records may be to be used again.
	recordsKept = 4096
)

// record queues something to be made durable. It is called with the mutex held. Of one ordering key, records are made
// in the order of its events: what is in the store of a key is never without what comes before.
func (d *Dispatcher) record(r Record) {
	if dl := r.delivery; dl != nil {
		d.ages.remove(dl)
		dl.decided()
	}
	d.records = append(d.records, r)
	if n := len(d.records); n == 1 || n == enough {
		wake(d.wakeRecorder)
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// recordLoop writes records together, one transaction at a time, in the order in which they were made. It ends when ctx
// is done and all is written, or the store does not take what is left.
func (d *Dispatcher) recordLoop(ctx context.Context) {
	var spare []Record
	gathered := time.NewTimer(gather)
	defer gathered.Stop()
	for {
		select {
		case <-d.wakeRecorder:
		case <-ctx.Done():
			d.flushAll(ctx, spare)
			return
		}
		d.mu.Lock()
		n, few := len(d.records), len(d.records) < enough && d.free() > 0
		d.mu.Unlock()
		if n == 0 {
			continue // the wake-up was for what is written already
		}
		if few {
			gathered.Reset(gather)
			select {
			case <-gathered.C:
			case <-d.wakeRecorder:
			case <-ctx.Done():
			}
		}
		var ok bool
		if spare, _, ok = d.flush(ctx, spare); !ok {
			return
		}
	}
}

// flushAll writes until nothing is left, or the store does not take it.
func (d *Dispatcher) flushAll(ctx context.Context, spare []Record) {
	for {
		var n int
		var ok bool
		if spare, n, ok = d.flush(ctx, spare); n == 0 || !ok {
			return
		}
	}
}

// flush writes what there is now, and returns a buffer to be used again, and how much it was. What comes meanwhile waits
// for company again: a store that is written to without a pause costs a commit for every few events. It is false when
// ctx is done and the store does not take a record: then no later one may be written either.
func (d *Dispatcher) flush(ctx context.Context, spare []Record) (buffer []Record, n int, ok bool) {
	d.mu.Lock()
	all := d.records
	d.records, d.writing = spare[:0], len(all)
	d.mu.Unlock()
	for rest := all; len(rest) > 0; {
		batch := rest[:batchOf(rest)]
		if !d.put(ctx, batch) {
			return nil, len(all), false
		}
		// What is settled has been given back to the budget, so it must not be held until the rest is written.
		clear(batch)
		rest = rest[len(batch):]
	}
	if cap(all) > recordsKept {
		return nil, len(all), true
	}
	return all, len(all), true
}

// put makes the records durable and lets them take effect. What the store refuses for its content is looked for by
// halves, so that it does not hold up the others.
func (d *Dispatcher) put(ctx context.Context, batch []Record) bool {
	var refused *RefusedError
	switch err := d.write(ctx, batch, true); {
	case err == nil:
		d.written(batch)
		return true
	case !errors.As(err, &refused):
		return false
	case len(batch) == 1:
		return d.buryRefused(ctx, &batch[0], refused)
	}
	half := len(batch) / 2
	return d.put(ctx, batch[:half]) && d.put(ctx, batch[half:])
}

// write makes the records durable, trying as long as it takes. With refusals it returns the store's RefusedError, which
// is trouble like any other without. Any other error is that ctx is done and the store does not take them.
func (d *Dispatcher) write(ctx context.Context, batch []Record, refusals bool) error {
	inserted := map[*body]struct{}{}
	for i := range batch {
		r := &batch[i]
		r.InsertEvent = r.Op == Keep
		if r.delivery == nil || r.delivery.body == nil || r.delivery.body.stored {
			continue
		}
		b := r.delivery.body
		if _, ok := inserted[b]; !ok {
			r.InsertEvent, inserted[b] = true, struct{}{}
		}
	}
	d.setWriting(time.Now())
	defer d.setWriting(time.Time{})
	pause, last := writePauseMin, ""
	answers := func() {
		if last != "" {
			d.cfg.Log.Info("the store takes outcomes again")
			d.setWriteError("")
		}
	}
	for {
		wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		err := d.store.Write(wctx, batch)
		cancel()
		switch {
		case err == nil:
			for b := range inserted {
				b.stored = true
			}
			answers()
			return nil
		case errors.Is(err, ErrNotOwner):
			d.setWriteError("")
			d.disown(err)
			return nil
		case refusals && errors.As(err, new(*RefusedError)):
			answers()
			return err
		}
		if text := err.Error(); text != last {
			d.cfg.Log.Error("outcomes cannot be stored: nothing is acknowledged until they are", "records", len(batch), "error", text)
			last = text
			d.setWriteError(text)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
			pause = min(2*pause, writePauseMax)
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// disown is called when the store is not ours any more. What is here, and not in the store, is read again, by whoever
// reads the stream then: nothing of it is sent or written here any more, and its receipts are abandoned.
func (d *Dispatcher) disown(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.disowned {
		d.disowned = true
		d.cfg.Log.Warn("the store is another process's now: what is under way here is left to it", "reason", err)
	}
	if !d.suspended {
		d.suspended = true
		d.storeWaiting()
	}
}

func (d *Dispatcher) setWriteError(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeError = text
}

// silentAfter is how long a write may take before the store is said not to answer: much longer than one takes that is
// only slow.
const silentAfter = 5 * time.Second

func (d *Dispatcher) setWriting(since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writingSince = since
}

// WriteError is why the store does not take outcomes, also that it does not answer; or empty.
func (d *Dispatcher) WriteError() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if since := d.writingSince; d.writeError == "" && !since.IsZero() && time.Since(since) > silentAfter {
		return fmt.Sprintf("the store has not answered for %s: a lock, or a server that is overloaded or out of reach", time.Since(since).Round(time.Second))
	}
	return d.writeError
}

// written lets durable records take effect.
func (d *Dispatcher) written(batch []Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.takeEffect(batch)
}

func (d *Dispatcher) takeEffect(batch []Record) {
	now := time.Now()
	d.writing -= len(batch)
	for i := range batch {
		r := &batch[i]
		if r.settle != nil {
			r.settle()
		}
		dl := r.delivery
		if dl == nil {
			continue
		}
		s := dl.lane.sub
		if r.Op == Finish && r.Status == StatusDelivered && dl.with == nil {
			d.succeeded--
		}
		d.settle(dl)
		if s.removed {
			continue
		}
		if (r.Stored || dl.refused) && dl.follower() == nil {
			delete(s.busy, r.Key)
		}
		if dl.refused && s.rows > 0 {
			d.lookSoon(s, now)
		}
		switch r.Op {
		case Reschedule:
			at := r.DueAt
			if s.replays {
				at = now // one that is older may have come meanwhile, and goes before it
			}
			d.lookSoon(s, at)
		case Defer:
			if s.batch != nil && s.debounce <= 0 {
				d.readAgain(s, dl, now)
			}
			d.lookSoon(s, r.DueAt)
		case Finish:
			if r.Stored && !dl.refused {
				d.rowGone(s, dl.lane, now)
			}
		}
	}
	d.launch(d.schedule())
}

// rowGone counts a row that is not there any more; the next of its key is due at once.
func (d *Dispatcher) rowGone(s *subscription, l *lane, now time.Time) {
	s.rows--
	if !s.whole {
		if l.rows--; l.rows == 0 {
			s.keys--
			d.storedKeys--
			d.forget(l)
		}
	}
	if s.rows > 0 {
		d.lookSoon(s, now)
		return
	}
	delete(d.stored, s.key)
	s.nextDue, s.replays = time.Time{}, false
	d.agenda.remove(s)
	if s.whole {
		s.whole = false
		d.tellWhole(&d.caughtUp, "a target has caught up", s)
	}
}

// lookSoon makes the fetcher look at the time, or earlier.
func (d *Dispatcher) lookSoon(s *subscription, at time.Time) {
	if s.nextDue.IsZero() || at.Before(s.nextDue) {
		s.nextDue = at
		d.enter(s)
	} else if s.batch != nil {
		d.enter(s)
	}
	wake(d.wakeFetcher)
}
