package app_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

func arrived(path, instance string, n int) func([]hooktest.Request) bool {
	return func(q []hooktest.Request) bool {
		return len(hooktest.ByInstance(hooktest.ByPath(q)[path])[instance]) >= n
	}
}

// TestAStoreThatChangedHandsLosesNothing changes the owner under a live stream, as a store that is restored from its
// backup does: nothing is acknowledged that was not kept, and it is read again.
func TestAStoreThatChangedHandsLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, arrived("/", "contact/1", 1))
	for i := 2; i <= 8; i++ {
		if i == 3 || i == 6 {
			r.exec(`update rowhook.checkpoint set owner = 'earlier process'`)
		}
		r.insertContact(i, 1)
	}
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == 8 })
	r.exec(`delete from rowhook.checkpoint`)
	r.insertContact(9, 1)
	eventually(t, "readiness is red when the checkpoint is gone", func() bool {
		ready, err := r.admin().Ready(t.Context())
		return err == nil && !ready.Ready && strings.Contains(ready.Reason, "checkpoint")
	})
}

// TestSubscriptionsOutliveAnotherLog goes on with a store whose subscriptions were made at higher positions than the log
// has now, as after a move to another cluster.
func TestSubscriptionsOutliveAnotherLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	first := r.recv.WaitFor(t, arrived("/", "contact/1", 1))
	stop()
	r.exec(`update rowhook.subscription set since = 'FF/0'`)
	r.exec(`delete from rowhook.checkpoint`)
	r.exec(`select pg_drop_replication_slot($1)`, r.slot)
	r.start()
	r.insertContact(2, 1)
	all := r.recv.WaitFor(t, arrived("/", "contact/2", 1))
	if before, after := first[0].Position, all[len(all)-1].Position; after <= before || after[:8] == before[:8] {
		t.Errorf("position %s after %s: not in a new epoch", after, before)
	}
}

// TestAnAnnouncementThatDoesNotComeTrueChangesNothing lets the store refuse changes that were announced already.
func TestAnAnnouncementThatDoesNotComeTrueChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own := pgtest.Database(t)
	r.text = strings.Replace(r.text, "api:\n", "store: {url: '"+own+"', schema: hooks}\napi:\n", 1)
	r.start()
	a, b := r.subscribe("/a"), r.subscribe("/b")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) == 2 })
	conn, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	sql := func(s string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	sql(`create function hooks.boom() returns trigger language plpgsql as $$begin raise exception using errcode = '53100', message = 'disk full'; end$$;
		create constraint trigger boom after update on hooks.subscription deferrable initially deferred for each row execute function hooks.boom()`)
	if err := r.admin().Delete(t.Context(), a.ID); err == nil {
		t.Fatal("the deletion was not refused")
	}
	notes := &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL("/b")}
	if _, err := r.admin().Replace(t.Context(), b.ID, notes); err == nil {
		t.Fatal("the change was not refused")
	}
	r.insertContact(2, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/a", "contact/2", 1)(q) && arrived("/b", "contact/2", 1)(q)
	})
	sql(`drop trigger boom on hooks.subscription`)
	if err := r.admin().Delete(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.admin().Replace(t.Context(), b.ID, notes); err != nil {
		t.Fatal(err)
	}
	r.insertContact(3, 1)
	r.exec(`insert into notes values (1, 'x')`)
	got := r.recv.WaitFor(t, arrived("/b", "note/1", 1))
	if arrived("/a", "contact/3", 1)(got) || arrived("/b", "contact/3", 1)(got) {
		t.Error("changes that came true have no effect")
	}
}

// TestADeletionInTheSameBatch keeps the stream busy, so that a change and the deletion after it are read together.
func TestADeletionInTheSameBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own := pgtest.Database(t)
	r.text = strings.Replace(r.text, "api:\n", "store: {url: '"+own+"', schema: hooks}\napi:\n", 1)
	r.start()
	s := r.subscribe("/deleted")
	r.subscribe("/stays")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) == 2 })
	conn, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var id string
	if err := conn.QueryRow(t.Context(), `select id::text from hooks.store`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	// Of a subscription that nobody made: it is waited for.
	r.exec(`select pg_logical_emit_message(true, 'rowhook.subscription', $1)`, `{"store":"`+id+`","id":"sub_none","version":1}`)
	for i := 2; i <= 5; i++ {
		r.insertContact(i, 1)
	}
	if err := r.admin().Delete(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	r.insertContact(6, 1)
	got := r.recv.WaitFor(t, arrived("/stays", "contact/6", 1))
	if n := len(hooktest.ByPath(got)["/deleted"]); n != 1 {
		t.Errorf("%d requests, want 1: something was sent after the deletion was answered", n)
	}
}

// TestAnAnnouncementOfNothingHoldsUpNothing: in the source's own database it is known whether a change was made.
func TestAnAnnouncementOfNothingHoldsUpNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.subscribe("/")
	var id string
	if err := r.conn.QueryRow(t.Context(), `select id::text from rowhook.store`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	r.exec(`select pg_logical_emit_message(true, 'rowhook.subscription', $1)`, `{"store":"`+id+`","id":"sub_none","version":1}`)
	r.insertContact(1, 1)
	r.recv.WaitFor(t, arrived("/", "contact/1", 1))
	if !strings.Contains(r.log.String(), "never made") {
		t.Error("the log does not say that it was never made")
	}
}

// TestAnAccountThatCannotBeStored is kept as a dead letter, and stops nothing.
func TestAnAccountThatCannotBeStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create table docs (id int primary key, meta json)`)
	r.text += "  doc:\n    table: docs\n    account: meta.acct\n    columns: [id]\n"
	r.start()
	r.subscribe("/")
	r.exec(`insert into docs values (1, '{"acct":"a\u0000b"}')`)
	r.insertContact(2, 1)
	r.recv.WaitFor(t, arrived("/", "contact/2", 1))
	eventually(t, "the dead letter is kept", func() bool {
		var reason string
		err := r.conn.QueryRow(t.Context(), `select reason from rowhook.dead_letter where resource = 'doc' and instance = '1'`).Scan(&reason)
		return err == nil && strings.Contains(reason, "account")
	})
	if ready, err := r.admin().Ready(t.Context()); err != nil || !ready.Ready {
		t.Errorf("got %+v, %v", ready, err)
	}
}
