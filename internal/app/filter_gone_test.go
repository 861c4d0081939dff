package app_test

import (
	"testing"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestAFilterThatIsTakenAwayAfterTheEvent, in the same batch, was there when the event was committed: it is asked when the event is
// complete, also where no subscription has a filter by then.
func TestAFilterThatIsTakenAwayAfterTheEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(personSchema)
	r.text += personConfig
	stop := r.start()
	s := r.subscribeFiltered("/f", `data.firm.name == "nobody"`, "person.create")
	r.exec(`insert into people (id, firm_id) values (1, 7)`)
	r.subscribe("/all", "person.create")
	r.exec(`insert into people (id, firm_id) values (2, 7)`)
	r.recv.WaitFor(t, arrived("/all", "person/2", 1))
	stop()
	// Many, so that a batch holds several transactions.
	r.exec(`do $$ begin for i in 1000..3000 loop insert into people (id, firm_id) values (i, 7); commit; end loop; end $$`)
	st, err := store.Open(t.Context(), store.Config{URL: secret.String(r.url), Schema: "rowhook"})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Update(t.Context(), subscriptions.Scope{Admin: true}, s.ID, func(x *subscriptions.Subscription) error { x.Filter = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	r.exec(`insert into people (id, firm_id) values (4, 7)`)
	defer r.start()()
	r.wantPaths(map[string]string{"/f": "create 4"})
}
