package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/rowhook/rowhook/sender/internal/http1"
)

const (
	// answerHeader bounds the answer's headers.
	answerHeader = 64 << 10
	// immediate is how long after its beginning an attempt may repeat a broken connection at once.
	immediate = time.Second
	// handshake bounds that of TLS; idleTime is how long a connection that nothing uses is kept.
	handshake = 10 * time.Second
	idleTime  = 90 * time.Second
	// silence is how long nothing may come on a connection of HTTP/2 until it is asked whether it is still there.
	silence = 30 * time.Second
)

// client makes requests. One for the admin's and one for the accounts' subscriptions: with one pool of connections,
// either could use what the guard allowed to the other.
type client struct {
	// small makes those that it takes, at half the cost; http, through transport, all others.
	small     *http1.Client
	http      *retryablehttp.Client
	transport *http.Transport
	guard     Guard
	userAgent string
	// reach connects for both. onlyLarge leaves all requests to net/http.
	reach     *reach
	egress    Egress
	onlyLarge bool
}

// newClient makes a client that keeps as many connections as there may be requests: many subscriptions have one host, and
// those that are not kept are dialled anew for every request.
func newClient(g Guard, userAgent string, connections int) *client {
	reach := newReach(g)
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	small := &http1.Client{
		Dial:                reach.dial,
		TLS:                 secure,
		TLSHandshakeTimeout: handshake,
		IdleMax:             connections,
		IdleTimeout:         idleTime,
		HeaderMax:           answerHeader,
	}
	t := &http.Transport{
		// Not ProxyFromEnvironment: a proxy would connect for us, past the guard.
		Proxy:                  nil,
		DialContext:            reach.dial,
		TLSClientConfig:        secure.Clone(),
		TLSHandshakeTimeout:    handshake,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        idleTime,
		DisableCompression:     true,
		MaxResponseHeaderBytes: answerHeader,
		// What they take is taken for each connection. A larger body is written past the buffer.
		WriteBufferSize: 4 << 10,
		ReadBufferSize:  2 << 10,
		HTTP2: &http.HTTP2Config{
			// What comes before it is read: by default 4 MiB for each request.
			MaxReceiveBufferPerStream:     answerRead,
			MaxReceiveBufferPerConnection: 1 << 20,
			// A connection that takes nothing, or has gone without a word, would fail its requests one by one, for minutes; one
			// whose writes hang would keep a goroutine of each.
			WriteByteTimeout: handshake,
			SendPingTimeout:  silence,
			PingTimeout:      handshake,
		},
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
	return &client{small: small, http: c, transport: t, guard: g, userAgent: userAgent, reach: reach}
}

func (c *client) close() {
	c.small.CloseIdleConnections()
	c.transport.CloseIdleConnections()
}

// send makes the request of an attempt that began at started and ends at the deadline. A target may answer before it has
// read the body: then that may be read for a moment longer, unless kept is false.
func (c *client) send(ctx context.Context, t *target, rq outgoing, fields []http1.Field, started, deadline time.Time) (a http1.Answer, kept bool, err error) {
	if c.small.Takes(rq.endpoint, len(rq.body)) {
		a, err = c.small.Send(ctx, deadline, rq.endpoint, fields, rq.body)
		if err != nil && broken(ctx, started, err) {
			a, err = c.small.Send(ctx, deadline, rq.endpoint, fields, rq.body)
			started = time.Time{} // it was repeated: net/http, if it is for that now, must not repeat it again
		}
		if !errors.Is(err, http1.ErrOther) {
			return a, false, err
		}
	}
	a, err = c.large(ctx, t, rq, fields, started, deadline)
	return a, true, err
}

// large makes a request with net/http.
func (c *client) large(ctx context.Context, t *target, rq outgoing, fields []http1.Field, started, deadline time.Time) (http1.Answer, error) {
	method := http.MethodPost
	if t.shape != nil {
		method = t.shape.method
	}
	var body any // nil is no body, an empty one is something else
	if method != http.MethodGet {
		body = rq.body
	}
	watch := &http1.Watch{}
	ctx, cancel := context.WithDeadline(watch.Trace(context.WithValue(ctx, startedKey{}, started)), deadline)
	req, err := retryablehttp.NewRequestWithContext(ctx, method, "", body)
	if err != nil {
		cancel()
		return http1.Answer{}, err
	}
	req.URL = t.url
	req.Host = t.url.Host
	if method == http.MethodGet {
		// net/http repeats a GET on its own, as often as there are idle connections that break, unless its body can be had once.
		req.Body, req.GetBody = struct{ io.ReadCloser }{http.NoBody}, nil
	}
	if rq.query != "" {
		other := *t.url
		other.RawQuery, other.ForceQuery = rq.query, false
		req.URL = &other
	}
	for _, f := range t.fields {
		req.Header[f.Name] = []string{f.Value}
	}
	for _, f := range fields {
		req.Header[f.Name] = []string{f.Value}
	}
	resp, err := c.http.Do(req)
	phases := watch.Phases()
	if err != nil {
		cancel()
		return http1.Answer{Phases: phases}, err
	}
	if resp.TLS != nil && resp.ProtoMajor == 1 && t.endpoint != nil {
		c.small.Learn(t.endpoint)
	}
	a := http1.Answer{Status: resp.StatusCode, Header: resp.Header, Phases: phases}
	if resp.Body == http.NoBody {
		cancel()
	} else {
		a.Body = &largeBody{ReadCloser: resp.Body, cancel: cancel}
	}
	return a, nil
}

// largeBody is the body of an answer that net/http reads.
type largeBody struct {
	io.ReadCloser
	cancel context.CancelFunc
	late   *time.Timer
}

func (b *largeBody) Within(d time.Duration) { b.late = time.AfterFunc(d, b.cancel) }

func (b *largeBody) Close() error {
	if b.late != nil {
		b.late.Stop()
	}
	defer b.cancel()
	return b.ReadCloser.Close()
}

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
	started, ok := ctx.Value(startedKey{}).(time.Time)
	return ok && err != nil && broken(ctx, started, err), nil
}

func broken(ctx context.Context, started time.Time, err error) bool {
	return ctx.Err() == nil && time.Since(started) <= immediate && judgeError(err) == ReasonConnectionReset
}
