package mapping

import (
	"errors"
	"fmt"

	"github.com/rowhook/rowhook/cdc"
)

// ResourceInfo is a compiled resource, as far as a row of it can be asked for.
type ResourceInfo struct {
	Name string
	// Table is the table as it was when the Mapper was made.
	Table *cdc.Table
	// Key are the columns of the primary key, in its order: an Event's Instance is made of them.
	Key []string
}

// Resource is the named resource.
func (m *Mapper) Resource(name string) (ResourceInfo, bool) {
	for _, c := range m.resources {
		if c.Name == name {
			return ResourceInfo{Name: c.Name, Table: c.table, Key: c.keyNames()}, true
		}
	}
	return ResourceInfo{}, false
}

// Preview is an event that has nothing but the data of one row, given in the order of the compile-time table's columns. It
// is Incomplete where the row has relations; of a deleted one nothing is known of them. It may be called while Map runs,
// and so may the Completion of the event.
func (m *Mapper) Preview(resource string, op cdc.Op, row cdc.Row) (e *Event, err error) {
	for _, c := range m.resources {
		if c.Name != resource {
			continue
		}
		if len(row) != len(c.table.Columns) {
			return nil, fmt.Errorf("row has %d values, table %s has %d columns", len(row), c.Table, len(c.table.Columns))
		}
		defer func() {
			if r := recover(); r != nil {
				e, err = nil, fmt.Errorf("preview %s: rowhook failed with a %T", resource, r)
			}
		}()
		// Bound anew: encoders and programs have one user at a time.
		own := &Mapper{evaluator: newEvaluator()}
		own.renderer = renderer{evaluator: own.evaluator, row: row}
		b, problems := c.bind(c.table.Columns, c.table.Key, m.tables, own.evaluator)
		if err := problems.Err(); err != nil {
			return nil, err
		}
		e = &Event{Resource: resource}
		if len(b.links) > 0 && op != cdc.Delete {
			e.pending = own.pendingOf(&planned{compiled: c, bound: b}, op)
			return e, nil
		}
		e.Data = own.renderer.data(nil, &b.root)
		if own.renderer.err != nil {
			return nil, errors.New(own.renderer.reason(resource))
		}
		return e, nil
	}
	return nil, fmt.Errorf("there is no resource %q", resource)
}
