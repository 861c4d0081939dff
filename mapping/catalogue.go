package mapping

import (
	"fmt"
	"slices"
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
	truncateNone := "a truncate empties the whole table, of all accounts"
	if !accounted {
		truncateNone = none
	}
	types := []EventType{
		{Name: c.created, Resource: c.Name, Accounted: accounted, AccountReason: none},
		{Name: c.updated, Resource: c.Name, Accounted: accounted, AccountReason: none},
		{Name: c.deleted, Resource: c.Name, Accounted: accounted, AccountReason: firstOf(none, c.reason(c.deleted, true)), Reason: c.reason(c.deleted, false)},
		{Name: c.truncated, Resource: c.Name, Accounted: accounted, AccountReason: truncateNone},
	}
	for _, e := range c.bound.conditions.events {
		types = append(types, EventType{Name: e.name, Resource: c.Name, Accounted: accounted, AccountReason: none,
			Reason: c.reason(e.name, false)})
	}
	return types
}

// reason is why an event is not offered, to accounts or to anybody; empty where it is.
func (c *compiled) reason(event string, toAccounts bool) string {
	for _, l := range c.lacks() {
		if l.Event == event && l.ToAccounts == toAccounts && !l.Offered {
			return l.reason()
		}
	}
	return ""
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
