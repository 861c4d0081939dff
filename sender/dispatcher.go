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

// Dispatcher sends deliveries from memory at once, and from the store when they are due. Use New, then Run.
type Dispatcher struct {
	cfg             Config
	store           Store
	admin, accounts *client

	mu       sync.Mutex
	subs     map[int64]*subscription
	inFlight int
	ready    fifo[*subscription]
	// direct is the budget of what was submitted, read that of what was read from the store: a backlog must not take the
	// room of what is new, nor the other way round.
	direct, read budget
	// rendered is what the bodies take that are made for their attempts, see subscription.renders.
	rendered int64
	ages     ages
	// relieved is when room was made last.
	relieved time.Time
	records  []Record
	// writing counts the records that are on their way to the store.
	writing int
	// succeeded counts the deliveries that the target has taken and the store does not know of yet.
	succeeded int
	// removed are the keys of subscriptions to which nothing may be sent any more, until the change has been seen in the
	// stream.
	removed map[int64]bool
	// stored are the subscriptions that have rows; storedKeys counts the keys that are remembered one by one.
	stored     map[int64]*subscription
	storedKeys int
	keysMax    int
	// agenda says which of them is to be looked into next.
	agenda agenda
	// open counts the circuits that are open, and probing those of them that are half-open: their attempt is under way.
	open, probing int
	// spent is when subscriptions that are not remembered otherwise have used up what they began under their rate limits.
	spent map[int64]time.Time
	// troubled are the subscriptions whose targets take nothing, by key, and those of which the store does not know yet that they do again.
	troubled map[int64]*trouble
	// tookOver is when the store was taken over.
	tookOver time.Time
	// stopping is for good. suspended says that another process may be sending. In both nothing is begun.
	stopping, suspended bool
	// pausedSince is since when nothing is begun because a person wants it; else zero.
	pausedSince time.Time
	// disowned says that the store takes nothing from us, because it is not ours any more: until Resume.
	disowned bool
	// fetching says that somebody looks into the store.
	fetching bool
	inMemory int
	// writeError is why the store does not take records.
	writeError string
	// writingSince is when the write that is under way began, zero when none is.
	writingSince time.Time
	// slower and caughtUp are the subscriptions that began and ended to go through the store and were not told of.
	slower, caughtUp tally
	// opened and closed likewise for circuits.
	opened, closed tally
	// refusals belongs to the recorder.
	refusals refusals

	// wakeRecorder and wakeFetcher say that there is something to do.
	wakeRecorder, wakeFetcher chan struct{}
	// attempts counts the goroutines that send. It grows with the mutex held, and not while stopping unless it counts
	// some already.
	attempts sync.WaitGroup
	sendCtx  context.Context
	cutShort context.CancelFunc
}

// New makes a Dispatcher; it does nothing yet.
func New(cfg Config, store Store) *Dispatcher {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Dispatcher{
		cfg: cfg, store: store,
		admin:    newClient(cfg.Admin, cfg.UserAgent, cfg.MaxInFlight).through(cfg.Egress),
		accounts: newClient(cfg.Accounts, cfg.UserAgent, cfg.MaxInFlight).through(cfg.Egress),
		subs:     map[int64]*subscription{}, removed: map[int64]bool{}, stored: map[int64]*subscription{}, troubled: map[int64]*trouble{}, spent: map[int64]time.Time{},
		direct:       budget{limit: cfg.Memory, freed: make(chan struct{}, 1)},
		read:         budget{limit: cfg.Memory / 4, freed: make(chan struct{}, 1)},
		wakeRecorder: make(chan struct{}, 1), wakeFetcher: make(chan struct{}, 1),
		sendCtx: ctx, cutShort: cancel,
		keysMax: storedKeysMax,
	}
}

// Counts returns the numbers of now.
func (d *Dispatcher) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	c := Counts{InFlight: d.inFlight, InMemory: d.inMemory, Bytes: d.direct.used + d.read.used, StoredSubscriptions: len(d.stored),
		Unwritten: len(d.records) + d.writing, CircuitsOpen: d.open - d.probing, CircuitsHalfOpen: d.probing}
	for _, s := range d.stored {
		c.StoredRows += s.rows
		if s.pauses(now) {
			c.Paused++
		}
	}
	return c
}

// Submit takes the jobs, in order, each when there is room for it in memory. Each delivery, and each event that goes to nobody and
// is kept, settles one part of the receipt, which must have as many outstanding. An error, of ctx only, means that nothing was taken. It is not to be
// called by two at a time.
func (d *Dispatcher) Submit(ctx context.Context, jobs []Job, receipt *cdc.Receipt) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := false
	for i := range jobs {
		j := &jobs[i]
		if len(j.To) == 0 && !j.Keep {
			continue
		}
		price := priceOf(j)
		if !d.waitForRoom(ctx, price+int64(len(j.To))*deliveryOverhead) && !taken {
			return ctx.Err()
		}
		// Once begun, it is taken whole: when ctx ends in between, the rest goes beyond the budget.
		taken = true
		d.direct.take(price + int64(len(j.To))*deliveryOverhead)
		if len(j.To) == 0 {
			d.keepEvent(j, price, receipt)
			continue
		}
		now := time.Now()
		b := &body{price: price, deliveries: len(j.To), shared: len(j.To) > 1, stored: j.Stored}
		for _, to := range j.To {
			d.submit(&delivery{event: j.Event, body: b, receipt: receipt, submitted: now, deferred: j.Deferred || j.Replay, replay: j.Replay,
				attempts: j.Attempts, before: j.Attempts}, to, now)
		}
	}
	d.launch(d.schedule())
	return nil
}

// waitForRoom waits, with the mutex released, until the price is admitted. It is false when ctx is done before.
func (d *Dispatcher) waitForRoom(ctx context.Context, price int64) bool {
	for !d.direct.room(price) {
		d.pauseForRoom(ctx.Done())
		if ctx.Err() != nil {
			return false
		}
	}
	return true
}

// pauseForRoom makes room as far as that is possible, and waits, with the mutex released, until something is given back,
// a moment has passed, or done.
func (d *Dispatcher) pauseForRoom(done <-chan struct{}) {
	d.relieve()
	d.launch(d.schedule())
	d.mu.Unlock()
	defer d.mu.Lock()
	t := time.NewTimer(stalled / 2)
	defer t.Stop()
	select {
	case <-d.direct.freed:
	case <-t.C:
	case <-done:
	}
}

// Bury makes a dead letter durable; it settles one part of the receipt. Like Submit it waits for room, but not when the
// Dispatcher stops.
func (d *Dispatcher) Bury(letter mapping.DeadLetter, receipt *cdc.Receipt) {
	d.keep(Record{Op: Bury, DeadLetter: &letter}, receipt)
}

// keep queues a record of a dead letter.
func (d *Dispatcher) keep(r Record, receipt *cdc.Receipt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	price := int64(len(r.DeadLetter.Reason)+len(r.DeadLetter.Instance)+len(r.DeadLetter.Context)) + eventOverhead
	for name, value := range r.DeadLetter.Known {
		price += int64(len(name)) + knownOverhead
		if value != nil {
			price += int64(len(*value))
		}
	}
	for !d.direct.room(price) && !d.stopping {
		d.pauseForRoom(nil)
	}
	d.direct.take(price)
	r.settle = func() {
		d.direct.give(price)
		d.done(receipt)
	}
	d.record(r)
}

func (d *Dispatcher) submit(dl *delivery, to *subscriptions.Subscription, now time.Time) {
	d.inMemory++
	if s := d.subs[to.Key]; d.removed[to.Key] || s != nil && s.removed {
		d.settle(dl)
		return
	}
	s := d.subscription(to)
	key := orderingKey(dl.event, s.ordered)
	l := s.lanes[key]
	if l == nil {
		l = &lane{sub: s, key: key}
	}
	dl.lane = l
	switch {
	case dl.replay && (s.silent() || to.State == subscriptions.Shadow || l.sends(dl.event)):
		// Nobody gets it, or it is on its way.
		d.settle(dl)
		return
	case s.silent():
		d.drop(dl, s.dropped)
		return
	case to.State == subscriptions.Shadow:
		// It was one when this was committed, whatever it is by now: the log is read late, or again.
		d.drop(dl, DropShadow)
		return
	}
	dl.waits = true
	if s.bytes == 0 {
		s.moved = now
	}
	s.bytes += dl.weight()
	if s.waiting++; !s.whole && s.limit.isSet() && s.limit.takes(s.requestsWaiting()) > d.cfg.Hold {
		d.storeWhole(s) // it would be, when its Hold is over, and takes memory until then
	}
	debounced := !dl.replay && s.debounces(dl.event)
	if (dl.deferred || debounced) && !s.whole && l.rows == 0 {
		// What is under way, or waits, of the same key is stored before it.
		d.storeLane(l)
	}
	if debounced {
		d.deferred(dl, s.windowEnd(now), nil)
		d.shed()
		return
	}
	if dl.deferred || s.held || s.whole || l.rows > 0 || l.current == nil && d.halted() {
		at := now
		if dl.first {
			at = beforeAll
		}
		d.deferred(dl, at, nil)
		d.arrives(s, dl, true)
		d.shed()
		return
	}
	s.keep(l)
	d.ages.add(dl)
	if l.current == nil {
		l.current = dl
		d.enqueue(s, &s.fresh, dl)
	} else {
		l.queue = append(l.queue, dl)
		if s.batch != nil && !l.current.running {
			d.arrives(s, dl, false)
			d.makeReady(s)
		}
	}
}

// settle gives back what a delivery holds, once. It is called with the mutex held.
func (d *Dispatcher) settle(dl *delivery) {
	d.ages.remove(dl)
	if dl.price > 0 {
		d.read.give(dl.price)
		dl.price = 0
		wake(d.wakeFetcher)
	}
	if dl.receipt == nil {
		return
	}
	d.inMemory--
	dl.decided()
	price := int64(deliveryOverhead)
	if dl.body.deliveries--; dl.body.deliveries == 0 {
		price += dl.body.price
	}
	d.direct.give(price)
	d.done(dl.receipt)
	dl.receipt = nil
}

// done settles one part of a receipt, unless what became of it is not in the store: then the receipt is abandoned, and
// the source reads its batch again.
func (d *Dispatcher) done(r *cdc.Receipt) {
	if d.disowned {
		r.Abandon()
	}
	r.Done()
}
