package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/config"
)

func envURL() string   { return os.Getenv("ROWHOOK_URL") }
func envToken() string { return os.Getenv("ROWHOOK_TOKEN") }

// listenURL is where the API of a config is, seen from its machine.
func listenURL(cfg *config.Config) string {
	host, port, err := net.SplitHostPort(cfg.API.Listen)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + cfg.API.BasePath
}

// writeStatus writes a status for people: 80 columns and 24 lines are enough while all is well.
func writeStatus(w io.Writer, s *client.Status, now time.Time) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s"+format+"\n", append([]any{name}, args...)...)
	}
	fmt.Fprintf(&b, "%s\n\n", s.Summary)
	line("rowhook", "%s, %s, up %s (%s)", s.Version, s.Role, duration(now.Sub(s.StartedAt)), s.Process)
	line("state", "%s for %s", s.State, duration(now.Sub(s.Since)))
	if d := s.Database; d != nil {
		line("database", "%s, Postgres %s, environment %s", d.Name, d.ServerVersion, d.Environment)
	}
	if l := s.Slot; l != nil {
		status := l.WALStatus
		if status == "" {
			status = "there is none"
		}
		line("slot", "%s: %s, %s behind, %s kept of %s", l.Name, status, bytesText(l.LagBytes), bytesText(l.RetainedBytes), bytesText(l.MaxRetainedBytes))
	}
	if st := s.Stream; st != nil {
		last := "none yet"
		if st.LastCommitAt != nil {
			last = ago(*st.LastCommitAt, now)
		}
		line("stream", "%s late, last commit %s, %d reconnects", duration(time.Duration(st.LagSeconds*float64(time.Second))), last, st.Reconnects)
	}
	if r := s.Rates; r != nil {
		line("per second", "%s changes, %s events, %s delivered, %s failed", number(r.ChangesPerSecond), number(r.EventsPerSecond), number(r.DeliveriesPerSecond), number(r.FailuresPerSecond))
		line("latency", "%s median, %s 99 %%; an attempt %s, %s", seconds(r.LatencySeconds.P50), seconds(r.LatencySeconds.P99), seconds(r.AttemptSeconds.P50), seconds(r.AttemptSeconds.P99))
	}
	d := s.Deliveries
	waiting := fmt.Sprintf("%d in memory, %d in the store", d.InMemory, d.Due)
	if d.OldestDueAt != nil {
		waiting += ", the oldest of " + ago(*d.OldestDueAt, now)
	}
	line("waiting", "%s", waiting)
	n := s.Subscriptions
	failing := max(n.Failing, len(s.Failing)) // a server of before shows twenty at most, and does not count them
	line("subscriptions", "%d active, %d disabled, %d pending; %d targets failing", n.Active, n.Disabled, n.Pending, failing)
	line("dead letters", "%d open", s.DeadLetters.Open)
	if e := s.EventLog; e != nil {
		oldest := ""
		if e.OldestAt != nil {
			oldest = ", from " + ago(*e.OldestAt, now)
		}
		size := ""
		if s.Store.Bytes != nil {
			size = "; store " + bytesText(*s.Store.Bytes)
		}
		line("event log", "%d events, %s%s%s", e.RowsEstimate, bytesText(e.Bytes), oldest, size)
	}
	for _, j := range s.Jobs {
		line("job", "%s: %s, %s, %d of %s", j.ID, j.Kind, j.State, j.Done, totalOf(&j))
	}
	if len(s.Findings) == 0 {
		fmt.Fprintf(&b, "\nnothing is wrong\n")
	}
	for _, f := range s.Findings {
		writeFinding(&b, f, now)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// statusLine is a status in a line.
func statusLine(s *client.Status, now time.Time) string {
	text := fmt.Sprintf("%s  %-12s", now.Format(time.TimeOnly), s.State)
	if s.Slot != nil {
		text += fmt.Sprintf("  lag %s", bytesText(s.Slot.LagBytes))
	}
	if s.Rates != nil {
		text += fmt.Sprintf("  %s delivered/s  %s failed/s  p99 %s", number(s.Rates.DeliveriesPerSecond), number(s.Rates.FailuresPerSecond), seconds(s.Rates.LatencySeconds.P99))
	}
	text += fmt.Sprintf("  waiting %d  dead %d", s.Deliveries.InMemory+s.Deliveries.Due, s.DeadLetters.Open)
	if len(s.Findings) > 0 {
		what, _, _ := strings.Cut(s.Findings[0].What, "\n")
		text += fmt.Sprintf("  %s: %s", s.Findings[0].Severity, what)
	}
	return text
}

// indented keeps the lines of a text under its first one.
func indented(s string) string { return strings.ReplaceAll(s, "\n", "\n        ") }

func ago(t, now time.Time) string { return duration(now.Sub(t)) + " ago" }

// duration is one in two units at most: 3m12s, 5h4m, 2d3h.
func duration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Truncate(time.Second).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// bytesText is a size in the unit that fits.
func bytesText(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, i := float64(n), 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// number is a rate with as many digits as matter.
func number(v float64) string {
	if v != 0 && v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// seconds is a quantile, a dash where nothing happened.
func seconds(v *float64) string {
	if v == nil {
		return "-"
	}
	if d := time.Duration(*v * float64(time.Second)); d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", *v*1000)
}
