package app

import (
	"context"
	"errors"
	"time"

	"github.com/rowhook/rowhook/cdc"
)

const (
	waitMin = 500 * time.Millisecond
	waitMax = 5 * time.Second
)

// wait tries until it succeeds, as long as what is wrong may pass or needs a person who can mend it while rowhook waits;
// meanwhile readiness says why. What only a change of settings mends is returned at once, but to the proxy alone, which has
// the application's traffic to pass on.
func wait[T any](ctx context.Context, a *App, what string, try func() (T, error)) (T, error) {
	pause, last := waitMin, ""
	for {
		v, err := try()
		if err == nil {
			if last != "" {
				a.log.Info(what + " is there")
			}
			a.trouble.Store(nil)
			return v, nil
		}
		if ctx.Err() != nil {
			return v, ctx.Err() // what a stop cut short is no reason to end with
		}
		var told *cdc.Error
		if !a.opts.ProxyAlone && (!errors.As(err, &told) || told.Class == cdc.Refused) {
			return v, err
		}
		text := err.Error()
		a.waiting.Store(&text)
		a.noteTrouble(what, err, text != last)
		if text != last {
			a.log.Warn("waiting for "+what, "reason", text)
			last = text
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, waitMax)
		}
	}
}
