package sample

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/schema"
	"github.com/rowhook/rowhook/mapping"
)

// Synthetic is an event of no row, the same each time: what the schema's values look like.
func Synthetic(of *mapping.Shape) *mapping.Event {
	resource := of.Type[:max(strings.LastIndexByte(of.Type, '.'), 0)]
	e := &mapping.Event{Type: of.Type, Resource: resource, Instance: "1", Time: time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC),
		Position: cdc.Position{Epoch: 1, Commit: 0x16B3748, Ordinal: 1}, Data: of.Data.Example(resource, false)}
	if of.Truncates {
		e.Instance = ""
	}
	e.ID = idOf(e)
	return e
}

// Previous puts into an event what an update of one member would tell of it, where updates tell it.
func Previous(e *mapping.Event, of *mapping.Shape) {
	if of.Previous == nil || of.Changed == nil {
		return
	}
	s, now, name := of.Previous, json.RawMessage(e.Data), ""
	for _, name = range of.Changed {
		if s = member(s, name); s == nil {
			return
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(now, &members) != nil {
			return
		}
		now = members[name]
	}
	was := s.Example(name, true)
	if bytes.Equal(was, now) {
		was = s.Example(name, false)
	}
	if bytes.Equal(was, now) {
		return // there is one value alone
	}
	for i := len(of.Changed) - 1; i >= 0; i-- {
		key, err := json.Marshal(of.Changed[i])
		if err != nil {
			return
		}
		was = append(append(append(append([]byte{'{'}, key...), ':'), was...), '}')
	}
	e.Previous = was
}

func member(s *schema.Schema, name string) *schema.Schema {
	for _, m := range s.Properties {
		if m.Name == name {
			return m.Schema
		}
	}
	return nil
}

// idOf is an id that no event has: those are made of a commit.
func idOf(e *mapping.Event) string {
	sum := sha256.Sum256([]byte("sample\x00" + e.Type + "\x00" + e.Instance))
	return "evt_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}
