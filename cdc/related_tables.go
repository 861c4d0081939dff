package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	if err := loadGuarded(ctx, conn, tables); err != nil {
		return nil, relatedTrouble(err)
	}
	return tables, nil
}

// loadGuarded fills in GuardedFrom: whom the policies of a table count for.
func loadGuarded(ctx context.Context, conn *pgx.Conn, tables map[TableName]*Table) error {
	oids := oidsOf(tables)
	rows, err := conn.Query(ctx, `select o from unnest($1::oid[]) o where row_security_active(o)`, oids)
	if err != nil {
		return fmt.Errorf("read whom row-level security counts for: %w", err)
	}
	guarded, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	if err != nil {
		return fmt.Errorf("read whom row-level security counts for: %w", err)
	}
	for _, t := range tables {
		if slices.Contains(guarded, t.OID) {
			t.GuardedFrom = conn.Config().User
		}
	}
	return nil
}

// Guarded refuses tables whose rows are to be read, and are not told to the role for row-level security: with row_security
// off, whatever the policies say, Postgres refuses to read them. Nil where there are none.
func Guarded(tables map[TableName]*Table) error {
	var names []string
	role := ""
	for n, t := range tables {
		if t.GuardedFrom != "" {
			names, role = append(names, n.String()), t.GuardedFrom
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return &Error{Class: Refused, What: fmt.Sprintf("row-level security guards %s from the role %q, and relations read it", strings.Join(names, ", "), role),
		Mend: SeeAll(role)}
}

// SeeAll lets a role pass by row-level security.
func SeeAll(role string) string { return "ALTER ROLE " + QuoteIdent(role) + " BYPASSRLS;" }

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
