package app

import (
	"testing"
	"time"
)

// TestNotBefore: nothing is tried in the past, nor while its target is left alone.
func TestNotBefore(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	before, after, later := now.Add(-time.Hour), now.Add(time.Minute), now.Add(time.Hour)
	for _, c := range []struct{ due, paused, want time.Time }{
		{}, {paused: later}, {due: before, want: now}, {due: after, want: after}, {due: before, paused: after, want: after},
		{due: after, paused: later, want: later}, {due: later, paused: before, want: later},
	} {
		if got := notBefore(now, c.due, c.paused); !got.Equal(c.want) {
			t.Errorf("due %s, paused until %s: %s, want %s", c.due, c.paused, got, c.want)
		}
	}
}
