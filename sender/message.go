package sender

import (
	"encoding/json"

	"github.com/rowhook/rowhook/mapping"
)

// timestampLayout is RFC 3339 with microseconds, which is what Postgres keeps.
const timestampLayout = "2006-01-02T15:04:05.000000Z"

// standardOverhead is room for what the format standard writes around an event's own bytes, see mapping.Event.Size.
const standardOverhead = 224

// AppendStandard appends the body that is sent in the format standard. Types, timestamps and positions need no escaping.
func AppendStandard(dst []byte, ev *mapping.Event) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, ev.Type...)
	dst = append(dst, `","timestamp":"`...)
	dst = ev.Time.UTC().AppendFormat(dst, timestampLayout)
	dst = append(dst, `","data":`...)
	dst = append(dst, ev.Data...)
	if len(ev.Partial) > 0 {
		// Member names come from the config file: they may hold anything.
		partial, err := json.Marshal(ev.Partial)
		if err == nil {
			dst = append(dst, `,"partial":`...)
			dst = append(dst, partial...)
		}
	}
	if ev.Previous != nil {
		dst = append(dst, `,"previous":`...)
		dst = append(dst, ev.Previous...)
	}
	if ev.Context != nil {
		dst = append(dst, `,"context":`...)
		dst = append(dst, ev.Context...)
	}
	dst = appendBackfill(dst, ev)
	dst = append(dst, `,"position":"`...)
	dst = ev.Position.AppendText(dst)
	return append(dst, `"}`...)
}
