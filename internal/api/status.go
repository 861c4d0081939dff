package api

import "net/http"

var status = route{admin: true, diagnosis: true, methods: map[string]action{http.MethodGet: (*Server).status}}

// status tells how this process is. It is no error that something is wrong: the findings say so.
func (s *Server) status(c call) (answer, error) { return ok(s.config.Status(c.r.Context())) }
