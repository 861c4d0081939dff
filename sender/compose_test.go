package sender

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestComposedOfAFeedIsWhatIsSent sends events, and makes the same requests of what a feed tells of them: they are equal, byte for byte.
func TestComposedOfAFeedIsWhatIsSent(t *testing.T) {
	t.Parallel()
	recv := hooktest.New(t)
	custom := []byte(`{"tenant":"acme <1>","Type":"mine","id":"theirs","number":1.10}`)
	requests := map[string]*subscriptions.Request{
		"default": nil, "rest_hooks": {Format: "rest_hooks"}, "representation": {Format: "representation"}, "thin": {Format: "thin"},
		"cloudevents": {Format: "cloudevents"}, "custom": {CustomData: custom}, "cloudevents custom": {Format: "cloudevents", CustomData: []byte(`{"tenant":"acme"}`)},
		"thin custom": {Format: "thin", CustomData: custom}, "rest_hooks custom": {Format: "rest_hooks", CustomData: custom},
		"form": {Encoding: "form"}, "get": {Method: "GET"}, "put gzip": {Method: "PUT", Compression: "gzip"},
		"v1a": {Signature: "standard_v1a"}, "github": {Signature: "github"}, "stripe": {Signature: "stripe"}, "slack": {Signature: "slack"}, "none": {Signature: "none"},
		"twilio": {Signature: "twilio"}, "twilio form": {Signature: "twilio", Encoding: "form"}, "vonage": {Signature: "vonage", Encoding: "form"},
		"login": {Auth: &subscriptions.Auth{Type: "header", Name: "x-key", Value: "k"}, Headers: []subscriptions.RequestHeader{{Name: "x-tenant", Value: "a"}}},
	}
	for name, request := range requests {
		for kind, ev := range goldenEvents() {
			at, _ := url.Parse(recv.URL("/hook"))
			at.User, at.RawQuery = url.UserPassword("me", "pw"), "a=b"
			s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(at.String()), Secrets: signing(specSecret), Request: request}
			tg := shapedTarget(t, s)
			out := tg.deliver(t.Context(), attempt{event: ev, number: 2, retryReason: ReasonTimeout, replay: true, timeout: 20 * time.Second})
			if out.Verdict != Delivered {
				t.Fatalf("%s %s: %+v", name, kind, out)
			}
			sent := recv.Next(t)

			// The feed of somebody who has no target, in the format that tells most.
			follower := &subscriptions.Subscription{ID: "sub_2"}
			feeds := map[string]*subscriptions.Subscription{ReadableFormat(s.RequestFormat()): follower}
			if feed := ReadableFormat(s.RequestFormat()); feed != subscriptions.FormatStandard {
				follower.Request = &subscriptions.Request{Format: feed}
			}
			if s.RequestFormat() != subscriptions.FormatRepresentation {
				feeds[s.RequestFormat()] = s // its own
			}
			for format, of := range feeds {
				if format == subscriptions.FormatRESTHooks && s.RequestFormat() != format {
					continue
				}
				element := NewFeed(of, goldenEnvelope()).Append(nil, ev)
				read, around, err := ReadElement(format, element)
				if err != nil {
					t.Fatalf("%s %s: %v: %s", name, kind, err, element)
				}
				got, err := Compose(s, read, Composing{Around: around, UserAgent: "rowhook/test", Number: 2, RetryReason: ReasonTimeout, Replay: true, At: sent.Timestamp})
				if err != nil {
					t.Fatalf("%s %s: %v", name, kind, err)
				}
				to, err := url.Parse(got.URL)
				if err != nil {
					t.Fatal(err)
				}
				if got.Method != sent.Method || to.Path != sent.Path || to.RawQuery != sent.Query || to.User.String() != "me:pw" {
					t.Errorf("%s %s: %s %s, sent was %s %s?%s", name, kind, got.Method, got.URL, sent.Method, sent.Path, sent.Query)
				}
				if !bytes.Equal(got.Body, sent.Body) {
					t.Errorf("%s %s:\n%s, sent was\n%s", name, kind, got.Body, sent.Body)
				}
				headers := http.Header{}
				for _, h := range got.Headers {
					headers.Set(h.Name, h.Value)
				}
				real := sent.Header.Clone()
				for _, transfer := range []string{"Content-Length", "Accept-Encoding", "Connection"} {
					real.Del(transfer)
				}
				if real.Get("Authorization") != "" && headers.Get("Authorization") == "" {
					real.Del("Authorization") // of the URL
				}
				if !maps.EqualFunc(headers, real, slices.Equal) {
					t.Errorf("%s %s: headers\n%v, sent were\n%v", name, kind, headers, real)
				}
			}
		}
	}
}

// TestReadElementRefuses has elements that no feed writes.
func TestReadElementRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"id":"evt_1","type":"contact.create","timestamp":"2026-11-22T01:00:00.123456Z","data":{"id":"secret-42"},"position":"0000000100000000016b37480000000300000000"}`
	if ev, _, err := ReadElement("standard", []byte(good)); err != nil || ev.Instance != "secret-42" || ev.Resource != "contact" {
		t.Fatalf("%+v %v", ev, err)
	}
	for name, c := range map[string]struct{ format, element string }{
		"Representation": {"representation", good}, "NoObject": {"standard", `"secret-42"`}, "Null": {"standard", "null"}, "NoJSON": {"standard", `{"secret-42"`},
		"NoPosition": {"standard", strings.Replace(good, `"position":"00`, `"position":"`, 1)}, "NoID": {"standard", strings.Replace(good, "evt_1", "", 1)},
		"OtherFormat": {"thin", good}, "NoTime": {"standard", strings.Replace(good, "2026-11-22", "yesterday", 1)},
	} {
		ev, _, err := ReadElement(c.format, []byte(c.element))
		if err == nil || strings.Contains(err.Error(), "secret-42") {
			t.Errorf("%s: %+v, %v", name, ev, err)
		}
	}
}
