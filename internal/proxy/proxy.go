package proxy

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a Proxy needs. Nothing of it may be changed afterwards.
type Config struct {
	// App is where the application is: scheme and host. A path in it is not used.
	App *url.URL
	// Ours says whether a path, as it is when nothing in it is encoded, is answered by API. It is called from many goroutines.
	Ours func(path string) bool
	// API answers the paths that are Ours.
	API http.Handler
	// Before, when set, sees every request before it is answered or passed on, and may change its headers.
	Before func(*http.Request)
	// TrustedNetworks are those of gateways: what they say of whom they ask for is passed on, what others say is not.
	TrustedNetworks []netip.Prefix
	// Log is told when the application goes away and comes back. Nil is none.
	Log *slog.Logger
}

// Proxy passes requests on. Its methods may be called from any goroutine.
type Proxy struct {
	config    Config
	log       *slog.Logger
	transport *http.Transport
	direct    *direct // nil for an application behind TLS
	// reverse is what every request has a copy of.
	reverse httputil.ReverseProxy
	// away says that the application was not reached when it was last tried, so that this is told once.
	away atomic.Bool
}

const (
	// connectTimeout is how long the application may take to accept a connection.
	connectTimeout = 10 * time.Second
	// keepIdle is how long a connection to the application is kept for the next request. An application that closes its
	// own earlier is noticed at once.
	keepIdle = 90 * time.Second
	// idleConnections are kept to the application at most.
	idleConnections = 1024
	// A request whose head has not come after headTimeout is given up; a client may keep a connection for clientIdle between
	// two requests, which is longer than gateways do: who closes last never meets a request on its way.
	headTimeout = 30 * time.Second
	clientIdle  = 3 * time.Minute
	// What the API's own listener allows a request and its answer.
	apiReadTimeout  = 30 * time.Second
	apiWriteTimeout = 60 * time.Second
	// maxHead bounds the headers of requests, and of the application's answers, in bytes.
	maxHead = 1 << 20
)

// New makes a proxy of the config.
func New(c Config) *Proxy {
	p := &Proxy{config: c, log: c.Log}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	p.transport = &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1, also over TLS
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idleConnections,
		IdleConnTimeout:        keepIdle,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHead,
	}
	if c.App != nil && c.App.Scheme == "http" {
		p.direct = &direct{addr: hostPort(c.App), dialer: dialer}
	}
	p.reverse = httputil.ReverseProxy{
		Rewrite:       p.rewrite,
		Transport:     p.transport,
		FlushInterval: -1,
		BufferPool:    &buffers{},
		ErrorHandler:  p.failed,
		ErrorLog:      slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	return p
}

// Server returns a server of the proxy. It bounds the time that a request's head takes, and nothing that streams or polls
// would feel. The caller starts and stops it.
func (p *Proxy) Server() *http.Server { return NewServer(p, p.log) }

// NewServer is Server for a handler that leads to a proxy.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            headTimeout,
		IdleTimeout:                  clientIdle,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true,
		Protocols:                    &protocols,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Close closes the connections to the application that no request uses.
func (p *Proxy) Close() {
	p.transport.CloseIdleConnections()
	p.direct.closeIdle()
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// ServeHTTP answers a request, or passes it on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 {
		// net/http hands on how HTTP/2 begins, for handlers that speak it.
		w.Header().Set("Connection", "close")
		Problem(w, http.StatusHTTPVersionNotSupported, "this proxy speaks HTTP/1.1: what stands before it has to, too")
		return
	}
	if p.config.Before != nil {
		p.config.Before(r)
	}
	if r.Method == http.MethodConnect {
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		Problem(w, http.StatusMethodNotAllowed, "CONNECT asks for a tunnel, which this proxy does not make")
		return
	}
	if lastOn(r) {
		w.Header().Set("Connection", "close")
	}
	switch p.whose(r) {
	case ours:
		c := http.NewResponseController(w)
		now := time.Now()
		// What is not supported is not needed: only a test's recorder lacks it.
		_, _ = c.SetReadDeadline(now.Add(apiReadTimeout)), c.SetWriteDeadline(now.Add(apiWriteTimeout))
		p.config.API.ServeHTTP(w, r)
	case doubtful:
		Problem(w, http.StatusBadRequest, "this path can be read in two ways, and only one of them is of the subscription API: "+
			`write it without "//", ".", "..", ";", "\" and percent-encoded letters`)
	case theirs:
		p.pass(w, r)
	}
}

// lastOn says that a request is to be the last on its connection: where it ends may have been seen otherwise by who passed it
// on. A gateway could have gone by a Content-Length beside the chunks, which net/http takes out, or by chunks in HTTP/1.0,
// where net/http knows none. What it takes for the rest of the body would be the next request to us.
// https://www.rfc-editor.org/rfc/rfc9112#section-6.1
func lastOn(r *http.Request) bool { return r.ProtoMinor == 0 || len(r.TransferEncoding) > 0 }

// rewrite makes what the application gets of what the client sent.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	out.URL.Scheme, out.URL.Host, out.URL.User = p.config.App.Scheme, p.config.App.Host, nil
	// ReverseProxy writes queries that it does not understand anew, and url.URL paths.
	out.URL.RawQuery = in.URL.RawQuery
	if target, _, _ := strings.Cut(in.RequestURI, "?"); strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "//") {
		out.URL.Opaque = target
	}
	out.Trailer = in.Trailer
	forgetAlike(out.Header)
	p.forward(in, out)
	if !safe(out.Method) {
		// Transport takes these for a permission to send a request again that the application may have begun. It looks for
		// the canonical name only.
		for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
			if values, ok := out.Header[name]; ok {
				delete(out.Header, name)
				out.Header[strings.ToLower(name)] = values
			}
		}
	}
}

func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// buffers are those that bodies of answers pass through.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get and Put implement httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }
