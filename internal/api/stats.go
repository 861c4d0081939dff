package api

import "net/http"

var stats = route{methods: map[string]action{http.MethodGet: (*Server).stats}}

// stats tells how a subscription fares.
func (s *Server) stats(c call) (answer, error) {
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	leave, err := s.logTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	v, err := s.config.Deliveries.Stats(c.r.Context(), sub)
	if err != nil {
		return answer{}, err
	}
	return ok(v)
}
