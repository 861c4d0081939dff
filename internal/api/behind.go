package api

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"

	"github.com/rowhook/rowhook/subscriptions"
)

// Caller is whom the application knows.
type Caller struct {
	// Account is the customer. It is never empty, and never "*".
	Account string
	// ReadOnly lets the caller read only.
	ReadOnly bool
}

// Denied is why nobody is let in, with the answer. The error of Behind's who may be one.
type Denied struct {
	Status int
	// Detail explains the status where the answer is ours; with the empty one, Body is the answer's.
	Detail string
	Body   []byte
	// Header goes with the answer.
	Header http.Header
	// Cause is for the log. It may be nil.
	Cause error
}

// Error implements error.
func (d *Denied) Error() string {
	if d.Cause != nil {
		return d.Cause.Error()
	}
	return http.StatusText(d.Status)
}

// Behind serves the routes under the base path to callers whom the application knows, as one more part of its API: those of
// an account, never the admin's. Who says who calls, and its error may be a *Denied. The config's tokens, and those that were
// made, are nothing here: nobody looks at them.
//
// The application's cookies may come along by themselves, so what another site's page can make a browser send does nothing:
// changes need a JSON content type and pass net/http's CrossOriginProtection, and no answer can be read from elsewhere.
func (s *Server) Behind(who func(*http.Request) (Caller, error)) http.Handler {
	at := &behind{server: s, who: who, origin: http.NewCrossOriginProtection()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.respond(w, r, at) })
}

// behind is the entrance of the proxy listener.
type behind struct {
	server *Server
	who    func(*http.Request) (Caller, error)
	origin *http.CrossOriginProtection
}

// route finds what a customer may use. What is only the admin's is not there, and neither is what belongs to the listener:
// /healthz is the application's.
func (b *behind) route(path string) (route, string, bool) {
	if !b.server.underBase(path) {
		return route{}, "", false
	}
	rt, id, ok := b.server.find(path)
	return rt, id, ok && !rt.admin && !rt.browser
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// jsonTypes are those that a body may have. A page cannot send them elsewhere without asking first, and nobody answers.
var jsonTypes = []string{"application/json", "application/merge-patch+json"}

// refuseUnasked refuses what may come from a page of another site, before anybody is asked who calls.
func (b *behind) refuseUnasked(rt route, r *http.Request) (answer, bool) {
	if safe(r.Method) || rt.public {
		return answer{}, false // what needs no login does not use the caller's either
	}
	if err := b.origin.Check(r); err != nil {
		return problem(http.StatusForbidden, "the request comes from a page of another origin"), true
	}
	return notJSON(r)
}

// notJSON refuses a change that does not say that it is JSON.
func notJSON(r *http.Request) (answer, bool) {
	types := r.Header.Values("Content-Type")
	// A page can send an empty POST anywhere, and a DELETE nowhere.
	if len(types) == 0 && r.Method != http.MethodPost && r.ContentLength == 0 {
		return answer{}, false
	}
	if len(types) == 1 {
		if t, _, err := mime.ParseMediaType(types[0]); err == nil && slices.Contains(jsonTypes, t) {
			return answer{}, false
		}
	}
	a := problem(http.StatusUnsupportedMediaType, fmt.Sprintf("the content type is %q: send application/json, without a body too", r.Header.Get("Content-Type")))
	a.header("Accept", "application/json")
	return a, true
}

// enter asks who calls.
func (b *behind) enter(_ route, r *http.Request) (login, answer, bool) {
	c, err := b.who(r)
	if err != nil {
		return login{}, denied(err), false
	}
	if c.Account == "" || c.Account == "*" {
		return login{}, problem(http.StatusForbidden, "this login has no account"), false
	}
	return login{name: c.Account, scope: subscriptions.Scope{Account: c.Account}, readOnly: c.ReadOnly}, answer{}, true
}

// login never finds the admin, who is not here: nobody is asked, and no token is looked at.
func (b *behind) login(*http.Request) (login, bool, error) { return login{}, true, nil }

// denied is the answer to somebody who is not let in.
func denied(err error) answer {
	var d *Denied
	if !errors.As(err, &d) {
		return failure(err)
	}
	a := answer{status: d.Status, body: d.Body}
	switch {
	case d.Detail != "":
		a = problem(d.Status, d.Detail)
	case len(d.Header.Values("Content-Type")) == 0:
		a.header("Content-Type", "text/plain; charset=utf-8") // nobody is to guess
	}
	a.cause, a.given = d.Cause, d.Header
	return a
}

// mark keeps answers to those who asked: no cache gives them to somebody else, and no page of another origin gets hold of them.
func (b *behind) mark(a *answer) string {
	a.header("Cache-Control", "no-store")
	a.header("Vary", "Authorization, Cookie")
	a.header("Cross-Origin-Resource-Policy", "same-origin")
	return "identity"
}
