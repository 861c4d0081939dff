package subscriptions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

var catalogue = subscriptions.Catalogue{
	{Name: "contact.create", Resource: "contact"},
	{Name: "contact.update", Resource: "contact"},
	{Name: "contact.delete", Resource: "contact", AccountReason: "the replica identity of contacts lacks account_id"},
	{Name: "deal.create", Resource: "deal"},
	{Name: "deal.won", Resource: "deal"},
	{Name: "plan.create", Resource: "plan", AdminOnly: true},
	{Name: "note.delete", Resource: "note", AccountReason: "unknown account"},
	{Name: "lead.won", Resource: "lead", Reason: "the old row is not known"},
}

var (
	account42 = subscriptions.Scope{Account: "42"}
	admin     = subscriptions.Scope{Admin: true}
)

func rules(scope subscriptions.Scope) subscriptions.Rules {
	return subscriptions.Rules{
		Scope: scope, Catalogue: catalogue, ConfigRetries: 9,
		Admin:    subscriptions.Policy{AllowHTTP: true, CheckAddress: func(netip.Addr) error { return nil }},
		Accounts: subscriptions.Policy{CheckAddress: publicOnly},
	}
}

const (
	goodSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// with is a good body with more members.
func with(members string) string {
	return `{"events":["contact.create"],"target_url":"https://example.com/h",` + members + `}`
}

// mistakesOf are the mistakes as field: detail.
func mistakesOf(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var invalid *subscriptions.Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("%T %v is not an *Invalid", err, err)
	}
	var list []string
	for _, m := range invalid.Mistakes {
		list = append(list, m.Field+": "+m.Detail)
	}
	if len(list) == 0 {
		t.Fatal("an *Invalid without mistakes")
	}
	return list
}

func TestNewTakesTwoFields(t *testing.T) {
	t.Parallel()
	s, err := rules(account42).New([]byte(`{"events":["contact.create","deal.*","contact.create"],"target_url":"https://example.com/h"}`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Account != "42" || s.Admin || s.State != subscriptions.Active || !reflect.DeepEqual(s.Events, []string{"contact.create", "deal.*"}) {
		t.Errorf("got %+v", s)
	}
	if len(s.ID) != 30 || !strings.HasPrefix(s.ID, "sub_") || s.ID != strings.ToLower(s.ID) {
		t.Errorf("ID = %q", s.ID)
	}
	if key, err := s.Secrets[0].Key(); err != nil || len(key) != 32 {
		t.Errorf("Key() = %d bytes, %v", len(key), err)
	}
	other, err := rules(account42).New([]byte(`{"event":"*","target_url":"https://example.com/h"}`))
	if err != nil || other.ID == s.ID || other.Secrets[0].Secret == s.Secrets[0].Secret || other.Events[0] != "*" {
		t.Errorf("got %+v, %v", other, err)
	}
}

func TestNewTakesEverything(t *testing.T) {
	t.Parallel()
	s, err := rules(admin).New([]byte(with(`"account":"7","resource_id":42,"secret":"` + goodSecret + `","name":"n","description":"d",
		"metadata":{"a":"b","c":""},"delivery":{"timeout":"5s","retries":["5s","1m30s"],"ordering":"none","max_in_flight":3,"rate_limit":"600/m","debounce":"90s"},
		"filter":null,"ignore_sources":[],"request":{"format":"standard","headers":{}},"verification":"none","expires_at":null`)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Account != "7" || s.Admin || s.ResourceID != "42" || s.Secrets[0].Secret.Reveal() != goodSecret || s.Metadata["a"] != "b" {
		t.Errorf("got %+v", s)
	}
	got, _ := json.Marshal(s.Delivery)
	if want := `{"timeout":"5s","retries":["5s","1m30s"],"ordering":"none","max_in_flight":3,"rate_limit":"600/m","debounce":"1m30s"}`; string(got) != want {
		t.Errorf("delivery %s, want %s", got, want)
	}
	if s, err := rules(admin).New([]byte(with(`"account":null,"delivery":{"retries":0}`))); err != nil || !s.Admin || s.Account != "" ||
		!s.Delivery.Retries.IsCount {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestNewSaysEachMistake(t *testing.T) {
	t.Parallel()
	many := strings.TrimSuffix(strings.Repeat(`"*",`, 101), ",")
	manyMembers := ""
	for i := range 51 {
		manyMembers += fmt.Sprintf(`"k%d":"",`, i)
	}
	for _, c := range []struct {
		scope subscriptions.Scope
		body  string
		want  string // the mistakes, or the beginning of the only one
	}{
		{account42, `{}`, `events: "events" is required`},
		{account42, `{"events":[],"target_url":"https://example.com"}`, `events: is empty`},
		{account42, `{"events":"*","target_url":"https://example.com"}`, `events: is a string: give a list`},
		{account42, `{"events":[1,"*"],"target_url":"https://example.com"}`, `events[0]: is a number`},
		{account42, `{"events":[` + many + `],"target_url":"https://example.com"}`, `events: has 101 names`},
		{account42, `{"event":["*"],"target_url":"https://example.com"}`, `event: is a list`},
		{account42, with(`"event":"*"`), `event: "event" and "events" are both given`},
		{account42, `{"events":["contact.craete"],"target_url":"https://example.com"}`,
			`events[0]: no event is called "contact.craete": did you mean "contact.create"?`},
		{account42, `{"event":"contacts.*","target_url":"https://example.com"}`,
			`event: no event is called "contacts.*": did you mean "contact.*"?`},
		{account42, `{"event":"zzzzzzzzzzzzzzzzzzzzzzzzz","target_url":"https://example.com"}`,
			`event: no event is called "zzzzzzzzzzzzzzzzzzzzzzzzz": event-type/ lists them`},
		{admin, `{"event":"lead.won","target_url":"https://example.com"}`, `event: "lead.won" is not offered: the old row is not known`},
		{admin, `{"event":"lead.*","target_url":"https://example.com"}`, `event: "lead.*" has no event that is offered: the old row is not known`},
		{account42, `{"event":"contact.delete","target_url":"https://example.com"}`,
			`event: "contact.delete" is not offered: the replica identity of contacts lacks account_id`},
		{account42, `{"event":"plan.create","target_url":"https://example.com"}`, `event: "plan.create" is for the admin only`},
		{account42, `{"event":"plan.*","target_url":"https://example.com"}`, `event: "plan.*" is for the admin only`},
		{account42, `{"event":"note.*","target_url":"https://example.com"}`, `event: "note.*" has no event that is offered: unknown account`},
		{admin, `{"event":"plan.create","account":"7","target_url":"https://example.com"}`, `event: "plan.create" is for the admin only`},
		{admin, `{"event":"*","account":"7","target_url":"http://10.0.0.1"}`, `target_url: is http`},
		{account42, `{"event":"*"}`, `target_url: "target_url" is required`},
		{account42, `{"event":"*","target_url":7}`, `target_url: is a number`},
		{account42, `{"event":"*","target_url":"http://user:hunter2@example.com"}`, `target_url: is http`},
		{account42, with(`"account":"42"`), `account: "account" is set by the login`},
		{account42, with(`"account":null`), `account: "account" is set by the login`},
		{admin, with(`"account":""`), `account: is ""`},
		{admin, with(`"account":"*"`), `account: is "*"`},
		{admin, with(`"account":42`), `account: is a number: give a string`},
		{account42, with(`"id":"sub_1"`), `id: "id" is set by rowhook`},
		{account42, with(`"state":"disabled"`), `state: is "disabled": give "active" or "shadow"`},
		{account42, with(`"state":["shadow"]`), `state: is a list: give "active" or "shadow"`},
		{account42, with(`"target_rul":"x"`), `target_rul: "target_rul" is not a field: did you mean "target_url"?`},
		{account42, with(`"url":"x"`), `url: "url" is not a field: did you mean "target_url"?`},
		{account42, with(`"expiration_date":null`), `expiration_date: "expiration_date" is not a field: did you mean "expires_at"?`},
		{account42, with(`"":1`), `: "" is not a field`},
		{account42, with(`"filter":1`), `filter: is a number: give an expression as a string, such as "data.status == \"won\""`},
		{account42, with(`"filter":"data.a == 1 &&"`), `filter: line 1, column 14: expression ends too early`},
		{account42, with(`"filter":"a\u0000"`), `filter: holds a control character: leave it out`},
		{account42, with(`"filter_error":null`), `filter_error: "filter_error" is set by rowhook: leave it out`},
		{account42, with(`"ignore_sources":"zapier"`), `ignore_sources: is a string: give a list such as ["zapier"]`},
		{account42, with(`"ignore_sources":["zapier",7]`), `ignore_sources[1]: is a number: give a string`},
		{account42, with(`"ignore_sources":[""]`), `ignore_sources[0]: is empty`},
		{account42, with(`"verification":"handshake"`), `verification: is "handshake": give "none", "secret" or "challenge"`},
		{account42, with(`"verification":["none"]`), `verification: is a list: give "none", "secret" or "challenge"`},
		{account42, with(`"notify_end":"yes"`), `notify_end: is a string: give true or false`},
		{account42, with(`"verification_status":null`), `verification_status: "verification_status" is set by rowhook: leave it out`},
		{account42, with(`"expires_at":"2020-01-01T00:00:00Z"`), `expires_at: is "2020-01-01T00:00:00Z", which has passed`},
		{account42, with(`"expires_at":"tomorrow"`), `expires_at: is "tomorrow", which is not a time by RFC 3339`},
		{account42, with(`"expires_at":1900000000`), `expires_at: is a number: give a time such as`},
		{account42, with(`"delivery":{"rate_limit":10}`), `delivery.rate_limit: is a number: give a rate as a string, such as "10/s"`},
		{account42, with(`"delivery":{"rate_limit":"10"}`), `delivery.rate_limit: is "10": give a number of requests and s, m or h, such as "10/s"`},
		{account42, with(`"delivery":{"rate_limit":"1.5/s"}`), `delivery.rate_limit: is "1.5/s": give a number`},
		{account42, with(`"delivery":{"rate_limit":"-1/s"}`), `delivery.rate_limit: is "-1/s": give a number`},
		{account42, with(`"delivery":{"rate_limit":"10/d"}`), `delivery.rate_limit: is "10/d": give a number`},
		{account42, with(`"delivery":{"rate_limit":"0/h"}`), `delivery.rate_limit: is "0/h": give at least "1/h"`},
		{account42, with(`"delivery":{"rate_limit":"10001/s"}`), `delivery.rate_limit: is "10001/s": give at most "10000/s"`},
		{account42, with(`"delivery":{"rate_limit":"36000001/h"}`), `delivery.rate_limit: is "36000001/h": give at most "10000/s"`},
		{account42, with(`"delivery":{"rate_limit":"99999999999999/s"}`), `delivery.rate_limit: is "99999999999999/s": give at most "10000/s"`},
		{account42, with(`"delivery":[]`), `delivery: is a list`},
		{account42, with(`"delivery":{"timeuot":"5s"}`), `delivery.timeuot: "timeuot" is not a field: did you mean "timeout"?`},
		{account42, with(`"delivery":{"timeuot":null}`), `delivery.timeuot: "timeuot" is not a field`},
		{account42, with(`"delivery":{"timeout":15}`), `delivery.timeout: is a number: give a duration as a string`},
		{account42, with(`"delivery":{"timeout":"15"}`), `delivery.timeout: is "15": give a duration`},
		{account42, with(`"delivery":{"timeout":"-5s"}`), `delivery.timeout: is "-5s": give 100ms to 1m`},
		{account42, with(`"delivery":{"timeout":"1h"}`), `delivery.timeout: is "1h"`},
		{account42, with(`"delivery":{"retries":10}`), `delivery.retries: is "10": give 0 to 9`},
		{account42, with(`"delivery":{"retries":1.5}`), `delivery.retries: is "1.5"`},
		{account42, with(`"delivery":{"retries":-1}`), `delivery.retries: is "-1"`},
		{account42, with(`"delivery":{"retries":"5s"}`), `delivery.retries: is a string`},
		{account42, with(`"delivery":{"retries":["5s","1ms"]}`), `delivery.retries[1]: is "1ms"`},
		{account42, with(`"delivery":{"retries":[null]}`), `delivery.retries[0]: is null`},
		{account42, with(`"delivery":{"ordering":"random"}`), `delivery.ordering: is neither`},
		{account42, with(`"delivery":{"ordering":["none"]}`), `delivery.ordering: is neither`},
		{account42, with(`"delivery":{"max_in_flight":0}`), `delivery.max_in_flight: is not a whole number`},
		{account42, with(`"delivery":{"max_in_flight":1e3}`), `delivery.max_in_flight: is not a whole number`},
		{account42, with(`"delivery":{"debounce":"999ms"}`), `delivery.debounce: is "999ms"`},
		{account42, with(`"delivery":{"debounce":"61m"}`), `delivery.debounce: is "61m"`},
		{account42, with(`"delivery":{"debounce":"-0.5s"}`), `delivery.debounce: is "-0.5s"`},
		{account42, with(`"delivery":{"debounce":15}`), `delivery.debounce: is a number`},
		{account42, with(`"delivery":{"fallback_url":"http://example.com/f"}`), `delivery.fallback_url: is http: give an https URL`},
		{account42, with(`"delivery":{"fallback_url":"https://10.0.0.1/f"}`), `delivery.fallback_url: not a public address`},
		{account42, with(`"delivery":{"fallback_url":"https://***@example.com/f"}`), `delivery.fallback_url: has *** for its credentials`},
		{account42, with(`"delivery":{"fallback_url":["https://example.com/f"]}`), `delivery.fallback_url: is a list`},
		{account42, `{"events":["contact.create"],"target_url":null,"delivery":{"fallback_url":"https://example.com/f"}}`, `delivery.fallback_url: is given, and nothing is sent`},
		{account42, `{"events":["contact.create"],"target_url":"https://example.com/f","delivery":{"fallback_url":"https://example.com/f"}}`, `delivery.fallback_url: is target_url itself`},
		{account42, with(`"resource_id":1.5`), `resource_id: is a number`},
		{account42, with(`"resource_id":{}`), `resource_id: is an object`},
		{account42, with(`"name":"` + strings.Repeat("é", 201) + `"`), `name: has 201 characters`},
		{account42, with(`"name":"a\u0000b"`), `name: holds the control character U+0000`},
		{account42, with(`"name":true`), `name: is a boolean`},
		{account42, with(`"description":"` + strings.Repeat("a", 2001) + `"`), `description: has 2001 characters`},
		{account42, with(`"metadata":{"a":1}`), `metadata.a: is a number`},
		{account42, with(`"metadata":{"a":null}`), `metadata.a: is null`},
		{account42, with(`"metadata":{"a\n":""}`), "metadata.a\n: holds the control character U+000A"},
		{account42, with(`"metadata":{"a":"` + strings.Repeat("a", 501) + `"}`), `metadata.a: has 501 characters`},
		{account42, with(`"metadata":{` + strings.TrimSuffix(manyMembers, ",") + `}`), `metadata: has 51 members`},
		{account42, with(`"secret":"hunter2hunter2"`), `secret: does not begin with "whsec_"`},
		{account42, with(`"secret":"whsec_hunter2!"`), `secret: is not base64`},
		{account42, with(`"secret":"whsec_aHVudGVyMg=="`), `secret: does not hold 24 to 64 bytes`},
		{account42, with(`"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"`), `secret: is not base64`},
		{account42, with(`"secret":""`), `secret: does not begin`},
		{account42, with(`"name":"a","name":"b"`), `name: "name" is given twice`},
		{account42, with(`"metadata":{"a":"1","a":"2"}`), `metadata.a: "a" is given twice`},
		{account42, ``, `: the body is empty`},
		{account42, `[]`, `: the body is a list: send a JSON object`},
		{account42, `null`, `: the body is null`},
		{account42, "{\n \"a\": x}", `: the body is not JSON: line 2, column 7: invalid character 'x'`},
		{account42, `{} {}`, `: the body is not JSON`},
		{account42, `{"a":1`, `: the body is not JSON`},
		{account42, "{\"a\":\"\xff\"}", `: the body is not UTF-8`},
		{account42, `{"a":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, `: the body nests deeper than 16`},
		{account42, `{"a":"` + strings.Repeat("a", subscriptions.MaxBody) + `"}`, `: the body has more than`},
	} {
		_, err := rules(c.scope).New([]byte(c.body))
		list := mistakesOf(t, err)
		if len(list) == 0 || !strings.HasPrefix(list[0], c.want) || len(list) > 1 && c.body != `{}` {
			t.Errorf("%.150s:\n got %q\nwant %q", c.body, list, c.want)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: the error shows a secret: %v", c.body, err)
		}
	}
}

func TestNewSaysAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	_, err := rules(account42).New([]byte(`{"events":["x.y","*"],"target_url":"ftp://x","name":1,"bogus":2,"delivery":{"timeout":1,"retries":99}}`))
	var fields []string
	for _, m := range mistakesOf(t, err) {
		field, _, _ := strings.Cut(m, ":")
		fields = append(fields, field)
	}
	want := []string{"target_url", "name", "bogus", "delivery.timeout", "delivery.retries", "events[0]"}
	if !reflect.DeepEqual(fields, want) {
		t.Errorf("got %v, want %v", fields, want)
	}
}

func TestNewIsBoundedByHostileBodies(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"x":0`)
	for i := range 20_000 {
		fmt.Fprintf(&b, `,"f%d":0`, i)
	}
	b.WriteString(`}`)
	began := time.Now()
	_, err := rules(account42).New([]byte(b.String()))
	if n := len(mistakesOf(t, err)); n != 51 {
		t.Errorf("%d mistakes, want 51", n)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// stored is a subscription as the store returns it.
func stored(t testing.TB, scope subscriptions.Scope) *sub {
	t.Helper()
	s, err := rules(scope).New([]byte(`{"events":["contact.create","deal.*"],"target_url":"https://user:hunter2@example.com/h",
		"secret":"` + goodSecret + `","resource_id":"9","name":"old","description":"d","metadata":{"a":"1","b":"2"},
		"delivery":{"timeout":"5s","retries":["5s"],"ordering":"none","max_in_flight":3,"fallback_url":"https://user:hunter2@fallback.example.com/h"}}`))
	if err != nil {
		t.Fatal(err)
	}
	s.Key, s.Version, s.Since = 5, 3, 77
	s.CreatedAt = time.Date(2026, 11, 22, 1, 0, 0, 123456000, time.UTC)
	s.UpdatedAt = s.CreatedAt
	return s
}

func TestReplaceWithWhatWasShownChangesNothing(t *testing.T) {
	t.Parallel()
	for _, scope := range []subscriptions.Scope{account42, admin} {
		s := stored(t, scope)
		s.State = subscriptions.Disabled
		s.Disabled = &subscriptions.DisabledReason{By: "rowhook", Reason: "no success for 5 days", Since: s.CreatedAt}
		before := s.Clone()
		shown, err := json.Marshal(s.Shown(false))
		if err != nil {
			t.Fatal(err)
		}
		if err := rules(scope).Replace(s, shown); err != nil || !reflect.DeepEqual(s, before) {
			t.Errorf("Replace: %v\n got %+v\nwant %+v", err, s, before)
		}
		if err := rules(scope).Patch(s, shown); err != nil || !reflect.DeepEqual(s, before) {
			t.Errorf("Patch: %v\n got %+v\nwant %+v", err, s, before)
		}
		if err := rules(scope).Patch(s, []byte(`{}`)); err != nil || !reflect.DeepEqual(s, before) {
			t.Errorf("Patch {}: %v\n got %+v\nwant %+v", err, s, before)
		}
	}
}

func TestReplacePutsWhatIsLeftOutBack(t *testing.T) {
	t.Parallel()
	s := stored(t, account42)
	want := s.Clone()
	want.Events, want.TargetURL = []string{"*"}, "https://example.com/new"
	want.ResourceID, want.Name, want.Description, want.Metadata, want.Delivery, want.FallbackURL = "", "", "", nil, subscriptions.DeliveryOptions{}, ""
	body := `{"events":["*"],"target_url":"https://example.com/new","id":"other","state":"disabled","created_at":1,"account":"42"}`
	if err := rules(account42).Replace(s, []byte(body)); err != nil || !reflect.DeepEqual(s, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, s, want)
	}
}

func TestPatchMerges(t *testing.T) {
	t.Parallel()
	for patch, change := range map[string]func(*sub){
		`{"name":"new"}`: func(s *sub) { s.Name = "new" },
		`{"name":null}`:  func(s *sub) { s.Name = "" },
		`{"metadata":{"a":null,"c":"3"}}`: func(s *sub) {
			s.Metadata = map[string]string{"b": "2", "c": "3"}
		},
		`{"metadata":null}`:             func(s *sub) { s.Metadata = nil },
		`{"delivery":{"timeout":null}}`: func(s *sub) { s.Delivery.Timeout = nil },
		`{"delivery":{"retries":[]}}`:   func(s *sub) { s.Delivery.Retries = &subscriptions.Retries{Waits: []subscriptions.Duration{}} },
		`{"delivery":{"rate_limit":"36000000/h"}}`: func(s *sub) {
			s.Delivery.RateLimit = subscriptions.Rate{Count: 36000000, Unit: 'h'}
		},
		`{"delivery":null}`:                 func(s *sub) { s.Delivery, s.FallbackURL = subscriptions.DeliveryOptions{}, "" },
		`{"event":"deal.won"}`:              func(s *sub) { s.Events = []string{"deal.won"} },
		`{"events":["*"]}`:                  func(s *sub) { s.Events = []string{"*"} },
		`{"resource_id":null}`:              func(s *sub) { s.ResourceID = "" },
		`{"resource_id":7}`:                 func(s *sub) { s.ResourceID = "7" },
		`{"secret":null}`:                   func(s *sub) {},
		`{"secret":"` + goodSecret + `"}`:   func(s *sub) {},
		`{"state":"active","account":"42"}`: func(s *sub) {},
		`{"secret":"` + otherSecret + `"}`: func(s *sub) {
			s.Secrets = []subscriptions.SigningSecret{{Secret: secret.String(otherSecret)}}
		},
		`{"target_url":"https://example.com/n"}`:                   func(s *sub) { s.TargetURL = "https://example.com/n" },
		`{"target_url":"https://user:hunter2@example.com/h"}`:      func(s *sub) {},
		`{"target_url":"https://***@example.com/h","filter":null}`: func(s *sub) {},
		`{"target_url":null,"delivery":{"fallback_url":null}}`:     func(s *sub) { s.TargetURL, s.FallbackURL = "", "" },
		`{"delivery":{"fallback_url":""}}`:                         func(s *sub) { s.FallbackURL = "" },
		`{"delivery":{"fallback_url":"https://example.com/f"}}`:    func(s *sub) { s.FallbackURL = "https://example.com/f" },
		`{"state":"shadow"}`:                                       func(s *sub) { s.State = subscriptions.Shadow },
		`{"expires_at":"2999-01-31T12:00:00.1234567+01:00"}`: func(s *sub) {
			s.ExpiresAt = time.Date(2999, 1, 31, 11, 0, 0, 123456000, time.UTC)
		},
	} {
		s := stored(t, account42)
		want := s.Clone()
		change(want)
		if err := rules(account42).Patch(s, []byte(patch)); err != nil || !reflect.DeepEqual(s, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", patch, err, s, want)
		}
	}
}

func TestChangesAreRefusedWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, body, want string }{
		{"PATCH", `{"name":"x","account":"7"}`, `account: "account" cannot be changed`},
		{"PATCH", `{"account":null}`, `account: "account" cannot be changed`},
		{"PUT", with(`"account":"7"`), `account: "account" cannot be changed`},
		{"PUT", with(`"account":null`), `account: "account" cannot be changed`},
		{"PATCH", `{"state":"disabled"}`, `state: cannot be set to "disabled": POST to …/disable does that`},
		{"PATCH", `{"state":"expired"}`, `state: cannot be set to "expired"`},
		{"PATCH", `{"state":"asleep"}`, `state: is "asleep": give "active" or "shadow"`},
		{"PATCH", `{"state":null}`, `state: is null: give "active" or "shadow"`},
		{"PATCH", `{"expires_at":"2020-01-01T00:00:00Z"}`, `expires_at: is "2020-01-01T00:00:00Z", which has passed`},
		{"PATCH", `{"id":"sub_2"}`, `id: "id" is read-only`},
		{"PATCH", `{"target_url":7}`, `target_url: is a number`},
		{"PATCH", `{"target_url":"https://***@example.com/other"}`, `target_url: has *** for its credentials`},
		{"PATCH", `{"events":null}`, `events: "events" is required`},
		{"PATCH", `{"events":["*"],"event":"*"}`, `event: "event" and "events" are both given`},
		{"PATCH", `{"bogus":null}`, `bogus: "bogus" is not a field`},
		{"PATCH", `{"name":1}`, `name: is a number`},
		{"PATCH", `{"delivery":"fast"}`, `delivery: is a string`},
		{"PATCH", `[]`, `: the body is a list`},
		{"PUT", `{"events":["*"]}`, `target_url: "target_url" is required`},
	} {
		for _, scope := range []subscriptions.Scope{account42, admin} {
			s := stored(t, account42)
			before := s.Clone()
			change := rules(scope).Patch
			if c.method == "PUT" {
				change = rules(scope).Replace
			}
			list := mistakesOf(t, change(s, []byte(c.body)))
			if len(list) != 1 || !strings.HasPrefix(list[0], c.want) {
				t.Errorf("%s %s: got %q, want %q", c.method, c.body, list, c.want)
			}
			if !reflect.DeepEqual(s, before) {
				t.Errorf("%s %s: refused, and changed all the same", c.method, c.body)
			}
		}
	}
}

// TestRulesOfTodayDoNotBreakOldOnes: what was taken once can be kept while something else is changed.
func TestRulesOfTodayDoNotBreakOldOnes(t *testing.T) {
	t.Parallel()
	s := stored(t, account42)
	s.Delivery.Retries = &subscriptions.Retries{Count: 9, IsCount: true}
	s.TargetURL = "http://10.0.0.1/"
	r := rules(account42)
	r.Catalogue, r.ConfigRetries = subscriptions.Catalogue{{Name: "other.create", Resource: "other"}}, 2
	if err := r.Patch(s, []byte(`{"name":"new"}`)); err != nil || s.Name != "new" || len(s.Events) != 2 {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestShownIsInAFixedOrderAndHidesSecrets(t *testing.T) {
	t.Parallel()
	s := stored(t, account42)
	s.ID = "sub_1"
	got, err := json.Marshal(s.Shown(false))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"sub_1","account":"42","events":["contact.create","deal.*"],"target_url":"https://***@example.com/h",` +
		`"resource_id":"9","filter":null,"filter_error":null,"ignore_sources":[],"expires_at":null,"state":"active","disabled_reason":null,"failing_since":null,"last_failure":null,` +
		`"delivery":{"timeout":"5s","retries":["5s"],"ordering":"none","max_in_flight":3,"fallback_url":"https://***@fallback.example.com/h"},"request":{},"verification":"none","verification_status":null,"notify_end":false,"name":"old","description":"d",` +
		`"metadata":{"a":"1","b":"2"},"created_at":"2026-11-22T01:00:00.123456Z","updated_at":"2026-11-22T01:00:00.123456Z"}`
	if string(got) != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
	if v := s.Shown(true); v.Secret != goodSecret {
		t.Errorf("Shown(true).Secret = %q", v.Secret)
	}
	empty, _ := json.Marshal((&sub{Admin: true}).Shown(true))
	for _, part := range []string{`"account":null`, `"events":[]`, `"resource_id":null`, `"delivery":{}`, `"metadata":{}`} {
		if !strings.Contains(string(empty), part) {
			t.Errorf("%s lacks %s", empty, part)
		}
	}
}

func TestSecretsTravelThroughTheStore(t *testing.T) {
	t.Parallel()
	in := []subscriptions.SigningSecret{
		{Secret: goodSecret}, {Secret: otherSecret, Until: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)},
	}
	b, err := subscriptions.EncodeSecrets(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"secret":"` + goodSecret + `"},{"secret":"` + otherSecret + `","until":"2026-11-22T01:00:00Z"}]`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	if out, err := subscriptions.DecodeSecrets(b); err != nil || !reflect.DeepEqual(out, in) {
		t.Errorf("got %v, %v", out, err)
	}
	if _, err := subscriptions.DecodeSecrets([]byte(`"hunter2"`)); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, with(`"name":"a"`), with(`"delivery":{"retries":["5s"],"timeout":"5s"}`), with(`"metadata":{"a":null}`),
		`{"event":"*","target_url":"https://u:p@[::1]:80/"}`, `{"a":{"a":{"a":[]}}}`, with(`"request":{"format":"standard"}`),
		`{"target_url":"https://***@example.com/h"}`, `{"resource_id":-0}`, "{\"name\":\"\\ud800\"}", `{"state":["active"]}`,
		with(`"state":"shadow"`), with(`"expires_at":"2999-01-01T00:00:00Z"`), `{"event":"*","target_url":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, scope := range []subscriptions.Scope{account42, admin} {
			r := rules(scope)
			s, err := r.New(body)
			if mistakesOf(t, err) == nil {
				settled(t, r, s)
			}
			fieldsNamed(t, body, err)
			for _, change := range []func(*sub, []byte) error{r.Replace, r.Patch} {
				s := stored(t, scope)
				before := s.Clone()
				err := change(s, body)
				fieldsNamed(t, body, err)
				if mistakesOf(t, err) != nil {
					if !reflect.DeepEqual(s, before) {
						t.Fatalf("refused %q, and changed all the same", body)
					}
					continue
				}
				if s.ID != before.ID || s.Account != before.Account || s.Admin != before.Admin || s.Since != before.Since ||
					s.State != subscriptions.Active && s.State != subscriptions.Shadow {
					t.Fatalf("%q changed what is read-only", body)
				}
				settled(t, r, s)
			}
		}
	})
}

// fieldsNamed checks that each mistake of a body that is JSON names its field, but for the one that says that there are more. A
// member may have an empty name.
func fieldsNamed(t *testing.T, body []byte, err error) {
	t.Helper()
	var invalid *subscriptions.Invalid
	if !errors.As(err, &invalid) || invalid.Malformed || strings.Contains(string(body), `""`) {
		return
	}
	for i, m := range invalid.Mistakes {
		if m.Field == "" && !(i == len(invalid.Mistakes)-1 && strings.HasPrefix(m.Detail, "there are more")) || m.Detail == "" {
			t.Fatalf("%q: a mistake without a field: %+v", body, m)
		}
	}
}

// settled checks that what was taken is taken again, unchanged, in the form in which it is shown.
func settled(t *testing.T, r subscriptions.Rules, s *sub) {
	t.Helper()
	before := s.Clone()
	shown, err := json.Marshal(s.Shown(false))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), "hunter2") {
		t.Fatalf("%s shows credentials", shown)
	}
	if err := r.Replace(s, shown); err != nil {
		t.Fatalf("Replace(%s) = %v", shown, err)
	}
	if !reflect.DeepEqual(s, before) {
		t.Fatalf("Replace(%s)\n got %+v\nwant %+v", shown, s, before)
	}
	if len(s.Secrets) != 1 || len(s.Events) == 0 {
		t.Fatalf("took %+v", s)
	}
}
