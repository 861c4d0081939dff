package subscriptions

import (
	"maps"
	"slices"
)

// Clone returns a copy that shares nothing that can be changed.
func (s *Subscription) Clone() *Subscription {
	c := *s
	c.Events = slices.Clone(s.Events)
	c.IgnoreSources = slices.Clone(s.IgnoreSources)
	c.Secrets = slices.Clone(s.Secrets)
	c.Delivery = s.Delivery.clone()
	c.Request = s.Request.clone()
	c.Metadata = maps.Clone(s.Metadata)
	c.VerificationStatus = s.VerificationStatus.clone()
	c.Failing = s.Failing.clone()
	if s.Disabled != nil {
		d := *s.Disabled
		if d.FailingSince != nil {
			since := *d.FailingSince
			d.FailingSince = &since
		}
		if d.LastAnswer != nil {
			last := *d.LastAnswer
			d.LastAnswer = &last
		}
		if d.Missed != nil {
			missed := *d.Missed
			d.Missed = &missed
		}
		c.Disabled = &d
	}
	if s.FilterError != nil {
		e := *s.FilterError
		c.FilterError = &e
	}
	return &c
}

func (o DeliveryOptions) clone() DeliveryOptions {
	if o.Timeout != nil {
		t := *o.Timeout
		o.Timeout = &t
	}
	if o.Debounce != nil {
		d := *o.Debounce
		o.Debounce = &d
	}
	if o.Retries != nil {
		r := *o.Retries
		r.Waits = slices.Clone(r.Waits)
		o.Retries = &r
	}
	if o.Batch != nil {
		b := *o.Batch
		o.Batch = &b
	}
	return o
}
