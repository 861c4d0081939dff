package app_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestToldMendsWork runs the SQL that the log tells, as it tells it, and starts again: what was not offered is, and comes.
func TestToldMendsWork(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create type state as enum ('open', 'won');
		create table one (id int primary key, account_id int);
		create table other (id int primary key, account_id int not null);
		create table "we""ird 'T" (id int, "K;y" text, "acc ount" text not null, state state not null default 'open', primary key (id, "K;y"));
		create table soft (id int primary key, account_id int not null, deleted_at timestamptz);
		create table part (id int primary key, account_id int not null) partition by range (id);
		create table part_low partition of part for values from (0) to (100);
		create table part_high partition of part for values from (100) to (200);
		alter table part replica identity full;
		alter table part_low replica identity full;
		create table changed (id int primary key, account_id int not null, kind text not null default 'x');
		create unique index changed_rowhook_identity on changed (id, account_id);
		alter table changed replica identity using index changed_rowhook_identity`)
	r.text += `
  one: {table: one, account: account_id, columns: all}
  other: {table: other, account: account_id, columns: all}
  weird: {table: '"public"."we""ird ''T"', account: '$env["acc ount"]', columns: [id]}
  winner: {table: '"public"."we""ird ''T"', account: '$env["acc ount"]', columns: [id], where: state == "won"}
  soft: {table: soft, account: account_id, columns: all, delete_when: deleted_at != null}
  part: {table: part, account: account_id, columns: all}
  changed: {table: changed, account: account_id, columns: all, where: kind == "x"}
`
	events := []string{"one.delete", "other.delete", "weird.delete", "winner.delete", "soft.delete", "part.delete", "changed.delete"}
	stop := r.start()
	acme := r.client("acme-token-0123456789")
	for _, event := range events {
		if _, err := acme.Create(t.Context(), &client.Subscription{Events: []string{event}, TargetURL: r.recv.URL("/")}); err == nil {
			t.Errorf("%s is offered", event)
		}
	}
	// A partition that logs less than its table: what it does not log is left out, never null.
	r.subscribe("/part", "part.*")
	r.exec(`insert into part values (150, 1)`)
	r.transaction(`update part set id = 151 where id = 150`, `update part set account_id = 2`)
	r.exec(`delete from part`)
	var lines []string
	for _, q := range r.recv.Wait(t, 4, patience) {
		lines = append(lines, q.Type+" "+string(q.Data()))
	}
	slices.Sort(lines)
	if want := []string{`part.create {"id":150,"account_id":1}`, `part.create {"id":151,"account_id":2}`, `part.delete {"id":150}`, `part.delete {"id":151}`}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	stop()
	r.recv.Forget()
	// One mend for a table, whatever lacks it.
	mends := map[string]bool{}
	for _, found := range regexp.MustCompile(`reason=("a (?:[^"\\]|\\.)*")`).FindAllStringSubmatch(r.log.String(), -1) {
		reason, err := strconv.Unquote(found[1])
		if err != nil {
			t.Fatal(err)
		}
		_, mend, ok := strings.Cut(reason, "Mend: ")
		if !ok {
			t.Errorf("no mend in %s", reason)
		}
		mends[mend] = true
	}
	if len(mends) != 6 {
		t.Errorf("%d mends of 6 tables: %v", len(mends), mends)
	}
	other := regexp.MustCompile(`; or |\); or, if account_id is never null, `)
	for mend := range mends {
		ways := other.Split(mend, -1)
		first := ways[0]
		if strings.Contains(mend, `"other"`) || strings.Contains(mend, `"one"`) {
			first = ways[1]
		}
		first, _, _ = strings.Cut(first, " (which")
		statements := []string{first}
		if !strings.HasPrefix(first, "DO ") {
			statements = strings.SplitAfter(first, "; ")
		}
		for _, statement := range statements {
			t.Log(statement)
			r.exec(statement)
		}
	}
	r.start()
	acme = r.client("acme-token-0123456789")
	for _, event := range events {
		if _, err := acme.Create(t.Context(), &client.Subscription{Events: []string{event}, TargetURL: r.recv.URL("/acme")}); err != nil {
			t.Errorf("%s after its mend: %v", event, err)
		}
	}
	for _, table := range []string{"one", "other", "soft", "part", "changed"} {
		r.exec(`insert into ` + table + ` (id, account_id) values (1, 1), (2, 2)`)
	}
	r.exec(`insert into "we""ird 'T" values (1, 'k', '1', 'won'), (2, 'k', '2', 'won')`)
	r.exec(`insert into part values (101, 1)`)
	for _, sql := range []string{`delete from one`, `delete from other`, `delete from "we""ird 'T"`, `update soft set deleted_at = now()`, `delete from part`, `update changed set kind = 'y'`} {
		r.exec(sql)
	}
	var got []hooktest.Request
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		got = hooktest.ByPath(q)["/acme"]
		return len(got) >= 8
	})
	var have []string
	for _, q := range got {
		have = append(have, q.Instance())
	}
	slices.Sort(have)
	if want := "changed/1 one/1 other/1 part/1 part/101 soft/1 weird/1 winner/1"; strings.Join(have, " ") != want {
		t.Errorf("got %s, want %s", have, want)
	}
}
