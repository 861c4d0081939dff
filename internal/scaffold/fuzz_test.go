package scaffold

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/discover"
	"github.com/rowhook/rowhook/internal/openapi"
	"github.com/rowhook/rowhook/mapping"
)

// fuzzTables are three tables of all kinds of columns, as both packages know them.
func fuzzTables() ([]discover.Table, map[cdc.TableName]*cdc.Table) {
	columns := []string{"id int8", "account_id int8", "name text", "first_name text", "last_name text", "price numeric", "weight numeric", "rank int4", "score float8",
		"vip bool", "created_at timestamptz", "printed date", "archived_at timestamp", "doc jsonb", "api_token text", "contact_id int8", "company_id int8", "strange-name text"}
	var all []discover.Table
	known := map[cdc.TableName]*cdc.Table{}
	for i, name := range []string{"companies", "contacts", "contact_tags"} {
		n := cdc.TableName{Schema: "public", Name: name}
		t := discover.Table{TableName: n, Key: []string{"id"}, KeyInIdentity: true, Identity: cdc.IdentityDefault, Readable: true, Owned: true}
		table := &cdc.Table{TableName: n, OID: uint32(20000 + i), Kind: 'r', Identity: cdc.IdentityDefault, Key: []int{0}}
		for _, c := range columns {
			at := len(c) - 1
			for c[at] != ' ' {
				at--
			}
			t.Columns = append(t.Columns, discover.Column{Name: c[:at], Base: c[at+1:], Type: c[at+1:]})
			table.Columns = append(table.Columns, cdc.Column{Name: c[:at], Type: &cdc.Type{Name: c[at+1:], Kind: 'b', Delim: ','}, Identity: c[:at] == "id", NotNull: true})
		}
		t.ForeignKeys = []discover.ForeignKey{
			{Columns: []string{"company_id"}, Theirs: []string{"id"}, Schema: "public", Table: "companies"},
			{Columns: []string{"contact_id"}, Theirs: []string{"id"}, Schema: "public", Table: "contacts"},
		}
		all = append(all, t)
		known[n] = table
	}
	return all, known
}

// FuzzAPI writes a config after any description of an API. What comes of it has to load, and to compile.
func FuzzAPI(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.openapi.*")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	const head = "openapi: 3.1.0\npaths: {'/contacts/{id}': {get: {responses: {'200': {content: {application/json: {schema: {properties: "
	for _, properties := range []string{
		`{id: {}, a: {const: .inf}, b: {const: 0x10}, c: {const: ~}, d: {const: True}, e: {const: "a: #b"}, f: {const: 2026-01-01}, g: {const: "\x01\n"}, h: {const: 1_000}}`,
		`{id: {type: string}, account_id: {type: string}, company_id: {type: integer}, price: {type: number}, weight: {type: string}}`,
		`{id: {type: string}, contact_id: {type: integer}, account_id: {type: integer}, price: {type: string}, weight: {type: integer}, price_: {type: string}}`,
		`{"": {}, "- x": {}, "#": {}, "<<": {}, "a\nb": {}, "strange-name": {type: string}, "null": {const: null}, id: {}, "*": {const: 1}}`,
		`{id: {}, created_at: {type: integer}, archived_at: {type: boolean}, archived: {type: boolean}, printed: {type: integer}, vip: {type: string}, doc: {properties: {a: {}}}}`,
		`{id: {}, company: {properties: {id: {}, contacts: {items: {properties: {id: {}, tags: {items: {type: string}}}}}, old: {properties: {id: {}}}}}, tags: {items: {properties: {rank: {}}}}}`,
	} {
		f.Add([]byte(head + properties + "}}}}}}}}"))
	}
	all, known := fuzzTables()
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := openapi.Parse(data)
		if err != nil {
			return
		}
		p := decide(all, all, false)
		o := Options{API: doc, File: "openapi.yaml"}
		for _, r := range p.resources {
			if !p.shape(r, all, o) {
				r.members = ofColumns(r)
			}
		}
		text := string(p.write("rowhook", o))
		for _, text := range []string{text, uncommented(text)} {
			env := func(name string) (string, bool) { return "postgres://h/a-value-of-some-length-" + name, true }
			cfg, err := config.LoadBytes("config.yaml", []byte(text), env, os.ReadFile)
			if err != nil {
				t.Fatalf("%v\n%s", err, numbered(text))
			}
			def, problems := mapping.Parse(cfg.Mapping)
			if err := problems.Err(); err != nil {
				t.Fatalf("%v\n%s", err, numbered(text))
			}
			if _, problems := def.Compile(known, ""); len(problems) > 0 {
				t.Fatalf("%v\n%s", problems.Err(), numbered(text))
			}
		}
	})
}
