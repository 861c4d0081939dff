package mapping

import (
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
)

// Target is a resource that changes of related rows update. It is shared; Rows is for the Mapper's goroutine.
type Target struct {
	compiled *compiled
	// Roots says how its rows are found from below.
	Roots *cdc.Roots
	rows  *TargetRows
}

// TargetRows says what is read of a target's rows, and what becomes of them. It is never changed: a table that changes has
// new ones.
type TargetRows struct {
	target *Target
	// Lookup reads rows by what names them; nil where Broken says why they cannot be mapped.
	Lookup  *cdc.Lookup
	Broken  string
	planned *planned
	// used are the columns that Lookup reads, of width.
	used  []int
	width int
}

// Resource is the resource's name, Event that of the event that a touch makes.
func (t *Target) Resource() string { return t.compiled.Name }

// Event is the type of the event that a touch makes: contact.update.
func (t *Target) Event() string { return t.compiled.updated }

// Rows are those of the newest definition of the table that is known.
func (t *Target) Rows() *TargetRows { return t.rows }

// Instance is the instance's name by its key.
func (t *Target) Instance(key [][]byte) string {
	r := renderer{row: make(cdc.Row, len(key))}
	columns := make([]int, len(key))
	for i, v := range key {
		r.row[i], columns[i] = cdc.Value{Kind: cdc.Text, Data: v}, i
	}
	name, _ := r.appendInstance(nil, columns)
	return string(name)
}

// rowsOf says what is read for a plan over the columns.
func (t *Target) rowsOf(p *planned, columns []cdc.Column) *TargetRows {
	rows := &TargetRows{target: t, planned: p, Broken: p.broken, width: len(columns)}
	if p.broken != "" {
		return rows
	}
	rows.used = p.columnsOf(nil)
	slices.Sort(rows.used)
	l := &cdc.Lookup{Name: t.compiled.Name, Table: t.compiled.Table, Max: 1, First: true}
	for _, i := range rows.used {
		l.Columns = append(l.Columns, columns[i])
	}
	for _, i := range p.key {
		l.Match = append(l.Match, cdc.LookupColumn{Column: columns[i], Type: columns[i].Type})
	}
	if rows.Lookup = l; t.rows != nil && t.rows.Lookup != nil && sameLookup(t.rows.Lookup, l) {
		rows.Lookup = t.rows.Lookup // its statement is prepared
	}
	return rows
}

// sameLookup says whether two lookups of a table have the same statement.
func sameLookup(a, b *cdc.Lookup) bool {
	same := func(x, y cdc.Column) bool { return x.Name == y.Name && x.Type.OID == y.Type.OID }
	return slices.EqualFunc(a.Columns, b.Columns, same) &&
		slices.EqualFunc(a.Match, b.Match, func(x, y cdc.LookupColumn) bool { return same(x.Column, y.Column) })
}

// IsTouched says whether related rows can make updates of a resource. It may be called from any goroutine.
func (m *Mapper) IsTouched(resource string) bool {
	return slices.ContainsFunc(m.targets, func(t *Target) bool { return t.compiled.Name == resource })
}

// retarget takes over what a resource's table is by now.
func (m *Mapper) retarget(p *planned, r *cdc.Relation) {
	for _, t := range m.targets {
		if t.compiled == p.compiled {
			t.rows = t.rowsOf(p, r.Columns)
		}
	}
}

// TouchedFrom is the first sub-position of events that touches make: behind all that the change itself made, whose number
// another config may change.
const TouchedFrom = 1 << 31

// TouchAt is where a touch stands: at the last change of a block.
type TouchAt struct {
	Epoch          uint32
	Tx             *cdc.Tx
	Ordinal, Block uint32
	// Cut is that of the block's Places.
	Cut uint32
	Sub uint32
}

// Position is that of the event.
func (at *TouchAt) Position() cdc.Position {
	return cdc.Position{Epoch: at.Epoch, Commit: at.Tx.Commit, Ordinal: at.Ordinal, Sub: at.Sub}
}

// DeadLetter is a touch that makes no event: instance is empty where it is not known whose it is.
func (at *TouchAt) DeadLetter(t *Target, instance, reason string) DeadLetter {
	return DeadLetter{Resource: t.Resource(), Type: t.Event(), Op: cdc.Update, Instance: instance, Position: at.Position(), Time: at.Tx.Time.UTC(), Reason: reason}
}

// TouchedID is the id of the event that MapTouched makes.
func (m *Mapper) TouchedID(t *Target, at *TouchAt, instance string) string {
	return m.ids.netID(at.Tx, at.Block, coalesce.Place{Cut: at.Cut}, t.Event(), instance)
}

// MapTouched appends the update of an instance whose related rows have changed, or the dead letter that it makes; neither
// where the row is no instance. The row is as it was read by the Lookup, and the event's from then on. Nothing is known of
// what the row was before, so there is no Previous, and events of the resource's own are not made: the row has not changed.
// Like Map it is for one goroutine at a time.
func (m *Mapper) MapTouched(dst []*Event, dead []DeadLetter, rows *TargetRows, at *TouchAt, row cdc.Row) ([]*Event, []DeadLetter) {
	p := rows.planned
	whole := make(cdc.Row, rows.width)
	for n, i := range rows.used {
		whole[i] = row[n]
	}
	change := &cdc.Change{Op: cdc.Update, Tx: at.Tx, Ordinal: at.Ordinal, Block: at.Block, New: whole}
	out := &output{events: dst, dead: dead, change: change, place: coalesce.Place{Only: coalesce.Net, Cut: at.Cut}, position: at.Position(), touched: true}
	defer m.letGo()
	func() {
		defer func() {
			if r := recover(); r != nil {
				m.deadLetter(out, p, p.updated, "", panicked(r))
			}
		}()
		m.old, m.told, m.updates = nil, nil, false
		switch is := m.stateOf(p, whole, nil); {
		case m.renderer.err != nil:
			m.letters(out, p, m.renderer.reason(p.Name))
		case is == there:
			m.one(out, p, p.updated, whole, nil)
		}
	}()
	return out.events, out.dead
}

// IsOwn says whether an event tells what an instance that can be touched is after the transaction, or that it is gone: then
// a touch has nothing to add.
func (m *Mapper) IsOwn(ev *Event) bool {
	for _, t := range m.targets {
		if c := t.compiled; c.Name == ev.Resource {
			return ev.Type == c.created || ev.Type == c.updated || ev.Type == c.deleted
		}
	}
	return false
}
