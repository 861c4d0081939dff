package app

import "github.com/rowhook/rowhook/cdc"

// taken is the receipt of what was taken of a batch so far.
type taken struct {
	receipt *cdc.Receipt
	// more says that more than what is called last is to come; held that the receipt waits for it.
	more, held bool
}

// add makes the receipt wait for n more. It is made with what comes first; it waits for the rest, unless this is the last.
func (t *taken) add(n int, last bool) *cdc.Receipt {
	switch {
	case t.receipt != nil:
		t.receipt.Add(n)
	case last && !t.more:
		t.receipt = cdc.NewReceipt(n)
	default:
		t.receipt, t.held = cdc.NewReceipt(n+1), true
	}
	return t.receipt
}

// place is where a change was mapped, and the next sub-position there.
type place struct {
	tx      *cdc.Tx
	ordinal uint32
	sub     uint32
}

// hold keeps the receipt of the batch in which a block began that goes on in the next one: nothing of the transaction, nor
// what is behind it, is acknowledged before what comes of the block is durable.
func (h *handler) hold(tx *cdc.Tx, own *taken) {
	if h.tx != tx {
		h.tx, h.mapper = tx, h.fresh
	}
	if own.receipt == nil {
		own.add(0, false)
	}
	h.held = *own
	h.unsettled.add(own.receipt, tx.Time)
}

// letGo ends the wait for the block that was held: what came of it has been taken.
func (h *handler) letGo() {
	h.held.receipt.Done()
	h.held = taken{}
}

// dropHeld forgets the block that is held. Its transaction has not arrived whole, so it comes again whole; the end that its
// batch stands for is that of the transaction before.
func (h *handler) dropHeld() {
	h.stage.Reset()
	h.toucher = toucher{rows: h.toucher.rows, maxRow: h.toucher.maxRow, sessions: h.toucher.sessions}
	if h.held.receipt != nil {
		h.letGo()
	}
}
