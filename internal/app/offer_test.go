package app_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestDeletesWithoutTheAccountAreNotOfferedToAccounts takes the account out of the replica identity: the admin gets
// deletes, with the key alone; accounts are told that they cannot, and the operator how they could.
func TestDeletesWithoutTheAccountAreNotOfferedToAccounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`alter table contacts replica identity default`)
	r.start()
	acme := r.client("acme-token-0123456789")
	_, err := acme.Create(t.Context(), &client.Subscription{Events: []string{"contact.delete"}, TargetURL: r.recv.URL("/acme")})
	var told *client.Error
	if !errors.As(err, &told) || told.Status != 422 || strings.Contains(told.Error(), "ALTER") {
		t.Errorf("got %v", err)
	}
	if log := r.log.String(); !strings.Contains(log, "REPLICA IDENTITY USING INDEX") || !strings.Contains(log, "contact.delete") {
		t.Error("the log does not name the mend")
	}
	if _, err := acme.Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/acme")}); err != nil {
		t.Fatal(err)
	}
	r.subscribe("/admin", "contact.delete")
	r.insertContact(7, 1)
	r.exec(`delete from contacts where id = 7`)
	r.insertContact(8, 1)
	got := hooktest.ByPath(r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		p := hooktest.ByPath(q)
		return len(p["/admin"]) == 1 && len(p["/acme"]) == 2
	}))
	if types(got["/acme"]) != "contact.create contact.create" {
		t.Errorf("the account got %s", types(got["/acme"]))
	}
	// What is not known is left out, never null, and with it what holds nothing else; what is made of the key stays.
	want := `{"id":7,"type":"contact","price":"${5}","url":"https://api.example.com/contacts/7"}`
	if data := string(got["/admin"][0].Data()); data != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
}
