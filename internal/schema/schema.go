package schema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// Dialect is the $schema of what is made here.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// The types of JSON.
const (
	Null    = "null"
	Boolean = "boolean"
	Integer = "integer"
	Number  = "number"
	String  = "string"
	Array   = "array"
	Object  = "object"
)

// Schema says what a value may be. The zero value is any. A Schema is not changed once it is part of another one.
type Schema struct {
	// Dialect is that of the whole document; empty in what is within it.
	Dialect     string `json:"$schema,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Type        Types  `json:"type,omitempty"`
	Const       any    `json:"const,omitempty"`
	Enum        []any  `json:"enum,omitempty"`
	// Format is an annotation: it promises nothing of values that no format has, as years before Christ.
	Format          string     `json:"format,omitempty"`
	Pattern         string     `json:"pattern,omitempty"`
	ContentEncoding string     `json:"contentEncoding,omitempty"`
	Items           *Schema    `json:"items,omitempty"`
	Properties      Properties `json:"properties,omitempty"`
	Required        []string   `json:"required,omitempty"`
	Additional      *Schema    `json:"additionalProperties,omitempty"`
	AnyOf           []*Schema  `json:"anyOf,omitempty"`
	If              *Schema    `json:"if,omitempty"`
	Else            *Schema    `json:"else,omitempty"`
	// value is what examples have; no document holds it.
	value []byte
}

// Exemplified is s with a JSON value that its examples have. It is not in the document.
func (s *Schema) Exemplified(value []byte) *Schema {
	out := *s
	out.value = value
	return &out
}

// Types are those that a value may have: one is written as a text.
type Types []string

// MarshalJSON implements json.Marshaler.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Property is a member of an object.
type Property struct {
	Name string
	*Schema
}

// Properties are members in the order in which objects have them.
type Properties []Property

// MarshalJSON implements json.Marshaler.
func (p Properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		for n, part := range []any{m.Name, m.Schema} {
			text, err := json.Marshal(part)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				b.WriteByte(':')
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Of is a value of one of the types.
func Of(types ...string) *Schema { return &Schema{Type: types} }

// Any is any value, null too.
func Any() *Schema { return &Schema{} }

// Add appends a member.
func (s *Schema) Add(name string, member *Schema, required bool) {
	s.Properties = append(s.Properties, Property{name, member})
	if required {
		s.Required = append(s.Required, name)
	}
}

// OrNull is s, or null.
func (s *Schema) OrNull() *Schema {
	out := *s
	switch {
	case s.IsAny() || slices.Contains(s.Type, Null):
	case len(s.AnyOf) > 0:
		if !slices.ContainsFunc(s.AnyOf, func(a *Schema) bool { return slices.Contains(a.Type, Null) }) {
			out.AnyOf = append(slices.Clone(s.AnyOf), Of(Null))
		}
	default:
		out.Type = append(slices.Clone(s.Type), Null)
		if len(s.Enum) > 0 {
			out.Enum = append(slices.Clone(s.Enum), nil)
		}
	}
	return &out
}

// IsAny says that every value is valid.
func (s *Schema) IsAny() bool { return len(s.Type) == 0 && len(s.AnyOf) == 0 && s.Const == nil }

// Either is one of several; those that are the same count once.
func Either(all ...*Schema) *Schema {
	var distinct []*Schema
	var texts []string
	for _, s := range all {
		if s.IsAny() {
			return Any()
		}
		text, err := json.Marshal(s)
		if err != nil || !slices.Contains(texts, string(text)) {
			distinct, texts = append(distinct, s), append(texts, string(text))
		}
	}
	switch len(distinct) {
	case 0:
		return Any()
	case 1:
		return distinct[0]
	}
	return &Schema{AnyOf: distinct}
}

// Infer is what a JSON value says of the type of those like it; it holds nothing of the value but the names of members.
func Infer(value []byte) *Schema {
	value = bytes.TrimSpace(value)
	if len(value) == 0 {
		return Any()
	}
	switch value[0] {
	case '{':
		s := Of(Object)
		d := json.NewDecoder(bytes.NewReader(value))
		if _, err := d.Token(); err != nil {
			return s
		}
		for d.More() {
			name, err := d.Token()
			var member json.RawMessage
			if err != nil || d.Decode(&member) != nil {
				return s
			}
			if text, ok := name.(string); ok {
				s.Add(text, Infer(member), true)
			}
		}
		return s
	case '[':
		s := Of(Array)
		var items []json.RawMessage
		if json.Unmarshal(value, &items) == nil && len(items) > 0 {
			kinds := make([]*Schema, len(items))
			for i, item := range items {
				kinds[i] = Infer(item)
			}
			s.Items = Either(kinds...)
		}
		return s
	case '"':
		return Of(String)
	case 't', 'f':
		return Of(Boolean)
	case 'n':
		return Of(Null)
	}
	if _, err := strconv.ParseInt(string(value), 10, 64); err != nil {
		return Of(Number) // whole ones beyond 64 bits, too: hardly any reader takes them as integers
	}
	return Of(Integer)
}
