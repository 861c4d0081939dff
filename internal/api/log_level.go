package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/client"
)

// LogLevels tells and sets from which level on this process logs. Its methods are called from many goroutines.
type LogLevels interface {
	// Level is one of client.LogLevels.
	Level() string
	// SetLevel sets one of them until the process ends, or another is set; by is the name of the caller's token.
	SetLevel(ctx context.Context, level, by string)
}

var logLevel = route{admin: true, methods: map[string]action{http.MethodGet: (*Server).getLogLevel, http.MethodPut: (*Server).setLogLevel}}

func (s *Server) getLogLevel(call) (answer, error) {
	return ok(client.LogLevel{Level: s.config.LogLevels.Level()})
}

func (s *Server) setLogLevel(c call) (answer, error) {
	b, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	var want client.LogLevel
	if err := decode(b, &want, `{"level": "debug"}`); err != nil {
		return answer{}, err
	}
	if levels := client.LogLevels(); !slices.Contains(levels, want.Level) {
		return answer{}, refusal{fieldProblem("level", fmt.Sprintf("is %.40q: give %s", want.Level, strings.Join(levels, ", ")))}
	}
	s.config.LogLevels.SetLevel(c.r.Context(), want.Level, c.caller)
	return ok(want)
}
