package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestConfiguredKey: instances are named by columns of the config, of tables without a primary key, and beside one: what
// one transaction does to a name is one event, a change of it is a delete and a create, and large values are read again.
func TestConfiguredKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create table posts (slug text not null, body text, n int);
		create unique index posts_slug on posts (slug); alter table posts replica identity using index posts_slug;
		alter table posts alter body set storage external;
		create table lines (doc int not null, number int not null, text text, unique (number, doc)); alter table lines replica identity full;
		create table items (id int primary key, code text not null unique, n int); alter table items replica identity full;
		create table hidden (id int primary key, code text not null unique);
		create table remarks (id int primary key, post text, text text); alter table remarks replica identity full;
		create table item_parts (id int primary key, item int references items, name text)`)
	r.replace("  note:\n", `  post: {table: posts, key: slug, representation: {id: '${slug}', body: '${body}', n: '${n}', remarks: '${remarks}'},
    relations: {remarks: {table: remarks, join: {post: slug}, many: true, touch: true, representation: '${text}'}}}
  line: {table: lines, key: [doc, number], representation: {id: '${doc},${number}', text: '${text}'}}
  item: {table: items, key: code, representation: {id: '${code}', n: '${n}', of: '${id}', parts: '${parts}'},
    relations: {parts: {table: item_parts, foreign_key: item, many: true, touch: true, representation: '${name}'}}}
  item_by_id: {table: items, columns: all}
  hidden: {table: hidden, key: code, representation: {id: '${code}'}}
  note:
`)
	r.start()
	if log := r.log.String(); !strings.Contains(log, `not offered`) || !strings.Contains(log, "a delete in public.hidden does not carry code, which the key needs") {
		t.Error("it is not told that deletes need the key in the identity")
	}
	if _, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"hidden.delete"}, TargetURL: r.recv.URL("/")}); statusOf(err) != 422 {
		t.Errorf("a delete whose key the log does not tell is offered: %v", err)
	}
	r.subscribe("/")
	body := strings.Repeat("0123456789", 1000)
	r.exec(`insert into posts values ('a,b', $1, 1)`, body)
	// The body is not sent again: it is read by the key that the row has.
	for _, change := range []struct{ sql, event string }{{`update posts set n = 2`, "post.update"}, {`update posts set slug = 'c'`, "post.delete"}} {
		r.exec(change.sql)
		r.recv.WaitFor(t, func(q []hooktest.Request) bool { return strings.Contains(types(q), change.event) })
	}
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) == 4 })
	r.exec(`delete from posts`)
	r.exec(`insert into lines values (1, 2, 'x')`)
	r.exec(`update lines set text = 'y'`)
	r.exec(`update lines set number = 3`)
	r.exec(`delete from lines`)
	r.exec(`insert into items values (1, 'x', 0), (2, 'y', 0)`)
	// They exchange their codes: as codes they are updated, as ids too.
	r.exec(`begin; update items set code = 't' where id = 1; update items set code = 'x' where id = 2; update items set code = 'y' where id = 1; commit`)
	r.exec(`begin; delete from items where id = 1; insert into items values (3, 'y', 1); commit`)
	r.exec(`insert into hidden values (1, 'h')`)
	r.exec(`delete from hidden`)
	r.exec(`insert into notes values (1, 'last')`)
	requests := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["note/1"]) > 0 && len(q) >= 23 })
	came := map[string][]string{}
	for _, q := range requests {
		i := strings.IndexByte(q.Type, '.')
		at := q.Instance()
		came[at] = append(came[at], q.Type[i+1:])
		if strings.HasPrefix(q.Type, "post.") && !strings.HasSuffix(q.Type, ".delete") && !strings.Contains(string(q.Body), body) {
			t.Errorf("%s %s has no body: %.200s", q.Type, at, q.Body)
		}
	}
	want := map[string]string{
		"post/a,b": "create update delete", "post/c": "create delete",
		"line/1,2": "create update delete", "line/1,3": "create delete",
		"item/x": "create update", "item/y": "create update update",
		"item_by_id/1": "create update delete", "item_by_id/2": "create update", "item_by_id/3": "create",
		"hidden/h": "create", "note/1": "create",
	}
	for at, types := range want {
		if got := strings.Join(came[at], " "); got != types {
			t.Errorf("%s: %s, want %s", at, got, types)
		}
	}
	if len(came) != len(want) {
		t.Errorf("came: %v", came)
	}
	if n := len(r.letters(client.DeadLetterFilter{})); n != 0 {
		t.Errorf("%d dead letters", n)
	}

	// Changes of related rows are updates under this name: of a table without a primary key, by the primary key of another, and
	// once, whether the row itself has changed or not.
	r.recv.Forget()
	for _, step := range []struct {
		sql string
		all int
	}{
		{`insert into posts values ('p', 'x', 1)`, 1},
		{`insert into remarks values (1, 'p', 'one'), (2, 'p', 'two'), (3, 'nobody', 'three')`, 2},
		{`delete from remarks where id = 1`, 3},
		{`insert into item_parts values (1, 2, 'a'), (2, 3, 'b'), (3, 3, 'c')`, 5},
		{`begin; update items set n = 9 where id = 3; update items set code = 'z' where id = 2; update item_parts set name = 'd'; commit`, 10},
		{`insert into notes values (2, 'last')`, 11},
	} {
		// What is read is as it is then.
		r.exec(step.sql)
		requests = r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) >= step.all })
	}
	var touched []string
	for _, q := range requests {
		touched = append(touched, q.Type+" "+string(q.Data()))
	}
	slices.Sort(touched)
	if got, want := strings.Join(touched, "\n"), `item.create {"id":"z","n":0,"of":2,"parts":["d"]}
item.delete {"id":"x","n":0,"of":2}
item.update {"id":"x","n":0,"of":2,"parts":["a"]}
item.update {"id":"y","n":1,"of":3,"parts":["b","c"]}
item.update {"id":"y","n":9,"of":3,"parts":["d","d"]}
item_by_id.update {"id":2,"code":"z","n":0}
item_by_id.update {"id":3,"code":"y","n":9}
note.create {"id":2,"body":"last"}
post.create {"id":"p","body":"x","n":1,"remarks":[]}
post.update {"id":"p","body":"x","n":1,"remarks":["one","two"]}
post.update {"id":"p","body":"x","n":1,"remarks":["two"]}`; got != want {
		t.Errorf("touched:\n%s\nwant:\n%s", got, want)
	}

	// What fails is found by the key again.
	r.replace("text: '${text}'", "text: '${int(text)}'")
	r.mustReload()
	r.exec(`insert into lines values (4, 5, 'x')`)
	letter := r.buried(1)[0]
	r.exec(`update lines set text = '9'`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["line/4,5"]) == 1 })
	r.subscribe("/late") // began after it, so it gets nothing
	if got := r.replayed(client.DeadLetterReplay{IDs: []string{letter.ID}})[letter.ID]; letter.Instance != "4,5" || got.ClosedReason != "superseded" {
		t.Errorf("replayed: %+v", got)
	}

	// What cannot be a key is refused, all at once.
	before := r.text
	r.replace("key: [doc, number]", "key: doc")
	r.replace("key: slug", "key: n")
	err := r.reload()
	if err == nil || !strings.Contains(fmt.Sprint(err), "no unique index of public.lines says that doc is of one row") || !strings.Contains(fmt.Sprint(err), "n of public.posts can be null") {
		t.Errorf("reloaded: %v", err)
	}
	r.text = before
	r.replace("key: slug, ", "")
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), "table public.posts has no primary key") {
		t.Errorf("reloaded: %v", err)
	}
}
