//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// spread makes more tables like items, each a resource of its own, and a procedure that writes to all of them in turn.
func (d *database) spread(ctx context.Context, b *bench, tables int64) error {
	sql := fmt.Sprintf(`
		do $$ begin
			for n in 1 .. %[1]d - 1 loop execute format('create table items_%%s (like items including all)', n); end loop;
		end $$;
		alter table items rename to items_0;
		create or replace procedure write_singly(events bigint, rounds bigint, accounts bigint) language plpgsql as $$
		declare
			near constant bigint := 32;
			id_ bigint;
			seq_ bigint;
		begin
			for n in 0 .. events - 1 loop
				id_ := n / (near * rounds) * near + n %% near;
				seq_ := n %% (near * rounds) / near;
				if seq_ = 0 then
					execute format('insert into items_%%s (id, seq, sent, account_id, name, email, city, note)
						values ($1, 0, 0, ($1 %%%% $2)::text, ''Ada Lovelace'', ''ada@example.com'', ''London'', repeat(''n'', 200))', id_ %% %[1]d) using id_, accounts;
				else
					execute format('update items_%%s set seq = $1 where id = $2', id_ %% %[1]d) using seq_, id_;
				end if;
				commit;
			end loop;
		end$$;`, tables)
	if _, err := d.conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("make %d tables: %w", tables, err)
	}
	head, _, _ := strings.Cut(config, "resources:\n")
	var file strings.Builder
	file.WriteString(head + "resources:\n")
	for n := range tables {
		fmt.Fprintf(&file, "  item_%[1]d: {table: items_%[1]d, account: account_id, columns: all}\n", n)
	}
	d.config = b.config + "." + d.name
	if err := os.WriteFile(d.config, []byte(file.String()), 0o600); err != nil {
		return fmt.Errorf("write a config: %w", err)
	}
	return nil
}

// tablesScenario writes to all tables in turn, through the same statements: with one table there is no difference but
// their number. The definition of a table is looked up once, with its first change: there are enough changes of each that this is
// little of the run, since it is the cost of each further event that must not grow.
func tablesScenario(s sizes) scenario {
	one := backlog{events: s.tables * s.perTable, perInstance: 4, tables: 1,
		subscribe: func(ctx context.Context, b *bench, r *rowhook) error {
			return r.subscribeTo(ctx, b.url(hooks), "", []string{"*"})
		}}
	many := one
	many.tables = s.tables
	nameMany := fmt.Sprintf("%d tables", s.tables)
	return scenario{
		Name:     "tables",
		What:     fmt.Sprintf("%d single-row transactions wait, of one mapped table, or of %d in turn; one subscription", one.events, s.tables),
		variants: []variant{{"1 table", one.run}, {nameMany, many.run}},
		ratios: []ratio{{metric: rate, of: nameMany, to: "1 table"}, {metric: cpuPerEvent, of: nameMany, to: "1 table"},
			{metric: postgresCPU, of: nameMany, to: "1 table"}},
	}
}
