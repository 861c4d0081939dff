package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

type answered struct {
	Title, Detail string
	Status        int
}

func get(t *testing.T, f *front, path string) answered {
	t.Helper()
	r, err := client(t).Get(f.url(path))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var a answered
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil || r.Header.Get("Content-Type") != "application/problem+json" || a.Status != r.StatusCode {
		t.Fatalf("%s: %+v, %v, %v", r.Status, a, r.Header, err)
	}
	return a
}

// TestTheApplicationIsAway says so to the client, and once in the log; what is ours is answered meanwhile.
func TestTheApplicationIsAway(t *testing.T) {
	t.Parallel()
	addr := hooktest.FreeAddress(t)
	var lines bytes.Buffer // written by the requests below, one after the other
	f := start(t, addr, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&lines, nil)) })
	for range 3 {
		a := get(t, f, "/")
		if want := "the application cannot be reached: it refuses connections"; a.Status != 502 || a.Detail != want {
			t.Errorf("%+v, want %s", a, want)
		}
	}
	if answer := ask(t, f.addr, "GET /api/v1/subscription HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.Contains(answer, "ours: GET /api/v1/subscription") {
		t.Errorf("%q", answer)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.NotFoundHandler()}
	go s.Serve(l)
	defer s.Close()
	for range 2 {
		if answer := ask(t, f.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 404 ") {
			t.Errorf("%q", answer)
		}
	}
	if told := strings.Count(lines.String(), "\n"); told != 2 || !strings.Contains(lines.String(), "app="+addr) || !strings.Contains(lines.String(), "mend app.url") || !strings.Contains(lines.String(), "answers again") {
		t.Errorf("logged:\n%s", lines.String())
	}
}

// TestTooSlowToConnect is another status, and so is what is no HTTP.
func TestTooSlowToConnect(t *testing.T) {
	t.Parallel()
	app := startRaw(t)
	f := start(t, app.addr)
	f.direct.dialer = &net.Dialer{Timeout: time.Nanosecond}
	if a := get(t, f, "/"); a.Status != 504 || !strings.Contains(a.Detail, "the application did not accept a connection within") {
		t.Errorf("%+v", a)
	}
	app.answers("220 smtp.example.com ready\r\n")
	f = start(t, app.addr)
	if a := get(t, f, "/"); a.Status != 502 || !strings.Contains(a.Detail, "did not answer in HTTP/1.1") {
		t.Errorf("%+v", a)
	}
	f = start(t, "nowhere.invalid")
	f.direct.dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}
	}}
	if a := get(t, f, "/"); a.Status != 502 || !strings.Contains(a.Detail, "the application cannot be reached: its name does not resolve") {
		t.Errorf("%+v", a)
	}
}

// TestNothingIsDoneTwice drops connections after a request was read from them: it may have been done. Only the methods that
// change nothing are sent again.
func TestNothingIsDoneTwice(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var dropped atomic.Int64
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drop" {
			io.Copy(io.Discard, r.Body)
			dropped.Add(1)
			panic(http.ErrAbortHandler)
		}
	})}
	go s.Serve(l)
	defer s.Close()
	f := start(t, l.Addr().String())
	c := client(t)
	for _, tt := range []struct {
		method, body string
		most         int64
	}{{"POST", "", 1}, {"POST", "x", 1}, {"DELETE", "", 1}, {"PUT", "", 1}, {"PATCH", "x", 1}, {"GET", "", 2}} {
		// A connection to be used again.
		if r, err := c.Get(f.url("/")); err != nil || r.StatusCode != 200 {
			t.Fatal(r, err)
		} else {
			r.Body.Close()
		}
		dropped.Store(0)
		req, err := http.NewRequest(tt.method, f.url("/drop"), strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Idempotency-Key", "k")
		req.Header.Set("X-Idempotency-Key", "k")
		r, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 502 || !strings.Contains(string(text), "broke the connection") {
			t.Errorf("%s: %s: %s", tt.method, r.Status, text)
		}
		if n := dropped.Load(); n != tt.most {
			t.Errorf("%s %q: the application got it %d times, want %d", tt.method, tt.body, n, tt.most)
		}
	}
}

// TestBrokenRequests are the client's mistake, not the application's.
func TestBrokenRequests(t *testing.T) {
	t.Parallel()
	app := startRaw(t)
	f := start(t, app.addr)
	answer := ask(t, f.addr, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, "Connection: close") || !strings.Contains(answer, "cannot be read to its end") {
		t.Errorf("%q", answer)
	}
	for _, target := range []string{"/%zz", "/a b", "/a\x01"} {
		if answer := ask(t, f.addr, "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("%q: %q", target, answer)
		}
	}
	if answer := ask(t, f.addr, "CONNECT db.internal:5432 HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 405 ") {
		t.Errorf("%q", answer)
	}
	if answer := askAll(t, f.addr, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 505 ") {
		t.Errorf("HTTP/2: %q", answer)
	}
}

// TestBefore sees what goes to either, and may change it.
func TestBefore(t *testing.T) {
	t.Parallel()
	app := startRaw(t)
	f := start(t, app.addr, func(c *Config) {
		c.Before = func(r *http.Request) { r.Header.Del("X-Account") }
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Account") != "" {
				w.WriteHeader(500)
			}
			if r.Header.Get("X-Abort") != "" {
				panic(http.ErrAbortHandler)
			}
		})
	})
	const forged = " HTTP/1.1\r\nHost: a\r\nX-Account: 42\r\n"
	if answer := ask(t, f.addr, "GET /api/v1/subscription/"+forged+"\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
		t.Errorf("%q", answer)
	}
	ask(t, f.addr, "GET /"+forged+"\r\n")
	if got := app.next(t); strings.Contains(got, "42") {
		t.Errorf("arrived: %q", got)
	}
	c := dial(t, f.addr)
	io.WriteString(c, "GET /api/v1/subscription/"+forged+"X-Abort: 1\r\n\r\n")
	if answer, err := io.ReadAll(c); len(answer) > 0 || err != nil {
		t.Errorf("an aborted answer: %q, %v", answer, err)
	}
}
