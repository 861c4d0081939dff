package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestReplayOfARowThatMoved: each account is told its own side of it, also by a replay, with what the application said of
// the transaction.
func TestReplayOfARowThatMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`insert into contacts (id, account_id, email, first_name) values (1, 1, '7', 'Ada'), (2, 1, '7', 'Bo')`)
	r.replace("${email}", "${int(email)}")
	r.start()
	r.subscribe("/admin", "contact.*")
	for path, token := range map[string]string{"/one": "acme-token-0123456789", "/two": "other-token-012345678"} {
		if _, err := r.client(token).Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL(path)}); err != nil {
			t.Fatal(err)
		}
	}
	r.exec(`update contacts set email = 'x' where id = 1`)
	r.exec(`begin`)
	r.exec(`select pg_logical_emit_message(true, 'rowhook', '{"source": "app"}')`)
	r.exec(`update contacts set account_id = 2 where id = 1`)
	r.exec(`commit`)
	r.buried(1 + 3)
	if n := len(r.recv.Requests()); n != 0 {
		t.Fatalf("%d requests before the replay", n)
	}
	r.replace("${int(email)}", "${email}")
	r.mustReload()
	for id, l := range r.replayed(client.DeadLetterReplay{All: true}) {
		if l.State != client.DeadLetterClosed {
			t.Errorf("%s is %+v", id, l)
		}
	}
	// The row's first update is of a row that is account 2's by now.
	r.exec(`update contacts set last_name = 'end' where id = 2`)
	requests := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["contact/2"]) == 2 && len(q) >= 7 })
	var got []string
	for _, q := range requests {
		if q.Instance() == "contact/2" {
			continue
		}
		said := ""
		if strings.Contains(string(q.Body), `"context":{"source":"app"}`) {
			said = " said"
		}
		got = append(got, fmt.Sprint(q.Path, " ", strings.TrimPrefix(q.Type, "contact."), said))
	}
	slices.Sort(got)
	want := "/admin update, /admin update said, /one delete said, /two create said, /two update"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}
