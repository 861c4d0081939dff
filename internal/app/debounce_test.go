package app_test

import (
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestTransactionsOfAWindowAreOneHook: what several transactions do to an instance is told once, also to who reads them late.
func TestTransactionsOfAWindowAreOneHook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	s := r.subscribe("/", "contact.*", "note.*")
	r.insertContact(1, 1)
	r.insertContact(2, 1)
	r.exec(`insert into notes values (1, 'a')`)
	r.recv.Wait(t, 3, patience)
	r.delivered()
	r.recv.Forget()
	if _, err := r.admin().Update(t.Context(), s.ID, client.Patch{"delivery": client.Delivery{Debounce: "4s"}}); err != nil {
		t.Fatal(err)
	}
	stop()
	// All of it is read in one go, so that no window ends in between.
	for _, sql := range []string{
		`update contacts set street = 'Elm' where id = 1`,
		`update contacts set city = 'Oslo' where id = 1`,
		`update contacts set email = 'a@example.com' where id = 1`,
		`update contacts set email = null where id = 1`,
		`update contacts set tags = '{a}' where id = 2`,
		`update contacts set tags = null where id = 2`,
		`update notes set body = 'b' where id = 1`,
		`delete from notes where id = 1`,
		`insert into notes values (2, 'a')`,
		`update notes set body = 'c' where id = 2`,
		`insert into notes values (3, 'a')`,
		`update notes set body = 'b' where id = 3`,
		`delete from notes where id = 3`,
	} {
		r.exec(sql)
	}
	r.start()
	r.recv.Wait(t, 3, patience)
	r.delivered()
	by := hooktest.ByInstance(r.recv.Requests())
	for instance, want := range map[string]string{"contact/1": "contact.update", "contact/2": "", "note/1": "note.delete", "note/2": "note.create", "note/3": ""} {
		if got := types(by[instance]); got != want {
			t.Errorf("%s: got %q, want %q", instance, got, want)
		}
	}
	if q := by["contact/1"]; len(q) == 1 {
		if got := string(q[0].Message().Previous); got != `{"address":{"street":null,"city":null}}` {
			t.Errorf("contact/1 has previous %s", got)
		}
	}
	if n := r.metric(`rowhook_deliveries_dropped_total{reason="debounced"}`); n != 10 {
		t.Errorf("%v deliveries were merged into others, want 10", n)
	}
	if got := r.text1(`select count(*)::text from rowhook.delivery where dropped = 'debounced'`); got != "10" {
		t.Errorf("%s deliveries are shown as merged, want 10", got)
	}
}
