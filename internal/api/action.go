package api

import (
	"io"
	"net/http"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

var (
	rotateSecret = route{methods: map[string]action{http.MethodPost: (*Server).rotateSecret}}
	enable       = route{methods: map[string]action{http.MethodPost: (*Server).enable}}
	disable      = route{methods: map[string]action{http.MethodPost: (*Server).disable}}
	ping         = route{methods: map[string]action{http.MethodPost: (*Server).ping}}
)

// actions are what can be done to a subscription beside changing it, by the last part of the path.
var actions = map[string]route{"rotate-secret": rotateSecret, "enable": enable, "disable": disable, "ping": ping, "confirm": confirm}

func (s *Server) rotateSecret(c call) (answer, error) {
	body, err := optionalBody(c.r)
	if err != nil {
		return answer{}, err
	}
	return s.act(c, true, func(sub *subscriptions.Subscription) error {
		return sub.RotateSecret(body, time.Now())
	})
}

func (s *Server) enable(c call) (answer, error) {
	if _, err := optionalBody(c.r); err != nil {
		return answer{}, err
	}
	return s.act(c, false, func(sub *subscriptions.Subscription) error {
		return sub.Enable(time.Now())
	})
}

func (s *Server) disable(c call) (answer, error) {
	body, err := optionalBody(c.r)
	if err != nil {
		return answer{}, err
	}
	reason, err := subscriptions.ReadReason(body)
	if err != nil {
		return answer{}, err
	}
	by := "account"
	if c.scope.Admin {
		by = "admin"
	}
	return s.act(c, false, func(sub *subscriptions.Subscription) error {
		sub.Disable(by, reason, time.Now())
		return nil
	})
}

// ping shows whether hooks get through.
func (s *Server) ping(c call) (answer, error) {
	if _, err := optionalBody(c.r); err != nil {
		return answer{}, err
	}
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	if sub.TargetURL == "" {
		return answer{}, Conflict("the subscription has no target: nothing is ever sent to it. Give it a target_url to ping it")
	}
	if s.config.Ping == nil {
		return notFound("there is no such route: see the documentation of the API"), nil
	}
	if sub.Unverified() {
		return answer{}, Conflict("its target has not agreed to anything yet: enable asks it again")
	}
	pinged, err := s.config.Ping(c.r.Context(), sub)
	if err != nil {
		return answer{}, err
	}
	return ok(pinged)
}

// act changes a subscription and answers with it, with its secret if that was made just now.
func (s *Server) act(c call, withSecret bool, change func(*subscriptions.Subscription) error) (answer, error) {
	sub, err := s.config.Repository.Update(c.r.Context(), c.scope, c.id, func(sub *subscriptions.Subscription) error {
		if err := matching(c.r)(sub); err != nil {
			return err
		}
		return change(sub)
	})
	if err != nil {
		return answer{}, err
	}
	a, err := ok(sub.Shown(withSecret))
	a.header("ETag", tag(sub))
	return a, err
}

// optionalBody reads a JSON body where there is one.
func optionalBody(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Type") == "" {
		// Who sends nothing need not say what it is.
		if n, _ := io.ReadFull(r.Body, make([]byte, 1)); n == 0 {
			return nil, nil
		}
	}
	return readBody(r, "application/json")
}
