//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// server is the receiver's HTTP/1.1: a loop for each connection that reads a request by its Content-Length and writes an
// answer that was made before. It shares the processors with what is measured, and Go's own server needs about twice as
// much of them. What it does not know it refuses, and tells of: chunked bodies, Expect, other versions.
type server struct {
	state atomic.Pointer[receiverState]

	mu   sync.Mutex
	open map[net.Conn]struct{}
	wg   sync.WaitGroup
}

// serve takes connections until the listener is closed, and returns when all of them have ended.
func (s *server) serve(l net.Listener) {
	defer s.wg.Wait()
	defer s.close()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.open == nil {
			s.open = map[net.Conn]struct{}{}
		}
		s.open[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			guest := connection{server: s, conn: c, buf: make([]byte, firstBuffer)}
			guest.serve()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
			_ = c.Close()
		})
	}
}

// close ends all connections.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close()
	}
}

const (
	firstBuffer = 8 << 10
	// maxHead and maxBody bound a request. The benchmark's have some 700 bytes each.
	maxHead = 64 << 10
	maxBody = 16 << 20
)

// connection is one of a client's. What has been read and not been used is buf[from:to].
type connection struct {
	server   *server
	conn     net.Conn
	buf      []byte
	from, to int

	// The target of the last request, which most often is that of the next.
	state  *receiverState
	path   []byte
	target *target
}

// refusal is a request that the server does not understand, with the status that says so.
type refusal struct {
	status string
	why    string
}

func (r *refusal) Error() string { return r.why }

// serve answers until the client ends, or sends what is refused.
func (c *connection) serve() {
	for {
		last, err := c.next()
		var refused *refusal
		if errors.As(err, &refused) {
			c.server.state.Load().refuse(refused.why)
			fmt.Fprintf(c.conn, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", refused.status)
		}
		if err != nil || last {
			return
		}
	}
}

// next reads a request whole, notes it, and answers. Last says that the client wants no more.
func (c *connection) next() (last bool, err error) {
	head, err := c.head()
	if err != nil {
		return false, err
	}
	r, err := parseHead(head)
	if err != nil {
		return false, err
	}
	// A run that began in between has manners of its own.
	if state := c.server.state.Load(); state != c.state || !bytes.Equal(r.path, c.path) {
		c.state, c.path, c.target = state, append(c.path[:0], r.path...), state.target(string(r.path))
	}
	last = r.last
	c.from += len(head)
	for c.to-c.from < r.length {
		if err := c.fill(); err != nil {
			return false, err // a request that was cut off is not a receipt
		}
	}
	c.state.take(c.target, c.buf[c.from:c.from+r.length])
	c.from += r.length
	if c.target.delay > 0 {
		time.Sleep(c.target.delay)
	}
	_, err = c.conn.Write(c.state.answer)
	return last, err
}

// head reads until the blank line and returns everything up to and with it.
func (c *connection) head() ([]byte, error) {
	for seen := 0; ; {
		unused := c.buf[c.from:c.to]
		// The four bytes of the end may come in two pieces.
		if at := bytes.Index(unused[max(0, seen-3):], []byte("\r\n\r\n")); at >= 0 {
			return unused[:max(0, seen-3)+at+4], nil
		}
		if seen = len(unused); seen > maxHead {
			return nil, &refusal{"431 Request Header Fields Too Large", fmt.Sprintf("a head of more than %d bytes", maxHead)}
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once, and makes room for it.
func (c *connection) fill() error {
	if c.from == c.to {
		c.from, c.to = 0, 0
	}
	if c.to == len(c.buf) {
		if c.from == 0 {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
		}
		c.from, c.to = 0, copy(c.buf, c.buf[c.from:c.to])
	}
	n, err := c.conn.Read(c.buf[c.to:])
	c.to += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// request is what a head says. The path is a part of the head.
type request struct {
	path   []byte
	length int
	last   bool // "Connection: close"
}

func parseHead(head []byte) (r request, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	_, target, ok := bytes.Cut(line, []byte(" "))
	path, version, ok2 := bytes.Cut(target, []byte(" "))
	if !ok || !ok2 || len(path) == 0 || path[0] != '/' {
		return r, &refusal{"400 Bad Request", fmt.Sprintf("the request line %.100q", line)}
	}
	if string(version) != "HTTP/1.1" {
		return r, &refusal{"505 HTTP Version Not Supported", fmt.Sprintf("the version %.20q", version)}
	}
	r.path, r.length = path, -1
	for {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if len(line) == 0 {
			r.length = max(r.length, 0)
			return r, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return r, &refusal{"400 Bad Request", fmt.Sprintf("the header line %.100q", line)}
		}
		switch value = bytes.TrimSpace(value); {
		case is(name, "Content-Length"):
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || n > maxBody || r.length >= 0 && r.length != int(n) {
				return r, &refusal{"400 Bad Request", fmt.Sprintf("the Content-Length %.30q", value)}
			}
			r.length = int(n)
		case is(name, "Transfer-Encoding"):
			return r, &refusal{"501 Not Implemented", fmt.Sprintf("the Transfer-Encoding %.30q", value)}
		case is(name, "Expect"):
			return r, &refusal{"417 Expectation Failed", fmt.Sprintf("the expectation %.30q", value)}
		case is(name, "Connection"):
			r.last = r.last || is(value, "close")
		}
	}
}

// is compares as header names are compared. Most differ in their length.
func is(name []byte, want string) bool {
	return len(name) == len(want) && bytes.EqualFold(name, []byte(want))
}
