package app

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
)

// compile compiles the mapping against the tables. A table that was changed so that the mapping fits it no more, but did
// once, is taken as it was then: its resources' changes become dead letters, as they do when that happens under a running
// rowhook, and all other resources go on. What never fitted is refused.
func (a *App) compile(ctx context.Context, st *store.Store, def *mapping.Definition, tables map[cdc.TableName]*cdc.Table, lineage string) (*mapping.Mapper, error) {
	mapper, problems := def.Compile(tables, lineage)
	slot := a.cfg.Database.Slot
	if len(problems) == 0 {
		if a.opts.ProxyAlone {
			return mapper, nil // it is the other process's config that the changes are mapped by
		}
		if err := st.SaveFitted(ctx, slot, mappedOf(def, tables)); err != nil {
			// Only who starts after such a change would miss it.
			a.log.Warn("what the tables are could not be kept in the store", "error", err)
		}
		return mapper, nil
	}
	before, err := st.Fitted(ctx, slot)
	if err != nil || len(before) == 0 {
		return nil, problems.Err()
	}
	used, rest := maps.Clone(tables), problems
	var changed []*cdc.Table
	for _, name := range slices.SortedFunc(maps.Keys(before), func(a, b cdc.TableName) int { return strings.Compare(a.String(), b.String()) }) {
		was, is := before[name], tables[name]
		if is == nil || reflect.DeepEqual(was.Columns, is.Columns) && reflect.DeepEqual(was.Key, is.Key) {
			continue
		}
		was.OID = is.OID
		try := maps.Clone(used)
		try[name] = was
		if m, still := def.Compile(try, lineage); len(still) < len(rest) {
			mapper, used, rest = m, try, still
			changed = append(changed, is)
		}
		if len(rest) == 0 {
			break
		}
	}
	if len(rest) > 0 {
		return nil, problems.Err()
	}
	for _, t := range changed {
		mapper.Rebind(t)
	}
	a.tellUnfit(mapper, changed, problems)
	return mapper, nil
}

// mappedOf are the tables that the mapping reads.
func mappedOf(def *mapping.Definition, tables map[cdc.TableName]*cdc.Table) map[cdc.TableName]*cdc.Table {
	out := map[cdc.TableName]*cdc.Table{}
	for _, name := range append(def.Tables(), def.RelatedTables()...) {
		if t := tables[name]; t != nil {
			out[name] = t
		}
	}
	return out
}

func (a *App) tellUnfit(m *mapping.Mapper, tables []*cdc.Table, problems problem.List) {
	unfit := m.Unfit()
	for _, resource := range slices.Sorted(maps.Keys(unfit)) {
		a.log.Error("resource does not fit its table any more: its changes are kept as dead letters until one of them is mended, all others go on",
			"resource", resource, "reason", unfit[resource])
	}
	var changed []string
	for _, t := range tables {
		changed = append(changed, t.TableName.String())
	}
	for _, p := range problems {
		a.log.Error("the config does not fit tables that have changed since it did", "tables", strings.Join(changed, ", "), "mistake", p.Error())
	}
}

// unfitParts are the resources that do not fit their tables. They keep nothing else from going on, so they do not make
// rowhook unready.
func (a *App) unfitParts() []client.Part {
	m := a.mapper.Load()
	if m == nil {
		return nil
	}
	unfit := m.Unfit()
	var parts []client.Part
	for _, resource := range slices.Sorted(maps.Keys(unfit)) {
		parts = append(parts, client.Part{Name: "resource " + resource, State: "its changes are kept as dead letters", Detail: unfit[resource]})
	}
	return parts
}
