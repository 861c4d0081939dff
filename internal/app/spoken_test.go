package app_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// say is the statement by which the application speaks.
func say(content string) string {
	return `select pg_logical_emit_message(true, 'rowhook', '` + content + `')`
}

// TestContextTravelsWithItsTransaction, the same from the store as from memory, said by a role that may do nothing but write.
func TestContextTravelsWithItsTransaction(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.PerID(func() hooktest.Script { return hooktest.Sequence(hooktest.Status(503), hooktest.OK()) }))
	r.start()
	s := r.subscribe("/", "note.*", "contact.*")
	var store string
	if err := r.conn.QueryRow(t.Context(), `select id::text from rowhook.store`).Scan(&store); err != nil {
		t.Fatal(err)
	}
	role := r.slot + "_writer"
	r.exec(`create role ` + role)
	t.Cleanup(func() {
		for _, sql := range []string{`drop owned by `, `drop role `} {
			if _, err := r.conn.Exec(context.Background(), sql+role); err != nil {
				t.Error(err)
			}
		}
	})
	r.exec(`grant insert on notes, contacts to ` + role)
	r.exec(`set role ` + role)
	r.transaction(say(`{"source": "zapier", "n": 1.10, "t": "ü<\\u00fc"}`), `insert into notes values (1)`,
		`insert into contacts (id, account_id) values (1, 1)`)
	r.exec(`insert into notes values (2)`)
	// Neither is an announcement taken for what it is not, nor the other way around.
	r.transaction(say(`{"store":"`+store+`","id":"`+s.ID+`","version":99,"events":[],"state":"disabled"}`), `insert into notes values (3)`)
	r.transaction(`select pg_logical_emit_message(true, 'rowhook.subscription', '{"mute": true}')`, `insert into notes values (4)`)
	r.transaction(say(`{"mute": true}`), `insert into notes values (5)`)
	r.transaction(say(`{"source": "a"}`), `insert into notes values (6)`, say(`mute`), say(`{"source": "b"}`), `insert into notes values (7)`)
	r.exec(`reset role`)
	want := map[string]string{
		"note/1": `{"source":"zapier","n":1.10,"t":"ü<\\u00fc"}`, "contact/1": `{"source":"zapier","n":1.10,"t":"ü<\\u00fc"}`, "note/2": "",
		"note/3": `{"store":"` + store + `","id":"` + s.ID + `","version":99,"events":[],"state":"disabled"}`, "note/4": "",
		"note/6": `{"source":"a"}`, "note/7": `{"source":"b"}`,
	}
	by := hooktest.ByInstance(r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		by := hooktest.ByInstance(q)
		for instance := range want {
			if len(by[instance]) < 2 {
				return false
			}
		}
		return true
	}))
	for instance, q := range by {
		said, ok := want[instance]
		if !ok {
			t.Errorf("%s was sent", instance)
			continue
		}
		if got := string(q[0].Message().Context); got != said || bytes.Contains(q[0].Body, []byte(`"context"`)) != (said != "") {
			t.Errorf("%s has context %s, want %s", instance, got, said)
		}
		if !bytes.Equal(q[0].Body, q[1].Body) {
			t.Errorf("%s from memory:\n%s\nfrom the store:\n%s", instance, q[0].Body, q[1].Body)
		}
	}
	// On a server that is busy the slot is waited for, which is told too.
	warnings := strings.Count(r.log.String(), "level=WARN") - strings.Count(r.log.String(), `level=WARN msg="waiting for publication and slot"`)
	if warnings != 1 || !strings.Contains(r.log.String(), "a message of the application is left out") {
		t.Errorf("%d warnings, want the one about a message that is no object", warnings)
	}
}

// TestAMutedMigrationSendsNothing and says so: 100,000 rows, over many batches and blocks, with a reload and a standby
// that takes over in the middle. Nothing is read for it, and the change of a subscription within it applies.
func TestAMutedMigrationSendsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text += `
  doc:
    table: docs
    representation: {id: "${id}", title: "${title}", body: "${body}", note: "${note}"}
    relations:
      note: {table: notes, foreign_key: note_id, columns: [id]}
`
	r.exec(`create table docs (id int primary key, note_id int, title text, body text)`)
	r.exec(`alter table docs alter body set storage external`)
	r.exec(`insert into docs select n, 1, 'a', repeat('x', 5000) from generate_series(1, 100) n`)
	stop := r.start()
	r.subscribe("/all", "doc.*", "note.*", "contact.*")
	s := r.subscribe("/moved", "contact.*")
	other, err := pgx.Connect(t.Context(), r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	const rows = 100_000
	r.exec(`begin`)
	r.exec(say(`{"mute": true, "source": "migration"}`))
	r.exec(fmt.Sprintf(`insert into notes select n, 'x' from generate_series(1, %d) n`, rows/2))
	r.exec(`update docs set title = 'b'`)
	r.exec(`with s as (update rowhook.subscription set version = version + 1, events = '{note.*}' where id = $1 returning id, version)
		select pg_logical_emit_message(true, 'rowhook.subscription', json_build_object('store', t.id, 'id', s.id, 'version', s.version, 'admin', true,
			'events', json_build_array('note.*'), 'state', 'active')::text) from s, rowhook.store t`, s.ID)
	r.exec(fmt.Sprintf(`insert into notes select n, 'x' from generate_series(%d, %d) n`, rows/2+1, rows))
	r.exec(`truncate contacts`)
	// Whoever waits for the lock has it when the transaction is over, so the announcement in its midst cannot be applied.
	if _, err := other.Exec(t.Context(), `begin`); err != nil {
		t.Fatal(err)
	}
	locked := make(chan error, 1)
	go func() {
		_, err := other.Exec(t.Context(), `lock table rowhook.subscription in access exclusive mode`)
		locked <- err
	}()
	waiting := func(mode string) func() bool {
		return func() bool {
			var n int
			err := r.conn.QueryRow(t.Context(), `select count(*) from pg_locks where not granted and relation = 'rowhook.subscription'::regclass and mode = $1`, mode).Scan(&n)
			return err == nil && n > 0
		}
	}
	eventually(t, "the lock is waited for", waiting("AccessExclusiveLock"))
	r.exec(`commit`)
	if err := <-locked; err != nil {
		t.Fatal(err)
	}
	eventually(t, "rowhook has come to the announcement", waiting("AccessShareLock"))
	// Others who read the table wait for the lock, too.
	eventually(t, "the changes before the announcement are counted as muted", func() bool { return r.metric("rowhook_muted_changes_total") >= 1 })
	if half := r.metric("rowhook_muted_changes_total"); half > rows {
		t.Errorf("%v changes are muted in the midst of the transaction", half)
	}
	r.mustReload()
	_, _, stopOther := r.begin()
	stop()
	if n := len(r.recv.Requests()); n != 0 {
		t.Errorf("%d requests for the first half", n)
	}
	if _, err := other.Exec(t.Context(), `rollback`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the standby has taken over", func() bool { return r.metric("rowhook_replication_streaming") == 1 })
	r.exec(`insert into notes values (-1, 'after')`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/all", "note/-1", 1)(q) && arrived("/moved", "note/-1", 1)(q)
	})
	if q := r.recv.Requests(); len(q) != 2 {
		t.Errorf("%d requests, want 2: %s", len(q), types(q))
	}
	if got := r.metric("rowhook_muted_changes_total"); got != rows+100+1 {
		t.Errorf("%v changes are counted as muted, want %d", got, rows+100+1)
	}
	if n := r.metric("rowhook_reads_total"); n != 0 {
		t.Errorf("%v reads for what is muted", n)
	}
	told := fmt.Sprintf("changes=%d", rows+100+1)
	stopOther() // what is not told yet is told now
	if !strings.Contains(r.log.String(), told) {
		t.Errorf("the log lacks %s", told)
	}
}
