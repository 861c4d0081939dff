package sender

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// tunnel is a proxy that takes CONNECT.
type tunnel struct {
	net.Listener
	secure bool
	// answer, when set, says what a request gets; "" connects.
	answer func(*http.Request) string

	mu       sync.Mutex
	requests []*http.Request
}

func newTunnel(t *testing.T, set ...func(*tunnel)) *tunnel {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tunnel{Listener: l}
	for _, s := range set {
		s(p)
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := p.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				p.serve(ctx, conn)
			})
		}
	})
	t.Cleanup(func() { stop(); _ = l.Close(); all.Wait() })
	return p
}

func (p *tunnel) url() secret.String {
	scheme := "http"
	if p.secure {
		scheme = "https"
	}
	return secret.String(scheme + "://user:hunter2@" + p.Addr().String())
}

func (p *tunnel) asked() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

func (p *tunnel) serve(ctx context.Context, conn net.Conn) {
	r := bufio.NewReader(conn)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.requests = append(p.requests, req)
	p.mu.Unlock()
	if p.answer != nil {
		switch text := p.answer(req); text {
		case "":
		case "close":
			return
		default:
			_, _ = io.WriteString(conn, text)
			return
		}
	}
	to, err := net.Dial("tcp", req.RequestURI)
	if err != nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer to.Close()
	defer context.AfterFunc(ctx, func() { _ = to.Close() })()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(conn, to); _ = conn.Close() })
	_, _ = io.Copy(to, r)
	_ = to.Close()
	back.Wait()
}

// TestProxy: what a proxy gets to see, and what it may do wrong.
func TestProxy(t *testing.T) {
	t.Parallel()
	text := func(s string) func(*http.Request) string { return func(*http.Request) string { return s } }
	for name, c := range map[string]struct {
		answer  func(*http.Request) string
		verdict Verdict
		reason  string
		detail  string
	}{
		"Connects":      {nil, Delivered, "", ""},
		"WrongPassword": {text("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"), Wait, ReasonProxy, "the egress proxy cannot be used: it answered 407"},
		"Forbidden":     {text("HTTP/1.1 403 Forbidden\r\n\r\n"), Retry, ReasonProxy, "the egress proxy answered 403"},
		"BadGateway":    {text("HTTP/1.1 502 Bad Gateway\r\n\r\n"), Retry, ReasonConnection, "the egress proxy could not connect: it answered 502"},
		"Unavailable":   {text("HTTP/1.1 503 \x1b[31m\r\n\r\n"), Retry, ReasonConnection, "the egress proxy could not connect: it answered 503"},
		"Timeout":       {text("HTTP/1.1 504 Gateway Timeout\r\n\r\n"), Retry, ReasonTimeout, "the egress proxy could not connect: it answered 504"},
		"Redirect":      {text("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n"), Retry, ReasonProxy, "the egress proxy answered 302"},
		"Garbage":       {text("SSH-2.0-OpenSSH\r\n"), Retry, ReasonProxy, "the egress proxy did not answer: invalid_response"},
		"Nothing":       {text("close"), Retry, ReasonProxy, "the egress proxy did not answer: connection_reset"},
		"EndlessHeader": {text("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), Retry, ReasonProxy, "the egress proxy did not answer: connection_reset"},
		"MoreThanThat":  {text("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Retry, ReasonProxy, "the egress proxy sent more than its answer"},
	} {
		eachClient(t, name, func(t *testing.T, through func(*target) *target) {
			r := hooktest.New(t)
			p := newTunnel(t, func(p *tunnel) { p.answer = c.answer })
			tg := testTarget(t, loopback, r.URL("/hook"))
			tg.client.through(Egress{Proxy: p.url()})
			out := through(tg).once(t.Context(), 20*time.Second)
			if out.Verdict != c.verdict || out.Reason != c.reason || out.Detail != c.detail || (out.After > 0) != (c.verdict == Wait) {
				t.Errorf("got %+v", out)
			}
			for _, req := range p.asked() {
				if req.Method != http.MethodConnect || req.RequestURI != r.Addr() || req.Host != r.Addr() ||
					req.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:hunter2")) || len(req.Header) != 1 {
					t.Errorf("the proxy was sent %s %s %v", req.Method, req.RequestURI, req.Header)
				}
			}
			if len(p.asked()) == 0 {
				t.Error("the proxy was not asked")
			}
			if n := len(r.Requests()); (n == 1) != (c.verdict == Delivered) {
				t.Errorf("%d requests arrived", n)
			}
			for _, req := range r.Requests() {
				if len(req.Header["Proxy-Authorization"])+len(req.Header["Proxy-Connection"])+len(req.Header["Via"]) > 0 {
					t.Errorf("the target was sent %v", req.Header)
				}
			}
		})
	}
}

// TestProxyAway: it is nobody's fault but ours, and says nothing of where the proxy is.
func TestProxyAway(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	plain := newTunnel(t)
	gone := newTunnel(t)
	_ = gone.Close()
	for name, c := range map[string]struct{ proxy, why string }{
		"Refused":   {"http://user:hunter2@" + gone.Addr().String(), "connection_refused"},
		"NoName":    {"http://user:hunter2@proxy.invalid:3128", "dns_error"},
		"NotTLS":    {"https://user:hunter2@" + plain.Addr().String(), "connection_reset"},
		"Untrusted": {"https://user:hunter2@" + newTunnel(t, withTLS(t, newAuthority(t))).Addr().String(), "tls_error"},
	} {
		eachClient(t, name, func(t *testing.T, through func(*target) *target) {
			tg := testTarget(t, loopback, r.URL("/"))
			tg.client.through(Egress{Proxy: secret.String(c.proxy)})
			out := through(tg).once(t.Context(), 20*time.Second)
			if out.Verdict != Wait || out.Reason != ReasonProxy || out.Detail != "the egress proxy cannot be used: "+c.why || out.After < proxyWait/2 {
				t.Errorf("got %+v", out)
			}
		})
	}
	t.Cleanup(func() {
		if n := r.Connections(); n != 0 {
			t.Errorf("%d connections were made past the proxy", n)
		}
	})
	// What cannot be read lets nothing out either.
	for name, e := range map[string]Egress{
		"URL": {Proxy: "socks5://hunter2@127.0.0.1:1"}, "CA": {CA: "hunter2"}, "Certificate": {Certificate: "hunter2", Key: "hunter2"},
	} {
		c := newClient(loopback, "rowhook/test", 4).through(e)
		_, err := newTarget(&subscriptions.Subscription{TargetURL: secret.String(r.URL("/")), Secrets: signing(specSecret)}, c, Envelope{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestProxyKeepsTheName: a proxy is asked for the address, and the target for its name; the connection is used again.
func TestProxyKeepsTheName(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	for name, c := range map[string]struct{ target, proxy, http2 bool }{
		"HTTP": {}, "HTTPS": {target: true}, "HTTP2": {target: true, http2: true}, "ProxyByTLS": {target: true, proxy: true}, "HTTPThroughTLS": {proxy: true},
	} {
		eachClient(t, name, func(t *testing.T, through func(*target) *target) {
			var mu sync.Mutex
			var hosts, names, from []string
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				mu.Lock()
				defer mu.Unlock()
				hosts, from = append(hosts, r.Host), append(from, r.RemoteAddr)
				if r.TLS != nil {
					names = append(names, r.TLS.ServerName)
				}
			}))
			scheme := "http"
			if c.target {
				scheme = "https"
				srv.TLS = &tls.Config{Certificates: []tls.Certificate{authority.certificate(t, "hooks.example")}}
				srv.EnableHTTP2 = c.http2
				srv.StartTLS()
			} else {
				srv.Start()
			}
			t.Cleanup(srv.Close)
			p := newTunnel(t, func(p *tunnel) {
				if c.proxy {
					withTLS(t, authority)(p)
				}
			})
			port := portOf(srv.Listener.Addr().String())
			c0 := newClient(loopback, "rowhook/test", 4).through(Egress{Proxy: p.url(), CA: authority.pem})
			t.Cleanup(c0.close)
			c0.reach.dialer.Resolver = resolver(t, always(addresses("127.0.0.1")))
			tg, err := newTarget(&subscriptions.Subscription{TargetURL: secret.String(scheme + "://hooks.example:" + port + "/"), Secrets: signing(specSecret)}, c0, Envelope{})
			if err != nil {
				t.Fatal(err)
			}
			if tg = through(tg); tg.endpoint != nil {
				c0.small.Learn(tg.endpoint)
			}
			for range 3 {
				if out := tg.once(t.Context(), 20*time.Second); out.Verdict != Delivered {
					t.Fatalf("got %+v", out)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for i, h := range hosts {
				if h != "hooks.example:"+port || c.target && names[i] != "hooks.example" {
					t.Errorf("the target was asked for %s, %v", h, names)
				}
				if from[i] != from[0] && !c.http2 {
					t.Error("a connection is not used again")
				}
			}
			for _, req := range p.asked() {
				if req.RequestURI != "127.0.0.1:"+port {
					t.Errorf("the proxy was asked for %s", req.RequestURI)
				}
			}
		})
	}
}

// TestTokensThroughTheProxy: the token endpoint is reached in the same way, and a proxy that fails then is no target that fails.
func TestTokensThroughTheProxy(t *testing.T) {
	t.Parallel()
	tokenURL, _ := endpoint(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"t"}`)
	})
	r := hooktest.New(t)
	var broken atomic.Bool
	p := newTunnel(t, func(p *tunnel) {
		p.answer = func(*http.Request) string {
			if broken.Load() {
				return "HTTP/1.1 407 No\r\n\r\n"
			}
			return ""
		}
	})
	tg := oauthTarget(t, r.URL("/"), tokenURL)
	tg.client.through(Egress{Proxy: p.url()})
	if out := tg.once(t.Context(), 20*time.Second); out.Verdict != Delivered {
		t.Errorf("got %+v", out)
	}
	if asked := p.asked(); len(asked) != 2 || "http://"+asked[0].RequestURI != tokenURL || asked[1].RequestURI != r.Addr() {
		t.Errorf("the proxy was asked for %v", asked)
	}
	broken.Store(true)
	tg.shape.tokens.refused("t")
	tg.client.close()
	if out := tg.once(t.Context(), 20*time.Second); out.Verdict != Wait || out.Reason != ReasonProxy {
		t.Errorf("got %+v", out)
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	a := authority{}
	a.cert, a.key, _ = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}, nil)
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	return a
}

// issue makes a certificate, signed by an authority or by itself.
func issue(t testing.TB, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signs := template, key
	if by != nil {
		parent, signs = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signs)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}
}

// certificate is one for a server, under a name and the address of this machine.
func (a *authority) certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	_, _, c := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, a)
	return c
}

// withTLS makes a proxy that is spoken to in TLS, with a certificate of the authority.
func withTLS(t *testing.T, a authority) func(*tunnel) {
	return func(p *tunnel) {
		p.secure = true
		p.Listener = tls.NewListener(p.Listener, &tls.Config{Certificates: []tls.Certificate{a.certificate(t, "proxy.example")}})
	}
}
