package config

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/rowhook/rowhook/mapping"
)

// Schema is the JSON Schema (2020-12) of the config file, for editors.
func Schema() []byte {
	def := Default()
	schema := jsonObject{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "rowhook configuration"},
		{"description", "The config file of rowhook. ${env:NAME}, ${env:NAME:-default} and ${file:PATH} work in every value."},
	}
	schema = append(schema, file.schema(&def)...)
	schema = append(schema, jsonMember{"$defs", jsonObject{{"reference", jsonObject{
		{"description", "A value from an environment variable, ${env:NAME} or ${env:NAME:-default}, or from a file, ${file:PATH}."},
		{"type", "string"},
		{"pattern", `\$\{(env|file):[^}]+\}`},
	}}, {"relation", relationObject.schema(nil)}}})
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(err) // the description is a constant: a test marshals it
	}
	return append(out, '\n')
}

// reference is the schema of a value that comes from elsewhere.
var reference = jsonObject{{"$ref", "#/$defs/reference"}}

// rulesAgain are the rules of a resource: their schema is that of the file's block json.
type rulesAgain struct{ object[mapping.Rules] }

func (rulesAgain) schema(*mapping.Rules) jsonObject { return jsonObject{{"$ref", "#/properties/json"}} }

func (o object[T]) schema(def *T) jsonObject {
	properties := jsonObject{}
	var required []any
	for _, m := range o.members {
		properties = append(properties, jsonMember{m.name, m.schema(def)})
		if m.required != "" {
			required = append(required, m.name)
		}
	}
	out := jsonObject{{"type", []any{"object", "null"}}, {"properties", properties}, {"additionalProperties", false}}
	if o.closed || len(required) > 0 {
		out[0].value = "object"
	}
	if len(required) > 0 {
		out = append(out, jsonMember{"required", required})
	}
	return out
}

func (l list[V]) schema(def *[]V) jsonObject {
	out := jsonObject{{"type", "array"}, {"items", l.item.schema(nil)}}
	if l.max > 0 {
		out = append(out, jsonMember{"maxItems", l.max})
	}
	if def != nil {
		shown := []any{}
		for _, v := range *def {
			if l.show != nil {
				shown = append(shown, l.show(v))
			}
		}
		out = append(out, jsonMember{"default", shown})
	}
	return out
}

// jsonObject is a JSON object that keeps the order of its members.
type jsonObject []jsonMember

type jsonMember struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order.
func (o jsonObject) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	first := true
	for _, m := range o {
		if list, ok := m.value.([]any); ok && len(list) == 0 && m.name == "examples" {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := marshalPlain(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(slices.Concat(name, []byte(":"), value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshalPlain is json.Marshal without its escapes for HTML.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
