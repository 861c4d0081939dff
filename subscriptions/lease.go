package subscriptions

import (
	"errors"
	"reflect"
	"slices"
	"time"
)

// ByLease is who ends a subscription whose expires_at has come, in its DisabledReason.
const ByLease = "lease"

// ErrLeaseOver says that a subscription cannot go on because its expires_at has passed.
var ErrLeaseOver = errors.New("the subscription's expires_at has passed")

// LeaseOver says whether the end of its lease has come.
func (s *Subscription) LeaseOver(now time.Time) bool {
	return !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt)
}

// SameLease says whether a request for t renews the lease s: it is the same account's, and asks for the same events at the
// same place. What decides that is what t would get, not how it is called or tried again.
func (s *Subscription) SameLease(t *Subscription) bool {
	return s.Admin == t.Admin && s.Account == t.Account && s.TargetURL == t.TargetURL && s.ResourceID == t.ResourceID && s.Filter == t.Filter && reflect.DeepEqual(s.Request, t.Request) &&
		sameSet(s.Events, t.Events) && sameSet(s.IgnoreSources, t.IgnoreSources)
}

// sameSet compares lists in which nothing is twice.
func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}

// Renew gives a live lease the end, and if given the secret, of a request that renews it. The error is an *Invalid:
// whoever asks with another secret would check signatures with it in vain.
func (s *Subscription) Renew(asked *Subscription, secretGiven bool) error {
	if secretGiven && (len(s.Secrets) == 0 || s.Secrets[0].Secret != asked.Secrets[0].Secret) {
		var m mistakes
		m.add("secret", "is not that of the subscription %s, which this request would renew: leave it out, or PATCH that one", s.ID)
		return m.err()
	}
	s.ExpiresAt = asked.ExpiresAt
	return nil
}

// Expire ends s, whose lease is over. What it matched before is still sent. One that is disabled stays so.
func (s *Subscription) Expire() {
	s.stop(Expired, DisabledReason{By: ByLease, Reason: "expires_at has passed", Since: s.ExpiresAt.UTC()})
}

// stop takes s out of what is matched; resume is its reverse.
func (s *Subscription) stop(state State, why DisabledReason) {
	if s.State == Disabled || s.State == Expired {
		return
	}
	if s.State == Shadow || s.State == Pending {
		s.Before = s.State
	}
	s.State, s.Disabled = state, &why
	s.pauseVerification()
}

// goOn makes s active, or a shadow. One that is to be active, and whose target has not agreed, asks it first.
func (s *Subscription) goOn(state State, now time.Time) {
	s.State, s.Before, s.Disabled = state, "", nil
	if state == Active && s.Unverified() && s.TargetURL != "" {
		s.State = Pending
		s.verify(now)
	}
}

// resume is goOn to where it was before it stopped.
func (s *Subscription) resume(now time.Time) {
	before := Active
	if s.Before == Shadow {
		before = Shadow
	}
	s.goOn(before, now)
}

// Silent says whether nothing is ever sent of what s matches as it is, and why. One that was a shadow when it stopped
// still is, for what it matched until then.
func (s *Subscription) Silent() (why string, silent bool) {
	switch {
	case s.TargetURL == "":
		return "feed", true
	case s.State == Shadow, s.Before == Shadow:
		return "shadow", true
	}
	return "", false
}

// readExpiry reads the end of a lease. One that is as it was need not be in the future.
func readExpiry(s, old *Subscription, v any, m *mistakes) {
	if v == nil {
		return
	}
	text, ok := v.(string)
	if !ok {
		m.add("expires_at", `is %s: give a time such as "2030-01-31T12:00:00Z", or null for no end`, kindOf(v))
		return
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		m.add("expires_at", `is %s, which is not a time by RFC 3339: give one such as "2030-01-31T12:00:00Z", or null for no end`, quote(text))
		return
	}
	// Commits have microseconds, and no more.
	at = at.UTC().Truncate(time.Microsecond)
	if (old == nil || !at.Equal(old.ExpiresAt)) && !at.After(time.Now()) {
		m.add("expires_at", "is %s, which has passed: give a time in the future, or null for no end", quote(text))
		return
	}
	s.ExpiresAt = at
}

// chosen are the states that a body may set.
var chosen = []State{Active, Shadow}

// readState reads the state. Of one that is stopped it is not read: a PUT may carry what GET gave a while ago.
func readState(s, old *Subscription, v any, m *mistakes) {
	text, ok := v.(string)
	switch {
	case v == nil && old == nil:
	case !ok:
		m.add("state", `is %s: give "active" or "shadow"`, kindOf(v))
	case old != nil && text == string(old.State):
	case slices.Contains(chosen, State(text)):
		if old == nil || slices.Contains(chosen, old.State) {
			s.State = State(text)
		}
	case old == nil || !slices.Contains(States, State(text)):
		m.add("state", `is %s: give "active" or "shadow"`, quote(text))
	}
}

// patchState refuses, in a patch, what readState passes over: who patches the state means it.
func patchState(s *Subscription, patch object, m *mistakes) {
	v, ok := patch.get("state")
	if !ok || v == string(s.State) {
		return
	}
	text, _ := v.(string)
	_, extended := patch.get("expires_at")
	switch {
	case !slices.Contains(States, State(text)): // readState says so
	case s.State == Expired && !extended && slices.Contains(chosen, State(text)):
		m.add("state", `is "expired": give an expires_at in the future, or null, with it`)
	case s.State == Pending && slices.Contains(chosen, State(text)):
		m.add("state", `is "pending": its target has not agreed yet`)
	case s.State == Disabled && slices.Contains(chosen, State(text)):
		m.add("state", `is "disabled": POST to …/enable lets the subscription go on`)
	case State(text) == Disabled:
		m.add("state", `cannot be set to "disabled": POST to …/disable does that`)
	case !slices.Contains(chosen, State(text)):
		m.add("state", `cannot be set to %s: give "active" or "shadow"`, quote(text))
	}
}

// revive lets an expired one go on whose end was moved, in the state of the body where that names one.
func revive(s *Subscription, o object) {
	now := time.Now()
	if s.State != Expired || s.lapsed() || s.LeaseOver(now) {
		return
	}
	if text, ok := o.get("state"); ok && slices.Contains(chosen, State(textOf(text))) {
		s.goOn(State(textOf(text)), now)
		return
	}
	s.resume(now)
}

func textOf(v any) string {
	text, _ := v.(string)
	return text
}
