package dev

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// table is a table of the database, as far as it matters whether, and how, it can be a resource.
type table struct {
	cdc.TableName
	columns []string // without generated ones, which are not in the stream
	key     []string
	// unfit is why it cannot be replicated, or empty.
	unfit string
}

// discover reads the tables of the user's schemas. Partitions are left out: the table that they are of stands for them.
func discover(ctx context.Context, conn *pgx.Conn) ([]table, error) {
	rows, err := conn.Query(ctx, `
		select n.nspname, c.relname,
			array(select a.attname::text from pg_attribute a
				where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum),
			array(select a.attname::text from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality k(num, place)
				join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
				where i.indrelid = c.oid and i.indisprimary order by k.place),
			case
				when c.relpersistence <> 'p' then 'it is unlogged, so not in the log'
				when not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) then 'no primary key'
				when c.relreplident <> 'f' and exists (
					select from pg_index p cross join lateral unnest(p.indkey::int2[]) k(num)
					where p.indrelid = c.oid and p.indisprimary and k.num <> all (coalesce(
						(select i.indkey::int2[] from pg_index i where i.indexrelid = pg_get_replica_identity_index(c.oid)), '{}')))
					then 'its replica identity lacks the primary key'
				when not pg_has_role(c.relowner, 'USAGE') then 'only its owner may publish it'
				else '' end
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
			and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema' and n.nspname not like 'rowhook\_dev\_%'
			and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
			-- rowhook's own tables, of a run with a config
			and not exists (select from pg_class s where s.relnamespace = n.oid and s.relname = 'checkpoint'
				and exists (select from pg_class u where u.relnamespace = n.oid and u.relname = 'subscription')
				and exists (select from pg_class d where d.relnamespace = n.oid and d.relname = 'delivery'))
		order by n.nspname <> 'public', 1, 2`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (t table, err error) {
		return t, r.Scan(&t.Schema, &t.Name, &t.columns, &t.key, &t.unfit)
	})
}

// plan is what becomes of the tables.
type plan struct {
	resources []resource
	// Tables of frameworks by the framework, tables that cannot be replicated with their reasons, and columns that look
	// secret: all that was left out.
	frameworks []omission
	unfit      []omission
	secrets    []string
}

type resource struct {
	name    string
	table   cdc.TableName
	columns []string
	key     []string
}

// omission is a reason and the tables that are left out for it.
type omission struct {
	reason string
	tables []string
}

// decide makes the plan: of all tables, or of those named.
func decide(tables []table, only []string) (plan, error) {
	var p plan
	if len(only) > 0 {
		var err error
		if tables, err = choose(tables, only); err != nil {
			return p, err
		}
	}
	for _, t := range tables {
		shown := display(t.TableName)
		// A table that was named is wanted.
		if f := framework(t.Name); f != "" && len(only) == 0 {
			p.frameworks = omit(p.frameworks, f, shown)
			continue
		}
		if t.unfit != "" {
			p.unfit = omit(p.unfit, t.unfit, shown)
			continue
		}
		r := resource{table: t.TableName, key: t.key}
		var secrets []string
		for _, c := range t.columns {
			if looksSecret(c) {
				secrets = append(secrets, shown+"."+c)
				continue
			}
			r.columns = append(r.columns, c)
		}
		if slices.ContainsFunc(t.key, looksSecret) {
			p.unfit = omit(p.unfit, "its primary key looks secret", shown)
			continue
		}
		p.secrets = append(p.secrets, secrets...)
		p.resources = append(p.resources, r)
	}
	name(p.resources)
	return p, nil
}

func omit(list []omission, reason, table string) []omission {
	for i := range list {
		if list[i].reason == reason {
			list[i].tables = append(list[i].tables, table)
			return list
		}
	}
	return append(list, omission{reason, []string{table}})
}

// choose picks the named tables: contacts, or crm.contacts.
func choose(tables []table, only []string) ([]table, error) {
	var all []string
	for _, t := range tables {
		all = append(all, display(t.TableName))
	}
	var chosen []table
	var unknown []string
	for _, want := range only {
		found := false
		for _, t := range tables {
			if want == t.Name || want == t.TableName.String() {
				found = true
				if !slices.ContainsFunc(chosen, func(c table) bool { return c.TableName == t.TableName }) {
					chosen = append(chosen, t)
				}
			}
		}
		if !found {
			text := fmt.Sprintf("there is no table %q", want)
			hint := problem.DidYouMean(want, all)
			if hint == "" && len(all) > 0 {
				hint = "there are: " + strings.Join(all[:min(len(all), 20)], ", ")
			}
			if hint != "" {
				text += "\n  hint: " + hint
			}
			unknown = append(unknown, text)
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(unknown, "\n"))
	}
	return chosen, nil
}

// display is a table's name, with its schema where that is not public.
func display(t cdc.TableName) string {
	if t.Schema == "public" {
		return t.Name
	}
	return t.String()
}

// name gives each resource the singular of its table. Where several would have the same, they get the schema's name in
// front, and where that does not help, the tables' own.
func name(resources []resource) {
	ways := []func(t cdc.TableName) string{
		func(t cdc.TableName) string { return singular(snake(t.Name)) },
		func(t cdc.TableName) string { return snake(t.Schema) + "_" + singular(snake(t.Name)) },
		func(t cdc.TableName) string { return snake(t.Schema) + "_" + snake(t.Name) },
	}
	way := make([]int, len(resources))
	for n := 0; n < len(ways); n++ {
		count := map[string]int{}
		for i := range resources {
			resources[i].name = legal(ways[way[i]](resources[i].table))
			count[resources[i].name]++
		}
		for i := range resources {
			if count[resources[i].name] > 1 && way[i] < len(ways)-1 {
				way[i]++
			}
		}
	}
	taken := map[string]int{}
	for i := range resources {
		r := &resources[i]
		if taken[r.name]++; taken[r.name] > 1 {
			r.name = fmt.Sprintf("%.60s_%d", r.name, taken[r.name])
		}
	}
	slices.SortStableFunc(resources, func(a, b resource) int { return cmp.Compare(a.name, b.name) })
}

// legal makes a name that resources may have.
func legal(s string) string {
	s = strings.TrimLeft(s, "_")
	if s == "" || s[0] < 'a' || s[0] > 'z' || s == "rowhook" {
		s = "t_" + s
	}
	return s[:min(len(s), 63)]
}
