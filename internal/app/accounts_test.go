package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestNoHookCrossesAccounts does what TestNoEventCrossesAccounts does to real tables, and reads every body that arrives. Part
// of the log is read late, when what is read again from the tables has changed hands.
func TestNoHookCrossesAccounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, table := range []string{"t_full", "t_index", "t_plain"} {
		r.exec(`create table ` + table + ` (id text primary key, account text, kind text, seen text, a text, big text);
			alter table ` + table + ` alter big set storage external`)
	}
	r.exec(`alter table t_full replica identity full;
		alter table t_index alter account set not null;
		create unique index t_index_identity on t_index (id, account);
		alter table t_index replica identity using index t_index_identity`)
	_, resources, _ := strings.Cut(accountsConfig, "resources:\n")
	// Rows of a table that others' rows are in too; the account is part of the join.
	resources = strings.Replace(resources, `both: "`, `peers: "${peers}", both: "`, 1) // in the first resource
	resources = strings.Replace(resources, "    where:", "    relations: {peers: {table: t_index, many: true, join: {account: account}, representation: '${a}'}}\n    where:", 1)
	r.text += resources
	m, _ := newAccountsModel(t, rand.New(rand.NewPCG(5, 13)))
	stop := r.start()
	subs := map[string]*subscriptions.Subscription{}
	add := func(account, instance string, events ...string) {
		t.Helper()
		path := fmt.Sprint("/", len(subs))
		s := &client.Subscription{Events: events, TargetURL: r.recv.URL(path)}
		if instance != "" {
			s.ResourceID = &instance
		}
		if account != "" {
			s.Account = &account
		}
		if _, err := r.admin().Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		subs[path] = &subscriptions.Subscription{Account: account, Admin: account == "", ResourceID: instance, Events: events}
	}
	add("", "", "*")
	add("", "3", "full.*")
	for _, account := range hostileAccounts {
		if account == "" || account == "*" || len(account) > 200 {
			continue // nobody can have these
		}
		add(account, "", "*")
	}
	add("1", "2", "full.*", "index.delete")
	add("org-1", "", "expr.*")
	add("%", "", "*")
	for n := range 240 {
		if n == 80 {
			stop()
		}
		if n == 160 {
			r.start()
		}
		m.sql = m.sql[:0]
		for table := range m.rows {
			m.begin(table)
		}
		for range 1 + m.rng.IntN(1+m.rng.IntN(8)) {
			m.step()
		}
		for table := range m.rows {
			m.settle(table)
		}
		r.transaction(m.sql...)
	}
	r.exec(`insert into notes values (1, 'last')`)
	r.typesOf("note/1")
	r.becomes("nothing is due", `select not exists (select from rowhook.due)`)
	got := map[string][]string{}
	for _, q := range r.recv.Requests() {
		resource, _, _ := strings.Cut(q.Type, ".")
		if resource == "note" {
			continue
		}
		_, instance, _ := strings.Cut(q.Instance(), "/")
		got[q.Path] = append(got[q.Path], q.Type+" "+instance)
		s := subs[q.Path]
		if s.Admin {
			continue
		}
		for _, mark := range marks.FindAllString(string(q.Body), -1) {
			if !m.owned[[2]string{resource, s.Account}][mark] && !(resource == "full" && m.owned[[2]string{"index", s.Account}][mark]) {
				t.Errorf("%s shows %.20q what a row of another account had: %s in %.300s", q.Type, s.Account, mark, q.Body)
			}
		}
	}
	for path, s := range subs {
		have, want := m.compared(s, got[path])
		if strings.Join(have, "\n") != strings.Join(want, "\n") {
			t.Errorf("%.20q (admin %s) of %v %s\ngot  %q\nwant %q", s.Account, strconv.FormatBool(s.Admin), s.Events, s.ResourceID, have, want)
		}
		if len(want) == 0 && s.Account != "%" {
			t.Errorf("%.20q of %v has nothing to get", s.Account, s.Events)
		}
	}
	t.Logf("%d hooks", len(r.recv.Requests()))
}

// TestRelatedRowsOfAnotherAccountAreLeftOut holds the stream while a row goes to another account, which gives it rows of its
// own: these are not for the one before.
func TestRelatedRowsOfAnotherAccountAreLeftOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(personSchema)
	r.text += personConfig
	stop := r.start()
	if _, err := r.client("acme-token-0123456789").Create(t.Context(), &client.Subscription{Events: []string{"person.*"}, TargetURL: r.recv.URL("/")}); err != nil {
		t.Fatal(err)
	}
	stop()
	r.exec(`insert into people (id, name) values (1, 'Ada'), (2, 'Bo')`)
	r.exec(`update people set account_id = 2 where id = 1`)
	r.exec(`insert into person_tags values (1, 1, 1), (2, 2, 1)`)
	r.start()
	got := hooktest.ByInstance(r.recv.Wait(t, 2, patience))
	for instance, want := range map[string]string{
		"person/1": `{"type":"person.create","data":{"id":1,"name":"Ada"},"partial":["firm","country","tags","tag_names","lines"]}`,
		"person/2": `{"type":"person.create","data":{"id":2,"name":"Bo","firm":null,"country":"none","tags":[{"position":1,"tag":{"name":"new"}}],"tag_names":"new","lines":[]},"partial":null}`,
	} {
		if len(got[instance]) != 1 {
			t.Fatalf("%s came %d times", instance, len(got[instance]))
		}
		m := got[instance][0].Message()
		partial, err := json.Marshal(m.Partial)
		if err != nil {
			t.Fatal(err)
		}
		if have := fmt.Sprintf(`{"type":"%s","data":%s,"partial":%s}`, m.Type, m.Data, partial); have != want {
			t.Errorf("got  %s\nwant %s", have, want)
		}
	}
}
