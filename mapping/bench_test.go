package mapping

import (
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
