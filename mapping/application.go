package mapping

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// apiName is what expressions call the application's own answer for the instance.
const apiName = "api"

// apiUse says whether the application's answer can be used in a scope, and why not.
type apiUse uint8

const (
	// apiWithheld is where it is decided whether there is an event, before anything is asked.
	apiWithheld apiUse = iota
	apiUsable
	apiWithoutPath
	apiWithoutURL
)

// apiUseOf is that of a resource's representation.
func apiUseOf(r *resource) apiUse {
	switch {
	case r.path == nil:
		return apiWithoutPath
	case !r.application:
		return apiWithoutURL
	}
	return apiUsable
}

// hasAPI says that api is the application's answer. A column of that name hides it, as it does in every config that was
// written before.
func (s *scope) hasAPI() bool {
	_, column := s.index[apiName]
	return s.api == apiUsable && !column && !s.related
}

// tellAPI tells why the application's answer cannot be used here.
func (s *scope) tellAPI(at problem.Place, problems *problem.List) {
	switch {
	case s.related:
		problems.Add(at, "use it in the resource's own representation", "${api.…} is the application's answer for the resource's row, and this is a relation's")
	case s.api == apiWithoutPath:
		problems.Add(at, "say where its answer is: path: /contacts/${id}, under app.url", "${api.…} needs the resource's path")
	case s.api == apiWithoutURL:
		problems.Add(at, "say where the application is: app: {url: http://127.0.0.1:3000}", "${api.…} needs app.url")
	default:
		problems.Add(at, "use the row's own columns; the representation can use api",
			"the application is asked only when it is known that there is an event and whose")
	}
}

// soleAPI is the way from the application's answer to the member that the expression names and nothing else, which is
// then copied with its digits and its order: names and list indexes. It is nil for the whole answer, and ok then too.
func (s *scope) soleAPI(text string) (steps []any, ok bool) {
	if !s.hasAPI() || !strings.Contains(text, apiName) {
		return nil, false
	}
	tree, err := parseExpression(text)
	if err != nil {
		return nil, false
	}
	for n := plainNames(tree.Node, false); ; {
		switch at := n.(type) {
		case *ast.ChainNode:
			n = at.Node
			continue
		case *ast.MemberNode:
			switch property := at.Property.(type) {
			case *ast.StringNode:
				steps = append([]any{property.Value}, steps...)
			case *ast.IntegerNode:
				steps = append([]any{property.Value}, steps...)
			default:
				return nil, false
			}
			n = at.Node
			continue
		case *ast.IdentifierNode:
			return steps, at.Value == apiName
		}
		return nil, false
	}
}

// usesAPI says whether a node needs the application's answer.
func (n *node) usesAPI() bool { return len(n.apiPaths(nil)) > 0 }

// apiPaths are the paths of the leaves that need the application's answer.
func (n *node) apiPaths(into []string) []string {
	uses := n.kind == nodeAPI
	if n.program != nil {
		for _, c := range n.program.columns {
			uses = uses || c.api
		}
	}
	if uses {
		return append(into, orRoot(n.path))
	}
	for i := range n.nodes {
		into = n.nodes[i].apiPaths(into)
		if n.kind == nodeText && len(into) > 0 && into[len(into)-1] == orRoot(n.path) {
			break // its parts are called as it is
		}
	}
	return into
}

// orRoot is how a path is told: the representation as a whole has none.
func orRoot(path string) string {
	if path == "" {
		return "$"
	}
	return path
}

// document is the application's answer for an instance.
type document struct {
	json []byte
	// value is the answer as expressions see it, once it was asked for.
	value   any
	decoded bool
	// missing says that the application has none, failed why it cannot be had.
	missing bool
	failed  string
}

// at is the JSON at the end of the steps.
func (d *document) at(steps []any) ([]byte, bool) {
	raw := d.json
	for _, step := range steps {
		switch step := step.(type) {
		case string:
			var members map[string]json.RawMessage
			if json.Unmarshal(raw, &members) != nil {
				return nil, false
			}
			member, ok := members[step]
			if !ok {
				return nil, false
			}
			raw = member
		case int:
			var items []json.RawMessage
			if json.Unmarshal(raw, &items) != nil || step < 0 || step >= len(items) {
				return nil, false
			}
			raw = items[step]
		}
	}
	return bytes.TrimSpace(raw), true
}

// whole is the answer for expressions.
func (d *document) whole() any {
	if !d.decoded {
		d.value, d.decoded = readJSON(d.json), true
	}
	return d.value
}

// answer is the application's answer for the row that is being rendered.
func (r *renderer) answer() (*document, knowledge) {
	switch d := r.document; {
	case d == nil:
		return nil, absent
	case d.failed != "":
		r.related.broken = d.failed
		return nil, absent
	case d.missing:
		return nil, unchanged
	default:
		return d, known
	}
}

// renderAPI writes a member of the application's answer. One that the answer lacks is left out, and named.
func (r *renderer) renderAPI(dst []byte, n *node) ([]byte, knowledge) {
	d, k := r.answer()
	if k != known {
		return dst, k
	}
	raw, ok := d.at(n.steps)
	if !ok {
		return dst, unchanged
	}
	return encodeJSON(dst, raw), known
}

// Document is an answer of the application that events need.
type Document struct {
	// Path is the address under app.url, percent-encoded. It holds the instance's key.
	Path string
	// Resource and Template name it in messages: the template is the config's path.
	Resource, Template string
}

// Documents are the application's answers that the events need, each once, in the events' order. Each is given by Answer,
// Missing or FailDocument before the events are completed that need it.
func (c *Completion) Documents() []Document {
	var all []Document
	seen := map[string]bool{}
	for _, e := range c.events {
		w := e.pending
		if !w.planned.usesAPI || !w.locate() || seen[w.address] {
			continue
		}
		seen[w.address] = true
		all = append(all, Document{Path: w.address, Resource: w.planned.Name, Template: w.planned.Path.Text})
	}
	return all
}

// locate finds the address of the row's instance. It is false where there is none.
func (w *pending) locate() bool {
	if w.located {
		return w.address != ""
	}
	w.located = true
	r := &w.mapper.renderer
	defer w.mapper.forget()
	r.row, r.fallback, r.old, r.partial, r.failed, r.err, r.related, r.document = w.row, w.fallback, nil, nil, nil, nil, nil, nil
	path, k := r.appendAddress(nil, w.planned.path)
	switch {
	case r.err != nil:
		w.broken = strings.TrimPrefix(r.reason(w.planned.Name), w.planned.Name+".")
	case k == known:
		w.address = string(path)
	}
	return w.address != ""
}

// Answer gives the application's answer at a path: a JSON value, which belongs to the Completion from then on.
func (c *Completion) Answer(path string, answer []byte) { c.give(path, &document{json: answer}) }

// Missing says that the application has no answer at a path: what needs it is left out of the events, and named there.
func (c *Completion) Missing(path string) { c.give(path, &document{missing: true}) }

// FailDocument says why the answer at a path cannot be had: events that need it become dead letters. The reason must not
// hold values.
func (c *Completion) FailDocument(path, reason string) { c.give(path, &document{failed: reason}) }

func (c *Completion) give(path string, d *document) {
	if c.documents == nil {
		c.documents = map[string]*document{}
	}
	c.documents[path] = d
}

// Lacks says that the event needs an answer of the application which was not given.
func (c *Completion) Lacks(e *Event) bool {
	w := e.pending
	return w != nil && w.planned.usesAPI && w.locate() && c.documents[w.address] == nil
}

// documentOf is what there is for the event. Where its address is not known, neither is the answer.
func (c *Completion) documentOf(w *pending) *document {
	switch {
	case !w.planned.usesAPI:
		return nil
	case !w.locate():
		return &document{missing: true, failed: w.broken}
	case w.given:
		return &document{missing: true}
	}
	return c.documents[w.address]
}

// Owners asks whose the rows are by now that the application has answered for, of events that an account gets. What it says
// of an instance that was given away is the new account's, so the rows have to be read behind the answers. Each is given to
// Owned, in the order of the requests.
func (c *Completion) Owners() []cdc.RowRequest {
	c.owned = c.owned[:0]
	var requests []cdc.RowRequest
	for _, e := range c.events {
		w := e.pending
		if w == nil || !e.Accounted || !w.planned.usesAPI || w.planned.relation == nil || len(w.planned.accountColumns) == 0 || !w.locate() {
			continue
		}
		if d := c.documents[w.address]; d == nil || d.missing || d.failed != "" {
			continue
		}
		w.given = true
		request := cdc.RowRequest{Relation: w.planned.relation, Columns: slices.Sorted(slices.Values(w.planned.accountColumns))}
		for _, k := range request.Relation.Key {
			if v := w.value(k); v.Kind == cdc.Text {
				request.Key = append(request.Key, v.Data)
			}
		}
		if len(request.Key) == len(request.Relation.Key) && len(request.Key) > 0 {
			requests, c.owned = append(requests, request), append(c.owned, w)
		}
	}
	return requests
}

// Owned gives the row of a request of Owners; nil where there is none, or it cannot be read.
func (c *Completion) Owned(request int, row cdc.Row) {
	w := c.owned[request]
	columns := slices.Sorted(slices.Values(w.planned.accountColumns))
	if len(row) < len(columns) {
		return
	}
	for n, i := range columns {
		if was := w.value(i); row[n].Kind != was.Kind || !bytes.Equal(row[n].Data, was.Data) {
			return
		}
	}
	w.given = false
}

// value is a value of the event's row.
func (w *pending) value(i int) cdc.Value {
	if i < len(w.row) && w.row[i].Kind != cdc.Unchanged {
		return w.row[i]
	}
	if i < len(w.fallback) {
		return w.fallback[i]
	}
	return cdc.Value{}
}
