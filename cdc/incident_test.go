package cdc

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/internal/pgtest"
)

func TestParseHistory(t *testing.T) {
	for _, c := range []struct {
		text string
		want []fork
		bad  bool
	}{
		{text: ""},
		{text: "1\t0/3000060\tno recovery target specified\n", want: []fork{{1, 0x3000060}}},
		{text: "# a comment\n\n1\t0/3000060\tbefore 2026-11-22 01:02:03+00\r\n2\tA/5\tx", want: []fork{{1, 0x3000060}, {2, 0xA_0000_0005}}},
		{text: "1\n", bad: true},
		{text: "x\t0/1\n", bad: true},
		{text: "1\tnowhere\n", bad: true},
		{text: "99999999999\t0/1\n", bad: true},
	} {
		got, err := parseHistory(c.text)
		if (err != nil) != c.bad || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %v, %v", c.text, got, err)
		}
	}
}

func FuzzParseHistory(f *testing.F) {
	f.Add("1\t0/3000060\tno recovery target specified\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseHistory(text) })
}

// TestPausesGrowOverWhatDoesNotPass: a server must not read its log again and again for an error that stays.
func TestPausesGrowOverWhatDoesNotPass(t *testing.T) {
	stays := &streamEnded{lived: time.Millisecond, err: &pgconn.PgError{Code: "XX000", Message: "broken"}}
	away := &streamEnded{lived: time.Millisecond, err: &pgconn.PgError{Code: "57P03", Message: "starting"}}
	var p pauses
	for i := range 12 {
		phase, _, wait := p.next(stays)
		if want := i >= sameAgain; (phase == Blocked) != want {
			t.Errorf("after %d times: %s", i+1, phase)
		}
		if i == 11 && wait < maxBlockedPause/2 {
			t.Errorf("still only %s", wait)
		}
	}
	for range 12 {
		if phase, _, wait := p.next(away); phase != Connecting || wait > 2*maxBlockedPause {
			t.Errorf("got %s, %s", phase, wait)
		}
	}
	p.next(&streamEnded{lived: time.Hour, err: stays.err})
	if p.pause > 2*minPause || p.again != 0 {
		t.Errorf("a connection that lived long counts: %+v", p)
	}
}

// unwilling is a store that saves no position any more, once it is told.
type unwilling struct {
	*memory
	refuse chan struct{}
}

func (u *unwilling) SaveCheckpoint(ctx context.Context, c Checkpoint) error {
	select {
	case <-u.refuse:
		return errors.New("disk full")
	default:
		return u.memory.SaveCheckpoint(ctx, c)
	}
}

// TestNothingIsAcknowledgedBeyondWhatIsSaved has a store that saves nothing: the slot stays within the reach that is
// saved, so that one that is found beyond it was moved by somebody else.
func TestNothingIsAcknowledgedBeyondWhatIsSaved(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	u := &unwilling{memory: f.mem, refuse: make(chan struct{})}
	s, err := New(f.cfg, newRecorder(), u)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	f.exec(`insert into t values (1, 'x')`)
	eventually(t, "the reach is ahead", func() bool {
		c, _, _ := u.LoadCheckpoint(ctx, f.cfg.Slot)
		return c.Reach >= c.LSN+leastReach/2
	})
	close(u.refuse)
	saved, _, _ := u.LoadCheckpoint(ctx, f.cfg.Slot)
	f.exec(`create table other (a text)`)
	f.exec(`insert into other select repeat('x', 1000) from generate_series(1, 5000)`)
	f.exec(`insert into t values (2, 'x')`)
	eventually(t, "everything is received", func() bool { return s.Status().Received > saved.Reach+leastReach })
	eventually(t, "as much as allowed is acknowledged", func() bool { return s.Status().Acknowledged == saved.Reach })
	var confirmed string
	eventually(t, "the server knows", func() bool {
		err := f.conn.QueryRow(t.Context(), `select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1`, f.cfg.Slot).Scan(&confirmed)
		return err == nil && confirmed == saved.Reach.String()
	})
}

// TestIncidentsAreFoundExactly after a clean stop: also when the slot was moved by a few bytes only.
func TestIncidentsAreFoundExactly(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	stop()
	f.exec(`insert into t values (2, 'lost')`)
	f.exec(`select pg_replication_slot_advance($1, pg_current_wal_lsn())`, f.cfg.Slot)
	s, err := New(f.cfg, rec, f.mem)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Prepare(t.Context())
	if in := IncidentOf(err); in == nil || in.Kind != SlotMoved || ClassOf(err) != Gap {
		t.Fatalf("got %v", err)
	}
	var needs *NeedsGap
	if _, err := s.Accept(t.Context(), false, f.mem.resume); !errors.As(err, &needs) || needs.Incident.Kind != SlotMoved {
		t.Errorf("got %v", err)
	}
	if in, err := s.Accept(t.Context(), true, f.mem.resume); err != nil || in.To <= in.From {
		t.Errorf("got %+v, %v", in, err)
	}
	if _, err := s.Accept(t.Context(), true, f.mem.resume); !errors.Is(err, ErrNothingToAccept) {
		t.Errorf("again: %v", err)
	}
	_, stop = f.run(rec)
	f.exec(`insert into t values (3, 'sent')`)
	if got := rec.wait(t, 2); !slices.Equal(got, []string{"insert t 1 x", "insert t 3 sent"}) {
		t.Errorf("got %q", got)
	}
	stop()
}

// TestAStandbyAcceptsNothing: the process that reads the slot has to be asked.
func TestAStandbyAcceptsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	first, _ := f.run(newRecorder())
	eventually(t, "the first streams", func() bool { return first.Status().Phase == Streaming })
	f.cfg.Log = slog.New(slog.DiscardHandler)
	second, _ := f.run(newRecorder())
	eventually(t, "the second stands by", func() bool { return second.Status().Phase == Standby })
	if _, err := second.Accept(t.Context(), true, f.mem.resume); !errors.Is(err, ErrStandby) {
		t.Errorf("got %v", err)
	}
}

// gated is a recorder whose first batch waits.
type gated struct {
	*recorder
	entered, open chan struct{}
	once          sync.Once
}

func (g *gated) Handle(ctx context.Context, b *Batch) (*Receipt, error) {
	g.once.Do(func() { close(g.entered); <-g.open })
	return g.recorder.Handle(ctx, b)
}

// TestWhatComesBeforeAnIncidentIsHandedOn has a transaction and the server's refusal of the next one read at once:
// accepting the incident skips both.
func TestWhatComesBeforeAnIncidentIsHandedOn(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Needs(t, url, 15, "row filters")
	f := newFixture(t, url)
	f.exec(`create publication ` + QuoteIdent(f.cfg.Publication) + ` for table t where (10 / (id - 7) < 1000000)`)
	g := &gated{recorder: newRecorder(), entered: make(chan struct{}), open: make(chan struct{})}
	s, _ := f.run(g)
	f.exec(`insert into t values (1, 'x')`)
	<-g.entered
	for id := 2; id <= 3; id++ {
		f.exec(`insert into t values ($1, 'x')`, id)
		eventually(t, "it is received", func() bool { return s.Status().Unsettled == id })
	}
	f.exec(`insert into t values (4, 'x')`)
	f.exec(`insert into t values (7, 'x')`)
	eventually(t, "the server has given up", func() bool {
		var active bool
		err := f.conn.QueryRow(t.Context(), `select active from pg_replication_slots where slot_name = $1`, f.cfg.Slot).Scan(&active)
		return err == nil && !active
	})
	close(g.open)
	eventually(t, "the incident is found", func() bool { in := s.Status().Incident; return in != nil && in.Kind == Undecodable })
	if _, err := s.Accept(t.Context(), true, f.mem.resume); err != nil {
		t.Fatal(err)
	}
	f.exec(`insert into t values (8, 'x')`)
	if got := g.wait(t, 5); !slices.Equal(got, []string{"insert t 1 x", "insert t 2 x", "insert t 3 x", "insert t 4 x", "insert t 8 x"}) {
		t.Errorf("got %q", got)
	}
}

// TestAnIdleSlotIsLost: since Postgres 18 the server gives up slots that nobody reads, where it is told to. Check says so before, the incident after.
func TestAnIdleSlotIsLost(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	pgtest.Needs(t, srv.URL("postgres"), 18, "idle_replication_slot_timeout")
	f := newFixture(t, srv.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	stop()
	if err := srv.Set(map[string]string{"idle_replication_slot_timeout": "1s"}); err != nil {
		t.Fatal(err)
	}
	s, err := New(f.cfg, rec, f.mem)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a survey sees the setting", func() bool {
		v, err := s.Survey(t.Context())
		return err == nil && v.IdleTimeout == time.Second
	})
	f.exec(`insert into t values (2, 'lost')`)
	eventually(t, "the slot is lost", func() (lost bool) {
		f.exec(`checkpoint`)
		if err := f.conn.QueryRow(t.Context(), `select wal_status = 'lost' from pg_replication_slots where slot_name = $1`, f.cfg.Slot).Scan(&lost); err != nil {
			t.Fatal(err)
		}
		return lost
	})
	_, err = s.Prepare(t.Context())
	if in := IncidentOf(err); in == nil || in.Kind != SlotLost || !strings.Contains(err.Error(), "idle_replication_slot_timeout") {
		t.Errorf("got %v", err)
	}
}
