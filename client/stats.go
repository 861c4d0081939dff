package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// SubscriptionStats is how a subscription fares.
type SubscriptionStats struct {
	// Subscription is the id of the one.
	Subscription string    `json:"subscription"`
	At           time.Time `json:"at"`
	// Hour and Day count what was committed in the last hour, and in the last 24.
	Hour DeliveryWindow `json:"hour"`
	Day  DeliveryWindow `json:"day"`
	// Waiting is what is stored to be sent.
	Waiting WaitingDeliveries `json:"waiting"`
	// PausedUntil is until when the target has asked to be left alone; nil where it has not.
	PausedUntil *time.Time `json:"paused_until"`
	// FailingSince is since when the target takes nothing, and LastError how the last attempt ended; nil where it takes something.
	FailingSince *time.Time `json:"failing_since"`
	LastError    *LastError `json:"last_error"`
}

// LastError is how the last attempt ended: the answer's status, nil where there was none, and the typed reason.
type LastError struct {
	At     time.Time `json:"at"`
	Status *int      `json:"status"`
	Reason string    `json:"reason"`
}

// DeliveryWindow counts deliveries that have ended, by how they did the first time.
type DeliveryWindow struct {
	Seconds   int `json:"seconds"`
	Delivered int `json:"delivered"`
	Failed    int `json:"failed"`
	Dropped   int `json:"dropped"`
	// SuccessRate is the part of those that were not dropped that was delivered; nil where there is none.
	SuccessRate *float64 `json:"success_rate"`
	// Complete says that all were counted. Else there were too many, and it is those since CountedSince.
	Complete     bool      `json:"complete"`
	CountedSince time.Time `json:"counted_since"`
}

// WaitingDeliveries are those that are stored to be sent.
type WaitingDeliveries struct {
	Count int `json:"count"`
	// AtLeast says that there are more than were counted, which is true of Keys too.
	AtLeast bool `json:"at_least"`
	// Keys are the ordering keys that they belong to.
	Keys int `json:"keys"`
	// OldestAt is when the oldest one's event was committed.
	OldestAt         *time.Time `json:"oldest_at"`
	OldestAgeSeconds *float64   `json:"oldest_age_seconds"`
	NextAttemptAt    *time.Time `json:"next_attempt_at"`
}

// Stats tells how a subscription fares.
func (c *Client) Stats(ctx context.Context, subscription string) (*SubscriptionStats, error) {
	at, err := c.subscription(subscription)
	if err != nil {
		return nil, err
	}
	v := new(SubscriptionStats)
	if _, err := c.do(ctx, http.MethodGet, at+"stats", nil, v); err != nil {
		return nil, err
	}
	return v, nil
}

// StatsOf tells how up to 50 subscriptions fare, in their order. Those that are not there are left out.
func (c *Client) StatsOf(ctx context.Context, subscriptions ...string) ([]SubscriptionStats, error) {
	at, err := c.address("/subscription/stats")
	if err != nil {
		return nil, err
	}
	var v []SubscriptionStats
	if _, err := c.do(ctx, http.MethodGet, at+"?"+url.Values{"id": {strings.Join(subscriptions, ",")}}.Encode(), nil, &v); err != nil {
		return nil, err
	}
	return v, nil
}
