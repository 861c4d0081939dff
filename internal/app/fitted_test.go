package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestATableThatChangedWhileRowhookWasAway: its resource is red and makes dead letters, across starts and reloads, until it
// fits again. All others go on, and a mistake in the config is still one.
func TestATableThatChangedWhileRowhookWasAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	stop()
	r.exec(`alter table contacts drop column city`)
	stop = r.start()
	red := func() string {
		t.Helper()
		ready, err := r.admin().Ready(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ready.Ready {
			t.Errorf("rowhook is not ready: %s", ready.Reason)
		}
		for _, p := range ready.Parts {
			if p.Name == "resource contact" && !p.Ready {
				return p.Detail
			}
		}
		return ""
	}
	if got := red(); !strings.Contains(got, "city") || r.metric("rowhook_resources_unfit") != 1 {
		t.Errorf("contact is said to be %q", got)
	}
	if !strings.Contains(r.log.String(), "resource does not fit its table any more") {
		t.Error("the log does not tell it")
	}
	letters := func(n int) {
		t.Helper()
		r.becomes("there are dead letters", `select count(*) = $1 from rowhook.dead_letter where resource = 'contact' and reason like '%city%'`, n)
	}
	r.insertContact(2, 1)
	r.exec(`insert into notes values (1, 'x')`)
	r.recv.WaitFor(t, arrived("/", "note/1", 1))
	letters(1)
	r.replace("columns: all\n", "columns: [id, body]\n")
	r.mustReload()
	r.insertContact(3, 1)
	letters(2)
	if red() == "" {
		t.Error("after a reload contact is said to fit")
	}
	stop()

	// A mistake is one, also beside it.
	good := r.text
	r.replace("columns: [id, body]\n", "columns: [id, bdoy]\n")
	if got := r.refused(); !strings.Contains(got, "bdoy") {
		t.Errorf("a mistake is refused with %q", got)
	}
	r.text = good
	stop = r.start()
	defer stop()
	if red() == "" {
		t.Error("after another start contact is said to fit")
	}
	r.exec(`alter table contacts add column city text`)
	r.insertContact(4, 1)
	r.recv.WaitFor(t, arrived("/", "contact/4", 1))
	if got := red(); got != "" {
		t.Errorf("mended, contact is said to be %q", got)
	}
	// What could not be sent can be now.
	if _, err := r.admin().ReplayDeadLetters(t.Context(), client.DeadLetterReplay{Resource: "contact"}); err != nil {
		t.Fatal(err)
	}
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/", "contact/2", 1)(q) && arrived("/", "contact/3", 1)(q)
	})
	if types := types(slices.Clone(hooktest.ByInstance(r.recv.Requests())["contact/1"])); types != "contact.create" {
		t.Errorf("contact/1: %s", types)
	}
}
