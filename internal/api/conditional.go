package api

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/subscriptions"
)

// tag is the entity tag of a subscription: it changes with everything that is shown of it.
// https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3
func tag(s *subscriptions.Subscription) string { return `"` + strconv.FormatInt(s.Version, 10) + `"` }

// tagged says whether a header names the subscription's tag. Weak tags count only where weak says so.
func tagged(r *http.Request, header string, s *subscriptions.Subscription, weak bool) bool {
	for _, line := range r.Header.Values(header) {
		for one := range strings.SplitSeq(line, ",") {
			one = strings.TrimSpace(one)
			if weak {
				one = strings.TrimPrefix(one, "W/")
			}
			if one == "*" || one == tag(s) {
				return true
			}
		}
	}
	return false
}

// matching is the condition of If-Match, for a change. https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
func matching(r *http.Request) func(*subscriptions.Subscription) error {
	return func(s *subscriptions.Subscription) error {
		if len(r.Header.Values("If-Match")) == 0 || tagged(r, "If-Match", s, false) {
			return nil
		}
		a := problem(http.StatusPreconditionFailed, "the subscription was changed since: read it again, and send its ETag as If-Match")
		a.header("ETag", tag(s))
		return refusal{a}
	}
}

// most is how many subscriptions the caller may make one more to. The admin may make any number, for customers too.
func (s *Server) most(c call) int {
	if c.scope.Admin {
		return 0
	}
	return s.config.AccountSubscriptions
}

// maxKey is the longest Idempotency-Key, in bytes.
const maxKey = 255

// make stores a new subscription, once where the request has an Idempotency-Key, or renews a lease.
// https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
func (s *Server) make(c call, sub *subscriptions.Subscription, body []byte) (*subscriptions.Subscription, subscriptions.Made, error) {
	keys := c.r.Header.Values("Idempotency-Key")
	leased := !sub.ExpiresAt.IsZero()
	if len(keys) == 0 {
		if leased {
			return s.lease(c, sub, body, nil)
		}
		return sub, subscriptions.MadeNow, s.config.Repository.Create(c.r.Context(), sub, s.most(c))
	}
	// The draft has a quoted string; most clients send the text alone.
	key := strings.Trim(strings.TrimSpace(keys[0]), `"`)
	if len(keys) > 1 || key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, 0, refusal{problem(http.StatusBadRequest, "Idempotency-Key is not one text of 1 to "+strconv.Itoa(maxKey)+" printable ASCII characters: a UUID will do")}
	}
	once := subscriptions.Once{Key: key, Body: sha256.Sum256(body)}
	if leased {
		return s.lease(c, sub, body, &once)
	}
	made, _, err := s.config.Repository.CreateOnce(c.r.Context(), sub, s.most(c), once)
	return made, subscriptions.MadeNow, err
}
