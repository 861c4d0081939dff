package sender

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestHeadersAreThoseThatAreSent compares what Headers says with what arrives.
func TestHeadersAreThoseThatAreSent(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	if out := testTarget(t, loopback, r.URL("/")).once(t.Context(), 10*time.Second); out.Verdict != Delivered {
		t.Fatalf("%+v", out)
	}
	arrived := r.Requests()[0]
	told, err := Headers(testEvent(), formatOf("standard"), AppendStandard(nil, testEvent()), "rowhook/test", signing(specSecret), arrived.Timestamp)
	if err != nil {
		t.Fatal(err)
	}
	want := arrived.Header.Clone()
	for _, name := range []string{"Content-Length", "Accept-Encoding"} {
		want.Del(name) // of the connection
	}
	got := http.Header{}
	for _, h := range told {
		got.Add(h.Name, h.Value)
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name := range want {
		if got.Get(name) != want.Get(name) {
			t.Errorf("%s: got %q, want %q", name, got.Get(name), want.Get(name))
		}
	}
	arrived.Header = got
	if err := arrived.Verify(specSecret); err != nil {
		t.Errorf("the signature that is told: %v", err)
	}
}

func TestHeadersWithoutSecret(t *testing.T) {
	t.Parallel()
	all, err := Headers(testEvent(), formatOf("standard"), nil, "rowhook/test", nil, time.Now())
	if err != nil || len(all) == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, h := range all {
		if h.Name == "Webhook-Signature" {
			t.Errorf("there is a signature without a secret: %s", h.Value)
		}
	}
	if _, err := Headers(testEvent(), formatOf("standard"), nil, "rowhook/test", signing("whsec_secret-value"), time.Now()); err == nil || strings.Contains(err.Error(), "secret-value") {
		t.Errorf("got %v, want an error without the secret", err)
	}
}
