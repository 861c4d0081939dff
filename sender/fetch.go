package sender

import (
	"context"
	"fmt"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// Suspend stops the reading of due deliveries: another process may be sending. What was read, and what is in memory,
// goes on.
func (d *Dispatcher) Suspend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.suspended = true
}

// Resume goes on after Suspend, or begins. Unless same is set, another process may have sent in between: everything that
// is under way here ends first, and what the store holds is taken over. Subscriptions that are not known are left alone.
func (d *Dispatcher) Resume(ctx context.Context, same bool, known func(key int64) *subscriptions.Subscription) error {
	if !same {
		if err := d.quiet(ctx); err != nil {
			return err
		}
		backlogs, err := d.store.Backlogs(ctx, storedKeysMax)
		if err != nil {
			return fmt.Errorf("read what is due: %w", err)
		}
		d.mu.Lock()
		d.subs, d.stored = map[int64]*subscription{}, map[int64]*subscription{}
		for _, b := range backlogs {
			sub := known(b.Subscription)
			if sub == nil {
				continue
			}
			s := d.subscription(sub)
			s.rows, s.whole = b.Rows, b.Keys == nil
			for key, n := range b.Keys {
				s.lanes[key] = &lane{sub: s, key: key, rows: n}
			}
			d.stored[sub.Key] = s
			d.lookSoon(s, time.Now())
		}
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.suspended = false
	wake(d.wakeFetcher)
	return nil
}

// quietPoll is how often quiet looks.
const quietPoll = 10 * time.Millisecond

// quiet waits until nothing is under way and everything is written.
func (d *Dispatcher) quiet(ctx context.Context) error {
	tick := time.NewTicker(quietPoll)
	defer tick.Stop()
	for {
		d.mu.Lock()
		busy := d.inFlight > 0 || d.counts.InMemory > 0 || len(d.records) > 0 || d.writing || d.fetching
		if !busy {
			// Deliveries that were read from the store and wait for a slot are dropped: their rows are still there.
			for _, s := range d.subs {
				s.due = fifo[*delivery]{}
			}
		}
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
	d.admin.close()
	d.accounts.close()
	return nil
}

// Drain begins nothing new, stores what waits as due, gives requests under way so much time to end, and cuts short the
// rest, which is not counted as an attempt. It returns when no request is under way. It may be called more than once.
func (d *Dispatcher) Drain(grace time.Duration) {
	d.mu.Lock()
	d.stopping = true
	for _, s := range d.subs {
		for _, l := range s.lanes {
			if c := l.current; c != nil && !c.running {
				l.current = nil
				if !c.stored {
					d.deferred(c, time.Now(), nil)
				}
			}
			d.storeQueue(l)
		}
	}
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

// expireLoop looks after deliveries that wait too long in memory.
func (d *Dispatcher) expireLoop(ctx context.Context) {
	tick := time.NewTicker(max(d.cfg.Hold/20, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			d.mu.Lock()
			d.expire(now)
			d.mu.Unlock()
		}
	}
}

const (
	// fetchMore is how many due deliveries are read beyond those under way.
	fetchMore = 128
	// fetchPause is between looks into a store that does not answer.
	fetchPause = time.Second
	// fetchIdle is the longest time without a look, should a wake-up be lost.
	fetchIdle = 30 * time.Second
)

// fetchLoop reads deliveries from the store when they are due. Those under way and waiting are few: the rest costs
// nothing but its row.
func (d *Dispatcher) fetchLoop(ctx context.Context) {
	for ctx.Err() == nil {
		s, limit, wait := d.toFetch(time.Now())
		if s == nil {
			t := time.NewTimer(min(wait, fetchIdle))
			select {
			case <-ctx.Done():
			case <-d.wakeFetcher:
			case <-t.C:
			}
			t.Stop()
			continue
		}
		now := time.Now()
		due, next, err := d.store.Due(ctx, s.sub.Key, now, limit)
		if err != nil {
			if ctx.Err() == nil {
				d.cfg.Log.Warn("due deliveries cannot be read", "subscription", s.sub.ID, "error", err)
			}
			select {
			case <-time.After(fetchPause):
			case <-ctx.Done():
			}
			due, next = nil, now
		}
		d.mu.Lock()
		d.fetched(s, due, next)
		start := d.schedule()
		d.mu.Unlock()
		d.launch(start)
	}
}

// toFetch picks the subscription that has been due longest and has room, or says how long there is none.
func (d *Dispatcher) toFetch(now time.Time) (*subscription, int, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var best *subscription
	wait := fetchIdle
	if d.stopping || d.suspended {
		return nil, 0, wait
	}
	for _, s := range d.stored {
		if s.nextDue.IsZero() || s.gone || s.due.len() >= s.slots {
			continue
		}
		if s.nextDue.After(now) {
			wait = min(wait, s.nextDue.Sub(now))
		} else if best == nil || s.nextDue.Before(best.nextDue) {
			best = s
		}
	}
	if best == nil {
		return nil, 0, wait
	}
	d.fetching = true
	best.nextDue, best.fetching, best.touched = time.Time{}, true, map[int64]struct{}{}
	return best, best.inFlight + best.due.len() + len(best.pending) + fetchMore, 0
}

// fetched puts deliveries that were read to work: those whose key has nothing under way and was not touched meanwhile.
func (d *Dispatcher) fetched(s *subscription, due []Due, next time.Time) {
	touched := s.touched
	s.fetching, s.touched, d.fetching = false, nil, false
	if !next.IsZero() {
		d.lookSoon(s, next)
	}
	if s.gone || d.stopping || d.suspended {
		return
	}
	for _, x := range due {
		if _, ok := touched[x.Key]; ok || s.pending[x.Key] > 0 {
			continue // its record wakes the fetcher again when it is written
		}
		l := s.lanes[x.Key]
		if l == nil {
			l = &lane{sub: s, key: x.Key}
			s.lanes[x.Key] = l
		}
		if l.current != nil {
			continue
		}
		l.current = &delivery{event: x.Event, lane: l, attempts: x.Attempts, retryReason: x.RetryReason, stored: true}
		d.enqueue(s, &s.due, l.current)
	}
}
