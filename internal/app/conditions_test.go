package app_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

const leadsConfig = `
  lead:
    table: leads
    account: account_id
    where: kind == "person"
    delete_when: deleted_at != null
    ignore_changes: [seen]
    events: {lead.won: 'stage == 2 && old.stage != 2'}
    json: {preset: rails}
    representation: {id: "${id}", stage: '${ {1: "open", 2: "won"}[stage] }', amount: "${amount}", seen: "${seen}"}
`

const leadsTable = `create table leads (id int primary key, account_id int not null, kind text not null default 'person', stage int not null default 1,
	amount numeric(10,2) not null default 1.50, seen int not null default 0, deleted_at timestamptz)`

// TestConditionsOfAResource goes through what where, delete_when, ignore_changes and events make of ordinary statements.
func TestConditionsOfAResource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text += leadsConfig
	r.exec(leadsTable)
	r.exec(`alter table leads replica identity full`)
	r.start()
	r.subscribe("/leads", "lead.*")
	for _, sql := range []string{
		`insert into leads values (1, 1, 'person'), (2, 1, 'robot')`,
		`update leads set seen = seen + 1`,                // nothing: only what is ignored
		`update leads set stage = 2`,                      // update and won; the robot is none
		`update leads set amount = 2`,                     // update, not won again
		`update leads set kind = 'person'`,                // the robot is created
		`update leads set deleted_at = now()`,             // both are deleted
		`update leads set amount = 3`,                     // nothing
		`update leads set deleted_at = null where id = 1`, // created
		`delete from leads`,                               // one was there
		`insert into leads values (3, 1)`,
	} {
		r.exec(sql)
	}
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		last := slices.ContainsFunc(q, func(q hooktest.Request) bool {
			return string(q.Data()) == `{"id":3,"stage":"open","amount":"1.5","seen":0}`
		})
		return last && len(q) >= 10
	})
	byInstance := map[string][]string{}
	for _, q := range got {
		byInstance[q.Instance()] = append(byInstance[q.Instance()], q.Type)
	}
	if have, want := strings.Join(byInstance["lead/1"], " "), "lead.create lead.update lead.won lead.update lead.delete lead.create lead.delete"; have != want {
		t.Errorf("lead 1: got  %s\nwant %s", have, want)
	}
	// The robot was won before it was a lead: its creation says so, and no event of its own.
	if have, want := strings.Join(byInstance["lead/2"], " "), "lead.create lead.delete"; have != want {
		t.Errorf("lead 2: got  %s\nwant %s", have, want)
	}
}

// TestWhatNeedsTheOldRowIsNotOffered leaves the table its default identity.
func TestWhatNeedsTheOldRowIsNotOffered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text += leadsConfig
	r.exec(leadsTable)
	r.start()
	for _, event := range []string{"lead.delete", "lead.won"} {
		_, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{event}, TargetURL: r.recv.URL("/x")})
		var told *client.Error
		if !errors.As(err, &told) || told.Status != 422 || !strings.Contains(told.Error(), "old row") {
			t.Errorf("%s: got %v", event, err)
		}
		if log := r.log.String(); !strings.Contains(log, "event="+event+" ") || !strings.Contains(log, "REPLICA IDENTITY FULL") {
			t.Errorf("the log does not name the mend of %s", event)
		}
	}
	if !strings.Contains(r.log.String(), "does not carry the old row, which ignore_changes needs; every update of a row is lead.update") {
		t.Error("the log does not say that ignore_changes needs the old row")
	}
	r.subscribe("/leads", "*")
	r.exec(`insert into leads values (1, 1)`)
	r.exec(`update leads set stage = 2`)
	r.exec(`update leads set deleted_at = now()`)
	r.exec(`delete from leads`)
	r.exec(`insert into leads values (2, 1)`)
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return len(q) >= 3 && slices.ContainsFunc(q, func(q hooktest.Request) bool { return q.Instance() == "lead/2" })
	})
	got = slices.DeleteFunc(got, func(q hooktest.Request) bool { return q.Instance() == "lead/2" })
	if have := types(got); have != "lead.create lead.update" {
		t.Errorf("got %s", have)
	}
}
