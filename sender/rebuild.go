package sender

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

// hidden stands for what is not shown.
const hidden = "***"

// Rebuilt is what the attempts of a delivery have in common, as they would be made now, for people to look at. Values that are the
// subscriber's own, logins and signatures are hidden, and left out of form and query. Of a batch it has this delivery's message alone.
type Rebuilt struct {
	Method string
	// URL is without credentials.
	URL string
	// Headers are those of every attempt: its own ones, such as webhook-timestamp, are not among them.
	Headers []Header
	// Body is empty for a GET, whose query has it. It is what was there before any compression.
	Body []byte
}

// Rebuild makes the request by which a subscription is sent an event. An error says why it cannot be sent to.
func (d *Dispatcher) Rebuild(s *subscriptions.Subscription, ev *mapping.Event) (*Rebuilt, error) {
	if s.TargetURL == "" {
		return nil, errors.New("the subscription has no target")
	}
	d.mu.Lock()
	c, around := d.accounts, d.cfg.envelope()
	if s.Admin {
		c = d.admin
	}
	d.mu.Unlock()
	t, err := newTarget(s, c, around)
	if err != nil {
		return nil, err
	}
	if t.mayOmit(ev) {
		t = t.omitting
	}
	r := &Rebuilt{Method: http.MethodPost, URL: s.ShownTarget()}
	var content []byte
	omitted := false
	if x := t.shape; x == nil {
		content = AppendStandard(nil, ev)
	} else {
		r.Method = x.method
		a := attempt{event: ev}
		if t.batch {
			a.gather([]*mapping.Event{ev})
		}
		if content, omitted, err = x.content(&a, new([]byte)); err != nil {
			return nil, err
		}
		ev = a.event
	}
	plain := 2 // content type and user agent
	if r.Method == http.MethodGet {
		plain = 1 // there is no body
		join := "?"
		if strings.Contains(r.URL, "?") {
			join = "&"
		}
		r.URL += join + string(content)
	} else {
		r.Body = content
	}
	for i, f := range t.fields {
		if i >= plain {
			f.Value = hidden
		}
		r.Headers = append(r.Headers, Header(f))
	}
	if t.url.User != nil || t.shape != nil && t.shape.tokens != nil {
		r.Headers = append(r.Headers, Header{"Authorization", hidden})
	}
	r.Headers = append(r.Headers, Header{"Webhook-Id", ev.ID}, Header{"Webhook-Type", ev.Type}, Header{"Webhook-Position", ev.Position.String()})
	if t.signer != nil {
		r.Headers = append(r.Headers, Header{"Webhook-Signature", hidden})
	}
	for _, f := range t.shape.signedBy(content) {
		r.Headers = append(r.Headers, Header{f.Name, hidden})
	}
	if omitted {
		r.Headers = append(r.Headers, Header(omittedHeader))
	}
	if x := t.shape; x != nil && x.gzip && len(r.Body) >= compressFrom {
		r.Headers = append(r.Headers, Header(gzipHeader))
	}
	return r, nil
}

// signedBy are the headers of the scheme.
func (x *shape) signedBy(content []byte) []http1.Field {
	if x == nil || x.scheme.headers == nil || len(x.keys) == 0 {
		return nil
	}
	return x.scheme.headers([][]byte{x.keys[0].bytes}, &signable{timestamp: "0", url: x.address, query: x.method == http.MethodGet, form: x.form, content: content})
}
