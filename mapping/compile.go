package mapping

import (
	"strings"
	"sync/atomic"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// Mapper turns changes into events. Map is for one goroutine at a time; all else may be called at any time.
type Mapper struct {
	resources []*compiled
	// byTable and byOID find the resources of a table by its name, and by what it was when it had that name.
	byTable map[cdc.TableName][]*compiled
	byOID   map[uint32][]*compiled
	types   []EventType
	// tables are those that relations read, as they were when the Mapper was made.
	tables map[cdc.TableName]*cdc.Table
	// targets are the resources that changes of related rows update; touches are those relations, by table as above.
	targets      []*Target
	touches      map[cdc.TableName][]*touch
	touchesByOID map[uint32][]*touch
	// touchAsks are what these want to know of old rows.
	touchAsks []*Lack

	plans     map[*cdc.Relation]*plan
	last      *cdc.Relation
	lastPlan  *plan
	evaluator *evaluator
	ids       identifier
	renderer  renderer
	buf       []byte
	instance  []byte
	// earlier is the row before an update, where the log sends none.
	earlier  cdc.Row
	previous bool
	// coalesces says that a resource wants net changes.
	coalesces bool
	// unfit are the resources that do not fit.
	unfit atomic.Pointer[map[string]string]
	// old is the row before the update that is being mapped, told what of it may be shown, and updates says that both are
	// known to be the instance. audience is whom its events are for, transfer what it does to whose the row is.
	old, told cdc.Row
	updates   bool
	audience  Audience
	// owner is the account that events are for while the audience is ToAccount.
	owner    string
	transfer transfer
	// compared says that was, what the update has changed, is known: its named events have the same.
	compared bool
	was      []byte
	account  string
}

// compiled is a resource with the table as it was when the Mapper was made.
type compiled struct {
	*resource
	table *cdc.Table
	// keyColumns are the columns of the table that name an instance.
	keyColumns []int
	bound      *bound
	// asks are what it wants to know of old rows.
	asks []*Lack
	// The names of its events.
	created, updated, deleted, truncated string
}

// Compile checks the definition against the tables as they are, and lists all that does not fit. Lineage names the
// database in every event's id: where it changes, all ids do. The Mapper is nil where the list is not empty.
func (d *Definition) Compile(tables map[cdc.TableName]*cdc.Table, lineage string) (*Mapper, problem.List) {
	return d.compile(tables, lineage, newEvaluator())
}

func (d *Definition) compile(tables map[cdc.TableName]*cdc.Table, lineage string, e *evaluator) (*Mapper, problem.List) {
	var problems problem.List
	m := &Mapper{
		byTable: map[cdc.TableName][]*compiled{},
		byOID:   map[uint32][]*compiled{},
		touches: map[cdc.TableName][]*touch{}, touchesByOID: map[uint32][]*touch{},
		plans:     map[*cdc.Relation]*plan{},
		evaluator: e,
		ids:       identifier{lineage: lineage},
		previous:  d.previous,
		tables:    tables,
	}
	m.renderer.evaluator = m.evaluator
	if e.trial != nil {
		m.renderer.most = trialOutput
	}
	var names []string
	for _, t := range tables {
		if t != nil {
			names = append(names, t.TableName.String())
		}
	}
	for _, r := range d.resources {
		table := tables[r.Table]
		if table == nil {
			problems.Add(place(r.TableAt, r.At), problem.DidYouMean(r.Table.String(), names),
				"table %s does not exist, or the role may not see it", r.Table)
			continue
		}
		key := r.keyOf(table, &problems)
		b, found := r.bind(table.Columns, key, table.Key, tables, m.evaluator)
		problems = append(problems, found...)
		if b == nil {
			continue
		}
		c := &compiled{
			resource: r, table: table, keyColumns: key, bound: b,
			created: r.Name + ".create", updated: r.Name + ".update", deleted: r.Name + ".delete",
			truncated: r.Name + ".truncate",
		}
		m.resources = append(m.resources, c)
		m.coalesces = m.coalesces || !c.EachChange
		m.byTable[r.Table] = append(m.byTable[r.Table], c)
		if table.OID != 0 {
			m.byOID[table.OID] = append(m.byOID[table.OID], c)
		}
		m.addTarget(c)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	m.ask()
	for _, c := range m.resources {
		m.types = append(m.types, c.eventTypes()...)
	}
	return m, nil
}

// keyNames are the columns of the key, in its order.
func (c *compiled) keyNames() []string {
	names := make([]string, len(c.keyColumns))
	for i, k := range c.keyColumns {
		names[i] = c.table.Columns[k].Name
	}
	return names
}

// list joins names for a message.
func list(names []string) string { return strings.Join(names, ", ") }
