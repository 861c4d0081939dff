package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// EventTypes returns the events that can be subscribed to. It needs no token.
func (c *Client) EventTypes(ctx context.Context) ([]EventType, error) {
	at, err := c.address("/event-type/")
	if err != nil {
		return nil, err
	}
	var types []EventType
	_, err = c.do(ctx, http.MethodGet, at, nil, &types)
	return types, err
}

// EventType returns an event with its schema. It needs no token but for events that are AdminOnly, whose schema the admin gets.
func (c *Client) EventType(ctx context.Context, name string) (*EventType, error) {
	at, err := c.eventType(name)
	if err != nil {
		return nil, err
	}
	t := new(EventType)
	if _, err := c.do(ctx, http.MethodGet, at, nil, t); err != nil {
		return nil, err
	}
	return t, nil
}

// SampleOptions say which samples are wanted.
type SampleOptions struct {
	// Account limits them to rows of an account; only the admin may say so.
	Account *string
	// Format is a name; empty is the default.
	Format string
	// List asks for up to three, the newest first.
	List bool
	// Synthetic asks for one that is of no row.
	Synthetic bool
}

// Samples are bodies as they would be sent.
type Samples struct {
	// Synthetic says that they are of no row.
	Synthetic bool
	Bodies    []json.RawMessage
}

// Sample returns what bodies of the event look like.
func (c *Client) Sample(ctx context.Context, event string, o SampleOptions) (*Samples, error) {
	at, err := c.eventType(event)
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	if o.Account != nil {
		query.Set("account", *o.Account)
	}
	if o.Format != "" {
		query.Set("format", o.Format)
	}
	for name, yes := range map[string]bool{"list": o.List, "synthetic": o.Synthetic} {
		if yes {
			query.Set(name, strconv.FormatBool(yes))
		}
	}
	if at += "sample"; len(query) > 0 {
		at += "?" + query.Encode()
	}
	var body json.RawMessage
	header, err := c.do(ctx, http.MethodGet, at, nil, &body)
	if err != nil {
		return nil, err
	}
	s := &Samples{Synthetic: header.Get("Rowhook-Sample") == "synthetic", Bodies: []json.RawMessage{body}}
	if o.List {
		if err := json.Unmarshal(body, &s.Bodies); err != nil {
			return nil, fmt.Errorf("decode answer: %w", err)
		}
	}
	return s, nil
}

func (c *Client) eventType(name string) (string, error) {
	// An empty one would make it another route.
	if name == "" || name == "." || name == ".." {
		return "", fmt.Errorf("%q is not the name of an event: give one such as contact.create", name)
	}
	return c.address("/event-type/" + url.PathEscape(name) + "/")
}
