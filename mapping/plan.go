package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/problem"
)

// plan is what becomes of the changes of one relation. It has no resources where the table is not mapped.
type plan struct {
	resources []planned
	// touches are the relations whose rows these are.
	touches []boundTouch
	// columns are those that the resources use, accounts those that their accounts use, each once.
	columns, accounts []int
	wanted            coalesce.Wanted
}

// planned is a resource for the columns of a relation.
type planned struct {
	// relation is what its columns are counted in; nil for rows that no stream described.
	relation *cdc.Relation
	*compiled
	*bound
	// broken says why the resource does not fit the relation; its changes are dead letters then.
	broken string
	// instance is the key, also where the rest does not fit; nil where it is not there.
	instance []int
	// by is the number of its key among those by which net changes are made; 0 is the relation's own.
	by int
}

// Columns are the indexes of the relation's columns that the mapping of its rows uses: key, account, conditions and
// representation, and those of the joins of relations that touch.
// The slice is shared and must not be changed. Like Map it is for one goroutine at a time.
func (m *Mapper) Columns(r *cdc.Relation) []int { return m.planOf(r).columns }

// AccountColumns are those of them that say whose a row is. The slice is shared and must not be changed. Like Map it is
// for one goroutine at a time.
func (m *Mapper) AccountColumns(r *cdc.Relation) []int { return m.planOf(r).accounts }

// Wanted says whether the relation's resources want net changes or each of them. Like Map it is for one goroutine at a time.
func (m *Mapper) Wanted(r *cdc.Relation) coalesce.Wanted { return m.planOf(r).wanted }

// Coalesces says whether a resource, or a relation that touches, wants net changes.
func (m *Mapper) Coalesces() bool { return m.coalesces }

// planOf is the plan for a relation. A table that changes under us comes as a new pointer and is bound anew, by name.
func (m *Mapper) planOf(r *cdc.Relation) *plan {
	if r == m.last {
		return m.lastPlan
	}
	p, ok := m.plans[r]
	if !ok {
		// Changes of the old definition never follow a new one, so its plan is of no use any more.
		maps.DeleteFunc(m.plans, func(old *cdc.Relation, _ *plan) bool { return old.OID == r.OID || old.Table == r.Table })
		p = m.bindRelation(r)
		if len(p.resources)+len(p.touches) > 0 {
			m.plans[r] = p
		}
	}
	m.last, m.lastPlan = r, p
	return p
}

func (m *Mapper) bindRelation(r *cdc.Relation) *plan {
	p := &plan{}
	for _, c := range m.byTable[r.Table] {
		p.resources = append(p.resources, m.bindResource(c, r))
	}
	if len(p.resources) == 0 {
		for _, c := range m.byOID[r.OID] {
			key, _ := relationKey(c, r)
			p.resources = append(p.resources, planned{compiled: c, instance: key, broken: fmt.Sprintf(
				"table %s is now called %s; name it so in the config, or rename it back", c.Table, r.Table)})
		}
	}
	for i := range p.resources {
		p.columns = p.resources[i].columnsOf(p.columns)
		if b := p.resources[i].bound; b != nil && b.account != nil {
			p.accounts = b.account.columnsOf(p.accounts)
		}
		p.want(&p.resources[i], r)
		p.resources[i].relation = r
		m.retarget(&p.resources[i], r)
		m.fits(&p.resources[i])
	}
	m.bindTouches(p, r)
	return p
}

// want adds what a resource wants of the relation's changes: net ones are those of its key.
func (p *plan) want(x *planned, r *cdc.Relation) {
	switch {
	case x.EachChange:
		p.wanted.Each = true
	case len(x.Key) == 0 || x.instance == nil || slices.Equal(x.instance, r.Key):
		p.wanted.Net = true
	default:
		if p.wanted.By == nil {
			p.wanted.By = &coalesce.Keys{}
		}
		keys := p.wanted.By
		at := slices.IndexFunc(*keys, func(key []int) bool { return slices.Equal(key, x.instance) })
		if at < 0 {
			at = len(*keys)
			*keys = append(*keys, x.instance)
		}
		x.by = at + 1
	}
}

func (m *Mapper) bindResource(c *compiled, r *cdc.Relation) planned {
	key, ok := relationKey(c, r)
	if !ok {
		return planned{compiled: c, broken: fmt.Sprintf("table %s has no longer the key %s", r.Table, list(c.keyNames()))}
	}
	primary := key
	if len(c.Key) > 0 {
		primary = columnsNamed(r, namesOf(c.table, c.table.Key))
	}
	if c.bound.serves(c.table, r, key) {
		return planned{compiled: c, bound: c.bound, instance: key}
	}
	b, problems := c.bind(r.Columns, key, primary, m.tables, m.evaluator)
	if len(problems) > 0 {
		return planned{compiled: c, broken: reasonOf(problems), instance: key}
	}
	return planned{compiled: c, bound: b, instance: key}
}

// columnsOf are the columns that the resource uses, each once; none where it does not fit.
func (p *planned) columnsOf(into []int) []int {
	if p.bound == nil {
		return into
	}
	into = p.root.columnsOf(into)
	if p.usesAPI {
		into = p.path.columnsOf(into)
	}
	if p.bound.account != nil {
		into = p.bound.account.columnsOf(into)
	}
	into = p.conditions.columnsOf(into)
	for _, k := range p.key {
		if !slices.Contains(into, k) {
			into = append(into, k)
		}
	}
	return into
}

// relationKey finds the key by its columns' names: an instance keeps its name while these are there, whatever becomes
// of the constraint. Renamed columns are found by the relation's own key.
func relationKey(c *compiled, r *cdc.Relation) ([]int, bool) {
	if key := columnsNamed(r, c.keyNames()); key != nil || len(c.Key) > 0 {
		return key, key != nil
	}
	return r.Key, len(r.Key) == len(c.keyColumns)
}

// columnsNamed are the columns of the names, nil where one is not there.
func columnsNamed(r *cdc.Relation, names []string) []int {
	columns := make([]int, 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(r.Columns, func(c cdc.Column) bool { return c.Name == name })
		if i < 0 {
			return nil
		}
		columns = append(columns, i)
	}
	return columns
}

// Unfit begins the reason why a mapping does not fit its table any more.
const Unfit = "the mapping does not fit the table any more: "

// reasonOf tells problems in one line.
func reasonOf(problems problem.List) string {
	const limit = 3
	var parts []string
	for i, p := range problems {
		if i == limit {
			parts = append(parts, fmt.Sprintf("and %d more", len(problems)-limit))
			break
		}
		p.Column = 0
		p.Hint = ""
		parts = append(parts, p.Error())
	}
	return Unfit + strings.Join(parts, "; ")
}
