package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
)

// TestAllEventsAreKept: with retention.events: all, events are stored that nobody wants, once, also when the process that reads
// them is killed; and no hook is made of them.
func TestAllEventsAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text += "\nretention: {events: all}\n"
	p := r.spawn()
	if _, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"contact.update"}, TargetURL: r.recv.URL("/"), Filter: `data.id > 2`}); err != nil {
		t.Fatal(err)
	}
	r.insertContact(1, 1)
	r.insertContact(2, 2)
	r.exec(`update contacts set first_name = 'B' where id <= 2`) // the filter lets none through
	kill(t, p)
	r.exec(`insert into notes values (7, 'x')`)
	r.spawn()
	r.exec(`update contacts set first_name = 'C' where id = 1`)
	r.exec(`delete from contacts where id = 2`)
	list := func(c *client.Client) string {
		page, err := c.Events(t.Context(), client.EventQuery{After: "oldest"})
		if isStatus(err, http.StatusServiceUnavailable) {
			return err.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range feedEvents(t, page) {
			all = append(all, fmt.Sprint(e.Type, " ", e.Data.ID))
		}
		return strings.Join(all, ", ")
	}
	want := "contact.create 1, contact.create 2, contact.update 1, contact.update 2, note.create 7, contact.update 1, contact.delete 2"
	eventually(t, "all events are there", func() bool { return strings.Count(list(r.admin()), ",") >= strings.Count(want, ",") })
	if got := list(r.admin()); got != want {
		t.Errorf("the admin has %s\nwant %s", got, want)
	}
	if got, want := list(r.client("acme-token-0123456789")), "contact.create 1, contact.update 1, contact.update 1"; got != want {
		t.Errorf("the account has %s\nwant %s", got, want)
	}
	if got := r.recv.Requests(); len(got) > 0 {
		t.Errorf("%d hooks were sent", len(got))
	}
}
