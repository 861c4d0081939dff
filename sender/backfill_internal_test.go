package sender

import (
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// TestBackfilledAndLiveAreNotInOneBatch: the header of a request says it of all that is in it.
func TestBackfilledAndLiveAreNotInOneBatch(t *testing.T) {
	t.Parallel()
	live := &delivery{event: &mapping.Event{Position: cdc.Position{Commit: 1}}}
	filled := &delivery{event: &mapping.Event{Position: cdc.Position{Commit: 1, Sub: mapping.BackfilledFrom}}}
	if live.alike(filled) || filled.alike(live) || !live.alike(live) || !filled.alike(filled) {
		t.Error("the one goes with the other, or not with its like")
	}
}
