package app

import (
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
)

// TestReplayStates: what a later event has taken the place of, and what its target did not want, is not missing at the target.
func TestReplayStates(t *testing.T) {
	t.Parallel()
	ends := []store.Sent{
		{Status: sender.StatusDelivered},
		{Status: sender.StatusFailed},
		{Status: sender.StatusDropped, Dropped: sender.DropShadow},
		{Status: sender.StatusDropped, Dropped: sender.DropFeed},
		{Status: sender.StatusDropped, Dropped: sender.DropDebounced},
		{Status: sender.StatusDropped}, // the target asked for it
	}
	for state, want := range map[string][]bool{
		"":                     {false, true, false, false, false, false},
		client.ReplayFailed:    {false, true, false, false, false, false},
		client.ReplayDelivered: {true, false, false, false, false, false},
		client.ReplayDropped:   {false, false, true, true, false, false},
		client.ReplayMissed:    {false, true, true, true, false, false},
		client.ReplayAll:       {true, true, true, true, false, true},
	} {
		w := replayWanted{Replay: client.Replay{State: state}}
		for i, d := range ends {
			if got := w.wantsState(d); got != want[i] {
				t.Errorf("state %q: %+v is wanted: %v", state, d, got)
			}
		}
	}
	named := replayWanted{Replay: client.Replay{State: client.ReplayAll, EventIDs: []string{"evt_1"}}}
	if named.index(); !named.wantsState(ends[4]) {
		t.Error("what was gathered cannot be asked for by its id")
	}
}
