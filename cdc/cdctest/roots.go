package cdctest

import (
	"bytes"
	"slices"

	"github.com/rowhook/rowhook/cdc"
)

// Roots does what RowReader.ReadRoots does, from memory: the keys of the rows that are found from below, in the order of the
// askers and then of the keys, each once for an asker. Values are equal where their texts are. It gives all of them at once:
// After, Max and MaxBytes are not looked at.
func Roots(q *cdc.RootsRequest, tables map[cdc.TableName]*cdc.Table, rows Rows) []cdc.RootKey {
	var keys []cdc.RootKey
	for i, asked := range q.Asked {
		for n, number := range asked.Numbers {
			for _, root := range ascend(q.Roots.Ascents[i], asked.Values[n], tables, rows) {
				keys = append(keys, cdc.RootKey{Number: number, Key: texts(q.Roots.Key, tables[q.Roots.Table], root)})
			}
		}
	}
	slices.SortStableFunc(keys, func(a, b cdc.RootKey) int {
		if a.Number != b.Number {
			return a.Number - b.Number
		}
		for i, column := range q.Roots.Key {
			x, y := cdc.Value{Kind: cdc.Text, Data: a.Key[i]}, cdc.Value{Kind: cdc.Text, Data: b.Key[i]}
			if c := compare(x, y, column.Type); c != 0 {
				return c
			}
		}
		return 0
	})
	return slices.CompactFunc(keys, func(a, b cdc.RootKey) bool {
		return a.Number == b.Number && slices.EqualFunc(a.Key, b.Key, bytes.Equal)
	})
}

// ascend finds the rows at the end of an ascent that begins with the values.
func ascend(a cdc.Ascent, values [][]byte, tables map[cdc.TableName]*cdc.Table, rows Rows) []cdc.Row {
	from := [][][]byte{values}
	var found []cdc.Row
	for i, step := range a.Steps {
		tab := tables[step.Table]
		if tab == nil {
			return nil
		}
		l := &cdc.Lookup{}
		for _, pair := range step.On {
			l.Match = append(l.Match, cdc.LookupColumn{Column: pair.Ours, Type: pair.Ours.Type})
		}
		found = nil
		for _, key := range from {
			found = append(found, matching(l, tab, rows[step.Table], key)...)
		}
		if i+1 == len(a.Steps) {
			break
		}
		var theirs []cdc.Column
		for _, pair := range a.Steps[i+1].On {
			theirs = append(theirs, pair.Theirs)
		}
		from = from[:0]
		for _, row := range found {
			// A null is equal to nothing.
			if key := texts(theirs, tab, row); !slices.ContainsFunc(key, func(v []byte) bool { return v == nil }) {
				from = append(from, key)
			}
		}
	}
	return found
}

// texts are the row's values of the columns, nil where it is null.
func texts(columns []cdc.Column, tab *cdc.Table, row cdc.Row) [][]byte {
	out := make([][]byte, len(columns))
	for i, c := range columns {
		if v := row[tab.Column(c.Name)]; v.Kind == cdc.Text {
			out[i] = v.Data
		}
	}
	return out
}
