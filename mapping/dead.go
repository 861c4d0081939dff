package mapping

import (
	"github.com/rowhook/rowhook/cdc"
)

// knownMax bounds what is kept of a row that is gone, in bytes of its values.
const knownMax = 64 << 10

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
	default:
		// Whether the row has come to be an instance, or ceased to, is told by what it is when it is looked at again.
		l := m.deadLetter(o, p, p.updated, now, reason)
		l.Undecided, l.Known = true, knownOf(c)
	}
	m.forget()
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

// knownOf is what the log tells of the row before a change, unless it is large: then its key alone, as the instance has it.
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
	known, size := map[string]*string{}, 0
	for i, v := range row {
		if i >= len(c.Relation.Columns) {
			break
		}
		switch v.Kind {
		case cdc.Null:
			known[c.Relation.Columns[i].Name] = nil
		case cdc.Text:
			text := string(v.Data)
			known[c.Relation.Columns[i].Name] = &text
			size += len(text)
		}
	}
	if size > knownMax {
		return nil
	}
	return known
}
