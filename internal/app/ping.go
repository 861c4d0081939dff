package app

import (
	"context"
	"fmt"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// ping sends a message to a subscription's target and tells how that ended.
func (a *App) ping(ctx context.Context, s *subscriptions.Subscription) (*client.Pinged, error) {
	d := a.dispatcher.Load()
	if d == nil {
		return nil, fmt.Errorf("rowhook is starting: %w", subscriptions.ErrUnavailable)
	}
	out := d.Ping(ctx, s)
	p := &client.Pinged{Delivered: out.Verdict == sender.Delivered, DurationMS: float64(out.Duration.Microseconds()) / 1000, Reason: out.Reason, Detail: out.Detail}
	if out.Status != 0 {
		p.Status = &out.Status
	}
	if out.Verdict == sender.Interrupted {
		p.Reason = sender.ReasonTimeout
	}
	if out.Verdict == sender.Gone {
		p.Reason = sender.ReasonHTTPStatus
	}
	return p, nil
}
