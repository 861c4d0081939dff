package api

import (
	"strconv"
	"testing"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// TestLimiterIsBounded: callers who name themselves cannot fill the memory, and cannot get more by it.
func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l := newConfirmLimiter(1)
	now := time.Now()
	allowed := 0
	for i := range 3 * confirmsKept {
		if _, ok := l.allow(subscriptions.Scope{Account: strconv.Itoa(i)}, now); ok {
			allowed++
		}
	}
	if len(l.of) > confirmsKept+1 || allowed > confirmsKept+l.burst {
		t.Errorf("%d are kept, %d were allowed", len(l.of), allowed)
	}
	if _, ok := l.allow(subscriptions.Scope{Account: "1"}, now); !ok {
		t.Error("one that is known has to share")
	}
	if _, ok := l.allow(subscriptions.Scope{Account: "new"}, now.Add(2*sweepEvery)); !ok || len(l.of) > 1 {
		t.Errorf("later %d are kept", len(l.of))
	}
}
