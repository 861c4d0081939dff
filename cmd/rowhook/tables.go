package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// readTables reads what mapping has to know of the tables. Unlike cdc's Prepare it makes nothing, and needs no right to
// replicate.
func readTables(ctx context.Context, conn *pgx.Conn, names []cdc.TableName) (map[cdc.TableName]*cdc.Table, error) {
	types, err := readTypes(ctx, conn)
	if err != nil {
		return nil, err
	}
	tables := map[cdc.TableName]*cdc.Table{}
	for _, name := range names {
		t := &cdc.Table{TableName: name}
		var kind, identity rune
		err := conn.QueryRow(ctx, `select c.oid, c.relkind, c.relreplident from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')`, name.Schema, name.Name).Scan(&t.OID, &kind, &identity)
		if err == pgx.ErrNoRows {
			continue // Compile says so, with what was probably meant
		}
		if err != nil {
			return nil, err
		}
		t.Kind, t.Identity = byte(kind), cdc.IdentityKind(identity)
		if err := readColumns(ctx, conn, t, types); err != nil {
			return nil, err
		}
		tables[name] = t
	}
	return tables, nil
}

func readColumns(ctx context.Context, conn *pgx.Conn, t *cdc.Table, types map[uint32]*cdc.Type) error {
	rows, err := conn.Query(ctx, `
		select a.attname, a.atttypid, a.attnotnull, a.attgenerated <> '',
			c.relreplident = 'f' or coalesce(a.attnum = any(k.indkey::int2[]), false),
			coalesce(array_position(p.indkey::int2[], a.attnum), -1)
		from pg_attribute a
		join pg_class c on c.oid = a.attrelid
		left join pg_index k on k.indexrelid = pg_get_replica_identity_index(a.attrelid)
		left join pg_index p on p.indrelid = a.attrelid and p.indisprimary
		where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum`, t.OID)
	if err != nil {
		return err
	}
	var c cdc.Column
	var typ uint32
	var place int
	key := map[int]int{}
	_, err = pgx.ForEachRow(rows, []any{&c.Name, &typ, &c.NotNull, &c.Generated, &c.Identity, &place}, func() error {
		if c.Type = types[typ]; c.Type == nil {
			c.Type = &cdc.Type{OID: typ}
		}
		if place >= 0 {
			key[place] = len(t.Columns) // subscripts of an int2vector begin at 0
		}
		t.Columns = append(t.Columns, c)
		return nil
	})
	for i := range len(key) {
		t.Key = append(t.Key, key[i])
	}
	return err
}

// readTypes reads the types of the database.
func readTypes(ctx context.Context, conn *pgx.Conn) (map[uint32]*cdc.Type, error) {
	rows, err := conn.Query(ctx, `select oid, typname, typtype, typdelim, typbasetype, case when typcategory = 'A' then typelem else 0 end from pg_type`)
	if err != nil {
		return nil, err
	}
	var oid, base, elem uint32
	var name string
	var kind, delim rune
	types, bases, elems := map[uint32]*cdc.Type{}, map[uint32]uint32{}, map[uint32]uint32{}
	_, err = pgx.ForEachRow(rows, []any{&oid, &name, &kind, &delim, &base, &elem}, func() error {
		types[oid] = &cdc.Type{OID: oid, Name: name, Kind: byte(kind), Delim: byte(delim)}
		bases[oid], elems[oid] = base, elem
		return nil
	})
	for oid, t := range types {
		// A domain over an array has the category of its base: the elements are the base's.
		if t.Base = types[bases[oid]]; t.Base == nil {
			t.Elem = types[elems[oid]]
		}
	}
	return types, err
}
