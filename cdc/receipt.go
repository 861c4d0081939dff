package cdc

import "sync/atomic"

// Receipt is what a handler returns for a batch, and the only way back: it is settled when everything that came of the
// batch is durable. Its methods may be called from any goroutine.
type Receipt struct {
	outstanding atomic.Int64
	abandoned   atomic.Bool
	done        chan struct{}
	// wasOutstanding says that something came of the batch.
	wasOutstanding bool
}

// NewReceipt makes a receipt that n calls of Done settle. With n = 0 it is settled at once.
func NewReceipt(n int) *Receipt {
	if n == 0 {
		return &Receipt{done: nothing}
	}
	r := &Receipt{done: make(chan struct{}), wasOutstanding: n > 0}
	r.outstanding.Store(int64(n))
	return r
}

// nothing is what the receipts that nothing came of have in common.
var nothing = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Add makes the receipt wait for n more calls of Done. It must not be called on a settled receipt: hold one of the
// outstanding calls while adding.
func (r *Receipt) Add(n int) {
	if r.outstanding.Add(int64(n)) <= int64(n) {
		panic("cdc: Add on a settled receipt")
	}
}

// Done says that one of the outstanding parts is durable.
func (r *Receipt) Done() {
	switch n := r.outstanding.Add(-1); {
	case n == 0:
		close(r.done)
	case n < 0:
		panic("cdc: more Done than outstanding")
	}
}

// Abandon says that the receipt will never be settled: what came of the batch is left to another process, or to another
// try. The position stays before it, the connection ends, and the batch comes again.
func (r *Receipt) Abandon() { r.abandoned.Store(true) }

// IsAbandoned says whether Abandon was called.
func (r *Receipt) IsAbandoned() bool { return r.abandoned.Load() }

// Settled is closed when nothing is outstanding.
func (r *Receipt) Settled() <-chan struct{} { return r.done }

// IsSettled says whether nothing is outstanding, and the receipt was not abandoned.
func (r *Receipt) IsSettled() bool { return r.outstanding.Load() == 0 && !r.IsAbandoned() }
