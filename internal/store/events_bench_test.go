package store

import (
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// BenchmarkEventsOfInstance looks for the events of one instance that has none among a million of others.
func BenchmarkEventsOfInstance(b *testing.B) {
	db := pgtest.Database(b)
	s, conn := open(b, db), connect(b, db)
	const n = 1_000_000
	write(b, s, delivered(event(1, day), subscribe(b, s, "").Key, 1, false))
	exec(b, conn, `INSERT INTO event (position, committed_at, id, type, resource, instance, data)
		SELECT decode('00000001' || lpad(to_hex(n * 200), 16, '0') || lpad('1', 8, '0') || repeat('0', 8), 'hex'), $1::timestamptz + n * interval '10 ms', 'evt_' || md5(n::text), 'contact.update', 'contact',
			(n % 1000)::text, convert_to('{"id":' || n || ',"pad":"' || repeat(md5(n::text), 8) || '"}', 'UTF8')
		FROM generate_series(2, $2::bigint) n`, day, n)
	if err := s.Summarize(b.Context()); err != nil {
		b.Fatal(err)
	}
	settled := cdc.Position{Epoch: 1, Commit: (n + 1) * 200}
	for b.Loop() {
		q := EventsQuery{Descending: true, Settled: settled, Select: EventSelect{Resources: []string{"contact"}, Instance: "none"}, Limit: 50, Bytes: 1 << 20}
		looks := 0
		for {
			page, err := s.Events(b.Context(), q)
			if err != nil || len(page.Events) > 0 {
				b.Fatal(page.Events, err)
			}
			looks++
			if !page.More {
				break
			}
			q.From = page.Next
		}
		b.ReportMetric(float64(looks), "looks")
	}
}
