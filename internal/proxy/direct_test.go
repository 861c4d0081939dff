package proxy

import (
	"bufio"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// scripted is an application that answers the requests of each connection with these bytes, one after the other, and
// closes it. Closed hears of each.
func scripted(t *testing.T, closed chan<- struct{}, answers ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				c.SetDeadline(time.Now().Add(patience))
				in := bufio.NewReader(c)
				for _, answer := range answers {
					r, err := http.ReadRequest(in)
					if err != nil {
						break
					}
					io.Copy(io.Discard, r.Body)
					io.WriteString(c, strings.ReplaceAll(answer, "PATH", r.URL.Path))
				}
				c.Close()
				closed <- struct{}{}
			}()
		}
	}()
	return l.Addr().String()
}

// TestClosedConnections are noticed before a request is lost on them, also one that may not be sent twice.
func TestClosedConnections(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 1)
	f := start(t, scripted(t, closed, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	for i := range 20 {
		if answer := ask(t, f.addr, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
			t.Fatalf("request %d: %q", i, answer)
		}
		wait(t, "the application to close", closed)
	}
}

// TestAnswersStayApart has an application say more than it was asked: nobody else gets it.
func TestAnswersStayApart(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Path: PATH\r\n\r\nfirst"
	for name, answer := range map[string]string{
		"a second answer": ok + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Path: /evil\r\n\r\nevil",
		"a longer body":   ok + "evil",
		"of no body":      "HTTP/1.1 204 No Content\r\nX-Path: PATH\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Path: /evil\r\n\r\nevil",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{}, 100)
			f := start(t, scripted(t, closed, answer, answer, answer))
			for i := range 5 {
				path := fmt.Sprintf("/%d", i)
				got := ask(t, f.addr, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
				if !strings.Contains(got, "X-Path: "+path+"\r\n") || strings.Contains(got, "evil") {
					t.Errorf("%s: %q", path, got)
				}
			}
		})
	}
}

// TestConnectionsAreKept asks many times, from many clients, over few connections.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	opened := make(chan struct{}, 1000)
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.WriteHeader(304)
		case "/chunked":
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, "b")
	}))
	app.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened <- struct{}{}
		}
	}
	app.Start()
	t.Cleanup(app.Close)
	f := start(t, app.Listener.Addr().String())
	for range 5 {
		for _, line := range []string{"GET /", "HEAD /", "GET /204", "GET /304", "GET /chunked", "POST /", "OPTIONS *"} {
			ask(t, f.addr, line+" HTTP/1.1\r\nHost: a\r\n\r\n")
		}
	}
	// The answer is with the client a moment before its connection is free.
	if n := len(opened); n > 5 {
		t.Errorf("%d connections for 35 requests, one after the other", n)
	}
	f.Close()
	if n := len(f.direct.idle); n != 0 {
		t.Errorf("%d are left after Close", n)
	}
}

// TestOldConnectionsAreClosed does in a moment what takes keepIdle.
func TestOldConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	d := &direct{}
	var ours, theirs []net.Conn
	for i := range 3 {
		a, b := net.Pipe()
		ours, theirs = append(ours, a), append(theirs, b)
		d.put(&appConn{Conn: a})
		d.idle[i].used = time.Now().Add(time.Duration(i-2) * keepIdle)
	}
	d.sweep()
	if len(d.idle) != 1 || d.idle[0].Conn != ours[2] || !d.sweeping {
		t.Fatalf("%d are left, sweeping: %v", len(d.idle), d.sweeping)
	}
	for i, c := range theirs {
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); (err == io.EOF) != (i < 2) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	d.idle[0].used = time.Now().Add(-keepIdle)
	if d.sweep(); len(d.idle) != 0 || d.sweeping {
		t.Errorf("%d are left, sweeping: %v", len(d.idle), d.sweeping)
	}
}

// TestHeadsAreBounded refuses an application whose headers do not end.
func TestHeadsAreBounded(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 1)
	for _, answer := range []string{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 4096)+"\r\n\r\n", 500)} {
		f := start(t, scripted(t, closed, answer))
		if got := ask(t, f.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.Contains(got, "HTTP/1.1 502 ") || !strings.Contains(got, "more than 1 MiB") {
			t.Errorf("%d bytes: ... %q", len(got), got[max(0, len(got)-400):])
		}
	}
}

// TestOverTLS asks an application behind TLS, in HTTP/1.1, and tells of a certificate that is wrong.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto+" "+r.Host) }))
	app.EnableHTTP2 = true
	app.StartTLS()
	t.Cleanup(app.Close)
	secure := func(c *Config) {
		c.App = &url.URL{Scheme: "https", Host: app.Listener.Addr().String()}
	}
	f := start(t, "unused", secure)
	if a := get(t, f, "/"); a.Status != 502 || !strings.Contains(a.Detail, "certificate that is not valid") {
		t.Errorf("%+v", a)
	}
	roots := x509.NewCertPool()
	roots.AddCert(app.Certificate())
	f = start(t, "unused", secure)
	f.transport.TLSClientConfig.RootCAs = roots
	if answer := ask(t, f.addr, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"); !strings.HasSuffix(answer, "HTTP/1.1 shop.example") {
		t.Errorf("%q", answer)
	}
}
