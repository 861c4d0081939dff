package sender_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestRebuiltIsWhatIsSent compares what is shown of requests with what arrives, and looks for secrets in it.
func TestRebuiltIsWhatIsSent(t *testing.T) {
	t.Parallel()
	d := run(t, testConfig(), newMemory().open())
	mine := []subscriptions.RequestHeader{{Name: "x-tenant", Value: "hunter2"}}
	for name, request := range map[string]*subscriptions.Request{
		"Default":    nil,
		"Plain":      {Headers: mine},
		"Put":        {Method: http.MethodPut, Format: subscriptions.FormatThin, CustomData: []byte(`{"tenant":"acme"}`)},
		"Form":       {Encoding: "form", Signature: subscriptions.SignatureTwilio},
		"Get":        {Method: http.MethodGet, Signature: subscriptions.SignatureRESTHooks},
		"Stripe":     {Signature: subscriptions.SignatureStripe, Format: subscriptions.FormatCloudEvents},
		"Ed25519":    {Signature: subscriptions.SignatureEd25519},
		"Unsigned":   {Signature: subscriptions.SignatureNone, Auth: &subscriptions.Auth{Type: subscriptions.AuthBearer, Token: "hunter2"}},
		"Large":      {Format: subscriptions.FormatRESTHooks},
		"LargeForm":  {Encoding: "form"},
		"LargePlain": nil,
		"Batch":      {Format: subscriptions.FormatThin},
		"Gzip":       {Compression: subscriptions.CompressionGzip},
		"Slack":      {Signature: subscriptions.SignatureSlack, Auth: &subscriptions.Auth{Type: subscriptions.AuthHeader, Name: "x-api-key", Value: "hunter2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := hooktest.New(t)
			s := newSubscription(int64(len(name)), strings.Replace(r.URL("/hook?a=b"), "://", "://user:hunter2@", 1))
			if request != nil && request.Auth != nil {
				s.TargetURL = secret.String(r.URL("/hook?a=b"))
			}
			s.ID, s.Request = "sub_"+name, request
			keys := []string{"Default", "Plain", "Put", "Form", "Get", "Stripe", "Ed25519", "Unsigned", "Slack", "Large", "LargeForm", "LargePlain", "Batch", "Gzip"}
			s.Key = int64(slices.Index(keys, name) + 1)
			ev := newEvent(1, "a")
			if strings.HasPrefix(name, "Large") || name == "Gzip" {
				ev.Data = fmt.Appendf(nil, `{"id":"a","pad":%q}`, strings.Repeat("x", 3000))
			}
			if strings.HasPrefix(name, "Large") {
				s.Delivery.MaxBody = 2 << 10
			}
			if name == "Batch" {
				batches(s, 10, 0)
			}
			shown, err := d.Rebuild(s, ev)
			if err != nil {
				t.Fatal(err)
			}
			settled(t, d.submit(t, ev, s))
			got := r.Wait(t, 1, patience)[0]
			if name == "Gzip" {
				got.Body = inflated(t, got.Body)
			}
			if shown.Method != got.Method || string(shown.Body) != string(got.Body) {
				t.Errorf("shown %s %s\narrived %s %s", shown.Method, shown.Body, got.Method, got.Body)
			}
			if path, query, _ := strings.Cut(shown.URL[strings.Index(shown.URL, "/hook"):], "?"); path != got.Path || query != got.Query {
				t.Errorf("shown %s, arrived %s?%s", shown.URL, got.Path, got.Query)
			}
			if strings.Contains(fmt.Sprint(shown), "hunter2") || strings.Contains(fmt.Sprint(shown), testSecret) {
				t.Errorf("a secret is shown: %+v", shown)
			}
			names := []string{"Webhook-Timestamp", "Webhook-Attempt", "Accept-Encoding", "Content-Length"}
			for _, h := range shown.Headers {
				names = append(names, http.CanonicalHeaderKey(h.Name))
				if arrived := got.Header.Get(h.Name); arrived == "" || h.Value != "***" && h.Value != arrived {
					t.Errorf("%s: shown %q, arrived %q", h.Name, h.Value, arrived)
				}
			}
			for arrived := range got.Header {
				if !slices.Contains(names, arrived) {
					t.Errorf("%s is not shown", arrived)
				}
			}
		})
	}
	nowhere := newSubscription(100, "")
	if _, err := d.Rebuild(nowhere, newEvent(1, "a")); err == nil {
		t.Error("a request without a target")
	}
}
