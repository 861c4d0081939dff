package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/problem"
)

// Lack is something of a resource that the replica identity of its table is too small for.
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
	// missing are the columns that are not told, wanted these and the others that the old row is asked for, nullable those
	// of wanted that an index cannot serve for an identity. whole says that only a whole old row helps.
	missing, wanted, nullable []int
	whole                     bool
}

const accountWords = "the account"

// lack tells which of the key and the given columns the log does not tell of the old row of a change; nil where it tells
// them all.
func (c *compiled) lack(change string, columns []int, why string) *Lack {
	l := lackOf(c.table, change, columns, why)
	if l != nil {
		l.Resource, l.At = c.Name, c.At
	}
	return l
}

// lackOf is lack for a table.
func lackOf(t *cdc.Table, change string, columns []int, why string) *Lack {
	if t.Identity == cdc.IdentityFull {
		return nil
	}
	l := &Lack{Table: t, change: change, why: why, wanted: slices.Clone(t.Key)}
	for _, i := range columns {
		if !slices.Contains(l.wanted, i) {
			l.wanted = append(l.wanted, i)
		}
	}
	for _, i := range l.wanted {
		if !t.Columns[i].Identity && slices.Contains(columns, i) {
			l.missing = append(l.missing, i)
		}
		if !t.Columns[i].NotNull {
			l.nullable = append(l.nullable, i)
		}
	}
	if len(l.missing) == 0 {
		return nil
	}
	return l
}

// What says what is missing, and what for.
func (l *Lack) What() string {
	if l.whole {
		return fmt.Sprintf("%s in %s does not carry the old row, which %s needs", l.change, l.Table.TableName, l.why)
	}
	return fmt.Sprintf("%s in %s does not carry %s, which %s needs: it is not in the replica identity",
		l.change, l.Table.TableName, list(namesOf(l.Table, l.missing)), l.why)
}

// reason is why something is not offered, and how to make that it is; empty where nothing is lacking.
func (l *Lack) reason() string {
	if l == nil {
		return ""
	}
	t := l.Table
	full := fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL; (which writes whole old rows to the WAL)", t.Quote())
	reason := l.What() + ". "
	if t.Kind == 'p' {
		return reason + "Mend: on the table and each partition, " + full
	}
	if l.why != accountWords && len(l.nullable) > 0 {
		// A key or an account is never null, but a deleted_at is.
		return reason + "Mend: " + full
	}
	index := t.Name + "_rowhook_identity"
	mend := "Mend: "
	for _, i := range l.nullable {
		mend += fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL; ", t.Quote(), cdc.QuoteIdent(t.Columns[i].Name))
	}
	mend += fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s); ALTER TABLE %s REPLICA IDENTITY USING INDEX %s; or ",
		cdc.QuoteIdent(index), t.Quote(), quoted(t, l.wanted), t.Quote(), cdc.QuoteIdent(index))
	return reason + mend + full
}

// quoted are columns as SQL lists them.
func quoted(t *cdc.Table, columns []int) string {
	names := namesOf(t, columns)
	for i := range names {
		names[i] = cdc.QuoteIdent(names[i])
	}
	return list(names)
}

// Lacks are all that the tables' replica identities are too small for, in the order of the file.
func (m *Mapper) Lacks() []*Lack {
	var all []*Lack
	for _, c := range m.resources {
		all = append(all, c.lacks()...)
	}
	return all
}

func (c *compiled) lacks() (all []*Lack) {
	add := func(l *Lack, at *Source, event string, more func(*Lack)) {
		if l == nil {
			return
		}
		if at != nil {
			l.At = at.At
		}
		l.Event = event
		if more != nil {
			more(l)
		}
		all = append(all, l)
	}
	add(c.lack("a delete", c.keyColumns, "the key"), nil, c.deleted, nil)
	state := c.Where
	if state == nil {
		state = c.DeleteWhen
	}
	add(c.lack("a delete", c.bound.conditions.stateColumns(), c.stateWords()), state, c.deleted, nil)
	if c.account != nil {
		add(c.lack("a delete", c.bound.account.columnsOf(nil), accountWords), c.Account, c.deleted, func(l *Lack) { l.ToAccounts = true })
	}
	for i, e := range c.bound.conditions.events {
		add(c.lack("an update", e.old, e.name), c.Resource.Events[i].When, e.name, nil)
	}
	if len(c.bound.conditions.ignored) > 0 && c.table.Identity != cdc.IdentityFull {
		l := &Lack{Resource: c.Name, Table: c.table, change: "an update", why: "ignore_changes", whole: true}
		add(l, &c.IgnoreChanges[0], c.updated, func(l *Lack) {
			l.Offered, l.Consequence = true, "every update of a row is "+c.updated+", also one of ignored columns alone"
		})
	}
	if c.bound.conditions.showsOld {
		add(c.lack("an update", c.bound.root.oldColumns(nil), "the representation"), nil, c.updated, func(l *Lack) {
			l.Offered, l.Consequence = true, "old."+l.Table.Columns[l.missing[0]].Name+" is null there"
		})
	}
	return all
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

// MendIdentity is the cheapest replica identity with which nothing of the lacks, which are of one table, is lacking, and
// what to say of it: a table has one identity, whatever its resources need.
func MendIdentity(lacks []*Lack) (sql []finding.Statement, text string) {
	t := lacks[0].Table
	full := finding.Statement{Phase: finding.Table, SQL: fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;", t.Quote()), Note: cdc.FullPrice}
	if t.Kind == 'p' {
		full.SQL = "DO $rowhook$ DECLARE part regclass; BEGIN\n" +
			"    FOR part IN SELECT relid FROM pg_partition_tree(" + cdc.QuoteLiteral(t.Quote()) + ") LOOP\n" +
			"        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', part);\n    END LOOP;\nEND $rowhook$;"
		full.Note += " Partitions that are made later need it too."
		return []finding.Statement{full}, "give the table and its partitions whole old rows"
	}
	var columns, nullable []int
	whole := false
	add := func(to *[]int, from []int) {
		for _, i := range from {
			if !slices.Contains(*to, i) {
				*to = append(*to, i)
			}
		}
	}
	add(&columns, t.Key)
	for i, c := range t.Columns {
		if c.Identity {
			add(&columns, []int{i}) // others may need it
		}
	}
	for _, l := range lacks {
		add(&columns, l.wanted)
		whole = whole || l.whole
	}
	for _, i := range columns {
		if !t.Columns[i].NotNull {
			nullable = append(nullable, i)
		}
	}
	switch {
	case whole:
		return []finding.Statement{full}, "give the table whole old rows"
	case len(nullable) > 0:
		names := list(namesOf(t, nullable))
		full.Note += fmt.Sprintf("\nCheaper, if %s is never null: ALTER TABLE … ALTER COLUMN … SET NOT NULL, then check again.", names)
		return []finding.Statement{full}, fmt.Sprintf("give the table whole old rows, or make %s NOT NULL, if it is never null, so that a unique index will do", names)
	}
	index := t.Name + "_rowhook_identity"
	if t.Identity == cdc.IdentityIndex {
		index += "_" + strings.Join(namesOf(t, columns[len(t.Key):]), "_") // the one that it has may be called so
	}
	return []finding.Statement{
		{Phase: finding.Table, SQL: fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS %s ON %s (%s);", cdc.QuoteIdent(index), t.Quote(), quoted(t, columns)),
			Note: "One more index to keep. It is built without blocking writes; if that is interrupted, drop what it left and begin again."},
		{Phase: finding.Table, SQL: fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY USING INDEX %s;", t.Quote(), cdc.QuoteIdent(index)),
			Note: "Updates and deletes write these columns of the old row to the WAL. Takes a short lock."},
	}, "name old rows by a unique index that has the column"
}
