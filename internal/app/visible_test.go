package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// lonely is a rig on a server whose commits can be made to wait for a standby that is not there: they are in the stream
// then, and nobody sees their rows. What rowhook itself writes waits too.
type lonely struct {
	*rig
	srv *pgtest.Server
}

func newLonely(t *testing.T) *lonely {
	t.Helper()
	srv := pgtest.Cluster(t, nil)
	return &lonely{docsOn(newRigAt(t, srv.Database(t))), srv}
}

// standby says which standby commits wait for; none is the empty name.
func (l *lonely) standby(name string) {
	l.t.Helper()
	if err := l.srv.Set(map[string]string{"synchronous_standby_names": name}); err != nil {
		l.t.Fatal(err)
	}
	if name == "" {
		return
	}
	eventually(l.t, "the setting is loaded", func() bool {
		var is string
		return l.conn.QueryRow(l.t.Context(), `show synchronous_standby_names`).Scan(&is) == nil && is == name
	})
	// Every session has it now. That commits wait comes from the checkpointer, which takes it when it gets to it.
	eventually(l.t, "commits wait", func() bool {
		conn, err := pgx.Connect(l.t.Context(), l.url)
		if err != nil {
			return false
		}
		ended := make(chan struct{})
		go func() {
			_, _ = conn.Exec(context.Background(), `select pg_logical_emit_message(true, 'a commit', '')`)
			_ = conn.Close(context.Background())
			close(ended)
		}()
		waits, over := false, false
		eventually(l.t, "a commit ends, or waits", func() bool {
			select {
			case <-ended:
				over = true
			default:
				err := l.conn.QueryRow(l.t.Context(), `select coalesce(wait_event = 'SyncRep', false) and pg_cancel_backend(pid)
					from pg_stat_activity where pid = $1`, conn.PgConn().PID()).Scan(&waits)
				waits = waits && err == nil
			}
			return over || waits
		})
		<-ended
		return waits
	})
}

// hang runs a statement in a session of its own, and returns when its commit waits. The error comes when it has ended.
func (l *lonely) hang(sql string, args ...any) <-chan error {
	l.t.Helper()
	conn, err := pgx.Connect(l.t.Context(), l.url)
	if err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), sql, args...)
		_ = conn.Close(context.Background())
		ended <- err
	}()
	eventually(l.t, "the commit waits", func() bool {
		var event *string
		err := l.conn.QueryRow(l.t.Context(), `select wait_event from pg_stat_activity where pid = $1`, conn.PgConn().PID()).Scan(&event)
		return err == nil && event != nil && *event == "SyncRep"
	})
	return ended
}

// red waits until readiness says what is waited for.
func (l *lonely) red() {
	l.t.Helper()
	eventually(l.t, "readiness says what is waited for", func() bool {
		ready, err := l.admin().Ready(l.t.Context())
		return err == nil && !ready.Ready && strings.Contains(ready.Reason, "synchronous standby")
	})
}

// TestReadsWaitUntilTheCommitIsVisible, for as long as it takes, and do not keep the server from stopping.
func TestReadsWaitUntilTheCommitIsVisible(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	l.start()
	l.subscribe("/", "doc.*")
	l.exec(`insert into docs (id, title, body) values (1, 'a', $1)`, large("one"))
	l.wantDocs("doc.create id=1 title=a body=one")
	l.standby("nobody")
	l.recv.Forget()
	ended := l.hang(`update docs set title = 'b' where id = 1`)
	l.red()
	if n := len(l.recv.Requests()); n != 0 {
		t.Errorf("%d deliveries before the commit was visible", n)
	}
	l.standby("")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	l.wantDocs("doc.update id=1 title=b body=one")
	eventually(t, "it is ready again", func() bool {
		ready, err := l.admin().Ready(t.Context())
		return err == nil && ready.Ready
	})

	l.standby("nobody")
	l.recv.Forget()
	ended = l.hang(`update docs set title = 'c' where id = 1`)
	l.red()
	if err := l.srv.Shutdown(pgtest.Fast, 15*time.Second); err != nil {
		t.Fatalf("the server does not stop: %v", err)
	}
	<-ended
	l.standby("")
	if err := l.srv.StartAgain(); err != nil {
		t.Fatal(err)
	}
	l.wantDocs("doc.update id=1 title=c body=one")
}

// TestALostConnectionEndsTheWait: what the wait is for may not exist any more, after a failover.
func TestALostConnectionEndsTheWait(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	l.start()
	l.subscribe("/", "doc.*")
	l.exec(`insert into docs (id, title, body) values (1, 'a', $1)`, large("one"))
	l.wantDocs("doc.create id=1 title=a body=one")
	l.settled() // what rowhook writes waits, too
	l.standby("nobody")
	l.recv.Forget()
	ended := l.hang(`update docs set title = 'b' where id = 1`)
	l.red()
	before := l.metric("rowhook_replication_connections")
	l.exec(`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, l.slot)
	eventually(t, "there is a new connection", func() bool { return l.metric("rowhook_replication_connections") > before })
	if n := len(l.recv.Requests()); n != 0 {
		t.Errorf("%d deliveries before the commit was visible", n)
	}
	l.standby("")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	l.wantDocs("doc.update id=1 title=b body=one")
}

// TestAChangedSubscriptionIsWaitedFor, when its commit waits: what is committed after it is matched by what it is then.
func TestAChangedSubscriptionIsWaitedFor(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	l.start()
	s := l.subscribe("/", "note.*")
	l.exec(`insert into notes values (1, 'a')`)
	l.recv.Wait(t, 1, patience)
	l.standby("nobody")
	ended := l.hang(`with s as (update rowhook.subscription set version = version + 1, events = '{contact.*}' where id = '` + s.ID + `' returning id, version)
		select pg_logical_emit_message(true, 'rowhook.subscription', json_build_object('store', t.id, 'id', s.id, 'version', s.version, 'admin', true,
			'events', json_build_array('contact.*'), 'state', 'active')::text) from s, rowhook.store t`)
	l.exec(`set synchronous_commit = local`)
	l.exec(`insert into notes values (2, 'not for this one any more')`)
	l.insertContact(7, 1)
	l.red()
	if n := len(l.recv.Requests()); n != 1 {
		t.Errorf("%d deliveries before the commit was visible, want the first one", n)
	}
	l.standby("")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := l.recv.Wait(t, 2, patience); got[1].Instance() != "contact/7" {
		t.Errorf("got %s", got[1].Instance())
	}
}
