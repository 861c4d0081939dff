package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const patience = 2 * time.Minute

// target is a server that does with each connection what it is told.
type target struct {
	net.Listener
	connections atomic.Int64
	// ended gets the number of each connection that the client has closed.
	ended chan int
}

// listen serves each connection; n counts them from 1.
func listen(t *testing.T, serve func(n int, conn net.Conn, r *bufio.Reader)) *target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &target{Listener: l, ended: make(chan int, 1000)}
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n := int(s.connections.Add(1))
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				serve(n, conn, bufio.NewReader(conn))
				select {
				case s.ended <- n:
				default: // nobody wants to know
				}
			})
		}
	})
	t.Cleanup(func() { stop(); _ = l.Close(); all.Wait() })
	return s
}

func (s *target) endpoint() *Endpoint { return endpoint("http://" + s.Addr().String() + "/") }

// read reads one request, and is false at the end of the connection.
func read(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// answering answers every request with the text, and notes the client's end.
func answering(t *testing.T, text string) *target {
	return listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		for read(r) {
			_, _ = io.WriteString(conn, text)
		}
	})
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func newClient(t *testing.T) *Client {
	c := &Client{Dial: (&net.Dialer{}).DialContext, TLS: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: patience, IdleMax: 8,
		IdleTimeout: time.Hour, HeaderMax: 64 << 10}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// post makes a request and reads all of its answer.
func (c *Client) post(ctx context.Context, e *Endpoint) (int, string, error) {
	a, err := c.Send(ctx, time.Now().Add(patience), e, nil, []byte("body"))
	if err != nil || a.Body == nil {
		return a.Status, "", err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return a.Status, string(body), err
}

// TestConnectionsAreUsedAgain only after answers that leave no doubt.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		answer      string
		body        string
		connections int64
	}{
		"Empty":            {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 1},
		"NoContent":        {"HTTP/1.1 204 No Content\r\n\r\n", "", 1},
		"Body":             {ok, "ok", 1},
		"LongBody":         {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, long, 1},
		"Chunked":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", 1},
		"Trailers":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", "ok", 1},
		"Failure":          {"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nok", "ok", 1},
		"Interim":          {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + ok, "ok", 1},
		"OldKeepAlive":     {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok", 1},
		"Old":              {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 3},
		"Close":            {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "ok", 3},
		"AnswersTwice":     {ok + "HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n", "ok", 3},
		"AnswersTwiceLong": {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long + "x", long, 3},
		"NoContentBody":    {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", "", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, s := newClient(t), answering(t, c.answer)
			for i := range 3 {
				status, body, err := client.post(t.Context(), s.endpoint())
				if err != nil || body != c.body || status == 500 && name != "Failure" {
					t.Fatalf("request %d: got %d, %d bytes, %v", i, status, len(body), err)
				}
				// What is not used again is closed at once, but where the system still has what came too much.
				if c.connections > 1 && name != "AnswersTwiceLong" {
					select {
					case <-s.ended:
					case <-time.After(patience):
						t.Fatal("the connection is still open")
					}
				}
			}
			if n := s.connections.Load(); n != c.connections {
				t.Errorf("%d connections for 3 requests, want %d", n, c.connections)
			}
		})
	}
}

// TestIdleConnectionsAreLookedAt: what came on one while nobody read it, or its end, is noticed before it is used.
func TestIdleConnectionsAreLookedAt(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]func(net.Conn){
		"Closed":     func(c net.Conn) { _ = c.Close() },
		"HalfClosed": func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
		"Reset":      func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"Stray":      func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idle, done := make(chan bool), make(chan bool, 1)
			requests := atomic.Int64{}
			s := listen(t, func(n int, conn net.Conn, r *bufio.Reader) {
				for read(r) {
					requests.Add(1)
					_, _ = io.WriteString(conn, ok)
					if n == 1 {
						<-idle
						last(conn)
						done <- true
					}
				}
			})
			c := newClient(t)
			if _, _, err := c.post(t.Context(), s.endpoint()); err != nil {
				t.Fatal(err)
			}
			idle <- true
			<-done
			if status, body, err := c.post(t.Context(), s.endpoint()); err != nil || status != 200 || body != "ok" {
				t.Errorf("got %d %q %v", status, body, err)
			}
			if n, m := s.connections.Load(), requests.Load(); n != 2 || m != 2 {
				t.Errorf("%d connections and %d requests, want 2 and 2", n, m)
			}
		})
	}
}

// TestBrokenUnderARequest: whether it was handled cannot be known, so it is for the caller to say whether it is made again.
// The connections beside it are not used any more.
func TestBrokenUnderARequest(t *testing.T) {
	t.Parallel()
	both, arrived := make(chan bool), make(chan bool, 2)
	s := listen(t, func(n int, conn net.Conn, r *bufio.Reader) {
		for i := 0; read(r); i++ {
			if n <= 2 && i == 0 {
				arrived <- true
				<-both
			}
			if n <= 2 && i == 1 {
				return
			}
			_, _ = io.WriteString(conn, ok)
		}
	})
	c := newClient(t)
	var two sync.WaitGroup
	for range 2 {
		two.Go(func() { _, _, _ = c.post(t.Context(), s.endpoint()) })
	}
	// Each has a connection of its own before the first gets its answer.
	<-arrived
	<-arrived
	both <- true
	both <- true
	two.Wait()
	if _, _, err := c.post(t.Context(), s.endpoint()); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end of the connection", err)
	}
	if status, _, err := c.post(t.Context(), s.endpoint()); status != 200 || err != nil {
		t.Errorf("got %d %v", status, err)
	}
	if n := s.connections.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// TestUnfinishedBodies end their connections.
func TestUnfinishedBodies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begin func(*testing.T, context.CancelFunc, Answer)
		want  error
	}{
		"Closed":    {func(_ *testing.T, _ context.CancelFunc, a Answer) { _ = a.Body.Close() }, http.ErrBodyReadAfterClose},
		"Cancelled": {func(_ *testing.T, cancel context.CancelFunc, _ Answer) { cancel() }, context.Canceled},
		"CancelledThenWithin": {func(_ *testing.T, cancel context.CancelFunc, a Answer) {
			cancel()
			// Once the watch has cut the connection, a later deadline must not undo it.
			for n := a.Body.(*body).conn; n.raw.Read(func(uintptr) bool { return true }) == nil; {
				runtime.Gosched()
			}
			a.Body.Within(time.Minute)
		}, context.Canceled},
		"Late": {func(_ *testing.T, _ context.CancelFunc, a Answer) { a.Body.Within(10 * time.Millisecond) }, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal")
			client := newClient(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a, err := client.Send(ctx, time.Now().Add(time.Hour), s.endpoint(), nil, []byte("x"))
			if err != nil || a.Body == nil {
				t.Fatalf("got %+v %v", a, err)
			}
			c.begin(t, cancel, a)
			start := time.Now()
			if _, err := io.ReadAll(a.Body); !errors.Is(err, c.want) || time.Since(start) > patience {
				t.Errorf("got %v after %s, want %v", err, time.Since(start), c.want)
			}
			_ = a.Body.Close()
			select {
			case <-s.ended:
			case <-time.After(patience):
				t.Error("the connection is still open")
			}
		})
	}
}

// TestRequestsEnd wherever they hang: with their context, or at their deadline.
func TestRequestsEnd(t *testing.T) {
	t.Parallel()
	silent := func(t *testing.T) *target {
		return listen(t, func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	}
	for name, begin := range map[string]func(*testing.T) (*Client, *Endpoint){
		"Dial": func(t *testing.T) (*Client, *Endpoint) {
			c := newClient(t)
			c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
			return c, endpoint("http://host/")
		},
		"Handshake": func(t *testing.T) (*Client, *Endpoint) {
			c, e := newClient(t), endpoint("https://"+silent(t).Addr().String()+"/")
			c.Learn(e)
			return c, e
		},
		"Head": func(t *testing.T) (*Client, *Endpoint) { return newClient(t), silent(t).endpoint() },
		"HalfAHead": func(t *testing.T) (*Client, *Endpoint) {
			return newClient(t), answering(t, "HTTP/1.1 200 OK\r\nContent-").endpoint()
		},
		"Write": func(t *testing.T) (*Client, *Endpoint) {
			c := newClient(t)
			c.Dial = func(context.Context, string, string) (net.Conn, error) {
				// A pipe takes nothing that is not read.
				us, them := net.Pipe()
				t.Cleanup(func() { _ = them.Close() })
				return us, nil
			}
			return c, endpoint("http://host/")
		},
	} {
		t.Run(name+"/Deadline", func(t *testing.T) {
			t.Parallel()
			c, e := begin(t)
			if _, err := c.Send(t.Context(), time.Now().Add(20*time.Millisecond), e, nil, []byte("x")); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
		t.Run(name+"/Context", func(t *testing.T) {
			t.Parallel()
			c, e := begin(t)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			if _, err := c.Send(ctx, time.Now().Add(time.Hour), e, nil, []byte("x")); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestCancellingLeavesTheNextAlone cancels requests about when they end. Whoever gets the connection then must not be cut.
func TestCancellingLeavesTheNextAlone(t *testing.T) {
	t.Parallel()
	s := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		for read(r) {
			_, _ = io.WriteString(conn, ok)
		}
	})
	c := newClient(t)
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(rand.N(200*time.Microsecond), cancel)
				_, _, _ = c.post(ctx, s.endpoint())
				if status, body, err := c.post(t.Context(), s.endpoint()); err != nil || status != 200 || body != "ok" {
					t.Fatalf("got %d %q %v", status, body, err)
				}
				cancel()
			}
		})
	}
}

// TestCancelledAtTheEnd: an answer that is whole is good, but its connection may be cut at any moment.
func TestCancelledAtTheEnd(t *testing.T) {
	t.Parallel()
	s, c := answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), newClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	a, err := c.Send(ctx, time.Now().Add(patience), s.endpoint(), nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if body, err := io.ReadAll(a.Body); string(body) != "ok" || err != nil {
		t.Errorf("got %q %v", body, err)
	}
	if n := c.idle.take(s.endpoint().key); n != nil {
		t.Error("the connection is kept")
		n.abort()
	}
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	for name, endless := range map[string]string{"Header": "A: b\r\n", "Line": "xxxx", "Interim": "\r\nHTTP/1.1 100 Continue\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
				if read(r) {
					_, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n")
					for err == nil {
						_, err = io.WriteString(conn, endless)
					}
				}
			})
			_, _, err := newClient(t).post(t.Context(), s.endpoint())
			if err == nil || !strings.Contains(err.Error(), "exceeded 65536 bytes") && !strings.Contains(err.Error(), "too many 1xx") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestIdleConnectionsAreBounded in number, in time, and until they are closed.
func TestIdleConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	// hold makes so many requests at once.
	hold := func(t *testing.T, c *Client, n int) *target {
		var all, asked sync.WaitGroup
		asked.Add(n)
		s := listen(t, func(i int, conn net.Conn, r *bufio.Reader) {
			for first := true; read(r); first = false {
				if first {
					asked.Done()
					asked.Wait()
				}
				_, _ = io.WriteString(conn, ok)
			}
		})
		for range n {
			all.Go(func() {
				if _, _, err := c.post(context.Background(), s.endpoint()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		return s
	}
	end := func(t *testing.T, s *target, n int) {
		t.Helper()
		for range n {
			select {
			case <-s.ended:
			case <-time.After(patience):
				t.Fatal("a connection is still open")
			}
		}
	}
	kept := func(c *Client) int {
		c.idle.mu.Lock()
		defer c.idle.mu.Unlock()
		n := 0
		for x := c.idle.newest; x != nil; x = x.older {
			n++
		}
		below := 0
		for _, x := range c.idle.top {
			for ; x != nil; x = x.below {
				below++
			}
		}
		if n != c.idle.n || n != below {
			t.Errorf("%d in the list, %d by host, %d counted", n, below, c.idle.n)
		}
		return n
	}
	t.Run("Number", func(t *testing.T) {
		t.Parallel()
		c := newClient(t)
		c.IdleMax = 3
		first := hold(t, c, 2)
		second := hold(t, c, 5)
		end(t, first, 2) // the oldest make room, whoever's they are
		end(t, second, 2)
		if n := kept(c); n != 3 {
			t.Errorf("%d are kept, want 3", n)
		}
	})
	t.Run("Time", func(t *testing.T) {
		t.Parallel()
		c := newClient(t)
		c.IdleTimeout = 20 * time.Millisecond
		end(t, hold(t, c, 3), 3)
		end(t, hold(t, c, 2), 2) // the timer is set again
		if n := kept(c); n != 0 {
			t.Errorf("%d are kept", n)
		}
	})
	t.Run("CloseIdleConnections", func(t *testing.T) {
		t.Parallel()
		c := newClient(t)
		s := hold(t, c, 3)
		used, err := c.Send(t.Context(), time.Now().Add(patience), answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").endpoint(), nil, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		c.CloseIdleConnections()
		end(t, s, 3)
		// What was in use goes when it has ended.
		if body, err := io.ReadAll(used.Body); string(body) != "ok" || err != nil || kept(c) != 0 {
			t.Errorf("got %q %v, %d are kept", body, err, kept(c))
		}
	})
}

func TestLargeBodiesAndUnknownHostsAreForOthers(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	plain, secure := endpoint("http://host/"), endpoint("https://host/")
	for _, x := range []struct {
		e    *Endpoint
		size int
		want bool
	}{{plain, 1, true}, {plain, BodyMax, true}, {plain, BodyMax + 1, false}, {plain, 0, false}, {nil, 1, false}, {secure, 1, false}} {
		if got := c.Takes(x.e, x.size); got != x.want {
			t.Errorf("%v, %d bytes: got %v", x.e, x.size, got)
		}
	}
	c.Learn(secure)
	if !c.Takes(secure, 1) || c.Takes(endpoint("https://host:444/"), 1) {
		t.Error("what was learned is of one host and port")
	}
	for i := range 2 * knownMax {
		c.Learn(endpoint(fmt.Sprintf("https://host%d/", i)))
	}
	if n := len(c.known.hosts); n > knownMax {
		t.Errorf("%d hosts are remembered", n)
	}
}

// secure starts a TLS server and a client that trusts it.
func secure(t *testing.T, h2 bool, change ...func(*tls.Config)) (*httptest.Server, *Client, *Endpoint, *atomic.Int64) {
	requests := &atomic.Int64{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(w, r.Body)
	}))
	s.EnableHTTP2 = h2
	s.Config.ErrorLog = nil
	s.TLS = &tls.Config{}
	for _, f := range change {
		f(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	c := newClient(t)
	c.TLS.RootCAs = x509.NewCertPool()
	c.TLS.RootCAs.AddCert(s.Certificate())
	e := endpoint(s.URL + "/")
	c.Learn(e)
	return s, c, e, requests
}

func TestTLS(t *testing.T) {
	t.Parallel()
	t.Run("UsedAgain", func(t *testing.T) {
		t.Parallel()
		_, c, e, requests := secure(t, false)
		dials := 0
		dial := c.Dial
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials++
			return dial(ctx, network, address)
		}
		for range 5 {
			if status, body, err := c.post(t.Context(), e); status != 200 || body != "body" || err != nil {
				t.Fatalf("got %d %q %v", status, body, err)
			}
		}
		if dials != 1 || requests.Load() != 5 {
			t.Errorf("%d connections, %d requests", dials, requests.Load())
		}
	})
	t.Run("WrongName", func(t *testing.T) {
		t.Parallel()
		s, c, _, requests := secure(t, false)
		c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
		}
		other := endpoint("https://other.test/")
		c.Learn(other)
		var name x509.HostnameError
		if _, _, err := c.post(t.Context(), other); !errors.As(err, &name) || requests.Load() != 0 {
			t.Errorf("got %v after %d requests", err, requests.Load())
		}
	})
	t.Run("Untrusted", func(t *testing.T) {
		t.Parallel()
		_, c, e, requests := secure(t, false)
		c.TLS.RootCAs = x509.NewCertPool()
		var unknown x509.UnknownAuthorityError
		if _, _, err := c.post(t.Context(), e); !errors.As(err, &unknown) || requests.Load() != 0 {
			t.Errorf("got %v after %d requests", err, requests.Load())
		}
	})
	t.Run("TooOld", func(t *testing.T) {
		t.Parallel()
		_, c, e, requests := secure(t, false, func(cfg *tls.Config) { cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
		c.TLS.MinVersion = tls.VersionTLS13
		if _, _, err := c.post(t.Context(), e); err == nil || requests.Load() != 0 {
			t.Errorf("got %v after %d requests", err, requests.Load())
		}
	})
	t.Run("HTTP2", func(t *testing.T) {
		t.Parallel()
		_, c, e, requests := secure(t, true)
		if _, _, err := c.post(t.Context(), e); !errors.Is(err, ErrOther) || requests.Load() != 0 {
			t.Errorf("got %v after %d requests", err, requests.Load())
		}
		if c.Takes(e, 1) {
			t.Error("the host is still taken for one of HTTP/1.1")
		}
	})
	t.Run("PlainText", func(t *testing.T) {
		t.Parallel()
		s := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
			_, _ = r.Peek(1)
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		})
		c, e := newClient(t), endpoint("https://"+s.Addr().String()+"/")
		c.Learn(e)
		if _, _, err := c.post(t.Context(), e); !errors.Is(err, http.ErrSchemeMismatch) {
			t.Errorf("got %v", err)
		}
	})
	// More than one answer may come in what TLS unpacks at once, and wait there unseen by the system.
	t.Run("AnswersTwiceInOneRecord", func(t *testing.T) {
		t.Parallel()
		pair, c, _, _ := secure(t, false)
		body := strings.Repeat("x", 10_000)
		s := listen(t, func(_ int, conn net.Conn, _ *bufio.Reader) {
			server := tls.Server(conn, &tls.Config{Certificates: pair.TLS.Certificates, DynamicRecordSizingDisabled: true})
			for r := bufio.NewReader(server); read(r); {
				_, _ = fmt.Fprintf(server, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sHTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n", len(body), body)
			}
		})
		u, err := url.Parse("https://" + s.Addr().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		e := NewEndpoint(http.MethodPost, u)
		c.Learn(e)
		for range 3 {
			a, err := c.Send(t.Context(), time.Now().Add(patience), e, nil, []byte("x"))
			if err != nil || a.Status != 200 {
				t.Fatalf("got %+v %v", a, err)
			}
			// Read at once, past the buffer, what follows it stays with TLS.
			got := make([]byte, len(body))
			if _, err := io.ReadFull(a.Body, got); string(got) != body || err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
			if n, err := a.Body.Read(got); n != 0 || err != io.EOF {
				t.Fatalf("got %d more, %v", n, err)
			}
		}
		if n := s.connections.Load(); n != 3 {
			t.Errorf("%d connections, want 3", n)
		}
	})
}

// TestEarlyAnswer comes before the target has read the body, all of which is on its way.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	got := make(chan int64, 1)
	s := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		_, _ = io.WriteString(conn, ok)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		n, _ := io.Copy(io.Discard, req.Body)
		got <- n
		_, _ = r.Peek(1)
	})
	a, err := newClient(t).Send(t.Context(), time.Now().Add(patience), s.endpoint(), nil, make([]byte, BodyMax))
	if err != nil || a.Status != 200 {
		t.Fatalf("got %+v %v", a, err)
	}
	if n := <-got; n != BodyMax {
		t.Errorf("the target read %d bytes", n)
	}
}

// BenchmarkPost posts 500 bytes to a target in the same process.
func BenchmarkPost(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	c := &Client{Dial: (&net.Dialer{}).DialContext, IdleMax: 8, IdleTimeout: time.Hour, HeaderMax: 64 << 10}
	defer c.CloseIdleConnections()
	e, body := endpoint(s.URL), make([]byte, 500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Send(b.Context(), time.Now().Add(patience), e, []Field{{"Webhook-Id", "evt_1"}}, body); err != nil {
			b.Fatal(err)
		}
	}
}
