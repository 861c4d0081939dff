//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// loadOrders are those of the load generator.
type loadOrders struct {
	Database    string // a connection string
	Connections int
	Duration    time.Duration
	// Rate is how many rows are inserted in a second, each in a transaction, whether those before are done or not.
	Rate int
	// Instances, where Rate is 0, are the rows that application transactions change, one after another on each
	// connection.
	Instances int64
}

// loadResult is what the load generator did.
type loadResult struct {
	Transactions int64
	Took         time.Duration
	RoundTrip    quantiles // of the statement, commit included; of the whole transaction where Rate is 0
	Late         quantiles // how long after its time each statement was sent, where there is a rate
}

const insertItem = `insert into items (id, seq, sent, account_id, name, email, city, note)
	values ($1, 0, $2, '1', 'Ada Lovelace', 'ada@example.com', 'London', repeat('n', 200))`

// loadRole writes as the application would, and tells how long its own statements took.
func loadRole(ctx context.Context, in *json.Decoder, out io.Writer) error {
	var o loadOrders
	if err := in.Decode(&o); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { <-untilEnd(in); cancel() }()
	conns := make([]*pgx.Conn, o.Connections)
	for i := range conns {
		var err error
		if conns[i], err = pgx.Connect(ctx, o.Database); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer conns[i].Close(context.WithoutCancel(ctx))
		// Plans, caches and the first page faults are not what is measured.
		if _, err := conns[i].Prepare(ctx, "insert", insertItem); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	var (
		next        atomic.Int64
		mu          sync.Mutex
		trips, late []int32
		failed      error
		wg          sync.WaitGroup
	)
	begin := time.Now()
	for _, conn := range conns {
		wg.Go(func() {
			var own, ownLate []int32
			var err error
			for err == nil {
				if o.Rate == 0 {
					if time.Since(begin) >= o.Duration {
						break
					}
					sent := time.Now()
					err = transaction(ctx, conn, rand.Int64N(o.Instances))
					own = append(own, int32(time.Since(sent).Microseconds()))
					continue
				}
				n := next.Add(1) - 1
				due := time.Duration(n) * time.Second / time.Duration(o.Rate)
				if due >= o.Duration {
					break
				}
				if !sleepUntil(ctx, begin.Add(due)) {
					err = ctx.Err()
					break
				}
				sent := time.Now()
				_, err = conn.Exec(ctx, "insert", n, sent.UnixMicro())
				own = append(own, int32(time.Since(sent).Microseconds()))
				ownLate = append(ownLate, int32((sent.Sub(begin) - due).Microseconds()))
			}
			mu.Lock()
			defer mu.Unlock()
			trips, late = append(trips, own...), append(late, ownLate...)
			if err != nil && failed == nil {
				failed = err
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if failed != nil {
		return fmt.Errorf("write: %w", failed)
	}
	return json.NewEncoder(out).Encode(loadResult{Transactions: int64(len(trips)), Took: took, RoundTrip: quantilesOf(trips), Late: quantilesOf(late)})
}

// transaction is pgbench's "simple update": an update, a select and an insert. Only the update is of a mapped table.
func transaction(ctx context.Context, conn *pgx.Conn, id int64) error {
	if _, err := conn.Exec(ctx, `begin`); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `update items set seq = seq + 1 where id = $1`, id); err != nil {
		return err
	}
	var seq int64
	if err := conn.QueryRow(ctx, `select seq from items where id = $1`, id).Scan(&seq); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `insert into history (item, seq) values ($1, $2)`, id, seq); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, `commit`)
	return err
}

// sleepUntil waits for the time. It is false when ctx is done first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	pause := time.Until(at)
	if pause <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
