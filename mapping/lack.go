package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/problem"
)

// Lack is something of a resource that the replica identity of its table, or of one that touches it, is too small for.
type Lack struct {
	Resource string
	// At is what asks for it, in the config.
	At problem.Place
	// Event is what is not offered, or not so exactly. ToAccounts says that it is not offered to accounts only; else, with
	// Offered, it is offered to all, and Consequence says what is less than the config asks for.
	Event               string
	ToAccounts, Offered bool
	Consequence         string
	Table               *cdc.Table
	// change is what does not carry the columns, why what needs them.
	change, why string
	// columns are what is asked for; whole says that only a whole old row will do.
	columns []int
	whole   bool
	// asks says what the columns are for.
	asks asking
	// identity is what all that is asked for of the table comes to.
	identity *identity
}

// asking is what the columns of an old row are for.
type asking uint8

const (
	// forKey and forCondition are what their names say. A column of a condition may be null, and often has to.
	forKey asking = iota
	forCondition
	// forOwner tells whose a row is, by an account or the join of a touch: where that may be null, it most often is not.
	forOwner
)

// missing are the columns that are not told.
func (l *Lack) missing() (missing []int) {
	for _, i := range l.columns {
		if !l.Table.Columns[i].Identity && !slices.Contains(missing, i) {
			missing = append(missing, i)
		}
	}
	return missing
}

// lacking says whether it is one, or only asked for.
func (l *Lack) lacking() bool {
	return l.Table.Identity != cdc.IdentityFull && (l.whole || len(l.missing()) > 0)
}

// What says what is missing, and what for.
func (l *Lack) What() string {
	if l.whole {
		return fmt.Sprintf("%s in %s does not carry the old row, which %s needs", l.change, l.Table.TableName, l.why)
	}
	return fmt.Sprintf("%s in %s does not carry %s, which %s needs: it is not in the replica identity",
		l.change, l.Table.TableName, list(namesOf(l.Table, l.missing())), l.why)
}

// Mend is the cheapest replica identity with which nothing is lacking, and what to say of it. It is the same for all lacks of a
// table: a table has one identity, whatever its resources need.
func (l *Lack) Mend() (sql []finding.Statement, text string) { return l.identity.mend() }

// reason is why something is not as the config asks for, and how to make it so.
func (l *Lack) reason() string { return l.What() + ". Mend: " + l.identity.told() }

// Lacks are all that the tables' replica identities are too small for: of the resources, in the order of the file, and of the
// relations that touch them.
func (m *Mapper) Lacks() []*Lack {
	var lacks []*Lack
	for _, c := range m.resources {
		lacks = append(lacks, c.lacks()...)
	}
	for _, l := range m.touchAsks {
		if l.lacking() {
			lacks = append(lacks, l)
		}
	}
	return lacks
}

func (c *compiled) lacks() (lacks []*Lack) {
	for _, l := range c.asks {
		if l.lacking() {
			lacks = append(lacks, l)
		}
	}
	return lacks
}

// Ineffective tells what of the resources the replica identities make less of than the config asks for, beside the events that
// are not offered, each with the mend.
func (m *Mapper) Ineffective() (told []string) {
	for _, c := range m.resources {
		for _, l := range c.lacks() {
			if l.Offered {
				told = append(told, l.What()+"; "+l.Consequence+". Mend: "+l.identity.told())
			}
		}
	}
	return told
}

// Untold tells which touches the log does not tell, and the mend of each.
func (m *Mapper) Untold() (untold []string) {
	for _, l := range m.touchAsks {
		if l.lacking() {
			untold = append(untold, l.reason())
		}
	}
	return untold
}

// ask finds out what all resources and touches want to know of old rows, and what that comes to for each table.
func (m *Mapper) ask() {
	identities := map[*cdc.Table]*identity{}
	note := func(l *Lack) {
		if identities[l.Table] == nil {
			identities[l.Table] = &identity{table: l.Table}
		}
		l.identity = identities[l.Table]
		l.identity.asks = append(l.identity.asks, l)
	}
	for _, c := range m.resources {
		c.asks = c.asked()
		for _, l := range c.asks {
			note(l)
		}
	}
	for _, table := range slices.SortedFunc(maps.Keys(m.touches), func(a, b cdc.TableName) int { return strings.Compare(a.String(), b.String()) }) {
		for _, t := range m.touches[table] {
			if t.link.table == nil {
				continue
			}
			l := &Lack{Resource: t.target.Resource(), At: t.link.At, Event: t.target.Event(), Offered: true, Table: t.link.table,
				Consequence: "whom a row belonged to that is deleted or moved is not updated",
				change:      "a delete or a move", why: "touch of " + t.link.path, asks: forOwner}
			for _, p := range t.link.pairs {
				l.columns = append(l.columns, t.link.table.Column(p.Theirs.Name))
			}
			m.touchAsks = append(m.touchAsks, l)
			note(l)
		}
	}
	for _, i := range identities {
		i.decide()
	}
}

// asked are what the resource wants to know of old rows.
func (c *compiled) asked() (asks []*Lack) {
	add := func(l Lack, at *Source) {
		l.Resource, l.At, l.Table = c.Name, c.At, c.table
		if at != nil {
			l.At = at.At
		}
		asks = append(asks, &l)
	}
	add(Lack{Event: c.deleted, change: "a delete", why: "the key", columns: c.keyColumns}, nil)
	if c.account != nil {
		add(Lack{Event: c.deleted, ToAccounts: true, change: "a delete", why: "the account", columns: c.bound.accountColumns, asks: forOwner}, c.Account)
	}
	state := c.Where
	if state == nil {
		state = c.DeleteWhen
	}
	add(Lack{Event: c.deleted, change: "a delete", why: c.stateWords(), columns: c.bound.conditions.stateColumns(), asks: forCondition}, state)
	for i, e := range c.bound.conditions.events {
		add(Lack{Event: e.name, change: "an update", why: e.name, columns: e.old, asks: forCondition}, c.Resource.Events[i].When)
	}
	if len(c.bound.conditions.ignored) > 0 {
		add(Lack{Event: c.updated, Offered: true, Consequence: "every update of a row is " + c.updated + ", also one of ignored columns alone",
			change: "an update", why: "ignore_changes", whole: true}, &c.IgnoreChanges[0])
	}
	if l := (Lack{Event: c.updated, Offered: true, Table: c.table, change: "an update", why: "the representation",
		columns: c.bound.root.oldColumns(nil), asks: forCondition}); len(l.columns) > 0 {
		if missing := l.missing(); len(missing) > 0 {
			l.Consequence = "old." + c.table.Columns[missing[0]].Name + " is null there"
		}
		add(l, nil)
	}
	return asks
}

// oldColumns are those of the old row that the node's expressions use.
func (n *node) oldColumns(into []int) []int {
	if n.program != nil {
		into = append(into, n.program.old()...)
	}
	for i := range n.nodes {
		into = n.nodes[i].oldColumns(into)
	}
	return into
}
