package sender

import (
	"slices"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// Feed writes events as a subscription's feed shows them: the JSON body that its target gets, with the event's id in front where
// the body has none and can have one. What is sent as a form is JSON here.
type Feed struct {
	format Format
	in     Envelope
}

// FeedFormats are the formats of a feed that is nobody's: those whose bodies name no subscription.
var FeedFormats = []string{subscriptions.FormatStandard, subscriptions.FormatRepresentation, subscriptions.FormatThin, subscriptions.FormatCloudEvents}

// feedMembers are those that an element has in front of its body.
var feedMembers = map[string]string{
	subscriptions.FormatStandard:  "id",
	subscriptions.FormatRESTHooks: "event_id",
	subscriptions.FormatThin:      "event_id",
}

// NewFeed is that of a subscription.
func NewFeed(s *subscriptions.Subscription, around Envelope) Feed {
	f := Feed{format: formatOf(""), in: around}
	f.in.Subscription, f.in.Target = s.ID, s.ShownTarget()
	if s.Request != nil {
		f.format = formatOf(s.Request.Format)
		format := f.format
		format.own = append(slices.Clone(format.own), feedMembers[format.Name], "position")
		f.in.custom = format.customMembers(s.Request.CustomData)
	}
	return f
}

// NewFeedIn is one in a format of FeedFormats, of no subscription.
func NewFeedIn(format string, around Envelope) Feed {
	return Feed{format: formatOf(format), in: around}
}

// Append appends the element of an event.
func (f Feed) Append(dst []byte, ev *mapping.Event) []byte {
	member := feedMembers[f.format.Name]
	if member == "" {
		return f.format.Append(dst, ev, f.in)
	}
	dst = append(append(append(dst, `{"`...), member...), `":"`...)
	dst = append(append(dst, ev.ID...), '"')
	if f.format.Name == subscriptions.FormatRESTHooks {
		dst = ev.Position.AppendText(append(dst, `,"position":"`...))
		dst = append(dst, '"')
	}
	at := len(dst)
	dst = f.format.Append(dst, ev, f.in)
	dst[at] = ',' // in the place of the brace that the body begins with
	return dst
}
