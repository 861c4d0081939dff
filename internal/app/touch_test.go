package app_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

const touchSchema = `
create table firms (id int primary key, name text, note text);
create table tags (id bigint primary key, name text);
create table people (id bigint primary key, account_id int default 1, name text, firm_id int, boss_id int, secret text);
create index on people (firm_id); create index on people (boss_id);
create table person_tags (person_id bigint references people on delete cascade, tag_id bigint, position int, primary key (person_id, tag_id));
create index on person_tags (tag_id);
create table notices (id int primary key, tenant text, code text, person_name text, body text);
alter table notices replica identity full; alter table firms replica identity full; alter table people replica identity full;
insert into firms values (7, 'Lumen', 'n'), (8, 'Kite', 'n');
insert into tags values (1, 'vip'), (2, 'new');
insert into people values (1, 1, 'Ada', 7, null), (2, 1, 'Bo', 7, 1), (3, 2, 'Cy', 8, 1), (4, 2, 'ghost', 8, null);
`

const touchConfig = `
  person:
    table: people
    account: account_id
    where: name != "ghost"
    events: {person.named: 'name == "Ada" || name == "Eve"'}
    representation: {id: "${id}", name: "${name}", firm: "${firm}", boss: "${boss}", tags: "${tags}", notices: "${len(notices)}"}
    relations:
      firm: {table: firms, foreign_key: firm_id, representation: "${name}", touch: true}
      boss: {table: people, foreign_key: boss_id, representation: "${name}", touch: true}
      notices: {table: notices, join: {person_name: name, tenant: account_text}, many: true, columns: [body], touch: true}
      tags:
        table: person_tags
        foreign_key: person_id
        many: true
        order_by: position
        touch: true
        representation: ${tag.name}
        relations:
          tag: {table: tags, foreign_key: tag_id, columns: [name], touch: true}
  tag:
    table: tags
    columns: [id, name]
`

// newTouch has people with a firm, a boss, tags through a join table, and notices by two columns.
func newTouch(t *testing.T, script ...hooktest.Script) *rig {
	t.Helper()
	r := newRig(t, script...)
	r.exec(touchSchema + `alter table people add account_text text; update people set account_text = account_id`)
	r.text += touchConfig
	r.far() // what is settled has been delivered
	return r
}

// after runs statements in a transaction, waits until all that came of them is settled, and returns what arrived:
// path, type and instance, sorted.
func (r *rig) after(step int, sql string) (got []hooktest.Request, lines string) {
	r.t.Helper()
	r.recv.Forget()
	r.exec(`begin`)
	for _, s := range strings.Split(sql, ";") {
		r.exec(s)
	}
	r.exec(`commit`)
	r.exec(`insert into notes values ($1, 'the end')`, step)
	end := fmt.Sprint("note/", step)
	r.recv.WaitFor(r.t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)[end]) > 0 })
	// What was read before is settled before.
	eventually(r.t, "all is settled", func() bool { return r.metric("rowhook_replication_unsettled_batches") == 0 })
	var all []string
	for _, q := range r.recv.Requests() {
		if q.Instance() == end {
			continue
		}
		got = append(got, q)
		path := ""
		if q.Path != "/" {
			path = q.Path + " "
		}
		all = append(all, path+strings.TrimPrefix(q.Type, "person.")+" "+strings.TrimPrefix(q.Instance(), "person/"))
	}
	slices.Sort(all)
	return got, strings.Join(all, ", ")
}

// TestTouch does to related rows what can be done, and looks who is updated: once per transaction, and nobody else.
func TestTouch(t *testing.T) {
	t.Parallel()
	r := newTouch(t)
	r.start()
	r.subscribe("/", "person.*", "tag.*", "note.*")
	if _, err := r.client("other-token-012345678").Create(t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/two")}); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct{ what, sql, want string }{
		{"inserted", `insert into person_tags values (1, 1, 5)`, `update 1`},
		{"changed, the old row is not known", `update person_tags set position = 6`, `update 1`},
		{"a column that nobody uses", `update firms set note = 'x'`, ``},
		{"nothing changed", `update firms set name = name`, ``},
		{"to one, several parents", `update firms set name = 'Lumen 2' where id = 7`, `update 1, update 2`},
		{"another account's", `update firms set name = 'Kite 2' where id = 8`, `/two update 3, update 3`},
		{"moved", `update person_tags set person_id = 2 where person_id = 1`, `update 1, update 2`},
		{"through a join table, and the tag's own event", `update tags set name = 'VIP' where id = 1`, `tag.update tag/1, update 2`},
		{"deleted", `delete from person_tags`, `update 2`},
		{"several changes of several relations", `insert into person_tags values (1, 1, 1), (1, 2, 2), (2, 2, 1); delete from person_tags where person_id = 2; update firms set name = 'Lumen 3' where id = 7`, `update 1, update 2`},
		{"inserted and deleted", `insert into person_tags values (3, 1, 1); delete from person_tags where person_id = 3`, ``},
		{"beside its own update", `insert into person_tags values (2, 1, 1); update people set name = 'Bob' where id = 2`, `update 2`},
		{"beside an update that is none", `update people set secret = 'x' where id = 2; delete from person_tags where person_id = 2`, `update 2`},
		{"with its own insert", `insert into people values (5, 1, 'Eve', 7, null, null, '1'); insert into person_tags values (5, 2, 1)`, `create 5, named 5`},
		{"with its own delete, by cascade", `delete from people where id = 5`, `delete 5`},
		{"itself, and those of which it is the boss", `update people set name = 'Ann' where id = 1`, `/two update 3, update 1, update 2, update 3`},
		{"a row that is none", `insert into person_tags values (4, 1, 1)`, ``},
		{"by two columns", `insert into notices values (1, '1', 'c', 'Ann', 'b'), (2, '2', 'c', 'Ann', 'b'), (3, null, 'c', 'Ann', 'b')`, `update 1`},
		{"by two columns, one changes", `update notices set tenant = '2', person_name = 'Cy' where id = 1`, `/two update 3, update 1, update 3`},
		{"its key", `update firms set id = 70 where id = 7`, `update 1, update 2`},
		{"nobody's", `update notices set tenant = null`, `/two update 3, update 3`},
		{"emptied", `truncate person_tags`, ``},
		{"many, and what is inserted and deleted", `insert into person_tags select 1, n, n from generate_series(100, 1500) n; insert into person_tags select 3, n, n from generate_series(100, 150) n; delete from person_tags where person_id = 1`, `/two update 3, update 3`},
		{"by a table that is another by now", `alter table person_tags rename tag_id to label_id; update tags set name = 'x' where id = 1`, `tag.update tag/1`},
		{"and is again what it was", `alter table person_tags rename label_id to tag_id; insert into person_tags values (1, 1, 1)`, `update 1`},
	} {
		requests, got := r.after(i+1, step.sql)
		if got != step.want {
			t.Errorf("%s: got %s, want %s", step.what, got, step.want)
		}
		switch step.what {
		case "inserted":
			if have, want := string(requests[0].Data()), `{"id":1,"name":"Ada","firm":"Lumen","boss":null,"tags":["vip"],"notices":0}`; have != want {
				t.Errorf("got\n%s\nwant\n%s", have, want)
			}
			if strings.Contains(string(requests[0].Body), `"previous"`) {
				t.Errorf("a touch knows what was before: %s", requests[0].Body)
			}
		case "through a join table, and the tag's own event":
			by := hooktest.ByInstance(requests)
			tag, person := by["tag/1"][0].Position, by["person/2"][0].Position
			if tag[:32] != person[:32] || tag >= person {
				t.Errorf("the touch stands at %s, the change at %s", person, tag)
			}
		}
	}
	if reason := r.deadLetter(1); reason != "person: rows of public.people cannot be read: column s0.tag_id does not exist (SQLSTATE 42703)" {
		t.Errorf("the keys could not be found, and the dead letter is %s", reason)
	}
	if s := r.log.String(); !strings.Contains(s, "a table was emptied whose rows touch others") {
		t.Error("the truncate is not told")
	}
}

// TestTouchIsCutBetweenPages: a firm of 900 people is renamed, and rowhook dies, or loses its connection, when some have been
// told. Before it reads again some are deleted, some leave the firm, and some join it, whose keys come first. Nobody is left
// out, nothing that is stored comes again or has its position taken, and the newest state comes last.
func TestTouchIsCutBetweenPages(t *testing.T) {
	t.Parallel()
	t.Run("Killed", func(t *testing.T) {
		t.Parallel()
		touchIsCut(t, func(r *rig, cmd *exec.Cmd) (again func()) {
			kill(t, cmd)
			return func() { r.spawn() }
		})
	})
	t.Run("Disconnected", func(t *testing.T) {
		t.Parallel()
		touchIsCut(t, func(r *rig, _ *exec.Cmd) (again func()) {
			r.exec(`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, r.slot)
			return func() {}
		})
	})
}

func touchIsCut(t *testing.T, cut func(*rig, *exec.Cmd) (again func())) {
	const people = 900
	// More than the memory that it may use: it cannot have read to the end while these are held.
	r := newTouch(t, hooktest.Times(300, hooktest.Always(hooktest.OK()), hooktest.Times(64, hooktest.Always(hooktest.Hang()), hooktest.Always(hooktest.OK()))))
	r.exec(`insert into firms values (9, 'Before', '')`)
	r.exec(`insert into people select 1000 + n, 1, repeat('x', 2000), 9 from generate_series(1, $1::int) n`, people)
	r.replace("hold: 59m", "hold: 59m, memory: 1MiB")
	cmd := r.spawn()
	r.subscribe("/", "person.*", "note.*")
	feed, err := r.client("other-token-012345678").Create(t.Context(), &client.Subscription{Events: []string{"person.*"}, FeedOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	r.exec(`begin`)
	r.exec(`update firms set name = 'After' where id = 9`)
	r.exec(`insert into people values (500, 1, 'new', 9)`) // its own event
	r.exec(`commit`)
	r.recv.Wait(t, 364, patience)
	r.becomes("what came of most is stored", `select count(*) > 200 from rowhook.delivery where status = 1`)
	again := cut(r, cmd)
	// What hangs for long enough is stored too, as due, and comes again when it is cut: only what is stored as delivered must not.
	stored := map[string]string{}
	rows, err := r.conn.Query(t.Context(), `select id, encode(position, 'hex') from rowhook.event where position in (select position from rowhook.delivery where status = 1)`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id, position string
		if err := rows.Scan(&id, &position); err != nil {
			t.Fatal(err)
		}
		stored[id] = position
	}
	if rows.Err() != nil || len(stored) < 200 {
		t.Fatalf("%d deliveries are stored, %v", len(stored), rows.Err())
	}
	first := len(r.recv.Requests())
	// Of those that were told and those that were not.
	r.exec(`delete from people where id in (1001, 1002, 1899, 1900)`)
	r.exec(`update people set firm_id = 8 where id in (1003, 1898)`)
	r.exec(`insert into people select n, 1, 'joined', 9 from generate_series(600, 620) n`)
	// One that was told goes to another customer, who is told of that, and nothing of before.
	r.exec(`update people set account_id = 2 where id = 1004`)
	again()
	r.recv.Release()
	r.exec(`insert into notes values (1, 'the end')`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		by := hooktest.ByInstance(hooktest.Delivered(q))
		return len(by["note/1"]) > 0 && len(by) >= people+1+21+1
	})
	eventually(t, "all is settled", func() bool { return r.metric("rowhook_replication_unsettled_batches") == 0 })
	all := r.recv.Requests()
	oneID(t, slices.DeleteFunc(slices.Clone(all), func(q hooktest.Request) bool {
		return slices.Contains([]string{"person/1003", "person/1898", "person/1004"}, q.Instance()) // have an update of their own
	}))
	if err := hooktest.CheckNewestLast(all); err != nil {
		t.Error(err)
	}
	positions := map[string]string{}
	for _, q := range all {
		if id := positions[q.Position]; id != "" && id != q.ID {
			t.Errorf("position %s is that of %s and of %s, %s", q.Position, id, q.ID, q.Instance())
		}
		positions[q.Position] = q.ID
	}
	// What waited in memory when the connection was lost is stored too, and has not come yet.
	taken := map[string]bool{}
	for _, q := range hooktest.Delivered(all[:first]) {
		taken[q.ID] = true
	}
	for _, q := range all[first:] {
		if stored[q.ID] != "" && taken[q.ID] {
			t.Errorf("%s was stored, and came again", q)
		}
	}
	last := map[string]string{}
	for _, q := range hooktest.Delivered(all) {
		last[q.Instance()] = string(q.Body)
	}
	for n := 1; n <= people; n++ {
		instance := fmt.Sprint("person/", 1000+n)
		want := `"firm":"After"`
		switch n {
		case 1, 2, 899, 900:
			want = `"type":"person.delete"`
		case 3, 898:
			want = `"firm":"Kite"`
		}
		if !strings.Contains(last[instance], want) {
			t.Fatalf("the last of %s is %.200s, want %s", instance, last[instance], want)
		}
	}
	for n := 600; n <= 620; n++ {
		if body := last[fmt.Sprint("person/", n)]; !strings.Contains(body, `"type":"person.create"`) {
			t.Errorf("the last of %d is %.200s", n, body)
		}
	}
	if own := hooktest.ByInstance(all)["person/500"]; len(own) != 1 || own[0].Type != "person.create" {
		t.Errorf("its own event and a touch: %v", own)
	}
	var moved []string
	eventually(t, "who it has moved to gets something", func() bool {
		page, err := r.client("other-token-012345678").Feed(t.Context(), feed.ID, client.FeedQuery{After: "oldest"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range feedEvents(t, page) {
			moved = append(moved, fmt.Sprint(e.Type, " ", e.Data.ID))
		}
		return len(moved) > 0
	})
	if !slices.Equal(moved, []string{"person.create 1004"}) {
		t.Errorf("who it has moved to gets %v", moved)
	}
	var twice int
	if err := r.conn.QueryRow(t.Context(), `select count(*) - count(distinct id) from rowhook.event`).Scan(&twice); err != nil || twice != 0 {
		t.Errorf("%d events are stored twice, %v", twice, err)
	}
}

// TestTouchInManyTransactions reads what many small transactions touch together, keeps those of one instance in order, and
// asks nothing for nobody. A block of several batches touches each once, behind its own events.
func TestTouchInManyTransactions(t *testing.T) {
	t.Parallel()
	r := newTouch(t)
	r.exec(`insert into people select n, 1, 'P' || n, 9, null, null, '1' from generate_series(10, 1009) n; insert into firms values (9, 'Nine', '')`)
	stop := r.start()
	r.subscribe("/", "note.*", "contact.*", "tag.*", "person.create")
	r.after(0, `select 1`) // what is announced in a batch may be for it
	r.exec(`insert into person_tags values (10, 1, 1)`)
	r.exec(`update firms set name = 'Nein' where id = 9`)
	if _, got := r.after(1, `delete from person_tags`); got != "" {
		t.Errorf("got %s", got)
	}
	if n := r.metric("rowhook_reads_total"); n != 0 {
		t.Errorf("%g reads for nobody", n)
	}
	r.subscribe("/", "person.update")
	r.recv.Forget()
	stop()
	r.exec(`do $$ begin for i in 1..600 loop insert into person_tags values (10 + i % 20, 1000 + i, i); commit; end loop; end $$`)
	// Its row is read with those before it, when it is not known yet that it has an event of its own.
	r.exec(`begin; update people set name = 'own' where id = 11; insert into person_tags values (11, 2000, 2000); commit`)
	r.start()
	r.exec(`insert into notes values (100, 'the end')`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["note/100"]) > 0 })
	eventually(t, "all is settled", func() bool { return r.metric("rowhook_replication_unsettled_batches") == 0 })
	all := r.recv.Requests()
	if err := hooktest.CheckOrder(all); err != nil {
		t.Error(err)
	}
	for instance, q := range hooktest.ByInstance(all) {
		want := 30
		if instance == "person/11" {
			want++
		}
		if last := string(q[len(q)-1].Data()); instance != "note/100" && (len(q) != want || strings.Count(last, "null") != want+1) {
			t.Errorf("%s has %d updates, the last is %s", instance, len(q), last)
		}
	}
	if n := r.metric("rowhook_reads_total"); n > 100 {
		t.Errorf("%g reads for 600 transactions", n)
	}
	// More than a batch, and more than a page, with own events in between.
	requests, got := r.after(3, `update firms set name = 'Neuf' where id = 9; update people set name = 'Q' || id where id % 2 = 0 and id > 9; insert into person_tags select n, 10000, 1 from generate_series(10, 1009) n; update people set secret = 'x' where id = 11`)
	by := hooktest.ByInstance(requests)
	if len(by) != 1000 || len(requests) != 1000 {
		t.Fatalf("%d updates of %d people, want 1000 of each: %.300s", len(requests), len(by), got)
	}
	var own, touched string
	for id := 10; id < 1010; id++ {
		q := by[fmt.Sprint("person/", id)][0]
		if id%2 == 0 {
			own = max(own, q.Position)
		} else if touched == "" || q.Position < touched {
			touched = q.Position
		}
		if data := string(q.Data()); !strings.Contains(data, `"firm":"Neuf"`) {
			t.Fatalf("got %s", data)
		}
	}
	if own >= touched {
		t.Errorf("a touch at %s stands before an own event at %s", touched, own)
	}
}

// TestTouchThatCannotBe says what the log does not tell, takes it over with a reload, reads through partitions and of tables
// without primary key, and makes dead letters of what cannot be mapped or read.
func TestTouchThatCannotBe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create table parents (tenant int, id int, name text, primary key (tenant, id)); insert into parents values (1, 1, '5'), (1, 2, '6'), (1, 3, 'x');
		create table parts (id int, parent_id int, tenant int, kind int, primary key (id, kind)) partition by list (kind);
		create table parts_1 partition of parts for values in (1); create table parts_2 partition of parts for values in (2);
		create table parents_labels (parent_id int, tenant int, label text); alter table parents_labels replica identity full;
		create view part_view as select * from parts`)
	parent := func(more string) string {
		return strings.Replace(configText, "  note:\n", `
  parent:
    table: parents
    representation: {id: "${id}", number: "${int(name)}", parts: "${len(parts)}", labels: "${labels}"}
    relations:
      parts: {table: parts, join: {parent_id: id, tenant: tenant}, many: true, columns: [id]`+more+`}
      labels: {table: parents_labels, join: {parent_id: id, tenant: tenant}, many: true, order_by: label, representation: "${label}"`+more+`}
  note:
`, 1)
	}
	r.text = parent("")
	r.far()
	r.start()
	r.subscribe("/", "parent.*", "note.*")
	if _, got := r.after(1, `insert into parts values (1, 1, 1, 1)`); got != "" {
		t.Errorf("without touch: %s", got)
	}
	r.text = strings.Replace(parent(", touch: true"), "table: parts,", "table: part_view,", 1)
	r.far()
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), "relation parent.parts cannot touch: public.part_view is not a table") || !strings.Contains(err.Error(), "config.yaml:43:22") {
		t.Errorf("a view: %v", err)
	}
	r.text = parent(", touch: true")
	r.far()
	r.exec(`alter publication rowhook set (publish_via_partition_root = true)`)
	r.mustReload()
	for _, want := range []string{"table added to the publication\" table=public.parts", "table added to the publication\" table=public.parents_labels",
		"a delete or a move in public.parts does not carry parent_id, tenant, which touch of parent.parts needs"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not have %s", want)
		}
	}
	for i, step := range []struct{ sql, want, letter string }{
		{`insert into parts values (2, 1, 1, 2), (3, 2, 1, 1)`, `parent.update parent/1, parent.update parent/2`, ``},
		{`update parts set kind = 2 where id = 1`, `parent.update parent/1`, ``},
		{`update parts set parent_id = 2 where id = 2`, `parent.update parent/2`, ``}, // who it was of is not told
		{`delete from parts where id = 3`, ``, ``},
		{`insert into parents_labels values (1, 1, 'a'), (1, 1, 'a'), (2, null, 'b')`, `parent.update parent/1`, ``},
		{`update parents_labels set parent_id = 2 where parent_id = 1`, `parent.update parent/1, parent.update parent/2`, ``},
		{`delete from parents_labels where tenant = 1`, `parent.update parent/2`, ``},
		{`insert into parts values (4, 3, 1, 1)`, ``, `parent.number (config.yaml:41): int failed on text`},
		{`alter table parents rename column name to title; insert into parts values (5, 1, 1, 1), (6, 2, 1, 1)`, ``, `parent: rows of public.parents cannot be read: column t.name does not exist (SQLSTATE 42703)`},
		{`alter table parents rename column title to name; insert into parts values (7, 1, 1, 1)`, `parent.update parent/1`, ``},
	} {
		_, got := r.after(i+10, step.sql)
		if got != step.want {
			t.Errorf("%s: got %s, want %s", step.sql, got, step.want)
		}
		var letters []string
		rows, _ := r.conn.Query(t.Context(), `with d as (delete from rowhook.dead_letter returning *) select instance || ' ' || reason from d`)
		letters, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if have := strings.Join(letters, "; "); (step.letter == "") != (have == "") || !strings.Contains(have, step.letter) || len(letters) > 1 {
			t.Errorf("%s: the dead letters are %s", step.sql, have)
		}
	}
}
