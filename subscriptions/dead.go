package subscriptions

import (
	"fmt"
	"time"
)

// LastAnswer is how the last attempt ended that a target did not take.
type LastAnswer struct {
	// Status is that of its answer, nil where there was none. Reason is the typed reason.
	Status *int      `json:"status"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Missed tells of events that were kept for a disabled subscription, and are older than what is kept.
type Missed struct {
	Count int `json:"count"`
	// Until is when the last of them was committed.
	Until time.Time `json:"until"`
}

// DisableDead disables s, whose target has taken nothing since then. What commits while it is disabled is kept for it.
func (s *Subscription) DisableDead(since time.Time, last LastAnswer, now time.Time) {
	last.At = last.At.UTC().Truncate(time.Microsecond)
	s.stop(Disabled, DisabledReason{By: ByRowhook, Since: now.UTC().Truncate(time.Microsecond), LastAnswer: &last,
		Reason: fmt.Sprintf("its target has taken nothing since %s", since.UTC().Format(time.RFC3339))})
}

// kept says that what commits while s is disabled is kept for it: nobody has said that it is not wanted.
func (s *Subscription) kept() bool {
	return s.State == Disabled && s.Disabled != nil && s.Disabled.By == ByRowhook
}
