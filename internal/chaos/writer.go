//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// load is what the writers do together.
type load struct {
	url        string
	seed       uint64
	rate       int // transactions a second
	keys, bulk int
	began      time.Time
	// turns are the transactions that were begun; the clock says how many there may be, so that what an outage held up
	// is made up for.
	turns atomic.Int64
	// transactions committed with at least one change; rolledBack were undone on purpose; unsure lost the answer to the
	// commit and asked.
	transactions, rolledBack, unsure atomic.Int64

	mu  sync.Mutex
	err error // what a writer did not expect
}

// run writes with several connections until ctx is done, and finishes what it has begun.
func (l *load) run(ctx context.Context, writers int) error {
	l.began = time.Now()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			w := &writer{load: l, rng: rand.New(rand.NewPCG(l.seed, uint64(i)))}
			defer w.close()
			for w.turn(ctx) {
				w.write(w.pick())
			}
		})
	}
	if l.bulk > 0 {
		wg.Go(func() {
			w := &writer{load: l, rng: rand.New(rand.NewPCG(l.seed, 1<<32))}
			defer w.close()
			tick := time.NewTicker(bulkEvery)
			defer tick.Stop()
			for ctx.Err() == nil {
				w.write(w.large())
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

const (
	// bulkEvery is how often a large transaction is written.
	bulkEvery = 15 * time.Second
	// again is the wait before the next try to connect.
	again = 20 * time.Millisecond
)

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

// turn waits until the rate allows one more transaction. It is false at the end.
func (w *writer) turn(ctx context.Context) bool {
	n := w.load.turns.Add(1)
	due := time.Until(w.load.began.Add(time.Duration(n) * time.Second / time.Duration(w.load.rate)))
	if due <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(due)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// writer is one connection of the application.
type writer struct {
	load *load
	rng  *rand.Rand
	conn *pgx.Conn
}

// transaction is one to be written: its statements, and whether it is rolled back.
type transaction struct {
	steps []step
	undo  bool
	// asks says that it may come to nothing: the journal knows.
	asks bool
}

// step changes an item. kept is false for one that is rolled back to a savepoint.
type step struct {
	sql  string
	args []any
	// otherwise is done when sql changed nothing.
	otherwise string
	savepoint bool
}

func touch(key int64) step {
	return step{sql: `update items set body = '' where id = $1`, args: []any{key},
		otherwise: `insert into items (id, seq, mark, body) values ($1, 0, 0, '')`}
}

func deletion(key int64) step {
	return step{sql: `delete from items where id = $1`, args: []any{key}}
}

// net changes an item several times.
func (w *writer) net() transaction {
	t, k := transaction{asks: true}, w.key()
	for range 2 + w.rng.IntN(3) {
		if w.rng.IntN(3) == 0 {
			t.steps = append(t.steps, deletion(k))
		} else {
			t.steps = append(t.steps, touch(k))
		}
	}
	return t
}

func (w *writer) key() int64 { return 1 + w.rng.Int64N(int64(w.load.keys)) }

// several are keys in their order, so that writers do not wait for each other in a circle.
func (w *writer) several(n int) []step {
	keys := make([]int64, n)
	for i := range keys {
		keys[i] = w.key()
	}
	slices.Sort(keys)
	var steps []step
	for _, k := range slices.Compact(keys) {
		steps = append(steps, touch(k))
	}
	return steps
}

func (w *writer) pick() transaction {
	switch p := w.rng.IntN(100); {
	case p < 75:
		return transaction{steps: []step{touch(w.key())}}
	case p < 84:
		return transaction{steps: w.several(2 + w.rng.IntN(4))}
	case p < 88:
		return w.net()
	case p < 91:
		return transaction{steps: []step{deletion(w.key())}}
	case p < 95:
		return transaction{steps: w.several(1 + w.rng.IntN(3)), undo: true}
	}
	steps := w.several(3)
	steps[w.rng.IntN(len(steps))].savepoint = true
	return transaction{steps: steps}
}

// large changes all items of the bulk range.
func (w *writer) large() transaction {
	return transaction{steps: []step{{sql: `update items set body = '' where id > $1 and id <= $1 + $2`, args: []any{bulkFrom, w.load.bulk},
		otherwise: `insert into items (id, seq, mark, body) select $1 + k, 0, 0, '' from generate_series(1, $2::int) k`}}}
}

// write writes the transaction. When the connection breaks before the commit it is as if it had never been; when the
// answer to the commit is lost, it asks what became of it.
func (w *writer) write(t transaction) {
	// The server may be away for as long as it takes, so nothing here has a deadline but the connection's own.
	ctx := context.Background()
	if err := w.connect(ctx); err != nil {
		w.load.fail(err)
		return
	}
	mark := w.rng.Int64()
	rows, err := w.change(ctx, t, mark)
	if err != nil {
		w.broken(err)
		return
	}
	if t.undo {
		if _, err := w.conn.Exec(ctx, `rollback`); err != nil {
			w.broken(err)
		}
		w.load.rolledBack.Add(1)
		return
	}
	_, err = w.conn.Exec(ctx, `commit`)
	if err != nil {
		w.broken(err)
		w.load.unsure.Add(1)
		done, askErr := w.ask(ctx, mark)
		if askErr != nil {
			w.load.fail(askErr)
		}
		if !done {
			return
		}
	}
	if rows > 0 {
		w.load.transactions.Add(1)
	}
}

// change does all but the commit. The mark is written with it, so that it can be asked for.
func (w *writer) change(ctx context.Context, t transaction, mark int64) (rows int64, err error) {
	b := &pgx.Batch{}
	b.Queue(`begin`)
	b.Queue(`insert into marks values ($1)`, mark)
	if err := w.conn.SendBatch(ctx, b).Close(); err != nil {
		return 0, err
	}
	for _, s := range t.steps {
		if s.savepoint {
			if _, err := w.conn.Exec(ctx, `savepoint s`); err != nil {
				return 0, err
			}
		}
		tag, err := w.conn.Exec(ctx, s.sql, s.args...)
		if err == nil && tag.RowsAffected() == 0 && s.otherwise != "" {
			tag, err = w.conn.Exec(ctx, s.otherwise, s.args...)
		}
		if err != nil {
			return 0, err
		}
		if s.savepoint {
			if _, err := w.conn.Exec(ctx, `rollback to savepoint s`); err != nil {
				return 0, err
			}
			continue
		}
		rows += tag.RowsAffected()
	}
	if t.asks {
		err = w.conn.QueryRow(ctx, `select count(*) from journal where xid = pg_current_xact_id()`).Scan(&rows)
	}
	return rows, err
}

// ask says whether the transaction with a mark committed. It writes the mark itself: that waits for one that is still
// under way, and from then on the other cannot commit any more. The transaction's number would not do: after a crash it
// is given to another one.
func (w *writer) ask(ctx context.Context, mark int64) (bool, error) {
	for {
		if err := w.connect(ctx); err != nil {
			return false, err
		}
		tag, err := w.conn.Exec(ctx, `insert into marks values ($1) on conflict do nothing`, mark)
		if err == nil {
			return tag.RowsAffected() == 0, nil
		}
		w.broken(err)
		wait(ctx, again)
	}
}

// connect makes a connection, as often as it takes.
func (w *writer) connect(ctx context.Context) error {
	deadline := time.Now().Add(2 * time.Minute)
	for w.conn == nil {
		try, cancel := context.WithTimeout(ctx, 10*time.Second)
		conn, err := pgx.Connect(try, w.load.url)
		cancel()
		if err == nil {
			w.conn = conn
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the database is away for too long: %w", err)
		}
		wait(ctx, again)
	}
	return nil
}

// broken ends the connection, whatever state it is in. Two errors are the application's own: a key that somebody else
// made first.
func (w *writer) broken(err error) {
	var told *pgconn.PgError
	if errors.As(err, &told) && told.Code == "23505" {
		if _, err := w.conn.Exec(context.Background(), `rollback`); err == nil {
			return
		}
	} else if errors.As(err, &told) && told.Code[:2] != "57" {
		w.load.fail(fmt.Errorf("write: %w", err))
	}
	w.close()
}

func (w *writer) close() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = w.conn.Close(ctx)
	w.conn = nil
}

// wait waits for a time or for ctx.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
