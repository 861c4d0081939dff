package config

import "github.com/rowhook/rowhook/mapping"

// keyKind is a column or a list of columns that name a row.
type keyKind struct{ columns orderKind }

func (k keyKind) decode(d *decoder, v value, to *[]mapping.Source) {
	if k.columns.decode(d, v, to); len(*to) == 0 && !d.bad[v.path] && len(v.node.Content) == 0 {
		d.add(d.textPlace(v.node), "name a column, or leave key out for the primary key", "%s is empty", v.path)
	}
}

func (k keyKind) schema(*[]mapping.Source) jsonObject {
	one := k.columns.column.schema(nil)
	return jsonObject{
		{"anyOf", []any{one, jsonObject{{"type", "array"}, {"minItems", 1}, {"items", one}}}},
		{"examples", []any{"slug", []any{"tenant_id", "number"}}},
	}
}
