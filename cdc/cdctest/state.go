package cdctest

import (
	"bytes"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// State is what a database holds while changes are made to it. Of a change it tells what the stream would: of an old row
// what the replica identity does.
type State struct {
	tables *Tables
	// Rows are what is there now. Every table has an entry.
	Rows Rows
}

// NewState is a database with empty tables.
func NewState(tables *Tables) *State {
	s := &State{tables: tables, Rows: Rows{}}
	for n := range tables.ByName {
		s.Rows[n] = []cdc.Row{}
	}
	return s
}

// Load puts in rows: contacts: [{id: 1, name: Ada}]. Columns that are not given are null.
func (s *State) Load(file string, n *yaml.Node) problem.List {
	r := &reader{file: file}
	r.entries(n, "rows", func(name, rows *yaml.Node) {
		tab := s.named(r, name)
		if tab == nil {
			return
		}
		if rows.Kind != yaml.SequenceNode {
			r.add(rows, "write a list: [{id: 1}, …]", "the rows of %s are no list", name.Value)
			return
		}
		for _, n := range rows.Content {
			row, wrong := Row(file, resolved(n), tab.Columns, name.Value, cdc.Null)
			r.problems = append(r.problems, wrong...)
			s.Rows[tab.TableName] = append(s.Rows[tab.TableName], row)
		}
	})
	return r.problems
}

func (s *State) named(r *reader, name *yaml.Node) *cdc.Table {
	tab := s.tables.ByName[Name(name.Value)]
	if tab == nil {
		var known []string
		for n := range s.tables.ByName {
			known = append(known, n.Name)
		}
		r.add(name, problem.DidYouMean(name.Value, known), "there is no table %q", name.Value)
	}
	return tab
}

// Apply makes the changes of one transaction: {insert: contacts, new: {…}}, {update: contacts, old: {…}, new: {…}},
// {delete: contacts, old: {…}}, {truncate: contacts}. Columns that new of an update does not give stay as they are. What old
// does not give is taken from the row that is there, which is found by old's key, else by new's.
func (s *State) Apply(file string, list []*yaml.Node, tx *cdc.Tx) ([]*cdc.Change, problem.List) {
	a := applying{State: s, reader: reader{file: file}}
	var changes []*cdc.Change
	for _, entry := range list {
		if c := a.change(resolved(entry)); c != nil {
			c.Tx, c.Ordinal = tx, uint32(len(changes)+1)
			changes = append(changes, c)
		}
	}
	return changes, a.problems
}

type applying struct {
	*State
	reader
	// before is how many problems there were before this change: each one's are told.
	before int
}

func (a *applying) failed() bool { return len(a.problems) > a.before }

// members are the parts of a change as written.
type members struct{ name, new, old *yaml.Node }

func (a *applying) change(n *yaml.Node) *cdc.Change {
	var c cdc.Change
	var m members
	a.before = len(a.problems)
	if !a.entries(n, "the change", func(k, v *yaml.Node) {
		switch op, ok := ops[k.Value]; {
		case ok && op != cdc.Message:
			if c.Op != 0 {
				a.add(k, "begin another change with -", "a change is one of insert, update, delete, truncate")
			}
			c.Op, m.name = op, v
		case k.Value == "new":
			m.new = v
		case k.Value == "old":
			m.old = v
		default:
			a.add(k, problem.DidYouMean(k.Value, []string{"insert", "update", "delete", "truncate", "new", "old"}), "unknown key %q of a change", k.Value)
		}
	}) || a.failed() {
		return nil
	}
	if c.Op == 0 {
		a.add(n, "- insert: contacts", "the change does not say what it does")
		return nil
	}
	tab := a.named(&a.reader, m.name)
	if tab == nil {
		return nil
	}
	c.Relation = a.tables.Relation(m.name.Value)
	if c.Op == cdc.Truncate {
		a.Rows[tab.TableName] = a.Rows[tab.TableName][:0]
		return &c
	}
	a.row(&c, tab, n, m)
	if a.failed() {
		return nil
	}
	return &c
}

// row fills in the images of a change of a row, and makes it.
func (a *applying) row(c *cdc.Change, tab *cdc.Table, n *yaml.Node, m members) {
	switch {
	case c.Op == cdc.Insert && m.old != nil, c.Op == cdc.Delete && m.new != nil:
		a.add(n, "", "%s has no %s row", c.Op, map[cdc.Op]string{cdc.Insert: "old", cdc.Delete: "new"}[c.Op])
		return
	case c.Op == cdc.Insert && m.new == nil, c.Op == cdc.Update && m.new == nil:
		a.add(n, "new: {id: 1, …}", "%s has no new row", c.Op)
		return
	case c.Op == cdc.Delete && m.old == nil:
		a.add(n, "old: {id: 1}", "delete does not say which row")
		return
	}
	read := func(n *yaml.Node, otherwise cdc.Kind) cdc.Row {
		if n == nil {
			return nil
		}
		row, wrong := Row(a.file, n, tab.Columns, m.name.Value, otherwise)
		a.problems = append(a.problems, wrong...)
		return row
	}
	if c.Op == cdc.Insert {
		row := read(m.new, cdc.Null)
		if a.failed() {
			return
		}
		if at := a.find(tab, row); at >= 0 {
			a.add(m.new, "update it, delete it before, or insert another one", "%s has a row with this key already", m.name.Value)
			return
		}
		c.New = image(tab, row)
		a.Rows[tab.TableName] = append(a.Rows[tab.TableName], row)
		return
	}
	old, now := read(m.old, cdc.Absent), read(m.new, cdc.Absent)
	if a.failed() {
		return
	}
	by := old
	if by == nil {
		by = now
	}
	at := a.find(tab, by)
	if at < 0 && m.old == nil {
		a.add(n, "put it under rows, or give old", "the row that is updated is not there")
		return
	}
	before := make(cdc.Row, len(tab.Columns))
	for i := range before {
		before[i].Kind = cdc.Null
		if at >= 0 {
			before[i] = a.Rows[tab.TableName][at][i]
		}
		if old != nil && old[i].Kind != cdc.Absent {
			before[i] = old[i]
		}
	}
	if c.Op == cdc.Delete {
		c.Old, c.OldWhole = told(tab, before)
		if at >= 0 {
			a.Rows[tab.TableName] = slices.Delete(a.Rows[tab.TableName], at, at+1)
		}
		return
	}
	after, stored := slices.Clone(before), slices.Clone(before)
	moved := false
	for i, v := range now {
		switch v.Kind {
		case cdc.Absent:
			continue
		case cdc.Unchanged:
			after[i], c.Unchanged = v, true
		default:
			after[i], stored[i] = v, v
		}
		moved = moved || tab.Columns[i].Identity && (v.Kind != before[i].Kind || !bytes.Equal(v.Data, before[i].Data))
	}
	c.New = image(tab, after)
	if tab.Identity == cdc.IdentityFull || moved {
		c.Old, c.OldWhole = told(tab, before)
	}
	if at >= 0 {
		a.Rows[tab.TableName][at] = stored
	}
}

// keyOf are the columns that a row is found by: the primary key, or where there is none, another unique index, that of the
// identity if there is one.
func keyOf(tab *cdc.Table) []int {
	switch {
	case len(tab.Key) > 0:
		return tab.Key
	case tab.Identity == cdc.IdentityIndex:
		return identityOf(tab.Columns)
	case len(tab.Unique) > 0:
		return tab.Unique[0]
	}
	return nil
}

// find is the place of the row with the key, or -1.
func (s *State) find(tab *cdc.Table, row cdc.Row) int {
	key := keyOf(tab)
	if len(key) == 0 {
		return -1
	}
	return slices.IndexFunc(s.Rows[tab.TableName], func(other cdc.Row) bool {
		for _, k := range key {
			if row[k].Kind != cdc.Text || other[k].Kind != cdc.Text || !bytes.Equal(row[k].Data, other[k].Data) {
				return false
			}
		}
		return true
	})
}

// image is a row without what the stream does not have.
func image(tab *cdc.Table, row cdc.Row) cdc.Row {
	out := make(cdc.Row, 0, len(row))
	for i, v := range row {
		if !tab.Columns[i].Generated {
			out = append(out, v)
		}
	}
	return out
}

// told is an old row as the stream tells it.
func told(tab *cdc.Table, row cdc.Row) (cdc.Row, bool) {
	out := slices.Clone(row)
	for i := range out {
		if !tab.Columns[i].Identity {
			out[i] = cdc.Value{}
		}
	}
	return image(tab, out), tab.Identity == cdc.IdentityFull
}

// Reread puts into a change what its row has now of the large values that the stream left out, as far as it is there.
func (s *State) Reread(c *cdc.Change) {
	tab := s.tables.ByName[c.Relation.Table]
	if !c.Unchanged || tab == nil || len(c.Relation.Key) == 0 {
		return
	}
	by := make(cdc.Row, len(tab.Columns))
	for _, k := range c.Relation.Key {
		by[tab.Column(c.Relation.Columns[k].Name)] = c.New[k]
	}
	at := s.find(tab, by)
	if at < 0 {
		return
	}
	for i := range c.New {
		if c.New[i].Kind == cdc.Unchanged && (i >= len(c.Old) || c.Old[i].Kind == cdc.Absent) {
			c.New[i] = s.Rows[tab.TableName][at][tab.Column(c.Relation.Columns[i].Name)]
		}
	}
}
