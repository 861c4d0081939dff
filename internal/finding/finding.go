// Package finding is how something that is not as it should be is told: where, what follows from it, and what mends it.
package finding

import (
	"cmp"
	"slices"
)

// Level says how bad it is.
type Level string

// The levels.
const (
	// Error keeps rowhook from starting, or loses events.
	Error Level = "error"
	// Warning lets it run, with something less than the config asks for.
	Warning Level = "warning"
	// Info is worth knowing, and no fault.
	Info Level = "info"
)

// Finding is one thing. Nothing of it holds a password or a row's values.
type Finding struct {
	Level Level `json:"level"`
	// Place is file:line:column of the config, or the object: table public.contacts.
	Place string `json:"place"`
	// What is so, Consequence what follows, Mend the next step. The last two may be empty.
	What        string `json:"what"`
	Consequence string `json:"consequence,omitempty"`
	Mend        string `json:"mend,omitempty"`
	// SQL mends it, where SQL can: all of it, in this order.
	SQL []Statement `json:"sql,omitempty"`
}

// Phase is when a statement's turn is in a script.
type Phase uint8

// The phases, in their order.
const (
	// Server are settings of the server.
	Server Phase = iota
	// Role is the role and its memberships.
	Role
	// Schema is rowhook's own schema.
	Schema
	// Grant are privileges.
	Grant
	// Repair alters tables of the application that cannot be published as they are.
	Repair
	// Publication is the publication.
	Publication
	// Index are indexes that are missing.
	Index
	// Table alters tables of the application.
	Table
)

// Statement is SQL that mends something.
type Statement struct {
	Phase Phase `json:"-"`
	// SQL ends with a semicolon.
	SQL string `json:"statement"`
	// Unless is a condition under which it is not to be run: what makes it repeatable. Empty: it can be repeated as it is.
	Unless string `json:"-"`
	// Note is what to know before it is run, such as its price. It may have several lines.
	Note string `json:"note,omitempty"`
	// Database names another database than the source's, in which it is to be run.
	Database string `json:"database,omitempty"`
}

// Sort puts errors first, then warnings, and leaves the order within a level.
func Sort(all []Finding) {
	rank := map[Level]int{Error: 0, Warning: 1, Info: 2}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(rank[a.Level], rank[b.Level]) })
}

// Count is how many have the level.
func Count(all []Finding, l Level) int {
	n := 0
	for _, f := range all {
		if f.Level == l {
			n++
		}
	}
	return n
}
