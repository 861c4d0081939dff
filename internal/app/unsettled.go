package app

import (
	"sync"
	"time"

	"github.com/rowhook/rowhook/cdc"
)

// unsettled remembers when the changes were committed of which something is not settled yet. The source's goroutine
// adds, the one that drops old partitions asks.
type unsettled struct {
	mu      sync.Mutex
	batches []unsettledBatch
}

type unsettledBatch struct {
	receipt   *cdc.Receipt
	committed time.Time
}

// add takes the receipt of a batch whose first change was committed then.
func (u *unsettled) add(r *cdc.Receipt, committed time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drop()
	u.batches = append(u.batches, unsettledBatch{r, committed})
}

// reset forgets all: what was not settled comes again.
func (u *unsettled) reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.batches = nil
}

// drop forgets what is settled, from the front.
func (u *unsettled) drop() {
	n := 0
	for n < len(u.batches) && u.batches[n].receipt.IsSettled() {
		n++
	}
	if n > 0 {
		u.batches = append(u.batches[:0], u.batches[n:]...)
	}
}

// expireBefore is the time before which nothing is kept: the retention counts from now, or, where the stream is late,
// from the oldest change that is not settled. Its partition must not go between two of its deliveries.
func (u *unsettled) expireBefore(now time.Time, retention time.Duration) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drop()
	from := now
	for _, b := range u.batches {
		if b.committed.Before(from) {
			from = b.committed
		}
	}
	return from.Add(-retention)
}

// oldest is the commit time of the oldest change that is not settled; zero where all are.
func (u *unsettled) oldest() (oldest time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drop()
	for _, b := range u.batches {
		if oldest.IsZero() || b.committed.Before(oldest) {
			oldest = b.committed
		}
	}
	return oldest
}
