package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender/internal/http1"
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
	url *url.URL
	// fields are the headers that all requests have. endpoint holds them too; it is nil for what only net/http can send to.
	fields   []http1.Field
	endpoint *http1.Endpoint
	signer   *signer
	client   *client
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
	fields := commonFields(c.userAgent)
	return &target{url: u, fields: fields, endpoint: http1.NewEndpoint(http.MethodPost, u, fields...), signer: sig, client: c}, nil
}

// attempt is one request of a delivery.
type attempt struct {
	event *mapping.Event
	// number counts from 1; retryReason is why the one before failed.
	number      int
	retryReason string
	timeout     time.Duration
}

// bodies are buffers for what is sent.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// bodyKept bounds the buffers that are used again, in bytes.
const bodyKept = 64 << 10

// deliver makes the attempt.
func (t *target) deliver(ctx context.Context, a attempt) Outcome {
	buf := bodies.Get().(*[]byte)
	*buf = slices.Grow((*buf)[:0], a.event.Size()+standardOverhead)
	*buf = AppendStandard(*buf, a.event)
	out, kept := t.send(ctx, a, *buf)
	if !kept && cap(*buf) <= bodyKept {
		bodies.Put(buf)
	}
	return out
}

// send makes the request and judges the answer. It returns within the timeout and answerTime. When ctx is done the
// attempt is Interrupted. While kept is true the body must not be changed afterwards either: a target may answer before it
// has read it.
func (t *target) send(ctx context.Context, a attempt, body []byte) (out Outcome, kept bool) {
	started := time.Now()
	out = Outcome{Started: started}
	fields, signed := a.appendFields(make([]http1.Field, 0, 8), t.signer, started, body)
	if !signed {
		return out.failed(ReasonConfiguration, errNoSecret), false
	}
	answer, kept, err := t.client.post(ctx, t, started, started.Add(a.timeout), fields, body)
	out.Duration = time.Since(started)
	if err != nil {
		if ctx.Err() != nil {
			out.Verdict = Interrupted
			return out, kept
		}
		return out.failed(judgeError(err), err), kept
	}
	out.Status = answer.Status
	out.Verdict, out.Reason, out.After = judge(answer.Status, answer.Header, started.Add(out.Duration))
	if answer.Body == nil {
		return out, kept
	}
	defer func() { _ = answer.Body.Close() }()
	// The status has decided. The rest is read for the connection's sake, and of failures for the log.
	answer.Body.Within(answerTime)
	if out.Verdict != Delivered {
		out.Answer, _ = io.ReadAll(io.LimitReader(answer.Body, answerKept))
	}
	_, _ = io.CopyN(io.Discard, answer.Body, answerRead-int64(len(out.Answer)))
	return out, kept
}
