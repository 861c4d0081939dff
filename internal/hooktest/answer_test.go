package hooktest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer Answer
		status int
		header map[string]string
		body   string
	}{
		{"OK", OK(), 200, nil, ""},
		{"Gone", Status(410), 410, nil, ""},
		{"RetryAfter", RetryAfter(429, "120"), 429, map[string]string{"Retry-After": "120"}, ""},
		{"Redirect", Redirect(307, "https://example.com/"), 307, map[string]string{"Location": "https://example.com/"}, ""},
		{"Body", Answer{Status: 500, Body: "oops"}.With("A", "b").With("C", "d"), 500, map[string]string{"A": "b", "C": "d"}, "oops"},
		{"Drip", Drip("abc", time.Microsecond), 200, nil, "abc"},
		{"Delay", OK().After(time.Millisecond), 200, nil, ""},
	}
	for _, tt := range tests {
		for name, start := range map[string]func(TB, ...Script) *Receiver{"HTTP": New, "HTTPS": NewTLS} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := start(t, Always(tt.answer))
				resp, err := newClient(t, r).Post(r.URL("/"), "text/plain", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != tt.status || string(body) != tt.body {
					t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, tt.status, tt.body)
				}
				for name, want := range tt.header {
					if got := resp.Header.Get(name); got != want {
						t.Errorf("got %s: %q, want %q", name, got, want)
					}
				}
				if got := r.Requests()[0].Answered; got != tt.status {
					t.Errorf("recorded answer %d, want %d", got, tt.status)
				}
			})
		}
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	says := func(want string) func(error) bool {
		return func(err error) bool { return strings.Contains(err.Error(), want) }
	}
	tests := []struct {
		name   string
		answer Answer
		want   func(error) bool
	}{
		{"Reset", Reset(), is(syscall.ECONNRESET)},
		{"Close", Close(), is(io.EOF)},
		{"Garbage", Garbage(), says("malformed HTTP")},
		{"BrokenOffByClose", Answer{Status: 200, Body: "half", Break: BreakClose}, is(io.ErrUnexpectedEOF)},
		{"BrokenOffByReset", Answer{Status: 200, Body: "half", Break: BreakReset}, func(err error) bool {
			// The data that was sent before a reset may be lost with it.
			return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF)
		}},
	}
	for _, tt := range tests {
		for name, start := range map[string]func(TB, ...Script) *Receiver{"HTTP": New, "HTTPS": NewTLS} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := start(t, Always(tt.answer))
				_, body, err := tryPost(newClient(t, r), r.URL("/"), "x")
				if err == nil {
					t.Fatalf("got %q and no error", body)
				}
				if !tt.want(err) {
					t.Errorf("got another error: %v", err)
				}
				if got := r.Requests()[0]; got.Answered != 0 || got.Delivered() {
					t.Errorf("recorded answer %d, want 0", got.Answered)
				}
			})
		}
	}
}

func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	r := New(t, Always(HugeHeaders(100_000)))
	c := newClient(t, r)
	resp, err := c.Post(r.URL("/"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := len(resp.Header); got < 100 {
		t.Errorf("got %d headers, want at least 100", got)
	}
	strict := newClient(t, r)
	strict.Transport.(*http.Transport).MaxResponseHeaderBytes = 64 << 10
	if _, _, err := tryPost(strict, r.URL("/"), ""); err == nil || !strings.Contains(err.Error(), "exceeded") {
		t.Errorf("got %v, want too many headers", err)
	}
}

func TestEndless(t *testing.T) {
	t.Parallel()
	r := New(t, Always(Endless()))
	resp, err := newClient(t, r).Post(r.URL("/"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Errorf("got %d bytes, %v, want 1 MiB", n, err)
	}
}

func TestBomb(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	r := New(t, Always(Bomb(size)))
	_, packed := post(t, newClient(t, r), r.URL("/"), "")
	unpacked, err := gzip.NewReader(bytes.NewReader([]byte(packed)))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, unpacked); n != size || err != nil || len(packed) > size/100 {
		t.Errorf("got %d bytes from %d, %v, want %d", n, len(packed), err, size)
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	t.Run("UntilReleased", func(t *testing.T) {
		t.Parallel()
		r := New(t, Always(Hang()))
		answered := make(chan int, 1)
		c := newClient(t, r)
		go func() {
			status, _, _ := tryPost(c, r.URL("/"), "")
			answered <- status
		}()
		r.Wait(t, 1, Patience)
		select {
		case status := <-answered:
			t.Fatalf("answered %d", status)
		default:
		}
		// The handler takes a moment from recording to hanging: what it misses, it does not get.
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case status := <-answered:
				if status != 200 {
					t.Errorf("answered %d, want 200", status)
				}
				return
			case <-tick.C:
				r.Release()
			}
		}
	})
	t.Run("UntilAnEvent", func(t *testing.T) {
		t.Parallel()
		event := make(chan struct{})
		r := New(t, Always(Answer{Status: 202, Until: event}))
		var client sync.WaitGroup
		c := newClient(t, r)
		client.Go(func() {
			if status, _, err := tryPost(c, r.URL("/"), ""); status != 202 {
				t.Errorf("got %d, %v, want 202", status, err)
			}
		})
		r.Wait(t, 1, Patience)
		close(event)
		client.Wait()
	})
	t.Run("UntilTheClientGoes", func(t *testing.T) {
		t.Parallel()
		r := New(t, Always(Hang()))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL("/"), strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newClient(t, r).Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.After(Patience); r.inFlight.Load() > 0; {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatal("the handler still hangs")
			}
		}
	})
}
