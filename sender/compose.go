package sender

import (
	"net/http"
	"time"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// Composing is what an attempt knows beside its subscription and its event.
type Composing struct {
	// Around is what bodies say beside the event, UserAgent what requests call themselves.
	Around    Envelope
	UserAgent string
	// Number counts the attempts from 1; RetryReason is why the one before failed. Replay says that the event is sent again.
	Number      int
	RetryReason string
	Replay      bool
	At          time.Time
}

// Composed is a request as it is sent.
type Composed struct {
	Method string
	// URL is with query and credentials.
	URL string
	// Headers are all but those that say how the request is transferred, and the login that the URL holds.
	Headers []Header
	// Body is nil for a GET.
	Body []byte
}

// Compose makes the request by which an attempt sends an event to a subscription, whatever its target, without sending it: by the
// code of the attempts. A login by OAuth 2.0 is left out. An error names no secret.
func Compose(s *subscriptions.Subscription, ev *mapping.Event, c Composing) (*Composed, error) {
	t, err := newTarget(s, &client{guard: Guard{AllowHTTP: true}, userAgent: c.UserAgent, reach: &reach{}, onlyLarge: true}, c.Around)
	if err != nil {
		return nil, err
	}
	if t.mayOmit(ev) {
		t = t.omitting
	}
	a := attempt{event: ev, number: c.Number, retryReason: c.RetryReason, replay: c.Replay}
	out := &Composed{Method: http.MethodPost}
	at := *t.url
	all := t.fields
	if t.shape == nil {
		out.Body = AppendStandard(nil, ev)
		var ok bool
		if all, ok = a.appendFields(all, t.signer, c.At, out.Body); !ok {
			return nil, errNoSecret
		}
	} else {
		if t.batch {
			a.gather([]*mapping.Event{ev})
		}
		rq, fields, err := t.compose(a, c.At, new([]byte))
		if err != nil {
			return nil, err
		}
		if rq.query != "" {
			at.RawQuery, at.ForceQuery = rq.query, false
		}
		out.Method, out.Body, all = t.shape.method, rq.body, append(all, fields...)
	}
	out.URL = at.String()
	for _, f := range all {
		out.Headers = append(out.Headers, Header(f))
	}
	return out, nil
}

// ReasonOf is the typed reason of an attempt that ended with an error of net/http.
func ReasonOf(err error) string { return judgeError(err) }

// WithoutURL is an error of net/http without the URL in it, which may hold credentials.
func WithoutURL(err error) error { return withoutURL(err) }
