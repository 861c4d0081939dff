package app_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestPostgresStopsWhileADeliveryHangs shuts the server down while a target does not answer: with the event in memory,
// where it holds the position, and with it stored.
func TestPostgresStopsWhileADeliveryHangs(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]string{"InMemory": "59m", "Stored": "200ms"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := pgtest.Cluster(t, nil)
			r := newRigAt(t, srv.Database(t), hooktest.Sequence(hooktest.Hang(), hooktest.OK()))
			r.text = strings.NewReplacer("timeout: 2s", "timeout: 60s", "hold: 500ms", "hold: "+hold).Replace(r.text)
			r.start()
			r.subscribe("/")
			r.insertContact(1, 1)
			r.recv.Wait(t, 1, patience)
			if name == "Stored" {
				r.becomes("it is stored", `select count(*) = 1 from rowhook.due`)
			}
			_ = r.conn.Close(t.Context())
			if err := srv.Shutdown(pgtest.Fast, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			if err := srv.StartAgain(); err != nil {
				t.Fatal(err)
			}
			r.recv.Release() // what hung is answered now: it has arrived
			r.reconnect()
			r.insertContact(2, 1)
			got := r.recv.WaitFor(t, arrived("/", "contact/2", 1))
			if first := hooktest.ByInstance(got)["contact/1"]; len(hooktest.Delivered(first)) == 0 {
				t.Errorf("contact/1 did not arrive: %v", first)
			}
			r.becomes("both are stored as delivered", `select count(*) = 2 from rowhook.delivery where status = 1`)
		})
	}
}

// TestPostgresForgetsThePosition restarts the server while rowhook is dead: the slot's position goes back to where it was
// saved last, and only the checkpoint knows better.
func TestPostgresForgetsThePosition(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgtest.Mode{pgtest.Immediate, pgtest.Fast} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			srv := pgtest.Cluster(t, map[string]string{"fsync": "on"})
			r := newRigAt(t, srv.Database(t))
			cmd := r.spawn()
			r.subscribe("/")
			for i := 1; i <= 50; i++ {
				r.insertContact(i, 1)
			}
			r.recv.Wait(t, 50, patience)
			r.settled()
			kill(t, cmd)
			if err := srv.Restart(mode); err != nil {
				t.Fatal(err)
			}
			r.reconnect()
			back := r.text1(`select (c.lsn > s.confirmed_flush_lsn)::text from rowhook.checkpoint c, pg_replication_slots s where s.slot_name = c.slot`)
			if mode == pgtest.Immediate && back != "true" {
				t.Error("the slot's position did not go back: nothing is shown")
			}
			r.nothingTwice(51)
		})
	}
}

// TestAnIdleDatabaseHoldsNoWAL lets another database of the cluster write several segments.
func TestAnIdleDatabaseHoldsNoWAL(t *testing.T) {
	t.Parallel()
	const segment = 16 << 20
	srv := pgtest.Cluster(t, nil)
	r := newRigAt(t, srv.Database(t))
	r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	r.settled()
	// A row that was written has another xmin. How far may be acknowledged is written now and then, while the log grows.
	const written = `select concat_ws(' ', (select string_agg(xmin::text, ',') from rowhook.subscription),
		(select count(*) from rowhook.event), (select count(*) from rowhook.delivery), (select count(*) from rowhook.due), (select count(*) from rowhook.dead_letter))`
	before := r.text1(written)
	from := r.text1(`select pg_current_wal_lsn()::text`)
	busy, err := pgx.Connect(t.Context(), srv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close(t.Context()) }()
	r.on(busy, `create table bulk (x text)`)
	for range 4 {
		r.on(busy, `insert into bulk select repeat('x', 1000) from generate_series(1, 18000)`)
		r.on(busy, `checkpoint`)
	}
	if r.text1(`select (pg_current_wal_lsn() - $1::text::pg_lsn > $2::bigint)::text`, from, 3*segment) != "true" {
		t.Fatal("the busy database wrote less than three segments: nothing is shown")
	}
	eventually(t, "the slot holds less than a segment", func() bool {
		r.on(busy, `checkpoint`)
		return r.text1(`select (pg_current_wal_lsn() - restart_lsn < $2::bigint)::text from pg_replication_slots where slot_name = $1`, r.slot, segment) == "true"
	})
	if after := r.text1(written); after != before {
		t.Errorf("rowhook wrote meanwhile: %s before, %s after", before, after)
	}
	const checkpoint = `select string_agg(xmin::text, ',') from rowhook.checkpoint`
	// What the busy time has left to be written may come in the next looks; with nothing more to tell, no more is written.
	before = r.text1(checkpoint)
	eventually(t, "some looks of whoever writes the checkpoint pass without a write", func() bool {
		pause(t, 3*time.Second)
		was := before
		before = r.text1(checkpoint)
		return before == was
	})
}

// TestAFrozenRowhookIsReplaced freezes a process with requests under way and others behind them. The server notices after
// wal_sender_timeout, which rowhook sets to 30 s; then a second process goes on. Woken, the first sends nothing of that
// again.
func TestAFrozenRowhookIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Sequence(hooktest.Hang(), hooktest.OK()))
	r.far()
	first := r.spawn()
	firstAPI := r.api
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	for _, city := range []string{"a", "b", "c"} { // these wait behind it in memory
		r.exec(`update contacts set city = $1 where id = 1`, city)
	}
	r.spawn()
	if ready, err := r.admin().Ready(t.Context()); err != nil || ready.Role != "standby" {
		t.Fatalf("the second says %+v, %v", ready, err)
	}
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(first.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the first is not frozen: %v, %v", status, err)
	}
	frozen := time.Now()
	r.insertContact(2, 1)
	within, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	if _, err := r.recv.Await(within, func(q []hooktest.Request) bool {
		return arrived("/", "contact/1", 5)(q) && arrived("/", "contact/2", 1)(q)
	}); err != nil {
		t.Fatalf("the second has not taken over %s after the first was frozen", time.Since(frozen).Round(time.Second))
	}
	t.Logf("taken over after %s", time.Since(frozen).Round(100*time.Millisecond))
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.recv.Release()
	woken := &client.Client{URL: firstAPI + "/api/v1", Token: r.admin().Token}
	eventually(t, "the first has become the standby", func() bool {
		ready, err := woken.Ready(t.Context())
		return err == nil && ready.Role == "standby"
	})
	r.insertContact(3, 1)
	r.exec(`update contacts set city = 'd' where id = 1`)
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/", "contact/3", 1)(q) && arrived("/", "contact/1", 6)(q)
	})
	// The one that hung came again, and nothing else.
	if len(got) != 8 {
		t.Errorf("%d requests, want 8", len(got))
	}
	if err := hooktest.CheckOrder(got); err != nil {
		t.Error(err)
	}
}
