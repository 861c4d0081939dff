package subscriptions

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration that is written like 15s in JSON.
type Duration time.Duration

// MarshalText writes the duration as 1h30m0s.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration such as 15s or 1h30m.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 15s or 5m", b)
	}
	*d = Duration(v)
	return nil
}

// Retries is a schedule: either the waits before each retry, or how many of the config's to use.
type Retries struct {
	Count int
	Waits []Duration
	// IsCount says that Count holds.
	IsCount bool
}

// MarshalJSON writes the count or the list.
func (r Retries) MarshalJSON() ([]byte, error) {
	if r.IsCount {
		return json.Marshal(r.Count)
	}
	if r.Waits == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(r.Waits)
}

// UnmarshalJSON reads a count or a list of durations.
func (r *Retries) UnmarshalJSON(b []byte) error {
	var n int
	if json.Unmarshal(b, &n) == nil {
		*r = Retries{Count: n, IsCount: true}
		return nil
	}
	var waits []Duration
	if err := json.Unmarshal(b, &waits); err != nil {
		return fmt.Errorf("neither a number of retries nor a list of durations such as [\"5s\", \"5m\"]")
	}
	*r = Retries{Waits: waits}
	return nil
}
