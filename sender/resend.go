package sender

import (
	"context"
	"errors"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// ErrSuspended says that nothing is sent by this process now: another one may be sending.
var ErrSuspended = errors.New("this process does not send now")

// Resend lets deliveries be sent again, marked as replays, and returns when they have their rows in the store: from then on
// they are sent, also by whoever comes after us. Each goes in the place of its event's position among those of its key that
// wait. Of an event only Position, Time, Resource and Instance are used; the rest is read from the store when it is sent. What is for
// subscriptions that were removed, or to which nothing is sent, is left out, and so is what is under way in memory.
//
// The caller leaves out what has a row already, and bounds the number of jobs: there is no waiting for room. The same job may
// come again: after an error it is not known which have their rows. It may be called beside Submit. The error is the context's, ErrSuspended
// or ErrNotOwner.
func (d *Dispatcher) Resend(ctx context.Context, jobs []Job) error {
	// One more, so that it is not settled before all have been taken.
	receipt := cdc.NewReceipt(1)
	d.mu.Lock()
	if d.elsewhere() {
		d.mu.Unlock()
		return ErrSuspended
	}
	now := time.Now()
	for i := range jobs {
		j := &jobs[i]
		if len(j.To) == 0 {
			continue
		}
		receipt.Add(len(j.To))
		b := &body{price: eventOverhead, deliveries: len(j.To), stored: true}
		d.direct.take(b.price + int64(len(j.To))*deliveryOverhead)
		for _, to := range j.To {
			d.submit(&delivery{event: j.Event, body: b, receipt: receipt, submitted: now, deferred: true, replay: true,
				attempts: j.Attempts, before: j.Attempts}, to, now)
		}
	}
	d.launch(d.schedule())
	d.mu.Unlock()
	receipt.Done()
	select {
	case <-receipt.Settled():
	case <-ctx.Done():
		return ctx.Err()
	}
	if receipt.IsAbandoned() {
		return ErrNotOwner
	}
	return nil
}

// sends says whether the event is on its way in memory.
func (l *lane) sends(ev *mapping.Event) bool {
	if l.current != nil && l.current.event.Position == ev.Position {
		return true
	}
	for _, dl := range l.queue {
		if dl.event.Position == ev.Position {
			return true
		}
	}
	return false
}

// Waiting returns how many deliveries of a subscription, by its Key, wait in the store.
func (d *Dispatcher) Waiting(subscription int64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.stored[subscription]; s != nil {
		return s.rows
	}
	return 0
}
