package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// answerRead is how much of an answer's body is read, so that its connection can be used again; answerKept how much
	// of a failure's is kept; answerTime how long it may take.
	answerRead = 64 << 10
	answerKept = 4 << 10
	answerTime = time.Second
	// answerHeader bounds the answer's headers.
	answerHeader = 64 << 10
	// immediate is how long after its beginning an attempt may repeat a broken connection at once.
	immediate = time.Second
	// detailMax bounds Outcome.Detail, in bytes.
	detailMax = 300
)

// client makes attempts. One for the admin's and one for the accounts' subscriptions: with one pool of connections,
// either could use what the guard allowed to the other.
type client struct {
	http      *retryablehttp.Client
	guard     Guard
	userAgent string
}

func newClient(g Guard, userAgent string, perHost int) *client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}
	transport := &http.Transport{
		// Not ProxyFromEnvironment: a proxy would connect for us, past the guard.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           4 * perHost,
		MaxIdleConnsPerHost:    perHost,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: answerHeader,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         4 << 10,
	}
	c := &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax:     1,
		CheckRetry:   retryBroken,
		Backoff:      func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return &client{http: c, guard: g, userAgent: userAgent}
}

func (c *client) close() { c.http.HTTPClient.CloseIdleConnections() }

type startedKey struct{}

// retryBroken lets a request be repeated at once when its connection broke within the first second: often it had been
// idle, and the target had just closed it. Everything else is for the schedule.
func retryBroken(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if err == nil || ctx.Err() != nil {
		return false, nil
	}
	started, ok := ctx.Value(startedKey{}).(time.Time)
	if !ok || time.Since(started) > immediate {
		return false, nil
	}
	switch judgeError(err) {
	case ReasonConnectionReset, ReasonConnectionRefused:
		return true, nil
	}
	return false, nil
}

// target is where a subscription is sent to, ready for use.
type target struct {
	url    *url.URL
	signer *signer
	client *client
}

func newTarget(s *subscriptions.Subscription, c *client) (*target, error) {
	u, err := url.Parse(s.TargetURL.Reveal())
	if err != nil || u.Host == "" {
		return nil, errors.New("target_url cannot be read")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !c.guard.AllowHTTP) {
		return nil, fmt.Errorf("target_url is %s, only https is allowed", u.Scheme)
	}
	sig, err := newSigner(s.Secrets)
	if err != nil {
		return nil, err
	}
	return &target{url: u, signer: sig, client: c}, nil
}

// attempt is one request of a delivery.
type attempt struct {
	event *mapping.Event
	// number counts from 1; retryReason is why the one before failed.
	number      int
	retryReason string
	timeout     time.Duration
}

// send makes the request and judges the answer. It returns within the timeout and answerTime. When ctx is done the
// attempt is Interrupted.
func (t *target) send(ctx context.Context, a attempt, body []byte) Outcome {
	started := time.Now()
	out := Outcome{Started: started}
	actx, cancel := context.WithTimeout(context.WithValue(ctx, startedKey{}, started), a.timeout)
	defer cancel()
	req, err := retryablehttp.NewRequestWithContext(actx, http.MethodPost, "", body)
	if err != nil {
		return out.failed(ReasonConfiguration, err)
	}
	req.URL = t.url
	req.Host = t.url.Host
	h := req.Header
	h["Content-Type"] = []string{"application/json"}
	h["User-Agent"] = []string{t.client.userAgent}
	h["Webhook-Id"] = []string{a.event.ID}
	h["Webhook-Timestamp"] = []string{strconv.FormatInt(started.Unix(), 10)}
	h["Webhook-Signature"] = []string{string(t.signer.sign(nil, a.event.ID, started, body))}
	h["Webhook-Type"] = []string{a.event.Type}
	h["Webhook-Position"] = []string{a.event.Position.String()}
	h["Webhook-Attempt"] = []string{strconv.Itoa(a.number)}
	if a.retryReason != "" {
		h["Webhook-Retry-Reason"] = []string{a.retryReason}
	}
	resp, err := t.client.http.Do(req)
	out.Duration = time.Since(started)
	if err != nil {
		if ctx.Err() != nil {
			out.Verdict = Interrupted
			return out
		}
		return out.failed(judgeError(err), err)
	}
	defer func() { _ = resp.Body.Close() }()
	out.Status = resp.StatusCode
	out.Verdict, out.Reason = judgeStatus(resp.StatusCode)
	if resp.Body == http.NoBody {
		return out
	}
	// The status has decided. The rest is read for the connection's sake, and of failures for the log.
	enough := time.AfterFunc(answerTime, cancel)
	defer enough.Stop()
	if out.Verdict != Delivered {
		out.Answer, _ = io.ReadAll(io.LimitReader(resp.Body, answerKept))
	}
	_, _ = io.CopyN(io.Discard, resp.Body, answerRead)
	return out
}

func (o Outcome) failed(reason string, err error) Outcome {
	o.Verdict, o.Reason, o.Detail = Retry, reason, detail(err)
	return o
}

// detail is an error's text without the target's URL, which may hold credentials.
func detail(err error) string {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
		u = nil
	}
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) > detailMax {
		text = text[:detailMax]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return text
}

// LogValue is one line's worth of an outcome.
func (o Outcome) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Duration("duration", o.Duration.Round(10*time.Microsecond))}
	if o.Status != 0 {
		attrs = append(attrs, slog.Int("status", o.Status))
	}
	if o.Reason != "" {
		attrs = append(attrs, slog.String("reason", o.Reason))
	}
	if o.Detail != "" {
		attrs = append(attrs, slog.String("detail", o.Detail))
	}
	return slog.GroupValue(attrs...)
}
