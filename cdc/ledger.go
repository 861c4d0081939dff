package cdc

import (
	"sync"
	"time"
)

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
	// watermark never falls. Nothing beyond reach may be reported as flushed, and told is what was.
	watermark, reach, told LSN
	// lowTime is the commit time of the transaction that low is the end of; zero when it is not known.
	lowTime time.Time
	// lastCommit is the commit time of the last transaction that arrived whole.
	lastCommit time.Time
	open       bool
	// settledEvents counts the settled batches that something came of.
	settledEvents uint64
	// guard is that of a slot that standbys keep, else nil.
	guard *guard
}

// entry is a batch in the ledger.
type entry struct {
	// end is the end of the last transaction that was complete when the batch was the newest; zero while there is none.
	end LSN
	// at is the commit time of that transaction.
	at      time.Time
	receipt *Receipt
}

// newLedger starts at a position before which everything is settled. Nothing beyond reach is acknowledged until allow.
func newLedger(start, reach LSN) *ledger {
	return &ledger{received: start, low: start, watermark: start, reach: max(start, reach)}
}

// allow lets positions up to reach be acknowledged.
func (l *ledger) allow(reach LSN) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reach = max(l.reach, reach)
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
		if before := l.entries[i-1]; l.entries[i].end > before.end {
			before.end, before.at = l.entries[i].end, l.entries[i].at
		}
		l.entries = append(l.entries[:i], l.entries[i+1:]...)
	}
}

// commit notes that the open transaction has arrived whole; end is the end of its commit record, at its time.
func (l *ledger) commit(end LSN, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = false
	l.received, l.lastCommit = max(l.received, end), at
	// Everything of the transaction is in the newest entry or in one before it. With no entry at all everything is
	// settled, and received alone tells how far.
	if n := len(l.entries); n > 0 {
		l.entries[n-1].end, l.entries[n-1].at = end, at
	} else {
		l.low, l.lowTime = max(l.low, end), at
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
	flushed = min(l.watermark, l.reach)
	if l.guard != nil {
		flushed = min(flushed, l.guard.held(l))
	}
	return l.received, flushed
}

// tell is positions for who reports them: what it returns as flushed counts as told.
func (l *ledger) tell() (written, flushed LSN) {
	written, flushed = l.positions()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = max(l.told, flushed)
	return written, flushed
}

// committed is the commit time of the last transaction that arrived whole; zero before the first one.
func (l *ledger) committed() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastCommit
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
		if e.end > l.low {
			l.low, l.lowTime = e.end, e.at
		}
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

// progress is what a checkpoint is made of.
type progress struct {
	// settled counts the batches that something came of and that are settled.
	settled uint64
	// low is the end of the last transaction of which, and before which, all are settled, committed at lowTime.
	low     LSN
	lowTime time.Time
	// watermark is what could be acknowledged, told what was.
	watermark, told LSN
}

func (l *ledger) progress() progress {
	l.positions()
	l.mu.Lock()
	defer l.mu.Unlock()
	return progress{settled: l.settledEvents, low: l.low, lowTime: l.lowTime, watermark: l.watermark, told: l.told}
}

// unsettled is the number of batches that are not settled.
func (l *ledger) unsettled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pop()
	return len(l.entries)
}
