package cdc

import (
	"slices"
	"strings"
)

// TableName is a table with its schema, both as they are in the catalog (unquoted).
type TableName struct {
	Schema string
	Name   string
}

// String is schema.name, for people.
func (t TableName) String() string { return t.Schema + "." + t.Name }

// Quote is the name as SQL.
func (t TableName) Quote() string { return QuoteIdent(t.Schema) + "." + QuoteIdent(t.Name) }

// QuoteIdent quotes an SQL identifier.
func QuoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// QuoteLiteral quotes an SQL string literal, for the places where the protocol takes no parameters.
// It relies on standard_conforming_strings, the default since Postgres 9.1; E” is used where a backslash needs it.
func QuoteLiteral(s string) string {
	q := strings.ReplaceAll(s, `'`, `''`)
	if strings.Contains(q, `\`) {
		return ` E'` + strings.ReplaceAll(q, `\`, `\\`) + `'`
	}
	return `'` + q + `'`
}

// Type describes a column's type as far as its text form depends on it. It is shared and never changed.
// https://www.postgresql.org/docs/current/catalog-pg-type.html
type Type struct {
	OID uint32
	// Name is the type's own name, without schema: "int8", "timestamptz", "_text", "mood".
	Name string
	// Kind is typtype: b base, c composite, d domain, e enum, p pseudo, r range, m multirange.
	Kind byte
	// Base is what a domain stands for, through all levels; nil for others.
	Base *Type
	// Elem is the element type of an array; nil for others.
	Elem *Type
	// Delim separates an array's elements of this type: ',' but for box.
	Delim byte
	// Sub is what a range is over; nil for others.
	Sub *Type
	// Fields are a composite's attributes, in their order; nil for others.
	Fields []Field
	// Labels are an enum's, in their order, where LoadLabels has put them in; else nil.
	Labels []string
}

// Field is an attribute of a composite type. Type is nil where it could not be read.
type Field struct {
	Name string
	Type *Type
}

// Column is one column of a table.
type Column struct {
	Name string
	Type *Type
	// NotNull is the catalog's attnotnull; false for columns known from the stream alone.
	NotNull bool
	// Identity says that the column is in the table's replica identity (every column under FULL).
	Identity bool
	// Generated columns are in the catalog, but not in the stream. Stored ones are in it since Postgres 18, as any other column:
	// there they are not called so here.
	Generated bool
}

// IdentityKind is pg_class.relreplident.
// https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-REPLICA-IDENTITY
type IdentityKind byte

// The replica identities.
const (
	IdentityDefault IdentityKind = 'd'
	IdentityNothing IdentityKind = 'n'
	IdentityFull    IdentityKind = 'f'
	IdentityIndex   IdentityKind = 'i'
)

// Table is what the catalog says of a table now. The stream may be older.
type Table struct {
	TableName
	OID uint32
	// Kind is relkind: r table, p partitioned. Persistence is relpersistence: p permanent, u unlogged, t temporary; zero
	// where it was not asked for.
	Kind, Persistence byte
	Identity          IdentityKind
	Columns           []Column
	// Key holds the indexes into Columns of the primary key, in its order; empty when there is none.
	Key []int
	// Unique are the columns, by their indexes, of each unique index whose word can be taken for all rows: valid, neither
	// partial nor deferrable, and over columns alone. They may be nullable.
	Unique [][]int
	// Indexes are the first columns of the table's indexes that serve every row; nil where they were not asked for.
	Indexes []string
	// GuardedFrom is the role that may not read its rows for row-level security, where that was asked for; else empty.
	GuardedFrom string
	// computed says that it has stored generated columns that can be published.
	computed bool
	// hindered is what of it, or of its partitions, could not be updated any more if it were published.
	hindered []hindrance
}

// NamesRows says whether no two rows have the same values of the columns: a unique index is over them, or some of them.
func (t *Table) NamesRows(columns []int) bool {
	return slices.ContainsFunc(t.Unique, func(unique []int) bool {
		return !slices.ContainsFunc(unique, func(i int) bool { return !slices.Contains(columns, i) })
	})
}

// Column is the index of the named column, or -1.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// Relation is a table as the stream described it: its columns are those of the row images that follow. A new one comes
// after every change of the table's definition. It is shared by changes and never changed, so its pointer may key a
// cache.
type Relation struct {
	OID      uint32
	Table    TableName
	Identity IdentityKind
	Columns  []Column
	// Key holds the indexes into Columns of the primary key, from the catalog; of the identity's columns where the
	// catalog does not know the table any more.
	Key []int
	// patchy says that the stream calls old rows whole that are not: those of partitions that log less than their table
	// is said to.
	patchy bool
}
