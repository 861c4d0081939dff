//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// relatedRows makes what items are related to: each has one of 1,000 companies, and three tags through a join table.
const relatedRows = `
	create table companies (id bigint primary key, name text not null, city text not null);
	create table tags (id bigint primary key, name text not null);
	create table item_tags (item_id bigint not null, tag_id bigint not null, position int not null, primary key (item_id, tag_id));
	insert into companies select n, 'Company ' || n, 'London' from generate_series(0, 999) n;
	insert into tags select n, 'tag ' || n from generate_series(0, 99) n;
	insert into item_tags select n, (n * 7 + k * 13) %% 100, k from generate_series(0, %[1]d - 1) n, generate_series(0, 2) k;
	alter table items add company_id bigint;
	create function with_company() returns trigger language plpgsql as $$ begin new.company_id := new.id %% 1000; return new; end $$;
	create trigger with_company before insert on items for each row execute function with_company();
	analyze companies; analyze tags; analyze item_tags;`

// itemPlain and itemRelated are the same columns, without and with the rows of other tables.
const (
	itemPlain = `
  item:
    table: items
    account: account_id
    representation: {id: '${id}', seq: '${seq}', sent: '${sent}', account_id: '${account_id}', name: '${name}', email: '${email}', city: '${city}', created_at: '${created_at}', note: '${note}', company_id: '${company_id}'}
`
	itemToOne = `
    relations:
      company: {table: companies, foreign_key: company_id, columns: [id, name, city]}
`
	itemToMany = `      tags: {table: item_tags, foreign_key: item_id, many: true, order_by: position, columns: [tag_id, position]}
`
)

// relate makes the tables, and a config with relations: none, to one, or to one and to many.
func (d *database) relate(ctx context.Context, b *bench, items int64, relations int) error {
	if _, err := d.conn.Exec(ctx, fmt.Sprintf(relatedRows, items)); err != nil {
		return fmt.Errorf("make related rows: %w", err)
	}
	resource := itemPlain
	names := []string{"company", "tags"}[:relations]
	for i, r := range []string{itemToOne, itemToMany}[:relations] {
		resource = strings.Replace(resource, "'}\n", fmt.Sprintf("', %s: '${%s}'}\n", names[i], names[i]), 1) + strings.TrimPrefix(r, "\n")
	}
	head, _, _ := strings.Cut(config, "resources:\n")
	d.config = b.config + "." + d.name
	if err := os.WriteFile(d.config, []byte(head+"resources:"+resource), 0o600); err != nil {
		return fmt.Errorf("write a config: %w", err)
	}
	return nil
}

// relationsScenario sends the same rows without related ones, with one to one, and with one to one and one to many.
func relationsScenario(s sizes) scenario {
	none := backlog{events: s.matching, perInstance: 4, relate: true,
		subscribe: func(ctx context.Context, b *bench, r *rowhook) error {
			return r.subscribeTo(ctx, b.url(hooks), "", []string{"item.*"})
		}}
	one, both := none, none
	one.relations, both.relations = 1, 2
	const nameNone, nameOne, nameBoth = "no relations", "to one", "to one and to many"
	return scenario{
		Name:     "relations",
		What:     fmt.Sprintf("%d single-row transactions wait; each body alone, with a row of another table, and with three rows of a third one besides", s.matching),
		variants: []variant{{nameNone, none.run}, {nameOne, one.run}, {nameBoth, both.run}},
		ratios: []ratio{{metric: rate, of: nameOne, to: nameNone}, {metric: rate, of: nameBoth, to: nameNone},
			{metric: cpuPerEvent, of: nameOne, to: nameNone}, {metric: cpuPerEvent, of: nameBoth, to: nameNone},
			{metric: postgresCPU, of: nameBoth, to: nameNone}},
	}
}
