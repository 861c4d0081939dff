package mapping

import (
	"fmt"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/problem"
)

// keyOf are the columns that name an instance: those of key, else the primary key. A name is of one row, always.
func (r *resource) keyOf(t *cdc.Table, problems *problem.List) []int {
	if len(r.Key) == 0 {
		r.checkPrimary(t, problems)
		return t.Key
	}
	var key []int
	var nullable []string
	for _, c := range r.Key {
		i := t.Column(c.Text)
		switch {
		case i < 0:
			var names []string
			for _, column := range t.Columns {
				names = append(names, column.Name)
			}
			problems.Add(c.At, problem.NoColumn(c.Text, names), "table %s has no column %q", t.TableName, c.Text)
			return nil
		case t.Columns[i].Generated:
			problems.Add(c.At, "name the columns that it is made of", "column %q is generated, and generated columns are not in Postgres' stream", c.Text)
			return nil
		case !t.Columns[i].NotNull:
			nullable = append(nullable, c.Text)
		}
		key = append(key, i)
	}
	at := r.Key[0].At
	if len(nullable) > 0 {
		var mend []string
		for _, name := range nullable {
			mend = append(mend, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL;", t.Quote(), cdc.QuoteIdent(name)))
		}
		problems.Add(at, strings.Join(mend, " "), "key of resource %s: %s of %s can be null, so a row may have no name", r.Name, list(nullable), t.TableName)
	}
	if !t.NamesRows(key) {
		problems.Add(at, fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s);", cdc.QuoteIdent(t.Name+"_rowhook_key"), t.Quote(), quoted(t, key)),
			"key of resource %s: no unique index of %s says that %s is of one row: it has to be valid, and neither partial, deferrable nor over expressions",
			r.Name, t.TableName, list(namesOf(t, key)))
	}
	return key
}

// checkPrimary looks whether the primary key names instances: the log has to tell it of old rows, or a change of it is not seen.
func (r *resource) checkPrimary(t *cdc.Table, problems *problem.List) {
	if len(t.Key) == 0 {
		problems.Add(place(r.TableAt, r.At),
			"an instance needs a name: ALTER TABLE "+r.Table.Quote()+" ADD PRIMARY KEY (…); or name its NOT NULL columns under a unique index in key",
			"table %s has no primary key", r.Table)
	}
	if k := untoldKey(t); k >= 0 {
		problems.Add(place(r.TableAt, r.At),
			defaultIdentity(t)+"  (or name the instances by columns of the identity: key)",
			"the replica identity of table %s lacks %q of its primary key", t.TableName, t.Columns[k].Name)
	}
}

// untoldKey is a column of the primary key that an index that is the identity lacks, or -1.
func untoldKey(t *cdc.Table) int {
	for _, k := range t.Key {
		if !t.Columns[k].Identity && t.Identity == cdc.IdentityIndex {
			return k
		}
	}
	return -1
}

func defaultIdentity(t *cdc.Table) string {
	return fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT;", t.Quote())
}

// MendKeys are the statements that mend what Compile refuses of primary keys, by the places where it does.
func (d *Definition) MendKeys(tables map[cdc.TableName]*cdc.Table) map[problem.Place][]finding.Statement {
	mends := map[problem.Place][]finding.Statement{}
	for _, r := range d.resources {
		if t := tables[r.Table]; t != nil && len(r.Key) == 0 && untoldKey(t) >= 0 {
			mends[place(r.TableAt, r.At)] = []finding.Statement{{Phase: finding.Repair, SQL: defaultIdentity(t),
				Note: "Old rows are told by the primary key. Costs nothing."}}
		}
	}
	return mends
}

// namesOf are the names of columns.
func namesOf(t *cdc.Table, columns []int) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = t.Columns[c].Name
	}
	return names
}
