package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// The results of an import.
const (
	// ImportMade is that there is the subscription now, ImportPresent that there was the same one already.
	ImportMade    = "made"
	ImportPresent = "present"
)

// Imported tells what came of a subscription that was imported.
type Imported struct {
	ID     string `json:"id"`
	Result string `json:"result"`
	// Secret is that of one that was made, if none was given. It cannot be read again.
	Secret string `json:"secret,omitzero"`
	// DryRun says that the result is what would have come of it.
	DryRun bool `json:"dry_run"`
}

// Import takes over a subscription from elsewhere: a JSON object as for Create, with the id that it has there, and if
// wanted its secret, its state and its created_at. A dry run changes nothing. It needs an admin's token. That the id is
// another subscription's is an *Error with Status 409.
func (c *Client) Import(ctx context.Context, subscription json.RawMessage, dryRun bool) (*Imported, error) {
	at, err := c.address("/subscription/import")
	if err != nil {
		return nil, err
	}
	if dryRun {
		at += "?dry_run=true"
	}
	out := new(Imported)
	if _, err := c.do(ctx, http.MethodPost, at, subscription, out); err != nil {
		return nil, err
	}
	return out, nil
}
