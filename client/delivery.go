package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// The statuses of a delivery.
const (
	DeliveryPending   = "pending"
	DeliveryDelivered = "delivered"
	DeliveryFailed    = "failed"
	DeliveryDropped   = "dropped"
)

// LoggedDelivery is an event for a subscription, and what has become of it.
type LoggedDelivery struct {
	ID string `json:"id"`
	// Subscription is its id.
	Subscription string      `json:"subscription"`
	Event        LoggedEvent `json:"event"`
	// Status is pending, delivered, failed or dropped.
	Status string `json:"status"`
	// DroppedReason is why it was dropped: shadow or feed; empty where the target asked for it.
	DroppedReason string `json:"dropped_reason,omitempty"`
	// Replay says that it has ended before, and is to be sent again.
	Replay bool `json:"replay"`
	// Fallback says that it is, or was at its end, with the subscription's fallback: the schedule of its target is over.
	Fallback bool `json:"fallback"`
	// AttemptCount counts the attempts that have ended, without those by whose answer the target asked for time.
	AttemptCount int `json:"attempt_count"`
	// NextAttempt is when a pending one is sent; nil where it waits for an earlier event of its instance.
	NextAttempt *time.Time `json:"next_attempt"`
	// RetryReason is why the last attempt of a pending one failed.
	RetryReason string `json:"retry_reason,omitempty"`
	// FinishedAt is when its end was written; nil while it is pending.
	FinishedAt *time.Time `json:"finished_at"`
	// HTTPStatus and DurationMS are those of the attempt by which it ended; nil where there was none, or no answer.
	HTTPStatus *int     `json:"http_status"`
	DurationMS *float64 `json:"duration_ms"`
	// Request is what its attempts have in common, and Attempts are those that have ended. A list has neither.
	Request  *LoggedRequest  `json:"request,omitempty"`
	Attempts []LoggedAttempt `json:"attempts,omitempty"`
}

// LoggedEvent is the event of a delivery.
type LoggedEvent struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Resource  string    `json:"resource"`
	Instance  string    `json:"instance"`
	Position  string    `json:"position"`
	Timestamp time.Time `json:"timestamp"`
}

// LoggedRequest is the request of a delivery, made again for the log as the subscription is now. What is secret is ***.
type LoggedRequest struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	// Headers are by their names in lower case. Those of each attempt stand there.
	Headers map[string]string `json:"headers"`
	// Body is its beginning, of BodyBytes; empty where it is too large to be made for this.
	Body      string `json:"body"`
	BodyBytes int    `json:"body_bytes"`
	Truncated bool   `json:"truncated"`
}

// LoggedAttempt is an attempt that has ended.
type LoggedAttempt struct {
	// Number counts from 1. One that does not count, because the target asked for time, has that of the next one.
	Number    int  `json:"number"`
	Counts    bool `json:"counts"`
	Delivered bool `json:"delivered"`
	// Fallback says that it was made at the subscription's fallback.
	Fallback  bool      `json:"fallback"`
	StartedAt time.Time `json:"started_at"`
	// Headers are those that are this attempt's own.
	Headers map[string]string `json:"headers"`
	// Answer is nil where there was none.
	Answer *LoggedAnswer `json:"answer"`
	// Reason is the typed reason of a failure, Detail more of it for people.
	Reason  string        `json:"reason,omitempty"`
	Detail  string        `json:"detail,omitempty"`
	Timings LoggedTimings `json:"timings"`
}

// LoggedAnswer is what the target answered.
type LoggedAnswer struct {
	Status int `json:"status"`
	// Body is its beginning, of a failure; nil where it was not kept, or is not for the caller.
	Body *string `json:"body"`
}

// LoggedTimings are what the parts of an attempt took, in milliseconds; nil where there was none, as on a connection that was kept.
type LoggedTimings struct {
	DNSMS     *float64 `json:"dns_ms,omitempty"`
	ConnectMS *float64 `json:"connect_ms,omitempty"`
	TLSMS     *float64 `json:"tls_ms,omitempty"`
	// FirstByteMS is from the beginning to the first byte of the answer, TotalMS to the end of its headers.
	FirstByteMS *float64 `json:"first_byte_ms,omitempty"`
	TotalMS     float64  `json:"total_ms"`
}

// DeliveryFilter selects deliveries. What is empty selects all.
type DeliveryFilter struct {
	// Status is pending, delivered, failed or dropped.
	Status string
	// Event is a type such as contact.create, ResourceID an instance, EventID the id of one event.
	Event, ResourceID, EventID string
	// From and To are when they were committed, both inclusive.
	From, To time.Time
}

// Deliveries goes through the deliveries of a subscription, newest event first, page by page. After an error it ends.
func (c *Client) Deliveries(ctx context.Context, subscription string, f DeliveryFilter) iter.Seq2[*LoggedDelivery, error] {
	return func(yield func(*LoggedDelivery, error) bool) {
		query := url.Values{}
		for name, value := range map[string]string{"status": f.Status, "event": f.Event, "resource_id": f.ResourceID, "event_id": f.EventID} {
			if value != "" {
				query.Set(name, value)
			}
		}
		for name, at := range map[string]time.Time{"from": f.From, "to": f.To} {
			if !at.IsZero() {
				query.Set(name, at.UTC().Format(time.RFC3339Nano))
			}
		}
		next, err := c.subscription(subscription)
		if err != nil {
			yield(nil, err)
			return
		}
		if next += "delivery/"; len(query) > 0 {
			next += "?" + query.Encode()
		}
		pages[LoggedDelivery](ctx, c, next, yield)
	}
}

// GetDelivery returns a delivery with its request and its attempts.
func (c *Client) GetDelivery(ctx context.Context, id string) (*LoggedDelivery, error) {
	return c.delivery(ctx, http.MethodGet, id, "/")
}

// Redeliver sends a delivery again that has ended. That it cannot be is an *Error with Status 409.
func (c *Client) Redeliver(ctx context.Context, id string) (*LoggedDelivery, error) {
	return c.delivery(ctx, http.MethodPost, id, "/redeliver")
}

func (c *Client) delivery(ctx context.Context, method, id, rest string) (*LoggedDelivery, error) {
	if id == "" || id == "." || id == ".." {
		return nil, fmt.Errorf("%q is not the id of a delivery: give one that begins with dlv_", id)
	}
	at, err := c.address("/delivery/" + url.PathEscape(id) + rest)
	if err != nil {
		return nil, err
	}
	d := new(LoggedDelivery)
	if _, err := c.do(ctx, method, at, nil, d); err != nil {
		return nil, err
	}
	return d, nil
}
