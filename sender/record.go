package sender

import (
	"context"
	"time"
)

const (
	// gather is how long records wait for company; recordsMax how many are written together.
	gather     = 5 * time.Millisecond
	recordsMax = 1000
	enough     = 500
	// writePauseMin and writePauseMax bound the waits between tries of a store that does not take them.
	writePauseMin = 100 * time.Millisecond
	writePauseMax = 5 * time.Second
)

// record queues something to be made durable. It is called with the mutex held.
func (d *Dispatcher) record(r Record) {
	if dl := r.delivery; dl != nil {
		d.ages.remove(dl)
		if r.Stored {
			s := dl.lane.sub
			if s.pending == nil {
				s.pending = map[int64]int{}
			}
			s.pending[r.Key]++
			s.touch(r.Key)
		}
	}
	d.records = append(d.records, r)
	if n := len(d.records); n == 1 || n == enough {
		wake(d.wakeRecorder)
	}
}

// touch tells a look into the store that is under way that what it finds of the key is old.
func (s *subscription) touch(key int64) {
	if s.fetching {
		s.touched[key] = struct{}{}
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// recordLoop writes records together, one transaction at a time, in the order in which they were made.
func (d *Dispatcher) recordLoop(ctx context.Context) {
	for {
		select {
		case <-d.wakeRecorder:
		case <-ctx.Done():
			d.flush(ctx)
			return
		}
		d.mu.Lock()
		few := len(d.records) < enough
		d.mu.Unlock()
		if few {
			t := time.NewTimer(gather)
			select {
			case <-t.C:
			case <-d.wakeRecorder:
			case <-ctx.Done():
			}
			t.Stop()
		}
		d.flush(ctx)
	}
}

// flush writes all there is. It gives up only when ctx is done and the store does not take them.
func (d *Dispatcher) flush(ctx context.Context) {
	for {
		d.mu.Lock()
		n := min(len(d.records), recordsMax)
		batch := append([]Record(nil), d.records[:n]...)
		d.records = append(d.records[:0], d.records[n:]...)
		clear(d.records[len(d.records):cap(d.records)])
		d.writing = n > 0
		d.mu.Unlock()
		if n == 0 {
			return
		}
		if !d.write(ctx, batch) {
			return
		}
		d.written(batch)
	}
}

// write makes the records durable, trying as long as it takes.
func (d *Dispatcher) write(ctx context.Context, batch []Record) bool {
	inserted := map[*body]bool{}
	for i := range batch {
		r := &batch[i]
		if r.delivery == nil || r.delivery.body == nil {
			continue
		}
		if b := r.delivery.body; !b.stored && !inserted[b] {
			r.InsertEvent, inserted[b] = true, true
		}
	}
	pause, last := writePauseMin, ""
	for {
		wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := d.store.Write(wctx, batch)
		cancel()
		if err == nil {
			for b := range inserted {
				b.stored = true
			}
			if last != "" {
				d.cfg.Log.Info("the store takes outcomes again")
			}
			d.setWriteError("")
			return true
		}
		if text := err.Error(); text != last {
			d.cfg.Log.Error("outcomes cannot be stored: nothing is acknowledged until they are", "records", len(batch), "error", text)
			last = text
			d.setWriteError(text)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, writePauseMax)
		case <-ctx.Done():
			return false
		}
	}
}

func (d *Dispatcher) setWriteError(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeError = text
}

// WriteError is why the store does not take outcomes, or empty.
func (d *Dispatcher) WriteError() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writeError
}

// written lets durable records take effect.
func (d *Dispatcher) written(batch []Record) {
	d.mu.Lock()
	now := time.Now()
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
		d.settle(dl)
		if r.Stored {
			if s.pending[r.Key]--; s.pending[r.Key] <= 0 {
				delete(s.pending, r.Key)
			}
			s.touch(r.Key)
		}
		switch r.Op {
		case Defer, Reschedule:
			d.lookSoon(s, r.DueAt)
		case Finish:
			if r.Stored {
				d.rowGone(s, dl.lane, now)
			}
		}
	}
	d.writing = false
	start := d.schedule()
	d.mu.Unlock()
	d.launch(start)
}

// rowGone counts a row that is not there any more; the next of its key is due at once.
func (d *Dispatcher) rowGone(s *subscription, l *lane, now time.Time) {
	if s.gone {
		return
	}
	s.rows--
	if !s.whole && l.rows > 0 {
		l.rows--
		d.forget(l)
	}
	if s.rows > 0 {
		d.lookSoon(s, now)
		return
	}
	delete(d.stored, s.sub.Key)
	s.pending, s.nextDue = nil, time.Time{}
	if s.whole {
		s.whole = false
		d.cfg.Log.Info("a target has caught up", "subscription", s.sub.ID)
	}
}

// lookSoon makes the fetcher look at the time, or earlier.
func (d *Dispatcher) lookSoon(s *subscription, at time.Time) {
	if s.nextDue.IsZero() || at.Before(s.nextDue) {
		s.nextDue = at
		wake(d.wakeFetcher)
	}
}

// settle gives back what a delivery holds. It is called with the mutex held, more than once for some.
func (d *Dispatcher) settle(dl *delivery) {
	d.ages.remove(dl)
	if dl.receipt == nil {
		return
	}
	d.counts.InMemory--
	dl.lane.sub.bytes -= int64(len(dl.event.Data)) + deliveryOverhead
	if dl.body.deliveries--; dl.body.deliveries == 0 {
		d.budget.give(dl.body.price)
	}
	dl.receipt.Done()
	dl.receipt = nil
}
