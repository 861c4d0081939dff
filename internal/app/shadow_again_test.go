package app_test

import (
	"slices"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestShadowIsReadAgain: who reads the log again from before a shadow was made active sends nothing of what it matched as a shadow.
func TestShadowIsReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	child := r.spawn()
	r.subscribe("/all", "note.*")
	// One that is recorded: by then nothing is read of the tables that are locked below, which would wait, and end the stream.
	r.exec(`insert into notes values (0, 'x')`)
	r.recv.WaitFor(t, arrived("/all", "note/0", 1))
	r.settled()
	s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL("/moved"), State: "shadow"})
	if err != nil {
		t.Fatal(err)
	}
	lock := r.another() // nothing is recorded from here on
	r.on(lock, `begin`)
	r.on(lock, `lock table rowhook.event, rowhook.outcome in access exclusive mode`)
	r.exec(`insert into notes values (1, 'x')`)
	r.recv.WaitFor(t, arrived("/all", "note/1", 1))
	if got, err := r.admin().Update(t.Context(), s.ID, client.Patch{"state": "active"}); err != nil || got.State != "active" {
		t.Fatalf("%+v, %v", got, err)
	}
	kill(t, child)
	r.on(lock, `rollback`)
	r.spawn()
	r.exec(`insert into notes values (2, 'x')`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/all", "note/1", 2)(q) && arrived("/moved", "note/2", 1)(q)
	})
	r.settled()
	if got := r.instancesOf("/moved"); !slices.Equal(got, []string{"note/2"}) {
		t.Errorf("the target got %v", got)
	}
}
