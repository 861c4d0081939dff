package app

import (
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestALeaseThatEndedInTheGapIsTold: what was committed before its end is missing for it as for others.
func TestALeaseThatEndedInTheGapIsTold(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	a := &App{}
	cfg := &config.Config{}
	cfg.Mapping.Resources = make([]mapping.Resource, 1)
	cfg.Mapping.Resources[0].Name = "note"
	a.live.Store(cfg)
	leased := func(key int64, end time.Time) *subscriptions.Subscription {
		s := &subscriptions.Subscription{Key: key, ID: "sub", Admin: true, Events: []string{"*"}, TargetURL: "https://example.com", State: subscriptions.Active, ExpiresAt: end}
		s.Expire()
		return s
	}
	in := &cdc.Incident{FromTime: from, ToTime: from.Add(time.Hour)}
	notices := a.gapNotices(cdc.Checkpoint{}, in, []*subscriptions.Subscription{leased(1, from.Add(-time.Second)), leased(2, from.Add(time.Minute))})
	if len(notices) != 1 || !slices.Equal(notices[0].To, []int64{2}) {
		t.Errorf("told are %+v, want 2 alone", notices)
	}
}
