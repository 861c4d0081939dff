package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

var backfill = route{methods: map[string]action{http.MethodPost: (*Server).backfill}}

// backfillResourcesMax bounds the resources of a backfill.
const backfillResourcesMax = 100

// backfillInput is client.Backfill as it is read: a time that is none is told with its field.
type backfillInput struct {
	client.Backfill
	Since string `json:"since"`
}

// read makes the backfill of the input, or tells what is wrong with it.
func (in *backfillInput) read() (client.Backfill, []client.FieldError) {
	r := in.Backfill
	var wrong []client.FieldError
	is := func(field, detail string) { wrong = append(wrong, client.FieldError{Field: field, Detail: detail}) }
	if in.Since != "" {
		t, err := time.Parse(time.RFC3339, in.Since)
		if err != nil {
			is("since", "is no time such as 2026-11-22T08:00:00Z")
		} else if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
			is("since", "is no time that can be meant") // nor one that can be written as JSON
		}
		r.Since = &t
	}
	if len(r.Resources) > backfillResourcesMax {
		is("resources", "has more than "+strconv.Itoa(backfillResourcesMax))
	}
	if r.Rate < 0 || r.Rate > replayRateMax {
		is("rate", "is not a whole number from 1 to "+strconv.Itoa(replayRateMax)+": how many in a second")
	}
	return r, wrong
}

// backfill sends rows as they are, or counts them.
func (s *Server) backfill(c call) (answer, error) {
	b, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	var in backfillInput
	if len(b) > 0 {
		if err := decode(b, &in, `{"resources": ["contact"]}`); err != nil {
			return answer{}, err
		}
	}
	r, wrong := in.read()
	if len(wrong) > 0 {
		return Unprocessable("invalid-backfill", wrong...).(refusal).answer, nil
	}
	switch why, silent := sub.Silent(); {
	case silent && why != "feed":
		return answer{}, Conflict("nothing is ever sent to the subscription: it is a " + why + " one")
	case sub.State != subscriptions.Active:
		return answer{}, Conflict("the subscription is " + string(sub.State) + ": nothing is sent to it. Let it be active first")
	}
	return s.countOrQueue(c, r.DryRun, func() (any, error) { return s.config.Jobs.CountBackfill(c.r.Context(), sub, r) },
		func() (*client.Job, error) { return s.config.Jobs.Backfill(c.r.Context(), sub, r, c.caller) })
}
