package subscriptions

import (
	"strings"

	"github.com/rowhook/rowhook/mapping"
)

// Covers says whether an event of an instance is about what the subscription may be told of, and wants to be: whatever its type is,
// and before its filter is asked.
func (s *Subscription) Covers(ev *mapping.Event) bool {
	switch {
	case !s.listed(), s.LeaseOver(ev.Time), s.ResourceID != "" && s.ResourceID != ev.Instance:
		return false
	case s.Admin:
		return ev.Audience != mapping.ToAccount
	}
	return forAccounts(ev) && ev.Account == s.Account
}

// WantsResource says whether the subscription asks for an event of the resource.
func (s *Subscription) WantsResource(resource string) bool {
	for _, pattern := range s.Events {
		if pattern == "*" || strings.HasPrefix(pattern, resource+".") {
			return true
		}
	}
	return false
}
