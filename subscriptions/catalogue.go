package subscriptions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// Offer is an event that can be subscribed to.
type Offer struct {
	// Name is the event's name: contact.create.
	Name     string
	Resource string
	// AdminOnly events belong to no account.
	AdminOnly bool
	// AccountReason, when not empty, tells why the event cannot be routed to accounts; the admin gets it.
	AccountReason string
	// Reason, when not empty, tells why the source cannot give the event to anybody.
	Reason string
	// Shape is what its data may hold; nil where that is not known.
	Shape *mapping.FilterShape
}

// Catalogue is every event that the source can give, in the order in which it is shown. Nil means that it is not known
// yet.
type Catalogue []Offer

// Check says what is wrong with a pattern of a subscription, of the admin or of an account: nil when it can be
// subscribed to. The error names the nearest event, or the reason.
func (c Catalogue) Check(pattern string, admin bool) error {
	if pattern == "*" {
		return nil
	}
	if resource, ok := strings.CutSuffix(pattern, ".*"); ok {
		return c.checkResource(pattern, resource, admin)
	}
	i := slices.IndexFunc(c, func(o Offer) bool { return o.Name == pattern })
	switch {
	case i < 0:
		return c.unknown(pattern)
	case c[i].Reason != "":
		return fmt.Errorf("%s is not offered: %s", quote(pattern), c[i].Reason)
	case admin:
		return nil
	case c[i].AdminOnly:
		return fmt.Errorf("%s is for the admin only: it belongs to no account", quote(pattern))
	case c[i].AccountReason != "":
		return fmt.Errorf("%s is not offered: %s", quote(pattern), c[i].AccountReason)
	}
	return nil
}

// checkResource checks deal.*: an account may ask for a resource of which it can get at least one event.
func (c Catalogue) checkResource(pattern, resource string, admin bool) error {
	var known, adminOnly bool
	var reason string
	for _, o := range c {
		if o.Resource != resource {
			continue
		}
		switch known = true; {
		case o.Reason != "":
			reason = o.Reason
		case admin || !o.AdminOnly && o.AccountReason == "":
			return nil
		case o.AdminOnly:
			adminOnly = true
		default:
			reason = o.AccountReason
		}
	}
	switch {
	case !known:
		return c.unknown(pattern)
	case reason != "":
		return fmt.Errorf("%s has no event that is offered: %s", quote(pattern), reason)
	case adminOnly:
		return fmt.Errorf("%s is for the admin only: it belongs to no account", quote(pattern))
	}
	return nil
}

func (c Catalogue) unknown(pattern string) error {
	candidates := make([]string, 0, len(c)+8)
	for i, o := range c {
		candidates = append(candidates, o.Name)
		if i == 0 || c[i-1].Resource != o.Resource {
			candidates = append(candidates, o.Resource+".*")
		}
	}
	if hint := nearest(pattern, candidates); hint != "" {
		return fmt.Errorf("no event is called %s: did you mean %q?", quote(pattern), hint)
	}
	return fmt.Errorf("no event is called %s: event-type/ lists them", quote(pattern))
}

// nearest is problem.Nearest for names from outside, which may be long.
func nearest(name string, candidates []string) string {
	if len(name) > maxQuoted {
		return ""
	}
	return problem.Nearest(name, candidates)
}
