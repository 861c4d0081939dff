package client

import (
	"context"
	"net/http"
)

// Rotation says how a secret is rotated. What is empty is rowhook's default.
type Rotation struct {
	// Secret is the new one; empty lets rowhook make one.
	Secret string `json:"secret,omitzero"`
	// KeepOld is for how long the present one goes on signing beside it, a duration such as 24h, the default, or 0s.
	KeepOld string `json:"keep_old,omitzero"`
}

// RotateSecret gives the subscription a new secret, and returns it with that secret, which cannot be read again.
func (c *Client) RotateSecret(ctx context.Context, id string, r Rotation) (*Subscription, error) {
	return c.act(ctx, id, "rotate-secret", r)
}

// Enable lets a disabled subscription go on, with what commits from then on.
func (c *Client) Enable(ctx context.Context, id string) (*Subscription, error) {
	return c.act(ctx, id, "enable", nil)
}

// Disable stops the subscription until it is enabled. The reason is for people, and may be empty.
func (c *Client) Disable(ctx context.Context, id, reason string) (*Subscription, error) {
	return c.act(ctx, id, "disable", map[string]string{"reason": reason})
}

// Pinged tells how a ping ended.
type Pinged struct {
	Delivered bool `json:"delivered"`
	// Status is the answer's, nil where there was none.
	Status     *int    `json:"status"`
	DurationMS float64 `json:"duration_ms"`
	// Reason is the typed reason of a failure, Detail says more for people.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Ping sends a message of the type rowhook.ping to the subscription's target at once, and tells how that ended. That it
// was not delivered is no error.
func (c *Client) Ping(ctx context.Context, id string) (*Pinged, error) {
	at, err := c.subscription(id)
	if err != nil {
		return nil, err
	}
	p := new(Pinged)
	if _, err := c.do(ctx, http.MethodPost, at+"ping", nil, p); err != nil {
		return nil, err
	}
	return p, nil
}

// Confirm agrees to a subscription as its target, by what the target was given. It needs no token.
func (c *Client) Confirm(ctx context.Context, id, secret string) error {
	at, err := c.subscription(id)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, http.MethodPost, at+"confirm", nil, "", http.Header{"X-Hook-Secret": {secret}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return readError(resp)
	}
	return nil
}

func (c *Client) act(ctx context.Context, id, what string, body any) (*Subscription, error) {
	at, err := c.subscription(id)
	if err != nil {
		return nil, err
	}
	s := new(Subscription)
	if _, err := c.do(ctx, http.MethodPost, at+what, body, s); err != nil {
		return nil, err
	}
	return s, nil
}
