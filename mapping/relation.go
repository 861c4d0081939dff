package mapping

import (
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// relation is a parsed Relation.
type relation struct {
	Relation
	// path names it in messages: contact.tags.
	path      string
	root      *element
	order     []orderColumn
	relations []*relation
}

// orderColumn is a column to order by.
type orderColumn struct {
	Source
	descending bool
}

// notNames are words of expressions that no relation can be called.
var notNames = []string{"old", "api", "null", "nil", "true", "false", "and", "or", "not", "in", "matches", "contains",
	"startsWith", "endsWith", "let", "if", "else"}

func parseRelations(of string, relations []Relation, problems *problem.List) []*relation {
	var parsed []*relation
	seen := map[string]problem.Place{}
	for _, r := range relations {
		p := &relation{Relation: r, path: of + "." + r.Name}
		if !validRelationName(r.Name) {
			problems.Add(r.At, "use letters, digits and _, a letter first, and no word of the expressions' own: company, line_items",
				"relation name %q is not valid", r.Name)
		}
		if first, ok := seen[r.Name]; ok {
			problems.Add(r.At, "", "duplicate relation %q, first at line %d", r.Name, first.Line)
			continue
		}
		seen[r.Name] = r.At
		p.parse(problems)
		parsed = append(parsed, p)
	}
	return parsed
}

func (p *relation) parse(problems *problem.List) {
	r := &p.Relation
	if r.Table.Name == "" {
		problems.Add(place(r.TableAt, r.At), "name the table, as in table: companies", "relation %s has no table", p.path)
	}
	switch {
	case r.ForeignKey != nil && len(r.Join) > 0:
		problems.Add(r.ForeignKey.At, "keep one of them", "relation %s has both foreign_key and join", p.path)
	case r.ForeignKey == nil && len(r.Join) == 0:
		problems.Add(r.At, "name the column: foreign_key: company_id; or, where the key has several columns, join: {their_column: our_column, …}",
			"relation %s does not say how its rows are found", p.path)
	}
	var theirs []Source
	for _, j := range r.Join {
		theirs = append(theirs, j.Theirs)
	}
	checkDuplicates("join", theirs, problems)
	if len(r.OrderBy) > 0 && !r.Many {
		problems.Add(r.OrderBy[0].At, "add many: true, or leave order_by out", "relation %s is to one row, which has no order", p.path)
	}
	var ordered []Source
	for _, o := range r.OrderBy {
		column := orderColumn{Source: o}
		name, word, _ := strings.Cut(strings.TrimSpace(o.Text), " ")
		switch strings.ToLower(strings.TrimSpace(word)) {
		case "desc":
			column.Text, column.descending = name, true
		case "asc":
			column.Text = name
		}
		p.order, ordered = append(p.order, column), append(ordered, column.Source)
	}
	checkDuplicates("order_by", ordered, problems)
	columns := r.AllColumns || len(r.Columns) > 0
	switch {
	case r.Representation != nil && columns:
		problems.Add(r.At, "keep one of them", "relation %s has both representation and columns", p.path)
	case r.Representation == nil && !columns:
		problems.Add(r.At, "say what a row becomes: representation: {id: ${id}, name: ${name}}, or columns: [id, name]",
			"relation %s has neither representation nor columns", p.path)
	}
	if len(r.Except) > 0 && !r.AllColumns {
		problems.Add(place(r.Except[0].At, r.At), "write columns: all beside it, or leave it out",
			"except of relation %s goes with columns: all only", p.path)
	}
	checkDuplicates("columns", r.Columns, problems)
	checkDuplicates("except", r.Except, problems)
	if r.Representation != nil {
		b := treeBuilder{file: r.File, problems: problems}
		p.root = b.build(r.Representation, "")
	}
	p.relations = parseRelations(p.path, r.Relations, problems)
}

func validRelationName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && !slices.Contains(notNames, s)
}

// RelatedTables are the tables that relations read, each once, in the order of the file, and those of resources whose
// rows are looked for from below (touch). Those of relations need not be published.
func (d *Definition) RelatedTables() []cdc.TableName {
	var tables []cdc.TableName
	add := func(t cdc.TableName) {
		if !slices.Contains(tables, t) {
			tables = append(tables, t)
		}
	}
	for _, r := range d.resources {
		walk(r.relations, func(rel *relation) {
			add(rel.Table)
			if rel.Touch {
				add(r.Table)
			}
		})
	}
	return tables
}

// walk goes through relations and those of their rows.
func walk(relations []*relation, each func(*relation)) {
	for _, r := range relations {
		each(r)
		walk(r.relations, each)
	}
}
