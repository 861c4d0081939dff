package api

import (
	"encoding/json"

	"github.com/rowhook/rowhook/subscriptions"
)

// lease makes a subscription with an end, or renews the live one that is asked for again.
func (s *Server) lease(c call, sub *subscriptions.Subscription, body []byte, once *subscriptions.Once) (*subscriptions.Subscription, subscriptions.Made, error) {
	var given struct {
		Secret *string `json:"secret"`
	}
	if err := json.Unmarshal(body, &given); err != nil {
		return nil, 0, err
	}
	return s.config.Repository.Lease(c.r.Context(), sub, s.most(c), once, func(held *subscriptions.Subscription) error {
		return held.Renew(sub, given.Secret != nil)
	})
}
