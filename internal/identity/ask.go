package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowhook/rowhook/mapping"
)

const (
	// askTimeout bounds a question, from connecting to the last byte.
	askTimeout = 10 * time.Second
	// maxAnswer bounds what says who calls, maxRefusal what the application tells a caller whom it refuses; in bytes.
	maxAnswer  = 1 << 20
	maxRefusal = 64 << 10
	// askAtOnce bounds the questions under way.
	askAtOnce = 64
)

// forwarded are the headers that say on whose behalf a proxy asks.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Real-Ip"}

// asker asks the application.
type asker struct {
	url            string
	account, allow *mapping.Formula
	headers        []string
	agent          string
	forward        func(question, caller *http.Request)
	transport      *http.Transport
	timeout        time.Duration
	slots          chan struct{}
	cache          *cache
	teller         teller
}

func newAsker(c Config, o Options) (*asker, error) {
	account, allow, err := formulas("proxy.identity", c.Account, c.Allow)
	if err != nil {
		return nil, err
	}
	at := strings.TrimRight(o.AppURL, "/") + c.Path
	if u, err := url.Parse(at); err != nil || u.Host == "" {
		return nil, errors.New("proxy.identity.path cannot be asked for: app.url is no URL")
	}
	a := &asker{
		teller: teller{log: o.Log},
		url:    at, account: account, allow: allow, agent: o.UserAgent, forward: o.Forward, timeout: askTimeout,
		slots: make(chan struct{}, askAtOnce), cache: newCache(c.Cache),
		// A jar and the environment's proxies are left out: the credentials go to the application and nowhere else.
		transport: &http.Transport{
			MaxIdleConns: askAtOnce, MaxIdleConnsPerHost: askAtOnce, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: maxRefusal, ForceAttemptHTTP2: true, TLSHandshakeTimeout: askTimeout,
		},
	}
	names := c.Headers
	if len(names) == 0 {
		names = DefaultHeaders
	}
	for _, name := range names {
		a.headers = append(a.headers, http.CanonicalHeaderKey(name))
	}
	slices.Sort(a.headers)
	a.headers = slices.Compact(a.headers)
	if a.forward == nil {
		a.forward = forwardPeer
	}
	return a, nil
}

// forwardPeer says that the request came from its peer, and believes nothing else of it.
func forwardPeer(question, caller *http.Request) {
	question.Host = caller.Host
	if host, _, err := net.SplitHostPort(caller.RemoteAddr); err == nil {
		question.Header.Set("X-Forwarded-For", host)
	}
	question.Header.Set("X-Forwarded-Host", caller.Host)
	question.Header.Set("X-Forwarded-Proto", "http")
	if caller.TLS != nil {
		question.Header.Set("X-Forwarded-Proto", "https")
	}
}

func (a *asker) Strip(*http.Request) {}

func (a *asker) Close() { a.transport.CloseIdleConnections() }

// Who asks the application, unless it has answered the same question of the same caller just now.
func (a *asker) Who(r *http.Request) (Identity, error) {
	q, ok := a.question(r)
	if !ok {
		return Identity{}, unauthorized("log in as for the rest of this API", "")
	}
	return a.cache.get(r.Context(), a.keyOf(q), func(ctx context.Context) (Identity, error) { return a.ask(ctx, q) })
}

// question is what the application is asked. It is false where the caller shows no credentials.
func (a *asker) question(r *http.Request) (*http.Request, bool) {
	q, err := http.NewRequest(http.MethodGet, a.url, nil)
	if err != nil {
		return nil, false // the URL was parsed before
	}
	a.forward(q, r)
	shown := false
	for _, name := range a.headers {
		values := slices.DeleteFunc(slices.Clone(r.Header.Values(name)), func(v string) bool { return strings.TrimSpace(v) == "" })
		if delete(q.Header, name); len(values) > 0 {
			q.Header[name] = values
			shown = true
		}
	}
	q.Header.Set("Accept", "application/json")
	q.Header.Set("User-Agent", a.agent)
	return q, shown
}

// keyOf stands for the credentials, and for whom they were shown on behalf of: all that the answer may depend on.
func (a *asker) keyOf(q *http.Request) digest {
	texts := []string{strings.ToLower(q.Host)}
	for _, names := range [][]string{a.headers, forwarded} {
		for _, name := range names {
			texts = append(texts, name, strconv.Itoa(len(q.Header[name])))
			texts = append(texts, q.Header[name]...)
		}
	}
	return a.cache.digest(texts)
}

// ask sends the question. The context's end is ours, not the caller's.
func (a *asker) ask(ctx context.Context, q *http.Request) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return Identity{}, a.failed(http.StatusServiceUnavailable, fmt.Sprintf("%d questions are under way, and none ends", askAtOnce), "see why the application is slow")
	}
	resp, err := a.transport.RoundTrip(q.WithContext(ctx))
	if err != nil {
		return Identity{}, a.unanswered(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return a.read(ctx, resp)
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusTooManyRequests:
		return Identity{}, passedOn(resp)
	case code >= 300 && code < 400:
		// To its login page: the caller is nobody. Or the path is that of a page.
		a.teller.tell("asked who calls, the application redirects: the caller is refused", "status", code,
			"hint", "if that is everybody, proxy.identity.path has to be a route of the API, which answers 401 to who is not logged in")
		return Identity{}, unauthorized("the application does not know this login", "")
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 16<<10) // so that the connection can be used again
	hint := "see the application's log"
	if resp.StatusCode == http.StatusNotFound {
		hint = "see proxy.identity.path and app.url"
	}
	return Identity{}, a.failed(http.StatusBadGateway, fmt.Sprintf("the application answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)), hint)
}

// read makes an identity of an answer.
func (a *asker) read(ctx context.Context, resp *http.Response) (Identity, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Identity{}, a.unanswered(ctx, err)
	case len(body) > maxAnswer:
		return Identity{}, a.failed(http.StatusBadGateway, fmt.Sprintf("the answer is larger than %d bytes", maxAnswer), "ask for less: proxy.identity.path")
	}
	o, ok := mapping.ReadObject(body)
	if !ok || !utf8.Valid(body) {
		return Identity{}, a.failed(http.StatusBadGateway, fmt.Sprintf("the application answers %d with what is no JSON object", resp.StatusCode),
			"proxy.identity.path has to be a route of the API that says who is logged in, and 401 to who is not")
	}
	id, err := look(a.account, a.allow, o)
	a.teller.none(err, a.account, o)
	var e *Error
	if errors.As(err, &e) && e.Err != nil {
		e.Err = fmt.Errorf("ask %s who calls: %w", a.url, e.Err)
	}
	return id, err
}

// passedOn is the application's own refusal.
func passedOn(resp *http.Response) *Error {
	e := &Error{Status: resp.StatusCode, Header: http.Header{}}
	for _, name := range []string{"Www-Authenticate", "Content-Type", "Retry-After"} {
		if values := resp.Header.Values(name); len(values) > 0 {
			e.Header[name] = slices.Clone(values)
		}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal+1))
	if err != nil || len(body) > maxRefusal {
		delete(e.Header, "Content-Type")
		e.Detail = "the application refuses this login"
		return e
	}
	e.Body = body
	return e
}

func (a *asker) failed(status int, reason, hint string) *Error {
	return &Error{
		Status: status, Detail: "the application could not be asked who calls: try again",
		Err: fmt.Errorf("ask %s who calls: %s\n  hint: %s", a.url, reason, hint),
	}
}

// unanswered says why there was no answer. The library's text holds an address and no header.
func (a *asker) unanswered(ctx context.Context, err error) *Error {
	if ctx.Err() != nil {
		return a.failed(http.StatusGatewayTimeout, fmt.Sprintf("no answer within %v", a.timeout), "see why the application is slow")
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	reason := err.Error()
	if strings.Contains(reason, "malformed") {
		reason = "what answers there does not speak HTTP" // the message quotes it
	}
	return a.failed(http.StatusBadGateway, reason, "see that the application runs, and that app.url is its address")
}
