package sender

import "time"

// Pause lets nothing be begun at any target, because a person wants it, since the time; the zero time lets everything go on. What waits in
// memory, and what is submitted meanwhile, is stored as due; requests under way end as they would. The time that passes does not count
// against a target. Unlike with Suspend no other process sends: what is to be sent again is taken, and waits in the store.
func (d *Dispatcher) Pause(since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.pausedSince
	d.pausedSince = since
	switch {
	case !since.IsZero() && before.IsZero():
		d.storeWaiting()
	case since.IsZero() && !before.IsZero():
		now := time.Now()
		for _, t := range d.troubled {
			t.now.LeaveOut(before, now)
		}
		wake(d.wakeFetcher)
		d.launch(d.schedule())
	}
}

// LeaveOut lets a time in which nothing was sent not count against the target.
func (t *Trouble) LeaveOut(from, to time.Time) {
	if t.Since.IsZero() || !t.Since.Before(to) {
		return
	}
	if t.Since.After(from) {
		from = t.Since
	}
	t.Since = t.Since.Add(to.Sub(from))
}

// elsewhere says that nothing is taken to be sent again: another process may be sending, or this one ends.
func (d *Dispatcher) elsewhere() bool { return d.stopping || d.suspended }

// halted says that nothing is begun.
func (d *Dispatcher) halted() bool { return d.elsewhere() || !d.pausedSince.IsZero() }
