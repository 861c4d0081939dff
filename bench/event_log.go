//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
)

// keepAll is a config that keeps every mapped event.
const keepAll = "retention: {events: all}\n"

// eventLogScenario keeps only events that matched, or all. One in four matches: what the others cost when they are kept
// is the difference.
func eventLogScenario(s sizes) scenario {
	// Instances change in groups, whose first round creates them.
	const near, rounds = 32, 4
	creates := s.backlog/(near*rounds)*near + min(s.backlog%(near*rounds), near)
	matched := backlog{events: s.backlog, perInstance: rounds, receipts: creates, subscribe: func(ctx context.Context, b *bench, r *rowhook) error {
		return r.subscribeTo(ctx, b.url(hooks), "", []string{"item.create"})
	}}
	all := matched
	all.settings = keepAll
	const nameAll, nameMatched = "retention.events: all", "matched"
	return scenario{
		Name: "event-log",
		What: fmt.Sprintf("%d single-row transactions wait, of which one in four matches the one subscription; what matched is kept, or everything. "+
			"Figures are of delivered events", s.backlog),
		variants: []variant{{nameMatched, matched.run}, {nameAll, all.run}},
		ratios: []ratio{{metric: rate, of: nameAll, to: nameMatched}, {metric: cpuPerEvent, of: nameAll, to: nameMatched},
			{metric: postgresCPU, of: nameAll, to: nameMatched}},
	}
}

// configure gives the database a config of its own, with more settings.
func (d *database) configure(b *bench, settings string) error {
	d.config = b.config + "." + d.name
	if err := os.WriteFile(d.config, []byte(config+settings), 0o600); err != nil {
		return fmt.Errorf("write a config: %w", err)
	}
	return nil
}
