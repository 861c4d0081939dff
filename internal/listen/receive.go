package listen

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// ReceiveOptions say how a receiver answers.
type ReceiveOptions struct {
	Output
	// Bind is the address to listen at.
	Bind string
	// Secret checks signatures; empty does not.
	Secret string
	// Fail is the share of requests that fail, from 0 to 1: by the Status, with RetryAfter where it is not 0; or they Hang, or have
	// their connections Reset.
	Fail        float64
	Status      int
	RetryAfter  time.Duration
	Hang, Reset bool
	// Delay passes before each answer; Drip between the bytes of its body.
	Delay, Drip time.Duration
}

// dripped is the body of an answer that drips.
const dripped = `{"received":true}`

// receiver shows what arrives.
type receiver struct {
	ReceiveOptions
	print printer
	*memory
	// hangs says that the request that arrives next gets no answer: scripts and what is told of requests take turns.
	hangs bool
}

// Receive is a target until ctx is done.
func Receive(ctx context.Context, o ReceiveOptions) (Summary, error) {
	if o.Secret != "" {
		if _, err := (subscriptions.SigningSecret{Secret: secret.String(o.Secret)}).Key(); err != nil {
			return Summary{}, fmt.Errorf("the secret %w", err)
		}
	}
	r := &receiver{ReceiveOptions: o, print: printer{Output: o.Output}, memory: newMemory()}
	failure := hooktest.Status(o.Status)
	switch {
	case o.Hang:
		failure = hooktest.Hang()
	case o.Reset:
		failure = hooktest.Reset()
	case o.RetryAfter > 0:
		failure = failure.With("Retry-After", strconv.Itoa(int(o.RetryAfter/time.Second)))
	}
	chance := hooktest.FailRate(o.Fail, rand.Uint64(), failure)
	open, err := hooktest.Start(hooktest.Options{Addr: o.Bind, Keep: 1, OnRequest: r.arrived, Script: func(q hooktest.Request) hooktest.Answer {
		if a, ok := agreed(q); ok {
			return a
		}
		a := chance(q)
		a.Delay, r.hangs = o.Delay, a.Hang
		if o.Drip > 0 && !a.Hang && a.Break == 0 {
			a.Body, a.Pace = dripped, o.Drip
		}
		return a
	}})
	if err != nil {
		return Summary{}, err
	}
	r.print.note("receiving at %s", open.URL("/"))
	if o.Secret == "" {
		r.print.note("signatures are not checked: --secret is missing")
	}
	<-ctx.Done()
	open.Close()
	r.print.sum(r.Summary)
	return r.Summary, nil
}

// agreed answers those who ask whether hooks are wanted, in both ways.
func agreed(q hooktest.Request) (hooktest.Answer, bool) {
	if value := q.Header.Get("X-Hook-Secret"); value != "" {
		return hooktest.OK().With("X-Hook-Secret", value), true
	}
	if query, err := url.ParseQuery(q.Query); err == nil && q.Method == http.MethodGet && q.ID == "" && query.Has("challenge") {
		a := hooktest.OK().With("Content-Type", "text/plain")
		a.Body = query.Get("challenge")
		return a, true
	}
	return hooktest.Answer{}, false
}

// arrived shows a request. It is called one at a time.
func (r *receiver) arrived(q hooktest.Request) {
	if _, asked := agreed(q); asked {
		r.print.note("asked whether hooks are wanted: they are")
		return
	}
	content, err := signedContent(q.Method, q.Query, q.Header, q.Body)
	if err == nil && q.BodyErr != nil {
		err = q.BodyErr
	}
	whole := hook{ID: q.ID, Type: q.Type, Position: q.Position, Attempt: q.Attempt, Replay: q.Header.Get("Webhook-Replay") != "", arrived: q.At}
	if err != nil {
		whole.Signature, whole.Problem = signatureBad, err.Error()
	} else {
		whole.check(q.Header, content, r.Secret)
	}
	q.Body = content
	answered := answer{Status: q.Answered}
	switch {
	case r.hangs:
		answered = answer{Error: "no answer"}
	case q.Answered == 0:
		answered.Error = "the connection was broken"
	}
	taken := answered.delivered() && whole.Signature != signatureBad
	for _, one := range hooktest.Split([]hooktest.Request{q}) {
		h := whole
		h.ID, h.Type, h.Position = one.ID, one.Type, one.Position
		r.read(&h, one)
		r.memory.take(&h)
		if !taken {
			r.Failed++
			if !h.Duplicate {
				delete(r.ids, h.ID) // it comes again
			}
		}
		h.Answers = []answer{answered}
		r.print.begin(&h)
		r.print.answered("", answered)
		r.print.end(&h)
	}
}

// read takes from a body what it tells.
func (r *receiver) read(h *hook, q hooktest.Request) {
	var body map[string]json.RawMessage
	if q.Method == http.MethodGet || json.Unmarshal(q.Body, &body) != nil || body == nil {
		return // a form, or nothing that is known
	}
	var m hooktest.Message
	_ = json.Unmarshal(q.Body, &m)
	h.Data, h.previous = body["data"], body["previous"]
	if h.Data == nil && body["hook"] == nil && m.Type == "" {
		h.Data = q.Body // the representation alone
	}
	if m.Type == "" {
		m.Type, m.Data = h.Type, h.Data
	}
	if h.Instance = m.Instance(); strings.HasPrefix(m.Type, "rowhook.") {
		h.Instance = ""
	}
	at := m.Timestamp
	if at == "" {
		_ = json.Unmarshal(body["time"], &at) // CloudEvents
	}
	if t, err := time.Parse(time.RFC3339Nano, at); err == nil {
		h.committed(t)
	}
}
