package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestStandbyTakesOver runs two processes on one slot: the second serves the API and waits, and goes on with everything,
// also with what the first had stored for later, when the first is killed.
func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.ForInstance("contact/1", hooktest.Times(2, hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.OK())), hooktest.Always(hooktest.OK())))
	r.text = strings.Replace(r.text, "retries: [100ms, 200ms,", "retries: [100ms, 3s,", 1)
	first := r.spawn()
	firstAPI := r.api
	r.spawn()
	ready, err := r.admin().Ready(t.Context())
	if err != nil || !ready.Ready || ready.Role != "standby" {
		t.Fatalf("the second says %+v, %v", ready, err)
	}
	// Made through the standby, matched by the active one.
	r.subscribe("/")
	r.insertContact(1, 1)
	r.exec(`update contacts set city = 'later' where id = 1`)
	r.insertContact(2, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return len(hooktest.ByInstance(q)["contact/1"]) >= 2 && len(hooktest.ByInstance(q)["contact/2"]) == 1
	})
	if s, err := r.admin().Sample(t.Context(), "contact.update", client.SampleOptions{List: true}); err != nil || s.Synthetic || len(s.Bodies) != 2 {
		t.Errorf("the standby shows %+v, %v", s, err)
	}
	r.api = firstAPI
	if ready, err := r.admin().Ready(t.Context()); err != nil || ready.Role != "active" {
		t.Fatalf("the first says %+v, %v", ready, err)
	}
	kill(t, first)
	r.insertContact(3, 1)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		done := hooktest.ByInstance(hooktest.Delivered(q))
		return len(done["contact/1"]) >= 2 && len(done["contact/2"]) >= 1 && len(done["contact/3"]) >= 1
	})
	if err := hooktest.CheckOrder(hooktest.Delivered(hooktest.ByInstance(all)["contact/1"])); err != nil {
		t.Error(err)
	}
}

// TestStoreInItsOwnDatabase keeps nothing in the source's database but the slot and the publication.
func TestStoreInItsOwnDatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own := pgtest.Database(t)
	r.text = strings.Replace(r.text, "api:\n", "store: {url: '"+own+"', schema: hooks}\napi:\n", 1)
	stop := r.start()
	for _, path := range []string{"/a", "/b", "/c"} {
		r.subscribe(path)
		r.insertContact(int(path[1]), 1)
		r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)[path]) > 0 })
	}
	stop()
	r.insertContact(1, 1)
	r.start()
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/c"]) == 2 })
	var n int
	if err := r.conn.QueryRow(t.Context(), `select count(*) from pg_namespace where nspname in ('rowhook', 'hooks')`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d schemas of rowhook's in the source, %v", n, err)
	}
	conn, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	eventually(t, "all deliveries are in the store", func() bool {
		err := conn.QueryRow(t.Context(), `select count(*) from hooks.delivery where status = 1`).Scan(&n)
		return err == nil && n == 3+2+1+3
	})
}

// TestAServerThatIsAwayIsWaitedFor stops the server before rowhook starts, and while it runs.
func TestAServerThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	r := newRigAt(t, srv.Database(t))
	stop := r.start()
	r.subscribe("/")
	stop()
	if err := srv.Shutdown(pgtest.Fast, patience); err != nil {
		t.Fatal(err)
	}
	addr := hooktest.FreeAddress(t)
	r.text = strings.Replace(r.text, "127.0.0.1:0", addr, 1)
	red := make(chan string, 1)
	go func() {
		// The API answers before there is a database, and says what it waits for.
		c := client.Client{URL: "http://" + addr + "/api/v1"}
		var reason string
		for deadline := time.Now().Add(patience); time.Now().Before(deadline) && !strings.Contains(reason, "refused"); {
			if ready, err := c.Ready(t.Context()); err == nil && !ready.Ready {
				reason = ready.Reason
			}
		}
		if err := srv.StartAgain(); err != nil {
			reason = err.Error()
		}
		red <- reason
	}()
	r.start()
	if reason := <-red; !strings.Contains(reason, "connection refused") {
		t.Errorf("not ready because of %q", reason)
	}
	r.reconnect()
	r.insertContact(1, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) == 1 })
	if err := srv.Restart(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	r.reconnect()
	r.insertContact(2, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == 2 })
}
