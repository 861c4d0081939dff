package client

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"time"
)

// HeldKey is an instance of which deliveries of a subscription are stored to be sent: its oldest first, the others behind it.
type HeldKey struct {
	Resource string `json:"resource"`
	// ResourceID is the instance; nil where the event is not stored any more.
	ResourceID *string `json:"resource_id"`
	// Waiting is how many there are; with AtLeast there are more.
	Waiting int  `json:"waiting"`
	AtLeast bool `json:"at_least"`
	// Oldest is the one that is sent next, NextAttempt when.
	Oldest      LoggedDelivery `json:"oldest"`
	NextAttempt *time.Time     `json:"next_attempt"`
}

// Held goes through what a subscription's deliveries are held for, soonest attempt first, page by page. After an error it ends.
func (c *Client) Held(ctx context.Context, subscription string) iter.Seq2[*HeldKey, error] {
	return func(yield func(*HeldKey, error) bool) {
		at, err := c.subscription(subscription)
		if err != nil {
			yield(nil, err)
			return
		}
		pages[HeldKey](ctx, c, at+"held/", yield)
	}
}

// EventDeliveries goes through what became of an event, given by its id or its position, page by page. After an error it ends.
func (c *Client) EventDeliveries(ctx context.Context, event string) iter.Seq2[*LoggedDelivery, error] {
	return func(yield func(*LoggedDelivery, error) bool) {
		if event == "" || event == "." || event == ".." {
			yield(nil, fmt.Errorf("%q is not the id of an event: give one that begins with evt_, or a position", event))
			return
		}
		at, err := c.address("/event/" + url.PathEscape(event) + "/delivery/")
		if err != nil {
			yield(nil, err)
			return
		}
		pages[LoggedDelivery](ctx, c, at, yield)
	}
}
