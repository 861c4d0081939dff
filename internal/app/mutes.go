package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rowhook/rowhook/cdc"
)

const (
	// muteQuiet is how often the end of muted transactions is looked for: one to which nothing came since is told of.
	muteQuiet = time.Second
	// mutesEach is how many muted transactions are told of one by one within mutesEvery. The others of that time are summed up.
	mutesEach  = 5
	mutesEvery = 10 * time.Second
)

// mutes tells of muted transactions. The source's goroutine adds to it, and loop tells.
type mutes struct {
	log *slog.Logger
	mu  sync.Mutex
	// open is the transaction to which was added last, grown says that it was since the last look.
	open  mutedTx
	grown bool
	// over are those that are to be told of one by one; the others are only counted in more.
	over  []mutedTx
	told  int
	since time.Time
	more  mutedSum
}

// mutedTx is a muted transaction, or what came of it.
type mutedTx struct {
	tx *cdc.Tx
	// first is the place of the first change.
	first   cdc.Position
	changes int
}

// mutedSum are several.
type mutedSum struct {
	transactions, changes int
	first, last           cdc.Position
}

// add counts a change that was left out.
func (m *mutes) add(tx *cdc.Tx, at cdc.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if tx != m.open.tx {
		// One that comes again, since its connection broke, is counted anew.
		if m.open.tx != nil && m.open.first != at {
			m.end()
		}
		m.open = mutedTx{tx: tx, first: at}
	}
	m.open.changes++
	m.grown = true
}

// end lays the transaction by that is open.
func (m *mutes) end() {
	if m.told < mutesEach {
		m.told++
		m.over = append(m.over, m.open)
	} else {
		if m.more.transactions == 0 {
			m.more.first = m.open.first
		}
		m.more.transactions++
		m.more.changes += m.open.changes
		m.more.last = m.open.first
	}
	m.open = mutedTx{}
}

// loop tells until ctx is done, and then of the rest.
func (m *mutes) loop(ctx context.Context) {
	tick := time.NewTicker(muteQuiet)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			m.look(time.Now(), true)
			return
		case <-tick.C:
			m.look(time.Now(), false)
		}
	}
}

// look tells of what is over, or of everything.
func (m *mutes) look(now time.Time, everything bool) {
	m.mu.Lock()
	if m.open.tx != nil && (everything || !m.grown) {
		m.end()
	}
	m.grown = false
	over := m.over
	m.over = nil
	var more mutedSum
	if now.Sub(m.since) >= mutesEvery || everything {
		more, m.more = m.more, mutedSum{}
		m.since, m.told = now, 0
	}
	m.mu.Unlock()
	for _, t := range over {
		m.log.Info("a transaction is muted: nothing of it is sent", "xid", t.tx.XID, "position", t.first.String(), "changes", t.changes)
	}
	if more.transactions > 0 {
		m.log.Info("further transactions are muted: nothing of them is sent", "transactions", more.transactions,
			"changes", more.changes, "first_position", more.first.String(), "last_position", more.last.String())
	}
}
