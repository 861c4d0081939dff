package app_test

import (
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestKilledWhileATransactionIsOpen kills rowhook when one of twelve small transactions is delivered, and while one that began
// before all of them is open: it is committed when rowhook is there again.
func TestKilledWhileATransactionIsOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Times(1, hooktest.Always(hooktest.OK()), hooktest.Times(11, hooktest.Always(hooktest.Hang()), hooktest.Always(hooktest.OK()))))
	r.far()
	cmd := r.spawn()
	r.subscribe("/")
	open := r.another()
	r.on(open, `begin`)
	r.on(open, `insert into contacts (id, account_id) values (100, 1)`)
	for id := 1; id <= 12; id++ {
		r.insertContact(id, 1)
		r.recv.Wait(t, id, patience) // so that it is the first that is answered
	}
	before := r.recv.Requests()
	kill(t, cmd)
	r.recv.Release()
	r.spawn()
	r.on(open, `commit`)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		again := hooktest.ByInstance(q[12:])
		for _, b := range before[1:] {
			if len(again[b.Instance()]) == 0 {
				return false
			}
		}
		return len(again["contact/100"]) > 0
	})
	oneID(t, all)
	for instance, n := range hooktest.ByInstance(all[12:]) {
		if len(n) != 1 {
			t.Errorf("%s came %d times after the kill", instance, len(n))
		}
	}
}
