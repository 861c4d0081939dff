package cdctest

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

var ops = map[string]cdc.Op{"insert": cdc.Insert, "update": cdc.Update, "delete": cdc.Delete, "truncate": cdc.Truncate, "message": cdc.Message}

// Sent reads changes of one transaction as the stream sends them: a list of {insert: contacts, new: {…}}. A column that is
// not given is null in new and absent in old; old is whole under the identity full.
func Sent(file string, list *yaml.Node, tables *Tables) ([]*cdc.Change, problem.List) {
	r := &reader{file: file, sent: true}
	tx := &cdc.Tx{Commit: 0x1234, Time: time.Date(2026, 11, 22, 1, 0, 0, 123456000, time.UTC), XID: 7}
	var changes []*cdc.Change
	for i, entry := range list.Content {
		c := &cdc.Change{Tx: tx, Ordinal: uint32(i + 1)}
		r.entries(entry, "a change", func(k, v *yaml.Node) {
			if op, ok := ops[k.Value]; ok {
				if c.Op, c.Relation = op, tables.Relation(v.Value); c.Relation == nil {
					r.add(v, "", "there is no table %q", v.Value)
				}
			}
		})
		if c.Relation == nil {
			continue
		}
		r.entries(entry, "a change", func(k, v *yaml.Node) {
			switch k.Value {
			case "new":
				c.New = r.row(v, c.Relation.Columns, c.Relation.Table.Name, cdc.Null)
			case "old":
				c.Old = r.row(v, c.Relation.Columns, c.Relation.Table.Name, cdc.Absent)
				c.OldWhole = c.Relation.Identity == cdc.IdentityFull
			}
		})
		changes = append(changes, c)
	}
	return changes, r.problems
}
