package identity

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

func source(text string) *mapping.Source {
	return &mapping.Source{Text: text, At: problem.Place{File: "f", Line: 1, Column: 1}}
}

// application is a small application: it says who calls, as the test has it.
type application struct {
	url   string
	asked atomic.Int64
	mu    sync.Mutex
	last  *http.Request
}

func (a *application) question() *http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

func newApplication(t testing.TB, answer http.HandlerFunc) *application {
	t.Helper()
	a := &application{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		a.mu.Lock()
		a.last = r.Clone(context.Background())
		a.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	a.url = s.URL
	return a
}

// asking makes an asker of the example's config.
func asking(t testing.TB, url string, changes ...func(*Config)) *asker {
	t.Helper()
	c := Config{Path: "/api/me", Account: source("account.id"), Allow: source(`role in ["owner", "admin"]`), Cache: DefaultCache}
	for _, change := range changes {
		change(&c)
	}
	s, err := New(c, Options{AppURL: url, UserAgent: "rowhook/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.(*asker)
}

// from is a request of a caller, with headers given as name, value, ….
func from(headers ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://api.example.com/api/v1/subscription/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

const hunter = "Bearer hunter2"

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// TestAnswers is the table of what an application may answer.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const owner = `,"role":"owner"}`
	status := func(code int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Add(headers[i], headers[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"error":"of the application"}`)
		}
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   Identity
		status int
		detail string
		logged string
	}{
		{name: "Owner", answer: says(`{"account":{"id":42}` + owner), want: Identity{"42", true}},
		{name: "Text", answer: says(`{"account":{"id":"0042"}` + owner), want: Identity{"0042", true}},
		{name: "Large", answer: says(`{"account":{"id":18446744073709551615}` + owner), want: Identity{"18446744073709551615", true}},
		{name: "Zero", answer: says(`{"account":{"id":0}` + owner), want: Identity{"0", true}},
		{name: "Unicode", answer: says(`{"account":{"id":"Zürich"}` + owner), want: Identity{"Zürich", true}},
		{name: "Member", answer: says(`{"account":{"id":42},"role":"member"}`), want: Identity{"42", false}},
		{name: "NoRole", answer: says(`{"account":{"id":42}}`), want: Identity{"42", false}},
		{name: "Created", answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			_, _ = io.WriteString(w, `{"account":{"id":42}`+owner)
		}, want: Identity{"42", true}},
		{name: "Gzip", answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `{"account":{"id":42}`+owner)
			_ = z.Close()
		}, want: Identity{"42", true}},
		{name: "NoAccount", answer: says(`{"role":"owner"}`), status: 403, detail: "no account"},
		{name: "NullAccount", answer: says(`{"account":null` + owner), status: 403, detail: "no account"},
		{name: "NullID", answer: says(`{"account":{"id":null}` + owner), status: 403, detail: "no account"},
		{name: "EmptyID", answer: says(`{"account":{"id":""}` + owner), status: 403, detail: "no account"},
		{name: "Star", answer: says(`{"account":{"id":"*"}` + owner), status: 403, detail: "no account"},
		{name: "Lines", answer: says(`{"account":{"id":"4\n2"}` + owner), status: 403, detail: "no plain text"},
		{name: "Nul", answer: says(`{"account":{"id":"4\u0000"}` + owner), status: 403, detail: "no plain text"},
		{name: "Long", answer: says(`{"account":{"id":"` + strings.Repeat("x", 801) + `"}` + owner), status: 403, detail: "too long"},
		{name: "True", answer: says(`{"account":{"id":true}` + owner), status: 502, logged: "gives boolean, not text or a number"},
		{name: "List", answer: says(`{"account":{"id":["hunter2"]}` + owner), status: 502, logged: "gives list"},
		{name: "Object", answer: says(`{"account":{"id":{}}` + owner), status: 502, logged: "gives object"},
		{name: "OddRole", answer: says(`{"account":"hunter2","role":"owner"}`), status: 502, logged: "proxy.identity.account"},
		{name: "ListAnswer", answer: says(`[{"account":{"id":42}}]`), status: 502, logged: "no JSON object"},
		{name: "HTML", answer: says(`<html>log in`), status: 502, logged: "401 to who is not"},
		{name: "NoUTF8", answer: says("{\"account\":{\"id\":\"\xff\"},\"role\":\"owner\"}"), status: 502, logged: "no JSON object"},
		{name: "Cut", answer: says(`{"account":{"id":42`), status: 502, logged: "no JSON object"},
		{name: "TooLarge", answer: says(`{"account":{"id":42},"x":"` + strings.Repeat("x", maxAnswer) + `"}`), status: 502, logged: "larger than 1048576 bytes"},
		{name: "Bomb", answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `{"x":"`+strings.Repeat("x", 64<<20))
			_ = z.Close()
		}, status: 502, logged: "larger than 1048576 bytes"},
		{name: "NoContent", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, status: 502, logged: "answers 204"},
		{name: "Unauthorized", answer: status(401, "WWW-Authenticate", "Basic realm=app", "WWW-Authenticate", "Bearer", "Content-Type", "application/json", "Set-Cookie", "a=b"), status: 401},
		{name: "Forbidden", answer: status(403), status: 403},
		{name: "LargeRefusal", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			_, _ = io.WriteString(w, strings.Repeat("x", maxRefusal+1))
		}, status: 403, detail: "refuses this login"},
		{name: "TooMany", answer: status(429, "Retry-After", "7"), status: 429},
		{name: "ToLogin", answer: status(302, "Location", "/login"), status: 401, detail: "does not know this login"},
		{name: "NotModified", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, status: 401, detail: "does not know this login"},
		{name: "Missing", answer: status(404), status: 502, logged: "404 Not Found\n  hint: see proxy.identity.path"},
		{name: "Broken", answer: status(500), status: 502, logged: "500 Internal Server Error"},
		{name: "Away", answer: status(503), status: 502, logged: "503 Service Unavailable"},
		{name: "Reset", answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, status: 502, logged: "app.url is its address"},
		{name: "HangsUpInside", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{`)
		}, status: 502, logged: "ask http://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, tt.answer)
			got, err := asking(t, app.url).Who(from("Authorization", hunter))
			if tt.status == 0 {
				if err != nil || got != tt.want {
					t.Fatalf("got %+v, %v", got, err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || got != (Identity{}) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if e.Status != tt.status || !strings.Contains(e.Detail, tt.detail) || !strings.Contains(err.Error(), tt.logged) {
				t.Errorf("got %d %q, %v", e.Status, e.Detail, err)
			}
			if (tt.logged != "") != (e.Err != nil) || tt.status == 502 && (e.Detail == "" || e.Body != nil) {
				t.Errorf("got %+v", e)
			}
			if tt.detail == "" && tt.logged == "" && string(e.Body) != `{"error":"of the application"}` {
				t.Errorf("the application's body is %q", e.Body)
			}
			if shown := fmt.Sprintf("%+v %v", e, err); strings.Contains(shown, "hunter2") {
				t.Errorf("a secret is shown: %s", shown)
			}
			switch tt.name {
			case "Unauthorized":
				if got := fmt.Sprint(e.Header); got != "map[Content-Type:[application/json] Www-Authenticate:[Basic realm=app Bearer]]" {
					t.Errorf("passed on %s", got)
				}
			case "TooMany":
				if e.Header.Get("Retry-After") != "7" {
					t.Errorf("passed on %v", e.Header)
				}
			}
		})
	}
}

// TestQuestion is made of the caller's credentials, and of nothing else of the caller's or ours.
func TestQuestion(t *testing.T) {
	t.Parallel()
	app := newApplication(t, says(`{"account":{"id":42}}`))
	a := asking(t, app.url+"/base/", func(c *Config) {
		c.Path = "/api/me?fields=account"
		c.Headers = []string{"cookie", "x-api-key", "Cookie"}
	})
	r := from("Cookie", "a=1", "Cookie", "b=2", "X-Api-Key", hunter, "Authorization", "Bearer of-nobody", "Accept", "text/html", "User-Agent", "evil",
		"Origin", "https://evil.example", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.example", "If-None-Match", "*", "Range", "bytes=0-1",
		"Content-Type", "application/json", "Connection", "X-Api-Key", "Accept-Encoding", "br", "X-Account-Id", "7")
	r.Method, r.Body, r.RemoteAddr, r.TLS = "DELETE", io.NopCloser(strings.NewReader("{}")), "192.0.2.7:1234", &tls.ConnectionState{}
	if _, err := a.Who(r); err != nil {
		t.Fatal(err)
	}
	q := app.question()
	if q.Method != "GET" || q.RequestURI != "/base/api/me?fields=account" || q.Host != "api.example.com" || q.ContentLength != 0 {
		t.Errorf("asked %s %s of %s", q.Method, q.RequestURI, q.Host)
	}
	if got, want := fmt.Sprint(q.Header), "map[Accept:[application/json] Accept-Encoding:[gzip] Cookie:[a=1 b=2] User-Agent:[rowhook/test] "+
		"X-Api-Key:[Bearer hunter2] X-Forwarded-For:[192.0.2.7] X-Forwarded-Host:[api.example.com] X-Forwarded-Proto:[https]]"; got != want {
		t.Errorf("asked with\n%s, want\n%s", got, want)
	}
}

// TestWithoutCredentials nothing is asked.
func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	app := newApplication(t, says(`{"account":{"id":42}}`))
	a := asking(t, app.url)
	for _, r := range []*http.Request{from(), from("Authorization", ""), from("Cookie", " "), from("X-Api-Key", hunter), from("X-Account-Id", "42")} {
		_, err := a.Who(r)
		var e *Error
		if !errors.As(err, &e) || e.Status != 401 || e.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%v: %v", r.Header, err)
		}
	}
	if n := app.asked.Load(); n > 0 {
		t.Errorf("asked %d times", n)
	}
}

// arrive waits for a request that has to come.
func arrive(t testing.TB, inside <-chan struct{}) {
	t.Helper()
	select {
	case <-inside:
	case <-time.After(60 * time.Second):
		t.Fatal("no request came")
	}
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// TestCache: what was said of a credential is good for cache, and no longer, also where it is asked for all the time.
func TestCache(t *testing.T) {
	t.Parallel()
	var revoked atomic.Bool
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		if revoked.Load() {
			w.WriteHeader(401)
			return
		}
		_, _ = io.WriteString(w, `{"account":{"id":"`+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")+`"}}`)
	})
	a := asking(t, app.url, func(c *Config) { c.Allow = nil })
	at := &clock{at: time.Unix(1e9, 0)}
	a.cache.now = at.now
	who := func(want string) {
		t.Helper()
		id, err := a.Who(from("Authorization", "Bearer 7"))
		if id.Account != want || (err == nil) != (want != "") || err == nil && !id.MayWrite {
			t.Errorf("got %+v, %v, want %q", id, err, want)
		}
	}
	asked := func(want int64) {
		t.Helper()
		if n := app.asked.Load(); n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
	who("7")
	at.add(15 * time.Second)
	who("7")
	asked(1)
	revoked.Store(true)
	at.add(15*time.Second - 1)
	who("7")
	asked(1)
	at.add(1)
	who("")
	asked(2)
	who("")
	asked(2) // a 401 is remembered too …
	revoked.Store(false)
	at.add(refusedFor)
	who("7") // … for a short time
	asked(3)

	// What differs in anything that was shown is another caller.
	base := []string{"Authorization", "Bearer 7"}
	n := app.asked.Load()
	for _, headers := range [][]string{{"Authorization", "Bearer 7 "}, {"Authorization", "bearer 7"}, append(base, "Cookie", "a=1"),
		append(base, "Cookie", "a=1", "Cookie", "b=2"), append(base, "Cookie", "a=1, b=2"), {"Cookie", "Bearer 7"}} {
		_, _ = a.Who(from(headers...))
		n++
		asked(n)
	}
	other := from(base...)
	other.Host = "other.example.com"
	_, _ = a.Who(other)
	asked(n + 1)
	other.RemoteAddr = "192.0.2.8:1"
	_, _ = a.Who(other)
	asked(n + 2)
	// What was not shown is not.
	_, _ = a.Who(from(append(base, "X-Other", "1")...))
	asked(n + 2)
	// Also where nothing but the Host tells one tenant from another.
	a.forward = func(question, caller *http.Request) { question.Host = caller.Host }
	_, _ = a.Who(from(base...))
	_, _ = a.Who(other)
	asked(n + 4)
}

// TestCacheOff asks for each request, at once too.
func TestCacheOff(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{}, 8)
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		<-release
		_, _ = io.WriteString(w, `{"account":{"id":1}}`)
	})
	a := asking(t, app.url, func(c *Config) { c.Cache = 0 })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := a.Who(from("Authorization", hunter)); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		arrive(t, inside) // all four are asked while none is answered
	}
	free()
	wg.Wait()
	if len(a.cache.answers) > 0 {
		t.Error("an answer is kept")
	}
}

// TestOneQuestion for all who ask at once; it outlives the caller who asked first.
func TestOneQuestion(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{}, 8)
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		<-release
		_, _ = io.WriteString(w, `{"account":{"id":1},"role":"owner"}`)
	})
	a := asking(t, app.url)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = a.Who(from("Authorization", hunter).WithContext(ctx)) })
	arrive(t, inside)
	for range 8 {
		wg.Go(func() {
			if id, err := a.Who(from("Authorization", hunter)); err != nil || id != (Identity{"1", true}) {
				t.Errorf("got %+v, %v", id, err)
			}
		})
	}
	// One who does not wait any longer goes; the others stay.
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := a.Who(from("Authorization", hunter).WithContext(gone)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	cancel()
	free()
	wg.Wait()
	if n := app.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestNoOneJoinsAnOldQuestion: one that is under way for longer than an answer is good for may say what is no more.
func TestNoOneJoinsAnOldQuestion(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{}, 2)
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		<-release
		_, _ = io.WriteString(w, `{"account":{"id":1}}`)
	})
	a := asking(t, app.url, func(c *Config) { c.Cache = time.Second })
	at := &clock{at: time.Unix(1e9, 0)}
	a.cache.now = at.now
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = a.Who(from("Authorization", hunter)) })
	arrive(t, inside)
	at.add(time.Second)
	wg.Go(func() { _, _ = a.Who(from("Authorization", hunter)) })
	arrive(t, inside) // a question of its own
	free()
	wg.Wait()
	if n := len(a.cache.answers); n != 1 || len(a.cache.underway) != 0 {
		t.Errorf("%d answers, %d questions are kept", n, len(a.cache.underway))
	}
}

// TestCallersAreNotMixed under load, while answers come and go.
func TestCallersAreNotMixed(t *testing.T) {
	t.Parallel()
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"account":{"id":"`+r.Header.Get("Cookie")+r.Header.Get("Authorization")+`"},"role":"owner"}`)
	})
	a := asking(t, app.url)
	at := &clock{at: time.Unix(1e9, 0)}
	a.cache.now = at.now
	var wg sync.WaitGroup
	for n := range 16 {
		name, own := "Cookie", fmt.Sprintf("c%d", n/2)
		if n%2 == 0 {
			name = "Authorization"
			own = fmt.Sprintf("a%d", n/2)
		}
		wg.Go(func() {
			for range 60 {
				id, err := a.Who(from(name, own))
				if err != nil || id.Account != own {
					t.Errorf("%s got %+v, %v", own, id, err)
					return
				}
				at.add(time.Second)
			}
		})
	}
	wg.Wait()
}

// TestCacheIsBounded, and what is refused does not fill it with bodies.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(time.Minute)
	at := &clock{at: time.Unix(1e9, 0)}
	c.now = at.now
	put := func(n int, err error) {
		_, _ = c.get(t.Context(), c.digest([]string{fmt.Sprint(n)}), func(context.Context) (Identity, error) { return Identity{Account: "1"}, err })
	}
	for n := range maxRemembered + 500 {
		put(n, nil)
	}
	if n := len(c.answers); n != maxRemembered {
		t.Errorf("%d are kept", n)
	}
	at.add(time.Hour)
	put(-1, nil)
	if n := len(c.answers); n != 1 {
		t.Errorf("%d are kept when all are over", n)
	}
	put(-2, &Error{Status: 401, Body: make([]byte, maxRememberedBody+1)})
	put(-3, &Error{Status: 403})
	put(-4, &Error{Status: 502, Err: errCut})
	put(-5, context.Canceled)
	if n := len(c.answers); n != 1 {
		t.Errorf("%d are kept", n)
	}
	put(-6, &Error{Status: 401})
	if n := len(c.answers); n != 2 {
		t.Errorf("%d are kept", n)
	}
}

// TestPanicLeavesNobodyWaiting: whoever waited gets an error, and the next one asks again.
func TestPanicLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	c := newCache(time.Minute)
	func() {
		defer func() { _ = recover() }()
		_, _ = c.get(t.Context(), digest{}, func(context.Context) (Identity, error) { panic("x") })
	}()
	if len(c.underway) != 0 || len(c.answers) != 0 {
		t.Fatal("something is left")
	}
	if id, err := c.get(t.Context(), digest{}, func(context.Context) (Identity, error) { return Identity{Account: "1"}, nil }); err != nil || id.Account != "1" {
		t.Errorf("got %+v, %v", id, err)
	}
}

// TestSlowApplication is given up, and nobody there is told as that.
func TestSlowApplication(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	a := asking(t, app.url)
	a.timeout = 50 * time.Millisecond
	var e *Error
	if _, err := a.Who(from("Authorization", hunter)); !errors.As(err, &e) || e.Status != 504 || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v", err)
	}
	for range askAtOnce {
		a.slots <- struct{}{}
	}
	if _, err := a.Who(from("Authorization", hunter)); !errors.As(err, &e) || e.Status != 503 {
		t.Errorf("got %v", err)
	}
	down := httptest.NewServer(nil)
	down.Close()
	if _, err := asking(t, down.URL).Who(from("Authorization", hunter)); !errors.As(err, &e) || e.Status != 502 || !strings.Contains(err.Error(), "refused") ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
