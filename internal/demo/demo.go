// Package demo shows rowhook at work: a throw-away Postgres with a small CRM, a receiver, and rowhook itself with a real
// config file, all in this process and its children.
//
// Nothing is left behind: the files are in the server's directory, which goes with the server. If the process is killed,
// the kernel ends the server, and the next demo, or test, removes the directory.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Options say what is shown.
type Options struct {
	Out io.Writer
	// Color colours the lines.
	Color bool
	// Once makes one create, update and delete of a contact, and ends.
	Once bool
	// Latency, when over 0, measures that many changes, and ends.
	Latency int
	// Rate is how many changes are made in a second.
	Rate float64
	// Command is how this program was called, for the lines to paste.
	Command string
	Version string
	Log     *slog.Logger
}

// Run shows the demo until ctx is done. That it was stopped is no error, unless Options.Once or Latency had an end to
// reach.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	begun := time.Now()
	hooks := make(chan arrival, 1024)
	fmt.Fprintln(o.Out, "rowhook demo: starting a throw-away Postgres with a small CRM, a receiver, and rowhook between them")
	s, err := start(ctx, o, hooks)
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(o.Out, "stopped while it started: nothing is left")
			return o.stopped()
		}
		return err
	}
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		// rowhook ends by itself only for a reason that ends the demo too.
		<-s.ended
		cancel(errEnded)
	}()
	switch {
	case o.Latency > 0:
		err = s.measure(work, o.Latency, hooks)
	case o.Once:
		err = s.once(work, begun, hooks)
	default:
		s.showWay()
		err = s.application(work, o.Rate)
	}
	interrupted := ctx.Err() != nil
	if interrupted {
		fmt.Fprintln(o.Out, "stopping")
	}
	stopErr := s.stop()
	switch {
	case s.err != nil:
		return errors.Join(s.err, stopErr)
	case stopErr != nil:
		return errors.Join(err, stopErr)
	case interrupted:
		fmt.Fprintln(o.Out, "stopped: the server and its directory are gone")
		return o.stopped()
	}
	return err
}

// errEnded says that rowhook ended before it was stopped.
var errEnded = errors.New("rowhook ended")

// stopped is what an interruption means.
func (o Options) stopped() error {
	switch {
	case o.Once:
		return errors.New("stopped before all three hooks had arrived")
	case o.Latency > 0:
		return errors.New("stopped before all changes were measured")
	}
	return nil
}
