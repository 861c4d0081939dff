package mapping

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
)

const benchTables = `
public.contacts:
  key: [id]
  columns: {id: int8, account_id: int8, first_name: text, last_name: text, email: text, total: numeric, active: bool, created_at: timestamptz, meta: jsonb}
`

const benchChanges = `
- insert: public.contacts
  new: {id: "42", account_id: "7", first_name: Ada, last_name: Lovelace, email: ada@example.com, total: "12.30", active: t, created_at: "2024-02-29 13:14:15.123456+00", meta: '{"a": 1, "b": [true, null]}'}
`

func benchmarkMap(b *testing.B, config string) {
	b.Helper()
	d, problems := Parse(loadConfig(b, config))
	if problems != nil {
		b.Fatal(problems)
	}
	benchmarkChange(b, d, benchTables, benchChanges)
}

func benchmarkChange(b *testing.B, d *Definition, tablesText, changes string) {
	b.Helper()
	tables, relations := loadTables(b, tablesText)
	m, problems := d.Compile(tables, "bench")
	if problems != nil {
		b.Fatal(problems)
	}
	c := loadChanges(b, changes, relations)[0]
	var events []*Event
	var dead []DeadLetter
	b.ReportAllocs()
	for b.Loop() {
		events, dead = m.Map(events[:0], dead[:0], 1, c)
	}
	if len(events) != 1 || len(dead) != 0 {
		b.Fatalf("got %d events, dead letters %v", len(events), dead)
	}
}

func BenchmarkMapColumns(b *testing.B) {
	benchmarkMap(b, `contact: {table: public.contacts, account: account_id, columns: all}`)
}

func BenchmarkMapExpression(b *testing.B) {
	benchmarkMap(b, `
contact:
  table: public.contacts
  account: account_id
  representation:
    id: ${id}
    name: ${first_name + " " + last_name}
    email: ${email}
    url: https://example.com/contacts/${id}
    created_at: ${created_at}
`)
}

func BenchmarkMapPreset(b *testing.B) {
	benchmarkMap(b, `
json: {preset: rails}
contact: {table: public.contacts, account: account_id, columns: all}
`)
}

// BenchmarkMapConditions is an update under REPLICA IDENTITY FULL with everything that looks at the old row;
// BenchmarkMapPrevious has Event.Previous too.
func BenchmarkMapConditions(b *testing.B) { benchmarkConditions(b, false) }

func BenchmarkMapPrevious(b *testing.B) { benchmarkConditions(b, true) }

func benchmarkConditions(b *testing.B, previous bool) {
	cfg := loadConfig(b, `
contact:
  table: public.contacts
  account: account_id
  where: active
  delete_when: email == null
  ignore_changes: [created_at]
  events: {contact.rich: 'total > 1000 and not (old.total > 1000)'}
  columns: all
`)
	cfg.Previous = previous
	d, problems := Parse(cfg)
	if problems != nil {
		b.Fatal(problems)
	}
	benchmarkChange(b, d, strings.Replace(benchTables, "key: [id]", "key: [id]\n  identity: full", 1), `
- update: public.contacts
  new: {id: "42", account_id: "7", first_name: Ada, last_name: Lovelace, email: ada@example.com, total: "12.30", active: t, created_at: "2024-02-29 13:14:15.123456+00", meta: '{"a": 1, "b": [true, null]}'}
  old: {id: "42", account_id: "7", first_name: Ada, last_name: Byron, email: ada@example.com, total: "12.30", active: t, created_at: "2024-02-29 13:14:15.123456+00", meta: '{"a": 1, "b": [true, null]}'}
`)
}

func BenchmarkID(b *testing.B) {
	ids := identifier{lineage: "7412345678901234567"}
	tx := &cdc.Tx{Commit: 1 << 40, XID: 77}
	b.ReportAllocs()
	for b.Loop() {
		_ = ids.id(tx, 1, "contact.update", "42")
	}
}

// BenchmarkMapRelations is a batch of 256 events that have a row of another table, and three of a third one besides:
// mapping, asking, and rendering what is given. One round is the batch.
func BenchmarkMapRelations(b *testing.B) {
	d, problems := Parse(loadConfig(b, `
contact:
  table: public.contacts
  account: account_id
  representation: {id: "${id}", first_name: "${first_name}", email: "${email}", total: "${total}", meta: "${meta}", company: "${company}", tags: "${tags}"}
  relations:
    company: {table: public.companies, foreign_key: account_id, columns: [id, name, city]}
    tags: {table: public.tags, foreign_key: contact_id, many: true, columns: [tag_id, position]}
`))
	if problems != nil {
		b.Fatal(problems)
	}
	tables, relations := loadTables(b, benchTables+`
public.companies: {key: [id], columns: {id: int8, name: text, city: text}}
public.tags: {key: [contact_id, tag_id], columns: {contact_id: int8, tag_id: int8, position: int4}}
`)
	m, problems := d.Compile(tables, "bench")
	if problems != nil {
		b.Fatal(problems)
	}
	one := loadChanges(b, benchChanges, relations)[0]
	changes := make([]*cdc.Change, cdc.BatchRows)
	for i := range changes {
		c := *one
		c.New = append(cdc.Row(nil), one.New...)
		c.New[0].Data = fmt.Append(nil, i)
		changes[i] = &c
	}
	text := func(s string) cdc.Value { return cdc.Value{Kind: cdc.Text, Data: []byte(s)} }
	company := cdc.Row{text("7"), text("Lumen Optics"), text("London")}
	tags := []cdc.Row{{text("1"), text("1")}, {text("12"), text("2")}, {text("99"), text("3")}}
	b.ReportAllocs()
	bytes := 0
	for b.Loop() {
		var events []*Event
		for _, c := range changes {
			events, _ = m.Map(events, nil, 1, c)
		}
		completion := NewCompletion(events)
		for i, q := range completion.Start() {
			for k := range q.Keys {
				if q.Lookup.First {
					completion.Row(i, k, company)
					continue
				}
				for _, row := range tags {
					completion.Row(i, k, row)
				}
			}
		}
		if len(completion.Next()) != 0 {
			b.Fatal("it asks again")
		}
		for _, e := range events {
			if _, dead := completion.Complete(e); dead {
				b.Fatal("a dead letter")
			}
			bytes += len(e.Data)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/cdc.BatchRows, "ns/event")
	if bytes/b.N < 200*cdc.BatchRows {
		b.Fatalf("%d bytes", bytes/b.N)
	}
}
