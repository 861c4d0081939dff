package apidoc

import (
	"bytes"
	"encoding/json"
)

// Document is an OpenAPI 3.1 document. https://spec.openapis.org/oas/v3.1.0
type Document struct {
	OpenAPI    string             `json:"openapi"`
	Info       Info               `json:"info"`
	Servers    []Server           `json:"servers"`
	Security   []map[string][]any `json:"security"`
	Tags       []Tag              `json:"tags"`
	Paths      Ordered[*PathItem] `json:"paths"`
	Components Components         `json:"components"`
}

// Info is what the document is about.
type Info struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description"`
}

// Server is where the paths are.
type Server struct {
	URL         string `json:"url"`
	Description string `json:"description,omitempty"`
}

// Tag is a group of operations.
type Tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// PathItem is what can be done at a path, by method in lower case.
type PathItem struct {
	// Servers are given where they differ from the document's.
	Servers    []Server
	Parameters []*Parameter
	Methods    Ordered[*Described]
}

// MarshalJSON writes the methods beside the other members.
func (p *PathItem) MarshalJSON() ([]byte, error) {
	o := Ordered[any]{}
	if len(p.Servers) > 0 {
		o = append(o, Member[any]{"servers", p.Servers})
	}
	if len(p.Parameters) > 0 {
		o = append(o, Member[any]{"parameters", p.Parameters})
	}
	for _, m := range p.Methods {
		o = append(o, Member[any]{m.Name, m.Value})
	}
	return json.Marshal(o)
}

// Described is an operation as the document has it.
type Described struct {
	OperationID string       `json:"operationId"`
	Tags        []string     `json:"tags"`
	Summary     string       `json:"summary"`
	Description string       `json:"description,omitempty"`
	Parameters  []*Parameter `json:"parameters,omitempty"`
	RequestBody *RequestBody `json:"requestBody,omitempty"`
	// Security is nil where it is the document's, and empty for an operation without a login.
	Security  *[]map[string][]any `json:"security,omitempty"`
	Responses Ordered[*Response]  `json:"responses"`
}

// Parameter is a part of a path or a query, or a header, of a request.
type Parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description"`
	Required    bool    `json:"required,omitempty"`
	Schema      *Schema `json:"schema"`
	Example     any     `json:"example"`
}

// RequestBody is the body of a request.
type RequestBody struct {
	Required bool                `json:"required,omitempty"`
	Content  Ordered[*MediaType] `json:"content"`
}

// MediaType is a body of a content type.
type MediaType struct {
	Schema  *Schema         `json:"schema"`
	Example json.RawMessage `json:"example,omitempty"`
}

// Response is an answer.
type Response struct {
	Ref         string              `json:"$ref,omitempty"`
	Description string              `json:"description,omitempty"`
	Headers     Ordered[*Header]    `json:"headers,omitempty"`
	Content     Ordered[*MediaType] `json:"content,omitempty"`
}

// Header is a header of an answer.
type Header struct {
	Ref         string  `json:"$ref,omitempty"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *Schema `json:"schema,omitempty"`
	Example     string  `json:"example,omitempty"`
}

// Components are what several operations refer to.
type Components struct {
	Schemas         Ordered[*Schema]  `json:"schemas"`
	Responses       Ordered[any]      `json:"responses"`
	Headers         Ordered[*Header]  `json:"headers"`
	SecuritySchemes map[string]Scheme `json:"securitySchemes"`
}

// Scheme is a way to log in.
type Scheme struct {
	Type        string `json:"type"`
	Scheme      string `json:"scheme"`
	Description string `json:"description"`
}

// Schema is a JSON Schema.
type Schema struct {
	Ref         string           `json:"$ref,omitempty"`
	Type        any              `json:"type,omitempty"` // a name, or several
	Format      string           `json:"format,omitempty"`
	Description string           `json:"description,omitempty"`
	Enum        []any            `json:"enum,omitempty"`
	Minimum     *int             `json:"minimum,omitempty"`
	Maximum     *int             `json:"maximum,omitempty"`
	Properties  Ordered[*Schema] `json:"properties,omitempty"`
	Required    []string         `json:"required,omitempty"`
	// AdditionalProperties is a *Schema, or false.
	AdditionalProperties any       `json:"additionalProperties,omitempty"`
	Items                *Schema   `json:"items,omitempty"`
	AnyOf                []*Schema `json:"anyOf,omitempty"`
	ReadOnly             bool      `json:"readOnly,omitempty"`
	WriteOnly            bool      `json:"writeOnly,omitempty"`
	Examples             []any     `json:"examples,omitempty"`

	// rare properties are left out of the examples of what holds them.
	rare bool
}

// Ordered is a JSON object whose members keep their order.
type Ordered[T any] []Member[T]

// Member is one of an Ordered.
type Member[T any] struct {
	Name  string
	Value T
}

// Get returns the member's value, and whether there is one.
func (o Ordered[T]) Get(name string) (T, bool) {
	for _, m := range o {
		if m.Name == name {
			return m.Value, true
		}
	}
	var none T
	return none, false
}

// MarshalJSON writes the members in their order. URLs stay readable.
func (o Ordered[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, v := range []any{m.Name, m.Value} {
			if j > 0 {
				b.WriteByte(':')
			}
			text, err := encode(v)
			if err != nil {
				return nil, err
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode is json.Marshal without the escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// JSON is the document as it is served.
func (d *Document) JSON() ([]byte, error) { return encode(d) }
