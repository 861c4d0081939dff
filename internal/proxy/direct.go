package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"
)

// direct asks the application without goroutines of its own: the one that serves the client writes the request and reads
// the answer. http.Transport has two more for each connection, and what passes between them costs as much as all else that
// a proxy does for a small request. Requests with a body, upgrades and TLS are left to it: there, both directions have to
// move at once.
type direct struct {
	addr   string
	dialer *net.Dialer

	mu       sync.Mutex
	idle     []*appConn // the one that was used last is at the end
	sweeping bool
}

// takes says whether a request is one that direct can do.
func (d *direct) takes(r *http.Request) bool {
	if d == nil || r.ContentLength != 0 || r.Body != nil && r.Body != http.NoBody {
		return false
	}
	return r.Header["Upgrade"] == nil && r.Header["Expect"] == nil
}

// appConn is a connection to the application.
type appConn struct {
	net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
	left int64     // what may still be read of a head
	used time.Time // when it became idle
}

var errHeadTooLarge = errors.New("the headers of its answer are larger than 1 MiB")

// Read bounds what a head may have.
func (c *appConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeadTooLarge
	}
	n, err := c.Conn.Read(b)
	c.left -= int64(n)
	return n, err
}

const unbounded = 1<<63 - 1

// get returns a connection that the application has not closed, and whether it was used before. Fresh asks for a new one.
func (d *direct) get(ctx context.Context, fresh bool) (c *appConn, used bool, err error) {
	for !fresh {
		d.mu.Lock()
		n := len(d.idle)
		if n == 0 {
			d.mu.Unlock()
			break
		}
		c, d.idle[n-1] = d.idle[n-1], nil
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		if stillOpen(c.Conn) {
			return c, true, nil
		}
		_ = c.Close()
	}
	conn, err := d.dialer.DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, false, err
	}
	c = &appConn{Conn: conn}
	c.in, c.out = bufio.NewReaderSize(c, 4<<10), bufio.NewWriterSize(conn, 4<<10)
	return c, false, nil
}

// put keeps a connection for the next request.
func (d *direct) put(c *appConn) {
	c.used = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) >= idleConnections {
		_ = c.Close()
		return
	}
	d.idle = append(d.idle, c)
	if !d.sweeping {
		d.sweeping = true
		time.AfterFunc(keepIdle, d.sweep)
	}
}

// sweep closes connections that nobody has used for long.
func (d *direct) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, now := 0, time.Now()
	for old < len(d.idle) && now.Sub(d.idle[old].used) >= keepIdle {
		_ = d.idle[old].Close()
		old++
	}
	d.idle = append(d.idle[:0], d.idle[old:]...)
	if d.sweeping = len(d.idle) > 0; d.sweeping {
		time.AfterFunc(keepIdle-now.Sub(d.idle[0].used), d.sweep)
	}
}

// closeIdle closes all connections that no request uses.
func (d *direct) closeIdle() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle {
		_ = c.Close()
	}
	d.idle = nil
}

// errNoAnswer is a connection that ended before the first byte of an answer.
type errNoAnswer struct{ error }

func (e errNoAnswer) Unwrap() error { return e.error }

// roundTrip asks. Before the answer's body is waited for, flush sends the client what has come.
func (d *direct) roundTrip(r *http.Request, flush func()) (*http.Response, error) {
	for fresh := false; ; fresh = true {
		c, used, err := d.get(r.Context(), fresh)
		if err != nil {
			return nil, err
		}
		// A client that goes takes the request with it.
		stop := context.AfterFunc(r.Context(), func() { _ = c.Close() })
		res, err := c.ask(r)
		if err != nil {
			stop()
			_ = c.Close()
			var none errNoAnswer
			if used && safe(r.Method) && errors.As(err, &none) && r.Context().Err() == nil {
				continue // it was closed while the request was on its way
			}
			return nil, err
		}
		b := &appBody{ReadCloser: res.Body, pool: d, conn: c, stop: stop, flush: flush, reuse: !res.Close}
		if res.Body == http.NoBody {
			b.end(true)
			return res, nil
		}
		res.Body = b
		return res, nil
	}
}

// ask writes a request and reads the head of its answer.
func (c *appConn) ask(r *http.Request) (*http.Response, error) {
	c.left = maxHead
	if err := r.Write(c.out); err != nil {
		return nil, errNoAnswer{err}
	}
	if err := c.out.Flush(); err != nil {
		return nil, errNoAnswer{err}
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, errNoAnswer{err}
	}
	for {
		res, err := http.ReadResponse(c.in, r)
		if err != nil {
			return nil, err
		}
		switch {
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("it switched protocols, which nobody asked for")
		case res.StatusCode >= 200 || res.StatusCode < 100:
			c.left = unbounded
			return res, nil
		}
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
		}
	}
}

// appBody is the body of an answer. It belongs to one goroutine.
type appBody struct {
	io.ReadCloser
	pool  *direct
	conn  *appConn // nil when it has ended
	stop  func() bool
	flush func()
	reuse bool
}

func (b *appBody) Read(p []byte) (int, error) {
	if b.conn == nil {
		return 0, io.EOF
	}
	if b.conn.in.Buffered() == 0 {
		b.flush()
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.end(true)
	}
	return n, err
}

// Close ends the connection if the body was not read to its end.
func (b *appBody) Close() error {
	b.end(false) // first: else the rest of it is read
	return b.ReadCloser.Close()
}

// end gives the connection back, if it is at the end of an answer and of what was sent.
func (b *appBody) end(whole bool) {
	c := b.conn
	if c == nil {
		return
	}
	b.conn = nil
	if b.stop() && whole && b.reuse && c.in.Buffered() == 0 {
		b.pool.put(c)
		return
	}
	_ = c.Close()
}
