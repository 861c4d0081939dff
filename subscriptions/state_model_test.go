package subscriptions_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// model is what a subscription ought to be after any sequence of changes, in terms of who has agreed to what.
type model struct {
	target, kind string
	// agreed says that the target of now has agreed, in the way of now.
	agreed bool
	shadow bool
	// disabled by somebody; over by its lease; lapsed without an answer.
	disabled, over, lapsed bool
	lease                  int // 0 none, 1 in the future, 2 past
}

func (m *model) asks() bool { return m.kind != "" && !m.agreed }

func (m *model) state() subscriptions.State {
	switch {
	case m.disabled:
		return subscriptions.Disabled
	case m.over, m.lapsed:
		return subscriptions.Expired
	case m.shadow:
		return subscriptions.Shadow
	case m.asks():
		return subscriptions.Pending
	}
	return subscriptions.Active
}

// TestEverySequenceOfChanges holds the subscription to the model, after each of all sequences of some length.
func TestEverySequenceOfChanges(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Minute).UTC().Truncate(time.Microsecond)
	patch := func(body string) func(*sub) error {
		return func(s *sub) error { return rules(account42).Patch(s, []byte(body)) }
	}
	type step struct {
		name string
		do   func(*sub) error
		// is changes the model; false says that the step is refused.
		is func(*model) bool
	}
	revive := func(m *model) {
		if m.over && m.lease != 2 {
			m.over = false
		}
		m.lapsed = m.lapsed && m.kind != "" // nobody is asked any more
	}
	target := func(to string) step {
		return step{"target " + to, patch(`{"target_url":"https://example.com/` + to + `"}`), func(m *model) bool {
			if m.target != to {
				m.target, m.agreed = to, false
				if m.kind != "" && m.lease != 2 {
					m.lapsed = false
				}
			}
			return true
		}}
	}
	verification := func(kind string) step {
		return step{"verification " + kind, patch(`{"verification":"` + kind + `"}`), func(m *model) bool {
			if kind == "none" {
				m.kind, m.agreed = "", false
			} else if m.kind != kind {
				m.kind, m.agreed = kind, false
			} else {
				return true
			}
			if m.lease != 2 {
				m.lapsed = false
			}
			return true
		}}
	}
	state := func(to string) step {
		return step{"state " + to, patch(`{"state":"` + to + `"}`), func(m *model) bool {
			now := m.state()
			if now != subscriptions.Active && now != subscriptions.Shadow {
				return string(now) == to
			}
			m.shadow = to == "shadow"
			return true
		}}
	}
	put := step{"put", func(s *sub) error {
		return rules(account42).Replace(s, []byte(`{"events":["contact.create"],"target_url":"https://example.com/a"}`))
	}, func(m *model) bool {
		if m.target, m.lease = "a", 0; m.kind != "" {
			m.agreed = false
		}
		m.kind, m.lapsed = "", false
		revive(m)
		return true
	}}
	steps := []step{
		target("a"), target("b"), verification("none"), verification("secret"), verification("challenge"), state("active"), state("shadow"), put,
		{"later", patch(`{"expires_at":"` + laterText + `"}`), func(m *model) bool { m.lease = 1; revive(m); return true }},
		{"no end", patch(`{"expires_at":null}`), func(m *model) bool { m.lease = 0; revive(m); return true }},
		{"lease ends", func(s *sub) error { s.ExpiresAt = past; s.Expire(); return nil }, func(m *model) bool {
			if m.lease = 2; !m.disabled && !m.lapsed {
				m.over = true
			}
			return true
		}},
		{"disable", func(s *sub) error { s.Disable("admin", "", time.Now()); return nil }, func(m *model) bool {
			m.disabled = m.disabled || !m.over && !m.lapsed
			return true
		}},
		{"enable", func(s *sub) error { return s.Enable(time.Now()) }, func(m *model) bool {
			switch st := m.state(); {
			case st == subscriptions.Active || st == subscriptions.Shadow:
				return true
			case m.over && !m.disabled, m.lease == 2:
				return false
			}
			m.disabled, m.lapsed = false, false
			return true
		}},
		{"agrees", func(s *sub) error { s.Confirm(time.Now()); return nil }, func(m *model) bool { m.agreed = m.agreed || m.kind != ""; return true }},
		{"lapses", func(s *sub) error { s.Lapse("no answer", time.Now()); return nil }, func(m *model) bool {
			m.lapsed = m.lapsed || m.state() == subscriptions.Pending
			return true
		}},
	}
	const depth = 5
	n := 0
	var walk func(s *sub, m model, path []string)
	walk = func(s *sub, m model, path []string) {
		if len(path) == depth || t.Failed() && n > 2000 {
			return
		}
		for _, x := range steps {
			if x.name == "lapses" && (s.VerificationStatus == nil || s.State != subscriptions.Pending) || x.name == "agrees" && s.VerificationStatus == nil {
				continue // nobody was asked
			}
			n++
			next, want := s.Clone(), m
			err := x.do(next)
			at := append(path[:len(path):len(path)], x.name)
			if ok := x.is(&want); ok != (err == nil) {
				t.Errorf("%q: %v, by the model allowed: %t (%+v)", at, err, ok, want)
				continue
			}
			if err != nil {
				want = m
			}
			wrong := ""
			switch asked := next.VerificationStatus; {
			case next.State != want.state():
				wrong = "state"
			case next.Unverified() != want.asks():
				wrong = "agreed"
			case next.State == subscriptions.Pending && (asked == nil || asked.NextAttempt == nil):
				wrong = "nobody is asked"
			case next.State != subscriptions.Pending && asked != nil && asked.NextAttempt != nil:
				wrong = "somebody is asked"
			case (next.Disabled != nil) != (next.State == subscriptions.Disabled || next.State == subscriptions.Expired):
				wrong = "reason"
			case next.State != subscriptions.Disabled && next.State != subscriptions.Expired && next.Before != "":
				wrong = "before"
			case next.State == subscriptions.Expired && next.Unverified() && next.Before == "":
				wrong = "owed to one that has not agreed"
			case next.Before == subscriptions.Pending && !next.Unverified():
				wrong = "not owed to one that has agreed"
			}
			if wrong != "" {
				t.Errorf("%q: %s: %s before %q, %+v, %+v, want %s of %+v", at, wrong, next.State, next.Before, next.Disabled, next.VerificationStatus, want.state(), want)
				continue
			}
			walk(next, want, at)
		}
	}
	for _, kind := range []string{"none", "secret"} {
		s, err := rules(account42).New([]byte(fmt.Sprintf(`{"events":["contact.create"],"target_url":"https://example.com/a","verification":%q}`, kind)))
		if err != nil {
			t.Fatal(err)
		}
		m := model{target: "a"}
		if kind != "none" {
			m.kind = kind
		}
		walk(s, m, []string{kind})
	}
	t.Logf("%d changes", n)
}
