package app_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestFailoverLosesNothing kills a primary in the worst moment: a change is on the standby, and its delivery, which waits for a target that is
// down, is in the primary's store only. The slot that the standby has must not be past that change.
func TestFailoverLosesNothing(t *testing.T) {
	t.Parallel()
	primary := pgtest.Cluster(t, nil)
	pgtest.Needs(t, primary.URL("postgres"), 17, "slots that standbys keep")
	standby := primary.Standby(t, "standby1", nil)
	var up atomic.Bool
	r := newRigAt(t, primary.Database(t), hooktest.If(func(q hooktest.Request) bool { return q.Path != "/down" || up.Load() },
		hooktest.Always(hooktest.OK()), hooktest.Always(hooktest.Status(503))))
	r.replace("limits: {hold: 500ms}", "limits: {hold: 3s}")
	stop := r.start()
	codes := func() (codes []string) {
		s, err := r.admin().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Findings {
			codes = append(codes, f.Code)
		}
		return codes
	}
	eventually(t, "status warns that the server does not wait for the standby", func() bool { return slices.Contains(codes(), "failover_unguarded") })
	if err := primary.Set(map[string]string{"synchronized_standby_slots": "standby1"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "status is content", func() bool {
		return !slices.Contains(codes(), "failover_unguarded") && !slices.Contains(codes(), "standby_away")
	})
	r.subscribe("/")
	r.subscribe("/down")

	onStandby := connect(t, standby.URL("postgres"))
	eventually(t, "the standby keeps the slot", func() (kept bool) {
		r.exec(`select pg_log_standby_snapshot()`)
		mustExec(t, onStandby, `select pg_sync_replication_slots()`)
		if err := onStandby.QueryRow(t.Context(), `select exists (select from pg_replication_slots where slot_name = $1 and synced and not temporary)`, r.slot).Scan(&kept); err != nil {
			t.Fatal(err)
		}
		return kept
	})
	r.insertContact(1, 1)
	end := r.lsn(`select pg_current_wal_insert_lsn()::text`)
	r.recv.WaitFor(t, arrived("/", "contact/1", 1))

	// The standby gets no more. What it has is the change: else the server would not have sent it.
	var walsender int
	if err := r.conn.QueryRow(t.Context(), `select active_pid from pg_replication_slots where slot_name = 'standby1'`).Scan(&walsender); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(walsender, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the delivery is in the store, and nothing in memory", func() bool {
		return r.sample("rowhook_deliveries_due") == "1" && r.sample("rowhook_deliveries_in_memory") == "0"
	})
	// Time to acknowledge it, for a rowhook that would.
	for range 30 {
		if r.lsn(`select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1`, r.slot) >= end {
			t.Error("the change is acknowledged, and its delivery is not on the standby")
			break
		}
		pause(t, 100*time.Millisecond)
	}
	mustExec(t, onStandby, `select pg_sync_replication_slots()`)
	if err := primary.SignalAll(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-primary.Done()
	stop()
	mustExec(t, onStandby, `select pg_promote()`)
	r.url = strings.Replace(standby.URL("x"), "/x?", "/"+database(t, r.url)+"?", 1)
	r.reconnect()
	up.Store(true)
	r.start()
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return len(hooktest.ByID(hooktest.Delivered(hooktest.ByPath(q)["/down"]))) == 1
	})
	r.insertContact(2, 1)
	all := r.recv.WaitFor(t, arrived("/down", "contact/2", 1))
	if len(gaps(all, "/")) != 0 || !strings.Contains(r.log.String(), "the database is on a new timeline, which has everything that was delivered") {
		t.Error("subscribers were told of a gap, or the log says nothing of the failover")
	}
	eventually(t, "what was delivered after it is acknowledged", func() bool { return r.behind() < 1000 })
}

// database is the name of a URL's database.
func database(t *testing.T, url string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Database
}
