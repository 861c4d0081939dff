package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// chores are the requests to targets that are no deliveries: asking whether they agree, and telling them of the end. What is
// to be done is rows with a due time; only the process that reads the slot does it, and begins nothing that is not due in
// the store at that moment. Its methods may be called from any goroutine, also of a nil *chores.
type chores struct {
	app        *App
	store      *store.Store
	dispatcher *sender.Dispatcher
	wake       chan struct{}
	tasks      sync.WaitGroup

	mu sync.Mutex
	// active says that this process reads the slot.
	active                 bool
	verifications, endings underWay
}

// underWay are the accounts of the chores of one kind that are being done, by key.
type underWay map[int64]string

const (
	// choresAtOnce bounds the requests of each kind; choresPerAccount those of one account that begin together.
	choresAtOnce     = 16
	choresPerAccount = 4
	// choresIdle is the longest time without a look, should a wake-up be lost; choresPause is between looks while the store
	// does not answer.
	choresIdle  = 30 * time.Second
	choresPause = time.Second
)

func newChores(a *App, st *store.Store, d *sender.Dispatcher) *chores {
	return &chores{app: a, store: st, dispatcher: d, wake: make(chan struct{}, 1), verifications: underWay{}, endings: underWay{}}
}

// look says that something may be due.
func (c *chores) look() {
	if c == nil {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// activate says whether this process reads the slot.
func (c *chores) activate(active bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.active = active
	c.mu.Unlock()
	c.look()
}

// loop does what is due until ctx is done; then it waits for what is under way, which ends with work at the latest.
func (c *chores) loop(ctx, work context.Context) {
	defer c.tasks.Wait()
	for ctx.Err() == nil && work.Err() == nil {
		t := time.NewTimer(c.round(work))
		select {
		case <-ctx.Done():
		case <-work.Done():
		case <-c.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// round begins what is due, and returns how long there is nothing more.
func (c *chores) round(ctx context.Context) time.Duration {
	c.mu.Lock()
	active := c.active
	c.mu.Unlock()
	if !active {
		return choresIdle
	}
	if !c.app.source.Load().Attended() {
		return choresPause
	}
	if c.app.paused() {
		return choresIdle
	}
	first, err := c.beginVerifications(ctx)
	second, endErr := c.beginEndings(ctx)
	if err = errors.Join(err, endErr); err != nil {
		if ctx.Err() == nil && !errors.Is(err, sender.ErrNotOwner) {
			c.app.log.Warn("what targets are to be asked or told cannot be read", "error", err)
		}
		return choresPause
	}
	wait := choresIdle
	for _, next := range []time.Time{first, second} {
		if !next.IsZero() {
			wait = min(wait, max(time.Until(next), time.Millisecond))
		}
	}
	return wait
}

// room is what may begin of one kind.
func (c *chores) room(of underWay) store.Chores {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := store.Chores{Now: time.Now(), Limit: choresAtOnce - len(of), PerAccount: choresPerAccount}
	count := map[string]int{}
	for key, account := range of {
		room.Skip = append(room.Skip, key)
		if count[account]++; count[account] == choresPerAccount {
			room.Busy = append(room.Busy, account)
		}
	}
	return room
}

func (c *chores) beginVerifications(ctx context.Context) (time.Time, error) {
	room := c.room(c.verifications)
	if room.Limit <= 0 {
		return time.Time{}, nil
	}
	due, next, err := c.store.DueVerifications(ctx, room)
	for _, v := range due {
		c.begin(c.verifications, v.Subscription.Key, v.Subscription, func() { c.verify(ctx, v) })
	}
	return next, err
}

func (c *chores) beginEndings(ctx context.Context) (time.Time, error) {
	room := c.room(c.endings)
	if room.Limit <= 0 {
		return time.Time{}, nil
	}
	due, next, err := c.store.DueEndings(ctx, room)
	for _, e := range due {
		c.begin(c.endings, e.Key, e.Subscription, func() { c.tellEnd(ctx, e) })
	}
	return next, err
}

// begin does one in a goroutine of its own. There are few at once.
func (c *chores) begin(of underWay, key int64, s *subscriptions.Subscription, do func()) {
	c.mu.Lock()
	of[key] = store.ChoreAccount(s)
	c.mu.Unlock()
	c.tasks.Go(func() {
		defer func() {
			c.mu.Lock()
			delete(of, key)
			c.mu.Unlock()
			c.look()
		}()
		do()
	})
}

// keep writes what has become of a chore, as often as it takes: until then it is under way, and nobody is asked again.
func (c *chores) keep(ctx context.Context, s *subscriptions.Subscription, write func(context.Context) error) bool {
	pause := 100 * time.Millisecond
	for {
		err := write(ctx)
		if err == nil {
			return true
		}
		if errors.Is(err, store.ErrOtherVerification) || errors.Is(err, subscriptions.ErrNotFound) {
			return false // it was changed or deleted meanwhile
		}
		if ctx.Err() == nil {
			c.app.log.Warn("what a target has answered cannot be stored yet", "subscription", s.ID, "error", err)
		}
		if sleep(ctx, pause) != nil {
			return false
		}
		pause = min(2*pause, 5*time.Second)
	}
}
