package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/sender"
)

// batchOf is how many deliveries a batch of the benchmarks has.
const batchOf = 500

// BenchmarkWrite writes batches of successes: of new events, for a second subscription of events that are there; of what is
// put off for subscriptions that take nothing; and of deliveries that were due.
func BenchmarkWrite(b *testing.B) {
	db := pgtest.Database(b)
	s, conn := open(b, db), connect(b, db)
	var keys []int64
	for range 10 {
		keys = append(keys, subscribe(b, s, "").Key)
	}
	pad := make([]byte, 300)
	for i := range pad {
		pad[i] = 'a' + byte(i*7%26)
	}
	n := 0
	batch := func(next func(i int) sender.Record) []sender.Record {
		records := make([]sender.Record, batchOf)
		for i := range records {
			records[i] = next(n)
			n++
		}
		return records
	}
	newEvent := func(n int, subscription int64) sender.Record {
		ev := event(n+1, day.Add(time.Duration(n)*time.Microsecond))
		ev.Data = fmt.Appendf(nil, `{"id":%d,"pad":%q}`, n, pad)
		return delivered(ev, subscription, int64(n), false)
	}
	run := func(name string, step func() []sender.Record) {
		b.Run(name, func(b *testing.B) {
			from := wal(b, conn)
			for b.Loop() {
				if err := s.Write(context.Background(), step()); err != nil {
					b.Fatal(err)
				}
			}
			rows := float64(b.N * batchOf)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/rows, "µs/delivery")
			b.ReportMetric(float64(wal(b, conn)-from)/rows, "WAL-bytes/delivery")
		})
	}
	run("NewEvents", func() []sender.Record {
		return batch(func(n int) sender.Record { return newEvent(n, keys[n%10]) })
	})
	run("SecondSubscription", func() []sender.Record {
		return batch(func(n int) sender.Record {
			r := newEvent(n, keys[n%10])
			r.InsertEvent = false
			return r
		})
	})
	run("Deferred", func() []sender.Record {
		return batch(func(n int) sender.Record {
			r := newEvent(n, keys[n%2])
			d := deferred(r.Event, r.Subscription, r.Key, day)
			d.InsertEvent = false
			return d
		})
	})
	run("DeferredAndFinished", func() []sender.Record {
		records := batch(func(n int) sender.Record {
			r := newEvent(n, keys[n%10])
			return deferred(r.Event, r.Subscription, r.Key, day)
		})
		if err := s.Write(context.Background(), records); err != nil {
			b.Fatal(err)
		}
		for i, r := range records {
			records[i] = delivered(r.Event, r.Subscription, r.Key, true)
		}
		return records
	})
}

func wal(b *testing.B, conn *pgx.Conn) int64 {
	return value[int64](b, conn, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`)
}
