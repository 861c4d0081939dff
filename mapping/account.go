package mapping

import (
	"bytes"
	"slices"

	"github.com/rowhook/rowhook/cdc"
)

// Audience says which subscriptions an event is for.
type Audience uint8

const (
	// ToAll are the subscriptions of the event's account and the admin's, as far as there is an account.
	ToAll Audience = iota
	// ToAccount are those of the event's account alone.
	ToAccount
	// ToAdmin are the admin's alone. Such an event has no account, so that whoever looks at the account only shows it to
	// nobody else.
	ToAdmin
)

// String is what the audience is called in messages.
func (a Audience) String() string {
	switch a {
	case ToAccount:
		return "account"
	case ToAdmin:
		return "admin"
	}
	return "all"
}

// owned says what an update does to whose a row is.
type owned uint8

const (
	// ownedUnknown is what the log does not tell.
	ownedUnknown owned = iota
	ownedStill
	ownedAnew
)

// transfer is what an update does to whose a row is. The accounts are told where it is ownedAnew; the empty text is nobody.
type transfer struct {
	owned    owned
	from, to string
}

// transferOf compares the account before and after an update. A row of a resource without accounts is the admin's before
// and after. Where the account cannot be made of one of the rows it is not known.
func (m *Mapper) transferOf(p *planned, c *cdc.Change) transfer {
	n := p.bound.account
	if n == nil {
		return transfer{owned: ownedStill}
	}
	if owned := sameColumns(c, p.accountColumns); owned != ownedAnew {
		return transfer{owned: owned}
	}
	var texts [2]string
	r := &m.renderer
	for i, row := range [2]cdc.Row{c.Old, c.New} {
		r.row, r.fallback, r.old, r.failed, r.err = row, nil, nil, nil, nil
		if i == 1 {
			r.fallback = c.Old
		}
		text, k := r.accountText(m.buf[:0], n)
		m.buf = text
		failed := r.err != nil
		r.failed, r.err = nil, nil
		if failed || k != known {
			return transfer{}
		}
		texts[i] = string(text)
	}
	if texts[0] == texts[1] {
		return transfer{owned: ownedStill}
	}
	return transfer{ownedAnew, texts[0], texts[1]}
}

// sameColumns compares the columns before and after an update: ownedAnew where one has changed, and so the account may
// have.
func sameColumns(c *cdc.Change, columns []int) owned {
	same := ownedStill
	for _, i := range columns {
		if i >= len(c.New) {
			return ownedUnknown
		}
		now := c.New[i]
		switch {
		case len(c.Old) == 0 && i < len(c.Relation.Columns) && c.Relation.Columns[i].Identity:
			// What is in the identity and was not sent has not changed.
		case i >= len(c.Old) || c.Old[i].Kind != cdc.Text && c.Old[i].Kind != cdc.Null:
			return ownedUnknown
		case now.Kind == cdc.Unchanged:
		case now.Kind != c.Old[i].Kind || !bytes.Equal(now.Data, c.Old[i].Data):
			same = ownedAnew
		}
	}
	return same
}

// mapTransfer makes the events of an update that gives an instance to another account: for the one it goes, for the other
// it comes, and the admin sees one that has changed. Nothing that the one gets is made of the row as the other had it.
func (m *Mapper) mapTransfer(o *output, p *planned, t transfer, was state) {
	c, old := o.change, m.old
	defer func() { m.audience = ToAll }()
	if was == there && t.from != "" && m.hasKey(p, old) {
		m.audience, m.owner, m.old, m.told, m.updates = ToAccount, t.from, nil, nil, false
		m.one(o, p, p.deleted, old, nil)
	}
	if t.to != "" {
		m.audience, m.owner, m.old, m.told, m.updates = ToAccount, t.to, nil, nil, false
		if m.one(o, p, p.created, c.New, c.Old) {
			m.named(o, p, true)
		}
	}
	// Where that fails, so may this: each has a dead letter of its own.
	m.audience, m.old, m.told, m.updates = ToAdmin, old, old, was == there
	update := changed(c, p.shown, p.ignored)
	if !update || m.one(o, p, p.updated, c.New, c.Old) {
		m.named(o, p, update)
	}
}

// namedOfTransfer makes the resource's own events of a row that another account had, and that is created: for its account
// there was no row before.
func (m *Mapper) namedOfTransfer(o *output, p *planned, t transfer) {
	old := m.old
	defer func() { m.audience = ToAll }()
	if t.to != "" {
		m.audience, m.owner, m.old, m.told = ToAccount, t.to, nil, nil
		m.named(o, p, true)
	}
	m.audience, m.old, m.told = ToAdmin, old, old
	m.named(o, p, true)
}

// ownerLink finds a row by its key, to see whose it is when the rows of its relations are read: these may be another
// account's by then, as the row itself.
func (r *resource) ownerLink(columns []cdc.Column, b *bound) *link {
	if b.account == nil || len(b.links) == 0 || len(b.key) == 0 {
		return nil
	}
	l := &link{relation: &relation{path: r.Name}, ours: b.key, lookup: &cdc.Lookup{Name: r.Name, Table: r.Table, Max: 1, First: true}}
	for _, i := range b.key {
		l.lookup.Match = append(l.lookup.Match, cdc.LookupColumn{Column: columns[i], Type: columns[i].Type})
	}
	for _, i := range b.accountColumns {
		l.lookup.Columns = append(l.lookup.Columns, columns[i])
	}
	return l
}

// OwnTables are the resources' own tables whose rows are read where events need more than the log tells: to see whose a row is
// by the time its relations are read, and what a touched one is. Each once, in the order of the file.
func (m *Mapper) OwnTables() (tables []cdc.TableName) {
	for _, c := range m.resources {
		if (c.bound.owner != nil || len(c.bound.touches) > 0) && !slices.Contains(tables, c.Table) {
			tables = append(tables, c.Table)
		}
	}
	return tables
}

// moved says whether the row of an event of an account has another one by now. One that is gone has none.
func (c *Completion) moved(e *Event) bool {
	w := e.pending
	l := w.planned.owner
	if l == nil || !e.Accounted {
		return false
	}
	if reason := c.failed[l.lookup]; reason != "" {
		c.broken = reason
		return false
	}
	r := renderer{row: w.row, fallback: w.fallback}
	key, k := c.keyOf(&r, l)
	a := c.answers[l]
	if k != known || a == nil {
		return false
	}
	n, asked := a.keys[string(key)]
	if !asked || len(a.rows[n]) == 0 {
		return false
	}
	for at, i := range w.planned.accountColumns {
		was, is := r.value(i), a.rows[n][0][at]
		if told := was.Kind == cdc.Text || was.Kind == cdc.Null; told && (was.Kind != is.Kind || !bytes.Equal(was.Data, is.Data)) {
			return true
		}
	}
	return false
}

// hasKey says whether the row tells its whole key.
func (m *Mapper) hasKey(p *planned, row cdc.Row) bool {
	for _, k := range p.key {
		if k >= len(row) || row[k].Kind != cdc.Text {
			return false
		}
	}
	return true
}

// accountText appends the account as text: empty for none.
func (r *renderer) accountText(dst []byte, n *node) ([]byte, knowledge) {
	start, partial := len(dst), len(r.partial)
	dst, k := r.render(dst, n)
	r.partial = r.partial[:partial]
	if r.err != nil || k != known {
		return dst[:start], k
	}
	value := dst[start:]
	if len(value) > 0 && (value[0] == '[' || value[0] == '{') {
		r.failed, r.err = n, failed("the account is a list or an object, not one value")
		return dst[:start], k
	}
	text := textOfJSON(value)
	return append(dst[:start], text...), k
}

// appendAccount appends the account as text, and says whether there is one. The empty text is none: no token and no
// subscription may match it by being empty too.
func (r *renderer) appendAccount(dst []byte, n *node) ([]byte, bool) {
	start := len(dst)
	dst, k := r.accountText(dst, n)
	return dst, r.err == nil && k == known && len(dst) > start
}
