package openapi

import (
	"cmp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Instance is how an API shows one instance.
type Instance struct {
	// Path is that of the GET as the document has it: /contacts/{id}. Base goes before it: /api/v1, or empty.
	Path, Base string
	// Params are the parameters in the path, in their order. The last one names the instance.
	Params []string
	// Shape is the instance's JSON. Within says in which member of the answer it stands, empty where it is the answer.
	Shape  *Shape
	Within string
}

// candidate is a path of the document that could show one instance: its last part is a parameter.
type candidate struct {
	path, collection string
	params           []string
	parts            int
	operation        *yaml.Node
}

// candidates are those of the document, those with the fewest parameters and then with the fewest parts first.
func (d *Document) candidates() (all []candidate) {
	for _, p := range entries(get(d.root, "paths")) {
		parts := strings.Split(strings.Trim(p.name, "/"), "/")
		c := candidate{path: p.name, parts: len(parts), operation: get(d.resolve(p.value), "get")}
		for _, part := range parts {
			if name, ok := parameter(part); ok {
				c.params = append(c.params, name)
			}
		}
		if len(parts) < 2 || c.operation == nil || !strings.HasPrefix(p.name, "/") {
			continue
		}
		c.collection = parts[len(parts)-2]
		if _, last := parameter(parts[len(parts)-1]); last {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(len(a.params), len(b.params)), cmp.Compare(a.parts, b.parts))
	})
	return all
}

// Find looks for the GET of one instance: a path whose last part is a parameter and the one before it what same says yes
// to. Of several, that with the fewest parameters, and then the shortest, is taken. It is nil where there is none with an
// object as its answer.
func (d *Document) Find(same func(collection string) bool) *Instance {
	for _, c := range d.paths {
		if !same(c.collection) {
			continue
		}
		schema := d.answer(c.operation)
		if schema == nil {
			continue
		}
		r := reader{Document: d}
		i := &Instance{Path: c.path, Base: d.base(), Params: c.params, Shape: r.shape(schema, 0)}
		i.unwrap(same)
		if i.Shape.Kind == Object && len(i.Shape.Properties) > 0 {
			return i
		}
	}
	return nil
}

// parameter is the name of a part of a path that is one: {id}.
func parameter(part string) (string, bool) {
	if len(part) > 2 && part[0] == '{' && part[len(part)-1] == '}' {
		return part[1 : len(part)-1], true
	}
	return "", false
}

// answer is the schema of what a GET returns where all is well.
func (d *Document) answer(operation *yaml.Node) *yaml.Node {
	var ok *yaml.Node
	for _, want := range []string{"200", "2XX", "2xx", "203", "default"} {
		if ok = get(get(operation, "responses"), want); ok != nil {
			break
		}
	}
	var schema *yaml.Node
	for _, c := range entries(get(d.resolve(ok), "content")) {
		kind, _, _ := strings.Cut(strings.ToLower(c.name), ";")
		kind = strings.TrimSpace(kind)
		s := get(c.value, "schema")
		switch {
		case s == nil:
		case kind == "application/json":
			return s
		case strings.HasSuffix(kind, "json") || kind == "*/*" || kind == "application/*":
			if schema == nil {
				schema = s
			}
		}
	}
	return schema
}

// envelopes are members that answers have the instance in.
var envelopes = []string{"data", "result", "item", "object", "response", "payload"}

// unwrap takes the instance out of {"data": {…}}, where there is nothing else that could be it.
func (i *Instance) unwrap(same func(string) bool) {
	if slices.ContainsFunc(i.Shape.Properties, func(p Property) bool { return p.Name == "id" }) {
		return
	}
	for _, p := range i.Shape.Properties {
		if p.Kind == Object && len(p.Properties) > 0 && (slices.Contains(envelopes, p.Name) || same(p.Name)) {
			i.Shape, i.Within = p.Shape, p.Name
			return
		}
	}
}
