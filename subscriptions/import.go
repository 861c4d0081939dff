package subscriptions

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// MaxID is how long an ID is at most, in bytes: those from elsewhere too.
const MaxID = 64

// routes are what a path can have in the place of an ID.
var routes = []string{".", "..", "import", "export", "enable", "disable"}

// Import is a subscription that comes from elsewhere, and which of its fields were given.
type Import struct {
	*Subscription
	// SecretGiven, StateGiven and CreatedGiven say whose it was to choose.
	SecretGiven, StateGiven, CreatedGiven bool
}

// Import makes the subscription that an import's body describes: that of a POST, with the ID that it has elsewhere, and if
// wanted its secret, state (active, shadow, disabled) and time of creation. What GET gives beside is ignored. The error is
// an *Invalid.
func (r Rules) Import(body []byte) (*Import, error) {
	var m mistakes
	o, err := parseObject(body, &m)
	if err != nil {
		return nil, err
	}
	s := &Subscription{State: Active, Account: r.Scope.Account, Admin: r.Scope.Admin}
	if s.Admin {
		s.Account = ""
	}
	x := &Import{Subscription: s}
	if v, ok := o.get("account"); ok {
		r.chooseAccount(s, v, &m)
	}
	v, _ := o.get("id")
	s.ID = readID(v, &m)
	if v, ok := o.get("created_at"); ok && v != nil {
		x.CreatedGiven = true
		s.CreatedAt = readCreated(v, &m)
	}
	if v, ok := o.get("state"); ok && v != nil {
		x.StateGiven = true
		if v == string(Disabled) {
			reason, _ := o.get("disabled_reason")
			s.stop(Disabled, DisabledReason{By: "import", Reason: importedReason(reason), Since: time.Now().UTC().Truncate(time.Microsecond)})
			o = o.without("state")
		}
	}
	if v, _ := o.get("state"); v != nil {
		if text, ok := v.(string); ok && !slices.Contains(chosen, State(text)) {
			m.add("state", `is %s: give "active", "shadow" or "disabled"`, quote(text))
			o = o.without("state")
		}
	}
	r.read(s, nil, o, &m)
	if err := m.err(); err != nil {
		return nil, err
	}
	if s.Verification != "" {
		// It has agreed where it comes from.
		s.verify(time.Now())
		s.Confirm(time.Now())
	}
	if x.SecretGiven = len(s.Secrets) > 0; !x.SecretGiven {
		s.Secrets = []SigningSecret{{Secret: NewSecret()}}
	}
	return x, nil
}

// readID reads an ID of whoever made it: safe in a path, a log line and a shell.
func readID(v any, m *mistakes) string {
	id, ok := v.(string)
	switch {
	case v == nil:
		m.add("id", `is required: it is what lets the same line be imported again without harm`)
	case !ok:
		m.add("id", "is %s: give a string", kindOf(v))
	case id == "" || len(id) > MaxID || strings.ContainsFunc(id, func(r rune) bool { return !isSafe(r) }):
		m.add("id", "is %s: give 1 to %d letters, digits, hyphens, underscores, dots or tildes", quote(id), MaxID)
	case slices.Contains(routes, id):
		m.add("id", "is %s, which is the name of a route: give another one", quote(id))
	}
	return id
}

func isSafe(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.~", r)
}

func readCreated(v any, m *mistakes) time.Time {
	at, err := time.Parse(time.RFC3339, textOf(v))
	if err != nil || at.After(time.Now()) {
		m.add("created_at", `is not a past time by RFC 3339: give one such as "2024-01-31T12:00:00Z", or leave it out`)
	}
	return at.UTC().Truncate(time.Microsecond)
}

// importedReason is the reason of a disabled_reason as GET gives it, or a text.
func importedReason(v any) string {
	if o, ok := v.(object); ok {
		v, _ = o.get("reason")
	}
	text := textOf(v)
	return shorten(strings.ToValidUTF8(text, ""), maxDescription)
}

// Differs says in what the subscription that has the ID is another one than that of the import; nil where it is in nothing
// that was given.
func (x *Import) Differs(found *Subscription) []Mistake {
	var m mistakes
	skip := []string{"id", "updated_at", "disabled_reason", "failing_since", "last_failure", "filter_error", "verification_status", "target_url", "request"}
	if !x.StateGiven {
		skip = append(skip, "state")
	}
	if !x.CreatedGiven {
		skip = append(skip, "created_at")
	}
	mine, theirs := shownMembers(x.Subscription), shownMembers(found)
	for _, member := range mine {
		other, _ := theirs.get(member.name)
		if slices.Contains(skip, member.name) || bytes.Equal(member.value.(json.RawMessage), other.(json.RawMessage)) {
			continue
		}
		m.add(member.name, "is another one here")
	}
	if x.TargetURL != found.TargetURL {
		m.add("target_url", "is another one here")
	}
	if x.FallbackURL != found.FallbackURL && x.ShownFallback() == found.ShownFallback() {
		m.add("delivery.fallback_url", "is another one here") // by its login
	}
	if !reflect.DeepEqual(x.Request, found.Request) {
		m.add("request", "is another one here")
	}
	if x.SecretGiven && (len(found.Secrets) == 0 || found.Secrets[0].Secret != x.Secrets[0].Secret) {
		m.add("secret", "is another one here")
	}
	return m.list
}

// shownMembers are those of the view, in its order.
func shownMembers(s *Subscription) object {
	text, err := json.Marshal(s.Shown(false))
	if err != nil {
		panic(err) // texts, times and numbers always encode
	}
	var members object
	d := json.NewDecoder(bytes.NewReader(text))
	_, _ = d.Token()
	for d.More() {
		name, _ := d.Token()
		var value json.RawMessage
		_ = d.Decode(&value)
		members = append(members, member{name.(string), value})
	}
	return members
}
