package app

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// rebuildMost is how large an event may be whose request is made again to be looked at; bodyShown is how much of its body is
	// shown. Both in bytes.
	rebuildMost = 1 << 20
	bodyShown   = 64 << 10
)

// deliveries is the log as the API sees it.
type deliveries struct{ app *App }

// List implements api.Deliveries.
func (d deliveries) List(ctx context.Context, s *subscriptions.Subscription, q api.DeliveryQuery) ([]client.LoggedDelivery, *cdc.Position, error) {
	st, err := d.app.openStore()
	if err != nil {
		return nil, nil, err
	}
	of := store.LogQuery{Subscription: s.Key, Pending: q.Status == client.DeliveryPending, Type: q.Event, Instance: q.ResourceID, EventID: q.EventID,
		From: q.From, To: q.To, Before: q.Before, Limit: q.Limit}
	for _, status := range []sender.Status{sender.StatusDelivered, sender.StatusFailed, sender.StatusDropped} {
		if status.String() == q.Status {
			of.Status = status
		}
	}
	page, next, err := st.ListDeliveries(ctx, of)
	if err != nil {
		return nil, nil, err
	}
	shown := make([]client.LoggedDelivery, len(page))
	for i, l := range page {
		shown[i] = shownDelivery(s.ID, l)
	}
	return shown, next, nil
}

// Get implements api.Deliveries.
func (d deliveries) Get(ctx context.Context, s *subscriptions.Subscription, at cdc.Position, answers bool) (*client.LoggedDelivery, error) {
	st, err := d.app.openStore()
	if err != nil {
		return nil, err
	}
	l, attempts, err := st.Delivery(ctx, s.Key, at, rebuildMost)
	if errors.Is(err, store.ErrNoDelivery) {
		return nil, api.NotFound(err.Error())
	}
	if err != nil {
		return nil, err
	}
	shown := shownDelivery(s.ID, l)
	shown.Request = d.request(s, l.Event)
	reason := ""
	var last store.LoggedAttempt // at the target
	for _, a := range attempts {
		if a.Number == l.FirstReplay {
			reason = "" // the schedule has begun anew
		}
		one := shownAttempt(a, reason, l.FirstReplay, answers)
		if a.Fallback {
			one.Headers["webhook-fallback-reason"] = last.Reason
			if last.Status != 0 {
				one.Headers["webhook-fallback-status"] = strconv.Itoa(last.Status)
			}
		} else {
			last = a
		}
		shown.Attempts = append(shown.Attempts, one)
		if !a.Uncounted {
			reason = a.Reason
		}
	}
	return &shown, nil
}

// request makes the request of an event again; nil where the subscription cannot be sent to as it is.
func (d deliveries) request(s *subscriptions.Subscription, ev *mapping.Event) *client.LoggedRequest {
	dispatcher := d.app.dispatcher.Load()
	if dispatcher == nil {
		return nil
	}
	large := ev.Data == nil
	if large {
		ev.Data = []byte("null")
	}
	r, err := dispatcher.Rebuild(s, ev)
	if err != nil {
		return nil
	}
	shown := &client.LoggedRequest{Method: r.Method, URL: r.URL, Headers: map[string]string{}, Truncated: large}
	for _, h := range r.Headers {
		shown.Headers[strings.ToLower(h.Name)] = h.Value
	}
	if large {
		shown.URL = s.ShownTarget()
		return shown
	}
	shown.Body, shown.BodyBytes = beginning(r.Body, bodyShown), len(r.Body)
	shown.URL = beginning([]byte(shown.URL), bodyShown)
	shown.Truncated = len(shown.Body) < len(r.Body) || len(shown.URL) < len(r.URL)
	return shown
}

// beginning is as much of a text as is shown of it, without a part of a character.
func beginning(text []byte, most int) string {
	if len(text) > most {
		for most > 0 && !utf8.RuneStart(text[most]) {
			most--
		}
		text = text[:most]
	}
	return strings.ToValidUTF8(string(text), "\uFFFD")
}

// Redeliver implements api.Deliveries.
func (d deliveries) Redeliver(ctx context.Context, s *subscriptions.Subscription, at cdc.Position, by string) (*client.LoggedDelivery, error) {
	st, err := d.app.openStore()
	if err != nil {
		return nil, err
	}
	if d.app.opts.ProxyAlone {
		return nil, errNotHere()
	}
	again := d.app.resender.Load()
	if again == nil {
		return nil, errNoReader()
	}
	l, _, err := st.Delivery(ctx, s.Key, at, 0)
	switch {
	case errors.Is(err, store.ErrNoDelivery):
		return nil, api.NotFound(err.Error())
	case err != nil:
		return nil, err
	case l.Status == 0:
		return nil, api.Conflict("the delivery is pending: it is sent " + whenOf(l.NextAttempt))
	}
	job := sender.Job{Event: l.Event, To: []*subscriptions.Subscription{s}, Replay: true, Attempts: l.Attempts}
	switch _, err := again.resend(ctx, []sender.Job{job}); {
	case errors.Is(err, sender.ErrSuspended), errors.Is(err, sender.ErrNotOwner):
		return nil, errNoReader()
	case err != nil:
		return nil, err
	}
	d.app.log.Info("a delivery is sent again", "delivery", api.DeliveryID(s.ID, at), "event", l.Event.ID, "by", by)
	l.Status, l.Dropped, l.Fallback, l.Replay, l.FinishedAt, l.NextAttempt, l.HTTPStatus, l.Duration = 0, 0, false, true, time.Time{}, time.Time{}, 0, 0
	shown := shownDelivery(s.ID, l)
	return &shown, nil
}

// errNoReader is the answer of a standby, and while nothing is read.
func errNoReader() error {
	return api.Unavailable("this process does not read the changes now: ask the API of the one whose /readyz has the role active")
}

func whenOf(next time.Time) string {
	if next.IsZero() {
		return "after an earlier event of its instance"
	}
	return "at " + next.Format(time.RFC3339)
}

func shownDelivery(subscription string, l *store.Logged) client.LoggedDelivery {
	ev := l.Event
	d := client.LoggedDelivery{ID: api.DeliveryID(subscription, ev.Position), Subscription: subscription, Status: l.Status.String(), DroppedReason: l.Dropped.String(),
		Replay: l.Replay, Fallback: l.Fallback, AttemptCount: l.Attempts, NextAttempt: timeOrNil(l.NextAttempt), RetryReason: l.RetryReason, FinishedAt: timeOrNil(l.FinishedAt),
		Event: client.LoggedEvent{ID: ev.ID, Type: ev.Type, Resource: ev.Resource, Instance: ev.Instance, Position: ev.Position.String(), Timestamp: ev.Time}}
	if l.HTTPStatus != 0 {
		d.HTTPStatus = &l.HTTPStatus
	}
	if l.Duration != 0 {
		d.DurationMS = milliseconds(l.Duration)
	}
	return d
}

// shownAttempt is an attempt as the API shows it. Retry is why the one before failed, replay the number from which on it was sent again.
func shownAttempt(a store.LoggedAttempt, retry string, replay int, answers bool) client.LoggedAttempt {
	shown := client.LoggedAttempt{Number: a.Number, Counts: !a.Uncounted, Delivered: a.Delivered, Fallback: a.Fallback, StartedAt: a.Started, Reason: a.Reason, Detail: a.Detail,
		Headers: map[string]string{"webhook-attempt": strconv.Itoa(a.Number), "webhook-timestamp": strconv.FormatInt(a.Started.Unix(), 10)},
		Timings: client.LoggedTimings{TotalMS: *milliseconds(a.Duration)}}
	if retry != "" {
		shown.Headers["webhook-retry-reason"] = retry
	}
	if replay > 0 && a.Number >= replay {
		shown.Headers["webhook-replay"] = "1"
	}
	if a.Status != 0 {
		shown.Answer = &client.LoggedAnswer{Status: a.Status}
		if answers && len(a.Answer) > 0 {
			body := beginning(a.Answer, len(a.Answer))
			shown.Answer.Body = &body
		}
	}
	if t := a.Timings; t != nil {
		shown.Timings.DNSMS, shown.Timings.ConnectMS, shown.Timings.TLSMS = millisecondsOf(t.DNS), millisecondsOf(t.Connect), millisecondsOf(t.TLS)
		shown.Timings.FirstByteMS = millisecondsOf(t.FirstByte)
	} else if a.Status != 0 {
		shown.Timings.FirstByteMS = milliseconds(a.Duration)
	}
	return shown
}

func milliseconds(d time.Duration) *float64 {
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

// millisecondsOf is nil for none.
func millisecondsOf(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	return milliseconds(d)
}
