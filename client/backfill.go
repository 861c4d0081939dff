package client

import (
	"context"
	"net/http"
	"time"
)

// JobBackfill is the kind of a job that sends rows as they are.
const JobBackfill = "backfill"

// Backfill says which rows are to be sent to a subscription as they are now.
type Backfill struct {
	// Resources are those whose rows are sent; all that the subscription asks for where it is empty.
	Resources []string `json:"resources,omitempty"`
	// Since leaves out rows that were changed last before this time.
	Since *time.Time `json:"since,omitempty"`
	// Rate is how many are sent in a second, at most. 0 is as many as it takes.
	Rate int `json:"rate,omitempty"`
	// DryRun only counts them.
	DryRun bool `json:"dry_run,omitempty"`
}

// BackfillResource is a resource of a backfill.
type BackfillResource struct {
	Resource string `json:"resource"`
	// Total is how many rows there were when it was asked for, whatever Since says: those of its table, of an account's subscription those
	// of the account. Nil is not known. Estimated says that they were not counted.
	Total     *int64 `json:"total"`
	Estimated bool   `json:"estimated"`
	// SinceColumn is the column by which Since goes; empty where it is not asked for.
	SinceColumn string `json:"since_column,omitempty"`
	// Done is how many of them were looked at, of an account's subscription how many are its own, Sent how many events are queued to be sent or sent.
	Done int64 `json:"done"`
	Sent int64 `json:"sent"`
	// Failed is how many rows could not be mapped and were left out, Failure why the first one of them could not: for the admin.
	Failed  int64  `json:"failed"`
	Failure string `json:"failure,omitempty"`
}

// BackfillCount tells how many rows a backfill would look at.
type BackfillCount struct {
	// Total is that of all Resources, nil where one is not known.
	Total     *int64             `json:"total"`
	Estimated bool               `json:"estimated"`
	DryRun    bool               `json:"dry_run"`
	Resources []BackfillResource `json:"resources"`
}

// Backfill asks for rows to be sent to a subscription as they are, which may take time: see Job.
func (c *Client) Backfill(ctx context.Context, id string, b Backfill) (*Job, error) {
	b.DryRun = false
	j := new(Job)
	if err := c.backfill(ctx, id, b, j); err != nil {
		return nil, err
	}
	return j, nil
}

// CountBackfill counts the rows that Backfill would look at.
func (c *Client) CountBackfill(ctx context.Context, id string, b Backfill) (*BackfillCount, error) {
	b.DryRun = true
	n := new(BackfillCount)
	if err := c.backfill(ctx, id, b, n); err != nil {
		return nil, err
	}
	return n, nil
}

func (c *Client) backfill(ctx context.Context, id string, b Backfill, into any) error {
	at, err := c.subscription(id)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, at+"backfill", b, into)
	return err
}
