package api_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// front is the API behind a login: its callers show who they are in X-Who.
type front struct {
	*bench
	url   string
	asked atomic.Int64
}

// watchedTokens counts who looks for tokens.
type watchedTokens struct {
	subscriptions.Tokens
	found atomic.Int64
}

func (w *watchedTokens) FindToken(context.Context, [sha256.Size]byte) (*subscriptions.Token, error) {
	w.found.Add(1)
	return &subscriptions.Token{Scope: subscriptions.Scope{Admin: true}}, nil
}

var errBroken = errors.New("hunter2 of the repository")

func behind(t testing.TB, changes ...func(*api.Config)) *front {
	t.Helper()
	var config api.Config
	f := &front{bench: start(t, append(changes, func(c *api.Config) { config = *c })...)}
	s := httptest.NewServer(api.New(config).Behind(func(r *http.Request) (api.Caller, error) {
		f.asked.Add(1)
		switch who := r.Header.Get("X-Who"); who {
		case "":
			return api.Caller{}, &api.Denied{Status: 401, Detail: "log in", Header: http.Header{"Www-Authenticate": {"Bearer"}}}
		case "refused":
			return api.Caller{}, &api.Denied{Status: 403, Body: []byte("<b>away with you</b>"), Header: http.Header{
				"Content-Type": {"text/html"}, "Www-Authenticate": {"Basic realm=x", "Bearer"}}}
		case "plain":
			return api.Caller{}, &api.Denied{Status: 401, Body: []byte("<script>")}
		case "down":
			return api.Caller{}, &api.Denied{Status: 502, Detail: "the application is away", Cause: errors.New("connection refused")}
		case "broken":
			return api.Caller{}, errBroken
		case "nobody":
			return api.Caller{}, nil
		case "reader":
			return api.Caller{Account: "1", ReadOnly: true}, nil
		default:
			return api.Caller{Account: who}, nil
		}
	}))
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

// send sends a request with headers, given as name, value, ….
func (f *front) send(t testing.TB, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, content)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

const (
	typeJSON = "application/json"
	good     = `{"event":"*","target_url":"https://example.com/"}`
)

// TestBehindRoutes is the table of who may do what on the proxy listener. {own} is a subscription of account 1.
func TestBehindRoutes(t *testing.T) {
	t.Parallel()
	tokens := &watchedTokens{}
	f := behind(t, func(c *api.Config) {
		c.Made = tokens
		c.EventTypes = eventTypes{}
		c.DeadLetters = noLetters{}
		c.Pauses = &keptPause{}
		c.LogLevels = &keptLevel{level: "info"}
		c.Drain = func(context.Context, client.Drain) (*client.Drained, error) {
			t.Error("drained")
			return nil, errBroken
		}
		c.Resume = func(context.Context, client.Resume) (*client.Resumed, error) {
			t.Error("resumed")
			return nil, errBroken
		}
	})
	for _, c := range []struct {
		method, path, contentType, body string
		want                            [4]int // nobody, a reader of account 1, account 1, account 2
	}{
		{"GET", "/api/v1/subscription/", "", "", [4]int{401, 200, 200, 200}},
		{"HEAD", "/api/v1/subscription", "", "", [4]int{401, 200, 200, 200}},
		{"OPTIONS", "/api/v1/subscription/", "", "", [4]int{204, 204, 204, 204}},
		{"POST", "/api/v1/subscription/", typeJSON, good, [4]int{401, 403, 201, 201}},
		{"POST", "/api/v1/subscription/", "application/json; charset=utf-8", good, [4]int{401, 403, 201, 201}},
		{"POST", "/api/v1/subscription/", typeJSON, `{"event":"*","target_url":"https://example.com/","account":"2"}`, [4]int{401, 403, 422, 422}},
		{"POST", "/api/v1/subscription/", typeJSON, `{"event":"plan.create","target_url":"https://example.com/"}`, [4]int{401, 403, 422, 422}},
		{"POST", "/api/v1/subscription/", "text/plain", good, [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/", "", good, [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/", "application/x-www-form-urlencoded", good, [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/", "multipart/form-data; boundary=x", good, [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/", "text/plain; x=application/json", good, [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/", "text/plain, application/json", good, [4]int{415, 415, 415, 415}},
		{"PUT", "/api/v1/subscription/", typeJSON, good, [4]int{405, 405, 405, 405}},
		{"GET", "/api/v1/subscription/{own}/", "", "", [4]int{401, 200, 200, 404}},
		{"PUT", "/api/v1/subscription/{own}/", typeJSON, good, [4]int{401, 403, 200, 404}},
		{"PUT", "/api/v1/subscription/{own}/", "text/plain", good, [4]int{415, 415, 415, 415}},
		{"PATCH", "/api/v1/subscription/{own}/", "application/merge-patch+json", `{"name":"x"}`, [4]int{401, 403, 200, 404}},
		{"PATCH", "/api/v1/subscription/{own}/", "", `{"name":"x"}`, [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/{own}/rotate-secret", typeJSON, "", [4]int{401, 403, 200, 404}},
		{"POST", "/api/v1/subscription/{own}/rotate-secret", "", "", [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/{own}/disable", "text/plain", "", [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/{own}/disable", typeJSON, `{"reason":"x"}`, [4]int{401, 403, 200, 404}},
		{"POST", "/api/v1/subscription/{own}/enable", typeJSON, "{}", [4]int{401, 403, 200, 404}},
		{"POST", "/api/v1/subscription/enable", typeJSON, `{"all":true}`, [4]int{401, 403, 200, 200}},
		{"POST", "/api/v1/subscription/enable", "text/plain", `{"all":true}`, [4]int{415, 415, 415, 415}},
		{"POST", "/api/v1/subscription/{own}/ping", typeJSON, "", [4]int{401, 403, 200, 404}},
		{"DELETE", "/api/v1/subscription/{own}/", "text/plain", "", [4]int{415, 415, 415, 415}},
		{"DELETE", "/api/v1/subscription/{own}/", typeJSON, "", [4]int{401, 403, 204, 404}},
		{"DELETE", "/api/v1/subscription/{own}/", "", "", [4]int{401, 403, 204, 404}},
		{"GET", "/api/v1/subscription/sub_none/", "", "", [4]int{401, 404, 404, 404}},
		{"GET", "/api/v1/event-type/", "", "", [4]int{200, 200, 200, 200}},
		{"GET", "/api/v1/event-type/contact.create/schema", "", "", [4]int{200, 200, 200, 200}},
		// The admin's token that comes along is nothing here.
		{"GET", "/api/v1/event-type/plan.create/schema", "", "", [4]int{403, 403, 403, 403}},
		// What is only the admin's is not there, for nobody, and nobody is asked.
		{"GET", "/api/v1/token/", "", "", [4]int{404, 404, 404, 404}},
		{"POST", "/api/v1/token/", typeJSON, `{"account":"1"}`, [4]int{404, 404, 404, 404}},
		{"DELETE", "/api/v1/token/tok_1/", "", "", [4]int{404, 404, 404, 404}},
		{"POST", "/api/v1/resume", typeJSON, `{"accept_gap":true}`, [4]int{404, 404, 404, 404}},
		{"POST", "/api/v1/pause", typeJSON, `{}`, [4]int{404, 404, 404, 404}},
		{"PUT", "/api/v1/log-level", typeJSON, `{"level":"debug"}`, [4]int{404, 404, 404, 404}},
		{"POST", "/api/v1/drain", typeJSON, `{}`, [4]int{404, 404, 404, 404}},
		{"GET", "/api/v1/dead-letter/", "", "", [4]int{404, 404, 404, 404}},
		{"POST", "/api/v1/dead-letter/replay", typeJSON, "{}", [4]int{404, 404, 404, 404}},
		{"HEAD", "/api/v1/token/", "", "", [4]int{404, 404, 404, 404}},
		// What belongs to the listener is the application's here.
		{"GET", "/healthz", "", "", [4]int{404, 404, 404, 404}},
		{"GET", "/readyz", "", "", [4]int{404, 404, 404, 404}},
		{"GET", "/metrics", "", "", [4]int{404, 404, 404, 404}},
		{"GET", "/", "", "", [4]int{404, 404, 404, 404}},
		{"GET", "/api/v1/../token/", "", "", [4]int{404, 404, 404, 404}},
		{"GET", "/api/v1/nothing", "", "", [4]int{404, 404, 404, 404}},
	} {
		for i, who := range []string{"", "reader", "1", "2"} {
			own := make1(t, f.client(tokenOne))
			path := strings.ReplaceAll(c.path, "{own}", own.ID)
			headers := []string{"X-Who", who, "Authorization", "Bearer " + tokenAdmin, "Cookie", "token=" + tokenAdmin}
			if c.contentType != "" {
				headers = append(headers, "Content-Type", c.contentType)
			}
			before := f.asked.Load()
			resp, body := f.send(t, c.method, path, c.body, headers...)
			if resp.StatusCode != c.want[i] {
				t.Errorf("%q: %s %s as %s = %d, want %d: %s", who, c.method, c.path, c.contentType, resp.StatusCode, c.want[i], body)
			}
			checkAnswer(t, resp, body, c.method, path)
			if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Vary") != "Authorization, Cookie" ||
				resp.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
				t.Errorf("%s %s has headers %v", c.method, c.path, resp.Header)
			}
			if asked := f.asked.Load() > before; asked && (resp.StatusCode == 415 || resp.StatusCode == 405 || strings.Contains(c.path, "token")) {
				t.Errorf("%s %s: it was asked who calls", c.method, c.path)
			}
			if strings.Contains(body, tokenAdmin) {
				t.Errorf("a token is shown: %s", body)
			}
			if err := f.client(tokenOne).Delete(t.Context(), own.ID); err != nil && status(err) != 404 {
				t.Fatal(err)
			}
		}
	}
	if n := tokens.found.Load(); n > 0 {
		t.Errorf("%d tokens were looked up", n)
	}
	if log := f.log.String(); !strings.Contains(log, " identity=1") || strings.Contains(log, tokenAdmin) {
		t.Errorf("the log says\n%s", log)
	}
}

type noLetters struct{ api.DeadLetters }

// TestBehindIsAnAccount: what is made there is the account's, whatever token comes along, and never the admin's.
func TestBehindIsAnAccount(t *testing.T) {
	t.Parallel()
	f := behind(t, func(c *api.Config) { c.AccountSubscriptions = 1 })
	headers := []string{"X-Who", "1", "Content-Type", typeJSON, "Authorization", "Bearer " + tokenAdmin, "X-Http-Method-Override", "DELETE"}
	resp, body := f.send(t, "POST", "/api/v1/subscription/?_method=DELETE", good, headers...)
	if resp.StatusCode != 201 || !strings.Contains(body, `"account":"1"`) || !strings.Contains(body, "whsec_") {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if resp, body := f.send(t, "POST", "/api/v1/subscription/", good, headers...); resp.StatusCode != 422 {
		t.Errorf("one more than an account may have: %d %s", resp.StatusCode, body)
	}
	for _, who := range []string{"nobody", "*"} {
		resp, body := f.send(t, "GET", "/api/v1/subscription/", "", "X-Who", who)
		if resp.StatusCode != 403 || strings.Contains(body, "sub_") {
			t.Errorf("%s: %d %s", who, resp.StatusCode, body)
		}
	}
}

// TestBehindPassesOn what the application says to somebody whom it refuses.
func TestBehindPassesOn(t *testing.T) {
	t.Parallel()
	f := behind(t)
	get := func(who string) (*http.Response, string) {
		return f.send(t, "GET", "/api/v1/subscription/", "", "X-Who", who)
	}
	resp, body := get("refused")
	if h := resp.Header; resp.StatusCode != 403 || body != "<b>away with you</b>" || h.Get("Content-Type") != "text/html" ||
		strings.Join(h.Values("Www-Authenticate"), "|") != "Basic realm=x|Bearer" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	if resp, _ := get("plain"); resp.StatusCode != 401 || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp, body := get("down"); resp.StatusCode != 502 || !strings.Contains(body, `"detail":"the application is away"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := get("broken"); resp.StatusCode != 500 || strings.Contains(body, "hunter2") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if log := f.log.String(); !strings.Contains(log, "connection refused") || !strings.Contains(log, "level=ERROR") {
		t.Errorf("the log says\n%s", log)
	}
}

// TestBehindOrigins is the table of what browsers send from where.
func TestBehindOrigins(t *testing.T) {
	t.Parallel()
	f := behind(t)
	const here = "api.example.com"
	for _, c := range []struct {
		name    string
		headers []string
		refused bool
	}{
		{"NoBrowser", nil, false},
		{"SameOrigin", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://" + here}, false},
		{"TypedIn", []string{"Sec-Fetch-Site", "none"}, false},
		{"SameSite", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://www.example.com"}, true},
		{"CrossSite", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, true},
		{"CrossSiteWithoutOrigin", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"Unknown", []string{"Sec-Fetch-Site", "same-planet"}, true},
		{"ClaimsToBeHere", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://" + here}, true},
		{"OldBrowserSameOrigin", []string{"Origin", "https://" + here}, false},
		{"OldBrowserElsewhere", []string{"Origin", "https://evil.example"}, true},
		{"OldBrowserOtherPort", []string{"Origin", "https://" + here + ":8443"}, true},
		{"OldBrowserPrefix", []string{"Origin", "https://" + here + ".evil.example"}, true},
		{"Sandbox", []string{"Origin", "null"}, true},
		{"NoURL", []string{"Origin", "::"}, true},
	} {
		for _, method := range []string{"POST", "DELETE", "PATCH"} {
			headers := append([]string{"Host", here, "X-Who", "1", "Content-Type", typeJSON}, c.headers...)
			before := f.asked.Load()
			resp, body := f.send(t, method, "/api/v1/subscription/", good, headers...)
			want := map[string]int{"POST": 201, "DELETE": 405, "PATCH": 405}[method]
			if c.refused && method == "POST" {
				want = 403
			}
			if resp.StatusCode != want {
				t.Errorf("%s: %s = %d, want %d: %s", c.name, method, resp.StatusCode, want, body)
			}
			if c.refused && f.asked.Load() > before {
				t.Errorf("%s: it was asked who calls", c.name)
			}
			for name := range resp.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s: the answer has %s", c.name, name)
				}
			}
		}
		if resp, body := f.send(t, "GET", "/api/v1/subscription/", "", append([]string{"Host", here, "X-Who", "1"}, c.headers...)...); resp.StatusCode != 200 {
			t.Errorf("%s: GET = %d: %s", c.name, resp.StatusCode, body)
		}
	}
	// The browser's question beforehand is answered with nothing that allows anything.
	resp, _ := f.send(t, "OPTIONS", "/api/v1/subscription/", "", "Origin", "https://evil.example",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the preflight's answer has %s", name)
		}
	}
}

// TestBehindIsBounded: the requests of an account are counted there too.
func TestBehindIsBounded(t *testing.T) {
	t.Parallel()
	f := behind(t, func(c *api.Config) { c.AccountRate = 0.001 })
	var got [3]int
	for i, who := range []string{"1", "1", "2"} {
		resp, _ := f.send(t, "GET", "/api/v1/subscription/", "", "X-Who", who)
		got[i] = resp.StatusCode
	}
	if got != [3]int{200, 429, 200} {
		t.Errorf("answered %v", got)
	}
}
