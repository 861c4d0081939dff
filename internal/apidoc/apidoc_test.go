package apidoc_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/apidoc"
)

type part struct {
	Name string `json:"name"`
}

type whole struct {
	ID     string            `json:"id"`
	Parts  []part            `json:"parts"`
	One    *part             `json:"one"`
	Texts  map[string]string `json:"texts,omitempty"`
	Count  int               `json:"count,omitzero"`
	At     time.Time         `json:"at"`
	Secret string            `json:"secret,omitempty"`
	hidden string
	Not    string `json:"-"`
}

func types() *apidoc.Types {
	return &apidoc.Types{
		Names: map[reflect.Type]string{reflect.TypeFor[whole](): "Whole", reflect.TypeFor[part](): "Part"},
		Fields: map[string]apidoc.Field{
			"Whole": {Text: "All."}, "Whole.id": {Text: "An id.", Example: `"w1"`}, "Whole.parts": {Text: "Parts."}, "Whole.one": {Text: "One.", Example: "null"},
			"Whole.texts": {Text: "Texts.", Example: `{"a":"<b>"}`}, "Whole.count": {Text: "A count.", Example: "3", Max: 9}, "Whole.at": {Text: "When.", Example: `"2026-11-22T00:00:00Z"`},
			"Whole.secret": {Text: "A secret.", Example: `"s"`, Rare: true}, "Part.name": {Text: "A name.", Example: `"p"`, Enum: []string{"p", "q"}},
		},
	}
}

// TestSchemasAreMadeOfTypes: what the JSON of a type has, its schema has.
func TestSchemasAreMadeOfTypes(t *testing.T) {
	t.Parallel()
	ty := types()
	ref := ty.Named(whole{hidden: "x"})
	got, err := json.Marshal(ty.Schema("Whole"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"object","description":"All.","properties":{"id":{"type":"string","description":"An id.","examples":["w1"]},` +
		`"parts":{"type":"array","description":"Parts.","items":{"$ref":"#/components/schemas/Part"}},` +
		`"one":{"description":"One.","anyOf":[{"$ref":"#/components/schemas/Part"},{"type":"null"}],"examples":[null]},` +
		`"texts":{"type":"object","description":"Texts.","additionalProperties":{"type":"string"},"examples":[{"a":"\u003cb\u003e"}]},` +
		`"count":{"type":"integer","description":"A count.","minimum":0,"maximum":9,"examples":[3]},` +
		`"at":{"type":"string","format":"date-time","description":"When.","examples":["2026-11-22T00:00:00Z"]},` +
		`"secret":{"type":"string","description":"A secret.","examples":["s"]}},"required":["id","parts","one","at"]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := string(ty.Example(ref)), `{"id":"w1","parts":[{"name":"p"}],"one":null,"texts":{"a":"<b>"},"count":3,"at":"2026-11-22T00:00:00Z"}`; got != want {
		t.Errorf("the example is %s, want %s", got, want)
	}
	if got := string(ty.Example(ref, "secret")); !strings.HasSuffix(got, `,"secret":"s"}`) {
		t.Errorf("with what is rare: %s", got)
	}
	if missing := ty.Missing(); len(missing) > 0 {
		t.Errorf("missing %v", missing)
	}
}

// TestWhatIsNotToldIsMissing: a field without a text, and a type that nobody knows.
func TestWhatIsNotToldIsMissing(t *testing.T) {
	t.Parallel()
	ty := types()
	delete(ty.Fields, "Part.name")
	ty.Named(part{})
	ty.Object(reflect.TypeFor[struct {
		Odd struct{} `json:"odd"`
	}](), "Part")
	missing := strings.Join(ty.Missing(), "; ")
	if !strings.HasPrefix(missing, "Part.name; Part.odd: its type struct {} has neither") {
		t.Errorf("missing %s", missing)
	}
}

// TestInputsAreClosed: null is the default of what may be left out, and what is not known is refused.
func TestInputsAreClosed(t *testing.T) {
	t.Parallel()
	ty := types()
	ty.Inputs = []string{"Whole"}
	ty.Named(whole{})
	s := ty.Schema("Whole")
	count, _ := s.Properties.Get("count")
	id, _ := s.Properties.Get("id")
	if s.AdditionalProperties != false || !reflect.DeepEqual(count.Type, []string{"integer", "null"}) || id.Type != "string" {
		t.Errorf("got %+v, count %+v, id %+v", s, count, id)
	}
}

// TestPageEscapes: nothing of a document becomes markup.
func TestPageEscapes(t *testing.T) {
	t.Parallel()
	ty := types()
	b := apidoc.Builder{
		Info: apidoc.Info{Title: "<script>alert(1)</script>"}, Tags: []apidoc.Tag{{Name: "t"}}, Types: ty, Problem: ty.Named(part{}),
		Operations: []apidoc.Operation{{ID: "x", Method: "GET", Path: "/x", Tag: "t", Text: "`<b>` <i>", Answers: []apidoc.Answer{{Status: 200, Schema: ty.Named(whole{})}}}},
	}
	page, err := apidoc.Page(b.Build(), "openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if text := string(page); strings.Contains(text, "<script>alert") || strings.Contains(text, "<i>") || !strings.Contains(text, "<code>&lt;b&gt;</code>") {
		t.Errorf("%s", page)
	}
}
