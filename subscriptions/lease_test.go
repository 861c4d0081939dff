package subscriptions_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

var later = time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)

const laterText = "2999-01-01T00:00:00Z"

// over returns a stored one whose lease is over.
func over(t *testing.T, state subscriptions.State) *sub {
	t.Helper()
	s := stored(t, account42)
	s.State, s.ExpiresAt = state, time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	s.Expire()
	if s.State != subscriptions.Expired || s.Disabled == nil || s.Disabled.By != "lease" || !s.Disabled.Since.Equal(s.ExpiresAt) {
		t.Fatalf("expired: %+v %+v", s, s.Disabled)
	}
	return s
}

// TestExpiredIsRevivedByItsEndAlone: and goes back to what it was.
func TestExpiredIsRevivedByItsEndAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		was    subscriptions.State
		method string
		body   string
		want   subscriptions.State
	}{
		{subscriptions.Active, "PATCH", `{"name":"x"}`, subscriptions.Expired},
		{subscriptions.Active, "PATCH", `{"expires_at":"2026-11-22T01:00:00Z"}`, subscriptions.Expired}, // as it is
		{subscriptions.Active, "PATCH", `{"expires_at":"` + laterText + `"}`, subscriptions.Active},
		{subscriptions.Active, "PATCH", `{"expires_at":null}`, subscriptions.Active},
		{subscriptions.Active, "PATCH", `{"expires_at":null,"state":"shadow"}`, subscriptions.Shadow},
		{subscriptions.Shadow, "PATCH", `{"expires_at":"` + laterText + `"}`, subscriptions.Shadow},
		{subscriptions.Shadow, "PATCH", `{"expires_at":"` + laterText + `","state":"active"}`, subscriptions.Active},
		{subscriptions.Active, "PUT", with(`"state":"expired","expires_at":"2026-11-22T01:00:00Z"`), subscriptions.Expired}, // what GET gave
		{subscriptions.Active, "PUT", with(`"state":"expired","expires_at":"` + laterText + `"`), subscriptions.Active},
		{subscriptions.Shadow, "PUT", with(`"state":"expired"`), subscriptions.Shadow},
	} {
		s := over(t, c.was)
		change := rules(account42).Patch
		if c.method == "PUT" {
			change = rules(account42).Replace
		}
		if err := change(s, []byte(c.body)); err != nil || s.State != c.want {
			t.Errorf("%s, %s %s: %s, %v, want %s", c.was, c.method, c.body, s.State, err, c.want)
		}
		if expired := s.State == subscriptions.Expired; (s.Disabled != nil) != expired || !expired && s.Before != "" {
			t.Errorf("%s, %s %s: %+v %q", c.was, c.method, c.body, s.Disabled, s.Before)
		}
	}
	s := over(t, subscriptions.Active)
	if err := rules(account42).Patch(s, []byte(`{"state":"active"}`)); err == nil || !strings.Contains(err.Error(), `give an expires_at in the future`) {
		t.Errorf("state without an end: %v", err)
	}
	if err := s.Enable(time.Now()); !errors.Is(err, subscriptions.ErrLeaseOver) {
		t.Errorf("Enable of an expired one: %v", err)
	}
}

// TestDisabledGoesBackToWhatItWas: a shadow that was disabled is not sent to when it is enabled.
func TestDisabledGoesBackToWhatItWas(t *testing.T) {
	t.Parallel()
	for _, state := range []subscriptions.State{subscriptions.Active, subscriptions.Shadow} {
		s := stored(t, account42)
		s.State = state
		s.Disable("admin", "r", later)
		if why, silent := s.Silent(); s.State != subscriptions.Disabled || silent != (state == subscriptions.Shadow) {
			t.Errorf("disabled: %+v, silent %q %v", s, why, silent)
		}
		s.ExpiresAt = time.Now().Add(-time.Second)
		if s.Expire(); s.State != subscriptions.Disabled || s.Disabled.By != "admin" {
			t.Errorf("a disabled one expires: %+v", s)
		}
		if err := s.Enable(time.Now()); !errors.Is(err, subscriptions.ErrLeaseOver) {
			t.Errorf("Enable: %v", err)
		}
		s.ExpiresAt = later
		if err := s.Enable(time.Now()); err != nil || s.State != state || s.Disabled != nil || s.Before != "" {
			t.Errorf("enabled again: %+v, %v", s, err)
		}
		if err := rules(account42).Patch(s, []byte(`{"state":"active"}`)); err != nil || s.State != subscriptions.Active {
			t.Errorf("%+v, %v", s, err)
		}
		s.Disable("admin", "", later)
		if err := rules(account42).Patch(s, []byte(`{"state":"shadow"}`)); err == nil || !strings.Contains(err.Error(), "…/enable") {
			t.Errorf("the state of a disabled one: %v", err)
		}
		if err := rules(account42).Replace(s, []byte(with(`"state":"active"`))); err != nil || s.State != subscriptions.Disabled {
			t.Errorf("a PUT of what GET gave before: %+v, %v", s, err)
		}
	}
}

// TestReplaceKeepsTheState: nothing is sent because somebody did not know of the field.
func TestReplaceKeepsTheState(t *testing.T) {
	t.Parallel()
	s := stored(t, account42)
	s.State = subscriptions.Shadow
	if err := rules(account42).Replace(s, []byte(with(`"name":"x"`))); err != nil || s.State != subscriptions.Shadow {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSameLease(t *testing.T) {
	t.Parallel()
	for body, same := range map[string]bool{
		`{"events":["contact.create","deal.*"],"target_url":"https://example.com/h"}`:                        true,
		`{"events":["deal.*","contact.create"],"target_url":"https://example.com/h","name":"other"}`:         true,
		`{"events":["deal.*","contact.create"],"target_url":"https://example.com/h","delivery":{}}`:          true,
		`{"events":["deal.*"],"target_url":"https://example.com/h"}`:                                         false,
		`{"events":["contact.create","deal.*"],"target_url":"https://example.com/other"}`:                    false,
		`{"events":["contact.create","deal.*"],"target_url":null}`:                                           false,
		`{"events":["contact.create","deal.*"],"target_url":"https://example.com/h","resource_id":"1"}`:      false,
		`{"events":["contact.create","deal.*"],"target_url":"https://example.com/h","ignore_sources":["a"]}`: false,
	} {
		a, err := rules(account42).New([]byte(`{"events":["contact.create","deal.*"],"target_url":"https://example.com/h"}`))
		if err != nil {
			t.Fatal(err)
		}
		b, err := rules(account42).New([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := a.SameLease(b); got != same || b.SameLease(a) != same {
			t.Errorf("%s: %v, want %v", body, got, same)
		}
		b.Account = "7"
		if a.SameLease(b) {
			t.Errorf("%s: that of another account is the same", body)
		}
	}
}

func importOf(t *testing.T, body string) *subscriptions.Import {
	t.Helper()
	x, err := rules(admin).Import([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return x
}

// TestImportKeepsWhatItIsGiven, and what GET gives of it is the same again.
func TestImportKeepsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	body := with(`"id":"ep_2fXy.~-1","account":"7","secret":"` + goodSecret + `","state":"disabled","disabled_reason":{"by":"x","reason":"dead","since":"2026-01-01T00:00:00Z"},
		"created_at":"2024-05-06T07:08:09.123456789+02:00","updated_at":"2025-01-01T00:00:00Z","name":"n",
		"request":{"headers":{"x-tenant":"acme"},"auth":{"type":"bearer","token":"hunter2"}}`)
	x := importOf(t, body)
	if x.ID != "ep_2fXy.~-1" || x.Account != "7" || x.Admin || !x.SecretGiven || x.Secrets[0].Secret.Reveal() != goodSecret ||
		x.State != subscriptions.Disabled || x.Disabled.By != "import" || x.Disabled.Reason != "dead" ||
		!x.CreatedAt.Equal(time.Date(2024, 5, 6, 5, 8, 9, 123456000, time.UTC)) || x.Name != "n" {
		t.Errorf("got %+v %+v", x.Subscription, x.Disabled)
	}
	held := x.Clone()
	held.Key, held.Version, held.UpdatedAt = 7, 9, later
	if d := importOf(t, body).Differs(held); d != nil {
		t.Errorf("the same again differs in %v", d)
	}
	shown, err := json.Marshal(held.Shown(false))
	if err != nil {
		t.Fatal(err)
	}
	if d := importOf(t, strings.NewReplacer(`"x-tenant":"***"`, `"x-tenant":"acme"`, `"token":"***"`, `"token":"hunter2"`).Replace(string(shown))).Differs(held); d != nil {
		t.Errorf("%s differs in %v", shown, d)
	}
	other := held.Clone()
	other.Request.Auth.Token = "another"
	if d := importOf(t, body).Differs(other); len(d) != 1 || d[0].Field != "request" || strings.Contains(d[0].Detail, "hunter2") {
		t.Errorf("with another login it differs in %v", d)
	}
	for change, field := range map[string]func(*sub){
		"account": func(s *sub) { s.Account = "8" }, "events": func(s *sub) { s.Events = []string{"*"} },
		"target_url": func(s *sub) { s.TargetURL = "https://example.com/other" }, "secret": func(s *sub) { s.Secrets[0].Secret = secret.String(otherSecret) },
		"state": func(s *sub) { s.State = subscriptions.Active }, "name": func(s *sub) { s.Name = "" },
		"created_at": func(s *sub) { s.CreatedAt = later }, "expires_at": func(s *sub) { s.ExpiresAt = later },
		"request": func(s *sub) { s.Request.Headers[0].Value = "another" }, "delivery": func(s *sub) { s.Delivery.MaxInFlight = 3 }, "metadata": func(s *sub) { s.Metadata = map[string]string{"a": "b"} },
	} {
		other := held.Clone()
		field(other)
		if d := importOf(t, body).Differs(other); len(d) != 1 || d[0].Field != change || strings.Contains(d[0].Detail, "whsec") {
			t.Errorf("%s: differs in %v", change, d)
		}
	}
	login := with(`"id":"a","delivery":{"fallback_url":"https://u:hunter2@example.com/f"}`)
	other = importOf(t, login).Clone()
	other.FallbackURL = "https://u:other@example.com/f"
	if d := importOf(t, login).Differs(other); len(d) != 1 || d[0].Field != "delivery.fallback_url" || strings.Contains(d[0].Detail, "hunter2") {
		t.Errorf("with another login of the fallback it differs in %v", d)
	}
	other.FallbackURL = "https://example.com/other"
	if d := importOf(t, login).Differs(other); len(d) != 1 || d[0].Field != "delivery" {
		t.Errorf("with another fallback it differs in %v", d)
	}
	// What was not given is not compared.
	small := with(`"id":"a"`)
	held = importOf(t, small).Clone()
	held.State, held.CreatedAt = subscriptions.Disabled, later
	held.Secrets = []subscriptions.SigningSecret{{Secret: secret.String(otherSecret)}}
	if d := importOf(t, small).Differs(held); d != nil {
		t.Errorf("differs in %v", d)
	}
	if x := importOf(t, small); !x.Admin || x.SecretGiven || len(x.Secrets) != 1 {
		t.Errorf("got %+v", x.Subscription)
	}
	if x := importOf(t, `{"id":"f","events":["*"],"target_url":null,"state":"shadow"}`); x.TargetURL != "" || x.State != subscriptions.Shadow {
		t.Errorf("got %+v", x.Subscription)
	}
}

func TestImportSaysEachMistake(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		with(`"name":"x"`): `id: is required`,
		with(`"id":7`):     `id: is a number`,
		with(`"id":""`):    `id: is "": give 1 to 64`,
		with(`"id":"a b"`): `id: is "a b": give 1 to 64 letters`,
		with(`"id":"a/b"`): `id: is "a/b"`,
		with(`"id":"é"`):   `id: is "é"`,
		with(`"id":"` + strings.Repeat("a", 65) + `"`): `id: is "aaa`,
		with(`"id":".."`):                                 `id: is "..", which is the name of a route`,
		with(`"id":"import"`):                             `id: is "import", which is the name of a route`,
		with(`"id":"a","state":"expired"`):                `state: is "expired": give "active", "shadow" or "disabled"`,
		with(`"id":"a","created_at":"yesterday"`):         `created_at: is not a past time`,
		with(`"id":"a","created_at":"` + laterText + `"`): `created_at: is not a past time`,
		with(`"id":"a","uid":"x"`):                        `uid: "uid" is not a field`,
		with(`"id":"a","secret":"hunter2"`):               `secret: does not begin with "whsec_"`,
		`{"id":"a","events":["contcat.create"],"target_url":"https://***@example.com/"}`: `target_url: has *** for its credentials`,
		`[]`: `: the body is a list`,
	} {
		_, err := rules(admin).Import([]byte(body))
		if list := mistakesOf(t, err); len(list) == 0 || !strings.HasPrefix(list[0], want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s:\n got %q\nwant %q", body, list, want)
		}
	}
}

// TestFeedOnly is shown as null, and goes to and fro.
func TestFeedOnly(t *testing.T) {
	t.Parallel()
	s, err := rules(account42).New([]byte(`{"events":["*"],"target_url":null,"state":"shadow","expires_at":"` + laterText + `"}`))
	if err != nil || len(s.Secrets) != 1 || s.State != subscriptions.Shadow || !s.ExpiresAt.Equal(later) {
		t.Fatalf("%+v, %v", s, err)
	}
	if why, silent := s.Silent(); why != "feed" || !silent {
		t.Errorf("silent: %q %v", why, silent)
	}
	shown, err := json.Marshal(s.Shown(false))
	if err != nil || !strings.Contains(string(shown), `"target_url":null`) || !strings.Contains(string(shown), `"expires_at":"2999-01-01T00:00:00Z"`) {
		t.Errorf("%s, %v", shown, err)
	}
	before := s.Clone()
	if err := rules(account42).Replace(s, shown); err != nil || !reflect.DeepEqual(s, before) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, url := range []string{"https://example.com/h", ""} {
		body := `{"target_url":"` + url + `"}`
		if url == "" {
			body = `{"target_url":null}`
		}
		if err := rules(account42).Patch(s, []byte(body)); err != nil || s.TargetURL.Reveal() != url {
			t.Errorf("%s: %+v, %v", body, s, err)
		}
	}
	if err := rules(account42).Patch(s, []byte(`{"target_url":""}`)); err == nil {
		t.Error("an empty target is taken")
	}
}

// TestATargetIsTakenAwayFromOneWithHeaders: they stay, and are not sent to whoever is the target next.
func TestATargetIsTakenAwayFromOneWithHeaders(t *testing.T) {
	t.Parallel()
	s, err := rules(account42).New([]byte(with(`"request":{"headers":{"x-tenant":"acme"},"auth":{"type":"bearer","token":"hunter2"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	before := s.Request
	if err := rules(account42).Patch(s, []byte(`{"target_url":null}`)); err != nil || s.TargetURL != "" || !reflect.DeepEqual(s.Request, before) {
		t.Fatalf("taken away: %+v, %v", s, err)
	}
	if err := rules(account42).Patch(s, []byte(`{"target_url":"https://evil.example/"}`)); err == nil || s.TargetURL != "" {
		t.Errorf("the next target learns them: %+v", s)
	}
	if err := rules(account42).Patch(s, []byte(`{"target_url":"https://example.com/h","request":null}`)); err != nil || s.Request != nil {
		t.Errorf("given again: %+v, %v", s, err)
	}
}
