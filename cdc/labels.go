package cdc

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/secret"
)

// LoadLabels puts the labels of enums into the types of the tables' columns. LoadTables leaves them out: a stream does not
// need them, and a label more is no change of a table.
func LoadLabels(ctx context.Context, conn *pgx.Conn, tables map[TableName]*Table) error {
	enums := enumsOf(tables)
	labels, err := labelsOf(ctx, conn, enums)
	for oid, types := range enums {
		for _, t := range types {
			t.Labels = slices.Clone(labels[oid])
		}
	}
	return err
}

// EnumLabels are the labels of the enums of the tables' columns, in their order, by the types' OIDs. Errors are of type Error,
// or the database's.
func EnumLabels(ctx context.Context, url secret.String, tables map[TableName]*Table) (map[uint32][]string, error) {
	enums := enumsOf(tables)
	if len(enums) == 0 {
		return nil, nil
	}
	conn, err := Config{URL: url}.connectSQL(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	return labelsOf(ctx, conn, enums)
}

// enumsOf are the enums in the types of the tables' columns.
func enumsOf(tables map[TableName]*Table) map[uint32][]*Type {
	enums := map[uint32][]*Type{}
	seen := map[*Type]bool{}
	var walk func(t *Type)
	walk = func(t *Type) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		if t.Kind == 'e' {
			enums[t.OID] = append(enums[t.OID], t)
		}
		walk(t.Base)
		walk(t.Elem)
		walk(t.Sub)
		for _, f := range t.Fields {
			walk(f.Type)
		}
	}
	for _, table := range tables {
		if table == nil {
			continue
		}
		for _, c := range table.Columns {
			walk(c.Type)
		}
	}
	return enums
}

func labelsOf(ctx context.Context, conn *pgx.Conn, enums map[uint32][]*Type) (map[uint32][]string, error) {
	if len(enums) == 0 {
		return nil, nil
	}
	var oids []uint32
	for oid := range enums {
		oids = append(oids, oid)
	}
	rows, err := conn.Query(ctx, `select enumtypid, array_agg(enumlabel::text order by enumsortorder) from pg_enum
		where enumtypid = any($1::oid[]) group by enumtypid`, oids)
	if err != nil {
		return nil, err
	}
	all := make(map[uint32][]string, len(oids))
	var oid uint32
	var labels []string
	_, err = pgx.ForEachRow(rows, []any{&oid, &labels}, func() error {
		all[oid] = slices.Clone(labels)
		return nil
	})
	return all, err
}
