package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// The states of a dead letter.
const (
	DeadLetterOpen   = "open"
	DeadLetterClosed = "closed"
)

// DeadLetter is a change that could not be made into an event, and what has become of it.
type DeadLetter struct {
	// ID is the position that its event has.
	ID string `json:"id"`
	// EventID and Type are those of the event; Instance is empty where it is not known.
	EventID  string `json:"event_id"`
	Type     string `json:"type"`
	Resource string `json:"resource"`
	Instance string `json:"instance"`
	// Op is what was done to the row: insert, update, delete or truncate.
	Op     string `json:"op"`
	Reason string `json:"reason"`
	// State is open or closed.
	State string `json:"state"`
	// Tries counts the replays that were tried.
	Tries       int       `json:"tries"`
	CommittedAt time.Time `json:"committed_at"`
	CreatedAt   time.Time `json:"created_at"`
	// RequestedAt is when a replay was asked for that has not ended; nil when there is none.
	RequestedAt *time.Time `json:"requested_at"`
	ClosedAt    *time.Time `json:"closed_at"`
	// ClosedReason is replayed, superseded or discarded; ClosedBy the name of the token that discarded it.
	ClosedReason string `json:"closed_reason,omitempty"`
	ClosedBy     string `json:"closed_by,omitempty"`
}

// DeadLetterFilter selects dead letters. What is empty selects all.
type DeadLetterFilter struct {
	Resource string
	// Reason is a text that is in the reason, whatever the case.
	Reason string
	// State is open or closed.
	State string
}

// DeadLetterReplay selects open dead letters to be replayed: by Resource, Reason and IDs, or All of them.
type DeadLetterReplay struct {
	Resource string   `json:"resource,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	IDs      []string `json:"ids,omitempty"`
	All      bool     `json:"all,omitempty"`
	// DryRun only counts them.
	DryRun bool `json:"dry_run,omitempty"`
}

// DeadLettersReplayed tells how many are, or would be, replayed.
type DeadLettersReplayed struct {
	Count  int  `json:"count"`
	DryRun bool `json:"dry_run"`
}

// DeadLetters goes through the dead letters, newest first, page by page. It needs an admin's token. After an error it ends.
func (c *Client) DeadLetters(ctx context.Context, f DeadLetterFilter) iter.Seq2[*DeadLetter, error] {
	return func(yield func(*DeadLetter, error) bool) {
		next, err := c.address("/dead-letter/")
		query := url.Values{}
		for name, value := range map[string]string{"resource": f.Resource, "reason": f.Reason, "state": f.State} {
			if value != "" {
				query.Set(name, value)
			}
		}
		if len(query) > 0 {
			next += "?" + query.Encode()
		}
		for err == nil && next != "" {
			var page []*DeadLetter
			var header http.Header
			if header, err = c.do(ctx, http.MethodGet, next, nil, &page); err != nil {
				break
			}
			for _, l := range page {
				if !yield(l, nil) {
					return
				}
			}
			next, err = nextPage(next, header)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// DeadLetter returns a dead letter.
func (c *Client) DeadLetter(ctx context.Context, id string) (*DeadLetter, error) {
	return c.letter(ctx, http.MethodGet, id, "/")
}

// ReplayDeadLetter asks for the replay of one. It is done when the letter is closed, or its Tries have grown.
func (c *Client) ReplayDeadLetter(ctx context.Context, id string) (*DeadLetter, error) {
	return c.letter(ctx, http.MethodPost, id, "/replay")
}

// ReplayDeadLetters asks for the replay of those that are selected, and tells how many they are.
func (c *Client) ReplayDeadLetters(ctx context.Context, r DeadLetterReplay) (*DeadLettersReplayed, error) {
	at, err := c.address("/dead-letter/replay")
	if err != nil {
		return nil, err
	}
	out := new(DeadLettersReplayed)
	if _, err := c.do(ctx, http.MethodPost, at, r, out); err != nil {
		return nil, err
	}
	return out, nil
}

// DiscardDeadLetter closes an open one: its event is never sent.
func (c *Client) DiscardDeadLetter(ctx context.Context, id string) error {
	at, err := c.letterAddress(id, "/")
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodDelete, at, nil, nil)
	return err
}

func (c *Client) letterAddress(id, rest string) (string, error) {
	if id == "" || id == "." || id == ".." || id == "replay" {
		return "", fmt.Errorf("%q is not the id of a dead letter: give one of 40 hex digits", id)
	}
	return c.address("/dead-letter/" + url.PathEscape(id) + rest)
}

func (c *Client) letter(ctx context.Context, method, id, rest string) (*DeadLetter, error) {
	at, err := c.letterAddress(id, rest)
	if err != nil {
		return nil, err
	}
	l := new(DeadLetter)
	if _, err := c.do(ctx, method, at, nil, l); err != nil {
		return nil, err
	}
	return l, nil
}
