package subscriptions_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestVerificationBeginsWhereItMust: a target that has not agreed is asked, and one that has is not asked again for nothing.
func TestVerificationBeginsWhereItMust(t *testing.T) {
	t.Parallel()
	const secretBody = `{"events":["contact.create"],"target_url":"https://example.com/h","verification":"secret"}`
	now := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	steps := map[string]func(*testing.T, *sub){
		"confirm":   func(_ *testing.T, s *sub) { s.Confirm(now) },
		"disable":   func(_ *testing.T, s *sub) { s.Disable("admin", "", now) },
		"enable":    func(_ *testing.T, s *sub) { s.Enable(now) },
		"lapse":     func(_ *testing.T, s *sub) { s.Lapse("no answer", now) },
		"elsewhere": patched(`{"target_url":"https://example.com/other"}`),
		"challenge": patched(`{"verification":"challenge"}`),
		"none":      patched(`{"verification":null}`),
		"events":    patched(`{"events":["deal.*"]}`),
		"same": func(t *testing.T, s *sub) {
			shown, err := json.Marshal(s.Shown(false))
			if err == nil {
				err = rules(account42).Replace(s, shown)
			}
			if err != nil {
				t.Error(err)
			}
		},
	}
	tests := []struct {
		steps []string
		state subscriptions.State
		// asks says that the last step begins a verification.
		asks bool
	}{
		{nil, subscriptions.Pending, true},
		{[]string{"confirm"}, subscriptions.Active, false},
		{[]string{"events"}, subscriptions.Pending, false},
		{[]string{"same"}, subscriptions.Pending, false},
		{[]string{"elsewhere"}, subscriptions.Pending, true},
		{[]string{"challenge"}, subscriptions.Pending, true},
		{[]string{"none"}, subscriptions.Active, false},
		{[]string{"enable"}, subscriptions.Pending, true},
		{[]string{"disable"}, subscriptions.Disabled, false},
		{[]string{"disable", "enable"}, subscriptions.Pending, true},
		{[]string{"disable", "confirm"}, subscriptions.Disabled, false},
		{[]string{"disable", "confirm", "enable"}, subscriptions.Active, false},
		{[]string{"disable", "none"}, subscriptions.Disabled, false},
		{[]string{"disable", "elsewhere"}, subscriptions.Disabled, true},
		{[]string{"confirm", "events"}, subscriptions.Active, false},
		{[]string{"confirm", "same"}, subscriptions.Active, false},
		{[]string{"confirm", "enable"}, subscriptions.Active, false},
		{[]string{"confirm", "elsewhere"}, subscriptions.Pending, true},
		{[]string{"confirm", "challenge"}, subscriptions.Pending, true},
		{[]string{"confirm", "disable", "elsewhere"}, subscriptions.Disabled, true},
		{[]string{"confirm", "disable", "elsewhere", "enable"}, subscriptions.Pending, true},
		{[]string{"confirm", "disable", "enable"}, subscriptions.Active, false},
		{[]string{"confirm", "lapse"}, subscriptions.Active, false},
		{[]string{"lapse"}, subscriptions.Expired, false},
		{[]string{"lapse", "enable"}, subscriptions.Pending, true},
		{[]string{"lapse", "elsewhere"}, subscriptions.Pending, true},
		{[]string{"lapse", "none"}, subscriptions.Active, false},
		{[]string{"lapse", "events"}, subscriptions.Expired, false},
	}
	for _, tt := range tests {
		s, err := rules(account42).New([]byte(secretBody))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range tt.steps {
			s.VerificationStatus.Value = "" // it is in the store
			steps[step](t, s)
			if s.VerificationStatus == nil && step != "none" {
				t.Fatalf("%v: the status is gone", tt.steps)
			}
		}
		var value secret.String
		if s.VerificationStatus != nil {
			value = s.VerificationStatus.Value
		}
		if s.State != tt.state || (value != "") != tt.asks || value != "" && !subscriptions.IsVerificationValue(value.Reveal()) {
			t.Errorf("%v: got %s with the value %q, want %s, asked: %t", tt.steps, s.State, value.Reveal(), tt.state, tt.asks)
		}
		if v := s.VerificationStatus; tt.asks && (v.ExpiresAt == nil || v.Attempts != 0 || s.State == subscriptions.Pending && (v.NextAttempt == nil || v.ExpiresAt.Sub(*v.NextAttempt) != subscriptions.VerifyFor)) {
			t.Errorf("%v: it begins with %+v", tt.steps, v)
		}
		if v := s.VerificationStatus; v != nil && v.NextAttempt != nil && s.State != subscriptions.Pending {
			t.Errorf("%v: %s, and asked at %v", tt.steps, s.State, v.NextAttempt)
		}
		if (s.State == subscriptions.Disabled || s.State == subscriptions.Expired) != (s.Disabled != nil) {
			t.Errorf("%v: %s because of %+v", tt.steps, s.State, s.Disabled)
		}
	}
}

func patched(body string) func(*testing.T, *sub) {
	return func(t *testing.T, s *sub) {
		if err := rules(account42).Patch(s, []byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestShownVerification: the value is never shown, and what comes next is.
func TestShownVerification(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	s := &sub{Admin: true, Verification: subscriptions.VerifySecret, State: subscriptions.Pending,
		VerificationStatus: &subscriptions.VerificationStatus{Attempts: 1, LastAttempt: &at, LastError: "timeout", NextAttempt: &at, ExpiresAt: &at, Value: "rhv_x"}}
	got, err := json.Marshal(s.Shown(true).VerificationStatus)
	if want := `{"attempts":1,"last_attempt":"2026-11-22T01:00:00Z","last_error":"timeout","next_attempt":null,"expires_at":"2026-11-22T01:00:00Z","confirmed_at":null}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	if s.Shown(true).VerificationStatus.Value != "" {
		t.Error("the value is handed on")
	}
}
