package app_test

import (
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestADeadTargetIsDisabled: after 5 days in which its target took nothing a subscription is disabled, says why, and gets all that
// was committed meanwhile, in order, when it is enabled; also what was committed while rowhook was down.
func TestADeadTargetIsDisabled(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Always(hooktest.Status(503)))
	stop := r.start()
	sub := r.subscribe("/")
	well := hooktest.New(t)
	r.subscribeAt(well.URL("/"), 1)
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	well.Wait(t, 1, patience)
	stop()
	// It has been so for days.
	r.exec(`update rowhook.failing set since = now() - interval '6 days'`)
	r.exec(`update rowhook.due set due_at = now() where due_at < 'infinity'`)
	stop = r.start()
	eventually(t, "it is disabled", func() bool {
		s, err := r.admin().Get(t.Context(), sub.ID)
		return err == nil && s.State == "disabled"
	})
	s, err := r.admin().Get(t.Context(), sub.ID)
	if err != nil {
		t.Fatal(err)
	}
	d := s.DisabledReason
	if d.By != "rowhook" || d.LastAnswer == nil || d.LastAnswer.Status == nil || *d.LastAnswer.Status != 503 || d.LastAnswer.Reason != "http_status" || time.Since(d.Since) > time.Minute {
		t.Errorf("disabled: %+v %+v", d, d.LastAnswer)
	}
	if got := r.sample("rowhook_subscriptions_disabled_total"); got != "1" {
		t.Errorf("%s were counted", got)
	}
	n := len(r.recv.Requests())
	for i := 2; i <= 20; i++ {
		r.insertContact(i, 1)
	}
	r.exec(`update contacts set city = 'Kiel' where id in (1, 5)`)
	well.Wait(t, 22, patience)
	r.settled()
	stop()
	r.insertContact(21, 1)
	stop = r.start()
	well.Wait(t, 23, patience)
	r.settled()
	if now := len(r.recv.Requests()); now != n {
		t.Errorf("%d requests while it was disabled", now-n)
	}
	r.recv.HandleAll(hooktest.Always(hooktest.OK()))
	if _, err := r.admin().Enable(t.Context(), sub.ID); err != nil {
		t.Fatal(err)
	}
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.Delivered(q)) == 23 })
	r.insertContact(22, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.Delivered(q)) == 24 })
	if err := hooktest.CheckOrder(hooktest.Delivered(r.recv.Requests())); err != nil {
		t.Error(err)
	}
	s, err = r.admin().Get(t.Context(), sub.ID)
	if err != nil || s.State != "active" || s.DisabledReason != nil {
		t.Errorf("after it is enabled: %+v, %v", s, err)
	}
	stop()
}
