package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

const docsSchema = `
create table docs (id bigint primary key, account_id int not null default 1, title text, body text, side text);
alter table docs alter body set storage external, alter side set storage external;
`

const docsConfig = `
  doc:
    table: docs
    account: account_id
    columns: [id, title, body]
`

// newDocs is a rig with a table of large values, under the default replica identity.
func newDocs(t *testing.T) *rig {
	t.Helper()
	return docsOn(newRig(t))
}

func docsOn(r *rig) *rig {
	r.exec(docsSchema)
	r.text += docsConfig
	return r
}

// large is a text that is kept out of its row, and that tells which one it is.
func large(name string) string { return name + strings.Repeat("x", 10_000) }

// doc is what arrived of a document. Values are told by what comes before their filling.
func doc(t *testing.T, q hooktest.Request) string {
	t.Helper()
	var body struct {
		Data    map[string]any
		Partial []string
	}
	if err := json.Unmarshal(q.Body, &body); err != nil {
		t.Fatal(err)
	}
	out := q.Type
	for _, name := range []string{"id", "title", "body", "code"} {
		if v, ok := body.Data[name]; ok {
			text := strings.TrimRight(fmt.Sprint(v), "x")
			if s := fmt.Sprint(v); len(s) > 2000 && len(s)-len(text) < 2000 {
				t.Errorf("%s is %d bytes long", name, len(s))
			}
			out += fmt.Sprintf(" %s=%s", name, text)
		}
	}
	if body.Partial != nil {
		out += fmt.Sprintf(" partial=%v", body.Partial)
	}
	return out
}

func (r *rig) docs(n int) []string {
	r.t.Helper()
	var out []string
	for _, q := range r.recv.Wait(r.t, n, patience) {
		out = append(out, doc(r.t, q))
	}
	return out
}

func (r *rig) wantDocs(want ...string) {
	r.t.Helper()
	got := r.docs(len(want))
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		r.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// limited makes rowhook use a role that may read no table. The publication is made for it.
func (r *rig) limited() {
	r.t.Helper()
	role := pgtest.Name("role")
	r.exec(`create role ` + role + ` login replication password 'secret'`)
	r.t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), r.url)
		if err != nil {
			r.t.Error(err)
			return
		}
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.Exec(context.Background(), `drop owned by `+role+`; drop role `+role); err != nil {
			r.t.Error(err)
		}
	})
	r.exec(`create schema rowhook authorization ` + role)
	r.exec(`create publication rowhook for table contacts, notes, docs`)
	u, err := url.Parse(r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	r.text = strings.Replace(r.text, "${env:DATABASE_URL}", u.String(), 1)
}

// TestUnchangedLargeValuesAreReadAgain updates columns beside large ones, which the stream does not send then.
func TestUnchangedLargeValuesAreReadAgain(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.start()
	r.subscribe("/", "doc.*")
	r.exec(`insert into docs (id, title, body, side) values (1, 'a', $1, $1)`, large("one"))
	r.wantDocs("doc.create id=1 title=a body=one")
	r.exec(`update docs set title = 'b'`)
	r.wantDocs("doc.create id=1 title=a body=one", "doc.update id=1 title=b body=one")
	if n := r.metric("rowhook_reads_total"); n != 1 {
		t.Errorf("%g reads, want 1", n)
	}
	r.recv.Forget()
	// To an empty value, and from it.
	r.exec(`update docs set body = null`)
	r.exec(`update docs set title = 'c'`)
	r.exec(`update docs set id = 2, body = $1`, large("two"))
	r.exec(`update docs set id = 3`)
	r.wantDocsOf(map[string][]string{
		"doc/1": {"doc.update id=1 title=b body=<nil>", "doc.update id=1 title=c body=<nil>", "doc.delete id=1"},
		"doc/2": {"doc.create id=2 title=c body=two", "doc.delete id=2"},
		"doc/3": {"doc.create id=3 title=c body=two"},
	})
}

// TestColumnsThatNobodyNeedsAreNotRead has a large value in a column that is not mapped, and one whose old row has it.
func TestColumnsThatNobodyNeedsAreNotRead(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.start()
	r.exec(`insert into docs (id, title, body) values (2, 'a', $1)`, large("nobody subscribes yet"))
	r.exec(`update docs set title = 'b'`)
	r.exec(`delete from docs`)
	eventually(t, "it is taken", func() bool { return r.metric("rowhook_changes_total") >= 3 })
	r.subscribe("/", "doc.*")
	r.exec(`insert into docs (id, title, body, side) values (1, 'a', 'small', $1)`, large("side"))
	r.exec(`update docs set title = 'b'`)
	r.exec(`alter table docs replica identity full`)
	r.exec(`update docs set body = $1`, large("one"))
	r.exec(`update docs set title = 'c'`)
	r.wantDocs("doc.create id=1 title=a body=small", "doc.update id=1 title=b body=small",
		"doc.update id=1 title=b body=one", "doc.update id=1 title=c body=one")
	if n := r.metric("rowhook_reads_total"); n != 0 {
		t.Errorf("%g reads, want none", n)
	}
}

// TestLargeValuesOfTheSameTransaction come from its earlier changes, of which only those of the same row count: the role
// may not read the table at all, and each change is an event. The long transaction goes over many batches.
func TestLargeValuesOfTheSameTransaction(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.text += "    coalesce: false\n"
	r.limited()
	r.start()
	r.subscribe("/", "doc.*")
	r.exec(`begin`)
	r.exec(`insert into docs (id, title, body) values (1, 'a', $1), (2, 'a', $2)`, large("one"), large("two"))
	r.exec(`update docs set title = 'b' where id = 1`)
	r.exec(`update docs set body = $1 where id = 1`, large("three"))
	r.exec(`update docs set id = 7 where id = 1`)
	r.exec(`update docs set title = 'c' where id = 2`)
	r.exec(`delete from docs where id = 2`)
	r.exec(`update docs set title = 'd' where id = 7`)
	r.exec(`commit`)
	r.wantDocsOf(map[string][]string{
		"doc/1": {"doc.create id=1 title=a body=one", "doc.update id=1 title=b body=one", "doc.update id=1 title=b body=three", "doc.delete id=1"},
		"doc/2": {"doc.create id=2 title=a body=two", "doc.update id=2 title=c body=two", "doc.delete id=2"},
		"doc/7": {"doc.create id=7 title=b body=three", "doc.update id=7 title=d body=three"},
	})
	r.recv.Forget()
	r.exec(`begin`)
	r.exec(`insert into docs (id, title, body) values (100, 'a', $1)`, large("long"))
	r.exec(`insert into notes select n, 'note' from generate_series(1, 2000) n`)
	r.exec(`update docs set title = 'b' where id = 100`)
	r.exec(`commit`)
	r.wantDocsOf(map[string][]string{"doc/100": {"doc.create id=100 title=a body=long", "doc.update id=100 title=b body=long"}})
}

func (r *rig) wantDocsOf(want map[string][]string) {
	r.t.Helper()
	got := hooktest.ByInstance(r.recv.WaitFor(r.t, func(q []hooktest.Request) bool {
		by := hooktest.ByInstance(q)
		for instance, list := range want {
			if len(by[instance]) < len(list) {
				return false
			}
		}
		return true
	}))
	for instance, list := range want {
		var lines []string
		for _, q := range got[instance] {
			lines = append(lines, doc(r.t, q))
		}
		if strings.Join(lines, "\n") != strings.Join(list, "\n") {
			r.t.Errorf("%s got\n%s\nwant\n%s", instance, strings.Join(lines, "\n"), strings.Join(list, "\n"))
		}
	}
}

// TestWithoutThePrivilegeLargeValuesAreLeftOut, which the log says once, and everything goes on.
func TestWithoutThePrivilegeLargeValuesAreLeftOut(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.limited()
	r.exec(`insert into docs (id, title, body) values (1, 'a', $1)`, large("one"))
	r.start()
	r.subscribe("/", "doc.*")
	r.exec(`update docs set title = 'b' where id = 1`)
	r.exec(`update docs set title = 'c' where id = 1`)
	r.wantDocs("doc.update id=1 title=b partial=[body]", "doc.update id=1 title=c partial=[body]")
	if n := strings.Count(r.log.String(), "permission denied for table docs"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}

// TestRowsThatHaveChangedSince holds the stream while rows change and go.
func TestRowsThatHaveChangedSince(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.exec(`insert into docs (id, title, body) values (1, 'a', $1), (2, 'a', $2)`, large("one"), large("two"))
	stop := r.start()
	r.subscribe("/", "doc.*")
	stop()
	r.exec(`update docs set title = 'b'`)
	r.exec(`delete from docs where id = 1`)
	r.exec(`update docs set body = $1 where id = 2`, large("newer"))
	r.start()
	r.wantDocsOf(map[string][]string{
		"doc/1": {"doc.update id=1 title=b partial=[body]", "doc.delete id=1"},
		"doc/2": {"doc.update id=2 title=b body=newer", "doc.update id=2 title=b body=newer"},
	})
}

// TestLargeValuesOfAnotherAccountAreNotReadAgain holds the stream while rows go to another account: what this writes is not
// for the one before.
func TestLargeValuesOfAnotherAccountAreNotReadAgain(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.exec(`insert into docs (id, title, body) values (1, 'a', $1), (2, 'a', $1), (3, 'a', $1)`, large("one"))
	stop := r.start()
	if _, err := r.client("acme-token-0123456789").Create(t.Context(), &client.Subscription{Events: []string{"doc.*"}, TargetURL: r.recv.URL("/")}); err != nil {
		t.Fatal(err)
	}
	stop()
	r.exec(`update docs set title = 'b'`)
	r.exec(`update docs set account_id = 2, body = $1 where id = 1`, large("secret"))
	r.exec(`delete from docs where id = 2`)
	r.exec(`insert into docs (id, account_id, title, body) values (2, 2, 'a', $1)`, large("secret"))
	r.start()
	r.wantDocsOf(map[string][]string{
		"doc/1": {"doc.update id=1 title=b partial=[body]"},
		"doc/2": {"doc.update id=2 title=b partial=[body]"},
		"doc/3": {"doc.update id=3 title=b body=one"},
	})
}

// TestLargeKeysAndAccounts has a key, and an account, that are kept out of the row.
func TestLargeKeysAndAccounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create table long_keys (code text primary key, owner text, title text, body text);
		alter table long_keys alter code set storage external, alter owner set storage external, alter body set storage external`)
	r.text += "  key:\n    table: long_keys\n    account: owner[0:1]\n    columns: [code, title, body]\n"
	r.start()
	if _, err := r.client("acme-token-0123456789").Create(t.Context(), &client.Subscription{Events: []string{"key.*"}, TargetURL: r.recv.URL("/")}); err != nil {
		t.Fatal(err)
	}
	code := "k,\"\\" + strings.Repeat("x", 2100)
	r.exec(`insert into long_keys values ($1, $2, 'a', $3)`, code, "1"+large(""), large("one"))
	r.exec(`update long_keys set title = 'b'`)
	got := r.recv.Wait(t, 2, patience)
	for i, want := range []string{`key.create title=a body=one code=k,"\`, `key.update title=b body=one code=k,"\`} {
		if line := doc(t, got[i]); line != want {
			t.Errorf("got %s, want %s", line, want)
		}
	}
}

// TestManyRowsAreReadTogether: a statement for a batch, never one for a row.
func TestManyRowsAreReadTogether(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.exec(`insert into docs (id, title, body) select n, 'a', n || 'y' || repeat('x', 3000) from generate_series(1, 1000) n`)
	r.start()
	r.subscribe("/", "doc.*")
	r.exec(`update docs set title = 'b'`)
	for _, q := range r.recv.Wait(t, 1000, patience) {
		id := strings.TrimPrefix(q.Instance(), "doc/")
		if line, want := doc(t, q), "doc.update id="+id+" title=b body="+id+"y"; line != want {
			t.Fatalf("got %s, want %s", line, want)
		}
	}
	if n := r.metric("rowhook_reads_total"); n < 4 || n > 40 {
		t.Errorf("%g reads for 1,000 rows", n)
	} else {
		t.Logf("%g reads for 1,000 rows", n)
	}
}

// TestLargeRowsAreReadInParts updates more bytes in a transaction than may be in memory at once.
func TestLargeRowsAreReadInParts(t *testing.T) {
	t.Parallel()
	r := newDocs(t)
	r.text = strings.Replace(r.text, "limits: {hold: 500ms}", "limits: {hold: 500ms, memory: 4MiB, max_row: 1MiB}", 1)
	r.exec(`insert into docs (id, title, body) select n, 'a', n || 'y' || repeat('x', 700000) from generate_series(1, 40) n`)
	r.exec(`insert into docs (id, title, body) values (41, 'a', repeat('x', 1100000))`)
	r.start()
	r.subscribe("/", "doc.*")
	r.exec(`update docs set title = 'b'`)
	r.insertContact(1, 1)
	got := hooktest.ByInstance(r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == 41 }))
	for id := 1; id <= 40; id++ {
		q := got[fmt.Sprint("doc/", id)]
		if len(q) != 1 {
			t.Fatalf("doc %d came %d times", id, len(q))
		}
		if line, want := doc(t, q[0]), fmt.Sprintf("doc.update id=%d title=b body=%dy", id, id); line != want {
			t.Errorf("got %s, want %s", line, want)
		}
	}
	if line := doc(t, got["doc/41"][0]); line != "doc.update id=41 title=b partial=[body]" {
		t.Errorf("got %s", line)
	}
	eventually(t, "everything is acknowledged", func() bool { return r.metric("rowhook_replication_unsettled_batches") == 0 })
}
