package client

import (
	"encoding/json"
	"time"
)

// Subscription is a stored wish to get events at a URL. What is zero is left out when it is sent: on Create and Replace
// it gets its default.
type Subscription struct {
	ID string `json:"id,omitzero"`
	// Account is nil in a subscription of the admin, which gets the events of all accounts. Only the admin may send it.
	Account *string `json:"account,omitzero"`
	// Events are names (contact.create), all of a resource (deal.*), or all (*).
	Events []string `json:"events,omitzero"`
	// TargetURL has *** in the place of its credentials when it was received.
	TargetURL string `json:"target_url,omitzero"`
	// FeedOnly says that target_url is null: what matches is stored and never sent.
	FeedOnly bool `json:"-"`
	// ResourceID, when not nil, limits it to the events of this instance.
	ResourceID *string `json:"resource_id,omitzero"`
	// Filter, when not empty, is an expression that has to be true of an event. FilterError, which is read-only, tells what it
	// failed on.
	Filter      string       `json:"filter,omitzero"`
	FilterError *FilterError `json:"filter_error,omitzero"`
	// IgnoreSources are sources whose events are not sent to it.
	IgnoreSources []string `json:"ignore_sources,omitzero"`
	// ExpiresAt ends it: it gets what is committed before. Nil is no end.
	ExpiresAt *time.Time `json:"expires_at,omitzero"`
	// State can be sent as active, or shadow, to which nothing is sent; received it may be pending, disabled or expired too.
	// DisabledReason and the other times are read-only.
	State          string          `json:"state,omitzero"`
	DisabledReason *DisabledReason `json:"disabled_reason,omitzero"`
	// FailingSince is since when its target has taken nothing, nil where it takes something; LastFailure is how the last attempt
	// ended then. They are read-only.
	FailingSince *time.Time  `json:"failing_since,omitzero"`
	LastFailure  *LastAnswer `json:"last_failure,omitzero"`
	Delivery     Delivery    `json:"delivery,omitzero"`
	Request      Request     `json:"request,omitzero"`
	// Verification is secret or challenge where the target is asked whether it agrees, else none. VerificationStatus, which is
	// read-only, is how far that has come.
	Verification       string              `json:"verification,omitzero"`
	VerificationStatus *VerificationStatus `json:"verification_status,omitzero"`
	// NotifyEnd lets rowhook tell the target, by a DELETE, that the subscription is over.
	NotifyEnd   bool              `json:"notify_end,omitzero"`
	Name        string            `json:"name,omitzero"`
	Description string            `json:"description,omitzero"`
	Metadata    map[string]string `json:"metadata,omitzero"`
	CreatedAt   time.Time         `json:"created_at,omitzero"`
	UpdatedAt   time.Time         `json:"updated_at,omitzero"`
	// SignaturePublicKey is read-only: it checks signatures of the scheme standard_v1a.
	SignaturePublicKey string `json:"signature_public_key,omitzero"`
	// Secret signs. It is received once, from Create.
	Secret string `json:"secret,omitzero"`
}

// FilterError tells that a filter failed on events, which were not sent for that.
type FilterError struct {
	Message string `json:"message"`
	// EventID and EventType are those of the last event that it failed on; Count is on how many it has failed since it was
	// set.
	EventID   string    `json:"event_id"`
	EventType string    `json:"event_type"`
	At        time.Time `json:"at"`
	Count     int64     `json:"count"`
}

// DisabledReason tells who disabled a subscription, why and since when.
type DisabledReason struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	// FailingSince and LastAnswer are there where rowhook disabled it, because its target took nothing since then; Missed, where events that were kept for it
	// are older than the retention.
	FailingSince *time.Time  `json:"failing_since,omitzero"`
	LastAnswer   *LastAnswer `json:"last_answer,omitzero"`
	Missed       *Missed     `json:"missed,omitzero"`
	// FailedMissed says that what had failed for good before is not kept any more: Missed counts it.
	FailedMissed bool `json:"failed_missed,omitzero"`
}

// LastAnswer is how the last attempt ended: the answer's status, nil where there was none, and the typed reason.
type LastAnswer struct {
	Status *int      `json:"status"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Missed tells how many events are never sent, when the last of them was committed, and where it stands: empty where that is not
// known.
type Missed struct {
	Count    int       `json:"count"`
	Until    time.Time `json:"until"`
	Position string    `json:"position,omitempty"`
}

// VerificationStatus is how far the verification of a target has come.
type VerificationStatus struct {
	Attempts    int        `json:"attempts"`
	LastAttempt *time.Time `json:"last_attempt"`
	// LastError is why the last attempt did not confirm; empty where the target has taken it.
	LastError string `json:"last_error"`
	// NextAttempt is nil where no more are made. ExpiresAt is until when the target may confirm.
	NextAttempt *time.Time `json:"next_attempt"`
	ExpiresAt   *time.Time `json:"expires_at"`
	ConfirmedAt *time.Time `json:"confirmed_at"`
}

// Delivery overrides rowhook's defaults of delivery; what is zero does not.
type Delivery struct {
	// Timeout is a duration such as 15s.
	Timeout string   `json:"timeout,omitzero"`
	Retries *Retries `json:"retries,omitzero"`
	// Ordering is resource or none.
	Ordering    string `json:"ordering,omitzero"`
	MaxInFlight int    `json:"max_in_flight,omitzero"`
	// RateLimit is how many requests the target gets in a time, such as 10/s, 600/m or 5000/h.
	RateLimit string `json:"rate_limit,omitzero"`
	// Debounce is how long changes of an instance are gathered to be sent as one: a duration such as 15s, or 0s for not at all.
	Debounce string `json:"debounce,omitzero"`
	// FallbackURL is where an event goes after the last retry has failed. It has *** in the place of its credentials when it was received.
	FallbackURL string `json:"fallback_url,omitzero"`
	// Batch lets several events come in one request; nil for one in each.
	Batch *Batch `json:"batch,omitzero"`
	// MaxBody is a size such as 256KiB.
	MaxBody string `json:"max_body,omitzero"`
}

// Batch is how several events come in one request. What is zero is rowhook's default.
type Batch struct {
	// Max is the most events of a request, Bytes a size such as 256KiB, Wait a duration such as 1s.
	Max   int    `json:"max,omitzero"`
	Bytes string `json:"bytes,omitzero"`
	Wait  string `json:"wait,omitzero"`
}

// Retries is a schedule: the waits before each retry as durations such as 5m, or, where Waits is nil, how many of
// rowhook's own schedule to use. An empty Waits that is not nil is no retries, as is a zero Count.
type Retries struct {
	Count int
	Waits []string
}

// MarshalJSON writes the count or the list.
func (r Retries) MarshalJSON() ([]byte, error) {
	if r.Waits == nil {
		return json.Marshal(r.Count)
	}
	return json.Marshal(r.Waits)
}

// UnmarshalJSON reads a count or a list.
func (r *Retries) UnmarshalJSON(b []byte) error {
	*r = Retries{}
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, &r.Waits)
	}
	return json.Unmarshal(b, &r.Count)
}

// Patch is a JSON merge patch of a subscription: members by their names on the wire; nil puts one back to its default.
type Patch map[string]any

// EventType is an event that can be subscribed to.
type EventType struct {
	Name     string `json:"name"`
	Resource string `json:"resource"`
	// AdminOnly events cannot be subscribed to by accounts, for the reason given.
	AdminOnly bool   `json:"admin_only"`
	Reason    string `json:"reason,omitempty"`
	// Schema is the JSON Schema of its bodies in the format standard. A list does not have it, and the admin alone gets that of
	// events that are AdminOnly.
	Schema json.RawMessage `json:"schema,omitempty"`
}

// Readiness says whether rowhook works, and each of its parts.
type Readiness struct {
	Ready bool `json:"ready"`
	// Role is active, standby where another replica works, or proxy where there is only that.
	Role string `json:"role"`
	// Reason tells why it is not ready.
	Reason string `json:"reason,omitempty"`
	Parts  []Part `json:"parts"`
}

// Part is one part of rowhook and its state, in words.
type Part struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// Resume asks to go on where replication is held up until a person decides.
type Resume struct {
	// AcceptGap agrees that changes are missing for ever. Without it only that is confirmed which loses nothing.
	AcceptGap bool `json:"accept_gap"`
	// Drained says that nothing was committed between a drain and the move or upgrade of the database that holds it up (other_database, slot_missing): then
	// nothing is missing, and no subscriber is told of a gap.
	Drained bool `json:"drained"`
}

// Resumed tells what was accepted.
type Resumed struct {
	// PausedSince is since when the pause was that is over now, nil without one.
	PausedSince *time.Time `json:"paused_since"`
	// Incident is its kind, empty where nothing but a pause held up hooks: slot_missing, slot_lost, slot_moved, database_restored, other_database, other_environment,
	// publication_missing, tables_unpublished, undecodable_change, too_large.
	Incident string `json:"incident"`
	// Gap says that changes are missing: those committed between From and To, or some of them. From is nil when it is not
	// known.
	Gap  bool       `json:"gap"`
	From *time.Time `json:"from"`
	To   *time.Time `json:"to"`
	// Told is the number of subscriptions that get a rowhook.gap.
	Told int `json:"told"`
}

// Problem is the body of an error answer. https://www.rfc-editor.org/rfc/rfc9457
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Errors names each field that is wrong.
	Errors []FieldError `json:"errors,omitempty"`
	// ID finds the log line of an internal error.
	ID string `json:"id,omitempty"`
	// Oldest is where to go on from when a cursor is too old: all that is behind it is there.
	Oldest string `json:"oldest,omitempty"`
}

// FieldError is what is wrong with one field of a body: events[1], delivery.timeout; or with the whole, where Field is
// empty.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Token lets a caller in. The admin makes them.
type Token struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Account is the customer whom it lets in as; * is the admin.
	Account   string    `json:"account"`
	ReadOnly  bool      `json:"read_only"`
	CreatedAt time.Time `json:"created_at"`
	// ExpiresAt is nil for one without an end.
	ExpiresAt *time.Time `json:"expires_at"`
	// Token is the token itself. It is received once, from CreateToken.
	Token string `json:"token,omitempty"`
}

// NewToken describes a token to be made.
type NewToken struct {
	Account string `json:"account"`
	// ExpiresIn is a duration such as 720h; empty for one without an end.
	ExpiresIn string `json:"expires_in,omitzero"`
	ReadOnly  bool   `json:"read_only,omitzero"`
	Name      string `json:"name,omitzero"`
}
