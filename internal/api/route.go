package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/subscriptions"
)

// call is one request on its way through.
type call struct {
	r *http.Request
	// id is the last part of the path, where the route has one.
	id    string
	scope subscriptions.Scope
	// caller is the name of the token.
	caller string
}

// action answers a call. An error is answered by failure.
type action func(*Server, call) (answer, error)

// route is what can be done at one path.
type route struct {
	// public needs no login, admin that of the admin.
	public, admin bool
	methods       map[string]action
}

var (
	collection = route{methods: map[string]action{
		http.MethodGet:  (*Server).list,
		http.MethodPost: (*Server).create,
	}}
	single = route{methods: map[string]action{
		http.MethodGet:    (*Server).get,
		http.MethodPut:    (*Server).replace,
		http.MethodPatch:  (*Server).patch,
		http.MethodDelete: (*Server).remove,
	}}
	resume     = route{admin: true, methods: map[string]action{http.MethodPost: (*Server).resume}}
	eventTypes = route{public: true, methods: map[string]action{http.MethodGet: (*Server).eventTypes}}
	alive      = route{public: true, methods: map[string]action{http.MethodGet: (*Server).alive}}
	ready      = route{public: true, methods: map[string]action{http.MethodGet: (*Server).ready}}
)

// find returns the route of a path, and the id in it. One slash at the end changes nothing.
func (s *Server) find(path string) (route, string, bool) {
	switch path {
	case "/healthz":
		return alive, "", true
	case "/readyz":
		return ready, "", true
	}
	rest, ok := strings.CutPrefix(path, s.base+"/")
	if !ok {
		return route{}, "", false
	}
	rest = strings.TrimSuffix(rest, "/")
	switch rest {
	case "subscription":
		return collection, "", true
	case "subscription/import":
		return imports, "", true
	case "event-type":
		return eventTypes, "", true
	case "resume":
		return resume, "", true
	case "token":
		return tokens, "", s.config.Made != nil
	}
	if id, ok := strings.CutPrefix(rest, "token/"); ok && id != "" && !strings.Contains(id, "/") {
		return oneToken, id, s.config.Made != nil
	}
	if s.config.EventTypes != nil {
		if rt, name, ok := findEventType(rest); ok {
			return rt, name, true
		}
	}
	if s.config.DeadLetters != nil {
		if rt, id, ok := findDeadLetter(rest); ok {
			return rt, id, true
		}
	}
	id, ok := strings.CutPrefix(rest, "subscription/")
	id, what, acts := strings.Cut(id, "/")
	if !ok || id == "" {
		return route{}, "", false
	}
	if acts {
		rt, ok := actions[what]
		return rt, id, ok
	}
	return single, id, true
}

// underBase says whether the path belongs to the API itself, rather than to the listener.
func (s *Server) underBase(path string) bool {
	return path == s.base || strings.HasPrefix(path, s.base+"/")
}

// action returns what a method does. HEAD is GET: net/http leaves out the body.
func (rt route) action(method string) (action, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	a, ok := rt.methods[method]
	return a, ok
}

// allow is the Allow header.
func (rt route) allow() string {
	all := []string{http.MethodOptions}
	for m := range rt.methods {
		all = append(all, m)
		if m == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
