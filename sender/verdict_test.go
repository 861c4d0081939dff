package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

func TestEveryStatus(t *testing.T) {
	t.Parallel()
	for status := 100; status <= 599; status++ {
		want, reason := Retry, ReasonHTTPStatus
		switch {
		case status/100 == 2:
			want, reason = Delivered, ""
		case status == 410:
			want = Gone
		}
		if v, r, _ := judge(status, nil, time.Now()); v != want || r != reason {
			t.Errorf("%d: got %v %q, want %v %q", status, v, r, want, reason)
		}
	}
}

func TestWhatHeadersSay(t *testing.T) {
	t.Parallel()
	wait, drop := http.Header{"Retry-After": {"5"}}, http.Header{"Retry-After": {"5"}, "Webhook-Delivery": {"drop"}}
	for status := 100; status <= 599; status++ {
		plain, _, _ := judge(status, nil, time.Now())
		asks, after, drops := plain, time.Duration(0), Drop
		switch {
		case status/100 == 2, status == 410:
			drops = plain // that says more
		case status == 429, status == 503:
			asks, after = Wait, 5*time.Second
		}
		if v, _, d := judge(status, wait, time.Now()); v != asks || d != after {
			t.Errorf("%d with Retry-After: got %v %s, want %v %s", status, v, d, asks, after)
		}
		if v, _, _ := judge(status, drop, time.Now()); v != drops {
			t.Errorf("%d with webhook-delivery: got %v, want %v", status, v, drops)
		}
	}
}

// TestErrorsThatAreHardToMake has those that no receiver of this package's tests makes.
func TestErrorsThatAreHardToMake(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error {
		// A URL that looks like an error must not be taken for one.
		return &url.Error{Op: "Post", URL: "https://u:pass@host/tls: malformed HTTP GOAWAY exceeded", Err: err}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("http: server closed idle connection"), ReasonConnectionReset},
		{errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR"), ReasonConnectionReset},
		{errors.New("http2: client connection lost"), ReasonConnectionReset},
		{errors.New("stream error: stream ID 3; REFUSED_STREAM"), ReasonConnectionReset},
		{errors.New("connection error: PROTOCOL_ERROR"), ReasonInvalidResponse},
		{errors.New("http: server gave HTTP response to HTTPS client"), ReasonTLS},
		{errors.New("readLoopPeekFailLocked: %!w(<nil>)"), ReasonInvalidResponse},
		{fmt.Errorf("readLoopPeekFailLocked: %w", &net.OpError{Op: "read", Err: syscall.ECONNRESET}), ReasonConnectionReset},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, ReasonConnectionReset},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, ReasonConnection},
		{&net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}, ReasonTimeout},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: "x", IsTimeout: true}}, ReasonDNS},
		{fmt.Errorf("dial: %w", ErrBlocked), ReasonBlockedAddress},
		{context.DeadlineExceeded, ReasonTimeout},
		{io.ErrUnexpectedEOF, ReasonConnectionReset},
		{errors.New("something new"), ReasonConnection},
	} {
		if got := judgeError(wrap(c.err)); got != c.want {
			t.Errorf("%v: got %s, want %s", c.err, got, c.want)
		}
		if d := detail(wrap(c.err)); strings.Contains(d, "pass") || strings.Contains(d, "host/") || strings.Contains(d, "%!") {
			t.Errorf("the target's URL is shown in %q", d)
		}
	}
}

func TestDetailIsFitToBeKept(t *testing.T) {
	t.Parallel()
	d := detail(errors.New("a\x00b\r\nc\xff " + strings.Repeat("é", detailMax)))
	if len(d) > detailMax || !utf8.ValidString(d) || !strings.HasPrefix(d, "a b  c? é") {
		t.Errorf("got %q", d)
	}
}

func TestNextDelay(t *testing.T) {
	t.Parallel()
	schedule := []time.Duration{5 * time.Second, 5 * time.Minute, 24 * time.Hour, 0, 1}
	for attempts := -1; attempts <= len(schedule)+2; attempts++ {
		low, high := time.Duration(1<<62), time.Duration(0)
		for range 2000 {
			d, more := nextDelay(schedule, attempts)
			if want := attempts >= 1 && attempts <= len(schedule); more != want {
				t.Fatalf("after %d: more is %v", attempts, more)
			}
			low, high = min(low, d), max(high, d)
		}
		if attempts < 1 || attempts > 3 {
			continue
		}
		s := schedule[attempts-1]
		if low < s-s/5 || high > s+s/5 || low > s-s*15/100 || high < s+s*15/100 {
			t.Errorf("after %d: from %s to %s, want ±20 %% of %s", attempts, low, high, s)
		}
	}
	if _, more := nextDelay(nil, 1); more {
		t.Error("an empty schedule has more")
	}
}
