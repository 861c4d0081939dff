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
	"strings"
	"syscall"
	"time"
)

// Verdict is what an attempt means for its delivery.
type Verdict uint8

// The verdicts.
const (
	// Delivered: the target answered 2xx.
	Delivered Verdict = iota + 1
	// Retry: try again on the schedule, or fail when it is over.
	Retry
	// Gone: the target answered 410, the subscription is to be deleted.
	Gone
	// Interrupted: we stopped the attempt ourselves. It does not count.
	Interrupted
)

// The typed reasons why an attempt failed.
const (
	ReasonHTTPStatus        = "http_status"
	ReasonTimeout           = "timeout"
	ReasonDNS               = "dns_error"
	ReasonBlockedAddress    = "blocked_address"
	ReasonConnectionRefused = "connection_refused"
	ReasonConnectionReset   = "connection_reset"
	ReasonTLS               = "tls_error"
	ReasonInvalidResponse   = "invalid_response"
	ReasonConnection        = "connection_error"
	ReasonConfiguration     = "configuration"
)

// Outcome is how an attempt ended.
type Outcome struct {
	Verdict Verdict
	// Status is the answer's status, 0 when there was none.
	Status int
	// Reason is one of the typed reasons, empty when delivered.
	Reason string
	// Detail says more for people, without secrets; bounded.
	Detail string
	// Answer is the beginning of a failed attempt's answer, at most 4 KiB.
	Answer []byte
	// Started and Duration measure the attempt, up to the answer's headers.
	Started  time.Time
	Duration time.Duration
}

// judgeStatus is the only place that reads a status.
func judgeStatus(status int) (Verdict, string) {
	switch {
	case status >= 200 && status <= 299:
		return Delivered, ""
	case status == http.StatusGone:
		return Gone, ReasonHTTPStatus
	}
	return Retry, ReasonHTTPStatus
}

// judgeError is the only place that reads an error of the HTTP client.
func judgeError(err error) string {
	var (
		dns       *net.DNSError
		netErr    net.Error
		unknownCA x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		certs     *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, ErrBlocked):
		return ReasonBlockedAddress
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return ReasonTimeout
	case errors.As(err, &dns):
		return ReasonDNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return ReasonConnectionRefused
	case errors.As(err, &unknownCA), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &record),
		errors.As(err, &alert), errors.As(err, &certs), strings.Contains(err.Error(), "tls: "):
		return ReasonTLS
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonConnectionReset
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "server sent"),
		strings.Contains(err.Error(), "exceeded"), strings.Contains(err.Error(), "Transfer-Encoding"),
		strings.Contains(err.Error(), "Content-Length"):
		return ReasonInvalidResponse
	}
	return ReasonConnection
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
