package client

import (
	"context"
	"net/http"
	"time"
)

// Session is whom rowhook takes the caller for.
type Session struct {
	// Role is admin or account.
	Role string `json:"role"`
	// Account is the customer's; nil for the admin.
	Account *string `json:"account"`
	// Name is that of the token.
	Name     string `json:"name"`
	ReadOnly bool   `json:"read_only"`
	// ExpiresAt is when the session ends if it is not used before; nil for a token of its own.
	ExpiresAt *time.Time `json:"expires_at"`
	// Version is rowhook's.
	Version string `json:"version"`
	// Features are the parts of the API that are there.
	Features []string `json:"features"`
}

// Session tells whom the Client's token lets in.
func (c *Client) Session(ctx context.Context) (*Session, error) {
	at, err := c.address("/session")
	if err != nil {
		return nil, err
	}
	s := new(Session)
	if _, err := c.do(ctx, http.MethodGet, at, nil, s); err != nil {
		return nil, err
	}
	return s, nil
}
