package subscriptions_test

import (
	"testing"

	"github.com/rowhook/rowhook/subscriptions"
)

// TestAnnouncedBeforeItStopped: what an active subscription matched is not taken for a shadow's because it became one, and was stopped,
// later.
func TestAnnouncedBeforeItStopped(t *testing.T) {
	t.Parallel()
	s := stored(t, account42)
	before := subscriptions.Announce(s, "store")
	s.State = subscriptions.Shadow
	s.Disable("admin", "", later)
	if why, silent := s.WithAnnouncement(before).Silent(); silent {
		t.Errorf("it was active, and is silent: %s", why)
	}
}
