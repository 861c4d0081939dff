package subscriptions

import "slices"

// Announce returns what the stream has to tell of a new or changed subscription; store is the id of the store that holds
// it. The announcement shares the subscription's lists. A deletion is announced with Store, ID, a higher Version and
// Deleted alone.
func Announce(s *Subscription, store string) Announcement {
	return Announcement{
		Store: store, ID: s.ID, Version: s.Version, Account: s.Account, Admin: s.Admin,
		Events: s.Events, ResourceID: s.ResourceID, State: s.State,
		IgnoreSources: s.IgnoreSources,
		Filter:        s.Filter,
		ExpiresAt:     s.ExpiresAt,
		Kept:          s.DisabledByRowhook(),
	}
}

// WithAnnouncement returns a copy whose matching fields and version are the announcement's: the subscription as it was at
// a position of the stream that is older than the row. What it is sent with (target, secrets, delivery) stays the row's, and
// whose it is: that never changes, and a message in the stream is not proof of it.
func (s *Subscription) WithAnnouncement(a Announcement) *Subscription {
	c := s.Clone()
	c.Version = a.Version
	c.Events = slices.Clone(a.Events)
	c.ResourceID = a.ResourceID
	if c.State = a.State; c.State == Active || c.State == Shadow {
		c.Before = "" // it had not stopped
	}
	c.IgnoreSources = slices.Clone(a.IgnoreSources)
	c.Filter = a.Filter
	c.ExpiresAt = a.ExpiresAt
	if c.Disabled = nil; a.Kept {
		c.Disabled = &DisabledReason{By: ByRowhook}
	}
	return c
}
