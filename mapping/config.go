package mapping

import (
	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// Config is the part of the config file that says what becomes of rows: its resources, in the order of the file.
type Config struct {
	Resources []Resource
	// JSON are the rules of all resources.
	JSON Rules
	// Previous asks for Event.Previous, which costs rendering the old row too.
	Previous bool
	// Application says that the application can be asked, so that ${api.…} can be used.
	Application bool
}

// Resource ties a thing of the API to a table.
type Resource struct {
	// Name is what the API calls the thing: contact. At is where it stands in the file.
	Name string
	At   problem.Place
	// Table is the table with its schema; TableAt where it is named.
	Table   cdc.TableName
	TableAt problem.Place
	// Key are the columns that name an instance, in this order; empty for the primary key.
	Key []Source
	// Account is the expression that gives the customer whom an instance belongs to. Nil: events are the admin's only.
	Account *Source
	// Path is the resource's address under the application's URL, with ${…} for the row's values: /contacts/${id}.
	// Nil where there is none.
	Path *Source
	// Representation is the tree that mirrors the API's answer; nil where Columns or AllColumns is given instead.
	// File names the file that its nodes' lines and columns count in.
	Representation *yaml.Node
	File           string
	// Columns are the columns to send, in this order, under their own names; AllColumns sends all of the table but
	// Except, new ones too as they come.
	Columns    []Source
	AllColumns bool
	Except     []Source
	// JSON are the resource's own rules; they go over the config's.
	JSON Rules
	// Where says which rows are instances, DeleteWhen which of them count as deleted: expressions over the row. Nil: all,
	// and none.
	Where, DeleteWhen *Source
	// IgnoreChanges are columns whose change alone is no update.
	IgnoreChanges []Source
	// EachChange makes events of each change, instead of what the changes of a block of a transaction come to.
	EachChange bool
	// Events are made beside create and update, where their condition holds.
	Events []NamedEvent
	// Relations are rows of other tables, which the representation names as it does columns.
	Relations []Relation
}

// Relation ties rows of another table to a row: the company of a contact, its tags.
type Relation struct {
	// Name is what the representation calls it: company. At is where it stands in the file.
	Name string
	At   problem.Place
	// Table is the other table with its schema; TableAt where it is named.
	Table   cdc.TableName
	TableAt problem.Place
	// ForeignKey is one column: with Many, of the other table, which holds our primary key; else ours, which holds the
	// other table's. Join says the same of any columns, and is given instead.
	ForeignKey *Source
	Join       []JoinColumn
	// Many makes a list of all rows; else it is the one row, or null.
	Many bool
	// OrderBy are columns of the other table, each with desc or asc after it or not; then comes its primary key.
	OrderBy []Source
	// Representation and Columns are those of a row of the other table, as of a Resource. File is as there.
	Representation *yaml.Node
	File           string
	Columns        []Source
	AllColumns     bool
	Except         []Source
	// Touch makes a change of the other table's rows an update of ours.
	Touch bool
	// Relations are those of the other table's rows.
	Relations []Relation
}

// JoinColumn is a column of a relation's table that is equal to one of ours.
type JoinColumn struct{ Theirs, Ours Source }

// NamedEvent is an event of the resource's own: contact.won.
type NamedEvent struct {
	Name string
	At   problem.Place
	When *Source
}

// Source is an expression, a template or a name as the user wrote it, and where.
type Source struct {
	Text string
	At   problem.Place
}
