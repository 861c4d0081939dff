package api

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowhook/rowhook/client"
)

// Pauses lets nothing be sent, until it is resumed. Its methods are called from many goroutines.
type Pauses interface {
	// Pause pauses, or gives the pause that there is another reason; by is the name of the caller's token.
	Pause(ctx context.Context, reason, by string) (*client.Pause, error)
	// Paused tells whether and since when.
	Paused(ctx context.Context) (*client.Pause, error)
}

var (
	pause = route{admin: true, methods: map[string]action{http.MethodGet: (*Server).paused, http.MethodPost: (*Server).pause}}
	drain = route{admin: true, waits: true, methods: map[string]action{http.MethodPost: (*Server).drain}}
)

// maxReason is how long the reason of a pause may be, in bytes.
const maxReason = 500

// optional reads a body that may be left out.
func optional(c call, into any, such string) error {
	if c.r.ContentLength == 0 {
		return nil
	}
	b, err := readBody(c.r, "application/json")
	if err != nil {
		return err
	}
	return decode(b, into, such)
}

// pause lets nothing be sent.
func (s *Server) pause(c call) (answer, error) {
	var want client.Pausing
	if err := optional(c, &want, `{"reason": "the mapping of deal is wrong"} or {}`); err != nil {
		return answer{}, err
	}
	if len(want.Reason) > maxReason || !utf8.ValidString(want.Reason) || strings.ContainsRune(want.Reason, 0) {
		return answer{}, refusal{fieldProblem("reason", "is not a text of at most 500 bytes")}
	}
	p, err := s.config.Pauses.Pause(c.r.Context(), want.Reason, c.caller)
	if err != nil {
		return answer{}, err
	}
	return ok(p)
}

func (s *Server) paused(c call) (answer, error) {
	p, err := s.config.Pauses.Paused(c.r.Context())
	if err != nil {
		return answer{}, err
	}
	return ok(p)
}

// drain waits until everything up to a position is delivered or stored.
func (s *Server) drain(c call) (answer, error) {
	var want client.Drain
	if err := optional(c, &want, `{"until_lsn": "0/16B3748", "wait": "10s"} or {}`); err != nil {
		return answer{}, err
	}
	if want.UntilLSN != "" && !client.IsLSN(want.UntilLSN) {
		return answer{}, refusal{fieldProblem("until_lsn", "is not a position of the log: give one such as 0/16B3748, from pg_current_wal_lsn()")}
	}
	if want.Wait != "" {
		if d, err := time.ParseDuration(want.Wait); err != nil || d < 0 || d > maxWait {
			return answer{}, refusal{fieldProblem("wait", "is not a duration from 0s to "+maxWait.String())}
		}
	}
	d, err := s.config.Drain(c.r.Context(), want)
	if err != nil {
		return answer{}, err
	}
	return ok(d)
}
