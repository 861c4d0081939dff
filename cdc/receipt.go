package cdc

import "sync/atomic"

// Receipt is what a handler returns for a batch, and the only way back: it is settled when everything that came of the
// batch is durable. Its methods may be called from any goroutine.
type Receipt struct {
	outstanding atomic.Int64
	done        chan struct{}
	// wasOutstanding says that something came of the batch.
	wasOutstanding bool
}

// NewReceipt makes a receipt that n calls of Done settle. With n = 0 it is settled at once.
func NewReceipt(n int) *Receipt {
	r := &Receipt{done: make(chan struct{}), wasOutstanding: n > 0}
	r.outstanding.Store(int64(n))
	if n == 0 {
		close(r.done)
	}
	return r
}

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

// Settled is closed when nothing is outstanding.
func (r *Receipt) Settled() <-chan struct{} { return r.done }

// IsSettled says whether nothing is outstanding.
func (r *Receipt) IsSettled() bool { return r.outstanding.Load() == 0 }
