package cdc

import "sync"

// ledger knows which position may be acknowledged: the watermark, before which everything is settled. It is pure
// bookkeeping: the stream's owner tells what it received, the receipts tell what is settled.
type ledger struct {
	mu sync.Mutex
	// entries are the batches that are not known to be settled, in commit order.
	entries []*entry
	// received is the position up to which everything that the server sent has arrived: an end of a commit, or a
	// keepalive between transactions.
	received LSN
	// low is the end of the last transaction whose batches, and all before, are settled.
	low LSN
	// watermark never falls.
	watermark LSN
	open      bool
	// settledEvents counts the settled batches that something came of.
	settledEvents uint64
}

// entry is a batch in the ledger.
type entry struct {
	// end is the end of the last transaction that was complete when the batch was the newest; zero while there is none.
	end     LSN
	receipt *Receipt
}

// newLedger starts at a position before which everything is settled.
func newLedger(start LSN) *ledger {
	return &ledger{received: start, low: start, watermark: start}
}

// begin notes that a transaction has begun to arrive.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = true
}

// add notes that the first change of a new batch has arrived.
func (l *ledger) add() *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &entry{}
	l.entries = append(l.entries, e)
	return e
}

// settle gives the entry the receipt that its handler returned.
func (l *ledger) settle(e *entry, r *Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.receipt = r
	// What nothing came of, between two others, needs no entry of its own: behind one that is not settled there may be
	// very many of them. The newest stays, since the end of its transaction may be still to come.
	i := len(l.entries) - 1
	for i > 0 && l.entries[i] != e {
		i--
	}
	if i == len(l.entries)-1 {
		i--
	}
	for ; i > 0 && l.entries[i].receipt != nil && !l.entries[i].receipt.wasOutstanding; i-- {
		l.entries[i-1].end = max(l.entries[i-1].end, l.entries[i].end)
		l.entries = append(l.entries[:i], l.entries[i+1:]...)
	}
}

// commit notes that the open transaction has arrived whole; end is the end of its commit record.
func (l *ledger) commit(end LSN) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = false
	l.received = max(l.received, end)
	// Everything of the transaction is in the newest entry or in one before it. With no entry at all everything is
	// settled, and received alone tells how far.
	if n := len(l.entries); n > 0 {
		l.entries[n-1].end = end
	}
}

// keepalive notes the server's position. Within a transaction it says nothing about what has arrived.
func (l *ledger) keepalive(end LSN) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		l.received = max(l.received, end)
	}
}

// positions returns what may be reported as written and as flushed. Flushed is never above written, and neither falls.
func (l *ledger) positions() (written, flushed LSN) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pop()
	w := l.low
	if len(l.entries) == 0 {
		w = l.received
	}
	l.watermark = max(l.watermark, w)
	return l.received, l.watermark
}

// pop removes what is settled from the front.
func (l *ledger) pop() {
	n := 0
	for ; n < len(l.entries); n++ {
		e := l.entries[n]
		if e.receipt == nil || !e.receipt.IsSettled() {
			break
		}
		// A batch that ends inside a transaction has no end of its own yet, or an older one: the next one brings it.
		l.low = max(l.low, e.end)
		if e.receipt.wasOutstanding {
			l.settledEvents++
		}
		l.entries[n] = nil
	}
	l.entries = l.entries[n:]
	if len(l.entries) == 0 {
		l.entries = nil
	}
}

// abandon forgets the batches that have no receipt: they will come again. What they, and the transactions that they are
// part of, hold back stays held back.
func (l *ledger) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.entries {
		if e.receipt != nil {
			continue
		}
		// The position must stay before the first of them, also when all older ones are settled: a marker that is never
		// settled keeps it there.
		l.entries = append(l.entries[:i:i], &entry{})
		return
	}
}

// outstanding returns the oldest receipt that is not settled, or nil. What is behind a batch without a receipt, or with an
// abandoned one, is not waited for: it comes again.
func (l *ledger) outstanding() *Receipt {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pop()
	if len(l.entries) == 0 || l.entries[0].receipt == nil || l.entries[0].receipt.IsAbandoned() {
		return nil
	}
	return l.entries[0].receipt
}

// abandoned says that a receipt was abandoned: nothing beyond it will ever be acknowledged.
func (l *ledger) abandoned() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pop()
	return len(l.entries) > 0 && l.entries[0].receipt != nil && l.entries[0].receipt.IsAbandoned()
}

// settledBatches returns how many batches that something came of are settled, and the end of the last transaction of
// which, and before which, all are.
func (l *ledger) settledBatches() (n uint64, low LSN) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pop()
	return l.settledEvents, l.low
}

// unsettled is the number of batches that are not settled.
func (l *ledger) unsettled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pop()
	return len(l.entries)
}
