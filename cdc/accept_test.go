package cdc

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

// TestANewSlotWhoseCheckpointIsNotSavedIsStillAGap: the answer that a gap is accepted is lost, or the process dies, after
// the new slot was made. The checkpoint's reach is ahead, as a process that was killed leaves it.
func TestANewSlotWhoseCheckpointIsNotSavedIsStillAGap(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	stop()
	f.mem.mu.Lock()
	c := f.mem.saved[f.cfg.Slot]
	c.Reach = c.LSN + leastReach
	f.mem.saved[f.cfg.Slot] = c
	f.mem.mu.Unlock()
	f.exec(`select pg_drop_replication_slot($1)`, f.cfg.Slot)
	f.exec(`insert into t values (2, 'lost')`)

	s, err := New(f.cfg, rec, f.mem)
	if err != nil {
		t.Fatal(err)
	}
	away := errors.New("the store is away")
	if _, err := s.Accept(t.Context(), true, func(ctx context.Context, old, next Checkpoint, in *Incident) error {
		if in == nil {
			return f.mem.resume(ctx, old, next, in)
		}
		return away
	}); !errors.Is(err, away) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Prepare(t.Context()); IncidentOf(err) == nil {
		t.Fatalf("the gap is forgotten: %v", err)
	}
	if in, err := s.Accept(t.Context(), true, f.mem.resume); err != nil || in.From != c.LSN {
		t.Errorf("got %+v, %v", in, err)
	}
	if _, err := s.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestASlotWaitsForTransactions: one that is open is told as what it is, and when it has ended, the same again succeeds.
func TestASlotWaitsForTransactions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	stop()
	f.exec(`select pg_drop_replication_slot($1)`, f.cfg.Slot)
	open, err := f.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Exec(t.Context(), `insert into t values (2, 'lost')`); err != nil {
		t.Fatal(err)
	}

	cfg := f.cfg
	cfg.SlotTimeout = 100 * time.Millisecond
	s, err := New(cfg, rec, f.mem)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Accept(t.Context(), true, f.mem.resume)
	if e := (*Error)(nil); !errors.As(err, &e) || e.Class != Unavailable || !strings.Contains(e.Mend, "transactions that were running when it began") ||
		!strings.Contains(e.Mend, "pg_stat_activity") {
		t.Fatalf("got %v", err)
	}
	if err := open.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	// That of others, in any database of the cluster, may be open as well.
	if s, err = New(f.cfg, rec, f.mem); err != nil {
		t.Fatal(err)
	}
	for {
		in, err := s.Accept(t.Context(), true, f.mem.resume)
		if e := (*Error)(nil); errors.As(err, &e) && e.Class == Unavailable && strings.Contains(e.Mend, "transactions") {
			continue
		}
		if err != nil || in.Kind != SlotMissing {
			t.Errorf("got %+v, %v", in, err)
		}
		return
	}
}

// TestAcceptLeavesTheSlotsOfOthersAlone: a slot of the name that is not rowhook's, or of another database, is not dropped.
func TestAcceptLeavesTheSlotsOfOthersAlone(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	f := newFixture(t, srv.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	stop()
	// A copy of the store, for a copy of the database in the same cluster.
	copied := f.cfg
	url := srv.Database(t)
	copied.URL = secret.String(url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `create table t (id int primary key, a text)`); err != nil {
		t.Fatal(err)
	}
	s, err := New(copied, rec, &memory{saved: map[string]Checkpoint{f.cfg.Slot: f.mem.saved[f.cfg.Slot]}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Accept(t.Context(), true, f.mem.resume)
	if ClassOf(err) != Refused || err == nil || !strings.Contains(err.Error(), "belongs to the database") {
		t.Errorf("got %v", err)
	}
	var database string
	if err := f.conn.QueryRow(t.Context(), `select database from pg_replication_slots where slot_name = $1`, f.cfg.Slot).Scan(&database); err != nil ||
		!strings.HasSuffix(f.conn.Config().Database, database) {
		t.Errorf("the slot is of %q now, %v", database, err)
	}
}

// TestAStandbyAcceptsNothingWhileItTries: a standby tries again and again, and is not standing by for these moments.
func TestAStandbyAcceptsNothingWhileItTries(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	first, _ := f.run(newRecorder())
	f.exec(`insert into t values (1, 'x')`)
	eventually(t, "the first streams, and has looked at the tables", func() bool {
		c, _, _ := f.mem.LoadCheckpoint(t.Context(), f.cfg.Slot)
		return first.Status().Phase == Streaming && len(c.Tables) == 1
	})
	if err := f.mem.SavePublished(t.Context(), f.cfg.Slot, nil, &Missed{Tables: f.cfg.Tables, From: 1}); err != nil {
		t.Fatal(err)
	}
	// It has not begun to stand by, or is between two tries.
	second, err := New(f.cfg, newRecorder(), f.mem)
	if err != nil {
		t.Fatal(err)
	}
	second.setPhase(Connecting, "", nil)
	if in, err := second.Accept(t.Context(), true, f.mem.resume); !errors.Is(err, ErrStandby) {
		t.Errorf("got %+v, %v", in, err)
	}
	if len(f.mem.accepted) != 0 {
		t.Error("it was accepted under a process that streams")
	}
}

// TestAnIncidentThatPassedIsNotAccepted: the slot was missing for a moment when the stream was to begin. What is accepted
// days later, when everything streams, must not be that.
func TestAnIncidentThatPassedIsNotAccepted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	s, err := New(f.cfg, newRecorder(), f.mem)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone := s.startError(t.Context(), &pgconn.PgError{Code: "42704", Message: `replication slot "x" does not exist`})
	if in := IncidentOf(gone); in != nil {
		t.Errorf("a slot that is gone is told as %s: the next look tells what it is", in.Kind)
	}
	// As Run notes it.
	s.met = &Incident{Kind: PublicationMissing}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "it streams", func() bool { return s.Status().Phase == Streaming })
	f.exec(`insert into t values (1, 'x')`)
	eventually(t, "it has come further", func() bool {
		c, _, _ := f.mem.LoadCheckpoint(t.Context(), f.cfg.Slot)
		return c.Reach > c.LSN && s.Status().Unsettled == 0
	})
	if in, err := s.Accept(t.Context(), true, f.mem.resume); !errors.Is(err, ErrNothingToAccept) {
		t.Errorf("got %+v, %v", in, err)
	}
}

// TestServersThatSpeakOtherLanguages: lc_messages translates what the server says, but not its codes and names.
func TestServersThatSpeakOtherLanguages(t *testing.T) {
	f := newFixture(t, pgtest.Database(t))
	s, err := New(f.cfg, newRecorder(), f.mem)
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger(1, 1)
	r := &reader{Source: s, ledger: l, assemble: newAssembler(1, 1, l, nil)}
	skipped := r.take(&pgproto3.NoticeResponse{Severity: "WARNUNG", SeverityUnlocalized: "WARNING", Code: "55000",
		Message: `Laden der Publikation »p« übersprungen`})
	if in := IncidentOf(skipped); in == nil || in.Kind != PublicationMissing {
		t.Errorf("changes that are left out (Postgres 18): got %v", skipped)
	}
	lost := r.lost(t.Context(), &pgconn.PgError{Code: "22012", Message: "Division durch Null",
		Where: `Slot »s«, Ausgabe-Plugin »pgoutput«, im Callback change, zugehörige LSN 0/1`})
	if in := IncidentOf(lost); in == nil || in.Kind != Undecodable {
		t.Errorf("what cannot be decoded: got %v", lost)
	}
	for _, passes := range []*pgproto3.NoticeResponse{
		{Severity: "HINWEIS", SeverityUnlocalized: "NOTICE", Code: "55000"},
		{Severity: "WARNUNG", SeverityUnlocalized: "WARNING", Code: "01000"},
	} {
		if err := r.take(passes); err != nil {
			t.Errorf("%+v: %v", passes, err)
		}
	}
}

// overtaken is what a standby reads of the store: its look at the checkpoint takes so long that the process that reads
// the slot stops meanwhile.
type overtaken struct {
	*memory
	looked, stopped chan struct{}
	once            atomic.Bool
}

func (o *overtaken) LoadCheckpoint(ctx context.Context, slot string) (Checkpoint, bool, error) {
	c, known, err := o.memory.LoadCheckpoint(ctx, slot)
	if o.once.CompareAndSwap(false, true) {
		close(o.looked)
		<-o.stopped
	}
	return c, known, err
}

// TestATakeoverStaysWithinTheReach that the process before it saved last, after the standby had read the one before.
func TestATakeoverStaysWithinTheReach(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	eventually(t, "the reach is ahead", func() bool {
		c, _, _ := f.mem.LoadCheckpoint(t.Context(), f.cfg.Slot)
		return c.Reach >= c.LSN+leastReach/2
	})
	o := &overtaken{memory: f.mem, looked: make(chan struct{}), stopped: make(chan struct{})}
	second, err := New(f.cfg, newRecorder(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- second.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	<-o.looked
	stop() // makes the reach exact
	close(o.stopped)
	eventually(t, "the second streams", func() bool { return second.Status().Phase == Streaming })
	// Nothing of ours: only keepalives are acknowledged.
	f.exec(`create table other (a text)`)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 20 {
		f.exec(`insert into other select repeat('x', 1000) from generate_series(1, 20)`)
		<-tick.C
		var confirmed string
		if err := f.conn.QueryRow(t.Context(), `select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1`, f.cfg.Slot).Scan(&confirmed); err != nil {
			t.Fatal(err)
		}
		var at LSN
		if err := at.Scan(confirmed); err != nil {
			t.Fatal(err)
		}
		if c, _, _ := f.mem.LoadCheckpoint(t.Context(), f.cfg.Slot); at > c.Reach {
			t.Fatalf("the slot stands at %s, beyond %s: killed now, it would look as if somebody had moved it", at, c.Reach)
		}
	}
}

// TestManyDefinitionsAreForgottenBetweenReads: what is known of tables is bounded, and thrown away at a time when it is
// not in use.
func TestManyDefinitionsAreForgottenBetweenReads(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	f.exec(`create table u (id int primary key, a text)`)
	f.exec(`insert into t values (1, 'one')`)
	f.exec(`insert into u values (1, 'two')`)
	tables, err := LoadTables(t.Context(), f.conn, []TableName{{"public", "t"}, {"public", "u"}})
	if err != nil {
		t.Fatal(err)
	}
	r := NewRowReader(f.cfg.URL, 0, f.cfg.Log)
	defer r.Close()
	for range shapesMax {
		r.shapes[&Relation{}] = &tableShape{} // of connections and definitions of before
	}
	var requests []RowRequest
	for _, name := range []string{"t", "u"} {
		at := tables[TableName{"public", name}]
		rel := &Relation{OID: at.OID, Table: at.TableName, Columns: at.Columns, Key: at.Key}
		requests = append(requests, RowRequest{Relation: rel, Key: [][]byte{[]byte("1")}, Columns: []int{1}})
	}
	rows, err := r.Read(t.Context(), nil, requests, 1<<20)
	if err != nil || len(rows) != 2 || string(rows[0][0].Data) != "one" || string(rows[1][0].Data) != "two" {
		t.Errorf("got %v, %v", rows, err)
	}
}

// TestTheTimeOfTheCheckpointIsNotForgotten over sessions in which nothing happens: a gap afterwards has a beginning.
func TestTheTimeOfTheCheckpointIsNotForgotten(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	s, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	for range 2 {
		f.exec(`create table if not exists other (a text)`)
		f.exec(`insert into other values ('x')`)
		before := s.Status().Acknowledged
		eventually(t, "a keepalive is acknowledged", func() bool { return s.Status().Acknowledged > before })
		stop()
		s, stop = f.run(rec)
	}
	stop()
	if c, _, _ := f.mem.LoadCheckpoint(t.Context(), f.cfg.Slot); c.SettledAt.IsZero() {
		t.Errorf("got %+v", c)
	}
}

// firstHandled notes what is saved when the first batch comes.
type firstHandled struct {
	*recorder
	mem   *memory
	saves int
}

func (h *firstHandled) Handle(ctx context.Context, b *Batch) (*Receipt, error) {
	if h.saves == 0 {
		h.mem.mu.Lock()
		h.saves = h.mem.saves
		h.mem.mu.Unlock()
	}
	return h.recorder.Handle(ctx, b)
}

// TestASessionBeginsWithItsCheckpoint: what is recorded on a new timeline before the checkpoint says that it is followed
// would look, after a crash, as if it had been delivered before the fork.
func TestASessionBeginsWithItsCheckpoint(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	_, stop := f.run(newRecorder())
	stop()
	f.exec(`insert into t values (1, 'x')`)
	// As a process that was killed leaves it.
	c, _, _ := f.mem.LoadCheckpoint(t.Context(), f.cfg.Slot)
	c.Reach = c.LSN + 2*leastReach
	if err := f.mem.SaveCheckpoint(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	before := f.mem.saves
	h := &firstHandled{recorder: newRecorder(), mem: f.mem}
	_, stop = f.run(h)
	h.wait(t, 1)
	stop()
	if h.saves <= before {
		t.Error("a batch was handled before the session's checkpoint was saved")
	}
}

// TestAConfirmedEnvironmentConfirmsNothingElse: a database that was restored, and is of another environment, too. That
// nothing is lost is said of the environment only.
func TestAConfirmedEnvironmentConfirmsNothingElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	stop()
	f.mem.mu.Lock()
	c := f.mem.saved[f.cfg.Slot]
	c.Timeline, c.Environment = 7, "production"
	f.mem.saved[f.cfg.Slot] = c
	f.mem.mu.Unlock()
	s, err := New(f.cfg, rec, f.mem)
	if err != nil {
		t.Fatal(err)
	}
	if in, err := s.Accept(t.Context(), false, f.mem.resume); err != nil || in.Kind != OtherEnvironment {
		t.Fatalf("got %+v, %v", in, err)
	}
	if _, err := s.Prepare(t.Context()); IncidentOf(err) == nil || IncidentOf(err).Kind != DatabaseRestored {
		t.Errorf("got %v", err)
	}
}

// TestALostConnectionIsNotAttended: another process may read the slot at once, while the handler is still busy here.
func TestALostConnectionIsNotAttended(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	g := &gated{recorder: newRecorder(), entered: make(chan struct{}), open: make(chan struct{})}
	s, _ := f.run(g)
	f.exec(`insert into t values (1, 'x')`)
	<-g.entered
	defer close(g.open)
	if !s.Attended() {
		t.Error("a connection that streams is not attended")
	}
	f.exec(`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, f.cfg.Slot)
	// Much sooner than it would be taken for frozen.
	deadline, tick := time.After(frozenAfter/3), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for s.Attended() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("attempts may begin, though the slot may be another process's")
		}
	}
}
