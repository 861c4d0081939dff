package discover

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// Table is a table of the application, with what the catalog says of it.
type Table struct {
	cdc.TableName
	Columns []Column
	// Key are the columns of the primary key, in its order; empty where there is none.
	Key []string
	// ForeignKeys are in the order of their first columns.
	ForeignKeys []ForeignKey
	Comment     string
	// Identity is the replica identity; KeyInIdentity says that it holds the primary key.
	Identity      cdc.IdentityKind
	KeyInIdentity bool
	Partitioned   bool
	// Unlogged tables are not in the log.
	Unlogged bool
	// Owned says that the role may publish it, Readable that it may select from it.
	Owned, Readable bool
}

// Column is a column of a Table.
type Column struct {
	Name string `json:"name"`
	// Type is the type as SQL writes it: numeric(12,2), text[]. Base is the name that it has in the catalog, of a domain
	// that of the type that it is made of: numeric, _text, timestamptz.
	Type string `json:"type"`
	Base string `json:"base"`
	// Labels are those of an enum, or of an array of it.
	Labels  []string `json:"labels"`
	NotNull bool     `json:"not_null"`
	// Generated is the expression of a column that Postgres computes; it is not in the stream.
	Generated string `json:"generated"`
	Comment   string `json:"comment"`
}

// ForeignKey says that columns of a table name a row of another one.
type ForeignKey struct {
	// Columns are ours, Theirs those of the other table that they are equal to.
	Columns []string `json:"columns"`
	Theirs  []string `json:"theirs"`
	Schema  string   `json:"schema"`
	Table   string   `json:"table"`
}

// To is the table that is referred to.
func (f ForeignKey) To() cdc.TableName { return cdc.TableName{Schema: f.Schema, Name: f.Table} }

// Column is the named column.
func (t *Table) Column(name string) (Column, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// Tables reads the tables of the user's schemas: those of public first, then by schema and name. Partitions are left out,
// since the table that they are of stands for them; so are the tables of extensions, and rowhook's own.
func Tables(ctx context.Context, conn *pgx.Conn) ([]Table, error) {
	rows, err := conn.Query(ctx, `
		select n.nspname, c.relname, c.relreplident, c.relkind = 'p', c.relpersistence = 'u', pg_has_role(c.relowner, 'USAGE'),
			has_table_privilege(c.oid, 'SELECT') and has_schema_privilege(n.oid, 'USAGE'), coalesce(obj_description(c.oid, 'pg_class'), ''),
			coalesce((select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'base', b.typname,
					'labels', (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid in (b.oid, b.typelem)),
					'not_null', a.attnotnull, 'generated', case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end,
					'comment', col_description(c.oid, a.attnum)) order by a.attnum)
				from pg_attribute a
				-- what a domain is made of, through all levels
				cross join lateral (
					with recursive up(oid, base, n) as (
						select t.oid, t.typbasetype, 0 from pg_type t where t.oid = a.atttypid
						union all select t.oid, t.typbasetype, n + 1 from up join pg_type t on t.oid = up.base where up.base <> 0)
					select t.oid, t.typname, case when t.typcategory = 'A' then t.typelem else 0 end as typelem
					from up join pg_type t on t.oid = up.oid order by n desc limit 1) b
				left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
				where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]')::text,
			array(select a.attname::text from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality k(num, place)
				join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
				where i.indrelid = c.oid and i.indisprimary order by k.place),
			c.relreplident = 'f' or not exists (
				select from pg_index p cross join lateral unnest(p.indkey::int2[]) k(num)
				where p.indrelid = c.oid and p.indisprimary and k.num <> all (coalesce(
					(select i.indkey::int2[] from pg_index i where i.indexrelid = pg_get_replica_identity_index(c.oid)), '{}'))),
			coalesce((select json_agg(json_build_object('schema', fn.nspname, 'table', f.relname,
					'columns', (select json_agg(a.attname order by k.place) from unnest(o.conkey) with ordinality k(num, place)
						join pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.num),
					'theirs', (select json_agg(a.attname order by k.place) from unnest(o.confkey) with ordinality k(num, place)
						join pg_attribute a on a.attrelid = o.confrelid and a.attnum = k.num)) order by o.conkey, o.conname)
				from pg_constraint o join pg_class f on f.oid = o.confrelid join pg_namespace fn on fn.oid = f.relnamespace
				-- where a partitioned table is referred to, there is a constraint for each partition too
				where o.conrelid = c.oid and o.contype = 'f' and o.conparentid = 0), '[]')::text
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
			and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema' and n.nspname not like 'rowhook\_dev\_%'
			and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
			-- rowhook's own tables, of a run with a config
			and not exists (select from pg_class s where s.relnamespace = n.oid and s.relname = 'checkpoint'
				and exists (select from pg_class u where u.relnamespace = n.oid and u.relname = 'subscription')
				and exists (select from pg_class d where d.relnamespace = n.oid and d.relname = 'dead_letter'))
		order by n.nspname <> 'public', 1, 2`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (t Table, err error) {
		var identity rune
		var columns, foreign string
		err = r.Scan(&t.Schema, &t.Name, &identity, &t.Partitioned, &t.Unlogged, &t.Owned, &t.Readable, &t.Comment,
			&columns, &t.Key, &t.KeyInIdentity, &foreign)
		if err != nil {
			return t, err
		}
		t.Identity = cdc.IdentityKind(identity)
		if err := json.Unmarshal([]byte(columns), &t.Columns); err != nil {
			return t, fmt.Errorf("the columns of %s: %w", t.TableName, err)
		}
		if err := json.Unmarshal([]byte(foreign), &t.ForeignKeys); err != nil {
			return t, fmt.Errorf("the foreign keys of %s: %w", t.TableName, err)
		}
		return t, nil
	})
}
