package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// letters are the dead letters in the order of the log.
func (r *rig) letters(f client.DeadLetterFilter) []*client.DeadLetter {
	r.t.Helper()
	var all []*client.DeadLetter
	for l, err := range r.admin().DeadLetters(r.t.Context(), f) {
		if err != nil {
			r.t.Fatal(err)
		}
		all = append([]*client.DeadLetter{l}, all...)
	}
	return all
}

// buried waits for n open dead letters.
func (r *rig) buried(n int) []*client.DeadLetter {
	r.t.Helper()
	var all []*client.DeadLetter
	eventually(r.t, fmt.Sprint(n, " dead letters are open"), func() bool {
		all = r.letters(client.DeadLetterFilter{State: client.DeadLetterOpen})
		return len(all) == n
	})
	return all
}

// replayed asks for the replay of all, and returns them when none is being replayed any more.
func (r *rig) replayed(want client.DeadLetterReplay) map[string]*client.DeadLetter {
	r.t.Helper()
	if _, err := r.admin().ReplayDeadLetters(r.t.Context(), want); err != nil {
		r.t.Fatal(err)
	}
	return r.settledLetters()
}

func (r *rig) settledLetters() map[string]*client.DeadLetter {
	r.t.Helper()
	byID := map[string]*client.DeadLetter{}
	eventually(r.t, "no dead letter is being replayed", func() bool {
		for _, l := range r.letters(client.DeadLetterFilter{}) {
			if l.RequestedAt != nil {
				return false
			}
			byID[l.ID] = l
		}
		return true
	})
	return byID
}

func statusOf(err error) int {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// TestDeadLettersAreReplayed: what could not be mapped is seen by the admin alone, stays open as long as it cannot be
// mapped, and comes with the state of then, the id and the position that it would have had, once the config is mended.
func TestDeadLettersAreReplayed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const bad = "${int(email)}"
	r.replace("${email}", bad)
	r.start()
	r.subscribe("/all", "contact.*")
	r.subscribe("/creates", "contact.create")
	for _, path := range []string{"/account", "/other"} {
		token := map[string]string{"/account": "acme-token-0123456789", "/other": "other-token-012345678"}[path]
		if _, err := r.client(token).Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL(path)}); err != nil {
			t.Fatal(err)
		}
	}
	for id := range 6 {
		r.exec(`insert into contacts (id, account_id, email, first_name) values ($1, 1, 'x', 'before')`, id+1)
	}
	r.exec(`update contacts set email = '7' where id = 2`)                 // an event
	r.exec(`delete from contacts where id = 3`)                            // another dead letter
	r.exec(`update contacts set first_name = 'changed' where id = 1`)      // another one
	r.exec(`update contacts set email = '5', account_id = 2 where id = 5`) // to somebody else: the delete for the one before is another one
	all := r.buried(9)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return len(hooktest.ByInstance(q)["contact/2"]) >= 2 && len(hooktest.ByInstance(q)["contact/5"]) >= 2
	})

	first := all[0]
	if first.Type != "contact.create" || first.Instance != "1" || first.Op != "insert" || first.State != client.DeadLetterOpen || len(first.ID) != 40 ||
		!strings.HasPrefix(first.EventID, "evt_") || !strings.Contains(first.Reason, "contact.email") {
		t.Fatalf("the first is %+v", first)
	}
	if got := r.sample(`rowhook_dead_letters_open{resource="contact"}`); got != "9" {
		t.Errorf("the metric says %s", got)
	}
	// Nobody else's.
	other := r.client("acme-token-0123456789")
	_, err := other.DeadLetter(t.Context(), first.ID)
	if statusOf(err) != 403 {
		t.Errorf("an account gets %v", err)
	}
	if _, err := other.ReplayDeadLetters(t.Context(), client.DeadLetterReplay{All: true}); statusOf(err) != 403 {
		t.Errorf("an account gets %v", err)
	}
	if err := other.DiscardDeadLetter(t.Context(), first.ID); statusOf(err) != 403 {
		t.Errorf("an account gets %v", err)
	}

	// Not mended: they stay open.
	r.recv.Forget()
	if n, err := r.admin().ReplayDeadLetters(t.Context(), client.DeadLetterReplay{Resource: "contact", DryRun: true}); err != nil || n.Count != 9 {
		t.Errorf("%+v are to be replayed, %v", n, err)
	}
	if l, err := r.admin().ReplayDeadLetter(t.Context(), first.ID); err != nil || l.RequestedAt == nil && l.Tries == 0 {
		t.Errorf("asked for: %+v, %v", l, err)
	}
	if l := r.settledLetters()[first.ID]; l.State != client.DeadLetterOpen || l.Tries != 1 || l.Reason != first.Reason {
		t.Errorf("after a try in vain: %+v", l)
	}
	if len(r.recv.Requests()) != 0 {
		t.Errorf("%d requests came of it", len(r.recv.Requests()))
	}

	discarded := all[3]
	if err := r.admin().DiscardDeadLetter(t.Context(), discarded.ID); err != nil {
		t.Fatal(err)
	}
	r.replace(bad, "${email}")
	r.mustReload()
	r.exec(`update contacts set last_name = 'now' where id = 6`) // an event, now that it is mended
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["contact/6"]) == 2 })
	got := r.replayed(client.DeadLetterReplay{All: true})
	for i, want := range []string{"replayed", "replayed", "superseded", "discarded", "replayed", "replayed", "replayed", "replayed", "replayed"} {
		if l := got[all[i].ID]; l.ClosedReason != want || l.State != client.DeadLetterClosed || l.ClosedAt == nil {
			t.Errorf("letter %d is %+v, want %s", i, l, want)
		}
	}
	if by := got[discarded.ID].ClosedBy; by != "ops" {
		t.Errorf("discarded by %q", by)
	}
	if err := r.admin().DiscardDeadLetter(t.Context(), first.ID); statusOf(err) != 409 {
		t.Errorf("a closed one is discarded: %v", err)
	}
	if _, err := r.admin().ReplayDeadLetter(t.Context(), first.ID); statusOf(err) != 409 {
		t.Errorf("a closed one is replayed: %v", err)
	}
	_, err = r.admin().DeadLetter(t.Context(), strings.Repeat("0", 40))
	if statusOf(err) != 404 {
		t.Errorf("one that is not there: %v", err)
	}

	// At each path, by instance: what came, before and after the replay.
	want := map[string]string{
		"/all contact/1": "create update", "/creates contact/1": "create", "/account contact/1": "create update",
		"/creates contact/2": "create", // the others have had the update
		"/all contact/3":     "delete", "/account contact/3": "delete",
		"/creates contact/5": "create", "/other contact/5": "", "/account contact/5": "delete",
		"/all contact/6": "update", "/creates contact/6": "create", "/account contact/6": "update",
		"/all contact/99": "create", "/creates contact/99": "create", "/account contact/99": "create",
	}
	sum := 0
	for _, types := range want {
		sum += len(strings.Fields(types))
	}
	r.exec(`insert into contacts (id, account_id) values (99, 1)`)
	requests := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return len(q) >= sum && len(hooktest.ByInstance(q)["contact/99"]) == 3
	})
	came := map[string][]string{}
	byEvent := map[string]hooktest.Request{}
	for _, q := range requests {
		at := q.Path + " " + q.Instance()
		came[at] = append(came[at], strings.TrimPrefix(q.Type, "contact."))
		byEvent[q.ID] = q
	}
	for k := range came {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %q came", k, came[k])
		}
	}
	for k, types := range want {
		if got := strings.Join(came[k], " "); got != types {
			t.Errorf("%s: %q came, want %q", k, got, types)
		}
	}
	q, ok := byEvent[first.EventID]
	if !ok || q.Position != first.ID {
		t.Errorf("the event %s came with the position %s, want %s", first.EventID, q.Position, first.ID)
	}
	var body struct {
		Timestamp string
		Data      struct {
			Email, Name *string
		}
	}
	if err := json.Unmarshal(q.Body, &body); err != nil || body.Data.Email == nil || *body.Data.Email != "x" || *body.Data.Name != "changed " ||
		body.Timestamp[:19] != first.CommittedAt.Format("2006-01-02T15:04:05") {
		t.Errorf("the body is %s, %v", q.Body, err)
	}
	if got := r.sample(`rowhook_dead_letters_open{resource="contact"}`); got != "0" {
		t.Errorf("the metric says %s", got)
	}
}

// TestAReplayIsNotLost: it is asked for through a standby, begun by the process that reads the log, which is killed, and
// ended by the standby. Each event comes, and what comes twice has the same id.
func TestAReplayIsNotLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.replace("${email}", "${int(email)}")
	stop := r.start()
	r.subscribe("/", "contact.*")
	const n = 600
	r.exec(`insert into contacts (id, account_id, email) select i, 1, 'x' from generate_series(1, $1) i`, n)
	all := r.buried(n)
	stop()
	r.replace("${int(email)}", "${email}")
	first := r.spawn()
	if !strings.Contains(r.log.String(), "dead letters are open") {
		t.Error("the log does not tell of them")
	}
	r.spawn()
	if got, err := r.admin().ReplayDeadLetters(t.Context(), client.DeadLetterReplay{Resource: "contact", Reason: "INT"}); err != nil || got.Count != n {
		t.Fatalf("%+v are to be replayed, %v", got, err)
	}
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) > 0 })
	kill(t, first)
	requests := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByID(q)) == n })
	got, byID := r.settledLetters(), hooktest.ByID(requests)
	for _, l := range all {
		if got[l.ID].ClosedReason != "replayed" || len(byID[l.EventID]) == 0 {
			t.Fatalf("%d requests of %+v", len(byID[l.EventID]), got[l.ID])
		}
	}
	ready, err := r.admin().Ready(t.Context())
	if err != nil || ready.Role != "active" {
		t.Errorf("the standby says %+v, %v", ready, err)
	}
}
