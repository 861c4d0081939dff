package api_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
)

// wholeStatus is a status that has all there can be.
func wholeStatus() *client.Status {
	at := time.Date(2026, 11, 22, 4, 54, 2, 0, time.UTC)
	seconds, size, code, n, yes, account := 0.25, int64(1<<20), 503, 12, true, "42"
	q := client.StatusQuantiles{P50: &seconds, P90: &seconds, P99: &seconds}
	return &client.Status{Version: "1.2.3", Process: "host:1", StartedAt: at, Role: "active", State: client.StateReplicating, Since: at, Ready: true, Summary: "replicating",
		Findings: []client.StatusFinding{{Severity: client.SeverityWarning, Code: "target_failing", What: "hooks.example.com takes nothing", So: "it is tried again", Mend: "tell its owner", Since: &at}},
		Database: &client.StatusDatabase{Name: "crm", ServerVersion: "15.12", SystemIdentifier: "7", Timeline: 1, Environment: "test", ClockOffsetSeconds: &seconds},
		Slot: &client.StatusSlot{Name: "rowhook", Active: true, WALStatus: "reserved", ConfirmedLSN: "0/1", RestartLSN: "0/1", CurrentLSN: "0/2", LagBytes: 1, RetainedBytes: 1,
			MaxRetainedBytes: size, SafeWALBytes: &size, Failover: &yes, MeasuredAt: at},
		Stream: &client.StatusStream{LagSeconds: 0.5, LastMessageAt: &at, LastCommitAt: &at, UnsettledBatches: 1, OldestUnsettledAt: &at, Reconnects: 2},
		Rates:  &client.StatusRates{WindowSeconds: 60, ChangesPerSecond: 1, EventsPerSecond: 1, DeliveriesPerSecond: 1, FailuresPerSecond: 1, LatencySeconds: q, AttemptSeconds: q},
		Series: []client.StatusStep{{At: at, Changes: 1, Events: 1, Delivered: 1, Failed: 1, LagBytes: 1, P50: &seconds, P99: &seconds}, {At: at}},
		Deliveries: client.StatusDeliveries{InFlight: 1, InMemory: 1, MemoryBytes: 1, MemoryLimitBytes: size, Due: 1, OldestDueAt: &at, NextAttemptAt: &at, CircuitsOpen: 1,
			Paused: 1},
		DeadLetters: client.StatusDeadLetters{Open: 1, OldestAt: &at},
		EventLog:    &client.StatusEventLog{Partitions: 1, RowsEstimate: 1, Bytes: 1, OldestAt: &at, RetentionSeconds: 1}, Store: client.StatusStore{Bytes: &size, Where: "same"},
		Subscriptions: client.StatusSubscriptions{Active: 1, Pending: 1, Disabled: 1, Expired: 1, Shadow: 1, FeedOnly: 1, Failing: 1},
		Failing: []client.StatusFailing{{ID: "sub_1", Account: &account, Name: "x", TargetHost: "hooks.example.com", Since: at, Error: "http_status", Status: &code, Waiting: &n,
			NextAttemptAt: &at, Circuit: "open"}, {ID: "sub_2", Since: at}},
		Resources: []client.StatusResource{{Name: "contact", Table: "public.contacts", Fit: true}, {Name: "deal", Table: "public.deals", Reason: "a column is gone"}},
		Jobs:      []client.Job{{ID: "job_1", Kind: client.JobReplay, Subscription: "sub_1", State: client.JobRunning, CreatedAt: at}}, MeasuredAt: &at}
}

// TestStatus: what the server knows arrives at the client as it was, and as the document says, with as much as there is and as little.
func TestStatus(t *testing.T) {
	t.Parallel()
	got, err := start(t, whole).client(tokenAdmin).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := wholeStatus(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if got.Worst() != client.SeverityWarning {
		t.Errorf("the worst is %q", got.Worst())
	}
	for _, missing := range missingValues(reflect.ValueOf(*wholeStatus()), "Status") {
		t.Errorf("the test's status has nothing in %s", missing)
	}
}

// missingValues are the fields of status types that are zero, all entries of a list taken together.
func missingValues(v reflect.Value, at string) (missing []string) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return []string{at}
		}
		return missingValues(v.Elem(), at)
	}
	switch {
	case v.Type() == reflect.TypeFor[client.Job]():
		return nil
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			return []string{at}
		}
		for _, m := range missingValues(v.Index(0), at+"[]") {
			missingToo := false
			for i := 1; i < v.Len(); i++ {
				for _, other := range missingValues(v.Index(i), at+"[]") {
					missingToo = missingToo || other == m
				}
			}
			if v.Len() == 1 || missingToo {
				missing = append(missing, m)
			}
		}
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			missing = append(missing, missingValues(v.Field(i), at+"."+v.Type().Field(i).Name)...)
		}
	case v.IsZero():
		missing = append(missing, at)
	}
	return missing
}
