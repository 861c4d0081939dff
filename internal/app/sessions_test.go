package app

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestABusyStoreIsNotAway: who sends so many requests that the looks queue must not be let in for that.
func TestABusyStoreIsNotAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &App{}
		a.store.Store(&store.Store{})
		s := newSessions(a)
		for range sessionLooks {
			s.looks <- struct{}{}
		}
		if ended, err := s.SessionEnded(t.Context(), [16]byte{1}); ended || err == nil || errors.Is(err, subscriptions.ErrUnavailable) {
			t.Errorf("%v, %v: the store is said to be away, so that whoever asks is let in", ended, err)
		}
	})
}
