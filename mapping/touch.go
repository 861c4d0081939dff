package mapping

import (
	"fmt"
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/problem"
)

// touch is a relation a change of whose rows is an update of the resource that it leads to.
type touch struct {
	link   *link
	target *Target
	// ascent is its number among those of the target's Roots.
	ascent int
	// direct says where each value of the target's key stands among those of the join; nil where the join is not by the key.
	direct []int
}

// boundTouch is a touch for the columns of a relation.
type boundTouch struct {
	*touch
	// join are the columns of the join, watched those whose change alone is to be told.
	join, watched []int
	// broken says why the relation does not tell whom its changes touch.
	broken string
}

// Touch is what a change of a related row says of the rows that it belongs to.
type Touch struct {
	Target *Target
	// Ascent is the number of the Ascent of Target.Roots that finds them, Values the texts of its Values, which are the
	// change's own. Key is what names the row itself where the values are that.
	Ascent      int
	Values, Key [][]byte
	// Broken says why that is not known; all but Target is empty then.
	Broken string
}

// TouchedTables are the tables of relations that touch, each once, in the order of the file.
func (d *Definition) TouchedTables() []cdc.TableName {
	var tables []cdc.TableName
	for _, r := range d.resources {
		walk(r.relations, func(rel *relation) {
			if rel.Touch && !slices.Contains(tables, rel.Table) {
				tables = append(tables, rel.Table)
			}
		})
	}
	return tables
}

// CheckTouch lists the relations that touch, but whose tables cannot be in the log. Compile does the same; this is for
// before the tables are asked for more. Tables that are not there are left to Compile.
func (d *Definition) CheckTouch(tables map[cdc.TableName]*cdc.Table) problem.List {
	var problems problem.List
	for _, r := range d.resources {
		walk(r.relations, func(rel *relation) {
			if t := tables[rel.Table]; t != nil {
				checkTouch(rel, t, &problems)
			}
		})
	}
	return problems
}

func checkTouch(r *relation, t *cdc.Table, problems *problem.List) {
	if r.Touch && t.Kind != 'r' && t.Kind != 'p' {
		problems.Add(place(r.TableAt, r.At), "leave touch out, or make relations of the tables behind it and let these touch",
			"relation %s cannot touch: %s is not a table, and the changes of views and foreign tables are not in the log", r.path, r.Table)
	}
}

// touching lists the links that touch, each behind those that lead to it.
func touching(into [][]*link, to []*link, relations []*relation, links map[string]*link) [][]*link {
	for _, r := range relations {
		l := links[r.Name]
		if l == nil {
			continue // a duplicate, which has been told
		}
		chain := append(slices.Clone(to), l)
		if r.Touch {
			into = append(into, chain)
		}
		into = touching(into, chain, r.relations, l.all)
	}
	return into
}

// addTarget notes what touches the resource.
func (m *Mapper) addTarget(c *compiled) {
	if len(c.bound.touches) == 0 {
		return
	}
	t := &Target{compiled: c, Roots: &cdc.Roots{Name: c.Name, Table: c.Table}}
	for _, k := range c.keyColumns {
		t.Roots.Key = append(t.Roots.Key, c.table.Columns[k])
	}
	t.rows = t.rowsOf(&planned{compiled: c, bound: c.bound}, c.table.Columns)
	m.targets = append(m.targets, t)
	m.coalesces = true
	for i, chain := range c.bound.touches {
		x := &touch{link: chain[len(chain)-1], target: t, ascent: i}
		if len(chain) == 1 {
			x.direct = directKey(x.link.pairs, t.Roots.Key)
		}
		t.Roots.Ascents = append(t.Roots.Ascents, ascent(chain, c.Table))
		m.touches[x.link.Table] = append(m.touches[x.link.Table], x)
		if table := x.link.table; table != nil && table.OID != 0 {
			m.touchesByOID[table.OID] = append(m.touchesByOID[table.OID], x)
		}
	}
}

// ascent leads from the rows of the last link up to those of the table.
func ascent(chain []*link, table cdc.TableName) cdc.Ascent {
	a := cdc.Ascent{Name: chain[len(chain)-1].path}
	for i := len(chain) - 1; i >= 0; i-- {
		step := cdc.AscentStep{Table: table, On: chain[i].pairs}
		if i > 0 {
			step.Table = chain[i-1].Table
		}
		a.Steps = append(a.Steps, step)
	}
	return a
}

// directKey says which of the join's values are those of the key, if it is by the whole key and nothing else, and if equal
// values have equal texts.
func directKey(pairs []cdc.JoinPair, key []cdc.Column) []int {
	if len(pairs) != len(key) {
		return nil
	}
	direct := make([]int, len(key))
	for i, k := range key {
		at := slices.IndexFunc(pairs, func(p cdc.JoinPair) bool { return p.Ours.Name == k.Name })
		if at < 0 || !oneText(pairs[at].Theirs.Type) || !oneText(pairs[at].Ours.Type) {
			return nil
		}
		direct[i] = at
	}
	return direct
}

// oneText says whether a type's values are equal only where their texts are.
func oneText(t *cdc.Type) bool {
	switch typeName(baseType(t)) {
	case "int2", "int4", "int8", "uuid", "text", "varchar":
		return true
	}
	return false
}

// bindTouches finds the columns that touches need among those of the relation.
func (m *Mapper) bindTouches(p *plan, r *cdc.Relation) {
	touches, broken := m.touches[r.Table], ""
	if len(touches) == 0 {
		touches = m.touchesByOID[r.OID]
		broken = "table %s of relation %s is now called %s; name it so in the config, or rename it back"
	}
	column := func(name string) int {
		return slices.IndexFunc(r.Columns, func(c cdc.Column) bool { return c.Name == name })
	}
	for _, t := range touches {
		b := boundTouch{touch: t}
		if broken != "" {
			b.broken = fmt.Sprintf(broken, t.link.Table, t.link.path, r.Table)
		}
		for _, pair := range t.link.pairs {
			i := column(pair.Theirs.Name)
			if i < 0 {
				if b.broken == "" {
					b.broken = fmt.Sprintf("relation %s: the changes of %s have no column %s", t.link.path, r.Table, pair.Theirs.Name)
				}
				continue
			}
			b.join, b.watched = append(b.join, i), append(b.watched, i)
			if !slices.Contains(p.columns, i) {
				p.columns = append(p.columns, i)
			}
		}
		// A column that the changes do not have is a generated one, whose sources are not known, or gone.
		whole := true
		watch := func(name string) {
			if i := column(name); i < 0 {
				whole = false
			} else if !slices.Contains(b.watched, i) {
				b.watched = append(b.watched, i)
			}
		}
		for _, c := range t.link.lookup.Columns {
			watch(c.Name)
		}
		for _, o := range t.link.lookup.Order {
			watch(o.Column)
		}
		if !whole {
			b.watched = nil
			for i := range r.Columns {
				b.watched = append(b.watched, i)
			}
		}
		p.touches = append(p.touches, b)
		p.wanted.Net = true
	}
}

// Touches says whether a change can touch anything. It may be called at any time.
func (m *Mapper) Touches() bool { return len(m.targets) > 0 }

// Touching are the relations whose rows are those of r: contact.tags. Like Map it is for one goroutine at a time.
func (m *Mapper) Touching(r *cdc.Relation) []string {
	var names []string
	for _, t := range m.planOf(r).touches {
		names = append(names, t.link.path)
	}
	return names
}

// Touched appends what the change of a row says of the rows that it belongs to, and belonged to before. Like Map it is for
// one goroutine at a time.
func (m *Mapper) Touched(dst []Touch, c *cdc.Change, p coalesce.Place) []Touch {
	// Of what is told by several keys, the rows of the relation's own do.
	if c.Relation == nil || p.Only == coalesce.Each || p.By != 0 || c.Op != cdc.Insert && c.Op != cdc.Update && c.Op != cdc.Delete {
		return dst
	}
	touches := m.planOf(c.Relation).touches
	for i := range touches {
		t := &touches[i]
		if t.broken != "" {
			dst = append(dst, Touch{Target: t.target, Broken: t.broken})
			continue
		}
		if c.Op == cdc.Update && !changed(c, t.watched, nil) {
			continue
		}
		var before [][]byte
		if c.Op != cdc.Insert {
			if values, k := t.valuesOf(c, oldValue); k == known && values != nil {
				dst, before = append(dst, t.touched(values)), values
			}
		}
		if c.Op == cdc.Delete {
			continue
		}
		switch values, k := t.valuesOf(c, newValue); {
		case k != known:
			dst = append(dst, Touch{Target: t.target, Broken: "relation " + t.link.path + ": a large value of the join was not sent and the row is gone"})
		case values != nil && !slices.EqualFunc(values, before, slices.Equal[[]byte]):
			dst = append(dst, t.touched(values))
		}
	}
	return dst
}

func (t *boundTouch) touched(values [][]byte) Touch {
	touch := Touch{Target: t.target, Ascent: t.ascent, Values: values}
	for _, at := range t.direct {
		touch.Key = append(touch.Key, values[at])
	}
	return touch
}

// valuesOf are the values of the join; none where one is null, which is equal to nothing.
func (t *boundTouch) valuesOf(c *cdc.Change, of func(*cdc.Change, int) cdc.Value) (values [][]byte, k knowledge) {
	null := false
	for _, i := range t.join {
		switch v := of(c, i); v.Kind {
		case cdc.Text:
			values = append(values, v.Data)
		case cdc.Null:
			null = true
		default:
			k = absent
		}
	}
	if null {
		return nil, known
	}
	return values, k
}

// oldValue is a value of the row before, as far as it is told: what is in the identity and was not sent has not changed.
func oldValue(c *cdc.Change, i int) cdc.Value {
	switch {
	case i < len(c.Old):
		return c.Old[i]
	case len(c.Old) == 0 && c.Op == cdc.Update && c.Relation.Columns[i].Identity:
		return newValue(c, i)
	}
	return cdc.Value{}
}

func newValue(c *cdc.Change, i int) cdc.Value {
	if i >= len(c.New) {
		return cdc.Value{}
	}
	if v := c.New[i]; v.Kind != cdc.Unchanged {
		return v
	}
	if i < len(c.Old) {
		return c.Old[i]
	}
	return cdc.Value{}
}

// missing are the indexes that would make it faster to find the target's rows.
func (t *Target) missing(into []MissingIndex, tables map[cdc.TableName]*cdc.Table) []MissingIndex {
	for i, a := range t.Roots.Ascents {
		chain := t.compiled.bound.touches[i]
		for _, step := range a.Steps {
			table := tables[step.Table]
			if table == nil || table.Indexes == nil || slices.ContainsFunc(step.On, func(p cdc.JoinPair) bool { return slices.Contains(table.Indexes, p.Ours.Name) }) {
				continue
			}
			m := MissingIndex{Relation: a.Name, Touch: true, At: chain[len(chain)-1].At, Table: table}
			for _, p := range step.On {
				m.Columns = append(m.Columns, p.Ours.Name)
			}
			into = append(into, m)
		}
	}
	return into
}
