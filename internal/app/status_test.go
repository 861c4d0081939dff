package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// status is that of the rig, as soon as it satisfies what is wanted.
func (r *rig) status(what string, ok func(*client.Status) bool) *client.Status {
	r.t.Helper()
	var s *client.Status
	defer func() {
		if r.t.Failed() && s != nil {
			r.t.Logf("the last status: %s\n%+v\n%+v\n%+v", s.Summary, s.Findings, s.Failing, s.Deliveries)
		}
	}()
	eventually(r.t, "a status with "+what, func() bool {
		got, err := r.admin().Status(context.Background())
		if err != nil {
			return false
		}
		s = got
		return ok(got)
	})
	return s
}

// finding is the status's one with the code, nil where it has none.
func finding(s *client.Status, code string) *client.StatusFinding {
	for i := range s.Findings {
		if s.Findings[i].Code == code {
			return &s.Findings[i]
		}
	}
	return nil
}

func codes(s *client.Status) string {
	var all []string
	for _, f := range s.Findings {
		all = append(all, f.Severity+" "+f.Code)
	}
	return strings.Join(all, ", ")
}

// TestStatus: a rowhook that is well says so, with what it has done.
func TestStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/hooks")
	if _, err := r.client("acme-token-0123456789").CreateWith(t.Context(), client.Patch{"events": []string{"contact.*"}, "target_url": nil}); err != nil {
		t.Fatal(err) // without a target: a feed
	}
	for i := range 5 {
		r.insertContact(i, 1)
	}
	r.recv.WaitFor(t, func(all []hooktest.Request) bool { return len(all) >= 5 })
	s := r.status("five events", func(s *client.Status) bool {
		return s.Database != nil && s.Slot != nil && s.Slot.Active && s.EventLog != nil && s.Database.ClockOffsetSeconds != nil && s.MeasuredAt != nil && s.Stream.LastMessageAt != nil &&
			s.Rates.DeliveriesPerSecond > 0 && s.Subscriptions.Active == 2 && s.Stream.UnsettledBatches == 0
	})
	if f := finding(s, "target_failing"); f != nil || s.Findings == nil || len(s.Findings) > 0 || s.State != client.StateReplicating || s.Role != "active" || !s.Ready || s.Version != "test" {
		t.Errorf("findings %s, state %s, role %s, ready %v, version %s", codes(s), s.State, s.Role, s.Ready, s.Version)
	}
	if s.Database.Environment != "test" || len(s.Database.SystemIdentifier) < 10 || s.Database.Timeline < 1 || *s.Database.ClockOffsetSeconds > 1 || *s.Database.ClockOffsetSeconds < -1 {
		t.Errorf("the database is %+v, its clock %v", s.Database, *s.Database.ClockOffsetSeconds)
	}
	if l := s.Slot; l.Name != r.slot || !l.Active || l.WALStatus != "reserved" || l.ConfirmedLSN == "" || l.RestartLSN == "" || l.CurrentLSN == "" || l.MaxRetainedBytes == 0 {
		t.Errorf("the slot is %+v", l)
	}
	if s.Subscriptions.FeedOnly != 1 || s.Store.Where != "same" || s.Store.Bytes == nil || *s.Store.Bytes == 0 || s.EventLog.RetentionSeconds != 7*24*3600 {
		t.Errorf("%+v, store %+v, log %+v", s.Subscriptions, s.Store, s.EventLog)
	}
	if s.Rates.ChangesPerSecond <= 0 || s.Rates.EventsPerSecond <= 0 || s.Rates.LatencySeconds.P50 == nil || s.Rates.AttemptSeconds.P99 == nil || *s.Rates.LatencySeconds.P50 > *s.Rates.LatencySeconds.P99 {
		t.Errorf("the rates are %+v", s.Rates)
	}
	if len(s.Resources) != 2 || !s.Resources[0].Fit || s.Resources[0].Table != "public.contacts" || s.Stream.LastCommitAt == nil || s.Deliveries.MemoryLimitBytes == 0 {
		t.Errorf("%+v, %+v, %+v", s.Resources, s.Stream, s.Deliveries)
	}
	if _, err := r.client("acme-token-0123456789").Status(t.Context()); err == nil || err.(*client.Error).Status != 403 {
		t.Errorf("an account gets %v", err)
	}
	r.metricsAreClean()
	stop()
}

// metricsAreClean fails for what Prometheus's own linter finds in names and helps of /metrics.
func (r *rig) metricsAreClean() {
	r.t.Helper()
	resp, err := http.Get(r.api + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	problems, err := promlint.New(resp.Body).Lint()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range problems {
		r.t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
