package subscriptions

import (
	"time"
)

// The times for which a secret that is rotated out goes on signing.
const (
	defaultKeep = 24 * time.Hour
	maxKeep     = 30 * 24 * time.Hour
)

// oldSecrets is how many secrets sign beside the newest.
const oldSecrets = 2

// RotateSecret gives s a new secret, as the body says, which may be empty: a secret of the caller's choice, and for how long
// the present one goes on signing beside it. On an error, an *Invalid, s is as it was. S must not be shared.
func (s *Subscription) RotateSecret(body []byte, now time.Time) error {
	var m mistakes
	o := object{}
	if len(body) > 0 {
		var err error
		if o, err = parseObject(body, &m); err != nil {
			return err
		}
	}
	next := Subscription{}
	keep := Duration(defaultKeep)
	for _, member := range o {
		switch member.name {
		case "secret":
			readSecret(&next, member.value, &m)
		case "keep_old":
			if member.value == nil {
				continue
			}
			if d, ok := duration(&m, "keep_old", member.value, 0, maxKeep); ok {
				keep = d
			}
		default:
			unknown(&m, "", member.name, []string{"secret", "keep_old"})
		}
	}
	for _, held := range s.Secrets {
		if len(next.Secrets) > 0 && held.Secret == next.Secrets[0].Secret {
			m.add("secret", "is one that signs already: give a new one, or none")
		}
	}
	if err := m.err(); err != nil {
		return err
	}
	if len(next.Secrets) == 0 {
		next.Secrets = []SigningSecret{{Secret: NewSecret()}}
	}
	until := now.Add(time.Duration(keep)).UTC().Truncate(time.Microsecond)
	for _, held := range s.Secrets {
		if held.Until.IsZero() || held.Until.After(until) {
			held.Until = until
		}
		if held.Until.After(now) && len(next.Secrets) <= oldSecrets {
			next.Secrets = append(next.Secrets, held)
		}
	}
	s.Secrets = next.Secrets
	return nil
}

// Disable stops s, by whom and why. One that is disabled or expired already stays as it is.
func (s *Subscription) Disable(by, reason string, now time.Time) {
	s.stop(Disabled, DisabledReason{By: by, Reason: reason, Since: now.UTC().Truncate(time.Microsecond)})
}

// Enable lets a disabled s go on, in the state that it had before: it gets what commits from then on. Where rowhook had disabled it, it
// gets what was kept for it too, and before that all that has failed for good since its target began to take nothing. One whose target has not agreed
// is pending instead, and its target is asked again, from the beginning. The error is ErrLeaseOver.
func (s *Subscription) Enable(now time.Time) error {
	stopped := s.State == Disabled || s.State == Pending || s.lapsed()
	switch {
	case s.State == Expired && !stopped, stopped && s.LeaseOver(now):
		return ErrLeaseOver
	case stopped:
		since := s.resendSince(now)
		s.resume(now)
		if s.State == Shadow || s.TargetURL == "" {
			since = time.Time{}
		}
		if s.ResendSince.IsZero() || !since.IsZero() && since.Before(s.ResendSince) {
			s.ResendSince = since
		}
	}
	return nil
}

// resendSince is since when what has failed for good is to be sent again when s is enabled: now for nothing of that, where it has to be
// told first that something is never sent; zero for neither.
func (s *Subscription) resendSince(now time.Time) time.Time {
	now = now.UTC().Truncate(time.Microsecond)
	switch d := s.Disabled; {
	case s.DisabledByRowhook() && !d.FailedMissed && d.FailingSince != nil:
		return *d.FailingSince
	case s.State == Disabled && d != nil && d.Missed != nil:
		return now
	}
	return time.Time{}
}

// ReadReason reads the body of a request to disable, which may be empty. The error is an *Invalid.
func ReadReason(body []byte) (string, error) {
	if len(body) == 0 {
		return "", nil
	}
	var m mistakes
	o, err := parseObject(body, &m)
	if err != nil {
		return "", err
	}
	reason := ""
	for _, member := range o {
		if member.name != "reason" {
			unknown(&m, "", member.name, []string{"reason"})
			continue
		}
		reason = readText(&m, "reason", member.value, maxDescription)
	}
	return reason, m.err()
}
