package sender

import (
	"errors"
	"log/slog"
	"math/rand/v2"
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
	// Wait: the target answered 429 or 503 and said for how long, or the egress proxy cannot be used. It does not count, and the
	// whole subscription waits.
	Wait
	// Drop: the target wants no more attempts of this delivery.
	Drop
	// Interrupted: we stopped the attempt ourselves. It does not count.
	Interrupted
	// Split: the target answered 413 to a batch, which is sent again in smaller ones. It does not count.
	Split
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
	// ReasonConnection is what is none of the others: no route to the host.
	ReasonConnection = "connection_error"
	// ReasonProxy: the egress proxy failed or refused, not the target.
	ReasonProxy = "proxy_error"
	// ReasonOAuth2: the target's token endpoint gave no token.
	ReasonOAuth2 = "oauth2_error"
	// ReasonConfiguration: the subscription cannot be sent to as it is.
	ReasonConfiguration = "configuration"
	// ReasonExpired: the event was removed from the store before it could be sent.
	ReasonExpired = "expired"
)

// Outcome is how an attempt ended.
type Outcome struct {
	Verdict Verdict
	// Fallback says that the attempt was made at the subscription's fallback, not at its target.
	Fallback bool
	// Status is the answer's status, 0 when there was none.
	Status int
	// Reason is one of the typed reasons, empty when delivered.
	Reason string
	// Detail says more for people, without secrets and control characters; bounded.
	Detail string
	// After is how long the subscription waits, with Wait.
	After time.Duration
	// Answer is the beginning of a failed attempt's answer, at most 4 KiB.
	Answer []byte
	// Started and Duration measure the attempt, up to the answer's headers.
	Started  time.Time
	Duration time.Duration
	// Timings are parts of Duration; nil where the connection was kept from an earlier attempt, and the answer, if any, came
	// in one piece.
	Timings *Timings
}

func (o Outcome) failed(reason string, err error) Outcome {
	o.Verdict, o.Reason, o.Detail = Retry, reason, detail(err)
	if errors.Is(err, errProxyDown) {
		o.Verdict, o.After = Wait, proxyWait/2+rand.N(proxyWait)
	}
	return o
}

// proxyWait is about how long a subscription waits for an egress proxy that cannot be used. Only tests change it.
var proxyWait = 10 * time.Second

// LogValue is one line's worth of an outcome.
func (o Outcome) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Duration("duration", o.Duration.Round(10*time.Microsecond))}
	if o.Fallback {
		attrs = append(attrs, slog.Bool("fallback", true))
	}
	if o.Status != 0 {
		attrs = append(attrs, slog.Int("status", o.Status))
	}
	if o.After != 0 {
		attrs = append(attrs, slog.Duration("retry_after", o.After))
	}
	if o.Reason != "" {
		attrs = append(attrs, slog.String("reason", o.Reason))
	}
	if o.Detail != "" {
		attrs = append(attrs, slog.String("detail", o.Detail))
	}
	return slog.GroupValue(attrs...)
}
