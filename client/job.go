package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// The states of a Job.
const (
	JobQueued    = "queued"
	JobRunning   = "running"
	JobDone      = "done"
	JobFailed    = "failed"
	JobCancelled = "cancelled"
)

// JobReplay is the kind of a job that sends events again.
const JobReplay = "replay"

// The states of deliveries that a Replay selects.
const (
	ReplayFailed    = "failed"
	ReplayDelivered = "delivered"
	ReplayDropped   = "dropped"
	ReplayMissed    = "missed"
	ReplayAll       = "all"
)

// Replay selects events that are to be sent to a subscription again: of those that were for it, and of which something has become. It
// needs From, FromPosition or EventIDs.
type Replay struct {
	// From and To are times of commits, FromPosition and ToPosition positions; all of them included. To is now where neither it nor
	// ToPosition is given.
	From         *time.Time `json:"from,omitempty"`
	To           *time.Time `json:"to,omitempty"`
	FromPosition string     `json:"from_position,omitempty"`
	ToPosition   string     `json:"to_position,omitempty"`
	// EventIDs are the ids of events, Events types such as contact.create or deal.*, ResourceID that of one instance. What is empty
	// selects all.
	EventIDs   []string `json:"event_ids,omitempty"`
	Events     []string `json:"events,omitempty"`
	ResourceID string   `json:"resource_id,omitempty"`
	// State says what has become of them last: failed, which is meant where it is empty, delivered, dropped, missed (failed or dropped)
	// or all.
	State string `json:"state,omitempty"`
	// Rate is how many are sent in a second, at most. 0 is as many as it takes.
	Rate int `json:"rate,omitempty"`
	// DryRun only counts them.
	DryRun bool `json:"dry_run,omitempty"`
}

// ReplayCount tells how many events would be sent again.
type ReplayCount struct {
	Total int64 `json:"total"`
	// AtLeast says that there may be more: counting was ended because it took long.
	AtLeast bool `json:"at_least"`
	DryRun  bool `json:"dry_run"`
}

// Job is something that was asked for and takes longer than a request.
type Job struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// Subscription is the id of whose it is.
	Subscription string `json:"subscription"`
	// State is queued, running, done, failed or cancelled.
	State string `json:"state"`
	// Total is how much there was to be done when it was asked for, nil where that took too long to count. Done is how much has been.
	Total *int64 `json:"total"`
	Done  int64  `json:"done"`
	// Replay, or Backfill, is what was asked for; Resources are those of a backfill.
	Replay    *Replay            `json:"replay,omitempty"`
	Backfill  *Backfill          `json:"backfill,omitempty"`
	Resources []BackfillResource `json:"resources,omitempty"`
	// Position is, of a backfill, that behind which all stands that it tells, and every change from when it began; empty before.
	Position string `json:"position,omitempty"`
	// Error is why it failed.
	Error       string     `json:"error,omitempty"`
	RequestedBy string     `json:"requested_by"`
	CreatedAt   time.Time  `json:"created_at"`
	StartedAt   *time.Time `json:"started_at"`
	FinishedAt  *time.Time `json:"finished_at"`
}

// Ended says whether nothing more is done.
func (j *Job) Ended() bool { return j.FinishedAt != nil }

// Replay asks for events to be sent to a subscription again, which may take time: see Job.
func (c *Client) Replay(ctx context.Context, id string, r Replay) (*Job, error) {
	r.DryRun = false
	j := new(Job)
	if err := c.replay(ctx, id, r, j); err != nil {
		return nil, err
	}
	return j, nil
}

// CountReplay counts the events that Replay would send again.
func (c *Client) CountReplay(ctx context.Context, id string, r Replay) (*ReplayCount, error) {
	r.DryRun = true
	n := new(ReplayCount)
	if err := c.replay(ctx, id, r, n); err != nil {
		return nil, err
	}
	return n, nil
}

func (c *Client) replay(ctx context.Context, id string, r Replay, into any) error {
	at, err := c.subscription(id)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, at+"replay", r, into)
	return err
}

// Job returns a job.
func (c *Client) Job(ctx context.Context, id string) (*Job, error) {
	at, err := c.jobAddress(id)
	if err != nil {
		return nil, err
	}
	j := new(Job)
	if _, err := c.do(ctx, http.MethodGet, at, nil, j); err != nil {
		return nil, err
	}
	return j, nil
}

// CancelJob ends a job. What it has queued to be sent is sent.
func (c *Client) CancelJob(ctx context.Context, id string) error {
	at, err := c.jobAddress(id)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodDelete, at, nil, nil)
	return err
}

// Jobs returns the newest jobs of a subscription, newest first: 1000 at most.
func (c *Client) Jobs(ctx context.Context, subscription string) ([]*Job, error) {
	at, err := c.subscription(subscription)
	if err != nil {
		return nil, err
	}
	jobs := []*Job{}
	_, err = c.do(ctx, http.MethodGet, at+"job?limit=1000", nil, &jobs)
	return jobs, err
}

func (c *Client) jobAddress(id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", fmt.Errorf("%q is not the id of a job: it begins with job_", id)
	}
	return c.address("/job/" + url.PathEscape(id))
}
