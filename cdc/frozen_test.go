package cdc

import (
	"errors"
	"testing"
	"time"
)

// TestAttend shows that a step renews the note before it is old, not each time, and never after too long.
func TestAttend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		ago     time.Duration
		err     error
		renewed bool
	}{
		{"a moment ago", 0, nil, false},
		{"some time ago", frozenAfter / 2, nil, true},
		{"too long ago", frozenAfter + time.Second, errFrozen, false},
	} {
		s := &Source{}
		last := time.Now().Add(-c.ago)
		s.attended.Store(&last)
		if s.Attended() != (c.err == nil) {
			t.Errorf("%s: attended: %v", c.name, s.Attended())
		}
		if err := s.attend(); !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.err)
		}
		if renewed := s.attended.Load() != &last; renewed != c.renewed {
			t.Errorf("%s: renewed: %v, want %v", c.name, renewed, c.renewed)
		}
	}
	// A connection that is over is nobody's until there is a new one.
	if s := (&Source{}); s.Attended() || !errors.Is(s.attend(), errFrozen) {
		t.Error("no connection is attended")
	}
}
