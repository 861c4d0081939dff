package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
)

// drainWait is how long a request for it waits that does not say.
const drainWait = 10 * time.Second

// drain waits until everything up to a position is delivered or stored, and confirmed at the slot. It holds up nothing: what is committed
// later is read and sent.
func (a *App) drain(ctx context.Context, want client.Drain) (*client.Drained, error) {
	if a.opts.ProxyAlone {
		return nil, errNotHere()
	}
	src := a.source.Load()
	if src == nil || a.dispatcher.Load() == nil {
		return nil, errNoStore()
	}
	if a.opts.Temporary {
		return nil, api.Conflict("the slot is temporary: nothing of it is left to be confirmed")
	}
	wait := drainWait
	if want.Wait != "" {
		var err error
		if wait, err = time.ParseDuration(want.Wait); err != nil {
			return nil, err
		}
	}
	until, err := cdc.LSN(0), error(nil)
	if want.UntilLSN == "" {
		until, err = src.Mark(ctx)
	} else {
		until, err = pglogrepl.ParseLSN(want.UntilLSN)
	}
	if err != nil {
		return nil, resumeError(err)
	}
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	confirmed, err := src.Drained(bounded, until)
	d := &client.Drained{UntilLSN: until.String(), Drained: err == nil, Waiting: a.dispatcher.Load().Counts().StoredRows, Paused: a.paused()}
	if confirmed > 0 {
		d.ConfirmedLSN = confirmed.String()
	}
	var not *cdc.NotDrained
	switch {
	case err == nil:
		a.log.Info("drained: everything up to a position is delivered or stored", "until", d.UntilLSN, "confirmed", d.ConfirmedLSN, "due", d.Waiting)
	case errors.As(err, &not):
		d.Reason = not.Error()
		if not.Status.Acknowledged > 0 {
			d.ConfirmedLSN = not.Status.Acknowledged.String()
		}
	case errors.Is(err, cdc.ErrStandby):
		return nil, api.Conflict(err.Error())
	default:
		return nil, fmt.Errorf("drain: %w", resumeError(err))
	}
	return d, nil
}
