package schema

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestExample makes values of every kind, and validates them.
func TestExample(t *testing.T) {
	t.Parallel()
	object := Of(Object)
	object.Add("email", Of(String), true)
	object.Add("when", (&Schema{Type: Types{String}, Format: "date-time"}).OrNull(), true)
	object.Add("tags", &Schema{Type: Types{Array}, Items: Of(String, Null)}, false)
	for _, c := range []struct {
		schema        *Schema
		first, second string
	}{
		{Of(Null), `null`, `null`},
		{Any(), `null`, `null`},
		{Of(Boolean), `true`, `false`},
		{Of(Integer, Null), `1`, `2`},
		{Of(Number), `12.5`, `10.5`},
		{&Schema{Const: "contact.create"}, `"contact.create"`, `"contact.create"`},
		{(&Schema{Type: Types{String}, Enum: []any{"lead", "won"}}).OrNull(), `"lead"`, `"won"`},
		{(&Schema{Type: Types{String}, Enum: []any{"lead"}}).OrNull(), `"lead"`, `"lead"`},
		{Either(Of(Object), Of(String)), `{}`, `{}`},
		{&Schema{Type: Types{String}, Pattern: "^[0-9a-f]{40}$"}, `"0000000100000000016b37480000000000000000"`, `"0000000100000000016b37480000000000000001"`},
		{Of(Array), `[]`, `[]`},
		{Of(String).Exemplified([]byte(`"contact"`)).OrNull(), `"contact"`, `"contact"`},
		{object, `{"email":"ada@example.com","when":"2026-01-31T09:30:00Z","tags":["text"]}`,
			`{"email":"ada.lovelace@example.com","when":"2026-01-30T08:00:00Z","tags":["another text"]}`},
	} {
		for another, want := range map[bool]string{false: c.first, true: c.second} {
			got := c.schema.Example("", another)
			if string(got) != want {
				t.Errorf("got %s, want %s", got, want)
			}
			valid(t, c.schema, got)
			if text, err := json.Marshal(c.schema); err != nil || bytes.Contains(text, []byte(`"contact"`)) {
				t.Errorf("the document holds an example: %s (%v)", text, err)
			}
		}
	}
}

// TestInfer tells the types of a value, and nothing else of it.
func TestInfer(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`{"b":"secret","a":[1,2.5,{"c":null}],"d":true}`: `{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"array","items":{"anyOf":[{"type":"integer"},{"type":"number"},` +
			`{"type":"object","properties":{"c":{"type":"null"}},"required":["c"]}]}},"d":{"type":"boolean"}},"required":["b","a","d"]}`,
		`[]`:       `{"type":"array"}`,
		`["a"]`:    `{"type":"array","items":{"type":"string"}}`,
		` -1e3`:    `{"type":"number"}`,
		`"{}"`:     `{"type":"string"}`,
		`[[],[1]]`: `{"type":"array","items":{"anyOf":[{"type":"array"},{"type":"array","items":{"type":"integer"}}]}}`,
	} {
		s := Infer([]byte(value))
		text, err := json.Marshal(s)
		if err != nil || string(text) != want {
			t.Errorf("%s: got %s, want %s (%v)", value, text, want, err)
		}
		valid(t, s, []byte(value))
	}
}

func valid(t *testing.T, s *Schema, value []byte) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(v); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}
