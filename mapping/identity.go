package mapping

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/finding"
)

// identity is the cheapest replica identity that tells all that is asked for of a table, which has one.
type identity struct {
	table *cdc.Table
	asks  []*Lack
	// columns are those of an index that does: the keys', what the identity has now, which others may need, and what is asked
	// for, each once.
	columns []int
	// full says that no index can tell it.
	full bool
	// nullable are those of columns that would have to be NOT NULL for it. To make them so is a change of the application.
	nullable []int
}

// decide finds out which it is.
func (x *identity) decide() {
	t := x.table
	add := func(columns []int) {
		for _, i := range columns {
			if !slices.Contains(x.columns, i) {
				x.columns = append(x.columns, i)
			}
		}
	}
	add(t.Key)
	for _, l := range x.asks {
		if l.asks == forKey {
			add(l.columns)
		}
	}
	for i, c := range t.Columns {
		if c.Identity {
			add([]int{i})
		}
	}
	x.full = t.Kind == 'p'
	for _, l := range x.asks {
		add(l.columns)
		// To know that nothing else has changed takes the whole row. An index that is an identity takes no column that may be null.
		x.full = x.full || l.whole || l.asks == forCondition && slices.ContainsFunc(l.columns, x.mayBeNull)
	}
	for _, i := range x.columns {
		if x.mayBeNull(i) {
			x.nullable = append(x.nullable, i)
		}
		x.full = x.full || !indexable(t.Columns[i].Type)
	}
	x.full = x.full || len(t.Key) == 0 && !t.NamesRows(x.columns)
}

func (x *identity) mayBeNull(i int) bool {
	return !x.table.Columns[i].NotNull && !slices.Contains(x.table.Key, i)
}

// mend are the statements that make it, and what to say of them.
func (x *identity) mend() (sql []finding.Statement, text string) {
	full := finding.Statement{Phase: finding.Table, SQL: x.wholeRows("\n    "), Note: cdc.FullPrice}
	switch {
	case x.table.Kind == 'p':
		full.Note += " Partitions that are made later need it too."
		return []finding.Statement{full}, "give the table and its partitions whole old rows"
	case x.full:
		return []finding.Statement{full}, "give the table whole old rows"
	case len(x.nullable) > 0:
		full.Note += fmt.Sprintf("\nCheaper, if %s:\n%s", x.neverNull(), strings.Join(x.cheaper(), "\n"))
		return []finding.Statement{full}, fmt.Sprintf("give the table whole old rows, or, if %s, make it NOT NULL, so that a unique index will do", x.neverNull())
	}
	index := x.index()
	return []finding.Statement{
		{Phase: finding.Table, SQL: index[0], Note: "One more index to keep. It is built without blocking writes; if that is interrupted, drop what it left and begin again."},
		{Phase: finding.Table, SQL: index[1], Note: "Updates and deletes write these columns of the old row to the WAL. Takes a short lock."},
	}, "name old rows by a unique index that has the column"
}

// told is the same in one line, and the other way that there is, if there is one.
func (x *identity) told() string {
	full := x.wholeRows(" ") + " (which writes whole old rows to the WAL"
	switch {
	case x.table.Kind == 'p':
		return full + "; partitions that are made later need it too)"
	case x.full:
		return full + ")"
	case len(x.nullable) > 0:
		return full + fmt.Sprintf("); or, if %s, %s", x.neverNull(), strings.Join(x.cheaper(), " "))
	}
	index := x.index()
	return index[0] + " " + index[1] + " or " + full + ")"
}

func (x *identity) neverNull() string {
	names := namesOf(x.table, x.nullable)
	if len(names) == 1 {
		return names[0] + " is never null"
	}
	return list(names) + " are never null"
}

// wholeRows gives the table whole old rows. Of a partitioned one it is the partitions' own identity that counts, and they do
// not inherit it.
func (x *identity) wholeRows(line string) string {
	name := x.table.Quote()
	if x.table.Kind != 'p' {
		return fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;", name)
	}
	tag := "$rowhook$"
	for strings.Contains(name, tag) {
		tag = tag[:len(tag)-1] + "_$"
	}
	return "DO " + tag + " DECLARE part regclass; BEGIN" + line +
		"FOR part IN SELECT relid FROM pg_partition_tree(" + cdc.QuoteLiteral(name) + ") LOOP" + line +
		"EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', part); END LOOP; END " + tag + ";"
}

// index makes a unique index and the identity of it.
func (x *identity) index() []string {
	t := x.table
	index := cdc.QuoteIdent(identityName(t, len(x.columns)))
	return []string{
		fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS %s ON %s (%s);", index, t.Quote(), quoted(t, x.columns)),
		fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY USING INDEX %s;", t.Quote(), index),
	}
}

// cheaper are the statements for columns that are never null, though they may.
func (x *identity) cheaper() (sql []string) {
	for _, i := range x.nullable {
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL;", x.table.Quote(), cdc.QuoteIdent(x.table.Columns[i].Name)))
	}
	return append(sql, x.index()...)
}

// identityName is what the index is called. Where there is one already that tells too little, the new one has another
// name. Postgres would cut one that is too long.
func identityName(t *cdc.Table, columns int) string {
	const maxName = 63
	suffix := "_rowhook_identity"
	if t.Identity == cdc.IdentityIndex {
		suffix += "_" + strconv.Itoa(columns)
	}
	name := t.Name
	for len(name)+len(suffix) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name + suffix
}

// indexable says whether values of the type have an order and are small, as a rule: an index that a value does not fit
// into would make the application's writes fail.
func indexable(t *cdc.Type) bool {
	t = baseType(t)
	switch {
	case t == nil:
		return false
	case t.Kind == 'e':
		return true
	case t.Kind == 'b':
		switch t.Name {
		case "bool", "int2", "int4", "int8", "oid", "numeric", "float4", "float8", "text", "varchar", "bpchar", "citext", "name", "uuid", "date", "time",
			"timetz", "timestamp", "timestamptz", "interval", "inet", "cidr", "macaddr", "money":
			return true
		}
	}
	return false
}

// quoted are columns as SQL lists them.
func quoted(t *cdc.Table, columns []int) string {
	names := namesOf(t, columns)
	for i := range names {
		names[i] = cdc.QuoteIdent(names[i])
	}
	return list(names)
}
