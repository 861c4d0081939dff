package apidoc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Field is what the Go type of a field does not tell.
type Field struct {
	// Text is what the field means, in Markdown.
	Text string
	// Example is a value as JSON. It may be empty where the field's own schema has one.
	Example string
	// Enum are all the values of a text.
	Enum []string
	// Rare fields are left out of the examples of what holds them.
	Rare bool
	// Optional fields may be left out, whatever the Go type says.
	Optional bool
	// Min and Max bound a number where Max is not 0.
	Min, Max int
}

// Types makes schemas of Go types.
type Types struct {
	// Names are the schemas that have a name.
	Names map[reflect.Type]string
	// Own are the schemas of types with a JSON form of their own.
	Own map[reflect.Type]*Schema
	// Fields are what is told of fields, by the name of the schema and that of the field: Token.id.
	Fields map[string]Field
	// Inputs are the names of what is read: unknown fields of it are refused, and null is the default of those that may be
	// left out.
	Inputs []string
	// Likes tells, by the name of a schema, that of another one with fields of the same meaning.
	Likes map[string]string

	made    Ordered[*Schema]
	missing []string
}

// Named makes the schema of v's type under its name, and returns a reference to it. A list is one of references.
func (t *Types) Named(v any) *Schema { return t.of(reflect.TypeOf(v), "") }

// Add puts a schema under a name.
func (t *Types) Add(name string, s *Schema) *Schema {
	t.made = append(t.made, Member[*Schema]{name, s})
	return &Schema{Ref: refTo(name)}
}

// Schema returns what is under a name, nil if nothing is.
func (t *Types) Schema(name string) *Schema {
	s, _ := t.made.Get(name)
	return s
}

// Missing are the fields that nothing is told of, and what else is not known.
func (t *Types) Missing() []string { return t.missing }

const refPrefix = "#/components/schemas/"

func refTo(name string) string { return refPrefix + name }

// of makes the schema of a type that a field of the schema in stands for.
func (t *Types) of(typ reflect.Type, in string) *Schema {
	if s, ok := t.Own[typ]; ok {
		own := *s
		return &own
	}
	if name, ok := t.Names[typ]; ok {
		if _, made := t.made.Get(name); !made {
			// The place first: what it holds may refer to it.
			s := &Schema{}
			ref := t.Add(name, s)
			*s = *t.Object(typ, name)
			if slices.Contains(t.Inputs, name) {
				Input(s)
			}
			return ref
		}
		return &Schema{Ref: refTo(name)}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return Nullable(t.of(typ.Elem(), in))
	case reflect.Slice:
		return &Schema{Type: "array", Items: t.of(typ.Elem(), in)}
	case reflect.Map:
		return &Schema{Type: "object", AdditionalProperties: t.of(typ.Elem(), in)}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Int, reflect.Int64, reflect.Int32:
		return &Schema{Type: "integer"}
	case reflect.Float64:
		return &Schema{Type: "number"}
	}
	t.missing = append(t.missing, fmt.Sprintf("%s: its type %s has neither a name nor a schema of its own", in, typ))
	return &Schema{Examples: []any{nil}}
}

var timeType = reflect.TypeFor[time.Time]()

// Object makes the schema of a struct, whose fields are described under a name, of only those fields where any are named. It
// is not kept.
func (t *Types) Object(typ reflect.Type, name string, only ...string) *Schema {
	s := &Schema{Type: "object", Description: t.Fields[name].Text}
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag := f.Tag.Get("json")
		field, options, _ := strings.Cut(tag, ",")
		if f.Anonymous && tag == "" {
			inner := t.Object(f.Type, name, only...)
			s.Properties, s.Required = append(s.Properties, inner.Properties...), append(s.Required, inner.Required...)
			continue
		}
		if !f.IsExported() || field == "-" || field == "" || len(only) > 0 && !slices.Contains(only, field) {
			continue
		}
		var p *Schema
		if f.Type == timeType {
			p = &Schema{Type: "string", Format: "date-time"}
		} else if f.Type == reflect.PointerTo(timeType) {
			p = &Schema{Type: []string{"string", "null"}, Format: "date-time"}
		} else {
			p = t.of(f.Type, name+"."+field)
		}
		told := t.Describe(p, name, field)
		s.Properties = append(s.Properties, Member[*Schema]{field, p})
		if !strings.Contains(options, "omit") && !told.Optional {
			s.Required = append(s.Required, field)
		}
	}
	return s
}

// Describe adds to a schema what is told of a field.
func (t *Types) Describe(p *Schema, schema, field string) Field {
	f, ok := t.told(schema, field)
	if !ok {
		t.missing = append(t.missing, schema+"."+field)
		return f
	}
	p.Description, p.rare = f.Text, f.Rare
	for _, e := range f.Enum {
		p.Enum = append(p.Enum, e)
	}
	if len(p.Enum) > 0 && takesNull(p) {
		p.Enum = append(p.Enum, nil)
	}
	if f.Max != 0 {
		p.Minimum, p.Maximum = &f.Min, &f.Max
	}
	if f.Example != "" {
		p.Examples = []any{json.RawMessage(f.Example)}
	}
	return f
}

func (t *Types) told(schema, field string) (Field, bool) {
	for schema != "" {
		if f, ok := t.Fields[schema+"."+field]; ok {
			return f, true
		}
		schema = t.Likes[schema]
	}
	return Field{}, false
}

// Input makes an object one that is read: see Types.Inputs.
func Input(s *Schema) {
	s.AdditionalProperties = false
	for i, p := range s.Properties {
		if !slices.Contains(s.Required, p.Name) {
			s.Properties[i].Value = Nullable(p.Value)
		}
	}
}

// Nullable is the schema that takes null too.
func Nullable(s *Schema) *Schema {
	if takesNull(s) {
		return s
	}
	n := *s
	switch typ := s.Type.(type) {
	case string:
		n.Type = []string{typ, "null"}
	case []string:
		n.Type = append(slices.Clone(typ), "null")
	default: // a reference, or several schemas
		alternatives := s.AnyOf
		if s.Ref != "" {
			alternatives = []*Schema{{Ref: s.Ref}}
		}
		n = Schema{AnyOf: append(slices.Clone(alternatives), &Schema{Type: "null"}), Description: s.Description, Examples: s.Examples, rare: s.rare,
			ReadOnly: s.ReadOnly, WriteOnly: s.WriteOnly}
	}
	if len(n.Enum) > 0 {
		n.Enum = append(slices.Clone(n.Enum), nil)
	}
	return &n
}

func takesNull(s *Schema) bool {
	switch typ := s.Type.(type) {
	case string:
		return typ == "null"
	case []string:
		return slices.Contains(typ, "null")
	}
	return slices.ContainsFunc(s.AnyOf, takesNull)
}

// Example composes an example of a schema from those of its parts, with the rare ones that are named.
func (t *Types) Example(s *Schema, rare ...string) json.RawMessage {
	switch {
	case len(s.Examples) > 0:
		text, err := encode(s.Examples[0])
		if err != nil {
			panic("apidoc: an example is no JSON: " + err.Error())
		}
		return text
	case s.Ref != "":
		return t.Example(t.Schema(strings.TrimPrefix(s.Ref, refPrefix)), rare...)
	case len(s.AnyOf) > 0 && len(s.Properties) == 0:
		return t.Example(s.AnyOf[0], rare...)
	case s.Items != nil:
		return slices.Concat([]byte("["), t.Example(s.Items, rare...), []byte("]"))
	case len(s.Properties) == 0:
		return json.RawMessage("null")
	}
	o := Ordered[json.RawMessage]{}
	for _, p := range s.Properties {
		if !p.Value.rare || slices.Contains(rare, p.Name) {
			o = append(o, Member[json.RawMessage]{p.Name, t.Example(p.Value)})
		}
	}
	text, err := encode(o)
	if err != nil {
		panic("apidoc: an example is no JSON: " + err.Error())
	}
	return text
}
