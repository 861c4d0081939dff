package cdc

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// hindrance is why Postgres refuses every UPDATE and DELETE of a table, or partition, that a publication has.
type hindrance struct {
	TableName
	why hinder
}

type hinder string

const (
	// hinderNoIdentity: it cannot name its old rows (55000).
	hinderNoIdentity hinder = "identity"
	// hinderVirtual: its identity has a virtual generated column, which is never published (42P10, since 18).
	hinderVirtual hinder = "virtual"
	// hinderStored: its identity has a stored generated column, which this publication leaves out (42P10, since 18).
	hinderStored hinder = "stored"
)

// hindrances are those of the tables, by OID; of partitioned ones those of their partitions, which is where rows are written and whose
// replica identities count. Stored says that stored generated columns are published.
// https://www.postgresql.org/docs/18/logical-replication-gencols.html
func hindrances(ctx context.Context, conn *pgx.Conn, oids []uint32, stored bool) (map[uint32][]hindrance, error) {
	rows, err := conn.Query(ctx, `
		with recursive tree(root, oid) as (
			select o, o from unnest($1::oid[]) as o
			union all
			select t.root, i.inhrelid from tree t join pg_class p on p.oid = t.oid and p.relkind = 'p' join pg_inherits i on i.inhparent = t.oid
		), leaf as (
			select t.root, c.oid, n.nspname, c.relname, c.relreplident, k.indkey
			from tree t join pg_class c on c.oid = t.oid and c.relkind = 'r' join pg_namespace n on n.oid = c.relnamespace
			left join pg_index k on k.indrelid = c.oid and case c.relreplident
				when 'd' then k.indisprimary and k.indimmediate when 'i' then k.indisreplident else false end
		), told as (
			select l.root, l.nspname, l.relname, case
				when l.relreplident <> 'f' and l.indkey is null then 'identity'
				when current_setting('server_version_num')::int < 180000 then null
				when g.kinds like '%v%' then 'virtual'
				when g.kinds like '%s%' and not $2 then 'stored' end as why
			from leaf l left join lateral (
				select string_agg(a.attgenerated::text, '') as kinds from pg_attribute a
				where a.attrelid = l.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated <> ''
				and (l.relreplident = 'f' or a.attnum = any(l.indkey::int2[]))) g on true
		)
		select root, nspname, relname, why from told where why is not null order by nspname, relname`, oids, stored)
	if err != nil {
		return nil, err
	}
	found := map[uint32][]hindrance{}
	var root uint32
	var h hindrance
	_, err = pgx.ForEachRow(rows, []any{&root, &h.Schema, &h.Name, &h.why}, func() error {
		found[root] = append(found[root], h)
		return nil
	})
	return found, err
}

// loadHindrances fills in what stands in the way whatever the publication says.
func loadHindrances(ctx context.Context, conn *pgx.Conn, oids []uint32, byOID map[uint32]*Table) error {
	found, err := hindrances(ctx, conn, oids, true)
	for oid, all := range found {
		byOID[oid].hindered = all
	}
	return err
}

// what tells of it.
func (h hindrance) what() string {
	switch h.why {
	case hinderVirtual:
		return fmt.Sprintf("table %s has REPLICA IDENTITY FULL and virtual generated columns, which Postgres cannot publish", h.TableName)
	case hinderStored:
		return fmt.Sprintf("the replica identity of table %s has stored generated columns, which the publication leaves out", h.TableName)
	case hinderNoIdentity:
		return fmt.Sprintf("table %s has no usable replica identity", h.TableName)
	}
	return fmt.Sprintf("table %s: %s", h.TableName, h.why)
}

// mend is a statement for it; empty where it is not the table that is to be mended.
func (h hindrance) mend() string {
	if h.why == hinderStored {
		return ""
	}
	return fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT;", h.Quote())
}

// toldHindrances are some of several: a table can have thousands of partitions.
const toldHindrances = 5

// hinderedTrouble is why a table must not be published, or nil.
func hinderedTrouble(t *Table) *Error {
	if len(t.hindered) == 0 {
		return nil
	}
	var what, mend []string
	for _, h := range t.hindered[:min(len(t.hindered), toldHindrances)] {
		what, mend = append(what, h.what()), append(mend, h.mend())
	}
	if n := len(t.hindered) - toldHindrances; n > 0 {
		what = append(what, fmt.Sprintf("%d more partitions of %s", n, t.TableName))
	}
	return &Error{Class: Refused,
		What: strings.Join(what, "; ") + ": publishing it would make the application's updates fail",
		Mend: strings.Join(mend, " ") + "  (a table without a usable primary key needs FULL, or a unique index)"}
}
