package app

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/subscriptions"
)

const benchConfig = `
database: {url: "postgres://localhost/x", slot: s}
api: {tokens: [{name: ops, token: admin-token-0123456789, account: "*"}]}
resources:
  contact: {table: contacts, columns: all}
`

// benchHandler is a handler with a mapping and a subscription that matches nothing of it.
func benchHandler(b *testing.B) (*handler, *cdc.Relation) {
	b.Helper()
	cfg, err := config.LoadBytes("config.yaml", []byte(benchConfig), func(string) (string, bool) { return "", false }, os.ReadFile)
	if err != nil {
		b.Fatal(err)
	}
	text := &cdc.Type{OID: 25, Name: "text", Kind: 'b'}
	rel := &cdc.Relation{OID: 7, Table: cdc.TableName{Schema: "public", Name: "contacts"}, Identity: cdc.IdentityDefault, Key: []int{0}}
	for i := range 8 {
		rel.Columns = append(rel.Columns, cdc.Column{Name: fmt.Sprint("c", i), Type: text, Identity: i == 0})
	}
	a, err := New(cfg, Options{})
	if err != nil {
		b.Fatal(err)
	}
	table := &cdc.Table{TableName: rel.Table, OID: 7, Kind: 'r', Identity: rel.Identity, Columns: rel.Columns, Key: rel.Key}
	m, problems := a.def.Compile(map[cdc.TableName]*cdc.Table{rel.Table: table}, "bench")
	if problems != nil {
		b.Fatal(problems)
	}
	a.mapper.Store(m)
	h := &handler{app: a, index: subscriptions.NewIndex(), sized: time.Now().Add(time.Hour)}
	h.index.Put(&subscriptions.Subscription{ID: "sub_1", Key: 1, Events: []string{"deal.create"}})
	h.filler = filler{
		columns:  func(c *cdc.Change) []int { return h.mapperOf(c).Columns(c.Relation) },
		accounts: func(c *cdc.Change) []int { return h.mapperOf(c).AccountColumns(c.Relation) },
	}
	h.stage.Wanted = func(c *cdc.Change) coalesce.Wanted { return h.mapperOf(c).Wanted(c.Relation) }
	h.stage.Holds = func(c *cdc.Change) bool { return h.mapperOf(c).Coalesces() }
	return h, rel
}

// BenchmarkHandle is what the handler costs for each change up to the dispatcher: of transactions of one row, of one that
// is a batch, and of one that goes over many batches.
func BenchmarkHandle(b *testing.B) {
	for name, rows := range map[string]int{"single": 1, "transaction": cdc.BatchRows, "long": 32 * cdc.BatchRows} {
		b.Run(name, func(b *testing.B) {
			h, rel := benchHandler(b)
			var batches []*cdc.Batch
			var tx *cdc.Tx
			for i := range max(rows, cdc.BatchRows) {
				if i%rows == 0 {
					tx = &cdc.Tx{Commit: cdc.LSN(i + 1), XID: uint32(i)}
				}
				if i%cdc.BatchRows == 0 {
					batches = append(batches, &cdc.Batch{Epoch: 1, Open: i+cdc.BatchRows < rows})
				}
				c := cdc.Change{Op: cdc.Insert, Tx: tx, Ordinal: uint32(i%rows + 1), Relation: rel}
				for k := range rel.Columns {
					c.New = append(c.New, cdc.Value{Kind: cdc.Text, Data: fmt.Appendf(nil, "value %d of %d", k, i)})
				}
				last := batches[len(batches)-1]
				last.Changes = append(last.Changes, c)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for _, batch := range batches {
					if _, err := h.Handle(b.Context(), batch); err != nil {
						b.Fatal(err)
					}
					n += len(batch.Changes)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/change")
		})
	}
}
