package hooktest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A TB is what the helpers need of a [testing.TB]. The package is part of the shipped program, which must not carry the
// testing package.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Options say what [Start] starts. The zero value is a receiver on a free port of 127.0.0.1 that answers 200.
type Options struct {
	// Addr is the address to listen on. Defaults to 127.0.0.1:0, a free port.
	Addr string

	// TLS makes it an https receiver with a certificate of its own, for 127.0.0.1, ::1 and localhost: [Receiver.CAs].
	TLS bool

	// Script answers the requests of paths that have no script of their own. Defaults to Always(OK()).
	Script Script

	// Keep is how many of the last requests are kept in memory. Defaults to all.
	Keep int

	// OnRequest, if not nil, is called with each request once it is recorded, one at a time and in order. It holds up
	// the answers, so it must be quick.
	OnRequest func(Request)
}

// A Receiver is a running receiver. Its methods may be called from several goroutines.
type Receiver struct {
	options Options
	addr    string // with the port that was given to us
	tls     *tls.Config
	cas     *x509.CertPool
	scheme  string

	order sync.Mutex // held from the question to the script until the request is recorded, so that both have one order

	mu        sync.Mutex // guards what follows
	server    *http.Server
	serving   chan struct{} // closed when server.Serve has returned
	scripts   map[string]Script
	otherwise Script
	requests  []Request // only ever appended to: what was handed out does not change
	forgotten int       // how many were dropped from its front
	next      int       // the number of the last request that Next returned
	arrived   chan struct{}
	released  chan struct{}
	closed    bool

	closing     chan struct{} // closed by Close: ends what hangs
	handlers    sync.WaitGroup
	inFlight    atomic.Int32
	connections atomic.Int64
}

// New starts a receiver for a test and closes it at the end. The script answers every request; left out, the answer is
// 200. Of several the last one counts.
func New(tb TB, script ...Script) *Receiver {
	tb.Helper()
	return newReceiver(tb, Options{Script: last(script)})
}

// NewTLS is [New] with https.
func NewTLS(tb TB, script ...Script) *Receiver {
	tb.Helper()
	return newReceiver(tb, Options{Script: last(script), TLS: true})
}

func newReceiver(tb TB, options Options) *Receiver {
	tb.Helper()
	r, err := Start(options)
	if err != nil {
		tb.Fatalf("hooktest: %v", err)
		return nil
	}
	tb.Cleanup(r.Close)
	return r
}

func last(scripts []Script) Script {
	if len(scripts) == 0 {
		return nil
	}
	return scripts[len(scripts)-1]
}

// Start starts a receiver. It must be closed with [Receiver.Close].
func Start(options Options) (*Receiver, error) {
	r := &Receiver{
		options:   options,
		addr:      options.Addr,
		scheme:    "http",
		scripts:   map[string]Script{},
		otherwise: options.Script,
		arrived:   make(chan struct{}),
		released:  make(chan struct{}),
		closing:   make(chan struct{}),
	}
	if r.addr == "" {
		r.addr = "127.0.0.1:0"
	}
	if r.otherwise == nil {
		r.otherwise = Always(OK())
	}
	if options.TLS {
		certificate, pool, err := selfSigned()
		if err != nil {
			return nil, fmt.Errorf("make a certificate: %w", err)
		}
		r.scheme, r.cas = "https", pool
		r.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	if err := r.Up(); err != nil {
		return nil, err
	}
	return r, nil
}

// URL is the address of a path, such as "/hooks", on this receiver.
func (r *Receiver) URL(path string) string { return r.scheme + "://" + r.addr + path }

// Addr is the host and port that it listens on.
func (r *Receiver) Addr() string { return r.addr }

// CAs is what a client of a TLS receiver must trust. It is nil without TLS.
func (r *Receiver) CAs() *x509.CertPool { return r.cas }

// Connections is how many connections were made so far.
func (r *Receiver) Connections() int { return int(r.connections.Load()) }

// Handle gives a path a script of its own, at any time. A nil script takes it away again.
func (r *Receiver) Handle(path string, script Script) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if script == nil {
		delete(r.scripts, path)
		return
	}
	r.scripts[path] = script
}

// HandleAll replaces the script of all paths that have none of their own, at any time.
func (r *Receiver) HandleAll(script Script) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.otherwise = script
}

// Release lets all answers go that hang now.
func (r *Receiver) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.released)
	r.released = make(chan struct{})
}

// Down breaks all connections and refuses new ones until [Receiver.Up]. What was recorded stays.
func (r *Receiver) Down() {
	r.mu.Lock()
	server, serving := r.server, r.serving
	r.server = nil
	r.mu.Unlock()
	if server != nil {
		_ = server.Close()
		<-serving
	}
}

// Up listens again, on the same port, after [Receiver.Down].
func (r *Receiver) Up() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("listen: the receiver is closed")
	}
	if r.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", r.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	r.addr = listener.Addr().String()
	if r.tls != nil {
		listener = tls.NewListener(listener, r.tls)
	}
	server := &http.Server{
		Handler:  http.HandlerFunc(r.serve),
		ErrorLog: log.New(io.Discard, "", 0), // clients that break off are what this is for
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, &connection{number: int(r.connections.Add(1))})
		},
	}
	serving := make(chan struct{})
	go func() {
		defer close(serving)
		_ = server.Serve(listener) // ends by Down or Close
	}()
	r.server, r.serving = server, serving
	return nil
}

// Close ends the receiver and everything that hangs in it. It may be called more than once.
func (r *Receiver) Close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.closing)
	}
	r.mu.Unlock()
	r.Down()
	r.handlers.Wait()
}

// connection is what is known of the connection of a request.
type connection struct {
	number   int
	requests atomic.Int32
}

type connectionKey struct{}

// maxBody bounds what is read of a request.
const maxBody = 256 << 20

// serve records one request and answers it.
func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	if !r.enter() {
		panic(http.ErrAbortHandler)
	}
	defer r.handlers.Done()
	got := Request{
		Method:   req.Method,
		Path:     req.URL.Path,
		Query:    req.URL.RawQuery,
		Host:     req.Host,
		Header:   req.Header,
		Remote:   req.RemoteAddr,
		At:       time.Now(),
		InFlight: int(r.inFlight.Add(1)),
	}
	defer r.inFlight.Add(-1)
	if c, ok := req.Context().Value(connectionKey{}).(*connection); ok {
		got.Connection = c.number
		got.Reused = c.requests.Add(1) > 1
	}
	got.Body, got.BodyErr = readBody(req)
	got.fromHeader()
	got.says = got.decoded()
	answer := r.record(&got)
	r.respond(w, req, answer)
}

// enter counts a handler that Close has to wait for.
func (r *Receiver) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.handlers.Add(1)
	return true
}

func readBody(req *http.Request) ([]byte, error) {
	if n := req.ContentLength; n >= 0 && n <= maxBody {
		body := make([]byte, n)
		read, err := io.ReadFull(req.Body, body)
		return body[:read], err
	}
	return io.ReadAll(io.LimitReader(req.Body, maxBody))
}

// record asks the script and appends the request.
func (r *Receiver) record(got *Request) Answer {
	r.order.Lock()
	defer r.order.Unlock()

	r.mu.Lock()
	script, ok := r.scripts[got.Path]
	if !ok {
		script = r.otherwise
	}
	got.Number = r.forgotten + len(r.requests) + 1
	r.mu.Unlock()

	answer := script(*got) // without mu: a script may ask the receiver what came before
	got.Answered = answer.status()

	r.mu.Lock()
	r.requests = append(r.requests, *got)
	if keep := r.options.Keep; keep > 0 && len(r.requests) > keep {
		r.requests = r.requests[1:]
		r.forgotten++
	}
	close(r.arrived)
	r.arrived = make(chan struct{})
	r.mu.Unlock()

	if r.options.OnRequest != nil {
		r.options.OnRequest(*got)
	}
	return answer
}
