package app_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestAStoreInAnotherEncoding keeps the store in a LATIN1 database, which has no word for some instances: bodies are
// bytes and are stored all the same, what cannot be stored is a dead letter, and the rest goes on.
func TestAStoreInAnotherEncoding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	name := pgtest.Name("latin")
	srv := pgtest.Cluster(t, nil)
	admin := srv.Database(t)
	conn, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `create database `+name+` encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'`); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	r.exec(`create table docs (id text primary key, body text)`)
	r.text = strings.Replace(r.text, "api:\n", "store: {url: '"+u.String()+"'}\napi:\n", 1) + "  doc:\n    table: docs\n    columns: all\n"
	stop := r.start()
	r.subscribe("/")
	r.exec(`insert into docs values ('1', '😀'), ('é', 'é'), ('😀', 'x'), ('2', 'y')`)
	r.exec(`update docs set body = 'z'`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) >= 8 })
	store, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close(t.Context()) }()
	if _, err := store.Exec(t.Context(), `set client_encoding to 'UTF8'`); err != nil {
		t.Fatal(err)
	}
	count := func(sql string, args ...any) (n int) {
		t.Helper()
		if err := store.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "what can be stored is", func() bool {
		return count(`select count(*) from rowhook.event where instance in ('1', '2', 'é')`) == 6
	})
	eventually(t, "the rest are dead letters", func() bool {
		return count(`select count(*) from rowhook.dead_letter where resource = 'doc' and instance = $1 and reason like '%encoding%22P05%'`, `\U0001f600`) == 2
	})
	if got := r.metric("rowhook_dead_letters_total"); got != 2 {
		t.Errorf("%g dead letters are counted, want 2", got)
	}
	if log := r.log.String(); !strings.Contains(log, "22P05") || strings.Contains(log, "😀") {
		t.Errorf("the log does not tell, or tells a value:\n%s", log)
	}
	stop()
	// A clean stop means that all was acknowledged: nothing comes again.
	r.start()
	r.exec(`insert into docs values ('3', 'last')`)
	r.recv.WaitFor(t, arrived("/", "doc/3", 1))
	if n := len(r.recv.Requests()); n != 9 {
		t.Errorf("%d requests, want 9", n)
	}
}
