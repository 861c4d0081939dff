//go:build unix

package chaos

import (
	"fmt"
	"strings"
	"time"
)

// HistoryReport tells what a run of RunHistory has done and found.
type HistoryReport struct {
	Seed                                            uint64
	Transactions, Rows, Subscribers                 int
	Kills, Restarts, Lives                          int
	Events, Again, Replayed, Backfilled             int
	Replays, Backfills, JobsDone, Cancelled, Failed int
	Outages, Disabled, GivenUp, Late                int
	Loaded                                          time.Duration
	// Wrong is how often a promise was broken, Wrongs the first ones.
	Wrong  int
	Wrongs []string
}

// String is the table of figures.
func (rep *HistoryReport) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-26s"+format+"\n", append([]any{name}, args...)...)
	}
	line("seed", "%d", rep.Seed)
	line("transactions", "%d in %s; %d rows at the end", rep.Transactions, rep.Loaded.Round(time.Second), rep.Rows)
	line("subscribers", "%d, of which %d came late", rep.Subscribers, rep.Late)
	line("rowhook killed", "%d, in %d lives; Postgres restarted %d", rep.Kills, rep.Lives, rep.Restarts)
	line("outages", "%d; disabled by owners %d, by rowhook %d", rep.Outages, rep.Disabled, rep.GivenUp)
	line("jobs", "%d replays, %d backfills: %d done, %d cancelled, %d failed", rep.Replays, rep.Backfills, rep.JobsDone, rep.Cancelled, rep.Failed)
	line("events that arrived", "%d, of which %d were backfilled; %d came again, %d of these marked as replays", rep.Events, rep.Backfilled, rep.Again, rep.Replayed)
	line("promises broken", "%d", rep.Wrong)
	for _, w := range rep.Wrongs {
		b.WriteString("broken: " + w + "\n")
	}
	return b.String()
}
