package app_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// latinDatabase makes a database in LATIN1, on a server of its own.
func latinDatabase(t *testing.T) string {
	t.Helper()
	name := pgtest.Name("latin")
	admin := pgtest.Cluster(t, nil).Database(t)
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
	return u.String()
}

// TestASourceInAnotherEncoding has rows as UTF-8. Messages are not converted: those that are no UTF-8 are left out, and told.
func TestASourceInAnotherEncoding(t *testing.T) {
	t.Parallel()
	r := newRigAt(t, latinDatabase(t))
	r.start()
	r.subscribe("/", "note.*")
	r.exec(`set client_encoding to 'UTF8'`)
	r.transaction(say(`{"source": "ü"}`), `insert into notes values (1, 'ü')`)
	r.transaction(say(`{"source": "\u00fc"}`), `insert into notes values (2, 'ü')`)
	by := hooktest.ByInstance(r.recv.Wait(t, 2, patience))
	for instance, want := range map[string]string{"note/1": "", "note/2": `{"source":"\u00fc"}`} {
		if q := by[instance]; len(q) != 1 || string(q[0].Message().Context) != want || !strings.Contains(string(q[0].Data()), `"body":"ü"`) {
			t.Errorf("%s came as %v with %s", instance, q, q[0].Body)
		}
	}
	if !strings.Contains(r.log.String(), "it is not UTF-8") {
		t.Error("the log does not tell")
	}
}

// TestAStoreInAnotherEncoding keeps the store in a LATIN1 database, which has no word for some instances: bodies are
// bytes and are stored all the same, what cannot be stored is a dead letter, and the rest goes on.
func TestAStoreInAnotherEncoding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	latin := latinDatabase(t)
	r.exec(`create table docs (id text primary key, body text)`)
	r.text = strings.Replace(r.text, "api:\n", "store: {url: '"+latin+"'}\napi:\n", 1) + "  doc:\n    table: docs\n    columns: all\n"
	stop := r.start()
	r.subscribe("/")
	r.exec(`insert into docs values ('1', '😀'), ('é', 'é'), ('😀', 'x'), ('2', 'y')`)
	r.exec(`update docs set body = 'z'`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) >= 8 })
	store, err := pgx.Connect(t.Context(), latin)
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
