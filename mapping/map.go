package mapping

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
)

// Map appends the events of a change that is alone in its block to dst, and what could not be mapped to dead. It never
// fails and never panics. Nothing of the change is kept: the events hold copies.
func (m *Mapper) Map(dst []*Event, dead []DeadLetter, epoch uint32, c *cdc.Change) ([]*Event, []DeadLetter) {
	return m.MapPlaced(dst, dead, epoch, c, coalesce.Place{}, 0)
}

// MapPlaced is Map of a change of a block, which is for the resources that want it so. The first event, or dead letter,
// gets the sub-position sub, and each one after it the next.
func (m *Mapper) MapPlaced(dst []*Event, dead []DeadLetter, epoch uint32, c *cdc.Change, p coalesce.Place, sub uint32) ([]*Event, []DeadLetter) {
	if c == nil || c.Relation == nil || c.Tx == nil || c.Op == cdc.Message {
		return dst, dead
	}
	out := output{events: dst, dead: dead, change: c, place: p,
		position: cdc.Position{Epoch: epoch, Commit: c.Tx.Commit, Ordinal: c.Ordinal, Sub: sub}}
	resources := m.planOf(c.Relation).resources
	for i := range resources {
		r := &resources[i]
		if p.Only == coalesce.Both || r.EachChange && p.Only == coalesce.Each || !r.EachChange && p.Only == coalesce.Net && r.by == p.By {
			m.mapResource(&out, r)
		}
	}
	return out.events, out.dead
}

// output takes the events of one change. Every event and every dead letter gets a position of its own, so that a dead
// letter moves nothing that comes after it.
type output struct {
	events   []*Event
	dead     []DeadLetter
	change   *cdc.Change
	place    coalesce.Place
	position cdc.Position
	// touched says that the change is of a related row, and so the id is always that of a net change.
	touched bool
}

func (o *output) event(e *Event) {
	e.Position = o.position
	o.position.Sub++
	o.events = append(o.events, e)
}

// deadLetter makes the dead letter of an event. Its instance may be empty, where it is not known.
func (m *Mapper) deadLetter(o *output, p *planned, event, instance, reason string) *DeadLetter {
	l := DeadLetter{Resource: p.Name, Op: o.change.Op, Instance: instance, Position: o.position, Time: o.change.Tx.Time.UTC(), Reason: reason,
		EventID: m.eventID(o, p, event, instance), Type: event, Audience: m.audience}
	if m.audience == ToAccount {
		l.Account = m.owner
	}
	if instance != "" {
		l.Key = p.keyNames()
	}
	if event == p.deleted {
		l.Known = knownOf(o.change)
	}
	o.dead = append(o.dead, l)
	o.position.Sub++
	return &o.dead[len(o.dead)-1]
}

// eventID is the id of an event of the change.
func (m *Mapper) eventID(o *output, p *planned, event, instance string) string {
	if m.audience == ToAccount && event != p.created && event != p.deleted {
		event += " of the account" // the admin gets one with other content
	}
	if p.EachChange && !o.touched {
		return m.ids.id(o.change.Tx, o.change.Ordinal, event, instance)
	}
	return m.ids.netID(o.change.Tx, o.change.Block, o.place, event, instance)
}

// panicked tells of a panic. What it says may quote the row.
func panicked(v any) string { return fmt.Sprintf("rowhook failed with a %T; please report it", v) }

// mapResource makes a resource's events of the change.
func (m *Mapper) mapResource(o *output, p *planned) {
	defer func() {
		if r := recover(); r != nil {
			m.letters(o, p, panicked(r))
		}
	}()
	c := o.change
	if c.Op == cdc.Truncate {
		// It needs no column, so it is told even where the mapping does not fit.
		o.event(&Event{
			ID: m.ids.id(c.Tx, c.Ordinal, p.truncated, ""), Type: p.truncated, Resource: p.Name,
			Time: c.Tx.Time.UTC(), Data: []byte("null"),
		})
		return
	}
	if p.broken != "" {
		m.letters(o, p, p.broken)
		return
	}
	switch c.Op {
	case cdc.Insert, cdc.Update, cdc.Delete:
		m.mapRow(o, p)
	}
}

// keyChanged says whether an update moved the row to another key. An old row that is there does not mean so: it comes
// with every toasted identity column too.
func keyChanged(p *planned, c *cdc.Change) bool {
	changed := false
	for _, k := range p.key {
		if k >= len(c.Old) || k >= len(c.New) || c.Old[k].Kind != cdc.Text {
			return false
		}
		if c.New[k].Kind == cdc.Text && !bytes.Equal(c.New[k].Data, c.Old[k].Data) {
			changed = true
		}
	}
	return changed
}

// one makes one event of a row, or a dead letter, and says whether it is an event.
func (m *Mapper) one(o *output, p *planned, event string, row, fallback cdc.Row) bool {
	r := &m.renderer
	r.row, r.fallback, r.old, r.partial, r.failed, r.err = row, fallback, m.told, nil, nil, nil
	defer m.forget()
	var whole bool
	m.instance, whole = r.appendInstance(m.instance[:0], p.key)
	instance := string(m.instance)
	if !whole {
		m.deadLetter(o, p, event, "", fmt.Sprintf("the change does not carry the key %s of %s: it is not in the replica identity",
			list(p.keyNames()), p.Table))
		return false
	}
	// Of the rows that a deleted one had, and of what the application said of it, nothing is known any more.
	later := (len(p.links) > 0 || p.usesAPI) && event != p.deleted
	m.buf = m.buf[:0]
	if !later {
		m.buf = r.data(m.buf, &p.root)
	}
	if r.err != nil {
		m.deadLetter(o, p, event, instance, r.reason(p.Name))
		return false
	}
	e := &Event{Type: event, Resource: p.Name, Instance: instance, Time: o.change.Tx.Time.UTC(), Audience: m.audience}
	if len(r.partial) > 0 {
		e.Partial = r.partial
	}
	size := len(m.buf)
	if p.bound.account != nil && m.audience != ToAdmin {
		var known bool
		m.buf, known = r.appendAccount(m.buf, p.bound.account)
		if r.err != nil {
			m.deadLetter(o, p, event, instance, r.reason(p.Name))
			return false
		}
		if account := m.buf[size:]; known {
			if bytes.IndexByte(account, 0) >= 0 || !utf8.Valid(account) {
				m.deadLetter(o, p, event, instance, "the account is not a text that can be stored: it holds a zero byte, or bytes that are not UTF-8")
				return false
			}
			// Changes of one account often come together.
			if m.account != string(account) {
				m.account = string(account)
			}
			e.Account, e.Accounted = m.account, true
		}
	}
	if later {
		e.pending = m.pendingOf(p, o.change.Op)
	} else {
		e.Data = bytes.Clone(m.buf[:size])
	}
	if m.previous && m.updates {
		if !m.compared {
			m.was, m.compared = m.previousOf(p), true
		}
		e.Previous = m.was
	}
	e.ID = m.eventID(o, p, event, instance)
	o.event(e)
	return true
}

// keptBuffer is the largest buffer that is kept for the next row: one large row must not cost its size for ever.
const keptBuffer = 1 << 20

// forget lets go of the batch and of large buffers.
func (m *Mapper) forget() {
	r := &m.renderer
	r.row, r.fallback, r.old, r.partial = nil, nil, nil, nil
	if cap(m.buf) > keptBuffer {
		m.buf = nil
	}
	if cap(r.text) > keptBuffer {
		r.text = nil
	}
}
