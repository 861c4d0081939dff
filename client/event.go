package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// FeedQuery says which part of a subscription's feed is wanted. What is empty selects all.
type FeedQuery struct {
	// After is a cursor: what was committed behind it is wanted, in that order. "oldest" is all that is kept, "latest" what is
	// to come. Empty is newest first.
	After string
	// Before is the Older of the page before, for newest first.
	Before string
	// Types are names of events: contact.create, or contact.* for all of a resource.
	Types []string
	// ResourceID is an instance.
	ResourceID string
	// Missed leaves out what was delivered.
	Missed bool
	// Limit is how many are wanted at most; 0 is 100.
	Limit int
	// Wait, with After, is how long rowhook waits when there is nothing: at most a minute. The Client's HTTP must allow it.
	Wait time.Duration
}

// EventQuery says which events are wanted. What is empty selects all.
type EventQuery struct {
	// After and Before are as in FeedQuery.
	After, Before string
	// Types are names of events: contact.create, or contact.* for all of a resource.
	Types []string
	// ResourceID is an instance.
	ResourceID string
	// Since and Until bound the time of the commit, both inclusive.
	Since, Until time.Time
	// Format is the form of the events; empty is standard.
	Format string
	// Limit is how many are wanted at most; 0 is 100.
	Limit int
}

// EventPage is a part of a feed, or of a list of events.
type EventPage struct {
	// Events are JSON, in the form that the subscription's target gets them in.
	Events []json.RawMessage
	// Cursor is the After of the next page.
	Cursor string
	// Older is, newest first, the Before of the next page; empty when there is none.
	Older string
}

// Feed returns a part of what a subscription has matched. A cursor that is too old is an *Error with Status 410 and Oldest.
func (c *Client) Feed(ctx context.Context, id string, q FeedQuery) (*EventPage, error) {
	at, err := c.subscription(id)
	if err != nil {
		return nil, err
	}
	query := eventQuery(q.After, q.Before, q.Types, q.ResourceID, q.Limit)
	if q.Missed {
		query.Set("missed", "true")
	}
	if q.Wait > 0 {
		query.Set("wait", q.Wait.String())
	}
	return c.events(ctx, at+"event/", query)
}

// Events returns a part of what has happened to the rows that the token may see.
func (c *Client) Events(ctx context.Context, q EventQuery) (*EventPage, error) {
	at, err := c.address("/event/")
	if err != nil {
		return nil, err
	}
	query := eventQuery(q.After, q.Before, q.Types, q.ResourceID, q.Limit)
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			query.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	if q.Format != "" {
		query.Set("format", q.Format)
	}
	return c.events(ctx, at, query)
}

// followWait is how long one request of FollowFeed waits: less than the timeout of a Client without HTTP.
const followWait = 20 * time.Second

// followPause is how soon FollowFeed asks again where nothing is waited for: nothing comes any more to a subscription that is disabled.
const followPause = time.Second

// FollowFeed goes through a subscription's feed from q.After on, and waits for what comes, until ctx is done. Each page has
// events in it, or only a new Cursor. After an error it ends; it can be begun again with the Cursor of the last page.
func (c *Client) FollowFeed(ctx context.Context, id string, q FeedQuery) iter.Seq2[*EventPage, error] {
	return func(yield func(*EventPage, error) bool) {
		if q.Wait == 0 {
			q.Wait = followWait
		}
		for {
			began := time.Now()
			page, err := c.Feed(ctx, id, q)
			if err != nil {
				yield(nil, err)
				return
			}
			if q.After = page.Cursor; !yield(page, nil) {
				return
			}
			if len(page.Events) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
			case <-time.After(followPause - time.Since(began)):
			}
		}
	}
}

func eventQuery(after, before string, types []string, instance string, limit int) url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"after": after, "before": before, "resource_id": instance} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	for _, t := range types {
		query.Add("type", t)
	}
	return query
}

// events reads a page of events.
func (c *Client) events(ctx context.Context, at string, query url.Values) (*EventPage, error) {
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	p := new(EventPage)
	header, err := c.do(ctx, http.MethodGet, at, nil, &p.Events)
	if err != nil {
		return nil, err
	}
	p.Cursor = header.Get("Rowhook-Cursor")
	next, err := nextPage(at, header)
	if err != nil || next == "" {
		return p, err
	}
	u, err := url.Parse(next)
	if err != nil {
		return nil, err
	}
	p.Older = u.Query().Get("before")
	return p, nil
}
