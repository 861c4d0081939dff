package app

import (
	"context"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// takeRecordedPositions gives every event that is in the store already the position it has there, and returns how many
// jobs, from the first on, may be in the store. The config may have changed since: then another event can stand at the
// place of one that was sent, and what is recorded of the one must not be taken for the other's.
func (h *handler) takeRecordedPositions(ctx context.Context) (old int, err error) {
	var changes []cdc.Position
	for old < len(h.jobs) {
		change := changeOf(h.jobs[old].Event.Position)
		if change.Compare(h.horizon) > 0 {
			break // positions grow
		}
		if isTouch(h.jobs[old].Event) {
			old++
			continue // it has its place already
		}
		if n := len(changes); n == 0 || changes[n-1] != change {
			changes = append(changes, change)
		}
		old++
	}
	if len(changes) == 0 {
		return old, nil
	}
	recorded, _, err := retry(ctx, h, "look for recorded events", func() (map[string]cdc.Position, struct{}, error) {
		found, err := h.store.EventsOf(ctx, changes)
		return found, struct{}{}, err
	})
	if err != nil {
		return 0, err
	}
	var events []*mapping.Event
	for _, j := range h.jobs[:old] {
		if !isTouch(j.Event) {
			events = append(events, j.Event)
		}
	}
	placeAsRecorded(events, recorded)
	return old, nil
}

// changeOf is the position of the change that an event came of.
func changeOf(p cdc.Position) cdc.Position {
	p.Sub = 0
	return p
}

// placeAsRecorded gives the events that are recorded their positions, and the others one that is free: their own, or the
// first behind all of their change.
func placeAsRecorded(events []*mapping.Event, recorded map[string]cdc.Position) {
	taken := map[cdc.Position]bool{}
	next := map[cdc.Position]uint32{}
	use := func(p cdc.Position) {
		taken[p] = true
		next[changeOf(p)] = max(next[changeOf(p)], p.Sub+1)
	}
	for _, p := range recorded {
		use(p)
	}
	for _, ev := range events {
		// What is not recorded keeps its place where it can, so the free ones begin behind all that were given out.
		change := changeOf(ev.Position)
		next[change] = max(next[change], ev.Position.Sub+1)
	}
	for _, ev := range events {
		if p, ok := recorded[ev.ID]; ok {
			ev.Position = p
			continue
		}
		if taken[ev.Position] {
			ev.Position.Sub = next[changeOf(ev.Position)]
		}
		use(ev.Position)
	}
}
