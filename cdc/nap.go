package cdc

import (
	"sync/atomic"
	"time"
)

const (
	// napEvery messages of a backlog the reader rests for napFor when it has taken everything that has arrived. The server
	// sends each message by itself, and a reader that always waits for the next one is woken for each: with rests the
	// messages come many at a time, for a fraction of the processor time on both sides.
	napEvery = 300
	napFor   = 200 * time.Microsecond
	// behindAfter is how long after its commit a transaction is sent that belongs to a backlog, by the server's own clock.
	// What is live is sent within milliseconds, and must not wait for a rest.
	behindAfter = 500 * time.Millisecond
)

// naps decides when the reader rests. It belongs to the reader, but for taken.
type naps struct {
	behind bool
	// since counts the messages since the last rest.
	since int
	taken *atomic.Uint64
}

// message notes one that the server sent at a time, of a transaction or of none.
func (n *naps) message(sent time.Time, tx *Tx) {
	n.since++
	if tx != nil {
		n.behind = sent.Sub(tx.Time) > behindAfter
	}
}

// due says that it is time to rest.
func (n *naps) due() bool { return n.behind && n.since >= napEvery }

func (n *naps) take() {
	n.since = 0
	n.taken.Add(1)
	time.Sleep(napFor)
}
