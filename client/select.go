package client

import (
	"context"
	"iter"
	"net/url"
)

// Filter selects subscriptions for a list. What is empty selects all.
type Filter struct {
	// Event selects those that get an event (contact.create), or that hold an entry such as deal.* as it is.
	Event string
	// State is active, disabled, pending or expired.
	State string
	// TargetHost is the host of their targets, without a port.
	TargetHost string
	// Name is a part of their names, in upper or lower case.
	Name string
	// Search is a part of their names, ids, accounts or targets' hosts, in upper or lower case. A URL is looked for by its host.
	Search string
	// Account is whose they are. Only the admin may give it.
	Account string
	// Failing selects those whose targets take nothing.
	Failing bool
}

// List goes through the subscriptions that the token may see, in the order they were made, page by page. After an error
// it ends.
func (c *Client) List(ctx context.Context) iter.Seq2[*Subscription, error] {
	return c.Select(ctx, Filter{})
}

// Select is List of those that the filter selects.
func (c *Client) Select(ctx context.Context, f Filter) iter.Seq2[*Subscription, error] {
	return func(yield func(*Subscription, error) bool) {
		query := url.Values{}
		for name, value := range map[string]string{"event": f.Event, "state": f.State, "target_host": f.TargetHost, "name": f.Name, "search": f.Search, "account": f.Account} {
			if value != "" {
				query.Set(name, value)
			}
		}
		if f.Failing {
			query.Set("failing", "true")
		}
		next, err := c.address("/subscription/")
		if err != nil {
			yield(nil, err)
			return
		}
		if len(query) > 0 {
			next += "?" + query.Encode()
		}
		pages[Subscription](ctx, c, next, yield)
	}
}
