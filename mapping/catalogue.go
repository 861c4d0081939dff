package mapping

import (
	"fmt"
	"slices"

	"github.com/rowhook/rowhook/cdc"
)

// EventType is an event that a Mapper can make.
type EventType struct {
	// Name is contact.update.
	Name     string
	Resource string
	// Accounted says that the resource has an account.
	Accounted bool
	// AccountReason says why the event is not offered to the subscriptions of accounts, and the cheapest mend. Empty: it
	// is offered.
	AccountReason string
	// Reason says why the event is offered to nobody, and the mend. Usually empty.
	Reason string
}

// Types are all events, in the order of the file: create, update, delete and truncate of each resource.
func (m *Mapper) Types() []EventType { return slices.Clone(m.types) }

func (c *compiled) eventTypes() []EventType {
	accounted := c.account != nil
	none := ""
	if !accounted {
		none = fmt.Sprintf("resource %s has no account; add account: with the column that holds the customer", c.Name)
	}
	deleteNone := none
	if accounted {
		deleteNone = c.mend("a delete", c.bound.account.columnsOf(nil), "the account")
	}
	truncateNone := "a truncate empties the whole table, of all accounts"
	if !accounted {
		truncateNone = none
	}
	stateReason := c.mend("a delete", c.bound.conditions.stateColumns(), c.stateWords())
	types := []EventType{
		{Name: c.created, Resource: c.Name, Accounted: accounted, AccountReason: none},
		{Name: c.updated, Resource: c.Name, Accounted: accounted, AccountReason: none},
		{Name: c.deleted, Resource: c.Name, Accounted: accounted, AccountReason: deleteNone, Reason: firstOf(c.mend("a delete", c.table.Key, "the key"), stateReason)},
		{Name: c.truncated, Resource: c.Name, Accounted: accounted, AccountReason: truncateNone},
	}
	for _, e := range c.bound.conditions.events {
		types = append(types, EventType{Name: e.name, Resource: c.Name, Accounted: accounted, AccountReason: none,
			Reason: c.mend("an update", e.old, e.name)})
	}
	return types
}

// stateWords are the keys that say whether a row is an instance.
func (c *compiled) stateWords() string {
	switch {
	case c.bound.conditions.where == nil:
		return "delete_when"
	case c.bound.conditions.deleteWhen == nil:
		return "where"
	}
	return "where or delete_when"
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// mend tells which of the key and the given columns the log does not tell of the old row of a change, and how to make
// it; empty where it tells them all.
func (c *compiled) mend(change string, columns []int, what string) string {
	t := c.table
	if t.Identity == cdc.IdentityFull {
		return ""
	}
	var missing, nullable []string
	wanted := slices.Clone(t.Key)
	for _, i := range columns {
		if !slices.Contains(wanted, i) {
			wanted = append(wanted, i)
		}
	}
	names := make([]string, len(wanted))
	for n, i := range wanted {
		column := t.Columns[i]
		names[n] = cdc.QuoteIdent(column.Name)
		if !column.Identity && slices.Contains(columns, i) {
			missing = append(missing, column.Name)
		}
		if !column.NotNull {
			nullable = append(nullable, column.Name)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	full := fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL; (which writes whole old rows to the WAL)", t.Quote())
	reason := fmt.Sprintf("%s in %s does not carry %s, which %s needs: it is not in the replica identity. ",
		change, t.TableName, list(missing), what)
	if t.Kind == 'p' {
		return reason + "Mend: on the table and each partition, " + full
	}
	if what != "the account" && len(nullable) > 0 {
		// A key or an account is never null, but a deleted_at is.
		return reason + "Mend: " + full
	}
	index := t.Name + "_rowhook_identity"
	mend := "Mend: "
	for _, name := range nullable {
		mend += fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL; ", t.Quote(), cdc.QuoteIdent(name))
	}
	mend += fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s); ALTER TABLE %s REPLICA IDENTITY USING INDEX %s; or ",
		cdc.QuoteIdent(index), t.Quote(), list(names), t.Quote(), cdc.QuoteIdent(index))
	return reason + mend + full
}
