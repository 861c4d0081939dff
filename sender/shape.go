package sender

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

// shape is how the requests of a subscription with a request block are made. One without has none, and takes a shorter way.
type shape struct {
	format Format
	in     Envelope
	form   bool
	method string
	scheme scheme
	keys   []schemeKey
	// address is the URL without its query and its credentials.
	address string
	// bodyInURL says that the hash of the body is in the URL, because the signature is over that alone.
	bodyInURL bool
	// maxBody bounds messages, in bytes; 0 does not. gzip says that bodies are compressed.
	maxBody int
	gzip    bool
	// tokens are those of OAuth 2.0; nil for another login, or none.
	tokens *tokens
}

const formType = "application/x-www-form-urlencoded"

// newShape is that of a subscription with a request block. The fields are those that all its requests have.
func newShape(s *subscriptions.Subscription, u *url.URL, c *client, around Envelope) (*shape, []http1.Field, error) {
	r := s.Request
	if r == nil {
		r = &subscriptions.Request{}
	}
	x := &shape{format: formatOf(r.Format), in: around, form: r.IsForm(), method: r.Method, scheme: schemes[s.RequestSignature()]}
	if x.method == "" {
		x.method = http.MethodPost
	}
	x.in.Subscription, x.in.Target = s.ID, s.ShownTarget()
	x.in.batch = s.Delivery.Batch != nil
	x.maxBody, x.gzip = maxBodyOf(s, around.maxBody), r.Compression == subscriptions.CompressionGzip
	var taken []string
	if x.in.batch {
		taken = x.format.inBatch
	}
	if x.maxBody > 0 {
		taken = slices.Concat(taken, omittedMembers)
	}
	x.in.custom = x.format.customMembers(r.CustomData, taken...)
	var err error
	if x.keys, err = x.scheme.keysOf(s.Secrets); err != nil {
		return nil, nil, err
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	x.address = u.Scheme + "://" + u.Host + path
	x.bodyInURL = s.RequestSignature() == subscriptions.SignatureTwilio && !x.form
	contentType := x.format.ContentType
	if x.in.batch {
		contentType = x.format.BatchType
	}
	if x.form {
		contentType = formType
	}
	fields := commonFields(contentType, c.userAgent)
	if x.method == http.MethodGet {
		fields = fields[1:] // there is no body
	}
	for _, h := range r.Headers {
		fields = append(fields, http1.Field{Name: h.Name, Value: h.Value.Reveal()})
	}
	if a := r.Auth; a != nil {
		switch a.Type {
		case subscriptions.AuthBearer:
			fields = append(fields, http1.Field{Name: "Authorization", Value: "Bearer " + a.Token.Reveal()})
		case subscriptions.AuthBasic:
			both := base64.StdEncoding.EncodeToString([]byte(a.Username.Reveal() + ":" + a.Password.Reveal()))
			fields = append(fields, http1.Field{Name: "Authorization", Value: "Basic " + both})
		case subscriptions.AuthHeader:
			fields = append(fields, http1.Field{Name: a.Name, Value: a.Value.Reveal()})
		case subscriptions.AuthOAuth2:
			if x.tokens, err = newTokens(a, c); err != nil {
				return nil, nil, err
			}
		}
	}
	return x, fields, nil
}

// shaped makes the attempt.
func (t *target) shaped(ctx context.Context, a attempt) Outcome {
	started := time.Now()
	deadline := started.Add(a.timeout)
	out := Outcome{Started: started}
	buf := bodies.Get().(*[]byte)
	*buf = slices.Grow((*buf)[:0], t.shape.size(&a))
	rq, fields, err := t.compose(a, started, buf)
	if err != nil {
		return out.failed(ReasonConfiguration, err)
	}
	if (t.shape.form || rq.compressed) && cap(*buf) > bodyKept {
		*buf = nil // the JSON is not needed any more
	}
	if a.composed != nil {
		a.composed(max(len(rq.body), len(rq.query)))
	}
	var kept bool
	if t.shape.tokens == nil {
		out, kept = t.exchange(ctx, rq, fields, started, deadline)
	} else {
		out, kept = t.withToken(ctx, rq, fields, started, deadline)
	}
	if !kept && cap(*buf) <= bodyKept {
		bodies.Put(buf)
	}
	return out
}

// size is about how large the JSON of an attempt is.
func (x *shape) size(a *attempt) int {
	if a.messages == nil {
		return bodySize(x.format.Name, a.event) + len(x.in.custom)
	}
	n := 0
	for _, ev := range a.messages {
		n += bodySize(x.format.Name, ev) + len(x.in.custom) + messageOverhead
	}
	return n
}

// compose makes the request. The body of its JSON is written into buf.
func (t *target) compose(a attempt, at time.Time, buf *[]byte) (rq outgoing, fields []http1.Field, err error) {
	x := t.shape
	content, omitted, err := x.content(&a, buf)
	if err != nil {
		return rq, nil, err
	}
	var keys [][]byte
	if x.scheme.key != nil {
		if keys, err = x.scheme.keysAt(x.keys, at, a.number); err != nil {
			return rq, nil, err
		}
	}
	if x.scheme.parameter != nil {
		p := x.scheme.parameter(keys[0], parametersOf(string(content)))
		if len(content) > 0 {
			content = append(content, '&')
		}
		content = append(content, p.name+"="+url.QueryEscape(p.value)...)
	}
	rq.endpoint, rq.body = t.endpoint, content
	query := t.url.RawQuery
	switch {
	case x.method == http.MethodGet:
		rq.query = joinQuery(query, string(content))
		content, rq.body = []byte(rq.query), nil
	case x.bodyInURL:
		sum := sha256.Sum256(content)
		rq.query = joinQuery(query, "bodySHA256="+hex.EncodeToString(sum[:]))
	}
	if rq.query != "" {
		query = rq.query
		if t.endpoint != nil {
			rq.endpoint = t.endpoint.WithQuery(query)
		}
	}
	var ok bool
	if fields, ok = a.appendFields(make([]http1.Field, 0, 10), t.signer, at, content); !ok {
		return rq, nil, errNoSecret
	}
	if x.scheme.headers != nil {
		m := &signable{id: a.event.ID, timestamp: strconv.FormatInt(at.Unix(), 10), url: x.address, query: x.method == http.MethodGet, form: x.form,
			content: content}
		if query != "" {
			m.url += "?" + query
		}
		fields = append(fields, x.scheme.headers(keys, m)...)
	}
	if omitted {
		fields = append(fields, omittedHeader)
	}
	if x.gzip && len(rq.body) >= compressFrom {
		// What was signed is what a receiver's framework hands on.
		rq.body, rq.compressed = compressed(rq.body), true
		fields = append(fields, gzipHeader)
	}
	return rq, fields, nil
}

// content is the JSON of an attempt, written into buf, or the form that is made of it. Omitted says that its data was left out.
func (x *shape) content(a *attempt, buf *[]byte) (content []byte, omitted bool, err error) {
	if a.messages != nil {
		*buf = x.appendBatch(*buf, a.messages)
		return *buf, false, nil
	}
	*buf, omitted = x.append(*buf, a.event)
	if !x.form {
		return *buf, omitted, nil
	}
	content, err = appendForm(nil, *buf)
	if !omitted && (errors.Is(err, errFormTooLarge) && x.omits(a.event, x.maxBody+1) || x.omits(a.event, len(content))) {
		*buf = x.appendWithout((*buf)[:0], a.event)
		content, err = appendForm(nil, *buf)
		omitted = true
	}
	return content, omitted, err
}

// joinQuery adds to a target's own query.
func joinQuery(own, more string) string {
	if own == "" {
		return more
	}
	return own + "&" + more
}
