package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxWork bounds the time that the repository may take.
const maxWork = 20 * time.Second

// Handler serves the API, /healthz, /readyz and /metrics.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/metrics" && s.config.Metrics != nil {
		s.config.Metrics.ServeHTTP(w, r)
		return
	}
	if s.config.Console != nil && s.isConsole(r.URL.Path) {
		s.config.Console.ServeHTTP(w, r)
		return
	}
	s.respond(w, r, s)
}

// isConsole says whether a path is the console's. What is the API's goes first.
func (s *Server) isConsole(path string) bool {
	if s.base != "" && s.underBase(path) {
		return false
	}
	return path == "/" || path == "/console" || strings.HasPrefix(path, "/console/")
}

// entrance is how a listener lets callers in.
type entrance interface {
	// route finds the route of a path, and the id in it. It is false where there is none here.
	route(path string) (route, string, bool)
	// refuseUnasked says what is not even looked at, whoever calls.
	refuseUnasked(rt route, r *http.Request) (answer, bool)
	// enter finds the caller of a route that is not public. It is false with the answer to whoever is refused.
	enter(rt route, r *http.Request) (login, answer, bool)
	// login finds who calls a public route, as far as that may be the admin.
	login(r *http.Request) (l login, known bool, err error)
	// mark puts on what every answer has here, and says how the log calls a caller.
	mark(a *answer) (called string)
}

// respond answers one request and logs it.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, at entrance) {
	began := time.Now()
	path := r.URL.Path
	a, caller := s.answer(w, r, at)
	if s.underBase(path) || a.status != http.StatusOK {
		a.header("Cache-Control", "no-store")
	}
	called := at.mark(&a)
	a.write(w, r)

	level := slog.LevelDebug
	if a.status >= 500 && path != "/readyz" && r.Context().Err() == nil {
		// That a probe sees a rowhook that is not ready is no news each time, and a caller that has gone is no mistake.
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", path), slog.Int("status", a.status),
		slog.Duration("took", time.Since(began)),
	}
	if caller != "" {
		attrs = append(attrs, slog.String(called, caller))
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
func (s *Server) answer(w http.ResponseWriter, r *http.Request, at entrance) (a answer, caller string) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			a = internalError(panicked(p))
			a.stack = debug.Stack()
		}
	}()
	rt, id, ok := at.route(r.URL.Path)
	if !ok || !storable(r.URL.Path) {
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
	for name, values := range r.URL.Query() {
		if !storable(name) || slices.ContainsFunc(values, func(v string) bool { return !storable(v) }) {
			return problem(http.StatusBadRequest, "a parameter of the query is not UTF-8, or has a zero byte in it"), ""
		}
	}
	if refused, no := at.refuseUnasked(rt, r); no {
		return refused, ""
	}
	c := call{r: r, id: id, login: at.login}
	work := maxWork
	if rt.waits {
		work += maxWait
		control := http.NewResponseController(w)
		// What is not supported is not needed: only a test's recorder lacks it.
		_, _ = control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Now().Add(work+streamTimeout))
		c.again = func(r *http.Request) (answer, bool) {
			l, refused, ok := at.enter(rt, r)
			if ok && l.scope != c.scope {
				return unauthorized(r), false
			}
			return refused, ok
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), work)
	defer cancel()
	c.r = r.WithContext(ctx)
	if !rt.public {
		l, refused, ok := at.enter(rt, c.r)
		if !ok {
			return refused, ""
		}
		c.scope, c.caller, caller = l.scope, l.name, l.name
		defer func() {
			if l.renewed != "" && a.status < http.StatusBadRequest {
				a.header("Set-Cookie", l.renewed)
			}
		}()
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

// storable says whether Postgres can take it as text: nothing has a name that it cannot.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func (s *Server) route(path string) (route, string, bool) { return s.find(path) }

// refuseUnasked refuses what may come from a page of another site: a browser sends a session's cookie by itself.
func (s *Server) refuseUnasked(rt route, r *http.Request) (answer, bool) {
	if rt.browser || !rt.public && s.hasCookie(r) {
		return s.refuseForeign(r)
	}
	return answer{}, false
}

func (s *Server) enter(rt route, r *http.Request) (login, answer, bool) {
	l, ok, err := s.login(r)
	var u *unchecked
	switch {
	case errors.As(err, &u) && rt.diagnosis && safe(r.Method):
		return u.login, answer{}, true
	case err != nil:
		return l, failure(err), false
	case !ok:
		return l, unauthorized(r), false
	}
	return l, answer{}, true
}

func (s *Server) mark(*answer) string { return "token" }

// refuse says what the caller may not do.
func (s *Server) refuse(rt route, l login, method string) (answer, bool) {
	if wait, ok := s.limiter.allow(l.scope, time.Now()); !ok {
		return tooMany(wait), true
	}
	if rt.admin && !l.scope.Admin {
		return problem(http.StatusForbidden, "only an admin's token may do that"), true
	}
	if l.readOnly && !rt.reads && method != http.MethodGet && method != http.MethodHead {
		return problem(http.StatusForbidden, "this login may only read"), true
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
