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

// Preview is the data of the event for one row, given in the order of the compile-time table's columns. It may be called
// while Map runs.
func (m *Mapper) Preview(resource string, row cdc.Row) (json []byte, err error) {
	for _, c := range m.resources {
		if c.Name != resource {
			continue
		}
		if len(row) != len(c.table.Columns) {
			return nil, fmt.Errorf("row has %d values, table %s has %d columns", len(row), c.Table, len(c.table.Columns))
		}
		defer func() {
			if r := recover(); r != nil {
				json, err = nil, fmt.Errorf("preview %s: rowhook failed with a %T", resource, r)
			}
		}()
		// Bound anew: encoders and programs have one user at a time.
		e := newEvaluator()
		b, problems := c.bind(c.table.Columns, c.table.Key, m.tables, e)
		if err := problems.Err(); err != nil {
			return nil, err
		}
		r := renderer{evaluator: e, row: row}
		json = r.data(nil, &b.root)
		if r.err != nil {
			return nil, errors.New(r.reason(resource))
		}
		return json, nil
	}
	return nil, fmt.Errorf("there is no resource %q", resource)
}
