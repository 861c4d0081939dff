package sender

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// shapedTarget is where a subscription is sent to.
func shapedTarget(t *testing.T, s *subscriptions.Subscription) *target {
	t.Helper()
	c := newClient(loopback, "rowhook/test", 4)
	t.Cleanup(c.close)
	tg, err := newTarget(s, c, goldenEnvelope())
	if err != nil {
		t.Fatal(err)
	}
	return tg
}

// TestRequestsAsAskedFor sends requests of many kinds through both clients, and looks at what arrives.
func TestRequestsAsAskedFor(t *testing.T) {
	t.Parallel()
	const json = `{"type":"contact.update","timestamp":"2026-11-22T01:00:00.000000Z","data":{"id":1},"position":"0000000100000000000000020000000300000000"}`
	const form = "type=contact.update&timestamp=2026-11-22T01%3A00%3A00.000000Z&data%5Bid%5D=1&position=0000000100000000000000020000000300000000"
	const none = "(none)" // a header that is not there
	text := func(key, message string) string { return hex.EncodeToString(mac256([]byte(key), message)) }
	decoded, _ := subscriptions.SigningSecret{Secret: specSecret}.Key()
	sum := sha256.Sum256([]byte(json))
	bodySHA := "bodySHA256=" + hex.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		request       subscriptions.Request
		path          string
		method, query string
		body          string
		headers       map[string]string
	}{
		"Put": {subscriptions.Request{Method: "PUT"}, "/hook?a=b", "PUT", "a=b", json, map[string]string{"Content-Type": "application/json"}},
		"Get": {subscriptions.Request{Method: "GET"}, "/hook?a=b", "GET", "a=b&" + form, "",
			map[string]string{"Content-Type": none, "Content-Length": none}},
		"GetWithoutQuery": {subscriptions.Request{Method: "GET"}, "/hook", "GET", form, "", nil},
		"GetRESTHooks": {subscriptions.Request{Method: "GET", Format: "representation", Signature: "rest_hooks"}, "/hook?a=b", "GET", "a=b&id=1", "",
			map[string]string{"X-Hook-Signature": text(string(decoded), "a=b&id=1")}},
		"Form": {subscriptions.Request{Encoding: "form"}, "/hook", "POST", "", form, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		"CloudEvents": {subscriptions.Request{Format: "cloudevents"}, "/hook", "POST", "",
			`{"specversion":"1.0","id":"evt_1","source":"/rowhook/crm%20of%2Facme","type":"contact.update","subject":"1","time":"2026-11-22T01:00:00.000000Z",` +
				`"datacontenttype":"application/json","position":"0000000100000000000000020000000300000000","data":{"id":1}}`,
			map[string]string{"Content-Type": "application/cloudevents+json"}},
		"CustomData": {subscriptions.Request{CustomData: []byte(`{"tenant":"acme","data":"mine"}`)}, "/hook", "POST", "", json[:len(json)-1] + `,"tenant":"acme"}`, nil},
		"Thin": {subscriptions.Request{Format: "thin"}, "/hook", "POST", "", `{"type":"contact.update","timestamp":"2026-11-22T01:00:00.000000Z","id":"1",` +
			`"url":"https://api.example.com/contacts/1","position":"0000000100000000000000020000000300000000"}`, nil},
		"None":       {subscriptions.Request{Signature: "none"}, "/hook", "POST", "", json, map[string]string{"Webhook-Signature": none}},
		"GitHub":     {subscriptions.Request{Signature: "github"}, "/hook", "POST", "", json, map[string]string{"X-Hub-Signature-256": "sha256=" + text(specSecret, json)}},
		"GitHubForm": {subscriptions.Request{Signature: "github", Encoding: "form"}, "/hook", "POST", "", form, map[string]string{"X-Hub-Signature-256": "sha256=" + text(specSecret, form)}},
		"TwilioForm": {subscriptions.Request{Signature: "twilio", Encoding: "form", Format: "representation"}, "/hook?a=b", "POST", "a=b", "id=1",
			map[string]string{"X-Twilio-Signature": mac1(specSecret, "{origin}/hook?a=bid1")}},
		"TwilioJSON": {subscriptions.Request{Signature: "twilio"}, "/hook?a=b", "POST", "a=b&" + bodySHA, json,
			map[string]string{"X-Twilio-Signature": mac1(specSecret, "{origin}/hook?a=b&"+bodySHA)}},
		"TwilioGet": {subscriptions.Request{Signature: "twilio", Method: "GET", Format: "representation"}, "/hook", "GET", "id=1", "",
			map[string]string{"X-Twilio-Signature": mac1(specSecret, "{origin}/hook?id=1")}},
		"Vonage": {subscriptions.Request{Signature: "vonage", Encoding: "form", Format: "representation"}, "/hook", "POST", "",
			"id=1&sig=" + strings.ToUpper(text(specSecret, "&id=1")), nil},
		"Headers": {subscriptions.Request{Headers: []subscriptions.RequestHeader{{Name: "X-Tenant", Value: "acme"}, {Name: "secret_access_key", Value: "k"}, {Name: "x-empty"}}},
			"/hook", "POST", "", json, map[string]string{"X-Tenant": "acme", "Secret_access_key": "k", "X-Empty": ""}},
		"Bearer": {subscriptions.Request{Auth: &subscriptions.Auth{Type: "bearer", Token: "t.k"}}, "/hook", "POST", "", json, map[string]string{"Authorization": "Bearer t.k"}},
		"Basic": {subscriptions.Request{Auth: &subscriptions.Auth{Type: "basic", Username: "ü", Password: "p:w"}}, "/hook", "POST", "", json,
			map[string]string{"Authorization": "Basic w7w6cDp3"}},
		"Header": {subscriptions.Request{Auth: &subscriptions.Auth{Type: "header", Name: "secret_access_key", Value: "k"}}, "/hook", "POST", "", json,
			map[string]string{"Secret_access_key": "k", "Authorization": none}},
	} {
		eachClient(t, name, func(t *testing.T, through func(*target) *target) {
			r := hooktest.New(t)
			s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(r.URL(c.path)), Secrets: signing(specSecret), Request: &c.request}
			if out := through(shapedTarget(t, s)).once(t.Context(), 10*time.Second); out.Verdict != Delivered {
				t.Fatalf("%+v", out)
			}
			got := r.Requests()[0]
			if got.Method != c.method || got.Path != "/hook" || got.Query != c.query || string(got.Body) != c.body {
				t.Errorf("got %s %s ?%s\n%s\nwant %s ?%s\n%s", got.Method, got.Path, got.Query, got.Body, c.method, c.query, c.body)
			}
			for name, want := range c.headers {
				if strings.HasPrefix(want, "mac1 ") {
					want = strings.ReplaceAll(want, "{origin}", r.URL(""))
					want = mac1Of(want)
				}
				values, there := got.Header[name]
				if want == none {
					if there {
						t.Errorf("%s is %q", name, values)
					}
				} else if len(values) != 1 || values[0] != want {
					t.Errorf("%s is %q, want %q", name, values, want)
				}
			}
			// Whatever else it has, it is signed as standard over what was sent, and has the headers of every hook.
			if c.headers["Webhook-Signature"] != none {
				signed := got
				if c.method == http.MethodGet {
					signed.Body = []byte(got.Query)
				}
				if err := signed.Verify(specSecret); err != nil {
					t.Errorf("webhook-signature: %v", err)
				}
			}
			if got.ID != "evt_1" || got.Type != "contact.update" || got.Position == "" || got.Attempt != 1 || got.Header.Get("User-Agent") != "rowhook/test" {
				t.Errorf("headers %v", got.Header)
			}
		})
	}
}

func mac256(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// mac1 asks for the signature of a message with the receiver's address in it, which is not known yet: see mac1Of.
func mac1(key, message string) string { return "mac1 " + key + " " + message }

func mac1Of(text string) string {
	parts := strings.SplitN(text, " ", 3)
	h := hmac.New(sha1.New, []byte(parts[1]))
	h.Write([]byte(parts[2]))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// TestLargeRequestsAsAskedFor: those that are too large for the small client are the same.
func TestLargeRequestsAsAskedFor(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"PUT", "GET"} {
		r := hooktest.New(t)
		s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(r.URL("/hook?a=b")), Secrets: signing(specSecret),
			Request: &subscriptions.Request{Method: method, Format: "representation"}}
		ev := testEvent()
		ev.Data = []byte(`{"id":"` + strings.Repeat("x", 40<<10) + `"}`)
		if out := shapedTarget(t, s).deliver(t.Context(), attempt{event: ev, number: 1, timeout: 10 * time.Second}); out.Verdict != Delivered {
			t.Fatalf("%s: %+v", method, out)
		}
		got := r.Requests()[0]
		if got.Method != method || method == "GET" && len(got.Query) < 40<<10 || method == "PUT" && string(got.Body) != string(ev.Data) {
			t.Errorf("%s: got %s with %d bytes, and %d in the query", method, got.Method, len(got.Body), len(got.Query))
		}
	}
}

// TestFormThatCannotBe is a failure of the delivery, not of the process.
func TestFormThatCannotBe(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(r.URL("/")), Secrets: signing(specSecret), Request: &subscriptions.Request{Encoding: "form"}}
	ev := testEvent()
	ev.Data = []byte(strings.Repeat("[", 1000) + strings.Repeat("]", 1000))
	out := shapedTarget(t, s).deliver(t.Context(), attempt{event: ev, number: 1, timeout: 10 * time.Second})
	if out.Verdict != Retry || out.Reason != ReasonConfiguration || !strings.Contains(out.Detail, "nests deeper") || len(r.Requests()) != 0 {
		t.Errorf("%+v", out)
	}
}
