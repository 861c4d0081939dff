package subscriptions

import (
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/secret"
)

// ShownFallback is the fallback URL as ShownTarget is the target's.
func (s *Subscription) ShownFallback() string { return shownURL(s.FallbackURL) }

// AtFallback is the subscription as it is sent to at its fallback: signed and formed as at its target. The headers and the login of the
// request block are for the target's server alone; a login in the URL goes before them. It shares with s what it has of it.
func (s *Subscription) AtFallback() *Subscription {
	f := *s
	f.TargetURL, f.FallbackURL = s.FallbackURL, ""
	if s.Request == nil {
		return &f
	}
	r := *s.Request
	if !sameServer(s.TargetURL.Reveal(), s.FallbackURL.Reveal()) {
		r.Headers, r.Auth = nil, nil
	} else if _, end := userinfo(s.FallbackURL.Reveal()); end >= 0 {
		if r.Auth != nil && strings.EqualFold(r.Auth.header(), "Authorization") {
			r.Auth = nil
		}
		r.Headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h RequestHeader) bool { return strings.EqualFold(h.Name, "Authorization") })
	}
	if f.Request = &r; r.isDefault() {
		f.Request = nil
	}
	return &f
}

// readFallback rules the fallback as a target.
func (r Rules) readFallback(s, old *Subscription, v any, m *mistakes) {
	const at = "delivery.fallback_url"
	text, ok := v.(string)
	if !ok {
		m.add(at, "is %s: give a URL as a string, or null for none", kindOf(v))
		return
	}
	if text == "" {
		return
	}
	if old != nil && old.FallbackURL != "" && (text == old.ShownFallback() || text == old.FallbackURL.Reveal()) {
		s.FallbackURL = old.FallbackURL
		return
	}
	if err := r.policyOf(s).Check(text); err != nil {
		m.add(at, "%s", err)
		return
	}
	s.FallbackURL = secret.String(text)
}

// checkFallback refuses a fallback that nothing would ever come to, or that is none. All has been read.
func (s *Subscription) checkFallback(m *mistakes) {
	switch {
	case s.FallbackURL == "":
	case s.TargetURL == "":
		m.add("delivery.fallback_url", `is given, and nothing is sent where "target_url" is null: leave it out`)
	case s.TargetURL == s.FallbackURL:
		m.add("delivery.fallback_url", "is target_url itself, which has been tried by then: give another one")
	}
}

// policyOf rules where a subscription may be sent to.
func (r Rules) policyOf(s *Subscription) Policy {
	if s.Admin {
		return r.Admin
	}
	return r.Accounts
}

// DeliveryView is what differs from the config's delivery block, as the owner sees it.
type DeliveryView struct {
	DeliveryOptions
	// FallbackURL is without credentials.
	FallbackURL string `json:"fallback_url,omitempty"`
}
