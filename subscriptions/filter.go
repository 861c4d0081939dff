package subscriptions

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rowhook/rowhook/mapping"
)

// FilterError tells that the filter failed on events, which were not sent for that.
type FilterError struct {
	// Message says why; it holds nothing of the event's data.
	Message string `json:"message"`
	// EventID and EventType are those of the last event that it failed on, At is when that was.
	EventID   string    `json:"event_id"`
	EventType string    `json:"event_type"`
	At        time.Time `json:"at"`
	// Count is on how many events it has failed since it was set.
	Count int64 `json:"count"`
}

// readFilter reads the filter, once the events are known: their data is what it is checked against.
func (r Rules) readFilter(s, old *Subscription, v any, m *mistakes) {
	if v == nil || m.full() {
		return
	}
	text, ok := v.(string)
	if !ok {
		m.add("filter", `is %s: give an expression as a string, such as "data.status == \"won\""`, kindOf(v))
		return
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }); i >= 0 {
		m.add("filter", "holds a control character: leave it out")
		return
	}
	s.Filter = text
	if old != nil && text == old.Filter && slices.Equal(s.Events, old.Events) {
		return
	}
	p := mapping.CheckFilter(text, r.Catalogue.shapes(s))
	switch {
	case p == nil:
	case p.Hint != "":
		m.add("filter", "line %d, column %d: %s: %s", p.Line, p.Column, p.Message, p.Hint)
	default:
		m.add("filter", "line %d, column %d: %s", p.Line, p.Column, p.Message)
	}
}

// shapes are those of the data that the subscription's events may have. One that is not known may be anything.
func (c Catalogue) shapes(s *Subscription) []*mapping.FilterShape {
	var shapes []*mapping.FilterShape
	seen := map[string]bool{}
	for _, o := range c {
		if seen[o.Resource] || o.Reason != "" || !s.Admin && (o.AdminOnly || o.AccountReason != "") {
			continue
		}
		for _, pattern := range Wanting(o.Name) {
			if slices.Contains(s.Events, pattern) {
				seen[o.Resource] = true
				shapes = append(shapes, o.Shape)
				break
			}
		}
	}
	if len(shapes) == 0 {
		return []*mapping.FilterShape{nil}
	}
	return shapes
}
