package mapping

import (
	"bytes"
	"reflect"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
)

// conditions say what a resource's rows and changes are, bound to the columns of a table.
type conditions struct {
	// where and deleteWhen are nil where there is none.
	where, deleteWhen *node
	events            []condition
	// ignored are the columns whose change alone is no update.
	ignored []int
	// shown are the columns that the representation and the account use, accountColumns those of the account.
	shown, accountColumns []int
	// usesOld says that the old row is asked for, showsOld that the representation does.
	usesOld, showsOld bool
}

// condition is an event of the resource's own.
type condition struct {
	name string
	when node
	// columns are those of its condition, of either row; old those of the old row that it needs.
	columns, old []int
}

// condition binds an expression that is true or false.
func (b *binder) condition(what, path string, src source) node {
	at := location{src, 0}
	b.programmed = true
	n := node{
		kind: nodeExpression, dynamic: true, path: path, at: at.place(src.text, 0),
		program: b.evaluator.compile(src.text, at, b.scope, b.format, &b.problems),
	}
	if n.program != nil && n.program.result != nil && n.program.result.Kind() != reflect.Bool {
		b.problems.Add(n.at, "compare it with something: stage == \"won\", deleted_at != null",
			"%s is %s, not a condition", what, typeWords(n.program.result.String()))
	}
	return n
}

func (b *binder) conditions(r *resource, out *bound) conditions {
	var c conditions
	if r.where != nil {
		n := b.condition("where", "where", *r.where)
		c.where = &n
	}
	if r.deleteWhen != nil {
		n := b.condition("delete_when", "delete_when", *r.deleteWhen)
		c.deleteWhen = &n
	}
	for _, n := range []*node{c.where, c.deleteWhen} {
		if n != nil && n.program != nil && len(n.program.old()) > 0 {
			b.problems.Add(n.at, "say what the row is now: the old row is asked the same", "%s cannot use old", n.path)
		}
	}
	for _, e := range r.events {
		n := b.condition(e.name, strings.TrimPrefix(e.name, r.Name+"."), e.when)
		if n.program != nil {
			old := n.program.old()
			c.events = append(c.events, condition{e.name, n, append(n.columnsOf(nil), old...), old})
		}
	}
	for _, column := range r.IgnoreChanges {
		if i, ok := b.column(column.Text, column.At, &b.problems); ok {
			c.ignored = append(c.ignored, i)
		}
	}
	c.shown = out.root.columnsOf(nil)
	if out.usesAPI {
		// What the application computes may come of any column.
		c.shown = c.shown[:0]
		for i := range b.columns {
			c.shown = append(c.shown, i)
		}
	}
	if out.account != nil {
		c.shown = out.account.columnsOf(c.shown)
		c.accountColumns = out.account.columnsOf(nil)
	}
	c.showsOld = out.root.usesOld()
	c.usesOld = c.where != nil || c.deleteWhen != nil || c.showsOld
	for i := range c.events {
		c.usesOld = c.usesOld || len(c.events[i].old) > 0
	}
	return c
}

// usesOld says whether an expression of the node asks for the old row.
func (n *node) usesOld() bool {
	if n.program != nil && len(n.program.old()) > 0 {
		return true
	}
	return slices.ContainsFunc(n.nodes, func(n node) bool { return n.usesOld() })
}

// old are the columns of the old row that the program uses.
func (p *program) old() []int {
	var columns []int
	for _, c := range p.columns {
		if c.old {
			columns = append(columns, c.index)
		}
	}
	return columns
}

// columnsOf are those of the row as it is now.
func (c *conditions) columnsOf(into []int) []int {
	for _, n := range []*node{c.where, c.deleteWhen} {
		if n != nil {
			into = n.columnsOf(into)
		}
	}
	for i := range c.events {
		into = c.events[i].when.columnsOf(into)
	}
	return into
}

// stateColumns are those that tell whether a row is an instance.
func (c *conditions) stateColumns() []int {
	var columns []int
	for _, n := range []*node{c.where, c.deleteWhen} {
		if n != nil {
			columns = n.columnsOf(columns)
		}
	}
	return columns
}

// told says whether the log tells the old values of the columns.
func told(columns []int, of []cdc.Column, identity cdc.IdentityKind) bool {
	return identity == cdc.IdentityFull || !slices.ContainsFunc(columns, func(i int) bool { return !of[i].Identity })
}

// state is what a row is to a resource.
type state uint8

const (
	// unsure is what the log does not tell.
	unsure state = iota
	gone
	there
)

// stateOf says whether a row is an instance. An error is in the renderer.
func (m *Mapper) stateOf(p *planned, row, fallback cdc.Row) state {
	c := &p.conditions
	r := &m.renderer
	r.row, r.fallback, r.old, r.failed, r.err = row, fallback, nil, nil, nil
	is := there
	if c.where != nil {
		switch holds, k := r.holds(c.where); {
		case k != known:
			is = unsure
		case !holds:
			return gone
		}
	}
	if c.deleteWhen != nil {
		switch holds, k := r.holds(c.deleteWhen); {
		case k != known:
			return unsure
		case holds:
			return gone // whatever where is
		}
	}
	return is
}

// holds evaluates a condition: null is false.
func (r *renderer) holds(n *node) (bool, knowledge) {
	v, k := r.run(n)
	if k != known || r.err != nil {
		return false, k
	}
	switch v := plain(v).(type) {
	case nil:
		return false, known
	case bool:
		return v, known
	default:
		r.failed, r.err = n, failed("%s is not a condition", kindOf(v))
		return false, known
	}
}

// before is the row before an update, as far as it is told: what is in the identity and was not sent has not changed.
func (m *Mapper) before(c *cdc.Change) cdc.Row {
	if c.Op != cdc.Update || len(c.Old) > 0 {
		return c.Old
	}
	m.earlier = m.earlier[:0]
	for i := range c.New {
		v := cdc.Value{}
		if i < len(c.Relation.Columns) && c.Relation.Columns[i].Identity {
			v = c.New[i]
		}
		m.earlier = append(m.earlier, v)
	}
	return m.earlier
}

// changed says whether an update has changed one of the columns, but for those that are ignored. What the log does not
// tell may have changed.
func changed(c *cdc.Change, columns, ignored []int) bool {
	if !c.OldWhole {
		return true
	}
	return slices.ContainsFunc(columns, func(i int) bool {
		if i >= len(c.Old) || i >= len(c.New) {
			return true
		}
		old, now := c.Old[i], c.New[i]
		switch {
		case slices.Contains(ignored, i) || now.Kind == cdc.Unchanged:
			return false
		case old.Kind != now.Kind:
			return true
		}
		return !bytes.Equal(old.Data, now.Data)
	})
}

// mapRow makes the events of a change of a row.
func (m *Mapper) mapRow(o *output, p *planned) {
	c := o.change
	old := c.Old
	if p.usesOld {
		old = m.before(c)
	}
	m.old, m.told, m.updates, m.audience, m.was, m.compared = nil, nil, false, ToAll, nil, false
	defer m.letGo()
	was, is := gone, gone
	if c.Op != cdc.Insert {
		was = m.stateOf(p, old, nil)
		if m.renderer.err != nil {
			m.letters(o, p, m.renderer.reason(p.Name))
			return
		}
	}
	if c.Op != cdc.Delete {
		is = m.stateOf(p, c.New, c.Old)
		if m.renderer.err == nil && is == unsure {
			m.renderer.failed, m.renderer.err = p.stateNode(), failed("a large value that it needs was not sent and the row is gone")
		}
		if m.renderer.err != nil {
			m.letters(o, p, m.renderer.reason(p.Name))
			return
		}
	}
	rekeyed := c.Op == cdc.Update && keyChanged(p, c)
	// A key of the config may not be in the identity: then deletes are offered to nobody.
	if was == there && (is == gone || rekeyed) && (len(p.Key) == 0 || told(p.key, c.Relation.Columns, c.Relation.Identity)) {
		m.one(o, p, p.deleted, old, nil)
	}
	if is == gone {
		return
	}
	m.transfer = transfer{owned: ownedStill}
	if c.Op == cdc.Update {
		m.old, m.transfer = old, m.transferOf(p, c)
		if m.transfer.owned == ownedStill {
			m.told = old
		}
	}
	anew := m.transfer.owned == ownedAnew
	switch {
	case was == gone, rekeyed:
		if !m.one(o, p, p.created, c.New, c.Old) {
			return
		}
		if anew {
			m.namedOfTransfer(o, p, m.transfer)
		} else {
			m.named(o, p, true)
		}
	case anew:
		m.mapTransfer(o, p, m.transfer, was)
	default:
		// A row that may not have been one before has nothing to tell of it: it may have been nobody's business.
		m.updates = was == there
		update := changed(c, p.shown, p.ignored)
		if !update || m.one(o, p, p.updated, c.New, c.Old) {
			m.named(o, p, update)
		}
	}
}

// letGo keeps nothing of the batch.
func (m *Mapper) letGo() {
	m.old, m.told, m.was = nil, nil, nil
	clear(m.earlier)
	m.forget()
}

// stateNode is the condition to blame.
func (p *planned) stateNode() *node {
	if p.conditions.where != nil {
		return p.conditions.where
	}
	return p.conditions.deleteWhen
}

// named makes the resource's own events of a row that is there. Without an update one is made only where a column of its
// condition has changed.
func (m *Mapper) named(o *output, p *planned, update bool) {
	c := o.change
	for i := range p.conditions.events {
		e := &p.conditions.events[i]
		if !told(e.old, c.Relation.Columns, c.Relation.Identity) || !update && !changed(c, e.columns, nil) {
			continue
		}
		r := &m.renderer
		r.row, r.fallback, r.old, r.failed, r.err = c.New, c.Old, m.old, nil, nil
		holds, k := r.holds(&e.when)
		if r.err == nil && k != known {
			r.failed, r.err = &e.when, failed("a large value that it needs was not sent and the row is gone")
		}
		switch {
		case r.err != nil:
			reason := r.reason(p.Name)
			r.row, r.fallback = c.New, c.Old
			m.instance, _ = r.appendInstance(m.instance[:0], p.key)
			m.deadLetter(o, p, e.name, string(m.instance), reason).Undecided = true
			m.forget()
		case holds:
			m.one(o, p, e.name, c.New, c.Old)
		}
	}
}
