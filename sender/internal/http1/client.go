package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// BodyMax is the largest body, in bytes, that a Client sends. With its headers it fits into what a target's system takes
// before the target reads, so that the answer of one that answers early and reads late is read.
const BodyMax = 32 << 10

// copied is the largest body that is copied behind its headers, to be one write with them: copies of larger ones, one for each
// request under way, would take more memory than the second write takes time.
const copied = 8 << 10

// Client makes requests. It may be used by many goroutines at once. Its fields must not be changed once it is used.
type Client struct {
	// Dial connects; it is asked for every connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is cloned for each connection. TLSHandshakeTimeout bounds its handshake, beside the request's deadline.
	TLS                 *tls.Config
	TLSHandshakeTimeout time.Duration
	// IdleMax is how many idle connections are kept in all, IdleTimeout for how long.
	IdleMax     int
	IdleTimeout time.Duration
	// HeaderMax bounds the headers of an answer, in bytes, with those of the interim answers before it.
	HeaderMax int64

	idle  idle
	known known
}

// ErrOther says that nothing was sent: the request is for another client.
var ErrOther = errors.New("the request is for another HTTP client")

// CloseIdleConnections closes the connections that nothing uses; those in use are closed after it.
func (c *Client) CloseIdleConnections() { c.idle.closeAll() }

// Learn says that a host answers https requests in HTTP/1.1. Until then, and again from the moment at which it chooses
// HTTP/2, its requests are for another client.
func (c *Client) Learn(e *Endpoint) {
	if e.scheme == "https" {
		c.known.learn(e.key)
	}
}

// Takes says whether a request with a body of so many bytes is made here, as far as one can tell before it is.
func (c *Client) Takes(e *Endpoint, body int) bool {
	return supported && e != nil && (body == 0) == e.get && body <= BodyMax && len(e.head) <= BodyMax && (e.scheme == "http" || c.known.has(e.key))
}

// Send makes a request. The body, which is empty for GET alone, is not used any more when it returns. It ends at the deadline, with
// context.DeadlineExceeded, and with ctx. Other errors are those of the connection, or of net/http's parser; ErrOther is
// for what Takes could not tell. With an error, the answer has only its Phases.
func (c *Client) Send(ctx context.Context, deadline time.Time, e *Endpoint, fields []Field, body []byte) (Answer, error) {
	if !c.Takes(e, len(body)) {
		return Answer{}, ErrOther
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	together := body
	var apart []byte
	if len(body) > copied {
		together, apart = nil, body
	}
	request, ok := e.appendRequest((*buf)[:0], fields, len(body), together)
	*buf = request
	if !ok {
		return Answer{}, ErrOther
	}
	for {
		if err := ctx.Err(); err != nil {
			return Answer{}, err
		}
		n := c.idle.take(e.key)
		if n == nil {
			var phases Phases
			var err error
			if n, phases, err = c.dial(ctx, deadline, e); err != nil {
				return Answer{Phases: phases}, err
			}
			n.phases = phases
		}
		if a, err := c.exchange(ctx, deadline, n, request, apart); !errors.Is(err, errNothingSent) {
			return a, err
		}
	}
}

// dial makes a connection, and says how long that took, also where it failed.
func (c *Client) dial(ctx context.Context, deadline time.Time, e *Endpoint) (*conn, Phases, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	watch := &Watch{}
	tcp, err := c.Dial(watch.Trace(ctx), "tcp", e.address)
	if err != nil {
		return nil, watch.Phases(), err
	}
	if e.scheme != "https" {
		return newConn(e.key, tcp, nil), watch.Phases(), nil
	}
	cfg := c.TLS.Clone()
	cfg.ServerName = e.name
	// As net/http offers them: a host that has come to speak HTTP/2 is to say so.
	cfg.NextProtos = []string{"h2", "http/1.1"}
	// A request is one write; small records would make many of it.
	cfg.DynamicRecordSizingDisabled = true
	secure := tls.Client(tcp, cfg)
	began := time.Now()
	err = c.handshake(ctx, secure)
	phases := watch.Phases()
	phases.TLS = time.Since(began)
	if err != nil {
		_ = tcp.Close()
		return nil, phases, err
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		c.known.forget(e.key)
		_ = secure.Close()
		return nil, phases, ErrOther
	}
	return newConn(e.key, tcp, secure), phases, nil
}

func (c *Client) handshake(ctx context.Context, secure *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, c.TLSHandshakeTimeout)
	defer cancel()
	err := secure.HandshakeContext(ctx)
	if e := (tls.RecordHeaderError{}); errors.As(err, &e) && string(e.RecordHeader[:]) == "HTTP/" {
		return http.ErrSchemeMismatch
	}
	return err
}

// knownMax bounds how many https hosts are remembered.
const knownMax = 10_000

// known are the https hosts that speak HTTP/1.1.
type known struct {
	mu    sync.RWMutex
	hosts map[key]struct{}
}

func (n *known) has(k key) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	_, ok := n.hosts[k]
	return ok
}

func (n *known) learn(k key) {
	if n.has(k) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	// All are learned again with their next request.
	if n.hosts == nil || len(n.hosts) >= knownMax {
		n.hosts = map[key]struct{}{}
	}
	n.hosts[k] = struct{}{}
}

func (n *known) forget(k key) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.hosts, k)
}
