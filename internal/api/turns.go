package api

import (
	"context"
	"sync"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// turns are for what reads much of the store: deliveries are written by the same few connections. Whoever asks again and again waits
// for itself, and others wait for one of its requests at most.
type turns struct {
	// slots are how many may read at once; nil where that is bounded by who reads.
	slots chan struct{}

	mu sync.Mutex
	of map[subscriptions.Scope]*turn
}

// turn is a caller's: taken by the one of its requests that reads.
type turn struct {
	taken chan struct{}
	// users are those that have it or wait for it.
	users int
}

// newTurns lets so many read at once; 0 is no bound but one of each caller.
func newTurns(atOnce int) *turns {
	t := &turns{of: map[subscriptions.Scope]*turn{}}
	if atOnce > 0 {
		t.slots = make(chan struct{}, atOnce)
	}
	return t
}

// enter waits until it is the caller's turn.
func (t *turns) enter(ctx context.Context, scope subscriptions.Scope) (leave func(), err error) {
	t.mu.Lock()
	own := t.of[scope]
	if own == nil {
		own = &turn{taken: make(chan struct{}, 1)}
		t.of[scope] = own
	}
	own.users++
	t.mu.Unlock()
	gone := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(t.of, scope)
		}
	}
	select {
	case own.taken <- struct{}{}:
	case <-ctx.Done():
		gone()
		return nil, TooMany("other requests of this login are still being answered: let them end", time.Second)
	}
	if t.slots != nil {
		select {
		case t.slots <- struct{}{}:
		case <-ctx.Done():
			<-own.taken
			gone()
			return nil, ctx.Err()
		}
	}
	return func() {
		if t.slots != nil {
			<-t.slots
		}
		<-own.taken
		gone()
	}, nil
}
