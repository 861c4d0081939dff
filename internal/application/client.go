package application

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowhook/rowhook/internal/secret"
)

const (
	// AtOnce is how many requests of one Client should be under way at most; it keeps as many connections.
	AtOnce = 8
	// maxAnswer bounds an answer, in bytes, where the config allows larger rows.
	maxAnswer = 4 << 20
	// timeout bounds a request, from connecting to the last byte.
	timeout = 10 * time.Second
	// maxRedirects are followed within the application.
	maxRedirects = 3
	// maxHeader bounds the headers of an answer, in bytes.
	maxHeader = 64 << 10
)

// Header is sent with every request. The value is often a token.
type Header struct {
	Name  string
	Value secret.String
}

// Config says where the application is, and as whom it is asked.
type Config struct {
	// URL is app.url: http or https, perhaps with a path, without query.
	URL     string
	Headers []Header
	// MaxBytes bounds an answer, beside 4 MiB. 0: 4 MiB.
	MaxBytes  int64
	UserAgent string
}

// Client asks one application. It may be used by many goroutines.
type Client struct {
	base    string
	headers []Header
	agent   string
	most    int64
	http    *http.Client
}

// New makes a Client. Close lets its connections go.
func New(c Config) *Client {
	most := int64(maxAnswer)
	if c.MaxBytes > 0 {
		most = min(most, c.MaxBytes)
	}
	return &Client{
		base: strings.TrimRight(c.URL, "/"), headers: c.Headers, agent: c.UserAgent, most: most,
		// A jar and the environment's proxies are left out: what is asked is a function of the config alone.
		http: &http.Client{Timeout: timeout, CheckRedirect: within, Transport: &http.Transport{
			MaxIdleConns: AtOnce, MaxIdleConnsPerHost: AtOnce, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: maxHeader, ForceAttemptHTTP2: true, TLSHandshakeTimeout: timeout,
		}},
	}
}

// Close closes connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// URL is where a path is asked for: it holds no credentials.
func (c *Client) URL(path string) string { return c.base + path }

// within follows redirects that stay with the application: the headers are for nobody else.
func within(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > maxRedirects || next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// Get asks for the JSON value at a path, which begins with a / and is percent-encoded. The error is an *Error, or the
// context's.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	failed := &Error{URL: c.URL(path)}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, failed.URL, nil)
	if err != nil {
		failed.Reason = "that is no URL"
		return nil, failed
	}
	req.Header.Set("Accept", "application/json")
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	for _, h := range c.headers {
		if strings.EqualFold(h.Name, "host") {
			req.Host = h.Value.Reveal()
			continue
		}
		req.Header.Set(h.Name, h.Value.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed.unanswered(err)
		return nil, failed
	}
	defer func() { _ = resp.Body.Close() }()
	failed.Status = resp.StatusCode
	if resp.StatusCode != http.StatusOK {
		// A little of the body is read, so that the connection can be used again; none of it is shown.
		_, _ = io.CopyN(io.Discard, resp.Body, 16<<10)
		failed.refused(resp)
		return nil, failed
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.most+1))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		failed.Status = 0
		failed.unanswered(err)
		return nil, failed
	case int64(len(body)) > c.most:
		failed.Reason = fmt.Sprintf("the answer is larger than %d bytes", c.most)
		return nil, failed
	case !json.Valid(body) || !utf8.Valid(body):
		failed.Reason = "the answer is not JSON"
		if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && !strings.Contains(kind, "json") {
			failed.Reason = "the answer is " + kind + ", not JSON"
		}
		failed.Hint = "see that app.url and path lead to the API, and that app.headers has the login that it wants"
		return nil, failed
	}
	return body, nil
}

// cause is the innermost error: those around it repeat the address.
func cause(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
