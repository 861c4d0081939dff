package mapping

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/cdc/cdctest"
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
			got := goldenRun(t, sections, nil)
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
			if tried := goldenRun(t, sections, &Trial{steps: 100 * trialSteps, patterns: trialPatterns}); tried != got {
				t.Errorf("%s\nin a trial:\n%s\nwithout:\n%s", file, tried, got)
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

func goldenRun(t *testing.T, sections map[string]string, trial *Trial) string {
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
	e := newEvaluator()
	if trial != nil {
		e = newTrialEvaluator(trial)
	}
	m, problems := d.compile(tables, "test", e)
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
		for _, line := range append(m.Ineffective(), m.Untold()...) {
			fmt.Fprintln(&out, line)
		}
		return out.String()
	}
	for _, line := range m.Advice() {
		fmt.Fprintln(&out, line)
	}
	for _, line := range m.Untold() {
		fmt.Fprintln(&out, line)
	}
	checkExamples(t, m)
	related := loadRelated(t, sections["related"], tables)
	related.api = sections["api"]
	for _, c := range loadChanges(t, sections["changes"], relations) {
		events, dead := m.Map(nil, nil, 1, c)
		touched, deadTouched := related.touch(t, &out, m, c)
		events, dead = append(events, touched...), append(dead, deadTouched...)
		own := ownMembers(events)
		events, dead = related.complete(t, &out, events, dead)
		for _, e := range events {
			// It is that of the tables as they were, and of values that Postgres sends.
			if !strings.Contains(sections["tables"], "@") && sections["schema"] == "" {
				checkShape(t, m, e)
				checkFilterShape(t, m, e)
			}
			checkOwn(t, e, own[e])
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
			case "key":
				for _, c := range value.Content {
					r.Key = append(r.Key, *source(c))
				}
				if value.Kind == yaml.ScalarNode {
					r.Key = []Source{*source(value)}
				}
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

// loadTables reads tables as cdctest has them.
func loadTables(t testing.TB, text string) (map[cdc.TableName]*cdc.Table, map[string]*cdc.Relation) {
	t.Helper()
	tables := readTables(t, text)
	return tables.ByName, tables.Relations
}

func readTables(t testing.TB, text string) *cdctest.Tables {
	t.Helper()
	tables := cdctest.NewTables()
	if n := parsed(t, text); n != nil {
		if err := tables.Add("tables", n).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return tables
}

// parsed is what a text holds, or nil.
func parsed(t testing.TB, text string) *yaml.Node {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	if len(root.Content) == 0 {
		return nil
	}
	return root.Content[0]
}

func testType(name string) *cdc.Type { return cdctest.Type(name) }

// loadChanges reads a list of changes as the stream sends them.
func loadChanges(t testing.TB, text string, relations map[string]*cdc.Relation) []*cdc.Change {
	t.Helper()
	changes, problems := cdctest.Sent("changes", parsed(t, text), &cdctest.Tables{Relations: relations})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return changes
}
