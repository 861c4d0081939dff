package app_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestUpdatesTellWhatWasBefore where the log tells it, net over the transaction, the same from the store as from memory.
func TestUpdatesTellWhatWasBefore(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 5000)
	// Every event is sent from memory, refused, and read from the store.
	r := newRig(t, hooktest.PerID(func() hooktest.Script { return hooktest.Sequence(hooktest.Status(503), hooktest.OK()) }))
	r.exec(`alter table contacts alter prefs set storage external`)
	r.start()
	r.subscribe("/", "contact.update", "note.update")
	r.exec(`insert into contacts (id, account_id, first_name, last_name, email, city, tags, prefs)
		select n, 1, 'Ada', 'L', 'old@example.com', 'Rome', '{a}', jsonb_build_object('text', $1::text) from generate_series(1, 3) n`, large)
	r.exec(`insert into notes values (4, 'a')`)
	r.transaction(
		`update contacts set email = 'between@example.com', city = 'Oslo' where id = 1`,
		`update contacts set email = 'new@example.com', city = 'Rome', tags = '{a,b}' where id = 1`,
		`update contacts set account_id = 2, email = null where id = 2`,
		`update contacts set street = 'Elm', first_name = 'Eve' where id = 3`,
		`update notes set body = 'b' where id = 4`)
	want := map[string]string{
		"contact/1": `{"email":"old@example.com","tags":["a"]}`, // the city has come back, and the large value was not sent
		"contact/2": "",                                         // what it was is another account's
		"contact/3": `{"name":"Ada L","greeting":"Dear Ada!","address":{"street":null}}`,
		"note/4":    "", // the log does not tell it
	}
	by := hooktest.ByInstance(r.recv.Wait(t, 2*len(want), patience))
	for instance, previous := range want {
		q := by[instance]
		if len(q) != 2 {
			t.Fatalf("%s came %d times, want twice", instance, len(q))
		}
		if got := string(q[0].Message().Previous); got != previous || bytes.Contains(q[0].Body, []byte(`"previous"`)) != (previous != "") {
			t.Errorf("%s has previous %s, want %s", instance, got, previous)
		}
		if !bytes.Equal(q[0].Body, q[1].Body) {
			short := strings.NewReplacer(large, "…")
			t.Errorf("%s from memory:\n%s\nfrom the store:\n%s", instance, short.Replace(string(q[0].Body)), short.Replace(string(q[1].Body)))
		}
	}
}
