package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

// Jobs does what takes longer than a request. What cannot be is told by Conflict and Unprocessable.
type Jobs interface {
	// Replay asks for a replay, or counts what it would send again. By is who asks.
	Replay(ctx context.Context, s *subscriptions.Subscription, r client.Replay, by string) (*client.Job, error)
	CountReplay(ctx context.Context, s *subscriptions.Subscription, r client.Replay) (*client.ReplayCount, error)
	// Backfill asks for rows to be sent as they are, or counts them.
	Backfill(ctx context.Context, s *subscriptions.Subscription, r client.Backfill, by string) (*client.Job, error)
	CountBackfill(ctx context.Context, s *subscriptions.Subscription, r client.Backfill) (*client.BackfillCount, error)
	// Job returns a job of the scope's. NotFound makes the error of one that is not there.
	Job(ctx context.Context, scope subscriptions.Scope, id string) (*client.Job, error)
	// List returns those of a subscription, newest first, and whether there are more. After is the last one of the page before.
	List(ctx context.Context, s *subscriptions.Subscription, after string, limit int) (page []*client.Job, more bool, err error)
	// Cancel ends one that has not ended.
	Cancel(ctx context.Context, scope subscriptions.Scope, id string) error
}

var (
	replay = route{methods: map[string]action{http.MethodPost: (*Server).replay}}
	jobs   = route{methods: map[string]action{http.MethodGet: (*Server).listJobs}}
	job    = route{methods: map[string]action{http.MethodGet: (*Server).getJob, http.MethodDelete: (*Server).cancelJob}}
)

const (
	// replayIDsMax bounds the ids of events in a replay, replayEventsMax the types, replayRateMax how many are sent in a second.
	replayIDsMax    = 1000
	replayEventsMax = 100
	replayRateMax   = 10_000
)

// replayStates are the states of deliveries that a replay can select, the default first.
var replayStates = []string{client.ReplayFailed, client.ReplayDelivered, client.ReplayDropped, client.ReplayMissed, client.ReplayAll}

// replayInput is client.Replay as it is read: a time that is none is told with its field.
type replayInput struct {
	client.Replay
	From string `json:"from"`
	To   string `json:"to"`
}

// read makes the replay of the input, or tells what is wrong with it.
func (in *replayInput) read() (client.Replay, []client.FieldError) {
	r := in.Replay
	var wrong []client.FieldError
	is := func(field, detail string) { wrong = append(wrong, client.FieldError{Field: field, Detail: detail}) }
	at := func(field, text string) *time.Time {
		if text == "" {
			return nil
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			is(field, "is no time such as 2026-11-22T08:00:00Z")
			return nil
		}
		if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
			is(field, "is no time that can be meant") // nor one that can be written as JSON
			return nil
		}
		return &t
	}
	r.From, r.To = at("from", in.From), at("to", in.To)
	for _, p := range []struct{ field, position, otherField, other string }{
		{"from_position", r.FromPosition, "from", in.From}, {"to_position", r.ToPosition, "to", in.To},
	} {
		if p.position == "" {
			continue
		}
		if _, err := cdc.ParsePosition(p.position); err != nil {
			is(p.field, "is no position: those of events have 40 hex digits")
		}
		if p.other != "" {
			is(p.field, "does not go with "+p.otherField)
		}
	}
	switch {
	case in.From == "" && r.FromPosition == "" && len(r.EventIDs) == 0:
		is("from", "is missing: say from when on, or give from_position or event_ids")
	case r.From != nil && r.To != nil && r.To.Before(*r.From):
		is("to", "is before from")
	case r.FromPosition != "" && r.ToPosition != "" && strings.ToLower(r.ToPosition) < strings.ToLower(r.FromPosition):
		is("to_position", "is before from_position")
	}
	for field, texts := range map[string][]string{"resource_id": {r.ResourceID}, "events": r.Events, "event_ids": r.EventIDs} {
		if slices.ContainsFunc(texts, func(text string) bool { return !storable(text) }) {
			is(field, "has a zero byte in it")
		}
	}
	if r.State == "" {
		r.State = replayStates[0]
	}
	if !slices.Contains(replayStates, r.State) {
		is("state", fmt.Sprintf("is %q, which is none of %s", shorten(r.State), strings.Join(replayStates, ", ")))
	}
	if len(r.EventIDs) > replayIDsMax {
		is("event_ids", "has more than "+strconv.Itoa(replayIDsMax))
	}
	if len(r.Events) > replayEventsMax {
		is("events", "has more than "+strconv.Itoa(replayEventsMax))
	}
	if r.Rate < 0 || r.Rate > replayRateMax {
		is("rate", "is not a whole number from 1 to "+strconv.Itoa(replayRateMax)+": how many in a second")
	}
	return r, wrong
}

// replay sends events again, or counts them.
func (s *Server) replay(c call) (answer, error) {
	b, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	var in replayInput
	if err := decode(b, &in, `{"from": "2026-11-22T08:00:00Z", "to": "2026-11-22T09:00:00Z"}`); err != nil {
		return answer{}, err
	}
	r, wrong := in.read()
	if len(wrong) > 0 {
		return Unprocessable("invalid-replay", wrong...).(refusal).answer, nil
	}
	switch why, silent := sub.Silent(); {
	case silent:
		return answer{}, Conflict("nothing is ever sent to the subscription: it is a " + why + " one")
	case sub.State != subscriptions.Active:
		return answer{}, Conflict("the subscription is " + string(sub.State) + ": nothing is sent to it. Let it be active first")
	}
	return s.countOrQueue(c, r.DryRun, func() (any, error) { return s.config.Jobs.CountReplay(c.r.Context(), sub, r) },
		func() (*client.Job, error) { return s.config.Jobs.Replay(c.r.Context(), sub, r, c.caller) })
}

// countOrQueue answers a request for a job: with what it would come to in a dry run, else with the job, which counts too. A login does one at a
// time.
func (s *Server) countOrQueue(c call, dryRun bool, count func() (any, error), queue func() (*client.Job, error)) (answer, error) {
	leave, err := s.countTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	if dryRun {
		n, err := count()
		if err != nil {
			return answer{}, err
		}
		return ok(n)
	}
	j, err := queue()
	if err != nil {
		return answer{}, err
	}
	a, err := jsonAnswer(http.StatusAccepted, "application/json", j)
	a.header("Location", s.base+"/job/"+url.PathEscape(j.ID)+"/")
	return a, err
}

func (s *Server) listJobs(c call) (answer, error) {
	after, limit, err := pageQuery(c)
	if err != nil {
		return answer{}, err
	}
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	page, more, err := s.config.Jobs.List(c.r.Context(), sub, after, limit)
	if err != nil {
		return answer{}, err
	}
	a, err := ok(page)
	if err == nil && more && len(page) > 0 {
		next := url.Values{"limit": {strconv.Itoa(limit)}, "after": {page[len(page)-1].ID}}
		a.header("Link", "<"+s.base+"/subscription/"+url.PathEscape(sub.ID)+"/job/?"+next.Encode()+`>; rel="next"`)
	}
	return a, err
}

func (s *Server) getJob(c call) (answer, error) {
	j, err := s.config.Jobs.Job(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	return ok(j)
}

func (s *Server) cancelJob(c call) (answer, error) {
	return answer{status: http.StatusNoContent}, s.config.Jobs.Cancel(c.r.Context(), c.scope, c.id)
}

// Unprocessable is an error that says, with a 422, what is wrong with a body's fields.
func Unprocessable(kind string, wrong ...client.FieldError) error {
	detail := "the body has 1 mistake"
	if n := len(wrong); n > 1 {
		detail = "the body has " + strconv.Itoa(n) + " mistakes"
	}
	return refusal{problemAnswer(client.Problem{Type: kind, Title: http.StatusText(http.StatusUnprocessableEntity),
		Status: http.StatusUnprocessableEntity, Detail: detail, Errors: wrong})}
}
