package mapping

import (
	"strconv"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/schema"
)

// NoticeResource is the resource of events that rowhook itself has to tell. No resource of a config has this name.
const NoticeResource = "rowhook"

// NewNotice makes an event that no change made: what rowhook itself has to tell, at a position where no change stands
// (an ordinal of 0). Data is a JSON value. The id is a function of lineage, name, position and time.
func NewNotice(lineage, name string, at cdc.Position, when time.Time, data []byte) *Event {
	i := identifier{lineage: lineage}
	tx := &cdc.Tx{Commit: at.Commit, Time: when, XID: at.Epoch}
	return &Event{
		ID: i.id(tx, at.Sub, name, ""), Type: NoticeResource + "." + name, Resource: NoticeResource,
		Position: at, Time: when.UTC(), Data: data,
	}
}

// SubscriptionResource is the resource of events that tell the admin of subscriptions, such as rowhook.subscription.failing.
const SubscriptionResource = NoticeResource + ".subscription"

// NewSubscriptionNotice makes an event that tells the admin of a subscription, at the position of a message in the log. Data is a
// JSON value. Its id is a function of lineage, name, subscription and since, when what it tells of began: wherever it stands.
func NewSubscriptionNotice(lineage, name, subscription string, since time.Time, at cdc.Position, when time.Time, data []byte) *Event {
	i := identifier{lineage: lineage}
	return &Event{
		ID:   i.id(&cdc.Tx{Time: since}, 0, SubscriptionResource+"."+name, subscription),
		Type: SubscriptionResource + "." + name, Resource: SubscriptionResource, Instance: subscription,
		Position: at, Time: when.UTC(), Data: data, Audience: ToAdmin,
	}
}

// SubscriptionNoticeShape is what the events of the type, rowhook.subscription.failing or its like, look like.
func SubscriptionNoticeShape(event string) *Shape {
	text := func(description, example string) *schema.Schema {
		s := schema.Of(schema.String)
		s.Description = description
		return s.Exemplified([]byte(strconv.Quote(example)))
	}
	moment := func(description string) *schema.Schema {
		return &schema.Schema{Description: description, Type: schema.Types{schema.String}, Format: "date-time"}
	}
	data := schema.Of(schema.Object)
	data.Add("subscription", text("Its id.", "sub_s4gfrbe74abr2t6lqk6uias3i7"), true)
	data.Add("account", text("The customer that it belongs to; null for one of the admin.", "42").OrNull(), true)
	data.Add("name", text("Its name.", "CRM sync"), true)
	data.Add("target_host", text("The host of its target.", "hooks.example.com").OrNull(), true)
	data.Add("reason", text("What has happened, for people.", "its target has taken nothing since 2026-01-31T09:30:00Z"), true)
	data.Add("since", moment("When its target began to take nothing."), true)
	last := schema.Of(schema.Object, schema.Null)
	last.Description = "How the last attempt ended; null where that does not matter any more."
	last.Add("status", (&schema.Schema{Description: "The answer's status; null where there was none.", Type: schema.Types{schema.Integer}}).Exemplified([]byte("503")).OrNull(), true)
	last.Add("reason", text("The typed reason.", "http_status"), true)
	last.Add("at", moment("When it began."), true)
	data.Add("last_answer", last, true)
	data.Add("pending", (&schema.Schema{Description: "How many deliveries wait for it; 10000 for as many or more.", Type: schema.Types{schema.Integer}}).Exemplified([]byte("12")), true)
	return &Shape{Type: event, Data: data}
}

// Lineage is what ids of events begin with: see NewNotice.
func (m *Mapper) Lineage() string { return m.ids.lineage }
