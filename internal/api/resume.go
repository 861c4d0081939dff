package api

import (
	"net/http"

	"github.com/rowhook/rowhook/client"
)

// resume lets replication go on where only a person may decide so.
func (s *Server) resume(c call) (answer, error) {
	var want client.Resume
	if c.r.ContentLength != 0 {
		b, err := readBody(c.r, "application/json")
		if err != nil {
			return answer{}, err
		}
		if err := decode(b, &want, `{"accept_gap": true}, {"drained": true} or {}`); err != nil {
			return answer{}, err
		}
	}
	if s.config.Resume == nil {
		return notFound("there is no such route: see the documentation of the API"), nil
	}
	r, err := s.config.Resume(c.r.Context(), want)
	if err != nil {
		return answer{}, err
	}
	return ok(r)
}

// Unavailable is an error that says, with a 503, that this process cannot do what was asked for, and who can.
func Unavailable(detail string) error {
	return refusal{problem(http.StatusServiceUnavailable, detail)}
}

// NotNow is an error that says, with a 503, what was to be waited for and took too long, in the words of err: the same may be asked again.
func NotNow(err error) error { return refusal{unavailable(err.Error(), err)} }

// Conflict is an error that says, with a 409, what stands in the way of what was asked for.
func Conflict(detail string) error { return refusal{problem(http.StatusConflict, detail)} }
