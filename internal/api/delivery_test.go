package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// deliveryLog is a log for tests: of each subscription n deliveries, by number. What was asked of it last is kept.
type deliveryLog struct {
	n       int
	list    api.DeliveryQuery
	answers bool
	by      string
	pending bool
	// bounded ends each page behind one delivery.
	bounded bool
	// ofEvent and scope are what was asked for of an event, next what its first page leads to.
	ofEvent api.EventDeliveryQuery
	scope   subscriptions.Scope
	next    string
}

func (l *deliveryLog) one(s *subscriptions.Subscription, at cdc.Position) client.LoggedDelivery {
	return client.LoggedDelivery{ID: api.DeliveryID(s.ID, at), Subscription: s.ID, Status: client.DeliveryFailed, Event: client.LoggedEvent{Position: at.String()}}
}

func (l *deliveryLog) List(_ context.Context, s *subscriptions.Subscription, q api.DeliveryQuery) (page []client.LoggedDelivery, next *cdc.Position, err error) {
	l.list = q
	page = []client.LoggedDelivery{}
	for n := l.n; n > 0; n-- {
		at := letterAt(n)
		if q.Before != nil && at.Compare(*q.Before) >= 0 {
			continue
		}
		if len(page) == q.Limit || l.bounded && len(page) == 1 {
			last := letterAt(n + 1)
			return page, &last, nil
		}
		page = append(page, l.one(s, at))
	}
	return page, nil, nil
}

func (l *deliveryLog) Get(_ context.Context, s *subscriptions.Subscription, at cdc.Position, answers bool) (*client.LoggedDelivery, error) {
	l.answers = answers
	if int(at.Commit) > l.n {
		return nil, api.NotFound("there is no such delivery")
	}
	d := l.one(s, at)
	return &d, nil
}

func (l *deliveryLog) Redeliver(ctx context.Context, s *subscriptions.Subscription, at cdc.Position, by string) (*client.LoggedDelivery, error) {
	l.by = by
	if l.pending {
		return nil, api.Conflict("the delivery is pending")
	}
	return l.Get(ctx, s, at, false)
}

func TestDeliveryIDs(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, sub := range []string{"sub_s4gfrbe74abr2t6lqk6uias3i7", "hook-7", "7", "sub_", "sub_~7", "~7", "a_b_c", "dlv_x", "s4gfrbe74abr2t6lqk6uias3i7"} {
		id := api.DeliveryID(sub, letterAt(3))
		if other, ok := seen[id]; ok {
			t.Errorf("%s is of %s and %s", id, sub, other)
		}
		seen[id] = sub
		got, at, ok := api.ParseDeliveryID(id)
		if got != sub || at != letterAt(3) || !ok {
			t.Errorf("%s of %s: %s %s %v", id, sub, got, at, ok)
		}
	}
	for _, id := range []string{"", "dlv_", "dlv__" + letterAt(3).String(), "dlv_x_" + strings.ToUpper(cdc.Position{Epoch: 0xabcdef}.String()), "x_" + letterAt(3).String(), "dlv_x_00"} {
		if _, _, ok := api.ParseDeliveryID(id); ok {
			t.Errorf("%q is an id", id)
		}
	}
}

func TestDeliveryRoutes(t *testing.T) {
	t.Parallel()
	kept := &deliveryLog{n: 7}
	b := start(t, func(c *api.Config) { c.Deliveries = kept })
	sub, other := make1(t, b.client(tokenOne)), make1(t, b.client(tokenTwo))
	for _, kept.bounded = range []bool{false, true} {
		seen := 0
		resp, body := b.do(t, "GET", "/api/v1/subscription/"+sub.ID+"/delivery?limit=3&resource_id=a%26b&status=failed", tokenOne, "", "")
		for resp.StatusCode == 200 {
			seen += strings.Count(body, `"id":"dlv_`)
			if kept.list.ResourceID != "a&b" || kept.list.Status != client.DeliveryFailed || kept.list.Limit != 3 {
				t.Errorf("asked for %+v", kept.list)
			}
			link, _, more := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), `>; rel="next"`)
			if !more {
				break
			}
			resp, body = b.do(t, "GET", link, tokenOne, "", "")
		}
		if seen != 7 {
			t.Errorf("%d are listed", seen)
		}
	}
	n, from := 0, time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC)
	for d, err := range b.client(tokenOne).Deliveries(t.Context(), sub.ID, client.DeliveryFilter{Event: "x", EventID: "evt_1", ResourceID: "1", Status: "pending", From: from, To: from}) {
		if err != nil || d.Subscription != sub.ID {
			t.Fatal(d, err)
		}
		n++
	}
	if want := (api.DeliveryQuery{Status: "pending", Event: "x", ResourceID: "1", EventID: "evt_1", From: from, To: from, Limit: 100}); n != 7 || kept.list.Before == nil {
		t.Errorf("the client lists %d", n)
	} else if kept.list.Before = nil; kept.list != want {
		t.Errorf("asked for %+v, want %+v", kept.list, want)
	}
	id, foreign := api.DeliveryID(sub.ID, letterAt(2)), api.DeliveryID(other.ID, letterAt(2))
	list := "/subscription/" + sub.ID + "/delivery/"
	for _, c := range []struct {
		method, path, token string
		status              int
		want                string
	}{
		{"GET", list, "", 401, ""},
		{"GET", list, tokenTwo, 404, "there is no such subscription"},
		{"GET", list + "?status=open", tokenOne, 400, "pending, delivered, failed, dropped"},
		{"GET", list + "?from=yesterday", tokenOne, 400, "from is no time"},
		{"GET", list + "?from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", tokenOne, 400, "to is before from"},
		{"GET", list + "?limit=0", tokenOne, 400, "limit"},
		{"GET", list + "?account=1", tokenOne, 400, "account is not a parameter"},
		{"GET", list + "?event=a&event=b", tokenOne, 400, "event is given more than once"},
		{"GET", list + "?after=" + foreign, tokenOne, 400, "after is the id of no delivery"},
		{"POST", list, tokenOne, 405, ""},
		{"GET", "/delivery/" + id, "", 401, ""},
		{"GET", "/delivery/" + id, tokenOne, 200, id},
		{"GET", "/delivery/" + foreign, tokenOne, 404, "there is no such delivery"},
		{"GET", "/delivery/" + foreign, tokenAdmin, 200, foreign},
		{"GET", "/delivery/nothing", tokenAdmin, 404, "there is no such delivery"},
		{"GET", "/delivery/" + api.DeliveryID(sub.ID, letterAt(9)), tokenOne, 404, "there is no such delivery"},
		{"GET", "/delivery/", tokenAdmin, 404, "there is no such route"},
		{"POST", "/delivery/" + foreign + "/redeliver", tokenOne, 404, "there is no such delivery"},
		{"POST", "/delivery/" + id + "/redeliver", tokenOne, 202, id},
	} {
		resp, body := b.do(t, c.method, "/api/v1"+c.path, c.token, "", "")
		if resp.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, resp.StatusCode, body, c.status, c.want)
		}
	}
	if kept.by != "one" {
		t.Errorf("sent again by %q", kept.by)
	}
	for state, want := range map[subscriptions.State]string{subscriptions.Disabled: "is disabled: enable it first", subscriptions.Shadow: "nothing is sent", subscriptions.Pending: "has not agreed"} {
		b.change(t, func(s *subscriptions.Subscription) { s.State, s.Verification = state, subscriptions.VerifySecret })
		if resp, body := b.do(t, "POST", "/api/v1/delivery/"+id+"/redeliver", tokenOne, "", ""); resp.StatusCode != 409 || !strings.Contains(body, want) {
			t.Errorf("%s: %s %s", state, resp.Status, body)
		}
	}
}

// TestAnswersAreForTheAdmin: what a target answered may be anything of its network, and is shown to accounts only where the config
// has it.
func TestAnswersAreForTheAdmin(t *testing.T) {
	t.Parallel()
	for _, shown := range []bool{false, true} {
		kept := &deliveryLog{n: 1}
		b := start(t, func(c *api.Config) { c.Deliveries, c.ShowAnswers = kept, shown })
		id := api.DeliveryID(make1(t, b.client(tokenOne)).ID, letterAt(1))
		for token, want := range map[string]bool{tokenOne: shown, tokenAdmin: true} {
			if d, err := b.client(token).GetDelivery(t.Context(), id); err != nil || d.ID != id || kept.answers != want {
				t.Errorf("%s: %v %v, answers %v", token, fmt.Sprint(d), err, kept.answers)
			}
		}
	}
}
