package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// samePress is how far signals of one key press may lie apart: a wrapper that has forwarded Ctrl-C sends it to a process that the
// terminal has told already. Nobody presses a key twice so fast.
const samePress = 300 * time.Millisecond

// untilSignal gives a context that the first signal ends; a second one that is not of the same key press ends the process at once. What
// it returns must be called.
func untilSignal(ctx context.Context, stderr io.Writer, signals ...os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	got := make(chan os.Signal, 2)
	signal.Notify(got, signals...)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var p presses
		for {
			select {
			case <-done:
				return
			case <-got:
			}
			if p.again(time.Now()) {
				fmt.Fprintln(stderr, "rowhook: ended at once, by a second signal")
				os.Exit(exitInterrupted)
			}
			cancel()
		}
	})
	return ctx, func() {
		signal.Stop(got)
		close(done)
		wg.Wait()
		cancel()
	}
}

// presses tells a second signal from a repeated one.
type presses struct{ first time.Time }

// again is whether a signal that came at this time is a second one.
func (p *presses) again(at time.Time) bool {
	if p.first.IsZero() {
		p.first = at
	}
	return at.Sub(p.first) > samePress
}

// whileShown is untilSignal for commands that show something and clean up after themselves: they also end, in their
// order, with the terminal, and when nobody reads what they show any more (rowhook demo | head).
func (p *program) whileShown(ctx context.Context) (context.Context, io.Writer, func()) {
	// Else the process would die of it.
	signal.Ignore(syscall.SIGPIPE)
	ctx, release := untilSignal(ctx, p.stderr, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	return ctx, &shown{w: p.stdout, unread: cancel}, func() {
		cancel()
		release()
	}
}

// shown calls unread when it cannot be written to any more.
type shown struct {
	w      io.Writer
	unread func()
}

// Write implements io.Writer. It never fails: that nobody reads must not disturb what is still to be done.
func (s *shown) Write(b []byte) (int, error) {
	if _, err := s.w.Write(b); err != nil {
		s.unread()
	}
	return len(b), nil
}
