package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
)

// DeadLetters keeps what could not be mapped. NotFound and Conflict make the errors of a letter that is not there, or is closed.
type DeadLetters interface {
	// List returns the page, newest first, and whether there are more.
	List(ctx context.Context, q DeadLetterQuery) (page []client.DeadLetter, more bool, err error)
	Get(ctx context.Context, at cdc.Position) (client.DeadLetter, error)
	// Replay asks for the replay of open ones, and returns how many they are.
	Replay(ctx context.Context, q DeadLetterReplay) (int, error)
	// Discard closes an open one. By is who does it.
	Discard(ctx context.Context, at cdc.Position, by string) error
}

// DeadLetterQuery selects dead letters for a list. What is empty selects all.
type DeadLetterQuery struct {
	Resource, Reason string
	// State is client.DeadLetterOpen or client.DeadLetterClosed.
	State string
	// Before is the last one of the page before.
	Before *cdc.Position
	Limit  int
}

// DeadLetterReplay selects open dead letters. What is empty, and nil, selects all.
type DeadLetterReplay struct {
	Resource, Reason string
	Positions        []cdc.Position
	// DryRun only counts.
	DryRun bool
}

// Dead letters are of all accounts: they are for the admin.
var (
	letters      = route{admin: true, methods: map[string]action{http.MethodGet: (*Server).listLetters}}
	letter       = route{admin: true, methods: map[string]action{http.MethodGet: (*Server).getLetter, http.MethodDelete: (*Server).discardLetter}}
	letterReplay = route{admin: true, methods: map[string]action{http.MethodPost: (*Server).replayLetter}}
	replayAll    = route{admin: true, methods: map[string]action{http.MethodPost: (*Server).replayLetters}}
)

func (s *Server) listLetters(c call) (answer, error) {
	query := c.r.URL.Query()
	q := DeadLetterQuery{Resource: query.Get("resource"), Reason: query.Get("reason"), State: query.Get("state"), Limit: defaultLimit}
	if q.State != "" && q.State != client.DeadLetterOpen && q.State != client.DeadLetterClosed {
		return answer{}, badQuery("state", "is "+client.DeadLetterOpen+" or "+client.DeadLetterClosed)
	}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return answer{}, badQuery("limit", "is not a whole number from 1 to "+strconv.Itoa(maxLimit))
		}
		q.Limit = n
	}
	if text := query.Get("after"); text != "" {
		p, err := cdc.ParsePosition(text)
		if err != nil {
			return answer{}, badQuery("after", "is the id of no dead letter: begin without it")
		}
		q.Before = &p
	}
	page, more, err := s.config.DeadLetters.List(c.r.Context(), q)
	if err != nil {
		return answer{}, err
	}
	a, err := ok(page)
	if err == nil && more && len(page) > 0 {
		next := url.Values{"limit": {strconv.Itoa(q.Limit)}, "after": {page[len(page)-1].ID}}
		for name, value := range map[string]string{"resource": q.Resource, "reason": q.Reason, "state": q.State} {
			if value != "" {
				next.Set(name, value)
			}
		}
		a.header("Link", "<"+s.base+"/dead-letter/?"+next.Encode()+`>; rel="next"`)
	}
	return a, err
}

// errNoLetter is the answer for an id that cannot be one.
var errNoLetter = NotFound("there is no such dead letter")

func (c call) letter() (cdc.Position, error) {
	p, err := cdc.ParsePosition(c.id)
	if err != nil {
		return p, errNoLetter
	}
	return p, nil
}

func (s *Server) getLetter(c call) (answer, error) {
	at, err := c.letter()
	if err != nil {
		return answer{}, err
	}
	l, err := s.config.DeadLetters.Get(c.r.Context(), at)
	if err != nil {
		return answer{}, err
	}
	return ok(l)
}

func (s *Server) discardLetter(c call) (answer, error) {
	at, err := c.letter()
	if err == nil {
		err = s.config.DeadLetters.Discard(c.r.Context(), at, c.caller)
	}
	return answer{status: http.StatusNoContent}, err
}

// replayLetter asks for the replay of one, and answers with it.
func (s *Server) replayLetter(c call) (answer, error) {
	if _, err := optionalBody(c.r); err != nil {
		return answer{}, err
	}
	at, err := c.letter()
	if err != nil {
		return answer{}, err
	}
	n, err := s.config.DeadLetters.Replay(c.r.Context(), DeadLetterReplay{Positions: []cdc.Position{at}})
	if err != nil {
		return answer{}, err
	}
	l, err := s.config.DeadLetters.Get(c.r.Context(), at)
	switch {
	case err != nil:
		return answer{}, err
	case n == 0:
		return answer{}, Conflict("the dead letter is closed: " + l.ClosedReason)
	}
	return jsonAnswer(http.StatusAccepted, "application/json", l)
}

// idsMax bounds the ids of a replay.
const idsMax = 1000

// replayLetters asks for the replay of those that the body selects. That all are meant has to be said.
func (s *Server) replayLetters(c call) (answer, error) {
	b, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	var want client.DeadLetterReplay
	such := `{"resource": "contact"}, {"ids": ["…"]} or {"all": true}, with "reason" and "dry_run" where wanted`
	if err := decode(b, &want, such); err != nil {
		return answer{}, err
	}
	q := DeadLetterReplay{Resource: want.Resource, Reason: want.Reason, DryRun: want.DryRun}
	for i, id := range want.IDs {
		p, err := cdc.ParsePosition(id)
		if err != nil {
			return fieldProblem(fmt.Sprintf("ids[%d]", i), "is the id of no dead letter"), nil
		}
		q.Positions = append(q.Positions, p)
	}
	switch selects := want.Resource != "" || want.Reason != "" || len(want.IDs) > 0; {
	case len(want.IDs) > idsMax:
		return fieldProblem("ids", fmt.Sprintf("has more than %d", idsMax)), nil
	case selects && want.All:
		return fieldProblem("all", "does not go with resource, reason or ids"), nil
	case !selects && !want.All:
		return fieldProblem("", `says nothing: give "resource", "reason" or "ids", or "all": true`), nil
	}
	n, err := s.config.DeadLetters.Replay(c.r.Context(), q)
	if err != nil {
		return answer{}, err
	}
	status := http.StatusAccepted
	if q.DryRun {
		status = http.StatusOK
	}
	return jsonAnswer(status, "application/json", client.DeadLettersReplayed{Count: n, DryRun: q.DryRun})
}

func fieldProblem(field, detail string) answer {
	text := field + " " + detail
	if field == "" {
		text = "the body " + detail
	}
	return problemAnswer(client.Problem{Type: "about:blank", Title: http.StatusText(http.StatusUnprocessableEntity),
		Status: http.StatusUnprocessableEntity, Detail: text, Errors: []client.FieldError{{Field: field, Detail: detail}}})
}

// NotFound is an error that says, with a 404, what is not there.
func NotFound(detail string) error { return refusal{notFound(detail)} }
