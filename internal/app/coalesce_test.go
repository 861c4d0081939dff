package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// transaction commits statements together.
func (r *rig) transaction(statements ...string) {
	r.t.Helper()
	for _, sql := range append(append([]string{"begin"}, statements...), "commit") {
		r.exec(sql)
	}
}

// typesOf are the types that came for each instance, when all that was committed is delivered, the last one with it.
func (r *rig) typesOf(last string) map[string]string {
	r.t.Helper()
	r.recv.WaitFor(r.t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)[last]) > 0 })
	eventually(r.t, "everything is delivered", func() bool {
		// What waits in the store is settled, and comes later all the same.
		return r.metric("rowhook_replication_unsettled_batches") == 0 && r.metric("rowhook_deliveries_due") == 0
	})
	out := map[string]string{}
	for instance, q := range hooktest.ByInstance(r.recv.Requests()) {
		out[instance] = types(q)
	}
	return out
}

func (r *rig) wantTypes(last string, want map[string]string) {
	r.t.Helper()
	got := r.typesOf(last)
	want[last] = got[last]
	for instance, have := range got {
		if have != want[instance] {
			r.t.Errorf("%s: got %q, want %q", instance, have, want[instance])
		}
	}
	for instance := range want {
		if _, ok := got[instance]; !ok {
			r.t.Errorf("%s: got nothing, want %q", instance, want[instance])
		}
	}
}

// TestATransactionIsOneEventOfAnInstance: the last state counts.
func TestATransactionIsOneEventOfAnInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.subscribe("/", "note.*")
	r.exec(`insert into notes select n, 'a' from generate_series(1, 6) n`)
	r.recv.Wait(t, 6, patience)
	r.recv.Forget()
	r.transaction(
		`insert into notes values (11, 'a'), (12, 'a')`,
		`update notes set body = 'b' where id in (1, 2, 11)`,
		`update notes set body = 'c' where id in (1, 2, 11, 12)`,
		`delete from notes where id in (2, 3, 12)`,
		`insert into notes values (3, 'd')`,
		`update notes set id = 14 where id = 4`, // by way of another key
		`update notes set id = 24, body = 'e' where id = 14`,
		`update notes set id = -id where id in (5, 6)`, // these change places
		`update notes set id = 11 + id where id in (-5, -6)`,
	)
	r.exec(`insert into notes values (99, 'last')`)
	r.wantTypes("note/99", map[string]string{
		"note/1": "note.update", "note/2": "note.delete", "note/3": "note.update", "note/11": "note.create",
		"note/4": "note.delete", "note/24": "note.create", "note/5": "note.update", "note/6": "note.update",
	})
	bodies := map[string]string{}
	for _, q := range r.recv.Requests() {
		bodies[q.Instance()] = string(q.Data())
	}
	for instance, want := range map[string]string{"note/1": `{"id":1,"body":"c"}`, "note/11": `{"id":11,"body":"c"}`, "note/3": `{"id":3,"body":"d"}`, "note/24": `{"id":24,"body":"e"}`} {
		if bodies[instance] != want {
			t.Errorf("%s is %s, want %s", instance, bodies[instance], want)
		}
	}
}

// TestStateBeforeTheTransactionCounts judges where, delete_when, no-op updates and events by what was before and is after.
func TestStateBeforeTheTransactionCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text += leadsConfig
	r.exec(leadsTable)
	r.exec(`alter table leads replica identity full`)
	r.start()
	r.subscribe("/", "lead.*")
	r.exec(`insert into leads select n, 1, case when n in (4, 5) then 'robot' else 'person' end from generate_series(1, 7) n`)
	r.recv.Wait(t, 5, patience)
	r.recv.Forget()
	r.transaction(
		`update leads set amount = 9 where id = 1`, // and back
		`update leads set amount = 1.50, seen = 7 where id = 1`,
		`update leads set stage = 2 where id = 2`, // won, and something else
		`update leads set amount = 9 where id = 2`,
		`update leads set stage = 2 where id = 3`, // won, and lost again
		`update leads set stage = 1, amount = 9 where id = 3`,
		`update leads set kind = 'person' where id = 4`, // comes in, and changes
		`update leads set amount = 9 where id = 4`,
		`update leads set kind = 'person' where id = 5`, // comes in and goes
		`delete from leads where id = 5`,
		`update leads set deleted_at = now() where id = 6`, // goes twice
		`delete from leads where id = 6`,
		`update leads set kind = 'robot' where id = 7`, // goes and comes back
		`update leads set kind = 'person', amount = 9 where id = 7`,
	)
	r.exec(`insert into leads values (99, 1)`)
	r.wantTypes("lead/99", map[string]string{
		"lead/2": "lead.update lead.won", "lead/3": "lead.update", "lead/4": "lead.create", "lead/6": "lead.delete", "lead/7": "lead.update",
	})
}

// TestEachChangeIsAnEvent where a resource says so, also beside another one of the same table.
func TestEachChangeIsAnEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text += "  entry: {table: notes, columns: all, coalesce: false}\n"
	r.start()
	r.subscribe("/", "note.*", "entry.*")
	r.transaction(`insert into notes values (1, 'a')`, `update notes set body = 'b'`, `insert into notes select n, 'x' from generate_series(100, 1000) n`,
		`delete from notes where id = 1`, `insert into notes values (1, 'c')`)
	r.exec(`insert into notes values (99, 'last')`)
	got := r.typesOf("note/99")
	if got["note/1"] != "note.create" || got["entry/1"] != "entry.create entry.update entry.delete entry.create" || got["entry/1000"] != "entry.create" {
		t.Errorf("note: %s, entry: %s, %s", got["note/1"], got["entry/1"], got["entry/1000"])
	}
	ids, positions := map[string]bool{}, map[string]bool{}
	for _, q := range r.recv.Requests() {
		if ids[q.ID] || positions[q.Position] {
			t.Errorf("%s is there twice, or its place", q)
		}
		ids[q.ID], positions[q.Position] = true, true
	}
}

// TestATruncateEndsWhatWasCollected tells it and what was before it, apart from what comes behind it.
func TestATruncateEndsWhatWasCollected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.subscribe("/", "note.*")
	r.transaction(`insert into notes values (1, 'a')`, `update notes set body = 'b'`, `truncate notes`, `insert into notes values (1, 'c')`, `update notes set body = 'd'`)
	got := r.recv.Wait(t, 3, patience)
	var lines []string
	ids := map[string]bool{}
	for _, q := range hooktest.ByInstance(got)["note/1"] {
		lines = append(lines, q.Type+string(q.Data()))
		ids[q.ID] = true
	}
	if strings.Join(lines, " ") != `note.create{"id":1,"body":"b"} note.create{"id":1,"body":"d"}` || len(ids) != 2 {
		t.Errorf("got %q", lines)
	}
}

// TestLargeValuesOfABlock come from its earlier changes: the role may not read the table. The block goes over many batches.
func TestLargeValuesOfABlock(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.limited()
	r.start()
	r.subscribe("/", "doc.*")
	r.transaction(
		`insert into docs (id, title, body) values (1, 'a', '`+large("one")+`'), (2, 'a', '`+large("two")+`'), (3, 'a', '`+large("three")+`')`,
		`update docs set title = 'b' where id = 1`,
		`insert into notes select n, 'note' from generate_series(1, 1000) n`,
		`update docs set title = 'c' where id in (1, 2)`,
		`update docs set id = 7 where id = 2`,
		`insert into notes select n, 'note' from generate_series(1001, 2000) n`,
		`update docs set title = 'd' where id = 7`,
		`update docs set body = null where id = 3`,
		`update docs set title = 'd' where id = 3`,
	)
	r.wantDocsOf(map[string][]string{
		"doc/1": {"doc.create id=1 title=c body=one"},
		"doc/7": {"doc.create id=7 title=d body=two"},
		"doc/3": {"doc.create id=3 title=d body=<nil>"},
	})
	if len(r.recv.Requests()) != 3 {
		t.Errorf("got %v", r.recv.Requests())
	}
}

// TestLongTransactionsAreGatheredWithinBlocks does random things to a table in transactions of many batches and blocks,
// with a kill in between, and plays what arrives into a table of its own.
func TestLongTransactionsAreGatheredWithinBlocks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.far()
	cmd := r.spawn()
	r.subscribe("/", "note.*")
	rng := rand.New(rand.NewPCG(1, 2))
	const keys = 60
	for round := range 4 {
		var b strings.Builder
		b.WriteString("begin;")
		for range 3000 {
			k := 1 + rng.IntN(keys)
			switch p := rng.IntN(10); {
			case p < 2:
				fmt.Fprintf(&b, "delete from notes where id = %d;", k)
			case p < 4:
				fmt.Fprintf(&b, "update notes set id = %d where id = %d and not exists (select from notes where id = %[1]d);", 1+rng.IntN(keys), k)
			default:
				fmt.Fprintf(&b, "insert into notes values (%d, '%d') on conflict (id) do update set body = excluded.body;", k, rng.Int())
			}
		}
		if round == 1 {
			// Blocks end here too.
			b.WriteString("insert into contacts (id, account_id) select n, 1 from generate_series(1, 12000) n; update notes set body = body || '!';")
		}
		b.WriteString("commit")
		r.exec(b.String())
		if round == 2 {
			r.recv.Wait(t, keys, patience)
			kill(t, cmd)
			cmd = r.spawn()
		}
	}
	r.exec(`insert into notes values (999, 'last')`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["note/999"]) > 0 })
	want := map[string]string{}
	rows, err := r.conn.Query(t.Context(), `select id, body from notes`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id int
		var body string
		if err := rows.Scan(&id, &body); err != nil {
			t.Fatal(err)
		}
		want["note/"+strconv.Itoa(id)] = body
	}
	got := map[string]string{}
	var all []hooktest.Request
	eventually(t, "the table that was played is the one that was written", func() bool {
		clear(got)
		all = r.recv.Requests()
		for _, q := range all {
			var body struct{ Data struct{ Body string } }
			if err := json.Unmarshal(q.Body, &body); err != nil {
				t.Fatal(err)
			}
			if got[q.Instance()] = body.Data.Body; q.Type == "note.delete" {
				delete(got, q.Instance())
			}
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
	seen := map[string]hooktest.Request{}
	last := map[string]string{}
	for _, q := range all {
		if was, ok := seen[q.ID]; ok {
			if string(was.Body) != string(q.Body) || was.Position != q.Position {
				t.Errorf("%s is two events", q.ID)
			}
			continue
		}
		if q.Position <= last[q.Instance()] {
			t.Errorf("%s stands before what came before it", q)
		}
		seen[q.ID], last[q.Instance()] = q, q.Position
	}
	if n := len(seen); n > 7*keys+1 {
		t.Errorf("%d events of %d keys in 4 transactions of 5 blocks", n, keys)
	}
}
