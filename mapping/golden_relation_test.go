package mapping

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/cdc/cdctest"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/problem"
)

// relatedRows are the rows of tables that relations read, with all columns.
type relatedRows struct {
	tables map[cdc.TableName]*cdc.Table
	rows   cdctest.Rows
	// api has a line for each path: the application's answer, or missing, or why it fails.
	api string
}

// loadRelated reads rows by table: public.tags: [{id: "1", name: a}, …]. A table that is not there cannot be read.
func loadRelated(t testing.TB, text string, tables map[cdc.TableName]*cdc.Table) relatedRows {
	t.Helper()
	related := relatedRows{tables: tables, rows: cdctest.Rows{}}
	n := parsed(t, text)
	if n == nil {
		return related
	}
	state := cdctest.NewState(&cdctest.Tables{ByName: tables})
	if err := state.Load("related", n).Err(); err != nil {
		t.Fatal(err)
	}
	pairs(n, func(name, _ *yaml.Node) {
		related.rows[cdctest.Name(name.Value)] = state.Rows[cdctest.Name(name.Value)]
	})
	return related
}

// answer does what a reader does, and tells what was asked for.
func (r relatedRows) answer(out *strings.Builder, c *Completion) {
	cdctest.Answer(c, r.tables, r.rows, func(q cdc.LookupRequest) {
		if out != nil {
			fmt.Fprintf(out, "read %s: %s\n", q.Lookup.Name, strings.Trim(fmt.Sprintf("%s", q.Keys), "[]"))
		}
	})
}

// ask does what asks the application, from memory, and tells what was asked for.
func (r relatedRows) ask(t testing.TB, out *strings.Builder, c *Completion) {
	t.Helper()
	for _, d := range c.Documents() {
		fmt.Fprintf(out, "ask %s for %s (%s)\n", d.Path, d.Resource, d.Template)
		for line := range strings.Lines(r.api) {
			path, answer, _ := strings.Cut(strings.TrimSpace(line), " ")
			reason, failed := strings.CutPrefix(answer, "fails: ")
			switch {
			case path != d.Path:
			case failed:
				c.FailDocument(path, reason)
			case answer == "missing":
				c.Missing(path)
			default:
				c.Answer(path, []byte(answer))
			}
		}
	}
	for _, e := range c.events {
		if c.Lacks(e) {
			t.Errorf("%s %s lacks its answer", e.Type, e.Instance)
		}
	}
}

// complete completes the events of a change; those that cannot be are dead letters.
func (r relatedRows) complete(t testing.TB, out *strings.Builder, events []*Event, dead []DeadLetter) ([]*Event, []DeadLetter) {
	t.Helper()
	c := NewCompletion(events)
	r.answer(out, c)
	r.ask(t, out, c)
	var whole []*Event
	for _, e := range events {
		if letter, bad := c.Complete(e); bad {
			dead = append(dead, letter)
			continue
		}
		if e.Incomplete() {
			t.Errorf("%s is still incomplete", e.Type)
		}
		whole = append(whole, e)
	}
	return whole, dead
}

func loadRelations(t testing.TB, file string, n *yaml.Node) []Relation {
	t.Helper()
	at := func(n *yaml.Node) problem.Place { return problem.Place{File: file, Line: n.Line, Column: n.Column} }
	source := func(n *yaml.Node) Source { return Source{Text: n.Value, At: at(n)} }
	sources := func(n *yaml.Node) (all []Source) {
		if n.Kind == yaml.ScalarNode {
			return []Source{source(n)}
		}
		for _, c := range n.Content {
			all = append(all, source(c))
		}
		return all
	}
	var relations []Relation
	pairs(n, func(name, body *yaml.Node) {
		r := Relation{Name: name.Value, At: at(name), File: file}
		pairs(body, func(key, value *yaml.Node) {
			switch key.Value {
			case "table":
				schema, table, _ := strings.Cut(value.Value, ".")
				r.Table, r.TableAt = cdc.TableName{Schema: schema, Name: table}, at(value)
			case "foreign_key":
				column := source(value)
				r.ForeignKey = &column
			case "join":
				pairs(value, func(theirs, ours *yaml.Node) {
					r.Join = append(r.Join, JoinColumn{Theirs: source(theirs), Ours: source(ours)})
				})
			case "many":
				r.Many = value.Value == "true"
			case "touch":
				r.Touch = value.Value == "true"
			case "order_by":
				r.OrderBy = sources(value)
			case "representation":
				r.Representation = value
			case "columns":
				if r.AllColumns = value.Value == "all"; !r.AllColumns {
					r.Columns = sources(value)
				}
			case "except":
				r.Except = sources(value)
			case "relations":
				r.Relations = loadRelations(t, file, value)
			default:
				t.Fatalf("unknown key %q of a relation", key.Value)
			}
		})
		relations = append(relations, r)
	})
	return relations
}

// touch tells what a change touches, and makes the updates of the rows that are known by their keys.
func (r relatedRows) touch(t testing.TB, out *strings.Builder, m *Mapper, c *cdc.Change) (events []*Event, dead []DeadLetter) {
	t.Helper()
	at := &TouchAt{Epoch: 1, Tx: c.Tx, Ordinal: c.Ordinal, Sub: TouchedFrom}
	for _, touch := range m.Touched(nil, c, coalesce.Place{}) {
		if touch.Broken != "" {
			dead = append(dead, at.DeadLetter(touch.Target, "", touch.Broken))
			continue
		}
		a := touch.Target.Roots.Ascents[touch.Ascent]
		var up []string
		for i := len(a.Steps) - 1; i >= 0; i-- {
			up = append(up, a.Steps[i].Table.Name)
		}
		fmt.Fprintf(out, "%s touches %s by %s", a.Name, strings.Join(up, " < "), touch.Values)
		if touch.Key != nil {
			fmt.Fprintf(out, ", key %s", touch.Key)
		}
		fmt.Fprintln(out)
		of := touch.Target.Rows()
		for _, row := range r.rows[touch.Target.Roots.Table] {
			table := r.tables[touch.Target.Roots.Table]
			mine := touch.Key != nil
			for i, k := range touch.Key {
				mine = mine && string(row[table.Key[i]].Data) == string(k)
			}
			if !mine {
				continue
			}
			var read cdc.Row
			for _, column := range of.Lookup.Columns {
				read = append(read, row[table.Column(column.Name)])
			}
			events, dead = m.MapTouched(events, dead, of, at, read)
			if n := len(events); n > 0 && events[n-1].ID != m.TouchedID(touch.Target, at, touch.Target.Instance(touch.Key)) {
				t.Errorf("the id of %s is another than was told", events[n-1].Instance)
			}
			at.Sub++
		}
	}
	return events, dead
}
