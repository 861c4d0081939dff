package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestEnableFailed: what rowhook has disabled is enabled by filter, page by page, the caller's own alone; what somebody has disabled
// stays.
func TestEnableFailed(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	day := time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)
	died := func(at time.Time) func(*subscriptions.Subscription) {
		return func(s *subscriptions.Subscription) {
			s.DisableDead(at.AddDate(0, 0, -5), subscriptions.LastAnswer{Reason: "timeout", At: at}, at)
		}
	}
	leased := func(s *subscriptions.Subscription) {
		s.ExpiresAt = time.Now().Add(-time.Hour)
		died(day)(s)
	}
	byHand := func(s *subscriptions.Subscription) { s.Disable("account", "", day) }
	all := []struct {
		account, host, event string
		stop                 func(*subscriptions.Subscription)
	}{
		{"1", "a.example.com", "contact.*", died(day)},                    // 0
		{"1", "a.example.com", "deal.update", died(day.AddDate(0, 0, 1))}, // 1
		{"1", "b.example.com", "contact.*", died(day.AddDate(0, 0, 2))},   // 2
		{"1", "a.example.com", "contact.*", byHand},                       // 3
		{"1", "a.example.com", "contact.*", leased},                       // 4
		{"1", "a.example.com", "contact.*", nil},                          // 5
		{"2", "a.example.com", "contact.*", died(day)},                    // 6
		{"", "a.example.com", "contact.*", died(day)},                     // 7
	}
	ids := make([]string, len(all))
	disabled := func() (out string) {
		t.Helper()
		for i, id := range ids {
			s, err := b.repository.Get(t.Context(), subscriptionsAdmin, id)
			if err != nil {
				t.Fatal(err)
			}
			if s.State == subscriptions.Disabled {
				out += fmt.Sprint(i)
			}
		}
		return out
	}
	for i, x := range all {
		s := &subscriptions.Subscription{ID: fmt.Sprintf("sub_%d", i), Account: x.account, Admin: x.account == "", Events: []string{x.event},
			TargetURL: secret.String("https://" + x.host + "/h"), State: subscriptions.Active, Name: fmt.Sprint("CRM ", i)}
		if x.stop != nil {
			x.stop(s)
		}
		if err := b.repository.Create(t.Context(), s, 0); err != nil {
			t.Fatal(err)
		}
		ids[i] = s.ID
	}
	second := day.AddDate(0, 0, 1)
	for _, c := range []struct {
		token            string
		want             client.EnableFailed
		enabled, skipped int
		// left are the numbers of those that are disabled then.
		left string
	}{
		{tokenOne, client.EnableFailed{All: true, DryRun: true}, 3, 1, "0123467"},
		{tokenAdmin, client.EnableFailed{All: true, DryRun: true, Limit: 2}, 5, 1, "0123467"},
		{tokenOne, client.EnableFailed{TargetHost: "b.example.com", Event: "deal.update"}, 0, 0, "0123467"},
		{tokenOne, client.EnableFailed{Event: "deal.update"}, 1, 0, "023467"},
		{tokenOne, client.EnableFailed{DisabledAfter: &second}, 1, 0, "03467"},
		{tokenOne, client.EnableFailed{Name: "crm 7"}, 0, 0, "03467"},
		{tokenAdmin, client.EnableFailed{Account: "2"}, 1, 0, "0347"},
		{tokenTwo, client.EnableFailed{All: true}, 0, 0, "0347"},
		{tokenOne, client.EnableFailed{TargetHost: "A.example.com", DisabledBefore: &second}, 1, 1, "347"},
		{tokenAdmin, client.EnableFailed{All: true, Limit: 1}, 1, 1, "34"},
		{tokenAdmin, client.EnableFailed{All: true}, 0, 1, "34"},
	} {
		done, err := b.client(c.token).EnableFailed(t.Context(), c.want)
		if err != nil || done.Enabled != c.enabled || done.Skipped != c.skipped || done.DryRun != c.want.DryRun {
			t.Errorf("%+v: got %+v, %v, want %d and %d", c.want, done, err, c.enabled, c.skipped)
		}
		if left := disabled(); left != c.left {
			t.Errorf("%+v: %s are disabled, want %s", c.want, left, c.left)
		}
	}
	for body, want := range map[string]int{
		`{}`: 422, `{"all":true,"name":"x"}`: 422, `{"name":1}`: 422, `{"nam":"x"}`: 422, `{"all":true,"limit":1001}`: 422, `{"all":true,"limit":-1}`: 422,
		`{"all":true,"after":"sub_none"}`: 422, `{"account":"2"}`: 422, `{"disabled_after":"yesterday"}`: 422, `{`: 400, `{"name":"\u0000"}`: 422,
	} {
		if resp, got := b.do(t, "POST", "/api/v1/subscription/enable", tokenOne, "application/json", body); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d: %s", body, resp.StatusCode, want, got)
		}
	}
	for body, want := range map[string]string{
		`{"name":1}`: "name is a number: the body is such as", `{"name":[]}`: "name is a list: ", `{"all":{}}`: "all is an object: ", `{"limit":true}`: "limit is a boolean: ",
	} {
		if _, got := b.do(t, "POST", "/api/v1/subscription/enable", tokenOne, "application/json", body); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}
