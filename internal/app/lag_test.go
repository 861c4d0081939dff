package app_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// fillWAL writes so many megabytes of log that come to nothing.
func (r *rig) fillWAL(megabytes int) {
	r.t.Helper()
	for range megabytes {
		r.exec(`select pg_logical_emit_message(false, 'filler', repeat('x', 1000000))`)
	}
}

// walRed is the reason when readiness is red for the log that the slot keeps.
func (r *rig) walRed() string {
	ready, err := r.admin().Ready(context.Background())
	if err != nil || ready.Ready {
		return ""
	}
	for _, p := range ready.Parts {
		if p.Name == "wal" && !p.Ready {
			return p.Detail
		}
	}
	return ""
}

// connect opens a connection that ends with the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestWALBudgetOfAStoreThatStandsStill holds the store: what is read cannot be acknowledged, and the log grows.
func TestWALBudgetOfAStoreThatStandsStill(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t, map[string]string{"max_slot_wal_keep_size": "4GB"})
	r := newRigAt(t, server.Database(t))
	own := pgtest.Database(t)
	r.replace("  environment: test\n", "  environment: test\n  max_wal_lag: 64MiB\nstore: {url: '"+own+"'}\n")
	r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, arrived("/", "contact/1", 1))
	holder := connect(t, own)
	mustExec(t, holder, `begin`)
	mustExec(t, holder, `lock table rowhook.event, rowhook.outcome in access exclusive mode`)
	r.insertContact(2, 1)
	r.fillWAL(40)
	eventually(t, "half of the budget is told", func() bool { return strings.Contains(r.log.String(), "the slot keeps much WAL") })
	if reason := r.walRed(); reason != "" {
		t.Errorf("red at half: %s", reason)
	}
	says(t, r.faulty("wal_kept"), client.SeverityWarning, "more than half of database.max_wal_lag", "the disk of the database fills if it goes on", "")
	r.fillWAL(40)
	var reason string
	eventually(t, "readiness is red beyond the budget", func() bool { reason = r.walRed(); return reason != "" })
	for _, want := range []string{r.slot, "more than database.max_wal_lag (67.1 MB)", "outcomes cannot be stored: ", "max_slot_wal_keep_size: the slot is lost after"} {
		if !strings.Contains(reason, want) {
			t.Errorf("%s\nlacks %s", reason, want)
		}
	}
	s := r.status("what holds the log", func(s *client.Status) bool {
		return finding(s, "wal_kept") != nil && finding(s, "store_unavailable") != nil
	})
	says(t, finding(s, "wal_kept"), client.SeverityError, "more than database.max_wal_lag (67.1 MB): outcomes cannot be stored: ", "the disk of the database fills if it goes on", "")
	says(t, finding(s, "store_unavailable"), client.SeverityError, "the store does not take what is to be written: ", "nothing is lost", "see that the server of store.url")
	for name, least := range map[string]float64{"rowhook_slot_retained_bytes": 70e6, "rowhook_slot_confirmed_lag_bytes": 70e6,
		"rowhook_slot_safe_wal_bytes": 1e9, `rowhook_slot_wal_status{status="reserved"}`: 1, "rowhook_slot_max_wal_lag_bytes": 64 << 20} {
		if got, err := strconv.ParseFloat(r.sample(name), 64); err != nil || got < least {
			t.Errorf("%s is %s, want at least %g", name, r.sample(name), least)
		}
	}
	// Another budget, without a restart.
	r.replace("64MiB", "1GiB")
	r.mustReload()
	if reason := r.walRed(); reason != "" {
		t.Errorf("red within a larger budget: %s", reason)
	}
	r.replace("1GiB", "64MiB")
	r.mustReload()
	mustExec(t, holder, `rollback`)
	r.recv.WaitFor(t, arrived("/", "contact/2", 1))
	eventually(t, "readiness is green again", func() bool {
		r.exec(`checkpoint`)
		ready, err := r.admin().Ready(context.Background())
		return err == nil && ready.Ready
	})
	if n := strings.Count(r.log.String(), "the slot keeps much WAL"); n != 1 {
		t.Errorf("the half is told %d times", n)
	}
}

// TestWALBudgetOfALongTransaction tells that it is not rowhook that holds the log.
func TestWALBudgetOfALongTransaction(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t, nil)
	r := newRigAt(t, server.Database(t))
	r.replace("  environment: test\n", "  environment: test\n  max_wal_lag: 64MiB\n")
	long := connect(t, r.url)
	r.start()
	r.subscribe("/")
	mustExec(t, long, `begin`)
	mustExec(t, long, `insert into notes values (1, 'long')`)
	r.insertContact(1, 1)
	r.fillWAL(80)
	r.recv.WaitFor(t, arrived("/", "contact/1", 1))
	var reason string
	eventually(t, "readiness is red beyond the budget", func() bool { reason = r.walRed(); return reason != "" })
	if !strings.Contains(reason, "held by a transaction that was begun long ago") || !strings.Contains(reason, "pg_stat_activity") {
		t.Errorf("got %s", reason)
	}
	mustExec(t, long, `commit`)
	r.recv.WaitFor(t, arrived("/", "note/1", 1))
	eventually(t, "readiness is green again", func() bool {
		r.exec(`checkpoint`)
		return r.walRed() == ""
	})
}

// TestWALBudgetWhileNotStreaming measures when the stream cannot: a standby says it and stays green, one whose slot is
// another environment's is red.
func TestWALBudgetWhileNotStreaming(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t, nil)
	r := newRigAt(t, server.Database(t))
	r.replace("  environment: test\n", "  environment: test\n  max_wal_lag: 64MiB\n")
	holder := connect(t, r.url)
	r.start()
	standby := *r
	standby.log = &lockedBuffer{Writer: t.Output()}
	standby.start()
	eventually(t, "the second stands by", func() bool {
		ready, err := standby.admin().Ready(context.Background())
		return err == nil && ready.Ready && ready.Role == "standby"
	})
	if s := standby.status("its numbers", func(s *client.Status) bool { return s.MeasuredAt != nil && s.Slot != nil }); s.State != client.StateStandby || s.Role != "standby" || codes(s) != "" ||
		!strings.Contains(s.Summary, "this one takes over") {
		t.Errorf("the standby says %s, %s: %s; %s", s.Role, s.State, s.Summary, codes(s))
	}
	mustExec(t, holder, `begin`)
	mustExec(t, holder, `insert into notes values (1, 'long')`)
	r.insertContact(1, 1)
	r.fillWAL(80)
	eventually(t, "the standby tells it", func() bool {
		ready, err := standby.admin().Ready(context.Background())
		return err == nil && ready.Ready && ready.Role == "standby" && strings.Contains(parts(ready)["wal"].Detail, "this process stands by")
	})
	eventually(t, "the active one is red", func() bool { return r.walRed() != "" })
	mustExec(t, holder, `rollback`)
	eventually(t, "replication is blocked", func() bool {
		// The one that streams writes its own word over it at times.
		r.exec(`update rowhook.checkpoint set environment = 'elsewhere'`)
		r.exec(`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, r.slot)
		ready, err := r.admin().Ready(context.Background())
		return err == nil && parts(ready)["replication"].State == "blocked"
	})
	before, _ := strconv.ParseFloat(r.sample("rowhook_slot_retained_bytes"), 64)
	r.fillWAL(20)
	eventually(t, "it is measured while blocked", func() bool {
		now, err := strconv.ParseFloat(r.sample("rowhook_slot_retained_bytes"), 64)
		return err == nil && now > before+10e6 && strings.Contains(r.walRed(), "replication is blocked")
	})
}

// TestWALBudgetWhileTheStartWaits measures a slot of an earlier run while the store is away.
func TestWALBudgetWhileTheStartWaits(t *testing.T) {
	t.Parallel()
	server, store := pgtest.Cluster(t, nil), pgtest.Cluster(t, nil)
	r := newRigAt(t, server.Database(t))
	r.replace("  environment: test\n", "  environment: test\n  max_wal_lag: 64MiB\nstore: {url: '"+store.Database(t)+"'}\n")
	stop := r.start()
	stop()
	if err := store.Shutdown(pgtest.Fast, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	r.fillWAL(80)
	ready, _, _ := r.begin()
	var reason string
	eventually(t, "readiness is red beyond the budget", func() bool { reason = r.walRed(); return reason != "" })
	if !strings.Contains(reason, "rowhook has not started") || !strings.Contains(reason, "refused") {
		t.Errorf("got %s", reason)
	}
	s := r.status("what it waits for", func(s *client.Status) bool { return finding(s, "store_unavailable") != nil })
	says(t, finding(s, "store_unavailable"), client.SeverityError, "connect to the store at ", "rowhook has not started: nothing is sent", "check that Postgres runs there")
	if s.State != client.StateWaiting || s.Ready || strings.Count(codes(s), "store_unavailable") != 1 {
		t.Errorf("it says %s: %s; %s", s.State, s.Summary, codes(s))
	}
	if got, err := strconv.ParseFloat(r.sample("rowhook_slot_retained_bytes"), 64); err != nil || got < 70e6 {
		t.Errorf("rowhook_slot_retained_bytes is %s", r.sample("rowhook_slot_retained_bytes"))
	}
	if err := store.StartAgain(); err != nil {
		t.Fatal(err)
	}
	<-ready
}

func parts(ready *client.Readiness) map[string]client.Part {
	all := map[string]client.Part{}
	for _, p := range ready.Parts {
		all[p.Name] = p
	}
	return all
}
