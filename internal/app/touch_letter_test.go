package app_test

import (
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestADeadTouchIsOneLetter: an update by touch that cannot be completed is one dead letter, however often the log is read.
func TestADeadTouchIsOneLetter(t *testing.T) {
	t.Parallel()
	r := newTouch(t)
	cmd := r.spawn()
	r.subscribe("/", "person.*")
	r.subscribe("/end", "note.*")
	// What is before it is not settled, so the log is read again from there.
	r.recv.Handle("/end", hooktest.Times(1, hooktest.Always(hooktest.Hang()), hooktest.Always(hooktest.OK())))
	r.exec(`insert into notes values (1, 'not settled')`)
	r.recv.Wait(t, 1, patience)
	r.exec(`insert into person_tags select 1, n, n from generate_series(1, 1001) n`)
	r.exec(`update tags set name = 'x' where id = 1`)
	r.becomes("there are two", `select count(*) = 2 and count(distinct event_id) = 2 from rowhook.dead_letter`)
	kill(t, cmd)
	r.spawn()
	r.exec(`insert into people values (10, 1, 'the end')`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["person/10"]) > 0 })
	eventually(t, "all is settled", func() bool { return r.metric("rowhook_replication_unsettled_batches") == 0 })
	var n int
	if err := r.conn.QueryRow(t.Context(), `select count(*) from rowhook.dead_letter`).Scan(&n); err != nil || n != 2 {
		t.Errorf("after the log was read again there are %d dead letters, want 2: %v", n, err)
	}
	r.recv.Release()
}
