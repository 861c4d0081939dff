package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rowhook/rowhook/internal/identity"
)

// TestRefusedBodies is an application that answers before a body that the client still asks about: what comes next on the
// connection could be the body or the next request, so nothing may come next.
func TestRefusedBodies(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusExpectationFailed)
	})
	f := start(t, app)
	c := dial(t, f.addr)
	const second = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
	io.WriteString(c, "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\nExpect: 100-continue\r\n\r\n")
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != http.StatusExpectationFailed {
		t.Fatalf("%v, %v", r, err)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.Fatal(err)
	}
	if !r.Close {
		t.Errorf("the connection is not said to end: the client may send its next request, and %d bytes of that are taken for the body", len(second))
	}
}

// TestTrailersAreNoWayAround lets nobody say in a trailer who calls.
func TestTrailersAreNoWayAround(t *testing.T) {
	t.Parallel()
	callers, err := identity.New(identity.Config{Header: &identity.Header{Name: "X-Account-Id", From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, announced := range []string{"", "Trailer: X-Account-Id\r\n", "Trailer: X-Sum\r\n"} {
		app := startRaw(t)
		f := start(t, app.addr, func(c *Config) { c.Before = callers.Strip })
		ask(t, f.addr, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"+announced+"\r\n5\r\nhello\r\n0\r\nX-Account-Id: 42\r\nX_Account_Id: 42\r\nX-Sum: 7\r\n\r\n")
		got := app.next(t)
		if strings.Contains(got, "42") {
			t.Errorf("%q: arrived %q", announced, got)
		}
		if !strings.Contains(got, "X-Sum: 7") {
			t.Errorf("%q: arrived %q", announced, got)
		}
	}
}

// TestNoTunnelOfHTTP keeps requests from passing by the proxy in a connection that became one of HTTP/2.
func TestNoTunnelOfHTTP(t *testing.T) {
	t.Parallel()
	for _, upgrade := range []string{"h2c", "H2C", "h2c, websocket", "websocket, h2c", "HTTP/2.0", "TLS/1.2, HTTP/1.1"} {
		app := startRaw(t)
		f := start(t, app.addr)
		ask(t, f.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: "+upgrade+"\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n")
		got := strings.ToLower(app.next(t))
		if strings.Contains(got, "\r\nupgrade:") || strings.Contains(got, "\r\nconnection:") || strings.Contains(got, "http2-settings") {
			t.Errorf("%q: arrived %q", upgrade, got)
		}
	}
}

// TestForwardedLookAlikes are headers that CGI and WSGI take for those that the proxy sets.
func TestForwardedLookAlikes(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST"} {
		app := startRaw(t)
		f := start(t, app.addr)
		ask(t, f.addr, method+" / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 10.1.1.1\r\nX-Forwarded_Proto: https\r\nx.forwarded-host: evil.example\r\nX_Kept: 1\r\n\r\n")
		got := app.next(t)
		for _, forged := range []string{"10.1.1.1", "https", "evil.example"} {
			if strings.Contains(got, forged) {
				t.Errorf("%s: arrived %q", method, got)
				break
			}
		}
		if !strings.Contains(got, "X_kept: 1") && !strings.Contains(got, "X_Kept: 1") {
			t.Errorf("%s: arrived %q", method, got)
		}
	}
}

// TestOldClientsHearNothingEarly is a client, or a gateway, of HTTP/1.0: it takes the first thing that comes for the answer.
func TestOldClientsHearNothingEarly(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"GET / HTTP/1.0\r\n\r\n", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
		"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"} {
		app := startRaw(t)
		app.answers("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		f := start(t, app.addr)
		answer := askAll(t, f.addr, request)
		if !strings.HasPrefix(answer, "HTTP/1.0 200 ") || !strings.HasSuffix(answer, "\r\n\r\nhi") {
			t.Errorf("%q: %q", request, answer)
		}
		if got := app.next(t); strings.Contains(got, "Upgrade") {
			t.Errorf("%q: arrived %q", request, got)
		}
	}
}

// TestTheLogQuotesNobody tells of an answer that is no HTTP without what stands in it.
func TestTheLogQuotesNobody(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"HTTP/1.1 200 OK\r\nSet-Cookie session=hunter2\r\n\r\n", "hunter2\r\n\r\n", "HTTP/1.1 hunter2 OK\r\n\r\n", "HTTP/hunter2 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: hunter2\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: hunter2\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\nhunter2\r\n\r\n",
		"HTTP/1.1 200 OK\r\n hunter2: x\r\n\r\n"} {
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"} {
			app := startRaw(t)
			app.answers(answer)
			var lines bytes.Buffer
			f := start(t, app.addr, func(c *Config) {
				c.Log = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			if got := ask(t, f.addr, request); !strings.HasPrefix(got, "HTTP/1.1 502 ") || strings.Contains(got, "hunter2") {
				t.Errorf("%q: %q", answer, got)
			}
			if !strings.Contains(lines.String(), "level=WARN") || strings.Contains(lines.String(), "hunter2") {
				t.Errorf("%q: the log says %s", answer, lines.String())
			}
		}
	}
}

// TestNoStatus is an application that answers with a status that net/http does not write.
func TestNoStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"000", "099"} {
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"} {
			app := startRaw(t)
			app.answers("HTTP/1.1 " + status + " None\r\nContent-Length: 0\r\n\r\n")
			f := start(t, app.addr)
			if got := ask(t, f.addr, request); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
				t.Errorf("%s: %q", status, got)
			}
		}
	}
}

// TestClient is who asks through gateways.
func TestClient(t *testing.T) {
	t.Parallel()
	p := New(Config{TrustedNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}})
	for _, c := range []struct {
		peer string
		said []string
		want string
	}{
		{"203.0.113.9:1", nil, "203.0.113.9"},
		{"203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"192.0.2.66, 198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"192.0.2.66", "198.51.100.1 , 10.0.0.2"}, "198.51.100.1"},
		{"[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"198.51.100.1, what"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.said}}
		if got := p.Client(r); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.peer, c.said, got, c.want)
		}
	}
}

// TestEarlyAnswers are given before the body has come: nothing else may come on that connection, where net/http would break
// off what does.
func TestEarlyAnswers(t *testing.T) {
	t.Parallel()
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	go func() {
		for {
			c, err := app.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nhi")
					io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	var lines lockedLines
	f := start(t, app.Addr().String(), func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for range 20 {
		c := dial(t, f.addr)
		io.WriteString(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
		in := bufio.NewReader(c)
		r, err := http.ReadResponse(in, nil)
		if err != nil || r.StatusCode != 401 {
			t.Fatalf("%v, %v", r, err)
		}
		if body, err := io.ReadAll(r.Body); string(body) != "hi" || err != nil {
			t.Fatalf("%q, %v", body, err)
		}
		if !r.Close {
			t.Error("the connection is not said to end")
		}
		io.WriteString(c, "67890GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
		if rest, err := io.ReadAll(in); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
			t.Errorf("behind the last answer: %q, %v", rest, err)
		}
	}
	if strings.Contains(lines.String(), "panic") {
		t.Errorf("the log says %s", lines.String())
	}
}

// lockedLines is a log that several goroutines write.
type lockedLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
