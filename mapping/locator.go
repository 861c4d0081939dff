package mapping

import (
	"sync"

	"github.com/rowhook/rowhook/cdc"
)

// Locator tells where instances are in the application's API, by their keys alone. It may be used by several goroutines at
// once.
type Locator struct {
	mu        sync.Mutex
	mapper    *Mapper
	resources map[string]*planned
}

// Locator returns one for the resources that have a path.
func (m *Mapper) Locator() *Locator {
	l := &Locator{mapper: &Mapper{evaluator: m.evaluator.another()}, resources: map[string]*planned{}}
	l.mapper.renderer = renderer{evaluator: l.mapper.evaluator}
	for _, c := range m.resources {
		if c.path == nil {
			continue
		}
		// Programs have one user at a time: these are the Locator's own.
		b, problems := c.bind(c.table.Columns, c.keyColumns, c.table.Key, m.tables, l.mapper.evaluator)
		if problems.Err() == nil {
			l.resources[c.Name] = &planned{compiled: c, bound: b}
		}
	}
	return l
}

// Path is the address of an instance under app.url and app.public_url, as Mapper.Path tells it of a row. It is empty where
// the key alone does not give it: the path needs other columns too, or there is none.
func (l *Locator) Path(resource, instance string) (path string) {
	if l == nil || instance == "" {
		return ""
	}
	p := l.resources[resource]
	if p == nil {
		return ""
	}
	values := SplitInstance(instance, len(p.keyColumns))
	if len(values) != len(p.keyColumns) {
		return ""
	}
	row := make(cdc.Row, len(p.table.Columns)) // the others are absent
	for i, k := range p.keyColumns {
		row[k] = cdc.Value{Kind: cdc.Text, Data: []byte(values[i])}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		if recover() != nil {
			path = "" // an expression of the config
		}
	}()
	l.mapper.renderer.row = row
	w := l.mapper.pendingOf(p, cdc.Update)
	w.locate()
	return w.address
}
