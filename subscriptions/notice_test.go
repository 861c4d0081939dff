package subscriptions_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestWhoIsToldOfSubscriptions: the admin's that name it, not by *, and not the one that it tells of.
func TestWhoIsToldOfSubscriptions(t *testing.T) {
	t.Parallel()
	x := subscriptions.NewIndex()
	for i, s := range []subscriptions.Subscription{
		{ID: "sub_all", Admin: true, Events: []string{"*"}},
		{ID: "sub_wide", Admin: true, Events: []string{"*", "rowhook.subscription.*"}},
		{ID: "sub_one", Admin: true, Events: []string{"rowhook.subscription.failing"}},
		{ID: "sub_other", Admin: true, Events: []string{"rowhook.subscription.disabled"}},
		{ID: "sub_account", Account: "1", Events: []string{"*", "rowhook.subscription.*"}},
		{ID: "sub_pinned", Admin: true, Events: []string{"rowhook.subscription.*"}, ResourceID: "sub_wide"},
	} {
		s.Key, s.Version, s.State = int64(i+1), 1, subscriptions.Active
		x.Put(&s)
	}
	since := time.Unix(1_790_000_000, 0)
	notice := func(of string, at cdc.LSN) *mapping.Event {
		return mapping.NewSubscriptionNotice("lineage", "failing", of, since, cdc.Position{Epoch: 1, Commit: at, Ordinal: 1}, since.Add(time.Hour), []byte("{}"))
	}
	for of, want := range map[string]string{"sub_elsewhere": "sub_wide sub_one", "sub_wide": "sub_one sub_pinned", "sub_one": "sub_wide"} {
		var got []string
		for _, s := range x.Match(nil, notice(of, 9)) {
			got = append(got, s.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("of %s: told %v, want %s", of, got, want)
		}
	}
	if a, b := notice("sub_a", 9), notice("sub_a", 10); a.ID != b.ID || a.ID == notice("sub_b", 9).ID || a.Type != "rowhook.subscription.failing" {
		t.Errorf("ids %s and %s", a.ID, b.ID)
	}
}

// TestWantingNotices: a list by event finds those that are told, and no others.
func TestWantingNotices(t *testing.T) {
	t.Parallel()
	if got := subscriptions.Wanting("rowhook.subscription.failing"); !slices.Equal(got, []string{"rowhook.subscription.failing", "rowhook.subscription.*"}) {
		t.Errorf("got %v", got)
	}
	catalogue := subscriptions.Catalogue{{Name: "contact.create", Resource: "contact"},
		{Name: "rowhook.subscription.failing", Resource: mapping.SubscriptionResource, AccountReason: "it tells of the subscriptions of all accounts"}}
	for pattern, account := range map[string]bool{"rowhook.subscription.failing": false, "rowhook.subscription.*": false, "contact.*": true, "*": true} {
		if err := catalogue.Check(pattern, true); err != nil {
			t.Errorf("the admin: %s: %v", pattern, err)
		}
		if err := catalogue.Check(pattern, false); (err == nil) != account {
			t.Errorf("an account: %s: %v", pattern, err)
		}
	}
}
