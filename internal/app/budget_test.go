package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestAFullBudgetStopsReadingOnly lets receivers hang until there is no room for what is read: Postgres goes on hearing
// from us, or it would end the connection after its wal_sender_timeout.
func TestAFullBudgetStopsReadingOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Always(hooktest.Hang()))
	r.text = strings.Replace(r.text, "limits: {hold: 500ms}", "limits: {hold: 10m, memory: 1MiB}", 1)
	r.text = strings.Replace(r.text, "timeout: 2s", "timeout: 60s", 1)
	stop := r.start()
	// None of them has the quarter of the budget that would send it through the store: each has events of its own.
	for i := range 8 {
		account := fmt.Sprint(i)
		if _, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/"), Account: &account}); err != nil {
			t.Fatal(err)
		}
	}
	r.exec(`insert into contacts (id, account_id) select n, n % 8 from generate_series(1, 4000) n`)
	replied := func() (at time.Time, behind int64) {
		t.Helper()
		err := r.conn.QueryRow(t.Context(), `select r.reply_time, pg_current_wal_lsn() - r.flush_lsn
			from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where s.slot_name = $1`, r.slot).Scan(&at, &behind)
		if err != nil {
			t.Fatal(err)
		}
		return at, behind
	}
	charged := func() float64 { return r.metric("rowhook_memory_charged_bytes") }
	eventually(t, "the budget is full", func() bool { return charged() > 0.95*(1<<20) })
	before, _ := replied()
	// A report that was under way when the budget filled up may be the first, not the second.
	for range 2 {
		var last time.Time
		var behind int64
		eventually(t, "Postgres hears from us", func() bool {
			last, behind = replied()
			return last.After(before)
		})
		if behind < 1000 {
			t.Fatalf("everything up to %d bytes from the end was acknowledged, and the receivers hang", behind)
		}
		before = last
	}
	if c := charged(); c < 0.95*(1<<20) {
		t.Errorf("%.0f bytes are charged: the budget was not full all the time", c)
	}
	r.recv.HandleAll(hooktest.Always(hooktest.OK()))
	r.recv.Release()
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) >= 4000 })
	stop()
}
