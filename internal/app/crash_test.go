package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// What comes again after which crash, and where it is shown. T is a transaction with events.
//
//	rowhook dies
//	  before T has been read                      T                       TestKillBetweenTwoChanges
//	  in the middle of T, some events delivered   T whole, the same ids   TestKilledInTheMiddleOfATransaction
//	  between pages of a touch                    what is not stored      TestTouchIsCutBetweenPages
//	  after a request, before its answer          that event              TestKilledBeforeTheAnswer
//	  after a success, before it is stored        that event              TestKilledBeforeASuccessIsStored
//	  checkpoint written, Postgres not told       nothing                 TestKilledBeforePostgresIsTold
//	  Postgres told                               nothing                 TestKilledWhenPostgresWasTold
//	  while what is due is being committed        the event, stored once  TestKilledWhileACommitIsUnderWay
//	  event stored as due, T not acknowledged     T but that event        TestKilledWithADueEventUnacknowledged
//	  due event delivered, not yet removed        that event              TestKilledBeforeADueEventIsRemoved
//	Postgres
//	  crashes, or is restarted (before 17)        nothing that was        TestPostgresForgetsThePosition
//	                                              checkpointed
//	  is stopped while a delivery is held         that event              TestPostgresStopsWhileADeliveryHangs
//	  has lost the slot, or somebody dropped it   nothing: a gap          TestALostSlotIsAGap, TestAMissingSlotIsAGap
//	  cannot write (disk full)                    nothing acknowledged    TestNothingIsAcknowledgedThatCannotBeStored
//	both
//	  lose their connection                       what is unsettled       TestALostConnectionSendsNothingTwice
//	  lose power                                  stored events are there TestPowerFailsWithADueEvent
//	a frozen rowhook, and a second one            what the first had      TestAFrozenRowhookIsReplaced
//
// Not shown: failover to a physical standby. With a synchronised slot, with and without the stored rows, it takes Postgres
// 17; without one it is a dropped slot.

// far keeps everything in memory that is not answered, so that nothing that follows is acknowledged.
func (r *rig) far() {
	r.text = strings.NewReplacer("timeout: 2s", "timeout: 60s", "hold: 500ms", "hold: 59m").Replace(r.text)
}

// another is a connection of its own, for locks.
func (r *rig) another() *pgx.Conn {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (r *rig) on(conn *pgx.Conn, sql string) {
	r.t.Helper()
	if _, err := conn.Exec(r.t.Context(), sql); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// becomes waits until a question that the database answers with true or false is answered with true.
func (r *rig) becomes(what, sql string, args ...any) {
	r.t.Helper()
	eventually(r.t, what, func() bool {
		var yes bool
		return r.conn.QueryRow(r.t.Context(), sql, args...).Scan(&yes) == nil && yes
	})
}

// text1 asks the database for a text.
func (r *rig) text1(sql string, args ...any) string {
	r.t.Helper()
	var s string
	if err := r.conn.QueryRow(r.t.Context(), sql, args...).Scan(&s); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	return s
}

const waitsForLock = `select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`

// oneID says what instance came under more than one id for the same type.
func oneID(t *testing.T, requests []hooktest.Request) {
	t.Helper()
	ids := map[string]string{}
	for _, q := range requests {
		what := q.Instance() + q.Type
		if ids[what] == "" {
			ids[what] = q.ID
		}
		if ids[what] != q.ID {
			t.Errorf("%s of %s has the ids %s and %s", q.Type, q.Instance(), ids[what], q.ID)
		}
	}
}

func TestKilledInTheMiddleOfATransaction(t *testing.T) {
	t.Parallel()
	const rows = 1500
	// More than the memory that it may use: it cannot have read to the end while the first ones are held.
	r := newRig(t, hooktest.Times(20, hooktest.Always(hooktest.OK()), hooktest.Times(64, hooktest.Always(hooktest.Hang()), hooktest.Always(hooktest.OK()))))
	r.far()
	r.text = strings.Replace(r.text, "hold: 59m", "hold: 59m, memory: 1MiB", 1)
	cmd := r.spawn()
	r.subscribe("/")
	r.exec(`insert into contacts (id, account_id, first_name, last_name, email) select k, 1, 'Ada', 'L', repeat('x', 2000) from generate_series(1, $1::int) k`, rows)
	r.recv.Wait(t, 84, patience)
	kill(t, cmd)
	r.recv.Release()
	r.spawn()
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(hooktest.Delivered(q))) == rows })
	oneID(t, all)
}

func TestKilledBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Sequence(hooktest.Hang(), hooktest.OK()))
	r.far()
	cmd := r.spawn()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	kill(t, cmd)
	r.recv.Release()
	r.spawn()
	oneID(t, r.recv.Wait(t, 2, patience))
}

func TestKilledBeforeASuccessIsStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cmd := r.spawn()
	r.subscribe("/")
	lock := r.another()
	r.on(lock, `begin`)
	r.on(lock, `lock table rowhook.outcome in access exclusive mode`)
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	r.becomes("the outcome cannot be stored", waitsForLock)
	kill(t, cmd)
	r.on(lock, `rollback`)
	r.spawn()
	oneID(t, r.recv.Wait(t, 2, patience))
	r.becomes("the outcome is stored once", `select count(*) = 1 from rowhook.delivery where status = 1`)
}

// settled waits until everything up to now is in the checkpoint.
func (r *rig) settled() {
	r.t.Helper()
	end := r.text1(`select pg_current_wal_insert_lsn()::text`)
	r.exec(`select pg_logical_emit_message(true, 'test', 'x')`)
	r.becomes("the checkpoint is written", `select lsn >= $1::text::pg_lsn from rowhook.checkpoint`, end)
}

// nothingTwice starts rowhook again and makes one more change: its event is the only one that comes.
func (r *rig) nothingTwice(id int) {
	r.t.Helper()
	before := len(r.recv.Requests())
	r.spawn()
	r.insertContact(id, 1)
	got := r.recv.Wait(r.t, before+1, patience)[before:]
	if len(got) != 1 || got[0].Instance() != fmt.Sprint("contact/", id) {
		r.t.Errorf("after the start came %v", got)
	}
}

// TestKilledBeforePostgresIsTold stops the walsender, so that the position reaches the checkpoint only, and ends it before
// it can read what it was told.
func TestKilledBeforePostgresIsTold(t *testing.T) {
	t.Parallel()
	r := newRigAt(t, pgtest.Cluster(t, nil).Database(t))
	cmd := r.spawn()
	r.subscribe("/")
	var pid int
	if err := r.conn.QueryRow(t.Context(), `select active_pid from pg_replication_slots where slot_name = $1`, r.slot).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 5; i++ {
		r.insertContact(i, 1)
	}
	r.recv.Wait(t, 5, patience)
	// What was sent is on its way to the checkpoint, what is told in the socket.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	r.becomes("the checkpoint has all five", `select c.lsn > (select max(('x' || encode(substring(position from 5 for 8), 'hex'))::bit(64)::bigint) from rowhook.event)::numeric + '0/0'::pg_lsn
		from rowhook.checkpoint c`)
	kill(t, cmd)
	r.exec(`select pg_terminate_backend($1)`, pid)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.becomes("the walsender has ended", `select active_pid is null from pg_replication_slots where slot_name = $1`, r.slot)
	r.nothingTwice(6)
}

func TestKilledWhenPostgresWasTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cmd := r.spawn()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	end := r.text1(`select pg_current_wal_insert_lsn()::text`)
	r.exec(`select pg_logical_emit_message(true, 'test', 'x')`)
	r.becomes("Postgres is told", `select confirmed_flush_lsn >= $2::text::pg_lsn from pg_replication_slots where slot_name = $1`, r.slot, end)
	kill(t, cmd)
	r.nothingTwice(2)
}

// TestKilledWhileACommitIsUnderWay holds the commit of a row that becomes due, so that rowhook dies without knowing.
func TestKilledWhileACommitIsUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Sequence(hooktest.Status(500), hooktest.OK()))
	r.text = strings.Replace(r.text, "retries: [100ms,", "retries: [2s,", 1)
	cmd := r.spawn()
	r.subscribe("/")
	r.exec(`create function rowhook.wait() returns trigger language plpgsql as $$begin perform pg_advisory_xact_lock(1); return null; end$$;
		create constraint trigger wait after insert on rowhook.due deferrable initially deferred for each row execute function rowhook.wait()`)
	lock := r.another()
	r.on(lock, `select pg_advisory_lock(1)`)
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	r.becomes("the commit waits", waitsForLock)
	kill(t, cmd)
	r.on(lock, `select pg_advisory_unlock(1)`)
	r.spawn()
	oneID(t, r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.Delivered(q)) == 1 }))
	r.becomes("nothing is due any more, one delivery is stored", `select not exists (select from rowhook.due) and (select count(*) = 1 from rowhook.delivery)`)
	r.insertContact(2, 1)
	got := r.recv.WaitFor(t, arrived("/", "contact/2", 1))
	if n := len(hooktest.ByInstance(got)["contact/1"]); n != 2 {
		t.Errorf("contact/1 came %d times, want twice: the failure and the retry", n)
	}
}

// TestKilledWithADueEventUnacknowledged holds the position by one event while another is stored as due.
func TestKilledWithADueEventUnacknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.recv.Handle("/held", hooktest.Sequence(hooktest.Hang(), hooktest.OK()))
	r.recv.Handle("/fails", hooktest.Sequence(hooktest.Status(500), hooktest.OK()))
	r.far()
	r.text = strings.Replace(r.text, "retries: [100ms,", "retries: [3s,", 1)
	cmd := r.spawn()
	r.subscribe("/held", "note.*")
	r.subscribe("/fails", "contact.*")
	r.exec(`insert into notes values (1, 'x')`)
	r.recv.WaitFor(t, arrived("/held", "note/1", 1))
	r.insertContact(1, 1)
	r.becomes("the failed one is due", `select count(*) = 1 from rowhook.due`)
	r.exec(`update contacts set city = 'next' where id = 1`)
	r.becomes("and the one behind it", `select count(*) = 2 from rowhook.due`)
	kill(t, cmd)
	r.recv.Release()
	r.spawn()
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/held", "note/1", 2)(q) && arrived("/fails", "contact/1", 3)(q)
	})
	var seen []string
	for _, q := range hooktest.ByPath(got)["/fails"] {
		seen = append(seen, fmt.Sprint(q.Type, " ", q.Attempt))
	}
	if got, want := strings.Join(seen, ", "), "contact.create 1, contact.create 2, contact.update 1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.becomes("nothing is due any more", `select not exists (select from rowhook.due)`)
}

func TestKilledBeforeADueEventIsRemoved(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	r := newRig(t, hooktest.Sequence(hooktest.Status(500), hooktest.Answer{Until: answer}, hooktest.OK()))
	r.far()
	cmd := r.spawn()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 2, patience)
	lock := r.another()
	r.on(lock, `begin`)
	r.on(lock, `lock table rowhook.due, rowhook.outcome in exclusive mode`)
	close(answer)
	r.becomes("the success cannot be stored", waitsForLock)
	kill(t, cmd)
	r.on(lock, `rollback`)
	r.spawn()
	got := r.recv.Wait(t, 3, patience)
	oneID(t, got)
	if got[2].Attempt != 2 {
		t.Errorf("attempt %d came again, want 2", got[2].Attempt)
	}
	r.becomes("nothing is due any more", `select not exists (select from rowhook.due)`)
}

// TestNothingIsAcknowledgedThatCannotBeStored lets the store refuse what became of an event as a full disk does.
func TestNothingIsAcknowledgedThatCannotBeStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cmd := r.spawn()
	r.subscribe("/")
	r.exec(`create function rowhook.full() returns trigger language plpgsql as $$begin raise exception using errcode = '53100', message = 'disk full'; end$$;
		create trigger full_disk before insert on rowhook.outcome for each row execute function rowhook.full()`)
	r.insertContact(1, 1)
	after := r.text1(`select pg_current_wal_insert_lsn()::text`)
	r.recv.Wait(t, 1, patience)
	eventually(t, "readiness is red", func() bool {
		ready, err := r.admin().Ready(t.Context())
		return err == nil && !ready.Ready && strings.Contains(ready.Reason, "disk full")
	})
	// The stream goes on, and its position is reported with it.
	r.insertContact(2, 1)
	r.recv.Wait(t, 2, patience)
	if r.text1(`select (confirmed_flush_lsn < $2::text::pg_lsn)::text from pg_replication_slots where slot_name = $1`, r.slot, after) != "true" {
		t.Error("the event was acknowledged, though nothing is stored of it")
	}
	kill(t, cmd)
	r.exec(`drop trigger full_disk on rowhook.outcome`)
	r.spawn()
	oneID(t, r.recv.Wait(t, 4, patience))
	r.becomes("the outcomes are stored", `select count(*) = 2 from rowhook.delivery where status = 1`)
}

// TestALostConnectionSendsNothingTwice cuts the replication connection while an event is under way and others wait.
func TestALostConnectionSendsNothingTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.ForInstance("contact/1", hooktest.Always(hooktest.Hang()), hooktest.Always(hooktest.OK())))
	r.far()
	r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	for i := range 5 {
		r.exec(`update contacts set city = $1 where id = 1`, fmt.Sprint(i))
		r.insertContact(10+i, 1)
	}
	r.recv.Wait(t, 6, patience)
	r.exec(`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, r.slot)
	r.becomes("the connection is gone", `select active_pid is null from pg_replication_slots where slot_name = $1`, r.slot)
	r.recv.HandleAll(hooktest.Always(hooktest.OK()))
	r.recv.Release()
	r.insertContact(2, 1)
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/", "contact/2", 1)(q) && arrived("/", "contact/1", 6)(q)
	})
	if d := hooktest.Duplicates(got); len(d) > 0 || len(got) != 12 {
		t.Errorf("%d requests, want 12; %d events came twice", len(got), len(d))
	}
	if err := hooktest.CheckOrder(got); err != nil {
		t.Error(err)
	}
}

// TestPowerFailsWithADueEvent takes the power from both, when an event is stored as due and acknowledged. The database
// commits asynchronously, and its WAL writer sleeps: only what is flushed because rowhook asks for it survives.
func TestPowerFailsWithADueEvent(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, map[string]string{"fsync": "on", "synchronous_commit": "off", "wal_writer_delay": "10s"})
	r := newRigAt(t, srv.Database(t), hooktest.Sequence(hooktest.Status(http.StatusBadGateway), hooktest.OK()))
	r.text = strings.Replace(r.text, "retries: [100ms,", "retries: [3s,", 1)
	cmd := r.spawn()
	r.subscribe("/")
	// Read only once it is flushed, which nobody hurries here.
	r.exec(`set synchronous_commit = on`)
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	r.becomes("the event is due", `select count(*) = 1 from rowhook.due`)
	if err := srv.SignalAll(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	kill(t, cmd)
	<-srv.Done()
	if err := srv.StartAgain(); err != nil {
		t.Fatal(err)
	}
	r.reconnect()
	r.becomes("the event is due after the crash", `select count(*) = 1 from rowhook.due`)
	r.spawn()
	got := r.recv.Wait(t, 2, patience)
	oneID(t, got)
	if got[1].Attempt != 2 {
		t.Errorf("attempt %d, want 2: what was stored is gone", got[1].Attempt)
	}
}
