package hooktest

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"time"
)

// An Answer is what a request gets, good or bad. The zero value is 200 with an empty body, at once. The functions of
// this package make the usual ones; fields may be set on top.
type Answer struct {
	Status int               // defaults to 200; with Break to none
	Header map[string]string // beside those of net/http
	Body   string

	Delay time.Duration   // passes before anything is sent
	Until <-chan struct{} // if not nil, nothing is sent before it is closed
	Hang  bool            // nothing is sent before Receiver.Release

	Pace    time.Duration // passes before every byte of the body
	Endless bool          // the body is repeated until the client goes
	Raw     string        // if not empty, sent as it is instead of an HTTP answer; then the connection is closed
	Break   Break         // how the connection ends, if badly
}

// A Break is how a connection ends before its answer is whole. With a Status, the headers and the Body are sent and the
// rest is missing; without one, nothing is sent.
type Break int

const (
	_          Break = iota // the zero value: it does not
	BreakClose              // closed in an orderly way
	BreakReset              // reset: what a crashed machine, or an impatient load balancer, does
)

// status is the status that the client gets to see whole, 0 if none.
func (a Answer) status() int {
	switch {
	case a.Raw != "" || a.Break != 0:
		return 0
	case a.Status == 0:
		return http.StatusOK
	}
	return a.Status
}

// OK is 200.
func OK() Answer { return Answer{} }

// Status is an answer with that status.
func Status(code int) Answer { return Answer{Status: code} }

// RetryAfter is a status with a Retry-After header, in seconds or as a date.
func RetryAfter(code int, value string) Answer { return Status(code).With("Retry-After", value) }

// Redirect is a redirection: 301, 302, 303, 307 or 308.
func Redirect(code int, url string) Answer { return Status(code).With("Location", url) }

// Hang answers only after [Receiver.Release], or never.
func Hang() Answer { return Answer{Hang: true} }

// Reset resets the connection without an answer.
func Reset() Answer { return Answer{Break: BreakReset} }

// Close closes the connection without an answer.
func Close() Answer { return Answer{Break: BreakClose} }

// Garbage sends something that is not HTTP.
func Garbage() Answer { return Answer{Raw: "\x15\x03\x01 220 smtp.example.com ready\r\n\r\n"} }

// Drip sends a body byte by byte.
func Drip(body string, pace time.Duration) Answer { return Answer{Body: body, Pace: pace} }

// Endless sends a body without end.
func Endless() Answer { return Answer{Body: strings.Repeat("x", 4096), Endless: true} }

// HugeHeaders sends about that many bytes of headers.
func HugeHeaders(size int) Answer {
	a := Answer{Header: map[string]string{}}
	value := strings.Repeat("x", 1000)
	for i := 0; i < size; i += len(value) {
		a.Header["X-Huge-"+strings.Repeat("a", i/len(value)%26+1)+strings.Repeat("b", i/len(value)/26)] = value
	}
	return a
}

// Bomb sends a small gzip body that is size bytes when unpacked.
func Bomb(size int) Answer {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, size)) // to memory: never fails
	_ = w.Close()
	return Answer{Body: packed.String()}.With("Content-Encoding", "gzip")
}

// With is the answer with one header more.
func (a Answer) With(name, value string) Answer {
	header := map[string]string{name: value}
	for k, v := range a.Header {
		if k != name {
			header[k] = v
		}
	}
	a.Header = header
	return a
}

// After is the answer after a delay.
func (a Answer) After(delay time.Duration) Answer {
	a.Delay = delay
	return a
}
