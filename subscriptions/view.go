package subscriptions

import (
	"maps"
	"slices"
	"time"
)

// View is a subscription as its owner sees it, in JSON with these members in this order.
type View struct {
	ID string `json:"id"`
	// Account is null for a subscription of the admin.
	Account *string  `json:"account"`
	Events  []string `json:"events"`
	// TargetURL is null for feed only.
	TargetURL      *string         `json:"target_url"`
	ResourceID     *string         `json:"resource_id"`
	Filter         *string         `json:"filter"`
	FilterError    *FilterError    `json:"filter_error"`
	IgnoreSources  []string        `json:"ignore_sources"`
	ExpiresAt      *time.Time      `json:"expires_at"`
	State          State           `json:"state"`
	DisabledReason *DisabledReason `json:"disabled_reason"`
	// FailingSince is null where the target takes something, or nothing is sent. LastFailure is how the last attempt ended then.
	FailingSince *time.Time   `json:"failing_since"`
	LastFailure  *LastAnswer  `json:"last_failure"`
	Delivery     DeliveryView `json:"delivery"`
	Request      RequestView  `json:"request"`
	// Verification is none, secret or challenge.
	Verification string `json:"verification"`
	// VerificationStatus is null where there is nothing to verify.
	VerificationStatus *VerificationStatus `json:"verification_status"`
	NotifyEnd          bool                `json:"notify_end"`
	Name               string              `json:"name"`
	Description        string              `json:"description"`
	Metadata           map[string]string   `json:"metadata"`
	CreatedAt          time.Time           `json:"created_at"`
	UpdatedAt          time.Time           `json:"updated_at"`
	// SignaturePublicKey checks signatures of the scheme standard_v1a, where the subscription asks for it.
	SignaturePublicKey string `json:"signature_public_key,omitempty"`
	// Secret is there only in the answer to the request that made it.
	Secret string `json:"secret,omitempty"`
}

// Shown returns the subscription as its owner sees it: without the credentials of the target, and without the secret
// unless it was just made.
func (s *Subscription) Shown(withSecret bool) View {
	v := View{
		ID: s.ID, Events: slices.Clone(s.Events), State: s.State,
		Delivery: DeliveryView{s.Delivery.clone(), s.ShownFallback()}, Request: s.Request.shown(), Name: s.Name, Description: s.Description, Metadata: maps.Clone(s.Metadata),
		CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC(),
	}
	if !s.Admin {
		account := s.Account
		v.Account = &account
	}
	if s.TargetURL != "" {
		target := s.ShownTarget()
		v.TargetURL = &target
	}
	if !s.ExpiresAt.IsZero() {
		expires := s.ExpiresAt.UTC()
		v.ExpiresAt = &expires
	}
	v.Verification, v.VerificationStatus, v.NotifyEnd = shownVerification(s.Verification), s.VerificationStatus.shown(), s.NotifyEnd
	if s.ResourceID != "" {
		resourceID := s.ResourceID
		v.ResourceID = &resourceID
	}
	if s.Filter != "" {
		filter := s.Filter
		v.Filter = &filter
	}
	if s.FilterError != nil {
		e := *s.FilterError
		e.At = e.At.UTC()
		v.FilterError = &e
	}
	if s.Disabled != nil {
		d := *s.Disabled
		d.Since = d.Since.UTC()
		v.DisabledReason = &d
	}
	if f := s.Failing.clone(); f != nil && s.State != Disabled {
		since := f.Since.UTC()
		v.FailingSince, v.LastFailure = &since, f.Last
	}
	if v.IgnoreSources = slices.Clone(s.IgnoreSources); v.IgnoreSources == nil {
		v.IgnoreSources = []string{}
	}
	if v.Events == nil {
		v.Events = []string{}
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	if s.RequestSignature() == SignatureEd25519 && len(s.Secrets) > 0 {
		v.SignaturePublicKey = s.Secrets[0].publicKey()
	}
	if withSecret && len(s.Secrets) > 0 {
		v.Secret = s.Secrets[0].Secret.Reveal()
	}
	return v
}
