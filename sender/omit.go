package sender

import (
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

// omittedByMaxBody is what a message says whose data is left out because it would be larger than delivery.max_body.
const omittedByMaxBody = "max_body"

// omittedHeader says so too, of a message that comes alone.
var omittedHeader = http1.Field{Name: "Webhook-Data-Omitted", Value: omittedByMaxBody}

// omittedMembers are those that only messages have whose data is left out, by any format.
var omittedMembers = []string{"id", "resource_id", "url", "data_omitted", "dataomitted", "position"}

// maxBodyOf is how large the messages of a subscription may be, 0 for any size. Where they are nothing but data there is nothing
// that could be left out.
func maxBodyOf(s *subscriptions.Subscription, all int64) int {
	switch {
	case s.RequestFormat() == subscriptions.FormatRepresentation, s.RequestFormat() == subscriptions.FormatThin:
		return 0
	case s.Delivery.MaxBody > 0:
		return int(s.Delivery.MaxBody)
	}
	return int(all)
}

// omits says whether a message of so many bytes is too large. What rowhook itself has to tell is never left out.
func (x *shape) omits(ev *mapping.Event, size int) bool {
	return x.maxBody > 0 && size > x.maxBody && ev.Resource != mapping.NoticeResource
}

// append appends the message of an event, and says whether its data was left out.
func (x *shape) append(dst []byte, ev *mapping.Event) ([]byte, bool) {
	at := len(dst)
	if !x.omits(ev, len(ev.Data)) {
		if dst = x.format.Append(dst, ev, x.in); !x.omits(ev, len(dst)-at) {
			return dst, false
		}
	}
	return x.appendWithout(dst[:at], ev), true
}

// appendWithout appends the message without its data.
func (x *shape) appendWithout(dst []byte, ev *mapping.Event) []byte {
	in := x.in
	in.omitted = true
	return x.format.Append(dst, ev, in)
}

// mayOmit says whether the message in the format standard may be too large.
func (t *target) mayOmit(ev *mapping.Event) bool {
	return t.omitting != nil && t.omitting.shape.omits(ev, ev.Size()+standardOverhead)
}
