package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// decoder walks the file once along the description and gathers all that is wrong.
type decoder struct {
	file     string
	lines    []string
	env      func(string) (string, bool)
	readFile func(string) ([]byte, error)
	problems problem.List
	// mended are the lines, from 1, that were made YAML by quotes.
	mended map[int]bool
	// bad holds what was complained of already: nodes, and texts whose references did not resolve.
	bad map[any]bool
	// hidden are the values that are secret.
	hidden map[*yaml.Node]bool
	// notes remember, by path, what the checks between keys need to tell of a value.
	notes map[string]note
}

// note is how messages name a value, and where it is.
type note struct {
	shown string
	at    problem.Place
}

// value is a node of the file under the path that messages call it by.
type value struct {
	path string
	// key is where the value's key stands; zero in lists.
	key  problem.Place
	node *yaml.Node
}

func (d *decoder) place(n *yaml.Node) problem.Place {
	return problem.Place{File: d.file, Line: n.Line, Column: n.Column}
}

func (d *decoder) add(at problem.Place, hint, format string, args ...any) {
	d.problems.Add(at, hint, format, args...)
}

// kind is what a value may be: how it is read, and how the schema tells of it.
type kind[V any] interface {
	decode(d *decoder, v value, to *V)
	// schema describes the value; def is its default, nil where there is none.
	schema(def *V) jsonObject
}

// member is a key of an object.
type member[T any] struct {
	name string
	// required names what to write where the key is missing; empty: it may be left out.
	required string
	decode   func(d *decoder, v value, to *T)
	schema   func(def *T) jsonObject
	// changed lists the keys that differ, the member's own path or those below it.
	changed func(a, b *T, path string) []string
}

// key describes one key: its name, what it holds, where that goes, and what it means.
func key[T, V any](name string, k kind[V], at func(*T) *V, doc string) member[T] {
	return member[T]{
		name:   name,
		decode: func(d *decoder, v value, to *T) { k.decode(d, v, at(to)) },
		schema: func(def *T) jsonObject {
			var inner *V
			if def != nil {
				inner = at(def)
			}
			return append(jsonObject{{"description", doc}}, k.schema(inner)...)
		},
		changed: func(a, b *T, path string) []string { return changedAt(k, at(a), at(b), path) },
	}
}

// must makes a key required; example is what the hint shows.
func must[T any](m member[T], example string) member[T] {
	m.required = example
	return m
}

// object is a map with known keys.
type object[T any] struct {
	members []member[T]
	// later are keys that a later version will have.
	later []string
	// check looks at how the object's values fit together; it sees what was decoded, also where some of it was wrong.
	check func(d *decoder, v value, to *T)
	// closed objects must not be empty: nothing after the colon is a mistake there.
	closed bool
}

func (o object[T]) decode(d *decoder, v value, to *T) {
	if d.bad[v.node] {
		return
	}
	entries, ok := d.entries(v, o.closed)
	if !ok {
		return
	}
	seen := map[string]bool{}
	for _, e := range entries {
		seen[e.name] = true
		if i := slices.IndexFunc(o.members, func(m member[T]) bool { return m.name == e.name }); i >= 0 {
			o.members[i].decode(d, e.value, to)
			continue
		}
		if slices.Contains(o.later, e.name) {
			d.add(e.key, "leave it out; a later version will have it", "%q is not supported by this version", e.name)
			continue
		}
		d.unknown(e, v.path, o.names())
	}
	for _, m := range o.members {
		if m.required != "" && !seen[m.name] {
			d.add(d.objectPlace(v), "add "+m.required, "%s is required", join(v.path, m.name))
		}
	}
	if o.check != nil {
		o.check(d, v, to)
	}
}

func (o object[T]) names() []string {
	names := make([]string, len(o.members))
	for i, m := range o.members {
		names[i] = m.name
	}
	return names
}

// unknown complains of a key that the object does not have.
func (d *decoder) unknown(e entry, in string, names []string) {
	hint := problem.DidYouMean(e.name, names)
	if hint == "" {
		hint = "the keys here are " + strings.Join(names, ", ")
	}
	if in == "" {
		d.add(e.key, hint, "unknown key %q", e.name)
		return
	}
	d.add(e.key, hint, "unknown key %q in %s", e.name, in)
}

// objectPlace is where to send a reader who has to add a key: the object's own key, where it has one.
func (d *decoder) objectPlace(v value) problem.Place {
	if v.key.Line > 0 {
		return v.key
	}
	return d.place(v.node)
}

// entry is a key of a map with its value.
type entry struct {
	name string
	value
}

// entries are the keys of a map, without those that were complained of already. It is false where v is no map.
func (d *decoder) entries(v value, closed bool) ([]entry, bool) {
	switch {
	case v.node.Kind == yaml.MappingNode:
	case isNull(v.node) && !closed:
		return nil, true
	default:
		d.mustBe(v, "a map of keys and values")
		return nil, false
	}
	var out []entry
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k, n := v.node.Content[i], v.node.Content[i+1]
		if d.bad[k] {
			continue
		}
		out = append(out, entry{name: k.Value, value: value{path: join(v.path, k.Value), key: d.place(k), node: n}})
	}
	return out, true
}

// list is a list of values of one kind. Given, it replaces the default whole.
type list[V any] struct {
	item kind[V]
	// max bounds the number of values; 0 does not.
	max int
	// show is one value as it is written, for the schema's default; nil where the list has none to show.
	show func(V) any
	// check looks at how the values fit together.
	check func(d *decoder, v value, items []V)
}

func (l list[V]) decode(d *decoder, v value, to *[]V) {
	if d.bad[v.node] {
		return
	}
	switch {
	case v.node.Kind == yaml.SequenceNode:
	case isNull(v.node):
		return
	default:
		d.mustBe(v, "a list")
		return
	}
	if l.max > 0 && len(v.node.Content) > l.max {
		d.add(d.place(v.node.Content[l.max]), fmt.Sprintf("keep at most %d", l.max),
			"%s has %d values, more than %d", v.path, len(v.node.Content), l.max)
	}
	items := make([]V, len(v.node.Content))
	for i, n := range v.node.Content {
		l.item.decode(d, value{path: fmt.Sprintf("%s[%d]", v.path, i), node: n}, &items[i])
	}
	*to = items
	if l.check != nil {
		l.check(d, v, items)
	}
}

// mustBe complains of a value that is not of the wanted form.
func (d *decoder) mustBe(v value, want string) {
	hint := ""
	switch {
	case v.node.Kind == yaml.ScalarNode && strings.Contains(v.node.Value, ":") && want != "a list":
		hint = "put a space after the colon: key: value"
	case want == "a list":
		hint = "write it in brackets, or as lines that begin with a dash"
	case v.path != "":
		hint = "write its keys on the lines below it, indented, each as key: value"
	default:
		hint = "begin with database: and resources:"
	}
	d.add(d.place(v.node), hint, "%s must be %s, not %s", nameOf(v.path), want, formOf(v.node))
}

// nameOf is how messages name a path: the root has none.
func nameOf(path string) string {
	if path == "" {
		return "the config file"
	}
	return path
}

// formOf says what a node is, never what it holds: it may be a secret that lost its key.
func formOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "empty"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
