package api

import (
	"net/http"

	"github.com/rowhook/rowhook/client"
)

// eventTypes lists the catalogue, also what accounts cannot subscribe to, with the reason. What nobody can is not in it.
func (s *Server) eventTypes(call) (answer, error) {
	catalogue := s.catalogue()
	if catalogue == nil {
		return answer{}, errNoCatalogue
	}
	types := make([]client.EventType, 0, len(catalogue))
	for i := range catalogue {
		if catalogue[i].Reason == "" {
			types = append(types, listed(&catalogue[i]))
		}
	}
	return ok(types)
}

// health says that the process lives.
type health struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

func (s *Server) alive(call) (answer, error) { return ok(health{"alive", s.config.Version}) }

func (s *Server) ready(call) (answer, error) {
	r := client.Readiness{Ready: true}
	if s.config.Ready != nil {
		r = s.config.Ready()
	}
	if r.Parts == nil {
		r.Parts = []client.Part{}
	}
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	a, err := jsonAnswer(status, "application/json", r)
	a.header("Cache-Control", "no-store")
	return a, err
}
