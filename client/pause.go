package client

import (
	"context"
	"net/http"
	"regexp"
	"time"
)

// Pausing asks to send nothing.
type Pausing struct {
	// Reason is shown wherever the pause is: at most 500 bytes.
	Reason string `json:"reason,omitempty"`
}

// Pause tells whether nothing is sent because somebody has said so. What is zero without one is left out of it.
type Pause struct {
	Paused bool       `json:"paused"`
	Since  *time.Time `json:"since"`
	Reason string     `json:"reason"`
	// By is the name of the token by which it was said.
	By string `json:"by"`
	// UnderWay is how many requests have not ended yet, Waiting how many deliveries are in the store. Both are nil where another process
	// sends, or where nothing is paused.
	UnderWay *int `json:"under_way"`
	Waiting  *int `json:"waiting"`
}

// Drain asks to wait until everything up to a position of the log is delivered or stored.
type Drain struct {
	// UntilLSN is the position, as Postgres writes it; empty is everything that is committed when it is asked.
	UntilLSN string `json:"until_lsn,omitempty"`
	// Wait is how long the answer may take, as a duration: at most a minute, 10s if it is empty.
	Wait string `json:"wait,omitempty"`
}

// Drained tells how far it has come.
type Drained struct {
	// Drained says that everything up to UntilLSN is delivered or stored, and that the slot has confirmed it.
	Drained  bool   `json:"drained"`
	UntilLSN string `json:"until_lsn"`
	// ConfirmedLSN is up to where that is so; empty where it is not known.
	ConfirmedLSN string `json:"confirmed_lsn"`
	// Waiting is how many deliveries are in the store, to be sent.
	Waiting int `json:"waiting"`
	// Paused says that they wait until somebody resumes.
	Paused bool `json:"paused"`
	// Reason is what is in the way where it is not drained.
	Reason string `json:"reason"`
}

var lsnPattern = regexp.MustCompile(`^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$`)

// IsLSN says whether a text is a position of the log as Postgres writes it, such as 0/16B3748.
func IsLSN(text string) bool { return lsnPattern.MatchString(text) }

// Pause lets nothing be sent until Resume. What is committed meanwhile is read, and kept in the store. It needs an admin's token.
func (c *Client) Pause(ctx context.Context, reason string) (*Pause, error) {
	p := new(Pause)
	return p, c.operation(ctx, http.MethodPost, "/pause", Pausing{Reason: reason}, p)
}

// Paused tells whether nothing is sent because of Pause. It needs an admin's token.
func (c *Client) Paused(ctx context.Context) (*Pause, error) {
	p := new(Pause)
	return p, c.operation(ctx, http.MethodGet, "/pause", nil, p)
}

// Drain waits, as long as it says, until everything up to a position is delivered or stored. It needs an admin's token. That another
// process reads the log is an *Error with Status 409.
func (c *Client) Drain(ctx context.Context, want Drain) (*Drained, error) {
	d := new(Drained)
	return d, c.operation(ctx, http.MethodPost, "/drain", want, d)
}

// operation is a request whose answer is into.
func (c *Client) operation(ctx context.Context, method, path string, body, into any) error {
	at, err := c.address(path)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, method, at, body, into)
	return err
}
