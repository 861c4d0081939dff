package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// stopHeader is the answer's header by which a target says what it wants of a delivery, whatever its status.
const stopHeader = "Webhook-Delivery"

// judge is the only place that reads an answer. With Wait it returns how long.
func judge(status int, h http.Header, now time.Time) (v Verdict, reason string, wait time.Duration) {
	switch {
	case status >= 200 && status <= 299:
		return Delivered, "", 0
	case status == http.StatusGone:
		return Gone, ReasonHTTPStatus, 0
	case strings.EqualFold(strings.TrimSpace(h.Get(stopHeader)), "drop"):
		return Drop, ReasonHTTPStatus, 0
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		if wait, ok := retryAfter(h, now); ok {
			return Wait, ReasonHTTPStatus, wait
		}
	}
	return Retry, ReasonHTTPStatus, 0
}

// withoutURL is the error inside of those of http.Client, whose text holds the target's URL, and that its credentials.
func withoutURL(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err, u = u.Err, nil
	}
	return err
}

// judgeError is the only place that reads an error of the HTTP client.
func judgeError(err error) string {
	err = withoutURL(err)
	var (
		dns    *net.DNSError
		netErr net.Error
	)
	switch {
	case errors.Is(err, errProxy):
		return ReasonProxy
	case errors.Is(err, ErrBlocked):
		return ReasonBlockedAddress
	case errors.As(err, &dns):
		return ReasonDNS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return ReasonTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return ReasonConnectionRefused
	case quotesAnswer(err):
		return ReasonInvalidResponse
	case isTLS(err):
		return ReasonTLS
	case isBroken(err):
		return ReasonConnectionReset
	case isInvalid(err):
		return ReasonInvalidResponse
	}
	return ReasonConnection
}

// quotesAnswer knows the errors of net/http whose texts repeat what the target has sent, which may be any other's text.
func quotesAnswer(err error) bool {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	text := err.Error()
	for _, begin := range []string{"malformed ", "unsupported transfer encoding", "bad Content-Length", "http: message cannot contain multiple Content-Length"} {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}

func isTLS(err error) bool {
	var (
		unknownCA x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		certs     *tls.CertificateVerificationError
	)
	return errors.As(err, &unknownCA) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &record) ||
		errors.As(err, &alert) || errors.As(err, &certs) ||
		contains(err, "tls: ", "server gave HTTP response to HTTPS client")
}

// isBroken knows the errors of net/http that have no type by their text.
func isBroken(err error) bool {
	for _, broken := range []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return contains(err, "server closed idle connection", "GOAWAY", "http2: client connection lost", "http2: client connection force closed",
		"stream error: ")
}

func isInvalid(err error) bool {
	var protocol textproto.ProtocolError
	return errors.As(err, &protocol) || isUnasked(err) ||
		contains(err, "malformed", "server response headers exceeded", "too many 1xx", "Transfer-Encoding", "transfer encoding",
			"Content-Length", "http2: ", "connection error: ", "Unsolicited response")
}

// isUnasked knows what net/http makes of an answer that was there before the request.
func isUnasked(err error) bool { return contains(err, "readLoopPeekFailLocked: %!w(<nil>)") }

func contains(err error, texts ...string) bool {
	all := err.Error()
	for _, t := range texts {
		if strings.Contains(all, t) {
			return true
		}
	}
	return false
}

// nextDelay is the wait before the next attempt after so many (from 1), with ±20 % of jitter so that many failures at
// once do not come back at once; false when the schedule is over.
func nextDelay(schedule []time.Duration, attempts int) (time.Duration, bool) {
	if attempts < 1 || attempts > len(schedule) {
		return 0, false
	}
	d := schedule[attempts-1]
	return d - d/5 + rand.N(2*(d/5)+1), true
}
