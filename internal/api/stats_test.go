package api_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

func (*deliveryLog) Stats(_ context.Context, of []*subscriptions.Subscription) ([]*client.SubscriptionStats, error) {
	now := time.Now().UTC()
	w := client.DeliveryWindow{Seconds: 3600, Delivered: 1, SuccessRate: new(1.0), Complete: true, CountedSince: now}
	var all []*client.SubscriptionStats
	for _, s := range of {
		all = append(all, &client.SubscriptionStats{Subscription: s.ID, At: now, Hour: w, Day: w})
	}
	return all, nil
}

func (l *deliveryLog) Held(_ context.Context, s *subscriptions.Subscription, after api.HeldCursor, limit int) ([]client.HeldKey, *api.HeldCursor, error) {
	page := []client.HeldKey{}
	for n := int64(1); n <= int64(l.n); n++ {
		if n <= after.Key {
			continue
		}
		if len(page) == limit {
			return page, &api.HeldCursor{Next: time.UnixMicro(n - 1), Key: n - 1}, nil
		}
		next := time.UnixMicro(n).UTC()
		page = append(page, client.HeldKey{Resource: "contact", ResourceID: new(strconv.FormatInt(n, 10)), Waiting: 1, Oldest: l.one(s, letterAt(int(n))), NextAttempt: &next})
	}
	return page, nil, nil
}

func (l *deliveryLog) OfEvent(_ context.Context, scope subscriptions.Scope, q api.EventDeliveryQuery) ([]client.LoggedDelivery, string, error) {
	l.ofEvent, l.scope = q, scope
	if q.Position != letterAt(1) && q.EventID != "evt_1" {
		return nil, "", api.NotFound("there is no such event")
	}
	next := ""
	if q.After == nil {
		next = l.next
	}
	return []client.LoggedDelivery{l.one(&subscriptions.Subscription{ID: subscriptions.NewID()}, letterAt(1))}, next, nil
}

func TestWhatIsHeldAndWhatBecameOfAnEvent(t *testing.T) {
	t.Parallel()
	log := &deliveryLog{n: 3}
	b := start(t, whole, func(c *api.Config) { c.Deliveries = log })
	sub := make1(t, b.client(tokenOne))
	log.next = sub.ID
	var held []string
	for h, err := range b.client(tokenOne).Held(t.Context(), sub.ID) {
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, *h.ResourceID)
	}
	resp, body := b.do(t, "GET", "/api/v1/subscription/"+sub.ID+"/held/?limit=2", tokenOne, "", "")
	if want := `</api/v1/subscription/` + sub.ID + `/held/?after=2%3A2&limit=2>; rel="next"`; !slices.Equal(held, []string{"1", "2", "3"}) || resp.Header.Get("Link") != want {
		t.Errorf("%v, then %q %s", held, resp.Header.Get("Link"), body)
	}
	if resp, body := b.do(t, "GET", "/api/v1/subscription/"+sub.ID+"/held/?after=2%3A2&limit=2", tokenOne, "", ""); resp.Header.Get("Link") != "" || strings.Count(body, `"waiting"`) != 1 {
		t.Errorf("the last page: %q %s", resp.Header.Get("Link"), body)
	}
	if resp, body := b.do(t, "GET", "/api/v1/subscription/"+sub.ID+"/held/?after=x", tokenOne, "", ""); resp.StatusCode != 400 {
		t.Errorf("%s %s", resp.Status, body)
	}
	for _, id := range []string{"evt_1", letterAt(1).String()} {
		n := 0
		for _, err := range b.client(tokenOne).EventDeliveries(t.Context(), id) {
			if n++; err != nil {
				t.Fatal(err)
			}
		}
		if n != 2 || log.ofEvent.After == nil || log.ofEvent.After.ID != sub.ID || log.scope.Account != "1" || log.scope.Admin {
			t.Errorf("%s: %d, asked %+v for %+v", id, n, log.ofEvent, log.scope)
		}
	}
	for path, want := range map[string]int{"/api/v1/event/evt_9/delivery/": 404, "/api/v1/event/evt_1/delivery/?after=sub_x": 400, "/api/v1/event/evt_1/delivery/?limit=0": 400} {
		if resp, body := b.do(t, "GET", path, tokenOne, "", ""); resp.StatusCode != want {
			t.Errorf("%s: %s %s", path, resp.Status, body)
		}
	}
}

func TestStatsOfSeveral(t *testing.T) {
	t.Parallel()
	b := start(t, whole, func(c *api.Config) { c.Deliveries = &deliveryLog{} })
	c := b.client(tokenOne)
	first, second, foreign := make1(t, c), make1(t, c), make1(t, b.client(tokenTwo))
	all, err := c.StatsOf(t.Context(), second.ID, subscriptions.NewID(), foreign.ID, first.ID, second.ID)
	if err != nil || len(all) != 2 || all[0].Subscription != second.ID || all[1].Subscription != first.ID || all[0].Hour.Delivered != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := c.StatsOf(t.Context(), foreign.ID); err != nil || all == nil || len(all) != 0 {
		t.Errorf("another's: %+v, %v", all, err)
	}
	many := make([]string, 51)
	for i := range many {
		many[i] = subscriptions.NewID()
	}
	for _, ids := range [][]string{nil, {" ", ""}, many} {
		if _, err := c.StatsOf(t.Context(), ids...); err == nil || !strings.Contains(err.Error(), "give 1 to 50, with commas") {
			t.Errorf("%d ids: %v", len(ids), err)
		}
	}
}
