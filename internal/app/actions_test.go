package app_test

import (
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestDisabledAndRotated: what commits while a subscription is disabled is not for it, and a rotated secret signs beside the
// new one. Both hold for a rowhook that reads the log later.
func TestDisabledAndRotated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	sub := r.subscribe("/", "note.*")
	note := func(id int) { r.exec(`insert into notes values ($1, 'x')`, id) }
	disabled := func(off bool) {
		t.Helper()
		var err error
		if off {
			_, err = r.admin().Disable(t.Context(), sub.ID, "")
		} else {
			_, err = r.admin().Enable(t.Context(), sub.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	signed := func(instance string, secrets ...string) {
		t.Helper()
		all := r.recv.WaitFor(t, arrived("/", instance, 1))
		for _, q := range hooktest.ByInstance(all)[instance] {
			for _, secret := range secrets {
				if err := q.Verify(secret); err != nil {
					t.Errorf("%s: %v", q, err)
				}
			}
		}
	}
	note(1)
	signed("note/1", sub.Secret)
	rotated, err := r.admin().RotateSecret(t.Context(), sub.ID, client.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	disabled(true)
	note(2)
	disabled(false)
	note(3)
	signed("note/3", sub.Secret, rotated.Secret)
	disabled(true)
	note(4)
	r.settled()
	stop()

	stop = r.start()
	defer stop()
	disabled(false)
	if _, err := r.admin().RotateSecret(t.Context(), sub.ID, client.Rotation{Secret: "whsec_MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY=", KeepOld: "0s"}); err != nil {
		t.Fatal(err)
	}
	note(5)
	signed("note/5", "whsec_MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")
	for instance, q := range hooktest.ByInstance(r.recv.Requests()) {
		if instance == "note/2" || instance == "note/4" {
			t.Errorf("%v came, which was committed while the subscription was disabled", q)
		}
		if instance == "note/5" && q[0].Verify(sub.Secret) == nil {
			t.Error("the secret that was taken away at once still signs")
		}
	}
}
