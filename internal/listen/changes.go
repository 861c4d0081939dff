package listen

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/rowhook/rowhook/internal/compare"
)

// remembered is of how many instances, and ids, what was seen is kept, and rememberedBytes how much of it.
const (
	remembered      = 10_000
	rememberedBytes = 64 << 20
)

// change is a member of data that is not what it was. What is missing was not there, or is not there any more.
type change struct {
	Path string          `json:"path"`
	From json.RawMessage `json:"from,omitempty"`
	To   json.RawMessage `json:"to,omitempty"`
}

// memory is what was seen: for what has changed since, and for what comes again or too late.
type memory struct {
	ids  map[string]bool
	last map[string]seen
	// size is that of the data in last, in bytes.
	size int
	Summary
}

// seen is the newest of an instance.
type seen struct {
	position string
	data     json.RawMessage
}

// Summary counts what came.
type Summary struct {
	// Seen is how many events came, Failed how many of them could not be checked or were not taken; Duplicates came with an id that
	// had come before, OutOfOrder with a position before that of a newer state of their instance.
	Seen, Failed, Duplicates, OutOfOrder int
}

func newMemory() *memory { return &memory{ids: map[string]bool{}, last: map[string]seen{}} }

// take notes an event and says what is new in it.
func (m *memory) take(h *hook) {
	before, known := m.last[h.Instance]
	deleted := strings.HasSuffix(h.Type, ".delete")
	if known && !deleted {
		h.Changes = diff(h.Data, before.data)
	}
	if len(h.previous) > 0 {
		h.Changes = undone(h.Data, h.previous)
	}
	m.Seen++
	if m.ids[h.ID] {
		m.Duplicates++
		h.Duplicate, h.Changes = true, nil
		return
	}
	if len(m.ids) >= remembered {
		clear(m.ids)
	}
	m.ids[h.ID] = true
	if h.Instance == "" {
		return
	}
	if known && h.Position != "" && h.Position < before.position {
		m.OutOfOrder++
		h.OutOfOrder, h.Changes = true, nil
		return
	}
	now := seen{position: h.Position, data: h.Data}
	if deleted {
		now.data = nil
	}
	if m.size += len(now.data) - len(before.data); m.size > rememberedBytes || !known && len(m.last) >= remembered {
		clear(m.last)
		m.size = len(now.data)
	}
	m.last[h.Instance] = now
}

// diff is what differs between a state and the one before.
func diff(now, before json.RawMessage) []change {
	if len(now) == 0 || len(before) == 0 {
		return nil
	}
	found, err := compare.Diff(now, before, nil)
	if err != nil {
		return nil
	}
	var all []change
	for _, d := range found {
		all = append(all, change{Path: d.Path, From: d.Theirs, To: d.Ours})
	}
	return all
}

// undone is what differs from previous, which has the members alone that have changed.
func undone(now, previous json.RawMessage) []change {
	var all []change
	for _, c := range diff(now, previous) {
		if c.From == nil && !inList.MatchString(c.Path) {
			continue // it has not changed
		}
		all = append(all, c)
	}
	return all
}

// inList is a place in a list: previous has lists whole.
var inList = regexp.MustCompile(`\[\d+\]`)
