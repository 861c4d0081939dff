package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

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
)

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
// attempt is Interrupted. The body must not be changed afterwards either: a target may answer before it has read it.
func (t *target) send(ctx context.Context, a attempt, body []byte) Outcome {
	started := time.Now()
	out := Outcome{Started: started}
	signature := t.signer.sign(nil, a.event.ID, started, body)
	if len(signature) == 0 {
		return out.failed(ReasonConfiguration, errNoSecret)
	}
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
	h["Webhook-Signature"] = []string{string(signature)}
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
	late := time.AfterFunc(answerTime, cancel)
	defer late.Stop()
	if out.Verdict != Delivered {
		out.Answer, _ = io.ReadAll(io.LimitReader(resp.Body, answerKept))
	}
	_, _ = io.CopyN(io.Discard, resp.Body, answerRead-int64(len(out.Answer)))
	return out
}
