package api

import (
	"net/http"
	"strings"
	"sync"

	"github.com/rowhook/rowhook/internal/apidoc"
)

var (
	openAPI = route{public: true, methods: map[string]action{http.MethodGet: (*Server).openAPI}}
	docs    = route{public: true, methods: map[string]action{http.MethodGet: (*Server).docs}}
)

// description is the API as it is described to others.
type description struct {
	document *apidoc.Document
	json     []byte
	// page shows the document, and links to it beside or below. It is made once: who asks for it often costs nothing.
	page func(below bool) ([]byte, error)
	// missing are the methods of routes and the fields that nothing is told of, which a test refuses.
	missing []string
}

// describe makes the description of what the server has.
func (s *Server) describe() *description {
	b := builder(s.config.Version)
	b.Base = s.base
	told := map[string]apidoc.Operation{}
	for _, op := range operations(b.Types) {
		told[op.Method+" "+op.Path] = op
	}
	d := &description{}
	for _, p := range s.table {
		for _, method := range methodsInOrder {
			if _, ok := p.methods[method]; !ok {
				continue
			}
			op, ok := told[method+" "+p.path]
			if !ok {
				d.missing = append(d.missing, method+" "+p.path)
				continue
			}
			op.Public, op.Admin, op.AtRoot = p.public, p.admin, p.atRoot
			b.Operations = append(b.Operations, op)
		}
	}
	d.missing = append(d.missing, b.Types.Missing()...)
	d.document = b.Build()
	var err error
	if d.json, err = d.document.JSON(); err != nil {
		panic("the description of the API cannot be written: " + err.Error())
	}
	beside := sync.OnceValues(func() ([]byte, error) { return apidoc.Page(d.document, "openapi.json") })
	below := sync.OnceValues(func() ([]byte, error) { return apidoc.Page(d.document, "../openapi.json") })
	d.page = func(isBelow bool) ([]byte, error) {
		if isBelow {
			return below()
		}
		return beside()
	}
	return d
}

// methodsInOrder is the order in which the methods of a route are told.
var methodsInOrder = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// Document is the OpenAPI document of the server's routes. It is not to be changed.
func (s *Server) Document() *apidoc.Document { return s.described().document }

func (s *Server) openAPI(call) (answer, error) {
	a := answer{status: http.StatusOK, body: s.described().json}
	a.header("Content-Type", "application/json")
	return a, nil
}

// docs is the document as a page.
func (s *Server) docs(c call) (answer, error) {
	page, err := s.described().page(strings.HasSuffix(c.r.URL.Path, "/"))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: http.StatusOK, body: page}
	a.header("Content-Type", "text/html; charset=utf-8")
	a.header("Content-Security-Policy", apidoc.PagePolicy)
	a.header("Referrer-Policy", "no-referrer")
	return a, nil
}
