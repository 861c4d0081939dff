package sender

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// answerHeader bounds the answer's headers.
	answerHeader = 64 << 10
	// immediate is how long after its beginning an attempt may repeat a broken connection at once.
	immediate = time.Second
)

// client makes requests. One for the admin's and one for the accounts' subscriptions: with one pool of connections,
// either could use what the guard allowed to the other.
type client struct {
	http      *retryablehttp.Client
	transport *http.Transport
	guard     Guard
	userAgent string
}

// newClient makes a client that keeps as many connections as there may be requests: many subscriptions have one host, and
// those that are not kept are dialled anew for every request.
func newClient(g Guard, userAgent string, connections int) *client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}
	t := &http.Transport{
		// Not ProxyFromEnvironment: a proxy would connect for us, past the guard.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: answerHeader,
		// What they take is taken for each connection. A larger body is written past the buffer.
		WriteBufferSize: 4 << 10,
		ReadBufferSize:  2 << 10,
	}
	c := &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     roundTripper{t},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax:     1,
		CheckRetry:   retryBroken,
		Backoff:      func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return &client{http: c, transport: t, guard: g, userAgent: userAgent}
}

func (c *client) close() { c.transport.CloseIdleConnections() }

// roundTripper hides CloseIdleConnections of its transport: retryablehttp calls it after every failure, and the
// connections to all other targets would be gone.
type roundTripper struct{ transport *http.Transport }

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.transport.RoundTrip(req)
	if err == nil {
		// http.Client makes an error of a Location that it cannot read, before it asks whether to follow it.
		if _, bad := url.Parse(resp.Header.Get("Location")); bad != nil {
			resp.Header.Del("Location")
		}
	}
	return resp, err
}

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
	return judgeError(err) == ReasonConnectionReset, nil
}
