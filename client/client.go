package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client speaks to one rowhook. Its methods may be called from any goroutine. They return an *Error for an answer other
// than success.
type Client struct {
	// URL is the API's, with its base path: http://127.0.0.1:8477/api/v1.
	URL string
	// Token logs in. It is sent only to the host of URL.
	Token string
	// HTTP does the requests. Nil is one with a timeout of 30 seconds.
	HTTP *http.Client
}

// maxAnswer bounds what is read of an answer: a page of 1000 subscriptions at their limits.
const maxAnswer = 256 << 20

// fallback is the HTTP client of a Client without one. It follows no redirects: rowhook sends none, and what does is not
// to get the token.
var fallback = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// nextPage is the address that the Link header gives for rel="next", or "". It must stay on the host, which gets the
// token.
func nextPage(from string, header http.Header) (string, error) {
	for _, link := range header.Values("Link") {
		target, params, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
		if !ok || !strings.Contains(params, `rel="next"`) {
			continue
		}
		base, err := url.Parse(from)
		if err != nil {
			return "", errors.New("follow link to the next page: the client's URL is not a URL")
		}
		u, err := base.Parse(target)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
			return "", errors.New("follow link to the next page: it leads to another host")
		}
		return u.String(), nil
	}
	return "", nil
}

// Create makes a subscription and returns it with its secret, which cannot be read again.
func (c *Client) Create(ctx context.Context, s *Subscription) (*Subscription, error) {
	return c.one(ctx, http.MethodPost, "", s)
}

// CreateWith is Create with the members by their names on the wire.
func (c *Client) CreateWith(ctx context.Context, members Patch) (*Subscription, error) {
	return c.one(ctx, http.MethodPost, "", members)
}

// Get returns the subscription.
func (c *Client) Get(ctx context.Context, id string) (*Subscription, error) {
	return c.one(ctx, http.MethodGet, id, nil)
}

// Update changes what the patch holds and returns the subscription as it is then.
func (c *Client) Update(ctx context.Context, id string, p Patch) (*Subscription, error) {
	return c.one(ctx, http.MethodPatch, id, p)
}

// Replace makes the subscription what s is, and returns it. What s leaves out goes back to its default; the secret, and
// credentials shown as ***, stay. Read-only members of s are ignored.
func (c *Client) Replace(ctx context.Context, id string, s *Subscription) (*Subscription, error) {
	return c.one(ctx, http.MethodPut, id, s)
}

// ReplaceWith is Replace with the members by their names on the wire.
func (c *Client) ReplaceWith(ctx context.Context, id string, members Patch) (*Subscription, error) {
	return c.one(ctx, http.MethodPut, id, members)
}

// Delete deletes the subscription. One that is not there is an *Error with Status 404.
func (c *Client) Delete(ctx context.Context, id string) error {
	at, err := c.subscription(id)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodDelete, at, nil, nil)
	return err
}

// Resume ends a pause, and lets replication go on where it is held up until a person decides. It needs an admin's token. That there is
// nothing to resume, or that acceptGap is needed, is an *Error with Status 409.
func (c *Client) Resume(ctx context.Context, acceptGap bool) (*Resumed, error) {
	return c.ResumeAs(ctx, Resume{AcceptGap: acceptGap})
}

// ResumeAs is Resume with all that can be said.
func (c *Client) ResumeAs(ctx context.Context, said Resume) (*Resumed, error) {
	at, err := c.address("/resume")
	if err != nil {
		return nil, err
	}
	r := new(Resumed)
	if _, err := c.do(ctx, http.MethodPost, at, said, r); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenAPI returns the OpenAPI document of the API. It needs no token.
func (c *Client) OpenAPI(ctx context.Context) (json.RawMessage, error) {
	at, err := c.address("/openapi.json")
	if err != nil {
		return nil, err
	}
	var document json.RawMessage
	_, err = c.do(ctx, http.MethodGet, at, nil, &document)
	return document, err
}

// Alive returns the version of the rowhook that answers. It needs no token.
func (c *Client) Alive(ctx context.Context) (version string, err error) {
	at, err := c.root("/healthz")
	if err != nil {
		return "", err
	}
	resp, err := c.send(ctx, http.MethodGet, at, nil, "")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", readError(resp)
	}
	var health struct {
		Version string `json:"version"`
	}
	return health.Version, decode(resp, &health)
}

// Ready returns the readiness. That rowhook is not ready is no error.
func (c *Client) Ready(ctx context.Context) (*Readiness, error) {
	at, err := c.root("/readyz")
	if err != nil {
		return nil, err
	}
	// Without the token: the route needs none.
	resp, err := c.send(ctx, http.MethodGet, at, nil, "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && (resp.StatusCode != http.StatusServiceUnavailable || isProblem(resp)) {
		return nil, readError(resp)
	}
	r := new(Readiness)
	if err := decode(resp, r); err != nil {
		return nil, err
	}
	return r, nil
}

var errNoURL = errors.New(`the client's URL is not one such as "http://127.0.0.1:8477/api/v1"`)

// root is the URL of a path beside the API.
func (c *Client) root(path string) (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return "", errNoURL
	}
	return (&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: path}).String(), nil
}

// address is the URL of a route under the base path.
func (c *Client) address(route string) (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return "", errNoURL
	}
	u.RawQuery, u.Fragment = "", ""
	return strings.TrimSuffix(u.String(), "/") + route, nil
}

func (c *Client) subscription(id string) (string, error) {
	// An empty one would make it another route.
	if id == "" || id == "." || id == ".." {
		return "", fmt.Errorf("%q is not the id of a subscription: give one that begins with sub_", id)
	}
	return c.address("/subscription/" + url.PathEscape(id) + "/")
}

// one does a request that a subscription answers; without an id, on the collection.
func (c *Client) one(ctx context.Context, method, id string, body any) (*Subscription, error) {
	var at string
	var err error
	if method == http.MethodPost {
		at, err = c.address("/subscription/")
	} else {
		at, err = c.subscription(id)
	}
	if err != nil {
		return nil, err
	}
	s := new(Subscription)
	if _, err := c.do(ctx, method, at, body, s); err != nil {
		return nil, err
	}
	return s, nil
}

// do sends body, unless nil, and decodes the answer into out, unless nil.
func (c *Client) do(ctx context.Context, method, at string, body, out any) (http.Header, error) {
	resp, err := c.send(ctx, method, at, body, c.Token)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, readError(resp)
	}
	if out != nil {
		if err := decode(resp, out); err != nil {
			return nil, err
		}
	}
	return resp.Header, nil
}

// send does the request. The caller closes the answer's body.
func (c *Client) send(ctx context.Context, method, at string, body any, token string, headers ...http.Header) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, at, content)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil || method == http.MethodPost {
		// Without a body too: behind the application's login it is what tells a client from a page.
		contentType := "application/json"
		if method == http.MethodPatch {
			contentType = "application/merge-patch+json"
		}
		req.Header.Set("Content-Type", contentType)
	}
	for _, h := range headers {
		maps.Copy(req.Header, h)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	h := c.HTTP
	if h == nil {
		h = fallback
	}
	return h.Do(req)
}

func decode(resp *http.Response, out any) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("decode answer: %w: is the URL rowhook's, with its base path?", err)
	}
	return nil
}

func isProblem(resp *http.Response) bool {
	t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return t == "application/problem+json"
}

// readError makes an *Error of an answer, also of one that does not come from rowhook.
func readError(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	if !isProblem(resp) {
		return e
	}
	var p Problem
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p) == nil {
		e.Title, e.Detail, e.Fields, e.ID, e.Oldest = p.Title, p.Detail, p.Errors, p.ID, p.Oldest
	}
	return e
}
