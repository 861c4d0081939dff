package mapping

import (
	"slices"

	"github.com/rowhook/rowhook/cdc"
)

// knownMax bounds what is kept of a row that is gone, in bytes of its values.
const knownMax = 64 << 10

// knownSmall is the largest value that is kept of a row that is larger.
const knownSmall = 1 << 10

// letters makes the dead letters of a change of which it is not known what it is to the resource: as many as it has
// instances, so that each can be told when that is known.
func (m *Mapper) letters(o *output, p *planned, reason string) {
	c := o.change
	if c.Op == cdc.Truncate {
		m.deadLetter(o, p, p.truncated, "", reason)
		return
	}
	old := m.keyOf(p, c.Old, c.New)
	now := m.keyOf(p, c.New, c.Old)
	switch {
	case c.Op == cdc.Delete:
		m.deadLetter(o, p, p.deleted, old, reason).Undecided = true
	case c.Op == cdc.Insert:
		m.deadLetter(o, p, p.created, now, reason)
	case old != now && old != "" && now != "":
		m.deadLetter(o, p, p.deleted, old, reason).Undecided = true
		m.deadLetter(o, p, p.created, now, reason)
	case now != "" && m.lettersOfTransfer(o, p, now, reason):
	default:
		// Whether the row has come to be an instance, or ceased to, is told by what it is when it is looked at again.
		l := m.deadLetter(o, p, p.updated, now, reason)
		l.Undecided, l.Known = true, knownOf(c)
	}
	m.forget()
}

// lettersOfTransfer makes those of an update that gives the row to another account, and says whether it does.
func (m *Mapper) lettersOfTransfer(o *output, p *planned, instance, reason string) bool {
	var t transfer
	known := p.broken == ""
	if known {
		t = m.transferOf(p, o.change)
	} else {
		// Whose it was and is can be told by the config that mends it.
		t.owned = p.accountMoved(o.change)
	}
	if t.owned != ownedAnew {
		return false
	}
	defer func() { m.audience = ToAll }()
	if m.audience, m.owner = ToAccount, t.from; !known || t.from != "" {
		m.deadLetter(o, p, p.deleted, instance, reason).Undecided = true
	}
	if m.owner = t.to; !known || t.to != "" {
		m.deadLetter(o, p, p.created, instance, reason)
	}
	m.audience = ToAdmin
	l := m.deadLetter(o, p, p.updated, instance, reason)
	l.Undecided, l.Known = true, knownOf(o.change)
	return true
}

// accountMoved says whether a column of the account, by the names that these had at compile time, has changed.
func (p *planned) accountMoved(c *cdc.Change) owned {
	b := p.compiled.bound
	if b == nil || b.account == nil {
		return ownedStill
	}
	var columns []int
	for _, i := range b.conditions.accountColumns {
		at := slices.IndexFunc(c.Relation.Columns, func(of cdc.Column) bool { return of.Name == p.table.Columns[i].Name })
		if at < 0 {
			return ownedUnknown
		}
		columns = append(columns, at)
	}
	return sameColumns(c, columns)
}

// keyOf is the instance of a row, each value of its key taken from the first image that tells it; empty where none does.
func (m *Mapper) keyOf(p *planned, row, otherwise cdc.Row) string {
	if len(p.instance) == 0 {
		return ""
	}
	r := &m.renderer
	r.row, r.fallback = row, otherwise
	if len(row) == 0 {
		r.row, r.fallback = otherwise, nil
	}
	key, whole := r.appendInstance(m.instance[:0], p.instance)
	if m.instance = key; !whole {
		return ""
	}
	return string(key)
}

// knownOf is what the log tells of the row before a change. Of a large one what is small is kept: it says whose the row was.
func knownOf(c *cdc.Change) map[string]*string {
	row := c.Old
	if len(row) == 0 {
		row = nil
		for i, v := range c.New {
			if i < len(c.Relation.Columns) && c.Relation.Columns[i].Identity {
				row = append(row, v)
			} else {
				row = append(row, cdc.Value{})
			}
		}
	}
	known, sizes := map[string]*string{}, 0
	for i, v := range row {
		if i >= len(c.Relation.Columns) {
			break
		}
		switch v.Kind {
		case cdc.Null:
			known[c.Relation.Columns[i].Name] = nil
		case cdc.Text:
			sizes += len(v.Data)
		}
	}
	size := 0
	for i, v := range row[:min(len(row), len(c.Relation.Columns))] {
		if v.Kind != cdc.Text || sizes > knownMax && (len(v.Data) > knownSmall || size+len(v.Data) > knownMax) {
			continue
		}
		text := string(v.Data)
		known[c.Relation.Columns[i].Name] = &text
		size += len(text)
	}
	return known
}
