package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rowhook/rowhook/client"
)

// ErrNoResource is an error of System's Preview and Compare.
var ErrNoResource = errors.New("the config has no such resource")

// NoRowError says which row is not there.
type NoRowError struct{ Detail string }

func (e *NoRowError) Error() string { return e.Detail }

// RequestError says which field of a request is wrong, or, without a field, what the config lacks for it.
type RequestError struct{ Field, Detail string }

func (e *RequestError) Error() string { return e.Detail }

// BusyError says why something could not be tried now: the caller may repeat it.
type BusyError struct{ Detail string }

func (e *BusyError) Error() string { return e.Detail }

const (
	// maxMapping bounds a changed mapping, in bytes.
	maxMapping = 64 << 10
	// maxCompared bounds the rows of a comparison: each is a request to the application.
	maxCompared     = 100
	defaultCompared = 20
	// maxComparing bounds how long a comparison begins rows.
	maxComparing = 15 * time.Second
	// maxRowKey bounds a row's key, in bytes.
	maxRowKey = 1000
)

var (
	previewing = route{admin: true, reads: true, methods: map[string]action{http.MethodPost: (*Server).preview}}
	comparing  = route{admin: true, reads: true, methods: map[string]action{http.MethodPost: (*Server).compare}}
)

func (s *Server) preview(c call) (answer, error) {
	var r client.PreviewRequest
	if err := s.decodeTry(c, &r, `{"id": "42", "event": "update"}`); err != nil {
		return answer{}, err
	}
	if len(r.Mapping) > maxMapping {
		return fieldProblem("mapping", fmt.Sprintf("has %d bytes: at most %d", len(r.Mapping), maxMapping)), nil
	}
	if a, wrong := wrongKey("id", r.ID); wrong {
		return a, nil
	}
	v, err := s.config.System.Preview(c.r.Context(), c.id, r)
	if err != nil {
		return tried(err)
	}
	return ok(v)
}

func (s *Server) compare(c call) (answer, error) {
	var r client.CompareRequest
	if err := s.decodeTry(c, &r, `{"ids": ["42"]} or {"limit": 20}`); err != nil {
		return answer{}, err
	}
	switch {
	case len(r.IDs) > maxCompared:
		return fieldProblem("ids", fmt.Sprintf("are %d: at most %d", len(r.IDs), maxCompared)), nil
	case r.Limit < 0 || r.Limit > maxCompared:
		return fieldProblem("limit", fmt.Sprintf("is %d: give 1 to %d", r.Limit, maxCompared)), nil
	case r.Limit > 0 && len(r.IDs) > 0:
		return fieldProblem("limit", "goes with a sample: leave it or ids out"), nil
	case r.Limit == 0:
		r.Limit = defaultCompared
	}
	for i, id := range r.IDs {
		if a, wrong := wrongKey(fmt.Sprintf("ids[%d]", i), id); wrong {
			return a, nil
		}
		if id == "" {
			return fieldProblem(fmt.Sprintf("ids[%d]", i), "is empty"), nil
		}
	}
	if r.Within != "" {
		if d, err := time.ParseDuration(r.Within); err != nil || d < 0 || d > maxComparing {
			return fieldProblem("within", "is not a duration from 0s to "+maxComparing.String()), nil
		}
	}
	v, err := s.config.System.Compare(c.r.Context(), c.id, r)
	if err != nil {
		return tried(err)
	}
	return ok(v)
}

func (s *Server) decodeTry(c call, into any, such string) error {
	b, err := readBody(c.r, "application/json")
	if err != nil {
		return err
	}
	return decode(b, into, such)
}

func wrongKey(field, key string) (answer, bool) {
	if len(key) > maxRowKey || !storable(key) {
		return fieldProblem(field, "is no key of a row"), true
	}
	return answer{}, false
}

// tried is the answer to an error of a preview or comparison.
func tried(err error) (answer, error) {
	var gone *NoRowError
	var wrong *RequestError
	var busy *BusyError
	switch {
	case errors.As(err, &busy):
		return unavailable(busy.Detail, err), nil
	case errors.Is(err, ErrNoResource), errors.As(err, &gone):
		return notFound(err.Error()), nil
	case errors.As(err, &wrong) && wrong.Field == "":
		return problem(http.StatusConflict, wrong.Detail), nil
	case errors.As(err, &wrong):
		return fieldProblem(wrong.Field, wrong.Detail), nil
	}
	return answer{}, err
}
