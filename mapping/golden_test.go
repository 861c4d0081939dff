package mapping

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

var update = flag.Bool("update", false, "write what came out into the golden files")

// TestGolden runs every file of testdata/golden: a config, tables and changes in, events or problems out. A new case is
// a new file: see any of them for the form.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sections := goldenSections(string(text))
			got := goldenRun(t, sections)
			if *update {
				head, _, _ := strings.Cut(string(text), "-- want --\n")
				if err := os.WriteFile(file, []byte(head+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := sections["want"]; got != want {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", file, got, want)
			}
		})
	}
}

func goldenSections(text string) map[string]string {
	sections := map[string]string{}
	name := ""
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "-- ") && strings.HasSuffix(trimmed, " --") {
			name = strings.TrimSuffix(strings.TrimPrefix(trimmed, "-- "), " --")
			continue
		}
		sections[name] += line
	}
	return sections
}

func goldenRun(t *testing.T, sections map[string]string) string {
	t.Helper()
	var out strings.Builder
	tell := func(problems problem.List) string {
		if err := problems.Err(); err != nil {
			fmt.Fprintln(&out, err)
		}
		return out.String()
	}
	d, problems := Parse(loadConfig(t, sections["config"]))
	if len(problems) > 0 {
		return tell(problems)
	}
	tables, relations := loadTables(t, sections["tables"])
	m, problems := d.Compile(tables, "test")
	if len(problems) > 0 {
		return tell(problems)
	}
	if sections["changes"] == "" {
		for _, et := range m.Types() {
			fmt.Fprintf(&out, "%s accounted=%v\n", et.Name, et.Accounted)
			if et.AccountReason != "" {
				fmt.Fprintf(&out, "  account: %s\n", et.AccountReason)
			}
			if et.Reason != "" {
				fmt.Fprintf(&out, "  all: %s\n", et.Reason)
			}
		}
		return out.String()
	}
	for _, line := range m.Advice() {
		fmt.Fprintln(&out, line)
	}
	for _, line := range m.Untold() {
		fmt.Fprintln(&out, line)
	}
	related := loadRelated(t, sections["related"], tables)
	related.api = sections["api"]
	for _, c := range loadChanges(t, sections["changes"], relations) {
		events, dead := m.Map(nil, nil, 1, c)
		touched, deadTouched := related.touch(t, &out, m, c)
		events, dead = append(events, touched...), append(dead, deadTouched...)
		events, dead = related.complete(t, &out, events, dead)
		for _, e := range events {
			fmt.Fprintf(&out, "%s instance=%q", e.Type, e.Instance)
			if e.Accounted {
				fmt.Fprintf(&out, " account=%q", e.Account)
			}
			if e.Audience != ToAll {
				fmt.Fprintf(&out, " to=%s", e.Audience)
			}
			fmt.Fprintf(&out, " at=%d/%d", e.Position.Ordinal, e.Position.Sub)
			if e.Partial != nil {
				fmt.Fprintf(&out, " partial=%q", e.Partial)
			}
			fmt.Fprintf(&out, "\n%s\n", e.Data)
			if e.Previous != nil {
				fmt.Fprintf(&out, "previous %s\n", e.Previous)
			}
		}
		for _, l := range dead {
			fmt.Fprintf(&out, "dead %s %s instance=%q at=%d/%d\n%s\n", l.Resource, l.Op, l.Instance, l.Position.Ordinal, l.Position.Sub, l.Reason)
		}
	}
	return out.String()
}

// loadConfig reads resources: as far as the mapping needs it. The real loader is not below this package.
func loadConfig(t testing.TB, text string) Config {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	const file = "config.yaml"
	at := func(n *yaml.Node) problem.Place { return problem.Place{File: file, Line: n.Line, Column: n.Column} }
	source := func(n *yaml.Node) *Source {
		p := at(n)
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			p.Column++
		}
		return &Source{Text: n.Value, At: p}
	}
	var cfg Config
	rules := func(n *yaml.Node) (r Rules) {
		pairs(n, func(key, value *yaml.Node) {
			for _, field := range ruleFields {
				if field.name == key.Value {
					*field.of(&r) = value.Value
				}
			}
		})
		return r
	}
	pairs(root.Content[0], func(name, body *yaml.Node) {
		switch name.Value {
		case "json":
			cfg.JSON = rules(body)
			return
		case "application":
			cfg.Application = true
			return
		case "previous":
			cfg.Previous = true
			return
		}
		r := Resource{Name: name.Value, At: at(name), File: file}
		pairs(body, func(key, value *yaml.Node) {
			switch key.Value {
			case "table":
				schema, table, _ := strings.Cut(value.Value, ".")
				r.Table, r.TableAt = cdc.TableName{Schema: schema, Name: table}, at(value)
			case "account":
				r.Account = source(value)
			case "path":
				r.Path = source(value)
			case "where":
				r.Where = source(value)
			case "delete_when":
				r.DeleteWhen = source(value)
			case "json":
				r.JSON = rules(value)
			case "relations":
				r.Relations = loadRelations(t, file, value)
			case "ignore_changes":
				for _, c := range value.Content {
					r.IgnoreChanges = append(r.IgnoreChanges, *source(c))
				}
			case "coalesce":
				r.EachChange = value.Value == "false"
			case "events":
				pairs(value, func(k, v *yaml.Node) {
					r.Events = append(r.Events, NamedEvent{Name: k.Value, At: at(k), When: source(v)})
				})
			case "representation":
				r.Representation = value
			case "columns":
				if value.Value == "all" {
					r.AllColumns = true
				}
				for _, c := range value.Content {
					r.Columns = append(r.Columns, *source(c))
				}
			case "except":
				for _, c := range value.Content {
					r.Except = append(r.Except, *source(c))
				}
			default:
				t.Fatalf("unknown key %q", key.Value)
			}
		})
		cfg.Resources = append(cfg.Resources, r)
	})
	return cfg
}

func pairs(n *yaml.Node, f func(key, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i], n.Content[i+1])
	}
}

// loadTables reads tables: public.contacts: {identity: full, key: [id], columns: {id: int8 not null}}. A second
// definition of a table, under its name and a suffix (public.contacts@2), is a later relation. Words after a column's
// type: not null, identity, generated.
func loadTables(t testing.TB, text string) (map[cdc.TableName]*cdc.Table, map[string]*cdc.Relation) {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	tables := map[cdc.TableName]*cdc.Table{}
	relations := map[string]*cdc.Relation{}
	if len(root.Content) == 0 {
		return tables, relations
	}
	oid := uint32(20000)
	pairs(root.Content[0], func(name, body *yaml.Node) {
		full, version, later := strings.Cut(name.Value, "@")
		schema, table, _ := strings.Cut(full, ".")
		tab := &cdc.Table{TableName: cdc.TableName{Schema: schema, Name: table}, Kind: 'r', Identity: cdc.IdentityDefault}
		if first := tables[tab.TableName]; first != nil {
			tab.OID = first.OID
		} else {
			oid++
			tab.OID = oid
		}
		var key []string
		pairs(body, func(k, v *yaml.Node) {
			switch k.Value {
			case "identity":
				tab.Identity = cdc.IdentityKind(v.Value[0])
			case "kind":
				tab.Kind = v.Value[0]
			case "oid":
				if err := v.Decode(&tab.OID); err != nil {
					t.Fatal(err)
				}
			case "key":
				if err := v.Decode(&key); err != nil {
					t.Fatal(err)
				}
			case "indexes":
				tab.Indexes = []string{}
				if err := v.Decode(&tab.Indexes); err != nil {
					t.Fatal(err)
				}
			case "columns":
				pairs(v, func(k, v *yaml.Node) {
					typeName, words := v.Value, ""
					for _, word := range []string{" not null", " identity", " generated"} {
						if before, after, ok := strings.Cut(typeName, word); ok {
							typeName, words = before+after, words+word
						}
					}
					tab.Columns = append(tab.Columns, cdc.Column{
						Name: k.Value, Type: testType(strings.TrimSpace(typeName)),
						NotNull: strings.Contains(words, "not null"), Identity: strings.Contains(words, "identity"),
						Generated: strings.Contains(words, "generated"),
					})
				})
			}
		})
		for _, k := range key {
			i := tab.Column(k)
			tab.Key = append(tab.Key, i)
			if tab.Identity == cdc.IdentityDefault && i >= 0 {
				tab.Columns[i].Identity = true
			}
		}
		if tab.Identity == cdc.IdentityFull {
			for i := range tab.Columns {
				tab.Columns[i].Identity = true
			}
		}
		if !later || version == "new" {
			tables[tab.TableName] = tab
		}
		relations[name.Value] = relationOf(tab)
	})
	return tables, relations
}

// relationOf is the relation that the stream would send: without generated columns.
func relationOf(tab *cdc.Table) *cdc.Relation {
	r := &cdc.Relation{OID: tab.OID, Table: tab.TableName, Identity: tab.Identity}
	for i, c := range tab.Columns {
		if c.Generated {
			continue
		}
		if slices.Contains(tab.Key, i) {
			defer func(at, n int) { r.Key[at] = n }(slices.Index(tab.Key, i), len(r.Columns))
		}
		r.Columns = append(r.Columns, c)
	}
	r.Key = make([]int, len(tab.Key))
	return r
}

// testType is a type by name: text, text[], mood enum, cents domain numeric.
func testType(name string) *cdc.Type {
	if element, ok := strings.CutSuffix(name, "[]"); ok {
		e := testType(element)
		return &cdc.Type{Name: "_" + e.Name, Kind: 'b', Elem: e, Delim: ','}
	}
	if fields := strings.Fields(name); len(fields) > 1 {
		switch fields[1] {
		case "enum":
			return &cdc.Type{OID: 30000, Name: fields[0], Kind: 'e', Delim: ','}
		case "composite":
			return &cdc.Type{OID: 30002, Name: fields[0], Kind: 'c', Delim: ',', Fields: []cdc.Field{
				{Name: "a", Type: testType("int4")}, {Name: "b", Type: testType("text")}, {Name: "c", Type: testType("numeric")},
				{Name: "d", Type: testType("text[]")}}}
		case "range":
			return &cdc.Type{OID: 30003, Name: fields[0] + "range", Kind: 'r', Delim: ',', Sub: testType(fields[0])}
		case "domain":
			return &cdc.Type{OID: 30001, Name: fields[0], Kind: 'd', Base: testType(fields[2]), Delim: ','}
		}
	}
	delim := byte(',')
	if name == "box" {
		delim = ';'
	}
	return &cdc.Type{Name: name, Kind: 'b', Delim: delim}
}

// loadChanges reads a list of {insert: public.contacts, new: {…}}. A column that is not given is null in new and absent
// in old; !unchanged is an unchanged TOAST value, !null null, !absent absent.
func loadChanges(t testing.TB, text string, relations map[string]*cdc.Relation) []*cdc.Change {
	t.Helper()
	var list []map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	tx := &cdc.Tx{Commit: 0x1234, Time: time.Date(2026, 11, 22, 1, 0, 0, 123456000, time.UTC), XID: 7}
	ops := map[string]cdc.Op{"insert": cdc.Insert, "update": cdc.Update, "delete": cdc.Delete, "truncate": cdc.Truncate, "message": cdc.Message}
	var changes []*cdc.Change
	for i, entry := range list {
		c := &cdc.Change{Tx: tx, Ordinal: uint32(i + 1)}
		for word, op := range ops {
			if n, ok := entry[word]; ok {
				c.Op, c.Relation = op, relations[n.Value]
				if c.Relation == nil {
					t.Fatalf("no table %q", n.Value)
				}
			}
		}
		if n, ok := entry["new"]; ok {
			c.New = loadRow(t, &n, c.Relation, cdc.Null)
		}
		if n, ok := entry["old"]; ok {
			c.Old = loadRow(t, &n, c.Relation, cdc.Absent)
			c.OldWhole = c.Relation.Identity == cdc.IdentityFull
		}
		changes = append(changes, c)
	}
	return changes
}

func loadRow(t testing.TB, n *yaml.Node, r *cdc.Relation, otherwise cdc.Kind) cdc.Row {
	t.Helper()
	row := make(cdc.Row, len(r.Columns))
	for i := range row {
		row[i].Kind = otherwise
	}
	pairs(n, func(k, v *yaml.Node) {
		i := slices.IndexFunc(r.Columns, func(c cdc.Column) bool { return c.Name == k.Value })
		if i < 0 {
			t.Fatal(errors.New("no column " + k.Value))
		}
		switch v.Tag {
		case "!unchanged":
			row[i] = cdc.Value{Kind: cdc.Unchanged}
		case "!absent":
			row[i] = cdc.Value{}
		case "!null":
			row[i] = cdc.Value{Kind: cdc.Null}
		default:
			row[i] = cdc.Value{Kind: cdc.Text, Data: []byte(v.Value)}
		}
	})
	return row
}
