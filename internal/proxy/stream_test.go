package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve starts an application of Go.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.Listener.Addr().String()
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited for %s in vain", what)
	}
}

// client has connections of its own, and bounds every request.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{DisableCompression: true, ExpectContinueTimeout: patience}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 3 * patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// TestStreamsChunkByChunk reads each part of an answer before the next is written: of one whose length is known, of one
// whose length is not, and of server-sent events; and its headers before any part.
func TestStreamsChunkByChunk(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{
		"length": {"Content-Length: 9"}, "chunks": nil, "events": {"Content-Type: text/event-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			app := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for _, h := range headers {
					key, value, _ := strings.Cut(h, ": ")
					w.Header().Set(key, value)
				}
				for i := range 4 {
					if i > 0 {
						fmt.Fprintf(w, "%d: ", i)
					}
					w.(http.Flusher).Flush()
					select {
					case <-next:
					case <-r.Context().Done():
						return
					}
				}
			})
			f := start(t, app)
			r, err := client(t).Get(f.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			buf := make([]byte, 3)
			for i := 1; i < 4; i++ {
				next <- struct{}{}
				if _, err := io.ReadFull(r.Body, buf); err != nil || string(buf) != fmt.Sprintf("%d: ", i) {
					t.Fatalf("part %d: %q, %v", i, buf, err)
				}
			}
			next <- struct{}{}
			if rest, err := io.ReadAll(r.Body); len(rest) > 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
		})
	}
}

// TestBodiesBothWays has an application that answers while the request is still coming.
func TestBodiesBothWays(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 4)
		for {
			if _, err := io.ReadFull(r.Body, buf); err != nil {
				return
			}
			w.Write(buf)
			c.Flush()
		}
	})
	f := start(t, app)
	out, in := io.Pipe()
	late := time.AfterFunc(patience, func() { out.CloseWithError(errors.New("too late")) })
	defer late.Stop()
	sent := make(chan *http.Response, 1)
	go func() {
		r, err := client(t).Post(f.url("/"), "a/b", out)
		if err != nil {
			t.Error(err)
			close(sent)
			return
		}
		sent <- r
	}()
	var answer *http.Response
	buf := make([]byte, 4)
	for i := range 5 {
		part := fmt.Sprintf("%04d", i)
		if _, err := io.WriteString(in, part); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if answer = <-sent; answer == nil {
				t.FailNow()
			}
			defer answer.Body.Close()
		}
		if _, err := io.ReadFull(answer.Body, buf); err != nil || string(buf) != part {
			t.Fatalf("echo %d: %q, %v", i, buf, err)
		}
	}
	in.Close()
	if rest, err := io.ReadAll(answer.Body); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

// endless gives n bytes and keeps none.
type endless struct{ n int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), e.n)
	e.n -= n
	return int(n), nil
}

// TestLargeBodies sends more than is in memory afterwards, both ways.
func TestLargeBodies(t *testing.T) {
	// Not parallel: it measures memory.
	const size = 256 << 20
	var read atomic.Int64
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		read.Store(n)
		w.Header().Set("Content-Length", fmt.Sprint(size))
		io.Copy(w, &endless{size})
	})
	f := start(t, app)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	req, err := http.NewRequest("PUT", f.url("/"), &endless{size})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	r, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if n, err := io.Copy(io.Discard, r.Body); n != size || err != nil || read.Load() != size {
		t.Fatalf("%d bytes up, %d down, %v", read.Load(), n, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > size/32 {
		t.Errorf("%d bytes were allocated for %d of bodies", used, 2*size)
	}
}

// TestUpgrade passes bytes both ways after 101, in the order of the other end, until both have closed.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	done := make(chan string, 1)
	go func() {
		c, err := app.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		in := bufio.NewReader(c)
		r, err := http.ReadRequest(in)
		if err != nil {
			done <- err.Error()
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-Websocket-Accept: "+r.Header.Get("Sec-Websocket-Key")+"\r\n\r\nhello")
		word := make([]byte, 4)
		io.ReadFull(in, word)
		io.WriteString(c, "["+string(word)+"]")
		rest, err := io.ReadAll(in)
		io.WriteString(c, "bye")
		done <- fmt.Sprintf("%s %s %s %v", r.Header.Get("Connection"), r.Header.Get("Upgrade"), rest, err)
	}()
	f := start(t, app.Addr().String())
	c := dial(t, f.addr)
	io.WriteString(c, "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n")
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != 101 || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-Websocket-Accept") != "x" {
		t.Fatalf("%v, %v", r, err)
	}
	want := func(text string) {
		t.Helper()
		buf := make([]byte, len(text))
		if _, err := io.ReadFull(in, buf); err != nil || string(buf) != text {
			t.Fatalf("%q, %v, want %q", buf, err, text)
		}
	}
	want("hello")
	io.WriteString(c, "ping")
	want("[ping]")
	io.WriteString(c, "end")
	c.CloseWrite()
	want("bye")
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	if got := <-done; got != "Upgrade websocket end <nil>" {
		t.Errorf("the application got %q", got)
	}
}

// TestContinue lets the application decide whether a body is sent at all.
func TestContinue(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		n, err := io.Copy(w, r.Body)
		if n != 5 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	f := start(t, app)
	const head = " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	c := dial(t, f.addr)
	io.WriteString(c, "PUT /take"+head)
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != 100 {
		t.Fatalf("%v, %v", r, err)
	}
	io.WriteString(c, "hello")
	r, err = http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%v, %v", r, err)
	}
	if body, err := io.ReadAll(r.Body); string(body) != "hello" || err != nil {
		t.Fatalf("%q, %v", body, err)
	}
	c = dial(t, f.addr)
	io.WriteString(c, "PUT /refuse"+head)
	if r, err = http.ReadResponse(bufio.NewReader(c), nil); err != nil || r.StatusCode != 413 {
		t.Fatalf("%v, %v", r, err)
	}
}

// TestClientGoes ends the application's request with that of the client, before and in the midst of the answer.
func TestClientGoes(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/streams" {
			w.Write([]byte("begun"))
			w.(http.Flusher).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	})
	f := start(t, app)
	for _, path := range []string{"/waits", "/streams"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", f.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			if r, err := client(t).Do(req); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
		}()
		wait(t, "the request to begin", begun)
		cancel()
		wait(t, "the application's request to end", ended)
		wait(t, "the client", answered)
	}
}

// TestBrokenAnswers are no whole ones for the client either.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc",
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startRaw(t)
			app.answers(answer)
			f := start(t, app.addr)
			r, err := client(t).Get(f.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if body, err := io.ReadAll(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != "abc" {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}
