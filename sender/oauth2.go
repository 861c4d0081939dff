package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// tokenMax bounds a token, in bytes: it is a header.
	tokenMax = 16 << 10
	// tokenEarly is how long before its end a token is not used any more.
	tokenEarly = 10 * time.Second
)

// tokens gets the tokens of a target from its token endpoint, by the rules of every request to a target: the same guard, no
// redirects. One is kept until it ends or the target refuses it.
type tokens struct {
	config *clientcredentials.Config
	http   *http.Client
	// asking is taken by whoever asks for a token: the others wait for what he gets.
	asking chan struct{}

	mu    sync.Mutex
	token string
	// until is zero for a token whose end is not known.
	until time.Time
}

func newTokens(a *subscriptions.Auth, c *client) (*tokens, error) {
	u, err := url.Parse(a.TokenURL)
	if err != nil || u.Host == "" {
		return nil, errors.New("token_url cannot be read")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !c.guard.AllowHTTP) {
		return nil, fmt.Errorf("token_url is %s, only https is allowed", u.Scheme)
	}
	cfg := &clientcredentials.Config{ClientID: a.ClientID.Reveal(), ClientSecret: a.ClientSecret.Reveal(), TokenURL: a.TokenURL,
		Scopes: strings.Fields(a.Scope)}
	if a.Audience != "" {
		cfg.EndpointParams = url.Values{"audience": {a.Audience}}
	}
	bounded := *c.http.HTTPClient
	bounded.Transport = shortAnswers{bounded.Transport}
	return &tokens{config: cfg, http: &bounded, asking: make(chan struct{}, 1)}, nil
}

// shortAnswers cuts answers off behind answerRead: the library reads a mebibyte of them, and makes a tree of it.
type shortAnswers struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s shortAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, answerRead), resp.Body}
	}
	return resp, err
}

// get returns a token that is thought to be good.
func (t *tokens) get(ctx context.Context) (string, error) {
	if token := t.kept(); token != "" {
		return token, nil
	}
	select {
	case t.asking <- struct{}{}:
		defer func() { <-t.asking }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if token := t.kept(); token != "" {
		return token, nil
	}
	got, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.http))
	if err != nil {
		return "", err
	}
	if len(got.AccessToken) > tokenMax || strings.IndexFunc(got.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return "", errTokenUnfit
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.until = got.AccessToken, time.Time{}
	if !got.Expiry.IsZero() {
		t.until = got.Expiry.Add(-tokenEarly)
	}
	return t.token, nil
}

var errTokenUnfit = errors.New("the token cannot be sent as a header")

func (t *tokens) kept() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.until.IsZero() && !time.Now().Before(t.until) {
		return ""
	}
	return t.token
}

// refused forgets a token that the target did not take.
func (t *tokens) refused(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

// tokenError is why there is no token, without what the endpoint has written: it may repeat what it was sent.
func tokenError(err error) error {
	var refused *oauth2.RetrieveError
	var failed *url.Error
	switch {
	case errors.As(err, &refused) && refused.Response != nil:
		code := ""
		if c := refused.ErrorCode; c != "" && len(c) <= 40 && strings.Trim(c, "abcdefghijklmnopqrstuvwxyz_") == "" {
			code = " " + c
		}
		return fmt.Errorf("the token endpoint answered %d%s", refused.Response.StatusCode, code)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errors.New("the token endpoint did not answer in time")
	case errors.As(err, &failed):
		return fmt.Errorf("the token endpoint could not be asked: %s: %w", judgeError(err), withoutURL(err))
	case errors.Is(err, errTokenUnfit):
		return err
	}
	return errors.New("the token endpoint's answer holds no token")
}

// withToken makes a request with a token, and once more with another one where the target does not take it.
func (t *target) withToken(ctx context.Context, rq outgoing, plain []http1.Field, started, deadline time.Time) (out Outcome, kept bool) {
	bounded, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for again := range 2 {
		token, err := t.shape.tokens.get(bounded)
		if err != nil {
			out = Outcome{Started: started, Duration: time.Since(started)}
			if ctx.Err() != nil {
				out.Verdict = Interrupted
				return out, kept
			}
			if bounded.Err() != nil {
				err = bounded.Err()
			}
			if errors.Is(err, errProxy) {
				return out.failed(ReasonProxy, err), kept
			}
			return out.failed(ReasonOAuth2, tokenError(err)), kept
		}
		fields := append(plain[:len(plain):len(plain)], http1.Field{Name: "Authorization", Value: "Bearer " + token})
		var held bool
		out, held = t.exchange(ctx, rq, fields, started, deadline)
		kept = kept || held
		if out.Status != http.StatusUnauthorized || out.Verdict != Retry || again > 0 {
			break
		}
		t.shape.tokens.refused(token)
	}
	return out, kept
}
