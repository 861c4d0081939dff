package store

import (
	"fmt"
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
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

// TestTouchedOf tells the recorded events of touches from those of their change and of others, and what numbers are taken.
func TestTouchedOf(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x := subscribe(t, s, "")
	touched := func(n int, ordinal, sub uint32) *mapping.Event {
		ev := event(n, day)
		ev.Position = cdc.Position{Epoch: 1, Commit: 5, Ordinal: ordinal, Sub: sub}
		return ev
	}
	own, first, second, other := touched(1, 3, 0), touched(2, 3, mapping.TouchedFrom), touched(3, 3, mapping.TouchedFrom+7), touched(4, 4, mapping.TouchedFrom+9)
	for i, ev := range []*mapping.Event{own, first, second, other} {
		write(t, s, delivered(ev, x.Key, int64(i), false))
	}
	at := own.Position
	ask := func(want string, ids ...string) {
		t.Helper()
		events, buried, highest, err := s.TouchedOf(t.Context(), at, "contact", ids, []string{"", "9"})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(len(events), events["evt_2"].Position.Sub, subs(buried), highest-mapping.TouchedFrom); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	ask("1 2147483648 map[] 7", "evt_1", "evt_2", "evt_4", "evt_5")
	ask("0 0 map[] 7")
	letter := func(resource, instance string, sub uint32) sender.Record {
		p := at
		p.Sub = sub
		return sender.Record{Op: sender.Bury, DeadLetter: &mapping.DeadLetter{Resource: resource, Instance: instance, Position: p, Time: day, Op: cdc.Update}}
	}
	write(t, s, letter("contact", "9", mapping.TouchedFrom+8), letter("contact", "10", mapping.TouchedFrom+9), letter("deal", "", mapping.TouchedFrom+10), letter("contact", "", 1))
	ask("1 2147483648 map[9:2147483656] 10", "evt_2")
	at.Commit = 6
	if _, _, highest, err := s.TouchedOf(t.Context(), at, "contact", []string{"evt_2"}, nil); err != nil || highest != 0 {
		t.Errorf("of another commit: %d, %v", highest, err)
	}
	at.Commit = 5
	if found, err := s.EventsOf(t.Context(), []cdc.Position{at}); err != nil || len(found) != 1 || found["evt_1"] != own.Position {
		t.Errorf("those of the change itself: %v, %v", found, err)
	}
}

func subs(positions map[string]cdc.Position) map[string]uint32 {
	subs := map[string]uint32{}
	for name, p := range positions {
		subs[name] = p.Sub
	}
	return subs
}
