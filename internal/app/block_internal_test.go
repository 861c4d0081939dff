package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
)

// blockFixture makes changes of a table with the key id and the large column body, in one block.
type blockFixture struct {
	tx  *cdc.Tx
	rel *cdc.Relation
}

func newBlockFixture() blockFixture {
	text := &cdc.Type{Name: "text"}
	return blockFixture{&cdc.Tx{XID: 1}, &cdc.Relation{OID: 7, Columns: []cdc.Column{{Name: "id", Type: text}, {Name: "body", Type: text}}, Key: []int{0}}}
}

func (f blockFixture) change(op cdc.Op, id, body string) cdc.Change {
	row := cdc.Row{{Kind: cdc.Text, Data: []byte(id)}, {Kind: cdc.Text, Data: []byte(body)}}
	c := cdc.Change{Op: op, Tx: f.tx, Relation: f.rel}
	switch {
	case op == cdc.Delete:
		c.Old = cdc.Row{row[0], {}}
	case body == "":
		row[1] = cdc.Value{Kind: cdc.Unchanged}
		c.New, c.Unchanged = row, true
	default:
		c.New = row
	}
	return c
}

// TestBlockMemoryIsBounded remembers what fits, and nothing that is not so any more.
func TestBlockMemoryIsBounded(t *testing.T) {
	t.Parallel()
	f := newBlockFixture()
	k := &block{}
	k.reset(f.tx, 0)
	columns := []int{0, 1}
	note := func(op cdc.Op, id, body string) {
		c := f.change(op, id, body)
		k.note(&c, columns)
	}
	value := func(id string) string {
		c := f.change(cdc.Update, id, "")
		return string(k.value(&c, 1).Data)
	}
	mib := strings.Repeat("x", 1<<20)
	for id := range 100 {
		note(cdc.Insert, fmt.Sprint(id), mib)
	}
	if k.bytes > blockMemory || len(k.rows) == 0 || value("0") != mib || value("99") != "" {
		t.Errorf("%d rows of %d bytes", len(k.rows), k.bytes)
	}
	large := strings.Repeat("y", largeValue)
	note(cdc.Update, "0", large)
	note(cdc.Update, "0", "")
	if value("0") != large {
		t.Error("an older value is left, or a newer one lost")
	}
	note(cdc.Update, "0", "small")
	note(cdc.Delete, "1", "")
	if value("0") != "" || value("1") != "" {
		t.Error("what was replaced or deleted is still there")
	}
	note(cdc.Insert, "5", large)
	truncate := cdc.Change{Op: cdc.Truncate, Tx: f.tx, Relation: f.rel}
	k.note(&truncate, columns)
	if value("5") != "" || k.bytes != 0 {
		t.Errorf("after a truncate %d bytes are left", k.bytes)
	}
	note(cdc.Insert, "6", large)
	k.reset(f.tx, 1)
	if value("6") != "" || k.bytes != 0 {
		t.Error("another block knows it")
	}
}

// BenchmarkPlan is what a batch costs that lacks nothing, for each change: one that is whole, and one that goes on.
func BenchmarkPlan(b *testing.B) {
	f := newBlockFixture()
	batch := &cdc.Batch{}
	for i := range cdc.BatchRows {
		batch.Changes = append(batch.Changes, f.change(cdc.Update, fmt.Sprint(i), "a body of some words"))
	}
	columns := []int{0, 1}
	for name, open := range map[string]bool{"whole": false, "goes on": true} {
		b.Run(name, func(b *testing.B) {
			x := filler{columns: func(*cdc.Change) []int { return columns }, accounts: func(*cdc.Change) []int { return nil }}
			batch.Open = open
			b.ReportAllocs()
			for b.Loop() {
				x.plan(batch, true)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch.Changes)), "ns/change")
		})
	}
}
