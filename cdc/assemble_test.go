package cdc

import (
	"bytes"
	"testing"
)

// feeder feeds an assembler with transactions of the table t.
type feeder struct {
	t *testing.T
	l *ledger
	a *assembler
}

func newFeeder(t *testing.T) *feeder {
	l := newLedger(1, 1<<62)
	return &feeder{t, l, newAssembler(1, 1, l, nil)}
}

func (f *feeder) feed(data ...[]byte) {
	f.t.Helper()
	for _, d := range data {
		if err := f.a.add(0, d); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *feeder) begin(at uint64) {
	f.feed(message('B', at, uint64(0), uint32(at)),
		message('R', uint32(1), "public", "t", 'd', []byte{0, 1, 1}, "id", uint32(23), uint32(0)))
}

func (f *feeder) rows(n int) {
	for range n {
		f.feed(message('I', uint32(1), 'N', tuple("1")))
	}
}

func (f *feeder) commit(at, end uint64) {
	f.feed(message('C', byte(0), at, end, uint64(0)))
}

// TestEndOfBlockIsTold hands on an empty batch where the last change of a transaction has been handed on before its end,
// and acknowledges the transaction only with it.
func TestEndOfBlockIsTold(t *testing.T) {
	t.Parallel()
	f := newFeeder(t)
	f.begin(100)
	f.rows(BatchRows)
	if f.a.whole() || !f.a.full() {
		t.Error("a batch is whole before its transaction, or not full")
	}
	b, e := f.a.take()
	if !b.Open || b.Cut {
		t.Errorf("the first batch: open %v, cut %v", b.Open, b.Cut)
	}
	f.commit(100, 120)
	if !f.a.whole() {
		t.Fatal("nobody is told of the end")
	}
	f.l.settle(e, NewReceipt(0))
	if _, flushed := f.l.positions(); flushed >= 120 {
		t.Errorf("the transaction is acknowledged up to %s before its end was handled", flushed)
	}
	b, e = f.a.take()
	if len(b.Changes) != 0 || b.Open || b.Cut {
		t.Errorf("the end: %d changes, open %v, cut %v", len(b.Changes), b.Open, b.Cut)
	}
	f.l.settle(e, NewReceipt(0))
	if _, flushed := f.l.positions(); flushed != 120 {
		t.Errorf("acknowledged up to %s", flushed)
	}

	// What comes behind it goes with it.
	f.begin(200)
	f.rows(BatchRows)
	f.a.take()
	f.commit(200, 220)
	f.begin(300)
	f.rows(1)
	f.commit(300, 320)
	if b, _ := f.a.take(); len(b.Changes) != 1 || b.Open || f.a.batch != nil {
		t.Errorf("%+v", b)
	}
	// A transaction that is handed on whole needs nothing more.
	f.begin(400)
	f.rows(2)
	f.commit(400, 420)
	f.a.take()
	f.begin(500)
	f.commit(500, 520)
	if f.a.batch != nil {
		t.Error("a batch of nothing")
	}
	// What follows in a transaction and is not kept does not open the one before.
	f.begin(600)
	f.rows(1)
	f.commit(600, 620)
	f.begin(700)
	f.feed(message('M', byte(1), uint64(1), "theirs", uint32(0)))
	if b, _ := f.a.take(); b.Open {
		t.Error("a transaction that has ended is open")
	}
}

// TestRestIsCut says of a block that will not be read to its end that it is cut.
func TestRestIsCut(t *testing.T) {
	t.Parallel()
	f := newFeeder(t)
	f.begin(100)
	f.rows(1)
	if b, _ := f.a.takeRest(); b == nil || !b.Cut || b.Open {
		t.Errorf("%+v", b)
	}
	f = newFeeder(t)
	f.begin(100)
	f.rows(BatchRows)
	f.a.take()
	if b, e := f.a.takeRest(); b == nil || !b.Cut || b.Open || e == nil || len(b.Changes) != 0 {
		t.Errorf("%+v", b)
	}
	f = newFeeder(t)
	f.begin(100)
	f.rows(1)
	f.commit(100, 120)
	f.begin(200)
	if b, _ := f.a.takeRest(); b.Cut {
		t.Error("a transaction that has ended is cut")
	}
	if b, _ := f.a.takeRest(); b != nil {
		t.Errorf("%+v", b)
	}
}

// TestFold makes the row images of a change again.
func TestFold(t *testing.T) {
	t.Parallel()
	f := newFeeder(t)
	f.begin(100)
	f.feed(message('U', uint32(1), 'K', tuple("1"), 'N', tuple("2")), message('D', uint32(1), 'K', tuple("2")), message('T', uint32(1), byte(0), uint32(1)))
	f.commit(100, 120)
	b, _ := f.a.take()
	room := &Room{}
	for i := range b.Changes {
		c := &b.Changes[i]
		was := *c
		c.Fold()
		if c.New != nil || c.Old != nil {
			t.Errorf("%s keeps its rows", c.Op)
		}
		c.Unfold(room)
		for n, rows := range [][2]Row{{was.New, c.New}, {was.Old, c.Old}} {
			if len(rows[0]) != len(rows[1]) || len(rows[0]) > 0 && (rows[0][0].Kind != rows[1][0].Kind || !bytes.Equal(rows[0][0].Data, rows[1][0].Data)) {
				t.Errorf("row %d of %s: %v after %v", n, c.Op, rows[1], rows[0])
			}
		}
		if c.Op != Truncate && c.Size() == 0 {
			t.Errorf("%s has no size", c.Op)
		}
	}
	plain := Change{Op: Insert, New: Row{{Kind: Null}}}
	if plain.Fold(); plain.New == nil {
		t.Error("a row is gone that cannot be made again")
	}
}
