package sender

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// ReadableFormat is the format of a feed from which requests in a format can be made again: all that they tell is in its elements.
func ReadableFormat(format string) string {
	switch format {
	case subscriptions.FormatThin, subscriptions.FormatCloudEvents:
		return format
	}
	return subscriptions.FormatStandard
}

// ReadElement reads what a Feed has written: the event as far as its format tells it, and what its body says of where it comes from.
// Where the instance is not told, it is the id in the data, or empty. The time is not told in rest_hooks. An error holds nothing of
// the data.
func ReadElement(format string, element []byte) (*mapping.Event, Envelope, error) {
	var in Envelope
	if format == subscriptions.FormatRepresentation {
		return nil, in, errors.New(`the format "representation" does not tell which event it is`)
	}
	// By their exact names: a subscriber's own members may differ from them in their case alone.
	var members map[string]json.RawMessage
	if json.Unmarshal(element, &members) != nil || members == nil {
		return nil, in, errors.New("the element of the feed is no JSON object")
	}
	text := func(name string) string {
		var s string
		_ = json.Unmarshal(members[name], &s) // what is no text is told as missing
		return s
	}
	ev := &mapping.Event{ID: text("id"), Type: text("type"), Data: members["data"], Previous: members["previous"], Context: members["context"]}
	at := text("timestamp")
	switch format {
	case subscriptions.FormatThin:
		ev.ID, ev.Instance = text("event_id"), text("id")
	case subscriptions.FormatCloudEvents:
		at, ev.Instance, in.Source = text("time"), text("subject"), text("source")
		if partial := text("partial"); partial != "" {
			ev.Partial = strings.Split(partial, ",")
		}
	case subscriptions.FormatRESTHooks:
		ev.ID = text("event_id")
		var hook struct {
			Event string `json:"event"`
		}
		_ = json.Unmarshal(members["hook"], &hook)
		ev.Type = hook.Event
	}
	if ev.Partial == nil {
		_ = json.Unmarshal(members["partial"], &ev.Partial)
	}
	if ev.Instance == "" {
		ev.Instance = idOf(ev.Data)
	}
	if location := text("url"); format == subscriptions.FormatThin && location != "" {
		in.Location = func(string, string) string { return location }
	}
	if i := strings.LastIndexByte(ev.Type, '.'); i >= 0 {
		ev.Resource = ev.Type[:i]
	}
	var err error
	if ev.Position, err = cdc.ParsePosition(text("position")); err != nil || ev.ID == "" || ev.Type == "" {
		return nil, in, fmt.Errorf("the element of the feed lacks an id, a type or a position: is the feed's format %q?", format)
	}
	if at != "" {
		if ev.Time, err = time.Parse(time.RFC3339Nano, at); err != nil {
			return nil, in, errors.New("the time of the element of the feed cannot be read")
		}
	}
	return ev, in, nil
}

// idOf is the member id of an object as text; empty where it has none.
func idOf(data []byte) string {
	var object struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(data, &object) != nil || len(object.ID) == 0 {
		return ""
	}
	var text string
	if json.Unmarshal(object.ID, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(object.ID, &number) == nil {
		return number.String()
	}
	return ""
}
