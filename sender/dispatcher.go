package sender

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// Config holds what is the same for all subscriptions, and the defaults of what they may override.
type Config struct {
	// MaxInFlight bounds the requests under way in all; PerSubscription those of one that does not say otherwise.
	MaxInFlight, PerSubscription int
	// Hold is how long a delivery may wait in memory.
	Hold time.Duration
	// Memory is the budget for what is in memory, in bytes.
	Memory int64
	// Timeout, Retries and Ordering are the defaults of subscriptions' delivery options.
	Timeout  time.Duration
	Retries  []time.Duration
	Ordering string
	// Admin and Accounts rule the targets of the admin's subscriptions and of all others.
	Admin, Accounts Guard
	UserAgent       string
	Log             *slog.Logger
	// OnAttempt, when set, is told of every attempt that ended. It must not block.
	OnAttempt func(Report)
	// OnGone is told of a subscription whose target answered 410. It is called in a goroutine of its own.
	OnGone func(ctx context.Context, s *subscriptions.Subscription)
}

// Report tells of an attempt.
type Report struct {
	Event        *mapping.Event
	Subscription *subscriptions.Subscription
	Attempt      int
	Outcome      Outcome
	// Next is when the next attempt is due, zero when there is none.
	Next time.Time
}

// Job is an event and whom it goes to.
type Job struct {
	Event *mapping.Event
	To    []*subscriptions.Subscription
	// Stored says that the event's row is in the store already, from before a restart.
	Stored bool
}

// Dispatcher sends deliveries from memory at once, and from the store when they are due. Use New, then Run.
type Dispatcher struct {
	cfg             Config
	store           Store
	admin, accounts *client

	mu       sync.Mutex
	subs     map[int64]*subscription
	inFlight int
	ready    fifo[*subscription]
	budget   budget
	ages     ages
	records  []Record
	// removed are the keys of subscriptions to which nothing may be sent any more, until the change has been seen in the
	// stream.
	removed map[int64]bool
	// stored are the subscriptions that have rows.
	stored   map[int64]*subscription
	stopping bool
	// suspended says that another process may be sending: nothing is read from the store.
	suspended bool
	// writing and fetching say that records are on their way to the store, and that somebody looks into it.
	writing, fetching bool
	counts            Counts
	// writeError is why the store does not take records.
	writeError string

	// wakeRecorder and wakeFetcher say that there is something to do.
	wakeRecorder, wakeFetcher chan struct{}
	// attempts counts the goroutines that send.
	attempts sync.WaitGroup
	sendCtx  context.Context
	cutShort context.CancelFunc
}

// Counts are numbers for metrics and status.
type Counts struct {
	// InFlight are requests under way, InMemory deliveries that are not settled, Bytes what they are charged for.
	InFlight, InMemory int
	Bytes              int64
	// StoredRows are deliveries in the store that are due at some time, StoredSubscriptions whose they are.
	StoredRows, StoredSubscriptions int
	// Unwritten are records that are not in the store yet.
	Unwritten int
}

// storedKeysMax is the most ordering keys of one subscription that are remembered one by one.
const storedKeysMax = 100_000

// New makes a Dispatcher; it does nothing yet.
func New(cfg Config, store Store) *Dispatcher {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Dispatcher{
		cfg: cfg, store: store,
		admin:    newClient(cfg.Admin, cfg.UserAgent, cfg.PerSubscription),
		accounts: newClient(cfg.Accounts, cfg.UserAgent, cfg.PerSubscription),
		subs:     map[int64]*subscription{}, removed: map[int64]bool{}, stored: map[int64]*subscription{},
		budget:       budget{limit: cfg.Memory, freed: make(chan struct{}, 1)},
		wakeRecorder: make(chan struct{}, 1), wakeFetcher: make(chan struct{}, 1),
		sendCtx: ctx, cutShort: cancel,
	}
}

// Counts returns the numbers of now.
func (d *Dispatcher) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.counts
	c.InFlight, c.Bytes, c.Unwritten, c.StoredSubscriptions = d.inFlight, d.budget.used, len(d.records), len(d.stored)
	for _, s := range d.stored {
		c.StoredRows += s.rows
	}
	return c
}

// Submit takes the jobs, in order, and returns when there was room for them in memory. Each delivery settles one part of
// the receipt, which must have as many outstanding. An error, of ctx only, means that nothing was taken.
func (d *Dispatcher) Submit(ctx context.Context, jobs []Job, receipt *cdc.Receipt) error {
	var price int64
	for _, j := range jobs {
		price += int64(len(j.Event.Data)) + eventOverhead + int64(len(j.To))*deliveryOverhead
	}
	d.mu.Lock()
	for !d.budget.room(price) {
		d.relieve()
		d.mu.Unlock()
		select {
		case <-d.budget.freed:
		case <-time.After(stalled / 2):
		case <-ctx.Done():
			return ctx.Err()
		}
		d.mu.Lock()
	}
	d.budget.used += price
	now := time.Now()
	for _, j := range jobs {
		b := &body{price: int64(len(j.Event.Data)) + eventOverhead + int64(len(j.To))*deliveryOverhead, deliveries: len(j.To), stored: j.Stored}
		for _, to := range j.To {
			d.submit(&delivery{event: j.Event, body: b, receipt: receipt, submitted: now}, to, now)
		}
	}
	start := d.schedule()
	d.mu.Unlock()
	d.launch(start)
	return nil
}

// Bury makes a dead letter durable; it settles one part of the receipt.
func (d *Dispatcher) Bury(letter mapping.DeadLetter, receipt *cdc.Receipt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.record(Record{Op: Bury, DeadLetter: &letter, settle: receipt.Done})
}

func (d *Dispatcher) submit(dl *delivery, to *subscriptions.Subscription, now time.Time) {
	s := d.subscription(to)
	d.counts.InMemory++
	s.bytes += int64(len(dl.event.Data)) + deliveryOverhead
	key := orderingKey(dl.event, s.ordered)
	l := s.lanes[key]
	if l == nil {
		l = &lane{sub: s, key: key}
	}
	dl.lane = l
	switch {
	case s.gone || d.removed[to.Key]:
		d.settle(dl)
		return
	case s.whole, l.rows > 0, d.stopping:
		d.deferred(dl, now, nil)
		return
	}
	s.lanes[key] = l
	d.ages.add(dl)
	if l.current == nil {
		l.current = dl
		d.enqueue(s, &s.fresh, dl)
	} else {
		l.queue = append(l.queue, dl)
	}
}

// subscription finds or makes the state of a subscription.
func (d *Dispatcher) subscription(to *subscriptions.Subscription) *subscription {
	s := d.subs[to.Key]
	if s == nil {
		s = &subscription{lanes: map[int64]*lane{}, lastDone: time.Now()}
		d.subs[to.Key] = s
	}
	if s.sub == nil || s.sub.Version < to.Version {
		d.adopt(s, to)
	}
	return s
}

// adopt makes a version of the subscription the one that is used.
func (d *Dispatcher) adopt(s *subscription, to *subscriptions.Subscription) {
	s.sub = to
	c := d.accounts
	if to.Admin {
		c = d.admin
	}
	s.target, s.broken = newTarget(to, c)
	s.timeout, s.retries, s.slots = d.cfg.Timeout, d.cfg.Retries, d.cfg.PerSubscription
	ordering := d.cfg.Ordering
	if o := to.Delivery.Ordering; o != "" {
		ordering = o
	}
	s.ordered = ordering != subscriptions.OrderingNone
	if t := to.Delivery.Timeout; t != nil {
		s.timeout = time.Duration(*t)
	}
	if r := to.Delivery.Retries; r != nil {
		if r.IsCount {
			s.retries = s.retries[:min(max(r.Count, 0), len(s.retries))]
		} else {
			s.retries = make([]time.Duration, len(r.Waits))
			for i, w := range r.Waits {
				s.retries[i] = time.Duration(w)
			}
		}
	}
	if n := to.Delivery.MaxInFlight; n > 0 {
		s.slots = n
	}
	s.slots = min(s.slots, d.cfg.MaxInFlight)
	s.gone = to.State != subscriptions.Active
}

// Update makes a newer version of a subscription the one that is sent with, also for what is waiting.
func (d *Dispatcher) Update(to *subscriptions.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.subs[to.Key]; s != nil && s.sub != nil && s.sub.Version < to.Version {
		d.adopt(s, to)
		if s.rows > 0 {
			d.lookSoon(s, time.Now())
		}
	}
}

// Remove ends the sending to a subscription that was deleted: from when it returns no request to it is begun, whatever
// is still submitted for it.
func (d *Dispatcher) Remove(key int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removed[key] = true
	s := d.subs[key]
	if s == nil {
		return
	}
	d.gone(s)
	s.rows = 0
	delete(d.stored, key)
	if s.inFlight == 0 {
		delete(d.subs, key)
	}
}

// Forget says that nothing more will be submitted for a subscription that was removed.
func (d *Dispatcher) Forget(key int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.removed, key)
}

// gone settles what is in memory and not running; its rows go with the subscription.
func (d *Dispatcher) gone(s *subscription) {
	s.gone = true
	for key, l := range s.lanes {
		for _, dl := range l.queue {
			d.settle(dl)
		}
		l.queue = nil
		if c := l.current; c != nil && !c.running {
			d.settle(c)
			l.current = nil
		}
		if l.current == nil {
			delete(s.lanes, key)
		}
	}
	s.fresh, s.due = fifo[*delivery]{}, fifo[*delivery]{}
}

// enqueue says that a delivery may start.
func (d *Dispatcher) enqueue(s *subscription, q *fifo[*delivery], dl *delivery) {
	q.push(dl)
	d.makeReady(s)
}

func (d *Dispatcher) makeReady(s *subscription) {
	if !s.ready && s.fresh.len()+s.due.len() > 0 {
		s.ready = true
		d.ready.push(s)
	}
}

// schedule takes what may start now. Slots are shared so that some are always free: no subscription gets more than are
// left over, so that a few hanging targets do not take them all.
func (d *Dispatcher) schedule() []*delivery {
	var start []*delivery
	if d.stopping {
		return nil
	}
	for n := d.ready.len(); n > 0 && d.inFlight < d.cfg.MaxInFlight; n-- {
		s := d.ready.pop()
		s.ready = false
		for s.fresh.len()+s.due.len() > 0 && d.inFlight < d.cfg.MaxInFlight {
			free := d.cfg.MaxInFlight - d.inFlight
			if s.inFlight >= s.slots || s.inFlight > 0 && s.inFlight >= free {
				break
			}
			q := &s.fresh
			if q.len() == 0 {
				q = &s.due
			}
			dl := q.pop()
			if dl.lane == nil || dl.lane.current != dl || dl.running || s.gone {
				// It was stored, or settled, while it waited.
				continue
			}
			dl.running = true
			s.inFlight++
			d.inFlight++
			start = append(start, dl)
		}
		if s.inFlight < s.slots {
			d.makeReady(s)
		}
	}
	return start
}

// launch starts goroutines for the deliveries.
func (d *Dispatcher) launch(start []*delivery) {
	for _, dl := range start {
		d.attempts.Add(1)
		go d.work(dl)
	}
}

// work sends one delivery after another, as long as the end of one lets another start.
func (d *Dispatcher) work(dl *delivery) {
	defer d.attempts.Done()
	var buf []byte
	for dl != nil {
		var rest []*delivery
		buf = d.attempt(dl, buf[:0])
		dl, rest = d.next()
		d.launch(rest)
	}
}

// next takes one delivery for the caller, and others that may start too.
func (d *Dispatcher) next() (*delivery, []*delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	start := d.schedule()
	if len(start) == 0 {
		return nil, nil
	}
	return start[0], start[1:]
}
