package store

import (
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// TestOutcomesOfAnOlderVersionAreKept: what was sent before the upgrade is not sent again after it, and can be looked at.
func TestOutcomesOfAnOlderVersionAreKept(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	conn := connect(t, db)
	first := open(t, db)
	x := subscribe(t, first, "")
	waits := event(5000, day)
	write(t, first, deferred(waits, x.Key, 1, day))
	first.Close()
	// As it was before version 4, and without what later ones have added to the same tables.
	exec(t, conn, `DELETE FROM migration WHERE version_id IN (4, 20)`)
	exec(t, conn, `ALTER TABLE attempt DROP COLUMN dns_us, DROP COLUMN connect_us, DROP COLUMN tls_us, DROP COLUMN first_byte_us`)
	exec(t, conn, `DROP VIEW delivery`)
	exec(t, conn, `DROP TABLE outcome`)
	exec(t, conn, `CREATE TABLE delivery (subscription bigint NOT NULL, position bytea NOT NULL, committed_at timestamptz NOT NULL,
		finished_at timestamptz NOT NULL, duration_us integer NOT NULL, status smallint NOT NULL, attempts smallint NOT NULL, http_status smallint NOT NULL,
		PRIMARY KEY (subscription, position, committed_at)) PARTITION BY RANGE (committed_at)`)
	exec(t, conn, `CREATE TABLE delivery_20261122 PARTITION OF delivery FOR VALUES FROM ('2026-11-22 00:00:00+00') TO ('2026-11-23 00:00:00+00')`)
	exec(t, conn, `CREATE TABLE delivery_20261123 PARTITION OF delivery FOR VALUES FROM ('2026-11-23 00:00:00+00') TO ('2026-11-24 00:00:00+00')`)
	var asked []Delivery
	for i := range 150 {
		ev := event(i+1, day.AddDate(0, 0, i%2))
		asked = append(asked, Delivery{x.Key, ev})
		exec(t, conn, `INSERT INTO delivery VALUES ($1, $2, $3, $3, $4, 2, $5, 503)`, x.Key, bytesOf(ev.Position), ev.Time, i*1_000_000, i)
	}
	s := open(t, db)
	found, _, err := s.Recorded(t.Context(), append(asked, Delivery{x.Key, event(999, day)}))
	if err != nil || len(found) != len(asked) {
		t.Errorf("%d are recorded, want %d: %v", len(found), len(asked), err)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM delivery WHERE status = 2 AND http_status = 503 AND duration_us = attempts * 1000000`); n != len(asked) {
		t.Errorf("%d deliveries are shown, want %d", n, len(asked))
	}
	if n := value[int](t, conn, `SELECT max(octet_length(packed)) FROM outcome`); n != outcomeMax*packedSize {
		t.Errorf("the largest row has %d bytes", n)
	}
	write(t, s, delivered(event(1000, day), x.Key, 1, false)) // the partitions are there
	// What waited for the upgrade is sent as it would have been, and what comes after it has everything.
	after := event(5001, day)
	after.Previous, after.Context = []byte(`{"n":1}`), []byte(`{"source":"zapier"}`)
	write(t, s, deferred(after, x.Key, 2, day))
	due, _, err := s.Due(t.Context(), x.Key, sender.Look{Now: day, Rows: 10, Bytes: 1 << 20})
	if err != nil || len(due) != 2 {
		t.Fatalf("%d are due, want 2: %v", len(due), err)
	}
	for i, want := range []*mapping.Event{waits, after} {
		if got, want := string(sender.AppendStandard(nil, due[i].Event)), string(sender.AppendStandard(nil, want)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
