package scaffold

import (
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/discover"
)

// relation is one of the config's.
type relation struct {
	name  string
	table *discover.Table
	// ours and theirs are the columns that are equal; foreign says that foreign_key says that in one word.
	ours, theirs []string
	foreign      string
	many         bool
	// One of these says what a row becomes.
	columns   []string
	value     string // a template
	members   []member
	relations []*relation
	// off says that it is a proposal.
	off bool
}

// toOne is the relation that a foreign key makes; nil where none can be made of it.
func toOne(t *discover.Table, f discover.ForeignKey, all map[cdc.TableName]*discover.Table) *relation {
	other := all[f.To()]
	if other == nil {
		return nil
	}
	for _, name := range f.Columns {
		if c, ok := t.Column(name); !ok || c.Generated != "" || strings.Contains(name, "${") {
			return nil
		}
	}
	r := &relation{table: other, ours: f.Columns, theirs: f.Theirs}
	if len(f.Columns) == 1 && slices.Equal(f.Theirs, other.Key) {
		r.foreign = f.Columns[0]
	}
	r.columns = slices.Clone(f.Theirs)
	if name := called(other); name != "" && !slices.Contains(r.columns, name) && !discover.LooksSecret(name) {
		r.columns = append(r.columns, name)
	}
	r.columns = slices.DeleteFunc(r.columns, discover.LooksSecret)
	if len(r.columns) == 0 {
		return nil
	}
	return r
}

// toMany is the relation to the rows of other that name one of t by the foreign key; nil where none can be made of it.
func toMany(t, other *discover.Table, f discover.ForeignKey) *relation {
	for _, name := range f.Theirs {
		if c, ok := t.Column(name); !ok || c.Generated != "" {
			return nil
		}
	}
	r := &relation{table: other, ours: f.Theirs, theirs: f.Columns, many: true}
	if len(f.Columns) == 1 && slices.Equal(f.Theirs, t.Key) {
		r.foreign = f.Columns[0]
	}
	return r
}

// through is the relation to the rows of another table over a join table.
func through(t *discover.Table, j *join, all map[cdc.TableName]*discover.Table) *relation {
	for i, f := range j.ends {
		if f.To() != t.TableName {
			continue
		}
		other := j.ends[1-i]
		inner := toOne(j.table, other, all)
		outer := toMany(t, j.table, f)
		if inner == nil || outer == nil {
			return nil
		}
		inner.name = free(nameOfKey(other), columnNames(j.table))
		outer.value = valueOf(inner.name)
		outer.relations = []*relation{inner}
		outer.name = plural(nameOfKey(other))
		return outer
	}
	return nil
}

// nameOfKey is what a relation by a foreign key is called: company of company_id.
func nameOfKey(f discover.ForeignKey) string {
	if len(f.Columns) == 1 {
		name := discover.Snake(f.Columns[0])
		for _, end := range []string{"_id", "_uuid", "_fk", "_key"} {
			if stem, ok := strings.CutSuffix(name, end); ok && stem != "" {
				return stem
			}
		}
	}
	return discover.Singular(discover.Snake(f.Table))
}

// plural is what several of a thing are called, most often.
func plural(name string) string {
	switch {
	case discover.Singular(name) != name:
		return name
	case strings.HasSuffix(name, "y") && !strings.HasSuffix(name, "ay") && !strings.HasSuffix(name, "ey") && !strings.HasSuffix(name, "oy"):
		return strings.TrimSuffix(name, "y") + "ies"
	case strings.HasSuffix(name, "s"), strings.HasSuffix(name, "x"), strings.HasSuffix(name, "ch"), strings.HasSuffix(name, "sh"):
		return name + "es"
	}
	return name + "s"
}

// free is a name that no column and no other relation has, and that expressions can use.
func free(name string, taken []string) string {
	name = strings.TrimLeft(name, "0123456789")
	if name == "" {
		name = "related"
	}
	for slices.Contains(taken, name) || slices.Contains(reserved, name) {
		name += "_object"
	}
	return name
}

func columnNames(t *discover.Table) []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// writeRelations writes the block, its name too, where there are some. Those that are off are proposals, and the block is
// one where all are.
func (d *document) writeRelations(indent int, all []*relation) {
	if len(all) == 0 {
		return
	}
	off := !slices.ContainsFunc(all, func(r *relation) bool { return !r.off })
	d.proposed(indent, off, func() {
		d.line(indent, "relations:", "")
		for _, r := range all {
			d.proposed(indent+2, r.off, func() { d.writeRelation(indent+2, r) })
		}
	})
}

func (d *document) writeRelation(indent int, r *relation) {
	found := "foreign_key: " + scalar(r.foreign)
	if r.foreign == "" {
		pairs := make([]string, len(r.ours))
		for i := range r.ours {
			pairs[i] = scalar(literal(r.theirs[i])) + ": " + scalar(literal(r.ours[i]))
		}
		found = "join: {" + strings.Join(pairs, ", ") + "}"
	}
	if len(r.columns) > 0 && len(r.relations) == 0 && !r.many {
		d.line(indent, r.name+": {table: "+scalar(tableText(r.table.TableName))+", "+found+", columns: "+flow(literals(r.columns))+"}", "")
		return
	}
	d.line(indent, r.name+":", "")
	indent += 2
	d.line(indent, "table: "+scalar(tableText(r.table.TableName)), "")
	d.line(indent, found, "")
	if r.many {
		d.line(indent, "many: true", "")
	}
	switch {
	case len(r.members) > 0:
		d.line(indent, "representation:", "")
		d.writeMembers(indent+2, r.members)
	case r.value != "":
		d.line(indent, "representation: "+scalar(r.value), "")
	default:
		d.line(indent, "columns: "+flow(literals(r.columns)), "")
	}
	d.writeRelations(indent, r.relations)
}

func literals(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = literal(n)
	}
	return out
}
