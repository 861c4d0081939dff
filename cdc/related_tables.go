package cdc

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/secret"
)

// RelatedTables reads the definitions of tables and views, with their indexes, where rows of them are to be read, and
// checks that this is the database of the lineage, if one is given: the source or a standby of it. Names that are not
// there are missing from the result. Errors are of type Error.
func RelatedTables(ctx context.Context, url secret.String, names []TableName, lineage string) (map[TableName]*Table, error) {
	conn, err := Config{URL: url}.connectSQL(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	if lineage != "" {
		var here string
		err := conn.QueryRow(ctx, `
			select s.system_identifier || '/' || d.oid from pg_control_system() s, pg_database d
			where d.datname = current_database()`).Scan(&here)
		if err != nil {
			return nil, relatedTrouble(err)
		}
		if here != lineage {
			return nil, &Error{Class: Refused, What: "database.read_url is not the database of database.url, nor a standby of it",
				Mend: "name the source, or a standby that replays its log; leave it out to read where the changes come from"}
		}
	}
	tables, err := LoadTables(ctx, conn, names)
	if err != nil {
		return nil, relatedTrouble(err)
	}
	if err := loadIndexes(ctx, conn, tables); err != nil {
		return nil, relatedTrouble(err)
	}
	return tables, nil
}

func relatedTrouble(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := &Error{Class: Unavailable, What: "read the definitions of the tables of relations", Err: cause(err)}
	if SQLState(err) == "42501" {
		e.Class = Refused
	}
	return e
}

// loadIndexes fills in Indexes of tables. Views have none to miss.
func loadIndexes(ctx context.Context, conn *pgx.Conn, tables map[TableName]*Table) error {
	byOID := map[uint32]*Table{}
	var oids []uint32
	for _, t := range tables {
		if t.Kind == 'r' || t.Kind == 'p' {
			t.Indexes = []string{}
			byOID[t.OID], oids = t, append(oids, t.OID)
		}
	}
	rows, err := conn.Query(ctx, `
		select i.indrelid, a.attname
		from pg_index i
		join pg_class x on x.oid = i.indexrelid
		join pg_am m on m.oid = x.relam and m.amname in ('btree', 'hash')
		join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
		where i.indrelid = any($1::oid[]) and i.indisvalid and i.indpred is null`, oids)
	if err != nil {
		return fmt.Errorf("read the indexes: %w", err)
	}
	var oid uint32
	var first string
	_, err = pgx.ForEachRow(rows, []any{&oid, &first}, func() error {
		byOID[oid].Indexes = append(byOID[oid].Indexes, first)
		return nil
	})
	return err
}
