package store

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestAnInstanceIsFoundByItsIndex: over days, epochs, and summaries that are made, are not made yet, or cannot be, the events of an
// instance are all found, newest first.
func TestAnInstanceIsFoundByItsIndex(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	s.eventScan, s.summaryLag = 100, 0
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	key := subscribe(t, s, "").Key
	// 3 days, one of them with positions of two epochs; every 1,000th is of "rare", "once" is one of the oldest, "hot" every second one of the first day.
	fill := func(from, to int) {
		exec(t, conn, `INSERT INTO event (position, committed_at, id, type, resource, instance, data)
			SELECT decode(lpad(to_hex(1 + n / 20000), 8, '0') || lpad(to_hex(n * 200), 16, '0') || lpad('1', 8, '0') || repeat('0', 8), 'hex'), $1::timestamptz + n * interval '9 s', 'evt_' || md5(n::text), 'contact.update', 'contact',
				CASE WHEN n % 1000 = 7 THEN 'rare' WHEN n = 11 THEN 'once' WHEN n % 2 = 0 AND n < 9000 THEN 'hot' ELSE (n % 997)::text END, convert_to('{"id":' || n || ',"pad":"' || repeat(md5(n::text), 8) || '"}', 'UTF8')
			FROM generate_series($2::bigint, $3::bigint) n`, day, from, to)
	}
	for i := range 4 {
		write(t, s, delivered(event(i, day.Add(time.Duration(i)*24*time.Hour)), key, 1, false))
	}
	const total = 28_000
	id := func(n int) string { return fmt.Sprintf("evt_%x", md5.Sum([]byte(fmt.Sprint(n)))) }
	look := func(upTo int) {
		t.Helper()
		for _, instance := range []string{"rare", "once", "hot", "none", "5"} {
			s.instanceTime = []time.Duration{0, time.Hour}[r.IntN(2)]
			var want []string
			for n := upTo; n >= 2; n-- {
				is := fmt.Sprint(n % 997)
				switch {
				case n%1000 == 7:
					is = "rare"
				case n == 11:
					is = "once"
				case n%2 == 0 && n < 9000:
					is = "hot"
				}
				if is == instance {
					want = append(want, id(n))
				}
			}
			if instance == "hot" {
				want = want[:200]
			}
			q := EventsQuery{Descending: true, Settled: cdc.Position{Epoch: 9}, Select: EventSelect{Types: []string{"contact.update"}, Instance: instance}, Limit: 50, Bytes: 1 << 20}
			var got []string
			for {
				page, err := s.Events(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, ev := range page.Events {
					got = append(got, ev.ID)
				}
				if !page.More || len(got) >= 200 {
					break
				}
				q.From = page.Next
			}
			if instance == "hot" {
				got = got[:min(len(got), 200)]
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s up to %d: %d events, want %d: %s", instance, upTo, len(got), len(want), firstDifference(got, want))
			}
		}
	}
	summarized := func() (n int) {
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid, generate_series(0, pg_relation_size(c.oid) / 8192 / 64 - 1) r
			WHERE i.inhparent = 'event'::regclass AND brin_summarize_range(to_regclass(c.relname || '_instance'), r * 64) = 0`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	fill(2, 15_000)
	look(15_000)
	if err := s.Summarize(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := summarized(); n < 8 {
		t.Errorf("%d ranges are summarized", n)
	}
	look(15_000)
	fill(15_001, total)
	look(total)
	s.summarized = nil // as after a start
	if err := s.Summarize(t.Context()); err != nil {
		t.Fatal(err)
	}
	look(total)
	exec(t, conn, `DROP INDEX `+"event_"+day.Add(24*time.Hour).Format("20060102")+"_instance") // a partition of a release before
	look(total)
}
