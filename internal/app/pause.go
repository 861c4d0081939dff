package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// standstill is what is known here of the pause that the store has. Any process that shares the store may begin and end it; the one that
// reads the slot obeys.
type standstill struct {
	// mu is held from reading or writing the store to obeying, so that what is older never goes over what is newer.
	mu  sync.Mutex
	now atomic.Pointer[store.Pause]
	// told is when the log said it last.
	told time.Time
}

const (
	// pauseEvery is how often is looked for what other processes have said.
	pauseEvery = time.Second
	// pauseTellEvery is how often the log says that nothing is sent.
	pauseTellEvery = 10 * time.Minute
	// pauseGrace is how long who pauses waits for the end of requests under way.
	pauseGrace = 5 * time.Second
)

// paused says that nothing is to be sent.
func (a *App) paused() bool { return a.still.now.Load() != nil }

// pauseLoop obeys what the store says.
func (a *App) pauseLoop(ctx context.Context, st *store.Store) {
	tick := time.NewTicker(pauseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// An error is that of a store that does not answer, which is told elsewhere: what was said last holds.
		_ = a.readPause(ctx, st)
	}
}

// readPause reads it and obeys.
func (a *App) readPause(ctx context.Context, st *store.Store) error {
	a.still.mu.Lock()
	defer a.still.mu.Unlock()
	p, err := st.Pause(ctx)
	if err != nil {
		return err
	}
	a.obey(p)
	return nil
}

// obey lets the dispatcher stand still, or go on. It is called with the mutex held.
func (a *App) obey(p *store.Pause) {
	before := a.still.now.Swap(p)
	var since time.Time
	if p != nil {
		since = p.Since
	}
	if d := a.dispatcher.Load(); d != nil {
		d.Pause(since)
	}
	switch {
	case p != nil && (before == nil || time.Since(a.still.told) >= pauseTellEvery):
		a.still.told = time.Now()
		a.log.Warn("paused: nothing is sent, what is committed waits in the store; `rowhook resume` ends it", "since", p.Since.Format(time.RFC3339), "reason", p.Reason, "by", p.By)
	case p == nil && before != nil:
		a.log.Info("the pause is over: what waits is sent", "since", before.Since.Format(time.RFC3339))
		if c := a.chores.Load(); c != nil {
			c.look()
		}
	}
}

// pauses answer the API.
type pauses struct{ app *App }

// Pause implements api.Pauses. It returns when no request is under way any more, or after some seconds.
func (x pauses) Pause(ctx context.Context, reason, by string) (*client.Pause, error) {
	a, st := x.app, x.app.store.Load()
	if st == nil {
		return nil, errNoStore()
	}
	err := func() error {
		a.still.mu.Lock()
		defer a.still.mu.Unlock()
		p, err := st.SetPause(ctx, reason, by)
		if err == nil {
			a.obey(p)
		}
		return err
	}()
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(pauseGrace)
	for {
		shown := a.shownPause()
		if shown.UnderWay == nil || *shown.UnderWay == 0 || time.Now().After(deadline) {
			return shown, nil
		}
		if sleep(ctx, 20*time.Millisecond) != nil {
			return shown, nil // it is paused, whoever hears of it
		}
	}
}

// Paused implements api.Pauses.
func (x pauses) Paused(ctx context.Context) (*client.Pause, error) {
	st := x.app.store.Load()
	if st == nil {
		return nil, errNoStore()
	}
	if err := x.app.readPause(ctx, st); err != nil {
		return nil, err
	}
	return x.app.shownPause(), nil
}

func (a *App) shownPause() *client.Pause {
	p := a.still.now.Load()
	if p == nil {
		return &client.Pause{}
	}
	shown := &client.Pause{Paused: true, Since: &p.Since, Reason: p.Reason, By: p.By}
	if c, ok := a.sending(); ok {
		underWay, waiting := c.InFlight, c.StoredRows
		shown.UnderWay, shown.Waiting = &underWay, &waiting
	}
	return shown
}

// sending has the numbers of the dispatcher, where this process is the one that sends.
func (a *App) sending() (sender.Counts, bool) {
	d := a.dispatcher.Load()
	if d == nil || a.resender.Load() == nil {
		return sender.Counts{}, false
	}
	return d.Counts(), true
}

func errNoStore() error {
	return fmt.Errorf("the store is not open yet: %w", subscriptions.ErrUnavailable)
}

// goOn ends what only a person can end: an incident that holds up replication, and a pause. Where the incident needs the consent that changes
// are lost, the pause stays too: who has asked knows then that nothing flows.
func (a *App) goOn(ctx context.Context, said client.Resume) (*client.Resumed, error) {
	done, err := a.resume(ctx, said)
	var needs *cdc.NeedsGap
	if errors.As(err, &needs) {
		return nil, resumeError(err)
	}
	st := a.store.Load()
	if st == nil {
		return nil, errNoStore()
	}
	a.still.mu.Lock()
	defer a.still.mu.Unlock()
	ended, endErr := st.EndPause(ctx)
	if ended == nil {
		// There was none, or it is not known. What became of the incident is the answer.
		if err == nil {
			return done, nil
		}
		if endErr != nil {
			return nil, fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, endErr)
		}
		return nil, resumeError(err)
	}
	a.obey(nil)
	if done == nil {
		done = &client.Resumed{}
	}
	done.PausedSince = &ended.Since
	return done, nil
}

// pauseText is a pause in words.
func pauseText(p *store.Pause) string {
	text := "nothing is sent since " + p.Since.Format(time.RFC3339)
	if p.By != "" {
		text += ", by " + p.By
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text + ". What is committed waits in the store. To go on: rowhook resume"
}
