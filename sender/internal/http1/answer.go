package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// interimMax is how many interim answers (1xx) may come before the answer.
const interimMax = 5

// Answer is what a request got.
type Answer struct {
	Status int
	// Header is nil for a success in plain form.
	Header http.Header
	// Body is nil when there is none. It must be closed; before its end, that closes the connection.
	Body Body
	// Phases are how long the request took to get there.
	Phases Phases
}

// Body is that of an answer. Its Read and Close are not to be called by two goroutines at once.
type Body interface {
	io.ReadCloser
	// Within bounds the rest of the body, beside the request's deadline.
	Within(time.Duration)
}

// errNothingSent says that an idle connection turned out to be broken before the request was on its way.
var errNothingSent = errors.New("nothing was sent")

// reader reads one answer.
type reader struct {
	conn net.Conn
	// limit is how many bytes may still be read.
	limit int64
	// late says that the deadline has ended the reading: a parser may see no more than a line that breaks off.
	late bool
	// first is when the first byte came; zero before.
	first time.Time
	buf   *bufio.Reader
}

var errLimit = errors.New("the limit is reached")

func (r *reader) Read(p []byte) (int, error) {
	if r.limit <= 0 {
		return 0, errLimit
	}
	if int64(len(p)) > r.limit {
		p = p[:r.limit]
	}
	n, err := r.conn.Read(p)
	r.limit -= int64(n)
	r.late = err != nil && errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// readers are kept apart from connections: an idle one needs none.
var readers = sync.Pool{New: func() any {
	r := &reader{}
	r.buf = bufio.NewReaderSize(r, 2<<10)
	return r
}}

func newReader(c net.Conn, limit int64) *reader {
	r := readers.Get().(*reader)
	r.conn, r.limit, r.late, r.first = c, limit, false, time.Time{}
	r.buf.Reset(r)
	return r
}

func (r *reader) free() {
	r.conn = nil
	readers.Put(r)
}

// write writes the request, and what is apart from it. It returns how much of the first was written.
func (c *conn) write(request, apart []byte) (int, error) {
	n, err := c.stream.Write(request)
	if err == nil && len(apart) > 0 {
		_, err = c.stream.Write(apart)
	}
	return n, err
}

// exchange writes the request and reads the answer's head. The connection is given back, or closed, by the time at which
// the body of the answer has been read to its end or closed; with an error, at once.
func (c *Client) exchange(ctx context.Context, deadline time.Time, n *conn, request, apart []byte) (Answer, error) {
	a := Answer{Phases: n.phases}
	n.phases = Phases{}
	if err := n.begin(ctx, deadline); err != nil {
		n.abort()
		return a, err
	}
	if sent, err := n.write(request, apart); err != nil {
		n.stop()
		n.abort()
		if sent == 0 && n.reused && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.idle.closeHost(n.key)
			return a, errNothingSent
		}
		return a, cause(ctx, err)
	}
	r := newReader(n.stream, c.HeaderMax)
	h, resp, err := r.answer()
	a.Phases.Answered = r.first
	if err != nil {
		switch {
		case r.late:
			err = os.ErrDeadlineExceeded
		case r.limit <= 0:
			err = fmt.Errorf("server response headers exceeded %d bytes", c.HeaderMax)
		}
		if n.reused && errors.Is(err, errNoAnswer) {
			// Its neighbours are likely to be closed too: whoever repeats the request is to have a new one.
			c.idle.closeHost(n.key)
		}
		r.free()
		n.stop()
		n.abort()
		return a, cause(ctx, err)
	}
	r.limit = math.MaxInt64
	a.Status = h.status
	var from io.Reader = r.buf
	if resp != nil {
		a.Header, from = resp.Header, resp.Body
	}
	switch {
	case h.length == 0 || h.status <= 199:
		c.release(n, r, !h.close)
	case h.length > 0 && h.length <= int64(r.buf.Buffered()):
		// All of it is here: the connection is free before the caller has read it.
		all := make([]byte, h.length)
		_, err := io.ReadFull(from, all)
		c.release(n, r, !h.close && err == nil)
		a.Body = memory{bytes.NewReader(all)}
	default:
		if resp == nil {
			from = &exact{r.buf, h.length}
		}
		a.Body = &body{client: c, ctx: ctx, deadline: deadline, conn: n, reader: r, from: from, reuse: !h.close}
	}
	return a, nil
}

// release gives a connection back, or closes it. The answer was read to its end.
func (c *Client) release(n *conn, r *reader, reuse bool) {
	left := r.buf.Buffered()
	r.free()
	// When the watch has begun to cut, the connection may be cut at any later time.
	kept := n.stop()
	if reuse && kept && left == 0 && n.raw != nil && n.clean() {
		c.idle.put(n, c.IdleMax, c.IdleTimeout)
	} else {
		n.close()
	}
}

// errNoAnswer says that the connection ended before the first byte of an answer.
var errNoAnswer = errors.New("no answer")

// answer reads the head of the answer, past the interim ones. The response is nil when net/http was not needed for it.
func (r *reader) answer() (head, *http.Response, error) {
	if _, err := r.buf.Peek(1); err != nil {
		return head{}, nil, noAnswer{err}
	}
	r.first = time.Now()
	for interim := 0; ; interim++ {
		here, _ := r.buf.Peek(r.buf.Buffered())
		if h, ok := readHead(here); ok {
			_, _ = r.buf.Discard(h.size) // it is in the buffer
			return h, nil, nil
		}
		resp, err := http.ReadResponse(r.buf, post)
		if err != nil {
			return head{}, nil, err
		}
		if s := resp.StatusCode; s < 100 || s > 199 || s == http.StatusSwitchingProtocols {
			// What is below 200, and is not interim, has left HTTP.
			return head{status: resp.StatusCode, length: resp.ContentLength, close: resp.Close || resp.StatusCode <= 199}, resp, nil
		}
		if interim == interimMax {
			return head{}, nil, errors.New("too many 1xx informational responses")
		}
	}
}

// post is what net/http must know of a request to parse its answer: that of a PUT or a GET is no other.
var post = &http.Request{Method: http.MethodPost}

// noAnswer is errNoAnswer and its reason, with the text of the reason.
type noAnswer struct{ error }

func (e noAnswer) Unwrap() []error { return []error{errNoAnswer, e.error} }

// cause is the error of the context where the context, or the deadline, has ended the connection.
func cause(ctx context.Context, err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return context.DeadlineExceeded
}

// memory is a body that has come as a whole.
type memory struct{ *bytes.Reader }

func (memory) Close() error         { return nil }
func (memory) Within(time.Duration) {}

// exact is so much of a stream. That it ends before is an error.
type exact struct {
	r    io.Reader
	left int64
}

func (e *exact) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// body is that of an answer which has not all come yet.
type body struct {
	client   *Client
	ctx      context.Context
	deadline time.Time
	conn     *conn
	from     io.Reader
	reuse    bool

	reader *reader // nil when the connection is not ours any more
	err    error   // what Read returns then
}

func (b *body) Within(d time.Duration) {
	if at := time.Now().Add(d); b.reader != nil && at.Before(b.deadline) {
		_ = b.conn.tcp.SetReadDeadline(at)
		if b.ctx.Err() != nil {
			b.conn.cut() // that may have been undone just now
		}
	}
}

// Read reads on. At the end, and with an error, the connection goes.
func (b *body) Read(p []byte) (int, error) {
	if b.reader == nil {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	if err == nil {
		return n, nil
	}
	b.err = cause(b.ctx, err)
	b.end(err == io.EOF)
	return n, b.err
}

func (b *body) Close() error {
	if b.reader != nil {
		b.err = http.ErrBodyReadAfterClose
		b.end(false)
	}
	return nil
}

// end gives the connection back, or closes it.
func (b *body) end(whole bool) {
	r := b.reader
	b.reader = nil
	if whole {
		b.client.release(b.conn, r, b.reuse)
		return
	}
	r.free()
	b.conn.stop()
	b.conn.abort()
}
