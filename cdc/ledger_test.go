package cdc

import (
	"math/rand/v2"
	"testing"
	"time"
)

// simTx is a transaction of the model: what must not be acknowledged before it is settled.
type simTx struct {
	end     LSN
	changes int // of which the handler made something
	settled int
}

// TestLedgerNeverAcknowledgesUnsettled drives the ledger with random streams and random settling, and compares with the
// plain definition: flushed is at most the end of the last transaction before the first one that is not settled.
func TestLedgerNeverAcknowledgesUnsettled(t *testing.T) {
	t.Parallel()
	for seed := uint64(0); seed < 400; seed++ {
		rng := rand.New(rand.NewPCG(seed, 1))
		pos := LSN(1000)
		l := newLedger(pos, 1<<62)
		type part struct {
			receipt *Receipt
			left    int
			txs     []*simTx // one entry per outstanding part
		}
		var txs []*simTx
		var unhandled []*entry
		var handled []*part
		parts := map[*entry]*part{}
		var last LSN
		check := func() {
			t.Helper()
			written, flushed := l.positions()
			if flushed < last || flushed > written {
				t.Fatalf("seed %d: flushed %v after %v, written %v", seed, flushed, last, written)
			}
			last = flushed
			for _, tx := range txs {
				if tx.settled < tx.changes && (tx.end == 0 || flushed >= tx.end) {
					if tx.end != 0 || flushed > pos {
						t.Fatalf("seed %d: flushed %v with an unsettled transaction that ends at %v", seed, flushed, tx.end)
					}
				}
			}
			if written > pos {
				t.Fatalf("seed %d: written %v beyond what was received, %v", seed, written, pos)
			}
		}
		handle := func() {
			if len(unhandled) == 0 {
				return
			}
			e := unhandled[0]
			unhandled = unhandled[1:]
			p := parts[e]
			p.receipt = NewReceipt(len(p.txs))
			p.left = len(p.txs)
			l.settle(e, p.receipt)
			handled = append(handled, p)
		}
		settle := func() {
			if len(handled) == 0 {
				return
			}
			p := handled[rng.IntN(len(handled))]
			if p.left > 0 {
				p.left--
				p.txs[p.left].settled++
				p.receipt.Done()
			}
		}
		var cur *entry
		for step := 0; step < 60; step++ {
			if rng.IntN(4) == 0 {
				pos += LSN(rng.IntN(100))
				l.keepalive(pos)
				check()
			}
			tx := &simTx{}
			txs = append(txs, tx)
			l.begin()
			for n := rng.IntN(6); n > 0; n-- {
				if cur == nil {
					cur = l.add()
					parts[cur] = &part{}
				}
				if rng.IntN(3) > 0 {
					tx.changes++
					parts[cur].txs = append(parts[cur].txs, tx)
				}
				if rng.IntN(4) == 0 {
					unhandled, cur = append(unhandled, cur), nil
				}
				if rng.IntN(5) == 0 {
					l.keepalive(pos + 5) // inside a transaction: must be ignored
				}
				switch rng.IntN(3) {
				case 0:
					handle()
				case 1:
					settle()
				}
				check()
			}
			pos += LSN(1 + rng.IntN(100))
			tx.end = pos
			l.commit(pos, time.Time{})
			if cur != nil && rng.IntN(2) == 0 {
				unhandled, cur = append(unhandled, cur), nil
			}
			for n := rng.IntN(4); n > 0; n-- {
				handle()
				settle()
				check()
			}
		}
		if cur != nil {
			unhandled = append(unhandled, cur)
		}
		for len(unhandled) > 0 {
			handle()
		}
		for _, p := range handled {
			for ; p.left > 0; p.left-- {
				p.txs[p.left-1].settled++
				p.receipt.Done()
			}
			check()
		}
		if _, flushed := l.positions(); flushed != pos {
			t.Fatalf("seed %d: everything is settled, flushed %v, received %v", seed, flushed, pos)
		}
	}
}

func TestLedgerAbandonHoldsThePosition(t *testing.T) {
	t.Parallel()
	l := newLedger(10, 1<<62)
	l.begin()
	a := l.add()
	l.commit(20, time.Time{})
	l.begin()
	l.add()
	l.commit(30, time.Time{})
	l.settle(a, NewReceipt(0))
	l.abandon()
	if _, flushed := l.positions(); flushed != 20 {
		t.Errorf("flushed %v, want 20: the second transaction was not handled", flushed)
	}
	if l.outstanding() != nil {
		t.Error("an abandoned batch is waited for")
	}
	l.keepalive(40)
	if _, flushed := l.positions(); flushed != 20 {
		t.Errorf("flushed %v after a keepalive, want 20", flushed)
	}
}

func TestLedgerIdleFollowsKeepalives(t *testing.T) {
	t.Parallel()
	l := newLedger(10, 1<<62)
	l.keepalive(50)
	if w, f := l.positions(); w != 50 || f != 50 {
		t.Errorf("got %v %v, want 50 50", w, f)
	}
	// An empty transaction, as servers before 15 send them.
	l.begin()
	l.keepalive(70)
	if _, f := l.positions(); f != 50 {
		t.Errorf("flushed %v inside a transaction, want 50", f)
	}
	l.commit(80, time.Time{})
	if _, f := l.positions(); f != 80 {
		t.Errorf("flushed %v, want 80", f)
	}
}

// TestLedgerStaysSmall reads very much of which nothing comes behind one batch that is not settled.
func TestLedgerStaysSmall(t *testing.T) {
	t.Parallel()
	l := newLedger(1, 1<<62)
	l.begin()
	head, stuck := l.add(), NewReceipt(1)
	l.commit(10, time.Time{})
	l.settle(head, stuck)
	for i := range 10_000 {
		l.begin()
		e := l.add()
		l.commit(LSN(20+i), time.Time{})
		l.settle(e, NewReceipt(0))
	}
	if n := l.unsettled(); n > 3 {
		t.Errorf("%d entries", n)
	}
	if _, flushed := l.positions(); flushed != 1 {
		t.Errorf("flushed %v before the head is settled", flushed)
	}
	stuck.Done()
	if _, flushed := l.positions(); flushed != 20+9_999 {
		t.Errorf("flushed %v when all is settled", flushed)
	}
}

func TestLedgerStaysBeforeWhatWasAbandoned(t *testing.T) {
	t.Parallel()
	l := newLedger(1, 1<<62)
	var receipts []*Receipt
	for i := range 3 {
		l.begin()
		e := l.add()
		l.commit(LSN(10*(i+1)), time.Time{})
		r := NewReceipt(1)
		l.settle(e, r)
		receipts = append(receipts, r)
	}
	receipts[0].Done()
	receipts[1].Abandon()
	receipts[1].Done()
	receipts[2].Done()
	l.keepalive(100)
	if _, flushed := l.positions(); flushed != 10 || !l.abandoned() || l.outstanding() != nil {
		t.Errorf("flushed %v, abandoned %v", flushed, l.abandoned())
	}
}
