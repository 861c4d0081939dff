package scaffold

import (
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/discover"
)

// member is one of a representation: a value, an object, or a remark in the place of one.
type member struct {
	name string
	// value is a template or a literal, as YAML; members are those of an object.
	value   string
	members []member
	note    string
	// off says that it is a proposal.
	off bool
	// remark stands instead of a member.
	remark string
}

func (m *member) active() bool { return !m.off && m.remark == "" }

func (d *document) writeMembers(indent int, all []member) {
	for _, m := range all {
		switch {
		case m.remark != "":
			d.prose(indent, m.remark)
		case len(m.members) > 0:
			d.line(indent, scalar(m.name)+":", m.note)
			d.writeMembers(indent+2, m.members)
		default:
			d.proposed(indent, m.off, func() { d.line(indent, scalar(m.name)+": "+m.value, m.note) })
		}
	}
}

// ofColumns are the members that a table's columns make, each under its own name.
func ofColumns(r *resource) (members []member) {
	for _, c := range r.table.Columns {
		m := member{name: c.Name, value: scalar(valueOf(column(c.Name))), note: about(c)}
		switch {
		case strings.Contains(c.Name, "${"):
			m = member{remark: clean(c.Name) + ": left out, since a member's name cannot hold ${: give it another one"}
		case c.Generated != "":
			m = member{remark: c.Name + ": left out, since Postgres computes it and does not send it; write its expression: " + c.Generated}
		case discover.LooksSecret(c.Name):
			m.off, m.note = true, "looks secret"
		case strings.HasPrefix(discover.Snake(c.Name), "internal_"), strings.HasPrefix(discover.Snake(c.Name), "private_"):
			m.off, m.note = true, "looks internal"
		case c.Base == "tsvector":
			m.off, m.note = true, "an index of other columns"
		}
		members = append(members, m)
		for _, rel := range r.relations {
			if !rel.many && rel.ours[len(rel.ours)-1] == c.Name {
				members = append(members, withRelations(rel))
			}
		}
	}
	for _, rel := range r.relations {
		if rel.many {
			members = append(members, withRelations(rel))
		}
	}
	return members
}

func withRelations(rel *relation) member {
	return member{name: rel.name, value: valueOf(rel.name), off: true, note: "with relations, below"}
}

// about is what the schema says of a column's values.
func about(c discover.Column) string {
	var parts []string
	if c.Comment != "" {
		parts = append(parts, c.Comment)
	}
	if n := len(c.Labels); n > 0 {
		const most = 12
		text := strings.Join(c.Labels[:min(n, most)], ", ")
		if n > most {
			text += ", …"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ": ")
}

// anyActive says whether one of the members is sent.
func anyActive(all []member) bool {
	return slices.ContainsFunc(all, func(m member) bool { return m.active() })
}
