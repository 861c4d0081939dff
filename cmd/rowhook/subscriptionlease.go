package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/rowhook/rowhook/client"
)

// lease are the flags that say for how long a subscription is, and whether anything is sent to it.
type lease struct {
	in               time.Duration
	at               string
	shadow, noTarget bool
}

func (l *lease) flags(f *pflag.FlagSet) {
	f.DurationVar(&l.in, "expires-in", 0, "end it after this time, such as 720h; the same again renews it")
	f.StringVar(&l.at, "expires-at", "", "end it then: 2030-01-31T12:00:00Z")
	f.BoolVar(&l.shadow, "shadow", false, "match and record events, and send nothing; =false lets it be sent to")
	f.BoolVar(&l.noTarget, "no-target", false, "feed only: instead of --target-url")
}

// apply sets what the flags say.
func (l *lease) apply(s *client.Subscription, now time.Time) error {
	if l.noTarget {
		if s.TargetURL != "" {
			return usage("--no-target and --target-url are both given", "leave one out")
		}
		s.FeedOnly = true
	}
	s.State = "active"
	if l.shadow {
		s.State = "shadow"
	}
	switch {
	case l.in != 0 && l.at != "":
		return usage("--expires-in and --expires-at are both given", "leave one out")
	case l.in < 0:
		return usage(fmt.Sprintf("--expires-in %s is in the past", l.in), "give a time to live, such as 720h")
	case l.in > 0:
		at := now.Add(l.in).UTC().Truncate(time.Second)
		s.ExpiresAt = &at
	case l.at != "":
		at, err := time.Parse(time.RFC3339, l.at)
		if err != nil {
			return usage(fmt.Sprintf("--expires-at %q is not a time", l.at), "write it as 2030-01-31T12:00:00Z")
		}
		s.ExpiresAt = &at
	}
	return nil
}

// target is where a subscription is sent to, for people.
func target(s *client.Subscription) string {
	if s.TargetURL == "" {
		return "(feed only)"
	}
	return s.TargetURL
}
