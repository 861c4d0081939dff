package store

import (
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestRecordedReadsByIndex: it is asked for every batch after a crash, and most of what is kept may be of one subscription.
func TestRecordedReadsByIndex(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	const kept = 50_000
	write(t, s, delivered(event(kept, day), x.Key, 1, false))
	exec(t, conn, `INSERT INTO outcome SELECT $2, p, $1, p, $1, p || '\x000000000000000001'
		FROM (SELECT decode('00000001' || lpad(to_hex(n * 200), 16, '0') || '0000000100000000', 'hex') AS p FROM generate_series(1, $3 - 1) n) n`,
		day, x.Key, kept)
	exec(t, conn, `ANALYZE outcome`)
	var asked []Delivery
	for i := range 100 {
		asked = append(asked, Delivery{x.Key, event(kept-99+i, day)})
	}
	found, _, err := s.Recorded(t.Context(), asked)
	if err != nil || len(found) != len(asked) {
		t.Fatalf("%d are found, want %d: %v", len(found), len(asked), err)
	}
	s.Close() // a connection that ends leaves its statistics
	eventually(t, "the server counts what was read", func() bool {
		return value[int](t, conn, `SELECT count(*) FROM pg_stat_user_tables WHERE relname LIKE 'outcome_%' AND idx_scan + seq_scan > 0`) > 0
	})
	if n := value[int](t, conn, `SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'outcome_%'`); n >= kept {
		t.Errorf("%d rows were read one after the other", n)
	}
}
