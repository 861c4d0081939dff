package config

import (
	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// relationMap is a map from names to relations, kept in the file's order. Package mapping checks the names.
type relationMap struct{}

func (relationMap) decode(d *decoder, v value, to *[]mapping.Relation) {
	if d.bad[v.node] {
		return
	}
	entries, ok := d.entries(v, true)
	if !ok {
		return
	}
	if len(v.node.Content) == 0 {
		d.add(d.objectPlace(v), "add a relation, or leave it out: company: {table: companies, foreign_key: company_id, columns: [id, name]}", "%s is empty", v.path)
	}
	for _, e := range entries {
		r := mapping.Relation{Name: e.name, At: e.key, File: d.file}
		relationObject.decode(d, e.value, &r)
		*to = append(*to, r)
	}
}

func (relationMap) schema(*[]mapping.Relation) jsonObject {
	return jsonObject{
		{"type", "object"},
		{"minProperties", 1},
		{"patternProperties", jsonObject{{`^[A-Za-z_][A-Za-z0-9_]*$`, jsonObject{{"$ref", "#/$defs/relation"}}}}},
		{"additionalProperties", false},
	}
}

// checkRelation looks at how a relation's keys fit together.
func checkRelation(d *decoder, v value, r *mapping.Relation) {
	given := map[string]value{}
	entries, _ := d.entriesOf(v)
	for _, e := range entries {
		given[e.name] = e.value
	}
	has := func(name string) bool { _, ok := given[name]; return ok }
	switch {
	case has("foreign_key") && has("join"):
		d.add(given["join"].key, "keep one of them", "%s has both foreign_key and join", v.path)
	case !has("foreign_key") && !has("join"):
		d.add(d.objectPlace(v), "name the column: foreign_key: company_id; or, for several, join: {their_column: our_column}",
			"%s does not say how its rows are found", v.path)
	}
	switch {
	case has("representation") && has("columns"):
		d.add(given["columns"].key, "keep one of them", "%s has both representation and columns", v.path)
	case !has("representation") && !has("columns"):
		d.add(d.objectPlace(v), "add representation: {id: ${id}, …}, or columns: [id, …]", "%s must say what a row becomes", v.path)
	}
	if has("except") && !r.AllColumns && !d.bad[given["columns"].path] {
		d.add(given["except"].key, "add columns: all, or leave except out", "%s.except goes with columns: all", v.path)
	}
	if has("order_by") && !r.Many && !d.bad[given["many"].path] {
		d.add(given["order_by"].key, "add many: true, or leave order_by out", "%s is to one row, which has no order", v.path)
	}
}

// relatedTableKind takes a relation's table and its place.
type relatedTableKind struct{ table scalar[cdc.TableName] }

func (k relatedTableKind) decode(d *decoder, v value, to *mapping.Relation) {
	to.TableAt = d.textPlace(v.node)
	k.table.decode(d, v, &to.Table)
}

func (k relatedTableKind) schema(*mapping.Relation) jsonObject { return k.table.schema(nil) }

// relatedColumnsKind is a list of the other table's columns, or all.
type relatedColumnsKind struct{ columns columnsKind }

func (k relatedColumnsKind) decode(d *decoder, v value, to *mapping.Relation) {
	k.columns.into(d, v, &to.Columns, &to.AllColumns)
}

func (k relatedColumnsKind) schema(*mapping.Relation) jsonObject { return k.columns.schema(nil) }

// columnRef is one column with its place.
type columnRef struct{ scalar[string] }

func (k columnRef) decode(d *decoder, v value, to **mapping.Source) {
	c := mapping.Source{At: d.textPlace(v.node)}
	if k.scalar.decode(d, v, &c.Text); c.Text != "" {
		*to = &c
	}
}

func (k columnRef) schema(**mapping.Source) jsonObject {
	return append(k.scalar.schema(nil), jsonMember{"examples", []any{"company_id"}})
}

// joinKind is a map from columns of the other table to ours.
type joinKind struct{ column scalar[string] }

func (k joinKind) decode(d *decoder, v value, to *[]mapping.JoinColumn) {
	if d.bad[v.node] {
		return
	}
	entries, ok := d.entries(v, true)
	if !ok {
		return
	}
	if len(v.node.Content) == 0 {
		d.add(d.objectPlace(v), "write join: {their_column: our_column}", "%s names no column", v.path)
	}
	for _, e := range entries {
		j := mapping.JoinColumn{Theirs: mapping.Source{Text: e.name, At: e.key}, Ours: mapping.Source{At: d.textPlace(e.node)}}
		if k.column.decode(d, e.value, &j.Ours.Text); j.Ours.Text != "" {
			*to = append(*to, j)
		}
	}
}

func (k joinKind) schema(*[]mapping.JoinColumn) jsonObject {
	return jsonObject{
		{"type", "object"},
		{"minProperties", 1},
		{"additionalProperties", k.column.schema(nil)},
		{"examples", []any{jsonObject{{"contact_id", "id"}, {"tenant", "tenant"}}}},
	}
}

// orderKind is a column, or a list of columns.
type orderKind struct{ column scalar[string] }

func (k orderKind) decode(d *decoder, v value, to *[]mapping.Source) {
	columns := list[mapping.Source]{item: kind[mapping.Source](columnKind{k.column})}
	if v.node.Kind != yaml.ScalarNode {
		columns.decode(d, v, to)
		return
	}
	var one mapping.Source
	if columns.item.decode(d, v, &one); one.Text != "" {
		*to = []mapping.Source{one}
	}
}

func (k orderKind) schema(*[]mapping.Source) jsonObject {
	one := k.column.schema(nil)
	return jsonObject{
		{"anyOf", []any{one, jsonObject{{"type", "array"}, {"items", one}}}},
		{"examples", []any{"position", []any{"position desc", "name"}}},
	}
}
