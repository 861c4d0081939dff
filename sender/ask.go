package sender

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// VerificationType is the type of the message that asks a target whether it wants what is sent, EndType that of the one
	// that tells it that its subscription is over. No subscription has them among its events.
	VerificationType = mapping.NoticeResource + ".verification"
	EndType          = mapping.NoticeResource + ".unsubscribed"
)

// SecretHeader carries the secret that a target answers to agree.
const SecretHeader = "X-Hook-Secret"

// challengeParameter carries the text that a target answers to agree.
const challengeParameter = "challenge"

// ReasonNotConfirmed: the target answered 2xx, and not with what it was given.
const ReasonNotConfirmed = "not_confirmed"

var (
	errOtherSecret    = errors.New("the answer's " + SecretHeader + " is not the one that was sent")
	errOtherChallenge = errors.New("the answer is not the challenge that was sent")
)

// Verify asks the subscription's target whether it wants what is sent, in the subscription's way, by the rules of every
// attempt, and returns how that ended, and whether the target has agreed. One that was given a secret and answers 2xx without
// it is Delivered, and may confirm later. Like Ping it stores nothing, and no answer changes the subscription.
func (d *Dispatcher) Verify(ctx context.Context, s *subscriptions.Subscription, value secret.String, number int) (out Outcome, agreed bool) {
	q := question{kind: VerificationType, number: number, method: http.MethodPost, fields: []http1.Field{{Name: SecretHeader, Value: value.Reveal()}}}
	if s.Verification == subscriptions.VerifyChallenge {
		q = question{kind: VerificationType, number: number, method: http.MethodGet, query: challengeParameter + "=" + url.QueryEscape(value.Reveal())}
	}
	out, answer := d.ask(ctx, s, q)
	if out.Verdict != Delivered {
		return out, false
	}
	fail := func(err error) (Outcome, bool) { return out.failed(ReasonNotConfirmed, err), false }
	if s.Verification == subscriptions.VerifyChallenge {
		if !answersChallenge(answer.body, value) {
			return fail(errOtherChallenge)
		}
		return out, true
	}
	switch given := answer.header.Values(SecretHeader); {
	case len(given) == 0:
		return out, false
	case len(given) == 1 && same(given[0], value):
		return out, true
	}
	return fail(errOtherSecret)
}

// Wait is how long to wait before the next attempt after so many (from 1) that were no deliveries, by the subscription's
// schedule; false when that is over.
func (d *Dispatcher) Wait(s *subscriptions.Subscription, attempts int) (time.Duration, bool) {
	d.mu.Lock()
	all := d.cfg.Retries
	d.mu.Unlock()
	return nextDelay(retriesOf(s, all), attempts)
}

// TellEnd tells the subscription's target, by one signed DELETE, that it is over.
func (d *Dispatcher) TellEnd(ctx context.Context, s *subscriptions.Subscription, number int) Outcome {
	out, _ := d.ask(ctx, s, question{kind: EndType, number: number, method: http.MethodDelete})
	return out
}

// question is a request that is no delivery, and whose whole answer counts.
type question struct {
	kind, method string
	number       int
	// query is appended to that of the target.
	query  string
	fields []http1.Field
}

// reply is what of an answer counts.
type reply struct {
	header http.Header
	body   []byte
}

// ask makes the request, and reads the answer within the same time: at most answerRead of it.
func (d *Dispatcher) ask(ctx context.Context, s *subscriptions.Subscription, q question) (out Outcome, r reply) {
	t, a, err := d.notice(s, q.kind, q.number)
	ev := a.event
	if out.Started = ev.Time; err != nil {
		return out.failed(ReasonConfiguration, err), r
	}
	var body []byte
	if q.method == http.MethodPost {
		body = AppendStandard(nil, ev)
	}
	fields, signed := a.appendFields(q.fields, t.signer, out.Started, body)
	if !signed {
		return out.failed(ReasonConfiguration, errNoSecret), r
	}
	if x := t.shape; x != nil && !x.scheme.standard && x.scheme.headers != nil {
		// Where this is how webhook-signature is made, there would be none.
		keys, err := x.scheme.keysAt(x.keys, out.Started, q.number)
		if err != nil {
			return out.failed(ReasonConfiguration, err), r
		}
		fields = append(fields, x.scheme.headers(keys, &signable{id: ev.ID, timestamp: strconv.FormatInt(out.Started.Unix(), 10), content: body})...)
	}
	request, cancel := context.WithDeadline(ctx, out.Started.Add(a.timeout))
	defer cancel()
	if t.shape != nil && t.shape.tokens != nil {
		token, err := t.shape.tokens.get(request)
		switch {
		case err != nil && ctx.Err() != nil:
			out.Verdict = Interrupted
			return out, r
		case err != nil:
			if out.Duration = time.Since(out.Started); errors.Is(err, errProxy) {
				return out.failed(ReasonProxy, err), r
			}
			return out.failed(ReasonOAuth2, tokenError(err)), r
		}
		fields = append(fields, http1.Field{Name: "Authorization", Value: "Bearer " + token})
	}
	status, r, err := t.inquire(request, q, fields, body)
	out.Duration = time.Since(out.Started)
	switch {
	case err != nil && ctx.Err() != nil:
		out.Verdict = Interrupted
	case err != nil:
		return out.failed(judgeError(err), err), r
	default:
		out.Status = status
		out.Verdict, out.Reason, _ = judge(status, nil, out.Started)
	}
	return out, r
}

// inquire makes a request of any method, with the connections, the guard, the headers and the login of deliveries. It follows no redirect.
func (t *target) inquire(ctx context.Context, q question, fields []http1.Field, body []byte) (status int, r reply, err error) {
	u := *t.url
	if q.query != "" {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += q.query
	}
	var content io.Reader
	if body != nil {
		content = strings.NewReader(string(body))
	}
	req, err := http.NewRequestWithContext(ctx, q.method, "", content)
	if err != nil {
		return 0, reply{}, err
	}
	req.URL, req.Host = &u, u.Host
	for _, all := range [][]http1.Field{t.fields, fields} {
		for _, f := range all {
			req.Header[f.Name] = []string{f.Value}
		}
	}
	if req.Header.Del("Content-Type"); body != nil {
		req.Header.Set("Content-Type", jsonType) // whatever form its events have
	}
	resp, err := t.client.http.HTTPClient.Do(req)
	if err != nil {
		return 0, reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	r.header = resp.Header
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, r, nil
	}
	if q.query == "" {
		return resp.StatusCode, r, nil // its headers say it all
	}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, answerRead))
	return resp.StatusCode, r, err
}

// answersChallenge says whether a body is the challenge: as it is, as the member of a JSON object, or as that of a form.
func answersChallenge(body []byte, value secret.String) bool {
	text := strings.TrimSpace(string(body))
	if same(text, value) {
		return true
	}
	var object struct {
		Challenge string `json:"challenge"`
	}
	if json.Unmarshal([]byte(text), &object) == nil {
		return same(object.Challenge, value)
	}
	form, err := url.ParseQuery(text)
	return err == nil && same(form.Get(challengeParameter), value)
}

// same compares without telling by the time it takes how much is right.
func same(given string, value secret.String) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(value.Reveal())) == 1
}
