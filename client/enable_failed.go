package client

import (
	"context"
	"net/http"
	"time"
)

// EnableFailed selects subscriptions that rowhook has disabled because their targets took nothing: by what is given, together, or All
// of them.
type EnableFailed struct {
	// Event, TargetHost, Name and Account are as in Filter.
	Event      string `json:"event,omitzero"`
	TargetHost string `json:"target_host,omitzero"`
	Name       string `json:"name,omitzero"`
	Account    string `json:"account,omitzero"`
	// DisabledAfter selects those that were disabled then or later, DisabledBefore those that were disabled before.
	DisabledAfter  *time.Time `json:"disabled_after,omitzero"`
	DisabledBefore *time.Time `json:"disabled_before,omitzero"`
	All            bool       `json:"all,omitzero"`
	// DryRun only counts.
	DryRun bool `json:"dry_run,omitzero"`
	// After is that of the answer before, to go on; Limit the most of one request, 1000 if it is 0.
	After string `json:"after,omitzero"`
	Limit int    `json:"limit,omitzero"`
}

// Enabled tells how many subscriptions were enabled, or would be.
type Enabled struct {
	Enabled int `json:"enabled"`
	// Skipped could not be, because their leases are over.
	Skipped int  `json:"skipped"`
	DryRun  bool `json:"dry_run"`
	// More says that there may be more: After is where to go on.
	More  bool   `json:"more"`
	After string `json:"after,omitempty"`
}

// EnableFailed enables the subscriptions, page by page until there are no more, and tells how many they were: after an error those of
// the pages before it.
func (c *Client) EnableFailed(ctx context.Context, want EnableFailed) (*Enabled, error) {
	at, err := c.address("/subscription/enable")
	if err != nil {
		return nil, err
	}
	all := &Enabled{DryRun: want.DryRun}
	for {
		var page Enabled
		if _, err := c.do(ctx, http.MethodPost, at, want, &page); err != nil {
			return all, err
		}
		all.Enabled += page.Enabled
		all.Skipped += page.Skipped
		if !page.More || page.After == "" {
			return all, nil
		}
		want.After = page.After
	}
}
