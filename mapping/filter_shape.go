package mapping

import (
	"slices"
	"sync"

	"github.com/expr-lang/expr/types"

	"github.com/rowhook/rowhook/internal/schema"
)

// FilterShape is what the data of a resource's events may hold, as far as filters are held to it: the members, and the kinds of
// their values. It is made when a filter is first held to it: of a thousand resources few have filters. A nil one tells
// nothing, and everything fits it.
type FilterShape struct{ root func() jsonType }

// FilterShape is that of the named resource's data, nil where there is none.
func (m *Mapper) FilterShape(resource string) *FilterShape {
	for _, c := range m.resources {
		if c.Name == resource {
			return &FilterShape{sync.OnceValue(func() jsonType {
				x := shaper{columns: c.table.Columns, format: c.format, key: c.keyColumns}
				return jsonTypeOf(x.node(&c.bound.root).schema)
			})}
		}
	}
	return nil
}

type jsonKind uint8

const (
	jsonAny jsonKind = iota
	jsonText
	jsonBool
	jsonInteger
	// jsonNumber is any number.
	jsonNumber
	jsonObject
	jsonList
)

// jsonType is what a value is where it is not null. Members are those of an object, element is that of a list.
type jsonType struct {
	kind    jsonKind
	members map[string]jsonType
	element *jsonType
}

// jsonTypeOf is what a schema says of a value that is not null: any, where it may be of several kinds or has members that nobody
// knows.
func jsonTypeOf(s *schema.Schema) jsonType {
	kinds := slices.DeleteFunc(slices.Clone(s.Type), func(t string) bool { return t == schema.Null })
	if len(s.AnyOf) > 0 || len(kinds) != 1 {
		return jsonType{}
	}
	switch kinds[0] {
	case schema.String:
		return jsonType{kind: jsonText}
	case schema.Boolean:
		return jsonType{kind: jsonBool}
	case schema.Integer:
		if s.Format == unsigned {
			return jsonType{kind: jsonNumber}
		}
		return jsonType{kind: jsonInteger}
	case schema.Number:
		return jsonType{kind: jsonNumber}
	case schema.Array:
		element := jsonType{}
		if s.Items != nil {
			element = jsonTypeOf(s.Items)
		}
		return jsonType{kind: jsonList, element: &element}
	case schema.Object:
		if s.Additional != nil || len(s.Properties) == 0 {
			return jsonType{}
		}
		t := jsonType{kind: jsonObject, members: make(map[string]jsonType, len(s.Properties))}
		for _, m := range s.Properties {
			t.members[m.Name] = jsonTypeOf(m.Schema)
		}
		return t
	}
	return jsonType{}
}

// or is the type of what is of one of the two: an object has the members of both.
func (t jsonType) or(o jsonType) jsonType {
	if t.kind != o.kind {
		if t.number() && o.number() {
			return jsonType{kind: jsonNumber}
		}
		return jsonType{}
	}
	switch t.kind {
	case jsonObject:
		both := jsonType{kind: jsonObject, members: make(map[string]jsonType, len(t.members)+len(o.members))}
		for name, m := range t.members {
			both.members[name] = m
		}
		for name, m := range o.members {
			if mine, ok := both.members[name]; ok {
				m = mine.or(m)
			}
			both.members[name] = m
		}
		return both
	case jsonList:
		element := t.element.or(*o.element)
		return jsonType{kind: jsonList, element: &element}
	}
	return t
}

func (t jsonType) number() bool { return t.kind == jsonInteger || t.kind == jsonNumber }

// static is what the checker of expressions takes it for.
func (t jsonType) static() types.Type {
	switch t.kind {
	case jsonText:
		return types.String
	case jsonBool:
		return types.Bool
	case jsonInteger:
		return types.Int64
	case jsonNumber:
		return numericType
	case jsonList:
		return types.Array(t.element.static())
	case jsonObject:
		members := make(types.Map, len(t.members))
		for name, m := range t.members {
			members[name] = m.static()
		}
		return members
	}
	return types.Any
}

// names are all members, of objects within it too.
func (t jsonType) names(into []string) []string {
	for name, m := range t.members {
		into = m.names(append(into, name))
	}
	if t.element != nil {
		into = t.element.names(into)
	}
	return into
}
