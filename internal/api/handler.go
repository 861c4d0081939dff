package api

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// maxWork bounds the time that the repository may take.
const maxWork = 20 * time.Second

// Handler serves the API, /healthz, /readyz and /metrics.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// serve answers one request and logs it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	path := r.URL.Path
	if path == "/metrics" && s.config.Metrics != nil {
		s.config.Metrics.ServeHTTP(w, r)
		return
	}
	a, caller := s.answer(w, r)
	if s.underBase(path) || a.status != http.StatusOK {
		a.header("Cache-Control", "no-store")
	}
	a.write(w)

	level := slog.LevelDebug
	if a.status >= 500 && path != "/readyz" {
		// That a probe sees a rowhook that is not ready is no news each time.
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", path), slog.Int("status", a.status),
		slog.Duration("took", time.Since(began)),
	}
	if caller != "" {
		attrs = append(attrs, slog.String("token", caller))
	}
	if a.id != "" {
		attrs = append(attrs, slog.String("id", a.id))
	}
	if a.cause != nil {
		attrs = append(attrs, slog.Any("error", a.cause))
	}
	if a.stack != nil {
		attrs = append(attrs, slog.String("stack", string(a.stack)))
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// answer makes the whole answer before any of it is written, so that a panic or an error leaves no half of one.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (a answer, caller string) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			a = internalError(panicked(p))
			a.stack = debug.Stack()
		}
	}()
	rt, id, ok := s.find(r.URL.Path)
	if !ok {
		return notFound("there is no such route: see the documentation of the API"), ""
	}
	if r.Method == http.MethodOptions {
		a := answer{status: http.StatusNoContent}
		a.header("Allow", rt.allow())
		if _, ok := rt.methods[http.MethodPatch]; ok {
			a.header("Accept-Patch", "application/merge-patch+json, application/json")
		}
		return a, ""
	}
	act, ok := rt.action(r.Method)
	if !ok {
		a := problem(http.StatusMethodNotAllowed, "this route takes "+rt.allow())
		a.header("Allow", rt.allow())
		return a, ""
	}
	c := call{r: r, id: id}
	ctx, cancel := context.WithTimeout(r.Context(), maxWork)
	defer cancel()
	c.r = r.WithContext(ctx)
	if !rt.public {
		l, ok, err := s.login(c.r)
		switch {
		case err != nil:
			return failure(err), ""
		case !ok:
			return unauthorized(r), ""
		}
		c.scope, c.caller, caller = l.scope, l.name, l.name
		if refused, no := s.refuse(rt, l, r.Method); no {
			return refused, caller
		}
	}
	if r.Body != nil {
		// With the writer, so that net/http closes the connection of a larger one.
		c.r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	}
	a, err := act(s, c)
	if err != nil {
		a = failure(err)
	}
	return a, caller
}

// refuse says what the caller may not do.
func (s *Server) refuse(rt route, l login, method string) (answer, bool) {
	if wait, ok := s.limiter.allow(l.scope, time.Now()); !ok {
		return tooMany(wait), true
	}
	if rt.admin && !l.scope.Admin {
		return problem(http.StatusForbidden, "only an admin's token may do that"), true
	}
	if l.readOnly && method != http.MethodGet && method != http.MethodHead {
		return problem(http.StatusForbidden, "this token may only read"), true
	}
	return answer{}, false
}

func unauthorized(r *http.Request) answer {
	challenge, detail := `Bearer realm="rowhook"`, `log in with the header "Authorization: Bearer <token>"`
	if header := r.Header.Get("Authorization"); strings.HasPrefix(strings.ToLower(header), "bearer ") {
		challenge += `, error="invalid_token"`
		detail = "the token is not known"
	}
	a := problem(http.StatusUnauthorized, detail)
	a.header("WWW-Authenticate", challenge)
	return a
}
