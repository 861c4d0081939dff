package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// plays is a connection on which an answer waits already. It has no socket.
type plays struct {
	net.Conn
	answer io.Reader
}

func (p plays) Read(b []byte) (int, error)       { return p.answer.Read(b) }
func (p plays) Write(b []byte) (int, error)      { return len(b), nil }
func (p plays) Close() error                     { return nil }
func (p plays) SetDeadline(time.Time) error      { return nil }
func (p plays) SetReadDeadline(time.Time) error  { return nil }
func (p plays) SetWriteDeadline(time.Time) error { return nil }

// readLimit is how much of a body is compared.
const readLimit = 1 << 20

func ours(answer io.Reader) (status int, body []byte, err error) {
	c := &Client{HeaderMax: 64 << 10, Dial: func(context.Context, string, string) (net.Conn, error) { return plays{answer: answer}, nil }}
	a, err := c.Send(context.Background(), time.Now().Add(time.Hour), endpoint("http://host/"), nil, []byte("x"))
	if err != nil || a.Body == nil {
		return a.Status, nil, err
	}
	defer a.Body.Close()
	body, err = io.ReadAll(io.LimitReader(a.Body, readLimit))
	return a.Status, body, err
}

func theirs(answer io.Reader) (status int, body []byte, err error) {
	r := bufio.NewReader(answer)
	for range interimMax + 1 {
		resp, err := http.ReadResponse(r, post)
		if err != nil {
			return 0, nil, err
		}
		if resp.StatusCode > 199 || resp.StatusCode == 101 {
			if resp.StatusCode > 199 {
				body, err = io.ReadAll(io.LimitReader(resp.Body, readLimit))
			}
			return resp.StatusCode, body, err
		}
	}
	return 0, nil, errors.New("too many")
}

func endpoint(s string) *Endpoint {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return NewEndpoint(http.MethodPost, u, Field{"User-Agent", "test"})
}

// answers are what targets say, and what they should not.
var answers = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 204\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 01:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\ncontent-length:\t 2 \r\nCONNECTION: Close\r\n\r\nok and more",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
	"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
	"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nA: b\x00\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nA: \xff\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
	"HTTP/1.1 200 OK\rContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200\tOK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.0 200 OK\r\n\r\nto the end",
	"HTTP/1.1 200 OK\r\n\r\nto the end",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2;x=y\r\nok\r\n0\r\nA: b\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nTrailer: Content-Length\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nxxx",
	"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\noops",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Le",
	"HTTP/1.1 200 OK\r\n",
	"\r\n",
	"",
	"SSH-2.0-OpenSSH\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + strings.Repeat("x", 3000),
	"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 3000) + "\r\nContent-Length: 2\r\n\r\nok",
}

func compare(t *testing.T, answer []byte) {
	t.Helper()
	status, body, err := theirs(bytes.NewReader(answer))
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(answer), "byte by byte": iotest.OneByteReader(bytes.NewReader(answer))} {
		s, b, e := ours(r)
		if s != status || !bytes.Equal(b, body) || (e == nil) != (err == nil) {
			t.Errorf("%q, %s: got %d %q %v, net/http says %d %q %v", answer, name, s, b, e, status, body, err)
		}
	}
}

func TestAnswersAreReadAsByNetHTTP(t *testing.T) {
	t.Parallel()
	for _, a := range answers {
		compare(t, []byte(a))
	}
}

func FuzzAnswer(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if len(answer) > 32<<10 {
			return // above it are limits that net/http's parser alone does not have
		}
		compare(t, answer)
	})
}

// TestPlainHeadsAreReadInPlace: without it the tests above would hold for a reader that leaves everything to net/http.
func TestPlainHeadsAreReadInPlace(t *testing.T) {
	t.Parallel()
	for _, a := range []string{answers[0], answers[1], answers[3], answers[4]} {
		if h, ok := readHead([]byte(a)); !ok || h.size != strings.Index(a, "\r\n\r\n")+4 {
			t.Errorf("%q: got %+v %v", a, h, ok)
		}
	}
}

// FuzzHead holds what is read in place to net/http's reading: length and what happens to the connection too.
func FuzzHead(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := readHead(b)
		if !ok {
			return
		}
		r := bufio.NewReaderSize(bytes.NewReader(b), len(b)+16)
		resp, err := http.ReadResponse(r, post)
		if err != nil {
			t.Fatalf("%q: net/http says %v", b, err)
		}
		if size := len(b) - r.Buffered(); resp.StatusCode != h.status || resp.ContentLength != h.length || resp.Close != h.close || size != h.size {
			t.Fatalf("%q: got %+v, net/http says %d, length %d, close %v, %d bytes", b, h, resp.StatusCode, resp.ContentLength, resp.Close, size)
		}
	})
}
