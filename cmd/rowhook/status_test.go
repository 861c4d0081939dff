package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
)

// TestStatusFitsATerminal: while all is well a status is within 80 columns and 24 lines; what is wrong is below, with its next step.
func TestStatusFitsATerminal(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at, p50, size := now.Add(-3*time.Minute), 0.0007, int64(75_497_472)
	s := &client.Status{Version: "v0.3.0", Process: "crm-app-7f9c6d5b4-x2x7k:1", StartedAt: now.Add(-75 * time.Hour), Role: "active", State: client.StateReplicating,
		Since: now.Add(-5 * time.Hour), Ready: true, Summary: "replicating: what is committed is sent at once",
		Database: &client.StatusDatabase{Name: "crm", ServerVersion: "15.12", Environment: "production"},
		Slot:     &client.StatusSlot{Name: "rowhook", Active: true, WALStatus: "reserved", LagBytes: 123_456, RetainedBytes: 1_234_567, MaxRetainedBytes: 8_589_934_592},
		Stream:   &client.StatusStream{LastCommitAt: &at},
		Rates: &client.StatusRates{WindowSeconds: 60, ChangesPerSecond: 1234, EventsPerSecond: 1200, DeliveriesPerSecond: 12000, LatencySeconds: client.StatusQuantiles{P50: &p50, P99: &p50},
			AttemptSeconds: client.StatusQuantiles{P50: &p50, P99: &p50}},
		EventLog: &client.StatusEventLog{Partitions: 8, RowsEstimate: 1_200_000, Bytes: size, OldestAt: &at}, Store: client.StatusStore{Bytes: &size, Where: "same"},
	}
	var b strings.Builder
	if err := writeStatus(&b, s, now); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) > 24 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if len([]rune(l)) > 80 {
			t.Errorf("%d columns: %s", len([]rune(l)), l)
		}
	}
	if !strings.HasSuffix(b.String(), "\nnothing is wrong\n") || !strings.Contains(b.String(), "0.7 ms median") || !strings.Contains(b.String(), "up 3 d 3 h") {
		t.Errorf("%s", b.String())
	}
	s.Findings = []client.StatusFinding{{Severity: client.SeverityError, Code: "slot_lost", What: "the slot is lost", So: "nothing is sent", Mend: "first\n    then", Since: &at}}
	b.Reset()
	if err := writeStatus(&b, s, now); err != nil {
		t.Fatal(err)
	}
	if want := "\nerror: the slot is lost, since 3 min ago\n  so:   nothing is sent\n  mend: first\n            then\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("it ends with %q", b.String()[max(0, b.Len()-200):])
	}
	if l := statusLine(s, now); strings.Contains(l, "\n") || !strings.Contains(l, "error: the slot is lost") || !strings.Contains(l, "12000 delivered/s") {
		t.Errorf("the line is %q", l)
	}
}
