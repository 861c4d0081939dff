package sender

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// endpoint is a token endpoint; n counts its requests.
func endpoint(t *testing.T, h func(n int64, w http.ResponseWriter, r *http.Request)) (url string, n *atomic.Int64) {
	t.Helper()
	n = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(n.Add(1), w, r) }))
	t.Cleanup(s.Close)
	return s.URL, n
}

func oauthTarget(t *testing.T, target, tokenURL string) *target {
	t.Helper()
	return shapedTarget(t, &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(target), Secrets: signing(specSecret),
		Request: &subscriptions.Request{Auth: &subscriptions.Auth{Type: subscriptions.AuthOAuth2, TokenURL: tokenURL, ClientID: "id", ClientSecret: "hunter2",
			Scope: "a b", Audience: "hooks"}}})
}

// TestOAuth2: one token for all attempts, until it is refused, which is no failed attempt.
func TestOAuth2(t *testing.T) {
	t.Parallel()
	tokenURL, asked := endpoint(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		id, password, _ := r.BasicAuth()
		if id != "id" || password != "hunter2" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "a b" || r.FormValue("audience") != "hooks" {
			t.Errorf("asked with %s %v", id, r.Form)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer","expires_in":3600}`, n)
	})
	var good atomic.Value
	good.Store("Bearer token-1")
	recv := hooktest.New(t, func(r hooktest.Request) hooktest.Answer {
		if r.Header.Get("Authorization") != good.Load() {
			return hooktest.Status(401)
		}
		return hooktest.OK()
	})
	tg := oauthTarget(t, recv.URL("/"), tokenURL)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if out := tg.once(t.Context(), 10*time.Second); out.Verdict != Delivered {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times for one token", n)
	}
	good.Store("Bearer token-2")
	before := len(recv.Requests())
	if out := tg.once(t.Context(), 10*time.Second); out.Verdict != Delivered || asked.Load() != 2 || len(recv.Requests()) != before+2 {
		t.Errorf("with another token: %+v, asked %d times", out, asked.Load())
	}
	for _, r := range recv.Requests()[before:] {
		if err := r.Verify(specSecret); err != nil || len(r.Header["Authorization"]) != 1 {
			t.Errorf("%v: %v", r.Header, err)
		}
	}
	// A target that refuses every token is asked twice, not for ever.
	good.Store("nothing")
	before = len(recv.Requests())
	if out := tg.once(t.Context(), 10*time.Second); out.Verdict != Retry || out.Status != 401 || len(recv.Requests()) != before+2 {
		t.Errorf("refused: %+v, %d requests", out, len(recv.Requests())-before)
	}
}

// TestTokensEnd: one that is about to end is not used any more.
func TestTokensEnd(t *testing.T) {
	t.Parallel()
	tokenURL, asked := endpoint(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t","expires_in":9}`)
	})
	recv := hooktest.New(t)
	tg := oauthTarget(t, recv.URL("/"), tokenURL)
	for range 2 {
		if out := tg.once(t.Context(), 10*time.Second); out.Verdict != Delivered {
			t.Errorf("%+v", out)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// TestTokenEndpointsThatFail are failed attempts with a reason of their own, that say nothing of what was sent; nothing goes to
// the target.
func TestTokenEndpointsThatFail(t *testing.T) {
	t.Parallel()
	answer := func(status int, contentType, body string) func(int64, http.ResponseWriter, *http.Request) {
		return func(_ int64, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	var elsewhere atomic.Int64
	other, _ := endpoint(t, func(int64, http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for name, c := range map[string]struct {
		answer func(int64, http.ResponseWriter, *http.Request)
		want   string
	}{
		"Refused": {answer(401, "application/json", `{"error":"invalid_client","error_description":"hunter2"}`), "the token endpoint answered 401 invalid_client"},
		"Echo":    {answer(400, "application/json", `{"error":"hunter2 was wrong"}`), "the token endpoint answered 400"},
		"Empty":   {answer(200, "application/json", `{}`), "the token endpoint's answer holds no token"},
		"NoJSON":  {answer(200, "text/html", `<p>hunter2`), "the token endpoint's answer holds no token"},
		"BadToken": {answer(200, "application/json", `{"access_token":"hunter2\r\nX: y"}`),
			"the token cannot be sent as a header"},
		"Large": {answer(200, "application/json", `{"access_token":"`+strings.Repeat("x", 20_000)+`"}`), "the token cannot be sent as a header"},
		"Redirect": {func(_ int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other, http.StatusTemporaryRedirect)
		}, "the token endpoint answered 307"},
		"Hang": {func(_ int64, _ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // net/http notices that the client has gone from then on
			<-r.Context().Done()
		}, "the token endpoint did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokenURL, _ := endpoint(t, c.answer)
			recv := hooktest.New(t)
			out := oauthTarget(t, recv.URL("/"), tokenURL).once(t.Context(), 500*time.Millisecond)
			if out.Verdict != Retry || out.Reason != ReasonOAuth2 || out.Detail != c.want || len(recv.Requests()) != 0 {
				t.Errorf("got %+v, want %q; %d requests", out, c.want, len(recv.Requests()))
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

// TestTokenEndpointsAreGuarded: a subscriber cannot reach by them what he cannot reach as a target.
func TestTokenEndpointsAreGuarded(t *testing.T) {
	t.Parallel()
	tokenURL, asked := endpoint(t, func(int64, http.ResponseWriter, *http.Request) {})
	recv := hooktest.New(t)
	s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(recv.URL("/")), Secrets: signing(specSecret),
		Request: &subscriptions.Request{Auth: &subscriptions.Auth{Type: subscriptions.AuthOAuth2, TokenURL: tokenURL, ClientID: "id", ClientSecret: "hunter2"}}}
	closed := newClient(Guard{AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}, "rowhook/test", 4)
	t.Cleanup(closed.close)
	tg, err := newTarget(s, closed, Envelope{})
	if err != nil {
		t.Fatal(err)
	}
	out := tg.once(t.Context(), 10*time.Second)
	if out.Reason != ReasonOAuth2 || !strings.Contains(out.Detail, "blocked_address") || asked.Load() != 0 {
		t.Errorf("%+v", out)
	}
	s.TargetURL = "https://example.com/"
	secure := newClient(Guard{}, "rowhook/test", 4)
	t.Cleanup(secure.close)
	if _, err := newTarget(s, secure, Envelope{}); err == nil || !strings.Contains(err.Error(), "token_url is http, only https is allowed") {
		t.Errorf("http: %v", err)
	}
}
