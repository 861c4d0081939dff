package mapping

import (
	"maps"

	"github.com/rowhook/rowhook/cdc"
)

// Unfit are the resources that do not fit their tables as they are now, by name, with the reason: their changes are dead
// letters. It may be called from any goroutine, and what it returns is not to be changed.
func (m *Mapper) Unfit() map[string]string {
	if u := m.unfit.Load(); u != nil {
		return *u
	}
	return nil
}

// fits notes whether a resource fits its table.
func (m *Mapper) fits(p *planned) {
	before := m.Unfit()
	if before[p.Name] == p.broken {
		return
	}
	after := maps.Clone(before)
	if after == nil {
		after = map[string]string{}
	}
	if after[p.Name] = p.broken; p.broken == "" {
		delete(after, p.Name)
	}
	m.unfit.Store(&after)
}

// Rebind takes a table as it is now, where the Mapper was compiled with what it was before: what does not fit any more is
// known before a change of it comes. Like Map it is for one goroutine at a time.
func (m *Mapper) Rebind(t *cdc.Table) {
	r := &cdc.Relation{OID: t.OID, Table: t.TableName, Identity: t.Identity}
	at := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		at[i] = -1
		if !c.Generated {
			at[i] = len(r.Columns)
			r.Columns = append(r.Columns, c)
		}
	}
	for _, k := range t.Key {
		if at[k] >= 0 {
			r.Key = append(r.Key, at[k])
		}
	}
	m.planOf(r)
	m.last, m.lastPlan = nil, nil
}
