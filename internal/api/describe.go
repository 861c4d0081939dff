package api

import (
	"net/http"
	"strings"

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
	// pages show the document, by where they link to it: who asks for them often costs nothing.
	pages map[string][]byte
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
	d.pages = map[string][]byte{}
	for _, source := range []string{besideDocs, belowDocs} {
		if d.pages[source], err = apidoc.Page(d.document, source); err != nil {
			panic("the page of the API cannot be written: " + err.Error())
		}
	}
	return d
}

// The document's address from docs and from docs/.
const besideDocs, belowDocs = "openapi.json", "../openapi.json"

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
	source := besideDocs
	if strings.HasSuffix(c.r.URL.Path, "/") {
		source = belowDocs
	}
	a := answer{status: http.StatusOK, body: s.described().pages[source]}
	a.header("Content-Type", "text/html; charset=utf-8")
	a.header("Content-Security-Policy", apidoc.PagePolicy)
	a.header("Referrer-Policy", "no-referrer")
	return a, nil
}
