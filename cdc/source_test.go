package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

// recorder is a handler that keeps what it gets. Receipts are settled at once unless hold is set.
type recorder struct {
	mu       sync.Mutex
	hold     bool
	changes  []string
	receipts []*Receipt
	news     chan struct{}
}

func newRecorder() *recorder { return &recorder{news: make(chan struct{}, 1)} }

func (r *recorder) Handle(_ context.Context, b *Batch) (*Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range b.Changes {
		text := c.Op.String()
		if c.Relation != nil {
			text += " " + c.Relation.Table.Name
		}
		for _, v := range c.New {
			text += " " + string(v.Data)
		}
		if c.Op == Message {
			text += " " + c.Prefix + " " + string(c.Content)
		}
		if c.Op == Delete {
			for _, v := range c.Old {
				text += " " + string(v.Data)
			}
		}
		r.changes = append(r.changes, text)
	}
	receipt := NewReceipt(1)
	if r.hold {
		r.receipts = append(r.receipts, receipt)
	} else {
		receipt.Done()
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
	return receipt, nil
}

func (r *recorder) Begin(context.Context) error { return nil }
func (r *recorder) End()                        {}

func (r *recorder) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.receipts {
		x.Done()
	}
	r.receipts, r.hold = nil, false
}

// wait returns what has come when there are n changes, or fails.
func (r *recorder) wait(t *testing.T, n int) []string {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		r.mu.Lock()
		got := append([]string(nil), r.changes...)
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-r.news:
		case <-deadline:
			t.Fatalf("got %d changes, want %d: %q", len(got), n, got)
		}
	}
}

// memory keeps checkpoints as a store would.
type memory struct {
	mu    sync.Mutex
	saved map[string]Checkpoint
	saves int
	// horizon is what Horizon returns, accepted what resume got.
	horizon  Position
	accepted []Incident
}

func (m *memory) LoadCheckpoint(_ context.Context, slot string) (Checkpoint, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.saved[slot]
	return c, ok, nil
}

func (m *memory) SaveCheckpoint(_ context.Context, c Checkpoint) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.saved == nil {
		m.saved = map[string]Checkpoint{}
	}
	c.Tables, c.Missed = m.saved[c.Slot].Tables, m.saved[c.Slot].Missed
	m.saved[c.Slot] = c
	m.saves++
	return nil
}

func (m *memory) SavePublished(_ context.Context, slot string, tables []Published, missed *Missed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.saved[slot]
	c.Tables, c.Missed = tables, missed
	m.saved[slot] = c
	return nil
}

func (m *memory) Horizon(context.Context) (Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.horizon, nil
}

// resume is a Resume.
func (m *memory) resume(_ context.Context, old, next Checkpoint, in *Incident) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.saved[next.Slot].LSN != old.LSN {
		return errors.New("the checkpoint has changed")
	}
	m.saved[next.Slot] = next
	if in != nil {
		m.accepted = append(m.accepted, *in)
	}
	return nil
}

type fixture struct {
	t    *testing.T
	cfg  Config
	conn *pgx.Conn
	mem  *memory
}

func newFixture(t *testing.T, url string) *fixture {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	f := &fixture{t: t, conn: conn, mem: &memory{}}
	f.exec(`create table t (id int primary key, a text)`)
	f.cfg = Config{URL: secret.String(url), Slot: pgtest.Name("slot"), Publication: "My,Pub'x\"y", Environment: "test",
		Tables: []TableName{{"public", "t"}}, Prefixes: []string{"mine"}, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	return f
}

func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.conn.Exec(f.t.Context(), sql, args...); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

// run starts a source; the function it returns stops it and waits.
func (f *fixture) run(h Handler) (*Source, func()) {
	f.t.Helper()
	s, err := New(f.cfg, h, f.mem)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := s.Prepare(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	})
	f.t.Cleanup(stop)
	return s, stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(2*time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func TestSourceSendsWhatIsCommittedAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	var log lockedLog
	f.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	rec := newRecorder()
	f.run(rec)
	f.exec(`insert into t values (1, 'one')`)
	f.exec(`begin`)
	f.exec(`insert into t values (2, 'gone')`)
	f.exec(`rollback`)
	f.exec(`begin`)
	f.exec(`insert into t values (3, 'three')`)
	f.exec(`savepoint s`)
	f.exec(`insert into t values (4, 'gone')`)
	f.exec(`rollback to s`)
	f.exec(`update t set a = 'drei' where id = 3`)
	f.exec(`select pg_logical_emit_message(true, 'mine', '{"x":1}'), pg_logical_emit_message(true, 'theirs', '')`)
	f.exec(`select pg_logical_emit_message(false, 'mine', 'not transactional')`)
	f.exec(`select pg_logical_emit_message(false, 'mine', 'nor this'), pg_logical_emit_message(false, 'theirs', '')`)
	f.exec(`commit`)
	f.exec(`delete from t where id = 1`)
	f.exec(`truncate t`)
	got := rec.wait(t, 6)
	want := []string{"insert t 1 one", "insert t 3 three", "update t 3 drei", `message mine {"x":1}`, "delete t 1 ", "truncate t"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if told := log.String(); strings.Count(told, "not transactional is ignored") != 1 || !strings.Contains(told, "prefix=mine") {
		t.Errorf("the log has\n%s", told)
	}
}

func TestSourceGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'one')`)
	rec.wait(t, 1)
	stop()
	f.exec(`insert into t values (2, 'two')`)
	again := newRecorder()
	f.run(again)
	if got := again.wait(t, 1); got[0] != "insert t 2 two" || len(got) != 1 {
		t.Errorf("got %q: after a clean stop nothing comes again", got)
	}
}

func TestSourceHoldsThePositionUntilSettled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	rec.hold = true
	s, stop := f.run(rec)
	f.exec(`insert into t values (1, 'one')`)
	rec.wait(t, 1)
	held := s.Status().Acknowledged
	var commit LSN
	f.exec(`insert into t values (2, 'two')`)
	rec.wait(t, 2)
	var text string
	if err := f.conn.QueryRow(t.Context(), `select pg_current_wal_insert_lsn()::text`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	if err := commit.Scan(text); err != nil {
		t.Fatal(err)
	}
	if got := s.Status(); got.Acknowledged != held || got.Unsettled == 0 {
		t.Errorf("acknowledged %v with unsettled batches, was %v", got.Acknowledged, held)
	}
	rec.release()
	eventually(t, "the position moves when all is settled", func() bool { return s.Status().Acknowledged >= commit })
	eventually(t, "the server hears of it", func() bool {
		var ok bool
		err := f.conn.QueryRow(t.Context(), `select confirmed_flush_lsn >= $2::text::pg_lsn from pg_replication_slots where slot_name = $1`,
			f.cfg.Slot, commit.String()).Scan(&ok)
		return err == nil && ok
	})
	eventually(t, "a checkpoint is written", func() bool {
		f.mem.mu.Lock()
		defer f.mem.mu.Unlock()
		return f.mem.saved[f.cfg.Slot].LSN >= held
	})
	stop()
}

func TestSourceSurvivesRestartsOfTheServer(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	f := newFixture(t, srv.Database(t))
	rec := newRecorder()
	f.run(rec)
	f.exec(`insert into t values (1, 'one')`)
	rec.wait(t, 1)
	for i, mode := range []pgtest.Mode{pgtest.Fast, pgtest.Immediate} {
		if err := srv.Restart(mode); err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(t.Context(), f.cfg.URL.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `insert into t values ($1, 'again')`, i+2); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close(t.Context())
		want := fmt.Sprintf("insert t %d again", i+2)
		eventually(t, want, func() bool {
			rec.mu.Lock()
			defer rec.mu.Unlock()
			return strings.Contains(strings.Join(rec.changes, "\n"), want)
		})
	}
}

// TestServerCanStopWhileEventsAreHeld shows that a held receipt does not keep the server from shutting down, though the
// server waits for acknowledgements of all that it sent.
func TestServerCanStopWhileEventsAreHeld(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	f := newFixture(t, srv.Database(t))
	rec := newRecorder()
	rec.hold = true
	f.run(rec)
	f.exec(`insert into t values (1, 'one')`)
	rec.wait(t, 1)
	if err := srv.Shutdown(pgtest.Fast, 10*time.Second); err != nil {
		t.Fatalf("the server does not stop: %v", err)
	}
	if err := srv.StartAgain(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), f.cfg.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `insert into t values (2, 'two')`); err != nil {
		t.Fatal(err)
	}
	// What was taken before the connection was closed is settled first, and then does not come again.
	rec.release()
	if got := rec.wait(t, 2); fmt.Sprint(got) != "[insert t 1 one insert t 2 two]" {
		t.Errorf("got %q", got)
	}
}

func TestIdleSourceWritesNothing(t *testing.T) {
	t.Parallel()
	// A cluster of its own: what others write would move the position, too.
	f := newFixture(t, pgtest.Cluster(t, nil).Database(t))
	rec := newRecorder()
	s, _ := f.run(rec)
	f.exec(`insert into t values (1, 'one')`)
	rec.wait(t, 1)
	// The first one, that of the session's reach, and that of the row.
	eventually(t, "the checkpoint is written", func() bool { f.mem.mu.Lock(); defer f.mem.mu.Unlock(); return f.mem.saves >= 3 })
	f.mem.mu.Lock()
	saves := f.mem.saves
	f.mem.mu.Unlock()
	// Other tables' changes move the server's position and ours with it, without a write.
	f.exec(`create table other (x int)`)
	f.exec(`insert into other select generate_series(1, 1000)`)
	var end LSN
	var text string
	if err := f.conn.QueryRow(t.Context(), `select pg_current_wal_insert_lsn()::text`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	if err := end.Scan(text); err != nil {
		t.Fatal(err)
	}
	eventually(t, "keepalives are acknowledged", func() bool { return s.Status().Acknowledged >= end })
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if f.mem.saves != saves {
		t.Errorf("%d checkpoints were written for nothing", f.mem.saves-saves)
	}
}

func TestTwoSourcesOneSlot(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	first, second := newRecorder(), newRecorder()
	s1, stop1 := f.run(first)
	eventually(t, "the first streams", func() bool { return s1.Status().Phase == Streaming })
	s2, _ := f.run(second)
	eventually(t, "the second is standby", func() bool { return s2.Status().Phase == Standby })
	f.exec(`insert into t values (1, 'one')`)
	first.wait(t, 1)
	stop1()
	f.exec(`insert into t values (2, 'two')`)
	if got := second.wait(t, 1); fmt.Sprint(got) != "[insert t 2 two]" {
		t.Errorf("the second got %q", got)
	}
}

func TestTemporarySourceLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	f.cfg.Temporary = true
	rec := newRecorder()
	s, stop := f.run(rec)
	eventually(t, "it streams", func() bool { return s.Status().Phase == Streaming })
	f.exec(`insert into t values (1, 'one')`)
	rec.wait(t, 1)
	stop()
	eventually(t, "the slot is gone", func() bool {
		var n int
		return f.conn.QueryRow(t.Context(), `select count(*) from pg_replication_slots where slot_name = $1`, f.cfg.Slot).Scan(&n) == nil && n == 0
	})
}
