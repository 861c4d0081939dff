package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// conn is a connection. It belongs to one request, or to the idle ones.
type conn struct {
	// stream is what is read and written: that of TLS, or the one of the system, which tcp always is.
	stream, tcp net.Conn
	secure      *tls.Conn
	// raw is nil when it cannot be looked at: then it is used once.
	raw    syscall.RawConn
	key    key
	reused bool
	// phases are those of its making, until its first request has them.
	phases Phases
	// stop ends the watch on the context of the request that has it; cut is what the watch does.
	stop func() bool
	cut  func()
	// look is what quiet does; heard is what it found.
	look  func(fd uintptr)
	heard bool

	// Those of the idle ones: of all, by the time at which they came, and of the same host.
	since        time.Time
	newer, older *conn
	above, below *conn
}

func newConn(k key, tcp net.Conn, secure *tls.Conn) *conn {
	c := &conn{key: k, stream: tcp, tcp: tcp, secure: secure}
	if secure != nil {
		c.stream = secure
	}
	if s, ok := tcp.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn()
	}
	c.cut = func() { _ = c.tcp.SetDeadline(past) }
	c.look = func(fd uintptr) { c.heard = heard(fd) }
	return c
}

// past is a deadline that ends everything.
var past = time.Unix(1, 0)

// begin gives the connection to a request: it ends at the deadline, and with the context.
func (c *conn) begin(ctx context.Context, deadline time.Time) error {
	if err := c.tcp.SetDeadline(deadline); err != nil {
		return err
	}
	c.stop = context.AfterFunc(ctx, c.cut)
	return nil
}

// quiet says that nothing has come on an idle connection, not even its end.
func (c *conn) quiet() bool {
	c.heard = true
	return c.raw.Control(c.look) == nil && !c.heard
}

// clean says that TLS has nothing that was not asked for: it may have read more than one answer.
func (c *conn) clean() bool {
	if c.secure == nil {
		return true
	}
	// With a deadline that is over, only what is in memory already is returned. TLS forgives a timeout of a read.
	_ = c.tcp.SetReadDeadline(past)
	var one [1]byte
	n, err := c.secure.Read(one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// abort closes the connection at once. TLS would wait for a goodbye to be written.
func (c *conn) abort() { _ = c.tcp.Close() }

// close closes a connection whose last answer was whole.
func (c *conn) close() { _ = c.stream.Close() }
