//go:build unix

package chaos

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// check compares what arrived with the journal, event by event, for every target and key.
func (r *run) check(ctx context.Context) error {
	rep := &r.found
	conn, err := pgx.Connect(ctx, r.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var xids int64
	if err := conn.QueryRow(ctx, `select count(*), count(distinct xid) from journal`).Scan(&rep.Events, &xids); err != nil {
		return err
	}
	rep.Transactions = int(xids)
	l := r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if told := r.load.transactions.Load(); told != xids {
		l.accuse("the writers were told of %d committed transactions, the database has %d", told, xids)
	}

	type place struct{ key, seq int64 }
	ids := map[uint64]place{}
	counters := map[int64]int64{}
	rows, err := conn.Query(ctx, `select id, seq, op, mark from journal order by id, seq`)
	if err != nil {
		return err
	}
	var key, seq, mark int64
	var op int
	_, err = pgx.ForEachRow(rows, []any{&key, &seq, &op, &mark}, func() error {
		if seq != counters[key]+1 {
			return fmt.Errorf("the journal of key %d goes from %d to %d", key, counters[key], seq)
		}
		counters[key] = seq
		var id uint64
		for _, t := range r.subs.all {
			a := t.keys[key].find(seq)
			if a == nil || a.done == 0 {
				if r.must(t, key, seq, op) {
					rep.Lost++
					l.accuse("%s: number %d of key %d is lost", t.name, seq, key)
				}
				continue
			}
			rep.Compared++
			if a.sum != sumOf(op, mark) {
				l.accuse("%s: number %d of key %d is not what was committed", t.name, seq, key)
			}
			if id != 0 && id != a.id {
				l.accuse("%s: number %d of key %d has another id than elsewhere", t.name, seq, key)
			}
			id = a.id
		}
		if id != 0 {
			if p, ok := ids[id]; ok {
				l.accuse("number %d of key %d and number %d of key %d have the same id", seq, key, p.seq, p.key)
			}
			ids[id] = place{key, seq}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range r.subs.all {
		for key, h := range t.keys {
			if h.newest > counters[key] {
				l.accuse("%s: number %d of key %d did not commit: the last is %d", t.name, h.newest, key, counters[key])
			}
			// What is repeated for a guest after a kill ends where it is deleted.
			if h.last != h.done && !t.unordered && !r.gone(t) {
				l.accuse("%s: number %d of key %d came last, and %d is newer", t.name, h.last, key, h.done)
			}
		}
	}
	r.checkGuests()
	return r.checkStore(ctx)
}

// gone says whether a target is a guest whose subscription was deleted.
func (r *run) gone(t *target) bool {
	return slices.ContainsFunc(r.subs.guests, func(g *guest) bool { return g.target == t && g.gone })
}

// must says whether an event has to have arrived at a target.
func (r *run) must(t *target, key, seq int64, op int) bool {
	if !t.late {
		return !t.updatesOnly || op == update
	}
	g := r.subs.guests[slices.IndexFunc(r.subs.guests, func(g *guest) bool { return g.target == t })]
	if !g.gone {
		return seq > g.high[key]
	}
	h := t.keys[key] // up to when it was deleted it has everything
	return h != nil && seq > g.high[key] && seq <= h.done
}

// checkGuests looks at the begin of what a guest got: nothing from before it was subscribed, and no hole after its first.
func (r *run) checkGuests() {
	for _, g := range r.subs.guests {
		for key, h := range g.target.keys {
			first := h.from
			if first <= g.low[key] {
				r.ledger.accuse("%s: got number %d of key %d, and %d was committed before it was subscribed", g.target.name, first, key, g.low[key])
			}
			if first > g.high[key]+1 {
				r.ledger.accuse("%s: the first of key %d is number %d, and after %d it was subscribed", g.target.name, key, first, g.high[key])
			}
			for seq := first; seq <= h.done; seq++ {
				if a := h.find(seq); a == nil || a.done == 0 {
					r.ledger.accuse("%s: number %d of key %d is missing between %d and %d", g.target.name, seq, key, first, h.done)
				}
			}
		}
	}
}

// owed is how much of what is surely meant for a guest has not been delivered to it; last is the last number of each key.
func (r *run) owed(g *guest, last map[int64]int64) int {
	if g.gone {
		return 0
	}
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	n := 0
	for key, newest := range last {
		h := g.target.keys[key]
		for seq := g.high[key] + 1; seq <= newest; seq++ {
			if a := h.find(seq); a == nil || a.done == 0 {
				n++
			}
		}
	}
	return n
}

// checkStore makes sure that the store has come to the same end.
func (r *run) checkStore(ctx context.Context) error {
	due, failed, letters, err := r.stored(ctx)
	if err != nil {
		return err
	}
	if due+failed+letters > 0 {
		r.ledger.accuse("the store has %d deliveries that are due, %d that failed, %d dead letters; there should be none", due, failed, letters)
	}
	return nil
}

// stored counts what the store has of subscriptions that are not deleted, and was not delivered.
func (r *run) stored(ctx context.Context) (due, failed, letters int, err error) {
	url := r.url
	if r.store != nil {
		url = r.store.URL("postgres")
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = conn.QueryRow(ctx, `select (select count(*) from rowhook.due d join rowhook.subscription s on s.key = d.subscription where s.deleted_at is null),
		(select count(*) from rowhook.delivery where status <> 1), (select count(*) from rowhook.dead_letter)`).Scan(&due, &failed, &letters)
	return due, failed, letters, err
}
