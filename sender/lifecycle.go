package sender

import (
	"context"
	"fmt"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// Run works until ctx is done, and returns when all of its goroutines have ended. What is in memory then is stored as
// due, as far as the store takes it; requests under way are cut short. Call Drain before for a gentle stop.
func (d *Dispatcher) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan struct{}, 3)
	go func() { d.recordLoop(work); done <- struct{}{} }()
	go func() { d.fetchLoop(work); done <- struct{}{} }()
	go func() { d.expireLoop(work); done <- struct{}{} }()
	<-ctx.Done()
	d.Drain(0)
	stop()
	for range 3 {
		<-done
	}
	d.closeClients()
	return nil
}

// Drain begins nothing new, stores what waits as due, gives requests under way so much time to end, and cuts short the
// rest, which is not counted as an attempt. It returns when no request is under way. It may be called more than once.
func (d *Dispatcher) Drain(grace time.Duration) {
	d.mu.Lock()
	d.stopping = true
	d.storeWaiting()
	d.mark()
	d.mu.Unlock()
	ended := make(chan struct{})
	go func() { d.attempts.Wait(); close(ended) }()
	if grace > 0 {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-ended:
			return
		case <-t.C:
		}
	}
	d.cutShort()
	<-ended
}

// Suspend begins nothing any more, because another process may be sending: what waits in memory is stored as due.
// Requests under way end as they would.
func (d *Dispatcher) Suspend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.suspended {
		d.suspended = true
		d.storeWaiting()
	}
}

// Resume goes on after Suspend, or begins. Unless same is set, another process may have sent in between: everything that
// is under way here ends first, and what the store holds is taken over. known returns the subscription as it is in the
// store now, or nil when there is none: that one is removed.
func (d *Dispatcher) Resume(ctx context.Context, same bool, known func(key int64) *subscriptions.Subscription) error {
	var backlogs []Backlog
	var failing map[int64]Trouble
	var pauses map[int64]Paused
	if !same {
		d.Suspend()
		if err := d.quiet(ctx); err != nil {
			return err
		}
		var err error
		if backlogs, err = d.store.Backlogs(ctx, d.keysMax); err != nil {
			return fmt.Errorf("read what is due: %w", err)
		}
		if failing, err = d.store.Failing(ctx); err != nil {
			return err
		}
		if pauses, err = d.store.Paused(ctx); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.removed {
		if known(key) == nil {
			delete(d.removed, key) // nothing can be submitted for it any more
		}
	}
	if !same {
		d.takeOver(backlogs, known)
		d.takeOverPauses(pauses, time.Now(), known)
		d.troubled = map[int64]*trouble{}
		for key, t := range failing {
			d.troubled[key] = &trouble{now: t, marked: t}
		}
	}
	for key, t := range failing {
		// Its circuit may have been open: the first attempt says how it is now.
		if s := d.subs[key]; s != nil && !t.Since.IsZero() && s.rows > 0 && !s.held && !s.silent() {
			d.opens(s, time.Now())
			d.storeWhole(s)
			d.enter(s)
		}
	}
	for key, s := range d.subs {
		if sub := known(key); sub == nil {
			d.remove(s)
		} else if s.sub.Version < sub.Version {
			d.adopt(s, sub)
		}
	}
	d.suspended, d.disowned = false, false
	wake(d.wakeFetcher)
	d.launch(d.schedule())
	return nil
}

// takeOver replaces what is known of the store by what it holds.
func (d *Dispatcher) takeOver(backlogs []Backlog, known func(key int64) *subscriptions.Subscription) {
	now := time.Now()
	for key, s := range d.subs {
		s.cut()
		d.spend(s, now)
		delete(d.subs, key)
	}
	d.stored, d.storedKeys, d.ready, d.agenda = map[int64]*subscription{}, 0, fifo[*subscription]{}, nil
	d.open, d.probing = 0, 0
	d.tookOver = now
	for _, b := range backlogs {
		sub := known(b.Subscription)
		if sub == nil || d.removed[b.Subscription] {
			continue
		}
		s := d.subscription(sub)
		s.rows, s.whole = b.Rows, s.whole || b.Keys == nil
		s.startSlowly()
		if !s.whole {
			for key, n := range b.Keys {
				s.keep(&lane{sub: s, key: key, rows: n})
			}
			s.keys = len(s.lanes)
			d.storedKeys += s.keys
		}
		d.stored[sub.Key] = s
		d.lookSoon(s, now)
	}
	d.shed()
}

// quietPoll is how often quiet looks.
const quietPoll = 10 * time.Millisecond

// quiet waits until nothing is under way and everything is written. It is called while suspended.
func (d *Dispatcher) quiet(ctx context.Context) error {
	tick := time.NewTicker(quietPoll)
	defer tick.Stop()
	for {
		d.mu.Lock()
		busy := d.inFlight > 0 || d.inMemory > 0 || len(d.records) > 0 || d.writing > 0 || d.fetching
		d.mu.Unlock()
		if !busy {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// expireLoop looks after deliveries that wait too long in memory.
func (d *Dispatcher) expireLoop(ctx context.Context) {
	every := d.holdEvery()
	tick := time.NewTicker(every)
	defer tick.Stop()
	marks := time.NewTicker(markEvery)
	defer marks.Stop()
	for {
		if now := d.holdEvery(); now != every {
			every = now
			tick.Reset(every)
		}
		select {
		case <-ctx.Done():
			return
		case <-marks.C:
			d.mu.Lock()
			if !d.halted() {
				d.mark()
			}
			d.mu.Unlock()
		case now := <-tick.C:
			d.mu.Lock()
			d.expire(now)
			d.dropMany()
			// What was not begun because MayBegin was false.
			d.launch(d.schedule())
			d.mu.Unlock()
		}
	}
}
