package api

import (
	"maps"
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
	// login finds who calls a public route, where that may be the admin. It is false where nobody has logged in.
	login func(*http.Request) (login, bool, error)
	// again looks whether the caller is still let in, where the route waits. It is false with the answer.
	again func(*http.Request) (answer, bool)
}

// action answers a call. An error is answered by failure.
type action func(*Server, call) (answer, error)

// route is what can be done at one path.
type route struct {
	// public needs no login, admin that of the admin.
	public, admin bool
	// reads says that no method changes anything, so that a login that may only read may use all of them.
	reads bool
	// browser says that pages use it: what another site's page may have sent is refused, whoever calls. It is not on the proxy's listener.
	browser bool
	// diagnosis says that its GET tells what is wrong, also where the store is, and tells nothing of rows.
	diagnosis bool
	// waits says that an answer may take up to maxWait longer, or be a stream.
	waits   bool
	methods map[string]action
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

// placed is a route at its path.
type placed struct {
	// path is that under the base, or of the listener with atRoot, with a last slash where it is written with one. {id} or
	// {name} stands for one part, which is call.id.
	path   string
	atRoot bool
	route
}

// routes are all that there is. What each of their methods does is told in operations (operations.go).
func (s *Server) routes() []placed {
	all := []placed{
		{path: "/event-type/", route: eventTypes},
		{path: "/subscription/", route: collection},
		{path: "/subscription/{id}/", route: single},
		{path: "/subscription/import", route: imports},
		{path: "/subscription/enable", route: enableFailed},
	}
	if s.config.EventTypes != nil {
		all = append(all, placed{path: "/event-type/{name}/", route: eventType}, placed{path: "/event-type/{name}/schema", route: eventTypeSchema},
			placed{path: "/event-type/{name}/sample", route: eventTypeSample})
	}
	for _, what := range slices.Sorted(maps.Keys(actions)) {
		all = append(all, placed{path: "/subscription/{id}/" + what, route: actions[what]})
	}
	if s.config.Feed != nil {
		all = append(all, placed{path: "/subscription/{id}/event/", route: feed}, placed{path: "/event/", route: events})
	}
	if s.config.Made != nil {
		all = append(all, placed{path: "/token/", route: tokens}, placed{path: "/token/{id}/", route: oneToken})
	}
	all = append(all, placed{path: "/resume", route: resume})
	if s.config.Status != nil {
		all = append(all, placed{path: "/status", route: status})
	}
	if s.config.Pauses != nil {
		all = append(all, placed{path: "/pause", route: pause})
	}
	if s.config.LogLevels != nil {
		all = append(all, placed{path: "/log-level", route: logLevel})
	}
	if s.config.Drain != nil {
		all = append(all, placed{path: "/drain", route: drain})
	}
	if s.config.Deliveries != nil {
		all = append(all, placed{path: "/subscription/{id}/delivery/", route: deliveries}, placed{path: "/delivery/{id}/", route: delivery},
			placed{path: "/delivery/{id}/redeliver", route: redeliver}, placed{path: "/subscription/{id}/stats", route: stats}, placed{path: "/subscription/stats", route: statsOf},
			placed{path: "/subscription/{id}/held/", route: held}, placed{path: "/event/{id}/delivery/", route: eventDeliveries})
	}
	if s.config.DeadLetters != nil {
		all = append(all, placed{path: "/dead-letter/", route: letters}, placed{path: "/dead-letter/{id}/", route: letter},
			placed{path: "/dead-letter/{id}/replay", route: letterReplay}, placed{path: "/dead-letter/replay", route: replayAll})
	}
	if s.config.Jobs != nil {
		all = append(all, placed{path: "/subscription/{id}/replay", route: replay}, placed{path: "/subscription/{id}/job/", route: jobs},
			placed{path: "/job/{id}/", route: job}, placed{path: "/subscription/{id}/backfill", route: backfill})
	}
	if s.config.System != nil {
		all = append(all, systemRoutes()...)
	}
	if s.config.SessionKeys != nil {
		all = append(all, placed{path: sessionPath, route: session})
	}
	all = append(all, placed{path: "/openapi.json", route: openAPI}, placed{path: "/docs", route: docs},
		placed{path: "/healthz", atRoot: true, route: alive}, placed{path: "/readyz", atRoot: true, route: ready})
	if s.config.Metrics != nil {
		// It is served before any route is looked for.
		all = append(all, placed{path: "/metrics", atRoot: true, route: route{public: true, methods: map[string]action{http.MethodGet: nil}}})
	}
	return all
}

// find returns the route of a path, and the id in it. One slash at the end changes nothing. A fixed part goes before an id.
func (s *Server) find(path string) (found route, id string, ok bool) {
	rest, underBase := strings.CutPrefix(path, s.base+"/")
	rest = strings.TrimSuffix(rest, "/")
	for _, p := range s.table {
		if p.atRoot {
			if path == p.path {
				return p.route, "", true
			}
			continue
		}
		if !underBase {
			continue
		}
		switch part, matches := p.match(rest); {
		case matches && part == "":
			return p.route, "", true
		case matches && !ok:
			found, id, ok = p.route, part, true
		}
	}
	return found, id, ok
}

// match says whether a path under the base, without slashes around it, is the route's, and which part of it is the id.
func (p placed) match(rest string) (id string, ok bool) {
	pattern := strings.Trim(p.path, "/")
	for {
		want, morePattern, wantMore := strings.Cut(pattern, "/")
		part, moreRest, more := strings.Cut(rest, "/")
		switch {
		case part == "":
			return "", false
		case strings.HasPrefix(want, "{"):
			id = part
		case want != part:
			return "", false
		}
		if wantMore != more {
			return "", false
		}
		if !more {
			return id, true
		}
		pattern, rest = morePattern, moreRest
	}
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
