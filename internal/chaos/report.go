//go:build unix

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is what a run has found.
type Report struct {
	Seed   uint64
	Loaded time.Duration
	// Transactions committed with a change; RolledBack on purpose; Unsure lost the answer to the commit and asked.
	Transactions, RolledBack, Unsure int
	// Events are the changes that were committed, Compared the deliveries that were compared with them one by one.
	Events, Compared int
	// Requests that arrived, and those that were answered badly.
	Requests, Failed int
	Subscriptions    int
	Lost             int
	// Wrong is everything that was promised and not kept; the texts are the first of them.
	Wrong  int
	Wrongs []string
	// Breakages in their order.
	Breakages []*Breakage
	// Repeated are deliveries of events that had been delivered; TooLate requests with those of them that rowhook gave a reason
	// of the network for, without any breakage: it had not seen the answer in time.
	Repeated, TooLate int
	// PeakRSS is the most memory that a life of rowhook had, in bytes; in half of the Lives it was no more than MedianRSS.
	PeakRSS, MedianRSS int64
	Lives              int
	// Samples of a soak, in their order.
	Samples []Sample
}

// MaxInFlight is rowhook's delivery.max_in_flight: so many may be under way when it is killed.
const MaxInFlight = 512

func (r *run) report() *Report {
	l := r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	rep := r.found
	rep.Seed, rep.Loaded, rep.Requests, rep.Failed, rep.Subscriptions = r.Seed, r.loaded, l.requests, l.failed, len(r.subs.all)
	rep.Breakages, rep.TooLate, rep.Lives, rep.Wrong, rep.Wrongs = l.breaks, l.tooLate, len(r.peaks), l.wrongs, l.wrong
	if r.load != nil {
		rep.RolledBack, rep.Unsure = int(r.load.rolledBack.Load()), int(r.load.unsure.Load())
	}
	for _, t := range l.targets {
		rep.Repeated += t.repeated
	}
	rep.Samples = r.samples
	if len(r.peaks) > 0 {
		peaks := slices.Sorted(slices.Values(r.peaks))
		rep.PeakRSS, rep.MedianRSS = peaks[len(peaks)-1], peaks[len(peaks)/2]
	}
	return &rep
}

// of are the breakages of a kind.
func (rep *Report) of(kind string) []*Breakage {
	return slices.DeleteFunc(slices.Clone(rep.Breakages), func(b *Breakage) bool { return b.Kind != kind })
}

// Repeats is how much came again after all breakages of a kind.
func (rep *Report) Repeats(kind string) (n int) {
	for _, b := range rep.of(kind) {
		n += b.Repeated
	}
	return n
}

// worst is the breakage after which the events of most requests came again, zero if there is none.
func worst(of []*Breakage) (w Breakage) {
	for _, b := range of {
		if b.Requests() >= w.Requests() {
			w = *b
		}
	}
	return w
}

func oldest(of []*Breakage) (d time.Duration) {
	for _, b := range of {
		d = max(d, b.Oldest)
	}
	return d
}

// Requests is in how many requests the events that came again had been delivered.
func (b *Breakage) Requests() int { return len(b.requests) }

// Beyond are the kills after which more came again than was in flight and answered just before: events of as many requests.
func (rep *Report) Beyond() int {
	return len(slices.DeleteFunc(rep.of(killed), func(b *Breakage) bool { return b.Requests() <= MaxInFlight+b.Window }))
}

// String is the table of figures.
func (rep *Report) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-26s"+format+"\n", append([]any{name}, args...)...)
	}
	kills := rep.of(killed)
	alone := slices.DeleteFunc(slices.Clone(kills), func(b *Breakage) bool { return b.Double })
	most := worst(kills)
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
	line("seed", "%d", rep.Seed)
	line("transactions", "%d in %s: %.0f/s; %d rolled back, %d asked for after a lost answer", rep.Transactions, rep.Loaded.Round(time.Second),
		float64(rep.Transactions)/max(1, rep.Loaded.Seconds()), rep.RolledBack, rep.Unsure)
	line("events", "%d", rep.Events)
	line("subscriptions", "%d", rep.Subscriptions)
	line("deliveries compared", "%d", rep.Compared)
	line("requests", "%d, %.1f %% answered badly", rep.Requests, 100*float64(rep.Failed)/float64(max(1, rep.Requests)))
	line("rowhook killed, stopped", "%d, %d", len(rep.of(killed)), len(rep.of(stopped)))
	line("Postgres restarted", "%d", len(rep.of(crashed)))
	line("frozen", "%d", len(rep.of(frozen)))
	line("lost", "%d", rep.Lost)
	line("promises broken", "%d", rep.Wrong)
	line("duplicates", "%d: %d after kills, %d after clean stops, %d after restarts of Postgres, %d after freezes, %d answered too late",
		rep.Repeated, rep.Repeats(killed), rep.Repeats(stopped), rep.Repeats(crashed), rep.Repeats(frozen), rep.TooLate)
	line("most after one kill", "%d events of %d requests, of a bound of %d: %d in flight and %d answered in the last 20 ms", most.Repeated, most.Requests(), MaxInFlight+most.Window, MaxInFlight, most.Window)
	line("kills beyond the bound", "%d of %d", rep.Beyond(), len(kills))
	line("oldest answer repeated", "%s before a kill, %s in or just after an outage", ms(oldest(alone)), ms(oldest(kills)))
	line("peak RSS", "%.1f MiB, and %.1f MiB in half of %d lives", float64(rep.PeakRSS)/(1<<20), float64(rep.MedianRSS)/(1<<20), rep.Lives)
	for _, w := range rep.Wrongs {
		b.WriteString("broken: " + w + "\n")
	}
	return b.String()
}
