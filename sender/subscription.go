package sender

import (
	"context"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// subscription is what the dispatcher knows of one that has, or had, something to be sent.
type subscription struct {
	// key and id never change; all else is guarded by the dispatcher's mutex.
	key int64
	id  string

	sub *subscriptions.Subscription
	// target is made when it is needed first; broken is why it cannot be used.
	target *target
	broken error
	// fallback is where it goes to afterwards, made when it is needed first.
	fallback *fallbackTarget
	// lanes is made when it is needed first.
	lanes   map[int64]*lane
	timeout time.Duration
	retries []time.Duration
	ordered bool
	// debounce is how long changes of an instance are gathered, 0 for not at all.
	debounce time.Duration
	slots    int
	// dropped is why nothing is sent to it, 0 where it is sent to.
	dropped DropReason

	// batch is nil where each delivery has a request of its own.
	batch *gathering

	// ctx is that of its requests, made with the first one: cancel ends it.
	ctx    context.Context
	cancel context.CancelFunc
	// isCut says that they are ended, whether there is a ctx yet or not.
	isCut    bool
	inFlight int
	// rendered is what the bodies take that are made for its requests.
	rendered int64
	// window is how many of its slots it may use now: it doubles with a delivery and halves with a slow failure, so that a
	// target that answers nobody leaves its slots to the others.
	window int
	// fresh may start; due was read from the store and may start. Both may hold what has been stored or settled since.
	fresh, due fifo[*delivery]
	// ready says that it stands in the dispatcher's queue.
	ready bool
	// bytes is what its deliveries in memory weigh of which nothing has been recorded.
	bytes int64
	// waiting counts them.
	waiting int
	// moved is when an attempt last succeeded, or when there was nothing waiting before; took how long attempts have taken
	// lately.
	moved time.Time
	took  time.Duration

	// whole says that every delivery goes through the store, until it has caught up. rows counts all its rows, and keys
	// the lanes that have some while it is not whole.
	whole      bool
	rows, keys int
	// replays says that some of its rows may be replays, which may stand before what is under way of their key.
	replays bool
	// nextDue is when to look into the store, zero for never. place is one more than its place in the agenda, 0 for none.
	nextDue time.Time
	place   int
	// looking says that it is being looked into.
	looking bool
	// busy are the keys whose oldest row is under way: from when it is read (or stored while it runs) until the record of
	// its end is written. A look skips them, and what it finds of other keys is as it was written last. It is made when it is needed first.
	busy map[int64]struct{}

	circuit
	slowStart
	limit limit
	// pausedUntil is when its target wants to be asked again, after a Retry-After.
	pausedUntil time.Time
	// wakeAt is when it goes on, if it waits for its limit or its circuit; zero when it does not.
	wakeAt time.Time
	// failures are the failed attempts that were not told of.
	failures tally

	// held says that nothing is sent and everything is kept: it is disabled, or its target has not agreed, or its target is gone and it is about to be
	// deleted.
	held bool
	// removed says that nothing is sent and nothing kept; idle, when somebody waits for it, is closed when the last request
	// has ended.
	removed bool
	idle    chan struct{}
}

// subscription finds or makes the state of a subscription.
func (d *Dispatcher) subscription(to *subscriptions.Subscription) *subscription {
	s := d.subs[to.Key]
	if s == nil {
		d.dropSome()
		s = &subscription{key: to.Key, id: to.ID}
		d.subs[to.Key] = s
		s.limit.next = d.spent[to.Key]
		delete(d.spent, to.Key)
	}
	if s.sub == nil || s.sub.Version < to.Version {
		d.adopt(s, to)
	}
	return s
}

// adopt makes a version of the subscription the one that is used.
func (d *Dispatcher) adopt(s *subscription, to *subscriptions.Subscription) {
	resent := s.sub != nil && waitsToResend(s.sub)
	enabled := s.held
	s.sub, s.window, s.pausedUntil = to, 0, time.Time{}
	s.circuit.strain, s.circuit.pause, s.slowStart = 0, 0, slowStart{}
	d.closes(s) // what has failed may have been mended
	d.configure(s)
	switch {
	case waitsToResend(to):
		d.hold(s)
		return
	case to.State == subscriptions.Active, to.State == subscriptions.Shadow:
	case to.State == subscriptions.Expired && to.Before != subscriptions.Pending:
		// An expired one is owed what it matched before. Not so a target that has not agreed to be sent anything.
	default:
		d.hold(s)
		return
	}
	s.held = false
	if s.silent() {
		d.dropWaiting(s)
	} else if resent {
		d.beginCarefully(s)
	}
	d.enter(s)
	d.makeReady(s) // what has waited in memory for a time need not any more
	if s.rows > 0 {
		if enabled {
			s.startSlowly()
		}
		d.lookSoon(s, time.Now())
	} else {
		s.whole = false
	}
}

// configure works out from the subscription and the config how to send to it.
func (d *Dispatcher) configure(s *subscription) {
	to := s.sub
	s.target, s.broken, s.fallback = nil, nil, nil
	s.dropped = dropReasonOf(to)
	s.timeout, s.retries, s.slots = d.cfg.Timeout, retriesOf(to, d.cfg.Retries), d.cfg.PerSubscription
	ordering := d.cfg.Ordering
	if o := to.Delivery.Ordering; o != "" {
		ordering = o
	}
	if s.debounce = d.cfg.Debounce; to.Delivery.Debounce != nil {
		s.debounce = time.Duration(*to.Delivery.Debounce)
	}
	s.ordered = ordering != subscriptions.OrderingNone || s.debounce > 0
	if t := to.Delivery.Timeout; t != nil {
		s.timeout = time.Duration(*t)
	}
	if n := to.Delivery.MaxInFlight; n > 0 {
		s.slots = n
	}
	s.slots = max(1, min(s.slots, d.cfg.MaxInFlight))
	rate := d.cfg.RateLimit
	if r := to.Delivery.RateLimit; !r.IsZero() {
		rate = r
	}
	now := time.Now()
	s.limit.set(rate, now)
	if s.limit.next.IsZero() {
		s.limit.start(now)
	}
	if s.window == 0 {
		s.window = windowBegin
	}
	s.window = min(s.window, s.slots)
	if s.batch != nil || to.Delivery.Batch != nil {
		s.batch = gatheringOf(s)
		d.makeReady(s)
	}
}

// retriesOf is the schedule of a subscription, where that of the config is all.
func retriesOf(s *subscriptions.Subscription, all []time.Duration) []time.Duration {
	r := s.Delivery.Retries
	switch {
	case r == nil:
		return all
	case r.IsCount:
		return all[:min(max(r.Count, 0), len(all))]
	}
	waits := make([]time.Duration, len(r.Waits))
	for i, w := range r.Waits {
		waits[i] = time.Duration(w)
	}
	return waits
}

// prepare makes what an attempt needs.
func (d *Dispatcher) prepare(s *subscription) {
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(d.sendCtx)
		if s.isCut {
			s.cancel() // an attempt that was to begin when it was cut
		}
	}
	if s.target == nil && s.broken == nil {
		s.target, s.broken = newTarget(s.sub, d.clientOf(s.sub), d.cfg.envelope())
	}
}

// clientOf is whose guard its requests pass. It is called with the mutex held.
func (d *Dispatcher) clientOf(s *subscriptions.Subscription) *client {
	if s.Admin {
		return d.admin
	}
	return d.accounts
}

// cut ends its requests.
func (s *subscription) cut() {
	s.isCut = true
	if s.cancel != nil {
		s.cancel()
	}
}

// hold sends nothing more and keeps everything in the store. Requests under way end as they would.
func (d *Dispatcher) hold(s *subscription) {
	if !s.held {
		s.held = true
		d.dropRead(s)
		d.storeWhole(s)
	}
}

// Update makes a newer version of a subscription the one that is sent with, also for what is waiting.
func (d *Dispatcher) Update(to *subscriptions.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.subs[to.Key]; s != nil && !s.removed && s.sub.Version < to.Version {
		d.adopt(s, to)
		d.launch(d.schedule())
	}
}

// Know makes a subscription known as it is now, before something is submitted for it that it matched when it was an older
// version.
func (d *Dispatcher) Know(to *subscriptions.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.removed[to.Key] {
		d.subscription(to)
	}
}

// Remove ends the sending to a subscription that was deleted: when it returns no request to it is under way, and none is
// begun any more, whatever is still submitted for it. Requests under way are cut short.
func (d *Dispatcher) Remove(key int64) {
	d.mu.Lock()
	d.removed[key] = true
	var idle chan struct{}
	if s := d.subs[key]; s != nil {
		d.remove(s)
		if s.inFlight > 0 {
			if s.idle == nil {
				s.idle = make(chan struct{})
			}
			idle = s.idle
		}
	}
	d.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// Forget says that nothing more will be submitted for a subscription that was removed.
func (d *Dispatcher) Forget(key int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.removed, key)
}

// remove settles what is in memory and cuts short what runs; the rows go with the subscription.
func (d *Dispatcher) remove(s *subscription) {
	if s.removed {
		return
	}
	s.removed = true
	s.cut()
	d.forgetTrouble(s.key)
	d.closes(s)
	for key, l := range s.lanes {
		for _, dl := range l.queue {
			d.settle(dl)
		}
		l.queue = nil
		if c := l.current; c != nil && !c.running {
			d.unread(c)
			d.settle(c)
			l.current = nil
		}
		if l.current == nil {
			delete(s.lanes, key)
		}
	}
	s.fresh, s.due = fifo[*delivery]{}, fifo[*delivery]{}
	d.storedKeys -= s.keys
	s.rows, s.keys, s.nextDue = 0, 0, time.Time{}
	d.agenda.remove(s)
	delete(d.stored, s.key)
	d.dropRemoved(s)
}

// dropRemoved forgets a removed subscription when its last request has ended.
func (d *Dispatcher) dropRemoved(s *subscription) {
	if s.inFlight == 0 {
		if s.idle != nil {
			close(s.idle)
			s.idle = nil
		}
		if d.subs[s.key] == s {
			delete(d.subs, s.key)
		}
	}
}
