package sender

import (
	"context"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// Notify lets an event that is in the store be sent to a subscription before all that waits for it, and returns when it has its row. The
// subscription should be one that nothing is sent to yet. It may be called beside Submit. The error is the context's, ErrSuspended
// or ErrNotOwner.
func (d *Dispatcher) Notify(ctx context.Context, ev *mapping.Event, to *subscriptions.Subscription) error {
	receipt := cdc.NewReceipt(1)
	d.mu.Lock()
	if d.elsewhere() {
		d.mu.Unlock()
		return ErrSuspended
	}
	b := &body{price: eventOverhead, deliveries: 1, stored: true}
	d.direct.take(b.price + deliveryOverhead)
	now := time.Now()
	d.submit(&delivery{event: ev, body: b, receipt: receipt, submitted: now, deferred: true, first: true}, to, now)
	d.launch(d.schedule())
	d.mu.Unlock()
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

// beforeAll is when a row is due that goes before all others of its subscription.
var beforeAll = time.Unix(0, 0).UTC()

// waitsToResend says that nothing may be sent to a subscription yet: what it gets first is not due yet. What nobody gets waits for
// nothing.
func waitsToResend(to *subscriptions.Subscription) bool {
	return !to.ResendSince.IsZero() && dropReasonOf(to) == 0
}

// beginCarefully lets one attempt be made at a time until one is delivered: the target has taken nothing for a long time, and what is
// due first is to come first. It is called with the mutex held.
func (d *Dispatcher) beginCarefully(s *subscription) {
	if s.rows > 0 && !s.open {
		d.opens(s, time.Now())
		s.probeAt = time.Time{}
	}
}
