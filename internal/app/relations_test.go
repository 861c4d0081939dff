package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
)

const personSchema = `
create table countries (code text primary key, name text);
create table firms (id int primary key, name text, revenue numeric, country_code text, secret text);
create table tags (id bigint primary key, name text);
create table people (id bigint primary key, account_id int not null default 1, name text, firm_id bigint, code text);
create table person_tags (person_id int, tag_id int, position int, primary key (person_id, tag_id));
create index on person_tags (person_id);
create table lines (tenant int, code varchar(20), n int, primary key (tenant, code, n));
insert into countries values ('DE', 'Germany');
insert into firms values (7, 'Lumen "Optics"', 12345678901234567890.10, 'DE', 'hidden'), (8, 'Kite', null, 'XX', 'hidden');
insert into tags values (1, 'vip'), (2, 'new'), (3, 'old');
insert into lines values (1, 'a,"b', 2), (1, 'a,"b', 1), (2, 'a,"b', 3);
`

const personConfig = `
  person:
    table: people
    account: account_id
    representation:
      id: ${id}
      name: ${name}
      firm: ${firm}
      country: ${firm.country.name ?? "none"}
      tags: ${tags}
      tag_names: ${join(map(tags, .tag.name), "+")}
      lines: ${lines}
    relations:
      firm:
        table: firms
        foreign_key: firm_id
        representation: {id: "${id}", name: "${name}", revenue: "${revenue}", country: "${country}"}
        relations:
          country: {table: countries, foreign_key: country_code, columns: all}
      tags:
        table: person_tags
        foreign_key: person_id
        many: true
        order_by: position desc
        representation: {position: "${position}", tag: "${tag}"}
        relations:
          tag: {table: tags, foreign_key: tag_id, columns: [name]}
      lines:
        table: lines
        many: true
        join: {tenant: account_id, code: code}
        representation: ${n}
`

func newPeople(t *testing.T) *rig {
	t.Helper()
	return peopleOn(newRig(t))
}

func peopleOn(r *rig) *rig {
	r.exec(personSchema)
	r.text += personConfig
	return r
}

func (r *rig) wantData(want map[string]string) {
	r.t.Helper()
	got := hooktest.ByInstance(r.recv.WaitFor(r.t, func(q []hooktest.Request) bool {
		by := hooktest.ByInstance(q)
		for instance := range want {
			if len(by[instance]) == 0 {
				return false
			}
		}
		return true
	}))
	for instance, data := range want {
		list := got[instance]
		if have := string(list[len(list)-1].Data()); have != data {
			r.t.Errorf("%s got\n%s\nwant\n%s", instance, have, data)
		}
	}
}

// TestRelations reads to one, to many in order, through a join table, by several columns of other types than ours, with
// nulls and with parents that are not there; of a deleted row nothing is known of them.
func TestRelations(t *testing.T) {
	t.Parallel()
	r := newPeople(t)
	r.start()
	r.subscribe("/", "person.*")
	r.exec(`begin`)
	r.exec(`insert into person_tags values (1, 1, 5), (1, 2, 9), (1, 99, 1)`)
	r.exec(`insert into people values (1, 1, 'Ada', 7, 'a,"b'), (2, 1, 'Bo', 8, null), (3, 2, 'Cy', null, 'a,"b'), (4, 1, 'Di', 3000000000, '')`)
	r.exec(`commit`)
	r.wantData(map[string]string{
		"person/1": `{"id":1,"name":"Ada","firm":{"id":7,"name":"Lumen \"Optics\"","revenue":"12345678901234567890.10","country":{"code":"DE","name":"Germany"}},"country":"Germany",` +
			`"tags":[{"position":9,"tag":{"name":"new"}},{"position":5,"tag":{"name":"vip"}},{"position":1,"tag":null}],"tag_names":"new+vip+","lines":[1,2]}`,
		"person/2": `{"id":2,"name":"Bo","firm":{"id":8,"name":"Kite","revenue":null,"country":null},"country":"none","tags":[],"tag_names":"","lines":[]}`,
		"person/3": `{"id":3,"name":"Cy","firm":null,"country":"none","tags":[],"tag_names":"","lines":[3]}`,
		"person/4": `{"id":4,"name":"Di","firm":null,"country":"none","tags":[],"tag_names":"","lines":[]}`,
	})
	r.recv.Forget()
	r.exec(`delete from people where id = 1`)
	r.wantData(map[string]string{"person/1": `{"id":1}`})
	if s := r.log.String(); !strings.Contains(s, `no index begins with`) == strings.Contains(s, "CREATE INDEX CONCURRENTLY ON") {
		t.Error("advice without its mend")
	} else if strings.Contains(s, "no index begins with") {
		t.Errorf("every relation has its index, and the log says otherwise")
	}
}

// TestRelatedValuesAreWrittenAsThoseOfTheStream, under settings of the database that would change them.
func TestRelatedValuesAreWrittenAsThoseOfTheStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create type mood as enum ('sad', 'happy');
		create domain cents as numeric(10,2);
		create domain more_cents as cents;
		create type pair as (a int, b text);
		create table things (id uuid primary key, a int8, b numeric, c float8, d float4, e timestamptz, f timestamp, g date, h interval, i bytea,
			j jsonb, k text[], l mood, m cents, n pair, o int4range, p inet, q bool, r char(5), s money, t time, u more_cents, v mood[], w "char", x regclass);
		do $$ begin
			execute format('alter database %I set datestyle = ''german, dmy''', current_database());
			execute format('alter database %I set timezone = ''Asia/Tokyo''', current_database());
			execute format('alter database %I set intervalstyle = ''sql_standard''', current_database());
			execute format('alter database %I set extra_float_digits = -5', current_database());
			execute format('alter database %I set bytea_output = ''escape''', current_database());
			execute format('alter database %I set search_path = ''rowhook''', current_database());
		end $$`)
	columns := "id, " + strings.Join(strings.Split("abcdefghijklmnopqrstuvwx", ""), ", ")
	own := ""
	for _, c := range strings.Split(columns, ", ") {
		own += fmt.Sprintf("        %s: ${%s}\n", c, c)
	}
	r.text += "  thing:\n    table: things\n    representation:\n      id: ${id}\n      own:\n" + own + "      again: ${again}\n" +
		"    relations:\n      again: {table: things, join: {id: id, l: l, m: u}, columns: [" + columns + "]}\n"
	r.start()
	r.subscribe("/", "thing.*")
	r.exec(`insert into things values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 9223372036854775807, 12.3400, 0.1::float8 + 0.2, 1e10, '2024-02-29 13:14:15.123456+02',
		'0044-03-15 13:14:15 BC', '12024-02-29', '1 year 2 mons 3 days 04:05:06.7', '\xdeadbeef', '{"a": 1.10, "b": [null]}', '{a,NULL,"b,c"}', 'happy', 1.5,
		row(1, 'x y'), '[1,6)', '192.168.0.1/24', true, 'ab', 12.5, '13:14:15.5', 1.5, '{sad,happy}', 'z', 'things')`)
	var data struct{ Own, Again json.RawMessage }
	if err := json.Unmarshal(r.recv.Wait(t, 1, patience)[0].Data(), &data); err != nil {
		t.Fatal(err)
	}
	if string(data.Own) != string(data.Again) || len(data.Own) < 400 {
		t.Errorf("from the stream\n%s\nby a read\n%s", data.Own, data.Again)
	}
}

// TestWhatIsNotCommittedIsNotRelated, and neither is what was rolled back; what is committed later is there later.
func TestWhatIsNotCommittedIsNotRelated(t *testing.T) {
	t.Parallel()
	r := newPeople(t)
	r.start()
	r.subscribe("/", "person.*")
	other, err := pgx.Connect(t.Context(), r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(t.Context()) }()
	exec := func(sql string) {
		t.Helper()
		if _, err := other.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`begin`)
	exec(`insert into person_tags values (1, 1, 1)`)
	exec(`update firms set name = 'Never' where id = 7`)
	r.exec(`insert into people values (1, 1, 'Ada', 7)`)
	without := `{"id":1,"name":"%s","firm":{"id":7,"name":"Lumen \"Optics\"","revenue":"12345678901234567890.10","country":{"code":"DE","name":"Germany"}},"country":"Germany",`
	r.wantData(map[string]string{"person/1": fmt.Sprintf(without, "Ada") + `"tags":[],"tag_names":"","lines":[]}`})
	exec(`rollback`)
	exec(`insert into person_tags values (1, 2, 1)`)
	r.recv.Forget()
	r.exec(`update people set name = 'Bo'`)
	r.wantData(map[string]string{"person/1": fmt.Sprintf(without, "Bo") + `"tags":[{"position":1,"tag":{"name":"new"}}],"tag_names":"new","lines":[]}`})
}

// TestRelationsAreReadTogether: a statement for each relation and batch, never one for a row, and none for what nobody gets.
func TestRelationsAreReadTogether(t *testing.T) {
	t.Parallel()
	r := newPeople(t)
	r.start()
	r.subscribe("/", "note.*")
	r.exec(`insert into people select n, 1, 'P' || n, 7 + n % 2, 'a,"b' from generate_series(1, 300) n`)
	r.exec(`insert into notes values (1, 'a')`)
	r.recv.Wait(t, 1, patience)
	if n := r.metric("rowhook_reads_total"); n != 0 {
		t.Errorf("%g reads for what nobody gets", n)
	}
	r.subscribe("/", "person.*")
	r.exec(`insert into person_tags select n, 1 + n % 3, n from generate_series(1, 1000) n`)
	r.exec(`update people set code = 'b'`)
	r.exec(`insert into people select n, 1, 'P' || n, 7 + n % 2, 'a,"b' from generate_series(301, 1000) n`)
	got := hooktest.ByInstance(r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == 1001 }))
	for id := 301; id <= 1000; id++ {
		firm := []string{`{"id":7,"name":"Lumen \"Optics\"","revenue":"12345678901234567890.10","country":{"code":"DE","name":"Germany"}},"country":"Germany"`,
			`{"id":8,"name":"Kite","revenue":null,"country":null},"country":"none"`}[id%2]
		tag := []string{"vip", "new", "old"}[id%3]
		want := fmt.Sprintf(`{"id":%d,"name":"P%d","firm":%s,"tags":[{"position":%d,"tag":{"name":"%s"}}],"tag_names":"%s","lines":[1,2]}`, id, id, firm, id, tag, tag)
		if have := string(got[fmt.Sprint("person/", id)][0].Data()); have != want {
			t.Fatalf("got\n%s\nwant\n%s", have, want)
		}
	}
	// Five statements for a batch; batches are smaller when the reader is faster than the writer.
	if n := r.metric("rowhook_reads_total"); n < 5 || n > 200 {
		t.Errorf("%g reads for 1,000 rows", n)
	} else {
		t.Logf("%g reads for 1,000 rows", n)
	}
}

// TestARelationThatCannotBeRead for a moment is waited for, and nothing is lost; one that never can makes dead letters, and
// others go on.
func TestARelationThatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newPeople(t)
	r.start()
	r.subscribe("/", "person.*", "note.*")
	other, err := pgx.Connect(t.Context(), r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(t.Context()) }()
	if _, err := other.Exec(t.Context(), `begin; lock table firms in access exclusive mode`); err != nil {
		t.Fatal(err)
	}
	r.exec(`insert into people values (1, 1, 'Ada', 7)`)
	r.isRed("related rows cannot be read")
	if n := len(r.recv.Requests()); n != 0 {
		t.Errorf("%d deliveries while the rows could not be read", n)
	}
	if _, err := other.Exec(t.Context(), `commit`); err != nil {
		t.Fatal(err)
	}
	r.recv.Wait(t, 1, patience)
	r.isGreen()

	r.recv.Forget()
	r.exec(`alter table tags rename column name to title`)
	r.exec(`begin`)
	r.exec(`insert into people values (2, 1, 'Bo', 7)`) // has no tags, and asks for none
	r.exec(`insert into person_tags values (3, 1, 1)`)
	r.exec(`insert into people values (3, 1, 'Cy', 7)`)
	r.exec(`insert into notes values (3, 'a')`)
	r.exec(`commit`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["note/3"]) == 1 })
	reason := r.deadLetter(1)
	if !strings.Contains(reason, `relation person.tags.tag: rows of public.tags cannot be read: column t.name does not exist (SQLSTATE 42703)`) {
		t.Errorf("the reason is %s", reason)
	}
	r.exec(`alter table tags rename column title to name`)
	r.recv.Forget()
	r.exec(`update people set name = 'Cyd' where id = 3`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["person/3"]) == 1 })

	r.exec(`drop table firms`)
	r.exec(`insert into people values (4, 1, 'Di', 7)`)
	if reason := r.deadLetter(2); !strings.Contains(reason, `public.firms cannot be read: relation "public.firms" does not exist`) {
		t.Errorf("the reason is %s", reason)
	}
	eventually(t, "everything is acknowledged", func() bool { return r.metric("rowhook_replication_unsettled_batches") == 0 })
}

// deadLetter waits for as many, and returns the reason of the last.
func (r *rig) deadLetter(n int) (reason string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("there are %d dead letters", n), func() bool {
		var have int
		err := r.conn.QueryRow(r.t.Context(), `select count(*), coalesce((array_agg(reason order by position desc))[1], '') from rowhook.dead_letter`).Scan(&have, &reason)
		return err == nil && have >= n
	})
	return reason
}

// TestRelationsWaitUntilTheCommitIsVisible: a read counts only when it shows the transactions that it is for.
func TestRelationsWaitUntilTheCommitIsVisible(t *testing.T) {
	t.Parallel()
	l := newLonely(t)
	peopleOn(l.rig)
	l.start()
	l.subscribe("/", "person.*")
	l.exec(`insert into people values (1, 1, 'Ada', null)`)
	l.recv.Wait(t, 1, patience)
	l.standby("nobody")
	l.recv.Forget()
	ended := l.hang(`with p as (update people set name = 'Bo', firm_id = 8) insert into person_tags values (1, 1, 1)`)
	l.red()
	if n := len(l.recv.Requests()); n != 0 {
		t.Errorf("%d deliveries before the commit was visible", n)
	}
	l.standby("")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	l.wantData(map[string]string{"person/1": `{"id":1,"name":"Bo","firm":{"id":8,"name":"Kite","revenue":null,"country":null},"country":"none","tags":[{"position":1,"tag":{"name":"vip"}}],"tag_names":"vip","lines":[]}`})
}

// TestLargeRelations: what is too much for one event is a dead letter, what is only too much for many at once is read in
// parts.
func TestLargeRelations(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text = strings.Replace(r.text, "limits: {hold: 500ms}", "limits: {hold: 500ms, memory: 4MiB, max_row: 2MiB}", 1)
	r.exec(`create table owners (id int primary key);
		create table parts (id int primary key, owner_id int, body text); create index on parts (owner_id)`)
	r.text += `
  owner:
    table: owners
    representation: {id: "${id}", parts: "${map(parts, len(#))}"}
    relations: {parts: {table: parts, foreign_key: owner_id, many: true, representation: "${body}"}}
`
	r.exec(`insert into parts select n, n, repeat('x', 700000) from generate_series(1, 40) n`)
	r.exec(`insert into parts select 100 + n, 41, repeat('x', 700000) from generate_series(1, 4) n`)
	r.exec(`insert into parts values (200, 42, repeat('x', 2200000))`)
	r.exec(`insert into parts select 1000 + n, 43, 'x' from generate_series(1, 1001) n`)
	r.exec(`insert into parts select 3000 + n, 44, 'x' from generate_series(1, 1000) n`)
	r.start()
	r.subscribe("/", "owner.*")
	r.exec(`insert into owners select n from generate_series(1, 44) n`)
	got := hooktest.ByInstance(r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["owner/44"]) == 1 }))
	if len(got) != 41 {
		t.Fatalf("%d owners, want 41", len(got))
	}
	for id := 1; id <= 40; id++ {
		if have, want := string(got[fmt.Sprint("owner/", id)][0].Data()), fmt.Sprintf(`{"id":%d,"parts":[700000]}`, id); have != want {
			t.Errorf("got %s, want %s", have, want)
		}
	}
	if have := strings.Count(string(got["owner/44"][0].Data()), "1"); have != 1000 {
		t.Errorf("%d parts of 1,000", have)
	}
	r.deadLetter(3)
	var reasons string
	if err := r.conn.QueryRow(t.Context(), `select string_agg(instance || ': ' || reason, E'\n' order by instance) from rowhook.dead_letter`).Scan(&reasons); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"41: owner: relation owner.parts: the related rows of one row are larger than limits.max_row",
		"42: owner: relation owner.parts: a row of public.parts of ",
		"43: owner.parts (config.yaml:", "relation owner.parts has more than 1000 rows",
	} {
		if !strings.Contains(reasons, want) {
			t.Errorf("%q is not in\n%s", want, reasons)
		}
	}
}
