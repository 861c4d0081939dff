package openapi

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// What a Shape can be.
const (
	Any     = ""
	Object  = "object"
	Array   = "array"
	String  = "string"
	Number  = "number"
	Integer = "integer"
	Boolean = "boolean"
)

// MaxProperties is how many properties a shape has at most, in all; maxDepth how deep it goes.
const (
	MaxProperties = 2000
	maxDepth      = 12
)

// Shape is what a schema says of a JSON value.
type Shape struct {
	// Kind is one of the constants.
	Kind   string
	Format string
	// Name is the component's, where the schema is a reference to one.
	Name string
	// Const is the only value that is allowed, if it is a scalar; nil where there are others.
	Const *yaml.Node
	// Properties are those of an object, in their order; Items what a list is of.
	Properties []Property
	Items      *Shape
	// Repeats says that the schema stands within itself: there is no more to it here.
	Repeats bool
	// Variants is how many different schemas are allowed, where that is more than one. The shape is that of the first.
	Variants int
}

// Property is one of an object.
type Property struct {
	Name string
	*Shape
}

// reader makes a shape, with what it has cost so far.
type reader struct {
	*Document
	count, steps int
	// open are the schemas that are being read.
	open []*yaml.Node
}

// maxSteps bounds how many schemas are looked at for one shape: allOf and anyOf can multiply them.
const maxSteps = 20_000

// maxWords is how many keys and values a schema may have, and how many items its lists.
const maxWords = 2000

func (r *reader) shape(n *yaml.Node, depth int) *Shape {
	s := &Shape{}
	if r.steps++; n == nil || depth > maxDepth || r.steps > maxSteps || len(n.Content) > maxWords || r.count > MaxProperties {
		return s
	}
	if ref := text(n, "$ref"); ref != "" {
		target, name := r.lookup(ref)
		if target == nil {
			return s
		}
		s = r.shape(target, depth+1)
		if s.Name == "" {
			s.Name = name
		}
		return s
	}
	if slices.Contains(r.open, n) {
		s.Repeats, s.Kind = true, Object
		return s
	}
	r.open = append(r.open, n)
	defer func() { r.open = r.open[:len(r.open)-1] }()

	s.Kind, s.Format = kindOf(n), text(n, "format")
	if c := get(n, "const"); c != nil && c.Kind == yaml.ScalarNode {
		s.Const = c
	}
	if all := notNull(few(get(n, "enum"))); len(all) == 1 && all[0].Kind == yaml.ScalarNode {
		s.Const = all[0]
	}
	r.properties(s, n, depth)
	if of := get(n, "items"); of != nil {
		s.Items = r.shape(of, depth+1)
		if s.Kind == Any {
			s.Kind = Array
		}
	}
	for _, part := range few(get(n, "allOf")) {
		s.merge(r.shape(part, depth+1))
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		var variants []*Shape
		for _, v := range few(get(n, key)) {
			if text(v, "type") != "null" {
				variants = append(variants, r.shape(v, depth+1))
			}
		}
		if len(variants) == 0 {
			continue
		}
		first := variants[0]
		if i := slices.IndexFunc(variants, func(v *Shape) bool { return len(v.Properties) > 0 }); i >= 0 {
			first = variants[i]
		}
		s.merge(first)
		if len(variants) > 1 {
			s.Variants = len(variants)
		}
	}
	return s
}

func (r *reader) properties(s *Shape, n *yaml.Node, depth int) {
	all := get(n, "properties")
	if all != nil && len(all.Content) > 2*MaxProperties {
		return
	}
	for _, p := range entries(all) {
		if text(r.resolve(p.value), "writeOnly") == "true" || text(p.value, "writeOnly") == "true" {
			continue
		}
		if r.count++; r.count > MaxProperties {
			return
		}
		s.put(Property{p.name, r.shape(p.value, depth+1)})
		if s.Kind == Any {
			s.Kind = Object
		}
	}
}

// few are the items of a list, unless there are more than anybody writes.
func few(n *yaml.Node) []*yaml.Node {
	if n = follow(n); n == nil || len(n.Content) > maxWords {
		return nil
	}
	return items(n)
}

// put adds a property, or replaces the one of its name, in its place.
func (s *Shape) put(p Property) {
	for i := range s.Properties {
		if s.Properties[i].Name == p.Name {
			s.Properties[i] = p
			return
		}
	}
	s.Properties = append(s.Properties, p)
}

// merge adds what another schema says of the same value.
func (s *Shape) merge(o *Shape) {
	for _, p := range o.Properties {
		s.put(p)
	}
	if s.Kind == Any {
		s.Kind = o.Kind
	}
	if s.Format == "" {
		s.Format = o.Format
	}
	if s.Name == "" {
		s.Name = o.Name
	}
	if s.Const == nil {
		s.Const = o.Const
	}
	if s.Items == nil {
		s.Items = o.Items
	}
	s.Repeats = s.Repeats || o.Repeats
	s.Variants = max(s.Variants, o.Variants)
}

// kindOf is what a schema's type says: a word, or in 3.1 a list of words with null in it.
func kindOf(n *yaml.Node) string {
	t := get(n, "type")
	if t == nil {
		return Any
	}
	words := []string{t.Value}
	if t.Kind == yaml.SequenceNode {
		words = nil
		for _, w := range few(t) {
			words = append(words, w.Value)
		}
	}
	for _, w := range words {
		if slices.Contains([]string{Object, Array, String, Number, Integer, Boolean}, w) {
			return w
		}
	}
	return Any
}

func notNull(all []*yaml.Node) []*yaml.Node {
	return slices.DeleteFunc(all, func(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" })
}
