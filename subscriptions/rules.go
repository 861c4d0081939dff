package subscriptions

import (
	"slices"
	"time"
)

// Rules turn what a caller writes into subscriptions. They hold what the caller may do and what there is to ask for.
// They are values: nothing of them is changed by their methods.
type Rules struct {
	// Scope is the caller's.
	Scope     Scope
	Catalogue Catalogue
	// Admin and Accounts rule the targets of subscriptions of the admin, and of accounts, whoever writes them.
	Admin    Policy
	Accounts Policy
	// ConfigRetries is the number of waits in the config's schedule: delivery.retries can ask for no more of them.
	ConfigRetries int
}

// New makes the subscription that a POST's body describes, with a new ID, and a secret if none is given. The error is an
// *Invalid.
func (r Rules) New(body []byte) (*Subscription, error) {
	var m mistakes
	o, err := parseObject(body, &m)
	if err != nil {
		return nil, err
	}
	s := &Subscription{ID: NewID(), State: Active, Account: r.Scope.Account, Admin: r.Scope.Admin}
	if s.Admin {
		s.Account = ""
	}
	for _, name := range readOnly {
		if _, ok := o.get(name); ok {
			m.add(name, "%q is set by rowhook: leave it out", name)
		}
	}
	if v, ok := o.get("account"); ok {
		r.chooseAccount(s, v, &m)
	}
	r.read(s, nil, o, &m)
	if err := m.err(); err != nil {
		return nil, err
	}
	if len(s.Secrets) == 0 {
		s.Secrets = []SigningSecret{{Secret: NewSecret()}}
	}
	s.goOn(s.State, time.Now())
	return s, nil
}

// chooseAccount lets the admin make a subscription of an account.
func (r Rules) chooseAccount(s *Subscription, v any, m *mistakes) {
	if !r.Scope.Admin {
		m.add("account", `"account" is set by the login: leave it out`)
		return
	}
	account, isText := v.(string)
	switch {
	case v == nil:
	case !isText:
		m.add("account", "is %s: give a string, or null for every account", kindOf(v))
	case account == "" || account == "*":
		m.add("account", "is %s: give an account, or null for every account", quote(account))
	default:
		checkText(m, "account", account, maxAccount)
		s.Account, s.Admin = account, false
	}
}

// Replace makes s what a PUT's body describes: what is left out goes back to its default. Read-only members are ignored,
// so that what GET gave can be edited and PUT. A secret and the credentials of the target, which GET does not give, stay
// when they are left out or come back as ***. On an error, an *Invalid, s is as it was. S must not be shared.
func (r Rules) Replace(s *Subscription, body []byte) error {
	var m mistakes
	o, err := parseObject(body, &m)
	if err != nil {
		return err
	}
	if v, ok := o.get("account"); ok {
		keepAccount(s, v, &m)
	}
	return r.rewrite(s, o, &m)
}

// Patch applies a PATCH's body, a JSON merge patch, to what can be written of s: null puts a member back to its default.
// On an error, an *Invalid, s is as it was. S must not be shared.
func (r Rules) Patch(s *Subscription, body []byte) error {
	var m mistakes
	patch, err := parseObject(body, &m)
	if err != nil {
		return err
	}
	if v, ok := patch.get("account"); ok {
		keepAccount(s, v, &m)
		// Merging a null would hide it.
		patch = patch.without("account")
	}
	// A PUT may carry what GET gave a while ago. Who patches these means it.
	if v, ok := patch.get("id"); ok && v != s.ID {
		m.add("id", `"id" is read-only, and is %q: leave it out`, s.ID)
	}
	patchState(s, patch, &m)
	base := writable(s)
	if event, ok := patch.get("event"); ok && event != nil {
		if _, both := patch.get("events"); !both {
			base = base.without("events")
		}
	}
	base = forgetAuth(base, patch)
	merged := mergePatch(base, patch)
	// Merging takes nulls out, also those of names that are not known, and of the target and the state, which have no
	// default.
	for _, p := range patch {
		if p.value == nil && (p.name == "target_url" || p.name == "state" || !slices.Contains(members, p.name)) {
			merged = merged.set(p.name, nil)
		}
	}
	return r.rewrite(s, merged, &m)
}

// rewrite replaces what can be written of s.
func (r Rules) rewrite(s *Subscription, o object, m *mistakes) error {
	// What is not read below is the store's.
	next := s.Clone()
	next.Events, next.ResourceID, next.IgnoreSources, next.Delivery = nil, "", nil, DeliveryOptions{}
	next.Request, next.FallbackURL = nil, ""
	next.Name, next.Description, next.Metadata = "", "", nil
	next.Filter = ""
	next.ExpiresAt = time.Time{}
	next.Verification, next.NotifyEnd = "", false
	r.read(next, s, o, m)
	revive(next, o)
	if err := m.err(); err != nil {
		return err
	}
	if next.Filter != s.Filter {
		next.FilterError = nil
	}
	next.reverify(s, time.Now())
	*s = *next
	return nil
}

// keepAccount refuses to move a subscription: what is on its way belongs to the account that it was made for.
func keepAccount(s *Subscription, v any, m *mistakes) {
	same := v == nil && s.Admin
	if account, ok := v.(string); ok {
		same = !s.Admin && account == s.Account
	}
	if !same {
		m.add("account", `"account" cannot be changed: delete this subscription and make another`)
	}
}

// writable is what a patch applies to, as the body of a PUT that changes nothing.
func writable(s *Subscription) object {
	events := make([]any, len(s.Events))
	for i, e := range s.Events {
		events[i] = e
	}
	metadata := object{}
	for k, v := range s.Metadata {
		metadata = append(metadata, member{k, v})
	}
	slices.SortFunc(metadata, byName)
	sources := make([]any, len(s.IgnoreSources))
	for i, source := range s.IgnoreSources {
		sources[i] = source
	}
	var target, expires any
	if s.TargetURL != "" {
		target = s.ShownTarget()
	}
	if !s.ExpiresAt.IsZero() {
		expires = s.ExpiresAt.Format(time.RFC3339Nano)
	}
	return object{
		{"events", events},
		{"target_url", target},
		{"expires_at", expires},
		{"resource_id", s.ResourceID},
		{"ignore_sources", sources},
		{"filter", s.Filter},
		{"delivery", s.writableDelivery()},
		{"request", writableRequest(s.Request)},
		{"verification", shownVerification(s.Verification)},
		{"notify_end", s.NotifyEnd},
		{"name", s.Name},
		{"description", s.Description},
		{"metadata", metadata},
	}
}
