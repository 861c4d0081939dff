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
	// signer makes webhook-signature with v1; nil where there is none.
	signer *signer
	client *client
	// shape is nil for the defaults. batch says that every body is an array of messages.
	shape *shape
	batch bool
	// omitting is the same with a shape, for messages that may be too large; nil where there is no bound, or a shape anyway.
	omitting *target
}

// newTarget makes the target of a subscription. What is around its events is the same for all.
func newTarget(s *subscriptions.Subscription, c *client, around Envelope) (*target, error) {
	return newTargetAt("target_url", s, c, around)
}

// newTargetAt names the field that the URL is from in its errors.
func newTargetAt(field string, s *subscriptions.Subscription, c *client, around Envelope) (*target, error) {
	u, err := url.Parse(s.TargetURL.Reveal())
	if err != nil || u.Host == "" {
		return nil, errors.New(field + " cannot be read")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !c.guard.AllowHTTP) {
		return nil, fmt.Errorf("%s is %s, only https is allowed", field, u.Scheme)
	}
	if c.reach.broken != nil {
		return nil, c.reach.broken
	}
	t := &target{url: u, client: c, batch: s.Delivery.Batch != nil}
	method := http.MethodPost
	if s.Request == nil && !t.batch {
		t.fields = commonFields(jsonType, c.userAgent)
	} else {
		if t.shape, t.fields, err = newShape(s, u, c, around); err != nil {
			return nil, err
		}
		method = t.shape.method
	}
	if t.shape == nil || t.shape.scheme.standard {
		if t.signer, err = newSigner(s.Secrets); err != nil {
			return nil, err
		}
	}
	if !c.onlyLarge {
		t.endpoint = http1.NewEndpoint(method, u, t.fields...)
	}
	if t.shape == nil && maxBodyOf(s, around.maxBody) > 0 {
		other := *t
		if other.shape, _, err = newShape(s, u, c, around); err != nil {
			return nil, err
		}
		t.omitting = &other
	}
	return t, nil
}

// attempt is one request of a delivery.
type attempt struct {
	event *mapping.Event
	// number counts from 1; retryReason is why the one before failed.
	number      int
	retryReason string
	timeout     time.Duration
	// replay says that the event is sent again.
	replay bool
	// traceparent is the header's value, empty for none.
	traceparent string
	// fallback says that it is made at the fallback, and why.
	fallback *Fallback
	// messages are those of a batch; event stands for all of them then.
	messages []*mapping.Event
	// composed, when set, is told how large the body is that was made for it.
	composed func(size int)
}

// bodies are buffers for what is sent.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// bodyKept bounds the buffers that are used again, in bytes.
const bodyKept = 64 << 10

// outgoing is a request as it is sent, but for the headers of the attempt: these would be moved to the heap with it.
type outgoing struct {
	// endpoint is nil for what only net/http can send.
	endpoint *http1.Endpoint
	// query, where it is not empty, takes the place of the URL's.
	query string
	body  []byte
	// compressed says that the body has memory of its own.
	compressed bool
}

// deliver makes the attempt.
func (t *target) deliver(ctx context.Context, a attempt) Outcome {
	if t.shape != nil {
		if t.batch && a.messages == nil {
			a.gather([]*mapping.Event{a.event}) // a notice of ours
		}
		return t.shaped(ctx, a)
	}
	if t.mayOmit(a.event) {
		return t.omitting.shaped(ctx, a)
	}
	buf := bodies.Get().(*[]byte)
	*buf = slices.Grow((*buf)[:0], a.event.Size()+standardOverhead)
	*buf = AppendStandard(*buf, a.event)
	out, kept := t.send(ctx, a, *buf)
	if !kept && cap(*buf) <= bodyKept {
		bodies.Put(buf)
	}
	return out
}

// send makes the request with a body in the format standard.
func (t *target) send(ctx context.Context, a attempt, body []byte) (out Outcome, kept bool) {
	started := time.Now()
	fields, signed := a.appendFields(make([]http1.Field, 0, 8), t.signer, started, body)
	if !signed {
		return Outcome{Started: started}.failed(ReasonConfiguration, errNoSecret), false
	}
	return t.exchange(ctx, outgoing{endpoint: t.endpoint, body: body}, fields, started, started.Add(a.timeout))
}

// exchange makes the request and judges the answer. It returns by the deadline and answerTime. When ctx is done the
// attempt is Interrupted. While kept is true the body must not be changed afterwards either: a target may answer before it
// has read it.
func (t *target) exchange(ctx context.Context, rq outgoing, fields []http1.Field, started, deadline time.Time) (out Outcome, kept bool) {
	out = Outcome{Started: started}
	answer, kept, err := t.client.send(ctx, t, rq, fields, started, deadline)
	out.Duration = time.Since(started)
	out.Timings = timingsOf(answer.Phases, started, out.Duration)
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
