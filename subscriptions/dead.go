package subscriptions

import "time"

// LastAnswer is how the last attempt ended that a target did not take.
type LastAnswer struct {
	// Status is that of its answer, nil where there was none. Reason is the typed reason.
	Status *int      `json:"status"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Failing is since when a target has taken nothing, and how the last attempt ended; nil where that is not known.
type Failing struct {
	Since time.Time
	Last  *LastAnswer
}

func (f *Failing) clone() *Failing {
	if f == nil {
		return nil
	}
	c := *f
	if f.Last != nil {
		last := *f.Last
		c.Last = &last
	}
	return &c
}

// Missed tells of events that were kept for a disabled subscription, and are older than what is kept.
type Missed struct {
	Count int `json:"count"`
	// Until is when the last of them was committed, Position, of 40 hex digits, where it stands; empty where that is not known.
	Until    time.Time `json:"until"`
	Position string    `json:"position,omitempty"`
}

// DisableDead disables s, whose target has taken nothing since then. What commits while it is disabled is kept for it.
func (s *Subscription) DisableDead(since time.Time, last LastAnswer, now time.Time) {
	last.At, since = last.At.UTC().Truncate(time.Microsecond), since.UTC().Truncate(time.Microsecond)
	s.stop(Disabled, DisabledReason{By: ByRowhook, Since: now.UTC().Truncate(time.Microsecond), FailingSince: &since, LastAnswer: &last,
		Reason: TakesNothing(since)})
}

// TakesNothing says why a target is in trouble, for people.
func TakesNothing(since time.Time) string {
	return "its target has taken nothing since " + since.UTC().Format(time.RFC3339)
}

// DisabledByRowhook says that s is disabled because its target takes nothing. What commits meanwhile is kept for it: nobody has said
// that it is not wanted.
func (s *Subscription) DisabledByRowhook() bool {
	return s.State == Disabled && s.Disabled != nil && s.Disabled.By == ByRowhook
}
