package client

import "encoding/json"

// plain has no methods.
type plain Subscription

// withTarget lets target_url be null, which is not the same as left out.
type withTarget struct {
	*plain
	TargetURL *string `json:"target_url"`
}

// MarshalJSON implements json.Marshaler.
func (s Subscription) MarshalJSON() ([]byte, error) {
	if s.FeedOnly {
		return json.Marshal(withTarget{plain: (*plain)(&s)})
	}
	return json.Marshal(plain(s))
}

// UnmarshalJSON implements json.Unmarshaler. What the text leaves out stays as it is.
func (s *Subscription) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, (*plain)(s)); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	if target, ok := given["target_url"]; ok {
		s.FeedOnly = string(target) == "null"
	}
	return nil
}
