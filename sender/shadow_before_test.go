package sender_test

import (
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestMatchedAsAShadowIsNotSent: what a subscription matched as a shadow is dropped, also where the log is read late or again, and it
// is known already that the subscription is active by now.
func TestMatchedAsAShadowIsNotSent(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.OK()))
	store := newMemory()
	cfg := testConfig()
	told := 0
	cfg.OnDropped = func(reason sender.DropReason) {
		if reason == sender.DropShadow {
			told++
		}
	}
	d := run(t, cfg, store.open())
	for key, state := range map[int64]subscriptions.State{1: subscriptions.Active, 2: subscriptions.Disabled} {
		now := newSubscription(key, r.URL("/"))
		now.Version, now.State = 2, state
		d.Know(now)
		before := now.Clone()
		before.Version, before.State = 1, subscriptions.Shadow
		settled(t, d.submit(t, newEvent(1, "a"), before))
		if got := store.finished[pair{key, newEvent(1, "a").Position}]; got.status != sender.StatusDropped {
			t.Errorf("%s by now: %+v, want dropped", state, got)
		}
	}
	d.idle(t)
	if n := len(r.Requests()); n != 0 || told != 2 {
		t.Errorf("%d requests, told of %d", n, told)
	}
}
