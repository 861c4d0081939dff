package mapping

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/problem"
)

// relatedRows are the rows of tables that relations read, with all columns, in the order in which they are to come.
type relatedRows struct {
	tables map[cdc.TableName]*cdc.Table
	rows   map[cdc.TableName][]cdc.Row
	// api has a line for each path: the application's answer, or missing, or why it fails.
	api string
}

// loadRelated reads rows by table: public.tags: [{id: "1", name: a}, …]. A table that is not there cannot be read.
func loadRelated(t testing.TB, text string, tables map[cdc.TableName]*cdc.Table) relatedRows {
	t.Helper()
	related := relatedRows{tables: tables, rows: map[cdc.TableName][]cdc.Row{}}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	if len(root.Content) == 0 {
		return related
	}
	pairs(root.Content[0], func(name, rows *yaml.Node) {
		schema, table, _ := strings.Cut(name.Value, ".")
		tab := tables[cdc.TableName{Schema: schema, Name: table}]
		if tab == nil {
			t.Fatalf("no table %s", name.Value)
			return
		}
		related.rows[tab.TableName] = []cdc.Row{}
		for _, n := range rows.Content {
			related.rows[tab.TableName] = append(related.rows[tab.TableName], loadRow(t, n, &cdc.Relation{Columns: tab.Columns}, cdc.Null))
		}
	})
	return related
}

// answer does what a reader does, from memory, and tells what was asked for.
func (r relatedRows) answer(t testing.TB, out *strings.Builder, c *Completion) {
	t.Helper()
again:
	for requests := c.Start(); len(requests) > 0; requests = c.Next() {
		for i, q := range requests {
			if out != nil {
				fmt.Fprintf(out, "read %s: %s\n", q.Lookup.Name, strings.Trim(fmt.Sprintf("%s", q.Keys), "[]"))
			}
			rows, there := r.rows[q.Lookup.Table]
			if !there {
				c.Fail(q.Lookup, "table "+q.Lookup.Table.String()+" is gone")
				goto again
			}
			tab := r.tables[q.Lookup.Table]
			for k, key := range q.Keys {
				found := 0
				for _, row := range rows {
					if q.Lookup.First && found == q.Lookup.Max || found > q.Lookup.Max {
						break
					}
					match := true
					for n, m := range q.Lookup.Match {
						v := row[tab.Column(m.Name)]
						match = match && v.Kind == cdc.Text && string(v.Data) == string(key[n])
					}
					if !match {
						continue
					}
					found++
					var values cdc.Row
					for _, column := range q.Lookup.Columns {
						values = append(values, row[tab.Column(column.Name)])
					}
					c.Row(i, k, values)
				}
			}
		}
	}
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
	r.answer(t, out, c)
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
