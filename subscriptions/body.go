package subscriptions

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rowhook/rowhook/internal/secret"
)

// MaxBody is the largest body in bytes.
const MaxBody = 256 << 10

// The limits of what a subscription holds: texts in characters, the target in bytes, the rest in members.
const (
	maxEvents        = 100
	maxSources       = 20
	maxTarget        = 2000
	maxResourceID    = 500
	maxAccount       = 200
	maxName          = 200
	maxDescription   = 2000
	maxMetadata      = 50
	maxMetadataKey   = 100
	maxMetadataValue = 500
)

// members are the names that a body may have, for finding the nearest.
var members = []string{
	"events", "event", "target_url", "resource_id", "secret", "delivery", "account", "name", "description", "metadata",
	"ignore_sources", "filter", "expires_at", "state", "verification", "notify_end", "request",
}

// readOnly are the members that GET gives and nobody sets.
var readOnly = []string{"id", "disabled_reason", "failing_since", "last_failure", "filter_error", "verification_status", "signature_public_key", "created_at", "updated_at"}

// read sets what can be written of s, all of which is at its default, from the body. The old one is nil for a new
// subscription; what did not change since was checked before, and is not refused because the rules have changed.
func (r Rules) read(s, old *Subscription, o object, m *mistakes) {
	var hasEvents, hasEvent, hasTarget bool
	for _, member := range o {
		if m.full() {
			m.more = true
			return
		}
		v := member.value
		switch member.name {
		case "events":
			hasEvents = v != nil
		case "event":
			hasEvent = v != nil
		case "target_url":
			hasTarget = true
			r.readTarget(s, old, v, m)
		case "resource_id":
			s.ResourceID = readResourceID(v, m)
		case "ignore_sources":
			s.IgnoreSources = readSources(v, m)
		case "expires_at":
			readExpiry(s, old, v, m)
		case "state":
			readState(s, old, v, m)
		case "secret":
			readSecret(s, v, m)
		case "delivery":
			r.readDelivery(s, old, v, m)
		case "request": // read after the target, which it is for
		case "name":
			s.Name = readText(m, "name", v, maxName)
		case "description":
			s.Description = readText(m, "description", v, maxDescription)
		case "metadata":
			s.Metadata = readMetadata(v, m)
		case "filter": // read when the events are known
		case "verification":
			readVerification(s, v, m)
		case "notify_end":
			s.NotifyEnd = readBool(m, "notify_end", v)
		case "account": // read before: the rules for it differ
		default:
			readOther(member, m)
		}
	}
	switch {
	case hasEvents && hasEvent:
		m.add("event", `"event" and "events" are both given: leave one out`)
	case hasEvents:
		v, _ := o.get("events")
		r.readEvents(s, old, v, m)
	case hasEvent:
		v, _ := o.get("event")
		if name, ok := v.(string); ok {
			r.readEvent(s, old, "event", name, m)
		} else {
			m.add("event", `is %s: give a name such as "contact.create", or a list as "events"`, kindOf(v))
		}
	default:
		m.add("events", `"events" is required: give a list such as ["contact.create", "deal.*"]`)
	}
	if v, ok := o.get("filter"); ok {
		r.readFilter(s, old, v, m)
	}
	if v, ok := o.get("target_url"); ok && v == nil && s.Verification != "" {
		m.add("verification", `is %s, and there is no target to ask: leave it out where "target_url" is null`, quote(s.Verification))
	}
	if !hasTarget {
		m.add("target_url", `"target_url" is required: give the https URL to send to, or null for a feed without a target`)
	}
	v, _ := o.get("request")
	r.readRequest(s, old, v, m)
	s.checkBodies(m)
	s.checkFallback(m)
}

// readOther handles the members that set nothing.
func readOther(member member, m *mistakes) {
	if !slices.Contains(readOnly, member.name) {
		unknown(m, "", member.name, members)
	}
}

// elsewhere are names that other senders of webhooks have for members.
var elsewhere = map[string]string{
	"url": "target_url", "endpoint": "target_url", "callback_url": "target_url", "hook_url": "target_url",
	"event_types": "events", "topics": "events", "expiration_date": "expires_at", "active": "state", "enabled": "state",
}

func unknown(m *mistakes, path, name string, candidates []string) {
	hint := nearest(name, candidates)
	if other := elsewhere[name]; slices.Contains(candidates, other) {
		hint = other
	}
	if hint != "" {
		m.add(join(path, name), "%s is not a field: did you mean %q?", quote(name), hint)
		return
	}
	m.add(join(path, name), "%s is not a field: leave it out", quote(name))
}

// readEvents reads the list; a name given twice counts once.
func (r Rules) readEvents(s, old *Subscription, v any, m *mistakes) {
	list, ok := v.([]any)
	switch {
	case !ok:
		m.add("events", `is %s: give a list such as ["contact.create"]`, kindOf(v))
		return
	case len(list) == 0:
		m.add("events", `is empty: give at least one event, or "*"`)
		return
	case len(list) > maxEvents:
		m.add("events", "has %d names: give at most %d, or patterns such as deal.*", len(list), maxEvents)
		return
	}
	for i, v := range list {
		at := "events[" + strconv.Itoa(i) + "]"
		name, ok := v.(string)
		if !ok {
			m.add(at, `is %s: give a name such as "contact.create"`, kindOf(v))
			continue
		}
		r.readEvent(s, old, at, name, m)
	}
}

func (r Rules) readEvent(s, old *Subscription, at, name string, m *mistakes) {
	if slices.Contains(s.Events, name) || m.full() {
		return
	}
	if old == nil || !slices.Contains(old.Events, name) {
		if err := r.Catalogue.Check(name, s.Admin); err != nil {
			m.add(at, "%s", err)
			return
		}
	}
	s.Events = append(s.Events, name)
}

func (r Rules) readTarget(s, old *Subscription, v any, m *mistakes) {
	text, ok := v.(string)
	switch {
	case v == nil:
		s.TargetURL = ""
		return
	case !ok:
		m.add("target_url", "is %s: give a URL as a string, or null for a feed without a target", kindOf(v))
		return
	}
	if old != nil && old.TargetURL != "" && (text == old.ShownTarget() || text == old.TargetURL.Reveal()) {
		s.TargetURL = old.TargetURL
		return
	}
	if err := r.policyOf(s).Check(text); err != nil {
		m.add("target_url", "%s", err)
		return
	}
	s.TargetURL = secret.String(text)
}

// readResourceID takes a whole number too: most keys are.
func readResourceID(v any, m *mistakes) string {
	if n, ok := v.(json.Number); ok && !strings.ContainsAny(n.String(), ".eE") && n != "-0" {
		v = n.String()
	}
	return readText(m, "resource_id", v, maxResourceID)
}

// readSources reads the list of sources; one given twice counts once.
func readSources(v any, m *mistakes) []string {
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		m.add("ignore_sources", `is %s: give a list such as ["zapier"]`, kindOf(v))
		return nil
	case len(list) > maxSources:
		m.add("ignore_sources", "has %d sources: give at most %d", len(list), maxSources)
		return nil
	}
	var sources []string
	for i, v := range list {
		at := "ignore_sources[" + strconv.Itoa(i) + "]"
		source := readText(m, at, v, maxName)
		if v == "" || v == nil {
			m.add(at, "is empty: give the source's name, as the application writes it")
		} else if source != "" && !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return sources
}

// readSecret sets the secret, at once: who replaces a secret that leaked does not want it to sign any longer.
func readSecret(s *Subscription, v any, m *mistakes) {
	text, ok := v.(string)
	switch {
	case v == nil:
		return
	case !ok:
		m.add("secret", "is %s: give a whsec_… string, or leave it out", kindOf(v))
		return
	}
	given := SigningSecret{Secret: secret.String(text)}
	if _, err := given.Key(); err != nil {
		m.add("secret", "%s", err)
		return
	}
	if len(s.Secrets) > 0 && s.Secrets[0].Secret == given.Secret {
		return
	}
	s.Secrets = []SigningSecret{given}
}

func readMetadata(v any, m *mistakes) map[string]string {
	if v == nil {
		return nil
	}
	o, ok := v.(object)
	switch {
	case !ok:
		m.add("metadata", "is %s: give an object of strings", kindOf(v))
		return nil
	case len(o) > maxMetadata:
		m.add("metadata", "has %d members: give at most %d", len(o), maxMetadata)
		return nil
	case len(o) == 0:
		return nil
	}
	metadata := make(map[string]string, len(o))
	for _, member := range o {
		at := join("metadata", member.name)
		text, ok := member.value.(string)
		switch {
		case member.name == "":
			m.add("metadata", "has a member without a name")
		case !ok:
			m.add(at, "is %s: give a string", kindOf(member.value))
		default:
			checkText(m, at, member.name, maxMetadataKey)
			checkText(m, at, text, maxMetadataValue)
			metadata[member.name] = text
		}
	}
	return metadata
}

// readText reads a string; null is the empty one.
func readText(m *mistakes, at string, v any, limit int) string {
	if v == nil {
		return ""
	}
	text, ok := v.(string)
	if !ok {
		m.add(at, "is %s: give a string", kindOf(v))
		return ""
	}
	checkText(m, at, text, limit)
	return text
}

// checkText checks length and characters: controls would break logs and terminals, and NUL cannot be stored.
func checkText(m *mistakes, at, text string, limit int) {
	if n := utf8.RuneCountInString(text); n > limit {
		m.add(at, "has %d characters: give at most %d", n, limit)
	}
	if i := strings.IndexFunc(text, unicode.IsControl); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		m.add(at, "holds the control character %U: leave it out", r)
	}
}

func byName(a, b member) int { return strings.Compare(a.name, b.name) }

// shownDuration writes a bound as people do: 1m, and not 1m0s.
func shownDuration(d time.Duration) string {
	return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())
}

// duration reads a text such as 15s between the bounds.
func duration(m *mistakes, at string, v any, least, most time.Duration) (Duration, bool) {
	text, ok := v.(string)
	if !ok {
		m.add(at, `is %s: give a duration as a string, such as "15s"`, kindOf(v))
		return 0, false
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		m.add(at, `is %s: give a duration such as "15s", "5m" or "720h"`, quote(text))
	case d < least || d > most:
		m.add(at, "is %s: give %s to %s", quote(text), shownDuration(least), shownDuration(most))
	default:
		return Duration(d), true
	}
	return 0, false
}
