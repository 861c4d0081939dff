package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/types"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/problem"
)

// MaxRelated is how many rows a relation to many may have for one row. A list that is cut would be a wrong answer, so more
// are a dead letter.
const MaxRelated = 1000

// link is a relation bound to the columns on both sides. Links make a tree, as relations do.
type link struct {
	*relation
	lookup *cdc.Lookup
	// ours are the columns of our row that make the key.
	ours []int
	// root is what a row becomes. Its columns are those of lookup.
	root node
	// links are those that root uses.
	links []*link
	// static is what a value has for the checker of expressions.
	static types.Type
	// table is the other table.
	table *cdc.Table
	// pairs are the columns of the join; all are the links of its rows, used or not.
	pairs []cdc.JoinPair
	all   map[string]*link
}

// link binds relations to the tables as they were when the mapper was made.
func (b *binder) link(relations []*relation, key []int) map[string]*link {
	if len(relations) == 0 {
		return nil
	}
	links := make(map[string]*link, len(relations))
	for _, r := range relations {
		links[r.Name] = b.linkOf(r, key)
	}
	return links
}

// linkOf never returns nil, so that a name is known even where the relation is wrong.
func (b *binder) linkOf(r *relation, key []int) *link {
	l := &link{relation: r, static: types.Any}
	if l.table = b.tables[r.Table]; l.table == nil {
		var names []string
		for _, t := range b.tables {
			if t != nil {
				names = append(names, t.TableName.String())
			}
		}
		b.problems.Add(place(r.TableAt, r.At), problem.DidYouMean(r.Table.String(), names),
			"table %s of relation %s does not exist, or the role may not see it", r.Table, r.path)
		return l
	}
	columns := slices.Clone(l.table.Columns)
	for i := range columns {
		columns[i].Generated = false // a read has them
	}
	child := binder{scope: newScope(r.Table, columns), format: b.format, evaluator: b.evaluator, tables: b.tables}
	child.scope.related = true
	l.lookup = &cdc.Lookup{Name: r.path, Table: r.Table, Max: MaxRelated}
	if !r.Many {
		l.lookup.Max, l.lookup.First = 1, true
	}
	l.match(b, &child, key)
	for _, o := range r.order {
		if i, ok := child.column(o.Text, o.At, &child.problems); ok {
			l.lookup.Order = append(l.lookup.Order, cdc.LookupOrder{Column: columns[i].Name, Descending: o.descending})
		}
	}
	for _, k := range l.table.Key {
		l.lookup.Order = append(l.lookup.Order, cdc.LookupOrder{Column: columns[k].Name})
	}
	checkTouch(r, l.table, &b.problems)
	child.links = child.link(r.relations, l.table.Key)
	l.all = child.links
	l.root = child.root(&shape{root: r.root, columns: r.Columns, except: r.Except, relations: r.relations, at: r.At})
	b.problems = append(b.problems, child.problems...)
	if len(child.problems) > 0 {
		return l
	}
	l.links = l.root.linksOf(nil)
	l.lookup.More = len(l.links) > 0
	l.static = child.typeOf(&l.root)
	if r.Many {
		l.static = types.Array(l.static)
	}
	// Only what is used is read, and rows have no other columns.
	used := l.root.columnsOf(nil)
	slices.Sort(used)
	for _, i := range used {
		l.lookup.Columns = append(l.lookup.Columns, columns[i])
	}
	l.root.renumber(used, map[*program]bool{}, map[*link]bool{})
	return l
}

// match finds the columns on both sides.
func (l *link) match(b, child *binder, key []int) {
	r := l.relation
	pair := func(theirs, ours int, at problem.Place) {
		their, our := child.columns[theirs], b.columns[ours]
		if !comparable(their.Type, our.Type) {
			b.problems.Add(at, "join columns of one type, or change the type of one of them",
				"relation %s compares %s of %s, which is %s, with %s of %s, which is %s: they cannot be compared",
				r.path, their.Name, child.table, nameOfType(their.Type), our.Name, b.table, nameOfType(our.Type))
		}
		l.pairs = append(l.pairs, cdc.JoinPair{Theirs: their, Ours: our})
		l.lookup.Match, l.ours = append(l.lookup.Match, cdc.LookupColumn{Column: their, Type: our.Type}), append(l.ours, ours)
	}
	switch {
	case r.ForeignKey == nil:
		for _, j := range r.Join {
			theirs, known := child.column(j.Theirs.Text, j.Theirs.At, &b.problems)
			ours, ok := b.column(j.Ours.Text, j.Ours.At, &b.problems)
			if known && ok {
				pair(theirs, ours, j.Theirs.At)
			}
		}
	case r.Many:
		theirs, ok := child.column(r.ForeignKey.Text, r.ForeignKey.At, &b.problems)
		if len(key) != 1 {
			b.problems.Add(r.ForeignKey.At, fmt.Sprintf("write join: {%s: our_column, …}", r.ForeignKey.Text),
				"relation %s: the primary key of %s has %d columns, and foreign_key is one", r.path, b.table, len(key))
		} else if ok {
			pair(theirs, key[0], r.ForeignKey.At)
		}
	default:
		ours, ok := b.column(r.ForeignKey.Text, r.ForeignKey.At, &b.problems)
		if len(l.table.Key) != 1 {
			b.problems.Add(r.ForeignKey.At, fmt.Sprintf("write join: {their_column: %s, …}", r.ForeignKey.Text),
				"relation %s: the primary key of %s has %d columns, and foreign_key is one", r.path, r.Table, len(l.table.Key))
		} else if ok {
			pair(l.table.Key[0], ours, r.ForeignKey.At)
		}
	}
}

// comparable says whether Postgres compares the types with an operator that an index of theirs serves.
func comparable(theirs, ours *cdc.Type) bool {
	theirs, ours = baseType(theirs), baseType(ours)
	if theirs == nil || ours == nil || theirs.OID != 0 && theirs.OID == ours.OID {
		return true
	}
	family := func(t *cdc.Type) string {
		switch name := typeName(t); name {
		case "int2", "int4", "int8":
			return "integer"
		case "text", "varchar", "bpchar", "name":
			return "text"
		case "":
			if t.Kind == 'b' && t.Name == "citext" {
				return "text"
			}
			return t.Name
		default:
			return name
		}
	}
	return family(theirs) == family(ours) && theirs.Kind == ours.Kind
}

func nameOfType(t *cdc.Type) string {
	if t == nil || t.Name == "" {
		return "of an unknown type"
	}
	return t.Name
}

// linksOf are the links that a node uses itself, each once.
func (n *node) linksOf(into []*link) []*link {
	if n.link != nil && !slices.Contains(into, n.link) {
		into = append(into, n.link)
	}
	if n.program != nil {
		for _, c := range n.program.columns {
			if c.link != nil && !slices.Contains(into, c.link) {
				into = append(into, c.link)
			}
		}
	}
	for i := range n.nodes {
		into = n.nodes[i].linksOf(into)
	}
	return into
}

// usesLinks says whether a node needs related rows.
func (n *node) usesLinks() bool { return len(n.linksOf(nil)) > 0 }

// keyColumns are those of our row that find the rows.
func (l *link) keyColumns(into []int) []int {
	for _, i := range l.ours {
		if !slices.Contains(into, i) {
			into = append(into, i)
		}
	}
	return into
}

// renumber makes the columns of a node those of a row that has only the used ones.
func (n *node) renumber(used []int, programs map[*program]bool, links map[*link]bool) {
	at := func(i int) int { return slices.Index(used, i) }
	renumberLink := func(l *link) {
		if l != nil && !links[l] {
			links[l] = true
			for i := range l.ours {
				l.ours[i] = at(l.ours[i])
			}
		}
	}
	switch {
	case n.kind == nodeColumn:
		n.column = at(n.column)
	case n.kind == nodeRelation:
		renumberLink(n.link)
	case n.program != nil && !programs[n.program]:
		programs[n.program] = true
		for i := range n.program.columns {
			if c := &n.program.columns[i]; c.link != nil {
				renumberLink(c.link)
			} else {
				c.index = at(c.index)
			}
		}
	}
	for i := range n.nodes {
		n.nodes[i].renumber(used, programs, links)
	}
}

// typeOf is what an expression that uses a relation finds: the members of its representation.
func (b *binder) typeOf(n *node) types.Type {
	switch n.kind {
	case nodeColumn:
		_, static := readerOf(b.columns[n.column].Type, b.format)
		return static
	case nodeText:
		return types.String
	case nodeRelation:
		return n.link.static
	case nodeList:
		return types.TypeOf([]any{})
	case nodeObject:
		members := types.Map{}
		for i := range n.nodes {
			members[n.names[i]] = b.typeOf(&n.nodes[i])
		}
		return members
	}
	return types.Any
}

// MissingIndex is an index without which a relation is slow.
type MissingIndex struct {
	// Relation is its path: contact.tags. At is where the config names it. Touch says that the index is for a touch of it:
	// it is one of the rows that a related row belongs to.
	Relation string
	Touch    bool
	At       problem.Place
	Table    *cdc.Table
	Columns  []string
}

// What says what is missing.
func (i MissingIndex) What() string {
	if i.Touch {
		return fmt.Sprintf("relation %s touches by %s of %s, which no index begins with: every change of its rows goes through the whole table",
			i.Relation, list(i.Columns), i.Table.TableName)
	}
	return fmt.Sprintf("relation %s is looked up by %s of %s, which no index begins with: every read goes through the whole table",
		i.Relation, list(i.Columns), i.Table.TableName)
}

// SQL makes the index.
func (i MissingIndex) SQL() finding.Statement {
	var quoted []string
	for _, c := range i.Columns {
		quoted = append(quoted, cdc.QuoteIdent(c))
	}
	s := finding.Statement{Phase: finding.Index, SQL: fmt.Sprintf("CREATE INDEX CONCURRENTLY IF NOT EXISTS %s ON %s (%s);",
		cdc.QuoteIdent(i.Table.Name+"_"+strings.Join(i.Columns, "_")+"_rowhook"), i.Table.Quote(), list(quoted)),
		Note: "Built without blocking writes; if that is interrupted, drop what it left and begin again."}
	if i.Table.Kind == 'p' {
		s.SQL = strings.Replace(s.SQL, " CONCURRENTLY", "", 1)
		s.Note = "Blocks writes to the partitions while it is built: they can be given their indexes one by one before."
	}
	return s
}

// missing are the indexes that the link, and those within it, lack.
func (l *link) missing(into []MissingIndex) []MissingIndex {
	if l.table != nil && l.table.Indexes != nil && !l.indexed() {
		m := MissingIndex{Relation: l.path, At: l.At, Table: l.table}
		for _, c := range l.lookup.Match {
			m.Columns = append(m.Columns, c.Name)
		}
		into = append(into, m)
	}
	for _, inner := range l.links {
		into = inner.missing(into)
	}
	return into
}

func (l *link) indexed() bool {
	return slices.ContainsFunc(l.table.Indexes, func(first string) bool {
		return slices.ContainsFunc(l.lookup.Match, func(m cdc.LookupColumn) bool { return m.Name == first })
	})
}

// MissingIndexes are those that would make the mapping cheaper. It is complete where the tables' indexes are known.
func (m *Mapper) MissingIndexes() []MissingIndex {
	var all []MissingIndex
	for _, c := range m.resources {
		for _, l := range c.bound.root.linksOf(nil) {
			all = l.missing(all)
		}
	}
	for _, t := range m.targets {
		all = t.missing(all, m.tables)
	}
	return all
}

// Advice tells the MissingIndexes.
func (m *Mapper) Advice() []string {
	var advice []string
	for _, i := range m.MissingIndexes() {
		var quoted []string
		for _, c := range i.Columns {
			quoted = append(quoted, cdc.QuoteIdent(c))
		}
		told := fmt.Sprintf("%s. Mend: CREATE INDEX CONCURRENTLY ON %s (%s);", i.What(), i.Table.Quote(), strings.Join(quoted, ", "))
		if !slices.Contains(advice, told) {
			advice = append(advice, told)
		}
	}
	return advice
}
