package app_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// says fails unless the finding has the severity and the texts.
func says(t *testing.T, f *client.StatusFinding, severity, what, so, mend string) {
	t.Helper()
	if f == nil {
		t.Errorf("there is no finding that says %q", what)
		return
	}
	if f.Severity != severity || !strings.Contains(f.What, what) || !strings.Contains(f.So, so) || !strings.Contains(f.Mend, mend) {
		t.Errorf("the finding is %s\n  %s\n  so: %s\n  mend: %s\nwant %s, %q, %q, %q", f.Severity, f.What, f.So, f.Mend, severity, what, so, mend)
	}
}

// faulty waits for a finding.
func (r *rig) faulty(code string) *client.StatusFinding {
	r.t.Helper()
	return finding(r.status(code, func(s *client.Status) bool { return finding(s, code) != nil }), code)
}

// well waits until there is no finding with the code any more.
func (r *rig) well(code string) {
	r.t.Helper()
	r.status("no "+code, func(s *client.Status) bool { return finding(s, code) == nil })
}

// TestFaultsOfTargets: what is wrong with a target, and with the store, is understood from the status alone, and so is that it is well
// again.
func TestFaultsOfTargets(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	r := newRig(t, func(q hooktest.Request) hooktest.Answer {
		switch {
		case q.Path == "/gone":
			return hooktest.Status(http.StatusGone)
		case mended.Load():
		case q.Path == "/down":
			return hooktest.Status(http.StatusServiceUnavailable)
		case q.Path == "/login":
			return hooktest.Status(http.StatusUnauthorized)
		case q.Path == "/slow":
			return hooktest.Hang()
		}
		return hooktest.OK()
	})
	// What fails is tried for as long as the test may take: a delivery that is given up would not be waiting any more.
	r.text = strings.Replace(r.text, "2s, 2s, 2s, 2s]", strings.Repeat("4s, ", 15)+"4s]", 1)
	r.start()
	for _, path := range []string{"/well", "/down", "/login", "/slow", "/gone"} {
		r.subscribe(path)
	}
	r.insertContact(1, 1)
	s := r.status("what all targets answer", func(s *client.Status) bool {
		return len(s.Failing) == 3 && finding(s, "target_gone") != nil && !slices.ContainsFunc(s.Failing, func(x client.StatusFailing) bool {
			return x.Error == "" || x.Waiting == nil || *x.Waiting != 1
		})
	})
	told := ""
	for _, f := range s.Findings {
		if f.Code == "target_failing" {
			told += f.Severity + " " + f.What + " / " + f.So + " / " + f.Mend + "\n"
		}
	}
	for _, want := range []string{
		"it answers 503 / 1 delivery waits for it; it is tried again for days, and delays nobody else; after 5 days it is disabled / tell its owner",
		"it answers 401 / ", "/ the login of the subscription's request", "it does not answer in time / ", "or raise the subscription's delivery.timeout",
		"rowhook delivery list " + s.Failing[0].ID, "127.0.0.1 takes nothing from " + s.Failing[2].ID,
	} {
		if !strings.Contains(told, want) {
			t.Errorf("nothing says %q in\n%s", want, told)
		}
	}
	says(t, finding(s, "target_gone"), client.SeverityInfo, "at 127.0.0.1 has answered 410: the subscription was deleted", "nothing is sent to it any more", "subscribe again")
	if s.Summary == "" || s.Worst() != client.SeverityWarning || s.Subscriptions.Active != 4 || s.Subscriptions.Failing != 3 || s.Deliveries.Due+s.Deliveries.InMemory == 0 {
		t.Errorf("%+v", s)
	}
	mended.Store(true)
	r.well("target_failing")

	// A disk that is full: the server's own answer to what is written. The rest of the store is read as ever.
	r.exec(`create function rowhook.full_disk() returns trigger language plpgsql as $$
		begin raise exception 'could not extend file "base/5/16384": No space left on device' using errcode = '53100'; end $$`)
	r.exec(`create trigger full_disk before insert on rowhook.event for each row execute function rowhook.full_disk()`)
	r.insertContact(2, 1)
	says(t, r.faulty("disk_full"), client.SeverityError, "No space left on device", "nothing is lost, and it goes on by itself", "make room on the disk")
	r.exec(`drop trigger full_disk on rowhook.event`)
	r.well("disk_full")
	r.status("nothing but the target that is gone", func(s *client.Status) bool { return codes(s) == "info target_gone" })
}

// TestFaultsOfTables: a table that is not published, a column that is gone and an expression that fails each have their finding, whose
// mend mends it.
func TestFaultsOfTables(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text = strings.Replace(r.text, "price: $${5}", `price: '${int(street)}'`, 1)
	r.start()
	r.subscribe("/hooks")

	// An expression that fails on a value.
	r.exec("insert into contacts (id, account_id, street) values (7, 1, 'no number')")
	f := r.faulty("dead_letters")
	says(t, f, client.SeverityWarning, "1 dead letter is open; the newest is of contact: ", "these changes were not sent to anybody", "rowhook dead-letter replay --resource contact")
	if !strings.Contains(f.What, "price") || strings.Contains(f.What, "no number") {
		t.Errorf("it says %q, which is to name the member and not the value", f.What)
	}
	r.exec("update contacts set street = '12' where id = 7")
	if _, err := r.admin().ReplayDeadLetters(t.Context(), client.DeadLetterReplay{Resource: "contact"}); err != nil {
		t.Fatal(err)
	}
	r.well("dead_letters")

	// An emptied publication.
	r.exec("alter publication rowhook drop table contacts, notes")
	f = r.faulty("tables_unpublished")
	says(t, f, client.SeverityError, "does not have public.contacts, public.notes any more", "are not sent", "ALTER PUBLICATION")
	sql, _, _ := strings.Cut(f.Mend, ";")
	r.exec(sql)
	says(t, finding(r.status("a gap that has ended", func(s *client.Status) bool {
		f := finding(s, "tables_unpublished")
		return f != nil && strings.Contains(f.What, "for some time")
	}), "tables_unpublished"), client.SeverityError, "changes there were not sent", "", "rowhook resume --accept-gap")
	if _, err := r.admin().Resume(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	r.well("tables_unpublished")

	// A dropped column.
	r.exec("alter table contacts drop column email")
	r.exec("insert into contacts (id, account_id, street) values (1, 1, '3')")
	says(t, r.faulty("resource_unfit"), client.SeverityError, "the mapping of contact does not fit the table public.contacts any more: config.yaml:", "dead letters", "rowhook dead-letter replay --resource contact")
	s := r.status("a dead letter", func(s *client.Status) bool { return s.DeadLetters.Open > 0 })
	says(t, finding(s, "dead_letters"), client.SeverityWarning, "of contact: ", "not sent", "rowhook dead-letter list")
	if s.Resources[0].Fit || s.Resources[0].Reason == "" || !s.Resources[1].Fit {
		t.Errorf("the resources are %+v", s.Resources)
	}
	r.exec("alter table contacts add column email text")
	r.exec("insert into contacts (id, account_id, street) values (2, 1, '3')")
	r.well("resource_unfit")
	if _, err := r.admin().ReplayDeadLetters(t.Context(), client.DeadLetterReplay{Resource: "contact"}); err != nil {
		t.Fatal(err)
	}
	r.well("dead_letters")
}

// TestFaultsOfSource: a slot that is gone, and a database that is another one's copy, hold rowhook, which says so while it waits.
func TestFaultsOfSource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/hooks")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, func(all []hooktest.Request) bool { return len(all) == 1 })
	stop()

	// A clone: the store says that it was made elsewhere.
	r.exec("update rowhook.checkpoint set system_id = '7000000000000000001'")
	_, _, stop = r.begin()
	says(t, r.faulty("other_database"), client.SeverityError, "belongs to another source", "no hook of the original is sent twice", "give it a store and an environment of its own")
	if s := r.status("held", func(s *client.Status) bool { return s.State == client.StateHeld }); s.Ready || s.Database == nil {
		t.Errorf("held: ready %v, database %+v", s.Ready, s.Database)
	}
	stop()
	r.exec("update rowhook.checkpoint set system_id = (select system_identifier::text from pg_control_system())")

	// A slot that is gone.
	r.exec("select pg_drop_replication_slot($1)", r.slot)
	_, _, stop = r.begin()
	defer stop()
	says(t, r.faulty("slot_missing"), client.SeverityError, "is gone", "nothing is sent until you decide", "rowhook resume --accept-gap")
	if _, err := r.admin().Resume(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	r.well("slot_missing")
	r.status("replicating", func(s *client.Status) bool { return s.State == client.StateReplicating })
}
