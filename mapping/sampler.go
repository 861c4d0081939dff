package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/rowhook/rowhook/cdc"
)

// Sampler makes events of rows as they are, to show what the events of a type look like. It is for one goroutine at a time.
type Sampler struct {
	own   *Mapper
	p     *planned
	event string
}

// Sampler makes events of the type. It may be called while Map runs, and what it returns used so.
func (m *Mapper) Sampler(event string) (*Sampler, error) {
	c := m.resourceOf(event)
	if c == nil {
		return nil, fmt.Errorf("there is no event %q", event)
	}
	own := &Mapper{evaluator: m.evaluator.another()}
	own.renderer.evaluator = own.evaluator
	b, problems := c.bind(c.table.Columns, c.keyColumns, c.table.Key, m.tables, own.evaluator)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &Sampler{own: own, p: &planned{compiled: c, bound: b}, event: event}, nil
}

// Table is the table as it was when the Mapper was made: rows have its columns, in their order.
func (s *Sampler) Table() *cdc.Table { return s.p.table }

// Key are the columns that name a row.
func (s *Sampler) Key() []int { return s.p.keyColumns }

// AccountColumn is the column that says whose a row is. It is false where there is none, or an expression says so.
func (s *Sampler) AccountColumn() (int, bool) {
	if n := s.p.bound.account; n != nil && n.kind == nodeColumn {
		return n.column, true
	}
	return 0, false
}

// Event is the event of a row, without time, position and id; of a delete, with what the log would tell. It is nil where the
// row is no instance, or where it has no such event: neither where, delete_when nor the event's condition are passed by, as far
// as they ask for the row as it is. The error never holds values.
func (s *Sampler) Event(row cdc.Row) (e *Event, err error) {
	if len(row) != len(s.p.table.Columns) {
		return nil, fmt.Errorf("row has %d values, table %s has %d columns", len(row), s.p.Table, len(s.p.table.Columns))
	}
	defer func() {
		if r := recover(); r != nil {
			e, err = nil, errors.New(panicked(r))
		}
	}()
	r := &s.own.renderer
	is := s.own.stateOf(s.p, row, nil) == there
	if r.err == nil && is {
		is = s.happens(row)
	}
	if r.err != nil {
		return nil, errors.New(r.reason(s.p.Name))
	}
	if !is {
		return nil, nil
	}
	return s.make(row)
}

// happens says whether the condition of an event of the resource's own holds, where it asks for the row as it is alone.
func (s *Sampler) happens(row cdc.Row) bool {
	for i := range s.p.conditions.events {
		if e := &s.p.conditions.events[i]; e.name == s.event && len(e.old) == 0 {
			r := &s.own.renderer
			r.row, r.fallback, r.old = row, nil, nil
			holds, k := r.holds(&e.when)
			return holds && k == known
		}
	}
	return true
}

func (s *Sampler) make(row cdc.Row) (*Event, error) {
	p, r := s.p, &s.own.renderer
	e := &Event{Type: s.event, Resource: p.Name}
	r.row, r.fallback, r.old, r.partial = row, nil, nil, nil
	instance, whole := r.appendInstance(nil, p.key)
	if !whole {
		return nil, nil
	}
	e.Instance = string(instance)
	if p.bound.account != nil {
		if account, known := r.appendAccount(nil, p.bound.account); known {
			e.Account, e.Accounted = string(account), true
		}
	}
	op := cdc.Update
	if s.event == p.deleted {
		op = cdc.Delete
		r.row = s.told(row)
	}
	if (len(p.links) > 0 || p.usesAPI) && op != cdc.Delete {
		e.pending = s.own.pendingOf(p, op)
	} else if r.err == nil {
		e.Data = bytes.Clone(r.data(nil, &p.root))
	}
	if r.err != nil {
		return nil, errors.New(r.reason(p.Name))
	}
	return e, nil
}

// told is what the log tells of a row that is gone.
func (s *Sampler) told(row cdc.Row) cdc.Row {
	if s.p.table.Identity == cdc.IdentityFull {
		return row
	}
	out := slices.Clone(row)
	for i, c := range s.p.table.Columns {
		if !c.Identity {
			out[i] = cdc.Value{}
		}
	}
	return out
}
