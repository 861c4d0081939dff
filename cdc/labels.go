package cdc

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// LoadLabels puts the labels of enums into the types of the tables' columns. LoadTables leaves them out: a stream does not
// need them, and a label more is no change of a table.
func LoadLabels(ctx context.Context, conn *pgx.Conn, tables map[TableName]*Table) error {
	enums := map[uint32][]*Type{}
	var oids []uint32
	seen := map[*Type]bool{}
	var walk func(t *Type)
	walk = func(t *Type) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		if t.Kind == 'e' {
			oids, enums[t.OID] = append(oids, t.OID), append(enums[t.OID], t)
		}
		walk(t.Base)
		walk(t.Elem)
		walk(t.Sub)
		for _, f := range t.Fields {
			walk(f.Type)
		}
	}
	for _, table := range tables {
		for _, c := range table.Columns {
			walk(c.Type)
		}
	}
	if len(oids) == 0 {
		return nil
	}
	rows, err := conn.Query(ctx, `select enumtypid, array_agg(enumlabel::text order by enumsortorder) from pg_enum
		where enumtypid = any($1::oid[]) group by enumtypid`, oids)
	if err != nil {
		return err
	}
	var oid uint32
	var labels []string
	_, err = pgx.ForEachRow(rows, []any{&oid, &labels}, func() error {
		for _, t := range enums[oid] {
			t.Labels = slices.Clone(labels)
		}
		return nil
	})
	return err
}
