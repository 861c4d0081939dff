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
	// Key are the columns that name a row, in their order: an Event's Instance is made of them.
	Key []string
	// Path is the config's, with its ${…}; empty where there is none.
	Path string
	// FromAPI are the paths of the representation's leaves that come of the application's own answer.
	FromAPI []string
}

// Resource is the named resource.
func (m *Mapper) Resource(name string) (ResourceInfo, bool) {
	for _, c := range m.resources {
		if c.Name == name {
			info := ResourceInfo{Name: c.Name, Table: c.table, Key: c.keyNames(), FromAPI: c.bound.root.apiPaths(nil)}
			if c.Path != nil {
				info.Path = c.Path.Text
			}
			return info, true
		}
	}
	return ResourceInfo{}, false
}

// Preview is an event that has nothing but the data of one row, given in the order of the compile-time table's columns. It
// is Incomplete where the row has relations, or parts of the application's answer; of a deleted one nothing is known of
// them. It may be called while Map runs, and so may the Completion of the event.
func (m *Mapper) Preview(resource string, op cdc.Op, row cdc.Row) (e *Event, err error) {
	err = m.apart(resource, row, func(own *Mapper, p *planned) error {
		e = &Event{Resource: resource}
		if (len(p.links) > 0 || p.usesAPI) && op != cdc.Delete {
			e.pending = own.pendingOf(p, op)
			return nil
		}
		e.Data = own.renderer.data(nil, &p.root)
		if own.renderer.err != nil {
			return errors.New(own.renderer.reason(resource))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Path is the address of a row's instance under app.url. It is empty where the row gives none: a value of it is null.
func (m *Mapper) Path(resource string, row cdc.Row) (path string, err error) {
	err = m.apart(resource, row, func(own *Mapper, p *planned) error {
		if p.path == nil {
			return fmt.Errorf("resource %s has no path", resource)
		}
		w := own.pendingOf(p, cdc.Update)
		w.locate()
		path = w.address
		if w.broken != "" {
			return errors.New(w.broken)
		}
		return nil
	})
	return path, err
}

// IsInstance says whether a row is one of the resource: where holds for it, and delete_when does not.
func (m *Mapper) IsInstance(resource string, row cdc.Row) (is bool, err error) {
	err = m.apart(resource, row, func(own *Mapper, p *planned) error {
		is = own.stateOf(p, row, nil) == there
		if own.renderer.err != nil {
			return errors.New(own.renderer.reason(resource))
		}
		return nil
	})
	return is, err
}

// apart calls f for a row, with a Mapper of its own: encoders and programs have one user at a time.
func (m *Mapper) apart(resource string, row cdc.Row, f func(own *Mapper, p *planned) error) (err error) {
	for _, c := range m.resources {
		if c.Name != resource {
			continue
		}
		if len(row) != len(c.table.Columns) {
			return fmt.Errorf("row has %d values, table %s has %d columns", len(row), c.Table, len(c.table.Columns))
		}
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("preview %s: rowhook failed with a %T", resource, r)
			}
		}()
		own := &Mapper{evaluator: m.evaluator.another()}
		own.renderer = renderer{evaluator: own.evaluator, row: row}
		b, problems := c.bind(c.table.Columns, c.keyColumns, c.table.Key, m.tables, own.evaluator)
		if err := problems.Err(); err != nil {
			return err
		}
		return f(own, &planned{compiled: c, bound: b})
	}
	return fmt.Errorf("there is no resource %q", resource)
}
