package subscriptions

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// The bounds of delivery's members. Waits under a second would make a hook a weapon against its target.
const (
	minTimeout     = 100 * time.Millisecond
	maxTimeout     = time.Minute
	minWait        = time.Second
	maxWait        = 7 * 24 * time.Hour
	maxWaits       = 100
	maxMaxInFlight = 1000
	minDebounce    = time.Second
	maxDebounce    = time.Hour
)

var deliveryMembers = []string{"timeout", "retries", "ordering", "max_in_flight", "rate_limit", "batch", "max_body", "debounce", "fallback_url"}

func (r Rules) readDelivery(s, old *Subscription, v any, m *mistakes) {
	if v == nil {
		return
	}
	o, ok := v.(object)
	if !ok {
		m.add("delivery", `is %s: give an object such as {"timeout": "15s"}`, kindOf(v))
		return
	}
	for _, member := range o {
		if m.full() {
			m.more = true
			return
		}
		at := join("delivery", member.name)
		if member.value == nil {
			if !slices.Contains(deliveryMembers, member.name) {
				unknown(m, "delivery", member.name, deliveryMembers)
			}
			continue
		}
		switch member.name {
		case "timeout":
			if d, ok := duration(m, at, member.value, minTimeout, maxTimeout); ok {
				s.Delivery.Timeout = &d
			}
		case "retries":
			most := r.ConfigRetries
			if old != nil && old.Delivery.Retries != nil {
				// The config may have become shorter since.
				most = max(most, old.Delivery.Retries.Count)
			}
			s.Delivery.Retries = readRetries(member.value, most, m)
		case "ordering":
			switch member.value {
			case OrderingResource, OrderingNone:
				s.Delivery.Ordering = member.value.(string)
			default:
				m.add(at, `is neither "resource" nor "none": give one of them`)
			}
		case "max_in_flight":
			if n, ok := wholeNumber(member.value); ok && n >= 1 && n <= maxMaxInFlight {
				s.Delivery.MaxInFlight = n
			} else {
				m.add(at, "is not a whole number from 1 to %d", maxMaxInFlight)
			}
		case "rate_limit":
			s.Delivery.RateLimit = readRate(at, member.value, m)
		case "batch":
			s.Delivery.Batch = readBatch(member.value, m)
		case "max_body":
			s.Delivery.MaxBody = readSize(m, at, member.value, minMaxBody, maxMaxBody)
		case "debounce":
			if d, ok := readDebounce(m, at, member.value); ok {
				s.Delivery.Debounce = &d
			}
		case "fallback_url":
			r.readFallback(s, old, member.value, m)
		default:
			unknown(m, "delivery", member.name, deliveryMembers)
		}
	}
}

func readRate(at string, v any, m *mistakes) Rate {
	text, ok := v.(string)
	if !ok {
		m.add(at, `is %s: give a rate as a string, such as "10/s"`, kindOf(v))
		return Rate{}
	}
	rate, err := ParseRate(text)
	if err != nil {
		m.add(at, "%s", err)
	}
	return rate
}

// readDebounce takes none at all too, which the config's may be overridden with.
func readDebounce(m *mistakes, at string, v any) (Duration, bool) {
	if text, ok := v.(string); ok {
		if d, err := time.ParseDuration(text); err == nil && d == 0 {
			return 0, true
		}
	}
	return duration(m, at, v, minDebounce, maxDebounce)
}

func readRetries(v any, most int, m *mistakes) *Retries {
	const at = "delivery.retries"
	switch v := v.(type) {
	case json.Number:
		n, ok := wholeNumber(v)
		if !ok || n < 0 || n > most {
			m.add(at, "is %s: give 0 to %d, the number of rowhook's retries, or a list of durations",
				quote(v.String()), most)
			return nil
		}
		return &Retries{Count: n, IsCount: true}
	case []any:
		if len(v) > maxWaits {
			m.add(at, "has %d waits: give at most %d", len(v), maxWaits)
			return nil
		}
		waits := make([]Duration, len(v))
		for i, v := range v {
			waits[i], _ = duration(m, at+"["+strconv.Itoa(i)+"]", v, minWait, maxWait)
		}
		return &Retries{Waits: waits}
	}
	m.add(at, `is %s: give a number of retries, or a list of durations such as ["5s", "5m"]`, kindOf(v))
	return nil
}

// wholeNumber reads a number that is written without a fraction or an exponent.
func wholeNumber(v any) (int, bool) {
	number, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(number.String())
	return n, err == nil
}

// writableDelivery is the reverse of readDelivery.
func (s *Subscription) writableDelivery() object {
	d, o := s.Delivery, object{}
	if s.FallbackURL != "" {
		o = append(o, member{"fallback_url", s.ShownFallback()})
	}
	if d.Timeout != nil {
		o = append(o, member{"timeout", time.Duration(*d.Timeout).String()})
	}
	switch {
	case d.Retries == nil:
	case d.Retries.IsCount:
		o = append(o, member{"retries", json.Number(strconv.Itoa(d.Retries.Count))})
	default:
		waits := make([]any, len(d.Retries.Waits))
		for i, w := range d.Retries.Waits {
			waits[i] = time.Duration(w).String()
		}
		o = append(o, member{"retries", waits})
	}
	if d.Ordering != "" {
		o = append(o, member{"ordering", d.Ordering})
	}
	if d.MaxInFlight != 0 {
		o = append(o, member{"max_in_flight", json.Number(strconv.Itoa(d.MaxInFlight))})
	}
	if !d.RateLimit.IsZero() {
		o = append(o, member{"rate_limit", d.RateLimit.String()})
	}
	if d.Debounce != nil {
		o = append(o, member{"debounce", time.Duration(*d.Debounce).String()})
	}
	if d.Batch != nil {
		o = append(o, member{"batch", writableBatch(d.Batch)})
	}
	if d.MaxBody != 0 {
		o = append(o, member{"max_body", d.MaxBody.String()})
	}
	return o
}
