package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func plainClient() *Client {
	d := &net.Dialer{Timeout: 5 * time.Second}
	return &Client{Dial: d.DialContext, TLS: &tls.Config{InsecureSkipVerify: true}, TLSHandshakeTimeout: 5 * time.Second,
		IdleMax: 64, IdleTimeout: time.Minute, HeaderMax: 64 << 10}
}

func plainEndpoint(t testing.TB, c *Client, text string) *Endpoint {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	e := NewEndpoint(http.MethodPost, u, Field{"Content-Type", "application/json"})
	if e == nil {
		t.Fatalf("%s is not taken", text)
	}
	c.Learn(e)
	return e
}

// raw serves each request with what answer says: the bytes, and whether to go on with the connection. n counts requests.
func raw(t *testing.T, secure bool, answer func(n int, c net.Conn) bool) (url string, connections *atomic.Int64) {
	t.Helper()
	var l net.Listener
	var err error
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	scheme := "http"
	if secure {
		s := httptest.NewUnstartedServer(nil)
		s.StartTLS()
		cfg := s.TLS.Clone()
		cfg.NextProtos = []string{"http/1.1"}
		s.Close()
		l = tls.NewListener(l, cfg)
		scheme = "https"
	}
	t.Cleanup(func() { l.Close() })
	connections = &atomic.Int64{}
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					if !answer(int(n.Add(1)), c) {
						return
					}
				}
			}()
		}
	}()
	return scheme + "://" + l.Addr().String() + "/", connections
}

type result struct {
	status int
	body   string
	err    error
}

func do(c *Client, e *Endpoint, timeout time.Duration) result {
	a, err := c.Send(context.Background(), time.Now().Add(timeout), e, nil, []byte("{}"))
	if err != nil {
		return result{err: err}
	}
	out := result{status: a.Status}
	if a.Body != nil {
		b, err := io.ReadAll(a.Body)
		out.body, out.err = string(b), err
		_ = a.Body.Close()
	}
	return out
}

// TestAnswers: what is said of an answer, and whether its connection is used again.
func TestAnswers(t *testing.T) {
	for _, x := range []struct {
		name, answer string
		status       int
		body         string
		fails, again bool
	}{
		{name: "plain", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", again: true},
		{name: "no content", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, again: true},
		{name: "no content with a length", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", status: 204},
		{name: "two answers", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: 200, body: "ok", again: true},
		{name: "chunked with a trailer", answer: "HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", status: 200, body: "ok", again: true},
		{name: "chunked and a length", answer: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: 200, body: "ok", again: true},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
		{name: "HTTP/1.0 keep-alive", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", again: true},
		{name: "close", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
		{name: "interim", answer: "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", again: true},
		{name: "too many interim", answer: strings.Repeat("HTTP/1.1 103 Early\r\n\r\n", 6) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", fails: true},
		{name: "switching", answer: "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", status: 101},
		{name: "below all statuses", answer: "HTTP/1.1 099 What\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 99},
		{name: "two lengths", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk", fails: true},
		{name: "a bare LF", answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", status: 200, body: "ok", again: true},
		{name: "large headers", answer: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\nContent-Length: 0\r\n\r\n", fails: true},
		{name: "a large body", answer: "HTTP/1.1 500 No\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000), status: 500, body: strings.Repeat("x", 5000), again: true},
		{name: "not modified", answer: "HTTP/1.1 304 Not\r\nContent-Length: 50\r\n\r\n", status: 304, again: true},
		{name: "SSH", answer: "SSH-2.0-OpenSSH\r\n", fails: true},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprint(x.name, " ", secure), func(t *testing.T) {
				t.Parallel()
				at, connections := raw(t, secure, func(_ int, c net.Conn) bool { _, err := io.WriteString(c, x.answer); return err == nil })
				c := plainClient()
				defer c.CloseIdleConnections()
				e := plainEndpoint(t, c, at)
				for range 3 {
					got := do(c, e, 2*time.Second)
					if (got.err != nil) != x.fails || !x.fails && (got.status != x.status || got.body != x.body) {
						t.Fatalf("got %d %.60q %v", got.status, got.body, got.err)
					}
				}
				if n := connections.Load(); (n == 1) != x.again {
					t.Errorf("%d connections for 3 requests", n)
				}
			})
		}
	}
}

// TestALateAnswerIsNobodys: what comes on an idle connection ends it.
func TestALateAnswerIsNobodys(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint(secure), func(t *testing.T) {
			t.Parallel()
			answered, late := make(chan struct{}), make(chan struct{})
			at, connections := raw(t, secure, func(n int, c net.Conn) bool {
				if n > 1 {
					_, err := io.WriteString(c, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
					return err == nil
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				<-answered
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				close(late)
				return true
			})
			c := plainClient()
			e := plainEndpoint(t, c, at)
			do(c, e, time.Second)
			close(answered)
			<-late
			if got := do(c, e, time.Second); got.status != 500 || connections.Load() != 2 {
				t.Errorf("got %+v with %d connections", got, connections.Load())
			}
			c.CloseIdleConnections()
		})
	}
}

// pause is how slow a target is: at most so long, or until nobody waits for it.
func pause(ctx context.Context, most time.Duration) {
	t := time.NewTimer(rand.N(most))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// TestAnswersAreOfTheirRequests, whatever is cancelled or late meanwhile.
func TestAnswersAreOfTheirRequests(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint(secure), func(t *testing.T) {
			var wrote atomic.Int64
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				k := rand.IntN(8)
				if k < 3 {
					pause(r.Context(), 3*time.Millisecond)
				}
				switch {
				case k == 4:
					w.WriteHeader(500)
					fallthrough
				case k == 5:
					_, _ = w.Write(b)
					w.(http.Flusher).Flush()
					pause(r.Context(), 2*time.Millisecond)
					_, _ = w.Write(bytes.Repeat(b, 200))
				case k == 6 && rand.IntN(20) == 0:
					panic(http.ErrAbortHandler)
				default:
					_, _ = w.Write(b)
				}
				wrote.Add(1)
			}))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			defer s.Close()
			before := runtime.NumGoroutine()
			c := plainClient()
			e := plainEndpoint(t, c, s.URL+"/")
			var wg sync.WaitGroup
			var good, bad atomic.Int64
			for w := range 8 {
				wg.Go(func() {
					for i := range 200 {
						id := fmt.Sprintf("<%d-%d>", w, i)
						ctx, cancel := context.WithCancel(context.Background())
						var stop *time.Timer
						if rand.IntN(3) == 0 {
							stop = time.AfterFunc(time.Duration(rand.IntN(2500))*time.Microsecond, cancel)
						}
						timeout := time.Second
						if rand.IntN(3) == 0 {
							timeout = time.Duration(rand.IntN(2500)) * time.Microsecond
						}
						a, err := c.Send(ctx, time.Now().Add(timeout), e, nil, []byte(id))
						if err == nil {
							if a.Body != nil {
								a.Body.Within(time.Second)
								part := make([]byte, len(id))
								if _, err := io.ReadFull(a.Body, part); err == nil && string(part) != id {
									t.Errorf("asked %s, got %s", id, part)
								}
								if rand.IntN(4) > 0 {
									if rest, err := io.ReadAll(a.Body); err == nil && strings.ReplaceAll(string(rest), id, "") != "" {
										t.Errorf("asked %s, got %s", id, rest)
									}
								}
								_ = a.Body.Close()
							}
							good.Add(1)
						} else {
							bad.Add(1)
						}
						if stop != nil {
							stop.Stop()
						}
						cancel()
					}
				})
			}
			wg.Wait()
			t.Log(good.Load(), "answered", bad.Load(), "not")
			if got := do(c, e, 5*time.Second); got.err != nil && !errors.Is(got.err, io.EOF) {
				t.Error(got.err)
			}
			c.idle.mu.Lock()
			n, listed := 0, 0
			for x := c.idle.oldest; x != nil; x = x.newer {
				n++
			}
			for _, x := range c.idle.top {
				for ; x != nil; x = x.below {
					listed++
				}
			}
			if n != c.idle.n || listed != n {
				t.Errorf("%d idle connections in one list, %d in the other, %d are counted", n, listed, c.idle.n)
			}
			c.idle.mu.Unlock()
			c.CloseIdleConnections()
			s.CloseClientConnections()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
				if runtime.NumGoroutine() <= before+3 {
					return
				}
			}
			t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		})
	}
}

// TestBodiesOfAllSizes arrive as they are, and buffers do not keep what large ones took.
func TestBodiesOfAllSizes(t *testing.T) {
	for _, secure := range []bool{false, true} {
		var got []byte
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
		if s.Start(); secure {
			s.Close()
			s = httptest.NewTLSServer(s.Config.Handler)
		}
		defer s.Close()
		c := plainClient()
		defer c.CloseIdleConnections()
		e := plainEndpoint(t, c, s.URL+"/")
		for _, n := range []int{1, 100, 2 << 10, 8 << 10, 8<<10 + 1, 20 << 10, BodyMax} {
			body := bytes.Repeat([]byte("x"), n)
			if a, err := c.Send(t.Context(), time.Now().Add(5*time.Second), e, nil, body); err != nil || a.Status != 200 || !bytes.Equal(got, body) {
				t.Errorf("%d bytes: got %d, %v, and %d arrived", n, a.Status, err, len(got))
			}
			buf := buffers.Get().(*[]byte)
			if cap(*buf) > 16<<10 {
				t.Errorf("a body of %d bytes leaves a buffer of %d", n, cap(*buf))
			}
			buffers.Put(buf)
		}
	}
}
