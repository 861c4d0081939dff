package subscriptions

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
)

// The ways in which a target is asked whether it wants what is sent to it. The zero value is none: it is not asked.
const (
	// VerifySecret sends a secret in a header, which the target answers at once or confirms later.
	VerifySecret = "secret"
	// VerifyChallenge sends a text in the query, which the target has to answer.
	VerifyChallenge = "challenge"
	// verifyNone is how none is written.
	verifyNone = "none"
)

// VerifyFor is how long a target has time to agree.
const VerifyFor = 24 * time.Hour

// ValuePrefix begins every text that a target has to answer, so that a scanner for leaked secrets can find it.
const ValuePrefix = "rhv_"

// VerificationStatus is how far the verification of a target has come. Times are rowhook's, in microseconds.
type VerificationStatus struct {
	// Attempts counts the requests that have ended, LastAttempt is the last one's beginning.
	Attempts    int        `json:"attempts"`
	LastAttempt *time.Time `json:"last_attempt"`
	// LastError is why the last one did not confirm; empty where it was taken, or where there was none.
	LastError string `json:"last_error"`
	// NextAttempt is when the next request is made. Where none is, it is ExpiresAt.
	NextAttempt *time.Time `json:"next_attempt"`
	// ExpiresAt is until when the target has time. It tells one verification of a subscription from another.
	ExpiresAt *time.Time `json:"expires_at"`
	// ConfirmedAt is when the target agreed.
	ConfirmedAt *time.Time `json:"confirmed_at"`
	// Value is what the target has to answer. It is there only where it was made just now, to be stored.
	Value secret.String `json:"-"`
}

// ValueHash finds a verification by its value. The text is random enough for a plain hash.
func ValueHash(value secret.String) [sha256.Size]byte { return sha256.Sum256([]byte(value.Reveal())) }

func (v *VerificationStatus) clone() *VerificationStatus {
	if v == nil {
		return nil
	}
	c := *v
	for _, t := range []**time.Time{&c.LastAttempt, &c.NextAttempt, &c.ExpiresAt, &c.ConfirmedAt} {
		if *t != nil {
			at := **t
			*t = &at
		}
	}
	return &c
}

// shown is the status as its owner sees it: what comes next, or what came of it.
func (v *VerificationStatus) shown() *VerificationStatus {
	c := v.clone()
	if c == nil {
		return nil
	}
	c.Value = ""
	if c.NextAttempt != nil && c.ExpiresAt != nil && !c.NextAttempt.Before(*c.ExpiresAt) {
		c.NextAttempt = nil
	}
	return c
}

// Unverified says that the target has to agree, and has not.
func (s *Subscription) Unverified() bool {
	return s.Verification != "" && (s.VerificationStatus == nil || s.VerificationStatus.ConfirmedAt == nil)
}

// lapsed says that its target had time to agree, and did not.
func (s *Subscription) lapsed() bool {
	return s.State == Expired && s.Disabled != nil && s.Disabled.By == ByRowhook
}

// verify begins the verification, or begins it again: with a value that the target has not seen.
func (s *Subscription) verify(now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	expires := now.Add(VerifyFor)
	s.VerificationStatus = &VerificationStatus{NextAttempt: &now, ExpiresAt: &expires, Value: secret.String(ValuePrefix + rand.Text())}
}

// reverify lets s, which was old before the change, ask its target where it has another one, or another way of asking, or is to be
// sent to from now on. One that somebody has stopped stays so.
func (s *Subscription) reverify(old *Subscription, now time.Time) {
	waits := s.State == Pending || s.lapsed() && !s.LeaseOver(now)
	switch {
	case s.Verification == "":
		if s.VerificationStatus = nil; waits {
			s.resume(now)
		}
		s.agreed()
	case s.Verification != old.Verification || s.TargetURL != old.TargetURL:
		if s.verify(now); waits || s.State == Active {
			s.resume(now)
		}
		if s.State != Pending {
			s.pauseVerification()
		}
		if (s.State == Expired || s.State == Disabled) && s.Before == "" {
			s.Before = Pending
		}
	case s.State == Active && s.Unverified():
		s.goOn(Active, now) // it was a shadow
	}
}

// pauseVerification asks nobody any more. A target that was asked may still agree.
func (s *Subscription) pauseVerification() {
	if s.Unverified() && s.VerificationStatus != nil {
		v := *s.VerificationStatus
		v.NextAttempt = nil
		s.VerificationStatus = &v
	}
}

// Confirm notes that the target has agreed. A pending s goes on, with what commits from then on.
func (s *Subscription) Confirm(now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	if s.VerificationStatus == nil || s.VerificationStatus.ConfirmedAt != nil {
		return
	}
	v := *s.VerificationStatus
	v.ConfirmedAt, v.NextAttempt, v.ExpiresAt, v.LastError = &now, nil, nil, ""
	s.VerificationStatus = &v
	if s.State == Pending {
		s.State = Active
	}
	s.agreed()
}

// agreed forgets that s was pending when it stopped.
func (s *Subscription) agreed() {
	if s.Before == Pending {
		s.Before = ""
	}
}

// Lapse ends the verification of a pending s for good, and says why.
func (s *Subscription) Lapse(reason string, now time.Time) {
	if s.State != Pending {
		return
	}
	now = now.UTC().Truncate(time.Microsecond)
	s.State, s.Before = Expired, Pending
	s.Disabled = &DisabledReason{By: ByRowhook, Reason: reason, Since: now}
	if s.VerificationStatus != nil {
		v := *s.VerificationStatus
		v.NextAttempt, v.ExpiresAt = nil, &now
		s.VerificationStatus = &v
	}
}

// ByRowhook is who stopped a subscription where it was nobody else.
const ByRowhook = "rowhook"

func readVerification(s *Subscription, v any, m *mistakes) {
	switch v {
	case nil, verifyNone:
	case VerifySecret, VerifyChallenge:
		s.Verification = v.(string)
	default:
		text, ok := v.(string)
		if !ok {
			m.add("verification", `is %s: give "none", "secret" or "challenge"`, kindOf(v))
			return
		}
		m.add("verification", `is %s: give "none", "secret" or "challenge"`, quote(text))
	}
}

func shownVerification(kind string) string {
	if kind == "" {
		return verifyNone
	}
	return kind
}

func readBool(m *mistakes, at string, v any) bool {
	b, ok := v.(bool)
	if v != nil && !ok {
		m.add(at, "is %s: give true or false", kindOf(v))
	}
	return b
}

// IsVerificationValue says whether a text can be what a target was given to answer.
func IsVerificationValue(text string) bool {
	return strings.HasPrefix(text, ValuePrefix) && len(text) == len(ValuePrefix)+len(rand.Text())
}
