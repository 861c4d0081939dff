package api

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/client"
	issue "github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/subscriptions"
)

// EventTypes tells what the events of the catalogue look like. Its methods are called from many goroutines.
type EventTypes interface {
	// Schema is the JSON Schema of the bodies of an event of the catalogue.
	Schema(event string) (json.RawMessage, error)
	// Samples are bodies of an event of the catalogue, the newest first. Of rows there may be none; of none there is one.
	Samples(ctx context.Context, q SampleQuery) ([]json.RawMessage, error)
	// Formats are the names of the forms that bodies have, the default first.
	Formats() []string
}

// SampleQuery says which samples are wanted.
type SampleQuery struct {
	Event string
	// Account limits it to rows of an account; nil is all.
	Account *string
	Format  string
	// Limit is how many there may be.
	Limit int
	// Synthetic wants the sample that is of no row.
	Synthetic bool
}

// sampleHeader says what a sample was made of: row, or synthetic.
const sampleHeader = "Rowhook-Sample"

// samplesMax is how many samples a list has.
const samplesMax = 3

var (
	eventType       = route{public: true, methods: map[string]action{http.MethodGet: (*Server).eventType}}
	eventTypeSchema = route{public: true, methods: map[string]action{http.MethodGet: (*Server).eventTypeSchema}}
	eventTypeSample = route{methods: map[string]action{http.MethodGet: (*Server).eventTypeSample}}
)

// listed is an event of the catalogue as the API shows it.
func listed(o *subscriptions.Offer) client.EventType {
	t := client.EventType{Name: o.Name, Resource: o.Resource, Reason: o.AccountReason}
	t.AdminOnly = o.AdminOnly || o.AccountReason != ""
	if o.AdminOnly && o.AccountReason == "" {
		t.Reason = "it belongs to no account"
	}
	return t
}

// offered is an event that somebody can have.
func (s *Server) offered(name string) (client.EventType, error) {
	catalogue := s.catalogue()
	if catalogue == nil {
		return client.EventType{}, errNoCatalogue
	}
	var names []string
	for i := range catalogue {
		switch o := &catalogue[i]; {
		case o.Name == name && o.Reason != "":
			return client.EventType{}, refusal{notFound("the event is offered to nobody: " + o.Reason)}
		case o.Reason != "":
		case o.Name == name:
			return listed(o), nil
		default:
			names = append(names, o.Name)
		}
	}
	detail := "there is no such event"
	if hint := issue.DidYouMean(name, names); hint != "" {
		detail += ": " + hint
	}
	return client.EventType{}, refusal{notFound(detail)}
}

// admitted refuses the schema of an event that is the admin's to whoever is not: its members may be nobody else's business.
func (*Server) admitted(c call, t *client.EventType) (answer, bool, error) {
	if !t.AdminOnly {
		return answer{}, true, nil
	}
	l, known, err := c.login(c.r)
	switch {
	case err != nil:
		return answer{}, false, err
	case !known:
		return unauthorized(c.r), false, nil
	case !l.scope.Admin:
		return problem(http.StatusForbidden, "the event is the admin's only, and so is its schema: "+t.Reason), false, nil
	}
	return answer{}, true, nil
}

func (s *Server) eventType(c call) (answer, error) {
	t, err := s.offered(c.id)
	if err != nil {
		return answer{}, err
	}
	_, admitted, err := s.admitted(c, &t)
	if err != nil {
		return answer{}, err
	}
	if admitted {
		if t.Schema, err = s.config.EventTypes.Schema(t.Name); err != nil {
			return answer{}, err
		}
	}
	return ok(t)
}

func (s *Server) eventTypeSchema(c call) (answer, error) {
	t, err := s.offered(c.id)
	if err != nil {
		return answer{}, err
	}
	if refused, admitted, err := s.admitted(c, &t); !admitted || err != nil {
		return refused, err
	}
	schema, err := s.config.EventTypes.Schema(t.Name)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, "application/schema+json", schema)
}

// eventTypeSample shows what the caller would get: of the newest row that is the caller's, else of none.
func (s *Server) eventTypeSample(c call) (answer, error) {
	t, err := s.offered(c.id)
	if err != nil {
		return answer{}, err
	}
	q := SampleQuery{Event: t.Name, Limit: 1, Format: s.config.EventTypes.Formats()[0]}
	if !c.scope.Admin {
		if t.AdminOnly {
			return problem(http.StatusForbidden, "the event is the admin's only: "+t.Reason), nil
		}
		q.Account = &c.scope.Account
	}
	list, err := s.sampleQuery(c, &q)
	if err != nil {
		return answer{}, err
	}
	var bodies []json.RawMessage
	of := "row"
	if !q.Synthetic {
		if bodies, err = s.config.EventTypes.Samples(c.r.Context(), q); err != nil {
			return answer{}, err
		}
	}
	if len(bodies) == 0 {
		of, q.Synthetic = "synthetic", true
		if bodies, err = s.config.EventTypes.Samples(c.r.Context(), q); err != nil {
			return answer{}, err
		}
	}
	// The body is as it would be sent, byte for byte.
	a := answer{status: http.StatusOK, body: bodies[0]}
	if list {
		a.body = append([]byte{'['}, bytes.Join(rawBytes(bodies), []byte{','})...)
		a.body = append(a.body, ']')
	}
	a.header("Content-Type", "application/json")
	a.header(sampleHeader, of)
	return a, nil
}

func rawBytes(bodies []json.RawMessage) [][]byte {
	raw := make([][]byte, len(bodies))
	for i, b := range bodies {
		raw[i] = b
	}
	return raw
}

// sampleParameters are what a sample takes.
var sampleParameters = []string{"account", "format", "list", "synthetic"}

func (s *Server) sampleQuery(c call, q *SampleQuery) (list bool, err error) {
	query := c.r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains(sampleParameters, name) {
			return false, badQuery(name, "is not a parameter: there are "+strings.Join(sampleParameters, ", "))
		}
		if len(query[name]) > 1 {
			return false, badQuery(name, "is given more than once")
		}
		value := query.Get(name)
		switch name {
		case "account":
			if !c.scope.Admin {
				return false, badQuery(name, "may be given by the admin only")
			}
			q.Account = &value
		case "format":
			if q.Format = value; !slices.Contains(s.config.EventTypes.Formats(), value) {
				return false, badQuery(name, "is "+strconv.Quote(value)+", which is none of "+strings.Join(s.config.EventTypes.Formats(), ", "))
			}
		case "list", "synthetic":
			yes := value == "true"
			if !yes && value != "false" {
				return false, badQuery(name, "is neither true nor false")
			}
			if name == "synthetic" {
				q.Synthetic = yes
			} else if list = yes; yes {
				q.Limit = samplesMax
			}
		}
	}
	return list, nil
}
