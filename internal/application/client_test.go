package application

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

const token = "hunter2-of-the-app"

func newClient(url string) *Client {
	return New(Config{URL: url, UserAgent: "rowhook/test", MaxBytes: 64 << 10, Headers: []Header{
		{Name: "authorization", Value: "Bearer " + token}, {Name: "host", Value: "crm.internal"}, {Name: "X-Tenant", Value: "42"}}})
}

// TestGet sends the headers of the config, and copies the answer as it came.
func TestGet(t *testing.T) {
	t.Parallel()
	const body = "{\"a\": 12345678901234567890.10,\n \"b\":[1.0, null]}"
	app := hooktest.New(t, hooktest.Always(hooktest.Answer{Body: body}))
	c := newClient(app.URL("/base/"))
	for range 2 {
		got, err := c.Get(t.Context(), "/contacts/1?x=%C3%A9")
		if err != nil || string(got) != body {
			t.Fatalf("got %s, %v", got, err)
		}
	}
	q := app.Requests()[1]
	if q.Method != http.MethodGet || q.Path != "/base/contacts/1" || q.Query != "x=%C3%A9" || q.Host != "crm.internal" || !q.Reused {
		t.Errorf("asked %+v", q)
	}
	for name, want := range map[string]string{"Authorization": "Bearer " + token, "X-Tenant": "42", "Accept": "application/json",
		"User-Agent": "rowhook/test", "Cookie": "", "Referer": ""} {
		if have := q.Header.Get(name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
}

// TestGetIsOnTheWire what it was given: nothing is decoded, cleaned or resolved on the way.
func TestGetIsOnTheWire(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.RequestURI
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(srv.Close)
	const path = "/contacts/..%2Fadmin%3Fx%3D1%23y//z"
	if _, err := newClient(srv.URL).Get(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != path {
		t.Errorf("asked for %s", got)
	}
}

// TestRefusals: each says what was asked, what came, and what to do, and nothing of what is secret.
func TestRefusals(t *testing.T) {
	t.Parallel()
	other := hooktest.New(t)
	app := hooktest.New(t)
	secret := hooktest.Answer{Body: `{"leak":"of-the-body"}`}
	status := func(code int) hooktest.Answer { a := secret; a.Status = code; return a }
	for _, tt := range []struct {
		name    string
		answer  hooktest.Answer
		reason  string
		hint    string
		missing bool
		own     bool
		after   time.Duration
	}{
		{name: "Missing", answer: status(404), reason: "the application answers 404 Not Found", hint: "may not be visible to the login", missing: true, own: true},
		{name: "Gone", answer: status(410), reason: "410 Gone", missing: true, own: true},
		{name: "Login", answer: status(401), reason: "401 Unauthorized", hint: "app: {headers:"},
		{name: "Forbidden", answer: status(403), reason: "403 Forbidden", hint: "app: {headers:"},
		{name: "Host", answer: status(400), reason: "400 Bad Request", hint: "add host to app.headers", own: true},
		{name: "Broken", answer: status(500), reason: "500 Internal Server Error", own: true},
		{name: "NoContent", answer: hooktest.Status(204), reason: "204 No Content", own: true},
		{name: "TooMany", answer: status(429).With("Retry-After", "7"), reason: "429", after: 7 * time.Second},
		{name: "Away", answer: status(503).With("Retry-After", "9999999"), reason: "503", after: time.Hour},
		{name: "BadGateway", answer: status(502), reason: "502 Bad Gateway"},
		{name: "OtherHost", answer: hooktest.Redirect(302, other.URL("/login?x=secret")), reason: "302 Found: it leads to " + other.URL(""), hint: "app.url", own: true},
		{name: "OtherScheme", answer: hooktest.Redirect(301, strings.Replace(app.URL("/x"), "http:", "https:", 1)), reason: "it leads to https://", own: true},
		{name: "Circle", answer: hooktest.Redirect(302, "/circle"), reason: "302 Found", own: true},
		{name: "HTML", answer: hooktest.Answer{Body: "<html>of-the-body"}.With("Content-Type", "text/html; charset=utf-8"), reason: "the answer is text/html, not JSON", hint: "app.headers has the login", own: true},
		{name: "CutJSON", answer: hooktest.Answer{Body: `{"a":1`}.With("Content-Type", "application/json"), reason: "the answer is not JSON", own: true},
		{name: "TwoValues", answer: hooktest.Answer{Body: `{} {}`}.With("Content-Type", "application/json"), reason: "the answer is not JSON", own: true},
		{name: "NoUTF8", answer: hooktest.Answer{Body: "\"\xff\""}.With("Content-Type", "application/json"), reason: "the answer is not JSON", own: true},
		{name: "Large", answer: hooktest.Answer{Body: `"` + strings.Repeat("x", 64<<10) + `"`}, reason: "the answer is larger than 65536 bytes", own: true},
		{name: "Endless", answer: hooktest.Endless(), reason: "the answer is larger than 65536 bytes", own: true},
		{name: "Bomb", answer: hooktest.Bomb(4 << 20), reason: "the answer is larger than 65536 bytes", own: true},
		{name: "Headers", answer: hooktest.HugeHeaders(256 << 10), reason: "exceeded"},
		{name: "Reset", answer: hooktest.Reset(), reason: "", hint: "app.url is its address"},
		{name: "Garbage", answer: hooktest.Garbage(), reason: "does not speak HTTP"},
		{name: "Hangs", answer: hooktest.Hang(), reason: "no answer within"},
		{name: "Drips", answer: hooktest.Drip(strings.Repeat(" ", 9999), 20*time.Millisecond), reason: "no answer within"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := "/" + strings.ToLower(tt.name)
			app.Handle(path, hooktest.Always(tt.answer))
			c := newClient(app.URL(""))
			if tt.name == "Hangs" || tt.name == "Drips" {
				c.http.Timeout = 300 * time.Millisecond
			}
			_, err := c.Get(t.Context(), path)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("the error is %v", err)
			}
			if !strings.Contains(e.Reason, tt.reason) || !strings.Contains(e.Hint, tt.hint) || e.Missing() != tt.missing || e.Own() != tt.own || e.RetryAfter != tt.after {
				t.Errorf("got %+v missing %v own %v", e, e.Missing(), e.Own())
			}
			shown := fmt.Sprintf("%v %+v", err, e)
			if !strings.HasPrefix(err.Error(), "GET "+app.URL(path)+": ") || strings.Contains(shown, token) || strings.Contains(shown, "of-the-body") || strings.Contains(shown, "x=secret") {
				t.Errorf("told as %s", shown)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(other.Requests()); n > 0 {
			t.Errorf("%d requests followed a redirect to another host, with the login", n)
		}
	})
}

// TestWithinTheApplication redirects are followed, with the login.
func TestWithinTheApplication(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, hooktest.Always(hooktest.Redirect(301, "/contacts/1/")))
	app.Handle("/contacts/1/", hooktest.Always(hooktest.Answer{Body: `{"id":1}`}))
	got, err := New(Config{URL: app.URL(""), Headers: []Header{{Name: "Authorization", Value: token}}}).Get(t.Context(), "/contacts/1")
	if err != nil || string(got) != `{"id":1}` {
		t.Fatalf("got %s, %v", got, err)
	}
	if q := app.Requests()[1]; q.Header.Get("Authorization") != token {
		t.Error("the login was left behind")
	}
}

// TestNobodyThere is told with the address, and the end of the caller as that.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t)
	url := app.URL("")
	app.Down()
	_, err := newClient(url).Get(t.Context(), "/contacts/1")
	var e *Error
	if !errors.As(err, &e) || e.Own() || e.Status != 0 || !strings.Contains(e.Reason, "refused") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newClient(url).Get(ctx, "/contacts/1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
