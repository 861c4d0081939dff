package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestDeliveryLog: why a delivery failed is told with its attempts, without what is secret, and it can be sent again.
func TestDeliveryLog(t *testing.T) {
	t.Parallel()
	r := newResender(t)
	var lines bytes.Buffer
	a := &App{log: slog.New(slog.NewTextHandler(&lines, nil))}
	a.store.Store(r.store)
	a.dispatcher.Store(r.dispatcher)
	log := deliveries{a}
	// The third attempt is under way while it is looked at.
	release := make(chan struct{})
	target := hooktest.New(t, hooktest.Always(hooktest.OK()))
	target.Handle("/down", hooktest.Sequence(hooktest.Answer{Status: 503, Body: "try \xff later"}, hooktest.Status(500), hooktest.Answer{Until: release, Status: 200}, hooktest.OK()))
	const hiddenValue = "a-value-of-the-subscriber"
	fallback := ""
	subscribe := func(path string, retries ...subscriptions.Duration) *subscriptions.Subscription {
		s := &subscriptions.Subscription{ID: subscriptions.NewID(), Admin: true, Events: []string{"*"}, State: subscriptions.Active,
			TargetURL: secret.String(strings.Replace(target.URL(path), "://", "://user:"+hiddenValue+"@", 1)),
			Secrets:   []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}}
		s.Request = &subscriptions.Request{Headers: []subscriptions.RequestHeader{{Name: "x-tenant", Value: hiddenValue}}}
		s.Delivery.Retries, s.FallbackURL = &subscriptions.Retries{Waits: retries}, secret.String(fallback)
		if err := r.store.Create(t.Context(), s, 0); err != nil {
			t.Fatal(err)
		}
		return s
	}
	fails, takes := subscribe("/down", subscriptions.Duration(time.Millisecond)), subscribe("/up")
	large := strings.Repeat("x", 2*bodyShown)
	submit := func(n int, data string, to ...*subscriptions.Subscription) *mapping.Event {
		ev := &mapping.Event{ID: fmt.Sprintf("evt_%d", n), Type: "contact.update", Resource: "contact", Instance: "42", Data: []byte(data),
			Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(n), Ordinal: 1}, Time: time.Now().UTC().Truncate(time.Microsecond)}
		receipt := cdc.NewReceipt(len(to))
		if err := r.dispatcher.Submit(t.Context(), []sender.Job{{Event: ev, To: to}}, receipt); err != nil {
			t.Fatal(err)
		}
		<-receipt.Settled()
		return ev
	}
	ev := submit(1, `{"name":"Ada"}`, fails, takes)
	get := func(s *subscriptions.Subscription, at cdc.Position, answers bool) *client.LoggedDelivery {
		t.Helper()
		d, err := log.Get(t.Context(), s, at, answers)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	until := func(s *subscriptions.Subscription, status string) *client.LoggedDelivery {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; {
			d := get(s, ev.Position, true)
			if d.Status == status {
				return d
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is %+v", d.ID, d)
			}
			<-time.After(5 * time.Millisecond)
		}
	}

	d := until(fails, client.DeliveryFailed)
	if d.ID != api.DeliveryID(fails.ID, ev.Position) || d.Subscription != fails.ID || d.AttemptCount != 2 || d.FinishedAt == nil || d.NextAttempt != nil || d.HTTPStatus == nil || *d.HTTPStatus != 500 || d.Replay {
		t.Errorf("failed: %+v", d)
	}
	if want := (client.LoggedEvent{ID: "evt_1", Type: ev.Type, Resource: ev.Resource, Instance: "42", Position: ev.Position.String(), Timestamp: ev.Time}); d.Event != want {
		t.Errorf("its event: %+v", d.Event)
	}
	q := d.Request
	if q == nil || q.Method != "POST" || !strings.Contains(q.URL, "***") || q.Headers["x-tenant"] != "***" || q.Headers["authorization"] != "***" ||
		q.Headers["webhook-signature"] != "***" || q.Headers["webhook-id"] != "evt_1" || q.Headers["content-type"] != "application/json" || q.Truncated {
		t.Errorf("its request: %+v", q)
	} else if sent := target.Wait(t, 3, time.Minute)[0]; string(sent.Body) != q.Body || len(sent.Body) != q.BodyBytes {
		t.Errorf("its body is %s, and was %s", q.Body, sent.Body)
	}
	if all := fmt.Sprintf("%+v %+v", d, *q); strings.Contains(all, hiddenValue) || strings.Contains(all, string(fails.Secrets[0].Secret)) {
		t.Errorf("a secret is shown: %s", all)
	}
	if len(d.Attempts) != 2 {
		t.Fatalf("attempts: %+v", d.Attempts)
	}
	first, second := d.Attempts[0], d.Attempts[1]
	if first.Number != 1 || !first.Counts || first.Delivered || first.Reason != sender.ReasonHTTPStatus || first.Answer == nil || first.Answer.Status != 503 ||
		first.Answer.Body == nil || *first.Answer.Body != "try \uFFFD later" || first.Timings.ConnectMS == nil || first.Timings.FirstByteMS == nil ||
		first.Headers["webhook-attempt"] != "1" || first.Headers["webhook-retry-reason"] != "" {
		t.Errorf("the first attempt: %+v", first)
	}
	if second.Number != 2 || second.Answer == nil || second.Answer.Status != 500 || second.Answer.Body != nil || second.Headers["webhook-retry-reason"] != sender.ReasonHTTPStatus {
		t.Errorf("the second attempt: %+v", second)
	}
	if a := get(fails, ev.Position, false).Attempts[0].Answer; a.Status != 503 || a.Body != nil {
		t.Errorf("an account sees %+v", a)
	}
	if d := get(takes, ev.Position, true); d.Status != client.DeliveryDelivered || len(d.Attempts) != 1 || !d.Attempts[0].Delivered || *d.HTTPStatus != 200 || d.Attempts[0].Answer.Body != nil {
		t.Errorf("delivered: %+v", d)
	}
	for _, body := range []string{`"` + large + `"`, `"` + strings.Repeat("x", rebuildMost) + `"`} {
		n := 2
		if len(body) > rebuildMost {
			n = 3
		}
		q := get(takes, submit(n, body, takes).Position, true).Request
		if shown := len(q.Body); !q.Truncated || n == 2 && (shown != bodyShown || q.BodyBytes <= len(large)) || n == 3 && (shown != 0 || q.BodyBytes != 0) {
			t.Errorf("of a body of %d bytes %d are shown: %v %d", len(body), shown, q.Truncated, q.BodyBytes)
		}
	}

	// A process that does not read the changes can show them all the same.
	if _, err := log.Redeliver(t.Context(), fails, ev.Position, "ops"); !refusedWith(err, 503) {
		t.Errorf("elsewhere: %v", err)
	}
	a.resender.Store(r)
	if d, err := log.Redeliver(t.Context(), fails, ev.Position, "ops"); err != nil || d.Status != client.DeliveryPending || !d.Replay || d.FinishedAt != nil || d.AttemptCount != 2 {
		t.Fatalf("sent again: %+v, %v", d, err)
	}
	if _, err := log.Redeliver(t.Context(), fails, ev.Position, "ops"); !refusedWith(err, 409) {
		t.Errorf("twice: %v", err)
	}
	page, next, err := log.List(t.Context(), fails, api.DeliveryQuery{Status: client.DeliveryPending, Limit: 10})
	if err != nil || next != nil || len(page) != 1 || page[0].ID != d.ID || page[0].Request != nil || page[0].Attempts != nil {
		t.Errorf("pending: %+v, %v, %v", page, next, err)
	}
	close(release)
	d = until(fails, client.DeliveryDelivered)
	if again := d.Attempts[2]; len(d.Attempts) != 3 || again.Number != 3 || again.Headers["webhook-replay"] != "1" || again.Headers["webhook-retry-reason"] != "" || d.Attempts[1].Headers["webhook-replay"] != "" {
		t.Errorf("sent again: %+v", d.Attempts)
	}
	if page, _, err := log.List(t.Context(), fails, api.DeliveryQuery{Status: client.DeliveryFailed, Limit: 10}); err != nil || len(page) != 0 {
		t.Errorf("it is failed no more: %+v, %v", page, err)
	}
	if told := lines.String(); strings.Count(told, "\n") != 1 || !strings.Contains(told, "delivery="+d.ID) || !strings.Contains(told, "by=ops") {
		t.Errorf("the log tells %s", told)
	}
	// What the target did not take, and the fallback did.
	target.Handle("/dead", hooktest.Always(hooktest.Status(502)))
	fallback = target.URL("/up")
	rescued := subscribe("/dead", subscriptions.Duration(time.Millisecond))
	ev = submit(4, `{}`, rescued)
	d = until(rescued, client.DeliveryDelivered)
	if !d.Fallback || d.AttemptCount != 3 || *d.HTTPStatus != 200 || len(d.Attempts) != 3 {
		t.Fatalf("taken by the fallback: %+v", d)
	}
	if last := d.Attempts[2]; d.Attempts[0].Fallback || d.Attempts[1].Fallback || !last.Fallback || !last.Delivered || last.Headers["webhook-fallback-reason"] != sender.ReasonHTTPStatus ||
		last.Headers["webhook-fallback-status"] != "502" || d.Attempts[1].Headers["webhook-fallback-reason"] != "" {
		t.Errorf("its attempts: %+v", d.Attempts)
	}
	if q := hooktest.ByID(target.Requests())["evt_4"]; len(q) != 3 || q[2].Header.Get("webhook-fallback-status") != "502" || q[2].Header.Get("x-tenant") != hiddenValue {
		t.Errorf("it was sent as %v", q)
	}
	none := cdc.Position{Epoch: 1, Commit: 77}
	if _, err := log.Get(t.Context(), takes, none, true); !refusedWith(err, 404) {
		t.Errorf("none: %v", err)
	}
	if _, err := log.Redeliver(t.Context(), takes, none, "ops"); !refusedWith(err, 404) {
		t.Errorf("none: %v", err)
	}
}

// refusedWith says whether the API's answer to the error has the status.
func refusedWith(err error, status int) bool {
	return err != nil && err.Error() == http.StatusText(status)
}
