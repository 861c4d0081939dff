package subscriptions

import (
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
)

// Subscription is the stored wish of an account, or of the admin, to get events at a URL. One that is shared between
// goroutines is never changed: a change makes a new one with a higher Version.
type Subscription struct {
	// Key is the store's number of the subscription, never shown and never used again.
	Key int64
	// ID begins with sub_.
	ID string
	// Version grows with every change of the subscription.
	Version int64
	// Account is the customer that it belongs to; empty, with Admin set, for a subscription of the admin, which gets the
	// events of every account and of resources without one.
	Account string
	Admin   bool
	// Events are names (contact.create), all of a resource (deal.*), or all (*).
	Events []string
	// TargetURL may hold credentials: it is shown only through ShownTarget. Empty is feed only: what matches is stored and
	// never sent.
	TargetURL secret.String
	// ResourceID, when not empty, limits it to the events of this instance.
	ResourceID string
	// Filter, when not empty, is an expression that has to be true of an event; FilterError is what it failed on, nil if on
	// nothing.
	Filter      string
	FilterError *FilterError
	// IgnoreSources are the sources, as the application names them in the context of its transactions, whose events it does
	// not get: those that it causes itself.
	IgnoreSources []string
	// Secrets sign, newest first. Those after the first are being rotated out.
	Secrets  []SigningSecret
	Delivery DeliveryOptions
	// FallbackURL is where events go whose schedule is over, and may hold credentials as TargetURL does; empty for nowhere.
	FallbackURL secret.String
	// Request says how requests to the target are made; nil for the defaults.
	Request *Request
	State   State
	// Before is what a disabled or expired one goes back to; empty is Active. One that was Pending is sent nothing, also of what
	// it matched when it had another target.
	Before State
	// ExpiresAt ends it, to the microsecond: it gets only transactions that were committed before, by the clock of the
	// source. Zero is no end.
	ExpiresAt time.Time
	// Disabled tells why a disabled or expired subscription is that.
	Disabled *DisabledReason
	// ResendSince says that nothing is sent to it yet: first all that has failed for good since then is to be due again. Zero where
	// nothing is.
	ResendSince time.Time
	// Failing is there while its target takes nothing, as far as that is known. It makes no new version.
	Failing *Failing
	// Verification is how its target is asked whether it wants what is sent: VerifySecret, VerifyChallenge, or empty.
	// VerificationStatus is how far that has come.
	Verification       string
	VerificationStatus *VerificationStatus
	// NotifyEnd lets rowhook tell the target, by a DELETE, that the subscription is over.
	NotifyEnd bool
	Name      string
	// Description and Metadata are the owner's own.
	Description string
	Metadata    map[string]string
	// Since is a position of the source's log before the subscription was committed: it gets only transactions whose
	// commit is after it. Zero for one that was made without a source.
	Since     cdc.LSN
	CreatedAt time.Time
	UpdatedAt time.Time
}

// SigningSecret is a whsec_… secret and, for one that is being rotated out, until when it signs (zero: without end).
type SigningSecret struct {
	Secret secret.String `json:"secret"`
	Until  time.Time     `json:"until,omitzero"`
}

// State is where a subscription stands.
type State string

// The states. Active and Shadow ones match; only to Active ones is sent, and to Expired ones what they matched before,
// unless their target has not agreed.
const (
	Active   State = "active"
	Shadow   State = "shadow"
	Disabled State = "disabled"
	// Pending waits for its target to agree. Expired is over: its lease has ended, or its target did not agree.
	Pending State = "pending"
	Expired State = "expired"
)

// States are all of them.
var States = []State{Active, Shadow, Pending, Disabled, Expired}

// DisabledReason tells who disabled a subscription, why and since when.
type DisabledReason struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	// FailingSince and LastAnswer are there where its target has taken nothing for too long: since when, and how the last attempt ended.
	FailingSince *time.Time  `json:"failing_since,omitempty"`
	LastAnswer   *LastAnswer `json:"last_answer,omitempty"`
	// Missed is there where something that was kept for it is older than what is kept.
	Missed *Missed `json:"missed,omitempty"`
	// FailedMissed says that what had failed for good before is not kept any more: Missed counts it.
	FailedMissed bool `json:"failed_missed,omitempty"`
}

// DeliveryOptions override the config's delivery block; what is nil or empty is the config's.
type DeliveryOptions struct {
	Timeout *Duration `json:"timeout,omitempty"`
	Retries *Retries  `json:"retries,omitempty"`
	// Ordering is OrderingResource or OrderingNone.
	Ordering    string `json:"ordering,omitempty"`
	MaxInFlight int    `json:"max_in_flight,omitempty"`
	// RateLimit is how many requests may begin in a time.
	RateLimit Rate `json:"rate_limit,omitzero"`
	// Batch is nil for one event in each request.
	Batch *Batch `json:"batch,omitempty"`
	// MaxBody is how large a message may be before its data is left out; 0 for the config's.
	MaxBody Size `json:"max_body,omitempty"`
	// Debounce is how long changes of an instance are gathered to be sent as one; zero is not at all.
	Debounce *Duration `json:"debounce,omitempty"`
}

// The orderings.
const (
	OrderingResource = "resource"
	OrderingNone     = "none"
)

// MessagePrefix is the prefix of the logical messages that announce a changed subscription in the source's stream, so
// that every replica applies the change at its position.
const MessagePrefix = "rowhook.subscription"

// Announcement is the content of such a message, as JSON: what matching needs, and no secrets.
type Announcement struct {
	// Store is the id of the store that holds the subscription: several may share one source.
	Store      string   `json:"store"`
	ID         string   `json:"id"`
	Version    int64    `json:"version"`
	Deleted    bool     `json:"deleted,omitempty"`
	Account    string   `json:"account,omitempty"`
	Admin      bool     `json:"admin,omitempty"`
	Events     []string `json:"events,omitempty"`
	ResourceID string   `json:"resource_id,omitempty"`
	State      State    `json:"state,omitempty"`
	// IgnoreSources, Filter and ExpiresAt are the subscription's.
	IgnoreSources []string  `json:"ignore_sources,omitempty"`
	Filter        string    `json:"filter,omitempty"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
	// Kept says that it is disabled, and what it matches is kept for it.
	Kept bool `json:"kept,omitempty"`
}
