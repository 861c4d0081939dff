//go:build unix

package cdc

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

// counting is a handler that counts and settles.
type counting struct {
	want, got int
	done      chan struct{}
}

func (c *counting) Begin(context.Context) error { return nil }
func (c *counting) End()                        {}

func (c *counting) Handle(_ context.Context, b *Batch) (*Receipt, error) {
	if c.got += len(b.Changes); c.got == c.want {
		close(c.done)
	}
	return NewReceipt(0), nil
}

// BenchmarkReadBacklog reads a backlog of single-row transactions from a real server, of which nothing comes. It reports
// our processor time; the server's is not in it.
func BenchmarkReadBacklog(b *testing.B) {
	const rows = 100_000
	url := pgtest.Database(b)
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	exec := func(sql string, args ...any) {
		b.Helper()
		if _, err := conn.Exec(b.Context(), sql, args...); err != nil {
			b.Fatalf("%s: %v", sql, err)
		}
	}
	exec(`create table t (id int primary key, a text)`)
	exec(`create procedure fill(rows int) language plpgsql as $$
		begin for n in 1 .. rows loop insert into t values (n, repeat('x', 250)); commit; end loop; end$$`)
	cfg := Config{URL: secret.String(url), Slot: pgtest.Name("slot"), Publication: "p", Environment: "test", Tables: []TableName{{"public", "t"}}}
	var took, used time.Duration
	for b.Loop() {
		h := &counting{want: rows, done: make(chan struct{})}
		s, err := New(cfg, h, &memory{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Prepare(b.Context()); err != nil {
			b.Fatal(err)
		}
		exec(`truncate t`)
		h.want++ // the truncate
		exec(`call fill($1::int)`, rows)
		exec(`select pg_sleep($1)`, 2*behindAfter.Seconds())
		ctx, cancel := context.WithCancel(b.Context())
		before, begun := processorTime(b), time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		select {
		case <-h.done:
		case <-time.After(time.Minute):
			b.Error("not everything came within a minute")
		}
		took, used = took+time.Since(begun), used+processorTime(b)-before
		cancel()
		wg.Wait()
		exec(`select pg_drop_replication_slot($1)`, cfg.Slot)
	}
	b.ReportMetric(float64(b.N*rows)/took.Seconds(), "rows/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N*rows), "cpu-us/row")
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
