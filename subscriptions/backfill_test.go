package subscriptions_test

import (
	"testing"
	"time"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestCovers: what a backfill may tell a subscription is what its account has, as far as it is narrowed, whatever events it asks for.
func TestCovers(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	active := subscriptions.Subscription{State: subscriptions.Active, Account: "1", Events: []string{"contact.update"}}
	of := mapping.Event{Type: "contact.create", Resource: "contact", Instance: "42", Account: "1", Accounted: true, Time: at}
	for name, c := range map[string]struct {
		change func(*subscriptions.Subscription, *mapping.Event)
		want   bool
	}{
		"its own":            {func(*subscriptions.Subscription, *mapping.Event) {}, true},
		"another account's":  {func(_ *subscriptions.Subscription, ev *mapping.Event) { ev.Account = "2" }, false},
		"nobody's":           {func(_ *subscriptions.Subscription, ev *mapping.Event) { ev.Account, ev.Accounted = "", false }, false},
		"nobody's to nobody": {func(s *subscriptions.Subscription, ev *mapping.Event) { s.Account, ev.Account = "", "" }, false},
		"the admin's": {func(s *subscriptions.Subscription, ev *mapping.Event) {
			s.Admin, ev.Account, ev.Accounted = true, "", false
		}, true},
		"its instance":         {func(s *subscriptions.Subscription, _ *mapping.Event) { s.ResourceID = "42" }, true},
		"another instance":     {func(s *subscriptions.Subscription, _ *mapping.Event) { s.ResourceID = "4" }, false},
		"disabled":             {func(s *subscriptions.Subscription, _ *mapping.Event) { s.State = subscriptions.Disabled }, false},
		"after its lease":      {func(s *subscriptions.Subscription, _ *mapping.Event) { s.ExpiresAt = at }, false},
		"before its end":       {func(s *subscriptions.Subscription, _ *mapping.Event) { s.ExpiresAt = at.Add(time.Second) }, true},
		"admin, of an account": {func(s *subscriptions.Subscription, _ *mapping.Event) { s.Admin = true }, true},
	} {
		s, ev := active, of
		c.change(&s, &ev)
		if got := s.Covers(&ev); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for resource, want := range map[string]bool{"contact": true, "contac": false, "contacts": false, "deal": false} {
		if active.WantsResource(resource) != want {
			t.Errorf("%s: %v", resource, !want)
		}
	}
}
