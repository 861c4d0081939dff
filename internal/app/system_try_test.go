package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestTryAMapping: what mappings make of a row, and what a hostile one cannot have; and what the application says instead.
func TestTryAMapping(t *testing.T) {
	t.Parallel()
	const appKey = "hunter2-of-the-app"
	application := hooktest.New(t, func(q hooktest.Request) hooktest.Answer {
		switch {
		case q.Header.Get("X-Key") != appKey:
			return hooktest.Status(401)
		case strings.HasSuffix(q.Path, "/3"):
			return hooktest.Status(404)
		case strings.HasSuffix(q.Path, "/2"):
			return hooktest.Answer{Body: `{"id": 2, "name": "Bob", "maker": {"name": "M"}}`}
		}
		return hooktest.Answer{Body: `{"id": 1, "name": "ADA", "maker": {"name": "M"}}`}
	})
	r := newRig(t)
	r.exec(`create table things (id int primary key, account_id int not null default 1, name text, secret_note text, pin int, size int not null default 1);
		alter table things replica identity full; create table makers (id int primary key, name text, margin text); insert into makers values (1, 'M', 'margin-of-the-maker');
		insert into things values (1, 1, 'Ada', 'note-of-ada', 1987654321, 1), (2, 1, 'Bob', 'note-of-bob', 1987654322, 1), (3, 1, 'Cy', 'note-of-cy', 1987654323, 1);
		create table empties (id int primary key)`)
	r.text = strings.Replace(r.text, "resources:", "app: {url: "+application.URL("/v1")+", headers: {x-key: "+appKey+"}}\nresources:", 1) + `
  thing:
    table: things
    account: account_id
    path: /things/${id}
    representation: {id: '${id}', name: '${name}', maker: '${maker}'}
    relations: {maker: {table: makers, foreign_key: account_id, columns: [name]}}
  empty: {table: empties, columns: all}
  named: {table: things, path: '/things/${name}', representation: {id: '${id}', size: '${int(name)}'}}
  gift:
    table: things
    account: account_id
    where: size < 100
    delete_when: secret_note == 'given'
    events: {gift.grown: 'old.pin != pin or size == 7'}
    columns: [id, name]
`
	defer r.start()()
	admin := r.admin()
	const same = "table: things\naccount: account_id\npath: /things/${id}\nrelations: {maker: {table: makers, foreign_key: account_id, columns: [name]}}\n"
	ask := func(resource string, q client.PreviewRequest) *client.ResourcePreview {
		t.Helper()
		v, err := admin.Preview(t.Context(), resource, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if all, _ := json.Marshal(v); slices.ContainsFunc([]string{"note-of", "19876543", "margin-of", appKey, "postgres://"}, func(s string) bool { return strings.Contains(string(all), s) }) {
			t.Errorf("%+v tells %s", q, all)
		}
		return v
	}
	data := func(b *client.PreviewBody) string {
		t.Helper()
		var body struct{ Data json.RawMessage }
		if b == nil || b.Body == nil || json.Unmarshal(b.Body, &body) != nil {
			t.Fatalf("no body: %+v", b)
		}
		return string(body.Data)
	}

	plain := ask("thing", client.PreviewRequest{ID: "1"})
	if got := data(plain.Now); got != `{"id":1,"name":"Ada","maker":{"name":"M"}}` || plain.Changed != nil || plain.ID != "1" {
		t.Errorf("%s %+v", got, plain)
	}
	if newest := ask("thing", client.PreviewRequest{Event: "thing.create"}); newest.ID != "3" || !strings.Contains(string(newest.Now.Body), `"thing.create"`) {
		t.Errorf("%+v %s", newest, newest.Now.Body)
	}
	if empty := ask("empty", client.PreviewRequest{}); empty.Now != nil || empty.ID != "" {
		t.Errorf("of no row: %+v", empty)
	}
	r.exec(`insert into empties values (9), (10)`)
	if highest := ask("empty", client.PreviewRequest{}); highest.ID != "10" {
		t.Errorf("the highest of 9 and 10 is %s", highest.ID)
	}

	// A change, and what it may see of the row.
	v := ask("thing", client.PreviewRequest{ID: "1", Mapping: same + "representation: {id: '${id}', title: '${name}', maker: '${maker}', note: '${secret_note}', pin: '${pin}'}\n"})
	if got := data(v.Changed); got != `{"id":1,"title":"Ada","maker":{"name":"M"},"note":"***","pin":null}` {
		t.Error(got)
	}
	if !slices.Equal(v.Masked, []string{"secret_note", "pin", "size"}) || len(v.Problems) != 0 {
		t.Errorf("masked %v, %v", v.Masked, v.Problems)
	}
	var diff strings.Builder
	for _, d := range v.Diff {
		fmt.Fprintf(&diff, "%s %s>%s; ", d.Path, d.Was.RawMessage, d.Is.RawMessage)
	}
	if diff.String() != `data.name "Ada">; data.note >"***"; data.pin >null; data.title >"Ada"; ` {
		t.Error(diff.String())
	}
	if v := ask("thing", client.PreviewRequest{ID: "1", Mapping: same + "where: name == 'Bob'\nrepresentation: {id: '${id}', name: '${name}', maker: '${maker}'}\n"}); len(v.Diff) != 0 || len(v.Changed.Notes) == 0 ||
		!strings.Contains(v.Changed.Notes[0], "where does not hold") {
		t.Errorf("where: %+v %+v", v.Changed, v.Diff)
	}

	// A column of which a condition alone makes something is seen by the conditions as they run, and by nothing that is changed.
	const gift = "table: things\naccount: account_id\nrepresentation: {id: '${id}', note: '${secret_note}', pin: '${pin}', size: '${size}'}\n"
	const guarded = "where: size < 100\ndelete_when: secret_note == 'given'\nevents: {gift.grown: 'old.pin != pin or size == 7'}\n"
	r.exec(`update things set secret_note = 'given' where id = 3; update things set size = 7 where id = 2`)
	for _, c := range []struct{ id, event, conditions, note string }{
		{"1", "update", guarded, "for the subscriptions of account"},
		{"3", "update", guarded, "delete_when holds for the row"},
		{"2", "grown", guarded, "for the subscriptions of account"},
		{"1", "grown", guarded, "its condition does not hold"},
		{"1", "update", "where: size == 1\n", "where does not hold"},
		{"1", "update", "where: size != 1\n", "for the subscriptions of account"},
		{"1", "update", guarded + "ignore_changes: [pin]\n", "for the subscriptions of account"},
		{"3", "update", strings.Replace(guarded, "'given'", "'g' + 'iven'", 1), "where does not hold"},
	} {
		v := ask("gift", client.PreviewRequest{ID: c.id, Event: c.event, Mapping: gift + c.conditions})
		if len(v.Problems) > 0 || !slices.Equal(v.Masked, []string{"secret_note", "pin", "size"}) {
			t.Fatalf("%+v: masked %v, %v", c, v.Masked, v.Problems)
		}
		if got := data(v.Changed); got != `{"id":`+c.id+`,"note":"***","pin":null,"size":null}` || !strings.Contains(strings.Join(v.Changed.Notes, "\n"), c.note) {
			t.Errorf("%+v: %s %q", c, got, v.Changed.Notes)
		}
	}
	r.exec(`update things set secret_note = 'note-of-cy' where id = 3; update things set size = 1 where id = 2`)

	// Mistakes, with their places.
	for _, c := range []struct{ mapping, want string }{
		{same + "representation:\n  id: ${id}\n  name: ${nam}\n", "7:11 "},
		{same + "columns: all\nwhere: name ==\n", "6:"},
		{same + "colums: all\n", "5:1 unknown key"},
		{"- a", "1:1 "},
		{same + "representation: {x: '${env:HOME}'}\n", "for the config file alone"},
		{same + "representation: {x: '${file:/etc/passwd}'}\n", "for the config file alone"},
		{strings.Replace(same, "table: things", "table: makers", 1) + "columns: all\n", "1:8 the table stays public.things here"},
		{strings.Replace(same, "table: things", "table: pg_catalog.pg_authid", 1) + "columns: all\n", "the table stays"},
		{strings.Replace(same, "/things/${id}", "/admin/secrets", 1) + "columns: all\n", "path stays as it is"},
		{same + "columns: all\nkey: [secret_note]\n", "key stays as it is"},
		{strings.Replace(same, "columns: [name]", "columns: [name, margin]", 1) + "representation: {m: '${maker}'}\n", "relations stay as they are"},
		{strings.Replace(same, "{maker:", "{other: {table: contacts, foreign_key: account_id, columns: all}, maker:", 1) + "columns: all\n", "relations stay as they are"},
		{same + "representation: {m: '${maker.margin}'}\n", ""},
	} {
		v := ask("thing", client.PreviewRequest{ID: "1", Mapping: c.mapping})
		var told strings.Builder
		for _, p := range v.Problems {
			fmt.Fprintf(&told, "%d:%d %s\n", p.Line, p.Column, p.What)
		}
		if told.Len() == 0 || !strings.Contains(told.String(), c.want) || v.Changed != nil || v.Now == nil {
			t.Errorf("%q: %s, not %s; %+v", c.mapping, told.String(), c.want, v.Changed)
		}
	}
	// What takes long, or grows, has its end.
	r.exec(`update things set name = repeat('ab', 1000) where id = 2`)
	slow := ""
	for i := range 15 {
		slow += fmt.Sprintf("  x%d: '${count(1..20000, name matches \"(a|b)*x$\")}'\n", i)
	}
	if v := ask("thing", client.PreviewRequest{ID: "2", Mapping: same + "representation:\n" + slow}); string(v.Now.Body) == "null" || string(v.Changed.Body) != "null" || len(v.Changed.Notes) != 1 ||
		!strings.Contains(v.Changed.Notes[0], "take too long to be tried here") {
		t.Errorf("%+v", v.Changed)
	}
	r.exec(`update things set name = 'Bob' where id = 2`)
	for _, expression := range []string{`len(map(1..100000, map(1..100000, #)))`, `repeat("x", 1000000000)`, strings.Repeat("-", 50_000) + "1"} {
		v := ask("thing", client.PreviewRequest{ID: "1", Mapping: same + "representation: {x: '${" + expression + "}'}\n"})
		if len(v.Problems) == 0 && (v.Changed == nil || string(v.Changed.Body) != "null" || len(v.Changed.Notes) == 0) {
			t.Errorf("%.40s: %+v", expression, v.Changed)
		}
	}

	status := func(err error, want int) {
		t.Helper()
		var p *client.Error
		if !errors.As(err, &p) || p.Status != want || strings.Contains(p.Detail, appKey) {
			t.Errorf("%v, not %d", err, want)
		}
	}
	for id, want := range map[string]int{"9": 404, "x": 422, "1,2": 422, "'; drop table things": 422} {
		_, err := admin.Preview(t.Context(), "thing", client.PreviewRequest{ID: id})
		status(err, want)
	}
	_, err := admin.Preview(t.Context(), "thing", client.PreviewRequest{ID: "1", Event: "truncate"})
	status(err, 422)
	_, err = admin.Preview(t.Context(), "nothing", client.PreviewRequest{})
	status(err, 404)

	// What the application says.
	all, err := admin.Compare(t.Context(), "thing", client.CompareRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if all.Equal || all.Rows != 2 || all.Different != 1 || len(all.Fields) != 1 || all.Fields[0].Path != "name" || string(all.Fields[0].Examples[0].API.RawMessage) != `"ADA"` || !slices.Equal(all.NotFound, []string{"3"}) || all.Stopped {
		t.Errorf("%+v", all)
	}
	one, err := admin.Compare(t.Context(), "thing", client.CompareRequest{IDs: []string{"2"}})
	if err != nil || !one.Equal || one.Rows != 1 {
		t.Errorf("%+v %v", one, err)
	}
	// As it goes: one row at least for each request, and the rest of it is the next.
	asked, rest := []string{}, client.CompareRequest{Within: "0s"}
	for {
		some, err := admin.Compare(t.Context(), "thing", rest)
		if err != nil {
			t.Fatal(err)
		}
		if some.Stopped != (len(some.Rest) > 0) || some.Stopped && some.Equal || some.Rows+len(some.NotFound) != 1 {
			t.Errorf("%+v", some)
		}
		asked = append(asked, fmt.Sprint(some.Rows, some.Different, len(some.NotFound), len(some.Rest)))
		if rest.IDs = some.Rest; len(rest.IDs) == 0 {
			break
		}
	}
	if !slices.Equal(asked, []string{"1 1 0 2", "1 0 0 1", "0 0 1 0"}) {
		t.Error(asked)
	}
	inside, err := admin.Compare(t.Context(), "thing", client.CompareRequest{IDs: []string{"2"}, At: "maker"})
	if err != nil || len(inside.Fields) != 3 {
		t.Errorf("%+v %v", inside, err)
	}
	_, err = admin.Compare(t.Context(), "thing", client.CompareRequest{IDs: []string{"2"}, At: "data.thing"})
	status(err, 422)
	// A row that has no body, or no address, is told, and does not keep the others.
	r.exec(`update things set name = '12' where id = 1; update things set name = null where id = 3`)
	odd, err := admin.Compare(t.Context(), "named", client.CompareRequest{IDs: []string{"2", "3", "1"}})
	if err != nil || odd.Rows != 1 || odd.Equal || len(odd.Failed) != 2 || !strings.Contains(odd.Failed[0].Error, "int") || !strings.Contains(odd.Failed[1].Error, "has no address") {
		t.Errorf("%+v %v", odd, err)
	}
	_, err = admin.Compare(t.Context(), "contact", client.CompareRequest{})
	status(err, 409)
	_, err = admin.Compare(t.Context(), "thing", client.CompareRequest{IDs: []string{"x"}})
	status(err, 422)
}
