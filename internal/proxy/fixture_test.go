package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of a test.
const patience = 2 * time.Minute

const base = "/api/v1"

// isOurs is what the tests' subscription API has.
func isOurs(path string) bool {
	return path == base+"/subscription" || strings.HasPrefix(path, base+"/subscription/")
}

// front is a proxy with a server before it.
type front struct {
	*Proxy
	addr string
}

// start starts a proxy before the application at the address.
func start(t *testing.T, app string, with ...func(*Config)) *front {
	t.Helper()
	u, err := url.Parse("http://" + app)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{App: u, Ours: isOurs, API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("By", "api")
		fmt.Fprintf(w, "ours: %s %s", r.Method, r.URL.Path)
	})}
	for _, f := range with {
		f(&c)
	}
	p := New(c)
	s := httptest.NewUnstartedServer(nil)
	s.Config = p.Server()
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close(); p.Close() })
	return &front{Proxy: p, addr: s.Listener.Addr().String()}
}

func trusting(networks ...string) func(*Config) {
	return func(c *Config) {
		for _, n := range networks {
			c.TrustedNetworks = append(c.TrustedNetworks, netip.MustParsePrefix(n))
		}
	}
}

func (f *front) url(path string) string { return "http://" + f.addr + path }

// dial opens a connection whose waits are bounded.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// rawApp is an application that records the bytes of every request and answers with bytes.
type rawApp struct {
	addr string
	got  chan string

	mu     sync.Mutex
	answer string
}

const fine = "HTTP/1.1 204 No Content\r\n\r\n"

func startRaw(t *testing.T) *rawApp {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &rawApp{addr: l.Addr().String(), got: make(chan string, 100), answer: fine}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				var raw bytes.Buffer
				in := bufio.NewReader(io.TeeReader(c, &raw))
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						if raw.Len() > 0 {
							a.got <- raw.String()
						}
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						a.got <- raw.String()
						return
					}
					a.got <- raw.String()
					raw.Reset()
					a.mu.Lock()
					answer := a.answer
					a.mu.Unlock()
					if _, err := io.WriteString(c, answer); err != nil || strings.Contains(answer, "Connection: close") {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close() })
	return a
}

func (a *rawApp) answers(raw string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = raw
}

// next is the next request that came.
func (a *rawApp) next(t *testing.T) string {
	t.Helper()
	select {
	case r := <-a.got:
		return r
	case <-time.After(patience):
		t.Fatal("no request came")
		return ""
	}
}

// ask sends a request as raw bytes on a connection of its own, and reads the bytes of its answer. The connection stays open
// meanwhile: one that is closed for writing is that of a client who has gone.
func ask(t *testing.T, addr, raw string) string {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	var answer bytes.Buffer
	in := bufio.NewReader(io.TeeReader(c, &answer))
	for {
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("read the answer: %v, after %q", err, answer.String())
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatalf("read the answer's body: %v, after %q", err, answer.String())
		}
		if r.StatusCode >= 200 {
			return answer.String()
		}
	}
}

// askAll is ask for several requests, the last of which ends the connection.
func askAll(t *testing.T, addr, raw string) string {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(c)
	if err != nil && len(answers) == 0 {
		t.Fatalf("read the answers: %v", err)
	}
	return string(answers)
}

// message is a request or answer with its header lines sorted: their order is not kept.
func message(raw string) string {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	for i, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		lines[i+1] = strings.ToLower(name) + ":" + value
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n") + "\n\n" + body
}
