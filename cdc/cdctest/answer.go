package cdctest

import (
	"bytes"
	"cmp"
	"math/big"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
)

// Rows are those of tables, with all their columns.
type Rows map[cdc.TableName][]cdc.Row

// Lookups are those of cdc that can also be told that one cannot be answered.
type Lookups interface {
	cdc.Lookups
	Fail(l *cdc.Lookup, reason string)
}

// Answer does what a reader of the database does, from memory. A table without an entry in rows is gone. Asked, if it is
// not nil, is told of each request.
func Answer(l Lookups, tables map[cdc.TableName]*cdc.Table, rows Rows, asked func(cdc.LookupRequest)) {
again:
	for requests := l.Start(); len(requests) > 0; requests = l.Next() {
		for i, q := range requests {
			if asked != nil {
				asked(q)
			}
			all, there := rows[q.Lookup.Table]
			tab := tables[q.Lookup.Table]
			// A relation is called contact.tags; a resource's own rows, by its name, may not be given, and are gone then.
			if own := !strings.Contains(q.Lookup.Name, "."); tab == nil || !there && !own {
				l.Fail(q.Lookup, "table "+q.Lookup.Table.String()+" is gone")
				goto again
			}
			for k, key := range q.Keys {
				for n, row := range matching(q.Lookup, tab, all, key) {
					if q.Lookup.First && n == q.Lookup.Max || n > q.Lookup.Max {
						break
					}
					values := make(cdc.Row, len(q.Lookup.Columns))
					for c, column := range q.Lookup.Columns {
						values[c] = row[tab.Column(column.Name)]
					}
					l.Row(i, k, values)
				}
			}
		}
	}
}

// matching are the rows of a key, in their order.
func matching(l *cdc.Lookup, tab *cdc.Table, all []cdc.Row, key [][]byte) []cdc.Row {
	var found []cdc.Row
	for _, row := range all {
		match := true
		for n, m := range l.Match {
			v := row[tab.Column(m.Name)]
			match = match && v.Kind == cdc.Text && bytes.Equal(v.Data, key[n])
		}
		if match {
			found = append(found, row)
		}
	}
	slices.SortStableFunc(found, func(a, b cdc.Row) int {
		for _, o := range l.Order {
			i := tab.Column(o.Column)
			if c := compare(a[i], b[i], tab.Columns[i].Type); c != 0 {
				if o.Descending {
					return -c
				}
				return c
			}
		}
		return 0
	})
	return found
}

// compare orders values as ORDER BY does: nulls last, numbers by size, all else by bytes, as under the collation C.
func compare(a, b cdc.Value, t *cdc.Type) int {
	if a.Kind != cdc.Text || b.Kind != cdc.Text {
		return cmp.Compare(b.Kind, a.Kind)
	}
	for t.Base != nil {
		t = t.Base
	}
	switch t.Name {
	case "int2", "int4", "int8", "numeric", "float4", "float8", "oid":
		x, ok := new(big.Rat).SetString(string(a.Data))
		y, known := new(big.Rat).SetString(string(b.Data))
		if ok && known {
			return x.Cmp(y)
		}
	}
	return bytes.Compare(a.Data, b.Data)
}
