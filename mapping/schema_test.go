package mapping

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/schema"
)

// compiledSchema is a schema as a validator has it. A strict one lets objects have no members but those that it names.
func compiledSchema(t testing.TB, s *schema.Schema, strict bool) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if strict {
		closeObjects(doc)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// closeObjects refuses further members of objects whose members are named.
func closeObjects(doc any) {
	switch doc := doc.(type) {
	case map[string]any:
		_, named := doc["properties"]
		if typ, typed := doc["type"]; typed && (named || typ == "object") && doc["additionalProperties"] == nil {
			doc["additionalProperties"] = false
		}
		for name, v := range doc {
			if name != "else" && name != "if" {
				closeObjects(v)
			}
		}
	case []any:
		for _, v := range doc {
			closeObjects(v)
		}
	}
}

// fits says what is wrong with a value; nil where it is valid.
func fits(t testing.TB, s *schema.Schema, strict bool, value []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return compiledSchema(t, s, strict).Validate(v)
}

// shapedBody is what the schema of the shape's events says of what is the row's.
func shapedBody(of *Shape) *schema.Schema {
	s := schema.Of(schema.Object)
	s.Add("data", of.Data, true)
	s.Add("partial", schema.Of(schema.Array), false)
	if of.Previous != nil {
		s.Add("previous", of.Previous, false)
	}
	if of.Whole != nil {
		s.If = &schema.Schema{Required: []string{"partial"}}
		s.Else = &schema.Schema{Properties: schema.Properties{{Name: "data", Schema: of.Whole}}}
	}
	return s
}

// checkShape validates an event by the schema of its type.
func checkShape(t testing.TB, m *Mapper, e *Event) {
	t.Helper()
	of, ok := m.Shape(e.Type, nil)
	if !ok {
		t.Fatalf("%s has no schema", e.Type)
	}
	body := map[string]any{"data": json.RawMessage(e.Data)}
	if e.Partial != nil {
		body["partial"] = e.Partial
	}
	if e.Previous != nil {
		body["previous"] = json.RawMessage(e.Previous)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	s := shapedBody(of)
	if err := fits(t, s, true, text); err != nil {
		schema, _ := json.Marshal(s)
		t.Errorf("%s is not valid: %v\n%s\n%s", e.Type, err, text, schema)
	}
}

// checkExamples validates what would be shown of each event without a row.
func checkExamples(t testing.TB, m *Mapper) {
	t.Helper()
	for _, e := range m.Types() {
		of, _ := m.Shape(e.Name, nil)
		example := append(append([]byte(`{"data":`), of.Data.Example(e.Resource, false)...), '}')
		if err := fits(t, shapedBody(of), true, example); err != nil {
			t.Errorf("the example of %s is not valid: %v\n%s", e.Name, err, example)
		}
	}
}

// checkTypeSchema validates what an encoder made of a value that is not null.
func checkTypeSchema(t *testing.T, c cdc.Column, f *format, value string, null bool) {
	t.Helper()
	s := typeSchema(c.Type, f, nil)
	if null {
		s = s.OrNull()
	}
	if err := fits(t, s, true, []byte(value)); err != nil {
		text, _ := json.Marshal(s)
		t.Errorf("%s: %s is not valid: %v\n%s", c.Name, value, err, text)
	}
	if !json.Valid(s.Example(c.Name, false)) || fits(t, s, true, s.Example(c.Name, false)) != nil || fits(t, s, true, s.Example(c.Name, true)) != nil {
		text, _ := json.Marshal(s)
		t.Errorf("%s: the example %s or %s is not valid\n%s", c.Name, s.Example(c.Name, false), s.Example(c.Name, true), text)
	}
}

// TestSchema shows the schema of one resource whole.
func TestSchema(t *testing.T) {
	t.Parallel()
	m, _ := compileText(t, `
deal:
  table: public.deals
  account: account_id
  path: /deals/${id}
  representation:
    id: ${id}
    kind: sk_live_1
    title: ${title}
    stage: ${stage}
    amount: ${amount}
    closed: ${closed_at != null}
    note: 'Deal ${title}'
    meta: {tags: '${tags}', v: 2}
    fixed: {a: [1, x], b: null}
    avatar: ${api.avatar}
    company: ${company}
    lines: ${lines}
  relations:
    company: {table: public.companies, foreign_key: company_id, columns: [id, name]}
    lines: {table: public.lines, foreign_key: deal_id, many: true, representation: '${price}'}
application: true
`, `
public.deals: {columns: {id: bigint not null, account_id: int not null, title: text not null, stage: "stage enum(lead, won) not null", amount: "numeric", closed_at: timestamptz, tags: "text[]", company_id: bigint, secret: text}}
public.companies: {columns: {id: bigint not null, name: text}}
public.lines: {columns: {id: bigint not null, deal_id: bigint, price: "numeric not null"}}
`)
	got := func(event string) string {
		s, ok := m.Shape(event, nil)
		if !ok {
			t.Fatalf("no schema of %s", event)
		}
		text, err := json.Marshal(map[string]any{"data": s.Data, "whole": s.Whole, "previous": s.Previous})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if all := got("deal.update"); strings.Contains(all, "sk_live_1") || strings.Contains(all, "secret") || strings.Contains(all, "public") {
		t.Errorf("the schema tells of what it must not: %s", all)
	}
	for event, want := range map[string]string{
		"deal.create": `{"data":{"type":"object","properties":{"id":{"type":"integer"},"kind":{"type":"string"},"title":{"type":"string"},"stage":{"type":"string"},` +
			`"amount":{"type":["string","null"],"pattern":"^-?[0-9]+(\\.[0-9]+)?$"},"closed":{"type":["boolean","null"]},"note":{"type":"string"},` +
			`"meta":{"type":"object","properties":{"tags":{"type":["array","null"],"items":{"type":["string","null","array"]}},"v":{"type":"integer"}},"required":["v"]},` +
			`"fixed":{"type":"object","properties":{"a":{"type":"array","items":{"anyOf":[{"type":"integer"},{"type":"string"}]}},"b":{"type":"null"}},"required":["a","b"]},` +
			`"avatar":{},"company":{"type":["object","null"],"properties":{"id":{"type":"integer"},"name":{"type":["string","null"]}},"required":["id","name"]},` +
			`"lines":{"type":"array","items":{"type":["string","null"],"pattern":"^-?[0-9]+(\\.[0-9]+)?$"}}},"required":["id","kind","stage","closed","fixed"]},"previous":null,` +
			`"whole":{"properties":{"meta":{"required":["tags"]}},"required":["title","amount","note","meta","avatar","company","lines"]}}`,
		"deal.delete": `{"data":{"type":"object","properties":{"id":{"type":"integer"},"kind":{"type":"string"},` +
			`"fixed":{"type":"object","properties":{"a":{"type":"array","items":{"anyOf":[{"type":"integer"},{"type":"string"}]}},"b":{"type":"null"}},"required":["a","b"]}},` +
			`"required":["id","kind","fixed"]},"previous":null,"whole":null}`,
		"deal.truncate": `{"data":{"type":"null"},"previous":null,"whole":null}`,
	} {
		if have := got(event); have != want {
			t.Errorf("%s\ngot  %s\nwant %s", event, have, want)
		}
	}
	// A body has what the config says in so many words, and so has an example of one.
	of, _ := m.Shape("deal.create", nil)
	if body := string(of.Data.Example("deal", false)); !strings.Contains(body, `"kind":"sk_live_1"`) || !strings.Contains(body, `"note":"Deal text"`) ||
		!strings.Contains(body, `"fixed":{"a":[1,"x"],"b":null}`) {
		t.Errorf("the example is %s", body)
	}
	if _, ok := m.Shape("deal.won", nil); ok {
		t.Error("an event that is not there has a schema")
	}
}

// compileText compiles resources as golden files have them.
func compileText(t *testing.T, config, tables string) (*Mapper, map[string]*cdc.Relation) {
	t.Helper()
	d, problems := Parse(loadConfig(t, config))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	byName, relations := loadTables(t, tables)
	m, problems := d.Compile(byName, "test")
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return m, relations
}

// TestSchemaEnum puts in the labels that are known.
func TestSchemaEnum(t *testing.T) {
	t.Parallel()
	m, relations := compileText(t, `
deal:
  table: public.deals
  columns: all
`, `
public.deals: {identity: full, columns: {id: bigint not null, stage: "stage enum(lead, won)", stages: "stage enum(lead, won)[]"}}
`)
	enum := relations["public.deals"].Columns[1].Type
	if enum.Kind != 'e' {
		t.Fatalf("stage is of kind %c", enum.Kind)
	}
	of, _ := m.Shape("deal.update", map[uint32][]string{enum.OID: {"lead", "won"}})
	for value, valid := range map[string]bool{
		`{"data":{"id":1,"stage":"won","stages":["lead",null]},"previous":{"stage":null}}`: true,
		`{"data":{"id":1,"stage":null,"stages":[["lead"],["won"]]}}`:                       true,
		`{"data":{"id":1,"stage":"lost","stages":[]}}`:                                     false,
		`{"data":{"id":1,"stage":"won","stages":["lost"]}}`:                                false,
		`{"data":{"id":1,"stage":"won"}}`:                                                  false,
		`{"data":{"id":null,"stage":"won","stages":[]}}`:                                   false,
		`{"data":{"id":1,"stage":"won","stages":[]},"previous":{"stage":"lost"}}`:          false,
	} {
		if err := fits(t, shapedBody(of), true, []byte(value)); (err == nil) != valid {
			t.Errorf("%s: %v", value, err)
		}
	}
}
