package mapping

import (
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/schema"
)

// Shape is what the events of a type hold, as JSON Schema: as the config and the tables were when the Mapper was made. It has
// the names of members, types and labels of enums, and nothing of rows, nor of what stands in the config.
type Shape struct {
	// Type is the event's name.
	Type string
	// Data is what an event has in any case.
	Data *schema.Schema
	// Whole is what data has beside that, unless the event is Partial; nil for nothing.
	Whole *schema.Schema
	// Previous is nil where the events never have one.
	Previous *schema.Schema
	// Changed leads to a member that an update may change, which Previous tells then; nil where there is none.
	Changed []string
	// Truncates says that the event is of no row.
	Truncates bool
}

// Shape is that of the event's. Labels are those of enums, by their types' OIDs: an enum that is not in it is any text. It may
// be called at any time.
func (m *Mapper) Shape(event string, labels map[uint32][]string) (*Shape, bool) {
	if c := m.resourceOf(event); c != nil {
		return c.shape(event, labels), true
	}
	return nil, false
}

// resourceOf is the resource of an event, or nil.
func (m *Mapper) resourceOf(event string) *compiled {
	i := slices.IndexFunc(m.types, func(t EventType) bool { return t.Name == event })
	if i < 0 {
		return nil
	}
	return m.resources[slices.IndexFunc(m.resources, func(c *compiled) bool { return c.Name == m.types[i].Resource })]
}

func (c *compiled) shape(event string, labels map[uint32][]string) *Shape {
	s := &Shape{Type: event}
	if event == c.truncated {
		s.Data, s.Truncates = schema.Of(schema.Null), true
		return s
	}
	x := shaper{columns: c.table.Columns, format: c.format, labels: labels, key: c.keyColumns, accounted: c.account != nil, deleted: event == c.deleted,
		whole: c.table.Identity == cdc.IdentityFull}
	d := x.node(&c.bound.root)
	s.Data, s.Whole = d.schema, d.rest
	if kind := c.bound.root.kind; d.is != surely && kind != nodeObject && kind != nodeList {
		s.Data = s.Data.OrNull() // what is at the top is never left out
	}
	if event != c.created && event != c.deleted && x.keepsOwner(c.bound) {
		s.Previous = x.previous(&c.bound.root)
		s.Changed, _ = x.changed(&c.bound.root, c.bound.accountColumns)
	}
	return s
}

// keepsOwner says whether the log tells that an update has left an instance with its account: else nothing is told of what it
// was.
func (x *shaper) keepsOwner(b *bound) bool {
	return b.account == nil || x.whole || !slices.ContainsFunc(b.accountColumns, func(i int) bool { return !x.columns[i].Identity })
}

// presence says whether a member is there. The greater, the surer.
type presence uint8

const (
	// never is what the log does not tell of a deleted row.
	never presence = iota
	// wholly is there unless the event is partial.
	wholly
	surely
)

// described is a node's schema.
type described struct {
	schema *schema.Schema
	// rest is what is there unless the event is partial; nil for nothing.
	rest *schema.Schema
	is   presence
}

// shaper describes nodes of one row.
type shaper struct {
	columns []cdc.Column
	format  *format
	labels  map[uint32][]string
	// key are the columns that no update changes: that is a delete and a create.
	key []int
	// accounted says that the row may have moved to another account by the time its relations are read.
	accounted bool
	// deleted is of a row that is gone, whole of one whose old values the log tells.
	deleted, whole bool
	// related is a row that was read: all of it is there.
	related bool
}

func (x *shaper) node(n *node) described {
	switch n.kind {
	case nodeColumn:
		return described{schema: x.column(n.column), is: x.has(n.column)}
	case nodeExpression:
		return described{schema: n.program.resultSchema(), is: x.computed(n.program)}
	case nodeText:
		return x.text(n)
	case nodeRelation:
		return described{schema: x.relation(n.link), is: x.reaches(n.link)}
	case nodeAPI:
		return described{schema: schema.Any(), is: x.answered()}
	case nodeObject:
		return x.object(n)
	case nodeList:
		return x.list(n)
	}
	// What the config says in so many words may have come from the environment: only its type is told, and who may see a body
	// sees it there.
	return described{schema: schema.Infer(n.json).Exemplified(n.json), is: surely}
}

func (x *shaper) text(n *node) described {
	is, example := surely, []byte{'"'}
	for i := range n.nodes {
		part := &n.nodes[i]
		if part.kind == nodeLiteral {
			example = append(example, part.json...)
			continue
		}
		d, name := x.node(part), ""
		if part.kind == nodeColumn {
			name = x.columns[part.column].Name
		}
		is = min(is, d.is)
		example = appendEscaped(example, textOfJSON(d.schema.Example(name, false)))
	}
	return described{schema: schema.Of(schema.String).Exemplified(append(example, '"')), is: is}
}

func (x *shaper) column(i int) *schema.Schema {
	s := typeSchema(x.columns[i].Type, x.format, x.labels)
	if x.columns[i].NotNull {
		return s
	}
	return s.OrNull()
}

// has says whether a column's value is there.
func (x *shaper) has(i int) presence {
	switch {
	case x.related:
		return surely
	case x.deleted && !x.whole && !x.columns[i].Identity:
		return never
	case x.whole || fixedSize(x.columns[i].Type):
		return surely
	}
	return wholly // a large value that has not changed is not sent, and its row may be gone when it is read
}

func (x *shaper) answered() presence {
	if x.deleted {
		return never
	}
	return wholly
}

func (x *shaper) reaches(l *link) presence {
	is := surely
	switch {
	case x.deleted:
		return never
	case x.accounted:
		is = wholly
	}
	for _, i := range l.ours {
		is = min(is, x.has(i))
	}
	return is
}

func (x *shaper) computed(p *program) presence {
	is := surely
	if p == nil {
		return is
	}
	for _, c := range p.columns {
		switch {
		case c.old:
		case c.link != nil:
			is = min(is, x.reaches(c.link))
		case c.api:
			is = min(is, x.answered())
		default:
			is = min(is, x.has(c.index))
		}
	}
	return is
}

func (x *shaper) relation(l *link) *schema.Schema {
	inner := shaper{format: x.format, labels: x.labels, related: true}
	if l.lookup != nil {
		inner.columns = l.lookup.Columns
	}
	s := inner.node(&l.root).schema
	if l.Many {
		return &schema.Schema{Type: schema.Types{schema.Array}, Items: s}
	}
	return s.OrNull()
}

func (x *shaper) object(n *node) described {
	d := described{schema: schema.Of(schema.Object), is: never}
	rest := schema.Schema{}
	for i := range n.nodes {
		m := x.node(&n.nodes[i])
		if n.nodes[i].dynamic {
			d.is = max(d.is, m.is)
		}
		if m.is == never {
			continue
		}
		d.schema.Add(n.names[i], m.schema, m.is == surely)
		if m.is == wholly {
			rest.Required = append(rest.Required, n.names[i])
		}
		if m.rest != nil {
			rest.Properties = append(rest.Properties, schema.Property{Name: n.names[i], Schema: m.rest})
		}
	}
	if !n.dynamic {
		d.is = surely
	}
	if len(rest.Required)+len(rest.Properties) > 0 {
		d.rest = &rest
	}
	return d
}

// list leaves it open which item stands where: one that is not known is left out.
func (x *shaper) list(n *node) described {
	d := described{schema: schema.Of(schema.Array), is: never}
	var items []*schema.Schema
	for i := range n.nodes {
		item := x.node(&n.nodes[i])
		if n.nodes[i].dynamic {
			d.is = max(d.is, item.is)
		}
		if item.is != never {
			items = append(items, item.schema)
		}
	}
	if !n.dynamic {
		d.is = surely
	}
	if len(items) > 0 {
		d.schema.Items = schema.Either(items...)
	}
	return d
}

// tells says whether the log tells what a leaf was before an update that has changed it.
func (x *shaper) tells(n *node) bool {
	if !n.dynamic || n.usesOld() || n.usesLinks() || n.usesAPI() {
		return false
	}
	columns := n.columnsOf(nil)
	if !slices.ContainsFunc(columns, func(i int) bool { return !slices.Contains(x.key, i) }) {
		return false
	}
	return x.whole || !slices.ContainsFunc(columns, func(i int) bool { return !x.columns[i].Identity })
}

// previous has the members that previousOf may tell; nil where there are none.
func (x *shaper) previous(n *node) *schema.Schema {
	if n.kind != nodeObject {
		if x.tells(n) {
			return x.node(n).schema
		}
		return nil
	}
	s := schema.Of(schema.Object)
	for i := range n.nodes {
		if m := x.previous(&n.nodes[i]); m != nil {
			s.Add(n.names[i], m, false)
		}
	}
	if len(s.Properties) == 0 {
		return nil
	}
	return s
}

// changed is the way to a leaf that updates change: a text if there is one, for whoever looks at it. What says whose the row is
// changes by a delete and a create.
func (x *shaper) changed(n *node, owner []int) (path []string, text bool) {
	for i := range n.nodes {
		if n.kind != nodeObject {
			break
		}
		var to []string
		var isText bool
		if child := &n.nodes[i]; child.kind == nodeObject {
			to, isText = x.changed(child, owner)
		} else if child.kind == nodeColumn && x.tells(child) && !slices.Contains(owner, child.column) {
			s := x.column(child.column)
			to, isText = []string{}, len(s.Type) > 0 && s.Type[0] == schema.String && s.Format == ""
			if s.IsAny() {
				continue
			}
		}
		if to != nil && (path == nil || isText && !text) {
			path, text = append([]string{n.names[i]}, to...), isText
		}
	}
	return path, text
}

// fixedSize says whether values of the type are never stored apart from their row.
func fixedSize(t *cdc.Type) bool {
	t = baseType(t)
	if t == nil || t.Elem != nil {
		return false
	}
	if t.Kind == 'e' {
		return true
	}
	switch typeName(t) {
	case "int2", "int4", "int8", "oid", "xid8", "float4", "float8", "bool", "date", "timestamp", "timestamptz", "time", "timetz",
		"interval", "uuid", "money":
		return true
	}
	return false
}
